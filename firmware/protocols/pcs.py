"""The RS485 port to the inverter: what is spoken there is found out, or set (COM-01).

Pylontech's and PACE's ASCII frames are told apart by the VER of each request; Modbus has no such
mark, so it has to be chosen by parameter.
"""

from protocols import pace_names
from protocols.ascii.port import AsciiPort
from protocols.modbus import Modbus, PaceRegisters, VoltronicRegisters

_AS_HEARD, _PYLONTECH, _PACE, _PACE_MODBUS, _VOLTRONIC = range(5)
RS485_ONLY, CAN_ONLY = 1, 2     # of the parameter inverter_port


class Pcs(AsciiPort):
    """Takes bytes, answers requests to its own addresses.

    system, pack, identity   as AsciiPort's; writing is by the pack's rights
    """

    def __init__(self, system, pack, identity):
        super().__init__(system, pack, identity, pack.rights)
        self._registers = (PaceRegisters(system, pack, identity),
                           VoltronicRegisters(system, pack))
        self._modbus = Modbus(self.out, self._registers[0])
        self._spoken = _AS_HEARD
        self._silent = False        # the inverter is on CAN, and this port is not answered
        self._taken = -1

    def use_counters(self, counters):
        """Counters of the pack's life, for the page of its health (REC-05)."""
        self._registers[0].counters = counters

    def _load(self):
        p = self._pack.params
        self._taken = p.changed
        self._spoken = pace_names.base_of(pace_names.RS485, p["pcs_protocol"])
        self._modbus.registers = self._registers[1 if self._spoken == _VOLTRONIC else 0]
        self._silent = p["inverter_port"] == CAN_ONLY

    def take(self, byte, now_ms):
        """Take one received byte; return the length of the answer now in *out*, or 0."""
        if self._taken != self._pack.params.changed:
            self._load()
        if self._silent:
            return 0
        if self._spoken < _PACE_MODBUS:
            return super().take(byte, now_ms)
        length = self._modbus.take(byte, now_ms)
        if length:
            self._heard()
            self.answered += 1
        return length

    def _address(self, server, is_pace):
        if self._spoken == _PACE and not is_pace or self._spoken == _PYLONTECH and is_pace:
            return -1
        return self._parser.adr if server.is_for_us(self._parser.adr) else -1

    def _heard(self):
        self._pack.inverter.heard()
