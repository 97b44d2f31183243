"""How the two documents are read (docs/reading.md), on the bench and on the emulated chip.

One test for each decision, in the document's words. With PACKCTL_TRACES=folder each test leaves
there what it saw: the lines that it tells, and every edge on the pins.
"""

import json
import os
import pathlib

import pytest

TRACES = os.environ.get("PACKCTL_TRACES")
BOTH = pytest.mark.targets("host", "rp2040")
ALL_CELLS = [str(i) for i in range(16)]


class Saw:
    """Lines and edges of one test, for a person."""

    def __init__(self, rig):
        self.rig, self.lines, self._start_ms = rig, [], 0

    def __call__(self, text, **values):
        shown = "".join(f" {name}={value}" for name, value in values.items())
        self.lines.append(f"{self.rig.get()['t_ms'] / 1000:9.3f} s  {text}:{shown}")

    def write(self, path):
        edges = self.rig.trace(0)["edges"]
        path.write_text("\n".join([*self.lines, "", "edges:", *map(json.dumps, edges), ""]),
                        "utf-8")


@pytest.fixture
def saw(rig, target, request):
    found = Saw(rig)
    yield found
    if TRACES:
        folder = pathlib.Path(TRACES)
        folder.mkdir(parents=True, exist_ok=True)
        name = request.node.name.replace("/", "-").replace("[", "-").rstrip("]")
        try:
            found.write(folder / f"{name}.txt")
        except Exception as error:                      # a fleet has its trace per module
            (folder / f"{name}.txt").write_text("\n".join([*found.lines, "", repr(error)]))


def report(rig):
    return rig.get()["report"]


def closed(rig):
    fets = rig.get()["wire"]["fets"]
    return [name for name in ("chg", "dsg") if fets[name]]


def opened(rig, target, soc=0.6, temp_c=25, **start):
    rig.open(board=target, plant={"soc": soc, "temp_c": temp_c}, **start)
    rig.run(4000)
    assert closed(rig) == ["chg", "dsg"]


def over_voltages(rig):
    now = report(rig)
    return [name for name in now["alarms"] + now["protections"] if name in ("PRO-01", "PRO-03")]


@BOTH
@pytest.mark.req("PRO-01", "PRO-03", "COM-05")
def test_a_charge_to_the_voltage_that_is_asked_for_is_no_alarm(rig, target, saw):
    opened(rig, target, soc=0.99)
    rig.run(20_000)
    asked_mv = report(rig)["cvl_mv"]
    assert asked_mv == 55_600
    seen, soc = [], 0
    for _ in range(24):
        now = report(rig)
        rig.set(charger_mv=now["cvl_mv"], charger_ma=max(now["ccl_ma"], 200))
        rig.run(15_000)
        now = report(rig)
        seen += over_voltages(rig)
        soc = now["soc_cpct"]
        saw("charged as asked", cvl_mv=now["cvl_mv"], ccl_ma=now["ccl_ma"],
            current_ma=now["current_ma"], highest_mv=max(now["cell_mv"]), soc_cpct=soc,
            alarms=now["alarms"])
        if soc == 10_000:
            break
    assert seen == [] and soc == 10_000
    assert not [e for e in rig.events(0)["events"] if e["event"] in ("alarm", "protection")]


@BOTH
@pytest.mark.req("AS1-01", "AS1-04")
def test_errors_and_alarms_of_the_as1_are_two_kinds(rig, target, saw):
    opened(rig, target, profile="b1-5.1-48")
    steps = (({"cell_temp_dc": [488] * 4}, "86", "02"),         # an alarm is not an error
             ({"cell_temp_dc": [520] * 4}, "02", "03"),
             ({"cell_temp_dc": [-10] * 4}, "03", "02"))
    for values, code, never in steps:
        rig.set(**values)
        rig.run(6000)
        text = rig.command_text("codes")
        saw(f"cells at {values['cell_temp_dc'][0] / 10} °C", codes=text.splitlines())
        codes = [line.split()[0] for line in text.splitlines() if line.split()]
        assert code in codes and never not in codes, text
    rig.set(cell_temp_dc=[250] * 4)
    rig.run(9000)
    rig.set(load="short")
    rig.run(3000)
    text = rig.command_text("codes")
    saw("short circuit", codes=text.splitlines())
    assert any(line.startswith("08 ") for line in text.splitlines()), text


