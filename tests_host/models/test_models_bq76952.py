"""The AFE model answers like the chip: frames, sub-commands, measurements, protections, FETs."""

import struct

import pytest
from afe_model import AfeModel, crc8
from plant import Plant

# start-up image of the hardware reference, 0.25 mOhm shunt: (address, bytes)
IMAGE = (
    (0x9234, "82 38"), (0x91A8, "55 30 f2 41"), (0x91AC, "4d c7 09 4b"),
    (0x92FB, "c6 3b 07 07 07"),
    (0x9301, "07 0f 06 ff ff"), (0x9261, "fc f7 e2"), (0x9273, "f4 01"),
    (0x9275, "35 8b 03 48 8b 03 04 04"), (0x9280, "14 77 1f 01 12 1c 04 0e"),
    (0x928A, "08 d5 03"), (0x9294, "05 03"), (0x92B2, "0a 00"), (0x9308, "2d"), (0x933A, "04"),
)


def frame(text):
    return bytes.fromhex(text)


class Bench:
    """A chip on cells, a controller that sends frames 80 us apart."""

    def __init__(self, noise=0.0, configured=True, seed=1, **plant):
        self.plant = Plant(seed, **plant)
        self.afe = AfeModel(self.plant, seed, noise)
        self.now = 0
        self.edges = []
        self.afe.on_edge = lambda t, signal, value: self.edges.append((t, signal, value))
        self.wait_ms(10)
        if configured:
            self.configure()

    def wait_ms(self, ms):
        self.now += round(ms * 1000)
        self.afe.advance(self.now)

    def send(self, data, gap_us=56):
        out = self.afe.frame3(data[0], data[1], data[2], self.now, self.now + 24)
        self.now += 24 + gap_us
        return out.to_bytes(3, "big")

    def read(self, address):
        self.send(bytes((address, 0xFF, crc8(address, 0xFF))))
        answer = self.send(frame("7f ff 92"))
        assert answer[0] == address and answer[2] == crc8(answer[0], answer[1])
        return answer[1]

    def read2(self, address):
        return self.read(address) | self.read(address + 1) << 8

    def signed(self, address):
        return struct.unpack("<h", struct.pack("<H", self.read2(address)))[0]

    def write(self, address, value):
        b0 = address | 0x80
        self.send(bytes((b0, value, crc8(b0, value))))

    def command(self, command, wait_ms=3):
        self.write(0x3E, command & 0xFF)
        self.write(0x3F, command >> 8)
        self.wait_ms(wait_ms)

    def data(self, command, count):
        self.command(command)
        assert self.read2(0x3E) == command
        return bytes([self.read(0x40 + i) for i in range(count)])

    def store(self, command, data):
        self.write(0x3E, command & 0xFF)
        self.write(0x3F, command >> 8)
        for i, value in enumerate(data):
            self.write(0x40 + i, value)
        self.write(0x60, ~(sum(data) + (command & 0xFF) + (command >> 8)) & 0xFF)
        self.write(0x61, len(data) + 4)
        self.wait_ms(0.2)

    def configure(self, *more):
        self.command(0x0090)
        for address, text in IMAGE + more:
            self.store(address, bytes.fromhex(text))
        self.command(0x0092)
        self.command(0x009A)
        if not self.data(0x0057, 1)[0] & 0x10:
            self.command(0x0022)
        self.afe.set_bothoff(1, self.now)
        self.command(0x0096)

    def fets(self):
        return self.afe.chg, self.afe.dsg

    def plant_set(self, **changes):
        self.plant.apply(self.now, **changes)
        self.afe.plant_changed(self.now)

    def cell(self, index, mv):
        self.plant.set_cell_mv(index, mv, self.now)
        self.afe.plant_changed(self.now)

    def run_talking(self, ms, step_ms=500):
        """Let time pass with the host watchdog content."""
        while ms > 0:
            self.wait_ms(min(step_ms, ms))
            ms -= step_ms
            self.read(0x12)

    def time_until(self, test, limit_ms, step_us=100):
        start = self.now
        while not test():
            assert self.now - start < limit_ms * 1000, "did not happen"
            self.now += step_us
            self.afe.advance(self.now)
        return (self.now - start) / 1000


@pytest.fixture
def bench():
    return Bench()


# -- frames --------


def test_crc_of_the_check_string():
    crc = 0
    for byte in b"123456789":
        crc = crc8(0, crc ^ byte)
    assert crc == 0xF4
    assert crc8(0xFF, 0xFF) == 0x24
    assert crc8(0, 0) == 0
    assert crc8(0x15, 0xFF) == 0xE5


def test_pipelined_read_of_cell_1(bench):
    bench.cell(0, 3312)
    bench.wait_ms(200)
    bench.send(frame("14 ff f0"))
    assert bench.send(frame("15 ff e5")) == frame("14 f0 dd")
    assert bench.send(frame("62 ff 2c")) == frame("15 0c 32")


def test_device_number_frames(bench):
    bench.send(frame("be 01 9e"))
    bench.send(frame("bf 00 8c"))
    bench.wait_ms(1)
    answers = []
    for text in ("40 ff a8", "41 ff bd", "60 ff 06", "61 ff 13", "7f ff 92"):
        answers.append(bench.send(frame(text)))
    assert answers[1:] == [frame("40 95 b9"), frame("41 76 0b"), frame("60 f3 22"),
                           frame("61 06 f2")]


