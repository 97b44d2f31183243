"""The header of an update file: for which board, which version, what the flash has to hold then.

160 bytes, little-endian; tools/packctl/package.py makes them:

    0    8  "PKCTLIMG"
    8    2  format, 1            10   2  length of the header
    12  16  board                28  16  version "1.2.3", both filled with 0
    44   2  version of the set of parameters    46  2  layout of the flash
    48   4  bytes of the image   52   4  distance of the two slots
    56   4  pages of 256 bytes   60   4  0
    64  32  SHA-256 of the pages in slot A      96  32  the same in slot B
    128 32  SHA-256 of all before: this is what a signature is made over
"""

import hashlib
import struct

MAGIC = b"PKCTLIMG"
FORMAT = 1
LAYOUT = 1              # of the flash: two slots, each with its sums in its first sector
SIZE = 160
PAGE = 256
_FIELDS = "<8sHH16s16sHHIIII32s32s"
_SUMMED = 128

# why an update is refused; the number goes to the host beside the words
(DAMAGED, OTHER_FORMAT, OTHER_BOARD, OTHER_LAYOUT, TOO_LARGE, OLDER, OLDER_SCHEMA, UNSIGNED,
 BAD_SIGNATURE, BUSY, BAD_CONTENT, FLASH, NO_MEMORY, ON_TRIAL, SILENT, KEY_LOST,
 NOT_NOW) = range(1, 18)


class UpdateRefused(ValueError):
    """An update is not taken; reason: of the above."""

    def __init__(self, reason, text):
        super().__init__(text)
        self.reason = reason


def number_of(version):
    """"1.2.3" as a tuple that can be compared; ValueError if it is no version."""
    return tuple(int(part) for part in version.split("."))


def _text(field):
    return field.rstrip(b"\0").decode()


class Header:
    """What the header *data* says; UpdateRefused if it makes no sense.

    board, version, schema, layout, distance, pages   as above
    digests   (of slot A, of slot B); digest: of the header
    """

    def __init__(self, data):
        if len(data) < SIZE or data[:8] != MAGIC:
            raise UpdateRefused(DAMAGED, "this is no update file of packctl")
        (_, number, size, board, version, self.schema, self.layout, _, self.distance, self.pages,
         _, first, second) = struct.unpack_from(_FIELDS, data)
        if number != FORMAT or size != SIZE:
            raise UpdateRefused(OTHER_FORMAT, "the file has format %d, and this firmware reads "
                                              "format %d" % (number, FORMAT))
        self.digest = bytes(data[_SUMMED:SIZE])
        if hashlib.sha256(data[:_SUMMED]).digest() != self.digest:
            raise UpdateRefused(DAMAGED, "the file's header is damaged")
        self.board = _text(board)
        self.version = _text(version)
        self.digests = (first, second)

    def check(self, board, version, schema, slots, older):
        """UpdateRefused unless the file is for this pack.

        board, version, schema   of the firmware that runs; slots: ImageSlots
        older                    an older version is wanted
        """
        if self.board != board:
            raise UpdateRefused(OTHER_BOARD, "the file is for the board %s, and this is a %s"
                                % (self.board, board))
        apart = getattr(slots, "apart", slots.slot_bytes) if self.layout == LAYOUT else -1
        if self.distance != apart:
            raise UpdateRefused(OTHER_LAYOUT, "the file is for another division of the flash "
                                              "(layout %d, slots %d bytes apart)"
                                % (self.layout, self.distance))
        if not 0 < self.pages * PAGE <= slots.slot_bytes:
            raise UpdateRefused(TOO_LARGE, "the image has %d bytes, and its place has %d"
                                % (self.pages * PAGE, slots.slot_bytes))
        if older:
            return
        if number_of(self.version) < number_of(version):
            raise UpdateRefused(OLDER, "version %s is older than %s, which runs"
                                % (self.version, version))
        if self.schema < schema:
            raise UpdateRefused(OLDER_SCHEMA, "the image could not read the parameters of this "
                                              "one (set version %d, needed %d)"
                                % (self.schema, schema))
