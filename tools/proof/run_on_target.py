"""Runs the plain unittest modules of tests_host on MicroPython: unix port, RISC-V, RP2040.

    python tools/proof/run_on_target.py unix                    every module that can run there
    python tools/proof/run_on_target.py rp2040 test_protect     one of them
    python tools/proof/run_on_target.py rv32                    as code of the ESP32-C3, on QEMU

On the RP2040 the tests are frozen, with the firmware, into an image of their own; it starts no
firmware and runs one module at a time through the raw REPL, each in a fresh boot. `collect()` and
`run()` are what tests_host/test_on_target.py makes its tests from.

A module that is too long for a target says so at its top level: NOT_ON = ("rp2040",)
"""

import argparse
import ast
import collections
import functools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from rooms import ROOT  # noqa: E402

import rv32
import toolchain

TESTS = ROOT / "tests_host"
TARGETS = ("unix", "rv32", "rp2040")
HELPERS = ("fakes.py",)
_UNITTEST = "micropython-unittest==0.2"
_UNIX_HEAP = "4M"
_UNIX_LIMIT_S = 1200               # a loop without end; the machine may be busy
_RV32_LIMIT_S = 1200
_RP2040_LIMIT_MS = 240_000     # emulated: the longest module takes about half of it

# What runs on the target: one line before and one after each test, everything else between.
RUNNER = '''
import gc
import sys
import time
import unittest


def show(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback
        traceback.print_exception(error)


def run(name):
    try:
        module = __import__(name)
    except Exception as error:
        show(error)
        print("@@broken")
        return
    for class_name in dir(module):
        case = getattr(module, class_name)
        if not isinstance(case, type) or not issubclass(case, unittest.TestCase):
            continue
        for method in dir(case):
            if not method.startswith("test"):
                continue
            print("@@run", class_name, method)
            gc.collect()
            start = time.ticks_us()
            outcome = "ok"
            try:
                one = case()
                if hasattr(one, "setUp"):
                    one.setUp()
                getattr(one, method)()
                if hasattr(one, "tearDown"):
                    one.tearDown()
            except unittest.SkipTest as error:
                print(error.args[0])
                outcome = "skip"
            except Exception as error:
                show(error)
                outcome = "fail"
            one = None
            print("@@" + outcome, time.ticks_diff(time.ticks_us(), start))
    print("@@done")
'''

# outcome: "ok" | "fail" | "skip" | "missing" (the run ended before it); text: traceback or reason;
# us: time on the target
Result = collections.namedtuple("Result", "module case method outcome text us")
# reqs: ids in the "# req:" comments of the method; line: of its definition
Test = collections.namedtuple("Test", "module case method reqs line")


class RunError(Exception):
    """A module could not be run at all."""


# ---- what there is to run ----------------------------------------------------------------


def modules(target):
    """Names of the test modules that run on *target*: plain unittest, nothing of pytest."""
    names = []
    for path in sorted(_paths().values()):
        if path.stem.startswith("test_"):
            imported, not_on = _head(path)
            if ("unittest" in imported and not imported & {"pytest", "hypothesis"}
                    and target not in not_on):
                names.append(path.stem)
    return names


def path_of(module):
    """Where the test module of that name is."""
    return _paths()[module]


# Each file is read once, for however many targets its tests are collected.


@functools.lru_cache(None)
def _paths():
    return {path.stem: path for path in TESTS.rglob("*.py")}


@functools.lru_cache(None)
def _parsed(path):
    source = path.read_text()
    return source, ast.parse(source)


@functools.lru_cache(None)
def _head(path):
    """Modules that a test module imports, and the targets it is not for."""
    _, tree = _parsed(path)
    return _imports(tree), _not_on(tree)


