#!/usr/bin/env python3
"""Power cuts within every flash operation of what the firmware keeps.

    .venv/bin/python tools/proof/powercut.py            all, and docs/powercut.md
    .venv/bin/python tools/proof/powercut.py --quick    a part, nothing written

On MicroPython's unix port, with its real littlefs on a model of the flash, every operation of
every step is cut, at 18 fractions of it (powercut_device.py). On the emulated RP2040 the same
firmware as on a board is cut within operations of a save, a log and a reset (a sample: each takes
seconds), and how long it then takes to start is measured in emulated time.
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms                                                    # noqa: E402
from rooms import ROOT                                          # noqa: E402

from packctl.link import LinkError                                      # noqa: E402
from rig import Rig                                             # noqa: E402
from rig_targets import find_unix                               # noqa: E402

DRIVER = pathlib.Path(__file__).resolve().parent / "on_device" / "powercut_device.py"
REPORT = ROOT / "docs" / "powercut.md"
WORKLOADS = {
    "log": "event records, sectors begun and erased ahead",
    "params": "a parameter is set, and kept by itself",
    "many-params": "so many that littlefs gives them a block",
    "save": "the host's `save`",
    "soc": "state of charge",
    "power": "timed wakes, over-charge and its wait",
    "reset": "everything at once: reset, sleep, rocker",
    "restore": "restore defaults",
    "migration": "the first start with a set of another version",
}
SAMPLE = ((1, 0.3), (1, 0.9), (2, 0.0), (2, 0.5), (3, 0.5), (4, 0.97))
QUICK_SAMPLE = ((2, 0.5),)
# from power until everything kept is loaded and it answers; 1.12 s measured after a torn write
LIMIT_MS = 1250
_STEP_MS = 10


def on_unix(name, quick, limit_s=1800):
    """Result of one workload, a dict (powercut_device.py)."""
    done = subprocess.run(
        [find_unix(), "-X", "heapsize=48M", str(DRIVER), name,
         "1" if quick else "0"],
        env={"MICROPYPATH": ".frozen"}, capture_output=True, timeout=limit_s)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.decode()[-1500:]}")
    return json.loads(done.stdout.decode().splitlines()[-1])


def start_times(rig, limit_ms=4000):
    """Milliseconds from power-on until what is kept is loaded (the watchdog is started), the
    debug port answers, and a FET is closed; None for what does not come within *limit_ms*."""
    start_ms = rig.run(0)["t_ms"]
    loaded_ms = answers_ms = closed_ms = None
    now_ms = 0
    while closed_ms is None and now_ms < limit_ms:
        asked = loaded_ms is not None and answers_ms is None
        heard = asked and rig.hears(_STEP_MS * 1000)
        now_ms = rig.run(0 if asked else _STEP_MS)["t_ms"] - start_ms
        wire = rig.look()[0]
        if heard:
            answers_ms = now_ms
        if loaded_ms is None and wire["wdt_fed_ms_ago"] is not None:
            loaded_ms = now_ms
        if wire["fets"]["chg"] or wire["fets"]["dsg"]:
            closed_ms = now_ms
    return loaded_ms, answers_ms, closed_ms


def off_and_on(rig):
    """A minute without supply: after more than 3 starts in 60 s the FETs are held (PRO-27)."""
    rig.power(False)
    rig.run(61_000)
    rig.power(True)


def patiently(ask, rig, tries=6):
    """What *ask* answers; a controller that has just started may not do so at once."""
    for _ in range(tries):
        try:
            return ask()
        except LinkError:
            rig.run(700)
    return ask()


def on_pico(sample, board="rp2040"):
    """[(what, operation, torn, start_times(), list of what is wrong)]."""
    rows = []
    with Rig() as rig:
        rig.open(board, plant={"soc": 0.5})
        rig.run(4000)
        off_and_on(rig)
        rows.append(("none", 0, 0, start_times(rig), []))
        rig.run(2000)
        value = 3600
        for count, torn in sample:
            for what in ("param", "log", "reset"):
                value += 1
                took_ms, wrong = cut_pico(rig, what, count, torn, value)
                if None in took_ms:
                    wrong.append("it does not start")
                elif took_ms[1] > LIMIT_MS:
                    wrong.append(f"answers after {took_ms[1]} ms")
                rows.append((what, count, torn, took_ms, wrong))
    return rows


def cut_pico(rig, what, count, torn, value):
    """One cut; (start_times(), list of what is wrong)."""
    before = {e["seq"]: e for e in patiently(rig.events, rig)["events"]}
    old = rig.param("cell_ov_trip_mv")["value"]
    rig.set(fault={"cut_at_flash_op": count, "torn": torn})
    with contextlib.suppress(LinkError):        # the cut may come before the answer
        if what == "log":
            rig.set(cell_mv={4: 3560})          # PRO-01 alarm, 3 s later
            rig.run(3500)
            rig.set(cell_mv={4: None})
        else:
            rig.param("cell_ov_trip_mv", value)
            if what == "reset":
                rig.command_text("reset")
    rig.run(4000)
    rig.set(fault={"cut_at_flash_op": None})
    off_and_on(rig)
    took_ms = start_times(rig)
    if None in took_ms:
        return took_ms, []
    wrong = []
    rig.run(1000)
    now = patiently(lambda: rig.param("cell_ov_trip_mv"), rig)["value"]
    if now not in (old, value):
        wrong.append(f"cell_ov_trip_mv is {now}, was {old}, set to {value}")
    after = {e["seq"]: e for e in patiently(rig.events, rig)["events"]}
    for seq, event in before.items():
        if seq < max(before) and after.get(seq) != event:
            wrong.append(f"record {seq} was {event}, is {after.get(seq)}")
    return took_ms, wrong


def report(results, rows, took_s):
    """The lines of docs/powercut.md."""
    total = {key: sum(r[key] for r in results) for key in (
        "operations", "erases", "cuts", "wrong", "failed", "missing")}
    lines = [
        "# Power cuts", "",
        "Made by `make powercut` (tools/proof/powercut.py). Every flash operation of every step"
        " is cut at 18 fractions of it, from not begun to all but done; then the controller "
        "starts from what the flash holds. *Wrong*: a parameter, the charge, a counter or a "
        "record that is neither what it was nor what it was to be. *Missing*: the record that "
        "was being written is not there; one that was written before never is.", "",
        rooms.figures_of(), "",
        "| what is done | steps | flash operations | of these erases | cuts | wrong | no start | "
        "record in work missing |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |"]
    for r in results:
        lines.append(f"| {WORKLOADS[r['workload']]} | {r['steps']} | {r['operations']} | "
                     f"{r['erases']} | {r['cuts']} | {r['wrong']} | {r['failed']} | "
                     f"{r['missing'] if r['workload'] == 'log' else '–'} |")
    lines += [f"| **all** | | {total['operations']} | {total['erases']} | **{total['cuts']}** | "
              f"**{total['wrong']}** | **{total['failed']}** | {total['missing']} |", "",
              "MicroPython's unix port, its littlefs on `tools/models/flash_model.py` (torn "
              "programs and erases), the firmware's own modules."]
    lines += ["", "## On the emulated RP2040", "",
              "The image that a board gets. Emulated time from power until what is kept is "
              f"loaded; until the debug port answers, which may take {LIMIT_MS} ms; until the "
              "self-tests of the start have passed and a FET is closed. *none* is a start without "
              "a cut. The AFE lives on the cells: its protections stand all the time.", "",
              "| what is done | operation cut | of it done | loaded | answers | FET closed "
              "| wrong |",
              "| --- | --: | --: | --: | --: | --: | --- |"]
    for what, count, torn, took_ms, wrong in rows:
        times = " | ".join(f"{ms} ms" for ms in took_ms)
        lines.append(f"| {what} | {count} | {torn:g} | {times} | "
                     f"{'; '.join(wrong) or 'nothing'} |")
    lines += ["", f"Took {took_s:.0f} s."]
    for r in results:
        lines += [f"* {r['workload']}: {text}" for text in r["examples"]]
    return lines


def main(argv=None):
    parser = argparse.ArgumentParser(description="Power cuts within flash operations")
    parser.add_argument("--quick", action="store_true", help="a part, and no report")
    parser.add_argument("--no-rp2040", action="store_true", help="without the emulated board")
    args = parser.parse_args(argv)
    start = time.monotonic()
    results = []
    for name in WORKLOADS:
        result = on_unix(name, args.quick)
        results.append(result)
        print(f"{name}: {result['cuts']} cuts, {result['wrong']} wrong, {result['failed']} "
              "do not start", flush=True)
        for text in result["examples"]:
            print("   ", text)
    rows = [] if args.no_rp2040 else on_pico(QUICK_SAMPLE if args.quick else SAMPLE)
    for row in rows:
        print("rp2040", *row, flush=True)
    lines = report(results, rows, time.monotonic() - start)
    if not args.quick and not args.no_rp2040:
        REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    bad = sum(r["wrong"] + r["failed"] for r in results) + sum(bool(row[4]) for row in rows)
    print(f"{sum(r['cuts'] for r in results) + len(rows)} cuts, {bad} bad, "
          f"{time.monotonic() - start:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
