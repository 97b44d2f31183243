"""The bench rig: its commands, its wires, its clock, and that it never hangs or hides anything.

Most tests run the few lines of rig_firmware/ instead of the pack's firmware, so that they judge
the rig alone.
"""

import json
import os
import pathlib
import random
import select
import subprocess
import sys
import threading
import time

import pytest

from packctl import link
import rig as rig_module
from machine import Clock, SerialPort
from rig import Rig, RigError
from rig_ports import DebugMux, Rs485Faults
from uart_wave import heard_at

HERE = pathlib.Path(__file__).resolve().parent
TOY = (HERE / "rig_firmware",)
TOOLS = HERE.parents[1] / "tools"
SIMULATED = pytest.mark.targets("host", "unix")


@pytest.fixture
def toy(request):
    """A rig with the toy firmware booted, on `target` if the test has one."""
    board = request.getfixturevalue("target") if "target" in request.fixturenames else "host"
    if board == "unix":
        request.getfixturevalue("unix_micropython")
    with Rig(firmware=TOY, cpu_s=10) as bench:
        bench.board = board
        bench.opened = bench.open(board)
        yield bench


def read_for(fd, seconds, until=None):
    """What a pseudo-terminal says within *seconds* of wall time, or until *until* is in it."""
    data, end = b"", time.monotonic() + seconds
    os.set_blocking(fd, False)
    while time.monotonic() < end and (until is None or until not in data):
        try:
            data += os.read(fd, 4096)
        except BlockingIOError:
            time.sleep(0.002)
    return data


def limiter_edges(bench, since_ms=0):
    return [e for e in bench.trace(since_ms)["edges"] if e[1] == "limiter"]


# ---- the simulated wires and clock --------------------------------------------------------


def uart_port(has_de=False):
    port = SerialPort("pcs", has_de)
    port.open(9600, 8, 16, 0)
    return port


def test_received_bytes_come_at_the_baud_rate():
    port = uart_port()
    port.feed(b"abc", 1000)
    # 10 bits at 9600 bit/s are 1041.67 us
    for now_us, heard in ((1000, b""), (2041, b""), (2042, b"a"), (3084, b"ab"), (4125, b"abc")):
        assert bytes(port.received(now_us)) == heard


def test_a_full_receive_buffer_loses_the_newest():
    port = uart_port()
    port.feed(b"0123456789", 0)
    assert bytes(port.received(20_000)) == b"01234567"


def test_sent_bytes_leave_at_the_baud_rate_and_only_what_fits_is_taken():
    port = uart_port()
    assert port.write(bytes(20), 0) == 16
    assert port.pending(0) == 16 and port.pending(1042) == 15
    port.settle(2083)
    assert sum(len(data) for _, data, _ in port.sent) == 1
    port.settle(16_667)
    assert sum(len(data) for _, data, _ in port.sent) == 16
    assert port.pending(16_667) == 0


def test_bytes_are_lost_when_the_driver_is_switched_off_too_soon():
    port = uart_port(has_de=True)
    port.write(b"dark", 0)
    port.settle(10_000)
    assert port.sent == []
    port.de_changed(1, 10_000)
    port.write(b"light", 10_000)
    port.de_changed(0, 10_000 + 3 * 1042)       # in the fourth byte
    port.settle(30_000)
    assert b"".join(data for _, data, _ in port.sent) == b"lig"


def test_bytes_of_another_rate_are_rubbish():
    ask = b"~25024642E00202FD2E\r"
    assert heard_at(ask, 9600, 9600) == heard_at(ask, 9800, 9600) == ask
    assert heard_at(b"U", 9600, 19_200) == bytes((0x66, 0xE6))      # each bit twice
    assert heard_at(b"\0", 9600, 38_400) == b""         # low for more than a byte: a break
    assert heard_at(ask, 9600, 115_200) == b""          # nothing but breaks
    for sent, heard in ((9600, 38_400), (38_400, 9600), (19_200, 38_400), (9600, 57_600)):
        got = heard_at(ask, sent, heard)
        assert got and ask[:5] not in got
        assert sum(byte not in b"0123456789ABCDEF~\r" for byte in got) >= 1


