"""The table of `make campaign`: moments, fault kinds, what must follow, as data.

A number written (low, high) is drawn by the run's seed; "@cell" is a cell drawn by it.

MOMENTS  what the pack does when the fault comes. name: {
  tags      what the rows below choose by
  plant     fields of the rig's `open` plant        params   parameters set before
  set       fields of the rig's `set`               lead_ms  passes after it
  up_ms     None: the pack is up | the controller is powered anew and the fault comes so much later
  fets      FETs closed just before the fault       ids      protections that belong to the moment
}

KINDS    kind: rows of {
  variant   name within the kind             value   of the fault, drawn by the seed
  cases     rows (tags, expectation): the first whose tags all hold counts; "!tag": must not hold
}
An expectation is {
  raises      ids, one of which must be up within within_ms (nothing need be if empty)
  events      names of event records, one of which must be written within within_ms
  opens       FETs that must be open within opens_ms         holds   True: FETs stay as they were
  also        further ids that may come; anything else is wrong
  after       (id, ids): the ids may come only once id is up
  tolerated   why nothing has to be raised; then the pack is put under STRESS in every second run
  stress      which of STRESS; the safety oracle judges them
  stress_raises, blind, blind_why
              id that a stress must raise; limits of the oracle that no controller could keep
  unseen      readings ("cells" "current" "temps" "soc") that may be wrong, in principle
  slack_ms    added to the oracle's times, where only the AFE is awake
  back        how it ends: "self", "clear" (the host's command), "reset", None (not judged)
  back_ms     by when
  hold_ms     the fault lasts so long (default: a little beyond the times above)
  boots       controller starts that must follow
  pcs         True: the inverter port must answer once the fault is over
}
Numbers are the specification's (sections 2, 3, 10, 12) plus 300 ms: a scan to be noticed, two to
act (PRO-21). The AFE's own figures are its data sheet's.
"""

BOTH = ("chg", "dsg")
CHG = ("chg",)
DSG = ("dsg",)
NONE: tuple = ()

# ---- moments ----------------------------------------------------------------------------------

_MID = {"soc": (0.3, 0.8), "imbalance_mv": (0, 3)}
_LOAD = {"load_ma": (9_000, 21_000)}


def _charge(ma):
    return {"charger_mv": 56_800, "charger_ma": ma}


def _moment(tags, values, fets=BOTH, ids=NONE, plant=None, lead_ms=(1_500, 4_000), params=None,
            up_ms=None):
    return {"tags": tags, "set": values, "fets": fets, "ids": ids, "plant": plant or _MID,
            "lead_ms": lead_ms, "params": params or {}, "up_ms": up_ms}


_TRIP_MS = (4_500, 6_000)

