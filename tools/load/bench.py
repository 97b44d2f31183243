#!/usr/bin/env python3
"""How fast, how small, how idle: measures the firmware and prints a table.

    make bench                       everything, compared with the last time
    .venv/bin/python tools/load/bench.py [--quick] [--check] [--json FILE] [--only SECTION,...]

Times of the board are *emulated*: the UF2 runs on the emulated RP2040 at 125 MHz, which counts
cycles like the chip but has no cache misses of flash. "CPU" is the time the core is awake
(executing, or polling a bus), "wall" the time that passes. Two runs give the same figures, except
those of the section `speed`, which are about this computer.

The result is kept in build/bench.json (--quick: build/bench-quick.json); what changed since the
one before is shown in per cent. Exit code 1: something could not be measured, or with --check an
aim is missed.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms                                                    # noqa: E402
from packctl import link                                        # noqa: E402
import toolchain                                                # noqa: E402
from rooms import ROOT                                          # noqa: E402

SCAN_MS = 100
MAIN = ROOT / "firmware" / "main.py"
LOAD_MA = 20_000
ON_DEVICE = pathlib.Path(__file__).resolve().parent / "on_device"

# What a full bench does, and a quick one.
FULL = {"steady_s": 20, "asks": 110, "cycles": 20, "memory_cycles": 50, "protect": 50,
        "records": 2000, "same": 2000, "host_s": 120, "unix_s": 60, "rp2040_s": 10}
QUICK = {"steady_s": 3, "asks": 4, "cycles": 2, "memory_cycles": 10, "protect": 3,
         "records": 300, "same": 100, "host_s": 10, "unix_s": 5, "rp2040_s": 1}


class BenchError(Exception):
    """Something could not be measured; the text says what and why."""


def task_names(source):
    """Names of the tasks in *source* of main.py, in the order of the scheduler's table."""
    table = re.search(r"^ +tasks = \[$(.*?)^ +\]$(.*)", source, re.DOTALL | re.MULTILINE)
    names = table and re.findall(r'^ +Task\("(\w+)",', table[1], re.MULTILINE)
    if names:           # a port may have more of them, behind these
        names += re.findall(r'^ +tasks\.append\(Task\("(\w+)",', table[2], re.MULTILINE)
    if not names or len(names) != len(re.findall(r"\bTask\(", source)):
        raise BenchError("main.py does not build its tasks in one list any more")
    return names


class Row:
    """One figure. key: its name for machines; aim: (">=" or "<=", number) or None."""

    def __init__(self, key, name, value, unit, aim=None, digits=1):
        self.key = key
        self.name = name
        self.value = round(value, digits) if isinstance(value, float) else value
        if digits == 0 and isinstance(self.value, float):
            self.value = int(self.value)
        self.unit = unit
        self.aim = aim

    @property
    def ok(self):
        """True, False, or None without an aim."""
        if self.aim is None:
            return None
        sense, limit = self.aim
        return self.value >= limit if sense == ">=" else self.value <= limit

    def as_dict(self):
        return {"key": self.key, "name": self.name, "value": self.value, "unit": self.unit,
                "aim": " ".join(map(str, self.aim)) if self.aim else None, "ok": self.ok}


# ---- the table ----------------------------------------------------------------------------------


def change_text(row, previous):
    """Change since the last bench: "", "=", "+3.1 %" or "new"."""
    if not previous:
        return ""
    if row.key not in previous:
        return "new"
    before = previous[row.key]
    if before == row.value:
        return "="
    if not before:
        return f"was {before}"
    return f"{100 * (row.value - before) / before:+.1f} %"


def number_text(value):
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def table(sections, previous=None):
    """The lines to print for {section title: [Row]}. previous: {key: value} of the last bench."""
    head = ("", "value", "unit", "aim", "ok", "change" if previous else "")
    rows = []
    for title, section in sections.items():
        rows.append((title,))
        for row in section:
            aim = f"{row.aim[0]} {row.aim[1]}" if row.aim else ""
            ok = {None: "", True: "ok", False: "NOT"}[row.ok]
            rows.append(("  " + row.name, number_text(row.value), row.unit, aim, ok,
                         change_text(row, previous)))
    full = [head] + [row for row in rows if len(row) > 1]
    width = [max(len(row[i]) for row in full) for i in range(len(head))]
    lines = []
    for row in [head] + rows:
        if len(row) == 1:
            lines += ["", row[0]]
            continue
        name, value, *rest = row
        texts = [name.ljust(width[0]), value.rjust(width[1])]
        texts += [text.ljust(w) for text, w in zip(rest, width[2:])]
        lines.append("  ".join(texts).rstrip())
    return lines


