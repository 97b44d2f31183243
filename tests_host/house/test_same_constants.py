"""Frozen constants that are equal become one (boards/PACKCTL_PICO/same_constants.py)."""

import sys

from rooms import ROOT

sys.path.append(str(ROOT / "boards" / "PACKCTL_PICO"))
import same_constants                                           # noqa: E402


def text_of(name, letters):
    return ("static const mp_obj_str_t %s = {{&mp_type_str}, 9, %d, (const byte*)\"%s\"};\n"
            % (name, len(letters), letters))


def tuple_of(name, *parts):
    return ("static const mp_rom_obj_tuple_t %s = {{&mp_type_tuple}, %d, {\n%s}};\n" % (
        name, len(parts), "".join("    %s,\n" % part for part in parts)))


def test_the_first_of_equal_texts_stands_for_all():
    text = text_of("const_obj_a_0", "ab") + text_of("const_obj_a_1", "cd")
    use = "x = {MP_ROM_PTR(&%s), MP_ROM_PTR(&const_obj_a_1)};\n"
    before = text + text_of("const_obj_b_0", "ab") + use % "const_obj_b_0"
    assert same_constants.with_shared_constants(before) == text + use % "const_obj_a_0"


def test_tuples_are_equal_if_what_they_hold_became_one():
    before = (text_of("const_obj_a_0", "ab") + text_of("const_obj_a_0_1", "ab")
              + tuple_of("const_obj_a_2", "MP_ROM_INT(1)", "MP_ROM_PTR(&const_obj_a_0)")
              + tuple_of("const_obj_a_3", "MP_ROM_INT(1)", "MP_ROM_PTR(&const_obj_a_0_1)")
              + tuple_of("const_obj_a_4", "MP_ROM_INT(2)", "MP_ROM_PTR(&const_obj_a_0_1)"))
    after = same_constants.with_shared_constants(before)
    assert after == (text_of("const_obj_a_0", "ab")
                     + tuple_of("const_obj_a_2", "MP_ROM_INT(1)", "MP_ROM_PTR(&const_obj_a_0)")
                     + tuple_of("const_obj_a_4", "MP_ROM_INT(2)", "MP_ROM_PTR(&const_obj_a_0)"))


def test_bytes_and_text_of_the_same_letters_stay_two():
    text = text_of("const_obj_a_0", "ab")
    text += text.replace("_str}", "_bytes}").replace("a_0", "b_0")
    assert same_constants.with_shared_constants(text) == text
