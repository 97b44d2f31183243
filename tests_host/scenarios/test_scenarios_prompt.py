"""The prompt takes nothing of the protection away (SAF-10)."""

import pytest


def opened(rig, target, load_ma=20_000):
    rig.open(target, plant={"soc": 0.6})
    rig.run(4000)
    rig.set(load_ma=load_ma)
    rig.run(2000)


def fet_edges(rig, since_ms):
    return [(at_ms, signal[5:], level) for at_ms, signal, level in rig.trace(since_ms)["edges"]
            if signal in ("fets.chg", "fets.dsg")]


@pytest.mark.targets("host", "unix")
@pytest.mark.req("SAF-10", "COM-05")
def test_the_command_opens_both_fets_after_limits_of_0_and_shows_it(rig, target):
    opened(rig, target)
    at_ms = rig.get()["t_ms"]
    rig.command_text("prompt")
    rig.run(3000)
    report = rig.get()["report"]
    assert (report["ccl_ma"], report["dcl_ma"]) == (0, 0)
    assert fet_edges(rig, at_ms) == []
    rig.run(2700)
    assert rig.get()["report"]["faults"] == ["SAF-10-prompt"]
    rig.run(3000)
    wire, _ = rig.look()
    assert (wire["fets"]["chg"], wire["fets"]["dsg"]) == (0, 0)
    assert wire["lamps"]["alm"] == 1 and wire["do"][0] == 1
    zero = [f[0] for f in rig.can(since_ms=at_ms)["frames"]
            if f[1] == 0x351 and bytes.fromhex(f[2])[2:6] == bytes(4)]
    assert zero and zero[0] < fet_edges(rig, at_ms)[0][0]


@pytest.mark.targets("host", "unix")
@pytest.mark.req("SAF-10")
def test_the_prompt_is_left_after_ten_minutes(rig, target):
    opened(rig, target, None)
    rig.command_text("prompt")
    rig.run(590_000)
    wire, _ = rig.look()
    assert (wire["fets"]["chg"], wire["fets"]["dsg"], wire["lamps"]["alm"]) == (0, 0, 1)
    rig.run(30_000)
    wire, _ = rig.look()
    assert (wire["fets"]["chg"], wire["fets"]["dsg"], wire["lamps"]["alm"]) == (1, 1, 0)
    events = rig.events(0)["events"]
    assert [e["event"] for e in events if e["event"] in ("boot", "fault")] == [
        "boot", "fault", "boot"]
    assert rig.get()["report"]["faults"] == []


@pytest.mark.sample
@pytest.mark.targets("rp2040")
@pytest.mark.req("SAF-10")
def test_bytes_on_usb_stop_nothing_and_the_word_leads_to_a_safe_prompt(rig, target):
    opened(rig, target, 50_000)
    pico = rig._target._pico
    usb = pico.attach_usb()
    said = bytearray()
    pico.on_usb = said.extend
    resets = []
    pico.on_reset.append(lambda cause, now_us: resets.append(cause))
    rig.run(1500)
    at_ms = rig.get()["t_ms"]
    for data in (bytes(range(256)) * 2, b"\x03\x03\x03", b"\r\x03\x03\r\x01\x02", b"\x04", b"\r",
                 b"AT\r\nATE1 E0\r\n~\x00x\xf0~\r", b"prompt me\r", b"xprompt\r",
                 b"prompts\r"):
        usb.send(data)
        rig.run(600)
    assert (fet_edges(rig, at_ms), resets) == ([], [])
    assert b">>>" not in said and said.endswith(b"\rpylon>")      # the console, not the prompt
    assert rig.get()["report"]["state"] == "discharging"

    usb.send(b"prompt\r")
    rig.run(9000)
    wire, _ = rig.look()
    assert (wire["fets"]["chg"], wire["fets"]["dsg"]) == (0, 0)
    assert wire["lamps"]["alm"] == 1 and wire["do"][0] == 1
    assert said.endswith(b">>> ") and b"both FETs are off" in said

    def run(source):
        del said[:]
        usb.send(source + b"\x04")
        rig.run(700)
        return bytes(said)

    usb.send(b"\x01")
    rig.run(200)
    assert run(b"print(6 * 7)") == b"OK42\r\n\x04\x04>"
    assert b"soft reboot" in run(b"")               # as mpremote does at its start
    rig.run(1000)
    assert run(b"print(6 * 7)") == b"OK42\r\n\x04\x04>"
    assert rig.look()[0]["do"][0] == 1 and resets == []

    at_ms = pico.now_us // 1000
    run(b"import machine\nmachine.Pin('AFE_BOTHOFF', machine.Pin.OUT, value=1)")
    assert pico.pin_level("AFE_BOTHOFF") == 0       # taken back at once
    rig.run(1000)
    assert resets == ["watchdog"]
    assert fet_edges(rig, at_ms) == []
