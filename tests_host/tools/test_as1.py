"""A hybrid inverter that knows the battery only from the wire: a day of each of its modes."""

import os

import pytest
from as1 import Can, Day, Rs485
from as1_model import (
    AS1,
    DRM_CONSUME_W,
    DRM_GENERATE_W,
    EFFICIENCY,
    MODES,
    MOST_MA,
    PEAK_S,
    RATED_W,
    Wire,
    World,
    hour_in,
)
from rig import Rig

pytestmark = pytest.mark.req("AS1-02")
HOUR_S = int(os.environ.get("PACKCTL_AS1_HOUR_S", "0"))     # make days: 3600
CHARGED = Wire(cvl_mv=56_000, ccl_ma=60_000, dcl_ma=60_000, may_charge=True, may_discharge=True,
               mv=52_000, soc_pct=60, t_s=0)


# ---- decisions --------------------------------------------------------------------------------


def decide(mode="self-consumption", hour=12.0, wire=CHARGED, seconds=1, now_s=1, **world):
    inverter = AS1(mode)
    for _ in range(seconds):
        flow = inverter.step(hour, 1.0, World(**world), wire, now_s)
    return inverter, flow


def test_the_sun_feeds_the_house_then_the_battery_then_the_grid():
    inverter, flow = decide(pv_w=2600, load_w=480)
    assert flow.battery_w == pytest.approx(2100) and flow.grid_w == pytest.approx(0, abs=1)
    assert inverter.charge_ma == pytest.approx(2100 / 52 * 1000) and not inverter.discharge_ma
    _, flow = decide(pv_w=2600, load_w=480, wire=Wire(t_s=0, mv=52_000))    # it may not charge
    assert flow.battery_w == 0 and flow.grid_w == pytest.approx(480 - 2600 * EFFICIENCY)


def test_limits_of_the_wire_and_of_the_machine_hold():
    for ccl_ma, most_ma in ((20_000, 20_000), (100_000, MOST_MA), (0, 0)):
        wire = Wire(**{**vars(CHARGED), "ccl_ma": ccl_ma, "dcl_ma": ccl_ma})
        inverter, _ = decide(pv_w=6000, load_w=0, wire=wire)
        assert inverter.charge_ma <= most_ma
        inverter, _ = decide(pv_w=0, load_w=2900, wire=wire)
        assert inverter.discharge_ma <= most_ma
    inverter, flow = decide(pv_w=0, load_w=5000)
    assert flow.ac_w <= RATED_W and flow.grid_w >= 5000 - RATED_W


def test_what_the_wire_said_is_forgotten():
    assert decide(load_w=1000, now_s=5)[0].discharge_ma > 0
    assert decide(load_w=1000, now_s=6)[0].discharge_ma == 0
    assert decide("back-up", now_s=6)[0].charge_ma == 0


def test_time_of_use_charges_from_the_grid_and_discharges_by_the_clock():
    _, flow = decide("time-of-use", hour=2, load_w=300)
    assert flow.battery_w > 2000 and flow.grid_w == pytest.approx(300 + RATED_W, abs=200)
    _, flow = decide("time-of-use", hour=18, load_w=1000)
    assert flow.battery_w == pytest.approx(-1000 / EFFICIENCY)
    _, flow = decide("time-of-use", hour=12, load_w=1000)
    assert flow.battery_w == 0 and flow.grid_w == pytest.approx(1000)


def test_back_up_waits_for_the_outage():
    full = Wire(**{**vars(CHARGED), "soc_pct": 100})
    assert decide("back-up", load_w=2000, wire=full)[1].battery_w == 0
    inverter, flow = decide("back-up", load_w=2000, wire=full, grid=False)
    assert flow.served and flow.battery_w == pytest.approx(-2000 / EFFICIENCY)


def test_an_overload_in_back_up_lasts_ten_seconds():
    assert decide(load_w=3500, pv_w=2000, grid=False, seconds=PEAK_S)[1].served
    assert not decide(load_w=3500, pv_w=2000, grid=False, seconds=PEAK_S + 1)[1].served
    assert not decide(load_w=3700, pv_w=2000, grid=False)[1].served
    assert decide(load_w=RATED_W, pv_w=2000, grid=False, seconds=60)[1].served


