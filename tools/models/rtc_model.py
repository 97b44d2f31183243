"""Clock chips on I2C: NXP PCF8563 and Analog Devices DS3231, with their own battery.

The counters follow the simulated time, with a drift in ppm. What stops or spoils them is set
from outside: dead (nobody answers), lost (the oscillator stopped), jump.
The time is latched when the register's number is written, and read from there.
Left out: alarms, timers, square wave, temperature, the 12-hour mode of the DS3231.

One source for CPython and MicroPython's unix port.
"""

_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
KINDS = ("pcf8563", "ds3231")
DEFAULT_TIME = "2026-01-01T00:00:00"


def parse_iso(text):
    """[year, month, day, hour, minute, second]; ValueError if *text* is no such time."""
    wrong = ValueError("clock: %r; a time such as \"2026-05-17T12:30:00\" in 2000 to 2099"
                       % (text,))
    if not isinstance(text, str):
        raise wrong
    if text.endswith("Z"):
        text = text[:-1]
    elif text.endswith("+00:00"):
        text = text[:-6]
    if "." in text:
        text = text.split(".")[0]
    try:
        date, time = (text.replace(" ", "T") + ("" if len(text) > 10 else "T00:00")).split("T")
        year, month, day = [int(part) for part in date.split("-")]
        parts = [int(part) for part in time.split(":")]
    except ValueError:
        raise wrong
    if len(parts) == 2:
        parts.append(0)
    if len(parts) != 3 or not 2000 <= year <= 2099 or not 1 <= month <= 12:
        raise wrong
    hour, minute, second = parts
    if not (1 <= day <= days_of(year, month) and 0 <= hour < 24 and 0 <= minute < 60
            and 0 <= second < 60):
        raise wrong
    return [year, month, day, hour, minute, second]


def days_of(year, month):
    return 29 if month == 2 and year % 4 == 0 else _DAYS[month - 1]


def _bcd(number):
    return number // 10 * 16 + number % 10


def _plain(byte):
    return (byte >> 4) * 10 + (byte & 15)


