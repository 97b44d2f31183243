"""The schedule: periods without drift, order, skipped periods, errors kept apart, watchdog."""

import unittest

from fakes import WRAP
from due_py import LATE, MET
from scheduler import NEVER, Scheduler, Task, ticks_diff


class Clock:
    """Milliseconds and microseconds that wrap as on the device; the test moves them."""

    def __init__(self, now_ms):
        self.ms = now_ms
        self.us = now_ms * 1000 % WRAP

    def ticks_us(self):
        return self.us

    def advance_ms(self, ms):
        self.ms = (self.ms + ms) % WRAP
        self.us = (self.us + 1000 * ms) % WRAP


class Work:
    """Takes *took_ms* a step and notes when each began."""

    def __init__(self, clock, name="", trace=None):
        self.clock = clock
        self.name = name
        self.trace = [] if trace is None else trace
        self.at_ms = []
        self.took_ms = 0
        self.raises = None
        self.restarts = 0
        self.restart_raises = None

    def step(self, now_ms):
        self.at_ms.append(now_ms)
        self.trace.append(self.name)
        self.clock.advance_ms(self.took_ms)
        if self.raises is not None:
            raise self.raises

    def restart(self):
        self.restarts += 1
        if self.restart_raises is not None:
            raise self.restart_raises


class TestCase(unittest.TestCase):
    START = WRAP - 950          # the wrap comes within the first second

    def setUp(self):
        self.clock = Clock(self.START)
        self.trace = []
        self.mark = bytearray(4)
        self.errors = []

    def build(self, *rows):
        """Tasks of (name, period, phase, deadline)."""
        self.work = [Work(self.clock, row[0], self.trace) for row in rows]
        self.tasks = [Task(rows[i][0], self.work[i], *rows[i][1:]) for i in range(len(rows))]
        self.scheduler = Scheduler(self.tasks, self.clock.ticks_us, self.mark,
                                   lambda task, now_ms: self.errors.append((task.name, now_ms)))
        self.scheduler.start(self.clock.ms)
        return self.scheduler

    def run_for(self, ms):
        """As the main loop: run what is due, sleep until the next."""
        end = self.clock.ms + ms
        while True:
            due = self.scheduler.run_due(self.clock.ms)
            ahead = ticks_diff(due, self.clock.ms)
            if ahead < 1:
                ahead = 1
            if ticks_diff(end % WRAP, self.clock.ms) < ahead:
                return
            self.clock.advance_ms(ahead)

    def since_start(self, i=0):
        return [ticks_diff(at, self.START) for at in self.work[i].at_ms]


class TestTicks(unittest.TestCase):
    def test_difference_over_the_wrap(self):
        half = 1 << 29
        for later, earlier, diff in ((5, 3, 2), (3, 5, -2), (2, WRAP - 3, 5), (WRAP - 3, 2, -5),
                                     (half - 1, 0, half - 1), (half, 0, -half), (0, half, -half),
                                     (0, 0, 0)):
            self.assertEqual(ticks_diff(later, earlier), diff, repr((later, earlier)))