# ---- sections -----------------------------------------------------------------------------------


def new_meter(image, stand=None):
    """An emulated board with a pack that is being discharged. *stand*: options of the models."""
    from meter import Meter
    meter = Meter(image.uf2, stand)
    meter.target.set({"load_ma": LOAD_MA})
    return meter


def boot_and_load(image, size, rows):
    """Power-on, then steady state without any traffic."""
    meter = new_meter(image)
    decision_ms = meter.run_until_edges(("fets.chg", "fets.dsg"))
    rows["Boot and load of the core (emulated)"] = out = [
        Row("boot.decision_ms", "power-on to first decision: both FETs closed", decision_ms, "ms")]
    meter.run(2_000_000)
    meter.clear()
    total = meter.measure(size["steady_s"] * 1_000_000)
    out += [
        Row("load.idle_pct", "asleep in WFI, steady state",
            100 * (1 - total.cpu_us / total.wall_us), "%", (">=", 90), 2),
        Row("load.cpu_us", "CPU in a second",
            total.cpu_us / size["steady_s"], "us", digits=0),
        Row("load.polling_us", "... of it polling a bus",
            total.polling_us / size["steady_s"], "us", digits=0)]
    in_tasks_us = 0
    for number, name in enumerate(task_names(MAIN.read_text("utf-8")), 1):
        spans = [span for task, span in meter.task_spans if task == number]
        if not spans:
            raise BenchError(f"task {name} did not run in {size['steady_s']} s")
        cpu_us = sum(span.cpu_us for span in spans)
        in_tasks_us += cpu_us
        out += [
            Row(f"load.{name}_pct", f"task {name}: share of the core",
                100 * cpu_us / total.wall_us, "%", digits=2),
            Row(f"load.{name}_us", f"task {name}: CPU of a step, mean",
                cpu_us / len(spans), "us"),
            Row(f"load.{name}_worst_us", f"task {name}: wall time of a step, longest",
                max(span.wall_us for span in spans), "us")]
    steps = len(meter.task_spans)
    out += [
        Row("load.scheduler_pct", "scheduler and going to sleep: share of the core",
            100 * (total.cpu_us - in_tasks_us) / total.wall_us, "%", digits=2),
        Row("load.scheduler_us", "scheduler and going to sleep: CPU for each step of a task",
            (total.cpu_us - in_tasks_us) / steps, "us")]
    return meter


# What the port to the inverter is asked in turn: (VER, CID2, INFO)
RS485_REQUESTS = ((0x20, 0x42, "02"), (0x20, 0x92, "02"), (0x20, 0x61, ""), (0x20, 0x63, ""),
                  (0x20, 0x62, ""), (0x20, 0x44, "02"), (0x20, 0x42, "FF"), (0x25, 0x42, "00"),
                  (0x25, 0x44, "00"), (0x20, 0x47, ""), (0x20, 0x60, ""))


def pylontech_request(cid2, info="02", adr=0x02, ver=0x20):
    """A request of the RS485 protocol as bytes."""
    count = len(info)
    check = (count & 0xF) + (count >> 4 & 0xF) + (count >> 8 & 0xF)
    length = (~check & 0xF) + 1 & 0xF
    body = f"{ver:02X}{adr:02X}46{cid2:02X}{length << 12 | count:04X}{info}".encode()
    return b"~" + body + f"{-sum(body) & 0xFFFF:04X}".encode() + b"\r"


