"""Reads the cells of a BQ76952 on SPI 0 (SCK 18, MOSI 19, MISO 16, CS 17)."""

import sys
import time

from packctl_drivers.bq76952 import BQ76952
from packctl_drivers.bq76952_map import CELL_1


def main(spi, cs, wait=time.sleep_us):
    afe = BQ76952(spi, cs, wait)
    afe.identify()                  # AfeError unless it is a BQ76952
    while not afe.scan():           # a chip that has just started answers late
        wait(100_000)
    cells_mv = [afe.regs[CELL_1 + 2 * i] | afe.regs[CELL_1 + 2 * i + 1] << 8 for i in range(16)]
    print("cells in mV:", cells_mv)
    return cells_mv


def on_a_pico():
    from machine import SPI, Pin
    main(SPI(0, baudrate=1_000_000, sck=Pin(18), mosi=Pin(19), miso=Pin(16)),
         Pin(17, Pin.OUT, value=1))


if sys.platform == "rp2":
    on_a_pico()
