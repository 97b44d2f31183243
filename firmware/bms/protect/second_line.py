"""The AFE's configuration: an image of data-memory rows made from the parameters and the shunt.

The AFE is the second line (PRO-23): its thresholds lie a step of its grid outside the firmware's
and its delays are longer, so that the firmware acts first with its exact values, and the pack is
safe with the firmware dead. Only the short circuit (PRO-08) is the AFE's own.
Source: SLUUBY2B, data memory; codes and steps as in its protections chapter.
"""

import struct

import bq76952_map as m
from bms.measure import measurements
from bms.words.ceilings import AFE_OUTSIDE_C
from bms.words.parameters import short_ma

_UV_OV_STEP_UV = 50_600         # cell comparators
_DELAY_STEP_US = 3_300
_LATER_MS = 500                 # the AFE's cell delays are this much longer than the firmware's
_OC_STEP_UV = 2_000             # over-current comparators
_OC_LATER_MS = 200
_CC_GAIN_UOHM = 7_568_400       # CC gain = 7.5684 / shunt in mOhm
_CAPACITY_FACTOR = 298261.6178
_SCD_MV = (10, 20, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)
_SCD_DELAY = 14                 # (14 - 1) * 15 us = 195 us: leaves the gate drive 100 us of 300
SHORT_DELAY_US = (_SCD_DELAY - 1) * 15
_OCC_OUTSIDE_MA = 20_000        # the AFE has no slow charge over-current: this is a back-stop
_OCC_DELAY = 119                # 399 ms
_OCD1_OUTSIDE_MA = 100_000      # and at once: between PRO-07 and a short circuit
_OCD1_DELAY = 1                 # 9.9 ms
_OCD3_OUTSIDE_MA = 5_000
_TEMP_LATER_S = 1
_PREDISCHARGE_DELTA = 100       # 1 V: LD this near the stack ends pre-discharge
_HOST_WATCHDOG_S = 10

_COMM_IDLE_S = 5
_SHUTDOWN_STACK_MV = 6_000

GAIN_ROW = m.CC_GAIN            # not covered by the chip's signature

# Parameters that the image is made from, beside the calibrations of cells and thermistors
USED = (
    "bal_cells_most", "cal_current_gain_ppm", "cal_current_offset_ma", "cell_ov_delay_ms",
    "cell_ov_trip_mv", "cell_uv_delay_ms", "cell_uv_trip_mv", "chg_oc_trip_ma",
    "chg_ot_release_dc", "chg_ot_trip_dc", "chg_ut_release_dc", "chg_ut_trip_dc",
    "dsg_oc1_delay_ms", "dsg_oc1_trip_ma", "dsg_oc2_delay_ms", "dsg_oc2_trip_ma",
    "dsg_ot_release_dc", "dsg_ot_trip_dc", "dsg_ut_release_dc", "dsg_ut_trip_dc",
    "mos_ot_release_dc", "mos_ot_trip_dc", "predischarge_ms", "temp_delay_ms", "wake_floor_mv",
)


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
    seen = mv
    for i in range(cells):
        gain, offset_mv = params.cell_gain_ppm(i), params.cell_offset_mv(i)
        if gain or offset_mv:
            raw = (mv + offset_mv) * 32768 // (32768 + measurements.share(gain))
        else:
            raw = mv
        seen = pick(seen, raw) if i else raw
    return seen


def raw_dc(params, dc, pick):
    """What the AFE shows of the cell thermistor that *pick* chooses at *dc* calibrated."""
    return dc + pick([params.temp_offset_dc(i) for i in range(4)])


def scd_code(shunt_uohm, short_a=350):
    """The largest short-circuit step that trips at *short_a* or less (PRO-08)."""
    code = 0
    for i in range(len(_SCD_MV)):
        if _SCD_MV[i] * 1000 <= short_a * shunt_uohm:
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