MOMENTS = {
    "rest-low": _moment(("rest",), {}, plant={"soc": (0.12, 0.2)}),
    "rest-mid": _moment(("rest",), {}),
    "rest-high": _moment(("rest",), {}, plant={"soc": (0.9, 0.97)}),
    "charge-3A": _moment(("charge", "flow"), _charge((2_500, 3_500))),
    "charge-20A": _moment(("charge", "flow", "strong"), _charge((18_000, 24_000))),
    "charge-50A": _moment(("charge", "flow", "strong"), _charge((45_000, 55_000))),
    "charge-90A": _moment(("charge", "flow", "strong"), _charge((85_000, 95_000))),
    "discharge-3A": _moment(("discharge", "flow"), {"load_ma": (2_500, 3_500)}),
    "discharge-10A": _moment(("discharge", "flow"), {"load_ma": (8_000, 12_000)}),
    "discharge-30A": _moment(("discharge", "flow", "strong"), {"load_ma": (25_000, 35_000)}),
    "discharge-50A": _moment(("discharge", "flow", "strong"), {"load_ma": (45_000, 55_000)}),
    "discharge-95A": _moment(("discharge", "flow", "strong"), {"load_ma": (90_000, 99_000)}),
    "near-cell-high": _moment(("charge", "flow", "near"), {
        "cell_mv": {"@cell": (3_570, 3_590)}, **_charge((8_000, 20_000))}),
    "near-cell-low": _moment(("discharge", "flow", "near"), {
        "cell_mv": {"@cell": (2_712, 2_730)}, **_LOAD}),
    "near-hot-charging": _moment(("charge", "flow", "near"), {
        "cell_temp_dc": [568] * 4, **_charge((8_000, 20_000))}),
    "near-hot-discharging": _moment(("discharge", "flow", "near"), {
        "cell_temp_dc": [568] * 4, **_LOAD}),
    "near-cold-charging": _moment(("charge", "flow", "near"), {
        "cell_temp_dc": [60] * 4, **_charge((4_000, 10_000))}),
    "near-cold-discharging": _moment(("discharge", "flow", "near", "one-fet"), {
        "cell_temp_dc": [-185] * 4, **_LOAD}, fets=DSG, ids=("PRO-09",), lead_ms=_TRIP_MS),
    "near-charge-current": _moment(("charge", "flow", "strong", "near"), _charge((97_000, 99_000)),
                                   plant={"soc": (0.3, 0.6)}),
    "near-discharge-current": _moment(("discharge", "flow", "strong", "near"),
                                      {"load_ma": (106_000, 108_500)}),
    "tripped-cell-high": _moment(("tripped", "one-fet", "charger-waits"), {
        "cell_mv": {"@cell": 3_620}, **_charge((15_000, 25_000))}, fets=DSG, ids=("PRO-01",),
        lead_ms=_TRIP_MS),
    "tripped-cell-low": _moment(("tripped", "one-fet", "load-waits"), {
        "cell_mv": {"@cell": 2_690}, **_LOAD}, fets=CHG, ids=("PRO-02",), lead_ms=_TRIP_MS),
    "tripped-cold": _moment(("tripped", "one-fet", "charger-waits"), {
        "cell_temp_dc": [30] * 4, **_charge((15_000, 25_000))}, fets=DSG, ids=("PRO-09",),
        lead_ms=_TRIP_MS),
    "tripped-discharge-current": _moment(("tripped", "one-fet", "load-waits", "timed"), {
        "load_ma": (116_000, 130_000)}, fets=CHG, ids=("PRO-06",), lead_ms=_TRIP_MS),
    "tripped-charge-current": _moment(("tripped", "one-fet", "charger-waits", "timed"),
                                      _charge((112_000, 118_000)), fets=DSG, ids=("PRO-05",),
                                      plant={"soc": (0.3, 0.6)}, lead_ms=_TRIP_MS,
                                      params={"limiter_enable": 0}),
    "tripped-hot": _moment(("tripped", "no-fet", "load-waits"), {
        "cell_temp_dc": [600] * 4, **_LOAD}, fets=NONE, ids=("PRO-10", "PRO-12"),
        lead_ms=_TRIP_MS),
    "tripped-ambient": _moment(("tripped", "no-fet", "load-waits"), {
        "ambient_dc": 775, **_LOAD}, fets=NONE, ids=("PRO-14",), lead_ms=_TRIP_MS),
    "tripped-short": _moment(("tripped", "no-fet", "short"), {"load": "short"}, fets=NONE,
                             ids=("PRO-08",), lead_ms=(1_500, 4_000)),
    "bring-up-early": _moment(("bring-up", "no-fet", "load-waits"), _LOAD, fets=NONE,
                              up_ms=(305, 420)),
    "bring-up-late": _moment(("bring-up", "no-fet", "load-waits"), _LOAD, fets=NONE,
                             up_ms=(420, 700)),
}

# ---- stress: what the pack must still survive with a tolerated fault ----------------------------

STRESS = {
    "cell-high": {"set": {"cell_mv": {"@cell": 3_700}, "load_ma": None, **_charge(20_000)},
                  "ids": ("PRO-01",)},
    "cell-low": {"set": {"cell_mv": {"@cell": 2_440}, "charger_mv": None, "charger_ma": None,
                         "load_ma": 20_000}, "ids": ("PRO-02",)},
    "hot": {"set": {"cell_temp_dc": [625] * 4, "charger_mv": None, "charger_ma": None,
                    "load_ma": 20_000}, "ids": ("PRO-10", "PRO-12")},
    "over-current": {"set": {"charger_mv": None, "charger_ma": None, "load_ma": 130_000},
                     "ids": ("PRO-06",)},
}
EVERYTHING = ("cells", "current", "temps", "soc")
STRESS_MS = 7_000
ALL_STRESS = tuple(STRESS)
CELL_STRESS = ("cell-high", "cell-low", "hot")

