"""Scans become readings with a number and an age; failed scans change nothing."""

import unittest

from bms import readings as rd
from bms.measurements import Measurements
from bms.parameters import Parameters
from fakes import LATE, NO_READING, WRAP, put16, scan_regs, set_cells


class TestCase(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.m = Measurements(self.params, 16, 100)


class TestTake(TestCase):
    def test_nothing_is_known_before_the_first_scan(self):      # req: MEA-05
        self.assertEqual((self.m.seq, self.m.is_usable(0), self.m.is_usable(LATE)),
                         (0, False, False))
        self.assertTrue(self.m.age_ms(5) > 1_000_000)
        self.assertEqual(set(self.m.values), {NO_READING})

    def test_a_scan_is_numbered_and_timed(self):                # req: MEA-05
        self.m.take(scan_regs(), 1000)
        self.assertEqual((self.m.seq, self.m.dt_ms), (1, 0))
        self.m.take(scan_regs(), 1103)
        self.assertEqual((self.m.seq, self.m.dt_ms), (2, 103))
        self.assertEqual(self.m.age_ms(1110), 7)

    def test_usable_for_three_periods(self):                    # req: MEA-05
        self.m.take(scan_regs(), 1000)
        for now, usable in ((1000, True), (1299, True), (1300, True), (1301, False),
                            (1_000_000, False)):
            self.assertEqual(self.m.is_usable(now), usable, now)

    def test_times_cross_the_wrap(self):                        # req: MEA-05
        self.m.take(scan_regs(), WRAP - 50)
        self.m.take(scan_regs(), 50)
        self.assertEqual((self.m.dt_ms, self.m.age_ms(60)), (100, 10))
        self.assertTrue(self.m.is_usable(350))
        self.assertFalse(self.m.is_usable(351))

    def test_values_of_every_kind(self):                        # req: MEA-01
        regs = scan_regs(cell_mv=3312, current_ma=-20_500, temp_dc=231)
        regs[0x03], regs[0x05], regs[0x07] = 0x08, 0x10, 0x02
        regs[0x12], regs[0x13] = 0x08, 0x02
        regs[0x7F] = 0x05
        self.m.take(regs, 0)
        self.assertEqual(list(self.m.cells_mv), [3312] * 16)
        self.assertEqual(self.m.values[rd.CURRENT_MA], -20_500)
        self.assertEqual(self.m.values[rd.TEMP_DC + 2], 231)
        self.assertTrue(abs(self.m.values[rd.AMBIENT_DC] - 250) <= 1)
        self.assertEqual((self.m.safety, self.m.battery, self.m.fets), (0x021008, 0x0208, 0x05))
        self.assertEqual(self.m.doubts, 0)

    def test_a_broken_ambient_sensor_is_doubted(self):          # req: MEA-03
        for counts, doubt in ((19_071, 0), (19_072, rd.NTC_OPEN), (0x7FFF, rd.NTC_OPEN),
                              (295, 0), (294, rd.NTC_SHORT), (0, rd.NTC_SHORT)):
            regs = scan_regs()
            put16(regs, 0x6E, counts)
            self.m.take(regs, 0)
            self.assertEqual(self.m.doubts, doubt, counts)
            self.assertEqual(self.m.values[rd.AMBIENT_DC] == NO_READING, doubt != 0, counts)

    def test_plausibility_limits_come_from_the_parameters(self):    # req: MEA-03
        regs = scan_regs(stack_mv=52_400)
        self.m.take(regs, 0)
        self.assertEqual(self.m.doubts, 0)
        self.params.set("cell_sum_error_mv", 399)
        self.m.take(regs, 100)
        self.assertEqual(self.m.doubts, rd.SUM_IMPLAUSIBLE)
        self.params.set("cell_sum_error_mv", 400)
        self.params.set("cell_high_limit_mv", 4300)
        regs = scan_regs()
        set_cells(regs, 4300)
        self.m.take(regs, 200)
        self.assertEqual(self.m.doubts, rd.CELL_IMPLAUSIBLE)


class TestFail(TestCase):
    def test_failed_scans_are_counted_and_change_nothing(self):     # req: MEA-02
        self.m.take(scan_regs(cell_mv=3312), 1000)
        values = list(self.m.values)
        self.m.fail()
        self.m.fail()
        self.assertEqual((self.m.failed_row, self.m.failed_all, self.m.seq), (2, 2, 1))
        self.assertEqual(list(self.m.values), values)
        self.m.take(scan_regs(), 1300)
        self.assertEqual((self.m.failed_row, self.m.failed_all, self.m.seq), (0, 2, 2))

    def test_the_time_of_failed_scans_is_not_lost(self):        # req: PRO-21
        self.m.take(scan_regs(), 1000)
        self.m.fail()
        self.m.take(scan_regs(), 1200)
        self.assertEqual(self.m.dt_ms, 200)


if __name__ == "__main__":
    unittest.main()
