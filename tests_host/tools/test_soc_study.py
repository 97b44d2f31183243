"""The study of state of charge: its cells against the rig's, and the estimator under any input."""

import ast
import ctypes
import pathlib
import shutil
import types

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = pathlib.Path(__file__).resolve().parents[2]

import plant as truth_model  # noqa: E402
from bms.words.parameters import Parameters  # noqa: E402
from bms.charge.soc import StateOfCharge  # noqa: E402

numpy = pytest.importorskip("numpy")
import soc_study  # noqa: E402

needs_compiler = pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")),
                                    reason="no C compiler for tools/studies/soc_plant.c")
SMALL = 1 << 30


# ---- the cells of the study are the cells of the rig -----------------------------------------


@needs_compiler
@pytest.mark.parametrize("seed, soc, temp_c", ((1, 0.5, 25.0), (2, 0.95, 5.0), (3, 0.25, 40.0)))
def test_cells_are_those_of_the_rig(seed, soc, temp_c):
    lib = soc_study.library()
    model = truth_model.Plant(seed=seed, soc=soc, temp_c=temp_c)
    cells = soc_study.cells_of(model)
    model.set_fets(True, True, 0)
    out = (ctypes.c_int32 * soc_study.COLUMNS)()
    left, total = ctypes.c_double(), ctypes.c_double()
    now_us = 0
    for minutes, wish_ma in ((20, 20_000), (30, 0), (40, -30_000), (5, 0), (60, 45_000),
                             (240, 0), (30, -1_000)):
        charging = wish_ma > 0
        model.apply(now_us, charger_mv=56_000 if charging else None, charger_ma=wish_ma,
                    load_ma=None if charging else -wish_ma)
        for _ in range(minutes * 6):
            # what the new wish makes of the current is seen at the end of a step on both sides
            lib.plant_run(cells, 1, 10.0, wish_ma, 56_000, 1, 0, ctypes.addressof(out))
            now_us += 10_000_000
            model.step_to(now_us)
        want = model.epoch[1]
        assert max(abs(a - b) for a, b in zip(cells.v, want)) < 3.0, (minutes, wish_ma)
        assert abs(cells.current_ma - model.current_ma) < 60 + abs(model.current_ma) * 0.02
        lib.plant_truth(cells, left, total)
        mine, true = left.value / total.value, model.capacity()
        assert abs(mine - true[0] / true[1]) < 0.002
        assert max(abs(a - b) for a, b in zip(cells.group_c, model.group_c)) < 0.2


@needs_compiler
@pytest.mark.req("SOC-01", "SOC-02", "SOC-03")
def test_a_month_with_the_worst_sensor_keeps_the_promises():
    result = soc_study.year((8, 30))        # 0.5 % and 100 mA
    assert abs(result["gain"]) == pytest.approx(0.5)
    assert abs(result["offset"]) == 100
    assert result["cycle_error"] <= 3
    assert result["worst"] <= 5
    assert result["rms"] <= 2
    assert result["covered"] >= 95
    assert result["rises"] == result["falls"] == result["jumps"] == 0
    assert result["restart_jump"] <= 1
    assert 0 <= result["lowest"] and result["highest"] <= 100


@needs_compiler
@pytest.mark.req("SOC-02")
def test_one_ampere_for_a_month_is_counted():
    error, _ = soc_study.small_loads(1)
    assert abs(error) <= 2


@needs_compiler
@pytest.mark.req("SOC-02")
@pytest.mark.parametrize(("seed", "idle_min", "rest_min"), ((2, 0, 30), (3, 0, 30), (18, 15, 0)))
def test_thirty_days_of_partial_cycles(seed, idle_min, rest_min):
    """Rocker on and current at once: an empty pack shows its zero. Or some idle minutes first."""
    worst, covered = soc_study.partial_cycles((seed, idle_min, rest_min))
    assert worst <= 5
    assert covered >= 0.95


# ---- every intermediate result fits a small integer of the targets ---------------------------


class Wrap(ast.NodeTransformer):
    """Each arithmetic result goes through _small()."""

    def visit_BinOp(self, node):
        self.generic_visit(node)
        call = ast.Call(ast.Name("_small", ast.Load()), [node], [])
        return ast.copy_location(call, node)

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        load = ast.parse(ast.unparse(node.target), mode="eval").body
        value = ast.Call(ast.Name("_small", ast.Load()),
                         [ast.BinOp(load, node.op, node.value)], [])
        return ast.copy_location(ast.Assign([node.target], value), node)


def _small(value):
    if isinstance(value, int):
        assert -SMALL <= value < SMALL, value
    return value


