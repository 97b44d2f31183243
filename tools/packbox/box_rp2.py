"""The box's hardware: an SPI target made of PIO and DMA, and what else is on its pins (RP2040).

The chip that it stands for answers a frame in the next one, so there is time: machine 0 of PIO 0
shifts 24 bits both ways. Machine 0 of PIO 1 makes the address of a table's entry from the first
byte of a read; DMA A takes it to DMA B, and B brings the entry (register, value, CRC) to machine 0
before the frame is over. DMA C keeps all frames in a ring. No code runs for that.

A write is its own echo: machine 0 sends the same 24 bits next. Machine 0 of PIO 1 then stops until
the code has seen what the write does; reads until then get FF FF 00, as from a chip at work.
"""

import array

import machine
import micropython
import rp2
import uctypes
from machine import Pin
from micropython import const

_CS = const(17)
_SCK = const(18)
_RING = const(256)                      # frames
_FOREVER = const(0x3FFFFFFF)
_FREQ = const(125_000_000)
_WRITE_AT = const(16)                   # instruction of _look() at which it stops for a write


@rp2.asm_pio(out_init=rp2.PIO.OUT_HIGH, out_shiftdir=rp2.PIO.SHIFT_LEFT,
             in_shiftdir=rp2.PIO.SHIFT_LEFT)
def _frame():
    wrap_target()
    label("start")
    wait(1, gpio, 17)
    wait(0, gpio, 17)
    mov(osr, x)                         # the echo of a write, or FF FF 00
    jmp("look")
    label("take")
    pull(noblock)
    label("look")
    mov(y, status)                      # 0: there is an answer; the newest one counts
    jmp(not_y, "take")
    set(y, 23)
    label("bit")
    out(pins, 1)
    wait(1, gpio, 18)
    in_(pins, 1)
    wait(0, gpio, 18)
    jmp(y_dec, "bit")
    in_(null, 8)
    mov(x, isr)
    mov(osr, isr)
    push(noblock)
    out(y, 1)
    jmp(y_dec, "start")                 # a write: X is its echo
    mov(isr, invert(null))
    in_(null, 16)
    mov(x, isr)
    wrap()


@rp2.asm_pio(in_shiftdir=rp2.PIO.SHIFT_LEFT, autopush=True, push_thresh=32)
def _look():
    pull()                              # the table's address, once
    mov(x, osr)
    wrap_target()
    label("start")
    wait(1, gpio, 17)
    wait(0, gpio, 17)
    wait(1, gpio, 18)
    jmp(pin, "write")
    in_(x, 22)
    in_(null, 1)
    wait(0, gpio, 18)
    set(y, 6)
    label("bit")
    wait(1, gpio, 18)
    in_(pins, 1)
    wait(0, gpio, 18)
    jmp(y_dec, "bit")
    in_(null, 2)
    jmp("start")
    label("write")
    pull()                              # until the code has done with it
    wrap()


@rp2.asm_pio(in_shiftdir=rp2.PIO.SHIFT_LEFT, autopush=True, push_thresh=16)
def _lamps():
    wrap_target()
    label("start")
    wait(1, gpio, 10)                   # AUX_SCK
    jmp(pin, "take")                    # CAN_CS is high: the lamp registers' clock
    wait(0, gpio, 10)
    jmp("start")
    label("take")
    in_(pins, 1)                        # AUX_MOSI
    wait(0, gpio, 10)
    wrap()


@micropython.viper
def put_word(base: int, register: int, value: int, crc: ptr8):
    ptr32(base)[register] = register << 24 | value << 16 | crc[crc[register] ^ value] << 8


@micropython.viper
def spoil_word(base: int, register: int):
    ptr32(base)[register] ^= 0x0100


@micropython.viper
def write_index(channel: int, base: int) -> int:
    """Where DMA C writes next; starts it again once its count is used up."""
    dma = ptr32(int(0x50000000) + channel * 0x40)
    if not dma[4] & 0x1000000:
        dma[7] = _FOREVER
    return (dma[1] - base) >> 2 & (_RING - 1)


