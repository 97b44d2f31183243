"""The control task against an AFE that answers as told: what it commands, when it gives up."""

import unittest

from bms.protect import second_line as afe_config
from bms.words import events as ev
from bms.words import states as st
from bms.pack import Pack
from bms.words.parameters import Parameters
from bms.power.power import AWAKE, TRYING
from bms.words.rules import FAULT_AFE, FAULT_FET, FAULT_SCAN
from bq76952 import AfeError
from fakes import WRAP, FakePin, put16, scan_regs, set_cells
from profiles import am5000
from tasks.control import Control

CHARGE, DISCHARGE, BOTH = 1, 2, 3
SHORT = 0x80                # AFE safety status A
RESTARTED = 0x08            # battery status: POR


class FakeAfe:
    """What Control asks of a BQ76952. fail: names of what raises AfeError."""

    def __init__(self):
        self.regs = scan_regs()
        self.fails = set()
        self.fets = 0               # closed
        self.follows = True
        self.silent = False
        self.word = 0x1234
        self.gain = None            # None: as configured
        self.steps = 5              # of a configuration
        self.seconds = self.charge_s = 0
        self.images = []
        self.log = []
        self.noise = 0
        self.charge_units = self.charge_65536ths = 0
        self.charge = 0, 0          # what the integrator shows
        self.raw_counts = bytearray(7)
        self.charge_of = None       # or a function that gives it, in 65536ths

    def read_charge(self):
        self._try("read_charge")
        self.log.append(("charge",))
        if self.charge_of:
            total = self.charge_of()
            self.charge = total >> 16, total & 0xFFFF
        self.charge_units, self.charge_65536ths = self.charge
        self.charge_s = self.seconds

    def read_raw_counts(self, part):
        for i in range(1 if part == 2 else 3):
            self.raw_counts[3 * part + i] ^= 1

    def update(self, rows):
        self._try("update")
        self.log.append(("update", rows))
        self.fets = 0
        for _ in range(self.steps):
            self._try("update_step")
            yield

    def _try(self, name):
        if name in self.fails:
            raise AfeError(name)

    slow = False
    unheld = 0                  # what closes against the line BOTHOFF

    def prove_off(self):
        self._try("prove_off")
        return iter(())

    def scan(self):
        self.noise ^= 1
        put16(self.regs, 0x38, self.noise)
        self.regs[0x7F] = (self.fets & CHARGE) | (self.fets & DISCHARGE) << 1
        return not self.silent

    def set_fets(self, charge, discharge):
        self._try("fets")
        bits = (CHARGE if charge else 0) | (DISCHARGE if discharge else 0)
        self.log.append(("fets", bits))
        if self.follows:
            self.fets = bits

    def set_load_detect(self, on):
        self._try("load")
        self.log.append(("load", on))

    def set_balance(self, mask):
        self._try("balance")
        self.log.append(("balance", mask))

    def set_sleep(self, on):
        self._try("sleep")
        self.log.append(("sleep", on))

    def signature(self):
        self._try("signature")
        return self.word

    def holds(self, number, data):
        self._try("read")
        for address, written in self.images[-1]:
            if address == number:
                return data == (self.gain if self.gain and number == 0x91A8 else written)
        raise AfeError("no such row")

    def reset(self):
        self.log.append(("reset",))
        self.fets = 0
        for reg in (0x03, 0x05, 0x07):
            self.regs[reg] = 0

    def configure(self, image):
        self._try("begin")
        self.images.append(image)
        self.fets = 0
        self.regs[0x12] &= ~RESTARTED & 0xFF
        for _ in range(self.steps):
            self._try("configure")
            yield


class Case(unittest.TestCase):
    def setUp(self):
        self.afe = FakeAfe()
        self.params = Parameters({"zero_look_ms": 0})      # TestLookAtZero has it
        self.pack = Pack(am5000, self.params, 100)
        self.bothoff = FakePin(1)           # as if left high by whatever ran before
        self.limiter = FakePin()
        self.us = 0
        self.us_a_step = 100
        self.control = Control(self.afe, self.pack, 250, self.bothoff, self.limiter, self.ticks)
        self.now = WRAP - 2000

    def ticks(self):
        self.us = (self.us + self.us_a_step) % WRAP
        return self.us

    def step(self, count=1, dt_ms=100):
        for _ in range(count):
            self.now = (self.now + dt_ms) % WRAP
            self.control.step(self.now)
        return self.afe.fets

    def run_up(self):
        """Configured, both FETs closed."""
        self.step(6)
        self.assertEqual((self.afe.fets, self.bothoff.level), (BOTH, 1))
        self.afe.log = []

    def errors(self):
        """Reasons of the AFE_ERROR events."""
        log = self.pack.events
        return [log.get(s, 3) for s in range(max(1, log.oldest()), log.newest + 1)
                if log.get(s, 2) == ev.AFE_ERROR]

    def rows(self, kind):
        """(ticks, item, cell, value, limit) of the events of *kind*."""
        log = self.pack.events
        return [tuple(log.get(s, column) for column in (1, 3, 4, 5, 6))
                for s in range(max(1, log.oldest()), log.newest + 1) if log.get(s, 2) == kind]

    def count(self, kind):
        return len(self.rows(kind))


