"""Which task is due, on ticks that wrap at 2**30."""

import unittest
from array import array

import due
from fakes import EXPECTED_KIND, WRAP, Lcg, twins

TWINS = twins("due")
HALF = 1 << 29
ROW = TWINS[0].ROW


class TestDue(unittest.TestCase):
    def pick(self, entries, now):
        results = [twin.pick_due(array("i", entries), len(entries), now) for twin in TWINS]
        self.assertEqual(results, results[:1] * len(TWINS), repr((entries, now)))
        return results[0]

    def next(self, entries, now):
        """When the earliest is due, none being due yet."""
        picked = self.pick(entries, now)
        self.assertTrue(picked < 0, repr((entries, now)))
        return (now - picked) % WRAP

    def test_selector_took_the_expected_kind(self):             # req: SAF-04
        self.assertEqual(due.KIND, EXPECTED_KIND)

    def test_a_task_is_due_at_its_time_and_not_one_before(self):
        for now, picked in ((98, -2), (99, -1), (100, 0), (101, 0)):
            self.assertEqual(self.pick([100], now), picked, now)

    def test_the_first_in_the_table_goes_first(self):
        self.assertEqual(self.pick([100, 50, 60], 99), 1)
        self.assertEqual(self.pick([100, 50, 60], 100), 0)

    def test_the_wrap_is_crossed(self):
        late = WRAP - 10
        self.assertEqual(self.pick([5], late), -15)
        self.assertEqual(self.pick([5], 4), -1)
        self.assertEqual(self.pick([5], 5), 0)
        self.assertEqual(self.pick([late], 5), 0)               # 15 ms ago
        self.assertEqual(self.next([20, 5], late), 5)
        self.assertEqual(self.next([20, WRAP - 1], late), WRAP - 1)

    def test_the_earliest_is_next(self):
        self.assertEqual(self.next([300, 200, 400], 100), 200)
        self.assertEqual(self.next([300, 101, 400], 100), 101)
        self.assertEqual(self.next([300, 400], 100), 300)

    def test_edges_of_the_range(self):
        for entry, now, picked in ((0, 0, 0), (0, HALF - 1, 0), (0, HALF, -HALF),
                                   (WRAP - 1, 0, 0), (0, WRAP - 1, -1), (HALF, 0, -HALF),
                                   (HALF + 1, 0, 0), (HALF - 1, 0, 1 - HALF)):
            self.assertEqual(self.pick([entry], now), picked, repr((entry, now)))

    def test_overdue_is_later_than_the_deadline_also_across_the_wrap(self):     # req: SAF-01
        for entry, now, late in ((100, 99, False), (100, 100, False), (100, 150, False),
                                 (100, 151, True), (WRAP - 10, 40, False), (WRAP - 10, 41, True),
                                 (0, HALF - 1, True), (0, HALF, False), (5, 4, False)):
            table = array("i", [0] * (2 * ROW))
            table[TWINS[0].DEADLINE_MS] = HALF - 1
            table[ROW + TWINS[0].DEADLINE_MS] = 50
            entries = array("i", [now, entry])
            results = [twin.first_overdue(entries, table, 2, now) for twin in TWINS]
            self.assertEqual(results, [1 if late else -1] * len(TWINS), repr((entry, now)))

    def test_random_tables_agree_with_plain_integers(self):
        rng = Lcg(2)
        for _ in range(60):
            now = rng.between(0, WRAP - 1)
            ahead = [rng.between(-1000, 5000) for _ in range(5)]
            entries = [(now + a) % WRAP for a in ahead]
            wanted = -min(ahead)
            for i in range(4, -1, -1):
                if ahead[i] <= 0:
                    wanted = i
            self.assertEqual(self.pick(entries, now), wanted, repr((entries, now)))


class TestAccount(unittest.TestCase):
    """Books of one step: period 100 ms, deadline 80 ms, due at *due*."""

    def account(self, due, now, took_us, failed=0, period=100, deadline=80, before=None):
        """(time after, next due, row of the table), of every twin the same."""
        results = []
        for twin in TWINS:
            times = array("i", [7, due])
            table = array("i", [0] * (2 * ROW))
            table[ROW] = period
            table[ROW + 1] = deadline
            for i in range(2, 7):
                table[ROW + i] = before[i - 2] if before else 0
            after = twin.account(times, table, 1, now, took_us, failed)
            self.assertEqual(times[0], 7)
            results.append((after, times[1], list(table[ROW + 2:])))
        self.assertEqual(results, results[:1] * len(TWINS), repr((due, now, took_us)))
        return results[0]

    def test_a_step_in_time(self):                              # req: SAF-01
        self.assertEqual(self.account(1000, 1000, 12_345),
                         (1012, 1100, [12_345, 0, 0, 1, 0]))
        self.assertEqual(self.account(1000, 1050, 30_000),
                         (1080, 1100, [30_000, 0, 0, 1, 0]))

    def test_a_step_that_ends_late(self):                       # req: SAF-01
        self.assertEqual(self.account(1000, 1050, 30_001),
                         (1080, 1100, [30_001, 1, 0, 0, 1]))

    def test_the_longest_step_and_the_streak_are_kept(self):    # req: SAF-03
        self.assertEqual(self.account(0, 0, 500, 1, before=(700, 3, 4, 0, 0))[2],
                         [700, 3, 5, 1, 0])
        self.assertEqual(self.account(0, 0, 900, 0, before=(700, 3, 4, 0, 0))[2],
                         [900, 3, 0, 1, 0])

    def test_the_time_after_is_in_whole_milliseconds(self):
        for took_us, after in ((999, 1000), (1000, 1001), (999_999, 1999), (1_000_000, 2000),
                               (500_000_000, 501_000)):
            self.assertEqual(self.account(1000, 1000, took_us)[0], after, took_us)

    def test_over_the_wrap(self):
        self.assertEqual(self.account(WRAP - 40, WRAP - 10, 20_000)[:2], (10, 60))
        self.assertEqual(self.account(WRAP - 40, 10, 1000)[:2], (11, 60))
        self.assertEqual(self.account(WRAP - 250, 10, 1000)[:2], (11, 50))

    def test_however_late_the_next_step_is_ahead(self):         # req: SAF-01
        for late in (99, 100, 101, 1000, 60_000, 2_147_000, 2_148_000, 4_300_000, 300_000_000,
                     HALF - 200):
            for start in (0, 12_345, WRAP - 1000):
                now = (start + late) % WRAP
                after, following, row = self.account(start, now, 1000)
                where = repr((late, start, following))
                self.assertEqual((row[1], row[4]), (1, 1), where)
                ahead = (following - now) % WRAP
                self.assertTrue(0 < ahead <= 100, where)
                self.assertEqual((following - start) % WRAP % 100, 0, where)

    def test_twins_agree_on_random_steps(self):
        rng = Lcg(14)
        for _ in range(60):
            due = rng.between(0, WRAP - 1)
            self.account(due, (due + rng.between(0, 3000)) % WRAP, rng.between(0, 500_000),
                         rng.below(2), 5 + rng.below(2000), 1 + rng.below(2000))


if __name__ == "__main__":
    unittest.main()
