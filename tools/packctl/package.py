"""Update files, packctl-BOARD-VERSION.pkg: the image of a board for both places in its flash.

An image runs only in the place that it was linked for, and the two links differ by the distance of
the places in some words. So the file has the image for slot A, page by page, with the places of
these words; the pack adds the distance where it writes slot B.

    160   header (firmware/bms/update/header.py tells its fields), with its own SHA-256 at the end
    2     length of the signature, 0 or 64
    0|64  Ed25519 signature over the header's SHA-256
    ...   a record for each page of 256 bytes:
            1    count of places, at most 64; 255: the page differs otherwise
            n    places: offsets in the page of words to which the distance is added
            256  the page for slot A; behind a count of 255, also the one for slot B
    32    SHA-256 of everything before
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import NamedTuple

from .errors import DamagedPackage, NotAPackage

MAGIC = b"PKCTLIMG"
FORMAT = 1
HEAD = 160
PAGE = 256
SIGNATURE = 64
_FIELDS = struct.Struct("<8sHH16s16sHHIIII32s32s")
_SUMMED = 128
_OTHERWISE = 255
_MASK = 0xFFFFFFFF


class Record(NamedTuple):
    """A page: for slot A, the places of its words, and the page for slot B where it is no sum."""

    data: bytes
    places: bytes
    other: bytes | None


def _moved(data: bytes, places: bytes, distance: int) -> bytes:
    """*data* with *distance* added at *places*."""
    out = bytearray(data)
    for at in places:
        word, = struct.unpack_from("<I", out, at)
        struct.pack_into("<I", out, at, word + distance & _MASK)
    return bytes(out)


def _record_of(first: bytes, second: bytes, distance: int) -> Record:
    """The record of a page that is *first* in slot A and *second* in slot B."""
    low = next((k for k in range(4) if distance >> 8 * k & 0xFF), 0)    # changes in each word
    places = []
    at = 0
    while at < PAGE and len(places) <= 64:
        if first[at] != second[at]:
            start = at - low
            places.append(start)
            at = start + 3
        at += 1
    fits = all(0 <= place <= PAGE - 4 for place in places)
    if len(places) <= 64 and fits and _moved(first, bytes(places), distance) == second:
        return Record(first, bytes(places), None)
    return Record(first, b"", second)


class Package:
    """What an update file holds; made by make() or read().

    board, version, schema, layout, distance, image_bytes   of the header
    digests     SHA-256 (of slot A, of slot B); digest: of the header
    signature   b"" or 64 bytes
    records     a Record for each page
    """

    def __init__(self, head: bytes, signature: bytes, records: list[Record]) -> None:
        self.head = head
        self.signature = signature
        self.records = records
        (magic, number, size, board, version, self.schema, self.layout, self.image_bytes,
         self.distance, pages, _, first, second) = _FIELDS.unpack_from(head)
        if magic != MAGIC or size != HEAD:
            raise NotAPackage("This is no update file of packctl.")
        if number != FORMAT:
            raise NotAPackage(f"The update file has format {number}, and this tool reads format "
                              f"{FORMAT}: use a newer packctl.")
        self.board = board.rstrip(b"\0").decode("ascii", "replace")
        self.version = version.rstrip(b"\0").decode("ascii", "replace")
        self.digests = (first, second)
        self.digest = head[_SUMMED:]
        if len(records) != pages:
            raise DamagedPackage(f"The update file is damaged: {len(records)} pages of {pages}.")

    @property
    def name(self) -> str:
        """What the file is called."""
        return f"packctl-{self.board}-{self.version}.pkg"

    def page_bytes(self, number: int, slot: int) -> bytes:
        """Payload that brings page *number* to *slot*, 0 A or 1 B: see docs/protocol.md."""
        data, places, other = self.records[number]
        if slot and other is not None:
            data = other
        return struct.pack("<HB", number, len(places)) + places + data

    def image(self, slot: int) -> bytes:
        """What *slot* has to hold."""
        return b"".join(
            data if not slot else other if other is not None else
            _moved(data, places, self.distance) for data, places, other in self.records)

    def check(self) -> Package:
        """DamagedPackage unless everything fits its sums; returns itself."""
        if hashlib.sha256(self.head[:_SUMMED]).digest() != self.digest:
            raise DamagedPackage("The update file is damaged: its header does not fit its sum.")
        for slot in (0, 1):
            if hashlib.sha256(self.image(slot)).digest() != self.digests[slot]:
                raise DamagedPackage(f"The update file is damaged: its image for slot "
                                     f"{'AB'[slot]} does not fit its sum.")
        return self

    def to_bytes(self) -> bytes:
        """The file."""
        out = [self.head, struct.pack("<H", len(self.signature)), self.signature]
        for data, places, other in self.records:
            if other is None:
                out += [bytes((len(places),)), places, data]
            else:
                out += [bytes((_OTHERWISE,)), data, other]
        body = b"".join(out)
        return body + hashlib.sha256(body).digest()


def make(first: bytes, second: bytes, *, board: str, version: str, distance: int, schema: int = 1,
         layout: int = 1) -> Package:
    """The package of an image that is *first* in slot A and *second* in slot B."""
    if len(first) != len(second):
        raise NotAPackage(f"The two images have {len(first)} and {len(second)} bytes: they are "
                          "not of one program.")
    size = len(first)
    fill = b"\xff" * (-size % PAGE)
    first, second = first + fill, second + fill
    records = [_record_of(first[at:at + PAGE], second[at:at + PAGE], distance)
               for at in range(0, len(first), PAGE)]
    head = _FIELDS.pack(MAGIC, FORMAT, HEAD, board.encode(), version.encode(), schema, layout,
                        size, distance, len(records), 0, hashlib.sha256(first).digest(),
                        hashlib.sha256(second).digest())
    return Package(head + hashlib.sha256(head).digest(), b"", records).check()


def parse(data: bytes) -> Package:
    """The package in the bytes of a file; NotAPackage, DamagedPackage."""
    if not data.startswith(MAGIC):
        raise NotAPackage("This is no update file of packctl.")
    body = data[:-32]
    if len(body) < HEAD + 2 or hashlib.sha256(body).digest() != data[-32:]:
        raise DamagedPackage("The update file is damaged or was cut off: get it again.")
    count, = struct.unpack_from("<H", body, HEAD)
    at = HEAD + 2 + count
    signature = body[HEAD + 2:at]
    records = []
    while at < len(body):
        places = body[at]
        at += 1
        other = None
        if places == _OTHERWISE:
            places = 0
            other = body[at + PAGE:at + 2 * PAGE]
        data = body[at + places:at + places + PAGE]
        records.append(Record(data, body[at:at + places], other))
        at += places + PAGE * (1 if other is None else 2)
    return Package(body[:HEAD], signature, records).check()


def read(path: str | Path) -> Package:
    """The package in the file *path*; NotAPackage, DamagedPackage."""
    try:
        return parse(Path(path).read_bytes())
    except OSError as error:
        raise NotAPackage(f"The file {path} cannot be read: {error.strerror}.") from None
