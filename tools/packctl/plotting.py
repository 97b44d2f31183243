"""Values over time as blocks of text, or as a picture (SVG); needs no other library."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from .errors import BadFile

_ROWS = (("pack_v", "pack", "V"), ("current_a", "current", "A"), ("soc_pct", "SOC", "%"),
         ("max_cell_v", "highest cell", "V"), ("min_cell_v", "lowest cell", "V"),
         ("max_temp_c", "hottest cell", "°C"))
_LEVELS = " ▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _LEFT = 800, 90, 150


class Series(NamedTuple):
    """One line of a plot. values: None where nothing was measured."""

    name: str
    title: str
    unit: str
    times: list[str]
    values: list[float | None]


def series_of(rows: Iterable[Mapping[str, Any]]) -> list[Series]:
    """The series of lines of a CSV file, or of files.csv_row()."""
    rows = list(rows)
    times = [str(row["time"]) for row in rows]
    found = []
    for name, title, unit in _ROWS:
        values = [None if row.get(name) in (None, "") else float(row[name]) for row in rows]
        if any(value is not None for value in values):
            found.append(Series(name, title, unit, times, values))
    return found


def thin(values: list[float | None], width: int) -> list[float | None]:
    """At most *width* means of neighbours."""
    if len(values) <= width:
        return values
    out: list[float | None] = []
    for i in range(width):
        part = [v for v in values[i * len(values) // width:(i + 1) * len(values) // width]
                if v is not None]
        out.append(sum(part) / len(part) if part else None)
    return out


def sparkline(values: list[float | None], width: int, least: float = 0.0) -> str:
    """A line of blocks. least: span below which the values count as equal."""
    values = thin(values, width)
    known = [v for v in values if v is not None]
    if not known:
        return "·" * len(values)
    low, span = min(known), max(max(known) - min(known), least)
    return "".join("·" if v is None else
                   _LEVELS[1 + min(7, int((v - low) / span * 8))] if span else _LEVELS[4]
                   for v in values)


def text_of(series: list[Series], width: int) -> str:
    """All of them, a line each with its extremes."""
    lines = []
    for s in series:
        known = [v for v in s.values if v is not None]
        head = f"{s.title:<13}"
        tail = f" {min(known):.2f} to {max(known):.2f} {s.unit}"
        lines.append(head + sparkline(s.values, max(10, width - len(head) - 24)) + tail)
    if series:
        lines.append(f"{'':<13}{_clock(series[0].times[0])} to {_clock(series[0].times[-1])}")
    return "\n".join(lines)


def _clock(text: str) -> str:
    try:
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def svg_of(series: list[Series]) -> str:
    """All of them as one SVG picture."""
    total = _HEIGHT * len(series) + 40
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + _LEFT + 20} {total}" '
           'font-family="sans-serif" font-size="13">',
           f'<rect width="{_WIDTH + _LEFT + 20}" height="{total}" fill="white"/>']
    for row, s in enumerate(series):
        top = 10 + row * _HEIGHT
        known = [v for v in s.values if v is not None]
        low, span = min(known), max(max(known) - min(known), 1e-9)
        points: list[list[str]] = [[]]
        for i, value in enumerate(s.values):
            if value is None:
                points.append([])
                continue
            x = _LEFT + i * _WIDTH / max(1, len(s.values) - 1)
            y = top + (_HEIGHT - 20) * (1 - (value - low) / span)
            points[-1].append(f"{x:.1f},{y:.1f}")
        out.append(f'<text x="8" y="{top + 14}" font-weight="bold">{escape(s.title)}</text>')
        out.append(f'<text x="8" y="{top + 32}" fill="#555">{min(known):.2f} to {max(known):.2f} '
                   f"{escape(s.unit)}</text>")
        out += [f'<polyline points="{" ".join(part)}" fill="none" stroke="#1f6f4a" '
                'stroke-width="1.5"/>' for part in points if part]
    if series:
        out.append(f'<text x="{_LEFT}" y="{total - 12}" fill="#555">'
                   f"{escape(_clock(series[0].times[0]))} to {escape(_clock(series[0].times[-1]))}"
                   "</text>")
    out.append("</svg>")
    return "\n".join(out) + "\n"


def write_svg(path: pathlib.Path, series: list[Series]) -> None:
    """Write svg_of() to *path*."""
    try:
        path.write_text(svg_of(series), encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{path} cannot be written: {error.strerror}.") from None
