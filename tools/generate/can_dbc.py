#!/usr/bin/env python3
"""Makes docs/packctl.dbc, the CAN frames for other people's tools, from the firmware's tables.

    .venv/bin/python tools/generate/can_dbc.py          writes the file
    .venv/bin/python tools/generate/can_dbc.py --check  says whether it is what the tables give

The comment of a message says which inverters get it, and with how many bytes. A tool that wants
the full length of a message has to be told that frames may be shorter (cantools:
allow_truncated=True).
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402
from rooms import ROOT  # noqa: E402

PATH = ROOT / "docs" / "packctl.dbc"
rooms.use(ROOT / "firmware", ROOT / "lib", rooms.MOCKS)

from protocols import conditions  # noqa: E402
from protocols.can import frames, layout  # noqa: E402

_BITS = {layout.U8: (8, "+"), layout.U16: (16, "+"), layout.I16: (16, "-"), layout.U32: (32, "+")}
_LIMITS = {"+": lambda bits: (0, (1 << bits) - 1),
           "-": lambda bits: (-(1 << bits - 1), (1 << bits - 1) - 1)}
# what the values of a signal mean, by the attribute that it is taken from
VALUES = {
    "force_360": {0: "no request", 255: "charge now"},
    "may_charge": {0: "charging is not allowed", 1: "charging is allowed"},
    "may_discharge": {0: "discharging is not allowed", 1: "discharging is allowed"},
    "status_311": {frames._IDLE: "standby", frames._CHARGING: "charging",
                   frames._DISCHARGING: "discharging"},
}
# what a signal tells, by the attribute that it is taken from; others say it by their names
WORDS = {
    "told_cvl_mv": "charge voltage limit", "told_ccl_ma": "charge current limit",
    "told_dcl_ma": "discharge current limit", "dvl_mv": "discharge voltage limit",
    "soc_cpct": "state of charge", "soh_pct": "state of health",
    "voltage_mv": "voltage of the pack", "current_ma": "current, charging positive",
    "mean_temp_dc": "mean temperature of the cells", "modules": "packs that take part",
    "offline": "packs that are lost", "blocking_charge": "packs that do not charge",
    "blocking_discharge": "packs that do not discharge",
    "max_cell_mv": "highest cell", "min_cell_mv": "lowest cell",
    "cell_diff_mv": "highest less lowest cell", "max_temp_dc": "hottest cell",
    "told_max_temp_dc": "hottest cell, at least 0.1 above the coldest",
    "min_temp_dc": "coldest cell", "charged_wh": "energy charged so far",
    "discharged_wh": "energy discharged so far", "design_mah": "capacity when new",
    "full_mah": "capacity when full", "remaining_mah": "charge that is left",
    "cycles": "full cycles", "cells": "cells of the pack", "module": "address of the pack",
    "max_cell": "number of the highest cell, from 1",
    "min_cell": "number of the lowest cell, from 1",
    "max_number": "number of the highest cell, from 1",
    "min_number": "number of the lowest cell, from 1",
    "max_temp": "number of the hottest sensor, from 1",
    "min_temp": "number of the coldest sensor, from 1",
    "max_cell_module": "pack of the highest cell", "min_cell_module": "pack of the lowest cell",
    "max_temp_module": "pack of the hottest cell", "min_temp_module": "pack of the coldest cell",
    "version_major": "firmware version, first number",
    "version_minor": "firmware version, second number",
    "manufacturer": "name of the maker", "own_name": "name of the product",
    "name_1": "name of the product", "name_2": "its second half",
    "serial_1": "serial number", "serial_2": "its second half",
    "max_cell_id": "pack and highest cell, as M01C01",
    "min_cell_id": "pack and lowest cell, as M01C01",
    "max_temp_id": "pack and hottest sensor, as M01T01",
    "min_temp_id": "pack and coldest sensor, as M01T01",
}
_REQUESTS = {0x80: "charging is allowed", 0x40: "discharging is allowed", 0x20: "charge now",
             0x10: "charge soon", 0x08: "full charge asked for"}
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


def _of_conditions(column, which):
    """{mask: words} of the bits of one protocol's word, which: 0 alarms, 1 protections."""
    words = {}
    for row in conditions.TABLE:
        for bit in range(32):
            if row[column][which] >> bit & 1:
                words.setdefault(1 << bit, []).append(row[conditions.NAME])
    return {mask: ", ".join(names) for mask, names in words.items()}


