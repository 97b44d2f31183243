"""Cells and stack that drift apart by less than a scan could tell: one of them is wrong (MEA-07).

The stack's gain is learnt beside the sum of the cells, so the two agree within 0.12 V for ever,
and 0.6 V make a scan implausible. Between them one cell may be off by 5 to 15 %, and be charged
far beyond its limit. So the difference is weighed over some time: the AFE measures cells and
stack in turn, and the ripple of a current makes them differ, but not at rest, nor for a minute.

A cell that stands away from the others by what the sum is off is the one to blame; without such
a cell it is the stack.
"""

import micropython
from micropython import const

_SCANS = const(8)           # of a block, whose sums are compared
_CELL_MV = const(150)       # off, with a cell that stands away
_STACK_MV = const(200)      # ... and without one
_REST_MA = const(1_000)
_MV_A = const(4)            # more for each ampere beyond it, at 25 degC
_REST_BLOCKS = const(15)    # 12 s
_BLOCKS = const(75)         # 60 s, with a current
_BACK_BLOCKS = const(75)    # less than half of it for so long is the way back


class OddSum:
    """Steps with each steady block of scans; tells Measurements in odd_sum and odd_cell."""

    def __init__(self):
        self._odd = 0           # blocks, leaky
        self._back = 0

    @micropython.native
    def step(self, cells, stack, size_ma, share, measured):
        """Sums of a block; *share*: resistance of the cells in percent of that at 25 degC."""
        off_mv = (cells - stack) // _SCANS
        more_mv = 0 if size_ma < _REST_MA else size_ma * _MV_A // 1000 * share // 100
        if abs(off_mv) < _CELL_MV // 2:
            self._odd = self._odd - 1 if self._odd else 0
            self._back += 1
            if self._back >= _BACK_BLOCKS:
                measured.odd_sum = False
            return
        cell = self._away(measured.cells_mv, off_mv)
        if abs(off_mv) < (_STACK_MV if cell < 0 else _CELL_MV) + more_mv:
            self._odd = self._odd - 1 if self._odd else 0
            return
        self._back = 0
        if self._odd < _BLOCKS:
            self._odd += 1
        if self._odd >= (_BLOCKS if more_mv else _REST_BLOCKS) and not measured.odd_sum:
            measured.odd_sum = True
            measured.odd_cell = cell

    def _away(self, cells_mv, off_mv):
        """The cell that stands away from the mean of the others by about *off_mv*, or -1."""
        total = 0
        others = len(cells_mv) - 1
        for i in range(others + 1):
            total += cells_mv[i]
        for i in range(others + 1):
            away_mv = cells_mv[i] - (total - cells_mv[i]) // others
            if off_mv < 0:
                away_mv = -away_mv
            if abs(off_mv) * 3 // 5 <= away_mv <= abs(off_mv) * 8 // 5:
                return i
        return -1
