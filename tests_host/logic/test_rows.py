"""Every row of the specification's protection table (section 3), as a whole pack acts on it.

The numbers are the document's. Around each limit and each delay: one short, exact, one past.
"""

import unittest

from bms.words import readings as rd
from bms.pack import Pack
from bms.words.parameters import Parameters
from bms.words.rules import ITEMS
from fakes import LATE, NO_READING, WRAP
from profiles import am5000

NONE, CHARGE, DISCHARGE, BOTH = 0, 1, 2, 3

# id: (reading, worse above +1 or below -1, alarm, protection, delay ms, release, FETs opened).
# None: the document has none there, or it is not a threshold and has tests of its own.
TABLE = {
    "PRO-01": (rd.MAX_CELL_MV, +1, 3500, 3600, 3000, 3300, CHARGE),
    "PRO-02": (rd.MIN_CELL_MV, -1, 2800, 2700, 3000, 3300, DISCHARGE),
    "PRO-03": (rd.CELL_SUM_MV, +1, 56800, 57600, 3000, 54000, CHARGE),
    "PRO-04": (rd.CELL_SUM_MV, -1, 45600, 44000, 3000, 48000, DISCHARGE),
    "PRO-05": (rd.CHARGE_MA, +1, 105000, 110000, 3000, None, CHARGE),
    "PRO-06": (rd.DISCHARGE_MA, +1, 105000, 110000, 3000, None, DISCHARGE),
    "PRO-07": (rd.DISCHARGE_MA, +1, None, 150000, 100, None, DISCHARGE),
    "PRO-09": (rd.MIN_TEMP_DC, -1, 80, 50, 3000, 80, CHARGE),
    "PRO-10": (rd.MAX_TEMP_DC, +1, 520, 580, 3000, 530, CHARGE),
    "PRO-11": (rd.MIN_TEMP_DC, -1, -150, -200, 3000, -100, DISCHARGE),
    "PRO-12": (rd.MAX_TEMP_DC, +1, 520, 580, 3000, 530, DISCHARGE),
    "PRO-13": (rd.AMBIENT_DC, -1, -150, -200, 3000, -150, BOTH),
    "PRO-14": (rd.AMBIENT_DC, +1, 650, 750, 3000, 650, BOTH),
    "PRO-15": (rd.SOC_CPCT, -1, 299, None, 3000, 300, NONE),
    "PRO-16": (rd.CELL_DIFF_MV, +1, 300, None, 10000, 250, NONE),
    "PRO-17": (rd.MOS_DC, +1, 900, 1050, 3000, 850, BOTH),
    "DER-03-chg": (rd.CHARGE_MA, +1, 51000, None, 3000, None, NONE),    # AM 5.10: 50 A, and 1 A
    "DER-03-dsg": (rd.DISCHARGE_MA, +1, 51000, None, 3000, None, NONE),
}
# Rows that are no threshold of the document's table, and where they are tried.
ELSEWHERE = {
    "PRO-08": "below, by the AFE's bits", "PRO-18": "below, by direction",
    "PRO-29": "test_deep", "PRO-30-charge": "test_ignored", "PRO-30-discharge": "test_ignored",
    "PWR-03": "test_predischarge",
}
NORMAL = {rd.MAX_CELL_MV: 3310, rd.MIN_CELL_MV: 3290, rd.CELL_DIFF_MV: 20, rd.CELL_SUM_MV: 52800,
          rd.STACK_MV: 52800, rd.PACK_MV: 52800, rd.LD_MV: 0, rd.CURRENT_MA: 0, rd.CHARGE_MA: 0,
          rd.DISCHARGE_MA: 0, rd.MIN_TEMP_DC: 240, rd.MAX_TEMP_DC: 260, rd.MOS_DC: 300,
          rd.AMBIENT_DC: 220, rd.DIE_DC: 300}
# AFE safety status bit (A | B << 8 | C << 16, SLUUBY2B): item that it trips, FETs opened
AFE_BITS = (
    (0x000004, "PRO-02", DISCHARGE),    # CUV
    (0x000008, "PRO-01", CHARGE),       # COV
    (0x000010, "PRO-05", CHARGE),       # OCC
    (0x000020, "PRO-07", DISCHARGE),    # OCD1
    (0x000040, "PRO-07", DISCHARGE),    # OCD2
    (0x200000, "PRO-07", DISCHARGE),    # OCDL
    (0x800000, "PRO-06", DISCHARGE),    # OCD3
    (0x000080, "PRO-08", BOTH),         # SCD
    (0x400000, "PRO-08", BOTH),         # SCDL
    (0x000100, "PRO-09", CHARGE),       # UTC
    (0x001000, "PRO-10", CHARGE),       # OTC
    (0x000200, "PRO-11", DISCHARGE),    # UTD
    (0x002000, "PRO-12", DISCHARGE),    # OTD
    (0x004000, "PRO-17", BOTH),         # OTINT
    (0x008000, "PRO-17", BOTH),         # OTF
)
OVER_CURRENT = (("PRO-05", +1, 110_000, 3000, CHARGE), ("PRO-06", -1, 110_000, 3000, DISCHARGE),
                ("PRO-07", -1, 150_000, 100, DISCHARGE))


UNDER_VOLTAGE = ("PRO-02", "PRO-04")


def bit(item):
    """The bit of *item* in trips, alarms and locks."""
    for i in range(len(ITEMS)):
        if ITEMS[i][0] == item:
            return 1 << i
    raise AssertionError("no row is called " + item)


