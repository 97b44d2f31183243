"""The rig's newer stimuli against the real firmware: spread, harm, faults of board and supply,
the console, sockets, the inverter on a wire."""

import socket
import time

import pytest
from as1_model import ask, info_of

SIMULATED = pytest.mark.targets("host", "unix")


def up(rig, target="host", **more):
    """A pack at 60 % that has closed its FETs."""
    answer = rig.open(target, **{"plant": {"soc": 0.6}, "seed": 5, **more})
    rig.run(4_000)
    assert rig.get()["wire"]["fets"]["dsg"] == 1
    return answer


@SIMULATED
def test_the_board_of_a_seed_is_told(rig, target):
    rig.open(target, seed=5)
    board = rig.get()["truth"]["board"]
    assert board["terminal_ohm"] != 1.0 and len(board["cell_gain"]) == 16
    rig.open(target, seed=5, spread=0)
    ideal = rig.get()["truth"]["board"]
    assert ideal["pack_gain"] == 1.0 and ideal["cell_offset_mv"] == [0.0] * 16
    refused = rig.command({"cmd": "open", "board": target, "spread": 2})
    assert not refused["ok"] and "spread" in refused["error"]


@SIMULATED
def test_a_healthy_pack_does_no_harm(rig, target):
    up(rig, target)
    rig.set(load_ma=60_000)
    rig.run(20_000)
    rig.set(load_ma=None, charger_mv=57_000, charger_ma=50_000)
    rig.run(20_000)
    seen = rig.get()
    truth = seen["truth"]
    assert truth["harm"] == [] and truth["dark_fault"] is None and truth["dark_ms"] == 0
    assert truth["fets"]["dsg"]["closings"] == 1 and truth["fets"]["chg"]["energy_mj"] > 0
    assert not seen["report"]["faults"]


@SIMULATED
def test_harm_is_seen_without_the_firmware(rig, target):
    up(rig, target)
    rig.set(fault={"task_hang": "control", "fet_weld_dsg": True}, load_ma=20_000,
            cell_mv={3: 1_850})
    rig.run(7_000)
    kinds = {row[0]: row for row in rig.get()["truth"]["harm"]}
    assert kinds["under_1900_mv"][1] == 3 and kinds["under_1900_mv"][3] == 1_850
    assert [edge[1:] for edge in rig.trace()["edges"] if edge[1].startswith("harm.")] == [
        ["harm.under_1900_mv", 1]]


@SIMULATED
def test_a_dip_of_the_supply(rig, target):
    up(rig, target)
    rig.set(fault={"supply_dip_ms": 150})
    assert rig.get()["report"] is None
    rig.run(5_000)
    seen = rig.get()
    assert seen["wire"]["fets"]["dsg"] == 1 and seen["report"]["uptime_s"] < 5
    rig.power(on=False)
    refused = rig.command({"cmd": "set", "fault": {"supply_dip_ms": 10}})
    assert not refused["ok"] and "switched off" in refused["error"]
    rig.run(1_000)
    assert rig.get()["report"] is None          # a dip that was refused switches nothing on


@pytest.mark.targets("host")
def test_a_longer_dip_ends_by_itself_or_by_the_switch(rig, target):
    up(rig, target)
    rig.set(fault={"supply_dip_ms": 3_000})
    rig.run(2_900)
    assert rig.get()["report"] is None
    rig.run(5_000)
    assert rig.get()["wire"]["fets"]["dsg"] == 1
    rig.set(fault={"supply_dip_ms": 60_000})
    rig.power(on=True)
    rig.run(5_000)
    assert rig.get()["wire"]["fets"]["dsg"] == 1


def test_figures_of_the_board_as_faults(rig):
    up(rig)
    rig.set(load_ma=10_000)
    rig.run(2_000)
    before = rig.get()["report"]
    rig.set(fault={"cell_gain": {"3": 1.002}, "shunt_stuck_ma": -7_000, "ntc_stuck": {"1": 301}})
    rig.run(2_000)
    after = rig.get()["report"]
    assert after["cell_mv"][3] - before["cell_mv"][3] >= 4
    assert after["current_ma"] == pytest.approx(-7_000, abs=150)
    rig.set(fault={"cell_gain": None, "shunt_stuck_ma": None, "ntc_stuck": None})
    rig.run(2_000)
    assert rig.get()["report"]["current_ma"] == pytest.approx(-10_000, abs=200)
    for fault, word in (({"cell_gain": 1.0}, "index"), ({"cell_gain": {"16": 1}}, "16"),
                        ({"afe_frozen_part": ["tail"]}, "tail"), ({"terminal_uf": -1}, "range")):
        answer = rig.command({"cmd": "set", "fault": fault})
        assert not answer["ok"] and word in answer["error"]


def test_the_console_answers_a_line(rig):
    up(rig)
    answer = rig.command({"cmd": "command", "text": "why"})
    assert answer["ok"] and answer["text"]
    refused = rig.command({"cmd": "command", "text": "no such thing"})
    assert not refused["ok"] and refused["error"]
    assert not rig.command({"cmd": "command", "text": ""})["ok"]
    for word, said in (("status", "packctl "), ("cells", "cell 0 "), ("log 2", "#"),
                       ("help", "See"),
                       ("get cvl_mv", "cvl_mv = "), ("set cvl_mv 55.5V", "cvl_mv = 55500 mV"),
                       ("pwr", "@\nPower Volt")):
        assert rig.command({"cmd": "command", "text": word})["text"].startswith(said), word
    assert rig.param("cvl_mv")["value"] == 55_500


