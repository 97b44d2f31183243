"""packctl as a user types it: every command and every error, against a simulated pack."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import tty
import urllib.request

import pytest
from typer.testing import CliRunner

import packctl
from packctl import errors, link
from packctl.cli.app import app
from rig import Rig

TOOLS = pathlib.Path(packctl.__file__).resolve().parent.parent


class Answer:
    """What a command came to."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


def run(port, *words):
    """packctl in this process; the port is a name, or None for none."""
    result = CliRunner().invoke(app, list(words), env={"PACKCTL_PORT": port, "COLUMNS": "150",
                                                      "PACKCTL_TIMEOUT": "5"},
                                prog_name="packctl")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def bench():
    """A simulated pack that plays; rig.port, rig.url: its debug port."""
    with Rig() as rig:
        opened = rig.open("host", plant={"soc": 0.55}, spread=0)
        rig.run(8_000)
        rig.play(5)
        rig.port, rig.url = opened["ports"]["debug"], opened["urls"]["debug"]
        yield rig


@pytest.fixture
def ok(bench):
    """A command that has to end well; its answer."""
    def call(*words):
        answer = run(bench.port, *words)
        assert answer.code == 0, answer.out + answer.err
        return answer
    return call


# ---- looking -------------------------------------------------------------------------------


@pytest.mark.req("HST-02", "COM-04")
def test_status_says_what_the_pack_does(ok):
    text = ok("status", "--cells").out
    assert "standby" in text and "±" in text and "charge FET closed" in text
    assert len(re.findall(r"cell \d+ +3\.\d{3} V", text)) == 16
    data = ok("status", "--json").json
    assert data["state"] == "standby" and len(data["cells_v"]) == 16
    assert data["hello"]["product"] == "packctl" and data["report"]["pack_mv"] > 40_000
    assert run(None, "--port", "/dev/none", "status").code == errors.NoSuchPort.exit_code


def test_a_port_before_the_command_is_the_port_whatever_the_environment_names(bench):
    """Else a set would reach another pack than the one that was typed."""
    assert run("/dev/none", "-p", bench.port, "status").code == 0
    assert run(bench.port, "-p", "/dev/none", "status").code == errors.NoSuchPort.exit_code
    assert run("/dev/none", "-p", "/dev/none2", "status", "-p", bench.port).code == 0


@pytest.mark.req("HST-02")
def test_what_is_wrong_is_told_in_words(bench, ok):
    bench.pause()
    bench.set(cell_mv={3: 3680})
    bench.run(6_000)
    bench.play(5)
    text = ok("status").out
    assert "cell over-voltage (PRO-01)" in text and "charge FET open" in text
    ends = "it releases at or below 3.300 V and a state of charge below 96.00 %; " \
           "discharge current releases it at once"
    assert ends in text
    assert ok("status", "--json").json["protections"] == [
        {"id": "PRO-01", "words": "cell over-voltage", "ends": ends}]
    why = ok("why").out
    assert "cell over-voltage (PRO-01), cell 3" in why and "limit 3.6" in why
    assert "held off: charge" in ok("limits").out
    log = ok("log", "30").out
    assert re.search(r"trip: cell over-voltage \(PRO-01\), cell 3, 3\.\d+ V, limit 3\.6 V", log)
    bench.set(cell_mv={3: None})


@pytest.mark.req("HST-02", "HST-05")
def test_the_other_questions_are_answered(ok):
    assert "discharge" in ok("limits").out
    assert "low battery SOC" in ok("codes", "54").out
    assert "am5000" in ok("profile").out
    assert ok("bus", "--json").json[0]["address"] == 1
    assert "SOC" in ok("bus").out
    names = ok("bus", "--names").out
    assert ("can_variant 17  Must: no frames of it are published, so as Pylontech 1.2 (PACE 0B)"
            in names)
    assert "pcs_protocol  4  Voltronic Modbus (PACE 03)" in names
    assert isinstance(ok("ports", "--json").json, list)


@pytest.mark.req("HST-02")
def test_monitor_and_plot_log_values(ok, tmp_path):
    path = tmp_path / "p.csv"
    ok("monitor", "--csv", str(path), "-n", "3", "--every", "0.1")
    lines = path.read_text().splitlines()
    assert len(lines) == 4 and lines[0].startswith("time,state,soc_pct,soc_bound_pct,pack_v")
    assert ok("monitor", "-n", "1").out.startswith("time=")
    assert "state" in ok("monitor", "-n", "1", "--json").json
    assert "current" in ok("plot", str(path)).out
    ok("plot", str(path), "--svg", str(tmp_path / "p.svg"))
    assert (tmp_path / "p.svg").read_text().startswith("<svg")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert run(None, "plot", str(tmp_path / "x.csv")).code == errors.BadFile.exit_code


