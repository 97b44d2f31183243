"""Where everything lies in the 2 MiB of flash of a Pico: the one place that says so.

tools/toolchain.py reads it too, for the linker and for the boot stage. Offsets from the start of
the flash, which is read at address XIP. docs/update.md has the picture.

A slot holds its sums in its first sector (SAF-07), then the image, linked for IMAGE bytes behind
the start of its slot. Another SLOT_BYTES takes another UF2: the boot stage knows it as well, and
the file system moves (boards/PACKCTL_PICO/modules/storage_move.py).
"""

XIP = 0x10000000
SECTOR = 4096
PAGE = 256
FLASH_BYTES = 2 * 1024 * 1024

BOOT = 0                            # boot2 of the SDK and the boot stage, with sums of their own
STORAGE = 0x1000                    # where rp2.Flash() begins (mpconfigboard.h)
JOURNAL = 0x1000                    # two sectors in turn: which slot is started
SLOT_A = 0x3000
SLOT_BYTES = 880 * 1024
SLOT_B = SLOT_A + SLOT_BYTES
IMAGE = SECTOR
FILES = SLOT_B + SLOT_BYTES         # littlefs
RECORDS = 0x1E0000                  # event records

INFO = 0xF00                        # in the sector of sums: board and version
