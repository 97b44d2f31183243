"""Which parameter each field of PACE's settings is: one table for its ASCII and its Modbus form.

A field is (parameter, scale): the parameter's value is that of the wire times the scale; scale 0
is for a voltage of the pack whose parameter is that of a cell.
"""

CELL_OV = (("cell_ov_alarm_mv", 1), ("cell_ov_trip_mv", 1), ("cell_ov_release_mv", 1),
           ("cell_ov_delay_ms", 100))
CELL_UV = (("cell_uv_alarm_mv", 1), ("cell_uv_trip_mv", 1), ("cell_uv_release_mv", 1),
           ("cell_uv_delay_ms", 100))
PACK_OV = (("pack_ov_alarm_mv", 1), ("pack_ov_trip_mv", 1), ("pack_ov_release_mv", 1),
           ("pack_ov_delay_ms", 100))
PACK_UV = (("pack_uv_alarm_mv", 1), ("pack_uv_trip_mv", 1), ("pack_uv_release_mv", 1),
           ("pack_uv_delay_ms", 100))
CHARGE_OC = (("chg_oc_alarm_ma", 1000), ("chg_oc_trip_ma", 1000), ("chg_oc_delay_ms", 100))
DISCHARGE_OC = (("dsg_oc1_alarm_ma", 1000), ("dsg_oc1_trip_ma", 1000), ("dsg_oc1_delay_ms", 100))
DISCHARGE_OC2 = (("dsg_oc2_trip_ma", 1000), ("dsg_oc2_delay_ms", 25))
CHARGE_HOT = (("chg_ot_alarm_dc", 1), ("chg_ot_trip_dc", 1), ("chg_ot_release_dc", 1))
DISCHARGE_HOT = (("dsg_ot_alarm_dc", 1), ("dsg_ot_trip_dc", 1), ("dsg_ot_release_dc", 1))
CHARGE_COLD = (("chg_ut_alarm_dc", 1), ("chg_ut_trip_dc", 1), ("chg_ut_release_dc", 1))
DISCHARGE_COLD = (("dsg_ut_alarm_dc", 1), ("dsg_ut_trip_dc", 1), ("dsg_ut_release_dc", 1))
MOS_HOT = (("mos_ot_alarm_dc", 1), ("mos_ot_trip_dc", 1), ("mos_ot_release_dc", 1))
AMBIENT_HOT = (("env_ot_alarm_dc", 1), ("env_ot_trip_dc", 1), ("env_ot_release_dc", 1))
AMBIENT_COLD = (("env_ut_alarm_dc", 1), ("env_ut_trip_dc", 1), ("env_ut_release_dc", 1))
BALANCING = (("bal_start_mv", 1), ("bal_diff_mv", 1))
FULL = (("full_cell_mv", 0), ("tail_ma", 1))
SLEEP = (("sleep_cell_mv", 1), ("sleep_cell_s", 60))
LOW_SOC = (("low_soc_cpct", 100),)
LIMITER = (("limiter_on_ma", 1000),)


def read(pack, field):
    """The value of *field* on the wire."""
    name, scale = field
    value = pack.params[name]
    return value // scale if scale else value * pack.profile.CELLS


def taken(pack, field, value):
    """The parameter's value for *value* on the wire."""
    scale = field[1]
    return value * scale if scale else value // pack.profile.CELLS