@pytest.mark.parametrize("mode", range(9))
def test_demand_response_limits_power(mode):
    """DRM1 to 4 what is drawn, DRM5 to 8 what is given; DRM0 stands by."""
    drm = frozenset((mode,))
    for hour, pv_w, load_w, kind in ((2, 0, 300, "time-of-use"), (12, 6000, 200, MODES[0]),
                                     (18, 0, 2900, MODES[0]), (12, 3000, 0, "back-up")):
        _, flow = decide(kind, hour, pv_w=pv_w, load_w=load_w, drm=drm)
        assert -flow.ac_w <= DRM_CONSUME_W.get(mode, RATED_W) + 1
        assert flow.ac_w <= DRM_GENERATE_W.get(mode, RATED_W) + 1
        assert flow.served
        if mode == 0:
            assert (flow.battery_w, flow.ac_w, flow.grid_w) == (0, 0, load_w)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="back-up"):
        AS1("party")
    with pytest.raises(ValueError, match="24"):
        AS1("time-of-use", charge_hours=((22, 25),))
    with pytest.raises(ValueError, match="50 and 60"):
        AS1("time-of-use", nominal_hz=55)


def told(**values):
    return Wire(**{**vars(CHARGED), **values})


@pytest.mark.parametrize("mv", (42_000, 51_200, 58_400))
def test_it_serves_3000_va_for_ever_and_3600_va_for_ten_seconds(mv):
    """AS1 manual 2.3: from 42 to 58.4 V, as far as the battery allows it."""
    wire = told(mv=mv, dcl_ma=100_000)
    inverter, flow = decide(load_w=RATED_W, grid=False, wire=wire, seconds=3600, now_s=1)
    assert flow.served and flow.ac_w == RATED_W and not flow.forbidden
    assert flow.codes == {29, 61}                       # no grid
    assert inverter.discharge_ma == pytest.approx(RATED_W / EFFICIENCY / mv * 1e6)
    for seconds, served, codes in ((10, True, {29, 61, 31}), (11, False, {29, 61, 21})):
        _, flow = decide(load_w=3600, grid=False, wire=wire, seconds=seconds)
        assert flow.served == served and flow.codes == codes
    assert flow.forbidden.startswith("overload")


def test_it_says_which_limit_forbids_it():
    for wire, now_s, why in ((told(dcl_ma=60_000, mv=42_000), 1, "DCL 60.0 A at 42.0 V"),
                             (told(dcl_ma=0, may_discharge=False), 1, "allows no discharge"),
                             (told(mv=41_900, dcl_ma=100_000), 1, "41.9 V is outside 42.0"),
                             (told(mv=58_500, dcl_ma=100_000), 1, "58.5 V is outside 42.0"),
                             (told(dcl_ma=100_000), 7, "nothing heard")):
        _, flow = decide(load_w=RATED_W, grid=False, wire=wire, now_s=now_s)
        assert not flow.served and why in flow.forbidden, flow


@pytest.mark.parametrize("grid_v, grid_hz, codes", (
    (180, 50, set()), (280, 50, set()), (179, 50, {26, 58}), (281, 50, {25, 57}),
    (230, 45, set()), (230, 55, set()), (230, 44.9, {28, 60}), (230, 55.1, {27, 59})))
def test_the_range_of_the_grid(grid_v, grid_hz, codes):
    """180 to 280 V, 5 Hz either way: beyond, the house is on the battery, without a gap."""
    _, flow = decide(load_w=1000, grid_v=grid_v, grid_hz=grid_hz)
    assert flow.codes == codes and flow.served
    assert (flow.battery_w < 0 and flow.grid_w == 0) == bool(codes) or not codes