class TestBringUp(Case):
    def test_off_before_anything_else(self):                    # req: SAF-02
        self.assertEqual(self.bothoff.level, 0)
        self.assertEqual(self.afe.log, [])
        self.assertFalse(self.pack.afe_ready)
        self.assertIsNone(self.control.last_error)
        self.assertEqual(self.control.afe_starts, 0)

    def test_both_off_until_the_afe_is_configured(self):        # req: SAF-02 PRO-23
        self.pack.measurements.seq = 1          # not the first time: a part a period
        self.us_a_step = 5000
        self.afe.steps = 20
        steps = 0
        while not self.pack.afe_ready:
            self.step()
            steps += 1
            self.assertEqual((self.afe.fets, self.bothoff.level), (0, 0))
            self.assertTrue(steps < 20)
        self.assertTrue(4 <= steps <= 8, steps)
        self.assertEqual(len(self.afe.images), 1)

    def test_one_period_is_not_all_spent_on_it(self):           # req: SAF-02
        self.pack.measurements.seq = 1
        self.us_a_step = 1000
        self.afe.steps = 10_000
        for _ in range(3):
            before = self.us
            self.step()
            self.assertTrue(19_000 <= self.us - before <= 25_000, self.us - before)

    def test_the_charge_fet_first_then_both(self):              # req: PWR-01
        seen = []
        for _ in range(8):
            self.step()
            seen.append(self.afe.fets)
        self.assertEqual([bits for i, bits in enumerate(seen) if not i or bits != seen[i - 1]],
                         [0, CHARGE, BOTH])
        self.assertEqual(self.afe.log, [("charge",), ("fets", CHARGE), ("fets", BOTH)])
        self.assertEqual(self.bothoff.level, 1)

    def test_the_line_is_tried_once_and_before_anything_closes(self):   # req: SAF-02
        seen = []

        def prove_off():
            seen.append((self.bothoff.level, list(self.afe.log)))
            return iter(())
        self.afe.prove_off = prove_off
        self.run_up()
        self.assertEqual(seen, [(0, [])])
        self.control.restart()                      # configured anew: it need not be tried again
        self.step(20)
        self.assertEqual((len(seen), self.afe.fets, self.pack.faults), (1, BOTH, 0))

    def test_a_line_that_does_not_hold_is_a_fault_and_nothing_ever_closes(self):    # req: SAF-02
        self.afe.unheld = 0x01
        for _ in range(60):
            self.step()
            self.assertEqual((self.afe.fets, self.bothoff.level), (0, 0))
        self.assertEqual(self.pack.faults, FAULT_FET)
        self.assertEqual([row[1:] for row in self.rows(ev.AFE_ERROR)], [(6, -1, 1, 0)])
        self.pack.clear_faults()
        for _ in range(20):
            self.step()
            self.assertEqual((self.afe.fets, self.bothoff.level), (0, 0))
        self.assertEqual(self.pack.faults, FAULT_FET)

    def test_what_is_written_is_made_from_the_parameters(self):     # req: PRO-23
        from bms.protect import second_line as afe_config
        self.step(2)
        self.assertEqual(self.afe.images[0], afe_config.image(self.params, 250, 16))

    def test_configured_is_recorded_once(self):                 # req: PRO-25
        self.run_up()
        self.step(50)
        self.assertEqual([row[1:] for row in self.rows(ev.AFE_CONFIGURED)],
                         [(0, -1, 0x1234, 1)])
        self.assertEqual((self.control.afe_starts, self.pack.faults), (1, 0))

    def test_a_configuration_that_fails_is_tried_again_later(self):     # req: PRO-23 MEA-02
        for what in ("begin", "configure", "signature"):
            self.setUp()
            self.afe.fails = {what}
            self.step()
            self.assertEqual((self.afe.fets, self.bothoff.level), (0, 0))
            tries = self.control.afe_starts
            self.assertEqual(tries, 1, what)
            self.step(4)                                        # 400 ms: not yet
            self.assertEqual(self.control.afe_starts, 1, what)
            self.step(1)                                        # 500 ms
            self.assertEqual(self.control.afe_starts, 2, what)
            self.afe.fails = set()
            self.step(40)
            self.assertEqual((self.afe.fets, self.pack.faults), (BOTH, 0), what)
            self.assertEqual(self.control.afe_starts, 3, what)

    def test_a_failed_attempt_is_a_fault_with_its_error(self):  # req: PRO-23 PRO-25
        self.afe.fails = {"configure"}
        self.step()
        self.assertEqual(self.pack.faults & FAULT_AFE, FAULT_AFE)
        self.assertEqual(self.rows(ev.AFE_ERROR), [(self.now, 1, -1, 1, 0)])
        self.assertEqual([row[0] for row in self.rows(ev.FAULT)], [self.now])
        self.assertEqual(str(self.control.last_error), "configure")
        self.assertEqual(self.pack.measurements.failed_row, 1)
        self.assertEqual(self.pack.state, st.FAIL)

    def test_the_wait_doubles_up_to_8_seconds(self):            # req: MEA-02
        self.afe.fails = {"configure"}
        starts = []
        for i in range(400):
            before = self.control.afe_starts
            self.step()
            if self.control.afe_starts != before:
                starts.append(i)
        waits = [starts[i] - starts[i - 1] for i in range(1, len(starts))]
        self.assertEqual(waits[:7], [5, 10, 20, 40, 80, 80, 80])

    def test_the_waits_to_the_millisecond(self):                # req: MEA-02
        self.afe.fails = {"configure"}
        self.step()
        for wait_ms in (500, 1000, 2000, 4000, 8000, 8000):
            starts = self.control.afe_starts
            self.step(1, wait_ms - 1)
            self.assertEqual(self.control.afe_starts, starts, wait_ms)
            self.step(1, 1)
            self.assertEqual(self.control.afe_starts, starts + 1, wait_ms)

    def test_a_wait_that_ends_as_ticks_wrap(self):              # req: MEA-02
        self.now = WRAP - 600
        self.afe.fails = {"configure"}
        self.step()                                             # at WRAP - 500
        self.step(4)
        self.assertEqual(self.control.afe_starts, 1)
        self.step()                                             # at 0
        self.assertEqual(self.control.afe_starts, 2)

    def test_no_wait_is_left_over_after_days(self):             # req: MEA-02
        self.now = (1 << 29) - 100_000
        self.afe.fails = {"configure"}
        self.step()
        self.afe.fails = set()
        self.step(10)
        self.assertEqual(self.afe.fets, BOTH)
        self.step(1, (1 << 29) + 5000)                          # 6.2 days on
        self.control.restart()
        starts = self.control.afe_starts
        self.step()
        self.assertEqual(self.control.afe_starts, starts + 1)

    def test_the_hardware_line_is_held_low_all_the_while(self):     # req: SAF-02
        self.afe.fails = {"configure"}
        self.step(2)
        self.bothoff.level = 1                                  # whoever did that
        self.step()
        self.assertEqual(self.bothoff.level, 0)

    def test_the_wait_is_short_again_after_success(self):       # req: MEA-02
        self.afe.fails = {"configure"}
        self.step(100)
        self.afe.fails = set()
        self.step(100)
        self.assertEqual(self.afe.fets, BOTH)
        self.control.restart()
        self.afe.fails = {"configure"}
        self.step()
        starts = self.control.afe_starts
        self.step(4)
        self.assertEqual(self.control.afe_starts, starts)
        self.step(1)
        self.assertEqual(self.control.afe_starts, starts + 1)


