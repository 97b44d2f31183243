#!/usr/bin/env python3
"""Every fault of the rig at many moments, and healthy days, judged against a table.

    make campaign                        everything (at most an hour on two free cores)
    make campaign SCHEDULER=tcp://HOST:8786     on a Dask cluster
    .venv/bin/python tools/trials/campaign.py [--quick] [--only TEXT] [--board unix] [--no-days]
                                       [--sample-rp2040 N] [--scheduler ADDRESS] [--workers N]

The table is campaign_cases.py. A run opens a rig, brings the pack to a moment, sets the
fault, watches wire, truth and report, takes the fault away and watches the pack come back. It is
  ok       as the table says
  silent   a danger, or a fault that must be seen, and nothing was raised
  wrong    anything else than the table says; a healthy day with a trip is a false trip
Results go to build/campaign/results.jsonl (tools/trials/runs.py). The report is docs/campaign.md;
every single run is a cell of build/campaign/runs.md.

Exit code 1: something was silent, wrong or a false trip, or a run failed; 130: interrupted.
"""

import argparse
import contextlib
import functools
import inspect
import itertools
import os
import pathlib
import random
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms                                                    # noqa: E402
from rooms import ROOT                                          # noqa: E402

import campaign_cases as table                                  # noqa: E402
import hunt_excuses                                             # noqa: E402
import runs                                                     # noqa: E402
from rig import Rig                                             # noqa: E402
from runs import cpu_seconds, hash_of, tree_hash                # noqa: E402

RESULTS = ROOT / "build" / "campaign" / "results.jsonl"
REPORT = ROOT / "docs" / "campaign.md"
RUNS_PAGE = RESULTS.with_name("runs.md")
SEED = 3
SAMPLE_MS = 200
SETTLE_MS = 3_000
KEEP_MS = 1_500             # the end state has to hold so long
PAIR_MOMENTS = 3
PAIR_STRESS_MS = 12_000
TICKS_START = 2**30 - 20_000
BOOT_MS = 300
MASK = 2**30 - 1
HEAPS = {"fault": "16M", "day": "8M", "heap_full": "3M"}    # small: collections are quick
FETS = ("chg", "dsg")
IDLE_MA = 100               # less is nothing to an inverter: it disconnects
SETS_SOC = {"PRO-01", "PRO-02", "PRO-03", "PRO-04"}
PCS_REQUEST = b"~20024642E00202FD33\r"


# ---- cases ---------------------------------------------------------------------------------


def draw(value, rng):
    """A value of the table with its seeded parts drawn."""
    if isinstance(value, tuple):
        low, high = value
        return rng.uniform(low, high) if isinstance(low, float) or isinstance(high, float) \
            else rng.randint(low, high)
    if isinstance(value, dict):
        return {str(rng.randrange(16)) if key == "@cell" else key: draw(item, rng)
                for key, item in value.items()}
    return value


def rounded(value):
    return round(value, 4) if isinstance(value, float) else value


def apart(values, others):
    """True if the cells that two fields of `set` hold are no neighbours."""
    cells = [int(k) for k in values.get("cell_mv", {})]
    return all(abs(cell - int(other)) != 1 for cell in cells
               for other in others.get("cell_mv", {}))


def expectation(variant, tags):
    """The first row of *variant* that holds for a moment with *tags*."""
    for wanted, expect in variant["cases"]:
        if all((tag[1:] not in tags) if tag[0] == "!" else tag in tags for tag in wanted):
            return expect
    raise LookupError(f"no row for {tags}")


def fault_cases(board, seed):
    """Every kind, variant and moment as a case."""
    for kind, variants in table.KINDS.items():
        for variant in variants:
            for number, moment in enumerate(table.MOMENTS):
                name = kind + ("." + variant["variant"] if variant["variant"] else "")
                expect = expectation(variant, table.MOMENTS[moment]["tags"])
                if kind == "heap_full" and board == "host":
                    continue            # CPython has no heap of its own to fill
                yield {"id": f"{name}/{moment}", "type": "fault", "kind": kind,
                       "variant": variant["variant"], "value": variant["value"],
                       "moment": moment, "board": board, "seed": seed,
                       "stress": number % 2 == 1 and "stress" in expect}


def pair_cases(board, seed):
    """Each pair of kinds at PAIR_MOMENTS moments, a variant of each drawn by the seed."""
    for first, second in itertools.combinations(table.KINDS, 2):
        if board == "host" and "heap_full" in (first, second):
            continue
        rng = random.Random(f"{seed} {first} {second}")
        kinds = rng.sample((first, second), 2)
        for moment in rng.sample(list(table.MOMENTS), PAIR_MOMENTS):
            yield {"id": f"{first}+{second}/{moment}", "type": "pair", "kinds": kinds,
                   "variants": [rng.choice(table.KINDS[kind])["variant"] for kind in kinds],
                   "moment": moment, "board": board, "seed": seed}


def day_cases(board, seed, days):
    """Healthy days in legs."""
    for day in range(days):
        for leg in range(table.LEGS):
            yield {"id": f"day-{day:02d}/leg-{leg}", "type": "day", "day": day, "leg": leg,
                   "board": board, "seed": seed}


def quick_cases(board, seed):
    """A small subset that touches every kind."""
    moments = ("charge-20A", "discharge-30A", "rest-mid", "tripped-cell-high", "near-cell-low",
               "bring-up-late", "tripped-hot")
    every = list(fault_cases(board, seed))
    chosen = []
    for number, kind in enumerate(table.KINDS):
        of_kind = [case for case in every if case["kind"] == kind]
        for moment in (moments[number % 2], moments[2 + number % 5])[number % 3 == 0:]:
            some = [case for case in of_kind if case["moment"] == moment]
            if some:
                chosen.append(some[number % len(some)])
    return chosen


