"""Event records over all starts: the newest in RAM, the rest of them in flash (REC-02)."""

from bms.words import events as ev
from bms.records import kept
from ticks import MASK

_AT_ONCE = 2            # records in one step ...
_MANY = 24              # ... or four times as many, when this many wait
_LOOK_BACK = 50         # records that are looked through for a time


class Records:
    """What events says, with wall time and number of start, read from RAM or flash.

    events   Events
    ring     FlashRing, or None: RAM only
    clock    Clock, or None

    boot     number of this start, from 1
    written  newest record that is in flash
    """

    def __init__(self, events, ring=None, clock=None):
        self.events = events
        self._ring = ring
        self._clock = clock
        self._payload = bytearray(kept.RECORD_SIZE)
        self.boot = 1
        self.written = 0

    def open(self):
        """Go on where the flash ends. Returns the time of its newest record that has one, or 0."""
        ring = self._ring
        ring.open()
        self.events.go_on(ring.newest)
        self.written = ring.newest
        for seq in range(ring.newest, max(0, ring.newest - _LOOK_BACK), -1):
            record = self._from_flash(seq)
            if record:
                if self.boot == 1:
                    self.boot = (record[7] + 1) & 0xFFFF
                if record[6]:
                    return record[6]
        return 0

    @property
    def oldest(self):
        """Number of the oldest record, 0: none."""
        return (self._ring.oldest if self._ring else 0) or self.events.oldest()

    @property
    def newest(self):
        return self.events.newest

    @property
    def waiting(self):
        """Records that are not in flash yet."""
        return self.events.newest - self.written

    def read(self, seq, now_ms):
        """Record *seq* as kept.unpack_record() gives it; None: it is not there, or torn."""
        if self._ring and seq <= self.written:
            record = self._from_flash(seq)
            if record:
                return record
        oldest = self.events.oldest()
        if oldest and oldest <= seq <= self.events.newest:
            self._pack(seq, now_ms)
            return kept.unpack_record(self._payload)
        return None

    def following(self, seq):
        """The least number not below *seq* that may be there."""
        oldest = self.events.oldest()
        if self._ring is None or oldest and seq >= oldest:
            return seq
        seq = self._ring.following(seq)
        return max(seq, oldest) if seq > self._ring.newest else seq

    def _from_flash(self, seq):
        if self._ring.read(seq, self._payload):
            return kept.unpack_record(self._payload)
        return None

    def _pack(self, seq, now_ms):
        """Record *seq* of the ring in RAM into _payload; returns its wall time, 0: not known."""
        events = self.events
        time_s = self._clock.now_s(now_ms) if self._clock else 0
        if time_s:
            ago_ms = (now_ms - events.get(seq, ev.TICKS_MS)) & MASK
            time_s = max(0, time_s - (ago_ms + 500) // 1000)
        kept.pack_record(events, seq, time_s, self.boot, self._payload)
        return time_s

    def write(self, now_ms, counters):
        """Write some waiting records, one after another, and have them counted.

        returns  False if the flash refused one
        """
        events = self.events
        ring = self._ring
        seq = max(self.written + 1, events.oldest())
        end = min(events.newest + 1, seq + (_AT_ONCE if self.waiting < _MANY else 4 * _AT_ONCE))
        while seq < end:
            time_s = self._pack(seq, now_ms)
            good = ring.append(seq, self._payload) and ring.commit()
            self.written = seq              # also one that the flash does not take
            counters.count(seq, events.get(seq, ev.EVENT), events.get(seq, ev.ITEM),
                           events.get(seq, ev.CELL), events.get(seq, ev.VALUE),
                           events.get(seq, ev.LIMIT), time_s)
            if not good:
                return False
            if ring.must_erase:
                break
            seq += 1
        return True

    def count_again(self, counters):
        """Have what was recorded after the counters were kept counted."""
        for seq in range(max(counters.seq + 1, self._ring.oldest), self._ring.newest + 1):
            record = self._from_flash(seq)
            if record:
                _, event, item, cell, value, limit, time_s = record[:7]
                counters.count(seq, event, item, cell, value, limit, time_s)
        counters.seq = max(counters.seq, self._ring.newest)
