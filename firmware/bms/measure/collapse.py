"""A battery that falls as only a great current makes it fall, and a sensor that shows none.

Short circuit and over-current are seen by one shunt, by firmware and AFE alike. With its wire off
a short circuit flows until the cells are empty; the witness (MEA-07) takes 5 s to tell. But no
battery falls by volts from one scan to the next unless a great current flows, so that is told
within three scans (PRO-08). Cells and stack are two channels: both have to fall.

How far the shown current may let it fall is generous, for a small or cold battery. So only a
sensor that shows next to nothing is found here, and only what is far beyond the data sheet.
"""

import micropython
from bms.words.readings import CELL_SUM_MV, CURRENT_MA, MIN_TEMP_DC, NO_READING, STACK_MV
from micropython import const

_FALL_MV = const(1_500)     # 190 A in a pack of 100 Ah
_COOL_DC = const(100)       # below this twice, and below ...
_COLD_DC = const(-30)       # ... this three times as much
_MOST_MOHM = const(200)     # 25 times a good pack's resistance
_SCANS = const(3)
_MOST_LOST = const(5)
_NONE = const(-1)


class Collapse:
    """Steps with each fresh scan."""

    def __init__(self):
        self._cells_mv = _NONE      # as they were lately, _NONE: not known
        self._stack_mv = self._ma = 0
        self._scans = 0             # in a row
        self._lost = 0              # in a row, without readings

    @micropython.native
    def step(self, values, discharges):
        """True where a great current flows that the sensor does not show.

        discharges   the discharge FET is closed
        """
        cells_mv = values[CELL_SUM_MV]
        stack_mv = values[STACK_MV]
        ma = values[CURRENT_MA]
        if cells_mv == NO_READING or ma == NO_READING:
            self._lost += 1             # a step between two readings makes one scan implausible
            if self._lost > _MOST_LOST:
                self._cells_mv = _NONE
                self._scans = 0
            return False
        self._lost = 0
        was_mv = self._cells_mv
        if was_mv == _NONE:
            was_mv = cells_mv
            self._stack_mv = stack_mv
            self._ma = ma
        fell_mv = min(was_mv - cells_mv, self._stack_mv - stack_mv)
        if discharges and fell_mv >= _FALL_MV and self._is_odd(fell_mv, self._ma - ma,
                                                               values[MIN_TEMP_DC]):
            self._scans += 1
            return self._scans >= _SCANS
        self._scans = 0
        # a quarter of the way, each scan
        self._cells_mv = was_mv + (cells_mv - was_mv >> 2)
        self._stack_mv += stack_mv - self._stack_mv >> 2
        self._ma += ma - self._ma >> 2
        return False

    def _is_odd(self, fell_mv, more_ma, coldest_dc):
        most_mv = _FALL_MV
        if coldest_dc < _COOL_DC:           # no reading is one of these
            most_mv *= 3 if coldest_dc < _COLD_DC else 2
        return fell_mv >= most_mv + max(0, more_ma) // 1000 * _MOST_MOHM