@functools.cache
def _source(thing):
    return inspect.getsource(thing)


def key_of(case, tree):
    """Under which the result of *case* is kept."""
    if case["type"] == "day":
        rows = (table.PROFILE, table.DAY_PLANT, table.NOISE, table.CRC_RATE, table.STEP_MS,
                table.BURST_EVERY,
                table.SUN_SHARE, table.HOUSE_SHARE, table.START_SOC, table.CHARGER_MV,
                table.LEG_H, _source(run_day), _source(inverter),
                _source(Bench))
    elif case["type"] == "pair":
        rows = (table.MOMENTS[case["moment"]], table.STRESS, hunt_excuses.EXCUSES,
                [next(v["value"] for v in table.KINDS[kind] if v["variant"] == variant)
                 for kind, variant in zip(case["kinds"], case["variants"])],
                _source(run_pair), _source(Bench))
    else:
        variant = next(v for v in table.KINDS[case["kind"]] if v["variant"] == case["variant"])
        rows = (table.MOMENTS[case["moment"]], variant, table.LIMITS, table.STRESS,
                table.STRESS_MS, _source(Watch), _source(run_fault),
                _source(Bench), _source(judge_expected))
    return f"{case['id']}|{case['board']}|{case['seed']}|{hash_of(tree, *rows)}"


# ---- the bench -------------------------------------------------------------------------------


class Bench(Rig):
    """A rig for the campaign's cases."""

    @property
    def controller_starts(self):
        return self._target.boots

    def say(self, text):
        """A command of the host on the debug port."""
        with self._take():
            return self._client.command(text)

    def ask_pcs(self):
        """A poll on the inverter port; the bytes that come back."""
        port = self._ports["pcs"]
        descriptor = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            self.run(300)               # whatever is on its way
            with contextlib.suppress(BlockingIOError):
                os.read(descriptor, 65_536)
            os.write(descriptor, PCS_REQUEST)
            heard = b""
            for _ in range(10):
                self.run(100)
                with contextlib.suppress(BlockingIOError):
                    heard += os.read(descriptor, 65_536)
                if heard.endswith(b"\r"):
                    break
            return heard
        finally:
            os.close(descriptor)


class Watch:
    """What one run shows, sample by sample, against its expectation.

    seen       {id: ms after the fault}    dangers   [(limit, ms it lasted)]
    invented   {reading: text}
    """

    def __init__(self, bench, expect, fault_ms):
        self.bench = bench
        self.expect = expect
        self.fault_ms = fault_ms
        self.unseen = expect.get("unseen", ())
        self.slack_ms = expect.get("slack_ms", 0)
        self.blind = expect.get("blind", ())
        self.seen = {}
        self.dangers = {}
        self.invented = {}
        self.swapped = False
        self._beyond_ms = {}
        self._wrong_ms = {}
        self._last_ms = None
        self.soc0 = None
        self.soc_is_set = False     # a protection sets it (SOC-01): not judged
        self.newest = None
        self.edges = []             # of both FETs
        self.edges_to_ms = fault_ms

    def take_edges(self):
        """Fetch the trace in small pieces: a long one takes MicroPython minutes to spell."""
        now_ms = self.bench.get()["t_ms"]
        self.edges += [edge for edge in self.bench.trace(self.edges_to_ms)["edges"]
                       if edge[1] in ("fets.chg", "fets.dsg") and edge[0] < now_ms]
        self.edges_to_ms = now_ms

    def look(self):
        """Take one sample."""
        self.take_edges()
        got = self.bench.get()
        self.newest = got
        t_ms = got["t_ms"]
        dt_ms = t_ms - self._last_ms if self._last_ms is not None else 0
        self._last_ms = t_ms
        report = got["report"]
        fresh = report is not None and report["rx_age_ms"] < 1_000
        if fresh:
            for name in (*report["faults"], *report["protections"]):
                self.seen.setdefault(name, round(t_ms - self.fault_ms))
        self._oracle(got["truth"], dt_ms)
        if fresh:
            self._readings(got["truth"], report, dt_ms)
        return got

    def run(self, ms, until=None):
        """Let *ms* pass in samples; ends early once until(sample) holds."""
        end_ms = (self._last_ms or self.fault_ms) + ms
        while self._last_ms is None or self._last_ms < end_ms:
            left = end_ms - (self._last_ms or self.fault_ms)
            self.bench.run(max(20, min(SAMPLE_MS, round(left))))
            got = self.look()
            if until is not None and until(got):
                return True
        return False

    def _oracle(self, truth, dt_ms):
        temps = truth["temps_dc"]
        values = {"max_cell": max(truth["cell_mv"]), "min_cell": min(truth["cell_mv"]),
                  "current": truth["current_ma"], "max_temp": max(temps[:4]),
                  "min_temp": min(temps[:4]), "mos": temps[4], "ambient": temps[5]}
        flow = truth["current_ma"]
        for name, what, sense, limit, way, longest_ms in table.LIMITS:
            flows = abs(flow) > table.FLOW_MA if way == 0 else flow * way > table.FLOW_MA
            if flows and (values[what] - limit) * sense >= 0:
                ms = self._beyond_ms.get(name, 0) + dt_ms
                self._beyond_ms[name] = ms
                if ms > longest_ms + self.slack_ms and name not in self.blind:
                    self.dangers[name] = round(ms)
            else:
                self._beyond_ms[name] = 0

    def _readings(self, truth, report, dt_ms):
        wrong = {}
        if "cells" not in self.unseen:
            real, told = truth["cell_mv"], report["cell_mv"]
            if self.swapped and None not in told:
                real, told = sorted(real), sorted(told)
            for number, (is_mv, said_mv) in enumerate(zip(real, told)):
                if said_mv is not None and abs(said_mv - is_mv) > table.READING_MV:
                    wrong["cells"] = f"cell {number} {said_mv} mV, is {is_mv}"
        if "current" not in self.unseen and report["current_ma"] is not None:
            is_ma, said_ma = truth["current_ma"], report["current_ma"]
            if abs(said_ma - is_ma) > table.READING_MA + abs(is_ma) * table.READING_SHARE:
                wrong["current"] = f"current {said_ma} mA, is {is_ma}"
        if "temps" not in self.unseen:
            told = (*report["temp_dc"], report["mos_dc"], report["ambient_dc"])
            for number, (is_dc, said_dc) in enumerate(zip(truth["temps_dc"], told)):
                if said_dc is not None and abs(said_dc - is_dc) > table.READING_DC:
                    wrong["temps"] = f"sensor {number} {said_dc} dC, is {is_dc}"
        if "soc" not in self.unseen and not self.soc_is_set and report["soc_cpct"] is not None:
            change = report["soc_cpct"] - truth["soc"] * 10_000
            if self.soc0 is None:
                self.soc0 = change
            elif abs(change - self.soc0) > table.SOC_CPCT:
                wrong["soc"] = f"SOC {report['soc_cpct'] / 100} %, moved away by " \
                               f"{(change - self.soc0) / 100:.1f}"
        for name in ("cells", "current", "temps", "soc"):
            ms = self._wrong_ms.get(name, 0) + dt_ms if name in wrong else 0
            self._wrong_ms[name] = ms
            if ms > table.READING_MS:
                self.invented.setdefault(name, wrong[name])


