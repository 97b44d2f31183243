"""Mutation testing of the safety core: every small error that a test ought to see.

    python tools/proof/mutants.py              all of TARGETS, goes on where it stopped
    python tools/proof/mutants.py fets limiter only modules with these words in their name
        --list         only list the mutants
        --again        forget earlier results
        --survivors    run again only what survived last time, with the tests as they are now
        --jobs N       processes (default: one a core)

A mutant is one module with one change: a comparison, an operator, a number, a bit, a branch, an
assignment. It is compiled in memory and put in the place of the module in a process of its own,
which runs the unit tests named for it; the first failure kills it. Survivors are printed, and
listed by line in docs/mutants.md. Exit 1 if fewer than 90 % are killed in any module.

Mutants that change nothing anybody could observe are listed in mutants_allowed.txt, each
with its reason.
"""

import argparse
import ast
import collections
import copy
import fnmatch
import hashlib
import importlib.abc
import importlib.util
import json
import os
import pathlib
import signal
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests_host"
TEST_ROOMS = sorted({path.parent for path in TESTS.rglob("*.py")})
PATHS = [*(ROOT / folder for folder in ("firmware", "lib", "tools/mocks", "tools/models",
                                        "tools")), *TEST_ROOMS]
KEPT = ROOT / "build" / "mutants.json"
REPORT = ROOT / "docs" / "mutants.md"
ALLOWED = pathlib.Path(__file__).with_name("mutants_allowed.txt")
LEAST = 0.90
_SLOWER = 4             # a mutant may take so much longer than the tests do without one ...
_EXTRA_S = 3            # ... and that
_MEMORY = 2 << 30

_PACK_TESTS = ("test_pack", "test_rows", "test_decisions", "test_derating", "test_control",
               "test_balancing")

# module: (functions and classes left out, tests in the order in which they are run)
TARGETS = {
    "bq_frames_py": ((), ("test_bq_frames", "test_bq76952")),
    "hot.scan_values_py": ((), ("test_scan_values",)),
    "bms.measure.measurements": ((), ("test_measurements", "test_decisions", "test_pack")),
    "hot.protect_py": ((), ("test_protect", "test_rows")),
    "bms.words.rules": ((), ("test_rows", "test_protection", "test_pack", "test_decisions")),
    "bms.protect.protection": ((), ("test_protection", "test_rows", "test_pack")),
    "bms.measure.witness": ((), ("test_witness",)),
    "bms.measure.life": ((), ("test_life", "test_witness")),
    "bms.measure.levels": ((), ("test_levels", "test_measurements")),
    "bms.measure.end_wires": ((), ("test_end_wires", "test_decisions")),
    "bms.protect.fets": ((), ("test_fets", "test_decisions", "test_pack", "test_control")),
    "bms.protect.limiter": ((), ("test_limiter",)),
    "bms.limits.derating": ((), ("test_derating", "test_decisions")),
    "bms.limits.allowance": ((), ("test_allowance",)),
    "bms.words.timer": ((), ("test_fet_watch", "test_timer", *_PACK_TESTS)),
    "bms.protect.faults": ((), (*_PACK_TESTS, "test_storage")),
    "bms.measure.doubts": ((), _PACK_TESTS),
    "bms.measure.fet_watch": ((), ("test_fet_watch", *_PACK_TESTS)),
    "bms.measure.sign_watch": ((), ("test_sign_watch", *_PACK_TESTS)),
    "bms.measure.flow": ((), ("test_flow", *_PACK_TESTS)),
    "bms.measure.other_way": ((), ("test_flow", *_PACK_TESTS)),
    "bms.measure.polarity": ((), ("test_flow", *_PACK_TESTS)),
    "bms.words.quota": ((), ("test_flow", "test_sparing", "test_fets")),
    "bms.protect.sparing": ((), ("test_sparing", *_PACK_TESTS)),
    "bms.protect.changes": ((), _PACK_TESTS),
    "bms.power.watch": ((), ("test_power_watch", *_PACK_TESTS)),
    "bms.pack": (("remaining_mah", "count_charge"), _PACK_TESTS),
    "bms.protect.second_line": (("realised",), ("test_afe_config", "test_control")),
    "tasks.control": ((), ("test_control", "test_balancing")),
    "tasks.self_tests": (("provoke", "Skipped"), ("test_self_tests",)),
    "memory_tests": ((), ("test_self_tests",)),
    "due_py": ((), ("test_due", "test_scheduler")),
    "scheduler": ((), ("test_scheduler",)),
}


