"""`make bench`: the table, the comparison with the last time, and one quick run of everything."""

import json
import os
import re

import pytest

import bench
from bench import Row

# Sections that are measured twice; make days: the board and its protection, which share a board.
AGAIN = os.environ.get("PACKCTL_BENCH_AGAIN", "storage")
TASKS = bench.task_names(bench.MAIN.read_text("utf-8"))
KEYS = {
    "boot.decision_ms", "load.idle_pct", "load.cpu_us", "load.polling_us", "load.scheduler_pct",
    "load.scheduler_us",
    *(f"load.{task}_{what}" for task in TASKS for what in ("pct", "us", "worst_us")),
    *(f"reply.{key}_{what}_ms" for key in ("rs485", "busy", "report", "report_end")
      for what in ("min", "mean", "max")), "reply.idle_pct",
    *(f"cycle.{phase[0]}_{what}_us" for phase in bench.PHASES for what in ("cpu", "wall")),
    "cycle.scan_io_polling_us", "cycle.rest_cpu_us", "cycle.cpu_us", "cycle.wall_us",
    "heap.free", "heap.cycle", *(f"heap.{task}" for task in TASKS),
    "protect.viper_us", "protect.python_us", "protect.c_us", "protect.viper_gain",
    "protect.viper_to_c", "protect.net_gain", "protect.net_to_c", "protect.different",
    *(f"log.{key}" for key in ("open_ms", "held", "write_us", "write_worst_us", "read_us",
                               "erases")),
    "size.flash", "size.modules", "size.ram",
    "speed.host", "speed.unix", "speed.rp2040",
}


def test_the_names_of_tasks_are_those_of_the_table_in_its_order():
    assert TASKS[0] == "control" and len(TASKS) == len(set(TASKS)) > 5
    table = '    tasks = [\n        Task("a", x, 1),\n        Task("b", y, 2),\n    ]\n'
    assert bench.task_names("def f():\n" + table) == ["a", "b"]
    more = '    if z:\n        tasks.append(Task("c", z, 3))\n'
    assert bench.task_names("def f():\n" + table + more) == ["a", "b", "c"]
    with pytest.raises(bench.BenchError):
        bench.task_names('def f():\n    c = Task("c", z, 3)\n' + table)
    with pytest.raises(bench.BenchError):
        bench.task_names("")


def rows():
    return {"Load (emulated)": [Row("load.idle_pct", "asleep", 91.234, "%", (">=", 90), 2),
                                Row("load.cpu_us", "CPU in a second", 87654, "us")],
            "Memory": [Row("heap.cycle", "allocated", 64.0, "bytes", ("<=", 0))]}


def test_an_aim_is_met_or_missed_and_no_aim_is_neither():
    idle, cpu, heap = [row for section in rows().values() for row in section]
    assert (idle.ok, cpu.ok, heap.ok) == (True, None, False)
    assert Row("a", "a", 90, "%", (">=", 90)).ok and Row("a", "a", 3, "x", ("<=", 3)).ok
    assert not Row("a", "a", 89.99, "%", (">=", 90), 2).ok


def test_the_table_has_a_line_for_each_figure_under_its_section():
    lines = bench.table(rows())
    assert re.fullmatch(r" +value  unit +aim +ok", lines[0])
    assert lines[1:3] == ["", "Load (emulated)"]
    assert re.fullmatch(r"  asleep +91\.2  % +>= 90  ok", lines[3])
    assert re.fullmatch(r"  CPU in a second +87654  us", lines[4])
    assert lines[5:7] == ["", "Memory"]
    assert re.fullmatch(r"  allocated +64\.0  bytes  <= 0 +NOT", lines[7])


def test_the_table_shows_what_changed_since_the_last_time():
    before = {"load.idle_pct": 95.0, "load.cpu_us": 87654}
    lines = bench.table(rows(), before)
    assert lines[0].endswith("change")
    assert lines[3].endswith("-4.0 %")
    assert lines[4].endswith("=")
    assert lines[7].endswith("new")
    assert bench.change_text(Row("a", "a", 3, "x"), {"a": 0}) == "was 0"


def test_a_stored_result_is_read_back_and_a_broken_one_is_none(tmp_path):
    path = tmp_path / "bench.json"
    assert bench.read_previous(path) == {}
    path.write_text("{]")
    assert bench.read_previous(path) == {}
    flat = [row.as_dict() for section in rows().values() for row in section]
    path.write_text(json.dumps({"rows": flat}))
    assert bench.read_previous(path) == {"load.idle_pct": 91.23, "load.cpu_us": 87654,
                                         "heap.cycle": 64.0}


def test_requests_of_the_bench_are_frames_as_the_protocol_has_them():
    # PYLON RS485 V2.8: get analog value of pack 2; python-pylontech sends the same.
    assert bench.pylontech_request(0x42, "02") == b"~20024642E00202FD33\r"


def test_the_c_yardstick_has_the_columns_of_the_definition():
    from hot import protect_py
    source = (bench.ON_DEVICE / "protect_step.c").read_text()
    rows_of_c, states_of_c = re.findall(r"enum \{\s*([A-Z_, \n]+), (?:WIDTH|STATE)\s*\};", source)
    assert len(rows_of_c.split(",")) == protect_py.WIDTH
    assert len(states_of_c.split(",")) == protect_py.STATE
    arguments = protect_py.protect_step.__code__.co_argcount
    assert f"#define ARGUMENTS {arguments}\n" in source


def measured(path, *options):
    """Exit code and result of a quick run."""
    code = bench.main(["--quick", *options, "--json", str(path)])
    return code, json.loads(path.read_text())


# One test: two workers would each measure for themselves what several share.
@pytest.mark.slow
@pytest.mark.rp2040
def test_a_quick_run_measures_everything_and_a_second_one_agrees(tmp_path):
    pytest.importorskip("rp2040py", reason="the bench needs the emulator")
    code, result = measured(tmp_path / "quick.json")
    assert result["not_measured"] == []
    assert code == 0
    values = {row["key"]: row["value"] for row in result["rows"]}
    assert set(values) == KEYS
    assert all(value is not None for value in values.values())
    assert values["protect.different"] == 0         # viper and C do what the Python twin does
    _, again = measured(tmp_path / "again.json", "--only", AGAIN)
    assert again["rows"]
    assert {row["key"]: row["value"] for row in again["rows"]} == {
        row["key"]: values[row["key"]] for row in again["rows"]}
