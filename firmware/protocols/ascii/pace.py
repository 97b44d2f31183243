"""PACE's variant of the ASCII frame (VER 25, CID1 46): what each command answers (COM-01).

Pure: a decoded request in, the INFO of its answer out. Differs from Pylontech's in its address
(the DIP address as it is), temperatures (degC * 10 + 2730), currents (10 mA) and capacities
(10 mAh). Source: PACE RS232 protocol TY16S (2018) and captures of its PC program.
"""

from bms.words import events as ev
from bms.protect.second_line import SHORT_DELAY_US
from bms.words.rules import BOTH, CHARGE, DISCHARGE
from civil import civil_of, is_date, seconds_of
from clock import SET
from hot.hex_text import put_words
from protocols import pace_names
from protocols.ascii import settings
from protocols.ascii.frame import BAD_FORMAT, OK
from protocols.conditions import PACE, alarm_word, bit, protection_word
from protocols.fields import put_i16, put_temp, put_text, put_u16, rounded
from protocols.ascii.pylontech import RTN_CID2, RTN_INFO, RTN_REFUSED
from protocols.ascii.states import put_current_states, put_states

VER = 0x25
_ALL = 0xFF
_ZERO_DK = 2730
_SPACE = 0x20
_REVERSED = bit("reversed charger")

# Kinds of field: a constant byte, one or two bytes, amperes that are read as negative, degC
_ONE, _NONE, _U8, _U16, _NEGATIVE, _TEMP = range(6)


def _fields(kinds, rows):
    """Kinds and settings in the order of the wire; a constant has no setting."""
    fields = []
    left = list(rows)
    for kind in kinds:
        fields.append((kind, None if kind in (_ONE, _NONE) else left.pop(0)))
    return tuple(fields)


_LEVELS = (_ONE, _U16, _U16, _U16, _U8)
_TEMPS = (_ONE,) + 6 * (_TEMP,)
# CID2 of read, CID2 of write, fields, junk that follows in a read
_PARAMETERS = (
    (0xD1, 0xD0, _fields(_LEVELS, settings.CELL_OV), b""),
    (0xD3, 0xD2, _fields(_LEVELS, settings.CELL_UV), b""),
    (0xD5, 0xD4, _fields(_LEVELS, settings.PACK_OV), b""),
    (0xD7, 0xD6, _fields(_LEVELS, settings.PACK_UV), b""),
    (0xD9, 0xD8, _fields((_ONE, _U16, _U16, _U8), settings.CHARGE_OC), b""),
    (0xDB, 0xDA, _fields((_ONE, _NEGATIVE, _NEGATIVE, _U8), settings.DISCHARGE_OC), b""),
    (0xE3, 0xE2, _fields((_NONE, _U8, _U8), settings.DISCHARGE_OC2), b"\x00\x96\x04"),
    (0xB6, 0xB5, _fields((_U16, _U16), settings.BALANCING), b""),
    (0xA0, 0xA8, _fields((_U16, _NONE, _U8), settings.SLEEP), b""),
    (0xAF, 0xAE, _fields((_U16, _U16, _U8), settings.FULL + settings.LOW_SOC), b""),
    (0xDD, 0xDC, _fields(_TEMPS, settings.CHARGE_HOT + settings.DISCHARGE_HOT), b""),
    (0xDF, 0xDE, _fields(_TEMPS, settings.CHARGE_COLD + settings.DISCHARGE_COLD), b""),
    (0xE1, 0xE0, _fields(_TEMPS[:4], settings.MOS_HOT), b""),
    (0xE7, 0xE6, _fields(_TEMPS, settings.AMBIENT_COLD + settings.AMBIENT_HOT), b""),
    (0xED, 0xEE, _fields((_NONE, _U8), settings.LIMITER), b""),
)
_SIZES = (1, 1, 1, 2, 2, 2)
_SHORT_READ, _SHORT_WRITE = 0xE5, 0xE4

# 99: what a switch sets, (parameter, value); others are not fitted
_SWITCHES = {0x0A: ("limiter_enable", 1), 0x0B: ("limiter_enable", 0),
             0x0C: ("buzzer_enable", 0), 0x0D: ("buzzer_enable", 1)}

_AUTOMATIC = 0x00


