"""Curves of derating for a profile that gives none (DER-01, DER-02): as those of am5000, made from
the thresholds of the protections that they forestall."""

from bms.limits.derating import CHARGE_LIMIT, DISCHARGE_LIMIT
from bms.words import readings as rd


def curves_of(params):
    """CURVES of a profile with *params*."""
    def at(name, added):
        return params[name] + added

    def between(name, other):
        return (params[name] + params[other]) // 2

    part = params.cells                     # of a pack voltage: 1 mV a cell
    ov_mv = min(60, max(1, params["cell_ov_trip_mv"] - params["cell_ov_alarm_mv"] - 20))
    return (
        (CHARGE_LIMIT, rd.MAX_CELL_MV,
         ((at("cell_ov_alarm_mv", -100), 1000), (at("cell_ov_alarm_mv", 0), 250),
          (at("cell_ov_alarm_mv", ov_mv), 0)), "PRO-01 highest cell"),
        (CHARGE_LIMIT, rd.CELL_SUM_MV,
         ((at("pack_ov_alarm_mv", -125 * part), 1000), (at("pack_ov_alarm_mv", -25 * part), 250),
          (between("pack_ov_alarm_mv", "pack_ov_trip_mv"), 0)), "PRO-03 pack voltage"),
        (DISCHARGE_LIMIT, rd.MIN_CELL_MV,
         ((between("cell_uv_trip_mv", "cell_uv_alarm_mv"), 0), (at("cell_uv_alarm_mv", 50), 250),
          (at("cell_uv_alarm_mv", 200), 1000)), "PRO-02 lowest cell"),
        (DISCHARGE_LIMIT, rd.CELL_SUM_MV,
         ((between("pack_uv_trip_mv", "pack_uv_alarm_mv"), 0),
          (at("pack_uv_alarm_mv", 25 * part), 250), (at("pack_uv_alarm_mv", 150 * part), 1000)),
         "PRO-04 pack voltage"),
        (CHARGE_LIMIT, rd.MAX_TEMP_DC,
         ((at("chg_ot_alarm_dc", -20), 1000), (at("chg_ot_trip_dc", -20), 0)),
         "PRO-10 hottest cell"),
        (DISCHARGE_LIMIT, rd.MAX_TEMP_DC,
         ((at("dsg_ot_alarm_dc", -20), 1000), (at("dsg_ot_trip_dc", -20), 0)),
         "PRO-12 hottest cell"),
        (CHARGE_LIMIT, rd.MIN_TEMP_DC,
         ((at("chg_ut_trip_dc", 1), 0), (at("chg_ut_trip_dc", 3), 50),
          (at("chg_ut_trip_dc", 100), 1000)), "PRO-09 coldest cell"),
        (DISCHARGE_LIMIT, rd.MIN_TEMP_DC,
         ((at("dsg_ut_trip_dc", 10), 0), (at("dsg_ut_trip_dc", 50), 1000)),
         "PRO-11 coldest cell"),
        (CHARGE_LIMIT, rd.MOS_DC,
         ((at("mos_ot_alarm_dc", -50), 1000), (at("mos_ot_trip_dc", -50), 0)), "PRO-17 MOSFETs"),
        (DISCHARGE_LIMIT, rd.MOS_DC,
         ((at("mos_ot_alarm_dc", -50), 1000), (at("mos_ot_trip_dc", -50), 0)), "PRO-17 MOSFETs"),
    )
