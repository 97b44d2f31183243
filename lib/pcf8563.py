"""NXP PCF8563 real-time clock on I2C (data sheet rev. 11: tables 5 to 14).

Registers: 00 control 1 (bit 5 STOP), 02 seconds (bit 7 VL: the time is not guaranteed), 03
minutes, 04 hours, 05 days, 06 weekdays, 07 months (bit 7 century), 08 years; all BCD.
"""

from micropython import const

from bcd import from_bcd, to_bcd

NAME = "PCF8563"
_ADDRESS = const(0x51)
_CONTROL = const(0x00)
_SECONDS = const(0x02)
_STOP = const(0x20)
_VL = const(0x80)


class PCF8563:
    """The chip on *i2c*. Every method raises OSError if it does not answer."""

    name = NAME

    def __init__(self, i2c):
        self._i2c = i2c
        self._regs = bytearray(7)

    def read(self, out):
        """Put year, month, day, hour, minute, second into *out* (a list of 6).

        Returns False if the oscillator stopped or the supply was too low since it was set.
        All are read in one go: the chip holds the time still meanwhile.
        """
        regs = self._regs
        self._i2c.readfrom_mem_into(_ADDRESS, _SECONDS, regs)
        out[0] = 2000 + from_bcd(regs[6])
        out[1] = from_bcd(regs[5] & 0x1F)
        out[2] = from_bcd(regs[3] & 0x3F)
        out[3] = from_bcd(regs[2] & 0x3F)
        out[4] = from_bcd(regs[1] & 0x7F)
        out[5] = from_bcd(regs[0] & 0x7F)
        return not regs[0] & _VL

    def write(self, year, month, day, hour, minute, second):
        """Set the time; the chip stands still while it is written, and VL is cleared."""
        i2c = self._i2c
        i2c.writeto_mem(_ADDRESS, _CONTROL, bytes((_STOP,)))
        i2c.writeto_mem(_ADDRESS, _SECONDS, bytes((
            to_bcd(second), to_bcd(minute), to_bcd(hour), to_bcd(day), 0, to_bcd(month),
            to_bcd(year - 2000))))
        i2c.writeto_mem(_ADDRESS, _CONTROL, b"\x00")
