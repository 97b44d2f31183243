"""A scenario of the bench as a picture (SVG): FETs, current, cells, temperatures, lamps, messages.

Colours are classes of report.css, so that the picture follows the page into the dark. Time is that
of the bench. What the test wanted and did not get is drawn in red.
"""

import math
import typing
from xml.sax.saxutils import escape

WIDTH = 900
_LEFT = 96
_RIGHT = 14
_ROW = 17                       # height of a signal
_PANEL = 104                    # height of a curve
_GAP = 10
_INNER = WIDTH - _LEFT - _RIGHT
_MOST_MESSAGES = 14             # with words in the picture; all stand below it
_MESSAGE_ROWS = 5
_CHAR_PX = 5.7
_NICE = [base * 10.0 ** power for power in range(-3, 5) for base in (1, 2, 5)]

_FETS = (("fets.chg", "CHG FET"), ("fets.dsg", "DSG FET"))
_OUTPUTS = (("lamps.run", "RUN lamp"), ("lamps.alm", "ALM lamp"), ("lamps.onoff", "ON lamp"),
            *((f"lamps.cap.{k}", f"lamp L{k + 1}") for k in range(6)), ("buzzer", "buzzer"),
            ("do.0", "contact DO1"), ("do.1", "contact DO2"), ("limiter", "limiter"),
            ("fets.pchg", "pre-charge"))
# panel: (title, unit, divisor, [(column of a sample, class of the line, what it is)], least span)
_PANELS = {
    "current": ("current", "A", 1000, ((1, "c1", ""),), 4.0),
    "cells": ("cells", "V", 1000, ((3, "c1", "highest"), (2, "c2", "lowest")), 0.08),
    "temps": ("temperature", "°C", 10, ((5, "c1", "hottest cells"), (4, "c2", "coldest cells"),
                                        (6, "c3", "MOSFETs"), (7, "c4", "ambient")), 6.0),
}


class Limit(typing.NamedTuple):
    """A threshold in a panel, in the unit of the samples. own: of what the test is about."""

    panel: str
    value: float
    words: str
    own: bool


class Window(typing.NamedTuple):
    """The test wants *fet* of *pack* to open between these times, because of the step *step* at
    *since_ms*."""

    fet: str
    from_ms: float
    to_ms: float
    since_ms: float
    step: int
    pack: int = 0


class Failure(typing.NamedTuple):
    """Where a scenario failed. fets: {"chg": (seen, expected)} where the test compared FETs."""

    t_ms: float
    place: str
    expected: str
    seen: str
    fets: dict


def clock(ms):
    """A time of the bench for a person."""
    if ms < 600_000:
        return f"{ms / 1000:.3f}".rstrip("0").rstrip(".") + " s"
    minutes = ms / 60_000
    return f"{minutes:.1f} min" if minutes < 300 else f"{minutes / 60:.2f} h"


