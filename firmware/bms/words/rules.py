"""The protection table of the specification, section 3, as data.

A row names its parameters; protection.py turns rows into the arrays the hot path steps. A new
protection is a row here, its parameters in parameters.py, and its tests. A new fault is a row of
FAULTS and its constant below.

Each row has a number that is never given twice: event records, counters and the first-out in
flash keep it for years, and a row that is added or moved changes no other one's. Items: 0 to 17
as released, then from 128 on. Faults: from 0 on, at most 58. In a first-out an item has its own
number, a fault its number + 18.
"""

from micropython import const

from bms.words import readings as rd

CHARGE = const(1)       # what a protection blocks (PRO-20)
DISCHARGE = const(2)
BOTH = const(3)

ABOVE = const(1)        # which way is worse
BELOW = const(-1)

# Conditions, bits: worked out once a scan, used by compound releases
CHARGING = const(0x01)          # charge current above other_way_ma for other_way_ms (PRO-32)
DISCHARGING = const(0x02)       # discharge current so
CHARGER_SEEN = const(0x04)      # terminals above the stack by charger_seen_mv, or charge current,
                                # for other_way_ms
SOC_BELOW_FULL = const(0x08)    # SOC below ov_release_soc_cpct
CHARGE_FLOWS = const(0x20)      # charge current above rest_ma
RELIEF = const(0x40)            # DISCHARGING, and over-voltage may be released by it once more
METERED = const(0x80)           # a metered use of more than the continuous current goes on
AT_ONCE = const(0x100)          # nothing was closed since the start or the wake: no delays
CHARGED = const(0x200)          # CHARGER_SEEN, and nothing of deep discharge speaks against it

# AFE safety status bits, as Measurements.safety has them: A | B << 8 | C << 16
_CUV = const(0x04)
_COV = const(0x08)
_OCC = const(0x10)
_OCD1_OCD2 = const(0x60)
_SCD = const(0x80)
_UTC = const(0x0100)
_UTD = const(0x0200)
_OTC = const(0x1000)
_OTD = const(0x2000)
_OTF_OTINT = const(0xC000)
_OCDL = const(0x200000)
_SCDL = const(0x400000)
_OCD3 = const(0x800000)

# Columns of a row. A parameter is a name, or (name, number to add), or a number; None: has none.
# Alarm end: a number is the hysteresis from the alarm, a text a parameter of its own. A row may
# leave out FORGET and WAIT: 0.
(ID, READING, WORSE, ALARM, ALARM_END, TRIP, RELEASE, DELAY, NEED, ANY, AFTER, LOCK, MUTE, AFE,
 BLOCKS, NUMBER, WORDS, FORGET, WAIT) = range(19)

# PRO-33: an under-voltage that comes back within a minute of closing is in a row with the last
_UV_FORGET = ("uv_wait_ms", 60_000)

