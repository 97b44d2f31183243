"""The bench around the controller: pins, buses, stimuli, faults, what is recorded."""

import os
import random
import subprocess
import sys

import pytest
import stand as stand_module
from afe_model import crc8
from edge_log import EdgeLog
from panel_model import Hc595Chain, Tca9534
from stand import FAULT_KINDS, Stand


@pytest.fixture
def bench():
    return Stand({"seed": 1, "noise": 0})


def send_word(bench, word, now):
    bench.spi(1, word >> 8, now)
    bench.spi(1, word & 0xFF, now)
    bench.pin("LAMP_RCLK", 1, now)
    bench.pin("LAMP_RCLK", 0, now)


def frame(bench, address, value, now):
    return bench.frame3(address, value, crc8(address, value), now)


def configure(bench, now):
    """BOTHOFF on its pin, FETs enabled and allowed. Returns the time after it."""
    def write(address, value):
        nonlocal now
        frame(bench, address | 0x80, value, now)
        now += 100

    def command(number):
        nonlocal now
        write(0x3E, number & 0xFF)
        write(0x3F, number >> 8)
        now += 3000
        bench.advance(now)

    def store(address, data):
        nonlocal now
        write(0x3E, address & 0xFF)
        write(0x3F, address >> 8)
        for i, byte in enumerate(data):
            write(0x40 + i, byte)
        write(0x60, ~(sum(data) + (address & 0xFF) + (address >> 8)) & 0xFF)
        write(0x61, len(data) + 4)
        now += 1000

    now = max(now, 10_000)
    bench.advance(now)
    command(0x90)
    store(0x92FB, b"\xc6")
    store(0x9303, b"\x06")
    store(0x91A8, bytes.fromhex("5530f241"))
    store(0x9286, b"\x04\x0e")
    command(0x92)
    command(0x22)
    command(0x96)
    bench.pin("AFE_BOTHOFF", 1, now)
    return now


# -- panel --------


def test_shift_register_changes_at_the_rising_latch_only():
    chain = Hc595Chain()
    chain.shift(0x01)
    chain.shift(0xC3)
    assert chain.word == 0
    assert chain.latch(1) == 0x01C3
    chain.shift(0xFF)
    assert chain.latch(1) == 0x01C3 and chain.latch(0) == 0x01C3
    assert chain.latch(1) == 0xC3FF
    assert chain.shift(0) == 0xC3               # falls out of the end


def test_expander_registers():
    chip = Tca9534()
    chip.inputs = 0b11010101
    assert chip.write(b"\x00") and chip.read(2) == b"\xd5\xd5"
    assert chip.write(b"\x02\x0f") and chip.write(b"\x00")
    assert chip.read(1) == b"\xda"
    assert chip.write(b"\x03\x0f\x3f") and chip.write(b"\x03")
    assert chip.read(1) == b"\x3f"
    chip.write(b"\x01\x40")
    chip.write(b"\x02\x00")
    chip.write(b"\x00")
    assert chip.read(1) == b"\x55"              # bits 6 and 7 are outputs: 0, 1
    assert not chip.write(b"\x07")


def test_lamps_on_the_wire_and_in_the_trace(bench):
    send_word(bench, 0x0147, 1_500)
    wire = bench.wire(2_000)
    assert wire["lamps"] == {"run": 1, "alm": 0, "onoff": 1, "cap": [1, 1, 1, 0, 0, 0]}
    send_word(bench, 0x0147, 2_500)
    send_word(bench, 0x0080, 3_250)
    edges = bench.edges(0)
    assert [1.5, "lamps.run", 1] in edges and [3.25, "lamps.alm", 1] in edges
    assert len(edges) == 5 + 6
    assert bench.edges(3_000) == edges[5:]


def test_dip_and_button(bench):
    bench.i2c_write(0x20, b"\x00", 0)
    assert bench.i2c_read(0x20, 1, 0) == b"\xff"
    bench.set({"dip": 5, "rst": 1}, 0)
    assert bench.i2c_read(0x20, 1, 0) == b"\xea"
    bench.set({"rst": 0}, 0)
    assert bench.i2c_read(0x20, 1, 0) == b"\xfa"
    assert not bench.i2c_write(0x52, b"\x00", 0) and bench.i2c_read(0x52, 1, 0) is None


def test_rocker(bench):
    assert bench.pin_in("ROCKER") == 1
    bench.set({"rocker": 0}, 0)
    assert bench.pin_in("ROCKER") == 0


# -- pins, power --------


