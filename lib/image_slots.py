"""Two slots for the whole image, and the journal that says which of them is started (SAF-06).

Pure logic over a flash: read(at, buffer), erase(at) of a sector, program(at, page), *at* counted
from the flash's start. The boot stage (boards/PACKCTL_PICO/boot_stage/) reads the same journal and
never writes; tools/proof/update_cuts.py gives both every state that a power cut leaves.

An entry is a page of 256 bytes. It says everything, so that the newest valid one is all that
counts:

    0   5AFE
    2   flags: 1 the confirmed slot is B, 2 the other slot's image was confirmed once, 4 it was
        refused, 8 what became of it is on record
    3   state: GOOD, TRIAL (the other slot is started next), REFUSED (it was started in vain)
    4   number, one more than that of the entry before
    8   reason of a refusal
    10  0
    12  sum of the six half words, sum of those running sums
    16  the complement of all of this

A page that is torn fits neither its sums nor its complement and is passed over. Entries fill one
sector, then the other, which is erased only then: the newest entry is never in it.
"""

from micropython import const

GOOD, TRIAL, REFUSED = 1, 2, 3

# Why an image was refused, or why the pack went back to the one before.
RESET = 1           # it was reset before it was confirmed: it hung, or was told to restart
NOT_WHOLE = 2       # its sums are wrong
TASK = 3            # a task was late, or raised
SELF_TEST = 4
PARAMETERS = 5      # they were lost, or could not be taken over
AFE = 6             # not configured
TIME = 7            # not proven in time
RAISED = 8          # its main loop ended
BY_HOST = 9
FELL_BACK = 10      # the confirmed image is no longer whole
REASONS = ("none", "it was reset before it was confirmed", "its sums are wrong",
           "a task was late or failed", "a self-test failed", "parameters were lost",
           "the cell monitor was not configured", "it was not proven in time",
           "its main loop ended", "the host wanted the other one",
           "the confirmed image is damaged")

_ENTRY = const(32)
_ENTRIES = const(16)        # a sector
_TRIES = const(4)           # pages that are tried for one entry
_SLOT_B = const(1)
_PROVEN = const(2)
_FAILED = const(4)
_TOLD = const(8)
_MARK = const(0x7121)       # upper half of the mark of a trial


def _half(data, at):
    return data[at] | data[at + 1] << 8


def _put(data, at, value):
    data[at] = value & 0xFF
    data[at + 1] = value >> 8 & 0xFF


def pack_entry(page, state, flags, number, reason):
    """Fill *page*, 256 bytes, with an entry."""
    for i in range(_ENTRY, len(page)):
        page[i] = 0xFF
    _put(page, 0, 0x5AFE)
    page[2] = flags
    page[3] = state
    _put(page, 4, number)
    _put(page, 6, number >> 16)
    _put(page, 8, reason)
    _put(page, 10, 0)
    one = two = 0
    for i in range(0, 12, 2):
        one += _half(page, i)
        two += one
    _put(page, 12, one)
    _put(page, 14, two)
    for i in range(16):
        page[16 + i] = page[i] ^ 0xFF


def is_entry(data):
    """Whether the first 32 bytes of *data* are a valid entry."""
    if _half(data, 0) != 0x5AFE or not GOOD <= data[3] <= REFUSED:
        return False
    one = two = 0
    for i in range(0, 12, 2):
        one += _half(data, i)
        two += one
    if _half(data, 12) != one & 0xFFFF or _half(data, 14) != two & 0xFFFF:
        return False
    for i in range(16):
        if data[i] ^ data[16 + i] != 0xFF:
            return False
    return True


class Journal:
    """The entries. *at*: offset of the first of its two sectors.

    state, flags, number, reason   of the newest entry; GOOD, 0, 0, 0 where there is none
    """

    def __init__(self, flash, at, sector_bytes):
        self._flash = flash
        self._at = at
        self._sector_bytes = sector_bytes
        self._page = bytearray(256)
        self.state = GOOD
        self.flags = self.number = self.reason = 0
        self._newest = -1           # its place, -1: none
        self.look()

    def _place(self, i):
        return self._at + i // _ENTRIES * self._sector_bytes + i % _ENTRIES * 256

    def look(self):
        """Find the newest entry."""
        page = self._page
        for i in range(2 * _ENTRIES):
            self._flash.read(self._place(i), page)
            if not is_entry(page):
                continue
            number = _half(page, 4) | _half(page, 6) << 16
            if self._newest < 0 or number > self.number:
                self._newest = i
                self.number = number
                self.flags = page[2]
                self.state = page[3]
                self.reason = _half(page, 8)

    def _is_blank(self, i):
        self._flash.read(self._place(i), self._page)
        for byte in self._page:
            if byte != 0xFF:
                return False
        return True

    def _next(self, i):
        """Place of the next entry after *i*, erased."""
        last = i // _ENTRIES * _ENTRIES + _ENTRIES - 1 if i >= 0 else _ENTRIES - 1
        while i < last:
            i += 1
            if self._is_blank(i):
                return i
        i = (last + 1) % (2 * _ENTRIES)
        self._flash.erase(self._place(i))
        return i

    def add(self, state, flags, reason=0):
        """Write an entry; OSError if the flash does not take it."""
        number = self.number + 1
        i = self._newest
        for _ in range(_TRIES):
            i = self._next(i)
            pack_entry(self._page, state, flags, number, reason)
            self._flash.program(self._place(i), self._page)
            self._flash.read(self._place(i), self._page)
            if is_entry(self._page) and self._page[3] == state and self._page[2] == flags:
                self._newest, self.number = i, number
                self.state, self.flags, self.reason = state, flags, reason
                return
        raise OSError(5)


