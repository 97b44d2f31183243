"""Starts that are counted, and what a restart nobody asked for must not forget (PRO-27)."""

import unittest

from bms.words.parameters import Parameters
from bms.power.power import ASLEEP, AWAKE, STORING, TRYING
from bms.protect.protection import Protection
from bms.words.rules import AT_ONCE, FAULT_STARTS, ITEMS
from bms.protect.starts import Starts
from bms.protect.trip_memory import TripMemory
from fakes import reason

NOW_S = 200_000_000
LATE = (1 << 30) - 5_000
MASK = (1 << 30) - 1


class Faults:
    def __init__(self):
        self.faults = 0
        self.said = None

    def set_fault(self, fault, present, value=0, limit=0):
        self.faults = self.faults | fault if present else self.faults & ~fault
        if present:
            self.said = (value, limit)


class Board:
    """Flash and a clock; each start has new objects."""

    def __init__(self):
        self.data = None
        self.writes = 0

    def start(self, now_s, now_ms=LATE):
        self.faults = Faults()
        self.starts = Starts()
        if self.data is not None:
            self.starts.from_bytes(self.data)
        self.starts.begin(now_s, now_ms, self.faults)
        self.keep()
        return self.faults.faults & FAULT_STARTS != 0

    def keep(self):
        if self.starts.dirty:
            self.data = self.starts.to_bytes()
            self.starts.saved()
            self.writes += 1


