"""What the models hold against the controller: tools/models/harm.py, on bare cells.

The limits are those of the rig's page, written here as numbers.
"""

import pytest

from harm import Harm
from plant import Plant
from stand import Stand

S = 1_000_000


class Bench:
    """Cells whose FETs the test switches itself."""

    def __init__(self, chg=True, dsg=True, **plant):
        self.plant = Plant(**plant)
        self.plant.harm = self.harm = Harm()
        self.edges = []
        self.harm.on_edge = lambda t_us, signal, value: self.edges.append((signal, value))
        self.t_us = 0
        self.plant.set_fets(chg, dsg, 0)

    def run(self, seconds):
        end_us = self.t_us + int(seconds * S)
        while self.t_us < end_us:
            self.t_us = min(end_us, max(self.t_us + 1, self.plant.next_us))
            self.plant.step_to(self.t_us)
        return self

    def apply(self, **changes):
        self.plant.apply(self.t_us, **changes)
        return self

    def fets(self, chg, dsg):
        self.plant.set_fets(chg, dsg, self.t_us)
        return self

    def kinds(self):
        return [row[0] for row in self.harm.found()]


def cell(bench, index, mv):
    bench.plant.set_cell_mv(index, mv, bench.t_us)
    return bench


def group(bench, index, dc):
    bench.plant.set_group_dc(index, dc, bench.t_us)
    return bench


@pytest.mark.parametrize("kind, mv, ma, limit_s", [
    ("over_3700_mv", 3701, 5_000, 5), ("over_3650_mv", 3651, 5_000, 60),
    ("under_1900_mv", 1899, -5_000, 5), ("under_2400_mv", 2399, -5_000, 60)])
def test_a_cell_beyond_its_limit(kind, mv, ma, limit_s):
    bench = cell(Bench(), 6, mv).apply(force_ma=ma)
    bench.run(limit_s - 0.1)
    assert kind not in bench.kinds()
    bench.run(0.3)
    assert [kind, 6, 0, mv] in bench.harm.found()
    assert (f"harm.{kind}", 1) in bench.edges


@pytest.mark.parametrize("mv, ma", [(3699, 5_000), (1901, -5_000), (3650, 5_000), (2400, -5_000),
                                    (3800, -5_000), (1500, 5_000), (3800, 50), (1500, -50)])
def test_a_cell_within_its_limit_or_on_the_way_back(mv, ma):
    bench = cell(Bench(), 6, mv).apply(force_ma=ma).run(30)
    assert bench.kinds() == []


def test_a_break_shorter_than_a_fifth_does_not_end_it():
    bench = cell(Bench(), 0, 3750)
    for _ in range(4):
        bench.apply(force_ma=5_000).run(1.5).apply(force_ma=0).run(0.9)
    assert "over_3700_mv" in bench.kinds()
    bench = cell(Bench(), 0, 3750)
    for _ in range(8):
        bench.apply(force_ma=5_000).run(1.5).apply(force_ma=0).run(1.2)
    assert "over_3700_mv" not in bench.kinds()


@pytest.mark.parametrize("kind, dc, ma", [
    ("cold_charge", -1, 2_000), ("hot_charge", 601, 2_000), ("cold_discharge", -251, -2_000),
    ("hot_discharge", 651, -2_000)])
def test_current_at_a_temperature_beyond_the_cells(kind, dc, ma):
    bench = group(Bench(), 2, dc).apply(force_ma=ma)
    bench.run(14.9)
    assert bench.kinds() == []
    bench.run(0.3)
    assert bench.harm.found() == [[kind, 2, 0, dc]]


@pytest.mark.parametrize("dc, ma", [(1, 2_000), (599, 2_000), (-249, -2_000), (649, -2_000),
                                    (-100, -2_000), (620, -2_000)])
def test_current_at_a_temperature_within(dc, ma):
    assert group(Bench(), 2, dc).apply(force_ma=ma).run(30).kinds() == []


@pytest.mark.parametrize("kind, amps, limit_s", [
    ("over_350_a", 351, 0.001), ("over_220_a", 221, 1), ("over_115_a", 116, 60)])
@pytest.mark.parametrize("sign", [1, -1])
def test_current_beyond_the_path(kind, amps, limit_s, sign):
    bench = Bench().apply(force_ma=1000 * amps * sign)
    bench.run(limit_s * 0.99)
    assert kind not in bench.kinds()
    bench.run(limit_s * 0.02 + 0.0001)
    assert [kind, "path", 0, 1000 * amps] in bench.harm.found()


