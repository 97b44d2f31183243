"""What the box does in the AFE's place (tools/packbox), with the firmware's own driver before it.

The line here is that of the box: a read is answered by the table in the next frame, a write is its
own echo, and after a write no read is answered until the box has served it.
"""

import pytest
import rooms

rooms.use(rooms.TOOLS / "packbox")

import box_frames as bf                                     # noqa: E402
from afe_memory import default_memory                       # noqa: E402
from box_front import LATE, MEMORY_BASE, Front              # noqa: E402
from bq76952 import BQ76952, AfeError                       # noqa: E402

SERVED_US = 500         # the box looks each half millisecond

pytestmark = pytest.mark.req("HST-03")


def crc8(*data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 7) & 0xFF if crc & 0x80 else crc << 1
    return crc


class Line:
    """The bus with a box at its end; also the computer, which answers what is asked of it."""

    def __init__(self, computer_us=4_000):
        self.now_us = 0
        self.table = [0] * 128
        self.front = Front(self._show)
        self.front.put_memory(0, bytes(default_memory()))
        self.front.answers[0x0001] = b"\x95\x76"
        self.computer_us = computer_us
        self.answers = {command: b"\x12\x34" for command in LATE}
        self._asked_us = None
        self._next = b"\xff\xff\x00"
        self._writes = []
        self._stopped = False
        self.level = 1

    def _show(self, register, value):
        self.table[register] = value

    # what the driver needs

    def __call__(self, level):
        self.level = level

    def write_readinto(self, tx, rx):
        self.now_us += 24
        answer, frame = self._next, bytes(tx)
        rx[:] = answer
        good = crc8(*frame[:2]) == frame[2]
        if frame[0] & 0x80:
            self._next = frame
            self._stopped = True
            if good:
                self._writes.append((frame[0] & 0x7F, frame[1]))
        elif self._stopped:
            self._next = b"\xff\xff\x00"
        else:
            value = self.table[frame[0]]
            self._next = bytes((frame[0], value, crc8(frame[0], value)))

    def wait(self, us):
        before, self.now_us = self.now_us, self.now_us + us
        if before // SERVED_US != self.now_us // SERVED_US:
            for register, value in self._writes:
                self.front.write(register, value)
            self._writes.clear()
            self._stopped = False
        if self.front.asked < 0:
            self._asked_us = None
        elif self._asked_us is None:
            self._asked_us = self.now_us
        elif self.now_us - self._asked_us >= self.computer_us:
            self.front.answer(self.front.asked, self.answers[self.front.asked])


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def afe(line):
    return BQ76952(line, line, line.wait)


def through(steps):
    for _ in steps:
        pass


IMAGE = ((0x9234, b"\x82\x38"), (0x9261, b"\xfc\xff\x9e"), (0x9275, b"\x30"), (0x9278, b"\x4a"))


def test_a_scan_reads_what_the_computer_has_sent(line, afe):
    for register in range(0x14, 0x34):
        line.front.image(0, register, bytes((register ^ 0x5A,)))
    assert afe.scan()
    assert [afe.regs[r] for r in range(0x14, 0x34)] == [r ^ 0x5A for r in range(0x14, 0x34)]
    assert afe.rereads == 0


def test_the_driver_configures_it_and_reads_every_row_back(line, afe):
    through(afe.configure(IMAGE))
    for address, data in IMAGE:
        at = address - MEMORY_BASE
        assert line.front.memory[at:at + len(data)] == data
    assert afe.gap_us == 50
    assert afe.read_word(0x0057) & 0x10                 # FET control is enabled


def test_an_unknown_chip_is_refused_by_the_driver(line, afe):
    line.front.answers[0x0001] = b"\x94\x76"
    with pytest.raises(AfeError, match="device number"):
        through(afe.configure(IMAGE))


@pytest.mark.parametrize("computer_us", [1_000, 8_000, 25_000])
def test_an_answer_of_the_computer_is_waited_for(computer_us):
    line = Line(computer_us)
    afe = BQ76952(line, line, line.wait)
    through(afe.configure(IMAGE))
    assert afe.signature() == 0x3412


def closed(line):
    line.front.image(line.front.turn, 0x7F, b"\x05")    # the models have both FETs closed
    return line.table[0x7F]


@pytest.fixture
def running(line, afe):
    through(afe.configure(IMAGE))
    afe.set_fets(True, True)
    assert closed(line) & 5 == 5
    return afe


@pytest.mark.parametrize(("permitted", "left"), [
    ((False, False), 0), ((True, False), 1), ((False, True), 4)])
