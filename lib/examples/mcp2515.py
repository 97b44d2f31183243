"""Sends a frame with an MCP2515 on SPI 1 (SCK 10, MOSI 11, MISO 12, CS 13, INT 14)."""

import sys
import time

from packctl_drivers.mcp2515 import MCP2515


def main(spi, cs, interrupt, wait=time.sleep_us, ticks_us=time.ticks_us):
    can = MCP2515(spi, cs, interrupt, wait, ticks_us)
    can.init(500_000)               # OSError if nobody answers
    print("crystal in Hz:", can.crystal_hz)
    can.set_filters(None)           # receive everything
    can.send(0x123, b"hello")
    wait(1000)
    frame = can.recv()
    print("received:", frame and (hex(frame[0]), bytes(frame[1])))
    return can.crystal_hz


def on_a_pico():
    from machine import SPI, Pin
    main(SPI(1, baudrate=4_000_000, sck=Pin(10), mosi=Pin(11), miso=Pin(12)),
         Pin(13, Pin.OUT, value=1), Pin(14, Pin.IN))


if sys.platform == "rp2":
    on_a_pico()