class TestLookAtZero(Case):
    """A first start: the current sensor's offset is seen before a FET closes."""

    def setUp(self):
        super().setUp()
        self.params.set("zero_look_ms", 1500)
        self.past_ms = 0
        self.current_ma = 0

    def step(self, count=1, dt_ms=100):
        for _ in range(count):
            self.past_ms += dt_ms
            super().step(1, dt_ms)
        return self.afe.fets

    def integrator(self):
        """As the chip's: a count each 250 ms, 10 mAh a unit; it passes zero and wraps."""
        return self.past_ms // 250 * self.current_ma * 250 * 65536 // 36_000_000 - 60

    def look(self, current_ma):
        self.current_ma = current_ma
        self.afe.charge_of = self.integrator
        self.step(2)
        self.assertTrue(self.pack.afe_ready)
        steps = 0
        while not self.afe.fets:
            self.assertEqual((self.pack.state, self.bothoff.level), (st.SELF_TEST, 0))
            self.step()
            steps += 1
            self.assertTrue(steps < 30)
        self.step(2)
        self.assertEqual(self.afe.fets, BOTH)
        return steps

    def test_the_offset_is_known_before_a_fet_closes(self):     # req: SOC-01 SAF-02
        for offset_ma in (100, -100, 37, 0):
            self.setUp()
            self.assertTrue(14 <= self.look(offset_ma) <= 16)
            self.assertTrue(abs(self.pack.soc.offset_ua - 1000 * offset_ma) <= 2500,
                            (offset_ma, self.pack.soc.offset_ua))
            self.assertTrue(self.pack.soc.zero_is_known)

    def test_a_known_offset_costs_no_time(self):                # req: SOC-01
        self.look(50)
        self.control.restart()
        self.current_ma = 20_000                # of a welded FET, say: is not looked at
        self.assertTrue(self.look(20_000) <= 2)
        self.assertTrue(abs(self.pack.soc.offset_ua - 50_000) <= 2500)

    def test_current_that_cannot_be_an_offset_is_none(self):    # req: SOC-01
        for current_ma in (400, -400, 30_000, -300_000):
            self.setUp()
            self.look(current_ma)
            self.assertEqual(self.pack.soc.offset_ua, 0)
            self.assertFalse(self.pack.soc.zero_is_known)

    def test_an_afe_that_does_not_answer_delays_nothing(self):  # req: PWR-01
        self.afe.fails.add("read_charge")
        self.assertTrue(self.look(100) <= 2)
        self.assertEqual(self.pack.soc.offset_ua, 0)

    def test_one_that_stops_answering_ends_it_in_time(self):    # req: PWR-01
        self.afe.charge_of = self.integrator
        self.step(2)
        self.afe.fails.add("read_charge")
        self.assertTrue(self.look(100) <= 16)
        self.assertFalse(self.pack.soc.zero_is_known)


    def shown(self, look_ms, phase_ms, counts):
        """What see_zero() is told by a look of *look_ms*; *counts* of the integrator a 250 ms."""
        self.setUp()
        self.params.set("zero_look_ms", look_ms)
        self.past_ms = phase_ms
        calls = []
        self.pack.soc.see_zero = lambda moved, past_ms: calls.append((moved, past_ms))
        self.afe.charge_of = lambda: self.past_ms // 250 * counts
        self.step(40)
        self.assertEqual((self.afe.fets, self.pack.looking_at_zero), (BOTH, False))
        return calls

    def test_time_and_charge_are_those_between_two_counts(self):        # req: SOC-01
        for phase_ms in range(0, 250, 10):
            (moved, past_ms), = self.shown(1500, phase_ms, 1000)
            self.assertEqual((moved, past_ms % 250), (past_ms * 4, 0), phase_ms)
            self.assertTrue(1000 <= past_ms <= 1500, past_ms)
            (moved, past_ms), = self.shown(1500, phase_ms, -7)
            self.assertEqual(moved * 250, past_ms * -7)

    def test_where_nothing_is_counted_the_whole_look_counts(self):      # req: SOC-01
        for look_ms, calls in ((300, []), (500, [(0, 500)]), (1500, [(0, 1500)])):
            self.assertEqual(self.shown(look_ms, 0, 0), calls)

    def test_two_counts_are_too_few(self):                      # req: SOC-01
        self.assertEqual(self.shown(300, 0, 1000), [])

    def test_a_look_that_was_broken_off_is_none(self):          # req: SOC-01 PRO-23
        calls = []
        self.pack.soc.see_zero = lambda moved, past_ms: calls.append((moved, past_ms))
        self.afe.charge_of = lambda: self.past_ms // 250 * 1000
        self.step(8)
        self.assertTrue(self.pack.looking_at_zero)
        self.control.restart()
        self.assertEqual((self.pack.looking_at_zero, self.control.counted_ms), (False, -1))
        self.step(40)
        (moved, past_ms), = calls
        self.assertEqual(moved, past_ms * 4)
        self.assertTrue(past_ms <= 1500, past_ms)

    def test_when_it_was_counted_last(self):                    # req: SAF-07
        self.assertEqual(self.control.counted_ms, -1)
        self.afe.charge_of = self.integrator
        while not self.pack.afe_ready:
            self.step()
        self.assertEqual(self.control.counted_ms, self.now)     # with the configuration
        while self.pack.looking_at_zero:
            self.step()
        self.assertEqual(self.control.counted_ms, self.now)
        self.step(50)
        self.assertNotEqual(self.control.counted_ms, self.now)


class TestRest(Case):
    """Asleep: scans far apart, and an AFE that may sleep too."""

    def setUp(self):
        super().setUp()
        self.paces = []
        self.control = Control(self.afe, self.pack, 250, self.bothoff, self.limiter, self.ticks,
                               lambda rests, now_ms: self.paces.append((rests, now_ms)))
        self.rests = False
        self.pack.power.rests = lambda: self.rests
        self.apart = []
        self.pack.measurements.pace = self.apart.append
        self.run_up()

    def sleeps(self):
        return [entry[1] for entry in self.afe.log if entry[0] == "sleep"]

    def fall_asleep(self):
        self.rests = True
        self.pack.hold(BOTH, self.now)
        self.step(2)
        self.assertEqual((self.sleeps(), self.paces), ([True], [(True, self.now)]))

    def test_not_while_a_fet_is_closed(self):                   # req: PWR-10
        self.rests = True
        self.step(5)
        self.assertEqual((self.sleeps(), self.paces, self.apart), ([], [], []))
        self.fall_asleep()
        self.step(5)
        self.assertEqual((len(self.sleeps()), self.apart), (1, [500]))

    def test_awake_again_at_once(self):                         # req: PWR-12
        self.fall_asleep()
        self.rests = False
        self.step()
        self.assertEqual((self.sleeps(), self.paces[-1], self.apart),
                         ([True, False], (False, self.now), [500, 100]))
        self.assertTrue(self.pack.afe_ready)
        self.step(5)
        self.assertEqual(len(self.paces), 2)

    def test_an_afe_that_does_not_take_it_is_asked_again(self):     # req: PWR-10
        self.afe.fails.add("sleep")
        self.rests = True
        self.pack.hold(BOTH, self.now)
        self.step(5)
        self.assertEqual((self.paces, self.pack.afe_ready), ([], True))
        self.afe.fails.clear()
        self.step()
        self.assertEqual((self.sleeps(), self.paces), ([True], [(True, self.now)]))

    def test_one_that_does_not_wake_is_configured_again(self):  # req: PWR-12 MEA-02
        self.fall_asleep()
        self.bothoff.level = 1
        self.afe.fails.add("sleep")
        self.rests = False
        self.step()
        self.assertEqual((self.pack.afe_ready, self.bothoff.level, self.paces[-1], self.apart),
                         (False, 0, (False, self.now), [500, 100]))
        self.pack.hold(0, self.now)
        self.step(10)
        self.assertEqual((self.pack.afe_ready, self.afe.fets), (True, BOTH))

    def test_without_anybody_to_tell(self):                     # req: PWR-10
        self.control = Control(self.afe, self.pack, 250, self.bothoff, self.limiter, self.ticks)
        self.rests = True
        self.pack.hold(BOTH, self.now)
        self.step(10)
        self.assertEqual(self.sleeps(), [True])

    def test_a_timed_wake_has_a_configuration_of_its_own(self):     # req: PWR-12 PRO-23
        power = self.pack.power
        power.step = lambda *rest: 0
        usual = afe_config.image(self.params, 250, 16)
        deep = afe_config.image(self.params, 250, 16, True)
        self.assertNotEqual(usual, deep)
        self.assertEqual(self.afe.images, [usual])
        for mode, images in ((TRYING, [usual, deep]), (AWAKE, [usual, deep, usual])):
            power.mode = mode
            self.step(20)
            self.assertEqual(self.afe.images, images)
        self.assertEqual(self.errors(), [2, 2])

    def test_the_scan_that_was_acted_on(self):                  # req: SAF-07
        fresh = Control(self.afe, self.pack, 250, self.bothoff, self.limiter, self.ticks)
        self.assertEqual(fresh.acted, 0)
        for _ in range(3):
            self.step()
            self.assertEqual(self.control.acted, self.pack.measurements.seq)


