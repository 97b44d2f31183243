"""How often the controller has started, and what a restart must not forget (PRO-27).

Starts are counted in flash, because that alone survives a supply that dips. The clock chip tells
how long ago they were; without a clock, a run that lasted less than a minute counts as one start
within that minute.
"""

import struct

import micropython
from micropython import const

from bms.words.rules import AT_ONCE, BOTH, FAULT_STARTS
from ticks import MASK

_MOST = const(3)            # starts in _WINDOW_S that are allowed
_WINDOW_S = const(60)
_HOLD_MS = const(60_000)    # both FETs stay open this long after one start too many
_UNKNOWN = const(0)         # time of a start while no clock was set


class Starts:
    """Counts starts, and says while no FET has been closed since a start or a wake.

    untried  FETs that were not closed since the start or the wake: they stay open while a timer of
             a protection runs; with both of them, protections need no delay
    count    starts of the last minute, this one among them
    dirty    True: to_bytes() should be kept; after begin() at once
    """

    def __init__(self):
        self.untried = BOTH
        self.count = 0
        self.dirty = False
        self._times: list = []      # s since 2020 of the starts that count, or _UNKNOWN
        self._from_ms = -1          # -1: not begun | ticks of the start, until a minute is over

    def begin(self, now_s, now_ms, faults):
        """At a start: count it, and raise the fault if it is one too many.

        now_s   s since 2020, 0: not known; faults: Faults
        """
        kept = self._times
        times = [at_s for at_s in kept if not _is_past(at_s, now_s)]
        self.count = len(times) + 1
        self._from_ms = now_ms
        if self.count > _MOST:
            times = [_UNKNOWN] * _MOST      # until a calm minute: a loop of starts wears no flash
            faults.set_fault(FAULT_STARTS, True, self.count, _MOST)
        else:
            times.append(now_s)
        self._times = times
        self.dirty = times != kept

    @micropython.native
    def look(self, down, wanted):
        """AT_ONCE while nothing was closed since the start or the wake, else 0.

        down   asleep, off or on the last step to it; wanted: FETs commanded to be closed
        """
        if down:
            self.untried = BOTH
        else:
            self.untried &= ~wanted
        return AT_ONCE if self.untried == BOTH else 0

    @micropython.native
    def step(self, now_ms, faults):
        """Now and then: a minute after the start, the hold ends and the starts are forgotten."""
        if self._from_ms >= 0 and (now_ms - self._from_ms) & MASK >= _HOLD_MS:
            self._from_ms = -1
            self._forget(faults)

    def _forget(self, faults):
        faults.set_fault(FAULT_STARTS, False)
        if len(self._times) > 1 or _UNKNOWN in self._times:
            self._times.clear()
            self.dirty = True

    def to_bytes(self):
        """The times of the starts that count."""
        return struct.pack("<%dI" % len(self._times), *self._times)

    def saved(self):
        """What to_bytes() gave is kept."""
        self.dirty = False

    def from_bytes(self, data):
        """Take over what was kept; ValueError if it is not of here."""
        if len(data) % 4 or len(data) > 4 * _MOST:
            raise ValueError("no times of starts")
        self._times = list(struct.unpack("<%dI" % (len(data) // 4), data))


def _is_past(at_s, now_s):
    """True if a start at *at_s* is known to be a minute ago or longer."""
    return at_s != _UNKNOWN and now_s != _UNKNOWN and now_s - at_s >= _WINDOW_S
