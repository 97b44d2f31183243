#!/usr/bin/env python3
"""A random search for harm, by an eye that knows nothing of the firmware's rules.

    make hunt                            20 000 episodes with one fault, 10 000 with two
    make hunt QUICK=1                    a small sample
    make hunt SCHEDULER=tcp://HOST:8786  on a Dask cluster (tools/trials/runs.py)
    .venv/bin/python tools/trials/hunt.py [--one N] [--two N] [--none N] [--seed N] [--board unix]
    .venv/bin/python tools/trials/hunt.py --replay FILE [--board rp2040]  an episode by its steps

An episode (hunt_draw.py) is a pack of any kind and what happens to it. Only the physical
model judges it (tools/models/harm.py): harm to cells, FETs or fuse, and `dark`, a healthy pack
that does not serve. What no firmware could prevent is a row with its reason in
hunt_excuses.py. An episode with harm that no row excuses is shrunk to the shortest form that
still does it, and left in build/hunt/ as lines for `make -s rig`. The page is docs/hunt.md.
Exit code 1: there was harm that nothing excuses; 130: interrupted.
"""

import argparse
import copy
import functools
import inspect
import json
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms                                                    # noqa: E402
from rooms import ROOT                                          # noqa: E402

import hunt_draw                                                # noqa: E402
import hunt_excuses                                             # noqa: E402
import runs                                                     # noqa: E402
from rig import Rig, RigError                                   # noqa: E402
from rig_targets import TargetError                             # noqa: E402

OUT = ROOT / "build" / "hunt"
RESULTS = OUT / "results.jsonl"
REPORT = ROOT / "docs" / "hunt.md"
SEED = 1
HEAP = "16M"
STEP_US = 5_000_000         # nobody is on the ports
MOST_PLAYS = 60             # of one episode while it is shrunk
QUICK = {"none": 2, "one": 8, "two": 5}
NAMES = {"none": "no fault", "one": "one fault", "two": "two faults"}
FAULTS = {"none": 0, "one": 1, "two": 2}


# ---- one episode ---------------------------------------------------------------------------


@functools.cache
def registry():
    """{name: (lowest, highest, default)} of the parameters, as the pack itself tells them."""
    with Rig() as rig:
        rig.open("host")
        return {name: (row.min, row.max, row.default)
                for name, row in rig._client.params().items()}


def play(episode, board, wanted=None, tell=None):
    """Carry an episode out; returns ({kind of harm: text}, [texts of what the bench refused]).

    wanted  kind of harm after which it ends early
    tell    function that is told each step
    """
    harm = {}
    refused = []
    with Rig(heap=HEAP, chunk_us=STEP_US) as rig:
        if "fleet" in episode:
            rig.fleet(board=board, **episode["fleet"])
        else:
            rig.open(board=board, **episode["open"])
        for command, ms in episode["steps"]:
            answer = rig.command(command)
            if not answer["ok"]:
                refused.append(f"{json.dumps(command)}: {answer['error']}")
                if "ended with an exception" in answer["error"]:
                    harm.setdefault("crash", answer["error"][-300:])
                    break
            if ms:
                rig.run(ms)
            seen = rig.get()
            look(seen, harm)
            if tell:
                tell(command, answer, seen, harm)
            if wanted in harm:
                break
    return harm, refused


def look(seen, harm):
    """Take the harm that the models of all packs hold against the controllers."""
    for module in seen.get("modules", [seen]):
        truth = module["truth"]
        rows = [*truth["harm"]]
        if truth["dark_fault"]:
            rows.append(["dark", "dsg", *truth["dark_fault"]])
        for kind, where, since_ms, worst in rows:
            harm.setdefault(kind, f"{where} since {since_ms} ms, worst {worst}; {brief(module)}")


def brief(seen):
    """What the wire and the pack said meanwhile."""
    report = seen["report"] or {}
    return "FETs {} {}, report {}".format(
        "".join(str(int(bool(seen["wire"]["fets"][fet]))) for fet in ("chg", "dsg")),
        f"{seen['truth']['current_ma']} mA",
        " ".join([str(report.get("state")), *report.get("faults", ()),
                  *report.get("protections", ())]))


def run_episode(run):
    """Draw, play and judge the episode of *run*; never raises. What the workers run."""
    before_s = runs.cpu_seconds()
    out = {"notes": [], "harm": {}, "excused": {}}
    try:
        episode = hunt_draw.draw(run["seed"], run["number"], FAULTS[run["group"]], registry())
        out["faults"] = episode["faults"]
        harm, refused = play(episode, run["board"])
        out["refused"] = len(refused)
        for kind, text in harm.items():
            reason = hunt_excuses.excuse(episode, kind)
            if reason:
                out["excused"][kind] = reason
            else:
                out["harm"][kind] = text
                out["notes"].append(f"{kind}: {text}")
        out["verdict"] = "harm" if out["harm"] else "ok"
        if out["harm"]:
            kind = next(iter(out["harm"]))
            out["shortest"] = shrink(episode, run["board"], kind)
    except Exception as error:
        import traceback
        out.update(verdict="failed", notes=[f"run failed: {error!r}"],
                   traceback=traceback.format_exc())
    return {**run, **out, "cpu_s": round(runs.cpu_seconds() - before_s, 2)}


