"""Scans to readings, each with a sequence number and an age (MEA-01, MEA-02, MEA-03, MEA-05)."""

import micropython
from array import array

from bms.words import readings
from bms.measure.levels import Levels
from bms.measure.pulses import Pulses
from bms.words.readings import NO_READING
from bound import bind
from hot.scan_values import decode_scan
from micropython import const
from ticks import MASK

_AMBIENT = 0x6E             # thermistor on the AFE's ALERT pin, 0.1 K
_KELVIN_DK = 2731
_COLDEST_DC = -450          # an open thermistor reads below, a shorted one above
_HOTTEST_DC = 1300
_SAFETY_A = 0x03
_BATTERY_STATUS = 0x12
_FET_STATUS = 0x7F
_OF_CELLS = readings.CELL_IMPLAUSIBLE | readings.SUM_IMPLAUSIBLE | readings.WIRE_OPEN
_MEAN = const(16)           # scans of a mean
USABLE_SCANS = 3            # MEA-05: older than this many periods is unusable


class Measurements:
    """The newest complete scan.

    params       Parameters: plausibility limits
    cells        cells fitted
    period_ms    of scans

    seq          number of complete scans; 0: none yet
    values       array('i') by slots of bms.words.readings
    cells_mv     array('H')
    doubts       bits of bms.words.readings about the newest scan
    failed_row   failed scans in a row; failed_all: since start
    terminals_known   what the terminals' input reads beside the stack's is learnt (MEA-06);
                 until then the two may differ by 2.6 % and mean the same
    levels       Levels: what is learnt of stack and terminals, to be kept over a restart
    stack_sure   stack and cells agreed since the start
    odd_sum, odd_cell   of OddSum: they no longer do, and the cell that is away (-1: none is)
    level_changes     how often the correction of stack or terminals changed
    safety       AFE safety status A, B, C as one number (A lowest)
    battery      AFE battery status
    fets         AFE FET status
    """

    def __init__(self, params, cells, period_ms):
        self._params = params
        self._taken = -1
        self._cells = cells
        self.stack_sure = self.odd_sum = False
        self.odd_cell = -1
        self._low_mv = self._high_mv = self._sum_mv = self._wire_mv = 0
        self._cal = array("i", (0 for _ in range(readings.CAL_COUNT)))
        self._rows = _calibration(params, cells)
        self.levels = Levels()
        self._stack_cal = self._pack_cal = 0        # gains of the calibration
        self._usable_ms = USABLE_SCANS * period_ms
        self._at_ms = 0
        self.values = array("i", (NO_READING for _ in range(readings.COUNT)))
        self.cells_mv = array("H", (0 for _ in range(cells)))
        self.seq = 0
        self.dt_ms = 0              # from the scan before to the newest
        self.doubts = 0
        self.frozen = False         # set by Pack: nothing changes any more
        self.failed_row = 0
        self.failed_all = 0
        self.terminals_known = False
        self.level_changes = 0
        self.pulses = Pulses()
        self.sum_excused = False    # SUM_IMPLAUSIBLE, but cells are believed
        self.safety = 0
        self.battery = 0
        self.fets = 0
        bind(self, "take", "is_usable")

    @micropython.native
    def _load(self):
        p = self._params
        self._low_mv = p["cell_low_limit_mv"]
        self._high_mv = p["cell_high_limit_mv"]
        self._sum_mv = p["cell_sum_error_mv"]
        self._wire_mv = p["open_wire_mv"]
        cal = self._cal
        values = p.values
        cal[readings.CAL_STACK_GAIN] = cal[readings.CAL_PACK_GAIN] = 0
        rows = self._rows[0]
        for i in range(0, len(rows), 2):
            cal[rows[i]] = share(values[rows[i + 1]])
        rows = self._rows[1]
        for i in range(0, len(rows), 2):
            cal[rows[i]] = values[rows[i + 1]]
        if (cal[readings.CAL_STACK_GAIN] != self._stack_cal
                or cal[readings.CAL_PACK_GAIN] != self._pack_cal):
            self._stack_cal = cal[readings.CAL_STACK_GAIN]
            self._pack_cal = cal[readings.CAL_PACK_GAIN]
            self.levels.forget()
        self.levels.recall(self._stack_cal, self._pack_cal)
        cal[readings.CAL_STACK_GAIN] += self.levels.stack.gain
        cal[readings.CAL_PACK_GAIN] += self.levels.pack.gain
        self._taken = p.changed

    def pace(self, period_ms):
        """From now on a scan comes each *period_ms*."""
        self._usable_ms = USABLE_SCANS * period_ms

    @micropython.native
    def take(self, regs, now_ms):
        """Take over a complete scan of AFE registers."""
        if self._taken != self._params.changed:
            self._load()
        values = self.values
        doubts = decode_scan(regs, self.cells_mv, values, self._cal, self._cells, self._low_mv,
                             self._high_mv, self._sum_mv, self._wire_mv)
        ambient = (regs[_AMBIENT] | regs[_AMBIENT + 1] << 8) - _KELVIN_DK
        if ambient < _COLDEST_DC:
            doubts |= readings.NTC_OPEN
            ambient = NO_READING
        elif ambient > _HOTTEST_DC:
            doubts |= readings.NTC_SHORT
            ambient = NO_READING
        else:
            ambient -= self._cal[readings.CAL_TEMP_OFFSET + 5]
        values[readings.AMBIENT_DC] = ambient
        levels = self.levels
        levels.step(values, self.cells_mv, doubts, regs[_FET_STATUS], self._cal,
                    self._stack_cal, self._pack_cal)
        if self.pulses.wants:
            self.pulses.sum_off += sum(self.cells_mv) - values[readings.STACK_MV] - (
                self.pulses.sum_off // _MEAN)
        elif self.pulses.sum_off:
            self.pulses.sum_off = 0
        if not levels.stack.sure:
            doubts = self._see_untaught(doubts)
        self.doubts = doubts
        self.stack_sure = levels.stack.sure
        self.terminals_known = levels.pack.known
        self.level_changes = levels.changes
        self.safety = regs[_SAFETY_A] | regs[_SAFETY_A + 2] << 8 | regs[_SAFETY_A + 4] << 16
        self.battery = regs[_BATTERY_STATUS] | regs[_BATTERY_STATUS + 1] << 8
        self.fets = regs[_FET_STATUS]
        self.dt_ms = (now_ms - self._at_ms) & MASK if self.seq else 0
        self._at_ms = now_ms
        self.pulses.step(values[readings.CURRENT_MA], self.dt_ms)
        self.sum_excused = False
        if doubts & readings.SUM_IMPLAUSIBLE:
            self._excuse_sum(doubts)
        self.seq += 1
        self.failed_row = 0

    def _see_untaught(self, doubts):
        """Doubts less that about the stack, while cells far apart keep its gain from being
        learnt: the sum of the cells stands for it."""
        cells = self.cells_mv
        values = self.values
        if not doubts & _OF_CELLS & ~readings.SUM_IMPLAUSIBLE and self.levels.untaught(
                sum(cells), max(cells) - min(cells), values[readings.STACK_MV], self._sum_mv):
            doubts &= ~readings.SUM_IMPLAUSIBLE
            self._believe_cells()
            values[readings.STACK_MV] = values[readings.CELL_SUM_MV]
        return doubts

    def _excuse_sum(self, doubts):
        """Cells and stack are not of one time where the current pulses: cells are believed.

        What is excused is not endless, but for pulses that leave no difference in the mean: the
        ripple of an inverter, seen at another part of it in each scan.
        """
        pulses = self.pulses
        pulses.ask()
        if doubts & _OF_CELLS != readings.SUM_IMPLAUSIBLE or not (
                pulses.excused_ms > 0 and abs(self.pulses.sum_off) <= _MEAN * self._sum_mv
                or pulses.excuse(self.dt_ms)):
            return
        self.sum_excused = True
        self._believe_cells()

    def _believe_cells(self):
        cells = self.cells_mv
        values = self.values
        values[readings.CELL_SUM_MV] = sum(cells)
        values[readings.MAX_CELL_MV] = max(cells)
        values[readings.MIN_CELL_MV] = min(cells)
        values[readings.CELL_DIFF_MV] = max(cells) - min(cells)

    def doubt_cells(self):
        """The newest scan's cells are not to be believed: a sense wire seems open."""
        self.doubts |= readings.WIRE_OPEN
        values = self.values
        values[readings.MAX_CELL_MV] = values[readings.MIN_CELL_MV] = NO_READING
        values[readings.CELL_DIFF_MV] = values[readings.CELL_SUM_MV] = NO_READING

    def open_wire(self):
        """Number of the sense wire that seems open: 0 below the lowest cell, each other one above
        the cell of the number before it."""
        cells = self.cells_mv
        count = len(cells)
        average = 0
        lowest = 0
        for i in range(count):
            average += cells[i]
            if cells[i] < cells[lowest]:
                lowest = i
        average //= count
        wire = 0 if lowest < count // 2 else count      # an end: its cell alone has sunk
        most_mv = self._wire_mv - 1
        before = 0
        for i in range(count):                          # between two cells: as decode_scan() says
            off = cells[i] - average
            other = before if off < 0 else -before
            size = abs(off)
            both = min(size, other)
            if both > most_mv and size <= 3 * other and other <= 3 * size:
                most_mv = both
                wire = i
            before = off
        return wire

    def fail(self):
        """A scan gave no complete set of values: nothing is taken over."""
        self.failed_row += 1
        self.failed_all += 1

    def age_ms(self, now_ms):
        """Age of the newest scan; 2**29 if there has been none."""
        return (now_ms - self._at_ms) & MASK if self.seq else 1 << 29

    def is_usable(self, now_ms):
        """True while the newest scan may be used for anything."""
        return (self.seq > 0 and not self.frozen and self.failed_row <= USABLE_SCANS
                and self.age_ms(now_ms) <= self._usable_ms)


def _calibration(params, cells):
    """(slot of the calibration, row of its parameter) of all gains, and of all offsets; looked
    up once, because a change of any parameter is taken over within a scan."""
    gains = [(readings.CAL_CURRENT_GAIN, "cal_current_gain_ppm"),
             (readings.CAL_STACK_GAIN, "cal_stack_gain_ppm"),
             (readings.CAL_PACK_GAIN, "cal_pack_gain_ppm"),
             (readings.CAL_LD_GAIN, "cal_ld_gain_ppm")]
    offsets = [(readings.CAL_CURRENT_OFFSET, "cal_current_offset_ma"),
               (readings.CAL_STACK_OFFSET, "cal_stack_offset_mv"),
               (readings.CAL_PACK_OFFSET, "cal_pack_offset_mv"),
               (readings.CAL_LD_OFFSET, "cal_ld_offset_mv")]
    for i in range(cells):
        gains.append((readings.CAL_CELL_GAIN + i, "cal_cell%d_gain_ppm" % i))
        offsets.append((readings.CAL_CELL_OFFSET + i, "cal_cell%d_offset_mv" % i))
    for i in range(6):
        offsets.append((readings.CAL_TEMP_OFFSET + i, "cal_temp%d_offset_dc" % i))
    return [array("H", (x for slot, name in pairs for x in (slot, params.row_of(name))))
            for pairs in (gains, offsets)]


@micropython.native
def share(ppm):
    """Parts per million as 32768ths, rounded to nearest."""
    return (ppm * 32768 + 500_000) // 1_000_000
