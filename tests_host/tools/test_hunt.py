"""The hunt for harm: its episodes are sound, the model alone is its judge, a sample is clean."""

import json
import re

import harm as harm_model
import hunt
import hunt_draw
import hunt_excuses
import pytest
import rig as bench
import runs

REGISTRY = {"cell_ov_trip_mv": (3000, 3650, 3600), "bench_enable": (0, 1, 0)}


def draw(number, faults=1):
    return hunt_draw.draw(1, number, faults, REGISTRY)


def test_an_episode_is_of_its_number_alone():
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_every_fault_of_the_bench_can_be_drawn_or_is_no_fault_of_a_pack():
    theirs = set(bench.FAULT_KINDS)
    # those that are only heard by others, and the cut that belongs to a flash operation
    beside = {"can_reset", "rs485_echo", "cut_at_flash_op", "torn"}
    assert theirs - beside <= set(hunt_draw.FAULTS), theirs - beside - set(hunt_draw.FAULTS)
    assert set(hunt_draw.FAULTS) <= theirs, set(hunt_draw.FAULTS) - theirs


def test_an_episode_has_at_most_the_faults_it_may_have():
    for number in range(200):
        for faults in (0, 1, 2):
            episode = draw(number, faults)
            assert len(episode["faults"]) <= faults
            assert len(set(episode["faults"])) == len(episode["faults"])
    with_one = sum(len(draw(number)["faults"]) for number in range(200))
    assert with_one > 180


def test_an_episode_survives_being_written_as_lines_for_the_rig():
    for number in range(50):
        episode = draw(number)
        again, board = hunt.from_lines(hunt.as_lines(episode, "unix"))
        assert board == "unix"
        assert again["steps"] == json.loads(json.dumps(episode["steps"]))


def test_excuses_have_a_reason_and_name_faults_that_exist():
    kinds = " ".join(harm_model.LIMITS_US) + " hard_closing chatter"
    for faults, harm, reason in hunt_excuses.EXCUSES:
        assert len(reason) > 30
        assert all(start in kinds for start in harm)
        for fault in faults:
            assert fault.partition("=")[0] in hunt_draw.FAULTS


def test_an_excuse_needs_its_fault():
    episode = {"steps": [[{"cmd": "set", "fault": {"fet_weld_chg": True}}, 1]],
               "faults": ["fet_weld_chg"]}
    assert hunt_excuses.excuse(episode, "over_3700_mv")
    assert hunt_excuses.excuse(episode, "under_1900_mv") is None
    assert hunt_excuses.excuse(episode, "dark")
    assert hunt_excuses.excuse({"steps": [], "faults": []}, "over_3700_mv") is None
    assert hunt_excuses.excuse({"steps": [], "faults": []}, "dark") is None


def test_an_excuse_may_need_a_value_within_a_range():
    for gain, excused in ((0.5, False), (0.7, True), (0.95, True), (1.5, False)):
        episode = {"steps": [[{"cmd": "set", "fault": {"shunt_gain": gain}}, 0]], "faults": []}
        assert bool(hunt_excuses.excuse(episode, "over_115_a")) == excused


@pytest.mark.req("PRO-27")
@pytest.mark.req("COM-09")
def test_what_keeps_a_healthy_pack_open_is_excused_by_what_happened():
    reset = {"cmd": "reset"}
    soon = {"steps": [[reset, 262], [reset, 400], [reset, 9]]}
    later = {"steps": [[reset, 262], [reset, 60_000], [reset, 9]]}
    assert "PRO-27" in hunt_excuses.excuse(soon, "dark")
    assert hunt_excuses.excuse(later, "dark") is None
    assert "COM-09" in hunt_excuses.excuse({"open": {"dip": 2}, "steps": []}, "dark")
    assert "COM-09" in hunt_excuses.excuse({"steps": [[{"cmd": "set", "dip": 3}, 1]]}, "dark")
    assert hunt_excuses.excuse({"open": {"dip": 1}, "steps": []}, "dark") is None
    assert hunt_excuses.excuse({"open": {"dip": 2}, "steps": []}, "over_220_a") is None


def test_shrinking_keeps_what_does_the_harm(monkeypatch):
    def play(episode, board, wanted=None, tell=None):
        loads = [c.get("load_ma") for c, _ in episode["steps"]]
        return ({"over_220_a": ""} if 7 in loads else {}), []

    monkeypatch.setattr(hunt, "play", play)
    steps = [[{"cmd": "set", "load_ma": n}, 40_000] for n in range(12)]
    episode = {"open": {"plant": {"soc": 0.4, "temp_c": 60}}, "steps": steps, "faults": []}
    short = hunt.shrink(episode, "host", "over_220_a")
    assert [command["load_ma"] for command, _ in short["steps"]] == [7]
    assert short["steps"][0][1] <= 500
    assert short["open"]["plant"]["temp_c"] == 25


@pytest.mark.parametrize("count, of, most", [
    (0, 3000, 0.000998), (0, 20, 0.1391), (2, 100, 0.0617)])
def test_confidence_limit_is_clopper_and_pearsons(count, of, most):
    assert hunt.most_likely(count, of) == pytest.approx(most, rel=0.01)


def test_the_page_counts_by_group(tmp_path):
    results = [{"id": "one/0", "group": "one", "verdict": "harm", "cpu_s": 1,
                "harm": {"over_3700_mv": "cell 3"}, "excused": {}, "faults": ["shunt_gain"]},
               {"id": "one/1", "group": "one", "verdict": "ok", "harm": {},
                "excused": {"under_1900_mv": "welded"}, "faults": ["fet_weld_dsg"], "cpu_s": 1}]
    hunt.write_report(results, tmp_path / "hunt.md", "make hunt")
    text = (tmp_path / "hunt.md").read_text("utf-8")
    assert re.search(r"\| one fault \| 2 \| 1 \| \d+\.\d+% \| 1 \| 0 \|", text)
    assert "`over_3700_mv` with shunt_gain: 1 times" in text
    assert "welded: `under_1900_mv` with fet_weld_dsg (1)" in text


def sample(runs_of_it):
    """Of the quick hunt every episode of one pack, and the shortest of a fleet.

    Packs that share a line cost ten times as much; `make hunt QUICK=1` plays them all.
    """
    drawn = [(run, hunt_draw.draw(run["seed"], run["number"], hunt.FAULTS[run["group"]],
                                  hunt.registry())) for run in runs_of_it]
    fleets = [sum(ms for _, ms in episode["steps"]) for _, episode in drawn if "fleet" in episode]
    return [run for run, episode in drawn if "fleet" not in episode
            or sum(ms for _, ms in episode["steps"]) == min(fleets)]


@pytest.mark.slow
@pytest.mark.unix
@pytest.mark.req("PRO-28", "PRO-31", "MEA-07")
def test_a_sample_of_the_hunt_does_no_harm(tmp_path, unix_micropython):
    options = hunt.parse(["--quick", "--workers", "0", "--results",
                          str(tmp_path / "results.jsonl")])
    quick = hunt.choose(options)
    assert len(quick) == sum(hunt.QUICK.values())
    chosen = sample(quick)
    assert {run["group"] for run in chosen} == set(hunt.QUICK)
    results = runs.carry_out("hunt", hunt.run_episode, chosen, options)
    assert len(results) == len(chosen)
    bad = [(r["id"], r["verdict"], r["notes"]) for r in results if r["verdict"] != "ok"]
    assert not bad
