"""CAN frames to an inverter as data: layouts, and which frames each kind of inverter gets.

The encoder (frames.py) and the DBC file (can_dbc.py) are made from these tables.
Source: Pylontech CAN V1.2/V1.3 and the extensions of Victron, SMA and others; Growatt LV Rev_04;
Pytes as its readers take it apart.

A field is (name, byte, kind, attribute, scale). kind: U8, U16, I16, U32, little-endian, or with
BIG; TEXT: 8 characters. attribute: of Values, else of the Snapshot; a number: that cell's voltage.
scale: (multiplier, divisor, rounding, added, unit, factor): what is sent is
(value * multiplier + rounding) // divisor + added; times factor it is in unit.
"""

from micropython import const

U8 = const(1)
U16 = const(2)
I16 = const(3)
U32 = const(4)
TEXT = const(5)
BIG = const(8)

# rounding: towards what is safe (a limit never above itself), else to the nearest
_V_LIMIT = (1, 100, 0, 0, "V", "0.1")
_V_LEAST = (1, 100, 99, 0, "V", "0.1")
_A_LIMIT = (1, 100, 0, 0, "A", "0.1")
_CENTIVOLT = (1, 10, 5, 0, "V", "0.01")
_DECIAMPERE = (1, 100, 50, 0, "A", "0.1")
_DECICELSIUS = (1, 1, 0, 0, "degC", "0.1")
_KELVIN = (1, 10, 5, 273, "K", "1")
_MV = (1, 1, 0, 0, "mV", "1")
_PERCENT_OF_CPCT = (1, 100, 0, 0, "%", "1")
_PERCENT = (1, 1, 0, 0, "%", "1")
_CPCT = (1, 1, 0, 0, "%", "0.01")
_AH = (1, 1000, 500, 0, "Ah", "1")
_HECTOWH = (1, 100, 0, 0, "kWh", "0.1")
_COUNT = (1, 1, 0, 0, "", "1")
_BITS = (1, 1, 0, 0, "", "1")
_CENTIAH = (1, 10, 5, 0, "Ah", "0.01")
_MAH = (1, 1, 0, 0, "mAh", "1")
_NUMBER = (1, 1, 0, 1, "", "1")     # of what is counted from 0

_CVL = ("cvl", 0, U16, "told_cvl_mv", _V_LIMIT)
_CCL = ("ccl", 2, I16, "told_ccl_ma", _A_LIMIT)
_DCL = ("dcl", 4, I16, "told_dcl_ma", _A_LIMIT)
_DVL = ("dvl", 6, U16, "dvl_mv", _V_LEAST)
_SOC = ("soc", 0, U16, "soc_cpct", _PERCENT_OF_CPCT)
_SOH = ("soh", 2, U16, "soh_pct", _PERCENT)
_SOC_FINE = ("soc_fine", 4, U16, "soc_cpct", _CPCT)
_VOLTAGE = ("voltage", 0, I16, "voltage_mv", _CENTIVOLT)
_CURRENT = ("current", 2, I16, "current_ma", _DECIAMPERE)
_TEMPERATURE = ("temperature", 4, I16, "mean_temp_dc", _DECICELSIUS)
_PROTECTIONS = ("protections", 0, U16, "protections_359", _BITS)
_ALARMS = ("alarms", 2, U16, "alarms_359", _BITS)
_MODULES = ("modules", 4, U8, "modules", _COUNT)
_REQUESTS = ("requests", 0, U8, "requests_35c", _BITS)

# (identifier, bytes before the fields are put in, fields, whether it needs believable readings)
F351 = (0x351, bytes(8), (_CVL, _CCL, _DCL, _DVL), False)
F355 = (0x355, bytes(4), (_SOC, _SOH), True)
F355_LONG = (0x355, bytes(6), (_SOC, _SOH), True)
F355_FINE = (0x355, bytes(6), (_SOC, _SOH, _SOC_FINE), True)
F355_EIGHT = (0x355, bytes(8), (_SOC, _SOH), True)
F355_SOFAR = (0x355, bytes(8), (
    _SOC, _SOH, _SOC_FINE, ("remaining", 6, U16, "remaining_mah", _AH)), True)
F355_LUX = (0x355, bytes(8), (
    _SOC, _SOH, ("lux_max_cell", 4, U16, "max_cell_mv", _MV),
    ("lux_min_cell", 6, U16, "min_cell_mv", _MV)), True)
F356 = (0x356, bytes(6), (_VOLTAGE, _CURRENT, _TEMPERATURE), True)
F356_EIGHT = (0x356, bytes(8), (_VOLTAGE, _CURRENT, _TEMPERATURE), True)
F356_SOFAR = (0x356, bytes(8), (
    _VOLTAGE, _CURRENT, _TEMPERATURE, ("cycles", 6, U16, "cycles", _COUNT)), True)
