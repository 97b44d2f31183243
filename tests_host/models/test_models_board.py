"""What the models draw for a board: tools/models/board.py."""

import pytest

import board

# hardware.md section 0
TOLERANCES = {
    "answer_us": (20, 1000), "config_answer_us": (50, 5000), "stack_gain": (0.975, 1.025),
    "pack_gain": (0.975, 1.025), "ld_gain": (0.975, 1.025), "current_gain": (0.985, 1.015),
    "ld_source_ua": (35, 172), "ntc_pull_gain": (0.9, 1.1), "terminal_uf": (0, 40_000),
    "terminal_ohm": (0.1, 50),
}


def test_spread_0_is_the_ideal_board():
    ideal = board.draw(7, 0)
    assert ideal == board.ideal() == board.draw(99, 0, full=True)
    assert ideal["cell_gain"] == [1.0] * 16 and ideal["cell_offset_mv"] == [0.0] * 16
    for name in ("stack_gain", "pack_gain", "ld_gain", "current_gain", "reference_gain"):
        assert ideal[name] == 1.0
    assert ideal["terminal_uf"] == 0 and ideal["terminal_kohm"] is None


def test_a_seed_is_a_board():
    assert board.draw(5) == board.draw(5)
    assert board.draw(5, full=True) != board.draw(6, full=True)


@pytest.mark.parametrize("name", TOLERANCES)
def test_the_full_range_is_that_of_the_hardware_page_and_all_of_it_is_used(name):
    low, high = TOLERANCES[name]
    values = [board.draw(seed, full=True)[name] for seed in range(300)]
    assert all(low <= value <= high for value in values)
    if name in ("answer_us", "config_answer_us", "terminal_ohm", "ld_source_ua"):   # by decades
        assert min(values) < low * 1.3 and max(values) > high / 1.3
    else:
        assert min(values) < low + (high - low) * 0.05
        assert max(values) > high - (high - low) * 0.05


def test_cells_stay_within_10_mv_before_calibration():
    for seed in range(200):
        made = board.draw(seed, full=True)
        for gain, offset in zip(made["cell_gain"], made["cell_offset_mv"]):
            assert abs(3600 * gain * made["reference_gain"] + offset - 3600) <= 10.0


def test_a_leak_is_20_kohm_at_least():
    leaks = [board.draw(seed, full=True)["terminal_kohm"] for seed in range(300)]
    assert all(leak is None or leak >= 20 for leak in leaks)
    assert any(leak is not None and leak < 25 for leak in leaks)


def test_what_is_handed_on_today_lies_in_the_full_range():
    for name, _count, ideal, scale, whole, today in board.ROWS:
        if today is None or scale == board.INVERSE:
            continue
        assert whole[0] <= today[0] <= today[1] <= whole[1], name
        assert whole[0] <= ideal <= whole[1], name


def test_half_the_spread_is_half_the_error():
    whole, half = board.draw(3, 1, full=True), board.draw(3, 0.5, full=True)
    assert half["pack_gain"] - 1 == pytest.approx((whole["pack_gain"] - 1) / 2)


def test_widening_one_range_moves_no_other_figure(monkeypatch):
    rows = board.ROWS
    drawn = []
    for today in ((30.0, 30.0), None):
        monkeypatch.setattr(board, "ROWS", tuple(
            row[:5] + (today,) if row[0] == "answer_us" else row for row in rows))
        drawn.append(board.draw(11))
    before, after = drawn
    assert before.pop("answer_us") != after.pop("answer_us")
    assert before == after
