"""The hot path of the protection table: one row at a time, and both twins on the same data."""

import unittest
from array import array

from fakes import EXPECTED_KIND, NO_READING, Lcg, twins
from hot import protect

TWINS = twins("hot.protect")
WIDTH = TWINS[0].WIDTH
STATE = TWINS[0].STATE
ALARM, TRIPPED, LOCKED = 1, 2, 4
CHARGE, DISCHARGE, BOTH = 1, 2, 3
OUT = 0x02                  # a condition that releases at once
NEED = 0x08                 # a condition that a release by threshold needs
FORGET_MS = 600_000


def above(blocks=CHARGE, alarm=3500, alarm_clear=3480, trip=3600, release=3300, delay_ms=3000,
          has=3, need=0, out=0, after_ms=0, lock=0, mute=0, reading=0,
          worse_below=0, afe=0, forget_ms=0, wait_ms=0):
    """A row like PRO-01: worse above."""
    return [reading, worse_below, alarm, alarm_clear, trip, release, delay_ms, has, need, out,
            after_ms, lock, blocks, mute, afe, forget_ms, wait_ms]


def below(**changes):
    """A row like PRO-02: worse below."""
    values = {"blocks": DISCHARGE, "alarm": 2800, "alarm_clear": 2820, "trip": 2700,
              "release": 3300, "worse_below": 1}
    values.update(changes)
    return above(**values)


class Table:
    """Rows stepped by every twin side by side; a difference is an error."""

    def __init__(self, *rows):
        self.count = len(rows)
        flat = []
        for row in rows:
            flat.extend(row)
        self.rows = array("i", flat)
        self.states = [array("i", [0] * (STATE * self.count)) for _ in TWINS]

    def step(self, values, dt_ms, conditions=0, forget_ms=FORGET_MS, afe_new=0):
        if isinstance(values, int):
            values = (values,)
        readings = array("i", values)
        results = [
            TWINS[i].protect_step(self.rows, self.states[i], readings, self.count, dt_ms,
                                  conditions, forget_ms, afe_new) for i in range(len(TWINS))]
        for i in range(1, len(TWINS)):
            if results[i] != results[0] or self.states[i] != self.states[0]:
                raise AssertionError("twins differ at %r, %d ms, conditions %d: %r and %r" % (
                    values, dt_ms, conditions, (results[0], list(self.states[0])),
                    (results[i], list(self.states[i]))))
        self.changed = results[0] & 256 != 0
        self.pending = results[0] >> 2 & 3
        self.blocked = results[0] & 3
        return self.blocked

    def flags(self, item=0):
        return self.states[0][item * STATE + 3]

    def trip(self, value, dt_ms=3000):
        """Hold *value* for its delay."""
        self.step(value, 100)
        return self.step(value, dt_ms)


