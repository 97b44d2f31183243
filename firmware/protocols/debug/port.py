"""The debug port, RS232 or USB: frames of the host tool, requests of PACE's and Pylontech's
programs, and the console of a person (COM-04, COM-10).

The first byte tells which: "~" begins an ASCII frame, and no byte of one is above 7F; B5 begins
a frame of the host tool; all else is text.
"""

import micropython
from protocols.ascii.frame import SOI
from protocols.debug.link import SOF, VERSION


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

    link        Link; ascii_port: AsciiPort; console: Console
    out         the newest answer
    """

    def __init__(self, link, ascii_port, console):
        self._link = link
        self._ascii = ascii_port
        self._console = console
        self._last_ms = 0
        self.out = link.out

    def take(self, byte, now_ms):
        """Take one received byte; return the length of the answer now in *out*, or 0."""
        link = self._link
        if now_ms != self._last_ms:
            self._last_ms = now_ms
            self._ascii.expire(now_ms)
            link.expire(now_ms)
        used = link.used
        if used == 1 and byte != VERSION and byte != SOF:
            link.drop()                 # a stray byte, and text behind it
            used = 0
        if used:
            self.out = link.out
            return link.take(byte, now_ms)
        ascii_port = self._ascii
        if ascii_port.is_open and byte >= 0x80:
            ascii_port.drop()
        if ascii_port.is_open or byte == SOI:
            link.hear()
            self.out = ascii_port.out
            return ascii_port.take(byte, now_ms)
        if byte == SOF:
            self.out = link.out
            return link.take(byte, now_ms)
        link.hear()
        self._console.take(byte)
        return 0

    @micropython.native
    def more(self, now_ms):
        """Length of what the console has to say meanwhile, in *out*; 0: nothing."""
        length = self._console.more()
        if length:
            self.out = self._console.out
        return length

    def restart(self):
        """After an exception: what was begun is given up."""
        self._ascii.drop()
        self._link.drop()
        self._console.restart()
