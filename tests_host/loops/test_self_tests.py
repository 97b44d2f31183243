"""Self-tests of the hardware: each finds what it is there for, and nothing in a sound pack."""

import sys
import unittest
from array import array

from bms.words import events as ev
from bms.panel import indication
from bms.words import states as st
from bms.words import rules
from bms.pack import Pack
from bms.words.parameters import Parameters
from checked_pin import CheckedPin
from fakes import ON_MICROPYTHON, WRAP, put16, scan_regs
from memory_tests import Constants, RamBlock, march, sums
from profiles import am5000
from tasks.self_tests import SelfTests, Skipped, Twice, Watch
from tasks.supervisor import Supervisor

if ON_MICROPYTHON:
    import micropython
    if hasattr(micropython, "alloc_emergency_exception_buf"):
        micropython.alloc_emergency_exception_buf(1000)     # for a traceback under the lock

BOTH = 3
MINUTE = 60_000


class StuckBytes:
    """Memory with bits that cannot be set or cleared, or a byte that answers for another."""

    def __init__(self, count, at=-1, high=0, low=0, shadow=-1):
        self.data = bytearray(range(count))
        self.at = at
        self.high = high
        self.low = low
        self.shadow = shadow

    def _place(self, i):
        return self.at if i == self.shadow else i

    def __getitem__(self, i):
        value = self.data[self._place(i)]
        return (value | self.high) & ~self.low if i == self.at else value

    def __setitem__(self, i, value):
        self.data[self._place(i)] = value


class TestMarch(unittest.TestCase):
    def test_sound_memory_keeps_its_contents(self):             # req: SAF-07
        block = bytearray(range(64))
        spare = bytearray(16)
        for first in (0, 16, 48):
            self.assertTrue(march(block, first, first + 16, spare, 0))
        self.assertEqual(block, bytearray(range(64)))

    def test_every_stuck_bit_is_found_wherever_it_is(self):     # req: SAF-07
        for at in (16, 17, 30, 31):
            for bit in range(8):
                for high, low in ((1 << bit, 0), (0, 1 << bit)):
                    memory = StuckBytes(48, at, high, low)
                    self.assertFalse(march(memory, 16, 32, bytearray(16), 0),
                                     repr((at, high, low)))

    def test_outside_the_part_nothing_is_touched(self):         # req: SAF-07
        for at in (15, 32):
            self.assertTrue(march(StuckBytes(48, at, 0xFF, 0), 16, 32, bytearray(16), 0), at)

    def test_a_byte_that_answers_for_another(self):             # req: SAF-07
        # wrong addresses: writing the one changes the other
        for at, shadow in ((16, 17), (17, 16), (16, 31), (31, 16)):
            memory = StuckBytes(48, at, shadow=shadow)
            self.assertFalse(march(memory, 16, 32, bytearray(16), 0), repr((at, shadow)))

    def test_a_block_by_parts(self):                            # req: SAF-07
        block = RamBlock(4, 16)
        self.assertEqual(block.parts, 4)
        for i in range(4):
            self.assertTrue(block.check(i, 0))
            for stuck in (0x01, 0x02, 0x80):
                self.assertFalse(block.check(i, stuck))


