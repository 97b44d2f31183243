"""Mounts the file system, which has its own part of the flash (lib/flash_map_rp2.py).

In place of the port's own _boot.py, which gives all of the storage to it.
"""

import sys

import flash_map_rp2 as flash_map
import rp2
import storage_move
import vfs

system = storage_move.mounted(
    lambda at, size: rp2.Flash(start=at - flash_map.STORAGE, len=size),
    (flash_map.FILES, flash_map.RECORDS - flash_map.FILES), flash_map.SLOT_B)
vfs.mount(system, "/")

# Modules come from the image alone: it is what the checksums are of (SAF-07), and no file can
# stand in for a part of it. Files are looked for at each import, too, of what is built in; that
# took a fifth of a second of a start. At the prompt: sys.path.append("").
sys.path[:] = [".frozen"]
del sys.modules["storage_move"]

del sys, rp2, vfs, flash_map, storage_move, system
