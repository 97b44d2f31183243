"""The screen ends when it is told to, and when its terminal has gone.

A terminal that was closed takes no more output. Whoever writes to it waits, the loop of the
program waits for that, and what reads keys finds the end of them again and again. So signals and
the terminal are looked at outside of the loop, and a program that has not ended a while after it
was told to is ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable

PATIENCE_S = 3.0
_LOOK_S = 0.5
_GONE = 128 + 1                 # as after SIGHUP


class Leave:
    """Calls *end* with an exit code once, in the thread that looked or was interrupted."""

    def __init__(self, end: Callable[[int], object]) -> None:
        self._end = end
        self._over = threading.Event()
        self._told = threading.Lock()

    def start(self) -> None:
        """To be called in the main thread."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            with contextlib.suppress(ValueError):       # not the main thread: a test
                if number is not None:
                    signal.signal(number, lambda number, _: self.leave(128 + number))
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if hasattr(select, "poll") and os.isatty(sys.__stdin__.fileno()):
                threading.Thread(target=self._watch, daemon=True).start()

    def over(self) -> None:
        """The program ends by itself."""
        self._over.set()

    def leave(self, code: int) -> None:
        """End, now or a little later."""
        if not self._told.acquire(blocking=False):
            return
        threading.Thread(target=self._insist, args=(code,), daemon=True).start()
        with contextlib.suppress(RuntimeError):         # the loop has ended already
            self._end(code)

    def _insist(self, code: int) -> None:
        if not self._over.wait(PATIENCE_S):
            os._exit(code)

    def _watch(self) -> None:
        terminal = select.poll()
        terminal.register(sys.__stdin__, 0)             # type: ignore[arg-type]
        gone = select.POLLHUP | select.POLLERR | select.POLLNVAL
        while not self._over.wait(_LOOK_S):
            if any(event & gone for _, event in terminal.poll(0)):
                self.leave(_GONE)
                return
