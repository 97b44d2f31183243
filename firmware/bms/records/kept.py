"""What is kept over a power cut, as bytes: event records and the set of parameters.

Both carry what a later version needs to read them: a record by its fixed places, a set of
parameters by a version and ids that are never given twice.
"""

import struct

from bms.words import events as ev

# time (s since 2020, 0: unknown), ticks at the event, value, limit, start it happened in, SOC,
# current (0.1 A), event, item, cell, direction | state << 3
_RECORD = "<IIiiHHhBBbB"
RECORD_SIZE = struct.calcsize(_RECORD)
SET_VERSION = 1
_NO_SOC = (1 << 14) - 1

EVERYTHING = "everything"
# in the order of phrases.VITAL
_BEGINNINGS = ("params-", "power", "profile", "pin", EVERYTHING)


def number_of(name):
    """Place in phrases.VITAL of the record *name*; -1: its loss is recorded, and no fault."""
    for i in range(len(_BEGINNINGS)):
        if name.startswith(_BEGINNINGS[i]):
            return i
    return -1


def pack_record(events, seq, time_s, boot, out):
    """Put record *seq* of the Events ring into *out* (RECORD_SIZE bytes)."""
    context = events.get(seq, ev.CONTEXT)
    current_da = min(max(events.get(seq, ev.CURRENT_MA) // 100, -0x7FFF), 0x7FFF)
    struct.pack_into(
        _RECORD, out, 0, time_s, events.get(seq, ev.TICKS_MS), events.get(seq, ev.VALUE),
        events.get(seq, ev.LIMIT), boot & 0xFFFF, context >> 8, current_da,
        events.get(seq, ev.EVENT) & 0xFF, events.get(seq, ev.ITEM) & 0xFF,
        min(max(events.get(seq, ev.CELL), -128), 127), context & 7 | (context >> 4 & 0xF) << 3)


def unpack_record(data):
    """(ticks_ms, event, item, cell, value, limit, time_s, boot, direction, state, current_ma,
    soc_cpct or None) of a record."""
    (time_s, ticks_ms, value, limit, boot, soc, current_da, event, item, cell,
     context) = struct.unpack_from(_RECORD, data)
    return (ticks_ms, event, item, cell, value, limit, time_s, boot, context & 7, context >> 3,
            current_da * 100, None if soc == _NO_SOC else soc)


def pack_set(pairs):
    """A set of parameters, [(id, value)], as bytes."""
    out = bytearray(3 + 6 * len(pairs))
    struct.pack_into("<BH", out, 0, SET_VERSION, len(pairs))
    for i in range(len(pairs)):
        struct.pack_into("<Hi", out, 3 + 6 * i, pairs[i][0], pairs[i][1])
    return out


def unpack_set(data):
    """[(id, value)] of what pack_set() made, in this or a later version.

    A later version may add to the end, but keeps count and pairs where they are.
    raises  ValueError if it is not of this form
    """
    if len(data) < 3 or data[0] < 1:
        raise ValueError("no set of parameters")
    count = struct.unpack_from("<H", data, 1)[0]
    if len(data) < 3 + 6 * count:
        raise ValueError("a set of %d parameters in %d bytes" % (count, len(data)))
    return [struct.unpack_from("<Hi", data, 3 + 6 * i) for i in range(count)]
