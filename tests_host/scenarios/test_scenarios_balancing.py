"""Balancing on the bench: what is on the wire of the AFE, and that nobody is misled by it. The
same on every target; the last test looks into the AFE model itself.
"""

import pathlib

import pytest

SETTLE_MS = 4000
SCAN_MS = 100
PAUSE_MS = 2_000                # without bleeding after start-up and after each obstacle
LATE_MS = 25                    # a step behind a longer one of another task
LOOP_MS = 66                    # until each of sixteen cells was measured anew, one slot spare
ROOT = pathlib.Path(__file__).resolve().parents[2]


def report(rig):
    return rig.get()["report"]


def at_the_top(rig, target, cells=None, spread=1, **params):
    """A pack whose cells are held at 3480 mV, some of them higher."""
    rig.open(board=target, plant={"soc": 0.98, "temp_c": 25}, spread=spread,
             params={"bal_pause_s": PAUSE_MS // 1000, **params})
    rig.run(SETTLE_MS)
    level = {str(i): 3480 for i in range(16)}
    if cells is None:
        rig.set(cell_mv=level)
        rig.run(2_000)                  # a scan that saw half of that step would choose by it
        cells = {"4": 3540, "5": 3530, "9": 3520}
    rig.set(cell_mv={**level, **cells})


def bleeding(rig, target, cells=None, spread=1, **params):
    """The same, and it is being balanced; the time it is."""
    at_the_top(rig, target, cells, spread, **params)
    rig.run(PAUSE_MS + 1500)            # the step of all cells at once is a doubt, and a pause
    for _ in range(4):                  # one scan in three is settled
        if rig.get()["wire"]["balance"]:
            break
        rig.run(SCAN_MS)
    now_ms = rig.get()["t_ms"]
    assert masks(rig, now_ms - 1000), report(rig)
    return now_ms


def edges(rig, since_ms):
    """[(time, cells bled from then on)]"""
    return [(t_ms, tuple(cells)) for t_ms, signal, cells in rig.trace(since_ms)["edges"]
            if signal == "balance"]


def masks(rig, since_ms):
    """Sets of cells that were bled since then."""
    return {cells for _, cells in edges(rig, since_ms) if cells}


@pytest.mark.req("BAL-01")
@pytest.mark.req("BAL-02")
def test_bled_for_two_scans_and_measured_in_the_third(rig, target):
    start_ms = bleeding(rig, target)
    rig.run(6000)
    seen = edges(rig, start_ms)
    assert {cells for _, cells in seen} == {(4, 9), ()}         # 5 is a neighbour of the highest
    assert len(seen) >= 36
    pauses = []
    for (t_ms, cells), (end_ms, _) in zip(seen, seen[1:]):
        if cells:
            assert abs(end_ms - t_ms - 2 * SCAN_MS) <= LATE_MS
        else:
            # a scan that begins too soon after a late end is not settled: one more is waited for
            assert LOOP_MS <= end_ms - t_ms <= 2 * SCAN_MS + LATE_MS
            pauses.append(end_ms - t_ms)
    assert sorted(pauses)[len(pauses) * 3 // 4] <= SCAN_MS + LATE_MS


@pytest.mark.req("BAL-02")
@pytest.mark.req("MEA-05")
def test_what_is_reported_is_never_measured_on_bled_cells(rig, target):
    bleeding(rig, target)
    for step in range(25):                      # every phase of the turns
        rig.run(137)
        got = rig.get()
        for told, true in zip(got["report"]["cell_mv"], got["truth"]["cell_mv"]):
            assert abs(told - true) <= 4, (step, got["report"]["cell_mv"])
        assert got["report"]["age_ms"] <= 3 * SCAN_MS


@pytest.mark.req("BAL-01")
@pytest.mark.parametrize("cells, starts", (
    ({"4": 3494}, False), ({"4": 3506}, False), ({"4": 3516}, True), ({"4": 3530}, True)))
def test_starts_at_3500_and_30_mv(rig, target, cells, starts):
    # the AFE's cells may be off by 1.5 mV: 6 mV short of, and beyond, 3500 and 3480 + 30
    at_the_top(rig, target, {})
    rig.run(1000)               # one scan may have seen some cells before the step, some after it
    rig.set(cell_mv=cells)
    rig.run(PAUSE_MS + 1500)
    assert masks(rig, 0) == ({(4,)} if starts else set())


@pytest.mark.sample
@pytest.mark.req("BAL-02")
def test_never_neighbours_and_never_more_than_may_be(rig, target):
    high = {str(i): 3500 + (i * 7) % 60 for i in range(16)}
    start_ms = bleeding(rig, target, high, bal_turn_s=5, bal_cells_most=4)
    for turn in range(3):
        rig.set(cell_mv={str(i): 3500 + (i * (11 + turn)) % 60 for i in range(16)})
        rig.run(6000)
    seen = masks(rig, start_ms)
    assert len(seen) >= 3
    for cells in seen:
        assert len(cells) <= 4
        assert all(b - a > 1 for a, b in zip(cells, cells[1:]))


@pytest.mark.req("BAL-01")
def test_ends_within_a_scan_when_the_pack_discharges(rig, target):
    start_ms = bleeding(rig, target)
    rig.set(current_ma=-5000)
    rig.run(6000)
    late = [t_ms for t_ms, cells in edges(rig, start_ms) if cells]
    ended = [t_ms for t_ms, cells in edges(rig, start_ms) if not cells]
    assert max(late, default=0) <= start_ms + 2 * SCAN_MS
    assert max(ended) <= start_ms + 3 * SCAN_MS
    assert rig.get()["wire"]["balance"] == []
    rig.set(current_ma=0)
    rig.run(PAUSE_MS + 2000)
    back_ms = min(t_ms for t_ms, _ in edges(rig, start_ms + 6000))
    assert start_ms + 6000 + PAUSE_MS <= back_ms and masks(rig, back_ms) == {(4, 9)}


@pytest.mark.req("BAL-03")
def test_begin_and_end_are_recorded_with_their_cells_and_time(rig, target):
    bleeding(rig, target)
    rig.run(10_000)
    rig.set(cell_mv={str(i): 3505 for i in range(16)})      # no difference is left
    rig.run(6000)                                   # the step is a doubt, and a pause
    told = report(rig)
    events = {event["event"]: event for event in rig.events(0)["events"]
              if event["event"] in ("balance", "balance_end")}
    assert events["balance"]["value"] == 1 << 4 | 1 << 9
    assert (events["balance"]["cell"], events["balance_end"]["item"]) == (4, 0)
    assert 54 <= events["balance"]["limit"] <= 66 and events["balance_end"]["limit"] <= 10
    assert told["balance"] == "idle"
    assert events["balance_end"]["value"] == sum(told["balance_s"]) >= 14


@pytest.mark.req("BAL-01")
def test_works_while_charging(rig, target):
    start_ms = bleeding(rig, target)
    rig.set(current_ma=8000)
    rig.run(6000)
    assert len(edges(rig, start_ms + 1000)) >= 31


@pytest.mark.req("BAL-01")
@pytest.mark.req("PRO-10")
@pytest.mark.parametrize("dc", (600, 40))
def test_not_at_a_temperature_protection(rig, target, dc):
    start_ms = bleeding(rig, target)
    rig.set(cell_temp_dc={"1": dc})
    rig.run(4000)
    assert report(rig)["protections"]
    rig.run(4000)
    assert max(t_ms for t_ms, _ in edges(rig, start_ms)) <= start_ms + 3600


@pytest.mark.req("BAL-01")
@pytest.mark.req("MEA-02")
def test_not_in_fail_and_the_chip_ends_it_by_itself(rig, target):
    start_ms = bleeding(rig, target)
    rig.set(fault={"afe_silent": True})
    rig.run(30_000)
    assert report(rig)["state"] == "fail"
    assert rig.get()["wire"]["balance"] == []
    assert max(t_ms for t_ms, _ in edges(rig, start_ms)) <= start_ms + 22_000
    rig.set(fault={"afe_silent": None})
    rig.run(15_000)
    assert report(rig)["faults"] == [] and masks(rig, start_ms + 31_000) == {(4, 9)}


@pytest.mark.req("BAL-02")
@pytest.mark.req("MEA-02")
@pytest.mark.targets("host", "unix")
def test_a_bad_line_to_the_afe_slows_it_and_does_no_harm(rig, target):
    start_ms = bleeding(rig, target)
    rig.set(fault={"afe_crc": 0.02})
    for _ in range(40):
        rig.run(530)
        got = rig.get()
        assert got["report"]["faults"] == [] and got["report"]["protections"] == []
        told = got["report"]["cell_mv"]
        if None not in told:
            assert max(abs(a - b) for a, b in zip(told, got["truth"]["cell_mv"])) <= 4
    assert masks(rig, start_ms) == {(4, 9)}


@pytest.mark.req("PRO-01")
@pytest.mark.req("PRO-21")
@pytest.mark.parametrize("cell", ("4", "5", "9", "12"))
@pytest.mark.parametrize("phase_ms", (0, 50, 100, 150))
def test_over_voltage_trips_in_time_while_cells_are_bled(rig, target, cell, phase_ms):
    if target == "rp2040" and (phase_ms % 100 or cell in "59"):
        pytest.skip("the emulated board shows two phases and two cells of these")
    bleeding(rig, target)
    rig.set(current_ma=1000)
    rig.run(1000 + phase_ms)
    rig.set(cell_mv={cell: 3604})               # 4 mV beyond: bleeding makes 24 mV less of it
    start_ms = rig.get()["t_ms"]
    rig.run(4000)
    opened = [t_ms - start_ms for t_ms, signal, value in rig.trace(start_ms)["edges"]
              if signal == "fets.chg" and value == 0]
    assert opened and 3000 <= opened[0] <= 3000 + 2 * SCAN_MS


@pytest.mark.req("PRO-01")
@pytest.mark.req("PRO-21")
def test_no_over_voltage_where_only_the_error_of_bleeding_would_reach_it(rig, target):
    # between two bled cells a third one reads 24 mV too high; 3577 + 24 is beyond 3600
    start_ms = bleeding(rig, target, {"4": 3578, "5": 3576, "6": 3578}, spread=0)
    assert masks(rig, start_ms - 1000) == {(4, 6)}
    rig.run(20_000)
    assert report(rig)["protections"] == [] and masks(rig, start_ms) == {(4, 6)}


@pytest.mark.req("PRO-02")
@pytest.mark.req("PRO-21")
@pytest.mark.targets("host", "unix")
def test_a_cell_that_collapses_while_others_are_bled_trips_in_time(rig, target):
    bleeding(rig, target)
    for mv in (3300, 3000, 2696):           # in steps that the sum of cells believes
        rig.set(cell_mv={"5": mv})
        start_ms = rig.get()["t_ms"]
        rig.run(4000)
    opened = [t_ms - start_ms for t_ms, signal, value in rig.trace(start_ms)["edges"]
              if signal == "fets.dsg" and value == 0]
    assert opened and 3000 <= opened[0] <= 3000 + 2 * SCAN_MS


@pytest.mark.req("SAF-01")
@pytest.mark.req("BAL-02")
@pytest.mark.targets("host", "rp2040")
def test_a_hung_controller_leaves_nothing_bleeding(rig, target):
    start_ms = bleeding(rig, target)
    rig.set(fault={"task_hang": "control"})
    rig.run(25_000)
    assert [event for event in rig.events(0)["events"] if event["event"] == "boot"]
    last = [t_ms for t_ms, cells in edges(rig, start_ms) if not cells]
    assert last and rig.get()["wire"]["balance"] in ([], [4, 9])
    assert min(t_ms for t_ms in last) <= start_ms + 20_500


# -- inside the model ----------------------------------------------------------------------------


class ModelBench:
    """Driver, control task and pack on the AFE model in one process, so that a test may look."""

    def __init__(self, monkeypatch):
        from afe_model import AfeModel
        from bms.pack import Pack
        from bms.words.parameters import Parameters
        from bq76952 import BQ76952
        from plant import Plant
        from profiles import am5000
        from tasks.control import Control

        self.now_us = 0
        self.plant = Plant(3, soc=0.98)
        self.model = AfeModel(self.plant, 3)
        self.pack = Pack(am5000, Parameters(), SCAN_MS)
        self.control = Control(BQ76952(self, self.select, self.wait), self.pack, 250,
                               lambda level: self.model.set_bothoff(level, self.now_us),
                               lambda level: None, lambda: self.now_us & (1 << 30) - 1)
        self.settled = 0
        self.bled = 0
        settle = self.pack.balancing.settle

        def looked(measured, now_ms, start_us):
            settle(measured, now_ms, start_us)
            if self.pack.balancing.settled:
                self.settled += 1
                self.check_samples()
            elif self.pack.balancing.written:
                self.bled += 1
        monkeypatch.setattr(self.pack.balancing, "settle", looked)

    def select(self, level):
        (self.model.deselect if level else self.model.select)(self.now_us)

    def write_readinto(self, tx, rx):
        self.now_us += 24
        for i in range(len(tx)):
            rx[i] = self.model.shift(tx[i])

    def wait(self, us):
        self.now_us += us
        self.model.advance(self.now_us)

    def check_samples(self):
        """No cell register of the model holds a sample of a time with bleeding on."""
        model = self.model
        for cell in range(16):
            slot, _ = model.cfg.slots[0x0A + cell]
            due_us = model._loop0 + (slot + 1) * model.cfg.slot_us
            sampled_us = due_us + (self.scan_us - due_us) // model._period * model._period
            assert model._at(sampled_us)[5] == 0, (cell, sampled_us, self.now_us)

    def scans(self, count, late_us=lambda k: 0):
        for k in range(count):
            wait_us = SCAN_MS * 1000 - self.now_us % (SCAN_MS * 1000) + late_us(k)
            self.wait(wait_us)
            self.scan_us = self.now_us
            self.control.step(self.now_us // 1000)


@pytest.mark.req("BAL-02")
def test_every_sample_that_counts_was_taken_with_bleeding_off(monkeypatch):
    bench = ModelBench(monkeypatch)
    for cell in range(16):      # before the first scan: cells that jump are a fault (MEA-07)
        bench.plant.set_cell_mv(cell, 3540 - 10 * (cell % 5), bench.now_us)
    bench.scans(160)
    settled, bled = bench.settled, bench.bled
    bench.scans(400)
    assert bench.bled - bled in (266, 267) and bench.bled + bench.settled - bled - settled == 400
    numbers = [(k * 7919) % 41 * 1000 for k in range(400)]
    bench.scans(400, lambda k: numbers[k])      # a controller that is up to 40 ms late
    assert bench.bled - bled > 380
    assert bench.pack.protection.trips == 0 and bench.pack.faults == 0
    assert min(bench.pack.balancing.seconds[k] for k in (0, 5, 10, 15)) >= 25