ITEMS: tuple = (
    ("PRO-01", rd.MAX_CELL_MV, ABOVE, "cell_ov_alarm_mv", 20, "cell_ov_trip_mv",
     "cell_ov_release_mv", "cell_ov_delay_ms", SOC_BELOW_FULL, RELIEF, 0, 0, 0, _COV, CHARGE,
     0, "cell over-voltage"),
    ("PRO-02", rd.MIN_CELL_MV, BELOW, "cell_uv_alarm_mv", 20, "cell_uv_trip_mv",
     "cell_uv_release_mv", "cell_uv_delay_ms", 0, CHARGED, 0, "oc_lock_trips", 0, _CUV,
     DISCHARGE, 1, "cell under-voltage", _UV_FORGET, "uv_wait_ms"),
    ("PRO-03", rd.CELL_SUM_MV, ABOVE, "pack_ov_alarm_mv", 200, "pack_ov_trip_mv",
     "pack_ov_release_mv", "pack_ov_delay_ms", SOC_BELOW_FULL, RELIEF, 0, 0, 0, 0, CHARGE,
     2, "pack over-voltage"),
    ("PRO-04", rd.CELL_SUM_MV, BELOW, "pack_uv_alarm_mv", 200, "pack_uv_trip_mv",
     "pack_uv_release_mv", "pack_uv_delay_ms", 0, CHARGED, 0, "oc_lock_trips", 0, 0,
     DISCHARGE, 3, "pack under-voltage", _UV_FORGET, "uv_wait_ms"),
    ("PRO-05", rd.CHARGE_MA, ABOVE, "chg_oc_alarm_ma", 1000, "chg_oc_trip_ma", 0,
     "chg_oc_delay_ms", 0, DISCHARGING, "oc_release_ms", "oc_lock_trips", 0, _OCC, CHARGE,
     4, "over-current while charging"),
    ("PRO-06", rd.DISCHARGE_MA, ABOVE, "dsg_oc1_alarm_ma", 1000, "dsg_oc1_trip_ma", 0,
     "dsg_oc1_delay_ms", 0, CHARGING, "oc_release_ms", "oc_lock_trips", 0, _OCD3, DISCHARGE,
     5, "over-current while discharging"),
    ("PRO-07", rd.DISCHARGE_MA, ABOVE, None, 0, "dsg_oc2_trip_ma", 0,
     "dsg_oc2_delay_ms", 0, CHARGING, "oc_release_ms", "oc_lock_trips", 0,
     _OCD1_OCD2 | _OCDL, DISCHARGE,
     6, "strong over-current while discharging"),
    # the AFE trips it; its reading only says when it is over, which neither ends the count nor
    # opens a lock
    ("PRO-08", rd.SHORTED, ABOVE, None, 0, 1, -1, 0, 0, CHARGING, 0, "short_lock_trips", 0,
     _SCD | _SCDL, BOTH,
     7, "short circuit"),
    ("PRO-09", rd.MIN_TEMP_DC, BELOW, "chg_ut_alarm_dc", 5, "chg_ut_trip_dc",
     "chg_ut_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _UTC, CHARGE,
     8, "under-temperature while charging"),
    ("PRO-10", rd.MAX_TEMP_DC, ABOVE, "chg_ot_alarm_dc", 5, "chg_ot_trip_dc",
     "chg_ot_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _OTC, CHARGE,
     9, "over-temperature while charging"),
    ("PRO-11", rd.MIN_TEMP_DC, BELOW, "dsg_ut_alarm_dc", 5, "dsg_ut_trip_dc",
     "dsg_ut_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _UTD, DISCHARGE,
     10, "under-temperature while discharging"),
    ("PRO-12", rd.MAX_TEMP_DC, ABOVE, "dsg_ot_alarm_dc", 5, "dsg_ot_trip_dc",
     "dsg_ot_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _OTD, DISCHARGE,
     11, "over-temperature while discharging"),
    ("PRO-13", rd.AMBIENT_DC, BELOW, "env_ut_alarm_dc", 5, "env_ut_trip_dc",
     "env_ut_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, 0, BOTH,
     12, "ambient under-temperature"),
    ("PRO-14", rd.AMBIENT_DC, ABOVE, "env_ot_alarm_dc", 5, "env_ot_trip_dc",
     "env_ot_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, 0, BOTH,
     13, "ambient over-temperature"),
    ("PRO-15", rd.SOC_CPCT, BELOW, ("low_soc_cpct", -1), "low_soc_cpct", None, 0,
     "low_soc_delay_ms", 0, 0, 0, 0, CHARGE_FLOWS, 0, 0,
     14, "low capacity"),
    ("PRO-16", rd.CELL_DIFF_MV, ABOVE, "cell_diff_alarm_mv", "cell_diff_clear_mv", None, 0,
     "cell_diff_delay_ms", 0, 0, 0, 0, 0, 0, 0,
     15, "cell voltages differ too much"),
    ("PRO-17", rd.MOS_DC, ABOVE, "mos_ot_alarm_dc", 5, "mos_ot_trip_dc",
     "mos_ot_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _OTF_OTINT, BOTH,
     16, "MOSFET over-temperature"),
    ("PRO-18", rd.REVERSED, ABOVE, None, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, BOTH,
     17, "charger connected the wrong way round"),
    # AM 5.10: a warning above the continuous current, the tolerance of the sensor beyond it
    ("DER-03-chg", rd.CHARGE_MA, ABOVE, ("warn_chg_ma", 1000), 500, None, 0,
     "warn_delay_ms", 0, 0, 0, 0, METERED, 0, 0,
     132, "charging above the continuous current"),
    ("DER-03-dsg", rd.DISCHARGE_MA, ABOVE, ("warn_dsg_ma", 1000), 500, None, 0,
     "warn_delay_ms", 0, 0, 0, 0, METERED, 0, 0,
     133, "discharging above the continuous current"),
    ("PRO-29", rd.DEEP_CELL_MV, BELOW, None, 0, "deep_floor_mv", "deep_end_mv",
     "cell_uv_delay_ms", 0, 0, 0, 0, 0, 0, CHARGE,
     128, "a cell is too deeply discharged to be charged"),
    ("PRO-30-charge", rd.CHARGE_IGNORED_S, ABOVE, "ignored_alarm_s", 5, "ignored_trip_s", 0, 0,
     0, DISCHARGING, "oc_release_ms", "oc_lock_trips", 0, 0, CHARGE,
     129, "the charge current limit is ignored"),
    ("PRO-30-discharge", rd.DISCHARGE_IGNORED_S, ABOVE, "ignored_alarm_s", 5, "ignored_trip_s",
     0, 0, 0, CHARGING, "oc_release_ms", "oc_lock_trips", 0, 0, DISCHARGE,
     130, "the discharge current limit is ignored"),
    # a try goes through the pre-discharge resistor, and tries are limited: no lock
    ("PWR-03", rd.PRECHARGE, ABOVE, None, 0, 1, -1, 0, 0, 0, 0, 0, 0, 0, BOTH,
     131, "a short circuit or a foreign voltage at the terminals"),
)


