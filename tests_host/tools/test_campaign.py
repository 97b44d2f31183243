"""The fault campaign: its table is whole, and a case of every kind is clean on `unix`."""

import collections
import random
import re
import types

import campaign
import runs
import campaign_cases as table
import pytest


def rig_kinds():
    """Every fault kind that the rig can do."""
    import rig
    return {*rig.MODEL_FAULTS, *rig.WIRE_FAULTS, *rig.FIRMWARE_FAULTS}


def test_every_kind_of_the_rig_is_in_the_table_or_not_there_yet():
    assert rig_kinds() == set(table.KINDS) | set(table.LATER)
    assert not set(table.KINDS) & set(table.LATER)


def test_the_tasks_are_the_firmwares_in_its_order():
    text = (campaign.ROOT / "firmware" / "main.py").read_text("utf-8")
    # the port for USB is there on boards that have one, as the last of them
    assert tuple(re.findall(r'Task\("(\w+)"', text)) == (*table.TASKS, "usb")


def test_every_kind_comes_at_twenty_moments_or_more():
    cases = list(campaign.fault_cases("unix", 1))
    for kind, variants in table.KINDS.items():
        for variant in variants:
            moments = {c["moment"] for c in cases
                       if c["kind"] == kind and c["variant"] == variant["variant"]}
            assert len(moments) >= 20, kind
    ids = [c["id"] for c in cases]
    assert len(ids) == len(set(ids))


def test_every_pair_of_kinds_comes_at_three_moments():
    cases = list(campaign.pair_cases("unix", 1))
    kinds = len(table.KINDS)
    assert len(cases) == len({c["id"] for c in cases}) == 3 * kinds * (kinds - 1) // 2
    assert len({c["moment"] for c in cases}) == len(table.MOMENTS)
    assert {campaign.key_of(case, "a") for case in cases[:9]}.isdisjoint(
        campaign.key_of({**case, "seed": 2}, "a") for case in cases[:9])


@pytest.mark.slow
@pytest.mark.req("PRO-28", "MEA-07")
def test_two_faults_are_judged_by_the_model_alone(monkeypatch):
    case = next(c for c in campaign.pair_cases("host", 1)
                if set(c["kinds"]) == {"fet_weld_chg", "fet_weld_dsg"})
    monkeypatch.setattr(campaign, "PAIR_STRESS_MS", 70_000)
    monkeypatch.setattr(table, "ALL_STRESS", ("over-current",))
    result = campaign.run_case({**case, "moment": "discharge-30A"})
    assert result["verdict"] == "ok"
    assert [kind for kind, reason in result["excused"]] == ["over_115_a"]
    monkeypatch.setattr(campaign.hunt_excuses, "EXCUSES", ())
    assert campaign.run_case({**case, "moment": "discharge-30A"})["verdict"] == "wrong"


def test_every_expectation_says_what_must_follow():
    known = set(re.findall(r"`?  (\w+)  ", table.__doc__))
    assert {"raises", "opens", "tolerated"} <= known
    for variants in table.KINDS.values():
        for variant in variants:
            for tags, expect in variant["cases"]:
                assert expect.get("raises") or expect.get("events") or expect.get("tolerated")
                assert "back" in expect, tags
                if expect.get("raises"):
                    assert expect["within_ms"] > 0
                if expect.get("blind"):
                    assert expect["blind_why"]
            for moment in table.MOMENTS.values():
                campaign.expectation(variant, moment["tags"])


def test_a_value_is_drawn_by_the_seed_alone():
    spec = {"cell_mv": {"@cell": (3570, 3590)}, "charger_ma": (8_000, 20_000), "load_ma": None}
    first = campaign.draw(spec, random.Random("a"))
    assert first == campaign.draw(spec, random.Random("a"))
    (cell, mv), = first["cell_mv"].items()
    assert 0 <= int(cell) <= 15
    assert 3570 <= mv <= 3590
    assert 8_000 <= first["charger_ma"] <= 20_000


def test_the_key_of_a_run_changes_with_the_tree_and_with_the_seed():
    case, other = list(campaign.fault_cases("unix", 1))[:2]
    keys = {campaign.key_of(case, "a"), campaign.key_of(case, "b"), campaign.key_of(other, "a"),
            campaign.key_of({**case, "seed": 2}, "a")}
    assert len(keys) == 4
    day = next(campaign.day_cases("unix", 1, 1))
    assert campaign.key_of(day, "a") == campaign.key_of(dict(day), "a")


class Silent:
    """Stands in for a rig whose firmware notices nothing."""

    def __init__(self, truth):
        self.t_ms = 0
        self.truth = {"soc": 0.5, "cell_mv": [3300] * 16, "current_ma": 0,
                      "temps_dc": [250] * 6, **truth}

    def run(self, ms):
        self.t_ms += ms

    def trace(self, since_ms):
        return {"edges": []}

    def get(self):
        report = {"rx_age_ms": 50, "faults": [], "protections": [], "cell_mv": [3300] * 16,
                  "current_ma": 0, "temp_dc": [250] * 4, "mos_dc": 250, "ambient_dc": 250,
                  "soc_cpct": 5000, "uptime_s": 9, "seq": 1}
        return {"t_ms": self.t_ms, "wire": None, "truth": self.truth, "report": report}


