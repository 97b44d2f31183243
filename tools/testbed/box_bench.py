"""The computer's side of the box (tools/packbox): models here, what they show on the wires there.

The models run on the computer and not on the box: they are the same files as on every other
target, so there is no second copy that could disagree, and 264 kB of RAM without a floating-point
unit would not carry them. The registers that they show go to the box each PUSH_US.

A bench has the box's time. What the box reports bears the time at which it was seen, and the
models are brought to that time before they learn of it; they never run ahead of the box.
"""

import struct
import sys

import rooms

rooms.use(rooms.MODELS)
if str(rooms.MOCKS) not in sys.path:
    sys.path.append(str(rooms.MOCKS))       # for its `micropython`, behind all else

import box_frames as bf  # noqa: E402 - the path comes first
from afe_model import NORMAL as AFE_NORMAL  # noqa: E402
from afe_model import SLEEP as AFE_SLEEP  # noqa: E402
from box_front import KEPT, LATE, MEMORY_SIZE  # noqa: E402

PUSH_US = 20_000
_KEPT_US = 100_000              # answers of sub-commands that are kept up to date
_WRAP = 1 << 30
_OCD1, _OCD2, _SCD = 5, 6, 7    # bits of Safety A
# registers that the box takes only where the computer knows of its newest write
_STATUS = ((0x00, 0x14), (0x62, 0x68), (0x7F, 0x80))
_MEASURED = ((0x14, 0x3C), (0x68, 0x7C))
_ALIVE_US = 2_000_000


class BoxError(Exception):
    """The box, or what is between it and us, is not as it should be; the text is for the user."""


def right_box(text):
    """None, or why the box that says *text* of itself is not the one for this program."""
    words = text.split()
    if len(words) != 3 or words[1] != bf.NAME:
        return (f"the board at the box's port is no box: it says {text!r}; flash it with "
                "make hil BOX=<port> FLASH=1")
    if words[0] != str(bf.VERSION):
        return (f"the box has firmware {words[0]}, this program needs {bf.VERSION}; flash it with "
                "make hil BOX=<port> FLASH=1")
    return None


class Signs:
    """What a box has seen of the board under test since this was made; names a wrong wire."""

    def __init__(self):
        self.high = self.low = 0            # pins of the box
        self.frames = self.bad_frames = self.writes = 0
        self.lamp_words = self.lamp_ones = self.lamp_zeros = 0

    def pins(self, high, low):
        self.high |= high
        self.low |= low

    def _moved(self, pin):
        return self.high & self.low & 1 << pin

    def verdict(self, pins, permitted=False):
        """None, or one sentence: which wire. Some seconds after the board was reset.

        pins       {signal: GPIO of the box}
        permitted  the board has permitted the FETs for a second
        """
        def wire(*names):
            where = " or ".join(f"{name} (the box's GP{pins[name]})" for name in names)
            return f"the bench: look at the wire {where}: "

        lamps = self.lamp_words
        if not self._moved(pins["AFE_CS"]):
            if not lamps and not self.high & 1 << pins["AFE_BOTHOFF"]:
                return ("the bench: the board under test does not run: no pin of it moves; look "
                        "at its supply, at GND and at the wire RUN "
                        f"(the box's GP{pins['RUN']})")
            return wire("AFE_CS") + "the board runs, and its select never comes"
        if not self.frames:
            return wire("AFE_SCK") + "selects come, and no clock with them"
        if self.bad_frames * 2 > self.frames:
            return wire("AFE_MOSI") + "the frames' checksums are wrong"
        if not self.writes:
            return wire("AFE_MISO") + "the board asks the same question again and again"
        if not lamps:
            return wire("AUX_SCK") + "no word for the lamps comes"
        if lamps > 60:
            return wire("CAN_CS") + "words for the CAN controller come as words for the lamps"
        if not self.lamp_ones or not self.lamp_zeros:
            return wire("AUX_MOSI") + "all bits of the lamps are alike"
        if permitted and not self.high & 1 << pins["AFE_BOTHOFF"]:
            return wire("AFE_BOTHOFF") + "the board permits its FETs, and the line stays low"
        return None


