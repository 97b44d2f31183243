"""Power cuts, clock, parameters and records on the bench."""

import contextlib
import os

import pytest

from packctl import link


def opened(rig, target, **more):
    rig.open(target, plant={"soc": 0.6}, **more)
    rig.run(3000)


def off_and_on(rig, off_ms=500):
    rig.power(False)
    rig.run(off_ms)
    rig.power(True)
    rig.run(3000)


def clock_of(rig):
    return rig.command_text("clock")


@pytest.mark.sample
@pytest.mark.req("PAR-02", "RST-02", "REC-02", "REC-03")
def test_what_was_set_and_recorded_outlives_reset_and_power_cut(rig, target):
    opened(rig, target)
    rig.param("cell_ov_trip_mv", 3620)
    rig.set(cell_mv={4: 3700})
    rig.run(5000)
    assert rig.get()["report"]["first_out"] == "PRO-01"
    rig.set(cell_mv={4: None})
    rig.run(1000)
    before = rig.events()["events"]
    rig.reset()
    rig.run(3000)
    assert rig.param("cell_ov_trip_mv")["value"] == 3620
    off_and_on(rig)
    assert rig.param("cell_ov_trip_mv")["value"] == 3620
    report = rig.get()["report"]
    assert (report["first_out"], report["first_out_cell"]) == ("PRO-01", 4)
    assert 8 <= report["first_out_age_s"] <= 14
    assert "cell over-voltage (PRO-01), cell 4: 3." in rig.command_text("why")
    after = rig.events()["events"]
    assert after[:len(before)] == before
    assert [e["seq"] for e in after] == list(range(1, len(after) + 1))
    assert [e["boot"] for e in after if e["event"] == "boot"] == [1, 2, 3]
    trips = sum(e["event"] == "trip" and e["item"] == 0 for e in after)
    assert f"cell over-voltage (PRO-01): tripped {trips} times" in rig.command_text("counters")

    rig.param(restore=True)
    rig.run(1500)
    off_and_on(rig)
    assert rig.param("cell_ov_trip_mv")["value"] == 3600
    assert rig.events()["events"][:len(before)] == before
    assert f"cell over-voltage (PRO-01): tripped {trips} times" in rig.command_text("counters")


@pytest.mark.req("REC-01")
@pytest.mark.targets("host", "rp2040")
def test_the_clock_is_read_set_and_kept(rig, target):
    opened(rig, target)
    assert clock_of(rig).startswith("2026-01-01T00:00:0") and clock_of(rig).endswith("PCF8563")
    assert clock_of_set(rig, "2027-03-04T05:06:07") == "2027-03-04T05:06:07Z PCF8563"
    rig.run(2000)
    off_and_on(rig, 20_000)                 # its battery goes on
    seconds = int(clock_of(rig)[17:19])
    assert clock_of(rig).startswith("2027-03-04T05:06:") and 30 <= seconds <= 37
    rig.set(clock="2028-02-29T23:59:50")
    off_and_on(rig, 12_000)
    assert clock_of(rig).startswith("2028-03-01T00:00:")


def clock_of_set(rig, text):
    return rig.command_text("clock " + text)