def test_a_port_changes_its_rate_and_keeps_what_it_has():
    port = uart_port()
    port.feed(b"ab", 0)
    port.write(b"xy", 0)
    port.set_baud(38_400, 2200)
    assert bytes(port.received(2200)) == b"ab"
    assert b"".join(data for _, data, baud in port.sent if baud == 9600) == b"xy"
    port.feed(b"c", 3000)
    assert bytes(port.received(3261)) == b"abc"
    port.feed(b"~", 4000, 9600)
    assert b"~" not in bytes(port.received(6000))
    port.write(b"z", 6000)
    port.settle(6261)
    assert port.sent[-1] == [6000, b"z", 38_400]


def test_the_clock_stops_at_each_event():
    clock, seen = Clock(), []

    def due(now_us):
        seen.append(now_us)
        clock.next_us = now_us + 100
    clock.on_due = due
    clock.next_us = 50
    clock.advance(300)
    assert (seen, clock.now_us) == ([50, 150, 250], 300)


# ---- time ---------------------------------------------------------------------------------


@SIMULATED
def test_open_answers_what_the_interface_says(toy, target):
    answer = toy.opened
    assert set(answer["ports"]) == {"pcs", "parallel", "debug", "usb"}
    for path in answer["ports"].values():
        assert os.path.exists(path)
    assert answer["pins"]["AFE_CS"] == "GPIO17"
    assert set(answer["can"]) == {"interface", "channel"}
    assert 300 < answer["t_ms"] < 2000


@SIMULATED
def test_run_ends_at_the_very_millisecond(toy, target):
    start = toy.opened["t_ms"]
    for ms, total in ((1, 1), (0, 1), (99, 100), (1000.5, 1100.5), (0.001, 1100.501)):
        assert toy.run(ms)["t_ms"] == pytest.approx(start + total, abs=1e-6)


def script(board, seed=3):
    """A busy scenario; returns everything that could be seen."""
    with Rig(firmware=TOY) as bench:
        bench.open(board, seed=seed, plant={"soc": 0.3, "imbalance_mv": 20})
        bench.run(730)
        bench.set(load_ma=20_000, fault={"rs485_babble": 0.5})
        bench.run(1003)
        bench.power(False)
        bench.run(123)
        bench.power(True)
        bench.run(2000)
        bench.reset()
        bench.set(fault={"rs485_babble": None, "rs485_noise": 0.3}, load="open")
        bench.run(2000)
        seen = bench.get()
        return bench.trace(), seen["wire"], seen["truth"], seen["report"], seen["t_ms"]


@pytest.mark.req("BRD-02")
def test_the_same_commands_give_the_same_trace():
    assert script("host") == script("host")


@pytest.mark.req("BRD-02")
@pytest.mark.unix
def test_cpython_and_micropython_give_the_same_trace(unix_micropython):
    host, unix = script("host"), script("unix")
    assert host[0] == unix[0] and host[1] == unix[1] and host[3:] == unix[3:]


def test_ticks_wrap_early_in_every_run():
    with Rig(firmware=TOY, ticks_start_ms=(1 << 30) - 1000) as bench:
        bench.open("host")
        bench.run(3000)
        edges = limiter_edges(bench)
        gaps = [b[0] - a[0] for a, b in zip(edges[1:], edges[2:])]
        assert len(gaps) > 20 and 90 < min(gaps) <= max(gaps) < 110


# ---- the report ---------------------------------------------------------------------------


@SIMULATED
@pytest.mark.parametrize("ms", (100, 500, 5000))
def test_a_run_brings_a_fresh_report_and_get_costs_no_time(toy, target, ms):
    toy.run(ms)
    first, second = toy.get(), toy.get()
    assert first == second
    assert first["report"]["rx_age_ms"] <= 100
    report = first["report"]
    assert (report["state"], report["soc"], report["alarms"]) == ("standby", 50.12, ["PRO-02"])
    assert report["cells"] == [3300, None]


