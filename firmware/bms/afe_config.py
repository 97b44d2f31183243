"""The AFE's configuration: an image of data-memory rows made from the parameters and the shunt.

The AFE is the second line: its thresholds lie one step of its grid outside the firmware's and
its delays are longer, so that the firmware acts first with its exact values, and the pack is
safe with the firmware dead.
Source: SLUUBY2B, data memory; codes and steps as in its protections chapter.
"""

import struct

_UV_OV_STEP_UV = 50_600         # cell comparators
_DELAY_STEP_US = 3_300
_LATER_MS = 500                 # so much longer than the firmware's are the AFE's cell delays
_OC_STEP_UV = 2_000             # over-current comparators
_CC_GAIN_UOHM = 7_568_400       # CC gain = 7.5684 / shunt in mOhm
_CAPACITY_FACTOR = 298261.6178
_SCD_MV = (10, 20, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)
_SHORT_A = 350                  # PRO-08, fixed
_SCD_DELAY = 14                 # (14 - 1) * 15 us = 195 us: leaves the gate drive 100 us of 300
_OC2_A = 150                    # PRO-07
_OC2_DELAY = 28                 # 3.3 ms * (2 + 28) = 99 ms
_OCC_A = 160                    # slow charge over-current is the firmware's; this is the back-stop
_OCC_DELAY = 119
_OCD3_A = 110                   # PRO-06, on the 250 ms average
_OCD3_DELAY_S = 3
_HOST_WATCHDOG_S = 10


def delay_code(delay_ms):
    """Cell comparator delay, 3.3 ms * (2 + code): _LATER_MS after the firmware's *delay_ms*.

    The chip's longest is 6.8 s; behind a longer firmware delay the AFE acts first.
    """
    return max(1, min(2047, (delay_ms + _LATER_MS) * 1000 // _DELAY_STEP_US - 2))


def cov_code(trip_mv):
    """The comparator step at or just above the firmware's over-voltage protection."""
    return max(20, min(110, -(-trip_mv * 1000 // _UV_OV_STEP_UV)))


def cuv_code(trip_mv):
    """The comparator step at or just below the firmware's under-voltage protection."""
    return max(20, min(90, trip_mv * 1000 // _UV_OV_STEP_UV))


def scd_code(shunt_uohm):
    """The largest short-circuit step that trips at 350 A or less."""
    code = 0
    for i in range(len(_SCD_MV)):
        if _SCD_MV[i] * 1000 <= _SHORT_A * shunt_uohm // 1000:
            code = i
    return code


def _oc_code(amperes, shunt_uohm, highest):
    """The over-current step at or just below *amperes*."""
    return max(2, min(highest, amperes * shunt_uohm // _OC_STEP_UV))


def image(params, shunt_uohm):
    """Rows (address, bytes) for BQ76952.configure().

    params      Parameters; shunt_uohm: the board's shunt
    """
    gain = _CC_GAIN_UOHM / 1000 / shunt_uohm
    return (
        (0x91A8, struct.pack("<ff", gain, gain * _CAPACITY_FACTOR)),
        (0x9234, b"\x82\x28"),                      # no automatic SLEEP
        (0x9236, b"\x0d\x01"),                      # REG1 3.3 V, pre-regulator on
        (0x923C, b"\x60\x05"),                      # MISO at REG1, idle 5 s
        (0x9261, b"\xfc\xf7\xe2"),                  # protections A, B, C
        (0x9265, b"\x98\xd5\x56"),                  # which open the charge FET
        (0x9269, b"\xe4\xe6\xe2"),                  # which open the discharge FET
        (0x926D, b"\x00\xf8"),
        (0x9273, struct.pack("<h", 500)),           # body diode threshold, mA
        (0x9275, struct.pack("<BH", cuv_code(params["cell_uv_trip_mv"]),
                             delay_code(params["cell_uv_delay_ms"]))),
        (0x9278, struct.pack("<BH", cov_code(params["cell_ov_trip_mv"]),
                             delay_code(params["cell_ov_delay_ms"]))),
        (0x927B, b"\x04\x04"),                      # hysteresis
        (0x9280, bytes((_oc_code(_OCC_A, shunt_uohm, 62), _OCC_DELAY))),
        (0x9284, bytes((_oc_code(_OC2_A, shunt_uohm, 100), _OC2_DELAY))),
        (0x9286, bytes((scd_code(shunt_uohm), _SCD_DELAY))),
        (0x928A, struct.pack("<hB", -_OCD3_A * 100, _OCD3_DELAY_S)),
        (0x928F, b"\x03"),                          # latch over-current after 3
        (0x9294, b"\x05\x03"),                      # short circuit: retry 5 s, latch after 3
        (0x929A, bytes((60, 2, 53, 60, 2, 53))),    # over-temperature charge, discharge
        (0x92A0, bytes((107, 2, 85))),              # FET thermistor
        (0x92A6, struct.pack("<bBb", 3, 2, 8)),     # under-temperature charge
        (0x92A9, struct.pack("<bBb", -22, 2, -10)),
        (0x92B2, struct.pack("<H", _HOST_WATCHDOG_S)),
        (0x92FB, b"\xc6\x3b\x07\x07\x07"),          # BOTHOFF, ALERT raw NTC, TS1, TS2, TS3
        (0x9301, b"\x07\x0f"),                      # DCHG cell NTC, DDSG MOSFET NTC
        (0x9303, b"\x06\xff\xff"),                  # 10 mA, 10 mV; 16 cells
        (0x9308, b"\x2d"),                          # FETs wait for the host
        (0x933A, b"\x04"),                          # cells balanced at once
        (0x9343, b"\x50\x00"),                      # FET_EN and PF_EN at reset
    )