@pytest.mark.req("AS1-04")
def test_codes_that_it_can_have():
    for world, codes in (
            ({"grid": False}, {29, 61}), ({"slave_v": 285}, {49, 57}),
            ({"slave_v": 170}, {49, 58}),
            ({"slave_v": 245}, {49}), ({"slave_hz": 50.6}, {50}), ({"slave_hz": 56}, {50, 59}),
            ({"slave_hz": 44}, {50, 60}), ({"ground": False}, {51}), ({"crossed": True}, {52}),
            ({"drm": frozenset((0,))}, {92})):
        assert decide(load_w=1000, **world)[1].codes == codes, world
    for wire, now_s, codes in ((told(soc_pct=9), 1, {54}), (told(mv=58_500), 1, {55}),
                               (told(mv=41_000), 1, {56})):
        assert decide(load_w=1000, wire=wire, now_s=now_s)[1].codes == codes
    inverter = AS1(MODES[0])
    for now_s, codes in ((1, set()), (6, {53})):        # heard once, then no more
        assert inverter.step(12, 1.0, World(), CHARGED, now_s).codes == codes
    inverter = AS1(MODES[0])
    for second in range(600):                           # high, but within the range
        flow = inverter.step(12, 1.0, World(load_w=500, grid_v=259), CHARGED, 1)
        assert flow.codes == ({30} if second >= 599 else set()), second


@pytest.mark.req("AS1-04")
def test_hours_of_time_of_use_can_be_set():
    inverter = AS1("time-of-use", charge_hours=((10.0, 11.0),), discharge_hours=((20.0, 21.0),))
    for hour, low_w, high_w in ((2, 0, 0), (10.5, 2000, 3000), (18, 0, 0), (20.5, -1100, -1000)):
        flow = inverter.step(hour, 1.0, World(load_w=1000), CHARGED, 1)
        assert low_w <= flow.battery_w <= high_w, hour


def test_a_60_hz_grid():
    inverter = AS1(MODES[0], nominal_hz=60)
    assert inverter.step(12, 1.0, World(grid_hz=60), CHARGED, 1).codes == frozenset()
    assert inverter.step(12, 1.0, World(grid_hz=50), CHARGED, 1).codes == {28, 60}


# ---- days on the bench --------------------------------------------------------------------------


def play(rig, mode, wire="can", soc=0.5, modules=1, hours=(0.0, 24.0), hour_s=10, **more):
    """A day with its clock compressed; in every second the limits on the wire hold."""
    if modules > 1:
        opened = rig.fleet(modules=modules, plant={"soc": soc}, profile="b1-5.1-48")["modules"][0]
    else:
        opened = rig.open("host", profile="b1-5.1-48", plant={"soc": soc})
    rig.run(40_000)
    link = Can(rig) if wire == "can" else Rs485(rig, opened["ports"]["pcs"])
    day = Day(rig, link, AS1(mode), hour_s, **more)
    packs = [rig.module(i) for i in range(modules)] if modules > 1 else [rig]

    def check(row):
        _, _, _, seen = row
        current_ma = sum(pack.get()["truth"]["current_ma"] for pack in packs)
        if len(day.rows) > 5:
            assert -seen["dcl_ma"] - 1500 <= current_ma <= seen["ccl_ma"] + 1500, row

    day.run(*hours, check)
    link.close()
    for pack in packs:
        report = pack.get()["report"]
        assert report["protections"] == [] and report["faults"] == [], report
        assert not report["inverter_lost"]
    assert link.wire.frames > len(day.rows) * 0.9
    return day


def hours(day, start, end):
    """Flows between two hours, the first seconds of each left out."""
    return [flow for hour, _, flow, _ in day.rows if start + 0.4 <= hour < end]


@pytest.mark.slow
@pytest.mark.req("COM-02")
def test_a_day_of_self_consumption(rig):
    day = play(rig, "self-consumption")
    assert all(flow.battery_w > 0 for flow in hours(day, 11, 14))       # the sun is put away
    assert all(flow.battery_w < 0 for flow in hours(day, 19.5, 22))     # and used
    assert max(abs(flow.grid_w) for flow in hours(day, 1, 24)) < 50


@pytest.mark.slow
@pytest.mark.req("COM-01")
def test_a_day_of_time_of_use_over_rs485(rig):
    day = play(rig, "time-of-use", wire="rs485")
    assert all(flow.battery_w > 2000 for flow in hours(day, 1, 5))
    assert all(flow.battery_w < -500 for flow in hours(day, 17.5, 22))
    assert all(flow.battery_w >= 0 for hour, _, flow, _ in day.rows
               if not hour_in(hour, ((6.5, 9.0), (17.0, 22.0))))


