"""What the pack says about itself: layouts of its records, names of its items, its parameters.

Nothing here knows a field by name: a pack with more of them is read as well.
"""

from __future__ import annotations

import struct
from typing import Any

from .errors import LinkError

_NO_READING = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF,
               "b": -0x80, "h": -0x8000, "i": -0x80000000}


class Field:
    """One line of a schema: name;type;count;unit;meaning.

    kind    "number", "enum" or "bits"; names: the words of the latter two
    """

    def __init__(self, line: str) -> None:
        parts = line.split(";", 4)
        if len(parts) < 4 or parts[1] not in _NO_READING or not parts[2].isdigit():
            raise LinkError(f"schema line {line!r} is not name;type;count;unit;meaning")
        self.name, self.letter = parts[0], parts[1]
        self.count = int(parts[2])
        self.unit = parts[3]
        self.meaning = parts[4] if len(parts) > 4 else ""
        kind, _, names = self.unit.partition(":")
        self.names = names.split("|") if names else []
        self.kind = kind if kind in ("enum", "bits") else "number"
        self.size = struct.calcsize("<" + self.letter) * self.count

    def value(self, raw: int) -> Any:
        """Meaning of one number: a number, a word, a list of words, or None for no reading."""
        if self.kind == "bits":
            width = 8 * struct.calcsize("<" + self.letter)
            if raw == _NO_READING[self.letter] and len(self.names) < width:
                return None
            return [self.names[bit] if bit < len(self.names) and self.names[bit] else f"bit{bit}"
                    for bit in range(width) if raw >> bit & 1]
        if raw == _NO_READING[self.letter]:
            return None
        if self.kind == "enum":
            return self.names[raw] if 0 <= raw < len(self.names) else raw
        return raw


class Schema:
    """Layout of a record."""

    def __init__(self, text: str) -> None:
        self.fields = [Field(line) for line in text.splitlines() if line.strip()]
        self._layout = "<" + "".join(f"{f.count}{f.letter}" for f in self.fields)
        self.size = struct.calcsize(self._layout)

    def decode(self, data: bytes) -> dict[str, Any]:
        """A dict of one record; *data* must be exactly one."""
        if len(data) != self.size:
            raise LinkError(f"a record of {len(data)} bytes where the schema has {self.size}")
        numbers = struct.unpack(self._layout, data)
        record: dict[str, Any] = {}
        at = 0
        for field in self.fields:
            values = [field.value(n) for n in numbers[at:at + field.count]]
            record[field.name] = values if field.count != 1 else values[0]
            at += field.count
        return record


class Name:
    """One line of the list of names: kind;number;number in a first-out;id;unit;words."""

    def __init__(self, line: str) -> None:
        parts = line.split(";", 5)
        if len(parts) != 6 or not parts[1].isdigit() or not parts[2].isdigit():
            raise LinkError(f"line {line!r} is not kind;number;first-out number;id;unit;words")
        self.kind, self.id, self.unit, self.words = parts[0], parts[3], parts[4], parts[5]
        self.number, self.first_out = int(parts[1]), int(parts[2])


class Param:
    """One line of the parameter list: id;name;unit;min;max;default;value;help."""

    def __init__(self, line: str) -> None:
        parts = line.split(";", 7)
        try:
            self.id = int(parts[0])
            self.name, self.unit = parts[1], parts[2]
            self.min, self.max, self.default, self.value = (int(p) for p in parts[3:7])
        except (ValueError, IndexError):
            raise LinkError(f"parameter line {line!r} is not "
                            "id;name;unit;min;max;default;value;help") from None
        self.help = parts[7] if len(parts) > 7 else ""
