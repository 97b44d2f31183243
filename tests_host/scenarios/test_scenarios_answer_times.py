"""AFEs that answer early, late and too late; a line that does not open the FETs."""

import pytest

SAID_MS = 4_000             # from the start until both FETs are closed, with the slowest AFE


def report(rig):
    return rig.get()["report"]


def fets(rig):
    wire = rig.get()["wire"]["fets"]
    return wire["chg"], wire["dsg"]


def events(rig, name):
    return [row for row in rig.events()["events"] if row["event"] == name]


def start(rig, target, **faults):
    """A pack that starts on an AFE like that; opening the bench alone starts it."""
    rig.open(target, spread=0)
    rig.set(fault=faults)
    rig.set(fault={"afe_brownout": True})
    rig.reset()


@pytest.mark.req("MEA-06")
@pytest.mark.req("MEA-01")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("latency_us", (20, 53, 100, 500, 1000))
def test_any_answer_time_up_to_1_ms_is_lived_with(rig, target, latency_us):
    start(rig, target, afe_latency_us=latency_us)
    rig.run(SAID_MS)
    assert fets(rig) == (1, 1) and report(rig)["faults"] == []
    boot, up = (events(rig, name)[-1] for name in ("boot", "afe_configured"))
    assert up["limit"] == 1                             # at the first attempt
    assert up["uptime_ms"] - boot["uptime_ms"] <= 1500
    rig.set(current_ma=-20_000)
    rig.run(1500)
    seen = rig.get()
    assert abs(seen["report"]["current_ma"] + 20_000) <= 100
    for shown, true in zip(seen["report"]["cell_mv"], seen["truth"]["cell_mv"]):
        assert abs(shown - true) <= 5
    rig.run(10_000)
    assert report(rig)["age_ms"] <= 120
    assert report(rig)["scans_failed"] == 0 and report(rig)["faults"] == []


@pytest.mark.req("MEA-06")
@pytest.mark.req("PRO-21")
@pytest.mark.targets("host", "unix")
def test_a_slow_afe_trips_in_time(rig, target):
    start(rig, target, afe_latency_us=1000)
    rig.run(SAID_MS)
    at_ms = rig.get()["t_ms"]
    rig.set(current_ma=-120_000)
    rig.run(4000)
    opened = [t for t, signal, value in rig.trace(at_ms)["edges"]
              if signal == "fets.dsg" and not value]
    assert report(rig)["protections"] == ["PRO-06"]
    assert 3000 <= opened[0] - at_ms <= 3200


@pytest.mark.req("MEA-06")
@pytest.mark.targets("host", "unix")
def test_answers_after_5_ms_are_a_clear_fault_and_never_a_value(rig, target):
    start(rig, target, afe_latency_us=5000)
    rig.run(SAID_MS)
    seen = report(rig)
    assert "SAF-02-afe" in seen["faults"] and seen["current_ma"] is None
    assert fets(rig) == (0, 0)
    rig.set(fault={"afe_latency_us": 500})
    rig.run(16_000)                     # the back-off before the next attempt is up to 8 s
    assert fets(rig) == (1, 1) and report(rig)["faults"] == []
    rig.set(fault={"afe_latency_us": 5000})
    rig.run(1500)
    assert fets(rig) == (0, 0) and "MEA-02" in report(rig)["faults"]


@pytest.mark.req("MEA-02")
@pytest.mark.targets("host", "unix")
def test_answers_that_become_late_while_running_cost_a_scan(rig, target):
    start(rig, target)
    rig.run(SAID_MS)
    rig.set(current_ma=-20_000)
    for latency_us in (200, 1000):
        failed = report(rig)["scans_failed"]
        rig.set(fault={"afe_latency_us": latency_us})
        rig.run(3000)
        assert fets(rig) == (1, 1) and report(rig)["faults"] == []
        assert report(rig)["scans_failed"] - failed <= 2


@pytest.mark.req("SAF-02")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("fault", ("inverted", "dead"))
def test_a_line_that_does_not_open_the_fets_is_seen_before_anything_closes(rig, target, fault):
    start(rig, target, afe_bothoff=fault)
    rig.set(load_ma=20_000, charger_mv=57_000, charger_ma=20_000)
    at_ms = rig.get()["t_ms"]
    rig.run(SAID_MS)
    assert report(rig)["faults"] == ["PWR-01-fet"] and fets(rig) == (0, 0)
    rig.run(5000)
    edges = [(t, signal) for t, signal, value in rig.trace(at_ms)["edges"]
             if signal.startswith("fets.")]
    assert [signal for _t, signal in edges] == ["fets.chg", "fets.chg"]
    assert edges[1][0] - edges[0][0] <= 10              # ms
    assert [row["item"] for row in events(rig, "afe_error")] == [6]


@pytest.mark.req("SAF-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("latency_us", (360, 1000))
def test_five_quiet_minutes_on_a_slow_afe_leave_no_step_out(rig, target, latency_us):
    """The bench skips most of them; what it skips is whole scans."""
    start(rig, target, afe_latency_us=latency_us)
    rig.run(SAID_MS)
    boots = len(events(rig, "boot"))
    rig.run(300_000)
    assert report(rig)["faults"] == [] and len(events(rig, "boot")) == boots
