"""What the debug port reports of a pack: one table of fields, and the packing after it.

A host learns the fields from the table itself (link.py, SCHEMA), so a field added here needs no
other change. Sentinels for "no reading": all ones in B, H, I; the most negative in b, h, i.
"""

import micropython
import struct
from array import array

from protocols import as1_codes
from bms.limits import reasons as limit_reasons
from bms.words import states as st
from bms.power import power as pw
from bms.words import readings as rd
from bms.charge.balancing import STATES as BALANCE_STATES
from bms.words.events import NAMES as EVENT_NAMES
from bms.words.rules import (
    FAULT_NAME,
    FAULT_NUMBER,
    FAULT_UNIT,
    FAULT_WORD,
    FAULT_WORDS,
    FAULTS,
    FIRST_OUT_FAULT,
    ITEMS,
    NUMBER,
    READING,
    WORDS,
)
from crc16 import crc16
from struct import pack_into

_IDS = "|".join(row[0] for row in ITEMS)
_FAULTS = [""] * (1 + max(row[FAULT_NUMBER] for row in FAULTS))
for _row in FAULTS:
    _FAULTS[_row[FAULT_NUMBER]] = _row[FAULT_NAME]
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
    ("faults", "I", 1, "bits:" + "|".join(_FAULTS[:FAULT_WORD]), "contradictions that hold"),
    ("faults_more", "I", 1, "bits:" + "|".join(_FAULTS[FAULT_WORD:]), "further ones"),
    ("locked", "I", 1, "bits:" + _IDS, "protections that no longer release by themselves"),
    ("soc_cpct", "H", 1, "cpct", "state of charge"),
    ("remaining_mah", "I", 1, "mAh", "remaining capacity"),
    ("full_mah", "I", 1, "mAh", "full capacity"),
    ("soc_uncertainty_cpct", "H", 1, "cpct", "state of charge is off by at most this"),
    ("current_offset_ma", "i", 1, "mA", "current sensor at zero, as learnt; taken off the charge"),
    ("soh_pct", "B", 1, "%", "full capacity of the rated one"),
    ("cycles", "H", 1, "", "throughput by capacity"),
    ("charged_ah", "I", 1, "Ah", "charged, since ever"),
    ("discharged_ah", "I", 1, "Ah", "discharged, since ever"),
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
    ("balance_s", "I", 16, "s", "time each cell was bled, since start"),
    ("balance", "B", 1, "enum:" + "|".join(BALANCE_STATES),
     "what balancing does, or what keeps it from it"),
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
    ("first_out", "B", 1, "first_out", "what opened a FET last: number in the list of names"),
    ("first_out_cell", "b", 1, "", "its cell, -1: none"),
    ("first_out_value", "i", 1, "", "value that did it"),
    ("first_out_limit", "i", 1, "", "limit it crossed"),
    ("first_out_age_s", "I", 1, "s", "time since then"),
    ("events", "I", 1, "", "sequence number of the newest event record"),
    ("worst_us", "I", 1, "us", "longest step of the control task"),
    ("overruns", "H", 1, "", "task steps that ended late, since start"),
    ("task_errors", "H", 1, "", "task steps that raised, since start"),
    ("heap_free", "I", 1, "", "bytes of heap free"),
    ("inverter_lost", "B", 1, "", "1: no inverter heard for inverter_lost_s"),
    ("inverter_silent_s", "I", 1, "s", "time since an inverter was heard, on any port"),
    ("unlocked_s", "I", 1, "s", "writing is allowed on the inverter ports so long"),
    ("held", "B", 1, "bits:chg|dsg", "FETs that a host holds off"),
    ("can_state", "B", 1, "enum:stopped|active|warning|passive|bus_off", "CAN controller"),
    ("can_sent", "I", 1, "", "CAN frames sent and acknowledged, since start"),
    ("can_timeouts", "I", 1, "", "CAN frames that nobody took, since start"),
    ("can_received", "I", 1, "", "keep-alive frames of the inverter on CAN, since start"),
    ("power", "B", 1, "enum:" + "|".join(pw.MODES), "off, awake or asleep"),
    ("sleep_reason", "B", 1, "enum:" + "|".join(pw.REASONS), "why it sleeps"),
    ("sleep_refused", "B", 1, "enum:" + "|".join(pw.REFUSALS), "why it stayed awake"),
    ("woken_by", "B", 1, "enum:" + "|".join(pw.WAKERS), "what woke it last"),
    ("timed_wakes", "B", 1, "", "timed wakes in a row without charge"),
    ("modules", "B", 1, "", "packs that are summed up here; a master counts itself"),
    ("modules_lost", "H", 1, "", "addresses that do not answer any more, bit n"),
    ("modules_twice", "H", 1, "", "addresses that two packs have, bit n"),
    ("system_soc_cpct", "H", 1, "cpct", "state of charge of all of them"),
    ("system_current_ma", "i", 1, "mA", "current of all of them"),
    ("system_ccl_ma", "i", 1, "mA", "charge current limit of all of them"),
    ("system_dcl_ma", "i", 1, "mA", "discharge current limit of all of them"),
    ("join_held", "B", 1, "bits:chg|dsg", "FETs held open until the pack may join the bus bar"),
    ("join_diff_mv", "i", 1, "mV", "bus bar less stack, when it was last compared"),
    ("pack_uohm", "I", 1, "uOhm", "resistance of the cells, as measured"),
    ("as1_codes", "I", 1, "bits:" + "|".join("%02d" % row[0] for row in as1_codes.TABLE),
     "AS1 codes; command `codes` gives the texts"),
    ("soc_is_guess", "B", 1, "", "1: of the charge nothing but the SOC of delivery is known yet"),
)

