"""Brings over what an earlier image kept in a file system elsewhere in the flash (docs/update.md).

The new file system lies within the old one, so the files are copied to the start of slot B first,
which is empty then, and only from there into the new file system. The head of that copy is written
last and erased last: cut at any moment, the move begins again where nothing is lost.
"""

import vfs
from binascii import crc32

SECTOR = 4096
OLD = ((0x100000, 0xE0000),)        # (offset in the flash, bytes), newest first
_HEAD = 16                          # "MOVE", bytes that follow, their CRC-32, 0
_FOLDER = 0x4000


class Copy:
    """The copy at *at* in the flash; device(at, bytes) gives a block device."""

    def __init__(self, device, at, size):
        self._blocks = device(at, size)
        self._size = size

    def _read(self, at, length):
        data = bytearray(length)
        self._blocks.readblocks(at // SECTOR, data, at % SECTOR)
        return data

    def length(self):
        """Bytes of a complete copy, 0: there is none."""
        head = self._read(0, _HEAD)
        if head[:4] != b"MOVE":
            return 0
        length = int.from_bytes(head[4:8], "little")
        if length > self._size - SECTOR:
            return 0
        crc = 0
        for at in range(0, length, SECTOR):
            crc = crc32(self._read(SECTOR + at, min(SECTOR, length - at)), crc)
        return length if crc == int.from_bytes(head[8:12], "little") else 0

    def make(self, system):
        """Copy all files of *system*, which is not mounted."""
        self.drop()
        buffer = bytearray(SECTOR)
        used = length = crc = 0
        for entry in system.ilistdir(""):
            name = entry[0].encode()
            if entry[1] == _FOLDER:
                continue
            try:
                with system.open(entry[0], "rb") as file:
                    data = file.read()
            except OSError:             # one that is damaged costs no other
                continue
            data = bytes((len(name), len(data) & 0xFF, len(data) >> 8)) + name + data
            if len(data) > 0xFFFF or length + len(data) > self._size - 2 * SECTOR:
                continue
            at = 0
            while at < len(data):
                part = data[at:at + SECTOR - used]
                buffer[used:used + len(part)] = part
                used += len(part)
                at += len(part)
                if used == SECTOR:
                    self._put(length // SECTOR, buffer)
                    used = 0
                length += len(part)
            crc = crc32(data, crc)
        if used:
            self._put(length // SECTOR, buffer)
        head = b"MOVE" + length.to_bytes(4, "little") + crc.to_bytes(4, "little") + bytes(4)
        self._blocks.writeblocks(0, head + b"\xff" * (256 - _HEAD), 0)

    def _put(self, sector, data):
        self._blocks.writeblocks(1 + sector, data)

    def drop(self):
        self._blocks.ioctl(6, 0)

    def into(self, system):
        """Write the files into *system*."""
        at, end = SECTOR, SECTOR + self.length()
        while at < end:
            count, low, high = self._read(at, 3)
            name = self._read(at + 3, count).decode()
            size = low | high << 8
            with system.open(name, "wb") as file:
                file.write(self._read(at + 3 + count, size))
            at += 3 + count + size


def mounted(device, files, copy_at):
    """The file system at *files* (offset, bytes), made if there is none: with the files of an
    earlier image, if there are any.

    device(at, bytes)   block device of a part of the flash
    copy_at             offset of flash that is free for the copy, up to the oldest place
    """
    blocks = device(*files)
    copy = Copy(device, copy_at, min(at for at, _ in OLD) - copy_at)
    if not copy.length():
        try:
            return vfs.VfsLfs2(blocks, progsize=256)
        except OSError:
            pass
        for at, size in OLD:
            try:
                copy.make(vfs.VfsLfs2(device(at, size), progsize=256))
                break
            except OSError:             # none there
                pass
    vfs.VfsLfs2.mkfs(blocks, progsize=256)
    system = vfs.VfsLfs2(blocks, progsize=256)
    if copy.length():
        copy.into(system)
        for at, _ in OLD:               # what is there now is old, and must not come back
            if at < files[0]:
                gone = device(at, 2 * SECTOR)
                gone.ioctl(6, 0)
                gone.ioctl(6, 1)
        copy.drop()
    return system
