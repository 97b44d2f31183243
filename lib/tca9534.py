"""TCA9534: eight inputs on I2C. Source: its data sheet, register table."""

import micropython
from micropython import const

ADDRESS = const(0x20)           # A2..A0 low
_INPUT = b"\x00"


class TCA9534:
    """The input side of one TCA9534, whose pins are inputs from power-on.

    i2c     writeto(address, buf), readfrom_into(address, buf); they raise OSError
    errors  reads that nobody answered
    """

    def __init__(self, i2c, address=ADDRESS):
        self._i2c = i2c
        self._address = address
        self._select = bytearray(_INPUT)
        self._buf = bytearray(1)
        self._selected = False      # the chip's pointer stays where it was put
        self.errors = 0

    @micropython.native
    def read(self):
        """Levels of the eight pins, bit 0 first; -1 if the chip does not answer."""
        try:
            if not self._selected:
                self._i2c.writeto(self._address, self._select)
                self._selected = True
            self._i2c.readfrom_into(self._address, self._buf)
        except OSError:
            self._selected = False
            self.errors += 1
            return -1
        return self._buf[0]
