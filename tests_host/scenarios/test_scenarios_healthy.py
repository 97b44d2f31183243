"""Healthy packs are never accused: seeds of tools/trials/healthy.py that once were (MEA-06)."""

import pytest

import healthy


@pytest.mark.req("MEA-06")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("seed, until_s", (
    (1003, 105),        # 101 ms: cells and stack at other parts of the pulse: MEA-03-sum
    (1006, 62),         # the charge FET off, 70 ms: PRO-28-current
    (1007, 70),         # a slow AFE, pulses of 90 A: MEA-02; before the start: PWR-03
    (1014, 92),         # terminals and stack: SAF-05-open
))
def test_a_healthy_pack_is_not_accused(rig, target, seed, until_s):
    assert healthy.try_seed(rig, seed, target, until_s * 1000) is None


@pytest.mark.req("MEA-06")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("seed, until_s", (
    (6, 46),            # 2 s of an overload at 5 % and -11 degC
    (11, 17),           # a load that was there before the start
    (29, 42),           # in the flat part: polarisation alone
))
def test_cells_that_relax_after_an_overload_accuse_nothing(rig, target, seed, until_s):
    assert healthy.try_seed(rig, seed, target, until_s * 1000, kind="overloads") is None


@pytest.mark.req("MEA-06")
@pytest.mark.targets("host")
def test_a_ripple_in_step_with_the_scans_is_no_wrong_sum(rig, target):
    """100 Hz, at 0 degC: each scan shows the mean of the current, and the sum 0.6 V off."""
    assert healthy.try_seed(rig, 1, target, 327_000) is None
