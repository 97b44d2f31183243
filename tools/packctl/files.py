"""Files of a pack: backups of its parameters, exported records, values over time as CSV."""

from __future__ import annotations

import csv
import datetime
import json
import pathlib
from collections.abc import Iterable
from typing import IO, Any

from .client import Client
from .errors import BadFile
from .pack import Pack, Status

KIND = "packctl backup"
COLUMNS = ("time", "state", "soc_pct", "soc_bound_pct", "pack_v", "current_a", "min_cell_v",
           "max_cell_v", "min_temp_c", "max_temp_c", "charge_limit_a", "discharge_limit_a",
           "charge_on", "discharge_on", "active")
_SKIPPED = ("bench_enable",)        # a bench's, not the pack's


def now_text() -> str:
    """Now, UTC."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_json(path: pathlib.Path, data: object) -> None:
    """Write *data*; the file before it stays whole until the new one is."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BadFile(f"{path} cannot be written: {error.strerror}.") from None


def read_json(path: pathlib.Path) -> Any:
    """What write_json wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise BadFile(f"{path} is no JSON file.") from None


# ---- parameters ----------------------------------------------------------------------------


def backup(pack: Pack) -> dict[str, Any]:
    """Everything that is set on a pack, calibration included."""
    hello = pack.hello()
    return {"kind": KIND, "time": now_text(), "serial": hello.get("serial", ""),
            "profile": hello.get("profile", ""), "version": hello.get("version", ""),
            "params": {p.name: p.value for p in pack.params(fresh=True).values()}}


def values_of(data: Any, where: str) -> dict[str, int]:
    """The parameters of a backup; BadFile where it is none."""
    params = data.get("params") if isinstance(data, dict) else None
    if not isinstance(params, dict) or not all(
            isinstance(name, str) and isinstance(value, int) for name, value in params.items()):
        raise BadFile(f"{where} is no backup of a pack's parameters.")
    return {name: value for name, value in params.items() if name not in _SKIPPED}


def differences(pack: Pack, wanted: dict[str, int]) -> tuple[dict[str, int], list[str]]:
    """What of *wanted* the pack has otherwise, and the names that it does not know."""
    have = pack.params(fresh=True)
    changed = {name: value for name, value in wanted.items()
               if name in have and have[name].value != value}
    return changed, [name for name in wanted if name not in have]


# ---- records -------------------------------------------------------------------------------


def export(client: Client) -> dict[str, Any]:
    """The records with what a replay needs beside them: profile and parameters of now."""
    hello = client.hello()
    params = client.params(fresh=True)
    return {"profile": hello["profile"], "version": hello["version"],
            "params": {p.name: p.value for p in params.values()},
            "ids": {str(p.id): p.name for p in params.values()},
            "events": client.events()}


# ---- values over time ----------------------------------------------------------------------


def csv_row(status: Status, time_text: str | None = None) -> dict[str, Any]:
    """One line of a CSV file: COLUMNS."""
    cells = [v for v in status.cells_v if v is not None]
    temps = [c for c in status.temps_c if c is not None]
    active = [cause.id for cause in status.faults + status.protections + status.alarms]
    return {
        "time": time_text or now_text(), "state": status.state, "soc_pct": status.soc_pct,
        "soc_bound_pct": status.soc_bound_pct, "pack_v": status.pack_v,
        "current_a": status.current_a, "min_cell_v": min(cells, default=None),
        "max_cell_v": max(cells, default=None), "min_temp_c": min(temps, default=None),
        "max_temp_c": max(temps, default=None), "charge_limit_a": status.charge_limit_a,
        "discharge_limit_a": status.discharge_limit_a, "charge_on": int(status.charge_on),
        "discharge_on": int(status.discharge_on), "active": " ".join(dict.fromkeys(active))}


def write_csv(statuses: Iterable[Status], out: IO[str]) -> None:
    """Log *statuses* to *out*, a line each as it comes."""
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for status in statuses:
        writer.writerow(csv_row(status))
        out.flush()


def read_csv(path: pathlib.Path) -> list[dict[str, str]]:
    """Lines of a file of write_csv."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadFile(f"{path} cannot be read: {error}.") from None
    if not rows or "time" not in rows[0] or "pack_v" not in rows[0]:
        raise BadFile(f"{path} holds no values of a pack; packctl monitor --csv makes such files.")
    return rows
