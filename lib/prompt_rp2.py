"""The interpreter's prompt on the RP2040's USB port (SAF-10), and the word that asks for it.

While the firmware runs no byte stops it: what comes over USB is read here and forgotten, but for
a line `prompt`. At the prompt the dead man's switch (dead_man_rp2.py) keeps both FETs forced off
and resets the chip after ten minutes in which nothing came in over USB, whatever runs there.
"""

import io
import machine
import micropython
import os
import select
import sys

import dead_man_rp2

_WORD = b"prompt"
_MOST = 64                  # bytes looked at in one step
_OUT_CONTROL = 0x5010000C       # USB memory: where endpoint 2 puts what the PC sends ...
_OUT_BUFFER = 0x50100094        # ... and its state: one bit changes with each packet
_USB_MEMORY = 0x50100000


class UsbWord:
    """Looks for the line in what comes over USB. Allocates nothing."""

    def __init__(self):
        self._in = sys.stdin.buffer
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._byte = bytearray(1)
        self._met = 0               # bytes of the word that the line began with, -1: another line

    @micropython.native
    def asked(self):
        """True once the word stood on a line of its own."""
        for _ in range(_MOST):
            if not self._waits():
                return False
            self._in.readinto(self._byte)
            byte = self._byte[0]
            if byte == 13 or byte == 10:
                if self._met == len(_WORD):
                    return True
                self._met = 0
            elif 0 <= self._met < len(_WORD) and byte == _WORD[self._met]:
                self._met += 1
            else:
                self._met = -1
        return False

    @micropython.native
    def _waits(self):
        for _ in self._poll.ipoll(0):
            return True
        return False

    def forget(self):
        """What came behind the word is for nobody."""
        while self._waits():
            self._in.readinto(self._byte)


def _seen():
    """Something that differs when a packet came over USB."""
    mem = machine.mem32
    return mem[_OUT_BUFFER] ^ mem[_USB_MEMORY + (mem[_OUT_CONTROL] & 0xFFC0)] ^ 1 << 31


class _Watcher(io.IOBase):
    """A second terminal that says nothing and hears what is printed: each input is answered by
    an echo or a result, and then the ten minutes begin anew."""

    def __init__(self):
        self._seen = _seen()

    def readinto(self, buf):
        return None

    def write(self, buf):
        seen = _seen()
        if seen != self._seen:
            self._seen = seen
            dead_man_rp2.hold_open()
        return len(buf)

    def ioctl(self, request, argument):
        return 0


def enter():
    """Both FETs are off: from now on a person may work at the prompt."""
    dead_man_rp2.hold_open()
    os.dupterm(_Watcher())


def resume():
    """At the start of boot.py. True after a soft reset at the prompt, which goes on then."""
    if not dead_man_rp2.at_prompt():
        return False
    enter()
    return True
