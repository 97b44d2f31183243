"""`make run`: lines and picture, keys, the day, and how it ends."""

import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

import run
import run_day
from packctl import errors
from packctl.screen import draw
from packctl.screen import view as screen_view
from rich.console import Console

LINE = re.compile(
    r"t=\d+\.\d state=[a-z_]+ soc=\d+\.\d pack_mv=\d+ current_ma=-?\d+ min_mv=\d+ max_mv=\d+ "
    r"temp_dc=-?\d+ chg=[01] dsg=[01] cap=[01]{6} run=[01] alm=[01] speed=\d+\.\d "
    r"harm=none bound=\d+\.\d")


def report(**changes):
    return {
        "uptime_s": 13, "seq": 120, "age_ms": 7, "state": "charging", "alarms": [],
        "protections": [], "faults": [], "locked": [], "soc_cpct": 5430,
        "soc_uncertainty_cpct": 310, "remaining_mah": 54_300,
        "full_mah": 100_000, "cell_mv": [3319, 3331] + [3325] * 14, "stack_mv": 53_200,
        "pack_mv": 53_211, "current_ma": 20_000, "temp_dc": [251, 248, 250, 249], "mos_dc": 260,
        "ambient_dc": 240, "ccl_ma": 50_000, "dcl_ma": 50_000, "cvl_mv": 56_000,
        "limit_reasons": [], "dip": 0, "events": 2, **changes}


def answer(with_report=True, **changes):
    return {
        "t_ms": 14_000,
        "wire": {"fets": {"chg": 1, "dsg": 1, "pchg": 0}, "buzzer": 0, "do": [0, 0],
                 "lamps": {"run": 1, "alm": 0, "onoff": 1, "cap": [1, 0, 1, 1, 1, 0]},
                 "balance": [5]},
        "truth": {"soc": 0.55, "cell_mv": [3320] * 16, "temps_dc": [250] * 6},
        "report": report(**changes) if with_report else None}


class FakeRig:
    """Answers what a test has put in; refuses `set` of the fields in *refused*."""

    def __init__(self):
        self.asked = []
        self.got = answer()
        self.records = []
        self.refused = ()

    def ask(self, cmd, **fields):
        self.asked.append((cmd, fields))
        if cmd == "set" and any(name in self.refused for name in fields):
            raise run.Refused("not controllable here")
        if cmd == "run":
            self.got["t_ms"] += fields["ms"]
            return {"t_ms": self.got["t_ms"]}
        if cmd == "events":
            return {"events": [r for r in self.records if r["seq"] > fields["since"]]}
        return dict(self.got) if cmd == "get" else {}


def view_of(board, hello=None, ports=None):
    return screen_view.View(board, hello or {}, ports or {}, controls=run_day.Controls())


def session():
    view = view_of("host", ports={"pcs": "/dev/pts/1", "debug": "/dev/pts/3"})
    return run.Session(FakeRig(), view, 1_000)


