"""Off stays off (PRO-28, PRO-32, PRO-33, SAF-05): sensors that are off, welds, pulses, loads, as
the pack's cells and wires see them."""

import pytest

pytestmark = pytest.mark.targets("host", "unix")


def opened(rig, target, set_up=None, **plant):
    """A pack that runs; the time it is."""
    rig.open(board=target, plant=plant)
    rig.run(6000)
    if set_up:
        rig.set(**set_up)
        rig.run(1000)
    return rig.get()["t_ms"]


def closings(rig, fet, since_ms):
    return [edge[0] for edge in rig.trace(since_ms)["edges"]
            if edge[1] == "fets." + fet and edge[2]]


def fets(rig):
    return {name for name in ("chg", "dsg") if rig.get()["wire"]["fets"][name]}


def report(rig):
    return rig.get()["report"]


# shunt offset, charger mV and mA: a full pack of 5 Ah with unequal cells
@pytest.mark.req("PRO-28")
@pytest.mark.parametrize("offset_ma, charger_mv, charger_ma", (
    (-5000, 56_000, 3000), (-2000, 55_200, 3000), (-1250, 60_000, 1000), (1500, 57_600, 3000)))
def test_an_offset_of_the_current_sensor_harms_nothing(rig, target, offset_ma, charger_mv,
                                                       charger_ma):
    start_ms = opened(rig, target, {"fault": {"shunt_offset_ma": offset_ma}},
                      soc=0.97, capacity_ah=5, imbalance_mv=120)
    rig.set(charger_mv=charger_mv, charger_ma=charger_ma)
    highest = 0
    for _ in range(10):
        rig.run(20_000)
        highest = max(highest, *rig.get()["truth"]["cell_mv"])
        if report(rig)["state"] == "fail":
            break
    assert highest <= 3650
    assert not rig.get()["truth"]["harm"]
    assert len(closings(rig, "chg", start_ms)) <= 6 and len(closings(rig, "dsg", start_ms)) <= 6


@pytest.mark.req("PRO-28")
def test_a_wrong_sign_charges_no_cold_cells(rig, target):
    opened(rig, target, {"fault": {"shunt_sign": -1}, "charger_mv": 57_000,
                         "charger_ma": 18_000}, soc=0.6, temp_c=12)
    rig.set(cell_temp_dc=[-50] * 4)
    rig.run(5000)
    cold_ms = rig.get()["t_ms"]
    rig.run(60_000)
    assert "PRO-09" in report(rig)["protections"] and "chg" not in fets(rig)
    assert rig.get()["truth"]["current_ma"] == 0
    assert closings(rig, "chg", cold_ms) == []


@pytest.mark.req("PRO-28")
@pytest.mark.parametrize("offset_ma", (2000, 5000))
def test_an_overload_is_not_chopped(rig, target, offset_ma):
    start_ms = opened(rig, target, {"fault": {"shunt_offset_ma": offset_ma}}, soc=0.6)
    rig.set(load_ma=118_000)
    rig.run(30_000)
    assert "dsg" not in fets(rig)
    assert closings(rig, "dsg", start_ms) == [] and not rig.get()["truth"]["harm"]
    assert "MEA-03-sign" not in report(rig)["faults"]       # an offset is no wrong sign


@pytest.mark.req("PRO-20")
@pytest.mark.req("PRO-32")
def test_a_full_pack_serves_a_load(rig, target):
    opened(rig, target, {"cell_mv": {"7": 3610}}, soc=0.985)
    rig.run(4000)
    assert report(rig)["protections"] == ["PRO-01"] and fets(rig) == {"dsg"}
    start_ms = rig.get()["t_ms"]
    rig.set(cell_mv={"7": 3500}, load_ma=30_000)
    rig.run(900)
    assert fets(rig) == {"dsg"}                             # through the diode for a second
    assert rig.get()["truth"]["current_ma"] == -30_000
    rig.run(1000)
    assert fets(rig) == {"chg", "dsg"} and len(closings(rig, "chg", start_ms)) == 1
    assert report(rig)["faults"] == []


@pytest.mark.req("PRO-28")
@pytest.mark.req("PRO-32")
def test_after_6_releases_the_diode_is_spared_for_large_loads_alone(rig, target):
    opened(rig, target, {"cell_mv": {"7": 3610}}, soc=0.985)
    rig.run(4000)
    start_ms = rig.get()["t_ms"]
    for _ in range(8):
        rig.set(cell_mv={"7": 3500}, load_ma=5_000)
        rig.run(2000)
        rig.set(cell_mv={"7": 3610}, load_ma=None)
        rig.run(5000)
    assert len(closings(rig, "chg", start_ms)) == 6
    assert report(rig)["protections"] == ["PRO-01"]
    rig.set(load_ma=30_000)
    rig.run(2500)
    assert fets(rig) == {"dsg"}
    rig.run(1500)
    assert fets(rig) == {"chg", "dsg"} and report(rig)["protections"] == ["PRO-01"]
    assert report(rig)["ccl_ma"] == 0                       # it spares a diode, it does not charge
    rig.set(load_ma=None, charger_mv=58_000, charger_ma=20_000)
    rig.run(500)
    assert fets(rig) == {"dsg"} and rig.get()["truth"]["current_ma"] == 0
    assert report(rig)["faults"] == []


