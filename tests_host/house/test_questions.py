"""docs/architecture.md: each of its questions is answered by one search."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = re.findall(r"^\| (.*\?) \| `(.*)` \| `(.*)` \|$",
                  (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.M)


def test_there_are_25_questions():
    assert len(ROWS) == 25


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_word_stands_in_the_file(row):
    _, word, path = row
    assert word in (ROOT / path).read_text("utf-8")
