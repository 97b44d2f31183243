"""What the debug port reports of a pack: one table of fields, and the packing after it.

A host learns the fields from the table itself (link.py, SCHEMA), so a field added here needs no
other change. Sentinels for "no reading": all ones in B, H, I; the most negative in b, h, i.
"""

import struct
from array import array

from bms import pack_state as st
from bms import readings as rd
from bms.events import NAMES as EVENT_NAMES
from bms.protection_rules import BOTH, FAULTS, ITEMS

_IDS = "|".join(row[0] for row in ITEMS)
_FAULTS = "|".join(row[0] for row in FAULTS)
_MASK = (1 << 30) - 1

# name, struct letter, count, unit, meaning
FIELDS = (
    ("uptime_s", "I", 1, "s", "time since start"),
    ("seq", "I", 1, "", "number of the scan the values are of"),
    ("age_ms", "H", 1, "ms", "age of that scan"),
    ("state", "B", 1, "enum:" + "|".join(st.STATES), "what the pack does"),
    ("direction", "B", 1, "enum:" + "|".join(st.STATES), "by current alone"),
    ("alarms", "I", 1, "bits:" + _IDS, "alarms that are up"),
    ("protections", "I", 1, "bits:" + _IDS, "protections that have tripped"),
    ("faults", "I", 1, "bits:" + _FAULTS, "contradictions that hold"),
    ("locked", "I", 1, "bits:" + _IDS, "protections that no longer release by themselves"),
    ("soc_cpct", "H", 1, "cpct", "state of charge"),
    ("remaining_mah", "I", 1, "mAh", "remaining capacity"),
    ("full_mah", "I", 1, "mAh", "full capacity"),
    ("cell_mv", "H", 16, "mV", "cells, the most negative first"),
    ("stack_mv", "i", 1, "mV", "stack, before the FETs"),
    ("pack_mv", "i", 1, "mV", "terminals"),
    ("current_ma", "i", 1, "mA", "charging positive"),
    ("temp_dc", "h", 4, "dC", "cell thermistors"),
    ("mos_dc", "h", 1, "dC", "MOSFET thermistor"),
    ("ambient_dc", "h", 1, "dC", "ambient thermistor"),
    ("die_dc", "h", 1, "dC", "AFE die"),
    ("fets", "B", 1, "bits:chg|dsg", "FETs that are closed, as read back"),
    ("fets_wanted", "B", 1, "bits:chg|dsg", "FETs that shall be closed"),
    ("balance_mask", "H", 1, "", "cells bled now, bit 0 the most negative"),
    ("cvl_mv", "i", 1, "mV", "charge voltage limit"),
    ("ccl_ma", "i", 1, "mA", "charge current limit"),
    ("dcl_ma", "i", 1, "mA", "discharge current limit"),
    ("limit_reasons", "I", 1, "bits:%s", "what lowers a limit; command `limits` gives values"),
    ("limiter", "B", 1, "", "1: the 10 A charge limiter is in"),
    ("boost_uses", "B", 1, "", "uses of the short-time allowance in 30 days"),
    ("afe_safety", "I", 1, "", "AFE safety status A, B, C"),
    ("scans_failed", "H", 1, "", "scans without a complete set of values, since start"),
    ("afe_restarts", "H", 1, "", "configurations of the AFE, since start"),
    ("dip", "B", 1, "", "DIP address"),
    ("events", "I", 1, "", "sequence number of the newest event record"),
    ("worst_us", "I", 1, "us", "longest step of the control task"),
    ("overruns", "H", 1, "", "task steps that ended late, since start"),
    ("task_errors", "H", 1, "", "task steps that raised, since start"),
    ("heap_free", "I", 1, "", "bytes of heap free"),
)

EVENT_FIELDS = (
    ("seq", "I", 1, "", "number of the record"),
    ("uptime_ms", "I", 1, "ms", "ticks at the event, modulo 2**30"),
    ("event", "B", 1, "enum:" + "|".join(EVENT_NAMES), "what happened"),
    ("item", "B", 1, "", "number of the item, fault, state or task it happened to"),
    ("cell", "b", 1, "", "cell, -1: none"),
    ("value", "i", 1, "", "value that caused it"),
    ("limit", "i", 1, "", "limit it crossed"),
)
EVENT_FORMAT = "<" + "".join(row[1] for row in EVENT_FIELDS)

