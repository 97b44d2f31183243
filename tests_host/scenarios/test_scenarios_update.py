"""An update as the pack lives through it, over its own debug port, in simulated time (SAF-06)."""

import random
import struct

import pytest

from packctl import package, updating
from packctl.errors import NoAnswer, Refused, UpdateRefused
from sim_port import pack_of

DISTANCE = 864 * 1024           # of the two slots
PAGES = 96


def file_of(version="0.2.0", pages=PAGES):
    first = bytearray(random.Random(7).randbytes(pages * 256))
    second = bytearray(first)
    for at in range(0, len(first) - 4, 44):     # as many words as in a real image
        word, = struct.unpack_from("<I", first, at)
        struct.pack_into("<I", second, at, word + DISTANCE & 0xFFFFFFFF)
    return package.make(bytes(first), bytes(second), board="sim", version=version,
                        distance=DISTANCE)


def up(rig, target, **how):
    rig.open(target, plant={"soc": 0.5}, spread=0, **how)
    rig.run(6000)


def fet_edges(rig, since_ms):
    return [edge for edge in rig.trace(since_ms)["edges"] if edge[1] in ("fets.chg", "fets.dsg")]


@pytest.mark.req("SAF-06")
@pytest.mark.targets("host", "unix")
def test_the_pack_works_while_it_is_updated_and_is_dark_for_3_s_at_most(rig, target):
    rig.open(target, plant={"soc": 0.5}, params={"chg_ot_alarm_dc": 480})
    rig.run(6000)
    rig.set(load_ma=50_000)
    rig.run(1000)
    began = rig.get()["t_ms"]
    file = file_of()
    steps = []
    with pack_of(rig) as (pack, port):
        updating.send(pack, file, on_progress=lambda now: steps.append(
            (port.monotonic(), now.state, now.received)))
        report = pack.report()
        assert report["fets"] == ["chg", "dsg"] and report["state"] == "discharging"
        assert fet_edges(rig, began) == []              # nothing was opened for it
        updating.start(pack)
    moving = [at for at, state, received in steps if state == "receiving" and received]
    rate = PAGES * 256 / (moving[-1] - moving[0])
    assert rate > 0.8 * 11_520, rate                    # bytes/s that 115 200 bit/s carry
    told = rig.get()["t_ms"]
    rig.run(4000)
    assert rig.get()["report"]["dcl_ma"] == 0           # told before anything opens
    soc = rig.get()["report"]["soc"]
    rig.run(9000)
    edges = fet_edges(rig, told)
    off = [t for t, _, level in edges if not level]
    on = [t for t, _, level in edges if level]
    assert edges and max(on) - min(off) <= 3000
    assert off[0] - told >= 1500
    report = rig.get()["report"]
    assert report["state"] == "discharging" and abs(report["soc"] - soc) < 0.5
    assert rig.param("chg_ot_alarm_dc")["value"] == 480
    kinds = [(e["event"], e["item"]) for e in rig.events()["events"]]
    assert [item for event, item in kinds if event == "update"][:3] == [0, 1, 2]
    with pack_of(rig) as (pack, _):
        now = updating.status(pack)
    assert (now.running, now.trial) == (1, True)


@pytest.mark.req("SAF-06", "COM-06")
@pytest.mark.targets("host")
@pytest.mark.parametrize("every_s", [0.25, 1.0])
def test_an_inverter_is_answered_all_the_while(rig, target, every_s):
    up(rig, target)
    answers = bytearray()
    asked = [0, -every_s]
    rig._from_pcs = answers.extend
    with pack_of(rig) as (pack, port):
        read, began = port.read, port.monotonic()

        def ask(count):
            if port.monotonic() - asked[1] >= every_s:
                asked[:] = asked[0] + 1, port.monotonic()
                rig._to_pack["pcs"] += b"~20024642E00202FD33\r"     # all values, of pack 2
            return read(count)

        port.read = ask
        updating.send(pack, file_of())
        assert port.monotonic() - began < (8 if every_s < 1 else 6)
    rig.run(1000)
    assert asked[0] >= 3 and answers.count(b"\r") == asked[0]


