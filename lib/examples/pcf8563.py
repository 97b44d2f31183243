"""Shows the time of a PCF8563 on I2C 1 (SDA 6, SCL 7)."""

import sys
import time

from packctl_drivers.civil import text_of
from packctl_drivers.clock import Clock
from packctl_drivers.pcf8563 import PCF8563


def main(i2c, now_ms=time.ticks_ms):
    clock = Clock([PCF8563(i2c)])
    clock.start(now_ms())
    seconds = clock.now_s(now_ms())         # since 2020-01-01; 0: not known
    print(text_of(seconds) if seconds else "the clock was never set, or does not answer")
    return seconds


def on_a_pico():
    from machine import I2C, Pin
    main(I2C(1, sda=Pin(6), scl=Pin(7)))


if sys.platform == "rp2":
    on_a_pico()
