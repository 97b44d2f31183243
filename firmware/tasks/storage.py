"""Keeps what has to outlive a power cut: event records, parameters, state of charge, counters.

A flash operation stops this processor: nothing is scanned and, on the RP2040, no interrupt is
served until it ends (0.4 ms for a page, 45 ms to 400 ms for an erase). So a step does at most
one thing, right after a scan, and only in a window: a page of records when no byte is on its way,
what may erase only when a port has just answered or nobody has talked for a while. What has
waited too long is written all the same. The events wait in their ring meanwhile, and the AFE's
own protections hold.
"""

import micropython
from bms.words import events as ev
from bms.records import kept
from bms.records.counters import Counters
from bms.records.kept import EVERYTHING, number_of
from bms.records.records import Records
from bms.words.rules import FAULT_FLASH, FAULT_LOST
from clock import FOUND
from crc16 import crc16
from slots import Slots
from tasks.losses import DROPPED, LOST, OLDER, UNREADABLE, Losses
from bound import bind
from ticks import MASK

PERIOD_MS = 100
_SECOND_STEPS = 1000 // PERIOD_MS
_ANSWERED_STEPS = 3             # a port that was answered so lately does not ask again at once
_SILENT_STEPS = 20              # nobody talks
_LATE_STEPS = 300               # write without a window
_LATE_RECORDS = 90              # of the 128 that the ring in RAM holds
_SETTLE_STEPS = 3               # parameters: the host may set several
_COUNTERS_STEPS = 36_000
_COUNTERS_RECORDS = 40          # keeps the records to be counted again at a start few
_RETRY_STEPS = 600              # after the file system refused
_LOOK_BACK = 128                # event records that are looked through at a start
_TORN_MOST = 3                  # records in a row that the ring did not take: a fault
STORED, WAITING, NOT_STORED = range(3)


def _mark_of(name):
    """A number that tells records apart by their names: parameters of two profiles."""
    return crc16(name.encode(), 0, len(name), 0xFFFF)


class ParameterKeeper:
    """The set of parameters as something that is kept: dirty some steps after the last change."""

    def __init__(self, params):
        self._params = params
        self._kept_of = 0           # params.changed that is kept
        self._seen_of = 0           # params.changed at the last step
        self._settled = 0           # steps since it changed
        self._packing = 0
        self.dropped: list = []     # [(id, value)] that could not be taken over
        self.lost = False           # ... of parameters that there still are

    @micropython.native
    def step(self):
        """Once a step of the storage; True if the set shall be kept."""
        changed = self._params.changed
        if changed != self._seen_of:
            self._seen_of = changed
            self._settled = 0
        elif self._settled < _SETTLE_STEPS:
            self._settled += 1
        return changed != self._kept_of and self._settled >= _SETTLE_STEPS

    @property
    @micropython.native
    def dirty(self):
        return self._params.changed != self._kept_of and self._settled >= _SETTLE_STEPS

    @property
    def kept(self):
        """All that was changed is in flash."""
        return self._params.changed == self._kept_of

    def to_bytes(self):
        self._packing = self._params.changed
        return kept.pack_set(self._params.pairs())

    def saved(self):
        self._kept_of = self._packing

    def from_bytes(self, data):
        self.dropped = self._params.take_over(kept.unpack_set(data))
        self.lost = any(self._params.has_id(number) for number, _ in self.dropped)
        self._kept_of = self._seen_of = self._params.changed
        if self.dropped:
            self._kept_of -= 1      # what it has become is to be kept


class CounterKeeper:
    """The counters as something that is kept, seldom: the records tell what came after."""

    def __init__(self, counters):
        self._counters = counters
        self._seq = 0
        self._steps = 0

    @micropython.native
    def step(self):
        """Once a step of the storage."""
        if self._steps < _COUNTERS_STEPS:
            self._steps += 1

    @property
    @micropython.native
    def dirty(self):
        counters = self._counters
        return (counters.dirty and self._steps >= _COUNTERS_STEPS
                or counters.seq - self._seq >= _COUNTERS_RECORDS)

    def to_bytes(self):
        return self._counters.to_bytes()

    def saved(self):
        self._counters.dirty = False
        self._seq = self._counters.seq
        self._steps = 0

    def from_bytes(self, data):
        self._counters.from_bytes(data)
        self._seq = self._counters.seq


