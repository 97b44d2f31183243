"""The pages beside the overview, as text: limits with reasons, fleet, ports, help."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .. import units
from . import draw
from .view import View

_PORT_ROWS = (
    ("can_state", "CAN controller", ""), ("can_sent", "CAN frames sent", ""),
    ("can_received", "CAN keep-alive frames heard", ""),
    ("can_timeouts", "CAN frames that nobody took", ""),
    ("inverter_silent_s", "no inverter heard for", "s"),
    ("inverter_lost", "the inverter is missed", ""),
    ("unlocked_s", "writing is allowed on the inverter ports for", "s"),
    ("dip", "DIP address", ""), ("scans_failed", "scans that failed", ""),
    ("afe_restarts", "configurations of the cell monitor", ""),
    ("overruns", "task steps that ended late", ""), ("task_errors", "task steps that raised", ""),
    ("heap_free", "bytes of heap free", ""), ("power", "power", ""),
    ("sleep_refused", "why it stayed awake", ""), ("woken_by", "what woke it last", ""),
)


def _two(rows: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="grey62")
    grid.add_column()
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def limits(view: View) -> RenderableType:
    """What the inverter is told, why it is not more, and what opened a FET last."""
    report = view.report
    told = _two([("charge", f"{units.fixed(report.get('ccl_ma'), 'mA', 1)} up to "
                            f"{units.fixed(report.get('cvl_mv'), 'mV', 2)}"),
                 ("discharge", units.fixed(report.get("dcl_ma"), "mA", 1))])
    parts: list[RenderableType] = [Text("The inverter is told", "bold"), told, Text(),
                                   Text("Why it is not more", "bold")]
    parts += [Text(f"  {line}") for line in view.limits] or [Text("  –")]
    wrong = draw.causes(view)
    parts += [Text(), Text("What is wrong, and what ends it", "bold")]
    parts += [Text("  ").append_text(line) for line in wrong] or [Text("  nothing", "green3")]
    parts += [Text(), Text("What opened a FET last", "bold"), Text(f"  {view.why or '–'}")]
    return Group(*parts)


def fleet(view: View) -> RenderableType:
    """The packs on the parallel bus."""
    report = view.report
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("address", "SOC", "current", "in", "out", "FETs", "heard", "waits for"):
        table.add_column(name, justify="left" if name in ("FETs", "waits for") else "right")
    for m in view.modules:
        table.add_row(str(m.address), f"{m.soc_pct:.1f} %", f"{m.current_a:+.2f} A",
                      f"{m.charge_limit_a:.1f} A", f"{m.discharge_limit_a:.1f} A",
                      f"chg {'closed' if m.charge_on else 'open'}, "
                      f"dsg {'closed' if m.discharge_on else 'open'}",
                      f"{m.age_s:.1f} s ago", m.waits_for)
    lost = report.get("modules_lost") or 0
    twice = report.get("modules_twice") or 0
    rows = [("packs summed up here", str(report.get("modules", "–"))),
            ("state of charge of all", units.fixed(report.get("system_soc_cpct"), "cpct", 1)),
            ("current of all", units.fixed(report.get("system_current_ma"), "mA", 2)),
            ("do not answer any more", _addresses(lost)),
            ("two packs with one", _addresses(twice))]
    return Group(_two(rows), Text(), table if view.modules else
                 Text("No pack is summed up here: this one is a slave, or still starting."))


def _addresses(bits: int) -> str:
    return ", ".join(f"address {i}" for i in range(16) if bits >> i & 1) or "none"


def ports(view: View) -> RenderableType:
    """The pack's ports and counters, and on a bench where programs can reach them."""
    rows = [(f"port {name}", str(path)) for name, path in view.ports.items()]
    if rows:
        rows.append(("", ""))
    for name, called, unit in _PORT_ROWS:
        if name in view.report:
            value = view.report[name]
            shown = units.shown(value, unit) if isinstance(value, int) else str(value)
            rows.append((called, shown.replace("_", " ")))
    return _two(rows or [("", "nothing is known of the pack yet")])


_HELP = (
    ("1 … 7, Tab", "the pages: overview, limits, log, parameters, fleet, ports, help"),
    ("mouse", "works on the names of the pages, and in lists"),
    ("Enter", "on a parameter: change it. 3.48V and 3480 are both understood"),
    ("/", "on parameters: look for a name"),
    ("Ctrl-S", "a picture of the screen as SVG"),
    ("q", "quit"),
)


def help_page(view: View) -> RenderableType:
    """What the keys and the screen mean."""
    parts: list[RenderableType] = [Text("Keys", "bold"), _two(list(_HELP))]
    if view.controls is not None:
        parts += [Text(), Text("On the overview, keys act on the bench", "bold"),
                  _two(list(view.controls.help()))]
    parts += [Text(), Text("What is shown", "bold"), _two([
        ("SOC 54.3 % ±3.1", "state of charge, and what it is off by at most; grey in its bar"),
        ("max min bal", "the highest and lowest cell, a cell that is bled by balancing"),
        ("CHG DSG", "the FETs: charge current flows only through CHG, a load needs DSG"),
        ("limits, CVL", "what the inverter is told it may take and give; page 2 says why"),
        ("(PRO-01)", "the requirement behind a protection; docs/generated lists them all"),
    ])]
    return Group(*parts)
