"""When a pack may close its FETs onto the bus bar that other packs are on (COM-09)."""

import micropython
from bms import readings as rd
from bms.protection_rules import BOTH, CHARGE, DISCHARGE
from bms.readings import NO_READING
from bms.resistance import Resistance

_TOLD_MS = 5_000            # what the master said holds so long
_STEADY_MS = 500            # the difference has to be small for so long
_STAGGER_MS = 2_000         # without a master: from address to address
_DEAD_MV = 20_000           # terminals below: nobody is on the bar
_SAME_MV = 2_000            # own terminals within this of what the master told: believed, fresher
_LONGEST_MS = 1 << 28


class Joining:
    """The join rule of one pack. A pack alone (address 0) is never held.

    held        FETs not to be closed now, bits CHARGE | DISCHARGE; one that is closed stays
    resistance  Resistance of the pack
    diff_mv     bus bar less stack, of the newest decision; NO_READING: nothing to compare with
    """

    def __init__(self, params):
        self._params = params
        self.resistance = Resistance(params)
        self.held = BOTH
        self.diff_mv = NO_READING
        self._bus_mv = NO_READING       # NO_READING: no other pack has its FETs closed
        self._may_be_first = False
        self._told_ms = 0               # since the master was heard, or since start
        self._steady_ms = -1            # -1: the difference is too large | ms since it is not

    def told(self, bus_mv, may_be_first):
        """What the master knows: voltage of the bar, NO_READING if no other pack is on it; and
        whether this pack may be the first."""
        self._bus_mv = bus_mv
        self._may_be_first = may_be_first
        self._told_ms = 0

    @micropython.native
    def step(self, dip, values, wanted, charge_ma, discharge_ma, dt_ms):
        """Decide, once a fresh scan.

        dip         address; values: readings
        wanted      FETs commanded closed
        charge_ma, discharge_ma   what the pack could take now, if its FETs were closed
        """
        self.resistance.step(values, dt_ms)
        if self._told_ms < _LONGEST_MS:
            self._told_ms += dt_ms
        if dip == 0 or wanted == BOTH:
            self.held = 0
            self._steady_ms = -1
            return
        bus_mv = self._bus(dip, values)
        if bus_mv == NO_READING:
            held = 0
        else:
            held = self._compare(bus_mv, values[rd.STACK_MV], charge_ma, discharge_ma)
            if not wanted and held:
                held = BOTH             # from outside both close, or none
        if wanted:
            self._steady_ms = -1
            self.held = held & ~wanted
            return
        if held or bus_mv == NO_READING and not self._is_free(dip, values):
            self.held = BOTH
            self._steady_ms = -1
            return
        self._steady_ms = 0 if self._steady_ms < 0 else min(_STEADY_MS, self._steady_ms + dt_ms)
        self.held = 0 if self._steady_ms >= _STEADY_MS else BOTH

    def _bus(self, dip, values):
        """Voltage of the bar that others are on, NO_READING if none is known to be."""
        pack_mv = values[rd.PACK_MV]
        if self._told_ms <= _TOLD_MS:
            if self._bus_mv == NO_READING:
                self.diff_mv = NO_READING
                return NO_READING
            near = abs(pack_mv - self._bus_mv) <= _SAME_MV
            return pack_mv if near else self._bus_mv
        if dip > 1 and pack_mv >= _DEAD_MV:     # nobody tells: what is on the terminals counts
            return pack_mv
        self.diff_mv = NO_READING
        return NO_READING

    def _compare(self, bus_mv, stack_mv, charge_ma, discharge_ma):
        """FETs that a current beyond its limit would come through at once."""
        self.diff_mv = diff_mv = bus_mv - stack_mv
        if not diff_mv:
            return 0
        limit_ma = charge_ma if diff_mv > 0 else discharge_ma
        limit_uv = limit_ma // 100 * (self.resistance.uohm // 10)   # small factors: no big ints
        if abs(diff_mv) * 1000 < limit_uv:
            return 0
        return CHARGE if diff_mv > 0 else DISCHARGE

    def _is_free(self, dip, values):
        """True if nobody is on the bar as far as can be known, and it is this pack's turn."""
        if self._told_ms <= _TOLD_MS:
            return self._may_be_first
        return dip > 1 and self._told_ms >= self._params["join_alone_s"] * 1000 + (
            dip * _STAGGER_MS)
