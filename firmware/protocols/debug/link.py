"""The debug port's framed protocol, version 1: self-describing, made for host tools.

Frame: 0xB5, version 1, seq, type, length (2, little-endian), payload, CRC-16/CCITT-FALSE of all
between (little-endian). A reply has the request's seq and type | 0x80; a refusal has type 0xFF
and the request's type, a code and a text. A frame with a wrong CRC is dropped in silence.
"""

import struct

from bms.words import events as ev
from bms.words import parameters
from bms.records.records import Records
from bms.update.header import UpdateRefused
from crc16 import crc16
from protocols.debug import report
from ticks import MASK

SOF = 0xB5
VERSION = 1
SEQ_BENCH = 0x80        # sequence numbers from here on are a test bench's, which is not there:
                        # its requests are answered, but are no communication (PWR-10, PWR-11)
_HEAD = 6
_LONGEST_IN = 512
_LONGEST_OUT = 768
_TEXT_ROOM = 704             # the table of 15 packs (command `fleet`) has up to 640
_GAP_MS = 500          # a pause this long inside a frame drops it

# Commands that need no PIN: they change nothing. Those of LOOKS do so without a further word
QUESTIONS = ("why", "ends", "limits", "afe", "fleet", "codes", "counters", "errors", "power",
             "pin")
LOOKS = ("clock", "profile", "key")
# what a bench may provoke: places are numbers in event records
PROVOKED = ("task_raise", "task_hang", "heap_full", "self_test", "task_storm")

_UNKNOWN = 1
_BAD_LENGTH = 2
_BAD_VALUE = 3
_REFUSED = 4
_NO_UPDATE = 16         # and the reason of bms/update/header.py added

_PAGE = 0x11            # a page of an update


class Refused(Exception):
    """A request that is not obeyed; args: code, text."""


