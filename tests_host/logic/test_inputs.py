"""Values that have to be steady, and how long a button was held."""

import unittest

from bms.panel.inputs import HeldButton, Steady
from fakes import WRAP


class TestSteady(unittest.TestCase):
    def setUp(self):
        self.steady = Steady()
        self.now = WRAP - 700

    def feed(self, value, ms, for_ms=1000):
        """Samples of *value* each 50 ms for *ms*; ms after which it was taken over, or None."""
        taken = None
        for at in range(0, ms, 50):
            if self.steady.sample(value, (self.now + at) % WRAP, for_ms):
                taken = at
        self.now = (self.now + ms) % WRAP
        return taken

    def test_the_first_counts_at_once(self):                    # req: DIP-01
        self.assertEqual(self.feed(5, 50), 0)
        self.assertEqual(self.steady.value, 5)

    def test_a_change_counts_after_its_time(self):              # req: DIP-01
        self.feed(0, 100)
        self.assertEqual(self.feed(3, 2000), 1000)
        self.assertEqual(self.steady.value, 3)

    def test_shorter_or_unsteady_does_not(self):                # req: DIP-01
        self.feed(0, 100)
        for value in (3, 0, 3, 7, 3):
            self.assertIsNone(self.feed(value, 1000))
        self.assertEqual(self.steady.value, 0)
        self.assertEqual(self.feed(3, 100), 0)


class TestHeldButton(unittest.TestCase):
    def setUp(self):
        self.button = HeldButton()
        self.now = WRAP - 2000

    def feed(self, *levels):
        """Samples each 50 ms; the presses that ended."""
        ended = []
        for level in levels:
            ms = self.button.sample(level, self.now)
            if ms:
                ended.append(ms)
            self.now = (self.now + 50) % WRAP
        return ended

    def test_a_press_lasts_from_first_sight_to_first_sight(self):       # req: RST-01
        for count in (2, 10, 58, 60, 62, 118, 122, 200):
            self.assertEqual(self.feed(*(True,) * count, False, False), [50 * count])

    def test_a_single_sample_is_a_bounce(self):                 # req: RST-01
        self.assertEqual(self.feed(False, True, False, False, True, False), [])
        self.assertEqual(self.feed(True, True, False, True, True, True, False, False), [300])

    def test_nothing_before_the_release(self):                  # req: RST-01
        self.assertEqual(self.feed(*(True,) * 100), [])

    def test_a_button_that_hangs_is_no_short_press(self):       # req: RST-01
        self.feed(True, True)
        for _ in range(9):                                      # more than the ticks hold
            self.now = (self.now + WRAP // 8) % WRAP
            self.feed(True)
        self.assertTrue(self.feed(True, False, False)[0] > 10_000)
        self.assertEqual(self.feed(*(True,) * 62, False, False), [3100])


if __name__ == "__main__":
    unittest.main()
