"""The reference pages are what the tables give, and a person reads them in his own units."""

import pages
import pytest
from bms.words import events, parameters, rules


@pytest.mark.req("PAR-01")
@pytest.mark.parametrize("name", pages.PAGES)
def test_the_page_is_current(name):
    assert (pages.FOLDER / name).read_text("utf-8") == pages.text_of(name), "make pages"


@pytest.mark.req("PAR-01")
def test_every_parameter_is_on_the_page_with_its_help():
    text = pages.text_of("parameters.md")
    for row in parameters.TABLE:
        assert f"| {row[0]} | `{row[1]}` |" in text
        assert row[-1] in text


def test_every_protection_and_fault_has_words():
    text = pages.text_of("protections.md")
    for row in rules.ITEMS:
        assert f"| {row[rules.ID]} | {row[rules.WORDS]} |" in text
    for row in rules.FAULTS:
        assert f"| {row[rules.FAULT_NAME]} | {row[rules.FAULT_WORDS]} |" in text


def test_every_event_has_words_of_its_own():
    assert len(events.WORDS) == len(events.NAMES) == len(set(events.WORDS))
    text = pages.text_of("events.md")
    for name, words in zip(events.NAMES, events.WORDS):
        assert f"| `{name}` | {words} |" in text


@pytest.mark.req("PRO-31")
def test_a_range_on_the_page_is_what_a_set_obeys():
    assert "| 1 | `cell_ov_alarm_mv` | 3.5 V, 3.55 V | 3 V | 3.7 V |" in pages.text_of(
        "parameters.md")


def test_a_row_has_one_unit():
    assert [pages.shown(value, "mV", 500) for value in (30, 5, 500)] == ["30 mV", "5 mV", "500 mV"]
    assert [pages.shown(value, "ms", 10_000) for value in (200, 10_000)] == ["0.2 s", "10 s"]


@pytest.mark.parametrize("value, unit, text", [
    (3600, "mV", "3.6 V"), (-200, "dC", "-20 °C"), (9600, "cpct", "96 %"), (100, "ms", "100 ms"),
    (110_000, "mA", "110 A"), (1100, "uOhm", "1.1 mΩ"), (10, "", "10"), (500, "ppm", "0.05 %")])
def test_a_person_reads_his_own_units(value, unit, text):
    assert pages.shown(value, unit) == text