@micropython.viper
def find_write(base: int, tail: int, head: int, crc: ptr8, counts: ptr32) -> int:
    """Index of the next write from *tail* on, -1: none. counts: [frames, bad ones] are added to;
    [2]: register << 8 | value of the write."""
    ring = ptr32(base)
    while tail != head:
        word = ring[tail]
        first = (word >> 24) & 0xFF
        second = (word >> 16) & 0xFF
        counts[0] += 1
        # a line that stays low makes 00 00 00, whose CRC is right
        if crc[crc[first] ^ second] != (word >> 8) & 0xFF or not word:
            counts[1] += 1
        elif first & 0x80:
            counts[2] = (first & 0x7F) << 8 | second
            return tail
        tail = (tail + 1) & (_RING - 1)
    return -1


@micropython.viper
def total(data: ptr8, count: int) -> int:
    """Sum of the first *count* bytes, modulo 256."""
    found = 0
    for i in range(count):
        found += data[i]
    return found & 0xFF


@micropython.viper
def copy(target: ptr8, at: int, source: ptr8, count: int):
    for i in range(count):
        target[at + i] = source[i]


@micropython.viper
def levels() -> int:
    """The pins, as bits; GP29 to GP31 are left out."""
    return ptr32(int(0xD0000000))[1] & 0x1FFFFFFF


@micropython.viper
def _pc(pio: int) -> int:
    return ptr32(pio)[0x35] & 31


@micropython.viper
def _pio_put(pio: int, value: int):
    ptr32(pio)[4] = value


@micropython.viper
def _pio_get1(pio: int) -> int:
    """A word from machine 1, or -1."""
    if not (ptr32(pio)[3] >> 12) & 15:              # FLEVEL
        return -1
    return ptr32(pio)[9] & 0xFFFF


@micropython.viper
def nothing_new(channel: int, base: int, tail: int, watched: int, seen: int, both: ptr32) -> bool:
    """No frame, no input and no lamp word has come since: the quick look of most turns.

    both  pins that were seen high, and pins that were seen low, are added to the two masks
    """
    now = ptr32(int(0xD0000000))[1] & 0x1FFFFFFF
    both[0] |= now
    both[1] |= now ^ 0x1FFFFFFF
    if (ptr32(int(0x50000000) + channel * 0x40)[1] - base) >> 2 & (_RING - 1) != tail:
        return False
    if now & watched != seen:
        return False
    return bool((ptr32(int(0x50300000))[3] >> 12) & 15 == 0)


_PIO0 = const(0x50200000)
_PIO1 = const(0x50300000)


def crc_table():
    table = bytearray(256)
    for i in range(256):
        value = i
        for _ in range(8):
            value = (value << 1 ^ 7) & 0xFF if value & 0x80 else value << 1
        table[i] = value
    return table


