"""What differs on the RP2040: peripheral numbers, time, sleeping, the third UART, the watchdog."""

import gc
import time

import machine
import micropython
import rp2
import uctypes

import flash_map_rp2 as flash_map
import flash_rp2
import memory_rp2
import prompt_rp2
from dead_man_rp2 import DeadMan
from idle_rp2 import idle_until, wait_us  # noqa: F401 - part of this port
from image_slots import ImageSlots
from pio_uart import PioUart
from region import BlockRegion, FileRegion
from slots import FlashFiles
from spi_rp2 import FrameSpi
from usb_rp2 import UsbPort

NAME = "PACKCTL_PICO"
AFE_SPI = 0
AUX_SPI = 1
PCS_UART = 0
PAR_UART = 1
I2C = 1

_WATCHDOG_SCRATCH0 = 0x4005800C     # 0..3 are free; the SDK uses 4..7
_WATCHDOG_SCRATCH3 = 0x40058018     # the boot stage's: a trial that was begun

ticks_ms = time.ticks_ms
ticks_us = time.ticks_us
heap_free = gc.mem_free
unique_id = machine.unique_id
reset_cause = machine.reset_cause
files = FlashFiles()
ram = memory_rp2.Ram
program = memory_rp2.program

_LOG_FILES = 40


afe_spi = FrameSpi


def log_region():
    """Flash for the event records: a part of its own, else files.

    This board's image has that part (flash_map_rp2.py); an official one gives all to the file
    system.
    """
    if flash_rp2.is_ours():
        return BlockRegion(rp2.Flash(                   # type: ignore[call-arg] # not in the stubs
            start=flash_map.RECORDS - flash_map.STORAGE))
    return FileRegion("", _LOG_FILES)


def image_slots():
    """ImageSlots of an image that runs in one of them, None: it came in another way."""
    running = flash_rp2.running_slot()
    if running < 0:
        return None
    return ImageSlots(flash_rp2.WholeFlash(), flash_map, running,
                      machine.mem32[_WATCHDOG_SCRATCH3] & 0xFFFFFFFF)


def debug_uart():
    """RS232 on PIO: both hardware UARTs are RS485's."""
    return PioUart(machine.Pin("DBG_TX"), machine.Pin("DBG_RX"), 115200)


@micropython.viper
def _divisor(number: int, baud: int, at_9600: int) -> int:
    """Set the rate of the idle UART *number*; returns its divisor (64ths) at 9600 bit/s.

    Its buffers stay as they are: UART.init() would take new ones from the heap.
    """
    uart = ptr32(int(0x40034000) + number * 0x4000)
    if at_9600 == 0:
        at_9600 = uart[9] * 64 + uart[10]       # IBRD, FBRD as machine.UART has set them
    divisor = at_9600 * 9600 // baud
    control = uart[12]
    uart[12] = 0
    uart[9] = divisor >> 6
    uart[10] = divisor & 63
    uart[11] = uart[11]                         # LCR_H: the divisor is taken when it is written
    uart[12] = control
    return at_9600


_at_9600 = 0


def set_baud(uart, number, baud):
    """Another rate for *uart* (UART *number*, begun at 9600), whose transmitter is idle."""
    global _at_9600
    _at_9600 = _divisor(number, baud, _at_9600)


def dead_man(bothoff):
    """What feeds the hardware watchdog and guards *bothoff*. Both run from here on."""
    return DeadMan(bothoff)


def survivor():
    """Memory that outlives a watchdog reset, laid over scratch registers of the watchdog.

    Bytes 0 and 8 are used: a byte that is written there is repeated in its whole register. The
    one between belongs to the bench (tools/load/on_device/device.py).
    """
    return uctypes.bytearray_at(_WATCHDOG_SCRATCH0, 12)


def heartbeat(extra):
    """The board's own lamp."""
    return machine.Pin("HEARTBEAT", machine.Pin.OUT, value=0)


def limiter(extra):
    """The output that inserts the charge limiter."""
    return machine.Pin("LIMITER", machine.Pin.OUT, value=0)


def buzzer(extra):
    """The buzzer: one that sounds by itself while its pin is high."""
    return machine.Pin("BUZZER", machine.Pin.OUT, value=0)


def rest(rests):
    """Between interrupts the core stands in WFI anyway. Its clock stays: the UARTs and the PIO
    that hear the ways out of sleep run from it."""


def crashed(error):
    """The main loop ended with *error*, which is on record: start anew."""
    machine.reset()


def prompt():
    """The firmware is left for the prompt: returning from main.py gets there."""
    usb.forget()
    print("\npackctl: the firmware is stopped and both FETs are off. machine.reset() starts it "
          "again; so do 10 minutes without input.")
    prompt_rp2.enter()


def usb_uart():
    """The USB serial port, which is a second debug port (COM-10)."""
    return usb


usb = UsbPort()