_NAMES = [row[0] for row in FIELDS]
_OF_CELLS = ("cell_mv", "balance_s")    # a number for each cell
_CELLS = _NAMES.index("cell_mv")
_FETS = _NAMES.index("fets")
_LIMITS = _NAMES.index("cvl_mv")
_RECORDS = _NAMES.index("afe_safety")
_POWER = _NAMES.index("power")
_INVERTER = _NAMES.index("inverter_lost")
_FLEET = _NAMES.index("modules")
_GUESS = _NAMES.index("soc_is_guess")

EVENT_FIELDS = (
    ("seq", "I", 1, "", "number of the record"),
    ("uptime_ms", "I", 1, "ms", "ticks at the event, modulo 2**30"),
    ("event", "B", 1, "enum:" + "|".join(EVENT_NAMES), "what happened"),
    ("item", "B", 1, "", "number of the item, fault, state or task it happened to"),
    ("cell", "b", 1, "", "cell, -1: none"),
    ("value", "i", 1, "", "value that caused it"),
    ("limit", "i", 1, "", "limit it crossed"),
    ("time_s", "I", 1, "s", "since 2020-01-01 UTC; none: the clock was not set"),
    ("boot", "H", 1, "", "number of the start it happened in"),
    ("direction", "B", 1, "enum:standby|charging|discharging", "by current, at the event"),
    ("state", "B", 1, "enum:" + "|".join(st.STATES), "state then"),
    ("current_ma", "i", 1, "mA", "current then, charging positive"),
    ("soc_cpct", "H", 1, "cpct", "state of charge then"),
)
EVENT_FORMAT = "<" + "".join(row[1] for row in EVENT_FIELDS)

_RANGE = {"B": (0, 0xFF), "H": (0, 0xFFFF), "I": (0, 0xFFFFFFFF), "b": (-0x80, 0x7F),
          "h": (-0x8000, 0x7FFF), "i": (-0x80000000, 0x7FFFFFFF)}
_EMPTY = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF, "b": -128, "h": -0x8000, "i": -0x80000000}


def pack_event(buf, at, seq, record):
    """Pack record *seq*, as Records.read() gives it, into *buf* from *at*."""
    (ticks_ms, event, item, cell, value, limit, time_s, boot, direction, state, current_ma,
     soc_cpct) = record
    struct.pack_into(EVENT_FORMAT, buf, at, seq, ticks_ms, event, item, cell, value, limit,
                     time_s or 0xFFFFFFFF, boot, max(0, direction - st.STANDBY), state, current_ma,
                     0xFFFF if soc_cpct is None else soc_cpct)


def names():
    """A line for each item and fault: kind;number in event records;number in a first-out;id;unit
    of value and limit;words."""
    return (["item;%d;%d;%s;%s;%s" % (row[NUMBER], row[NUMBER], row[0],
                                      rd.UNITS.get(row[READING], ""), row[WORDS])
             for row in ITEMS]
            + ["fault;%d;%d;%s;%s;%s" % (row[FAULT_NUMBER], FIRST_OUT_FAULT + row[FAULT_NUMBER],
                                         row[FAULT_NAME], row[FAULT_UNIT], row[FAULT_WORDS])
               for row in FAULTS])


def line_of(row):
    """A field as the text line that a host reads."""
    return "%s;%s;%d;%s;%s" % row


