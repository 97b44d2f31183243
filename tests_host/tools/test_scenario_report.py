"""The report of the bench's scenarios: what a page of one good and two bad ones says."""

import html
import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

SCENARIOS = '''
import pytest


def closed(rig):
    return {name for name in ("chg", "dsg") if rig.get()["wire"]["fets"][name]}


@pytest.mark.req("PRO-01")
def test_a_pack_that_is_well_stays_on(rig, target):
    rig.open(board=target, plant={"soc": 0.5})
    rig.run(4000)
    rig.set(load_ma=20_000)
    rig.run(2000)
    assert closed(rig) == {"chg", "dsg"}


@pytest.mark.req("PRO-02")
def test_that_opens_without_a_cause(rig, target):
    rig.open(board=target, plant={"soc": 0.5})
    rig.run(4000)
    assert closed(rig) == {"dsg"}, rig.get()["truth"]


@pytest.mark.parametrize("case", [{"item": "PRO-01", "opens": ("chg",), "delay_s": 2.0,
                                   "past": {"cell_mv": {"7": 3650}}}])
@pytest.mark.req("PRO-21")
def test_that_opens_too_late(rig, target, case):
    rig.open(board=target, plant={"soc": 0.5})
    rig.run(4000)
    rig.set(**case["past"])
    rig.run(4000)
    edges = [row for row in rig.trace()["edges"] if row[1:] == ["fets.chg", 0]]
    assert edges[0][0] < 7000


@pytest.mark.req("COM-03")
def test_two_packs(rig, target):
    rig.fleet(2, board=target)
    rig.module(1).set(cell_mv={"3": 3300})
    rig.run(1000)
'''


def run(folder, *options, text=SCENARIOS):
    (folder / "test_made_up.py").write_text(text)
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "tests_host"))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-q", "-c",
         str(ROOT / "pyproject.toml"), "--targets", "host", *options, "test_made_up.py"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(text of the page, rows by the name of the test, root of the JUnit file)."""
    folder = tmp_path_factory.mktemp("report")
    done = run(folder, "--html=report.html", "--self-contained-html", "--junitxml=report.xml")
    assert "2 failed, 2 passed" in done.stdout, done.stdout
    page = (folder / "report.html").read_text("utf-8")
    blob = json.loads(html.unescape(re.search(r'data-jsonblob="([^"]*)"', page)[1]))
    rows = {re.search(r"test_\w+", name)[0]: tests[0] for name, tests in blob["tests"].items()}
    return page, rows, ET.parse(folder / "report.xml").getroot()


def picture_of(row):
    """The texts and the classes of the last picture of a row."""
    content = "".join(extra["content"] for extra in row["extras"])
    svg = ET.fromstring(re.findall(r"<svg .*?</svg>", content, re.DOTALL)[-1])
    return ([node.text for node in svg.iter("text")],
            {name for node in svg.iter() for name in node.get("class", "").split()}, content)


@pytest.mark.req("HST-03")
def test_a_good_scenario_has_its_steps_and_a_picture(made):
    row = made[1]["test_a_pack_that_is_well_stays_on"]
    assert row["result"] == "Passed"
    texts, classes, content = picture_of(row)
    assert {"CHG FET", "DSG FET", "current, A", "cells, V", "ON lamp", "messages"} <= set(texts)
    assert "fail" not in classes and "on" in classes
    assert any("PRO-01 cell over-voltage: protection 3.6 V, after 3 s" in t for t in texts)
    assert "set load_ma 20000" in content and "state self_test → standby" in content
    assert "<b>PRO-01</b> cell over-voltage" in content
    assert "state discharging; alarms: none" in content


@pytest.mark.req("HST-03")
def test_a_bad_one_says_when_what_was_expected_and_what_was_seen(made):
    row = made[1]["test_that_opens_without_a_cause"]
    assert row["result"] == "Failed"
    texts, classes, content = picture_of(row)
    assert {"fail", "bad", "good"} <= classes
    assert "expected: DSG closed" in texts and "seen: CHG and DSG closed" in texts
    at_s = float(re.search(r"failed here, ([0-9.]+) s", " ".join(texts))[1])
    assert 5.2 < at_s < 6
    assert "Expected: <b>DSG closed</b>" in content
    assert "assert closed(rig) == {&quot;dsg&quot;}" in content


@pytest.mark.req("HST-03")
def test_a_fet_that_opens_at_the_wrong_time_is_named_with_both_times(made):
    texts, classes, content = picture_of(made[1]["test_that_opens_too_late"])
    assert "want" in classes and "has to open here" in texts
    assert re.search(r"Expected: <b>the CHG FET opens between [0-9.]+ s and [0-9.]+ s "
                     r"\(2 s to 2.21 s after step 2\)", content)
    assert re.search(r"Seen: <b>it opens at [0-9.]+ s, (2.9|3.0|3.1|3.2)[0-9]* s after step 2: "
                     "too late", content)
    assert "trip PRO-01 cell over-voltage at index 7 (36" in content


@pytest.mark.req("HST-03")
def test_a_fleet_has_the_fets_and_the_steps_of_each_pack(made):
    texts, _, content = picture_of(made[1]["test_two_packs"])
    assert {"CHG FET 1", "DSG FET 2"} <= set(texts)
    assert "pack 2: set cell_mv {3: 3300}" in content
    assert re.search(r"pack 2: state self_test", content)


@pytest.mark.req("HST-03")
def test_the_page_stands_alone_and_begins_with_the_requirements_that_failed(made):
    page = made[0]
    assert len(page) < 4 * 75_000 + 100_000         # 200 of them in 15 MB
    assert not re.findall(r'(?:src|srcset)=["\']?(?!")[^>]*http|<link|@import|url\(http', page)
    assert "2 of 4 requirements failed, in 2 of 4 scenarios." in page
    assert 'name="viewport"' in page and "prefers-color-scheme: dark" in page
    for words in ("PRO-02", "cell under-voltage", "delays in time", "MicroPython", "Image",
                  "Commit", "Python"):
        assert words in page, words


@pytest.mark.req("HST-03")
def test_the_junit_file_has_requirements_and_the_failure(made):
    case = next(one for one in made[2].iter("testcase") if "without_a_cause" in one.get("name"))
    values = {(one.get("name"), one.get("value")) for one in case.iter("property")}
    assert {("requirement", "PRO-02"), ("target", "host"), ("expected", "DSG closed")} <= values
    assert case.find("failure") is not None


@pytest.mark.req("HST-03")
def test_without_a_report_nothing_is_recorded(tmp_path):
    done = run(tmp_path, text='''
import sys


def test_plain(rig, target):
    assert type(rig).__name__ == "Rig"
    assert not {"rig_record", "scenario_plot", "scenario_report"} & set(sys.modules)
''')
    assert "1 passed" in done.stdout, done.stdout
