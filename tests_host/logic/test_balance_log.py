"""Records of balancing: one at its begin, one at its end, none for what only interrupts it."""

import unittest

from bms.charge import balancing as bal
from bms.words import events as ev
from bms.words import readings as rd
from bms.charge.balance_log import BalanceLog
from bms.words.events import Events
from fakes import ON_MICROPYTHON, WRAP

if ON_MICROPYTHON:
    import micropython


class FakeBalancing:
    def __init__(self):
        self.mask = 0
        self.state = bal.IDLE
        self.seconds = [0] * 16


class Case(unittest.TestCase):
    def setUp(self):
        self.balancing = FakeBalancing()
        self.events = Events()
        self.log = BalanceLog(self.balancing, self.events)
        self.values = [0] * rd.COUNT
        self.values[rd.MAX_CELL_MV] = 3540
        self.values[rd.MAX_CELL] = 4
        self.values[rd.CELL_DIFF_MV] = 60
        self.now = WRAP - 1000

    def step(self, seconds=0.1):
        for _ in range(int(seconds * 10 + 0.5)):
            self.now = (self.now + 100) % WRAP
            self.log.step(self.now, self.values)

    def bleed(self, mask=0x210, seconds=10):
        self.balancing.mask = mask
        self.balancing.state = bal.BLEEDING
        self.step(seconds)
        for i in range(16):
            if mask >> i & 1:
                self.balancing.seconds[i] += seconds

    def rows(self):
        """(event, item, cell, value, limit) of all records."""
        log = self.events
        return [tuple(log.get(seq, column) for column in (2, 3, 4, 5, 6))
                for seq in range(1, log.newest + 1)]


class TestBalanceLog(Case):
    def test_nothing_is_recorded_of_nothing(self):              # req: BAL-03
        for state in range(len(bal.STATES)):
            self.balancing.state = state
            self.step(400)
        self.assertEqual(self.rows(), [])

    def test_begin_and_end(self):                               # req: BAL-03
        self.balancing.seconds[4] = 7       # of a time before
        self.bleed()
        self.assertEqual(self.rows(), [(ev.BALANCE, 0, 4, 0x210, 60)])
        self.bleed(0x20, 50)                # another choice is no new begin
        self.values[rd.CELL_DIFF_MV] = 6
        self.values[rd.MAX_CELL] = 11
        self.balancing.mask = 0
        self.balancing.state = bal.IDLE
        self.step()
        self.assertEqual(self.rows()[1:], [(ev.BALANCE_END, bal.IDLE, 11, 70, 6)])
        self.assertFalse(self.log.running)
        self.step(1000)
        self.assertEqual(len(self.rows()), 2)
        self.bleed()
        self.assertEqual(len(self.rows()), 3)

    def test_an_interruption_is_no_end_for_5_minutes(self):     # req: BAL-03
        for state in (bal.DISCHARGE, bal.PAUSE, bal.HOT, bal.NEAR, bal.PROTECTION, bal.FAULT):
            self.setUp()
            self.bleed()
            self.balancing.mask = 0
            self.balancing.state = state
            self.step(300)
            self.assertEqual(len(self.rows()), 1)
            self.bleed()
            self.assertEqual(len(self.rows()), 1)
            self.balancing.mask = 0
            self.balancing.state = state
            self.step(300)
            self.assertEqual(len(self.rows()), 1)
            self.step()
            self.assertEqual(self.rows()[1], (ev.BALANCE_END, state, 4, 40, 60))

    def test_these_end_it_at_once(self):                        # req: BAL-03
        for state in (bal.IDLE, bal.LOW, bal.DISABLED):
            self.setUp()
            self.bleed()
            self.balancing.mask = 0
            self.balancing.state = state
            self.step()
            self.assertEqual(self.rows()[1][:2], (ev.BALANCE_END, state))

    def test_without_readings_the_end_names_none(self):         # req: BAL-03
        self.bleed()
        self.balancing.mask = 0
        self.balancing.state = bal.FAULT
        self.values[rd.MAX_CELL_MV] = self.values[rd.CELL_DIFF_MV] = rd.NO_READING
        self.step(301)
        self.assertEqual(self.rows()[1], (ev.BALANCE_END, bal.FAULT, -1, 20, 0))

    @unittest.skipUnless(ON_MICROPYTHON, "no heap to lock")
    def test_no_allocation(self):                               # req: SAF-04
        log, values, balancing = self.log, self.values, self.balancing
        micropython.heap_lock()
        try:
            for _ in range(3):
                balancing.mask = 0x11
                log.step(5, values)
                balancing.mask = 0
                log.step(6, values)
        finally:
            micropython.heap_unlock()
        self.assertEqual(len(self.rows()), 6)


if __name__ == "__main__":
    unittest.main()
