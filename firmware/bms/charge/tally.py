"""Counters of a pack's life: charge and energy at the terminals either way, and cycles.

Accumulators are pairs (Ah and uAh, Wh and uWh) so that all of it stays within +-2**30.
"""

_MOST_UAH = (1 << 29) - 1   # a minute moves no more than this


class Tally:
    """cells   in series

    charged_ah, discharged_ah, charged_wh, discharged_wh   since ever
    cycles            half the charge moved either way, in capacities
    in_uah, out_uah   of the present minute, as the sensor showed it
    """

    def __init__(self, cells):
        self._cells = cells
        self.in_uah = self.out_uah = 0
        self.charged_ah = self.charged_uah = 0
        self.discharged_ah = self.discharged_uah = 0
        self.charged_wh = self.discharged_wh = 0
        self._charged_uwh = self._discharged_uwh = 0
        self.cycles = self.cycle_mah = 0

    def collect(self, charge_uah):
        """A step of the present minute, charging positive."""
        if charge_uah > 0:
            self.in_uah = min(self.in_uah + charge_uah, _MOST_UAH)
        else:
            self.out_uah = min(self.out_uah - charge_uah, _MOST_UAH)

    def end_minute(self, offset_uah, cell_mv, full_mah):
        """Count what was collected, less what the sensor's offset made of it.

        cell_mv   highest and lowest cell, added
        """
        in_uah = self.in_uah
        out_uah = self.out_uah
        self.in_uah = self.out_uah = 0
        if in_uah >= out_uah:
            in_uah = max(0, in_uah - offset_uah)
        else:
            out_uah = max(0, out_uah + offset_uah)
        self.cycle_mah += (in_uah + self.charged_uah % 1000) // 1000
        self.cycle_mah += (out_uah + self.discharged_uah % 1000) // 1000
        while self.cycle_mah >= 2 * full_mah:
            self.cycle_mah -= 2 * full_mah
            self.cycles += 1
        self.charged_uah += in_uah
        self.charged_ah += self.charged_uah // 1_000_000
        self.charged_uah %= 1_000_000
        self.discharged_uah += out_uah
        self.discharged_ah += self.discharged_uah // 1_000_000
        self.discharged_uah %= 1_000_000
        pack_10mv = cell_mv * self._cells // 20
        while in_uah > 0 or out_uah > 0:        # one turn, but for what a sleep brings
            part = min(in_uah, 1_000_000)
            in_uah -= part
            self._charged_uwh += part // 10 * (pack_10mv // 10)
            part = min(out_uah, 1_000_000)
            out_uah -= part
            self._discharged_uwh += part // 10 * (pack_10mv // 10)
            self.charged_wh += self._charged_uwh // 1_000_000
            self._charged_uwh %= 1_000_000
            self.discharged_wh += self._discharged_uwh // 1_000_000
            self._discharged_uwh %= 1_000_000
