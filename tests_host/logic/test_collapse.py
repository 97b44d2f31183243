"""A battery that falls by volts beside a sensor that shows nothing (PRO-08, MEA-07)."""

import unittest
from array import array

from bms.measure.collapse import Collapse
from bms.words import readings as rd

REST = 53_000


class TestCollapse(unittest.TestCase):
    def setUp(self):
        self.watch = Collapse()
        self.values = array("i", [0] * rd.COUNT)
        self.values[rd.MIN_TEMP_DC] = 250

    def scans(self, count, cells_mv=REST, ma=0, stack_mv=None, drop_mv=None, discharges=True):
        """*drop_mv* None: over the path as much as a current that makes the cells fall so."""
        known_mv = REST if cells_mv == rd.NO_READING else cells_mv
        if stack_mv is None:
            stack_mv = known_mv
        if drop_mv is None:
            drop_mv = (REST - known_mv) * 2 // 10
        self.values[rd.CELL_SUM_MV] = cells_mv
        self.values[rd.STACK_MV] = stack_mv
        self.values[rd.PACK_MV] = stack_mv - drop_mv
        self.values[rd.CURRENT_MA] = ma
        return [self.watch.step(self.values, discharges) for _ in range(count)]

    def after_rest(self, cells_mv, ma=0, **more):
        """Scans until it is told, None: it never is."""
        self.watch = Collapse()
        self.scans(20)
        told = self.scans(20, cells_mv, ma, **more)
        return told.index(True) + 1 if True in told else None

    def test_a_great_current_that_is_not_shown(self):           # req: PRO-08 MEA-07
        self.assertEqual(self.after_rest(51_500), 3)
        self.assertEqual(self.after_rest(25_000), 3)
        self.assertIsNone(self.after_rest(51_501))

    def test_what_the_shown_current_explains(self):             # req: MEA-06
        for ma, told in ((-10_000, 49_500), (-100_000, 31_500)):
            self.assertEqual(self.after_rest(told, ma), 3)
            self.assertIsNone(self.after_rest(told + 1, ma))
        self.assertEqual(self.after_rest(51_500, 30_000), 3)    # charging explains no fall

    def test_cells_and_stack_have_to_agree(self):               # req: MEA-07
        self.assertIsNone(self.after_rest(50_000, stack_mv=53_000))
        self.assertIsNone(self.after_rest(53_000, stack_mv=40_000))

    def test_the_terminals_have_to_fall_further(self):          # req: MEA-07 PRO-04
        for cells_mv, drop_mv in ((51_000, 275), (45_000, 650), (25_000, 1900)):
            self.assertEqual(self.after_rest(cells_mv, drop_mv=drop_mv), 3)
            self.assertIsNone(self.after_rest(cells_mv, drop_mv=drop_mv - 1))

    def test_terminals_that_are_read_late(self):                # req: MEA-07
        self.scans(20)
        self.assertEqual(self.scans(1, 45_000, drop_mv=-8_000), [False])
        self.assertTrue(True in self.scans(4, 45_000))

    def test_the_cold_makes_it_soft(self):                      # req: MEA-06
        for dc, least in ((100, 1_500), (99, 3_000), (-30, 3_000), (-31, 4_500),
                          (rd.NO_READING, 4_500)):
            self.values[rd.MIN_TEMP_DC] = dc
            self.assertEqual(self.after_rest(53_000 - least), 3, dc)
            self.assertIsNone(self.after_rest(53_001 - least), dc)

    def test_a_charger_that_goes_is_none(self):                 # req: MEA-06
        self.scans(20, 55_000, 50_000)
        self.assertFalse(True in self.scans(20, 53_000, 0))

    def test_two_odd_scans_are_none(self):                      # req: MEA-06
        self.scans(20)
        for _ in range(20):
            self.assertEqual(self.scans(2, 45_000) + self.scans(4), [False] * 6)

    def test_what_falls_slowly_is_none(self):                   # req: MEA-06
        self.scans(20)
        for mv in range(53_000, 40_000, -200):
            self.assertEqual(self.scans(1, mv), [False])

    def test_nothing_is_known_without_readings_or_an_open_path(self):   # req: MEA-05
        self.scans(20)
        self.scans(6, rd.NO_READING)
        self.assertFalse(True in self.scans(9, 45_000))
        self.scans(20)
        self.scans(1, discharges=False)
        self.assertFalse(True in self.scans(9, 45_000))

    def test_scans_without_readings_are_waited_for(self):       # req: MEA-07
        self.scans(20)
        self.scans(5, rd.NO_READING)
        self.assertEqual(self.scans(3, 45_000), [False, False, True])


if __name__ == "__main__":
    unittest.main()