class Bus:
    """The SPI target. crc: table; counts: as find_write() has them."""

    def __init__(self, pins):
        self.crc = crc_table()
        self.counts = array.array("I", (0, 0, 0))
        room = memoryview(bytearray(2 * 1024 + 1023))
        at = -uctypes.addressof(room) & 1023
        self._keep = room
        self.table = uctypes.addressof(room[at:])
        self.ring = self.table + 1024
        self.tail = 0
        self._spoilt = 0
        for name in ("AFE_SCK", "AFE_MOSI", "AFE_CS", "AUX_SCK", "AUX_MOSI", "CAN_CS"):
            Pin(pins[name], Pin.IN, Pin.PULL_UP if name.endswith("CS") else Pin.PULL_DOWN)
        mosi, miso = Pin(pins["AFE_MOSI"]), Pin(pins["AFE_MISO"])
        self._miso = pins["AFE_MISO"]
        for register in range(128):
            put_word(self.table, register, 0, self.crc)
        self._shift = rp2.StateMachine(0, _frame, freq=_FREQ, in_base=mosi, out_base=miso)
        self._asks = rp2.StateMachine(4, _look, freq=_FREQ, in_base=mosi, jmp_pin=mosi)
        self._lamps = rp2.StateMachine(5, _lamps, freq=_FREQ, in_base=Pin(pins["AUX_MOSI"]),
                                       jmp_pin=Pin(pins["CAN_CS"]))
        machine.mem32[_PIO0 + 0xCC] |= 1            # STATUS: less than one answer
        self._shift.put(0xFFFF0000)
        self._shift.exec("pull(noblock)")
        self._shift.exec("mov(x, osr)")
        to_b, answer, keep = rp2.DMA(), rp2.DMA(), rp2.DMA()
        self.ring_dma = keep.channel
        answer.config(read=self.table, write=_PIO0 + 0x10, count=1, ctrl=answer.pack_ctrl(
            size=2, inc_read=False, inc_write=False, treq_sel=0x3F, irq_quiet=True))
        to_b.config(read=_PIO1 + 0x20, write=0x50000000 + answer.channel * 0x40 + 0x3C,
                    count=_FOREVER, trigger=True, ctrl=to_b.pack_ctrl(
                        size=2, inc_read=False, inc_write=False, treq_sel=12, irq_quiet=True))
        keep.config(read=_PIO0 + 0x20, write=self.ring, count=_FOREVER, trigger=True,
                    ctrl=keep.pack_ctrl(size=2, inc_read=False, ring_sel=True, ring_size=10,
                                        treq_sel=4, irq_quiet=True))
        self._dmas = to_b, answer, keep
        self._shift.active(1)
        self._asks.active(1)
        self._lamps.active(1)
        self._start_pc = _frame[1]                  # where the programs lie in PIO 0 and PIO 1
        self._write_pc = _look[2] + _WRITE_AT
        self._asks.put(self.table >> 10)

    def show(self, register, value):
        put_word(self.table, register, value, self.crc)

    @micropython.native
    def next_write(self):
        """register << 8 | value of the next write that was not looked at yet, or -1."""
        head = write_index(self.ring_dma, self.ring)
        if head == self.tail:
            return -1
        at = find_write(self.ring, self.tail, head, self.crc, self.counts)
        if at < 0:
            self.tail = head
            return -1
        self.tail = at + 1 & _RING - 1
        return self.counts[2]

    @micropython.native
    def go_on(self):
        """The writes so far are done: reads are answered again."""
        if _pc(_PIO1) == self._write_pc:
            _pio_put(_PIO1, 0)

    @micropython.native
    def lamps(self):
        """The next word that was shifted to the lamp registers, or -1."""
        return _pio_get1(_PIO1)

    def restart(self):
        """A frame that was broken off left the machines in the middle: back to waiting."""
        if _pc(_PIO0) != self._start_pc + 1:
            self._shift.restart()
            machine.mem32[_PIO0 + 0xD8] = self._start_pc    # JMP
        if _pc(_PIO1) not in (self._write_pc, self._write_pc - _WRITE_AT + 3):
            self._asks.restart()
            machine.mem32[_PIO1 + 0xD8] = self._write_pc - _WRITE_AT + 2

    def set_miso(self, override):
        """0: the machine's level; 2: low; 3: high."""
        machine.mem32[0x40014004 + 8 * self._miso] = 6 | override << 8

    def spoil(self, share, random):
        """Give *share* of 256 of the answers a wrong CRC until the next call."""
        if self._spoilt:
            for register in range(128):
                if self._spoilt >> register & 1:
                    spoil_word(self.table, register)
            self._spoilt = 0
        if share:
            for register in range(0x12, 0x80):
                if random() & 0xFF < share:
                    self._spoilt |= 1 << register
                    spoil_word(self.table, register)


_seed = array.array("I", (4321,))


@micropython.viper
def random() -> int:
    """Sixteen bits of a xorshift generator."""
    seed = ptr32(_seed)
    value = seed[0]
    value ^= value << 13
    value ^= (value >> 17) & 0x7FFF
    value ^= value << 5
    seed[0] = value
    return value & 0xFFFF
