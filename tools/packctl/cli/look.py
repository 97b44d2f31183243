"""Commands that look: ports status monitor why limits codes bus profile."""

from __future__ import annotations

import datetime
import pathlib
from dataclasses import asdict
from typing import Annotated, Any, Optional

import typer
from rich.markup import escape
from rich.table import Table

from .. import decisions, files
from ..errors import BadFile, PackError
from ..pack import Cause, Pack, Status, connect
from ..ports import list_ports, there_are
from .session import Session, command, need

_BAR = 24


def ports(session: Session, ask: Annotated[bool, typer.Option(
        "--ask", help="Ask on each port whether a pack is there.")] = False) -> None:
    """The serial ports of this computer.

    \b
    packctl ports
    packctl ports --ask      which of them has a pack
    """
    rows = []
    for port in list_ports():
        row: dict[str, Any] = {"port": port.name, "what": port.what, "usb": port.usb}
        if ask:
            try:
                with connect(port.name, timeout_s=0.3) as pack:
                    hello = pack.hello()
                    row["pack"] = f"packctl {hello.get('version')}, {hello.get('serial')}"
            except PackError as error:
                row["pack"] = str(error)
        rows.append(row)

    def text() -> None:
        if not rows:
            print(there_are([]))
        for row in rows:
            print("  ".join(str(row[key]) for key in ("port", "what", "pack") if row.get(key)))
    session.tell(rows, text)


# ---- status --------------------------------------------------------------------------------


def _value(value: float | None, digits: int, unit: str, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.{digits}f} {unit}"


def cell_bar(value: float | None, low: float, high: float, width: int = _BAR) -> str:
    """A bar from *low* to *high*."""
    if value is None:
        return "·" * width
    full = round((value - low) / max(high - low, 0.001) * width)
    full = max(0, min(width, full))
    return "█" * full + "·" * (width - full)


def status_json(pack: Pack, status: Status) -> dict[str, Any]:
    """A Status for programs: its fields in the usual units, and the pack's own report."""
    return {"hello": pack.hello(), **asdict(status)}


def _causes(session: Session, title: str, causes: list[Cause], style: str) -> None:
    for cause in causes:
        session.console.print(f"  [{style}]{title:<11}[/] {escape(str(cause))}")
        if cause.ends:
            session.console.print(f"  {'':<11} [dim]{escape(cause.ends)}[/]")


def print_status(session: Session, pack: Pack, status: Status, cells: bool) -> None:
    """A Status for a person."""
    hello = pack.hello()
    say = session.console.print
    bound = "" if status.soc_bound_pct is None else f" ± {status.soc_bound_pct:.1f}"
    guess = " (a guess)" if status.report.get("soc_is_guess") else ""
    soc = "–" if status.soc_pct is None else f"{status.soc_pct:.1f}{bound} %{guess}"
    say(f"[bold]{escape(status.state.replace('_', '-'))}[/]  SOC {soc}  "
        f"{_value(status.pack_v, 2, 'V')}  {_value(status.current_a, 2, 'A', '+')}")
    fets = " ".join(f"{name} {'closed' if on else 'open'}" for name, on in
                    (("charge FET", status.charge_on), ("discharge FET", status.discharge_on)))
    known = [v for v in status.cells_v if v is not None]
    temps = [c for c in status.temps_c if c is not None]
    say(f"  {'FETs':<11} {fets}")
    if known:
        say(f"  {'cells':<11} {min(known):.3f} to {max(known):.3f} V, "
            f"{1000 * (max(known) - min(known)):.0f} mV apart")
    if temps:
        say(f"  {'temperature':<11} {min(temps):.1f} to {max(temps):.1f} °C")
    say(f"  {'limits':<11} {_value(status.charge_limit_a, 1, 'A')} in up to "
        f"{_value(status.charge_voltage_v, 2, 'V')}, {_value(status.discharge_limit_a, 1, 'A')} "
        "out" + (" (packctl limits says why)" if status.limit_reasons else ""))
    _causes(session, "fault", status.faults, "bold red")
    _causes(session, "protection", status.protections, "red")
    tripped = {cause.id for cause in status.protections}
    _causes(session, "alarm", [c for c in status.alarms if c.id not in tripped], "yellow")
    _causes(session, "locked", status.locked, "bold red")
    if status.is_healthy:
        say("  nothing is wrong")
    if cells and known:
        low, high = min(known) - 0.02, max(known) + 0.02
        for i, volts in enumerate(status.cells_v):
            say(f"  cell {i:<2} {_value(volts, 3, 'V'):>8} {cell_bar(volts, low, high)}")
    say(f"  firmware {escape(hello.get('version', '–'))} on {escape(hello.get('board', '–'))}, "
        f"profile {escape(hello.get('profile', '–'))}, serial {escape(hello.get('serial', '–'))}",
        style="dim")


def status(session: Session, cells: Annotated[bool, typer.Option(
        "--cells", "-c", help="Each cell as well.")] = False) -> None:
    """What the pack is doing now, and what is wrong.

    \b
    packctl status
    packctl status --cells
    packctl status --json | jq .soc_pct
    """
    pack = session.pack
    now = pack.status()
    session.tell(status_json(pack, now) if session.as_json else None,
                 lambda: print_status(session, pack, now, cells))


# ---- monitor -------------------------------------------------------------------------------


