"""What the debug port reports of a pack: packs the rows of report_rows.py."""

import micropython
import struct
from array import array

from protocols import as1_codes
from protocols.debug.report_rows import EVENT_FIELDS, FIELDS, SOURCE
from bms.limits import reasons as limit_reasons
from bms.words import states as st
from bms.words import readings as rd
from bms.words.rules import (
    FAULT_NAME,
    FAULT_NUMBER,
    FAULT_UNIT,
    FAULT_WORDS,
    FAULTS,
    FIRST_OUT_FAULT,
    ITEMS,
    NUMBER,
    READING,
    WORDS,
)
from crc16 import KIND, crc16
from struct import pack_into
from ticks import MASK

_READS_TEXT = KIND == "viper"           # its pointers take a text as they take bytes
_OF_CELLS = ("cell_mv", "balance_s")    # a number for each cell
EVENT_FORMAT = "<" + "".join(row[1] for row in EVENT_FIELDS)

# letter: (format, bytes, lowest, highest, what says that there is no value)
_FORMS = {"B": ("<B", 1, 0, 0xFF, 0xFF), "H": ("<H", 2, 0, 0xFFFF, 0xFFFF),
          "I": ("<I", 4, 0, 0xFFFFFFFF, 0xFFFFFFFF), "b": ("<b", 1, -0x80, 0x7F, -0x80),
          "h": ("<h", 2, -0x8000, 0x7FFF, -0x8000),
          "i": ("<i", 4, -0x80000000, 0x7FFFFFFF, -0x80000000)}


def pack_event(buf, at, seq, record):
    """Pack record *seq*, as Records.read() gives it, into *buf* from *at*."""
    (ticks_ms, event, item, cell, value, limit, time_s, boot, direction, state, current_ma,
     soc_cpct) = record
    struct.pack_into(EVENT_FORMAT, buf, at, seq, ticks_ms, event, item, cell, value, limit,
                     time_s or 0xFFFFFFFF, boot, max(0, direction - st.STANDBY), state, current_ma,
                     0xFFFF if soc_cpct is None else soc_cpct)


NAMES = len(ITEMS) + len(FAULTS)


def name(i):
    """Line *i* of NAMES, one for each item and fault: kind;number in event records;number in a
    first-out;id;unit of value and limit;words."""
    if i < len(ITEMS):
        row = ITEMS[i]
        return "item;%d;%d;%s;%s;%s" % (row[NUMBER], row[NUMBER], row[0],
                                        rd.UNITS.get(row[READING], ""), row[WORDS])
    row = FAULTS[i - len(ITEMS)]
    return "fault;%d;%d;%s;%s;%s" % (row[FAULT_NUMBER], FIRST_OUT_FAULT + row[FAULT_NUMBER],
                                     row[FAULT_NAME], row[FAULT_UNIT], row[FAULT_WORDS])


def names():
    """All lines of name()."""
    return [name(i) for i in range(NAMES)]


def line_of(row):
    """A field as the text line that a host reads."""
    return "%s;%s;%d;%s;%s" % row


def field_for(profile, i):
    """(name, letter, count, unit, meaning) of row *i*, with the cells of *profile* and with the
    reasons that it may lower a limit for."""
    name, _, letter, count, unit, meaning = FIELDS[i]
    if "%s" in unit:
        unit = unit % "|".join([row[3] for row in profile.CURVES] + list(limit_reasons.OTHERS))
    return name, letter, profile.CELLS if name in _OF_CELLS else count, unit, meaning


def fields_for(profile):
    """field_for() each row, one after the other."""
    for i in range(len(FIELDS)):
        yield field_for(profile, i)


def schema_id(fields):
    """16 bits that change when the fields do.

    Of the texts as they lie there: to make a line of each took a tenth of a second of a start.
    """
    total = 0xFFFF
    for row in fields:
        for part in row:
            if isinstance(part, int):
                total = total * 31 + part & 0xFFFF
            else:
                total = crc16(part if _READS_TEXT else part.encode(), 0, len(part), total)
    return total