# ---- setting -------------------------------------------------------------------------------


@pytest.mark.req("HST-02", "PAR-01")
def test_parameters_are_found_read_set_and_kept(ok, tmp_path):
    assert "PRO-01" in ok("params", "cell_ov").out
    assert "cell_ov_alarm_mv = 3480 mV (3.48 V), was 3500 mV (3.5 V)" in ok(
        "set", "cell_ov_alarm_mv", "3.48V", "bal_start_mv=3450").out
    assert ok("get", "cell_ov_alarm_mv", "--json").json[0]["value"] == 3480
    assert "bal_start_mv" in ok("params", "--changed").out
    assert "stored" in ok("save").out
    file = str(tmp_path / "b.json")
    assert "parameters of pack" in ok("backup", file).out
    assert "all parameters" in ok("restore", "--yes").out
    assert ok("get", "cell_ov_alarm_mv", "--json").json[0]["value"] == 3500
    assert "2 parameters set" in ok("restore", file, "--yes").out
    assert ok("get", "1", "--json").json[0]["value"] == 3480
    ok("restore", "--yes")


@pytest.mark.req("HST-02", "PAR-03")
def test_a_set_that_is_wrong_is_refused_with_the_reason(bench):
    wrong = run(bench.port, "set", "cell_ov_trip_mv", "3.6")
    assert wrong.code == errors.WrongUnit.exit_code == 23
    assert "Did you mean 3600, which is 3.6 V?" in wrong.err
    refused = run(bench.port, "set", "cell_ov_alarm_mv", "3650")
    assert refused.code == errors.Refused.exit_code == 20 and "must be below" in refused.err
    unknown = run(bench.port, "get", "cell_ov_trip")
    assert unknown.code == errors.NoSuchParameter.exit_code == 22
    assert "did you mean cell_ov_trip_mv" in unknown.err
    assert run(bench.port, "set", "cell_ov_alarm_mv").code == 23
    as_json = run(bench.port, "set", "cell_ov_trip_mv", "3.6", "--json")
    assert as_json.json["kind"] == "WrongUnit" and as_json.json["exit_code"] == 23


@pytest.mark.req("HST-02", "MEA-04", "REC-01", "BUZ-01")
def test_clock_buzzer_and_calibration(ok, bench):
    ok("clock", "2026-05-17T12:30:00+02:00")
    assert ok("clock").out.startswith("2026-05-17T10:3")
    assert run(bench.port, "clock", "noon").code == 23
    assert ok("buzzer", "on", "--json").json == {"buzzer": True}
    assert "silent" in ok("buzzer", "off").out
    assert "cal_cell3_offset_mv = " in ok("calibrate", "cell3", "3.295V", "--yes").out
    broken = run(bench.port, "calibrate", "cell3", "3.4V", "--yes")
    assert broken.code == 23 and "broken board" in broken.err
    assert "nothing" not in run(bench.port, "calibrate", "current", "-20A", "--yes").out
    ok("set", "cal_cell3_offset_mv", "-3")
    ok("restore", "--yes")


@pytest.mark.req("HST-02", "REC-03")
def test_a_log_is_exported_and_replayed(ok, tmp_path):
    file = str(tmp_path / "log.json")
    assert "records are in" in ok("log", "--out", file).out
    assert "0 contradict" in ok("replay", file).out
    assert ok("log", "0", "--json").json[0]["event"] == "boot"
    (tmp_path / "x.json").write_text("[1]")
    assert run(None, "replay", str(tmp_path / "x.json")).code == errors.BadFile.exit_code


@pytest.mark.req("HST-02", "SAF-11")
def test_a_pin_is_asked_for_and_taken(bench):
    assert run(bench.port, "status").code == 0
    with packctl.connect(bench.port) as pack:
        pack.command("pin set 4711")
        pack.command("pin lock")
    try:
        needed = run(bench.port, "buzzer", "on")
        assert needed.code == errors.PinNeeded.exit_code == 21 and "--pin" in needed.err
        assert run(bench.port, "status").code == 0          # reading needs none
        wrong = run(bench.port, "buzzer", "on", "--pin", "1111")
        assert wrong.code == 21 and "was not taken" in wrong.err
        assert run(bench.port, "buzzer", "off", "--pin", "4711").code == 0
        assert run(bench.port, "--pin", "4711", "buzzer", "off").code == 0
    finally:
        with packctl.connect(bench.port, pin="4711") as pack:
            pack.command("pin off")


# ---- errors of the port --------------------------------------------------------------------


