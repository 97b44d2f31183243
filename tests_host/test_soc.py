"""State of charge: integers, nothing lost in rounding, anchors, limits."""

import unittest

from bms.soc import StateOfCharge, guess_cpct

CAPACITY_MAH = 100_000


class TestSoc(unittest.TestCase):
    def setUp(self):
        self.soc = StateOfCharge(CAPACITY_MAH)

    def count(self, current_ma, seconds):
        for _ in range(10 * seconds):
            self.soc.count(current_ma, 100)

    def test_counts_in_both_directions(self):                   # req: SOC-01
        self.soc.count(100_000, 36)         # 1 mAh
        self.assertEqual(self.soc.remaining_mah, 50_001)
        self.soc.count(-100_000, 36)
        self.soc.count(-100_000, 36)
        self.assertEqual(self.soc.remaining_mah, 49_999)

    def test_one_percent_is_one_ampere_hour(self):              # req: SOC-01
        for _ in range(360):
            self.soc.count(-10_000, 1000)
        self.assertEqual((self.soc.remaining_mah, self.soc.cpct), (49_000, 4900))

    def test_a_small_current_is_not_lost(self):                 # req: SOC-01
        # 50 mA for an hour in steps of 100 ms are 50 mAh
        for _ in range(3600):
            for _ in range(1):
                self.soc.count(-50, 1000)
        self.assertEqual(self.soc.remaining_mah, 49_950)

    def test_rounding_has_no_direction(self):                   # req: SOC-01
        for _ in range(200):
            self.soc.count(12_345, 99)
            self.soc.count(-12_345, 99)
        self.assertEqual(self.soc.remaining_mah, 50_000)

    def test_full_is_reached_by_the_anchor_only(self):          # req: SOC-01
        self.soc.anchor_full()
        self.assertEqual((self.soc.cpct, self.soc.remaining_mah), (10_000, 100_000))
        self.setUp()
        for _ in range(2000):
            self.soc.count(400_000, 1000)
        self.assertTrue(9900 <= self.soc.cpct < 10_000, self.soc.cpct)

    def test_charging_on_at_full_stays_full(self):              # req: SOC-01
        self.soc.anchor_full()
        for _ in range(40):
            self.soc.count(100_000, 1000)
        self.assertEqual((self.soc.cpct, self.soc.remaining_mah), (10_000, 100_000))

    def test_empty_is_the_lower_end(self):                      # req: SOC-01
        self.soc.anchor_empty()
        self.assertEqual((self.soc.cpct, self.soc.remaining_mah), (0, 0))
        for _ in range(40):
            self.soc.count(-100_000, 1000)
        self.assertEqual(self.soc.remaining_mah, 0)
        for _ in range(36):
            self.soc.count(100_000, 1000)
        self.assertEqual(self.soc.remaining_mah, 1000)

    def test_an_anchor_forgets_the_fraction(self):
        self.soc.count(99_000, 36)          # 0.99 mAh
        self.soc.anchor_empty()
        self.soc.count(1000, 360)           # 0.1 mAh
        self.assertEqual(self.soc.remaining_mah, 0)

    def test_the_first_guess(self):                             # req: SOC-01
        for cell_mv, low, high in ((2000, 0, 0), (2500, 0, 0), (2950, 400, 600),
                                   (3300, 4500, 6000), (3400, 10_000, 10_000),
                                   (3600, 10_000, 10_000)):
            self.assertTrue(low <= guess_cpct(cell_mv) <= high, cell_mv)
        last = 0
        for cell_mv in range(2400, 3500):
            now = guess_cpct(cell_mv)
            self.assertTrue(now >= last, cell_mv)
            last = now

    def test_start_sets_it_once(self):                          # req: SOC-01
        self.assertFalse(self.soc.is_set)
        self.soc.start(3230)
        self.assertTrue(self.soc.is_set)
        self.assertEqual((self.soc.cpct, self.soc.remaining_mah), (2000, 20_000))

    def test_percent_and_ampere_hours_agree(self):              # req: SOC-01
        for cell_mv in range(2500, 3420, 30):
            self.soc.start(cell_mv)
            self.assertTrue(abs(self.soc.remaining_mah - 10 * self.soc.cpct) <= 10, cell_mv)


if __name__ == "__main__":
    unittest.main()
