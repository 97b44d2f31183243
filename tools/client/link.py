"""Client of the debug-port protocol: frames, schema, report, events, parameters.

Three layers, each usable alone:

  encode(), Splitter     bytes <-> frames; the port also carries plain text, which is passed on
  Client                 requests and their meaning; knows no port, is given an exchange function
  StreamExchange         such a function for a serial port, pseudo-terminal or socket

    link = Client(StreamExchange(open_serial("/dev/ttyUSB0")))
    print(link.hello()["version"], link.report()["cell_mv"])

Frame: 0xB5, version 1, sequence, type, length (16 bit little-endian), payload, CRC-16/CCITT-FALSE
(little-endian) over version to payload. An answer has the request's sequence and its type | 0x80.
"""

import binascii
import datetime
import os
import select
import struct
import time

SOF = 0xB5
VERSION = 1
MAX_TO_PACK = 512
MAX_FROM_PACK = 1024
_OVERHEAD = 8

HELLO, SCHEMA, REPORT, EVENTS, EVENT_SCHEMA = 0x01, 0x02, 0x03, 0x04, 0x05
PARAM_LIST, PARAM_GET, PARAM_SET, PARAM_RESTORE = 0x06, 0x07, 0x08, 0x09
COMMAND, PROVOKE, ITEM_NAMES = 0x0A, 0x0B, 0x0C
ANSWER = 0x80
ERROR = 0xFF

NAMES = {HELLO: "hello", SCHEMA: "schema", REPORT: "report", EVENTS: "events",
         EVENT_SCHEMA: "event schema", PARAM_LIST: "parameter list",
         PARAM_GET: "parameter get", PARAM_SET: "parameter set",
         PARAM_RESTORE: "parameter restore", COMMAND: "command", PROVOKE: "provoke",
         ITEM_NAMES: "list of names"}
CODES = {1: "unknown type", 2: "bad length", 3: "bad value", 4: "refused", 5: "busy"}
# Asked twice they do the same as asked once, so a lost answer may be asked for again.
REPEATABLE = frozenset((HELLO, SCHEMA, REPORT, EVENTS, EVENT_SCHEMA, PARAM_LIST, PARAM_GET,
                        PARAM_SET, PARAM_RESTORE, ITEM_NAMES))

SEQ_CLIENT = (0x01, 0x7F)       # sequence numbers of programs on the port
SEQ_RIG = (0x80, 0xFF)          # those of the bench rig, which shares the port with them

_NO_READING = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF,
               "b": -0x80, "h": -0x8000, "i": -0x80000000}


class LinkError(Exception):
    """The pack did not answer, or not in a way that makes sense."""


class Refused(LinkError):
    """The pack answered with an error. code: see CODES; text: the pack's own words."""

    def __init__(self, request, code, text):
        self.request = request
        self.code = code
        self.text = text
        name = NAMES.get(request, f"request 0x{request:02X}")
        super().__init__(f"{name}: {text or CODES.get(code, f'error {code}')}")


# ---- frames -------------------------------------------------------------------------------


def crc16(data):
    """CRC-16/CCITT-FALSE."""
    return binascii.crc_hqx(data, 0xFFFF)


def encode(seq, kind, payload=b""):
    """One frame as bytes."""
    body = struct.pack("<BBBH", VERSION, seq, kind, len(payload)) + bytes(payload)
    return bytes((SOF,)) + body + struct.pack("<H", crc16(body))


class Frame:
    """One received frame. raw: its bytes as they came."""

    def __init__(self, raw):
        self.raw = raw
        self.seq = raw[2]
        self.kind = raw[3]
        self.payload = raw[6:-2]

    def __repr__(self):
        return f"Frame(seq={self.seq:#04x}, kind={self.kind:#04x}, {len(self.payload)} bytes)"


