"""An open sense wire at an end of the stack, which no sum of cells betrays (MEA-03).

The wire at the top also feeds the stack voltage: its cell and the stack sink together, as if the
cell were empty. What gives it away
  while both FETs conduct: the terminals, which stand above the stack by what the cell has lost
  at rest: how low it gets; a cell that far below all others would be beyond use anyway
"""

from bms.measure.fet_watch import OPEN_MV, resistive_mv
from bms.words.rules import BOTH
from bms.words.readings import (
    CELL_DIFF_MV,
    CELL_SUM_MV,
    CURRENT_MA,
    MIN_CELL,
    MIN_CELL_MV,
    NO_READING,
    PACK_MV,
    STACK_MV,
)

SUNK_MV = 400               # below the other cells, and as much of it ...
_HALF = 2                   # ... in the drop as leaves less than a half unexplained
_FAR = 4                    # times the parameter open_wire_mv: no cell does that at rest
_BACK = 3                   # times: it is over when the cell is less far off than this


class EndWires:
    """Looks at each scan; remembers how far the cell may be off when the wire is mended.

    cells     cells fitted

    suspects  something is remembered: watch() has to see every scan. Else only those whose cells
              are SUNK_MV apart or not to be believed
    """

    def __init__(self, cells):
        self._cells = cells
        self._held_mv = 0           # 0: nothing seen | the fault lasts while sunk so far
        self._scans = 0             # in a row that show it
        self.suspects = False

    def watch(self, measured, fets, rest_ma, wire_mv, faulty):
        """Mark all cells as not measured while a wire at an end of the stack seems open.

        measured, fets      Measurements of the newest scan; Fets
        rest_ma, wire_mv    parameters rest_ma and open_wire_mv
        faulty              the fault is up: it lasts until the cell is back
        """
        values = measured.values
        both = fets.actual == BOTH
        current_ma = values[CURRENT_MA]
        drop_mv = 0
        if both and measured.terminals_known:
            drop_mv = values[PACK_MV] - values[STACK_MV]
            if drop_mv <= OPEN_MV + resistive_mv(current_ma):
                drop_mv = 0
        if self.look(values, drop_mv, not both and abs(current_ma) <= rest_ma, wire_mv, faulty):
            measured.doubt_cells()

    def look(self, values, drop_mv, resting, wire_mv, faulty):
        """True if an end wire seems to be open, from the second scan on that shows it.

        The values of one scan are of different times: a cell that changes may look like it once.

        values    readings of the scan
        drop_mv   terminals above the stack, beyond what current explains; 0: FETs do not conduct
        resting   nothing flows and the FETs do not both conduct
        wire_mv   parameter open_wire_mv
        faulty    the fault is up: it lasts until the cell is back
        """
        if values[CELL_DIFF_MV] == NO_READING:
            return self._scans > 0 or faulty and self._held_mv > 0
        low_mv = values[MIN_CELL_MV]
        others = self._cells - 1
        sunk_mv = (values[CELL_SUM_MV] - low_mv * self._cells) // others
        lowest = values[MIN_CELL]
        at_end = lowest == 0 or lowest == others
        if drop_mv and at_end and sunk_mv >= SUNK_MV and (
                abs(drop_mv - sunk_mv) < sunk_mv // _HALF):
            return self._seen(max(0, sunk_mv - drop_mv) + SUNK_MV)
        if resting and lowest == others and sunk_mv >= _FAR * wire_mv:
            return self._seen(_BACK * wire_mv)
        self._scans = 0
        if faulty and self._held_mv and at_end and sunk_mv >= self._held_mv:
            return True
        self._held_mv = 0
        self.suspects = False
        return False

    def _seen(self, held_mv):
        self.suspects = True
        if not self._held_mv or held_mv < self._held_mv:
            self._held_mv = held_mv
        self._scans = 2 if self._scans else 1
        return self._scans > 1
