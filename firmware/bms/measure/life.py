"""Proof of life of every channel: what stands still while its witness moves is stuck (MEA-07)."""

import micropython
from array import array

from bms.words.rules import FAULT_CELLS, FAULT_STACK, FAULT_TEMPS, FAULT_TERMINALS
from bms.words.readings import DIE_DC as DIE
from bms.words.readings import NO_READING, TEMP_DC
from bms.measure.witness_table import (
    ALL_SAME_COUNTS,
    BY_CELL_HEAT,
    BY_DIE,
    BY_FET_HEAT,
    BY_STACK,
    CELL_HEAT,
    CHANNELS,
    DIE_DC,
    FET_HEAT,
    NEIGHBOURS_DC,
    OWED_UV,
    SAME_COUNTS,
    SENSOR_OF,
    SENSORS,
)
from bound import bind
from micropython import const

_A_SCAN = const(3)          # channels looked at in a scan, in turn
_BACK = const(3)            # changes that prove a stuck channel to be alive again
_LATE = const(2)            # visits and blocks are not of one time
_LONG_VISITS = const(6)     # without a change: a drop is not believed, and the channel to blame
_ALL_VISITS = const(4)      # ... of every cell
_MASK = const(0x1FFFFFFF)
_SENSORS = const(4)         # thermistors of cells
_LONGEST = const(1 << 28)
_FAULTS = (FAULT_CELLS, FAULT_STACK, FAULT_TERMINALS, FAULT_TEMPS)


