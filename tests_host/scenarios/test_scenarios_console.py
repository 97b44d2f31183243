"""The console on the debug port and on USB, as a person and as readers of Pylontech's find it."""

import os
import random
import re
import time

import pylon_readers as readers
import pytest
import serial

WORDS = ("status", "cells", "limits", "why", "power", "bus", "codes", "afe", "version", "help",
         "params", "get cvl_mv", "clock", "profile", "pin", "key", "log 20", "counters",
         "health", "errors", "update", "pwr", "pwr 1", "bat", "bat 1", "soh 1", "stat",
         "stat 1", "info", "getpwr", "unit", "time", "log", "tasks")


def up(rig, target, **plant):
    answer = rig.open(target, plant={"soc": 0.6, "imbalance_mv": 12, **plant})
    rig.run(6000)
    return answer


class Terminal:
    """A plain terminal program: pyserial on a pseudo-terminal or socket, no more."""

    def __init__(self, rig, url):
        self.rig = rig
        self.port = serial.serial_for_url(url, 115_200, timeout=0)

    def say(self, data, most_ms=15_000):
        """Send *data*; what comes back up to the prompt."""
        self.port.reset_input_buffer()
        self.port.write(data.encode() if isinstance(data, str) else data)
        heard = b""
        for _ in range(most_ms // 20):
            time.sleep(0.001)
            self.rig.run(20)
            heard += self.port.read(65536)
            if heard.endswith(b"\rpylon>") and b"\n" in heard[:-7]:
                return heard
        raise AssertionError("no prompt after %r: %r" % (data, heard[-200:]))


# -- readers of the Pylontech console ------------------------------------------------------------


@pytest.fixture
def charging(rig, target):
    """A pack that is charged at 20 A; its terminal."""
    answer = up(rig, target)
    rig.set(charger_mv=56_000, charger_ma=20_000)
    rig.run(15_000)
    return Terminal(rig, answer["ports"]["debug"])


def near(text, value, most):
    return abs(int(text) - value) <= most


@pytest.mark.req("COM-10")
@pytest.mark.targets("host", "unix")
def test_pwr_by_tokens_and_by_columns_is_the_report(rig, target, charging):
    raw = charging.say("pwr\n")
    report = rig.get()["report"]
    readers.body(raw, "pwr")
    by_token = readers.tokens(raw)
    assert list(by_token) == [1]
    row = by_token[1]
    assert near(row["volt"], report["stack_mv"], 60)
    assert near(row["curr"], report["current_ma"], 300)
    assert near(row["vlow"], min(report["cell_mv"]), 6)
    assert near(row["vhigh"], max(report["cell_mv"]), 6)
    temps = report["temp_dc"]
    assert near(row["tlow"], 100 * min(temps), 500) and near(row["thigh"], 100 * max(temps), 500)
    assert near(row["tempr"], 100 * report["ambient_dc"], 500)
    assert near(row["mos"], 100 * report["mos_dc"], 500)
    assert near(row["soc"], int(report["soc"]), 1)
    assert (row["base"], row["volt_st"], row["curr_st"], row["temp_st"]) == (
        "Charge", "Normal", "Normal", "Normal")
    by_column = readers.columns(raw)
    assert list(by_column) == [1]
    fields = by_column[1]
    assert [fields[name] for name in ("Volt", "Curr", "Tempr", "Tlow", "Thigh", "Vlow", "Vhigh")] \
        == [str(row[name]) for name in ("volt", "curr", "tempr", "tlow", "thigh", "vlow", "vhigh")]
    assert fields["Base.St"] == "Charge" and fields["Coulomb"] == "%d%%" % row["soc"]
    assert fields["B.V.St"] == fields["B.T.St"] == "Normal"
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", fields["Time"])
    heading = readers.headed(readers.body(raw, "pwr"))
    assert heading[0]["MosTempr"] == str(row["mos"]) and heading[0]["M.T.St"] == "Normal"
    assert [r["Base.St"] for r in heading[1:]] == ["Absent"] * 7


@pytest.mark.req("COM-10")
@pytest.mark.targets("host", "unix")
def test_bat_soh_and_getpwr_have_each_cell_of_the_report(rig, target, charging):
    bat = readers.bat_rows(readers.body(charging.say("bat 1\n"), "bat 1"))
    report = rig.get()["report"]
    assert [int(row[0]) for row in bat] == list(range(16))
    for row, cell_mv in zip(bat, report["cell_mv"]):
        assert near(row[1], cell_mv, 6) and near(row[2], report["current_ma"], 300)
        assert row[4:8] == ["Charge", "Normal", "Normal", "Normal"]
        assert near(row[8].rstrip("%"), int(report["soc"]), 1)
        assert near(row[9].split()[0], report["remaining_mah"], 500) and "mAH" in row[9]
        assert row[10] == "N"
    assert readers.bat_rows(readers.body(charging.say("bat\r"), "bat"))[0][0] == "0"
    soh = readers.body(charging.say("soh 1\r\n"), "soh 1")
    assert soh[0].split() == ["Power", "1"]
    for i, row in enumerate(readers.headed(soh[1:])):
        assert int(row["Battery"]) == i and row["SOHStatus"] == "Normal"
        assert near(row["Voltage"], report["cell_mv"][i], 8)
    getpwr = readers.body(charging.say("getpwr 1\n"), "getpwr 1")
    first = [part.strip() for part in getpwr[0].split("#")]
    assert near(first[0], report["stack_mv"], 60) and near(first[1], report["current_ma"], 300)
    assert near(first[3], report["remaining_mah"], 500) and first[4] == "Charge"
    cells = [line.split("#")[0] for line in getpwr[1:17]]
    assert all(near(text, cell_mv, 8) for text, cell_mv in zip(cells, report["cell_mv"]))


@pytest.mark.req("COM-10")
@pytest.mark.targets("host", "unix")
def test_the_words_of_names_and_values(rig, target, charging):
    one = readers.pairs(readers.body(charging.say("pwr 1\n"), "pwr 1"))
    report = rig.get()["report"]
    value, unit = one["Voltage"].split()
    assert near(value, report["stack_mv"], 60) and unit == "mV"
    value, unit = one["Current"].split()
    assert near(value, report["current_ma"], 300) and unit == "mA"
    assert near(one["Coulomb"].split()[0], int(report["soc"]), 1)
    assert one["Total Coulomb"].split() == [str(report["full_mah"]), "mAH"]
    assert (one["Basic Status"], one["Heater Status"]) == ("Charge", "OFF")
    assert one["Bat Events"] == one["Power Events"] == one["System Fault"] == "0x0"
    stat = readers.pairs(readers.body(charging.say("stat 1\n"), "stat 1"))
    assert int(stat["CYCLE Times"]) == report["cycles"] and int(stat["Bat OV Times"]) == 0
    assert int(stat["Reset Times"]) == 1 and int(stat["SOH"]) == report["soh_pct"]
    assert near(stat["Pwr Coulomb"], 3600 * report["remaining_mah"], 3600 * 500)
    info = readers.pairs(readers.body(charging.say("info\n"), "info"))
    assert (info["Device address"], info["Specification"], info["Cell Number"]) == (
        "1", "51V/100AH", "16")
    assert info["Barcode"].startswith("PC") and info["Console Port rate"] == "115200"
    assert info["Max Dischg Curr"] == "-50000mA"
    rtc = readers.body(charging.say("time\n"), "time")
    assert re.fullmatch(r"RTC 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", rtc[0])
    log = readers.log_records(readers.body(charging.say("log\n"), "log"))
    events = rig.events(0)["events"]
    assert int(log[0]["Index"]) == events[-1]["seq"] and set(log[0]) == {
        "Index", "Time", "ModID", "Code", "Info"}
    unit = readers.body(charging.say("unit\n"), "unit")
    assert unit[2].split()[0] == "1" and near(unit[2].split()[1], report["stack_mv"], 60)


@pytest.mark.req("COM-10")
@pytest.mark.targets("host", "unix")
def test_alarms_and_protections_show_in_their_columns(rig, target):
    terminal = Terminal(rig, up(rig, target)["ports"]["debug"])
    rig.set(cell_mv={"3": 3640})
    rig.run(8000)
    row = readers.tokens(terminal.say("pwr\n"))[1]
    assert row["base"] == "SysError"
    bat = readers.bat_rows(readers.body(terminal.say("bat 1\n"), "bat 1"))
    assert bat[3][5] == "High" and bat[4][5] == "Normal"
    assert int(readers.pairs(readers.body(terminal.say("stat\n"), "stat"))["Bat OV Times"]) == 1


@pytest.mark.req("COM-10")
@pytest.mark.targets("host", "unix")
def test_what_is_wrong_is_answered_as_a_pack_of_pylontech_does(rig, target):
    terminal = Terminal(rig, up(rig, target)["ports"]["debug"])
    raw = terminal.say("totalcoul\n")
    assert raw == (b"totalcoul\n\r@\r\r\nUnknown command 'totalcoul' - try 'help'\r\n\r$$\r\n"
                   b"\rpylon>")
    for word in ("pwr 2", "bat 99", "soh x", "info 0", "stat 1 2", "time 2026 13 1 0 0 0"):
        raw = terminal.say(word + "\n")
        assert b"Invalid command or fail to excute!" in raw and raw.endswith(readers.END)
        assert b"completed" not in raw
    assert terminal.say("\n") == b"\n\rpylon>"


@pytest.mark.req("COM-10")
@pytest.mark.targets("host")
def test_a_master_shows_all_its_packs(rig, target):
    rig.fleet(modules=3, board=target, plant=[{"soc": 0.5}, {"soc": 0.5}, {"soc": 0.5}])
    rig.run(15_000)
    said = rig.module(0).console("pwr")
    raw = said.replace("\n", "\r\r\n").encode()
    rows = readers.tokens(raw)
    assert sorted(rows) == [1, 2, 3]
    assert rig.module(0).console("bat 3").count("mAH") == 16
    assert "together   3 packs" in rig.module(0).console("bus")
    assert "serial " in rig.module(0).console("bus 2")


# -- a person ------------------------------------------------------------------------------------


@pytest.mark.req("COM-04", "COM-10")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("port", ("debug", "usb"))
def test_every_word_answers_on_each_port(rig, target, port):
    answer = up(rig, target)
    ends = [Terminal(rig, answer["ports"][port])]
    if port == "debug":
        ends.append(Terminal(rig, answer["urls"][port]))
    for terminal in ends:
        for word in WORDS:
            said = terminal.say(word + "\r")
            assert said.startswith(word.encode() + b"\n\r") and said.endswith(b"\rpylon>"), word
    report = rig.get()["report"]
    assert report["task_errors"] == 0 and report["faults"] == []


@pytest.mark.req("COM-10", "PRO-01")
@pytest.mark.targets("host", "unix")
def test_why_says_what_happened_where_and_what_releases_it(rig, target):
    up(rig, target)
    assert "charging is possible" in rig.console("why")
    rig.set(cell_mv={"3": 3640}, charger_mv=57_000, charger_ma=5_000)
    rig.run(8000)
    said = rig.console("why")
    assert "charging is blocked:" in said and "discharging is possible" in said
    assert re.search(r"protection: cell over-voltage \(PRO-01\); now 3\.6\d\d V", said)
    assert "it releases at or below 3.300 V" in said and "discharge current releases it" in said
    assert re.search(r"last cause: cell over-voltage \(PRO-01\), cell 3: 3\.6\d\d V, "
                     r"limit 3\.600 V", said)
    assert "protection   cell over-voltage (PRO-01)" in rig.console("status")
    assert re.search(r"   3  3\.6\d\d V  #+\.*  highest", rig.console("cells"))
    assert "protection: cell over-voltage (PRO-01), cell 3" in rig.console("log 20")


@pytest.mark.req("COM-10", "SAF-05")
@pytest.mark.targets("host")
def test_why_says_that_a_fault_waits_for_a_person(rig, target):
    up(rig, target)
    rig.set(load_ma=20_000, fault={"ntc_open": 1})
    rig.run(5000)
    said = rig.console("why")
    assert "discharging is blocked:" in said
    assert "(MEA-03-ntc); it ends with its cause" in said


@pytest.mark.req("COM-10", "PAR-03", "PAR-04")
@pytest.mark.targets("host", "unix")
def test_values_with_units_and_sets_of_several(rig, target):
    up(rig, target)
    for line, words in (
            ("set cell_ov_trip_mv 3.6", "counts whole mV: write the unit behind 3.6 (for example "
                                        "3600, 3600mV or 3.6V)"),
            ("set cell_ov_trip_mv 3", "0.003 V is outside 3.000 V to 3.700 V; a plain number "
                                      "counts mV"),
            ("set cell_ov_trip_mv 3.6A", "A is no such unit"),
            ("set cell_ov_trip_mv 3.60005V", "is finer than 1 mV"),
            ("set cell_ov_trip_mv x", "x is no number"),
            ("set cell_ov_trip_mv", "which value?"), ("set no_such 1", "no parameter is called"),
            ("set", "name a setting"), ("get", "name a setting"),
            ("set cell_ov_alarm_mv 3.65V", "must be below cell_ov_trip_mv"),
            ("restore", "restore all"), ("params xyz", "has xyz in it")):
        assert words in rig.console(line), line
    assert rig.param("cell_ov_alarm_mv")["value"] == 3500
    said = rig.console("set chg_ot_trip_dc 55 \u00b0C chg_ot_alarm_dc=50C chg_ot_release_dc = 48C "
                       "temp_delay_ms 2.5s ov_release_soc_cpct 95%")
    assert "chg_ot_trip_dc = 550 dC (55.0 \u00b0C), was 580 dC (58.0 \u00b0C)" in said
    assert "stored" in said
    assert [rig.param(name)["value"] for name in
            ("chg_ot_trip_dc", "chg_ot_alarm_dc", "chg_ot_release_dc", "temp_delay_ms",
             "ov_release_soc_cpct")] == [550, 500, 480, 2500, 9500]
    assert "550 dC (55.0 \u00b0C)" in rig.console("get chg_ot_trip_dc")
    assert "chg_ot_trip_dc" in rig.console("params PRO-10")
    rig.console("restore chg_ot_trip_dc")
    assert rig.param("chg_ot_trip_dc")["value"] == 580
    rig.console("restore all")
    assert rig.param("temp_delay_ms")["value"] == 3000
    rig.run(2000)
    assert rig.console("save") == "done"


@pytest.mark.req("SAF-11")
@pytest.mark.targets("host", "unix")
def test_without_the_pin_the_console_only_answers_questions(rig, target):
    up(rig, target)
    rig.console("pin set 4711")
    for word in WORDS:
        assert "locked:" not in rig.console(word), word
    for line in ("set cvl_mv 55V", "save", "restore all", "restore cvl_mv", "clear", "unlock 5",
                 "sleep", "prompt", "reset", "deep_try", "clock 2027-01-01T00:00:00",
                 "profile b1-5.1-48", "key off", "time 2027 1 1 0 0 0"):
        assert "give the PIN first" in rig.console(line), line
    assert "prompt` stands alone" in rig.console("prompt now")
    assert rig.param("cvl_mv")["value"] == 55_600 and rig.get()["report"]["faults"] == []
    assert "wrong PIN, 4 tries left" in rig.console("pin 1234")
    assert rig.console("pin 4711").startswith("open for ")
    assert "cvl_mv = 55000 mV" in rig.console("set cvl_mv 55V")
    rig.console("pin lock")
    assert "give the PIN first" in rig.console("set cvl_mv 54V")
    kinds = [e["event"] for e in rig.events()["events"]]
    assert kinds.count("pin_wrong") == 1 and {"pin_set", "pin_open"} <= set(kinds)


@pytest.mark.req("COM-10", "COM-06")
@pytest.mark.targets("host", "unix")
def test_frames_are_answered_in_the_middle_of_a_long_answer(rig, target):
    answer = up(rig, target)
    terminal = Terminal(rig, answer["ports"]["debug"])
    terminal.port.write(b"params\r")
    rig.run(300)
    for _ in range(5):
        assert rig.get()["report"]["state"] == "standby"    # asked by frames on the same port
        rig.run(100)
    terminal.port.write(b"~250046900000FDA6\r")                 # PACE: how many packs
    heard = b""
    for _ in range(500):
        rig.run(20)
        time.sleep(0.001)
        heard += terminal.port.read(65536)
        if heard.endswith(b"\rpylon>"):
            break
    assert heard.count(b"cal_temp5_offset_dc") == 1 and b"~25004600" in heard
    terminal.port.write(b"params\r")
    rig.run(300)
    assert terminal.say(b"\x03").endswith(b"^C\r\n\rpylon>")


@pytest.mark.req("COM-06", "SAF-10", "SAF-11")
@pytest.mark.targets("host", "unix")
def test_random_and_mutated_lines_change_nothing_unasked(rig, target):
    """Both ports at once; the PIN is set, so nothing that comes may change anything."""
    up(rig, target)
    rig.set(load_ma=10_000)
    rig.run(3000)
    rig.console("pin set 90210")
    before = {name: rig.param(name)["value"] for name in
              ("cvl_mv", "cell_ov_trip_mv", "nominal_ma", "bench_enable")}
    late = late_scans(rig)
    lines = LINES if target == "host" else LINES_ON_UNIX
    at_ms = rig.get()["t_ms"]
    one = AnyLines(2026)
    sent = 0
    while sent < lines:
        for _ in range(20):
            for port in ("debug", "usb"):
                for _ in range(3):
                    rig._to_pack[port] += one.line()
                    sent += 1
            rig.run(100)
        for port in ("debug", "usb"):
            rig._to_pack[port] += b"\x03"
        rig.run(1500)                           # a frame that was begun is over
        rig._to_pack["debug"] += b"\x03"
        rig.run(200)
        assert rig.console("status").startswith("packctl ")
    report = rig.get()["report"]
    assert report["task_errors"] == 0 and report["faults"] == []
    assert report["state"] == "discharging" and late_scans(rig) == late
    assert before == {name: rig.param(name)["value"] for name in before}
    edges = [e for e in rig.trace(at_ms)["edges"] if e[1] in ("fets.chg", "fets.dsg")]
    assert edges == []
    kinds = {e["event"] for e in rig.events(0)["events"]}
    assert not kinds & {"parameter", "clear", "profile", "task_error", "reset", "ports_unlocked"}


LINES = int(os.environ.get("PACKCTL_CONSOLE_LINES", "1200"))    # 20 000 take two minutes
LINES_ON_UNIX = 240


class AnyLines:
    """Lines of words, of words with bytes changed, of anything, and pieces of frames."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._known = [word.encode() for word in WORDS] + [
            b"set cvl_mv 55V", b"set cell_ov_trip_mv 3.65V", b"restore all", b"clear", b"prompt",
            b"unlock 10", b"clock 2030-01-01T00:00:00", b"profile b1-5.1-48", b"reset", b"sleep",
            b"set bench_enable=1", b"time 2030 1 1 1 1 1", b"\x1b[A\x1b[A\x1b[B", b"get \t\t",
            b"pin 1234", b"pin lock", b"~250046900000FDA6", b"\xb5\x01\x01\x03\x00\x00"]

    def line(self):
        rng = self._random
        kind = rng.randrange(8)
        line = bytearray(rng.choice(self._known))
        if kind == 0:
            line = bytearray(rng.randbytes(rng.randrange(1, 40)))
        elif kind == 1:
            line += b" " + rng.choice(self._known)
        elif kind >= 4:
            for _ in range(rng.randrange(1, 4)):
                line[rng.randrange(len(line))] = rng.randrange(256)
        return bytes(line) + rng.choice((b"\r", b"\n", b"\r\n"))


# -- on the emulated board -----------------------------------------------------------------------


def late_scans(rig):
    """Steps of the control task that ended too late, since start."""
    row = [line.split() for line in rig.console("tasks").splitlines() if "control" in line][0]
    assert row[0] == "control" and row[2] == row[4] == "ms"
    return int(row[5])


@pytest.mark.req("COM-04", "COM-10")
@pytest.mark.targets("rp2040")
def test_a_plain_terminal_on_rs232_and_on_usb(rig, target):
    answer = up(rig, target)
    for port in ("debug", "usb"):
        terminal = Terminal(rig, answer["ports"][port])
        terminal.say("\r")
        late = late_scans(rig)
        for word in ("status", "cells", "why", "help", "params PRO-01", "log 5", "set cvl_mv 3.6",
                     "bat 1"):
            said = terminal.say(word + "\r")
            assert said.startswith(word.encode() + b"\n\r") and said.endswith(b"\rpylon>"), word
        row = readers.tokens(terminal.say("pwr\n"))[1]
        report = rig.get()["report"]
        assert abs(row["volt"] - report["stack_mv"]) < 100 and row["base"] == "Idle"
        assert late_scans(rig) == late and report["task_errors"] == 0


@pytest.mark.req("REC-05")
@pytest.mark.targets("host", "unix")
def test_health_says_what_is_known_and_how_well(rig, target):
    up(rig, target)
    rig.param("made_day", 2192)
    said = dict(re.split(r"  +", line, maxsplit=1)
                for line in rig.console("health").split("\n"))
    assert said["manufactured"] == "2026-01-01" and said["put into service"] == "not known"
    assert said["round-trip efficiency"] == "not known"
    assert re.match(r"100000 mAh, off by \d+ mAh at most", said["remaining capacity"]), said
    assert said["deep discharges"] == "0"
    for _ in range(5):                              # steps of the current
        rig.set(current_ma=-40_000)
        rig.run(1000)
        rig.set(current_ma=0)
        rig.run(1000)
    said = rig.console("health")
    uohm = float(re.search(r"ohmic resistance +([0-9.]+) m", said)[1]) * 1000
    assert 6500 < uohm < 10_500
    assert re.search(r"power capability +2\d{3} W, off by \d+ W at most", said), said
