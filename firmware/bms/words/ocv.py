"""What an LFP cell's rest voltage says about its charge, and where it says nothing.

The curve is the difference of the electrodes' published open-circuit potentials: Safari and
Delacourt, J. Electrochem. Soc. 158 (2011) A562, doi 10.1149/1.3567007 (LFP and graphite of a
commercial cell at 25 degC), with lithium between 0.005 and 0.81 in the graphite and between
0.92 and 0.03 in the iron phosphate.

Between the knees a per cent is worth a millivolt or less, and a cell rests up to 20 mV higher
after charge than after discharge: no table is used there.

A profile may bring another curve (docs/profiles.md), with what is not known of it: that is what
the bounds of the estimate are made of (SOC-04).
"""

HYSTERESIS_MV = 8           # either way from the mean; published: 5 to 12

# rest voltage, mV: SOC, 0.01 %
_LOW = ((2300, 0), (2582, 0), (2797, 100), (2896, 200), (2972, 300), (3032, 400), (3080, 500),
        (3117, 600), (3146, 700), (3168, 800), (3185, 900), (3198, 1000), (3209, 1120),
        (3217, 1200), (3234, 1500))
_HIGH = ((3360, 9500), (3411, 9800), (3520, 10_000), (4000, 10_000))
_FLAT = ((3253, 2000), (3286, 3000), (3303, 4000), (3315, 6000), (3341, 8000), (3346, 9000))
_LOW_END_MV = 3190          # above this, and below the other, the curve is called flat
_HIGH_END_MV = 3370

_NOISE_MV = 6               # of a cell's reading, and what its relaxation leaves
_FLAT_U_CPCT = 4000
_SHIPPED_CPCT = 4000        # AM table 2-2: SOC of transportation
_STEEP_LOW, _STEEP_HIGH = 12, 10    # mV a per cent: a knee
_EMPTY_CPCT, _FULL_CPCT = 2000, 7000    # a string whose other cells are beyond is not that
_BEYOND_MV = 8
_FULL_LEAST_U_CPCT = 100    # of an end of charge: how far below 100 % it is, differs by make

# what is not known of the cells of a profile that does not say it: LFP of any maker
UNSURE_MV = 10
UNSURE_CPCT = 300
UNSURE_HYSTERESIS_MV = 12
SELF_UA = 4000              # self-discharge of 100 Ah with what the board draws
SELF_U_UA = 3500
LOSS_PPM = 500              # of the charge put in, not coming back
LOSS_U_PPM = 400

# temperature, 0.1 degC: resistance in per cent of that at 25 degC, usable capacity in permille
_COLD = ((-200, 440, 550), (-100, 300, 720), (0, 205, 850), (100, 150, 930), (250, 100, 1000),
         (450, 65, 1000))


def _between(table, x, column):
    """Linear interpolation in rows that rise in column 0; the ends hold outside."""
    if x <= table[0][0]:
        return table[0][column]
    for i in range(1, len(table)):
        if x < table[i][0]:
            x0 = table[i - 1][0]
            y0 = table[i - 1][column]
            return y0 + (table[i][column] - y0) * (x - x0) // (table[i][0] - x0)
    return table[len(table) - 1][column]


