"""The page of a pack's health: values of Regulation (EU) 2023/1542 with bounds (REC-05)."""

import unittest

from bms.records import health
from bms.pack import Pack
from bms.records.counters import Counters
from bms.words import events as ev
from bms.words.parameters import Parameters
from fakes import scan_regs
from profiles import am5000
from protocols.modbus import PaceRegisters
from protocols.snapshot import Identity, System


class TestHealth(unittest.TestCase):
    def setUp(self):
        self.pack = Pack(am5000, Parameters(am5000.DEFAULTS), 100)
        self.counters = Counters()
        system = System(self.pack, Identity("AM5000", (1, 0, 0), "PC1"))
        self.registers = PaceRegisters(system, self.pack, Identity("AM5000", (1, 0, 0), "PC1"))
        self.registers.counters = self.counters
        for i in range(5):
            self.pack.measurements.take(scan_regs(), 100 * i)

    def read(self, row):
        """(value, bound) of a row of the page; None: not known."""
        words = []
        out = bytearray(2)
        for k in range(4):
            self.assertTrue(self.registers.put(out, 0, 200 + 4 * row + k))
            words.append(out[0] << 8 | out[1])
        pair = [words[0] << 16 | words[1], words[2] << 16 | words[3]]
        return tuple(None if one == 0xFFFFFFFF else one for one in pair)

    def test_a_new_pack_does_not_know_what_it_never_saw(self):  # req: REC-05
        for row in (health.POWER, health.EFFICIENCY, health.SELF_USE, health.RESISTANCE,
                    health.MADE, health.SERVICE):
            self.assertEqual(self.read(row), (None, None), health.ROWS[row])
        for row in (health.ENERGY, health.CHARGE, health.CYCLES, health.DEEP):
            self.assertEqual(self.read(row), (0, 0))

    def test_capacity_has_the_bound_of_what_was_learnt(self):   # req: REC-05
        soc = self.pack.soc
        soc.is_set = True
        soc.full_mah = 91_000
        soc._capacity_u = 300
        self.assertEqual(self.read(health.CAPACITY), (91_000, 2_730))

    def test_resistance_and_power_after_four_steps(self):       # req: REC-05
        known = self.pack.joining.resistance
        known.uohm = 8000
        known.steps = 3
        self.assertEqual(self.read(health.POWER), (None, None))
        known.steps = 4
        self.assertEqual(self.read(health.RESISTANCE), (8000, 1000))
        ampere = self.pack.params["nominal_ma"] // 1000
        value, bound = self.read(health.POWER)
        self.assertEqual(value, (51_200 - 8 * ampere) * ampere // 1000)
        self.assertTrue(value // 50 < bound < value // 50 + 20)

    def test_efficiency_of_ten_thousand_cycles(self):           # req: REC-05
        tally = self.pack.soc.tally
        tally.cycles = 9
        tally.charged_wh, tally.discharged_wh = 50_000, 48_000
        self.assertEqual(self.read(health.EFFICIENCY), (None, None))
        tally.cycles = 10
        self.assertEqual(self.read(health.EFFICIENCY), (9600, 1024))    # a pack of 5.12 kWh
        tally.charged_wh, tally.discharged_wh = 52_000_000, 49_400_000
        tally.cycles = 10_000
        value, bound = self.read(health.EFFICIENCY)
        self.assertTrue(9499 <= value <= 9501 and bound <= 1, (value, bound))

    def test_throughput_within_two_percent(self):               # req: REC-05
        tally = self.pack.soc.tally
        tally.charged_wh, tally.discharged_wh = 60_000, 40_000
        tally.charged_ah, tally.discharged_ah, tally.cycles = 1200, 800, 100
        self.assertEqual(self.read(health.ENERGY), (100_000, 2000))
        self.assertEqual(self.read(health.CHARGE), (2000, 40))
        self.assertEqual(self.read(health.CYCLES), (100, 2))

    def test_harmful_events_are_counted_for_ever(self):         # req: REC-05
        seq = 0
        for item in (1, 3, 128, 0, 9, 16, 8, 12, 5, 7, 7):
            seq += 1
            self.counters.count(seq, ev.TRIP, item, 0, 0, 0, 0)
        for row, count in ((health.DEEP, 3), (health.HIGH, 1), (health.HEAT, 2),
                           (health.COLD, 2), (health.CURRENT, 3)):
            self.assertEqual(self.read(row), (count, 0), health.ROWS[row])

    def test_dates_are_what_the_maker_set(self):                # req: REC-05 PAR-01
        self.pack.params.set("made_day", 2500)
        self.assertEqual(self.read(health.MADE), (2500, 0))
        self.assertEqual(self.read(health.SERVICE), (None, None))

    def test_the_page_ends(self):                               # req: REC-05 COM-06
        out = bytearray(2)
        for register in (199, 260):
            self.assertFalse(self.registers.put(out, 0, register))