def test_a_fet_opens_at_once_and_stays_open_until_the_models_know(line, running, permitted, left):
    before = line.front.turn
    running.set_fets(*permitted)
    assert line.table[0x7F] & 5 == left
    line.front.image(before, 0x7F, b"\x05")             # sent before they knew
    assert line.table[0x7F] & 5 == left


def test_a_fet_closes_only_when_the_models_say_so(line, running):
    running.set_fets(False, False)
    running.set_fets(True, True)
    assert line.table[0x7F] & 5 == 0
    assert closed(line) & 5 == 5


@pytest.mark.parametrize(("config", "level", "fets"), [
    (b"\xc6", 0, 0), (b"\xc6", 1, 5), (b"\x46", 0, 5), (b"\x46", 1, 0), (b"\x86", 0, 1)])
def test_the_bothoff_line_opens_by_its_polarity(line, running, config, level, fets):
    line.front.memory[0x92FB - MEMORY_BASE] = config[0]
    line.front.set_bothoff(level)
    assert closed(line) & 5 == fets


def test_bothoff_that_is_dead_or_inverted(line, running):
    line.front.memory[0x92FB - MEMORY_BASE] = 0xC6
    line.front.bothoff_works = False
    line.front.set_bothoff(0)
    assert closed(line) & 5 == 5
    line.front.bothoff_works, line.front.bothoff_inverted = True, True
    assert closed(line) & 5 == 5
    line.front.set_bothoff(1)
    assert closed(line) & 5 == 0


def test_a_measurement_is_taken_whatever_the_turn_and_a_status_is_not(line, afe):
    line.front.write(0x3E, 0x00)
    line.front.image(0, 0x12, b"\x0f")
    line.front.image(0, 0x14, b"\x77")
    assert line.table[0x12] == 0
    assert line.table[0x14] == 0x77


def test_a_wrong_checksum_commits_nothing(line):
    for register, value in ((0x3E, 0x34), (0x3F, 0x92), (0x40, 0x11), (0x60, 0x00), (0x61, 5)):
        line.front.write(register, value)
    assert line.front.memory[0x9234 - MEMORY_BASE] == 0x82


class TestComparators:
    SHORT, OVER = 0x80, 0x20

    @pytest.fixture(autouse=True)
    def rows(self, line):
        line.front.rows = ((self.OVER, 150_000, 20), (self.SHORT, 400_000, 0))
        self.front = line.front
        self.line = line

    def trips_after(self, current_ma, until_ms=60):
        self.front.set_current(current_ma)
        for ms in range(until_ms):
            if self.front.step(ms):
                return ms
        return None

    def test_a_short_circuit_trips_in_the_first_look(self):     # req: PRO-08
        assert closed(self.line) & 5 == 5
        assert self.trips_after(-400_000) == 0
        assert self.line.table[0x03] == self.SHORT
        assert self.line.table[0x7F] & 5 == 0

    def test_over_current_trips_after_its_delay(self):
        assert self.trips_after(-150_000) == 20

    def test_what_is_inside_trips_nothing(self):
        assert self.trips_after(-149_999) is None
        assert self.trips_after(400_000) is None

    def test_a_current_that_went_away_starts_anew(self):
        assert self.trips_after(-150_000, 19) is None
        self.front.set_current(0)
        self.front.step(19)
        self.front.set_current(-150_000)
        assert not self.front.step(20)

    def test_a_trip_that_the_models_never_confirm_ends(self):
        self.trips_after(-400_000)
        self.front.set_current(0)
        self.front.step(200)
        assert closed(self.line) & 5 == 5

    def test_a_confirmed_trip_is_the_models_own(self):
        self.trips_after(-400_000)
        self.front.image(self.front.turn, 0x03, bytes((self.SHORT,)))
        self.front.image(self.front.turn, 0x03, b"\x00")
        assert self.line.table[0x03] == 0


class TestMessages:
    def test_a_message_comes_through_in_pieces_and_among_noise(self):
        sent = b"\x00\xc5" + bf.framed(bf.REGISTERS, bytes(range(60))) + bf.framed(bf.HELLO)
        parser = bf.Parser()
        found = []
        for byte in sent:
            found += parser.feed(bytes((byte,)))
        assert found == [(bf.REGISTERS, bytes(range(60))), (bf.HELLO, b"")]
        assert parser.dropped == 2

    def test_a_message_with_a_wrong_sum_is_dropped(self):
        spoilt = bytearray(bf.framed(bf.HELLO, b"\x01\x02"))
        spoilt[4] ^= 0x10
        parser = bf.Parser()
        assert parser.feed(bytes(spoilt) + bf.framed(bf.HELLO)) == [(bf.HELLO, b"")]
