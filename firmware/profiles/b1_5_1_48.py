"""B1-5.1-48, the AS1's built-in and slave battery: 16S LFP, 51.2 V, 100 Ah, 60 A.

Source: AS1 user manual, chapters 2.3 and 3.1.
"""

from bms.words import readings as rd
from bms.limits.derating import CHARGE_LIMIT, DISCHARGE_LIMIT

NAME = "b1-5.1-48"
CELLS = 16
PANEL = "bar"           # LED-04
CAPACITY_MAH = 100_000
SLAVES = 3
DEFAULTS = {
    "nominal_ma": 60_000,
    "boost_ma": 60_000,             # no short-time allowance
    "warn_chg_ma": 60_000,
    "warn_dsg_ma": 60_000,
    "pack_ov_alarm_mv": 57_600,
    "pack_ov_trip_mv": 58_400,
    "pack_uv_alarm_mv": 44_000,
    "pack_uv_trip_mv": 42_000,
    "cell_ov_trip_mv": 3_650,
    "cell_ov_alarm_mv": 3_550,
    "cell_uv_trip_mv": 2_620,
    "dvl_mv": 44_000,
    "chg_ut_alarm_dc": 30,
    "chg_ut_trip_dc": 0,
    "chg_ut_release_dc": 30,
    "dsg_ut_alarm_dc": 30,
    "dsg_ut_trip_dc": 0,
    "dsg_ut_release_dc": 30,
    "chg_ot_alarm_dc": 480,
    "chg_ot_trip_dc": 500,
    "chg_ot_release_dc": 450,
    "dsg_ot_alarm_dc": 480,
    "dsg_ot_trip_dc": 500,
    "dsg_ot_release_dc": 450,
}

# DER-04: falling above 45 degC, discharge stops at 10 % SOC
CURVES = (
    (CHARGE_LIMIT, rd.MAX_CELL_MV, ((3420, 1000), (3540, 250), (3600, 0)), "PRO-01 highest cell"),
    (CHARGE_LIMIT, rd.CELL_SUM_MV, ((55200, 1000), (57200, 250), (58000, 0)),
     "PRO-03 pack voltage"),
    (DISCHARGE_LIMIT, rd.MIN_CELL_MV, ((2680, 0), (2780, 250), (2950, 1000)),
     "PRO-02 lowest cell"),
    (DISCHARGE_LIMIT, rd.CELL_SUM_MV, ((42600, 0), (44500, 250), (47200, 1000)),
     "PRO-04 pack voltage"),
    (DISCHARGE_LIMIT, rd.SOC_CPCT, ((1000, 0), (1200, 1000)), "DER-04 SOC at 10 %"),
    (CHARGE_LIMIT, rd.MAX_TEMP_DC, ((450, 1000), (490, 0)), "PRO-10 hottest cell"),
    (DISCHARGE_LIMIT, rd.MAX_TEMP_DC, ((450, 1000), (490, 0)), "PRO-12 hottest cell"),
    (CHARGE_LIMIT, rd.MIN_TEMP_DC, ((1, 0), (3, 50), (100, 1000)), "PRO-09 coldest cell"),
    (DISCHARGE_LIMIT, rd.MIN_TEMP_DC, ((1, 0), (3, 50), (60, 1000)), "PRO-11 coldest cell"),
    (CHARGE_LIMIT, rd.MOS_DC, ((850, 1000), (1000, 0)), "PRO-17 MOSFETs"),
    (DISCHARGE_LIMIT, rd.MOS_DC, ((850, 1000), (1000, 0)), "PRO-17 MOSFETs"),
)