class _Picture:
    """Parts of an SVG over one stretch of time."""

    def __init__(self, from_ms, to_ms):
        self.from_ms = from_ms
        self.to_ms = max(to_ms, from_ms + 1)
        self.y = 4
        self.parts = []

    def x(self, t_ms):
        at = (t_ms - self.from_ms) / (self.to_ms - self.from_ms)
        return _LEFT + _INNER * min(1, max(0, at))

    def holds(self, t_ms):
        return self.from_ms <= t_ms <= self.to_ms

    def put(self, text):
        self.parts.append(text)

    def words(self, x, y, text, kind="", anchor=""):
        kind = f' class="{kind}"' if kind else ""
        anchor = f' text-anchor="{anchor}"' if anchor else ""
        self.put(f'<text x="{x:.0f}" y="{y:.0f}"{kind}{anchor}>{escape(text)}</text>')

    # -- signals ----------------------------------------------------------------------------

    def lane(self, title, edges, wanted=None, windows=()):
        """A signal as a line of two levels; quicker than the picture can show is a block."""
        top, low = self.y + 3, self.y + _ROW - 3
        self.words(_LEFT - 6, self.y + 12, title, "lab", "end")
        self.put(f'<path class="base" d="M{_LEFT} {low}h{_INNER}"/>')
        for kind, left, right in self._runs(edges):
            height = low - top
            self.put(f'<rect class="{kind}" x="{left:.1f}" y="{top}" '
                     f'width="{max(0.7, right - left):.1f}" height="{height}"/>')
        for window in windows:
            left, right = self.x(window.from_ms), self.x(window.to_ms)
            if self.holds(window.from_ms) or self.holds(window.to_ms):
                self.put(f'<rect class="want" x="{left:.1f}" y="{self.y}" '
                         f'width="{max(3, right - left):.1f}" height="{_ROW}">'
                         f"<title>has to open between {clock(window.from_ms)} and "
                         f"{clock(window.to_ms)}</title></rect>")
                self.words(left - 5, self.y + 12, "has to open here", "wantw", "end")
        if wanted is not None:
            at_ms, (seen, expected) = wanted
            x = self.x(at_ms)
            self.put(f'<circle class="bad" cx="{x:.1f}" cy="{top if seen else low}" r="4.5"/>')
            self.put(f'<circle class="good" cx="{x:.1f}" cy="{top if expected else low}" '
                     'r="4.5"/>')
        self.y += _ROW

    def is_on(self, edges):
        """Whether a signal is on at any time of the picture."""
        return bool(self._runs(edges))

    def _runs(self, edges):
        """[("on" or "mix", x from, x to)] of what is not 0, at most one a pixel."""
        level, since = 0, _LEFT
        runs = []

        def add(kind, left, right):
            if runs and right - runs[-1][2] < 0.8 and (kind == "mix" or runs[-1][0] == "mix"):
                runs[-1] = ("mix", runs[-1][1], right)
            elif runs and left - runs[-1][2] < 0.8:
                runs[-1] = ("mix", runs[-1][1], right)
            else:
                runs.append((kind, left, right))

        for t_ms, value in edges:
            value = 1 if value else 0
            if t_ms < self.from_ms:
                level = value
                continue
            if t_ms > self.to_ms:
                break
            if value != level:
                x = self.x(t_ms)
                if level:
                    add("on", since, x)
                level, since = value, x
        if level:
            add("on", since, _LEFT + _INNER)
        return runs

    # -- curves -----------------------------------------------------------------------------

    def panel(self, name, packs, limits):
        """Curves of all packs over each other, with their thresholds."""
        title, unit, divisor, lines, least = _PANELS[name]
        shown = [self._visible(pack.samples) for pack in packs]
        values = [row[column] for samples in shown for row in samples for column, *_ in lines]
        if not values:
            return
        low, high = min(values) / divisor, max(values) / divisor
        near = max(high - low, least)
        limits = [one for one in limits if one.panel == name and (
            one.own or low - 0.4 * near <= one.value / divisor <= high + 0.4 * near)]
        low = min([low, *(one.value / divisor for one in limits)])
        high = max([high, *(one.value / divisor for one in limits)])
        if high - low < least:
            low, high = (low + high - least) / 2, (low + high + least) / 2
        pad = (high - low) * 0.08
        low, high = low - pad, high + pad
        top, bottom = self.y + 4, self.y + _PANEL - 4

        def y(value):
            return bottom - (value / divisor - low) / (high - low) * (bottom - top)

        self.put(f'<rect class="frame" x="{_LEFT}" y="{top}" width="{_INNER}" '
                 f'height="{bottom - top}"/>')
        self.words(_LEFT - 6, top + 11, f"{title}, {unit}", "lab", "end")
        step = next(s for s in _NICE if (high - low) / s <= 5)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        for k in range(math.ceil(low / step), math.floor(high / step) + 1):
            at = y(k * step * divisor)
            self.put(f'<path class="grid" d="M{_LEFT} {at:.1f}h{_INNER}"/>')
            if at > top + 16:           # the title stands there
                self.words(_LEFT - 6, at + 4, f"{k * step:.{digits}f}", "num", "end")
        taken = []
        for one in sorted(limits, key=lambda one: -one.value):
            at = y(one.value)
            self.put(f'<path class="limit{" own" if one.own else ""}" '
                     f'd="M{_LEFT} {at:.1f}h{_INNER}"/>')
            line = at - 3
            while any(abs(line - other) < 11 for other in taken):
                line += 11
            taken.append(line)
            self.words(_LEFT + _INNER - 4, line, one.words, "lim own" if one.own else "lim",
                       "end")
        many = len(packs) > 1
        for number, samples in enumerate(shown):
            for column, kind, _words in lines:
                points = self._steps(samples, column, y)
                if points:
                    kind = f"c{number % 4 + 1}" if many else kind
                    self.put(f'<path class="line {kind}" d="{points}"/>')
        self._legend(lines, packs, many, top + 25)
        self.y += _PANEL

    def _legend(self, lines, packs, many, top):
        entries = ([(f"c{k % 4 + 1}", f"pack {k + 1}") for k in range(len(packs))] if many else
                   [(kind, words) for _, kind, words in lines if words])
        for kind, words in entries[:5]:
            self.put(f'<path class="line {kind}" d="M4 {top - 4}h9"/>')
            self.words(16, top, words, "num")
            top += 12

    def _visible(self, samples):
        """The samples of this stretch, and the ones beside it."""
        first = next((k for k, row in enumerate(samples) if row[0] >= self.from_ms), len(samples))
        last = next((k for k, row in enumerate(samples) if row[0] > self.to_ms), len(samples))
        return samples[max(0, first - 1):last + 1]

    def _steps(self, samples, column, y):
        """A path; of points that fall on one pixel the extremes alone are left."""
        columns = {}
        for row in samples:
            at = y(row[column])
            x = round(self.x(row[0]))
            if x in columns:
                columns[x][1:3] = [min(columns[x][1], at), max(columns[x][2], at)]
                columns[x][3] = at
            else:
                columns[x] = [at, at, at, at]
        text, last = [], None
        for x, (first, least, most, end) in columns.items():
            point = f"{x} {first:.1f}"
            if last is None:
                text.append("M" + point)
            elif first == last and len(columns) > 2 and least == most:
                text[-1:] = [text[-1], f"H{x}"] if not text[-1].startswith("H") else [f"H{x}"]
            else:
                text.append("L" + point)
            if most - least > 0.3:
                text.append(f"V{least:.1f}V{most:.1f}V{end:.1f}")
            last = end
        return "".join(text) if len(columns) > 1 else ""

    # -- words along the time ---------------------------------------------------------------

    def messages(self, rows):
        """[(t_ms, kind, words)] as marks with words, as far as there is room."""
        rows = [row for row in rows if self.holds(row[0])]
        top = self.y
        self.words(_LEFT - 6, top + 12, "messages", "lab", "end")
        ends = [0.0] * _MESSAGE_ROWS
        shown = 0
        for t_ms, kind, words in rows:
            x = self.x(t_ms)
            self.put(f'<path class="mark {kind}" d="M{x:.1f} {top}v5"/>')
            words = words if len(words) < 62 else words[:59] + "..."
            long = _CHAR_PX * len(words)
            left = x + long > _LEFT + _INNER
            begin = x - long if left else x
            row = next((k for k in range(_MESSAGE_ROWS) if ends[k] <= begin), None)
            if row is None or shown >= _MOST_MESSAGES:
                continue
            ends[row] = begin + long + 8
            shown += 1
            y = top + 14 + 13 * row
            self.words(x, y, words, f"msg {kind}", "end" if left else "")
        self.y += 10 + 13 * max(1, sum(end > 0 for end in ends))

    def steps(self, rows):
        """[(t_ms, number, words)] of what the test did, as numbers over thin lines, with the
        words where there is room until the next one."""
        rows = [(self.x(t_ms), number, words) for t_ms, number, words in rows if self.holds(t_ms)]
        x_before = -99
        for k, (x, number, words) in enumerate(rows):
            self.put(f'<path class="step" d="M{x:.1f} 16V{self.y:.0f}"/>')
            if x - x_before < 15:
                continue
            x_before = x
            end = rows[k + 1][0] - 10 if k + 1 < len(rows) else WIDTH
            self.words(x, 12, str(number), "stepno", "middle")
            room = int((end - x - 12) / _CHAR_PX)
            if room >= 12:
                words = words if len(words) <= room else words[:room - 1] + "…"
                self.words(x + 4 + 6 * len(str(number)) / 2, 12, words, "num")

    def axis(self):
        y = self.y + 3
        span = self.to_ms - self.from_ms
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
                                20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
                                3_600_000, 4 * 3_600_000, 24 * 3_600_000, 7 * 24 * 3_600_000,
                                10**12) if span / s <= 9)
        t_ms = -(-self.from_ms // step) * step
        self.put(f'<path class="axis" d="M{_LEFT} {y}h{_INNER}"/>')
        while t_ms <= self.to_ms:
            x = self.x(t_ms)
            self.put(f'<path class="axis" d="M{x:.1f} {y}v4"/>')
            self.words(x, y + 16, clock(t_ms), "num", "middle")
            t_ms += step
        self.y += 22

    def failure(self, failure):
        x = self.x(failure.t_ms)
        self.put(f'<path class="fail" d="M{x:.1f} 16V{self.y:.0f}"/>')
        left = x > WIDTH / 2
        anchor = "end" if left else ""
        at = x - 6 if left else x + 6
        y = self.y + 14
        for words in (f"failed here, {clock(failure.t_ms)}", f"expected: {failure.expected}",
                      f"seen: {failure.seen}"):
            most = int((at - 4 if left else WIDTH - at - 4) / 6.2)
            self.words(at, y, words if len(words) <= most else words[:most - 1] + "…", "failw",
                       anchor)
            y += 15
        self.y += 3 * 15 + 6

    def text(self, title):
        return (f'<svg class="plot" viewBox="0 0 {WIDTH} {self.y + 4:.0f}" role="img">'
                f"<title>{escape(title)}</title>{''.join(self.parts)}</svg>")


def _edges_of(pack, signal):
    return [(t_ms, value) for t_ms, name, value in pack.edges if name == signal]


def _is_warm(packs, limits):
    """Whether temperatures are a subject: they move, or the test is about them."""
    if any(one.own and one.panel == "temps" for one in limits):
        return True
    return any(max(row[column] for row in pack.samples) - min(row[column] for row in pack.samples)
               > 50 for pack in packs if pack.samples for column in (4, 5, 6, 7))


def picture(recording, limits=(), failure=None, windows=(), stretch=None):
    """The SVG of a Recording.

    limits    Limits that may be drawn     windows   Windows in which a FET has to open
    failure   None | Failure               stretch   None: all | (from_ms, to_ms)
    """
    from_ms, to_ms = stretch or (0, recording.end_ms)
    drawn = _Picture(from_ms, to_ms)
    drawn.y = 20
    packs = recording.packs
    for number, pack in enumerate(packs):
        of = f" {number + 1}" if len(packs) > 1 else ""
        for signal, title in _FETS:
            fet = signal[5:]
            wanted = None
            if failure and fet in failure.fets and number == 0:
                wanted = (failure.t_ms, failure.fets[fet])
            drawn.lane(title + of, _edges_of(pack, signal), wanted,
                       [one for one in windows if (one.fet, one.pack) == (fet, number)])
    drawn.y += 4
    for name in ("current", "cells", "temps"):
        if name != "temps" or _is_warm(packs, limits):
            drawn.panel(name, packs, limits)
    drawn.y += 4
    for signal, title in _OUTPUTS:
        edges = _edges_of(packs[0], signal)
        if drawn.is_on(edges):
            drawn.lane(title, edges)
    drawn.y += 4
    drawn.messages(sorted((t_ms, name, f"{number + 1}: {words}" if len(packs) > 1 else words)
                          for number, pack in enumerate(packs)
                          for t_ms, name, words in pack.events))
    drawn.steps([(row[0], number, row[3]) for number, row in enumerate(recording.steps, 1)
                 if row[1] is None])
    drawn.axis()
    if failure:
        drawn.failure(failure)
    return drawn.text("the scenario over the time of the bench")


def near(recording, failure):
    """(from_ms, to_ms) around a failure, or None where the whole shows it well enough."""
    before = [row[0] for row in recording.steps if row[1] is None and row[0] <= failure.t_ms]
    from_ms = max(0, (before[-1] if before else failure.t_ms) - 500)
    if failure.t_ms - from_ms < 1000:
        from_ms = max(0, failure.t_ms - 3000)
    to_ms = failure.t_ms + 0.06 * (failure.t_ms - from_ms)
    return (from_ms, to_ms) if to_ms - from_ms < 0.6 * recording.end_ms else None