class TestStarts(unittest.TestCase):
    def test_more_than_3_starts_in_60_s_hold_the_fets(self):    # req: PRO-27
        board = Board()
        told = [board.start(NOW_S + at_s) for at_s in (0, 20, 40, 59)]
        self.assertEqual(told, [False, False, False, True])
        self.assertEqual(board.faults.said, (4, 3))

    def test_starts_a_minute_ago_do_not_count(self):            # req: PRO-27
        board = Board()
        told = [board.start(NOW_S + at_s) for at_s in (0, 20, 40, 60, 80, 100, 120)]
        self.assertEqual(told, [False] * 7)

    def test_without_a_clock_runs_of_less_than_a_minute_count(self):    # req: PRO-27
        board = Board()
        self.assertEqual([board.start(0) for _ in range(4)], [False] * 3 + [True])

    def test_the_hold_lasts_a_minute(self):                     # req: PRO-27
        board = Board()
        for _ in range(4):
            board.start(NOW_S)
        for after_ms, held in ((0, True), (59_999, True), (60_000, False)):
            board.starts.step((LATE + after_ms) & MASK, board.faults)
            self.assertEqual(board.faults.faults & FAULT_STARTS != 0, held, after_ms)

    def test_a_calm_minute_forgets_starts_without_a_clock(self):        # req: PRO-27
        board = Board()
        for _ in range(6):
            for _ in range(3):
                self.assertFalse(board.start(0))
            board.starts.step((LATE + 60_000) & MASK, board.faults)
            board.keep()

    def test_a_start_within_the_hold_holds_again(self):         # req: PRO-27
        board = Board()
        told = [board.start(NOW_S + 50 * i // 10) for i in range(10)]
        self.assertEqual(told, [False] * 3 + [True] * 7)

    def test_a_loop_of_starts_wears_no_flash(self):             # req: PRO-27
        for clock in (0, NOW_S):
            board = Board()
            for i in range(10_000):
                board.start(clock + 3 * i if clock else 0)
            self.assertTrue(board.writes <= 4, clock)

    def test_a_usual_start_is_one_write(self):
        board = Board()
        for i in range(5):
            board.start(NOW_S + 3600 * i)
            board.starts.step((LATE + 60_000) & MASK, board.faults)
            board.keep()
        self.assertEqual(board.writes, 5)

    def test_what_is_not_of_here_is_refused(self):
        for data in (b"\x01", b"\x01\x02\x03\x04\x05", bytes(16)):
            self.assertEqual(reason(ValueError, Starts().from_bytes, data),
                             "no times of starts")

    def test_no_delay_until_something_was_closed(self):         # req: PRO-27
        starts = Starts()
        for mode, wanted, told in ((AWAKE, 0, True), (AWAKE, 0, True), (AWAKE, 1, False),
                                   (AWAKE, 0, False), (STORING, 0, True), (ASLEEP, 0, True),
                                   (AWAKE, 0, True), (AWAKE, 2, False), (ASLEEP, 0, True),
                                   (TRYING, 0, True), (TRYING, 3, False), (TRYING, 0, False)):
            self.assertEqual(starts.look(mode >= STORING, wanted), AT_ONCE if told else 0)

    def test_each_fet_is_tried_by_itself(self):                 # req: PRO-27
        starts = Starts()
        for mode, wanted, untried in ((AWAKE, 0, 3), (AWAKE, 1, 2), (AWAKE, 0, 2), (AWAKE, 3, 0),
                                      (AWAKE, 0, 0), (ASLEEP, 0, 3), (AWAKE, 2, 1)):
            starts.look(mode >= STORING, wanted)
            self.assertEqual(starts.untried, untried)


def bit(item):
    for i in range(len(ITEMS)):
        if ITEMS[i][0] == item:
            return 1 << i
    raise AssertionError(item)


def number(item):
    return bit(item).bit_length() - 1 if hasattr(int, "bit_length") else [
        i for i in range(len(ITEMS)) if 1 << i == bit(item)][0]


class TestTripMemory(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.protection = Protection(self.params)
        self.memory = TripMemory(self.protection)

    def again(self):
        """The same after a restart."""
        data = self.memory.to_bytes()
        self.memory.saved()
        protection = Protection(self.params)
        TripMemory(protection).from_bytes(data)
        return protection

    def test_nothing_is_kept_of_a_good_pack(self):
        self.assertFalse(self.memory.dirty)
        self.assertEqual(self.again().trips, 0)

    def test_trips_locks_and_counts_survive_a_restart(self):    # req: PRO-27, PRO-22
        self.protection.recall(bit("PRO-06") | bit("PRO-12"), bit("PRO-06"))
        self.protection.recall_row(number("PRO-06"), 10)
        self.protection.recall_row(number("PRO-05"), 3)
        self.assertTrue(self.memory.dirty)
        after = self.again()
        self.assertFalse(self.memory.dirty)
        self.assertEqual(after.trips, bit("PRO-06") | bit("PRO-12"))
        self.assertEqual(after.locks, bit("PRO-06"))
        self.assertEqual(after.blocked, 2)
        self.assertEqual([after.in_row(number(name)) for name in ("PRO-05", "PRO-06", "PRO-07")],
                         [3, 10, 0])

    def test_a_count_alone_is_worth_a_write(self):              # req: PRO-27
        self.protection.recall_row(number("PRO-05"), 1)
        self.assertTrue(self.memory.dirty)
        self.memory.saved()
        self.assertFalse(self.memory.dirty)

    def test_a_reset_that_is_asked_for_ends_them(self):         # req: PRO-22
        self.protection.recall(bit("PRO-06"), bit("PRO-06"))
        self.protection.recall_row(number("PRO-06"), 10)
        self.memory.reset()
        self.assertTrue(self.memory.dirty)
        after = self.again()
        self.assertEqual((after.trips, after.locks, after.in_row(number("PRO-06"))), (0, 0, 0))

    def test_over_charge_is_kept_by_others(self):               # req: PWR-13
        self.protection.recall(bit("PRO-01"))
        self.assertFalse(self.memory.dirty)
        self.assertEqual(self.again().trips, 0)

    def test_another_version_and_a_shorter_table(self):
        self.assertEqual(reason(ValueError, self.memory.from_bytes, b"\x02" + bytes(30)),
                         "no trips of version 1")
        self.assertEqual(reason(ValueError, self.memory.from_bytes, b"\x01\x00"),
                         "no trips of version 1")
        self.memory.from_bytes(b"\x01" + bytes((0x20, 0, 0, 0, 0x20, 0, 0, 0)) + b"\x01" * 5)
        self.assertEqual(self.protection.trips, 0x20)


if __name__ == "__main__":
    unittest.main()
