#!/usr/bin/env python3
"""Power cuts within every flash operation of what the firmware keeps.

    .venv/bin/python tools/powercut.py            all, and docs/powercut.md
    .venv/bin/python tools/powercut.py --quick    a part, nothing written

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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from link import LinkError                                      # noqa: E402
from rig import Rig                                             # noqa: E402
from rig_targets import find_unix                               # noqa: E402

TOOLS = pathlib.Path(__file__).resolve().parent
REPORT = TOOLS.parent / "docs" / "powercut.md"
WORKLOADS = {
    "log": "event records, sectors begun and erased ahead",
    "params": "a parameter is set, and kept by itself",
    "many-params": "so many that littlefs gives them a block",
    "save": "the host's `save`",
    "soc": "state of charge",
    "reset": "everything at once: reset, sleep, rocker",
    "restore": "restore defaults",
    "migration": "the first start with a set of another version",
}
SAMPLE = ((1, 0.3), (1, 0.9), (2, 0.0), (2, 0.5), (3, 0.5), (4, 0.97))
QUICK_SAMPLE = ((2, 0.5),)
LIMIT_MS = 1000                 # from power until everything kept is loaded


def on_unix(name, quick, limit_s=1800):
    """Result of one workload, a dict (powercut_device.py)."""
    done = subprocess.run(
        [find_unix(), "-X", "heapsize=48M", str(TOOLS / "powercut_device.py"), name,
         "1" if quick else "0"],
        env={"MICROPYPATH": ".frozen"}, capture_output=True, timeout=limit_s)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.decode()[-1500:]}")
    return json.loads(done.stdout.decode().splitlines()[-1])


def loaded_after(rig, limit_ms=3000):
    """Milliseconds from power-on until the watchdog is started: what is kept has been loaded."""
    start_ms = rig.run(0)["t_ms"]
    while rig.run(5)["t_ms"] - start_ms < limit_ms:
        if rig.look()[0]["wdt_fed_ms_ago"] is not None:
            return rig.run(0)["t_ms"] - start_ms
    return None


def patiently(ask, rig, tries=6):
    """What *ask* answers; a controller that has just started may not do so at once."""
    for _ in range(tries):
        try:
            return ask()
        except LinkError:
            rig.run(700)
    return ask()


def on_pico(sample, board="rp2040"):
    """[(what, operation, torn, boot ms, list of what is wrong)]."""
    rows = []
    with Rig() as rig:
        rig.open(board, plant={"soc": 0.5})
        rig.run(4000)
        rig.power(False)
        rig.run(100)
        rig.power(True)
        rows.append(("none", 0, 0, loaded_after(rig), []))
        rig.run(2000)
        value = 3600
        for count, torn in sample:
            for what in ("param", "log", "reset"):
                value += 1
                took_ms, wrong = cut_pico(rig, what, count, torn, value)
                if took_ms and took_ms > LIMIT_MS:
                    wrong.append(f"loaded after {took_ms} ms")
                rows.append((what, count, torn, took_ms, wrong))
    return rows


def cut_pico(rig, what, count, torn, value):
    """One cut; (boot ms, list of what is wrong)."""
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
    rig.power(False)
    rig.run(100)
    rig.power(True)
    took_ms = loaded_after(rig)
    if took_ms is None:
        return None, ["it does not start"]
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
        "Made by `make powercut` (tools/powercut.py). Every flash operation of every step is cut "
        "at 18 fractions of it, from not begun to all but done; then the controller starts from "
        "what the flash holds. *Wrong*: a parameter, the charge, a counter or a record that is "
        "neither what it was nor what it was to be. *Missing*: the record that was being written "
        "is not there; one that was written before never is.", "",
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
              "The image that a board gets. Emulated time from power until all is loaded; "
              "*none* is a start without a cut.", "",
              "| what is done | operation cut | of it done | starts after | wrong |",
              "| --- | --: | --: | --: | --- |"]
    for what, count, torn, took_ms, wrong in rows:
        lines.append(f"| {what} | {count} | {torn:g} | {took_ms} ms | "
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