def fets_of(got):
    return tuple(name for name in FETS if got["wire"]["fets"][name])


def fet_times(watch, before):
    """{FET: ms from the fault until it was first open, None: never}."""
    first = {name: None if name in before else 0 for name in FETS}
    for t_ms, signal, level in watch.edges:
        name = signal.partition(".")[2]
        if not level and first[name] is None:
            first[name] = max(0.1, round(t_ms - watch.fault_ms, 1))
    return first


# ---- one fault ---------------------------------------------------------------------------------


def run_fault(case):
    """Carry out one case of a fault; returns its result."""
    moment = table.MOMENTS[case["moment"]]
    variant = next(v for v in table.KINDS[case["kind"]] if v["variant"] == case["variant"])
    expect = expectation(variant, moment["tags"])
    rng = random.Random(f"{case['seed']} {case['id']}")
    value = draw(variant["value"], rng)
    if value == "pair":
        value = rng.sample(range(16), 2)
    value = rounded(value)
    plant = {name: rounded(draw(span, rng)) for name, span in moment["plant"].items()}
    lines = []

    def do(cmd, **fields):
        lines.append({"cmd": cmd, **fields})
        return getattr(bench, cmd)(**fields)

    notes = []
    out = {"value": value, "lines": lines, "notes": notes}
    with Bench(heap=HEAPS.get(case["kind"], HEAPS["fault"])) as bench:
        do("open", board=case["board"], seed=rng.randrange(1, 10_000), plant=plant,
           params=moment["params"])
        if case["kind"] in table.FIRMWARE_KINDS:
            do("param", name="bench_enable")            # the list of parameters is read once
        do("run", ms=SETTLE_MS + rng.randrange(0, 200))
        spoilt = draw(moment["set"], rng)
        do("set", **spoilt)
        do("run", ms=rng.randint(*moment["lead_ms"]))
        got = bench.get()
        soc0 = got["report"]["soc_cpct"] - got["truth"]["soc"] * 10_000
        if moment["up_ms"]:
            do("power", on=False)
            do("run", ms=500)
            do("power", on=True)
            do("run", ms=rng.randint(*moment["up_ms"]))
        got = bench.get()
        before = fets_of(got)
        had = set(moment["ids"])
        if before != moment["fets"]:
            notes.append(f"set-up: FETs {before} before the fault, wanted {moment['fets']}")
        report = got["report"]
        if report and not moment["up_ms"] and (
                set(report["protections"]) != had or report["faults"]):
            notes.append(f"set-up: {report['protections']} {report['faults']} before the fault")
        starts = bench.controller_starts
        newest = 0 if moment["up_ms"] else max(
            [e["seq"] for e in bench.events()["events"]] or [0])
        fault_ms = set_ms = bench.get()["t_ms"]
        if moment["up_ms"] and case["kind"] in table.FIRMWARE_KINDS:
            bench.param(name="bench_enable")
        do("set", fault={case["kind"]: value})
        if case["kind"] in table.FIRMWARE_KINDS:
            fault_ms = bench.get()["t_ms"]      # it took a round trip to provoke
        watch = Watch(bench, expect, fault_ms)
        watch.edges_to_ms = set_ms
        watch.soc0 = soc0           # it outlives a power cut (SOC-03)
        watch.swapped = case["kind"] == "swapped_cells"
        watch.soc_is_set = bool(had & SETS_SOC)
        longest = max([expect.get(name) or 0 for name in ("within_ms", "opens_ms")])
        hold_ms = expect.get("hold_ms") or longest + 1_500
        also = set()
        if case["stress"] and expect.get("stress_at_once"):
            hold_ms = 300
        out["hold_ms"] = hold_ms
        lines.append({"cmd": "run", "ms": hold_ms})
        watch.run(hold_ms)
        if expect.get("holds"):
            if watch.edges:
                t_ms, signal, level = watch.edges[0]
                notes.append(f"{signal} went {level} after {t_ms - fault_ms:.0f} ms")
        report = watch.newest["report"]
        released = had - set(report["protections"] if report else had)
        if released and expect["back"] and not expect.get("boots") \
                and "tripped" in moment["tags"] and "timed" not in moment["tags"]:
            notes.append("released under the fault: " + " ".join(sorted(released)))
        if case["stress"]:
            name = rng.choice(expect["stress"])
            stress = table.STRESS[name]
            out["stress"] = name
            also.update(stress["ids"])
            stress_ms = bench.get()["t_ms"]
            seen_before = dict(watch.seen)
            values = draw(stress["set"], rng)
            while not apart(values, spoilt):    # neighbours off both ways are an open wire
                values = draw(stress["set"], rng)
            watch.soc_is_set = True
            do("set", **values)
            lines.append({"cmd": "run", "ms": table.STRESS_MS})
            watch.run(table.STRESS_MS + watch.slack_ms
                      + (3_000 if expect.get("stress_at_once") else 0))
            wanted = expect.get("stress_raises")
            if wanted:
                also.add(wanted)
                if wanted not in watch.seen:
                    notes.append(f"silent: {wanted} not raised under stress {name}")
            out["stress_seen"] = {k: v - round(stress_ms - fault_ms) for k, v in
                                  watch.seen.items() if k not in seen_before}
        first_open = fet_times(watch, before)
        edges_to_ms = bench.get()["t_ms"]
        judge_expected(case, expect, watch, first_open, before, notes, out)
        # what was raised but should not have been
        odd = set(watch.seen) - had - also - set(expect.get("raises", ())) \
            - set(expect.get("also", ()))
        if odd:
            notes.append("raised " + ", ".join(f"{k} at {watch.seen[k]} ms" for k in sorted(odd)))
        if not case["stress"] and expect["back"]:
            back_of(case, expect, moment, bench, do, watch, had, notes, out)
        for name, ms in watch.dangers.items():
            word = "danger" if watch.seen else "silent"
            notes.append(f"{word}: {name} for {ms} ms")
        for text in watch.invented.values():
            notes.append("reported " + text)
        events_of(bench, case, expect, newest, fault_ms, starts, notes, out)
        if expect.get("boots") and bench.controller_starts - starts < expect["boots"]:
            notes.append("the controller was not reset")
        if not expect.get("boots") and expect.get("back") != "reset" \
                and bench.controller_starts != starts:
            notes.append("the controller was reset")
        out["sim_ms"] = round(edges_to_ms)
    out["seen"] = watch.seen
    out["verdict"] = "ok" if not notes else (
        "silent" if any("silent" in note for note in notes) else "wrong")
    return out


