"""The AFE's driver and the control task on chips whose answers take 20 us to 5 ms."""

import pytest
from afe_model import AfeModel
from bms.protect import second_line as afe_config
from bms.words.parameters import Parameters
from bq76952 import PARTS, BQ76952, AfeError
from plant import Plant

FRAME_US = 26
CELL_1, STACK, CURRENT = 0x14, 0x34, 0x3A
ALL_MS = (20, 53, 100, 500, 1000)


class Bus:
    """A chip on cells behind SPI; time passes by frames and pauses."""

    def __init__(self, latency_us=30, write_latency_us=None, latches=False, silent=False):
        self.plant = Plant(1)
        self.chip = AfeModel(self.plant, 1, 0.0)
        self.now = 0
        self.let(latency_us, write_latency_us, latches, silent)
        self.frames = 0
        self.log = None
        self.pass_ms(20)
        self.afe = BQ76952(self, lambda level: None, self.wait)

    def let(self, latency_us, write_latency_us=None, latches=False, silent=False):
        chip = self.chip
        chip.latency_us = latency_us
        chip.write_latency_us = latency_us if write_latency_us is None else write_latency_us
        chip.latches = latches
        chip.entry_silence_us, chip.exit_silence_us = (2000, 1000) if silent else (0, 0)
        chip.faults_changed(self.now)

    def write_readinto(self, tx, rx):
        sent = bytes(tx)
        if self.log is not None:
            self.log.append((self.now, sent))
        bits = self.chip.frame3(sent[0], sent[1], sent[2], self.now, self.now + 24)
        self.now += FRAME_US
        self.frames += 1
        for i in range(3):
            rx[i] = bits >> (16 - 8 * i) & 0xFF

    def wait(self, us):
        self.now += us

    def pass_ms(self, ms):
        self.now += ms * 1000
        self.chip.advance(self.now)

    def configure(self):
        """Returns the time on the bus, and the longest step, in us."""
        start = last = self.now
        longest = 0
        for _ in self.afe.configure(afe_config.image(Parameters(), 250)):
            longest = max(longest, self.now - last)
            last = self.now
        self.chip.set_bothoff(1, self.now)
        return self.now - start, longest

    def word(self, reg):
        value = self.afe.regs[reg] | self.afe.regs[reg + 1] << 8
        return value - 0x10000 if value & 0x8000 else value

    def check_values(self):
        _t, cells, current_ma, stack_mv, _pack, _mask = self.plant.epoch
        for k in range(16):
            assert self.word(CELL_1 + 2 * k) == pytest.approx(cells[k], abs=2)
        assert self.word(STACK) * 10 == pytest.approx(stack_mv, abs=20)
        assert self.word(CURRENT) * 10 == pytest.approx(current_ma, abs=30)

    def load(self, ma):
        self.plant.apply(self.now, load_ma=ma)
        self.chip.plant_changed(self.now)


@pytest.mark.req("MEA-06")
@pytest.mark.req("MEA-01")
@pytest.mark.parametrize("latches", (False, True))
@pytest.mark.parametrize("latency_us", ALL_MS)
def test_configured_in_a_second_and_each_scan_is_right_and_in_its_period(latency_us, latches):
    bus = Bus(latency_us, latches=latches, silent=True)
    took_us, longest_us = bus.configure()
    assert took_us < 1_000_000 and longest_us < 60_000
    bus.afe.set_fets(True, True)
    bus.pass_ms(500)                    # pre-discharge
    assert (bus.chip.chg, bus.chip.dsg) == (1, 1)
    for ma in (0, 20_000, 60_000, 0):
        bus.load(ma)
        bus.pass_ms(300)
        assert bus.afe.scan()           # the first sees the step and reads some again
        start = bus.now
        assert bus.afe.scan()
        assert bus.now - start < 95_000     # of a period of 100 ms
        bus.check_values()
    assert bus.afe.failures == 0