# ---- the shortest form ---------------------------------------------------------------------


def shrink(episode, board, kind, plays=MOST_PLAYS):
    """The shortest episode found in which the same *kind* of harm still happens."""
    best = episode
    left = plays

    def tries(candidate):
        nonlocal best, left
        if left <= 0:
            return False
        left -= 1
        try:
            if kind in play(candidate, board, kind)[0]:
                best = candidate
                return True
        except (RigError, TargetError):
            pass                        # this one cannot be set up: not shorter
        return False

    part = max(1, len(best["steps"]) // 2)
    while part:                         # leave out ever smaller parts, from the end
        at = len(best["steps"]) - part
        while at >= 0 and left > 0:
            steps = best["steps"]
            tries({**best, "steps": steps[:at] + steps[at + part:]})
            at = min(at, len(best["steps"])) - part
        part //= 2
    for name, plain in (("imbalance_mv", 0), ("soh", 1.0), ("temp_c", 25), ("capacity_ah", 100)):
        if "open" in best and best["open"]["plant"].get(name) != plain:
            candidate = copy.deepcopy(best)
            candidate["open"]["plant"][name] = plain
            tries(candidate)
    for at in range(len(best["steps"])):
        while best["steps"][at][1] > 500:
            candidate = copy.deepcopy(best)
            candidate["steps"][at][1] //= 2
            if not tries(candidate):
                break
    return best


def as_lines(episode, board):
    """The episode as lines for `make -s rig`."""
    if "fleet" in episode:
        rows = [{"cmd": "fleet", "board": board, **episode["fleet"]}]
    else:
        rows = [{"cmd": "open", "board": board, **episode["open"]}]
    for command, ms in episode["steps"]:
        rows.append(command)
        if ms:
            rows.append({"cmd": "run", "ms": ms})
    return [json.dumps(row) for row in [*rows, {"cmd": "get"}]]


def from_lines(lines):
    """The episode that as_lines() gave, and its board."""
    rows = [json.loads(line) for line in lines if line.strip()]
    first = rows.pop(0)
    name = "fleet" if first.pop("cmd") == "fleet" else "open"
    board = first.pop("board", "unix")
    steps = []
    for row in rows:
        if row["cmd"] == "run" and steps:
            steps[-1][1] += row["ms"]
        elif row["cmd"] != "get":
            steps.append([row, 0])
    return {name: first, "steps": steps, "faults": []}, board


# ---- the page --------------------------------------------------------------------------------


def most_likely(count, of):
    """Upper limit, with 95 % confidence, of a share that was seen *count* times in *of* runs."""
    low, high = count / of, 1.0
    for _ in range(60):                 # Clopper and Pearson, by bisection
        middle = (low + high) / 2
        if _at_most(count, of, middle) > 0.05:
            low = middle
        else:
            high = middle
    return high


def _at_most(count, of, share):
    """Probability of *count* or fewer in *of* runs."""
    if share >= 1.0:
        return 1.0 if count >= of else 0.0
    return sum(math.exp(math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
                        + k * math.log(share) + (of - k) * math.log1p(-share))
               for k in range(count + 1))


def write_report(results, path, command):
    """docs/hunt.md."""
    out = ["# Hunt for harm", "",
           f"Made by `{command}` from the sources {runs.tree_hash()}; do not edit. How an "
           "episode is drawn: `tools/trials/hunt_draw.py`; what is harm: `tools/models/harm.py`; "
           "what is excused, and why: `tools/trials/hunt_excuses.py`. " + rooms.figures_of(), "",
           "| episodes with | played | harm | at most, 95 % confidence | with excused harm | "
           "failed |", "| --- | --: | --: | --: | --: | --: |"]
    for group, name in NAMES.items():
        some = [r for r in results if r["group"] == group]
        if some:
            bad = sum(r["verdict"] == "harm" for r in some)
            out.append(f"| {name} | {len(some)} | {bad} | "
                       f"{most_likely(bad, len(some)):.3%} | "
                       f"{sum(bool(r['excused']) for r in some)} | "
                       f"{sum(r['verdict'] == 'failed' for r in some)} |")
    out += ["", f"{sum(r['cpu_s'] for r in results) / 60:.0f} core-minutes of work.", "",
            "## Harm that nothing excuses", ""]
    kinds = {}
    for result in results:
        for kind, text in result["harm"].items():
            kinds.setdefault((kind, " + ".join(result.get("faults", ())) or "no fault"),
                             []).append((result["id"], text))
    out += [f"* `{kind}` with {faults}: {len(rows)} times, first in {rows[0][0]}: {rows[0][1]}"
            for (kind, faults), rows in sorted(kinds.items())] or ["None."]
    excused = {}
    for result in results:
        for kind, reason in result["excused"].items():
            key = (kind, " + ".join(result["faults"]))
            excused.setdefault(reason, {}).setdefault(key, 0)
            excused[reason][key] += 1
    out += ["", "## Harm that no firmware on this board could prevent", ""]
    for reason, cases in sorted(excused.items()):
        out += [f"* {reason}: " + ", ".join(f"`{kind}` with {faults} ({count})" for
                                            (kind, faults), count in sorted(cases.items()))]
    if not excused:
        out.append("None was met.")
    counts = {}
    for result in results:
        for kind in result.get("faults", ()):
            counts[kind] = counts.get(kind, 0) + 1
    out += ["", "## What was broken, how often", "",
            ", ".join(f"`{kind}` {counts[kind]}" for kind in sorted(counts)) or "Nothing.", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(out), "utf-8")


def keep_shortest(results, folder, board):
    """The shortest form of each kind of harm, as lines for the rig; returns their paths."""
    paths = []
    for result in results:
        if "shortest" in result:
            kind = next(iter(result["harm"]))
            path = folder / f"{kind}-{result['id'].replace('/', '-')}.jsonl"
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(as_lines(result["shortest"], board)) + "\n", "utf-8")
            paths.append(path)
    return paths