@pytest.mark.parametrize("frames, address, data", [
    ("be 61 b9, bf 92 7b, c0 fc 17, e0 10 33, e1 05 4d", 0x9261, "fc"),
    ("be 80 10, bf 91 72, c0 7a 8c, c1 30 68, e0 44 98, e1 06 44", 0x9180, "7a 30"),
    ("be 86 02, bf 92 7b, c0 04 f1, c1 0e d2, e0 d5 66, e1 06 44", 0x9286, "04 0e"),
    ("be 84 0c, bf 92 7b, c0 12 93, c1 1c ac, e0 bb 6b, e1 06 44", 0x9284, "12 1c"),
    ("be 8a 26, bf 92 7b, c0 08 d5, c1 d5 dd, c2 03 ce, e0 03 4a, e1 07 43", 0x928A, "08 d5 03"),
    ("be 78 f6, bf 92 7b, c0 47 3f, c1 8b 40, c2 03 ce, e0 20 a3, e1 07 43", 0x9278, "47 8b 03"),
    ("be 75 d5, bf 92 7b, c0 35 66, c1 8b 40, c2 03 ce, e0 35 c8, e1 07 43", 0x9275, "35 8b 03"),
    ("be a8 c8, bf 91 72, c0 55 41, c1 30 68, c2 f2 17, c3 41 12, e0 0e 69, e1 08 6e",
     0x91A8, "55 30 f2 41"),
])
def test_worked_writes_reach_the_data_memory(frames, address, data):
    bench = Bench(configured=False)
    bench.command(0x0090)
    echo = None
    for text in frames.split(", "):
        answer = bench.send(frame(text))
        if echo is not None:
            assert answer == echo
        echo = frame(text)
    expected = bytes.fromhex(data)
    assert bench.data(address, len(expected)) == expected
    assert bench.read(0x61) == 0x24


def test_alarm_enable_write_is_echoed_and_kept(bench):
    bench.send(frame("e6 82 ba"))
    assert bench.send(frame("e7 f8 ce")) == frame("e6 82 ba")
    assert bench.read2(0x66) == 0xF882


@pytest.mark.parametrize("frames, mask", [
    ("be 83 19, bf 00 8c, c0 01 ea, c1 00 f8, e0 7b 25, e1 06 44", 1)])
def test_balance_frames(bench, frames, mask):
    for text in frames.split(", "):
        bench.send(frame(text))
    assert bench.afe.balance == mask
    assert bench.plant.balance == mask


def test_fet_control_frames(bench):
    for text in "be 97 75, bf 00 8c, c0 05 f6, e0 63 6d, e1 05 4d".split(", "):
        bench.send(frame(text))
    bench.wait_ms(1)
    assert bench.fets() == (0, 0)


def test_bad_crc_is_refused_and_told_in_the_next_frame(bench):
    bench.send(frame("e6 82 bb"))
    assert bench.send(frame("66 ff ") + bytes([crc8(0x66, 0xFF)])) == frame("ff ff aa")
    assert bench.read(0x66) == 0x00         # F800 is the start value: not written


def test_answer_is_not_ready_for_a_frame_that_comes_too_soon(bench):
    bench.send(frame("34 ff 5e"), gap_us=10)
    assert bench.send(frame("34 ff 5e")) == frame("ff ff 00")
    assert bench.send(frame("34 ff 5e"))[0] == 0x34


def test_an_answer_is_given_once(bench):
    afe = bench.afe
    bench.send(frame("34 ff 5e"))
    afe.select(bench.now)
    first = [afe.shift(0xFF) for _ in range(2)]
    afe.deselect(bench.now + 24)            # 16 clocks: no frame
    assert first[0] == 0x34
    bench.now += 100
    assert bench.send(frame("34 ff 5e")) == frame("ff ff 00")
    assert afe.frame_errors == 1


def test_stuck_low_line_gives_a_valid_crc_and_the_wrong_address(bench):
    bench.afe.stuck_low = True
    bench.afe.faults_changed(bench.now)
    bench.send(frame("34 ff 5e"))
    answer = bench.send(frame("34 ff 5e"))
    assert answer == bytes(3) and crc8(0, 0) == answer[2]


@pytest.mark.parametrize("name", ["silent", "stuck_high"])
def test_silent_and_stuck_high(bench, name):
    setattr(bench.afe, name, True)
    bench.afe.faults_changed(bench.now)
    assert bench.send(frame("34 ff 5e")) == b"\xff\xff\xff"
    setattr(bench.afe, name, False)
    bench.afe.faults_changed(bench.now)
    bench.send(frame("34 ff 5e"))
    assert bench.send(frame("34 ff 5e"))[0] == 0x34


def test_crc_fault_spoils_its_share_of_the_frames(bench):
    bench.afe.crc_rate = 0.2
    bench.afe.faults_changed(bench.now)
    bad = 0
    for _ in range(1000):
        answer = bench.send(frame("34 ff 5e"))
        bad += answer[2] != crc8(answer[0], answer[1])
    assert 120 < bad < 280


def test_late_answers(bench):
    bench.afe.late_us = 5000
    bench.afe.faults_changed(bench.now)
    bench.send(frame("34 ff 5e"))
    seen = []
    for _ in range(8):
        bench.wait_ms(1)
        seen.append(bench.send(frame("34 ff 5e"))[0])
    assert seen[:4] == [0xFF] * 4 and 0x34 in seen[4:6]


def test_busy_sub_command_shows_ff_and_takes_no_other(bench):
    bench.send(frame("be 90 60"))
    bench.send(frame("bf 00 8c"))
    assert bench.read(0x3E) == 0xFF
    bench.send(frame("be 01 9e"))
    assert bench.send(frame("3e ff dc")) == frame("ff ff 00")
    bench.wait_ms(2)
    assert bench.read2(0x3E) == 0x0090


def test_byte_path_and_frame_path_are_the_same():
    one, two = Bench(noise=1.0), Bench(noise=1.0)
    one.plant_set(load_ma=30_000)
    two.plant_set(load_ma=30_000)
    for k in range(3000):
        address = (k * 7) % 128
        data = bytes((address, 0xFF, crc8(address, 0xFF) ^ (k % 97 == 0)))
        a = one.send(data)
        two.afe.select(two.now)
        b = bytes([two.afe.shift(x) for x in data])
        two.afe.deselect(two.now + 24)
        two.now += 80
        assert a == b, k
        if k % 5 == 0:
            one.wait_ms(3.1)
            two.wait_ms(3.1)


