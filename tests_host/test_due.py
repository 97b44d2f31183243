"""Which task is due, on ticks that wrap at 2**30."""

import unittest
from array import array

import due
from fakes import EXPECTED_KIND, WRAP, Lcg, twins

TWINS = twins("due")
HALF = 1 << 29


class TestDue(unittest.TestCase):
    def pick(self, entries, now):
        results = [twin.pick_due(array("i", entries), len(entries), now) for twin in TWINS]
        self.assertEqual(results, results[:1] * len(TWINS), repr((entries, now)))
        return results[0]

    def next(self, entries, now):
        results = [twin.next_due(array("i", entries), len(entries), now) for twin in TWINS]
        self.assertEqual(results, results[:1] * len(TWINS), repr((entries, now)))
        return results[0]

    def test_selector_took_the_expected_kind(self):             # req: SAF-04
        self.assertEqual(due.KIND, EXPECTED_KIND)

    def test_a_task_is_due_at_its_time_and_not_one_before(self):
        for now, picked in ((99, -1), (100, 0), (101, 0)):
            self.assertEqual(self.pick([100], now), picked, now)

    def test_the_first_in_the_table_goes_first(self):
        self.assertEqual(self.pick([100, 50, 60], 99), 1)
        self.assertEqual(self.pick([100, 50, 60], 100), 0)

    def test_the_wrap_is_crossed(self):
        late = WRAP - 10
        self.assertEqual(self.pick([5], late), -1)              # 15 ms ahead
        self.assertEqual(self.pick([5], 4), -1)
        self.assertEqual(self.pick([5], 5), 0)
        self.assertEqual(self.pick([late], 5), 0)               # 15 ms ago
        self.assertEqual(self.next([20, 5], late), 5)
        self.assertEqual(self.next([20, WRAP - 1], late), WRAP - 1)

    def test_the_earliest_is_next_even_if_overdue(self):
        self.assertEqual(self.next([300, 200, 400], 100), 200)
        self.assertEqual(self.next([300, 90, 400], 100), 90)

    def test_edges_of_the_range(self):
        for entry, now, picked in ((0, 0, 0), (0, HALF - 1, 0), (0, HALF, -1), (WRAP - 1, 0, 0),
                                   (0, WRAP - 1, -1), (HALF, 0, -1), (HALF + 1, 0, 0)):
            self.assertEqual(self.pick([entry], now), picked, repr((entry, now)))
            self.next([entry], now)

    def test_random_tables_agree_with_plain_integers(self):
        rng = Lcg(2)
        for _ in range(60):
            now = rng.between(0, WRAP - 1)
            ahead = [rng.between(-5000, 5000) for _ in range(5)]
            entries = [(now + a) % WRAP for a in ahead]
            wanted = -1
            for i in range(5):
                if ahead[i] <= 0 and wanted < 0:
                    wanted = i
            self.assertEqual(self.pick(entries, now), wanted, repr((entries, now)))
            self.assertEqual(self.next(entries, now), (now + min(ahead)) % WRAP)


if __name__ == "__main__":
    unittest.main()