# The oracle, on the truth of the model: (name, what, sense, limit, flow, longest ms).
# flow: 1 charging, -1 discharging, 0 either: only then is it a danger.
LIMITS = (
    ("cell over 3650 mV", "max_cell", 1, 3_650, 1, 4_000),
    ("cell under 2500 mV", "min_cell", -1, 2_500, -1, 4_000),
    ("charge over 112 A", "current", 1, 112_000, 1, 4_000),
    ("discharge over 112 A", "current", -1, -112_000, -1, 4_000),
    ("discharge over 153 A", "current", -1, -153_000, -1, 1_100),
    ("discharge over 360 A", "current", -1, -360_000, -1, 400),
    ("cells over 60 degC", "max_temp", 1, 600, 0, 4_000),
    ("cells charged below 3 degC", "min_temp", -1, 30, 1, 4_000),
    ("cells discharged below -22 degC", "min_temp", -1, -220, -1, 4_000),
    ("MOSFETs over 107 degC", "mos", 1, 1_070, 0, 4_000),
    ("ambient over 77 degC", "ambient", 1, 770, 0, 4_000),
)
FLOW_MA = 300
CURRENT_LIMITS = ("charge over 112 A", "discharge over 112 A", "discharge over 153 A",
                  "discharge over 360 A")
CHARGE_LIMITS = ("cell over 3650 mV", "charge over 112 A", "cells charged below 3 degC")
DISCHARGE_LIMITS = ("cell under 2500 mV", "discharge over 112 A", "discharge over 153 A",
                    "discharge over 360 A", "cells over 60 degC", "ambient over 77 degC",
                    "cells discharged below -22 degC")

# How far a reported value may be from the truth, and for how long (a change has to be measured,
# reported and fetched first)
READING_MV = 25
READING_DC = 25
READING_MA = 300
READING_SHARE = 0.015
READING_MS = 1_500
SOC_CPCT = 300

# ---- expectations -------------------------------------------------------------------------------


def _expect(**fields):
    return fields


_STAYS_OFF = {"opens": BOTH, "opens_ms": 0}

_SILENCE = (
    (("bring-up",), _expect(raises=("MEA-02", "SAF-02-afe"), within_ms=2_500, **_STAYS_OFF,
                            also=("MEA-02", "SAF-02-afe"), back="self", back_ms=14_000)),
    ((), _expect(raises=("MEA-02",), within_ms=900, opens=BOTH, opens_ms=900,
                 also=("SAF-02-afe",), back="self", back_ms=14_000)),
)


def _harmless(why, **more):
    return _expect(**{"tolerated": why, "holds": True, "back": "self", "back_ms": 3_000,
                      "hold_ms": 6_000, "stress": ALL_STRESS, **more})


def _at(within_ms, ids, *, up_ms=3_000, back_ms=5_000, back="self", also=NONE, **more):
    """Raised and both FETs open within *within_ms*; counted from the bring-up's end there."""
    return (
        (("bring-up",), _expect(raises=ids, within_ms=within_ms + up_ms, also=also, back=back,
                                back_ms=back_ms, **more)),
        ((), _expect(raises=ids, within_ms=within_ms, opens=BOTH, opens_ms=within_ms, also=also,
                     back=back, back_ms=back_ms, **more)),
    )


# Kinds of the rig that have no row in KINDS yet: why
LATER: dict = {}

_WIRE = ("MEA-03-wire", "MEA-03-sum", "MEA-03-cell")
_ONE_SENSOR = "the pack has one current sensor and nothing to compare it with"
_OC = ("PRO-05", "PRO-06", "PRO-07")

# current through open FETs, or against terminals
_OFFSET_SEEN = ("SAF-05-weld", "MEA-03-sign", "PRO-28-current", "MEA-07-current")
_BLIND_OFFSET = _harmless(
    _ONE_SENSOR, unseen=("current", "soc"), also=(*_OFFSET_SEEN, *_OC), holds=False,
    back="clear", back_ms=70_000, stress=CELL_STRESS, blind=CURRENT_LIMITS,
    blind_why=_ONE_SENSOR)

_SLOW = (
    (("bring-up",), _expect(tolerated="the pause is learnt while the AFE is configured",
                            also=("MEA-02", "SAF-02-afe"), back="self", back_ms=9_000,
                            hold_ms=6_000)),
    ((), _harmless("the pause is learnt, at the cost of a scan (MEA-02)")),
)
_NTC = _at(1_600, ("MEA-03-ntc",), hold_ms=8_000)

_WELD_SEEN = _expect(raises=("SAF-05-weld",), within_ms=1_700, back="clear", back_ms=4_000)
# a second (SAF-05), and two in which the integrator answers whether the load pulses; at a start
# the FETs close after pre-discharge
_FET_DEAD = _at(3_700, ("SAF-05-open",), up_ms=6_500, back="clear", back_ms=6_000)

_HANG = _expect(tolerated="until the reset, within a second, the AFE protects alone",
                opens=BOTH, opens_ms=2_000, boots=1, events=("boot",), within_ms=10_500,
                hold_ms=10_500, slack_ms=2_000, back="self", back_ms=8_000,
                stress=("cell-high", "cell-low", "over-current"), stress_at_once=True,
                # cells pulled apart before the start teach no gain of the stack
                also=("MEA-03-sum",), unseen=("soc",))


