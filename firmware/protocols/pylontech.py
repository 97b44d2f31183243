"""Pylontech-style RS485 (CID1 46): requests answered from one pack (COM-01).

Pure: bytes in, bytes out. Big-endian; temperatures 0.1 K (degC * 10 + 2731), currents 0.1 A
(charge positive), voltages mV, capacities mAh. Source: PYLON RS485 protocol V2.8 to V3.5.
"""

import struct

from bms import readings as rd
from bms.protection_rules import CHARGE, DISCHARGE
from protocols.ascii_frame import BAD_FORMAT, DROPPED, NOTHING, OK, Parser, encode

_CID1 = 0x46
_VER = 0x20
_RTN_CID2 = 0x04
_RTN_INFO = 0x06
_RTN_ADR = 0x90
_RTN_INTERNAL = 0x91
_ALONE_ADR = 0x02
_ALL = 0xFF
_KELVIN_DK = 2731
_NO_TEMP = 0xFFFF


def address_of(dip):
    """Pylontech address of DIP address *dip*: alone and master are 0x02, slave k is k + 1."""
    return _ALONE_ADR if dip <= 1 else dip + 1


class Pylontech:
    """Answers the requests that a Parser finds.

    pack     PackState; name: product name (10 characters); version: (major, minor)
    serial   16 characters
    """

    def __init__(self, pack, name, version, serial):
        self._pack = pack
        self._parser = Parser()
        self._info = bytearray(80)
        self._name = name
        self._version = version
        self._serial = serial
        self.out = bytearray(18 + 2 * len(self._info))
        self.answered = 0
        self._commands = {
            0x42: self._analog,
            0x47: self._system_parameters,
            0x4F: self._nothing,
            0x51: self._manufacturer,
            0x92: self._management,
            0x93: self._serial_number,
        }

    def take(self, byte, now_ms):
        """Take one received byte; return the length of the answer now in *out*, or 0."""
        verdict = self._parser.take(byte, now_ms)
        if verdict == NOTHING or verdict == DROPPED:
            return 0
        parser = self._parser
        own = address_of(self._pack.dip)
        broadcast = parser.adr == 0 and own == _ALONE_ADR     # python-pylontech asks 00
        if parser.cid1 != _CID1 or parser.cid2 == 0 or not (parser.adr == own or broadcast):
            return 0
        if verdict != OK:
            return self._error(verdict)
        handler = self._commands.get(parser.cid2)
        if handler is None:
            return self._error(_RTN_CID2)
        return handler(now_ms)

    def _error(self, code):
        return encode(self.out, _VER, self._parser.adr, _CID1, code, self._info, 0)

    def _reply(self, length):
        self.answered += 1
        return encode(self.out, _VER, self._parser.adr, _CID1, OK, self._info, length)

    def _module(self):
        """The module a request means: its INFO where given; a return code below 0 if wrong."""
        parser = self._parser
        own = address_of(self._pack.dip)
        if parser.info_len == 0 or parser.info_len > 2:
            return own if parser.info_len == 0 else -BAD_FORMAT
        module = parser.info[0]
        if parser.info_len == 2 and parser.info[1] == _ALL:
            module = _ALL               # two bytes: own address, then a number or all
        if module == own or module == 0:
            return own
        if module == _ALL and own == _ALONE_ADR:
            return _ALL
        return -_RTN_ADR

    def _usable(self, now_ms):
        """MEA-05: values that are too old are not sent as live."""
        return self._pack.measurements.is_usable(now_ms)

    def _nothing(self, now_ms):
        return self._reply(0)

    def _analog(self, now_ms):
        module = self._module()
        if module < 0:
            return self._error(-module)
        if not self._usable(now_ms):
            return self._error(_RTN_INTERNAL)
        pack = self._pack
        values = pack.measurements.values
        cells = pack.measurements.cells_mv
        info = self._info
        count = len(cells)
        info[0] = 0
        info[1] = 1 if module == _ALL else module
        info[2] = count
        at = 3
        for i in range(count):
            info[at] = cells[i] >> 8
            info[at + 1] = cells[i] & 0xFF
            at += 2
        info[at] = 5
        _put_temp(info, at + 1, values[rd.MOS_DC])
        for i in range(4):
            _put_temp(info, at + 3 + 2 * i, values[rd.TEMP_DC + i])
        at += 11
        struct.pack_into(">hHHBHH", info, at, _tenths(values[rd.CURRENT_MA]),
                         max(0, min(0xFFFF, values[rd.STACK_MV])), 0xFFFF, 4, 0xFFFF, 0)
        at += 11
        _put_24(info, at, pack.remaining_mah)
        _put_24(info, at + 3, pack.soc.full_mah)
        return self._reply(at + 6)

    def _system_parameters(self, now_ms):
        if self._module() < 0:
            return self._error(-self._module())
        p = self._pack.params
        info = self._info
        info[0] = 0
        nominal = _tenths(p["nominal_ma"])
        struct.pack_into(
            ">HHHHHhHHHHHh", info, 1,
            p["cell_ov_trip_mv"], p["cell_uv_alarm_mv"], p["cell_uv_trip_mv"],
            580 + _KELVIN_DK, 50 + _KELVIN_DK, nominal,
            p["pack_ov_trip_mv"], p["pack_uv_alarm_mv"], p["pack_uv_trip_mv"],
            580 + _KELVIN_DK, _KELVIN_DK - 200, -nominal)
        return self._reply(25)

    def _manufacturer(self, now_ms):
        info = self._info
        for i in range(32):
            info[i] = 0
        for i in range(len(self._name)):
            info[i] = ord(self._name[i])
        info[10], info[11] = self._version
        for i in range(20):
            info[12 + i] = ord("Pylon"[i]) if i < 5 else 0x2D
        return self._reply(32)

    def _management(self, now_ms):
        module = self._module()
        if module < 0 or module == _ALL:
            return self._error(-module if module < 0 else _RTN_ADR)
        if not self._usable(now_ms):
            return self._error(_RTN_INTERNAL)
        pack = self._pack
        allowed = pack.allowed()
        status = ((0x80 if allowed & CHARGE and pack.ccl_ma else 0)
                  | (0x40 if allowed & DISCHARGE and pack.dcl_ma else 0))
        struct.pack_into(">BHHhhB", self._info, 0, module, pack.params["cvl_mv"],
                         pack.params["dvl_mv"], _tenths(pack.ccl_ma), -_tenths(pack.dcl_ma),
                         status)
        return self._reply(10)

    def _serial_number(self, now_ms):
        module = self._module()
        if module < 0 or module == _ALL:
            return self._error(-module if module < 0 else _RTN_ADR)
        self._info[0] = module
        for i in range(16):
            self._info[1 + i] = ord(self._serial[i])
        return self._reply(17)


def _tenths(milliamperes):
    """mA to 0.1 A, rounded to nearest, within 16 bits."""
    value = (milliamperes + 50) // 100
    return max(-32768, min(32767, value))


def _put_24(info, at, value):
    info[at] = value >> 16
    info[at + 1] = value >> 8 & 0xFF
    info[at + 2] = value & 0xFF


def _put_temp(info, at, value_dc):
    value = _NO_TEMP if value_dc == rd.NO_READING else value_dc + _KELVIN_DK
    info[at] = value >> 8
    info[at + 1] = value & 0xFF