def replies(meter, size, rows):
    """Questions at random phases of the schedule (the same ones in every run)."""
    out = []
    phase = random.Random(1)
    delays = {"first": [], "debug": [], "debug_end": []}
    start = meter.stamp()
    for i in range(size["asks"]):
        meter.run(phase.randrange(20_000, 220_000))
        ver, cid2, info = RS485_REQUESTS[i % len(RS485_REQUESTS)]
        request = pylontech_request(cid2, info, ver=ver, adr=0 if ver == 0x25 else 2)
        if i % 2:               # the debug port wants a report at the same time
            meter.pico.debug_feed(link.encode(link.SEQ_CLIENT[0], link.REPORT))
        first_us, _, answer = meter.ask_rs485(request)
        if first_us is None or answer[7:9] != b"00":
            raise BenchError(f"request {request!r} on RS485 was answered {answer!r}")
        delays["first"].append(first_us / 1000)
    for i in range(size["asks"]):
        meter.run(phase.randrange(20_000, 220_000))
        seq = link.SEQ_CLIENT[0] + i
        first_us, end_us, answer = meter.ask_debug(link.encode(seq, link.REPORT))
        pieces = link.Splitter().feed(answer)
        if len(pieces) != 1 or not isinstance(pieces[0], link.Frame) or pieces[0].seq != seq:
            raise BenchError(f"REPORT on the debug port was answered {answer!r}")
        delays["debug"].append(first_us / 1000)
        delays["debug_end"].append(end_us / 1000)
    total = meter.stamp()
    for key, port, name, values in (
            ("rs485", "RS485", "first byte", delays["first"]),
            ("report", "debug port, REPORT", "first byte", delays["debug"]),
            ("report_end", "debug port, REPORT", "last byte", delays["debug_end"])):
        for what, value in (("min", min(values)), ("mean", sum(values) / len(values)),
                            ("max", max(values))):
            out.append(Row(f"reply.{key}_{what}_ms", f"{port}: end of request to {name}, {what}",
                           value, "ms", REPLY_AIMS.get((key, what)), 2))
    awake_us = total.busy_us + total.polling_us - start.busy_us - start.polling_us
    rate = 2e6 * size["asks"] / (total.us - start.us)
    out.append(Row("reply.idle_pct", f"asleep in WFI while asked {rate:.1f} times a second",
                   100 * (1 - awake_us / (total.us - start.us)), "%", digits=2))
    rows["Replies (emulated; wire time of the request not counted)"] = out


REPLY_AIMS = {("rs485", "max"): ("<=", 50), ("busy", "max"): ("<=", 50)}    # COM-06


def busy_replies(image, size, rows):
    """The same questions to a master on the parallel bus, with the longest set of CAN frames, a
    blinking panel, and each time a record written to flash; debug port as before."""
    meter = new_meter(image, {"dip": 1})
    meter.run_until_edges(("fets.chg", "fets.dsg"))
    number = {row[1]: row[0] for row in parameter_table()}
    victron = struct.pack("<Hi", number["can_variant"], 3)
    meter.ask_debug(link.encode(link.SEQ_CLIENT[0], link.PARAM_SET, victron))
    meter.run(2_000_000)
    phase = random.Random(2)
    first = []
    for i in range(size["asks"]):
        change = struct.pack("<Hi", number["oc_release_ms"], 60_000 + 1000 * (i % 2))
        meter.pico.debug_feed(link.encode(link.SEQ_CLIENT[0] + i % 100, link.PARAM_SET, change))
        meter.run(phase.randrange(20_000, 220_000))
        ver, cid2, info = RS485_REQUESTS[i % len(RS485_REQUESTS)]
        request = pylontech_request(cid2, info, ver=ver, adr=1 if ver == 0x25 else 2)
        if i % 2:
            meter.pico.debug_feed(link.encode(link.SEQ_CLIENT[0], link.REPORT))
        first_us, _, answer = meter.ask_rs485(request)
        if first_us is None or answer[7:9] != b"00":
            raise BenchError(f"request {request!r} on RS485 was answered {answer!r}")
        first.append(first_us / 1000)
    rows["Replies of a busy master (emulated)"] = [
        Row(f"reply.busy_{what}_ms", f"RS485: end of request to first byte, {what}", value, "ms",
            REPLY_AIMS.get(("busy", what)), 2)
        for what, value in (("min", min(first)), ("mean", sum(first) / len(first)),
                            ("max", max(first)))]


def parameter_table():
    """(number, name, ...) of every parameter."""
    rooms.use(ROOT / "firmware", rooms.MOCKS)
    from bms.words.parameters import TABLE
    return TABLE


