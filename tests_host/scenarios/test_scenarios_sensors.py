"""No sensor alone, on the bench: dead, stuck, turned and shifted channels, and healthy boards."""

import random

import pytest

WITHIN_S = {5_000: 60, 30_000: 5, 100_000: 5, 160_000: 5}


def start(rig, target, settle_ms=8000, seed=1, **more):
    plant = {"soc": 0.6, "temp_c": 25}
    plant.update(more.pop("plant", {}))
    rig.open(board=target, plant=plant, seed=seed, **more)
    rig.run(settle_ms)


def faults(rig):
    return rig.get()["report"]["faults"]


def seconds_to_fault(rig, most_s):
    """(seconds until there is a fault, its names); None if there is none."""
    start_ms = rig.get()["t_ms"]
    while True:
        now = rig.get()
        if now["report"]["faults"]:
            return (now["t_ms"] - start_ms) / 1000, now["report"]["faults"]
        if now["t_ms"] >= start_ms + most_s * 1000:
            return None
        rig.run(500)


def both_open(rig):
    fets = rig.get()["wire"]["fets"]
    return not fets["chg"] and not fets["dsg"]


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("fault, names", (
    ({"shunt_gain": 0}, ["MEA-07-current"]), ({"shunt_gain": 0.3}, ["MEA-07-current"]),
    ({"shunt_sign": -1}, ["MEA-03-sign"])), ids=("dead", "weak", "turned"))
