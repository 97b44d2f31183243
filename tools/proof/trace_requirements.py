"""Which requirement is proved by which test: `make trace`.

A test names its requirement with @pytest.mark.req("PRO-01") or a comment `# req: PRO-01`.
Prints every id of docs/requirements.csv with its number of tests, those without last; an id in a
test that the list does not know is an error (exit 1).
"""

import csv
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
_MARK = re.compile(r"""mark\.req\(([^)]*)\)|#\s*req:\s*([A-Z0-9, -]+)""")
_ID = re.compile(r"[A-Z]+[0-9]?-[0-9]{2}")


def named_in(text):
    """Ids that the tests in *text* name, with repeats."""
    ids = []
    for match in _MARK.finditer(text):
        ids += _ID.findall(match.group(1) or match.group(2))
    return ids


def main():
    """Print the table; return 1 if a test names an unknown id."""
    with open(ROOT / "docs" / "requirements.csv", newline="", encoding="utf-8") as file:
        subjects = {row["id"]: row["subject"] for row in csv.DictReader(file)}
    counts = dict.fromkeys(subjects, 0)
    unknown = []
    for path in sorted((ROOT / "tests_host").rglob("*.py")):
        for one in named_in(path.read_text(encoding="utf-8")):
            if one in counts:
                counts[one] += 1
            else:
                unknown.append((path.name, one))
    proved = [one for one in counts if counts[one]]
    missing = [one for one in counts if not counts[one]]
    for one in proved:
        print("%-7s %3d  %s" % (one, counts[one], subjects[one]))
    print("\n%d of %d requirements have a test; without one:" % (len(proved), len(counts)))
    for one in missing:
        print("%-7s      %s" % (one, subjects[one]))
    for name, one in unknown:
        print("%s names %s, which docs/requirements.csv does not know" % (name, one),
              file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