def size(fields):
    """Bytes of a packed report of those fields_for()."""
    return sum(_FORMS[row[1]][1] * row[2] for row in fields)


class Seen:
    """Readings of the newest scan; None, each of them, if it is too old (MEA-03, MEA-05)."""

    def __init__(self, pack):
        self._pack = pack
        self._temps_dc = array("i", (0, 0, 0, 0))
        self._forget()

    def _forget(self):
        self.cells_mv = self.temps_dc = None
        self.stack_mv = self.pack_mv = self.current_ma = None
        self.mos_dc = self.ambient_dc = self.die_dc = None
        self.fets = 0

    @micropython.native
    def take(self, now_ms):
        """Look at the pack's readings; what is doubted is None or NO_READING."""
        pack = self._pack
        measured = pack.measurements
        if not measured.is_usable(now_ms):
            self._forget()
            return
        values = measured.values
        temps_dc = self._temps_dc
        for i in range(len(temps_dc)):
            temps_dc[i] = values[rd.TEMP_DC + i]
        self.temps_dc = temps_dc
        self.cells_mv = measured.cells_mv if values[rd.MAX_CELL_MV] != rd.NO_READING else None
        self.stack_mv = values[rd.STACK_MV]
        self.pack_mv = values[rd.PACK_MV]
        self.current_ma = values[rd.CURRENT_MA]
        self.mos_dc = values[rd.MOS_DC]
        self.ambient_dc = values[rd.AMBIENT_DC]
        self.die_dc = values[rd.DIE_DC]
        self.fets = pack.fets.actual


class FirstOut:
    """What opened a FET last; number is None if nothing has."""

    def __init__(self, pack):
        self._pack = pack
        self._known = None
        self._at_s = 0          # of the uptime
        self.number = None
        self.cell = -1
        self.value = self.limit = 0
        self.age_s = 0          # None: not known

    @micropython.native
    def take(self, now_ms, uptime_s):
        """Look at the pack's."""
        pack = self._pack
        first = pack.first_out
        if first is not self._known:
            self._known = first
            age_s = pack.first_out_age_s
            if age_s is None:
                self._at_s = uptime_s - ((now_ms - first[4]) & MASK) // 1000
            else:
                self._at_s = -age_s
        self.number = first[0] if first else None
        self.cell = first[1] if first else -1
        self.value = first[2] if first else 0
        self.limit = first[3] if first else 0
        self.age_s = uptime_s - self._at_s if first else 0
        if pack.first_out_age_s == -1:
            self.age_s = None           # type: ignore[assignment]


class Tasks:
    """Sums over the scheduler's *tasks*, of which the first one is the control task."""

    def __init__(self, tasks):
        self._tasks = tasks
        self.worst_us = self.overruns = self.errors = 0

    @micropython.native
    def take(self):
        overruns = 0
        errors = 0
        for task in self._tasks:
            overruns += task.overruns
            errors += task.errors
        self.worst_us = self._tasks[0].worst_us
        self.overruns = overruns
        self.errors = errors


class Whole:
    """All packs that *system* (snapshot.System) knows of."""

    def __init__(self, system):
        self._system = system
        self.modules = self.lost = self.twice = self.soc_cpct = None
        self.current_ma = self.ccl_ma = self.dcl_ma = None

    @micropython.native
    def take(self, now_ms):
        """Sum them up; with 15 packs some 8 ms of work."""
        system = self._system
        system.update(now_ms)
        whole = system.whole
        self.modules = len(system.modules)
        self.lost = system.fleet.lost
        self.twice = system.fleet.twice
        self.soc_cpct = whole.soc_cpct if whole.valid else None
        self.current_ma = whole.current_ma
        self.ccl_ma = whole.ccl_ma
        self.dcl_ma = whole.dcl_ma