F356_LUX = (0x356, bytes(8), (
    _VOLTAGE, _CURRENT, ("lux_max_temp", 4, I16, "told_max_temp_dc", _DECICELSIUS),
    ("lux_min_temp", 6, I16, "min_temp_dc", _DECICELSIUS)), True)
F359 = (0x359, b"\0\0\0\0\0PN", (_PROTECTIONS, _ALARMS, _MODULES), False)
F359_EIGHT = (0x359, b"\0\0\0\0\0PN\0", (_PROTECTIONS, _ALARMS, _MODULES), False)
F359_LUX = (0x359, bytes(7), (
    _PROTECTIONS, _ALARMS, _MODULES, ("lux_capacity", 5, U16, "full_mah", _AH)), False)
F35A = (0x35A, bytes(8), (
    ("alarm_pairs", 0, U32, "alarm_pairs", _BITS),
    ("warning_pairs", 4, U32, "warning_pairs", _BITS)), False)
F35A_PLAIN = (0x35A, bytes(8), (
    ("alarm_pairs", 0, U32, "alarm_pairs_plain", _BITS),
    ("warning_pairs", 4, U32, "warning_pairs_plain", _BITS)), False)
F35C = (0x35C, bytes(2), (_REQUESTS,), False)
F35C_EIGHT = (0x35C, bytes(8), (_REQUESTS,), False)
F35C_LUX = (0x35C, bytes(4), (_REQUESTS, ("lux_cycles", 2, U16, "cycles", _COUNT)), False)
F35E = (0x35E, bytes(8), (("manufacturer", 0, TEXT, "manufacturer", _BITS),), False)
F35F = (0x35F, b"LI\0\0\0\0\0\0", (
    ("version_major", 2, U8, "version_major", _COUNT),
    ("version_minor", 3, U8, "version_minor", _COUNT),
    ("capacity", 4, U16, "full_mah", _AH)), False)
F360 = (0x360, bytes(1), (("force_charge", 0, U8, "force_360", _BITS),), False)
F370_NAME = (0x370, bytes(8), (("name_1", 0, TEXT, "name_1", _BITS),), False)
F371_NAME = (0x371, bytes(8), (("name_2", 0, TEXT, "name_2", _BITS),), False)
F370_DEYE = (0x370, bytes(8), (
    ("deye_max_temp", 0, I16, "max_temp_dc", _DECICELSIUS),
    ("deye_min_temp", 2, I16, "min_temp_dc", _DECICELSIUS),
    ("deye_max_cell", 4, U16, "max_cell_mv", _MV),
    ("deye_min_cell", 6, U16, "min_cell_mv", _MV)), True)
F371_DEYE = (0x371, bytes(8), (
    ("deye_ccl", 0, I16, "told_ccl_ma", _A_LIMIT),
    ("deye_dcl", 2, I16, "told_dcl_ma", _A_LIMIT)), False)
F372 = (0x372, bytes(8), (
    ("modules_ok", 0, U16, "modules", _COUNT),
    ("blocking_charge", 2, U16, "blocking_charge", _COUNT),
    ("blocking_discharge", 4, U16, "blocking_discharge", _COUNT),
    ("offline", 6, U16, "offline", _COUNT)), False)
F373 = (0x373, bytes(8), (
    ("min_cell", 0, U16, "min_cell_mv", _MV), ("max_cell", 2, U16, "max_cell_mv", _MV),
    ("min_temp", 4, U16, "min_temp_dc", _KELVIN),
    ("max_temp", 6, U16, "max_temp_dc", _KELVIN)), True)
F374 = (0x374, bytes(8), (("min_cell_id", 0, TEXT, "min_cell_id", _BITS),), True)
F375 = (0x375, bytes(8), (("max_cell_id", 0, TEXT, "max_cell_id", _BITS),), True)
F376 = (0x376, bytes(8), (("min_temp_id", 0, TEXT, "min_temp_id", _BITS),), True)
F377 = (0x377, bytes(8), (("max_temp_id", 0, TEXT, "max_temp_id", _BITS),), True)
F378 = (0x378, bytes(8), (
    ("charged", 0, U32, "charged_wh", _HECTOWH),
    ("discharged", 4, U32, "discharged_wh", _HECTOWH)), False)
