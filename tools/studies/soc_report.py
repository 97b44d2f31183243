"""The year of the state of charge on a list of cells (SOC-04), one column a cell.

    python tools/studies/soc_report.py [--seeds 24] [--days 365] [--step 60] [--jobs 2]
                                       [--kinds own,a123] [--page] [--out docs]

Each year that is done is kept in build/soc-cells/, so that a run can be ended and taken up again;
a change of the estimator or of the cells begins anew. --page writes what is there. Writes
docs/soc-cells.md.
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import pathlib
import sys

import soc_cells
import soc_study
from rooms import ROOT

PARTIAL = ("self 0", "self 2", "self 4", "self 6", "a123")
_SOURCES = ("firmware/bms/charge/soc.py", "firmware/bms/charge/knees.py",
            "firmware/bms/charge/apart.py", "firmware/bms/charge/drift.py",
            "firmware/bms/words/ocv.py",
            "tools/studies/soc_study.py", "tools/studies/soc_cells.py",
            "tools/studies/soc_plant.c", "tools/models/plant.py")
_KEPT = ("seed", "worst", "squares", "n", "covered", "bound_mean", "capacity_error")


def folder_of(step_s, days):
    """Where the years of the sources as they are now are kept."""
    key = hashlib.sha256()
    for name in _SOURCES:
        key.update((ROOT / name).read_bytes())
    return ROOT / "build" / "soc-cells" / f"{key.hexdigest()[:12]}-{step_s}-{days}"


def set_step(step_s):
    """Steps of estimator and cells; the pages of our own cells have 10 s."""
    soc_study.STEP_S = step_s
    soc_study.STEPS = 60 // step_s


def one(job):
    """A year, or a month of partial cycles, unless it is kept already."""
    what, kind, known, seed, days, step_s, folder = job
    path = pathlib.Path(folder) / f"{what}-{kind}-{'known' if known else 'unknown'}-{seed}.json"
    if not path.exists():
        set_step(step_s)
        if what == "year":
            found = soc_study.year((seed, days, kind, known))
            found = {name: found[name] for name in _KEPT}
        else:
            worst, covered = soc_study.partial_cycles((seed, 0, 30, kind, known))
            found = {"seed": seed, "worst": worst, "covered": 100 * covered}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return path


def jobs_of(args):
    folder = str(folder_of(args.step, args.days))
    found = []
    for seed in range(1, args.seeds + 1):
        for kind in args.kinds.split(","):
            for known in (False, True):
                found.append(("year", kind, known, seed, args.days, args.step, folder))
        for kind in PARTIAL:
            if kind in args.kinds:
                found.append(("month", kind, False, seed, args.days, args.step, folder))
    return found


def gathered(folder):
    """{(what, kind, known): [results]} of all that is kept."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        what, rest = path.stem.split("-", 1)
        kind, known, _ = rest.rsplit("-", 2)
        found.setdefault((what, kind, known == "known"), []).append(json.loads(path.read_text()))
    return found


def row_of(kind, known, results):
    """One line of the table, with what is asked."""
    n = sum(r["n"] for r in results)
    worst = max(r["worst"] for r in results)
    rms = math.sqrt(sum(r["squares"] for r in results) / n)
    cover = sum(r["covered"] * r["n"] for r in results) / n
    mean = sum(r["bound_mean"] for r in results) / len(results)
    capacity = max((abs(r["capacity_error"]) for r in results))
    own = kind == "own" and not known
    aims = (3.5, 0.8, 99.9, 3.0) if own else (4.0, 1.5, 99.0, 4.0) if known else (6.0, None, 99.0,
                                                                                None)
    cells = []
    for value, aim, form, more in ((worst, aims[0], "%.2f", False), (rms, aims[1], "%.2f", False),
                                   (cover, aims[2], "%.2f", True), (mean, aims[3], "%.2f", False)):
        text = form % value
        if aim is not None and not (value >= aim if more else value <= aim):
            text = "**" + text + "**"
        cells.append(text)
    return "| %s | %s | %d | %s | %.1f |" % (
        kind, "yes" if known else "no", len(results), " | ".join(cells), capacity)


def page(found, days, step_s):
    """docs/soc-cells.md"""
    lines = [
        "# State of charge on cells of any maker", "",
        "Made by `make soc-report` (`tools/studies/soc_report.py`); do not edit. %d days each, as"
        % days,
        "in [soc.md](soc.md), at %d s a step. Figures that miss their aim are bold." % step_s, "",
        "| cells | curve in the profile | seeds | worst error % | RMS % | within the bound "
        "% of minutes | mean bound % | capacity error %, worst |",
        "| --- | --- | --: | --: | --: | --: | --: | --: |"]
    for known in (False, True):
        for kind in soc_cells.KINDS:
            results = found.get(("year", kind, known))
            if results:
                lines.append(row_of(kind, known, results))
    lines += ["", "Aims: our own cells 3.5 / 0.8 / 99.9 / 3.0; any other 6 / – / 99 / –; with its "
              "curve in the profile 4 / 1.5 / 99 / 4.", "",
              "## 30 days of partial cycles", "",
              "30 to 80 % after one full cycle, 0.5 % and 50 mA of sensor error, am5000 as it is "
              "delivered.", "",
              "| cells | seeds | worst error % | minutes within the bound % |",
              "| --- | --: | --: | --: |"]
    for kind in PARTIAL:
        results = found.get(("month", kind, False))
        if results:
            lines.append("| %s | %d | %.2f | %.2f |" % (
                kind, len(results), max(r["worst"] for r in results),
                sum(r["covered"] for r in results) / len(results)))
    return "\n".join(lines + ["", soc_cells.__doc__.strip().split("\n\n", 1)[0], "", "```",
                              soc_cells.__doc__.strip().split("\n\n", 2)[2], "```", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--step", type=int, default=60, choices=(10, 20, 30, 60))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--kinds", default=",".join(soc_cells.KINDS))
    parser.add_argument("--page", action="store_true", help="run nothing")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs")
    args = parser.parse_args()
    soc_study.library()
    folder = folder_of(args.step, args.days)
    if not args.page:
        jobs = jobs_of(args)
        with multiprocessing.Pool(args.jobs) as pool:
            for done, path in enumerate(pool.imap_unordered(one, jobs), 1):
                print(f"\r{done}/{len(jobs)} {path.stem:40}", end="", flush=True)
        print()
    text = page(gathered(folder), args.days, args.step)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "soc-cells.md").write_text(text)
    print(text)


if __name__ == "__main__":
    sys.exit(main())
