"""Shows the eight inputs of a TCA9534 on I2C 1 (SDA 6, SCL 7)."""

import sys

from packctl_drivers.tca9534 import TCA9534


def main(i2c):
    inputs = TCA9534(i2c)
    levels = inputs.read()          # -1 if the chip does not answer
    print("no answer" if levels < 0 else "inputs: %s" % bin(levels))
    return levels


def on_a_pico():
    from machine import I2C, Pin
    main(I2C(1, sda=Pin(6), scl=Pin(7)))


if sys.platform == "rp2":
    on_a_pico()