F379 = (0x379, bytes(2), (("installed", 0, U16, "design_mah", _AH),), False)
F380 = (0x380, bytes(8), (("serial_1", 0, TEXT, "serial_1", _BITS),), False)
F381 = (0x381, bytes(8), (("serial_2", 0, TEXT, "serial_2", _BITS),), False)
F382 = (0x382, bytes(8), (("family", 0, TEXT, "name_1", _BITS),), False)

# Growatt low-voltage CAN Rev_04, big-endian
G311 = (0x311, bytes(8), (
    ("g_cvl", 0, BIG | U16, "told_cvl_mv", _V_LIMIT),
    ("g_ccl", 2, BIG | U16, "told_ccl_ma", _A_LIMIT),
    ("g_dcl", 4, BIG | U16, "told_dcl_ma", _A_LIMIT),
    ("g_status", 6, BIG | U16, "status_311", _BITS)), False)
# 312: what its fault bits mean is not published, so none is set
G312 = (0x312, b"\0\0\0\0\0\xaa\xbb\0", (
    ("g_packs", 4, U8, "modules", _COUNT),
    ("g_cells", 7, U8, "cells", _COUNT)), False)
G313 = (0x313, bytes(8), (
    ("g_voltage", 0, BIG | U16, "voltage_mv", _CENTIVOLT),
    ("g_current", 2, BIG | I16, "current_ma", _DECIAMPERE),
    ("g_temperature", 4, BIG | I16, "max_temp_dc", _DECICELSIUS),
    ("g_soc", 6, U8, "soc_cpct", _PERCENT_OF_CPCT), ("g_soh", 7, U8, "soh_pct", _PERCENT)),
    True)
G314 = (0x314, bytes(8), (
    ("g_remaining", 0, BIG | U16, "remaining_mah", _CENTIAH),
    ("g_full", 2, BIG | U16, "full_mah", _CENTIAH),
    ("g_difference", 4, BIG | U16, "cell_diff_mv", _MV),
    ("g_cycles", 6, BIG | U16, "cycles", _COUNT)), True)
G315, G316, G317, G318 = (
    (0x315 + k, bytes(8), tuple(
        ("g_cell_%d" % (4 * k + i + 1), 2 * i, BIG | U16, 4 * k + i, _MV) for i in range(4)), True)
    for k in range(4))
G319 = (0x319, bytes(8), (
    ("g_enable", 0, U8, "requests_319", _BITS),
    ("g_max_cell", 1, BIG | U16, "max_cell_mv", _MV),
    ("g_min_cell", 3, BIG | U16, "min_cell_mv", _MV),
    ("g_max_number", 5, U8, "max_number", _COUNT),
    ("g_min_number", 6, U8, "min_number", _COUNT), ("g_pack", 7, U8, "module", _COUNT)), True)
G320 = (0x320, b"PC\0\0\0\0\0\0", (
    ("g_hardware", 2, U8, "version_major", _COUNT),
    ("g_software", 3, U8, "version_minor", _COUNT)), False)
G321 = (0x321, bytes(8), (), False)

# Pytes' own set, of which the common frames have other identifiers
P400 = (0x400, bytes(8), (_CVL, _CCL, _DCL, _DVL), False)
P401 = (0x401, bytes(8), (
    ("p_max_cell", 0, U16, "max_cell_mv", _MV), ("p_min_cell", 2, U16, "min_cell_mv", _MV),
    ("p_max_number", 4, U8, "max_cell", _NUMBER),
    ("p_max_module", 5, U8, "max_cell_module", _COUNT),
    ("p_min_number", 6, U8, "min_cell", _NUMBER),
    ("p_min_module", 7, U8, "min_cell_module", _COUNT)),
    True)
P402 = (0x402, bytes(8), (
    ("p_max_temp", 0, I16, "max_temp_dc", _DECICELSIUS),
    ("p_min_temp", 2, I16, "min_temp_dc", _DECICELSIUS),
    ("p_max_sensor", 4, U8, "max_temp", _NUMBER),
    ("p_hot_module", 5, U8, "max_temp_module", _COUNT),
    ("p_min_sensor", 6, U8, "min_temp", _NUMBER),
    ("p_cold_module", 7, U8, "min_temp_module", _COUNT)),
    True)
P403 = (0x403, bytes(8), (("p_conditions", 0, U32, "conditions_403", _BITS),), False)
P404 = (0x404, bytes(8), (_SOC, _SOH, ("cycles", 6, U16, "cycles", _COUNT)), True)
P405 = (0x405, bytes(6), (_VOLTAGE, _CURRENT, _TEMPERATURE), True)
P406 = (0x406, bytes(8), (("p_faults", 0, U16, "faults_406", _BITS),), False)
P408 = (0x408, bytes(8), (("p_charge", 0, U8, "may_charge", _COUNT),
                          ("p_discharge", 1, U8, "may_discharge", _COUNT)), False)