@BOTH
@pytest.mark.req("AS1-02")
def test_the_simulated_as1_serves_3600_va_for_ten_seconds(rig, target, saw):
    opened(rig, target, soc=0.8)
    rig.run(50_000)                     # the limits have risen to what is allowed
    rig.set(inverter={"port": "can", "pv_w": 0, "load_w": 2400, "grid": False})
    rig.run(8_000)
    told = rig.get()["inverter"]
    saw("2400 W, no grid", **told)
    assert told["served"] and told["codes"] == [29, 61]
    assert report(rig)["current_ma"] < -40_000
    rig.set(inverter={"port": "can", "pv_w": 0, "load_w": 3600, "grid": False})
    rig.run(8000)
    told = rig.get()["inverter"]
    saw("3600 W for 8 s", dcl_ma=report(rig)["dcl_ma"], **told)
    assert told["served"] and told["codes"] == [29, 31, 61]
    assert report(rig)["current_ma"] < -65_000
    rig.run(4000)
    told = rig.get()["inverter"]
    saw("3600 W for 12 s", **told)
    assert not told["served"] and told["codes"] == [21, 29, 61]
    assert told["forbidden"].startswith("overload")
    rig.run(4000)
    assert abs(report(rig)["current_ma"]) < 1000
    rig.param("boost_ma", 50_000)       # a pack that gives 50 A cannot carry it: why is said
    rig.set(inverter={"port": "can", "pv_w": 0, "load_w": 2900, "grid": False})
    rig.run(60_000)
    told = rig.get()["inverter"]
    saw("2900 W from 50 A", dcl_ma=report(rig)["dcl_ma"], **told)
    assert not told["served"] and told["forbidden"].startswith("DCL")


@BOTH
@pytest.mark.req("REC-01", "AS1-01")
def test_a_clock_chip_that_dies_while_running_is_said_within_a_minute(rig, target, saw):
    opened(rig, target)
    rig.run(30_000)
    assert "67 RTC fault" not in rig.command_text("codes")
    seq = rig.events()["events"][-1]["seq"]
    rig.set(fault={"rtc_dead": True})
    saw("the clock chip dies", clock=report(rig).get("clock_source"))
    rig.run(60_000)
    codes = rig.command_text("codes")
    saw("a minute later", codes=codes.splitlines(),
        events=[(e["event"], e["item"]) for e in rig.events(seq)["events"]])
    assert "67 RTC fault" in codes
    assert [e["item"] for e in rig.events(seq)["events"] if e["event"] == "clock"] == [1]   # lost


@BOTH
@pytest.mark.req("DER-03", "PRO-25")
@pytest.mark.parametrize("field, name", (("load_ma", "DER-03-dsg"),
                                         ("charger_ma", "DER-03-chg")))
def test_more_than_50_amperes_is_a_warning_and_the_metered_use_is_none(
        rig, target, saw, field, name):
    opened(rig, target)
    rig.run(40_000)                     # the limits have risen
    charger = {"charger_mv": 57_000} if field == "charger_ma" else {}
    rig.set(**charger, **{field: 50_000})
    rig.run(5000)
    now = report(rig)
    saw("50 A", current_ma=now["current_ma"], alarms=now["alarms"])
    assert name not in now["alarms"]
    rig.set(**{field: 60_000})
    rig.run(170_000)
    now = report(rig)
    saw("60 A for 170 s, metered", current_ma=now["current_ma"], alarms=now["alarms"])
    assert name not in now["alarms"]
    rig.run(20_000)
    now = report(rig)
    saw("60 A for 190 s", current_ma=now["current_ma"], alarms=now["alarms"])
    assert name in now["alarms"]
    rig.set(**{field: 50_000})
    rig.run(8000)
    now = report(rig)
    saw("50 A again", current_ma=now["current_ma"], alarms=now["alarms"])
    assert name not in now["alarms"]


@BOTH
@pytest.mark.req("SOC-01", "SOC-02")
def test_a_first_start_on_the_flat_part_shows_40_percent_as_a_guess(rig, target, saw):
    opened(rig, target, soc=0.62)
    rig.run(4000)
    now = report(rig)
    saw("first start, the truth is 62 %", soc_cpct=now["soc_cpct"], guess=now["soc_is_guess"],
        bound_cpct=now["soc_uncertainty_cpct"])
    assert now["soc_cpct"] == 4000 and now["soc_is_guess"] == 1
    assert now["soc_uncertainty_cpct"] >= 2200                # the truth is within it
    status = rig.console("status")
    saw("status", lines=[line for line in status.splitlines() if "%" in line])
    assert "guess" in status


@BOTH
@pytest.mark.req("PWR-10")
@pytest.mark.parametrize("load_ma, state", ((60, "standby"), (0, "sleep")))
def test_a_load_of_60_ma_is_a_use(rig, target, saw, load_ma, state):
    opened(rig, target, params={"sleep_standby_s": 300})
    rig.set(load_ma=load_ma or None, fault={"can_no_ack": True})
    for _ in range(6):
        rig.run(75_000)
    saw(f"{load_ma} mA for 450 s, time to sleep 300 s", state=report(rig)["state"])
    assert report(rig)["state"] == state


