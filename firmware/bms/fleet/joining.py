"""When a pack may close its FETs onto the bar that other packs are on (COM-09).

A pack judges the bar by its own terminals. What the master tells has to agree with them; what
nobody tells, they show. Where they are above the stack although nobody is told to be there, a
charger may hold them up, or a pack that does not talk: then the pack closes with the charge
limiter in and looks later whether the current stays in its limits without.
"""

import micropython
from bms.words import readings as rd
from bms.words.rules import BOTH, CHARGE, DISCHARGE
from bms.words.readings import NO_READING
from bms.fleet.resistance import Resistance

_TOLD_MS = 5_000            # age at which the master's word no longer counts
_STEADY_MS = 500            # time for which the difference has to be small
_STAGGER_MS = 2_000         # without a master: from address to address
_DEAD_CELL_MV = 1_250       # a cell: terminals below are of a bar that nobody is on
_SAME_MV = 2_000            # own terminals within this of what the master told agree with it
_UNSURE_DIVISOR = 38        # of the stack: terminals whose gain is not learnt yet are so far off
_LONGEST_MS = 1 << 28
_SOFT_MS = 120_000          # first time that the limiter stays in after closing ...
_SOFT_MOST_MS = 7_680_000     # ... and four times as long after each look that showed too much
_LOOK_MS = 1_000            # time within the limit that is needed without the limiter
_LOOK_OVER_MA = 3_000       # beyond nominal + 10 %: the bar is held up by another pack

# why FETs are held
FREE, NOT_TURN, DISAGREES, FAR_OFF = range(4)
WHY = ("not held", "not its turn to be the first on the bar",
       "its own terminals do not agree with what the master tells",
       "the bar is too far from its stack")


