"""A board with an earlier image keeps its files when they move (SAF-06)."""

import subprocess

import pytest

import rooms


@pytest.mark.req("SAF-06", "PAR-02")
@pytest.mark.unix
def test_files_survive_a_move_that_is_cut(unix_micropython):
    script = rooms.TOOLS / "proof" / "on_device" / "move_device.py"
    done = subprocess.run([unix_micropython, "-X", "heapsize=16M", script, "1"],
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    operations, cuts = map(int, done.stdout.splitlines()[-1].split())
    assert operations > 50 and cuts == 3 * operations
