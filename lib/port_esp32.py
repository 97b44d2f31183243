"""What differs on the ESP32 (WROOM-32): peripheral numbers, time, sleeping, the watchdog."""

import gc
import time

import machine
from esp32 import Partition

from dead_man import PERIOD_MS, WATCHDOG_MS, DeadMan
from image_slots_esp32 import PartitionSlots
from memory_tests import RamBlock
from region import BlockRegion, FileRegion
from slots import FlashFiles, Slots

NAME = "PACKCTL_ESP32"
AFE_SPI = 2                 # VSPI, its own pins
AUX_SPI = 1                 # HSPI
PCS_UART = 1
PAR_UART = 2
I2C = 0

ticks_ms = time.ticks_ms
ticks_us = time.ticks_us
heap_free = gc.mem_free
unique_id = machine.unique_id
reset_cause = machine.reset_cause
files = FlashFiles()

_mark = bytearray(12)
_LOG_FILES = 40


def log_region():
    """Flash for the event records: a data partition called "log", else files."""
    found = Partition.find(Partition.TYPE_DATA, label="log")
    return BlockRegion(found[0]) if found else FileRegion("", _LOG_FILES)


def image_slots():
    """PartitionSlots of an image that runs in one of two OTA partitions, None: it does not."""
    try:
        if Partition(Partition.RUNNING).info()[1] & 0xF0 != 0x10:   # type: ignore[arg-type]  # or a name
            return None
        return PartitionSlots(Partition, Slots(files, "trial"))
    except OSError:
        return None


def afe_spi(spi):
    """The SPI to the AFE, as it is."""
    return spi


def wait_us(us):
    """Wait; the gap between AFE frames is too short to sleep in."""
    time.sleep_us(us)


def idle_until(ticks):
    """Sleep until ticks_ms() is *ticks*; other threads and interrupts are served meanwhile."""
    ahead_ms = time.ticks_diff(ticks, time.ticks_ms())
    if ahead_ms > 0:
        time.sleep_ms(ahead_ms)


def set_baud(uart, number, baud):
    """Another rate for *uart* (UART *number*), whose transmitter is idle."""
    uart.init(baudrate=baud)


def debug_uart():
    """RS232 on UART0, shared with the prompt until main.py takes it."""
    return machine.UART(0, baudrate=115200, tx=machine.Pin("DBG_TX"), rx=machine.Pin("DBG_RX"),
                        rxbuf=1024, txbuf=2048, timeout=0)


def dead_man(bothoff):
    """What feeds the task watchdog and guards *bothoff*. Both run from here on.

    machine.Timer's callback is not called within a hanging function written in C, nor between two
    erases of one write: the watchdog alone is there then.
    """
    dead = DeadMan(machine.WDT(timeout=WATCHDOG_MS).feed, bothoff)
    machine.Timer(0).init(period=PERIOD_MS, mode=machine.Timer.PERIODIC,
                          callback=lambda timer: dead.interrupt())
    return dead


def survivor():
    """RAM: the ESP32 keeps nothing of it over a watchdog reset, so no task is named then."""
    return _mark


def ram():
    """Memory that Python can test here: a block of the heap."""
    return RamBlock(8, 128)


def program():
    """The bootloader checks the image's hash at each start; nothing of it is read from Python."""
    return None


def heartbeat(extra):
    """The board's own lamp: bit 11 of the lamp driver. *extra* sets such a bit."""
    return lambda level: extra(11, level)


def limiter(extra):
    """The output that inserts the charge limiter: bit 10 of the lamp driver."""
    return lambda level: extra(10, level)


def buzzer(extra):
    """The buzzer: bit 9 of the lamp driver."""
    return lambda level: extra(9, level)


def rest(rests):
    """80 MHz are enough for looking around; the UARTs and buses do not run from this clock."""
    machine.freq(80_000_000 if rests else 160_000_000)


def crashed(error):
    """The main loop ended with *error*, which is on record: start anew."""
    machine.reset()


def prompt():
    """The firmware is left for the prompt on UART0: returning from main.py gets there. The task
    watchdog cannot be stopped, but is fed by the dead man's switch for ten minutes."""


def usb_uart():
    """There is none: a board's USB plug leads to UART0, which is the debug port."""
    return None
