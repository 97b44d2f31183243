"""Numbered records of 32 bytes in a ring of flash sectors: the oldest sector goes when a new one
is needed. Power may fail at any instant.

A sector begins with a head: the number of its first record and how often it was erased. Record n
then has its place in it, so finding one needs no search and opening reads one head a sector and
the pages of the newest. Each record has its number and a CRC, and is read back after it was
written: what is torn is known to be, keeps its number, and is the one that was being written.

A sector is erased ahead of time, at a moment that suits the caller. After a start an erased
sector is not trusted (its erase may have been cut short) and erased again.
"""

import struct
from array import array

from crc16 import crc16

RECORD = 32
PAYLOAD = RECORD - 6        # between the number and the CRC
_PAGE = 256
_MAGIC = 0x31474F4C
_NONE = -1
_AT_ONCE = 7                # numbers in one program; an eighth would not fit behind a head
_EMPTY = b"\xff" * _PAGE
_WHOLE = "%ds" % _PAGE
_FORMAT = "<I%ds" % PAYLOAD
_TRIES = 3                  # sectors that are tried for what is staged


def _records_of(page):
    """Views of the records in *page*."""
    view = memoryview(page)
    return tuple(view[at:at + RECORD] for at in range(0, _PAGE, RECORD))


class FlashRing:
    """The ring in *region* (region.py).

    newest, oldest   numbers of the records; 0: none. Some between may be missing
    passes           through the whole ring: what each sector was erased, but for starts
    damaged          sectors left early because what was written did not read back, since start
    """

    def __init__(self, region):
        self._region = region
        self._count = region.sectors
        self._slots = region.sector_bytes // RECORD     # with the head
        self._first = array("i", (_NONE for _ in range(self._count)))
        self._page = bytearray(_PAGE)
        self._check = bytearray(_PAGE)
        self._staged_views = _records_of(self._page)
        self._check_views = _records_of(self._check)
        self._record = bytearray(RECORD)
        self._near = 0              # the sector that was read from last
        self._staged = _NONE        # byte address of the page that is being filled
        self._staged_number = 0     # the first record in it, 0: none
        self._at = _NONE            # sector that is written; _NONE: there is none
        self._slot = 0              # newest place in it that was used
        self._ready = False         # the sector after it is erased
        self.newest = 0
        self.passes = 0
        self.damaged = 0

    def open(self):
        """Find what is there."""
        head = bytearray(RECORD)
        best = 0
        for sector in range(self._count):
            first = self._head_of(sector, head)
            self._first[sector] = first
            if first > best:
                best = first
                self._at = sector
        if self._at != _NONE:
            self._slot = self._last_used(self._at)
            self.newest = best + self._slot - 1
        self._blank()

    def _head_of(self, sector, head):
        """Number of the first record of *sector*, or _NONE if it has no good head."""
        self._region.read(sector * self._region.sector_bytes, head)
        if not self._is_whole(head):
            return _NONE
        first, magic, passes = struct.unpack_from("<III", head)
        if magic != _MAGIC or not 0 < first < 1 << 30:
            return _NONE
        self.passes = max(self.passes, passes)
        return first

    def _is_whole(self, record):
        return crc16(record, 0, RECORD - 2, 0xFFFF) == (
            record[RECORD - 2] | record[RECORD - 1] << 8)

    def _last_used(self, sector):
        """The last place of *sector* with a byte that is not erased."""
        start = sector * self._region.sector_bytes
        page = self._page
        for at in range(self._region.sector_bytes - _PAGE, -1, -_PAGE):
            self._region.read(start + at, page)
            if page == _EMPTY:
                continue
            for i in range(_PAGE - 1, -1, -1):
                if page[i] != 0xFF:
                    return (at + i) // RECORD
        return 0

    @property
    def oldest(self):
        """Number of the oldest record."""
        first = [number for number in self._first if number != _NONE]
        return min(first) if first and self.newest else 0

    # -- reading ----------------------------------------------------------------------------

    def read(self, number, out):
        """Put the payload of record *number* into *out* (PAYLOAD bytes); False if it is not
        there, or not whole."""
        if self._read_at(self._near, number, out):
            return True
        for sector in range(self._count):
            if self._read_at(sector, number, out):
                self._near = sector
                return True
        return False

    def _read_at(self, sector, number, out):
        slot = number - self._first[sector] + 1
        if self._first[sector] == _NONE or not 1 <= slot < self._slots:
            return False
        record = self._record
        self._region.read(sector * self._region.sector_bytes + slot * RECORD, record)
        if not self._is_whole(record) or struct.unpack_from("<I", record)[0] != number:
            return False
        out[:] = record[4:4 + PAYLOAD]
        return True

    def following(self, number):
        """The least number not below *number* that may be there."""
        nearest = _NONE
        for first in self._first:
            if first == _NONE:
                continue
            if first <= number < first + self._slots - 1:
                return number
            if first > number and (nearest == _NONE or first < nearest):
                nearest = first
        return nearest if nearest != _NONE else number

    # -- writing ----------------------------------------------------------------------------

    @property
    def wants_erase(self):
        """True: call erase_ahead() at the next good moment."""
        return not self._ready and (self._at == _NONE or self._slot >= self._slots // 2)

    @property
    def must_erase(self):
        """True: the next record cannot be written before a sector is erased."""
        return not self._ready and (self._at == _NONE or self._slot >= self._slots - 1)

    def erase_ahead(self):
        """Erase the sector that is written next. Takes as long as the flash takes."""
        sector = self._following()
        self._first[sector] = _NONE
        self._region.erase(sector)
        self._ready = True

    def _following(self):
        return (self._at + 1) % self._count     # _NONE + 1 is the first

    def append(self, number, payload):
        """Stage record *number*, which is greater than all before; commit() writes it.

        returns  False if the flash does not take it
        """
        if self._staged != _NONE and (number - self._staged_number >= _AT_ONCE
                                      or self._page_of(number) != self._staged):
            if not self.commit():
                return False
        if self._page_of(number) == _NONE:
            self._begin(number)
        elif self._staged == _NONE:
            self._staged = self._page_of(number)
        if self._staged_number == 0:
            self._staged_number = number
        self._slot = number - self._first[self._at] + 1
        self._put(self._slot * RECORD % _PAGE, number, payload)
        self.newest = number
        return True

    def _page_of(self, number):
        """Address of the page for *number* in the present sector; _NONE: not in this sector."""
        if self._at == _NONE:
            return _NONE
        slot = number - self._first[self._at] + 1
        if slot >= self._slots:
            return _NONE
        return self._at * self._region.sector_bytes + slot * RECORD // _PAGE * _PAGE

    def _begin(self, number):
        """Go on in the next sector, with *number* as its first record."""
        if not self._ready:
            self.erase_ahead()
        self._at = self._following()
        self._ready = False
        self._first[self._at] = number
        self._slot = 0
        self.passes += self._at == 0
        self._staged = self._at * self._region.sector_bytes
        head = bytearray(PAYLOAD)
        struct.pack_into("<II", head, 0, _MAGIC, self.passes)
        self._put(0, number, head)

    def _put(self, at, number, payload):
        page = self._page
        struct.pack_into(_FORMAT, page, at, number, payload)
        crc = crc16(page, at, at + RECORD - 2, 0xFFFF)
        page[at + RECORD - 2] = crc & 0xFF
        page[at + RECORD - 1] = crc >> 8

    def _blank(self):
        struct.pack_into(_WHOLE, self._page, 0, _EMPTY)     # a slice would allocate
        self._staged = _NONE
        self._staged_number = 0

    def commit(self):
        """Write what was staged; False if the flash did not take it in several sectors."""
        if self._staged == _NONE:
            return True
        for _ in range(_TRIES):
            self._region.program(self._staged, self._page)
            if self._reads_back():
                self._blank()
                return True
            self.damaged += 1
            self._move()
        self._blank()
        return False

    def _reads_back(self):
        self._region.read(self._staged, self._check)
        staged, written = self._staged_views, self._check_views
        for i in range(len(staged)):
            if self._is_staged(i * RECORD) and staged[i] != written[i]:
                return False
        return True

    def _is_staged(self, at):
        page = self._page
        return page[at] & page[at + 1] & page[at + 2] & page[at + 3] != 0xFF

    def _move(self):
        """Stage the same records for the next sector: this one does not hold them."""
        records = []
        for at in range(0, _PAGE, RECORD):
            is_head = (self._staged + at) % self._region.sector_bytes == 0
            if self._is_staged(at) and not is_head:
                records.append((struct.unpack_from("<I", self._page, at)[0],
                                bytes(self._page[at + 4:at + 4 + PAYLOAD])))
        if self._first[self._at] == records[0][0]:
            self._first[self._at] = _NONE
        self._ready = False
        self._blank()
        self._begin(records[0][0])
        for number, payload in records:
            self._slot = number - records[0][0] + 1
            self._put(self._slot * RECORD, number, payload)
        self._staged_number = records[0][0]