# -- sub-commands, memory, state --------


def test_power_on_state():
    bench = Bench(configured=False)
    status = bench.read2(0x12)
    assert status & 0x0008 and status & 0x0300 == 0x0100
    assert bench.data(0x0057, 2) == b"\x00\x00"
    assert bench.fets() == (0, 0)
    assert bench.data(0x9261, 3) == bytes.fromhex("88 00 00")
    assert struct.unpack("<f", bench.data(0x91A8, 4))[0] == pytest.approx(7.4768)
    assert struct.unpack("<f", bench.data(0x91AC, 4))[0] == pytest.approx(2230042.5)


def test_registers_are_zero_until_their_first_slot():
    bench = Bench(configured=False)         # 10 ms after power: three cells done
    assert bench.read2(0x14) > 3000
    assert bench.read2(0x32) == 0
    bench.wait_ms(200)
    assert bench.read2(0x32) > 3000


def test_config_update_opens_the_fets_and_clears_por():
    bench = Bench()
    assert bench.fets() == (1, 1)
    assert not bench.read(0x12) & 0x08
    bench.command(0x0090)
    assert bench.read(0x12) & 0x01 and bench.fets() == (0, 0)
    bench.command(0x0092)
    assert not bench.read(0x12) & 0x01 and bench.fets() == (1, 1)


def test_wrong_checksum_is_not_committed(bench):
    bench.write(0x3E, 0x75)
    bench.write(0x3F, 0x92)
    bench.write(0x40, 60)
    bench.write(0x60, 0)
    bench.write(0x61, 5)
    assert bench.data(0x9275, 1) == b"\x35"


def test_signature_follows_the_settings(bench):
    first = struct.unpack("<H", bench.data(0x0005, 2))[0]
    assert first & 0x8000                   # 0x91E0 not set
    bench.command(0x0090)
    bench.store(0x91E0, struct.pack("<H", first & 0x7FFF))
    bench.command(0x0092)
    assert struct.unpack("<H", bench.data(0x0005, 2))[0] == first & 0x7FFF
    bench.command(0x0090)
    bench.store(0x9275, b"\x36")
    bench.command(0x0092)
    assert struct.unpack("<H", bench.data(0x0005, 2))[0] not in (first, first & 0x7FFF)


def test_brownout_loses_everything_and_says_so(bench):
    bench.command(0x0082)
    bench.afe.brownout(bench.now)
    assert bench.fets() == (0, 0)
    bench.wait_ms(10)
    assert bench.read(0x12) & 0x08
    assert bench.data(0x0057, 1) == b"\x00"
    assert bench.data(0x9308, 1) == b"\x0d"


def test_lost_configuration_does_not_say_so(bench):
    bench.afe.lose_config(bench.now)
    bench.wait_ms(1)
    assert not bench.read(0x12) & 0x08
    assert bench.data(0x9303, 1) == b"\x05"
    assert bench.fets() == (1, 1)
    bench.afe.set_bothoff(0, bench.now)     # the pin is no BOTHOFF any more
    assert bench.fets() == (1, 1)


def test_reset_command(bench):
    bench.command(0x0012, wait_ms=1)
    assert bench.send(frame("12 ff 8e")) == b"\xff\xff\xff"
    bench.wait_ms(70)
    assert bench.read(0x12) & 0x08 and bench.fets() == (0, 0)


def test_sealed_chip_hides_its_memory_until_the_keys_come(bench):
    bench.command(0x0030)
    assert bench.read(0x13) & 3 == 3
    bench.store(0x9275, b"\x20")
    bench.store(0x0035, bytes.fromhex("14 04 72 36"))
    assert bench.read(0x13) & 3 == 2
    assert bench.data(0x9275, 1) == b"\x35"
    bench.store(0x0035, b"\xff\xff\xff\xff")
    assert bench.read(0x13) & 3 == 1


def test_fet_enable_toggles():
    bench = Bench()
    bench.command(0x0022)
    assert bench.fets() == (0, 0)
    bench.command(0x001F)
    assert bench.fets() == (1, 0)           # FET test mode follows its toggles
    bench.command(0x0022)
    assert bench.fets() == (1, 1)


def test_deepsleep_and_its_end(bench):
    bench.command(0x000F)
    assert bench.fets() == (1, 1)
    bench.command(0x000F)
    assert bench.fets() == (0, 0) and bench.read(0x00) & 0x04
    bench.command(0x000E)
    bench.wait_ms(300)
    assert bench.fets() == (1, 1) and not bench.read(0x00) & 0x04


def test_shutdown_is_silent_until_a_charger_comes(bench):
    bench.command(0x0010)
    assert bench.send(frame("12 ff 8e")) == b"\xff\xff\xff"
    bench.wait_ms(2000)
    assert bench.send(frame("12 ff 8e")) == b"\xff\xff\xff"
    bench.plant_set(charger_mv=54000, charger_ma=1000)
    bench.wait_ms(400)
    assert bench.read(0x12) & 0x08          # power-on reset


def test_sleep_stops_the_oscillator_and_a_load_wakes_it(bench):
    bench.command(0x0099)
    bench.run_talking(15_000)
    assert bench.read(0x13) & 0x80
    assert bench.fets() == (0, 1)           # SLEEPCHG is off
    bench.wait_ms(1500)
    assert bench.send(frame("12 ff 8e")) == b"\xff\xff\xff"
    assert bench.read(0x13) & 0x80          # awake for the bus, asleep as ever
    bench.plant_set(load_ma=5000)
    bench.wait_ms(1)
    assert not bench.read(0x13) & 0x80
    assert bench.fets() == (1, 1)


# -- measurement --------


def test_cells_stack_and_current_within_a_unit_without_noise(bench):
    bench.plant_set(load_ma=20_000)
    bench.wait_ms(400)
    cells = bench.plant.epoch[1]
    for k in range(16):
        assert abs(bench.read2(0x14 + 2 * k) - cells[k]) <= 1.0
    assert abs(bench.read2(0x34) * 10 - sum(cells)) <= 10
    assert abs(bench.read2(0x36) * 10 - bench.plant.pack_mv) <= 10
    assert bench.signed(0x3A) == -2000