def watched(truth, ms=6_000, **expect):
    watch = campaign.Watch(Silent(truth), expect, 0)
    watch.run(ms)
    return watch


@pytest.mark.parametrize("truth, name", [
    ({"cell_mv": [3300] * 15 + [3651], "current_ma": 5_000}, "cell over 3650 mV"),
    ({"cell_mv": [3300] * 15 + [2499], "current_ma": -5_000}, "cell under 2500 mV"),
    ({"current_ma": -113_000}, "discharge over 112 A"),
    ({"current_ma": 113_000}, "charge over 112 A"),
    ({"temps_dc": [610] * 4 + [250, 250], "current_ma": 1_000}, "cells over 60 degC"),
])
def test_the_oracle_sees_a_danger_that_nothing_raised(truth, name):
    assert name in watched(truth).dangers
    assert name not in watched(truth, blind=(name,)).dangers
    assert name not in watched(truth, ms=3_000).dangers


def test_the_oracle_lets_a_cell_be_high_when_no_charge_flows():
    assert not watched({"cell_mv": [3300] * 15 + [3700]}).dangers
    assert not watched({"cell_mv": [3300] * 15 + [3700], "current_ma": -5_000}).dangers


def test_a_reading_that_is_not_the_truth_is_invented():
    assert "cells" in watched({"cell_mv": [3300] * 15 + [3200]}).invented
    assert "current" in watched({"current_ma": 2_000}).invented
    assert "temps" in watched({"temps_dc": [300] * 6}).invented
    assert not watched({"current_ma": 2_000}, unseen=("current", "soc")).invented
    assert not watched({"current_ma": 2_000}, ms=1_000).invented


def test_results_survive_an_interrupted_write(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text('{"key": "a", "verdict": "ok"}\n{"key": "b", "verd', "utf-8")
    assert list(runs.read_results(path)) == ["a"]


def test_the_report_lists_what_is_wrong(tmp_path):
    case = next(campaign.fault_cases("unix", 1))
    results = [{**case, "verdict": "wrong", "notes": ["chg FET did not open"], "value": True,
                "raised_ms": 500, "open_ms": 600.0, "back_ms": 3_000}]
    campaign.write_report(results, tmp_path / "campaign.md", "make campaign",
                          tmp_path / "runs.md")
    text = (tmp_path / "campaign.md").read_text("utf-8")
    assert "| faults on `unix` | 1 | 0 | 0 | 1 | 0 | 0 |" in text
    assert "chg FET did not open" in text
    assert "| `afe_silent` | 1 | 0 | 0.5 | 0.6 | 3.0 | – |" in text
    page = (tmp_path / "runs.md").read_text("utf-8")
    assert f"| {case['moment']} | **0.5/0.6/3.0 wrong** |" in page
    assert (tmp_path / "campaign-times.png").stat().st_size > 1_000


def one_of_each_kind(cases):
    """Of the quick cases one for each kind, at the moment that came least so far.

    Each kind comes at two in `make campaign QUICK=1`, at 20 or more in `make campaign`.
    """
    of_kind, came, chosen = {}, collections.Counter(), []
    for case in cases:
        of_kind.setdefault(case["kind"], []).append(case)
    for some in of_kind.values():
        chosen.append(min(some, key=lambda case: came[case["moment"]]))
        came[chosen[-1]["moment"]] += 1
    return chosen


def test_quick_subset_touches_every_kind():
    cases = campaign.quick_cases("unix", campaign.SEED)
    assert {c["kind"] for c in cases} == set(table.KINDS)
    chosen = one_of_each_kind(cases)
    assert sorted(c["kind"] for c in chosen) == sorted(table.KINDS)
    assert {c["moment"] for c in chosen} == {c["moment"] for c in cases}
    assert {c["stress"] for c in chosen} == {False, True}


@pytest.mark.slow
@pytest.mark.unix
@pytest.mark.req("MEA-02")
@pytest.mark.req("MEA-03")
@pytest.mark.req("MEA-05")
@pytest.mark.req("PRO-23")
@pytest.mark.req("SAF-01")
@pytest.mark.req("SAF-03")
@pytest.mark.req("SAF-05")
def test_a_case_of_every_kind_is_clean(tmp_path, unix_micropython):
    options = campaign.parse(["--quick", "--workers", "0", "--results",
                              str(tmp_path / "results.jsonl")])
    cases = one_of_each_kind(campaign.choose(options))
    results = campaign.carry_out(cases, options)
    bad = [(r["id"], r["verdict"], r["notes"]) for r in results if r["verdict"] != "ok"]
    assert not bad
    again = campaign.carry_out(cases, types.SimpleNamespace(**{**vars(options), "workers": 0}))
    assert again == results         # nothing was run a second time
