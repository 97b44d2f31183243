"""The module tests again, on MicroPython: each test there is one result here.

unix::test_protect::TestX::test_y ran on the interpreter for this computer, rp2040::... on the
emulated Pico, with the same frozen code that a board would have.
"""

import fcntl
import os
import pathlib
import pickle
import tempfile

import pytest

import run_on_target


def pytest_generate_tests(metafunc):
    if "on_target" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--targets").split(",")
    rows = []
    for target in run_on_target.TARGETS:
        sampled = target == "rp2040" and target not in chosen and "sample" in chosen
        if target not in chosen and not sampled:
            continue
        for module in run_on_target.SAMPLE if sampled else run_on_target.modules(target):
            for test in run_on_target.collect(module):
                marks = [getattr(pytest.mark, target)]
                marks += [pytest.mark.req(name) for name in test.reqs]
                rows.append(pytest.param(
                    (target, test), marks=marks,
                    id="::".join((target, module, test.case, test.method))))
    metafunc.parametrize("on_target", rows)


_results = {}       # {(target, module): {(case, method): Result}}


def results(target, module):
    """Results of one module on one target: run once, also when several workers share the tests."""
    if (target, module) not in _results:
        run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
        folder = pathlib.Path(tempfile.gettempdir()) / f"packctl-on-target-{run_id}"
        folder.mkdir(exist_ok=True)
        kept = folder / f"{target}-{module}"
        with open(folder / f"{target}-{module}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_bytes(pickle.dumps(run_on_target.run(target, module)))
        _results[target, module] = pickle.loads(kept.read_bytes())
    return _results[target, module]


def test_on_target(on_target, request):
    target, test = on_target
    request.getfixturevalue("unix_micropython" if target == "unix" else "uf2")
    result = results(target, test.module)[test.case, test.method]
    if result.outcome == "skip":
        pytest.skip(result.text)
    if result.outcome != "ok":
        pytest.fail(f"{result.outcome} on {target}:\n{result.text}", pytrace=False)
