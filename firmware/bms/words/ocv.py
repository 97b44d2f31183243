"""What an LFP cell's rest voltage says about its charge, and where it says nothing.

The curve is the difference of the electrodes' published open-circuit potentials: Safari and
Delacourt, J. Electrochem. Soc. 158 (2011) A562, doi 10.1149/1.3567007 (LFP and graphite of a
commercial cell at 25 degC), with lithium between 0.005 and 0.81 in the graphite and between
0.92 and 0.03 in the iron phosphate.

Between the knees a per cent is worth a millivolt or less, and a cell rests up to 20 mV higher
after charge than after discharge: no table is used there.
"""

HYSTERESIS_MV = 8           # either way from the mean; published: 5 to 12

# rest voltage, mV: SOC, 0.01 %
_LOW = ((2300, 0), (2582, 0), (2797, 100), (2896, 200), (2972, 300), (3032, 400), (3080, 500),
        (3117, 600), (3146, 700), (3168, 800), (3185, 900), (3198, 1000), (3209, 1120),
        (3217, 1200), (3234, 1500))
_HIGH = ((3360, 9500), (3411, 9800), (3520, 10_000), (4000, 10_000))
_FLAT = ((3253, 2000), (3286, 3000), (3303, 4000), (3315, 6000), (3341, 8000), (3346, 9000))

_NOISE_MV = 15              # cell reading, rest of hysteresis and relaxation
_LOW_U_CPCT = 130           # the table against another maker's cell
HIGH_U_CPCT = 300
_LOW_END_MV = 3190          # above this, and below the other, the curve is called flat
_HIGH_END_MV = 3370
_FLAT_U_CPCT = 4000
_SHIPPED_CPCT = 4000        # AM table 2-2: SOC of transportation

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


def low_knee(cell_mv):
    """SOC in 0.01 % of a rested cell; -1 where the curve is flat."""
    return _between(_LOW, cell_mv, 1) if cell_mv < _LOW_END_MV else -1


def low_knee_u(cell_mv):
    """Bound of low_knee()."""
    return _LOW_U_CPCT + (_between(_LOW, cell_mv + _NOISE_MV, 1)
                          - _between(_LOW, cell_mv - _NOISE_MV, 1)) // 2


def high_knee(cell_mv):
    """The same at the upper end; its bound is HIGH_U_CPCT."""
    return _between(_HIGH, cell_mv, 1) if cell_mv >= _HIGH_END_MV else -1


def guess(cell_mv):
    """(SOC, bound, says nothing) in 0.01 % for a cell voltage whose history is not known.

    On the flat part the voltage says next to nothing, and the guess is what packs are shipped at
    (AM 2.2); what the voltage does say is in the bound.
    """
    if cell_mv < 3234:
        return _between(_LOW, cell_mv, 1), 500, False
    if cell_mv >= _HIGH_END_MV:
        return _between(_HIGH, cell_mv, 1), 500, False
    flat = _between(_FLAT, cell_mv, 1)
    least = max(0, flat - _FLAT_U_CPCT)
    most = min(10_000, flat + _FLAT_U_CPCT)
    return _SHIPPED_CPCT, max(_SHIPPED_CPCT - least, most - _SHIPPED_CPCT), True


def resistance_percent(temp_dc):
    """Resistance at *temp_dc* against that at 25 degC."""
    return _between(_COLD, temp_dc, 1)


def usable_permille(temp_dc):
    """Share of the capacity that can be taken at *temp_dc*, at half the rated current or less."""
    return _between(_COLD, temp_dc, 2)
