"""The whole flash of an RP2040 as image_slots.py wants it, and the slot of the running image."""

import sys

import rp2
import uctypes

import flash_map_rp2 as flash_map


def is_ours():
    """Whether the image was built with flash_map_rp2.py, and not an official one."""
    blocks = rp2.Flash().ioctl(4, 0) or 0
    return blocks * flash_map.SECTOR == flash_map.FLASH_BYTES - flash_map.STORAGE


def running_slot():
    """The slot of the image that runs: 0 A, 1 B; -1: it is in none.

    It is told by the address of a text of the interpreter, which lies before the frozen modules.
    """
    if not is_ours():
        return -1
    at = uctypes.addressof(sys.version) - flash_map.XIP
    if flash_map.SLOT_A <= at < flash_map.SLOT_B:
        return 0
    return 1 if flash_map.SLOT_B <= at < flash_map.FILES else -1


class WholeFlash:
    """read, erase and program from the first sector on that rp2.Flash() reaches."""

    def __init__(self):
        self._device = rp2.Flash()

    def read(self, at, buffer):
        at -= flash_map.STORAGE
        self._device.readblocks(at // flash_map.SECTOR, buffer, at % flash_map.SECTOR)

    def erase(self, at):
        self._device.ioctl(6, (at - flash_map.STORAGE) // flash_map.SECTOR)

    def program(self, at, page):
        at -= flash_map.STORAGE
        self._device.writeblocks(at // flash_map.SECTOR, page, at % flash_map.SECTOR)
