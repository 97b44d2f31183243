"""The ASCII frame of the YD/T 1363.3 family: parser with a fixed buffer, and encoder.

"~" VER ADR CID1 CID2 LENGTH INFO CHKSUM CR; two hex digits a byte. LENGTH is LCHKSUM (1 digit)
and LENID, the number of INFO characters. CHKSUM is minus the sum of the characters between "~"
and itself, modulo 65536.
"""

from hot.hex_text import WHOLE, gather, get_bytes, hex_sum, put_bytes, put_hex, read_hex
from ticks import MASK

SOI = 0x7E
EOI = 0x0D
_HEADER = 12            # characters from VER to LENGTH
_FIXED = 18             # characters of a frame without INFO

# Verdicts of Parser.take(): return codes of the protocol, or these
OK = 0x00
BAD_CHKSUM = 0x02
BAD_LCHKSUM = 0x03
BAD_FORMAT = 0x05
NOTHING = -1            # frame not complete
DROPPED = -2            # not a request: nothing to answer


def length_field(lenid):
    """LENGTH for *lenid* INFO characters: LCHKSUM in the top 4 bits."""
    nibbles = (lenid & 0xF) + (lenid >> 4 & 0xF) + (lenid >> 8 & 0xF)
    return (-nibbles & 0xF) << 12 | lenid


def odd_bytes(buf, count):
    """How many of the first *count* bytes of *buf* no frame has: not 0-9, A-F, "~", CR."""
    odd = 0
    for i in range(count):
        c = buf[i]
        if not (48 <= c <= 57 or 65 <= c <= 70 or c == SOI or c == EOI):
            odd += 1
    return odd


class Parser:
    """Collects one frame at a time; anything odd drops the frame and is counted.

    size      longest frame accepted, characters
    gap_ms    a pause this long inside a frame drops it
    ver adr cid1 cid2   of the newest frame; info[0:info_len] its decoded INFO
    dropped   frames dropped, since start
    verdict   on what take_chunk() came upon last
    """

    def __init__(self, size=128, gap_ms=1000):
        self._line = bytearray(size)
        self._used = 0              # 0: waiting for "~", else characters held
        self._judged = 0            # characters of the newest frame
        self._gap_ms = gap_ms
        self._last_ms = 0
        self.info = bytearray(size // 2)
        self.info_len = 0
        self.ver = self.adr = self.cid1 = self.cid2 = 0
        self.dropped = 0
        self.verdict = NOTHING

    def take_chunk(self, chunk, at, count, now_ms):
        """Take chunk[at:count] up to the end of a frame; return where it stopped.

        verdict then is NOTHING, or what was found of a complete frame. For a bus where most
        frames are for others: quick, and a pause inside a frame only ends at its next byte.
        """
        if self._used and (now_ms - self._last_ms) & MASK > self._gap_ms:
            self._used = 0
            self.dropped += 1
        self._last_ms = now_ms
        state = gather(self._line, self._used, len(self._line), chunk, at, count)
        if state & WHOLE:
            self._used = 0
            self.verdict = self._judge(state & WHOLE - 1)
        else:
            self._used = state & WHOLE - 1
            self.verdict = NOTHING
        return state >> 16

    @property
    def is_open(self):
        """True inside a frame."""
        return self._used > 0

    def drop(self):
        """Discard the frame that has begun."""
        self._judged = self._used
        self._used = 0
        self.dropped += 1

    def expire(self, now_ms):
        """A pause inside a frame ends it."""
        if self._used and (now_ms - self._last_ms) & MASK > self._gap_ms:
            self._used = 0
            self.dropped += 1

    def take(self, byte, now_ms):
        """Take one received byte; NOTHING, DROPPED, or the verdict on a complete frame."""
        self.expire(now_ms)
        self._last_ms = now_ms
        if byte == SOI:
            if self._used:
                self.dropped += 1
            self._line[0] = byte
            self._used = 1
            return NOTHING
        if not self._used:
            return NOTHING
        if byte == EOI:
            used = self._used
            self._used = 0
            return self._judge(used)
        if self._used >= len(self._line):
            self._used = 0
            self.dropped += 1
            return DROPPED
        self._line[self._used] = byte
        self._used += 1
        return NOTHING

    def odd(self):
        """Of the frame begun, or else of the newest one: bytes that no frame of ours has."""
        return odd_bytes(self._line, self._used or self._judged)

    def _judge(self, used):
        self._judged = used
        line = self._line
        self.ver = read_hex(line, 1, 2)
        self.adr = read_hex(line, 3, 2)
        self.cid1 = read_hex(line, 5, 2)
        self.cid2 = read_hex(line, 7, 2)
        if used < _FIXED - 1 or min(self.ver, self.adr, self.cid1, self.cid2) < 0:
            self.dropped += 1
            return DROPPED
        self.info_len = 0
        check = read_hex(line, used - 4, 4)
        if check < 0 or (check + hex_sum(line, 1, used - 4)) & 0xFFFF:
            return BAD_CHKSUM
        length = read_hex(line, 9, 4)
        chars = used - 5 - _HEADER
        if length < 0 or length != length_field(length & 0xFFF) or length & 0xFFF != chars:
            return BAD_LCHKSUM
        if chars & 1:
            return BAD_FORMAT
        if not get_bytes(line, 1 + _HEADER, self.info, chars // 2):
            return BAD_FORMAT
        self.info_len = chars // 2
        return OK


def encode(out, ver, adr, cid1, cid2, info, info_len):
    """Write a whole frame into *out*; return its length.

    out    bytearray of at least 18 + 2 * info_len
    info   bytes-like; its first *info_len* bytes become INFO
    """
    out[0] = SOI
    put_hex(out, 1, ver, 2)
    put_hex(out, 3, adr, 2)
    put_hex(out, 5, cid1, 2)
    put_hex(out, 7, cid2, 2)
    put_hex(out, 9, length_field(2 * info_len), 4)
    put_bytes(out, 13, info, info_len)
    end = 13 + 2 * info_len
    put_hex(out, end, -hex_sum(out, 1, end) & 0xFFFF, 4)
    out[end + 4] = EOI
    return end + 5
