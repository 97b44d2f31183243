"""Lamps and buzzer by state and capacity: rows and patterns of LED-01 to LED-04, BUZ-01, RST-01.

Every pattern counts the same ticks, so all lamps of one pattern are in phase.
"""

import micropython
from micropython import const

from bms.words import rules
from bms.words import states as st
from bms.words.rules import (
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
from ticks import MASK

TICK_MS = const(250)


OFF = ((0, 1),)
ON = ((1, 1),)
FLASH_1 = ((1, 1), (0, 15))     # LED-02: (level, ticks of 250 ms), all lamps in phase
FLASH_2 = ((1, 2), (0, 2))
FLASH_3 = ((1, 2), (0, 6))

# BUZ-01: ms from one beep to the next; the shorter, the worse
SILENT = const(0)
BUZZ_FAULT = const(1000)
BUZZ_PROTECTION = const(2000)
BUZZ_ALARM = const(3000)
_BEEP_MS = const(250)

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
# AS1-03: the same with the battery switch's blue light, which is the ON/OFF lamp
BLUE_WAKE_SEQUENCE = tuple(word | ONOFF for word in WAKE_SEQUENCE)
RESET_SEQUENCE = (LAMPS, LAMPS, LAMPS)

TICKS = const(5040 * 16)        # the count of ticks begins anew: a multiple of every pattern

_BANDS_CPCT = (1660, 3320, 4980, 6640, 8300)

# LED-03, AM table 2-6: by direction, then by level: ON/OFF, RUN, ALM, capacity lamps.
# LED-05 adds the last three of standby, for which the document has no row.
_NORMAL, _ALARM, _OWN_VOLTAGE, _OTHER, _NOTHING_LEFT, _VOLTAGE_BOTH = range(6)
_STANDBY_ROWS = (
    (ON, FLASH_1, OFF, CAPS_BAND),
    (ON, FLASH_1, FLASH_3, CAPS_BAND),
    (ON, FLASH_1, OFF, CAPS_BAND),
    (ON, FLASH_1, ON, CAPS_BAND),
    (ON, FLASH_1, ON, CAPS_OFF),
    (ON, FLASH_1, OFF, CAPS_OFF),
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
_OUTWARD = mask_of("PRO-08", "PRO-18")      # table 2-6 lists these with discharging


def _blocking(direction):
    """Bits of the items that hold the FET of *direction* open."""
    return sum(1 << i for i in range(len(rules.ITEMS)) if rules.ITEMS[i][rules.BLOCKS] & direction)


# bits beyond ITEMS: a fault holds one FET open; by bits CHARGE | DISCHARGE
FAULT_STOPS = (0, 1 << 27, 1 << 28, 1 << 27 | 1 << 28)
_STOPS_CHARGE = _blocking(rules.CHARGE) | FAULT_STOPS[rules.CHARGE]
_STOPS_DISCHARGE = _blocking(rules.DISCHARGE) | FAULT_STOPS[rules.DISCHARGE]


@micropython.native
def stopping(direction, trips):
    """Those of *trips* that stop *direction*; in standby every one of them counts (LED-05)."""
    if direction == st.CHARGING:
        return trips & _STOPS_CHARGE
    if direction == st.DISCHARGING:
        return trips & _STOPS_DISCHARGE
    return trips


class ShownDirection:
    """The direction whose row the lamps show (LED-05).

    A protection ends the current that it stops, and the row is that of the direction it stopped:
    discharging until something else flows or the protection is gone; charging as long as a
    charger is seen, because table 2-6 shows standby without one.
    """

    def __init__(self):
        self._stopped = st.STANDBY      # what flowed last, until nothing stops it any more

    @micropython.native
    def step(self, direction, trips, charger_seen):
        """STANDBY, CHARGING or DISCHARGING to be shown.

        direction      by current; trips: bit i = ITEMS[i]
        charger_seen   the terminals say that a charger is there
        """
        if direction != st.STANDBY:
            self._stopped = direction
            return direction
        if trips & _OUTWARD:
            return st.DISCHARGING
        if charger_seen and trips & _STOPS_CHARGE:
            return st.CHARGING
        if self._stopped != st.DISCHARGING or charger_seen or not trips & _STOPS_DISCHARGE:
            self._stopped = st.STANDBY
        return self._stopped


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
def row_for(state, direction, alarms, trips):
    """The row of LED-03 and LED-05 that applies.

    state         of states; direction: of ShownDirection
    alarms, trips bit i = ITEMS[i]
    """
    if state == st.FAIL:
        return _FAIL
    if state == st.OFF or state == st.SLEEP:
        return _DARK
    if state == st.SELF_TEST:
        return _TEST
    if direction == st.STANDBY:
        return _STANDBY_ROWS[_standby_level(alarms, trips)]
    own = stopping(direction, trips)
    level = _NORMAL
    if own:
        voltage = _OVER_CHARGE if direction == st.CHARGING else _UNDER_VOLTAGE
        level = _OTHER if own & ~voltage else _OWN_VOLTAGE
    elif (alarms | trips) & ~_OVER_CHARGE:
        level = _ALARM
    return _ROWS[direction][level]


@micropython.native
def _standby_level(alarms, trips):
    """Level of _STANDBY_ROWS: over-charge alone is standby as ever, and never flashes ALM."""
    if not trips & ~_OVER_CHARGE:
        return _ALARM if alarms & ~_OVER_CHARGE else _NORMAL
    both = trips & _STOPS_CHARGE and trips & _STOPS_DISCHARGE
    if trips & ~_OVER_CHARGE & ~_UNDER_VOLTAGE:
        return _NOTHING_LEFT if both else _OTHER
    return _VOLTAGE_BOTH if both else _OWN_VOLTAGE


def bar_row_for(state, direction, trips, updating):
    """The row of LED-04 that applies; arguments as for row_for(). updating: a firmware update."""
    if state == st.OFF or state == st.SLEEP:
        return _DARK
    if updating:
        return _BAR_UPDATE
    if state == st.FAIL or stopping(direction, trips) & ~_OVER_CHARGE:
        return _BAR_FAULT
    if state == st.SELF_TEST:
        return _TEST
    return _BAR_ROWS[direction]


@micropython.native
def buzz_for(state, direction, alarms, trips, faults):
    """Period of the worst that is the case (BUZ-01); over-charge makes no noise.

    A protection that does not stop *direction*, of ShownDirection, is an alarm (LED-05).
    """
    if state == st.OFF or state == st.SLEEP:
        return SILENT
    if faults:
        return BUZZ_FAULT
    if stopping(direction, trips) & ~_OVER_CHARGE:
        return BUZZ_PROTECTION
    if (alarms | trips) & ~_OVER_CHARGE:
        return BUZZ_ALARM
    return SILENT


class Beeper:
    """Whole beeps of 0.25 s, the first one with the event (BUZ-01, AM 3.1(6)).

    A beep that sounds when something worse comes is the first of the new pattern.
    """

    def __init__(self):
        self._period_ms = SILENT        # of the step before
        self._began_ms = -1             # the newest beep; -1: none since silence

    @micropython.native
    def step(self, now_ms, period_ms):
        """The level of the buzzer. *period_ms*: of buzz_for()."""
        before_ms = self._period_ms
        self._period_ms = period_ms
        past_ms = (now_ms - self._began_ms) & MASK
        if self._began_ms >= 0 and past_ms < _BEEP_MS:
            return 1
        if not period_ms:
            self._began_ms = -1
            return 0
        if before_ms and period_ms >= before_ms and past_ms < period_ms:
            return 0
        self._began_ms = now_ms
        return 1


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
