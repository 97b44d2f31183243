"""Replays an exported log through the firmware's own decision code (REC-03).

A log holds the profile, the parameters of now and the event records, as files.export() makes it.
Each alarm and protection is put to the protection table again, in a healthy pack with the recorded
value and the parameters of that moment (records of changes are walked back): does it come, and
with the recorded limit? What the AFE tripped by itself, or has no reading of its own, is not
judged.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple

from . import decisions
from .errors import BadFile

_LONGEST_STEPS = 700            # of 100 ms: beyond the longest delay
_HEALTHY = {"MAX_CELL_MV": 3310, "MIN_CELL_MV": 3305, "CELL_DIFF_MV": 5, "CELL_SUM_MV": 52_900,
            "STACK_MV": 52_900, "PACK_MV": 52_900, "CURRENT_MA": 0, "CHARGE_MA": 0,
            "DISCHARGE_MA": 0, "MIN_TEMP_DC": 240, "MAX_TEMP_DC": 260, "MOS_DC": 300,
            "AMBIENT_DC": 250, "SOC_CPCT": 5000, "REVERSED": 0}
AGREES, CONTRADICTS, NOT_JUDGED = "agrees", "contradicts", "not judged"


class Verdict(NamedTuple):
    """On one record. item: id of the specification; event: "alarm" or "trip"."""

    seq: int
    item: str
    event: str
    verdict: str
    why: str


class _Firmware:
    """The modules that decide."""

    def __init__(self) -> None:
        self.rules = decisions.module("bms.words.rules")
        self.readings = decisions.module("bms.words.readings")
        self.parameters = decisions.module("bms.words.parameters")
        self.protection = decisions.module("bms.protect.protection")


def replay(log: Mapping[str, Any]) -> list[Verdict]:
    """A Verdict for each alarm and trip, oldest first."""
    if not (isinstance(log, Mapping) and isinstance(log.get("params"), Mapping)
            and isinstance(log.get("ids"), Mapping) and isinstance(log.get("events"), list)):
        raise BadFile("This is no log of a pack; packctl log --out FILE makes one.")
    firmware = _Firmware()
    values = dict(log["params"])
    known = True                    # the parameters of the moment
    rows = []
    for event in reversed(log["events"]):
        if event["event"] == "parameter":
            if event["item"] is None:           # all restored: what they were is not recorded
                known = False
                continue
            name = log["ids"].get(str(event["item"] | max(0, event["cell"]) << 8))
            if name:
                values[name] = event["limit"]   # what it was before
        elif event["event"] in ("alarm", "trip"):
            verdict, why = (judge(firmware, event, values) if known else
                            (NOT_JUDGED, "all parameters were restored later"))
            item = firmware.rules.item_row(event["item"])
            rows.append(Verdict(event["seq"], item[0] if item else str(event["item"]),
                                event["event"], verdict, why))
    return rows[::-1]


def judge(firmware: Any, event: Mapping[str, Any], values: Mapping[str, int]) -> tuple[str, str]:
    """(verdict, why) of one alarm or trip record under the parameters *values*."""
    rules, rd = firmware.rules, firmware.readings
    item = rules.item_row(event["item"])
    if item is None:
        return NOT_JUDGED, "this firmware has no such item"
    healthy = {getattr(rd, name): value for name, value in _HEALTHY.items()}
    reading = item[rules.READING]
    if reading not in healthy or (event["value"] == 0 and reading != rd.SOC_CPCT):
        return NOT_JUDGED, "no reading of its own: tripped by the AFE"
    params = firmware.parameters.Parameters()
    refused = params.take_over([(row[0], values[row[1]]) for row in firmware.parameters.TABLE
                                if row[1] in values])
    if refused:
        return NOT_JUDGED, f"parameters of that moment do not fit together: {refused}"
    protection = firmware.protection.Protection(params)
    readings = array("i", [rd.NO_READING] * rd.COUNT)
    for slot, value in healthy.items():
        readings[slot] = value
    is_trip = event["event"] == "trip"
    flag = firmware.protection.TRIPPED if is_trip else firmware.protection.ALARM
    readings[reading] = event["value"]
    place = rules.ITEMS.index(item)
    seen: dict[int, int] = {}
    for _ in range(_LONGEST_STEPS):
        if protection.step(readings, 100, 0, 0):
            protection.take_changes(lambda i, before, now: seen.__setitem__(i, now))
        if seen.get(place, 0) & flag:
            limit = protection.limit_of(place, flag)
            if limit != event["limit"]:
                return CONTRADICTS, f"limit {limit}, recorded {event['limit']}"
            return AGREES, f"{event['value']} against {limit}"
    return CONTRADICTS, f"{event['value']} does not raise it"