@pytest.mark.req("REC-01")
@pytest.mark.targets("host", "unix")
def test_a_clock_that_fails_costs_no_order(rig, target):
    opened(rig, target)
    rig.set(clock=None)                     # the oscillator had stopped
    off_and_on(rig)
    assert clock_of(rig) == "not set PCF8563"
    events = rig.events()["events"]
    newest = [e for e in events if e["boot"] == 2]
    assert all(e["time_s"] is None for e in newest)
    assert [(e["event"], e["item"]) for e in newest if e["event"] == "clock"] == [("clock", 1)]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    clock_of_set(rig, "2026-06-01T00:00:00")
    rig.set(fault={"rtc_dead": True})
    rig.run(130_000)
    assert clock_of(rig).startswith("2026-06-01T00:02:1")       # the controller's own ticks
    rig.set(fault={"rtc_dead": None})
    rig.run(70_000)
    rig.set(fault={"rtc_jump_s": 1000})
    rig.run(70_000)
    assert clock_of(rig).startswith("2026-06-01T00:04:")        # one reading or two are none
    rig.run(120_000)
    assert clock_of(rig).startswith("2026-06-01T00:23:")        # three are
    rig.set(fault={"rtc_jump_s": -200_000})
    rig.run(70_000)
    assert clock_of(rig).startswith("2026-06-01T00:24:")
    rig.set(fault={"rtc_jump_s": 200_000})                      # right again
    rig.run(190_000)
    assert clock_of(rig).startswith("2026-06-01T00:27:")
    found = [(e["item"], e["value"]) for e in rig.events()["events"] if e["event"] == "clock"]
    assert [item for item, _ in found[1:]] == [4, 1, 3, 2, 3]
    assert abs(found[3][1] - 1000) <= 2 and abs(found[5][1] + 200_000) <= 3


@pytest.mark.req("REC-01", "AS1-01")
@pytest.mark.targets("host", "unix")
def test_a_clock_chip_that_dies_is_said_within_a_minute(rig, target):
    opened(rig, target)
    rig.run(30_000)
    assert "67 RTC fault" not in rig.command_text("codes")
    seq = rig.events()["events"][-1]["seq"]
    rig.set(fault={"rtc_dead": True})
    rig.run(60_000)
    assert "67 RTC fault" in rig.command_text("codes")
    assert [e["item"] for e in rig.events(seq)["events"] if e["event"] == "clock"] == [1]   # lost
    rig.set(fault={"rtc_dead": None})
    rig.run(30_000)
    assert "67 RTC fault" not in rig.command_text("codes")


@pytest.mark.req("REC-02")
@pytest.mark.targets("host", "unix")
def test_two_thousand_events_a_cut_and_the_newest_thousand_in_order(rig, target):
    opened(rig, target)
    for i in range(1000):                   # each set is a record; so many of both kinds
        rig.param("cell_ov_trip_mv", 3600 + i % 100)
        rig.param("cell_uv_trip_mv", 2700 - i % 100)
    rig.run(5000)
    newest = rig.get()["report"]["events"]
    assert newest >= 2000
    rig.run(5000)                           # a report that was answered is a window for a write
    rig.set(fault={"cut_at_flash_op": 1, "torn": 0.4})
    with contextlib.suppress(link.LinkError):       # the cut may come before the answer
        rig.param("boost_s", 100)
    rig.run(3000)
    off_and_on(rig)
    events = rig.events()["events"]
    seqs = [e["seq"] for e in events]
    assert seqs == sorted(set(seqs)) and len(events) >= 1000
    old = [e for e in events if e["boot"] == 1]
    assert old[-1]["seq"] in (newest, newest + 1)
    assert [e["seq"] for e in old][-1000:] == list(range(old[-1]["seq"] - 999, old[-1]["seq"] + 1))
    sets = [e["value"] for e in old if e["event"] == "parameter" and e["item"] == 2][-400:-1]
    assert all((b - a) % 100 == 1 for a, b in zip(sets, sets[1:]))
    assert rig.events(seqs[-1] - 10)["events"] == events[-10:]


def pace_write(number):
    """PACE's request AE number *number*: full voltage, tail current, low capacity; 3 records."""
    body = b"250146AE600A%04X%04X%02X" % (16 * (3450 + number % 90), 1000 + number, 3 + number % 5)
    return b"~" + body + b"%04X\r" % (-sum(body) & 0xFFFF)