@pytest.mark.parametrize("load_ma", (30_000, 100_000, 160_000))
def test_a_wrong_sensor_is_named_within_5_s_of_a_load(rig, target, fault, names, load_ma):
    start(rig, target)
    rig.set(fault=fault)
    rig.set(load_ma=load_ma)
    found = seconds_to_fault(rig, 8)
    assert found and found[0] <= WITHIN_S[load_ma]
    assert found[1] in (names, ["PRO-28-current"])          # the AFE has opened a FET for it
    assert both_open(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host")
@pytest.mark.parametrize("fault", (
    {"shunt_gain": 0}, {"shunt_gain": 0.3}, {"shunt_gain": 2}, {"shunt_sign": -1}),
    ids=("dead", "weak", "double", "turned"))
@pytest.mark.parametrize("stimulus", (
    {"charger_mv": 57_600, "charger_ma": 30_000}, {"load_ma": 30_000}), ids=("charge", "load"))
def test_a_sensor_that_breaks_under_current(rig, target, fault, stimulus):
    start(rig, target)
    rig.set(**stimulus)
    rig.run(10_000)
    rig.set(fault=fault)
    found = seconds_to_fault(rig, 8)
    assert found and found[0] <= 5
    assert found[1] in (["MEA-07-current"], ["MEA-03-sign"])


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host")
@pytest.mark.parametrize("fault, names", (
    ({"shunt_gain": 0}, ["MEA-07-current"]), ({"shunt_sign": -1}, ["MEA-03-sign"])),
    ids=("dead", "turned"))
@pytest.mark.parametrize("stimulus", (
    {"charger_mv": 57_600, "charger_ma": 5_000}, {"load_ma": 5_000}), ids=("charge", "load"))
def test_at_5_a_within_a_minute(rig, target, fault, names, stimulus):
    start(rig, target)
    rig.set(fault=fault)
    rig.set(**stimulus)
    found = seconds_to_fault(rig, 65)
    assert found and found[0] <= 60 and found[1] == names


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("stimulus", (
    {"charger_mv": 57_600, "charger_ma": 5_000}, {"load_ma": 5_000}), ids=("charge", "load"))
@pytest.mark.parametrize("gain", (0.3, 2))
def test_a_wrong_gain_at_5_a_within_a_minute(rig, target, gain, stimulus):
    """The drop of 5 A, 9 mV, is known within 3 mV after a minute of rest."""
    start(rig, target, settle_ms=65_000)
    rig.set(fault={"shunt_gain": gain})
    rig.set(**stimulus)
    found = seconds_to_fault(rig, 65)
    assert found and found[0] <= 60 and found[1] == ["MEA-07-current"]


@pytest.mark.req("MEA-07", "PRO-01")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("gain, stimulus, most_s", (
    (0.85, {"charger_mv": 57_600, "charger_ma": 20_000}, 80), (0.85, {}, 20), (1.15, {}, 20),
    (0.94, {}, 20), (1.15, {"load_ma": 20_000}, 80)))
def test_a_cell_with_a_wrong_gain_is_named(rig, target, gain, stimulus, most_s):
    start(rig, target)
    rig.set(fault={"cell_gain": {"3": gain}})
    rig.set(**stimulus)
    found = seconds_to_fault(rig, most_s)
    assert found and found[1] == ["MEA-03-sum"]
    rig.run(200)
    assert both_open(rig) and not rig.get()["truth"]["harm"]
    assert "cell 3" in rig.command_text("why")


@pytest.mark.req("MEA-07", "PRO-06")
@pytest.mark.targets("host", "unix")
def test_an_over_current_that_shows_as_none_ends(rig, target):
    """120 A at a gain of 0.7 are 84 A (found by make hunt)."""
    start(rig, target)
    rig.set(fault={"shunt_gain": 0.7})
    rig.set(load_ma=120_000)
    found = seconds_to_fault(rig, 50)
    assert found and found[1] == ["MEA-07-current"]
    assert not rig.get()["truth"]["harm"]


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("offset_ma", (-5000, -3500, 3500, 5000))
def test_an_offset_of_more_than_3_a_is_no_weld(rig, target, offset_ma):
    start(rig, target)
    rig.set(fault={"shunt_offset_ma": offset_ma})
    found = seconds_to_fault(rig, 65)
    assert found and found[0] <= 60 and found[1] == ["MEA-07-current"]
    assert both_open(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host")
def test_the_current_has_two_tries_then_it_waits_for_a_host(rig, target):
    start(rig, target)
    rig.set(fault={"shunt_gain": 0})
    for _ in range(2):                  # about 0 with both FETs open, for a minute
        rig.set(load_ma=30_000)
        assert seconds_to_fault(rig, 8)
        rig.set(load_ma=0)
        rig.run(56_000)
        assert faults(rig)
        rig.run(10_000)
        assert not faults(rig) and not both_open(rig)
    rig.set(load_ma=30_000)
    assert seconds_to_fault(rig, 8)
    rig.set(load_ma=0)
    rig.run(300_000)
    assert faults(rig) == ["MEA-07-current"]
    rig.set(fault={"shunt_gain": None})
    rig.command_text("clear")
    rig.run(3000)
    assert not faults(rig) and not both_open(rig)
    rig.set(load_ma=30_000)
    rig.run(20_000)
    assert not faults(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host")
@pytest.mark.parametrize("part, name", (
    (["cells"], "MEA-07-cells"), (["cells", "stack"], "MEA-07-cells"),
    (["stack"], "MEA-07-stack"), (["terminals"], "MEA-07-terminals"),
    (["current"], "MEA-07-current")), ids=lambda value: value if isinstance(value, str) else "")
def test_a_part_of_the_afe_that_stands_still_is_named(rig, target, part, name):
    start(rig, target)
    rig.set(fault={"afe_frozen_part": part})
    rig.run(8000)
    rig.set(load_ma=60_000)
    found = seconds_to_fault(rig, 30)
    assert found and found[0] <= 10 and found[1] == [name]
    assert both_open(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("still_ms", (1000, 20_000))
@pytest.mark.parametrize("stimulus", (
    {"charger_mv": 57_600, "charger_ma": 50_000}, {"load_ma": 60_000}), ids=("charge", "load"))
def test_frozen_terminals_are_never_the_current(rig, target, still_ms, stimulus):
    start(rig, target)
    rig.set(fault={"afe_frozen_part": ["terminals"]})
    rig.run(still_ms)
    rig.set(**stimulus)
    found = seconds_to_fault(rig, 30)
    assert found and found[0] <= 10 and found[1] == ["MEA-07-terminals"]
    for _ in range(10):
        rig.run(12_000)
        assert faults(rig) == ["MEA-07-terminals"] and both_open(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host", "unix")
def test_frozen_temperatures_are_found_while_the_fets_heat(rig, target):
    start(rig, target)
    rig.set(fault={"afe_frozen_part": ["temps"]})
    rig.run(1000)
    rig.set(load_ma=90_000, cell_temp_dc=[950] * 4, mos_dc=1400)
    found = seconds_to_fault(rig, 90)
    assert found and found[1] == ["MEA-07-temp"] and both_open(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("parts, most_s", (
    (["current"], 5), (["terminals", "current"], 20), (["stack", "current"], 20),
    (["stack", "terminals", "current"], 20)), ids=lambda value: "-".join(value)
    if isinstance(value, list) else "")
def test_a_current_that_freezes_with_others_as_it_grows(rig, target, parts, most_s):
    start(rig, target)
    rig.set(load_ma=50_000)
    rig.run(10_000)
    rig.set(fault={"afe_frozen_part": parts}, load_ma=125_000)
    found = seconds_to_fault(rig, 25)
    assert found and found[0] <= most_s and found[1] == ["MEA-07-current"]
    rig.run(200)
    assert both_open(rig) and not rig.get()["truth"]["harm"]


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host")
@pytest.mark.parametrize("seed", (1, 3))
def test_a_current_that_freezes_at_rest_is_found_at_rest(rig, target, seed):
    start(rig, target, seed=seed)
    rig.set(fault={"afe_frozen_part": ["current"]})
    found = seconds_to_fault(rig, 60)
    assert found and found[0] <= 35 and found[1] == ["MEA-07-current"]


@pytest.mark.req("MEA-07", "PRO-31")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("seed", (1, 2, 3))
@pytest.mark.parametrize("stimulus", (
    {"charger_mv": 57_000, "charger_ma": 5_000, "cell_temp_dc": [-50] * 4},
    {"load_ma": 3_000, "mos_dc": 1300}), ids=("cold-charge", "hot-fets"))
def test_frozen_temperatures_are_found_by_their_noise(rig, target, seed, stimulus):
    """No current heats anything, and they stood where all was well (found by make hunt)."""
    start(rig, target, seed=seed, plant={"temp_c": 20})
    rig.set(fault={"afe_frozen_part": ["temps"]})
    rig.set(**stimulus)
    found = seconds_to_fault(rig, 20)
    assert found and found[0] <= 13 and found[1] == ["MEA-07-temp"]
    rig.run(200)
    assert both_open(rig) and not rig.get()["truth"]["harm"]


@pytest.mark.req("MEA-06", "MEA-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("spread", (0, 1))
def test_a_healthy_pack_at_rest_has_live_thermistors(rig, target, spread):
    start(rig, target, spread=spread)
    rig.run(300_000)
    assert not faults(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host")
@pytest.mark.parametrize("stuck_ma, load_ma, most_s", (
    (20_000, 0, 5), (-60_000, 0, 5), (5000, 0, 60), (0, 30_000, 5), (-30_000, 90_000, 5)))
def test_a_current_that_sticks(rig, target, stuck_ma, load_ma, most_s):
    start(rig, target)
    rig.set(fault={"shunt_stuck_ma": stuck_ma}, load_ma=load_ma)
    found = seconds_to_fault(rig, 65)
    assert found and found[0] <= most_s and found[1] == ["MEA-07-current"]


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host")
def test_a_load_that_stays_is_cut_off_at_each_try(rig, target):
    start(rig, target)
    rig.set(fault={"shunt_gain": 0}, load_ma=160_000)
    rig.run(150_000)
    closed_ms, since = 0, None
    for t_ms, signal, value in rig.trace(0)["edges"]:
        if signal == "fets.dsg" and t_ms > 8000:
            if value:
                since = t_ms
            elif since is not None:
                assert t_ms - since <= 5000
                closed_ms += t_ms - since
                since = None
    assert closed_ms and since is None and both_open(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.targets("host")
def test_a_dead_sensor_under_load_from_the_start(rig, target):
    rig.open(board=target, plant={"soc": 0.6})
    rig.set(fault={"shunt_gain": 0}, load_ma=60_000)
    rig.run(12_000)
    assert faults(rig) == ["MEA-07-current"] and both_open(rig)


@pytest.mark.req("MEA-07")
@pytest.mark.req("MEA-06")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("soc, stimulus", (
    (0.0, {"charger_mv": 56_000, "charger_ma": 2_000}), (0.99, {"load_ma": 20_000})),
    ids=("empty-is-charged", "full-is-discharged"))
def test_an_empty_and_a_full_pack_are_the_normal_case(rig, target, soc, stimulus):
    start(rig, target, plant={"soc": soc, "imbalance_mv": 150})
    rig.set(**stimulus)
    rig.run(60_000)
    assert not faults(rig)


@pytest.mark.req("MEA-06")
@pytest.mark.targets("host")
@pytest.mark.parametrize("seed", range(1, 5))
def test_a_healthy_board_raises_nothing(rig, target, seed):
    dice = random.Random(seed)
    start(rig, target, seed=seed, spread=1, settle_ms=dice.choice((4000, 9000)),
          plant={"soc": dice.uniform(0.2, 0.9), "temp_c": dice.choice((0, 10, 25, 45))})
    for _ in range(8):
        kind = dice.randrange(4)
        if kind == 0:
            rig.set(load_ma=dice.choice((1000, 5000, 20_000, 90_000)))
            rig.run(dice.choice((700, 4000, 12_000)))
        elif kind == 1:
            rig.set(load_ma=0, charger_mv=57_000, charger_ma=dice.choice((1000, 10_000, 50_000)))
            rig.run(dice.choice((700, 4000, 12_000)))
        elif kind == 2:
            rig.set(load_ma=0, charger_mv=None, charger_ma=None)
            rig.run(dice.choice((700, 4000, 12_000)))
        else:                           # an inverter that pulses
            load_ma = dice.choice((5000, 60_000))
            on_ms, off_ms = dice.choice((5, 50, 100, 700)), dice.choice((5, 50, 100, 700))
            for _ in range(6000 // (on_ms + off_ms)):
                rig.set(load_ma=load_ma)
                rig.run(on_ms)
                rig.set(load_ma=0)
                rig.run(off_ms)
        assert not faults(rig)


@pytest.mark.req("SAF-05", "MEA-07", "PRO-08")
@pytest.mark.targets("host", "unix")
def test_a_short_circuit_that_shows_as_charging_ends_within_a_second(rig, target):
    """Wires of the shunt the wrong way round: the AFE sees a charge over-current, and the charge
    FET that it opens does not stop what is a discharge (found by make hunt)."""
    start(rig, target)
    at_ms = rig.get()["t_ms"]
    rig.set(fault={"shunt_sign": -1})
    rig.set(load="short")
    rig.run(3000)
    opened = [edge for edge in rig.trace(at_ms)["edges"] if edge[1:] == ["fets.dsg", 0]]
    assert opened and opened[0][0] - at_ms < 1000
    assert {kind for kind, *_ in rig.get()["truth"]["harm"]} == {"over_350_a"}  # of milliseconds


@pytest.mark.req("MEA-06")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("seed", (7, 11))       # the stack's input reads 1.3 % low
def test_cells_far_apart_at_the_first_start_are_no_fault(rig, target, seed):
    rig.open(board=target, plant={"soc": 0.5}, seed=seed)
    rig.set(cell_mv={"6": 3450, "3": 2950})
    rig.run(8000)
    assert not faults(rig) and not both_open(rig)
    rig.set(cell_mv={"6": None, "3": None}, load_ma=20_000)
    rig.run(8000)
    assert not faults(rig) and not both_open(rig)


@pytest.mark.req("SAF-05")
@pytest.mark.targets("host", "unix")
def test_a_charge_fet_that_is_dead_from_the_first_scan_is_no_tolerance(rig, target):
    """What is known of the terminals outlives a power cut, so its diode is seen at once."""
    start(rig, target)
    rig.set(charger_mv=57_000, charger_ma=10_000)
    rig.run(5000)
    rig.set(charger_mv=None, load_ma=10_000)
    rig.run(60_000)
    rig.power(False)
    rig.set(fault={"fet_open_chg": True})
    rig.power(True)
    rig.run(2000)
    found = seconds_to_fault(rig, 10)
    assert found and "SAF-05-open" in found[1]


@pytest.mark.req("PRO-08", "MEA-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("stimulus", ({"load": "short"}, {"load_ma": 240_000}),
                         ids=("short", "240-A"))
def test_a_great_current_past_a_dead_sensor_ends_within_a_second(rig, target, stimulus):
    """The AFE's comparators look at the same shunt (found by make hunt)."""
    start(rig, target)
    rig.set(fault={"shunt_gain": 0})
    rig.run(1000)
    at_ms = rig.get()["t_ms"]
    rig.set(**stimulus)
    rig.run(3000)
    opened = [edge[0] for edge in rig.trace(at_ms)["edges"] if edge[1:] == ["fets.dsg", 0]]
    assert opened and opened[0] - at_ms <= 500
    answer = rig.get()
    assert "MEA-07-current" in answer["report"]["faults"]
    assert {kind for kind, *_ in answer["truth"]["harm"]} <= {"over_350_a"}