class TestPeriods(TestCase):
    def test_steps_come_at_phase_plus_periods_without_drift(self):      # req: PRO-21
        self.build(("a", 100, 7, 80))
        self.work[0].took_ms = 13
        self.run_for(5000)
        self.assertEqual(self.since_start(), list(range(7, 5000, 100)))
        self.assertEqual((self.tasks[0].overruns, self.tasks[0].worst_us), (0, 13_000))

    def test_a_late_call_does_not_shift_the_grid(self):
        self.build(("a", 100, 0, 80))
        self.scheduler.run_due(self.clock.ms)
        self.clock.advance_ms(130)                              # 30 late, within the deadline
        due = self.scheduler.run_due(self.clock.ms)
        self.assertEqual(ticks_diff(due, self.START), 200)
        self.assertEqual(self.tasks[0].overruns, 0)

    def test_several_due_run_in_the_order_of_the_table(self):
        self.build(("a", 100, 20, 80), ("b", 100, 0, 80), ("c", 100, 10, 80))
        self.clock.advance_ms(20)
        self.scheduler.run_due(self.clock.ms)
        self.assertEqual(self.trace, ["a", "b", "c"])

    def test_a_more_important_task_goes_between(self):
        self.build(("fast", 10, 0, 9), ("slow", 100, 0, 80))
        self.work[1].took_ms = 10
        self.scheduler.run_due(self.clock.ms)
        self.assertEqual(self.trace, ["fast", "slow", "fast"])

    def test_nothing_due_does_nothing(self):
        self.build(("a", 100, 5, 80))
        due = self.scheduler.run_due(self.clock.ms)
        self.assertEqual((self.trace, ticks_diff(due, self.START)), ([], 5))

    def test_missed_periods_are_skipped_and_counted(self):
        for late_ms, following in ((100, 200), (199, 200), (200, 300), (399, 400), (1000, 1100)):
            self.setUp()
            self.build(("a", 100, 0, 80))
            self.clock.advance_ms(late_ms)
            due = self.scheduler.run_due(self.clock.ms)
            self.assertEqual(len(self.work[0].at_ms), 1, late_ms)
            self.assertEqual(ticks_diff(due, self.START), following, late_ms)
            self.assertEqual(self.tasks[0].overruns, 1, late_ms)

    def test_missed_periods_are_skipped_within_a_long_deadline_too(self):
        # The port tasks: every 10 ms, deadline 40 ms.
        self.build(("pcs", 10, 0, 40))
        self.clock.advance_ms(25)
        due = self.scheduler.run_due(self.clock.ms)
        self.assertEqual(len(self.work[0].at_ms), 1)
        self.assertEqual(ticks_diff(due, self.START), 30)

    def test_a_step_longer_than_its_period_does_not_stop_more_important_ones(self):
        self.build(("first", 100, 0, 80), ("hog", 100, 0, 80))
        self.work[1].took_ms = 150
        first = self.work[0]
        hog = self.work[1]

        def step(now_ms):           # with the hog always due, run_due() comes to no end
            Work.step(hog, now_ms)
            if len(hog.at_ms) == 10:
                hog.took_ms = 0
        self.tasks[1].work = Bound(step)
        self.run_for(3000)
        self.assertTrue(len(first.at_ms) >= 15, len(first.at_ms))
        self.assertTrue(self.tasks[1].overruns >= 10)


class TestPace(TestCase):
    """Other periods while the board rests, or by a task's own wish."""

    def build_resting(self):
        self.build(("often", 100, 0, 80), ("seldom", 100, 30, 80), ("never", 100, 60, 80))
        for task, rest_ms in zip(self.tasks, (None, 500, NEVER)):
            task.rest_ms = rest_ms
        self.run_for(1000)
        self.begun = self.clock.ms
        for work in self.work:
            work.at_ms.clear()

    def since(self, i):
        return [ticks_diff(at, self.begun) for at in self.work[i].at_ms]

    def test_each_has_its_period_of_rest(self):                 # req: PWR-10
        self.build_resting()
        self.scheduler.pace(True, self.clock.ms)
        self.run_for(2000)
        self.assertEqual(self.since(0), list(range(100, 2001, 100)))     # as ever
        self.assertEqual(self.since(1), [30, 530, 1030, 1530])
        self.assertEqual(self.since(2), [])

    def test_and_its_own_again(self):                           # req: PWR-12
        self.build_resting()
        self.scheduler.pace(True, self.clock.ms)
        self.run_for(1900)
        self.begun = self.clock.ms
        for work in self.work:
            work.at_ms.clear()
        self.scheduler.pace(False, self.clock.ms)
        self.run_for(300)
        self.assertEqual((self.since(1), self.since(2)), ([30, 130, 230], [60, 160, 260]))

    def test_the_same_pace_again_changes_nothing(self):         # req: PWR-10
        self.build_resting()
        self.scheduler.pace(False, self.clock.ms)
        self.run_for(500)
        for i in range(3):
            self.assertEqual([at % 100 for at in self.since(i)], 5 * [self.since(i)[0] % 100])
            self.assertEqual(ticks_diff(self.work[i].at_ms[0], self.START) % 100, 30 * i)

    def test_a_change_of_pace_is_no_miss(self):                 # req: SAF-01
        self.build_resting()
        self.clock.advance_ms(350)                              # all of them late
        self.scheduler.run_due(self.clock.ms)
        self.scheduler.pace(True, self.clock.ms)
        self.assertIsNone(self.late(1))
        self.assertIsNone(self.late(2))

    def late(self, i):
        """What the books say of task *i* being late, None: nothing."""
        table, row = self.tasks[i]._table, self.tasks[i]._row
        return (table[row + LATE], table[row + MET]) if table[row + LATE] or table[row + MET] \
            else None

    def test_never_is_three_days(self):                         # req: PWR-10
        self.assertEqual(NEVER, 268_435_456)

    def test_a_period_of_its_own_wish(self):                    # req: COM-02
        self.build(("a", 100, 0, 80), ("b", 100, 0, 80))
        self.run_for(350)
        self.tasks[1].set_period(250)
        self.run_for(1000)
        self.assertEqual(self.since_start(0), list(range(0, 1350, 100)))
        self.assertEqual(self.since_start(1), [0, 100, 200, 300, 400, 650, 900, 1150])
        self.assertEqual((self.tasks[0].period_ms, self.tasks[1].period_ms), (100, 250))
        self.scheduler.pace(False, self.clock.ms)               # stays as it is
        self.run_for(200)
        self.assertEqual(self.since_start(1)[-1], 1400)

    def test_the_next_due_time_wraps_exactly(self):             # req: PRO-21
        for left in (4, 5, 6):                                  # ticks from now to the wrap
            self.setUp()
            self.clock = Clock(WRAP - left)
            self.build(("a", 100, 5, 80))
            self.assertEqual(self.scheduler.run_due(self.clock.ms), (WRAP - left + 5) % WRAP)


