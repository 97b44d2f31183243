#!/usr/bin/env python3
"""Makes docs/packctl.dbc, the CAN frames for other people's tools, from the firmware's tables.

    .venv/bin/python tools/can_dbc.py          writes the file
    .venv/bin/python tools/can_dbc.py --check  says whether it is what the tables give

Frames of one identifier are one message: what some inverters get in the same bytes as something
else (lux_..., deye_..., sofar) overlaps there, and the comment of a message says who gets which
layout. cantools reads it with strict=False, short frames with allow_truncated=True.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATH = ROOT / "docs" / "packctl.dbc"
for _folder in ("firmware", "lib", "tools/mocks"):
    sys.path.append(str(ROOT / _folder))

from protocols import can_layout as layout  # noqa: E402

_BITS = {layout.U8: (8, "+"), layout.U16: (16, "+"), layout.I16: (16, "-"), layout.U32: (32, "+")}
_HEAD = """VERSION "packctl"

NS_ :

BS_:

BU_: Pack Inverter

"""


def layouts():
    """{identifier: [(frame, [names of the variants that get it]), ...]} in order."""
    found = {}
    for variant in layout.VARIANTS:
        for frame in variant[layout.FRAMES]:
            rows = found.setdefault(frame[0], [])
            for known, names in rows:
                if known is frame:
                    names.append(variant[layout.NAME])
                    break
            else:
                rows.append((frame, [variant[layout.NAME]]))
    return dict(sorted(found.items()))


def signals_of(frame):
    """[(name, bit, bits, big-endian, sign, factor, offset, unit)] of one frame."""
    signals = []
    for name, at, kind, _, scale in frame[2]:
        if kind == layout.TEXT:
            signals += [(f"{name}_{i}", 8 * (at + i), 8, False, "+", "1", "0", "")
                        for i in range(8)]
            continue
        bits, sign = _BITS[kind & ~layout.BIG]
        big = bool(kind & layout.BIG)
        signals.append((name, 8 * at + (7 if big else 0), bits, big, sign, scale[5], "0",
                        scale[4]))
    return signals


def text():
    """The whole file."""
    out = [_HEAD]
    comments = []
    for ident, rows in layouts().items():
        size = max(len(frame[1]) for frame, _ in rows)
        out.append(f"BO_ {ident} M_{ident:03X}: {size} Pack\n")
        known = {}
        notes = []
        for frame, names in rows:
            notes.append(f"{len(frame[1])} bytes to {', '.join(names)}")
            for signal in signals_of(frame):
                if known.setdefault(signal[0], signal) != signal:
                    raise ValueError(f"{ident:03X} {signal[0]} means two things")
        for name, bit, bits, big, sign, factor, offset, unit in known.values():
            out.append(f' SG_ {name} : {bit}|{bits}@{0 if big else 1}{sign} '
                       f'({factor},{offset}) [0|0] "{unit}" Inverter\n')
        out.append("\n")
        comments.append(f'CM_ BO_ {ident} "{"; ".join(notes)}";\n')
    out.append("BO_ 773 M_305: 8 Inverter\n SG_ keep_alive : 0|32@1+ (1,0) [0|0] \"\" Pack\n\n")
    return "".join(out + comments)


def main(arguments):
    if "--check" in arguments:
        if PATH.is_file() and PATH.read_text() == text():
            return 0
        print(f"{PATH.relative_to(ROOT)} is not what the tables give: make dbc", file=sys.stderr)
        return 1
    PATH.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
