"""The clock: chips by their registers (data sheets), what is believed, and order without it."""

import unittest

import civil
from clock import FOUND, JUMPED, LOST, REFUSED, Clock
from ds3231 import DS3231
from fakes import LATE, WRAP
from pcf8563 import PCF8563

_MAY = (2026, 5, 17, 12, 34, 56)
_MAY_S = 201_184_496        # since 2020-01-01: 2328 days, 12:34:56


class RegisterBus:
    """I2C with one chip of plain registers."""

    def __init__(self, address, count):
        self.address = address
        self.regs = bytearray(count)
        self.writes = []
        self.dead = False

    def _check(self, address):
        if self.dead or address != self.address:
            raise OSError(19)

    def readfrom_mem_into(self, address, register, buf):
        self._check(address)
        for i in range(len(buf)):
            buf[i] = self.regs[register + i]

    def writeto_mem(self, address, register, data):
        self._check(address)
        self.writes.append((register, bytes(data)))
        for i in range(len(data)):
            self.regs[register + i] = data[i]


class TestCivil(unittest.TestCase):
    def test_seconds_and_back(self):                            # req: REC-01
        self.assertEqual(civil.seconds_of(*_MAY), _MAY_S)
        for seconds in (0, 59, 86_399, 86_400, 5_097_599, 5_097_600, 5_184_000, 31_622_399,
                        31_622_400, 126_230_400, _MAY_S, 1_073_741_823):
            self.assertEqual(civil.seconds_of(*civil.civil_of(seconds)), seconds)

    def test_leap_days(self):
        self.assertEqual(civil.civil_of(59 * 86_400), (2020, 2, 29, 0, 0, 0))
        self.assertEqual(civil.civil_of(60 * 86_400), (2020, 3, 1, 0, 0, 0))
        self.assertTrue(civil.is_date(2024, 2, 29) and not civil.is_date(2026, 2, 29))

    def test_what_is_no_time_is_refused(self):
        for text in ("", "now", "2026-05-17", "2026-02-30T00:00:00", "2026-05-17T24:00:00",
                     "2019-12-31T00:00:00", "2026-05-17T12:60:00", "2026-5-17T12:00:00Z"):
            with self.assertRaises(ValueError):
                civil.parse(text)
        self.assertEqual(civil.parse("2026-05-17T12:34:56Z"), _MAY_S)
        self.assertEqual(civil.text_of(_MAY_S), "2026-05-17T12:34:56Z")


