"""The unit tests on a target: what cannot be built is built once; RISC-V runs what it is given."""

import pytest

import run_on_target
import rv32
import test_on_target
import toolchain


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """No results are known, and none are kept."""
    monkeypatch.setattr(test_on_target, "_results", {})
    monkeypatch.setattr(test_on_target.tempfile, "gettempdir", lambda: str(tmp_path))


@pytest.mark.parametrize("error", [toolchain.ToolchainError("the image does not fit"),
                                   run_on_target.RunError("the image does not fit")])
def test_a_build_that_failed_is_not_tried_again_by_each_test(fresh, monkeypatch, error):
    tried = []

    def run(target, module):
        tried.append(module)
        raise error

    monkeypatch.setattr(run_on_target, "run", run)
    sample = run_on_target.SAMPLE
    for module in (sample[0], sample[0], sample[1]):
        with pytest.raises(run_on_target.RunError, match="the image does not fit"):
            test_on_target.results("rp2040", module)
    assert tried == [sample[0]]


def test_a_failed_build_of_one_image_says_nothing_of_another(fresh, monkeypatch):
    parts = run_on_target.parts()
    tried = []

    def run(target, module):
        tried.append(module)
        raise toolchain.ToolchainError(module)

    monkeypatch.setattr(run_on_target, "run", run)
    for module in (parts[0][0], parts[1][0]):
        with pytest.raises(run_on_target.RunError, match=module):
            test_on_target.results("rp2040", module)
    assert tried == [parts[0][0], parts[1][0]]


@pytest.mark.rv32
@pytest.mark.req("BRD-03")
def test_risc_v_runs_viper_and_native_code_of_the_firmware(tmp_path):
    (tmp_path / "looked.py").write_text("""
import gc, sys, time
from crc16_viper import crc16
import crc16_py

@micropython.native
def twice(n):
    return 2 * n

began = time.ticks_us()
data = bytearray(b"123456789" * 20)
print(sys.platform, sys.implementation._mpy >> 10 & 15, twice(21))
print(crc16(data, 0, len(data), 0) == crc16_py.crc16(data, 0, len(data), 0))
print(0 < time.ticks_diff(time.ticks_us(), began) < 60_000_000, gc.mem_free() > 1_000_000)
""")
    said = rv32.run(rv32.rom_of(rv32.files_of(tmp_path)), "import looked\n", 120)
    assert said.split() == ["qemu", "11", "42", "True", "True", "True"], said      # 11: rv32imc


def test_code_that_does_not_compile_is_named(tmp_path):
    (tmp_path / "bad.py").write_text("def f(:\n")
    with pytest.raises(rv32.Rv32Error, match="bad.py"):
        rv32.rom_of(rv32.files_of(tmp_path))
