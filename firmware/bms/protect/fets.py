"""The one owner of both FETs: what they shall be, and whether they are (PWR-01, PRO-28)."""

import micropython
from bms.words.rules import CHARGE, DISCHARGE
from bms.words.quota import Quota
from bms.protect.sparing import Sparing
from bound import bind
from micropython import const

FET_CHG = 0x01          # bits of the FET status, as the AFE driver gives it
FET_DSG = 0x04
FET_PDSG = 0x08         # pre-discharge: the discharge FET comes after it (PWR-03)
_PATIENCE_SCANS = 5     # scans a FET may stay open against its command before it is a fault
_CLOSED_SCANS = 2       # scans it may stay closed
_CLOSINGS = 5           # closings against the command ...
_WINDOW_MS = 10_000     # ... in 10 s that are not a fault yet
_HOLD_MS = const(1_000)     # the fault stays this long after its cause, then twice as long ...
_LONGEST_MS = const(60_000)  # ... the next time, and so on up to this
_CALM_MS = const(600_000)   # without it: the next one is the first again
OBEYS, DISOBEYS, CLOSES = range(3)      # what read_back() finds


@micropython.native
def fets_of(status):
    """Bits CHARGE | DISCHARGE of an AFE FET *status*."""
    return (CHARGE if status & FET_CHG else 0) | (DISCHARGE if status & FET_DSG else 0)


@micropython.native
def _leak(count, odd, most):
    """A count of odd scans, each 2, that scans without take 1 off."""
    if odd:
        return min(count + 2, 2 * most)
    return count - 1 if count else 0


class Fets:
    """Commands and read-back.

    wanted    bits CHARGE | DISCHARGE commanded
    actual    the same bits as the AFE reported with the newest scan
    unsure    True until a command was given and again after every AFE restart
    sparing   Sparing: whose body diode is to be spared
    """

    def __init__(self):
        self.wanted = 0
        self.actual = 0
        self.unsure = True
        self.sparing = Sparing()
        self._disobeyed = 0         # 2 for each scan that disobeys, less those that obey
        self._against = 0           # the same of those with a FET closed against the command
        self._closings = Quota(_CLOSINGS, _WINDOW_MS)
        self._hold_ms = _HOLD_MS    # of the next time
        self._left_ms = 0           # of this one
        self._calm_ms = 0           # since the last one
        bind(self, "needs_command", "read_back", "_hold")

    @micropython.native
    def needs_command(self, wanted):
        """True if *wanted* must be sent: it differs from the last command or was not followed."""
        return self.unsure or wanted != self.wanted or self._disobeyed > 2

    def commanded(self, wanted):
        """The AFE took the command *wanted*."""
        self.wanted = wanted
        self.unsure = False
        self._disobeyed = 0 if self._disobeyed <= 2 else self._disobeyed

    @micropython.native
    def read_back(self, status, afe_tripped, dt_ms):
        """Compare the AFE's FET *status* with the command: OBEYS; DISOBEYS is a fault while it
        lasts and a while longer, for a FET that obeys again with both off may do so because they
        are off; CLOSES: it has closed a FET against the command too often, which is one for good.

        Not a fault: the AFE's own protections (*afe_tripped*) hold a FET off; a discharge FET that
        waits for pre-discharge.
        """
        actual = fets_of(status)
        was = self.actual
        self.actual = actual
        odd = actual ^ self.wanted
        if status & FET_PDSG and self.wanted & DISCHARGE:
            odd &= ~DISCHARGE
        self._closings.step(dt_ms)
        if self.unsure:
            self._disobeyed = self._against = 0
            return OBEYS
        against = odd & actual
        result = OBEYS
        if against & ~was and not self._closings.use():
            result = CLOSES
        self._against = _leak(self._against, against, _CLOSED_SCANS)
        self._disobeyed = _leak(self._disobeyed, odd and not (afe_tripped and not against),
                                _PATIENCE_SCANS + 1)
        if result == OBEYS and (self._disobeyed >= 2 * (_PATIENCE_SCANS + 1)
                                or self._against >= 2 * _CLOSED_SCANS):
            result = DISOBEYS
        if result == DISOBEYS or self._left_ms:
            result = self._hold(result, dt_ms)
        elif self._calm_ms < _CALM_MS:
            self._calm_ms += dt_ms
        else:
            self._hold_ms = _HOLD_MS
        return result

    def _hold(self, result, dt_ms):
        """Keep DISOBEYS up long enough not to close a FET again and again that cannot be held."""
        if result == DISOBEYS:
            if not self._left_ms:
                self._calm_ms = 0
                self._left_ms = self._hold_ms
                self._hold_ms = min(2 * self._hold_ms, _LONGEST_MS)
            return DISOBEYS
        self._left_ms = max(0, self._left_ms - dt_ms)
        return result if result == CLOSES or not self._left_ms else DISOBEYS

    def restarted(self):
        """The AFE lost its state: whatever was commanded is void, both FETs count as open."""
        self.wanted = 0
        self.unsure = True
        self._disobeyed = 0