def path_of(module):
    """Path of *module* in the repository: in firmware/ or in lib/."""
    path = module.replace(".", "/") + ".py"
    return "firmware/" + path if (ROOT / "firmware" / path).exists() else "lib/" + path


# Names that a table might confuse
_CONFUSED = {"CHARGE": "DISCHARGE", "DISCHARGE": "CHARGE", "BOTH": "CHARGE", "ABOVE": "BELOW",
             "BELOW": "ABOVE", "ALARM": "TRIPPED", "TRIPPED": "ALARM", "LOCKED": "TRIPPED",
             "CHARGING": "DISCHARGING", "DISCHARGING": "CHARGING",
             "CHARGER_SEEN": "CHARGING", "CHARGE_FLOWS": "CHARGING",
             "SOC_BELOW_FULL": "CHARGER_SEEN", "CHARGED": "CHARGER_SEEN",
             "MAX_CELL_MV": "MIN_CELL_MV", "MIN_CELL_MV": "MAX_CELL_MV",
             "MIN_TEMP_DC": "MAX_TEMP_DC", "MAX_TEMP_DC": "MIN_TEMP_DC",
             "CHARGE_MA": "DISCHARGE_MA", "DISCHARGE_MA": "CHARGE_MA",
             "STACK_MV": "PACK_MV", "PACK_MV": "STACK_MV", "CELL_SUM_MV": "STACK_MV"}
_COMPARE = {ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt),
            ast.GtE: (ast.Gt, ast.LtE), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,),
            ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
            ast.NotIn: (ast.In,)}
_BINARY = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
           ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr,
           ast.LShift: ast.RShift, ast.RShift: ast.LShift}

# file: of the module; where: function; line; old, new: the changed piece; at: its place in walk()
Mutant = collections.namedtuple("Mutant", "module file where line old new at")


# ---- making mutants ----------------------------------------------------------------------


