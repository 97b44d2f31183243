"""A board that was flashed before its flash held two images takes the new UF2 (SAF-06)."""

import io
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

import rooms

EARLIER = "bbbf179cb1"          # the last commit whose image was the only one in the flash


@pytest.fixture(scope="session")
def earlier_uf2(tmp_path_factory):
    """The image of EARLIER: PACKCTL_EARLIER_UF2, or built from the history into the cache."""
    own = os.environ.get("PACKCTL_EARLIER_UF2")
    if own:
        return pathlib.Path(own)
    folder = tmp_path_factory.mktemp("earlier")
    packed = subprocess.run(["git", "archive", EARLIER], cwd=rooms.ROOT, capture_output=True)
    if packed.returncode:
        pytest.skip("this clone has no history")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(folder)
    out = folder / "earlier.uf2"
    subprocess.run([sys.executable, folder / "tools" / "toolchain.py", "firmware", "--out", out],
                   check=True)
    return out


@pytest.mark.slow
@pytest.mark.rp2040
@pytest.mark.req("SAF-06", "PAR-02", "REC-02")
@pytest.mark.parametrize("cut", [0, 1, 4, 19, 33])
def test_parameters_counters_and_records_stay(rig, earlier_uf2, uf2, monkeypatch, cut):
    """Also if the supply fails within the *cut*-th flash operation of the move."""
    monkeypatch.setenv("PACKCTL_UF2", str(earlier_uf2))
    rig.open(board="rp2040")
    rig.run(3000)
    rig.param("cell_ov_trip_mv", 3620)
    rig.param("cell_uv_trip_mv", 2710)
    rig.set(current_ma=-20_000)
    rig.run(20_000)
    rig.command_text("save")
    rig.reset()
    rig.run(4000)
    before = rig.get()["report"]
    events = rig.events()["events"]
    assert len(events) > 5
    rig.power(False)
    pico = rig._target._pico
    pico._load(uf2)             # as BOOTSEL does: what the UF2 does not name stays
    if cut:
        pico.cut_at_flash_op(cut, 0.5)
        rig.power(True)
        rig.run(3000)
        assert not pico.powered
        rig.power(False)
    rig.power(True)
    rig.run(5000)
    assert rig.param("cell_ov_trip_mv")["value"] == 3620
    assert rig.param("cell_uv_trip_mv")["value"] == 2710
    after = rig.get()["report"]
    assert after["faults"] == []
    for name in ("cycles", "charged_ah", "discharged_ah", "full_mah"):
        assert after[name] == before[name], name
    assert abs(after["soc_cpct"] - before["soc_cpct"]) <= 20
    now = rig.events()["events"]
    assert now[:len(events)] == events
    assert not [e for e in now[len(events):] if e["event"] == "store_lost"]
    wire = rig.get()["wire"]["fets"]
    assert (wire["chg"], wire["dsg"]) == (1, 1)
