"""The reference pages are what the tables give, and a person reads them in his own units."""

import pages
import pytest
from bms.words import parameters, rules


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


@pytest.mark.parametrize("value, unit, text", [
    (3600, "mV", "3.6 V"), (-200, "dC", "-20 °C"), (9600, "cpct", "96 %"), (100, "ms", "0.1 s"),
    (110_000, "mA", "110 A"), (1100, "uOhm", "1.1 mΩ"), (10, "", "10"), (500, "ppm", "0.05 %")])
def test_a_person_reads_his_own_units(value, unit, text):
    assert pages.shown(value, unit) == text
