"""State of charge on the bench: the first look at zero, the end of charge, power cuts."""

import random

import pytest

SETTLE_MS = 4000


def report(rig):
    return rig.get()["report"]


def edges(rig, signal):
    return [(t_ms, level) for t_ms, name, level in rig.trace(0)["edges"] if name == signal]


@pytest.mark.req("SOC-01")
@pytest.mark.req("SAF-02")
@pytest.mark.parametrize("offset_ma", (100, -100))
def test_the_sensors_zero_is_seen_before_the_first_fet_closes(rig, target, offset_ma):
    if target == "rp2040" and offset_ma < 0:
        pytest.skip("the emulated board shows one of the two")
    rig.open(board=target, plant={"soc": 0.5})
    rig.run(SETTLE_MS)
    own_ma = report(rig)["current_offset_ma"]       # the board has one without a fault, too
    rig.open(board=target, plant={"soc": 0.5})
    rig.set(fault={"shunt_offset_ma": offset_ma}, load_ma=10_000)
    rig.power(False)                # the rig has run the firmware for a moment
    rig.power(True)
    on_ms = rig.get()["t_ms"]
    rig.run(SETTLE_MS)
    offset_ma += own_ma
    assert abs(own_ma) < 60
    assert abs(report(rig)["current_offset_ma"] - offset_ma) <= 8
    closed = [t_ms for signal in ("fets.chg", "fets.dsg") for t_ms, level in edges(rig, signal)
              if level]
    # the emulated board tests its RAM first
    assert on_ms + 1500 < min(closed) and max(closed) < on_ms + 3500
    rig.run(3000)                   # it is stored with the state of charge: not looked at again
    rig.power(False)
    rig.run(500)
    rig.power(True)
    rig.set(fault={"shunt_offset_ma": 0})
    again_ms = rig.get()["t_ms"]
    rig.run(SETTLE_MS)
    assert abs(report(rig)["current_offset_ma"] - offset_ma) <= 8
    again = [t_ms for t_ms, level in edges(rig, "fets.dsg") if level and t_ms > again_ms]
    assert again and again[0] - again_ms < max(closed) - on_ms - 500


@pytest.mark.req("SOC-01")
@pytest.mark.targets("host", "unix")
def test_without_the_look_the_fets_close_at_once(rig, target):
    rig.open(board=target, params={"zero_look_ms": 0})
    rig.run(1500)
    assert report(rig)["fets"] == ["chg", "dsg"]


def cut_power(rig, current_ma, after_ms):
    """(before, after) in % of a cut of one second, *after_ms* into *current_ma*."""
    rig.set(current_ma=current_ma)
    rig.run(after_ms)
    before = report(rig)["soc"]
    rig.power(False)
    rig.run(1000)
    rig.power(True)
    rig.set(current_ma=0)
    rig.run(SETTLE_MS)
    return before, report(rig)["soc"]


@pytest.mark.req("SOC-03")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("seed", range(3))
def test_a_power_cut_at_any_moment_costs_one_percent_at_most(rig, target, seed):
    moments = random.Random(seed)
    rig.open(board=target, seed=seed + 1, plant={"soc": 0.55})
    rig.run(SETTLE_MS)
    seen = [report(rig)["soc"]]
    for current_ma in (-104_000, 100_000, -moments.randint(1000, 60_000), 5000, -104_000):
        before, after = cut_power(rig, current_ma, moments.randint(20_000, 110_000))
        assert abs(before - after) <= 1, (current_ma, before, after)
        seen.append(after)
    assert max(seen) - min(seen) > 0.5          # it did move


@pytest.mark.req("SOC-03")
@pytest.mark.targets("rp2040")
def test_a_power_cut_under_high_current_on_the_chip(rig, target):
    rig.open(board=target, plant={"soc": 0.55})
    rig.run(SETTLE_MS)
    first = report(rig)["soc"]
    before, after = cut_power(rig, -104_000, 33_700)
    assert abs(before - after) <= 1 and abs(after - first) > 0.3


@pytest.mark.req("SOC-01")
@pytest.mark.targets("host", "unix")
def test_the_end_of_charge_is_100_and_nothing_else_is(rig, target):
    rig.open(board=target, plant={"soc": 0.985})
    rig.run(SETTLE_MS)
    rig.set(cell_mv={str(i): 3560 for i in range(16)}, current_ma=20_000)   # a peak
    rig.run(60_000)
    assert report(rig)["soc"] <= 99.5
    rig.set(cell_mv={str(i): 3485 for i in range(16)}, current_ma=4000)     # the tail
    rig.run(50_000)
    full = report(rig)
    assert full["soc"] == 100
    assert full["soc_uncertainty_cpct"] <= 200
    rig.set(cell_mv={str(i): None for i in range(16)}, current_ma=-20_000)
    rig.run(120_000)
    assert 98.5 < report(rig)["soc"] < 99.8


@pytest.mark.req("SOC-01")
@pytest.mark.req("MEA-02")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("kind", ("afe_brownout", "afe_silent"))
def test_an_afe_that_is_lost_takes_no_charge_with_it(rig, target, kind):
    """Every 8 s, before its integrator is read again, under 90 A."""
    rig.open(board=target, plant={"soc": 0.6})
    rig.run(SETTLE_MS)
    before = rig.get()                      # at rest: all of it is counted
    rig.set(load_ma=90_000)
    rig.run(12_000)
    for _ in range(8):
        rig.set(fault={kind: True})
        rig.run(1200)
        rig.set(fault={kind: None})
        rig.run(7000)
    rig.set(load_ma=0)
    rig.run(12_000)
    after = rig.get()
    true_ah = 100 * (after["truth"]["soc"] - before["truth"]["soc"])
    counted_ah = (after["report"]["remaining_mah"] - before["report"]["remaining_mah"]) / 1000
    assert true_ah < -0.6
    assert abs(counted_ah - true_ah) <= 0.2
