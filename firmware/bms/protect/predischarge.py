"""Pre-discharge before the discharge FET (PWR-03): what hangs on the terminals is charged first.

The AFE does it: commanded to close the discharge FET, it first closes the pre-discharge FET with
its resistor, until LD is near the stack or its time is over, and then the discharge FET, whatever
the terminals are. So this has to refuse before that time is over.

Refused is what would draw _MOST_MA or more once the discharge FET is closed. Two points tell it:
the terminals' voltage with the pre-discharge FET open (V0) and closed (V1, with the current I1).
What hangs there has the resistance (V1 - V0) / I1 and is at V0, so it would draw
I1 * (stack - V0) / (V1 - V0). A short circuit has V1 = V0 = 0, a battery has V1 = V0; a load of
60 A has neither. The voltage of a scan may be 100 ms old, the current is not: voltages count from
the second scan on that the FET is so.

state   what it waits for; then
IDLE    pre-discharge begins: FIRST; KNOWN if the discharge FET was closed a moment ago
FIRST   first scan: current and voltage are those of a short circuit: refused
        second scan: the terminals are near the stack: KNOWN. Too much by V0 of before: refused.
        Else PAUSE: what V0 was before may have been empty, or a battery behind its diode
PAUSE   two scans with it open: V0. Not too much: KNOWN. Else SECOND: a capacitor or a battery
SECOND  second scan: terminals that have risen since are a capacitor: KNOWN. Else refused
KNOWN   a short circuit is still refused; the AFE closes the discharge FET. Closed: IDLE

A refusal is row PWR-03 of the protection table. It ends
* by the host, and when Flow says that it is time to try again: after 30 s, later ones after more;
* a short circuit: when the load is removed or a charger is seen, the first _FREELY times in a row;
* a foreign voltage: when the terminals agree with the stack, or, if they had a voltage of their
  own before, are dead.
"""

import micropython
from micropython import const

from bms.words.rules import mask_of
from bms.words.readings import (
    CURRENT_MA,
    NO_READING,
    OVER,
    PACK_MV,
    PRECHARGE,
    SHORTED,
    STACK_MV,
    TRY,
)

_ROW = mask_of("PWR-03")
IDLE, FIRST, PAUSE, SECOND, KNOWN = range(5)
_MOST_MA = const(300_000)   # PRO-08 trips at 350 A
_PATH_PERMILLE = const(1150)    # 0.15 Ohm, 52 V / 350 A, behind the resistor of 1 Ohm
_LOW_MV = const(8000)       # more is no short circuit of 0.15 Ohm
_DEAD_MV = const(1000)      # 1 Ohm of the path and 52 V: what hangs there has less than 20 mOhm
_FOREIGN_MV = const(5000)   # terminals above this before anything was closed are held by others
_RISE_MV = const(1000)      # less is no progress
_APART_MV = const(3000)     # terminals this much below the stack are not to be joined to it
_FREE_SCANS = const(5)
_RECENT_MS = const(1000)    # closed so lately, what hangs there is known
_LOST_SCANS = const(50)     # without pre-discharge: others hold it off, what was found is old
_FREELY = const(4)          # refusals in a row that end with the load: the resistor gets warm
_SURE_MS = const(10_000)    # the discharge FET stayed closed: the row of refusals is over
_WAIT, _REFUSE, _AGAIN = range(3)
_PRECHARGE = (0, 1, -1)     # the reading of each: nothing, trips, releases
_NONE, _SHORT, _HELD, _BEHIND = range(4)    # why it was refused: a battery behind its diode


