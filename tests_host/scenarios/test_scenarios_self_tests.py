"""Self-tests on the bench: each made to fail in a running pack, and the image in a real flash."""

import struct

import pytest

import pico_image
from rig_targets import FIRMWARE

NAMES = {"program": "SAF-07-program", "ram": "SAF-07-ram", "output": "SAF-07-output"}


def provoke(rig, what):
    rig.param("bench_enable", 1)
    rig.run(3000)                           # until the second copies are made
    rig._client.provoke("self_test " + what)


def fets(rig):
    return [rig.get()["wire"]["fets"][name] for name in ("chg", "dsg")]


@pytest.mark.req("SAF-07")
def test_what_fails_opens_both_fets_and_is_recorded(rig, target):
    rig.open(board=target)
    rig.run(3000)
    assert fets(rig) == [1, 1] and rig.get()["report"]["faults"] == []
    for what, fault in NAMES.items():
        provoke(rig, what)
        rig.run(1600)
        seen = rig.get()
        assert fets(rig) == [0, 0], what
        assert fault in seen["report"]["faults"], what
        assert seen["report"]["state"] == "fail"
        assert [event["event"] for event in rig.events()["events"]].count("fault") >= 1
    assert seen["report"]["first_out"] == NAMES["program"]
    lamps = seen["wire"]["lamps"]           # LED-03: fail. The code is for a start that failed.
    assert (lamps["alm"], lamps["run"], lamps["onoff"], lamps["cap"]) == (1, 0, 0, [0] * 6)
    rig.reset()
    rig.run(3000)
    assert fets(rig) == [1, 1] and rig.get()["report"]["faults"] == []