class BoxBench:
    """A Stand behind a box.

    stand   whose cells and AFE are shown; its clock is the box's
    send    called with the bytes of a message
    heard   called with (port, bytes) for what the controller has sent on a UART of the box
    t_us    the box's time as of its last word, from 0 at start()
    frames, bad_frames, worst_us   as the box counts them; worst_us: its longest turn
    """

    def __init__(self, stand, send, heard=None):
        self.stand = stand
        self.heard = heard or (lambda port, data: None)
        self._send = send
        self._parser = bf.Parser()
        self._zero = None               # None | the box's time at start(), unwrapped
        self._last = 0
        self._turn = 0
        self._box_turn = None           # as the box says
        self.identity = None
        self.t_us = 0
        self.frames = self.bad_frames = self.worst_us = 0
        self._frames_seen = None
        self._push_us = self._kept_us = -1
        self._sent = None               # image that the box has
        self._sent_turn = None          # None | turn of the status that it has taken for sure
        self._current = None
        self._rows = None
        self._bus = (bf.NORMAL, 0, bf.BOTHOFF_WELL)
        self._starting = True
        self._asked = []
        self.reset_held = False
        self.supply = True
        self.signs = Signs()

    # -- messages

    def message(self, kind, payload=b""):
        self._send(bf.framed(kind, payload))

    def feed(self, data):
        """Bytes of the box."""
        for kind, payload in self._parser.feed(data):
            if kind == bf.EVENTS:
                for at in range(0, len(payload), bf.EVENT):
                    self._event(*struct.unpack_from("<IBBH", payload, at))
            elif kind == bf.ALIVE:
                self._alive(*struct.unpack(bf.ALIVE_FORM, payload))
            elif kind == bf.HEARD:
                self.heard(payload[0], payload[1:])
            elif kind == bf.IS:
                self.identity = payload.decode("ascii", "replace")

    def _time(self, ticks):
        if self._zero is None:
            self._zero = ticks
            self._last = ticks
        step = (ticks - self._last + _WRAP // 2) % _WRAP - _WRAP // 2
        self._last += step
        self.t_us = max(self.t_us, self._last - self._zero)
        return self.t_us

    @property
    def zero_us(self):
        """What the box's clock showed at t_us = 0."""
        return self._zero or 0

    def _alive(self, ticks, turn, frames, bad, worst_us, high, low):
        now_us = self._time(ticks)
        self.signs.pins(high, low)
        self.stand.advance(now_us)
        if self._frames_seen is not None:
            new = frames - self._frames_seen[0] & 0xFFFF
            self.frames += new
            self.bad_frames += bad - self._frames_seen[1] & 0xFFFF
            if new:
                self.stand.afe.heard(now_us)
            self.signs.frames += new
            self.signs.bad_frames += bad - self._frames_seen[1] & 0xFFFF
        self._frames_seen = frames, bad
        self.worst_us = max(self.worst_us, worst_us)
        if self._box_turn is None:
            self._turn = turn
        self._box_turn = turn

    def _event(self, ticks, kind, a, b):
        now_us = self._time(ticks)
        stand = self.stand
        if kind == bf.WRITE:
            self._turn = self._turn + 1 & 0xFFFF
            self.signs.writes += 1
            stand.afe.taken(a, b & 0xFF, now_us)
            if a == 0x3F:
                command = self._sub_low | (b & 0xFF) << 8
                if command in LATE:
                    self._asked.append(command)
            elif a == 0x3E:
                self._sub_low = b & 0xFF
        elif kind == bf.LEVEL:
            name = bf.INPUTS[a]
            if name == "AFE_BOTHOFF":
                self._turn = self._turn + 1 & 0xFFFF
            stand.pin(name, b, now_us)
        elif kind == bf.LAMPS:
            self.signs.lamp_words += 1
            self.signs.lamp_ones |= b
            self.signs.lamp_zeros |= ~b & 0xFFFF
            stand.chain.shift(b >> 8)
            stand.chain.shift(b & 0xFF)
            stand.pin("LAMP_RCLK", 1, now_us)
            stand.pin("LAMP_RCLK", 0, now_us)

    _sub_low = 0

    # -- what the models show

    def start(self):
        """Everything that the box has to know."""
        self._box_turn = None
        self.outputs()
        self.set_bus(*self._bus)
        self._sent = self._current = self._rows = None
        self._starting = True

    def push(self, force=False):
        """Send what has changed, if it is time."""
        now_us = self.t_us
        afe = self.stand.afe
        if self._box_turn is None:
            return
        self._tell_current()
        if self._asked:
            afe.advance(now_us)
            for command in self._asked:
                self._answer(command)
            self._asked.clear()
        if not force and now_us < self._push_us + PUSH_US and self._push_us >= 0:
            return
        self._push_us = now_us
        if afe.mode not in (AFE_NORMAL, AFE_SLEEP):
            if not self._starting:
                self._starting = True
                self.set_bus(bf.SILENT, *self._bus[1:], keep=False)
            afe.advance(now_us)
            return
        image = afe.image(now_us)
        turn = struct.pack("<H", self._turn)
        if self._starting:
            self.put_memory()
            for command in KEPT:
                self._answer(command)
        for first, end in _STATUS:
            if self._sent is None or self._sent_turn != self._turn or (
                    self._sent[first:end] != image[first:end]):
                self.message(bf.REGISTERS, turn + bytes((first,)) + image[first:end])
        self._sent_turn = self._turn if self._box_turn == self._turn else None
        for first, end in _MEASURED:
            if self._sent is None or self._sent[first:end] != image[first:end]:
                self.message(bf.REGISTERS, turn + bytes((first,)) + image[first:end])
        self._sent = image
        if now_us >= self._kept_us + _KEPT_US:
            self._kept_us = now_us
            self._answer(0x76)
            self._answer(0x83)
            self._tell_rows()
        if self._starting:
            self._starting = False
            self.message(bf.START_CHIP)
            self.set_bus(*self._bus)

    def put_memory(self):
        """The whole of the data memory."""
        memory = self.stand.afe.cfg.memory
        for at in range(0, MEMORY_SIZE, 56):
            self.message(bf.MEMORY, struct.pack("<H", at) + bytes(memory[at:at + 56]))

    def _answer(self, command):
        data = self.stand.afe.payload(command, self.t_us)
        if data is not None:
            self.message(bf.ANSWER, struct.pack("<H", command) + bytes(data))

    def _tell_current(self):
        current = int(self.stand.plant.current_ma)
        if self._current is None or abs(current - self._current) > 500 + abs(current) // 50:
            self._current = current
            self.message(bf.CURRENT, struct.pack("<i", current))

    def _tell_rows(self):
        """Thresholds of the discharge comparators, for the box's own."""
        cfg = self.stand.afe.cfg
        uv_ma = self.stand.plant.shunt_uohm / 1000
        rows = b""
        for bit, uv in ((_OCD1, cfg.ocd1), (_OCD2, cfg.ocd2), (_SCD, cfg.scd)):
            if uv < 1e9:
                rows += struct.pack("<BIH", 1 << bit, int(uv / uv_ma),
                                    max(0, int(cfg.delays[bit]) // 1000))
        if rows != self._rows:
            self._rows = rows
            self.message(bf.ROWS, rows)

    # -- outputs and faults of the wires

    def outputs(self):
        stand = self.stand
        self.message(bf.OUTPUTS, bytes((stand.rocker, stand.expander.inputs,
                                        int(self.reset_held), int(self.supply))))

    def set_bus(self, mode, spoil=0, bothoff=bf.BOTHOFF_WELL, keep=True):
        if keep:
            self._bus = mode, spoil, bothoff
        self.message(bf.BUS, bytes((mode, spoil, bothoff)))

    def faults_changed(self):
        """Faults of the chip that the box has to show."""
        afe = self.stand.afe
        mode = (bf.SILENT if afe.silent else bf.LOW if afe.stuck_low else
                bf.HIGH if afe.stuck_high else bf.NORMAL)
        bothoff = {None: bf.BOTHOFF_WELL, "inverted": bf.BOTHOFF_INVERTED,
                   "dead": bf.BOTHOFF_DEAD}[afe.bothoff_fault]
        self.set_bus(mode, min(255, round(afe.crc_rate * 256)), bothoff)