class FakeTask:
    period_ms = 100

    def set_period(self, period_ms):
        self.period_ms = period_ms


class TestRunning(Case):
    def test_a_wrong_sum_takes_the_scans_out_of_step_with_a_ripple(self):      # req: MEA-06
        self.run_up()
        task = self.control.task = FakeTask()
        self.step(2)
        self.assertEqual(task.period_ms, 100)
        put16(self.afe.regs, 0x34, 5200)                    # of 5280
        self.step(2)
        for ripple_ms in (10, 25 / 3, 50 / 3):              # it sees all parts of each
            parts = {int(k * task.period_ms % ripple_ms / ripple_ms * 4) for k in range(12)}
            self.assertEqual(parts, {0, 1, 2, 3})
        self.assertTrue(95 <= task.period_ms < 100)
        put16(self.afe.regs, 0x34, 5280)
        self.step(40)
        self.assertEqual(task.period_ms, 100)

    def test_a_scan_comes_when_a_delay_has_passed(self):        # req: PRO-21
        for first_ms in range(60, 140, 7):                      # scans that were late or early
            self.setUp()
            self.run_up()
            task = self.control.task = FakeTask()
            self.step()
            set_cells(self.afe.regs, 3300, 3610)
            self.step()
            past_ms, dt_ms = 0, first_ms
            while self.afe.fets == BOTH:
                self.step(1, dt_ms)
                past_ms += dt_ms
                self.assertTrue(past_ms <= 3000)
                dt_ms = task.period_ms
                self.assertTrue(50 <= dt_ms <= 100)
            self.assertTrue(3000 <= past_ms)
            self.step()
            self.assertEqual(task.period_ms, 100)

    def test_nothing_is_sent_while_nothing_changes(self):       # req: PWR-01
        self.run_up()
        self.step(50)
        self.assertEqual([entry for entry in self.afe.log if entry[0] != "balance"], [])

    def test_a_protection_opens_its_fet(self):                  # req: PRO-20
        for cells, left in (((3300, 3610), DISCHARGE), ((3300, 2690), CHARGE)):
            self.setUp()
            self.run_up()
            set_cells(self.afe.regs, *cells)
            self.step(30)
            self.assertEqual(self.afe.fets, BOTH)
            self.step(1)
            self.assertEqual((self.afe.fets, self.bothoff.level), (left, 1))

    def test_both_are_opened_by_wire_too(self):                 # req: PRO-20 SAF-02
        self.run_up()
        put16(self.afe.regs, 0x7A, 1060 + 2731)                 # MOSFETs at 106 degC
        self.step(31)
        self.assertEqual((self.afe.fets, self.bothoff.level), (0, 0))

    def test_the_hardware_line_falls_before_the_command_can_fail(self):     # req: SAF-02
        self.run_up()
        put16(self.afe.regs, 0x7A, 1060 + 2731)
        self.step(30)
        self.afe.fails = {"fets"}
        self.step(1)
        self.assertEqual(self.bothoff.level, 0)
        self.assertTrue(self.pack.fets.unsure)

    def test_a_command_that_fails_opens_both_and_is_repeated(self):     # req: PWR-01
        self.run_up()
        set_cells(self.afe.regs, 3300, 3610)
        self.step(30)
        self.afe.fails = {"fets"}
        self.step(3)
        self.assertEqual(self.bothoff.level, 0)
        self.afe.fails = set()
        self.step(1)
        self.assertEqual((self.afe.fets, self.bothoff.level), (DISCHARGE, 1))

    def test_a_fet_that_does_not_follow_is_a_fault(self):       # req: PWR-01
        self.run_up()
        self.afe.follows = False
        set_cells(self.afe.regs, 3300, 3610)
        self.step(31)
        steps = 0
        while not self.pack.faults & FAULT_FET:
            self.step()
            steps += 1
            self.assertTrue(steps < 10)
        self.assertEqual(steps, 2)                  # closed against the command (PRO-28)
        self.assertEqual(self.bothoff.level, 0)

    def test_the_afe_that_holds_a_fet_off_is_no_fault(self):    # req: PWR-01 PRO-23
        for safety, fault in ((0x10, 0), (0x01, FAULT_FET), (0x080000, FAULT_FET)):
            self.setUp()
            self.run_up()
            self.afe.follows = False
            self.afe.fets = DISCHARGE
            self.pack.params.set("oc_release_ms", 5000)
            self.afe.regs[0x03] = safety & 0xFF
            self.afe.regs[0x07] = safety >> 16
            self.step(70)
            self.assertEqual(self.pack.faults & FAULT_FET, fault, hex(safety))

    def test_the_limiter_follows_the_pack(self):                # req: LIM-01
        self.run_up()
        put16(self.afe.regs, 0x3A, 10_010)
        self.step()
        self.assertEqual(self.limiter.level, 1)
        put16(self.afe.regs, 0x3A, 500)
        self.step(1198)
        self.assertEqual(self.limiter.level, 1)
        self.step(5)
        self.assertEqual(self.limiter.level, 0)

    def test_trips_of_the_afe_are_recorded_when_they_change(self):  # req: PRO-25
        self.run_up()
        self.afe.regs[0x03] = 0x10
        self.step(3)
        self.afe.regs[0x03] = 0x00
        self.step(3)
        self.assertEqual([row[1:] for row in self.rows(ev.AFE_TRIP)],
                         [(0, -1, 0x10, 0), (0, -1, 0, 0x10)])


