"""The protection table with the document's numbers: limits, delays, releases, what each blocks."""

import unittest
from array import array

from bms.words import rules
from bms.words import readings as rd
from bms.words.parameters import Parameters
from bms.protect.protection import Protection
from hot.protect_py import ALARM, LOCKED, TRIPPED, WAITS
from fakes import NO_READING

CHARGE, DISCHARGE, BOTH = 1, 2, 3
PACK_MV = rules.ITEMS[2][rules.READING]     # what the table takes for the pack voltage
# id, reading, +1 worse above, alarm, protection, release, delay_ms, blocks (specification, 3).
# Release None: not by a threshold. Items of alarm only have neither protection nor blocks.
ROWS = (
    ("PRO-01", rd.MAX_CELL_MV, 1, 3500, 3600, 3300, 3000, CHARGE),
    ("PRO-02", rd.MIN_CELL_MV, -1, 2800, 2700, 3300, 3000, DISCHARGE),
    ("PRO-03", PACK_MV, 1, 56_800, 57_600, 54_000, 3000, CHARGE),
    ("PRO-04", PACK_MV, -1, 45_600, 44_000, 48_000, 3000, DISCHARGE),
    ("PRO-05", rd.CHARGE_MA, 1, 105_000, 110_000, None, 3000, CHARGE),
    ("PRO-06", rd.DISCHARGE_MA, 1, 105_000, 110_000, None, 3000, DISCHARGE),
    ("PRO-07", rd.DISCHARGE_MA, 1, None, 150_000, None, 100, DISCHARGE),
    ("PRO-09", rd.MIN_TEMP_DC, -1, 80, 50, 80, 3000, CHARGE),
    ("PRO-10", rd.MAX_TEMP_DC, 1, 520, 580, 530, 3000, CHARGE),
    ("PRO-11", rd.MIN_TEMP_DC, -1, -150, -200, -100, 3000, DISCHARGE),
    ("PRO-12", rd.MAX_TEMP_DC, 1, 520, 580, 530, 3000, DISCHARGE),
    ("PRO-13", rd.AMBIENT_DC, -1, -150, -200, -150, 3000, BOTH),
    ("PRO-14", rd.AMBIENT_DC, 1, 650, 750, 650, 3000, BOTH),
    ("PRO-15", rd.SOC_CPCT, -1, 299, None, None, 3000, 0),
    ("PRO-16", rd.CELL_DIFF_MV, 1, 300, None, None, 10_000, 0),
    ("PRO-17", rd.MOS_DC, 1, 900, 1050, 850, 3000, BOTH),
)
SAFETY_SCD = 0x80       # AFE safety status A


def healthy():
    """Readings of a pack at rest at half charge."""
    values = array("i", [NO_READING] * rd.COUNT)
    for slot, value in ((rd.MAX_CELL_MV, 3310), (rd.MIN_CELL_MV, 3305), (rd.CELL_DIFF_MV, 5),
                        (rd.CELL_SUM_MV, 52_900), (rd.STACK_MV, 52_900), (rd.PACK_MV, 52_900),
                        (rd.CURRENT_MA, 0), (rd.CHARGE_MA, 0), (rd.DISCHARGE_MA, 0),
                        (rd.MIN_TEMP_DC, 240), (rd.MAX_TEMP_DC, 260), (rd.MOS_DC, 300),
                        (rd.AMBIENT_DC, 250), (rd.SOC_CPCT, 5000), (rd.REVERSED, 0)):
        values[slot] = value
    return values


