"""The overview of a pack, drawn with rich: front panel, cells, values, what is wrong, trends.

render(view, width, height) draws all of it from 80 x 24 up; less gets a request for more room.
"""

from __future__ import annotations

import io
import pathlib
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .. import units
from ..plotting import sparkline
from .view import View

MIN_WIDTH, MIN_HEIGHT = 80, 24
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FAR_MV = 15                    # report and truth of a cell that differ by more are both shown
_MASK = (1 << 30) - 1
_SPIN = "|/-\\"
_GREENS = ("#3fae6a", "#2f8f55")  # bars of neighbours, told apart
_TARGETS = {"rp2040": "the UF2 on an emulated Pico", "host": "under CPython",
            "unix": "on MicroPython's unix port"}
_LEAST = {"current": 1.0, "soc": 1.0, "bound": 1.0, "high": 0.01, "low": 0.01}
_BLOCKED = {("chg",): "charging is blocked", ("dsg",): "discharging is blocked",
            ("chg", "dsg"): "charging and discharging are blocked"}

# ---- small pieces ------------------------------------------------------------------------


def scaled(value: float | None, by: int, decimals: int, unit: str) -> str:
    """A reading in larger units; a dash where there is none."""
    return f"– {unit}" if value is None else f"{value / by:.{decimals}f} {unit}"


