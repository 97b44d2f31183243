"""The year on cells of any maker: what they are, and the page that is made of it."""

import numpy as np
import pytest
import soc_cells
import soc_report
import soc_study


def drawn(kind):
    cells, _ = soc_study.draw_cells(np.random.default_rng(3), 3)
    soc_cells.shape(cells, kind, 3)
    return cells


@pytest.mark.req("SOC-04")
@pytest.mark.parametrize("kind", soc_cells.KINDS)
def test_each_kind_has_a_curve_that_rises_and_that_a_profile_may_have(kind):
    cells = drawn(kind)
    curve = np.array(cells.ocv[:])
    assert (np.diff(curve) >= 0).all()
    assert 2000 <= np.interp(0.0, soc_cells.ROWS, curve) <= 2700
    assert 3420 <= np.interp(1.0, soc_cells.ROWS, curve) <= 3700
    params, known = soc_study.firmware_of(cells, True)
    assert abs(known.hysteresis_mv - cells.hyst_mv) <= 2
    assert abs(known.rest_mv(5000) - np.interp(0.5, soc_cells.ROWS, curve)) <= 3
    assert abs(params["self_use_ua"] - 1000 * sum(cells.leak_ma) / 16) <= 1


@pytest.mark.req("SOC-04")
def test_the_knees_are_moved_by_what_they_say():
    own, plus = np.array(drawn("own").ocv[:]), np.array(drawn("knees ++").ocv[:])
    at = {mv: (np.interp(mv, own, soc_cells.ROWS), np.interp(mv + 10, plus, soc_cells.ROWS))
          for mv in (3100, 3150)}
    for before, after in at.values():
        assert 0.012 <= before - after <= 0.031
    assert max(abs(own - plus)) > 9


@pytest.mark.req("SOC-04")
def test_the_page_shows_what_misses_its_aim():
    result = {"seed": 1, "worst": 3.6, "squares": 0.25 * 100, "n": 100, "covered": 99.95,
              "bound_mean": 2.9, "capacity_error": -1.2}
    text = soc_report.page({("year", "own", False): [result], ("year", "a123", False): [result],
                            ("month", "self 0", False): [{"seed": 1, "worst": 1.0,
                                                          "covered": 100.0}]}, 365, 60)
    assert "| own | no | 1 | **3.60** | 0.50 | 99.95 | 2.90 | 1.2 |" in text
    assert "| a123 | no | 1 | 3.60 | 0.50 | 99.95 | 2.90 | 1.2 |" in text
    assert "| self 0 | 1 | 1.00 | 100.00 |" in text
