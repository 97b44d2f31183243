#!/usr/bin/env python3
"""Cut the supply within every flash operation of updates: which image starts then? (SAF-06)

    make update-cuts        every operation, slots that are full: docs/update.md, some minutes

The journal is written by the firmware's own lib/image_slots.py, on the model of a flash chip; what
starts is decided by the boot stage's own C, compiled for this computer. What is played: an update
A to B, tried and confirmed; the way back to A, confirmed; an update that is refused; one that is
never confirmed; the journal's sectors taking turns. After each cut:

    the image that starts is one of the two, complete to the last byte
    while the other slot is written it is the one that ran
    firmware and boot stage agree on what is confirmed and what is tried
    what the firmware then writes into the journal changes nothing of that
    (a sample) a whole new update comes through
"""

import argparse
import ctypes
import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms                                                    # noqa: E402

rooms.use(rooms.MODELS, rooms.MOCKS, rooms.ROOT / "lib")

import image_slots                                              # noqa: E402
import pico_image                                               # noqa: E402
from flash_model import NorFlash                           # noqa: E402
from toolchain import cache_dir                                 # noqa: E402

PAGE = rooms.ROOT / "docs" / "update.md"
FRACTIONS = (0.1, 0.5, 0.9)     # of an operation that is done when the supply fails
_MARKS = "<!-- cuts -->", "<!-- end of cuts -->"
_AGAIN = 61                     # after each so-many-th cut a whole update is played
NONE = 2


class _Choice(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_uint32), ("trial", ctypes.c_uint32), ("mark", ctypes.c_uint32)]


