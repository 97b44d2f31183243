"""The current against cells and terminals: scans of a pack that is made of a few numbers."""

import unittest
from array import array

from bms.words import readings as rd
from bms.words.parameters import Parameters
from bms.words.rules import FAULT_CELLS, FAULT_CURRENT, FAULT_SIGN
from bms.measure.witness import Witness
from fakes import NO_READING, Lcg

# hours of scans; unix runs the same integers, and the bench the chip
NOT_ON = ("rp2040", "rv32")
CHARGE, DISCHARGE, BOTH = 1, 2, 3


class Pack:
    """Cells, FETs and a sensor, each with a fault of its own; Measurements and Faults of it."""

    def __init__(self, cells=16):
        self.values = array("i", (0 for _ in range(rd.COUNT)))
        self.cells_mv = array("H", (0 for _ in range(16)))
        self.terminals_known = True
        self.level_changes = 0
        self.stack_sure = False
        self.doubts = 0
        self.dt_ms = 100
        self.faults = 0
        self.count = cells
        self.witness = Witness(cells)
        self.witness.load(Parameters())
        self.noise = Lcg(7)
        self.actual = BOTH
        self.true_ma = 0
        self.shown = lambda true_ma: true_ma
        self.counted = None             # None: as shown
        self.ocv_mv = 3300
        self.cell_uohm = 500
        self.path_uohm = 1750
        self.held = False               # cells are held by something else
        self.frozen = False             # ... and bit for bit
        self.still = False              # the sensor's reading has no noise
        self.soc_mv = 0
        self.scans = 0
        self.since_count = 0
        self.mos_dc = 250
        self.off_mv = 0                 # of the terminals' reading

    def has(self, fault):
        return self.faults & fault != 0

    def set_fault(self, fault, present, value=0, limit=0, cell=-1):
        self.faults = self.faults | fault if present else self.faults & ~fault

    def scan(self):
        noise = self.noise
        values = self.values
        uv = self.ocv_mv * 1000
        if not self.held:
            uv += self.true_ma * self.cell_uohm // 1000
        total = 0
        low, high = 99999, 0
        for i in range(self.count):
            spread = 0 if self.frozen else noise.between(-700, 700)
            mv = (uv + spread + 500) // 1000
            self.cells_mv[i] = mv
            total += mv
            low, high = min(low, mv), max(high, mv)
        values[rd.MAX_CELL_MV], values[rd.MIN_CELL_MV] = high, low
        values[rd.CELL_SUM_MV] = total
        stack = self.count * uv // 1000
        above = self.true_ma * self.path_uohm // 1_000_000
        if self.actual == DISCHARGE:
            above = -750 if self.true_ma < 0 else 0
        elif self.actual == CHARGE:
            above = 750 if self.true_ma > 0 else -20_000
        elif not self.actual:
            above = -30_000
        values[rd.STACK_MV] = (stack + noise.between(-10, 10) + 5) // 10 * 10
        values[rd.PACK_MV] = (stack + above + self.off_mv + noise.between(-10, 10) + 5) // 10 * 10
        shown = self.shown(self.true_ma)
        spread = 0 if self.still else noise.between(-12, 12)
        values[rd.CURRENT_MA] = (shown + spread + 5) // 10 * 10
        for slot in (rd.MIN_TEMP_DC, rd.MAX_TEMP_DC, rd.TEMP_DC, rd.TEMP_DC + 1, rd.TEMP_DC + 2,
                     rd.TEMP_DC + 3, rd.MOS_DC, rd.AMBIENT_DC, rd.DIE_DC):
            values[slot] = 250 + noise.below(2)
        values[rd.MOS_DC] += self.mos_dc - 250
        self.scans += 1
        self.witness.step(self, self.actual, False, self)
        self.since_count += 100
        if self.since_count >= (1000 if self.witness.wants_charge else 10_000):
            if self.witness.suspects:
                mean = shown if self.counted is None else self.counted
                self.witness.counted(mean * self.since_count // 3600, self.since_count)
            self.since_count = 0
        if self.faults:
            self.actual = 0
            self.true_ma = 0

    def run(self, seconds):
        for _ in range(int(seconds * 10)):
            self.scan()
        return self.faults

    def until_fault(self, most_s):
        for k in range(int(most_s * 10)):
            self.scan()
            if self.faults:
                return (k + 1) / 10
        return None


class TestNoise(unittest.TestCase):
    """Raw counts of the current: the noise of its converter."""

    def setUp(self):
        self.pack = Pack()
        self.raw = bytearray(7)

    def looks(self, *counts):
        for count in counts:
            self.raw[6] = count
            self.pack.witness.look_at_counts(self.raw, 2, self.pack)
        return self.pack.faults

    def test_counts_that_stand_still_are_a_dead_current(self):      # req: MEA-07
        self.assertEqual(self.looks(7, 9, 5, 5, 5, 5, 5, 5), 0)
        self.assertEqual(self.looks(5), FAULT_CURRENT)
        self.assertTrue(self.pack.witness.offset_suspected)

    def test_six_in_a_row_are_needed(self):                         # req: MEA-07 MEA-06
        self.assertEqual(self.looks(*(7, 5, 5, 5, 5, 5, 5) * 50), 0)

    def test_counts_that_never_moved_are_no_witness(self):          # req: MEA-07 MEA-06
        self.assertEqual(self.looks(*[5] * 1000), 0)

    def test_they_have_to_move_before_it_is_tried_again(self):      # req: MEA-07
        self.looks(7, 9, *[5] * 7)
        self.pack.actual = 0
        self.pack.run(120)
        self.assertEqual(self.pack.faults, FAULT_CURRENT)
        self.looks(6, 7)
        self.pack.run(61)
        self.assertEqual(self.pack.faults, 0)
        self.looks(*[5] * 7)
        self.assertEqual(self.pack.faults, FAULT_CURRENT)
        self.pack.witness.clear(self.pack)
        self.assertEqual(self.looks(*[5] * 5), 0)
        self.assertEqual(self.looks(5), FAULT_CURRENT)


class TestFaults(unittest.TestCase):
    def setUp(self):
        self.pack = Pack()
        self.pack.run(20)

    def check(self, shown, true_ma, most_s, fault):
        self.setUp()
        self.pack.shown = shown
        self.pack.true_ma = true_ma
        found = self.pack.until_fault(most_s)
        self.assertTrue(found is not None, repr((true_ma, most_s)))
        self.assertEqual(self.pack.faults, fault)

    def test_a_healthy_sensor_is_borne_out(self):               # req: MEA-07 MEA-06
        for true_ma in (-160_000, -30_000, -5000, -1500, 1500, 5000, 30_000, 100_000):
            self.setUp()
            self.pack.true_ma = true_ma
            self.assertEqual(self.pack.run(40), 0, true_ma)
            self.pack.true_ma = 0
            self.assertEqual(self.pack.run(20), 0, true_ma)

    def test_a_dead_one(self):                                  # req: MEA-07
        for true_ma, most_s in ((-160_000, 5), (-30_000, 5), (-5000, 60), (5000, 60),
                                (30_000, 5), (100_000, 5)):
            self.check(lambda ma: 0, true_ma, most_s, FAULT_CURRENT)

    def test_one_with_a_wrong_gain(self):                       # req: MEA-07
        for true_ma in (-100_000, -30_000, 30_000):
            self.check(lambda ma: ma * 3 // 10, true_ma, 5, FAULT_CURRENT)
            self.check(lambda ma: ma * 2, true_ma, 5, FAULT_CURRENT)

    def test_a_slight_gain_at_a_current_that_stays(self):       # req: MEA-07
        for percent, true_ma in ((70, -120_000), (70, 60_000), (200, -50_000)):
            for cell_uohm in (500, 800):
                self.setUp()
                self.pack.cell_uohm = cell_uohm
                self.pack.shown = lambda ma, percent=percent: ma * percent // 100
                self.pack.true_ma = true_ma
                self.assertTrue(self.pack.until_fault(30), (percent, true_ma, cell_uohm))
                self.assertEqual(self.pack.faults, FAULT_CURRENT)

    def test_a_gain_at_5_a_after_a_minute_of_rest(self):        # req: MEA-07
        for percent in (30, 200):
            for true_ma in (-5000, 5000):
                for cell_uohm in (500, 800):
                    self.setUp()
                    self.pack.run(40)
                    self.pack.cell_uohm = cell_uohm
                    self.pack.shown = lambda ma, percent=percent: ma * percent // 100
                    self.pack.true_ma = true_ma
                    self.assertTrue(self.pack.until_fault(60), (percent, true_ma, cell_uohm))
                    self.assertEqual(self.pack.faults, FAULT_CURRENT)

    def test_a_healthy_path_is_no_gain(self):                   # req: MEA-07 MEA-06
        # FETs and leads 17 % off, a gain of 1.5 %; new, old and empty cells; FETs hot or cold
        for path, warm_dc in ((83, 250), (83, -200), (120, 250), (117, 900)):
            for cell_uohm in (450, 900, 1600):
                for true_ma in (-90_000, -5000, 2500, 40_000):
                    self.setUp()
                    pack = self.pack
                    pack.mos_dc = warm_dc
                    pack.cell_uohm = cell_uohm
                    pack.path_uohm = 1750 * path * (1000 + (warm_dc - 250) * 2 // 5) // 100_000
                    pack.shown = lambda ma, part=path: ma * (985 if part > 100 else 1015) // 1000
                    pack.true_ma = true_ma
                    self.assertEqual(pack.run(60), 0, (path, warm_dc, cell_uohm, true_ma))

    def test_the_wrong_sign(self):                              # req: MEA-07
        for true_ma, most_s in ((-160_000, 5), (-30_000, 5), (-5000, 60), (5000, 60),
                                (30_000, 5), (100_000, 5)):
            self.check(lambda ma: -ma, true_ma, most_s, FAULT_SIGN)

    def test_the_way_back_is_the_same_for_sign_and_gain(self):  # req: MEA-07
        for shown, fault in ((lambda ma: -ma, FAULT_SIGN), (lambda ma: 0, FAULT_CURRENT)):
            self.setUp()
            pack = self.pack
            pack.shown = shown
            for _ in range(2):          # about 0 with both FETs open, for a minute
                pack.actual = BOTH
                pack.run(20)
                pack.true_ma = -30_000
                self.assertTrue(pack.until_fault(5))
                self.assertEqual(pack.run(55), fault)
                self.assertEqual(pack.run(10), 0)
            pack.actual = BOTH
            pack.run(20)
            pack.true_ma = -30_000
            self.assertTrue(pack.until_fault(5))
            self.assertEqual(pack.run(300), fault)
            pack.witness.clear(pack)
            self.assertEqual(pack.run(5), 0)

    def test_one_that_sticks(self):                             # req: MEA-07
        for stuck in (-60_000, -20_000, 5000, 50_000):
            most_s = 5 if abs(stuck) >= 20_000 else 60
            self.check(lambda ma, stuck=stuck: stuck, 0, most_s, FAULT_CURRENT)
        # stuck where it was: the change is what shows it
        for before, after in ((-30_000, 0), (-30_000, -90_000), (0, -50_000), (40_000, 0)):
            self.setUp()
            self.pack.true_ma = before
            self.pack.run(10)
            self.pack.shown = lambda ma, before=before: before
            self.pack.still = True
            self.pack.run(3)
            self.pack.true_ma = after
            found = self.pack.until_fault(10)
            self.assertTrue(found is not None, repr((before, after)))

    def test_one_that_shows_what_flowed_before(self):           # req: MEA-07
        for before in (-30_000, 40_000):
            self.setUp()
            self.pack.true_ma = before
            self.pack.run(10)
            self.pack.shown = lambda ma, before=before: before
            self.pack.true_ma = 0
            found = self.pack.until_fault(10)
            self.assertTrue(found is not None, before)

    def test_an_offset_of_more_than_3_a(self):                  # req: MEA-07
        for offset in (-10_000, -3500, 3500, 5000):
            self.check(lambda ma, offset=offset: ma + offset, 0, 60, FAULT_CURRENT)

    def test_one_of_an_ampere_is_left_alone(self):              # req: MEA-06
        for offset in (-900, 900):
            self.setUp()
            self.pack.shown = lambda ma, offset=offset: ma + offset
            for true_ma in (0, -20_000, 0, 20_000, 0, 5000, -5000):
                self.pack.true_ma = true_ma
                self.assertEqual(self.pack.run(15), 0, repr((offset, true_ma)))

    def test_the_sign_is_proven_by_the_first_ampere_or_two(self):   # req: MEA-07
        for true_ma in (-2000, 2000):
            self.setUp()
            self.assertFalse(self.pack.witness.proven)
            self.pack.true_ma = true_ma
            self.pack.run(5)
            self.assertTrue(self.pack.witness.proven)


class TestHealthy(unittest.TestCase):
    def test_resistance_of_any_cell(self):                      # req: MEA-06
        for uohm in (300, 500, 1000, 3000):
            pack = Pack()
            pack.cell_uohm = uohm
            pack.run(10)
            for true_ma in (-5000, 0, -50_000, 0, 30_000, 5000, -1000, 0):
                pack.true_ma = true_ma
                self.assertEqual(pack.run(8), 0, repr((uohm, true_ma)))

    def test_a_path_a_third_better_or_worse(self):              # req: MEA-06
        for uohm in (1250, 2400):
            pack = Pack()
            pack.path_uohm = uohm
            pack.run(10)
            for true_ma in (-5000, 0, -80_000, 0, 30_000, 5000, -1000, 0):
                pack.true_ma = true_ma
                self.assertEqual(pack.run(12), 0, repr((uohm, true_ma)))

    def test_cells_that_something_else_holds(self):             # req: MEA-07
        # the terminals bear the current out: it is not the sensor
        pack = Pack()
        pack.held = True
        pack.run(30)
        for true_ma in (-30_000, 0, 30_000, 0):
            pack.true_ma = true_ma
            self.assertEqual(pack.run(10), 0)

    def test_cells_that_stand_still_are_named(self):            # req: MEA-07
        pack = Pack()
        pack.run(20)
        pack.held = pack.frozen = True
        pack.run(10)
        pack.true_ma = -30_000
        found = pack.until_fault(10)
        self.assertTrue(found is not None and found <= 5)
        self.assertEqual(pack.faults, FAULT_CELLS)

    def test_a_common_step_of_all_voltages_is_no_current(self):     # req: MEA-07
        pack = Pack()
        pack.run(30)
        for mv in (3400, 3300, 3650, 2700):
            pack.ocv_mv = mv
            self.assertEqual(pack.run(45), 0)

    def test_noise_of_the_drop_bears_out_no_step_of_the_cells(self):    # req: MEA-07 MEA-06
        """16 cells held at 2.74 V and let go, again and again: as far as 100 A and more would move
        them, and the drop of 15 mV beside each step is that of 9 A."""
        pack = Pack()
        pack.run(20)
        for k in range(100):
            pack.ocv_mv = 2740 if k % 2 == 0 else 3310
            pack.run(1 + k % 5)
            for ma in (9_000, -9_000):
                pack.off_mv = ma * pack.path_uohm // 1_000_000
                self.assertEqual(pack.run(1.6), 0, k)
            pack.off_mv = 0

    def test_pulses_in_step_with_the_scans(self):               # req: MEA-06
        # the scans show 50 A, half of it flows
        pack = Pack()
        pack.run(20)
        pack.true_ma = -2500
        pack.shown = lambda ma: ma * 20
        pack.counted = -2500
        self.assertEqual(pack.run(60), 0)

    def test_noise_of_loads(self):                              # req: MEA-06
        pack = Pack()
        dice = Lcg(3)
        for _ in range(1500):
            if not dice.below(4):
                pack.true_ma = -dice.below(30_000) * 2
            pack.scan()
        self.assertEqual(pack.faults, 0)

    def test_scans_without_cells_are_left_out(self):            # req: MEA-07 MEA-03
        pack = Pack()
        pack.run(10)
        pack.values[rd.MAX_CELL_MV] = NO_READING
        pack.witness.step(pack, BOTH, False, pack)
        self.assertEqual(pack.run(10), 0)

    def test_an_overload_of_a_second_before_anything_is_known(self):    # req: MEA-06
        """It moved charge; the cells are not back where they were, and relax."""
        for pulse_ma in (-180_000, -90_000, 60_000):
            for scans in range(4, 21, 2):
                pack = Pack()
                pack.terminals_known = False
                pack.actual = 0
                pack.run(5)
                pack.actual = BOTH
                pack.true_ma = pulse_ma
                pack.run(scans / 10)
                pack.ocv_mv += pulse_ma * scans // 360_000     # at the steep end of the curve
                pack.true_ma = 0
                pack.actual = CHARGE if pulse_ma < 0 else DISCHARGE
                for k in range(60):
                    pack.run(0.5)
                    if k % 4 == 3 and pack.ocv_mv != 3300:
                        pack.ocv_mv -= pulse_ma // abs(pulse_ma)
                self.assertEqual(pack.faults, 0, (pulse_ma, scans))
            pack.terminals_known = True         # and a sensor that is dead is found as before
            pack.actual = BOTH
            pack.run(20)
            pack.shown = lambda ma: 0
            pack.true_ma = pulse_ma // 2
            self.assertTrue(pack.until_fault(5))

    def test_pulses_that_the_sensor_alone_does_not_see(self):   # req: MEA-06
        """In step with the scans: current always at its height, the others now and then."""
        for lasts in (5, 11, 17, 23, 31, 40):
            pack = Pack()
            pack.run(30)
            pack.shown = lambda ma: 75_000
            pack.counted = 68_000
            for k in range(400):
                low = k // lasts & 1
                pack.true_ma = 0 if low and k % lasts < 3 else 75_000
                above = pack.path_uohm
                if low:
                    pack.path_uohm = -200       # terminals in the pause, cells mostly not
                pack.scan()
                pack.path_uohm = above
            self.assertEqual(pack.faults, 0, lasts)

    def test_eight_cells(self):                                 # req: PRF-03 MEA-07
        pack = Pack(8)
        pack.run(20)
        pack.true_ma = -50_000
        self.assertEqual(pack.run(20), 0)
        pack.true_ma = 0
        pack.run(10)
        pack.shown = lambda ma: 0
        pack.true_ma = -50_000
        found = pack.until_fault(10)
        self.assertTrue(found is not None and found <= 5)


class TestWayBack(unittest.TestCase):
    def fault(self, pack):
        pack.shown = lambda ma: 0
        pack.actual = BOTH
        pack.true_ma = -30_000
        self.assertTrue(pack.until_fault(10) is not None)

    def test_a_minute_of_0_with_both_open_twice_an_hour(self):  # req: MEA-07
        pack = Pack()
        pack.run(20)
        for _ in range(2):
            self.fault(pack)
            self.assertEqual(pack.run(59), FAULT_CURRENT)
            self.assertEqual(pack.run(2), 0)
            pack.actual = BOTH
            pack.run(10)
        self.fault(pack)
        self.assertEqual(pack.run(300), FAULT_CURRENT)
        pack.witness.clear(pack)
        self.assertEqual(pack.faults, 0)

    def test_a_current_that_is_shown_still_is_none(self):       # req: MEA-07
        pack = Pack()
        pack.run(20)
        pack.shown = lambda ma: 5000
        self.assertTrue(pack.until_fault(60) is not None)
        self.assertEqual(pack.run(300), FAULT_CURRENT)
        pack.shown = lambda ma: 900
        self.assertEqual(pack.run(62), 0)


if __name__ == "__main__":
    unittest.main()
