"""The metered allowance of more than the continuous current (DER-03).

A use begins when the current passes the continuous value while one is available, and ends when
it has been back for _END_MS or the longest use is up. Between uses lies a pause; a use is
forgotten after 30 days. Current beyond the continuous value at other times is no use.
Time counts only while the controller runs, so a reset never shortens a pause.
"""

import micropython
import struct
from array import array

from bms.limits.derating import SLEW_MA_S

_USES = 5
_MONTH_S = 30 * 24 * 3600
_END_MS = 10_000
_MARGIN = 51            # a current is beyond when above 51/50 of the continuous one
_FORMAT = "<BIi5i"
_SAVE_S = 600           # while anything counts down


class Allowance:
    """What may be drawn or charged now, either way.

    params   Parameters: nominal_ma, boost_ma, boost_s, boost_uses, boost_pause_s
    dirty    True: to_bytes() should be kept
    """

    def __init__(self, params):
        self._params = params
        self._forget_s = array("i", (0 for _ in range(_USES)))
        self._pause_s = 0
        self._used_ms = 0
        self._quiet_ms = -1     # -1: no use goes on | ms since the current was beyond
        self._rest_ms = 0
        self._unsaved_s = 0
        self.dirty = False

    def limit_ma(self):
        """Largest current to be allowed now.

        Towards the end of a use it is the continuous one already: the advertised limit follows
        at its slew rate and is down when the time is up.
        """
        p = self._params
        nominal_ma = p["nominal_ma"]
        boost_ma = p["boost_ma"]
        if boost_ma <= nominal_ma:
            return nominal_ma
        if self._quiet_ms < 0:
            return boost_ma if self._is_available() else nominal_ma
        falling_ms = (boost_ma - nominal_ma) * 1000 // SLEW_MA_S
        return boost_ma if self._used_ms < p["boost_s"] * 1000 - falling_ms else nominal_ma

    @property
    def is_used(self):
        """A metered use of more than the continuous current goes on."""
        return (self._quiet_ms >= 0
                and self._params["boost_ma"] > self._params["nominal_ma"])

    def _is_available(self):
        p = self._params
        return self._pause_s == 0 and self.uses() < p["boost_uses"] and p["boost_s"] > 0

    def uses(self):
        """Uses of the last 30 days."""
        count = 0
        for i in range(_USES):
            if self._forget_s[i] > 0:
                count += 1
        return count

    @micropython.native
    def step(self, current_ma, nominal_ma, dt_ms):
        """Advance by one scan."""
        if abs(current_ma) * 50 > nominal_ma * _MARGIN:
            if self._quiet_ms >= 0:
                self._quiet_ms = 0
            elif self._is_available():
                self._quiet_ms = 0
                self._used_ms = 0
                self.dirty = True
        elif self._quiet_ms >= 0:
            self._quiet_ms += dt_ms
        self._rest_ms += dt_ms
        if self._rest_ms >= 1000:
            self._count_down(self._rest_ms // 1000)
            self._rest_ms %= 1000
        if self._quiet_ms >= 0:
            self._used_ms += dt_ms
            if self._quiet_ms >= _END_MS or self._used_ms >= self._params["boost_s"] * 1000:
                self._end()

    def _count_down(self, seconds):
        counting = False
        if self._pause_s > 0:
            self._pause_s = max(0, self._pause_s - seconds)
            counting = True
        for i in range(_USES):
            if self._forget_s[i] > 0:
                self._forget_s[i] = max(0, self._forget_s[i] - seconds)
                counting = True
        if counting:
            self._unsaved_s += seconds
            if self._unsaved_s >= _SAVE_S:
                self.dirty = True

    def _end(self):
        """A use is over: the oldest place is free, or the one that is forgotten soonest goes."""
        soonest = 0
        for i in range(_USES):
            if self._forget_s[i] < self._forget_s[soonest]:
                soonest = i
        self._forget_s[soonest] = _MONTH_S
        self._pause_s = self._params["boost_pause_s"]
        self._used_ms = 0
        self._quiet_ms = -1
        self._rest_ms = 0           # the pause begins here, not at the last full second
        self.dirty = True

    def to_bytes(self):
        """What has to outlive a reset. A use that goes on counts as made."""
        self.dirty = False
        self._unsaved_s = 0
        return struct.pack(_FORMAT, 1 if self._quiet_ms >= 0 else 0, self._used_ms, self._pause_s,
                           *self._forget_s)

    def from_bytes(self, data):
        """Take over what to_bytes() gave; ValueError if it is not of this form."""
        if len(data) != struct.calcsize(_FORMAT):
            raise ValueError("allowance record has %d bytes" % len(data))
        row = struct.unpack(_FORMAT, data)
        self._pause_s = row[2]
        for i in range(_USES):
            self._forget_s[i] = row[3 + i]
        if row[0]:
            self._end()
