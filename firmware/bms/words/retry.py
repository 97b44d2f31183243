"""When a short circuit is taken to be over though nothing says so (PRO-08, PWR-03).

What leaks at the terminals may keep LD below its threshold, and what was refused may have been a
heavy load: so the pack does not stay dark for ever. It tries again, through pre-discharge, after
30 s, then 2 min, then 8 min, then 10 min each.
"""

import micropython
from micropython import const

_FIRST_MS = const(30_000)
_TIMES = const(4)               # factor from one wait to the next
_LONGEST_MS = const(600_000)    # also the quiet time after which it begins with the first again


class Retry:
    """Waits that grow."""

    def __init__(self):
        self._tripped = False
        self._wait_ms = 0               # of this trip; 0: none in the last 10 min
        self._ms = 0                    # since the trip, or since it ended

    @micropython.native
    def step(self, tripped, dt_ms):
        """One scan: True while it is time to try again."""
        if tripped != self._tripped:
            self._tripped = tripped
            self._ms = 0
            if tripped:
                wait_ms = self._wait_ms
                self._wait_ms = min(wait_ms * _TIMES, _LONGEST_MS) if wait_ms else _FIRST_MS
        elif self._ms < _LONGEST_MS:
            self._ms += dt_ms
        if tripped:
            return self._ms >= self._wait_ms
        if self._ms >= _LONGEST_MS:
            self._wait_ms = 0
        return False
