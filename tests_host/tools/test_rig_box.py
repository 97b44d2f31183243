"""The bench with a box: what is wrong with the bench is named as such, and never the board."""

import struct
import time

import pytest
import rig_box
from box_bench import Signs, bf
from packctl.errors import Unplugged
from rig import Rig, RigError
from rig_targets import TargetError

pytestmark = pytest.mark.req("HST-03")

PINS = rig_box.box_pins()
WELL = b"1 packbox e660123456"


class FakeBox:
    """A box's port: answers HELLO with *says*, tells that it is alive, and can be unplugged."""

    def __init__(self, says=WELL, noise=b""):
        self.says = says
        self.noise = noise
        self.unplugged = self.silent = self.closed = False
        self.sent = []
        self._parser = bf.Parser()
        self._out = b""
        self._begin = time.monotonic()

    def write(self, data):
        for kind, payload in self._parser.feed(data):
            self.sent.append((kind, payload))
            if kind == bf.HELLO and self.says:
                self._out += bf.framed(bf.IS, self.says)

    def read(self):
        if self.unplugged:
            raise Unplugged("the port is gone")
        time.sleep(0.002)
        out, self._out = self._out + self.noise, b""
        if self.says == WELL and not self.silent:
            us = int((time.monotonic() - self._begin) * 1e6) % (1 << 30)
            out += bf.framed(bf.ALIVE, struct.pack(bf.ALIVE_FORM, us, 0, 0, 0, 0, 0, 0))
        return b"" if self.silent else out

    def close(self):
        self.closed = True


# -- which board is it ---------------------------------------------------------------------------


@pytest.mark.parametrize(("box", "words"), [
    (FakeBox(says=b""), "no box answers at /dev/x"),
    (FakeBox(says=b"", noise=b">>> "), "is no box"),
    (FakeBox(says=b"9 packbox e6"), "firmware 9, this program needs 1"),
    (FakeBox(says=b"hello there"), "is no box"),
])
def test_a_wrong_board_or_firmware_at_the_boxs_port_is_named(box, words):
    begin = time.monotonic()
    with pytest.raises(TargetError, match="^the bench: .*" + words):
        rig_box.greet(box, "/dev/x", 0.5)
    assert time.monotonic() - begin < 5


def test_the_right_box_is_taken():
    assert rig_box.greet(FakeBox(), "/dev/x", 1) == WELL.decode()


def test_one_box_is_found_and_two_are_refused_by_their_ports():
    ports = {"/dev/a": FakeBox(says=b""), "/dev/b": FakeBox(), "/dev/c": FakeBox(noise=b"")}
    ports["/dev/c"].says = b""
    assert rig_box.only_box(ports, ports.get) == "/dev/b"
    ports["/dev/c"] = FakeBox()
    with pytest.raises(TargetError, match="2 boxes answer, at /dev/b and /dev/c"):
        rig_box.only_box(ports, ports.get)
    with pytest.raises(TargetError, match="no box answers at any serial port"):
        rig_box.only_box(["/dev/a"], ports.get)


# -- a box that goes away ------------------------------------------------------------------------


@pytest.fixture
def box():
    return FakeBox()


@pytest.fixture
def bench(box, monkeypatch):
    monkeypatch.setattr(rig_box.SerialTarget, "__init__", lambda self, port: None)
    made = rig_box.SerialBox("/dev/board", "/dev/box", {"seed": 1, "plant": {}}, lambda name: box)
    yield made
    made.close()


def until_it_says(bench, seconds=5):
    """The sentence with which the bench gives up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            bench.run(10_000, [])
        except TargetError as error:
            return str(error)
    return None


def test_time_is_the_boxs_and_the_board_was_reset(box, bench):
    bench.run(50_000, [])
    assert bench.t_us >= 50_000
    held = [payload[2] for kind, payload in box.sent if kind == bf.OUTPUTS]
    assert 1 in held and held[-1] == 0


def test_a_box_that_is_unplugged_is_named_in_time(box, bench):
    box.unplugged = True
    assert until_it_says(bench).startswith("the bench: the box at /dev/box is gone")


def test_a_box_that_says_nothing_is_named_in_time(box, bench):
    box.silent = True
    assert "the box at /dev/box says nothing any more" in until_it_says(bench)


def test_what_the_bench_cannot_do_is_refused_by_name(bench):
    for values, word in (({"rst": 1}, "rst"), ({"dip": 3}, "dip"), ({"clock": None}, "clock"),
                         ({"fault": {"flash_full": True}}, "flash_full"),
                         ({"fault": {"afe_late_ms": 3}}, "afe_late_ms"),
                         ({"fault": {"can_no_ack": True}}, "can_no_ack"),
                         ({"rs485_noise": 0.1}, "rs485_noise")):
        with pytest.raises(TargetError, match=f"^not controllable: .*{word}"):
            bench.set(values)
    with pytest.raises(TargetError, match="^not controllable: power"):
        bench.power(False)


def test_cells_and_current_are_set_and_sent(box, bench):
    bench.set({"cell_mv": {"3": 3333}, "current_ma": -20_000})
    assert bench.state()[1]["cell_mv"][3] == 3333
    currents = [int.from_bytes(p, "little", signed=True) for k, p in box.sent if k == bf.CURRENT]
    assert currents[-1] == 0 or currents[-1] < 0        # open FETs let nothing through


def test_bytes_for_a_port_go_to_the_box(box, bench):
    bench.run(10_000, [("pcs", 0, b"~20", None), ("parallel", 0, b"xy", None)])
    assert (bf.UART, b"\x00~20") in box.sent and (bf.UART, b"\x01xy") in box.sent


def test_a_stimulus_is_for_a_real_board_alone():
    with Rig() as rig, pytest.raises(RigError, match="only serial:<port> has a box"):
        rig.open("host", stimulus="/dev/box")


# -- which wire is it ----------------------------------------------------------------------------


def seen(**changes):
    """Signs of a bench that is well, with some changes."""
    signs = Signs()
    moved = 0
    for name in ("AFE_CS", "AFE_SCK", "AFE_MOSI", "AFE_BOTHOFF", "AUX_SCK"):
        moved |= 1 << PINS[name]
    signs.pins(moved, moved)
    signs.frames, signs.writes, signs.lamp_words = 2000, 400, 3
    signs.lamp_ones, signs.lamp_zeros = 0x0103, 0xFEFC
    for name, value in changes.items():
        setattr(signs, name, value)
    return signs


def still(name):
    both = seen().high & ~(1 << PINS[name])
    return {"high": both, "low": both}


@pytest.mark.parametrize(("signs", "wire"), [
    (seen(**still("AFE_CS")), "AFE_CS"),
    (seen(frames=0, writes=0), "AFE_SCK"),
    (seen(bad_frames=1999, writes=0), "AFE_MOSI"),
    (seen(writes=0), "AFE_MISO"),
    (seen(lamp_words=0), "AUX_SCK"),
    (seen(lamp_words=900), "CAN_CS"),
    (seen(lamp_ones=0), "AUX_MOSI"),
    (seen(**still("AFE_BOTHOFF")), "AFE_BOTHOFF"),
    (Signs(), "RUN"),
])
def test_a_wire_is_named_by_what_is_missing(signs, wire):
    said = signs.verdict(PINS, permitted=True)
    assert said.startswith("the bench: ") and f"{wire} (the box's GP{PINS[wire]})" in said


def test_a_bench_that_is_well_gets_no_verdict():
    assert seen().verdict(PINS, permitted=True) is None
