"""Runs on a Pico with a plain MicroPython, sent by flash.py: replaces the image it runs on.

begin(n), put(0..n-1, base64), checksum(), then copy_down(offsets). The blocks are kept at the
upper end of the flash, in the area of the file system, whose files are lost with begin().
"""

import os
from array import array
from binascii import a2b_base64, crc32

import micropython
import rp2
from machine import mem16
from uctypes import addressof, bytearray_at

SECTOR = 4096
XIP = 0x10000000
flash = rp2.Flash()
count = first = at = 0


def begin(sectors):
    """Take room for *sectors* blocks; returns the bytes of flash below it."""
    global count, first, at
    try:
        os.umount("/")
    except OSError:
        pass                    # no file system
    count = sectors
    first = flash.ioctl(4, 0) - sectors
    if first < 0 or flash.ioctl(5, 0) != SECTOR:
        return 0
    at = stage()
    return at - XIP


def stage():
    """Address of the first block: the file system ends where the flash does."""
    mark = os.urandom(SECTOR)
    flash.writeblocks(first, mark)
    for megabytes in (1, 2, 4, 8, 16):
        place = XIP + (megabytes << 20) - count * SECTOR
        if bytearray_at(place, SECTOR) == mark:
            return place
    return XIP


def put(number, text):
    flash.writeblocks(first + number, a2b_base64(text))


def checksum():
    return crc32(bytearray_at(at, count * SECTOR))


def rom(code):
    """Address of a function of the boot ROM (RP2040 data sheet, 2.8.3)."""
    entry = mem16[0x14]
    while mem16[entry]:
        if mem16[entry] == ord(code[0]) | ord(code[1]) << 8:
            return mem16[entry + 2]
        entry += 4
    raise ValueError("the ROM has no " + code)


@micropython.asm_thumb
def run(r0):
    """Copy the blocks, then reset. r0: the table of copy_down; nothing in flash may be used."""
    cpsid(i)
    mov(r7, r0)
    ldr(r6, [r7, 24])       # where each block goes
    ldr(r5, [r7, 28])       # source
    label(NEXT)
    mov(r0, r5)
    ldr(r1, [r7, 36])       # buffer
    mov(r2, 4)
    lsl(r2, r2, 8)
    label(COPY)
    ldr(r3, [r0, 0])
    str(r3, [r1, 0])
    add(r0, r0, 4)
    add(r1, r1, 4)
    sub(r2, r2, 1)
    bne(COPY)
    ldr(r4, [r7, 0])        # connect_internal_flash
    data(2, 0x47A0)         # blx r4
    ldr(r4, [r7, 4])        # flash_exit_xip
    data(2, 0x47A0)
    ldr(r0, [r6, 0])        # flash_range_erase(offset, 4096, 65536, 0xD8)
    mov(r1, 1)
    mov(r2, r1)
    lsl(r1, r1, 12)
    lsl(r2, r2, 16)
    mov(r3, 0xD8)
    ldr(r4, [r7, 8])
    data(2, 0x47A0)
    ldr(r0, [r6, 0])        # flash_range_program(offset, buffer, 4096)
    ldr(r1, [r7, 36])
    mov(r2, 1)
    lsl(r2, r2, 12)
    ldr(r4, [r7, 12])
    data(2, 0x47A0)
    ldr(r4, [r7, 16])       # flash_flush_cache
    data(2, 0x47A0)
    ldr(r4, [r7, 20])       # flash_enter_cmd_xip: the next block can be read
    data(2, 0x47A0)
    add(r6, r6, 4)
    mov(r0, 1)
    lsl(r0, r0, 12)
    add(r5, r5, r0)
    ldr(r0, [r7, 32])
    sub(r0, r0, 1)
    str(r0, [r7, 32])
    cmp(r0, 0)
    bne(NEXT)
    ldr(r0, [r7, 40])       # the watchdog resets all but the oscillators
    ldr(r1, [r7, 44])
    str(r1, [r0, 0])
    ldr(r0, [r7, 48])
    ldr(r1, [r7, 52])
    str(r1, [r0, 0])
    ldr(r0, [r7, 56])
    ldr(r1, [r7, 60])
    str(r1, [r0, 0])
    label(WAIT)
    b(WAIT)


def copy_down(offsets):
    to = array("I", offsets)
    buffer = bytearray(SECTOR)
    run(array("I", (
        rom("IF"), rom("EX"), rom("RE"), rom("RP"), rom("FC"), rom("CX"),
        addressof(to), at, count, addressof(buffer),
        0x40010008, 0x0001FFFC,         # PSM WDSEL
        0x4005801C, 0,                  # WATCHDOG SCRATCH4: no address to start at
        0x40058000, 0x80000000,         # WATCHDOG CTRL: trigger
    )))
