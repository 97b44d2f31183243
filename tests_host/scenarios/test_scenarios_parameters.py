"""Parameters in a pack that works: as sets, lost and damaged ones, who may change them."""

import os
import shutil

import pytest

from packctl import link
import rig as rig_module

SET = {
    "cell_ov_trip_mv": 3650, "cell_ov_alarm_mv": 3550, "cell_uv_trip_mv": 2600,
    "cell_uv_alarm_mv": 2750, "chg_ot_trip_dc": 570, "chg_ot_release_dc": 500,
    "dsg_ot_trip_dc": 570, "dsg_ot_release_dc": 500, "chg_ut_trip_dc": 30, "chg_ut_alarm_dc": 60,
    "chg_ut_release_dc": 60, "dsg_ut_trip_dc": -150, "dsg_ut_alarm_dc": -100,
    "dsg_ut_release_dc": -50, "mos_ot_trip_dc": 1000, "mos_ot_release_dc": 800,
    "cell_ov_delay_ms": 2000, "cell_uv_delay_ms": 2000, "temp_delay_ms": 2000,
    "chg_oc_trip_ma": 106_000, "dsg_oc1_trip_ma": 106_000, "dsg_oc2_trip_ma": 140_000,
    "dsg_oc1_delay_ms": 2000, "dsg_oc2_delay_ms": 200, "pack_ov_trip_mv": 57_500,
    "pack_uv_trip_mv": 43_000, "cvl_mv": 55_500, "dvl_mv": 45_000, "low_soc_cpct": 400,
    "cell_diff_alarm_mv": 400,
}


def edges(rig, since_ms):
    return [(t_ms - since_ms, signal[5:], value)
            for t_ms, signal, value in rig.trace(since_ms=since_ms)["edges"]
            if signal in ("fets.chg", "fets.dsg")]


def told(rig, since_ms):
    """[(ms, charge limit, discharge limit)] of the frames 351, in 0.1 A."""
    return [(t_ms - since_ms, int.from_bytes(bytes.fromhex(data)[2:4], "little"),
             int.from_bytes(bytes.fromhex(data)[4:6], "little"))
            for t_ms, number, data in (frame[:3] for frame in rig.can(since_ms=since_ms)["frames"])
            if number == 0x351]


@pytest.mark.req("PAR-04", "COM-05")
@pytest.mark.targets("host", "unix")
def test_thirty_parameters_restored_at_60_a_open_once(rig, target):
    rig.open(target, plant={"soc": 0.6}, params=SET)
    rig.run(8000)
    rig.set(load_ma=60_000)
    rig.run(10_000)
    start_ms = rig.get()["t_ms"]
    assert len(SET) == 30 and rig.get()["report"]["state"] == "discharging"
    rig.param(restore=True)
    rig.run(9000)
    seen = edges(rig, start_ms)
    openings = [row for row in seen if row[2] == 0]
    assert {row[1] for row in openings} == {"chg", "dsg"} and len(seen) == 4, seen
    opened_ms = openings[0][0]
    assert 4900 <= opened_ms <= 5400
    assert seen[-1][0] - opened_ms <= 500 and {row[2] for row in seen[2:]} == {1}
    zero = [row for row in told(rig, start_ms) if row[1:] == (0, 0)]
    assert zero and zero[0][0] <= opened_ms - 200
    assert all(row[1:] == (0, 0) for row in told(rig, start_ms)
               if zero[0][0] <= row[0] <= opened_ms)
    assert told(rig, start_ms)[-1][2] > 400                 # the limits are back at once
    assert rig.param("cell_ov_trip_mv")["value"] == 3600
    report = rig.get()["report"]
    assert report["faults"] == report["protections"] == [] and report["afe_restarts"] == 1