class TestChips(unittest.TestCase):
    def test_pcf8563_reads_its_registers_without_the_unused_bits(self):     # req: REC-01
        bus = RegisterBus(0x51, 16)
        bus.regs[2:9] = bytes((0x56, 0xB4, 0xD2, 0xD7, 0xF8, 0x65, 0x26))
        out = [0] * 6
        self.assertTrue(PCF8563(bus).read(out))
        self.assertEqual(tuple(out), _MAY)
        bus.regs[2] |= 0x80                                     # VL
        self.assertFalse(PCF8563(bus).read(out))

    def test_pcf8563_stands_still_while_it_is_set(self):        # req: REC-01
        bus = RegisterBus(0x51, 16)
        bus.regs[2] = 0x80
        PCF8563(bus).write(*_MAY)
        self.assertEqual(bus.writes, [(0, b"\x20"), (2, b"\x56\x34\x12\x17\x00\x05\x26"),
                                      (0, b"\x00")])

    def test_ds3231_reads_its_registers(self):                  # req: REC-01
        bus = RegisterBus(0x68, 19)
        bus.regs[0:7] = bytes((0x56, 0x34, 0x12, 0x01, 0x17, 0x85, 0x26))
        out = [0] * 6
        self.assertTrue(DS3231(bus).read(out))
        self.assertEqual(tuple(out), _MAY)
        for register, bit in ((0x0F, 0x80), (0x0E, 0x80)):      # OSF, EOSC
            bus.regs[register] |= bit
            self.assertFalse(DS3231(bus).read(out))
            bus.regs[register] = 0

    def test_ds3231_in_its_12_hour_mode(self):                  # req: REC-01
        bus = RegisterBus(0x68, 19)
        out = [0] * 6
        for hours, hour in ((0x52, 0), (0x41, 1), (0x51, 11), (0x72, 12), (0x61, 13),
                            (0x71, 23)):
            bus.regs[0:7] = bytes((0, 0, hours, 1, 1, 1, 0x26))
            DS3231(bus).read(out)
            self.assertEqual(out[3], hour)

    def test_ds3231_lets_its_oscillator_run_when_it_is_set(self):   # req: REC-01
        bus = RegisterBus(0x68, 19)
        bus.regs[0x0E], bus.regs[0x0F] = 0x9C, 0x88
        DS3231(bus).write(*_MAY)
        self.assertEqual((bus.regs[0:3], bus.regs[4:7]), (b"\x56\x34\x12", b"\x17\x05\x26"))
        self.assertEqual((bus.regs[0x0E], bus.regs[0x0F]), (0x1C, 0x08))

    def test_digits_that_are_none_make_no_time(self):           # req: REC-01
        bus = RegisterBus(0x51, 16)
        clock = Clock([PCF8563(bus)])
        for at, byte in ((2, 0x5A), (3, 0x7F), (4, 0x2F), (5, 0x00), (5, 0x32), (7, 0x00),
                         (7, 0x1D), (8, 0xF0), (4, 0x24), (3, 0x60)):
            bus.regs[2:9] = bytes((0x56, 0x34, 0x12, 0x17, 0x00, 0x05, 0x26))
            self.assertEqual(clock.read(), _MAY_S)
            bus.regs[at] = byte
            self.assertIsNone(clock.read(), "%02x at %02x" % (byte, at))


class FakeChip:
    name = "fake"

    def __init__(self, seconds):
        self.seconds = seconds
        self.good = True
        self.dead = False
        self.was_set = None

    def read(self, out):
        if self.dead:
            raise OSError(5)
        out[:] = civil.civil_of(self.seconds)
        return self.good

    def write(self, *parts):
        if self.dead:
            raise OSError(5)
        self.seconds = civil.seconds_of(*parts)
        self.good = True


