"""Client of the debug-port protocol: frames, schema, events, parameters."""

import os
import random
import struct
import threading
import tty

import pytest

from packctl import link

# HELLO with sequence number 1, by hand: version 1, seq 1, type 1, length 0, CRC of 01 01 01 00 00
HELLO_FRAME = bytes((0xB5, 1, 1, 1, 0, 0, 0xD9, 0xFA))


def test_crc_is_ccitt_false():
    assert link.crc16(b"123456789") == 0x29B1


def test_a_frame_has_the_bytes_of_the_specification():
    frame = link.encode(1, link.HELLO)
    assert frame == HELLO_FRAME
    assert link.encode(0x80, 3, b"\x11\x22")[:8] == b"\xb5\x01\x80\x03\x02\x00\x11\x22"


# ---- splitter -----------------------------------------------------------------------------


def joined(pieces):
    return b"".join(p if isinstance(p, bytes) else p.raw for p in pieces)


def test_splitter_separates_text_and_frames():
    stream = b"hello\r\n" + link.encode(1, 0x81, b"a=b") + b"> " + link.encode(2, 0x83)
    pieces = link.Splitter().feed(stream)
    assert [p if isinstance(p, bytes) else (p.seq, p.kind, p.payload) for p in pieces] == [
        b"hello\r\n", (1, 0x81, b"a=b"), b"> ", (2, 0x83, b"")]


def test_splitter_finds_a_frame_behind_a_false_start():
    good = link.encode(9, 0x83, b"\xb5\x01\xb5")
    for junk in (b"\xb5", b"\xb5\xb5", b"\xb5\x02", b"\xb5\x01\x00\x00\xff\xff",
                 link.encode(1, 2, b"broken")[:-1] + b"\x00"):
        splitter = link.Splitter()
        pieces = splitter.feed(junk + good)
        # A start that announces more than has come may hold the rest back, never swallow it.
        pieces += [splitter.flush()] if splitter.held else []
        assert joined(pieces) == junk + good
        if not splitter.held and len(junk) < 3:
            assert [p.seq for p in pieces if isinstance(p, link.Frame)] == [9]


def test_splitter_loses_nothing_however_the_stream_is_cut():
    rand = random.Random(4)
    for _ in range(300):
        stream = b""
        for _ in range(rand.randrange(1, 6)):
            if rand.random() < 0.5:
                stream += link.encode(rand.randrange(256), rand.randrange(256),
                                      rand.randbytes(rand.randrange(20)))
            else:
                stream += bytes(rand.choices((0xB5, 1, 0, 65, 255), k=rand.randrange(12)))
        splitter, out, at = link.Splitter(), [], 0
        while at < len(stream):
            step = rand.randrange(1, 9)
            out += splitter.feed(stream[at:at + step])
            at += step
        rest = splitter.flush()
        assert joined(out) + (rest or b"") == stream


# ---- schema -------------------------------------------------------------------------------

SCHEMA = ("state;B;1;enum:off|standby|charging;what it does\n"
          "alarms;I;1;bits:PRO-01|PRO-02;\n"
          "cell_mv;H;3;mV;cells; lowest first\n"
          "current_ma;i;1;mA;\n"
          "temp_dc;h;1;dC;\n"
          "step;b;1;;\n"
          "full;B;1;bits:a|b|c|d|e|f|g|h;")


def test_schema_decodes_numbers_words_and_bits():
    data = struct.pack("<BI3HihbB", 2, 0x80000002, 3300, 3301, 3302, -1500, 255, -3, 0xFF)
    assert link.Schema(SCHEMA).decode(data) == {
        "state": "charging", "alarms": ["PRO-02", "bit31"], "cell_mv": [3300, 3301, 3302],
        "current_ma": -1500, "temp_dc": 255, "step": -3, "full": list("abcdefgh")}


def test_no_reading_is_none_in_every_type():
    data = struct.pack("<BI3HihbB", 0xFF, 0xFFFFFFFF, 0xFFFF, 1, 0xFFFF, -2**31, -2**15, -128, 0)
    assert link.Schema(SCHEMA).decode(data) == {
        "state": None, "alarms": None, "cell_mv": [None, 1, None], "current_ma": None,
        "temp_dc": None, "step": None, "full": []}


def test_schema_refuses_what_it_cannot_read():
    with pytest.raises(link.LinkError, match="line 'nonsense'"):
        link.Schema("nonsense")
    with pytest.raises(link.LinkError, match="x;Q;1"):
        link.Schema("x;Q;1;mV;")
    with pytest.raises(link.LinkError, match="3 bytes"):
        link.Schema("x;H;1;mV;").decode(b"123")


