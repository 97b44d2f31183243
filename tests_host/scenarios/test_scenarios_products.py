"""Products of other sizes on the bench: rows, wires, balancing; files of profiles."""

import json
import shutil

import pytest
from rig import Rig, RigError
from rig_targets import FIRMWARE, TargetError
from scenarios_protection import BOTH, CASES

SIZES = {"lfp-15s-100": (15, 1.0), "lfp-8s-280": (8, 1.4)}      # cells; currents over 100 A
PRODUCTS = ("am5000", "b1-5.1-48", "lfp-15s-100", "lfp-16s-280", "lfp-8s-280")


def sized(value, cells, share, key=None):
    """The stimulus *value* of a pack of 16 cells and 100 A for *cells* and *share* of 100 A."""
    if isinstance(value, dict):
        return {k: sized(v, cells, share, k) for k, v in value.items()}
    if isinstance(value, list) and key == "cell_mv":
        return value[:cells]
    if key == "charger_mv" and value is not None:
        return value * cells // 16
    if key == "current_ma":
        return int(value * share)
    return value


def closed(rig):
    fets = rig.get()["wire"]["fets"]
    return {name for name in BOTH if fets[name]}


@pytest.mark.targets("unix")
@pytest.mark.parametrize("profile", sorted(SIZES))
@pytest.mark.parametrize("case", [pytest.param(
    case, id=case["item"] + ("-" + case["name"] if "name" in case else ""))
    for case in CASES if case.get("name") in (None, "charge-only")])
@pytest.mark.req("PRF-03")
@pytest.mark.req("PRO-20")
def test_each_row_inside_and_past_its_threshold(rig, target, profile, case):
    cells, share = SIZES[profile]
    rig.open(board=target, profile=profile, plant={"soc": 0.5, "temp_c": 25},
             **case.get("start", {}))
    rig.run(4000)
    assert closed(rig) == set(BOTH)
    inside = sized(case["inside"], cells, share)
    inside.pop("_seconds", None)
    rig.set(**inside)
    rig.run(int(case["delay_s"] * 1000) + 1500)
    assert case["item"] not in rig.get()["report"]["protections"]
    assert closed(rig) >= set(case["opens"]) - set(case.get("already", ()))
    rig.set(**sized(case["past"], cells, share))
    rig.run(int(case["delay_s"] * 1000) + 1000)
    got = rig.get()
    assert case["item"] in got["report"]["protections"], got["report"]
    assert not set(case["opens"]) & closed(rig)
    assert got["report"]["faults"] == []


@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("profile", sorted(SIZES))
@pytest.mark.req("PRF-03")
@pytest.mark.req("PRO-08")
def test_short_circuit_opens_both_within_300_us(rig, target, profile):
    rig.open(board=target, profile=profile, plant={"soc": 0.5})
    rig.run(4000)
    start_ms = rig.get()["t_ms"]
    rig.set(load="short")
    rig.run(2)
    times = {signal: t_ms - start_ms for t_ms, signal, value in rig.trace(start_ms)["edges"]
             if signal in ("fets.chg", "fets.dsg") and not value}
    assert set(times) == {"fets.chg", "fets.dsg"} and max(times.values()) <= 0.3


