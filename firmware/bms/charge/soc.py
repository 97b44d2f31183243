"""State of charge: integer coulomb counting with a learnt offset, corrected only where an LFP cell
says something: at the end of charge, at empty, and at rest in the knees of its curve (SOC-01,
SOC-02, SOC-03).

An estimate and a bound of its error are kept. What is reported follows the estimate under the
rules of SOC-01: no steps, never against the direction of the current, 100 % only at the end of
charge, 0 % only at empty.

The bound is the root of the sum of three squares, because their causes are independent: what the
last anchor left open; what grew with time since then, from the uncertainty of the sensor's offset
and of the self-consumption, and a little from the charge put in; and what grew with the distance
from that anchor, from the uncertainty of the capacity. The sensor's gain is in the last one: its
error cancels against a capacity that was learnt through the same sensor.

Accumulators are pairs (mAh and uAh, Ah and uAh) so that all of it stays within +-2**30.
"""

import struct

from bms.charge.apart import Apart
from bms.charge.bounds import bounded, root, weight
from bms.charge.drift import Drift
from bms.charge.knees import Knee
from bms.charge.tally import Tally
from bms.words import ocv

_FULL_CPCT = 10_000
_NEVER_FULL_CPCT = 9949     # shown at most before the end of charge: 99 % however it is rounded
_NEVER_EMPTY_CPCT = 50
_MINUTE_MS = 60_000
_MOST_UAH = (1 << 29) - 1   # a step, and a minute, moves no more than this
_LONGEST_MS = 1 << 27     # a step; also where timers stop

_SOFT_FULL_U_CPCT = 200     # of one that was seen at a lower voltage, more
_SOFT_MS = 3_600_000        # time without current beside ...
_SOFT_CELL_MV = 85          # ... a charge voltage this far below the one that is asked for
_SOFT_MA = 1_000            # at 100 Ah
_EMPTY_U_CPCT = 150
_MOST_EMPTY_CPCT = 500      # what an under-voltage leaves at most
_STORED_U_CPCT = 100        # added by a restart: what was not saved, and the time off
_CAPACITY_U_CPCT = 2000     # a pack nobody knows may have aged this much
_AGEING_DAYS = 2            # in which capacity becomes 0.01 % less certain
_CAPACITY_LEAST_U_CPCT = 120
_FADE_DAYS = 18_250         # 2 % a year, until it is learnt
_SPAN_CPCT = 4000           # capacity is learnt over at least this

_BOARD_U_UA = 500           # of what the board draws

_VERSION = 3
_FORMAT_2 = "<BBhhiiiiiiiiiiiiiiiiiiiiiiii"     # of version 2; what came later is behind it
_FORMAT = _FORMAT_2 + "hhBhhBiBHi"