def _hang(name):
    return {"variant": name, "value": name, "cases": (((), _HANG),)}


def _raise(name):
    if name == "control":
        rows = (
            ((), _expect(events=("task_error",), within_ms=1_300, opens=BOTH, opens_ms=400,
                         also=("SAF-02-afe",), back="self", back_ms=4_000,
                         tolerated="restarted at once", stress=ALL_STRESS, hold_ms=5_000)),
        )
    else:
        rows = (
            (("bring-up",), _expect(events=("task_error",), within_ms=1_300, back="self",
                                    back_ms=4_000, hold_ms=3_000)),
            ((), _harmless("the task is restarted, the others do not notice",
                           events=("task_error",), within_ms=1_300)),
        )
    return {"variant": name, "value": name, "cases": rows}


# in the order of the firmware's table: a record names a task by its number
TASKS = ("control", "pcs", "can", "debug", "parallel", "panel", "storage", "supervisor",
         "self_tests")
_UNTOUCHED = "nothing that protects listens to this port"


def _line(value, **more):
    return ({"variant": "", "value": value, "cases": (
        (("bring-up",), _expect(tolerated=_UNTOUCHED, back="self", back_ms=3_000, hold_ms=3_000,
                                pcs=True)),
        ((), _harmless(_UNTOUCHED, pcs=True, **more)),
    )},)


def _clock(value):
    """Records lose their wall time, and nothing else."""
    return ({"variant": "", "value": value, "cases": (
        (("bring-up",), _expect(tolerated="nothing depends on the wall time", back="clear",
                                back_ms=5_000, hold_ms=3_000)),
        ((), _expect(tolerated="nothing depends on the wall time", holds=True, back="clear",
                     back_ms=2_000, hold_ms=3_000)),)},)


# A channel that lies, and whoever may find out (MEA-03, MEA-07)
_LIES = ("MEA-03-sum", "MEA-03-cell", "MEA-03-wire", "MEA-03-frozen", "MEA-03-blind",
         "MEA-07-cells", "MEA-07-stack", "MEA-07-terminals", "MEA-07-temp", "SAF-05-open",
         *_OFFSET_SEEN)
_BY_CELLS = ("PRO-01", "PRO-02", "PRO-03", "PRO-04", "PRO-29")
_A_MINUTE = "MEA-07 has a minute from when its witness could tell; the AFE's comparators go on"


def _lie(why, also=_LIES, **more):
    """What lies has its time, and harms nothing meanwhile; the host ends what was raised."""
    return (
        (("bring-up",), _expect(tolerated=why, also=(*also, "PWR-03"), unseen=EVERYTHING,
                                back="clear", back_ms=70_000, hold_ms=4_000)),
        ((), _expect(**{"tolerated": why, "also": also, "unseen": EVERYTHING, "back": "clear",
                        "back_ms": 70_000, "hold_ms": 6_000, **more})),
    )


_ONE_CELL = "less than the stack's tolerance; the AFE's comparators go on"


def _frozen(part, **more):
    return {"variant": part, "value": [part], "cases": _lie(_A_MINUTE, **more)}


_SUM_LIES = _at(6_000, ("MEA-03-sum", "MEA-03-cell", "MEA-03-wire"), up_ms=5_000,
                also=(*_LIES, *_BY_CELLS), unseen=EVERYTHING, back="clear", back_ms=70_000)

