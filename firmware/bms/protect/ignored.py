"""Limits that are told and not kept (PRO-30): readings of two rows of the protection table.

A current counts as beyond when it passes the limit by *ignored_percent* and *ignored_ma*. The
limit is the highest that was told in the last 2 to 4 seconds, because an inverter needs time; a
limit that still rises counts as what it rises to. What DER-03 allows is in the told limit.
The time beyond leaks as fast as it grows, so that short pauses hide nothing.

Deeply discharged cells are charged gently (PRO-29), also by a charger that knows no limits: for
them the time runs so fast that the pauses which the protection makes bring the mean current down
to the gentle one.
"""

import micropython
from micropython import const

from bms.words.rules import mask_of
from bms.words.readings import (
    CHARGE_IGNORED_S,
    CHARGE_MA,
    DISCHARGE_IGNORED_S,
    DISCHARGE_MA,
)

_CHARGE_ROW = mask_of("PRO-30-charge")
_DISCHARGE_ROW = mask_of("PRO-30-discharge")
_WINDOW_MS = const(2000)
_LONGEST_MS = const(4_000_000)
_GENTLE_MA = const(500)     # a tenth and this beyond the gentle current may be the sensor's error
_FASTEST = const(10_000)    # times


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
        self._percent = self._margin_ma = self._highest_s = self._trip_s = 0
        self._pace = 0              # sixteenths: how long it takes, of the pause after it

    def load(self, params):
        self._percent = params["ignored_percent"]
        self._margin_ma = params["ignored_ma"]
        self._trip_s = params["ignored_trip_s"]
        self._pace = self._trip_s * 16_000 // params["oc_release_ms"]
        # switched off: the seconds stop below the protection, the alarm remains
        self._highest_s = (_LONGEST_MS // 1000 if params["ignored_protect"]
                           else self._trip_s - 1)

    @micropython.native
    def look(self, values, limit_ma, gentle_ma, trips, dt_ms):
        """One scan.

        limit_ma    the limit that is told now, or what it rises to
        gentle_ma   more may not flow in the mean; 0: as much as is told
        """
        self._window_ms += dt_ms
        if self._window_ms >= _WINDOW_MS:
            self._window_ms = 0
            self._before_ma = self._most_ma
            self._most_ma = limit_ma
        elif limit_ma > self._most_ma:
            self._most_ma = limit_ma
        current_ma = values[self._reading]
        ms = self._ms
        if not ms and current_ma <= (gentle_ma or self._margin_ma):
            values[self._result] = 0    # within any limit, as ever
            return
        limit_ma = max(self._most_ma, self._before_ma)
        more_ms = 0
        if current_ma > limit_ma + limit_ma * self._percent // 100 + self._margin_ma:
            more_ms = dt_ms
        highest_s = self._highest_s
        if gentle_ma and current_ma > gentle_ma + gentle_ma // 10 + _GENTLE_MA:
            times = min((current_ma - gentle_ma) * self._pace // gentle_ma, _FASTEST)
            more_ms = max(more_ms, dt_ms * times >> 4)
            highest_s = _LONGEST_MS // 1000         # this one is a protection always
        if trips & self._row:
            ms = 0                      # the protection has acted: it counts anew afterwards
        elif more_ms:
            ms = min(ms + more_ms, _LONGEST_MS)
        elif ms:
            ms = max(0, ms - dt_ms)
        self._ms = ms
        values[self._result] = min(ms // 1000, highest_s)


class IgnoredLimits:
    """Both directions."""

    def __init__(self):
        self._charge = IgnoredLimit(CHARGE_MA, CHARGE_IGNORED_S, _CHARGE_ROW)
        self._discharge = IgnoredLimit(DISCHARGE_MA, DISCHARGE_IGNORED_S, _DISCHARGE_ROW)

    def load(self, params):
        self._charge.load(params)
        self._discharge.load(params)

    @micropython.native
    def look(self, values, ccl_ma, dcl_ma, gentle_ma, trips, dt_ms):
        """One scan, with the limits of both directions, and what deep cells take (PRO-29)."""
        self._charge.look(values, ccl_ma, gentle_ma, trips, dt_ms)
        self._discharge.look(values, dcl_ma, 0, trips, dt_ms)
