"""The current, borne out by cells and terminals or contradicted by them (MEA-07).

Scans are summed to blocks of 8. A current that changes moves all cells the same way at once, by
their resistance, and the drop over shunt, FETs and leads between stack and terminals. Both are
compared with what the sensor shows:

  ALONE     the current changed, the cells did not: it jumped by itself
  AGAINST   the cells moved the wrong way
  DEAD      the cells moved, the current did not
  UNBORNE   a steady current without its drop at the terminals
  GAIN      cells and terminals together move too much, or too little, for the current

Only steady blocks are compared, cells without their highest and lowest one, and less what the
cells drifted before. What is found is a suspicion first. It becomes a fault when the terminals
do not speak against it, and when the AFE's integrator moved what the scans showed: a current that
pulses in step with the scans looks steady and is not.
"""

import micropython
from array import array

from bms.words import ocv
from bms.measure.life import Life
from bms.measure.witness_table import SAME_CURRENT
from bms.measure.odd_sum import OddSum
from bms.measure.unrest import Unrest
from bms.words.rules import BOTH, CHARGE, DISCHARGE, FAULT_CURRENT, FAULT_SIGN
from bms.words.readings import (
    CELL_SUM_MV,
    CURRENT_MA,
    MAX_CELL_MV,
    MAX_TEMP_DC,
    MIN_CELL_MV,
    MIN_TEMP_DC,
    MOS_DC,
    NO_READING,
    PACK_MV,
    STACK_MV,
)
from bound import bind
from micropython import const

_SCANS = const(8)           # of a block
_ROW = const(7)             # numbers kept of a steady block
_NO_DROP = const(1 << 28)
_ZERO_MV = const(120)       # the zero of the drop is no more, once the terminals are learnt
_BASE_MV = const(60)        # ... and the change for which one block is enough
_SLOW_MS = const(300)       # scans further apart make no block
NOTHING, ALONE, AGAINST, DEAD, UNBORNE, GAIN = range(6)

_STEADY_MA = const(600)     # the current of a steady block lies within this and a sixteenth
_STEADY_MV = const(24)      # its cells within this and 0.5 mV an ampere
_STEP_MA = const(2_500)     # a step of the current that cells have to answer
_SIGN_MA = const(900)       # one that proves the sign, or shows it to be wrong
_DEAD_UOHM = const(60)      # of a cell, and less than an eighth of a good one's: no answer
_SURE = const(60)           # 1/112 mV of a cell: far beyond the noise of a step
_CALM = const(3)            # steady blocks that are calm
_MOVED_UV = const(2_000)    # of a cell in a block: less may be noise
_NOISE = const(1_000_000)   # resistance times step of which half is beyond the noise
_NEAR = const(3)            # blocks between two sides whose drift is not known
_EVEN_MA = const(150)       # a current that changes by less until the step stands still
_DRIFT = const(24)          # 1/112 mV of a cell in a block: less is noise
_FAR = const(100_000)       # no step moves cells by more
_QUIET_MA = const(4_000)    # a dead sensor shows less, or stands still
_MOST = const(30)           # times the resistance of a good cell of this capacity
_LARGE_MA = const(20_000)   # ... and of this one block is enough to be suspected
_OFF_MA = const(3_000)      # what a shown current may be off
_DIODE_MV = const(300)      # a body diode drops more
_NO_PATH_MV = const(1500)
_OLDEST = const(12)         # blocks between the two sides of a step
_LONG_AGO = const(60)
_PULSE_BLOCKS = const(8)    # cells that toss beside a current that does not tell of its pulses
_JUMP_DC = const(40)        # temperatures do not change by that in a second
_REST_MA = const(1_000)     # of the shown current: the drop is its zero
_ZERO_MOST = const(256)     # blocks that the zero of the drop is a mean of
_LONG = const(24)           # blocks of one current after which its drop is known well ...
_LONG_MOST = const(40)      # ... and how unsure it may be, at most, for want of a fresh zero
_LONG_MA = const(1_000)     # least error of the current that it tells
_WARM_DC = const(250)       # FETs and leads drop 0.4 % a K more, or less
_LONGEST = const(75)        # blocks that a suspicion lasts
_NOISE_D = const(13_000)    # square of 3 deviations of a block's drop, in 1/8 mV
_LATE = const(40)           # blocks after which cells and stack are enough
_VOTES = const(2)           # ... if it happens again
_WINDOW = const(128)        # blocks that a steady drop is summed over
_STILL_VISITS = const(3)    # of stack or terminals, where cells bear the current out
_SYNC_MS = const(600)       # shortest time between two counts of the integrator
_FAULTS = FAULT_CURRENT | FAULT_SIGN
_ZERO_MS = const(60_000)    # the way back: about 0 for this time with both FETs open ...
_ZERO_MA = const(1_000)
_TRIES = const(2)           # ... so often ...
_TRIES_MS = const(3_600_000)    # ... in such a time


