"""FETs that do not do what was commanded, seen by current and voltage (SAF-05)."""

import micropython
from bms.words.rules import BOTH, CHARGE, DISCHARGE, FAULT_OPEN, FAULT_UNPROVEN, FAULT_WELD
from bms.words.readings import CURRENT_MA, PACK_MV, STACK_MV
from bms.words.timer import SOON_MS, leaky
from bound import bind
from micropython import const

OPEN_MV = const(500)        # drop over closed FETs, beyond resistive_mv()
_OPEN_UOHM = const(3000)
_APART_MV = const(1500)     # terminals further from the stack than a diode: nothing conducts
_DIODE_MV = const(250)      # the drop of a diode that conducts is larger
_UNSURE = const(38)         # 1/38 of the stack more, while their gain is not learnt
_MINUTE_MS = const(60_000)
_GREAT_MA = const(50_000)   # nothing but a short circuit or a charger far too strong drives this
_OLD_SCANS = const(1)       # voltages of the first scan after a command may be of before
_HASTE = const(4)           # factor by which its time runs faster


def resistive_mv(current_ma):
    """Drop over closed FETs and wires that *current_ma* may cause."""
    return abs(current_ma) // 1000 * _OPEN_UOHM // 1000


class FetWatch:
    """Current against an open FET, and no conduction through closed ones.

    A current that is shown against an open FET is a weld only where the terminals are as near to
    the stack as a FET that conducts would hold them; else it is the sensor's.

    soon           a fault is about to be raised
    value, limit   what the fault that step() or count() returned is about
    """

    def __init__(self):
        self.soon = False
        self.value = self.limit = 0
        self._fail_ma = self._fail_ms = self._leak_ma = self._leak_ms = self._leak_uah = 0
        self._weld_ms = -1          # leaky timers, -1: not
        self._small_ms = -1
        self._open_ms = -1
        self._off = 0               # FETs that were off in each scan since charge was counted
        self._charged_uah = self._discharged_uah = 0    # against an open FET, in this minute
        self._counted_ms = 0
        self._wanted = self._before = 0     # now, and before it changed
        self._scans = 0             # since then
        self._apart = False         # in the newest scan the terminals were too far from the stack
        bind(self, "step", "count", "_watch_weld", "_watch_drop", "_against")

    def load(self, params):
        self._fail_ma = params["fet_fail_ma"]
        self._fail_ms = params["fet_fail_ms"]
        self._leak_ma = params["fet_leak_ma"]
        self._leak_ms = params["fet_leak_ms"]
        self._leak_uah = params["fet_leak_mah"] * 1000

    @micropython.native
    def step(self, measured, fets):
        """The fault to be raised after the newest scan, 0: none."""
        wanted = fets.wanted
        self.soon = False
        if wanted & fets.actual == BOTH:
            self._off = 0
            self._wanted = BOTH
            values = measured.values
            drop_mv = abs(values[PACK_MV] - values[STACK_MV])
            if self._small_ms != -1:
                self._weld_ms = leaky(self._weld_ms, measured.dt_ms, False)
                self._small_ms = leaky(self._small_ms, measured.dt_ms, False)
            if drop_mv > OPEN_MV or self._open_ms != -1:
                return self._watch_drop(measured, drop_mv)
            return 0
        self._open_ms = -1
        return self._watch_weld(measured, wanted)

    def _watch_weld(self, measured, wanted):
        """*wanted*, not what is closed: whatever closes a FET against the command."""
        values = measured.values
        current_ma = values[CURRENT_MA]
        self._off &= ~wanted
        against_ma = 0
        if current_ma > 0 and not wanted & CHARGE or current_ma < 0 and not wanted & DISCHARGE:
            against_ma = abs(current_ma)
        if wanted != self._wanted:
            self._before = self._wanted
            self._wanted = wanted
            self._scans = 0
        elif self._scans < _OLD_SCANS:
            self._scans += 1
        else:
            self._before = wanted
        self._apart = not measured.doubts and self._cannot_flow(
            current_ma, values[PACK_MV] - values[STACK_MV], wanted | self._before,
            0 if measured.terminals_known else values[STACK_MV] // _UNSURE)
        dt_ms = measured.dt_ms
        large = against_ma > self._fail_ma
        small = against_ma > self._leak_ma
        haste = _HASTE if against_ma > _GREAT_MA else 1
        self._weld_ms = min(leaky(self._weld_ms, dt_ms * haste, large), self._fail_ms)
        self._small_ms = min(leaky(self._small_ms, dt_ms, small), self._leak_ms)
        self.soon = (self._weld_ms >= self._fail_ms - SOON_MS
                     or self._small_ms >= self._leak_ms - SOON_MS)
        if large and self._weld_ms >= self._fail_ms:
            return self._against(current_ma, self._fail_ma)
        if small and self._small_ms >= self._leak_ms:
            return self._against(current_ma, self._leak_ma)
        return 0

    def _cannot_flow(self, current_ma, above_mv, wanted, unsure_mv):
        """True where the terminals are such that the current cannot pass even a welded FET.

        It passes the diode of the other FET, or that one too is closed.
        """
        beyond_mv = above_mv            # in the direction of the current
        other = wanted & DISCHARGE
        if current_ma < 0:
            beyond_mv = -above_mv
            other = wanted & CHARGE
        least_mv = -_DIODE_MV if other else _DIODE_MV
        most_mv = _APART_MV + resistive_mv(current_ma)
        return not least_mv - unsure_mv <= beyond_mv <= most_mv + unsure_mv

    def _against(self, current_ma, limit_ma):
        self.value = current_ma
        self.limit = limit_ma
        return FAULT_UNPROVEN if self._apart else FAULT_WELD

    def clear(self):
        """Host command: what was seen and counted until now is forgotten."""
        self._weld_ms = self._small_ms = self._open_ms = -1
        self._off = self._counted_ms = self._charged_uah = self._discharged_uah = 0

    def count(self, charge_uah, dt_ms):
        """The fault to be raised for what the integrator has moved in the last *dt_ms*, 0: none.

        Pulses between the scans are seen by it alone.
        """
        off = self._off
        self._off = BOTH
        self._counted_ms += dt_ms
        if charge_uah > 0 and off & CHARGE:
            self._charged_uah += charge_uah
        elif charge_uah < 0 and off & DISCHARGE:
            self._discharged_uah -= charge_uah
        most_uah = max(self._charged_uah, self._discharged_uah)
        if self._counted_ms >= _MINUTE_MS:
            self._counted_ms = self._charged_uah = self._discharged_uah = 0
        if most_uah < self._leak_uah:
            return 0
        return self._against(charge_uah * 36 // (dt_ms // 100 + 1), self._leak_ma)

    def _watch_drop(self, measured, drop_mv):
        """Closed FETs with a drop between stack and terminals: one of them is open."""
        dropped = (drop_mv > OPEN_MV + resistive_mv(measured.values[CURRENT_MA])
                   and not measured.doubts and measured.terminals_known)
        self._open_ms = min(leaky(self._open_ms, measured.dt_ms, dropped), self._fail_ms)
        if not dropped:
            return 0
        pulses = measured.pulses
        pulses.ask()
        self.soon = self._open_ms >= self._fail_ms - SOON_MS and pulses.excused_ms <= 0
        if self._open_ms < self._fail_ms or pulses.awaited():
            return 0
        if pulses.excuse(self._fail_ms):
            self._open_ms = 0
            return 0
        self.value = drop_mv
        self.limit = OPEN_MV
        return FAULT_OPEN
