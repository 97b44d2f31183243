"""CAN on the bench (COM-02, COM-05, COM-08): other people's programs listen, and things happen."""

import contextlib
import functools
import operator
import os
import time

import can
import can_dbc
import cantools
import pytest
from protocols.can import layout
from protocols.ascii.pylontech import VER
from scenarios_protection import CASES
from tasks import can_port
from test_clients_rs485 import Line

NAMES = [row[layout.NAME] for row in layout.VARIANTS]
FAST = pytest.mark.targets("host", "unix")


def frames(rig, since_ms, ident=None):
    """[t_ms, id, data] of what the pack has sent since then."""
    return [(t_ms, one, bytes.fromhex(data)) for t_ms, one, data in
            rig.can(since_ms=since_ms)["frames"] if ident is None or one == ident]


def report(rig):
    return rig.get()["report"]


def ready(rig, target, **more):
    """An open rig whose pack has been up for some seconds; the time in ms."""
    opened = rig.open(target, **more)
    rig.run(5000)
    return opened, rig.get()["t_ms"]


def events(rig, name):
    return [row for row in rig.events()["events"] if row["event"] == name]


def good_within(rig, since_ms, limit_ms, first=(0x351,)):
    """Whole sets come again, the first frame, one of *first*, within *limit_ms* of *since_ms*."""
    rig.run(since_ms + 3500 - rig.get()["t_ms"])
    seen = frames(rig, since_ms)
    assert seen and seen[0][1] in first
    assert seen[0][0] - since_ms <= limit_ms
    assert len({row[1] for row in seen}) == 6
    rig.run(1000)
    assert report(rig)["can_state"] in ("active", "warning", "passive")     # errors count down
    last = frames(rig, since_ms + 2000, 0x351)
    assert all(abs(b[0] - a[0] - 1000) <= 20 for a, b in zip(last, last[1:], strict=False))


# ---- other people's programs -----------------------------------------------------------------


@pytest.fixture
def bus(rig):
    """Opens a python-can bus on the rig's CAN with nothing but what `open` answers."""
    opened = []

    def make(answer):
        opened.append(can.Bus(**answer["can"], sleep_after_open=0.05))
        return opened[-1]

    yield make
    for one in opened:
        one.shutdown()


def heard(one, wall_s=0.3):
    """Messages that wait in a python-can bus."""
    messages = []
    while (message := one.recv(wall_s if not messages else 0.05)) is not None:
        messages.append(message)
    return messages


# frame and report are of different scans, and the converter's noise is in both
WITHIN = {"voltage": 0.05, "current": 0.3, "temperature": 0.5, "min_cell": 3, "max_cell": 3,
          "min_temp": 1, "max_temp": 1, "lux_max_cell": 3, "lux_min_cell": 3,
          "lux_max_temp": 0.5, "lux_min_temp": 0.5, "deye_max_cell": 3, "deye_min_cell": 3,
          "deye_max_temp": 0.5, "deye_min_temp": 0.5, "g_voltage": 0.05, "g_current": 0.3,
          "g_temperature": 0.5, "g_max_cell": 3, "g_min_cell": 3, "g_difference": 4,
          "soc_fine": 0.08, "g_remaining": 0.08, "p_max_cell": 3, "p_min_cell": 3,
          "p_max_temp": 0.5, "p_min_temp": 0.5, "p_remaining": 80}