class TestShortCircuit(Case):
    def short(self):
        self.run_up()
        self.afe.regs[0x03] = SHORT
        put16(self.afe.regs, 0x36, 0)
        self.afe.fets = 0                       # the AFE opened them
        self.step()
        self.assertEqual((self.afe.fets, self.bothoff.level), (0, 0))

    def test_load_detection_runs_until_the_load_is_gone(self):      # req: PRO-08
        self.short()
        self.assertEqual([e for e in self.afe.log if e[0] == "load"], [("load", True)])
        self.afe.regs[0x03] = 0
        self.step(20)
        self.assertEqual(self.afe.fets, 0)
        scan = self.afe.scan

        def free():
            result = scan()
            put16(self.afe.regs, 0x38, 5000)
            return result

        self.afe.scan = free
        self.step(12)
        self.assertEqual((self.afe.fets, self.bothoff.level), (BOTH, 1))
        self.assertEqual([e for e in self.afe.log if e[0] == "load"],
                         [("load", True), ("load", False)])

    def test_a_load_detection_that_cannot_be_set_is_tried_again(self):      # req: PRO-08
        self.run_up()
        self.afe.fails = {"load"}
        self.afe.regs[0x03] = SHORT
        put16(self.afe.regs, 0x36, 0)
        self.afe.fets = 0
        self.step(3)
        self.assertEqual(self.bothoff.level, 0)
        self.afe.fails = set()
        self.step(3)
        self.assertEqual([e for e in self.afe.log if e[0] == "load"], [("load", True)])


class TestSilence(Case):
    def test_4_scans_are_forgiven_the_5th_opens_both(self):     # req: MEA-02
        self.run_up()
        self.afe.silent = True
        self.step(4)
        self.assertEqual((self.afe.fets, self.bothoff.level), (BOTH, 1))
        self.step(1)
        self.assertEqual(self.bothoff.level, 0)
        self.assertEqual(self.pack.faults & FAULT_SCAN, FAULT_SCAN)
        self.assertFalse(self.pack.afe_ready)

    def test_it_comes_back_by_configuring_the_afe_again(self):  # req: MEA-02
        self.run_up()
        self.afe.silent = True
        self.step(5)
        self.afe.silent = False
        starts = self.control.afe_starts
        self.step(4)
        self.assertEqual(self.control.afe_starts, starts)       # 500 ms of back-off
        self.step(10)
        self.assertEqual(self.control.afe_starts, starts + 1)
        self.assertEqual((self.afe.fets, self.bothoff.level, self.pack.faults), (BOTH, 1, 0))

    def test_failed_scans_are_counted(self):                    # req: MEA-02
        self.run_up()
        self.afe.silent = True
        self.step(3)
        self.assertEqual((self.pack.measurements.failed_row, self.pack.measurements.failed_all),
                         (3, 3))

    def test_an_exception_while_configuring_begins_it_anew(self):   # req: SAF-03 PRO-23
        self.pack.measurements.seq = 1
        self.us_a_step = 5000
        self.afe.steps = 20
        self.step(2)
        self.control.restart()
        self.step(2)
        self.assertEqual((len(self.afe.images), self.control.afe_starts), (2, 2))

    def test_an_exception_in_the_task_means_off_and_anew(self):     # req: SAF-03
        self.run_up()
        self.control.restart()
        self.assertEqual((self.bothoff.level, self.pack.afe_ready), (0, False))
        starts = self.control.afe_starts
        self.step(8)
        self.assertEqual(self.control.afe_starts, starts + 1)
        self.assertEqual((self.afe.fets, self.bothoff.level), (BOTH, 1))


class TestBleeding(Case):
    """What the strategy asks for reaches the AFE; what the AFE took reaches the strategy."""

    def setUp(self):
        Case.setUp(self)
        self.mask = 0
        self.asked = []
        self.settled = []
        balancing = self.pack.balancing
        self.settle = balancing.settle
        balancing.next_mask = self.next_mask
        balancing.settle = self.note_settle

    def next_mask(self, fresh):
        self.asked.append(fresh)
        return self.mask

    def note_settle(self, measured, now_ms, start_us):
        self.settled.append((measured.seq, now_ms, start_us))
        self.settle(measured, now_ms, start_us)

    def masks(self):
        return [entry[1] for entry in self.afe.log if entry[0] == "balance"]

    def test_a_mask_is_written_when_it_changes(self):           # req: BAL-02
        self.run_up()
        for mask, masks in ((0, []), (0x14, [0x14]), (0x14, [0x14]), (0x28, [0x14, 0x28]),
                            (0, [0x14, 0x28, 0])):
            self.mask = mask
            self.step(2)
            self.assertEqual(self.masks(), masks)
            self.assertEqual(self.pack.balancing.written, mask)

    def test_a_write_that_fails_is_repeated_and_counts_as_bleeding(self):   # req: BAL-02 MEA-05
        self.run_up()
        self.mask = 0x14
        self.afe.fails = {"balance"}
        self.step()
        self.assertFalse(self.pack.balancing.written in (0, 0x14))
        self.assertEqual(self.afe.fets, BOTH)
        self.afe.fails = set()
        self.step()
        self.assertEqual((self.masks(), self.pack.balancing.written), ([0x14], 0x14))

    def test_a_failed_scan_is_told(self):                       # req: MEA-02 BAL-02
        self.run_up()
        self.asked = []
        self.step()
        self.afe.silent = True
        self.step()
        self.assertEqual(self.asked, [True, False])

    def test_every_fresh_scan_is_settled_before_it_is_used(self):   # req: MEA-05 BAL-02
        self.run_up()
        self.settled = []
        begun = self.us
        self.step()
        # after the scan was taken, with the time at which it began
        self.assertEqual(self.settled,
                         [(self.pack.measurements.seq, self.now, begun + self.us_a_step)])
        self.afe.silent = True
        self.step()
        self.assertEqual(len(self.settled), 1)

    def test_a_lost_afe_bleeds_nothing(self):                   # req: BAL-02
        self.run_up()
        self.mask = 0x14
        self.step()
        self.control.restart()
        self.assertEqual(self.pack.balancing.written, 0)
        self.step(6)
        self.assertEqual(self.masks(), [0x14, 0x14])            # told again after it is back


