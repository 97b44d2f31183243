"""What the AFE's image is made from is named: other parameters need no look at it (PAR-04)."""

import pytest

from bms.protect import second_line
from bms.words.parameters import TABLE, Parameters

SHUNT_UOHM = 250


def images(params):
    return [second_line.image(params, SHUNT_UOHM, 16, deep) for deep in (False, True)]


@pytest.mark.req("PAR-04")
@pytest.mark.req("PRO-23")
def test_a_value_that_changes_the_image_is_named():
    params = Parameters()
    before, used = images(params), second_line.used(params)
    changing = 0
    for i in range(len(TABLE)):
        value = params.values[i]
        for other in params.range_of(i):
            params.values[i] = other            # alone, whatever rules it breaks
            if images(params) != before:
                assert second_line.used(params) != used, TABLE[i][1]
                changing += 1
        params.values[i] = value
    assert changing > 40
    assert second_line.used(params) == used


@pytest.mark.req("PAR-04")
def test_what_the_host_sets_daily_is_not_named():
    params = Parameters()
    used = second_line.used(params)
    for name in ("oc_release_ms", "buzzer_enable", "cell_ov_alarm_mv", "cvl_mv"):
        params.values[params.row_of(name)] -= 1
    assert second_line.used(params) == used