def _not_on(tree):
    """Targets in the module's NOT_ON."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NOT_ON":
            return ast.literal_eval(node.value)
    return ()


def _imports(tree):
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@functools.lru_cache(None)
def collect(module):
    """The tests of *module* as list of Test, without importing it."""
    source, tree = _parsed(path_of(module))
    lines = source.split("\n")
    classes = {node.name: node for node in tree.body
               if isinstance(node, ast.ClassDef)}
    found = []
    for name, node in classes.items():
        if not _is_case(node, classes):
            continue
        methods = {}
        for part in reversed(_ancestry(node, classes)):
            for item in part.body:
                if isinstance(item, ast.FunctionDef) and item.name.startswith("test"):
                    methods[item.name] = item
        for method, item in methods.items():
            head = lines[item.lineno - 1:item.body[0].lineno]
            found.append(Test(module, name, method, _reqs(head), item.lineno))
    return found


def _bases(node, classes):
    return [classes[base.id] for base in node.bases
            if isinstance(base, ast.Name) and base.id in classes]


def _ancestry(node, classes):
    """The class and its ancestors within the module, nearest first."""
    chain = [node]
    for base in _bases(node, classes):
        chain += _ancestry(base, classes)
    return chain


def _is_case(node, classes):
    return any(isinstance(base, ast.Attribute) and base.attr == "TestCase"
               for part in _ancestry(node, classes) for base in part.bases)


def _reqs(lines):
    ids = []
    for line in lines:
        mark = re.search(r"#\s*req:\s*(.*)", line)
        if mark:
            ids += re.findall(r"[A-Z][A-Z0-9]*-\d+", mark.group(1))
    return tuple(ids)


# ---- running -----------------------------------------------------------------------------


def unittest_file():
    """MicroPython's unittest.py: from `make setup`, else fetched with pip into the cache."""
    installed = ROOT / ".venv" / "micropython-lib" / "unittest.py"
    if installed.exists():
        return installed
    cached = toolchain.cache_dir() / _UNITTEST.replace("==", "-") / "unittest.py"
    if not cached.exists():
        with tempfile.TemporaryDirectory() as folder:
            got = subprocess.run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                 "--target", folder, _UNITTEST], capture_output=True, text=True)
            if got.returncode:
                raise RunError(f"pip cannot install {_UNITTEST}: {got.stderr.strip()[-500:]}")
            cached.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(pathlib.Path(folder) / "unittest.py", cached)
    return cached


def _stage(folder, names):
    """Put the test modules, their helpers and the runner into *folder*."""
    folder = pathlib.Path(folder)
    for name in names:
        shutil.copy(path_of(name), folder)
    for helper in HELPERS:
        shutil.copy(TESTS / helper, folder)
    shutil.copy(unittest_file(), folder / "unittest.py")
    (folder / "target_run.py").write_text(RUNNER)


def run(target, module):
    """Run *module* on *target*; {(case, method): Result} with every test of collect()."""
    if target == "unix":
        output = _run_unix(module)
    elif target == "rv32":
        output = _run_rv32(module)
    elif target == "rp2040":
        output = _run_rp2040(module)
    else:
        raise ValueError(f"target {target!r} is none of {', '.join(TARGETS)}")
    return _sorted_out(module, output)