def test_default_errors_are_small_and_seeded():
    readings = []
    for seed in (1, 1, 2):
        bench = Bench(noise=1.0, seed=seed)
        bench.plant_set(load_ma=50_000)
        bench.wait_ms(400)
        cells = bench.plant.epoch[1]
        shown = [bench.read2(0x14 + 2 * k) for k in range(16)]
        assert max(abs(a - b) for a, b in zip(shown, cells)) < 4
        shown.append(bench.signed(0x3A))
        assert abs(shown[-1] + 5000) < 10
        readings.append(shown)
    assert readings[0] == readings[1] != readings[2]


def test_a_register_holds_the_value_of_its_own_slot(bench):
    bench.wait_ms(100)
    loop_us = 21 * 3000
    start = bench.now
    bench.cell(5, 3000)
    seen = None
    while bench.now - start < 2 * loop_us:
        if bench.read2(0x14 + 10) == 3000:
            seen = bench.now - start
            break
    assert seen is not None and seen <= loop_us + 400
    bench.cell(5, 3100)
    assert bench.read2(0x14 + 10) == 3000   # next slot is a loop away
    bench.wait_ms(63)
    assert bench.read2(0x14 + 10) == 3100


def test_loop_length_follows_the_thermistors(bench):
    assert bench.afe.cfg.loop_us == 63_000     # six pins, three a loop
    bench.command(0x0090)
    bench.store(0x92FB, b"\x00\x00\x00\x00\x00")
    bench.store(0x9301, b"\x00\x00")
    bench.command(0x0092)
    assert bench.afe.cfg.loop_us == 54_000
    bench.wait_ms(400)
    assert bench.read2(0x70) == 0


def test_temperatures(bench):
    for group in range(4):
        bench.plant.set_group_dc(group, 100 * group - 50, bench.now)
    bench.plant.set_mos_dc(650, bench.now)
    bench.plant.set_ambient_dc(250, bench.now)
    bench.wait_ms(500)
    for k, register in enumerate((0x70, 0x72, 0x74, 0x78)):
        assert abs(bench.read2(register) - (100 * k - 50 + 2731.5)) <= 2
    assert abs(bench.read2(0x7A) - (650 + 2731.5)) <= 2
    assert abs(bench.read2(0x6E) - 0.3571 * 0.6 * 32768) <= 3     # raw: ratio of 10k to 28k


@pytest.mark.parametrize("fault, low, high", [("ntc_open", 0, 2200), ("ntc_short", 5000, 9000)])
def test_broken_thermistor(bench, fault, low, high):
    setattr(bench.afe, fault, 1)
    bench.afe.faults_changed(bench.now)
    bench.wait_ms(500)
    assert low < bench.read2(0x72) < high
    assert abs(bench.read2(0x70) - 2981) <= 2


def test_units_follow_the_da_configuration(bench):
    bench.plant_set(load_ma=20_000)
    for byte, per_ma, per_mv in ((5, 1, 10), (4, 10, 10), (6, 0.1, 10), (3, 0.01, 1)):
        bench.command(0x0090)
        bench.store(0x9303, bytes([byte]))
        bench.command(0x0092)
        bench.command(0x0096)
        bench.wait_ms(400)
        expected = max(-32768, -20_000 * per_ma)
        assert abs(bench.signed(0x3A) - expected) <= 1
        stack = min(32767, sum(bench.plant.epoch[1]) / per_mv)
        assert abs(bench.read2(0x34) - stack) <= 1


def test_wrong_gain_gives_a_wrong_current(bench):
    bench.plant_set(load_ma=20_000)
    bench.command(0x0090)
    bench.store(0x91A8, struct.pack("<f", 7.4768))
    bench.command(0x0092)
    bench.wait_ms(100)
    assert abs(bench.signed(0x3A) + 2000 * 7.4768 / 30.2736) <= 1


def test_current_register_saturates(bench):
    bench.store(0x9261, b"\x00")
    bench.plant_set(force_ma=-100_000)
    bench.afe.shunt_gain = 5.0
    bench.afe.faults_changed(bench.now)
    bench.wait_ms(4)
    assert bench.signed(0x3A) == -32768


@pytest.mark.parametrize("fault, value, expected", [
    ("shunt_gain", 0.5, -1000), ("shunt_offset_ma", 5000, -1500), ("shunt_sign", -1, 2000)])
def test_shunt_faults(bench, fault, value, expected):
    bench.plant_set(load_ma=20_000)
    setattr(bench.afe, fault, value)
    bench.afe.faults_changed(bench.now)
    bench.wait_ms(10)
    assert bench.signed(0x3A) == expected


def test_unused_cells_read_zero(bench):
    bench.command(0x0090)
    bench.store(0x9304, b"\xff\x3f")        # the top input is used whatever is written
    bench.command(0x0092)
    bench.wait_ms(200)
    assert bench.read2(0x30) == 0 and bench.read2(0x2E) > 3000 and bench.read2(0x32) > 3000


def test_charge_integrator(bench):
    bench.command(0x0082)
    assert struct.unpack("<iI", bench.data(0x0076, 8)) == (0, 0x80000000)
    bench.plant_set(load_ma=36_000)
    bench.run_talking(100_000)
    units, fraction, seconds = struct.unpack("<iII", bench.data(0x0076, 12))
    charge_mah = (units + fraction / 2**32 - 0.5) * 10
    assert charge_mah == pytest.approx(-1000, rel=0.01)
    assert 99 <= seconds <= 101
    assert units < 0                        # the fraction is always added