class Life:
    """Looks at some channels in each scan, so that each has its turn every 8 scans.

    stuck   bits of the channels that are stuck, by their order in CHANNELS
    """

    def __init__(self, cells):
        rows = []
        for kind, reading, count, first, fault, visits in CHANNELS:
            for i in range(min(count, cells) if reading < 0 else count):
                slot = -1 - i if reading < 0 else reading + i
                rows.append((kind, slot, first + i if first >= 0 else -1, fault, visits))
        count = len(rows)
        self._rows = tuple(rows)
        self._stack = min(16, cells)        # channels of stack and terminals
        self._last = array("i", (NO_READING for _ in range(count)))
        self._still = array("i", (0 for _ in range(count)))     # visits without a change
        self._ref = array("i", (0 for _ in range(count)))       # of its witness at the last change
        self._die = array("i", (0 for _ in range(count)))       # the die at the last change
        self._others = array("i", (0 for _ in range(_SENSORS * _SENSORS)))
        self._back = bytearray(count)
        self._at = 0
        self._moved_uv = self._heat = 0
        self._counts = bytearray(SENSORS)       # raw counts of the thermistors, low bytes
        self._same = bytearray(SENSORS)         # looks at which they were the same
        self._looked = 0                        # bits: a count is known
        self._counts_move = False               # on this board
        self.stuck = 0
        bind(self, "visit", "look_at_counts", "_is_owed")

    @micropython.native
    def warm(self, heat):
        """After a block: the square of its current, A2."""
        self._heat = (self._heat + heat) & _MASK

    @micropython.native
    def moved(self, cell_uv, blocks):
        """All cells stand *cell_uv* higher than *blocks* ago, and stood still then and now.

        What changed meanwhile changed with them.
        """
        self._moved_uv += cell_uv
        if abs(self._moved_uv) > _LONGEST:
            self._moved_uv = 0
        for i in range(len(self._rows)):
            if self._still[i] <= blocks + _LATE and self._rows[i][0] <= BY_STACK:
                self._ref[i] = self._moved_uv

    @micropython.native
    def visit(self, values, cells_mv, closed, bled, faults):
        """Look at the next channels, in the newest scan.

        closed   both FETs conduct; bled: cells are being bled, their readings are kept ones
        faults   Faults
        """
        at = self._at
        rows = self._rows
        for _ in range(_A_SCAN):
            kind, slot, _, _, visits = rows[at]
            value = cells_mv[-1 - slot] if slot < 0 else values[slot]
            last = self._last[at]
            if (value != last or value == NO_READING or bled and slot < 0
                    or kind == BY_STACK and not closed):
                self._last[at] = value
                self._still[at] = 0
                if kind >= BY_CELL_HEAT:
                    self._ref[at] = self._heat
                    self._die[at] = values[DIE]
                    if kind == BY_CELL_HEAT:
                        self._note_others(values, slot - TEMP_DC)
                else:
                    self._ref[at] = self._moved_uv
                if self.stuck >> at & 1 and value != last:
                    self._is_back(at, faults)
            else:
                still = self._still[at] + 1
                self._still[at] = still if still < _LONGEST else _LONGEST
                if still >= visits and self._is_owed(at, kind, slot, values):
                    self._is_stuck(at, value, faults)
            at += 1
            if at >= len(rows):
                at = 0
        self._at = at

    @micropython.native
    def look_at_counts(self, counts, half, faults):
        """Low bytes of the raw counts of all thermistors; those of *half* are new.

        Beside a single count that moves, those that do not are stuck: the noise is of the
        converter, which all of them share.
        """
        for i in range(3 * half, 3 * half + 3):
            if not self._looked >> i & 1:       # the first look is no move
                self._looked |= 1 << i
                self._counts[i] = counts[i]
            elif counts[i] != self._counts[i]:
                self._counts[i] = counts[i]
                self._same[i] = 0
                self._counts_move = True
                at = self._stack + 2 + SENSOR_OF[i]
                if self.stuck >> at & 1:
                    self._is_back(at, faults)
            elif self._same[i] < SAME_COUNTS:
                self._same[i] += 1
        if not self._counts_move:
            return
        all_stand = True
        for i in range(SENSORS):
            if self._same[i] < ALL_SAME_COUNTS:
                all_stand = False
        for i in range(SENSORS):
            at = self._stack + 2 + SENSOR_OF[i]
            if (all_stand or self._same[i] >= SAME_COUNTS) and not self.stuck >> at & 1:
                self._is_stuck(at, 0, faults)

    @micropython.native
    def _is_owed(self, at, kind, slot, values):
        """True if the witness moved too far for a channel that stands still."""
        if kind <= BY_STACK:
            return abs(self._moved_uv - self._ref[at]) >= OWED_UV
        if kind != BY_CELL_HEAT and abs(values[DIE] - self._die[at]) >= DIE_DC:
            return True
        heat = (self._heat - self._ref[at]) & _MASK
        if kind == BY_FET_HEAT:
            return heat >= FET_HEAT
        if kind == BY_DIE:
            return False
        if heat >= CELL_HEAT:
            return True
        sensor = slot - TEMP_DC
        others = 0
        for i in range(_SENSORS):
            other = values[TEMP_DC + i]
            before = self._others[sensor * _SENSORS + i]
            if i != sensor and other != NO_READING and before != NO_READING:
                if abs(other - before) >= NEIGHBOURS_DC:
                    others += 1
        return others >= 2

    def _note_others(self, values, sensor):
        for i in range(_SENSORS):
            self._others[sensor * _SENSORS + i] = values[TEMP_DC + i]

    def _is_stuck(self, at, value, faults):
        self.stuck |= 1 << at
        self._back[at] = 0
        row = self._rows[at]
        faults.set_fault(row[3], True, row[2] if row[3] == FAULT_TEMPS else value, 0,
                         row[2] if row[3] == FAULT_CELLS else -1)

    def _is_back(self, at, faults):
        self._back[at] += 1
        if self._back[at] < _BACK:
            return
        self.stuck &= ~(1 << at)
        fault = self._rows[at][3]
        for i in range(len(self._rows)):
            if self.stuck >> i & 1 and self._rows[i][3] == fault:
                return
        faults.set_fault(fault, False)

    @micropython.native
    def drop_lives(self):
        """True if stack and terminals moved lately: their difference says something."""
        still = self._still
        at = self._stack
        return still[at] < _LONG_VISITS and still[at + 1] < _LONG_VISITS

    def blame_for_drop(self, faults, visits=_LONG_VISITS):
        """Stack and terminals are not where they should be: True if one of them has stood still.

        It is a fault then, and the FETs are not to blame.
        """
        blamed = False
        for at in (self._stack, self._stack + 1):
            if self._still[at] >= visits:
                self._is_stuck(at, self._last[at], faults)
                blamed = True
        return blamed

    def none_moves(self, faults):
        """Not one cell moved at a step that something else bears out."""
        for i in range(len(self._rows)):
            if self._rows[i][1] < 0:
                self.stuck |= 1 << i
                self._back[i] = 0
        faults.set_fault(FAULT_CELLS, True)

    def all_still(self):
        """True if not one cell moved at its last visits."""
        for i in range(len(self._rows)):
            if self._rows[i][1] < 0 and self._still[i] < _ALL_VISITS:
                return False
        return True

    def clear(self, faults):
        """Host command: start anew."""
        self.stuck = 0
        for i in range(len(self._rows)):
            self._last[i] = NO_READING
        for i in range(SENSORS):
            self._same[i] = 0
        for fault in _FAULTS:
            faults.set_fault(fault, False)