@pytest.mark.req("SAF-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("what, within_ms", [("data", 40_000), ("clock", 200_000)])
def test_what_takes_its_time(rig, target, what, within_ms):
    rig.open(board=target)
    rig.run(20_000)
    provoke(rig, what)
    rig.run(within_ms)
    assert fets(rig) == [0, 0]
    assert rig.get()["report"]["faults"] == ["SAF-07-" + what]


@pytest.mark.req("SAF-07")
@pytest.mark.req("SAF-01")
@pytest.mark.targets("host", "unix")
def test_a_broken_flow_opens_the_fets_and_ends_in_a_watchdog_reset(rig, target):
    rig.open(board=target)
    rig.run(5000)
    provoke(rig, "flow")
    rig.run(1500)
    assert fets(rig) == [0, 0]
    assert rig.get()["report"]["faults"] == ["SAF-07-flow"]
    rig.run(9000)                           # the watchdog's 8 s
    rig.run(3000)
    seen = rig.get()["report"]
    assert seen["uptime_s"] < 10 and seen["faults"] == []
    assert fets(rig) == [1, 1]


@pytest.mark.req("SAF-07")
@pytest.mark.req("MEA-02")
@pytest.mark.targets("host")
@pytest.mark.parametrize("fault", [{"afe_crc": 0.02}, {"afe_late_ms": 30}, {"afe_brownout": True},
                                   {"afe_config_lost": True}, {"task_raise": "control"},
                                   {"task_raise": "self_tests"}, {"task_raise": "supervisor"}])
def test_other_mishaps_are_no_self_tests(rig, target, fault):
    """No other fault of the bench is taken for a broken flow, clock or output."""
    rig.open(board=target)
    rig.run(5000)
    rig.set(fault=fault)
    for _ in range(15):
        rig.run(10_000)
        assert not [name for name in rig.get()["report"]["faults"] if "SAF-07" in name]
    names = [event for event in rig.events()["events"] if event["event"] == "fault"]
    assert not [event for event in names if 17 <= event["item"] <= 22]


@pytest.mark.req("SAF-02")
@pytest.mark.req("SAF-07")
@pytest.mark.rp2040
@pytest.mark.slow
@pytest.mark.parametrize("where", ["image", "sums", "boot"])
def test_one_bit_of_the_flash(uf2, where):
    """Of the image, of its sums, or behind the boot stage: the FETs stay open, and the front says
    that it is L1. In the first two cases that is the boot stage, which has no other image."""
    from emulator import EmulatedPico
    from stand import Stand
    stand = Stand({"seed": 1})
    pico = EmulatedPico(uf2, stand, power=False)
    image = bytearray(pico.flash_image())
    at = {"image": 0x4000 + 0x50000, "sums": 0x3000 + 20, "boot": 0x800}[where]
    image[at] ^= 0x08
    pico.set_flash_image(bytes(image))
    pico.power(True)
    pico.run_for(4_000_000)
    wire = stand.wire(pico.now_us)
    assert (wire["fets"]["chg"], wire["fets"]["dsg"]) == (0, 0)
    lamps = wire["lamps"]
    assert (lamps["alm"], lamps["run"], lamps["cap"]) == (1, 0, [1, 0, 0, 0, 0, 0])


@pytest.mark.req("SAF-02")
def test_the_lamps_name_what_failed_at_start(rig):
    """An AFE that never answered: ALM and L4, until it does."""
    rig.open(board="host")
    rig.set(fault={"afe_silent": True})
    rig.reset()
    rig.run(4000)
    lamps = rig.get()["wire"]["lamps"]
    assert (lamps["alm"], lamps["run"], lamps["onoff"]) == (1, 0, 0)
    assert lamps["cap"] == [0, 0, 0, 1, 0, 0]
    rig.set(fault={"afe_silent": None})
    rig.run(12_000)
    lamps = rig.get()["wire"]["lamps"]
    assert (lamps["alm"], lamps["onoff"]) == (0, 1)
    rig.set(fault={"afe_silent": True})     # later it is a fail as the table has it
    rig.run(4000)
    lamps = rig.get()["wire"]["lamps"]
    assert (lamps["alm"], lamps["run"], lamps["onoff"], lamps["cap"]) == (1, 0, 0, [0] * 6)


@pytest.mark.req("SAF-07")
def test_the_image_carries_its_sums():
    """Sums of words and of the running sums, sector by sector, in the sector before the image."""
    binary = bytes(range(256)) * 20                         # 5120 bytes: two sectors
    code = bytes(range(256)) + b"\x55" * 100
    layout = pico_image.flash_map()
    uf2 = pico_image.uf2(pico_image.flash(
        pico_image.slot(binary, layout, "BOARD", "1.2.3"), code, layout), 0x10000000)
    flash = {}
    for at in range(0, len(uf2), 512):
        head = struct.unpack_from("<8I", uf2, at)
        assert head[5] == at // 512 and head[6] == len(uf2) // 512
        for i in range(256):
            flash[head[3] - 0x10000000 + i] = uf2[at + 32 + i]

    def there(start, count):
        return bytes(flash[start + i] for i in range(count))

    def sums(data):
        one = two = 0
        for i in range(0, len(data), 4):
            one = (one + int.from_bytes(data[i:i + 4], "little")) % 2**32
            two = (two + one) % 2**32
        return one, two
    assert there(0x1000, 8192) == b"\xff" * 8192            # the journal: nothing was tried
    assert there(0x4000, 8192) == binary + b"\xff" * 3072
    table = there(0x3000, 4096)
    assert table[:4] == b"SUMS" and struct.unpack_from("<HH", table, 4) == (2, 0xFFFD)
    assert struct.unpack_from("<II", table, 8) == sums(table[16:])
    assert struct.unpack_from("<II", table, 16) == sums(binary[:4096])
    assert struct.unpack_from("<II", table, 24) == sums(binary[4096:] + b"\xff" * 3072)
    assert struct.unpack_from("<4s16s16sI", table, 0xF00) == (
        b"INFO", b"BOARD".ljust(16, b"\0"), b"1.2.3".ljust(16, b"\0"), 5120)
    boot = there(0, 4096)
    assert boot[:612] == binary[:256] + code
    assert struct.unpack_from("<II", boot, 4088) == sums(boot[:4088])
    assert max(flash) == 0x6000 - 1


_DMA_SETUP = """
import machine, time, memory_rp2
from pio_uart import PioUart
for i in range(12):                 # of the firmware that was interrupted
    machine.mem32[0x50000010 + 0x40 * i] = 0
uart = PioUart(machine.Pin('DBG_TX'), machine.Pin('DBG_RX'))
ram = memory_rp2.Ram()
parts = range((min(uart._rx_base, uart._tx_base) - 0x20000000) // 512,
              (max(uart._rx_base + 1023, uart._tx_base + 2047) - 0x20000000) // 512 + 1)
some = bytearray(1024)
"""
_DMA_RUN = """
got = bytearray()
bad = []
uart.write(bytes([(i * 7 + 1) & 0xFF for i in range(500)]))
begun = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), begun) < 120:
    for part in parts:
        if not ram.check(part, 0):
            bad.append(part)
    got += some[:uart.readinto(some) or 0]
print(bad, got == bytes([(i * 37 + 5) & 0xFF for i in range(900)]), len(got))
"""


@pytest.mark.rp2040
@pytest.mark.req("SAF-07", "COM-06")
def test_what_dma_moves_is_neither_lost_nor_taken_for_a_bad_ram(uf2):
    """Bytes come and go on the debug port while the memory of its rings is tested."""
    from emu_periph import RawRepl
    from emulator import EmulatedPico
    pico = EmulatedPico(uf2)
    repl = RawRepl(pico)
    pico.run_for(4_000_000)
    repl.ask()
    assert repl.exec(_DMA_SETUP, 3000)[1] == b""
    heard = []
    pico.on_debug = lambda byte, now_us: heard.append(byte)
    for _ in range(2):
        heard.clear()
        pico.debug_feed(bytes((i * 37 + 5) & 0xFF for i in range(900)))
        assert repl.exec(_DMA_RUN, 3000) == (b"[] True 900\r\n", b"")
        assert bytes(heard) == bytes((i * 7 + 1) & 0xFF for i in range(500))
    assert pico.debug_port.errors == 0


TASKS = ("control", "pcs", "can", "debug", "parallel", "panel", "storage", "supervisor",
         "self_tests")


@pytest.mark.targets("host")
@pytest.mark.req("SAF-01", "SAF-03")
def test_every_task_that_raises_or_hangs_is_named_in_the_record(rig, target):
    rig.open(board=target)
    rig.run(3000)
    for number, task in enumerate(TASKS):
        seq = rig.events()["events"][-1]["seq"]
        rig.set(fault={"task_raise": task})
        rig.run(3500)
        new = rig.events(seq)["events"]
        errors = [(e["item"], e["value"]) for e in new if e["event"] == "task_error"]
        assert errors == [(number, 1)]
        at_ms = rig.get()["t_ms"]
        rig.set(fault={"task_hang": task})
        rig.run(13_000)
        new = rig.events(seq)["events"]
        boots = [e for e in new if e["event"] == "boot"]
        assert [e["item"] for e in boots] == [number + 1], task
        off = [t for t, signal, value in rig.trace(at_ms)["edges"]
               if signal == "fets.chg" and not value]
        assert off and off[0] - at_ms <= 2000, task     # 1 s, after at most a period of the task
        rig.run(48_000)                 # PRO-27: a fourth start without a calm minute would hold
        assert fets(rig) == [1, 1] and rig.get()["report"]["faults"] == []


@pytest.mark.req("SAF-03")
def test_what_was_raised_is_known_with_its_place_after_a_reset(rig, target):
    rig.open(board=target)
    rig.run(3000)
    assert rig.command_text("errors") == "no task ever raised"
    rig.set(fault={"task_raise": "panel"})
    rig.run(4000)
    said = rig.command_text("errors").splitlines()
    assert said[0] == "panel: 1 times"
    assert said[1].startswith("last: panel: RuntimeError: provoked at provoke.py:")
    line = int(said[1].rsplit(":", 1)[1])
    source = (FIRMWARE[0] / "tasks" / "provoke.py").read_text("utf-8").splitlines()
    assert 'RuntimeError("provoked")' in source[line - 1]
    rig.command_text("reset")
    rig.run(3000)
    assert rig.command_text("errors").splitlines() == said[1:]
