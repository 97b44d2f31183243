"""Requests in ASCII frames, Pylontech's or PACE's by the VER of each, and the answers to them."""

from protocols.ascii import pace, pylontech
from protocols.ascii.frame import DROPPED, NOTHING, OK, Parser, encode
from ticks import MASK

CID1 = 0x46
_ECHO_MS = 500                  # an error of 18 characters takes 150 ms at 1200 baud
MODULES = 15
_INFO = 2 + 61 * MODULES        # the longest: 42 of all


class AsciiPort:
    """A point-to-point line on which whatever address is asked, this pack is meant.

    system, pack, identity   snapshot.System, Pack, snapshot.Identity
    rights      may_write: commands that write are obeyed
    out         the newest answer
    pace        pace.Pace, for other ports too
    answered    requests answered without an error, since start
    """

    def __init__(self, system, pack, identity, rights):
        self._system = system
        self._pack = pack
        self._parser = Parser()
        self._info = bytearray(_INFO)
        self.out = bytearray(18 + 2 * _INFO)
        self._pylontech = pylontech.Pylontech(system, pack, identity, rights, self._info)
        self.pace = pace.Pace(system, pack, identity, rights, self._info)
        self._refused = OK              # return code of the newest answer, and when it was given
        self._refused_ms = 0
        self.answered = 0

    @property
    def is_open(self):
        """True inside a frame."""
        return self._parser.is_open

    def drop(self):
        """Discard the frame that has begun."""
        self._parser.drop()

    def expire(self, now_ms):
        """A pause inside a frame ends it."""
        self._parser.expire(now_ms)

    @property
    def dropped(self):
        """Frames dropped, since start."""
        return self._parser.dropped

    def take(self, byte, now_ms):
        """Take one received byte; return the length of the answer now in *out*, or 0."""
        verdict = self._parser.take(byte, now_ms)
        if verdict == NOTHING or verdict == DROPPED:
            return 0
        parser = self._parser
        if parser.cid1 != CID1 or self._is_answer(parser, now_ms):
            return 0
        is_pace = parser.ver == pace.VER
        server = self.pace if is_pace else self._pylontech
        adr = self._address(server, is_pace)
        if adr < 0:
            return 0
        ver = pace.VER if is_pace else pylontech.VER
        if verdict != OK:
            return self._encode(ver, adr, verdict, 0, now_ms)
        self._heard()
        self._system.update_own(now_ms)
        length = server.answer(parser, now_ms)
        if length < 0:
            return 0
        if server.rtn == OK:
            self.answered += 1
        return self._encode(ver, adr, server.rtn, length, now_ms)

    def _address(self, server, is_pace):
        """The address to answer with; below 0: not at all. The parser then has one of ours."""
        parser = self._parser
        asked = parser.adr
        if server.is_for_us(asked):
            return asked
        parser.adr = server.address()
        return asked if is_pace and asked <= 0x0F else parser.adr

    def _heard(self):
        """A good request has come."""

    def _encode(self, ver, adr, code, length, now_ms):
        self._refused = code
        self._refused_ms = now_ms
        return encode(self.out, ver, adr, CID1, code, self._info, length)

    def _is_answer(self, parser, now_ms):
        """True for what is no request but an answer: 00, or the echo of the error just sent.

        Without the second a half-duplex line that echoes would never be quiet again.
        """
        refused = self._refused
        self._refused = OK
        if (now_ms - self._refused_ms) & MASK > _ECHO_MS:
            refused = OK
        return parser.cid2 == OK or parser.cid2 == refused
