"""Parameters that the AFE holds too are changed: limits told first, one short opening (PAR-04).

IDLE -> TELLING    limits are 0 and told, until the current is below 2 A, at most 5 s
     -> WRITING    both FETs are open: the rows that differ are written and read back
     -> CLOSING    the FETs close together, then the limits are what they were
Changes that come while limits are told belong to the same opening.
"""

import micropython
from bms.words.readings import CURRENT_MA, NO_READING
from micropython import const
from ticks import MASK

IDLE, TELLING, WRITING, CLOSING = range(4)
_TOLD_MS = const(1_300)     # CAN says it each second, and 200 ms more are asked for
_SETTLED_MS = const(700)    # without a further change; a host may set several, one by one
_MOST_MS = const(5_000)     # an inverter that does not follow is not waited for any longer
_LITTLE_MA = const(2_000)
_CLOSING_MS = const(4_000)  # a pre-discharge may belong to it


class AfeUpdate:
    """Decides when; the control task does it.

    pack    Pack
    phase   of the above
    briefly both FETs were opened for this alone, and none has closed yet: they close together
    """

    def __init__(self, pack):
        self._pack = pack
        self.phase = IDLE
        self.briefly = False
        self._began_ms = 0
        self._changed_ms = 0
        self._changed = 0           # params.changed at the last look

    def want(self, now_ms):
        """The AFE's configuration differs from what the parameters now ask for."""
        if self.phase == IDLE or self.phase == CLOSING:
            if self.phase == IDLE:
                self._pack.derating.pause()
            self.phase = TELLING
            self._began_ms = now_ms
        self._note(now_ms)

    def _note(self, now_ms):
        self._changed = self._pack.params.changed
        self._changed_ms = now_ms

    @micropython.native
    def is_due(self, now_ms):
        """After a fresh scan: True if both FETs shall open now and the rows be written."""
        pack = self._pack
        if self.phase != TELLING:
            return False
        if pack.params.changed != self._changed:
            self._note(now_ms)
        if not pack.fets.actual and not pack.fets.wanted:
            return True                     # nothing is opened, nobody has to know
        told_ms = (now_ms - self._began_ms) & MASK
        if told_ms >= _MOST_MS:
            return True
        current_ma = pack.measurements.values[CURRENT_MA]
        return (told_ms >= _TOLD_MS and (now_ms - self._changed_ms) & MASK >= _SETTLED_MS
                and current_ma != NO_READING and abs(current_ma) < _LITTLE_MA)

    def writes(self):
        """The FETs are open, and the AFE is being written."""
        self.phase = WRITING

    def written(self, now_ms):
        """The AFE holds what it shall."""
        self.phase = CLOSING
        self.briefly = True
        self._began_ms = now_ms

    @micropython.native
    def follow(self, now_ms):
        """After a scan: once the FETs are as the pack wants them the limits come back."""
        fets = self._pack.fets
        if fets.actual:
            self.briefly = False
        if self.phase == CLOSING:
            if (fets.actual == fets.wanted and fets.wanted == self._pack.allowed()
                    or (now_ms - self._began_ms) & MASK >= _CLOSING_MS):
                self.cancel()

    def cancel(self):
        """It is over, or something else configures the AFE anew with all that was asked."""
        self.briefly = False
        if self.phase != IDLE:
            self.phase = IDLE
            pack = self._pack
            pack.derating.resume(pack.allowed() & ~pack.protection.pending)