class ImageSlots:
    """What an update writes, tries, confirms and takes back.

    flash    see above; layout: flash_map_rp2, or a map like it
    running  slot of the image that runs this: 0 A, 1 B
    mark     what the boot stage left of a trial in a register that outlives a reset

    distance  what is added to a word of the relocation list for `other`: the list belongs to the
              image for slot A
    """

    def __init__(self, flash, layout, running, mark=0):
        self._flash = flash
        self._bases = (layout.SLOT_A, layout.SLOT_B)
        self.slot_bytes = layout.SLOT_BYTES
        self.sector_bytes = layout.SECTOR
        self.page_bytes = layout.PAGE
        self.running = running
        self.other = 1 - running
        self.distance = self._bases[self.other] - layout.SLOT_A
        self._mark = mark
        self.journal = Journal(flash, layout.JOURNAL, layout.SECTOR)

    # -- the slots -------------------------------------------------------------------------

    def _offset(self, offset, step):
        if not 0 <= offset < self.slot_bytes or offset % step:
            raise ValueError("a slot has no piece of %d bytes at %d" % (step, offset))
        return offset

    def read(self, slot, offset, buffer):
        """Fill *buffer* from *offset* of *slot*."""
        if not 0 <= offset <= self.slot_bytes - len(buffer):
            raise ValueError("a slot has no %d bytes at %d" % (len(buffer), offset))
        self._flash.read(self._bases[slot] + offset, buffer)

    def erase(self, offset):
        """Erase the sector at *offset* of the other slot."""
        self._may_write()
        self._flash.erase(self._bases[self.other] + self._offset(offset, self.sector_bytes))

    def program(self, offset, page):
        """Write *page* at *offset* of the other slot, which is erased there."""
        self._may_write()
        if len(page) != self.page_bytes:
            raise ValueError("a page has %d bytes, not %d" % (self.page_bytes, len(page)))
        self._flash.program(self._bases[self.other] + self._offset(offset, self.page_bytes), page)

    def _may_write(self):
        if self.on_trial:
            raise ValueError("this image is on trial: the other slot is what it goes back to")

    # -- the journal -----------------------------------------------------------------------

    @property
    def confirmed(self):
        """The slot that is started where nothing is tried."""
        return self.journal.flags & _SLOT_B

    @property
    def on_trial(self):
        """Whether the image that runs this has yet to prove itself."""
        return self.running != self.confirmed and self.journal.state == TRIAL

    def state(self):
        """(running, confirmed, whether a trial is under way or the next start, reason of the
        last refusal or 0)"""
        journal = self.journal
        return self.running, self.confirmed, journal.state == TRIAL, journal.reason

    def _own(self):
        """Raise unless the image that runs this is the confirmed one."""
        if self.running != self.confirmed:
            raise ValueError("this image is not confirmed")

    def try_other(self):
        """The next start runs the other slot, on trial."""
        self._own()
        self.journal.add(TRIAL, self.confirmed)

    def go_back(self):
        """The next start runs the image before this one. It has to prove itself as well."""
        self._own()
        flags = self.journal.flags
        if not flags & _PROVEN or flags & _FAILED:
            raise ValueError("there is no image before this one: the other slot's was never "
                             "confirmed")
        self.journal.add(TRIAL, self.confirmed | _PROVEN, BY_HOST)

    def confirm(self):
        """This image has proven itself: it is what is started from now on."""
        if self.on_trial:
            self.journal.add(GOOD, self.running | _PROVEN)
        elif self.running != self.confirmed:
            raise ValueError("this image is not on trial")

    def refuse(self, reason):
        """The image that is tried, this one or the other, is not started again."""
        if not 0 < reason < len(REASONS):
            raise ValueError("no such reason: %s" % reason)
        if self.journal.state != TRIAL:
            raise ValueError("no image is tried")
        self.journal.add(REFUSED, self.journal.flags & (_SLOT_B | _PROVEN) | _FAILED, reason)

    # -- at a start ------------------------------------------------------------------------

    def outcome(self):
        """Reason to be put on record at this start, 0: none. settle() follows once it is."""
        journal = self.journal
        if self.running != self.confirmed:
            return 0 if journal.state == TRIAL else FELL_BACK
        if journal.state == TRIAL:      # and yet it is the confirmed image that runs
            tried = self._mark == _MARK << 16 | journal.number & 0xFFFF
            return RESET if tried else NOT_WHOLE
        if journal.state == REFUSED and not journal.flags & _TOLD:
            return journal.reason
        return 0

    def settle(self):
        """What outcome() told is on record: so does the journal."""
        reason = self.outcome()
        journal = self.journal
        if reason == FELL_BACK:
            journal.add(GOOD, self.running | _FAILED | _TOLD, reason)
        elif reason:
            journal.add(REFUSED, journal.flags & (_SLOT_B | _PROVEN) | _FAILED | _TOLD, reason)