# ---- command line ------------------------------------------------------------------------------


def choose(options):
    """The runs that *options* ask for, with the keys of their results."""
    rules = runs.hash_of(runs.tree_hash(), inspect.getsource(hunt_draw),
                         inspect.getsource(hunt_excuses), inspect.getsource(play))
    return [{"id": f"{group}/{number}", "group": group, "number": number, "seed": options.seed,
             "board": options.board, "key": f"{group}/{number}|{options.seed}|{options.board}|"
                                            f"{rules}"}
            for group in NAMES for number in range(getattr(options, group))]


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--one", type=int, metavar="N", help="episodes with one fault (20000)")
    parser.add_argument("--two", type=int, metavar="N", help="episodes with two (10000)")
    parser.add_argument("--none", type=int, metavar="N", help="episodes with none (2000)")
    parser.add_argument("--quick", action="store_true", help="a small sample")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--board", default="unix", choices=("host", "unix", "rp2040"))
    parser.add_argument("--replay", type=pathlib.Path, help="lines of an episode, to be told")
    parser.add_argument("--report", type=pathlib.Path, help="write the page here")
    runs.add_options(parser, RESULTS)
    options = parser.parse_args(arguments)
    asked = [getattr(options, group) for group in NAMES]
    full = {"none": 2_000, "one": 20_000, "two": 10_000}
    options.all = not options.quick and asked == [None] * len(asked)
    for group in NAMES:
        if getattr(options, group) is None:
            small = QUICK[group] if options.quick else 0
            setattr(options, group, full[group] if options.all else small)
    return options


def replay(path, board):
    """Tell an episode step by step."""
    def tell(command, answer, seen, harm):
        print(f"{seen['t_ms']:>9} {json.dumps(command)}"
              + ("" if answer["ok"] else f"  REFUSED: {answer['error']}"))
        for module in seen.get("modules", [seen]):
            truth = module["truth"]
            print(f"          cells {min(truth['cell_mv'])}…{max(truth['cell_mv'])} mV, "
                  f"{truth['temps_dc']} dC; {brief(module)}")
        for kind, text in harm.items():
            print(f"     harm {kind}: {text}")

    episode, _ = from_lines(path.read_text("utf-8").splitlines())
    return 1 if play(episode, board, tell=tell)[0] else 0


def main(arguments=None):
    options = parse(arguments)
    if options.replay:
        return replay(options.replay, options.board)
    import hunt                         # by this name the workers find it
    wanted = choose(options)
    try:
        results = runs.carry_out("hunt", hunt.run_episode, wanted, options)
    except KeyboardInterrupt:
        print("hunt: stopped; what is done is kept, the same command goes on from there",
              file=sys.stderr)
        return 130
    report = options.report or (REPORT if options.all else OUT / "hunt.md")
    given = " ".join(arguments if arguments is not None else sys.argv[1:])
    write_report(results, report, f"tools/trials/hunt.py {given}" if given else "make hunt")
    paths = keep_shortest(results, OUT, options.board)
    bad = [r for r in results if r["verdict"] != "ok"]
    print(f"hunt: {len(results)} episodes, {sum(r['verdict'] == 'harm' for r in results)} with "
          f"harm that nothing excuses, {sum(bool(r['excused']) for r in results)} with harm that "
          f"is excused, {sum(r['verdict'] == 'failed' for r in results)} failed; {report}")
    for path in paths[:20]:
        print(f"  {path}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
