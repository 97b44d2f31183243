"""Plugin of pytest: the scenarios of the bench as one page by pytest-html, and in the JUnit file.

tests_host/conftest.py loads it when --html is given; without that nothing of it exists. Each test
that asks for the fixture `rig` gets a RecordedRig then, and its row in the page has what it
proves in words, its steps, its messages and a picture. A test that fails says when, what the test
wanted and what was seen, in the text and in the picture.
"""

import ast
import csv
import functools
import hashlib
import pathlib
import re
import subprocess
import sys
from html import escape

import pytest
from pytest_metadata.plugin import metadata_key

import rooms
import scenario_plot
from rig_record import RecordedRig, words_of
from scenario_plot import Failure, Limit, Window, clock

CSS = pathlib.Path(__file__).with_name("report.css")
_LATEST_MS = 210                # two scans and what a scan lasts; a module's LATEST_MS
_LONGEST = 200                  # letters of a value
_FETS = {"chg": "CHG", "dsg": "DSG"}
_TARGETS = ("host", "unix", "rp2040", "rp2040+box", "serial")
_IS_NOT = {"==": "is not", "!=": "is", "in": "is not in", "not in": "is in"}


@functools.cache
def requirements():
    """{id: its words}."""
    with open(rooms.ROOT / "docs" / "requirements.csv", newline="", encoding="utf-8") as file:
        return {row["id"]: row["subject"] for row in csv.DictReader(file)}


def words_of_test(name):
    """The name of a test as a sentence."""
    name = name.removeprefix("test_").replace("_", " ")
    return name[:1].upper() + name[1:]


# ---- thresholds ----------------------------------------------------------------------------


def limits_of(recording, ids):
    """Limits of the firmware's protection table, with the recording's profile and parameters."""
    try:
        from bms.host import products
        from bms.words import readings as rd
        from bms.words import rules
        from bms.words.parameters import parameters_of
        profile = products.find(recording.profile)
        params = parameters_of(profile)
    except (ImportError, ValueError):
        return []
    panels = {rd.MAX_CELL_MV: ("cells", 1), rd.MIN_CELL_MV: ("cells", 1),
              rd.DEEP_CELL_MV: ("cells", 1), rd.CELL_SUM_MV: ("cells", 1 / profile.CELLS),
              rd.CHARGE_MA: ("current", 1), rd.DISCHARGE_MA: ("current", -1),
              rd.MIN_TEMP_DC: ("temps", 1), rd.MAX_TEMP_DC: ("temps", 1),
              rd.MOS_DC: ("temps", 1), rd.AMBIENT_DC: ("temps", 1)}
    found = {}
    for row in rules.ITEMS:
        panel, factor = panels.get(row[rules.READING], (None, 0))
        if panel is None:
            continue
        mean = " (mean of the cells)" if row[rules.READING] == rd.CELL_SUM_MV else ""
        for column, what in ((rules.TRIP, "protection"), (rules.RELEASE, "release"),
                             (rules.ALARM, "alarm")):
            name = row[column]
            if not isinstance(name, str):
                continue
            value = recording.params.get(name)
            value = params[name] if value is None else value
            own = row[rules.ID] in ids and what != "alarm"
            words = f"{row[rules.ID]} {row[rules.WORDS]}: {what} {_figure(panel, value)}{mean}"
            delay = row[rules.DELAY]
            if what == "protection" and isinstance(delay, str):
                delay_ms = recording.params.get(delay)
                words += f", after {clock(params[delay] if delay_ms is None else delay_ms)}"
            limit = Limit(panel, value * factor, words, own)
            if own or what == "protection":
                found.setdefault((panel, value * factor), limit)
                if own:
                    found[panel, value * factor] = limit
    return list(found.values())


def _figure(panel, value):
    divisor, unit = {"cells": (1000, "V"), "current": (1000, "A"), "temps": (10, "°C")}[panel]
    return f"{value / divisor:g} {unit}"


# ---- what went wrong -----------------------------------------------------------------------