def test_short_runs_ask_for_no_more_than_one_report_each_80_ms(toy):
    sent = []
    send = toy._send
    toy._send = lambda kind, payload: sent.append(kind) or send(kind, payload)
    for _ in range(100):
        toy.run(10)
    assert 8 <= sent.count(link.REPORT) <= 13


def test_get_right_after_open_fetches_a_report(toy):
    assert toy.get()["report"]["state"] == "standby"
    assert toy.get()["t_ms"] - toy.opened["t_ms"] < 100


def test_events_and_parameters_come_over_the_debug_port(toy):
    assert [e["seq"] for e in toy.events(0)["events"]] == list(range(1, 301))
    assert [e["seq"] for e in toy.events(298)["events"]] == [299, 300]
    assert toy.param("knob_mv")["value"] == 100
    assert toy.param("knob_mv", 7) == {"name": "knob_mv", "value": 7}
    with pytest.raises(link.Refused, match="knob_mv: 0 to 500"):
        toy.param("knob_mv", 501)
    assert toy.param("knob_mv")["value"] == 7
    toy.param(restore=True)
    assert toy.param("knob_mv")["value"] == 100


def test_params_of_open_are_set_and_a_refused_one_fails_the_open():
    with Rig(firmware=TOY) as bench:
        bench.open("host", params={"knob_mv": 55})
        assert bench.param("knob_mv")["value"] == 55
        answer = bench.command({"cmd": "open", "params": {"knob_mv": 555}})
        assert not answer["ok"] and "0 to 500" in answer["error"]
        assert "no bench is open" in bench.command({"cmd": "get"})["error"]


# ---- supply, reset, faults of the firmware ------------------------------------------------


@SIMULATED
def test_power_off_cuts_at_this_instant_and_on_boots_anew(toy, target):
    toy.run(1000)
    toy.power(False)
    off_ms = toy.get()["t_ms"]
    toy.run(500)
    assert toy.get()["report"] is None
    assert [e for e in limiter_edges(toy, off_ms) if e[2]] == []
    with pytest.raises(link.LinkError, match="switched off"):
        toy.param("knob_mv")
    toy.power(True)
    toy.run(2000)
    report = toy.get()["report"]
    assert 1 < report["scans"] < 20 and report["cause"] == 1


@SIMULATED
def test_power_may_fail_in_the_middle_of_a_scan(toy, target):
    toy.run(1000)
    last = limiter_edges(toy)[-1][0]
    toy.run(last + 98 - toy.get()["t_ms"] if last + 98 > toy.get()["t_ms"] else 98)
    toy.power(False)
    toy.power(True)
    toy.run(3000)
    assert toy.get()["report"]["state"] == "standby"


@SIMULATED
def test_reset_starts_the_firmware_anew(toy, target):
    toy.run(5000)
    toy.reset()
    toy.run(1500)
    report = toy.get()["report"]
    assert report["scans"] < 15 and report["cause"] == 2


@SIMULATED
def test_a_hanging_task_is_ended_by_the_watchdog(toy, target):
    toy.set(fault={"task_hang": "any"})
    toy.run(7000)
    assert limiter_edges(toy, toy.get()["t_ms"] - 6000) == []
    toy.run(4000)
    assert toy.get()["report"]["cause"] == 3
    toy.set(fault={"task_hang": None})          # over by itself: nothing to take back


@pytest.mark.unix
def test_a_full_heap_does_not_silence_the_bench(monkeypatch, unix_micropython):
    monkeypatch.setenv("MICROPYTHON", str(unix_micropython))
    with Rig(heap="3M") as bench:
        bench.open(board="unix", seed=4, plant={"soc": 0.5})
        bench.run(3_000)
        bench.set(cell_temp_dc=[600] * 4, load_ma=15_000)
        bench.run(5_000)
        bench.set(fault={"heap_full": True})
        for _ in range(30):
            bench.run(200)
            assert bench.get()["wire"]["fets"]["dsg"] == 0
        assert bench.trace(0)["edges"]


