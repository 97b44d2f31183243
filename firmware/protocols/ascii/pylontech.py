"""Pylontech-style RS485 (CID1 46): what each command answers (COM-01).

Pure: a decoded request in, the INFO of its answer out. Big-endian; temperatures 0.1 K
(degC * 10 + 2731), currents 0.1 A (61: 0.01 A), charge positive, voltages mV, capacities mAh.
Source: PYLON RS485 protocol V2.8 to V3.5; points where those disagree with the wire follow
captures of real packs.
"""

import struct

from hot.hex_text import put_words
from protocols.ascii.frame import BAD_FORMAT, OK
from protocols.conditions import P44, P62, alarm_word, protection_word
from protocols.fields import put_i16, put_temp, put_text, put_u16, put_u24, rounded
from protocols.ascii.states import (
    CELL_WRONG_HIGH_MV,
    CELL_WRONG_LOW_MV,
    is_odd,
    put_current_states,
    put_states,
)

VER = 0x20
RTN_CID2 = 0x04
RTN_INFO = 0x06
RTN_REFUSED = 0x09
RTN_ADR = 0x90
RTN_INTERNAL = 0x91
SILENT = -1
_ALONE_ADR = 0x02
_ALL = 0xFF
_ZERO_DK = 2731
_ASKED_S = 10               # time for which 94 holds
_BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)      # 91
_MANUFACTURER = b"Pylon"    # an inverter may look for it


def address_of(module):
    """Pylontech address of DIP address *module*: alone and master are 0x02, slave k is k + 1."""
    return _ALONE_ADR if module <= 1 else module + 1


