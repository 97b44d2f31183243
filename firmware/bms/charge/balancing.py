"""Balancing: which cells to bleed, and what a scan is worth while they are bled (BAL-01 to -03).

A bled cell reads low and its neighbours read high. So bleeding lasts for two scan periods, then
pauses for one: two scans are bled, the third is settled. Cells are chosen by settled scans alone.
In the bled scans between, everything else is fresh and the cells stay as they were in the settled
one, at most three periods ago (MEA-05), unless they have moved by more than bleeding explains:
then they are taken with the known error of bleeding removed, so that no protection sees a
crossing a scan later than without balancing. Close to a threshold of a protection, where a small
movement would do, there is no bleeding at all.
"""

import micropython
from array import array

from micropython import const

from bms.words import readings as rd
from bms.words.rules import mask_of
from bms.words.readings import NO_READING
from bound import bind
from ticks import MASK

STATES = ("idle", "bleeding", "pause", "low", "discharge", "protection", "fault", "hot", "near",
          "disabled")
IDLE, BLEEDING, PAUSE, LOW, DISCHARGE, PROTECTION, FAULT, HOT, NEAR, DISABLED = range(len(STATES))

_OVER_CHARGE = mask_of("PRO-01", "PRO-03")      # tripped by these, bleeding is what helps

_AGAIN_MV = const(35)       # below full: LFP voltages say something from here on
_END_MV = const(2)          # below the cells' share of the charge voltage
_TOP_MV = const(65)         # below the start voltage: a charge ends there
_MOVED_MV = const(12)       # a cell this far from where bleeding would put it has moved by itself
_NEAR_MV = const(20)        # this close to a protection nothing is bled: more than _MOVED_MV
_DIE_HYSTERESIS_DC = const(50)
_COLDEST_DIE_DC = const(-500)
_USABLE_SCANS = const(3)    # MEA-05
_BLED_SCANS = const(2)      # in a row, then a settled one
_UNKNOWN = const(-1)