def used(params, cells=16):
    """Every value of *params* that the image follows from: while they are the same, so is it."""
    values = [params[name] for name in USED]
    for i in range(cells):
        values += (params.cell_gain_ppm(i), params.cell_offset_mv(i))
    for i in range(4):
        values.append(params.temp_offset_dc(i))
    return values


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
    return tuple((address, struct.pack("<" + form, *values)) for address, form, *values in (
        (m.CC_GAIN, "ff", gain, gain * _CAPACITY_FACTOR),
        (m.CC_OFFSET_SAMPLES, "Hh", 64, 0),
        (m.CUV_OVERRIDE, "HH", 0xFFFF, 0xFFFF),     # thresholds by their codes
        (m.CC_DEADBAND, "b", 0),                    # small currents are counted
        # conversions of 1.5 ms; SLEEP only when told; a thermistor on TS2 does not end SHUTDOWN
        (m.POWER_CONFIG, "H", m.WAKE_SPEED_2 | m.FASTADC | m.OTSD | m.DPSLP_PD | m.SHUT_TS2
         | m.DPSLP_OT),
        (m.REG12_CONFIG, "BB", m.REG1_EN | m.REG1_3V3, m.REG0_EN),
        (m.COMM_TYPE, "B", m.SPI_WITH_CRC),
        (m.SPI_CONFIGURATION, "BB", m.SPI_FILT | m.SPI_MISO_REG1, _COMM_IDLE_S),
        (m.SHUTDOWN_CELL, "hh", 0, _SHUTDOWN_STACK_MV // 10),   # by no single cell
        (m.SLEEP_CURRENT, "hBhB", 100, 1, 500, 10),     # SLEEP: below mA, voltages each s,
                                                    # wakes at mA, not again within s
        (m.PROTECTION_CONFIGURATION, "H", m.PF_FETS),
        (m.ENABLED_PROTECTIONS_A, "BBB", m.CUV | m.COV | m.OCC | m.OCD1 | m.OCD2 | m.SCD,
         m.UTC | m.UTD | m.UTINT | m.OTC | m.OTD | m.OTINT | m.OTF,
         m.HWDF | m.OCDL | m.SCDL | m.OCD3),
        # the manual names these values of A alone for turning off at once
        (m.CHG_FET_PROTECTIONS_A, "BBB", m.COV | m.OCC | m.SCD,
         m.UTC | m.UTINT | m.OTC | m.OTINT | m.OTF, m.HWDF | m.PTO | m.COVL | m.SCDL),
        (m.DSG_FET_PROTECTIONS_A, "BBB", m.CUV | m.OCD1 | m.OCD2 | m.SCD,
         m.UTD | m.UTINT | m.OTD | m.OTINT | m.OTF, m.HWDF | m.OCDL | m.SCDL | m.OCD3),
        (m.DEFAULT_ALARM_MASK, "H", m.MSK_PFALERT | m.MSK_SFALERT | m.PF | m.SSA | m.SSBC),
        (m.BODY_DIODE_THRESHOLD, "h", 32_767),      # diodes are spared by the firmware (PRO-28)
        (m.CUV_THRESHOLD, "BH", at.cuv, delay_code(params["cell_uv_delay_ms"])),
        (m.COV_THRESHOLD, "BH", at.cov, delay_code(params["cell_ov_delay_ms"])),
        (m.CUV_HYSTERESIS, "BB", 4, 4),
        (m.COVL_LATCH_LIMIT, "B", 0),               # no latches: the firmware counts and locks
        (m.OCC_THRESHOLD, "BB", oc_code(at.occ_ma, shunt_uohm, 62), _OCC_DELAY),
        (m.OCD1_THRESHOLD, "BB", oc_code(at.ocd1_ma, shunt_uohm, 100), _OCD1_DELAY),
        (m.OCD2_THRESHOLD, "BB", oc_code(at.ocd2_ma, shunt_uohm, 100),
         oc_delay_code(params["dsg_oc2_delay_ms"])),
        (m.SCD_THRESHOLD, "BB", scd_code(shunt_uohm, short_ma(params.most_ma) // 1000),
         _SCD_DELAY),
        (m.OCC_RECOVERY, "h", 200),                 # by time once there is no current
        (m.OCD3_THRESHOLD, "hB", max(-0x8000, -at.ocd3_ma // 10), ocd3_s),
        (m.OCD_RECOVERY, "h", -200),                # by time too: the firmware decides on release
        (m.OCDL_LATCH_LIMIT, "B", 0),
        (m.SCD_RECOVERY_TIME, "BB", 5, 0),
        (m.OTC_THRESHOLD, "bBbbBb", at.otc, temp_s, params["chg_ot_release_dc"] // 10,
         at.otd, temp_s, params["dsg_ot_release_dc"] // 10),
        (m.OTF_THRESHOLD, "BBB", _over_c(params["mos_ot_trip_dc"], 1500), temp_s,
         params["mos_ot_release_dc"] // 10),
        (m.OTINT_THRESHOLD, "bBb", 85, 2, 80),
        (m.UTC_THRESHOLD, "bBb", at.utc, temp_s, params["chg_ut_release_dc"] // 10),
        (m.UTD_THRESHOLD, "bBb", at.utd, temp_s, params["dsg_ut_release_dc"] // 10),
        (m.UTINT_THRESHOLD, "bBb", -30, 2, -25),    # beyond the coldest the pack works in
        (m.RECOVERY_TIME, "B", 3),
        (m.OCC_PACK_TOS_DELTA, "h", 200),           # 2 V
        (m.HWD_DELAY, "H", _HOST_WATCHDOG_S),
        (m.LOAD_DETECT_TIMES, "BBB", 0, 50, 1),     # off unless commanded, an hour at most
        (m.ENABLED_PF_A, "BBBB", 0, 0, 0, 0),
        (m.CFETOFF_PIN, "B", 0),                    # SPI, as HDQ
        (m.DFETOFF_PIN, "B", m.PIN_FET_OFF | m.PIN_PULL_DOWN | m.PIN_BOTHOFF | m.PIN_ACTIVE_LOW),
        (m.ALERT_PIN, "B", m.PIN_NTC),              # ambient
        (m.TS1_PIN, "BBB", m.PIN_CELL_NTC, m.PIN_CELL_NTC, m.PIN_CELL_NTC),
        (m.HDQ_PIN, "BBB", 0, m.PIN_CELL_NTC, m.PIN_FET_NTC),       # HDQ, DCHG, DDSG
        # the top input is always used, and those not fitted lie below it
        (m.DA_CONFIGURATION, "BH", m.USER_AMPS_10MA | m.USER_VOLTS_10MV,
         (1 << cells - 1) - 1 | 0x8000),
        (m.FET_OPTIONS, "B", m.HOST_FET_EN | m.FET_CTRL_EN | m.FET_INIT_OFF | m.PDSG_EN),
        (m.CHG_PUMP_CONTROL, "B", m.CHG_PUMP_EN),
        (m.PREDISCHARGE_TIMEOUT, "BB", params["predischarge_ms"] // 10, _PREDISCHARGE_DELTA),
        (m.OPEN_WIRE_CHECK_TIME, "B", 5),
        (m.BALANCING_CONFIGURATION, "B", 0),        # by the host's masks alone
        (m.BALANCE_TEMPERATURES, "bbb", -20, 60, 70),
        (m.BALANCE_INTERVAL, "BB", 20, params["bal_cells_most"]),
        (m.MFG_STATUS_INIT, "H", m.FET_EN | m.PF_EN),   # at reset
    ))


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
            _SCD_MV[scd_code(shunt_uohm, short_ma(params.most_ma) // 1000)] * 1000 // shunt_uohm,
            SHORT_DELAY_US,
            oc_code(at.occ_ma, shunt_uohm, 62) * amperes_a_step,
            (_OCC_DELAY + 2) * _DELAY_STEP_US / 1000,
            oc_code(at.ocd2_ma, shunt_uohm, 100) * amperes_a_step,
            (oc_delay_code(params["dsg_oc2_delay_ms"]) + 2) * _DELAY_STEP_US / 1000,
            at.ocd3_ma / 1000)