class TestCharge(Case):
    """The AFE's integrator every 10 s: units of 10 mAh and their 65 536ths."""

    def setUp(self):
        Case.setUp(self)
        self.counted = []
        self.pack.count_charge = lambda uah, dt_ms: self.counted.append((uah, dt_ms))

    def test_every_10_seconds_what_moved_since(self):           # req: SOC-01
        self.run_up()                       # configured at the first step, counted from there
        self.step(94)
        self.assertEqual(self.counted, [])
        self.step()
        self.assertEqual(self.counted, [(0, 10_000)])           # it was read when configured
        for charge, uah in (((0, 65_535), 9999), ((1, 0), 0), ((3, 32_768), 25_000),
                            ((2, 32_768), -10_000), ((2, 0), -5000), ((-70_000, 1), -700_020_000)):
            self.afe.charge = charge
            self.step(99)
            counted = len(self.counted)
            self.step()
            self.assertEqual(len(self.counted), counted + 1)
            self.assertEqual(self.counted[-1], (uah, 10_000), charge)

    def test_to_the_millisecond(self):                          # req: SOC-01
        self.run_up()
        self.step(9, 1000)
        self.step(1, 499)                   # 500 ms after the configuration in run_up()
        self.assertEqual(self.counted, [])
        self.step(1, 1)
        self.assertEqual(self.counted, [(0, 10_000)])
        self.step(1, 9999)
        self.assertEqual(len(self.counted), 1)
        self.step(1, 1)
        self.assertEqual(self.counted[-1], (0, 10_000))

    def test_what_could_not_be_read_is_in_the_next(self):       # req: SOC-01 MEA-02
        self.run_up()
        self.step(95)
        self.afe.fails = {"read_charge"}
        self.step(100)
        self.afe.fails = set()
        self.afe.charge = 2, 0
        self.step()
        self.assertEqual(self.counted, [(0, 10_000), (20_000, 10_100)])

    def test_a_failed_scan_counts_nothing(self):                # req: MEA-02 SOC-01
        self.run_up()
        self.step(94)
        self.afe.silent = True
        self.step()
        self.assertEqual(self.counted, [])
        self.afe.silent = False
        self.step()
        self.assertEqual(self.counted, [(0, 10_100)])

    def test_after_a_configuration_it_begins_anew(self):        # req: SOC-01 PRO-23
        self.run_up()
        self.step(95 + 100)
        self.assertEqual(self.counted[-1], (0, 10_000))
        self.counted = []
        self.control.restart()              # nothing had flowed unseen in no time
        self.assertEqual(self.counted, [])
        self.afe.charge = 7, 0
        self.step()                         # configured: the AFE's count is from here
        self.step(99)
        self.assertEqual(self.counted, [])
        self.afe.charge = 9, 0
        self.step()
        self.assertEqual(self.counted, [(20_000, 10_000)])

    def test_what_a_lost_afe_had_not_shown_is_counted_by_the_current(self):     # req: SOC-01
        self.run_up()
        self.step(95 + 100)
        self.counted = []
        self.step(37)
        self.control.restart()
        self.assertEqual(self.counted, [(None, 3700)])
        self.control.restart()              # once
        self.assertEqual(len(self.counted), 1)
        self.step(42)                       # configured at the first of them
        self.control.restart()
        self.assertEqual(self.counted[1:], [(None, 4100)])

    def test_nothing_is_counted_before_a_first_scan(self):      # req: SOC-01 MEA-05
        self.afe.silent = True              # configured, and no current was ever read
        self.step(40)
        self.assertTrue(self.control.afe_starts)
        self.assertEqual((self.pack.measurements.seq, self.counted), (0, []))

    def test_nor_is_it_where_the_afe_was_misled(self):          # req: SOC-01 MEA-03
        self.run_up()
        self.step(37)
        self.pack.afe_misled = True
        self.control.restart()
        self.assertEqual(self.counted, [])

    def test_a_count_that_began_anew_unseen_is_none(self):      # req: SOC-01
        self.run_up()
        self.afe.charge = -300, 0
        self.afe.seconds = 5000
        self.step(95)
        self.afe.charge = 0, 32_768
        self.afe.seconds = 1
        self.step(100)
        self.afe.seconds = 11
        self.afe.charge = 1, 32_768
        self.step(100)
        self.assertEqual(self.counted, [(-3_000_000, 10_000), (None, 10_000), (10_000, 10_000)])

    def test_a_count_that_cannot_be_read_at_first(self):        # req: SOC-01 MEA-02
        self.afe.fails = {"read_charge"}
        self.run_up()
        self.afe.fails = set()
        self.step(95)
        self.assertEqual(self.counted, [(None, 10_000)])        # nobody knows when it was zero


