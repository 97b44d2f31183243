"""Two slots for an image, kept in memory: what the simulated board has of ImageSlots.

Only what is written takes memory. Operations take the time of NOR flash.
"""

SECTOR = 4096
PAGE = 256
ERASE_US = 45_000
PROGRAM_US = 400


class SimSlots:
    """slot_bytes: of a slot; wait: called with microseconds; distance of the slots: slot_bytes.

    running      0 A, 1 B: what boot() chose
    full         the flash takes nothing
    """

    sector_bytes = SECTOR
    page_bytes = PAGE

    def __init__(self, slot_bytes, wait=None):
        self.slot_bytes = slot_bytes
        self._wait = wait
        self._slots = ({}, {})
        self.running = self.confirmed = 0
        self.trial = False
        self.proven = False         # the other slot's image was confirmed once
        self.reason = self._untold = 0
        self.full = False
        self.erases = 0

    @property
    def other(self):
        return 1 - self.running

    @property
    def distance(self):
        return self.slot_bytes if self.other else 0

    def _take_time(self, us):
        if self._wait is not None:
            self._wait(us)
        if self.full:
            raise OSError(5)

    def erase(self, offset):
        if offset % SECTOR or not 0 <= offset < self.slot_bytes:
            raise ValueError("no sector at %d" % offset)
        self._take_time(ERASE_US)
        self.erases += 1
        self._slots[self.other][offset // SECTOR] = bytearray(b"\xff" * SECTOR)

    def program(self, offset, page):
        if offset % PAGE or len(page) != PAGE:
            raise ValueError("no page at %d" % offset)
        self._take_time(PROGRAM_US)
        sector = self._slots[self.other].get(offset // SECTOR)
        at = offset % SECTOR
        for i in range(PAGE):
            if sector is not None:
                sector[at + i] &= page[i]

    def read(self, slot, offset, buffer):
        sector = self._slots[slot].get(offset // SECTOR)
        at = offset % SECTOR
        for i in range(len(buffer)):
            buffer[i] = 0 if sector is None else sector[at + i]

    def bytes_of(self, slot, count):
        """The first *count* bytes of *slot*."""
        out = bytearray(count)
        page = bytearray(PAGE)
        for at in range(0, count, PAGE):
            self.read(slot, at, page)
            out[at:at + PAGE] = page[:count - at]
        return bytes(out)

    def try_other(self):
        self.trial = True

    @property
    def on_trial(self):
        return self.trial and self.running != self.confirmed

    def confirm(self):
        self.confirmed = self.running
        self.trial = False
        self.proven = True

    def refuse(self, reason):
        self.trial = self.proven = False
        self.reason = self._untold = reason

    def outcome(self):
        return self._untold if self.running == self.confirmed else 0

    def settle(self):
        self._untold = 0

    def go_back(self):
        if not self.proven:
            raise ValueError("the other place holds no image that was confirmed")
        self.trial = True

    def state(self):
        return self.running, self.confirmed, self.trial, self.reason

    def boot(self):
        """The board starts: a trial runs once, the confirmed image otherwise."""
        if self.trial and self.running == self.confirmed:
            self.running = 1 - self.confirmed
        else:
            self.running = self.confirmed
            self.trial = False