def test_dastatus5(bench):
    bench.plant_set(load_ma=20_000)
    bench.wait_ms(1500)
    data = bench.data(0x0075, 32)
    cells = bench.plant.epoch[1]
    high, low, total = struct.unpack_from("<HHH", data, 4)
    assert abs(high - max(cells)) <= 1 and abs(low - min(cells)) <= 1
    assert abs(total * 10 - sum(cells)) < 20
    assert struct.unpack_from("<hh", data, 20) == (-2000, -2000)
    assert struct.unpack_from("<i", data, 24)[0] * 29.56e-9 == pytest.approx(-5e-3, rel=0.01)


def test_frozen_registers_and_live_comparators(bench):
    bench.wait_ms(200)
    bench.afe.freeze(True, bench.now)
    before = [bench.read2(a) for a in range(0x14, 0x3C, 2)]
    bench.plant_set(load_ma=80_000)
    bench.run_talking(2000)
    assert [bench.read2(a) for a in range(0x14, 0x3C, 2)] == before
    bench.plant_set(shorted=True)
    bench.wait_ms(0.3)
    assert bench.fets() == (0, 0)
    bench.afe.freeze(False, bench.now)
    bench.wait_ms(200)
    assert [bench.read2(a) for a in range(0x14, 0x3C, 2)] != before


def test_open_sense_wire_is_pulled_down_by_the_check(bench):
    bench.afe.open_wire = 4
    bench.afe.faults_changed(bench.now)
    bench.run_talking(12_000)
    low, high = bench.read2(0x14 + 6), bench.read2(0x14 + 8)
    assert low < 2000 and high > 4500
    assert abs(low + high - sum(bench.plant.epoch[1][3:5])) < 3
    assert bench.read(0x03) & 0x0C == 0x0C  # the chip's own under- and over-voltage


@pytest.mark.parametrize("wire, cell", [(0, 0), (16, 15)])
def test_open_end_wire_reads_towards_zero(bench, wire, cell):
    bench.afe.open_wire = wire
    bench.afe.faults_changed(bench.now)
    bench.run_talking(15_000)
    assert bench.read2(0x14 + 2 * cell) < 500


def test_swapped_cells(bench):
    bench.cell(2, 3200)
    bench.cell(9, 3400)
    bench.afe.swapped = (2, 9)
    bench.afe.faults_changed(bench.now)
    bench.wait_ms(100)
    assert (bench.read2(0x14 + 4), bench.read2(0x14 + 18)) == (3400, 3200)


def test_bled_cells_read_low_and_their_neighbours_high(bench):
    bench.wait_ms(100)
    rest = [bench.read2(0x14 + 2 * k) for k in range(16)]
    bench.store(0x0083, b"\x20\x00")
    bench.wait_ms(100)
    bled = [bench.read2(0x14 + 2 * k) for k in range(16)]
    change = [b - a for a, b in zip(rest, bled)]
    assert change[5] < -15 and change[4] > 8 and change[6] > 8 and abs(change[8]) <= 1
    assert bench.data(0x0083, 2) == b"\x20\x00"
    bench.store(0x0083, b"\x00\x00")
    bench.wait_ms(70)
    assert abs(bench.read2(0x14 + 10) - rest[5]) <= 1


def test_scan_flags_come_again_each_loop(bench):
    bench.write(0x66, 0x82)
    bench.write(0x67, 0xF8)
    bench.wait_ms(200)
    assert bench.read(0x62) & 0x82 == 0x82
    bench.write(0x62, 0x82)
    assert bench.read(0x62) & 0x82 == 0
    bench.wait_ms(63)
    assert bench.read(0x62) & 0x02
    bench.wait_ms(127)
    assert bench.read(0x62) & 0x82 == 0x82


# -- protections --------


@pytest.mark.parametrize("current_ma, trips", [(-319_000, False), (-321_000, True)])
def test_short_circuit_threshold(current_ma, trips):
    bench = Bench()
    bench.store(0x9261, b"\x8c")            # short circuit without the slower over-currents
    bench.plant_set(force_ma=current_ma)
    bench.wait_ms(0.3)
    assert (bench.fets() == (0, 0)) == trips


def test_short_circuit_opens_both_fets_in_time_with_nobody_talking(bench):
    start = bench.now
    bench.plant_set(shorted=True)
    assert bench.plant.current_ma < -1_000_000
    bench.edges.clear()
    bench.afe.advance(bench.afe.next_us)
    (t1, s1, v1), (t2, s2, v2) = bench.edges
    assert (s1, v1, s2, v2) == ("fets.chg", 0, "fets.dsg", 0)
    assert 195 <= t1 - start <= 300 and t1 == t2
    assert bench.plant.current_ma == 0
    assert bench.read(0x03) == 0x80 and bench.read(0x13) & 0x08


def test_short_circuit_is_tried_again_and_latches(bench):
    bench.plant_set(shorted=True)
    bench.run_talking(30_000)
    assert bench.read(0x07) & 0x40          # three times
    assert len([e for e in bench.edges if e[1:] == ("fets.dsg", 0)]) == 3
    bench.plant_set(shorted=False)
    bench.run_talking(10_000)
    assert bench.fets() == (0, 0)
    bench.command(0x009C)
    assert bench.fets() == (1, 1)


@pytest.mark.parametrize("current_ma, bit, delay_ms", [
    (-146_000, 6, 99.0), (-250_000, 5, 9.9), (162_000, 4, 399.3)])
def test_over_current_tiers(bench, current_ma, bit, delay_ms):
    bench.plant_set(force_ma=current_ma)
    fet = 0 if current_ma > 0 else 1
    took = bench.time_until(lambda: not bench.fets()[fet], 500)
    assert delay_ms <= took <= delay_ms + 3.4
    assert bench.read(0x03) >> bit & 1
    assert bench.fets()[1 - fet] == 1


def test_over_current_that_ends_in_time_only_alerts(bench):
    bench.plant_set(force_ma=-146_000)
    bench.wait_ms(90)
    assert bench.read(0x02) == 0x40 and bench.read(0x03) == 0
    bench.plant_set(force_ma=0)
    bench.wait_ms(50)
    assert bench.read(0x02) == 0 and bench.fets() == (1, 1)