class Rtc:
    """What both chips have in common: a running calendar and a register pointer.

    dead   nobody answers on the bus
    ppm    how fast the crystal runs
    """

    registers = 16

    def __init__(self, now_us=0):
        self.dead = False
        self.ppm = 0.0
        self.lost = False           # the oscillator stopped since the time was set
        self.calendar = parse_iso(DEFAULT_TIME)
        self.weekday = 4
        self.ram = bytearray(self.registers)
        self._pointer = 0
        self._from_us = now_us      # the present second began here

    def runs(self):
        raise NotImplementedError

    def at(self, now_us):
        """Bring the calendar up to *now_us*."""
        if not self.runs():
            self._from_us = now_us
            return
        second_us = 1_000_000 / (1 + self.ppm / 1e6)
        count = int((now_us - self._from_us) // second_us)
        if count > 0:
            self._from_us += int(count * second_us)
            self._add(count)

    def _add(self, seconds):
        c = self.calendar
        total = (c[3] * 60 + c[4]) * 60 + c[5] + seconds
        days = total // 86400
        total -= days * 86400
        c[3], c[4], c[5] = total // 3600, total // 60 % 60, total % 60
        self.weekday = (self.weekday + days) % 7
        c[2] += days
        while c[2] > days_of(c[0], c[1]):
            c[2] -= days_of(c[0], c[1])
            c[1] += 1
            if c[1] > 12:
                c[1] = 1
                c[0] = c[0] + 1 if c[0] < 2099 else 2000
        while c[2] < 1:
            c[1] -= 1
            if c[1] < 1:
                c[1] = 12
                c[0] = c[0] - 1 if c[0] > 2000 else 2099
            c[2] += days_of(c[0], c[1])

    # -- what the bench does --------

    def show(self, text, now_us):
        """The chip shows this time from now on, and trusts it."""
        self.calendar = parse_iso(text)
        self._from_us = now_us
        self.lost = False

    def jump(self, seconds, now_us):
        self.at(now_us)
        self._add(int(seconds))

    def text(self, now_us):
        self.at(now_us)
        return "%04d-%02d-%02dT%02d:%02d:%02d" % tuple(self.calendar)

    # -- the bus --------

    def write(self, data):
        """Bytes after the address: register number, then contents. False: not acknowledged."""
        if self.dead:
            return False
        if data:
            self._pointer = data[0] % self.registers
            for byte in data[1:]:
                self.store(self._pointer, byte)
                self._pointer = (self._pointer + 1) % self.registers
        return True

    def read(self, count):
        if self.dead:
            return None
        out = bytearray(count)
        for i in range(count):
            out[i] = self.load(self._pointer)
            self._pointer = (self._pointer + 1) % self.registers
        return bytes(out)

    def _set(self, index, value, low, high):
        """A counter beyond its range is not refused by the chips: it is held here instead."""
        self.calendar[index] = min(max(value, low), high)


class Pcf8563(Rtc):
    """Address 0x51; unused bits read as they were left: here 1."""

    address = 0x51

    def runs(self):
        return not self.ram[0] & 0x20               # STOP

    def load(self, register):
        c = self.calendar
        if register == 2:
            return _bcd(c[5]) | (0x80 if self.lost else 0)
        if register == 3:
            return _bcd(c[4]) | 0x80
        if register == 4:
            return _bcd(c[3]) | 0xC0
        if register == 5:
            return _bcd(c[2]) | 0xC0
        if register == 6:
            return self.weekday | 0xF8
        if register == 7:
            return _bcd(c[1]) | 0x60
        if register == 8:
            return _bcd(c[0] - 2000)
        return self.ram[register]

    def store(self, register, byte):
        if register == 2:
            self.lost = bool(byte & 0x80)
            self._set(5, _plain(byte & 0x7F), 0, 59)
        elif register == 3:
            self._set(4, _plain(byte & 0x7F), 0, 59)
        elif register == 4:
            self._set(3, _plain(byte & 0x3F), 0, 23)
        elif register == 5:
            self._set(2, _plain(byte & 0x3F), 1, 31)
        elif register == 6:
            self.weekday = byte & 7
        elif register == 7:
            self._set(1, _plain(byte & 0x1F), 1, 12)
        elif register == 8:
            self.calendar[0] = 2000 + min(_plain(byte), 99)
        else:
            self.ram[register] = byte


class Ds3231(Rtc):
    """Address 0x68; 24-hour mode. EOSC stops it on battery only, so here it shows in its bit."""

    address = 0x68
    registers = 19

    def __init__(self, now_us=0):
        Rtc.__init__(self, now_us)
        self.ram[14] = 0x1C
        self.ram[17] = 25

    def runs(self):
        return True

    def load(self, register):
        c = self.calendar
        if register < 7:
            return (_bcd(c[5]), _bcd(c[4]), _bcd(c[3]), self.weekday + 1, _bcd(c[2]),
                    _bcd(c[1]), _bcd(c[0] - 2000))[register]
        if register == 15:
            return self.ram[15] & 0x0F | 0x08 | (0x80 if self.lost else 0)
        return self.ram[register]

    def store(self, register, byte):
        if register == 0:
            self._set(5, _plain(byte & 0x7F), 0, 59)
        elif register == 1:
            self._set(4, _plain(byte & 0x7F), 0, 59)
        elif register == 2:
            self._set(3, _plain(byte & 0x3F), 0, 23)
        elif register == 3:
            self.weekday = (byte - 1) % 7
        elif register == 4:
            self._set(2, _plain(byte & 0x3F), 1, 31)
        elif register == 5:
            self._set(1, _plain(byte & 0x1F), 1, 12)
        elif register == 6:
            self.calendar[0] = 2000 + min(_plain(byte), 99)
        elif register == 15:
            if not byte & 0x80:                     # OSF can only be cleared
                self.lost = False
            self.ram[15] = byte & 0x0F
        else:
            self.ram[register] = byte


def make(kind, now_us=0):
    """A chip by name; ValueError if there is none of that name."""
    if kind == "pcf8563":
        return Pcf8563(now_us)
    if kind == "ds3231":
        return Ds3231(now_us)
    raise ValueError("rtc: %r; one of %s, or null" % (kind, ", ".join(KINDS)))