class Board:
    """A flash, and the boot stage that looks at it."""

    def __init__(self, layout):
        library = pico_image.host_library(layout, cache_dir())
        if library is None:
            raise RuntimeError("no C compiler (cc) to build the boot stage with")
        self._choose = ctypes.CDLL(str(library)).choose
        self.layout = layout
        self.nor = NorFlash(layout.FLASH_BYTES // layout.SECTOR)
        self._first = (ctypes.c_char * 1).from_buffer(self.nor.data)
        self.mark = 0               # the register that outlives a reset

    # what image_slots wants of a flash
    def read(self, at, buffer):
        self.nor.read(at, buffer)

    def erase(self, at):
        self.nor.erase(at // self.layout.SECTOR)

    def program(self, at, page):
        self.nor.program(at, page)

    def start(self, power_on):
        """(slot, whether it is on trial) that the boot stage starts."""
        choice = _Choice()
        if power_on:
            self.mark = 0
        self._choose(ctypes.byref(self._first), ctypes.c_uint32(self.mark), ctypes.byref(choice))
        if choice.slot != NONE:
            self.mark = choice.mark
        return choice.slot, bool(choice.trial)

    def slots(self, running):
        """The firmware's view, of the image in slot *running*."""
        return image_slots.ImageSlots(self, self.layout, running, self.mark)

    def content(self, slot, length):
        at = (self.layout.SLOT_A, self.layout.SLOT_B)[slot]
        return bytes(self.nor.data[at:at + length])

    def put(self, slot, data):
        at = (self.layout.SLOT_A, self.layout.SLOT_B)[slot]
        self.nor.data[at:at + self.layout.SLOT_BYTES] = data.ljust(self.layout.SLOT_BYTES, b"\xff")


def image(layout, slot, seed, sectors):
    """A slot's contents: random words with vectors that point into it."""
    data = bytearray(random.Random(seed).randbytes(sectors * layout.SECTOR))
    start = layout.XIP + (layout.SLOT_A, layout.SLOT_B)[slot] + layout.IMAGE
    data[0x100:0x108] = (0x20042000).to_bytes(4, "little") + (start + 0x205).to_bytes(4, "little")
    return pico_image.slot(bytes(data), layout, "TEST", str(seed))


def write(slots, data):
    """An update as the firmware does it: the sector of sums is erased first and written last."""
    sector = slots.sector_bytes
    slots.erase(0)
    for at in (*range(sector, len(data), sector), 0):
        if at:
            slots.erase(at)
        for k in range(at, at + sector, slots.page_bytes):
            page = data[k:k + slots.page_bytes]
            if page != b"\xff" * slots.page_bytes:
                slots.program(k, page)


class Wrong(Exception):
    """An update that was cut led to what must not be."""


class Play:
    """The updates, one after another; every operation of them is cut at each of FRACTIONS.

    layout   map; sectors: of each image; entries: pages of the journal that are used already
    again    0, or after each so-many-th cut a whole new update is played
    """

    def __init__(self, layout, sectors, entries=0, again=0):
        self.layout = layout
        self.board = Board(layout)
        self.sectors = sectors
        self.counts = {}            # {what: [operations, erases, cuts, started old, started new]}
        self._again = again
        self._cuts = 0
        self._images = {}
        old = self._image(0, 1)
        self.board.put(0, old)
        journal = self.board.slots(0).journal
        for _ in range(entries):
            journal.add(image_slots.GOOD, 0)

    def _image(self, slot, seed):
        if (slot, seed) not in self._images:
            self._images[slot, seed] = image(self.layout, slot, seed, self.sectors)
        return self._images[slot, seed]

    def run(self):
        layout, board = self.layout, self.board
        a, b = self._image(0, 1), self._image(1, 2)
        self._step("an update is written", 0, a, b, lambda slots: write(slots, b))
        self._step("it is to be tried", 0, a, b, lambda slots: slots.try_other())
        self._started(1, True, True)
        self._step("it is confirmed", 1, a, b, lambda slots: slots.confirm())
        self._started(1, False, True)
        self._step("back to the image before", 1, b, a, lambda slots: slots.go_back())
        self._started(0, True, True)
        self._step("it is confirmed", 0, b, a, lambda slots: slots.confirm())
        self._started(0, False, True)
        c = self._image(1, 3)
        self._step("an update is written", 0, a, c, lambda slots: write(slots, c))
        self._step("it is to be tried", 0, a, c, lambda slots: slots.try_other())
        self._started(1, True, True)
        self._step("it is refused by itself", 1, a, c,
                   lambda slots: slots.refuse(image_slots.SELF_TEST))
        self._started(0, False, False)
        self._step("that is put on record", 0, a, c, lambda slots: slots.settle())
        d = self._image(1, 4)
        self._step("an update is written", 0, a, d, lambda slots: write(slots, d))
        self._step("it is to be tried", 0, a, d, lambda slots: slots.try_other())
        self._started(1, True, True)
        self._started(0, False, False)      # reset by the watchdog
        self._step("it hung, and that is put on record", 0, a, d, lambda slots: slots.settle())
        self._started(0, False, True)
        self._step("an update is written", 0, a, b, lambda slots: write(slots, b))
        self._step("it is to be tried", 0, a, b, lambda slots: slots.try_other())
        self._started(1, True, True)
        self._step("it is confirmed", 1, a, b, lambda slots: slots.confirm())
        at = layout.SLOT_B + layout.IMAGE + 77
        board.nor.data[at] ^= 4             # it rots
        self._started(0, False, True)
        self._step("the confirmed image rots, and that is put on record", 0, a, a,
                   lambda slots: slots.settle())
        self._started(0, False, True)
        return self.counts

    def _started(self, slot, trial, power_on):
        found = self.board.start(power_on)
        if found != (slot, trial):
            raise Wrong(f"starts {found}, not {(slot, trial)}")

    def _step(self, what, running, old, new, do):
        """Play *do* of the image in slot *running* with every cut, then to its end.

        old, new   contents of the slot that ran before, and of the one that is to run
        """
        board, nor = self.board, self.board.nor
        count = self.counts.setdefault(what, [0, 0, 0, 0, 0])
        before = bytes(nor.data)
        operations = []

        def record(at, data, erases):
            operations.append((at, data))
            count[0] += 1
            count[1] += erases

        real_erase, real_program = nor._erase, nor._program
        nor._erase = lambda at, data, part: (record(at, None, 1), real_erase(at, data, part))
        nor._program = lambda at, data, part: (record(at, data, 0), real_program(at, data, part))
        slots = board.slots(running)
        # the register as it is while this image runs
        mark = board.mark
        do(slots)
        nor._erase, nor._program = real_erase, real_program
        after = bytes(nor.data)
        nor.data[:] = before
        for at, data in operations:
            sector = at // self.layout.SECTOR * self.layout.SECTOR
            kept = bytes(nor.data[sector:sector + self.layout.SECTOR])
            for part in FRACTIONS:
                (real_erase if data is None else real_program)(at, data, part)
                count[2] += 1
                self._cuts += 1
                count[3 + self._look(what, old, new, mark)] += 1
                nor.data[sector:sector + self.layout.SECTOR] = kept
            (real_erase if data is None else real_program)(at, data, 1)
        if bytes(nor.data) != after:
            raise Wrong(f"{what}: played again it is another")
        board.mark = mark

    def _look(self, what, old, new, mark):
        """What starts now? 0: the old image, 1: the new one."""
        board = self.board
        slot, trial = board.start(True)
        if slot == NONE:
            raise Wrong(f"{what}: nothing starts")
        found = board.content(slot, len(old))
        if found not in (old, new):
            raise Wrong(f"{what}: slot {slot} starts and is neither the old image nor the new one")
        if what == "an update is written" and found != old:
            raise Wrong(f"{what}: it starts before it is complete")
        slots = board.slots(slot)
        if slots.on_trial != trial:
            raise Wrong(f"{what}: on trial: {trial}, the firmware says {slots.on_trial}")
        board.mark = mark                   # a reset in the place of a power cut
        again, _ = board.start(False)
        if board.content(again, len(old)) not in (old, new):
            raise Wrong(f"{what}: after a reset slot {again} starts")
        if self._again and self._cuts % self._again == 0 or not what.startswith("an update"):
            self._go_on(what, old, new, slot, trial)
        return int(found == new != old)

    def _go_on(self, what, old, new, slot, trial):
        """The firmware settles what it finds; then a whole update comes through."""
        board, nor = self.board, self.board.nor
        kept = bytes(nor.data)
        board.start(True)
        slots = board.slots(slot)
        if trial:
            slots.confirm()
        else:
            slots.settle()
        if board.start(True) != (slot, False):
            raise Wrong(f"{what}: what it started was to stay")
        if board.slots(slot).outcome():
            raise Wrong(f"{what}: what became of it is told again")
        data = self._image(1 - slot, 9)
        slots = board.slots(slot)
        write(slots, data)
        slots.try_other()
        if board.start(True) != (1 - slot, True):
            raise Wrong(f"{what}: the next update does not start")
        board.slots(1 - slot).confirm()
        if board.start(True) != (1 - slot, False) or board.content(1 - slot, len(data)) != data:
            raise Wrong(f"{what}: the next update does not stay")
        nor.data[:] = kept


def table(counts, layout, sectors):
    """The part of docs/update.md."""
    out = [f"Slots of {layout.SLOT_BYTES // 1024} KiB, full: an image of {sectors} sectors. Each "
           f"operation is cut with {', '.join(f'{100 * part:.0f} %' for part in FRACTIONS)} of "
           "it done.", "",
           "| what is done | flash operations | of these erases | cuts | the old image starts | "
           "the new one | neither, or incomplete | nothing |",
           "| --- | --: | --: | --: | --: | --: | --: | --: |"]
    total = [0] * 5
    for what, row in counts.items():
        out.append(f"| {what} | {' | '.join(map(str, row))} | 0 | 0 |")
        total = [one + two for one, two in zip(total, row)]
    out.append("| **all** | " + " | ".join(f"**{one}**" for one in total) + " | **0** | **0** |")
    return "\n".join(out) + "\n"


def operations(layout, sectors):
    """Flash operations of writing an image: an erase a sector, each page that is not blank."""
    head = image(layout, 1, 2, sectors)[:layout.SECTOR]
    pages = sum(head[k:k + layout.PAGE] != b"\xff" * layout.PAGE
                for k in range(0, layout.SECTOR, layout.PAGE))
    return (sectors + 1) + sectors * layout.SECTOR // layout.PAGE + pages


def told():
    """What docs/update.md has between its marks."""
    text = PAGE.read_text("utf-8")
    return text.partition(_MARKS[0] + "\n")[2].partition(_MARKS[1])[0]


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    layout = pico_image.flash_map()
    sectors = pico_image.room(layout) // layout.SECTOR
    counts = Play(layout, sectors, again=_AGAIN * 40).run()
    text = PAGE.read_text("utf-8")
    part = re.escape(_MARKS[0]) + "\n.*?" + re.escape(_MARKS[1])
    PAGE.write_text(re.sub(part, lambda _: _MARKS[0] + "\n" + table(counts, layout, sectors)
                           + _MARKS[1], text, flags=re.S), "utf-8")
    print(table(counts, layout, sectors), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
