"""The values that Regulation (EU) 2023/1542, Annex VII, asks of stationary storage (REC-05).

Each is worked out when it is asked for, from what is kept anyway: capacity and tally of the state
of charge, the sensor's drift, the resistance, the counters. Each has a bound, or is not known.
"""

from micropython import const

from bms.records.counters import slot_of

UNKNOWN = const(-1)

_METER_PER = const(50)          # Ah and Wh are off by at most a 50th: gain of the current sensor
_CYCLES_LEAST = const(10)       # before that efficiency is charge that is still in the cells
_STEPS_LEAST = const(4)         # of the current, before the resistance is believed
_STEP_U_UOHM = const(1000)      # 16 cells' noise over a step of 10 A, after some steps
_CELL_MV = const(3200)          # of a cell in the middle of its charge

# numbers of the items of protection (bms/words/rules.py) that are harmful events
_DEEP = (1, 3, 128)             # PRO-02 PRO-04 PRO-29
_HIGH = (0, 2)                  # PRO-01 PRO-03
_HEAT = (9, 11, 13, 16)         # PRO-10 PRO-12 PRO-14 PRO-17
_COLD = (8, 10, 12)             # PRO-09 PRO-11 PRO-13
_CURRENT = (4, 5, 6, 7)         # PRO-05 PRO-06 PRO-07 PRO-08

# (words, unit, what it is); a row's place is its place on the register page
(CAPACITY, POWER, EFFICIENCY, SELF_USE, RESISTANCE, MADE, SERVICE, ENERGY, CHARGE, CYCLES, DEEP,
 HIGH, HEAT, COLD, CURRENT) = range(15)
ROWS = (
    ("remaining capacity", "mAh"), ("power capability", "W"), ("round-trip efficiency", "cpct"),
    ("self-discharge", "uA"), ("ohmic resistance", "uOhm"), ("manufactured", "date"),
    ("put into service", "date"), ("energy throughput", "Wh"), ("capacity throughput", "Ah"),
    ("full cycles", ""), ("deep discharges", ""), ("over-voltages", ""),
    ("times too hot", ""), ("times too cold", ""), ("over-currents", ""))
_EVENTS = (_DEEP, _HIGH, _HEAT, _COLD, _CURRENT)        # from DEEP on
_MOST_WH = const(5_000_000)     # a hundred times of it is still a small number


def value_of(pack, counters, row):
    """Value of ROWS[row], or UNKNOWN. Allocates nothing.

    counters   Counters, or None
    """
    soc = pack.soc
    if row >= DEEP:
        if counters is None:
            return UNKNOWN
        count = 0
        numbers = _EVENTS[row - DEEP]
        for i in range(len(numbers)):
            count += counters.trips[slot_of(numbers[i])]
        return count
    if row == CAPACITY:
        return soc.full_mah if soc.is_set else UNKNOWN
    if row == POWER or row == RESISTANCE:
        known = pack.joining.resistance
        if known.steps < _STEPS_LEAST:
            return UNKNOWN
        if row == RESISTANCE:
            return known.uohm
        ampere = pack.params["nominal_ma"] // 1000      # in the middle of the charge
        return ampere * (pack.profile.CELLS * _CELL_MV - ampere * known.uohm // 1000) // 1000
    if row == EFFICIENCY:
        if soc.cycles < _CYCLES_LEAST:
            return UNKNOWN
        given_wh, taken_wh = soc.discharged_wh, soc.charged_wh
        while taken_wh > _MOST_WH or given_wh > _MOST_WH:
            given_wh >>= 1
            taken_wh >>= 1
        return min(10_000, given_wh * 100 // max(1, taken_wh // 100))
    if row == SELF_USE:
        return max(0, soc.self_ua) if soc.zero_is_known else UNKNOWN
    if row == MADE or row == SERVICE:
        return pack.params["made_day" if row == MADE else "service_day"] or UNKNOWN
    if row == ENERGY:
        return soc.charged_wh + soc.discharged_wh
    if row == CHARGE:
        return soc.charged_ah + soc.discharged_ah
    return soc.cycles


def bound_of(pack, counters, row):
    """By how much value_of() may be off, or UNKNOWN."""
    soc = pack.soc
    value = value_of(pack, counters, row)
    if value == UNKNOWN or row >= DEEP or row == MADE or row == SERVICE:
        return UNKNOWN if value == UNKNOWN else 0
    if row == CAPACITY:
        return value // 100 * soc.capacity_u_cpct // 100
    if row == RESISTANCE:
        return _STEP_U_UOHM
    if row == EFFICIENCY:           # what may be in the cells now, and was not at the start
        rated_wh = soc.rated_mah // 1000 * pack.profile.CELLS * _CELL_MV // 1000
        return rated_wh * 100 // max(1, soc.charged_wh // 100)
    if row == SELF_USE:
        return soc.drift_u_ua
    metered = (value + _METER_PER - 1) // _METER_PER
    if row == POWER:
        ampere = pack.params["nominal_ma"] // 1000
        return metered + ampere * ampere * _STEP_U_UOHM // 1_000_000
    return metered