PHASES = (      # key, name, [(tag of device.py, sign)]
    ("scan_io", "scan I/O: frames on SPI", [(11, 1), (12, 1)]),
    ("decode", "decode: CRC check, values, plausibility", [(13, 1), (14, 1)]),
    ("protection", "protection table", [(16, 1)]),
    ("limits", "current limits: derating, allowance, limiter", [(22, 1)]),
    ("pack", "pack step without protection table and limits", [(18, 1), (16, -1), (22, -1)]),
    ("fets", "FET decision and read-back", [(19, 1), (20, 1), (21, 1)]),
)


def cycle_rows(marks):
    """Rows of the control step from {tag: Span}, marks taken off."""
    def figure(parts, field):
        return sum(sign * getattr(marks[tag], field) for tag, sign in parts)

    out = []
    rest = {"cpu_us": figure([(10, 1)], "cpu_us"), "wall_us": figure([(10, 1)], "wall_us")}
    for key, name, parts in PHASES:
        cpu_us, wall_us = figure(parts, "cpu_us"), figure(parts, "wall_us")
        rest["cpu_us"] -= cpu_us
        rest["wall_us"] -= wall_us
        out += [Row(f"cycle.{key}_cpu_us", f"{name}, CPU", cpu_us, "us"),
                Row(f"cycle.{key}_wall_us", f"{name}, wall", wall_us, "us")]
        if key == "scan_io":
            out.append(Row("cycle.scan_io_polling_us", f"{name}, polling (part of CPU)",
                           figure(parts, "polling_us"), "us"))
    out += [Row("cycle.rest_cpu_us", "all else of the control step, CPU", rest["cpu_us"], "us"),
            Row("cycle.cpu_us", "scan to decision: whole control step, CPU",
                figure([(10, 1)], "cpu_us"), "us"),
            Row("cycle.wall_us", "scan to decision: whole control step, wall",
                figure([(10, 1)], "wall_us"), "us")]
    return out


def mean_marks(meter):
    """{tag: mean Span} without what a mark costs."""
    from meter import Span, mean
    import itertools
    marks = {tag: mean(spans) for tag, spans in meter.mark_spans.items()}
    own = marks.pop(1)
    return {tag: Span(*itertools.starmap(lambda a, b: max(a - b, 0.0), zip(span, own)))
            for tag, span in marks.items()}


def heap_free(meter):
    """What the firmware itself says; a script at the prompt takes some 15 kB of it."""
    _, _, answer = meter.ask_debug(b"tasks\r", quiet_us=200_000)       # a line a step
    found = re.search(rb"free memory: (\d+) bytes", answer)
    if found is None:
        raise BenchError(f"`tasks` on the debug port was answered {answer!r}")
    return int(found[1])


def cycle_and_memory(meter, size, rows):
    """The parts of the control step; memory. Leaves the interpreter ready for scripts."""
    meter.run(1_500_000)                # the supervisor measures each second
    free = heap_free(meter)
    meter.prepare()
    meter.script("app = start()")
    meter.clear()
    printed = meter.script(f"phases(app, {size['cycles']})").split()
    gone = [name for word, name in zip(printed, printed[1:]) if word == "missing"]
    if gone:
        raise BenchError("on_device/device.py marks functions that are gone from the firmware: "
                         + ", ".join(gone))
    rows["Cycle of 100 ms, scan to decision (emulated)"] = cycle_rows(mean_marks(meter))
    printed = meter.script(f"memory(app, {size['memory_cycles']})\nfinish(app)\n"
                           "app = None\ngc.collect()")
    words = [line.split() for line in printed.splitlines() if line.strip()]
    found = {" ".join(line[:-1]): int(line[-1]) for line in words}
    named = [key[5:] for key in found if key.startswith("task ")]      # as the board has them
    if named != task_names(MAIN.read_text("utf-8")):
        raise BenchError("the board's tasks are " + " ".join(named))
    cycles = size["memory_cycles"]
    out = rows["Memory (emulated)"] = [
        Row("heap.free", "heap free with the pack running", free, "bytes"),
        Row("heap.cycle", f"allocated per cycle, all tasks, over {cycles} cycles",
            found["allocated"] / cycles, "bytes", ("<=", 0))]
    out += [Row(f"heap.{name}", f"allocated per step of task {name}",
                found[f"task {name}"] / 20, "bytes") for name in named]


