"""Two emulated Picos, pin by pin: the product's image and the box's (tools/packbox).

The other scenarios run on this pair with `--targets rp2040+box` (make hil-emulated).
"""

import pytest
import rig_box
from boxed import LATER_MS
from rig import Rig

pytestmark = [pytest.mark.req("HST-03"), pytest.mark.rp2040]

SETTLE_MS = 4000
CONFIGURES_MS = 500
SCAN_MS = 100
BOTH = ("chg", "dsg")


def edges(rig, since_ms):
    """{FET: ms after *since_ms* of its first edge}."""
    found = {}
    for t_ms, signal, _value in rig.trace(since_ms)["edges"]:
        if signal.startswith("fets.") and signal[5:] in BOTH:
            found.setdefault(signal[5:], t_ms - since_ms)
    return found


def story(board):
    """A pack that closes its FETs and trips on a cell (PRO-01): edges of both parts."""
    with Rig() as rig:
        rig.open(board, plant={"soc": 0.5, "temp_c": 25}, spread=0)
        rig.run(SETTLE_MS)
        closing = edges(rig, 0)
        # in the middle between two scans: a FET is commanded at the end of one
        rig.run((closing["chg"] + SCAN_MS / 2 - rig.get()["t_ms"]) % SCAN_MS)
        start_ms = rig.get()["t_ms"]
        rig.set(cell_mv={"7": 3605})
        rig.run(3400)
        end = rig.get()
        return closing, edges(rig, start_ms), end


@pytest.mark.req("PRO-01")
def test_the_pair_does_what_the_emulated_board_does_within_30_ms(uf2):
    alone, paired = story("rp2040"), story("rp2040+box")
    # its start is that of a chip that takes some time for each write of its configuration
    assert all(abs(alone[0][name] - paired[0][name]) <= CONFIGURES_MS for name in BOTH)
    assert alone[1].keys() == paired[1].keys() == {"chg"}
    assert abs(alone[1]["chg"] - paired[1]["chg"]) <= LATER_MS
    for part in ("fets", "lamps", "do", "buzzer", "limiter"):
        assert alone[2]["wire"][part] == paired[2]["wire"][part]
    assert paired[2]["report"]["protections"] == ["PRO-01"]


# a wire that is left open, or in its neighbour's place
WIRES = {
    "AFE_CS": None, "AFE_SCK": None, "AFE_MOSI": None, "AFE_MISO": None, "AUX_SCK": None,
    "AUX_MOSI": None,
}


@pytest.fixture
def pair(target, uf2):
    def made(routes):
        bench = rig_box.EmulatedPair({"seed": 1, "rocker": 1, "plant": {}}, on=False)
        bench._wires.reroute(routes)
        bench.power(True)
        return bench
    return made


@pytest.mark.targets("rp2040+box")
@pytest.mark.parametrize("wire", WIRES)
def test_a_wire_that_is_open_is_named_within_5_s(pair, wire):
    bench = pair({wire: None})
    bench.run(5_000_000, [])
    assert f"{wire} (the box's GP" in (bench.verdict() or "nothing")


@pytest.mark.targets("rp2040+box")
@pytest.mark.parametrize(("one", "other"), [
    ("AFE_SCK", "AFE_MOSI"), ("AFE_CS", "AFE_SCK"), ("AUX_SCK", "AUX_MOSI")])
def test_two_wires_that_are_swapped_are_named_within_5_s(pair, one, other):
    bench = pair({one: other, other: one})
    bench.run(5_000_000, [])
    said = bench.verdict() or "nothing"
    assert one in said or other in said


@pytest.mark.targets("rp2040+box")
def test_a_bench_that_is_wired_well_gets_no_verdict(pair):
    bench = pair({})
    bench.run(5_000_000, [])
    assert bench.verdict() is None