def _too_much(now_ma, stack_mv, v0_mv, v1_mv):
    """Whether what draws *now_ma* at *v1_mv*, and none at *v0_mv*, would draw _MOST_MA."""
    rise_mv = v1_mv - v0_mv
    if rise_mv <= 0:
        return True
    return (now_ma // 100) * ((stack_mv - v0_mv) // 100) >= (_MOST_MA // 100) * (rise_mv // 100)


class Predischarge:
    """Watches each pre-discharge.

    active   the AFE has the pre-discharge FET closed
    state    IDLE, FIRST, PAUSE, SECOND or KNOWN
    pauses   the discharge FET has to wait
    """

    def __init__(self):
        self.active = False
        self.pauses = False
        self.state = IDLE
        self._scans = 0                 # for which the pre-discharge FET is as it is
        self._free = 0                  # after a refusal, that see its reason gone
        self._before_mv = NO_READING    # terminals before it began, both of its FETs open
        self._first_mv = 0              # V1 of the first pre-discharge
        self._first_ma = 0
        self._why = _NONE               # it was refused
        self._refusals = 0              # in a row
        self._since_ms = _RECENT_MS     # the discharge FET was closed
        self._closed_ms = 0             # it is closed for so long

    @micropython.native
    def look(self, values, active, trips, closed=False, dt_ms=100):
        """One scan.

        active   the AFE's pre-discharge FET is closed; closed: the discharge FET is
        trips    of Protection
        """
        self._scans = self._scans + 1 if active == self.active else 1
        self.active = active
        if closed:
            self._is_closed(dt_ms)
        else:
            self._closed_ms = 0
            if self._since_ms < _RECENT_MS:
                self._since_ms += dt_ms
        if trips & _ROW:
            self.pauses = False
            self.state = IDLE
            verdict = self._may_try_again(values)
        else:
            verdict = _WAIT
            self._free = 0
            if active:
                why = self._judge(values)
                if why:
                    self._why = why
                    self._refusals += 1
                    verdict = _REFUSE
            elif not closed:
                self._rest(values)
            else:
                self._before_mv = NO_READING
        values[PRECHARGE] = _PRECHARGE[verdict]

    def _is_closed(self, dt_ms):
        self._since_ms = 0
        self.state = IDLE
        self.pauses = False
        if self._closed_ms < _SURE_MS:
            self._closed_ms += dt_ms
        else:
            self._refusals = 0

    def _judge(self, values):
        """Pre-discharge is on: why it is to be refused, or _NONE."""
        stack_mv = values[STACK_MV]
        current_ma = values[CURRENT_MA]
        now_ma = -current_ma if current_ma != NO_READING else 0
        pack_mv = values[PACK_MV]
        if now_ma // 100 * _PATH_PERMILLE >= stack_mv * 10 and pack_mv < _LOW_MV:
            return _SHORT       # by both: since the FETs were read the other one may have closed
        state = self.state
        if state == IDLE:
            self.state = state = KNOWN if self._since_ms < _RECENT_MS else FIRST
        if self._scans < 2 or state == PAUSE:
            return _NONE
        if pack_mv < _DEAD_MV:
            return _SHORT
        if state == KNOWN:
            return _NONE
        if pack_mv >= stack_mv - _APART_MV:
            self.state = KNOWN
            return _NONE
        if state == SECOND:
            if pack_mv < self._first_mv + _RISE_MV:
                return _BEHIND
            self.state = KNOWN
            return _NONE
        now_ma = max(now_ma, stack_mv - pack_mv)        # by the shunt, and by 1 Ohm
        before_mv = self._before_mv
        if before_mv == NO_READING or before_mv > pack_mv + _RISE_MV:   # a load came since
            before_mv = 0
        if _too_much(now_ma, stack_mv, before_mv, pack_mv):
            return _HELD if before_mv >= _FOREIGN_MV else _SHORT
        self._first_mv = pack_mv
        self._first_ma = now_ma
        self.state = PAUSE
        self.pauses = True
        return _NONE

    def _rest(self, values):
        """Pre-discharge is off, and the discharge FET open."""
        pack_mv = values[PACK_MV]
        self._before_mv = pack_mv
        state = self.state
        if state == PAUSE:
            if self._scans >= 2:
                self.pauses = False
                self.state = SECOND if _too_much(self._first_ma, values[STACK_MV], pack_mv,
                                                 self._first_mv) else KNOWN
        elif state and self._scans >= _LOST_SCANS:
            self.state = IDLE

    def _may_try_again(self, values):
        """Whether the reason of the refusal is gone, or may be."""
        shorted = values[SHORTED]
        if shorted == TRY:
            return _AGAIN
        why = self._why
        if why == _NONE or why == _SHORT:           # none: it was before the restart
            return _AGAIN if shorted == OVER and self._refusals <= _FREELY else _WAIT
        pack_mv = values[PACK_MV]
        if (pack_mv >= values[STACK_MV] - _APART_MV
                or why == _HELD and pack_mv < _FOREIGN_MV):
            self._free += 1
        else:
            self._free = 0
        return _AGAIN if self._free >= _FREE_SCANS else _WAIT
