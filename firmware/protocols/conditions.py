"""Conditions of a pack, and the bit each has in each protocol: the one table for all of them.

A snapshot holds two sets of the same bits: alarms (warnings) and protections (a FET is held off
because of it; faults are among them). Bits 0 to 19 and 26 to 29 are the rows of the protection
table: packs tell each other these bits, so that none may change its meaning.
"""

import micropython
from array import array
from micropython import const

from bms.words import rules

# Bits beyond the protection table
AFE_FAULT = const(1 << 20)      # front end: scans fail, frozen, not configured
CELL_FAULT = const(1 << 21)     # cell voltages that cannot be believed
NTC_FAULT = const(1 << 22)
FET_FAULT = const(1 << 23)
SYSTEM_FAULT = const(1 << 24)   # the controller itself
LINK_FAULT = const(1 << 25)     # a slave is lost, or two packs have one address
COUNT = const(30)
FAULTS = const(0x1F00000)

_TOLD = (       # what a row of rules.FAULTS is told as, condition
    (rules.TOLD_AFE, AFE_FAULT),
    (rules.TOLD_CELL, CELL_FAULT),
    (rules.TOLD_NTC, NTC_FAULT),
    (rules.TOLD_FET, FET_FAULT),
    (rules.TOLD_SYSTEM, SYSTEM_FAULT),
    (rules.TOLD_LINK, LINK_FAULT),
    (rules.TOLD_NOTICE, SYSTEM_FAULT),
)


def _rows(told):
    """Bits of faults, bits of faults_more, condition, one after another, of what is *told*.

    An array: a number beyond 13 bits in a frozen table is an object, and so is what is made of it.
    """
    rows = array("i")
    for kind, bit in _TOLD:
        if kind in told:
            for number in rules.faults_with(rules.FAULT_TOLD, kind) + (bit,):
                rows.append(number)
    return rows


_PROTECTIONS = _rows((rules.TOLD_AFE, rules.TOLD_CELL, rules.TOLD_NTC, rules.TOLD_FET,
                      rules.TOLD_SYSTEM))
_ALARMS = _rows((rules.TOLD_LINK, rules.TOLD_NOTICE))


@micropython.native
def of_items(items):
    """Conditions that *items* are, bit i = ITEMS[i]."""
    return items & 0xFFFFF | items >> 20 << 26


@micropython.native
def of_faults(faults, more=0):
    """Conditions that the two words of faults are as protections."""
    return _conditions(_PROTECTIONS, faults, more) if faults or more else 0


@micropython.native
def alarms_of_faults(faults, more=0):
    """Conditions that the two words of faults are as alarms."""
    return _conditions(_ALARMS, faults, more) if faults or more else 0


@micropython.native
def _conditions(rows, faults, more):
    found = 0
    for i in range(0, len(rows), 3):
        if faults & rows[i] or more & rows[i + 1]:
            found |= rows[i + 2]
    return found


# Columns: (alarm bits, protection bits) of
#   P62          Pylontech 62: alarm 1 << 8 | alarm 2; protection 1 << 8 | protection 2
#   P44          Pylontech 44: -; status 1
#   PACE         PACE 44: warn 1 | warn 2 << 8; protect 1 | protect 2 << 8 | fault << 16
#   PACE_MODBUS  register 9; register 10 | register 11 << 16
#   VOLTRONIC    0x37 | 0x38 << 16; 0x39 | 0x3B << 16
#   CAN_359      bytes 2 | 3 << 8; bytes 0 | 1 << 8
#   CAN_35A      pairs of warnings (bytes 4 to 7); pairs of alarms (bytes 0 to 3): bit n, pair n
#   CAN_403      Pytes: bits of one word; faults are in 406
(NAME, P62, P44, PACE, PACE_MODBUS, VOLTRONIC, CAN_359, CAN_35A, CAN_403) = range(9)

_UNUSED = ("", (0, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0))

