"""An update whose supply fails: the boot stage's C starts the old image or the new (SAF-06)."""

import pytest

import image_slots
import pico_image
import update_cuts

pytestmark = pytest.mark.req("SAF-06")
SMALL = pico_image.flash_map(SLOT_BYTES=3 * 4096, FLASH_BYTES=9 * 4096)
SECTORS = 2


@pytest.mark.parametrize("entries", [0, 11, 13, 15, 28, 31])
def test_every_operation_of_small_images_is_cut(entries):
    """The journal as full as can be: its sectors change at each of the steps."""
    counts = update_cuts.Play(SMALL, SECTORS, entries, again=5).run()
    assert counts["an update is written"][3] == counts["an update is written"][2] > 400
    assert counts["it is to be tried"][4] > 0 < counts["it is to be tried"][3]
    assert sum(row[2] for row in counts.values()) >= 480


def test_the_page_tells_of_the_map_that_there_is():
    layout = pico_image.flash_map()
    sectors = pico_image.room(layout) // layout.SECTOR
    written = 4 * update_cuts.operations(layout, sectors)
    assert f"| an update is written | {written} | " in update_cuts.told()


class Started:
    """A small board with image 1 in slot A and image 2 in slot B."""

    def __init__(self):
        self.board = update_cuts.Board(SMALL)
        for slot in (0, 1):
            self.board.put(slot, update_cuts.image(SMALL, slot, 1 + slot, SECTORS))

    def journal(self, state, flags):
        self.board.slots(0).journal.add(state, flags)

    def damage(self, slot, at=4096, bits=1):
        self.board.nor.data[(SMALL.SLOT_A, SMALL.SLOT_B)[slot] + at] ^= bits


def test_an_empty_journal_starts_a_and_b_only_where_a_is_damaged():
    started = Started()
    assert started.board.start(True) == (0, False)
    started.damage(0)
    assert started.board.start(True) == (1, False)
    started.damage(1)
    assert started.board.start(True) == (update_cuts.NONE, False)


@pytest.mark.parametrize("at", [0, 4, 5, 6, 7, 8, 15, 16, 40, 0xF00, 4095, 4096, 3 * 4096 - 1])
def test_any_damage_of_an_image_is_seen(at):
    for bit in range(8):
        started = Started()
        started.damage(0, at, 1 << bit)
        assert started.board.start(True) == (1, False)


def test_an_image_for_the_other_slot_is_not_started():
    """It would run into the slot that it is linked for, which may hold anything."""
    started = Started()
    started.board.put(0, update_cuts.image(SMALL, 1, 5, SECTORS))
    assert started.board.start(True) == (1, False)


def test_a_trial_is_begun_once_a_power_on():
    started = Started()
    started.journal(image_slots.TRIAL, 0)
    board = started.board
    assert board.start(True) == (1, True)
    assert board.mark == 0x7121_0001
    assert board.start(False) == (0, False)
    assert board.start(False) == (0, False)
    assert board.start(True) == (1, True)
    started.journal(image_slots.TRIAL, 0)           # another update
    assert board.start(False) == (1, True)


def test_a_trial_of_a_damaged_image_is_none():
    started = Started()
    started.journal(image_slots.TRIAL, 0)
    started.damage(1)
    assert started.board.start(True) == (0, False)
    assert started.board.slots(0).outcome() == image_slots.NOT_WHOLE


def test_where_the_confirmed_one_is_damaged_the_trial_goes_on():
    started = Started()
    started.journal(image_slots.TRIAL, 0)
    started.damage(0)
    assert started.board.start(True) == (1, True)
    assert started.board.start(False) == (1, True)


def test_an_image_that_was_refused_is_not_started_even_then():
    started = Started()
    started.journal(image_slots.TRIAL, 0)
    started.board.slots(1).refuse(image_slots.SELF_TEST)
    assert started.board.start(True) == (0, False)
    started.damage(0)
    assert started.board.start(True) == (update_cuts.NONE, False)


def test_random_bits_in_the_journal_never_stop_it():
    import random
    seeded = random.Random(6)
    started = Started()
    for _ in range(2000):
        at = SMALL.JOURNAL + seeded.randrange(2 * 4096 - 32)
        started.board.nor.data[at:at + 32] = seeded.randbytes(32)
        assert started.board.start(True) == (0, False)