class Link:
    """Parses requests and builds answers.

    pack       Pack; reporter: report.Reporter
    identity   lines "key=value" for HELLO
    commands   {name: function(list of words) -> text or None}
    provoke    function(text): makes a fault happen, for the test bench
    records    Records; None: those in RAM
    stored     function: 0 the parameters as they are now are in flash, 1 not yet, 2 the flash
               does not take them
    update     Update (tasks/update.py), or None

    used       bytes of the frame begun, 0: between frames
    pieces     of it: bytes that take_piece() takes at one go, 0: none
    pours      the newest frame was a page of an update: a later answer says all that its does
    out        the newest answer
    """

    def __init__(self, pack, reporter, identity, commands, provoke, records=None, stored=None,
                 update=None):
        self._pack = pack
        self._update = update
        self._reporter = reporter
        self._identity = identity
        self._commands = commands
        self._provoke = provoke
        self._stored = stored
        self._records = records or Records(pack.events)
        self._in = bytearray(_HEAD + _LONGEST_IN + 2)
        self.used = self.pieces = 0
        self.pours = False
        self._last_ms = 0
        self._schema = report.schema_id(reporter.fields)
        self.out = bytearray(_HEAD + _LONGEST_OUT + 2)
        self.dropped = 0

    @property
    def is_idle(self):
        """True between frames."""
        return self.used == 0

    def expire(self, now_ms):
        """A pause inside a frame ends it."""
        if self.used and (now_ms - self._last_ms) & MASK > _GAP_MS:
            self.drop()

    def take(self, byte, now_ms):
        """Take one received byte; return the length of the answer now in *out*, or 0."""
        buf = self._in
        used = self.used
        if used and (now_ms - self._last_ms) & MASK > _GAP_MS:
            self.drop()
            used = 0
        self._last_ms = now_ms
        if used == 0 and byte != SOF:
            self.hear()
            return 0
        buf[used] = byte
        used += 1
        self.used = used
        if used == 2 and byte != VERSION:
            self.drop()
            if byte == SOF:             # the one before was noise: this may be the frame
                self.used = 1
            return 0
        if used < _HEAD:
            if used == 3 and byte < SEQ_BENCH:
                self.hear()
            return 0
        length = buf[4] | buf[5] << 8
        if length > _LONGEST_IN:
            return self.drop()
        if used < _HEAD + length + 2:
            if used == _HEAD and buf[3] == _PAGE:
                self.pieces = length + 1        # the last byte is for this function
            return 0
        self.used = 0
        end = _HEAD + length
        if crc16(buf, 1, end, 0xFFFF) != buf[end] | buf[end + 1] << 8:
            return self.drop()
        return self._answer(length, now_ms)

    def take_piece(self, buf, at, count, now_ms):
        """Take up to *count* received bytes of *buf* from *at* on at one go while there are
        `pieces`; returns how many that were."""
        if (now_ms - self._last_ms) & MASK > _GAP_MS:
            self.drop()
            return 0
        count = min(count, self.pieces)
        used = self.used
        self._in[used:used + count] = memoryview(buf)[at:at + count]
        self.used = used + count
        self.pieces -= count
        self._last_ms = now_ms
        return count

    def hear(self):
        """Somebody uses the port (PWR-11)."""
        self._pack.power.hear_debug()

    def drop(self):
        """Discard the frame that has begun."""
        self.hear()
        self.used = self.pieces = 0
        self.dropped += 1
        return 0

    def _answer(self, length, now_ms):
        kind = self._in[3]
        self.pours = kind == _PAGE
        handler = _HANDLERS.get(kind)
        try:
            if handler is None:
                raise Refused(_UNKNOWN, "type 0x%02x is not known" % kind)
            size = handler(self, length, now_ms)
            return self._finish(kind | 0x80, size)
        except (Refused, UpdateRefused) as refused:
            if isinstance(refused, UpdateRefused):
                code, text = _NO_UPDATE + refused.reason, str(refused)
            else:
                code, text = refused.args
            self.out[_HEAD] = kind
            self.out[_HEAD + 1] = code
            return self._finish(0xFF, 2 + self._put(2, text.encode()))

    def _finish(self, kind, size):
        out = self.out
        out[0] = SOF
        out[1] = VERSION
        out[2] = self._in[2]
        out[3] = kind
        out[4] = size & 0xFF
        out[5] = size >> 8
        end = _HEAD + size
        crc = crc16(out, 1, end, 0xFFFF)
        out[end] = crc & 0xFF
        out[end + 1] = crc >> 8
        return end + 2

    def _put(self, at, data):
        """Copy *data* to payload offset *at*; return its length."""
        at += _HEAD
        self.out[at:at + len(data)] = data
        return len(data)

    def _need(self, length, wanted):
        if length != wanted:
            raise Refused(_BAD_LENGTH, "%d bytes of payload, expected %d" % (length, wanted))

    def _text_in(self, length):
        try:
            return bytes(self._in[_HEAD:_HEAD + length]).decode()
        except UnicodeError:
            raise Refused(_BAD_VALUE, "text is not UTF-8")

    def _page(self, length, count, line):
        """A page of *count* lines, from the one that is asked for on, while they fit.

        line   function(i): line i as text
        """
        self._need(length, 1)
        first = i = self._in[_HEAD]
        if first >= count:
            raise Refused(_BAD_VALUE, "line %d: there are %d" % (first, count))
        at = 1
        while i < count:
            data = (line(i) if i == first else "\n" + line(i)).encode()
            if at + len(data) > _TEXT_ROOM:
                break
            at += self._put(at, data)
            i += 1
        self.out[_HEAD] = i if i < count else 0
        return at

    # -- handlers: payload length in, payload length out ------------------------------------

    def _hello(self, length, now_ms):
        text = "%s\nschema=%04x\nuptime_s=%d" % (
            self._identity, self._schema, self._reporter.uptime_s(now_ms))
        return self._put(0, text.encode())

    def _fields(self, length, now_ms):
        field = self._reporter.field
        return self._page(length, len(report.FIELDS), lambda i: report.line_of(field(i)))

    def _event_fields(self, length, now_ms):
        rows = report.EVENT_FIELDS
        return self._page(length, len(rows), lambda i: report.line_of(rows[i]))

    def _names(self, length, now_ms):
        """Numbers, ids and words of items and faults, from a line on."""
        return self._page(length, report.NAMES, report.name)

    def _report(self, length, now_ms):
        self.out[_HEAD] = self._schema & 0xFF
        self.out[_HEAD + 1] = self._schema >> 8
        return self._reporter.pack_into(self.out, _HEAD + 2, now_ms) - _HEAD

    def _events(self, length, now_ms):
        self._need(length, 5)
        since, most = struct.unpack_from("<IB", self._in, _HEAD)
        records = self._records
        size = struct.calcsize(report.EVENT_FORMAT)
        most = min(most, (_LONGEST_OUT - 1) // size)
        count = 0
        at = _HEAD + 1
        seq = max(since + 1, records.oldest, 1)
        while seq <= records.newest and count < most:
            seq = records.following(seq)
            record = records.read(seq, now_ms)
            if record is not None:
                report.pack_event(self.out, at, seq, record)
                at += size
                count += 1
            seq += 1
        self.out[_HEAD] = count
        return at - _HEAD

    def _param_list(self, length, now_ms):
        self._need(length, 2)
        first = self._in[_HEAD] | self._in[_HEAD + 1] << 8
        lines = len(parameters.TABLE)
        at = 2
        i = first
        while i < lines:
            data = (("\n" if i > first else "") + self._pack.params.describe(i)).encode()
            if at + len(data) > _TEXT_ROOM:
                break
            at += self._put(at, data)
            i += 1
        following = i if i < lines else 0xFFFF
        self.out[_HEAD] = following & 0xFF
        self.out[_HEAD + 1] = following >> 8
        return at

    def _param_get(self, length, now_ms):
        self._need(length, 2)
        number = self._in[_HEAD] | self._in[_HEAD + 1] << 8
        try:
            value = self._pack.params[self._pack.params.name_of(number)]
        except ValueError as error:
            raise Refused(_BAD_VALUE, str(error))
        struct.pack_into("<Hi", self.out, _HEAD, number, value)
        return 6

    def _param_set(self, length, now_ms):
        """One parameter or several: (id, value), again and again. All or none (PAR-04).

        The answer repeats what was taken, and says whether it is stored (SAF-09).
        """
        self._need_right()
        if not length or length % 6:
            raise Refused(_BAD_LENGTH, "%d bytes of payload, expected 6 for each value" % length)
        params = self._pack.params
        values = {}
        try:
            for at in range(_HEAD, _HEAD + length, 6):
                number, value = struct.unpack_from("<Hi", self._in, at)
                values[params.name_of(number)] = value
            self._pack.change(values, now_ms)
        except ValueError as error:
            raise Refused(_BAD_VALUE, str(error))
        for at in range(_HEAD, _HEAD + length, 6):
            number = self._in[at] | self._in[at + 1] << 8
            struct.pack_into("<Hi", self.out, at, number, params[params.name_of(number)])
        if self._stored is None:
            return length
        self.out[_HEAD + length] = self._stored()
        return length + 1

    def _need_right(self):
        """What changes anything needs the owner's PIN, where one is set (SAF-11)."""
        pin = self._pack.rights.pin
        if not pin.may_write:
            raise Refused(_REFUSED, "locked: give the PIN first, with the command pin")
        pin.use()

    def _param_restore(self, length, now_ms):
        self._need_right()
        self._pack.params.restore()
        self._pack.events.add(now_ms, ev.PARAMETER, 0xFF)
        return 0

    def _command(self, length, now_ms):
        words = self._text_in(length).split()
        command = self._commands.get(words[0]) if words else None
        if command is None:
            raise Refused(_BAD_VALUE, "commands: " + " ".join(sorted(self._commands)))
        if words[0] not in QUESTIONS and not (len(words) == 1 and words[0] in LOOKS):
            self._need_right()
        try:
            text = command(words[1:]) or ""
        except ValueError as error:
            raise Refused(_BAD_VALUE, str(error))
        return self._put(0, text.encode()[:_TEXT_ROOM])

    def _provoked(self, length, now_ms):
        self._need_right()
        if not self._pack.params["bench_enable"]:
            raise Refused(_REFUSED, "bench_enable is 0: faults cannot be provoked")
        text = self._text_in(length)
        try:
            self._provoke(text)
        except ValueError as error:
            raise Refused(_BAD_VALUE, str(error))
        kind = text.split(" ")[0]
        self._pack.events.add(now_ms, ev.PROVOKE,
                              PROVOKED.index(kind) if kind in PROVOKED else 0xFF)
        return 0

    # -- update (docs/protocol.md): answers say how it stands ---------------------------------

    def _stands(self):
        return self._update.answer_into(self.out, _HEAD)

    def _need_update(self):
        if self._update is None:
            raise Refused(_UNKNOWN, "this board takes no update over this port")

    def _update_begin(self, length, now_ms):
        """Flags, 1 byte: 1 an older version is wanted; then the file's header and signature."""
        self._need_update()
        self._need_right()
        if not length:
            raise Refused(_BAD_LENGTH, "no header")
        self._update.begin(bytes(memoryview(self._in)[_HEAD + 1:_HEAD + length]),
                           self._in[_HEAD] & 1, self, now_ms)
        return self._stands()

    def _update_page(self, length, now_ms):
        self._need_update()
        if length < 3:
            raise Refused(_BAD_LENGTH, "a page with %d bytes" % length)
        self._update.receiver.take(self._in, _HEAD, length, self, now_ms)
        return self._stands()

    def _update_state(self, length, now_ms):
        self._need_update()
        size = self._stands()
        return size + self._put(size, self._update.text().encode())

    def _update_do(self, length, now_ms):
        """1 start the image that was received, 2 give up, 3 go back to the image before."""
        self._need_update()
        self._need_right()
        self._need(length, 1)
        self._update.order(self._in[_HEAD], self, now_ms)
        return self._update_state(0, now_ms)


_HANDLERS = {
    0x01: Link._hello, 0x02: Link._fields, 0x03: Link._report, 0x04: Link._events,
    0x05: Link._event_fields, 0x06: Link._param_list, 0x07: Link._param_get,
    0x08: Link._param_set, 0x09: Link._param_restore, 0x0A: Link._command,
    0x0B: Link._provoked, 0x0C: Link._names, 0x10: Link._update_begin,
    0x11: Link._update_page, 0x12: Link._update_state, 0x13: Link._update_do,
}