class TestOneRow(unittest.TestCase):
    def test_selector_took_the_expected_kind(self):             # req: PRO-26
        self.assertEqual(protect.KIND, EXPECTED_KIND)

    def test_over_voltage_limit_one_short_exact_one_past(self):     # req: PRO-01
        for value, flags in ((3499, 0), (3500, ALARM), (3501, ALARM), (3599, ALARM),
                             (3600, ALARM | TRIPPED), (3601, ALARM | TRIPPED)):
            table = Table(above())
            self.assertEqual(table.trip(value), CHARGE if flags & TRIPPED else 0, value)
            self.assertEqual(table.flags(), flags, value)

    def test_under_voltage_limit_one_short_exact_one_past(self):    # req: PRO-02
        for value, flags in ((2801, 0), (2800, ALARM), (2799, ALARM), (2701, ALARM),
                             (2700, ALARM | TRIPPED), (2699, ALARM | TRIPPED)):
            table = Table(below())
            self.assertEqual(table.trip(value), DISCHARGE if flags & TRIPPED else 0, value)
            self.assertEqual(table.flags(), flags, value)

    def test_delay_one_short_exact_one_past(self):              # req: PRO-21
        for waited, flags in ((2999, 0), (3000, 3), (3001, 3)):
            table = Table(above())
            table.step(3600, 100)               # first seen: counts from 0, whatever the period
            self.assertEqual(table.flags(), 0)
            table.step(3600, waited)
            self.assertEqual(table.flags(), flags, waited)

    def test_delay_is_time_and_not_a_number_of_scans(self):     # req: PRO-21
        table = Table(above())
        table.step(3600, 100)
        for dt_ms in (100, 700, 100, 1, 1, 1997, 100):
            self.assertEqual(table.blocked, 0)
            table.step(3600, dt_ms)
        self.assertEqual(table.blocked, 0)      # 2999 ms
        self.assertEqual(table.step(3600, 1), CHARGE)

    def test_crossings_shorter_than_the_delay_trip_nothing(self):   # req: PRO-21
        table = Table(above())
        for _ in range(3):
            self.assertEqual(table.trip(3600, 2999), 0)
            self.assertEqual(table.step(3499, 5998), 0)
            for _ in range(2):
                self.assertEqual(table.step(3499, 100), 0)
        self.assertEqual(table.flags(), 0)

    def test_a_time_beyond_leaks_at_half_its_pace(self):        # req: PRO-28 PRO-21
        for inside_ms, then_ms, blocked in ((1000, 1499, 0), (1000, 1500, CHARGE), (200, 1099, 0),
                                            (200, 1100, CHARGE)):
            table = Table(above())
            table.step(3600, 100)
            table.step(3600, 2000)
            table.step(3499, inside_ms)
            self.assertEqual(table.step(3600, then_ms), blocked, repr((inside_ms, then_ms)))

    def test_two_good_scans_forget_a_single_bad_one(self):      # req: PRO-21
        table = Table(above(delay_ms=100))
        for _ in range(50):
            for value in (3600, 3400, 3400):
                self.assertEqual(table.step(value, 100), 0)

    def test_a_reading_that_toggles_starves_no_timer(self):     # req: PRO-28
        for delay_ms, most_scans in ((100, 5), (300, 15), (3000, 125)):
            table = Table(above(delay_ms=delay_ms))
            scans = 0
            while not table.step(3400 if scans & 1 else 3600, 100):
                scans += 1
                self.assertTrue(scans < most_scans, delay_ms)
            self.assertTrue(scans * 100 >= delay_ms, delay_ms)
            self.assertEqual(table.flags(), ALARM | TRIPPED)

    def test_a_delay_of_one_scan(self):
        table = Table(above(delay_ms=100))
        self.assertEqual(table.step(3600, 100), 0)
        self.assertEqual(table.step(3600, 100), CHARGE)

    def test_alarm_and_protection_count_separately(self):       # req: PRO-01
        table = Table(above())
        table.step(3550, 100)
        table.step(3650, 2000)
        table.step(3650, 1000)
        self.assertEqual(table.flags(), ALARM)
        table.step(3650, 1999)
        self.assertEqual(table.flags(), ALARM)
        table.step(3650, 1)
        self.assertEqual(table.flags(), ALARM | TRIPPED)

    def test_alarm_clears_below_its_hysteresis_after_the_delay(self):   # req: PRO-01
        table = Table(above())
        table.trip(3550)
        for value, waited, flags in ((3481, 9000, ALARM), (3480, 100, ALARM),
                                     (3480, 2999, ALARM), (3480, 1, 0)):
            table.step(value, waited)
            self.assertEqual(table.flags(), flags, repr((value, waited)))

    def test_release_at_the_threshold_and_at_once(self):        # req: PRO-02
        table = Table(below())
        table.trip(2600)
        for value, blocked in ((3299, DISCHARGE), (3300, 0)):
            self.assertEqual(table.step(value, 100), blocked, value)

    def test_release_needs_its_condition_too(self):             # req: PRO-01
        table = Table(above(need=NEED))
        table.trip(3700)
        for value, conditions, blocked in ((3300, 0, CHARGE), (3301, NEED, CHARGE),
                                           (3300, NEED, 0)):
            self.assertEqual(table.step(value, 100, conditions), blocked)

    def test_every_needed_condition_must_hold(self):
        table = Table(above(need=NEED | 0x10))
        table.trip(3700)
        for conditions, blocked in ((NEED, 1), (0x10, 1), (NEED | 0x10, 0)):
            self.assertEqual(table.step(3000, 100, conditions), blocked, conditions)

    def test_the_other_way_releases_wherever_the_reading_is(self):      # req: PRO-01
        table = Table(above(need=NEED, out=OUT))
        table.trip(3700)
        self.assertEqual(table.step(3700, 100, OUT), 0)
        self.assertEqual(table.flags() & TRIPPED, 0)

    def test_the_other_way_keeps_from_tripping_and_restarts_the_delay(self):
        table = Table(above(out=OUT))
        table.step(3700, 100)
        self.assertEqual(table.step(3700, 9000, OUT), 0)
        self.assertEqual(table.step(3700, 2999), 0)     # seen anew
        self.assertEqual(table.step(3700, 2999), 0)
        self.assertEqual(table.step(3700, 1), CHARGE)

    def test_after_a_release_the_delay_counts_from_zero(self):
        table = Table(above(out=OUT))
        table.trip(3700)
        table.step(3700, 100, OUT)
        self.assertEqual(table.step(3700, 5000), 0)
        self.assertEqual(table.step(3700, 2999), 0)
        self.assertEqual(table.step(3700, 1), CHARGE)

    def test_only_a_change_is_told(self):                       # req: PRO-25
        table = Table(above())
        told = []
        for value, dt_ms in ((3400, 100), (3700, 100), (3700, 3000), (3700, 100), (3300, 100),
                             (3300, 3000), (3300, 100)):
            table.step(value, dt_ms)
            told.append(table.changed)
        self.assertEqual(told, [False, False, True, False, True, True, False])

    def test_rows_without_alarm_or_without_protection(self):
        table = Table(above(has=1), above(has=2))
        table.trip(3700, 9000)
        self.assertEqual((table.flags(0), table.flags(1), table.blocked), (ALARM, TRIPPED, 1))

    def test_a_muting_condition_clears_the_alarm_and_no_protection(self):   # req: PRO-15
        table = Table(above(mute=0x20))
        table.trip(3700)
        table.step(3700, 100, 0x20)
        self.assertEqual(table.flags(), TRIPPED)
        table.step(3700, 9000, 0x20)
        self.assertEqual(table.flags(), TRIPPED)
        table.step(3700, 100)
        table.step(3700, 2999)
        self.assertEqual(table.flags(), TRIPPED)
        table.step(3700, 1)
        self.assertEqual(table.flags(), TRIPPED | ALARM)

    def test_a_timer_that_runs_is_told_before_it_ends(self):    # req: COM-05
        table = Table(above(), below(reading=1))
        table.step((3599, 2700), 100)
        self.assertEqual((table.pending, table.blocked), (DISCHARGE, 0))
        table.step((3599, 2701), 100)
        table.step((3600, 2701), 100)
        self.assertEqual((table.pending, table.blocked), (CHARGE, 0))
        table.step((3600, 2700), 2999)
        self.assertEqual((table.pending, table.blocked), (BOTH, 0))
        table.step((3600, 2700), 1)
        self.assertEqual((table.pending, table.blocked), (DISCHARGE, CHARGE))

    def test_the_afes_own_trip_is_taken_over_at_once(self):     # req: PRO-08 PRO-23
        table = Table(above(afe=0x80, out=OUT))
        self.assertEqual(table.step(3000, 100, afe_new=0x40), 0)
        self.assertEqual(table.step(3000, 100, afe_new=0xC0, conditions=OUT), 0)
        self.assertEqual(table.step(NO_READING, 100, afe_new=0xC0), CHARGE)
        self.assertEqual(table.flags(), TRIPPED)
        self.assertEqual(table.step(3300, 100), 0)              # released by its own rule

    def test_negative_values(self):                             # req: PRO-09
        table = Table(below(alarm=-150, alarm_clear=-140, trip=-200, release=-100))
        for value, flags in ((-149, 0), (-150, ALARM), (-199, ALARM), (-200, 3), (-141, 3),
                             (-140, TRIPPED), (-101, TRIPPED), (-100, 0)):
            table.step(value, 3000)
            table.step(value, 3000)
            self.assertEqual(table.flags(), flags, value)


