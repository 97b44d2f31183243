"""Counters over the pack's whole life: trips per item, faults, extremes, and the newest first-out
(REC-02, REC-03). Energy and throughput are the state of charge's.

They know up to which event record they have counted, so that after a power cut the records
written since then are counted once, neither lost nor twice.
"""

import struct
from array import array

from bms.words import events as ev
from bms.words import readings as rd
from bms.words.phrases import quantity
from bms.words.rules import (
    FAULT_NAME,
    FAULT_NUMBER,
    FAULT_WORDS,
    FAULTS,
    ID,
    ITEMS,
    NUMBER,
    WORDS,
)

_VERSION = 1
_HEAD = "<BBBBI"
_FIRST_OUT = "<BbiiII"          # item 0xFF: none; cell, value, limit, time, seq
_NONE = 0xFF

# name, unit, reading, +1: the highest is kept, -1: the lowest
EXTREMES = (
    ("highest cell", "mV", rd.MAX_CELL_MV, 1),
    ("lowest cell", "mV", rd.MIN_CELL_MV, -1),
    ("largest cell difference", "mV", rd.CELL_DIFF_MV, 1),
    ("highest stack voltage", "mV", rd.STACK_MV, 1),
    ("lowest stack voltage", "mV", rd.STACK_MV, -1),
    ("largest charge current", "mA", rd.CURRENT_MA, 1),
    ("largest discharge current", "mA", rd.CURRENT_MA, -1),
    ("highest cell temperature", "dC", rd.MAX_TEMP_DC, 1),
    ("lowest cell temperature", "dC", rd.MIN_TEMP_DC, -1),
    ("highest MOSFET temperature", "dC", rd.MOS_DC, 1),
    ("highest ambient temperature", "dC", rd.AMBIENT_DC, 1),
    ("lowest ambient temperature", "dC", rd.AMBIENT_DC, -1),
)


def slot_of(number):
    """Where the item with *number* is counted: 0 to 17, then 128 and up follow."""
    return number if number < 128 else number - 110


class Counters:
    """trips, faults: counts of ITEMS, at slot_of() their numbers, and of FAULTS, at theirs;
    extremes: array in the order of EXTREMES,
    rd.NO_READING until there is one; first_out: None or (item, cell, value, limit, time_s, seq);
    seq: of the newest record that was counted; dirty: to_bytes() should be kept."""

    def __init__(self):
        self.trips = array("i", (0 for _ in range(1 + max(slot_of(row[NUMBER])
                                                          for row in ITEMS))))
        self.faults = array("i", (0 for _ in range(1 + max(row[FAULT_NUMBER]
                                                           for row in FAULTS))))
        self.extremes = array("i", (rd.NO_READING for _ in EXTREMES))
        self.first_out = None
        self.seq = 0
        self.dirty = False

    def sample(self, values):
        """Look at a scan's readings. Allocates nothing."""
        extremes = self.extremes
        for i in range(len(EXTREMES)):
            _, _, reading, sign = EXTREMES[i]
            value = values[reading]
            if value != rd.NO_READING and (
                    extremes[i] == rd.NO_READING or (value - extremes[i]) * sign > 0):
                extremes[i] = value
                self.dirty = True

    def count(self, seq, event, item, cell, value, limit, time_s):
        """Count record *seq*; records come in order, and none is counted twice."""
        if seq <= self.seq:
            return
        self.seq = seq
        if event == ev.TRIP and slot_of(item) < len(self.trips):
            self.trips[slot_of(item)] += 1
            self.dirty = True
        elif event == ev.FAULT and item < len(self.faults):
            self.faults[item] += 1
            self.dirty = True
        elif event == ev.FIRST_OUT:
            self.first_out = (item, cell, value, limit, time_s, seq)
            self.dirty = True

    def to_bytes(self):
        """What has to outlive a reset; clear *dirty* once it is kept."""
        item, cell, value, limit, time_s, seq = self.first_out or (_NONE, -1, 0, 0, 0, 0)
        out = bytearray(struct.pack(_HEAD, _VERSION, len(self.trips), len(self.faults),
                                    len(self.extremes), self.seq))
        for table in (self.trips, self.faults, self.extremes):
            for number in table:
                out += struct.pack("<i", number)
        return out + struct.pack(_FIRST_OUT, item, cell, value, limit, time_s, seq)

    def from_bytes(self, data):
        """Take over what to_bytes() gave, also of a version with fewer or more rows.

        raises  ValueError if it is not of this form
        """
        size = struct.calcsize(_HEAD)
        if len(data) < size or data[0] != _VERSION:
            raise ValueError("no counters of version %d" % _VERSION)
        _, trips, faults, extremes, seq = struct.unpack_from(_HEAD, data)
        if len(data) != size + 4 * (trips + faults + extremes) + struct.calcsize(_FIRST_OUT):
            raise ValueError("counters have %d bytes" % len(data))
        at = size
        for table, count in ((self.trips, trips), (self.faults, faults),
                             (self.extremes, extremes)):
            for i in range(min(count, len(table))):
                table[i] = struct.unpack_from("<i", data, at + 4 * i)[0]
            at += 4 * count
        self.seq = seq
        first = struct.unpack_from(_FIRST_OUT, data, at)
        self.first_out = None if first[0] == _NONE else first

    def text(self):
        """As lines for a person."""
        lines = []
        for row in ITEMS:
            times = self.trips[slot_of(row[NUMBER])]
            if times:
                lines.append("%s (%s): tripped %d times" % (row[WORDS], row[ID], times))
        for row in FAULTS:
            times = self.faults[row[FAULT_NUMBER]]
            if times:
                lines.append("%s (%s): %d times" % (row[FAULT_WORDS], row[FAULT_NAME], times))
        for i in range(len(EXTREMES)):
            if self.extremes[i] != rd.NO_READING:
                lines.append("%s %s" % (EXTREMES[i][0],
                                        quantity(self.extremes[i], EXTREMES[i][1])))
        return "\n".join(lines)
