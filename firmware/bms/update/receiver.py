"""Takes an update into the slot that does not run, and looks at what it has become there (SAF-06).

    IDLE -> VERIFYING   the header fits; its signature is looked at, a piece a step
         -> RECEIVING   pages come in order; those that do not are asked for again by the answer
         -> CHECKING    all are in flash: they are read back and hashed
         -> READY       the slot holds what the header says; the host may order the start
         -> FAILED      given up, with the reason; nothing of what runs was touched

Nothing is erased before RECEIVING. Pages wait in 4 KiB of RAM, taken when an update begins and
given back when it ends.
"""

import hashlib
import struct

import micropython
from bms.update import header as hd
from bms.update.header import PAGE, Header, UpdateRefused
from ed25519 import verifying
from micropython import const
from ticks import MASK

IDLE, VERIFYING, RECEIVING, CHECKING, READY, FAILED = range(6)
WORDS = ("no update is under way", "the signature is checked", "pages are received",
         "the image is checked", "the image is ready to be started", "the update failed")

_PAGES = const(16)          # that wait; a sector has as many
_AHEAD = const(64)          # pages erased ahead: an inverter leaves three windows a second
_AT_ONCE = const(8)         # pages programmed a step: 3 ms, 24 at worst
_HASHED = const(48)         # pages hashed a step
_SLICES = const(6)          # of the signature a step
_PATIENCE = const(10)       # steps that an erase waits for a quiet window
_MINE_MS = const(15_000)    # so long after its last word an update belongs to its port
_LONGEST_MS = const(600_000)    # without a page: it is given up
_SIGNATURE = const(64)
# state, reason, slot that is written; pages: taken, to be sent at most, in flash, in all; slot
# that is confirmed, whether one is on trial, reason of the last one that was sent back
_ANSWER = "<BBBHHHHBBB"
ANSWER_SIZE = struct.calcsize(_ANSWER)


