"""Mounts the file system on the first part of the storage; the rest is for the event records.

In place of the port's own _boot.py, which gives all of it to the file system.
"""

import sys

import rp2
import vfs

LOG_BYTES = 128 * 1024

device = rp2.Flash(len=rp2.Flash().ioctl(4, 0) * 4096 - LOG_BYTES)
try:
    system = vfs.VfsLfs2(device, progsize=256)
except OSError:
    vfs.VfsLfs2.mkfs(device, progsize=256)
    system = vfs.VfsLfs2(device, progsize=256)
vfs.mount(system, "/")

# Modules come from the image alone: it is what the checksums are of (SAF-07), and no file can
# stand in for a part of it. Files are looked for at each import, too, of what is built in; that
# took a fifth of a second of a start. At the prompt: sys.path.append("").
sys.path[:] = [".frozen"]

del sys, rp2, vfs, device, system
