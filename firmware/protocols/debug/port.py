"""The RS232 debug port: frames of the host tool, and requests of PACE's and Pylontech's programs.

The first byte tells which: "~" begins an ASCII frame, and no byte of one is above 7F.
"""

from protocols.ascii.frame import SOI


class Trusted:
    """Rights of a port that needs no unlocking, but the owner's PIN where one is set (SAF-11).

    pin   Pin, or None
    """

    def __init__(self, pin=None):
        self._pin = pin

    @property
    def may_write(self):
        return self._pin is None or self._pin.may_write


class DebugPort:
    """Takes bytes, hands them to who understands them.

    link        Link; ascii_port: AsciiPort
    out         the newest answer
    """

    def __init__(self, link, ascii_port):
        self._link = link
        self._ascii = ascii_port
        self.out = link.out

    def take(self, byte, now_ms):
        """Take one received byte; return the length of the answer now in *out*, or 0."""
        ascii_port = self._ascii
        if ascii_port.is_open and byte >= 0x80:
            ascii_port.drop()
        if ascii_port.is_open or byte == SOI and self._link.is_idle:
            self._link.hear()
            self.out = ascii_port.out
            return ascii_port.take(byte, now_ms)
        self.out = self._link.out
        return self._link.take(byte, now_ms)
