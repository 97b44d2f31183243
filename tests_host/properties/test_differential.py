"""The pack decides the same on every interpreter: one stream of scans, decisions compared.

100 000 steps on MicroPython for this computer, 5 000 on the emulated RP2040 (PRO-26). The driver
is differential_driver.py. Where a hash differs, both are run again to show the first difference.
"""

import os
import pathlib
import subprocess
import sys

import pytest

import differential_driver as driver
import run_on_target

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDERS = (HERE, ROOT / "tests_host", ROOT / "firmware", ROOT / "lib")
EVERY = 250
STREAMS = [(seed, 12_500) for seed in (1, 2, 3, 5, 8, 13, 21, 34)]
SHORT_STREAMS = [(55, 2_500), (89, 2_500)]


def on_host(*args):
    done = subprocess.run(
        [sys.executable, "-c", f"import differential_driver\ndifferential_driver.run{args!r}"],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(
            str(folder) for folder in (*FOLDERS, ROOT / "tools" / "mocks"))),
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


def on_unix(interpreter, *args):
    path = ":".join([".frozen", *(str(f) for f in FOLDERS)])
    done = subprocess.run(
        [interpreter, "-X", "heapsize=4M", "-c",
         f"import differential_driver\ndifferential_driver.run{args!r}"],
        env={"MICROPYPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout.split("\n")


def on_rp2040(*args):
    """The image is that of the module tests; the driver goes in through the raw REPL."""
    from emulator import EmulatedPico
    pico = EmulatedPico(run_on_target.test_image())
    source = (HERE / "differential_driver.py").read_text()
    try:
        out, err = pico.exec_raw(f"{source}\nrun{args!r}", 1_000_000)
    finally:
        pico.power(False)
    assert not err, err.decode(errors="replace")
    return out.decode().replace("\r\n", "\n").split("\n")


def compare(seed, steps, other):
    """*other*(...) has to print what the host does; where not, the first difference is shown."""
    expected, seen = on_host(seed, steps, EVERY), other(seed, steps, EVERY)
    if expected == seen:
        assert len(expected) >= steps // EVERY
        return
    good = 0
    for mine, theirs in zip(expected, seen):
        if mine != theirs:
            break
        good = int(mine.split()[0])
    last = min(steps, good + EVERY)
    mine, theirs = (run(seed, last, 0, good + 1) for run in (on_host, other))
    for one, two in zip(mine, theirs):
        if one != two:
            one, two = one.split(), two.split()
            what = [f"{name}: {a}, not {b}" for name, a, b in zip(driver.NAMES, two[1:], one[1:])
                    if a != b]
            pytest.fail(f"seed {seed}, step {one[0]}: " + "; ".join(what), pytrace=False)
    pytest.fail(f"seed {seed}: hashes differ after step {good}, decisions do not: {seen[-3:]}")


@pytest.mark.req("PRO-26")
@pytest.mark.req("BRD-02")
@pytest.mark.unix
@pytest.mark.parametrize("seed, steps", STREAMS)
def test_unix_decides_as_the_host(seed, steps, unix_micropython):
    compare(seed, steps, lambda *args: on_unix(unix_micropython, *args))


@pytest.mark.req("PRO-26")
@pytest.mark.req("BRD-02")
@pytest.mark.rp2040
@pytest.mark.slow
@pytest.mark.parametrize("seed, steps", SHORT_STREAMS)
def test_rp2040_decides_as_the_host(seed, steps, uf2):
    compare(seed, steps, on_rp2040)


def test_the_stream_reaches_what_matters():
    """Every item trips, alarms and locks; every fault that a scan can raise; limits move."""
    seen = dict.fromkeys(driver.NAMES, 0)
    values = {name: set() for name in driver.NAMES}
    for seed in (1, 2, 3, 5, 55):
        world = driver.World(seed)
        for _ in range(5000):
            for name, value in zip(driver.NAMES, world.step()):
                seen[name] |= value
                values[name].add(value)
    # bit i is the row PRO-(i + 1) to PRO-18, then DER-03 (two), PRO-29, PRO-30 (two), PWR-03.
    # PRO-15, PRO-16 and DER-03 do not trip; PRO-07, -08, -18, -29 and PWR-03 do not alarm
    assert seen["trips"] == 0b1111_0011_0011_1111_1111_1111
    assert seen["alarms"] == 0b0110_1101_1111_1111_0011_1111
    assert seen["locks"] & 0b111_0000
    assert values["allowed"] == {0, 1, 2, 3}
    assert values["limiter"] == {0, 1}
    assert len(values["ccl"]) > 500 and len(values["dcl"]) > 500
    assert min(values["ccl"]) == min(values["dcl"]) == 0
    assert len(values["lamps"]) > 15
    assert seen["faults"] & 0b101_1000_1111 == 0b101_1000_1111      # what readings can cause
    assert seen["doubts"] == 0b11111