def replacements(node):
    """What may stand in the place of *node*, itself untouched."""
    def changed(**fields):
        other = copy.copy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    kind = type(node)
    if kind is ast.Compare:
        for i, op in enumerate(node.ops):
            for new in _COMPARE.get(type(op), ()):
                yield changed(ops=[*node.ops[:i], new(), *node.ops[i + 1:]])
    elif kind in (ast.BinOp, ast.AugAssign):
        if type(node.op) in _BINARY and not isinstance(getattr(node, "left", None), ast.Constant) \
                or isinstance(getattr(getattr(node, "left", None), "value", None), int):
            yield changed(op=_BINARY[type(node.op)]())
        if kind is ast.AugAssign:
            yield ast.Pass()
    elif kind is ast.BoolOp:
        yield changed(op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif kind is ast.UnaryOp:
        if not isinstance(node.operand, ast.Constant):
            yield node.operand
    elif kind is ast.Constant:
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield ast.Constant(node.value + 1)
            yield ast.Constant(node.value - 1)
    elif kind is ast.Name and isinstance(node.ctx, ast.Load):
        if node.id in _CONFUSED:
            yield changed(id=_CONFUSED[node.id])
    elif kind is ast.Attribute and isinstance(node.ctx, ast.Load):
        if node.attr in _CONFUSED and isinstance(node.value, ast.Name):
            yield changed(attr=_CONFUSED[node.attr])
    elif kind in (ast.If, ast.While, ast.IfExp):
        yield changed(test=ast.UnaryOp(ast.Not(), node.test))
    elif kind is ast.Return:
        if node.value is not None and not isinstance(node.value, ast.Constant):
            yield changed(value=ast.Constant(None))
    elif kind is ast.Assign:
        if not isinstance(node.targets[0], (ast.Name, ast.Tuple)):
            yield ast.Pass()
    elif kind is ast.Expr:
        if isinstance(node.value, ast.Call):
            yield ast.Pass()
    elif kind is ast.Continue:
        yield ast.Break()


def walk(tree, left_out=()):
    """(parent, field, index or None, node, name of function, statement) of every place."""
    def visit(parent, where, statement):
        for field, value in ast.iter_fields(parent):
            several = isinstance(value, list)
            for index, node in enumerate(value if several else [value]):
                if not isinstance(node, ast.AST) or field in ("annotation", "returns",
                                                              "decorator_list"):
                    continue
                inner = where
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    inner = f"{where}.{node.name}" if where else node.name
                    if inner in left_out or node.name in left_out:
                        continue
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    continue
                around = node if isinstance(node, ast.stmt) else statement
                yield parent, field, index if several else None, node, inner, around
                yield from visit(node, inner, around)
    yield from visit(tree, "", None)


def _source(node):
    return " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())


def _head(statement):
    """One line that shows *statement*, of a compound one what stands before the colon."""
    if isinstance(statement, (ast.If, ast.While)):
        return ("if " if isinstance(statement, ast.If) else "while ") + _source(statement.test)
    if isinstance(statement, ast.For):
        return f"for {_source(statement.target)} in {_source(statement.iter)}"
    if isinstance(statement, ast.FunctionDef):
        return f"def {statement.name}({_source(statement.args)})"
    if isinstance(statement, (ast.Try, ast.ClassDef)):
        return type(statement).__name__.lower()
    return _source(statement)


def _put(parent, field, index, node):
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _texts(parent, field, index, node, other, statement):
    """The place before and after: a statement, or an entry of a row of a table."""
    if isinstance(parent, ast.Tuple) and len(parent.elts) > 1 and isinstance(
            parent.elts[0], ast.Constant) and isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return f"{parent.elts[0].value}.{index}: {_source(node)}", _source(other)
    if node is statement:
        return _head(node), _head(other)
    old = _head(statement)
    _put(parent, field, index, other)
    new = _head(statement)
    _put(parent, field, index, node)
    return old, new


def mutants_of(module):
    """Every Mutant of *module*, in the order of its source."""
    file, left_out = path_of(module), TARGETS[module][0]
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = []
    for place, (parent, field, index, node, where, statement) in enumerate(
            list(walk(tree, left_out))):
        for which, other in enumerate(replacements(node)):
            old, new = _texts(parent, field, index, node, other, statement)
            found.append(Mutant(module, file, where or "-", getattr(node, "lineno", 0), old, new,
                                (place, which)))
    return sorted(found, key=lambda m: (m.line, m.at))


def mutated_tree(module, at):
    """The module's tree with the change *at* = (place, which)."""
    file, left_out = path_of(module), TARGETS[module][0]
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    if at is not None:
        for place, (parent, field, index, node, _, _) in enumerate(walk(tree, left_out)):
            if place == at[0]:
                other = list(replacements(node))[at[1]]
                ast.copy_location(other, node)
                _put(parent, field, index, other)
                break
    return ast.fix_missing_locations(tree)


# ---- running tests against one -----------------------------------------------------------


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a tree in memory."""

    def __init__(self, module, tree):
        self._module = module
        self._file = path_of(module)
        self._tree = tree

    def find_spec(self, name, path=None, target=None):
        if name == self._module:
            return importlib.util.spec_from_loader(name, self, origin=self._file)
        return None

    def exec_module(self, module):
        exec(compile(self._tree, self._file, "exec"), module.__dict__)


class _First(unittest.TestResult):
    """Stops at the first failure. skipped_names: tests that fail without any change."""

    failfast = True


def _suite(names, without):
    """The unit tests of the modules *names*, except those in *without*."""
    for name in names:
        try:
            loaded = unittest.defaultTestLoader.loadTestsFromName(name)
        except SystemExit:
            loaded = unittest.TestSuite()
        for case in _flat(loaded):
            if case.id() not in without:
                yield case


def _flat(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _flat(item)
        else:
            yield item


def _quiet():
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _child(module, at, tests, without, limit_s):
    """In a process of its own: exit 0 if every test passes."""
    import resource
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    _quiet()
    code = 1
    try:
        sys.meta_path.insert(0, _Mutated(module, mutated_tree(module, at)))
        for case in _suite(tests, without):
            result = _First()
            case.run(result)
            if not result.wasSuccessful():
                break
        else:
            code = 0
    except BaseException:
        code = 1
    os._exit(code)


def baseline(module):
    """(seconds that the tests take, ids of those that fail) with the module as it is."""
    read, write = os.pipe()
    tests = TARGETS[module][1]
    pid = os.fork()
    if not pid:
        try:
            os.close(read)
            _quiet()
            failed = []
            began = time.monotonic()
            for case in _suite(tests, ()):
                result = _First()
                case.run(result)
                if not result.wasSuccessful():
                    failed.append(case.id())
            text = json.dumps([time.monotonic() - began, failed])
            with os.fdopen(write, "w") as pipe:
                pipe.write(text)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    if not text:
        raise SystemExit(f"mutants: the tests of {module} cannot be run at all")
    return json.loads(text)


def run_all(mutants, jobs, on_result):
    """Run each mutant; on_result(mutant, "killed" | "late" | "survived") as they end."""
    base = {}
    for module in dict.fromkeys(m.module for m in mutants):
        seconds, failed = baseline(module)
        for name in failed:
            if not name.startswith("unittest.loader"):
                print(f"mutants: {name} fails without any change: left out", file=sys.stderr)
            else:
                print(f"mutants: {name.split('.')[-1]} is not there: left out", file=sys.stderr)
        base[module] = seconds * _SLOWER + _EXTRA_S, frozenset(failed)
    running = {}
    waiting = collections.deque(mutants)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant = waiting.popleft()
                limit_s, failed = base[mutant.module]
                pid = os.fork()
                if not pid:
                    _child(mutant.module, mutant.at, TARGETS[mutant.module][1], failed, limit_s)
                running[pid] = mutant
            pid, status = os.wait()
            mutant = running.pop(pid, None)
            if mutant is not None:
                if os.WIFSIGNALED(status):
                    late = os.WTERMSIG(status) == signal.SIGALRM
                    on_result(mutant, "late" if late else "killed")
                else:
                    on_result(mutant, "killed" if os.WEXITSTATUS(status) else "survived")
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


# ---- what is kept and shown --------------------------------------------------------------


def key_of(mutant):
    return "|".join((mutant.file, mutant.where, str(mutant.line), str(mutant.at), mutant.old,
                     mutant.new))


def fingerprint(module):
    """Changes when the program or the tests of *module* do."""
    h = hashlib.sha256()
    files = sorted([*(ROOT / "firmware").rglob("*.py"), *(ROOT / "lib").glob("*.py"),
                    TESTS / "fakes.py", pathlib.Path(__file__).resolve(),
                    *(next(TESTS.rglob(f"{name}.py")) for name in TARGETS[module][1])])
    for file in files:
        if file.exists():
            h.update(file.read_bytes())
    return h.hexdigest()[:16]


def allowed():
    """[(file, function, old, new, reason)] of ALLOWED. A piece with ~ before it is a pattern."""
    rows = []
    if ALLOWED.exists():
        for number, line in enumerate(ALLOWED.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                parts = tuple(part.strip() for part in line.split(" @ "))
                if len(parts) != 5:
                    raise SystemExit(f"{ALLOWED.name}:{number}: not file @ function @ old @ new "
                                     "@ reason")
                rows.append(parts)
    return rows


def is_allowed(mutant, rows):
    """True if one of *rows* says that nobody can observe *mutant*."""
    texts = mutant.file, mutant.where, mutant.old, mutant.new
    return any(all(fnmatch.fnmatchcase(text, part[1:]) if part.startswith("~") else text == part
                   for text, part in zip(texts, row)) for row in rows)


def _load(modules, again):
    kept = {}
    if KEPT.exists() and not again:
        kept = json.loads(KEPT.read_text())
    return {module: kept.get(module, {}) for module in TARGETS}, \
        {module: fingerprint(module) for module in modules}


def _save(kept):
    KEPT.parent.mkdir(exist_ok=True)
    fresh = KEPT.with_suffix(".new")
    fresh.write_text(json.dumps(kept))
    fresh.replace(KEPT)


def summary(modules, kept):
    """Rows (module, file, mutants, killed, late, allowed, [survivors])."""
    excuses = allowed()
    rows = []
    for module in modules:
        count = collections.Counter()
        alive = []
        for mutant in mutants_of(module):
            outcome = kept[module].get("results", {}).get(key_of(mutant))
            if outcome == "survived":
                if is_allowed(mutant, excuses):
                    outcome = "allowed"
                else:
                    alive.append(mutant)
            count[outcome or "not run"] += 1
        rows.append((module, path_of(module), count, alive))
    return rows


def score(rows):
    """(killed, those that count)"""
    killed = sum(count["killed"] + count["late"] for _, _, count, _ in rows)
    return killed, killed + sum(count["survived"] for _, _, count, _ in rows)


def report(rows, seconds, ran, jobs):
    """docs/mutants.md. ran: mutants that were run now, in *seconds*"""
    import rooms                        # tools/ is on the path by now
    killed, total = score(rows)
    took = (f"This run: {seconds:.0f} s for {ran} mutants, {jobs} at a time." if ran
            else "Nothing had changed since the run before.")
    lines = ["# Mutants of the safety core", "",
             "Written by `make mutants` (tools/proof/mutants.py): one small error at a time in "
             "the code that decides about",
             "the FETs, and whether the unit tests notice it. *late*: the tests did not end. "
             "*equivalent*: nobody",
             "could observe it, and the last table says why. The target is 90 % of the rest, in "
             "every module.", "", rooms.figures_of(), took, "",
             f"**{killed} of {total} killed: {100 * killed / max(total, 1):.1f} %**", "",
             "| module | mutants | killed | late | equivalent | survived |",
             "| --- | --- | --- | --- | --- | --- |"]
    for _, file, count, alive in rows:
        lines.append(f"| {file} | {sum(count.values())} | {count['killed']} | {count['late']} | "
                     f"{count['allowed']} | {len(alive)} |")
    lines += ["", "## Survivors", "", "What no test tells from the program as it is.", ""]
    if not any(alive for *_, alive in rows):
        lines.append("None.")
    for _, file, _, alive in rows:
        if alive:
            lines += [f"### {file}", "", "| line | in | was | became |",
                      "| --- | --- | --- | --- |"]
            for m in alive:
                lines.append(f"| {m.line} | {m.where} | `{_cell(m.old)}` | `{_cell(m.new)}` |")
            lines.append("")
    excuses = allowed()
    if excuses:
        lines += ["", "## Equivalent mutants", "",
                  "Nobody could observe them (tools/proof/mutants_allowed.txt).", "",
                  "| file | in | was | became | because |", "| --- | --- | --- | --- | --- |"]
        for file, where, old, new, reason in sorted(excuses):
            lines.append(f"| {file} | {where} | `{_cell(old)}` | `{_cell(new)}` | {reason} |")
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _cell(text):
    text = text.replace("|", "\\|")
    return text if len(text) <= 90 else text[:87] + "..."


class Bar:
    """Progress on one line of a terminal; a line each tenth where there is none."""

    def __init__(self, total):
        self._total = total
        self._done = 0
        self._alive = 0
        self._began = time.monotonic()

    def add(self, outcome):
        self._done += 1
        self._alive += outcome == "survived"
        spent = time.monotonic() - self._began
        left = spent / self._done * (self._total - self._done)
        text = (f"{self._done}/{self._total} mutants, {self._alive} survived, "
                f"{spent:.0f} s, {left:.0f} s to go")
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            if self._done == self._total:
                print(file=sys.stderr)
        elif self._done * 10 // self._total != (self._done - 1) * 10 // self._total:
            print(text, file=sys.stderr, flush=True)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--survivors", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    modules = [module for module in TARGETS
               if not args.words or any(word in module for word in args.words)]
    mutants = [mutant for module in modules for mutant in mutants_of(module)]
    if args.list:
        for m in mutants:
            print(f"{m.file}:{m.line}: {m.where}: {m.old}  ->  {m.new}")
        print(f"{len(mutants)} mutants")
        return 0
    sys.path[:0] = [str(path) for path in PATHS]
    sys.dont_write_bytecode = True
    kept, now = _load(modules, args.again)
    for module in modules:
        if kept[module].get("of") != now[module] and not args.survivors:
            kept[module] = {"of": now[module], "results": {}}
        kept[module].setdefault("results", {})
    if args.survivors:
        todo = [m for m in mutants if kept[m.module]["results"].get(key_of(m)) != "killed"
                and kept[m.module]["results"].get(key_of(m)) != "late"]
    else:
        todo = [m for m in mutants if key_of(m) not in kept[m.module]["results"]]
    began = time.monotonic()
    saved = began
    if todo:
        bar = Bar(len(todo))

        def on_result(mutant, outcome):
            nonlocal saved
            kept[mutant.module]["results"][key_of(mutant)] = outcome
            bar.add(outcome)
            if time.monotonic() - saved > 5:
                saved = time.monotonic()
                _save(kept)

        try:
            run_all(todo, args.jobs, on_result)
        except KeyboardInterrupt:
            print("\nmutants: stopped; the next run goes on from here", file=sys.stderr)
            return 130
        finally:
            _save(kept)
    rows = summary(modules, kept)
    for _, file, _, alive in rows:
        for m in alive:
            print(f"{file}:{m.line}: {m.where}: {m.old}  ->  {m.new}")
    for module, _, count, alive in rows:
        killed = count["killed"] + count["late"]
        print(f"{module}: {killed} of {killed + len(alive)} killed"
              f"{', %d equivalent' % count['allowed'] if count['allowed'] else ''}")
    killed, total = score(rows)
    print(f"{killed} of {total} mutants killed, {100 * killed / max(total, 1):.1f} %, "
          f"{time.monotonic() - began:.0f} s")
    if modules == list(TARGETS):
        report(rows, time.monotonic() - began, len(todo), args.jobs)
        print(f"written: {REPORT.relative_to(ROOT)}")
    weak = [module for module, _, count, alive in rows
            if len(alive) > (1 - LEAST) * (count["killed"] + count["late"] + len(alive))]
    if weak:
        print(f"below {LEAST:.0%}: {', '.join(weak)}")
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