def _root(n):
    """Whole part of the square root, for small numbers."""
    x = n
    y = (x + 1) // 2
    while y < x:
        x = y
        y = (x + n // x) // 2
    return x


class Witness:
    """Steps with each fresh scan.

    wants_charge        the integrator's count is wanted, twice
    suspects            the shown current is suspected, and no fault yet
    offset_suspected    cells or terminals contradict it: a fault
    soon                about to be one
    proven              the sign of the current was borne out since the start
    life                Life
    """

    def __init__(self, cells):
        self.life = Life(cells)
        self.wants_charge = False
        self.offset_suspected = False
        self.suspects = False
        self.soon = False
        self.proven = False
        self._odd_sum = OddSum()
        self._cells = cells
        self._inner = max(1, cells - 2)
        self._path_uohm = self._cell_uohm = 1
        self._zero_ms = 0           # of the way back
        self._tries = 0
        self._tries_ms = 0
        # the block that is being summed
        self._n = 0
        self._i = self._t = self._a = self._s = self._d = 0
        self._i_low = self._i_high = self._t_low = self._t_high = 0
        self._fets = -1             # FETs that are closed all the time, -1: they changed
        # the last blocks: number, current mA, cells, stack (sums of 8), charge since the one
        # before, polarising current, drop to the terminals (sum of 8)
        self._number = 0
        self._ring = array("i", (0 for _ in range(3 * _ROW)))
        self._unrest = Unrest()
        self._held = 0              # steady blocks in the ring
        # cells and stack that stand still
        self._calm = 0
        self._i_still = 0           # blocks in which the current showed one value
        self._calm_t = self._calm_s = self._level_t = self._level_s = 0
        self._level_at = 0
        self._cold_dc = self._hot_dc = 0
        # the drop to the terminals, both FETs closed: sums of 8 scans
        self._zero_at = 0                   # block
        self._zero = self._zero_n = 0       # zero in sixteenths, blocks that it is the mean of
        self._sum_i = self._sum_d = self._sum_n = 0
        self._window_fets = -1
        self._changes = 0           # of Measurements.level_changes
        self._mean_ma = self._mean_d = 0
        # what was learnt, at 25 degC
        self._ref_uohm = self._ref_path_uohm = 0
        # of the newest step, 0: none; its size, and the current after it
        self._step_uohm = self._step_ma = 0
        self._step_end_ma = 0
        # a suspicion
        self._kind = NOTHING
        self._since = 0
        self._votes = 0             # suspicions that lasted without the terminals' word
        self._base_i = self._base_t = self._base_s = 0
        self._event_i = self._event_t = 0
        self._raw = -1              # raw count of the current, its low byte
        self._raw_same = 0          # looks at which it was the same
        self._raw_moves = False     # it is noise, on this board
        self._sync = -1             # counts of the integrator: -1 none | 0 one | 1 borne out
        bind(self, "step", "_block")

    def load(self, params):
        self._path_uohm = params["path_uohm"]
        self._cell_uohm = max(5, params["cell_uohm"] * 9 // 20)
        self._ref_uohm = self._ref_path_uohm = 0

    # -- each scan -------------------------------------------------------------------------

    @micropython.native
    def step(self, measured, actual, bled, faults):
        """Look at the newest scan.

        actual   FETs that are closed; bled: the cells' readings are kept ones
        faults   Faults
        """
        values = measured.values
        self.life.visit(values, measured.cells_mv, actual == BOTH, bled, faults)
        self.offset_suspected = faults.faults & _FAULTS != 0
        if self.offset_suspected:
            self._way_back(values, actual, measured.dt_ms, faults)
        high_mv = values[MAX_CELL_MV]
        if high_mv == NO_READING or measured.dt_ms > _SLOW_MS:
            self._n = 0
            if high_mv != NO_READING:
                self._held = 0
            self._unrest.miss(values[CURRENT_MA])
            return
        current_ma = values[CURRENT_MA]
        all_mv = values[CELL_SUM_MV]
        t_mv = all_mv - high_mv - values[MIN_CELL_MV]
        n = self._n
        if not n:
            self._i = self._t = self._a = self._s = self._d = 0
            self._i_low = self._i_high = current_ma
            self._t_low = self._t_high = t_mv
            self._fets = actual
        else:
            if current_ma < self._i_low:
                self._i_low = current_ma
            elif current_ma > self._i_high:
                self._i_high = current_ma
            if t_mv < self._t_low:
                self._t_low = t_mv
            elif t_mv > self._t_high:
                self._t_high = t_mv
            if actual != self._fets:
                self._fets = -1
        self._i += current_ma
        self._t += t_mv
        self._a += all_mv
        stack_mv = values[STACK_MV]
        self._s += stack_mv
        self._d += values[PACK_MV] - stack_mv
        self._n = n + 1
        if n + 1 >= _SCANS:
            self._n = 0
            self._number += 1
            self._block(measured, bled, faults)

    def _way_back(self, values, actual, dt_ms, faults):
        """After a fault: near 0 for a minute with both FETs open, and it may be tried again."""
        self._tries_ms += dt_ms
        if self._tries_ms >= _TRIES_MS:
            self._tries_ms = 0
            self._tries = max(0, self._tries - 1)
        if actual or abs(values[CURRENT_MA]) > _ZERO_MA or self._raw_same > 1:
            self._zero_ms = 0
            return
        self._zero_ms += dt_ms
        if self._zero_ms >= _ZERO_MS and self._tries < _TRIES:
            self._tries += 1
            self._forgive(faults)

    def look_at_counts(self, counts, part, faults):
        """Low bytes of raw counts: thermistors, and the current as part 2."""
        if part < 2:
            self.life.look_at_counts(counts, part, faults)
            return
        if counts[6] != self._raw:
            self._raw_moves = self._raw >= 0
            self._raw = counts[6]
            self._raw_same = 0
            return
        if self._raw_same < SAME_CURRENT:
            self._raw_same += 1
        if self._raw_same == SAME_CURRENT and self._raw_moves and not self.offset_suspected:
            self._kind = DEAD
            self._accuse(DEAD, self._i // (self._n or 1), faults)

    def clear(self, faults):
        """Host command: what is wrong comes back."""
        self._raw_same = 0
        self._tries = self._votes = 0
        self._forgive(faults)
        self.life.clear(faults)

    def _forgive(self, faults):
        self.offset_suspected = False
        self._zero_ms = 0
        self._drop()
        faults.set_fault(FAULT_CURRENT, False)
        faults.set_fault(FAULT_SIGN, False)

    # -- each block ------------------------------------------------------------------------

    @micropython.native
    def _block(self, measured, bled, faults):
        values = measured.values
        i_ma = self._i // _SCANS
        t = self._t
        s = self._s
        size_ma = abs(i_ma)
        self._unrest.step(self._i, _SCANS)
        steady = (self._is_even(size_ma)
                  and self._t_high - self._t_low <= _STEADY_MV + (size_ma >> 11))
        self._i_still = self._i_still + 1 if self._i_low == self._i_high else 0
        if not steady and not self._i_still and self._is_even(size_ma):
            self._unrest.pulses = _PULSE_BLOCKS
        elif self._unrest.pulses:
            self._unrest.pulses -= 1
        self.life.warm((size_ma // 1000) * (size_ma // 1000))
        self._see_calm(t, s, steady and not bled)
        if (abs(values[MIN_TEMP_DC] - self._cold_dc) > _JUMP_DC
                or abs(values[MAX_TEMP_DC] - self._hot_dc) > _JUMP_DC):
            self._held = 0
        self._cold_dc = values[MIN_TEMP_DC]
        self._hot_dc = values[MAX_TEMP_DC]
        fets = self._fets
        self._sum_drop(i_ma, fets, steady, measured.level_changes)
        if bled:
            self._held = 0
        elif steady:
            if measured.stack_sure and not measured.doubts:
                self._odd_sum.step(self._a, s, size_ma, ocv.resistance_percent(
                    values[MIN_TEMP_DC]), measured)
            self._compare(i_ma, t, s, values)
        if self._kind:
            self._follow(i_ma, t, steady and not bled, values, measured.terminals_known, faults)
        elif (steady and size_ma >= _SIGN_MA and not self.offset_suspected
              and not self._unrest.pulses
              and self._sum_n >= (1 if size_ma >= _LARGE_MA else 2)):
            self._look_at_drop(i_ma, values)

    def _is_even(self, size_ma):
        """The shown current did not change within the block."""
        return self._i_high - self._i_low <= _STEADY_MA + (size_ma >> 4)

    @micropython.native
    def _see_calm(self, t, s, steady):
        """Tell the proof of life how far all cells moved from one calm level to the next.

        Calm is what stands still for some blocks: pulses in step with a channel's visits move
        nothing. The stack alone is a witness of cells of which not one moves.
        """
        calm = steady and abs(t - self._calm_t) * 125 < _MOVED_UV * self._inner and (
            abs(s - self._calm_s) * 125 < 2 * _MOVED_UV * self._cells)
        self._calm_t = t
        self._calm_s = s
        self._calm = self._calm + 1 if calm else 0
        if self._calm < _CALM:
            return
        since = self._number - self._level_at
        moved_uv = (t - self._level_t) * 125 // self._inner
        alone_uv = (s - self._a - self._level_s) * 125 // self._cells
        self._level_t = t
        self._level_s = s - self._a
        self._level_at = self._number
        if since > _LONG_AGO:
            return
        if abs(moved_uv) >= _MOVED_UV:
            self.life.moved(moved_uv, since)
        elif abs(alone_uv) >= _MOVED_UV and self.life.all_still():
            self.life.moved(alone_uv, since)

    @micropython.native
    def _sum_drop(self, i_ma, fets, steady, changes):
        """The drop to the terminals: its zero at rest, its mean while the current stays."""
        if changes != self._changes:        # another correction of the two readings
            self._changes = changes
            self._zero_n = self._sum_n = self._zero = 0
            return
        if fets != self._window_fets or fets < 0:
            self._sum_n = 0
            self._window_fets = fets
            return                          # the terminals' reading may be of before
        n = self._sum_n
        size_ma = abs(i_ma)
        if n and abs(i_ma - self._sum_i // n) > 1000 + (size_ma >> 3):
            n = self._sum_n = 0             # a step: this block is half of before
            self._sum_i = self._sum_d = 0
            return
        if not steady:                      # the two are not read at one time
            self._sum_n = 0
            return
        if n and abs(self._d - self._sum_d // n) > _SCANS * 25 + (
                self._path_uohm * (size_ma // 10) // 50_000):       # a quarter of what is due
            n = 0                           # another drop at the same current: one of them is old
        if not n:
            self._sum_i = self._sum_d = 0
        elif n >= _WINDOW:
            n //= 2
            self._sum_i //= 2
            self._sum_d //= 2
        self._sum_i += i_ma
        self._sum_d += self._d
        self._sum_n = n + 1
        if fets == BOTH and self._calm and n and abs(i_ma) < _REST_MA and not self._kind:
            error = self._d * 16 - self._zero
            if abs(error) <= 16 * _SCANS * (25 if self._zero_n else _ZERO_MV):
                if self._zero_n < _ZERO_MOST:
                    self._zero_n += 1
                self._zero += error // self._zero_n
                self._zero_at = self._number

    def _mean_drop(self):
        """The window's mean current into _mean_ma, its drop beyond the zero into _mean_d (1/8 mV).

        returns  how unsure the drop is; 0: nothing is known
        """
        n = self._sum_n
        if (n < 1 or self._fets != BOTH or self._window_fets != BOTH or not self._zero_n
                or not self.life.drop_lives()):
            return 0
        self._mean_ma = self._sum_i // n
        self._mean_d = self._sum_d // n - self._zero // 16
        return (4 + _root(_NOISE_D // n + _NOISE_D // self._zero_n)
                + min(_LONG_MOST, self._number - self._zero_at >> 5))

    @micropython.native
    def _compare(self, i_ma, t, s, values):
        """A steady block beside the one before the last, less what the cells drifted before."""
        ring = self._ring
        held = self._held
        number = self._number
        unrest = self._unrest
        if held >= 2 and not self._kind:
            # rows of the ring: newest first
            age = number - ring[_ROW]
            if age > _OLDEST:
                held = 0
            else:
                before_ma = ring[_ROW + 1]
                step_ma = i_ma - before_ma
                even_ma = max(_EVEN_MA, abs(step_ma) >> 3)
                gap = ring[_ROW] - ring[2 * _ROW] if held > 2 else _OLDEST
                slope = slope_s = 0
                # nothing else flowed between the two before, either
                known = (gap <= 3 and abs(before_ma - ring[2 * _ROW + 1]) * age // gap <= even_ma
                         and abs(ring[_ROW + 4] - before_ma * gap) * age // gap <= even_ma)
                if known:
                    slope = (ring[_ROW + 2] - ring[2 * _ROW + 2]) * age // gap
                    slope_s = (ring[_ROW + 3] - ring[2 * _ROW + 3]) * age // gap
                    if abs(slope) < _DRIFT * age:
                        slope = slope_s = 0         # noise
                if self._judge(step_ma, t - ring[_ROW + 2] - slope, s - ring[_ROW + 3] - slope_s,
                               known, age, i_ma, values, abs(slope)):
                    self._event_i = i_ma
                    self._event_t = t
                    self._base_i, self._base_t, self._base_s = before_ma, ring[_ROW + 2], (
                        ring[_ROW + 3])
                    held = 0
                    self._take_zero(before_ma, ring[_ROW + 6])
        for k in range(3 * _ROW - 1, _ROW - 1, -1):
            ring[k] = ring[k - _ROW]
        ring[0] = number
        ring[1] = i_ma
        ring[2] = t
        ring[3] = s
        ring[4] = unrest.charge
        ring[5] = unrest.slow_ma
        ring[6] = (self._d if self._window_fets == BOTH and abs(self._d) <= _SCANS * _BASE_MV
                   else _NO_DROP)
        unrest.mark()
        self._held = held + 1 if held < 3 else 3

    def _take_zero(self, before_ma, drop):
        """Not known yet, at a suspicion: the drop before it, if next to nothing flowed then."""
        if not self._zero_n and drop != _NO_DROP and abs(before_ma) < _REST_MA:
            self._zero = 16 * drop
            self._zero_n = 1

    @micropython.native
    def _judge(self, step_ma, moved, moved_s, known, age, i_ma, values, drift):
        """True if a step of the current and what the cells did contradict each other.

        moved, moved_s   cells, stack: sums of 8 scans, less the drift of before; what is no larger
                         than that may be a drift that has changed
        """
        size_ma = abs(step_ma)
        # what flowed since the older block, and how far polarisation followed it
        charge = self._ring[4] + self._unrest.charge
        follows_ma = self._unrest.slow_ma - self._ring[_ROW + 5]
        if step_ma < 0:
            moved = -moved
            moved_s = -moved_s
        moved = max(-_FAR, min(_FAR, moved))
        share = ocv.resistance_percent(values[MIN_TEMP_DC])
        good_uohm = self._cell_uohm * share // 100
        dead_uohm = min(_DEAD_UOHM, good_uohm >> 3)
        if size_ma >= _SIGN_MA and (known or size_ma >= 10_000) and not self._pull_back(
                step_ma, charge - (i_ma - step_ma) * age if known else charge, follows_ma):
            uohm = moved * (125_000 // self._inner) // size_ma
            if moved <= -_SURE - drift and uohm <= -(good_uohm >> 1) and moved_s <= 0:
                return self._suspect(AGAINST)
            if moved >= _SURE and uohm > dead_uohm:
                self._bear_out(uohm, size_ma, i_ma)
                return False
            due = good_uohm * (size_ma // 100) // 357       # a quarter of what it should move
            if (size_ma >= _STEP_MA and uohm <= dead_uohm and drift <= max(_SURE, due)
                    and good_uohm >= _NOISE // size_ma):
                return self._suspect(ALONE)
        if size_ma >= _STEP_MA or not known and age > _NEAR:
            return False
        still = self._i_still > 0           # _follow() sees whether it stays so
        moved = abs(moved)
        if moved > 4 * _SURE:
            self._sum_n = 0             # what the drop was before is over
        # the most that cells move for so little current, and that a curve bends
        allowed = (good_uohm * _MOST // 90 * (size_ma + abs(follows_ma) // 3 + 30) // 100
                   + (abs(charge) // 10 if not still else 0)
                   + drift + (2 * _SURE if known else 10 * _SURE))
        if moved <= allowed or abs(moved_s) * 2 < moved:
            return False
        if abs(i_ma) > _QUIET_MA and not still:
            return False
        return self._suspect(DEAD)

    def _pull_back(self, step_ma, charge, follows_ma):
        """True if what flowed meanwhile may have moved the cells against the step.

        charge   beyond that of the drift which is known
        """
        if step_ma > 0:
            charge = -charge
            follows_ma = -follows_ma
        return max(0, charge) // 3 + max(0, follows_ma) > abs(step_ma) >> 2

    def _bear_out(self, uohm, size_ma, i_ma):
        """The cells answered a step: the sign is right; keep how much they did."""
        self.proven = True
        self._step_ma = size_ma
        self._votes = 0
        self._step_uohm = uohm
        self._step_end_ma = i_ma

    @micropython.native
    def _look_at_drop(self, i_ma, values):
        """A steady current beside its drop at the terminals."""
        unsure = self._mean_drop()
        if not unsure:
            return
        mean_ma = self._mean_ma
        drop = -self._mean_d if mean_ma < 0 else self._mean_d
        size_ma = abs(mean_ma)
        given = self._ref_path_uohm or self._path_uohm
        due = given * (size_ma // 10) // 12_500
        share = ocv.resistance_percent(values[MIN_TEMP_DC])
        cells = (self._ref_uohm or self._cell_uohm) * share // 100
        found = self._step_uohm
        if abs(i_ma - self._step_end_ma) > 1000 + (size_ma >> 2):
            found = 0
        if drop + unsure < -due // 3 and not found and size_ma >= _OFF_MA:
            self._event(AGAINST, i_ma)
        elif drop + unsure < due // 3 and size_ma >= _OFF_MA:
            self._event(UNBORNE, i_ma)
        elif drop + unsure < due * 2 // 3 and (
                found < cells * 2 // 3 if found else size_ma >= _OFF_MA):
            self._event(GAIN if found else UNBORNE, i_ma)
        elif drop - unsure > due * 19 // 10 and found > cells * 3 // 2:
            self._event(GAIN, i_ma)
        elif found and self._is_odd_for_long(drop, due, unsure, values[MOS_DC]) and (
                found * 5 > cells * 6 if drop > due else found * 2 < cells * 3):
            self._event(GAIN, i_ma)
        elif self._sum_n >= 8 and size_ma >= 15_000 and abs(drop - due) < due // 3:
            self._learn(drop * 125_000 // size_ma, found * 100 // share)

    def _is_odd_for_long(self, drop, due, unsure, mos_dc):
        """True if the drop of a current that stayed is not what FETs and leads may drop.

        Their resistance may be 20 % more or less than given, and 0.4 % a K more when they are
        hot, or less when they are cold.
        """
        if self._sum_n < _LONG or abs(drop - due) - unsure < self._path_uohm * (
                _LONG_MA // 10) // 12_500:
            return False
        warmer_dc = 0 if mos_dc == NO_READING else mos_dc - _WARM_DC
        if drop > due:
            return drop - unsure > due * (13_000 + 5 * max(0, warmer_dc)) // 10_000
        return drop + unsure < due * (7_500 + 3 * min(0, warmer_dc)) // 10_000

    def _learn(self, path_uohm, cell_uohm):
        """The two agree about a large current: they are this board's, and these cells'."""
        if self._ref_path_uohm:
            path_uohm = self._ref_path_uohm + (path_uohm - self._ref_path_uohm) // 8
        self._ref_path_uohm = path_uohm
        if cell_uohm > self._cell_uohm // 3:
            if self._ref_uohm:
                cell_uohm = self._ref_uohm + (cell_uohm - self._ref_uohm) // 8
            self._ref_uohm = cell_uohm

    def _event(self, kind, i_ma):
        self._event_i = i_ma
        self._suspect(kind)

    # -- a suspicion -----------------------------------------------------------------------

    def _suspect(self, kind):
        if self.offset_suspected:
            return False                # it is a fault already
        self._kind = kind
        self._since = self._number
        self._sync = -1
        if kind != GAIN or self._sum_n < _LONG:
            self._sum_n = 0             # it has to be seen again
        self.wants_charge = self.suspects = True
        return True

    def _drop(self):
        self._kind = NOTHING
        self.wants_charge = self.suspects = self.soon = False
        self._sync = -1
        self._step_uohm = 0

    def counted(self, moved_uah, dt_ms):
        """What the AFE's integrator moved in *dt_ms*; None: it was lost."""
        if not self._kind or moved_uah is None:
            self._sync = -1
            return
        if self._sync < 0:
            self._sync = 0
            self.soon = True
            return
        if dt_ms < _SYNC_MS:
            return
        mean_ma = moved_uah * 36 // (dt_ms // 100)
        if abs(mean_ma - self._event_i) <= 1500 + (abs(self._event_i) >> 2):
            self._sync = 1
            self.wants_charge = False
        elif self._i_still < _CALM:
            self._drop()                # the scans did not show what flowed
        else:
            self._sync = 1

    @micropython.native
    def _follow(self, i_ma, t, steady, values, known, faults):
        """What the blocks after it say; a suspicion that stands is a fault."""
        kind = self._kind
        event_ma = self._event_i
        age = self._number - self._since
        if abs(i_ma - event_ma) > 1500 + (abs(event_ma) >> 2) or age > _LONGEST:
            self._drop()
            return
        if kind >= UNBORNE and not steady:
            self._drop()
            return
        if kind == DEAD and abs(i_ma) > _QUIET_MA and self._i_still < _CALM:
            if age > _CALM:
                self._drop()
            return
        said = self._terminals(kind, t, known, values[MOS_DC])
        if kind == ALONE and age and self.life.all_still():
            self._drop()
            self.life.none_moves(faults)
            return
        if said > 0:                    # they bear the current out
            self._drop()
            return
        if self._sync < 1 or age < 1 or not steady:
            return
        if kind == AGAINST and age >= _LATE and said >= 0:
            self._votes += 1
            if self._votes < _VOTES:
                self._drop()
                return
        if (said < 0 or age >= _LATE and kind <= DEAD
                or age >= 2 and not self._zero_n and self._goes_on(kind, t)):
            if (kind >= UNBORNE and self._sum_n < _LONG and self._cells_agree(values)
                    and self.life.blame_for_drop(faults, _STILL_VISITS)):
                self._drop()
                return
            self._accuse(kind, i_ma, faults)

    def _cells_agree(self, values):
        """The cells answered the step to what is shown as good ones do: the drop is wrong."""
        size_ma = abs(self._event_i)
        good_uohm = (self._ref_uohm or self._cell_uohm) * ocv.resistance_percent(
            values[MIN_TEMP_DC]) // 100
        return (self._step_ma * 4 >= size_ma * 3
                and abs(self._event_i - self._step_end_ma) <= 1000 + (size_ma >> 2)
                and good_uohm * 2 < self._step_uohm * 3 and self._step_uohm * 2 < good_uohm * 3)

    def _goes_on(self, kind, t):
        """Terminals are not known: the cells alone. Their sag grows while a current flows."""
        if kind != DEAD:
            return kind == ALONE or kind == AGAINST and (
                abs(self._event_i - self._base_i) >= 10_000 or self._votes > 0)
        grown = t - self._event_t
        return abs(grown) >= _DRIFT and (grown > 0) == (self._event_t > self._base_t)

    def _terminals(self, kind, t, known, mos_dc):
        """1: the terminals bear out what is shown | -1: they contradict it, too | 0: not yet."""
        fets = self._fets
        event_ma = self._event_i
        if kind == UNBORNE or kind == GAIN:
            unsure = self._mean_drop()
            if not unsure:
                return 0
            mean_ma = self._mean_ma
            due = (self._ref_path_uohm or self._path_uohm) * (abs(mean_ma) // 10) // 12_500
            drop = -self._mean_d if mean_ma < 0 else self._mean_d
            if (drop + unsure < due * 2 // 3 or drop - unsure > due * 19 // 10
                    or kind == GAIN and self._is_odd_for_long(drop, due, unsure, mos_dc)):
                return -1
            return 1 if self._sum_n >= _WINDOW - 1 else 0
        # what flows, if the cells are right
        by_cells_ma = self._base_i
        if kind == AGAINST:
            by_cells_ma -= event_ma - self._base_i
        elif kind == DEAD:
            # the least that moves cells so far: of a resistance 20 times that of good ones
            by_cells_ma = (t - self._base_t) * 446 // self._cell_uohm * 14 // self._inner
        if fets == BOTH:
            unsure = self._mean_drop()
            if not unsure:
                return 0
            drop = self._mean_d
            path_uohm = self._ref_path_uohm or self._path_uohm
            shown = path_uohm * (event_ma // 10) // 12_500
            if kind == DEAD:
                drop -= shown
                unsure += abs(shown) >> 1
                least = path_uohm * (abs(by_cells_ma) // 10) // 12_500
                drop = -drop if by_cells_ma < 0 else drop
                if drop + unsure < least:   # far less than what would move the cells so far
                    return 1
                return -1 if drop > unsure else 0
            # beyond half way between the two
            by_cells = path_uohm * (by_cells_ma // 10) // 12_500
            beyond = drop - (shown + by_cells) // 2
            if by_cells < shown:
                beyond = -beyond
            return -1 if beyond > unsure else 1 if beyond < -unsure else 0
        if fets <= 0 or not known or self._sum_n < 1:
            return 0
        # through one open FET: a diode drop where a current flows, and nothing like it where none
        above = self._sum_d // self._sum_n // _SCANS
        flows = _DIODE_MV <= abs(above) < _NO_PATH_MV and (
            fets == CHARGE if above > 0 else fets == DISCHARGE)
        if abs(event_ma) >= _SIGN_MA:
            return 1 if flows and (above > 0) == (event_ma > 0) else -1
        return -1 if flows and (above > 0) == (by_cells_ma > 0) else 1

    def _accuse(self, kind, i_ma, faults):
        self._drop()
        self.offset_suspected = True
        self._zero_ms = 0
        turned = kind == AGAINST or kind == UNBORNE and self._votes > 0 or (    # cells said so
            kind == ALONE and abs(self._event_i + self._base_i) <= abs(self._event_i) >> 2)
        faults.set_fault(FAULT_SIGN if turned else FAULT_CURRENT, True, i_ma, 0)
