"""The built wheel in an empty environment: `make wheel`. Fetches its libraries from the index."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from rig import Rig

ROOT = pathlib.Path(__file__).resolve().parent
while not (ROOT / "pyproject.toml").exists():
    ROOT = ROOT.parent

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    "PACKCTL_WHEEL" not in os.environ,
    reason="installs packages from the index; make wheel runs it")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT],
                   check=True)
    found, = folder.glob("packctl-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """bin of an environment that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "-q", wheel], check=True)
    return folder / "bin"


def call(installed, *words):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([installed / words[0], *words[1:]], capture_output=True, text=True,
                          env=environment, cwd="/")


@pytest.mark.req("HST-02")
def test_the_wheel_holds_the_tool_its_types_and_what_replay_needs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"packctl/py.typed", "packctl/cli/app.py",
            "packctl/packed/bms/protect/protection.py"} <= set(names)
    assert not [name for name in names if "/test_" in name or "__pycache__" in name]


@pytest.mark.req("HST-02")
def test_the_installed_program_reads_a_pack(installed, tmp_path):
    with Rig() as rig:
        opened = rig.open("host", plant={"soc": 0.55})
        rig.set(cell_mv={3: 3680})
        rig.run(8_000)
        rig.play(1)
        port = opened["ports"]["debug"]
        done = call(installed, "packctl", "-p", port, "status", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["protections"][0]["id"] == "PRO-01"
        log = tmp_path / "log.json"
        assert call(installed, "packctl", "-p", port, "log", "--out", log).returncode == 0
    replayed = call(installed, "packctl", "replay", log)
    assert replayed.returncode == 0 and "agrees" in replayed.stdout, replayed.stderr


@pytest.mark.req("HST-02")
def test_the_library_works_without_the_extras_and_says_what_is_missing(installed):
    done = call(installed, "python", "-c", "import packctl; print(packctl.connect.__doc__[:4])")
    assert done.stdout == "Open\n", done.stderr
    code = ("from packctl.screen.panel import Panel; "
            "print(Panel('b1-5.1-48').wire({'state': 'standby', 'direction': 'standby'}, 0))")
    done = call(installed, "python", "-c", code)
    assert "'onoff': 1" in done.stdout, done.stderr         # the firmware's own table was packed
    for command in ("mqtt", "monitor"):
        words = ("--screen",) if command == "monitor" else ()
        done = call(installed, "packctl", command, "-p", "/dev/null", *words)
        assert done.returncode == 25 and "pipx install" in done.stderr, done.stderr
    for extra in ("textual", "aiomqtt"):
        assert call(installed, "python", "-c", f"import {extra}").returncode == 1