def test_current_that_the_path_carries_for_ever():
    assert Bench().apply(force_ma=-114_000).run(120).kinds() == []


def test_hot_fets():
    bench = Bench(temp_c=60).apply(force_ma=-10_000)
    bench.plant.mos_c = 126.0
    bench.run(0.2)
    assert bench.kinds() == ["fet_hot"]


def test_hot_fets_that_a_test_has_set_count_when_the_controller_had_time():
    bench = Bench().apply(force_ma=-10_000)
    bench.plant.set_mos_dc(1300, 0)
    assert bench.run(14.9).kinds() == []
    assert bench.run(0.3).harm.found() == [["fet_hot", "mos", 0, 1300]]
    bench = Bench(chg=False, dsg=False)
    bench.plant.set_mos_dc(1300, 0)
    assert bench.run(60).kinds() == []          # open, as they should be


def test_more_than_30_closings_in_a_minute():
    bench = Bench(dsg=False)
    for _ in range(30):
        bench.fets(True, True).run(0.9).fets(True, False).run(0.9)
    assert bench.kinds() == []
    bench.fets(True, True)
    assert bench.harm.found() == [["chatter", "dsg", 0, 31]]
    bench = Bench(chg=False)
    for _ in range(60):
        bench.fets(True, True).run(1.1).fets(False, True).run(1.1)
    assert bench.kinds() == []


def test_closing_onto_what_is_3_v_away():
    bench = Bench(chg=False, dsg=False).apply(bar_mv=58_000)
    bench.fets(True, True)
    [[kind, where, _since_ms, worst]] = bench.harm.found()
    assert (kind, where) == ("hard_closing", "chg") and 5_000 < worst < 5_500
    assert bench.plant.current_ma > 100_000
    near = Bench(chg=False, dsg=False)
    near.apply(bar_mv=near.plant.epoch[3] - 2_900).fets(True, True)
    assert near.kinds() == []
    short = Bench(chg=False, dsg=False).apply(shorted=True).fets(True, True)
    assert short.kinds() == ["hard_closing"]


def test_a_charger_limits_itself_and_so_does_a_load():
    bench = Bench(chg=False, dsg=False, soc=0.1).apply(charger_mv=58_400, charger_ma=50_000)
    assert bench.run(1).fets(True, True).run(1).kinds() == []
    bench = Bench(chg=False, dsg=False).apply(load_ma=110_000)
    assert bench.fets(True, True).run(1).kinds() == []


def board(**figures):
    return dict({"terminal_uf": 20_000, "terminal_ohm": 0.1, "terminal_kohm": None,
                 "pdsg_ohm": 100}, **figures)


def test_closing_onto_an_empty_capacitor():
    bench = Bench(chg=True, dsg=False, board=board()).fets(True, True)
    [[kind, where, since_ms, worst]] = bench.harm.found()
    assert (kind, where, since_ms) == ("hard_closing", "dsg", 0) and 52_000 < worst < 54_000
    gentle = Bench(chg=True, dsg=False, board=board(terminal_ohm=5)).fets(True, True)
    assert gentle.kinds() == []                 # 10 A


def test_closing_onto_a_capacitor_that_was_filled_before():
    bench = Bench(chg=True, dsg=False, board=board()).apply(pdsg=True).run(12)
    assert bench.plant.epoch[3] - bench.plant.pack_mv < 3_000
    assert bench.fets(True, True).run(1).kinds() == []


def test_closing_onto_a_capacitor_that_a_load_holds_down():
    for ohm, kinds in ((0.15, []), (0.01, ["hard_closing"])):   # 180 A, 1300 A
        bench = Bench(chg=True, dsg=False, board=board(terminal_ohm=ohm, pdsg_ohm=1))
        bench.apply(load_ma=50_000, pdsg=True).run(0.5).apply(pdsg=False)
        assert bench.fets(True, True).kinds() == kinds
    bench = Bench(chg=True, dsg=False, board=board(terminal_ohm=0.15, pdsg_ohm=1))
    bench.apply(load_ma=50_000, pdsg=True).run(0.05).apply(pdsg=False)
    assert bench.fets(True, True).kinds() == ["hard_closing"]


