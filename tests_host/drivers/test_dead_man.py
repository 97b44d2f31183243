"""The dead man's switch: what its interrupt does, call by call."""

import unittest

from dead_man import DeadMan


class FakePin:
    level = 0

    def __call__(self, level=None):
        if level is None:
            return self.level
        self.level = level


class Case(unittest.TestCase):
    def setUp(self):
        self.fed = 0
        self.pin = FakePin()
        self.dead_man = DeadMan(self.feed, self.pin)

    def feed(self):
        self.fed += 1

    def calls(self, count):
        for _ in range(count):
            self.dead_man.interrupt()

    def test_without_a_sign_of_life_both_fets_are_off_after_800_ms(self):  # req: SAF-08
        self.dead_man.feed()
        self.pin(1)
        self.calls(7)
        self.assertEqual((self.pin.level, self.fed, self.dead_man.dropped), (1, 7, False))
        self.calls(1)
        self.assertEqual((self.pin.level, self.fed, self.dead_man.dropped), (0, 7, True))

    def test_then_nothing_helps_but_the_reset(self):                # req: SAF-08
        self.dead_man.feed()
        self.pin(1)
        self.calls(8)
        for _ in range(20):
            self.dead_man.feed()
            self.pin(1)
            self.calls(1)
            self.assertEqual((self.pin.level, self.fed), (0, 7))

    def test_with_signs_of_life_it_feeds_for_ever(self):            # req: SAF-01
        self.pin(1)
        for _ in range(200):
            self.dead_man.feed()
            self.calls(5)
        self.assertEqual((self.pin.level, self.fed), (1, 1000))

    def test_with_the_fets_off_it_waits_8_s(self):                  # req: SAF-08
        self.calls(80)
        self.assertEqual((self.fed, self.dead_man.dropped), (80, False))
        self.calls(50)
        self.assertEqual(self.fed, 80)                  # the watchdog resets

    def test_fets_that_close_before_the_first_sign_of_life(self):   # req: SAF-08
        self.calls(10)
        self.pin(1)
        self.calls(1)
        self.assertEqual((self.pin.level, self.dead_man.dropped), (0, True))

    def test_at_the_prompt_nothing_is_closed_for_10_minutes(self):  # req: SAF-10
        self.dead_man.hold_open()
        self.calls(6000)
        self.assertEqual((self.fed, self.dead_man.dropped), (6000, False))
        self.calls(50)
        self.assertEqual(self.fed, 6000)

    def test_at_the_prompt_a_person_who_closes_them_is_cut_off(self):   # req: SAF-10
        self.dead_man.hold_open()
        self.calls(100)
        self.pin(1)
        self.calls(30)
        self.assertEqual((self.pin.level, self.fed), (0, 100))


if __name__ == "__main__":
    unittest.main()
