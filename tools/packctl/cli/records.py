"""Commands about records and values over time: log replay plot."""

from __future__ import annotations

import pathlib
import time
from typing import Annotated, Any, Optional

import typer
from rich.markup import escape

from .. import files, plotting, units
from ..pack import Pack
from .look import local
from .session import Session, command

_FOLLOW_S = 1.0


def event_text(record: dict[str, Any], unit: str) -> str:
    """A record in words: what happened, to what, at which value and limit."""
    kind = str(record.get("event")).replace("_", " ")
    name, words = record.get("name"), record.get("words")
    text = kind
    if record.get("event") == "state":
        return f"state {record.get('before')} -> {name}".replace("_", "-")
    if words:
        text += f": {words} ({name})"
    elif name is not None:
        text += f": {name}"
    cell = record.get("cell")
    if words and cell is not None and cell >= 0:
        text += f", cell {cell}"
    if words and unit:
        text += f", {units.shown(record.get('value'), unit)}"
        if record.get("limit"):
            text += f", limit {units.shown(record['limit'], unit)}"
    elif record.get("event") == "parameter" and name != "all restored":
        text += f" = {record.get('value')}, was {record.get('limit')}"
    return text


def unit_of(pack: Pack, record: dict[str, Any]) -> str:
    """Unit of a record's value and limit."""
    return next((name.unit for name in pack.names().values() if name.id == record.get("name")), "")


def _line(pack: Pack, record: dict[str, Any]) -> str:
    return f"{record['seq']:>6}  {local(record.get('time'))}  " \
           f"{event_text(record, unit_of(pack, record))}"


def log(session: Session,
        count: Annotated[int, typer.Argument(help="How many of the newest; 0 for all.")] = 20,
        follow: Annotated[bool, typer.Option("--follow", "-f",
                                             help="Go on with new ones as they come.")] = False,
        out: Annotated[Optional[pathlib.Path], typer.Option(
            "--out", metavar="FILE",
            help="Export all of them with the parameters of now, for packctl replay.")] = None,
        ) -> None:
    """Event records, newest last, times local.

    \b
    packctl log
    packctl log 0 --json > all.json
    packctl log --follow
    packctl log --out pack7-log.json
    """
    pack = session.pack
    if out is not None:
        with session.progress() as bar:
            bar.add_task("reading records", total=None)
            data = files.export(pack)
        files.write_json(out, data)
        session.tell({"file": str(out), "events": len(data["events"])},
                     f"{len(data['events'])} records are in {out}")
        return
    newest = int(pack.report().get("events") or 0)
    with session.progress() as bar:
        bar.add_task("reading records", total=None)
        records = pack.events(max(0, newest - count) if count else 0)[-count:]
    if session.as_json and not follow:
        session.tell(records, "")
        return
    while True:
        for record in records:
            session.tell(record, _line(pack, record))
            newest = max(newest, record["seq"])
        if not follow:
            return
        time.sleep(_FOLLOW_S)
        records = pack.events(newest)


def replay(session: Session,
           file: Annotated[Optional[pathlib.Path], typer.Argument(
               help="A file of packctl log --out; the pack's own log where none is given.")]
           = None) -> None:
    """Put each alarm and trip of a log to the firmware's own decision code again (REC-03).

    \b
    packctl replay pack7-log.json
    packctl replay                     the log of the pack on the port
    """
    from .. import replaying
    data = files.read_json(file) if file is not None else files.export(session.pack)
    rows = replaying.replay(data)
    bad = sum(row.verdict == replaying.CONTRADICTS for row in rows)

    def text() -> None:
        for row in rows:
            session.console.print(f"{row.seq:>6}  {row.item}  {row.event:<5}  {row.verdict}: "
                                  f"{escape(row.why)}")
        print(f"{len(data['events'])} records, {len(rows)} alarms and trips, {bad} contradict")
    session.tell({"records": len(data["events"]), "contradict": bad,
                  "rows": [row._asdict() for row in rows]}, text)
    if bad:
        raise typer.Exit(1)


def plot(session: Session,
         file: Annotated[Optional[pathlib.Path], typer.Argument(
             help="A file of packctl monitor --csv; the pack itself where none is given.")] = None,
         seconds: Annotated[int, typer.Option("--seconds", "-s", min=2,
                                              help="How long to look at the pack.")] = 30,
         svg: Annotated[Optional[pathlib.Path], typer.Option(
             "--svg", metavar="FILE", help="Draw a picture instead.")] = None) -> None:
    """Voltage, current, state of charge and temperatures over time.

    \b
    packctl plot night.csv
    packctl plot night.csv --svg night.svg
    packctl plot --seconds 60
    """
    if file is not None:
        rows: list[dict[str, Any]] = list(files.read_csv(file))
    else:
        rows = []
        with session.progress() as bar:
            task = bar.add_task("looking", total=seconds)
            for status in session.pack.watch(1.0, seconds):
                rows.append(files.csv_row(status))
                bar.advance(task)
    series = plotting.series_of(rows)
    if svg is not None:
        plotting.write_svg(svg, series)
        session.tell({"file": str(svg)}, f"the picture is in {svg}")
        return
    session.tell({s.name: s.values for s in series},
                 lambda: print(plotting.text_of(series, min(session.console.width, 120))))


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for function in (log, replay, plot):
        app.command(rich_help_panel="Records")(command(function))