@pytest.mark.req("MEA-06")
@pytest.mark.parametrize("latches", (False, True))
@pytest.mark.parametrize("latency_us", (30, 300, 1000))
def test_5_ms_after_sub_commands_and_blocks_are_waited_for(latency_us, latches):
    bus = Bus(latency_us, 5000, latches, True)
    took_us, longest_us = bus.configure()
    assert took_us < 1_500_000 and longest_us < 65_000
    bus.afe.set_fets(True, False)
    bus.afe.set_balance(0x0005)
    assert (bus.chip.chg, bus.chip.dsg, bus.chip.balance) == (1, 0, 5)
    bus.afe.set_balance(0)
    bus.pass_ms(100)
    assert bus.afe.scan()
    bus.check_values()


@pytest.mark.req("MEA-06")
@pytest.mark.parametrize("latches", (False, True))
def test_5_ms_for_every_answer_is_a_clear_fault_and_no_value(latches):
    bus = Bus(5000, latches=latches)
    before = bytes(bus.afe.regs)
    with pytest.raises(AfeError, match="answers take more than"):
        bus.configure()
    assert not bus.afe.scan()
    assert bytes(bus.afe.regs) == before
    assert (bus.chip.chg, bus.chip.dsg) == (0, 0)


@pytest.mark.req("MEA-06")
@pytest.mark.parametrize("latency_us", (30, 53, 100, 500, 1000))
def test_the_pause_is_learnt_to_a_twentieth(latency_us):
    bus = Bus(latency_us)
    bus.configure()
    assert max(50, latency_us - 3) <= bus.afe.gap_us <= max(50, latency_us * 1.05 + 33)
    bus.afe.scan()
    assert bus.afe.scan() and bus.afe.rereads <= 3      # free terminals fall, values move


@pytest.mark.req("MEA-02")
@pytest.mark.parametrize("later_us", (80, 200, 500, 1000))
def test_answers_that_become_later_cost_one_scan(later_us):
    bus = Bus(30)
    bus.configure()
    assert bus.afe.scan()
    bus.let(later_us)
    bus.afe.scan()
    bus.pass_ms(30)
    assert bus.afe.scan()
    bus.check_values()
    assert bus.afe.failures <= 1


@pytest.mark.req("MEA-02")
@pytest.mark.parametrize("latency_us", (30, 500))
def test_slow_and_noisy(latency_us):
    bus = Bus(latency_us)
    bus.configure()
    bus.chip.crc_rate = 0.01
    bus.chip.faults_changed(bus.now)
    good = 0
    for _ in range(40):
        if bus.afe.scan():
            good += 1
            bus.check_values()
        bus.pass_ms(30)
    assert good >= 38


@pytest.mark.req("MEA-02")
def test_the_same_question_again_with_growing_pauses_for_20_ms():
    bus = Bus(30)
    bus.chip.silent = True
    bus.chip.faults_changed(bus.now)
    bus.log = []
    start = bus.now
    with pytest.raises(AfeError, match="0x12"):
        bus.afe.read_register(0x12)
    assert 20_000 <= bus.now - start <= 25_000
    assert {frame for _t, frame in bus.log} == {b"\x12\xff\x8e"}
    pauses = [b - a - FRAME_US for (a, _), (b, _) in zip(bus.log, bus.log[1:])]
    assert pauses[:6] == [50, 50, 100, 200, 500, 1000] and set(pauses[6:]) == {1000}


@pytest.mark.req("PWR-01")
@pytest.mark.parametrize("latches", (False, True))
@pytest.mark.parametrize("latency_us, write_us", ((30, 50), (53, 53), (500, 5000), (1000, 5000)))
def test_a_toggle_is_never_sent_twice_unseen(latency_us, write_us, latches):
    bus = Bus(latency_us, write_us, latches, True)
    toggled = []
    execute = bus.chip._execute

    def watch(command, now):
        if command == 0x0022:
            toggled.append(now)
        execute(command, now)
    bus.chip._execute = watch
    bus.configure()
    assert len(toggled) == 1 and bus.chip.fet_en


