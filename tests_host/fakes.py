"""What the module tests share: seeded numbers, register images, a chip on SPI, ports, twins.

Runs on CPython, on MicroPython's unix port and on the RP2040; imports no mock and no model.
"""

import sys

ON_MICROPYTHON = sys.implementation.name == "micropython"
EXPECTED_KIND = "viper" if ON_MICROPYTHON else "python"
NO_READING = -0x20000000
WRAP = 1 << 30
LATE = WRAP - 1500          # ticks shortly before they wrap


def twins(name):
    """Modules <name>_py and, where the interpreter has viper, <name>_viper."""
    found = [__import__(name + "_py", None, None, ["*"])]
    if ON_MICROPYTHON:
        found.append(__import__(name + "_viper", None, None, ["*"]))
    return found


def reason(exception, function, *args):
    """The text of the *exception* that function(*args) must raise."""
    try:
        function(*args)
    except exception as error:
        return str(error)
    raise AssertionError("nothing was raised")


class Lcg:
    """Seeded numbers, the same on every interpreter."""

    def __init__(self, seed):
        self._x = seed

    def below(self, n):
        """0..n-1, n at most 2**15."""
        self._x = (self._x * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._x >> 12) % n

    def between(self, low, high):
        """low..high; the span may be up to 2**30."""
        wide = self.below(1 << 15) << 15 | self.below(1 << 15)
        return low + wide % (high - low + 1)

    def pick(self, choices):
        return choices[self.below(len(choices))]

    def fill(self, buf):
        for i in range(len(buf)):
            buf[i] = self.below(256)


def crc8(first, second):
    """CRC-8 of two bytes, polynomial 0x07, bit by bit."""
    crc = 0
    for byte in (first, second):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def put16(regs, reg, value):
    """A little-endian 16-bit value at *reg*."""
    regs[reg] = value & 0xFF
    regs[reg + 1] = value >> 8 & 0xFF


