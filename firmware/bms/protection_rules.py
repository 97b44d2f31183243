"""The protection table of the specification, section 3, as data.

A row names its parameters; protection.py turns rows into the arrays the hot path steps. A new
protection is a row here, its parameters in parameters.py, and its tests.
"""

from micropython import const

from bms import readings as rd

CHARGE = const(1)       # what a protection blocks
DISCHARGE = const(2)
BOTH = const(3)

ABOVE = const(1)        # which way is worse
BELOW = const(-1)

# Conditions, bits: worked out once a scan, used by compound releases
CHARGING = const(0x01)          # charge current above other_way_ma
DISCHARGING = const(0x02)       # discharge current above other_way_ma
CHARGER_SEEN = const(0x04)      # terminals above the stack by charger_seen_mv, or charge current
SOC_BELOW_FULL = const(0x08)    # SOC below ov_release_soc_cpct
LOAD_REMOVED = const(0x10)      # the AFE's load detection finds free terminals
CHARGE_FLOWS = const(0x20)      # charge current above rest_ma

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
# Alarm end: a number is the hysteresis from the alarm, a text a parameter of its own.
(ID, READING, WORSE, ALARM, ALARM_END, TRIP, RELEASE, DELAY, NEED, ANY, AFTER, LOCK, MUTE, AFE,
 BLOCKS) = range(15)

