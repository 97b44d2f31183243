"""Fault and alarm codes of the AS1: all of its chapter 6, and what of a pack raises which
(AS1-01, AS1-04).

Source: AS1 user manual, chapter 6. "Master" is the hybrid inverter's main machine there, "slave"
its subordinate battery controller; 01 and 65 name the same loss as seen from either side.

How the battery's codes are used here:
* An error is raised by a protection or a fault, never at the alarm stage.
* 02 is any heat and 03 any cold that opens a FET. 86 and 87 say "temperature" without which: the
  value stands beside them.
* 08 is a short circuit. 68 is what is wrong with the controller, its chips and sensors.
* No code of the chapter means a difference of the cells (PRO-16): there is none for it.
"""

from micropython import const

from bms.words import readings as rd
from bms.words import rules
from bms.words.rules import FAULT_MORE, FAULTS, ITEMS
from bms.words.phrases import quantity

ERROR, ALARM = range(2)
KINDS = ("error", "alarm")
MASTER, SLAVE, EITHER = range(3)        # of chapter 6; two rows name neither
_OF = ("master ", "slave ", "")

# code, who, kind, text
CODES: tuple = (
    (1, MASTER, ERROR, "communication loss of the main and subordinate machine"),
    (2, MASTER, ERROR, "high temperature"),
    (3, MASTER, ERROR, "low temperature"),
    (4, MASTER, ERROR, "DC component of the output current"),
    (5, MASTER, ERROR, "synchronising pulse fault"),
    (6, MASTER, ERROR, "relay fault"),
    (7, MASTER, ERROR, "storage fault"),
    (8, MASTER, ERROR, "battery input short circuit"),
    (9, MASTER, ERROR, "battery overvoltage"),
    (10, MASTER, ERROR, "battery open circuit"),
    (11, MASTER, ERROR, "hardware over-current on the DC side"),
    (12, MASTER, ERROR, "battery discharging fault"),
    (13, MASTER, ERROR, "battery controller over-current"),
    (14, MASTER, ERROR, "bus soft-start timeout"),
    (15, MASTER, ERROR, "bus voltage high"),
    (16, MASTER, ERROR, "bus voltage low"),
    (17, MASTER, ERROR, "bus voltage high, by hardware"),
    (18, MASTER, ERROR, "inverter over-current"),
    (19, MASTER, ERROR, "inverter over-current, by hardware"),
    (20, MASTER, ERROR, "inverter short circuit"),
    (21, MASTER, ERROR, "output overload"),
    (25, MASTER, ALARM, "grid voltage high"),
    (26, MASTER, ALARM, "grid voltage low"),
    (27, MASTER, ALARM, "grid frequency high"),
    (28, MASTER, ALARM, "grid frequency low"),
    (29, MASTER, ALARM, "grid loss"),
    (30, MASTER, ALARM, "grid overvoltage, mean of 10 minutes"),
    (31, MASTER, ALARM, "overload"),
    (33, SLAVE, ERROR, "fan fault"),
    (34, SLAVE, ERROR, "output terminal abnormal"),
    (35, SLAVE, ERROR, "inverter voltage wave form fault"),
    (49, SLAVE, ALARM, "grid voltage consistency"),
    (50, SLAVE, ALARM, "grid frequency consistency"),
    (51, EITHER, ALARM, "ground loss"),
    (52, EITHER, ALARM, "line and neutral wrong"),
    (53, SLAVE, ALARM, "CAN communication loss"),
    (54, MASTER, ALARM, "low battery SOC"),
    (55, MASTER, ALARM, "voltage of battery high"),
    (56, MASTER, ALARM, "voltage of battery low"),
    (57, SLAVE, ALARM, "grid voltage high"),
    (58, SLAVE, ALARM, "grid voltage low"),
    (59, SLAVE, ALARM, "grid over-frequency"),
    (60, SLAVE, ALARM, "grid under-frequency"),
    (61, SLAVE, ALARM, "grid loss"),
    (65, SLAVE, ERROR, "communication loss of the main and subordinate machine"),
    (66, SLAVE, ERROR, "storage fault"),
    (67, SLAVE, ERROR, "RTC fault"),
    (68, SLAVE, ERROR, "BMS equipment fault"),
    (81, SLAVE, ALARM, "unit cell over-voltage"),
    (82, SLAVE, ALARM, "unit cell under-voltage"),
    (83, SLAVE, ALARM, "over charging current"),
    (85, SLAVE, ALARM, "over discharging current"),
    (86, SLAVE, ALARM, "over discharging temperature"),
    (87, SLAVE, ALARM, "over charging temperature"),
    (88, SLAVE, ALARM, "battery low voltage"),
    (89, SLAVE, ALARM, "BMS communication loss"),
    (91, SLAVE, ALARM, "ammeter communication loss"),
    (92, SLAVE, ALARM, "DRM0"),
)

# Conditions beyond the protection table and the faults
STORE_FAILED = const(0x01)      # the file system refused a write since start
CLOCK_LOST = const(0x02)        # the clock chip is silent, wrong or was never set
INVERTER_LOST = const(0x04)     # no inverter is heard (COM-08)
IS_SLAVE = const(0x08)          # DIP address 2 to 15

