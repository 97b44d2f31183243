"""Who may close a FET, when a command is sent, and when a FET that disobeys is a fault."""

import unittest

from bms.protect.fets import CLOSES, DISOBEYS, OBEYS, Fets

CHARGE, DISCHARGE, BOTH = 1, 2, 3
CHG, DSG = 0x01, 0x04               # bits of the AFE's FET status


def closed(bits):
    return (CHG if bits & CHARGE else 0) | (DSG if bits & DISCHARGE else 0)


class TestStart(unittest.TestCase):
    def test_off_from_the_start(self):                          # req: SAF-02
        fets = Fets()
        self.assertEqual((fets.wanted, fets.actual, fets.unsure), (0, 0, True))


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
        self.assertFalse(self.fets.read_back(closed(BOTH), 0, 100))

    def test_a_command_not_followed_is_sent_again(self):        # req: PWR-01
        self.fets.commanded(CHARGE)
        self.fets.read_back(closed(0), 0, 100)
        self.fets.read_back(closed(0), 0, 100)
        self.assertTrue(self.fets.needs_command(CHARGE))


class TestReadBack(unittest.TestCase):
    def setUp(self):
        self.fets = Fets()

    def faults(self, wanted, actual, afe_tripped=0, scans=20):
        """Scans until it is a fault; None if it never is."""
        self.fets = Fets()
        self.fets.commanded(wanted)
        for scan in range(1, scans + 1):
            if self.fets.read_back(closed(actual), afe_tripped, 100):
                return scan
        return None

    def test_actual_is_what_the_afe_reports(self):
        for bits in range(4):
            self.fets.read_back(closed(bits) | 0x70, 0, 100)
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
            self.assertTrue(self.fets.read_back(CHG, 0, 100))
        while self.fets.read_back(0, 0, 100):
            pass

    def test_a_fault_that_comes_back_lasts_longer_each_time(self):      # req: PWR-01 PRO-28
        lasted = []
        for calm in (0, 0, 0, 0, 0, 0, 0, 0, 6_010):
            for _ in range(calm):
                self.fets.commanded(BOTH)
                self.assertFalse(self.fets.read_back(closed(BOTH), 0, 100))
            self.fets.commanded(BOTH)           # what was commanded opens both
            while not self.fets.read_back(0, 0, 100):
                pass
            self.fets.commanded(0)
            scans = 1
            while self.fets.read_back(0, 0, 100):
                scans += 1
            lasted.append(scans)
        self.assertTrue(lasted[0] <= 20, lasted)
        self.assertTrue(all(b >= min(2 * a - 15, 590) for a, b in zip(lasted[:-1], lasted[1:-1])),
                        lasted)
        self.assertTrue(590 <= lasted[-2] <= 615, lasted)
        self.assertEqual(lasted[-1], lasted[0])

    def test_closed_against_the_command_for_two_scans(self):    # req: PRO-28
        for wanted, actual in ((0, CHARGE), (0, DISCHARGE), (0, BOTH), (CHARGE, BOTH),
                               (DISCHARGE, BOTH), (CHARGE, DISCHARGE)):
            self.assertEqual(self.faults(wanted, actual), 2, (wanted, actual))

    def closings(self, apart):
        """(closing, found) of a charge FET that closes itself for a scan, each *apart* scans."""
        self.fets = Fets()
        self.fets.commanded(DISCHARGE)
        for closing in range(1, 100):
            for scan in range(apart):
                found = self.fets.read_back(closed(DISCHARGE if scan else BOTH), 0, 100)
                if found:
                    return closing, found
        return None

    def test_more_than_5_closings_in_10_s(self):                # req: PRO-28
        self.assertEqual(self.closings(10), (6, CLOSES))
        self.assertEqual(self.closings(19), (6, CLOSES))
        self.assertIsNone(self.closings(20))

    def test_a_fet_that_toggles_is_found_sooner(self):          # req: PRO-28
        self.assertEqual(self.closings(2), (3, DISOBEYS))

    def test_a_fet_that_opens_late_has_not_closed(self):        # req: PRO-28
        self.fets.commanded(BOTH)
        self.fets.read_back(closed(BOTH), 0, 100)
        for _ in range(30):
            for wanted in (BOTH, 0):
                self.fets.commanded(wanted)
                self.assertEqual(self.fets.read_back(closed(BOTH), 0, 100), OBEYS)
                self.assertEqual(self.fets.read_back(closed(wanted), 0, 100), OBEYS)

    def test_the_afes_own_protections_hold_off_without_fault(self):     # req: PRO-23
        self.assertIsNone(self.faults(BOTH, 0, afe_tripped=0x08))
        self.assertIsNotNone(self.faults(0, CHARGE, afe_tripped=0x08))  # never close one

    def test_one_odd_scan_is_forgiven(self):                    # req: PWR-01
        self.fets.commanded(BOTH)
        for _ in range(20):
            self.assertFalse(self.fets.read_back(closed(0), 0, 100))
            for _ in range(2):
                self.assertFalse(self.fets.read_back(closed(BOTH), 0, 100))

    def test_a_fet_that_opens_in_every_second_scan(self):       # req: PWR-01 PRO-28
        self.fets.commanded(BOTH)
        for scan in range(1, 100):
            if self.fets.read_back(closed(0 if scan & 1 else BOTH), 0, 100):
                break
        self.assertTrue(10 < scan < 30, scan)


if __name__ == "__main__":
    unittest.main()
