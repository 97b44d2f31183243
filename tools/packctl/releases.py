"""What ends a protection or a fault, in words, with the pack's own thresholds.

{name} in a sentence is a parameter. An id that is not here ends as its threshold says, or, a
fault, when what it contradicts is gone.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import units
from .schema import Param

_OVER = "highest {what} at or below {{{release}}} and SOC below {{ov_release_soc_cpct}}, or " \
        "more than {{other_way_ma}} drawn"
_UNDER = "{what} at or above {{{release}}}, or a charger"
_AGAIN = "{oc_release_ms} after the trip, or current the other way; {oc_lock_trips} trips in a " \
         "row lock"

SENTENCES = {
    "PRO-01": _OVER.format(what="cell", release="cell_ov_release_mv"),
    "PRO-02": _UNDER.format(what="lowest cell", release="cell_uv_release_mv"),
    "PRO-03": _OVER.replace("highest ", "").format(what="pack", release="pack_ov_release_mv"),
    "PRO-04": _UNDER.format(what="pack", release="pack_uv_release_mv"),
    "PRO-05": _AGAIN, "PRO-06": _AGAIN, "PRO-07": _AGAIN,
    "PRO-08": "the load taken off (load detect above {load_removed_mv}), or a charger; "
              "{short_lock_trips} trips in a row lock",
    "PRO-09": "coldest cell at or above {chg_ut_release_dc}",
    "PRO-10": "hottest cell at or below {chg_ot_release_dc}",
    "PRO-11": "coldest cell at or above {dsg_ut_release_dc}",
    "PRO-12": "hottest cell at or below {dsg_ot_release_dc}",
    "PRO-13": "surroundings at or above {env_ut_release_dc}",
    "PRO-14": "surroundings at or below {env_ot_release_dc}",
    "PRO-15": "SOC at or above {low_soc_cpct}, or charging",
    "PRO-16": "cell difference at or below {cell_diff_clear_mv}",
    "PRO-17": "MOSFETs at or below {mos_ot_release_dc}",
    "PRO-18": "the charger connected the right way round",
    "PRO-29": "every cell above {deep_end_mv}; a host may allow one try below the floor",
    "PRO-30-charge": "current within the limit that the inverter was told",
    "PRO-30-discharge": "current within the limit that the inverter was told",
    "DER-03-chg": "charging below the continuous current",
    "DER-03-dsg": "discharging below the continuous current",
    "PWR-03": "what pulls the terminals down taken off; it is tried again",
}
LATCHED = "a person says clear, or a reset"


class _Values(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "its release value"


def release_of(name: str, params: Mapping[str, Param]) -> str:
    """What ends *name*, "" where nothing more than its own end is known."""
    sentence = SENTENCES.get(name, "")
    return sentence.format_map(_Values(
        {key: units.shown(param.value, param.unit) for key, param in params.items()}))
