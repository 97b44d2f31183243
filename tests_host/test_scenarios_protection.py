"""Every protection row on the bench: opens in time and not before, stays closed inside, releases
as written. The same scenarios on every target."""

import pytest
from scenarios_protection import BOTH, CASES

SETTLE_MS = 4000
INSIDE_S = 60


def opened(rig, board, case):
    """A pack that is up with both FETs closed, prepared for *case*."""
    rig.open(board=board, plant={"soc": 0.5, "temp_c": 25}, **case.get("start", {}))
    rig.run(SETTLE_MS)
    assert closed(rig) == set(BOTH)


def closed(rig):
    """FETs that are closed on the wire."""
    fets = rig.get()["wire"]["fets"]
    return {name for name in BOTH if fets[name]}


def cases():
    for case in CASES:
        name = case["item"] + ("-" + case["name"] if "name" in case else "")
        yield pytest.param(case, id=name, marks=pytest.mark.req(case["item"]))


@pytest.mark.parametrize("case", cases())
@pytest.mark.req("PRO-20")
@pytest.mark.req("PRO-21")
def test_opens_in_time_and_releases_as_written(rig, board, case):
    opened(rig, board, case)
    start_ms = rig.set(**case["past"]) or rig.get()["t_ms"]
    rig.run(int(case["delay_s"] * 1000) + 1000)
    edges = [edge for edge in rig.trace(start_ms)
             if edge[1].startswith("fets.") and edge[2] == 0]
    seen = {name.split(".")[1]: t_ms - start_ms for t_ms, name, _ in edges}
    for name in case["opens"]:
        assert name in seen, f"{name} did not open: {rig.get()['report']}"
        # a scan may be just over when the stimulus comes: one period to be seen, two to act
        assert case["delay_s"] * 1000 <= seen[name] <= case["delay_s"] * 1000 + 350
    assert closed(rig) == set(BOTH) - set(case["opens"])
    assert case["item"] in rig.get()["report"]["protections"]
    for values, seconds, wanted in case["release"]:
        rig.set(**values)
        rig.run(int(seconds * 1000))
        assert closed(rig) == set(wanted), (values, rig.get()["report"])


@pytest.mark.parametrize("case", cases())
def test_nothing_happens_just_inside(rig, board, case):
    opened(rig, board, case)
    inside = dict(case["inside"])
    seconds = inside.pop("_seconds", INSIDE_S)
    rig.set(**inside)
    rig.run(seconds * 1000)
    report = rig.get()["report"]
    assert case["item"] not in report["protections"]
    assert closed(rig) >= set(case["opens"]) - set(case.get("already", ()))
