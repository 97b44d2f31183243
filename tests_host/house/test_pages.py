"""The reference pages are what the tables give, and a person reads them in his own units."""

import architecture
import bench_page
import pages
import pytest
import rig_commands
import rig_fields
import rooms
import wiring
from bms.words import events, parameters, rules


@pytest.mark.req("PAR-01")
@pytest.mark.parametrize("name", pages.PAGES)
def test_the_page_is_current(name):
    assert (pages.FOLDER / name).read_text("utf-8") == pages.text_of(name), "make pages"


@pytest.mark.req("PAR-01")
def test_every_parameter_is_on_the_page_with_its_help():
    text = pages.text_of("generated/parameters.md")
    for row in parameters.TABLE:
        assert f"| {row[0]} | `{row[1]}` |" in text
        assert row[-1] in text


def test_every_protection_and_fault_has_words():
    text = pages.text_of("generated/protections.md")
    for row in rules.ITEMS:
        assert f"| {row[rules.ID]} | {row[rules.WORDS]} |" in text
    for row in rules.FAULTS:
        assert f"| {row[rules.FAULT_NAME]} | {row[rules.FAULT_WORDS]} |" in text


def test_every_event_has_words_of_its_own():
    assert len(events.WORDS) == len(events.NAMES) == len(set(events.WORDS))
    text = pages.text_of("generated/events.md")
    for name, words in zip(events.NAMES, events.WORDS):
        assert f"| `{name}` | {words} |" in text


@pytest.mark.req("PRO-31")
def test_a_range_on_the_page_is_what_a_set_obeys():
    assert "| 1 | `cell_ov_alarm_mv` | 3.5 V, 3.55 V | 3 V | 3.7 V |" in pages.text_of(
        "generated/parameters.md")


def test_a_row_has_one_unit():
    assert [pages.shown(value, "mV", 500) for value in (30, 5, 500)] == ["30 mV", "5 mV", "500 mV"]
    assert [pages.shown(value, "ms", 10_000) for value in (200, 10_000)] == ["0.2 s", "10 s"]


@pytest.mark.parametrize("value, unit, text", [
    (3600, "mV", "3.6 V"), (-200, "dC", "-20 °C"), (9600, "cpct", "96 %"), (100, "ms", "100 ms"),
    (110_000, "mA", "110 A"), (1100, "uOhm", "1.1 mΩ"), (10, "", "10"), (500, "ppm", "0.05 %")])
def test_a_person_reads_his_own_units(value, unit, text):
    assert pages.shown(value, unit) == text


@pytest.mark.req("BRD-01")
def test_every_board_has_a_picture_with_each_of_its_pins():
    folders = {path.parent.name for path in (rooms.ROOT / "boards").glob("*/pins.csv")}
    assert set(wiring.BOARDS) == folders
    for board in folders:
        pins = wiring.pins_of(board)
        assert sum(len(rows) for _, _, rows in wiring.groups_of(
            pins, wiring.parts_of(board))) == len(pins) >= 20
        drawn = wiring.picture(board)
        assert all(f">{name}<" in drawn and f">{pin}<" in drawn for name, pin in pins)


def test_every_pull_and_direction_is_of_a_pin_that_exists():
    names = {name for board in wiring.BOARDS for name, _ in wiring.pins_of(board)}
    assert set(wiring.PULLS) | set(wiring.INPUTS) <= names


def test_every_room_in_the_picture_exists():
    for *_, head, _, _ in architecture.BOXES.values():
        if "/" in head:
            first, *others = head.split(" ")
            places = [first] + [f"{first.split('/')[0]}/{other}" for other in others]
            for place in places:
                assert any((rooms.ROOT / top / place).exists() for top in ("", "firmware")), place


@pytest.mark.req("BRD-02")
def test_the_page_of_the_bench_has_every_command_field_and_fault():
    text = "\n".join(bench_page.page())
    for name in (*rig_commands.COMMANDS, *rig_fields.SET_FIELDS, *rig_fields.FAULT_KINDS):
        assert f"| `{name}` |" in text, name
    assert bench_page.NO_WORDS not in text, [line for line in text.splitlines()
                                             if bench_page.NO_WORDS in line]


@pytest.mark.parametrize("kind, wrong", [("afe_crc", 1.5), ("open_wire", 17), ("shunt_sign", 0),
                                         ("swapped_cells", [1, 1]), ("flash_erase_ms", 0)])
def test_what_the_page_of_the_bench_says_is_refused_is_refused(kind, wrong):
    check = bench_page.checks()[kind]
    assert bench_page.wanted(check)
    with pytest.raises((ValueError, rig_fields.RigError)):
        check(kind, wrong)