@pytest.mark.req("PWR-01")
def test_a_toggle_that_was_lost_is_sent_again_after_a_look():
    bus = Bus(30)
    lost = []
    original = bus.chip.frame3

    def lose(b0, b1, b2, now, end=0):
        if (b0, b1) == (0xBF, 0x00) and bus.chip._sub_lo == 0x22 and not lost:
            lost.append(now)
            return original(b0, b1, b2 ^ 0x10, now, end)    # reaches the chip with a wrong CRC
        return original(b0, b1, b2, now, end)
    bus.chip.frame3 = lose
    bus.configure()
    assert lost and bus.chip.fet_en


@pytest.mark.req("SAF-02")
@pytest.mark.parametrize("fault, unheld", ((None, 0), ("inverted", 0x01), ("dead", 0x01)))
@pytest.mark.parametrize("latency_us", (30, 1000))
def test_a_line_that_does_not_hold_the_fets_is_seen_by_the_charge_fet(latency_us, fault, unheld):
    bus = Bus(latency_us)
    bus.load(20_000)
    bus.configure()
    bus.chip.set_bothoff(0, bus.now)
    bus.chip.bothoff_fault = fault
    closed = []
    bus.chip.on_edge = lambda t, signal, value: closed.append((signal, t)) if value else None
    start = bus.now
    for _ in bus.afe.prove_off():
        assert bus.now - start < 60_000     # a step
        start = bus.now
    assert bus.afe.unheld == unheld
    assert (bus.chip.chg, bus.chip.dsg) == (0, 0)
    assert [signal for signal, _t in closed] == (["fets.chg"] if unheld else [])
    if fault is None:                       # both were permitted, and the line held them
        bus.chip.set_bothoff(1, bus.now)
        assert (bus.chip.chg, bus.chip.dsg) == (0, 0)


@pytest.mark.req("MEA-01")
def test_the_parts_of_a_scan_are_the_scan():
    bus = Bus(500)
    bus.configure()
    bus.afe.scan()
    assert bus.afe.slow and not Bus(100).afe.slow
    for ma in (20_000, 20_000):
        bus.load(ma)
        for part in range(PARTS):
            bus.pass_ms(3)
            start = bus.now
            bus.afe.scan_part(part)
            assert bus.now - start < 10_000
        assert bus.afe.end_scan()
    bus.pass_ms(50)
    for part in range(PARTS):
        bus.afe.scan_part(part)
    assert bus.afe.end_scan()
    bus.check_values()


@pytest.mark.req("MEA-02")
def test_a_part_that_fails_fails_the_scan():
    bus = Bus(500)
    bus.configure()
    for part in range(PARTS):
        bus.chip.stuck_low = part == 1
        bus.chip.faults_changed(bus.now)
        bus.afe.scan_part(part)
    bus.chip.stuck_low = True
    bus.chip.faults_changed(bus.now)
    assert not bus.afe.end_scan()
    assert bus.afe.failures == 1


@pytest.mark.req("MEA-02")
@pytest.mark.req("MEA-06")
@pytest.mark.parametrize("latency_us", (30, 500, 1000))
def test_a_current_around_zero_is_never_shown_as_amperes(latency_us):
    bus = Bus(latency_us)
    bus.chip = AfeModel(bus.plant, 1, 1.0)          # with its noise: samples on both sides of 0
    bus.now = 0
    bus.let(latency_us)
    bus.pass_ms(20)
    bus.configure()
    for _ in range(60):
        bus.pass_ms(20)
        assert bus.afe.scan()
        assert abs(bus.word(CURRENT)) <= 10, bus.word(CURRENT)     # 100 mA


@pytest.mark.req("MEA-02")
def test_answers_that_become_too_late_within_a_scan_end_it_in_time():
    bus = Bus(500)
    bus.configure()
    assert bus.afe.scan()
    for part in range(PARTS):
        if part == PARTS - 1:
            bus.let(5000)
        bus.afe.scan_part(part)
    start = bus.now
    assert not bus.afe.end_scan()
    assert bus.now - start < 80_000
