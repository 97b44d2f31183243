"""Power cuts, a part of what `make powercut` does: nothing kept is lost, wrong, or in the way."""

import pytest

import powercut


@pytest.mark.unix
@pytest.mark.slow
@pytest.mark.req("PAR-02", "REC-02", "RST-02", "SOC-03")
@pytest.mark.parametrize("name", list(powercut.WORKLOADS))
def test_nothing_is_lost_or_wrong_after_a_cut(unix_micropython, name):
    result = powercut.on_unix(name, quick=True)
    assert result["cuts"] >= 12
    assert (result["wrong"], result["failed"]) == (0, 0), result["examples"]


@pytest.mark.rp2040
@pytest.mark.slow
@pytest.mark.req("PAR-02", "REC-02", "RST-02")
def test_the_emulated_board_starts_as_soon_as_ever_after_a_cut(uf2):
    for what, count, torn, took_ms, wrong in powercut.on_pico(((2, 0.5),)):
        assert not wrong, (what, count, torn, took_ms)      # answers within LIMIT_MS


@pytest.mark.req("PAR-02", "REC-02")
def test_the_report_says_what_was_found():
    result = {"workload": "log", "steps": 3, "operations": 5, "erases": 1, "cuts": 90, "wrong": 0,
              "failed": 0, "missing": 40, "slowest_ms": 3, "examples": []}
    text = "\n".join(powercut.report([result], [("param", 1, 0.5, (410, 620, 1750), [])], 12))
    assert "| 5 | 1 | 90 | 0 | 0 | 40 |" in text
    assert "| param | 1 | 0.5 | 410 ms | 620 ms | 1750 ms | nothing |" in text