@pytest.mark.parametrize("mv, fet, bit", [(3644, 0, 3), (2681, 1, 2)])
def test_cell_voltage_limits_and_delay(bench, mv, fet, bit):
    bench.cell(7, mv)
    took = bench.time_until(lambda: not bench.fets()[fet], 4000, 500)
    assert 2999.7 <= took <= 3003.6
    assert bench.read(0x03) == 1 << bit
    assert bench.fets()[1 - fet] == 1
    snapshot = bench.data(0x0080 + bit - 2, 32)
    assert struct.unpack_from("<H", snapshot, 14)[0] == mv


@pytest.mark.parametrize("mv", [3643, 2682])
def test_cell_voltages_within_the_limits(bench, mv):
    bench.cell(7, mv)
    bench.run_talking(5000)
    assert bench.fets() == (1, 1) and bench.read(0x02) == 0


def test_cell_voltage_recovery(bench):
    bench.cell(7, 3700)
    bench.run_talking(4000)
    assert bench.fets() == (0, 1)
    bench.cell(7, 3450)                     # 72 * 50.6 - 4 * 50.6 = 3440.8
    bench.run_talking(4000)
    assert bench.fets() == (0, 1)
    bench.cell(7, 3440)
    bench.run_talking(2500)
    assert bench.fets() == (0, 1)
    bench.run_talking(1000)
    assert bench.fets() == (1, 1) and bench.read(0x03) == 0


def test_ocd3_is_slow_and_stays(bench):
    bench.plant_set(force_ma=-112_000)
    took = bench.time_until(lambda: not bench.fets()[1], 5000, 1000)
    assert 3000 <= took <= 4300
    assert bench.read(0x07) & 0x80
    bench.run_talking(5000)
    assert bench.fets()[1] == 0             # needs a charger
    bench.plant_set(force_ma=1000)
    bench.run_talking(6000)
    assert bench.fets() == (1, 1)


@pytest.mark.parametrize("dc, fet, status", [(561, 0, 0x10), (610, 1, 0x30), (-10, 0, 0x03)])
def test_temperature_protections(bench, dc, fet, status):
    bench.plant.set_group_dc(2, dc, bench.now)
    bench.run_talking(6000)
    assert bench.read(0x05) == status
    assert bench.fets()[fet] == 0
    bench.plant.set_group_dc(2, 250, bench.now)
    bench.run_talking(6000)
    assert bench.read(0x05) == 0 and bench.fets() == (1, 1)


def test_host_watchdog(bench):
    bench.run_talking(12_000)
    assert bench.fets() == (1, 1)
    bench.wait_ms(9_900)
    assert bench.fets() == (1, 1)
    bench.wait_ms(200)
    assert bench.fets() == (0, 0)
    assert bench.afe.status_c & 0x02
    bench.read(0x12)
    assert bench.fets() == (1, 1)


def test_bad_frames_do_not_feed_the_watchdog(bench):
    for _ in range(25):
        bench.wait_ms(450)
        bench.send(frame("12 ff 8f"))
    assert bench.fets() == (0, 0)


def test_safety_status_sets_ss_and_the_alarm(bench):
    bench.write(0x63, 0xFF)
    bench.plant_set(shorted=True)
    bench.wait_ms(1)
    assert bench.read(0x13) & 0x08
    assert bench.read(0x63) & 0x40
    assert bench.read(0x65) & 0x40
    assert bench.read(0x7F) & 0x40          # the ALERT pin's level


# -- FETs --------


def test_host_off_and_on(bench):
    for command, fets in ((0x93, (1, 0)), (0x96, (1, 1)), (0x94, (0, 1)), (0x95, (0, 0)),
                          (0x96, (1, 1))):
        bench.command(command)
        assert bench.fets() == fets
        assert bench.read(0x7F) & 0x05 == fets[0] | fets[1] << 2


@pytest.mark.parametrize("byte, levels", [
    (0xC6, {0: (0, 0), 1: (1, 1)}), (0x42, {0: (1, 1), 1: (0, 0)}),
    (0x82, {0: (1, 0), 1: (1, 1)}), (0x00, {0: (1, 1), 1: (1, 1)})])
def test_bothoff_pin_by_configuration(bench, byte, levels):
    bench.command(0x0090)
    bench.store(0x92FB, bytes([byte]))
    bench.command(0x0092)
    for level in (0, 1, 0, 1):
        bench.afe.set_bothoff(level, bench.now)
        assert bench.fets() == levels[level]


def test_body_diode_override(bench):
    bench.command(0x0094)
    assert bench.fets() == (0, 1)
    bench.plant_set(load_ma=10_000)
    bench.wait_ms(10)
    assert bench.fets() == (1, 1)           # its diode would burn
    bench.plant_set(load_ma=None)
    bench.wait_ms(10)
    assert bench.fets() == (0, 1)
    bench.plant_set(load_ma=400)            # below 500 mA
    bench.wait_ms(500)
    assert bench.fets() == (0, 1)


def test_no_override_in_parallel_mode(bench):
    bench.command(0x0090)
    bench.store(0x9308, b"\x2c")
    bench.command(0x0092)
    bench.command(0x0094)
    bench.plant_set(load_ma=10_000)
    bench.run_talking(1000)
    assert bench.fets() == (0, 1)
    assert bench.plant.current_ma == -10_000


def test_slow_turn_off_with_other_protection_masks(bench):
    bench.command(0x0090)
    bench.store(0x9269, b"\xe0")            # not one of the two fast settings
    bench.command(0x0092)
    bench.wait_ms(73)
    bench.plant_set(force_ma=-250_000)
    took = bench.time_until(lambda: not bench.fets()[1], 600)
    assert 9.9 < took <= 270


# -- balancing --------


def test_neighbours_are_not_refused_from_the_host(bench):
    bench.store(0x0083, b"\x03\x00")
    assert bench.afe.balance == 3


