"""Small loads that the integrator alone can tell from nothing."""

import unittest

from bms.words.parameters import Parameters
from bms.power.small_use import SmallUse


class TestSmallUse(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.small = SmallUse()
        self.small.load(self.params)

    def uses(self, ma, hours=3, offset_ma=0, step_s=10):
        """How often a use is seen at a steady current."""
        seen = uah = 0
        for _ in range(3600 * hours // step_s):
            uah += (ma + offset_ma) * 1000 * step_s
            if self.small.count(uah // 3600, offset_ma * 1000, 1000 * step_s):
                seen += 1
            uah %= 3600
        return seen

    def test_50_ma_over_an_hour_are_a_use(self):                # req: PWR-10
        for ma, seen in ((-49, 0), (-50, 3), (-60, 3), (50, 3), (40, 0), (0, 0), (-10_000, 540)):
            self.setUp()
            self.assertEqual(self.uses(ma), seen, ma)

    def test_the_offset_of_the_sensor_is_no_use(self):          # req: PWR-10
        for offset_ma in (-300, -100, 100, 300):
            self.setUp()
            self.assertEqual(self.uses(0, offset_ma=offset_ma), 0, offset_ma)
            self.assertEqual(self.uses(-60, offset_ma=offset_ma), 3, offset_ma)

    def test_shorter_times_to_sleep_make_a_shorter_window(self):    # req: PWR-10
        self.params.set("sleep_standby_s", 600)
        self.small.load(self.params)
        self.assertTrue(self.uses(-60, 1) >= 6)
        self.setUp()
        self.params.set("small_use_ma", 0)
        self.small.load(self.params)
        self.assertEqual(self.uses(-300), 0)

    def test_a_sleep_is_not_counted(self):                      # req: PWR-10
        self.assertFalse(self.small.count(-1_000_000, 0, 3_600_000))


if __name__ == "__main__":
    unittest.main()