class Splitter:
    """Takes a byte stream apart into frames and everything else.

    Nothing is lost or reordered: the pieces returned, put together, are the stream. A frame
    with a wrong CRC comes out as text up to its second byte, and the search goes on there.
    """

    def __init__(self, longest=MAX_FROM_PACK):
        self._longest = longest
        self._held = b""

    @property
    def held(self):
        """Bytes of a frame that is not complete yet."""
        return self._held

    def flush(self):
        """Give up on the incomplete frame; returns its bytes, or None."""
        held, self._held = self._held, b""
        return held or None

    def feed(self, data):
        """Return a list of Frame and bytes, in the order of the stream."""
        data = self._held + bytes(data)
        out = []
        text = 0                                # start of the text not given out yet
        at = data.find(SOF)
        while at >= 0:
            size = self._frame_size(data, at)
            if size is None:                    # may become a frame
                break
            if size:
                if at > text:
                    out.append(data[text:at])
                out.append(Frame(data[at:at + size]))
                at = text = at + size
            else:
                at += 1
            at = data.find(SOF, at)
        end = len(data) if at < 0 else at
        if end > text:
            out.append(data[text:end])
        self._held = data[end:]
        return out

    def _frame_size(self, data, at):
        """Size of the frame at *at*; 0: none there; None: too early to say."""
        have = len(data) - at
        if have > 1 and data[at + 1] != VERSION:
            return 0
        if have < 6:
            return None
        length = data[at + 4] | data[at + 5] << 8
        if length > self._longest:
            return 0
        size = length + _OVERHEAD
        if have < size:
            return None
        body = data[at + 1:at + size - 2]
        return size if struct.unpack_from("<H", data, at + size - 2)[0] == crc16(body) else 0


def check_answer(request, frame):
    """Payload of the answer *frame* to a request of type *request*; raises Refused."""
    if frame.kind == ERROR:
        if len(frame.payload) < 2:
            raise LinkError("an error answer without a code")
        text = frame.payload[2:].decode("utf-8", "replace")
        raise Refused(frame.payload[0], frame.payload[1], text)
    if frame.kind != request | ANSWER:
        raise LinkError(f"answer of type 0x{frame.kind:02X} to a request 0x{request:02X}")
    return frame.payload


# ---- schema -------------------------------------------------------------------------------


class Field:
    """One line of a schema: name;type;count;unit;meaning."""

    def __init__(self, line):
        parts = line.split(";", 4)
        if len(parts) < 4 or parts[1] not in _NO_READING or not parts[2].isdigit():
            raise LinkError(f"schema line {line!r} is not name;type;count;unit;meaning")
        self.name, self.letter = parts[0], parts[1]
        self.count = int(parts[2])
        self.unit = parts[3]
        self.meaning = parts[4] if len(parts) > 4 else ""
        kind, _, names = self.unit.partition(":")
        self.names = names.split("|") if names else []
        self.kind = kind if kind in ("enum", "bits") else "number"
        self.size = struct.calcsize("<" + self.letter) * self.count

    def value(self, raw):
        """Meaning of one number: a number, a word, a list of words, or None for no reading."""
        if self.kind == "bits":
            width = 8 * struct.calcsize("<" + self.letter)
            if raw == _NO_READING[self.letter] and len(self.names) < width:
                return None
            return [self.names[bit] if bit < len(self.names) and self.names[bit] else f"bit{bit}"
                    for bit in range(width) if raw >> bit & 1]
        if raw == _NO_READING[self.letter]:
            return None
        if self.kind == "enum":
            return self.names[raw] if 0 <= raw < len(self.names) else raw
        return raw


class Schema:
    """Layout of a record."""

    def __init__(self, text):
        self.fields = [Field(line) for line in text.splitlines() if line.strip()]
        self._layout = "<" + "".join(f"{f.count}{f.letter}" for f in self.fields)
        self.size = struct.calcsize(self._layout)

    def decode(self, data):
        """A dict of one record; *data* must be exactly one."""
        if len(data) != self.size:
            raise LinkError(f"a record of {len(data)} bytes where the schema has {self.size}")
        numbers = struct.unpack(self._layout, data)
        record = {}
        at = 0
        for field in self.fields:
            values = [field.value(n) for n in numbers[at:at + field.count]]
            record[field.name] = values if field.count != 1 else values[0]
            at += field.count
        return record


class Name:
    """One line of the list of names: kind;number;number in a first-out;id;unit;words."""

    def __init__(self, line):
        parts = line.split(";", 5)
        if len(parts) != 6 or not parts[1].isdigit() or not parts[2].isdigit():
            raise LinkError(f"line {line!r} is not kind;number;first-out number;id;unit;words")
        self.kind, self.id, self.unit, self.words = parts[0], parts[3], parts[4], parts[5]
        self.number, self.first_out = int(parts[1]), int(parts[2])