@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("profile", PRODUCTS)
@pytest.mark.req("PRF-03")
@pytest.mark.req("MEA-01")
def test_cells_stack_and_terminals_are_those_of_the_plant(rig, target, profile):
    rig.open(board=target, profile=profile, plant={"soc": 0.6, "imbalance_mv": 30}, spread=0)
    rig.run(6000)
    got = rig.get()
    report, truth = got["report"], got["truth"]
    cells = SIZES.get(profile, (16,))[0]
    assert len(report["cell_mv"]) == len(truth["cell_mv"]) == cells
    for shown, true in zip(report["cell_mv"], truth["cell_mv"]):
        assert abs(shown - true) <= 4
    assert abs(report["stack_mv"] - sum(truth["cell_mv"])) <= 60
    assert abs(report["pack_mv"] - sum(truth["cell_mv"])) <= 80
    assert report["faults"] == [] and closed(rig) == set(BOTH)
    assert abs(report["cvl_mv"] - 55_600 * cells // 16) <= 20
    with pytest.raises(TargetError):
        rig.set(cell_mv=[3300] * (cells + 1))


@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("profile, wire", [
    ("lfp-8s-280", 0), ("lfp-8s-280", 4), ("lfp-8s-280", 7), ("lfp-8s-280", 8),
    ("lfp-15s-100", 0), ("lfp-15s-100", 14), ("lfp-15s-100", 15)])
@pytest.mark.req("PRF-03")
@pytest.mark.req("MEA-03")
def test_an_open_wire_is_seen_and_named(rig, target, profile, wire):
    rig.open(board=target, profile=profile, plant={"soc": 0.5})
    rig.run(5000)
    rig.set(load_ma=5000, fault={"open_wire": wire})
    rig.run(30_000)
    report = rig.get()["report"]
    assert set(report["faults"]) & {"MEA-03-wire", "MEA-03-cell"}, report["faults"]
    assert closed(rig) == set()


@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("profile", sorted(SIZES))
@pytest.mark.req("PRF-03")
@pytest.mark.req("BAL-02")
def test_the_highest_cells_are_bled_the_top_one_too(rig, target, profile):
    last = SIZES[profile][0] - 1
    rig.open(board=target, profile=profile, plant={"soc": 1.0}, spread=0)
    rig.run(4000)
    for mv in range(3460, 3550, 10):                # slowly: no current explains a step
        rig.set(cell_mv={str(last): mv, "2": mv - 5})
        rig.run(3000)
    rig.run(25_000)

    def masks(since_ms):
        return {tuple(value) for t_ms, signal, value in rig.trace(since_ms)["edges"]
                if signal == "balance" and value}

    assert masks(0) == {(2, last)}, rig.get()["report"]
    start_ms = rig.get()["t_ms"]
    for mv in range(3460, 3560, 10):                # two neighbours, whatever their inputs
        rig.set(cell_mv={str(last - 1): mv})
        rig.run(3000)
    rig.run(90_000)
    assert masks(start_ms) == {(2, last), (2, last - 1)}


# -- files --------


TEXT = {"name": "own-12s-200", "cells": 12, "capacity_mah": 200_000, "most_ma": 120_000}


def send(rig, text):
    """Install the data file *text* over the debug port."""
    data = text.encode()
    rig.command_text("profile begin %d" % len(data))
    for at in range(0, len(data), 200):
        rig.command_text("profile put %d %s" % (at, data[at:at + 200].hex()))
    return rig.command_text("profile end")


@pytest.mark.targets("host", "unix")
@pytest.mark.req("PRF-03")
def test_a_data_file_is_installed_over_the_debug_port_and_holds(rig, target):
    rig.open(board=target, plant={"cells": 12, "capacity_ah": 200, "soc": 0.5})
    rig.run(3000)
    assert "own-12s-200 is installed" in send(rig, json.dumps(TEXT))
    assert "own-12s-200" in rig.command_text("profile")
    rig.command_text("profile own-12s-200")
    rig.power(on=False)
    rig.power(on=True)
    rig.set(charger_mv=42_000, charger_ma=5000)     # of 16 cells four were missing: PRO-02 holds
    rig.run(9000)
    report = rig.get()["report"]
    assert len(report["cell_mv"]) == 12 and report["full_mah"] == 200_000
    assert report["faults"] == [] and closed(rig) == set(BOTH)
    assert rig.param("dsg_oc1_trip_ma")["value"] == 132_000
    assert rig.param("pack_ov_trip_mv")["value"] == 43_200


@pytest.mark.targets("host")
@pytest.mark.req("PRF-03")
def test_a_wrong_file_is_refused_with_field_value_and_rule(rig, target):
    rig.open(board=target)
    rig.run(2000)
    for change, words in (
            ({"cells": 17}, ("CELLS: 17", "8..16")),
            ({"capacity_mah": 2_000_000}, ("CAPACITY_MAH: 2000000", "1000..1000000")),
            ({"most_ma": 301_000}, ("MOST_MA: 301000", "10000..300000")),
            ({"defaults": {"cell_ov_trip_mv": 3710}}, ("cell_ov_trip_mv: 3710", "3700")),
            ({"defaults": {"cell_ov_alarm_mv": 3620}}, ("cell_ov_alarm_mv (3620)", "below",
                                                         "cell_ov_trip_mv (3600)")),
            ({"defaults": {"pack_ov_trip_mv": 57_600}}, ("pack_ov_trip_mv: 57600", "44400")),
            ({"ceilings": {"cell_most_mv": 3800}}, ("cell_most_mv: 3800", "3700")),
            ({"shunt_uohm": 1000}, ("SHUNT_UOHM: 1000",)),
            ({"name": "am5000"}, ("name: am5000", "another")),
            ({"kells": 8}, ("kells", "no field"))):
        with pytest.raises(Exception) as refused:
            send(rig, json.dumps({**TEXT, **change}))
        for word in words:
            assert word in str(refused.value), (change, str(refused.value))
    with pytest.raises(Exception) as refused:
        send(rig, "{,}")
    assert "no JSON" in str(refused.value)
    assert rig.get()["report"]["faults"] == []


@pytest.fixture
def tree(tmp_path):
    """A copy of the firmware, to drop a file into its folder of profiles."""
    shutil.copytree(FIRMWARE[0], tmp_path / "firmware",
                    ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "firmware"


@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("form", ["json", "py"])
@pytest.mark.req("PRF-03")
def test_a_file_dropped_into_the_folder_runs(tree, target, form):
    if form == "json":
        text = json.dumps(TEXT)
    else:
        text = (tree / "profiles" / "am5000.py").read_text().replace(
            '"am5000"', '"own-12s-200"').replace("= 100_000", "= 200_000")
    (tree / "profiles" / f"own_12s_200.{form}").write_text(text)
    with Rig(firmware=(tree, FIRMWARE[1])) as rig:
        rig.open(board=target, profile="own-12s-200", plant={"soc": 0.5})
        rig.run(6000)
        report = rig.get()["report"]
        assert report["full_mah"] == 200_000 and closed(rig) == set(BOTH)
        assert len(report["cell_mv"]) == (12 if form == "json" else 16)
        assert report["faults"] == []


@pytest.mark.targets("host")
@pytest.mark.req("PRF-03")
def test_a_wrong_file_in_the_folder_is_refused_and_never_another_profile(tree, target):
    (tree / "profiles" / "own_12s_200.json").write_text(json.dumps({**TEXT, "cells": 6}))
    with Rig(firmware=(tree, FIRMWARE[1])) as rig:
        with pytest.raises(RigError, match="CELLS: 6 is outside 8..16"):
            rig.open(board=target, profile="own-12s-200")


@pytest.mark.targets("host", "unix")
@pytest.mark.req("PRF-03")
def test_an_installed_profile_that_is_damaged_is_a_fault_with_its_reason(rig, target):
    rig.open(board=target, plant={"cells": 12, "soc": 0.5})
    rig.run(3000)
    send(rig, json.dumps(TEXT))
    rig.command_text("profile own-12s-200")
    send(rig, json.dumps({**TEXT, "name": "own-13s-200", "cells": 13}))     # that one is gone
    rig.power(on=False)
    rig.power(on=True)
    rig.run(5000)
    report = rig.get()["report"]
    assert "PRF-03" in report["faults"] and closed(rig) == set()
    assert "own-12s-200 is not in this firmware" in rig.command_text("why")
    assert "own-12s-200 is not in this firmware" in rig.command_text("profile")