class TestNoReading(unittest.TestCase):
    def test_it_never_trips(self):                              # req: MEA-03
        table = Table(above(), below())
        for _ in range(50):
            self.assertEqual(table.step(NO_READING, 1000), 0)
        self.assertEqual((table.flags(0), table.flags(1)), (0, 0))

    def test_it_never_releases_nor_clears(self):                # req: MEA-03
        table = Table(above(), below())
        table.trip(3700)
        table.trip(2600)            # releases the first by its threshold
        for value, item in ((3700, 0), (2600, 1)):
            table = Table(above(), below())
            table.trip(value)
            held = table.blocked
            for _ in range(5):
                self.assertEqual(table.step(NO_READING, 100_000, NEED), held)
            self.assertEqual(table.flags(item), ALARM | TRIPPED)

    def test_a_timer_that_runs_runs_on(self):                   # req: MEA-03
        table = Table(above())
        table.step(3600, 100)
        table.step(NO_READING, 2999)
        self.assertEqual(table.flags(), 0)
        table.step(3600, 1)
        self.assertEqual(table.flags(), ALARM | TRIPPED)

    def test_a_timer_that_does_not_run_is_not_started(self):
        table = Table(above())
        table.step(NO_READING, 9000)
        table.step(3600, 9000)
        self.assertEqual(table.flags(), 0)

    def test_the_other_way_still_releases(self):                # req: PRO-01
        table = Table(above(out=OUT))
        table.trip(3700)
        self.assertEqual(table.step(NO_READING, 100, OUT), 0)

    def test_a_timed_release_does_not_need_a_reading(self):     # req: PRO-05
        table = Table(above(after_ms=60_000))
        table.trip(3700)
        self.assertEqual(table.step(NO_READING, 59_999), CHARGE)
        self.assertEqual(table.step(NO_READING, 1), 0)

    def test_silence_of_hours_does_not_overflow(self):
        table = Table(above())
        table.trip(3700)
        for _ in range(20):
            table.step(NO_READING, 0x0FFFFFFF)
        self.assertEqual(table.flags(), ALARM | TRIPPED)
        self.assertEqual(table.step(3300, 100), 0)


