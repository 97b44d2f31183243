"""Every frame of vectors/rs485.txt, written down by others, through our parser and encoder."""

import pathlib

import pytest

from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import feed, put16, scan_regs
from profiles import am5000
from protocols.ascii.frame import NOTHING, OK, Parser, encode
from protocols.pcs import Pcs
from protocols.snapshot import Identity, System

LINES = [line.split(" ", 1) for line in (pathlib.Path(__file__).parent / "vectors" / "rs485.txt")
         .read_text("utf-8").splitlines() if not line.startswith("#")]
FRAMES = [frame for frame, _ in LINES]


def parsed(frame):
    parser = Parser(size=2000)
    verdicts = [parser.take(byte, 0) for byte in (frame + "\r").encode()]
    assert verdicts[:-1] == [NOTHING] * len(frame)
    return verdicts[-1], parser


def test_the_file_is_all_there():
    assert len(LINES) == len(set(FRAMES)) == 191
    assert all(len(line) == 2 and line[1] for line in LINES)


@pytest.mark.req("COM-01")
def test_each_is_parsed_and_comes_out_of_the_encoder_again():
    for frame, origin in LINES:
        verdict, parser = parsed(frame)
        assert verdict == OK, (frame, origin)
        out = bytearray(len(frame) + 1)
        end = encode(out, parser.ver, parser.adr, parser.cid1, parser.cid2, parser.info,
                     parser.info_len)
        assert out[:end].decode() == frame + "\r", origin


@pytest.mark.req("COM-06")
def test_each_with_any_one_character_changed_is_not_accepted():
    """A sum finds every change of a single character."""
    for frame in FRAMES:
        if len(frame) > 150:
            continue
        for i in range(1, len(frame)):
            for other in "05AF":
                if frame[i] != other:
                    verdict, _ = parsed(frame[:i] + other + frame[i + 1:])
                    assert verdict != OK, (frame, i, other)


# Requests that are answered with something else than 00, and why
OTHER = {
    0x99: 0x09, 0x9A: 0x09, 0x9B: 0x09, 0x9C: 0x09,             # locked (COM-07)
    0xB1: 0x09, 0xB2: 0x09,                                     # this one has no clock
    0xEC: 0x09,
    0x82: 0x04,                                                 # a console's, of one series
    0x64: 0x09, 0xE4: 0x09,
}


@pytest.mark.req("COM-01", "COM-07")
def test_each_request_is_answered_by_a_pack_of_its_address():
    """Reads with 00, writes with 09 as long as nobody has unlocked them, other groups never."""
    writes = {0xD0, 0xD2, 0xD4, 0xD6, 0xD8, 0xDA, 0xDC, 0xDE, 0xE0, 0xE2, 0xE6, 0xB5, 0xAE, 0xEE,
              0xA8}
    pack = Pack(am5000, Parameters(), 100)
    pack.afe_ready = True
    regs = scan_regs()
    put16(regs, 0x38, 1)
    pack.measurements.take(regs, 0)
    pack.step(0, True)
    identity = Identity("AM5000", (1, 2, 3), "A" * 16)
    protocol = Pcs(System(pack, identity), pack, identity)
    asked = 0
    for frame, origin in LINES:
        _, parser = parsed(frame)
        if parser.cid2 < 0x10:              # an answer
            continue
        adr, cid2 = parser.adr, parser.cid2
        before = [pack.params[row] for row in ("cell_ov_trip_mv", "pcs_baud", "limiter_enable")]
        if parser.ver == 0x25:
            pack.dip = adr
            want = 0x09 if cid2 in writes else OTHER.get(cid2, 0)
        elif adr == 1 or adr > 0x10 or parser.cid1 != 0x46:
            pack.dip = 0
            assert feed(protocol, (frame + "\r").encode()) == b"", (frame, origin)
            continue
        else:
            pack.dip = max(0, adr - 1) if adr > 2 else 0
            want = OTHER.get(cid2, 0)
        answer = feed(protocol, (frame + "\r").encode()).decode()
        assert (answer[:3], answer[3:7], answer[7:9]) == (
            "~25" if parser.ver == 0x25 else "~20", "%02X46" % adr, "%02X" % want), (frame, answer)
        assert parsed(answer[:-1])[0] == OK
        assert before == [pack.params[row] for row in ("cell_ov_trip_mv", "pcs_baud",
                                                       "limiter_enable")]
        asked += 1
    assert asked > 60 and pack.held == 0
