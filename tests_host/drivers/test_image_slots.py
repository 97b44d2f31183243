"""Which image is started: entries of the journal, trials, confirmation, the way back (SAF-06)."""

import unittest

import image_slots
from fakes import Lcg, reason
from image_slots import (
    BY_HOST,
    FELL_BACK,
    NOT_WHOLE,
    RESET,
    SELF_TEST,
    TRIAL,
    ImageSlots,
    is_entry,
    pack_entry,
)

_SECTOR = 4096


class Map:
    """Two sectors of journal, two slots of two sectors."""

    JOURNAL = 0x1000
    SLOT_A = 0x3000
    SLOT_BYTES = 2 * _SECTOR
    SLOT_B = SLOT_A + SLOT_BYTES
    SECTOR = _SECTOR
    PAGE = 256


class Flash:
    """Bits are cleared by programming, set by erasing. dead: pages that take nothing."""

    def __init__(self):
        self.data = bytearray(b"\xff" * (7 * _SECTOR))
        self.erased = []
        self.programmed = []
        self.dead = ()

    def read(self, at, buffer):
        buffer[:] = self.data[at:at + len(buffer)]

    def erase(self, at):
        self.erased.append(at)
        self.data[at:at + _SECTOR] = b"\xff" * _SECTOR

    def program(self, at, page):
        self.programmed.append(at)
        if at in self.dead:
            return
        for i in range(len(page)):
            self.data[at + i] &= page[i]


