"""Port module of the simulated board: what port_rp2 and port_esp32 are on theirs.

Ticks start 20 s before they wrap, so that every run of some length crosses the wrap.
"""

import gc

import machine
from machine import hw
from slots_sim import SimSlots

NAME = "sim"
AFE_SPI = 0
AUX_SPI = 1
PCS_UART = 0
PAR_UART = 1
I2C = 1
FILE_SECTORS = 64
LOG_SECTORS = 32
SLOT_BYTES = 864 * 1024
FOLDER = "/packctl-flash"

_PERIOD = 1 << 30
_MASK = _PERIOD - 1
_HALF = _PERIOD >> 1

stand = machine.NullStand()
ticks_start_ms = _PERIOD - 20_000
boot_us = 0                 # clock at the last boot: the ticks of a chip begin with it
stopped_us = -1             # -1: the ticks go on | clock at which they stopped
skip = None                 # None | the worker's: lets time pass at one go while nothing happens
profile = None              # None: the firmware's default | name of the profile to run
wait_us = hw.clock.advance
_clock = hw.clock
_advance = hw.clock.advance


def attach(new_stand):
    """Connect *new_stand* to the pins; the worker does this before each boot."""
    global stand
    stand = new_stand
    hw.attach(new_stand)


def boot(now_us):
    """The chip leaves reset at *now_us*."""
    global boot_us, stopped_us
    boot_us = now_us
    stopped_us = -1
    _slots.boot()


def stop_clock(stopped):
    """The chip's timer stands still: ticks do, and its interrupt comes no more."""
    global stopped_us
    stopped_us = _clock.now_us if stopped else -1
    hw.interrupt_us = machine.NEVER_US


def _now_us():
    _advance(1)
    return (_clock.now_us if stopped_us < 0 else stopped_us) - boot_us


def ticks_ms():
    return (_now_us() // 1000 + ticks_start_ms) & _MASK


def ticks_us():
    return (_now_us() + ticks_start_ms * 1000) & _MASK


def ticks_add(ticks, delta):
    return (ticks + delta) & _MASK


def ticks_diff(later, earlier):
    return ((later - earlier + _HALF) & _MASK) - _HALF


def idle_until(ticks):
    """Sleep until ticks_ms() is *ticks*; returns at once if that is past."""
    if stopped_us >= 0:
        _advance(1000)      # something else woke it
        return
    elapsed_ms = (_clock.now_us - boot_us) // 1000
    ahead_ms = ((ticks - elapsed_ms - ticks_start_ms + _HALF) & _MASK) - _HALF
    if skip is not None and skip():
        return
    if ahead_ms > 0:
        _clock.advance_to(boot_us + (elapsed_ms + ahead_ms) * 1000)
    else:
        _advance(1)         # a loop that never has to wait still lets time pass


def sleep_ms(ms):
    _advance(ms * 1000)


def afe_spi(spi):
    return spi


def debug_uart():
    return machine.UART("debug", baudrate=115_200, rxbuf=1024, txbuf=2048)


def set_baud(uart, number, baud):
    """Another rate for *uart*, whose transmitter is idle."""
    uart.init(baudrate=baud)


def wdt(ms):
    return machine.WDT(timeout=ms)


def dead_man(bothoff):
    """The firmware's own DeadMan, with an interrupt of the simulated chip."""
    from dead_man import PERIOD_MS, WATCHDOG_MS, DeadMan
    dead = DeadMan(machine.WDT(timeout=WATCHDOG_MS).feed, bothoff)
    hw.interrupt_each(PERIOD_MS * 1000, dead.interrupt)
    return dead


def survivor():
    """Bytes that a watchdog reset leaves alone; power-on and the reset line clear them."""
    return hw.survivor


def heartbeat(extra):
    return machine.Pin("HEARTBEAT", machine.Pin.OUT, value=0)


def unique_id():
    return machine.unique_id()


def reset_cause():
    return machine.reset_cause()


def reset():
    machine.reset()


def heap_free():
    """Free heap in bytes; CPython has no such number and answers a constant."""
    return gc.mem_free() if hasattr(gc, "mem_free") else 200_000


def limiter(extra):
    return machine.Pin("LIMITER", machine.Pin.OUT, value=0)


def buzzer(extra):
    return machine.Pin("BUZZER", machine.Pin.OUT, value=0)


def ram():
    """A block of the heap stands for the chip's memory."""
    from memory_tests import RamBlock       # the firmware's: it is found once that has begun
    return RamBlock(8, 32)


def program():
    """Constant bytes stand for the image in flash."""
    from memory_tests import Constants
    return Constants(bytes(range(256)), 32)


class Files:
    """The small files of the board, as its own file system would keep them; full on demand."""

    def __init__(self):
        self._files = None

    def mount(self, files):
        self._files = files

    def read(self, name):
        return self._files.read(name) if self._files else None

    def write(self, name, data):
        if hw.flash_full or not self._files:
            raise OSError(28)
        self._files.write(name, data)


class LittleFiles:
    """Files of the littlefs that is mounted on FOLDER."""

    def read(self, name):
        try:
            with open(FOLDER + "/" + name, "rb") as file:
                return file.read()
        except OSError:
            return None

    def write(self, name, data):
        with open(FOLDER + "/" + name, "wb") as file:
            file.write(data)


_slots = SimSlots(SLOT_BYTES, hw.clock.advance)


def image_slots():
    """Two places for an image; what is in them is never run here."""
    return _slots


files = Files()
_parts = []                 # partitions of this start: dead after it


def mount(partition, plain_files):
    """Find the file system again after a reset. It is littlefs where the interpreter has that."""
    for part in _parts:
        part.dead = True
    _parts.clear()
    system = partition(0, FILE_SECTORS)
    _parts.append(system)
    _parts.append(partition(FILE_SECTORS, LOG_SECTORS))
    try:
        from vfs import VfsLfs2
    except ImportError:         # CPython, and MicroPython in a browser
        files.mount(plain_files(system, hw.file_names))
        return
    import vfs
    try:
        vfs.umount(FOLDER)
    except OSError:
        pass
    try:
        made = VfsLfs2(system, progsize=256)
    except OSError:
        VfsLfs2.mkfs(system, progsize=256)
        made = VfsLfs2(system, progsize=256)
    vfs.mount(made, FOLDER)
    files.mount(LittleFiles())


def kill_flash():
    """The chip is off or in reset: what still closes files does not reach the flash."""
    for part in _parts:
        part.dead = True


def log_region():
    """Flash for the event records."""
    from region import BlockRegion
    return BlockRegion(_parts[1])


def rest(rests):
    """A simulated clock runs as it does."""


def crashed(error):
    """The bench wants to know of it."""
    raise error


def prompt():
    """A person at the prompt who types nothing: time passes until a reset."""
    while True:
        _advance(1_000_000)


def usb_uart():
    """As quick as USB is: a port of its own at 1 Mbit/s."""
    return machine.UART("usb", baudrate=1_000_000, rxbuf=512, txbuf=256)
