"""A light that runs over two 74HC595 on SPI 1 (SCK 10, MOSI 11, both RCLK 15)."""

import sys
import time

from packctl_drivers.hc595 import ShiftRegisters


def main(spi, latch, rounds=1, wait=time.sleep_us):
    outputs = ShiftRegisters(spi, latch)
    for _ in range(rounds):
        for bit in range(16):
            outputs.show(1 << bit)
            wait(50_000)
    outputs.show(0)
    return outputs


def on_a_pico():
    from machine import SPI, Pin
    main(SPI(1, baudrate=4_000_000, sck=Pin(10), mosi=Pin(11), miso=Pin(12)),
         Pin(15, Pin.OUT, value=0), 10)


if sys.platform == "rp2":
    on_a_pico()
