"""Timers that count from the first sight, and those that leak."""

import unittest

from bms.words.timer import leaky, longer


class TestLonger(unittest.TestCase):
    def test_it_counts_from_the_first_sight(self):              # req: PRO-21
        ms = -1
        told = []
        for _ in range(4):
            ms = longer(ms, 100)
            told.append(ms)
        self.assertEqual(told, [0, 100, 200, 300])
        self.assertEqual(longer(1 << 28, 100), 1 << 28)         # an int that is not on the heap


class TestLeaky(unittest.TestCase):
    def run_through(self, *steps):
        ms = -1
        told = []
        for holds in steps:
            ms = leaky(ms, 100, holds)
            told.append(ms)
        return told

    def test_it_counts_as_the_other_does(self):                 # req: PRO-28
        self.assertEqual(self.run_through(1, 1, 1, 1), [0, 100, 200, 300])
        self.assertEqual(leaky(1 << 28, 100, True), 1 << 28)

    def test_it_leaks_at_half_its_pace(self):                   # req: PRO-28
        self.assertEqual(self.run_through(1, 1, 1, 0, 0, 1), [0, 100, 200, 150, 100, 200])

    def test_two_steps_without_forget_a_single_one(self):       # req: PRO-28 PRO-21
        self.assertEqual(self.run_through(1, 0, 0, 0, 1), [0, -2, -1, -1, 0])

    def test_every_second_step_is_enough(self):                 # req: PRO-28
        self.assertEqual(self.run_through(*(1, 0) * 10)[-2:], [498, 448])

    def test_less_than_a_third_of_the_time_is_not(self):        # req: PRO-28 PRO-21
        self.assertTrue(max(self.run_through(*(1, 0, 0) * 100)) <= 100)


if __name__ == "__main__":
    unittest.main()
