"""Packages for mpremote's mip: installed by its own code, run on MicroPython's unix port."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "image"))

import mip                                          # noqa: E402
from mpremote import mip as installer               # noqa: E402

# What each example is given: the models of tools/models, behind the simulated board's buses.
BENCH = """
import sys
import machine
import port_sim
from stand import Stand
stand = Stand({"seed": 1, "spread": 0, "noise": 0, "rtc": %r, "dip": 5, "plant": {"soc": 0.5}})
port_sim.attach(stand)
stand.set({"clock": "2026-05-17T12:30:00"}, 0)
clock = machine.hw.clock
Pin = machine.Pin
wait = port_sim.wait_us
ticks_us = lambda: clock.now_us
ticks_ms = lambda: clock.now_us // 1000
i2c = machine.I2C(1, scl=Pin("I2C_SCL"), sda=Pin("I2C_SDA"), freq=400_000)
afe_spi = machine.SPI(0, baudrate=1_000_000)
aux_spi = machine.SPI(1, baudrate=4_000_000)
afe_cs = Pin("AFE_CS", Pin.OUT, value=1)
can_cs = Pin("CAN_CS", Pin.OUT, value=1)
can_int = Pin("CAN_INT", Pin.IN)
rclk = Pin("LAMP_RCLK", Pin.OUT, value=0)
wait(500_000)
import packctl_drivers.example_%s as example
result = example.main(%s)
assert %s, result
print("right", result)
"""
# package: (arguments of its main, what has to be true of the result)
RUNS = {
    "bq76952": ("afe_spi, afe_cs, wait",
                "len(result) == 16 and all(3200 < mv < 3400 for mv in result)"),
    "mcp2515": ("aux_spi, can_cs, can_int, wait, ticks_us", "result == 16_000_000"),
    "hc595": ("aux_spi, rclk, 1, wait", "result is not None"),
    "tca9534": ("i2c", "0 <= result <= 255"),
    "ds3231": ("i2c, ticks_ms", "0 <= result - 201_184_200 < 10"),
    "pcf8563": ("i2c, ticks_ms", "0 <= result - 201_184_200 < 10"),
    "flash_ring": ("sys.argv[1]", "result == 3"),
    "slots": ("sys.argv[1]", "result == 1"),
    "scheduler": ("ticks_ms, ticks_us, lambda ms: wait(1000 * ms)", "result == (100, 10)"),
}


class Folder:
    """Stands in for mpremote's connection to a board: its file system is a folder."""

    def __init__(self, path):
        self.path = path

    def fs_exists(self, name):
        return (self.path / name).exists()

    def fs_isdir(self, name):
        return (self.path / name).is_dir()

    def fs_mkdir(self, name):
        (self.path / name).mkdir()

    def fs_writefile(self, name, data, **_):
        (self.path / name).write_bytes(data)


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    out = tmp_path_factory.mktemp("mip") / "out"
    mip.build(out)
    return out


def test_every_package_is_run_here_and_has_an_example(packages):
    assert set(RUNS) == set(mip.PACKAGES)
    assert {path.stem for path in (ROOT / "lib" / "examples").glob("*.py")} == set(mip.PACKAGES)


@pytest.mark.parametrize("name", RUNS)
def test_everything_on_the_board_lies_in_one_folder(packages, name):
    package = json.loads((packages / name / "package.json").read_text())
    assert package["version"] == mip.version()
    assert all(target.startswith("packctl_drivers/") for target, _ in package["urls"])
    for target, _ in package["urls"]:
        source = (packages / target).read_text("utf-8")
        others = {path.stem for path in (ROOT / "lib").glob("*.py")}
        for line in source.splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]):
                assert words[1] not in others, (target, line)


@pytest.mark.unix
@pytest.mark.parametrize("name", RUNS)
def test_installed_by_mpremote_its_example_runs(packages, unix_micropython, tmp_path, name):
    (tmp_path / "lib").mkdir()
    folder = Folder(tmp_path)
    installer._install_package(folder, str(packages / name / "package.json"), "", "lib", None,
                               False)
    arguments, right = RUNS[name]
    script = tmp_path / "run.py"
    script.write_text(BENCH % ("ds3231" if name == "ds3231" else "pcf8563", name, arguments,
                               right))
    path = ":".join([".frozen", str(tmp_path / "lib"), str(ROOT / "tools/mocks"),
                     str(ROOT / "tools/models")])
    done = subprocess.run([unix_micropython, "-X", "heapsize=16M", script, f"{tmp_path}/"],
                          env={**os.environ, "MICROPYPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0 and "right" in done.stdout, done.stdout + done.stderr
