"""Faults that only the firmware itself can have, made to happen by a test bench (bench_enable)."""

import gc


class Provoke:
    """parts: what main has put together: scheduler, self_tests. wait_us: function."""

    def __init__(self, parts, wait_us):
        self._parts = parts
        self._wait_us = wait_us
        self._ballast = []

    def make(self, text):
        """Make the fault of *text* happen; ValueError if it is not known."""
        words = text.split()
        kind = words[0] if words else ""
        if kind in ("task_raise", "task_hang", "task_storm") and len(words) == 2:
            tasks = self._parts.scheduler.tasks
            found = [task for task in tasks if words[1] in (task.name, "all")]
            for task in found:
                task.work = Provoked(task, kind, self._wait_us)
            if found:
                return
            raise ValueError("tasks: " + " ".join(task.name for task in tasks))
        if kind == "self_test" and len(words) == 2:
            self._parts.self_tests.provoke(words[1])
            return
        if kind == "heap_full":
            self._fill_heap()
            return
        raise ValueError("known: task_raise NAME, task_hang NAME, task_storm NAME, heap_full, "
                         "self_test NAME")

    def _fill_heap(self):
        """Take all but a little of the heap and keep it until a reset."""
        if not hasattr(gc, "mem_free"):
            raise ValueError("this interpreter has no heap of its own to fill")
        self._ballast = []
        size = 4096
        while size >= 64:
            try:
                self._ballast.append(bytearray(size))
            except MemoryError:
                size //= 2
        self._ballast.pop()


class Provoked:
    """Stands in for a task's work: raises once, never returns, or raises for ever."""

    def __init__(self, task, kind, wait_us):
        self._task = task
        self._work = task.work
        self._kind = kind
        self._wait_us = wait_us

    def step(self, now_ms):
        while self._kind == "task_hang":
            self._wait_us(1000)
        if self._kind == "task_raise":
            self._task.work = self._work
        raise RuntimeError("provoked")

    def restart(self):
        """As a task that failed is restarted."""
        again = getattr(self._work, "restart", None)
        if again:
            again()
