"""Feeds the watchdog while every task meets its deadlines; collects garbage at a quiet point.

SAF-01, SAF-08: each step says that the program lives, unless a task is overdue now, or one has
come late each time for some seconds, or scans no longer pass through every stage. The dead man's
switch (lib/dead_man.py) opens both FETs when that is not said for 0.7 s.
"""

import gc

import micropython
from bms.words import events as ev
from bms.words.rules import FAULT_TASK
from tasks.last_error import LastError
from ticks import MASK

_COLLECT_S = 60     # nothing allocates in steady state; what requests leave is little
_STREAK = 5         # steps in a row that raise before a task is a fault (SAF-03)
_SLOW_S = 3         # seconds in a row in which a task only came late
PERIOD_MS = 100
REST_MS = 500       # while the pack is asleep or off


class Supervisor:
    """The supervisor task, lowest in the table.

    pack       Pack; watchdog: DeadMan; heartbeat: pin of the board's lamp
    late_mark  bytearray-like that survives a watchdog reset: late_mark[8] is 1 + index of the
               task because of which the watchdog is not fed, 0: it is fed
    heap_free  function giving free bytes of heap; its last answer is the attribute heap_free
    scheduler  set by main after the table is built
    tests      SelfTests, set by main
    prompt     PromptWish, set by main
    proof      Proof of an image on trial, set by main
    last_error LastError: what a task raised last, also before this start
    """

    def __init__(self, pack, watchdog, heartbeat, heap_free, late_mark):
        self._pack = pack
        self._watchdog = watchdog
        self._late_mark = late_mark
        self._heartbeat = heartbeat
        self._beat = 0
        self._collect_in = 1
        self._measure_heap = heap_free
        self.heap_free = 0
        self.tidy_due = False       # main shall fill the heap's holes, when no task is at work
        self.scheduler = None
        self.tests = None
        self.prompt = None
        self.proof = None
        self.stuck = 0              # 1 + index of the task that the last reset was for, 0: none
        self.last_error = LastError()
        self._uptime_s = 0
        self._last_ms = -1          # -1: no step yet | ticks of the last one
        self._rest_ms = 0
        self._flows = True
        self._slow_s = 0            # seconds in a row in which a task only came late

    @micropython.native
    def step(self, now_ms):
        """Every PERIOD_MS."""
        if self._last_ms < 0:
            self._last_ms = now_ms
            self._second(now_ms)
        past_ms = self._rest_ms + ((now_ms - self._last_ms) & MASK)
        self._last_ms = now_ms
        self._rest_ms = past_ms
        if past_ms >= 1000:
            self._uptime_s += past_ms // 1000
            self._rest_ms = past_ms % 1000
            self._second(now_ms)
        late = self.scheduler.overdue(now_ms)
        if late < 0 and self._slow_s >= _SLOW_S:
            late = self.scheduler.late_task()
        if late >= 0:
            self._late_mark[8] = late + 1
        elif self._flows:
            self._late_mark[8] = 0
            self._watchdog.feed()
        if self.prompt is not None:
            self.prompt.step(now_ms)

    def _second(self, now_ms):
        """Once a second."""
        scheduler = self.scheduler
        self._flows = self.tests is None or self.tests.flows(now_ms)
        self._slow_s = 0 if scheduler.fit_to_feed(now_ms) else self._slow_s + 1
        failing = False
        errors = 0
        for task in scheduler.tasks:
            errors += task.errors
            if task.streak >= _STREAK:
                failing = True
        self._pack.set_fault(FAULT_TASK, failing)
        if self.proof is not None:
            self.proof.step(errors, self._slow_s == 0, now_ms)
        pack = self._pack
        if pack.inverter.was_heard:
            pack.power.hear()
        pack.inverter.step(now_ms, pack.dip <= 1)
        pack.rights.step(now_ms)
        pack.asked.step()
        self._beat = 0 if pack.power.rests() else self._beat ^ 1
        self._heartbeat(self._beat)
        self._collect_in -= 1
        if self._collect_in <= 0:
            self._collect_in = _COLLECT_S
            gc.collect()
            self.heap_free = self._measure_heap()
        self.tidy_due = True

    def uptime_s(self, now_ms):
        """Seconds since the first step."""
        if self._last_ms < 0:
            return 0
        return self._uptime_s + (self._rest_ms + ((now_ms - self._last_ms) & MASK)) // 1000

    def record_error(self, task, now_ms):
        """Scheduler's on_error: keep which task raised, and where."""
        index = self.scheduler.tasks.index(task)
        self.last_error.note(task.name, task.last_error)
        self._pack.events.add(now_ms, ev.TASK_ERROR, index, -1, task.errors, task.streak)

    def errors_text(self):
        """For a person: which tasks raised since start, and what was raised last."""
        tasks = self.scheduler.tasks
        lines = ["%s: %d times" % (task.name, task.errors) for task in tasks if task.errors]
        if 0 < self.stuck <= len(tasks):
            lines.append("before this start %s was stuck or late, and the watchdog reset the "
                         "controller" % tasks[self.stuck - 1].name)
        if self.last_error.text:
            lines.append("last: " + self.last_error.text)
        return "\n".join(lines) or "no task ever raised"
