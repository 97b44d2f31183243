"""The protection table of the specification, section 3, as data.

A row names its parameters; protection.py turns rows into the arrays the hot path steps. A new
protection is a row here, its parameters in parameters.py, and its tests.
"""

from micropython import const

from bms import readings

CHARGE = const(1)       # what a protection blocks
DISCHARGE = const(2)

ABOVE = const(1)        # which way is worse
BELOW = const(-1)

# Conditions, bits: worked out once a scan, used by compound releases
CHARGING = const(0x01)          # charge current above other_way_ma
DISCHARGING = const(0x02)       # discharge current above other_way_ma
CHARGER_SEEN = const(0x04)      # terminals above the stack by charger_seen_mv, or charge current
SOC_BELOW_FULL = const(0x08)    # SOC below ov_release_soc_cpct

# id, reading, worse, prefix of its parameters <prefix>_{alarm,trip,release,delay}_<unit>, unit,
# hysteresis of the alarm, conditions a release by threshold needs, conditions that release at
# once, blocks
ITEMS = (
    ("PRO-01", readings.MAX_CELL_MV, ABOVE, "cell_ov", "mv", 20,
     SOC_BELOW_FULL, DISCHARGING, CHARGE),
    ("PRO-02", readings.MIN_CELL_MV, BELOW, "cell_uv", "mv", 20,
     0, CHARGER_SEEN, DISCHARGE),
    ("PRO-03", readings.STACK_MV, ABOVE, "pack_ov", "mv", 200,
     SOC_BELOW_FULL, DISCHARGING, CHARGE),
    ("PRO-04", readings.STACK_MV, BELOW, "pack_uv", "mv", 200,
     0, CHARGER_SEEN, DISCHARGE),
)

# Faults: not thresholds but contradictions. Each holds both FETs off while it lasts.
FAULTS = (
    "MEA-02",           # scans fail
    "MEA-03-cell",      # a cell at 0 V or beyond range
    "MEA-03-sum",       # sum of cells against stack
    "MEA-03-ntc",       # thermistor open or shorted
    "PWR-01-fet",       # a FET does not follow its command
    "SAF-02-afe",       # the AFE's configuration could not be verified
    "SAF-03-task",      # a task keeps failing
)
FAULT_SCAN = const(0x01)
FAULT_CELL = const(0x02)
FAULT_SUM = const(0x04)
FAULT_NTC = const(0x08)
FAULT_FET = const(0x10)
FAULT_AFE = const(0x20)
FAULT_TASK = const(0x40)
