#!/usr/bin/env python3
"""Makes docs/packctl.dbc, the CAN frames for other people's tools, from the firmware's tables.

    .venv/bin/python tools/can_dbc.py          writes the file
    .venv/bin/python tools/can_dbc.py --check  says whether it is what the tables give

The comment of a message says which inverters get it, and with how many bytes. A tool that wants
the full length of a message has to be told that frames may be shorter (cantools:
allow_truncated=True).
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATH = ROOT / "docs" / "packctl.dbc"
for _folder in ("firmware", "lib", "tools/mocks"):
    sys.path.append(str(ROOT / _folder))

from protocols.can import layout  # noqa: E402

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


def bits_of(signal):
    """Bits that *signal* covers, as numbers from the first byte's lowest."""
    _, bit, bits, big, *_ = signal
    if not big:
        return set(range(bit, bit + bits))
    at = bit // 8
    return set(range(8 * at, 8 * at + bits))    # whole bytes, all of them


def messages():
    """[(identifier in the file, name, size, [signals], comment)].

    Layouts that agree are one message. What some inverters get in the same bytes as something
    else is a message of its own, for which the file needs an identifier of its own as well.
    """
    found = []
    for ident, rows in layouts().items():
        merged = []             # [signals, size, notes]
        for frame, names in rows:
            signals = signals_of(frame)
            note = f"{len(frame[1])} bytes to {', '.join(names)}"
            for row in merged:
                if all(a == b or a[0] != b[0] and not bits_of(a) & bits_of(b)
                       for a in signals for b in row[0]):
                    row[0] += [signal for signal in signals if signal not in row[0]]
                    row[1] = max(row[1], len(frame[1]))
                    row[2].append(note)
                    break
            else:
                merged.append([signals, len(frame[1]), [note]])
        for number, (signals, size, notes) in enumerate(merged):
            if number == 0:
                found.append((ident, f"M_{ident:03X}", size, signals, "; ".join(notes)))
            else:
                found.append((1 << 31 | number << 16 | ident, f"M_{ident:03X}_{number}", size,
                              signals, f"on the bus this is {ident:03X}: " + "; ".join(notes)))
    return found


def message_for(database, frame):
    """The message of cantools' *database* that *frame* of the tables is read by."""
    names = [signal[0] for signal in signals_of(frame)]
    for ident, name, _, signals, _ in messages():
        if ident & 0xFFF == frame[0] and set(names) <= {signal[0] for signal in signals}:
            return database.get_message_by_name(name)
    raise KeyError(names)


def text():
    """The whole file."""
    out = [_HEAD]
    comments = []
    for ident, name, size, signals, note in messages():
        out.append(f"BO_ {ident} {name}: {size} Pack\n")
        for signal, bit, bits, big, sign, factor, offset, unit in signals:
            out.append(f' SG_ {signal} : {bit}|{bits}@{0 if big else 1}{sign} '
                       f'({factor},{offset}) [0|0] "{unit}" Inverter\n')
        out.append("\n")
        comments.append(f'CM_ BO_ {ident} "{note}";\n')
    out.append(f"BO_ {0x305} M_305: 8 Inverter\n"
               ' SG_ keep_alive : 0|32@1+ (1,0) [0|0] "" Pack\n\n')
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
