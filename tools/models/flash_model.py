"""NOR flash: erased a sector at a time to ones, programmed by clearing bits, slowly.

An operation takes its time (`wait`), and can be cut within it: a torn program has written the
first bytes, a torn erase has erased the first bytes of the sector and left noise behind them for
a stretch. Both orders are what tests are hardest with, not what every chip does.
Left out: suspend, block erase, status register, disturbance of neighbours.

One source for CPython and MicroPython's unix port.
"""

PAGE = 256
SECTOR = 4096
ERASE_US = 45_000
PROGRAM_US = 400
_NOISE = 64             # bytes at a torn erase's edge


class Cut(BaseException):
    """The supply is gone; raised by an operation when nothing else was set to do it."""


class NorFlash:
    """*sectors* of 4 KiB.

    data      the contents
    ops       operations since it was made; erases: of each sector
    on_cut    called when the supply is to be cut; must not return
    wait      called with microseconds: the time that the operation takes
    bad       sectors that no longer take anything
    """

    def __init__(self, sectors, wait=None):
        self.sectors = sectors
        self.data = bytearray(b"\xff" * (sectors * SECTOR))
        self.ops = 0
        self.erases = [0] * sectors
        self.bad = set()
        self.on_cut = None
        self.wait = wait
        self.erase_us = ERASE_US
        self.program_us = PROGRAM_US
        self._cut_in = 0            # 0: no cut | operations until then
        self._torn = 0.0

    def cut(self, count, torn):
        """Cut the supply within the *count*-th operation from now, *torn* of it done; 0: never."""
        self._cut_in = count
        self._torn = torn

    def erase(self, sector):
        self._operate(self._erase, sector * SECTOR, None, self.erase_us)

    def program(self, at, data):
        """Bytes at *at*, page by page; each page is an operation."""
        for k in range(0, len(data), PAGE):
            self._operate(self._program, at + k, bytes(data[k:k + PAGE]), self.program_us)

    def read(self, at, buf):
        buf[:] = self.data[at:at + len(buf)]

    def _operate(self, do, at, data, took_us):
        self.ops += 1
        if self._cut_in:
            self._cut_in -= 1
            if not self._cut_in:
                do(at, data, self._torn)
                if self.on_cut is not None:
                    self.on_cut()
                raise Cut()
        if self.wait is not None:
            try:
                self.wait(took_us)
            except BaseException:       # the supply or a reset, somewhere within it
                do(at, data, 0.5)
                raise
        do(at, data, 1)

    def _erase(self, at, data, part):
        if at // SECTOR in self.bad:
            return
        if part >= 1:
            self.erases[at // SECTOR] += 1
        done = int(SECTOR * part)
        self.data[at:at + done] = b"\xff" * done
        for i in range(at + done, min(at + done + _NOISE, at + SECTOR)):
            if part > 0:
                self.data[i] |= (i * 37 + 11) & 0xFF

    def _program(self, at, data, part):
        if at // SECTOR in self.bad:
            return
        for i in range(int(len(data) * part)):
            self.data[at + i] &= data[i]


class Partition:
    """Some sectors of a NorFlash as one of MicroPython's extended block devices.

    Once `dead`, it does nothing any more and says so (EIO, without an exception): what an earlier
    start left open is closed by the interpreter at some later time.
    """

    def __init__(self, flash, first, sectors):
        self._flash = flash
        self._first = first
        self._sectors = sectors
        self.dead = False

    def readblocks(self, block, buf, at=0):
        if self.dead:
            return -5
        self._flash.read((self._first + block) * SECTOR + at, buf)
        return 0

    def writeblocks(self, block, buf, at=None):
        if self.dead:
            return -5
        if at is None:
            for k in range(len(buf) // SECTOR):
                self._flash.erase(self._first + block + k)
            at = 0
        self._flash.program((self._first + block) * SECTOR + at, buf)
        return 0

    def ioctl(self, what, arg):
        if what == 4:
            return self._sectors
        if what == 5:
            return SECTOR
        if what == 6:
            if self.dead:
                return -5
            self._flash.erase(self._first + arg)
        return 0


class PlainFiles:
    """Small files, one a sector, erased and written in place: harder on who keeps things in
    them than any file system is. For interpreters that have none on a block device.

    sectors   [name or None], what lies where; kept by the caller over starts
    """

    def __init__(self, partition, sectors):
        self._partition = partition
        self._names = sectors

    def read(self, name):
        if name not in self._names:
            return None
        head = bytearray(2)
        at = self._names.index(name)
        self._partition.readblocks(at, head)
        data = bytearray(min(head[0] | head[1] << 8, SECTOR - 2))
        self._partition.readblocks(at, data, 2)
        return bytes(data)

    def write(self, name, data):
        if name not in self._names:
            if None not in self._names or len(data) > SECTOR - 2:
                raise OSError(28)
            self._names[self._names.index(None)] = name
        at = self._names.index(name)
        self._partition.ioctl(6, at)
        whole = bytes((len(data) & 0xFF, len(data) >> 8)) + bytes(data)
        whole += b"\xff" * (-len(whole) % PAGE)
        self._partition.writeblocks(at, whole, 0)
