"""Values of the registry as a person reads and types them: 3600 mV is 3.600 V.

The registry keeps whole numbers in the unit of the name (cell_ov_trip_mv: mV). A person may type
that number, or a value with its unit: 3600, 3600mV, 3.6V. A number with a point and no unit is
refused, since it is the usual unit by mistake.
"""

from __future__ import annotations

import re
from decimal import Decimal

from .errors import WrongUnit
from .schema import Param

# unit of the registry: (factor, digits after the point, what a person reads)
USUAL = {"mV": (1000, 3, "V"), "mA": (1000, 3, "A"), "dC": (10, 1, "°C"), "cpct": (100, 2, "%"),
         "ms": (1000, 3, "s"), "mAh": (1000, 1, "Ah"), "uOhm": (1000, 3, "mΩ"),
         "uA": (1000, 3, "mA"), "ppm": (10_000, 4, "%"), "us": (1000, 3, "ms")}
# other ways to type them
_TYPED = {"v": "V", "a": "A", "s": "s", "c": "°C", "°c": "°C", "degc": "°C", "%": "%", "ah": "Ah",
          "mohm": "mΩ", "mω": "mΩ", "ma": "mA", "mv": "mV", "ms": "ms", "dc": "dC", "mah": "mAh",
          "cpct": "cpct", "uohm": "uOhm", "ua": "uA", "ppm": "ppm", "us": "us", "min": "min"}
_VALUE = re.compile(r"([+-]?\d+(?:[.,]\d+)?)\s*([^\d\s]*)$")


def shown(value: int | None, unit: str) -> str:
    """A value with its usual unit, "-" for no reading: shown(3600, "mV") is "3.6 V"."""
    if value is None:
        return "–"
    factor, digits, name = USUAL.get(unit, (1, 0, unit))
    text = f"{value / factor:.{digits}f}" if digits else str(value)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {name}".strip()


def fixed(value: int | None, unit: str, digits: int) -> str:
    """As shown(), with so many digits after the point: for columns."""
    if value is None:
        return "–"
    factor, _, name = USUAL.get(unit, (1, 0, unit))
    return f"{value / factor:.{digits}f} {name}".strip()


def parse(param: Param, text: str) -> int:
    """What a person typed for *param*, in the unit of the registry; else WrongUnit."""
    factor, _, usual = USUAL.get(param.unit, (1, 0, param.unit))
    found = _VALUE.match(text.strip())
    if not found:
        raise WrongUnit(f"{param.name}: {text!r} is no number. {_example(param)}")
    number = Decimal(found[1].replace(",", "."))
    unit = found[2]
    if unit:
        unit = _TYPED.get(unit.lower(), unit)
        if unit == usual and param.unit in USUAL:
            number *= factor
        elif unit != param.unit:
            raise WrongUnit(f"{param.name} is in {param.unit or 'no unit'}, and {text!r} is not. "
                            f"{_example(param)}")
    value = int(number)
    if value != number:
        hint = ""
        if not unit and param.min <= number * factor <= param.max:
            hint = (f" Did you mean {int(number * factor)}, which is {found[1]} {usual}? "
                    f"{found[1]}{usual} is understood too.")
        raise WrongUnit(f"{param.name} is in {param.unit or 'whole numbers'}, and {text} is no "
                        f"whole number of it.{hint or ' ' + _example(param)}")
    if not unit and factor > 1 and not param.min <= value <= param.max and (
            param.min <= value * factor <= param.max):
        raise WrongUnit(f"{param.name} is in {param.unit}, and {text} {param.unit} is outside "
                        f"{param.min} to {param.max}. Did you mean {value * factor}, which is "
                        f"{shown(value * factor, param.unit)}?")
    return value


def _example(param: Param) -> str:
    both = f"{param.value}"
    if param.unit in USUAL:
        both += f" or {shown(param.value, param.unit).replace(' ', '')}"
    return f"It goes from {param.min} to {param.max} {param.unit}".rstrip() + f"; now {both}."
