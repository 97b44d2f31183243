#!/usr/bin/env python3
"""Replays an exported log through the firmware's own decision code (REC-03).

    .venv/bin/python tools/client/replay.py --port PORT --out pack.json  read and replay
    .venv/bin/python tools/client/replay.py pack.json                    replay a file

A file holds the profile, the parameters of now and the event records, as export() makes it. Each
alarm and protection is put to the protection table again, in a healthy pack with the recorded
value and the parameters of that moment (records of changes are walked back): does it come, and
with the recorded limit? What the AFE tripped by itself, or has no reading of its own, is not
judged.
"""

import argparse
import json
import pathlib
import sys
from array import array

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402

rooms.use(rooms.MOCKS, rooms.ROOT / "lib", rooms.ROOT / "firmware")

from bms.words import rules  # noqa: E402
from bms.words import readings as rd  # noqa: E402
from bms.words.parameters import TABLE, Parameters  # noqa: E402
from bms.protect.protection import ALARM, TRIPPED, Protection  # noqa: E402

_LONGEST_STEPS = 700            # of 100 ms: beyond the longest delay
_HEALTHY = {rd.MAX_CELL_MV: 3310, rd.MIN_CELL_MV: 3305, rd.CELL_DIFF_MV: 5,
            rd.CELL_SUM_MV: 52_900, rd.STACK_MV: 52_900, rd.PACK_MV: 52_900, rd.CURRENT_MA: 0,
            rd.CHARGE_MA: 0, rd.DISCHARGE_MA: 0, rd.MIN_TEMP_DC: 240, rd.MAX_TEMP_DC: 260,
            rd.MOS_DC: 300, rd.AMBIENT_DC: 250, rd.SOC_CPCT: 5000, rd.REVERSED: 0}
AGREES, CONTRADICTS, NOT_JUDGED = "agrees", "contradicts", "not judged"


def export(client):
    """What replay() takes, from a link.Client."""
    hello = client.hello()
    params = client.params(fresh=True)
    return {"profile": hello["profile"], "version": hello["version"],
            "params": {p.name: p.value for p in params.values()},
            "ids": {str(p.id): p.name for p in params.values()},
            "events": client.events()}


def replay(log):
    """[(seq, id of the item, "alarm" or "trip", verdict, why)], oldest first."""
    values = dict(log["params"])
    rows = []
    for event in reversed(log["events"]):
        if event["event"] == "parameter":
            name = log["ids"].get(str(event["item"] | max(0, event["cell"]) << 8))
            if name:
                values[name] = event["limit"]       # what it was before
        elif event["event"] in ("alarm", "trip"):
            verdict, why = judge(event, values)
            rows.append((event["seq"], rules.ITEMS[event["item"]][0], event["event"], verdict,
                         why))
    return rows[::-1]


def judge(event, values):
    """(verdict, why) of one alarm or trip record under the parameters *values*."""
    item = rules.ITEMS[event["item"]]
    reading = item[rules.READING]
    if reading not in _HEALTHY or (event["value"] == 0 and reading != rd.SOC_CPCT):
        return NOT_JUDGED, "no reading of its own: tripped by the AFE"
    params = Parameters()
    refused = params.take_over([(row[0], values[row[1]]) for row in TABLE if row[1] in values])
    if refused:
        return NOT_JUDGED, f"parameters of that moment do not fit together: {refused}"
    protection = Protection(params)
    readings = array("i", [rd.NO_READING] * rd.COUNT)
    for slot, value in _HEALTHY.items():
        readings[slot] = value
    flag = TRIPPED if event["event"] == "trip" else ALARM
    readings[reading] = event["value"]
    seen = {}
    for _ in range(_LONGEST_STEPS):
        if protection.step(readings, 100, 0, 0):
            protection.take_changes(lambda i, before, now: seen.__setitem__(i, now))
        if seen.get(event["item"], 0) & flag:
            limit = protection.limit_of(event["item"], flag)
            if limit != event["limit"]:
                return CONTRADICTS, f"limit {limit}, recorded {event['limit']}"
            return AGREES, f"{event['value']} against {limit}"
    return CONTRADICTS, f"{event['value']} does not raise it"


def main(argv=None):
    parser = argparse.ArgumentParser(description="Replay a log through the decision code")
    parser.add_argument("file", nargs="?", type=pathlib.Path)
    parser.add_argument("--port", help="read a pack on this serial port")
    parser.add_argument("--out", type=pathlib.Path, help="where to keep what was read")
    args = parser.parse_args(argv)
    if args.port:
        import link
        log = export(link.Client(link.StreamExchange(link.open_serial(args.port))))
        if args.out:
            args.out.write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    elif args.file:
        log = json.loads(args.file.read_text(encoding="utf-8"))
    else:
        parser.error("a file, or --port")
    rows = replay(log)
    for row in rows:
        print(*row)
    bad = sum(row[3] == CONTRADICTS for row in rows)
    print(f"{len(log['events'])} records, {len(rows)} alarms and trips, {bad} contradict")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
