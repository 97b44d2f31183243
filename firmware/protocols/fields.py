"""Numbers and texts into the INFO of a frame, big-endian, held within their fields."""

from bms.words.readings import NO_READING


def put_u16(info, at, value):
    """*value* held within 0..0xFFFF; FFFF where there is none."""
    if value == NO_READING or value > 0xFFFF:
        value = 0xFFFF
    elif value < 0:
        value = 0
    info[at] = value >> 8
    info[at + 1] = value & 0xFF


def put_i16(info, at, value):
    """*value* held within -0x8000..0x7FFF; 0 where there is none."""
    if value == NO_READING:
        value = 0
    elif value > 0x7FFF:
        value = 0x7FFF
    elif value < -0x8000:
        value = -0x8000
    info[at] = value >> 8 & 0xFF
    info[at + 1] = value & 0xFF


def put_u24(info, at, value):
    """*value* held within 0..0xFFFFFF."""
    value = max(0, min(0xFFFFFF, value))
    info[at] = value >> 16
    info[at + 1] = value >> 8 & 0xFF
    info[at + 2] = value & 0xFF


def put_temp(info, at, value_dc, zero_dk):
    """A temperature in 0.1 K, *zero_dk* at 0 degC; FFFF where there is none."""
    put_u16(info, at, value_dc if value_dc == NO_READING else max(0, value_dc + zero_dk))


def put_text(info, at, text, length, pad=0):
    """ASCII *text* (bytes-like) in *length* bytes."""
    size = len(text)
    for i in range(length):
        info[at + i] = text[i] if i < size else pad


def rounded(value, unit):
    """*value* in *unit*, to the nearest; NO_READING stays."""
    if value == NO_READING:
        return value
    return (value + unit // 2) // unit
