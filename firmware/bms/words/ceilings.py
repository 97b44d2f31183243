"""Ceilings of a chemistry: what no accepted set of parameters and calibrations may pass (PRO-31).

A profile says CEILINGS = another dict of this form for another chemistry. Calibration moves a
threshold: a cell that is shown 10 mV too low is at its threshold 10 mV later. So the rules look at
what the AFE's converter shows when the calibrated reading reaches the threshold.
"""

from bms.words.phrases import stated

LFP: dict = {
    "name": "LFP",
    "cell_most_mv": 3700,           # no cell beyond it for longer than its delay
    "cell_least_mv": 2000,
    "charge_least_dc": 0,           # a profile may say down to -100
    "charge_most_dc": 600,
    "discharge_least_dc": -250,
    "afe_most_mv": 3750,            # the AFE's own thresholds
    "afe_least_mv": 1800,
    "afe_most_dc": 650,
}
COLDEST_CHARGE_DC = -100            # no profile of LFP goes below
AFE_OUTSIDE_C = 2                   # the AFE's temperature limits lie this far outside

_CELL_GAP_MV = 50                   # from a release to its protection
_TEMP_GAP_DC = 10

# A healthy board (MEA-04): what a calibration may add to a reading, gain and offset together
CELL_CAL_MV = 15
TERMINAL_CAL_PERMILLE = 30
_TERMINALS_MV = 3_200               # a cell, where that is looked at