class Pylontech:
    """Answers decoded requests. Who calls has brought the own part of *system* up to date.

    system     snapshot.System; pack: Pack, for what may be written
    identity   Identity of this pack; rights: may_write
    info       bytearray that answers are put into, for 15 modules 920 bytes
    rtn        return code of the newest answer
    """

    def __init__(self, system, pack, identity, rights, info):
        self._system = system
        self._pack = pack
        self._rights = rights
        self._identity = identity
        self._info = info
        self._parser = None
        self._module = system.own       # Snapshot that the request is about
        self._all = False               # ... or all of them
        self.rtn = OK

    def address(self):
        """This pack's own address."""
        return address_of(self._pack.dip)

    def is_for_us(self, adr):
        """True if a request to *adr* is answered here: own address, 0 at an inverter's only or
        first pack, and there also the addresses of the modules it knows."""
        pack = self._pack
        if adr == address_of(pack.dip):
            return True
        if pack.dip > 1:
            return False
        return adr == 0 or bool(pack.params["pcs_for_slaves"] and self._find(adr) is not None)

    def answer(self, parser, now_ms):
        """Put the INFO of the answer to the request in *parser* into info.

        returns   its length, the return code in rtn; SILENT if there is nothing to be said
        """
        self._parser = parser
        self.rtn = OK
        handler = _COMMANDS.get(parser.cid2)
        if handler is None:
            return self._fail(RTN_CID2)
        return handler(self, now_ms)

    def _fail(self, code):
        self.rtn = code
        return 0

    def _find(self, adr):
        """The Snapshot of the module at Pylontech address *adr*, or None."""
        if adr == address_of(self._pack.dip):
            return self._system.own
        modules = self._system.modules
        for i in range(len(modules)):
            if address_of(modules[i].module) == adr:
                return modules[i]
        return None

    def _look_up(self):
        """Find what the request means into _module and _all; a return code."""
        parser = self._parser
        length = parser.info_len
        own = address_of(self._pack.dip)
        adr = parser.adr if parser.adr else own
        if not length:
            module = adr
        else:
            module = parser.info[0]
            if length == 2 and parser.info[1] == _ALL:
                module = _ALL           # two bytes: own address, then a number or all
        self._all = module == _ALL
        if self._all:
            self._module = self._system.own
            return OK if own == _ALONE_ADR and adr == own else RTN_ADR
        if module == 0:
            if parser.adr == 0:         # a scan that starts at 0 shall not find a ghost
                return SILENT
            module = adr
        found = self._find(module) if module == adr or adr == own else None
        if found is None:
            return RTN_ADR
        self._module = found
        return OK

    def _named(self):
        """As _look_up, for a read of one module whose INFO is none, a module, or two bytes."""
        if self._parser.info_len > 2:
            return BAD_FORMAT
        return self._look_up()

    def _refuse(self, code):
        return SILENT if code == SILENT else self._fail(code)

    # -- of a module ------------------------------------------------------------------------

    def _version(self, now_ms):
        return 0

    def _analog(self, now_ms):
        code = self._named()
        if code != OK:
            return self._refuse(code)
        info = self._info
        info[0] = 0
        if not self._all:
            if not self._module.valid:
                return self._fail(RTN_INTERNAL)
            info[1] = address_of(self._module.module)
            return self._put_analog(2, self._module)
        modules = self._system.modules
        at = 2
        count = 0
        for i in range(len(modules)):
            if modules[i].valid:
                at = self._put_analog(at, modules[i])
                count += 1
        if not count:
            return self._fail(RTN_INTERNAL)
        info[1] = count
        return at

    def _put_analog(self, at, seen):
        info = self._info
        info[at] = seen.cells
        put_words(info, at + 1, seen.cells_mv, seen.cells)
        at += 1 + 2 * seen.cells
        temps_dc = seen.temps_dc
        info[at] = 1 + len(temps_dc)
        at += 1
        put_temp(info, at, seen.mos_dc, _ZERO_DK)
        for i in range(len(temps_dc)):
            at += 2
            put_temp(info, at, temps_dc[i], _ZERO_DK)
        put_i16(info, at + 2, rounded(seen.current_ma, 100))
        put_u16(info, at + 4, seen.voltage_mv)
        put_u16(info, at + 6, 0xFFFF)
        info[at + 8] = 4
        put_u16(info, at + 9, 0xFFFF)
        put_u16(info, at + 11, seen.cycles)
        put_u24(info, at + 13, seen.remaining_mah)
        put_u24(info, at + 16, seen.full_mah)
        return at + 19

    def _alarms(self, now_ms):
        code = self._named()
        if code != OK:
            return self._refuse(code)
        info = self._info
        info[0] = 0
        if not self._all:
            info[1] = address_of(self._module.module)
            return self._put_alarms(2, self._module)
        modules = self._system.modules
        info[1] = len(modules)
        at = 2
        for i in range(len(modules)):
            at = self._put_alarms(at, modules[i])
        return at

    def _put_alarms(self, at, seen):
        info = self._info
        found = seen.alarms | seen.protections
        at = put_states(info, at, seen, self._pack.params, 1)
        put_current_states(info, at, found)
        info[at + 3] = protection_word(seen.protections, P44)
        info[at + 4] = (0x0C if seen.discharge_on else 0) | (0x02 if seen.charge_on else 0)
        flow = rounded(seen.current_ma, 100) if seen.valid else 0
        info[at + 5] = (0x80 if flow >= 1 else 0) | (0x40 if flow <= -1 else 0) | (
            0x08 if seen.is_full else 0) | (0x01 if seen.buzzing else 0)
        wrong = 0
        if seen.valid and is_odd(seen):
            for i in range(seen.cells):
                if not CELL_WRONG_LOW_MV <= seen.cells_mv[i] <= CELL_WRONG_HIGH_MV:
                    wrong |= 1 << i
        info[at + 6] = wrong & 0xFF
        info[at + 7] = wrong >> 8
        return at + 8

    def _system_parameters(self, now_ms):
        code = self._named()
        if code != OK:
            return self._refuse(code)
        p = self._pack.params
        info = self._info
        info[0] = 0
        nominal = p["nominal_ma"] // 100
        put_u16(info, 1, p["cell_ov_trip_mv"])
        put_u16(info, 3, p["cell_uv_alarm_mv"])
        put_u16(info, 5, p["cell_uv_trip_mv"])
        put_temp(info, 7, p["chg_ot_trip_dc"], _ZERO_DK)
        put_temp(info, 9, p["chg_ut_trip_dc"], _ZERO_DK)
        put_i16(info, 11, nominal)
        put_u16(info, 13, p["pack_ov_trip_mv"])
        put_u16(info, 15, p["pack_uv_alarm_mv"])
        put_u16(info, 17, p["pack_uv_trip_mv"])
        put_temp(info, 19, p["dsg_ot_trip_dc"], _ZERO_DK)
        put_temp(info, 21, p["dsg_ut_trip_dc"], _ZERO_DK)
        put_i16(info, 23, -nominal)
        return 25

    def _manufacturer(self, now_ms):
        info = self._info
        put_text(info, 0, self._identity.name, 10)
        self._put_version(10, 2)
        put_text(info, 12, _MANUFACTURER, 20, 0x2D)
        return 32

    def _put_version(self, at, count):
        for i in range(count):
            self._info[at + i] = self._identity.version[i]

    def _management(self, now_ms):
        code = self._one()
        if code != OK:
            return self._refuse(code)
        seen = self._module
        if not seen.valid:
            return self._fail(RTN_INTERNAL)
        info = self._info
        info[0] = address_of(seen.module)
        put_u16(info, 1, seen.cvl_mv)
        put_u16(info, 3, seen.dvl_mv)
        put_i16(info, 5, seen.ccl_ma // 100)
        put_i16(info, 7, -(seen.dcl_ma // 100))
        info[9] = ((0x80 if seen.may_charge else 0) | (0x40 if seen.may_discharge else 0)
                   | (0x20 if seen.force_1 else 0) | (0x10 if seen.force_2 else 0)
                   | (0x08 if seen.full_request else 0))
        return 10

    def _one(self):
        """As _named, for commands that all modules cannot be asked at once."""
        code = self._named()
        return RTN_ADR if code == OK and self._all else code

    def _serial_number(self, now_ms):
        code = self._one()
        if code != OK:
            return self._refuse(code)
        info = self._info
        info[0] = address_of(self._module.module)
        put_text(info, 1, self._module.serial, 16, 0x20)
        return 17

    def _firmware(self, now_ms):
        code = self._one()
        if code != OK:
            return self._refuse(code)
        self._info[0] = address_of(self._module.module)
        self._put_version(1, 2)
        self._put_version(3, 3)
        return 6

    # -- of the system ----------------------------------------------------------------------

    def _is_first(self):
        """True if this pack speaks for a system: a slave does not."""
        return self._pack.dip <= 1

    def _basic(self, now_ms):
        if not self._is_first():
            return self._fail(RTN_ADR)
        info = self._info
        modules = self._system.modules
        put_text(info, 0, self._identity.name, 10)
        put_text(info, 10, _MANUFACTURER, 20)
        self._put_version(30, 2)
        info[32] = len(modules)
        for i in range(len(modules)):
            put_text(info, 33 + 16 * i, modules[i].serial, 16, 0x20)
        return 33 + 16 * len(modules)

    def _system_analog(self, now_ms):
        if not self._is_first():
            return self._fail(RTN_ADR)
        self._system.sum_up(now_ms)
        seen = self._system.whole
        if not seen.valid:
            return self._fail(RTN_INTERNAL)
        info = self._info
        put_u16(info, 0, seen.voltage_mv)
        put_i16(info, 2, rounded(seen.current_ma, 10))
        info[4] = (seen.soc_cpct + 50) // 100
        put_u16(info, 5, seen.cycles)
        put_u16(info, 7, seen.cycles_max)
        info[9] = seen.soh_pct
        info[10] = seen.soh_min_pct
        put_u16(info, 11, seen.max_cell_mv)
        put_u16(info, 13, address_of(seen.max_cell_module))
        put_u16(info, 15, seen.min_cell_mv)
        put_u16(info, 17, address_of(seen.min_cell_module))
        self._put_extremes(19, seen.mean_temp_dc, seen.max_temp_dc, seen.max_temp_module,
                           seen.min_temp_dc, seen.min_temp_module)
        for at in (29, 39):     # the board's thermistor is the one at the MOSFETs
            self._put_extremes(at, seen.mos_dc, seen.max_mos_dc, seen.max_mos_module,
                               seen.min_mos_dc, seen.min_mos_module)
        return 49

    def _put_extremes(self, at, mean_dc, max_dc, max_module, min_dc, min_module):
        info = self._info
        put_temp(info, at, mean_dc, _ZERO_DK)
        put_temp(info, at + 2, max_dc, _ZERO_DK)
        put_u16(info, at + 4, address_of(max_module))
        put_temp(info, at + 6, min_dc, _ZERO_DK)
        put_u16(info, at + 8, address_of(min_module))

    def _system_alarms(self, now_ms):
        """Answered whatever the age of the readings: then the fault is what it says."""
        if not self._is_first():
            return self._fail(RTN_ADR)
        self._system.sum_up(now_ms)
        seen = self._system.whole
        put_u16(self._info, 0, alarm_word(seen.alarms, P62))
        put_u16(self._info, 2, protection_word(seen.protections, P62))
        return 4

    def _system_management(self, now_ms):
        """Answered whatever the age of the readings: then the limits are 0."""
        if not self._is_first():
            return self._fail(RTN_ADR)
        self._system.sum_up(now_ms)
        seen = self._system.whole
        info = self._info
        put_u16(info, 0, seen.cvl_mv)
        put_u16(info, 2, seen.dvl_mv)
        put_u16(info, 4, seen.ccl_ma // 100)
        put_u16(info, 6, seen.dcl_ma // 100)
        info[8] = ((0x80 if seen.may_charge else 0) | (0x40 if seen.may_discharge else 0)
                   | (0x20 if seen.force_1 else 0) | (0x10 if seen.full_request else 0))
        return 9

    def _pack_count(self, now_ms):
        self._info[0] = len(self._system.modules)
        return 1

    # -- what writes (COM-07) ---------------------------------------------------------------

    def _may_write(self, length):
        """A return code for a writing command with an INFO of *length*."""
        if self._parser.info_len != length:
            return BAD_FORMAT
        if length and length != 1:      # a COMMAND before the values
            if self._parser.info[0] != address_of(self._pack.dip):
                return RTN_ADR
        return OK if self._rights.may_write else RTN_REFUSED

    def _set_baud(self, now_ms):
        """91: holds from the next start on."""
        code = self._may_write(1)
        if code != OK:
            return self._fail(code)
        index = self._parser.info[0] - 1
        if not 0 <= index < len(_BAUDS):
            return self._fail(RTN_INFO)
        self._pack.change({"pcs_baud": _BAUDS[index]}, now_ms)
        return 0

    def _set_limits(self, now_ms):
        """94: asked limits only tighten the pack's own."""
        code = self._may_write(9)
        if code != OK:
            return self._fail(code)
        cvl_mv, dvl_mv, charge, discharge = struct.unpack(">HHhh", self._parser.info[1:9])
        if not dvl_mv < cvl_mv or charge < 0:
            return self._fail(RTN_INFO)
        self._pack.asked.ask(cvl_mv, dvl_mv, 100 * charge, 100 * abs(discharge), _ASKED_S)
        return 0

    def _shutdown(self, now_ms):
        """95: this pack only."""
        if self._parser.info_len == 1:
            code = self._one()
            if code != OK:
                return self._refuse(code)
            if self._module is not self._system.own:
                return self._fail(RTN_INTERNAL)
        code = self._may_write(1)
        if code != OK:
            return self._fail(code)
        self._pack.switch_off(now_ms)
        return 0

    def _system_shutdown(self, now_ms):
        """64: this pack; slaves see their master go."""
        if not self._is_first():
            return self._fail(RTN_ADR)
        if not self._rights.may_write:
            return self._fail(RTN_REFUSED)
        self._pack.switch_off(now_ms)
        return 0


# CID2: function that answers it
_COMMANDS = {
    0x42: Pylontech._analog, 0x44: Pylontech._alarms, 0x47: Pylontech._system_parameters,
    0x4F: Pylontech._version, 0x51: Pylontech._manufacturer, 0x60: Pylontech._basic,
    0x61: Pylontech._system_analog, 0x62: Pylontech._system_alarms,
    0x63: Pylontech._system_management, 0x64: Pylontech._system_shutdown,
    0x90: Pylontech._pack_count, 0x91: Pylontech._set_baud, 0x92: Pylontech._management,
    0x93: Pylontech._serial_number, 0x94: Pylontech._set_limits, 0x95: Pylontech._shutdown,
    0x96: Pylontech._firmware,
}
