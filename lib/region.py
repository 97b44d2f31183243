"""A stretch of NOR flash: sectors that are erased whole to 0xFF, bytes that are programmed once.

    sector_bytes, sectors
    read(at, buf)          fill *buf* from byte *at* of the region
    program(at, data)      write *data*; at and length are multiples of 256 within one sector
    erase(sector)
"""

_PAGE = 256
_SECTOR = 4096


class BlockRegion:
    """On a block device of MicroPython's extended kind, as rp2.Flash or esp32.Partition are."""

    sector_bytes = _SECTOR

    def __init__(self, device):
        self._device = device
        self.sectors = device.ioctl(4, 0)

    def read(self, at, buf):
        self._device.readblocks(at // _SECTOR, buf, at % _SECTOR)

    def program(self, at, data):
        self._device.writeblocks(at // _SECTOR, data, at % _SECTOR)

    def erase(self, sector):
        self._device.ioctl(6, sector)


class FileRegion:
    """In files, one a sector, where no flash beside the file system is to be had.

    The file system copies the sector's block at each write, so it is slower by an erase and
    some pages, and it finds its own wear levelling.
    """

    sector_bytes = 1024

    def __init__(self, folder, sectors):
        self._folder = folder
        self.sectors = sectors

    def _name(self, sector):
        return "%slog.%02d" % (self._folder, sector)

    def read(self, at, buf):
        sector, at = divmod(at, self.sector_bytes)
        count = 0
        try:
            with open(self._name(sector), "rb") as file:
                file.seek(at)
                count = file.readinto(buf) or 0
        except OSError:
            pass
        for i in range(count, len(buf)):
            buf[i] = 0xFF

    def program(self, at, data):
        sector, at = divmod(at, self.sector_bytes)
        old = bytearray(len(data))
        self.read(sector * self.sector_bytes + at, old)
        for i in range(len(data)):
            old[i] &= data[i]
        try:
            file = open(self._name(sector), "r+b")
        except OSError:
            file = open(self._name(sector), "wb")
        try:
            file.seek(0, 2)
            end = file.tell()
            if end < at:
                file.write(b"\xff" * (at - end))
            file.seek(at)
            file.write(old)
        finally:
            file.close()

    def erase(self, sector):
        with open(self._name(sector), "wb"):
            pass