class TestSums(unittest.TestCase):
    def test_worked_sums(self):                                 # req: SAF-07
        # 1, 1+2, 1+2+3 and what they add up to
        self.assertEqual(sums(bytes((1, 2, 3)), 0, 3), 10 << 14 | 6)
        self.assertEqual(sums(bytes((9, 1, 2, 3, 9)), 1, 4), 10 << 14 | 6)
        self.assertEqual(sums(bytes((3, 2, 1)), 0, 3), 14 << 14 | 6)    # the order counts
        self.assertTrue(sums(bytes([255] * 2048), 0, 2048) < 1 << 28)

    def test_any_changed_byte_of_any_part_is_found(self):       # req: SAF-07
        data = bytearray(range(100))
        program = Constants(data, 32)
        self.assertEqual(program.parts, 4)
        for at in range(100):
            data[at] ^= 1 << at % 8
            self.assertEqual([program.check(i, 0) for i in range(4)],
                             [i != at // 32 for i in range(4)], at)
            data[at] ^= 1 << at % 8
        self.assertTrue(program.check(0, 0))
        self.assertFalse(program.check(0, 1))


class TestCheckedPin(unittest.TestCase):
    class Pad:
        level = 1
        held = None         # None: follows | level that it is held at

        def __call__(self, level=None):
            if level is None:
                return self.level if self.held is None else self.held
            self.level = level
            return None

    def test_it_agrees_as_long_as_the_pad_follows(self):        # req: SAF-07
        pad = self.Pad()
        pin = CheckedPin(pad)
        self.assertTrue(pin.agrees())
        for level in (0, 1, 0):
            pin(level)
            self.assertEqual(pad.level, level)
            self.assertTrue(pin.agrees())

    def test_a_pad_that_is_held(self):                          # req: SAF-07
        pad = self.Pad()
        pin = CheckedPin(pad)
        for held in (0, 1):
            for level in (0, 1):
                pad.held = held
                pin(level)
                self.assertEqual(pin.agrees(), held == level)
        pad.held = None
        pin.stuck = True
        self.assertFalse(pin.agrees())


class TestTwice(unittest.TestCase):
    def test_every_bit_of_every_number(self):                   # req: SAF-07
        series = array("i", (0, -1, 5, -70_000, 1 << 28))
        twice = Twice(series)
        twice.renew(series)
        self.assertEqual(twice.differs(series, 5), -1)
        for i in range(5):
            for bit in range(28):
                series[i] ^= 1 << bit
                self.assertEqual(twice.differs(series, 5), i)
                series[i] ^= 1 << bit
                self.assertEqual(twice.differs(series, 5), -1)

    def test_a_few_at_a_time_it_gets_round(self):               # req: SAF-07
        series = array("i", range(10))
        twice = Twice(series)
        twice.renew(series)
        series[7] += 1
        self.assertEqual([twice.differs(series, 3) for _ in range(4)], [-1, -1, 7, 7])
        series[7] -= 1
        self.assertEqual([twice.differs(series, 3) for _ in range(4)], [-1] * 4)
        series[9] += 1
        self.assertEqual(sorted(twice.differs(series, 3) for _ in range(4))[-1], 9)


class TestWatch(unittest.TestCase):
    def off_after(self, ms, seconds, windows=1, start=WRAP - 5000, start_s=100):
        watch = Watch()
        now = start
        for _ in range(windows + 1):
            watch.look(now, start_s % 86_400, MINUTE)
            now = (now + ms) % WRAP
            start_s += seconds
        return watch.off

    def test_a_second_and_five_percent(self):                   # req: SAF-07
        for seconds, off in ((60, 0), (64, 0), (65, 1), (56, 0), (55, 1), (0, 1), (120, 1)):
            self.assertEqual(self.off_after(MINUTE, seconds), off, seconds)
        for ms, off in ((59_000 + 1000, 0), (66_315, 0), (66_316, 1)):
            self.assertEqual(self.off_after(ms, 62), off, ms)       # 62 s: up to 66.315 s

    def test_nothing_is_said_before_the_window_ends(self):      # req: SAF-07
        watch = Watch()
        watch.look(0, 100, MINUTE)
        watch.look(59_999, 500, MINUTE)
        self.assertEqual((watch.off, watch.windows), (0, 0))
        watch.look(60_000, 500, MINUTE)
        self.assertEqual((watch.off, watch.windows), (1, 1))

    def test_windows_in_a_row(self):                            # req: SAF-07
        self.assertEqual(self.off_after(MINUTE, 90, windows=3), 3)
        watch = Watch()
        seconds = 0
        for i, step in enumerate((60, 3600, 60, 60)):           # set once: a jump
            watch.look(i * MINUTE, seconds, MINUTE)
            seconds += step
        watch.look(4 * MINUTE, seconds, MINUTE)
        self.assertEqual((watch.off, watch.windows), (0, 4))

    def test_midnight_and_the_wrap_of_ticks(self):              # req: SAF-07
        self.assertEqual(self.off_after(MINUTE, 60, start_s=86_390), 0)
        self.assertEqual(self.off_after(MINUTE, 60, windows=2, start=WRAP - 70_000), 0)

    def test_a_clock_that_was_lost_begins_anew(self):           # req: SAF-07
        watch = Watch()
        watch.look(0, 100, MINUTE)
        watch.look(MINUTE, 300, MINUTE)
        watch.lost()
        self.assertEqual(watch.off, 0)
        watch.look(2 * MINUTE, 5, MINUTE)
        watch.look(3 * MINUTE, 65, MINUTE)
        self.assertEqual((watch.off, watch.windows), (0, 2))


class FakeParts:
    def __init__(self, parts):
        self.parts = parts
        self.bad = -1
        self.seen = []

    def check(self, i, stuck):
        self.seen.append(i)
        return i != self.bad and not stuck


class FakeClock:
    def __init__(self, seconds):
        self.now_s = seconds
        self.asked = 0

    def read(self):
        self.asked += 1
        return self.now_s


class FakeAfe:
    charge_s = 0


class FakeControl:
    counted_ms = -1
    acted = 0
    afe_starts = 1


class FakeOutput:
    right = True
    stuck = False

    def agrees(self):
        return self.right and not self.stuck


class Case(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.pack = Pack(am5000, self.params, 100)
        self.pack.afe_ready = True
        self.ram = FakeParts(10)
        self.program = FakeParts(5)
        self.outputs = [FakeOutput(), FakeOutput()]
        self.clock = None
        self.afe = FakeAfe()
        self.control = FakeControl()
        self.offs = 0
        self.now = WRAP - 3000
        self.noise = 0
        self.speed = 1000           # ms of ticks a second

    def off(self):
        self.offs += 1

    def build(self):
        self.tests = SelfTests(self.pack, self.ram, self.program, self.outputs, self.clock,
                               self.afe, self.control, self.off)
        return self.tests

    def start(self):
        self.build().boot(self.now)
        return self.pack.faults

    def scan(self, dt_ms=100):
        self.now = (self.now + dt_ms) % WRAP
        self.noise ^= 1
        regs = scan_regs()
        put16(regs, 0x38, self.noise)
        self.pack.measurements.take(regs, self.now)
        self.pack.step(self.now, True)
        self.control.acted = self.pack.decided
        return self.pack.allowed()

    def second(self, count=1, seconds=1):
        """A step of the self-tests, and everything around them *seconds* on."""
        for _ in range(count):
            self.scan(self.speed * seconds)
            if self.clock is not None and self.clock.now_s is not None:
                self.clock.now_s += seconds
            self.afe.charge_s += seconds
            if self.afe.charge_s % 10 == 0:
                self.control.counted_ms = self.now
            self.tests.step(self.now)

    def ten_seconds(self, count):
        """Ten seconds at a time; the clock chip is asked each minute all the same."""
        for _ in range(count):
            self.tests._ask_in -= 9
            self.second(1, 10)


class TestBoot(Case):
    def test_a_sound_board_has_no_fault(self):                  # req: SAF-02
        self.assertEqual((self.start(), self.offs), (0, 0))
        self.assertEqual((self.ram.seen, self.program.seen), (list(range(10)), list(range(5))))
        self.assertFalse(self.pack.testing)
        self.assertEqual(self.scan(), BOTH)
        self.assertTrue(self.pack.passed)

    def failed(self, fault, value):
        """It is that fault, recorded, both FETs are off and stay off."""
        self.assertEqual(self.start(), fault)
        self.assertTrue(self.offs > 0)
        log = self.pack.events
        self.assertEqual([(log.get(seq, 3), log.get(seq, 5))
                          for seq in range(1, log.newest + 1) if log.get(seq, 2) == ev.FAULT],
                         [([1 << i for i in range(30)].index(fault), value)])
        for _ in range(5):
            self.assertEqual(self.scan(), 0)
        self.assertEqual((self.pack.state, self.pack.passed), (st.FAIL, False))
        self.assertEqual(self.pack.first_out[0], 18
                         + [1 << i for i in range(30)].index(fault))

    def test_bad_memory_anywhere(self):                         # req: SAF-02 SAF-07
        for part in (0, 4, 9):
            self.setUp()
            self.ram.bad = part
            self.failed(rules.FAULT_RAM, part)

    def test_a_changed_program_anywhere(self):                  # req: SAF-02 SAF-07
        for part in (0, 2, 4):
            self.setUp()
            self.program.bad = part
            self.failed(rules.FAULT_PROGRAM, part)

    def test_a_program_without_sums(self):                      # req: SAF-02
        self.program = FakeParts(0)
        self.failed(rules.FAULT_PROGRAM, 0)
        self.tests.step(self.now)                               # and no part is looked for
        self.assertEqual(self.program.seen, [])

    def test_a_program_that_cannot_be_read_from_python(self):   # req: SAF-02
        self.program = None
        self.assertEqual(self.start(), 0)
        self.tests.step(self.now)
        self.assertEqual(self.pack.faults, 0)

    def test_parameters_that_contradict_themselves(self):       # req: SAF-02 PAR-03
        self.params.values[0] = 1                               # as no set() would leave them
        self.failed(rules.FAULT_DATA, -1)

    def test_an_output_that_does_not_follow(self):              # req: SAF-02 SAF-07
        for i in (0, 1):
            self.setUp()
            self.outputs[i].right = False
            self.failed(rules.FAULT_OUTPUT, i)

    def test_the_clock_chip_takes_a_second(self):               # req: SAF-02 REC-01
        self.clock = FakeClock(86_399)
        self.assertEqual(self.start(), 0)
        self.assertTrue(self.pack.testing)
        self.second()
        self.assertEqual((self.pack.state, self.pack.allowed()), (st.SELF_TEST, 0))
        self.second()
        self.assertEqual((self.pack.testing, self.scan()), (False, BOTH))

    def test_after_a_start_in_order_the_clock_is_compared_and_not_waited_for(self):  # req: SAF-06
        self.clock = FakeClock(86_399)
        self.build().boot(self.now, True)
        self.assertEqual((self.pack.testing, self.scan()), (False, BOTH))
        self.speed = 4000
        self.second(130)
        self.assertTrue(self.pack.has(rules.FAULT_CLOCK))

    def test_no_clock_chip_is_no_reason_to_wait(self):          # req: SAF-02 REC-01
        for clock in (None, FakeClock(None)):
            self.setUp()
            self.clock = clock
            self.assertEqual(self.start(), 0)
            self.assertFalse(self.pack.testing)
            self.assertEqual(self.scan(), BOTH)

    def test_a_clock_chip_that_falls_silent_ends_the_wait(self):    # req: SAF-02 REC-01
        self.clock = FakeClock(100)
        self.start()
        self.clock.now_s = None
        self.second()
        self.assertEqual((self.pack.testing, self.scan()), (False, BOTH))

    def test_ticks_far_too_fast_or_slow_at_start(self):         # req: SAF-02 SAF-07
        for speed in (4000, 200):
            self.setUp()
            self.clock = FakeClock(100)
            self.speed = speed
            self.start()
            self.second(20)
            self.assertEqual(self.pack.faults & rules.FAULT_CLOCK, rules.FAULT_CLOCK, speed)
            self.assertTrue(self.offs > 0)
            self.assertEqual(self.pack.passed, False)


class TestForEver(Case):
    def setUp(self):
        Case.setUp(self)
        self.start()
        self.scan()

    def test_a_few_parts_a_second_get_round(self):              # req: SAF-07
        self.ram.seen = []
        self.program.seen = []
        self.second(10)
        self.assertEqual(self.ram.seen, list(range(10)) * 3)
        self.assertEqual(self.program.seen, list(range(5)) * 4)
        self.assertEqual((self.pack.faults, self.offs), (0, 0))

    def found(self, fault, steps, seconds=1):
        """Within so many steps *fault* is there, and both FETs are off."""
        for _ in range(steps):
            if seconds == 10:
                self.ten_seconds(1)
            else:
                self.second()
            if self.pack.faults & fault:
                break
        self.assertEqual(self.pack.faults, fault)
        self.assertTrue(self.offs > 0)
        self.assertEqual((self.scan(), self.pack.state), (0, st.FAIL))
        self.assertTrue(self.pack.passed)

    def stays_until_cleared(self, fault):
        self.second(5)
        self.assertEqual(self.pack.faults, fault)
        self.pack.clear()
        self.second(3)
        self.assertEqual((self.pack.faults, self.scan()), (0, BOTH))

    def test_memory(self):                                      # req: SAF-07
        self.ram.bad = 9
        self.found(rules.FAULT_RAM, 4)
        self.ram.bad = -1
        self.stays_until_cleared(rules.FAULT_RAM)

    def test_what_is_still_there_comes_back(self):              # req: SAF-07
        self.ram.bad = 9
        self.found(rules.FAULT_RAM, 4)
        self.pack.clear()
        self.found(rules.FAULT_RAM, 4)

    def test_program(self):                                     # req: SAF-07
        self.program.bad = 3
        self.found(rules.FAULT_PROGRAM, 3)
        self.program.bad = -1
        self.stays_until_cleared(rules.FAULT_PROGRAM)

    def test_output(self):                                      # req: SAF-07
        self.outputs[1].right = False
        self.found(rules.FAULT_OUTPUT, 1)
        self.outputs[1].right = True
        self.stays_until_cleared(rules.FAULT_OUTPUT)

    def test_each_parameter_and_each_threshold(self):           # req: SAF-07 PAR-01
        values = self.params.values
        rows = self.pack.protection.rows
        self.second(3)
        for series in (values, rows):
            for i in range(0, len(series), 37):
                series[i] ^= 4
                self.found(rules.FAULT_DATA, 40)
                series[i] ^= 4
                self.pack.clear()
                self.second()
                self.assertEqual(self.pack.faults, 0, i)

    def test_before_the_first_scan_there_are_no_thresholds_yet(self):   # req: SAF-07
        Case.setUp(self)
        self.start()
        for _ in range(40):
            self.now += 1000
            self.tests.step(self.now % WRAP)
        self.assertEqual(self.pack.faults, 0)

    def test_a_parameter_that_is_set_is_no_fault(self):         # req: SAF-07 PAR-01
        for value in (3590, 3580, 3600):
            self.second(25)
            self.params.set("cell_ov_trip_mv", value)
        self.second(25)
        self.assertEqual(self.pack.faults, 0)

    def test_ticks_against_the_afe(self):                       # req: SAF-07
        # 5 % and a second in a minute, two minutes in a row
        for speed, fault in ((1000, 0), (1040, 0), (960, 0), (1100, rules.FAULT_CLOCK),
                             (900, rules.FAULT_CLOCK)):
            self.setUp()
            self.speed = speed
            self.ten_seconds(30)
            self.assertEqual(self.pack.faults, fault, speed)
            self.assertEqual(self.offs > 0, fault != 0)

    def test_an_afe_that_is_configured_again_is_no_clock_fault(self):   # req: SAF-07 PRO-23
        for _ in range(8):
            self.ten_seconds(9)
            self.control.counted_ms = -1
            self.afe.charge_s = 3
            self.second(7)
        self.assertEqual(self.pack.faults, 0)

    def test_the_afe_alone_does_not_outvote_a_clock_chip(self):     # req: SAF-07 REC-01
        self.setUp()
        self.clock = FakeClock(1000)
        self.start()
        for _ in range(40):
            self.ten_seconds(1)
            self.afe.charge_s += 10     # an AFE that is far too fast: no fault of the ticks
        self.assertEqual(self.pack.faults, 0)

    def test_a_clock_chip_that_jumps_or_stops_is_no_clock_fault(self):  # req: SAF-07 REC-01
        self.setUp()
        self.clock = FakeClock(1000)
        self.start()
        self.ten_seconds(10)
        self.clock.now_s += 7200
        self.ten_seconds(20)
        self.assertEqual(self.pack.faults, 0)
        for _ in range(20):             # stopped: the AFE still agrees with the ticks
            self.ten_seconds(1)
            self.clock.now_s -= 10
        self.assertEqual(self.pack.faults, 0)

    def test_the_clock_chip_is_asked_once_a_minute(self):       # req: SAF-04 SAF-07
        self.setUp()
        self.clock = FakeClock(1000)
        self.start()
        self.second(3)                  # at start, and until it has been compared
        asked = self.clock.asked
        self.second(600)
        self.assertEqual(self.clock.asked, asked + 10)
        self.assertEqual(self.tests._rtc.windows, 11)

    def test_ticks_that_both_contradict(self):                  # req: SAF-07 REC-01
        self.setUp()
        self.clock = FakeClock(1000)
        self.speed = 1200
        self.start()
        self.ten_seconds(30)
        self.assertEqual(self.pack.faults, rules.FAULT_CLOCK)

    def told(self):
        """(value, limit) of the newest record of a fault."""
        log = self.pack.events
        return [(log.get(seq, 5), log.get(seq, 6)) for seq in range(1, log.newest + 1)
                if log.get(seq, 2) == ev.FAULT][-1]

    def test_the_record_says_which_number_it_was(self):         # req: SAF-07 PRO-25
        values = self.params.values
        rows = self.pack.protection.rows
        self.second(3)
        for series, before in ((values, 0), (rows, len(values))):
            for i in (0, 7, len(series) - 1):
                series[i] ^= 4
                self.found(rules.FAULT_DATA, 40)
                self.assertEqual(self.told(), (before + i, 0))
                series[i] ^= 4
                self.pack.clear()

    def test_one_window_is_no_fault_the_second_is(self):        # req: SAF-07 REC-01
        for clock in (None, FakeClock(1000)):
            Case.setUp(self)
            self.clock = clock
            self.start()
            self.second(70)
            self.assertFalse(self.pack.testing)
            self.speed = 1100
            seen = set()
            for _ in range(40):
                self.ten_seconds(1)
                off = self.tests._afe_watch.off
                if clock is not None:
                    off = min(off, self.tests._rtc.off)
                seen.add(off)
                self.assertEqual(self.pack.faults, 0 if off < 2 else rules.FAULT_CLOCK)
                if off == 2:
                    break
            self.assertEqual((seen, self.told()), ({0, 1, 2}, (2, 0)))

    def test_a_clock_chip_that_was_silent_begins_anew(self):    # req: SAF-07 REC-01
        Case.setUp(self)
        self.clock = FakeClock(1000)
        self.start()
        self.ten_seconds(20)
        windows = self.tests._rtc.windows
        self.clock.now_s = None
        self.ten_seconds(7)
        self.clock.now_s = 40_000           # set meanwhile: nothing to compare with before
        self.ten_seconds(7)
        self.assertEqual((self.tests._rtc.windows, self.tests._rtc.off), (windows, 0))
        self.ten_seconds(7)
        self.assertEqual((self.tests._rtc.windows, self.tests._rtc.off), (windows + 1, 0))

    def test_each_can_be_provoked(self):                        # req: SAF-07
        for what, fault, steps, seconds in (
                ("ram", rules.FAULT_RAM, 1, 1), ("program", rules.FAULT_PROGRAM, 1, 1),
                ("output", rules.FAULT_OUTPUT, 1, 1), ("data", rules.FAULT_DATA, 40, 1),
                ("clock", rules.FAULT_CLOCK, 20, 10)):
            self.setUp()
            self.second(10)
            self.tests.provoke(what)
            self.found(fault, steps, seconds)
        self.assertRaises(ValueError, self.tests.provoke, "nonsense")


class FakeWatchdog:
    fed = 0

    def feed(self):
        self.fed += 1


class FakeScheduler:
    tasks = ()
    fit = True

    overdue_task = late = -1

    def fit_to_feed(self, now_ms):
        return self.fit

    def overdue(self, now_ms):
        return self.overdue_task

    def late_task(self):
        return self.late


class TestFlow(Case):
    """A scan passes through measure, protect, decide, act, or the watchdog is not fed."""

    def setUp(self):
        Case.setUp(self)
        self.start()
        self.watchdog = FakeWatchdog()
        self.mark = bytearray(12)
        self.supervisor = Supervisor(self.pack, self.watchdog, lambda level: None,
                                     lambda: 0, self.mark)
        self.supervisor.scheduler = FakeScheduler()
        self.supervisor.tests = self.tests
        self.supervise(5)
        self.assertEqual((self.watchdog.fed, self.pack.faults), (5, 0))

    def supervise(self, seconds, scan=None):
        for _ in range(seconds):
            for _ in range(10):
                (scan or self.scan)()
            self.supervisor.step(self.now)

    def check_stopped(self):
        self.assertEqual(self.watchdog.fed, 5)
        self.assertEqual(self.pack.faults & rules.FAULT_FLOW, rules.FAULT_FLOW)
        self.assertTrue(self.offs > 0)
        self.assertEqual(self.pack.allowed(), 0)
        self.assertEqual(self.mark[8], 0)           # no task is to blame

    def test_protections_that_are_not_stepped(self):            # req: SAF-07 SAF-01
        self.pack.protection = Skipped(self.pack.protection)
        self.supervise(1)
        self.check_stopped()

    def test_an_afe_that_was_configured_between_two_looks(self):    # req: SAF-07 PWR-12
        """A timed wake does that: no scan for a second and more, and the AFE ready at both."""
        for starts, faults in ((1, 0), (0, rules.FAULT_FLOW)):
            self.setUp()
            self.control.afe_starts += starts
            self.now += 1500
            self.supervisor.step(self.now)
            self.assertEqual(self.pack.faults & rules.FAULT_FLOW, faults)
            self.assertEqual(self.watchdog.fed, 5 + starts)

    def test_it_can_be_provoked(self):                          # req: SAF-07 SAF-01
        self.tests.provoke("flow")
        self.supervise(1)
        self.check_stopped()

    def test_a_scan_that_is_not_decided_upon(self):             # req: SAF-07 SAF-01
        self.pack._decide = lambda: None
        self.supervise(1)
        self.check_stopped()

    def test_a_decision_that_is_not_acted_upon(self):           # req: SAF-07 SAF-01
        def scan():
            self.scan()
            self.control.acted -= 1
        self.supervise(1, scan)
        self.check_stopped()

    def test_scans_that_stand_still(self):                      # req: SAF-07 SAF-01
        def nothing():
            self.now = (self.now + 100) % WRAP
        self.supervise(1, nothing)
        self.check_stopped()

    def test_scans_that_come_too_often(self):                   # req: SAF-07
        # 10 a second, and 3 that belong to the second before
        for scans, fault in ((13, 0), (14, rules.FAULT_FLOW)):
            self.setUp()
            for _ in range(scans):
                self.scan(0)
            self.now = (self.now + 1000) % WRAP
            self.supervisor.step(self.now)
            self.assertEqual(self.pack.faults & rules.FAULT_FLOW, fault)

    def test_one_scan_is_a_flow(self):                          # req: SAF-07
        self.scan()
        self.supervisor.step(self.now)
        self.assertEqual((self.pack.faults, self.watchdog.fed), (0, 6))

    def test_the_record_says_how_many_scans_it_lags(self):      # req: SAF-07 PRO-25
        def scan():
            self.scan()
            self.control.acted -= 3
        self.supervise(1, scan)
        log = self.pack.events
        self.assertEqual([(log.get(seq, 5), log.get(seq, 6)) for seq in range(1, log.newest + 1)
                          if log.get(seq, 2) == ev.FAULT][-1], (3, 0))

    def test_a_supervisor_that_comes_late_expects_more(self):   # req: SAF-07
        for _ in range(25):
            self.scan()
        self.supervisor.step(self.now)
        self.assertEqual((self.pack.faults, self.watchdog.fed), (0, 6))

    def test_without_the_afe_there_is_no_flow(self):            # req: SAF-07 SAF-01
        def waiting():
            self.now = (self.now + 100) % WRAP
            self.pack.step(self.now, False)
        self.pack.afe_ready = False
        self.supervise(5, waiting)
        self.assertEqual((self.pack.faults, self.watchdog.fed), (0, 10))
        self.pack.afe_ready = True
        self.supervise(2, waiting)                              # two seconds to get going
        self.assertEqual((self.pack.faults, self.watchdog.fed), (0, 12))
        self.supervise(1, waiting)
        self.assertEqual((self.pack.faults, self.watchdog.fed), (rules.FAULT_FLOW, 12))

    def test_failed_scans_are_a_fault_of_their_own(self):       # req: SAF-07 MEA-02
        def failing():
            self.now = (self.now + 100) % WRAP
            self.pack.measurements.fail()
            self.pack.step(self.now, False)
        self.supervise(3, failing)
        self.assertEqual((self.pack.faults, self.watchdog.fed), (rules.FAULT_SCAN, 8))

    def test_an_overdue_task_withholds_it_and_is_named(self):   # req: SAF-01 SAF-08
        self.supervisor.scheduler.overdue_task = 2
        self.supervise(1)
        self.assertEqual((self.watchdog.fed, self.pack.faults, self.mark[8]), (5, 0, 3))
        self.supervisor.scheduler.overdue_task = -1
        self.supervise(1)
        self.assertEqual((self.watchdog.fed, self.mark[8]), (6, 0))

    def test_a_task_that_only_comes_late_for_three_seconds(self):   # req: SAF-01 SAF-08
        self.supervisor.scheduler.fit = False
        self.supervisor.scheduler.late = 0
        self.supervise(2)
        self.assertEqual((self.watchdog.fed, self.mark[8]), (7, 0))
        self.supervise(1)
        self.assertEqual((self.watchdog.fed, self.mark[8]), (7, 1))
        self.supervisor.scheduler.fit = True
        self.supervise(1)
        self.assertEqual((self.watchdog.fed, self.mark[8]), (8, 0))

    def test_fed_ten_times_a_second(self):                      # req: SAF-08
        for _ in range(20):
            self.scan()
            self.supervisor.step(self.now)
        self.assertEqual((self.watchdog.fed, self.pack.faults), (25, 0))


class TestLamps(unittest.TestCase):
    def test_alm_and_a_lamp_for_each_test(self):                # req: SAF-02 LED-03
        for fault, lamp in ((rules.FAULT_PROGRAM, 0), (rules.FAULT_HOT, 0), (rules.FAULT_RAM, 1),
                            (rules.FAULT_DATA, 2), (rules.FAULT_PROFILE, 2), (rules.FAULT_AFE, 3),
                            (rules.FAULT_CLOCK, 4), (rules.FAULT_OUTPUT, 5)):
            self.assertEqual(indication.self_test_word(fault), 0x80 | 1 << lamp)
            self.assertEqual(indication.self_test_word(fault | rules.FAULT_CELL),
                             0x80 | 1 << lamp)
        self.assertEqual(indication.self_test_word(rules.FAULT_RAM | rules.FAULT_AFE), 0x8A)
        for fault in (0, rules.FAULT_CELL, rules.FAULT_SCAN, rules.FAULT_WELD):
            self.assertEqual(indication.self_test_word(fault), 0)


class TestHeap(Case):
    def test_a_second_allocates_nothing(self):                  # req: SAF-04 SAF-07
        if not ON_MICROPYTHON:
            raise unittest.SkipTest("CPython has no heap to lock")
        self.ram = RamBlock(8, 32)
        self.program = Constants(bytes(range(256)), 32)
        self.clock = FakeClock(100)
        self.start()
        self.second(3)
        tests = self.tests
        times = (WRAP - 2000, WRAP - 1000, 0)
        micropython.heap_lock()
        try:
            for i in range(3):
                now = times[i]
                self.pack.measurements.seq += 1
                self.control.acted = self.pack.measurements.seq
                tests.step(now)
                tests.flows(now)
        finally:
            micropython.heap_unlock()
        self.assertEqual(self.pack.faults, 0)


class TestTheChipItself(unittest.TestCase):
    """lib/memory_rp2.py, on the RP2040 alone."""

    def setUp(self):
        if sys.platform != "rp2":
            raise unittest.SkipTest("there is no RP2040 here")
        import memory_rp2
        import uctypes
        self.it = memory_rp2
        self.buf = bytearray(512)
        self.spare = bytearray(512)
        self.at = uctypes.addressof(self.buf)
        self.spare_at = uctypes.addressof(self.spare)
        for i in range(512):
            self.buf[i] = i * 7 & 0xFF

    def test_all_of_the_memory_is_good(self):                   # req: SAF-02 SAF-07
        ram = self.it.Ram()
        self.assertEqual(ram.parts * 512, 264 * 1024)
        self.assertEqual([i for i in range(ram.parts) if not ram.check(i, 0)], [])

    def test_contents_stay(self):                               # req: SAF-07
        before = bytes(self.buf)
        for stuck in (0, 1, 0x4000_0000):
            self.it.march(self.at, self.at + 512, self.spare_at, stuck)
            self.assertEqual(bytes(self.buf), before)

    def test_each_stuck_bit_is_found(self):                     # req: SAF-07
        for bit in range(31):
            self.assertEqual(self.it.march(self.at, self.at + 512, self.spare_at, 1 << bit), 1)
        self.assertEqual(self.it.march(self.at, self.at + 512, self.spare_at, -0x8000_0000), 1)
        self.assertEqual(self.it.march(self.at, self.at + 512, self.spare_at, 0), 0)

    def test_the_image_is_what_was_built(self):                 # req: SAF-02 SAF-07
        program = self.it.program()
        self.assertTrue(50 < program.parts < 255, program.parts)
        self.assertEqual([i for i in range(program.parts) if not program.check(i, 0)], [])
        self.assertFalse(program.check(3, 1))

    def test_sums_of_words(self):                               # req: SAF-07
        import struct
        import uctypes
        one = two = 0
        for i in range(128):
            one = (one + struct.unpack_from("<I", self.buf, 4 * i)[0]) & 0xFFFFFFFF
            two = (two + one) & 0xFFFFFFFF
        right = struct.pack("<II", one, two)
        for expected, differ in ((right, 0), (struct.pack("<II", one ^ 1, two), 1),
                                 (struct.pack("<II", one, two ^ 1 << 31), 1)):
            self.assertEqual(self.it.sums_differ(self.at, 128, uctypes.addressof(expected), 0),
                             differ)

    def test_a_table_that_is_damaged_is_none(self):             # req: SAF-02
        import uctypes
        sums = 0x10003000                   # the image of the tests runs in slot A
        good = bytearray(uctypes.bytearray_at(sums, 4096))
        at = uctypes.addressof(good)
        parts = self.it.Program(at, sums + 4096).parts
        self.assertTrue(parts > 50)
        for place in (0, 3, 4, 5, 6, 7, 8, 15, 16, 8 + 8 * parts - 1, 0xF00, 4095):
            good[place] ^= 0x10
            self.assertEqual(self.it.Program(at, sums + 4096).parts, 0, place)
            good[place] ^= 0x10
        self.assertEqual(self.it.Program(at, sums + 4096).parts, parts)

    def test_a_boot_stage_that_is_damaged_is_seen(self):        # req: SAF-07
        import uctypes
        good = bytearray(uctypes.bytearray_at(0x10000000, 4096))
        program = self.it.Program(0x10003000, 0x10004000, uctypes.addressof(good))
        last = program.parts - 1
        self.assertTrue(program.check(last, 0))
        self.assertFalse(program.check(last, 1))
        for place in (0, 255, 256, 1023, 4087, 4088, 4095):
            good[place] ^= 0x10
            self.assertFalse(program.check(last, 0), place)
            good[place] ^= 0x10


if __name__ == "__main__":
    unittest.main()
