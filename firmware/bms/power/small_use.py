"""Loads too small for one scan to tell from the sensor's noise: what the integrator counts over an
hour decides whether the pack is used (AM 4.1 (4), PWR-10).

A router or a meter that takes 60 mA is a use. One scan at 0.25 mOhm shows it somewhere between
-200 and 300 mA; an hour of counting knows it within some milliamperes, once the sensor's offset
was learnt.
"""

from micropython import const

_WINDOW_S = const(3600)
_LONGEST_MS = const(250_000)    # a longer step is a sleep, and no count of a use
_MOST_UAH = const(1 << 28)


class SmallUse:
    """Charge counted in the present window, less the sensor's offset."""

    def __init__(self):
        self._window_ms = self._least_uah = 0
        self._ms = self._uah = 0
        self._rest = 0              # of the offset's charge, in uA * 10 ms

    def load(self, params):
        """Times to sleep that are set shorter than an hour make the window shorter as well."""
        window_s = min(_WINDOW_S, params["sleep_standby_s"] * 9 // 10,
                       params["sleep_cell_s"])
        self._window_ms = window_s * 1000
        self._least_uah = params["small_use_ma"] * window_s // 36 * 10
        self._ms = self._uah = 0

    def count(self, moved_uah, offset_ua, dt_ms):
        """True if a use is seen: the window holds as much as the least one, either way.

        moved_uah   in the last *dt_ms*, charging positive; offset_ua: what the sensor shows of it
                    at no current
        """
        if dt_ms > _LONGEST_MS or not self._least_uah:
            self._ms = self._uah = 0
            return False
        part = offset_ua // 16 * (dt_ms // 10) + self._rest
        self._rest = part % 22_500
        self._uah = max(-_MOST_UAH, min(self._uah + moved_uah - part // 22_500, _MOST_UAH))
        self._ms += dt_ms
        used = abs(self._uah) >= self._least_uah
        if used or self._ms >= self._window_ms:
            self._ms = self._uah = 0
        return used