class Case(unittest.TestCase):
    """A healthy pack, stepped with readings of any value."""

    def setUp(self):
        self.params = Parameters()
        self.pack = Pack(am5000, self.params, 100)
        self.pack.afe_ready = True
        self.pack.fets.wanted = self.pack.fets.actual = BOTH
        self.now = LATE
        self.values = self.pack.measurements.values
        self.soc(5000)
        self.normal()
        self.step()

    def normal(self):
        for slot, value in NORMAL.items():
            self.values[slot] = value
        self.pack.measurements.safety = 0

    def soc(self, cpct):
        soc = self.pack.soc
        soc.is_set = True
        soc.remaining_mah = cpct * 10
        soc.cpct = cpct

    def current(self, current_ma):
        """Charging positive."""
        self.values[rd.CURRENT_MA] = current_ma
        self.values[rd.CHARGE_MA] = max(0, current_ma)
        self.values[rd.DISCHARGE_MA] = max(0, -current_ma)

    def put(self, item, value):
        """The reading of *item* becomes *value*."""
        slot = TABLE[item][0]
        if slot == rd.SOC_CPCT:
            self.soc(value)
        elif slot in (rd.CHARGE_MA, rd.DISCHARGE_MA):
            self.current(value if slot == rd.CHARGE_MA else -value)
        else:
            self.values[slot] = value

    def step(self, dt_ms=100):
        """One fresh scan, *dt_ms* after the one before; the FETs blocked."""
        self.now = (self.now + dt_ms) % WRAP
        measured = self.pack.measurements
        measured.seq += 1
        measured.dt_ms = dt_ms
        measured.failed_row = 0
        measured.terminals_known = True
        self.values[rd.SCAN_HASH] = measured.seq        # something always moves
        self.pack.step(self.now, True)
        return self.pack.protection.blocked

    def second(self):
        """Scans of 1 s and one: what is seen now has lasted (PRO-32); the FETs blocked before the
        last of them, and after it."""
        for _ in range(10):
            before = self.step()
        return before, self.step()

    def trip(self, item):
        """Make *item* trip and nothing else."""
        self.put(item, TABLE[item][3])
        self.step()
        self.step(TABLE[item][4])
        self.assertEqual(self.pack.protection.trips, bit(item), item)

    def tripped(self, item):
        return self.pack.protection.trips & bit(item) != 0

    def alarmed(self, item):
        return self.pack.protection.alarms & bit(item) != 0


def beyond(item, column, value):
    """True if *value* of the reading of *item* is at or past its threshold in *column*."""
    limit = TABLE[item][column]
    return limit is not None and (value - limit) * TABLE[item][1] >= 0


def sharing(item):
    """The rows that read what *item* reads, *item* among them."""
    return [name for name in sorted(TABLE) if TABLE[name][0] == TABLE[item][0]]


class TestEveryRow(unittest.TestCase):
    def test_each_row_has_its_numbers_here(self):       # req: PRO-20
        self.assertEqual(sorted(list(TABLE) + list(ELSEWHERE)), sorted(row[0] for row in ITEMS))