class Compared:
    """The newest comparison of an `assert` that was not so."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.op = self.left = self.right = None


def _value(value):
    """A value of a test for a person."""
    if isinstance(value, (set, frozenset)) and value <= set(_FETS):
        return " and ".join(_FETS[fet] for fet in sorted(value)) + " closed" if value else (
            "no FET closed")
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST - 3] + "..."


def _sides(statement):
    """(source of the whole condition, of its left side) of an `assert`; None: it is none."""
    try:
        node = ast.parse(" ".join(line.strip() for line in statement.splitlines())).body[0]
    except (SyntaxError, IndexError):
        return None
    if not isinstance(node, ast.Assert):
        return None
    left = node.test.left if isinstance(node.test, ast.Compare) else None
    chained = isinstance(node.test, ast.Compare) and len(node.test.ops) > 1
    return ast.unparse(node.test), None if chained or left is None else ast.unparse(left)


def failure_of(excinfo, compared, t_ms):
    """Failure of a test, from its exception and its last comparison."""
    own = [entry for entry in excinfo.traceback
           if "site-packages" not in str(entry.path)] or list(excinfo.traceback)
    inside = [entry for entry in own if "tests_host" in pathlib.Path(entry.path).parts
              or pathlib.Path(entry.path).name.startswith("test_")] or own
    entry = inside[-1]
    statement = str(entry.statement).strip()
    place = f"{pathlib.Path(entry.path).name}, line {entry.lineno + 1}: " + statement
    sides = _sides(statement)
    if sides is None or not excinfo.errisinstance(AssertionError):
        first = (str(excinfo.value).strip().splitlines() or [""])[0]
        return Failure(t_ms, place, "no error", f"{excinfo.typename}: {first}"[:_LONGEST], {})
    whole, left_source = sides
    op, left, right = compared.op, compared.left, compared.right
    if op is None:
        return Failure(t_ms, place, whole, "it is not so", {})
    fets = {}
    kinds = (set, frozenset)
    if op == "==" and isinstance(left, kinds) and isinstance(right, kinds) and (
            left | right <= set(_FETS)):
        fets = {fet: (fet in left, fet in right) for fet in _FETS
                if (fet in left) != (fet in right)}
    if op == "==" and left_source is not None:
        expected = _value(right) if fets else f"{left_source} == {_value(right)}"
        return Failure(t_ms, place, expected, _value(left), fets)
    return Failure(t_ms, place, whole,
                   f"{_value(left)} {_IS_NOT.get(op, 'is not ' + op)} {_value(right)}", fets)


def windows_of(item, recording):
    """Windows in which FETs have to open, where the test's `case` says so."""
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    if not isinstance(case, dict) or not {"past", "opens", "delay_s"} <= set(case):
        return []
    past = "set " + words_of(case["past"])
    step, at_ms = next(((number, row[0]) for number, row in enumerate(recording.steps, 1)
                        if row[3] == past), (0, None))
    if at_ms is None:
        return []
    from_ms = at_ms + 1000 * case["delay_s"]
    latest_ms = getattr(item.module, "LATEST_MS", _LATEST_MS)
    return [Window(fet, from_ms, from_ms + latest_ms, at_ms, step) for fet in case["opens"]
            if fet not in case.get("already", ())]


def _missed(window, recording):
    """(what the window wants, what was seen instead) in words, or None where it is kept."""
    fet = _FETS[window.fet]
    edges = [(t_ms, value) for t_ms, signal, value in recording.packs[window.pack].edges
             if signal == "fets." + window.fet]
    level = next((value for t_ms, value in reversed(edges) if t_ms < window.since_ms), 0)
    opened = next((t_ms for t_ms, value in edges if t_ms >= window.since_ms and not value), None)
    after = f" ({clock(window.from_ms - window.since_ms)} to " \
            f"{clock(window.to_ms - window.since_ms)} after step {window.step})"
    wanted = (f"the {fet} FET opens between {clock(window.from_ms)} and "
              f"{clock(window.to_ms)}{after}")
    if opened is None:
        return wanted, f"the {fet} FET " + ("stays closed" if level else "was open already")
    if window.from_ms <= opened <= window.to_ms:
        return None
    early = "too early" if opened < window.from_ms else "too late"
    return wanted, (f"it opens at {clock(opened)}, {clock(opened - window.since_ms)} after step "
                    f"{window.step}: {early}")


def sharpened(failure, windows, recording):
    """*failure* in the words of a window that was missed, if one was."""
    for window in windows:
        missed = _missed(window, recording) if window.to_ms <= failure.t_ms else None
        if missed:
            return failure._replace(expected=missed[0], seen=missed[1])
    return failure