@contextlib.contextmanager
def peer(answer):
    """A pseudo-terminal whose other side says what *answer(data)* gives for what it hears."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    stopped = threading.Event()

    def talk():
        while not stopped.is_set():
            try:
                data = os.read(master, 4096)
            except BlockingIOError:
                time.sleep(0.005)
                continue
            except OSError:
                return
            said = answer(data)
            if said:
                os.write(master, said)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        stopped.set()
        thread.join()
        for fd in (master, slave):
            with contextlib.suppress(OSError):
                os.close(fd)


def frame_of(data, version=1, seq=None, kind=None, payload=b"proto=1"):
    """An answer to the request in *data*, by hand."""
    body = bytes((version, data[2] if seq is None else seq, data[3] | 0x80 if kind is None
                  else kind, len(payload), 0)) + payload
    return b"\xb5" + body + link.crc16(body).to_bytes(2, "little")


def status_on(port):
    return run(port, "status", "--timeout", "0.4")


@pytest.mark.req("HST-02")
def test_a_port_that_is_not_there_is_told_with_those_that_are(monkeypatch):
    from packctl import ports
    monkeypatch.setattr(ports, "list_ports", lambda: [
        ports.PortInfo("COM3", "USB serial", True), ports.PortInfo("COM1", "", False)])
    gone = status_on("/dev/ttyUSB77")
    assert gone.code == 10
    assert gone.err == ("packctl: There is no port /dev/ttyUSB77. There are: COM3 (USB serial), "
                        "COM1.\n")
    monkeypatch.setattr(ports, "list_ports", list)
    unsaid = status_on("")
    assert unsaid.code == 10 and "--port" in unsaid.err and "no serial port" in unsaid.err
    assert status_on("socket://127.0.0.1:1").code == 10
    assert status_on("sokket://x").code == 10
    assert status_on("/dev/null").code == 10


@pytest.mark.req("HST-02")
def test_a_port_in_use_is_told(bench):
    with packctl.connect(bench.port):
        busy = status_on(bench.port)
    assert busy.code == 11 and "in use by another program" in busy.err
    assert status_on(bench.port).code == 0


@pytest.mark.req("HST-02")
def test_silence_noise_and_text_are_told_apart():
    with peer(lambda data: b"") as port:
        silent = status_on(port)
    assert silent.code == 14 and "is the pack on" in silent.err
    with peer(lambda data: b"\xf8\x80\x00\xff\x1c\xe0") as port:
        noise = status_on(port)
    assert noise.code == 15 and "115200 bit/s" in noise.err
    with peer(lambda data: b"\r\n>>> ") as port:
        text = status_on(port)
    assert text.code == 14 and "MicroPython prompt" in text.err


@pytest.mark.req("HST-02")
def test_another_version_is_told():
    with peer(lambda data: frame_of(data, version=2)) as port:
        other = status_on(port)
    assert other.code == 16 and "version 2" in other.err
    with peer(lambda data: frame_of(data, payload=b"proto=7\nversion=9.1")) as port:
        newer = status_on(port)
    assert newer.code == 16 and "firmware 9.1" in newer.err and "version 7" in newer.err


@pytest.mark.req("HST-02")
def test_two_programs_on_one_port_are_told():
    with peer(lambda data: frame_of(data, seq=(data[2] + 40) % 128)) as port:
        two = status_on(port)
    assert two.code == 18 and "Another program talks to this pack" in two.err


@pytest.mark.req("HST-02")
def test_a_cable_that_is_pulled_is_told():
    server = socket.create_server(("127.0.0.1", 0))

    def talk():
        client, _ = server.accept()
        data = client.recv(100)
        client.sendall(frame_of(data))
        client.recv(100)
        client.close()

    thread = threading.Thread(target=talk)
    thread.start()
    gone = status_on("socket://127.0.0.1:%d" % server.getsockname()[1])
    thread.join()
    server.close()
    assert gone.code == 17 and "in the middle of the work" in gone.err
    master, slave = os.openpty()
    tty.setraw(slave)
    port = link.open_serial(os.ttyname(slave))
    os.close(slave)
    os.close(master)
    with pytest.raises(errors.Unplugged, match="cable"):
        for _ in range(3):
            port.write(b"x")
            port.read(1)
    port.close()


def test_nonsense_is_an_error_of_the_link_and_never_a_traceback():
    kinds = {1: b"proto=1", 3: b"", 2: b"\0nonsense"}
    with peer(lambda data: frame_of(data, payload=kinds.get(data[3], b"\xff"))) as port:
        nonsense = status_on(port)
    assert nonsense.code == 13 and nonsense.err.startswith("packctl: ")


# ---- as a process, and as a library --------------------------------------------------------


def process(*words, **options):
    environment = {**os.environ, "PYTHONPATH": str(TOOLS), "COLUMNS": "100",
                   "PACKCTL_TIMEOUT": "5"}
    environment.update(options.pop("env", {}))
    return subprocess.run([sys.executable, "-m", "packctl", *words], capture_output=True,
                          text=True, env=environment, **options)


@pytest.mark.req("HST-02")
def test_the_program_works_over_both_kinds_of_port(bench):
    done = process("-p", bench.url, "status", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["pack_v"] > 40
    done = process("why", env={"PACKCTL_PORT": bench.port})
    assert done.returncode == 0 and done.stdout.strip()
    done = process("--version")
    assert done.stdout == f"packctl {packctl.__version__}\n"
    assert process("nonsense").returncode == 2


@pytest.mark.req("COM-10", "HST-02")
def test_lines_of_a_pipe_are_typed_at_the_packs_console(bench):
    done = process("console", "-p", bench.port, input="why\nget cell_ov_trip_mv\n")
    assert done.returncode == 0, done.stderr
    assert "charging is possible" in done.stdout and "3600 mV (3.600 V)" in done.stdout


@pytest.mark.req("HST-02")
def test_the_screen_is_served_to_a_browser(bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    served = subprocess.Popen(
        [sys.executable, "-m", "packctl", "monitor", "--serve", "--web-port", str(number),
         "-p", bench.port], env={**os.environ, "PYTHONPATH": str(TOOLS)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert f"http://127.0.0.1:{number}" in served.stderr.readline()
        page = ""
        for _ in range(200):
            with contextlib.suppress(OSError):
                page = urllib.request.urlopen(f"http://127.0.0.1:{number}/").read().decode()
                break
            time.sleep(0.1)
        assert "textual" in page and "packctl" in page
    finally:
        served.kill()
        served.wait()
        served.stderr.close()


@pytest.mark.targets("rp2040")
@pytest.mark.req("HST-02")
def test_the_emulated_pico_answers_on_its_debug_and_its_usb_port(rig, target):
    opened = rig.open(target, plant={"soc": 0.55})
    rig.run(4_000)
    rig.play(1)
    for name in ("debug", "usb"):
        port = opened["ports"][name]
        done = process("status", "--json", "-p", port, "--timeout", "60")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["hello"]["hot"] == "viper"
    done = process("get", "cell_ov_trip_mv", "-p", opened["ports"]["debug"], "--timeout", "60")
    assert "3600 mV (3.6 V)" in done.stdout, done.stderr


def test_the_shells_learn_the_commands():
    done = process(env={"_PACKCTL_COMPLETE": "complete_bash", "COMP_WORDS": "packctl sta",
                        "COMP_CWORD": "1"})
    assert done.stdout.split() == ["status"], done.stdout + done.stderr


def test_every_command_has_help_with_an_example():
    import typer.main
    group = typer.main.get_command(app)
    assert set(group.commands) >= set(
        "ports status monitor why limits params get set save restore backup log replay clock "
        "buzzer off calibrate bus codes profile console plot".split())
    for name in group.commands:
        text = run(None, name, "--help")
        assert text.code == 0 and len(text.out) > 200
        if name not in ("why", "limits", "save", "bus"):        # nothing to say beyond their name
            assert f"packctl {name}" in text.out, name


def test_the_library_needs_nothing_that_is_an_extra():
    code = ("import sys, packctl, packctl.cli.app; "
            "print([m for m in ('textual', 'aiomqtt', 'paho') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(TOOLS)})
    assert done.stdout.strip() == "[]", done.stderr


def test_the_examples_of_the_readme_run(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (TOOLS / "packctl" / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    for block in blocks:
        block = block.replace("/dev/ttyUSB0", bench.port).replace(
            "every_s=10", "every_s=0.1, count=3").replace('")', '", timeout_s=5)', 1)
        exec(compile(block, "README.md", "exec"), {})
    lines = (tmp_path / "pack.csv").read_text().splitlines()
    assert len(lines) == 4 and lines[0].startswith("uptime_s,soc_pct")
    with packctl.connect(bench.port, timeout_s=5) as pack:
        pack.restore()


# keep this one last: the pack sleeps after it
@pytest.mark.req("HST-02", "PWR-10")
def test_off_opens_both_fets_and_sleeps(ok, bench):
    assert "sleeps within seconds" in ok("off", "--yes").out
    bench.pause()
    bench.run(15_000)
    seen = bench.get()
    assert seen["report"]["power"] == "asleep" and not any(seen["wire"]["fets"].values())
