"""Cooperative, time-triggered scheduler: a static table of named tasks in order of priority.

A task is an object with step(now_ms). Its next due time is the last one plus its period, so
nothing drifts; periods that were missed altogether are skipped and counted. A step that raises
is recorded and the task restarted (its restart(), where it has one); the others go on.

The watchdog is fed in one place, tasks/supervisor.py, and only while every task meets its
deadlines (SAF-01). The number of the running task stands in *mark*, which a port lays over memory
that survives a watchdog reset: afterwards it names the task that was stuck.
"""

import micropython
from array import array

from due import account, first_overdue, pick_due
from due_py import DEADLINE_MS, LATE, MET, OVERRUNS, PERIOD_MS, ROW, STREAK, WORST_US
from ticks import MASK

NEVER = 1 << 28         # as a period: three days, which is as long as it can be
_HALF = 1 << 29


def ticks_diff(later, earlier):
    """later - earlier in wrapping 30-bit ticks, within +-2**29, without big ints."""
    ahead = later - earlier
    if ahead >= _HALF:
        return ahead - _HALF - _HALF
    if ahead < -_HALF:
        return ahead + _HALF + _HALF
    return ahead


class Task:
    """One row of the table.

    name         short, unique
    work         object with step(now_ms), and restart() if it can be restarted
    period_ms    time between steps
    phase_ms     first step this long after start
    deadline_ms  a step must have ended this long after its due time
    rest_ms      period while the board rests, NEVER: it does not run then; None: as ever
    errors       steps that raised; last_error: the exception, or None
    """

    def __init__(self, name, work, period_ms, phase_ms, deadline_ms, rest_ms=None):
        self.name = name
        self.work = work
        self.period_ms = period_ms
        self.phase_ms = phase_ms
        self.deadline_ms = deadline_ms
        self.rest_ms = rest_ms
        self.errors = 0
        self.last_error = None
        self._table = array("i", (0 for _ in range(ROW)))   # the scheduler's, once it has one
        self._row = 0

    @property
    def worst_us(self):
        """Longest step so far."""
        return self._table[self._row + WORST_US]

    @property
    def overruns(self):
        """Steps that ended after the deadline."""
        return self._table[self._row + OVERRUNS]

    @property
    def streak(self):
        """Steps in a row that raised."""
        return self._table[self._row + STREAK]

    def set_period(self, period_ms):
        """Another time between steps, from the next one on."""
        self.period_ms = period_ms
        self._table[self._row + PERIOD_MS] = period_ms

    def booked_in(self, table, row):
        """Keep the books of this task at *row* of *table* from now on."""
        self._table = table
        self._row = row
        table[row + PERIOD_MS] = self.period_ms
        table[row + DEADLINE_MS] = self.deadline_ms


class Scheduler:
    """Runs *tasks*; the first in the table goes first when several are due.

    tasks      list of Task
    ticks_us   function giving wrapping microseconds, for step times
    mark       bytearray-like: mark[0] is 1 + index of the task that is running, 0 between tasks
    on_error   called as on_error(task, now_ms) after a step raised
    """

    def __init__(self, tasks, ticks_us, mark, on_error=None):
        self.tasks = tasks
        self._on_error = on_error
        self._count = len(tasks)
        self._due = array("i", (0 for _ in tasks))
        self._table = array("i", (0 for _ in range(ROW * len(tasks))))
        self._parts = (self._due, self._table, tasks, mark, ticks_us)   # looked up at once
        for i in range(self._count):
            tasks[i].booked_in(self._table, i * ROW)

    def start(self, now_ms):
        """Make every task due its phase after *now_ms*."""
        for i in range(self._count):
            self._due[i] = (now_ms + self.tasks[i].phase_ms) & MASK

    def pace(self, rests, now_ms):
        """From now on each task has the period it has while the board *rests*, or its own."""
        for i in range(self._count):
            task = self.tasks[i]
            r = i * ROW
            period_ms = task.rest_ms if rests and task.rest_ms else task.period_ms
            if period_ms != self._table[r + PERIOD_MS]:
                self._table[r + PERIOD_MS] = period_ms
                self._table[r + LATE] = self._table[r + MET] = 0
                wait_ms = NEVER if period_ms == NEVER else task.phase_ms
                self._due[i] = (now_ms + wait_ms) & MASK

    @micropython.native
    def run_due(self, now_ms):
        """Run every task that is due, most important first; return when the next one will be."""
        due, table, tasks, mark, ticks_us = self._parts
        count = self._count
        while True:
            i = pick_due(due, count, now_ms)
            if i < 0:
                left_ms = MASK - now_ms        # until the wrap; beyond it an int is on the heap
                return now_ms - i if -i <= left_ms else -i - left_ms - 1
            task = tasks[i]
            failed = 0
            start_us = ticks_us()
            mark[0] = i + 1
            try:
                task.work.step(now_ms)
            except Exception as error:          # noqa: BLE001 - SAF-03: whatever a task raises
                failed = 1
                self._failed(task, error)
            mark[0] = 0
            took_us = (ticks_us() - start_us) & MASK
            now_ms = account(due, table, i, now_ms, took_us, failed)
            if failed and self._on_error is not None:
                self._report(task, now_ms)

    def _failed(self, task, error):
        task.errors += 1
        task.last_error = error
        restart = getattr(task.work, "restart", None)
        if restart is not None:
            try:
                restart()
            except Exception as again:          # noqa: BLE001 - a restart may fail like a step
                task.last_error = again

    def _report(self, task, now_ms):
        try:
            self._on_error(task, now_ms)
        except Exception:                       # noqa: BLE001 - nor does a record that fails
            pass                                # stop the others: the heap may be full

    @micropython.native
    def overdue(self, now_ms):
        """Index of the first task that is overdue by more than its deadline, or -1."""
        return first_overdue(self._due, self._table, self._count, now_ms)

    def late_task(self):
        """Index of the first task that missed a deadline since the last good look, or -1."""
        for i in range(self._count):
            if self._table[i * ROW + LATE]:
                return i
        return -1

    def fit_to_feed(self, now_ms):
        """True if every task is in time at *now_ms*; then the count begins anew.

        A task that has not been due since the last good look is no reason to say no; one that
        is overdue by more than its deadline, or whose last steps all came too late, is.
        """
        table = self._table
        fit = self.overdue(now_ms) < 0
        for i in range(self._count):
            r = i * ROW
            if table[r + LATE] and not table[r + MET]:
                fit = False
        if fit:
            for i in range(self._count):
                table[i * ROW + LATE] = 0
                table[i * ROW + MET] = 0
        return fit