class StateOfCharge:
    """remaining_mah, full_mah and what follows from them.

    params, capacity_mah, cells   Parameters; rated capacity (at most 1 000 000); cells in series
    curve             ocv.Curve of the cells
    drift, tally, apart   Drift, Tally, Apart
    cpct              reported, 0.01 %
    uncertainty_cpct  what is reported is off by at most this (meant to hold 95 % of the time)
    remaining_mah     of the estimate, at room temperature
    usable_mah        what can be taken at the present temperature
    full_mah          learnt capacity; soh_pct is its share of the rated one
    offset_ua         what the sensor is believed to show at zero current
    is_set            False until start() or from_bytes()
    is_guess          nothing but what packs are shipped at is known of the charge yet
    low, high         Knee of each end: where it lies beside the curve
    contradictions    knees that excluded what was counted, and were not taken
    singles           ends of charge or discharge that a single cell made, not the string (SOC-05)
    """

    def __init__(self, params, capacity_mah, cells=16, curve=None):
        self._params = params
        self._curve = curve = curve or ocv.Curve()
        self._taken = -1
        self._cells = cells
        self.rated_mah = capacity_mah
        self.apart = Apart(capacity_mah)
        self.tally = Tally(cells)
        self.drift = Drift(params["self_use_ua"],
                           _BOARD_U_UA + curve.self_u_ua * (capacity_mah // 1000) // 100)
        self._load()
        self.low = Knee(curve.unsure_cpct)
        self.high = Knee(curve.unsure_cpct)
        self.contradictions = self.singles = 0
        self._soft_ms = 0           # leaky: no current beside a high charge voltage
        self._string_mv = 0         # sum of the cells, 0: not known
        self.full_mah = capacity_mah
        self.remaining_mah = capacity_mah // 2
        self.is_set = False
        self.is_guess = False
        self.cpct = 5000
        self.uncertainty_cpct = 5000
        self.usable_mah = self.remaining_mah
        self.at_full = False        # until 1 % has been taken out again
        self.at_empty = False       # until charged again
        self._rest_uah = 0          # of remaining_mah, 0..999
        # bound of the estimate: what the last anchor left open, and what has grown since
        self._anchor_u = 5000
        self._u_mah = 0
        self._u_uah = 0
        self._fade_uah = 0
        self._from_mah = self.remaining_mah     # the estimate at the last anchor
        self._capacity_u = _CAPACITY_U_CPCT
        self._day_min = self._days = 0
        # charge since the last anchor: what the capacity is learnt from
        self._run_mah = 0
        self._run_uah = 0
        self._run_min = 0
        self._mark_cpct = -1        # -1: no anchor yet | where it was
        self._mark_u = 0
        self._mark_again = False    # it was a knee's
        # the present minute
        self._ms = 0
        # rest, end of charge, hysteresis
        self._rest_ms = 0
        self._rest_used = False
        self._full_ms = 0
        self._swing_mah = 0         # moved lately, within +-5 % of the capacity
        self._current_ma = 0
        self._min_mv = self._max_mv = 3300
        self._temp_dc = 250
        self._saved_cpct = -1
        self._saved_min = 0

    def _load(self):
        p = self._params
        self._full_mv = p["full_cell_mv"]
        self._tail_ma = p["tail_ma"]
        self._full_hold_ms = p["full_hold_s"] * 1000
        self._ocv_rest_ms = p["ocv_rest_s"] * 1000
        self._ocv_rest_ma = p["ocv_rest_ma"]
        self._cell_uohm = p["cell_uohm"]
        self.drift.self_ua = p["self_use_ua"]
        self._loss_ppm = p["charge_loss_ppm"]
        self._soft_cell_mv = p["cvl_mv"] // self._cells - _SOFT_CELL_MV
        self.apart.load(p)
        self._save_cpct = p["soc_save_cpct"]
        self._save_min = p["soc_save_min"]
        self._taken = p.changed

    # -- what follows from it --------

    @property
    def soh_pct(self):
        """Capacity of balanced cells as a share of the rated one, at most 100."""
        return min(100, ((self.full_mah + self.apart.mah) // 10 * 100 + self.rated_mah // 20)
                   // (self.rated_mah // 10))

    @property
    def cycles(self):
        """Half the charge moved either way, in capacities."""
        return self.tally.cycles

    @property
    def charged_ah(self):
        return self.tally.charged_ah

    @property
    def discharged_ah(self):
        return self.tally.discharged_ah

    @property
    def charged_wh(self):
        return self.tally.charged_wh

    @property
    def discharged_wh(self):
        return self.tally.discharged_wh

    @property
    def offset_ua(self):
        return self.drift.offset_ua

    @property
    def drift_u_ua(self):
        """Bound of what is not known of offset and self-consumption together."""
        return self.drift.u_ua

    @property
    def zero_is_known(self):
        """The sensor's offset was looked at, now or before it was stored."""
        return self.drift.is_known

    def see_zero(self, charge_65536ths, ms):
        """Both FETs were open for *ms* at the start: see Drift."""
        return self.drift.see_zero(charge_65536ths, ms)

    def move_zero(self, ua):
        """The calibration was changed: from now on the sensor shows *ua* more at zero current."""
        self.drift.move_zero(ua)

    @property
    def self_ua(self):
        """Self-discharge and what the board draws, as learnt beside the last look at zero."""
        return self.drift.ua - self.drift.zero_ua

    @property
    def spread_ua(self):
        """By which the cells' self-discharge differs."""
        return self.apart.spread_ua

    @property
    def low_knee_cpct(self):
        return self.low.offset_cpct

    @property
    def high_knee_cpct(self):
        return self.high.offset_cpct

    @property
    def low_knee_passes(self):
        return self.low.passes

    @property
    def high_knee_passes(self):
        return self.high.passes

    @property
    def capacity_u_cpct(self):
        """Bound of full_mah, 0.01 % of it."""
        return self._capacity_u

    @property
    def dirty(self):
        """What is stored is too old: call to_bytes(), write it, then saved()."""
        return self.is_set and (self._saved_cpct < 0 or self.drift.is_news
                                or abs(self.cpct - self._saved_cpct) >= self._save_cpct
                                or self._saved_min >= self._save_min)

    # -- start and store --------

    def start(self, cell_mv, temp_dc):
        """First value without a stored state, from the lowest cell at start-up."""
        cpct, u_cpct, guessed = self._curve.guess(cell_mv)
        self._set(cpct, min(_FULL_CPCT, u_cpct + 500))
        self.is_guess = guessed
        self._temp_dc = temp_dc
        self.is_set = True
        self.cpct = max(_NEVER_EMPTY_CPCT, min(cpct, _NEVER_FULL_CPCT))
        self._publish()

    def to_bytes(self):
        """The state, for lib/slots.py."""
        flags = ((1 if self.at_full else 0) | (2 if self.at_empty else 0)
                 | (4 if self.is_guess else 0))
        low, low_u, low_passes = self.low.state()
        high, high_u, high_passes = self.high.state()
        drift, tally, apart = self.drift, self.tally, self.apart
        return struct.pack(
            _FORMAT, _VERSION, flags, self.cpct, self._mark_cpct, self.rated_mah, self.full_mah,
            self.remaining_mah, self._u_mah, self._from_mah, self._capacity_u, drift.ua,
            drift.u_ua, self._anchor_u, drift.lesson_mah, drift.lesson_min, self._run_mah,
            self._run_min, self._mark_u, self._swing_mah, tally.charged_ah, tally.charged_uah,
            tally.discharged_ah, tally.discharged_uah, tally.charged_wh, tally.discharged_wh,
            tally.cycles, tally.cycle_mah, apart.mah, low, low_u, low_passes, high, high_u,
            high_passes, apart.spread_ua, apart.learnt, self.contradictions, drift.zero_ua)

    def saved(self):
        """The state of now is stored."""
        self._saved_cpct = self.cpct
        self._saved_min = 0
        self.drift.is_news = False

    def from_bytes(self, data):
        """Take a stored state; False, and nothing is taken, if it is not one of this pack."""
        before = struct.calcsize(_FORMAT_2)     # a record of version 2 ends there
        if data is None or len(data) < before:
            return False
        got = struct.unpack(_FORMAT_2, data[:before])
        whole = struct.calcsize(_FORMAT) if got[0] == _VERSION else before
        if (len(data) != whole or not 2 <= got[0] <= _VERSION or got[4] != self.rated_mah
                or not 0 <= got[2] <= _FULL_CPCT
                or not 0 < got[5] <= 2 * self.rated_mah or not 0 <= got[6] <= got[5]
                or got[5] > 1 << 21):
            return False
        drift, tally = self.drift, self.tally
        (_, flags, self.cpct, self._mark_cpct, _, self.full_mah, self.remaining_mah, self._u_mah,
         self._from_mah, self._capacity_u, drift.ua, drift.u_ua, self._anchor_u, drift.lesson_mah,
         drift.lesson_min, self._run_mah, self._run_min, self._mark_u, self._swing_mah,
         tally.charged_ah, tally.charged_uah, tally.discharged_ah, tally.discharged_uah,
         tally.charged_wh, tally.discharged_wh, tally.cycles, tally.cycle_mah, apart_mah) = got
        if got[0] == _VERSION:
            more = struct.unpack("<" + _FORMAT[len(_FORMAT_2):], data[before:])
            self.low.recall(more[0], more[1], more[2])
            self.high.recall(more[3], more[4], more[5])
            self.apart.recall(apart_mah, more[6], more[7])
            self.contradictions, drift.zero_ua = more[8], more[9]
        else:
            self.apart.recall(apart_mah, 0, 0)
            drift.zero_ua = drift.offset_ua
        self.at_full = flags & 1 != 0
        self.at_empty = flags & 2 != 0
        self.is_guess = flags & 4 != 0
        self._u_mah = min(self._u_mah + self._of_full(_STORED_U_CPCT), self.full_mah)
        self._mark_cpct = -1        # what was moved after the last save is not in these two
        drift.lesson_min = -1
        self.is_set = True
        self.saved()
        self._publish()
        return True

    def see(self, max_cell_mv, min_cell_mv, temp_dc, string_mv):
        """Trusted readings after a start, before the first step(): a single cell is to be known
        as one (SOC-05)."""
        self._max_mv = max_cell_mv
        self._min_mv = min_cell_mv
        self._temp_dc = temp_dc
        self._string_mv = string_mv

    # -- counting --------

    def step(self, charge_uah, dt_ms, current_ma, max_cell_mv, min_cell_mv, temp_dc, fets_open,
             string_mv=0):
        """Advance by *dt_ms* (some seconds; hours after a sleep).

        charge_uah  what the AFE's integrator moved since the last call, charging positive; None
                    if it was lost: then *current_ma* counts, for at most 250 s
        min_cell_mv, max_cell_mv, temp_dc   trusted readings, of the coldest cell; pass the last
                    ones, and current_ma = 0, where there are none
        fets_open   both FETs were read back open since the last call: no current flows
        string_mv   sum of all cells; 0: not known, the cells count as alike
        """
        if charge_uah is None:
            dt_ms = min(dt_ms, 250_000)
            charge_uah = current_ma // 3600 * dt_ms + current_ma % 3600 * dt_ms // 3600
        elif charge_uah > _MOST_UAH:
            charge_uah = _MOST_UAH
        elif charge_uah < -_MOST_UAH:
            charge_uah = -_MOST_UAH
        if dt_ms > _LONGEST_MS:
            dt_ms = _LONGEST_MS
        self._current_ma = current_ma
        self._min_mv = min_cell_mv
        self._max_mv = max_cell_mv
        self._string_mv = string_mv
        self._temp_dc = temp_dc
        self.tally.collect(charge_uah)
        rest = self._rest_uah + charge_uah
        if 0 <= rest < 1000:
            self._rest_uah = rest
        else:
            self._move(rest)
        self.drift.look(charge_uah, dt_ms, current_ma, fets_open)
        if -self._ocv_rest_ma <= current_ma <= self._ocv_rest_ma:
            if self._rest_ms < _LONGEST_MS:
                self._rest_ms += dt_ms
        else:
            self._rest_ms = 0
            self._rest_used = False
        if 0 < current_ma <= self._tail_ma and max_cell_mv >= self._full_mv:
            self._full_ms += dt_ms
            if self._full_ms >= self._full_hold_ms:
                self._full_ms = 0
                self.anchor_full()
        else:
            self._full_ms = 0
        if not self.at_full and (min_cell_mv + max_cell_mv >= 2 * self._soft_cell_mv
                                 or self._soft_ms):
            self._look_at_soft_full(dt_ms)
        self.apart.look(max_cell_mv, min_cell_mv, current_ma)
        self._ms += dt_ms
        if self._ms >= _MINUTE_MS:
            self._minute()
        self._report(charge_uah, dt_ms)

    def _move(self, rest_uah):
        """The estimate becomes remaining_mah + *rest_uah*, within its limits."""
        mah = self.remaining_mah + rest_uah // 1000
        rest_uah %= 1000
        if mah < 0:
            mah = rest_uah = 0
        elif mah >= self.full_mah:
            mah = self.full_mah
            rest_uah = 0
        self.remaining_mah = mah
        self._rest_uah = rest_uah

    def _report(self, charge_uah, dt_ms):
        """Let what is reported follow the estimate, by the rules of SOC-01."""
        full = self.full_mah
        cpct = self.remaining_mah * 100 // (full // 100)
        if cpct <= 9900:
            self.at_full = False
            if cpct < _NEVER_EMPTY_CPCT:
                cpct = _NEVER_EMPTY_CPCT
        elif not self.at_full:
            if cpct > _NEVER_FULL_CPCT:
                cpct = _NEVER_FULL_CPCT
        elif cpct > _FULL_CPCT:
            cpct = _FULL_CPCT
        move = cpct - self.cpct
        flow = charge_uah - self.offset_ua // 1000 * (dt_ms // 1000) * 10 // 36
        if flow > dt_ms // 36:              # more than 100 mA
            self.at_empty = False
            if move <= 0:
                return
        elif flow < -(dt_ms // 36):
            if move >= 0:
                return
        if self.at_empty or not move:
            return
        most = max(dt_ms // 600, abs(charge_uah) // (full // 10))    # 1 % a minute, or as counted
        if move > most:
            move = most
        elif move < -most:
            move = -most
        self.cpct += move

    def _minute(self):
        """Offset, losses and counters of the time since the last call; age the bounds."""
        if self._taken != self._params.changed:
            self._load()
        minutes = self._ms // _MINUTE_MS
        self._ms -= minutes * _MINUTE_MS
        drift = self.drift
        in_uah = self.tally.in_uah
        out_uah = self.tally.out_uah
        unseen = in_uah // 1000 * self._loss_ppm // 1000 + drift.uah(minutes)
        self._move(self._rest_uah - unseen)
        moved = in_uah - out_uah - unseen
        self._run_uah += moved
        if not 0 <= self._run_uah < 1000:
            self._run_mah = bounded(self._run_mah + self._run_uah // 1000)
            self._run_uah %= 1000
        self._run_min = min(self._run_min + minutes, _LONGEST_MS)
        drift.count(moved, minutes)
        edge = self.full_mah // 20
        self._swing_mah = max(-edge, min(edge, self._swing_mah + moved // 1000))
        self.tally.end_minute(drift.offset_ua * minutes // 60, self._min_mv + self._max_mv,
                              self.full_mah)
        self._u_uah += (drift.u_ua * minutes // 60
                        + in_uah // 1000 * self._curve.loss_u_ppm // 1000)
        if self._u_uah >= 1000:
            self._u_mah = min(self._u_mah + self._u_uah // 1000, self.full_mah)
            self._u_uah %= 1000
        self._drift_apart(minutes)
        self._day_min += minutes
        while self._day_min >= 1440:
            self._day_min -= 1440
            self._fade()
            self._days += 1
            if self._days >= _AGEING_DAYS:
                self._days = 0
                self._capacity_u = min(self._capacity_u + 1, _CAPACITY_U_CPCT)
            drift.age()
        if self._saved_min < 1 << 20:
            self._saved_min += minutes
        if self._rest_ms >= self._ocv_rest_ms and not self._rest_used:
            self._rest_used = True
            self._look_at_rest()
        self._publish()

    def _drift_apart(self, minutes):
        """The string holds less the longer its cells were not balanced, and the more again."""
        mah = self.apart.step(minutes)
        if mah:
            if self.at_full and self.remaining_mah == self.full_mah:
                self.remaining_mah -= mah
            self.full_mah -= mah

    def _fade(self):
        """A day of ageing as it is expected; the state of charge stays as it is."""
        self._fade_uah += self.full_mah * 100 // (_FADE_DAYS // 10)
        mah = self._fade_uah // 1000
        self._fade_uah -= 1000 * mah
        self.full_mah -= mah
        if self.at_full and self.remaining_mah > self.full_mah:
            self.remaining_mah = self.full_mah

    def _of_full(self, cpct):
        return self.full_mah // 100 * cpct // 100

    def _estimate_cpct(self):
        return min(_FULL_CPCT, self.remaining_mah * 100 // (self.full_mah // 100))

    def _bound_cpct(self):
        """Of the estimate."""
        per = self.full_mah // 100
        apart = self.apart
        unsure = self._capacity_u + apart.mah * (60 if apart.learnt < 2 else 45) // per
        away = abs(self.remaining_mah - self._from_mah) * 100 // per * unsure // 10_000
        grown = min(_FULL_CPCT, self._u_mah * 100 // per)
        grown -= grown >> 2     # each is a limit; three quarters hold (tools/studies/soc_study.py)
        away -= away >> 2
        return min(_FULL_CPCT, root(self._anchor_u * self._anchor_u + grown * grown
                                     + away * away))

    def _publish(self):
        if self.remaining_mah > self.full_mah:      # which may have shrunk
            self.remaining_mah = self.full_mah
            self._rest_uah = 0
        off = abs(self._estimate_cpct() - self.cpct)
        self.uncertainty_cpct = min(_FULL_CPCT, self._bound_cpct() + off)
        kept = self.full_mah // 1000 * (1000 - ocv.usable_permille(self._temp_dc))
        self.usable_mah = max(0, self.remaining_mah - kept)

    # -- anchors --------

    def _set(self, cpct, u_cpct):
        """The estimate is *cpct*, at most *u_cpct* off."""
        self.remaining_mah = self.full_mah if cpct == _FULL_CPCT else self._of_full(cpct)
        self._rest_uah = 0
        self._anchor_u = u_cpct
        self.is_guess = False
        self._u_mah = self._u_uah = 0
        self._from_mah = self.remaining_mah

    def _mark(self, cpct, u_cpct, again=False):
        """An anchor at *cpct*: learn the capacity from the run to it, begin the next run.

        again   its error comes again each time: it teaches only what is known much worse
        """
        if self._mark_cpct >= 0:
            self._learn_capacity(cpct - self._mark_cpct,
                                 root(u_cpct * u_cpct + self._mark_u * self._mark_u),
                                 again or self._mark_again)
        self._mark_again = again
        self._mark_cpct = cpct
        self._mark_u = u_cpct
        self._run_mah = self._run_uah = self._run_min = 0

    def _learn_capacity(self, span, u_cpct, again):
        moved = self._run_mah
        if span < 0:
            span = -span
            moved = -moved
        if span < _SPAN_CPCT or not self.rated_mah // 5 <= moved <= 2 * self.rated_mah:
            return
        mah = moved // 10 * 1000 // (span // 10) * 10
        if not self.rated_mah // 10 * 4 <= mah <= self.rated_mah // 10 * 12:
            return
        drift_mah = self.drift.u_ua // 60 * min(self._run_min, 500_000) // 1000
        part = drift_mah * 100 // (moved // 100)
        u_cpct = u_cpct * 100 // (span // 100)
        u = root(u_cpct * u_cpct + part * part) + 20
        if u > _CAPACITY_U_CPCT or again and 3 * u > 2 * self._capacity_u:
            return
        part = weight(self._capacity_u, u)
        self.full_mah += (mah - self.full_mah) * part // 256
        self._capacity_u = max(_CAPACITY_LEAST_U_CPCT, min(self._capacity_u, u))

    def _others_mv(self, but_mv):
        """Mean of the cells but one that reads *but_mv*; -1: not known."""
        if not self._string_mv:
            return -1
        return (self._string_mv - but_mv) // (self._cells - 1)

    def _is_full(self):
        """SOC-05: the string is, not a single cell."""
        others_mv = self._others_mv(self._max_mv)
        if others_mv < 0:
            return True
        drop_mv = max(0, self._current_ma) // 10 * self._warm_uohm() // 100_000
        return others_mv - drop_mv >= self._curve.full_mv

    def _is_empty(self):
        """SOC-05: the string is, not a single cell."""
        others_mv = self._others_mv(self._min_mv)
        if others_mv < 0:
            return True
        drop_mv = max(0, -self._current_ma) // 10 * self._warm_uohm() // 100_000
        return others_mv + drop_mv <= self._curve.empty_mv

    def _look_at_soft_full(self, dt_ms):
        """A charger that ends at a lower voltage of its own: no current, and the cells stay up."""
        near_ma = max(self._ocv_rest_ma // 5, _SOFT_MA * (self.rated_mah // 1000) // 100)
        mv = self._string_mv // self._cells or (self._min_mv + self._max_mv) // 2
        if abs(self._current_ma) <= near_ma and mv >= self._soft_cell_mv:
            self._soft_ms += dt_ms
            if self._soft_ms >= _SOFT_MS:
                self._soft_ms = 0
                self.anchor_full(_SOFT_FULL_U_CPCT)
        else:
            self._soft_ms = max(0, self._soft_ms - 4 * dt_ms)

    def anchor_full(self, more_u_cpct=0):
        """The end of charge was reached, or an over-voltage protection.

        more_u_cpct   it was a less certain one
        """
        if not self._is_full():
            self.singles = min(self.singles + (not self.at_full), 0xFFFF)
            return
        u_cpct = self._curve.full_u_cpct + more_u_cpct
        if not self.at_full:
            self._mark(_FULL_CPCT, u_cpct)
            self.drift.learn(self.full_mah)
            self._see_apart()
        elif self._run_min < 1440:      # still at the end of that charge
            self._run_mah = self._run_uah = self._run_min = 0
        self._set(_FULL_CPCT, u_cpct)
        self.at_full = self.is_set = True
        self.at_empty = False
        self.cpct = _FULL_CPCT
        self._publish()

    def _see_apart(self):
        """How far the cells are apart at this end of charge, as far as the knee tells."""
        drop_mv = self._current_ma // 10 * self._warm_uohm() // 100_000 + (
            self._curve.hysteresis_mv)
        low = self._curve.high_knee(self._min_mv - drop_mv)
        high = self._curve.high_knee(self._max_mv - drop_mv)
        self.apart.seen(None if low < 0 or high < 0 else self._of_full(high - low))

    def anchor_empty(self):
        """An under-voltage protection was reached."""
        if self.at_empty:
            return
        if not self._is_empty():
            self.singles = min(self.singles + 1, 0xFFFF)
            return
        drop_mv = max(0, -self._current_ma) // 100 * self._warm_uohm() // 10_000
        low_mv = min(self._min_mv, 2850)
        curve = self._curve
        cpct = min(curve.low_knee(low_mv + min(drop_mv, 300)), _MOST_EMPTY_CPCT)
        u_cpct = _EMPTY_U_CPCT + cpct // 2
        if not 0 <= curve.low_knee(low_mv + 2 * drop_mv) <= _MOST_EMPTY_CPCT:
            # a heavy load in the cold, where the drop may be twice that: the charge may be there
            most = min(_FULL_CPCT, self._estimate_cpct() + self._bound_cpct())
            u_cpct = max(u_cpct, most - cpct)
        self._mark(cpct, u_cpct)
        self._set(cpct, u_cpct)
        self.at_empty = self.is_set = True
        self.at_full = False
        self.cpct = 0
        self._publish()

    def _warm_uohm(self):
        """Resistance of a cell with its diffusion at the present temperature."""
        return self._cell_uohm * ocv.resistance_percent(self._temp_dc) // 100

    def _look_at_rest(self):
        """Correct by the open-circuit voltage, in the knees only; learn where they lie."""
        curve = self._curve
        drop_mv = self._current_ma // 10 * self._warm_uohm() // 100_000
        lag_mv = curve.hysteresis_mv * self._swing_mah // max(1, self.full_mah // 20)
        knee = self.low
        cell_mv = self._min_mv - drop_mv - lag_mv
        cpct = curve.low_knee(cell_mv)
        if cpct < 0 or self._others_mv(self._min_mv) - drop_mv > curve.empty_mv:
            knee = self.high
            cell_mv = self._max_mv - drop_mv - lag_mv
            cpct = curve.high_knee(cell_mv)
            if (cpct < 0 or self.at_full
                    or 0 < self._others_mv(self._max_mv) - drop_mv < curve.full_mv):
                return
        prior = self._bound_cpct()
        estimate = self._estimate_cpct()
        steep_u = curve.knee_u(cell_mv, knee is self.high, 4 if knee.is_known else -1)
        u_cpct = root(knee.u_cpct * knee.u_cpct + steep_u * steep_u)
        if prior < knee.u_cpct * 2:
            knee.learn(estimate - cpct, root(prior * prior + steep_u * steep_u))
        cpct = max(0, min(cpct + knee.offset_cpct, _FULL_CPCT))
        if abs(estimate - cpct) > prior + u_cpct:
            self.contradictions = min(self.contradictions + 1, 0xFFFF)
            self._anchor_u = max(self._anchor_u, abs(estimate - cpct))
            return                      # a single one is no proof, but a doubt for the next one
        self._mark(cpct, u_cpct, True)
        if 2 * prior < 3 * u_cpct:          # else its error, which comes again, would be taken
            return
        new = estimate + (cpct - estimate) * weight(prior, u_cpct) // 256
        self._set(max(0, min(new, _FULL_CPCT - 1)), min(prior, u_cpct))
