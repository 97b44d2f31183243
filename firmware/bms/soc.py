"""State of charge: coulomb counting in integers between the anchors full and empty (SOC-01).

The start value is looked up in the open-circuit curve, which on LFP is a guess between the
knees; counting from there is exact to the current sensor.
"""

_MAMS_A_MAH = 3_600_000     # mA * ms in a mAh
_FULL_CPCT = 10_000

# open-circuit voltage of an LFP cell at 25 degC, mV, at 0, 5, 10, 20 ... 90, 95, 100 %
_OCV_MV = (2500, 2950, 3190, 3230, 3265, 3288, 3296, 3300, 3310, 3328, 3335, 3340, 3345, 3400)
_OCV_CPCT = (0, 500, 1000, 2000, 3000, 4000, 5000, 5500, 6000, 7000, 8000, 9000, 9500, 10000)


def guess_cpct(cell_mv):
    """SOC that belongs to the rested cell voltage *cell_mv*."""
    if cell_mv <= _OCV_MV[0]:
        return 0
    for i in range(1, len(_OCV_MV)):
        if cell_mv < _OCV_MV[i]:
            below = _OCV_MV[i - 1]
            return _OCV_CPCT[i - 1] + ((_OCV_CPCT[i] - _OCV_CPCT[i - 1]) * (cell_mv - below)
                                       // (_OCV_MV[i] - below))
    return _FULL_CPCT


class StateOfCharge:
    """remaining_mah, full_mah and what follows from them.

    cpct      0.01 %; 100 % only by the anchor full, never by counting alone
    """

    def __init__(self, capacity_mah):
        self.full_mah = capacity_mah
        self.remaining_mah = capacity_mah // 2
        self._rest_mams = 0
        self.is_set = False
        self.cpct = 5000

    def start(self, cell_mv):
        """First value, from the average cell voltage at start-up."""
        self.remaining_mah = self.full_mah // 100 * guess_cpct(cell_mv) // 100
        self.is_set = True
        self._publish()

    def count(self, current_ma, dt_ms):
        """Add *current_ma* for *dt_ms* (at most 400 A for 1 s a call)."""
        total = self._rest_mams + current_ma * dt_ms
        whole = total // _MAMS_A_MAH
        self._rest_mams = total - whole * _MAMS_A_MAH
        if whole:
            remaining = self.remaining_mah + whole
            top = self.full_mah - 1 if whole > 0 else self.full_mah
            self.remaining_mah = max(0, min(remaining, max(top, self.remaining_mah)))
            self._publish()

    def anchor_full(self):
        """The end of charge was reached."""
        self.remaining_mah = self.full_mah
        self._rest_mams = 0
        self._publish()

    def anchor_empty(self):
        """An under-voltage protection was reached."""
        self.remaining_mah = 0
        self._rest_mams = 0
        self._publish()

    def _publish(self):
        self.cpct = self.remaining_mah // 10 * 1000 // (self.full_mah // 100)
        if self.cpct > _FULL_CPCT:
            self.cpct = _FULL_CPCT
