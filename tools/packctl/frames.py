"""Frames of the debug protocol: bytes <-> Frame, and everything else that is on the port.

Frame: 0xB5, version 1, sequence, type, length (16 bit little-endian), payload, CRC-16/CCITT-FALSE
(little-endian) over version to payload. An answer has the request's sequence and its type | 0x80.
"""

from __future__ import annotations

import binascii
import struct

from .errors import (
    LinkError, NotSigned, OlderVersion, PinNeeded, Refused, UpdateBusy, UpdateRefused, WrongBoard,
)

SOF = 0xB5
VERSION = 1
MAX_TO_PACK = 512
MAX_FROM_PACK = 1024
_OVERHEAD = 8

HELLO, SCHEMA, REPORT, EVENTS, EVENT_SCHEMA = 0x01, 0x02, 0x03, 0x04, 0x05
PARAM_LIST, PARAM_GET, PARAM_SET, PARAM_RESTORE = 0x06, 0x07, 0x08, 0x09
COMMAND, PROVOKE, ITEM_NAMES = 0x0A, 0x0B, 0x0C
UPDATE_BEGIN, UPDATE_PAGE, UPDATE_STATE, UPDATE_DO = 0x10, 0x11, 0x12, 0x13
ANSWER = 0x80
ERROR = 0xFF

NAMES = {HELLO: "hello", SCHEMA: "schema", REPORT: "report", EVENTS: "events",
         EVENT_SCHEMA: "event schema", PARAM_LIST: "parameter list",
         PARAM_GET: "parameter get", PARAM_SET: "parameter set",
         PARAM_RESTORE: "parameter restore", COMMAND: "command", PROVOKE: "provoke",
         ITEM_NAMES: "list of names", UPDATE_BEGIN: "update", UPDATE_PAGE: "page of an update",
         UPDATE_STATE: "state of the update", UPDATE_DO: "order for the update"}
CODES = {1: "unknown type", 2: "bad length", 3: "bad value", 4: "refused", 5: "busy"}
_REFUSED = 4
_NO_UPDATE = 16         # a code from here on: why an update is not taken
_UPDATE_ERRORS: dict[int, type[UpdateRefused]] = {
    3: WrongBoard, 4: WrongBoard, 5: WrongBoard, 6: OlderVersion, 7: OlderVersion, 8: NotSigned,
    9: NotSigned, 10: UpdateBusy, 14: UpdateBusy, 16: NotSigned}
# Asked twice they do the same as asked once, so a lost answer may be asked for again.
REPEATABLE = frozenset((HELLO, SCHEMA, REPORT, EVENTS, EVENT_SCHEMA, PARAM_LIST, PARAM_GET,
                        PARAM_SET, PARAM_RESTORE, ITEM_NAMES, UPDATE_BEGIN, UPDATE_STATE,
                        UPDATE_DO))

SEQ_CLIENT = (0x01, 0x7F)       # sequence numbers of programs on the port
SEQ_RIG = (0x80, 0xFF)          # those of the bench rig, which shares the port with them


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE."""
    return binascii.crc_hqx(data, 0xFFFF)


def encode(seq: int, kind: int, payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    body = struct.pack("<BBBH", VERSION, seq, kind, len(payload)) + bytes(payload)
    return bytes((SOF,)) + body + struct.pack("<H", crc16(body))


class Frame:
    """One received frame. raw: its bytes as they came."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.seq = raw[2]
        self.kind = raw[3]
        self.payload = raw[6:-2]

    def __repr__(self) -> str:
        return f"Frame(seq={self.seq:#04x}, kind={self.kind:#04x}, {len(self.payload)} bytes)"


class Splitter:
    """Takes a byte stream apart into frames and everything else.

    Nothing is lost or reordered: the pieces returned, put together, are the stream. A frame
    with a wrong CRC comes out as text up to its second byte, and the search goes on there.
    """

    def __init__(self, longest: int = MAX_FROM_PACK) -> None:
        self._longest = longest
        self._held = b""

    @property
    def held(self) -> bytes:
        """Bytes of a frame that is not complete yet."""
        return self._held

    def flush(self) -> bytes | None:
        """Give up on the incomplete frame; returns its bytes, or None."""
        held, self._held = self._held, b""
        return held or None

    def feed(self, data: bytes) -> list[Frame | bytes]:
        """Return a list of Frame and bytes, in the order of the stream."""
        data = self._held + bytes(data)
        out: list[Frame | bytes] = []
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

    def _frame_size(self, data: bytes, at: int) -> int | None:
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


def other_version(data: bytes) -> int | None:
    """Version of a whole frame in *data* that is not ours; None: there is no such frame."""
    at = data.find(SOF)
    while at >= 0:
        if len(data) - at >= _OVERHEAD and data[at + 1] != VERSION:
            end = at + _OVERHEAD + (data[at + 4] | data[at + 5] << 8)
            if end <= len(data):
                if struct.unpack_from("<H", data, end - 2)[0] == crc16(data[at + 1:end - 2]):
                    return data[at + 1]
        at = data.find(SOF, at + 1)
    return None


def update_error(reason: int, text: str, request: int = UPDATE_BEGIN) -> UpdateRefused:
    """The error for the *reason* (firmware/bms/update/header.py) that a pack gives."""
    kind = _UPDATE_ERRORS.get(reason, UpdateRefused)
    hint = " --older installs it all the same." if reason == 6 else ""
    return kind(request, _NO_UPDATE + reason, text,
                f"The pack does not take the update: {text}.{hint}")


def check_answer(request: int, frame: Frame) -> bytes:
    """Payload of the answer *frame* to a request of type *request*; raises Refused."""
    if frame.kind == ERROR:
        if len(frame.payload) < 2:
            raise LinkError("The pack sent an error answer without a code.")
        request, code = frame.payload[0], frame.payload[1]
        text = frame.payload[2:].decode("utf-8", "replace")
        if code == _REFUSED and "PIN" in text:
            raise PinNeeded(request, code, text,
                            "An owner's PIN is set on this pack: give it with --pin NUMBER.")
        if code > _NO_UPDATE and request in (UPDATE_BEGIN, UPDATE_PAGE, UPDATE_DO):
            raise update_error(code - _NO_UPDATE, text, request)
        name = NAMES.get(request, f"request 0x{request:02X}")
        raise Refused(request, code, text, f"{name}: {text or CODES.get(code, f'error {code}')}")
    if frame.kind != request | ANSWER:
        raise LinkError(f"answer of type 0x{frame.kind:02X} to a request 0x{request:02X}")
    return frame.payload
