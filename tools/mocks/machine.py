"""Simulated MicroPython `machine`: the peripherals of one controller on a simulated clock.

The same file runs on CPython and on MicroPython's unix port. Time is an integer of microseconds
in `hw.clock`; it passes in transfers, in port_sim.wait_us and in idling, and one microsecond each
time the clock or a UART is asked, so that a polling loop comes to its end. Code takes no time.

What the pins and buses are connected to is `hw.stand` (tools/models); see README.md here.
"""

import micropython
from errno import ENODEV
from uart_wave import heard_at

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3

NEVER_US = 1 << 60
_WDT_MAX_MS = 8388
_CHAR_BITS = 10                 # 8N1


class PowerCut(BaseException):
    """The supply is gone: unwinds the firmware. Never caught by it, as nothing would be."""


class ChipReset(BaseException):
    """The chip resets: watchdog, reset line or machine.reset(). args[0] is the cause."""


class BenchFault(BaseException):
    """A model failed. Not the firmware's fault and not for its handlers."""


class Clock:
    """now_us, and a call of on_due(now_us) whenever next_us is reached."""

    def __init__(self):
        self.now_us = 0
        self.next_us = NEVER_US
        self.on_due = None      # None: nobody watches | must put next_us past now_us or raise

    @micropython.native
    def advance(self, dt_us):
        """Let *dt_us* pass, stopping at each event on the way."""
        until_us = self.now_us + dt_us
        if until_us < self.next_us:
            self.now_us = until_us
        else:
            self.advance_to(until_us)

    @micropython.native
    def advance_to(self, until_us):
        while self.next_us <= until_us:
            if self.next_us > self.now_us:
                self.now_us = self.next_us
            if self.on_due is None:
                self.next_us = NEVER_US
            else:
                self.on_due(self.now_us)
        if until_us > self.now_us:
            self.now_us = until_us


class NullStand:
    """Nothing connected: inputs read 1 (pull-up), SPI reads 0xFF, nobody answers on I2C."""

    next_event_us = NEVER_US

    def pin(self, name, level, now_us):
        pass

    def pin_in(self, name):
        return 1

    def spi(self, bus, byte, now_us):
        return 0xFF

    def i2c_write(self, addr, data, now_us):
        return False

    def i2c_read(self, addr, count, now_us):
        return None

    def wdt_fed(self, now_us):
        pass

    @micropython.native
    def advance(self, now_us):
        pass


class Line:
    """One pin of the chip, shared by every Pin object of that name."""

    def __init__(self, name):
        self.name = name
        self.level = 1
        self.output = False
        self.selected = False   # AFE_CS only: the stand was told that it is low
        self.deferred = name == "AFE_CS"
        self.on_level = None    # None | called with (level, now_us)