class Joining:
    """The join rule of one pack.

    held        FETs not to be closed now, bits CHARGE | DISCHARGE; one that is closed stays
    why         of WHY
    soft        the charge limiter has to be in the path
    resistance  Resistance of the pack
    diff_mv     bus bar less stack, of the newest decision; NO_READING: nothing to compare with
    """

    def __init__(self, params):
        self._params = params
        self.resistance = Resistance(params)
        self.held = BOTH
        self.why = NOT_TURN
        self.soft = False
        self.diff_mv = NO_READING
        self._bus_mv = NO_READING       # NO_READING: no other pack has its FETs closed
        self._may_be_first = False
        self._yields = False            # the master wants this pack off the bar
        self._told_ms = 0               # since the master was heard, or since start
        self._steady_ms = -1            # -1: the difference is too large | ms since it is not
        self._soft_ms = 0               # since both FETs are closed with the limiter in
        self._soft_for_ms = _SOFT_MS
        self._look_ms = -1              # -1: not looking | ms since the limiter was taken out

    def told(self, bus_mv, may_be_first, yields=False):
        """What the master knows and wants.

        bus_mv        voltage of the bar, NO_READING if no other pack is on it
        may_be_first  this pack may close onto a bar that no pack is on
        yields        this pack can give nothing, and keeps others off that could: it opens
        """
        self._bus_mv = bus_mv
        self._may_be_first = may_be_first
        self._yields = yields
        self._told_ms = 0

    @micropython.native
    def step(self, dip, measured, wanted, charge_ma, discharge_ma):
        """Decide, once a fresh scan.

        dip         address, 0: alone, nothing but the limiter is decided
        measured    Measurements of the newest scan
        wanted      FETs commanded closed
        charge_ma, discharge_ma   what the pack could take now, if its FETs were closed
        """
        values = measured.values
        dt_ms = measured.dt_ms
        self.resistance.step(values, dt_ms)
        if self._told_ms < _LONGEST_MS:
            self._told_ms += dt_ms
        if wanted == BOTH:
            yields = dip > 0 and self._yields and self._told_ms <= _TOLD_MS
            self.held = BOTH if yields else 0
            self.why = NOT_TURN if yields else FREE
            self._steady_ms = -1
            self._watch_soft(dip, values[rd.CURRENT_MA], dt_ms)
            return
        if wanted:                      # one is closed already: the other's current flows anyway
            self._steady_ms = -1
            if wanted & CHARGE:
                self._watch_soft(dip, values[rd.CURRENT_MA], dt_ms)
            self.held = self._compare(measured, charge_ma, discharge_ma) & ~wanted if dip else 0
            return
        self._soft_ms = 0
        self._look_ms = -1
        why = self._outside(dip, measured, charge_ma, discharge_ma)
        self.why = why
        if dip == 0:
            self.held = 0
            return
        if why != FREE:
            self.held = BOTH            # from outside both close, or none
            self._steady_ms = -1
            return
        self._steady_ms = 0 if self._steady_ms < 0 else min(_STEADY_MS, self._steady_ms + dt_ms)
        self.held = 0 if self._steady_ms >= _STEADY_MS else BOTH

    def _outside(self, dip, measured, charge_ma, discharge_ma):
        """Why this pack, with both FETs open, may not close them: of WHY."""
        self.soft = False
        values = measured.values
        own_mv = values[rd.PACK_MV]
        stack_mv = values[rd.STACK_MV]
        live = own_mv >= _DEAD_CELL_MV * self._params.cells
        told = dip > 0 and self._told_ms <= _TOLD_MS
        if told and self._yields:
            return NOT_TURN
        if told and self._bus_mv != NO_READING:
            off_mv = 0 if measured.terminals_known else stack_mv // _UNSURE_DIVISOR
            if abs(own_mv - self._bus_mv) > _SAME_MV + off_mv:
                self.diff_mv = self._bus_mv - stack_mv
                return DISAGREES
            self.diff_mv = (own_mv if measured.terminals_known else self._bus_mv) - stack_mv
            return FAR_OFF if self._too_far(charge_ma, discharge_ma) else FREE
        if not live:
            self.diff_mv = NO_READING
            return FREE if dip == 0 or self._is_free(dip, told) else NOT_TURN
        self.diff_mv = own_mv - stack_mv
        if told and not self._may_be_first:
            return NOT_TURN
        over = self._too_far(charge_ma, discharge_ma)
        if over == CHARGE and (told or dip == 0) and self._params["limiter_enable"]:
            self.soft = True            # a charger, or a pack that the master does not hear
            return FREE
        return FAR_OFF if over else FREE

    def _watch_soft(self, dip, current_ma, dt_ms):
        """The charge FET is closed: how long the limiter stays in, and what is seen without."""
        if self.soft:
            self._soft_ms += dt_ms
            if self._soft_ms >= self._soft_for_ms:
                self.soft = False
                self._look_ms = 0 if dip else -1        # alone: the limiter's own rule goes on
            return
        if self._look_ms < 0:
            return
        self._look_ms += dt_ms
        if current_ma > self._params["nominal_ma"] // 10 * 11 + _LOOK_OVER_MA:
            self.soft = True
            self._soft_ms = 0
            self._soft_for_ms = min(_SOFT_MOST_MS, 4 * self._soft_for_ms)
            self._look_ms = -1
        elif self._look_ms >= _LOOK_MS:
            self._look_ms = -1
            self._soft_for_ms = _SOFT_MS

    def _compare(self, measured, charge_ma, discharge_ma):
        """FETs that a current beyond its limit would come through at once."""
        values = measured.values
        bus_mv = values[rd.PACK_MV]
        if self._told_ms <= _TOLD_MS:
            if self._bus_mv == NO_READING:
                self.diff_mv = NO_READING
                return 0                # no other pack is on the bar
            if not measured.terminals_known or abs(bus_mv - self._bus_mv) > _SAME_MV:
                bus_mv = self._bus_mv
        elif not measured.terminals_known:
            return 0                    # as the first FET was judged
        if bus_mv < _DEAD_CELL_MV * self._params.cells:
            return 0
        self.diff_mv = bus_mv - values[rd.STACK_MV]
        return self._too_far(charge_ma, discharge_ma)

    def _too_far(self, charge_ma, discharge_ma):
        """FETs that diff_mv would drive more through than the limit of that direction."""
        diff_mv = self.diff_mv
        if not diff_mv:
            return 0
        limit_ma = charge_ma if diff_mv > 0 else discharge_ma
        limit_uv = limit_ma // 100 * (self.resistance.uohm // 10)   # small factors: no big ints
        if abs(diff_mv) * 1000 < limit_uv:
            return 0
        return CHARGE if diff_mv > 0 else DISCHARGE

    def _is_free(self, dip, told):
        """True if no other pack is known to be on the bar, and it is this pack's turn."""
        if told:
            return self._may_be_first
        return dip > 1 and self._told_ms >= self._params["join_alone_s"] * 1000 + (
            dip * _STAGGER_MS)
