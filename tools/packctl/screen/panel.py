"""The front panel of a real pack, worked out from its report by the firmware's own table.

Lamps are not in the report; what they show follows from it (LED-03 to LED-05, BUZ-01).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import decisions

_SEEN_MV = 500                  # charger_seen_mv as delivered


class Panel:
    """Lamps and buzzer of one pack. profile: name of its product."""

    def __init__(self, profile: str) -> None:
        self._lamps = decisions.module("bms.panel.indication")
        self._rules = decisions.module("bms.words.rules")
        self._states = decisions.module("bms.words.states").STATES
        self._is_bar = decisions.panel_of(profile) == "bar"
        self._shown = self._lamps.ShownDirection()

    def wire(self, report: Mapping[str, Any], now_ms: float) -> dict[str, Any]:
        """Lamps and FETs as the bench's `wire` has them; {} where the report does not tell."""
        try:
            state = self._states.index(report["state"])
            direction = self._states.index(report["direction"])
        except (KeyError, ValueError):
            return {}
        alarms, trips = (self._bits(report.get(name) or ()) for name in ("alarms", "protections"))
        lamps = self._lamps
        terminals = (report.get("pack_mv") or 0) - (report.get("stack_mv") or 0)
        shown = self._shown.step(direction, trips, terminals > _SEEN_MV)
        row = (lamps.bar_row_for(state, shown, trips, False) if self._is_bar else
               lamps.row_for(state, shown, alarms, trips))
        word = lamps.lamp_word(row, report.get("soc_cpct") or 0, int(now_ms) // lamps.TICK_MS)
        actual = report.get("fets") or ()
        return {"lamps": {"run": int(bool(word & lamps.RUN)), "alm": int(bool(word & lamps.ALM)),
                          "onoff": int(bool(word & lamps.ONOFF)),
                          "cap": [word >> i & 1 for i in range(6)]},
                "fets": {name: int(name in actual) for name in ("chg", "dsg")}}

    def _bits(self, ids: Iterable[str]) -> int:
        return int(self._rules.mask_of(*ids))
