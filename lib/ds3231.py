"""Analog Devices DS3231 real-time clock on I2C (data sheet rev. 10: figure 1, status register).

Registers: 00 seconds, 01 minutes, 02 hours (bit 6: 12-hour mode, then bit 5 is PM), 03 weekday,
04 date, 05 month (bit 7 century), 06 year, all BCD; 0E control (bit 7 EOSC: 1 stops the
oscillator on battery), 0F status (bit 7 OSF: the oscillator has stopped).
"""

from micropython import const

from bcd import from_bcd, to_bcd

NAME = "DS3231"
_ADDRESS = const(0x68)
_SECONDS = const(0x00)
_CONTROL = const(0x0E)
_EOSC = const(0x80)
_OSF = const(0x80)
_STATUS = const(15)
_12_HOURS = const(0x40)
_PM = const(0x20)


class DS3231:
    """The chip on *i2c*. Every method raises OSError if it does not answer."""

    name = NAME

    def __init__(self, i2c):
        self._i2c = i2c
        self._regs = bytearray(16)

    def read(self, out):
        """Put year, month, day, hour, minute, second into *out* (a list of 6).

        Returns False if the oscillator has stopped since it was set, or would on battery.
        All are read in one go: the chip hands out what it latched at the start.
        """
        regs = self._regs
        self._i2c.readfrom_mem_into(_ADDRESS, _SECONDS, regs)
        hours = regs[2]
        if hours & _12_HOURS:
            hour = from_bcd(hours & 0x1F) % 12 + (12 if hours & _PM else 0)
        else:
            hour = from_bcd(hours & 0x3F)
        out[0] = 2000 + from_bcd(regs[6])
        out[1] = from_bcd(regs[5] & 0x1F)
        out[2] = from_bcd(regs[4] & 0x3F)
        out[3] = hour
        out[4] = from_bcd(regs[1] & 0x7F)
        out[5] = from_bcd(regs[0] & 0x7F)
        return not (regs[_STATUS] & _OSF or regs[_CONTROL] & _EOSC)

    def write(self, year, month, day, hour, minute, second):
        """Set the time, then let the oscillator run on battery and clear OSF."""
        i2c = self._i2c
        i2c.writeto_mem(_ADDRESS, _SECONDS, bytes((
            to_bcd(second), to_bcd(minute), to_bcd(hour), 1, to_bcd(day), to_bcd(month),
            to_bcd(year - 2000))))
        i2c.readfrom_mem_into(_ADDRESS, _SECONDS, self._regs)
        i2c.writeto_mem(_ADDRESS, _CONTROL, bytes((
            self._regs[_CONTROL] & ~_EOSC & 0xFF, self._regs[_STATUS] & ~_OSF & 0xFF)))
