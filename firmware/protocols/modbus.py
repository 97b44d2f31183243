"""Modbus RTU for inverters that speak nothing else: PACE's registers, or Voltronic's (COM-01).

Pure: bytes in, bytes out. Functions 03 (read) and, for PACE's settings, 10 (write). What is no
whole request to this slave with a good CRC is passed over byte by byte, so that noise before a
request does no harm; a request that is followed by more was none.

Sources: PACE Modbus RTU V1.3 (2017), Voltronic LIB (2020).
"""

from bms.records import health
from bms.protect.second_line import SHORT_DELAY_US
from bms.words.readings import NO_READING
from crc16 import crc16_modbus
from protocols.ascii import settings
from protocols.conditions import PACE_MODBUS, VOLTRONIC, alarm_word, protection_word
from protocols.fields import put_i16, put_u16, rounded
from ticks import MASK

_READ, _WRITE = 0x03, 0x10
_BAD_FUNCTION, _BAD_ADDRESS, _BAD_DATA, _NOT_NOW = 0x01, 0x02, 0x03, 0x04
_MOST_READ, _MOST_WRITE = 125, 60
_LONGEST = 9 + 2 * _MOST_WRITE
_GAP_MS = 100               # a pause as long as clients make between frames ends one


class Modbus:
    """Finds requests and answers them.

    out        bytearray for answers, at least 256
    registers  PaceRegisters or VoltronicRegisters
    answered   requests answered, since start
    """

    def __init__(self, out, registers):
        self._in = bytearray(_LONGEST)
        self._used = 0
        self._last_ms = 0
        self.out = out
        self.registers = registers
        self.answered = 0

    def take(self, byte, now_ms):
        """Take one received byte; return the length of the answer now in *out*, or 0."""
        if self._used and (now_ms - self._last_ms) & MASK > _GAP_MS:
            self._used = 0
        self._last_ms = now_ms
        if not self._used and not self.registers.is_for_us(byte):
            return 0
        self._in[self._used] = byte
        self._used += 1
        while self._used:
            size = self._size()
            if size > self._used:
                return 0                    # more of it is to come
            if size == self._used and crc16_modbus(self._in, 0, size - 2) == (
                    self._in[size - 2] | self._in[size - 1] << 8):
                self._used = 0
                self.answered += 1
                return self._answer(now_ms)
            self._skip()
        return 0

    def _size(self):
        """Bytes of the request that the buffer begins with, as far as is known; 0: none."""
        buf = self._in
        if self._used < 2:
            return 2
        if buf[1] != _WRITE:
            return 8 if 0 < buf[1] < 0x80 else 0
        if self._used < 7:
            return 7
        size = 9 + buf[6]
        return size if size <= _LONGEST else 0

    def _skip(self):
        """Drop the first byte, and what follows up to one that may begin a request."""
        buf = self._in
        first = 1
        while first < self._used and not self.registers.is_for_us(buf[first]):
            first += 1
        self._used -= first
        for i in range(self._used):
            buf[i] = buf[first + i]

    def _answer(self, now_ms):
        buf = self._in
        out = self.out
        registers = self.registers
        out[0] = buf[0]
        out[1] = buf[1]
        first = buf[2] << 8 | buf[3]
        count = buf[4] << 8 | buf[5]
        if buf[1] == _READ:
            if not 1 <= count <= _MOST_READ:
                return self._refuse(_BAD_DATA)
            if not registers.prepare(now_ms):
                return self._refuse(_NOT_NOW)
            out[2] = 2 * count
            for i in range(count):
                if not registers.put(out, 3 + 2 * i, first + i):
                    return self._refuse(_BAD_ADDRESS)
            return self._finish(3 + 2 * count)
        if buf[1] != _WRITE:
            return self._refuse(_BAD_FUNCTION)
        if not 1 <= count <= _MOST_WRITE or buf[6] != 2 * count:
            return self._refuse(_BAD_DATA)
        code = registers.write(first, count, buf, 7, now_ms)
        if code:
            return self._refuse(code)
        for i in range(2, 6):
            out[i] = buf[i]
        return self._finish(6)

    def _refuse(self, code):
        self.out[1] |= 0x80
        self.out[2] = code
        return self._finish(3)

    def _finish(self, size):
        crc = crc16_modbus(self.out, 0, size)
        self.out[size] = crc & 0xFF
        self.out[size + 1] = crc >> 8
        return size + 2


