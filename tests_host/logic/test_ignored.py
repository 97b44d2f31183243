"""Limits that are told and not kept: the seconds that a current is beyond them (PRO-30)."""

import unittest
from array import array

from bms.words import readings as rd
from bms.protect.ignored import IgnoredLimits
from bms.words.parameters import Parameters
from bms.words.rules import ITEMS

CHARGE_ROW, DISCHARGE_ROW = (
    sum(1 << i for i in range(len(ITEMS)) if ITEMS[i][0] == name)
    for name in ("PRO-30-charge", "PRO-30-discharge"))


class TestIgnored(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.watch = IgnoredLimits()
        self.watch.load(self.params)
        self.values = array("i", [0] * rd.COUNT)

    def run_for(self, seconds, current_ma, ccl_ma=50_000, dcl_ma=50_000, trips=0, gentle_ma=0):
        """*seconds* of it; the seconds beyond of charge and discharge."""
        self.values[rd.CHARGE_MA] = max(0, current_ma)
        self.values[rd.DISCHARGE_MA] = max(0, -current_ma)
        for _ in range(seconds * 10):
            self.watch.look(self.values, ccl_ma, dcl_ma, gentle_ma, trips, 100)
        return self.values[rd.CHARGE_IGNORED_S], self.values[rd.DISCHARGE_IGNORED_S]

    def test_ten_percent_and_3_a(self):                         # req: PRO-30
        for limit_ma, kept_ma in ((50_000, 58_000), (0, 3_000), (10_000, 14_000),
                                  (100_000, 113_000)):
            for sign, i in ((1, 0), (-1, 1)):
                self.setUp()
                self.assertEqual(self.run_for(200, sign * kept_ma, limit_ma, limit_ma), (0, 0))
                beyond = self.run_for(30, sign * (kept_ma + 1), limit_ma, limit_ma)
                self.assertEqual((beyond[i], beyond[1 - i]), (30, 0))

    def test_deep_cells_take_5_a_in_the_mean(self):             # req: PRO-29 PRO-30
        for protects in (1, 0):
            self.params.set_all({"ignored_protect": protects})
            for current_ma in (7_000, 10_000, 20_000, 60_000, 100_000):
                self.watch = IgnoredLimits()
                self.watch.load(self.params)
                self.values[rd.CHARGE_MA] = current_ma
                scans = 0
                while self.values[rd.CHARGE_IGNORED_S] < 120:   # ignored_trip_s
                    self.watch.look(self.values, 5_000, 50_000, 5_000, 0, 100)
                    scans += 1
                mean_ma = current_ma * scans // (scans + 600)       # oc_release_ms
                self.assertTrue(4_000 <= mean_ma <= 5_100, (current_ma, mean_ma))
                self.run_for(1, 0, trips=CHARGE_ROW)
                self.assertEqual(self.values[rd.CHARGE_IGNORED_S], 0)

    def test_deep_cells_and_a_charger_that_keeps_to_5_a(self):  # req: PRO-29 MEA-06
        self.assertEqual(self.run_for(3600, 5_900, ccl_ma=5_000, gentle_ma=5_000)[0], 0)
        self.assertEqual(self.run_for(60, 5_900, ccl_ma=0, gentle_ma=5_000)[0], 60 - 4)

    def test_an_inverter_has_2_to_4_seconds(self):              # req: PRO-30
        self.run_for(60, 50_000)
        self.assertEqual(self.run_for(2, 50_000, 0)[0], 0)
        self.assertTrue(26 <= self.run_for(28, 50_000, 0)[0] <= 28)

    def test_a_limit_that_falls_slowly_and_is_followed(self):   # req: PRO-30 DER-01
        self.run_for(60, 50_000)
        for ampere in range(50, -1, -1):
            self.assertEqual(self.run_for(1, 1000 * min(50, ampere + 5), 1000 * ampere)[0], 0)

    def test_pauses_take_off_what_they_last(self):              # req: PRO-30 PRO-28
        self.run_for(60, 0, 0)
        for _ in range(30):
            self.run_for(4, 60_000, 0)
            self.run_for(2, 0, 0)
        self.assertEqual(self.run_for(0, 0)[0], 60)

    def test_after_the_protection_it_counts_anew(self):         # req: PRO-30
        self.run_for(120, 90_000)
        self.assertEqual(self.run_for(1, 0, trips=CHARGE_ROW)[0], 0)
        self.run_for(120, -90_000)
        self.assertEqual(self.run_for(1, -90_000, trips=DISCHARGE_ROW)[1], 0)

    def test_switched_off_it_stays_an_alarm(self):              # req: PRO-30
        self.params.set("ignored_protect", 0)
        self.watch.load(self.params)
        self.assertEqual(self.run_for(3600, 90_000)[0], 119)

    def test_hours_of_it_are_still_small_numbers(self):         # req: SAF-04
        self.assertEqual(self.run_for(6000, 90_000)[0], 4000)


if __name__ == "__main__":
    unittest.main()
