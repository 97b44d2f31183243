"""FETs that do not do what was commanded, seen by current and voltage (SAF-05)."""

import micropython
from bms.protection_rules import BOTH, CHARGE, DISCHARGE, FAULT_OPEN, FAULT_WELD
from bms.readings import CURRENT_MA, PACK_MV, STACK_MV
from bms.timer import SOON_MS, longer
from micropython import const

OPEN_MV = const(500)        # drop over closed FETs, beyond resistive_mv()
_OPEN_UOHM = const(3000)


def resistive_mv(current_ma):
    """Drop over closed FETs and wires that *current_ma* may cause."""
    return abs(current_ma) // 1000 * _OPEN_UOHM // 1000


class FetWatch:
    """Current against an open FET, and no conduction through closed ones.

    soon           a fault is about to be raised
    value, limit   what the fault that step() returned is about
    """

    def __init__(self):
        self.soon = False
        self.value = self.limit = 0
        self._fail_ma = self._fail_ms = 0
        self._weld_ms = -1          # -1: not | ms since it was first seen
        self._open_ms = -1

    def load(self, params):
        self._fail_ma = params["fet_fail_ma"]
        self._fail_ms = params["fet_fail_ms"]

    @micropython.native
    def step(self, measured, fets):
        """The fault to be raised after the newest scan, 0: none."""
        wanted = fets.wanted
        self.soon = False
        if wanted & fets.actual == BOTH:
            self._weld_ms = -1
            values = measured.values
            drop_mv = abs(values[PACK_MV] - values[STACK_MV])
            if drop_mv > OPEN_MV:
                return self._watch_drop(measured, drop_mv)
            self._open_ms = -1
            return 0
        self._open_ms = -1
        return self._watch_weld(measured, wanted)

    def _watch_weld(self, measured, wanted):
        """*wanted*, not what is closed: the AFE may close a FET in bursts."""
        current_ma = measured.values[CURRENT_MA]
        if (current_ma > self._fail_ma and not wanted & CHARGE
                or current_ma < -self._fail_ma and not wanted & DISCHARGE):
            self._weld_ms = longer(self._weld_ms, measured.dt_ms)
            self.soon = self._weld_ms >= self._fail_ms - SOON_MS
            if self._weld_ms >= self._fail_ms:
                self.value = current_ma
                self.limit = self._fail_ma
                return FAULT_WELD
        else:
            self._weld_ms = -1
        return 0

    def _watch_drop(self, measured, drop_mv):
        """Closed FETs with a drop between stack and terminals: one of them is open."""
        if (drop_mv <= OPEN_MV + resistive_mv(measured.values[CURRENT_MA])
                or measured.doubts or not measured.terminals_known):
            self._open_ms = -1
            return 0
        self._open_ms = longer(self._open_ms, measured.dt_ms)
        self.soon = self._open_ms >= self._fail_ms - SOON_MS
        if self._open_ms < self._fail_ms:
            return 0
        self.value = drop_mv
        self.limit = OPEN_MV
        return FAULT_OPEN
