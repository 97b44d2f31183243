"""From what a meter shows to calibration parameters (MEA-04).

An offset is subtracted by the pack and a gain is in ppm, so that a reference next to the shown
value gives the new one. One point gives an offset for voltages and temperatures; the current has
an offset at zero and a gain at a current.
"""

from __future__ import annotations

import time
from typing import Any

from .errors import WrongUnit
from .pack import Pack

LEAST_GAIN_MA = 10_000          # below it a gain cannot be told from an offset
_LOOKS = 8                      # what the pack shows is the mean of so many
_LOOK_S = 0.12                  # a scan and a little


def channels() -> list[str]:
    """Names of what can be calibrated."""
    return ([f"cell{i}" for i in range(16)] + ["stack", "pack"]
            + [f"temp{i}" for i in range(4)] + ["mos", "ambient", "zero", "current"])


def _shown_by(report: dict[str, Any], channel: str) -> int:
    if channel.startswith("cell"):
        values, at = report.get("cell_mv") or [], int(channel[4:])
        value = values[at] if at < len(values) else None
    elif channel.startswith("temp"):
        value = (report.get("temp_dc") or [None] * 4)[int(channel[4:])]
    else:
        value = report.get({"stack": "stack_mv", "pack": "pack_mv", "mos": "mos_dc",
                            "ambient": "ambient_dc"}.get(channel, "current_ma"))
    if value is None:
        raise WrongUnit(f"{channel} is not measured now, so it cannot be calibrated.")
    return int(value)


def parameter_of(channel: str) -> tuple[str, str]:
    """(parameter, unit of the reference) of *channel*; WrongUnit lists the channels."""
    if channel not in channels():
        raise WrongUnit(f"There is no channel {channel!r}. There are: cell0 to cell15, stack, "
                        "pack, temp0 to temp3, mos, ambient, zero and current.")
    if channel.startswith(("cell", "stack", "pack")):
        return f"cal_{channel}_offset_mv", "mV"
    if channel in ("zero", "current"):
        return ("cal_current_offset_ma" if channel == "zero" else "cal_current_gain_ppm"), "mA"
    place = {"mos": 4, "ambient": 5}.get(channel)
    return f"cal_temp{channel[4:] if place is None else place}_offset_dc", "dC"


def new_value(pack: Pack, channel: str, reference: int) -> tuple[str, int, int]:
    """(parameter, value that it has to get, what the pack shows now) for a *reference*.

    reference   in the registry's unit; of "zero" it is 0, of "current" the current that flows
    """
    name, _ = parameter_of(channel)
    seen = []
    for _ in range(_LOOKS):
        seen.append(_shown_by(pack.report(), channel))
        time.sleep(_LOOK_S)
    shown = round(sum(seen) / len(seen))
    now = pack.get(name)
    if channel != "current":
        return name, now + shown - reference, shown
    if abs(reference) < LEAST_GAIN_MA:
        raise WrongUnit(f"A gain of the current takes at least {LEAST_GAIN_MA // 1000} A; for the "
                        "offset calibrate zero, with nothing connected.")
    if shown * reference <= 0:
        raise WrongUnit("The reference and the pack's current have opposite signs; charging is "
                        "positive.")
    return name, round((1_000_000 + now) * reference / shown) - 1_000_000, shown