class TestCase(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.protection = Protection(self.params)
        self.values = healthy()
        self.told = []

    def index(self, name):
        for i in range(len(rules.ITEMS)):
            if rules.ITEMS[i][0] == name:
                return i
        self.fail(name)

    def bit(self, *names):
        bits = 0
        for name in names:
            bits |= 1 << self.index(name)
        return bits

    def step(self, dt_ms=100, conditions=0, safety=0):
        if self.protection.step(self.values, dt_ms, conditions, safety):
            self.protection.take_changes(lambda i, before, now: self.told.append((i, before, now)))
        return self.protection.blocked

    def hold(self, ms, conditions=0):
        """A first scan and then two of *ms* together."""
        self.step(100, conditions)
        self.step(ms - 100, conditions)
        return self.step(100, conditions)

    def has(self, name, flag):
        bits = self.protection.alarms if flag == ALARM else self.protection.trips
        return bits & self.bit(name) != 0


class TestRows(TestCase):
    def test_a_healthy_pack_has_nothing(self):                  # req: PRO-01 PRO-02 PRO-03 PRO-04
        self.hold(100_000)
        self.assertEqual((self.protection.alarms, self.protection.trips, self.protection.blocked,
                          self.protection.pending), (0, 0, 0, 0))
        self.assertEqual(self.told, [])

    # req: PRO-01 PRO-02 PRO-03 PRO-04 PRO-05 PRO-06 PRO-09 PRO-10 PRO-11 PRO-12 PRO-13 PRO-14
    def test_alarms_one_short_exact_one_past(self):             # req: PRO-15 PRO-16 PRO-17
        for name, reading, worse, alarm, _, _, delay_ms, _ in ROWS:
            if alarm is None:
                continue
            for past in (-1, 0, 1):
                self.setUp()
                self.values[reading] = alarm + past * worse
                self.hold(delay_ms)
                where = "%s %d" % (name, self.values[reading])
                self.assertEqual(self.has(name, ALARM), past >= 0, where)
                self.assertFalse(self.has(name, TRIPPED), where)

    # req: PRO-01 PRO-02 PRO-03 PRO-04 PRO-05 PRO-06 PRO-07 PRO-09 PRO-10 PRO-11 PRO-12 PRO-13
    def test_protections_one_short_exact_one_past(self):        # req: PRO-14 PRO-17 PRO-20
        for name, reading, worse, _, trip, _, delay_ms, blocks in ROWS:
            if trip is None:
                continue
            for past in (-1, 0, 1):
                self.setUp()
                self.values[reading] = trip + past * worse
                blocked = self.hold(delay_ms)
                where = "%s %d" % (name, self.values[reading])
                self.assertEqual(self.has(name, TRIPPED), past >= 0, where)
                if name in ("PRO-01", "PRO-02", "PRO-03", "PRO-04", "PRO-05", "PRO-13", "PRO-14",
                            "PRO-17"):
                    self.assertEqual(self.protection.trips, self.bit(name) if past >= 0 else 0)
                    self.assertEqual(blocked, blocks if past >= 0 else 0, where)
                elif past >= 0:
                    self.assertEqual(blocked & blocks, blocks, where)

    def test_what_each_item_opens(self):                        # req: PRO-20
        for name, _, _, _, _, _, _, blocks in ROWS:
            self.assertEqual(rules.ITEMS[self.index(name)][rules.BLOCKS], blocks, name)
        for name in ("PRO-08", "PRO-18"):
            self.assertEqual(rules.ITEMS[self.index(name)][rules.BLOCKS], BOTH, name)

    def test_delays_one_short_exact_one_past(self):             # req: PRO-21
        for name, reading, _, alarm, trip, _, delay_ms, _ in ROWS:
            flag = ALARM if trip is None else TRIPPED
            for waited in (delay_ms - 1, delay_ms, delay_ms + 1):
                self.setUp()
                self.values[reading] = alarm if trip is None else trip
                self.step()
                self.step(waited)
                self.assertEqual(self.has(name, flag), waited >= delay_ms,
                                 "%s %d" % (name, waited))

    # req: PRO-01 PRO-02 PRO-03 PRO-04 PRO-09 PRO-10 PRO-11 PRO-12 PRO-13 PRO-14
    def test_release_one_short_exact_one_past(self):            # req: PRO-17
        for name, reading, worse, _, trip, release, delay_ms, _ in ROWS:
            if release is None:
                continue
            for past, released in ((1, False), (0, True), (-1, True)):
                self.setUp()
                self.values[reading] = trip
                self.hold(delay_ms)
                self.values[reading] = release + past * worse
                self.step(100, rules.SOC_BELOW_FULL)
                self.assertEqual(self.has(name, TRIPPED), not released,
                                 "%s %d" % (name, self.values[reading]))

    def test_no_reading_neither_trips_nor_releases(self):       # req: MEA-03
        for name, reading, _, _, trip, release, delay_ms, _ in ROWS:
            if release is None:
                continue
            self.setUp()
            self.values[reading] = NO_READING
            self.assertEqual(self.hold(10_000), 0, name)
            self.values[reading] = trip
            self.hold(delay_ms)
            self.values[reading] = NO_READING
            self.hold(10_000, rules.SOC_BELOW_FULL)
            self.assertTrue(self.has(name, TRIPPED), name)

    def test_no_reading_lets_the_timer_run(self):               # req: MEA-03
        for name, reading, _, _, trip, _, delay_ms, _ in ROWS:
            if trip is None or delay_ms < 1000:
                continue
            self.setUp()
            self.values[reading] = trip
            self.step()
            self.values[reading] = NO_READING
            self.step(delay_ms - 100)
            self.assertFalse(self.has(name, TRIPPED), name)
            self.values[reading] = trip
            self.step()
            self.assertTrue(self.has(name, TRIPPED), name)

    def doubted(self, highest_mv, lowest_mv, dt_ms=100):
        """A scan whose cells are doubted, and show this."""
        before = [self.values[slot] for slot in (0, 1, 2, 3)]
        for slot in (rd.MAX_CELL_MV, rd.MIN_CELL_MV, rd.CELL_DIFF_MV, rd.CELL_SUM_MV):
            self.values[slot] = NO_READING
        self.step(dt_ms)
        self.protection.doubt(array("H", [highest_mv] * 8 + [lowest_mv] * 8), dt_ms)
        for slot in (0, 1, 2, 3):
            self.values[slot] = before[slot]

    def show(self, highest_mv, lowest_mv):
        self.values[rd.MAX_CELL_MV] = highest_mv
        self.values[rd.MIN_CELL_MV] = lowest_mv
        self.values[rd.CELL_SUM_MV] = 8 * (highest_mv + lowest_mv)

    def test_a_doubt_that_proves_right_costs_no_time(self):     # req: PRO-21 PRO-01 PRO-02 PRO-03
        for name, high_mv, low_mv in (("PRO-01", 3610, 3300), ("PRO-02", 3300, 2690),
                                      ("PRO-03", 3604, 3604), ("PRO-04", 2745, 2745)):
            for doubts in (0, 1, 2):
                self.setUp()
                self.step()
                for _ in range(doubts):
                    self.doubted(high_mv, low_mv)
                self.show(high_mv, low_mv)
                for _ in range(30 - doubts):
                    self.step()
                    self.assertFalse(self.has(name, TRIPPED), (name, doubts))
                self.step()             # 3.0 s after the first scan that showed it
                self.assertTrue(self.has(name, TRIPPED), (name, doubts))

    def test_a_doubt_that_proves_wrong_leaves_nothing(self):    # req: PRO-21 MEA-03
        self.step()
        for _ in range(50):
            self.doubted(3700, 2600)
            self.assertEqual(self.protection.pending, 0)
        self.show(3310, 3305)
        self.step()
        self.assertEqual((self.protection.pending, self.protection.trips), (0, 0))
        self.show(3610, 2690)           # and what comes then has its own delay
        for _ in range(30):
            self.step()
            self.assertEqual(self.protection.trips, 0)
        self.step()
        self.assertTrue(self.has("PRO-01", TRIPPED) and self.has("PRO-02", TRIPPED))

    def test_only_the_doubts_just_before_count(self):           # req: PRO-21
        self.step()
        self.doubted(3610, 3300)
        self.doubted(3500, 3300)        # inside again
        self.doubted(3610, 3300)
        self.show(3610, 3300)
        for _ in range(29):
            self.step()
            self.assertEqual(self.protection.trips, 0)
        self.step()
        self.assertTrue(self.has("PRO-01", TRIPPED))

    def test_the_time_left_is_that_of_the_first_delay_to_pass(self):    # req: PRO-21
        self.step()
        self.assertTrue(self.protection.left_ms() > 1_000_000)
        self.show(3610, 3300)
        self.step()
        self.assertEqual(self.protection.left_ms(), 3000)
        self.step(97)
        self.show(3610, 2690)
        self.step()
        self.assertEqual(self.protection.left_ms(), 2803)
        self.values[rd.DISCHARGE_MA] = 160_000
        self.step()
        self.assertEqual(self.protection.left_ms(), 100)

    def test_alarms_do_not_block(self):                         # req: PRO-01
        self.values[rd.MAX_CELL_MV] = 3550
        self.values[rd.MIN_CELL_MV] = 2750
        self.assertEqual(self.hold(60_000), 0)
        self.assertEqual(self.protection.alarms, self.bit("PRO-01", "PRO-02"))

    def test_one_release_does_not_close_what_another_holds(self):   # req: PRO-20
        self.values[rd.MAX_CELL_MV] = 3650
        self.values[PACK_MV] = 57_700
        self.values[rd.MAX_TEMP_DC] = 600
        self.assertEqual(self.hold(3000), BOTH)
        for slot, value, blocked in ((rd.MAX_CELL_MV, 3300, BOTH), (PACK_MV, 54_000, BOTH),
                                     (rd.MAX_TEMP_DC, 530, 0)):
            self.values[slot] = value
            self.assertEqual(self.step(100, rules.SOC_BELOW_FULL), blocked)

    def test_what_is_about_to_open_is_told(self):               # req: COM-05
        self.values[rd.MAX_CELL_MV] = 3600
        self.step()
        self.assertEqual((self.protection.pending, self.protection.blocked), (CHARGE, 0))
        self.hold(3000)
        self.assertEqual((self.protection.pending, self.protection.blocked), (0, CHARGE))


class TestReleases(TestCase):
    def test_over_voltage_release_needs_soc_below_96_too(self):     # req: PRO-01 PRO-03
        for name, reading, _, _, trip, release, _, _ in ROWS:
            if name in ("PRO-01", "PRO-03"):
                self.setUp()
                self.values[reading] = trip
                self.hold(3000)
                self.values[reading] = release - 100
                self.assertEqual(self.hold(60_000), CHARGE, name)
                self.assertEqual(self.step(100, rules.SOC_BELOW_FULL), 0)

    def test_discharge_current_releases_over_voltage(self):     # req: PRO-01 PRO-03
        for name, reading, _, _, trip, _, _, _ in ROWS:
            if name in ("PRO-01", "PRO-03"):
                self.setUp()
                self.values[reading] = trip
                self.hold(3000)
                self.assertEqual(self.step(100, rules.CHARGER_SEEN | rules.CHARGING), CHARGE)
                self.assertEqual(self.step(100, rules.DISCHARGING), CHARGE)
                self.assertEqual(self.step(100, rules.RELIEF), 0, name)

    def test_a_charger_releases_under_voltage(self):            # req: PRO-02 PRO-04
        for name, reading, _, _, trip, _, _, _ in ROWS:
            if name in ("PRO-02", "PRO-04"):
                self.setUp()
                self.values[reading] = trip
                self.hold(3000)
                self.assertEqual(self.step(100, rules.DISCHARGING | rules.SOC_BELOW_FULL),
                                 DISCHARGE)
                self.assertEqual(self.step(100, rules.CHARGER_SEEN), DISCHARGE, name)
                self.assertEqual(self.step(100, rules.CHARGED), 0, name)     # PRO-29 allows it

    def test_over_current_releases_after_a_minute(self):        # req: PRO-05 PRO-06 PRO-07
        for name, reading, _, _, trip, _, delay_ms, _ in ROWS:
            if name in ("PRO-05", "PRO-06", "PRO-07"):
                self.setUp()
                self.values[reading] = trip
                self.step()
                self.step(delay_ms)
                self.values[reading] = 0
                self.step(59_999)
                self.assertTrue(self.has(name, TRIPPED), name)
                self.step(1)
                self.assertFalse(self.has(name, TRIPPED), name)

    def test_over_current_releases_by_the_other_way(self):      # req: PRO-05 PRO-06 PRO-07
        for name, reading, wrong, right in (
                ("PRO-05", rd.CHARGE_MA, rules.CHARGING | rules.CHARGER_SEEN, rules.DISCHARGING),
                ("PRO-06", rd.DISCHARGE_MA, rules.DISCHARGING, rules.CHARGING),
                ("PRO-07", rd.DISCHARGE_MA, rules.DISCHARGING, rules.CHARGING)):
            self.setUp()
            self.values[reading] = 160_000
            self.hold(3000)
            self.values[reading] = 0
            self.step(100, wrong)
            self.assertTrue(self.has(name, TRIPPED), name)
            self.step(100, right)
            self.assertFalse(self.has(name, TRIPPED), name)

    def test_the_tenth_over_current_in_a_row_locks(self):       # req: PRO-05 PRO-06 PRO-07 PRO-22
        for name, reading, other in (("PRO-05", rd.CHARGE_MA, rules.DISCHARGING),
                                     ("PRO-06", rd.DISCHARGE_MA, rules.CHARGING),
                                     ("PRO-07", rd.DISCHARGE_MA, rules.CHARGING)):
            self.setUp()
            for _ in range(10):
                self.assertFalse(self.has(name, TRIPPED))
                self.values[reading] = 160_000
                self.hold(3000)
                self.assertTrue(self.has(name, TRIPPED), name)
                self.values[reading] = 0
                self.step(61_000)
            self.assertTrue(self.protection.locks & self.bit(name), name)
            self.step(3_600_000)
            self.assertTrue(self.has(name, TRIPPED), name)
            self.step(100, other)
            self.assertEqual((self.has(name, TRIPPED), self.protection.locks), (False, 0), name)

    def test_the_host_unlocks(self):                            # req: PRO-22
        for _ in range(10):
            self.values[rd.CHARGE_MA] = 110_000
            self.hold(3000)
            self.values[rd.CHARGE_MA] = 0
            self.step(61_000)
        self.assertEqual(self.protection.locks, self.bit("PRO-05"))
        self.protection.unlock()
        self.step(100)
        self.step(60_000)
        self.assertEqual(self.step(100), 0)
        self.values[rd.CHARGE_MA] = 110_000         # and the row begins anew
        self.hold(3000)
        self.values[rd.CHARGE_MA] = 0
        self.step(61_000)
        self.assertEqual(self.protection.blocked, 0)
        self.assertEqual(self.protection.locks, 0)

    def test_a_short_circuit_by_the_afes_comparator(self):      # req: PRO-08
        self.step()
        self.assertEqual(self.step(100, 0, SAFETY_SCD), BOTH)
        self.assertEqual(self.protection.trips, self.bit("PRO-08"))
        for _ in range(3):                          # time and voltage release nothing
            self.assertEqual(self.step(3_600_000), BOTH)
        self.values[rd.SHORTED] = -1                # load removed, or a charger: test_flow.py
        self.assertEqual(self.step(100), 0)

    def test_the_afes_status_trips_once_when_it_appears(self):  # req: PRO-08
        self.step(100, 0, SAFETY_SCD)
        self.values[rd.SHORTED] = -1
        self.step(100, 0, SAFETY_SCD)
        self.assertEqual(self.step(100, 0, SAFETY_SCD), 0)      # still set: the same event
        self.step(100, 0, 0)
        self.assertEqual(self.step(100, 0, SAFETY_SCD), BOTH)   # a new one

    def short(self, seconds=10):
        """A short circuit that is taken away again after *seconds*; True if that releases it."""
        self.values[rd.SHORTED] = 0
        self.step(100, 0, SAFETY_SCD)
        self.step(seconds * 1000)
        self.values[rd.SHORTED] = -1
        self.step(100)
        return self.protection.blocked == 0

    def test_the_fifth_short_circuit_in_a_row_locks(self):      # req: PRO-08 PRO-22
        self.assertEqual([self.short() for _ in range(5)], [True] * 4 + [False])
        self.assertEqual(self.protection.locks, self.bit("PRO-08"))
        self.step(3_600_000)
        self.assertEqual(self.protection.blocked, BOTH)
        self.protection.unlock()
        self.assertEqual(self.step(100), 0)
        self.assertEqual([self.short() for _ in range(5)], [True] * 4 + [False])

    def test_short_circuits_that_are_rare_do_not_lock(self):    # req: PRO-08 PRO-22
        for _ in range(20):
            self.assertTrue(self.short())
            self.step(600_000)

    def test_deep_discharge_blocks_charging_until_it_is_over(self):     # req: PRO-29
        for value, blocked in ((2001, 0), (2000, CHARGE), (1200, CHARGE)):
            self.setUp()
            self.values[rd.DEEP_CELL_MV] = value
            self.assertEqual(self.hold(3000), blocked, value)
            for higher_mv in (value, 2899):
                self.values[rd.DEEP_CELL_MV] = higher_mv
                self.assertEqual(self.step(3_600_000, rules.CHARGER_SEEN | rules.CHARGING),
                                 blocked)
            self.values[rd.DEEP_CELL_MV] = 2900
            self.assertEqual(self.step(100), 0)

    def test_ignored_limits_are_an_alarm_and_a_protection(self):        # req: PRO-30
        for name, slot, blocks, other in (
                ("PRO-30-charge", rd.CHARGE_IGNORED_S, CHARGE, rules.DISCHARGING),
                ("PRO-30-discharge", rd.DISCHARGE_IGNORED_S, DISCHARGE, rules.CHARGING)):
            for seconds, alarm, blocked in ((29, 0, 0), (30, 1, 0), (119, 1, 0), (120, 1, blocks)):
                self.setUp()
                self.values[slot] = seconds
                for _ in range(2):
                    self.step(100)
                self.assertEqual(self.has(name, ALARM), alarm == 1, (name, seconds))
                self.assertEqual(self.protection.blocked, blocked, (name, seconds))
            self.values[slot] = 0
            self.step(59_000)
            self.assertEqual(self.protection.blocked, blocks)
            self.step(1_000)
            self.assertEqual(self.protection.blocked, 0)
            for _ in range(9):
                self.values[slot] = 120
                self.step(100)
                self.step(100)
                self.values[slot] = 0
                self.step(61_000)
            self.assertEqual(self.protection.locks, self.bit(name))
            self.step(100, other)
            self.assertEqual((self.protection.locks, self.protection.blocked), (0, 0))

    def test_low_capacity_is_silent_while_charging(self):       # req: PRO-15
        self.values[rd.SOC_CPCT] = 250
        self.hold(10_000, rules.CHARGE_FLOWS)
        self.assertFalse(self.has("PRO-15", ALARM))
        self.hold(3000)
        self.assertTrue(self.has("PRO-15", ALARM))
        self.step(100, rules.CHARGE_FLOWS)
        self.assertFalse(self.has("PRO-15", ALARM))
        self.hold(3000)
        self.values[rd.SOC_CPCT] = 299
        self.hold(9000)
        self.assertTrue(self.has("PRO-15", ALARM))
        self.values[rd.SOC_CPCT] = 300
        self.hold(3000)
        self.assertFalse(self.has("PRO-15", ALARM))

    def test_cell_difference_clears_at_250(self):               # req: PRO-16
        self.values[rd.CELL_DIFF_MV] = 300
        self.hold(10_000)
        for diff_mv, up in ((251, True), (250, False)):
            self.values[rd.CELL_DIFF_MV] = diff_mv
            self.hold(10_000)
            self.assertEqual(self.has("PRO-16", ALARM), up, diff_mv)

    def test_reverse_connection_acts_at_once(self):             # req: PRO-18
        self.step()
        self.values[rd.REVERSED] = 1
        self.step()
        self.step()                                 # at most one scan
        self.assertEqual((self.protection.blocked, self.protection.trips),
                         (BOTH, self.bit("PRO-18")))
        self.values[rd.REVERSED] = 0
        self.assertEqual(self.step(), 0)


class TestSettings(TestCase):
    def test_changed_parameters_act_at_the_next_step(self):     # req: PAR-01
        self.values[rd.MAX_CELL_MV] = 3560
        self.hold(3000)
        self.assertEqual(self.protection.trips, 0)
        self.params.set("cell_ov_trip_mv", 3560)
        self.params.set("cell_ov_delay_ms", 200)
        self.step()
        self.assertEqual(self.step(199), 0)
        self.assertEqual(self.step(1), CHARGE)

    def test_a_change_does_not_release_what_has_tripped(self):  # req: PAR-01
        self.values[rd.MAX_CELL_MV] = 3650
        self.hold(3000)
        self.params.set("cell_ov_trip_mv", 3680)
        self.assertEqual(self.step(), CHARGE)

    def test_the_limit_that_was_crossed_is_known(self):         # req: PRO-25
        self.step()
        for name, _, _, alarm, trip, _, _, _ in ROWS:
            i = self.index(name)
            if alarm is not None:
                self.assertEqual(self.protection.limit_of(i, ALARM), alarm, name)
            if trip is not None:
                self.assertEqual(self.protection.limit_of(i, TRIPPED), trip, name)


class TestRecall(TestCase):
    def test_a_trip_of_before_a_start_holds_until_its_own_release(self):   # req: PRO-01 PWR-13
        self.protection.recall(self.bit("PRO-01"))
        self.values[rd.MAX_CELL_MV] = 3301
        for _ in range(100):
            self.assertEqual(self.step(100, rules.SOC_BELOW_FULL), CHARGE)
        self.assertEqual((self.told, self.protection.trips), ([], self.bit("PRO-01")))
        self.values[rd.MAX_CELL_MV] = 3300
        self.assertEqual(self.step(100, rules.SOC_BELOW_FULL), 0)
        self.assertEqual((len(self.told), self.protection.trips), (1, 0))


    def test_of_several_each_is_held(self):                     # req: PRO-01 PRO-03 PWR-13
        both = self.bit("PRO-01", "PRO-03")
        self.protection.recall(both)
        self.assertEqual((self.protection.trips, self.protection.alarms), (both, 0))
        self.step()
        self.protection.take_changes(lambda i, before, now: self.told.append(i))
        self.assertEqual((self.told, self.protection.trips), ([], both))
        self.values[PACK_MV] = 53_900                           # within PRO-03's release
        self.values[rd.MAX_CELL_MV] = 3301
        self.assertEqual(self.step(100, rules.SOC_BELOW_FULL), CHARGE)
        self.assertEqual(self.protection.trips, self.bit("PRO-01"))


class TestRelease(TestCase):
    """PWR-13: charging is allowed again although the recovery voltage was not reached."""

    def test_what_was_named_and_nothing_else_is_released(self):     # req: PWR-13 PRO-20
        for name, reading, _, _, trip, _, delay_ms, _ in ROWS:
            if trip is None:
                continue
            self.setUp()
            self.values[rd.MOS_DC] = 1050                       # PRO-17 holds both all the time
            self.values[reading] = trip
            self.hold(delay_ms)
            self.assertTrue(self.has(name, TRIPPED), name)
            self.hold(3000)
            self.protection.release(self.bit("PRO-01"))
            self.protection.take_changes(lambda i, before, now: None)
            self.assertEqual((self.has(name, TRIPPED), self.has("PRO-17", TRIPPED)),
                             (name != "PRO-01", True), name)

    def test_it_trips_again_after_its_whole_delay(self):        # req: PWR-13 PRO-21
        self.values[rd.MAX_CELL_MV] = 3600
        self.assertEqual(self.hold(3000), CHARGE)
        self.protection.release(self.bit("PRO-01"))
        self.assertEqual([self.step(1000) for _ in range(4)], [0, 0, 0, CHARGE])
        self.assertTrue(self.has("PRO-01", ALARM))              # which was not touched

    def test_a_locked_item_is_released_and_counts_its_minute_anew(self):    # req: PWR-13 PRO-22
        self.values[rd.CHARGE_MA] = 110_000
        for _ in range(10):
            self.hold(3000)
            self.step(60_000)
        self.hold(3000)
        i = self.index("PRO-05")
        self.assertTrue(self.protection.locks >> i & 1)
        self.step(50_000)
        self.protection.release(1 << i)
        self.protection.take_changes(lambda i, before, now: None)
        self.assertEqual((self.protection.locks, self.protection.trips), (0, 0))
        self.protection.unlock()
        self.hold(3000)
        self.assertTrue(self.has("PRO-05", TRIPPED))
        self.step(59_700)
        self.assertTrue(self.has("PRO-05", TRIPPED))            # the 50 s before do not count


class TestDisbelieved(TestCase):
    def test_what_came_in_doubt_stays_named_while_the_afe_says_it(self):    # req: MEA-03 PRO-23
        def step(safety, doubtful):
            self.protection.step(self.values, 100, 0, safety, doubtful)
            return self.protection.disbelieved
        self.assertEqual(self.protection.disbelieved, 0)
        self.assertEqual([step(0x08, 0x08), step(0x08, 0), step(0x0C, 0x0C), step(0x0C, 0x08),
                          step(0x04, 0), step(0, 0x0C), step(0x08, 0x04), step(0x08, 0x08)],
                         [0x08, 0x08, 0x0C, 0x0C, 0x04, 0, 0, 0])

    def test_each_step_leaves_a_token(self):                    # req: SAF-07
        self.assertEqual(self.protection.stepped, False)
        self.step()
        self.assertEqual(self.protection.stepped, True)

    def test_the_rows_can_be_compared_with_the_parameters(self):    # req: SAF-07
        self.step()
        self.assertEqual(self.protection.rows[self.index("PRO-01") * 15 + 4], 3600)
        self.assertEqual(self.protection.taken, self.params.changed)
        self.params.set("cell_ov_trip_mv", 3610)
        self.assertNotEqual(self.protection.taken, self.params.changed)


class TestChanges(TestCase):
    def test_each_change_is_told_once(self):                    # req: PRO-25
        self.values[rd.MIN_CELL_MV] = 2650
        self.hold(9000)
        self.assertEqual(self.told, [(1, 0, ALARM | TRIPPED)])
        self.values[rd.MIN_CELL_MV] = 3300
        self.hold(9000)
        self.assertEqual(self.told[1:], [(1, ALARM | TRIPPED, ALARM | WAITS),
                                         (1, ALARM | WAITS, WAITS)])
        self.hold(30_000)
        self.assertEqual(self.told[3:], [(1, WAITS, 0)])
        self.assertEqual((self.protection.alarms, self.protection.trips, self.protection.locks),
                         (0, 0, 0))

    def test_over_voltages_and_temperatures_never_lock(self):   # req: PRO-22
        for name, reading, _, _, trip, release, delay_ms, _ in ROWS:
            if release is None or name in ("PRO-02", "PRO-04"):
                continue
            self.setUp()
            good = self.values[reading]
            for _ in range(12):
                self.values[reading] = trip
                self.hold(delay_ms)
                self.values[reading] = release if name != "PRO-01" else good - 100
                self.step(100, rules.SOC_BELOW_FULL)
            self.assertEqual(self.protection.locks, 0, name)
            self.assertFalse([told for told in self.told if told[2] & LOCKED])


class TestStart(TestCase):
    """Nothing was closed since the start or the wake: the delay is for packs that run."""

    BEYOND = (("PRO-01", rd.MAX_CELL_MV, 3600, CHARGE),
              ("PRO-02", rd.MIN_CELL_MV, 2700, DISCHARGE),
              ("PRO-03", rd.CELL_SUM_MV, 57_600, CHARGE),
              ("PRO-04", rd.CELL_SUM_MV, 44_000, DISCHARGE),
              ("PRO-09", rd.MIN_TEMP_DC, 50, CHARGE), ("PRO-17", rd.MOS_DC, 1050, BOTH),
              ("PRO-14", rd.AMBIENT_DC, 750, BOTH))

    def test_the_second_scan_beyond_trips(self):                # req: PRO-27
        for dt_ms in (1, 100, 500):
            for name, slot, value, blocks in self.BEYOND:
                self.setUp()
                self.values[slot] = value
                self.assertEqual(self.step(0, rules.AT_ONCE), 0, name)
                self.assertEqual(self.protection.pending, blocks, name)
                self.assertEqual(self.step(dt_ms, rules.AT_ONCE), blocks, name)
                self.assertEqual(self.protection.trips, self.bit(name))

    def test_one_wrong_scan_trips_nothing(self):                # req: PRO-27
        for value in (3600, 3300, 3300, 3601, 3599, 3599, 3300, 3600):
            self.values[rd.MAX_CELL_MV] = value
            self.assertEqual(self.step(100, rules.AT_ONCE), 0)

    def test_with_a_fet_closed_the_delay_counts(self):          # req: PRO-27 PRO-21
        self.values[rd.MAX_CELL_MV] = 3600
        self.step(100)
        self.assertEqual(self.step(2999), 0)
        self.assertEqual(self.step(1), CHARGE)

    def test_alarms_without_a_protection_keep_their_delay(self):    # req: PRO-27
        self.values[rd.CELL_DIFF_MV] = 300
        self.step(100, rules.AT_ONCE)
        self.step(9999, rules.AT_ONCE)
        self.assertEqual(self.protection.alarms, 0)
        self.step(1, rules.AT_ONCE)
        self.assertEqual(self.protection.alarms, self.bit("PRO-16"))

    def test_no_reading_does_not_trip(self):                    # req: PRO-27
        for value in (NO_READING, NO_READING, 3300, NO_READING):
            self.values[rd.MAX_CELL_MV] = value
            self.assertEqual(self.step(100, rules.AT_ONCE), 0)


if __name__ == "__main__":
    unittest.main()
