"""Limits that are told and not kept (PRO-30): readings of two rows of the protection table.

A current counts as beyond when it passes the limit by *ignored_percent* and *ignored_ma*. The
limit is the highest that was told in the last 2 to 4 seconds, because an inverter needs time; a
limit that still rises counts as what it rises to. What DER-03 allows is in the told limit.
The time beyond leaks as fast as it grows, so that short pauses hide nothing.
"""

import micropython
from micropython import const

from bms.words.rules import mask_of
from bms.words.readings import (
    CHARGE_IGNORED_S,
    CHARGE_MA,
    DISCHARGE_IGNORED_S,
    DISCHARGE_MA,
    NO_READING,
)

_CHARGE_ROW = mask_of("PRO-30-charge")
_DISCHARGE_ROW = mask_of("PRO-30-discharge")
_WINDOW_MS = const(2000)
_LONGEST_MS = const(4_000_000)


class IgnoredLimit:
    """The watch of one direction.

    reading  slot of the current; result: slot of the seconds beyond; row: bit of the item
    """

    def __init__(self, reading, result, row):
        self._reading = reading
        self._result = result
        self._row = row
        self._most_ma = 0           # highest limit of this window, of the one before
        self._before_ma = 0
        self._window_ms = 0
        self._ms = 0
        self._percent = self._margin_ma = self._highest_s = 0

    def load(self, params):
        self._percent = params["ignored_percent"]
        self._margin_ma = params["ignored_ma"]
        # switched off: the seconds stop below the protection, the alarm remains
        self._highest_s = (_LONGEST_MS // 1000 if params["ignored_protect"]
                           else params["ignored_trip_s"] - 1)

    @micropython.native
    def look(self, values, limit_ma, trips, dt_ms):
        """One scan. *limit_ma*: the limit that is told now, or what it rises to."""
        self._window_ms += dt_ms
        if self._window_ms >= _WINDOW_MS:
            self._window_ms = 0
            self._before_ma = self._most_ma
            self._most_ma = limit_ma
        elif limit_ma > self._most_ma:
            self._most_ma = limit_ma
        current_ma = values[self._reading]
        ms = self._ms
        if not ms and current_ma <= self._margin_ma:
            values[self._result] = 0    # within any limit, as ever
            return
        limit_ma = max(self._most_ma, self._before_ma)
        if trips & self._row:
            ms = 0                      # the protection has acted: it counts anew afterwards
        elif current_ma != NO_READING and current_ma > (
                limit_ma + limit_ma * self._percent // 100 + self._margin_ma):
            ms = min(ms + dt_ms, _LONGEST_MS)
        elif ms:
            ms = max(0, ms - dt_ms)
        self._ms = ms
        values[self._result] = min(ms // 1000, self._highest_s)


class IgnoredLimits:
    """Both directions."""

    def __init__(self):
        self._charge = IgnoredLimit(CHARGE_MA, CHARGE_IGNORED_S, _CHARGE_ROW)
        self._discharge = IgnoredLimit(DISCHARGE_MA, DISCHARGE_IGNORED_S, _DISCHARGE_ROW)

    def load(self, params):
        self._charge.load(params)
        self._discharge.load(params)

    @micropython.native
    def look(self, values, ccl_ma, dcl_ma, trips, dt_ms):
        """One scan, with the limits of both directions."""
        self._charge.look(values, ccl_ma, trips, dt_ms)
        self._discharge.look(values, dcl_ma, trips, dt_ms)
