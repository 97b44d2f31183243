"""Messages between the box and the computer: start byte, kind, length, payload, sum.

A message of the computer has at most 60 bytes of payload, so that it comes in one USB packet and
is never waited for. One source for the box (MicroPython) and the computer.
"""

from micropython import const

START = const(0xC5)
MOST = const(60)

# from the computer
HELLO = const(0x01)         # asks what the box is
REGISTERS = const(0x02)     # turn (2), first, bytes
MEMORY = const(0x03)        # offset (2), bytes of data memory
ANSWER = const(0x04)        # sub-command (2), bytes
CURRENT = const(0x05)       # mA, signed (4)
ROWS = const(0x06)          # bit, mA (4), ms (2), once for each comparator
OUTPUTS = const(0x07)       # rocker, inputs of the expander, reset line held, supply on
BUS = const(0x08)           # NORMAL, SILENT, LOW, HIGH; share of wrong CRCs in 256; BOTHOFF
START_CHIP = const(0x09)    # power-on of the AFE: the memory and registers sent before count
UART = const(0x0A)          # port, bytes for the controller
BAUD = const(0x0B)          # port, bit/s (4)
CLOCK = const(0x0C)         # registers of the clock chip

# from the box
IS = const(0x81)            # version, text
EVENTS = const(0x82)        # of EVENT bytes each
ALIVE = const(0x83)         # as ALIVE_FORM, below
HEARD = const(0x84)         # port, bytes of the controller
WROTE = const(0x85)         # bytes written to the clock chip

# us, turn, frames, bad frames, us of the longest turn, pins seen high and pins seen low since the
# last one
ALIVE_FORM = "<IHHHHII"
ALIVE_BYTES = const(20)
EVENT = const(8)            # us (4), kind, a, b (2)
# kinds of events
WRITE = const(1)            # a: register, b: value
LEVEL = const(2)            # a: number of the input in INPUTS, b: level
LAMPS = const(3)            # b: word of the lamp registers
TRIP = const(4)             # a: bits of Safety A that the box's comparators have set

INPUTS = ("AFE_BOTHOFF", "LIMITER", "BUZZER", "DO1", "DO2", "HEARTBEAT", "PCS_DE", "PAR_DE",
          "LAMP_RCLK", "CAN_CS", "AFE_CS")
NORMAL, SILENT, LOW, HIGH = 0, 1, 2, 3
BOTHOFF_WELL, BOTHOFF_INVERTED, BOTHOFF_DEAD = 0, 1, 2

VERSION = const(1)
NAME = "packbox"


def framed(kind, payload=b""):
    """The message as bytes."""
    total = kind + len(payload)
    for byte in payload:
        total += byte
    return bytes((START, kind, len(payload))) + payload + bytes((total & 0xFF,))


class Parser:
    """Messages out of a stream; what does not fit is dropped and counted."""

    def __init__(self):
        self._buffer = bytearray()
        self.dropped = 0

    def feed(self, data):
        """[(kind, payload)] that *data* completes."""
        buffer = self._buffer
        buffer += data
        found = []
        at = 0
        while len(buffer) - at >= 4:
            if buffer[at] != START:
                at += 1
                self.dropped += 1
                continue
            length = buffer[at + 2]
            if len(buffer) - at < length + 4:
                break
            if sum(buffer[at + 1:at + 3 + length]) & 0xFF != buffer[at + 3 + length]:
                at += 1
                self.dropped += 1
                continue
            found.append((buffer[at + 1], bytes(buffer[at + 3:at + 3 + length])))
            at += length + 4
        if at:
            self._buffer = buffer[at:]
        return found
