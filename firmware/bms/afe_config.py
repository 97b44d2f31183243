"""The AFE's configuration: an image of data-memory rows made from the parameters and the shunt.

The AFE is the second line (PRO-23): its thresholds lie a step of its grid outside the firmware's
and its delays are longer, so that the firmware acts first with its exact values, and the pack is
safe with the firmware dead. Only the short circuit (PRO-08) is the AFE's own.
Source: SLUUBY2B, data memory; codes and steps as in its protections chapter.
"""

import struct

from bms import measurements
from bms.ceilings import AFE_OUTSIDE_C

_UV_OV_STEP_UV = 50_600         # cell comparators
_DELAY_STEP_US = 3_300
_LATER_MS = 500                 # so much longer than the firmware's are the AFE's cell delays
_OC_STEP_UV = 2_000             # over-current comparators
_OC_LATER_MS = 200
_CC_GAIN_UOHM = 7_568_400       # CC gain = 7.5684 / shunt in mOhm
_CAPACITY_FACTOR = 298261.6178
_SCD_MV = (10, 20, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)
_SHORT_A = 350                  # PRO-08, fixed
_SCD_DELAY = 14                 # (14 - 1) * 15 us = 195 us: leaves the gate drive 100 us of 300
SHORT_DELAY_US = (_SCD_DELAY - 1) * 15
_OCC_OUTSIDE_MA = 20_000        # the AFE has no slow charge over-current: this is a back-stop
_OCC_DELAY = 119                # 399 ms
_OCD1_OUTSIDE_MA = 100_000      # and at once: between PRO-07 and a short circuit
_OCD1_DELAY = 1                 # 9.9 ms
_OCD3_OUTSIDE_MA = 5_000
_TEMP_LATER_S = 1
_DIODE_LEAST_MA = 500           # body diode: some 0.4 W ...
_DIODE_MOST_MA = 2_000          # ... and 1.5 W
_HOST_WATCHDOG_S = 10

GAIN_ROW = 0x91A8               # not covered by the chip's signature