def test_outputs_and_the_watchdog(bench):
    bench.pin("LIMITER", 1, 100)
    bench.pin("BUZZER", 1, 200)
    bench.pin("DO2", 1, 300)
    bench.pin("DO2", 1, 400)
    bench.wdt_fed(2_000)
    wire = bench.wire(7_000)
    assert (wire["limiter"], wire["buzzer"], wire["do"], wire["wdt_fed_ms_ago"]) == (1, 1, [0, 1],
                                                                                     5)
    assert bench.edges(0) == [[0.1, "limiter", 1], [0.2, "buzzer", 1], [0.3, "do.1", 1]]
    with pytest.raises(ValueError):
        bench.pin("NO_SUCH", 1, 0)


def test_limiter_and_buzzer_on_the_chain(bench):
    send_word(bench, 0x0600, 1_000)
    wire = bench.wire(1_000)
    assert wire["limiter"] == 1 and wire["buzzer"] == 1


def test_power_loss_opens_the_fets_by_the_pull_down(bench):
    now = configure(bench, 0)
    assert bench.wire(now)["fets"] == {"chg": 1, "dsg": 1, "pchg": 0}
    send_word(bench, 0x01FF, now)
    bench.pin("DO1", 1, now)
    bench.power(False, now + 10)
    wire = bench.wire(now + 10)
    assert wire["fets"] == {"chg": 0, "dsg": 0, "pchg": 0}
    assert wire["do"] == [0, 0] and wire["lamps"]["cap"] == [0] * 6
    assert bench.i2c_read(0x20, 1, now + 20) is None
    bench.power(True, now + 1_000)
    assert bench.i2c_read(0x20, 1, now + 1_000) is not None


def test_reset_floats_the_pins_and_keeps_the_lamps(bench):
    now = configure(bench, 0)
    send_word(bench, 0x0040, now)
    bench.reset(now + 5)
    wire = bench.wire(now + 5)
    assert wire["fets"]["dsg"] == 0 and wire["lamps"]["run"] == 1


def test_byte_path_and_three_byte_path(bench):
    bench.advance(10_000)
    bench.pin("AFE_CS", 0, 10_000)
    for byte in (0x34, 0xFF, 0x5E):
        bench.spi(0, byte, 10_000)
    bench.pin("AFE_CS", 1, 10_024)
    bench.pin("AFE_CS", 0, 10_100)
    answer = bench.spi3(0x34, 0xFF, 0x5E, 10_100)
    bench.pin("AFE_CS", 1, 10_124)
    assert answer >> 16 == 0x34
    assert bench.frame3(0x34, 0xFF, 0x5E, 10_200) >> 16 == 0x34


def test_short_circuit_is_timed_although_nobody_looks(bench):
    now = configure(bench, 0)
    bench.set({"load": "short"}, now)
    assert bench.next_event_us <= now + 300
    bench.advance(now + 50_000)
    opened = [t for t, signal, value in bench.edges(now) if signal == "fets.dsg" and not value]
    assert len(opened) == 1 and 0.19 <= opened[0] - now / 1000 <= 0.3
    assert bench.truth()["current_ma"] == 0


# -- stimuli --------


def test_charger_needs_one_number_and_null_takes_it_off(bench):
    now = configure(bench, 0)
    bench.set({"charger_mv": 54_000}, now)
    assert bench.plant.charger_ma == 50_000
    bench.set({"charger_ma": 20_000}, now)
    assert (bench.plant.charger_mv, bench.plant.current_ma) == (54_000, 20_000)
    bench.set({"charger_mv": None}, now)
    assert bench.plant.charger_mv is None and bench.plant.current_ma == 0


def test_load_current_and_override(bench):
    now = configure(bench, 0)
    bench.set({"load_ma": 15_000}, now)
    assert bench.truth()["current_ma"] == -15_000
    bench.set({"current_ma": 7_000}, now)
    assert bench.truth()["current_ma"] == 7_000
    bench.set({"current_ma": None}, now)
    assert bench.truth()["current_ma"] == -15_000
    bench.set({"load": "open"}, now)
    assert bench.truth()["current_ma"] == 0


def test_cells_by_list_and_by_index(bench):
    bench.set({"cell_mv": [3300 + k for k in range(16)]}, 0)
    assert bench.truth()["cell_mv"] == [3300 + k for k in range(16)]
    bench.set({"cell_mv": {"3": 3650, 4: None}}, 0)
    assert bench.truth()["cell_mv"][3] == 3650
    assert bench.truth()["cell_mv"][4] != 3304
    bench.set({"cell_mv": None}, 0)
    assert bench.truth()["cell_mv"][3] < 3400


def test_temperatures(bench):
    bench.set({"cell_temp_dc": {"2": 550}, "mos_dc": 990, "ambient_dc": -210}, 0)
    temps = bench.truth()["temps_dc"]
    assert (temps[2], temps[4], temps[5]) == (550, 990, -210)
    bench.set({"cell_temp_dc": [10, 20, 30, 40]}, 0)
    assert bench.truth()["temps_dc"][:4] == [10, 20, 30, 40]


