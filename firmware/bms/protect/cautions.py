"""What keeps a pack from more than single thresholds: starts, deep discharge, ignored limits,
pre-discharge."""

import micropython
from bms.measure.collapse import Collapse
from bms.protect.deep import Deep
from bms.protect.fets import FET_DSG, FET_PDSG
from bms.protect.ignored import IgnoredLimits
from bms.protect.predischarge import Predischarge
from bms.words.readings import CURRENT_MA
from bms.words.rules import DISCHARGE, FAULT_CURRENT, ITEMS, mask_of
from bms.protect.starts import Starts
from bms.words.states import DISCHARGING

_CHARGE_IGNORED = mask_of("PRO-30-charge")
_CHARGE_IGNORED_AT = [item[0] for item in ITEMS].index("PRO-30-charge")


class Cautions:
    """The parts, each with a rule of its own: Starts, Deep, IgnoredLimits, Predischarge,
    Collapse."""

    def __init__(self):
        self.starts = Starts()
        self.deep = Deep()
        self._ignored = IgnoredLimits()
        self.predischarge = Predischarge()
        self._collapse = Collapse()

    def load(self, params):
        self.deep.load(params)
        self._ignored.load(params)

    @micropython.native
    def step(self, now_ms, faults):
        """Now and then, scans or not."""
        self.starts.step(now_ms, faults)

    @micropython.native
    def held(self, pending):
        """FETs that have to wait. *pending*: those that a timer may soon hold off."""
        held = pending & self.starts.untried
        if self.predischarge.pauses:
            held |= DISCHARGE
        return held

    @micropython.native
    def look(self, pack, conditions, dt_ms):
        """One scan of *pack*: *conditions* of the table with those of here; readings of here."""
        values = pack.measurements.values
        trips = pack.protection.trips
        limits = pack.derating
        asked = pack.asked
        ccl_ma = limits.ccl_ma      # while it rises, what it rises to: the pack allows that
        if ccl_ma:
            ccl_ma = min(max(ccl_ma, limits.charge_target_ma), asked.ccl_ma)
        dcl_ma = limits.dcl_ma
        if dcl_ma:
            dcl_ma = min(max(dcl_ma, limits.discharge_target_ma), asked.dcl_ma)
        gentle_ma = self.deep.most_ma if self.deep.limits else 0
        self._ignored.look(values, ccl_ma, dcl_ma, gentle_ma, trips, dt_ms)
        if gentle_ma and trips & _CHARGE_IGNORED:       # its pauses are no trips in a row
            pack.protection.recall_row(_CHARGE_IGNORED_AT, 0)
        fets = pack.measurements.fets
        if self._collapse.step(values, fets & FET_DSG):
            pack.set_fault(FAULT_CURRENT, True, values[CURRENT_MA], 0)
        self.predischarge.look(values, fets & FET_PDSG != 0, trips, fets & FET_DSG != 0, dt_ms)
        conditions = self.deep.look(values, trips, conditions, pack.direction == DISCHARGING,
                                    dt_ms)
        return conditions | self.starts.look(pack.power.is_down(), pack.fets.wanted)
