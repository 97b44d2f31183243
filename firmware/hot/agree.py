"""Self-test of the fast functions: each against its Python twin on fixed data (SAF-02, SAF-07).

Compiled code that reads a wrong constant or was built for another processor would protect
nothing; it shows here, before a FET is closed.
"""

import micropython
from array import array

import bq_frames
import bq_frames_py
import due
import due_py
from bms.words import readings as rd
from crc8 import CRC8
from hot import hex_text, hex_text_py, protect, protect_py, scan_values, scan_values_py


_STEPS = 96


@micropython.native
def _numbers(count, span, seed):
    """*count* ints within +-span, always the same."""
    value = seed
    out = []
    for _ in range(count):
        value = (value * 4093 + 12345) & 0x3FFFF        # never a big int: this is in the start
        out.append((value >> 8) % (2 * span + 1) - span)
    return out


def _scan(function):
    regs = bytearray(128)
    for i, number in enumerate(_numbers(128, 127, 7)):
        regs[i] = number & 0xFF
    for i in range(16):                     # cells that make sense, and some that do not
        regs[0x15 + 2 * i] = 13 if i != 5 else 1
    cells = array("H", (0 for _ in range(16)))
    out = array("i", (0 for _ in range(rd.COUNT)))
    cal = array("i", _numbers(rd.CAL_COUNT, 20, 3))
    doubts = function(regs, cells, out, cal, 16, 100, 5000, 600, 250)
    return doubts, list(cells), list(out)


def _rows():
    width = protect_py.WIDTH
    rows = array("i", (0 for _ in range(3 * width)))
    for i in range(3):                      # slots, senses, masks: different in each row
        row = (2 - i, i & 1, -60 + 120 * (i & 1), -90 + 150 * (i & 1), 30 - 90 * (i & 1),
               -120 + 210 * (i & 1), 300, 3, 1 << i, 8 << i, 900 * (i == 2), 2 + i, 1 + i,
               64 << i, 512 << i, 2000 * (i == 1), 450 * (i == 0))
        for k in range(width):
            rows[i * width + k] = row[k]
    return rows


@micropython.native
def _protects_alike(fast, slow, numbers):
    """The same readings for both, step by step: the start has no time to make them twice."""
    rows = _rows()
    slow_rows = array("i", rows)
    state = array("i", (0 for _ in range(3 * protect_py.STATE)))
    slow_state = array("i", state)
    readings = array("i", (0, 0, 0))
    none = rd.NO_READING
    for i in range(_STEPS):
        for k in range(3):                  # a value holds for some steps, so that timers end
            number = numbers[i // 5 * 4 + k]
            readings[k] = none if number % 11 == 10 else number
        last = numbers[4 * i + 3]
        masks = last & 511 if i > 80 and i % 3 == 0 else 7
        other = (last & 7) << 9 if i % 7 == 6 else 0
        if (fast(rows, state, readings, 3, 150, masks, 4000, other)
                != slow(slow_rows, slow_state, readings, 3, 150, masks, 4000, other)):
            return False
    return list(state) == list(slow_state)


def _text(module):
    buf = bytearray(24)
    module.put_bytes(buf, 2, b"\x00\x9a\xff\x5c", 4)
    module.put_hex(buf, 12, 0xBEEF, 4)
    return buf, module.read_hex(buf, 12, 4), module.read_hex(buf, 0, 4), module.hex_sum(buf, 0, 24)


def _frames(function):
    tx = bytearray(b"\x14\xff\xf0\x15\xff\xe5\x05\xff\x95\x7f\xff\x92")
    answers = bytearray(b"\x00\x00\x00\x14\xf0\xdd\x15\x0c\x32\x05\x01\x95")
    regs = bytearray(128)
    status = bytearray(3)
    return function(answers, tx, 3, CRC8, b"\x00\x01\x00", regs, status, 100), regs, status


def _due(module):
    times = array("i", (0x3FFFFFF0, 20, 0x20000005))
    table = array("i", (15 for _ in range(3 * due_py.ROW)))
    return [(module.pick_due(times, 3, now), module.first_overdue(times, table, 3, now))
            for now in (0x3FFFFFEF, 0x3FFFFFF0, 5, 30, 0x20000004, 0x20000010)]


def fast_functions_agree():
    """True if every fast function gives what its twin gives."""
    numbers = _numbers(4 * _STEPS, 255, 11)
    return (_scan(scan_values.decode_scan) == _scan(scan_values_py.decode_scan)
            and _protects_alike(protect.protect_step, protect_py.protect_step, numbers)
            and _text(hex_text) == _text(hex_text_py)
            and _frames(bq_frames.check_frames) == _frames(bq_frames_py.check_frames)
            and _due(due) == _due(due_py))
