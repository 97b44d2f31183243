"""The live picture of `make run`: what the rig knows of a pack, drawn with rich.

render(view, width, height) draws anything from 80 x 24 up; less gets a request for more room.
Nothing here asks the rig or waits.
"""

import io
from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import run_day

MIN_WIDTH, MIN_HEIGHT = 80, 24
WIDE_MV = (2_500, 3_700)        # what a bar covers when the cells are far apart
_NARROW_MV = 100                # ... and when they are not, in steps of
_STEP_MV = 50
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FAR_MV = 15                    # report and truth of a cell that differ by more are both shown
_MASK = (1 << 30) - 1
_SPIN = "|/-\\"
_GREENS = ("#3fae6a", "#2f8f55")  # bars of neighbours, told apart
_TARGETS = {"rp2040": "the UF2 on an emulated Pico", "host": "under CPython",
            "unix": "on MicroPython's unix port"}


@dataclass
class View:
    """What is shown.

    got       answer of the rig's `get`: t_ms, wire, truth, report (or None)
    t_ms      simulated time since the pack had booted
    events    newest records of the rig's `events`, oldest first
    scale     (from, to) mV of the cells' bars
    """

    board: str
    hello: dict = field(default_factory=dict)
    ports: dict = field(default_factory=dict)
    got: dict = field(default_factory=dict)
    t_ms: float = 0
    speed: float | None = None
    controls: run_day.Controls = field(default_factory=run_day.Controls)
    events: list = field(default_factory=list)
    message: str = ""
    is_error: bool = False
    paused: bool = False
    frame: int = 0
    scale: tuple = WIDE_MV

    def take(self, got):
        """Take over an answer of `get`."""
        self.got = got
        self.frame += 1
        self.scale = fit_scale(self.scale, (got.get("report") or {}).get("cell_mv") or ())


def fit_scale(scale, cells_mv):
    """The scale for these cells: the present one as long as it does."""
    known = [mv for mv in cells_mv if mv is not None]
    if not known:
        return scale
    low, high = min(known), max(known)
    if scale != WIDE_MV and scale[0] <= low and high <= scale[1]:
        return scale
    start = (low + high - _NARROW_MV) // 2 // _STEP_MV * _STEP_MV
    for narrow in ((start, start + _NARROW_MV), (start + _STEP_MV, start + _STEP_MV + _NARROW_MV)):
        if narrow[0] + 5 <= low and high + 5 <= narrow[1]:
            return narrow
    return WIDE_MV


# ---- small pieces ------------------------------------------------------------------------


def scaled(value, by, decimals, unit):
    """A reading in larger units; a dash where there is none."""
    return f"– {unit}" if value is None else f"{value / by:.{decimals}f} {unit}"


