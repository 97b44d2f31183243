"""The two slots of an update on an ESP32: MicroPython's own OTA partitions (SAF-06).

What image_slots.ImageSlots is on the RP2040, with the same calls. The ESP-IDF's boot loader starts
the partition that set_boot() names, and goes back by itself to the one before if the new one was
reset before mark_app_valid_cancel_rollback(). It does not tell what it did, so a small record says
what was tried:

    0  state: GOOD, TRIAL, REFUSED          1  slot that is confirmed
    2  1: the other slot's image was confirmed once      3  reason      4  1: it is on record

One image serves both partitions: the chip maps the one that runs to the same addresses.
"""

from micropython import const

from image_slots import BY_HOST, FELL_BACK, GOOD, REFUSED, RESET, TRIAL, REASONS

_OTA_0 = const(0x10)        # subtype of the first OTA partition
_ERASE = const(6)           # of Partition.ioctl()


class PartitionSlots:
    """partition   esp32.Partition, the class
    memory      Slots (slots.py) for the record

    running, other, distance, slot_bytes, sector_bytes, page_bytes   as of ImageSlots
    apart       what the header of an update file has to say: 0
    """

    sector_bytes = 4096
    page_bytes = 256
    distance = apart = 0

    def __init__(self, partition, memory):
        self._partition = partition
        own = partition(partition.RUNNING)
        self._parts = [own, own.get_next_update()]
        self.running = own.info()[1] - _OTA_0
        self.other = 1 - self.running
        if self.running:
            self._parts.reverse()
        self.slot_bytes = self._parts[self.other].info()[3]
        self._memory = memory
        kept = memory.load()
        if kept is None or len(kept) != 5:
            kept = bytes((GOOD, self.running, 0, 0, 1))
        self._record = bytearray(kept)

    def _keep(self, state, confirmed, proven, reason=0, told=0):
        self._record[:] = bytes((state, confirmed, proven, reason, told))
        self._memory.save(bytes(self._record))

    # -- the slots -------------------------------------------------------------------------

    def _may_write(self, offset, step):
        if self.on_trial:
            raise ValueError("this image is on trial: the other slot is what it goes back to")
        if not 0 <= offset < self.slot_bytes or offset % step:
            raise ValueError("a slot has no piece of %d bytes at %d" % (step, offset))

    def read(self, slot, offset, buffer):
        """Fill *buffer* from *offset* of *slot*."""
        self._parts[slot].readblocks(offset // self.sector_bytes, buffer,
                                     offset % self.sector_bytes)

    def erase(self, offset):
        """Erase the sector at *offset* of the other slot."""
        self._may_write(offset, self.sector_bytes)
        self._parts[self.other].ioctl(_ERASE, offset // self.sector_bytes)

    def program(self, offset, page):
        """Write *page* at *offset* of the other slot, which is erased there."""
        self._may_write(offset, self.page_bytes)
        self._parts[self.other].writeblocks(offset // self.sector_bytes, page,
                                            offset % self.sector_bytes)

    # -- what is started -------------------------------------------------------------------

    @property
    def confirmed(self):
        """The slot that is started where nothing is tried."""
        return self._record[1]

    @property
    def on_trial(self):
        """Whether the image that runs this has yet to prove itself."""
        return self.running != self.confirmed and self._record[0] == TRIAL

    def state(self):
        """As ImageSlots.state()."""
        return self.running, self.confirmed, self._record[0] == TRIAL, self._record[3]

    def _try(self, proven, reason):
        if self.running != self.confirmed:
            raise ValueError("this image is not confirmed")
        before = bytes(self._record)
        self._keep(TRIAL, self.confirmed, proven, reason)
        try:
            self._parts[self.other].set_boot()      # looks at the image: OSError if it is none
        except OSError:
            self._keep(*before)
            raise

    def try_other(self):
        """The next start runs the other slot, on trial."""
        self._try(0, 0)

    def go_back(self):
        """The next start runs the image before this one; it has to prove itself as well."""
        if not self._record[2]:
            raise ValueError("there is no image before this one: the other slot's was never "
                             "confirmed")
        self._try(1, BY_HOST)

    def confirm(self):
        """This image has proven itself."""
        if self.on_trial:
            self._partition.mark_app_valid_cancel_rollback()
            self._keep(GOOD, self.running, 1, 0, 1)
        elif self.running != self.confirmed:
            raise ValueError("this image is not on trial")

    def refuse(self, reason):
        """The image that is tried is not started again."""
        if not 0 < reason < len(REASONS):
            raise ValueError("no such reason: %s" % reason)
        if self._record[0] != TRIAL:
            raise ValueError("no image is tried")
        self._keep(REFUSED, self.confirmed, 0, reason)
        self._parts[self.confirmed].set_boot()

    # -- at a start ------------------------------------------------------------------------

    def outcome(self):
        """Reason to be put on record at this start, 0: none."""
        state, confirmed, _, reason, told = self._record
        if self.running != confirmed:
            return 0 if state == TRIAL else FELL_BACK
        if state == TRIAL:              # and yet the confirmed image runs
            return RESET
        return reason if state == REFUSED and not told else 0

    def settle(self):
        """What outcome() told is on record."""
        reason = self.outcome()
        if reason == FELL_BACK:
            self._keep(GOOD, self.running, 0, reason, 1)
        elif reason:
            self._keep(REFUSED, self.confirmed, 0, reason, 1)
