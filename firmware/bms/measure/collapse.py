"""A battery that falls as only a great current makes it fall, and a sensor that shows none.

Short circuit and over-current are seen by one shunt, by firmware and AFE alike. With its wire off
a short circuit flows until the cells are empty; the witness (MEA-07) takes 5 s to tell. But no
battery falls by volts from one scan to the next, and its terminals further still, unless a great
current flows. So that is told within a few scans (PRO-08). Cells, stack and terminals are three
channels: all have to fall.

How far the shown current may let them fall is generous, for a small or cold battery. So only a
sensor that shows next to nothing is found here, and only what is far beyond the data sheet.
"""

import micropython
from bms.words.readings import (
    CELL_SUM_MV,
    CURRENT_MA,
    MIN_TEMP_DC,
    NO_READING,
    PACK_MV,
    STACK_MV,
)
from micropython import const

_FALL_MV = const(1_500)     # 190 A in a pack of 100 Ah
_COOL_DC = const(100)       # below this twice, and below ...
_COLD_DC = const(-30)       # ... this three times as much
_MOST_MOHM = const(200)     # 25 times a good pack's resistance
_DROP_MV = const(150)       # of FETs, shunt and leads, 86 A at 1.75 mOhm, and a sixteenth of the
                            # fall: two channels differ by 5 % at most
_SCANS = const(3)
_MOST_LOST = const(5)
_NONE = const(-1)


class Collapse:
    """Steps with each fresh scan."""

    def __init__(self):
        self._cells_mv = _NONE      # as they were lately, _NONE: not known
        self._stack_mv = self._pack_mv = self._ma = 0
        self._scans = 0             # in a row
        self._lost = 0              # in a row, without readings

    @micropython.native
    def step(self, values, discharges):
        """True where a great current flows that the sensor does not show.

        discharges   the discharge FET is closed
        """
        cells_mv = values[CELL_SUM_MV]
        ma = values[CURRENT_MA]
        pack_mv = values[PACK_MV]
        if (cells_mv == NO_READING or ma == NO_READING or pack_mv == NO_READING
                or not discharges):
            self._lost += 1             # a step between two readings makes one scan implausible
            if self._lost > _MOST_LOST or not discharges:
                self._cells_mv = _NONE
                self._scans = 0
            return False
        self._lost = 0
        stack_mv = values[STACK_MV]
        was_mv = self._cells_mv
        if was_mv == _NONE:
            was_mv = cells_mv
            self._stack_mv = stack_mv
            self._pack_mv = pack_mv
            self._ma = ma
        fell_mv = min(was_mv - cells_mv, self._stack_mv - stack_mv)
        if fell_mv >= _FALL_MV and self._is_odd(fell_mv, self._ma - ma, values[MIN_TEMP_DC]):
            drop_mv = self._pack_mv - pack_mv - self._stack_mv + stack_mv
            if drop_mv >= _DROP_MV + (fell_mv >> 4):
                self._scans += 1
                return self._scans >= _SCANS
            self._scans -= 1            # terminals are measured late, or cells are held by a bench
            if self._scans > -_SCANS:
                return False
        self._scans = 0
        # a quarter of the way, each scan
        self._cells_mv = was_mv + (cells_mv - was_mv >> 2)
        self._stack_mv += stack_mv - self._stack_mv >> 2
        self._pack_mv += pack_mv - self._pack_mv >> 2
        self._ma += ma - self._ma >> 2
        return False

    def _is_odd(self, fell_mv, more_ma, coldest_dc):
        most_mv = _FALL_MV
        if coldest_dc < _COOL_DC:           # no reading is one of these
            most_mv *= 3 if coldest_dc < _COLD_DC else 2
        return fell_mv >= most_mv + max(0, more_ma) // 1000 * _MOST_MOHM