@pytest.mark.req("PRO-28")
def test_after_a_temperature_trip_no_load_closes_the_charge_fet(rig, target):
    opened(rig, target, {"cell_temp_dc": [20] * 4}, soc=0.6)
    rig.run(5000)
    start_ms = rig.get()["t_ms"]
    rig.set(load_ma=40_000)
    rig.run(20_000)
    assert report(rig)["protections"] == ["PRO-09"] and fets(rig) == {"dsg"}
    assert closings(rig, "chg", start_ms) == [] and report(rig)["faults"] == []


@pytest.mark.req("PRO-32")
@pytest.mark.parametrize("pulse_ma, ms, every_ms, most", (
    (30_000, 150, 5000, 0), (1500, 300, 5000, 0), (5000, 3000, 10_000, 6)))
def test_pulses_of_discharge_at_a_full_pack(rig, target, pulse_ma, ms, every_ms, most):
    opened(rig, target, {"cell_mv": {"7": 3610}}, soc=0.985)
    rig.run(4000)
    start_ms = rig.get()["t_ms"]
    for _ in range(12):
        rig.set(load_ma=pulse_ma, charger_mv=None, charger_ma=None)
        rig.run(ms)
        rig.set(load_ma=None, charger_mv=58_400, charger_ma=30_000)
        rig.run(every_ms - ms)
    assert len(closings(rig, "chg", start_ms)) <= most


@pytest.mark.req("PRO-33")
def test_a_load_that_comes_back_is_not_served_each_3_seconds(rig, target):
    start_ms = opened(rig, target, {"cell_mv": {"3": 2650}, "load_ma": 20_000}, soc=0.3)
    rig.run(4000)
    assert fets(rig) == {"chg"}
    rig.set(cell_mv=[3310] * 16)                            # the cells recover without the load
    rig.run(28_000)
    assert fets(rig) == {"chg"} and report(rig)["protections"] == []
    assert report(rig)["dcl_ma"] == 0
    rig.run(4000)
    assert fets(rig) == {"chg", "dsg"}
    assert len(closings(rig, "dsg", start_ms)) == 1


@pytest.mark.req("SAF-05")
def test_a_small_leak_through_a_welded_fet_is_named_within_a_minute(rig, target):
    opened(rig, target, soc=0.5)
    rig.set(cell_mv={"3": 2650})
    rig.run(4000)
    rig.set(fault={"fet_weld_dsg": True}, load_ma=900)
    rig.run(59_000)
    assert "SAF-05-weld" not in report(rig)["faults"]
    rig.run(3000)
    assert "SAF-05-weld" in report(rig)["faults"] and rig.get()["wire"]["do"][0] == 1
    assert report(rig)["state"] == "fail"


@pytest.mark.req("SAF-05")
def test_a_sensor_is_not_called_a_weld(rig, target):
    opened(rig, target, soc=0.5)
    rig.set(cell_mv={"3": 2650}, load_ma=2000)
    rig.run(4000)
    assert fets(rig) == {"chg"}
    rig.set(fault={"shunt_offset_ma": -2500})               # the load's terminals are dead
    rig.run(4000)
    assert "SAF-05-weld" not in report(rig)["faults"]
    assert "PRO-28-current" in report(rig)["faults"]


@pytest.mark.req("PWR-01", "PRO-28")
@pytest.mark.targets("host", "unix")
def test_fets_that_cannot_be_held_are_tried_ever_less_often(rig, target):
    """The line BOTHOFF breaks and works the wrong way round under load: each time it permits the
    FETs it opens them (found by make hunt: 390 closings)."""
    rig.open(target, plant={"soc": 0.5})
    rig.run(6000)
    rig.set(load_ma=60_000)
    rig.run(3000)
    at_ms = rig.get()["t_ms"]
    rig.set(fault={"afe_bothoff": "inverted"})
    rig.run(120_000)
    answer = rig.get()
    closings = [edge for edge in rig.trace(at_ms)["edges"] if edge[1:] == ["fets.chg", 1]]
    assert 2 <= len(closings) <= 20
    assert answer["truth"]["harm"] == [] and answer["report"]["faults"] == ["PWR-01-fet"]