@BOTH
@pytest.mark.req("DER-02", "PRO-09")
def test_charging_is_offered_down_to_5_3_degrees(rig, target, saw):
    opened(rig, target, temp_c=20)
    rig.run(40_000)
    for dc, offered in ((60, True), (54, True), (48, False)):
        rig.set(cell_temp_dc=[dc] * 4)
        rig.run(45_000)
        now = report(rig)
        saw(f"cells at {dc / 10} °C", ccl_ma=now["ccl_ma"], protections=now["protections"],
            alarms=now["alarms"])
        assert (now["ccl_ma"] > 0) == offered
        assert ("PRO-09" in now["protections"]) == (not offered)


@BOTH
@pytest.mark.req("PRO-01")
def test_over_voltage_is_released_by_voltage_and_charge_not_by_one_of_them(rig, target, saw):
    opened(rig, target, soc=0.99)
    rig.set(cell_mv={i: 3610 for i in ALL_CELLS})
    rig.run(6000)
    assert "PRO-01" in report(rig)["protections"]
    assert report(rig)["soc_cpct"] == 10_000            # full: an over-voltage says so
    for mv in range(3605, 3285, -5):                    # they come to rest
        rig.set(cell_mv={i: mv for i in ALL_CELLS})
        rig.run(1000)
    rig.run(4000)
    now = report(rig)
    saw("3290 mV, and full", protections=now["protections"], soc_cpct=now["soc_cpct"])
    assert "PRO-01" in now["protections"]
    rig.set(load_ma=2000)
    rig.run(3000)
    now = report(rig)
    saw("2 A of discharge", protections=now["protections"])
    assert now["protections"] == []


@BOTH
@pytest.mark.req("DER-04", "PRO-05", "PRO-07")
def test_ratings_that_are_no_trip(rig, target, saw):
    """95 % DOD is no cut-off unless the owner sets one; b1-5.1-48 trips by the table."""
    opened(rig, target)
    assert rig.param("min_soc_cpct")["value"] == 0
    rig.run(40_000)
    assert report(rig)["dcl_ma"] >= 50_000
    rig.param("min_soc_cpct", 5000)                     # the guess of a first start is 40 %
    rig.run(60_000)
    now = report(rig)
    saw("min_soc_cpct 50 % at 40 %", dcl_ma=now["dcl_ma"], reasons=now["limit_reasons"],
        fets=closed(rig))
    assert now["dcl_ma"] == 0 and closed(rig) == ["chg", "dsg"]
    rig.close()
    opened(rig, target, profile="b1-5.1-48")
    wanted = {"chg_oc_alarm_ma": 105_000, "chg_oc_trip_ma": 110_000, "dsg_oc1_trip_ma": 110_000,
              "dsg_oc2_trip_ma": 150_000, "warn_dsg_ma": 61_000}
    found = {name: rig.param(name)["value"] for name in wanted}
    saw("b1-5.1-48", **found)
    assert all(abs(found[name] - wanted[name]) <= 1500 for name in wanted), found


@BOTH
@pytest.mark.req("COM-01")
def test_rs485_to_the_inverter_starts_at_9600(rig, target, saw):
    """144 characters of the answer to 42 take 150 ms there."""
    ports = rig.open(board=target, plant={"soc": 0.6})["ports"]
    rig.run(4000)
    line = os.open(ports["pcs"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        os.write(line, b"~20024642E00202FD33\r")
        heard = []
        for _ in range(13):
            rig.run(20)
            try:
                heard.append(len(os.read(line, 4096)))
            except BlockingIOError:
                heard.append(0)
    finally:
        os.close(line)
    saw("characters in each 20 ms", heard=heard)
    assert sum(heard) == 144                           # 19.2 of 10 bits in 20 ms, never more
    assert all(sum(heard[:i]) <= 20 * i for i in range(len(heard) + 1))


@BOTH
@pytest.mark.req("COM-09", "LED-04")
def test_a_fleet_never_waits_for_a_nearly_empty_pack(rig, target, saw):
    """The group that can deliver most begins; the master says who waits for what."""
    rig.fleet(modules=2, board=target, plant=[{"soc": 0.02}, {"soc": 0.9}])
    for _ in range(30):
        rig.run(1000)
        modules = rig.get_all()["modules"]
        fets = [[name for name in ("chg", "dsg") if m["wire"]["fets"][name]] for m in modules]
        if fets[1] == ["chg", "dsg"]:
            break
    rig.run(5000)
    fets = [[name for name in ("chg", "dsg") if m["wire"]["fets"][name]]
            for m in rig.get_all()["modules"]]
    told = rig.module(0).command_text("fleet").splitlines()
    saw.lines.append(f"FETs {fets}; " + " | ".join(told))
    assert fets == [[], ["chg", "dsg"]]
    assert "V from its cells" in told[1] and told[2].endswith(";")
