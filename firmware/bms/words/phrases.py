"""What a person reads of items, faults and their values: words beside every id."""

from bms.words import rules
from bms.words import readings as rd

# Records without which a pack may not work as if nothing was (SAF-09): what a person calls each.
# Their places here are numbers in event records.
VITAL = ("parameters", "power state", "profile", "PIN", "everything that was stored")

# unit: (digits after the point, what a person reads)
_SHOWN = {"mV": (3, "V"), "mA": (3, "A"), "dC": (1, "\u00b0C"), "cpct": (2, "%"), "ms": (3, "s"),
          "uOhm": (3, "m\u03a9"), "uA": (3, "mA"), "ppm": (4, "%")}
_OWN = ("dC", "cpct", "uOhm", "uA", "ppm")           # units that nobody but the registry has
PLACES = ("wire", "address", "sensor", "record")     # a value that says where


def quantity(value, unit):
    """*value* as text: 654 dC is 65.4 degrees. Where the unit counts places ("wire"), its name
    comes first."""
    if unit in _SHOWN:
        digits, name = _SHOWN[unit]
        ten = 10 ** digits
        return "%s%d.%0*d %s" % ("-" if value < 0 else "", abs(value) // ten, digits,
                                 abs(value) % ten, name)
    if unit == "record":
        return VITAL[value] if 0 <= value < len(VITAL) else "record %d" % value
    if unit in PLACES:
        return "%s %d" % (unit, value)
    return "%d %s" % (value, unit)


def stated(value, unit):
    """*value* of a parameter in a message: a number in the unit of its name, or what a person
    reads where that unit is the registry's own."""
    return quantity(value, unit) if unit in _OWN else "%d" % value


def row_of(number):
    """(id, words, unit of the value or "") of *number* in a first-out record."""
    row = rules.item_row(number)
    if row:
        return row[rules.ID], row[rules.WORDS], rd.UNITS.get(row[rules.READING], "")
    row = rules.fault_row(number - rules.FIRST_OUT_FAULT)
    if row:
        return row[rules.FAULT_NAME], row[rules.FAULT_WORDS], row[rules.FAULT_UNIT]
    return "number %d" % number, "unknown to this firmware", ""


def cause(number, cell, value, limit):
    """A first-out in words: what, its id, cell, value and limit."""
    name, words, unit = row_of(number)
    text = "%s (%s)" % (words, name)
    if cell >= 0:
        text += ", cell %d" % cell
    if unit:
        text += ": " + quantity(value, unit)
        if unit not in PLACES and limit:
            text += ", limit " + quantity(limit, unit)
    return text