def event_log(image, size, rows):
    """Records in flash: written, and found again as at a start."""
    meter = new_meter(image)
    meter.prepare()
    printed = meter.script(f"event_log({size['records']})")
    found = {word: int(number) for word, number in
             (line.split() for line in printed.splitlines() if line.strip())}
    out = rows[f"Event log, {size['records']} records written (emulated, erase 45 ms)"] = [
        Row("log.open_ms", "opened at a start", found["open"] / 1000, "ms", ("<=", 200)),
        Row("log.held", "records held, the newest", found["held"], "", None)]
    if size["records"] >= 2000:
        out[1].aim = (">=", 1000)
    out += [
        Row("log.write_us", "a record written", found["write"], "us"),
        Row("log.write_worst_us", "longest", found["worst"], "us"),
        Row("log.read_us", "a record read", found["read"], "us"),
        Row("log.erases", "sectors erased", found["erases"], "")]


def c_module():
    """The C yardstick as an .mpy, built once for a given source."""
    tree = toolchain.sources()
    files = [ON_DEVICE / "Makefile", ON_DEVICE / "protect_step.c"]
    key = hashlib.sha256(b"".join(f.read_bytes() for f in files) + str(tree.key).encode())
    folder = toolchain.cache_dir() / f"bench-{key.hexdigest()[:16]}"
    made = folder / "protect_c.mpy"
    if not made.exists():
        toolchain.ensure_packages(arm=True)
        part = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for file in files:
            shutil.copy2(file, part)
        command = ["make", f"MPY_DIR={tree.path}", f"PYTHON={sys.executable}"]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(command, cwd=part, env=env, capture_output=True, text=True)
        if done.returncode:
            raise BenchError("the C module could not be built:\n" + done.stdout + done.stderr)
        if not folder.exists():
            os.replace(part, folder)
    return made.read_bytes()


def names():
    """Source that gives device.py the names of numbers which the image has by value alone."""
    rooms.use(ROOT / "firmware", rooms.MOCKS)
    from bms.words import readings
    from hot.protect_py import STATE, WIDTH
    slots = {name: value for name, value in vars(readings).items() if type(value) is int}
    return f"slots = {slots!r}\nSTATE, WIDTH = {STATE}, {WIDTH}\n"


def protection(meter, size, rows):
    """The protection step in viper, Python and C."""
    nothing = subprocess.run([toolchain.mpy_cross(), "-march=armv6m", "-o", "-",
                              ON_DEVICE / "nothing.py"], capture_output=True, check=True).stdout
    meter.script(names() + f"module = load('protect_c', {c_module()!r})\n"
                 f"nothing = load('nothing', {nothing!r})")
    meter.clear()
    printed = meter.script(f"protection_time(module, nothing, {size['protect']})").split()
    items = int(printed[printed.index("items") + 1])
    marks = mean_marks(meter)
    same = meter.script(f"protection_same(module, {size['same']}, 7)")
    different = int(same.split()[-1])
    viper, python, c = (marks[tag].cpu_us for tag in (30, 31, 32))
    call = {name: marks[tag].cpu_us for name, tag in (("viper", 2), ("python", 3), ("c", 4))}
    table_us = [figure - call[name] for figure, name in
                ((viper, "viper"), (python, "python"), (c, "c"))]
    what = f"protection step, {items} items"
    rows["Protection step: viper, Python twin, C as a native module (emulated)"] = [
        Row("protect.viper_us", f"{what}, viper", viper, "us", digits=2),
        Row("protect.python_us", f"{what}, Python twin", python, "us", digits=2),
        Row("protect.c_us", f"{what}, C", c, "us", digits=2),
        Row("protect.viper_gain", "times faster than the twin", python / viper, "x",
            (">=", 20), 2),
        Row("protect.viper_to_c", "times as long as C", viper / c, "x", ("<=", 3), 2),
        Row("protect.net_gain", "times faster than the twin, call not counted",
            table_us[1] / table_us[0], "x", digits=2),
        Row("protect.net_to_c", "times as long as C, call not counted",
            table_us[0] / table_us[2], "x", digits=2),
        Row("protect.different", f"steps of {size['same']} where the three differ", different, "",
            ("<=", 0)),
    ]
    if different:
        print(same, file=sys.stderr)