def connect(url):
    host, port = url[len("socket://"):].split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def hear(rig, client):
    """What comes within 2 s of simulated time."""
    client.settimeout(0.05)
    heard = b""
    for _ in range(20):
        rig.run(100)
        try:
            heard += client.recv(4096)
        except TimeoutError:
            continue
        if heard.endswith(b"\r"):
            break
    return heard


def test_each_port_is_a_socket_too_for_one_client_after_the_other(rig):
    answer = rig.open("host", profile="b1-5.1-48", seed=5, plant={"soc": 0.6})
    assert set(answer["urls"]) == {"pcs", "parallel", "debug", "usb"} == set(answer["ports"])
    rig.run(4_000)
    for _ in range(3):
        with connect(answer["urls"]["pcs"]) as client:
            client.sendall(ask(2, 0x61))
            assert len(info_of(hear(rig, client))) == 49
    url = answer["urls"]["pcs"]
    rig.close()
    time.sleep(0.05)
    with pytest.raises(OSError):
        connect(url)


@pytest.mark.parametrize("port", ["can", "pcs"])
def test_an_inverter_obeys_the_wire(rig, port):
    up(rig, profile="b1-5.1-48")
    rig.set(inverter={"port": port, "pv_w": 1_500, "load_w": 0})
    rig.run(6_000)
    assert rig.get()["truth"]["current_ma"] > 10_000
    rig.set(inverter={"port": port, "pv_w": 0, "load_w": 1_500})
    rig.run(6_000)
    assert rig.get()["truth"]["current_ma"] < -10_000
    # nothing is said any more: it stops
    rig.set(fault={"can_no_ack": True, "rs485_noise": 1.0})
    rig.run(9_000)
    assert rig.get()["truth"]["current_ma"] == pytest.approx(0, abs=200)
    rig.set(fault={"can_no_ack": None, "rs485_noise": None})
    rig.set(inverter=None)
    rig.run(1_000)
    assert rig.get()["truth"]["current_ma"] == pytest.approx(0, abs=200)


def test_an_inverter_by_its_ports_name_alone_and_refusals(rig):
    up(rig, profile="b1-5.1-48")
    rig.set(inverter="can")
    rig.run(5_000)
    assert rig.get()["truth"]["current_ma"] > 5_000         # the morning of as1's day
    for value in ("usb", 1, {"port": "can", "mode": "sideways"}, {"port": "can", "sun": 1}):
        answer = rig.command({"cmd": "set", "inverter": value})
        assert not answer["ok"] and "inverter" in answer["error"]


def test_a_fleet_has_console_sockets_and_inverter_too(rig):
    answer = rig.fleet(modules=2, profile="b1-5.1-48", plant={"soc": 0.6}, seed=3, spread=0)
    assert "pcs" in answer["modules"][1]["urls"]
    rig.run(8_000)
    assert rig.get_all()["modules"][1]["truth"]["board"]["pack_gain"] == 1.0
    assert rig.command({"cmd": "command", "module": 1, "text": "why"})["ok"]
    assert rig.command({"cmd": "set", "module": 0, "inverter": "can"})["ok"]
    rig.run(6_000)
    modules = rig.get_all()["modules"]
    assert sum(module["truth"]["current_ma"] for module in modules) > 5_000
    assert all(module["truth"]["harm"] == [] for module in modules)


@pytest.mark.unix
def test_a_full_heap_leaves_the_bench_alive_with_the_heap_it_has_by_default(
        rig, unix_micropython, monkeypatch):
    monkeypatch.setenv("MICROPYTHON", str(unix_micropython))
    up(rig, "unix")
    rig.set(load_ma=15_000)
    rig.run(2_000)
    rig.set(fault={"heap_full": True})
    rig.run(5_000)
    assert rig.get()["wire"]["fets"]["dsg"] == 1
    rig.set(cell_temp_dc=[600] * 4)
    rig.run(4_000)
    assert rig.get()["wire"]["fets"]["dsg"] == 0
    rig.set(cell_temp_dc=None)
    rig.reset()
    rig.run(4_000)
    assert rig.get()["report"] is not None


def test_a_healthy_day_does_no_harm(rig):
    """A day of an inverter in 24 minutes: sun, house, morning and evening peaks."""
    up(rig, profile="b1-5.1-48", plant={"soc": 0.5, "capacity_ah": 20, "imbalance_mv": 5})
    rig.set(inverter={"port": "can", "hour_s": 60})
    most_ma = least_ma = 0
    for _ in range(24):
        rig.run(60_000)
        truth = rig.get()["truth"]
        most_ma, least_ma = max(most_ma, truth["current_ma"]), min(least_ma, truth["current_ma"])
        assert truth["harm"] == [] and truth["dark_fault"] is None
    assert most_ma > 10_000 and least_ma < -10_000


def test_a_dead_bar_with_a_load_is_dark(rig):
    rig.fleet(modules=2, plant={"soc": 0.6}, seed=3)
    rig.run(30_000)
    assert any(m["wire"]["fets"]["dsg"] for m in rig.get_all()["modules"])
    for index in (0, 1):                # both lose their FETs: by the rig, behind the stand's back
        rig.command({"cmd": "set", "module": index, "fault": {"fet_open_dsg": True}})
    rig.set(load_ma=10_000)
    rig.run(4_000)
    for module in rig.get_all()["modules"]:
        assert module["truth"]["dark_ms"] > 2_000 and module["truth"]["dark_fault"]
