"""A UART out of two PIO state machines and two DMA channels (RP2040).

Bytes move without the core: received ones into a ring that DMA writes and this reader follows,
sent ones from a ring that DMA reads. Nothing is allocated after __init__, no interrupt is used.
"""

import machine
import micropython
import rp2
import uctypes
from micropython import const

_RING_BITS = const(11)                  # 2048 bytes each way
_RING = const(1 << _RING_BITS)
_MASK = const(_RING - 1)
_CYCLES_PER_BIT = const(8)

_PIO0_BASE = const(0x50200000)
_PIO_STRIDE = const(0x100000)
_TXF0 = const(0x010)
_RXF0 = const(0x020)
_FLEVEL = const(0x00C)
_SM0_ADDR = const(0x0D4)
_SM_STRIDE = const(0x18)
_DMA_BASE = const(0x50000000)
_DMA_STRIDE = const(0x40)
_READ_ADDR = const(0x00)
_WRITE_ADDR = const(0x04)
_TRANS_COUNT = const(0x08)
_AL1_CTRL = const(0x10)
_AL1_TRANS_COUNT_TRIG = const(0x1C)
_BUSY = const(1 << 24)
_FOREVER = const(0x7FFFFFFF)            # transfers; restarted when used up (51 h of solid traffic)


@rp2.asm_pio(out_init=rp2.PIO.OUT_HIGH, set_init=rp2.PIO.OUT_HIGH,
             out_shiftdir=rp2.PIO.SHIFT_RIGHT, fifo_join=rp2.PIO.JOIN_TX)
def _transmit():
    wrap_target()
    pull(block)                         # instruction 0: the line is idle while waiting here
    set(pins, 0)[7]
    out(pins, 1)[7]
    out(pins, 1)[7]
    out(pins, 1)[7]
    out(pins, 1)[7]
    out(pins, 1)[7]
    out(pins, 1)[7]
    out(pins, 1)[7]
    out(pins, 1)[7]
    set(pins, 1)[6]
    wrap()


@rp2.asm_pio(in_shiftdir=rp2.PIO.SHIFT_RIGHT, fifo_join=rp2.PIO.JOIN_RX)
def _receive():
    wrap_target()
    label("start")
    wait(0, pin, 0)[11]                 # to the middle of bit 0
    in_(pins, 1)[7]
    in_(pins, 1)[7]
    in_(pins, 1)[7]
    in_(pins, 1)[7]
    in_(pins, 1)[7]
    in_(pins, 1)[7]
    in_(pins, 1)[7]
    in_(pins, 1)[7]                     # leaves in the middle of the stop bit
    jmp(pin, "good")
    wait(1, pin, 0)                     # a break or noise: no byte, wait until the line idles
    jmp("start")
    label("good")
    push(noblock)
    wrap()


@micropython.viper
def _load(address: int) -> int:
    return ptr32(address)[0]


@micropython.viper
def _store(address: int, value: int):
    ptr32(address)[0] = value


@micropython.viper
def _copy_out(ring: ptr8, tail: int, target: ptr8, count: int):
    for i in range(count):
        target[i] = ring[(tail + i) & _MASK]


@micropython.viper
def _copy_in(ring: ptr8, head: int, source: ptr8, count: int):
    for i in range(count):
        ring[(head + i) & _MASK] = source[i]


def _aligned(size):
    """A memoryview of *size* bytes at a multiple of *size*, as a DMA ring needs it."""
    raw = bytearray(2 * size)
    skip = -uctypes.addressof(raw) & (size - 1)
    return memoryview(raw)[skip:skip + size]


