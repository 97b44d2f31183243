"""Days of the whole firmware beside the study's stepping: is it the same state of charge?

The year of tools/studies/soc_study.py calls the estimator alone, every 10 s, with cells of
tools/studies/soc_plant.c. Here the complete firmware runs on the bench (scans, AFE
model, integrator, tasks, storage), through the same days, with the same sensor error, and what it
reports is laid beside what the study's stepping gives. Writes docs/soc-days.md and its picture.

    .venv/bin/python tools/studies/soc_days.py [--days 2] [--boards host,unix] [--out docs]
    .venv/bin/python tools/studies/soc_days.py --page       from what a run has reached by now
"""

import argparse
import json
import math
import os
import pathlib
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import rooms
import soc_study
from bms.words.parameters import Parameters
from plant import Plant
from profiles import am5000
from rig import Rig

PIECE_MIN = 10              # the house changes its mind
LOOK_MIN = 30               # SOC is compared
SEED = 7
SOC = 0.55
GAIN = 0.005                # of the current sensor, hidden from the firmware
OFFSET_MA = 100.0
NOISE_MA = 1.6              # in 10 s
AIM = 0.5                   # % between firmware and stepping


def wish_ma(minute):
    """What the inverter wants, mA, charging positive: night, breakfast, sun, evening."""
    hour = minute // PIECE_MIN * PIECE_MIN / 60 % 24
    if hour < 6:
        return -3000
    if hour < 8:
        return -6000
    if hour < 17:
        return int(22_000 * math.sin(math.pi * (hour - 8) / 9)) - 4000
    return -7000


def stepping(days):
    """The study's way: [(minute, reported, bound, true)] in %."""
    cells = soc_study.cells_of(Plant(SEED, soc=SOC))
    cells.gain = GAIN
    cells.offset_ma = OFFSET_MA
    cells.noise_ma = NOISE_MA
    run = soc_study.Run(soc_study.library(), cells, Parameters(am5000.DEFAULTS), days * 1440 + 9)
    run.boot()
    rows = []
    for minute in range(days * 1440):
        run.minute(wish_ma(minute))
        if not (minute + 1) % LOOK_MIN:
            rows.append((minute + 1, run.soc.cpct / 100, run.soc.uncertainty_cpct / 100,
                         100 * run.truth()[0]))
    return rows


def reached(board):
    """Where a run keeps its rows while it goes on: [rows, seconds]."""
    return soc_study.ROOT / "build" / f"soc-days-{board}.json"


def firmware(board, days):
    """The same of the whole firmware on *board*; kept as it goes, see reached()."""
    began = time.monotonic()
    rig = Rig(cpu_s=600.0, chunk_us=1_000_000)     # the machine may be busy; no port is
    rig.open(board=board, seed=SEED, plant={"soc": SOC})
    rig.set(fault={"shunt_gain": 1 + GAIN, "shunt_offset_ma": OFFSET_MA})
    rig.power(on=False)         # the sensor is wrong from the first start on
    rig.power(on=True)
    rows = []
    for minute in range(0, days * 1440, PIECE_MIN):
        wish = wish_ma(minute)
        rig.set(charger_mv=56_000 if wish > 0 else None, charger_ma=wish if wish > 0 else None,
                load_ma=max(0, -wish))
        rig.run(PIECE_MIN * 60_000)
        if not (minute + PIECE_MIN) % LOOK_MIN:
            got = rig.get()
            rows.append((minute + PIECE_MIN, got["report"]["soc"],
                         got["report"]["soc_uncertainty_cpct"] / 100, 100 * got["truth"]["soc"]))
            reached(board).write_text(json.dumps([rows, time.monotonic() - began]))
            if not (minute + PIECE_MIN) % 360:
                print("%s: %d h, %.2f %% (true %.2f %%), %d s" % (
                    board, (minute + PIECE_MIN) // 60, rows[-1][1], rows[-1][3],
                    time.monotonic() - began), flush=True)
    rig.close()


def since_full(rows):
    """The rows from the first end of charge on: before it nobody can know."""
    return rows[next((k for k, row in enumerate(rows) if row[1] == 100), len(rows) - 1):]


