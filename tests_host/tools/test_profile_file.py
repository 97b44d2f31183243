"""`make profile FILE=...`: a good file is described, a wrong one told what would be right."""

import json
import pathlib

import profile_file
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "firmware" / "profiles"
TEMPLATE = FOLDER.parents[1] / "docs" / "profiles.md"


@pytest.mark.req("PRF-03")
@pytest.mark.parametrize("name", sorted(p.name for p in FOLDER.glob("[!_]*.*")
                                        if p.suffix in (".json", ".py")))
def test_every_profile_of_the_firmware_is_good(name):
    assert profile_file.check(FOLDER / name)[-1] == "good"


@pytest.mark.req("PRF-03")
def test_the_template_of_the_page_is_good(tmp_path):
    text = TEMPLATE.read_text().split("```json")[1].split("```")[0]
    path = tmp_path / "mine_15s_230.json"
    path.write_text(text)
    assert profile_file.check(path)[-1] == "good"


@pytest.mark.req("PRF-03")
@pytest.mark.parametrize("change, words", [
    ({"defaults": {"cell_ov_trip_mv": 3710}}, ("cell_ov_trip_mv", "3710", "3700")),
    ({"cells": 7}, ("CELLS", "7", "8..16")),
    ({"name": "other"}, ("other.json",)),
    ({"sells": 7}, ("sells", "one of"))])
def test_a_wrong_one_is_told_what_would_be_right(tmp_path, capsys, change, words):
    path = tmp_path / "mine.json"
    data = {"name": "mine", "cells": 16, "capacity_mah": 100_000, **change}
    path.write_text(json.dumps(data))
    assert profile_file.main([str(path)]) == 1
    told = capsys.readouterr().err
    for word in words:
        assert word in told


@pytest.mark.req("PRF-03")
def test_a_module_with_a_mistake_is_told(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("NAME = 'mine'\nCELLS = 16\n")
    assert profile_file.main([str(path)]) == 1
    assert "CAPACITY_MAH is missing" in capsys.readouterr().err
