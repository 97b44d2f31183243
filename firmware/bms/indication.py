"""Lamps by state and capacity: rows and patterns of LED-01, LED-02, LED-03."""

from micropython import const

from bms import pack_state as st
from bms.protection_rules import mask_of

TICK_MS = const(250)

OFF = ((0, 1),)
ON = ((1, 1),)
FLASH_1 = ((1, 1), (0, 15))     # LED-02: (level, ticks of 250 ms), all lamps in phase
FLASH_2 = ((1, 2), (0, 2))
FLASH_3 = ((1, 2), (0, 6))

CAPS_OFF = const(0)
CAPS_ALL = const(1)
CAPS_BAND = const(2)            # by capacity
CAPS_CHARGING = const(3)        # by capacity, the top lamp FLASH_2

RUN = const(0x40)               # bits of the lamp word; bits 0..5 are L1..L6
ALM = const(0x80)
ONOFF = const(0x100)

_BANDS_CPCT = (1660, 3320, 4980, 6640, 8300)

# LED-03, AM table 2-6: by direction, then by level: ON/OFF, RUN, ALM, capacity lamps
_NORMAL, _ALARM, _OWN_VOLTAGE, _OTHER = range(4)
_STANDBY_ROWS = (
    (ON, FLASH_1, OFF, CAPS_BAND),
    (ON, FLASH_1, FLASH_3, CAPS_BAND),
)
_CHARGING_ROWS = (
    (ON, ON, OFF, CAPS_CHARGING),
    (ON, ON, FLASH_3, CAPS_CHARGING),
    (ON, ON, OFF, CAPS_ALL),
    (ON, OFF, ON, CAPS_OFF),
)
_DISCHARGING_ROWS = (
    (ON, FLASH_3, OFF, CAPS_BAND),
    (ON, FLASH_3, FLASH_3, CAPS_BAND),
    (ON, OFF, OFF, CAPS_OFF),
    (ON, OFF, ON, CAPS_OFF),
)
_ROWS = {st.STANDBY: _STANDBY_ROWS, st.CHARGING: _CHARGING_ROWS,
         st.DISCHARGING: _DISCHARGING_ROWS}
_FAIL = (OFF, OFF, ON, CAPS_OFF)
_DARK = (OFF, OFF, OFF, CAPS_OFF)
_TEST = (ON, OFF, OFF, CAPS_OFF)


_OVER_CHARGE = mask_of("PRO-01", "PRO-03")
_UNDER_VOLTAGE = mask_of("PRO-02", "PRO-04")


def level_of(pattern, tick):
    """0 or 1: the level of *pattern* at *tick* of 250 ms."""
    length = 0
    for _, ticks in pattern:
        length += ticks
    tick %= length
    for level, ticks in pattern:
        if tick < ticks:
            return level
        tick -= ticks
    return 0


def band(soc_cpct):
    """0..5: the capacity lamp of the band that *soc_cpct* lies in."""
    for i in range(5):
        if soc_cpct < _BANDS_CPCT[i]:
            return i
    return 5


def row_for(state, direction, alarms, trips, charger_seen):
    """The row of LED-03 that applies.

    state         of pack_state; direction: STANDBY, CHARGING or DISCHARGING by current
    alarms, trips bit i = ITEMS[i]
    charger_seen  an over-charge protection without a charger shows as standby
    """
    if state == st.FAIL:
        return _FAIL
    if state == st.OFF or state == st.SLEEP:
        return _DARK
    if state == st.SELF_TEST:
        return _TEST
    if trips:
        if not trips & ~_OVER_CHARGE:
            if charger_seen or direction == st.CHARGING:
                return _CHARGING_ROWS[_OWN_VOLTAGE]
            return _STANDBY_ROWS[_ALARM if alarms & ~_OVER_CHARGE else _NORMAL]
        if not trips & ~_UNDER_VOLTAGE:
            return _DISCHARGING_ROWS[_OWN_VOLTAGE]
        return _CHARGING_ROWS[_OTHER]
    if direction == st.CHARGING:
        alarms &= ~_OVER_CHARGE     # an over-charge alarm does not flash ALM while charging
    return _ROWS[direction][_ALARM if alarms else _NORMAL]


def lamp_word(row, soc_cpct, tick):
    """The word for the lamp driver: bits 0..5 L1..L6, RUN, ALM, ONOFF."""
    onoff, run, alarm, caps = row
    word = 0
    if level_of(onoff, tick):
        word |= ONOFF
    if level_of(run, tick):
        word |= RUN
    if level_of(alarm, tick):
        word |= ALM
    if caps == CAPS_ALL:
        word |= 0x3F
    elif caps:
        top = band(soc_cpct)
        word |= (1 << top) - 1
        if caps == CAPS_BAND or level_of(FLASH_2, tick):
            word |= 1 << top
    return word