class Storage:
    """The storage task.

    pack      Pack, with params and events
    files     where the small records are kept, each in two copies (slots.py)
    name      of the profile: its parameters are kept apart from another product's
    ring      FlashRing; clock: Clock

    ports     SerialPorts whose traffic is spared; the caller adds to it
    senders   what else sends by the clock: no erase while its is_busy() is true; the same
    keepers   [(Slots, source)]; keep() adds one
    records   Records; counters: Counters
    errors    writes and readings that failed, since start
    losses    Losses: what was stored once and is not there any more
    update    Update (tasks/update.py), whose flash operations are done here; None: none
    proof     Proof of an image on trial, which writes the journal of the images here
    """

    def __init__(self, pack, files, name, ring, clock):
        self.pack = pack
        self.clock = clock
        self.counters = Counters()
        self.ports: list = []
        self.senders: list = []
        self.update = None
        self.proof = None
        self.records = Records(pack.events, ring, clock)
        self.errors = 0
        self.losses = Losses(files)
        self.keepers: list = []
        self._names: list = []      # of the keepers
        self._sums: dict = {}       # of what was saved last, by number of the keeper
        self._prepared = 0          # keepers saved ahead of a start that the update wants
        self._refused_of = 0        # params.changed when it was refused
        self._refused = False       # the file system refused the last write
        self._torn = 0              # records in a row that the ring did not take
        self._files = files
        self._ring = ring
        self._params = ParameterKeeper(pack.params)
        self._counting = CounterKeeper(self.counters)
        self._steps = 0
        self._traffic = 0           # bytes received and sent on all ports
        self._quiet_steps = 0       # since the last byte
        self._pause_steps = 0       # that the ports were quiet between two requests: the shorter
        self._last_pause_steps = 0  # of the last two, the last one
        self._waiting = 0           # steps that something has waited for a window
        self._retry = 0             # steps until the file system is tried again
        self._clock_change = None
        self.keep("params-" + name, self._params)
        self.keep("counters", self._counting)
        self.keepers.append((self.losses.slots, self.losses))
        self._names.append("")
        bind(self, "_listen")

    def keep(self, name, source):
        """Load *source* from what is kept under *name*, and keep it from now on.

        source   has dirty, to_bytes(), from_bytes(data) that may raise ValueError, and perhaps
                 saved(), called when what to_bytes() gave is in flash
        """
        slots = Slots(self._files, name)
        self.keepers.append((slots, source))
        self._names.append(name)
        data = slots.load()
        self.losses.look(name, slots, data)
        if data is not None:
            try:
                source.from_bytes(data)
            except ValueError:
                self.errors += 1        # of another version: it begins anew
                self.losses.lose(name, UNREADABLE)

    # -- at the start -----------------------------------------------------------------------

    def open(self, now_ms):
        """Find the records in flash and the time; the first record of this start comes next."""
        self._clock_change = self.clock.start(now_ms, self.records.open())
        if not self.losses.found:
            if self.losses.nothing_known and self.pack.events.newest:
                self.losses.lose(EVERYTHING, LOST)      # records of earlier starts, and no more
            self._save(self._names.index(""), now_ms)   # before the first record of this start

    def start(self, now_ms):
        """Record what was found, and take up what the records say; after the first record."""
        self.pack.now_ms = now_ms
        for number, value in self._params.dropped:
            self.pack.events.add(now_ms, ev.PARAM_DROPPED, number & 0xFF, number >> 8 & 0x7F,
                                 value)
        if self._params.lost:
            self.losses.lose(self._names[0], DROPPED)
        self._look_for_older(now_ms)
        for name, how in self.losses.noticed:
            number = number_of(name)
            self.pack.events.add(now_ms, ev.STORE_LOST, number & 0xFF, -1, how,
                                 self._names.index(name) if name in self._names else -1)
        self._tell_of_losses()
        if self._clock_change and self._clock_change[0] != FOUND:
            self._note_clock(now_ms, self._clock_change)
        self.records.count_again(self.counters)
        if self.counters.first_out:
            item, cell, value, limit, time_s, _ = self.counters.first_out
            now_s = self.clock.now_s(now_ms)
            self.pack.recall_first_out(item, cell, value, limit,
                                       now_s - time_s if now_s and time_s else -1)
        if self._ring.wants_erase:
            self._ring.erase_ahead()    # nobody waits for anything yet

    def _look_for_older(self, now_ms):
        """A file system that lost its newest blocks shows the ones before, as if nothing was: the
        event records know better."""
        newest = self.records.written
        seen = set()
        for seq in range(newest, max(0, newest - _LOOK_BACK), -1):
            record = self.records.read(seq, now_ms)
            if record is None or record[1] != ev.STORED or record[5] in seen:
                continue
            seen.add(record[5])
            for i in range(len(self._names)):
                name = self._names[i]
                if (name and _mark_of(name) == record[5] and self.keepers[i][0].number < record[4]
                        and name not in self.losses.lost):
                    self.losses.lose(name, OLDER)

    def _tell_of_losses(self):
        lost = self.losses.lost
        for name in lost:
            self.pack.set_fault(FAULT_LOST, True, number_of(name), lost[name])

    def _note_clock(self, now_ms, change):
        self.pack.events.add(now_ms, ev.CLOCK, change[0], -1, change[1],
                             self.clock.now_s(now_ms))

    # -- all the time -----------------------------------------------------------------------

    @micropython.native
    def step(self, now_ms):
        """Once a PERIOD_MS, right after a scan."""
        self._listen()
        self._steps += 1
        if self._steps >= _SECOND_STEPS:
            self._steps = 0
            self._second(now_ms)
        settled = self._params.step()
        self._counting.step()
        if self._retry:
            self._retry -= 1
            if settled and self.pack.params.changed != self._refused_of:
                self._retry = 0             # somebody set something: he is to know at once
        if self.losses.lost and not self.pack.has(FAULT_LOST):
            self._acknowledge(now_ms)
            return
        power = self.pack.power
        if power.store:                     # before a sleep or a stop; both FETs are off
            self.save_all(now_ms)
            power.stored()
            return
        update = self.update
        if update is not None and update.active and self._update(now_ms, update):
            return
        ring = self._ring
        waiting = self.records.waiting
        proof = self.proof
        if proof is not None and proof.wants and not waiting and self._is_window():
            proof.write(now_ms)
            return
        if waiting and not ring.must_erase and (self._is_quiet() or waiting >= _LATE_RECORDS):
            self._write_records(now_ms)
            return
        due = -1
        if settled or self._waiting or not self._steps:     # the others can wait a second
            due = self._find_due()
        if due < 0 and not ring.wants_erase:
            self._waiting = 0
            return
        self._waiting += 1
        if self._is_window() or self._waiting >= _LATE_STEPS or waiting >= _LATE_RECORDS:
            self._waiting = 0
            if ring.wants_erase:
                ring.erase_ahead()
            else:
                self._save(due, now_ms)

    def _update(self, now_ms, update):
        """A step of the update; True if nothing else may take flash time now."""
        if not update.starts:
            self._prepared = 0
        elif self._prepared < len(self.keepers):
            self._save(self._prepared, now_ms)      # so that the FETs are not open for it
            self._prepared += 1
        return update.step(now_ms, not self._waiting and (
            self._is_window() or self._is_pause()))

    def _is_pause(self):
        """Nobody asks now, as the last requests came: an update needs more windows than one after
        each answer."""
        if self._quiet_steps + 2 > self._pause_steps:
            return False
        for sender in self.senders:
            if sender.is_busy():
                return False
        for port in self.ports:
            if port.asked:
                return False
        return self._is_quiet()

    def _second(self, now_ms):
        measured = self.pack.measurements
        if measured.is_usable(now_ms) and not measured.doubts:
            self.counters.sample(measured.values)
        change = self.clock.keep(now_ms)
        if change:
            self._note_clock(now_ms, change)

    @micropython.native
    def _listen(self):
        """Count the steps since anything was received or sent."""
        traffic = 0
        for port in self.ports:
            traffic = (traffic + port.received + port.sent) & MASK
        if traffic != self._traffic:
            self._traffic = traffic
            if self._quiet_steps:
                self._pause_steps = min(self._quiet_steps, self._last_pause_steps)
                self._last_pause_steps = self._quiet_steps
            self._quiet_steps = 0
        elif self._quiet_steps < _SILENT_STEPS:
            self._quiet_steps += 1

    def _is_quiet(self):
        """No byte is on its way."""
        for port in self.ports:
            if port.is_busy():
                return False
        return True

    def _is_window(self):
        """Long enough for an erase: one has just answered, or nobody talks."""
        if _ANSWERED_STEPS <= self._quiet_steps < _SILENT_STEPS:
            return False
        for sender in self.senders:
            if sender.is_busy():
                return False
        if self._quiet_steps < _ANSWERED_STEPS:
            for port in self.ports:
                if port.asked:
                    return False
        return self._is_quiet()

    @micropython.native
    def _find_due(self):
        """Number of the keeper that has to be written, -1: none."""
        if not self._retry:
            keepers = self.keepers
            for i in range(len(keepers)):
                if keepers[i][1].dirty:
                    return i
        return -1

    # -- writing ----------------------------------------------------------------------------

    def _acknowledge(self, now_ms):
        """A person has cleared the fault: what stands now is what is to be kept."""
        self.losses.acknowledge()
        for i in range(len(self._names)):
            if number_of(self._names[i]) >= 0:
                self._save(i, now_ms)
        self._save(self._names.index(""), now_ms)

    def _write_records(self, now_ms):
        """Write a page of waiting records."""
        if self.records.write(now_ms, self.counters):
            self._torn = 0
        else:
            self.errors += 1
            self._torn += 1
        self._tell_of_flash(self._torn, 0)

    def _tell_of_flash(self, value, limit):
        """SAF-09: flash that takes no more writes is an alarm at once."""
        self.pack.set_fault(FAULT_FLASH, self._refused or self._torn >= _TORN_MOST, value, limit)

    def _save(self, i, now_ms, changed=False):
        """Write what keeper *i* keeps; a file system that refuses is tried again later.

        changed   not if the same was written by this program already
        """
        slots, source = self.keepers[i]
        data = source.to_bytes()
        mark = crc16(data, 0, len(data), 0xFFFF)
        if changed and not source.dirty and self._sums.get(i) == mark:
            return True
        try:
            slots.save(data)
            self._sums[i] = mark
        except OSError as error:
            self.errors += 1
            self._retry = _RETRY_STEPS
            self._refused = True
            self._refused_of = self.pack.params.changed
            self.pack.events.add(now_ms, ev.STORE_ERROR, i, -1,
                                 error.args[0] if error.args else 0)
            self._tell_of_flash(i, error.args[0] if error.args else 0)
            return False
        name = self._names[i]
        if name:
            self.losses.stored(name)
            if number_of(name) >= 0:
                self.pack.events.add(now_ms, ev.STORED, number_of(name), -1, slots.number,
                                     _mark_of(name))
        if self._refused:
            self._refused = False
            self._tell_of_flash(0, 0)
        saved = getattr(source, "saved", None)
        if saved is not None:
            saved()
        return True

    def save(self, source, now_ms):
        """Write what *source* keeps now, if it has changed; False if the file system refuses."""
        for i in range(len(self.keepers)):
            if self.keepers[i][1] is source and source.dirty:
                return self._save(i, now_ms)
        return True

    def save_params(self, now_ms):
        """A person wants the parameters written now; False if the file system refuses."""
        if not self._save(0, now_ms):
            return False
        if self._names[0] in self.losses.lost:
            self.losses.acknowledge(self._names[0])
            if not self.losses.lost:
                self.pack.set_fault(FAULT_LOST, False)
        return True

    def stored(self):
        """Whether the parameters as they are now are in flash: STORED, WAITING or NOT_STORED."""
        if self._params.kept:
            return STORED
        return NOT_STORED if self.pack.has(FAULT_FLASH) else WAITING

    def save_all(self, now_ms, changed=False):
        """Write everything now: before a reset, a sleep, or the rocker's off.

        Takes some tenths of a second, in the worst case some seconds; both FETs should be off.
        changed   only what is not in flash as it is
        """
        self._retry = 0
        for i in range(len(self.keepers)):
            self._save(i, now_ms, changed)
        self._retry = 0
        while self.records.waiting:
            self._write_records(now_ms)
