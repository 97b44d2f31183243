"""Cooperative, time-triggered scheduler: a static table of named tasks in order of priority.

A task is an object with step(now_ms). Its next due time is the last one plus its period, so
nothing drifts; periods that were missed altogether are skipped and counted. A step that raises
is recorded and the task restarted (its restart(), where it has one); the others go on.

The watchdog is fed in one place, and only when every task has met its deadline since the last
feeding. The number of the running task stands in *mark*, which a port lays over memory that
survives a watchdog reset: afterwards it names the task that was stuck.
"""

from array import array

from due import next_due, pick_due

_MASK = (1 << 30) - 1
_HALF = 1 << 29


def ticks_diff(later, earlier):
    """later - earlier in wrapping 30-bit ticks, within +-2**29."""
    return ((later - earlier + _HALF) & _MASK) - _HALF


class Task:
    """One row of the table.

    name         short, unique
    work         object with step(now_ms), and restart() if it can be restarted
    period_ms    time between steps
    phase_ms     first step this long after start
    deadline_ms  a step must have ended this long after its due time

    worst_us     longest step so far
    overruns     periods skipped or ended after the deadline
    errors       steps that raised; last_error: the exception, or None
    streak       steps in a row that raised
    """

    def __init__(self, name, work, period_ms, phase_ms, deadline_ms):
        self.name = name
        self.work = work
        self.period_ms = period_ms
        self.phase_ms = phase_ms
        self.deadline_ms = deadline_ms
        self.worst_us = 0
        self.overruns = 0
        self.errors = 0
        self.streak = 0
        self.last_error = None


class Scheduler:
    """Runs *tasks*; the first in the table goes first when several are due.

    tasks      list of Task
    ticks_us   function giving wrapping microseconds, for step times
    mark       bytearray-like: mark[0] is 1 + index of the task that is running, 0 between tasks
    on_error   called as on_error(task, now_ms) after a step raised; must not raise
    """

    def __init__(self, tasks, ticks_us, mark, on_error=None):
        self.tasks = tasks
        self._ticks_us = ticks_us
        self._mark = mark
        self._on_error = on_error
        self._count = len(tasks)
        self._due = array("i", (0 for _ in tasks))
        self._met = bytearray(len(tasks))       # 1: ended a step in time since the last feeding
        self._late = bytearray(len(tasks))      # 1: missed its deadline since the last feeding

    def start(self, now_ms):
        """Make every task due its phase after *now_ms*."""
        for i in range(self._count):
            self._due[i] = (now_ms + self.tasks[i].phase_ms) & _MASK

    def run_due(self, now_ms):
        """Run every task that is due, most important first; return when the next one will be."""
        due = self._due
        while True:
            i = pick_due(due, self._count, now_ms)
            if i < 0:
                return next_due(due, self._count, now_ms)
            now_ms = (now_ms + self._run(i, now_ms) // 1000) & _MASK

    def _run(self, i, now_ms):
        """Run task *i*; return the microseconds it took."""
        task = self.tasks[i]
        due = self._due
        start_us = self._ticks_us()
        self._mark[0] = i + 1
        try:
            task.work.step(now_ms)
            task.streak = 0
        except Exception as error:              # noqa: BLE001 - SAF-03: whatever a task raises
            self._failed(task, error, now_ms)
        self._mark[0] = 0
        took_us = ticks_diff(self._ticks_us(), start_us)
        if took_us > task.worst_us:
            task.worst_us = took_us
        late_ms = ticks_diff(now_ms, due[i])
        following = (due[i] + task.period_ms) & _MASK
        if late_ms * 1000 + took_us > task.deadline_ms * 1000:
            task.overruns += 1
            self._late[i] = 1
            if late_ms >= task.period_ms:       # skip the periods that are gone, keep the phase
                following = (due[i] + late_ms // task.period_ms * task.period_ms
                             + task.period_ms) & _MASK
        else:
            self._met[i] = 1
        due[i] = following
        return took_us

    def _failed(self, task, error, now_ms):
        task.errors += 1
        task.streak += 1
        task.last_error = error
        restart = getattr(task.work, "restart", None)
        if restart is not None:
            try:
                restart()
            except Exception as again:          # noqa: BLE001 - a restart may fail like a step
                task.last_error = again
        if self._on_error is not None:
            self._on_error(task, now_ms)

    def late_task(self):
        """Index of the first task that missed a deadline since the last feeding, or -1."""
        for i in range(self._count):
            if self._late[i]:
                return i
        return -1

    def fit_to_feed(self, now_ms):
        """True if the watchdog may be fed at *now_ms*; then the count begins anew.

        A task that has not been due since the last feeding is no reason to withhold it; one that
        is overdue by more than its deadline, or whose last steps all came too late, is.
        """
        fit = True
        for i in range(self._count):
            task = self.tasks[i]
            if ticks_diff(now_ms, self._due[i]) > task.deadline_ms:
                fit = False
            elif self._late[i] and not self._met[i]:
                fit = False
        if fit:
            for i in range(self._count):
                self._late[i] = 0
                self._met[i] = 0
        return fit