def hear_interrupts():
    """What a shell starts in the background is deaf to Ctrl-C, and so are its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(board="host", **settings):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("DURATION", "PLAIN", "BOARD")}
    return subprocess.Popen([sys.executable, run.__file__],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,
                            env={**environment, "BOARD": board, **settings})


def finish(process):
    out, errors = process.communicate()
    return process.returncode, out, errors


# ---- lines ---------------------------------------------------------------------------------


def test_the_line_is_the_one_agreed_on():
    assert run.plain_line(12, answer(), 1.31) == (
        "t=12.0 state=charging soc=54.3 pack_mv=53211 current_ma=20000 min_mv=3319 max_mv=3331 "
        "temp_dc=251 chg=1 dsg=1 cap=101110 run=1 alm=0 speed=1.3 harm=none bound=3.1")


def test_a_line_without_a_report_has_dashes_and_what_is_on_the_wires():
    line = run.plain_line(1, answer(with_report=False), 1.0)
    assert " state=- soc=- pack_mv=- " in line
    assert " chg=1 dsg=1 cap=101110 run=1 " in line


def test_a_reading_that_is_missing_is_not_taken_for_zero():
    line = run.plain_line(1, answer(cell_mv=[None] * 16, temp_dc=[None, 240, 230, 250]), 1.0)
    assert "min_mv=- max_mv=- temp_dc=250 " in line


@pytest.mark.host
def test_plain_prints_a_line_a_simulated_second_and_ends_with_0():
    code, out, errors = finish(start(DURATION="3", PLAIN="1"))
    assert (code, errors) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["t=1.0", "t=2.0", "t=3.0"]
    for line in lines:
        assert LINE.fullmatch(line), line
        current_ma = int(line.split("current_ma=")[1].split()[0])
        assert "state=charging" in line and abs(current_ma - 20_000) <= 100


@pytest.mark.rp2040
@pytest.mark.slow
def test_the_emulated_pico_charges_from_the_first_second():
    code, out, _ = finish(start("rp2040", DURATION="5"))
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 5
    for line in lines:
        assert LINE.fullmatch(line) and "state=charging" in line


@pytest.mark.host
def test_ctrl_c_ends_it_with_130_and_without_a_word():
    process = start()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    code, _, errors = finish(process)
    assert (code, errors) == (130, "")


@pytest.mark.host
def test_a_reader_that_goes_away_ends_it_quietly():
    process = start()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_rig_that_cannot_open_is_one_line_and_1():
    code, out, errors = finish(start("rp2040", PACKCTL_UF2="/nowhere/at.uf2"))
    assert (code, out) == (1, "")
    assert errors.startswith("run: ") and len(errors.splitlines()) == 1


@pytest.mark.parametrize("settings", (
    {"DURATION": "soon"}, {"DURATION": "0"}, {"DURATION": "-1"}, {"DURATION": "nan"},
    {"DURATION": "inf"}, {"PLAIN": "maybe"}, {"BOARD": "esp32"}))
def test_a_wrong_setting_is_refused_by_name(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        run.Settings(settings, True)


def test_settings_without_a_word():
    settings = run.Settings({"DURATION": "", "PLAIN": ""}, True)
    assert (settings.board, settings.plain, settings.duration_s) == ("rp2040", False, None)
    assert run.Settings({}, False).plain
    assert run.Settings({"PLAIN": "1", "DURATION": "2.5"}, True).duration_s == 2.5


# ---- the day and the keys ------------------------------------------------------------------


def test_the_day_is_in_order_and_within_50_a():
    assert run_day.DAY[0][0] == 0
    assert [row[0] for row in run_day.DAY] == sorted(row[0] for row in run_day.DAY)
    for row in run_day.DAY:
        assert 0 <= row[0] < 24
        assert all(0 <= ma <= 50_000 for ma in row[1:3])


def test_the_day_begins_with_charging_and_has_both_directions():
    for t_ms in range(0, 20_001, 500):
        charger_ma, load_ma = run_day.Controls().currents(t_ms)
        assert charger_ma - load_ma >= 10_000
    nets = [row[1] - row[2] for row in run_day.DAY]
    assert min(nets) <= -20_000 and max(nets) >= 20_000


def test_a_day_ends_where_it_began():
    day_ms = 24 * run_day.HOUR_S * 1000
    assert run_day.segment_at(day_ms) == run_day.segment_at(0)
    assert run_day.hour_at(day_ms) == run_day.hour_at(0) == run_day.START_H


def press(keys, controls=None, t_ms=0, temp_dc=250):
    """Controls after *keys*, and what the last of them did."""
    controls = controls or run_day.Controls()
    for key in keys:
        controls, fields, message = run_day.press(controls, key, t_ms, temp_dc)
    return controls, fields, message


def test_load_and_charger_move_by_5_a():
    _, fields, message = press("+")
    assert fields == {"charger_mv": 56_000, "charger_ma": 24_000, "load_ma": 9_000}
    assert message == "load 9 A"
    assert press("CC")[1]["charger_ma"] == 34_000


def test_the_ends_of_load_and_charger_hold_and_come_back_with_one_press():
    controls, fields, _ = press("-" * 5)
    assert (controls.currents(0), fields) == ((24_000, 0), {})
    assert press("+", controls)[1]["load_ma"] == 5_000
    controls, fields, message = press("c" * 5)
    assert controls.supply(0) == {"charger_mv": None, "charger_ma": None, "load_ma": 4_000}
    assert message == "charger off"
    assert press("C" * 30)[0].currents(0)[0] == run_day.HIGHEST_MA


def test_a_wire_is_cut_and_mended():
    controls, fields, _ = press("w")
    assert fields == {"fault": {"open_wire": 3}}
    controls, _, _ = press(["right"], controls)
    assert press("w", controls)[1] == {"fault": {"open_wire": None}}


def test_a_cell_is_raised_in_two_steps_and_let_go():
    fields = []
    controls = run_day.Controls(cell=7)
    for _ in range(3):
        controls, changed, _ = run_day.press(controls, "r", 0, 250)
        fields.append(changed)
    assert fields == [{"cell_mv": {7: 3530}}, {"cell_mv": {7: 3700}}, {"cell_mv": {7: None}}]
    assert controls.cells == {}


def test_lowering_takes_over_from_raising():
    assert press("rl")[0].cells == {3: 2760}


def test_cells_are_chosen_round_the_ends():
    assert press(["left"] * 4)[0].cell == 15
    assert press(["right"] * 13)[0].cell == 0


def test_heat_and_cold_in_steps_of_10_degrees():
    assert press("T")[1] == {"cell_temp_dc": [350] * 4}
    assert press("tt", temp_dc=254)[1] == {"cell_temp_dc": [50] * 4}
    assert press("T", temp_dc=None)[1] == {"cell_temp_dc": [350] * 4}
    assert press("T" * 30)[0].temp_dc == 900


def test_undo_takes_back_everything_that_was_done_and_nothing_else():
    controls, fields, _ = press("0", press("rw+T")[0])
    assert fields == {"cell_mv": {3: None}, "fault": {"open_wire": None},
                      "cell_temp_dc": [None] * 4, "charger_mv": 56_000, "charger_ma": 24_000,
                      "load_ma": 4_000}
    assert controls == run_day.Controls()
    assert press("0")[1] == {}


@pytest.mark.parametrize("keys, fields", (
    ("b", [{"rst": 1}, {"rst": 0}]), ("o", [{"rocker": 0}, {"rocker": 1}]),
    ("d", [{"dip": 1}, {"dip": 2}]), ("v", [{"reverse": True}, {"reverse": False}]),
    ("s", [{"load": "short"}, {"load": "open"}]),
    ("a", [{"fault": {"afe_silent": True}}, {"fault": {"afe_silent": None}}])))
def test_keys_reach_what_the_bench_can_do(keys, fields):
    assert [press(keys * n)[1] for n in (1, 2)] == fields
    assert press(keys)[0].broken() and "no inverter" in press(keys * 2)[0].broken()


@pytest.mark.req("AS1-02")
def test_the_inverter_is_told_sun_house_grid_and_demand_response():
    on = run_day.Controls(inverter=True)
    world = {"port": "can", "pv_w": 1272, "load_w": 212, "grid": True, "drm": []}
    assert on.supply(0) == {"inverter": world}
    assert press("g", on)[1] == {"inverter": {**world, "grid": False}}
    assert press("m", on)[1] == {"inverter": {**world, "drm": [0]}}
    assert press("+", on)[1]["inverter"]["load_w"] == 477
    off, fields, _ = press("i", on)
    assert fields == {"inverter": None, "charger_mv": 56_000, "charger_ma": 24_000,
                      "load_ma": 4_000}
    assert press("i", off)[1] == {"inverter": world}
    assert press("g")[1] == {} and "i attaches" in press("g")[2]


def test_undo_takes_back_what_is_on_the_case_too():
    controls, fields, _ = press("0", press("bodvsa")[0])
    assert controls == run_day.Controls()
    assert fields == {"rst": 0, "rocker": 1, "dip": 0, "reverse": False, "load": "open",
                      "fault": {"afe_silent": None}}


def test_a_key_without_meaning_does_nothing():
    assert run_day.press(run_day.Controls(), "x", 0, 250) is None


def test_every_key_of_the_help_line_does_something():
    named = {"space", "q"}
    arrows = {"←": "left", "→": "right"}
    for shown, _ in run_day.HELP:
        for key in shown.split("/") if shown not in named else ():
            assert arrows.get(key, key) in run_day.KEYS


# ---- the session ---------------------------------------------------------------------------


def test_a_key_reaches_the_rig_and_says_what_it_did():
    live = session()
    assert live.press("w")
    assert live.rig.asked[-1] == ("set", {"fault": {"open_wire": 3}})
    assert "wire 3 cut" in live.view.message and not live.view.is_error


def test_a_refused_key_says_why_and_leaves_things_as_they_were():
    live = session()
    live.rig.refused = ("cell_mv",)
    assert live.press("r")
    assert live.view.controls.cells == {}
    assert live.view.is_error and "not controllable here" in live.view.message


def test_space_pauses_and_goes_on_and_q_ends():
    live = session()
    live.press(" ")
    assert live.rig.asked[-1] == ("pause", {}) and live.view.paused
    live.press(" ")
    assert live.rig.asked[-1] == ("play", {"speed": 1}) and not live.view.paused
    assert not live.press("q")


def test_an_unknown_key_is_answered():
    live = session()
    assert live.press("x") and "x" in live.view.message


def test_the_day_moves_on_by_itself():
    live = session()
    live.rig.got["t_ms"] = 1_000 + 50_000       # 10:10
    live.look()
    supply = {"charger_mv": 56_000, "charger_ma": 34_000, "load_ma": 6_000}
    assert ("set", supply) in live.rig.asked


@pytest.mark.host
@pytest.mark.req("HST-02", "AS1-02")
def test_the_screen_shows_a_simulated_pack_and_its_parameters():
    """Through the rig as a process, as `make run` does."""
    bench = run.Rig()
    try:
        opened = bench.ask("open", board="host", plant=run_day.PLANT, spread=0)
        view = screen_view.View("host", opened["hello"], opened["ports"],
                                controls=run_day.Controls(inverter=True))
        run.name_items(view)
        live = run.Session(bench, view, run.await_measuring(bench))
        bench.ask("run", ms=40_000)
        live.look()
        assert view.report["can_received"] > 10 and view.report["current_ma"] > 10_000
        live.fetch_params()
        assert view.params["cell_ov_trip_mv"].value == 3600
        assert live.set_text("cell_ov_alarm_mv", "3.48V") == "cell_ov_alarm_mv = 3480"
        assert view.params["cell_ov_alarm_mv"].value == 3480
        with pytest.raises(errors.PackError, match="must be below"):
            live.set_text("cell_ov_alarm_mv", "3650")
        live.look_closer("limits")
        live.look_closer("fleet")
        assert view.why and view.limits and view.modules[0].address == 1
        assert view.words["PRO-01"] == "cell over-voltage" and view.kinds["PRO-01"] == "mV"
    finally:
        bench.close()


def test_events_are_fetched_when_there_are_new_ones_and_anew_after_a_reset():
    live = session()
    live.rig.records = [{"seq": 1, "uptime_ms": 0, "event": "boot", "item": 0},
                        {"seq": 2, "uptime_ms": 9, "event": "state", "item": 3, "value": 2}]
    live.look()
    live.look()
    assert [cmd for cmd, _ in live.rig.asked].count("events") == 1
    assert [e["seq"] for e in live.view.events] == [1, 2]
    live.rig.records = live.rig.records[:1]
    live.rig.got["report"]["events"] = 1
    live.look()
    assert live.rig.asked[-1] == ("events", {"since": 0})
    assert [e["seq"] for e in live.view.events] == [1]


# ---- the picture ---------------------------------------------------------------------------


def drawn(view, width, height):
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None,
                      force_terminal=True, legacy_windows=False)
    console.print(draw.render(view, width, height), height=height)
    return console.file.getvalue()


def views():
    empty = view_of("rp2040")
    yield "nothing known", empty
    silent = view_of("host", ports={"pcs": "/dev/pts/1"})
    silent.take(answer(with_report=False))
    yield "no report", silent
    full = view_of("rp2040", {"version": "0.1.0"},
                           {"pcs": "/dev/pts/101", "parallel": "/dev/pts/102",
                            "debug": "/dev/pts/103"})
    full.take(answer(state="protection", alarms=["PRO-01"], protections=["PRO-01", "PRO-02"],
                     faults=["MEA-03-sum"], cell_mv=[None, 3700] + [3300] * 14,
                     limit_reasons=["protection", "alarm"], temp_dc=[None] * 4))
    full.controls = press("rwT")[0]
    full.speed, full.paused, full.message, full.is_error = 0.5, True, "long " * 60, True
    full.events = [
        {"seq": 1, "uptime_ms": 2**30 - 5, "event": "boot", "item": 0, "cell": -1},
        {"seq": 2, "uptime_ms": 10, "event": "trip", "item": 0, "name": "PRO-01", "cell": 3,
         "value": 3700, "limit": 3600},
        {"seq": 3, "uptime_ms": 11, "event": "trip", "item": 9, "cell": 3, "value": 1},
        {"seq": 4, "uptime_ms": 12, "event": "state", "item": 1, "name": "standby",
         "before": "self_test"},
        {"seq": 5, "uptime_ms": 12, "event": "state", "item": 7, "value": 0},
        {"seq": 6, "uptime_ms": 13, "event": 99, "item": None}] * 5
    yield "much known", full


@pytest.mark.parametrize("name, view", list(views()), ids=[name for name, _ in views()])
def test_the_picture_fits_every_screen(name, view):
    for width, height in ((1, 1), (40, 10), (79, 24), (80, 23), (80, 24), (81, 25), (99, 30),
                          (100, 30), (120, 24), (80, 60), (200, 60)):
        lines = drawn(view, width, height).splitlines()
        assert len(lines) <= height
        if width >= 80 and height >= 24:
            assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("size", ((80, 24), (100, 30)))
def test_what_matters_is_on_the_picture(size):
    view = view_of("rp2040", {"version": "0.1.0"},
                           {name: f"/dev/pts/{i}" for i, name in
                            enumerate(("pcs", "parallel", "debug"), 11)})
    view.take(answer(alarms=["PRO-01"], limit_reasons=["alarm"]))
    view.t_ms, view.speed, view.message = 12_000, 1.31, "load 9 A"
    text = drawn(view, *size)
    for words in ("pcs /dev/pts/11", "parallel /dev/pts/12", "debug /dev/pts/13", "ON/OFF", "L6",
                  "53.21 V", "53.20", "+20.00 A", "54.3 %", "55.0", "CHG closed", "DSG closed",
                  "charging", "PRO-01", "alarm", "24.8–25.1 °C", "3319", "min", "max", "bal",
                  "speed 1.31", "t 12 s", "08:54", "load 9 A", "q quit"):
        assert words in text, words


def test_lamps_are_told_apart_without_colours():
    view = view_of("host")
    view.take(answer())
    lamps = drawn(view, 100, 30).splitlines()[3]
    assert re.findall("▐███▌|░░░", lamps) == [
        {1: "▐███▌", 0: "░░░"}[lit] for lit in (1, 1, 0, 1, 0, 1, 1, 1, 0)]


@pytest.mark.parametrize("cells, scale", (
    ([3326, 3332], (3250, 3350)), ([3345, 3352], (3300, 3400)), ([3300, 3390], (3250, 3350)),
    ([3319, 3700], screen_view.WIDE_MV), ([None], screen_view.WIDE_MV)))
def test_the_scale_holds_all_cells(cells, scale):
    fitted = screen_view.fit_scale(screen_view.WIDE_MV, cells)
    known = [mv for mv in cells if mv is not None]
    if scale != screen_view.WIDE_MV and max(known) - min(known) < 60:
        assert fitted != screen_view.WIDE_MV
    assert all(fitted[0] <= mv <= fitted[1] for mv in known)


def test_the_scale_stays_while_it_does():
    assert screen_view.fit_scale((3250, 3350), [3349, 3350]) == (3250, 3350)
    assert screen_view.fit_scale((3250, 3350), [3349, 3351]) == (3300, 3400)
    assert screen_view.fit_scale((3250, 3350), [2600, 3351]) == screen_view.WIDE_MV


def test_the_picture_file_needs_nothing_from_elsewhere(tmp_path):
    view = view_of("host")
    view.take(answer())
    draw.picture(view, tmp_path / "run.svg")
    text = (tmp_path / "run.svg").read_text(encoding="utf-8")
    assert "charging" in text and "make&#160;run" in text or "make run" in text
    assert re.findall("https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]


# ---- on a terminal -------------------------------------------------------------------------


def on_terminal(keys, **settings):
    """Run it on a pseudo-terminal, type *keys* when the picture is there: (exit code, what it
    wrote, terminal settings before and after)."""
    fcntl = pytest.importorskip("fcntl")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    before = termios.tcgetattr(slave)
    environment = {**os.environ, "TERM": "xterm-256color", "BOARD": "host", "PLAIN": "0",
                   "DURATION": "", **settings}
    process = subprocess.Popen([sys.executable, run.__file__], stdin=slave,
                               stdout=slave, stderr=slave, env=environment,
                               start_new_session=True)
    written, end_s = b"", time.monotonic() + 1000
    while process.poll() is None and time.monotonic() < end_s:
        if select.select([master], [], [], 0.05)[0]:
            written += os.read(master, 65536)
        if keys and b"closed" in written:       # the first look has come
            if callable(keys):
                keys(process)
            else:
                os.write(master, keys)
            keys = None
    process.kill()
    while select.select([master], [], [], 0)[0]:
        written += os.read(master, 65536)
    after = termios.tcgetattr(slave)
    os.close(master)
    os.close(slave)
    text = written.decode("utf-8", "replace")
    assert "Traceback" not in text, text
    return process.wait(), text, before == after


@pytest.mark.host
def test_keys_work_without_enter_and_the_terminal_is_put_back():
    code, written, is_as_before = on_terminal(b"w+q")
    assert (code, is_as_before) == (0, True)
    assert written.count("\x1b[?1049h") == written.count("\x1b[?1049l") == 1


@pytest.mark.host
def test_the_picture_ends_by_itself_after_its_duration():
    code, written, is_as_before = on_terminal(b"", DURATION="1.5")
    assert (code, is_as_before) == (0, True)
    assert "s simulated" in written.rpartition("\x1b[?1049l")[2]


@pytest.mark.host
@pytest.mark.parametrize("number, code", ((signal.SIGINT, 130), (signal.SIGTERM, 143)))
def test_a_signal_puts_the_terminal_back_too(number, code):
    ended, _, is_as_before = on_terminal(lambda process: process.send_signal(number))
    assert (ended, is_as_before) == (code, True)


@pytest.mark.host
@pytest.mark.parametrize("number", (None, signal.SIGTERM))
def test_it_ends_when_its_terminal_has_gone(number):
    fcntl = pytest.importorskip("fcntl")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "BOARD": "host", "PLAIN": "0",
                   "DURATION": ""}
    process = subprocess.Popen([sys.executable, run.__file__], stdin=slave, stdout=slave,
                               stderr=slave, env=environment, start_new_session=True)
    os.close(slave)
    written = b""
    while b"closed" not in written:             # the first look has come
        written += os.read(master, 65536)
    if number is not None:                      # told to while nobody reads what it writes
        process.send_signal(number)
    os.close(master)
    assert process.wait(100) != 0