def monitor(
        session: Session,
        every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between looks.")]
        = 1.0,
        count: Annotated[Optional[int], typer.Option("--count", "-n", min=1,
                                                     help="End after so many lines.")] = None,
        screen: Annotated[bool, typer.Option("--screen", hidden=True)] = False,
        plain: Annotated[bool, typer.Option("--plain", help="A line each time, no screen.")]
        = False,
        csv: Annotated[Optional[pathlib.Path], typer.Option(
            "--csv", metavar="FILE", help="Log to a CSV file, - for standard output.")] = None,
        serve: Annotated[bool, typer.Option(
            "--serve", help="Show the screen in a web browser.")] = False,
        host: Annotated[str, typer.Option("--host", help="Address for --serve.")] = "127.0.0.1",
        web_port: Annotated[int, typer.Option("--web-port", help="TCP port for --serve.")] = 8000,
        ) -> None:
    """The pack live: a screen in a terminal, lines elsewhere, or the screen in a browser.

    \b
    packctl monitor
    packctl monitor --plain --every 5
    packctl monitor --csv night.csv --every 10
    packctl monitor --serve      then open http://127.0.0.1:8000
    """
    is_live = session.console.is_terminal and not (plain or csv or session.as_json or count)
    if serve or screen or is_live:
        try:
            from ..screen import run
        except ImportError as error:
            raise need("screen", error) from None
        run.monitor(session.how, every, (host, web_port) if serve else None)
        return
    statuses = session.pack.watch(every, count)
    if csv is not None and str(csv) != "-":
        try:
            with open(csv, "w", encoding="utf-8", newline="") as out:
                files.write_csv(statuses, out)
        except OSError as error:
            raise BadFile(f"{csv} cannot be written: {error.strerror}.") from None
    elif csv is not None:
        import sys
        files.write_csv(statuses, sys.stdout)
    else:
        for now in statuses:
            row = files.csv_row(now)
            session.tell(row, " ".join(f"{name}={'-' if value in (None, '') else value}"
                                       for name, value in row.items()))


# ---- questions -----------------------------------------------------------------------------


def why(session: Session) -> None:
    """What opened a FET last: item, cell, value, limit and age."""
    text = session.pack.why()
    session.tell({"why": text}, text)


def limits(session: Session) -> None:
    """The limits told to the inverter, and why each is below nominal."""
    pack = session.pack
    now = pack.status()
    reasons = pack.limits()
    data = {"charge_limit_a": now.charge_limit_a, "discharge_limit_a": now.discharge_limit_a,
            "charge_voltage_v": now.charge_voltage_v, "reasons": reasons}

    def text() -> None:
        print(f"charge {_value(now.charge_limit_a, 1, 'A')} up to "
              f"{_value(now.charge_voltage_v, 2, 'V')}, "
              f"discharge {_value(now.discharge_limit_a, 1, 'A')}")
        for line in reasons:
            print(f"  {line}")
    session.tell(data, text)


def codes(session: Session, code: Annotated[Optional[int], typer.Argument(
        help="What this one means, whether it holds or not.")] = None) -> None:
    """Fault and alarm codes of the AS1 that hold, or the text of any.

    \b
    packctl codes
    packctl codes 54
    """
    lines = session.pack.codes(code)
    session.tell(lines, "\n".join(lines))


def bus(session: Session, names: Annotated[bool, typer.Option(
        "--names", help="The inverters that can be chosen by name, each with the parameter and "
        "the value that does it.")] = False) -> None:
    """The packs on the parallel bus that are summed up here.

    \b
    packctl bus
    packctl bus --names
    """
    if names:
        listed = decisions.module("protocols.pace_names")
        lines = [line for row in (listed.CAN, listed.RS485) for line in listed.lines(row)]
        session.tell(lines, "\n".join(lines))
        return
    modules = session.pack.modules()

    def text() -> None:
        table = Table(box=None, pad_edge=False)
        for name in ("address", "SOC", "current", "in", "out", "FETs", "heard", "waits for"):
            table.add_column(name, justify="left" if name in ("FETs", "waits for") else "right")
        for m in modules:
            fets = f"chg {'closed' if m.charge_on else 'open'}, " \
                   f"dsg {'closed' if m.discharge_on else 'open'}"
            table.add_row(str(m.address), f"{m.soc_pct:.1f} %", f"{m.current_a:+.2f} A",
                          f"{m.charge_limit_a:.1f} A", f"{m.discharge_limit_a:.1f} A", fets,
                          f"{m.age_s:.1f} s ago", m.waits_for)
        session.console.print(table)
        if not modules:
            print("no pack is summed up here: this one is a slave, or still starting")
    session.tell([asdict(m) for m in modules], text)


def profile(session: Session, name: Annotated[Optional[str], typer.Argument(
        help="The profile to choose; it holds from the next reset on.")] = None) -> None:
    """The product that the pack is set up for, or choose another one.

    \b
    packctl profile
    packctl profile b1-5.1-48
    """
    text = session.pack.profile(name)
    session.tell({"profile": text.splitlines()}, text)


def local(text: str | None) -> str:
    """A UTC time of a record as this computer's local time."""
    if not text:
        return "–"
    when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for function in (ports, status, monitor, why, limits, codes, bus, profile):
        app.command(rich_help_panel="Look")(command(function))