def item_of(reason):
    """Row of ITEMS that a derating curve with this *reason* forestalls, or None."""
    for item in ITEMS:
        if item[ID] == reason.split(" ")[0]:
            return item
    return None


def mask_of(*ids):
    """Bits of the items called *ids*."""
    return sum(1 << i for i in range(len(ITEMS)) if ITEMS[i][0] in ids)


# What a fault is told as to inverters and panels (protocols/conditions.py)
(TOLD_AFE, TOLD_CELL, TOLD_NTC, TOLD_FET, TOLD_SYSTEM,      # as a protection
 TOLD_LINK, TOLD_NOTICE) = range(7)                         # as an alarm: communication, system

# Faults: not thresholds but contradictions. One row is all of a fault but its constant:
# name; FETs it holds off while it lasts; number; latched: until a host clears it, or a reset, or
# ... (TESTIFIED) until its sensor is borne out again, as measure/witness_table.py says (MEA-07);
# what it is told as; its codes of the AS1; unit of value and limit; words for a person
(FAULT_NAME, FAULT_BLOCKS, FAULT_NUMBER, FAULT_LATCHED, FAULT_TOLD, FAULT_AS1, FAULT_UNIT,
 FAULT_WORDS) = range(8)

TESTIFIED = const(2)

FAULTS: tuple = (
    ("MEA-02", BOTH, 0, False, TOLD_AFE, (89,), "scans",
     "the cell monitor does not answer"),
    ("MEA-03-cell", BOTH, 1, False, TOLD_CELL, (68,), "",
     "a cell reads 0 V or an impossible voltage"),
    ("MEA-03-sum", BOTH, 2, False, TOLD_CELL, (68,), "",
     "the sum of the cells differs from the stack voltage"),
    ("MEA-03-ntc", BOTH, 3, False, TOLD_NTC, (68,), "",
     "a temperature sensor is open or shorted"),
    ("PWR-01-fet", BOTH, 4, False, TOLD_FET, (68,), "",
     "a FET does not follow its command"),
    ("SAF-02-afe", BOTH, 5, False, TOLD_AFE, (68,), "",
     "the cell monitor cannot be configured"),
    ("SAF-03-task", 0, 6, False, TOLD_SYSTEM, (68,), "",
     "a task keeps failing"),
    ("MEA-03-wire", BOTH, 7, False, TOLD_CELL, (10,), "wire",
     "a sense wire of the cells is open"),
    ("MEA-03-frozen", BOTH, 8, False, TOLD_AFE, (68,), "ms",
     "the readings do not change"),
    ("SAF-05-weld", BOTH, 9, True, TOLD_FET, (68,), "mA",
     "a FET conducts although it is off"),
    ("SAF-05-open", BOTH, 10, True, TOLD_FET, (10,), "mV",
     "a FET does not conduct although it is on"),
    ("SAF-07-hot", BOTH, 11, False, TOLD_SYSTEM, (68,), "",
     "a fast function gives a wrong result"),
    ("PRF-03", BOTH, 12, False, TOLD_SYSTEM, (68,), "",
     "the profile is missing or refused"),
    ("MEA-03-blind", BOTH, 13, False, TOLD_CELL, (68,), "",
     "no cell voltage can be trusted"),
    ("MEA-03-sign", BOTH, 14, TESTIFIED, TOLD_SYSTEM, (68,), "",
     "the current has the wrong sign"),
    ("COM-03-lost", 0, 15, False, TOLD_LINK, (1, 65), "",
     "a pack on the parallel bus does not answer"),
    ("DIP-02", 0, 16, False, TOLD_LINK, (1, 65), "",
     "two packs on the parallel bus have the same address"),
    ("SAF-07-ram", BOTH, 17, True, TOLD_SYSTEM, (68,), "",
     "the memory (RAM) does not keep what is written"),
    ("SAF-07-program", BOTH, 18, True, TOLD_SYSTEM, (68,), "",
     "the program in flash differs from what was built"),
    ("SAF-07-data", BOTH, 19, True, TOLD_SYSTEM, (68,), "",
     "a parameter or threshold changed by itself"),
    ("SAF-07-clock", BOTH, 20, True, TOLD_SYSTEM, (67,), "",
     "the clocks contradict each other"),
    ("SAF-07-output", BOTH, 21, True, TOLD_SYSTEM, (68,), "",
     "an output has the wrong level"),
    ("SAF-07-flow", BOTH, 22, True, TOLD_SYSTEM, (68,), "",
     "a step of a scan was left out"),
    ("SAF-09-lost", BOTH, 23, True, TOLD_SYSTEM, (7, 66), "record",
     "stored settings or states are lost"),
    ("PRO-28-fet", BOTH, 37, True, TOLD_FET, (68,), "",
     "a FET keeps closing against its command"),
    ("PRO-28-current", BOTH, 38, True, TOLD_SYSTEM, (68,), "mA",
     "the current sensor shows a current that does not flow"),
    ("PRF-02-slaves", 0, 51, False, TOLD_LINK, (1, 65), "",
     "more slaves on the parallel bus than the product allows"),
    ("MEA-07-current", BOTH, 25, TESTIFIED, TOLD_SYSTEM, (68,), "mA",
     "cells or terminals contradict the current"),
    ("MEA-07-cells", BOTH, 26, TESTIFIED, TOLD_CELL, (68,), "",
     "the reading of a cell does not change"),
    ("MEA-07-stack", BOTH, 27, TESTIFIED, TOLD_CELL, (68,), "",
     "the reading of the stack voltage does not change"),
    ("MEA-07-terminals", BOTH, 28, TESTIFIED, TOLD_SYSTEM, (68,), "",
     "the reading of the terminals does not change"),
    ("MEA-07-temp", BOTH, 31, TESTIFIED, TOLD_NTC, (68,), "sensor",
     "the reading of a temperature sensor does not change"),
    ("SAF-09-flash", 0, 29, False, TOLD_NOTICE, (7, 66), "",
     "the flash memory cannot be written"),
    ("PRO-27", BOTH, 34, False, TOLD_SYSTEM, (68,), "starts",
     "the controller restarts too often"),
    ("SAF-10-prompt", BOTH, 45, False, TOLD_SYSTEM, (68,), "",
     "a person uses the interpreter's prompt"),
)