def _rows(*rows: tuple[str, str | Text]) -> Table:
    """Two columns: name, value (a string or Text)."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(style="grey62", no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def _box(content: RenderableType, title: str, **more: Any) -> Panel:
    return Panel(content, title=title, title_align="left", box=box.ROUNDED,
                 border_style="grey50", padding=(0, 1), **more)


def lamp(lit: object, colour: str) -> Text:
    """A lamp, told apart without colours too."""
    return Text("▐███▌", f"bold {colour}") if lit else Text(" ░░░ ", "grey35")


def bar(mv: int | None, scale: tuple[int, int], width: int, style: str) -> Text:
    """A bar on *scale*, in steps of an eighth of a character."""
    share = 0.0 if mv is None else (mv - scale[0]) / (scale[1] - scale[0])
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, part = divmod(eighths, 8)
    drawn = "█" * whole + (_EIGHTHS[part] if part else "")
    text = Text(drawn, style)
    return text.append("·" * (width - len(drawn)), "grey30")


def soc_bar(cpct: int | None, bound_cpct: int | None, width: int) -> Text:
    """State of charge, and in grey as far as it may be off either way."""
    if cpct is None:
        return Text("·" * width, "grey30")
    bound = bound_cpct or 0
    low, high = (max(0, min(10_000, cpct + way * bound)) for way in (-1, 1))
    text = Text()
    for i in range(width):
        at = (i + 0.5) * 10_000 / width
        text.append("█" if at < low else "▒" if at < high else "·",
                    "#3fae6a" if at < low else "#7f9f6a" if at < high else "grey30")
    return text


# ---- the parts of the picture --------------------------------------------------------------


def header(view: View) -> Table:
    """One line: what pack this is, and what time it has."""
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True, overflow="crop")
    grid.add_column(justify="right", no_wrap=True)
    left = Text(" packctl", "bold")
    left.append(f" {view.hello.get('version', '')} · ", "default")
    left.append(_TARGETS.get(view.board, view.board), "cyan")
    if view.controls is None:
        left.append(f" · {view.hello.get('profile', '')} {view.hello.get('serial', '').strip()}")
    right = Text()
    if view.controls is not None:
        clock, what = view.controls.clock(view.t_ms)
        right.append(f"{clock} ", "bold yellow").append(f"{what}  ", "yellow")
        right.append(f"t {view.t_ms / 1000:.0f} s  ")
    if view.lost:
        right.append("not seen ", "bold white on red3")
    elif view.paused:
        right.append("paused ", "bold black on yellow")
    else:
        if view.controls is not None:
            right.append("speed " + ("–" if view.speed is None else f"{view.speed:.2f}") + " ")
        right.append(f"{_SPIN[view.frame % len(_SPIN)]} ", "grey50")
    grid.add_row(left, right)
    return grid


def front(view: View, width: int) -> Panel:
    """The front panel as on the case; the connectors are its lower edge."""
    wire = view.wire
    lamps = wire.get("lamps", {})
    caps = lamps.get("cap", [0] * 6)
    grid = Table.grid(padding=(0, 2 if width >= 100 else 1))
    parts = [("ON/OFF", lamp(lamps.get("onoff"), "green1")),
             ("RUN", lamp(lamps.get("run"), "green1")),
             ("ALM", lamp(lamps.get("alm"), "#ff5f5f")), ("", Text(""))]
    parts += [(f"L{i + 1}", lamp(on, "green1")) for i, on in enumerate(caps)]
    for _ in parts:
        grid.add_column(justify="center")
    grid.add_column(no_wrap=True)
    more = Text(" buzzer ", "grey62")
    more.append("on" if wire.get("buzzer") else "off" if "buzzer" in wire else "–",
                "bold #ff5f5f" if wire.get("buzzer") else "")
    outputs = wire.get("do") or "––"
    more.append("\n DO1 ", "grey62").append(str(outputs[0]))
    more.append(" DO2 ", "grey62").append(str(outputs[1]))
    more.append(" DIP ", "grey62").append(str(view.report.get("dip", "–")))
    lines = more.split("\n")
    grid.add_row(*[Text(name, "grey70") for name, _ in parts], lines[0])
    grid.add_row(*[drawn for _, drawn in parts], lines[1])
    ports = Text()
    for name, path in view.ports.items():
        ports.append(f" {name} ", "grey62").append(f"{path} ", "cyan")
    return _box(grid, "[bold]front panel", subtitle=ports, subtitle_align="left")


def _cell(view: View, i: int, width: int, is_short: bool) -> Text:
    """One line for cell *i*."""
    cells = view.report.get("cell_mv") or [None] * 16
    truth = view.truth.get("cell_mv") or [None] * 16
    known = [mv for mv in cells if mv is not None]
    mv, true_mv = cells[i], truth[i] if i < len(truth) else None
    top = mv is not None and mv == max(known)
    low = mv is not None and mv == min(known)
    style = _GREENS[i % 2]
    for is_end, item in ((top, "PRO-01"), (low, "PRO-02")):
        if is_end and item in (view.report.get("alarms") or ()):
            style = "yellow1"
        if is_end and item in (view.report.get("protections") or ()):
            style = "#ff5f5f"
    controls = view.controls
    chosen = controls is not None and controls.cell == i
    text = Text("›" if chosen else " ", "bold cyan")
    text.append(f"{i:2d} ", "bold cyan" if chosen else "grey62")
    text.append("   –" if mv is None else f"{mv:4d}", "bold").append(" ")
    notes = Text()
    if top:
        notes.append(" max", "bright_white")
    if low:
        notes.append(" min", "bright_white")
    if i in view.wire.get("balance", ()) or view.report.get("balance_mask", 0) >> i & 1:
        notes.append(" bal", "cyan")
    if controls is not None and controls.wire in (i, i + 1):
        notes.append(" cut", "bold magenta")
    if controls is not None and i in controls.cells:
        notes.append(" set", "bold magenta")
    elif not is_short and mv is not None and true_mv is not None and abs(mv - true_mv) > _FAR_MV:
        notes.append(f" ({true_mv})", "magenta")
    room = width - 9 - (4 if is_short else 8)
    text.append_text(bar(mv, view.scale, max(3, room), style)).append_text(notes)
    return text


def cells(view: View, width: int, columns: int = 2) -> Panel:
    """The cells in *columns*, cell 0 the most negative."""
    count = max(1, len(view.report.get("cell_mv") or [None] * 16))
    lines = -(-count // columns)
    part = (width - 4) // columns - 1
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    for _ in range(columns):
        grid.add_column(ratio=1, no_wrap=True, overflow="crop")
    for row in range(lines):
        grid.add_row(*[_cell(view, i, part, columns > 2) if i < count else Text("")
                       for i in range(row, row + lines * columns, lines)])
    known = view.cells_mv
    spread = f" {min(known)}–{max(known)} mV, {max(known) - min(known)} apart " if known else ""
    title = f"[bold]cells[/bold] bars from {view.scale[0]} to {view.scale[1]} mV"
    return _box(grid, title, subtitle=spread, subtitle_align="right")


def _spark(view: View, name: str, width: int, style: str = "#3fae6a") -> Text:
    trend = list(view.trends[name].values)[-4 * width:]
    return Text(sparkline(trend, width, _LEAST[name]), style)


def pack(view: View, width: int) -> Panel:
    """What is measured; the most important rows first, a low screen shows only those."""
    report, truth = view.report, view.truth
    room = max(4, width - 32)
    current_ma = report.get("current_ma")
    amps = Text("– A" if current_ma is None else f"{current_ma / 1000:+.2f} A", "bold")
    if current_ma is not None and abs(current_ma) > 300:
        amps.append(" in" if current_ma > 0 else " out", "green3" if current_ma > 0 else "orange1")
    amps.append(" " * max(1, 14 - len(amps))).append_text(_spark(view, "current", room))
    soc = Text(scaled(report.get("soc_cpct"), 100, 1, "%"), "bold")
    bound = report.get("soc_uncertainty_cpct")
    if bound is not None:
        soc.append(f" ±{bound / 100:.1f}")
    if report.get("soc_is_guess"):
        soc.append(" guess", "yellow1")
    soc.append(" " * max(1, 14 - len(soc)))
    soc.append_text(soc_bar(report.get("soc_cpct"), bound, max(2, room + 14 - len(soc))))
    actual = set(report.get("fets") or ())
    closed_of = view.wire.get("fets") or {name: name in actual for name in ("chg", "dsg")}
    fets = Text()
    for name in ("chg", "dsg"):
        closed = closed_of.get(name)
        fets.append(name.upper(), "bold" if closed else "grey62")
        fets.append(" closed" if closed else " open", "green3" if closed else "bold #ff5f5f")
        fets.append(" " if name == "chg" else "")
    rows: list[tuple[str, str | Text]] = [
        ("pack", Text(scaled(report.get("pack_mv"), 1000, 2, "V")).append(
            "  stack ", "grey62").append(scaled(report.get("stack_mv"), 1000, 2, ""))),
        ("current", amps), ("SOC", soc), ("FETs", fets)]
    if truth:
        rows.append(("true", Text(f"SOC {100 * truth['soc']:.1f} %", "grey62")))
    rows.append(("limits", f"{scaled(report.get('ccl_ma'), 1000, 0, 'A')} in, "
                           f"{scaled(report.get('dcl_ma'), 1000, 0, 'A')} out"))
    if view.controls is not None:
        rows.append(("at it", Text(view.controls.flow(view.t_ms), "orange1")))
    rows += [("CVL", scaled(report.get("cvl_mv"), 1000, 1, "V")),
             ("holds", f"{scaled(report.get('remaining_mah'), 1000, 1, '')}of "
                       f"{scaled(report.get('full_mah'), 1000, 1, 'Ah')}"),
             ("scan", f"{report.get('seq', '–')}, {report.get('age_ms', '–')} ms old"),
             ("up", f"{report.get('uptime_s', '–')} s")]
    return _box(_rows(*rows), "[bold]pack")


_STATE_STYLE = {"charging": "green1", "discharging": "orange1", "standby": "cyan",
                "protection": "#ff5f5f", "fail": "bold #ff5f5f"}


def causes(view: View) -> list[Text]:
    """What is wrong, the worst first: what, where, what is blocked, what ends it."""
    report = view.report
    found: list[Text] = []
    tripped = list(report.get("protections") or ())
    alarms = [name for name in report.get("alarms") or () if name not in tripped]
    for names, kind, style in ((report.get("faults") or (), "fault", "bold #ff5f5f"),
                               (tripped, "protection", "bold #ff5f5f"),
                               (alarms, "alarm", "bold yellow1")):
        for name in names:
            found.append(Text(f"{kind}: ", style).append(view.called(name), style))
            where = _where(view, name)
            if where:
                found.append(Text(f"  {where}"))
            if name in view.ends:
                found.append(Text(f"  {view.ends[name]}", "grey82"))
    for name in report.get("locked") or ():
        found.append(Text(f"locked: {view.called(name)}", "bold #ff5f5f"))
    return found


def _where(view: View, name: str) -> str:
    record = view.record_of(name)
    if record is None:
        return ""
    parts = []
    if record.get("cell") not in (None, -1):
        parts.append(f"cell {record['cell']}")
    unit = view.kinds.get(name, "")
    if unit:
        parts.append(units.shown(record.get("value"), unit))
        if record.get("limit"):
            parts.append(f"limit {units.shown(record['limit'], unit)}")
    return ", ".join(parts)


def blocked(view: View) -> str:
    """Which directions are open against the wish to use them."""
    report = view.report
    if report.get("power") not in (None, "awake"):
        return "asleep" if report["power"] == "asleep" else str(report["power"])
    actual = report.get("fets")
    if actual is None:
        return ""
    return _BLOCKED.get(tuple(name for name in ("chg", "dsg") if name not in actual), "")


def state(view: View) -> Panel:
    """What the pack makes of it."""
    report = view.got.get("report")
    if view.lost:
        return _box(Text(view.lost, "bold #ff5f5f"), "[bold]state")
    if report is None:
        silent = Text("no report: the pack is silent", "bold #ff5f5f")
        return _box(_rows(("state", silent)), "[bold]state")
    word = str(report.get("state"))
    text = Text(word.replace("_", "-"), f"bold {_STATE_STYLE.get(word, 'white')}")
    what = blocked(view)
    if what:
        text.append(f" · {what}", "bold #ff5f5f")
    lines = [text]
    wrong = causes(view)
    lines += wrong
    temps = [t for t in report.get("temp_dc") or () if t is not None]
    warm = f"{min(temps) / 10:.1f}–{max(temps) / 10:.1f} °C" if temps else "– °C"
    if not wrong:
        lines.append(Text("nothing is wrong", "green3"))
    reasons = ", ".join(report.get("limit_reasons") or ())
    if reasons:
        lines.append(Text("limited: ", "grey62").append(reasons, "yellow1"))
    lines.append(Text("cells ", "grey62").append(warm, "default").append("  MOSFET ", "grey62")
                 .append(scaled(report.get("mos_dc"), 10, 1, "°C"), "default")
                 .append("  ambient ", "grey62")
                 .append(scaled(report.get("ambient_dc"), 10, 1, "°C"), "default"))
    harm = view.truth.get("harm")
    if harm:
        lines.append(Text("harm: ", "bold #ff5f5f").append(
            "; ".join(f"{row[0]} {row[1]}" for row in harm), "#ff5f5f"))
    if view.controls is not None and view.controls.broken():
        lines.append(Text("bench: ", "bold magenta").append("; ".join(view.controls.broken()),
                                                            "magenta"))
    return _box(Text("\n").join(lines), "[bold]state")


_EVENT_STYLE = {"alarm": "yellow1", "trip": "#ff5f5f", "lock": "#ff5f5f",
                "fault": "#ff5f5f", "release": "green3", "alarm_clear": "green3",
                "fault_clear": "green3"}


def event_line(event: dict[str, Any], kinds: dict[str, str] | None = None) -> Text:
    """One event record in words."""
    kind = str(event.get("event"))
    text = Text(kind.replace("_", " ") + " ", _EVENT_STYLE.get(kind, "white"))
    what = event.get("name") or event.get("item")
    if kind == "state":
        was = event.get("before")
        return Text((f"{was} → {what}" if was else str(what)).replace("_", "-"), "white")
    if event.get("words"):
        what = f"{event['words']} ({what})"
    if what:
        text.append(f"{what}", "bold").append(" ")
    if event.get("cell") not in (None, -1) and event.get("words"):
        text.append(f"cell {event['cell']} ", "grey70")
    unit = (kinds or {}).get(str(event.get("name")), "")
    if unit:
        text.append(units.shown(event.get("value"), unit), "grey70")
        if event.get("limit"):
            text.append(f", limit {units.shown(event['limit'], unit)}", "grey50")
    elif kind == "parameter" and event.get("limit") is not None:
        text.append(f"{event.get('value')}, was {event['limit']}", "grey70")
    return text


def events(view: View, rows: int, wide: bool) -> Panel:
    """The newest records, newest first."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(style="grey62", justify="right", no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    start_ms = next((e["uptime_ms"] for e in view.events if e.get("event") == "boot"),
                    view.events[0]["uptime_ms"] if view.events else 0)
    for event in view.events[::-1][:max(1, rows)]:
        after_ms = event["uptime_ms"] - start_ms & _MASK
        grid.add_row(f"{after_ms / 1000:.1f}", event_line(event, view.kinds))
    return _box(grid, "[bold]events[/bold] s after boot" if wide else "[bold]events")


