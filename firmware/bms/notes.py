"""What becomes of a change of a pack: its record, and what the estimate of charge learns."""

from bms import events as ev
from bms import power as pw
from bms import protection_rules as rules
from bms.protection import ALARM, LOCKED, TRIPPED
from bms.protection_rules import ITEMS, mask_of
from bms.readings import MAX_CELL, MAX_CELL_MV, MIN_CELL, MIN_CELL_MV, NO_READING

OVER_CHARGE = mask_of("PRO-01", "PRO-03")
UNDER_VOLTAGE = mask_of("PRO-02", "PRO-04")


def note_change(pack, could, i, before, now):
    """Item *i* of the protection table has other flags.

    could         FETs that were allowed before this step
    before, now   its flags
    """
    reading = ITEMS[i][rules.READING]
    values = pack.measurements.values
    value = values[reading]
    if value == NO_READING:
        value = 0                   # tripped by the AFE: its status is in a record of its own
    cell = -1
    if reading == MAX_CELL_MV:
        cell = values[MAX_CELL]
    elif reading == MIN_CELL_MV:
        cell = values[MIN_CELL]
    changed = before ^ now
    if changed & ALARM:
        pack.events.add(pack.now_ms, ev.ALARM if now & ALARM else ev.ALARM_CLEAR, i, cell,
                        value, pack.protection.limit_of(i, ALARM))
    limit = pack.protection.limit_of(i, TRIPPED)
    if changed & TRIPPED:
        pack.events.add(pack.now_ms, ev.TRIP if now & TRIPPED else ev.RELEASE, i, cell,
                        value, limit)
        if now & TRIPPED:
            if ITEMS[i][rules.BLOCKS] & could:
                pack.note_first_out(i, cell, value, limit)
            if OVER_CHARGE >> i & 1:
                pack.soc.anchor_full()
            elif UNDER_VOLTAGE >> i & 1:
                pack.soc.anchor_empty()
    if changed & LOCKED:
        pack.events.add(pack.now_ms, ev.LOCK if now & LOCKED else ev.UNLOCK, i, cell, value,
                        limit)


def note_power(pack, news, pack_mv):
    """Power has *news*; measured values of the time before are none any more."""
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
