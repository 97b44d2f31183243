"""Dry contacts DO1 and DO2: what each can say (DRY-01)."""

import micropython
from micropython import const

from bms.words import states as st
from bms.panel.indication import stopping
from bms.words.rules import mask_of

# functions, the value of do1_function and do2_function
NEVER = const(0)
PROTECTION_OR_FAULT = const(1)
LOW_CAPACITY = const(2)
ANY_ALARM = const(3)
CHARGING = const(4)
DISCHARGING = const(5)
ASLEEP = const(6)

_LOW_CAPACITY = mask_of("PRO-15")


@micropython.native
def says(function, pack, direction):
    """True while what *function* means is so for *pack*.

    direction   of indication.ShownDirection: a protection that stops only the other one is no
                more than an alarm (LED-05)
    """
    if function == PROTECTION_OR_FAULT:
        return (pack.faults != 0 or pack.faults_more != 0
                or stopping(direction, pack.protection.trips) != 0)
    if function == LOW_CAPACITY:
        return pack.protection.alarms & _LOW_CAPACITY != 0
    if function == ANY_ALARM:
        return pack.protection.alarms != 0
    if function == CHARGING:
        return pack.direction == st.CHARGING
    if function == DISCHARGING:
        return pack.direction == st.DISCHARGING
    return function == ASLEEP and pack.state == st.SLEEP