@pytest.mark.parametrize("fields, words", [
    ({"no_such": 1}, ("no_such", "current_ma")),
    ({"current_ma": "much"}, ("current_ma", "number")),
    ({"current_ma": 1e9}, ("current_ma", "range")),
    ({"current_ma": True}, ("current_ma", "number")),
    ({"charger_mv": -1}, ("charger_mv", "0 to 100000")),
    ({"load": "closed"}, ("load", "short")),
    ({"cell_mv": [1, 2]}, ("cell_mv", "16")),
    ({"cell_mv": {"16": 3300}}, ("cell_mv", "0 to 15")),
    ({"cell_mv": {"x": 3300}}, ("cell_mv", "0 to 15")),
    ({"cell_mv": {"1": 99_999}}, ("cell_mv[1]", "range")),
    ({"cell_temp_dc": {"4": 1}}, ("cell_temp_dc", "0 to 3")),
    ({"rocker": 2}, ("rocker", "true")),
    ({"dip": 16}, ("dip", "0 to 15")),
    ({"fault": {"afe_dead": 1}}, ("afe_dead", "afe_silent")),
    ({"fault": "afe_silent"}, ("fault", "kind")),
    ({"fault": {"afe_crc": 2}}, ("afe_crc", "0 to 1")),
    ({"fault": {"open_wire": 17}}, ("open_wire", "0 to 16")),
    ({"fault": {"swapped_cells": [1]}}, ("swapped_cells", "two")),
    ({"fault": {"swapped_cells": [1, 1]}}, ("swapped_cells", "different")),
    ({"fault": {"shunt_sign": 2}}, ("shunt_sign", "-1")),
    ({"fault": {"ntc_open": 6}}, ("ntc_open", "0 to 5")),
    ({"fault": {"afe_silent": 7}}, ("afe_silent", "true")),
])
def test_impossible_settings_are_refused_with_the_reason(bench, fields, words):
    with pytest.raises(ValueError) as caught:
        bench.set(dict(fields, load_ma=5000), 0)
    for word in words:
        assert word in str(caught.value)
    assert bench.plant.load_ma is None          # nothing of it was done


def test_unknown_plant_option_is_refused():
    with pytest.raises(ValueError, match="capacity_ah"):
        Stand({"plant": {"capacity": 3}})


@pytest.mark.parametrize("kind, value", [
    ("afe_silent", True), ("afe_crc", 0.5), ("afe_stuck_low", 1), ("afe_stuck_high", True),
    ("afe_frozen", True), ("afe_late_ms", 5), ("open_wire", 3), ("swapped_cells", [1, 2]),
    ("ntc_open", 0), ("ntc_short", [1, 5]), ("shunt_gain", 0.9), ("shunt_offset_ma", -500),
    ("afe_latency_us", 800), ("pack_gain", 1.02), ("stack_gain", 0.98), ("ld_gain", 1.0),
    ("cell_gain", {"3": 1.01}), ("shunt_stuck_ma", 0), ("ntc_stuck", {"2": 250}),
    ("afe_bothoff", "dead"),
    ("afe_frozen_part", ["cells", "temps"]), ("afe_reference", 1.01), ("terminal_uf", 20_000),
    ("terminal_kohm", 20), ("shunt_sign", -1), ("fet_weld_chg", True),
    ("fet_weld_dsg", 1), ("fet_open_chg", True),
    ("fet_open_dsg", True)])
def test_faults_come_and_go(bench, kind, value):
    now = configure(bench, 0)
    bench.set({"fault": {kind: value}}, now)
    assert kind in bench.faults
    bench.advance(now + 500_000)
    bench.set({"fault": {kind: None}}, now + 500_000)
    assert bench.faults == {}
    now += 600_000
    frame(bench, 0x34, 0xFF, now)
    frame(bench, 0x34, 0xFF, now + 100)
    assert frame(bench, 0x34, 0xFF, now + 200) >> 16 == 0x34


def test_one_shot_faults_are_over_at_once(bench):
    now = configure(bench, 0)
    bench.set({"fault": {"afe_config_lost": True}}, now)
    bench.set({"fault": {"afe_brownout": True}}, now)
    assert bench.faults == {} and bench.wire(now)["fets"]["chg"] == 0
    assert bench.edges(now)[-2:] == [[now / 1000, "fets.chg", 0], [now / 1000, "fets.dsg", 0]]