def error_of(rows):
    """Largest error of the reported SOC, %."""
    return max(abs(row[1] - min(100, max(0, row[3]))) for row in since_full(rows))


def apart(rows, steps):
    """Largest difference of the reported SOC, %: before and since the first end of charge."""
    found = [abs(a[1] - b[1]) for a, b in zip(rows, steps)]
    first = len(rows) - len(since_full(rows))
    return max(found[:first], default=0), max(found[first:])


def picture(found, steps, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    plt.rcParams.update({"font.size": 8, "figure.dpi": 90, "savefig.bbox": "tight"})
    figure, axes = plt.subplots(2, 1, figsize=(9, 5), sharex=True)
    axes[0].plot([row[0] / 60 for row in steps], [row[3] for row in steps], "k", lw=0.8,
                 label="true, study")
    axes[0].plot([row[0] / 60 for row in steps], [row[1] for row in steps], "C7", lw=2.5,
                 alpha=0.5, label="reported, study's stepping")
    for board, (rows, _) in found.items():
        hours = [row[0] / 60 for row in rows]
        axes[0].plot(hours, [row[1] for row in rows], lw=0.8,
                     label="reported, firmware on " + board)
        axes[1].plot(hours, [a[1] - b[1] for a, b in zip(rows, steps)], lw=0.8,
                     label="firmware on %s less stepping" % board)
    axes[0].set_ylabel("SOC, %")
    axes[0].legend(fontsize=7)
    axes[1].set_ylabel("difference, %")
    axes[1].set_xlabel("hour")
    axes[1].legend(fontsize=7)
    figure.savefig(path)
    plt.close(figure)


def load(board):
    """(rows, times real time) of what a run on *board* has reached."""
    rows, seconds = json.loads(reached(board).read_text())
    return [tuple(row) for row in rows], rows[-1][0] * 60 / seconds


def page(found, steps, days):
    """docs/soc-days.md."""
    lines = [
        "# The whole firmware beside the study's stepping", "",
        "Made by `make soc-report` (`tools/studies/soc_days.py`); do not edit. %d days: a "
        "household"
        % days,
        "with sun, the pack full each afternoon; current sensor off by %+.1f %% and %+.0f mA, "
        "first"
        % (100 * GAIN, OFFSET_MA),
        "start with an empty memory. SOC every %d minutes." % LOOK_MIN, rooms.figures_of(), "",
        "From the first end of charge on (before it, a guess from the rest voltage, of which a "
        "millivolt is", "half a per cent or more):", "",
        "| firmware on | hours | largest difference to the stepping (aim: <= %.1f %%) | ... "
        "before | largest error | the stepping's | speed, times real time |" % AIM,
        "| --- | --: | --: | --: | --: | --: | --: |"]
    for board, (rows, speed) in found.items():
        before, since = apart(rows, steps)
        hours = rows[-1][0] // 60
        lines.append("| %s | %d%s | %.2f %% %s | %.2f %% | %.2f %% | %.2f %% | %.0f |" % (
            board, hours, "" if hours == 24 * days else " **of %d**" % (24 * days),
            since, soc_study.verdict(since <= AIM), before, error_of(rows),
            error_of(steps[:len(rows)]), speed))
    lines += ["", "![SOC of firmware and stepping](soc-days.png)", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--boards", default="host,unix")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--page", action="store_true", help="run nothing")
    parser.add_argument("--out", type=pathlib.Path, default=soc_study.ROOT / "docs")
    args = parser.parse_args()
    boards = args.boards.split(",")
    steps = stepping(args.days)
    if not args.page:
        with ProcessPoolExecutor(args.jobs) as pool:
            list(pool.map(firmware, boards, [args.days] * len(boards)))
    found = {board: load(board) for board in boards}
    args.out.mkdir(parents=True, exist_ok=True)
    picture(found, steps, args.out / "soc-days.png")
    text = page(found, steps, args.days)
    (args.out / "soc-days.md").write_text(text)
    print(text)
    sys.exit("MISSED" in text)


if __name__ == "__main__":
    main()