class Pace:
    """Answers decoded requests. Who calls has brought the own part of *system* up to date.

    system, pack, identity, rights, info   as Pylontech's
    rtn        return code of the newest answer; its INFO is in info
    """

    def __init__(self, system, pack, identity, rights, info):
        self._system = system
        self._pack = pack
        self._identity = identity
        self._info = self.info = info
        self._rights = rights
        self._parser = None
        self.rtn = OK

    def address(self):
        """This pack's own address."""
        return self._pack.dip

    def is_for_us(self, adr):
        """True if a request to *adr* is answered here."""
        return adr == self._pack.dip

    def answer(self, parser, now_ms):
        """As Pylontech.answer."""
        self._parser = parser
        self.rtn = OK
        handler = _COMMANDS.get(parser.cid2)
        if handler is None:
            return self._fail(RTN_CID2)
        return handler(self, now_ms)

    def _fail(self, code):
        self.rtn = code
        return 0

    def _needs(self, length):
        """True, and the return code set, if INFO has another *length*."""
        if self._parser.info_len == length:
            return False
        self.rtn = BAD_FORMAT
        return True

    def _refused(self, now_ms):
        return self._fail(RTN_REFUSED)

    # -- reads ------------------------------------------------------------------------------

    def _find(self, number):
        """The Snapshot of pack *number*, 0 being this one; None if it is not there."""
        own = self._system.own
        dip = self._pack.dip
        if number == 0 or number == dip or (number == 1 and dip == 0):
            return own
        modules = self._system.modules
        if self._pack.dip == 1:
            for i in range(len(modules)):
                if modules[i].module == number:
                    return modules[i]
        return None

    def _analog(self, now_ms):
        return self._each(now_ms, False)

    def _status(self, now_ms):
        return self._each(now_ms, True)

    def _each(self, now_ms, is_status):
        """The answer to 42 and 44: the block of one pack, or those of all."""
        if self._needs(1):
            return 0
        info = self._info
        info[0] = 0
        number = self._parser.info[0]
        if number != _ALL:
            seen = self._find(number)
            if seen is None:
                return self._fail(RTN_INFO)
            if not is_status and not seen.valid:
                return self._fail(RTN_REFUSED)      # there is no code for "no readings"
            info[1] = number
            return self._put(2, seen, is_status)
        modules = self._system.modules
        at = 2
        count = 0
        for i in range(len(modules)):
            if is_status or modules[i].valid:
                at = self._put(at, modules[i], is_status)
                count += 1
        if not count:
            return self._fail(RTN_REFUSED)
        info[1] = count
        return at

    def _put(self, at, seen, is_status):
        return self._put_status(at, seen) if is_status else self._put_analog(at, seen)

    def _put_analog(self, at, seen):
        info = self._info
        info[at] = seen.cells
        put_words(info, at + 1, seen.cells_mv, seen.cells)
        at += 1 + 2 * seen.cells
        temps_dc = seen.temps_dc
        sensors = len(temps_dc)
        info[at] = sensors + 2
        at += 1
        for i in range(sensors):
            put_temp(info, at, temps_dc[i], _ZERO_DK)
            at += 2
        put_temp(info, at, seen.mos_dc, _ZERO_DK)
        put_temp(info, at + 2, seen.ambient_dc, _ZERO_DK)
        put_i16(info, at + 4, rounded(seen.current_ma, 10))
        put_u16(info, at + 6, seen.voltage_mv)
        put_u16(info, at + 8, rounded(seen.remaining_mah, 10))
        info[at + 10] = 3
        put_u16(info, at + 11, rounded(seen.full_mah, 10))
        put_u16(info, at + 13, seen.cycles)
        put_u16(info, at + 15, rounded(seen.design_mah, 10))
        return at + 17

    def _put_status(self, at, seen):
        info = self._info
        at = put_states(info, at, seen, self._pack.params, 0)
        put_current_states(info, at, seen.alarms | seen.protections)
        protection = protection_word(seen.protections, PACE)
        alarm = alarm_word(seen.alarms, PACE)
        info[at + 3] = protection & 0xFF
        info[at + 4] = protection >> 8 & 0xFF | (0x80 if seen.is_full else 0)
        info[at + 5] = _instruction(seen, (1 if seen.charge_on else 0)
                                    | (2 if seen.discharge_on else 0))
        info[at + 6] = self._control()
        info[at + 7] = protection >> 16
        info[at + 8] = seen.balance_mask & 0xFF
        info[at + 9] = seen.balance_mask >> 8
        info[at + 10] = alarm & 0xFF
        info[at + 11] = alarm >> 8
        return at + 12

    def _control(self):
        """Control state: the limiter switched off as a function, the buzzer switched on."""
        params = self._pack.params
        return ((0 if params["limiter_enable"] else 0x10)
                | (0x01 if params["buzzer_enable"] else 0))

    def _pack_count(self, now_ms):
        if self._needs(0):
            return 0
        self._info[0] = len(self._system.modules) if self._pack.dip <= 1 else 1
        return 1

    def _history(self, now_ms):
        """A1: records of this form are not kept, so there is none at any index."""
        self._needs(2)
        return 0

    def _capacities(self, now_ms):
        if self._needs(0):
            return 0
        own = self._system.own
        if not own.valid:
            return self._fail(RTN_REFUSED)
        put_u16(self._info, 0, rounded(own.remaining_mah, 10))
        put_u16(self._info, 2, rounded(own.full_mah, 10))
        put_u16(self._info, 4, rounded(own.design_mah, 10))
        return 6

    def _version(self, now_ms):
        """C1: name, then the version's three numbers."""
        if self._needs(0):
            return 0
        info = self._info
        name = self._identity.name
        put_text(info, 0, name, 20, _SPACE)
        at = len(name)
        for i in range(3):
            info[at] = 0x2D if i == 0 else 0x2E
            at = _put_decimal(info, at + 1, self._identity.version[i])
        return 20

    def _product(self, now_ms):
        if self._needs(0):
            return 0
        put_text(self._info, 0, self._identity.serial, 20, _SPACE)
        put_text(self._info, 20, self._identity.serial, 20, _SPACE)
        return 40

    def _short_delay(self, now_ms):
        if self._needs(0):
            return 0
        self._info[0] = (SHORT_DELAY_US + 12) // 25
        return 1

    # -- parameters -------------------------------------------------------------------------

    def _row(self, cid2):
        for i in range(len(_PARAMETERS)):
            if cid2 == _PARAMETERS[i][0] or cid2 == _PARAMETERS[i][1]:
                return _PARAMETERS[i]
        return _PARAMETERS[0]

    def _read(self, now_ms):
        if self._needs(0):
            return 0
        _, _, fields, junk = self._row(self._parser.cid2)
        info = self._info
        at = 0
        for i in range(len(fields)):
            kind, field = fields[i]
            if field is None:
                info[at] = 1 if kind == _ONE else 0
            else:
                value = settings.read(self._pack, field)
                if kind == _U8:
                    info[at] = max(0, min(0xFF, value))
                elif kind == _U16:
                    put_u16(info, at, value)
                elif kind == _NEGATIVE:
                    put_i16(info, at, -value)
                else:
                    put_temp(info, at, value, _ZERO_DK)
            at += _SIZES[kind]
        put_text(info, at, junk, len(junk))
        return at + len(junk)

    def _write(self, now_ms):
        """All fields at once, or none; a value that may not be is refused."""
        _, _, fields, _ = self._row(self._parser.cid2)
        length = 0
        for kind, _ in fields:
            length += _SIZES[kind]
        if self._needs(length):
            return 0
        if not self._rights.may_write:
            return self._fail(RTN_REFUSED)
        info = self._parser.info
        values = {}
        at = 0
        for kind, field in fields:
            if field is not None:
                raw = info[at] if kind == _U8 else info[at] << 8 | info[at + 1]
                if kind == _TEMP:
                    raw -= _ZERO_DK
                values[field[0]] = settings.taken(self._pack, field, raw)
            at += _SIZES[kind]
        try:
            self._pack.change(values, now_ms)
        except ValueError:
            return self._fail(RTN_REFUSED)
        return 0

    def _protocols(self, now_ms):
        """EB: CAN, RS485, and whether RS485 is found out."""
        if self._needs(0):
            return 0
        params = self._pack.params
        spoken = params["pcs_protocol"]
        self._info[0] = pace_names.code_of(pace_names.CAN, params["can_variant"])
        self._info[1] = pace_names.code_of(pace_names.RS485, spoken)
        self._info[2] = 0x01 if spoken else _AUTOMATIC
        return 3

    def _set_protocols(self, now_ms):
        """EC: FF leaves what is."""
        if self._needs(3):
            return 0
        if not self._rights.may_write:
            return self._fail(RTN_REFUSED)
        can, rs485, kind = self._parser.info[0:3]
        values = {}
        if can != pace_names.NO_CODE:
            values["can_variant"] = pace_names.number_of(pace_names.CAN, can)
        if kind == _AUTOMATIC:
            values["pcs_protocol"] = 0
        elif rs485 != pace_names.NO_CODE:
            values["pcs_protocol"] = pace_names.number_of(pace_names.RS485, rs485, 1)
        try:
            self._pack.change(values, now_ms)
        except ValueError:
            return self._fail(RTN_REFUSED)
        return 0

    # -- clock ------------------------------------------------------------------------------

    def _clock(self, now_ms):
        """B1: year from 2000, month, day, hour, minute, second; refused while not known."""
        if self._needs(0):
            return 0
        clock = self._system.clock
        seconds = clock.now_s(now_ms) if clock else 0
        if not seconds:
            return self._fail(RTN_REFUSED)
        parts = civil_of(seconds)
        self._info[0] = parts[0] - 2000
        for i in range(1, 6):
            self._info[i] = parts[i]
        return 6

    def _set_clock(self, now_ms):
        if self._needs(6):
            return 0
        clock = self._system.clock
        if clock is None or not self._rights.may_write:
            return self._fail(RTN_REFUSED)
        year, month, day, hour, minute, second = self._parser.info[0:6]
        if (year < 20 or not is_date(2000 + year, month, day) or hour > 23 or minute > 59
                or second > 59):
            return self._fail(RTN_INFO)
        seconds = seconds_of(2000 + year, month, day, hour, minute, second)
        try:
            moved_s = clock.set(seconds, now_ms)
        except OSError:
            return self._fail(RTN_REFUSED)
        self._pack.events.add(now_ms, ev.CLOCK, SET, -1, moved_s, seconds)
        return 0

    # -- controls ---------------------------------------------------------------------------

    def _switch(self, now_ms):
        """99: one of the functions; the answer has the control state after it."""
        if self._needs(1):
            return 0
        code = self._parser.info[0]
        self._info[0] = code
        setting = _SWITCHES.get(code)
        if setting is None or not self._rights.may_write:
            self.rtn = RTN_REFUSED
        else:
            self._pack.change({setting[0]: setting[1]}, now_ms)
        self._info[1] = self._control()
        return 2

    def _charge_fet(self, now_ms):
        return self._fet(CHARGE, now_ms)

    def _discharge_fet(self, now_ms):
        return self._fet(DISCHARGE, now_ms)

    def _fet(self, which, now_ms):
        """9A, 9B: 00 lets the FET close again, 01 holds it off; never both by this."""
        if self._needs(1):
            return 0
        value = self._parser.info[0]
        held = self._pack.held
        if value > 1:
            return self._fail(RTN_INFO)
        held = held | which if value else held & ~which
        if not self._rights.may_write or value and held == BOTH:
            self.rtn = RTN_REFUSED
        else:
            self._pack.hold(held, now_ms)
        self._info[0] = _instruction(self._system.own, self._pack.offered())
        return 1

    def _shutdown(self, now_ms):
        """9C: off, as if asked to sleep; until woken, a command or a reset."""
        if self._needs(1):
            return 0
        if not self._rights.may_write or self._parser.info[0] != 1:
            return self._fail(RTN_REFUSED)
        self._pack.switch_off(now_ms)
        return 0


