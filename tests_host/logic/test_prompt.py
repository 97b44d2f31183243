"""On the way to the prompt: limits of 0 first, then both FETs open by a fault (SAF-10)."""

import unittest

from bms.words.rules import FAULT_PROMPT
from bms.host.prompt import PromptWish


class FakeAsked:
    limits = None

    def ask(self, cvl_mv, dvl_mv, ccl_ma, dcl_ma, seconds):
        self.limits = (ccl_ma, dcl_ma, seconds)


class FakePart:
    actual = 3
    values = [20_000] * 40


class FakePack:
    def __init__(self):
        self.asked = FakeAsked()
        self.fets = FakePart()
        self.measurements = FakePart()
        self.faults = []

    def set_fault(self, fault, present, value=0, limit=0):
        self.faults.append((fault, present))


class Case(unittest.TestCase):
    NOW = (1 << 30) - 2000          # the ticks wrap on the way

    def setUp(self):
        self.pack = FakePack()
        self.wish = PromptWish(self.pack)
        self.now = self.NOW

    def run_for(self, ms):
        for _ in range(ms // 100):
            self.wish.step(self.now)
            self.now = (self.now + 100) % (1 << 30)

    def test_nobody_asks(self):                                 # req: SAF-10
        self.run_for(20_000)
        self.assertEqual((self.pack.asked.limits, self.pack.faults, self.wish.ready),
                         (None, [], False))

    def test_limits_are_told_five_seconds_before_a_current_is_cut(self):    # req: SAF-10 COM-05
        self.wish.ask()
        self.run_for(5000)
        self.assertEqual(self.pack.asked.limits[:2], (0, 0))
        self.assertEqual(self.pack.faults, [])
        self.run_for(300)
        self.assertEqual(self.pack.faults, [(FAULT_PROMPT, True)])
        self.assertFalse(self.wish.ready)
        self.run_for(1200)
        self.assertTrue(self.wish.ready)

    def test_when_little_flows_the_inverter_is_told_all_the_same(self):     # req: SAF-10 COM-05
        self.pack.measurements.values = [-1999] * 40
        self.wish.ask()
        self.run_for(1500)
        self.assertEqual(self.pack.faults, [])
        self.run_for(300)
        self.assertEqual(self.pack.faults, [(FAULT_PROMPT, True)])

    def test_2_a_are_not_little(self):                          # req: SAF-10
        self.pack.measurements.values = [2000] * 40
        self.wish.ask()
        self.run_for(4000)
        self.assertEqual(self.pack.faults, [])

    def test_with_open_fets_nothing_is_waited_for(self):        # req: SAF-10
        self.pack.fets.actual = 0
        self.wish.ask()
        self.run_for(300)
        self.assertEqual(self.pack.faults, [(FAULT_PROMPT, True)])


if __name__ == "__main__":
    unittest.main()