P409 = (0x409, bytes(8), (("p_full", 0, U32, "full_mah", _MAH),
                          ("p_remaining", 4, U32, "remaining_mah", _MAH)), True)
P40A = (0x40A, bytes(8), (("p_name", 0, TEXT, "own_name", _BITS),), False)
P40B = (0x40B, bytes(8), (("p_online", 6, U8, "modules", _COUNT),
                          ("p_offline", 7, U8, "offline", _COUNT)), False)
P41E = (0x41E, bytes(8), (("charged", 0, U32, "charged_wh", _HECTOWH),
                          ("discharged", 4, U32, "discharged_wh", _HECTOWH)), False)

# ---- kinds of inverters --------------------------------------------------------------------

# What tells that the inverter is there: any of its frames | these, or an acknowledged frame of
# ours, for inverters that are not known to send one
FRAMES_ONLY = const(0)
OR_ACKNOWLEDGED = const(1)

# Quirks, bits
HOLD_VOLTAGE = const(1)     # while charging is not wanted, ask for the present voltage
NEVER_ZERO = const(2)       # zeros are ignored: 0.1 A says stop
ON_REQUEST = const(4)       # the set answers the inverter's frame; it is not sent unasked

_KEEP = (0x305, 0x306, 0x307)

# (name, frames in order, manufacturer told (None: ours), keep-alive identifiers (-1: any extended
# one), what counts as heard, quirks). Words for a person, PACE's codes and the names that have no
# frames of their own: pace_names.py
(NAME, FRAMES, MAKER, KEEP_ALIVE, HEARD, QUIRKS) = range(6)

VARIANTS: tuple = (
    ("pylontech",
     (F351, F355, F356, F359, F35C, F35E),
     b"PYLON   ", _KEEP, FRAMES_ONLY, 0),
    ("pylontech-1.3",
     (F351, F355_LONG, F356, F35A_PLAIN, F35E, F35F),
     b"PYLON   ", _KEEP, FRAMES_ONLY, 0),
    ("pylontech-2",
     (F351, F355, F356, F359, F35C, F35E, F35A, F372, F373, F374, F375, F376, F377, F379),
     b"PYLON   ", _KEEP, OR_ACKNOWLEDGED, 0),
    ("victron",
     (F351, F355_FINE, F356, F35A, F35E, F35F, F372, F373, F374, F375, F376, F377, F378,
      F379, F370_NAME, F371_NAME, F380, F381, F382, F360),
     None, _KEEP, FRAMES_ONLY, HOLD_VOLTAGE),
    ("sma",
     (F351, F355_FINE, F356, F35A, F35E, F35F),
     None, (0x305, 0x306, 0x300, 0x301), FRAMES_ONLY, 0),
    ("deye",
     (F351, F355_EIGHT, F356_EIGHT, F359_EIGHT, F35C_EIGHT, F35E, F370_DEYE, F371_DEYE),
     b"PYLON   ", _KEEP, FRAMES_ONLY, 0),
    ("growatt",
     (F351, F355, F356, F359, F35C, F35E),
     b"PYLON   ", _KEEP, OR_ACKNOWLEDGED, 0),
    ("growatt-lv",
     (G311, G312, G313, G314, G315, G316, G317, G318, G319, G320, G321),
     None, (0x301,), FRAMES_ONLY, ON_REQUEST),
    ("goodwe",
     (F351, F355, F356, F359, F35C, F35E, F35A, F372, F373, F374, F375, F376, F377, F379),
     b"GOODWE  ", _KEEP, FRAMES_ONLY, 0),
    ("solis",
     (F351, F355, F356, F359, F35C, F35E),
     b"PYLON   ", _KEEP, OR_ACKNOWLEDGED, 0),
    ("luxpower",
     (F351, F355_LUX, F356_LUX, F359_LUX, F35C_LUX, F35E),
     b"PYLON   ", _KEEP, OR_ACKNOWLEDGED, 0),
    ("sofar",
     (F351, F355_SOFAR, F356_SOFAR, F359, F35C, F35E),
     b"PYLON   ", _KEEP, OR_ACKNOWLEDGED, NEVER_ZERO),
    ("schneider",
     (F351, F355, F356, F359, F35C, F35E, F35A, F372, F373, F374, F375, F376, F377, F379),
     b"PYLON   ", (0x305, -1), OR_ACKNOWLEDGED, 0),
    ("pytes",
     (P400, P401, P402, P403, P404, P405, P406, P408, P409, P40A, P40B, P41E),
     None, _KEEP, OR_ACKNOWLEDGED, 0),
)