# Faults are bits of two words, so that each fits an int that is not on the heap: *faults* has
# the numbers 0 to 28, *faults_more* the others. Bit 29 says that a constant is of the second.
FAULT_WORD = const(29)          # faults in a word
FAULT_MORE = const(0x20000000)
FIRST_OUT_FAULT = const(18)     # number of a fault in a first-out less its own


def bit_of(number):
    """The constant of the fault with *number*: what has() and set_fault() take."""
    return 1 << number if number < FAULT_WORD else FAULT_MORE | 1 << number - FAULT_WORD


def number_of(fault):
    """The number of the fault whose constant is *fault*."""
    number = FAULT_WORD if fault & FAULT_MORE else 0
    while fault & ~FAULT_MORE & ~1:
        fault = (fault & ~FAULT_MORE) >> 1
        number += 1
    return number


def fault_row(number):
    """Row of FAULTS with *number*, or None."""
    for row in FAULTS:
        if row[FAULT_NUMBER] == number:
            return row
    return None


def blocked_by(faults, more):
    """FETs that faults hold off; arguments: the two words."""
    if faults & BLOCKING or more & BLOCKING_MORE:
        return BOTH
    return ((CHARGE if faults & _CHARGE or more & _CHARGE_MORE else 0)
            | (DISCHARGE if faults & _DISCHARGE or more & _DISCHARGE_MORE else 0))