# ---- a scenario's part of the page ---------------------------------------------------------


def _table(head, rows):
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
                    for row in rows)
    return (f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{cells}</table>")


def _ids(ids):
    words = requirements()
    return " · ".join(f"<b>{one}</b> {escape(words.get(one, ''))}" for one in ids)


def _steps(recording):
    rows = []
    for number, (t_ms, end_ms, pack, words) in enumerate(recording.steps, 1):
        if end_ms is not None:
            words = f"run {clock(end_ms - t_ms)}"
        rows.append((number, clock(t_ms), ("" if pack is None else f"pack {pack + 1}: ")
                     + escape(words)))
    if recording.left_out:
        rows.append(("", "", f"and {recording.left_out} more"))
    return _table(("", "at", "the bench"), rows)


def _messages(recording):
    rows = sorted((t_ms, number, words) for number, pack in enumerate(recording.packs)
                  for t_ms, _name, words in pack.events)
    many = len(recording.packs) > 1
    return _table(("at", "the controller"), [
        (clock(t_ms), (f"pack {number + 1}: " if many else "") + escape(words))
        for t_ms, number, words in rows]), len(rows)


def _said(recording):
    if recording.said is None:
        return ""
    at_ms, report = recording.said

    def names(field):
        return escape(", ".join(report.get(field) or ()) or "none")

    return (f"<p class='of'>Its report of {clock(at_ms)}: state {escape(str(report['state']))}; "
            f"alarms: {names('alarms')}; protections: {names('protections')}; "
            f"faults: {names('faults')}; locked: {names('locked')}.</p>")


def _bench(recording):
    how = {name: value for name, value in recording.how.items()
           if name not in ("params", "open") and value is not None}
    hello = recording.hello or {}
    said = ", ".join(f"{name} {hello[name]}" for name in ("version", "board", "profile", "serial")
                     if name in hello)
    params = f"; parameters: {words_of(recording.how['params'])}" if (
        recording.how.get("params")) else ""
    of = f", bench {recording.number} of this test, the last one" if recording.number > 1 else ""
    return (f"<p class='of'>Target {escape(recording.board)}{of}; {escape(words_of(how))}"
            f"{escape(params)}. The controller says: {escape(said)}.</p>")


def scenario_html(anchor, ids, recording, limits, failure, windows):
    """What a row of the page unfolds to."""
    parts = [f"<div class='scenario' id='{anchor}'><p class='reqs'>{_ids(ids)}</p>"]
    if failure is not None:
        parts.append(
            f"<div class='why'><p><b>Failed {clock(failure.t_ms)} after power-on.</b></p>"
            f"<p>Expected: <b>{escape(failure.expected)}</b></p>"
            f"<p>Seen: <b>{escape(failure.seen)}</b></p>"
            f"<p><code>{escape(failure.place)}</code></p></div>")
    if recording is not None:
        messages, count = _messages(recording)
        part = scenario_plot.near(recording, failure) if failure is not None else None
        if part:
            parts.append("<p class='cap'>Around the failure:</p>" + scroll(
                scenario_plot.picture(recording, limits, failure, windows, part), True))
            parts.append("<p class='cap'>The whole scenario:</p>")
        parts.append(scroll(scenario_plot.picture(recording, limits, failure, windows),
                            failure is not None))
        parts.append("<p class='key'>Numbers above: steps of the test. Dashed: thresholds, strong "
                     "where the test is about them. Green box: time in which the FET has to open. "
                     "Red line: failure; green ring: expected, red dot: seen.</p>")
        shown = " open" if failure is not None else ""
        parts.append(f"<details{shown}><summary>{len(recording.steps)} steps of the bench"
                     f"</summary>{_steps(recording)}</details>")
        parts.append(f"<details{shown}><summary>{count} messages of the controller</summary>"
                     f"{messages}</details>{_said(recording)}{_bench(recording)}")
    return "".join(parts) + "</div>"


def scroll(picture, from_end=False):
    """A picture that is moved sideways where the screen is narrow."""
    return f"<div class='scroll{' end' if from_end else ''}'>{picture}</div>"


# ---- the plugin ----------------------------------------------------------------------------


class Row:
    """What the summary keeps of a test."""

    def __init__(self, name, anchor):
        self.name = name
        self.anchor = anchor
        self.ids = []
        self.target = ""
        self.outcome = "passed"
        self.why = None             # (t_ms, expected, seen)


class ScenarioReport:
    """The hooks; the workers of xdist fill the rows, the first process writes the page."""

    bench = RecordedRig             # class of the fixture `rig`

    def __init__(self):
        self._compared = Compared()
        self._rows = {}

    # -- while a test runs ------------------------------------------------------------------

    def pytest_runtest_setup(self, item):
        self._compared.clear()

    def pytest_assertrepr_compare(self, config, op, left, right):
        self._compared.op, self._compared.left, self._compared.right = op, left, right

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.when == "setup":
            ids = sorted({mark.args[0] for mark in item.iter_markers("req") if mark.args},
                         key=lambda one: (one not in item.name, one))
            item.user_properties += [("requirement", one) for one in ids]
            target = getattr(getattr(item, "callspec", None), "params", {}).get("target")
            if isinstance(target, str):         # not: a test that has none of those chosen
                item.user_properties.append(("target", target))
        if report.when == "call" or report.failed:
            self._describe(item, call, report)
        report.user_properties = list(item.user_properties)
        return report

    def _describe(self, item, call, report):
        rig = item.funcargs.get("rig") if hasattr(item, "funcargs") else None
        recording = None
        t_ms = 0.0
        if isinstance(rig, RecordedRig) and rig.recording is not None:
            recording = rig.recording
            t_ms = recording.end_ms
            rig.finish()
        failure = None
        windows = windows_of(item, recording) if recording else []
        if report.failed:
            failure = sharpened(failure_of(call.excinfo, self._compared, t_ms), windows, recording)
            item.user_properties += [("failed_at_ms", round(t_ms)), ("expected", failure.expected),
                                     ("seen", failure.seen)]
        if recording is None and failure is None:
            return
        ids = [value for name, value in item.user_properties if name == "requirement"]
        html = scenario_html(anchor_of(item.nodeid), ids, recording,
                             limits_of(recording, ids) if recording else [], failure, windows)
        report.extras = [*getattr(report, "extras", []), {
            "name": None, "format_type": "html", "content": html, "mime_type": None,
            "extension": None}]

    # -- when all have run ------------------------------------------------------------------

    def pytest_runtest_logreport(self, report):
        row = self._rows.get(report.nodeid)
        if row is None:
            row = self._rows[report.nodeid] = Row(report.nodeid, anchor_of(report.nodeid))
        values = dict(report.user_properties)
        row.ids = [value for name, value in report.user_properties if name == "requirement"]
        row.target = values.get("target", row.target)
        if report.failed:
            row.outcome = "failed"
            row.why = (values.get("failed_at_ms", 0), values.get("expected", ""),
                       values.get("seen", ""))
        elif report.skipped:
            row.outcome = "skipped"

    def pytest_html_report_title(self, report):
        report.title = "packctl: scenarios of the bench"

    def pytest_html_results_table_header(self, cells):
        cells[:] = ['<th class="sortable" data-column-type="result">Result</th>',
                    '<th class="sortable" data-column-type="testId">Scenario</th>',
                    '<th class="sortable" data-column-type="reqs">Requirements</th>',
                    '<th class="sortable" data-column-type="target">Target</th>',
                    '<th class="sortable" data-column-type="duration">Took</th>']

    def pytest_html_results_table_row(self, report, cells):
        values = dict(report.user_properties)
        ids = " ".join(value for name, value in report.user_properties if name == "requirement")
        words, case = _title(report.nodeid)
        cells[1:] = [f'<td class="col-testId">{escape(words)} <i>{escape(case)}</i></td>',
                     f'<td class="col-reqs">{escape(ids)}</td>',
                     f'<td class="col-target">{escape(values.get("target", ""))}</td>',
                     cells[2]]

    def pytest_html_results_table_html(self, report, data):
        if report.passed:
            del data[:]

    @pytest.hookimpl(trylast=True)
    def pytest_html_results_summary(self, prefix, summary, postfix):
        prefix.append('<meta name="viewport" content="width=device-width, initial-scale=1">')
        prefix.append(summary_html(self._rows.values()))

    @pytest.hookimpl(trylast=True)
    def pytest_metadata(self, metadata, config):
        metadata.clear()
        metadata.update(versions(config))


def anchor_of(nodeid):
    return "s" + hashlib.sha256(nodeid.encode()).hexdigest()[:12]


def _title(nodeid):
    """(the test's name as a sentence, the case in brackets without its target)."""
    name, _, case = nodeid.split("::")[-1].partition("[")
    parts = [part for part in case.rstrip("]").split("-") if part not in _TARGETS]
    return words_of_test(name), "-".join(parts)


def summary_html(rows):
    """The verdict by requirement: what failed first, with its words, when and why."""
    rows = list(rows)
    words = requirements()
    by_id = {}
    for row in rows:
        for one in row.ids:
            by_id.setdefault(one, []).append(row)
    failed = {one for one, some in by_id.items() if any(r.outcome == "failed" for r in some)}
    nameless = [row for row in rows if row.outcome == "failed" and not row.ids]
    parts = []
    if failed or nameless:
        count = sum(row.outcome == "failed" for row in rows)
        parts.append(f"<p class='verdict no'>{len(failed)} of {len(by_id)} requirements failed, "
                     f"in {count} of {len(rows)} scenarios.</p>")
    else:
        parts.append(f"<p class='verdict yes'>All {len(by_id)} requirements of these "
                     f"{len(rows)} scenarios passed.</p>")
    for row in rows:
        if row.outcome != "failed":
            continue
        title, case = _title(row.name)
        t_ms, expected, seen = row.why
        parts.append(
            f"<div class='why'><p>{_ids(row.ids) or 'no requirement named'}</p>"
            f"<p><a href='#{row.anchor}'>{escape(title)}</a> <i>{escape(case)}</i>"
            f"{' on ' + escape(row.target) if row.target else ''} failed "
            f"<b>{clock(t_ms)}</b> after power-on.</p>"
            f"<p>Expected: <b>{escape(expected)}</b></p><p>Seen: <b>{escape(seen)}</b></p></div>")

    def count_of(one, outcome):
        number = sum(row.outcome == outcome for row in by_id[one])
        return f"<span class='{outcome}'>{number}</span>" if number else ""

    def table(ids):
        return _table(("id", "requirement", "passed", "failed", "skipped"), [
            (f"<b>{one}</b>", escape(words.get(one, "")), *(
                count_of(one, outcome) for outcome in ("passed", "failed", "skipped")))
            for one in sorted(ids)])

    if failed:
        parts.append(f"<h2>What failed, by requirement</h2>{table(failed)}")
    good = set(by_id) - failed
    shown = "" if failed else " open"
    parts.append(f"<details{shown}><summary>{len(good)} requirements without a failure</summary>"
                 f"{table(good)}</details>")
    return f"<div class='verdicts'>{''.join(parts)}</div>"


def _git(*words):
    try:
        return subprocess.run(["git", *words], cwd=rooms.ROOT, capture_output=True, text=True,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def versions(config):
    """{what: its version} for the page."""
    import toolchain
    firmware = (rooms.ROOT / "firmware" / "version.py").read_text("utf-8")
    found = {"Firmware": re.search(r'VERSION = "(.+)"', firmware)[1]}
    commit = _git("log", "-1", "--format=%h of %cs")
    if commit:
        changed = _git("status", "--porcelain", "--untracked-files=no")
        found["Commit"] = commit + (", with changes" if changed else "")
    found["MicroPython"] = toolchain.micropython_version() or "not built here"
    image = toolchain.DEFAULT_UF2
    found["Image"] = (f"{image.name}, sha256 {hashlib.sha256(image.read_bytes()).hexdigest()}"
                      if image.exists() else "none built here")
    found["Python"] = ".".join(map(str, sys.version_info[:3]))
    found["Targets"] = config.getoption("--targets", "")
    return found


def load(config):
    """Register the plugin where --html asks for a page."""
    if config.getoption("htmlpath", None) is None:
        return
    if str(CSS) not in config.option.css:
        config.option.css.append(str(CSS))
    config.pluginmanager.register(ScenarioReport(), "scenario_report")
    if hasattr(config, "stash") and metadata_key in config.stash:
        config.stash[metadata_key].clear()
        config.stash[metadata_key].update(versions(config))