# -- dark --------


def dark_bench(**options):
    """A stand whose controller has been on for 5 s; its AFE never closes a FET."""
    stand = Stand(dict({"seed": 1, "noise": 0}, **options))
    stand.harm.lamp(1, 0)
    stand.advance(5 * S)
    return stand


def dark_kinds(stand):
    return [row[0] for row in stand.truth()["harm"]]


def test_a_load_without_supply():
    stand = dark_bench()
    stand.set({"load_ma": 10_000}, 5 * S)
    stand.advance(int(6.9 * S))
    assert stand.truth()["harm"] == []
    stand.advance(8 * S)
    [[kind, where, since_ms, worst]] = stand.truth()["harm"]
    assert (kind, where) == ("dark", "dsg") and since_ms == 5000 and 2_000 < worst <= 3_000
    assert [row[1:] for row in stand.edges() if row[1] == "harm.dark"] == [["harm.dark", 1]]


@pytest.mark.parametrize("fields", [
    {"load": "open", "load_ma": 0}, {"load_ma": 60_000}, {"rocker": 0},
    {"cell_mv": {"3": 2790}}, {"cell_mv": {"3": 3560}}, {"cell_temp_dc": {"0": 510}},
    {"cell_temp_dc": {"0": -110}}, {"mos_dc": 900}, {"ambient_dc": 650}, {"ambient_dc": -200},
    {"load": "short"}, {"reverse": True}, {"charger_mv": 54_000, "charger_ma": 20_000}])
def test_what_excuses_a_load_without_supply(fields):
    stand = dark_bench()
    stand.set(dict({"load_ma": 10_000}, **fields), 5 * S)
    stand.advance(30 * S)
    assert stand.truth()["harm"] == []


def test_a_controller_without_supply_is_excused_and_one_that_starts_for_5_s():
    stand = dark_bench()
    stand.power(False, 5 * S)
    stand.set({"load_ma": 10_000}, 5 * S)
    stand.advance(20 * S)
    stand.power(True, 20 * S)
    stand.harm.lamp(1, 21 * S)
    stand.advance(int(26.9 * S))
    assert stand.truth()["harm"] == []
    stand.advance(28 * S)
    assert dark_kinds(stand) == ["dark"]


def test_a_sleeping_pack_is_excused_if_it_may_sleep():
    for press, found in ((True, []), (False, ["dark"])):
        stand = dark_bench()
        if press:
            stand.set({"rst": 1}, 5 * S)
            stand.set({"rst": 0}, 9 * S)
        stand.harm.lamp(0, 10 * S)
        stand.advance(20 * S)
        stand.set({"load_ma": 10_000}, 20 * S)
        stand.advance(30 * S)
        assert dark_kinds(stand) == found
    stand = dark_bench()
    stand.advance(700 * S)
    stand.harm.lamp(0, 700 * S)                 # nothing has flowed for ten minutes
    stand.advance(710 * S)
    stand.set({"load_ma": 10_000}, 710 * S)
    stand.advance(720 * S)
    assert dark_kinds(stand) == []


def test_a_fault_leaves_the_judgement_to_others():
    stand = dark_bench()
    stand.set({"load_ma": 10_000, "fault": {"pack_gain": 1.01}}, 5 * S)
    stand.advance(15 * S)
    assert stand.truth()["harm"] == []
    since_ms, ms = stand.truth()["dark_fault"]
    assert since_ms == 5000 and 9_000 < ms <= 10_000 and stand.truth()["dark_ms"] >= ms


def test_after_an_over_current_there_is_time():
    bench = Bench().apply(force_ma=-120_000).run(5).apply(force_ma=None, load_ma=20_000)
    bench.harm.controller(1, 0)
    bench.fets(True, False).run(74)
    assert bench.kinds() == []
    bench.run(5)
    assert bench.kinds() == ["dark"]


def test_after_an_empty_cell_it_waits_for_a_charger():
    bench = cell(Bench(), 4, 2750).apply(load_ma=10_000).run(5)
    bench.fets(True, False)
    cell(bench, 4, 3100).run(120)
    assert bench.kinds() == []
    bench.apply(charger_mv=57_000, charger_ma=15_000).run(5)
    bench.apply(charger_mv=None, charger_ma=None).run(5)
    assert bench.kinds() == ["dark"]
