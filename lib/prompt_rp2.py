"""The interpreter's prompt on the RP2040's USB port (SAF-10).

While the firmware runs no byte stops it: what comes over USB is a debug port's (usb_rp2.py), and
the console's word `prompt` is the one way here. At the prompt the dead man's switch
(dead_man_rp2.py) keeps both FETs forced off and resets the chip after ten minutes in which nothing
came in over USB, whatever runs there.
"""

import io
import machine
import os

import dead_man_rp2

_OUT_CONTROL = 0x5010000C       # USB memory: where endpoint 2 puts what the PC sends ...
_OUT_BUFFER = 0x50100094        # ... and its state: one bit changes with each packet
_USB_MEMORY = 0x50100000


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
