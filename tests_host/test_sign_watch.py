"""A current whose sign the terminals or the cells contradict."""

import unittest

from bms.readings import MAX_CELL_MV, MIN_CELL_MV, NO_READING
from bms.sign_watch import CellWatch, TerminalWatch
from bms.states import CHARGING, DISCHARGING, STANDBY

CHARGER_MV = 500


class TestTerminals(unittest.TestCase):
    def setUp(self):
        self.watch = TerminalWatch()

    def weigh(self, current_ma, above_mv, actual=3):
        return self.watch.weigh(current_ma, above_mv, CHARGER_MV, actual)

    def test_the_third_contradiction_is_a_fault(self):          # req: MEA-03
        for current_ma, above_mv in ((401, -501), (-401, 501)):
            self.setUp()
            self.assertEqual([self.weigh(current_ma, above_mv) for _ in range(4)],
                             [False, False, True, True])

    def test_neither_at_the_limit_of_the_current_nor_of_the_voltage(self):  # req: MEA-03
        for current_ma, above_mv in ((400, -501), (-400, 501), (401, -500), (-401, 500),
                                     (401, 501), (-401, -501)):
            self.setUp()
            self.assertEqual([self.weigh(current_ma, above_mv) for _ in range(9)], [False] * 9,
                             (current_ma, above_mv))

    def test_a_current_may_explain_3_mv_an_ampere(self):        # req: MEA-03
        for above_mv, wrong in ((-560, False), (-561, True)):
            self.setUp()
            self.assertEqual([self.weigh(20_000, above_mv) for _ in range(3)][2], wrong)

    def test_open_fets_contradict_nothing(self):                # req: MEA-03
        self.assertEqual([self.weigh(5000, -900, 0) for _ in range(9)], [False] * 9)

    def test_a_current_is_no_evidence_for_3_scans(self):        # req: MEA-03
        self.weigh(0, -900)
        left = [(self.watch.no_charge, self.watch.no_discharge)]
        self.assertTrue(self.watch.weighing)
        for _ in range(3):
            self.weigh(0, 0)
            left.append((self.watch.no_charge, self.watch.no_discharge))
        self.assertEqual(left, [(3, 0), (2, 0), (1, 0), (0, 0)])
        self.assertFalse(self.watch.weighing)
        self.weigh(0, 900)
        self.assertEqual((self.watch.no_charge, self.watch.no_discharge), (0, 3))

    def test_each_scan_without_takes_a_fifth_back(self):        # req: MEA-03
        self.weigh(5000, -900)
        self.weigh(5000, -900)
        for _ in range(5):
            self.assertFalse(self.weigh(0, 0))
        self.assertFalse(self.weigh(5000, -900))
        self.assertTrue(self.weigh(5000, -900))


class TestCells(unittest.TestCase):
    def setUp(self):
        self.watch = CellWatch()
        self.watch.load({"cell_ov_trip_mv": 3650, "cell_uv_trip_mv": 2500})
        self.values = [0] * 32

    def steps(self, direction, low_mv, high_mv, count=32):
        self.values[MIN_CELL_MV] = low_mv
        self.values[MAX_CELL_MV] = high_mv
        seen = [self.watch.contradicts(self.values, direction, 100) for _ in range(count)]
        return seen.index(True) if True in seen else -1

    def test_a_cell_gets_fuller_by_a_discharge(self):           # req: MEA-03
        for direction, low_mv, high_mv, at in (
                (DISCHARGING, 3300, 3690, 30), (DISCHARGING, 3300, 3689, -1),
                (CHARGING, 2300, 3300, 30), (CHARGING, 2301, 3300, -1),
                (CHARGING, 3300, 3900, -1), (DISCHARGING, 2000, 3300, -1),
                (STANDBY, 2000, 3900, -1), (CHARGING, NO_READING, NO_READING, -1)):
            self.setUp()
            self.assertEqual(self.steps(direction, low_mv, high_mv), at,
                             (direction, low_mv, high_mv))

    def test_it_is_told_300_ms_before(self):                    # req: COM-05
        for count, soon in ((27, False), (28, True), (30, True)):
            self.setUp()
            self.assertEqual(self.steps(DISCHARGING, 3300, 3700, count), -1)
            self.assertEqual(self.watch.soon, soon, count)
        self.steps(STANDBY, 3300, 3700, 1)
        self.assertFalse(self.watch.soon)

    def test_it_begins_anew_without(self):                      # req: MEA-03
        self.assertEqual(self.steps(DISCHARGING, 3300, 3700, 30), -1)
        self.assertEqual(self.steps(STANDBY, 3300, 3700, 1), -1)
        self.assertEqual(self.steps(DISCHARGING, 3300, 3700, 32), 30)


if __name__ == "__main__":
    unittest.main()