class Receiver:
    """One update at a time.

    slots            ImageSlots; None: this board has none
    board, version, schema   of the firmware that runs
    key              UpdateKey

    state    of the above; reason: of header's, 0: none; text: the same for a person
    header   of the update under way or the last one, None: there was none
    done     pages of `header.pages` in flash, or read back again while CHECKING
    """

    def __init__(self, slots, board, version, schema, key):
        self._slots = slots
        self._about = (board, version, schema)
        self._key = key
        self.state = IDLE
        self.reason = 0
        self.text = ""
        self.header = None
        self.done = 0
        self._received = 0
        self._erased = 0            # pages
        self._waits = 0             # steps that an erase has waited
        self._pages: list = []
        self._owner = None
        self._last_ms = 0
        self._verifying = None
        self._hash = None
        self._distance = b""
        self._signed_for = b""      # key that the header's signature was found to belong to

    @property
    def active(self):
        """Somebody is updating; nothing else may."""
        return IDLE < self.state < FAILED

    def begin(self, data, older, owner, now_ms):
        """Begin, or go on with, what header *data* and the signature behind it tell.

        owner    the port that asks
        raises   UpdateRefused; what is under way then goes on
        """
        slots = self._slots
        if slots is None:
            raise UpdateRefused(hd.NOT_NOW, "this board has no second place for an image")
        header = Header(data)
        self.need_owner(owner, now_ms)
        if self.active:
            if header.digest == self.header.digest:
                self._owner = owner             # the cable was out: it goes on where it was
                self._last_ms = now_ms
                return
        board, version, schema = self._about
        header.check(board, version, schema, slots, older)
        running, confirmed, trial, _ = slots.state()
        if running != confirmed or trial:
            raise UpdateRefused(hd.ON_TRIAL, "the firmware that runs is still on trial; what it "
                                             "could go back to stays")
        if self._key.lost:
            raise UpdateRefused(hd.KEY_LOST, "the owner's key was lost: it has to be set anew")
        public = self._key.public
        signature = bytes(data[hd.SIZE:])
        if public and len(signature) != _SIGNATURE:
            raise UpdateRefused(hd.UNSIGNED, "the file has no signature, and the owner of this "
                                             "pack wants one")
        self.release()
        try:
            self._pages = [bytearray(PAGE) for _ in range(_PAGES)]
        except MemoryError:
            raise UpdateRefused(hd.NO_MEMORY, "there is not enough memory just now")
        self.header = header
        self._owner = owner
        self._last_ms = now_ms
        self._distance = struct.pack("<I", slots.distance) if slots.distance else b""
        self.done = self._received = self._erased = self._waits = 0
        self.reason = 0
        self.text = ""
        self._signed_for = b""
        self.state = RECEIVING
        if public:
            self._verifying = verifying(public, header.digest, signature)
            self.state = VERIFYING

    def need_owner(self, owner, now_ms):
        """UpdateRefused while another port than *owner* is updating."""
        if (self.active and owner is not self._owner
                and (now_ms - self._last_ms) & MASK < _MINE_MS):
            raise UpdateRefused(hd.BUSY, "another port is updating this pack")

    def need_ready(self):
        """UpdateRefused unless the image may be started; a key may have been set meanwhile."""
        if self.state != READY:
            raise UpdateRefused(hd.NOT_NOW, self.text if self.state == FAILED
                                else WORDS[self.state])
        if self._key.lost or self._key.public != self._signed_for:
            raise UpdateRefused(hd.UNSIGNED, "the owner's key was changed meanwhile: begin anew")

    def release(self):
        """Give the memory back: it is over, or nobody wants it any more."""
        self._pages = []
        self._verifying = self._hash = self._owner = None
        self.state = IDLE

    def fail(self, reason, text):
        """Give up."""
        self.release()
        self.state = FAILED
        self.reason = reason
        self.text = text

    def answer_into(self, out, at):
        """Put how it stands into *out* at *at*; returns ANSWER_SIZE."""
        slots, header = self._slots, self.header
        running, confirmed, trial, refused = slots.state() if slots else (0, 0, False, 0)
        struct.pack_into(
            _ANSWER, out, at, self.state, self.reason, 1 - running,
            self._received, self.done + _PAGES if self.state == RECEIVING else self._received,
            self.done, header.pages if header else 0, confirmed, trial, refused)
        return ANSWER_SIZE

    # -- pages -----------------------------------------------------------------------------

    @micropython.native
    def take(self, buf, at, length, owner, now_ms):
        """A page in *buf* from *at* on: its number, 2 bytes; how many places, 1 byte; the places,
        1 byte each; 256 bytes. Any other page than the next one is passed over.

        A place is where in the page a word begins to which the slots' distance is added.
        """
        if self.state != RECEIVING or owner is not self._owner:
            return
        self._last_ms = now_ms
        number = buf[at] | buf[at + 1] << 8
        places = buf[at + 2]
        if (number != self._received or length != 3 + places + PAGE
                or number >= self.done + _PAGES or number >= self.header.pages):
            return
        page = self._pages[number % _PAGES]
        start = at + 3 + places
        page[:] = memoryview(buf)[start:start + PAGE]
        distance = self._distance
        if distance:
            for i in range(at + 3, start):
                place = buf[i]
                if place > PAGE - 4:
                    return
                carry = 0
                for k in range(4):
                    carry += page[place + k] + distance[k]
                    page[place + k] = carry & 0xFF
                    carry >>= 8
        self._received = number + 1

    # -- flash -----------------------------------------------------------------------------

    def step(self, now_ms, quiet):
        """Each step of the storage, while active; True if a sector was erased.

        quiet   an erase disturbs nobody now
        """
        state = self.state
        erased = False
        try:
            if state == RECEIVING:
                erased = self._write(quiet)
            elif state == CHECKING:
                self._check(now_ms)
        except OSError:
            self.fail(hd.FLASH, "the flash does not take it")
        if state == VERIFYING:
            self._verify(now_ms)
        elif (self.state in (RECEIVING, READY)
              and (now_ms - self._last_ms) & MASK >= _LONGEST_MS):
            self.fail(hd.SILENT, "nothing more came for 10 minutes")
        return erased

    def _verify(self, now_ms):
        for _ in range(_SLICES):
            fits = next(self._verifying)        # type: ignore[arg-type]  # it runs
            if fits is not None:
                self._verifying = None
                if fits:
                    self.state = RECEIVING
                    self._signed_for = self._key.public
                    self._last_ms = now_ms
                else:
                    self.fail(hd.BAD_SIGNATURE, "the signature is not that of the owner's key")
                return

    def _write(self, quiet):
        """Program what waits; erase a sector, four ahead of what has come: then True."""
        slots, total = self._slots, self.header.pages
        for _ in range(_AT_ONCE):
            done = self.done
            if done >= min(self._received, self._erased):
                break
            slots.program(done * PAGE, self._pages[done % _PAGES])
            self.done = done + 1
        if self.done == total:
            self._hash = hashlib.sha256()
            self.done = 0
            self.state = CHECKING
        elif self._erased < min(total, self._received + _AHEAD):
            self._waits += 1
            if quiet or self._waits > _PATIENCE:
                self._waits = 0
                slots.erase(self._erased * PAGE)
                self._erased += slots.sector_bytes // PAGE
                return True
        return False

    def _check(self, now_ms):
        """Hash what can be read."""
        slots, header = self._slots, self.header
        page = self._pages[0]
        for _ in range(min(_HASHED, header.pages - self.done)):
            slots.read(slots.other, self.done * PAGE, page)
            self._hash.update(page)
            self.done += 1
        if self.done == header.pages:
            if self._hash.digest() == header.digests[slots.other]:
                self._hash = None
                self._pages = []
                self._last_ms = now_ms
                self.state = READY
            else:
                self.fail(hd.BAD_CONTENT, "what is in flash now is not what the file's header "
                                          "says")
