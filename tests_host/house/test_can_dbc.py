"""docs/packctl.dbc is what the tables give, and another reader decodes our frames by it."""

import can_dbc
import cantools
import pytest
from protocols.can import layout
from protocols.can.frames import CanFrames
from protocols.snapshot import Identity
from test_can_frames import NUMBER, snapshot

SEEN = {"soc_cpct": 8137, "soh_pct": 97, "voltage_mv": 53_270, "current_ma": -20_500,
        "mean_temp_dc": -52, "max_temp_dc": 61, "min_temp_dc": -98, "cycles": 321,
        "modules": 3, "ccl_ma": 12_345, "dcl_ma": 98_765, "charged_wh": 123_456,
        "discharged_wh": 99_999, "alarms": 0x20, "protections": 1, "may_charge": False}
# what each signal has to say of SEEN, in its unit
WANT = {"cvl": 56.0, "ccl": 12.3, "dcl": 98.7, "dvl": 46.0, "soc": 81, "soh": 97,
        "soc_fine": 81.37, "voltage": 53.27, "current": -20.5, "temperature": -5.2,
        "modules": 3, "min_cell": 3310, "max_cell": 3320, "min_temp": 263, "max_temp": 279,
        "charged": 123.4, "discharged": 99.9, "installed": 100, "capacity": 100, "cycles": 321,
        "remaining": 50, "lux_max_cell": 3320, "lux_min_cell": 3310, "lux_max_temp": 6.1,
        "lux_min_temp": -9.8, "lux_capacity": 100, "lux_cycles": 321, "deye_max_temp": 6.1,
        "deye_min_temp": -9.8, "deye_max_cell": 3320, "deye_min_cell": 3310, "deye_ccl": 12.3,
        "deye_dcl": 98.7, "requests": 0x40, "protections": 0x02, "alarms": 0x80,
        "modules_ok": 3, "blocking_charge": 0, "blocking_discharge": 0, "offline": 0,
        "force_charge": 0, "g_cvl": 56.0, "g_ccl": 12.3, "g_dcl": 98.7, "g_voltage": 53.27,
        "g_current": -20.5, "g_temperature": 6.1, "g_soc": 81, "g_soh": 97, "g_remaining": 50.0,
        "g_full": 100.0, "g_difference": 10, "g_cycles": 321, "g_packs": 3, "g_cells": 16,
        "g_enable": 0x40, "g_max_cell": 3320, "g_min_cell": 3310, "p_max_cell": 3320,
        "p_min_cell": 3310, "p_max_temp": 6.1, "p_min_temp": -9.8, "p_full": 100_000,
        "p_remaining": 50_000, "p_online": 3, "p_charge": 0, "p_discharge": 1}


def test_the_file_is_current():
    assert can_dbc.PATH.read_text() == can_dbc.text()


@pytest.mark.req("COM-02")
@pytest.mark.parametrize("name", NUMBER)
def test_cantools_reads_every_frame_of_every_variant(name):
    database = cantools.database.load_string(can_dbc.text(), "dbc")
    frames = CanFrames(Identity("AM5000", (0, 1, 0), "PC0123456789ABCD"), NUMBER[name])
    seen = snapshot(**SEEN)
    frames.take(seen)
    checked = 0
    for i, frame in enumerate(layout.VARIANTS[NUMBER[name]][layout.FRAMES]):
        length = frames.encode(i)
        assert length == len(frame[1])
        told = can_dbc.message_for(database, frame).decode(
            bytes(frames.buf[:length]), allow_truncated=True, decode_choices=False)
        for signal in can_dbc.signals_of(frame):
            want = {**WANT, "cvl": 53.2} if name == "victron" else WANT     # it may not charge
            if signal[0] in want:
                assert told[signal[0]] == pytest.approx(want[signal[0]], abs=1e-6), signal[0]
                checked += 1
    assert checked >= 10


def test_every_signal_with_a_unit_is_checked():
    for rows in can_dbc.layouts().values():
        for frame, _ in rows:
            for signal in can_dbc.signals_of(frame):
                assert not signal[7] or signal[0] in WANT or signal[0].startswith("g_cell_")


@pytest.mark.req("COM-02")
def test_the_file_has_ranges_words_and_value_tables():
    database = cantools.database.load_string(can_dbc.text(), "dbc")
    limits = database.get_message_by_name("M_351")
    ccl = limits.get_signal_by_name("ccl")
    assert (ccl.minimum, ccl.maximum, ccl.unit) == (-3276.8, 3276.7, "A")
    assert ccl.comment == "charge current limit"
    force = database.get_message_by_name("M_360").get_signal_by_name("force_charge")
    assert {int(value): str(words) for value, words in force.choices.items()} == {
        0: "no request", 255: "charge now"}
    alarms = database.get_message_by_name("M_359").get_signal_by_name("alarms")
    assert "bit 1: cell over-voltage, pack over-voltage" in alarms.comment


@pytest.mark.parametrize("name", sorted({signal[0] for rows in can_dbc.layouts().values()
                                         for frame, _ in rows
                                         for signal in can_dbc.signals_of(frame)}))
def test_every_signal_has_words(name):
    assert can_dbc.words_of(name) or can_dbc.attributes().get(name) in can_dbc.VALUES