class SerialPort:
    """The wires of one UART: what arrives at RX and what left TX, each byte at its time.

    Exists as long as the bench; the firmware's UART object comes and goes (`opened`).
    """

    def __init__(self, name, has_de):
        self.name = name
        self.has_de = has_de
        self.baud = 9600
        self.reset()

    def reset(self):
        """Controller off or in reset: what is on its way is lost."""
        self.opened = False
        self.de = 0
        self.arriving = []     # [start_us, data, bytes already moved to fifo, how long it lasts]
        self._rx_end_us = 0
        self.fifo = bytearray()
        self._rx_size = 0
        self._leaving = []      # [start_us, data, driver was on]
        self._tx_end_us = 0
        self._tx_size = 0
        self.sent = []          # [start_us, data, bit/s] completely on the wire

    def open(self, baud, rx_size, tx_size, now_us):
        self.reset()
        self.opened = True
        self.baud = baud
        self._rx_size = rx_size
        self._tx_size = tx_size
        self._tx_end_us = now_us
        self._rx_end_us = now_us

    def set_baud(self, baud, now_us):
        """Another rate from now on. What is in the FIFO stays, what is arriving is lost."""
        self.settle(now_us)
        self._leaving = []
        self.received(now_us)
        self.arriving = []
        self.baud = baud
        self._tx_end_us = self._rx_end_us = now_us

    def feed(self, data, start_us, baud=None):
        """Put *data* on RX: the first start bit at *start_us*, or when the line is free.

        baud  bit/s of who sends it, None: the rate of this port
        """
        if self.opened:
            if start_us < self._rx_end_us:
                start_us = self._rx_end_us
            us = len(data) * _CHAR_BITS * 1_000_000 // (baud or self.baud)
            if baud:
                data = heard_at(data, baud, self.baud)
            if data:
                self.arriving.append([start_us, data, 0, us])
            self._rx_end_us = start_us + us

    def received(self, now_us):
        """The bytes that have arrived and were not read: a bytearray, taken from by the UART."""
        fifo = self.fifo
        arriving = self.arriving
        while arriving:
            chunk = arriving[0]
            total = len(chunk[1])
            count = total
            if now_us < chunk[0] + chunk[3]:
                count = (now_us - chunk[0]) * total // chunk[3]
            if count > chunk[2]:
                room = self._rx_size - len(fifo)
                fifo.extend(chunk[1][chunk[2]:min(count, chunk[2] + room)])
                chunk[2] = count
            if count < total:
                break
            arriving.pop(0)
        return fifo

    def pending(self, now_us):
        """Bytes written that have not completely left."""
        if now_us >= self._tx_end_us:
            return 0
        return -(-(self._tx_end_us - now_us) * self.baud // (_CHAR_BITS * 1_000_000))

    def write(self, data, now_us):
        """Take what fits of *data*; return how many bytes."""
        if not self.opened:
            return 0
        count = min(len(data), self._tx_size - self.pending(now_us))
        if count > 0:
            start_us = max(now_us, self._tx_end_us)
            self._leaving.append([start_us, bytes(data[:count]), self.de or not self.has_de])
            self._tx_end_us = start_us + count * _CHAR_BITS * 1_000_000 // self.baud
        return count

    def stall(self, start_us, end_us, depth):
        """Interrupts were off: of what came then, no more than *depth* bytes were kept."""
        fifo = self.received(start_us)
        before = len(fifo)
        rx_size = self._rx_size
        self._rx_size = before + depth if before + depth < rx_size else rx_size
        self.received(end_us)
        self._rx_size = rx_size

    def de_changed(self, level, now_us):
        """A byte that is not out when the driver goes off does not arrive at the far end."""
        if self.de and not level:
            self.settle(now_us)
            self._leaving = []
        self.de = level

    def settle(self, now_us):
        """Move what is completely out at *now_us* to `sent`."""
        leaving = self._leaving
        while leaving:
            start_us, data, driven = leaving[0]
            count = (now_us - start_us) * self.baud // (_CHAR_BITS * 1_000_000)
            if count <= 0:
                break
            if driven:
                self.sent.append([start_us, data[:count], self.baud])
            if count < len(data):
                start_us += count * _CHAR_BITS * 1_000_000 // self.baud
                leaving[0] = [start_us, data[count:], driven]
                break
            leaving.pop(0)


class Hardware:
    """What belongs to the chip as a whole."""

    def __init__(self):
        self.clock = Clock()
        self.ports = {"pcs": SerialPort("pcs", True), "parallel": SerialPort("parallel", True),
                      "debug": SerialPort("debug", False), "usb": SerialPort("usb", False)}
        self.pin_names = {}     # number: functional name; empty: every name is good
        self.uid = b"PACKSIM\x00"
        self.cause = PWRON_RESET
        self.on_reset = None    # None | called with the cause when the firmware resets the chip
        self.file_names = [None] * 64       # where PlainFiles has what: outlives power cuts
        self.flash_full = False
        self.survivor = bytearray(16)       # as the RP2040's watchdog scratch registers
        self.attach(NullStand())

    def attach(self, stand):
        self.stand = stand
        self.release()

    def release(self):
        """Reset of the chip: pins are inputs again, ports closed, watchdog off."""
        self.lines = {}
        for port in self.ports.values():
            port.reset()
        self.wdt_timeout_us = 0
        self.wdt_deadline_us = NEVER_US
        self.interrupt_us = NEVER_US        # when the next one is due
        self._interrupt_each_us = 0
        self._on_interrupt = None

    def interrupt_each(self, us, handler):
        """Call *handler* each *us*, as a timer's interrupt would: whatever the program does."""
        self._interrupt_each_us = us
        self._on_interrupt = handler
        self.interrupt_us = self.clock.now_us + us
        if self.interrupt_us < self.clock.next_us:
            self.clock.next_us = self.interrupt_us

    def interrupt(self):
        """It is due, and nothing keeps it away."""
        self.interrupt_us = self.clock.now_us + self._interrupt_each_us
        self._on_interrupt()

    def line(self, pin):
        """The line for a pin given as number, "GP17", "GPIO17" or functional name."""
        name = pin
        number = pin
        if isinstance(pin, str) and pin[:2] == "GP":
            digits = pin[4:] if pin[:4] == "GPIO" else pin[2:]
            number = int(digits) if digits and digits[0] in "0123456789" else pin
        if isinstance(number, int):
            name = self.pin_names.get(number, "GP%d" % number)
        elif self.pin_names and name not in self.pin_names.values():
            raise ValueError('unknown named pin "%s"' % name)
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = Line(name)
            if name == "PCS_DE":
                line.on_level = self.ports["pcs"].de_changed
            elif name == "PAR_DE":
                line.on_level = self.ports["parallel"].de_changed
        return line


hw = Hardware()


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2

    def __init__(self, id, mode=-1, pull=-1, value=None):
        self._line = hw.line(id.name() if isinstance(id, Pin) else id)
        if mode != -1:
            self.init(mode, pull, value)

    def init(self, mode=-1, pull=-1, value=None):
        line = self._line
        line.output = mode in (Pin.OUT, Pin.OPEN_DRAIN)
        if line.output:
            self._drive(line, 1 if (line.level if value is None else value) else 0)

    def __call__(self, value=None):
        line = self._line
        if value is None:
            return line.level if line.output else hw.stand.pin_in(line.name)
        if line.deferred:       # chip select: the transfer looks at the level, see SPI
            line.level = value
            if line.selected and value:
                line.selected = False
                hw.stand.pin(line.name, 1, hw.clock.now_us)
        elif line.level != value:
            self._drive(line, 1 if value else 0)
        return None

    def _drive(self, line, level):
        line.level = level
        if not line.output:
            return
        now_us = hw.clock.now_us
        if line.on_level is not None:
            line.on_level(level, now_us)
        stand = hw.stand
        if not line.deferred:
            stand.pin(line.name, level, now_us)
            if stand.next_event_us < hw.clock.next_us:
                hw.clock.next_us = stand.next_event_us

    def name(self):
        return self._line.name

    def value(self, value=None):
        return self(value)

    def on(self):
        self(1)

    def off(self):
        self(0)

    def toggle(self):
        self(1 - self._line.level)

    def irq(self, handler=None, trigger=0, priority=1, wake=None, hard=False):
        raise NotImplementedError("pin interrupts are not simulated")


class SPI:
    """Bus 0 is the AFE's, bus 1 the panel's and the CAN controller's."""

    MSB = 0
    LSB = 1

    def __init__(self, id, baudrate=1_000_000, polarity=0, phase=0, bits=8, firstbit=0,
                 sck=None, mosi=None, miso=None):
        if polarity or phase or bits != 8 or firstbit:
            raise ValueError("only mode 0, 8 bits, MSB first is simulated")
        self._bus = id
        self._baudrate = baudrate
        self._frame3_us = 24_000_000 // baudrate
        self._cs = hw.line("AFE_CS") if id == 0 else None
        # A whole frame at once, where the chip model offers it:
        # frame3(b0, b1, b2, start_us, end_us) -> 24 bits, instead of select, 3 x shift, deselect
        self._afe = getattr(hw.stand, "afe", None) if id == 0 else None
        self._frame3 = getattr(self._afe, "frame3", None)

    @micropython.native
    def write_readinto(self, tx, rx):
        count = len(tx)
        cs = self._cs
        if count == 3 and self._frame3 is not None and not cs.level and not cs.selected:
            clock = hw.clock                # this runs 650 times a simulated second
            start_us = clock.now_us
            end_us = start_us + self._frame3_us
            if end_us < clock.next_us:
                clock.now_us = end_us
            else:
                clock.advance_to(end_us)
            try:
                bits = self._frame3(tx[0], tx[1], tx[2], start_us, end_us)
            except Exception as error:
                raise BenchFault("AFE model: %r" % error)
            rx[0] = bits >> 16
            rx[1] = bits >> 8 & 0xFF
            rx[2] = bits & 0xFF
            next_us = self._afe.next_us     # a frame changes nothing else
            if next_us < clock.next_us:
                clock.next_us = next_us
            return
        if count != len(rx):
            raise ValueError("buffers must be the same length")
        self._transfer(tx, rx)

    def write(self, tx):
        self._transfer(tx, None)

    def readinto(self, rx, write=0):
        self._transfer(bytes([write]) * len(rx), rx)

    def read(self, count, write=0):
        rx = bytearray(count)
        self._transfer(bytes([write]) * count, rx)
        return bytes(rx)

    @micropython.native
    def _transfer(self, tx, rx):
        clock = hw.clock
        cs = self._cs
        if cs is not None and not cs.level and not cs.selected:
            cs.selected = True
            hw.stand.pin("AFE_CS", 0, clock.now_us)
        byte_us = 8_000_000 // self._baudrate
        for i in range(len(tx)):
            clock.advance(byte_us)
            try:
                answer = hw.stand.spi(self._bus, tx[i], clock.now_us)
            except Exception as error:
                raise BenchFault("SPI model: %r" % error)
            if rx is not None:
                rx[i] = answer
        if hw.stand.next_event_us < clock.next_us:
            clock.next_us = hw.stand.next_event_us

    def init(self, baudrate=None):
        if baudrate:
            self._baudrate = baudrate
            self._frame3_us = 24_000_000 // baudrate

    def deinit(self):
        pass


class I2C:
    def __init__(self, id, scl=None, sda=None, freq=400_000, timeout=50_000):
        self._freq = freq

    def _pass_bytes(self, count):
        hw.clock.advance((count + 1) * 9_000_000 // self._freq)

    def writeto(self, addr, buf, stop=True):
        self._pass_bytes(len(buf))
        try:
            acked = hw.stand.i2c_write(addr, bytes(buf), hw.clock.now_us)
        except Exception as error:
            raise BenchFault("I2C model: %r" % error)
        if not acked:
            raise OSError(ENODEV)
        return len(buf)

    def readfrom_into(self, addr, buf, stop=True):
        self._pass_bytes(len(buf))
        try:
            data = hw.stand.i2c_read(addr, len(buf), hw.clock.now_us)
        except Exception as error:
            raise BenchFault("I2C model: %r" % error)
        if data is None:
            raise OSError(ENODEV)
        for i in range(len(buf)):
            buf[i] = data[i]

    def readfrom(self, addr, count, stop=True):
        buf = bytearray(count)
        self.readfrom_into(addr, buf)
        return bytes(buf)

    def writeto_mem(self, addr, memaddr, buf, addrsize=8):
        self.writeto(addr, bytes([memaddr]) + bytes(buf))

    def readfrom_mem_into(self, addr, memaddr, buf, addrsize=8):
        self.writeto(addr, bytes([memaddr]), False)
        self.readfrom_into(addr, buf)

    def readfrom_mem(self, addr, memaddr, count, addrsize=8):
        buf = bytearray(count)
        self.readfrom_mem_into(addr, memaddr, buf)
        return bytes(buf)

    def scan(self):
        found = []
        for addr in range(8, 0x78):
            try:
                self.writeto(addr, b"")
                found.append(addr)
            except OSError:
                pass
        return found


class UART:
    """UART 0 is the inverter's port (pcs), 1 the parallel port, "debug" the RS232 port; "usb" is
    the USB serial port as the firmware sees it."""

    _PORTS = {0: "pcs", 1: "parallel", "debug": "debug", "usb": "usb"}

    def __init__(self, id, baudrate=115_200, bits=8, parity=None, stop=1, tx=None, rx=None,
                 rxbuf=256, txbuf=256, timeout=0, timeout_char=0):
        if bits != 8 or parity is not None or stop != 1:
            raise ValueError("only 8N1 is simulated")
        self._port = hw.ports[self._PORTS[id]]
        self._rxbuf = rxbuf
        self._txbuf = txbuf
        line = hw.lines.get("PCS_DE" if id == 0 else "PAR_DE")
        self._port.open(baudrate, rxbuf, txbuf, hw.clock.now_us)
        if line is not None and line.output:
            self._port.de = line.level

    def init(self, baudrate=None):
        if baudrate:
            self._port.set_baud(baudrate, hw.clock.now_us)

    def any(self):
        clock = hw.clock
        clock.advance(1)
        port = self._port
        if port.arriving or port.fifo:
            return len(port.received(clock.now_us))
        return 0

    def readinto(self, buf, count=None):
        fifo = self._port.received(hw.clock.now_us)
        got = min(len(fifo), len(buf) if count is None else count)
        if not got:
            return None
        for i in range(got):
            buf[i] = fifo[i]
        self._port.fifo = fifo[got:]
        return got

    def read(self, count=None):
        fifo = self._port.received(hw.clock.now_us)
        got = len(fifo) if count is None else min(count, len(fifo))
        if not got:
            return None
        self._port.fifo = fifo[got:]
        return bytes(fifo[:got])

    def write(self, buf, offset=0, count=None):
        if offset or count is not None:
            buf = bytes(buf[offset:] if count is None else buf[offset:offset + count])
        return self._port.write(buf, hw.clock.now_us)

    def txdone(self):
        hw.clock.advance(1)
        return self._port.pending(hw.clock.now_us) == 0

    def flush(self):
        while not self.txdone():
            hw.clock.advance(100)

    def deinit(self):
        self._port.reset()


class WDT:
    def __init__(self, id=0, timeout=5000):
        if not 1 <= timeout <= _WDT_MAX_MS:
            raise ValueError("timeout exceeds %d" % _WDT_MAX_MS)
        hw.wdt_timeout_us = timeout * 1000
        self.feed()

    def feed(self):
        now_us = hw.clock.now_us
        hw.wdt_deadline_us = now_us + hw.wdt_timeout_us
        if hw.wdt_deadline_us < hw.clock.next_us:
            hw.clock.next_us = hw.wdt_deadline_us
        hw.stand.wdt_fed(now_us)


def reset():
    if hw.on_reset is not None:
        hw.on_reset(WDT_RESET)
    raise ChipReset(WDT_RESET)      # as the RP2040 reports it


def reset_cause():
    return hw.cause


def unique_id():
    return hw.uid


def freq(hz=None):
    return 125_000_000


def idle():
    hw.clock.advance(1)


def lightsleep(ms=None):
    if ms is None:
        raise ValueError("sleep without an end is not simulated")
    hw.clock.advance(ms * 1000)
