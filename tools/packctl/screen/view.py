"""What is known of a pack, for whoever draws it. Nothing here asks anybody or waits."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..schema import Param

WIDE_MV = (2_500, 3_700)        # what a bar covers when the cells are far apart
_NARROW_MV = 100                # ... and when they are not, in steps of
_STEP_MV = 50
TREND = 600                     # looks that are kept for the trends


class Controls(Protocol):
    """What a bench has that a real pack has not: charger and load, a day, things to break.

    cell      the one that keys act on; cells: {cell: mV it is held at}; wire: None or a cut wire
    """

    cell: int
    cells: dict[int, int]
    wire: int | None

    def clock(self, t_ms: float) -> tuple[str, str]:
        """Time of the bench's day, and what is going on then."""

    def flow(self, t_ms: float) -> str:
        """What is at the terminals, in words."""

    def help(self) -> tuple[tuple[str, str], ...]:
        """(key, what it does in a word or two)."""

    def broken(self) -> list[str]:
        """What keys have done to the pack, in words."""


@dataclass
class Trend:
    """One value over time, oldest first."""

    title: str
    unit: str
    values: collections.deque[float | None] = field(
        default_factory=lambda: collections.deque(maxlen=TREND))


def _trends() -> dict[str, Trend]:
    return {"current": Trend("current", "A"), "soc": Trend("SOC", "%"),
            "bound": Trend("± bound", "%"), "high": Trend("highest cell", "V"),
            "low": Trend("lowest cell", "V")}


@dataclass
class View:
    """What is shown.

    board     what runs the firmware: "rp2040", "host", "unix", or the name of a port
    got       as the rig's `get` answers: t_ms, report (or None), wire and truth where known
    t_ms      time since the pack was first seen
    events    newest records, oldest first
    words     {id: what a person reads}; kinds: {id: unit of its value}
    scale     (from, to) mV of the cells' bars
    ends      {id: what ends it}, as the pack says
    lost      "", or why the pack cannot be seen now
    """

    board: str
    hello: dict[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    got: dict[str, Any] = field(default_factory=dict)
    t_ms: float = 0
    speed: float | None = None
    controls: Controls | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)
    limits: list[str] = field(default_factory=list)
    why: str = ""
    ends: dict[str, str] = field(default_factory=dict)
    modules: list[Any] = field(default_factory=list)
    message: str = ""
    is_error: bool = False
    paused: bool = False
    frame: int = 0
    scale: tuple[int, int] = WIDE_MV
    lost: str = ""
    trends: dict[str, Trend] = field(default_factory=_trends)

    @property
    def report(self) -> dict[str, Any]:
        """The pack's report, {} where there is none."""
        report: dict[str, Any] = self.got.get("report") or {}
        return report

    @property
    def wire(self) -> dict[str, Any]:
        """What is on pins and chips, {} for a real pack."""
        wire: dict[str, Any] = self.got.get("wire") or {}
        return wire

    @property
    def truth(self) -> dict[str, Any]:
        """What a cell model knows, {} for a real pack."""
        truth: dict[str, Any] = self.got.get("truth") or {}
        return truth

    @property
    def cells_mv(self) -> list[int]:
        """The cells that are measured."""
        return [mv for mv in self.report.get("cell_mv") or () if mv is not None]

    def take(self, got: dict[str, Any]) -> None:
        """Take over an answer of `get`."""
        self.got = got
        self.frame += 1
        self.scale = fit_scale(self.scale, self.report.get("cell_mv") or ())
        cells = self.cells_mv
        for name, value, by in (
                ("current", self.report.get("current_ma"), 1000),
                ("soc", self.report.get("soc_cpct"), 100),
                ("bound", self.report.get("soc_uncertainty_cpct"), 100),
                ("high", max(cells, default=None), 1000), ("low", min(cells, default=None), 1000)):
            self.trends[name].values.append(None if value is None else value / by)

    @property
    def is_up(self) -> tuple[str, ...]:
        """Ids of what is wrong; the pack is asked for what ends it when this changes."""
        report = self.report
        return tuple(name for kind in ("protections", "alarms", "faults", "locked")
                     if report.get(kind) for name in (kind, *report[kind]))

    def called(self, name: str) -> str:
        """An id with its words."""
        words = self.words.get(name)
        return f"{words} ({name})" if words else name

    def record_of(self, name: str) -> dict[str, Any] | None:
        """The newest record of *name* going wrong."""
        for event in reversed(self.events):
            if event.get("name") == name and event.get("event") in ("trip", "alarm", "fault"):
                return dict(event)
        return None


def fit_scale(scale: tuple[int, int], cells_mv: Any) -> tuple[int, int]:
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
