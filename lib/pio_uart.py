"""A UART out of two PIO state machines and two DMA channels (RP2040).

Bytes move without the core: received ones into a ring that DMA writes and this reader follows,
sent ones from a ring that DMA reads. Nothing is allocated after __init__, no interrupt is used.
"""

import machine
import micropython
import rp2
import uctypes
from micropython import const

_RX_BITS = const(10)
_RX_RING = const(1 << _RX_BITS)
_RX_MASK = const(_RX_RING - 1)
_TX_BITS = const(11)                    # holds the longest reply, 1024 bytes and its frame
_TX_RING = const(1 << _TX_BITS)
_TX_MASK = const(_TX_RING - 1)
_CYCLES_PER_BIT = const(8)
_FOREVER = const(0x3FFFFFFF)            # transfers: 25 hours of solid traffic, then started again


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


# Register addresses are beyond MicroPython's small integers, so sums of them stay inside viper.

@micropython.viper
def _dma_busy(channel: int) -> int:
    dma = ptr32(int(0x50000000) + channel * 0x40)
    return (dma[4] >> 24) & 1               # AL1_CTRL.BUSY


@micropython.viper
def _dma_start(channel: int, count: int):
    dma = ptr32(int(0x50000000) + channel * 0x40)
    dma[7] = count                          # AL1_TRANS_COUNT_TRIG


@micropython.viper
def _rx_level(channel: int, base: int, tail: int) -> int:
    """Bytes between *tail* and where DMA writes next; restarts DMA once its count is used up."""
    dma = ptr32(int(0x50000000) + channel * 0x40)
    if not (dma[4] & 0x1000000):
        dma[7] = _FOREVER
    return (dma[1] - base - tail) & _RX_MASK


@micropython.viper
def _tx_room(channel: int, base: int, head: int) -> int:
    dma = ptr32(int(0x50000000) + channel * 0x40)
    return (dma[0] - base - head - 1) & _TX_MASK


@micropython.viper
def _tx_state(sm: int) -> int:
    """Program counter of a transmitter, 32 while its FIFO still holds something."""
    pio = ptr32(int(0x50200000) + (sm >> 2) * 0x100000)
    sm &= 3
    if (pio[3] >> (8 * sm)) & 15:           # FLEVEL
        return 32
    return pio[0x35 + 6 * sm] & 31          # SMn_ADDR


@micropython.viper
def _copy_out(ring: ptr8, tail: int, target: ptr8, count: int):
    for i in range(count):
        target[i] = ring[(tail + i) & _RX_MASK]


@micropython.viper
def _copy_in(ring: ptr8, head: int, source: ptr8, offset: int, count: int):
    for i in range(count):
        ring[(head + i) & _TX_MASK] = source[offset + i]


class PioUart:
    """8N1 UART on any two pins.

    tx, rx   machine.Pin objects
    sm       number of the first of two state machines, 0 or 2 of PIO 0, 4 or 6 of PIO 1

    Takes 5 kB of RAM, two DMA channels and 24 of a PIO's 32 instructions.
    """

    def __init__(self, tx, rx, baudrate=115200, sm=0):
        tx.init(machine.Pin.OUT, value=1)
        rx.init(machine.Pin.IN, machine.Pin.PULL_UP)
        hz = baudrate * _CYCLES_PER_BIT
        self._sm = sm
        self._tx_sm = rp2.StateMachine(sm, _transmit, freq=hz, out_base=tx, set_base=tx)
        self._rx_sm = rp2.StateMachine(sm + 1, _receive, freq=hz, in_base=rx, jmp_pin=rx)
        # A DMA ring lies at a multiple of its size; the smaller one fits behind the larger.
        room = memoryview(bytearray(2 * _TX_RING - 1 + _RX_RING))
        at = -uctypes.addressof(room) & _TX_MASK
        self._tx = room[at:at + _TX_RING]
        self._rx = room[at + _TX_RING:at + _TX_RING + _RX_RING]
        self._tx_base = uctypes.addressof(self._tx)
        self._rx_base = uctypes.addressof(self._rx)
        self._tail = 0                      # next byte of the RX ring to hand out
        self._head = 0                      # where the next byte to send goes
        self._sent = 0                      # end of what DMA was told to send

        self._rx_dma = rp2.DMA()
        self._tx_dma = rp2.DMA()
        self._rx_ch = self._rx_dma.channel
        self._tx_ch = self._tx_dma.channel
        fifos = 0x50200010 + (sm >> 2) * 0x100000 + 4 * (sm & 3)
        dreq = (sm >> 2) * 8 + (sm & 3)
        self._rx_dma.config(                # a byte shifted in from the left lies in lane 3
            read=fifos + 0x10 + 4 + 3, write=self._rx, count=_FOREVER,
            ctrl=self._rx_dma.pack_ctrl(size=0, inc_read=False, ring_sel=True,
                                        ring_size=_RX_BITS, treq_sel=dreq + 4 + 1),
            trigger=True)
        self._tx_dma.config(
            read=self._tx, write=fifos, count=0,
            ctrl=self._tx_dma.pack_ctrl(size=0, inc_write=False, ring_sel=False,
                                        ring_size=_TX_BITS, treq_sel=dreq))
        self._rx_sm.active(1)
        self._tx_sm.active(1)
        self._idle_pc = _tx_state(sm)       # it waits at its first instruction

    @micropython.native
    def any(self):
        """Bytes received and not yet read. Read often enough: beyond 1023 they overwrite."""
        return _rx_level(self._rx_ch, self._rx_base, self._tail)

    def readinto(self, buf, most=4096):
        """Put at most *most* received bytes into *buf*; their count, None when there are none."""
        count = min(_rx_level(self._rx_ch, self._rx_base, self._tail), len(buf), most)
        if not count:
            return None
        _copy_out(self._rx, self._tail, buf, count)
        self._tail = (self._tail + count) & _RX_MASK
        return count

    def write(self, buf, offset=0, most=4096):
        """Take as much of *buf* from *offset* on as there is room for (2047 bytes) and *most*
        allows; returns how much that was."""
        count = min(_tx_room(self._tx_ch, self._tx_base, self._head), len(buf) - offset, most)
        _copy_in(self._tx, self._head, buf, offset, count)
        self._head = (self._head + count) & _TX_MASK
        self._pump()
        return count

    def txdone(self):
        """True when the last stop bit is out. Call it now and then while sending: it also goes
        on with what was written while DMA was busy."""
        if self._head != self._sent:
            self._pump()
            return False
        return not _dma_busy(self._tx_ch) and _tx_state(self._sm) == self._idle_pc

    def _pump(self):
        """Give DMA what was written since it was started, once it is through with that."""
        count = (self._head - self._sent) & _TX_MASK
        if count and not _dma_busy(self._tx_ch):
            self._sent = self._head
            _dma_start(self._tx_ch, count)