ITEMS: tuple = (
    ("PRO-01", rd.MAX_CELL_MV, ABOVE, "cell_ov_alarm_mv", 20, "cell_ov_trip_mv",
     "cell_ov_release_mv", "cell_ov_delay_ms", SOC_BELOW_FULL, DISCHARGING, 0, 0, 0, _COV, CHARGE),
    ("PRO-02", rd.MIN_CELL_MV, BELOW, "cell_uv_alarm_mv", 20, "cell_uv_trip_mv",
     "cell_uv_release_mv", "cell_uv_delay_ms", 0, CHARGER_SEEN, 0, 0, 0, _CUV, DISCHARGE),
    ("PRO-03", rd.CELL_SUM_MV, ABOVE, "pack_ov_alarm_mv", 200, "pack_ov_trip_mv",
     "pack_ov_release_mv", "pack_ov_delay_ms", SOC_BELOW_FULL, DISCHARGING, 0, 0, 0, 0, CHARGE),
    ("PRO-04", rd.CELL_SUM_MV, BELOW, "pack_uv_alarm_mv", 200, "pack_uv_trip_mv",
     "pack_uv_release_mv", "pack_uv_delay_ms", 0, CHARGER_SEEN, 0, 0, 0, 0, DISCHARGE),
    ("PRO-05", rd.CHARGE_MA, ABOVE, "chg_oc_alarm_ma", 1000, "chg_oc_trip_ma", 0,
     "chg_oc_delay_ms", 0, DISCHARGING, "oc_release_ms", "oc_lock_trips", 0, _OCC, CHARGE),
    ("PRO-06", rd.DISCHARGE_MA, ABOVE, "dsg_oc1_alarm_ma", 1000, "dsg_oc1_trip_ma", 0,
     "dsg_oc1_delay_ms", 0, CHARGING, "oc_release_ms", "oc_lock_trips", 0, _OCD3, DISCHARGE),
    ("PRO-07", rd.DISCHARGE_MA, ABOVE, None, 0, "dsg_oc2_trip_ma", 0,
     "dsg_oc2_delay_ms", 0, CHARGING, "oc_release_ms", "oc_lock_trips", 0,
     _OCD1_OCD2 | _OCDL, DISCHARGE),
    ("PRO-08", rd.NEVER, ABOVE, None, 0, 0, 0, 0, 0, CHARGER_SEEN | LOAD_REMOVED, 0, 0, 0,
     _SCD | _SCDL, BOTH),
    ("PRO-09", rd.MIN_TEMP_DC, BELOW, "chg_ut_alarm_dc", 5, "chg_ut_trip_dc",
     "chg_ut_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _UTC, CHARGE),
    ("PRO-10", rd.MAX_TEMP_DC, ABOVE, "chg_ot_alarm_dc", 5, "chg_ot_trip_dc",
     "chg_ot_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _OTC, CHARGE),
    ("PRO-11", rd.MIN_TEMP_DC, BELOW, "dsg_ut_alarm_dc", 5, "dsg_ut_trip_dc",
     "dsg_ut_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _UTD, DISCHARGE),
    ("PRO-12", rd.MAX_TEMP_DC, ABOVE, "dsg_ot_alarm_dc", 5, "dsg_ot_trip_dc",
     "dsg_ot_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _OTD, DISCHARGE),
    ("PRO-13", rd.AMBIENT_DC, BELOW, "env_ut_alarm_dc", 5, "env_ut_trip_dc",
     "env_ut_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, 0, BOTH),
    ("PRO-14", rd.AMBIENT_DC, ABOVE, "env_ot_alarm_dc", 5, "env_ot_trip_dc",
     "env_ot_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, 0, BOTH),
    ("PRO-15", rd.SOC_CPCT, BELOW, ("low_soc_cpct", -1), "low_soc_cpct", None, 0,
     "low_soc_delay_ms", 0, 0, 0, 0, CHARGE_FLOWS, 0, 0),
    ("PRO-16", rd.CELL_DIFF_MV, ABOVE, "cell_diff_alarm_mv", "cell_diff_clear_mv", None, 0,
     "cell_diff_delay_ms", 0, 0, 0, 0, 0, 0, 0),
    ("PRO-17", rd.MOS_DC, ABOVE, "mos_ot_alarm_dc", 5, "mos_ot_trip_dc",
     "mos_ot_release_dc", "temp_delay_ms", 0, 0, 0, 0, 0, _OTF_OTINT, BOTH),
    ("PRO-18", rd.REVERSED, ABOVE, None, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, BOTH),
)


def mask_of(*ids):
    """Bits of the items called *ids*."""
    return sum(1 << i for i in range(len(ITEMS)) if ITEMS[i][0] in ids)


# Faults: not thresholds but contradictions, (name, FETs it holds off while it lasts)
FAULTS = (
    ("MEA-02", BOTH),           # scans fail
    ("MEA-03-cell", BOTH),      # a cell at 0 V or beyond range
    ("MEA-03-sum", BOTH),       # sum of cells against stack
    ("MEA-03-ntc", BOTH),       # thermistor open or shorted
    ("PWR-01-fet", BOTH),       # a FET does not follow its command
    ("SAF-02-afe", BOTH),       # the AFE's configuration could not be verified
    ("SAF-03-task", 0),         # a task keeps failing
    ("MEA-03-wire", BOTH),      # a sense wire between two cells is open
    ("MEA-03-frozen", BOTH),    # nothing changes under current
    ("SAF-05-weld", BOTH),      # current in a direction whose FET is off
    ("SAF-05-open", BOTH),      # a FET that is on does not conduct
    ("SAF-07-hot", BOTH),       # the fast functions and their Python twins disagree
    ("PRF-03", BOTH),           # the profile contradicts itself
    ("MEA-03-blind", BOTH),     # no believable cell voltages, for changing reasons
    ("MEA-03-sign", BOTH),      # cells beyond a limit that the current seems to relieve
    ("COM-03-lost", 0),         # a slave, or at a slave the master, does not answer any more
    ("DIP-02", 0),              # two packs on the parallel bus have one address
    ("SAF-07-ram", BOTH),       # memory does not keep what is written to it
    ("SAF-07-program", BOTH),   # the program is not what was built
    ("SAF-07-data", BOTH),      # a parameter or a threshold changed by itself
    ("SAF-07-clock", BOTH),     # ticks against the clocks of other chips
    ("SAF-07-output", BOTH),    # a pad has not the level that was commanded
    ("SAF-07-flow", BOTH),      # a scan did not go through all of measure, protect, decide, act
)

# AFE trips not to be believed while the reading behind them is in doubt
AFE_BY_CELLS = _CUV | _COV
AFE_BY_NTC = _UTC | _UTD | _OTC | _OTD | _OTF_OTINT
(FAULT_SCAN, FAULT_CELL, FAULT_SUM, FAULT_NTC, FAULT_FET, FAULT_AFE, FAULT_TASK, FAULT_WIRE,
 FAULT_FROZEN, FAULT_WELD, FAULT_OPEN, FAULT_HOT, FAULT_PROFILE, FAULT_BLIND,
 FAULT_SIGN, FAULT_LINK, FAULT_ADDRESS, FAULT_RAM, FAULT_PROGRAM, FAULT_DATA, FAULT_CLOCK,
 FAULT_OUTPUT, FAULT_FLOW) = (1 << i for i in range(23))
BLOCKING = sum(1 << i for i in range(len(FAULTS)) if FAULTS[i][1])
