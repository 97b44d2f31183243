"""Starts and restarts, deep discharge, ignored limits and short circuits on the bench."""

import pytest

BOTH = ("chg", "dsg")
pytestmark = pytest.mark.targets("host", "unix")

BEYOND = (
    ({"cell_mv": {3: 3900}, "charger_mv": 57000, "charger_ma": 20000}, ("chg",)),
    ({"cell_mv": {3: 2100}, "load_ma": 50000}, ("dsg",)),
    ({"cell_temp_dc": [750] * 4, "charger_mv": 56000, "charger_ma": 50000}, BOTH),
    ({"cell_temp_dc": [-300] * 4, "charger_mv": 56000, "charger_ma": 50000}, BOTH),
    ({"mos_dc": 1200, "load_ma": 90000}, BOTH),
)


def now(rig):
    return rig.get()["t_ms"]


# so little hangs at the terminals that load detect lifts them
TIGHT = {"terminal_kohm": 2000, "terminal_uf": 0}


def closings(rig, since_ms):
    """[(ms after *since_ms*, FET)] of every FET that closed."""
    return [(t_ms - since_ms, signal[5:]) for t_ms, signal, value in rig.trace(since_ms)["edges"]
            if signal in ("fets.chg", "fets.dsg") and value]


def restart(rig, off_ms=300, on_ms=3000):
    rig.power(False)
    rig.run(off_ms)
    rig.power(True)
    rig.run(on_ms)


def report(rig):
    return rig.get()["report"]


@pytest.mark.req("PRO-27")
@pytest.mark.parametrize("what, opens", BEYOND)
def test_no_fet_closes_beyond_a_limit_at_a_start(rig, target, what, opens):
    rig.open(target, plant={"soc": 0.5})
    rig.run(3000)
    rig.set(**what)
    since_ms = now(rig)
    restart(rig, 1000, 7000)
    closed = {fet for _, fet in closings(rig, since_ms)}
    assert closed == set(BOTH) - set(opens)
    seen = report(rig)
    assert seen["protections"] and not seen["faults"]
    # the trip is on record, and its time is that of the start
    trips = [e for e in rig.events()["events"] if e["event"] == "trip" and e["boot"] == 2]
    assert trips


@pytest.mark.req("PRO-27")
def test_a_controller_that_starts_again_and_again_holds_its_fets(rig, target):
    rig.open(target, plant={"soc": 0.5})
    rig.run(3000)
    rig.set(load_ma=50000)
    since_ms = now(rig)
    for _ in range(8):
        restart(rig, 300, 2500)
    assert len(closings(rig, since_ms)) <= 2 * 2            # of starts 2 and 3
    assert report(rig)["faults"] == ["PRO-27"]
    assert "PRO-27" in rig.command_text("why")
    held_ms = now(rig)
    rig.run(56_000)
    assert report(rig)["faults"] == ["PRO-27"]
    rig.run(4_000)
    assert not report(rig)["faults"]
    assert {fet for _, fet in closings(rig, held_ms)} == set(BOTH)


@pytest.mark.req("PRO-27")
@pytest.mark.req("PRO-22")
def test_locks_survive_a_supply_dip_and_not_a_reset_that_is_asked_for(rig, target):
    rig.open(target, plant={"soc": 0.6}, params={"short_lock_trips": 2})
    rig.set(fault=TIGHT)
    rig.run(5000)
    for _ in range(2):
        rig.set(load="short")
        rig.run(2000)
        rig.set(load="open")
        rig.run(5000)
    assert report(rig)["locked"] == ["PRO-08"]
    since_ms = now(rig)
    restart(rig)
    seen = report(rig)
    assert (seen["locked"], seen["protections"]) == (["PRO-08"], ["PRO-08"])
    assert not closings(rig, since_ms)
    rig.command_text("reset")
    rig.run(4000)
    seen = report(rig)
    assert (seen["locked"], seen["protections"]) == ([], [])
    assert {fet for _, fet in closings(rig, since_ms)} == set(BOTH)


