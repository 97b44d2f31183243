"""A pack of the bench behind packctl's own classes, in simulated time: no clock is waited for."""

import contextlib
from unittest import mock

from packctl import ports, updating
from packctl.frames import SEQ_CLIENT
from packctl.pack import Pack

_STEP_US = 5_000


class SimPort:
    """The debug port of the rig's open pack as a stream; reading lets time pass.

    sent, heard   bytes to the pack and from it
    """

    name = "the bench"

    def __init__(self, rig):
        self._rig = rig
        self.sent = self.heard = 0
        self.cut = False        # the cable is out

    def write(self, data):
        self.sent += len(data)
        if not self.cut:
            self._rig._to_pack["debug"] += bytes(data)

    def read(self, count):
        rig = self._rig
        rig._console = bytearray()
        try:
            rig._advance(_STEP_US)
            found = bytes(rig._console)
        finally:
            rig._console = None
        if self.cut:
            return b""
        self.heard += len(found)
        return found

    def close(self):
        pass

    def monotonic(self):
        return self._rig._target.t_us / 1e6

    def sleep(self, seconds):
        end = self.monotonic() + seconds
        while self.monotonic() < end:
            self.read(0)


@contextlib.contextmanager
def pack_of(rig, pin=None):
    """(Pack, SimPort) of the rig's open pack."""
    port = SimPort(rig)
    with mock.patch.object(ports, "time", port), mock.patch.object(updating, "time", port):
        exchange = ports.StreamExchange(port, timeout_s=1.0, start=SEQ_CLIENT[0])
        yield Pack(port, exchange, pin), port