@pytest.mark.req("SAF-06", "PRO-22")
@pytest.mark.targets("host")
def test_protections_outlast_the_switch_over(rig, target):
    up(rig, target)
    rig.set(cell_mv={"3": 2000}, load_ma=20_000)
    rig.run(6000)
    tripped = rig.get()["report"]["protections"]
    assert tripped
    with pack_of(rig) as (pack, _):
        updating.send(pack, file_of(pages=20))
        updating.start(pack)
    began = rig.get()["t_ms"]
    rig.run(9000)
    assert set(tripped) <= set(rig.get()["report"]["protections"])
    assert all(not level for _, signal, level in fet_edges(rig, began) if signal == "fets.dsg")


@pytest.mark.req("LED-04", "SAF-06")
@pytest.mark.targets("host")
def test_red_and_green_alternate_during_an_update(rig, target):
    up(rig, target, profile="b1-5.1-48")
    with pack_of(rig) as (pack, port):
        updating.begin(pack, file_of())
        began = rig.get()["t_ms"]
        rig.run(6000)
        edges = rig.trace(began + 1000)["edges"]
        red = [(t, level) for t, signal, level in edges if signal == "lamps.alm"]
        green = [(t, level) for t, signal, level in edges if signal == "lamps.cap.0"]
        assert len(red) >= 8 and {(t, 1 - level) for t, level in red} == set(green)
        updating.give_up(pack)
    ended = rig.get()["t_ms"]
    rig.run(4000)
    green = [t for t, signal, _ in rig.trace(ended + 1500)["edges"] if signal == "lamps.cap.0"]
    assert green == []


@pytest.mark.req("LED-03", "SAF-06")
@pytest.mark.targets("host")
def test_the_lamps_of_an_am5000_are_those_of_its_state_and_alm_stays_off(rig, target):
    up(rig, target)
    with pack_of(rig) as (pack, _):
        updating.begin(pack, file_of())
    began = rig.get()["t_ms"]
    rig.run(5000)
    assert [edge for edge in rig.trace(began)["edges"] if edge[1] == "lamps.alm"] == []
    assert rig.get()["wire"]["lamps"]["alm"] == 0


@pytest.mark.req("SAF-06")
@pytest.mark.targets("host")
def test_the_cable_is_pulled_for_a_minute_and_the_update_goes_on(rig, target):
    up(rig, target)
    file = file_of()
    with pack_of(rig) as (pack, port):
        def pull(now):
            port.cut = now.received >= 40
        with pytest.raises(NoAnswer):
            updating.send(pack, file, on_progress=pull)
        assert rig.get()["report"]["state"] == "standby"
        rig.run(60_000)
        port.cut = False
        seen = []
        updating.send(pack, file, on_progress=lambda now: seen.append(now.received))
        assert seen[0] >= 40 and updating.status(pack).state == "ready"


@pytest.mark.req("SAF-06", "SAF-11")
@pytest.mark.targets("host")
def test_an_owner_s_pin_is_needed(rig, target):
    up(rig, target)
    rig.typed("pin set 4711")
    with pack_of(rig) as (pack, _):
        for call in (lambda: updating.begin(pack, file_of()), lambda: updating.go_back(pack),
                     lambda: pack.update_key(bytes(32))):
            with pytest.raises(Refused) as caught:
                call()
            assert "PIN" in str(caught.value)
    with pack_of(rig, "4711") as (pack, _):
        assert updating.begin(pack, file_of()).state == "receiving"


@pytest.mark.req("SAF-06", "PAR-02")
@pytest.mark.targets("host", "unix")
def test_the_owner_s_key_is_kept_over_a_restart_and_refuses_unsigned_files(rig, target):
    up(rig, target)
    with pack_of(rig) as (pack, _):
        assert "no key is set" in pack.update_key()
        pack.update_key(bytes(range(32)))
        rig.reset()
        rig.run(6000)
        assert bytes(range(32)).hex() in pack.update_key()
        with pytest.raises(UpdateRefused, match="no signature"):
            updating.begin(pack, file_of())
        pack.update_key(b"")
        assert updating.begin(pack, file_of()).state == "receiving"
