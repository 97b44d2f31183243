#!/usr/bin/env python3
"""Frozen constants that are equal become one: rows of tables and texts that stand at many places.

    same_constants.py FROZEN_CONTENT.C      rewrites the file where something changes

MicroPython's tools/mpy-tool.py freezes each text and each tuple by itself, even if another module,
or another row of the same table, has the same. None of them can be changed, so that one does for
all: 40 kB of flash.
"""

import re
import sys

_OBJECT = re.compile(
    r"static const (mp_obj_str_t|mp_rom_obj_tuple_t|mp_obj_int_t|mp_obj_float_t) (const_obj_\w+)"
    r" = (\{\{&mp_type_.*?\});\n", re.DOTALL)
_NAME = re.compile(r"\bconst_obj_\w+")


def with_shared_constants(text):
    """*text* of frozen_content.c with the first of equal constants in the place of the others."""
    first = {}              # what a constant is: name of the first
    instead = {}            # name: name of the first
    for kind, name, value in _OBJECT.findall(text):
        value = _NAME.sub(lambda found: instead.get(found[0], found[0]), value)
        same = first.setdefault((kind, value), name)
        if same != name:
            instead[name] = same
    text = _OBJECT.sub(lambda found: "" if found[2] in instead else found[0], text)
    return _NAME.sub(lambda found: instead.get(found[0], found[0]), text)


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        before = file.read()
    after = with_shared_constants(before)
    if after != before:
        with open(path, "w", encoding="utf-8") as file:
            file.write(after)


if __name__ == "__main__":
    main()