@pytest.mark.req("PAR-04")
@pytest.mark.targets("host")
def test_what_the_afe_does_not_hold_opens_nothing(rig, target):
    rig.open(target, plant={"soc": 0.6})
    rig.run(8000)
    rig.set(load_ma=60_000)
    rig.run(3000)
    start_ms = rig.get()["t_ms"]
    for name, value in (("cell_ov_release_mv", 3350), ("nominal_ma", 45_000),
                        ("buzzer_enable", 1), ("dvl_mv", 45_500), ("chg_ot_release_dc", 530)):
        rig.param(name, value)
        rig.run(1000)
    rig.run(6000)
    assert edges(rig, start_ms) == []


@pytest.mark.req("PAR-04")
@pytest.mark.targets("host")
def test_a_tool_that_goes_on_setting_keeps_no_house_dark(rig, target):
    """Twice a second for 20 s: each opening is short, and there are few."""
    rig.open(target, plant={"soc": 0.6})
    rig.run(8000)
    rig.set(load_ma=60_000)
    rig.run(3000)
    start_ms = rig.get()["t_ms"]
    for i in range(40):
        rig.param("cell_ov_trip_mv", 3700 - 40 * (i % 2))
        rig.run(500)
    rig.run(8000)
    seen = [row for row in edges(rig, start_ms) if row[1] == "dsg"]
    pairs = list(zip(seen[::2], seen[1::2]))
    assert 1 <= len(pairs) <= 5 and len(seen) % 2 == 0
    assert all(closed[0] - opened[0] <= 500 for opened, closed in pairs)


@pytest.mark.req("SAF-09")
@pytest.mark.targets("host", "unix")
def test_flash_that_takes_nothing_is_an_alarm_at_once(rig, target):
    rig.open(target, plant={"soc": 0.6})
    rig.run(5000)
    assert rig.param("cell_ov_trip_mv", 3610)["stored"] == "not yet"
    rig.run(1500)
    rig.set(fault={"flash_full": True})
    rig.param("cell_ov_trip_mv", 3550)
    rig.run(3000)
    report = rig.get()["report"]
    assert report["faults"] == ["SAF-09-flash"] and report["state"] == "standby"
    assert report["fets"] == ["chg", "dsg"] and report["as1_codes"] == ["07"]
    answer = rig.param("cell_ov_trip_mv", 3560)
    assert answer["value"] == 3560 and answer["stored"] is False
    rig.set(fault={"flash_full": None})
    rig.run(70_000)
    assert rig.get()["report"]["faults"] == []


@pytest.mark.req("MEA-03", "REC-03")
@pytest.mark.targets("host", "unix")
def test_an_open_sense_wire_is_named(rig, target):
    rig.open(target, plant={"soc": 0.6})
    rig.run(6000)
    # the lowest wire, 0, moves cells and stack apart: that is MEA-03-sum
    for wire in (1, 7, 8, 15, 16) if target == "host" else (5,):
        newest = rig.get()["report"]["events"]
        rig.set(load_ma=20_000, fault={"open_wire": wire})
        rig.run(8000)
        assert rig.get()["report"]["faults"] == ["MEA-03-wire"], wire
        seen = {e["event"]: e for e in rig.events(newest)["events"] if e["name"] == "MEA-03-wire"}
        assert seen["fault"]["value"] == wire and seen["first_out"]["value"] == wire
        assert seen["fault"]["words"] == "a sense wire of the cells is open"
        assert f"a sense wire of the cells is open (MEA-03-wire): wire {wire};" in (
            rig.command_text("why"))
        rig.set(load_ma=0, fault={"open_wire": None})
        rig.run(6000)
        assert rig.get()["report"]["faults"] == [], wire


