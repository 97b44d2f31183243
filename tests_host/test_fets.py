"""Who may close a FET, when a command is sent, and when a FET that disobeys is a fault."""

import unittest

from bms.fets import Fets

CHARGE, DISCHARGE, BOTH = 1, 2, 3
CHG, DSG = 0x01, 0x04               # bits of the AFE's FET status


def closed(bits):
    return (CHG if bits & CHARGE else 0) | (DSG if bits & DISCHARGE else 0)


class TestDecide(unittest.TestCase):
    def test_off_from_the_start(self):                          # req: SAF-02
        fets = Fets()
        self.assertEqual((fets.wanted, fets.actual, fets.unsure), (0, 0, True))
        self.assertEqual(fets.decide(0, False), 0)

    def test_each_blocked_direction_is_off(self):               # req: PRO-20
        fets = Fets()
        for blocked, allowed in ((0, BOTH), (CHARGE, DISCHARGE), (DISCHARGE, CHARGE), (BOTH, 0)):
            self.assertEqual(fets.decide(blocked, True), allowed)
            self.assertEqual(fets.decide(blocked, False), 0)


class TestCommands(unittest.TestCase):
    def setUp(self):
        self.fets = Fets()

    def test_the_first_command_is_always_sent(self):            # req: PWR-01
        self.assertTrue(self.fets.needs_command(0))
        self.fets.commanded(0)
        self.assertFalse(self.fets.needs_command(0))
        self.assertTrue(self.fets.needs_command(BOTH))

    def test_a_restart_makes_everything_unsure(self):           # req: SAF-02
        self.fets.commanded(BOTH)
        self.fets.restarted()
        self.assertEqual(self.fets.wanted, 0)
        self.assertTrue(self.fets.needs_command(0))
        self.assertFalse(self.fets.read_back(closed(BOTH), 0, 0))

    def test_a_command_not_followed_is_sent_again(self):        # req: PWR-01
        self.fets.commanded(CHARGE)
        self.fets.read_back(closed(0), 0, 0)
        self.fets.read_back(closed(0), 0, 0)
        self.assertTrue(self.fets.needs_command(CHARGE))


class TestReadBack(unittest.TestCase):
    def setUp(self):
        self.fets = Fets()

    def faults(self, wanted, actual, current_ma=0, afe_tripped=0, scans=20):
        """Scans until it is a fault; None if it never is."""
        self.fets = Fets()
        self.fets.commanded(wanted)
        for scan in range(1, scans + 1):
            if self.fets.read_back(closed(actual), current_ma, afe_tripped):
                return scan
        return None

    def test_actual_is_what_the_afe_reports(self):
        for bits in range(4):
            self.fets.read_back(closed(bits) | 0x70, 0, 0)
            self.assertEqual(self.fets.actual, bits)

    def test_following_is_no_fault(self):                       # req: PWR-01
        for bits in range(4):
            self.assertIsNone(self.faults(bits, bits))

    def test_disobeying_is_a_fault_after_some_scans(self):      # req: PWR-01
        for wanted, actual in ((0, CHARGE), (0, DISCHARGE), (BOTH, 0), (CHARGE, DISCHARGE),
                               (BOTH, CHARGE), (DISCHARGE, BOTH)):
            scan = self.faults(wanted, actual)
            self.assertTrue(scan is not None and 2 <= scan <= 10, repr((wanted, actual, scan)))

    def test_a_fault_lasts_while_it_disobeys(self):             # req: PWR-01
        self.faults(0, CHARGE)
        for _ in range(5):
            self.fets.commanded(0)              # sent again
            self.assertTrue(self.fets.read_back(CHG, 0, 0))
        self.assertFalse(self.fets.read_back(0, 0, 0))

    def test_a_diode_being_spared_is_no_fault(self):            # req: PWR-01
        # AFE closes an open FET against which 500 mA and more flow
        self.assertIsNone(self.faults(DISCHARGE, BOTH, current_ma=-500))
        self.assertIsNone(self.faults(CHARGE, BOTH, current_ma=500))
        self.assertIsNotNone(self.faults(DISCHARGE, BOTH, current_ma=500))
        self.assertIsNotNone(self.faults(CHARGE, BOTH, current_ma=-500))
        self.assertIsNotNone(self.faults(DISCHARGE, BOTH, current_ma=0))

    def test_the_afes_own_protections_hold_off_without_fault(self):     # req: PRO-23
        self.assertIsNone(self.faults(BOTH, 0, afe_tripped=0x08))
        self.assertIsNotNone(self.faults(0, CHARGE, afe_tripped=0x08))  # never close one

    def test_one_odd_scan_is_forgiven(self):                    # req: PWR-01
        self.fets.commanded(BOTH)
        for _ in range(20):
            self.assertFalse(self.fets.read_back(closed(0), 0, 0))
            self.assertFalse(self.fets.read_back(closed(BOTH), 0, 0))


if __name__ == "__main__":
    unittest.main()
