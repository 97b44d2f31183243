#!/usr/bin/env python3
"""Watch a pack live: the UF2 on an emulated Pico, with a day of charging and discharging.

    make run                        the same
    make run DURATION=20 PLAIN=1    a line a simulated second, for 20 of them
    tools/screen/run.py --picture FILE     draw the screen after some 40 seconds as SVG

Environment:
    DURATION   simulated seconds after which it ends by itself
    PLAIN      1: lines of text instead of the live picture, as when output is no terminal
    BOARD      rp2040 (default), host or unix: what the firmware runs on

Exit code 0 at the end of DURATION or by the key q, 1 when the rig fails, 2 for a wrong
setting, 130 by Ctrl-C. Simulated time counts from the moment the pack has booted and measures.
"""

import argparse
import collections
import contextlib
import json
import math
import os
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from rooms import ROOT, TOOLS  # noqa: E402

import run_day  # noqa: E402 - the path comes first
from packctl import decisions, units  # noqa: E402
from packctl.errors import PackError  # noqa: E402
from packctl.pack import ends_of, modules_of  # noqa: E402
from packctl.schema import Name, Param  # noqa: E402
from packctl.screen import draw  # noqa: E402
from packctl.screen.view import View  # noqa: E402

BOARDS = ("rp2040", "host", "unix")
ERROR_LOG = ROOT / "build" / "run-error.log"
FRAME_S = 0.25
_SPEED_OVER_S = 5.0
_EVENTS_KEPT = 500
# ms of the run, keys: a household that takes more than the sun gives, then a cell too high
PICTURE_SCRIPT = ((8_000, "++++++"), (16_000, "0"), (24_000, "r"), (36_000, ""))
_SELF_TEST_MS = 5_000           # longer than it takes; a pack that stays in it is shown so
_STEP_MS = 100


class Refused(Exception):
    """The rig answered that it cannot do it."""


class RigFailed(Exception):
    """The rig is gone or cannot go on."""


