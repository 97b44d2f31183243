"""What becomes of a change of a pack: its record, and what the estimate of charge learns."""

from bms.words import events as ev
from bms.words import rules
from hot.protect_py import ALARM, LOCKED, TRIPPED
from bms.words.rules import ITEMS, mask_of
from bms.words.readings import MAX_CELL, MAX_CELL_MV, MIN_CELL, MIN_CELL_MV, NO_READING

OVER_CHARGE = mask_of("PRO-01", "PRO-03")
UNDER_VOLTAGE = mask_of("PRO-02", "PRO-04")


def note_change(pack, could, i, before, now):
    """Item *i* of the protection table has other flags.

    could         FETs that were allowed before this step
    before, now   its flags
    """
    number = ITEMS[i][rules.NUMBER]
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
        pack.events.add(pack.now_ms, ev.ALARM if now & ALARM else ev.ALARM_CLEAR, number, cell,
                        value, pack.protection.limit_of(i, ALARM))
    limit = pack.protection.limit_of(i, TRIPPED)
    if changed & TRIPPED:
        pack.events.add(pack.now_ms, ev.TRIP if now & TRIPPED else ev.RELEASE, number,
                        cell, value, limit)
        if now & TRIPPED:
            if ITEMS[i][rules.BLOCKS] & could:
                pack.note_first_out(number, cell, value, limit)
            if OVER_CHARGE >> i & 1:
                pack.soc.anchor_full()
            elif UNDER_VOLTAGE >> i & 1:
                pack.soc.anchor_empty()
    if changed & LOCKED:
        pack.events.add(pack.now_ms, ev.LOCK if now & LOCKED else ev.UNLOCK, number, cell,
                        value, limit)
