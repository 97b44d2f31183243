"""A current that pulses between what a scan reads (MEA-06).

The AFE measures cells, stack and terminals one after the other, some of them each 95 ms only. A
load that pulses in step with that shows each of them at its own part of the pulse: the sum is not
the stack then, and a FET seems not to conduct, for as long as it stays in step. So who is about
to accuse a reading for its difference from another one asks here first:

  the shown current goes up and down from scan to scan
  the AFE's integrator moved something else than the scans showed

Either excuses the difference for a minute at most: no real load stays in step longer.
"""

import micropython
from micropython import const

_CHANGE_MA = const(3_000)   # up and down by more than this, and an eighth of it ...
_PAIR_MS = const(3_000)     # ... within such a time ...
_HOLD_MS = const(2_500)     # ... excuses for this time; so does the integrator
_OTHER_MA = const(1_500)    # it moved something else: by this and a quarter, its own coarseness
_COUNT_MS = const(900)      # shortest time between two counts
_ANSWER_MS = const(1_600)   # longest wait for its answer
_EXCUSES_MS = const(60_000) # of what is excused; comes back at half that pace
_MOST_MS = const(60_000)


class Pulses:
    """Steps with each scan.

    wants       the integrator's count is wanted, at once and again
    excused_ms  time from now for which the current is known to pulse
    sum_off     of the caller: sum of the cells less the stack, a mean times _MEAN
    """

    def __init__(self):
        self.sum_off = 0
        self.wants = False
        self._base = False          # it was read since it is wanted
        self._wanted_ms = self._asked_ms = -1
        self.excused_ms = 0
        self._rose_ms = self._fell_ms = _PAIR_MS
        self._last_ma = 0
        self._sum = self._sum_ms = 0    # mA * 100 ms shown since the last count
        self._left_ms = _EXCUSES_MS

    @micropython.native
    def step(self, current_ma, dt_ms):
        change_ma = current_ma - self._last_ma
        self._last_ma = current_ma
        if self._sum_ms < _MOST_MS:
            self._sum += current_ma * (dt_ms // 10) // 10
            self._sum_ms += dt_ms
        if self.excused_ms > 0:
            self.excused_ms -= dt_ms
        if self._rose_ms < _PAIR_MS:
            self._rose_ms += dt_ms
        if self._fell_ms < _PAIR_MS:
            self._fell_ms += dt_ms
        if abs(change_ma) > _CHANGE_MA + (abs(current_ma) >> 3):
            if change_ma > 0:
                self._rose_ms = 0
            else:
                self._fell_ms = 0
            if self._rose_ms < _PAIR_MS and self._fell_ms < _PAIR_MS:
                self.excused_ms = _HOLD_MS
        if self.wants:
            self._wanted_ms += dt_ms
            self._asked_ms += dt_ms
            if self._asked_ms > _PAIR_MS:
                self.wants = False
        elif self._left_ms < _EXCUSES_MS:
            self._left_ms += dt_ms >> 1

    def ask(self):
        """A difference is seen: find out, it may have to be excused."""
        self._asked_ms = 0
        if not self.wants:
            self.wants = True
            self._base = False
            self._wanted_ms = 0

    def due(self, dt_ms):
        """True if the integrator is to be read, *dt_ms* after the last time."""
        return self.wants and (not self._base or dt_ms >= _COUNT_MS + 100)

    def counted(self, moved_uah, dt_ms):
        """The integrator moved *moved_uah* in *dt_ms*; None: it was lost."""
        shown_ma = self._sum * 10 // (self._sum_ms // 10) if self._sum_ms >= 100 else None
        self._sum = self._sum_ms = 0
        known = self._base and moved_uah is not None
        self._base = self.wants and moved_uah is not None
        if not known or shown_ma is None or not _COUNT_MS <= dt_ms < _MOST_MS:
            return
        self._wanted_ms = _ANSWER_MS        # answered
        mean_ma = moved_uah * 36 // (dt_ms // 100)
        if abs(mean_ma - shown_ma) > _OTHER_MA + (max(abs(mean_ma), abs(shown_ma)) >> 2):
            self.excused_ms = _HOLD_MS

    def awaited(self):
        """True while the integrator's answer is on its way."""
        return self._base and self._wanted_ms < _ANSWER_MS

    def excuse(self, ms):
        """True if a difference that has lasted for *ms* more is no fault."""
        if self.excused_ms <= 0 or self._left_ms <= 0:
            return False
        self._left_ms -= ms
        return True