class Bound:
    """A task made of a function."""

    def __init__(self, step):
        self.step = step


class TestErrors(TestCase):
    def test_one_that_raises_does_not_stop_the_others(self):    # req: SAF-03
        self.build(("a", 100, 0, 80), ("b", 100, 0, 80))
        self.work[0].raises = ValueError("provoked")
        self.run_for(950)
        self.assertEqual(self.trace, ["a", "b"] * 10)
        task = self.tasks[0]
        self.assertEqual((task.errors, task.streak, self.work[0].restarts), (10, 10, 10))
        self.assertIsInstance(task.last_error, ValueError)
        self.assertEqual([name for name, _ in self.errors], ["a"] * 10)
        self.assertEqual((self.tasks[1].errors, self.tasks[1].last_error), (0, None))

    def test_a_good_step_ends_the_streak(self):                 # req: SAF-03
        self.build(("a", 100, 0, 80))
        self.work[0].raises = MemoryError()
        self.run_for(250)
        self.work[0].raises = None
        self.clock.advance_ms(50)
        self.run_for(100)
        self.assertEqual((self.tasks[0].errors, self.tasks[0].streak), (3, 0))

    def test_a_restart_that_raises_is_kept_apart_too(self):     # req: SAF-03
        self.build(("a", 100, 0, 80), ("b", 100, 0, 80))
        self.work[0].raises = ValueError("step")
        self.work[0].restart_raises = OSError("restart")
        self.run_for(50)
        self.assertEqual(self.trace, ["a", "b"])
        self.assertIsInstance(self.tasks[0].last_error, OSError)

    def test_a_task_without_restart_is_just_run_again(self):    # req: SAF-03
        class Bare:
            steps = 0

            def step(self, now_ms):
                self.steps += 1
                raise OSError()
        self.build(("a", 100, 0, 80))
        self.tasks[0].work = Bare()
        self.run_for(250)
        self.assertEqual(self.tasks[0].work.steps, 3)

    def test_what_is_no_exception_goes_through(self):           # req: SAF-03
        # a supply cut or a reset in the simulation, Ctrl-C at the prompt
        self.build(("a", 100, 0, 80))
        self.work[0].raises = KeyboardInterrupt()
        try:
            self.scheduler.run_due(self.clock.ms)
        except KeyboardInterrupt:
            return
        self.fail("swallowed")

    def test_the_running_task_stands_in_the_mark(self):         # req: SAF-01
        self.build(("a", 100, 0, 80), ("b", 100, 0, 80))
        seen = []
        for work in self.work:
            work.step = lambda now_ms: seen.append(self.mark[0])
        self.scheduler.run_due(self.clock.ms)
        self.assertEqual((seen, self.mark[0]), ([1, 2], 0))
        self.work[1].step = lambda now_ms: int("not a number")
        self.clock.advance_ms(100)
        self.scheduler.run_due(self.clock.ms)
        self.assertEqual(self.mark[0], 0)       # an exception is not a stuck task