class Curve:
    """The rest curve of a product's cells.

    cell    CELL of a profile: {"rest": ((SOC in 0.01 %, mV after discharge, mV after charge),
            ...), "unsure_mv", "unsure_cpct", "hysteresis_u_mv", "self_ua", "self_u_ua",
            "loss_ppm", "loss_u_ppm"}, each may be left out

    hysteresis_mv   either way from the mean
    unsure_cpct     the knees may lie this far elsewhere
    full_u_cpct     an end of charge may be this far from full
    empty_mv, full_mv   of the other cells: with more a string is not empty, with less not full
    self_ua, self_u_ua  self-discharge of 100 Ah and its bound; loss_ppm, loss_u_ppm: of charging
    """

    def __init__(self, cell=None):
        cell = cell or {}
        self.hysteresis_mv = HYSTERESIS_MV
        rest = cell.get("rest")
        if rest is None:
            self._low: tuple = _LOW
            self._flat: tuple = _FLAT
            self._high: tuple = _HIGH
            self._low_end_mv, self._high_end_mv = _LOW_END_MV, _HIGH_END_MV
        else:
            self._divide(rest)
        self._unsure_mv = (cell.get("unsure_mv", UNSURE_MV)
                           + cell.get("hysteresis_u_mv", UNSURE_HYSTERESIS_MV) + _NOISE_MV)
        self.unsure_cpct = cell.get("unsure_cpct", UNSURE_CPCT)
        self.full_u_cpct = _FULL_LEAST_U_CPCT + self.unsure_cpct * 3 // 10
        self.self_ua = cell.get("self_ua", SELF_UA)
        self.self_u_ua = cell.get("self_u_ua", SELF_U_UA)
        self.loss_ppm = cell.get("loss_ppm", LOSS_PPM)
        self.loss_u_ppm = cell.get("loss_u_ppm", LOSS_U_PPM)
        beyond_mv = cell.get("unsure_mv", UNSURE_MV) + _BEYOND_MV
        self.empty_mv = self.rest_mv(_EMPTY_CPCT) + beyond_mv
        self.full_mv = self.rest_mv(_FULL_CPCT) - beyond_mv

    def _divide(self, rest):
        """Both knees and the flat part of a profile's curve."""
        mean = [((row[1] + row[2]) // 2, row[0]) for row in rest]
        low, high = 1, len(mean) - 2
        while low < high and _steep(mean, low, _STEEP_LOW):
            low += 1
        while high > low and _steep(mean, high - 1, _STEEP_HIGH):
            high -= 1
        wide = [(row[2] - row[1]) // 2 for row in rest[low:high + 1]]
        self.hysteresis_mv = sum(wide) // len(wide)
        self._low, self._flat = tuple(mean[:low + 1]), tuple(mean[low:high + 1])
        self._high = tuple(mean[high:])
        self._low_end_mv, self._high_end_mv = mean[low][0], mean[high][0]

    def rest_mv(self, cpct):
        """Mean rest voltage at *cpct*."""
        before = None
        for table in (self._low, self._flat, self._high):
            for row in table:
                if row[1] >= cpct:
                    if before is None or row[1] == before[1]:
                        return row[0]
                    return before[0] + (row[0] - before[0]) * (cpct - before[1]) // (
                        row[1] - before[1])
                before = row
        return before[0]            # type: ignore[index]  # a curve has a row

    def low_knee(self, cell_mv):
        """SOC in 0.01 % of a rested cell; -1 where the curve is flat."""
        return _between(self._low, cell_mv, 1) if cell_mv < self._low_end_mv else -1

    def high_knee(self, cell_mv):
        """The same at the upper end."""
        return _between(self._high, cell_mv, 1) if cell_mv >= self._high_end_mv else -1

    def knee_u(self, cell_mv, high, known_mv=-1):
        """What the voltage leaves open of low_knee(), or high_knee(), where the knee itself is
        known.

        known_mv   of hysteresis and curve; -1: as the profile says
        """
        table = self._high if high else self._low
        mv = self._unsure_mv if known_mv < 0 else known_mv + _NOISE_MV
        return (_between(table, cell_mv + mv, 1) - _between(table, cell_mv - mv, 1)) // 2

    def guess(self, cell_mv):
        """(SOC, bound, says nothing) in 0.01 % for a cell voltage whose history is not known.

        On the flat part the voltage says next to nothing, and the guess is what packs are shipped
        at (AM 2.2); what the voltage does say is in the bound.
        """
        if cell_mv < self._low[len(self._low) - 1][0]:
            return _between(self._low, cell_mv, 1), 200 + self.unsure_cpct, False
        if cell_mv >= self._high_end_mv:
            return _between(self._high, cell_mv, 1), 200 + self.unsure_cpct, False
        flat = _between(self._flat, cell_mv, 1)
        least = max(0, flat - _FLAT_U_CPCT)
        most = min(10_000, flat + _FLAT_U_CPCT)
        return _SHIPPED_CPCT, max(_SHIPPED_CPCT - least, most - _SHIPPED_CPCT), True


def _steep(mean, i, mv):
    """Whether the curve rises by *mv* a per cent from row *i* of *mean*."""
    return (mean[i + 1][0] - mean[i][0]) * 100 >= mv * (mean[i + 1][1] - mean[i][1])


def resistance_percent(temp_dc):
    """Resistance at *temp_dc* against that at 25 degC."""
    return _between(_COLD, temp_dc, 1)


def usable_permille(temp_dc):
    """Share of the capacity that can be taken at *temp_dc*, at half the rated current or less."""
    return _between(_COLD, temp_dc, 2)