@pytest.mark.req("PRF-03")
@pytest.mark.targets("host", "unix")
def test_a_third_product_is_a_file(target, tmp_path):
    """Its file is put there, and taken away again: then the pack says so, and closes nothing."""
    firmware = tmp_path / "firmware"
    shutil.copytree(rig_module.FIRMWARE[0], firmware)
    third = firmware / "profiles" / "third_1.py"
    text = (firmware / "profiles" / "am5000.py").read_text()
    text = text.replace('NAME = "am5000"', 'NAME = "third-1"')
    text = text.replace("CAPACITY_MAH = 100_000", "CAPACITY_MAH = 200_000")
    third.write_text(text)
    rig = rig_module.Rig(firmware=(firmware, *rig_module.FIRMWARE[1:]))
    try:
        opened = rig.open(target, profile="third-1", plant={"soc": 0.6}, spread=0)
        assert opened["hello"]["profile"] == "third-1"
        rig.run(6000)
        got = rig.get()
        assert got["report"]["full_mah"] == 200_000 and got["report"]["fets"] == ["chg", "dsg"]
        assert 195_000 < got["truth"]["capacity_mah"] < 205_000
        assert "third-1" in rig.command_text("profile")
        for spoil, words in ((None, "profile third-1 is not in this firmware"),
                             (text.replace("third-1", "fourth"), "calls itself fourth"),
                             (text.replace("DEFAULTS: dict = {}",
                                           'DEFAULTS = {"cell_ov_trip_mv": 3400}'),
                              "cell_ov_alarm_mv (3500) must be below cell_ov_trip_mv (3400)")):
            third.unlink()
            if spoil:
                third.write_text(spoil)
            rig.power(False)
            rig.run(61_000)
            rig.power(True)
            rig.run(6000)
            report = rig.get()["report"]
            assert "PRF-03" in report["faults"] and report["fets"] == [], words
            assert words in rig.command_text("why")
            third.write_text(text)
        rig.power(False)
        rig.run(61_000)
        rig.power(True)
        rig.run(6000)
        assert rig.get()["report"]["faults"] == []
    finally:
        rig.close()


def refused(rig, *words, **values):
    """The reason why a command, or a set of parameters, is refused; None: it is not."""
    try:
        if words:
            rig.command_text(" ".join(words))
        else:
            rig.param(values=values)
    except link.Refused as error:
        return error.text
    return None


@pytest.mark.req("SAF-11", "PAR-02")
@pytest.mark.targets("host", "unix")
def test_without_the_pin_the_debug_port_only_reads(rig, target):
    opened = rig.open(target, plant={"soc": 0.6})
    rig.run(4000)
    rig.command_text("unlock 5")
    assert rig.command_text("pin") == "no PIN is set"
    assert rig.command_text("pin set 4711") == "locked"
    assert rig.get()["report"]["soc"] > 5                       # reads and answers as ever
    for question in ("why", "limits", "power", "counters", "clock", "profile", "codes"):
        rig.command_text(question)
    acts = ("clear", "save", "unlock 5", "profile b1-5.1-48", "clock 2027-01-01T00:00:00", "sleep")
    for act in acts:
        assert "PIN" in refused(rig, act), act
    assert "PIN" in refused(rig, nominal_ma=40_000)
    with pytest.raises(link.Refused, match="PIN"):
        rig.set(fault={"task_hang": "control"})
    fd = os.open(opened["ports"]["debug"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    os.write(fd, b"~250046DE501A010AC80AAA0AC80A1409E20A14F7B7\r")      # PACE sets temperatures
    rig.run(500)
    os.close(fd)
    assert rig.param("chg_ut_trip_dc")["value"] == 50
    for left in (4, 3, 2, 1):
        assert refused(rig, "pin 0000") == f"wrong PIN, {left} tries left"
    assert refused(rig, "pin 0000") == "wrong PIN: wait 60 s"
    assert "wait" in refused(rig, "pin 4711")
    rig.run(2000)
    rig.power(False)
    rig.run(61_000)
    rig.power(True)
    rig.run(4000)
    assert "wait" in refused(rig, "pin 4711")                   # a restart forgives nothing
    rig.run(61_000)
    assert rig.command_text("pin 4711").startswith("open for ")
    assert refused(rig, nominal_ma=40_000) is None
    rig.set(fault={"task_raise": "panel"})
    rig.command_text("pin lock")
    assert "PIN" in refused(rig, nominal_ma=50_000)
    kinds = [e["event"] for e in rig.events()["events"]]
    assert kinds.count("pin_wrong") == 5 and {"ports_unlocked", "pin_set", "pin_open",
                                              "provoke"} <= set(kinds)
