#!/usr/bin/env python3
"""Frozen whole numbers as MicroPython has them elsewhere: small ones in the word itself.

    small_ints.py FROZEN_CONTENT.C      rewrites the file where something changes

MicroPython's tools/mpy-tool.py freezes a number of more than 13 bits in a table as an object, for
the sake of processors with 16 bits. What is calculated with such an object is an object as well,
on the heap, so that a step which sets one bit of a table allocates. The boards here take 31 bits.
"""

import re
import sys

SMALLEST, LARGEST = -(1 << 30), (1 << 30) - 1
_OBJECT = re.compile(
    r"static const mp_obj_int_t (\w+) = \{\{&mp_type_int\}, \{\.neg=([01]), [^{}]*"
    r"\.dig=\(uint(\d+)_t\*\)\(const uint\d+_t\[\]\)\{([^{}]*)\}\}\};\n")


def value_of(neg, bits, digits):
    """The number that a definition gives."""
    value = 0
    for at, digit in enumerate(digits.split(",")):
        value |= int(digit, 16) << int(bits) * at
    return -value if neg == "1" else value


def objects(text):
    """{name: number} of the numbers that are objects in *text*."""
    return {found[1]: value_of(*found.groups()[1:]) for found in _OBJECT.finditer(text)}


def with_small_ints(text):
    """*text* of frozen_content.c without objects that a word has room for."""
    small = {name: value for name, value in objects(text).items() if SMALLEST <= value <= LARGEST}
    text = _OBJECT.sub(lambda found: "" if found[1] in small else found[0], text)
    text = re.sub(r"MP_ROM_PTR\(&(\w+)\)", lambda found: (
        f"MP_ROM_INT({small[found[1]]})" if found[1] in small else found[0]), text)
    left = set(re.findall(r"\w+", text)) & set(small)
    if left:
        sys.exit("small_ints: used in an unknown way: " + " ".join(sorted(left)))
    return text


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        before = file.read()
    after = with_small_ints(before)
    if after != before:
        with open(path, "w", encoding="utf-8") as file:
            file.write(after)


if __name__ == "__main__":
    main()