def judge_expected(case, expect, watch, first_open, before, notes, out):
    """Raised in time, open in time."""
    raises = expect.get("raises", ())
    if raises:
        times = [watch.seen[name] for name in raises if name in watch.seen]
        if not times:
            notes.append("silent: none of " + " ".join(raises) + " raised")
        else:
            out["raised_ms"] = min(times)
            if min(times) > expect["within_ms"] + SAMPLE_MS + 150:
                notes.append(f"raised after {min(times)} ms, wanted {expect['within_ms']}")
    opens = expect.get("opens", ())
    if opens and not (case["stress"] and expect.get("stress_at_once")):
        for name in opens:
            at_ms = first_open[name]
            if at_ms is None:
                notes.append(f"{name} FET did not open")
            elif name in before and at_ms > expect["opens_ms"]:
                notes.append(f"{name} FET opened after {at_ms} ms, wanted {expect['opens_ms']}")
        times = [first_open[name] for name in opens if name in before and first_open[name]]
        if times:
            out["open_ms"] = max(times)


def back_of(case, expect, moment, bench, do, watch, had, notes, out):
    """Take the fault away and see the pack come back."""
    kind = case["kind"]
    if kind in table.FIRMWARE_KINDS or kind in ("afe_brownout", "afe_config_lost"):
        pass                                    # over by itself, or only by the way back
    else:
        do("set", fault={kind: None})
    start_ms = bench.get()["t_ms"]
    if expect["back"] == "clear":
        watch.run(400)
        with contextlib.suppress(Exception):
            bench.say("clear")
    elif expect["back"] == "reset":
        do("reset")
    ids = had | {name for name in expect.get("also", ()) if name.startswith("PRO-")}

    def is_back(got):
        report = got["report"]
        if report is None or report["rx_age_ms"] > 1_000 or report["faults"]:
            return False
        protections = set(report["protections"])
        if "timed" in moment["tags"]:
            return not protections - ids
        final = table.BOTH if moment["up_ms"] else moment["fets"]
        return protections == had and fets_of(got) == final

    if watch.run(expect["back_ms"], is_back):
        out["back_ms"] = round(bench.get()["t_ms"] - start_ms)
        watch.run(KEEP_MS)
        if not is_back(watch.newest) and "timed" not in moment["tags"]:
            notes.append("came back and did not stay: " + state_text(watch.newest))
    else:
        notes.append(f"not back after {expect['back_ms']} ms: " + state_text(watch.newest))
    if expect.get("pcs"):
        heard = bench.ask_pcs()
        if not (heard.startswith(b"~") and heard.endswith(b"\r")):
            notes.append(f"inverter port does not answer afterwards: {heard[:20]!r}")


def state_text(got):
    report = got["report"]
    text = "FETs " + ("+".join(fets_of(got)) or "none")
    if report is None:
        return text + ", no report"
    return f"{text}, {report['state']}, " + (
        " ".join([*report["faults"], *report["protections"]]) or "nothing raised")