@pytest.mark.req("PRO-08")
def test_a_short_circuit_that_comes_back_locks(rig, target):
    rig.open(target, plant={"soc": 0.6})
    rig.set(fault=TIGHT)
    rig.run(3000)
    since_ms = now(rig)
    for _ in range(10):
        rig.set(load="short")
        rig.run(3000)
        rig.set(load="open")
        rig.run(3000)
    assert [fet for _, fet in closings(rig, since_ms)].count("dsg") <= 4
    assert report(rig)["locked"] == ["PRO-08"]


@pytest.mark.req("PRO-29")
@pytest.mark.req("PRO-30")
@pytest.mark.targets("host", "unix")
def test_deep_cells_get_5_a_in_the_mean_of_a_charger_that_knows_no_limits(rig, target):
    rig.open(board=target, plant={"soc": 0, "temp_c": 25})
    rig.run(5000)
    rig.set(charger_mv=56_000, charger_ma=10_000)
    start_ms = rig.get()["t_ms"]
    rig.run(241_000)
    edges = [(t_ms - start_ms, value) for t_ms, signal, value in rig.trace(start_ms)["edges"]
             if signal == "fets.chg" and t_ms > start_ms]
    assert [value for _, value in edges] == [0, 1, 0, 1]
    for (off_ms, _), (on_ms, _) in zip(edges[::2], edges[1::2]):
        assert on_ms <= 245_000 and 55_000 <= on_ms - off_ms <= 61_000
    assert 55_000 <= edges[0][0] <= 61_000 and 55_000 <= edges[2][0] - edges[1][0] <= 61_000
    last = rig.get()["report"]
    assert last["locked"] == [] and last["faults"] == [] and last["ccl_ma"] <= 5_000


@pytest.mark.req("PRO-29")
@pytest.mark.parametrize("cell_mv", (1800, 500))
def test_a_cell_below_the_floor_is_not_charged_until_the_host_allows_it(rig, target, cell_mv):
    rig.open(target, plant={"soc": 0.3})
    rig.run(3000)
    rig.set(cell_mv={5: cell_mv}, charger_mv=56000, charger_ma=4000)
    rig.run(10_000)
    answer = rig.get()
    assert "PRO-29" in answer["report"]["protections"]
    assert answer["wire"]["fets"]["chg"] == answer["wire"]["fets"]["dsg"] == 0
    assert rig.command_text("deep_try").startswith("charging is tried at 5000 mA")
    rig.run(1000)
    assert rig.get()["wire"]["fets"]["chg"] == 1


@pytest.mark.req("PRO-30")
def test_an_ignored_charge_limit_opens_the_charge_fet(rig, target):
    rig.open(target, plant={"soc": 0.5})
    rig.run(5000)
    rig.set(cell_temp_dc=[52] * 4)
    rig.run(30_000)
    assert report(rig)["ccl_ma"] == 0
    rig.set(charger_mv=57500, charger_ma=60000)
    since_ms = now(rig)
    rig.run(29_000)
    assert "PRO-30-charge" not in report(rig)["alarms"]
    rig.run(5_000)
    assert "PRO-30-charge" in report(rig)["alarms"]
    rig.run(85_000)
    assert rig.get()["wire"]["fets"]["chg"] == 1
    rig.run(6_000)
    answer = rig.get()
    assert (answer["wire"]["fets"]["chg"], answer["report"]["protections"]) == (
        0, ["PRO-30-charge"])
    assert not closings(rig, since_ms)


@pytest.mark.req("COM-05")
@pytest.mark.parametrize("variant", (0, 3))
def test_no_alarm_on_can_before_the_first_scan(rig, target, variant):
    rig.open(target, plant={"soc": 0.5}, params={"can_variant": variant})
    rig.run(3000)
    rig.command_text("save")
    restart(rig, 2000, 1)
    since_ms = now(rig)
    rig.run(3000)
    frames = [(ident, bytes.fromhex(data)) for _, ident, data in rig.can(since_ms)["frames"]]
    told = [data for ident, data in frames if ident == (0x35A if variant else 0x359)]
    assert len(told) >= 2
    for data in told:
        if variant:
            pairs = [data[i] >> shift & 3 for i in range(7) for shift in (0, 2, 4, 6)]
            assert 1 not in pairs, data
        else:
            assert data[:4] == bytes(4), data


