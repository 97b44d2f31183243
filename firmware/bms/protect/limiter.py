"""The 10 A charge limiter: when it is switched in (LIM-01, LIM-02, LIM-03)."""

import micropython

OFF, ON, LOOKING, HELD = range(4)
_LOOK_MS = 1000         # after switching off, the current is watched this long


class ChargeLimiter:
    """State of the output that inserts the limiting circuit.

    params   Parameters: limiter_enable, limiter_on_ma, limiter_on_s, limiter_detections
    state    OFF | ON: for limiter_on_s | LOOKING: off again, looking | HELD: until it may go
    count    detections in a row
    """

    def __init__(self, params):
        self._params = params
        self._taken = -1
        self._enabled = False
        self._on_ma = self._on_ms = self._detections = 0
        self.state = OFF
        self.count = 0
        self._ms = 0

    def _load(self):
        p = self._params
        self._enabled = p["limiter_enable"] != 0
        self._on_ma = p["limiter_on_ma"]
        self._on_ms = p["limiter_on_s"] * 1000
        self._detections = p["limiter_detections"]
        self._taken = p.changed

    @micropython.native
    def step(self, current_ma, rest_ma, other_way_ma, dt_ms):
        """Advance by one scan; True while the limiter shall be in the path.

        current_ma    charging positive
        rest_ma       below it, either way, the current counts as 0
        other_way_ma  discharge current that ends a hold
        """
        if self._taken != self._params.changed:
            self._load()
        if not self._enabled:
            self.state = OFF
            self.count = 0
            return False
        if self.state == ON or self.state == LOOKING:
            self._ms += dt_ms
        above = current_ma > self._on_ma
        if self.state == HELD:
            if current_ma < -other_way_ma or abs(current_ma) < rest_ma:
                self._go(OFF)
                self.count = 0
        elif self.state == ON:
            if self._ms >= self._on_ms:
                self._go(LOOKING)
        elif above:
            self.count += 1
            self._go(HELD if self.count >= self._detections else ON)
        elif self.state == LOOKING and self._ms >= _LOOK_MS:
            self._go(OFF)
            self.count = 0
        return self.state == ON or self.state == HELD

    def _go(self, state):
        self.state = state
        self._ms = 0