def _rows(*rows):
    """Two columns: name, value (a string or Text)."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(style="grey62", no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def _box(content, title, **more):
    return Panel(content, title=title, title_align="left", box=box.ROUNDED,
                 border_style="grey50", padding=(0, 1), **more)


def lamp(lit, colour):
    """A lamp, told apart without colours too."""
    return Text("▐███▌", f"bold {colour}") if lit else Text(" ░░░ ", "grey35")


def bar(mv, scale, width, style):
    """A bar on *scale*, in steps of an eighth of a character."""
    share = 0 if mv is None else (mv - scale[0]) / (scale[1] - scale[0])
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, part = divmod(eighths, 8)
    drawn = "█" * whole + (_EIGHTHS[part] if part else "")
    text = Text(drawn, style)
    return text.append("·" * (width - len(drawn)), "grey30")


def _words(words, style):
    return Text(" ".join(words), style) if words else Text("none", "grey50")


# ---- the parts of the picture --------------------------------------------------------------


def header(view):
    hour = run_day.hour_at(view.t_ms)
    what = run_day.segment_at(view.t_ms)[3]
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True, overflow="crop")
    grid.add_column(justify="right", no_wrap=True)
    left = Text(" packctl", "bold")
    left.append(f" {view.hello.get('version', '')} · ", "default")
    left.append(_TARGETS.get(view.board, view.board), "cyan")
    right = Text(f"{int(hour):02d}:{int(hour * 60) % 60:02d} ", "bold yellow")
    right.append(f"{what}  ", "yellow")
    right.append(f"t {view.t_ms / 1000:.0f} s  ")
    if view.paused:
        right.append("paused ", "bold black on yellow")
    else:
        right.append("speed " + ("–" if view.speed is None else f"{view.speed:.2f}"))
        right.append(f" {_SPIN[view.frame % len(_SPIN)]} ", "grey50")
    grid.add_row(left, right)
    return grid


def front(view, width):
    """The front panel as on the case; the connectors are its lower edge."""
    wire = view.got.get("wire") or {}
    lamps = wire.get("lamps", {})
    caps = lamps.get("cap", [0] * 6)
    grid = Table.grid(padding=(0, 2 if width >= 100 else 1))
    parts = [("ON/OFF", lamp(lamps.get("onoff"), "green1")),
             ("RUN", lamp(lamps.get("run"), "green1")),
             ("ALM", lamp(lamps.get("alm"), "red1")), ("", Text(""))]
    parts += [(f"L{i + 1}", lamp(on, "green1")) for i, on in enumerate(caps)]
    for _ in parts:
        grid.add_column(justify="center")
    grid.add_column(no_wrap=True)
    more = Text(" buzzer ", "grey62")
    more.append("on" if wire.get("buzzer") else "off", "bold red1" if wire.get("buzzer") else "")
    more.append("\n DO1 ", "grey62").append(str(wire.get("do", "––")[0]))
    more.append(" DO2 ", "grey62").append(str(wire.get("do", "––")[1]))
    more.append(" DIP ", "grey62").append(str((view.got.get("report") or {}).get("dip", "–")))
    lines = more.split("\n")
    grid.add_row(*[Text(name, "grey70") for name, _ in parts], lines[0])
    grid.add_row(*[drawn for _, drawn in parts], lines[1])
    ports = Text()
    for name, path in view.ports.items():
        ports.append(f" {name} ", "grey62").append(f"{path} ", "cyan")
    return _box(grid, "[bold]front panel", subtitle=ports, subtitle_align="left")


def _cell(view, i, width):
    """One line for cell *i*."""
    report = view.got.get("report") or {}
    cells = report.get("cell_mv") or [None] * 16
    truth = (view.got.get("truth") or {}).get("cell_mv") or [None] * 16
    known = [mv for mv in cells if mv is not None]
    mv, true_mv = cells[i], truth[i]
    top = mv is not None and mv == max(known)
    low = mv is not None and mv == min(known)
    style = _GREENS[i % 2]
    for is_end, item in ((top, "PRO-01"), (low, "PRO-02")):
        if is_end and item in report.get("alarms", ()):
            style = "yellow1"
        if is_end and item in report.get("protections", ()):
            style = "red1"
    chosen = view.controls.cell == i
    text = Text("›" if chosen else " ", "bold cyan")
    text.append(f"{i:2d} ", "bold cyan" if chosen else "grey62")
    text.append("   –" if mv is None else f"{mv:4d}", "bold").append(" ")
    notes = Text()
    if top:
        notes.append(" max", "bright_white")
    if low:
        notes.append(" min", "bright_white")
    if i in (view.got.get("wire") or {}).get("balance", ()):
        notes.append(" bal", "cyan")
    if view.controls.wire in (i, i + 1):
        notes.append(" cut", "bold magenta")
    if i in view.controls.cells:
        notes.append(" set", "bold magenta")
    elif mv is not None and true_mv is not None and abs(mv - true_mv) > _FAR_MV:
        notes.append(f" ({true_mv})", "magenta")
    text.append_text(bar(mv, view.scale, max(4, width - 17), style)).append_text(notes)
    return text


def cells(view, width):
    """Sixteen cells in two columns: cell 0 is the most negative."""
    half = (width - 5) // 2
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="crop")
    grid.add_column(ratio=1, no_wrap=True, overflow="crop")
    for i in range(8):
        grid.add_row(_cell(view, i, half), _cell(view, i + 8, half))
    report = view.got.get("report") or {}
    known = [mv for mv in report.get("cell_mv") or () if mv is not None]
    spread = f" {min(known)}–{max(known)} mV, {max(known) - min(known)} apart " if known else ""
    title = f"[bold]cells[/bold] bars from {view.scale[0]} to {view.scale[1]} mV"
    return _box(grid, title, subtitle=spread, subtitle_align="right")


def pack(view):
    """What is measured; the most important rows first, a low screen shows only those."""
    report = view.got.get("report") or {}
    wire = view.got.get("wire") or {}
    truth = view.got.get("truth") or {}
    current_ma = report.get("current_ma")
    amps = Text("– A" if current_ma is None else f"{current_ma / 1000:+.2f} A", "bold")
    if current_ma is not None and abs(current_ma) > 300:
        amps.append(" in" if current_ma > 0 else " out", "green3" if current_ma > 0 else "orange1")
    soc = Text(scaled(report.get("soc_cpct"), 100, 1, "%"), "bold")
    if truth:
        soc.append(f" (true {100 * truth['soc']:.1f})", "grey62")
    fets = Text()
    for name in ("chg", "dsg"):
        closed = (wire.get("fets") or {}).get(name)
        fets.append(name.upper(), "bold" if closed else "grey62")
        fets.append(" closed" if closed else " open", "green3" if closed else "bold red1")
        fets.append(" " if name == "chg" else "")
    charger_ma, load_ma = view.controls.currents(view.t_ms)
    flow = Text(f"{charger_ma / 1000:g} A", "green3").append("  load ", "grey62")
    flow.append(f"{load_ma / 1000:g} A", "orange1")
    return _box(_rows(
        ("pack", Text(scaled(report.get("pack_mv"), 1000, 2, "V")).append(
            "  stack ", "grey62").append(scaled(report.get("stack_mv"), 1000, 2, ""))),
        ("current", amps), ("SOC", soc), ("FETs", fets), ("charger", flow),
        ("limits", f"{scaled(report.get('ccl_ma'), 1000, 0, 'A')} in, "
                   f"{scaled(report.get('dcl_ma'), 1000, 0, 'A')} out"),
        ("holds", f"{scaled(report.get('remaining_mah'), 1000, 1, '')}of "
                   f"{scaled(report.get('full_mah'), 1000, 1, 'Ah')}"),
        ("CVL", scaled(report.get("cvl_mv"), 1000, 1, "V")),
        ("scan", f"{report.get('seq', '–')}, {report.get('age_ms', '–')} ms old"),
        ("up", f"{report.get('uptime_s', '–')} s"),
    ), "[bold]pack")


_STATE_STYLE = {"charging": "green1", "discharging": "orange1", "standby": "cyan",
                "protection": "red1", "fail": "bold red1"}


def state(view, rows):
    """What the pack makes of it, in *rows* lines."""
    report = view.got.get("report")
    if report is None:
        silent = Text("no report: the pack is silent", "bold red1")
        return _box(_rows(("state", silent)), "[bold]state")
    word = str(report.get("state"))
    temps = [t for t in report.get("temp_dc") or () if t is not None]
    warm = f"{min(temps) / 10:.1f}–{max(temps) / 10:.1f} °C" if temps else "– °C"
    first = ("state", Text(word.replace("_", "-"), f"bold {_STATE_STYLE.get(word, 'white')}"))
    active = (("alarm", report.get("alarms"), "bold yellow1"),
              ("protect", report.get("protections"), "bold red1"),
              ("fault", report.get("faults"), "bold red1"))
    reasons = ", ".join(report.get("limit_reasons") or ())
    limited = ("limited", Text(reasons, "yellow1") if reasons else Text("no", "grey50"))
    mos = scaled(report.get("mos_dc"), 10, 1, "°C")
    ambient = scaled(report.get("ambient_dc"), 10, 1, "°C")
    if rows < 8:                                # the worst first, as it may be cut off
        tripped = report.get("protections") or ()
        alarms = [name for name in report.get("alarms") or () if name not in tripped]
        words = Text(" ").join(Text(" ".join(names), style) for names, style in
                               ((report.get("faults"), "bold red1"), (tripped, "bold red1"),
                                (alarms, "bold yellow1")) if names)
        lines = (first, ("active", words if words else Text("nothing", "grey50")), limited,
                 ("cells", warm), ("MOSFET", mos), ("ambient", ambient))
    else:
        lines = (first, *((name, _words(names, style)) for name, names, style in active), limited,
                 ("cells", warm), ("MOSFET", mos), ("ambient", ambient),
                 ("locked", _words(report.get("locked"), "bold red1")))
    return _box(_rows(*lines), "[bold]state")


_EVENT_STYLE = {"alarm": "yellow1", "trip": "red1", "lock": "red1", "fault": "red1",
                "release": "green3", "alarm_clear": "green3", "fault_clear": "green3"}

def event_line(event):
    """One event record in words, as Text."""
    kind = str(event.get("event"))
    text = Text(kind.replace("_", " ") + " ", _EVENT_STYLE.get(kind, "white"))
    what = event.get("name") or event.get("item")
    if kind == "state":
        was = event.get("before")
        return Text((f"{was} → {what}" if was else str(what)).replace("_", "-"), "white")
    if what:
        text.append(f"{what}", "bold").append(" ")
    if event.get("cell") not in (None, -1):
        text.append(f"cell {event['cell']} ", "grey70")
    if event.get("value") or event.get("limit"):
        text.append(f"{event.get('value')}", "grey70")
        if event.get("limit"):
            text.append(f" / {event['limit']}", "grey50")
    return text


def events(view, rows, wide):
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(style="grey62", justify="right", no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    start_ms = next((e["uptime_ms"] for e in view.events if e.get("event") == "boot"),
                    view.events[0]["uptime_ms"] if view.events else 0)
    for event in view.events[::-1][:max(1, rows)]:
        after_ms = event["uptime_ms"] - start_ms & _MASK
        grid.add_row(f"{after_ms / 1000:.1f}", event_line(event))
    return _box(grid, "[bold]events[/bold] s after boot" if wide else "[bold]events")


def help_line(width):
    """The keys, in as many words as there is room for."""
    short = {"heat/cool": "temp", "cut wire": "cut", "charger": "chg", "space": "␣"}
    for gap, table in (("  ", {}), ("  ", short), (" ", short)):
        text = Text(no_wrap=True, overflow="crop")
        for key, what in run_day.HELP:
            text.append(" " if not text else gap)
            text.append(table.get(key, key), "bold cyan")
            text.append(f" {table.get(what, what)}", "grey70")
        if len(text) <= width:
            break
    return text


# ---- all of it -----------------------------------------------------------------------------


def render(view, width, height):
    """The whole picture for a screen of *width* x *height* characters."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Layout(Text(f"packctl needs a terminal of {MIN_WIDTH} x {MIN_HEIGHT} characters; "
                           f"this one has {width} x {height}. q quits."))
    rows = height - 1 - 4 - 10 - 2 - 2
    layout = Layout()
    lower = Layout(name="lower")
    layout.split_column(Layout(header(view), size=1), Layout(front(view, width), size=4),
                        Layout(cells(view, width), size=10), lower,
                        Layout(_message(view), size=1), Layout(help_line(width), size=1))
    sizes = (33, 24) if width < 100 else (33, 29)
    lower.split_row(Layout(pack(view), size=sizes[0]), Layout(state(view, rows), size=sizes[1]),
                    Layout(events(view, rows, width >= 100)))
    return layout


def _message(view):
    return Text(" " + view.message, "bold red1" if view.is_error else "bold white",
                no_wrap=True, overflow="ellipsis")


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


def picture(view, path, width=100, height=30):
    """Write the picture as SVG to *path*."""
    console = Console(record=True, width=width, height=height, file=io.StringIO(),
                      force_terminal=True, color_system="truecolor", legacy_windows=False)
    console.print(render(view, width, height), height=height)
    console.save_svg(str(path), title="make run", code_format=_SVG, unique_id="packctl")
