"""Several packs on one bus and one bar: joining, sums, losses (COM-03, COM-09, DIP-02)."""

import os
import tty

import pytest

SECONDS = int(os.environ.get("PACKCTL_FLEET_S", "60"))
pytestmark = pytest.mark.req("COM-03")
CLOSED = {"chg": 1, "dsg": 1, "pchg": 0}
OPEN = {"chg": 0, "dsg": 0, "pchg": 0}


def fets(rig):
    return [module["wire"]["fets"] for module in rig.get_all()["modules"]]


def report(rig, index=0):
    return rig.module(index).get()["report"]


def table(rig):
    """{address: {column: number}} of the master's own view of its packs; waits_for is a text."""
    lines = rig.module(0)._client.command("fleet").splitlines()
    names = lines[0].split(";")
    rows = [dict(zip(names, line.split(";"), strict=True)) for line in lines[1:]]
    return {int(row["address"]): {k: v if k == "waits_for" else int(v) for k, v in row.items()}
            for row in rows}


def until(rig, seconds, condition, step_ms=100):
    """Seconds until *condition* holds; fails if that takes longer than *seconds*."""
    for i in range(round(seconds * 1000 / step_ms) + 1):
        if condition():
            return i * step_ms / 1000
        rig.run(step_ms)
    pytest.fail(f"not within {seconds} s")


@pytest.mark.req("COM-09")
@pytest.mark.targets("host", "unix")
def test_four_packs_join_and_are_one(rig, target):
    rig.fleet(modules=4, board=target, plant=[{"soc": 0.5 + 0.02 * i} for i in range(4)])
    until(rig, 15, lambda: fets(rig) == [CLOSED] * 4)
    rig.set(load_ma=100_000)
    rig.run(5000)
    seen = rig.get_all()
    truth = [module["truth"]["current_ma"] for module in seen["modules"]]
    assert sum(truth) == pytest.approx(-100_000, abs=1500)
    master = seen["modules"][0]["report"]
    assert (master["modules"], master["modules_lost"], master["modules_twice"]) == (4, 0, 0)
    assert master["system_current_ma"] == pytest.approx(-100_000, abs=1500)
    own = [module["report"] for module in seen["modules"]]
    assert master["system_soc_cpct"] == pytest.approx(sum(r["soc_cpct"] for r in own) / 4, abs=30)
    for limit in ("ccl_ma", "dcl_ma"):
        assert 0 < master["system_" + limit] <= sum(r[limit] for r in own)
    assert all(r["faults"] == [] and r["task_errors"] == 0 for r in own)
    assert any(r["pack_uohm"] != 8000 for r in own)     # the step of the current told it
    assert all(6500 < r["pack_uohm"] < 10_500 for r in own)