def events_of(bench, case, expect, newest, fault_ms, starts, notes, out):
    """The records that must have been written."""
    wanted = expect.get("events", ())
    if not wanted:
        return
    try:
        events = bench.events()["events"]
    except Exception as error:
        notes.append(f"silent: no events to be read: {error}")
        return
    if bench.controller_starts != starts:       # the ring in RAM is gone; the log is not
        boots = [e["seq"] for e in events if e["event"] == "boot"]
        newest = boots[-1] - 1 if boots else 0
    for event in events:
        if event["seq"] > newest and event["event"] in wanted:
            if event["event"] == "boot":
                tasks = ("", *table.TASKS)
                if tasks[event["item"]] != case["value"]:
                    notes.append(f"the record names task {event['item']} as stuck")
            elif case["board"] != "rp2040":
                at_ms = ((event["uptime_ms"] - TICKS_START) & MASK) + BOOT_MS - fault_ms
                if "bring-up" not in table.MOMENTS[case["moment"]]["tags"]:
                    out["event_ms"] = round(at_ms)
                    if at_ms > expect["within_ms"]:
                        notes.append(f"{event['event']} recorded after {at_ms:.0f} ms, "
                                     f"wanted {expect['within_ms']}")
            return
    notes.append("silent: no record " + " or ".join(wanted))


# ---- two faults --------------------------------------------------------------------------------


def run_pair(case):
    """Two faults, one a while after the other, then a danger: judged by the physical model alone
    (tools/models/harm.py), as `make hunt` does. What two causes at once excuse are its rows."""
    moment = table.MOMENTS[case["moment"]]
    rng = random.Random(f"{case['seed']} {case['id']}")
    plant = {name: rounded(draw(span, rng)) for name, span in moment["plant"].items()}
    lines, steps, notes, values = [], [], [], []
    out = {"lines": lines, "notes": notes, "value": values}
    with Bench(heap=HEAPS["heap_full" if "heap_full" in case["kinds"] else "fault"]) as bench:
        def do(cmd, ms=0, **fields):
            command = {"cmd": cmd, **fields}
            lines.append(command)
            steps.append([command, ms])
            answer = bench.command(command)
            if not answer["ok"]:
                notes.append(f"refused {command}: {answer['error']}")
            if ms:
                lines.append({"cmd": "run", "ms": ms})
                bench.run(ms)

        lines.append({"cmd": "open", "board": case["board"], "plant": plant})
        bench.open(board=case["board"], seed=rng.randrange(1, 10_000), plant=plant,
                   params=moment["params"])
        if not set(table.FIRMWARE_KINDS).isdisjoint(case["kinds"]):
            bench.param(name="bench_enable")
        bench.run(SETTLE_MS + rng.randrange(0, 200))
        spoilt = draw(moment["set"], rng)
        do("set", rng.randint(*moment["lead_ms"]), **spoilt)
        if moment["up_ms"]:
            do("power", 500, on=False)
            do("power", rng.randint(*moment["up_ms"]), on=True)
        for kind, name in zip(case["kinds"], case["variants"]):
            variant = next(v for v in table.KINDS[kind] if v["variant"] == name)
            value = draw(variant["value"], rng)
            value = rounded(rng.sample(range(16), 2) if value == "pair" else value)
            values.append(value)
            do("set", rng.randint(200, 4_000), fault={kind: value})
        stress = rng.choice(table.ALL_STRESS)
        out["stress"] = stress
        do("set", PAIR_STRESS_MS, **draw(table.STRESS[stress]["set"], rng))
        got = bench.get()
    rows = [*got["truth"]["harm"]]
    if got["truth"]["dark_fault"]:
        rows.append(["dark", "dsg", *got["truth"]["dark_fault"]])
    excused = out["excused"] = []
    for kind, where, since_ms, worst in rows:
        reason = hunt_excuses.excuse({"steps": steps}, kind)
        if reason:
            excused.append([kind, reason])
        else:
            notes.append(f"harm {kind}: {where} since {since_ms} ms, worst {worst}")
    out["verdict"] = "wrong" if notes else "ok"
    return out


# ---- one leg of a healthy day -------------------------------------------------------------------


def profile_at(hour):
    """(sun A, house A) at *hour*."""
    return [row for row in table.PROFILE if row[0] <= hour][-1][1:]


