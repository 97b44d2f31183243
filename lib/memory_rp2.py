"""RAM pattern and program sums of the RP2040, over the whole of both memories.

RAM: 264 KiB in parts of 512 bytes. A part is copied away, marched over with 0x55555555 and
0xAAAAAAAA up and down (March C-: stuck bits, bits that follow a neighbour, wrong addresses) and
put back, with interrupts off for less than 0.1 ms and DMA held for little more; so it may hold
anything, the stack and DMA's rings too (the FIFO of a port bridges that: 8 bytes at 115200 bit/s
are 0.7 ms). The one part that cannot be tested is that of the test's own code, and only where it
was not frozen.

Program: 4 KiB sectors of flash, each with two running sums of its words modulo 2**32 (the second
sums the first up, so that the order counts). tools/pico_image.py puts the sums, a table of their
own, into the first sector of the image's slot, and those of the boot stage's sector at its end.
"""

# mypy: no-check-untyped-defs
# The instructions of the inline assembler are not Python names.

import micropython
import uctypes

import flash_map_rp2 as flash_map
import flash_rp2

_RAM = 0x20000000
_RAM_BYTES = 264 * 1024
_PART = 512
_FLASH = 0x10000000
_SECTOR_WORDS = 1024


@micropython.asm_thumb
def march(r0, r1, r2, r3):
    # r0 address, r1 behind its end, r2 address of as much spare memory; r3 bits that read as 1
    # whatever was written, 0 in earnest. Returns 0: good or not tested, 1: bad.
    cpsid(i)
    mov(r7, pc)                         # does this code lie there?
    mov(r6, 1)
    lsl(r6, r6, 9)
    add(r7, r7, r6)
    cmp(r7, r0)
    bls(APART)
    sub(r7, r7, r6)
    sub(r7, r7, r6)
    cmp(r7, r1)
    bcs(APART)
    mov(r0, 0)
    b(END)
    label(APART)
    mov(r4, 0x55)                       # r4 = 0x55555555, r5 = 0xAAAAAAAA
    lsl(r7, r4, 8)
    orr(r4, r7)
    lsl(r7, r4, 16)
    orr(r4, r7)
    mvn(r5, r4)
    mov(r6, r0)
    label(SAVE)
    ldr(r7, [r6, 0])
    str(r7, [r2, 0])
    str(r4, [r6, 0])                    # up: write A
    add(r2, r2, 4)
    add(r6, r6, 4)
    cmp(r6, r1)
    bne(SAVE)
    mov(r6, r0)
    label(UP_A)                         # up: read A, write B
    ldr(r7, [r6, 0])
    orr(r7, r3)
    cmp(r7, r4)
    bne(BAD)
    str(r5, [r6, 0])
    add(r6, r6, 4)
    cmp(r6, r1)
    bne(UP_A)
    mov(r6, r0)
    label(UP_B)                         # up: read B, write A
    ldr(r7, [r6, 0])
    orr(r7, r3)
    cmp(r7, r5)
    bne(BAD)
    str(r4, [r6, 0])
    add(r6, r6, 4)
    cmp(r6, r1)
    bne(UP_B)
    label(DOWN_A)                       # down: read A, write B
    sub(r6, r6, 4)
    ldr(r7, [r6, 0])
    orr(r7, r3)
    cmp(r7, r4)
    bne(BAD)
    str(r5, [r6, 0])
    cmp(r6, r0)
    bne(DOWN_A)
    mov(r6, r1)
    label(DOWN_B)                       # down: read B, write A
    sub(r6, r6, 4)
    ldr(r7, [r6, 0])
    orr(r7, r3)
    cmp(r7, r5)
    bne(BAD)
    str(r4, [r6, 0])
    cmp(r6, r0)
    bne(DOWN_B)
    label(LAST)                         # read A
    ldr(r7, [r6, 0])
    orr(r7, r3)
    cmp(r7, r4)
    bne(BAD)
    add(r6, r6, 4)
    cmp(r6, r1)
    bne(LAST)
    mov(r3, 0)
    b(BACK)
    label(BAD)
    mov(r3, 1)
    label(BACK)                         # from the end, where r2 stands
    sub(r2, r2, 4)
    sub(r1, r1, 4)
    ldr(r7, [r2, 0])
    str(r7, [r1, 0])
    ldr(r6, [r1, 0])
    cmp(r6, r7)
    beq(SAME)
    mov(r3, 1)
    label(SAME)
    cmp(r1, r0)
    bne(BACK)
    mov(r0, r3)
    label(END)
    cpsie(i)


