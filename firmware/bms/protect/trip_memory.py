"""Trips, counts of trips in a row and locks, kept over a restart that nobody asked for (PRO-27).

A supply that dips and the watchdog's reset are no way out of a protection. A reset that a person
or the host asks for is one: it opens locks and ends counts (PRO-22).
"""

import struct

import micropython

from bms.words import rules
from bms.protect.changes import OVER_CHARGE
from bms.words.rules import ITEMS, mask_of

_VERSION = 1
_HEAD = "<BII"                                  # version, trips, locks; then a count an item
_OVER_A_RESET = mask_of("PRO-29")               # only the host ends these
_COUNTED = tuple(i for i in range(len(ITEMS)) if ITEMS[i][rules.LOCK])


class TripMemory:
    """What Protection has to be told at the next start.

    protection   Protection
    """

    def __init__(self, protection):
        self._protection = protection
        self._kept_trips = self._kept_locks = 0
        self._kept_rows = bytearray(len(ITEMS))
        self._is_reset = False      # the start to come is one that a person asked for

    @property
    @micropython.native
    def dirty(self):
        """What a restart may not forget is not what was kept last."""
        protection = self._protection
        if (self._trips() != self._kept_trips or protection.locks != self._kept_locks
                or self._is_reset):
            return True
        for i in _COUNTED:
            if min(protection.in_row(i), 0xFF) != self._kept_rows[i]:
                return True
        return False

    @micropython.native
    def _trips(self):
        """Trips to be kept; Power keeps those of over-charge, with their time."""
        return self._protection.trips & ~OVER_CHARGE

    def reset(self):
        """A person or the host asks for a reset: what it ends is not kept."""
        self._is_reset = True

    def to_bytes(self):
        """Trips, locks and the counts of trips in a row."""
        protection = self._protection
        counts = bytearray(len(ITEMS))
        if self._is_reset:
            return struct.pack(_HEAD, _VERSION, protection.trips & _OVER_A_RESET, 0) + counts
        for i in _COUNTED:
            counts[i] = min(protection.in_row(i), 0xFF)
        return struct.pack(_HEAD, _VERSION, self._trips(), protection.locks) + counts

    def saved(self):
        """What to_bytes() gave is kept."""
        self._kept_trips = self._trips()
        self._kept_locks = self._protection.locks
        for i in _COUNTED:
            self._kept_rows[i] = min(self._protection.in_row(i), 0xFF)

    def from_bytes(self, data):
        """Have Protection take up what was kept; ValueError if it is not of here.

        A version with fewer or more items at the end of the table may have written it.
        """
        size = struct.calcsize(_HEAD)
        if len(data) < size or data[0] != _VERSION:
            raise ValueError("no trips of version %d" % _VERSION)
        _, trips, locks = struct.unpack_from(_HEAD, data)
        known = (1 << len(ITEMS)) - 1
        self._protection.recall(trips & known, locks & known)
        for i in _COUNTED:
            if size + i < len(data):
                self._protection.recall_row(i, data[size + i])
        self.saved()