def run_day(case):
    """Carry out one leg of a healthy day; returns its result."""
    rng = random.Random(f"{case['seed']} day {case['day']}")
    plant = {name: rounded(float(draw(span, rng))) for name, span in table.DAY_PLANT.items()}
    sun_share = rng.uniform(*table.SUN_SHARE)
    house_share = rng.uniform(*table.HOUSE_SHARE)
    from_h = case["leg"] * table.LEG_H
    soc = table.START_SOC
    for minute in range(round(from_h * 60)):
        sun_a, house_a = profile_at(minute / 60)
        soc += (sun_a * sun_share - house_a * house_share) / 60 / 100 / plant["soh"]
        soc = max(0.12, min(0.97, soc))
    rng = random.Random(f"{case['seed']} {case['id']}")
    plant["soc"] = rounded(soc)
    notes = []
    extremes = {"soc": [1, 0], "cell_mv": [9999, 0]}
    with Bench(noise=table.NOISE, heap=HEAPS["day"], chunk_us=5_000_000) as bench:
        bench.open(board=case["board"], seed=rng.randrange(1, 10_000), plant=plant)
        bench.run(3_000)
        start_ms = bench.get()["t_ms"]
        end_ms = start_ms + table.LEG_H * 3_600_000
        watch = Watch(bench, {}, start_ms)
        for step in range(1 << 30):
            got = bench.get()
            t_ms, report, truth = got["t_ms"], got["report"], got["truth"]
            if t_ms >= end_ms:
                break
            if report is None:
                notes.append(f"no report at {t_ms} ms")
                break
            hour = from_h + (t_ms - start_ms) / 3_600_000
            sun_a, house_a = profile_at(hour % 24)
            sun_ma = sun_a * sun_share * 1000 * rng.uniform(0.8, 1.05)
            house_ma = house_a * house_share * 1000 * rng.uniform(0.6, 1.3)
            bench.set(ambient_dc=round(plant["temp_c"] * 10 + 40 * (1 - abs(hour - 15) / 9)),
                      **inverter(sun_ma, house_ma, report, truth))
            burst = step % table.BURST_EVERY
            if not burst:
                watch.take_edges()
            if burst < 2:
                bench.set(fault={"afe_crc": None if burst else table.CRC_RATE})
            bench.run(table.STEP_MS)
            extremes["soc"] = [min(extremes["soc"][0], truth["soc"]),
                               max(extremes["soc"][1], truth["soc"])]
            extremes["cell_mv"] = [min(extremes["cell_mv"][0], *truth["cell_mv"]),
                                   max(extremes["cell_mv"][1], *truth["cell_mv"])]
            raised = [*report["faults"], *report["protections"]]
            if raised and len(notes) < 5:
                notes.append(f"false: {' '.join(raised)} at hour {hour:.2f}, "
                             f"highest cell {max(truth['cell_mv'])}, lowest "
                             f"{min(truth['cell_mv'])} mV, {truth['current_ma']} mA")
        watch.take_edges()
        opened = [edge for edge in watch.edges if not edge[2]]
        if opened:
            notes.append(f"false: {len(opened)} times a FET opened, first {opened[0][1]} at hour "
                         f"{from_h + (opened[0][0] - start_ms) / 3_600_000:.2f}")
        last = bench.get()["report"] or {}
    return {"verdict": "false" if notes else "ok", "notes": notes, "plant": plant,
            "soc": [round(x, 3) for x in extremes["soc"]], "cell_mv": extremes["cell_mv"],
            "scans_failed": last.get("scans_failed"), "afe_starts": last.get("afe_restarts"),
            "sim_ms": table.LEG_H * 3_600_000}


def inverter(sun_ma, house_ma, report, truth):
    """Charger and load of an inverter that obeys the limits it was told."""
    if truth["soc"] < 0.1:
        house_ma = 0
    net_ma = max(-report["dcl_ma"], min(report["ccl_ma"], round(sun_ma - house_ma)))
    if net_ma >= IDLE_MA:
        return {"charger_mv": table.CHARGER_MV, "charger_ma": net_ma, "load_ma": None}
    return {"charger_mv": None, "charger_ma": None,
            "load_ma": -net_ma if net_ma <= -IDLE_MA else None}


def run_case(case):
    """Carry out one case; never raises. What the workers run."""
    before_s = cpu_seconds()
    try:
        result = {"day": run_day, "pair": run_pair, "fault": run_fault}[case["type"]](case)
    except Exception as error:
        import traceback
        result = {"verdict": "failed", "notes": [f"run failed: {error!r}"],
                  "traceback": traceback.format_exc()}
    return {**case, **result, "cpu_s": round(cpu_seconds() - before_s, 2)}


def carry_out(cases, options):
    """Results of all *cases*, run or kept, in the order of the cases."""
    import campaign                     # by this name the workers find it
    tree = tree_hash()
    return runs.carry_out("campaign", campaign.run_case,
                          [{**case, "key": key_of(case, tree)} for case in cases], options,
                          lambda case: (case["type"] != "day", case["board"] != "rp2040"))


# ---- the report ------------------------------------------------------------------------------


def write_report(results, path, command, runs_path=RUNS_PAGE):
    """docs/campaign.md, its pictures beside it, and at *runs_path* the list of every run."""
    faults = [r for r in results if r["type"] == "fault"]
    pairs = [r for r in results if r["type"] == "pair"]
    days = [r for r in results if r["type"] == "day"]
    hours = sum(r.get("sim_ms", 0) for r in days) / 3_600_000
    main_board = results[0]["board"]
    on_main = [r for r in faults if r["board"] == main_board]
    sample = [r for r in faults if r["board"] != main_board]
    out = ["# Fault campaign", "",
           f"Made by `{command}` from the sources {tree_hash()}; do not edit. The table of what "
           "must follow is `tools/trials/campaign_cases.py`; how a run is judged is said at its "
           "top and at that of `tools/trials/campaign.py`. A page with every run is left in "
           "`build/campaign/runs.md`. " + rooms.figures_of(), "",
           "| | runs | as the table says | silent | wrong | false trips | failed |",
           "| --- | --: | --: | --: | --: | --: | --: |"]
    for name, some in ((f"faults on `{main_board}`", on_main),
                       ("a sample of them on the emulated RP2040", sample),
                       ("two faults at once", pairs),
                       (f"healthy, {hours / 24:.1f} pack-days in legs of {table.LEG_H} h", days)):
        if some:
            out.append(f"| {name} | {len(some)} | " + " | ".join(
                str(sum(r["verdict"] == v for r in some))
                for v in ("ok", "silent", "wrong", "false", "failed")) + " |")
    out += ["", f"{len(table.KINDS)} kinds of fault in {sum(map(len, table.KINDS.values()))} "
            f"variants, each at {len(table.MOMENTS)} seeded moments: rest, charge and discharge "
            "from 3 to 95 A, close to each limit, with each kind of protection tripped, in the "
            f"middle of a start. {sum(r.get('cpu_s', 0) for r in results) / 60:.0f} core-minutes "
            "of work.", ""]
    if table.LATER:
        out += ["Not run: " + ", ".join(f"`{kind}` ({why})" for kind, why in
                                        sorted(table.LATER.items())) + ".", ""]
    bad = [r for r in results if r["verdict"] != "ok"]
    out += ["## What is not as the table says", ""]
    out += [f"* **{r['verdict']}** `{r['id']}` ({r['board']}, {r.get('value')!r}"
            + (f", stress {r['stress']}" if r.get("stress") and isinstance(r["stress"], str)
               else "") + f"): {'; '.join(r['notes'])}" for r in bad] or ["Nothing."]
    out += ["", *pair_text(pairs), *summary(on_main), *pictures(faults, path.parent),
            *day_table(days)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(out).rstrip() + "\n", "utf-8")
    out = ["# Every run of the fault campaign", "",
           "Made by `make campaign`; do not edit. A cell is a run: *raised / FETs "
           "open / back* in seconds (– has none), or what it was put through under the fault when "
           "nothing has to be raised; **bold** is not as the table says. Times are from the "
           "fault; *back* is from its end.", ""]
    for kind in table.KINDS:
        out += kind_table(kind, [r for r in on_main if r["kind"] == kind])
    if sample:
        out += ["### A sample on the emulated RP2040", "", "| run | raised / open / back |",
                "| --- | --- |"]
        out += [f"| {r['id']} | {cell_text(r)} |" for r in sample] + [""]
    runs_path.parent.mkdir(parents=True, exist_ok=True)
    runs_path.write_text("\n".join(out).rstrip() + "\n", "utf-8")