def fets_after(rig, since_ms):
    return [(round(t_ms - since_ms), signal[5:], value)
            for t_ms, signal, value in rig.trace(since_ms)["edges"] if signal.startswith("fets.")]


# what is there before the first closing
LOADS_MA = (0, 400, 5000, 20_000, 50_000)
CAPACITORS_UF = (0, 5000, 20_000, 40_000)
# a part of all: each seed, each of the others
GRID = [(seed, CAPACITORS_UF[k % 4], LOADS_MA[(seed + k + k // 4) % 5])
        for seed in range(1, 7) for k in range(4)]
# on unix: what lies in between, and what is worst
HARDEST = ((3, 33_000, 0), (3, 0, 20_000), (5, 40_000, 50_000), (2, 5000, 5000))


def starts_under(rig, load_ma, uf, allowed_ms=3500):
    """Boots and closes onto what hangs there, without harm or a word."""
    rig.set(fault={"terminal_uf": uf}, load_ma=load_ma)
    rig.run(5000)
    seen_to_close(rig, 0, allowed_ms)


def seen_to_close(rig, since_ms, allowed_ms=3500):
    answer = rig.get()
    edges = fets_after(rig, since_ms)
    fets = answer["wire"]["fets"]
    assert (fets["chg"], fets["dsg"]) == (1, 1), edges
    assert not answer["report"]["protections"] and not answer["report"]["faults"]
    assert not answer["truth"]["harm"]
    assert not [e for e in rig.events()["events"] if e["event"] == "trip"]
    first = {}
    for t_ms, signal, value in edges:
        first.setdefault((signal, value), t_ms)
    allowed = first["chg", 1] if ("chg", 1) in first else first["pchg", 1]
    assert 0 < first["dsg", 1] - allowed <= allowed_ms
    on_ms = longest = None
    for t_ms, signal, value in edges:
        if signal == "pchg":
            if value:
                on_ms = t_ms
            else:
                longest = max(longest or 0, t_ms - on_ms)
    assert longest <= 3000


@pytest.mark.req("PWR-03")
@pytest.mark.targets("host")
@pytest.mark.parametrize("seed, uf, load_ma", GRID)
def test_any_load_and_capacitor_is_closed_onto(rig, target, seed, uf, load_ma):
    rig.open(target, seed=seed, plant={"soc": 0.5})
    starts_under(rig, load_ma or None, uf)


@pytest.mark.req("PWR-03")
@pytest.mark.targets("unix")
@pytest.mark.parametrize("seed, uf, load_ma", HARDEST)
def test_any_load_and_capacitor_on_the_interpreter(rig, target, seed, uf, load_ma):
    rig.open(target, seed=seed, plant={"soc": 0.5})
    starts_under(rig, load_ma or None, uf)


@pytest.mark.req("PWR-03")
@pytest.mark.targets("host")
def test_the_largest_continuous_current_at_the_first_closing(rig, target):
    rig.open(target, seed=3, profile="b1-5.1-48", plant={"soc": 0.5})
    starts_under(rig, 60_000, 5000)


@pytest.mark.req("PWR-03")
@pytest.mark.targets("host")
@pytest.mark.parametrize("load_ma", (20_000, 50_000))
def test_a_load_that_is_there_after_a_protection(rig, target, load_ma):
    rig.open(target, plant={"soc": 0.5}, params={"oc_release_ms": 5000})
    rig.run(5000)
    rig.set(load_ma=200_000)
    rig.run(1000)
    assert rig.get()["wire"]["fets"]["dsg"] == 0
    rig.set(load_ma=load_ma)
    since_ms = now(rig)
    rig.run(8000)
    answer = rig.get()
    assert answer["wire"]["fets"]["dsg"] == 1, fets_after(rig, since_ms)
    assert not answer["report"]["protections"] and not answer["report"]["faults"]
    assert not answer["truth"]["harm"]


@pytest.mark.req("PWR-03")
@pytest.mark.req("PRO-08")
@pytest.mark.parametrize("later", (False, True), ids=("at-the-start", "under-way"))
def test_terminals_that_leak_keep_no_short_circuit_for_ever(rig, target, later):
    rig.open(target, plant={"soc": 0.6})
    rig.set(fault={"terminal_kohm": 20, "terminal_uf": 0}, load=None if later else "short")
    rig.run(5000)
    if later:
        rig.set(load="short")
        rig.run(2000)
        assert report(rig)["protections"] == ["PRO-08"]
    rig.set(load="open")
    rig.run(10_000)
    assert report(rig)["protections"] == ["PRO-08" if later else "PWR-03"]
    rig.run(25_000)                                 # 30 s after the trip it is tried
    answer = rig.get()
    assert not answer["report"]["protections"] and answer["wire"]["fets"]["dsg"] == 1


@pytest.mark.req("PWR-03")
def test_a_short_circuit_that_stays_is_tried_ever_less_often(rig, target):
    rig.open(target, plant={"soc": 0.6})
    rig.set(load="short")
    rig.run(160_000)
    tries = [t_ms for t_ms, signal, value in fets_after(rig, 0) if (signal, value) == ("pchg", 1)]
    waits = [round((b - a) / 1000) for a, b in zip(tries, tries[1:])]
    assert waits == [30, 120]
    assert ("dsg", 1) not in [edge[1:] for edge in fets_after(rig, 0)]
    assert report(rig)["locked"] == []


@pytest.mark.req("PWR-03")
@pytest.mark.parametrize("fault, load_ma", (
    ({}, None), ({"terminal_uf": 20_000}, None), ({"terminal_uf": 40_000}, None),
    ({"terminal_uf": 40_000}, 400), ({}, 50_000)),
    ids=("nothing", "20-mF", "40-mF", "40-mF-and-20-W", "a-load"))
def test_what_hangs_on_the_terminals_is_charged_first(rig, target, fault, load_ma):
    rig.open(target, plant={"soc": 0.6})
    rig.set(fault=fault, load_ma=load_ma)
    rig.run(5000)
    answer = rig.get()
    assert (answer["wire"]["fets"]["chg"], answer["wire"]["fets"]["dsg"]) == (1, 1)
    assert not answer["report"]["protections"] and not answer["report"]["faults"]
    assert not answer["truth"]["harm"]
    times = {(signal, value): t_ms for t_ms, signal, value in fets_after(rig, 0)}
    assert 0 < times["dsg", 1] - times["pchg", 1] <= 3000
    assert not [e for e in rig.events()["events"] if e["event"] == "trip"]


@pytest.mark.req("PWR-03")
def test_a_dead_short_is_refused_with_its_reason(rig, target):
    rig.open(target, plant={"soc": 0.6})
    rig.set(load="short", fault=TIGHT)
    rig.run(8000)
    answer = rig.get()
    assert answer["report"]["protections"] == ["PWR-03"]
    assert ("dsg", 1) not in [edge[1:] for edge in fets_after(rig, 0)]
    assert "PWR-03" in rig.command_text("why")
    rig.set(load="open")
    rig.run(4000)
    answer = rig.get()
    assert not answer["report"]["protections"]
    assert answer["wire"]["fets"]["dsg"] == 1


@pytest.mark.req("PWR-03")
def test_the_host_has_a_refused_pre_discharge_tried_again(rig, target):
    rig.open(target, plant={"soc": 0.6})
    rig.set(load="short")
    rig.run(5000)
    assert len([e for e in fets_after(rig, 0) if e[1:] == ("pchg", 1)]) == 1
    rig.command_text("clear")
    rig.run(2000)
    assert len([e for e in fets_after(rig, 0) if e[1:] == ("pchg", 1)]) == 2
    assert report(rig)["protections"] == ["PWR-03"]