def checked(path, **names):
    tree = ast.fix_missing_locations(Wrap().visit(ast.parse(path.read_text())))
    space = {"_small": _small, "__name__": path.stem}
    exec(compile(tree, str(path), "exec"), space)
    space.update(names)
    return space


BMS = ROOT / "firmware" / "bms"
OCV = types.SimpleNamespace(**checked(BMS / "words" / "ocv.py"))
PARTS: dict = {}
for _name in ("bounds", "drift", "tally"):
    PARTS.update((name, it) for name, it in checked(
        BMS / "charge" / f"{_name}.py", **PARTS).items() if not name.startswith("_"))
Checked = checked(BMS / "charge" / "soc.py", **PARTS, ocv=OCV)["StateOfCharge"]

STEPS = st.lists(st.tuples(
    st.integers(1, 40),
    st.one_of(st.none(), st.integers(-1_200_000, 1_200_000),
              st.sampled_from((-(1 << 31), 1 << 31, 0))),
    st.sampled_from((1, 1000, 10_000, 10_000, 10_003, 60_000, 250_000, 3_600_000, 1 << 27,
                     1 << 29)),
    st.integers(-400_000, 400_000), st.integers(0, 5000), st.integers(-400, 1000),
    st.booleans(), st.sampled_from(("", "", "", "full", "empty", "store"))), max_size=20)


@pytest.mark.req("SOC-01")
@pytest.mark.slow
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(STEPS, st.sampled_from((10_000, 100_000, 1_000_000)))
def test_all_of_it_stays_within_small_integers(steps, rated_mah):
    soc = Checked(Parameters(), rated_mah)
    soc.start(3300, 250)
    for count, charge, dt_ms, current_ma, cell_mv, temp_dc, fets_open, event in steps:
        for _ in range(count):
            soc.step(charge, dt_ms, current_ma, cell_mv, cell_mv - 3, temp_dc, fets_open)
            assert 0 <= soc.cpct <= 10_000
            assert 0 <= soc.remaining_mah <= soc.full_mah
            assert 0 <= soc.uncertainty_cpct <= 10_000
            assert 0 <= soc.usable_mah <= 2 * soc.rated_mah
        if event == "full":
            soc.anchor_full()
        elif event == "empty":
            soc.anchor_empty()
        elif event == "store":
            again = Checked(Parameters(), rated_mah)
            assert again.from_bytes(soc.to_bytes())
            assert again.cpct == soc.cpct
            soc = again
        for part in (soc, soc.drift, soc.tally, soc.apart):
            for value in vars(part).values():
                if type(value) is int:
                    _small(value)


# ---- what is reported, SOC-01 -----------------------------------------------------------------


@pytest.mark.req("SOC-01")
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(-60_000, 60_000),
                          st.integers(2650, 3420), st.booleans()), max_size=25),
       st.integers(-100, 100), st.integers(2000, 3600))
def test_reported_never_steps_nor_goes_against_the_current(parts, offset_ma, start_mv):
    soc = StateOfCharge(Parameters(), 100_000)
    soc.start(start_mv, 250)
    for _ in range(7):
        soc.step(offset_ma * 10_000 // 3600, 10_000, offset_ma, 3300, 3300, 250, True)
    minute = []
    for count, current_ma, cell_mv, empty in parts:
        if empty and current_ma < 0:
            soc.anchor_empty()
            minute = []
        shown_ma = current_ma + offset_ma
        charge = int(shown_ma * 10_000 / 3600)
        for _ in range(count):
            before = soc.cpct
            soc.step(charge, 10_000, shown_ma, cell_mv, cell_mv, 250, False)
            move = soc.cpct - before
            if soc.cpct == 10_000 and move > 0:     # the end of charge
                minute = []
                continue
            if current_ma > 150:
                assert move >= 0
            elif current_ma < -150:
                assert move <= 0
            minute = minute[-5:] + [move]
            assert abs(sum(minute)) <= 100


@pytest.mark.req("SOC-03")
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(-60_000, 60_000), min_size=1, max_size=20), st.integers(0, 400))
def test_a_power_cut_costs_one_percent_at_most(currents, cut):
    soc = StateOfCharge(Parameters(), 100_000)
    soc.start(3300, 250)
    stored = soc.to_bytes()
    soc.saved()
    step = 0
    for current_ma in currents:
        for _ in range(20):
            soc.step(int(current_ma / 0.36), 10_000, current_ma, 3300, 3300, 250, False)
            if soc.dirty:
                stored = soc.to_bytes()
                soc.saved()
            step += 1
            if step >= cut:
                again = StateOfCharge(Parameters(), 100_000)
                assert again.from_bytes(stored)
                assert abs(again.cpct - soc.cpct) <= 100