# PACE: settings from register 60 on; None: not fitted, reads 0
_FIRST_SETTING = 60
_PACE_SETTINGS = (
    settings.PACK_OV + settings.CELL_OV + settings.PACK_UV + settings.CELL_UV
    + settings.CHARGE_OC + settings.DISCHARGE_OC + settings.DISCHARGE_OC2
    + settings.CHARGE_HOT + settings.DISCHARGE_HOT + settings.CHARGE_COLD
    + settings.DISCHARGE_COLD + settings.MOS_HOT + settings.AMBIENT_HOT + settings.AMBIENT_COLD
    + settings.BALANCING + settings.FULL + settings.SLEEP + (None,) + settings.LOW_SOC
    + (None, None))
_SHORT_DELAY = 111
# REC-05, ours: of each row of health.ROWS value and bound, of 32 bits each, high word first;
# FFFFFFFF: not known
_HEALTH = 200
_LAST_SETTING = _FIRST_SETTING + len(_PACE_SETTINGS) - 1


class PaceRegisters:
    """PACE Modbus RTU V1.3: slave = DIP address; a pack alone answers 1 too.

    system, pack, identity   as Pylontech's
    """

    def __init__(self, system, pack, identity):
        self._system = system
        self._pack = pack
        self._identity = identity
        self.counters = None        # of the storage, when main has put both together

    def is_for_us(self, slave):
        dip = self._pack.dip
        return slave == dip or (dip == 0 and slave == 1)

    def prepare(self, now_ms):
        """Bring values up to date; False if there are no live ones."""
        self._system.update(now_ms)
        return self._system.own.valid

    def put(self, out, at, register):
        """Put *register* at out[at]; False if there is none."""
        if register <= 36:
            return self._put_values(out, at, register)
        if _FIRST_SETTING <= register <= _LAST_SETTING:
            field = _PACE_SETTINGS[register - _FIRST_SETTING]
            if field is None:
                put_u16(out, at, (SHORT_DELAY_US + 12) // 25 if register == _SHORT_DELAY else 0)
            else:
                value = settings.read(self._pack, field)
                put_u16(out, at, value & 0xFFFF if value < 0 else value)
            return True
        if 150 <= register < 180:
            return self._put_text(out, at, register)
        row = (register - _HEALTH) >> 2
        if 0 <= row < len(health.ROWS):
            ask = health.bound_of if register & 2 else health.value_of
            word = ask(self._pack, self.counters, row)
            put_u16(out, at, (word if register & 1 else word >> 16) & 0xFFFF)
            return True
        return False

    def _put_values(self, out, at, register):
        seen = self._system.own
        if register == 0:
            put_i16(out, at, rounded(seen.current_ma, 10))
        elif 15 <= register <= 30:
            cell = register - 15
            put_u16(out, at, seen.cells_mv[cell] if cell < seen.cells else 0)
        elif 31 <= register <= 34:
            _put_temp(out, at, seen.temps_dc[register - 31])
        elif register == 35:
            _put_temp(out, at, seen.mos_dc)
        elif register == 36:
            _put_temp(out, at, seen.ambient_dc)
        elif register <= 12:
            put_u16(out, at, self._number(register, seen))
        else:
            put_u16(out, at, 0)
        return True

    def _number(self, register, seen):
        if register == 1:
            return rounded(seen.voltage_mv, 10)
        if register == 2:
            return (seen.soc_cpct + 50) // 100
        if register == 3:
            return seen.soh_pct
        if register == 4:
            return rounded(seen.remaining_mah, 10)
        if register == 5:
            return rounded(seen.full_mah, 10)
        if register == 6:
            return rounded(seen.design_mah, 10)
        if register == 7:
            return seen.cycles
        if register == 9:
            return alarm_word(seen.alarms, PACE_MODBUS)
        if register == 10:
            return protection_word(seen.protections, PACE_MODBUS) & 0xFFFF
        if register == 11:
            return (protection_word(seen.protections, PACE_MODBUS) >> 16
                    | (0x0100 if seen.charging else 0) | (0x0200 if seen.discharging else 0)
                    | (0x0400 if seen.charge_on else 0) | (0x0800 if seen.discharge_on else 0)
                    | (0x1000 if seen.limiting else 0))
        if register == 12:
            return seen.balance_mask
        return 0

    def _put_text(self, out, at, register):
        text = self._identity.name if register < 160 else self._identity.serial
        i = 2 * (register % 10)
        for k in range(2):
            out[at + k] = text[i + k] if i + k < len(text) else 0x20
        return True

    def write(self, first, count, buf, at, now_ms):
        """Set *count* registers from *first* on; 0 or the code of an exception."""
        if not self._pack.rights.may_write:
            return _BAD_FUNCTION
        if first < _FIRST_SETTING or first + count - 1 > _LAST_SETTING:
            return _BAD_ADDRESS
        values = {}
        for i in range(count):
            field = _PACE_SETTINGS[first + i - _FIRST_SETTING]
            if field is None:
                return _BAD_ADDRESS
            raw = buf[at + 2 * i] << 8 | buf[at + 2 * i + 1]
            if raw & 0x8000 and field[0][-3:] == "_dc":
                raw -= 0x10000
            values[field[0]] = settings.taken(self._pack, field, raw)
        try:
            self._pack.change(values, now_ms)
        except ValueError:
            return _BAD_DATA
        return 0


def _put_temp(out, at, temp_dc):
    put_i16(out, at, -0x8000 if temp_dc == NO_READING else temp_dc)


class VoltronicRegisters:
    """Voltronic LIB: slave 1, the whole system in one pack's registers, read only.

    system, pack   as Pylontech's
    """

    def __init__(self, system, pack):
        self._system = system
        self._pack = pack

    def is_for_us(self, slave):
        return slave == 1 and self._pack.dip <= 1

    def prepare(self, now_ms):
        """Bring values up to date; False if there are no live ones."""
        self._system.update(now_ms)
        return self._system.whole.valid

    def put(self, out, at, register):
        """Put *register* at out[at]; False if there is none."""
        if not 0x10 <= register <= 0x77:
            return False
        put_u16(out, at, self._number(register, self._system.whole))
        return True

    def _number(self, register, seen):
        if register == 0x10:
            return seen.cells
        if register <= 0x24:
            cell = register - 0x11
            return rounded(seen.cells_mv[cell], 100) if cell < seen.cells else 0
        if register == 0x25:
            return len(seen.temps_dc)
        if register < 0x30:
            i = register - 0x26
            if i >= len(seen.temps_dc) or seen.temps_dc[i] == NO_READING:
                return 0
            return max(0, seen.temps_dc[i] + 2731)
        if register < 0x40:
            return self._state(register, seen)
        if register < 0x70:
            return 0
        return self._limit(register, seen)

    def _state(self, register, seen):
        if register == 0x30:
            return rounded(max(0, seen.current_ma), 100)
        if register == 0x31:
            return rounded(max(0, -seen.current_ma), 100)
        if register == 0x32:
            return rounded(seen.voltage_mv, 100)
        if register == 0x33:
            return (seen.soc_cpct + 50) // 100
        if register == 0x34:
            return seen.full_mah >> 16
        if register == 0x35:
            return seen.full_mah & 0xFFFF
        if register == 0x36:
            return seen.modules
        if register == 0x37:
            return alarm_word(seen.alarms, VOLTRONIC) & 0xFFFF
        if register == 0x38:
            return alarm_word(seen.alarms, VOLTRONIC) >> 16
        if register == 0x39:
            return protection_word(seen.protections, VOLTRONIC) & 0xFFFF
        if register == 0x3B:
            return protection_word(seen.protections, VOLTRONIC) >> 16
        if register == 0x3E:
            return seen.design_mah >> 16
        if register == 0x3F:
            return seen.design_mah & 0xFFFF
        return 0

    def _limit(self, register, seen):
        if register == 0x70:
            return seen.cvl_mv // 100
        if register == 0x71:
            return rounded(seen.dvl_mv, 100)
        if register == 0x72:
            return seen.ccl_ma // 100
        if register == 0x73:
            return seen.dcl_ma // 100
        if register == 0x74:
            return ((0x80 if seen.may_charge else 0) | (0x40 if seen.may_discharge else 0)
                    | (0x30 if seen.force_1 else 0))
        if register == 0x76:
            return seen.remaining_mah >> 16
        if register == 0x77:
            return seen.remaining_mah & 0xFFFF
        return 0

    def write(self, first, count, buf, at, now_ms):
        """Nothing can be written."""
        return _BAD_FUNCTION