class TestInARow(unittest.TestCase):
    """A row like PRO-05: 110 A for 3 s, released after a minute, the 10th in a row locks."""

    def setUp(self):
        self.table = Table(above(alarm=105_000, alarm_clear=104_000, trip=110_000, release=0,
                                 after_ms=60_000, lock=10, out=OUT))

    def one_trip(self, quiet_ms=60_000):
        self.table.step(110_000, 100)
        self.table.step(110_000, 3000)
        tripped = self.table.flags() & TRIPPED
        self.table.step(0, quiet_ms)
        return tripped

    def test_released_after_a_minute_whatever_the_current(self):    # req: PRO-05
        self.table.trip(110_000)
        for waited, blocked in ((59_999, CHARGE), (1, 0)):
            self.assertEqual(self.table.step(110_000, waited), blocked)

    def test_the_tenth_trip_in_a_row_locks(self):               # req: PRO-05 PRO-22
        for _ in range(9):
            self.assertEqual(self.one_trip(), TRIPPED)
            self.assertEqual(self.table.flags() & TRIPPED, 0)
        self.assertEqual(self.one_trip(), TRIPPED)
        self.assertEqual(self.table.flags() & (TRIPPED | LOCKED), TRIPPED | LOCKED)
        self.assertEqual(self.table.step(0, 3_600_000), CHARGE)     # an hour changes nothing

    def test_a_locked_item_releases_by_the_other_way_only(self):    # req: PRO-22
        for _ in range(10):
            self.one_trip()
        self.assertEqual(self.table.step(0, 100, NEED), CHARGE)
        self.assertEqual(self.table.step(0, 100, OUT), 0)
        self.assertEqual(self.table.flags() & (TRIPPED | LOCKED), 0)
        self.assertEqual(self.table.states[0][4], 0)            # the count is gone as well

    def test_ten_quiet_minutes_end_the_row(self):               # req: PRO-22
        for quiet_ms, locked in ((599_999, LOCKED), (600_000, 0)):
            self.setUp()
            for _ in range(9):
                self.one_trip()
            self.table.step(0, quiet_ms - 100)
            self.one_trip()
            self.assertEqual(self.table.flags() & LOCKED, locked, quiet_ms)

    def test_a_current_the_other_way_ends_the_row(self):        # req: PRO-22
        for _ in range(9):
            self.one_trip()
        self.table.step(0, 100, OUT)
        self.one_trip()
        self.assertEqual(self.table.flags() & LOCKED, 0)