TABLE: tuple = (
    ("cell over-voltage", (0x2000, 0x2000), (0, 0x01), (0x01, 0x01), (0x0001, 0x0001),
     (0x02, 0x0400), (0x02, 0x02), (0x0002, 0x0002), (0x2, 0x1)),
    ("cell under-voltage", (0x1000, 0x1000), (0, 0x02), (0x02, 0x02), (0x0002, 0x0002),
     (0x08 << 16, 0), (0x04, 0x04), (0x0004, 0x0004), (0x8, 0x10)),
    ("pack over-voltage", (0x8000, 0x8000), (0, 0x01), (0x04, 0x04), (0x0004, 0x0004),
     (0, 0x0400), (0x02, 0x02), (0x0002, 0x0002), (0x2, 0x1)),
    ("pack under-voltage", (0x4000, 0x4000), (0, 0x80), (0x08, 0x08), (0x0008, 0x0008),
     (0, 0), (0x04, 0x04), (0x0004, 0x0004), (0x8, 0x10)),
    ("charge over-current", (0x0040, 0x0040), (0, 0x04), (0x10, 0x10), (0x0010, 0x0010),
     (0x08, 0x0800), (0x0100, 0x0100), (0x0100, 0x0100), (0x400000, 0x80000)),
    ("discharge over-current", (0x0020, 0x0020), (0, 0x10), (0x20, 0x20), (0x0020, 0x0020),
     (0, 0x04 << 16), (0x80, 0x80), (0x0080, 0x0080), (0x200000, 0x20000)),
    ("discharge over-current 2", (0x0020, 0x0020), (0, 0x10), (0x20, 0x20), (0x0020, 0x0020),
     (0, 0x04 << 16), (0x80, 0x80), (0x0080, 0x0080), (0x200000, 0x40000)),
    ("short circuit", (0, 0x0020), (0, 0x10), (0, 0x40), (0, 0x0040),
     (0, 0x04 << 16), (0, 0x80), (0x0400, 0x0400), (0, 0x40000)),
    ("charge under-temperature", (0x0400, 0x0400), (0, 0), (0x0400, 0x0400), (0x0400, 0x0400),
     (0x04, 0x0200), (0x10, 0x10), (0x0040, 0x0040), (0x800, 0x1000)),
    ("charge over-temperature", (0x0800, 0x0800), (0, 0x40), (0x0100, 0x0100), (0x0100, 0x0100),
     (0x01, 0x0100), (0x08, 0x08), (0x0020, 0x0020), (0x200, 0x100)),
    ("discharge under-temperature", (0x0400, 0x0400), (0, 0), (0x0800, 0x0800),
     (0x0800, 0x0800), (0x02 << 16, 0x0200), (0x10, 0x10), (0x0010, 0x0010), (0x800, 0x1000)),
    ("discharge over-temperature", (0x0800, 0x0800), (0, 0x20), (0x0200, 0x0200),
     (0x0200, 0x0200), (0x01 << 16, 0x0100), (0x08, 0x08), (0x0008, 0x0008), (0x200, 0x100)),
    ("environment under-temperature", (0x0400, 0x0400), (0, 0), (0x2000, 0x4000),
     (0x2000, 0x4000), (0x02 << 16, 0x0200), (0x10, 0x10), (0x0010, 0x0010), (0x800, 0x1000)),
    ("environment over-temperature", (0x0800, 0x0800), (0, 0x60), (0x1000, 0x2000),
     (0x1000, 0x2000), (0x01 << 16, 0x0100), (0x08, 0x08), (0x0008, 0x0008), (0x200, 0x100)),
    ("low capacity", (0, 0), (0, 0), (0x8000, 0), (0x8000, 0), (0, 0), (0, 0), (0x0001, 0),
     (0, 0)),
    ("cell difference", (0x0100, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0x1000, 0), (0, 0)),
    ("MOSFET over-temperature", (0x0200, 0x0200), (0, 0x60), (0x4000, 0x1000),
     (0x4000, 0x1000), (0x04 << 16, 0x0100), (0x08, 0x08), (0x0008, 0x0008), (0x200, 0x100)),
    ("reversed charger", (0, 0x0008), (0, 0), (0, 0), (0, 0x4000 << 16), (0, 0), (0, 0x0800),
     (0x0800, 0x0800), (0, 0)),
    ("charging above the continuous current", (0x0040, 0), (0, 0), (0x10, 0), (0x0010, 0),
     (0x08, 0), (0x0100, 0), (0x0100, 0), (0x400000, 0)),
    ("discharging above the continuous current", (0x0020, 0), (0, 0), (0x20, 0), (0x0020, 0),
     (0, 0), (0x80, 0), (0x0080, 0), (0x200000, 0)),
    ("front-end fault", (0, 0x0008), (0, 0), (0, 0x20 << 16), (0, 0x20 << 16), (0, 0),
     (0, 0x0800), (0x0800, 0x0800), (0, 0)),
    ("cell fault", (0, 0x0008), (0, 0), (0, 0x10 << 16), (0, 0x10 << 16), (0, 0), (0, 0x0800),
     (0x0800, 0x0800), (0, 0)),
    ("temperature sensor fault", (0, 0x0008), (0, 0), (0, 0x04 << 16), (0, 0x04 << 16), (0, 0),
     (0, 0x0800), (0x0800, 0x0800), (0, 0)),
    ("FET fault", (0, 0x0008), (0, 0), (0, 0x03 << 16), (0, 0x03 << 16), (0, 0), (0, 0x0800),
     (0x0800, 0x0800), (0, 0)),
    ("system fault", (0, 0x0008), (0, 0), (0, 0x20 << 16), (0, 0x20 << 16), (0, 0), (0, 0x0800),
     (0x0800, 0x0800), (0, 0)),
    ("communication fault", (0x0010, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0x0800, 0),
     (0x0800, 0), (0, 0)),
    # rows 20 to 23 of the protection table
    ("cell too deeply discharged", (0, 0x1000), (0, 0x02), (0, 0x02), (0, 0x0002),
     (0, 0), (0, 0x04), (0, 0x0004), (0, 0x10)),
    ("charge limit ignored", (0x0040, 0x0040), (0, 0x04), (0x10, 0x10), (0x0010, 0x0010),
     (0x08, 0x0800), (0x0100, 0x0100), (0x0100, 0x0100), (0x400000, 0x80000)),
    ("discharge limit ignored", (0x0020, 0x0020), (0, 0x10), (0x20, 0x20), (0x0020, 0x0020),
     (0, 0x04 << 16), (0x80, 0x80), (0x0080, 0x0080), (0x200000, 0x20000)),
    ("pre-discharge refused", (0, 0x0020), (0, 0x10), (0, 0x40), (0, 0x0040),
     (0, 0x04 << 16), (0, 0x80), (0x0400, 0x0400), (0, 0x40000)),
)


def bit(name):
    """The bit of the condition called *name*; ValueError if there is none."""
    for i in range(COUNT):
        if TABLE[i][NAME] == name:
            return 1 << i
    raise ValueError("no condition is called " + name)


@micropython.native
def alarm_word(conditions, column):
    """Alarm bits of *conditions* in the protocol of *column*."""
    return _word(conditions, column, 0)


@micropython.native
def protection_word(conditions, column):
    """Protection bits of *conditions* in the protocol of *column*."""
    return _word(conditions, column, 1)


@micropython.native
def _word(conditions, column, side):
    word = 0
    i = 0
    while conditions:
        if conditions & 1:
            word |= TABLE[i][column][side]
        conditions >>= 1
        i += 1
    return word
