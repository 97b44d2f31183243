"""Pre-discharge: what is refused, and when it is tried again (PWR-03)."""

import unittest
from array import array

from bms.words import readings as rd
from bms.protect.predischarge import Predischarge
from bms.words.rules import mask_of

ROW = mask_of("PWR-03")
STACK = 52_000


class TestPredischarge(unittest.TestCase):
    def setUp(self):
        self.watch = Predischarge()
        self.values = array("i", [0] * rd.COUNT)
        self.values[rd.STACK_MV] = STACK

    def scan(self, pack_mv, active=True, trips=0, shorted=0):
        self.values[rd.PACK_MV] = pack_mv
        self.values[rd.SHORTED] = shorted
        self.watch.look(self.values, active, trips)
        return self.values[rd.PRECHARGE]

    def begin(self, *terminals_mv, before_mv=0):
        """Readings of a pre-discharge, scan by scan."""
        self.scan(before_mv, active=False)
        return [self.scan(pack_mv) for pack_mv in terminals_mv]

    def test_a_short_circuit_is_refused_at_the_first_scan(self):        # req: PWR-03
        for mv in (0, 20, 999):
            self.assertEqual(self.begin(mv), [1], mv)

    def test_what_rises_is_not(self):                           # req: PWR-03
        for terminals_mv in ((19_000, 36_000, 44_000), (1_500, 8_000, 20_000), (52_000, 52_000),
                             (4_000, 4_000, 4_000), (1_000, 1_000)):    # the last two: a load
            self.assertEqual(sum(self.begin(*terminals_mv)), 0, terminals_mv)

    def test_a_capacitor_that_is_partly_charged(self):          # req: PWR-03
        self.assertEqual(self.begin(32_000, 41_000, 47_000, before_mv=20_000), [0, 0, 0])

    def test_a_foreign_voltage_below_the_stack(self):           # req: PWR-03 COM-09
        self.assertEqual(self.begin(46_000, before_mv=46_000), [1])
        self.assertEqual(self.begin(46_900, before_mv=46_000), [1])
        self.setUp()
        self.assertEqual(self.begin(21_000, before_mv=48_000), [0])     # a load: it fell
        self.setUp()
        self.setUp()
        self.assertEqual(self.begin(49_000, 49_000, before_mv=49_000), [0, 0])      # 3 V

    def test_what_lies_in_between_is_probed_once(self):         # req: PWR-03
        self.begin(15_000)
        self.assertTrue(self.watch.pauses)
        self.scan(0, active=False)              # a load: it pulls the terminals down
        self.assertFalse(self.watch.pauses)
        self.assertEqual([self.scan(15_000) for _ in range(2)], [0, 0])
        self.assertFalse(self.watch.pauses)

    def test_a_battery_behind_its_diode_is_refused(self):       # req: PWR-03 COM-09
        self.assertEqual(self.begin(43_600), [0])
        self.assertTrue(self.watch.pauses)
        self.assertEqual([self.scan(40_800, active=False), self.scan(43_700)], [0, 1])
        self.setUp()
        self.begin(30_000)              # a large capacitor goes on rising
        self.assertEqual([self.scan(29_900, active=False), self.scan(42_000)], [0, 0])

    def test_just_after_the_discharge_fet_was_closed_nothing_is_probed(self):   # req: PAR-04
        self.values[rd.PACK_MV] = STACK
        self.watch.look(self.values, False, 0, closed=True)
        self.assertEqual(self.scan(6_000), 0)       # 52 V were its own
        self.assertFalse(self.watch.pauses)

    def test_terminals_above_the_stack(self):                   # req: PWR-03
        self.assertEqual(self.begin(56_000, 56_000, before_mv=56_000), [0, 0])

    def test_after_a_short_circuit_the_load_is_to_be_removed(self):     # req: PWR-03
        self.begin(0)
        self.assertEqual([self.scan(0, False, ROW) for _ in range(20)], [0] * 20)
        self.assertEqual(self.scan(4_500, False, ROW, shorted=-1), -1)

    def test_after_a_foreign_voltage_it_is_to_agree_or_to_go(self):     # req: PWR-03
        for mv, released in ((46_000, False), (48_999, False), (49_000, True), (4_999, True),
                             (5_000, False)):
            self.setUp()
            self.begin(46_000, before_mv=46_000)
            told = [self.scan(mv, False, ROW, shorted=-1) for _ in range(6)]
            self.assertEqual(told, [0] * 4 + [-1] * 2 if released else [0] * 6, mv)


if __name__ == "__main__":
    unittest.main()