def _pairs(words):
    """A bit n of *words* is the pair of bits 2 n and 2 n + 1 of 35A."""
    return {mask * mask: text for mask, text in words.items()}


@functools.cache
def flags():
    """{attribute: {mask: words}} of the signals whose bits mean something each."""
    alarms, protections = (_of_conditions(conditions.CAN_35A, i) for i in (0, 1))
    of_403 = {mask: "alarm: " + words
              for mask, words in _of_conditions(conditions.CAN_403, 0).items()}
    for mask, words in _of_conditions(conditions.CAN_403, 1).items():
        of_403[mask] = "protection: " + words
    of_403[frames._CHARGES_403] = "charging"
    of_403[frames._DISCHARGES_403] = "discharging"
    online = {1 << frames._STATUS: "system status, 01 offline, 10 online"}
    return {
        "protections_359": _of_conditions(conditions.CAN_359, 1),
        "alarms_359": _of_conditions(conditions.CAN_359, 0),
        "alarm_pairs": _pairs(protections), "warning_pairs": {**_pairs(alarms), **online},
        "alarm_pairs_plain": _pairs(protections), "warning_pairs_plain": _pairs(alarms),
        "conditions_403": of_403, "faults_406": {frames._FAULT_406: "a fault"},
        "requests_35c": _REQUESTS,
        "requests_319": {mask: _REQUESTS[mask] for mask in (0x80, 0x40, 0x20)},
    }


@functools.cache
def attributes():
    """{signal: attribute of the snapshot that it is taken from}."""
    return {field[0]: field[3] for rows in layouts().values() for frame, _ in rows
            for field in frame[2]}


def range_of(signal):
    """(lowest, highest) that *signal* can tell, in its unit, as texts."""
    _, _, bits, _, sign, factor, *_ = signal
    digits = len(factor.partition(".")[2])
    return tuple(f"{limit * float(factor):.{digits}f}" for limit in _LIMITS[sign](bits))


def words_of(signal):
    """What *signal*, a name, tells; its bits where each means something."""
    attribute = attributes().get(signal.rsplit("_", 1)[0], attributes().get(signal))
    if isinstance(attribute, int):
        return f"voltage of cell {attribute + 1}, 0 where there is none"
    return bits_text(attribute) if attribute in flags() else WORDS.get(attribute, "")


def bits_text(attribute):
    """Bits of *attribute* and their words, the lowest first."""
    pairs = "pairs" in attribute
    return ("pairs of bits, 01 yes, 10 no, 00 not told; " if pairs else "") + "; ".join(
        f"bits {mask.bit_length()} {mask.bit_length() - 1}: {words}" if pairs
        else f"bit {mask.bit_length() - 1}: {words}"
        for mask, words in sorted(flags()[attribute].items()))


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
    tables = []
    taken_from = attributes()
    for ident, name, size, signals, note in messages():
        out.append(f"BO_ {ident} {name}: {size} Pack\n")
        comments.append(f'CM_ BO_ {ident} "{note}";\n')
        for row in signals:
            signal, bit, bits, big, sign, factor, offset, unit = row
            low, high = range_of(row)
            out.append(f' SG_ {signal} : {bit}|{bits}@{0 if big else 1}{sign} '
                       f'({factor},{offset}) [{low}|{high}] "{unit}" Inverter\n')
            attribute = taken_from.get(signal)
            if words_of(signal):
                comments.append(f'CM_ SG_ {ident} {signal} "{words_of(signal)}";\n')
            if attribute in VALUES:
                tables.append(f"VAL_ {ident} {signal} " + " ".join(
                    f'{value} "{words}"' for value, words in VALUES[attribute].items()) + " ;\n")
        out.append("\n")
    out.append(f"BO_ {0x305} M_305: 8 Inverter\n"
               ' SG_ keep_alive : 0|32@1+ (1,0) [0|0] "" Pack\n\n')
    return "".join(out + comments + tables)


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