KINDS = {
    "afe_silent": ({"variant": "", "value": True, "cases": _SILENCE},),
    "afe_stuck_low": ({"variant": "", "value": True, "cases": _SILENCE},),
    "afe_stuck_high": ({"variant": "", "value": True, "cases": _SILENCE},),
    "afe_crc": (
        {"variant": "most", "value": (0.85, 1.0), "cases": _SILENCE},
        {"variant": "some", "value": (0.2, 0.45), "cases": (
            ((), _expect(tolerated="at this rate scans fail now and then, not five in a row by "
                         "rule", also=("MEA-02", "SAF-02-afe"), back="self", back_ms=14_000,
                         hold_ms=6_000, stress=ALL_STRESS, slack_ms=1_000)),)},
        {"variant": "few", "value": (0.001, 0.02), "cases": (
            (("bring-up",), _expect(tolerated="frames are asked again", back="self",
                                    back_ms=5_000, hold_ms=4_000, also=("SAF-02-afe",))),
            ((), _harmless("frames are asked again within the scan (MEA-02)")),)},
    ),
    "afe_late_ms": (
        {"variant": "late", "value": (2.0, 3_000.0), "cases": _SILENCE},
        {"variant": "slow", "value": (0.031, 1.0), "cases": _SLOW},
    ),
    "afe_latency_us": (
        {"variant": "late", "value": (2_000, 20_000), "cases": _SILENCE},
        {"variant": "slow", "value": (20, 1_000), "cases": _SLOW},
    ),
    "afe_brownout": ({"variant": "", "value": True, "cases": (
        (("bring-up",), _expect(tolerated="it is being configured anyway", also=("SAF-02-afe",
                                "MEA-02"), back="self", back_ms=6_000, hold_ms=3_000)),
        ((), _expect(events=("afe_error",), within_ms=600, opens=BOTH, opens_ms=300,
                     also=("SAF-02-afe", "MEA-02"), back="self", back_ms=6_000)),)},),
    "afe_config_lost": ({"variant": "", "value": True, "cases": (
        (("bring-up",), _expect(tolerated="read back before FETs close", also=(
            "SAF-02-afe", "MEA-02", "MEA-03-ntc"), back="self", back_ms=70_000, hold_ms=3_000)),
        ((), _expect(events=("afe_error",), within_ms=1_600, opens=BOTH, opens_ms=1_600,
                     also=("SAF-02-afe", "MEA-02", "MEA-03-ntc"), back="self",
                     back_ms=6_000)),)},),
    "afe_frozen": ({"variant": "", "value": True, "cases": (
        (("bring-up",), _expect(tolerated="nothing flows yet", also=(
            "MEA-03-frozen", "MEA-03-cell", "MEA-03-ntc", "MEA-03-sum", "PWR-03"), back="self",
            back_ms=45_000, hold_ms=4_000, unseen=EVERYTHING)),   # PWR-03 tries again after 30 s
        (("flow",), _expect(raises=("MEA-03-frozen",), within_ms=2_700, opens=BOTH,
                            opens_ms=2_700, back="self", back_ms=5_000)),
        (("rest",), _harmless("at rest nothing has to move (MEA-03)", also=("MEA-03-frozen",),
                              holds=False, unseen=EVERYTHING, slack_ms=1_000)),
        ((), _expect(tolerated="at rest nothing has to move (MEA-03)", also=("MEA-03-frozen",),
                     back="self", back_ms=5_000, hold_ms=6_000, unseen=EVERYTHING)),)},),
    "open_wire": (
        {"variant": "inner", "value": (1, 15), "cases": _at(8_000, _WIRE, up_ms=1_000)},
        {"variant": "bottom", "value": 0, "cases": _at(5_000, _WIRE)},
        {"variant": "top", "value": 16, "cases": _at(5_000, _WIRE)},
    ),
    "swapped_cells": ({"variant": "", "value": "pair", "cases": (
        (("bring-up",), _expect(tolerated="a balanced pack looks the same", back="self",
                                back_ms=3_000, hold_ms=3_000)),
        ((), _harmless("a balanced pack looks the same, and every cell is still watched")),)},),
    "ntc_open": (
        {"variant": "cell", "value": (0, 3), "cases": _NTC},
        {"variant": "other", "value": (4, 5), "cases": _NTC},
    ),
    "ntc_short": (
        {"variant": "cell", "value": (0, 3), "cases": _NTC},
        {"variant": "other", "value": (4, 5), "cases": _NTC},
    ),
    "shunt_gain": (
        {"variant": "slight", "value": (0.98, 1.02), "cases": (
            (("bring-up",), _expect(tolerated=_ONE_SENSOR, back="self", back_ms=3_000,
                                    hold_ms=3_000, unseen=("current",))),
            (("near", "strong"), _harmless(_ONE_SENSOR, unseen=("current",), also=_OC,
                                           holds=False, back_ms=70_000)),
            ((), _harmless(_ONE_SENSOR, unseen=("current",), also=NONE)),)},
        {"variant": "low", "value": (0.4, 0.7), "cases": (
            (("bring-up",), _expect(tolerated=_ONE_SENSOR, back="self", back_ms=3_000,
                                    hold_ms=3_000, unseen=("current",))),
            ((), _harmless(_ONE_SENSOR, unseen=("current", "soc"), also=(*_OFFSET_SEEN, *_OC),
                           stress=CELL_STRESS, holds=False, back="clear", back_ms=70_000,
                           blind=CURRENT_LIMITS, blind_why=_ONE_SENSOR)),)},
        {"variant": "high", "value": (1.5, 2.2), "cases": (
            ((), _harmless(_ONE_SENSOR, unseen=("current", "soc"), also=(*_OFFSET_SEEN, *_OC),
                           holds=False, back="clear", back_ms=70_000)),)},
    ),
    "shunt_offset_ma": (
        {"variant": "small", "value": (-250, 250), "cases": (
            (("bring-up",), _expect(tolerated=_ONE_SENSOR, back="self", back_ms=3_000,
                                    hold_ms=3_000, unseen=("current",))),
            (("near", "strong"), _harmless(_ONE_SENSOR, unseen=("current",), also=_OC,
                                           holds=False, back_ms=70_000)),
            ((), _harmless(_ONE_SENSOR, unseen=("current",))),)},
        {"variant": "plus", "value": (1_500, 9_000), "cases": (
            (("one-fet",), _expect(tolerated="seen where the charge FET is off",
                                   also=(*_OFFSET_SEEN, *_OC), unseen=("current", "soc"),
                                   blind=CURRENT_LIMITS, blind_why=_ONE_SENSOR,
                                   back="clear", back_ms=70_000, hold_ms=6_000)),
            (("bring-up",), _BLIND_OFFSET),
            (("no-fet",), _expect(raises=_OFFSET_SEEN, within_ms=1_700, also=_OFFSET_SEEN,
                                  unseen=("current",), back="clear", back_ms=6_000)),
            ((), _BLIND_OFFSET),)},
        {"variant": "minus", "value": (-9_000, -1_500), "cases": (
            (("one-fet",), _expect(tolerated="seen where the discharge FET is off",
                                   also=(*_OFFSET_SEEN, *_OC), unseen=("current", "soc"),
                                   blind=CURRENT_LIMITS, blind_why=_ONE_SENSOR,
                                   back="clear", back_ms=70_000, hold_ms=6_000)),
            (("bring-up",), _BLIND_OFFSET),
            (("no-fet",), _expect(raises=_OFFSET_SEEN, within_ms=1_700, also=_OFFSET_SEEN,
                                  unseen=("current",), back="clear", back_ms=6_000)),
            ((), _BLIND_OFFSET),)},
    ),
    "shunt_sign": ({"variant": "", "value": True, "cases": (
        (("bring-up",), _expect(tolerated=_ONE_SENSOR, unseen=("current",), back="clear",
                                back_ms=5_000, hold_ms=3_000)),
        ((), _harmless(_ONE_SENSOR, unseen=("current", "soc"), also=(
            *_OFFSET_SEEN, *_OC), holds=False, back="clear", back_ms=70_000,
            slack_ms=2_000)),)},),
    "fet_weld_chg": ({"variant": "", "value": True, "cases": (
        (("charger-waits",), {**_WELD_SEEN, "blind": CHARGE_LIMITS,
                              "blind_why": "a welded charge FET lets the charger go on"}),
        (("!tripped", "!bring-up", "!one-fet"), _harmless(
            "a closed FET that should be closed", stress=("cell-high",),
            stress_raises="SAF-05-weld", blind=CHARGE_LIMITS, back="clear",
            blind_why="a welded charge FET lets the charger go on")),
        (("bring-up",), _expect(tolerated="a closed FET that will be closed", back="self",
                                back_ms=4_000, hold_ms=4_000)),
        ((), _expect(tolerated="nothing charges", holds=True, back="self", back_ms=4_000,
                     hold_ms=4_000)),)},),
    "fet_weld_dsg": ({"variant": "", "value": True, "cases": (
        (("bring-up",), _expect(tolerated="a FET that will be closed; seen if it stays off long "
                                "enough, for the load draws through it", back="clear",
                                back_ms=6_000, hold_ms=4_000, also=("SAF-05-weld",))),
        (("load-waits",), {**_WELD_SEEN, "blind": DISCHARGE_LIMITS,
                           "blind_why": "a welded discharge FET feeds the load"}),
        (("short",), {**_WELD_SEEN, "blind": DISCHARGE_LIMITS, "unseen": EVERYTHING,
                      "blind_why": "a welded discharge FET feeds the short circuit until the "
                      "fuse blows", "also": tuple(f"PRO-{n:02d}" for n in range(1, 19))
                      + ("MEA-03-ntc", "MEA-03-cell", "MEA-03-sum"), "back": None}),
        (("!tripped",), _harmless(
            "a closed FET that should be closed", stress=("cell-low",),
            stress_raises="SAF-05-weld", also=("PRO-28-current",), blind=DISCHARGE_LIMITS,
            back="clear",
            blind_why="a welded discharge FET feeds the load")),
        ((), _expect(tolerated="nothing discharges", holds=True, back="self", back_ms=4_000,
                     hold_ms=4_000)),)},),
    "fet_open_chg": ({"variant": "", "value": True, "cases": (
        (("one-fet", "!near"), _expect(tolerated="it is looked at when both are to be closed",
                                       holds=True, back="clear", back_ms=4_000, hold_ms=3_000)),
        (("one-fet",), _expect(tolerated="it is looked at when both are to be closed",
                               back="clear", back_ms=4_000, hold_ms=3_000)),
        (("tripped",), _expect(tolerated="it is off anyway", holds=True, back="clear",
                               back_ms=4_000, hold_ms=3_000)),
        (("bring-up",), _expect(tolerated="a drop of one diode from the first scan on is taken "
                                "for the gain of the terminals; it is seen when it changes",
                                also=("SAF-05-open",), back=None, hold_ms=6_000)),
        *_FET_DEAD)},),
    "fet_open_dsg": ({"variant": "", "value": True, "cases": (
        (("one-fet", "!near"), _expect(tolerated="it is looked at when both are to be closed",
                                       holds=True, back="clear", back_ms=4_000, hold_ms=3_000)),
        (("one-fet",), _expect(tolerated="it is looked at when both are to be closed",
                               back="clear", back_ms=4_000, hold_ms=3_000)),
        (("tripped",), _expect(tolerated="it is off anyway", holds=True, back="clear",
                               back_ms=4_000, hold_ms=3_000)),
        *_FET_DEAD)},),
    "rs485_noise": _line((0.02, 0.5)),
    "rs485_echo": _line(True),
    "rs485_babble": _line((0.1, 1.0)),
    "can_bus_off": _line(True),
    "can_no_ack": _line(True),
    "can_overflow": _line(True),
    "can_reset": _line(True),
    "rtc_dead": _clock(True),
    "rtc_jump_s": _clock((-200_000, 200_000)),
    "task_hang": tuple(_hang(name) for name in TASKS),
    "task_raise": tuple(_raise(name) for name in TASKS),
    "task_storm": (
        {"variant": "control", "value": "control", "cases": (
            ((), _expect(tolerated="both FETs stay off until a reset", opens=BOTH, opens_ms=400,
                         raises=("SAF-03-task",), within_ms=2_500, also=("SAF-02-afe",),
                         back="reset", back_ms=6_000, hold_ms=4_000)),)},
        {"variant": "panel", "value": "panel", "cases": (
            (("bring-up",), _expect(tolerated="the FETs close as ever", back="reset",
                                    back_ms=6_000, hold_ms=4_000, also=("SAF-03-task",))),
            ((), _expect(tolerated="the panel protects nothing", holds=True, back="reset",
                         raises=("SAF-03-task",), within_ms=2_500, back_ms=6_000,
                         hold_ms=4_000)),)}),
    "heap_full": ({"variant": "", "value": True, "cases": (
        (("bring-up",), _expect(tolerated="FETs stay off, or close", back="reset",
                                back_ms=6_000, hold_ms=4_000,
                                also=("SAF-03-task", "SAF-02-afe", "MEA-02"))),
        ((), _expect(tolerated="the control path allocates nothing", holds=True, back="reset",
                     back_ms=6_000, hold_ms=5_000, stress=ALL_STRESS, also=("SAF-03-task",))),)},),
    "afe_bothoff": (
        {"variant": "inverted", "value": "inverted", "cases": (
            (("bring-up",), _expect(tolerated="seen before anything is closed, or when it is",
                                    also=("PWR-01-fet", "SAF-02-afe"), back="reset",
                                    back_ms=8_000, hold_ms=4_000)),
            (("no-fet",), _expect(tolerated="the AFE holds both off by command", also=(
                "PWR-01-fet",), back="clear", back_ms=8_000, hold_ms=3_000)),
            (("one-fet",), _expect(tolerated="a trip of the AFE excuses an open FET",
                                   opens=BOTH, opens_ms=300, also=("PWR-01-fet",), back="self",
                                   back_ms=12_000, hold_ms=3_000)),
            ((), _expect(raises=("PWR-01-fet",), within_ms=1_500, opens=BOTH, opens_ms=300,
                         back="self", back_ms=12_000)),)},
        {"variant": "dead", "value": "dead", "cases": (
            (("bring-up",), _expect(tolerated="seen before anything is closed, or at the next "
                                    "start", also=("PWR-01-fet", "SAF-02-afe"), back="reset",
                                    back_ms=8_000, hold_ms=4_000)),
            ((), _harmless("the AFE obeys its commands; the line is tried at the next start")),)},
    ),
    "afe_frozen_part": (
        _frozen("cells"), _frozen("stack"), _frozen("terminals"),
        _frozen("current", also=(*_LIES, *_OC)), _frozen("temps")),
    "afe_reference": ({"variant": "slight", "value": (0.995, 1.005), "cases": _lie(
        "all channels are off by the same share", also=(*_LIES, *_BY_CELLS, *_OC))},),
    "cell_gain": (
        {"variant": "slight", "value": {"@cell": (0.997, 1.003)}, "cases": _lie(
            "within what an uncalibrated board has", also=_BY_CELLS)},
        {"variant": "low", "value": {"@cell": (0.85, 0.9)}, "cases": _lie(
            _ONE_CELL, also=(*_LIES, *_BY_CELLS), back=None)},
        {"variant": "high", "value": {"@cell": (1.1, 1.15)}, "cases": _lie(
            _ONE_CELL, also=(*_LIES, *_BY_CELLS), back=None)},
    ),
    "stack_gain": (
        {"variant": "low", "value": (0.8, 0.9), "cases": _SUM_LIES},
        {"variant": "high", "value": (1.1, 1.2), "cases": _SUM_LIES},
    ),
    "pack_gain": (
        {"variant": "low", "value": (0.8, 0.9), "cases": _lie(_A_MINUTE)},
        {"variant": "high", "value": (1.1, 1.2), "cases": _lie(_A_MINUTE)},
    ),
    "ld_gain": ({"variant": "", "value": (0.8, 1.2), "cases": (
        (("bring-up",), _expect(tolerated="LD tells that a load is gone, by 4 V", back="self",
                                back_ms=4_000, hold_ms=4_000)),
        ((), _harmless("LD tells that a load is gone, by 4 V")),)},),
    "ntc_stuck": (
        {"variant": "cell", "value": {"1": (180, 320)}, "cases": _lie(
            "the three other thermistors protect")},
        {"variant": "MOSFET", "value": {"4": (200, 400)}, "cases": _lie(_A_MINUTE)},
        {"variant": "ambient", "value": {"5": (200, 300)}, "cases": _lie(
            _A_MINUTE, blind=("ambient over 77 degC",),
            blind_why="nothing else measures the air")},
    ),
    "shunt_stuck_ma": (
        {"variant": "little", "value": (-2_000, 2_000), "cases": ((("bring-up",), _BLIND_OFFSET),
                                                                  ((), _BLIND_OFFSET))},
        {"variant": "charge", "value": (20_000, 90_000), "cases": (((), _BLIND_OFFSET),)},
        {"variant": "discharge", "value": (-90_000, -20_000), "cases": (((), _BLIND_OFFSET),)},
    ),
    "terminal_uf": ({"variant": "", "value": (100, 40_000), "cases": (
        (("bring-up",), _expect(tolerated="it is charged first (PWR-03)", back="self",
                                back_ms=6_000, hold_ms=5_000)),
        ((), _harmless("what hangs on the terminals is no concern of closed FETs")),)},),
    "terminal_kohm": ({"variant": "", "value": (2.0, 100.0), "cases": (
        (("bring-up",), _expect(tolerated="it is no short circuit", back="self",
                                back_ms=6_000, hold_ms=5_000)),
        ((), _harmless("a little more load")),)},),
}
FIRMWARE_KINDS = ("task_hang", "task_raise", "task_storm", "heap_full")