def test_balancing_ends_if_not_refreshed_and_in_config_update(bench):
    bench.store(0x0083, b"\x01\x00")
    bench.run_talking(15_000)
    assert bench.afe.balance == 1
    bench.store(0x0083, b"\x01\x00")
    bench.run_talking(15_000)
    assert bench.afe.balance == 1
    bench.run_talking(8_000)
    assert bench.afe.balance == 0
    bench.store(0x0083, b"\x01\x00")
    bench.command(0x0090)
    assert bench.afe.balance == 0


def test_balance_times_are_counted(bench):
    bench.store(0x0083, b"\x00\x02")
    bench.run_talking(5000)
    assert 4 <= struct.unpack("<H", bench.data(0x0085, 2))[0] <= 6
    assert 4 <= struct.unpack("<8I", bench.data(0x0087, 32))[1] <= 6


def test_balancing_by_level_avoids_neighbours_and_keeps_the_maximum(bench):
    for k, mv in ((1, 3500), (2, 3510), (3, 3490), (6, 3480), (9, 3470), (11, 3475), (14, 3472)):
        bench.cell(k, mv)
    bench.wait_ms(100)
    bench.store(0x0084, struct.pack("<H", 3450))
    assert bench.afe.balance == 1 << 2 | 1 << 6 | 1 << 11 | 1 << 14


def test_balancing_bleeds_the_cell(bench):
    bench.store(0x0083, b"\x10\x00")
    before = bench.plant.cell_soc()
    for _ in range(60):
        bench.run_talking(15_000, 5000)
        bench.store(0x0083, b"\x10\x00")
    lost = [(a - b) * c for a, b, c in zip(before, bench.plant.cell_soc(), bench.plant.cap_mah)]
    hours = 900 / 3600
    assert lost[4] == pytest.approx((48 + 3.5) * hours, rel=0.05)
    assert lost[5] < 6 * hours


# -- what silicon may differ in --------


@pytest.mark.req("MEA-06")
@pytest.mark.parametrize("latches", (False, True))
@pytest.mark.parametrize("latency_us", (20, 53, 100, 500, 1000, 5000))
def test_an_answer_is_ready_after_the_latency(bench, latency_us, latches):
    bench.afe.fault_latency_us = latency_us
    bench.afe.latches = latches
    bench.afe.faults_changed(bench.now)
    question = frame("34 ff 5e")
    bench.now += 10_000
    bench.send(question, 0)
    start, answers = bench.now, []
    while not answers or answers[-1] == b"\xff\xff\x00":
        bench.now += 10
        at = bench.now
        answers.append(bench.send(question, 0))
        assert answers[-1][0] in (0x34, 0xFF)
    assert latency_us <= at - start <= latency_us + 34
    assert set(answers[:-1]) <= {b"\xff\xff\x00"}


def test_a_frame_that_comes_while_the_chip_is_busy_is_lost_or_waits(bench):
    for latches in (False, True):
        bench.afe.fault_latency_us = 300
        bench.afe.latches = latches
        bench.afe.faults_changed(bench.now)
        bench.now += 10_000
        bench.send(frame("34 ff 5e"))
        bench.send(frame("35 ff 4b"))       # 80 us later: still busy
        bench.now += 700
        assert bench.send(frame("7f ff 92"))[0] == (0x35 if latches else 0x34)


def test_sub_commands_and_blocks_take_longer_and_cfgupdate_is_silent(bench):
    bench.afe.write_latency_us = 3000
    bench.afe.entry_silence_us = 2000
    bench.afe.exit_silence_us = 1000
    for write_us, number, least_us in ((3000, 0x0095, 3000), (30, 0x0090, 2000),
                                       (30, 0x0092, 1000)):
        bench.afe.write_latency_us = write_us
        bench.write(0x3E, number & 0xFF)
        bench.now += 10_000
        bench.write(0x3F, number >> 8)
        start = bench.now
        while bench.send(frame("3f ff c9"))[0] == 0xFF:
            pass
        assert least_us <= bench.now - start <= least_us + 200


def test_gains_of_stack_terminals_cells_and_current(bench):
    bench.plant_set(force_ma=-20_000.0)
    bench.afe.stack_gain, bench.afe.pack_gain, bench.afe.ld_gain = 1.02, 0.98, 1.01
    bench.afe.cell_gain[3] = 1.001
    bench.afe.cell_error_mv[4] = -9.0
    bench.afe.current_gain = 1.015
    bench.afe.faults_changed(bench.now)
    bench.wait_ms(700)
    _t, cells, _i, stack, pack, _mask = bench.plant.epoch
    assert bench.signed(0x34) * 10 == pytest.approx(stack * 1.02, abs=20)
    assert bench.signed(0x36) * 10 == pytest.approx(pack * 0.98, abs=20)
    assert bench.signed(0x38) * 10 == pytest.approx(pack * 1.01, abs=20)
    assert bench.signed(0x14 + 6) == pytest.approx(cells[3] * 1.001, abs=1)
    assert bench.signed(0x14 + 8) == pytest.approx(cells[4] - 9, abs=1)
    assert bench.signed(0x3A) == pytest.approx(-2030, abs=2)


def test_the_reference_is_common_to_all_voltages(bench):
    bench.afe.reference = 1.01
    bench.afe.faults_changed(bench.now)
    bench.wait_ms(700)
    cells, stack = bench.plant.epoch[1], bench.plant.epoch[3]
    assert bench.signed(0x14) == pytest.approx(cells[0] * 1.01, abs=1)
    assert bench.signed(0x34) * 10 == pytest.approx(stack * 1.01, abs=20)
    assert bench.read2(0x70) == pytest.approx(2982, abs=2)     # thermistors are ratiometric


@pytest.mark.parametrize("part, word", (("cells", 0x14), ("stack", 0x34), ("terminals", 0x36),
                                        ("current", 0x3A), ("temps", 0x70)))