@micropython.viper
def _hold_dma() -> int:
    """Have every DMA channel pause after the transfer it is at; the channels that were not idle
    or paused, a bit each, for _let_dma_go()."""
    held = 0
    for i in range(12):
        channel = ptr32(int(0x50000000) + i * 0x40)
        if channel[4] & 1:                  # AL1_CTRL: EN. Writing there triggers nothing
            channel[4] = channel[4] & ~1
            held |= 1 << i
    return held


@micropython.viper
def _let_dma_go(held: int):
    for i in range(12):
        if held >> i & 1:
            channel = ptr32(int(0x50000000) + i * 0x40)
            channel[4] = channel[4] | 1


@micropython.asm_thumb
def sums_differ(r0, r1, r2, r3):
    # r0 address, r1 words, r2 address of both sums; r3 bits that read as 1, 0 in earnest
    mov(r4, 0)
    mov(r5, 0)
    label(LOOP)
    ldr(r7, [r0, 0])
    orr(r7, r3)
    add(r4, r4, r7)
    add(r5, r5, r4)
    add(r0, r0, 4)
    sub(r1, r1, 1)
    bne(LOOP)
    mov(r0, 1)
    ldr(r7, [r2, 0])
    cmp(r7, r4)
    bne(END)
    ldr(r7, [r2, 4])
    cmp(r7, r5)
    bne(END)
    mov(r0, 0)
    label(END)


class Ram:
    """All of the RAM. parts: how many there are to be tested."""

    parts = _RAM_BYTES // _PART

    def __init__(self):
        self._first = bytearray(_PART)
        self._second = bytearray(_PART)
        self._first_at = uctypes.addressof(self._first)
        self._second_at = uctypes.addressof(self._second)

    @micropython.native
    def check(self, i, stuck):
        """True if part *i* keeps what is written. *stuck*: bits that shall seem stuck at 1."""
        at = _RAM + i * _PART
        spare = self._first_at
        if -_PART < spare - at < _PART:     # not into itself
            spare = self._second_at
        held = _hold_dma()
        bad = march(at, at + _PART, spare, stuck)
        _let_dma_go(held)
        return not bad


class Program:
    """The image in flash. parts: its sectors and that of the boot stage; 0: it carries no sums,
    or wrong ones.

    sums    address of them; image: of its first sector, boot: of the boot stage's
    """

    def __init__(self, sums, image, boot=_FLASH):
        self._sums = sums + 16
        self._image = image
        self._boot = boot
        head = uctypes.bytearray_at(sums, 8)
        count = head[4] | head[5] << 8
        if bytes(head[:4]) != b"SUMS" or not 0 < count <= 255 \
                or head[4] ^ head[6] != 0xFF or head[5] ^ head[7] != 0xFF \
                or sums_differ(sums + 16, _SECTOR_WORDS - 4, sums + 8, 0):
            count = -1
        self.parts = count + 1

    @micropython.native
    def check(self, i, stuck):
        """True if sector *i* is what was built. *stuck*: bits that shall seem to be set."""
        if i == self.parts - 1:
            boot = self._boot
            return not sums_differ(boot, _SECTOR_WORDS - 2, boot + 4 * (_SECTOR_WORDS - 2), stuck)
        return not sums_differ(self._image + (i << 12), _SECTOR_WORDS, self._sums + 8 * i, stuck)


def program():
    """Program, or None where the application is not part of the image but of the file system."""
    slot = flash_rp2.running_slot()
    if slot < 0:
        return None
    start = _FLASH + (flash_map.SLOT_B if slot else flash_map.SLOT_A)
    return Program(start, start + flash_map.IMAGE)