@pytest.mark.slow
@pytest.mark.req("COM-03")
@pytest.mark.parametrize("modules, span", ((1, (0.0, 24.0)), (2, (17.0, 21.0))))
def test_a_day_of_back_up_with_an_outage(rig, modules, span):
    day = play(rig, "back-up", modules=modules, soc=0.8, outages=((18.0, 20.0),), hours=span,
               hour_s=10)
    for hour, world, flow, _ in day.rows:
        if hour > span[0] + 0.6:
            assert flow.served, hour                            # not one second without power
        assert world.grid or hour_in(hour, day.outages)
        if world.grid:
            assert flow.battery_w >= 0
    assert all(flow.battery_w < -1500 for flow in hours(day, 18, 20))


@pytest.mark.slow
def test_a_day_of_demand_response(rig):
    spans = tuple((2.0 + 2 * d, 4.0 + 2 * d, {d}) for d in range(9))
    day = play(rig, "self-consumption", drm=spans, extra_w=((0.0, 24.0, 1500),))
    for _, world, flow, _ in day.rows:
        for d in world.drm:
            assert -flow.ac_w <= DRM_CONSUME_W.get(d, RATED_W) + 1
            assert flow.ac_w <= DRM_GENERATE_W.get(d, RATED_W) + 1
    assert all(flow.ac_w == 0 for flow in hours(day, 2, 4))


@pytest.mark.skipif(not HOUR_S, reason="`make days` plays whole days, some seven minutes each")
@pytest.mark.req("COM-02", "COM-05", "DER-04")
@pytest.mark.parametrize("mode", MODES)
def test_a_whole_day_with_every_second_of_it(unix_micropython, mode):
    """The clock is not compressed: the battery is filled and emptied as in a house."""
    with Rig(chunk_us=1_000_000) as rig:
        whole_day(rig, mode)


def whole_day(rig, mode):
    rig.open("unix", profile="b1-5.1-48", plant={"soc": 0.5})
    rig.run(40_000)
    outages = ((18.0, 19.0),) if mode == "back-up" else ()
    day = Day(rig, Can(rig), AS1(mode), HOUR_S, outages)
    seen = {"low": 1.0, "high": 0.0, "limits": [(60_000, 60_000)] * 2, "far": 0.0}

    def check(row):
        hour, world, flow, wire = row
        truth = rig.look()[1]
        limits = seen["limits"] = [(wire["ccl_ma"], wire["dcl_ma"]), seen["limits"][0]]
        most_ma, least_ma = (max(pair) for pair in zip(*limits, strict=True))
        assert -least_ma - 1500 <= truth["current_ma"] <= most_ma + 1500, row
        assert not outages or world.grid or flow.served, hour
        seen["low"], seen["high"] = (min(seen["low"], truth["soc"]),
                                     max(seen["high"], truth["soc"]))
        seen["far"] = max(seen["far"], abs(100 * truth["soc"] - wire["soc_pct"]))
        day.rows[:-2] = []              # a day of them would be too many

    day.run(each=check)
    report = rig.get()["report"]
    assert report["protections"] == report["faults"] == [] and report["task_errors"] == 0
    assert not [row for row in rig.events()["events"] if row["event"] in ("trip", "fault")]
    assert day.link.wire.frames > 24 * HOUR_S * 0.99
    assert seen["low"] >= 0.085                                 # 10 % by its own estimate
    assert seen["high"] >= (0.97 if mode != MODES[0] else 0.6)
    print(mode, seen, report["soc_cpct"])


@pytest.mark.req("COM-05")
def test_a_cut_cable_stops_the_battery(rig):
    """Nothing on the wire for 5 s: the inverter lets go of the battery by itself."""
    rig.open("host", profile="b1-5.1-48", plant={"soc": 0.5})
    rig.run(40_000)
    day = Day(rig, Can(rig), AS1("self-consumption"), 60)
    day.run(20.0, 20.2)
    assert rig.get()["truth"]["current_ma"] < -20_000
    rig.set(fault={"can_no_ack": True})
    day.link.poll = lambda now_s: None
    day.run(20.2, 20.4)
    assert rig.get()["truth"]["current_ma"] == pytest.approx(0, abs=50)