def fields_for(profile):
    """FIELDS with the reasons that *profile* may lower a limit for, and with its cells."""
    reasons = "|".join([row[3] for row in profile.CURVES] + list(limit_reasons.OTHERS))
    return tuple(
        (name, letter, profile.CELLS if name in _OF_CELLS else count,
         unit % reasons if "%s" in unit else unit, meaning)
        for name, letter, count, unit, meaning in FIELDS)


def schema_id(fields):
    """16 bits that change when the fields do."""
    total = 0xFFFF
    for row in fields:
        line = line_of(row).encode()
        total = crc16(line, 0, len(line), total)
    return total


def size(fields=FIELDS):
    """Bytes of a packed report."""
    return sum(struct.calcsize("<" + row[1]) * row[2] for row in fields)


class Reporter:
    """Packs FIELDS from a pack and its surroundings.

    pack       Pack; control, supervisor: those tasks
    tasks      the scheduler's, set by main
    can        the CAN task, set by main, or None
    system     snapshot.System, set by main, or None
    storage    the storage task, set by main, or None
    """

    def __init__(self, pack, control, supervisor):
        self._pack = pack
        self._control = control
        self._supervisor = supervisor
        self.tasks = []
        self.can = None
        self.system = None
        self.storage = None
        self._first_out = None
        self._first_out_s = 0
        self._row: list = [None] * len(FIELDS)      # filled anew for each report
        self._temps_dc = array("i", (0, 0, 0, 0))
        self.fields = fields_for(pack.profile)
        self._packing = tuple(("<" + row[1], struct.calcsize("<" + row[1]), row[2])
                              + _RANGE[row[1]] + (_EMPTY[row[1]],) for row in self.fields)

    def uptime_s(self, now_ms):
        """Seconds since start."""
        return self._supervisor.uptime_s(now_ms)

    @micropython.native
    def pack_into(self, buf, at, now_ms):
        """Pack a report into *buf* from *at*; return its end. Allocates nothing."""
        row = self._row
        self._state_into(row, now_ms)
        self._readings_into(row, now_ms)
        self._limits_into(row)
        self._records_into(row, now_ms)
        for i in range(len(FIELDS)):
            at = self._put(buf, at, i, row[i])
        return at

    @micropython.native
    def _state_into(self, row, now_ms):
        pack = self._pack
        row[0] = self._supervisor.uptime_s(now_ms)
        row[1] = pack.measurements.seq
        row[2] = pack.measurements.age_ms(now_ms)
        row[3] = pack.state
        row[4] = pack.direction
        row[5] = pack.protection.alarms
        row[6] = pack.protection.trips
        row[7] = pack.faults
        row[8] = pack.faults_more
        row[9] = pack.protection.locks
        row[10] = pack.soc.cpct if pack.soc.is_set else None
        row[11] = pack.remaining_mah if pack.soc.is_set else None
        row[12] = pack.soc.full_mah
        row[13] = pack.soc.uncertainty_cpct
        row[14] = (pack.soc.offset_ua + 500) // 1000
        row[15] = pack.soc.soh_pct
        row[16] = pack.soc.cycles
        row[17] = pack.soc.charged_ah
        row[18] = pack.soc.discharged_ah

    @micropython.native
    def _readings_into(self, row, now_ms):
        """MEA-03, MEA-05: what is doubted or too old is no reading."""
        pack = self._pack
        measured = pack.measurements
        values = measured.values
        if not measured.is_usable(now_ms):
            for i in range(_CELLS, _FETS):
                row[i] = None
            row[_FETS] = 0
        else:
            for i in range(len(self._temps_dc)):
                self._temps_dc[i] = values[rd.TEMP_DC + i]
            row[_CELLS] = measured.cells_mv if values[rd.MAX_CELL_MV] != rd.NO_READING else None
            row[_CELLS + 1] = values[rd.STACK_MV]
            row[_CELLS + 2] = values[rd.PACK_MV]
            row[_CELLS + 3] = values[rd.CURRENT_MA]
            row[_CELLS + 4] = self._temps_dc
            row[_CELLS + 5] = values[rd.MOS_DC]
            row[_CELLS + 6] = values[rd.AMBIENT_DC]
            row[_CELLS + 7] = values[rd.DIE_DC]
            row[_FETS] = pack.fets.actual
        row[_FETS + 1] = pack.fets.wanted
        row[_FETS + 2] = pack.balancing.mask
        row[_FETS + 3] = pack.balancing.seconds
        row[_FETS + 4] = pack.balancing.state

    @micropython.native
    def _limits_into(self, row):
        pack = self._pack
        row[_LIMITS] = pack.cvl_mv
        row[_LIMITS + 1] = pack.ccl_ma
        row[_LIMITS + 2] = pack.dcl_ma
        row[_LIMITS + 3] = limit_reasons.reasons_of(pack)
        row[_LIMITS + 4] = int(pack.limiter_in)
        row[_LIMITS + 5] = pack.allowance.uses()

    @micropython.native
    def _records_into(self, row, now_ms):
        pack = self._pack
        uptime_s = self._supervisor.uptime_s(now_ms)
        first = pack.first_out
        if first is not self._first_out:
            self._first_out = first
            age_s = pack.first_out_age_s
            if age_s is None:
                self._first_out_s = uptime_s - ((now_ms - first[4]) & _MASK) // 1000
            else:
                self._first_out_s = -age_s
        row[_RECORDS] = pack.measurements.safety
        row[_RECORDS + 1] = pack.measurements.failed_all
        row[_RECORDS + 2] = self._control.afe_starts
        row[_RECORDS + 3] = pack.dip
        row[_RECORDS + 4] = first[0] if first else None
        row[_RECORDS + 5] = first[1] if first else -1
        row[_RECORDS + 6] = first[2] if first else 0
        row[_RECORDS + 7] = first[3] if first else 0
        row[_RECORDS + 8] = uptime_s - self._first_out_s if first else 0
        if pack.first_out_age_s == -1:
            row[_RECORDS + 8] = None
        row[_RECORDS + 9] = pack.events.newest
        overruns = 0
        errors = 0
        for task in self.tasks:
            overruns += task.overruns
            errors += task.errors
        row[_RECORDS + 10] = self.tasks[0].worst_us
        row[_RECORDS + 11] = overruns
        row[_RECORDS + 12] = errors
        row[_RECORDS + 13] = self._supervisor.heap_free
        power = pack.power
        row[_POWER] = power.mode
        row[_POWER + 1] = power.reason
        row[_POWER + 2] = power.refused
        row[_POWER + 3] = power.woken_by
        row[_POWER + 4] = power.tries
        row[_INVERTER] = int(pack.inverter_lost)
        row[_INVERTER + 1] = pack.inverter.silent_s
        row[_INVERTER + 2] = pack.rights.left_s
        row[_INVERTER + 3] = pack.held
        can = self.can
        row[_INVERTER + 4] = can.state if can else None
        row[_INVERTER + 5] = can.sent if can else None
        row[_INVERTER + 6] = can.timeouts if can else None
        row[_INVERTER + 7] = can.received if can else None
        self._fleet_into(row, now_ms)

    @micropython.native
    def as1_rows(self):
        """Rows of as1_codes.TABLE that hold, as bits."""
        pack = self._pack
        storage = self.storage
        return as1_codes.active(
            pack.protection.alarms, pack.protection.trips, pack.faults,
            as1_codes.others_of(pack, storage.errors if storage else 0,
                                storage.clock.is_sound if storage else True),
            pack.faults_more)

    @micropython.native
    def _fleet_into(self, row, now_ms):
        joining = self._pack.joining
        row[_FLEET + 7] = joining.held
        row[_FLEET + 8] = joining.diff_mv
        row[_FLEET + 9] = joining.resistance.uohm
        row[_FLEET + 10] = self.as1_rows()
        row[_GUESS] = int(self._pack.soc.is_guess)
        system = self.system
        if system is None:
            return
        system.update(now_ms)
        whole = system.whole
        row[_FLEET] = len(system.modules)
        row[_FLEET + 1] = system.fleet.lost
        row[_FLEET + 2] = system.fleet.twice
        row[_FLEET + 3] = whole.soc_cpct if whole.valid else None
        row[_FLEET + 4] = whole.current_ma
        row[_FLEET + 5] = whole.ccl_ma
        row[_FLEET + 6] = whole.dcl_ma

    @micropython.native
    def _put(self, buf, at, i, value):
        """Pack field *i*, one number or an array, held within its type; return the end."""
        form, size, count, low, high, empty = self._packing[i]
        if count == 1:
            if value is None or value == rd.NO_READING:
                value = empty
            elif value < low:
                value = low
            elif value > high:
                value = high
            pack_into(form, buf, at, value)
            return at + size
        for k in range(count):
            one = value[k] if value is not None and k < len(value) else rd.NO_READING
            if one == rd.NO_READING:
                one = empty
            elif one < low:
                one = low
            elif one > high:
                one = high
            pack_into(form, buf, at, one)
            at += size
        return at
