"""docs/statements.md: each statement has a test that exists, or a reason why it has none."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "statements.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines() if re.match(r"\| \d", line)]
CHAPTERS = {
    "AM5000": ("1.1", "1.2", "2.1", "2.2", "2.3", "T2-4", "T2-5", "T2-6", "T2-7", "3.1 (8)",
               *("T3-1.%d" % i for i in range(1, 14)), "3.3", "4.1 (4)", "4.2 (6)", "5.10"),
    "AS1": ("1", "2.1", "2.3", "3.1", "4.5.2", "5.1", "5.3", "5.4", "5.5", "6", "7.1", "7.2")}
pytestmark = pytest.mark.req("AS1-04", "LED-03", "PAR-01")


def named(cell):
    """(file, function) of each test in a cell."""
    return re.findall(r"`(test_\w+\.py)::(test_\w+)`", cell)


def test_rows_are_whole_and_numbered():
    assert [int(row[0]) for row in ROWS] == list(range(1, len(ROWS) + 1))
    assert len(ROWS) >= 122
    assert all(len(row) == 6 and all(row) for row in ROWS)


def test_every_chapter_is_there():
    parts = dict(re.findall(r"## (AM5000|AS1)\n(.*?)(?=\n## |\Z)", PAGE, re.S))
    for document, chapters in CHAPTERS.items():
        for chapter in chapters:
            assert "| %s |" % chapter in parts[document], (document, chapter)


def test_each_named_test_exists():
    sources = {}
    for row in ROWS:
        for name, function in named(row[4]):
            if name not in sources:
                sources[name] = next((ROOT / "tests_host").rglob(name)).read_text(encoding="utf-8")
            assert re.search(r"def %s\(" % function, sources[name]), (row[0], name, function)


def test_a_verdict_is_proven_or_has_its_reason():
    for number, _, statement, how, tests, verdict in ROWS:
        if verdict == "right":
            assert named(tests) and how != "-", (number, statement)
        else:
            assert re.match("cannot be tried: .{6}", verdict), (number, statement, verdict)


def test_the_sum_is_that_of_the_rows():
    right = sum(row[5] == "right" for row in ROWS)
    assert ("%d statements: %d right, none wrong, %d that cannot be tried here."
            % (len(ROWS), right, len(ROWS) - right)) in PAGE