def scan_regs(cell_mv=3300, current_ma=0, temp_dc=250, stack_mv=None, pack_mv=None):
    """Registers of a healthy scan: 16 equal cells, everything at rest."""
    regs = bytearray(128)
    for cell in range(16):
        put16(regs, 0x14 + 2 * cell, cell_mv)
    stack_mv = 16 * cell_mv if stack_mv is None else stack_mv
    put16(regs, 0x34, stack_mv // 10)
    put16(regs, 0x36, (stack_mv if pack_mv is None else pack_mv) // 10)
    put16(regs, 0x3A, current_ma // 10)
    for reg in (0x68, 0x70, 0x72, 0x74, 0x78, 0x7A):
        put16(regs, reg, temp_dc + 2731)
    put16(regs, 0x6E, 2981)         # ambient thermistor at 25.0 degC
    regs[0x12] = 0x00
    regs[0x13] = 0x02               # unsealed
    return regs


def set_cells(regs, *cells_mv):
    """The first cells, and the stack to match all of them."""
    for cell in range(len(cells_mv)):
        put16(regs, 0x14 + 2 * cell, cells_mv[cell])
    total = 0
    for cell in range(16):
        total += regs[0x14 + 2 * cell] | regs[0x15 + 2 * cell] << 8
    put16(regs, 0x34, total // 10)
    put16(regs, 0x36, total // 10)


def show(seen, address, limit_ma=50_000, current_ma=0, cell_mv=3300, soc_cpct=5000,
         full_mah=100_000, closed=3, uohm=8000):
    """Make *seen* the picture of a healthy pack."""
    seen.module = address
    seen.valid = seen.is_able = True
    seen.charge_on = closed & 1 != 0
    seen.discharge_on = closed & 2 != 0
    seen.ccl_ma = limit_ma if seen.charge_on else 0
    seen.dcl_ma = limit_ma if seen.discharge_on else 0
    seen.may_charge = seen.ccl_ma > 0
    seen.may_discharge = seen.dcl_ma > 0
    seen.current_ma = current_ma
    seen.charging = current_ma > 0
    seen.discharging = current_ma < 0
    seen.voltage_mv = seen.pack_mv = 16 * cell_mv
    seen.max_cell_mv = cell_mv + address
    seen.min_cell_mv = cell_mv - address
    seen.max_cell = address % 16
    seen.min_cell = (address + 1) % 16
    seen.max_cell_module = seen.min_cell_module = address
    for i in range(4):
        seen.temps_dc[i] = 250 + address
    seen.max_temp_module = seen.min_temp_module = address
    seen.sum_temps()
    seen.mos_dc = 300 - address
    seen.soc_cpct = soc_cpct
    seen.full_mah = full_mah
    seen.remaining_mah = full_mah // 100 * soc_cpct // 100
    seen.design_mah = 100_000
    seen.cvl_mv = 56_000
    seen.dvl_mv = 46_000
    seen.cycles = 10 * address
    seen.resistance_uohm = uohm
    return seen


class FakePin:
    """A pin that remembers its level."""

    def __init__(self, level=0):
        self.level = level
        self.rises = 0

    def __call__(self, level):
        if level and not self.level:
            self.rises += 1
        self.level = level


def no_wait(us):
    pass


_TABLE = bytearray(crc8(0, value) for value in range(256))


class FakeChip:
    """A BQ76952 on SPI as its data sheet describes frames; allocates nothing in plain reads.

    regs      direct-command registers; memory: {address: byte} written as data memory
    commands  sub-command numbers executed, in order; payloads: (number, bytes) committed
    spoil     None | f(frame number, answer bytearray(3)): changes what comes back
    on_read   None | f(register): called before a register is read out
    busy      frames that are still answered with FF FF 00
    """

    def __init__(self, regs=None):
        self.regs = regs if regs is not None else scan_regs()
        self.memory = {}
        self.commands = []
        self.payloads = []
        self.frames = 0
        self.log = None             # None | list of what was sent
        self.spoil = None
        self.on_read = None
        self.busy = 0
        self.mfg_status = 0x0050
        self.signature = 0x1234
        self.number = 0x7695
        self.poll_busy = 0          # sub-command polls answered FF FF
        self._answer = bytearray((0xFF, 0xFF, 0xFF))
        self._next = bytearray((0xFF, 0xFF, 0x00))
        self._fresh = 0
        self._buffer = bytearray(128)

    def write_readinto(self, tx, rx):
        answer = self._answer
        following = self._next
        if self._fresh:
            for i in range(3):
                answer[i] = following[i]
        else:
            answer[0] = answer[1] = 0xFF
            answer[2] = 0x00
        if self.log is not None:
            self.log.append(bytes(tx))
        first = tx[0]
        second = tx[1]
        right = _TABLE[_TABLE[first] ^ second] == tx[2]
        self._fresh = 1
        if not right:
            following[0] = following[1] = 0xFF
            following[2] = 0xAA
        elif self.busy > 0:
            self.busy -= 1
            self._fresh = 0
        else:
            if first & 0x80:
                self._write(first & 0x7F, second)
            else:
                second = self._read(first)
            following[0] = first
            following[1] = second
            following[2] = _TABLE[_TABLE[first] ^ second]
        if self.spoil is not None:
            self.spoil(self.frames, answer)
        self.frames += 1
        for i in range(3):
            rx[i] = answer[i]

    def _read(self, reg):
        if self.on_read is not None:
            self.on_read(reg)
        if 0x3E <= reg <= 0x61:
            if reg <= 0x3F and self.poll_busy > 0:
                self.poll_busy -= 1
                return 0xFF
            return self._buffer[reg]
        return self.regs[reg]

    def _write(self, reg, value):
        buffer = self._buffer
        buffer[reg] = value
        number = buffer[0x3E] | buffer[0x3F] << 8
        if reg == 0x3F:
            self._execute(number)
        elif reg == 0x61:
            count = value - 4
            total = (number & 0xFF) + (number >> 8)
            for i in range(count):
                total += buffer[0x40 + i]
            if buffer[0x60] == ~total & 0xFF:
                data = bytes(buffer[0x40:0x40 + count])
                self.payloads.append((number, data))
                if number >= 0x9180:
                    for i in range(count):
                        self.memory[number + i] = data[i]

    def _execute(self, number):
        self.commands.append(number)
        if number == 0x0090:
            self.regs[0x12] |= 1
        elif number == 0x0092:
            self.regs[0x12] &= ~9 & 0xFF
        elif number == 0x0022:
            self.mfg_status ^= 0x10
        elif number >= 0x9180:
            self._show(number, bytes(self.memory.get(number + i, 0) for i in range(32)))
        elif number in (0x0001, 0x0005, 0x0057):
            value = {1: self.number, 5: self.signature, 0x57: self.mfg_status}[number]
            self._show(number, bytes((value & 0xFF, value >> 8)))

    def _show(self, number, data):
        buffer = self._buffer
        total = (number & 0xFF) + (number >> 8)
        for i in range(len(data)):
            buffer[0x40 + i] = data[i]
            total += data[i]
        buffer[0x60] = ~total & 0xFF
        buffer[0x61] = len(data) + 4


class FakeUart:
    """A UART whose far end is the test: *incoming* is received, *sent* has left.

    room   most bytes one write() takes; None: any number
    """

    def __init__(self, room=None):
        self.incoming = bytearray()
        self.sent = bytearray()
        self.room = room
        self.done = True

    def any(self):
        return len(self.incoming)

    def readinto(self, buf, most=None):
        count = min(len(buf) if most is None else most, len(self.incoming))
        if not count:
            return None
        for i in range(count):
            buf[i] = self.incoming[i]
        self.incoming = self.incoming[count:]
        return count

    def write(self, buf, offset=0, length=None):
        """As machine.UART: write(buf) or write(buf, offset, length)."""
        count = len(buf) - offset if length is None else length
        if self.room is not None and count > self.room:
            count = self.room
        self.sent.extend(bytes(buf[offset:offset + count]))
        return count

    def txdone(self):
        return self.done


def feed(protocol, data, now_ms=0):
    """Give *data* byte by byte; the answers, concatenated."""
    answers = b""
    for byte in data:
        length = protocol.take(byte, now_ms)
        if length:
            answers += bytes(protocol.out[:length])
    return answers


class Beyond:
    """How long a reading has been beyond a threshold, as the specification counts it: it leaks at
    half its pace while the reading is not beyond (PRO-28), to nothing with the second such scan.
    """

    def __init__(self, leaked=-1):
        self.leaked = leaked
        self.ms = None                  # None: not beyond | time; *leaked*: beyond a scan ago

    def step(self, dt_ms, beyond):
        """*beyond* None: no reading, a timer that runs runs on. Returns the time or None."""
        if beyond:
            self.ms = 0 if self.ms is None else self.ms + dt_ms
        elif beyond is None:
            if self.ms is not None:
                self.ms += dt_ms
        elif self.ms is not None:
            self.ms = None if self.ms < 0 else (
                self.ms - dt_ms // 2 if self.ms >= dt_ms // 2 else self.leaked)
        return self.ms if beyond else None

    def reset(self):
        self.ms = None