class Monitor:
    """A client at the parallel port, at 9600 bit/s."""

    ANALOG_OF_2 = b"~25024642E00202FD2E\r"

    def __init__(self, path):
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._file)

    def heard(self):
        try:
            return os.read(self._file, 65536)
        except BlockingIOError:
            return b""

    def is_answered(self, rig, ms):
        """Ask for PACE 42 of address 2 and wait that long."""
        self.heard()
        os.write(self._file, self.ANALOG_OF_2)
        heard = b""
        for _ in range(ms // 50):
            rig.run(50)
            heard += self.heard()
        at = heard.find(b"~25024600F07A0002")
        return at >= 0 and b"\r" in heard[at:]

    def close(self):
        os.close(self._file)


@pytest.mark.req("COM-01")
@pytest.mark.targets("host", "unix")
def test_a_monitor_at_9600_is_answered_at_any_time(rig, target):
    ports = rig.fleet(modules=4, board=target)["modules"][0]["ports"]
    speeds = []

    def speed():
        speeds[:] = rig.get_all()["parallel"]["speeds"]
        return speeds[-1][1] if speeds else 9600

    until(rig, 10, lambda: speed() == 38_400)
    assert speeds[0][1] == 9600                     # started there
    assert speeds[-1][0] <= 10_000
    monitor = Monitor(ports["parallel"])
    try:
        for pause_ms in (0, 330, 70_000):           # the last time at the higher speed again
            rig.run(pause_ms or 50)
            if pause_ms != 330:
                assert speed() == 38_400
            for _ in range(4):
                if monitor.is_answered(rig, 500):   # tries again each 500 ms
                    break
            else:
                pytest.fail("not answered within 2 s")
            until(rig, 5, lambda: speed() == 9600)      # the master speaks again, and there
        assert report(rig)["modules"] == 4 and report(rig)["faults"] == []
    finally:
        monitor.close()
    assert all(m["report"]["faults"] == [] for m in rig.get_all()["modules"])


@pytest.mark.req("COM-09")
@pytest.mark.targets("rp2040")
def test_two_packs_on_emulated_boards(rig, target):
    rig.fleet(modules=2, board=target, plant=[{"soc": 0.5}, {"soc": 0.55}])
    until(rig, 12, lambda: fets(rig) == [CLOSED] * 2, 1000)
    rig.set(load_ma=40_000)
    rig.run(3000)
    rig.run(400)                # for reports of now
    seen = rig.get_all()
    master, slave = (module["report"] for module in seen["modules"])
    assert master["modules"] == 2 and master["faults"] == [] and slave["faults"] == []
    assert master["system_current_ma"] == pytest.approx(-40_000, abs=1000)
    assert master["system_dcl_ma"] <= master["dcl_ma"] + slave["dcl_ma"]
    assert master["task_errors"] == slave["task_errors"] == 0
    assert [baud for _, baud in seen["parallel"]["speeds"]] == [9600, 38_400]       # COM-01


@pytest.mark.req("COM-09")
@pytest.mark.targets("host")
def test_a_pack_joins_only_within_its_limit(rig, target):
    rig.fleet(modules=3, board=target, plant=[{"soc": 0.3}, {"soc": 0.3}, {"soc": 0.97}])
    rig.run(20_000)
    assert fets(rig) == [CLOSED, CLOSED, OPEN]      # 1.4 V apart: 140 A at 10 mOhm
    held = report(rig, 2)
    assert held["join_held"] == ["chg", "dsg"] and held["join_diff_mv"] < -800
    assert report(rig)["system_dcl_ma"] <= 200_000  # it is in no sum
    rig.set(charger_mv=57_000, charger_ma=60_000)   # lifts the bar
    worst = 0
    for _ in range(200):
        rig.run(100)
        worst = max(worst, abs(rig.module(2).get()["truth"]["current_ma"]))
    assert fets(rig) == [CLOSED] * 3
    assert 0 < worst < 100_000
    assert report(rig)["modules"] == 3


@pytest.mark.targets("host")
def test_a_dead_slave_leaves_the_sums_and_returns(rig, target):
    rig.fleet(modules=4, board=target)
    until(rig, 15, lambda: fets(rig) == [CLOSED] * 4)
    rig.run(3000)
    whole = report(rig)["system_dcl_ma"]
    rig.module(2).power(on=False)
    until(rig, 5, lambda: report(rig)["modules"] == 3)
    seen = report(rig)
    assert seen["modules_lost"] == 1 << 3 and "COM-03-lost" in seen["faults"]
    assert seen["system_dcl_ma"] <= whole * 0.76
    rig.module(2).power(on=True)
    until(rig, 5, lambda: report(rig)["modules"] == 4)
    until(rig, 5, lambda: fets(rig) == [CLOSED] * 4)
    rig.run(2000)
    assert report(rig)["faults"] == [] and report(rig)["system_dcl_ma"] > whole * 0.9


@pytest.mark.req("COM-09")
@pytest.mark.targets("host")
def test_the_master_restarts_under_load(rig, target):
    rig.fleet(modules=3, board=target)
    until(rig, 15, lambda: fets(rig) == [CLOSED] * 3)
    rig.set(load_ma=60_000)
    rig.run(5000)
    rig.module(0).reset()
    rig.run(100)
    assert fets(rig)[1:] == [CLOSED] * 2            # the others carry on
    until(rig, 10, lambda: fets(rig)[0] == CLOSED)
    until(rig, 5, lambda: report(rig) is not None and report(rig)["modules"] == 3)
    rig.run(2000)
    assert report(rig)["system_current_ma"] == pytest.approx(-60_000, abs=1000)


@pytest.mark.req("COM-09")
@pytest.mark.targets("host")
def test_a_late_starter_joins(rig, target):
    rig.fleet(modules=3, board=target)
    rig.module(1).power(on=False)
    rig.run(10_000)
    assert fets(rig)[0] == fets(rig)[2] == CLOSED
    rig.module(1).power(on=True)
    until(rig, 10, lambda: fets(rig) == [CLOSED] * 3)
    until(rig, 5, lambda: rig.get_all()["parallel"]["speeds"][-1][1] == 38_400)     # COM-01


@pytest.mark.req("DIP-02")
@pytest.mark.targets("host")
def test_one_address_twice_is_named_on_both(rig, target):
    rig.fleet(modules=4, board=target, dip=[1, 2, 3, 3])
    rig.run(20_000)
    reports = [module["report"] for module in rig.get_all()["modules"]]
    assert ["DIP-02" in r["faults"] for r in reports] == [True, False, True, True]
    assert reports[0]["modules_twice"] == 1 << 3 and reports[0]["modules"] == 2
    alm = {edge[2] for edge in rig.module(3).trace(0)["edges"] if edge[1] == "lamps.alm"}
    assert 1 in alm                                 # a person sees it
    rig.module(3).set(dip=4)
    until(rig, 40, lambda: report(rig)["modules"] == 4, 1000)
    until(rig, 30, lambda: all(m["report"]["faults"] == [] for m in rig.get_all()["modules"]),
          1000)


@pytest.mark.req("DIP-02")
@pytest.mark.targets("host")
def test_two_masters_are_named_on_both(rig, target):
    rig.fleet(modules=3, board=target, dip=[1, 2, 1])
    rig.run(20_000)
    reports = [module["report"] for module in rig.get_all()["modules"]]
    assert "DIP-02" in reports[0]["faults"] and "DIP-02" in reports[2]["faults"]
    assert reports[0]["modules"] == reports[2]["modules"] == 1


@pytest.mark.req("COM-05")
@pytest.mark.targets("host")
def test_one_protected_pack_stops_all_and_then_leaves_the_rest(rig, target):
    rig.fleet(modules=3, board=target)
    until(rig, 15, lambda: fets(rig) == [CLOSED] * 3)
    rig.set(charger_mv=56_000, charger_ma=60_000)
    rig.run(3000)
    start_ms = rig.module(0).get()["t_ms"]
    rig.module(1).set(cell_temp_dc={"0": 620})
    seen = []
    for _ in range(80):
        rig.run(100)
        seen.append((report(rig)["system_ccl_ma"], fets(rig)[1]["chg"]))
    opened = next(i for i, (_, chg) in enumerate(seen) if not chg)
    assert seen[opened - 1][0] == 0                 # zero before the FET opens
    opened_ms = [t for t, name, value in rig.module(1).trace(start_ms)["edges"]
                 if name == "fets.chg" and not value][0]
    zero_ms = [t for t, ident, data in rig.module(0).can(since_ms=start_ms)["frames"]
               if ident == 0x351 and data[4:12] == "00000000"][0]
    assert zero_ms < opened_ms                      # and so it is for the inverter
    assert 60_000 < seen[-1][0] <= 200_000          # the other two go on


@pytest.mark.slow
@pytest.mark.targets("host")
def test_fifteen_packs_on_a_lossy_bus(rig, target):
    rig.fleet(modules=15, board=target, plant=[{"soc": 0.5 + 0.003 * i} for i in range(15)])
    rig.set(fault={"parallel_loss": 0.01})
    until(rig, 20, lambda: fets(rig) == [CLOSED] * 15 and report(rig)["modules"] == 15)
    rig.set(load_ma=300_000)
    oldest = 0
    for second in range(SECONDS):
        rig.run(1000)
        ages = table(rig)
        assert len(ages) == 15, second
        oldest = max(oldest, *(row["age_ms"] for row in ages.values()))
    assert oldest <= 3000
    rig.module(9).power(on=False)
    until(rig, 5, lambda: report(rig)["modules"] == 14)
    rig.module(9).power(on=True)
    until(rig, 5, lambda: report(rig)["modules"] == 15)
    until(rig, 5, lambda: fets(rig) == [CLOSED] * 15)


def most_ma(rig, seconds, count):
    """Most current through each of *count* packs in that time, by the cell models."""
    most = [0] * count
    for _ in range(seconds * 10):
        rig.run(100)
        for i in range(count):
            most[i] = max(most[i], abs(rig.module(i).get()["truth"]["current_ma"]))
    return most


@pytest.mark.req("COM-09")
@pytest.mark.targets("host")
@pytest.mark.parametrize("silent_ms", (3_000, 15_000))
def test_a_pack_does_not_rush_onto_a_bar_that_the_master_knows_nothing_of(rig, target, silent_ms):
    """A silent pack holds the bar 4.8 V above one that the master lets be the first."""
    rig.fleet(modules=3, board=target, plant=[{"soc": 0.97}, {"soc": 0.97}, {"soc": 0.04}])
    until(rig, 20, lambda: fets(rig)[:2] == [CLOSED] * 2)
    assert fets(rig)[2] == OPEN
    rig.module(1).set(dip=0)            # silent, and on the bar as before
    rig.run(silent_ms)
    rig.module(0).set(fault={"ntc_open": 1})
    most = most_ma(rig, 25, 3)
    assert max(most) <= 11_000, most
    if silent_ms > 4000:                # the master has missed it by then
        assert fets(rig)[0] == fets(rig)[2] == OPEN
        rig.run(120_000)
        assert fets(rig)[2] == OPEN
        assert report(rig, 2)["join_diff_mv"] > 4_000


@pytest.mark.req("COM-09")
@pytest.mark.targets("host")
def test_two_packs_without_an_address_do_not_rush_together(rig, target):
    rig.fleet(modules=2, board=target, dip=[0, 0], plant=[{"soc": 0.98}, {"soc": 0.03}])
    most = most_ma(rig, 12, 2)
    assert max(most) <= 11_000, most


@pytest.mark.req("PRF-02")
@pytest.mark.targets("host")
def test_the_fourth_slave_is_named_and_not_counted(rig, target):
    rig.fleet(modules=5, board=target, profile="b1-5.1-48", plant={"soc": 0.5})
    until(rig, 25, lambda: report(rig)["modules"] == 4)
    rig.run(4_000)
    assert report(rig)["modules"] == 4
    assert "PRF-02-slaves" in report(rig)["faults"]
    rig.module(4).power(on=False)
    until(rig, 20, lambda: "PRF-02-slaves" not in report(rig)["faults"])


@pytest.mark.req("DIP-01")
@pytest.mark.req("COM-03")
@pytest.mark.targets("host")
def test_a_pack_taken_out_of_the_fleet_leaves_its_faults_there(rig, target):
    rig.open(target, dip=3)
    rig.run(15_000)
    assert rig.get()["report"]["faults"] == ["COM-03-lost"]
    assert rig.get()["wire"]["do"][0]
    rig.set(dip=0)
    rig.run(3_000)
    assert rig.get()["report"]["faults"] == []
    assert not rig.get()["wire"]["do"][0]


@pytest.mark.req("COM-09")
@pytest.mark.targets("host")
def test_the_group_that_can_deliver_most_begins(rig, target):
    rig.fleet(modules=3, board=target, plant=[{"soc": 0.02}, {"soc": 0.9}, {"soc": 0.9}])
    until(rig, 25, lambda: fets(rig)[1:] == [CLOSED] * 2)
    assert fets(rig)[0] == OPEN
    assert "V from its cells" in table(rig)[1]["waits_for"]
    assert table(rig)[2]["waits_for"] == ""


@pytest.mark.req("COM-09", "PWR-03")
@pytest.mark.targets("host")
def test_a_load_on_a_dead_bar_is_no_short_circuit(rig, target):
    """A load beside the pre-discharge resistor holds the bar 9 V below the first pack."""
    rig.fleet(modules=2, board=target)
    rig.set(load_ma=9_000)
    until(rig, 30, lambda: fets(rig) == [CLOSED] * 2)
    for module in rig.get_all()["modules"]:
        assert module["truth"]["harm"] == [] and module["report"]["protections"] == []


@pytest.mark.req("COM-09", "PWR-01")
@pytest.mark.targets("host")
@pytest.mark.parametrize("later_ms", (0, 80))
def test_the_master_dies_between_the_two_fets_of_a_slave(rig, target, later_ms):
    rig.fleet(modules=3, board=target, plant=[{"soc": 0.5}, {"soc": 0.5}, {"soc": 0.52}])
    rig.set(load_ma=20_000)
    rig.module(2).power(on=False)
    until(rig, 20, lambda: fets(rig)[:2] == [CLOSED] * 2)
    rig.module(2).power(on=True)
    until(rig, 30, lambda: fets(rig)[2]["chg"], 10)
    assert not fets(rig)[2]["dsg"]
    rig.run(later_ms)
    rig.module(0).power(on=False)
    until(rig, 60, lambda: fets(rig)[1:] == [CLOSED] * 2)       # by its own terminals
    rig.module(0).power(on=True)
    until(rig, 60, lambda: fets(rig) == [CLOSED] * 3)
    until(rig, 30, lambda: report(rig)["modules"] == 3)
    assert [module["truth"]["harm"] for module in rig.get_all()["modules"]] == [[]] * 3
    currents = [module["truth"]["current_ma"] for module in rig.get_all()["modules"]]
    assert sum(currents) == pytest.approx(-20_000, abs=1000)


@pytest.mark.req("COM-09", "PRO-27")
@pytest.mark.targets("host")
@pytest.mark.parametrize("index", (0, 1))
@pytest.mark.parametrize("stimulus", ({"load_ma": 60_000},
                                      {"charger_mv": 56_000, "charger_ma": 60_000}),
                         ids=("load", "charger"))
def test_a_restarted_pack_comes_back(rig, target, index, stimulus):
    rig.fleet(modules=2, board=target, plant={"soc": 0.5})
    until(rig, 15, lambda: fets(rig) == [CLOSED] * 2)
    rig.set(**stimulus)
    rig.run(3000)
    rig.module(index).power(on=False)
    rig.run(8000)                       # the other one drifts away meanwhile
    assert fets(rig)[1 - index] == CLOSED
    rig.module(index).power(on=True)
    until(rig, 60, lambda: fets(rig) == [CLOSED] * 2)
    until(rig, 30, lambda: all(m["report"]["faults"] == [] for m in rig.get_all()["modules"]))
    assert [module["truth"]["harm"] for module in rig.get_all()["modules"]] == [[]] * 2
