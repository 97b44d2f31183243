"""The first look at a real AFE: its script against the emulated board, its verdicts against both
sides of the models' ranges."""

import ast
import copy

import hil_silicon
import pytest
from emu_periph import RawRepl

pytestmark = pytest.mark.req("HST-03")

WELL = {
    "there": True, "answer_us": (50, 75), "patterns": {"wrong_crc": "ffffaa",
                                                        "too_soon": "ffff00"},
    "device": "9576", "version": "769500360080", "sub_us": [400] * 5, "entry_us": 2600,
    "in_update": 1, "memory": [(0x92FB, "c6", "c6")], "exit_us": 1600, "cells_mv": [3300] * 16,
    "terminals": [5280, 10, 10], "current": 0, "safety": [0, 0, 0], "fets": 5,
    "closed": [5280, 5300, 5250], "bothoff": {1: 5, 0: 0},
}


def verdicts(**changes):
    """{what: verdict} for a chip that is well but for *changes*."""
    return {row[0]: row[3] for row in hil_silicon.judged({**copy.deepcopy(WELL), **changes})}


def test_a_chip_inside_every_range_is_as_modelled():
    assert set(verdicts().values()) == {"as modelled"}


@pytest.mark.parametrize(("what", "changes"), [
    ("answer time", {"answer_us": (3000, 5000)}), ("answer time", {"answer_us": (8000, None)}),
    ("wrong CRC", {"patterns": {"wrong_crc": "ffff00", "too_soon": "ffff00"}}),
    ("too soon", {"patterns": {"wrong_crc": "ffffaa", "too_soon": "123456"[::-1]}}),
    ("device number", {"device": "9476"}), ("sub-command", {"sub_us": [None]}),
    ("SET_CFGUPDATE", {"entry_us": None}), ("EXIT_CFGUPDATE", {"exit_us": 30_000}),
    ("data memory", {"memory": [(0x92FB, "c6", "86")]}),
    ("gain of STACK", {"terminals": [5470, 10, 10]}),
    ("gain of PACK", {"closed": [5280, 5700, 5250]}), ("FETs close", {"fets": 4}),
    ("BOTHOFF", {"bothoff": {1: 0, 0: 5}}), ("any answer", {"there": False})])
def test_what_lies_outside_is_said_in_its_row(what, changes):
    outside = [name for name, verdict in verdicts(**changes).items() if verdict == "OUTSIDE"]
    assert len(outside) == 1 and what in outside[0]


def test_a_module_without_cells_leaves_its_gains_open():
    rows = verdicts(cells_mv=[0] * 16, terminals=[0, 0, 0])
    assert sum(verdict.startswith("not seen") for verdict in rows.values()) == 3
    assert "OUTSIDE" not in rows.values()


@pytest.mark.rp2040
@pytest.mark.parametrize("seed", [3])
def test_the_script_finds_the_emulated_chip_inside_its_ranges(plain_uf2, seed):
    from emulator import EmulatedPico
    from stand import Stand
    pico = EmulatedPico(plain_uf2, stand=Stand({"seed": seed, "plant": {"soc": 0.5}}))
    out, err = RawRepl(pico).exec(hil_silicon.SCRIPT.read_text("utf-8"), 20_000)
    assert not err, err
    found = ast.literal_eval(out.decode().strip().splitlines()[-1])
    rows = hil_silicon.judged(found)
    assert {row[3] for row in rows} == {"as modelled"}, hil_silicon.page(rows, "")