class Rig:
    """The bench rig in a process of its own, so that drawing takes no time from it."""

    def __init__(self):
        self.log = collections.deque(maxlen=200)
        self.echo = True            # its messages go to our standard error as well
        self._process = subprocess.Popen(
            [sys.executable, str(TOOLS / "rig.py")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
            errors="replace", start_new_session=True)       # Ctrl-C is ours alone
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self):
        in_traceback = False        # tracebacks are for the log alone
        for line in self._process.stderr:
            self.log.append(line.rstrip())
            if line.startswith("Traceback"):
                in_traceback = True
            elif in_traceback:
                in_traceback = line.startswith(" ")
            elif self.echo:
                with contextlib.suppress(OSError):
                    sys.stderr.write(line)
                    sys.stderr.flush()

    def ask(self, cmd, **fields):
        """One command of the rig; returns the answer's fields."""
        try:
            self._process.stdin.write(json.dumps({"cmd": cmd, **fields}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self._process.wait()
            self._reader.join(1)
            last = next((text for text in reversed(self.log) if text.strip()), "")
            raise RigFailed("the rig has ended unexpectedly" + (f": {last}" if last else ""))
        try:
            answer = json.loads(line)
        except ValueError:
            raise RigFailed(f"the rig answered {line.strip()[:80]!r}, which is not JSON") from None
        if not answer.pop("ok"):
            raise Refused(answer.get("error", "no reason given"))
        return answer

    def close(self):
        process = self._process
        with contextlib.suppress(OSError, ValueError):
            process.stdin.close()
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:       # busy with a run that nobody waits for
            process.kill()
            process.wait()


# ---- settings ------------------------------------------------------------------------------


class Settings:
    """duration_s: None for no end."""

    def __init__(self, environment, is_terminal):
        self.board = environment.get("BOARD") or "rp2040"
        if self.board not in BOARDS:
            raise ValueError(f"BOARD is {self.board!r}; it can be {', '.join(BOARDS)}")
        plain = (environment.get("PLAIN") or "0").lower()
        if plain not in ("0", "1", "no", "yes", "false", "true"):
            raise ValueError(f"PLAIN is {plain!r}; it can be 0 or 1")
        self.plain = not is_terminal or plain in ("1", "yes", "true")
        text = environment.get("DURATION")
        self.duration_s = None
        if text:
            with contextlib.suppress(ValueError):
                self.duration_s = float(text)
            if self.duration_s is None or not 0 < self.duration_s < math.inf:
                raise ValueError(f"DURATION is {text!r}; it must be a number of seconds above 0")


# ---- lines of text -------------------------------------------------------------------------


def plain_line(t_s, got, speed):
    """One line of what `get` answered."""
    report = got.get("report") or {}
    wire = got.get("wire") or {}
    lamps = wire.get("lamps") or {}
    fets = wire.get("fets") or {}
    cells = [mv for mv in report.get("cell_mv") or () if mv is not None]
    temps = [dc for dc in report.get("temp_dc") or () if dc is not None]
    soc_cpct, bound_cpct = report.get("soc_cpct"), report.get("soc_uncertainty_cpct")
    truth = got.get("truth") or {}
    values = {
        "t": f"{t_s:.1f}",
        "state": report.get("state"),
        "soc": None if soc_cpct is None else f"{soc_cpct / 100:.1f}",
        "pack_mv": report.get("pack_mv"),
        "current_ma": report.get("current_ma"),
        "min_mv": min(cells, default=None),
        "max_mv": max(cells, default=None),
        "temp_dc": max(temps, default=None),
        "chg": fets.get("chg"),
        "dsg": fets.get("dsg"),
        "cap": "".join(str(int(lit)) for lit in lamps.get("cap") or ()) or None,
        "run": lamps.get("run"),
        "alm": lamps.get("alm"),
        "speed": f"{speed:.1f}",
        "harm": ",".join(str(row[0]) for row in truth.get("harm") or ()) or "none",
        "bound": None if bound_cpct is None else f"{bound_cpct / 100:.1f}",
    }
    return " ".join(f"{name}={'-' if value is None else value}" for name, value in values.items())


class Day:
    """Sets charger and load when the day's script or a key has changed them."""

    def __init__(self, rig, controls):
        self._rig = rig
        self._set = None
        self.update(controls, 0)

    def update(self, controls, t_ms):
        supply = controls.supply(t_ms)
        if supply != self._set:
            self._rig.ask("set", **supply)
            self._set = supply


def await_measuring(rig):
    """Let time pass until the self-test is over; returns t_ms, which is then time 0 of the run."""
    for _ in range(_SELF_TEST_MS // _STEP_MS):
        t_ms = rig.ask("run", ms=_STEP_MS)["t_ms"]
        report = rig.ask("get")["report"]
        if report is not None and report.get("state") != "self_test":
            break
    return t_ms


def plain(rig, settings, out, start_ms):
    """A line a simulated second; as fast as it goes if there is an end to it."""
    controls = run_day.Controls()
    day = Day(rig, controls)
    start_s = time.monotonic()
    end_s = math.inf if settings.duration_s is None else settings.duration_s
    now_ms, t_s = start_ms, 0
    while t_s < end_s:
        t_s = min(t_s + 1, end_s)
        now_ms = rig.ask("run", ms=start_ms + 1000 * t_s - now_ms)["t_ms"]
        if settings.duration_s is None:
            time.sleep(max(0.0, start_s + t_s - time.monotonic()))
        got = rig.ask("get")
        if t_s == int(t_s):
            speed = t_s / max(1e-3, time.monotonic() - start_s)
            print(plain_line(t_s, got, speed), file=out, flush=True)
        day.update(controls, 1000 * t_s)
    return 0


# ---- the live screen -----------------------------------------------------------------------


class Session:
    """A pack that plays on the bench, as a source of the live screen (packctl.screen)."""

    def __init__(self, rig, view, start_ms):
        self.rig = rig
        self.view = view
        self._start_ms = start_ms
        self._up = ()                           # what is wrong
        self._newest = 0                        # sequence number of the newest event shown
        self._marks = collections.deque()       # (wall s, simulated ms), for the speed
        self._day = Day(rig, view.controls)
        self.error = None                       # None | what ended the bench

    def _say(self, text, is_error=False):
        self.view.message, self.view.is_error = text, is_error

    def look(self):
        """Take in what the pack does now."""
        view = self.view
        try:
            view.take(self.rig.ask("get"))
            view.t_ms = view.got["t_ms"] - self._start_ms
            self._day.update(view.controls, view.t_ms)
            if view.is_up != self._up:
                view.ends = ends_of(self._asked("ends"))
                self._up = view.is_up
            newest = (view.got.get("report") or {}).get("events")
            if newest is not None and newest != self._newest:
                self._fetch_events(newest)
        except Refused as error:
            self._say(str(error), True)
        except RigFailed as error:
            self.error = error
            view.lost = str(error)
        self._measure_speed()

    def look_closer(self, page):
        """What the pages show beyond the report."""
        try:
            if page == "limits":
                self.view.limits = self._asked("limits").splitlines()
                self.view.why = self._asked("why")
            elif page == "fleet":
                self.view.modules = modules_of(self._asked("fleet"))
        except (Refused, RigFailed) as error:
            self._say(str(error), True)

    def _asked(self, text):
        return self.rig.ask("command", text=text, framed=True)["text"]

    def fetch_params(self):
        """All parameters, anew."""
        self.view.params = {row[1]: Param(";".join(str(part) for part in (*row[:7], row[7])))
                            for row in self.rig.ask("params")["params"]}

    def set_text(self, name, text):
        """Set a parameter to what a person typed."""
        value = units.parse(self.view.params[name], text)
        try:
            taken = self.rig.ask("param", name=name, value=value)["value"]
            self.fetch_params()
        except (Refused, RigFailed) as error:
            raise PackError(str(error)) from None
        return f"{name} = {taken}"

    def _fetch_events(self, newest):
        since = self._newest if newest > self._newest else 0    # less than before: it has reset
        records = self.rig.ask("events", since=since)["events"]
        kept = self.view.events if since else []
        self.view.events = (kept + records)[-_EVENTS_KEPT:]
        self._newest = max([newest] + [record["seq"] for record in records])

    def _measure_speed(self):
        now_s = time.monotonic()
        self._marks.append((now_s, self.view.t_ms))
        while now_s - self._marks[0][0] > _SPEED_OVER_S:
            self._marks.popleft()
        past_s = now_s - self._marks[0][0]
        if past_s >= 0.5:
            self.view.speed = (self.view.t_ms - self._marks[0][1]) / 1000 / past_s

    def play(self, is_on):
        self.rig.ask("play", speed=1) if is_on else self.rig.ask("pause")
        self.view.paused = not is_on
        self._marks.clear()

    def press(self, key):
        """Act on a key; returns False for the one that ends it."""
        view = self.view
        if key in ("q", "Q"):
            return False
        if key == " ":
            self.play(view.paused)
            self._say("paused" if view.paused else "on it goes")
            return True
        temps = [t for t in (view.got.get("truth") or {}).get("temps_dc", ())[:4] if t is not None]
        done = run_day.press(view.controls, key, view.t_ms,
                             sum(temps) // len(temps) if temps else None)
        if done is None:
            self._say(f"the key {key} does nothing; the line below has those that do")
            return True
        controls, fields, message = done
        try:
            if fields:
                self.rig.ask("set", **fields)
        except Refused as error:
            self._say(f"refused: {error}", True)
            return True
        view.controls = controls
        self._say(message)
        return True

    def close(self):
        """The rig is closed by whoever opened it."""


def name_items(view):
    """The words of items and faults, from the firmware's own list."""
    report = decisions.module("protocols.debug.report")
    names = [Name(line) for line in report.names()]
    view.words = {name.id: name.words for name in names}
    view.kinds = {name.id: name.unit for name in names}


def run_live(rig, settings, view, start_ms):
    from packctl.screen.app import Screen
    view.message = "an hour of the day lasts 30 s, the charge is not hurried; 7 is help"
    session = Session(rig, view, start_ms)
    session.fetch_params()
    rig.echo = False
    session.play(True)
    screen = Screen(session, FRAME_S,
                    None if settings.duration_s is None else 1000 * settings.duration_s)
    screen.run()
    if session.error is not None:
        raise session.error
    if not screen.return_code:
        print(f"packctl: {view.t_ms / 1000:.1f} s simulated")
    return screen.return_code or 0


def run_picture(rig, view, start_ms, path):
    """Play PICTURE_SCRIPT as a user would, then draw the screen as SVG."""
    session = Session(rig, view, start_ms)
    session.fetch_params()
    script = list(PICTURE_SCRIPT)
    session.look()
    while script or not any(view.got["wire"]["lamps"]["cap"]):
        rig.ask("run", ms=1000 * FRAME_S)
        session.look()
        while script and view.t_ms >= script[0][0]:
            for key in script.pop(0)[1]:
                session.press(key)
    draw.picture(view, path, 120, 36)
    return 0


# ---- the program ---------------------------------------------------------------------------


def fail(rig, error):
    """One line for the user; what else the rig said goes to a file."""
    text = " ".join(str(error).split())
    if rig is not None and rig.log:
        with contextlib.suppress(OSError):
            ERROR_LOG.parent.mkdir(exist_ok=True)
            ERROR_LOG.write_text("\n".join(rig.log) + "\n", encoding="utf-8")
            text += f" (what the rig printed is in build/{ERROR_LOG.name})"
    print(f"run: {text}", file=sys.stderr)
    return 1


def start(rig, settings, picture_path):
    opened = rig.ask("open", board=settings.board, plant=run_day.PLANT)
    start_ms = await_measuring(rig)
    if settings.plain and picture_path is None:
        return plain(rig, settings, sys.stdout, start_ms)
    view = View(settings.board, opened.get("hello", {}), opened["ports"],
                controls=run_day.Controls(inverter=picture_path is None))
    name_items(view)
    if picture_path is not None:
        return run_picture(rig, view, start_ms, picture_path)
    return run_live(rig, settings, view, start_ms)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0],
                                     epilog="Environment: DURATION, PLAIN, BOARD.")
    parser.add_argument("--picture", metavar="FILE", help="draw the screen as SVG and end")
    options = parser.parse_args(arguments)
    try:
        settings = Settings(os.environ, sys.stdout.isatty())
    except ValueError as error:
        print(f"run: {error}", file=sys.stderr)
        return 2
    rig = None
    try:
        rig = Rig()
        return start(rig, settings, options.picture)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:                     # whoever read the lines has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Refused, RigFailed, OSError) as error:
        return fail(rig, error)
    finally:
        if rig is not None:
            rig.close()


if __name__ == "__main__":
    sys.exit(main())
