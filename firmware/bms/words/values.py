"""A value of a parameter as a person writes and reads it: 3600 mV is 3.6V, 450 dC is 45C.

Whole numbers only: a fraction is taken apart by its digits.
"""

from bms.words.phrases import quantity

# unit of the registry: ((what a person may write, times), ...); the first is the unit itself
_UNITS = {
    "mV": (("mv", 1), ("v", 1000)),
    "mA": (("ma", 1), ("a", 1000)),
    "mAh": (("mah", 1), ("ah", 1000)),
    "dC": (("dc", 1), ("c", 10), ("\u00b0c", 10)),
    "cpct": (("cpct", 1), ("%", 100)),
    "ms": (("ms", 1), ("s", 1000), ("min", 60_000)),
    "s": (("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)),
    "min": (("min", 1), ("h", 60), ("d", 1440)),
    "uOhm": (("uohm", 1), ("mohm", 1000)),
    "uA": (("ua", 1), ("ma", 1000)),
    "ppm": (("ppm", 1), ("%", 10_000)),
}
_LONGEST = 9            # digits: more is beyond every range, and beyond a small integer


def is_unit(text, unit):
    """True if *text* is a way to write *unit*, or a multiple of it."""
    return _times(text.lower(), unit) > 0


def _times(text, unit):
    for name, times in _UNITS.get(unit, ()):
        if text == name:
            return times
    return 0


def _split(text):
    """(digits with sign and point, what follows)."""
    end = 0
    while end < len(text) and text[end] in "+-.0123456789":
        end += 1
    return text[:end], text[end:]


def parse(name, unit, text):
    """The value of parameter *name*, counted in *unit*, that a person wrote as *text*.

    raises  ValueError in a person's words
    """
    number, suffix = _split(text)
    whole, point, part = number.partition(".")
    digits = whole[1:] if whole[:1] in ("-", "+") else whole
    if not (digits + part).isdigit() or len(digits) > _LONGEST or len(part) > _LONGEST:
        raise ValueError("%s: %s is no number%s" % (name, text, _example(unit)))
    times = _times(suffix.lower(), unit) if suffix else 1
    if not times:
        raise ValueError("%s counts %s; %s is no such unit%s" % (
            name, unit or "without a unit", suffix, _example(unit)))
    if point and not suffix:
        raise ValueError("%s counts whole %s: write the unit behind %s%s" % (
            name, unit or "numbers", text, _example(unit)))
    value = int(digits or "0") * times
    if part:
        fraction = int(part) * times
        if fraction % 10 ** len(part):
            raise ValueError("%s: %s is finer than 1 %s" % (name, text, unit))
        value += fraction // 10 ** len(part)
    return -value if whole[:1] == "-" else value


def _example(unit):
    """What may be written, for an error; "" where there is nothing but numbers."""
    names = _UNITS.get(unit, ())
    if len(names) < 2:
        return ""
    shown = {"mV": "3600, 3600mV or 3.6V", "mA": "50000, 50000mA or 50A", "dC": "450 or 45C",
             "cpct": "9600 or 96%", "ms": "3000 or 3s"}
    return " (for example %s)" % shown.get(unit, "10 or 10" + names[1][0])


def shown(value, unit):
    """*value* as the registry counts it, and in usual units where those differ."""
    text = quantity(value, unit)
    plain = ("%d %s" % (value, unit)).rstrip()
    return plain if text.rstrip() == plain else "%s (%s)" % (plain, text)
