"""A controller that hangs, raises, stands still: both FETs are off within 1.0 s (SAF-08)."""

import pytest

TASKS = ("control", "pcs", "can", "debug", "parallel", "panel", "storage", "supervisor",
         "self_tests")
SLOW = {"self_tests": 1000}         # the period of a task, where it is no small part of a second


def opened(rig, target, load_ma=None):
    rig.open(target, plant={"soc": 0.6}, params={"bench_enable": 1})
    rig.run(3000)
    rig.set(load_ma=load_ma)
    rig.run(2000)


def opening_ms(rig, since_ms):
    """When both FETs were off for good, after *since_ms*."""
    edges = [edge for edge in rig.trace(since_ms)["edges"] if edge[1] in ("fets.chg", "fets.dsg")]
    assert {signal for _, signal, _ in edges} == {"fets.chg", "fets.dsg"}
    assert not any(level for _, _, level in edges), edges
    return max(at_ms for at_ms, _, _ in edges) - since_ms


def last_boot(rig):
    return [event for event in rig.events(0)["events"] if event["event"] == "boot"][-1]


@pytest.mark.targets("host", "unix")
@pytest.mark.req("SAF-08", "SAF-01", "SAF-03")
@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_hangs_leaves_both_fets_open_within_a_second(rig, target, task):
    opened(rig, target, load_ma=20_000)
    at_ms = rig.get()["t_ms"]
    rig.set(fault={"task_hang": task})
    rig.run(1000 + SLOW.get(task, 0))
    assert opening_ms(rig, at_ms) <= 1000 + SLOW.get(task, 0)
    rig.run(6000)
    assert last_boot(rig)["item"] == 1 + TASKS.index(task)
    assert rig.command_text("errors").startswith(f"before this start {task} was stuck or late")
    seen = rig.get()
    assert seen["wire"]["fets"]["chg"] and seen["wire"]["fets"]["dsg"]
    assert seen["report"]["faults"] == []


@pytest.mark.sample("fault0")
@pytest.mark.targets("host", "unix", "rp2040")
@pytest.mark.req("SAF-08")
@pytest.mark.parametrize("fault", [{"task_hang": "control"}, {"mcu_frozen": True},
                                   {"task_storm": "all"}, {"task_storm": "supervisor"}])
def test_a_dead_controller_leaves_both_fets_open_within_a_second(rig, target, fault):
    dies(rig, target, fault)


@pytest.mark.targets("host", "unix")        # the emulated chip has one clock for everything
@pytest.mark.req("SAF-08")
def test_a_stopped_clock_leaves_both_fets_open_within_a_second(rig, target):
    dies(rig, target, {"mcu_clock_stopped": True})


def dies(rig, target, fault):
    """The controller dies of *fault*: both FETs open in time, and it starts again."""
    opened(rig, target, load_ma=20_000)
    at_ms = rig.get()["t_ms"]
    rig.set(fault=fault)
    rig.run(1000)
    assert opening_ms(rig, at_ms) <= 1000
    rig.run(12_000)             # with the FETs off by command it is given 8 s
    assert last_boot(rig)["boot"] == 2
    assert rig.get()["wire"]["fets"]["dsg"] == 1


@pytest.mark.targets("host", "unix")
@pytest.mark.req("SAF-03")
def test_exceptions_of_a_task_that_protects_nothing_open_no_fet(rig, target):
    opened(rig, target, load_ma=20_000)
    at_ms = rig.get()["t_ms"]
    rig.set(fault={"task_storm": "panel"})
    rig.run(20_000)
    assert rig.trace(at_ms)["edges"] == [e for e in rig.trace(at_ms)["edges"]
                                         if not e[1].startswith("fets")]
    assert rig.get()["report"]["faults"] == ["SAF-03-task"]


@pytest.mark.targets("host", "unix")
@pytest.mark.req("SAF-08", "SAF-01")
def test_work_with_erases_of_400_ms_resets_nothing(rig, target):
    opened(rig, target)
    rig.set(fault={"flash_erase_ms": 400})
    at_ms = rig.get()["t_ms"]
    for i in range(12):
        rig.set(load_ma=30_000 if i % 2 else None, charger_mv=None if i % 2 else 54_500,
                charger_ma=None if i % 2 else 20_000)
        rig.param("boost_s", 100 + i)
        if not i % 3:
            rig.command_text("save")
        rig.run(40_000)
    assert last_boot(rig)["boot"] == 1
    assert not [e for e in rig.trace(at_ms)["edges"] if e[1] == "fets.dsg" and not e[2]]
    assert rig.get()["report"]["faults"] == []


@pytest.mark.targets("rp2040")
@pytest.mark.req("SAF-08", "SAF-01")
def test_erases_of_400_ms_on_the_chip_reset_nothing(rig, target):
    opened(rig, target)
    rig.set(fault={"flash_erase_ms": 400})
    at_ms = rig.get()["t_ms"]
    for i in range(6):
        rig.param("boost_s", 100 + i)
        rig.command_text("save")
        rig.run(2_000)
    assert last_boot(rig)["boot"] == 1
    assert not [e for e in rig.trace(at_ms)["edges"] if e[1] == "fets.dsg" and not e[2]]
