"""Pre-discharge before the discharge FET (PWR-03): what hangs on the terminals is charged first.

The AFE does it: commanded to close the discharge FET, it first closes the pre-discharge FET, until
LD is near the stack or its time is over, and then the discharge FET, whatever the terminals are.
So this has to refuse before that time is over:

a short circuit   the terminals stay below _SHORT_MV: a load, even of hundreds of ampere, does not
a foreign voltage others hold the terminals at a voltage that pre-discharge does not raise

Terminals that are neither near the stack nor near 0 V are probed: pre-discharge pauses for a scan.
A load pulls them down then; a capacitor keeps its voltage, and so does a battery behind its own
diode, which the second pre-discharge does not raise. Only a discharge FET that was closed a
moment ago needs no probe.

A refusal is row PWR-03 of the protection table. It ends when the load is removed, a charger is
seen, the terminals agree with the stack or are dead, or by the host.
"""

import micropython
from micropython import const

from bms.words.rules import mask_of
from bms.words.readings import NO_READING, PACK_MV, PRECHARGE, SHORTED, STACK_MV

_ROW = mask_of("PWR-03")
_SHORT_MV = const(1000)     # 1 Ohm of the path and 52 V: what hangs there has less than 20 mOhm
_FOREIGN_MV = const(5000)   # terminals above this before anything was closed are held by others
_RISE_MV = const(1000)      # less is no progress
_APART_MV = const(3000)     # terminals this much below the stack are not to be joined to it
_FREE_SCANS = const(5)
_RECENT_MS = const(1000)    # closed so lately, what hangs there is known
_PROBE_SCANS = const(4)     # after a probe the second pre-discharge begins within
_WAIT, _REFUSE, _AGAIN = range(3)
_PRECHARGE = (0, 1, -1)     # the reading of each: nothing, trips, releases


class Predischarge:
    """Watches each pre-discharge.

    active   the AFE has the pre-discharge FET closed
    pauses   the discharge FET has to wait for a scan
    """

    def __init__(self):
        self.active = False
        self._before_mv = NO_READING    # terminals before it began, both of its FETs open
        self._scans = 0                 # after a refusal, that see its reason gone
        self._foreign = False           # why it was refused
        self.pauses = False
        self._probed = 0                # scans left in which the probe counts
        self._first_mv = 0              # terminals at the end of the first pre-discharge
        self._since_ms = _RECENT_MS     # the discharge FET was closed

    @micropython.native
    def look(self, values, active, trips, closed=False, dt_ms=100):
        """One scan.

        active   the AFE's pre-discharge FET is closed; closed: the discharge FET is
        trips    of Protection
        """
        self.active = active
        self.pauses = False
        if closed:
            self._since_ms = self._probed = 0
        elif self._since_ms < _RECENT_MS:
            self._since_ms += dt_ms
        if self._probed:
            self._probed -= 1
        pack_mv = values[PACK_MV]
        if trips & _ROW:
            verdict = self._may_try_again(values, pack_mv)
        elif active:
            verdict = self._judge(pack_mv, values[STACK_MV])
        else:
            self._before_mv = NO_READING if closed else pack_mv
            self._scans = 0
            verdict = _WAIT
        values[PRECHARGE] = _PRECHARGE[verdict]

    def _judge(self, pack_mv, stack_mv):
        """Whether it makes progress."""
        if pack_mv >= stack_mv - _APART_MV:
            return _WAIT
        before_mv = self._before_mv
        foreign = before_mv >= _FOREIGN_MV and (        # where others hold it, it stays
            pack_mv < self._first_mv + _RISE_MV if self._probed
            else abs(pack_mv - before_mv) < _RISE_MV)
        if not foreign and pack_mv >= _SHORT_MV:
            if not self._probed and self._since_ms >= _RECENT_MS:
                self.pauses = True
                self._first_mv = pack_mv
                self._probed = _PROBE_SCANS
            return _WAIT
        self._foreign = foreign         # at once: the AFE's time may be over before the next scan
        return _REFUSE

    def _may_try_again(self, values, pack_mv):
        """Whether the reason of the refusal is gone."""
        if not self._foreign:
            return _AGAIN if values[SHORTED] < 0 else _WAIT
        if pack_mv >= values[STACK_MV] - _APART_MV or pack_mv < _FOREIGN_MV:
            self._scans += 1
        else:
            self._scans = 0
        return _AGAIN if self._scans >= _FREE_SCANS else _WAIT