# ---- healthy days ------------------------------------------------------------------------------

DAYS = 20
LEGS = 8                    # of a day, each with a controller started anew
LEG_H = 3
NOISE = 10.0                # scale of the model's errors: cells +-15 mV and 3 mV of noise, current
#                             1 % and 100 mA, thermistors 3 K: the worst of the data sheets
CRC_RATE = 0.005            # interference: so many frames are damaged ...
BURST_EVERY = 10            # ... in one minute of so many
STEP_MS = 60_000            # how often the inverter looks at the limits it was told
CHARGER_MV = 56_000
# from hour, sun in A, house in A
PROFILE = (
    (0.0, 0, 5), (6.0, 0, 11), (7.0, 6, 14), (8.0, 14, 8), (8.5, 24, 4), (10.0, 34, 6),
    (12.0, 46, 8), (13.5, 46, 16), (15.0, 30, 6), (16.5, 20, 18), (17.5, 4, 26), (19.5, 0, 34),
    (22.0, 0, 12),
)
START_SOC = 0.42            # at midnight
DAY_PLANT = {"temp_c": (12, 33), "soh": (0.85, 1.0), "imbalance_mv": (0, 2)}
SUN_SHARE = (0.6, 1.2)
HOUSE_SHARE = (0.6, 1.1)
