"""The state of every protection: steps the table once per fresh scan and names what changed."""

import micropython
from array import array

from bms.words import rules
from bms.words.readings import CELL_SUM_MV, MAX_CELL_MV, MIN_CELL_MV
from bms.words.rules import BELOW, ITEMS
from bound import bind
from hot.protect import protect_step
from hot.protect_py import (
    ALARM,
    ALARM_AT,
    DELAY_MS,
    FLAGS,
    HAS,
    HELD_MS,
    IN_ROW,
    LOCKED,
    LONGEST_MS,
    NO_READING,
    PENDING,
    READING,
    STATE,
    TRIP_AT,
    TRIP_RUN,
    TRIPPED,
    WIDTH,
)

_AT_ONCE_MS = 1         # a delay that the second scan passes, however soon it comes
_BEGUN_MS = 2           # of TRIP_RUN: the timer began in this scan
_OF_CELLS = (MAX_CELL_MV, MIN_CELL_MV, CELL_SUM_MV)


class Protection:
    """Alarms, trips and locks of ITEMS.

    params   Parameters; its values are taken over when its *changed* count moves
    blocked  FETs held off by items that are tripped or wait, bits of protection_rules
    pending  FETs that a timer now running may soon hold off
    alarms, trips, locks  bit i = ITEMS[i]
    disbelieved  AFE safety bits that came with doubtful readings and are still set
    stepped  set by each step; whoever follows the flow of the program takes it away
    """

    def __init__(self, params):
        self._params = params
        self._taken = -1
        self._rows = array("i", (0 for _ in range(WIDTH * len(ITEMS))))
        self._at_once = array("i", (0 for _ in range(WIDTH * len(ITEMS))))   # without delays
        self._state = array("i", (0 for _ in range(STATE * len(ITEMS))))
        self._flags = bytearray(len(ITEMS))
        self._from = self._plan()
        self._by_cells = bytes(i for i in range(len(ITEMS)) if ITEMS[i][rules.READING] in _OF_CELLS
                               and ITEMS[i][rules.TRIP] is not None)
        self._doubted_ms = array("i", (-1 for _ in self._by_cells))
        self._doubting = False      # the scan before was doubted
        self._forget_ms = 0
        self._safety = 0
        self.stepped = False
        self.blocked = 0
        self.pending = 0
        self.alarms = 0
        self.trips = 0
        self.locks = 0
        self.disbelieved = 0
        bind(self, "step", "take_changes", "left_ms")

    @property
    def rows(self):
        """array('i'): the thresholds as the hot path reads them. To be read only."""
        return self._rows

    @property
    def taken(self):
        """The count of parameter changes that the rows were made from."""
        return self._taken

    def _plan(self):
        """Fill in the columns of the rows that are constant, and return (slot of the rows, row
        of its parameter, number to add) of each of the others, one after another."""
        plan = array("i")
        for i in range(len(ITEMS)):
            item = ITEMS[i]
            alarm, alarm_end = item[rules.ALARM], item[rules.ALARM_END]
            if not isinstance(alarm_end, str):      # a hysteresis
                name, more = _entry(alarm)
                alarm_end = (name, more - item[rules.WORSE] * alarm_end)
            columns = (
                item[rules.READING], int(item[rules.WORSE] == BELOW), alarm, alarm_end,
                item[rules.TRIP], item[rules.RELEASE], item[rules.DELAY],
                ((ALARM if alarm is not None else 0)
                 | (TRIPPED if item[rules.TRIP] is not None else 0)),
                item[rules.NEED], item[rules.ANY], item[rules.AFTER], item[rules.LOCK],
                item[rules.BLOCKS], item[rules.MUTE], item[rules.AFE]
            ) + item[rules.FORGET:]
            for column in range(len(columns)):
                slot = i * WIDTH + column
                entry = columns[column]
                if not entry:                       # 0, as the row is
                    continue
                if isinstance(entry, int):
                    self._rows[slot] = entry
                    continue
                name, more = _entry(entry)
                if name is None:
                    self._rows[slot] = more
                else:
                    for number in (slot, self._params.row_of(name), more):
                        plan.append(number)
        return plan

    @micropython.native
    def _load(self):
        """Fill the rows from the parameters; timers and flags stay as they are."""
        rows = self._rows
        values = self._params.values
        plan = self._from
        for k in range(0, len(plan), 3):
            rows[plan[k]] = values[plan[k + 1]] + plan[k + 2]
        at_once = self._at_once
        for i in range(len(rows)):
            at_once[i] = rows[i]
        for i in range(0, len(rows), WIDTH):
            if rows[i + DELAY_MS] and rows[i + HAS] & TRIPPED:
                at_once[i + DELAY_MS] = _AT_ONCE_MS
        self._forget_ms = self._params["in_a_row_forget_s"] * 1000
        self._taken = self._params.changed

    @micropython.native
    def step(self, readings, dt_ms, conditions, safety, doubtful=0):
        """Advance by *dt_ms*; True if any alarm, trip or lock came or went.

        conditions  bits of protection_rules; with AT_ONCE among them, the second scan beyond is
                    enough for every item that has a protection (PRO-27)
        safety    AFE safety status bits of this scan
        doubtful  bits of it that trip nothing: the AFE saw the same wrong reading
        """
        if self._taken != self._params.changed:
            self._load()
        new = safety & ~self._safety
        self.disbelieved = (self.disbelieved | new & doubtful) & safety
        result = protect_step(self._at_once if conditions & rules.AT_ONCE else self._rows,
                              self._state, readings, len(ITEMS), dt_ms, conditions,
                              self._forget_ms, new & ~doubtful)
        if self._doubting and readings[MAX_CELL_MV] != NO_READING:
            self._resolve(dt_ms)
        self._safety = safety
        self.stepped = True
        self.blocked = result & 3
        self.pending = result >> PENDING & 3
        return result > 0xFF

    def doubt(self, cells_mv, dt_ms):
        """After the step of a scan whose cells are doubted. Where the next scan that is believed
        is beyond a threshold, the delay began with the first doubted one that was, too (PRO-21):
        cells that moved together are newer than the stack's voltage, which then seems wrong."""
        for k in range(len(self._by_cells)):
            r = self._by_cells[k] * WIDTH
            reading = self._rows[r + READING]
            if reading == MAX_CELL_MV:
                over_mv = max(cells_mv) - self._rows[r + TRIP_AT]
            elif reading == MIN_CELL_MV:
                over_mv = self._rows[r + TRIP_AT] - min(cells_mv)
            else:
                over_mv = sum(cells_mv) - self._rows[r + TRIP_AT]
                if ITEMS[self._by_cells[k]][rules.WORSE] == BELOW:
                    over_mv = -over_mv
            before_ms = self._doubted_ms[k]
            if over_mv < 0:
                self._doubted_ms[k] = -1
            elif before_ms < LONGEST_MS:
                self._doubted_ms[k] = before_ms + dt_ms if before_ms >= 0 else 0
        self._doubting = True

    def _resolve(self, dt_ms):
        """Timers that began in this scan, and were doubted before it, began then."""
        for k in range(len(self._by_cells)):
            at = self._by_cells[k] * STATE + TRIP_RUN
            if self._doubted_ms[k] >= 0 and self._state[at] == _BEGUN_MS:
                self._state[at] += self._doubted_ms[k] + dt_ms
            self._doubted_ms[k] = -1
        self._doubting = False

    @micropython.native
    def left_ms(self):
        """Time until the first of the delays that run now has passed; LONGEST_MS: none runs."""
        rows = self._rows
        state = self._state
        left_ms = LONGEST_MS
        s = TRIP_RUN
        for r in range(DELAY_MS, len(rows), WIDTH):
            ms = state[s]
            if ms:
                left_ms = min(left_ms, rows[r] + _BEGUN_MS - ms)
            s += STATE
        return left_ms

    def take_changes(self, on_change):
        """Call on_change(item index, flags before, flags now) for each that changed."""
        self.alarms = self.trips = self.locks = 0
        for i in range(len(ITEMS)):
            now = self._state[i * STATE + FLAGS]
            before = self._flags[i]
            if now & ALARM:
                self.alarms |= 1 << i
            if now & TRIPPED:
                self.trips |= 1 << i
            if now & LOCKED:
                self.locks |= 1 << i
            if now != before:
                self._flags[i] = now
                on_change(i, before, now)

    def unlock(self):
        """Host command: every count of trips in a row ends and every lock opens (PRO-22).

        What was locked stays tripped and releases by its own rule.
        """
        for i in range(len(ITEMS)):
            self._state[i * STATE + IN_ROW] = 0
            self._state[i * STATE + FLAGS] &= ~LOCKED

    def release(self, mask):
        """Release the items of *mask* (bit i = ITEMS[i]) before their own rule does (PWR-13).

        What still is beyond its threshold trips again after its delay.
        """
        for i in range(len(ITEMS)):
            if mask >> i & 1 and self._state[i * STATE + FLAGS] & TRIPPED:
                self._state[i * STATE + FLAGS] &= ~(TRIPPED | LOCKED)
                self._state[i * STATE + TRIP_RUN] = self._state[i * STATE + HELD_MS] = 0

    def recall(self, mask, locks=0):
        """At a start: the items of *mask* were tripped before it and have not released.

        locks   those of them that were locked
        """
        for i in range(len(ITEMS)):
            if mask >> i & 1:
                flags = TRIPPED | LOCKED if locks >> i & 1 else TRIPPED
                self._state[i * STATE + FLAGS] |= flags
                self._flags[i] |= flags         # no news: the trip is in the records
                self.trips |= 1 << i
                self.locks |= locks & 1 << i
                self.blocked |= ITEMS[i][rules.BLOCKS]

    @micropython.native
    def in_row(self, i):
        """Trips in a row of item *i* (PRO-22)."""
        return self._state[i * STATE + IN_ROW]

    def recall_row(self, i, count):
        """At a start: item *i* had tripped *count* times in a row before it."""
        self._state[i * STATE + IN_ROW] = count

    def limit_of(self, i, flags):
        """The threshold of item *i* that was crossed: of the trip if *flags* has TRIPPED."""
        return self._rows[i * WIDTH + (TRIP_AT if flags & TRIPPED else ALARM_AT)]


def _entry(entry):
    """(name of a parameter or None, number to add) of an entry of a row."""
    if isinstance(entry, str):
        return entry, 0
    if isinstance(entry, tuple):
        return entry
    return None, entry or 0
