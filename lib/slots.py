"""A small record kept in two copies: a torn write leaves the older one (PAR-02).

Each copy is a file: sequence number (4), length (2), data, CRC-16 of all before (2), all
little-endian. Writing goes to the older copy; reading takes the newest that is whole.
"""

import struct

from crc16 import crc16

_HEAD = 6


class Slots:
    """One record under *name*.

    files   read(name) -> bytes or None; write(name, data)

    present  copies that were there at load(), whole or not
    number   of the copy that was loaded or saved last, 0: none
    """

    def __init__(self, files, name):
        self._files = files
        self._names = (name + ".a", name + ".b")
        self._seq = 0
        self.present = 0
        self._next = -1         # -1: not looked yet | which copy is written next

    @property
    def number(self):
        return self._seq

    def load(self):
        """The newest whole copy, or None."""
        best = None
        self._next = self.present = 0
        for i in range(2):
            raw = self._files.read(self._names[i])
            if raw is None:
                continue
            self.present += 1
            if len(raw) < _HEAD + 2:
                continue
            seq, length = struct.unpack("<IH", raw[:_HEAD])
            end = _HEAD + length
            if len(raw) != end + 2 or crc16(raw, 0, end, 0xFFFF) != raw[end] | raw[end + 1] << 8:
                continue
            if best is None or seq > self._seq:
                best = raw[_HEAD:end]
                self._seq = seq
                self._next = 1 - i
        return best

    def save(self, data):
        """Write *data* over the older copy."""
        if self._next < 0:
            self.load()
        self._seq += 1
        raw = struct.pack("<IH", self._seq, len(data)) + data
        crc = crc16(raw, 0, len(raw), 0xFFFF)
        self._files.write(self._names[self._next], raw + bytes((crc & 0xFF, crc >> 8)))
        self._next = 1 - self._next


class FlashFiles:
    """Small files in *folder* (with its last slash) of the board's own file system."""

    def __init__(self, folder=""):
        self._folder = folder

    def read(self, name):
        """Contents of *name*, or None if there is no such file."""
        try:
            with open(self._folder + name, "rb") as file:
                return file.read()
        except OSError:
            return None

    def write(self, name, data):
        """Replace the contents of *name*."""
        with open(self._folder + name, "wb") as file:
            file.write(data)