class TestClock(unittest.TestCase):
    def setUp(self):
        self.chip = FakeChip(_MAY_S)
        self.clock = Clock([self.chip])
        self.now = LATE

    def later(self, seconds, jump_s=0):
        """Let time pass after the chip has jumped; what has changed."""
        self.chip.seconds += jump_s
        changes = []
        for _ in range(seconds):
            self.chip.seconds += 1
            self.now = (self.now + 1000) % WRAP
            change = self.clock.keep(self.now)
            if change:
                changes.append(change)
        return changes

    def test_it_is_found_and_followed(self):                    # req: REC-01
        self.assertEqual(self.clock.start(self.now), (FOUND, 0))
        self.assertEqual((self.clock.now_s(self.now), self.clock.name), (_MAY_S, "fake"))
        self.assertEqual(self.later(100), [])
        self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 100) <= 1)

    def test_a_time_that_is_not_kept_is_none(self):             # req: REC-01
        self.chip.good = False
        self.assertEqual(self.clock.start(self.now), (LOST, 0))
        self.assertEqual((self.clock.is_valid, self.clock.now_s(self.now)), (False, 0))

    def test_a_chip_that_dies_is_said_within_a_minute_and_ticks_go_on(self):    # req: REC-01
        for after in (1, 19, 20, 21, 59):
            self.setUp()
            self.clock.start(self.now)
            self.later(after)
            self.assertTrue(self.clock.is_sound)
            self.chip.dead = True
            self.assertEqual(self.later(60), [(LOST, 0)])
            self.assertFalse(self.clock.is_sound)
            self.assertEqual(self.later(140), [])
            self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 200 - after) <= 1)
            self.chip.dead = False
            self.assertEqual(self.later(100), [])
            self.assertTrue(self.clock.is_sound)

    def test_one_look_without_an_answer_is_nothing(self):       # req: REC-01
        self.clock.start(self.now)
        self.chip.dead = True
        self.assertEqual(self.later(20), [])
        self.chip.dead = False
        self.assertEqual(self.later(200), [])
        self.assertTrue(self.clock.is_sound)

    def test_a_jump_is_believed_after_three_readings_a_minute_apart(self):  # req: REC-01
        for jump_s in (4, 3600, 40 * 365 * 86_400 // 40, -4, -3600, -2 * 86_400, -500 * 86_400):
            self.setUp()
            self.clock.start(self.now)
            changes = self.later(139, jump_s)
            self.assertEqual([(what, abs(off_s - jump_s) <= 1) for what, off_s in changes],
                             [(REFUSED, True)])
            self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 139) <= 1)
            self.assertFalse(self.clock.is_sound)
            changes = self.later(61)
            self.assertEqual([(what, abs(off_s - jump_s) <= 1) for what, off_s in changes],
                             [(JUMPED, True)])
            self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 200 - jump_s) <= 1)
            self.assertTrue(self.clock.is_sound)
            self.assertEqual(self.later(200), [])

    def test_wrong_readings_for_less_than_two_minutes_change_nothing(self):     # req: REC-01
        for jump_s in (3600, 40 * 365 * 86_400, -2 * 86_400):
            self.setUp()
            self.clock.start(self.now)
            self.later(119, jump_s)
            self.assertEqual(self.later(300, -jump_s), [])
            self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 419) <= 1)
            self.assertTrue(self.clock.is_sound)

    def test_readings_that_do_not_agree_are_never_believed(self):   # req: REC-01
        self.clock.start(self.now)
        changes = []
        for i in range(30):
            changes += self.later(20, 1000 if i % 2 else -990)
        self.assertEqual([change[0] for change in changes], [REFUSED])
        self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 600) <= 1)

    def test_a_chip_that_stands_still_is_said_within_a_minute(self):    # req: REC-01
        self.clock.start(self.now)
        changes = []
        for _ in range(300):
            changes += self.later(1, -1)
            self.assertTrue(self.clock.now_s(self.now))
            if _ == 59:
                self.assertEqual([change[0] for change in changes], [REFUSED])
                self.assertFalse(self.clock.is_sound)
        self.assertEqual(len(changes), 1)
        self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 300) <= 1)

    def test_what_the_host_says_is_believed_at_once(self):      # req: REC-01
        self.clock.start(self.now)
        self.later(60, -2 * 86_400)
        self.clock.set(_MAY_S - 5 * 86_400, self.now)
        self.assertEqual(self.clock.now_s(self.now), _MAY_S - 5 * 86_400)
        self.assertEqual(self.later(100), [])
        self.assertTrue(self.clock.is_sound)

    def test_a_time_before_the_records_is_not_believed(self):   # req: REC-01
        self.assertEqual(self.clock.start(self.now, _MAY_S + 90_000)[0], REFUSED)
        self.assertFalse(self.clock.is_valid)
        self.assertEqual(self.later(119), [])
        self.assertEqual([change[0] for change in self.later(81)], [JUMPED])    # after all
        self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 200) <= 1)
        self.clock = Clock([self.chip])
        self.assertEqual(self.clock.start(self.now, _MAY_S + 80_000), (FOUND, 0))

    def test_setting_without_a_chip_is_refused(self):           # req: REC-01
        self.chip.dead = True
        with self.assertRaises(OSError):
            self.clock.set(_MAY_S, self.now)

    def test_the_first_chip_that_answers_is_taken(self):        # req: REC-01
        dead = FakeChip(0)
        dead.dead = True
        clock = Clock([dead, self.chip])
        clock.start(self.now)
        self.assertTrue(clock.name == "fake" and clock.now_s(self.now) == _MAY_S)

    def test_it_goes_on_over_the_wrap_of_ticks(self):           # req: REC-01
        self.now = WRAP - 5000
        self.clock.start(self.now)
        self.assertEqual(self.later(30), [])
        self.assertTrue(abs(self.clock.now_s(self.now) - _MAY_S - 30) <= 1)


if __name__ == "__main__":
    unittest.main()