class Worked:
    """What nobody keeps, because only the report wants it."""

    def __init__(self):
        self.uptime_s = self.age_ms = self.offset_ma = 0
        self.soc_cpct = self.remaining_mah = None
        self.reasons = self.boost_uses = self.as1_codes = 0

    @micropython.native
    def take(self, pack, now_ms):
        soc = pack.soc
        self.age_ms = pack.measurements.age_ms(now_ms)
        self.soc_cpct = soc.cpct if soc.is_set else None
        self.remaining_mah = pack.remaining_mah if soc.is_set else None
        self.offset_ma = (soc.offset_ua + 500) // 1000
        self.reasons = limit_reasons.reasons_of(pack)
        self.boost_uses = pack.allowance.uses()


class Nothing:
    """Stands for a part that this pack does not have: nothing is known of it."""

    def __getattr__(self, name):
        return None


class Reporter:
    """Packs FIELDS from a pack and its surroundings.

    pack       Pack; control, supervisor: those tasks
    """

    def __init__(self, pack, control, supervisor):
        self._pack = pack
        self._control = control
        self._supervisor = supervisor
        self._storage = None
        self._seen = Seen(pack)
        self._first = FirstOut(pack)
        self._tasks = None
        self._whole = None
        self._worked = Worked()
        self._forms = tuple(_FORMS[row[1]] for row in fields_for(pack.profile))
        self._counts = bytes(row[2] for row in fields_for(pack.profile))
        self._owners: list = []
        self._names: list = []
        self.connect([])

    def connect(self, tasks, can=None, system=None, storage=None):
        """Look every source up, once. The parts that main builds after this one:

        tasks      the scheduler's; can: the CAN task; system: snapshot.System; storage: that task
        """
        pack = self._pack
        self._storage = storage
        self._tasks = Tasks(tasks) if tasks else None
        self._whole = Whole(system) if system else None
        parts = {
            "pack": pack, "scan": pack.measurements, "protection": pack.protection,
            "soc": pack.soc, "fets": pack.fets, "balancing": pack.balancing,
            "events": pack.events, "power": pack.power, "inverter": pack.inverter,
            "rights": pack.rights, "joining": pack.joining,
            "resistance": pack.joining.resistance, "control": self._control,
            "supervisor": self._supervisor, "can": can, "seen": self._seen,
            "first": self._first, "tasks": self._tasks, "whole": self._whole,
            "worked": self._worked,
        }
        nothing = Nothing()
        sources = [row[SOURCE].split(".") for row in FIELDS]    # split() gives interned names
        self._owners = [nothing if parts[part] is None else parts[part] for part, _ in sources]
        self._names = [name for _, name in sources]

    @property
    def fields(self):
        """The rows as a host is told of them, one after the other. Nobody keeps the 85 of them."""
        return fields_for(self._pack.profile)

    def field(self, i):
        """Row *i* of them."""
        return field_for(self._pack.profile, i)

    def uptime_s(self, now_ms):
        """Seconds since start."""
        return self._supervisor.uptime_s(now_ms)

    @micropython.native
    def pack_into(self, buf, at, now_ms):
        """Pack a report into *buf* from *at*; return its end. Allocates nothing."""
        pack = self._pack
        worked = self._worked
        worked.uptime_s = uptime_s = self._supervisor.uptime_s(now_ms)
        worked.take(pack, now_ms)
        worked.as1_codes = self.as1_rows()
        self._seen.take(now_ms)
        self._first.take(now_ms, uptime_s)
        if self._tasks is not None:
            self._tasks.take()
        if self._whole is not None:
            self._whole.take(now_ms)
        owners = self._owners
        names = self._names
        for i in range(len(names)):
            at = self._put(buf, at, i, getattr(owners[i], names[i]))
        return at

    @micropython.native
    def as1_rows(self):
        """Rows of as1_codes.TABLE that hold, as bits."""
        pack = self._pack
        storage = self._storage
        return as1_codes.active(
            pack.protection.alarms, pack.protection.trips, pack.faults,
            as1_codes.others_of(pack, storage.errors if storage else 0,
                                storage.clock.is_sound if storage else True),
            pack.faults_more)

    @micropython.native
    def _put(self, buf, at, i, value):
        """Pack field *i*, one number or an array, held within its type; return the end."""
        form, size, low, high, empty = self._forms[i]
        count = self._counts[i]
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
