"""Mounts the file system on the first part of the storage; the rest is for the event records.

In place of the port's own _boot.py, which gives all of it to the file system.
"""

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

del rp2, vfs, device, system
