"""Deep discharge (PRO-29): cells below the end of discharge are charged gently, or not at all.

From the floor up to *deep_end_mv* the charge limit is *deep_charge_ma*. A cell below the floor
blocks charging (row PRO-29 of the table) until the host allows one try. Charging that was detected
releases an under-voltage only while the cells rise; above *deep_end_mv* nothing of this acts.
"""

import micropython
from micropython import const

from bms.words.rules import CHARGED, CHARGER_SEEN, mask_of
from bms.words.readings import DEEP_CELL_MV, MIN_CELL_MV, NO_READING
from bms.words.timer import longer

_ROW = mask_of("PRO-29")
_RISE_MV = const(3)         # rise of the lowest cell that shows charging ...
_RISE_MS = const(600_000)   # ... and the time within which it has to rise
_FALL_MV = const(100)       # fall of the lowest cell that shows that nothing charges it


class Deep:
    """Watches the lowest cell.

    most_ma   what the charge limit may be at most; NO_LIMIT_MA where nothing limits it
    trying    the host has allowed a try: the floor does not block
    stands    the cells do not rise: a charger that is seen is no charging
    """

    NO_LIMIT_MA = const(0x3FFFFFFF)

    def __init__(self):
        self.most_ma = self.NO_LIMIT_MA
        self.trying = False
        self._try_ms = 0
        self._rise_ms = -1          # -1: not charged | ms since the last rise
        self._from_mv = 0           # lowest cell at that rise
        self.stands = False
        self._end_mv = self._charge_ma = self._longest_ms = 0

    def load(self, params):
        self._end_mv = params["deep_end_mv"]
        self._charge_ma = params["deep_charge_ma"]
        self._longest_ms = params["deep_try_s"] * 1000

    @property
    def limits(self):
        """True while the charge limit is lowered."""
        return self.most_ma != self.NO_LIMIT_MA

    def allow_try(self, protection):
        """Host command: charge although a cell is below the floor, once.

        ValueError if no cell is. It ends when the lowest cell is no longer deep, when it does not
        rise, or after deep_try_s.
        """
        if not protection.trips & _ROW:
            raise ValueError("no cell is below the floor of deep discharge (PRO-29)")
        self.trying = True
        self._try_ms = 0
        self._rise_ms = -1
        self.stands = False
        protection.release(_ROW)

    @micropython.native
    def look(self, values, trips, conditions, discharges, dt_ms):
        """Look at the newest scan; the *conditions* of the table, with CHARGED where it holds.

        discharges   a discharge current flows: a cell that sags is not deeply discharged
        """
        lowest_mv = values[MIN_CELL_MV]
        if lowest_mv == NO_READING:
            values[DEEP_CELL_MV] = NO_READING
            return conditions
        if lowest_mv > self._end_mv:
            self.most_ma = self.NO_LIMIT_MA
            self.trying = self.stands = False
            self._rise_ms = -1
        elif not discharges:
            self.most_ma = self._charge_ma
        if self._rise_ms >= 0 or lowest_mv <= self._end_mv and conditions & CHARGER_SEEN:
            self._watch_rise(lowest_mv, conditions & CHARGER_SEEN, dt_ms)
        if self.trying:
            self._try_ms = longer(self._try_ms, dt_ms)
            if self.stands or self._try_ms >= self._longest_ms:
                self.trying = False
        # during a try, and while the sag of a load explains it, the floor says nothing
        values[DEEP_CELL_MV] = NO_READING if self.trying or discharges else lowest_mv
        if conditions & CHARGER_SEEN and not self.stands and not trips & _ROW:
            conditions |= CHARGED
        return conditions

    def _watch_rise(self, lowest_mv, charged, dt_ms):
        """Whether the lowest cell rises while charging is detected."""
        if self._rise_ms < 0 or not charged and not self.stands:
            self._rise_ms = 0 if charged else -1
            self._from_mv = lowest_mv
            return
        if lowest_mv >= self._from_mv + _RISE_MV:
            self._from_mv = lowest_mv
            self._rise_ms = 0
            self.stands = False
            return
        self._rise_ms = longer(self._rise_ms, dt_ms)
        if lowest_mv <= self._from_mv - _FALL_MV or self._rise_ms >= _RISE_MS:
            self.stands = True
            self._from_mv = min(self._from_mv, lowest_mv)