def wanted(r):
    """{signal: value in its unit} by the rig's report."""
    cells, temps = r["cell_mv"], r["temp_dc"]
    low_k, high_k = min(temps) / 10 + 273, max(temps) / 10 + 273
    want = {
        "cvl": r["cvl_mv"] // 100 / 10, "ccl": r["ccl_ma"] // 100 / 10,
        "dcl": r["dcl_ma"] // 100 / 10, "dvl": 46.0, "soc": r["soc_cpct"] // 100,
        "soh": r["soh_pct"], "soc_fine": r["soc_cpct"] / 100, "voltage": r["stack_mv"] / 1000,
        "current": r["current_ma"] / 1000, "temperature": sum(temps) / len(temps) / 10,
        "protections": 0, "alarms": 0, "modules": 1, "requests": 0xC0, "alarm_pairs": None,
        "min_cell": min(cells), "max_cell": max(cells), "min_temp": low_k, "max_temp": high_k,
        "capacity": round(r["full_mah"] / 1000), "installed": 100, "cycles": r["cycles"],
        "charged": r["charged_wh"] // 100 / 10 if "charged_wh" in r else None,
        "remaining": round(r["remaining_mah"] / 1000), "modules_ok": 1, "blocking_charge": 0,
        "blocking_discharge": 0, "offline": 0, "force_charge": 0,
    }
    want |= {"lux_max_cell": max(cells), "lux_min_cell": min(cells),
             "lux_max_temp": max(max(temps), min(temps) + 1) / 10, "lux_min_temp": min(temps) / 10,
             "lux_capacity": want["capacity"], "lux_cycles": r["cycles"]}
    want |= {"deye_max_cell": max(cells), "deye_min_cell": min(cells),
             "deye_max_temp": max(temps) / 10, "deye_min_temp": min(temps) / 10,
             "deye_ccl": want["ccl"], "deye_dcl": want["dcl"]}
    want |= {"g_" + name: want[name] for name in
             ("cvl", "ccl", "dcl", "voltage", "current", "soc", "soh", "max_cell", "min_cell",
              "cycles")}
    want |= {"g_temperature": max(temps) / 10, "g_packs": 1, "g_cells": 16, "g_enable": 0xC0,
             "g_full": r["full_mah"] / 1000, "g_remaining": r["remaining_mah"] / 1000,
             "g_difference": max(cells) - min(cells)}
    want |= {"p_" + name: want[name] for name in ("max_cell", "min_cell")}
    want |= {"p_max_temp": max(temps) / 10, "p_min_temp": min(temps) / 10, "p_conditions": 1 << 27,
             "p_faults": 0, "p_charge": 1, "p_discharge": 1, "p_full": r["full_mah"],
             "p_remaining": r["remaining_mah"], "p_online": 1, "p_offline": 0}
    want |= {f"g_cell_{i + 1}": mv for i, mv in enumerate(cells)}
    return want


