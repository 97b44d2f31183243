"""The RP2040's USB serial port as a UART of the firmware: reads and writes that never wait.

MicroPython's stdin and stdout wait where there is nothing, or no room: stdout for half a second if
a program on the computer has the port open and does not read. So a byte is read only when one is
there, and a piece is written only when all of the last one has gone out: the endpoint is idle, and
behind it is a buffer of 256 bytes.
"""

import select
import sys

import micropython
from micropython import const

_AT_ONCE = const(64)        # bytes read in one step
_PIECE = const(192)         # bytes written when the endpoint is idle


@micropython.viper
def _is_idle() -> bool:
    """The computer has fetched what endpoint 2 had for it (USB memory: its buffer control)."""
    return bool(((ptr32(int(0x50100090))[0] >> 10) & 1) == 0)


class UsbPort:
    """What SerialPort needs of a UART. Allocates nothing."""

    def __init__(self):
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._byte = bytearray(1)

    @micropython.native
    def any(self):
        """As many bytes as one step takes if there are any; how many there are nobody says."""
        for _ in self._poll.ipoll(0):
            return _AT_ONCE
        return 0

    def readinto(self, buf, most):
        """Put at most *most* received bytes into *buf*; their count."""
        byte = self._byte
        count = 0
        while count < most and self._waits():
            self._in.readinto(byte)
            buf[count] = byte[0]
            count += 1
        return count

    def write(self, buf, offset, most):
        """Take as much of *buf* from *offset* on as there is room for; returns how much."""
        self._waits()                       # lets the USB stack do what is due
        if not _is_idle():
            return 0
        return self._out.write(buf, offset, min(most, _PIECE)) or 0

    def txdone(self):
        """What was written need not be waited for."""
        return True

    def forget(self):
        """What has come is for nobody."""
        while self._waits():
            self._in.readinto(self._byte)

    @micropython.native
    def _waits(self):
        for _ in self._poll.ipoll(0):
            return True
        return False
