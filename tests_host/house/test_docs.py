"""What the hand-written pages claim can be checked: links, targets, paths, parameters, codes."""

import pathlib
import re
import subprocess

import pytest
from bms.words import parameters, rules
from protocols import as1_codes

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                         check=True).stdout.split()
PAGES = [name for name in TRACKED if name.endswith(".md")]
OWN_WORDS = [name for name in PAGES if name.startswith("docs/") or "/" not in name]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def text_of(name):
    return (ROOT / name).read_text("utf-8")


def without_code(text):
    return re.sub(r"```.*?```", "", text, flags=re.S)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(name))):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = (ROOT / name).parent / target.split("#")[0]
        assert path.exists(), target


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_exists(name):
    for line in re.findall(r"`make ([^`]+)`|^    make ([^#\n]+)", text_of(name), re.M):
        words = [w for w in (line[0] or line[1]).split() if w != "-s"]
        for target in words[:1]:
            assert re.fullmatch(r"[a-z][a-z0-9-]*", target) or not target[0].islower(), line
            if not target[0].islower():
                continue
            assert re.search(rf"^{target}:", MAKEFILE, re.M), target


@pytest.mark.parametrize("name", OWN_WORDS)
def test_every_path_in_code_marks_exists(name):
    """`tools/...`, `docs/...` and the like; build/ is not kept."""
    for path in re.findall(r"`((?:tools|tests_host|docs|firmware|lib|boards)/[\w./-]*)`",
                           text_of(name)):
        found = ROOT / path
        assert found.exists() or list(found.parent.glob(found.name + "*")), path


def spread(words):
    """Ids in *words*, with "PRO-05 to PRO-07" spelt out."""
    for letters, first, last in re.findall(r"([A-Z]+)-(\d+) to \1-(\d+)", words):
        yield from (f"{letters}-{i:02d}" for i in range(int(first), int(last) + 1))
    yield from re.findall(r"[A-Z]+-\d+(?:-[a-z]+)?", words)


def codes_of(name):
    """AS1 codes of an item, or of a fault or all faults whose id begins with *name*."""
    found = {row[as1_codes.CODE] for row in as1_codes.TABLE
             for item in row[as1_codes.ALARMS] + row[as1_codes.TRIPS]
             if item == name or item.startswith(name + "-")}
    found |= {53} if name == "COM-08" else set()
    for row in rules.FAULTS:
        if row[rules.FAULT_NAME] == name or row[rules.FAULT_NAME].startswith(name + "-"):
            found |= set(row[rules.FAULT_AS1])
    return found


@pytest.mark.req("AS1-04")
def test_the_owners_table_has_the_codes_of_the_firmware():
    rows = re.findall(r"^\| ([^|]+\([^|]*[A-Z]+-\d\d[^|]*\)) \| ([^|]+) \|",
                      text_of("docs/owner.md"), re.M)
    assert len(rows) >= 20
    named = set()
    for words, codes in rows:
        names = set(spread(words))
        named |= names
        told = {int(code) for code in re.findall(r"\d+", codes)}
        assert told <= set().union(*(codes_of(name) for name in names)), words
        if "other" not in words:
            for name in names:
                assert codes_of(name) <= told, (words, name)
    for row in rules.ITEMS:
        assert any(row[rules.ID].startswith(name) for name in named), row[rules.ID]
    for row in rules.FAULTS:
        assert "-".join(row[rules.FAULT_NAME].split("-")[:2]) in named or (
            row[rules.FAULT_NAME] in named), row[rules.FAULT_NAME]


@pytest.mark.req("PAR-01")
@pytest.mark.parametrize("name", OWN_WORDS)
def test_no_parameter_is_named_that_is_not_there(name):
    """Words such as `cell_ov_trip_mv` in the pages are parameters, or fields that are known."""
    ends = ("_mv", "_ma", "_dc", "_cpct", "_uohm", "_ppm")
    known = {row[1] for row in parameters.TABLE}
    sources = "\n".join(text_of(path) for path in TRACKED
                        if path.endswith(".py") and not path.startswith("tests_host"))
    for word in set(re.findall(r"`([a-z][a-z0-9_]+)`", text_of(name))):
        if word.endswith(ends) and word not in known:
            assert word in sources, word


@pytest.mark.parametrize("name", ["campaign", "mutants", "powercut", "soc", "soc-days",
                                  "balancing", "load"])
def test_a_page_of_figures_says_of_which_version_they_are(name):
    assert re.search(r"The figures are of version \d+\.\d+\.\d+", text_of(f"docs/{name}.md")), name


def test_the_sentence_about_figures_names_the_version():
    import rooms
    assert re.match(r"The figures are of version \d+\.\d+\.\d+", rooms.figures_of())


@pytest.mark.host
@pytest.mark.req("BRD-02")
@pytest.mark.parametrize("name", ["README.md", "docs/bench.md"])
def test_the_lines_for_the_bench_do_what_the_page_says(name):
    import json

    from rig import Rig
    lines = re.findall(r'^ *(\{"cmd".*\})$', text_of(name), re.M)
    assert len(lines) >= 4
    with Rig() as rig:
        answers = [rig.command(json.loads(line)) for line in lines]
    assert all(answer["ok"] for answer in answers), answers
    if "text" in answers[-1]:
        said = re.search(r"`(cell over-voltage \(PRO-01\), cell 3: )[^`]*(limit 3.600 V)`",
                         text_of(name))
        assert said[1] in answers[-1]["text"] and said[2] in answers[-1]["text"]