class Balancing:
    """What is bled, of one pack.

    params     Parameters; cells: fitted; period_ms: of scans
    What the AFE and its board are like:
    most       cells it may bleed at once; neighbours: it may bleed two next to each other
    settle_us  from the end of bleeding until every cell was measured anew
    drop_mv    that a bled cell reads low; rise_mv: that each of its neighbours reads high

    mask       cells being balanced, bit 0 the most negative: bled in two of three periods
    seconds    array('i'): time that each cell was bled since start
    state      of STATES: what balancing does, or what keeps it from it
    written    mask that the AFE has now; -1: it did not answer, so nobody knows
    settled    the newest scan measured every cell with bleeding off
    """

    def __init__(self, params, cells, period_ms, most=8, neighbours=False, settle_us=67_000,
                 drop_mv=24, rise_mv=12):
        self._params = params
        self._taken = -1
        self._cells = cells
        self._usable_ms = _USABLE_SCANS * period_ms
        self._afe_most = most
        self._neighbours = neighbours
        self._settle_us = settle_us
        self._drop_mv = drop_mv
        self._rise_mv = rise_mv
        self.mask = 0
        self.seconds = array("i", (0 for _ in range(cells)))
        self.state = IDLE
        self.written = 0
        self.settled = False
        self._bled_ms = array("i", (0 for _ in range(cells)))   # beyond the whole seconds
        self._kept_mv = array("H", (0 for _ in range(cells)))   # of the last settled scan
        self._kept_ms = 0
        self._kept = False
        self._last = 0              # last mask that the AFE was told and that was not 0
        self._on_us = 0
        self._off_us = 0
        self._row = 0               # bled scans since the last settled one
        self._settling = False      # bleeding has ended and not every cell was measured since
        self._wanted = False        # a difference was found at the top and is not gone yet
        self._up = False            # the highest cell is near the top
        self._cool = True
        self._turn_ms = 0           # left of the time for which a choice stands
        self._pause_ms = 0          # left of the time without bleeding after an obstacle
        self._enabled = self._start_mv = self._diff_mv = self._stop_mv = self._hold_mv = 0
        self._again_mv = 0          # what has begun goes on from here,
        self._end_mv = 0            # ... and may end from here: where equal cells end a charge
        self._rest_ma = self._die_dc = self._most = self._each_turn_ms = self._each_pause_ms = 0
        self._tail_ma = self._high_mv = self._low_mv = self._high_sum_mv = self._low_sum_mv = 0
        bind(self, "step", "settle", "next_mask", "_obstacle")

    def _load(self):
        p = self._params
        self._enabled = p["bal_enable"]
        self._start_mv = p["bal_start_mv"]
        self._again_mv = min(self._start_mv, p["full_cell_mv"] - _AGAIN_MV)
        self._end_mv = min(self._start_mv, p["cvl_mv"] // self._cells - _END_MV)
        self._diff_mv = p["bal_diff_mv"]
        self._stop_mv = p["bal_stop_mv"]
        self._hold_mv = p["bal_hold_mv"]
        self._rest_ma = p["bal_rest_ma"]
        self._tail_ma = p["tail_ma"]
        self._die_dc = p["bal_die_max_dc"]
        self._most = min(p["bal_cells_most"], self._afe_most)
        self._each_turn_ms = p["bal_turn_s"] * 1000
        self._each_pause_ms = p["bal_pause_s"] * 1000
        self._pause_ms = min(self._pause_ms, self._each_pause_ms)
        self._high_mv = p["cell_ov_trip_mv"] - _NEAR_MV
        self._low_mv = p["cell_uv_trip_mv"] + _NEAR_MV
        self._high_sum_mv = p["pack_ov_trip_mv"] - _NEAR_MV * self._cells
        self._low_sum_mv = p["pack_uv_trip_mv"] + _NEAR_MV * self._cells
        self._taken = p.changed

    # -- the scans -------------------------------------------------------------------------

    @micropython.native
    def settle(self, measured, now_ms, start_us):
        """Make the cells of a fresh scan fit to be used; to be called before any use of them.

        measured  Measurements that took the scan; now_ms: as it did
        start_us  when the scan began
        """
        if self._settling and (start_us - self._off_us) & MASK >= self._settle_us:
            self._settling = False
        self.settled = not self.written and not self._settling
        self._row = 0 if self.settled else self._row + 1
        if measured.doubts or measured.values[rd.MAX_CELL_MV] == NO_READING:
            self._kept = False      # nobody uses these cells, and none older than these
            return
        if self.settled:
            cells_mv = measured.cells_mv
            kept_mv = self._kept_mv
            for i in range(self._cells):
                kept_mv[i] = cells_mv[i]
            self._kept_ms = now_ms
            self._kept = True
        elif not self._kept or (now_ms - self._kept_ms) & MASK > self._usable_ms:
            values = measured.values
            values[rd.MAX_CELL_MV] = values[rd.MIN_CELL_MV] = NO_READING
            values[rd.CELL_DIFF_MV] = values[rd.CELL_SUM_MV] = NO_READING
        else:
            if self._hold(measured):
                self._row = _BLED_SCANS     # things happen: a settled scan as soon as may be

    def _hold(self, measured):
        """Replace the cells of a scan that was not settled, and what follows from them.

        True if they are not those of the last settled scan.
        """
        cells_mv = measured.cells_mv
        kept_mv = self._kept_mv
        moved = False
        # one that is settling is partly bled and partly not: there is nothing to correct it by
        for i in range(self._cells if self.written > 0 else 0):
            corrected_mv = cells_mv[i] + self._error_mv(i)
            if corrected_mv < 0:
                corrected_mv = 0
            cells_mv[i] = corrected_mv
            if not -_MOVED_MV < corrected_mv - kept_mv[i] < _MOVED_MV:
                moved = True
        total = high_at = low_at = 0
        high = -1
        low = 0x10000
        for i in range(self._cells):
            if not moved:
                cells_mv[i] = kept_mv[i]
            value = cells_mv[i]
            total += value
            if value > high:
                high = value
                high_at = i
            if value < low:
                low = value
                low_at = i
        values = measured.values
        values[rd.MAX_CELL_MV] = high
        values[rd.MIN_CELL_MV] = low
        values[rd.CELL_DIFF_MV] = high - low
        values[rd.CELL_SUM_MV] = total
        values[rd.MAX_CELL] = high_at
        values[rd.MIN_CELL] = low_at
        return moved

    def _error_mv(self, i):
        """What to add to the reading of cell *i* while the last mask is bled."""
        mask = self._last
        error_mv = self._drop_mv if mask >> i & 1 else 0
        if mask >> i & 2:
            error_mv -= self._rise_mv
        if mask << 1 >> i & 1:
            error_mv -= self._rise_mv
        return error_mv

    # -- what the AFE is told --------------------------------------------------------------

    @micropython.native
    def next_mask(self, fresh):
        """The mask that the AFE shall have until the next scan: for two scans, not for a third.

        fresh   the scan of this period was complete
        """
        if not fresh:
            return 0
        if self.settled or self.written == self.mask and self._row < _BLED_SCANS:
            return self.mask
        return 0

    def wrote(self, mask, now_us):
        """The AFE took *mask* at *now_us*."""
        if self.written:
            self._off_us = now_us
            self._settling = True
            self._account((now_us - self._on_us) & MASK)
        if mask:
            self._last = mask
            self._on_us = now_us
        self.written = mask

    def unsure(self, mask, now_us):
        """The AFE gave no answer to *mask*: it has it or it has not."""
        if mask:
            self._last = mask
            self._on_us = now_us
        self.written = _UNKNOWN

    def lost(self):
        """The AFE is being configured again, which ends bleeding."""
        self._clear(FAULT)
        self.written = 0
        self._settling = False
        self._kept = False
        self.settled = False

    def _account(self, us):
        ms = us // 1000
        for i in range(self._cells):
            if self._last >> i & 1:
                self._bled_ms[i] += ms
                while self._bled_ms[i] >= 1000:
                    self._bled_ms[i] -= 1000
                    self.seconds[i] += 1

    # -- the strategy ----------------------------------------------------------------------

    @micropython.native
    def step(self, measured, fresh, awake, trips):
        """Decide after one scan period.

        fresh   its scan was complete: without, nothing is bled (next_mask) and nothing decided
        awake   there is no fault and the pack is not asleep; trips: of Protection
        """
        if self._taken != self._params.changed:
            self._load()
        if awake and not fresh:
            return
        obstacle = self._obstacle(measured, trips) if awake else FAULT
        if obstacle:
            self._clear(obstacle)
            return
        if self._pause_ms > 0:
            self._pause_ms -= measured.dt_ms
            self.state = PAUSE
            return
        self._turn_ms = max(0, self._turn_ms - measured.dt_ms)
        if not self.settled:
            return
        values = measured.values
        high = values[rd.MAX_CELL_MV]
        diff = values[rd.CELL_DIFF_MV]
        if high >= (self._again_mv if self._wanted else self._start_mv):
            self._up = True
            if diff >= self._diff_mv:
                self._wanted = True
            elif diff <= self._stop_mv and high >= self._end_mv:
                self._wanted = False
        elif high < self._hold_mv:
            self._up = False
        if not self._wanted or not self._up:
            self._turn_ms = 0
            self.mask = 0
            self.state = LOW if self._wanted else IDLE
            return
        if not self._turn_ms:
            self._turn_ms = self._each_turn_ms
            self.mask = self._choose(measured.cells_mv, values[rd.MIN_CELL_MV] + self._stop_mv)
            self.state = BLEEDING if self.mask else IDLE

    def wants_top(self, values):
        """True at the end of a charge that leaves every cell below the start voltage, though
        their difference asks for balancing: the charge voltage has to rise a little.

        values   readings with believable cells
        """
        return (self._enabled != 0 and not self._up and not self._wanted
                and values[rd.CELL_DIFF_MV] >= self._diff_mv
                and self._start_mv - _TOP_MV <= values[rd.MAX_CELL_MV] < self._start_mv
                and 0 <= values[rd.CURRENT_MA] < self._tail_ma)

    @micropython.native
    def _clear(self, state):
        self.mask = 0
        self.state = state
        self._turn_ms = 0
        self._pause_ms = self._each_pause_ms

    @micropython.native
    def _obstacle(self, measured, trips):
        """What forbids bleeding now, of STATES; 0: nothing does."""
        values = measured.values
        if not self._enabled:
            return DISABLED
        if measured.doubts or values[rd.MAX_CELL_MV] == NO_READING:
            return FAULT
        if values[rd.CURRENT_MA] < -self._rest_ma:
            return DISCHARGE
        if trips & ~_OVER_CHARGE:
            return PROTECTION
        die_dc = values[rd.DIE_DC]
        limit_dc = self._die_dc if self._cool else self._die_dc - _DIE_HYSTERESIS_DC
        self._cool = _COLDEST_DIE_DC < die_dc < limit_dc
        if not self._cool:
            return HOT
        if not trips and (values[rd.MAX_CELL_MV] >= self._high_mv
                          or values[rd.MIN_CELL_MV] <= self._low_mv
                          or values[rd.CELL_SUM_MV] >= self._high_sum_mv
                          or values[rd.CELL_SUM_MV] <= self._low_sum_mv):
            return NEAR
        return 0

    def _choose(self, cells_mv, floor_mv):
        """The highest cells above *floor_mv* that the AFE can bleed together."""
        mask = taken = 0
        for _ in range(self._most):
            best = -1
            best_mv = floor_mv
            for i in range(self._cells):
                if cells_mv[i] > best_mv and not taken >> i & 1:
                    best = i
                    best_mv = cells_mv[i]
            if best < 0:
                break
            mask |= 1 << best
            taken |= 1 << best if self._neighbours else 7 << best >> 1
        return mask