def image_size(image, rows):
    size = image.size
    if size is None:
        return
    rows["Image"] = [
        Row("size.flash", "flash used by the image", size["flash"], "bytes",
            ("<=", size["flash_limit"])),
        Row("size.modules", "... of it frozen modules, as .mpy", sum(size["modules"].values()),
            "bytes"),
        Row("size.ram", "RAM taken at link time", size["data"] + size["bss"], "bytes")]


def speed(size, rows):
    """How many times real time each target of the rig runs on this computer."""
    from rig import Rig
    out = rows["Speed of the rig on this computer (differs from run to run)"] = []
    for board, aim in (("host", 50), ("unix", 30), ("rp2040", 1)):
        with Rig() as rig:
            rig.open(board, plant={"soc": 0.5}, spread=0)
            rig.set(load_ma=LOAD_MA)
            rig.run(1000)
            simulated_s = size[f"{board}_s"]
            start = time.perf_counter()
            rig.run(1000 * simulated_s)
            took_s = time.perf_counter() - start
        out.append(Row(f"speed.{board}", f"{board}: simulated seconds in a second",
                       simulated_s / took_s, "x", (">=", aim), 2))


SECTIONS = ("board", "protection", "storage", "size", "speed")


def run(size, only=SECTIONS):
    """Measure; returns ({title: [Row]}, [complaints])."""
    rows, complaints = {}, []

    def attempt(what, function, *arguments):
        try:
            return function(*arguments)
        except Exception as error:      # noqa: BLE001  the other sections still count
            complaints.append(f"{what}: {type(error).__name__}: {error}")
            return None

    image = toolchain.firmware()
    if {"board", "protection"} & set(only):
        meter = None
        if "board" in only:
            meter = attempt("boot and load", boot_and_load, image, size, rows)
            if meter:
                attempt("replies", replies, meter, size, rows)
            attempt("busy replies", busy_replies, image, size, rows)
        meter = meter or new_meter(image)
        if "board" in only:
            attempt("cycle and memory", cycle_and_memory, meter, size, rows)
        if "protection" in only:
            def protection_alone():
                meter.prepare()
                protection(meter, size, rows)
            attempt("protection step", protection_alone)
    if "storage" in only:
        attempt("event log", event_log, image, size, rows)
    if "size" in only:
        attempt("image", image_size, image, rows)
    if "speed" in only:
        attempt("speed", speed, size, rows)
    return rows, complaints


# ---- command line -------------------------------------------------------------------------------


def read_previous(path):
    """{key: value} of an earlier result; {} if there is none."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {row["key"]: row["value"] for row in stored["rows"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions, rough figures")
    parser.add_argument("--check", action="store_true", help="exit code 1 if an aim is missed")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="where the result goes")
    parser.add_argument("--only", metavar="SECTION,...", default=",".join(SECTIONS),
                        help="some of " + ",".join(SECTIONS))
    args = parser.parse_args(argv)
    only = tuple(args.only.split(","))
    for section in only:
        if section not in SECTIONS:
            parser.error(f"there is no section {section!r}; there are " + ", ".join(SECTIONS))
    path = args.json or ROOT / "build" / ("bench-quick.json" if args.quick else "bench.json")
    previous = read_previous(path)
    try:
        rows, complaints = run(QUICK if args.quick else FULL, only)
    except toolchain.ToolchainError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n".join(table(rows, previous)))
    flat = [row for section in rows.values() for row in section]
    missed = [row for row in flat if row.ok is False]
    print()
    print(f"{len(flat)} figures, {sum(row.ok is not None for row in flat)} with an aim, "
          f"{len(missed)} of them missed" + (": " + ", ".join(r.key for r in missed)
                                             if missed else ""))
    for complaint in complaints:
        print(f"bench: not measured: {complaint}", file=sys.stderr)
    if set(only) == set(SECTIONS) or args.json:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(
            {"quick": args.quick, "not_measured": complaints,
             "rows": [row.as_dict() for row in flat]}, indent=1) + "\n", encoding="utf-8")
    return 1 if complaints or args.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