class TestWaits(unittest.TestCase):
    """A row like PRO-02 that waits after a release by its threshold (PRO-33)."""

    def setUp(self):
        self.table = Table(below(wait_ms=30_000, forget_ms=90_000, lock=3, out=OUT))

    def test_the_fet_stays_off_after_the_release(self):         # req: PRO-33
        self.table.trip(2600)
        self.assertEqual(self.table.step(3300, 100), DISCHARGE)
        self.assertEqual(self.table.flags() & ~ALARM, 8)
        self.assertEqual(self.table.step(3300, 29_999), DISCHARGE)
        self.assertEqual(self.table.step(3300, 1), 0)
        self.assertEqual(self.table.flags(), 0)

    def test_the_condition_that_releases_at_once_ends_it(self):     # req: PRO-33
        self.table.trip(2600)
        self.table.step(3300, 100)
        self.assertEqual(self.table.step(3300, 100, OUT), 0)
        self.table.trip(2600)
        self.assertEqual(self.table.step(2600, 100, OUT), 0)        # nor does it begin

    def test_a_trip_meanwhile_is_a_trip(self):                  # req: PRO-33
        self.table.trip(2600)
        self.table.step(3300, 100)
        self.table.trip(2600)
        self.assertEqual(self.table.flags(), ALARM | TRIPPED)
        self.assertEqual(self.table.step(3300, 100), DISCHARGE)

    def test_it_has_a_row_of_its_own(self):                     # req: PRO-33 PRO-22
        for quiet_ms, locked in ((89_999, LOCKED), (90_000, 0)):
            self.setUp()
            for _ in range(3):
                self.table.step(2600, 1)
                self.table.step(2600, 3000)
                flags = self.table.flags() & LOCKED
                self.table.step(3300, 1)
                self.table.step(3300, quiet_ms - 1)
            self.assertEqual(flags, locked, quiet_ms)

    def test_a_muted_alarm_leaves_it(self):
        table = Table(below(wait_ms=30_000, mute=0x20))
        table.trip(2600)
        table.step(3300, 100, 0x20)
        self.assertEqual(table.flags(), 8)
        self.assertEqual(table.step(3300, 100, 0x20), DISCHARGE)


class TestWholeTable(unittest.TestCase):
    def test_items_are_independent(self):                       # req: PRO-20
        table = Table(above(reading=0), above(reading=1), below(reading=2), below(reading=3))
        table.trip((3700, 3700, 2600, 3400))
        self.assertEqual(table.blocked, CHARGE | DISCHARGE)
        self.assertEqual(table.step((3300, 3400, 2600, 3400), 100), CHARGE | DISCHARGE)
        self.assertEqual(table.step((3300, 3300, 2600, 3400), 100), DISCHARGE)
        self.assertEqual(table.step((3300, 3300, 3300, 3400), 100), 0)

    def test_no_items_block_nothing(self):
        table = Table(above())
        table.count = 0
        self.assertEqual(table.step(9000, 9000), 0)

    def test_twins_agree_on_random_tables(self):                # req: PRO-26
        rng = Lcg(6)
        for _ in range(25):
            rows = []
            for item in range(3):
                rows.append([item, rng.below(2), rng.between(-50, 50),
                             rng.between(-50, 50), rng.between(-50, 50), rng.between(-50, 50),
                             rng.pick((0, 100, 300)), rng.below(4), rng.pick((0, 0, 1, 3)),
                             rng.pick((0, 0, 2, 6)), rng.pick((0, 0, 500)), rng.pick((0, 0, 2)),
                             rng.below(4), rng.pick((0, 4)), rng.pick((0, 1, 6)),
                             rng.pick((0, 0, 400)), rng.pick((0, 0, 250))])
            table = Table(*rows)
            for _ in range(10):
                values = [rng.pick((NO_READING, rng.between(-60, 60), rng.between(-60, 60)))
                          for _ in range(3)]
                table.step(values, rng.pick((0, 1, 100, 199, 1000)),
                           rng.pick((0, 0, rng.below(8))), 700,
                           rng.pick((0, 0, 0, rng.below(8))))

    def test_twins_agree_on_extreme_values(self):
        extremes = (-327_670, 327_670, NO_READING, 0, -1, 1)
        for row in (above(), below(), above(alarm=-1, trip=-1, release=-2, alarm_clear=-2)):
            for first in extremes:
                table = Table(row)
                for second in extremes:
                    table.step(first, 0x0FFFFFFF)
                    table.step(second, 1)


if __name__ == "__main__":
    unittest.main()
