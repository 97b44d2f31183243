"""The controller's supply dips while the pack works (SAF-07, SAF-08)."""

import pytest


@pytest.mark.targets("host", "unix")
@pytest.mark.req("SAF-07", "SAF-02")
@pytest.mark.parametrize("dip_ms", [1, 30, 1500])
def test_after_a_dip_both_fets_were_open_and_the_pack_is_back(rig, target, dip_ms):
    rig.open(target, plant={"soc": 0.6})
    rig.run(4000)
    rig.set(load_ma=20_000)
    rig.run(3000)
    before = rig.events(0)["events"]
    rig.run(2000)                       # until they are in flash
    rig.set(fault={"supply_dip_ms": dip_ms})
    rig.run(1)
    wire, truth = rig.look()
    assert (wire["fets"]["chg"], wire["fets"]["dsg"]) == (0, 0)     # by the pull-down at BOTHOFF
    assert truth["current_ma"] == 0
    rig.run(9000 + dip_ms)
    wire, truth = rig.look()
    assert (wire["fets"]["chg"], wire["fets"]["dsg"]) == (1, 1)
    events = rig.events(0)["events"]
    assert events[:len(before)] == before
    boots = [e for e in events if e["event"] == "boot"]
    assert [(e["boot"], e["item"]) for e in boots] == [(1, 0), (2, 0)]      # nobody was stuck
    assert rig.get()["report"]["faults"] == []