# req: SAF-06
class TestEntry(unittest.TestCase):
    def setUp(self):
        self.page = bytearray(256)
        pack_entry(self.page, TRIAL, 1, 70_000, 3)

    def test_it_is_valid_and_the_rest_of_the_page_blank(self):
        self.assertTrue(is_entry(self.page))
        self.assertEqual(bytes(self.page[:6]), b"\xfe\x5a\x01\x02\x70\x11")
        self.assertEqual(bytes(self.page[32:]), b"\xff" * 224)

    def test_no_bit_of_it_may_be_another(self):
        for i in range(256):
            self.page[i // 8] ^= 1 << i % 8
            self.assertFalse(is_entry(self.page))
            self.page[i // 8] ^= 1 << i % 8

    def test_part_of_it_is_none(self):
        for length in range(32):
            torn = bytes(self.page[:length]) + b"\xff" * (32 - length)
            self.assertFalse(is_entry(torn))
        self.assertFalse(is_entry(bytes(32)))


# req: SAF-06
class TestSlots(unittest.TestCase):
    def setUp(self):
        self.flash = Flash()

    def started(self, running, mark=0):
        return ImageSlots(self.flash, Map, running, mark)

    def mark(self):
        return 0x7121 << 16 | self.started(0).journal.number & 0xFFFF

    def updated(self):
        """B, which was tried and confirmed."""
        self.started(0).try_other()
        self.started(1).confirm()
        return self.started(1)

    def test_an_empty_journal_means_a(self):
        slots = self.started(0)
        self.assertEqual(slots.state(), (0, 0, False, 0))
        self.assertEqual((slots.other, slots.distance), (1, Map.SLOT_BYTES))
        self.assertEqual(slots.outcome(), 0)
        slots.settle()
        self.assertEqual(self.flash.programmed, [])

    def test_a_trial_and_its_confirmation(self):
        self.started(0).try_other()
        self.assertEqual(self.started(0).state(), (0, 0, True, 0))
        new = self.started(1, self.mark())
        self.assertTrue(new.on_trial)
        self.assertEqual(new.outcome(), 0)
        new.confirm()
        new = self.started(1)
        self.assertFalse(new.on_trial)
        self.assertEqual((new.state(), new.distance), ((1, 1, False, 0), 0))
        self.assertEqual(new.outcome(), 0)

    def test_a_trial_that_was_reset_is_told_once(self):
        self.started(0).try_other()
        old = self.started(0, self.mark())
        self.assertEqual(old.outcome(), RESET)
        old = self.started(0)                   # the supply failed before it was on record
        self.assertEqual(old.outcome(), NOT_WHOLE)      # or the boot stage did not start it
        old = self.started(0, self.mark())
        old.settle()
        self.assertEqual(old.state(), (0, 0, False, RESET))
        self.assertEqual(self.started(0).outcome(), 0)
        self.assertEqual(self.started(0).state(), (0, 0, False, RESET))

    def test_an_image_refuses_itself(self):
        self.started(0).try_other()
        self.started(1).refuse(SELF_TEST)
        old = self.started(0)
        self.assertEqual(old.outcome(), SELF_TEST)
        old.settle()
        self.assertEqual(self.started(0).outcome(), 0)
        self.assertEqual(self.started(0).state(), (0, 0, False, SELF_TEST))

    def test_back_to_the_image_before(self):
        self.assertIn("never confirmed", reason(ValueError, self.started(0).go_back))
        self.updated().go_back()
        old = self.started(0)
        self.assertEqual(old.state(), (0, 1, True, BY_HOST))
        self.assertTrue(old.on_trial)
        old.confirm()
        self.assertEqual(self.started(0).state(), (0, 0, False, 0))
        self.started(0).go_back()               # and forward again
        self.started(1).confirm()
        self.assertEqual(self.started(1).state(), (1, 1, False, 0))

    def test_no_way_back_to_an_image_that_was_refused(self):
        self.updated().try_other()
        self.started(0).refuse(SELF_TEST)
        new = self.started(1)
        new.settle()
        self.assertRaises(ValueError, new.go_back)
        new.try_other()                         # another one in that slot
        self.started(0).confirm()
        self.assertEqual(self.started(0).state(), (0, 0, False, 0))

    def test_a_confirmed_image_that_rots(self):
        self.updated()
        old = self.started(0)                   # what the boot stage makes of it
        self.assertEqual(old.outcome(), FELL_BACK)
        old.settle()
        old = self.started(0)
        self.assertEqual((old.state(), old.outcome()), ((0, 0, False, FELL_BACK), 0))
        self.assertRaises(ValueError, old.go_back)

    def test_an_image_on_trial_leaves_the_other_alone(self):
        self.started(0).try_other()
        new = self.started(1)
        for forbidden in (lambda: new.erase(0), lambda: new.program(0, bytes(256)),
                          new.try_other, new.go_back):
            self.assertRaises(ValueError, forbidden)
        self.assertEqual(self.flash.erased, [])

    def test_what_makes_no_sense_is_refused(self):
        slots = self.started(0)
        for wrong in (lambda: slots.erase(Map.SLOT_BYTES), lambda: slots.erase(256),
                      lambda: slots.erase(-_SECTOR), lambda: slots.program(128, bytes(256)),
                      lambda: slots.program(0, bytes(255)),
                      lambda: slots.read(0, Map.SLOT_BYTES - 1, bytearray(2)),
                      lambda: slots.refuse(SELF_TEST), lambda: slots.refuse(0)):
            self.assertRaises(ValueError, wrong)
        slots.confirm()                         # it is
        self.assertEqual(self.flash.programmed, [])

    def test_it_writes_the_other_slot(self):
        slots = self.started(0)
        slots.erase(_SECTOR)
        slots.program(_SECTOR + 256, bytes(range(256)))
        self.assertEqual(self.flash.erased, [Map.SLOT_B + _SECTOR])
        self.assertEqual(self.flash.programmed, [Map.SLOT_B + _SECTOR + 256])
        back = bytearray(256)
        slots.read(1, _SECTOR + 256, back)
        self.assertEqual(back, bytes(range(256)))

    def test_sectors_in_turn(self):
        """1000 entries, found again after each; a sector is erased only when the other is full."""
        running = 0
        for _ in range(500):
            self.started(running).try_other()
            running = 1 - running
            self.started(running).confirm()
            self.assertEqual(self.started(running).state(), (running, running, False, 0))
        self.assertEqual(self.started(running).journal.number, 1000)
        self.assertEqual(len(self.flash.erased), 62)
        self.assertEqual(set(self.flash.erased), {Map.JOURNAL, Map.JOURNAL + _SECTOR})

    def test_pages_that_take_nothing(self):
        self.flash.dead = (Map.JOURNAL, Map.JOURNAL + 512)
        self.started(0).try_other()
        self.assertTrue(self.started(1).on_trial)
        self.started(1).confirm()
        self.assertEqual(self.started(1).state(), (1, 1, False, 0))
        self.flash.dead = range(Map.JOURNAL, Map.SLOT_A)
        self.assertRaises(OSError, self.started(1).try_other)
        self.assertEqual(self.started(1).state(), (1, 1, False, 0))

    def test_whatever_the_journal_holds_something_is_started(self):
        seeded = Lcg(6)
        part = bytearray(64)
        for _ in range(200):
            at = Map.JOURNAL + seeded.below(2 * _SECTOR - 64)
            seeded.fill(part)
            self.flash.data[at:at + 64] = part
            running, confirmed, _, _ = self.started(0).state()
            self.assertTrue(running == 0 and confirmed in (0, 1))
        self.assertEqual(self.started(0).state()[2], False)

    def test_each_reason_has_its_words(self):
        numbers = []
        for name in dir(image_slots):
            value = getattr(image_slots, name)
            if name[0] != "_" and isinstance(value, int) and name not in ("GOOD", "TRIAL",
                                                                         "REFUSED"):
                numbers.append(value)
        self.assertEqual(sorted(numbers), list(range(1, len(image_slots.REASONS))))