def delay_code(delay_ms):
    """Cell comparator delay, 3.3 ms * (2 + code): _LATER_MS after the firmware's *delay_ms*.

    The chip's longest is 6.8 s; behind a longer firmware delay the AFE acts first.
    """
    return max(1, min(2047, (delay_ms + _LATER_MS) * 1000 // _DELAY_STEP_US - 2))


def cov_code(trip_mv, most_mv=5600):
    """The comparator step at or just above the firmware's over-voltage protection, but never
    beyond *most_mv* (PRO-31)."""
    return max(20, min(110, -(-trip_mv * 1000 // _UV_OV_STEP_UV),
                       most_mv * 1000 // _UV_OV_STEP_UV))


def cuv_code(trip_mv, least_mv=0):
    """The comparator step at or just below the firmware's under-voltage protection, but never
    beyond *least_mv* (PRO-31)."""
    return max(20, min(90, trip_mv * 1000 // _UV_OV_STEP_UV),
               -(-least_mv * 1000 // _UV_OV_STEP_UV))


def raw_ma(params, ma, sign):
    """What the shunt shows while the calibrated current is *ma* charging (*sign* 1) or
    discharging (-1) (MEA-04)."""
    gain = measurements.share(params["cal_current_gain_ppm"])
    return (ma + sign * params["cal_current_offset_ma"]) * 32768 // (32768 + gain)


def raw_mv(params, cells, mv, pick):
    """What the comparators see of the cell that *pick*, min or max, chooses while its calibrated
    reading is *mv*: they have one threshold for all cells (MEA-04)."""
    seen = [(mv + params["cal_cell%d_offset_mv" % i]) * 32768
            // (32768 + measurements.share(params["cal_cell%d_gain_ppm" % i]))
            for i in range(cells)]
    return pick(seen)


def raw_dc(params, dc, pick):
    """What the AFE shows of the cell thermistor that *pick* chooses at *dc* calibrated."""
    return dc + pick([params["cal_temp%d_offset_dc" % i] for i in range(4)])


def scd_code(shunt_uohm):
    """The largest short-circuit step that trips at 350 A or less."""
    code = 0
    for i in range(len(_SCD_MV)):
        if _SCD_MV[i] * 1000 <= _SHORT_A * shunt_uohm:
            code = i
    return code


def oc_code(trip_ma, shunt_uohm, highest):
    """The over-current comparator step at or just above *trip_ma*."""
    return max(2, min(highest, -(-(trip_ma // 1000) * shunt_uohm // _OC_STEP_UV)))


def oc_delay_code(delay_ms):
    """Its delay, 3.3 ms * (2 + code), _OC_LATER_MS after the firmware's."""
    return max(1, min(127, (delay_ms + _OC_LATER_MS) * 1000 // _DELAY_STEP_US - 2))


def _over_c(trip_dc, most_dc=1270):
    return min(-(-trip_dc // 10) + AFE_OUTSIDE_C, most_dc // 10)


def _under_c(trip_dc):
    return trip_dc // 10 - AFE_OUTSIDE_C


class _Outside:
    """The firmware's thresholds as the AFE's converters see them, through the calibrations, and
    held within the ceilings of the chemistry."""

    def __init__(self, params, cells, deep):
        ceilings = params.ceilings
        low_mv = params["cell_uv_trip_mv"]
        if deep:
            low_mv = min(low_mv, params["wake_floor_mv"])
        most_mv = raw_mv(params, cells, ceilings["afe_most_mv"], min)
        least_mv = raw_mv(params, cells, ceilings["afe_least_mv"], max)
        self.cov = cov_code(raw_mv(params, cells, params["cell_ov_trip_mv"], max), most_mv)
        self.cuv = cuv_code(raw_mv(params, cells, low_mv, min), least_mv)
        hot_dc = raw_dc(params, ceilings["afe_most_dc"], min)
        self.otc = _over_c(raw_dc(params, params["chg_ot_trip_dc"], max), hot_dc)
        self.otd = _over_c(raw_dc(params, params["dsg_ot_trip_dc"], max), hot_dc)
        self.utc = _under_c(raw_dc(params, params["chg_ut_trip_dc"], min))
        self.utd = _under_c(raw_dc(params, params["dsg_ut_trip_dc"], min))
        self.occ_ma = raw_ma(params, params["chg_oc_trip_ma"] + _OCC_OUTSIDE_MA, 1)
        self.ocd1_ma = raw_ma(params, params["dsg_oc2_trip_ma"] + _OCD1_OUTSIDE_MA, -1)
        self.ocd2_ma = raw_ma(params, params["dsg_oc2_trip_ma"], -1)
        self.ocd3_ma = raw_ma(params, params["dsg_oc1_trip_ma"] + _OCD3_OUTSIDE_MA, -1)


def image(params, shunt_uohm, cells=16, deep=False):
    """Rows (address, bytes) for BQ76952.configure().

    params      Parameters; shunt_uohm: the board's shunt; cells: fitted, from the lowest input
    deep        a timed wake after over-discharge: the AFE may close the discharge FET too, down
                to a limit of its own
    """
    at = _Outside(params, cells, deep)
    gain = _CC_GAIN_UOHM / 1000 / shunt_uohm
    ocd3_s = min(255, -(-params["dsg_oc1_delay_ms"] // 1000) + 1)
    temp_s = -(-params["temp_delay_ms"] // 1000) + _TEMP_LATER_S
    return (
        (GAIN_ROW, struct.pack("<ff", gain, gain * _CAPACITY_FACTOR)),
        (0x922D, b"\x00"),                          # no deadband: small currents are counted
        (0x9234, b"\xc2\x28"),                      # conversions of 1.5 ms; SLEEP only when told
        (0x9236, b"\x0d\x01"),                      # REG1 3.3 V, pre-regulator on
        (0x923C, b"\x60\x05"),                      # MISO at REG1, idle 5 s
        (0x9248, struct.pack("<hBhB", 100, 1, 500, 10)),    # SLEEP: below mA, voltages each s,
                                                    # wakes at mA, not again within s
        (0x9261, b"\xfc\xf7\xe2"),                  # protections A, B, C
        (0x9265, b"\x98\xd5\x56"),                  # which open the charge FET
        (0x9269, b"\xe4\xe6\xe2"),                  # which open the discharge FET
        (0x926D, b"\x00\xf8"),
        # a FET held off is closed to spare its diode only beyond the current that releases it
        (0x9273, struct.pack("<h", max(_DIODE_LEAST_MA, min(_DIODE_MOST_MA,
                                                            params["other_way_ma"])))),
        (0x9275, struct.pack("<BH", at.cuv,
                             delay_code(params["cell_uv_delay_ms"]))),
        (0x9278, struct.pack("<BH", at.cov,
                             delay_code(params["cell_ov_delay_ms"]))),
        (0x927B, b"\x04\x04"),                      # hysteresis
        (0x9280, bytes((oc_code(at.occ_ma, shunt_uohm, 62), _OCC_DELAY))),
        (0x9282, bytes((oc_code(at.ocd1_ma, shunt_uohm, 100), _OCD1_DELAY))),
        (0x9284, bytes((oc_code(at.ocd2_ma, shunt_uohm, 100),
                        oc_delay_code(params["dsg_oc2_delay_ms"])))),
        (0x9286, bytes((scd_code(shunt_uohm), _SCD_DELAY))),
        (0x9288, struct.pack("<h", 200)),           # OCC recovers by time once there is no current
        (0x928A, struct.pack("<hB", -at.ocd3_ma // 10, ocd3_s)),
        (0x928D, struct.pack("<h", -200)),          # OCD too: the firmware decides on release
        (0x928F, b"\x00"),                          # no latches: the firmware counts and locks
        (0x9294, b"\x05\x00"),
        (0x929A, struct.pack("<bBbbBb", at.otc, temp_s, params["chg_ot_release_dc"] // 10,
                             at.otd, temp_s, params["dsg_ot_release_dc"] // 10)),
        (0x92A0, struct.pack("<BBB", _over_c(params["mos_ot_trip_dc"]), temp_s,
                             params["mos_ot_release_dc"] // 10)),
        (0x92A6, struct.pack("<bBb", at.utc, temp_s,
                             params["chg_ut_release_dc"] // 10)),
        (0x92A9, struct.pack("<bBb", at.utd, temp_s,
                             params["dsg_ut_release_dc"] // 10)),
        (0x92B2, struct.pack("<H", _HOST_WATCHDOG_S)),
        (0x92FB, b"\xc6\x3b\x07\x07\x07"),          # BOTHOFF, ALERT raw NTC, TS1, TS2, TS3
        (0x9301, b"\x07\x0f"),                      # DCHG cell NTC, DDSG MOSFET NTC
        (0x9303, struct.pack("<BH", 6, (1 << cells) - 1)),      # 10 mA, 10 mV; cells fitted
        (0x9308, b"\x2d"),                          # FETs wait for the host
        (0x933A, b"\x04"),                          # cells balanced at once
        (0x9343, b"\x50\x00"),                      # FET_EN and PF_EN at reset
    )


def realised(params, shunt_uohm, cells=16):
    """Text: what the AFE's own protections come to after rounding to its steps."""
    at = _Outside(params, cells, False)
    amperes_a_step = _OC_STEP_UV / shunt_uohm
    return "COV %.1f mV after %.1f ms; CUV %.1f mV after %.1f ms; SCD %d A after %d us; " \
        "OCC %.0f A after %.0f ms; OCD2 %.0f A after %.0f ms; OCD3 %.0f A" % (
            at.cov * _UV_OV_STEP_UV / 1000,
            (delay_code(params["cell_ov_delay_ms"]) + 2) * _DELAY_STEP_US / 1000,
            at.cuv * _UV_OV_STEP_UV / 1000,
            (delay_code(params["cell_uv_delay_ms"]) + 2) * _DELAY_STEP_US / 1000,
            _SCD_MV[scd_code(shunt_uohm)] * 1000 // shunt_uohm, SHORT_DELAY_US,
            oc_code(at.occ_ma, shunt_uohm, 62) * amperes_a_step,
            (_OCC_DELAY + 2) * _DELAY_STEP_US / 1000,
            oc_code(at.ocd2_ma, shunt_uohm, 100) * amperes_a_step,
            (oc_delay_code(params["dsg_oc2_delay_ms"]) + 2) * _DELAY_STEP_US / 1000,
            at.ocd3_ma / 1000)
