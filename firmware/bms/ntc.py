"""Thermistor conversion by table: 10k, B 3435, on the AFE's 18k pull-up.

ratio = R / (R + 18k); R = 10k * exp(3435 * (1/T - 1/298.15)). 65 equal steps of the ratio from
0.015 to 0.97, linear between them: error at most 0.1 K from -20 to 70 degC.
The AFE gives a raw thermistor pin as counts of 5/3 of its reference over 15 bits: counts =
ratio * 0.6 * 32768. Source: SLUUBY2B, thermistor measurement.
"""

from array import array

from bms.readings import NO_READING

_TABLE_DC = array("h", (
    1603, 1249, 1064, 941, 850, 777, 717, 666, 621, 581, 546,
    513, 483, 456, 430, 406, 383, 361, 340, 321, 302, 283,
    266, 249, 232, 216, 200, 185, 170, 155, 141, 126, 112,
    98, 84, 71, 57, 43, 30, 16, 2, -11, -25, -39,
    -53, -67, -82, -96, -111, -127, -142, -159, -176, -193, -211,
    -231, -251, -273, -296, -322, -350, -383, -420, -467, -527,
))
_FIRST = 295            # 0.015 in counts
_LAST = 19071           # 0.97
_SPAN = _LAST - _FIRST
_STEPS = 64


def counts_to_dc(counts):
    """Temperature in dC; NO_READING where the ratio means an open or a shorted thermistor."""
    if counts < _FIRST or counts > _LAST:
        return NO_READING
    place = (counts - _FIRST) * _STEPS
    i = place // _SPAN
    if i >= _STEPS:
        return _TABLE_DC[_STEPS]
    return _TABLE_DC[i] + (_TABLE_DC[i + 1] - _TABLE_DC[i]) * (place - i * _SPAN) // _SPAN


def is_open(counts):
    """True if *counts* mean an open thermistor (False: shorted), where there is no reading."""
    return counts > _LAST
