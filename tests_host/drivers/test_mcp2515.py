"""The CAN driver against the register-level model: timing, filters, errors, lost configuration."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as some
from mcp2515 import MCP2515, bit_timing
from mcp2515_model import CONFIG, EXT, NORMAL, RTR, Mcp2515Model, frame_bits


class Bench:
    """Driver and chip on one SPI bus at 4 MHz; the clock moves with the bytes."""

    def __init__(self, crystal_hz=16_000_000, start=True):
        self.now = 0
        self.chip = Mcp2515Model(0, crystal_hz)
        self.transfers = 0
        self.stuck = None       # None | level of a MISO line that hangs
        self.can = MCP2515(self, self.select, self.level, self.wait, self.ticks)
        self.wait(1000)
        if start:
            self.start()

    def start(self, filters=((0x305, 0x7FF, 0),)):
        self.can.init(500_000)
        self.can.set_filters(filters)
        self.wait(1000)

    def select(self, level):
        (self.chip.deselect if level else self.chip.select)(self.now)

    def level(self):
        return self.chip.int_level()

    def wait(self, us):
        self.now += us
        self.chip.advance(self.now)

    def ticks(self):
        self.now += 1
        return self.now & 0x3FFFFFFF

    def write(self, tx):
        self.write_readinto(tx, bytearray(len(tx)))

    def write_readinto(self, tx, rx):
        assert len(tx) == len(rx) and self.chip._selected
        self.transfers += 1
        for i in range(len(tx)):
            self.wait(2)
            answer = self.chip.shift(tx[i], self.now)
            rx[i] = answer if self.stuck is None else self.stuck

    def registers(self, at, count):
        self.select(0)
        for byte in (0x03, at):
            self.chip.shift(byte, self.now)
        values = bytes(self.chip.shift(0, self.now) for _ in range(count))
        self.select(1)
        return values

    def other(self, ident, data=b"", flags=0):
        self.chip.feed(ident, flags, data, len(data), self.now)


@pytest.fixture
def bench():
    return Bench()


# ---- bit timing ----------------------------------------------------------------------------

@pytest.mark.req("COM-02")
@pytest.mark.parametrize("crystal_mhz, kbit, sample, registers", [
    (16, 500, 75, "40ac03"), (8, 500, 75, "009101"), (16, 250, 75, "41ac03"),
    (8, 250, 75, "40ac03"), (16, 125, 75, "43ac03"), (16, 500, 81, "40ad02"),
])
def test_the_registers_of_the_document(crystal_mhz, kbit, sample, registers):
    assert bytes(bit_timing(crystal_mhz * 1_000_000, kbit * 1000, sample)).hex() == registers


@pytest.mark.req("COM-02")
@given(some.sampled_from([8, 10, 12, 16, 20, 24]),
       some.sampled_from([50, 100, 125, 250, 500, 800, 1000]), some.integers(60, 88))
def test_a_timing_is_exact_and_within_the_rules_of_the_chip(mhz, kbit, sample):
    try:
        cnf1, cnf2, cnf3 = bit_timing(mhz * 1_000_000, kbit * 1000, sample)
    except ValueError:
        assert (mhz, kbit) not in {(8, 500), (16, 500), (20, 500), (16, 1000), (8, 250)}
        return
    prop, ps1, ps2 = (cnf2 & 7) + 1, (cnf2 >> 3 & 7) + 1, (cnf3 & 7) + 1
    quanta = 1 + prop + ps1 + ps2
    assert mhz * 1_000_000 == 2 * ((cnf1 & 0x3F) + 1) * quanta * kbit * 1000
    assert 8 <= quanta <= 25 and ps2 >= 2 and prop + ps1 >= ps2 and (cnf1 >> 6) + 1 < ps2
    assert abs(100 * (quanta - ps2) / quanta - sample) < 100 / quanta + 10
    assert cnf2 & 0xC0 == 0x80 and not cnf3 & 0xC0


def test_a_rate_that_the_crystal_cannot_give_is_refused():
    with pytest.raises(ValueError, match="333333"):
        bit_timing(16_000_000, 333_333)


@pytest.mark.req("COM-02")
@pytest.mark.parametrize("mhz", [8, 12, 16, 20])
def test_the_crystal_is_measured_and_the_rate_is_right(mhz):
    bench = Bench(mhz * 1_000_000)
    assert bench.can.crystal_hz == mhz * 1_000_000
    assert bench.chip.bit_rate() == pytest.approx(500_000)
    timings = bench.can.get_timings()
    assert timings[0] == 500_000 and 70 <= 100 * (1 + timings[2]) / (1 + timings[2] + timings[3])
    assert bench.can.send(0x351, b"12345678") is not None
    bench.wait(400)
    assert len(bench.chip.sent) == 1


@pytest.mark.req("COM-02")
@pytest.mark.parametrize("mhz", [8, 10, 12, 16, 20, 24])
@pytest.mark.parametrize("idle_bits", [0, 5, 11])
def test_a_node_that_waits_before_its_first_frame_is_measured_alike(mhz, idle_bits):
    bench = Bench(mhz * 1_000_000, start=False)
    bench.chip.idle_bits = idle_bits
    bench.start()
    assert bench.can.crystal_hz == mhz * 1_000_000
    assert bench.can.send(0x351, b"12345678") is not None
    bench.wait(400)
    assert len(bench.chip.sent) == 1


def test_a_crystal_that_none_has_is_refused():
    bench = Bench(14_000_000, start=False)
    with pytest.raises(OSError) as caught:
        bench.can.init(500_000)
    assert caught.value.args[0] == errno.EIO
    assert bench.can.state() == MCP2515.STATE_STOPPED


# ---- who answers ---------------------------------------------------------------------------

@pytest.mark.req("COM-06")
@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_a_chip_that_is_not_there_is_no_chip(level):
    bench = Bench(start=False)
    bench.stuck = level
    with pytest.raises(OSError) as caught:
        bench.can.init(500_000)
    assert caught.value.args[0] == errno.ENODEV


@pytest.mark.req("COM-06")
@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_a_line_that_hangs_later_is_seen(bench, level):
    assert bench.can.state() == MCP2515.STATE_ACTIVE
    bench.stuck = level
    assert bench.can.state() == MCP2515.STATE_STOPPED
    with pytest.raises(OSError):
        bench.can.send(0x351, b"")


@pytest.mark.req("COM-02")
def test_a_reset_under_its_feet_is_seen_and_mended(bench):
    bench.chip.reset(bench.now)
    bench.wait(1000)
    assert bench.can.state() == MCP2515.STATE_STOPPED
    bench.start()
    assert bench.can.state() == MCP2515.STATE_ACTIVE
    bench.can.send(0x351, b"12")
    bench.wait(1000)
    assert [row[1:] for row in bench.chip.sent] == [[0x351, 0, b"12", 2]]


# ---- sending -------------------------------------------------------------------------------

@pytest.mark.req("COM-02")
@given(ident=some.integers(0, 0x7FF), wide=some.none() | some.integers(0, 0x1FFFFFFF),
       data=some.binary(max_size=8), remote=some.booleans())
def test_a_frame_arrives_as_it_was_sent(ident, wide, data, remote):
    bench = Bench()
    flags = 1 if remote else 0
    if wide is not None:
        ident, flags = wide, flags | 2
    bench.can.send(ident, data, flags)
    bench.wait(1000)
    wire = (EXT if wide is not None else 0) | (RTR if remote else 0)
    assert [row[1:] for row in bench.chip.sent] == [
        [ident, wire, b"" if remote else data, len(data)]]
    assert not bench.chip.ignored


def test_three_frames_go_in_the_order_they_were_queued(bench):
    idents = (0x7FF, 0x351, 0x100)
    assert [bench.can.send(ident, bytes(8)) for ident in idents] == [0, 1, 2]
    assert bench.can.get_counters()[5] >= 2
    bench.wait(2000)
    assert [row[1] for row in bench.chip.sent] == list(idents)


def test_a_full_queue_and_a_second_frame_of_one_identifier_are_refused(bench):
    bench.chip.no_ack = True
    assert bench.can.send(0x351, b"1") is not None
    assert bench.can.send(0x351, b"2") is None
    assert bench.can.send(0x351, b"3", MCP2515.FLAG_UNORDERED) is not None
    assert bench.can.send(0x355, b"4") is not None
    assert bench.can.send(0x356, b"5") is None


@pytest.mark.req("COM-02")
def test_a_frame_that_is_on_its_way_is_not_taken_back(bench):
    index = bench.can.send(0x351, bytes(8))
    asked_us = bench.now
    assert not bench.can.cancel_send(index)         # it had no time yet: 230 us on the wire
    assert bench.now - asked_us < 1000
    assert [frame[1] for frame in bench.chip.sent] == [0x351]


@pytest.mark.req("COM-02")
def test_nobody_acknowledges_the_frame_waits_and_is_taken_back(bench):
    bench.chip.no_ack = True
    bench.chip.faults_changed(bench.now)
    index = bench.can.send(0x351, bytes(8))
    bench.wait(50_000)
    assert bench.can.state() == MCP2515.STATE_PASSIVE
    assert bench.can.get_counters()[0] == 128       # error passive, and never bus-off
    assert bench.can.cancel_send(index)
    bench.wait(1000)
    assert not bench.can.cancel_send(index)
    bench.chip.no_ack = False
    bench.chip.faults_changed(bench.now)
    bench.wait(10_000)
    assert not bench.chip.sent                      # what was taken back does not come later
    bench.can.send(0x351, b"new")
    bench.wait(1000)
    assert [row[3] for row in bench.chip.sent] == [b"new"]


@pytest.mark.req("COM-02")
def test_a_frame_that_waits_leaves_as_soon_as_somebody_is_there(bench):
    bench.chip.no_ack = True
    bench.chip.faults_changed(bench.now)
    bench.can.send(0x351, bytes(8))
    bench.wait(500_000)
    bench.chip.no_ack = False
    bench.chip.faults_changed(bench.now)
    bench.wait(600)
    assert len(bench.chip.sent) == 1


@pytest.mark.req("COM-02")
def test_bus_off_is_seen_and_left(bench):
    bench.chip.destroyed = True
    bench.chip.faults_changed(bench.now)
    bench.can.send(0x351, bytes(8))
    bench.wait(4_000)
    assert bench.can.state() == MCP2515.STATE_BUS_OFF
    with pytest.raises(OSError):
        bench.can.send(0x355, b"")
    bench.chip.destroyed = False
    bench.chip.faults_changed(bench.now)
    bench.can.restart()
    bench.wait(1000)
    assert bench.can.state() == MCP2515.STATE_ACTIVE
    bench.can.send(0x356, b"again")
    bench.wait(1000)
    assert [row[1] for row in bench.chip.sent] == [0x356]


@pytest.mark.req("COM-02")
def test_bus_off_ends_by_itself_on_a_quiet_bus(bench):
    bench.chip.destroyed = True
    index = bench.can.send(0x351, bytes(8))
    bench.wait(3_000)
    bench.can.cancel_send(index)
    bench.chip.destroyed = False
    bench.wait(5_000)
    assert bench.can.state() == MCP2515.STATE_ACTIVE
    assert bench.can.get_counters()[:2] == [0, 0]


def test_entries_into_worse_states_are_counted_once_each(bench):
    bench.chip.no_ack = True
    bench.can.send(0x351, bytes(8))
    bench.wait(20_000)
    for _ in range(3):
        bench.can.state()
    assert bench.can.get_counters()[2:5] == [1, 1, 0]


# ---- receiving -----------------------------------------------------------------------------

@pytest.mark.req("COM-02")
def test_only_what_passes_the_filters_is_received(bench):
    for ident in (0x304, 0x305, 0x306, 0x705, 0x005):
        bench.other(ident, bytes((ident & 0xFF,)))
    bench.other(0x305 << 18, b"x", EXT)
    bench.wait(5000)
    got = bench.can.recv()
    assert (got[0], bytes(got[1]), got[2:]) == (0x305, b"\x05", [0, 0])
    assert bench.can.recv() is None


@pytest.mark.req("COM-02")
def test_the_data_of_a_standard_frame_is_no_part_of_its_filter(bench):
    for data in (b"", b"\xff", b"\xff\xff", bytes(8)):
        bench.other(0x305, data)
        bench.wait(1000)
        assert bytes(bench.can.recv()[1]) == data


ROWS = [((0x305, 0x7FF, 0),), ((0x305, 0x7FF, 0), (0x306, 0x7FF, 0), (0x00F, 0x7FF, 0)),
        ((0x300, 0x7F0, 0), (0x00F, 0x7FF, 0)),
        ((0x305, 0x7FF, 0), (0x305, 0x1FFFFFFF, 2)),
        tuple((0x300 + i, 0x7FF, 0) for i in range(6))]


@pytest.mark.req("COM-02")
@pytest.mark.parametrize("rows", ROWS)
def test_filters_mean_what_they_say(rows):
    bench = Bench(start=False)
    bench.start(rows)
    for ident in list(range(0x2FC, 0x314)) + [0x00E, 0x00F]:
        for wide in (False, True):
            bench.other(ident, b"", EXT if wide else 0)
            bench.wait(1000)
            wanted = any((ident ^ want) & mask == 0 and wide == (flags == 2)
                         for want, mask, flags in rows)
            got = bench.can.recv()
            assert (got is not None) == wanted, (hex(ident), wide)
            if got:
                assert got[0] == ident and got[2] == (2 if wide else 0)


def test_without_filters_everything_is_received():
    bench = Bench(start=False)
    bench.start(None)
    for ident, flags in ((0, 0), (0x7FF, 0), (0x1FFFFFFF, EXT)):
        bench.other(ident, b"!", flags)
        bench.wait(1000)
        assert bench.can.recv()[0] == ident


@pytest.mark.parametrize("rows, words", [
    ((), "1 to 6"), (((0x800, 0x7FF, 0),), "invalid id"), (((1, 0x800, 0),), "invalid id"),
    (((1, 1, 0), (2, 2, 0), (4, 4, 0)), "2 different masks"), (((1, 1, 1),), "FLAG_EXT_ID"),
    (tuple((i, 0x7FF, 0) for i in range(7)), "1 to 6"),
])
def test_filters_that_the_chip_does_not_have_are_refused(bench, rows, words):
    with pytest.raises(ValueError, match=words):
        bench.can.set_filters(rows)


@pytest.mark.req("COM-02")
def test_two_frames_are_kept_the_third_is_lost_and_told(bench):
    for i in range(3):
        bench.other(0x305, bytes((i,)))
    bench.wait(2000)
    assert bench.can.state() == MCP2515.STATE_ACTIVE
    first = bench.can.recv()
    assert (bytes(first[1]), first[3]) == (b"\x00", 3)
    second = bench.can.recv()
    assert (bytes(second[1]), second[3]) == (b"\x01", 0)
    assert bench.can.recv() is None
    assert bench.can.get_counters()[7] == 1
    bench.other(0x305, b"\x04")                     # and it goes on
    bench.wait(1000)
    assert bench.can.state() == MCP2515.STATE_ACTIVE
    assert bytes(bench.can.recv()[1]) == b"\x04"
    assert bench.can.get_counters()[7] == 1


def test_a_remote_request_has_a_length_and_no_data(bench):
    bench.chip.feed(0x305, RTR, b"", 5, bench.now)
    bench.wait(1000)
    got = bench.can.recv()
    assert (got[0], bytes(got[1]), got[2]) == (0x305, bytes(5), 1)


def test_a_list_that_is_given_is_filled(bench):
    mine = [None] * 4
    bench.other(0x305, b"abc")
    bench.wait(1000)
    assert bench.can.recv(mine) is mine and bytes(mine[1]) == b"abc"


@pytest.mark.req("COM-02")
def test_nothing_to_read_costs_no_transfer(bench):
    before = bench.transfers
    for _ in range(10):
        assert bench.can.recv() is None
    assert bench.transfers == before


def test_deinit_takes_it_off_the_bus(bench):
    bench.can.deinit()
    bench.wait(1000)
    assert bench.chip.mode() == CONFIG and bench.can.state() == MCP2515.STATE_STOPPED
    bench.start()
    assert bench.chip.mode() == NORMAL


# ---- the model itself ------------------------------------------------------------------------

@pytest.mark.parametrize("ident, flags, data, bits", [
    (0x555, 0, b"\x55" * 8, 108), (0x2A5, 0, b"\x3c", 53), (0x000, 0, b"", 51),
])
def test_the_length_of_a_frame(ident, flags, data, bits):
    assert abs(frame_bits(ident, flags, data, len(data)) - bits) <= 2


@given(some.integers(0, 0x7FF), some.binary(max_size=8))
def test_stuff_bits_are_within_the_bound_of_the_standard(ident, data):
    least = 44 + 8 * len(data)
    assert least <= frame_bits(ident, 0, data, len(data)) <= least + (33 + 8 * len(data)) // 4


def test_configuration_registers_are_locked_outside_configuration_mode(bench):
    before = bench.registers(0x28, 3)
    for at in (0x2A, 0x00, 0x20):
        bench.select(0)
        for byte in (0x02, at, 0x55):
            bench.chip.shift(byte, bench.now)
        bench.select(1)
    assert bench.chip.ignored == 3 and bench.registers(0x28, 3) == before


def test_status_registers_are_seen_in_every_row(bench):
    for row in range(8):
        assert bench.registers(16 * row + 14, 2) == b"\x00\x00"


def test_configuration_mode_waits_for_what_is_pending(bench):
    bench.chip.no_ack = True
    index = bench.can.send(0x351, bytes(8))
    bench.select(0)
    for byte in (0x02, 0x0F, 0x80):
        bench.chip.shift(byte, bench.now)
    bench.select(1)
    bench.wait(20_000)
    assert bench.chip.mode() == NORMAL
    bench.can.cancel_send(index)
    bench.wait(2_000)
    assert bench.chip.mode() == CONFIG


def test_the_lower_identifier_wins_the_bus(bench):
    bench.chip.feed(0x100, 0, bytes(8), 8, bench.now + 30)      # on the wire when it is asked
    bench.wait(40)
    bench.can.send(0x351, b"mine")
    bench.other(0x7FF, b"")
    bench.other(0x305, b"")
    bench.wait(220)
    assert not bench.chip.sent                      # 100 and 305 went first
    bench.wait(400)
    assert [row[1] for row in bench.chip.sent] == [0x351]
    assert bench.can.recv()[0] == 0x305


@pytest.mark.req("COM-02")
def test_a_wrong_bit_rate_gives_error_frames_only():
    bench = Bench(8_000_000, start=False)
    bench.can.init(500_000)
    bench.can._set_mode(0x80)
    bench.can._configure(0x40, 0xAC, 0x03)          # right for 16 MHz
    bench.can._set_mode(0x00)
    bench.can._state = 1
    bench.can.send(0x351, bytes(8))
    bench.wait(10_000)
    assert not bench.chip.sent
    assert bench.can.state() == MCP2515.STATE_BUS_OFF