_RANGE = {"B": (0, 0xFF), "H": (0, 0xFFFF), "I": (0, 0xFFFFFFFF), "b": (-0x80, 0x7F),
          "h": (-0x8000, 0x7FFF), "i": (-0x80000000, 0x7FFFFFFF)}
_EMPTY = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF, "b": -128, "h": -0x8000, "i": -0x80000000}


def line_of(row):
    """A field as the text line that a host reads."""
    return "%s;%s;%d;%s;%s" % row


def fields_for(profile):
    """FIELDS with the reasons that *profile* may lower a limit for."""
    reasons = "|".join([row[3] for row in profile.CURVES] + ["FET held off", "allowance used"])
    return tuple(
        (name, letter, count, unit % reasons if "%s" in unit else unit, meaning)
        for name, letter, count, unit, meaning in FIELDS)


def schema_id(fields):
    """16 bits that change when the fields do."""
    total = 0
    for row in fields:
        for c in line_of(row):
            total = (total * 31 + ord(c)) & 0xFFFF
    return total


def size():
    """Bytes of a packed report."""
    return sum(struct.calcsize("<" + row[1]) * row[2] for row in FIELDS)


class Reporter:
    """Packs FIELDS from a pack and its surroundings.

    pack       PackState; control, supervisor: those tasks
    """

    def __init__(self, pack, control, supervisor, start_ms):
        self._pack = pack
        self._control = control
        self._supervisor = supervisor
        self.tasks = []             # the scheduler's, set by main
        self._last_ms = start_ms
        self._rest_ms = 0
        self._uptime_s = 0
        self._temps_dc = array("i", (0, 0, 0, 0))
        self.fields = fields_for(pack.profile)
        self._formats = tuple("<" + row[1] for row in FIELDS)
        self._sizes = tuple(struct.calcsize("<" + row[1]) for row in FIELDS)

    def uptime_s(self, now_ms):
        """Seconds since start; to be asked at least once in six days."""
        self._rest_ms += (now_ms - self._last_ms) & _MASK
        self._last_ms = now_ms
        self._uptime_s += self._rest_ms // 1000
        self._rest_ms %= 1000
        return self._uptime_s

    def pack_into(self, buf, at, now_ms):
        """Pack a report into *buf* from *at*; return its end."""
        pack = self._pack
        measured = pack.measurements
        usable = measured.is_usable(now_ms)
        values = measured.values
        for i in range(len(self._temps_dc)):
            self._temps_dc[i] = values[rd.TEMP_DC + i]
        protection = pack.protection
        tasks = self.tasks
        curves = len(pack.profile.CURVES)
        reasons = pack.derating.reasons
        if pack.allowed() != BOTH:
            reasons |= 1 << curves
        if pack.allowance.limit_ma() < pack.params["boost_ma"]:
            reasons |= 2 << curves
        row: list = [
            self.uptime_s(now_ms), measured.seq, measured.age_ms(now_ms), pack.state,
            pack.direction, protection.alarms, protection.trips, pack.faults, protection.locks,
            pack.soc.cpct, pack.soc.remaining_mah, pack.soc.full_mah,
            measured.cells_mv if usable else None,
            values[rd.STACK_MV] if usable else None, values[rd.PACK_MV] if usable else None,
            values[rd.CURRENT_MA] if usable else None, self._temps_dc if usable else None,
            values[rd.MOS_DC] if usable else None, values[rd.AMBIENT_DC] if usable else None,
            values[rd.DIE_DC] if usable else None, pack.fets.actual if usable else 0,
            pack.fets.wanted, 0, pack.params["cvl_mv"], pack.ccl_ma, pack.dcl_ma, reasons,
            int(pack.limiter_in), pack.allowance.uses(),
            measured.safety, measured.failed_all, self._control.afe_starts,
            pack.dip, pack.events.newest, tasks[0].worst_us,
            sum(task.overruns for task in tasks), sum(task.errors for task in tasks),
            self._supervisor.heap_free,
        ]
        for i in range(len(FIELDS)):
            _, letter, count, _, _ = FIELDS[i]
            value = row[i]
            low, high = _RANGE[letter]
            for k in range(count):
                if value is None:
                    one = _EMPTY[letter]
                elif count == 1:
                    one = value
                else:
                    one = value[k]
                if one == rd.NO_READING:
                    one = _EMPTY[letter]
                elif not low <= one <= high:
                    one = low if one < low else high
                struct.pack_into(self._formats[i], buf, at, one)
                at += self._sizes[i]
        return at