def test_a_provoked_fault_cannot_be_taken_back(toy):
    toy.set(fault={"task_hang": "any"})
    with pytest.raises(RigError, match="cannot be taken back"):
        toy.set(fault={"task_hang": None})


@SIMULATED
def test_an_exception_of_the_firmware_is_reported_with_its_traceback(toy, target):
    toy.set(fault={"task_raise": "any"})
    answer = toy.command({"cmd": "run", "ms": 1000})
    assert not answer["ok"]
    assert "KeyError" in answer["error"] and "outside of its scheduler" in answer["error"]
    assert "in misbehave" in answer["traceback"] and answer["t_ms"] > 0
    toy.run(9000)                               # reported once; the watchdog brings it back
    assert toy.get()["report"]["cause"] == 3


def test_a_firmware_that_lets_no_time_pass_is_an_error_and_not_a_hang():
    with Rig(firmware=TOY, cpu_s=1) as bench:
        bench.open("host")
        bench.set(fault={"heap_full": True})
        with pytest.raises(rig_module.TargetError, match="loops without letting time pass"):
            bench.run(1000)
        with pytest.raises(rig_module.TargetError, match="open again"):
            bench.get()
        bench.open("host")
        assert bench.get()["report"]["state"] == "standby"


def test_a_worker_that_dies_is_reported_with_its_last_words(toy):
    toy._target._process.kill()
    answer = toy.command({"cmd": "run", "ms": 10})
    assert not answer["ok"] and "ended unexpectedly" in answer["error"]


def test_a_firmware_without_main_fails_the_open_with_its_traceback(tmp_path):
    (tmp_path / "main.py").write_text("import nonsense_module\n")
    with Rig(firmware=(tmp_path,)) as bench:
        answer = bench.command({"cmd": "open"})
        assert not answer["ok"] and "nonsense_module" in answer["traceback"]


# ---- wires --------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", (1, 0))
def test_a_client_talks_to_the_pcs_port_while_it_plays(toy, speed):
    fd = os.open(toy.opened["ports"]["pcs"], os.O_RDWR | os.O_NOCTTY)
    toy.play(speed)
    os.write(fd, b"~20024642E00202FD33\r")
    heard = read_for(fd, 60, b"\r>")
    toy.pause()
    os.close(fd)
    # the toy answers what has come so far, in pieces
    assert heard.replace(b"<", b"").replace(b">", b"") == b"~20024642E00202FD33\r"


def test_play_at_speed_1_keeps_to_the_wall_clock(toy):
    start = toy.get()["t_ms"]
    toy.play()
    time.sleep(1.0)
    passed = toy.pause()["t_ms"] - start
    assert 850 <= passed <= 1100
    time.sleep(0.1)
    assert toy.get()["t_ms"] == start + passed


