"""Where the current flows and what is at the terminals: the conditions of the protection table."""

import micropython
from bms.words import rules
from bms.measure.other_way import OtherWay
from bms.measure.polarity import Polarity
from bms.words.rules import CHARGE, mask_of
from bms.words.quota import Quota
from bms.words.retry import Retry
from bms.words.readings import (
    CURRENT_MA,
    LD_MV,
    OVER,
    PACK_MV,
    REVERSED,
    SHORTED,
    STACK_MV,
    SUM_IMPLAUSIBLE,
    TRY,
    WIRE_OPEN,
)
from bms.measure.sign_watch import TerminalWatch
from bms.words.states import CHARGING, DISCHARGING, STANDBY
from bms.words.timer import leaky
from bound import bind
from micropython import const

_SHORT = mask_of("PRO-08", "PWR-03")
_OVER_VOLTAGE = mask_of("PRO-01", "PRO-03")
_UNSURE = const(38)         # 1/38 = 2.6 % of the stack: terminals that nothing is learnt of yet
_NEAR_MV = const(60)        # beyond what two channels of one reference differ by
_NEAR_MS = const(1000)
_DIODE_MV = const(250)      # the drop of a body diode that conducts is larger
_RELIEFS = const(6)         # PRO-32: releases of an over-voltage by discharge ...
_HOUR_MS = const(3_600_000)     # ... in an hour
_FREE_SCANS = const(5)      # load detect: scans for which the terminals have to be up


def _surely(above_mv, stack_mv):
    """What is left of *above_mv* with both inputs at the worst end of their tolerance (MEA-06)."""
    unsure_mv = stack_mv // _UNSURE
    return (above_mv - unsure_mv if above_mv > unsure_mv
            else above_mv + unsure_mv if above_mv < -unsure_mv else 0)