def _instruction(seen, fets):
    """Instruction state: direction, FETs on (bits CHARGE | DISCHARGE), limiter, polarity."""
    return ((0x20 if seen.charging else 0) | (0x10 if seen.protections & _REVERSED else 0)
            | (0x08 if seen.discharging else 0) | (0x04 if fets & DISCHARGE else 0)
            | (0x02 if fets & CHARGE else 0) | (0x01 if seen.limiting else 0))


def _put_decimal(info, at, value):
    """0..255 as digits; the end."""
    if value >= 100:
        info[at] = 0x30 + value // 100
        at += 1
    if value >= 10:
        info[at] = 0x30 + value // 10 % 10
        at += 1
    info[at] = 0x30 + value % 10
    return at + 1


# CID2: function that answers it
_COMMANDS = {
    0x42: Pace._analog, 0x44: Pace._status, 0x90: Pace._pack_count,
    0x99: Pace._switch, 0x9A: Pace._charge_fet, 0x9B: Pace._discharge_fet,
    0x9C: Pace._shutdown, 0xA1: Pace._history, 0xA6: Pace._capacities,
    0xC1: Pace._version, 0xC2: Pace._product, _SHORT_READ: Pace._short_delay,
    _SHORT_WRITE: Pace._refused, 0xB1: Pace._clock, 0xB2: Pace._set_clock,
    0xEB: Pace._protocols, 0xEC: Pace._set_protocols,
}
for _row in _PARAMETERS:
    _COMMANDS[_row[0]] = Pace._read
    _COMMANDS[_row[1]] = Pace._write
