"""A profile as a plain data file (PRF-03): JSON text, as docs/profiles.md describes it.

What a file leaves out follows from what it says: currents from the most ampere, pack voltages
from the cells, curves of derating from the protections (bms/words/parameters.py).
"""

import json

from bms.limits.derating import CHARGE_LIMIT, DISCHARGE_LIMIT
from bms.words import ceilings, readings

LONGEST = 6000                  # bytes of text

# field of the file: (attribute of the profile, type, words for the type)
_FIELDS = {
    "name": ("NAME", str, "a text"), "cells": ("CELLS", int, "a whole number"),
    "capacity_mah": ("CAPACITY_MAH", int, "a whole number"),
    "most_ma": ("MOST_MA", int, "a whole number"),
    "shunt_uohm": ("SHUNT_UOHM", int, "a whole number"),
    "panel": ("PANEL", str, "a text"), "slaves": ("SLAVES", int, "a whole number"),
    "ceilings": ("CEILINGS", dict, "an object"), "defaults": ("DEFAULTS", dict, "an object"),
    "curves": ("CURVES", list, "a list"), "cell": ("CELL", dict, "an object"),
}
_NEEDED = ("name", "cells", "capacity_mah")
_LIMITS = {"charge": CHARGE_LIMIT, "discharge": DISCHARGE_LIMIT}
_READINGS = {
    "max_cell_mv": readings.MAX_CELL_MV, "min_cell_mv": readings.MIN_CELL_MV,
    "cell_sum_mv": readings.CELL_SUM_MV, "max_temp_dc": readings.MAX_TEMP_DC,
    "min_temp_dc": readings.MIN_TEMP_DC, "mos_dc": readings.MOS_DC,
    "soc_cpct": readings.SOC_CPCT,
}


class Product:
    """A profile that was read from a file; the attributes of a module of profiles/."""

    PANEL = "table"
    DEFAULTS: dict = {}


def read(text):
    """The Product of the file *text*; ValueError says what is wrong and what would be right.

    It still has to pass parameters.check_profile().
    """
    try:
        data = json.loads(text)
    except ValueError:
        raise ValueError("the file is no JSON text")
    _check(isinstance(data, dict), "the file", data, "an object {field: value}")
    for field in _NEEDED:
        _check(field in data, field, "missing", _FIELDS[field][2])
    product = Product()
    for field in data:
        if field == "about":            # words for people
            continue
        _check(field in _FIELDS, field, "no field of a profile",
               "one of " + ", ".join(sorted(_FIELDS)))
        attribute, kind, words = _FIELDS[field]
        value = data[field]
        _check(isinstance(value, kind) and not isinstance(value, bool), field, value, words)
        if field == "curves":
            value = tuple([_curve("curves[%d]" % i, row) for i, row in enumerate(value)])
        elif field == "cell":
            value = _cell(value)
        elif field == "ceilings":
            value = _ceilings(value)
        elif field == "defaults":
            for name in value:
                _check(_is_int(value[name]), "defaults." + name, value[name], "a whole number")
        setattr(product, attribute, value)
    return product


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _check(holds, what, value, right):
    if not holds:
        raise ValueError("%s: %s; it must be %s" % (what, value, right))


def _curve(where, row):
    right = '["charge" or "discharge", reading, [[reading, permille], ...], "PRO-01 words"]'
    _check(isinstance(row, list) and len(row) == 4, where, row, right)
    limit, reading, points, reason = row
    _check(limit in _LIMITS, where, limit, '"charge" or "discharge"')
    _check(reading in _READINGS, where, reading, "one of " + ", ".join(sorted(_READINGS)))
    _check(isinstance(reason, str) and reason, where, reason, 'a text such as "PRO-01 words"')
    _check(isinstance(points, list) and len(points) > 1, where, points, right)
    for point in points:
        _check(isinstance(point, list) and len(point) == 2 and _is_int(point[0])
               and _is_int(point[1]), where, point, "[reading, permille]")
    return _LIMITS[limit], _READINGS[reading], tuple([tuple(p) for p in points]), reason


def _cell(given):
    """CELL: numbers, and the rows of its rest curve."""
    found = {}
    for name in given:
        value = given[name]
        if name == "rest":
            right = "[[charge in 0.01 %, mV after discharge, mV after charge], ...]"
            _check(isinstance(value, list) and all(
                isinstance(row, list) and len(row) == 3 and all(_is_int(x) for x in row)
                for row in value), "cell.rest", value, right)
            value = tuple([tuple(row) for row in value])
        else:
            _check(_is_int(value), "cell." + name, value, "a whole number")
        found[name] = value
    return found


def _ceilings(given):
    """Ceilings of the chemistry: LFP's, but for what is given."""
    found = dict(ceilings.LFP)
    for name in given:
        _check(name in found, "ceilings." + name, given[name],
               "a name of " + ", ".join(sorted(found)))
        _check(isinstance(given[name], str) if name == "name" else _is_int(given[name]),
               "ceilings." + name, given[name],
               "a text" if name == "name" else "a whole number")
        found[name] = given[name]
    return found