def pair_text(pairs):
    """What two faults at once came to."""
    if not pairs:
        return []
    counts = {}
    for result in pairs:
        for kind, reason in result.get("excused", ()):
            counts.setdefault(reason, {}).setdefault(kind, 0)
            counts[reason][kind] += 1
    met = [f"* {reason}: " + ", ".join(f"`{kind}` ({count})"
                                       for kind, count in sorted(kinds.items()))
           for reason, kinds in sorted(counts.items())]
    return ["## Two faults at once", "",
            f"Each pair of kinds at {PAIR_MOMENTS} moments, the second one up to 4 s after the "
            f"first, then a danger for {PAIR_STRESS_MS // 1000} s. Judged by harm to cells, FETs "
            "and fuse alone. Harm that no firmware on this board could prevent:", "",
            *(met or ["None was met."]), ""]


def slowest(results, *fields):
    """The longest time of any of *fields* in seconds, as text."""
    times = [r[field] for r in results for field in fields if r.get(field) is not None]
    return seconds(max(times, default=None))


def summary(faults):
    """A row for each variant of each kind: what it came to at the slowest."""
    out = ["## By kind", "",
           "Slowest of all moments, in seconds; – has none. *Survived* counts the runs in which "
           "the pack was put under a second danger with the fault still there.", "",
           "| fault | runs | as said | raised by | FETs open | back | survived |",
           "| --- | --: | --: | --: | --: | --: | --: |"]
    for kind, variants in table.KINDS.items():
        for variant in variants:
            some = [r for r in faults if r["kind"] == kind
                    and r["variant"] == variant["variant"]]
            if not some:
                continue

            name = f"`{kind}`" + (f" {variant['variant']}" if variant["variant"] else "")
            out.append(f"| {name} | {len(some)} | {sum(r['verdict'] == 'ok' for r in some)} | "
                       f"{slowest(some, 'raised_ms', 'event_ms')} | "
                       f"{slowest(some, 'open_ms')} | {slowest(some, 'back_ms')} | "
                       f"{sum(isinstance(r.get('stress'), str) for r in some) or '–'} |")
    return [*out, ""]


def seconds(ms):
    return "–" if ms is None else f"{ms / 1000:.1f}"


def cell_text(result):
    """One run in a few characters."""
    raised = result.get("raised_ms", result.get("event_ms"))
    if result.get("stress") and isinstance(result["stress"], str):
        text = f"{result['stress']}"
        if raised is not None:
            text = f"{seconds(raised)} {text}"
    else:
        text = f"{seconds(raised)}/{seconds(result.get('open_ms'))}/" \
               f"{seconds(result.get('back_ms'))}"
    return text if result["verdict"] == "ok" else f"**{text} {result['verdict']}**"


def kind_table(kind, results):
    """Moments down, variants across."""
    variants = [v["variant"] for v in table.KINDS[kind]]
    out = [f"### `{kind}`", ""]
    for variant in table.KINDS[kind]:
        whys = []
        for _, expect in variant["cases"]:
            why = expect.get("tolerated")
            if why and why not in whys:
                whys.append(why)
            why = expect.get("blind_why")
            if why and why not in whys:
                whys.append(why)
        value = variant["value"]
        value = f"{value[0]} to {value[1]}" if isinstance(value, tuple) else value
        out.append(f"* {variant['variant'] or 'value'} ({value}): "
                   + ("; ".join(whys) if whys else "must be raised"))
    out += ["", "| moment | " + " | ".join(v or "run" for v in variants) + " |",
            "| --- |" + " --- |" * len(variants)]
    by = {(r["moment"], r["variant"]): r for r in results}
    for moment in table.MOMENTS:
        row = [cell_text(by[moment, v]) if (moment, v) in by else "" for v in variants]
        if any(row):
            out.append(f"| {moment} | " + " | ".join(row) + " |")
    return out + [""]