def item_row(number):
    """Row of ITEMS with *number*, or None."""
    for row in ITEMS:
        if row[NUMBER] == number:
            return row
    return None


def faults_with(column, value):
    """(bits of faults, bits of faults_more) of the rows that have *value* in *column*, or have
    it among others there."""
    words = [0, 0]
    for row in FAULTS:
        has = row[column]
        if value in has if isinstance(has, tuple) else value == has:
            bit = bit_of(row[FAULT_NUMBER])
            words[1 if bit & FAULT_MORE else 0] |= bit & ~FAULT_MORE
    return tuple(words)


def _fault(name):
    for row in FAULTS:
        if row[FAULT_NAME] == name:
            return bit_of(row[FAULT_NUMBER])
    raise ValueError(name)


FAULT_SCAN = _fault("MEA-02")
FAULT_CELL = _fault("MEA-03-cell")
FAULT_SUM = _fault("MEA-03-sum")
FAULT_NTC = _fault("MEA-03-ntc")
FAULT_FET = _fault("PWR-01-fet")
FAULT_AFE = _fault("SAF-02-afe")
FAULT_TASK = _fault("SAF-03-task")
FAULT_WIRE = _fault("MEA-03-wire")
FAULT_FROZEN = _fault("MEA-03-frozen")
FAULT_WELD = _fault("SAF-05-weld")
FAULT_OPEN = _fault("SAF-05-open")
FAULT_HOT = _fault("SAF-07-hot")
FAULT_PROFILE = _fault("PRF-03")
FAULT_BLIND = _fault("MEA-03-blind")
FAULT_SIGN = _fault("MEA-03-sign")
FAULT_CLOSES = _fault("PRO-28-fet")
FAULT_UNPROVEN = _fault("PRO-28-current")
FAULT_CURRENT = _fault("MEA-07-current")
FAULT_CELLS = _fault("MEA-07-cells")
FAULT_STACK = _fault("MEA-07-stack")
FAULT_TERMINALS = _fault("MEA-07-terminals")
FAULT_TEMPS = _fault("MEA-07-temp")
FAULT_LINK = _fault("COM-03-lost")
FAULT_ADDRESS = _fault("DIP-02")
FAULT_MANY = _fault("PRF-02-slaves")
FAULT_RAM = _fault("SAF-07-ram")
FAULT_PROGRAM = _fault("SAF-07-program")
FAULT_DATA = _fault("SAF-07-data")
FAULT_CLOCK = _fault("SAF-07-clock")
FAULT_OUTPUT = _fault("SAF-07-output")
FAULT_FLOW = _fault("SAF-07-flow")
FAULT_LOST = _fault("SAF-09-lost")
FAULT_FLASH = _fault("SAF-09-flash")
FAULT_STARTS = _fault("PRO-27")
FAULT_PROMPT = _fault("SAF-10-prompt")
BLOCKING, BLOCKING_MORE = faults_with(FAULT_BLOCKS, BOTH)       # these are state *fail*
_CHARGE, _CHARGE_MORE = faults_with(FAULT_BLOCKS, CHARGE)       # these hold one FET off
_DISCHARGE, _DISCHARGE_MORE = faults_with(FAULT_BLOCKS, DISCHARGE)
_TESTIFIED, _TESTIFIED_MORE = faults_with(FAULT_LATCHED, TESTIFIED)
LATCHED, LATCHED_MORE = faults_with(FAULT_LATCHED, True)        # what a host's `clear` ends
LATCHED |= _TESTIFIED
LATCHED_MORE |= _TESTIFIED_MORE

# AFE trips not to be believed while the reading behind them is in doubt
AFE_BY_CELLS = _CUV | _COV
AFE_BY_NTC = _UTC | _UTD | _OTC | _OTD | _OTF_OTINT