class Flow:
    """Direction, charger, load and polarity.

    direction      STANDBY, CHARGING or DISCHARGING of bms.words.states
    charger_seen   terminals say that a charger is there
    charger_near   the same, and also a charger that is only a little above the stack: the
                   terminals rose when the charge FET opened, beyond what was learnt of them while
                   it was closed. For the lamps: what hangs on the terminals keeps them up as well
    contradicted   the terminals say that the current that is shown does not flow
    above_mv       terminals above the stack, 0 where the stack is in doubt
    wrong_scans    in a row, that see a reversed charger while the discharge FET is open and PRO-18
                   does not hold yet: that FET, which would join the two, has to wait
    """

    def __init__(self):
        self.direction = STANDBY
        self.charger_seen = self.charger_near = False
        self.contradicted = False
        self.above_mv = 0
        self._other_way_ma = self._charger_mv = self._rest_ma = self._removed_mv = 0
        self._other_way_ms = 0
        self._charges = OtherWay()
        self._discharges = OtherWay()
        self._reliefs = Quota(_RELIEFS, _HOUR_MS)
        self._relieved = False      # an over-voltage was given a release by discharge
        self._charger_ms = -1       # leaky: a charger is seen
        self._near_ms = -1          # leaky: terminals a little above the stack
        self._is_near = False       # ... long enough; lamps do not follow the noise of a reading
        self._polarity = Polarity()
        self.wrong_scans = 0
        self._free_scans = 0
        self._retry = Retry()
        self._terminals = TerminalWatch()
        bind(self, "look", "_relieve", "_are_free")

    def load(self, params):
        self._other_way_ma = params["other_way_ma"]
        self._charger_mv = params["charger_seen_mv"]
        self._other_way_ms = params["other_way_ms"]
        self._rest_ma = params["rest_ma"]
        self._removed_mv = params["load_removed_mv"]

    @micropython.native
    def look(self, measured, actual, trips, wanted):
        """Look at the newest scan; return the conditions of the table, all but that of SOC.

        actual   FETs that were closed at the scan before; trips: of Protection
        wanted   FETs that have been commanded to be closed since
        """
        values = measured.values
        current_ma = values[CURRENT_MA]
        charger_mv = self._charger_mv
        conditions = 0
        above_mv = 0                        # a stack in doubt says nothing of the terminals
        if not measured.doubts & (SUM_IMPLAUSIBLE | WIRE_OPEN):
            above_mv = values[PACK_MV] - values[STACK_MV]
            if not measured.terminals_known:
                above_mv = _surely(above_mv, values[STACK_MV])
        direction = STANDBY                 # at rest, or against what the terminals say;
        if actual:                          # both open: what the shunt shows is an offset
            if current_ma > self._rest_ma and above_mv > -charger_mv:
                direction = CHARGING
                conditions = rules.CHARGE_FLOWS
            elif current_ma < -self._rest_ma and above_mv < charger_mv:
                direction = DISCHARGING
        self.direction = direction
        self.above_mv = above_mv
        terminals = self._terminals
        if terminals.weighing or abs(above_mv) > charger_mv:
            self.contradicted = terminals.weigh(current_ma, above_mv, charger_mv, actual,
                                                measured.pulses)
        charges = direction == CHARGING and not terminals.no_charge
        discharges = direction == DISCHARGING and not terminals.no_discharge
        dt_ms = measured.dt_ms
        least_ma = self._other_way_ma
        least_ms = self._other_way_ms
        if self._charges.step(charges and current_ma > least_ma, current_ma, least_ma, least_ms,
                              dt_ms):
            conditions |= rules.CHARGING
        if self._discharges.step(discharges and current_ma < -least_ma, -current_ma, least_ma,
                                 least_ms, dt_ms):
            conditions |= rules.DISCHARGING
        self._reliefs.step(dt_ms)
        if self._relieved or conditions & rules.DISCHARGING:
            conditions |= self._relieve(trips, conditions & rules.DISCHARGING and (
                actual & CHARGE or above_mv <= -_DIODE_MV or not measured.terminals_known))
        seen = charges or above_mv > charger_mv
        self.charger_seen = seen
        self._charger_ms = min(leaky(self._charger_ms, dt_ms, seen), least_ms)
        if seen and self._charger_ms >= least_ms:
            conditions |= rules.CHARGER_SEEN
        near = (above_mv >= (_NEAR_MV // 2 if self._is_near else _NEAR_MV)
                and measured.terminals_known and not (actual | wanted) & CHARGE)
        self._near_ms = min(leaky(self._near_ms, dt_ms, near), _NEAR_MS)
        if self._near_ms < 0 or self._near_ms >= _NEAR_MS:      # between the two: as it was
            self._is_near = near
        self.charger_near = seen or self._is_near
        values[SHORTED] = TRY if self._retry.step(trips & _SHORT != 0, dt_ms) else 0
        if conditions & rules.CHARGER_SEEN:
            values[SHORTED] = OVER
        elif (self._free_scans or trips & _SHORT) and self._are_free(values, actual, trips):
            values[SHORTED] = OVER
        polarity = self._polarity
        polarity.look(values[PACK_MV], actual, wanted, dt_ms)
        self.wrong_scans = polarity.wrong_scans
        values[REVERSED] = polarity.reversed
        return conditions

    def _relieve(self, trips, discharging):
        """RELIEF if a discharge may release an over-voltage: so often an hour only (PRO-32).

        It keeps none from tripping: a sensor may show a discharge while cells are charged. So with
        the charge FET open the terminals have to be a diode drop away as well (PRO-28).
        """
        reliefs = self._reliefs
        over = trips & _OVER_VOLTAGE != 0
        if self._relieved and not over:
            reliefs.use()
        self._relieved = bool(over and discharging and reliefs.left)
        return rules.RELIEF if self._relieved else 0

    def _are_free(self, values, actual, trips):
        """True once load detect has seen the terminals rise after a short circuit."""
        if trips & _SHORT and not actual and values[LD_MV] > self._removed_mv:
            self._free_scans = min(self._free_scans + 1, _FREE_SCANS)
        else:
            self._free_scans = 0
        return self._free_scans >= _FREE_SCANS