class TestRows(Case):
    def expect(self, tripped, where):
        """Exactly the rows *tripped* have tripped; their FETs and no others are open."""
        trips = blocks = 0
        for name in tripped:
            trips |= bit(name)
            blocks |= TABLE[name][6]
        self.assertEqual(self.pack.protection.trips, trips, where)
        self.assertEqual(self.pack.protection.blocked, blocks, where)
        self.assertEqual(self.pack.allowed(), BOTH & ~blocks, where)

    def check_alarm(self, item):
        _, sense, alarm, _, delay_ms, _, _ = TABLE[item]
        for past in (-1, 0, 1):
            for waited in (-1, 0, 1):
                self.setUp()
                value = alarm + past * sense
                self.put(item, value)
                self.step()
                self.step(delay_ms + waited)
                where = "%s %d after %d" % (item, value, delay_ms + waited)
                self.assertEqual(self.alarmed(item), past >= 0 and waited >= 0, where)
                self.expect([name for name in sharing(item) if beyond(name, 3, value)
                             and delay_ms + waited >= TABLE[name][4]], where)

    def check_trip(self, item):
        _, sense, _, trip, delay_ms, _, _ = TABLE[item]
        for past in (-1, 0, 1):
            for waited in (-1, 0, 1):
                self.setUp()
                value = trip + past * sense
                self.put(item, value)
                self.step()
                self.step(delay_ms + waited)
                where = "%s %d after %d" % (item, value, delay_ms + waited)
                self.assertEqual(self.tripped(item), past >= 0 and waited >= 0, where)
                self.expect([name for name in sharing(item) if beyond(name, 3, value)
                             and delay_ms + waited >= TABLE[name][4]], where)

    def check_delay_starts_again(self, item):
        """Crossings that are each shorter than the delay trip nothing: a time beyond is forgotten
        at half its pace (PRO-28)."""
        _, sense, _, trip, delay_ms, _, _ = TABLE[item]
        self.setUp()
        for _ in range(3):
            self.put(item, trip)
            self.step()
            self.step(delay_ms - 1)
            self.put(item, trip - sense)
            self.step(2 * delay_ms)
            self.step()
        self.assertFalse(self.tripped(item), item)

    def check_toggling(self, item):
        """Beyond in every second scan only: it trips, within 5 delays (PRO-28)."""
        _, sense, _, trip, delay_ms, _, _ = TABLE[item]
        self.setUp()
        waited = 0
        while not self.tripped(item):
            self.assertTrue(waited <= 5 * delay_ms, item)
            self.put(item, trip)
            self.step()
            if not self.tripped(item):
                self.put(item, trip - sense)
                self.step()
            waited += 200
        self.assertTrue(waited >= 2 * delay_ms, item)

    def check_small_scans(self, item):
        """Scans of the usual period add up: not a scan early, not a scan late."""
        _, _, _, trip, delay_ms, _, _ = TABLE[item]
        self.setUp()
        self.put(item, trip)
        for _ in range(delay_ms // 100):
            self.step()
            self.assertFalse(self.tripped(item), item)
        self.step()
        self.assertTrue(self.tripped(item), item)

    def check_release(self, item):
        _, sense, _, trip, delay_ms, release, _ = TABLE[item]
        for past in (1, 0, -1):
            self.setUp()
            self.put(item, trip)
            self.step()
            self.step(delay_ms)
            value = release + past * sense
            self.soc(5000)
            self.put(item, value)
            self.step()
            where = "%s release at %d" % (item, value)
            self.assertEqual(self.tripped(item), past > 0, where)
            if item in UNDER_VOLTAGE and past <= 0:     # PRO-33
                self.assertEqual(self.pack.allowed(), CHARGE, where)
                self.step(29_999)
                self.assertEqual(self.pack.allowed(), CHARGE, where)
                self.step(1)
            self.expect([name for name in sharing(item) if beyond(name, 3, trip)
                         and (value - TABLE[name][5]) * TABLE[name][1] > 0], where)

    def check_no_reading(self, item):
        """Neither trips nor releases; a timer that runs goes on."""
        slot, _, _, trip, delay_ms, _, blocks = TABLE[item]
        self.setUp()
        self.values[slot] = NO_READING
        self.step(delay_ms)
        self.step(delay_ms)
        self.assertEqual(self.pack.protection.trips, 0, item)
        self.put(item, trip)
        self.step()
        self.values[slot] = NO_READING
        self.step(delay_ms - 100)
        self.step(delay_ms)
        self.assertEqual(self.pack.protection.trips, 0, item)
        self.put(item, trip)
        self.step()
        self.assertTrue(self.tripped(item), item)
        self.soc(5000)
        self.values[slot] = NO_READING
        for _ in range(5):
            self.assertEqual(self.step(1000) & blocks, blocks, item)

    def check(self, item):
        if TABLE[item][2] is not None:
            self.check_alarm(item)
        if TABLE[item][3] is not None:
            self.check_trip(item)
            self.check_delay_starts_again(item)
            self.check_toggling(item)
            self.check_small_scans(item)
            if TABLE[item][5] is not None:
                self.check_release(item)
                self.check_no_reading(item)

    def test_cell_over_voltage(self):                           # req: PRO-01 PRO-20 PRO-21
        self.check("PRO-01")

    def test_cell_under_voltage(self):                          # req: PRO-02 PRO-20 PRO-21
        self.check("PRO-02")

    def test_pack_over_voltage(self):                           # req: PRO-03 PRO-20 PRO-21
        self.check("PRO-03")

    def test_pack_under_voltage(self):                          # req: PRO-04 PRO-20 PRO-21
        self.check("PRO-04")

    def test_charge_over_current(self):                         # req: PRO-05 PRO-20 PRO-21
        self.check("PRO-05")

    def test_discharge_over_current_1(self):                    # req: PRO-06 PRO-20 PRO-21
        self.check("PRO-06")

    def test_discharge_over_current_2(self):                    # req: PRO-07 PRO-20 PRO-21
        self.check("PRO-07")

    def test_charge_low_temperature(self):                      # req: PRO-09 PRO-20 PRO-21
        self.check("PRO-09")

    def test_charge_high_temperature(self):                     # req: PRO-10 PRO-20 PRO-21
        self.check("PRO-10")

    def test_discharge_low_temperature(self):                   # req: PRO-11 PRO-20 PRO-21
        self.check("PRO-11")

    def test_discharge_high_temperature(self):                  # req: PRO-12 PRO-20 PRO-21
        self.check("PRO-12")

    def test_environment_low_temperature(self):                 # req: PRO-13 PRO-20 PRO-21
        self.check("PRO-13")

    def test_environment_high_temperature(self):                # req: PRO-14 PRO-20 PRO-21
        self.check("PRO-14")

    def test_low_capacity(self):                                # req: PRO-15 PRO-21
        self.check("PRO-15")

    def test_cell_difference(self):                             # req: PRO-16 PRO-21
        self.check("PRO-16")

    def test_mosfet_temperature(self):                          # req: PRO-17 PRO-20 PRO-21
        self.check("PRO-17")


class TestAlarmEnds(Case):
    """An alarm ends a little inside its threshold, after the delay of the row."""

    # id: value at which the alarm stays, value at which it ends
    ENDS = (("PRO-01", 3481, 3480), ("PRO-02", 2819, 2820), ("PRO-03", 56601, 56600),
            ("PRO-04", 45799, 45800), ("PRO-05", 104001, 104000), ("PRO-06", 104001, 104000),
            ("PRO-09", 84, 85), ("PRO-10", 516, 515), ("PRO-11", -146, -145),
            ("PRO-12", 516, 515), ("PRO-13", -146, -145), ("PRO-14", 646, 645),
            ("PRO-15", 299, 300), ("PRO-16", 251, 250), ("PRO-17", 896, 895))

    def test_where_and_when_an_alarm_ends(self):    # req: PRO-01 PRO-02 PRO-03 PRO-15 PRO-16
        for item, stays, ends in self.ENDS:
            delay_ms = TABLE[item][4]
            for value, waited, alarm in ((stays, delay_ms + 1, True), (ends, delay_ms - 1, True),
                                         (ends, delay_ms, False)):
                self.setUp()
                self.put(item, TABLE[item][2])
                self.step()
                self.step(delay_ms)
                self.assertTrue(self.alarmed(item), item)
                self.put(item, value)
                self.step()
                self.step(waited)
                self.assertEqual(self.alarmed(item), alarm,
                                 "%s %d %d" % (item, value, waited))

    def test_nothing_before_the_first_scan(self):               # req: SAF-02
        protection = Pack(am5000, self.params, 100).protection
        self.assertEqual((protection.blocked, protection.pending, protection.alarms,
                          protection.trips, protection.locks), (0, 0, 0, 0, 0))

    def test_a_healthy_pack_has_nothing(self):      # req: PRO-01 PRO-09 PRO-15 PRO-16 PRO-18
        for _ in range(30):
            self.step(1000)
        protection = self.pack.protection
        self.assertEqual((protection.alarms, protection.trips, protection.locks,
                          protection.blocked, protection.pending, self.pack.faults),
                         (0, 0, 0, 0, 0, 0))


class TestConditions(Case):
    """A condition that is one row's business is no other row's."""

    def test_no_alarm_but_low_capacity_is_muted(self):          # req: PRO-01 PRO-09 PRO-15 PRO-16
        for item in sorted(TABLE):
            if item in ("PRO-15", "PRO-05", "PRO-06", "PRO-07", "DER-03-chg", "DER-03-dsg"):
                continue
            for current_ma in (1500, -1500):
                self.setUp()
                self.put(item, TABLE[item][2])
                self.current(current_ma)
                self.step()
                self.step(TABLE[item][4])
                self.assertTrue(self.alarmed(item), "%s at %d mA" % (item, current_ma))

    def test_above_the_continuous_current_only_a_metered_use_is_no_warning(self):
        # req: DER-03                                               AM 5.10, 2.2
        for sign, item in ((1, "DER-03-chg"), (-1, "DER-03-dsg")):
            self.setUp()
            self.current(sign * 60_000)
            self.step()
            for _ in range(179):                    # 100 A are allowed for 3 min
                self.step(1000)
                self.assertFalse(self.alarmed(item))
            self.step(1000)
            self.step(1000)
            self.step(3000)
            self.assertTrue(self.alarmed(item))
            self.current(sign * 50_000)
            self.step()
            self.step(3000)
            self.assertFalse(self.alarmed(item))
            self.current(sign * 60_000)             # the next use is a day away
            self.step()
            self.step(3000)
            self.assertTrue(self.alarmed(item))
            self.assertEqual(self.pack.allowed(), BOTH)

    def test_current_neither_prevents_nor_releases_the_others(self):    # req: PRO-09 PRO-17 PRO-20
        for item in ("PRO-09", "PRO-10", "PRO-11", "PRO-12", "PRO-13", "PRO-14", "PRO-17"):
            for current_ma in (1500, -1500):
                self.setUp()
                self.current(current_ma)
                self.put(item, TABLE[item][3])
                self.step()
                self.step(TABLE[item][4])
                self.assertTrue(self.tripped(item), "%s at %d mA" % (item, current_ma))
                self.step()
                self.assertTrue(self.tripped(item), "%s at %d mA" % (item, current_ma))

    def test_current_releases_no_reversed_charger(self):        # req: PRO-18
        for pack_mv in (-52_000, 52_800):
            self.values[rd.PACK_MV] = pack_mv
            for current_ma in (0, 1500, -1500):
                self.current(current_ma)
                self.assertEqual(self.step(), BOTH)


class TestOverVoltageRelease(Case):
    """PRO-01, PRO-03: low enough and SOC below 96 %, or discharge above 1 A."""

    ROWS = (("PRO-01", 3300), ("PRO-03", 54000))

    def test_voltage_alone_is_not_enough(self):                 # req: PRO-01 PRO-03
        for item, release in self.ROWS:
            for cpct, released in ((9601, False), (9600, False), (9599, True)):
                self.setUp()
                self.trip(item)
                self.put(item, release)
                self.soc(cpct)
                self.step()
                self.assertEqual(not self.tripped(item), released, "%s %d" % (item, cpct))

    def test_state_of_charge_alone_is_not_enough(self):         # req: PRO-01 PRO-03
        for item, release in self.ROWS:
            self.setUp()
            self.trip(item)
            self.put(item, release + 1)
            self.soc(1000)
            for _ in range(5):
                self.assertEqual(self.step(60_000), CHARGE, item)

    def test_a_trip_means_full(self):                           # req: PRO-01 PRO-03 SOC-01
        for item, release in self.ROWS:
            self.setUp()
            self.values[rd.CELL_SUM_MV] = 57_500        # of the string: the others are high, too
            self.trip(item)
            self.put(item, release)
            self.assertEqual(self.step(), CHARGE)
            self.assertEqual(self.pack.soc.cpct, 10_000)

    def test_discharge_above_1_ampere_releases(self):           # req: PRO-01 PRO-03
        for item, _ in self.ROWS:
            for current_ma, released in ((-999, False), (-1000, False), (-1001, True),
                                         (1001, False), (60_000, False)):
                self.setUp()
                self.trip(item)
                self.current(current_ma)
                self.assertEqual(self.second()[0], TABLE[item][6])
                self.assertEqual(not self.tripped(item), released, "%s %d" % (item, current_ma))


class TestUnderVoltageRelease(Case):
    """PRO-02, PRO-04: high enough, or charging detected."""

    ROWS = ("PRO-02", "PRO-04")

    def test_terminals_above_the_stack_are_a_charger(self):     # req: PRO-02 PRO-04
        for item in self.ROWS:
            for above_mv, released in ((499, False), (500, False), (501, True)):
                self.setUp()
                self.trip(item)
                self.values[rd.PACK_MV] = self.values[rd.STACK_MV] + above_mv
                self.assertEqual(self.second()[0], DISCHARGE)
                self.assertEqual(not self.tripped(item), released, "%s %d" % (item, above_mv))

    def test_charge_current_is_a_charger(self):                 # req: PRO-02 PRO-04
        for item in self.ROWS:
            for current_ma, released in ((300, False), (301, True), (-1001, False)):
                self.setUp()
                self.trip(item)
                self.current(current_ma)
                self.assertEqual(self.second()[0], TABLE[item][6])
                self.assertEqual(not self.tripped(item), released, "%s %d" % (item, current_ma))

    def test_no_trip_while_charging(self):                      # req: PRO-02 PRO-04
        for item in self.ROWS:
            self.setUp()
            self.put(item, TABLE[item][3])
            self.current(5000)
            for _ in range(10):
                self.assertEqual(self.step(1000), 0, item)
            self.current(0)
            self.step()
            self.step(2999)
            self.assertFalse(self.tripped(item), item)
            self.step(1)
            self.assertTrue(self.tripped(item), item)


class TestOverCurrent(Case):
    """PRO-05, PRO-06, PRO-07: one minute, the other way, ten in a row."""

    def over(self, item):
        """One trip of *item*; the current then is 0."""
        sense, trip_ma, delay_ms = [row[1:4] for row in OVER_CURRENT if row[0] == item][0]
        self.current(sense * trip_ma)
        self.step()
        self.step(delay_ms)
        self.assertTrue(self.tripped(item), item)
        self.current(0)

    def locked(self, item):
        return self.pack.protection.locks & bit(item) != 0

    def test_one_minute_releases_one_short_exact_one_past(self):    # req: PRO-05 PRO-06 PRO-07
        for item, _, _, _, blocks in OVER_CURRENT:
            for waited, released in ((59_999, False), (60_000, True), (60_001, True)):
                self.setUp()
                self.over(item)
                self.assertEqual(self.step(waited), 0 if released else blocks,
                                 "%s %d" % (item, waited))

    def test_the_other_direction_above_1_ampere_releases(self):     # req: PRO-05 PRO-06 PRO-07
        for item, sense, _, _, blocks in OVER_CURRENT:
            for current_ma, released in ((999, False), (1000, False), (1001, True)):
                for way in (-1, 1):
                    self.setUp()
                    self.over(item)
                    self.current(way * sense * current_ma)
                    out = released and way < 0
                    self.assertEqual(self.second(), (blocks, 0 if out else blocks),
                                     "%s %d" % (item, way * sense * current_ma))

    def test_the_10th_in_a_row_locks(self):         # req: PRO-05 PRO-06 PRO-07 PRO-22
        for item, _, _, _, blocks in OVER_CURRENT:
            self.setUp()
            for _ in range(9):
                self.over(item)
                self.assertFalse(self.locked(item), item)
                self.assertEqual(self.step(60_000), 0, item)
            self.over(item)
            self.assertTrue(self.locked(item), item)
            for _ in range(30):
                self.assertEqual(self.step(60_000), blocks, item)
            self.assertTrue(self.locked(item), item)

    def lock(self, item):
        self.setUp()
        for i in range(10):
            if i:
                self.step(60_000)
            self.over(item)
        self.assertTrue(self.locked(item), item)

    def test_a_lock_opens_by_the_other_direction_only(self):    # req: PRO-22
        for item, sense, _, _, blocks in OVER_CURRENT:
            for current_ma in (sense * 2000, -sense * 1000, 0):
                self.lock(item)
                self.current(current_ma)
                self.assertEqual(self.step(60_000), blocks, item)
            self.current(-sense * 1001)
            self.assertEqual(self.second(), (blocks, 0), item)
            self.assertFalse(self.locked(item), item)
            self.current(0)
            self.over(item)                             # the count began anew
            self.assertFalse(self.locked(item), item)

    def test_the_host_opens_a_lock(self):                       # req: PRO-22
        for item, _, _, _, _ in OVER_CURRENT:
            self.lock(item)
            self.step(59_999)
            self.pack.clear()
            self.assertEqual(self.step(1), 0, item)
            self.assertFalse(self.locked(item), item)
            self.over(item)
            self.assertFalse(self.locked(item), item)

    def test_an_opened_lock_is_known_at_the_next_scan(self):    # req: PRO-22 PRO-25
        for item, _, _, _, blocks in OVER_CURRENT:
            self.lock(item)
            self.pack.clear()
            self.step()
            self.assertEqual(self.pack.protection.locks, 0, item)
            self.assertEqual(self.pack.protection.blocked, blocks, item)    # still within 1 min

    def test_ten_quiet_minutes_end_the_count(self):             # req: PRO-22
        for item, _, _, _, _ in OVER_CURRENT:
            for quiet_ms, locks in ((599_999, True), (600_000, False), (600_001, False)):
                self.setUp()
                for _ in range(9):
                    self.over(item)
                    self.step(60_000)               # the release; from here on it is quiet
                self.step(quiet_ms - 100)       # the scan before the delay begins
                self.over(item)
                self.assertEqual(self.locked(item), locks, "%s %d" % (item, quiet_ms))

    def test_the_other_direction_ends_the_count(self):          # req: PRO-22
        for item, sense, _, _, _ in OVER_CURRENT:
            for current_ma, locks in ((-sense * 1000, True), (-sense * 1001, False)):
                self.setUp()
                for _ in range(9):
                    self.over(item)
                    self.step(60_000)
                self.current(current_ma)
                self.second()
                self.over(item)
                self.assertEqual(self.locked(item), locks, "%s %d" % (item, current_ma))

    def test_after_its_end_the_count_takes_ten_again(self):     # req: PRO-22
        for item, sense, _, _, _ in OVER_CURRENT:
            for end in ("other way", "quiet", "host"):
                self.setUp()
                for _ in range(5):
                    self.over(item)
                    self.step(60_000)
                if end == "other way":
                    self.current(-sense * 1001)
                    self.second()
                    self.current(0)
                elif end == "quiet":
                    self.step(600_000)
                else:
                    self.pack.clear()
                for i in range(10):
                    self.over(item)
                    self.assertEqual(self.locked(item), i == 9, "%s %s %d" % (item, end, i))
                    self.step(60_000)

    def test_ten_minutes_with_an_alarm_are_quiet(self):         # req: PRO-22
        for item, sense in (("PRO-05", 1), ("PRO-06", -1)):
            self.setUp()
            for _ in range(9):
                self.over(item)
                self.step(60_000)
            self.current(sense * 106_000)
            self.step(300_000)
            self.step(300_000)
            self.assertTrue(self.alarmed(item))
            self.over(item)
            self.assertFalse(self.locked(item), item)

    def test_another_item_does_not_lengthen_the_count(self):    # req: PRO-22
        for _ in range(9):
            self.over("PRO-06")
            self.step(60_000)
        self.step(300_000)
        self.over("PRO-07")
        self.step(60_000)
        self.step(240_000)
        self.over("PRO-06")
        self.assertFalse(self.locked("PRO-06"))

    def test_a_lock_is_no_alarm(self):                          # req: PRO-07 PRO-22
        self.lock("PRO-07")
        self.assertEqual(self.pack.protection.alarms & bit("PRO-07"), 0)

    def test_months_without_a_trip_count_no_further(self):      # req: PRO-22 SAF-04
        self.over("PRO-05")
        self.step(60_000)
        for _ in range(40):
            self.step(1 << 26)
        self.assertEqual(self.pack.protection.trips, 0)

    def test_a_reset_opens_a_lock(self):                        # req: PRO-22
        self.lock("PRO-05")
        self.setUp()
        self.assertEqual(self.step(), 0)

    def test_counts_are_per_item(self):                         # req: PRO-22
        for _ in range(9):
            self.over("PRO-07")
            self.assertEqual(self.pack.protection.trips, bit("PRO-07"))
            self.step(60_000)
        self.over("PRO-06")
        self.assertEqual(self.pack.protection.locks, 0)
        self.over("PRO-07")
        self.assertEqual(self.pack.protection.locks, bit("PRO-07"))

    def test_the_number_of_trips_is_settable(self):             # req: PRO-22 PAR-01
        self.params.set("oc_lock_trips", 3)
        for _ in range(2):
            self.over("PRO-05")
            self.assertEqual(self.pack.protection.locks, 0)
            self.step(60_000)
        self.over("PRO-05")
        self.assertEqual(self.pack.protection.locks, bit("PRO-05"))

    def test_other_rows_do_not_lock(self):                      # req: PRO-22
        inside = {"PRO-01": 3300, "PRO-09": 240, "PRO-17": 300}
        for item, value in inside.items():
            self.setUp()
            for _ in range(12):
                self.trip(item)
                self.soc(5000)
                self.put(item, value)
                self.assertEqual(self.step(), 0, item)
            self.assertEqual(self.pack.protection.locks, 0, item)


class TestUnderVoltageComesBack(Case):
    """A release by the voltage that comes back when the load is gone (PRO-33)."""

    def release(self, item):
        self.put(item, TABLE[item][5])
        self.step()
        self.assertEqual((self.tripped(item), self.pack.allowed()), (False, CHARGE), item)

    def charger(self):
        """Seen for 1.1 s at the terminals."""
        self.pack.fets.wanted = self.pack.fets.actual = CHARGE
        self.values[rd.PACK_MV] = self.values[rd.STACK_MV] + 2000
        for _ in range(12):
            self.step()

    def test_it_waits_30_s(self):                               # req: PRO-33
        for item in UNDER_VOLTAGE:
            self.setUp()
            self.trip(item)
            self.release(item)
            for _ in range(299):
                self.step()
                self.assertEqual(self.pack.allowed(), CHARGE, item)
            self.step()
            self.assertEqual(self.pack.allowed(), BOTH, item)

    def test_the_time_is_settable(self):                        # req: PRO-33
        self.params.set("uv_wait_ms", 2000)
        self.trip("PRO-02")
        self.release("PRO-02")
        self.step(1999)
        self.assertEqual(self.pack.allowed(), CHARGE)
        self.step(1)
        self.assertEqual(self.pack.allowed(), BOTH)

    def test_a_charger_ends_it(self):                           # req: PRO-33
        self.trip("PRO-02")
        self.release("PRO-02")
        self.charger()
        self.assertEqual(self.pack.allowed(), BOTH)

    def test_a_release_by_a_charger_does_not_wait(self):        # req: PRO-02 PRO-33
        self.trip("PRO-02")
        self.charger()
        self.assertEqual(self.pack.allowed(), BOTH)

    def trips(self, item, count, closed_ms):
        """Trip *count* times, each *closed_ms* after the FET was closed again."""
        for _ in range(count):
            self.trip(item)
            if self.pack.protection.locks & bit(item):
                return
            self.release(item)
            self.step(30_000)
            self.step(closed_ms - 200 - TABLE[item][4])

    def test_the_10th_within_a_minute_of_closing_locks(self):   # req: PRO-33 PRO-22
        for item in UNDER_VOLTAGE:
            self.setUp()
            self.trips(item, 9, 60_000)
            self.assertEqual(self.pack.protection.locks, 0, item)
            self.trips(item, 1, 60_000)
            self.assertEqual(self.pack.protection.locks, bit(item))
            self.put(item, TABLE[item][5])
            self.step(600_000)
            self.assertEqual(self.pack.allowed(), CHARGE)

    def test_later_than_that_they_are_not_in_a_row(self):       # req: PRO-33
        self.trips("PRO-02", 15, 64_000)
        self.assertEqual(self.pack.protection.locks, 0)

    def test_only_a_charger_ends_the_lock(self):                # req: PRO-33 PRO-22
        self.trips("PRO-02", 10, 10_000)
        self.put("PRO-02", 3300)
        self.charger()
        self.assertEqual((self.pack.protection.locks, self.pack.allowed()), (0, BOTH))


class TestShortCircuit(Case):                                   # PRO-08
    SCD = 0x80

    def short(self):
        self.pack.measurements.safety = self.SCD
        self.values[rd.PACK_MV] = 0
        self.assertEqual(self.step(), BOTH)
        self.pack.fets.wanted = self.pack.fets.actual = 0
        self.pack.measurements.safety = 0

    def test_nothing_but_its_ways_out_releases(self):           # req: PRO-08 PRO-20
        self.short()
        for _ in range(100):
            self.assertEqual(self.step(290), BOTH)
        self.assertEqual(self.pack.protection.trips, bit("PRO-08"))
        self.assertEqual(self.pack.allowed(), 0)

    def test_after_30_s_pre_discharge_is_asked(self):           # req: PRO-08 PWR-03
        self.short()
        for _ in range(300):
            self.assertEqual(self.step(100), BOTH)
        self.assertEqual(self.step(100), 0)

    def test_a_locked_one_is_not_tried(self):                   # req: PRO-08 PRO-22
        for _ in range(4):
            self.short()
            self.values[rd.LD_MV] = 4001
            for _ in range(5):
                self.step()
            self.values[rd.LD_MV] = 0
        self.short()
        for _ in range(20):
            self.assertEqual(self.step(60_000), BOTH)
        self.assertEqual(self.pack.protection.locks, bit("PRO-08"))

    def test_a_charger_releases(self):                          # req: PRO-08
        for above_mv, released in ((500, False), (501, True)):
            self.setUp()
            self.short()
            self.values[rd.PACK_MV] = self.values[rd.STACK_MV] + above_mv
            self.assertEqual(self.second(), (BOTH, 0 if released else BOTH))

    def test_a_removed_load_releases(self):                     # req: PRO-08
        # load detect: LD above 4 V for 5 scans in a row
        for ld_mv, scans, released in ((4000, 20, False), (4001, 4, False), (4001, 5, True)):
            self.setUp()
            self.short()
            self.values[rd.LD_MV] = ld_mv
            for _ in range(scans):
                self.step()
            self.assertEqual(self.pack.protection.blocked, 0 if released else BOTH,
                             "%d %d" % (ld_mv, scans))

    def test_a_load_that_comes_back_does_not_release(self):     # req: PRO-08
        self.short()
        for _ in range(5):
            self.values[rd.LD_MV] = 50_000
            for _ in range(4):
                self.step()
            self.values[rd.LD_MV] = 0
            self.step()
        self.assertEqual(self.pack.protection.blocked, BOTH)

    def test_a_removed_load_is_no_charger(self):                # req: PRO-02 PRO-08
        self.trip("PRO-02")
        self.short()
        self.values[rd.LD_MV] = 50_000
        for _ in range(6):
            self.step()
        self.assertEqual(self.pack.protection.trips, bit("PRO-02"))

    def test_free_terminals_from_before_do_not_hide_it(self):   # req: PRO-08
        self.pack.fets.actual = 0
        self.values[rd.LD_MV] = 50_000
        for _ in range(6):
            self.step()
        self.pack.measurements.safety = self.SCD
        self.assertEqual(self.step(), BOTH)

    def test_load_detect_counts_with_both_fets_open_only(self):     # req: PRO-08
        for actual in (CHARGE, DISCHARGE, BOTH):
            self.setUp()
            self.short()
            self.pack.fets.actual = actual
            self.values[rd.LD_MV] = 50_000
            for _ in range(10):
                self.assertEqual(self.step(), BOTH)

    def test_a_removed_load_releases_the_short_circuit_only(self):  # req: PRO-08 PRO-20
        self.current(-110_000)
        self.step()
        self.step(3000)
        self.current(0)
        self.short()
        self.assertEqual(self.pack.protection.trips, bit("PRO-06") | bit("PRO-08"))
        self.values[rd.LD_MV] = 50_000
        for _ in range(6):
            self.step()
        self.assertEqual(self.pack.protection.trips, bit("PRO-06"))
        self.assertEqual(self.pack.allowed(), CHARGE)

    def test_free_terminals_trip_nothing_and_release_nothing_else(self):    # req: PRO-08 PRO-20
        self.trip("PRO-17")
        self.pack.fets.actual = 0
        self.values[rd.LD_MV] = 50_000
        for _ in range(10):
            self.assertEqual(self.step(), BOTH)


class TestTripsOfTheAfe(Case):
    def test_each_bit_trips_its_item_at_once(self):     # req: PRO-08 PRO-20 PRO-23
        for safety, item, blocks in AFE_BITS:
            self.setUp()
            self.pack.measurements.safety = safety
            self.assertEqual(self.step(), blocks, hex(safety))
            self.assertEqual(self.pack.protection.trips, bit(item), hex(safety))

    def test_other_bits_trip_nothing(self):                     # req: PRO-23
        known = 0
        for safety, _, _ in AFE_BITS:
            known |= safety
        for i in range(24):
            if not known >> i & 1:
                self.setUp()
                self.pack.measurements.safety = 1 << i
                self.assertEqual(self.step(), 0, i)

    def test_a_bit_that_stays_does_not_trip_again(self):        # req: PRO-23
        self.pack.measurements.safety = 0x10                    # OCC
        self.assertEqual(self.step(), CHARGE)
        self.assertEqual(self.step(60_000), 0)
        for _ in range(10):
            self.assertEqual(self.step(), 0)
        self.pack.measurements.safety = 0x00
        self.step()
        self.pack.measurements.safety = 0x10
        self.assertEqual(self.step(), CHARGE)

    def test_one_bit_more_trips_its_own_item(self):             # req: PRO-23
        self.pack.measurements.safety = 0x04
        self.step()
        self.pack.measurements.safety = 0x0C
        self.assertEqual(self.step(), BOTH)

    def test_its_trips_count_in_a_row(self):                    # req: PRO-22 PRO-23
        for i in range(10):
            self.pack.measurements.safety = 0x10
            self.step()
            self.assertEqual(self.pack.protection.locks, bit("PRO-05") if i == 9 else 0)
            self.pack.measurements.safety = 0
            self.step(60_000)
        self.assertEqual(self.pack.protection.blocked, CHARGE)


class TestLowCapacity(Case):                                    # PRO-15
    def test_no_alarm_while_charging(self):                     # req: PRO-15
        for current_ma, alarm in ((0, True), (300, True), (301, False), (50_000, False),
                                  (-50_000, True)):
            self.setUp()
            self.soc(200)
            self.current(current_ma)
            self.step()
            self.step(3000)
            self.assertEqual(self.alarmed("PRO-15"), alarm, current_ma)

    def test_charging_ends_it_at_once(self):                    # req: PRO-15
        self.soc(200)
        self.step()
        self.step(3000)
        self.assertTrue(self.alarmed("PRO-15"))
        self.current(301)
        self.step()
        self.assertFalse(self.alarmed("PRO-15"))
        self.current(0)
        self.step()
        self.step(2999)
        self.assertFalse(self.alarmed("PRO-15"))
        self.step(1)
        self.assertTrue(self.alarmed("PRO-15"))

    def test_it_opens_nothing(self):                            # req: PRO-15
        self.soc(0)
        for _ in range(5):
            self.assertEqual(self.step(60_000), 0)
        self.assertEqual((self.pack.protection.trips, self.pack.allowed()), (0, BOTH))

    def test_other_alarms_are_not_muted_by_charging(self):      # req: PRO-15
        self.put("PRO-16", 300)
        self.current(5000)
        self.step()
        self.step(10_000)
        self.assertEqual(self.pack.protection.alarms, bit("PRO-16"))


class TestReversed(Case):                                       # PRO-18
    def test_opens_both_with_the_scan_that_sees_it(self):       # req: PRO-18 PRO-20
        for pack_mv, blocked in ((-52_000, BOTH), (-600, BOTH), (-150, BOTH), (-149, 0), (0, 0)):
            self.setUp()
            self.values[rd.PACK_MV] = pack_mv
            self.assertEqual(self.step(), blocked, pack_mv)
            self.assertEqual(self.pack.protection.trips, bit("PRO-18") if blocked else 0)

    def test_with_the_discharge_fet_open_it_takes_8_scans_in_a_row(self):      # req: PRO-18
        """Terminals at 0 V, where noise of the worst converter reads -150 mV now and then."""
        for closed in (0, CHARGE):
            self.setUp()
            fets = self.pack.fets
            fets.actual = fets.wanted = closed
            for right_after in (1, 7):
                for _ in range(right_after):
                    self.values[rd.PACK_MV] = -150
                    self.assertEqual(self.step(), 0)
                    self.assertEqual(self.pack.allowed(), CHARGE)   # nothing is joined to it
                self.values[rd.PACK_MV] = -149
                self.assertEqual(self.step(), 0)
                self.assertEqual(self.pack.allowed(), BOTH)
            self.values[rd.PACK_MV] = -150
            self.assertEqual([self.step() for _ in range(9)], [0] * 7 + [BOTH] * 2)
            self.assertEqual(self.pack.protection.trips, bit("PRO-18"))

    def test_released_after_3_seconds_of_right_polarity(self):  # req: PRO-18
        for waited, released in ((2999, False), (3000, True), (3001, True)):
            self.setUp()
            self.values[rd.PACK_MV] = -52_000
            self.step()
            self.values[rd.PACK_MV] = 0
            self.step()                             # right from here on
            self.assertEqual(self.step(waited), 0 if released else BOTH, waited)

    def test_3_seconds_in_all_of_the_last_5(self):              # req: PRO-18
        for right, wrong, most_scans in ((3, 2, None), (4, 1, 50), (7, 2, 45), (1, 1, None),
                                         (2, 3, None), (29, 21, None)):
            self.setUp()
            self.values[rd.PACK_MV] = -52_000
            self.step()
            count = 0
            while self.tripped("PRO-18") and count < 300:
                self.values[rd.PACK_MV] = 0 if count % (right + wrong) < right else -52_000
                self.step()
                count += 1
            self.assertEqual(count == 300, most_scans is None, (right, wrong, count))
            self.assertTrue(count == 300 or 38 <= count <= most_scans, (right, wrong, count))

    def test_time_without_scans_is_not_right_polarity(self):    # req: PRO-18 MEA-05
        self.values[rd.PACK_MV] = -52_000
        self.step()
        self.values[rd.PACK_MV] = 0
        self.assertEqual(self.step(5000), BOTH)


class TestIndependence(Case):
    def test_each_release_leaves_what_others_hold(self):        # req: PRO-20
        together = ("PRO-01", "PRO-02", "PRO-03", "PRO-05", "PRO-09", "PRO-10", "PRO-12",
                    "PRO-14", "PRO-17")
        for item in together:
            if item != "PRO-02":                    # 110 A into a deep cell is one more: PRO-29
                self.put(item, TABLE[item][3])
        self.values[rd.MIN_TEMP_DC] = 50
        self.step()
        self.step(3000)
        self.current(0)
        self.put("PRO-02", 2700)
        self.step()
        self.step(3000)
        held = 0
        for item in together:
            held |= bit(item)
        self.assertEqual(self.pack.protection.trips, held)
        self.soc(5000)
        left = list(together)
        for first in ("PRO-01", "PRO-17", "PRO-02", "PRO-14", "PRO-03", "PRO-09"):
            self.put(first, NORMAL[TABLE[first][0]] if first != "PRO-01" else 3300)
            if first == "PRO-02":
                self.put(first, 3300)
            if first == "PRO-03":
                self.put(first, 54000)
            left.remove(first)
            expected = DISCHARGE if "PRO-02" not in left else 0     # it waits (PRO-33)
            trips = 0
            for item in left:
                expected |= TABLE[item][6]
                trips |= bit(item)
            self.assertEqual(self.step(), expected, first)
            self.assertEqual(self.pack.protection.trips, trips, first)
            self.assertEqual(self.pack.allowed(), BOTH & ~expected, first)
        self.put("PRO-10", 260)                     # frees PRO-12 as well
        self.assertEqual(self.step(), BOTH)         # PRO-05 has its minute, PRO-02 its 30 s
        self.assertEqual(self.step(30_000), CHARGE)
        self.assertEqual(self.step(30_000), 0)


class TestSilence(Case):
    """MEA-02: failed scans are a fault like any other."""

    def miss(self):
        self.now = (self.now + 100) % WRAP
        self.pack.measurements.fail()
        self.pack.step(self.now, False)
        return self.pack.allowed()

    def test_5_failed_scans_open_both(self):                    # req: MEA-02 PRO-20
        for _ in range(4):
            self.assertEqual(self.miss(), BOTH)
        self.assertEqual(self.miss(), 0)
        self.assertEqual((self.pack.ccl_ma, self.pack.dcl_ma), (0, 0))
        self.step()
        self.assertEqual(self.pack.allowed(), BOTH)

    def test_protections_step_on_fresh_scans_only(self):        # req: PRO-21 MEA-05
        self.put("PRO-01", 3600)
        self.step()
        self.step(2900)
        self.miss()
        self.assertEqual(self.pack.protection.trips, 0)
        self.step(200)
        self.assertEqual(self.pack.protection.trips, bit("PRO-01"))


if __name__ == "__main__":
    unittest.main()
