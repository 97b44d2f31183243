"""Balancing: who is bled, when, and what the scans are worth meanwhile. Numbers: specification,
sections 5 and 3. The AFE's side is played here: bled cells read 24 mV low, neighbours 12 mV high.
"""

import unittest

from bms.charge import balancing as bal
from bms.words import readings as rd
from bms.charge.balancing import Balancing
from bms.measure.measurements import Measurements
from bms.words.parameters import Parameters
from bms.words.rules import mask_of
from bq76952 import BQ76952
from fakes import (
    LATE,
    NO_READING,
    ON_MICROPYTHON,
    WRAP,
    FakeChip,
    FakePin,
    Lcg,
    no_wait,
    put16,
    scan_regs,
)

if ON_MICROPYTHON:
    import micropython

EVEN = (3490,) * 16
TOP = (3490, 3490, 3490, 3490, 3530) + (3490,) * 11     # cell 4: 40 mV above, at 3530
US = 100_000
_LAST = WRAP - 1                        # the largest small integer of the RP2040


class Bench:
    """Scans, and the AFE's mask as the control task would set it.

    cells_mv     true voltages; ma, die_dc, trips, awake: the rest of the world
    bled         scans after which the AFE had a mask
    """

    def __init__(self, cells_mv=EVEN, **params):
        self.params = Parameters()
        for name in params:
            self.params.set(name, params[name])
        self.measured = Measurements(self.params, 16, 100)
        self.balancing = Balancing(self.params, 16, 100)
        self.cells_mv = list(cells_mv)
        self.ma = 0
        self.die_dc = 300
        self.trips = 0
        self.awake = True
        self.fresh = True
        self.answers = True
        self.regs = scan_regs()
        self.now = LATE
        self.us = WRAP - 5 * US - 77        # microseconds wrap too
        self.chip = 0
        self.bled = 0

    def scan(self, early_us=0):
        """One period; *early_us*: the scan begins that much too early."""
        self.now = (self.now + 100) % WRAP
        self.us = (self.us + US - early_us) % WRAP
        total = 0
        for i in range(16):
            value = self.cells_mv[i]
            total += value
            if self.chip >> i & 1:
                value -= 24
            if self.chip >> i & 2:
                value += 12
            if self.chip << 1 >> i & 1:
                value += 12
            put16(self.regs, 0x14 + 2 * i, value)
        put16(self.regs, 0x34, total // 10)
        put16(self.regs, 0x36, total // 10)
        put16(self.regs, 0x3A, self.ma // 10)
        put16(self.regs, 0x68, self.die_dc + 2731)
        self.period()

    def period(self):
        """What the control task does, allocating nothing."""
        balancing = self.balancing
        measured = self.measured
        if self.fresh:
            measured.take(self.regs, self.now)
            balancing.settle(measured, self.now, self.us)
        balancing.step(measured, self.fresh, self.awake, self.trips)
        mask = balancing.next_mask(self.fresh)
        self.us = (self.us + 10_000) % WRAP
        if mask != balancing.written:
            if self.answers:
                self.chip = mask
                balancing.wrote(mask, self.us)
            else:
                balancing.unsure(mask, self.us)
        self.us = (self.us - 10_000) % WRAP

    def run(self, scans=3):
        """Scans; the mask chosen at the end."""
        for _ in range(scans):
            self.scan()
            self.bled += self.chip != 0
        return self.balancing.mask

    def high(self, mv, above):
        """Cell 4 at *mv*, the others *above* below it."""
        self.cells_mv = [mv - above] * 16
        self.cells_mv[4] = mv


def neighbours(mask):
    return mask & mask << 1


def count(mask):
    return sum(mask >> i & 1 for i in range(16))


class TestStart(unittest.TestCase):
    def test_starts_at_its_two_thresholds(self):                # req: BAL-01
        for mv, above, mask in ((3499, 40, 0), (3500, 40, 16), (3501, 40, 16),
                                (3520, 29, 0), (3520, 30, 16), (3520, 31, 16)):
            bench = Bench()
            bench.high(mv, above)
            self.assertEqual(bench.run(), mask, (mv, above))

    def test_asks_for_its_start_voltage_at_the_end_of_a_charge(self):       # req: BAL-01 COM-05
        for mv, above, ma, wants in (
                (3477, 30, 4990, True), (3477, 30, 0, True), (3477, 29, 4990, False),
                (3477, 30, 5000, False), (3477, 30, -300, False), (3434, 30, 0, False),
                (3435, 30, 0, True), (3500, 30, 0, False)):
            bench = Bench()
            bench.high(mv, above)
            bench.ma = ma
            bench.scan()
            bench.scan()
            self.assertEqual(bench.balancing.wants_top(bench.measured.values), wants,
                             (mv, above, ma))
        bench = Bench(TOP)                          # begun: no more, until it is down again
        bench.run()
        bench.high(3477, 30)
        bench.run()
        self.assertFalse(bench.balancing.wants_top(bench.measured.values))
        bench.high(3390, 30)
        bench.run()
        bench.high(3440, 30)
        bench.run()
        self.assertFalse(bench.balancing.wants_top(bench.measured.values))

    def test_thresholds_can_be_set(self):                       # req: BAL-01 PAR-01
        bench = Bench(bal_start_mv=3450, bal_diff_mv=20)
        bench.high(3450, 20)
        self.assertEqual(bench.run(), 16)
        bench = Bench(bal_enable=0)
        bench.high(3550, 50)
        self.assertEqual((bench.run(), bench.balancing.state), (0, bal.DISABLED))

    def test_goes_on_until_the_difference_is_gone_at_the_top(self):     # req: BAL-02
        bench = Bench(TOP)
        bench.run()
        for mv, above, mask in ((3520, 20, 16), (3520, 7, 16), (3520, 6, 0), (3520, 29, 0),
                                (3520, 30, 16)):
            bench.high(mv, above)
            self.assertEqual(bench.run(), mask, (mv, above))

    def test_goes_on_at_rest_until_the_voltage_says_nothing(self):      # req: BAL-01 BAL-02
        bench = Bench(TOP)
        bench.run()
        for mv, mask, state in ((3499, 16, bal.BLEEDING), (3400, 16, bal.BLEEDING),
                                (3399, 0, bal.LOW), (3419, 0, bal.LOW), (3420, 16, bal.BLEEDING)):
            bench.high(mv, 20)
            self.assertEqual((bench.run(), bench.balancing.state), (mask, state), mv)

    def test_a_small_difference_away_from_the_top_ends_nothing(self):   # req: BAL-02
        bench = Bench(TOP, bal_turn_s=5)
        bench.run()
        bench.high(3450, 5)
        self.assertEqual(bench.run(60), 0)      # nobody to bleed, at the end of the turn
        bench.high(3472, 20)
        self.assertEqual(bench.run(60), 16)     # where equal cells end a charge it ends
        bench.high(3473, 6)
        self.assertEqual(bench.run(60), 0)
        bench.high(3510, 30)
        self.assertEqual(bench.run(60), 16)
        bench.high(3472, 5)
        self.assertEqual(bench.run(60), 0)
        bench.high(3510, 15)                    # at the top it shows again
        self.assertEqual(bench.run(60), 16)


class TestObstacles(unittest.TestCase):
    def stopped(self, bench, state):
        """One scan ends it, on the AFE too."""
        bench.scan()
        self.assertEqual((bench.chip, bench.balancing.mask, bench.balancing.state),
                         (0, 0, state))

    def test_never_while_discharging(self):                     # req: BAL-01
        for ma in (0, 50_000, -300):
            bench = Bench(TOP)
            bench.ma = ma
            self.assertEqual(bench.run(), 16, ma)
        bench = Bench(TOP)
        bench.run(4)
        self.assertEqual(bench.chip, 16)
        bench.ma = -310
        self.stopped(bench, bal.DISCHARGE)
        bench.bled = 0
        bench.run(300)
        self.assertEqual(bench.bled, 0)

    def test_the_rest_current_can_be_set(self):                 # req: BAL-01 PAR-01
        bench = Bench(TOP, bal_rest_ma=1000)
        bench.ma = -1000
        self.assertEqual(bench.run(), 16)
        bench.ma = -1010
        self.assertEqual(bench.run(1), 0)

    def test_ten_quiet_seconds_after_an_obstacle(self):         # req: BAL-02
        bench = Bench(TOP)
        bench.run()
        bench.ma = -5000
        bench.scan()
        bench.ma = 0
        self.assertEqual(bench.run(99), 0)
        self.assertEqual(bench.balancing.state, bal.PAUSE)
        self.assertEqual(bench.run(3), 16)

    def test_not_at_a_temperature_protection(self):             # req: BAL-01
        for item in ("PRO-09", "PRO-10", "PRO-11", "PRO-12", "PRO-13", "PRO-14", "PRO-17"):
            bench = Bench(TOP)
            bench.run()
            bench.trips = mask_of(item)
            self.stopped(bench, bal.PROTECTION)

    def test_at_an_over_voltage_protection_it_helps(self):      # req: BAL-01
        for item in ("PRO-01", "PRO-03"):
            bench = Bench()
            bench.high(3620, 100)
            bench.trips = mask_of(item)
            self.assertEqual(bench.run(), 16)

    def test_not_with_a_fault_nor_asleep(self):                 # req: BAL-01
        bench = Bench(TOP)
        bench.run()
        bench.awake = False
        self.stopped(bench, bal.FAULT)

    def test_not_with_a_doubt_about_the_scan(self):             # req: BAL-01
        bench = Bench(TOP)
        bench.run()
        bench.cells_mv[11] = 0
        self.stopped(bench, bal.FAULT)

    def test_a_hot_afe_stops_it_until_it_is_cooler(self):       # req: BAL-02
        bench = Bench(TOP)
        bench.die_dc = 599
        self.assertEqual(bench.run(), 16)
        bench.die_dc = 600
        self.stopped(bench, bal.HOT)
        bench.die_dc = 550
        self.assertEqual((bench.run(200), bench.balancing.state), (0, bal.HOT))
        bench.die_dc = 549
        self.assertEqual(bench.run(110), 16)

    def test_a_die_that_cannot_be_read_counts_as_hot(self):     # req: BAL-02
        bench = Bench(TOP)
        bench.die_dc = -2731
        self.assertEqual((bench.run(), bench.balancing.state), (0, bal.HOT))

    def test_not_within_20_mv_of_a_cell_protection(self):       # req: PRO-21 BAL-02
        bench = Bench()
        bench.high(3579, 40)
        self.assertEqual(bench.run(), 16)
        bench.high(3580, 40)
        bench.run(2)                            # bled ones, and 1 mV is no movement
        self.stopped(bench, bal.NEAR)

    def test_not_within_20_mv_a_cell_of_a_pack_protection(self):        # req: PRO-21 BAL-02
        bench = Bench(pack_ov_alarm_mv=56_300, pack_ov_trip_mv=56_400)  # less 16 * 20: 56080
        bench.cells_mv = [3500] * 15 + [3579]   # 56079
        self.assertEqual(bench.run(), 1 << 15)
        bench.cells_mv[0] += 1
        bench.run(2)
        self.stopped(bench, bal.NEAR)

    def test_a_failed_scan_is_a_period_without_bleeding_and_no_more(self):  # req: MEA-02 BAL-02
        bench = Bench(TOP)
        bench.run(4)
        self.assertEqual(bench.chip, 16)
        bench.fresh = False
        bench.scan()
        self.assertEqual((bench.chip, bench.balancing.mask), (0, 16))
        bench.fresh = True
        bench.run(1)
        self.assertEqual(bench.chip, 16)


class TestChoice(unittest.TestCase):
    def test_the_highest_first_without_neighbours(self):        # req: BAL-02
        bench = Bench()
        for cells, mask in (((0, 0, 40, 50, 45), 0x0008), ((40, 50, 40), 0x0002),
                            ((50, 40, 45), 0x0005), ((0, 40, 42, 41), 0x0004),
                            ((40, 41, 42, 43), 0x000A)):
            bench = Bench([3490 + mv for mv in cells] + [3490] * (16 - len(cells)))
            self.assertEqual(bench.run(), mask, cells)

    def test_no_more_at_once_than_set_or_the_afe_may(self):     # req: BAL-02 PAR-01
        cells = [3490, 3540] * 8
        for most, afe_most, wanted in ((1, 8, 1), (3, 8, 3), (8, 8, 8), (8, 4, 4), (2, 4, 2)):
            bench = Bench(cells, bal_cells_most=most)
            bench.balancing = Balancing(bench.params, 16, 100, afe_most)
            self.assertEqual(count(bench.run()), wanted)

    def test_cells_no_higher_than_the_end_are_left_alone(self):     # req: BAL-02
        bench = Bench([3500, 3506, 3500, 3507, 3500, 3530] + [3500] * 10)
        self.assertEqual(bench.run(), 0x0028)

    def test_an_afe_that_may_bleed_neighbours(self):            # req: BAL-02
        bench = Bench([3490, 3530, 3540, 3535] + [3490] * 12)
        bench.balancing = Balancing(bench.params, 16, 100, 8, True)
        self.assertEqual(bench.run(), 0x000E)

    def test_a_choice_stands_for_a_minute(self):                # req: BAL-02
        bench = Bench(TOP)
        bench.run()
        bench.cells_mv[5] = 3540                # higher by now
        self.assertEqual(bench.run(590), 16)
        self.assertEqual(bench.run(15), 32)

    def test_any_voltages_keep_to_what_the_afe_may(self):       # req: BAL-02
        numbers = Lcg(5)
        for _ in range(60):
            bench = Bench([3460 + numbers.below(100) for _ in range(16)])
            most = 1 + numbers.below(4)
            bench.params.set("bal_cells_most", most)
            mask = bench.run()
            self.assertEqual((neighbours(mask), count(mask) <= most), (0, True), bench.cells_mv)
            if max(bench.cells_mv) < 3580:
                self.assertTrue(mask)


class TestProperties(unittest.TestCase):
    def test_whatever_happens(self):                            # req: BAL-01 BAL-02
        numbers = Lcg(2)
        bench = Bench(TOP, bal_pause_s=1, bal_turn_s=5, bal_cells_most=3)
        row = 0
        bled = 0
        for _ in range(3000 if not ON_MICROPYTHON else 1200):
            if not numbers.below(20):
                bench.ma = numbers.pick((0, 0, 0, 12_000, 20_000, -200, -400, -9000))
            if not numbers.below(60):
                bench.die_dc = numbers.pick((300, 300, 300, 560, 640))
            if not numbers.below(60):
                bench.trips = numbers.pick((0, 0, 0, mask_of("PRO-10"), mask_of("PRO-01")))
            bench.fresh = numbers.below(15) > 0
            bench.awake = numbers.below(80) > 0
            bench.answers = numbers.below(15) > 0
            bench.cells_mv[numbers.below(16)] = 3440 + numbers.below(120)
            bench.scan()
            mask = bench.chip
            self.assertEqual((neighbours(mask), count(mask) <= 3), (0, True))
            row = row + 1 if mask and bench.answers else 0
            self.assertTrue(row <= 2)           # a settled scan at least every third
            if mask and bench.answers:
                bled += 1
                self.assertTrue(bench.ma >= -300 and bench.awake and bench.fresh
                                and bench.die_dc < 600 and bench.trips & mask_of("PRO-10") == 0)
        self.assertTrue(bled > 50)

    def chosen_by(self, move, scans=1800):
        """How often the chosen mask changes while move(bench, k) disturbs every scan."""
        bench = Bench(TOP)
        changes = 0
        before = 0
        for k in range(scans):
            move(bench, k)
            mask = bench.run(1)
            changes += mask != before
            before = mask
        return changes

    def test_no_chatter_around_the_start_voltage(self):         # req: BAL-02
        numbers = Lcg(3)
        self.assertEqual(self.chosen_by(
            lambda bench, k: bench.high(3498 + numbers.below(5), 40)), 1)

    def test_no_chatter_around_the_start_difference(self):      # req: BAL-02
        numbers = Lcg(3)
        self.assertEqual(self.chosen_by(
            lambda bench, k: bench.high(3520, 28 + numbers.below(5))), 1)

    def test_no_chatter_around_the_end(self):                   # req: BAL-02
        numbers = Lcg(3)
        self.assertEqual(self.chosen_by(
            lambda bench, k: bench.high(3520, 40 if k < 20 else 5 + numbers.below(4))), 2)

    def test_no_chatter_around_the_lower_voltage(self):         # req: BAL-02
        numbers = Lcg(3)
        self.assertEqual(self.chosen_by(
            lambda bench, k: bench.high(3520 if k < 20 else 3398 + numbers.below(5), 40)), 2)

    def test_no_chatter_between_two_cells_alike(self):          # req: BAL-02
        numbers = Lcg(3)

        def move(bench, k):
            bench.cells_mv[4] = 3530 + numbers.below(3)
            bench.cells_mv[5] = 3530 + numbers.below(3)
        self.assertTrue(self.chosen_by(move) <= 4)      # once a minute

    def test_no_chatter_around_the_rest_current(self):          # req: BAL-02
        numbers = Lcg(3)

        def move(bench, k):
            bench.ma = -280 - 10 * numbers.below(5)
        self.assertTrue(self.chosen_by(move) <= 3600 // 100)


class TestScans(unittest.TestCase):
    def bled(self, *cells_mv):
        """A bench whose next scan is bled."""
        bench = Bench(cells_mv or TOP)
        bench.run(4)
        self.assertEqual((bench.chip, bench.balancing.settled), (16, True))
        return bench

    def test_two_scans_are_bled_and_the_third_is_settled(self):     # req: BAL-02 MEA-05
        bench = self.bled()
        masks = []
        for _ in range(6):
            bench.scan()
            masks.append((bench.balancing.settled, bench.chip))
        self.assertEqual(masks, [(False, 16), (False, 0), (True, 16)] * 2)

    def test_the_error_of_bleeding_is_never_seen(self):         # req: BAL-02
        bench = self.bled()
        for _ in range(20):
            bench.scan()
            self.assertEqual(list(bench.measured.cells_mv), list(TOP))
            values = bench.measured.values
            self.assertEqual([values[i] for i in (0, 1, 2, 3, 19, 20)],
                             [3530, 3490, 40, 55880, 4, 0])

    def test_cells_that_move_a_little_are_seen_when_settled(self):      # req: BAL-02 MEA-05
        bench = self.bled()
        bench.cells_mv[4] += 11
        bench.cells_mv[7] -= 11
        for _ in range(2):
            bench.scan()
            self.assertEqual(list(bench.measured.cells_mv), list(TOP))
        bench.scan()
        self.assertEqual(list(bench.measured.cells_mv), bench.cells_mv)

    def test_cells_that_move_by_themselves_are_seen_at_once(self):      # req: PRO-21 BAL-02
        for cell in (0, 3, 4, 5, 15):
            for mv in (-12, 12, 300, -300):
                bench = self.bled()
                bench.cells_mv[cell] += mv
                bench.scan()
                self.assertEqual(list(bench.measured.cells_mv), bench.cells_mv)
                self.assertEqual(bench.measured.values[rd.MAX_CELL_MV], max(bench.cells_mv))
                self.assertEqual(bench.measured.values[rd.CELL_DIFF_MV],
                                 max(bench.cells_mv) - min(bench.cells_mv))
                self.assertFalse(bench.balancing.settled)
                self.assertEqual(bench.chip, 0)         # and a settled scan comes next

    def test_a_doubtful_scan_stays_doubtful(self):              # req: MEA-03
        bench = self.bled()
        bench.cells_mv[9] = 50
        bench.scan()
        self.assertTrue(bench.measured.doubts)
        self.assertEqual(bench.measured.values[rd.MAX_CELL_MV], NO_READING)

    def test_settled_after_67_ms_and_not_before(self):          # req: BAL-02
        for early_us, settled in ((22_999, True), (23_000, True), (23_001, False)):
            bench = self.bled()
            bench.scan()
            bench.scan()                        # its end is 10 ms after the scan: 90 ms are left
            self.assertEqual(bench.chip, 0)
            bench.scan(early_us)
            self.assertEqual(bench.balancing.settled, settled)
            self.assertEqual((bench.chip != 0, bench.measured.values[0]), (settled, 3530))

    def test_an_afe_that_does_not_answer_counts_as_bleeding(self):      # req: BAL-02 MEA-05
        bench = self.bled()
        bench.answers = False                   # the mask stays on, nobody knows
        seen = []
        for _ in range(5):
            bench.scan()
            self.assertFalse(bench.balancing.settled)
            seen.append(bench.measured.values[rd.MAX_CELL_MV])
        # held for three scan periods, then there is none
        self.assertEqual(seen, [3530, 3530, 3530, NO_READING, NO_READING])
        bench.answers = True
        bench.run(2)
        self.assertEqual((bench.chip, bench.balancing.settled), (0, True))
        self.assertEqual(bench.measured.values[rd.MAX_CELL_MV], 3530)

    def test_after_a_new_configuration_nothing_is_bled(self):   # req: BAL-02
        bench = self.bled()
        bench.balancing.lost()
        bench.chip = 0
        self.assertEqual(bench.balancing.next_mask(True), 0)
        self.assertEqual((bench.balancing.mask, bench.balancing.written), (0, 0))
        bench.run(1)
        self.assertEqual((bench.chip, bench.balancing.settled), (0, True))

    def test_the_time_of_each_cell(self):                       # req: BAL-03
        bench = Bench(TOP)
        bench.cells_mv[10] = 3525
        bench.run(301)                          # on in two of three periods of 100 ms
        self.assertEqual([i for i in range(16) if bench.balancing.seconds[i]], [4, 10])
        self.assertEqual((bench.balancing.seconds[4], bench.balancing.seconds[10]), (20, 20))


class QuietChip(FakeChip):
    """Takes writes without a note of them."""

    def _write(self, reg, value):
        self._buffer[reg] = value


class TestHeap(unittest.TestCase):
    def locked(self, function, times):
        micropython.heap_lock()
        try:
            for _ in range(times):
                function()
        finally:
            micropython.heap_unlock()

    def setUp(self):
        if not ON_MICROPYTHON:
            raise unittest.SkipTest("CPython has no heap to lock")

    def test_the_driver_allocates_nothing(self):                # req: SAF-04 BAL-02
        chip = QuietChip()
        afe = BQ76952(chip, FakePin(), no_wait)

        def write():
            afe.set_balance(0x5555)
        write()
        self.locked(write, 5)
        self.assertEqual((chip._buffer[0x40], chip._buffer[0x41], chip._buffer[0x61]),
                         (0x55, 0x55, 6))

    def test_nothing_is_allocated(self):                        # req: SAF-04 BAL-02
        bench = Bench(TOP, bal_turn_s=5)

        def period():
            left = _LAST - bench.now
            bench.now = bench.now + 100 if left >= 100 else 99 - left
            left = _LAST - bench.us
            bench.us = bench.us + US if left >= US else US - 1 - left
            bench.balancing.step(bench.measured, True, True, 0)
            bench.measured.take(bench.regs, bench.now)
            bench.balancing.settle(bench.measured, bench.now, bench.us)
            mask = bench.balancing.next_mask(True)
            if mask != bench.balancing.written:
                bench.balancing.wrote(mask, bench.us)
        bench.run(5)
        for _ in range(10):
            period()
        self.locked(period, 60)                 # two choices


if __name__ == "__main__":
    unittest.main()