def _run_unix(module):
    with tempfile.TemporaryDirectory() as folder:
        _stage(folder, [module])
        path = ":".join((".frozen", folder, str(ROOT / "firmware"), str(ROOT / "lib")))
        try:
            done = subprocess.run(
                [toolchain.paths()["unix"] or toolchain.unix(), "-X", f"heapsize={_UNIX_HEAP}",
                 "-c", f"import target_run\ntarget_run.run({module!r})"],
                env={"MICROPYPATH": path}, cwd=folder, timeout=_UNIX_LIMIT_S,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired as late:
            return (late.stdout or b"").decode(errors="replace") + "\nno end after %d s" % (
                _UNIX_LIMIT_S)
    return done.stdout.decode(errors="replace")


@functools.cache
def _rv32_rom():
    """One ROM holds all modules, so it is made once."""
    with tempfile.TemporaryDirectory() as folder:
        _stage(folder, modules("rv32"))
        try:
            return rv32.rom_of(rv32.files_of(folder))
        except rv32.Rv32Error as error:
            raise RunError(str(error)) from None


def _run_rv32(module):
    return rv32.run(_rv32_rom(), f"import target_run\ntarget_run.run({module!r})\n",
                    _RV32_LIMIT_S)


_PART_BYTES = 300_000   # of test sources in one image, beside the application

# Runs on the emulated RP2040 in each `make test`, the rest in `make test-rp2040`: what depends
# on the processor, such as words of 32 bits, code compiled for it, memory, pins and buses.
SAMPLE = ("test_bq76952", "test_bq_frames", "test_crc", "test_dead_man", "test_due", "test_heap",
          "test_hex_text", "test_protect", "test_scan_values", "test_scheduler", "test_self_tests")

# So on RISC-V, with `make test-rv32` for the rest: the code generator of the ESP32-C3 and C6.
RV32_SAMPLE = ("test_ascii_frame", "test_bq76952", "test_bq_frames", "test_crc", "test_due",
               "test_hex_text", "test_levels", "test_protect", "test_pulses", "test_scan_values",
               "test_scheduler", "test_values")
SAMPLES = {"rp2040": SAMPLE, "rv32": RV32_SAMPLE}

_images: dict = {}  # {part: path of its image}, built once a process


def parts():
    """The modules for the RP2040 in as many images as they need: the sample, then the others in
    parts of about the same size."""
    names = [name for name in modules("rp2040") if name not in SAMPLE]
    sizes = [path_of(name).stat().st_size for name in names]
    count = -(-sum(sizes) // _PART_BYTES)
    made = [[] for _ in range(count)]
    before = 0
    for name, size in zip(names, sizes):
        made[before * count // sum(sizes)].append(name)
        before += size
    return [list(SAMPLE), *made]


def part_of(module):
    """Number of the image for the RP2040 that has *module*; that of the sample for any other."""
    return next((i for i, names in enumerate(parts()) if module in names), 0)


def image_of(target, module):
    """What has to be built before *module* runs on *target*: a name that others may share."""
    return {"unix": "unix", "rv32": "rv32"}.get(target) or f"{target}-{part_of(module)}"


def test_image(module=None):
    """The UF2 with the firmware and the part of the tests that *module* is of; None: any."""
    groups = parts()
    part = part_of(module)
    if part not in _images:
        with tempfile.TemporaryDirectory() as folder:
            _stage(folder, groups[part])
            # Instead of the firmware's: the tests want the prompt, not a running pack.
            (pathlib.Path(folder) / "main.py").write_text("")
            (pathlib.Path(folder) / "boot.py").write_text("")
            _images[part] = toolchain.firmware(extra=[folder]).uf2
    return _images[part]


def _run_rp2040(module):
    from emu_periph import RawRepl
    from emulator import EmulatedPico
    pico = EmulatedPico(test_image(module))
    repl = RawRepl(pico)
    try:
        out, err = repl.exec(f"import target_run\ntarget_run.run({module!r})", _RP2040_LIMIT_MS)
        heard = out + err
    except TimeoutError:
        heard = bytes(repl._seen) + b"\nno end after %d s" % (_RP2040_LIMIT_MS // 1000)
    finally:
        pico.power(False)
    return heard.decode(errors="replace").replace("\r\n", "\n")


def _sorted_out(module, output):
    wanted = [(test.case, test.method) for test in collect(module)]
    results = {}
    key = None
    text = []
    for line in output.split("\n"):
        if line.startswith("@@run "):
            _, case, method = line.split()
            key, text = (case, method), []
        elif line.startswith(("@@ok", "@@fail", "@@skip")) and key:
            outcome, us = line[2:].split()
            results[key] = Result(module, *key, outcome, "\n".join(text), int(us))
            key, text = None, []
        else:
            text.append(line)
    rest = "\n".join(text).strip()
    for one in wanted:
        if one not in results:
            results[one] = Result(module, *one, "missing", rest or "it did not run", 0)
    return results


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line a test")
    args = parser.parse_args(argv)
    worst = 0
    count = collections.Counter()
    try:
        for module in args.modules or modules(args.target):
            start = time.monotonic()
            results = run(args.target, module).values()
            for r in results:
                count[r.outcome] += 1
                if r.outcome in ("fail", "missing"):
                    worst = 1
                    print(f"{r.outcome} {module}::{r.case}::{r.method}\n{r.text}\n")
                elif args.verbose:
                    print(f"{r.outcome} {module}::{r.case}::{r.method} {r.us / 1000:.1f} ms")
            target_s = sum(r.us for r in results) / 1e6
            print(f"{module}: {len(results)} tests, {target_s:.2f} s on the target, "
                  f"{time.monotonic() - start:.1f} s here", flush=True)
    except (RunError, toolchain.ToolchainError) as error:
        print(f"run_on_target: {error}", file=sys.stderr)
        return 1
    print(", ".join(f"{count[k]} {k}" for k in ("ok", "fail", "missing", "skip") if count[k]))
    return worst


if __name__ == "__main__":
    sys.exit(main())