class PioUart:
    """8N1 UART on any two pins.

    tx, rx   machine.Pin objects
    sm       number of the first of two state machines, 0 or 2 of PIO 0, 4 or 6 of PIO 1
    """

    def __init__(self, tx, rx, baudrate=115200, sm=0):
        tx.init(machine.Pin.OUT, value=1)
        rx.init(machine.Pin.IN, machine.Pin.PULL_UP)
        pio = _PIO0_BASE + (sm >> 2) * _PIO_STRIDE
        tx_sm, rx_sm = sm & 3, (sm & 3) + 1
        hz = baudrate * _CYCLES_PER_BIT
        self._tx_sm = rp2.StateMachine(sm, _transmit, freq=hz, out_base=tx, set_base=tx)
        self._rx_sm = rp2.StateMachine(sm + 1, _receive, freq=hz, in_base=rx, jmp_pin=rx)
        self._tx_pc = pio + _SM0_ADDR + tx_sm * _SM_STRIDE
        self._flevel = pio + _FLEVEL
        self._tx_shift = 8 * tx_sm
        self._rx = _aligned(_RING)
        self._tx = _aligned(_RING)
        self._rx_base = uctypes.addressof(self._rx)
        self._tail = 0                          # next byte of the RX ring to hand out
        self._head = 0                          # where the next byte to send goes
        self._sent = 0                          # end of what DMA was told to send

        self._rx_dma = rp2.DMA()
        self._tx_dma = rp2.DMA()
        self._rx_regs = _DMA_BASE + self._rx_dma.channel * _DMA_STRIDE
        self._tx_regs = _DMA_BASE + self._tx_dma.channel * _DMA_STRIDE
        dreq = (sm >> 2) * 8
        self._rx_dma.config(                    # the byte shifted in from the left is in lane 3
            read=pio + _RXF0 + 4 * rx_sm + 3, write=self._rx, count=_FOREVER,
            ctrl=self._rx_dma.pack_ctrl(size=0, inc_read=False, ring_sel=True,
                                        ring_size=_RING_BITS, treq_sel=dreq + 4 + rx_sm),
            trigger=True)
        self._tx_dma.config(
            read=self._tx, write=pio + _TXF0 + 4 * tx_sm, count=0,
            ctrl=self._tx_dma.pack_ctrl(size=0, inc_write=False, ring_sel=False,
                                        ring_size=_RING_BITS, treq_sel=dreq + tx_sm))
        self._rx_sm.active(1)
        self._tx_sm.active(1)
        # Instruction 0 of the transmitter, as seen while it has nothing to do.
        while _load(self._flevel) >> self._tx_shift & 15:
            pass
        self._idle_pc = _load(self._tx_pc)

    def any(self):
        """Bytes received and not yet read (0.._RING - 1; more than that were overwritten)."""
        if not _load(self._rx_regs + _AL1_CTRL) & _BUSY:
            _store(self._rx_regs + _AL1_TRANS_COUNT_TRIG, _FOREVER)
        return (_load(self._rx_regs + _WRITE_ADDR) - self._rx_base - self._tail) & _MASK

    def readinto(self, buf):
        """Fill *buf* with what was received; returns the count, None when there is nothing."""
        count = min(self.any(), len(buf))
        if not count:
            return None
        _copy_out(self._rx, self._tail, buf, count)
        self._tail = (self._tail + count) & _MASK
        return count

    def write(self, buf):
        """Take as much of *buf* as there is room for; returns how much that was."""
        self._pump()
        done = (_load(self._tx_regs + _READ_ADDR) - self._head - 1) & _MASK
        count = min(done, len(buf))
        _copy_in(self._tx, self._head, buf, count)
        self._head = (self._head + count) & _MASK
        self._pump()
        return count

    def txdone(self):
        """True when the last stop bit is out. Call it (or write) now and then while sending."""
        self._pump()
        return (self._head == self._sent
                and not _load(self._tx_regs + _AL1_CTRL) & _BUSY
                and not _load(self._flevel) >> self._tx_shift & 15
                and _load(self._tx_pc) == self._idle_pc)

    def _pump(self):
        """Give DMA what was written since it was started last, once it is through with that."""
        count = (self._head - self._sent) & _MASK
        if count and not _load(self._tx_regs + _AL1_CTRL) & _BUSY:
            self._sent = self._head
            _store(self._tx_regs + _AL1_TRANS_COUNT_TRIG, count)
