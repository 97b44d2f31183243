"""The module tests again, on MicroPython: each test there is one result here.

unix::test_protect::TestX::test_y ran on the interpreter for this computer, rv32::... as code of
the ESP32-C3 and C6 on QEMU, rp2040::... on the emulated Pico, with the same frozen code that a
board would have.
"""

import fcntl
import os
import pathlib
import pickle
import tempfile

import pytest

import run_on_target
import toolchain


def pytest_generate_tests(metafunc):
    if "on_target" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--targets").split(",")
    rows = []
    for target in run_on_target.TARGETS:
        sample = run_on_target.SAMPLES.get(target)
        sampled = sample and target not in chosen and "sample" in chosen
        if target not in chosen and not sampled:
            continue
        for module in sample if sampled else run_on_target.modules(target):
            for test in run_on_target.collect(module):
                marks = [getattr(pytest.mark, target)]
                marks += [pytest.mark.req(name) for name in test.reqs]
                rows.append(pytest.param(
                    (target, test), marks=marks,
                    id="::".join((target, module, test.case, test.method))))
    metafunc.parametrize("on_target", rows)


_results = {}       # {(target, module): {(case, method): Result}}


def results(target, module):
    """Results of one module on one target: run once, also when several workers share the tests.

    What cannot be built is not tried again by each test: RunError with what the builder said.
    """
    if (target, module) not in _results:
        run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
        folder = pathlib.Path(tempfile.gettempdir()) / f"packctl-on-target-{run_id}"
        folder.mkdir(exist_ok=True)
        kept = folder / f"{target}-{module}"
        failed = folder / f"{run_on_target.image_of(target, module)}.failed"
        with open(folder / f"{target}-{module}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if failed.exists():
                raise run_on_target.RunError(failed.read_text("utf-8"))
            if not kept.exists():
                try:
                    kept.write_bytes(pickle.dumps(run_on_target.run(target, module)))
                except (run_on_target.RunError, toolchain.ToolchainError) as error:
                    failed.write_text(str(error), "utf-8")
                    raise run_on_target.RunError(str(error)) from None
        _results[target, module] = pickle.loads(kept.read_bytes())
    return _results[target, module]


_NEEDS = {"unix": "unix_micropython", "rp2040": "uf2"}      # fixtures


def test_on_target(on_target, request):
    target, test = on_target
    if target in _NEEDS:
        request.getfixturevalue(_NEEDS[target])
    try:
        result = results(target, test.module)[test.case, test.method]
    except run_on_target.RunError as error:
        if target == "rv32" and toolchain.missing_rv32():
            pytest.skip(f"this machine cannot install RISC-V's compiler and QEMU: {error}")
        pytest.fail(str(error), pytrace=False)
    if result.outcome == "skip":
        pytest.skip(result.text)
    if result.outcome != "ok":
        pytest.fail(f"{result.outcome} on {target}:\n{result.text}", pytrace=False)
