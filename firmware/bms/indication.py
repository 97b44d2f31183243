"""Lamps and buzzer by state and capacity: rows and patterns of LED-01 to LED-04, BUZ-01, RST-01.

Every pattern counts the same ticks, so all lamps of one pattern are in phase.
"""

import micropython
from micropython import const

from bms import states as st
from bms.protection_rules import (
    FAULT_AFE,
    FAULT_CLOCK,
    FAULT_DATA,
    FAULT_HOT,
    FAULT_OUTPUT,
    FAULT_PROFILE,
    FAULT_PROGRAM,
    FAULT_RAM,
    mask_of,
)

TICK_MS = const(250)


OFF = ((0, 1),)
ON = ((1, 1),)
FLASH_1 = ((1, 1), (0, 15))     # LED-02: (level, ticks of 250 ms), all lamps in phase
FLASH_2 = ((1, 2), (0, 2))
FLASH_3 = ((1, 2), (0, 6))

BUZZ_FAULT = ((1, 1), (0, 3))           # BUZ-01: 0.25 s each 1, 2 or 3 s
BUZZ_PROTECTION = ((1, 1), (0, 7))
BUZZ_ALARM = ((1, 1), (0, 11))

CAPS_OFF = const(0)
CAPS_ALL = const(1)
CAPS_BAND = const(2)            # by capacity
CAPS_CHARGING = const(3)        # by capacity, the top lamp FLASH_2
CAPS_UP = const(4)              # a bar that grows from the bottom to the capacity, again and again
CAPS_DOWN = const(5)            # the same from the top
CAPS_OPPOSITE = const(6)        # all, while ALM is off

RUN = const(0x40)               # bits of the lamp word; bits 0..5 are L1..L6
ALM = const(0x80)
ONOFF = const(0x100)

LAMPS = const(0x1FF)

# RST-01: words shown for WORD_TICKS each
WORD_TICKS = const(2)
WAKE_SEQUENCE = (RUN, ALM, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01)
SLEEP_SEQUENCE = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, ALM, RUN)
RESET_SEQUENCE = (LAMPS, LAMPS, LAMPS)

TICKS = const(5040 * 16)        # the count of ticks begins anew: a multiple of every pattern

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

# LED-04, AS1 manual 5.1: ALM is its red lamp, the capacity lamps are the green bar
_BAR_ROWS = {
    st.STANDBY: (ON, OFF, FLASH_2, CAPS_BAND),
    st.CHARGING: (ON, ON, OFF, CAPS_DOWN),
    st.DISCHARGING: (ON, ON, OFF, CAPS_UP),
}
_BAR_FAULT = (ON, OFF, ON, CAPS_OFF)
_BAR_UPDATE = (ON, OFF, FLASH_2, CAPS_OPPOSITE)
_HOLD_TICKS = const(3)          # that a grown bar stays

_OVER_CHARGE = mask_of("PRO-01", "PRO-03")
_UNDER_VOLTAGE = mask_of("PRO-02", "PRO-04")


@micropython.native
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


@micropython.native
def band(soc_cpct):
    """0..5: the capacity lamp of the band that *soc_cpct* lies in."""
    for i in range(5):
        if soc_cpct < _BANDS_CPCT[i]:
            return i
    return 5


# SAF-02: a self-test that failed at start, L1 to L6
_SELF_TEST_LAMPS = (FAULT_PROGRAM | FAULT_HOT, FAULT_RAM, FAULT_DATA | FAULT_PROFILE, FAULT_AFE,
                    FAULT_CLOCK, FAULT_OUTPUT)


def self_test_word(faults):
    """The lamp word of a start that failed: ALM, and a lamp for each test; 0: none failed."""
    word = 0
    for i in range(len(_SELF_TEST_LAMPS)):
        if faults & _SELF_TEST_LAMPS[i]:
            word |= ALM | 1 << i
    return word


@micropython.native
def row_for(state, direction, alarms, trips, charger_seen):
    """The row of LED-03 that applies.

    state         of states; direction: STANDBY, CHARGING or DISCHARGING by current
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


def bar_row_for(state, direction, trips, updating):
    """The row of LED-04 that applies; arguments as for row_for(). updating: a firmware update."""
    if state == st.OFF or state == st.SLEEP:
        return _DARK
    if updating:
        return _BAR_UPDATE
    if state == st.FAIL or trips & ~_OVER_CHARGE:
        return _BAR_FAULT
    if state == st.SELF_TEST:
        return _TEST
    return _BAR_ROWS[direction]


@micropython.native
def buzz_for(state, alarms, trips, faults):
    """The pattern of the worst that is the case (BUZ-01); over-charge makes no noise."""
    if state == st.OFF or state == st.SLEEP:
        return OFF
    if faults:
        return BUZZ_FAULT
    if trips & ~_OVER_CHARGE:
        return BUZZ_PROTECTION
    if alarms & ~_OVER_CHARGE:
        return BUZZ_ALARM
    return OFF


def bar(caps, top, tick):
    """Capacity lamps of CAPS_UP or CAPS_DOWN: dark, then a lamp more each tick, up to *top*."""
    count = top + 1
    lit = min(tick % (count + 1 + _HOLD_TICKS), count)
    lamps = (1 << lit) - 1
    return lamps if caps == CAPS_UP else lamps << count - lit


@micropython.native
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
    elif caps == CAPS_OPPOSITE:
        word |= 0 if word & ALM else 0x3F
    elif caps >= CAPS_UP:
        word |= bar(caps, band(soc_cpct), tick)
    elif caps:
        top = band(soc_cpct)
        word |= (1 << top) - 1
        if caps == CAPS_BAND or level_of(FLASH_2, tick):
            word |= 1 << top
    return word