class Param:
    """One line of the parameter list: id;name;unit;min;max;default;value;help."""

    def __init__(self, line):
        parts = line.split(";", 7)
        try:
            self.id = int(parts[0])
            self.name, self.unit = parts[1], parts[2]
            self.min, self.max, self.default, self.value = (int(p) for p in parts[3:7])
        except (ValueError, IndexError):
            raise LinkError(f"parameter line {line!r} is not "
                            "id;name;unit;min;max;default;value;help") from None
        self.help = parts[7] if len(parts) > 7 else ""


# ---- requests -----------------------------------------------------------------------------


# which field of the report lists the names of what an event happens to
_NAMED_BY = {"state": "state", "sleep": "sleep_reason", "wake": "woken_by",
             "sleep_refused": "sleep_refused"}
# which numbers of the list of names an event has
_NUMBERED = {"alarm": "item", "alarm_clear": "item", "trip": "item", "release": "item",
             "lock": "item", "unlock": "item", "fault": "fault", "fault_clear": "fault",
             "first_out": "first_out"}
_EPOCH = datetime.datetime(2020, 1, 1)


class Client:
    """The pack's debug port as an object.

    exchange   exchange(kind, payload) -> payload of the answer; raises Refused or LinkError

    stored     after a set of parameters: True: in flash; "not yet"; False: the pack's flash does
               not take it; None: not known
    """

    def __init__(self, exchange):
        self._exchange = exchange
        self.forget()
        self.stored = None

    def forget(self):
        """After a reset of the pack: ask for everything anew."""
        self._hello = None
        self._schema = None
        self._schema_id = None
        self._event_schema = None
        self._params = None
        self._names = None

    def hello(self):
        """dict of product, version, board, profile, uptime_ms, ..."""
        text = self._exchange(HELLO, b"").decode("utf-8", "replace")
        self._hello = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return self._hello

    def names(self):
        """{(kind, number): Name} of items and faults, and of both as "first_out"."""
        if self._names is None:
            names = {}
            for line in "\n".join(self._page_texts(ITEM_NAMES, "list of names")).splitlines():
                name = Name(line)
                names[name.kind, name.number] = names["first_out", name.first_out] = name
            self._names = names
        return self._names

    def _pages(self, kind, what):
        return Schema("\n".join(self._page_texts(kind, what)))

    def _page_texts(self, kind, what):
        text, page = [], 0
        for _ in range(256):
            answer = self._exchange(kind, bytes((page,)))
            if not answer:
                raise LinkError(f"an empty page of the {what}")
            text.append(answer[1:].decode("utf-8", "replace"))
            if answer[0] == 0:
                return text
            if answer[0] <= page:
                raise LinkError(f"page {answer[0]} of the {what} after page {page}")
            page = answer[0]
        raise LinkError(f"the {what} has no end")

    def schema(self):
        if self._schema is None:
            self._schema = self._pages(SCHEMA, "report schema")
        return self._schema

    def event_schema(self):
        if self._event_schema is None:
            self._event_schema = self._pages(EVENT_SCHEMA, "event schema")
        return self._event_schema

    def decode_report(self, payload):
        """dict of an answer to REPORT; fetches the schema if it has not been."""
        if len(payload) < 2:
            raise LinkError("a report without its schema's number")
        number = payload[0] | payload[1] << 8
        if self._schema_id not in (None, number) or (
                self._schema is not None and self._schema.size != len(payload) - 2):
            self._schema = None                 # another firmware or product than before
        report = self.schema().decode(payload[2:])
        self._schema_id = number
        if "faults_more" in report:
            report["faults"] += report.pop("faults_more")
        if "first_out" in report:
            number = report["first_out"]
            name = self.names().get(("first_out", number))
            report["first_out"] = name.id if name else "none" if number is None else number
        soc = report.get("soc_cpct")
        if "soc_cpct" in report:
            report["soc"] = None if soc is None else soc / 100
        return report

    def report(self):
        return self.decode_report(self._exchange(REPORT, b""))

    def events(self, since=0):
        """Records after sequence number *since*, oldest first, as dicts.

        Beside the fields of its schema each has *name*, what it happened to (None where the number
        says it all), *words*, that for a person (None where the name is a word), and *time*, ISO
        8601 UTC (None: the clock was not set); a change of state has *before*, the state that was
        left.
        """
        records = self._event_records(since)
        for record in records:
            record["name"] = self._name_of(record)
            record["words"] = None
            if record.get("event") in _NUMBERED:
                name = self.names().get((_NUMBERED[record["event"]], record["item"]))
                if name is not None:
                    record["name"], record["words"] = name.id, name.words
            if record.get("event") == "state":
                record["before"] = self._name_of({**record, "item": record["value"]})
            seconds = record.get("time_s")
            record["time"] = None if seconds is None else (
                _EPOCH + datetime.timedelta(seconds=seconds)).isoformat() + "Z"
        return records

    def _name_of(self, record):
        """What *record* happened to: an id of the specification, a state, a parameter, ..."""
        kind, item = record.get("event"), record.get("item")
        if kind == "parameter":
            if item is None:
                return "all restored"
            number = str(item | max(0, record["cell"]) << 8)
            return next((p.name for p in self.params().values() if str(p.id) == number), None)
        field = next((f for f in self.schema().fields if f.name == _NAMED_BY.get(kind)), None)
        if field is None or item is None or item >= len(field.names):
            return None
        return field.names[item]

    def _event_records(self, since):
        size = self.event_schema().size
        at_once = max(2, min(255, (MAX_FROM_PACK - 1) // size))
        records, last = [], None
        while True:
            start = since if last is None else last
            answer = self._exchange(EVENTS, struct.pack("<IB", start, at_once))
            count = answer[0] if answer else 0
            if len(answer) != 1 + count * size and answer:
                raise LinkError(f"{count} events of {size} bytes in {len(answer)} bytes")
            new = [self._event_schema.decode(answer[1 + i * size:1 + (i + 1) * size])
                   for i in range(count)]
            new = [r for r in new if last is None or r["seq"] > last]
            if not new:
                return records
            records += new
            last = new[-1]["seq"]

    def params(self, fresh=False):
        """{name: Param} of everything that can be set."""
        if self._params is None or fresh:
            table, first = {}, 0
            while first != 0xFFFF:
                answer = self._exchange(PARAM_LIST, struct.pack("<H", first))
                if len(answer) < 2:
                    raise LinkError("an empty page of the parameter list")
                following = answer[0] | answer[1] << 8
                for line in answer[2:].decode("utf-8", "replace").splitlines():
                    if line.strip():
                        param = Param(line)
                        table[param.name] = param
                if following != 0xFFFF and following <= first:
                    raise LinkError("the parameter list does not get on")
                first = following
            self._params = table
        return self._params

    def _param(self, name):
        """The Param for a name, or for a number that is an id."""
        params = self.params()
        if name in params:
            return params[name]
        for param in params.values():
            if str(param.id) == str(name):
                return param
        import difflib
        near = difflib.get_close_matches(str(name), params, 3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise LinkError(f"there is no parameter {name!r}{hint}")

    def get_param(self, name):
        return self._value(PARAM_GET, self._param(name), b"")

    def set_param(self, name, value):
        """Set it; returns the value that the pack took. Raises Refused with its reason."""
        param = self._param(name)
        self._check_number(param, value)
        return self._value(PARAM_SET, param, struct.pack("<i", value))

    def _note_stored(self, answer, size):
        """Take the last byte off an answer that has one more: is what was set in flash?"""
        if len(answer) != size + 1:
            return answer
        self.stored = {0: True, 1: "not yet", 2: False}.get(answer[size])
        return answer[:size]

    @staticmethod
    def _check_number(param, value):
        if not -(1 << 31) <= value < 1 << 31:
            raise LinkError(f"{param.name}: {value} is no 32-bit number; "
                            f"it goes from {param.min} to {param.max} {param.unit}".rstrip())

    def set_params(self, values):
        """Set {name: value} as one set: all or none. Returns what the pack took."""
        if not values:
            return {}
        if len(values) > MAX_TO_PACK // 6:
            raise LinkError(f"{len(values)} values are too many for one set; "
                            f"{MAX_TO_PACK // 6} is the most")
        for name, value in values.items():
            self._check_number(self._param(name), value)
        params = [self._param(name) for name in values]
        payload = b"".join(struct.pack("<Hi", param.id, value)
                           for param, value in zip(params, values.values()))
        answer = self._note_stored(self._exchange(PARAM_SET, payload), len(payload))
        if len(answer) != len(payload):
            raise LinkError("the answer to a set of parameters is not about it")
        for at, param in enumerate(params):
            number, param.value = struct.unpack_from("<Hi", answer, 6 * at)
            if number != param.id:
                raise LinkError(f"the answer for parameter {param.name} is not about it")
        return {param.name: param.value for param in params}

    def _value(self, kind, param, value):
        answer = self._note_stored(self._exchange(kind, struct.pack("<H", param.id) + value), 6)
        if len(answer) != 6 or struct.unpack_from("<H", answer)[0] != param.id:
            raise LinkError(f"the answer for parameter {param.name} is not about it")
        param.value = struct.unpack_from("<i", answer, 2)[0]
        return param.value

    def restore_params(self):
        """All parameters back to their defaults."""
        self._exchange(PARAM_RESTORE, b"")
        self._params = None

    def command(self, text):
        """A console command ("why", "sleep", ...); returns its text."""
        return self._exchange(COMMAND, text.encode()).decode("utf-8", "replace")

    def provoke(self, text):
        """Make the firmware misbehave: "task_hang NAME", "task_raise NAME", "heap_full"."""
        self._exchange(PROVOKE, text.encode())


class StreamExchange:
    """Requests over a stream.

    stream     object with read(n) that returns what has come (b"" after a short wait) and
               write(data): a pyserial port with a short timeout, or FileStream below
    on_text    None | called with bytes that belong to no frame
    """

    def __init__(self, stream, seqs=SEQ_CLIENT, timeout_s=1.0, tries=3, on_text=None):
        self._stream = stream
        self._first, self._last = seqs
        self._seq = self._first
        self._timeout_s = timeout_s
        self._tries = tries
        self._splitter = Splitter()
        self._on_text = on_text

    def __call__(self, kind, payload):
        tries = self._tries if kind in REPEATABLE else 1
        for _ in range(tries):
            seq = self._seq
            self._seq = self._first if seq >= self._last else seq + 1
            self._stream.write(encode(seq, kind, payload))
            frame = self._wait(seq, kind)
            if frame is not None:
                return check_answer(kind, frame)
        waited = f"{tries} x {self._timeout_s:g} s" if tries > 1 else f"{self._timeout_s:g} s"
        raise LinkError(f"no answer to {NAMES.get(kind, kind)} within {waited}; "
                        "is this the debug port, and is the pack on?")

    def _wait(self, seq, kind):
        end = time.monotonic() + self._timeout_s
        while time.monotonic() < end:
            for piece in self._splitter.feed(self._stream.read(4096)):
                if not isinstance(piece, Frame):
                    if self._on_text:
                        self._on_text(piece)
                elif piece.seq == seq and piece.kind in (kind | ANSWER, ERROR):
                    return piece
        return None


class FileStream:
    """A pseudo-terminal or other character device as a stream."""

    def __init__(self, path, wait_s=0.02):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._wait_s = wait_s
        if os.isatty(self.fd):
            import tty
            tty.setraw(self.fd)

    def read(self, count):
        if select.select([self.fd], [], [], self._wait_s)[0]:
            try:
                return os.read(self.fd, count)
            except (BlockingIOError, OSError):
                time.sleep(self._wait_s)
        return b""

    def write(self, data):
        view = memoryview(data)
        while view:
            select.select([], [self.fd], [], 1.0)
            view = view[os.write(self.fd, view):]

    def close(self):
        os.close(self.fd)


def open_serial(port, baud=115_200):
    """A stream for *port*: a serial port (needs pyserial) or a pseudo-terminal."""
    if port.startswith("/dev/pts/"):
        return FileStream(port)
    try:
        import serial
    except ImportError:
        raise LinkError(f"{port}: pyserial is not installed (pip install pyserial)") from None
    try:
        return serial.Serial(port, baud, timeout=0.02, write_timeout=1.0)
    except serial.SerialException as error:
        raise LinkError(f"{port}: {error}") from None
