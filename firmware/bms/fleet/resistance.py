"""A pack's own resistance, from what its voltage does when the current steps (COM-09)."""

import micropython
from bms.words import readings as rd
from bms.words.readings import NO_READING

_STEP_MA = 10_000       # smaller steps say too little
_STEADY_MA = 1_000      # before and after a step the current stands still
_LONGEST_MS = 500       # two scans further apart tell of diffusion, too
_SLOW = 4               # share of a new value


class Resistance:
    """Ohmic resistance between the cells' outer ends, learnt from steps of the current.

    uohm   the estimate; until the first step the parameter join_uohm
    steps  steps it was learnt from
    """

    def __init__(self, params):
        self._params = params
        self._taken = -1
        self._given_uohm = 0
        self.uohm = 0
        self.steps = 0
        self._before_ma = self._before_mv = NO_READING      # a steady scan before the step
        self._last_ma = self._last_mv = NO_READING
        self._at_step = False       # the newest scan but one was the first after a step
        self._load()

    def _load(self):
        self._taken = self._params.changed
        if self._params["join_uohm"] != self._given_uohm:
            self._given_uohm = self.uohm = self._params["join_uohm"]
            self.steps = 0

    @micropython.native
    def step(self, values, dt_ms):
        """Look at the readings of one fresh scan, *dt_ms* after the one before."""
        if self._taken != self._params.changed:
            self._load()
        current_ma = values[rd.CURRENT_MA]
        sum_mv = values[rd.CELL_SUM_MV]
        if sum_mv == NO_READING or dt_ms > _LONGEST_MS or self._last_ma == NO_READING:
            self._at_step = False
            self._before_ma = NO_READING
        elif abs(current_ma - self._last_ma) <= _STEADY_MA:
            if self._at_step:
                self._learn(current_ma - self._before_ma, sum_mv - self._before_mv)
                self._at_step = False
            self._before_ma = current_ma
            self._before_mv = sum_mv
        else:       # moving: a step if it stands still next, and did so before
            self._at_step = (not self._at_step and self._before_ma != NO_READING
                             and abs(current_ma - self._before_ma) >= _STEP_MA)
            if not self._at_step:
                self._before_ma = NO_READING
        self._last_ma = current_ma if sum_mv != NO_READING else NO_READING
        self._last_mv = sum_mv

    def _learn(self, step_ma, step_mv):
        if abs(step_ma) < _STEP_MA or abs(step_mv) > 10_000:
            return
        uohm = step_mv * 10_000 // (step_ma // 100)
        if not self._given_uohm // 4 <= uohm <= self._given_uohm * 4:
            return                      # no pack of this kind: something else moved
        self.uohm += (uohm - self.uohm) // (_SLOW if self.steps else 1)
        self.steps += 1 if self.steps < 1000 else 0