# ---- client -------------------------------------------------------------------------------


class Pack:
    """Answers requests the way the protocol says; test material."""

    def __init__(self, events=600, inclusive=False):
        self.asked = []
        self.events = events
        self.inclusive = inclusive
        self.values = {17: 3600, 40: 5}

    def __call__(self, kind, payload):
        self.asked.append(kind)
        return getattr(self, f"on_{kind}")(payload)

    def on_1(self, _):
        return b"product=packctl\nversion=1.2\nnote=a=b"

    def on_2(self, payload):
        lines = [b"soc_cpct;H;1;cpct;", b"n;B;1;;"]
        return bytes((payload[0] + 1 if payload[0] < 1 else 0,)) + lines[payload[0]]

    def on_3(self, _):
        return struct.pack("<HHB", 7, 4321, 5)

    def on_5(self, _):
        return b"\0seq;I;1;;\nvalue;H;1;mV;"

    def on_4(self, payload):
        since, most = struct.unpack("<IB", payload)
        first = since if self.inclusive else since + 1
        rows = list(range(max(first, 1), self.events + 1))[:most]
        return bytes((len(rows),)) + b"".join(struct.pack("<IH", n, n) for n in rows)

    def on_6(self, payload):
        if payload == b"\0\0":
            return struct.pack("<H", 5) + b"17;cell_ov_trip_mv;mV;3000;4200;3600;3600;PRO-01; a;b"
        return struct.pack("<H", 0xFFFF) + b"40;delay_s;s;0;10;1;5;\n"

    def on_7(self, payload):
        number = struct.unpack("<H", payload)[0]
        return struct.pack("<Hi", number, self.values[number])

    def on_8(self, payload):
        number, value = struct.unpack("<Hi", payload)
        if value > 4200:
            raise link.Refused(8, 3, "cell_ov_trip_mv: 3000 to 4200")
        self.values[number] = value
        return payload


def test_hello_is_a_table_of_words():
    assert link.Client(Pack()).hello() == {"product": "packctl", "version": "1.2", "note": "a=b"}


def test_report_uses_the_pack_own_schema_and_asks_for_it_once():
    pack = Pack()
    client = link.Client(pack)
    for _ in range(2):
        assert client.report() == {"soc_cpct": 4321, "n": 5, "soc": 43.21}
    assert pack.asked == [3, 2, 2, 3]


def test_another_schema_number_makes_the_client_ask_again():
    pack = Pack()
    client = link.Client(pack)
    client.report()
    pack.on_3 = lambda _: struct.pack("<HHB", 8, 1, 2)
    client.report()
    assert pack.asked == [3, 2, 2, 3, 2, 2]


@pytest.mark.parametrize("inclusive", (False, True))
@pytest.mark.parametrize("count", (0, 1, 169, 170, 171, 600))
def test_events_come_complete_and_once(count, inclusive):
    records = link.Client(Pack(count, inclusive)).events(0)
    assert [r["seq"] for r in records] == list(range(1, count + 1))


def test_parameters_by_name_and_by_id():
    client = link.Client(Pack())
    assert list(client.params()) == ["cell_ov_trip_mv", "delay_s"]
    assert client.params()["cell_ov_trip_mv"].help == "PRO-01; a;b"
    assert client.get_param("cell_ov_trip_mv") == client.get_param("17") == 3600
    assert client.set_param("cell_ov_trip_mv", 3550) == 3550
    assert client.params()["cell_ov_trip_mv"].value == 3550


@pytest.mark.req("PAR-04")
def test_several_parameters_are_one_request():
    sent = []

    class Sets(Pack):
        def on_8(self, payload):
            sent.append(payload)
            return payload
    client = link.Client(Sets())
    assert client.set_params({"delay_s": 3, "cell_ov_trip_mv": 3500}) == {
        "delay_s": 3, "cell_ov_trip_mv": 3500}
    assert sent == [struct.pack("<HiHi", 40, 3, 17, 3500)]
    assert client.set_params({}) == {} and len(sent) == 1
    with pytest.raises(link.LinkError, match="32-bit"):
        client.set_params({"delay_s": 1 << 40})
    with pytest.raises(link.LinkError, match="too many"):
        client.set_params({str(n): n for n in range(90)})


def test_a_refused_set_gives_the_pack_reason():
    with pytest.raises(link.Refused, match="cell_ov_trip_mv: 3000 to 4200") as refused:
        link.Client(Pack()).set_param("cell_ov_trip_mv", 4201)
    assert (refused.value.request, refused.value.code) == (8, 3)


