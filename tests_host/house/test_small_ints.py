"""Frozen numbers that a word has room for are no objects: sums with them allocate (SAF-04)."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "boards" / "PACKCTL_PICO"))

import small_ints                                               # noqa: E402


def frozen(name, value):
    """A number as tools/mpy-tool.py writes it."""
    digits, rest = [], abs(value)
    while rest:
        digits.append("%#x" % (rest & 0xFFFF))
        rest >>= 16
    return ("static const mp_obj_int_t %s = {{&mp_type_int}, {.neg=%u, .fixed_dig=1, .alloc=%u, "
            ".len=%u, .dig=(uint16_t*)(const uint16_t[]){%s}}};\n" % (
                name, value < 0, len(digits), len(digits), ",".join(digits)))


@pytest.mark.req("SAF-04")
@pytest.mark.parametrize("value", (8192, -8193, 0x2000, 65536, (1 << 30) - 1, -(1 << 30)))
def test_what_fits_stands_in_the_table(value):
    text = frozen("const_obj_a_0", value) + "x = {MP_ROM_PTR(&const_obj_a_0), MP_ROM_PTR(&y)};\n"
    assert small_ints.with_small_ints(text) == f"x = {{MP_ROM_INT({value}), MP_ROM_PTR(&y)}};\n"


@pytest.mark.req("SAF-04")
@pytest.mark.parametrize("value", (1 << 30, -(1 << 30) - 1, 1 << 40))
def test_what_does_not_fit_stays_an_object(value):
    text = frozen("const_obj_a_0", value) + "x = {MP_ROM_PTR(&const_obj_a_0)};\n"
    assert small_ints.with_small_ints(text) == text
    assert small_ints.objects(text) == {"const_obj_a_0": value}


def test_another_use_of_a_number_ends_the_build():
    with pytest.raises(SystemExit, match="const_obj_a_0"):
        small_ints.with_small_ints(frozen("const_obj_a_0", 9000) + "f(const_obj_a_0);\n")
