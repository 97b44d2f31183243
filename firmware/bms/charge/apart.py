"""What the string holds less than its cells, because they lose charge unequally.

The string is empty when its first cell is, and full when its first cell is. While nothing balances
them, the cells drift apart by the difference of their self-discharge; balancing takes it back.
What both ends of a charge show of the highest and the lowest cell, as far as the curve's upper
knee tells it, and the time that was spent balancing between them, teach how quickly they do.
"""

_BLED_UA = 17_000           # of 33 mA: a neighbour of a bled cell waits for its turn
_LESSON_MIN = 20 * 1440
_MOST_UA = 8_000            # of 100 Ah


class Apart:
    """Charge in mAh that the string holds less.

    mah         at most an eighth of the capacity
    spread_ua   by which the cells' self-discharge differs
    is_balancing   as the balancing's own rule goes
    """

    def __init__(self, rated_mah):
        self._rated_mah = rated_mah
        self._most_ua = _MOST_UA * (rated_mah // 1000) // 100
        self.mah = 0
        self.spread_ua = 0
        self.learnt = 0             # lessons, at most 255
        self.is_balancing = False
        self._uah = 0
        self._lesson_min = -1       # -1: none began
        self._bled_min = 0
        self._first_mah = 0
        self._default_ua = -1

    def load(self, params):
        p = params
        self._start_mv, self._diff_mv = p["bal_start_mv"], p["bal_diff_mv"]
        self._hold_mv, self._stop_mv = p["bal_hold_mv"], p["bal_stop_mv"]
        self._rest_ma = p["bal_rest_ma"] if p["bal_enable"] else -1
        if p["self_spread_ua"] != self._default_ua:
            self._default_ua = self.spread_ua = p["self_spread_ua"]

    def look(self, max_mv, min_mv, current_ma):
        """Whether cells are bled now, with the readings of the newest step."""
        if max_mv >= self._start_mv and max_mv - min_mv >= self._diff_mv:
            self.is_balancing = True
        elif max_mv < self._hold_mv or max_mv >= self._start_mv and (
                max_mv - min_mv <= self._stop_mv):
            self.is_balancing = False
        if current_ma < -self._rest_ma or self._rest_ma < 0:
            self.is_balancing = False

    def step(self, minutes):
        """Return how much more mAh the string holds less after *minutes*."""
        ua = self.spread_ua
        if self.is_balancing:
            ua -= _BLED_UA
            self._bled_min += minutes
        if 0 <= self._lesson_min < 1 << 20:
            self._lesson_min += minutes
        rest = self._uah + ua * minutes // 60
        before = self.mah
        self.mah = max(0, min(before + rest // 1000, self._rated_mah // 8))
        self._uah = rest % 1000
        return self.mah - before

    def seen(self, mah):
        """An end of charge showed how far apart the cells are; None: further than the curve
        tells. Return how much more mAh the string holds less than was thought."""
        if mah is None:
            self._lesson_min = -1
            return 0
        if self._lesson_min < 0:
            self._lesson_min = self._bled_min = 0
            self._first_mah = mah
        elif self._lesson_min >= _LESSON_MIN:
            hours = self._lesson_min // 60
            ua = ((mah - self._first_mah) * 1000 + self._bled_min // 60 * _BLED_UA) // hours
            ua = max(0, min(ua, self._most_ua))
            self.spread_ua += (ua - self.spread_ua) // (2 if self.learnt < 2 else 4)
            self.learnt = min(self.learnt + 1, 255)
            self._lesson_min = self._bled_min = 0
            self._first_mah = mah
        return 0

    def state(self):
        return self.mah, self.spread_ua, self.learnt

    def recall(self, mah, spread_ua, learnt):
        self.mah = max(0, min(mah, self._rated_mah // 8))
        if learnt:
            self.spread_ua = max(0, min(spread_ua, self._most_ua))
            self.learnt = learnt
