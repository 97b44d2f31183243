"""A current whose sign the terminals contradict."""

import unittest

from bms.measure.pulses import Pulses
from bms.measure.sign_watch import TerminalWatch

CHARGER_MV = 500


class TestTerminals(unittest.TestCase):
    def setUp(self):
        self.watch = TerminalWatch()
        self.pulses = Pulses()

    def weigh(self, current_ma, above_mv, actual=1):
        return self.watch.weigh(current_ma, above_mv, CHARGER_MV, actual, self.pulses)

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

    def test_pulses_beside_closed_fets_are_no_contradiction(self):      # req: MEA-06 MEA-03
        # 60 A for 20 of 190 ms, which is three loops of the AFE: 0.6 V at 10 A the other way
        for above_mv, wrong in ((-609, False), (-3030, False), (-3031, True)):
            self.setUp()
            self.assertEqual([self.weigh(10_000, above_mv, 3) for _ in range(3)][2], wrong)

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


if __name__ == "__main__":
    unittest.main()
