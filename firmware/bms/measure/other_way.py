"""Current the other way that releases a protection: for a while, not for a moment (PRO-32).

A pulse of a tenth of a second must not close a FET, nor pulses that the opposite current makes up
for. So a direction counts when it has lasted, by a timer that leaks, and has moved the charge that
such a time moves at the current of the parameter.
"""

import micropython
from bms.words.timer import leaky
from micropython import const

_LONGEST_DT_MS = const(1000)    # of a scan: beyond, a product of it would leave the small ints


class OtherWay:
    """One direction of current. Times in ms, charge in mA * s."""

    def __init__(self):
        self._ms = -1
        self._moved = 0

    @micropython.native
    def step(self, flows, current_ma, least_ma, least_ms, dt_ms):
        """True while the current flows this way and has done so for long enough.

        flows       it is beyond *least_ma* now, and nothing contradicts it
        current_ma  positive in this direction
        """
        if not flows and self._ms == -1:
            return False
        self._ms = leaky(self._ms, dt_ms, flows) if self._ms < least_ms or not flows else least_ms
        most = 2 * (least_ma // 10 * (least_ms // 100))
        moved = self._moved + current_ma * min(dt_ms, _LONGEST_DT_MS) // 1000
        self._moved = 0 if moved < 0 or self._ms == -1 else min(moved, most)
        return flows and self._ms >= least_ms and self._moved >= most >> 1