def test_every_fault_kind_is_of_the_rig():
    known = ("afe_silent afe_crc afe_stuck_low afe_stuck_high afe_brownout afe_config_lost "
             "afe_frozen afe_late_ms open_wire swapped_cells ntc_open ntc_short shunt_gain "
             "shunt_offset_ma shunt_sign fet_weld_chg fet_weld_dsg fet_open_chg fet_open_dsg "
             "rtc_dead rtc_jump_s can_bus_off can_no_ack can_overflow can_reset "
             "afe_latency_us pack_gain stack_gain ld_gain cell_gain shunt_stuck_ma ntc_stuck "
             "afe_frozen_part afe_reference afe_bothoff terminal_uf terminal_kohm")
    assert sorted(FAULT_KINDS) == sorted(known.split())


def test_reverse_connection_reads_negative(bench):
    now = configure(bench, 0)
    bench.set({"reverse": True}, now)
    bench.advance(now + 400_000)                # the short circuit opened the FETs
    now += 400_000
    assert bench.wire(now)["fets"]["dsg"] == 0
    value = 0
    for address in (0x36, 0x37):
        frame(bench, address, 0xFF, now)
        value |= (frame(bench, 0x7F, 0xFF, now + 100) >> 8 & 0xFF) << (8 * (address & 1))
        now += 200
    assert value - 0x10000 == -30               # the pin's diode: -0.3 V


# -- determinism --------

TRACE = """
import sys
sys.path.insert(0, sys.argv[1])
from stand import Stand
from afe_model import crc8
bench = Stand({"seed": 7, "plant": {"soc": 0.97, "imbalance_mv": 40}})
now = 10000
total = 0
for k in range(4000):
    a = k % 128
    answer = bench.frame3(a, 0xFF, crc8(a, 0xFF), now)
    total = (total * 31 + answer) % 4294967291
    now += 150
    if k % 40 == 0:
        now += 90000
    if k == 500:
        bench.set({"load_ma": 30000, "fault": {"afe_crc": 0.1}}, now)
    if k == 900:
        bench.set({"fault": {"fet_weld_chg": True, "fet_weld_dsg": True}}, now)
    if k == 2500:
        bench.set({"charger_mv": 57000, "charger_ma": 60000, "fault": {"open_wire": 3}}, now)
print(total, bench.truth()["cell_mv"], bench.truth()["current_ma"])
"""


def run_trace(interpreter, tmp_path):
    script = tmp_path / "trace.py"
    script.write_text(TRACE)
    models = os.path.dirname(os.path.abspath(stand_module.__file__))
    done = subprocess.run([str(interpreter), str(script), models], capture_output=True, text=True,
                          check=True)
    return done.stdout.strip()


def test_two_runs_agree(tmp_path):
    first = run_trace(sys.executable, tmp_path)
    assert first and first == run_trace(sys.executable, tmp_path)


@pytest.mark.unix
def test_both_interpreters_agree(tmp_path, unix_micropython):
    assert run_trace(unix_micropython, tmp_path) == run_trace(sys.executable, tmp_path)


def test_the_log_of_changes_is_that_of_a_list():
    rng = random.Random(4)
    log = EdgeLog(12_000)
    rows = []
    assert log.since(0, 0, 10) == [] and len(log) == 0
    t_us = 0
    for _ in range(20_000):
        t_us += rng.choice((0, 1, 37, 1000, 250_000))
        value = rng.choice((0, 1, [], [0, 15], [3, 5, 7]))
        row = [t_us / 1000, rng.choice(("fets.chg", "balance", "lamps.run")), value]
        rows.append(row)
        log.add(*row)
        if rng.random() < 0.002:
            kept = rows[log.lost:]
            assert len(log) == len(kept) and len(kept) <= 3 * 4096
            since_ms = rng.choice((0, rng.choice(kept)[0], kept[-1][0] + 1))
            found = [each for each in kept if each[0] >= since_ms]
            skip, count = rng.randrange(5), rng.choice((3, 500, 99_999))
            assert log.since(since_ms, skip, count) == found[skip:skip + count]
    assert log.lost == 2 * 4096


# -- the board --------


def test_the_stand_hands_its_board_on_and_says_what_was_drawn():
    stand = Stand({"seed": 4})
    assert stand.truth()["board"] == stand.board == Stand({"seed": 4}).board
    assert stand.afe.board == stand.board
    assert Stand({"seed": 5}).board != stand.board


def test_spread_0_and_perfect_measurements_have_an_ideal_board():
    ideal = Stand({"seed": 4, "spread": 0}).board
    assert ideal["cell_gain"] == [1.0] * 16 and ideal["pack_gain"] == 1.0
    assert Stand({"seed": 9, "noise": 0}).board == ideal
    with pytest.raises(ValueError, match="spread"):
        Stand({"spread": 2})