def trends(view: View, width: int) -> Panel:
    """Values over time, a line each."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(style="grey62", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    for name, trend in view.trends.items():
        known = [v for v in trend.values if v is not None]
        digits = 3 if trend.unit == "V" else 1
        span = f"{min(known):.{digits}f} to {max(known):.{digits}f} {trend.unit}" if known else "–"
        style = "orange1" if name == "current" else "#3fae6a"
        grid.add_row(trend.title, _spark(view, name, max(8, width - 44), style), span)
    return _box(grid, "[bold]trends")


def help_line(view: View, width: int) -> Text:
    """The keys that there is room for; page 7 has all of them."""
    last = (("1-7", "pages"), ("q", "quit"))
    keys = () if view.controls is None else tuple(
        key for key in view.controls.help() if key[0] != "q")
    tail = Text()
    for key, what in last:
        tail.append("  ").append(key, "bold cyan").append(f" {what}", "grey70")
    text = Text(no_wrap=True, overflow="crop")
    for key, what in keys:
        more = Text("  " if text else " ").append(key, "bold cyan").append(f" {what}", "grey70")
        if len(text) + len(more) + len(tail) > width:
            break
        text.append_text(more)
    return text.append_text(tail)


def message(view: View) -> Text:
    """What was said last."""
    return Text(" " + view.message, "bold #ff5f5f" if view.is_error else "bold white",
                no_wrap=True, overflow="ellipsis")


# ---- all of it -----------------------------------------------------------------------------


def overview(view: View, width: int, height: int) -> Layout:
    """Panel, cells and what there is room for below."""
    columns = 4 if height < 26 else 2
    count = max(1, len(view.report.get("cell_mv") or [None] * 16))
    sizes = [4, -(-count // columns) + 2]
    left = height - sum(sizes)
    parts = [Layout(front(view, width), size=sizes[0]),
             Layout(cells(view, width, columns), size=sizes[1])]
    lower = Layout(name="lower")
    parts.append(lower)
    if left >= 17:
        parts.append(Layout(trends(view, width), size=7))
        left -= 7
    layout = Layout()
    layout.split_column(*parts)
    pack_width = 34 if width < 100 else 40
    boxes = [Layout(pack(view, pack_width), size=pack_width)]
    if width >= 110:
        rest = width - pack_width
        boxes += [Layout(state(view), size=rest * 11 // 20),
                  Layout(events(view, left - 2, width >= 100))]
    else:
        boxes.append(Layout(state(view)))
    lower.split_row(*boxes)
    return layout


def render(view: View, width: int, height: int) -> Layout:
    """The whole picture for a screen of *width* x *height* characters."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Layout(Text(f"packctl needs a terminal of {MIN_WIDTH} x {MIN_HEIGHT} characters; "
                           f"this one has {width} x {height}. q quits."))
    layout = Layout()
    layout.split_column(Layout(header(view), size=1), Layout(overview(view, width, height - 3)),
                        Layout(message(view), size=1), Layout(help_line(view, width), size=1))
    return layout


# Rich's own frame for an SVG loads fonts from the network; this one takes what the reader has.
_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
    font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def picture(view: View, path: pathlib.Path | str, width: int = 100, height: int = 30,
            title: str = "make run") -> None:
    """Write the picture as SVG to *path*."""
    console = Console(record=True, width=width, height=height, file=io.StringIO(),
                      force_terminal=True, color_system="truecolor", legacy_windows=False)
    console.print(render(view, width, height), height=height)
    console.save_svg(str(path), title=title, code_format=_SVG, unique_id="packctl")
