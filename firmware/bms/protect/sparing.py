"""The FET that is off while current runs through its body diode (PRO-28).

The AFE's own saver is off: it believes the current alone, and closed a tripped charge FET 80 000
times for an offset of 2 A. Here the other FET is closed only
  where a voltage holds it off: after an over-current, a short circuit or a temperature trip of its
  direction nothing closes it, and the MOSFETs' temperature (PRO-17) is what spares the diode
  for a current that no offset of the sensor explains, which has lasted for a while
  with the terminals a diode drop away from the stack

And whatever closes a FET beside a current through its diode, a release by that current too, has
to be borne out: the drop of the diode is gone within two scans, or the current is. If neither is,
the current that is shown is none.
"""

import micropython
from bms.words import rules
from bms.words.rules import BOTH, CHARGE, DISCHARGE, ITEMS, mask_of
from bms.words.quota import Quota
from bms.words.readings import CURRENT_MA, PACK_MV, STACK_MV, SUM_IMPLAUSIBLE, WIRE_OPEN
from bms.words.timer import leaky
from micropython import const

_DROP_MV = const(250)           # a diode's is 0.4 to 0.9 V
_PROOF_SCANS = const(2)
_LASTS_SCANS = const(3)         # at a start the second FET follows the first sooner than this
_END_SHARE = const(5)           # the spared FET opens again below this part of the current
_CLOSINGS = const(6)            # of a FET to spare its diode ...
_HOUR_MS = const(3_600_000)     # ... in an hour; then it is as warm as PRO-17 allows
_VOLTAGES = mask_of("PRO-01", "PRO-02", "PRO-03", "PRO-04")


def _items_blocking(fet):
    """Items but those of voltage that hold *fet* off."""
    mask = 0
    for i in range(len(ITEMS)):
        if ITEMS[i][rules.BLOCKS] & fet:
            mask |= 1 << i
    return mask & ~_VOLTAGES


_CHARGE_ITEMS = _items_blocking(CHARGE)
_DISCHARGE_ITEMS = _items_blocking(DISCHARGE)


def open_diode(current_ma, closed, least_ma):
    """The FET through whose diode a current beyond *least_ma* runs, 0: none."""
    if closed == DISCHARGE and current_ma < -least_ma:
        return CHARGE
    if closed == CHARGE and current_ma > least_ma:
        return DISCHARGE
    return 0


class Sparing:
    """Looks at each scan.

    spared   FETs to be closed though a voltage protection holds them off
    """

    def __init__(self):
        self.spared = 0
        self._spare_ma = self._spare_ms = self._least_ma = 0
        self._ms = -1               # leaky: a diode carries what it should not for long
        self._quota = Quota(_CLOSINGS, _HOUR_MS)
        self._was_closed = 0        # at the scan before
        self._above_mv = 0          # terminals above the stack then
        self._diode = 0             # the FET whose diode carries the current
        self._diode_scans = 0       # for so many scans, that one included
        self._proving = 0           # FET that has closed and is to be borne out
        self._before_mv = 0
        self._scans = 0

    def load(self, params):
        self._spare_ma = params["diode_spare_ma"]
        self._spare_ms = params["diode_spare_ms"]
        self._least_ma = params["other_way_ma"]

    @micropython.native
    def step(self, measured, closed, trips, blocked):
        """False if a FET has closed for a current that nothing bears out.

        closed    FETs that are closed with this scan; trips, blocked: of Protection
        """
        if closed == BOTH and self._was_closed == BOTH and not self.spared and not self._proving:
            return True
        if measured.doubts & (SUM_IMPLAUSIBLE | WIRE_OPEN):
            self.spared = self._diode = self._proving = 0
            self._was_closed = closed
            return True
        values = measured.values
        current_ma = values[CURRENT_MA]
        above_mv = values[PACK_MV] - values[STACK_MV]
        proven = self._prove(current_ma, above_mv, closed)
        self._spare(current_ma, above_mv, closed, measured, trips, blocked)
        self._was_closed = closed
        self._above_mv = above_mv
        diode = open_diode(current_ma, closed, self._least_ma)
        self._diode_scans = min(self._diode_scans + 1, _LASTS_SCANS) if diode == self._diode else 1
        self._diode = diode
        return proven

    def _prove(self, current_ma, above_mv, closed):
        if (self._diode and closed == BOTH and self._was_closed != BOTH
                and self._diode_scans >= _LASTS_SCANS):
            self._proving = self._diode
            self._before_mv = self._above_mv
            self._scans = 0
        way = self._proving
        if not way:
            return True
        flows = current_ma < -self._least_ma if way == CHARGE else current_ma > self._least_ma
        gone_mv = above_mv - self._before_mv if way == CHARGE else self._before_mv - above_mv
        if closed != BOTH or not flows or gone_mv >= _DROP_MV:
            self._proving = 0
            return True
        self._scans += 1
        if self._scans <= _PROOF_SCANS:
            return True
        self._proving = 0
        return False

    def _spare(self, current_ma, above_mv, closed, measured, trips, blocked):
        dt_ms = measured.dt_ms
        self._quota.step(dt_ms)
        spared = self.spared
        if spared:
            ends_ma = self._spare_ma // _END_SHARE
            flows = current_ma < -ends_ma if spared == CHARGE else current_ma > ends_ma
            if not flows or not self._may_spare(spared, trips, blocked):
                self.spared = 0
            return
        way = open_diode(current_ma, closed, self._spare_ma)
        drop_mv = above_mv if way == DISCHARGE else -above_mv
        self._ms = leaky(self._ms, dt_ms, way != 0 and self._may_spare(way, trips, blocked) and (
            drop_mv >= _DROP_MV or not measured.terminals_known))
        if way and self._ms >= self._spare_ms and self._quota.left:
            self._ms = -1
            self._quota.use()
            self.spared = way

    def _may_spare(self, way, trips, blocked):
        return blocked & way and not trips & (_CHARGE_ITEMS if way == CHARGE else _DISCHARGE_ITEMS)
