"""PIO blocks of the emulated Pico in compiled code, for pins that a bus master drives fast.

AlarmPio (emu_periph.py) steps each instruction by an alarm of the clock, which is right for lines
with a pace of their own and takes 1.5 s for a scan of 61 SPI frames. CompiledPio runs the same
instructions in emu_pio.c, and spi() puts whole bytes on the pins, edge by edge. Its machines move
when something reaches the block: a level, a byte, a register. So it is for programs that wait for
pins and FIFOs; one that makes a wave by itself keeps AlarmPio.
"""

import ctypes
import pathlib

from rp2040py.peripherals.peripheral import BasePeripheral

import emu_core

_SOURCE = pathlib.Path(__file__).with_name("emu_pio.c")
_FP_PER_NS = 32                         # 1/256 of a clock of 8 ns


class _Machine(ctypes.Structure):
    """`struct machine` of emu_pio.c."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in (
            "enabled", "clkdiv", "exec_ctrl", "shift_ctrl", "pin_ctrl", "x", "y", "pc", "isr",
            "isr_count", "osr", "osr_count", "forced", "is_forced", "irq_wait")),
        ("rx", ctypes.c_uint32 * 8),
        *((name, ctypes.c_uint32) for name in ("rx_at", "rx_used", "rx_size")),
        ("tx", ctypes.c_uint32 * 8),
        *((name, ctypes.c_uint32) for name in ("tx_at", "tx_used", "tx_size")),
        ("due", ctypes.c_uint64),
    ]


class _Pio(ctypes.Structure):
    """`struct pio` of emu_pio.c."""

    _fields_ = [
        ("program", ctypes.c_uint32 * 32),
        *((name, ctypes.c_uint32) for name in (
            "irq", "fdebug", "inputs", "values", "directions")),
        ("inte", ctypes.c_uint32 * 2), ("intf", ctypes.c_uint32 * 2),
        ("now", ctypes.c_uint64), ("machine", _Machine * 4),
    ]


def library():
    """emu_pio.c compiled and loaded; None without a compiler."""
    made = emu_core.compiled(_SOURCE)
    if made is None:
        return None
    made.pio_run.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    for name in ("pio_read", "pio_spi", "pio_requests", "pio_size"):
        getattr(made, name).restype = ctypes.c_uint32
    return made


class CompiledPio(BasePeripheral):
    """In place of chip.pio[index] of *pico*."""

    machines = ()                       # for rp2040py's pins, which tell waiting machines

    def __init__(self, pico, old, made):
        super().__init__(pico.chip, old.name)
        self.clock = pico.clock
        self.index = old.index
        self._first_irq = old.first_irq
        self._lib = made
        self._pio = _Pio()
        if made.pio_size() != ctypes.sizeof(_Pio):
            raise RuntimeError("emu_pio.c and emu_pio.py do not fit together")
        self._ref = ctypes.byref(self._pio)
        self._requests = 0
        self._shown = (0, 0)
        self.stopped = True             # for rp2040py's loop, always
        self.reset()

    @property
    def pin_values(self):
        return self._pio.values

    @property
    def pin_directions(self):
        return self._pio.directions

    def reset(self):
        self._lib.pio_reset(self._ref)
        self._tell()

    def advance(self, cycles):
        """rp2040py's own loop asks for this; time comes from the clock here."""

    def _catch_up(self):
        now = int(self.clock.nanos * _FP_PER_NS)
        if now > self._pio.now:
            self._lib.pio_run(self._ref, now)

    def _tell(self):
        """Tell DMA, the interrupt controller and the pins what has changed."""
        chip = self.rp2040
        requests = self._lib.pio_requests(self._ref)
        changed = requests ^ self._requests
        if changed:
            self._requests = requests
            dma = chip.dma
            for bit in range(8):        # 0 to 3: transmit, 4 to 7: receive, as DREQ numbers are
                if changed >> bit & 1:
                    (dma.set_dreq if requests >> bit & 1 else dma.clear_dreq)(8 * self.index + bit)
            for line in (0, 1):
                if changed >> 8 + line & 1:
                    chip.set_interrupt(self._first_irq + line, bool(requests >> 8 + line & 1))
        shown = self._pio.values, self._pio.directions
        if shown != self._shown:
            moved = (shown[0] ^ self._shown[0]) | (shown[1] ^ self._shown[1])
            self._shown = shown
            for pin in range(30):
                if moved >> pin & 1:
                    chip.gpio[pin].check_for_updates()

    def read_uint32(self, offset):
        self._catch_up()
        value = self._lib.pio_read(self._ref, offset)
        self._tell()
        return value

    def write_uint32(self, offset, value):
        self._catch_up()
        self._lib.pio_write(self._ref, offset, value & 0xFFFFFFFF,
                            self.raw_write_value & 0xFFFFFFFF)
        self._tell()

    # -- the pins, from outside

    def input(self, pin, level):
        """A level comes to *pin*."""
        bit = 1 << pin
        if bool(self._pio.inputs & bit) != bool(level):
            self._catch_up()
            self._lib.pio_input(self._ref, bit, int(bool(level)))
            self._tell()

    def spi(self, sck, mosi, miso, data, bits, half_cycles):
        """*bits* bits of *data* from a master, each two half periods of so many clocks.

        sck, mosi, miso   masks of the pins; 0: no wire
        returns           what the master reads; 1 where nobody drives the line
        """
        self._catch_up()
        read = self._lib.pio_spi(self._ref, sck, mosi, miso, data, bits, half_cycles)
        self._tell()
        return read