class TestWatchdog(TestCase):
    def fit(self):
        return self.scheduler.fit_to_feed(self.clock.ms)

    def test_fit_while_everything_runs_in_time(self):           # req: SAF-01
        self.build(("a", 100, 0, 80), ("b", 1000, 500, 900))
        for _ in range(5):
            self.run_for(1000)
            self.assertTrue(self.fit())
            self.assertEqual(self.scheduler.late_task(), -1)

    def test_overdue_by_its_deadline_one_short_exact_one_past(self):    # req: SAF-01
        for late_ms, fit in ((79, True), (80, True), (81, False)):
            self.setUp()
            self.build(("a", 100, 0, 80))
            self.clock.advance_ms(late_ms)
            self.assertEqual(self.fit(), fit, late_ms)

    def test_a_step_that_ends_late_one_short_exact_one_past(self):      # req: SAF-01
        for took_ms, fit in ((79, True), (80, True), (81, False)):
            self.setUp()
            self.build(("a", 1000, 0, 80))
            self.work[0].took_ms = took_ms
            self.scheduler.run_due(self.clock.ms)
            self.assertEqual(self.fit(), fit, took_ms)
            self.assertEqual(self.scheduler.late_task(), -1 if fit else 0)

    def test_a_task_always_late_is_never_fit(self):             # req: SAF-01
        self.build(("a", 100, 0, 80), ("b", 100, 0, 95))
        self.work[0].took_ms = 85
        for _ in range(4):
            self.run_for(1000)
            self.assertFalse(self.fit())
            self.assertEqual(self.scheduler.late_task(), 0)

    def test_fit_again_after_a_step_in_time(self):              # req: SAF-01
        self.build(("a", 100, 0, 80))
        self.work[0].took_ms = 90
        self.run_for(100)
        self.assertFalse(self.fit())
        self.work[0].took_ms = 1
        self.run_for(300)
        self.assertTrue(self.fit())
        self.assertEqual(self.scheduler.late_task(), -1)

    def test_a_task_that_only_raises_in_time_is_fit(self):      # req: SAF-01 SAF-03
        self.build(("a", 100, 0, 80))
        self.work[0].raises = ValueError()
        self.run_for(500)
        self.assertTrue(self.fit())

    def test_what_was_in_time_before_the_last_feeding_counts_no_more(self):     # req: SAF-01
        for late in (0, 1):                     # whichever place of the table
            rows = [("a", 100, 0, 80), ("b", 100, 0, 80)]
            scheduler = self.build(*rows)
            self.run_for(950)
            self.assertTrue(scheduler.fit_to_feed(self.clock.ms))
            self.work[late].took_ms = 81
            self.run_for(950)
            self.assertFalse(scheduler.fit_to_feed(self.clock.ms))
            self.assertEqual(scheduler.late_task(), late)

    def test_a_task_that_no_scheduler_has_is_spotless(self):
        task = Task("a", None, 100, 0, 80)
        self.assertEqual((task.worst_us, task.overruns, task.streak), (0, 0, 0))

    def test_nothing_is_late_before_a_step(self):               # req: SAF-01
        scheduler = self.build(("a", 100, 50, 80), ("b", 100, 50, 80))
        self.assertEqual(scheduler.late_task(), -1)

    def test_the_late_one_is_named_until_the_next_feeding(self):    # req: SAF-01
        for late in (0, 1, 2):
            scheduler = self.build(("a", 100, 0, 80), ("b", 100, 0, 90), ("c", 100, 0, 95))
            self.work[late].took_ms = 96
            self.run_for(150)
            self.work[late].took_ms = 0
            self.assertTrue(scheduler.late_task() >= 0)
            self.run_for(950)
            self.assertTrue(scheduler.fit_to_feed(self.clock.ms))
            self.assertEqual(scheduler.late_task(), -1)

    def test_a_task_not_due_yet_is_no_reason(self):             # req: SAF-01
        self.build(("a", 1000, 900, 80))
        for _ in range(8):
            self.assertTrue(self.fit())
            self.clock.advance_ms(100)


class TestNoWrap(TestPeriods):
    START = 12_345


if __name__ == "__main__":
    unittest.main()