def test_commands_work_from_any_thread_during_a_play(toy):
    toy.play(0)
    errors, done = [], []

    def pester(n):
        for i in range(20):
            for command in ({"cmd": "get"}, {"cmd": "run", "ms": 5},
                            {"cmd": "trace", "since_ms": 1e9}, {"cmd": "set", "dip": i % 16},
                            {"cmd": "param", "name": "knob_mv"}):
                answer = toy.command(command)
                if not answer["ok"]:
                    errors.append(answer)
        done.append(n)
    threads = [threading.Thread(target=pester, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    toy.pause()
    assert errors == [] and len(done) == 3


def test_what_a_play_dies_of_is_said_by_the_next_command(toy):
    toy.set(fault={"task_raise": "any"})
    toy.play(0)
    for _ in range(1000):                   # it dies by itself, on a busy machine a little later
        time.sleep(0.05)
        answer = toy.command({"cmd": "get"})
        if not answer["ok"]:
            break
    assert not answer["ok"] and "KeyError" in answer["error"]
    assert toy.command({"cmd": "get"})["ok"]


def test_client_and_rig_share_the_debug_port(toy):
    stream = link.open_serial(toy.opened["ports"]["debug"])
    raw = []
    read = stream.read
    stream.read = lambda n: (raw.append(read(n)), raw[-1])[1]
    toy.play(1)
    client = link.Client(link.StreamExchange(stream))
    for _ in range(10):
        assert client.report()["state"] == "standby"
        assert toy.param("knob_mv")["value"] == 100
    toy.run(500)
    stream.write(b"hello\r")
    text = b""
    for _ in range(1000):                               # a look waits 20 ms at most
        text += read(4096)
        if b"hello" in text:
            break
    toy.pause()
    stream.close()
    assert b"you said: hello" in text
    seqs = [p.seq for p in link.Splitter().feed(b"".join(raw)) if isinstance(p, link.Frame)]
    assert seqs and all(seq < 0x80 for seq in seqs)     # no answer to the rig came through


def test_debug_mux_sends_a_client_frame_in_one_piece():
    mux = DebugMux()
    frame = link.encode(5, 3)
    assert mux.client(frame[:4]) == b""
    assert mux.client(frame[4:] + b"x") == frame + b"x"
    assert mux.client(frame[:4]) == b""
    mux._client_at -= 1                         # it never becomes one: let it go
    assert mux.client(b"") == frame[:4]


def test_debug_mux_keeps_answers_to_the_rig_only():
    ours, theirs = link.encode(0x85, 0x83, b"1"), link.encode(0x86, 0x83, b"2")
    passed, kept = DebugMux().pack(b"a" + theirs + ours + b"b", lambda f: f.seq == 0x85)
    assert passed == b"a" + theirs + b"b"
    assert [f.raw for f in kept] == [ours]


def heard(bench):
    bench.run(200)
    return bench.get()["report"]["heard"]


def test_echo_lets_the_pack_hear_itself(toy):
    fd = os.open(toy.opened["ports"]["pcs"], os.O_RDWR | os.O_NOCTTY)
    os.write(fd, b"x")
    toy.run(1000)
    assert heard(toy) == 1
    toy.set(fault={"rs485_echo": True})
    os.write(fd, b"y")
    toy.run(1000)
    assert heard(toy) > 20                      # and so on for ever
    toy.set(fault={"rs485_echo": None})
    toy.run(1000)
    quiet = heard(toy)
    toy.run(1000)
    assert heard(toy) == quiet
    os.close(fd)


def test_babble_fills_the_line(toy):
    before = heard(toy)
    toy.set(fault={"rs485_babble": 1})
    toy.run(5000)
    assert 500 < heard(toy) - before            # 960 a second less what the toy was sending over
    toy.set(fault={"rs485_babble": None})


def test_noise_spoils_its_share_of_the_bytes():
    faults = Rs485Faults(seed=1)
    data = random.Random(2).randbytes(20_000)
    assert faults.to_pack(data, b"", 1000, 9600) == data == faults.to_client(data)
    faults.noise = 0.1
    for spoilt in (faults.to_pack(data, b"", 1000, 9600), faults.to_client(data)):
        assert len(spoilt) == len(data)
        assert 0.09 < sum(a != b for a, b in zip(data, spoilt)) / len(data) < 0.11
    again = Rs485Faults(seed=1)
    again.noise = 0.1
    assert again.to_client(data) == Rs485Faults.to_client(_with_noise(1, 0.1), data)
    assert again.to_client(data) != _with_noise(2, 0.1).to_client(data)


def _with_noise(seed, rate):
    faults = Rs485Faults(seed)
    faults.noise = rate
    return faults


# ---- what is refused, and how -------------------------------------------------------------

REFUSED = (
    ({}, "cmd"), ({"cmd": "fly"}, "one of open, run"), ([1], "an object"), (None, "an object"),
    ({"cmd": ["run"]}, "one of open"),
    ({"cmd": "run"}, "needs the field 'ms'"), ({"cmd": "run", "ms": -1}, "from 0 to"),
    ({"cmd": "run", "ms": "1"}, "a number"), ({"cmd": "run", "ms": True}, "a number"),
    ({"cmd": "run", "ms": 1, "module": 0}, "fleet"),
    ({"cmd": "run", "ms": 1, "speed": 2}, "it takes ms"),
    ({"cmd": "play", "speed": -1}, "0 to 1000"),
    ({"cmd": "set", "colour": 1}, "current_ma"), ({"cmd": "set", "dip": 16}, "15"),
    ({"cmd": "set", "cell_mv": {"16": 1}}, "15"), ({"cmd": "set", "cell_mv": [1, 2]}, "16"),
    ({"cmd": "set", "cell_mv": 3300}, "16"), ({"cmd": "set", "load": "shut"}, "short"),
    ({"cmd": "set", "current_ma": "much"}, "number"), ({"cmd": "set", "rocker": 2}, "rocker"),
    ({"cmd": "set", "clock": "2030-02-30"}, "a time such as"),
    ({"cmd": "set", "fault": {"gremlin": 1}}, "afe_silent"),
    ({"cmd": "set", "fault": []}, "an object"),
    ({"cmd": "set", "fault": {"afe_crc": 2}}, "afe_crc"),
    ({"cmd": "set", "fault": {"rs485_noise": 2}}, "from 0 to 1"),
    ({"cmd": "set", "fault": {"rs485_echo": "yes"}}, "true or false"),
    ({"cmd": "set", "fault": {"can_bus_off": 7}}, "can_bus_off"),
    ({"cmd": "can", "send": [[2**29, ""]]}, "whole number"),
    ({"cmd": "can", "send": [[1, "xy"]]}, "data in hex"),
    ({"cmd": "can", "send": [[1, "00" * 9]]}, "8 bytes at most"),
    ({"cmd": "can", "send": [1]}, "data in hex"), ({"cmd": "can", "since_ms": -1}, "0 to"),
    ({"cmd": "set", "fault": {"rtc_jump_s": "far"}}, "number"),
    ({"cmd": "set", "fault": {"flash_full": 3}}, "true or false"),
    ({"cmd": "set", "fault": {"cut_at_flash_op": 0, "torn": 0.5}}, "from 1"),
    ({"cmd": "set", "fault": {"torn": 0.5}}, "cut_at_flash_op"),
    ({"cmd": "set", "fault": {"task_hang": 7}}, "a text"),
    ({"cmd": "trace", "since_ms": "a"}, "a number"), ({"cmd": "events", "since": 1.5}, "whole"),
    ({"cmd": "param"}, "needs a name"), ({"cmd": "param", "name": "knob"}, "did you mean knob_mv"),
    ({"cmd": "param", "name": "knob_mv", "value": "7"}, "whole number"),
    ({"cmd": "param", "name": "knob_mv", "value": 2**40}, "whole number"),
    ({"cmd": "param", "name": "knob_mv", "restore": True}, "leave name"),
    ({"cmd": "power"}, "needs the field 'on'"), ({"cmd": "power", "on": 1}, "true or false"),
    ({"cmd": "fleet"}, "from 1 to 15"), ({"cmd": "fleet", "modules": 16}, "from 1 to 15"),
    ({"cmd": "fleet", "modules": 3, "plant": [{}]}, "a list of 3"),
    ({"cmd": "fleet", "modules": 1, "dip": [16]}, "0 to 15"),
    ({"cmd": "fleet", "modules": 3, "board": "rp2040"}, "two modules"),
    ({"cmd": "fleet", "modules": 3, "board": "moon"}, "host, unix"),
)


def test_what_is_wrong_is_refused_with_what_would_be_right(toy):
    before = toy.get()["wire"], toy.get()["truth"]
    for command, words in REFUSED:
        answer = toy.command(command)
        assert answer["ok"] is False and words in answer["error"], (command, answer)
    assert (toy.get()["wire"], toy.get()["truth"]) == before


@pytest.mark.parametrize("fields, words", (
    ({"board": "moon"}, "host, unix, rp2040"), ({"board": 7}, "host, unix"),
    ({"profile": ""}, "a text"), ({"dip": 99}, "0 to 15"), ({"dip": 1.5}, "whole"),
    ({"seed": "a"}, "whole"), ({"plant": {"soc": 7}}, "soc"), ({"plant": {"size": 7}}, "size"),
    ({"plant": [{}, {}]}, "fleet"), ({"params": [1]}, "an object"), ({"params": {"x": "y"}}, "x"),
    ({"board": "serial:"}, "serial:"), ({"board": "serial:/dev/pts/none"}, ""),
    ({"colour": 1}, "it takes board, profile"),
))
def test_open_refuses_what_it_cannot_do(fields, words):
    with Rig(firmware=TOY) as bench:
        answer = bench.command({"cmd": "open", **fields})
        assert answer["ok"] is False and words in answer["error"]


def test_an_unknown_profile_is_refused_with_the_list():
    with Rig() as bench:
        answer = bench.command({"cmd": "open", "profile": "am9000"})
        assert not answer["ok"] and "am5000" in answer["error"]


def test_a_set_that_fails_changes_nothing(toy):
    before = toy.get()
    with pytest.raises((RigError, rig_module.TargetError)):
        toy.set(current_ma=5000, cell_mv={"1": 2500, "99": 1}, fault={"rs485_echo": True})
    assert toy.get() == before and not toy._faults.echo


def test_a_missing_interpreter_is_named(monkeypatch):
    monkeypatch.setenv("MICROPYTHON", "/nowhere/micropython")
    with Rig(firmware=TOY) as bench:
        answer = bench.command({"cmd": "open", "board": "unix"})
        assert not answer["ok"] and "MICROPYTHON" in answer["error"]


# ---- a real board, played by a simulated one ----------------------------------------------


def test_a_board_on_a_serial_port_can_be_read_but_not_set(toy):
    toy.play(1)
    with Rig() as real:
        real.open("serial:" + toy.opened["ports"]["debug"])
        seen = real.get()
        assert seen["report"]["state"] == "standby" and seen["wire"] is None
        assert real.param("knob_mv", 9)["value"] == 9
        assert len(real.events(290)["events"]) == 10
        for command in ({"cmd": "set", "current_ma": 1}, {"cmd": "power", "on": False},
                        {"cmd": "set", "fault": {"afe_silent": True}}, {"cmd": "trace"},
                        {"cmd": "set", "fault": {"rs485_noise": 0.1}}, {"cmd": "reset"},
                        {"cmd": "play", "speed": 0}):
            answer = real.command(command)
            assert not answer["ok"] and answer["error"].startswith("not controllable"), command
        assert real.run(20)["t_ms"] > 0
    toy.pause()
    assert toy.param("knob_mv")["value"] == 9


# ---- the program --------------------------------------------------------------------------


def test_the_program_answers_line_by_line_and_ends_with_its_input():
    lines = (b'{"cmd": "get"}\n', b"nonsense\n", b"\n", b"[1, 2]\n", b"\xff\xfe{\n",
             b'{"cmd": "open", "board": "moon"}\n', b'{"cmd": "close"}')
    done = subprocess.run([sys.executable, str(TOOLS / "rig.py")], input=b"".join(lines),
                          capture_output=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a["ok"] for a in answers] == [False] * 5 + [True]
    assert "open" in answers[0]["error"] and "JSON" in answers[1]["error"]
    assert done.returncode == 0


@pytest.mark.req("BRD-02")
def test_the_program_drives_the_pack_firmware():
    lines = [{"cmd": "open", "board": "host", "seed": 5}, {"cmd": "run", "ms": 5000},
             {"cmd": "get"}, {"cmd": "trace"}, {"cmd": "events"}, {"cmd": "close"}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([sys.executable, str(TOOLS / "rig.py")], input=text.encode(),
                          capture_output=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a["ok"] for a in answers] == [True] * 6, done
    seen = answers[2]
    assert seen["wire"]["fets"] == {"chg": 1, "dsg": 1, "pchg": 0}
    assert seen["report"]["state"] == "standby"
    assert abs(seen["report"]["cell_mv"][0] - seen["truth"]["cell_mv"][0]) <= 10


# ---- every target with the pack's firmware ------------------------------------------------


@pytest.mark.req("BRD-02")
@pytest.mark.req("PRO-01")
def test_the_pack_trips_and_releases_on_every_target(rig, target):
    """PRO-01 with the numbers of the specification, on whatever runs the firmware."""
    rig.open(target, plant={"soc": 0.5})
    rig.run(4000)
    assert rig.get()["wire"]["fets"] == {"chg": 1, "dsg": 1, "pchg": 0}
    rig.set(cell_mv={4: 3620})
    start = rig.get()["t_ms"]
    rig.run(3600)
    seen = rig.get()
    off = [e for e in rig.trace(start)["edges"] if e[1:] == ["fets.chg", 0]]
    assert len(off) == 1 and 3000 <= off[0][0] - start <= 3200
    assert seen["report"]["protections"] == ["PRO-01"]
    assert seen["wire"]["fets"]["dsg"] == 1
    rig.set(cell_mv={4: None}, load_ma=2000)    # the pack counts as full now: > 1 A releases
    rig.run(1500)
    assert rig.get()["wire"]["fets"]["chg"] == 1


@pytest.mark.req("BRD-02")
def test_every_target_is_deterministic_and_survives_power_cut_and_reset(target, request):
    traces = []
    for _ in range(2):
        bench = Rig()
        request.addfinalizer(bench.close)
        bench.open(target, seed=9)
        bench.run(4000)
        bench.power(False)
        bench.run(20)
        assert bench.get()["wire"]["fets"] == {"chg": 0, "dsg": 0, "pchg": 0}
        bench.power(True)
        bench.run(4000)
        assert bench.get()["wire"]["fets"] == {"chg": 1, "dsg": 1, "pchg": 0}
        bench.reset()
        bench.run(20)
        assert bench.get()["wire"]["fets"] == {"chg": 0, "dsg": 0, "pchg": 0}
        bench.run(4000)
        seen = bench.get()
        assert seen["wire"]["fets"] == {"chg": 1, "dsg": 1, "pchg": 0}
        assert 2 <= seen["report"]["uptime_s"] <= 4     # it counts from after the test of RAM
        traces.append((bench.trace(), bench.events(), seen))
        bench.close()
    assert traces[0] == traces[1]


def test_an_unmodified_inverter_client_talks_to_a_playing_pack(rig):
    """python-pylontech, as it comes; it waits 2 s for more after each answer."""
    from pylontech import Pylontech
    ports = rig.open("host", plant={"soc": 0.6})["ports"]
    rig.run(3000)
    rig.play(1)
    client = Pylontech(ports["pcs"], 9600)
    values = client.get_values_single(2)
    client.s.close()
    truth = rig.get()["truth"]
    rig.pause()
    for cell_v, cell_mv in zip(values.CellVoltages, truth["cell_mv"]):
        assert abs(cell_v * 1000 - cell_mv) <= 10


def test_what_nobody_reads_is_kept_while_the_computer_alone_is_slow(monkeypatch):
    import time as wall
    from rig_ports import PtyPort
    now_s = [100.0]
    monkeypatch.setattr(wall, "monotonic", lambda: now_s[0])
    port = PtyPort()
    line = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        port.write(b"a", 1_000_000)
        now_s[0] += 20
        port.write(b"b", 1_100_000)             # a slow board
        assert os.read(line, 100) == b"ab"
        port.write(b"x", 1_200_000)
        assert select.select([line], [], [], 10)[0]     # a terminal takes a moment
        port.write(b"y", 1_300_000)
        now_s[0] += 20
        port.write(b"c", 9_000_000)             # what was before it was for nobody
        assert os.read(line, 100) == b"c"
        port.write(b"d", 9_100_000)
        now_s[0] += 1
        port.write(b"e", 90_000_000)            # a fast one
        assert os.read(line, 100) == b"de"
    finally:
        os.close(line)
        port.close()