def test_a_misspelt_parameter_gets_a_hint():
    with pytest.raises(link.LinkError, match="did you mean cell_ov_trip_mv"):
        link.Client(Pack()).get_param("cell_ov_tripp_mv")


@pytest.mark.parametrize("kind, answer", (
    (2, b""), (2, b"\x00garbage"), (3, b"\x01"), (3, b"\x07\x00\x01"), (4, b"\x02abc"),
    (6, b"\x01"), (6, b"\x00\x00"), (6, b"\xff\xff1;x;y;z"), (7, b""),
    (7, b"\x63\x00\x00\x00\x00\x00"),
))
def test_nonsense_from_the_pack_is_a_link_error(kind, answer):
    pack = Pack()
    setattr(pack, f"on_{kind}", lambda _: answer)
    client = link.Client(pack)
    with pytest.raises(link.LinkError):
        client.schema()
        client.report()
        client.events(0)
        client.params()
        client.get_param("delay_s")


# ---- over a stream ------------------------------------------------------------------------


class LostAnswers:
    """A stream whose first *lost* requests get no answer."""

    def __init__(self, lost, reply=None):
        self.lost = lost
        self.requests = []
        self.waiting = b""
        self.reply = reply or (lambda f: link.encode(f.seq, f.kind | 0x80, b"a=1"))

    def write(self, data):
        frame, = link.Splitter().feed(data)
        self.requests.append(frame)
        if len(self.requests) > self.lost:
            self.waiting += self.reply(frame)

    def read(self, count):
        data, self.waiting = self.waiting[:count], self.waiting[count:]
        return data


def test_a_lost_answer_is_asked_for_again_with_a_new_number():
    stream = LostAnswers(2)
    client = link.Client(link.StreamExchange(stream, timeout_s=0.01))
    assert client.hello() == {"a": "1"}
    assert [f.seq for f in stream.requests] == [1, 2, 3]


def test_a_pack_that_says_nothing_is_an_error_with_advice():
    client = link.Client(link.StreamExchange(LostAnswers(99), timeout_s=0.01))
    with pytest.raises(link.LinkError, match="is the pack on"):
        client.hello()


def test_what_would_act_twice_is_not_repeated():
    stream = LostAnswers(99)
    client = link.Client(link.StreamExchange(stream, timeout_s=0.01))
    for act in (lambda: client.command("reset"), lambda: client.provoke("heap_full")):
        with pytest.raises(link.LinkError):
            act()
    assert len(stream.requests) == 2


def test_an_error_answer_carries_code_and_text():
    stream = LostAnswers(0, lambda f: link.encode(f.seq, 0xFF, bytes((f.kind, 4)) + b"locked"))
    with pytest.raises(link.Refused, match="command: locked") as refused:
        link.Client(link.StreamExchange(stream)).command("sleep")
    assert refused.value.code == 4


def test_old_answers_and_console_text_are_passed_over():
    heard = []
    stream = LostAnswers(0, lambda f: b"boot ok\r\n" + link.encode(f.seq ^ 0x40, 0x81, b"old=1")
                         + link.encode(f.seq, 0x81, b"new=1"))
    exchange = link.StreamExchange(stream, on_text=heard.append)
    assert link.Client(exchange).hello() == {"new": "1"}
    assert heard == [b"boot ok\r\n"]


def test_sequence_numbers_stay_in_their_range():
    stream = LostAnswers(0)
    client = link.Client(link.StreamExchange(stream, seqs=(0x10, 0x12)))
    for _ in range(5):
        client.hello()
    assert [f.seq for f in stream.requests] == [0x10, 0x11, 0x12, 0x10, 0x11]


def test_client_over_a_pseudo_terminal():
    master, slave = os.openpty()
    tty.setraw(slave)

    def pack():
        splitter = link.Splitter()
        while True:
            for frame in splitter.feed(os.read(master, 100)):
                if frame.kind == link.COMMAND:
                    os.write(master, link.encode(frame.seq, frame.kind | 0x80, frame.payload))
                    return
                os.write(master, link.encode(frame.seq, 0x81, b"version=3"))

    thread = threading.Thread(target=pack, daemon=True)
    thread.start()
    stream = link.open_serial(os.ttyname(slave))
    client = link.Client(link.StreamExchange(stream))
    assert client.hello()["version"] == "3"
    assert client.command("why\n\r\x03\x04") == "why\n\r\x03\x04"      # raw: nothing is eaten
    thread.join(2)
    stream.close()
    os.close(master)
    os.close(slave)