@pytest.mark.slow
@pytest.mark.req("REC-02")
@pytest.mark.targets("rp2040")
def test_two_thousand_events_and_a_cut_on_the_emulated_board(rig, target):
    """Through the debug port, as a PACE program sets things; the power goes within a program."""
    ports = rig.open(target, plant={"soc": 0.6})["ports"]
    rig.run(3000)
    fd = os.open(ports["debug"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        for number in range(670):
            os.write(fd, pace_write(number))
            rig.run(65)
    finally:
        os.close(fd)
    rig.run(3000)
    newest = rig.get()["report"]["events"]
    assert newest >= 2000
    rig.set(fault={"cut_at_flash_op": 1, "torn": 0.4})
    rig.param("boost_s", 100)
    rig.run(2000)
    assert rig.look()[0]["wdt_fed_ms_ago"] is None          # it is off
    off_and_on(rig)
    events = rig.events()["events"]
    seqs = [e["seq"] for e in events]
    assert seqs == sorted(set(seqs)) and len(seqs) >= 1000
    old = [e for e in events if e["boot"] == 1]
    assert old[-1]["seq"] in (newest, newest + 1)
    assert [e["seq"] for e in old][-1000:] == list(range(old[-1]["seq"] - 999, old[-1]["seq"] + 1))
    currents = [e["value"] for e in old if e["event"] == "parameter" and e["value"] >= 1000
                and e["value"] < 1670][-300:]
    assert currents == list(range(1370, 1670))


@pytest.mark.req("REC-02", "COM-06")
def test_no_received_byte_is_lost_while_the_flash_erases(rig, target):
    """A poll each 250 ms while records fill sectors and parameters are kept: all are answered."""
    polls = 60 if target == "rp2040" else 400
    ports = rig.open(target, plant={"soc": 0.6})["ports"]
    rig.run(3000)
    fd = os.open(ports["pcs"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    answers = b""
    try:
        for i in range(polls):
            os.write(fd, b"~2002464F0000FD98\r")
            rig.run(100)
            if i % 2:
                rig.param("cell_ov_trip_mv", 3600 + i % 90)
            rig.run(150)
            try:
                answers += os.read(fd, 10_000)
            except BlockingIOError:
                pass
        rig.run(1000)
    finally:
        os.close(fd)
    assert answers.count(b"\r") == polls


@pytest.mark.req("PRO-07", "REC-02")
@pytest.mark.targets("host")
def test_an_over_current_is_cut_off_in_time_within_the_longest_erase(rig, target):
    """160 A at moments when records and parameters are written and sectors erased: 100 ms and
    two scans, by the AFE's own comparator where the controller stands still."""
    opened(rig, target)
    rig.set(fault={"flash_erase_ms": 400})
    for i in range(30):
        rig.set(load_ma=1000)
        rig.param("boost_s", 100 + i)
        rig.param("low_soc_cpct", 300 + i)
        rig.param("full_request_days", 20 + i % 10)
        rig.run(200 + i * 37 % 700)
        at_ms = rig.get()["t_ms"]
        rig.set(current_ma=-160_000)
        rig.run(1000)
        opens = [t for t, signal, value in rig.trace(at_ms)["edges"]
                 if signal == "fets.dsg" and not value]
        assert opens and opens[0] - at_ms <= 300 + 1, (i, opens)
        rig.set(current_ma=None, load_ma=None, charger_mv=54_000, charger_ma=3000)
        rig.run(2500)                                   # releases
        rig.set(charger_mv=None, charger_ma=None)
        rig.run(800)
        rig.command_text("clear")


@pytest.mark.req("PAR-02", "REC-02")
@pytest.mark.targets("host", "unix")
def test_bad_blocks_and_a_full_file_system_cost_nothing_that_was_kept(rig, target):
    opened(rig, target)
    rig.param("cell_ov_trip_mv", 3620)
    rig.run(2000)
    first_of_log = 64
    rig.set(fault={"flash_bad_block": first_of_log, "flash_full": True})
    rig.param("cell_ov_trip_mv", 3630)
    rig.run(5000)
    assert [e["event"] for e in rig.events()["events"]][-2:] == ["store_error", "fault"]
    off_and_on(rig)
    assert rig.param("cell_ov_trip_mv")["value"] == 3620
    events = rig.events()["events"]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    rig.set(fault={"flash_bad_block": None, "flash_full": None})
    rig.param("cell_ov_trip_mv", 3640)
    rig.run(2000)
    off_and_on(rig)
    assert rig.param("cell_ov_trip_mv")["value"] == 3640


@pytest.mark.slow
@pytest.mark.req("PAR-02", "REC-02")
@pytest.mark.targets("rp2040")
def test_a_full_flash_with_a_bad_block_on_the_emulated_board(rig, target):
    """Small files lie in littlefs's directory: a full file system still takes them."""
    opened(rig, target)
    with pytest.raises(Exception, match="while it is switched off"):
        rig.set(fault={"flash_full": True})
    rig.param("cell_ov_trip_mv", 3620)
    rig.run(2000)
    rig.power(False)
    rig.set(fault={"flash_full": True, "flash_bad_block": 224})     # the first of the log
    rig.power(True)
    rig.run(3000)
    assert rig.param("cell_ov_trip_mv")["value"] == 3620
    rig.param("cell_ov_trip_mv", 3630)
    rig.run(4000)
    refused = [e for e in rig.events()["events"] if e["event"] == "store_error"]
    off_and_on(rig)
    assert rig.param("cell_ov_trip_mv")["value"] == (3620 if refused else 3630)
    events = rig.events()["events"]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    rig.power(False)
    rig.set(fault={"flash_full": None, "flash_bad_block": None})
    rig.power(True)
    rig.run(3000)
    rig.param("cell_ov_trip_mv", 3640)
    rig.run(3000)
    off_and_on(rig)
    assert rig.param("cell_ov_trip_mv")["value"] == 3640


@pytest.mark.req("REC-01")
def test_a_bench_that_is_opened_anew_has_an_empty_flash(rig):
    opened(rig, "host")
    rig.param("cell_ov_trip_mv", 3620)
    rig.run(2000)
    opened(rig, "host")
    assert rig.param("cell_ov_trip_mv")["value"] == 3600
    assert rig.events()["events"][0]["boot"] == 1


@pytest.mark.req("REC-03")
def test_an_exported_log_is_replayed_through_the_decision_code(rig):
    from packctl import files, replaying
    opened(rig, "host")
    rig.set(cell_mv={4: 3700})
    rig.run(5000)
    rig.set(cell_mv={4: None})
    rig.run(2000)
    rig.param("cell_ov_trip_mv", 3650)      # another limit from here on
    rig.param("cal_cell15_offset_mv", 1)    # an id beyond a byte
    rig.set(cell_mv={4: 3750})
    rig.run(5000)
    log = files.export(rig._client)
    rows = replaying.replay(log)
    trips = [row for row in rows if row[1] == "PRO-01" and row[2] == "trip"]
    assert len(trips) >= 1 and {row[3] for row in rows} <= {"agrees", "not judged"}, rows
    assert any(row[3] == "agrees" for row in trips)
    for event in log["events"]:
        if event["event"] == "trip":
            event["value"] -= 300           # a log that does not tell the truth
    assert "contradicts" in {row[3] for row in replaying.replay(log)}


@pytest.mark.req("PRO-25")
@pytest.mark.targets("host")
def test_a_record_names_what_it_happened_to(rig, target):
    opened(rig, target)
    rig.param("cell_ov_delay_ms", 2000)
    rig.run(4000)
    rig.set(cell_mv={"7": 3700})
    rig.run(4000)
    records = rig.events()["events"]
    named = {(e["event"], e["name"]) for e in records}
    assert {("parameter", "cell_ov_delay_ms"), ("alarm", "PRO-01"), ("trip", "PRO-01"),
            ("first_out", "PRO-01"), ("state", "protection")} <= named
    trip = next(e for e in records if e["event"] == "trip")
    assert (trip["cell"], trip["limit"]) == (7, 3600) and trip["time"].endswith("Z")
    left = next(e for e in records if (e["event"], e["name"]) == ("state", "protection"))
    assert left["before"] == "standby"