def test_a_part_stands_still_alone(bench, part, word):
    words = {"cells": 0x14, "stack": 0x34, "terminals": 0x36, "current": 0x3A, "temps": 0x70}
    bench.wait_ms(700)
    before = {name: bench.read2(address) for name, address in words.items()}
    bench.afe.freeze_parts([part], bench.now)
    for group in range(4):
        bench.plant.set_group_dc(group, 300, bench.now)
    bench.plant_set(force_ma=-80_000.0)
    bench.run_talking(2000)
    for name, address in words.items():
        assert (bench.read2(address) == before[name]) == (name == part), name
    bench.afe.freeze_parts([], bench.now)
    bench.run_talking(2000)
    assert bench.read2(word) != before[part]


def test_a_stuck_current_and_a_stuck_thermistor(bench):
    bench.plant_set(force_ma=-20_000.0)
    bench.afe.shunt_stuck_ma = 3000.0
    bench.afe.ntc_stuck = {1: 400}
    bench.afe.faults_changed(bench.now)
    bench.run_talking(1000)
    assert bench.signed(0x3A) == 300
    assert bench.read2(0x72) == pytest.approx(3131, abs=1)
    assert bench.read2(0x70) == pytest.approx(2982, abs=2)


def test_raw_counts_of_the_current_have_noise_unless_it_stands_still(bench):
    def look():
        bench.wait_ms(100)
        return int.from_bytes(bench.data(0x0075, 32)[24:28], "little", signed=True)

    bench.plant_set(force_ma=-20_000.0)
    before = look()
    assert before == pytest.approx(-20_000 * 0.25 / 0.02956, rel=0.02)      # 250 uOhm
    after = look()
    assert before != after and abs(after - before) < 500
    bench.afe.freeze_parts(["current"], bench.now)
    before = look()
    assert look() == before
    bench.afe.freeze_parts([], bench.now)
    assert look() != before
    bench.afe.shunt_stuck_ma = 3000.0
    bench.afe.faults_changed(bench.now)
    assert look() == look() == pytest.approx(3000 * 0.25 / 0.02956, rel=0.001)


def test_raw_counts_of_thermistors_have_noise_unless_they_stand_still(bench):
    """Three a sub-command; the noise is the converter's, and a stuck thermistor has it too."""
    def look():
        bench.wait_ms(400)
        found = []
        for command, places in ((0x0076, (20, 24, 28)), (0x0077, (0, 8, 12))):
            data = bench.data(command, 32 if command == 0x0076 else 16)
            found += [int.from_bytes(data[at:at + 4], "little") for at in places]
        return found

    bench.afe.ntc_stuck = {4: 250}
    before = look()
    for value in before:                # 25 degC: 10 of 28 kOhm, 24 bits beside 0.6 of 2**23
        assert value == pytest.approx(10 / 28 * 0.6 * 2**23, rel=0.02)
    after = look()
    assert all(a != b and abs(a - b) < 25_000 for a, b in zip(before, after, strict=True))
    bench.afe.freeze_parts(["temps"], bench.now)
    before = look()
    assert look() == before
    bench.afe.freeze_parts([], bench.now)
    assert all(a != b for a, b in zip(before, look(), strict=True))


@pytest.mark.req("MEA-06")
def test_the_pull_ups_trim_is_bypassed_by_raw_counts_alone(bench):
    bench.afe.pullup_gain = 1.1
    bench.wait_ms(700)
    assert bench.read2(0x70) == pytest.approx(2982, abs=1)
    assert bench.read2(0x6E) == pytest.approx(0.6 * 32768 * 10_000 / (10_000 + 19_800), abs=8)


def test_the_fet_threshold_alone_is_unsigned(bench):
    bench.command(0x0090)
    bench.store(0x92A0, b"\x8c\x02\x80")            # 140 degC, 2 s, 128 degC
    bench.command(0x0092)
    bench.plant.set_mos_dc(1300, bench.now)
    bench.run_talking(6000)
    assert not bench.read(0x05) & 0x80
    bench.plant.set_mos_dc(1450, bench.now)
    bench.run_talking(6000)
    assert bench.read(0x05) & 0x80


def test_shutdown_is_left_at_once_with_a_thermistor_on_ts2_unless_told_otherwise(bench):
    bench.command(0x0090)
    bench.store(0x9234, b"\x82\x28")
    bench.command(0x0092)
    bench.command(0x0010)
    bench.wait_ms(400)
    assert bench.read2(0x12) & 0x0008               # it has started anew


def test_the_pre_discharge_fet_goes_first(bench):
    bench.command(0x0090)
    bench.store(0x9308, b"\x3d")
    bench.store(0x930E, b"\x14\x32")                # 200 ms, 500 mV
    bench.command(0x0092)
    bench.command(0x0095)
    bench.plant_set(load_ma=1000)                   # pulls the terminals down
    bench.wait_ms(100)
    bench.edges.clear()
    bench.command(0x0096)
    assert (bench.afe.pdsg, bench.afe.dsg) == (1, 0)
    assert bench.read(0x7F) & 0x0D == 0x09
    bench.run_talking(300, 100)
    assert (bench.afe.pdsg, bench.afe.dsg) == (0, 1)
    at = {signal: t for t, signal, value in bench.edges if value}
    assert at["fets.dsg"] - at["fets.pchg"] == pytest.approx(200_000, abs=1000)


def test_max_cells_may_limit_a_mask_of_the_host(bench):
    for limits, count in ((False, 6), (True, 4)):
        bench.afe.host_max_cells = limits
        bench.store(0x0083, struct.pack("<H", 0x0555))
        bench.wait_ms(10)
        assert bin(bench.afe.balance).count("1") == count


def test_a_board_gives_its_figures():
    import board
    drawn = board.draw(7, full=True)
    afe = AfeModel(Plant(7), 7, 1.0, 0, drawn)
    assert afe.latency_us == int(drawn["answer_us"]) and afe.pack_gain == drawn["pack_gain"]
    assert afe.cell_gain == drawn["cell_gain"] and afe.latches == (drawn["latches"] > 0.5)