_HEAT = ("PRO-14", "PRO-17")    # of both directions
_COLD = ("PRO-13",)

# code, packs that show it (MASTER: alone too), items whose alarm or protection raises it, items
# whose protection raises it, other conditions, readings that stand beside it (lowest, highest).
# Faults name their codes in their own rows.
TABLE: tuple = (
    (1, MASTER, (), (), 0, None),
    (2, EITHER, (), ("PRO-10", "PRO-12") + _HEAT, 0, (rd.MAX_TEMP_DC, rd.MOS_DC, rd.AMBIENT_DC)),
    (3, EITHER, (), ("PRO-09", "PRO-11") + _COLD, 0, (rd.MIN_TEMP_DC, rd.AMBIENT_DC)),
    (7, MASTER, (), (), STORE_FAILED, None),
    (8, EITHER, (), ("PRO-08", "PWR-03"), 0, None),
    (9, EITHER, (), ("PRO-01", "PRO-03"), 0, None),
    (10, EITHER, (), (), 0, None),
    (53, EITHER, (), (), INVERTER_LOST, None),
    (54, EITHER, ("PRO-15",), (), 0, None),
    (55, EITHER, ("PRO-03",), (), 0, None),
    (56, EITHER, ("PRO-04",), (), 0, None),
    (65, SLAVE, (), (), 0, None),
    (66, SLAVE, (), (), STORE_FAILED, None),
    (67, EITHER, (), (), CLOCK_LOST, None),
    (68, EITHER, (), ("PRO-18",), 0, None),
    (81, EITHER, ("PRO-01",), (), 0, None),
    (82, EITHER, ("PRO-02", "PRO-29"), (), 0, None),
    (83, EITHER, ("PRO-05", "DER-03-chg", "PRO-30-charge"), (), 0, None),
    (85, EITHER, ("PRO-06", "PRO-07", "DER-03-dsg", "PRO-30-discharge"), (), 0, None),
    (86, EITHER, ("PRO-11", "PRO-12") + _HEAT + _COLD, (), 0,
     (rd.MIN_TEMP_DC, rd.MAX_TEMP_DC, rd.MOS_DC, rd.AMBIENT_DC)),
    (87, EITHER, ("PRO-09", "PRO-10") + _HEAT + _COLD, (), 0,
     (rd.MIN_TEMP_DC, rd.MAX_TEMP_DC, rd.MOS_DC, rd.AMBIENT_DC)),
    (88, EITHER, ("PRO-04",), (), 0, None),
    (89, EITHER, (), (), 0, None),
)
CODE, SHOWN_BY, ALARMS, TRIPS, OTHERS, READINGS = range(6)
_NAMES = {rd.MIN_TEMP_DC: "coldest cell", rd.MAX_TEMP_DC: "hottest cell", rd.MOS_DC: "MOSFETs",
          rd.AMBIENT_DC: "ambient"}


def _masks():
    """Per row of TABLE: bits of alarms, of protections, of both words of faults, other
    conditions. Made from one walk through items and faults: a start has no time for one a row."""
    item_bit = {}
    for i in range(len(ITEMS)):
        item_bit[ITEMS[i][0]] = 1 << i
    words = {row[CODE]: [0, 0] for row in TABLE}
    for row in FAULTS:
        bit = rules.bit_of(row[rules.FAULT_NUMBER])
        for code in row[rules.FAULT_AS1]:
            words[code][1 if bit & FAULT_MORE else 0] |= bit & ~FAULT_MORE
    return tuple((sum(item_bit[item] for item in row[ALARMS]),
                  sum(item_bit[item] for item in row[ALARMS] + row[TRIPS]),
                  tuple(words[row[CODE]]), row[OTHERS]) for row in TABLE)


_MASKS = _masks()


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
            who = TABLE[i][SHOWN_BY]
            if who == EITHER or (who == SLAVE) == (others & IS_SLAVE != 0):
                found |= 1 << i
    return found


def others_of(pack, store_errors, clock_is_sound):
    """Conditions for active() of *pack* (Pack)."""
    return ((STORE_FAILED if store_errors else 0) | (0 if clock_is_sound else CLOCK_LOST)
            | (INVERTER_LOST if pack.inverter_lost else 0) | (IS_SLAVE if pack.dip > 1 else 0))


def text_of(code):
    """What *code* means: "09 battery overvoltage (master error)"; ValueError if there is none."""
    for row in CODES:
        if row[0] == code:
            return "%02d %s (%s%s)" % (code, row[3], _OF[row[1]], KINDS[row[2]])
    raise ValueError("the AS1 has no code %s" % code)


def lines(found, values=None):
    """The rows in *found* as text, a line each: text_of(), and the temperatures it is about.

    values   readings, None: without them
    """
    return [text_of(TABLE[i][CODE]) + _beside(TABLE[i][READINGS], values)
            for i in range(len(TABLE)) if found >> i & 1]


def _beside(readings, values):
    """": coldest cell 4.2 degrees, ..." of the *readings* that there are."""
    if readings is None or values is None:
        return ""
    known = [i for i in readings if values[i] != rd.NO_READING]
    return "".join(", %s %s" % (_NAMES[i], quantity(values[i], "dC")) for i in known).replace(
        ",", ":", 1)