def check_against_report(database, variant, messages, r, ramp):
    """Every frame of *variant* is in *messages* and says what report *r* says.

    ramp   A that limits may have moved between the two
    """
    newest = {message.arbitration_id: bytes(message.data) for message in messages}
    assert set(newest) == {frame[0] for frame in variant[layout.FRAMES]}
    want = wanted(r)
    checked = set()
    for frame in variant[layout.FRAMES]:
        data = newest[frame[0]]
        assert len(data) == len(frame[1])
        told = can_dbc.message_for(database, frame).decode(
            data, allow_truncated=True, decode_choices=False)
        for name, *_ in can_dbc.signals_of(frame):
            if want.get(name) is not None:
                near = WITHIN.get(name, 3 if name.startswith("g_cell") else 0.011)
                if name[-3:] in ("ccl", "dcl"):
                    near += ramp
                if name in ("soc", "g_soc"):    # whole percents: may have moved on meanwhile
                    assert told[name] in {(r["soc_cpct"] + d) // 100 for d in (-8, 8)}
                else:
                    assert told[name] == pytest.approx(want[name], abs=near), name
                checked.add(name)
    return checked


@pytest.mark.req("COM-02")
def test_a_listener_reads_every_variant_as_the_report_says(rig, target, bus):
    names = NAMES if target != "rp2040" else ("pylontech", "victron")
    opened, _ = ready(rig, target, plant={"soc": 0.62})
    rig.set(load_ma=12_000)
    ramp = 2.5                              # 2 A a second, and a frame is up to 1.2 s old
    if target != "rp2040":
        rig.run(90_000)                     # until the limits have risen to where they stay
        ramp = 0
    listener = bus(opened)
    database = cantools.database.load_file(can_dbc.PATH)
    for name in names:
        number = NAMES.index(name)
        rig.param("can_variant", number)
        rig.run(1200)
        heard(listener)
        if name == "growatt-lv":
            listener.send(can.Message(arbitration_id=0x301, data=bytes(8),
                                      is_extended_id=False))
            time.sleep(0.1)
        rig.run(1100)
        messages = heard(listener)
        checked = check_against_report(database, layout.VARIANTS[number], messages, report(rig),
                                       ramp)
        assert len(checked) >= 10, name


@pytest.mark.req("COM-02")
@FAST
def test_several_programs_share_the_bus(rig, target, bus):
    opened, _ = ready(rig, target)
    first, second = bus(opened), bus(opened)
    rig.run(1000)
    assert {m.arbitration_id for m in heard(first)} == {m.arbitration_id for m in heard(second)}
    first.send(can.Message(arbitration_id=0x305, data=bytes(8), is_extended_id=False))
    time.sleep(0.1)
    before = report(rig)["can_received"]
    rig.run(300)
    assert report(rig)["can_received"] == before + 1
    assert 0x305 in {m.arbitration_id for m in heard(second)}


# ---- time ------------------------------------------------------------------------------------


def saturate(rig, path, ms, each=lambda: None):
    """Ask over RS485 without a pause for *ms*; how many answers came. *each*: done each second."""
    line = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    answers = 0
    try:
        for _ in range(ms // 1000):     # a second's worth and more, waiting in a row
            os.write(line, 3 * b"~20024642E002FFFD09\r~200246630000FDA9\r~200246610000FDAB\r")
            each()
            rig.run(1000)
            with contextlib.suppress(BlockingIOError):
                answers += os.read(line, 4096).count(b"\r")
    finally:
        os.close(line)
    return answers


@pytest.mark.req("COM-02")
@pytest.mark.req("COM-06")
def test_the_period_holds_while_rs485_is_saturated(rig, target):
    assert VER == 0x20
    opened, _ = ready(rig, target, dip=1, params={"can_variant": NAMES.index("victron")})
    start_ms = rig.get()["t_ms"]

    def record():                       # into flash; the master asks on the parallel bus too
        rig.command_text("clock 2026-05-17T12:30:00")

    assert saturate(rig, opened["ports"]["pcs"], 9_000, record) >= 60
    times = {}
    for t_ms, ident, _ in frames(rig, start_ms):
        times.setdefault(ident, []).append(t_ms)
    assert len(times) == 20
    for ident, found in times.items():
        periods = [b - a for a, b in zip(found, found[1:], strict=False)]
        assert len(periods) >= 6
        assert all(980 <= period <= 1020 for period in periods), (hex(ident), periods)


# ---- what happens to buses ---------------------------------------------------------------------


@pytest.mark.req("COM-02")
def test_the_cable_is_out_for_a_minute(rig, target):
    _, start_ms = ready(rig, target)
    rig.set(fault={"can_no_ack": True})
    rig.run(60_000)
    assert not frames(rig, start_ms + 100)
    r = report(rig)
    assert r["can_state"] == "passive" and not r["task_errors"] and not r["faults"]
    assert [row["item"] for row in events(rig, "can_error")] == [can_port.NOT_ACKNOWLEDGED]
    back_ms = rig.get()["t_ms"]
    rig.set(fault={"can_no_ack": None})
    good_within(rig, back_ms, 2000)
    assert events(rig, "can_good")


@pytest.mark.req("COM-02")
def test_a_storm_of_bus_offs(rig, target):
    _, start_ms = ready(rig, target)
    rig.set(fault={"can_bus_off": True})
    rig.run(7_300)
    assert not frames(rig, start_ms + 100)
    assert {row["item"] for row in events(rig, "can_error")} <= {can_port.BUS_OFF,
                                                                 can_port.NOT_ACKNOWLEDGED}
    assert len(events(rig, "can_error")) < 12           # the record is not flooded
    back_ms = rig.get()["t_ms"]
    rig.set(fault={"can_bus_off": None})
    good_within(rig, back_ms, 2000)


@pytest.mark.req("COM-02")
def test_the_chip_is_reset_under_its_feet(rig, target):
    ready(rig, target)
    for wait_ms in (130, 1370, 2610) if target != "rp2040" else (130,):
        rig.run(wait_ms)
        now_ms = rig.get()["t_ms"]
        rig.set(fault={"can_reset": True})
        # what was on its way may still end, and a set may begin again before that
        good_within(rig, now_ms + 60, 2000, (0x351, 0x355))
    items = {row["item"] for row in events(rig, "can_error")}
    # the frame that was on its way had no acknowledge
    assert can_port.CONFIGURATION_LOST in items
    assert items <= {can_port.CONFIGURATION_LOST, can_port.NOT_ACKNOWLEDGED}


@pytest.mark.req("COM-02")
@FAST
def test_reset_with_the_cable_out(rig, target):
    ready(rig, target)
    rig.set(fault={"can_no_ack": True})
    rig.run(5_000)
    rig.set(fault={"can_reset": True})
    rig.run(5_000)
    now_ms = rig.get()["t_ms"]
    rig.set(fault={"can_no_ack": None})
    good_within(rig, now_ms, 2000)


@pytest.mark.req("COM-06")
@FAST
def test_a_flood_of_frames_is_survived(rig, target):
    _, start_ms = ready(rig, target)
    rig.set(fault={"can_overflow": True})
    rig.run(5_000)
    for ident in (0x351, 0x355, 0x356, 0x359, 0x35C, 0x35E):
        found = [row[0] for row in frames(rig, start_ms, ident)]
        assert len(found) >= 4
        assert all(abs(b - a - 1000) <= 20 for a, b in zip(found, found[1:], strict=False))
    r = report(rig)
    assert r["can_received"] > 100 and not r["task_errors"] and not r["inverter_lost"]
    rig.set(fault={"can_overflow": None})
    rig.run(1_000)
    before = report(rig)["can_received"]
    rig.can(send=[[0x305, "00" * 8], [0x304, ""], [0x306, "0102"], [0x1ABCDEF, "ff"]])
    rig.run(500)
    assert report(rig)["can_received"] == before + 2


@pytest.mark.req("COM-06")
@FAST
def test_any_frames_at_all(rig, target):
    """Every identifier with every length, extended ones too: nothing is upset."""
    ready(rig, target)
    sent = [[ident, "a5" * (ident % 9)] for ident in range(0, 0x800, 7)]
    sent += [[0x800 + 0x3F5A1 * n & 0x1FFFFFFF, "5a" * (n % 9)] for n in range(1, 200)]
    for at in range(0, len(sent), 20):
        rig.can(send=sent[at:at + 20])
        rig.run(100)
    rig.run(1000)
    r = report(rig)
    assert r["can_state"] == "active" and not r["task_errors"]
    assert len({row[1] for row in frames(rig, rig.get()["t_ms"] - 1000)}) == 6


@pytest.mark.req("COM-02")
@FAST
def test_a_cold_start_without_a_bus(rig, target):
    rig.open(target)
    rig.set(fault={"can_no_ack": True})
    rig.power(False)
    rig.run(500)
    rig.power(True)
    rig.run(4_000)
    now_ms = rig.get()["t_ms"]
    rig.set(fault={"can_no_ack": None})
    good_within(rig, now_ms, 2000)


# ---- the inverter ------------------------------------------------------------------------------


@pytest.mark.req("COM-08")
@FAST
def test_keep_alive_frames_are_watched(rig, target):
    ready(rig, target)
    for _ in range(30):
        rig.can(send=[[0x305, "00" * 8]])
        rig.run(1000)
    assert report(rig)["inverter_silent_s"] <= 2
    rig.run(58_000)
    assert not report(rig)["inverter_lost"]
    rig.run(4_000)
    assert report(rig)["inverter_lost"]
    assert events(rig, "inverter_lost")
    assert frames(rig, rig.get()["t_ms"] - 1500)        # it is told on nevertheless
    rig.can(send=[[0x305, "00" * 8]])
    rig.run(2_500)
    assert not report(rig)["inverter_lost"] and events(rig, "inverter_back")


@pytest.mark.req("COM-08")
@pytest.mark.parametrize("setting, kind, lost", [
    (0, "pylontech", True), (0, "growatt", False), (1, "growatt", True), (2, "pylontech", False)])
def test_an_inverter_that_never_speaks(rig, setting, kind, lost):
    ready(rig, "host", params={"can_keep_alive": setting, "inverter_lost_s": 10,
                               "can_variant": NAMES.index(kind)})
    rig.run(15_000)
    assert bool(report(rig)["inverter_lost"]) == lost
    rig.set(fault={"can_no_ack": True})                 # nobody acknowledges: nobody is there
    rig.run(15_000)
    assert report(rig)["inverter_lost"]


@pytest.mark.req("COM-02")
@pytest.mark.parametrize("port, on_can, on_rs485", [(0, True, True), (1, False, True),
                                                    (2, True, False)])
def test_one_port_only_if_that_is_chosen(rig, port, on_can, on_rs485):
    opened, _ = ready(rig, "host", params={"inverter_port": port})
    now_ms = rig.get()["t_ms"]
    assert (saturate(rig, opened["ports"]["pcs"], 2_000) > 0) == on_rs485
    assert bool(frames(rig, now_ms)) == on_can


@pytest.mark.req("DIP-01")
def test_a_slave_leaves_the_inverter_to_the_master(rig):
    _, now_ms = ready(rig, "host", dip=2)
    rig.run(2000)
    assert not frames(rig, now_ms)
    rig.set(dip=1)
    rig.run(4000)
    assert frames(rig, now_ms)


@pytest.mark.req("COM-05")
@pytest.mark.parametrize("stimulus, signal, field", [
    ({"cell_mv": {"3": 3700}}, "fets.chg", slice(2, 4)),
    ({"cell_mv": {"3": 2600}}, "fets.dsg", slice(4, 6)),
    ({"load_ma": 170_000}, "fets.dsg", slice(4, 6)),
    ({"cell_temp_dc": {"1": 620}}, "fets.chg", slice(2, 4)),
])
def test_a_limit_is_zero_on_the_wire_before_the_fet_opens(rig, target, stimulus, signal, field):
    ready(rig, target)
    rig.run(1730)
    start_ms = rig.get()["t_ms"]
    assert frames(rig, start_ms - 1100, 0x351)[-1][2][field] != b"\0\0"
    rig.set(**stimulus)
    rig.run(4_500)
    opened_ms = [t for t, name, value in rig.trace(since_ms=start_ms)["edges"]
                 if name == signal and not value][0]
    zero_ms = [t for t, _, data in frames(rig, start_ms, 0x351) if data[field] == b"\0\0"][0]
    assert zero_ms < opened_ms
    enables = [(t, data) for t, _, data in frames(rig, start_ms, 0x35C) if t < zero_ms + 400]
    assert not enables[-1][1][0] & (0x80 if signal == "fets.chg" else 0x40)


@pytest.mark.req("COM-05")
@FAST
@pytest.mark.parametrize("fault", [{"afe_silent": True}, {"ntc_open": 1}, {"fet_open_dsg": True}])
def test_both_limits_are_zero_on_the_wire_before_a_fault_opens_the_fets(rig, target, fault):
    _, start_ms = ready(rig, target)
    rig.set(load_ma=5_000, fault=fault)
    rig.run(3_000)
    opened_ms = min(t for t, name, value in rig.trace(since_ms=start_ms)["edges"]
                    if name in ("fets.chg", "fets.dsg") and not value)
    zero_ms = [t for t, _, data in frames(rig, start_ms, 0x351) if data[2:6] == bytes(4)][0]
    assert zero_ms < opened_ms


@pytest.mark.req("COM-05")
@FAST
def test_a_protection_is_on_the_wire(rig, target):
    ready(rig, target)
    rig.set(cell_mv={"3": 3700})
    rig.run(5_500)
    now_ms = rig.get()["t_ms"]
    assert frames(rig, now_ms - 1100, 0x359)[-1][2][0] & 0x02      # over-voltage protection
    assert frames(rig, now_ms - 1100, 0x351)[-1][2][2:4] == b"\0\0"


# of the tables of 359, of 35A's pairs and of the command 62, by what the items mean
HIGH_V, LOW_V, HIGH_T, LOW_T, CHARGE_OC, DISCHARGE_OC, SYSTEM = (
    (2, 0), (4, 0), (8, 0), (0x10, 0), (0, 1), (0x80, 0), (0, 8))
# item: (359 bytes 0 and 1, places of pairs in 35A (byte, bit), 62 protection 1 and 2)
ON_THE_WIRE = {
    "PRO-01": (HIGH_V, {(0, 2)}, (0x20, 0)), "PRO-02": (LOW_V, {(0, 4)}, (0x10, 0)),
    "PRO-03": (HIGH_V, {(0, 2)}, (0x80, 0)), "PRO-04": (LOW_V, {(0, 4)}, (0x40, 0)),
    "PRO-05": (CHARGE_OC, {(2, 0)}, (0, 0x40)), "PRO-06": (DISCHARGE_OC, {(1, 6)}, (0, 0x20)),
    "PRO-07": (DISCHARGE_OC, {(1, 6)}, (0, 0x20)), "PRO-08": (DISCHARGE_OC, {(2, 4)}, (0, 0x20)),
    "PRO-09": (LOW_T, {(1, 4)}, (4, 0)), "PRO-10": (HIGH_T, {(1, 2)}, (8, 0)),
    "PRO-11": (LOW_T, {(1, 0)}, (4, 0)), "PRO-12": (HIGH_T, {(0, 6)}, (8, 0)),
    "PRO-13": (LOW_T, {(1, 0)}, (4, 0)), "PRO-14": (HIGH_T, {(0, 6)}, (8, 0)),
    "PRO-17": (HIGH_T, {(0, 6)}, (2, 0)), "PRO-18": (SYSTEM, {(2, 6)}, (0, 8)),
}
STIMULI = [(case["item"], case.get("start", {}), case["past"]) for case in CASES
           if "name" not in case] + [("PRO-08", {}, {"load": "short"}),
                                     ("PRO-18", {}, {"reverse": True})]


def told(rig, line):
    """What 359, 35A and the answer to 62 say of *rig*'s pack now: bytes each."""
    rig.run(1100)
    since_ms = rig.get()["t_ms"] - 1100
    line.write(b"~200246620000FDAA\r")
    info = bytes.fromhex(line.readline()[13:21].decode())
    return frames(rig, since_ms, 0x359)[-1][2], frames(rig, since_ms, 0x35A)[-1][2], info


def pairs(data):
    """Places (byte, bit) in 35A where a pair says active."""
    return {(i, bit) for i in range(len(data)) for bit in range(0, 8, 2)
            if data[i] >> bit & 3 == 1}


@pytest.mark.req("COM-02", "COM-01", "PRO-25")
@pytest.mark.targets("host")
@pytest.mark.parametrize("item, start, past", STIMULI, ids=[row[0] for row in STIMULI])
def test_each_protection_has_its_bits_on_the_wire(rig, target, item, start, past):
    params = {**start.get("params", {}), "can_variant": NAMES.index("pylontech-2")}
    opened, _ = ready(rig, target, params=params, plant={"soc": 0.5, "temp_c": 25})
    line = Line(rig, opened["ports"]["pcs"])
    quiet_359, quiet_35a, quiet_62 = told(rig, line)
    assert quiet_359[:4] == bytes(4) and quiet_62 == bytes(4)
    assert not pairs(quiet_35a[:4]) and not pairs(quiet_35a[4:]) - {(3, 0)}
    rig.set(**past)
    rig.run(4500)
    active = {name for name in report(rig)["protections"] if name in ON_THE_WIRE}
    assert item in active
    got_359, got_35a, got_62 = told(rig, line)
    want = [ON_THE_WIRE[name] for name in active]
    for byte in (0, 1):
        assert got_359[byte] == functools.reduce(operator.or_, (row[0][byte] for row in want))
        assert got_62[2 + byte] == functools.reduce(operator.or_, (row[2][byte] for row in want))
    assert pairs(got_35a[:4]) == set().union(*(row[1] for row in want))
    line.close()


@pytest.mark.req("COM-02", "COM-01")
@pytest.mark.req("PRO-15")
@pytest.mark.req("PRO-16")
@FAST
@pytest.mark.parametrize("plant, past, warning, alarm_62", [
    ({"soc": 0.5}, {"cell_mv": {"3": 2990}}, (7, 0), 0x01),     # cell difference
    ({"soc": 0.02}, {}, (4, 0), 0x00)], ids=["PRO-16", "PRO-15"])
def test_alarms_that_open_nothing_are_on_the_wire(rig, target, plant, past, warning, alarm_62):
    opened, _ = ready(rig, target, plant=plant,
                      params={"can_variant": NAMES.index("pylontech-2")})
    line = Line(rig, opened["ports"]["pcs"])
    rig.set(**past)
    rig.run(13_000)
    got_359, got_35a, got_62 = told(rig, line)
    assert got_359[:2] == bytes(2) and got_62[2:] == bytes(2)
    assert (warning[0] - 4, warning[1]) in pairs(got_35a[4:])
    assert got_62[0] & 1 == alarm_62
    assert rig.get()["wire"]["fets"] == {**rig.get()["wire"]["fets"], "chg": 1, "dsg": 1}
    line.close()


@pytest.mark.req("MEA-05")
@FAST
def test_without_the_front_end_nothing_is_told_as_live(rig, target):
    ready(rig, target)
    rig.set(fault={"afe_silent": True})
    rig.run(2_500)
    now_ms = rig.get()["t_ms"]
    rig.run(2_000)
    seen = frames(rig, now_ms)
    assert {row[1] for row in seen} == {0x351, 0x359, 0x35C, 0x35E}
    assert [row for row in seen if row[1] == 0x351][0][2][2:6] == bytes(4)
    assert [row for row in seen if row[1] == 0x359][0][2][1] & 0x08
    rig.set(fault={"afe_silent": None})
    rig.run(8_000)
    assert len({row[1] for row in frames(rig, rig.get()["t_ms"] - 1000)}) == 6
