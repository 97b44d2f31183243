"""Fault and alarm codes of the AS1 that concern the battery, and what raises each (AS1-01).

Source: AS1 user manual, chapter 6. "Master" is the hybrid inverter's main machine there, "Slave"
its subordinate battery controller; 01 and 65 name the same loss as seen from either side.
"""

from micropython import const

from bms.protection_rules import FAULT_AS1, ITEMS, faults_with

ERROR, ALARM = range(2)
KINDS = ("error", "alarm")

# Conditions beyond the protection table and the faults
STORE_FAILED = const(0x01)      # the file system refused a write since start
CLOCK_LOST = const(0x02)        # the time is not known
INVERTER_LOST = const(0x04)     # no inverter is heard (COM-08)
IS_SLAVE = const(0x08)          # DIP address 2 to 15

_ANY, _MASTER, _SLAVE = range(3)

# code, kind, text, who shows it, items whose alarm or protection raises it, items whose
# protection raises it, other conditions. Faults name their codes in their own rows.
TABLE: tuple = (
    (1, ERROR, "communication loss of the main and subordinate machine", _MASTER, (), (),
     0),
    (2, ERROR, "high temperature", _ANY, ("PRO-14", "PRO-17"), (), 0),
    (3, ERROR, "low temperature", _ANY, ("PRO-13",), (), 0),
    (7, ERROR, "storage fault", _MASTER, (), (), STORE_FAILED),
    (9, ERROR, "battery overvoltage", _ANY, (), ("PRO-01", "PRO-03"), 0),
    (10, ERROR, "battery open circuit", _ANY, (), (), 0),
    (53, ALARM, "CAN communication loss", _ANY, (), (), INVERTER_LOST),
    (54, ALARM, "low battery SOC", _ANY, ("PRO-15",), (), 0),
    (55, ALARM, "voltage of battery high", _ANY, ("PRO-03",), (), 0),
    (56, ALARM, "voltage of battery low", _ANY, ("PRO-04",), (), 0),
    (65, ERROR, "communication loss of the main and subordinate machine", _SLAVE, (), (),
     0),
    (66, ERROR, "storage fault", _SLAVE, (), (), STORE_FAILED),
    (67, ERROR, "RTC fault", _ANY, (), (), CLOCK_LOST),
    (68, ERROR, "BMS equipment fault", _ANY, ("PRO-16",), ("PRO-08", "PRO-18"), 0),
    (81, ALARM, "unit cell over-voltage", _ANY, ("PRO-01",), (), 0),
    (82, ALARM, "unit cell under-voltage", _ANY, ("PRO-02",), (), 0),
    (83, ALARM, "over charging current", _ANY, ("PRO-05",), (), 0),
    (85, ALARM, "over discharging current", _ANY, ("PRO-06", "PRO-07", "PRO-08"), (), 0),
    (86, ALARM, "over discharging temperature", _ANY, ("PRO-11", "PRO-12"), (), 0),
    (87, ALARM, "over charging temperature", _ANY, ("PRO-09", "PRO-10"), (), 0),
    (88, ALARM, "battery low voltage", _ANY, ("PRO-04",), (), 0),
    (89, ALARM, "BMS communication loss", _ANY, (), (), 0),
)
CODE, KIND, TEXT, WHO = range(4)


def _bits(ids, rows):
    return sum(1 << i for i in range(len(rows)) if rows[i][0] in ids)


# per row of TABLE: bits of alarms, of protections, of both words of faults, other conditions
_MASKS = tuple((_bits(row[4], ITEMS), _bits(row[4] + row[5], ITEMS),
                faults_with(FAULT_AS1, row[CODE]), row[6]) for row in TABLE)


def active(alarms, trips, faults, others, more=0):
    """Rows of TABLE that hold, as bits: bit i = TABLE[i].

    alarms, trips   bit i = ITEMS[i]; faults, more: the two words of faults
    others          STORE_FAILED, CLOCK_LOST, INVERTER_LOST, IS_SLAVE
    """
    found = 0
    for i in range(len(TABLE)):
        alarm_bits, trip_bits, fault_bits, other_bits = _MASKS[i]
        if (alarms & alarm_bits or trips & trip_bits or faults & fault_bits[0]
                or more & fault_bits[1] or others & other_bits):
            who = TABLE[i][WHO]
            if who == _ANY or (who == _SLAVE) == (others & IS_SLAVE != 0):
                found |= 1 << i
    return found


def others_of(pack, store_errors, clock_is_valid):
    """Conditions for active() of *pack* (PackState)."""
    return ((STORE_FAILED if store_errors else 0) | (0 if clock_is_valid else CLOCK_LOST)
            | (INVERTER_LOST if pack.inverter_lost else 0) | (IS_SLAVE if pack.dip > 1 else 0))


def lines(found):
    """The rows in *found* as text, "09 battery overvoltage (error)", a line each."""
    return ["%02d %s (%s)" % (TABLE[i][CODE], TABLE[i][TEXT], KINDS[TABLE[i][KIND]])
            for i in range(len(TABLE)) if found >> i & 1]
