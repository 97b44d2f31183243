"""Off, awake or asleep: what a pack tells its Power, and what becomes of the answer."""

import micropython
from bms.words import events as ev
from bms.power import power as pw
from bms.protect.changes import OVER_CHARGE, UNDER_VOLTAGE
from bms.words.readings import CURRENT_MA, MIN_CELL_MV, PACK_MV
from bms.words.states import CHARGING, DISCHARGING


@micropython.native
def step_power(pack, measured, fresh):
    """Let Power look at *pack*, Measurements of its newest scan; *fresh*: of this step."""
    values = measured.values
    conditions = _flow_of(pack, values[CURRENT_MA])
    if fresh and not measured.frozen:
        conditions |= pw.MEASURED
    if pack.charger_seen:
        conditions |= pw.CHARGER
    trips = pack.protection.trips
    if trips & UNDER_VOLTAGE:
        conditions |= pw.OVER_DISCHARGED
    pack.power.full_trips = trips & OVER_CHARGE
    if trips & OVER_CHARGE:
        conditions |= pw.OVER_CHARGED
    news = pack.power.step(pack.now_ms, conditions, values[PACK_MV], values[MIN_CELL_MV])
    if news:
        _note(pack, news, values[PACK_MV])


def _flow_of(pack, current_ma):
    """The conditions by current and FETs."""
    if not pack.fets.actual:
        return pw.OPEN | pw.QUIET
    if pack.direction == CHARGING:
        return pw.CHARGES
    if pack.direction == DISCHARGING or current_ma < -pack.rest_ma:
        return pw.DISCHARGES
    if current_ma <= pack.rest_ma and not pack.balancing.mask:
        return pw.QUIET
    return 0


def _note(pack, news, pack_mv):
    """Record the *news*, and do what follows from it."""
    power = pack.power
    now_ms = pack.now_ms
    if news == pw.SLEPT:
        pack.events.add(now_ms, ev.SLEEP, power.reason, -1, power.tries)
    elif news == pw.WOKE:
        pack.events.add(now_ms, ev.WAKE, power.woken_by, -1, pack_mv)
        pack.hold(0, now_ms)
    elif news == pw.TRIES:
        pack.events.add(now_ms, ev.WAKE, pw.BY_TIMER, -1, pack_mv, power.tries + 1)
    elif news == pw.REFUSED:
        pack.events.add(now_ms, ev.SLEEP_REFUSED, power.refused, -1, pack_mv)
    elif news == pw.RECHARGE:
        pack.release(OVER_CHARGE)
