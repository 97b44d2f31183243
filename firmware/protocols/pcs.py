"""The RS485 port to the inverter: what is spoken there is found out, or set (COM-01).

Pylontech's and PACE's ASCII frames are told apart by the VER of each request; Modbus has no such
mark, so it has to be chosen by parameter.
"""

from protocols import pace, pylontech
from protocols.ascii_frame import DROPPED, NOTHING, OK, Parser, encode
from protocols.modbus import Modbus, PaceRegisters, VoltronicRegisters

_CID1 = 0x46
_AS_HEARD, _PYLONTECH, _PACE, _PACE_MODBUS, _VOLTRONIC = range(5)
_CAN_ONLY = 2                   # of the parameter inverter_port
_ECHO_MS = 500                  # an error of 18 characters takes 150 ms at 1200 baud
_MASK = 0x3FFFFFFF
MODULES = 15
_INFO = 2 + 61 * MODULES        # the longest: 42 of all


class Pcs:
    """Takes bytes, answers requests.

    system, pack, identity   snapshot.System, PackState, snapshot.Identity
    trusted     as Pace's; a trusted port takes no part in looking for the inverter
    out         the newest answer
    answered    requests answered without an error, since start
    """

    def __init__(self, system, pack, identity, trusted=False):
        self._system = system
        self._pack = pack
        self._trusted = trusted
        self._parser = Parser()
        self._info = bytearray(_INFO)
        self.out = bytearray(18 + 2 * _INFO)
        self._pylontech = pylontech.Pylontech(system, pack, identity, self._info)
        self._pace = pace.Pace(system, pack, identity, self._info, trusted)
        self._registers = (PaceRegisters(system, pack, identity),
                           VoltronicRegisters(system, pack))
        self._modbus = Modbus(self.out, self._registers[0])
        self._spoken = _AS_HEARD
        self._silent = False        # the inverter is on CAN, and this port is not answered
        self._taken = -1
        self._refused = OK              # return code of the newest answer, and when it was given
        self._refused_ms = 0
        self.answered = 0

    @property
    def dropped(self):
        """Frames dropped, since start."""
        return self._parser.dropped

    def take(self, byte, now_ms):
        """Take one received byte; return the length of the answer now in *out*, or 0."""
        if self._taken != self._pack.params.changed:
            self._taken = self._pack.params.changed
            self._spoken = _AS_HEARD if self._trusted else self._pack.params["pcs_protocol"]
            self._modbus.registers = self._registers[
                1 if self._spoken == _VOLTRONIC else 0]
            self._silent = (not self._trusted
                            and self._pack.params["inverter_port"] == _CAN_ONLY)
        if self._silent:
            return 0
        if self._spoken >= _PACE_MODBUS:
            length = self._modbus.take(byte, now_ms)
            if length:
                self._heard()
                self.answered += 1
            return length
        verdict = self._parser.take(byte, now_ms)
        if verdict == NOTHING or verdict == DROPPED:
            return 0
        return self._answer(verdict, now_ms)

    def _heard(self):
        if not self._trusted:
            self._pack.inverter.heard()

    def _answer(self, verdict, now_ms):
        parser = self._parser
        if parser.cid1 != _CID1 or self._is_answer(parser, now_ms):
            return 0
        is_pace = parser.ver == pace.VER
        if self._spoken == _PACE and not is_pace or self._spoken == _PYLONTECH and is_pace:
            return 0
        server = self._pace if is_pace else self._pylontech
        ver = pace.VER if is_pace else pylontech.VER
        adr = parser.adr
        if not server.is_for_us(adr):
            if not self._trusted:
                return 0
            adr = self._pack.dip        # point to point: whatever was asked for, it is us
        if verdict != OK:
            return self._encode(ver, adr, verdict, 0, now_ms)
        self._heard()
        self._system.update(now_ms)
        length = server.answer(parser, now_ms)
        if length < 0:
            return 0
        if server.rtn == OK:
            self.answered += 1
        return self._encode(ver, adr, server.rtn, length, now_ms)

    def _encode(self, ver, adr, code, length, now_ms):
        self._refused = code
        self._refused_ms = now_ms
        return encode(self.out, ver, adr, _CID1, code, self._info, length)

    def _is_answer(self, parser, now_ms):
        """True for what is no request but an answer: 00, or the echo of the error just sent.

        Without the second a half-duplex line that echoes would never be quiet again.
        """
        refused = self._refused
        self._refused = OK
        if (now_ms - self._refused_ms) & _MASK > _ECHO_MS:
            refused = OK
        return parser.cid2 == OK or parser.cid2 == refused