class TestConfigurationLost(Case):
    def check_repaired(self, reason):
        """Both FETs off at once, configured again, recorded with *reason*."""
        seq = self.pack.measurements.seq
        self.afe.log = []
        self.step()
        self.assertEqual((self.bothoff.level, self.pack.afe_ready), (0, False), reason)
        fets = self.pack.fets
        self.assertEqual((fets.wanted, fets.unsure), (0, True))
        self.assertEqual(self.pack.measurements.seq, seq)       # nothing of it is taken over
        self.assertEqual([entry for entry in self.afe.log if entry[0] == "fets"], [])
        self.assertEqual(self.rows(ev.AFE_ERROR)[-1],
                         (self.now, reason, -1, self.afe.regs[0x12], 0x1234))
        self.assertEqual(self.pack.state, st.SELF_TEST)
        self.assertEqual(self.errors()[-1:], [reason])
        self.assertEqual((self.pack.ccl_ma, self.pack.dcl_ma), (0, 0))
        starts = self.control.afe_starts
        self.afe.word = 0x1234
        self.afe.gain = None
        self.afe.fails = set()
        self.step(8)
        self.assertEqual(self.control.afe_starts, starts + 1)
        self.assertEqual((self.afe.fets, self.bothoff.level), (BOTH, 1))

    def test_an_afe_that_restarted(self):                       # req: PRO-23
        self.run_up()
        self.afe.regs[0x12] |= RESTARTED
        self.check_repaired(0)
        self.assertEqual([entry for entry in self.afe.log if entry[0] == "load"], [])

    def test_a_scan_of_a_restarted_afe_is_no_time_for_a_timer(self):    # req: PRO-21 MEA-05
        self.run_up()
        set_cells(self.afe.regs, 3300, 3610)
        self.step(30)
        self.afe.regs[0x12] |= RESTARTED
        self.step()
        self.assertEqual(self.pack.protection.trips, 0)

    def test_load_detection_is_switched_on_again(self):         # req: PRO-08 PRO-23
        self.run_up()
        self.afe.regs[0x03] = SHORT
        put16(self.afe.regs, 0x36, 0)
        self.afe.fets = 0
        self.step(2)
        self.afe.regs[0x12] |= RESTARTED
        self.step(8)
        self.assertEqual([entry for entry in self.afe.log if entry[0] == "load"],
                         [("load", True), ("load", True)])

    def test_parameters_that_do_not_concern_it(self):           # req: PRO-23
        self.run_up()
        self.params.set("limiter_on_s", 60)
        self.step(3)
        self.assertEqual((self.control.afe_starts, self.afe.fets), (1, BOTH))

    def test_verified_once_a_minute(self):                      # req: PRO-23
        looks = []
        signature = self.afe.signature

        def noted():
            looks.append(self.now)
            return signature()

        self.afe.signature = noted
        self.run_up()
        self.step(1900)
        gaps = [(looks[i] - looks[i - 1]) % WRAP for i in range(1, len(looks))]
        self.assertEqual(gaps, [59_500, 60_000, 60_000])
        self.assertEqual(self.afe.fets, BOTH)

    def test_no_scan_has_two_long_talks(self):
        talks = []
        signature = self.afe.signature
        read_charge = self.afe.read_charge

        def verified():
            talks.append((self.now, "verified"))
            return signature()

        def counted():
            talks.append((self.now, "counted"))
            read_charge()

        self.run_up()                       # configuring has a time of its own
        self.afe.signature = verified
        self.afe.read_charge = counted
        self.step(1900)
        times = [at for at, _ in talks]
        self.assertEqual(len(set(times)), len(times), repr(talks))
        self.assertEqual(len([what for _, what in talks if what == "counted"]), 19)

    def test_the_minute_to_the_millisecond(self):               # req: PRO-23
        self.run_up()
        while self.now % 100:
            self.step(1, 1)
        looks = []
        signature = self.afe.signature

        def noted():
            looks.append(self.now)
            return signature()

        self.afe.signature = noted
        for _ in range(700):
            if looks:
                break
            self.step()
        self.step(599)
        self.step(1, 99)
        self.assertEqual(len(looks), 1)
        self.step(1, 1)
        self.assertEqual(len(looks), 2)

    def looks_after(self, spoil):
        """Steps after *spoil*(regs) in which the configuration was looked at."""
        self.run_up()
        self.step(20)
        looks = []
        signature = self.afe.signature

        def noted():
            looks.append(self.now)
            return signature()

        self.afe.signature = noted
        before = self.now
        spoil(self.afe.regs)
        self.step(10)
        return [(at - before) % WRAP // 100 for at in looks]

    def test_a_trip_of_the_afe_is_believed_from_a_sound_configuration_only(self):   # req: PRO-23
        for reg, bit in ((0x03, 0x10), (0x05, 0x10), (0x07, 0x80), (0x03, 0x04), (0x05, 0x80),
                         (0x05, 0x01), (0x07, 0x20)):
            self.setUp()

            def spoil(regs, reg=reg, bit=bit):
                regs[reg] = bit

            self.assertEqual(self.looks_after(spoil), [1], (reg, bit))
            self.assertEqual(self.count(ev.TRIP), 1)

    def test_a_trip_by_a_changed_memory_is_none(self):          # req: PRO-23
        self.run_up()
        self.step(20)
        self.afe.word = 0x4321
        self.afe.regs[0x03] = 0x10
        self.step()
        self.assertEqual((self.pack.protection.trips, self.pack.afe_ready), (0, False))
        self.assertEqual(self.errors(), [3])

    def test_the_afe_forgets_what_a_changed_memory_made_it_trip_for(self):  # req: PRO-23 PRO-08
        self.run_up()
        self.step(20)
        self.afe.word = 0x4321
        self.afe.regs[0x03] = SHORT
        self.afe.log = []
        self.step()
        self.assertEqual(self.afe.log, [("reset",)])
        self.step()                                 # it does not answer for some 60 ms
        self.assertEqual(self.control.afe_starts, 2)
        self.afe.word = 0x1234
        self.step(8)
        self.assertEqual((self.pack.protection.trips, self.afe.fets), (0, BOTH))

    def test_it_is_left_alone_for_100_ms_after_its_reset(self):     # req: PRO-23
        self.run_up()
        self.step(20)
        self.afe.word = 0x4321
        self.afe.regs[0x03] = SHORT
        self.step()
        self.step(1, 99)
        self.assertEqual(self.control.afe_starts, 1)
        self.step(1, 1)
        self.assertEqual(self.control.afe_starts, 2)

    def test_no_reset_for_other_reasons(self):                  # req: PRO-23 PRO-08
        self.run_up()
        put16(self.afe.regs, 0x12, RESTARTED)
        self.step(8)
        self.assertEqual((self.control.afe_starts, self.afe.log.count(("reset",))), (2, 0))

    def test_an_afe_that_was_misled_starts_anew(self):          # req: PRO-23 MEA-03
        self.run_up()
        self.step(20)
        put16(self.afe.regs, 0x70, 0x7FFF)          # a shorted sensor: OTC, OTD
        self.step(12)
        self.afe.regs[0x05] = 0x30
        self.step(30)
        self.assertEqual(self.control.afe_starts, 1)
        put16(self.afe.regs, 0x70, 250 + 2731)
        self.step(12)
        self.assertEqual((self.errors(), self.afe.log.count(("reset",))), ([5], 1))
        self.step(8)
        self.assertEqual((self.control.afe_starts, self.afe.fets), (2, BOTH))
        self.assertEqual(self.pack.protection.trips, 0)

    def test_other_bits_of_the_afe_are_no_reason_to_look(self):     # req: PRO-23
        for reg, bit in ((0x03, 0x03), (0x05, 0x08), (0x07, 0x09)):
            self.setUp()

            def spoil(regs, reg=reg, bit=bit):
                regs[reg] = bit

            self.assertEqual(self.looks_after(spoil), [], (reg, bit))

    def test_a_new_doubt_is_a_reason_to_look(self):             # req: PRO-23 MEA-03
        self.assertEqual(self.looks_after(lambda regs: put16(regs, 0x70, 0)), [2])

    def test_without_a_reason_nothing_is_looked_at(self):       # req: PRO-23
        self.assertEqual(self.looks_after(lambda regs: None), [])

    def test_a_changed_memory_is_found_and_repaired(self):      # req: PRO-23
        self.run_up()
        self.step(590)
        self.afe.word = 0x4321
        self.assertEqual(self.step(), BOTH)
        while self.bothoff.level and self.pack.afe_ready:
            last = self.now
            self.step()
            self.assertTrue((self.now - last) % WRAP < 200)
        self.assertEqual(self.errors(), [3])
        self.afe.word = 0x1234
        self.step(8)
        self.assertEqual((self.afe.fets, self.control.afe_starts), (BOTH, 2))

    def until_verified(self):
        self.run_up()
        self.step(588)
        self.assertEqual(self.errors(), [])

    def test_a_changed_gain_is_found_and_repaired(self):        # req: PRO-23 MEA-04
        self.until_verified()
        self.afe.gain = b"12345678"
        self.step(6)
        self.assertEqual(self.errors(), [3])

    def test_no_answer_to_the_question_is_a_difference(self):   # req: PRO-23
        for what in ("signature", "read"):
            self.setUp()
            self.until_verified()
            self.afe.fails = {what}
            for _ in range(6):
                if self.pack.afe_ready:
                    self.step()
            self.assertEqual(self.errors()[:1], [4], what)
            self.assertEqual(self.bothoff.level, 0, what)


class TestUpdate(Case):
    """Parameters that the AFE holds too: limits first, then one short opening."""

    def setUp(self):
        super().setUp()
        self.params.set("boost_ma", 50_000)
        self.run_up()
        self.flow(-60_000)
        self.step(600)                      # limits rise by 2 A a second
        self.told = []

    def flow(self, current_ma):
        """A current, and what it does to cells, stack and terminals: 0.5 mOhm a cell."""
        regs = self.afe.regs
        before_ma = ((regs[0x3A] | regs[0x3B] << 8) ^ 0x8000) - 0x8000
        put16(regs, 0x3A, current_ma // 10 & 0xFFFF)
        moved_mv = (current_ma // 10 - before_ma) * 10 // 2000
        for reg in range(0x14, 0x34, 2):
            put16(regs, reg, (regs[reg] | regs[reg + 1] << 8) + moved_mv)
        for reg in (0x34, 0x36):
            put16(regs, reg, (regs[reg] | regs[reg + 1] << 8) + 16 * moved_mv // 10)

    def watch(self, ms, dt_ms=100):
        """[(ms, FETs closed, charge limit, discharge limit)] at each change."""
        seen = []
        for at in range(0, ms, dt_ms):
            self.step(1, dt_ms)
            now = (self.afe.fets if self.bothoff.level else 0, self.pack.ccl_ma, self.pack.dcl_ma)
            if not seen or seen[-1][1:] != now:
                seen.append((at + dt_ms,) + now)
        return seen

    def rows_written(self):
        return [entry[1] for entry in self.afe.log if entry[0] == "update"]

    def test_limits_first_then_one_short_opening(self):         # req: PAR-04 COM-05
        self.assertEqual((self.pack.ccl_ma, self.pack.dcl_ma), (50_000, 50_000))
        self.params.set("cell_ov_trip_mv", 3650)
        seen = self.watch(8000)
        self.assertEqual(seen[0], (100, BOTH, 0, 0))
        opened = [row for row in seen if row[1] == 0]
        self.assertEqual(len(opened), 1)
        self.assertTrue(4900 <= opened[0][0] <= 5200)           # 60 A went on: 5 s
        closed = [row[0] for row in seen if row[1] == BOTH and row[0] > opened[0][0]]
        self.assertTrue(closed[0] - opened[0][0] <= 500)
        self.assertEqual(seen[-1][1:], (BOTH, 50_000, 50_000))
        self.assertTrue(seen[-1][0] - opened[0][0] <= 700)
        self.assertEqual((self.control.afe_starts, len(self.afe.images)), (1, 1))

    def test_a_load_that_follows_is_not_kept_waiting(self):     # req: PAR-04
        for current_ma, fast in ((1990, True), (-1990, True), (2000, False), (-2000, False)):
            self.setUp()
            self.params.set("cell_ov_trip_mv", 3650)
            self.step(10)
            self.flow(current_ma)
            seen = self.watch(7000)
            opened = [row[0] for row in seen if row[1] == 0]
            self.assertEqual(opened[0] + 1000 <= 1600, fast, current_ma)
            self.assertTrue(opened[0] + 1000 >= 1300)           # a CAN frame a second tells it

    def test_only_the_rows_that_differ(self):                   # req: PAR-04 PRO-23
        self.params.set("cell_ov_trip_mv", 3650)
        self.watch(8000)
        wanted = dict(afe_config.image(self.params, 250))
        self.assertEqual(self.rows_written(), [[(0x9278, wanted[0x9278])]])

    def test_what_the_afe_does_not_hold_opens_nothing(self):    # req: PAR-04
        for name, value in (("limiter_on_s", 60), ("cell_ov_release_mv", 3350),
                            ("cell_ov_trip_mv", 3605), ("nominal_ma", 40_000)):
            self.params.set(name, value)
            before = self.afe.log.count(("fets", 0, 0))
            seen = self.watch(7000)
            self.assertEqual([row for row in seen if row[1] != BOTH], [], name)
            self.assertEqual((self.rows_written(), before), ([], 0))

    def test_many_changes_one_opening(self):                    # req: PAR-04
        names = (("cell_ov_trip_mv", 3650), ("cell_uv_trip_mv", 2600), ("chg_ot_trip_dc", 570),
                 ("dsg_oc2_trip_ma", 140_000), ("cell_ov_delay_ms", 2000))
        openings = 0
        for name, value in names:
            self.params.set(name, value)
            openings += len([row for row in self.watch(500) if row[1] == 0])
        openings += len([row for row in self.watch(10_000) if row[1] == 0])
        self.assertEqual((openings, len(self.rows_written())), (1, 1))
        self.assertTrue(len(self.rows_written()[0]) >= 4)

    def test_a_change_that_is_taken_back_opens_nothing(self):   # req: PAR-04
        self.params.set("cell_ov_trip_mv", 3650)
        self.step(10)
        self.params.set("cell_ov_trip_mv", 3600)
        seen = self.watch(8000)
        self.assertEqual(seen[-1], (100, BOTH, 50_000, 50_000))
        self.assertEqual(self.rows_written(), [])

    def test_a_change_while_it_is_written_is_written_too(self):     # req: PAR-04 PRO-23
        self.us_a_step = 15_000
        self.params.set("cell_ov_trip_mv", 3650)
        while self.bothoff.level:
            self.step()
        self.params.set("cell_uv_trip_mv", 2500)
        self.watch(12_000)
        self.assertEqual(len(self.rows_written()), 2)
        self.assertEqual((self.afe.fets, self.pack.dcl_ma), (BOTH, 50_000))
        self.assertEqual(self.control._image, afe_config.image(self.params, 250))

    def test_nothing_is_told_where_both_are_open(self):         # req: PAR-04
        self.pack.hold(BOTH, self.now)
        self.step(3)
        self.params.set("cell_ov_trip_mv", 3650)
        self.step(2)
        self.assertEqual(len(self.rows_written()), 1)

    def test_an_afe_that_does_not_take_it_starts_anew(self):    # req: PAR-04 PRO-23
        for where in ("update", "update_step", "signature"):
            self.setUp()
            self.params.set("cell_ov_trip_mv", 3650)
            self.step(10)
            self.afe.fails.add(where)
            while self.bothoff.level:
                self.step()
            self.assertEqual((self.bothoff.level, self.pack.dcl_ma), (0, 0), where)
            self.afe.fails.clear()
            self.flow(0)
            self.step(600)
            self.assertEqual((self.control.afe_starts, self.afe.fets), (2, BOTH), where)
            self.assertEqual(self.pack.dcl_ma, 50_000, where)
            self.assertEqual(self.afe.images[-1], afe_config.image(self.params, 250))

    def test_a_protection_meanwhile_keeps_its_limit_at_zero(self):  # req: COM-05 PRO-20
        self.params.set("cell_uv_trip_mv", 2600)
        self.step(10)
        set_cells(self.afe.regs, 3300, 3650)                    # over-voltage: charge FET
        self.flow(0)
        seen = self.watch(10_000)
        self.assertEqual([row for row in seen if row[2]], [])
        self.assertEqual(seen[-1], (seen[-1][0], DISCHARGE, 0, 50_000))


if __name__ == "__main__":
    unittest.main()