def ranges(ceilings, cells, most_ma):
    """{name: (lowest or None, highest or None)}: parameters that the ceilings narrow.

    cells    fitted; most_ma: the most that the pack is made for, either way
    """
    most_mv, least_mv = ceilings["cell_most_mv"], ceilings["cell_least_mv"]
    cold_dc, hot_dc = ceilings["charge_least_dc"], ceilings["charge_most_dc"]
    afe_hot_dc = ceilings["afe_most_dc"] - 10 * AFE_OUTSIDE_C
    discharge_dc = ceilings["discharge_least_dc"]
    return {
        "cell_ov_alarm_mv": (None, most_mv), "cell_ov_trip_mv": (None, most_mv),
        "cell_ov_release_mv": (None, most_mv), "cell_uv_trip_mv": (least_mv, None),
        "pack_ov_trip_mv": (None, cells * most_mv), "pack_ov_alarm_mv": (None, cells * most_mv),
        "pack_ov_release_mv": (None, cells * most_mv), "pack_uv_trip_mv": (cells * least_mv, None),
        "chg_ut_trip_dc": (cold_dc, None), "chg_ut_alarm_dc": (cold_dc, None),
        "chg_ot_trip_dc": (None, min(hot_dc, afe_hot_dc)),
        "chg_ot_alarm_dc": (None, min(hot_dc, afe_hot_dc)),
        "dsg_ot_trip_dc": (None, afe_hot_dc), "dsg_ot_alarm_dc": (None, afe_hot_dc),
        "dsg_ut_trip_dc": (discharge_dc, None), "dsg_ut_alarm_dc": (discharge_dc, None),
        "wake_floor_mv": (ceilings["afe_least_mv"], None),
        "full_cell_mv": (None, most_mv - _CELL_GAP_MV),
        "cvl_mv": (None, cells * (most_mv - _CELL_GAP_MV)),
        "nominal_ma": (None, most_ma), "boost_ma": (None, most_ma),
        "limiter_on_ma": (None, most_ma),
        "chg_oc_alarm_ma": (None, most_ma // 100 * 115),
        "dsg_oc1_alarm_ma": (None, most_ma // 100 * 115),
        "chg_oc_trip_ma": (None, most_ma // 100 * 115),
        "dsg_oc1_trip_ma": (None, most_ma // 100 * 115),
        "dsg_oc2_trip_ma": (None, most_ma * 2),
    }


# (lesser, gap, greater): the second value is above the first by at least the gap, else a FET
# that opens releases its own protection and closes again at once
GAPS = (
    ("cell_ov_release_mv", _CELL_GAP_MV, "cell_ov_trip_mv"),
    ("cell_uv_trip_mv", _CELL_GAP_MV, "cell_uv_release_mv"),
    ("chg_ut_trip_dc", _TEMP_GAP_DC, "chg_ut_release_dc"),
    ("chg_ot_release_dc", _TEMP_GAP_DC, "chg_ot_trip_dc"),
    ("dsg_ut_trip_dc", _TEMP_GAP_DC, "dsg_ut_release_dc"),
    ("dsg_ot_release_dc", _TEMP_GAP_DC, "dsg_ot_trip_dc"),
    ("mos_ot_release_dc", _TEMP_GAP_DC, "mos_ot_trip_dc"),
)


def added_mv(params, cell, mv):
    """What the calibration of *cell* adds to a reading of *mv*."""
    return mv * params.cell_gain_ppm(cell) // 1_000_000 - params.cell_offset_mv(cell)


def beyond(params, ceilings, cells):
    """What passes a ceiling: (names of the parameters, text), or None."""
    found = _terminals(params, cells * _TERMINALS_MV)
    for cell in range(cells):
        found = found or _cell(params, ceilings, cell)
    for sensor in range(4):
        found = found or _sensor(params, ceilings, sensor)
    return found


def _terminals(params, mv):
    for name in ("stack", "pack", "ld"):
        gain, offset = "cal_%s_gain_ppm" % name, "cal_%s_offset_mv" % name
        added = mv // 1000 * params[gain] // 1000 - params[offset]
        if abs(added) > mv * TERMINAL_CAL_PERMILLE // 1000:
            return (gain, offset), "%s and %s: %d mV at %d mV; a healthy board is off by 3 %%" % (
                gain, offset, added, mv)
    return None


def _cell(params, ceilings, cell):
    if not params.cell_gain_ppm(cell) and not params.cell_offset_mv(cell):
        return None             # the ranges see to the rest
    gain, offset = "cal_cell%d_gain_ppm" % cell, "cal_cell%d_offset_mv" % cell
    for trip, worst, side in (("cell_ov_trip_mv", ceilings["cell_most_mv"], 1),
                              ("cell_uv_trip_mv", ceilings["cell_least_mv"], -1)):
        added = added_mv(params, cell, worst)
        if abs(added) > CELL_CAL_MV:
            return (gain, offset), "%s and %s: %d mV at %d mV; a healthy board is off by %d mV" % (
                gain, offset, added, worst, CELL_CAL_MV)
        if (params[trip] - added - worst) * side > 0:
            return (trip, gain, offset), (
                "%s (%d) with %s (%s) and %s (%d): cell %d may reach %d mV; the ceiling of %s is "
                "%d mV" % (trip, params[trip], gain, stated(params[gain], "ppm"), offset,
                           params[offset], cell,
                           params[trip] - added, ceilings["name"], worst))
    return None


def _sensor(params, ceilings, sensor):
    if not params.temp_offset_dc(sensor):
        return None
    offset = "cal_temp%d_offset_dc" % sensor
    afe_dc = ceilings["afe_most_dc"] - 10 * AFE_OUTSIDE_C
    for trip, worst, side, what in (
            ("chg_ut_trip_dc", ceilings["charge_least_dc"], -1, "charged"),
            ("chg_ot_trip_dc", ceilings["charge_most_dc"], 1, "charged"),
            ("dsg_ut_trip_dc", ceilings["discharge_least_dc"], -1, "discharged"),
            ("dsg_ot_trip_dc", afe_dc, 1, "discharged")):
        true_dc = params[trip] + params[offset]
        if (true_dc - worst) * side > 0:
            return (trip, offset), (
                "%s (%s) with %s (%s): a cell may be %s at %s; the ceiling of %s is %s" % (
                    trip, stated(params[trip], "dC"), offset, stated(params[offset], "dC"), what,
                    stated(true_dc, "dC"), ceilings["name"], stated(worst, "dC")))
    return None