def day_table(days):
    if not days:
        return []
    out = ["## Healthy days", "",
           f"Sensors {table.NOISE:g} times as bad as a good board's, {table.CRC_RATE:.1%} of the "
           f"AFE's frames damaged in one minute of {table.BURST_EVERY}, an inverter that obeys "
           "the limits once a minute.",
           "", "| day | SOC | cells in mV | ambient | failed scans | legs on | verdict |",
           "| --: | --- | --- | --: | --: | --- | --- |"]
    for day in sorted({r["day"] for r in days}):
        legs = [r for r in days if r["day"] == day]
        good = [r for r in legs if "soc" in r]
        if not good:
            out.append(f"| {day} | | | | | | **failed** |")
            continue
        low, high = min(r["soc"][0] for r in good), max(r["soc"][1] for r in good)
        cells = (min(r["cell_mv"][0] for r in good), max(r["cell_mv"][1] for r in good))
        verdict = "ok" if all(r["verdict"] == "ok" for r in legs) else "**false trip**"
        out.append(f"| {day} | {low * 100:.0f}–{high * 100:.0f} % | {cells[0]}–{cells[1]} | "
                   f"{good[0]['plant']['temp_c']:.0f} °C | "
                   f"{sum(r['scans_failed'] or 0 for r in good)} | "
                   + " ".join(r["board"] for r in legs) + f" | {verdict} |")
    return out + [""]


def pictures(faults, folder):
    """Histograms of the times to raise, to open and to come back."""
    series = {}
    for name, field in (("raised", "raised_ms"), ("FETs open", "open_ms"), ("back", "back_ms")):
        series[name] = [r[field] / 1000 for r in faults if r.get(field) is not None]
    if not any(series.values()):
        return []
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 3, figsize=(10, 2.8), dpi=80)
    for axis, (name, values) in zip(axes, series.items()):
        if values:
            axis.hist(values, bins=40, color="#35618f")
        axis.set_title(f"{name} ({len(values)} runs)", fontsize=9)
        axis.set_xlabel("s after " + ("the fault's end" if name == "back" else "the fault"),
                        fontsize=8)
        axis.tick_params(labelsize=8)
        axis.set_yscale("log")
    figure.tight_layout()
    figure.savefig(folder / "campaign-times.png", metadata={"Software": None})
    kinds = [k for k in table.KINDS if any(r["kind"] == k and r.get("open_ms") for r in faults)]
    figure, axis = pyplot.subplots(figsize=(8, 0.26 * len(kinds) + 1), dpi=80)
    axis.boxplot([[r["open_ms"] / 1000 for r in faults if r["kind"] == k and r.get("open_ms")]
                  for k in kinds], orientation="horizontal")
    axis.set_yticks(range(1, len(kinds) + 1), kinds, fontsize=8)
    axis.set_xlabel("s from the fault until the FETs were open", fontsize=8)
    axis.set_xscale("log")
    axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(folder / "campaign-open.png", metadata={"Software": None})
    lines = ["![Times](campaign-times.png)", "", "![Time until FETs open, by kind]"
             "(campaign-open.png)", "", "| s | runs | median | longest |",
             "| --- | --: | --: | --: |"]
    for name, values in series.items():
        if values:
            lines.append(f"| {name} | {len(values)} | {statistics.median(values):.2f} | "
                         f"{max(values):.2f} |")
    return [*lines, ""]


# ---- command line -------------------------------------------------------------------------------


def choose(options):
    """The cases that *options* ask for."""
    if options.quick:
        cases = quick_cases(options.board, options.seed)
    else:
        cases = list(fault_cases(options.board, options.seed))
        if not options.no_pairs:
            cases += list(pair_cases(options.board, options.seed))
        if not options.no_days:
            cases += list(day_cases(options.board, options.seed, options.days))
        sample = random.Random(options.seed).sample(
            list(fault_cases("rp2040", options.seed)), options.sample_rp2040)
        cases += sample
    if options.only:
        cases = [case for case in cases if options.only in case["id"]]
    return cases


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small subset, under a minute")
    parser.add_argument("--only", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--board", default="unix", choices=("host", "unix", "rp2040"))
    parser.add_argument("--sample-rp2040", type=int, default=24, metavar="N",
                        help="so many cases on the emulated RP2040 as well (24)")
    parser.add_argument("--no-days", action="store_true", help="no healthy days")
    parser.add_argument("--no-pairs", action="store_true", help="no two faults at once")
    parser.add_argument("--days", type=int, default=table.DAYS, help="healthy days (20)")
    parser.add_argument("--seed", type=int, default=SEED)
    runs.add_options(parser, RESULTS)
    parser.add_argument("--report", type=pathlib.Path, help="write the report here")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    cases = choose(options)
    if not cases:
        print("campaign: no case is called so", file=sys.stderr)
        return 2
    started_s = time.monotonic()
    try:
        results = carry_out(cases, options)
    except KeyboardInterrupt:
        print("campaign: stopped; what is done is kept, the same command goes on from there",
              file=sys.stderr)
        return 130
    wall_s = time.monotonic() - started_s
    report = options.report
    if report is None and not (options.quick or options.only):
        report = REPORT
    if report:
        given = " ".join(arguments if arguments is not None else sys.argv[1:])
        command = f"tools/trials/campaign.py {given}".strip()
        write_report(results, report, command if given else "make campaign")
    bad = [r for r in results if r["verdict"] != "ok"]
    print(f"campaign: {len(results)} runs, " + ", ".join(
        f"{sum(r['verdict'] == v for r in results)} {v}"
        for v in ("ok", "silent", "wrong", "false", "failed")) + f"; {wall_s:.0f} s"
        + (f"; {report}" if report else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
