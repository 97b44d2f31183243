"""Deep discharge: the floor, gentle charging, and charging that does not charge (PRO-29)."""

import unittest
from array import array

from bms.words import readings as rd
from bms.protect.deep import Deep
from bms.words.parameters import Parameters
from bms.protect.protection import Protection
from bms.words.rules import CHARGED, CHARGER_SEEN, ITEMS
from fakes import NO_READING, reason

ROW = sum(1 << i for i in range(len(ITEMS)) if ITEMS[i][0] == "PRO-29")
MINUTE = 60_000


class Case(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.protection = Protection(self.params)
        self.deep = Deep()
        self.deep.load(self.params)
        self.values = array("i", [NO_READING] * rd.COUNT)

    def look(self, lowest_mv, conditions=0, dt_ms=1000, discharges=False):
        """One scan through both; the conditions."""
        self.values[rd.MIN_CELL_MV] = lowest_mv
        found = self.deep.look(self.values, self.protection.trips, conditions, discharges, dt_ms)
        self.protection.step(self.values, dt_ms, found, 0)
        self.protection.take_changes(lambda i, before, now: None)
        return found

    def charged(self, lowest_mv, dt_ms=1000):
        """True if a charger that is seen counts as charging."""
        return self.look(lowest_mv, CHARGER_SEEN, dt_ms) & CHARGED != 0

    def allow(self):
        self.deep.allow_try(self.protection)
        self.protection.take_changes(lambda i, before, now: None)

    def blocked(self):
        return self.protection.trips & ROW != 0


class TestGentle(Case):
    def test_5_a_until_the_lowest_cell_is_above_2_9_v(self):    # req: PRO-29
        for lowest_mv, limited in ((2901, False), (2900, True), (2000, True), (2901, False)):
            self.look(lowest_mv)
            self.assertEqual(self.deep.limits, limited, lowest_mv)
            if limited:
                self.assertEqual(self.deep.most_ma, 5000)

    def test_a_cell_that_sags_under_load_limits_nothing(self):  # req: PRO-29
        self.look(2850, discharges=True)
        self.assertFalse(self.deep.limits)
        self.look(2850)
        self.look(2850, discharges=True)            # it was deep before
        self.assertTrue(self.deep.limits)


class TestFloor(Case):
    def test_a_cell_at_the_floor_blocks_charging(self):         # req: PRO-29
        for lowest_mv, blocks in ((2001, False), (2000, True), (1500, True), (150, True)):
            self.setUp()
            for _ in range(5):
                self.look(lowest_mv)
            self.assertEqual(self.blocked(), blocks, lowest_mv)

    def test_sag_is_no_deep_discharge(self):                    # req: PRO-29
        for _ in range(60):
            self.look(1900, discharges=True)
        self.assertFalse(self.blocked())
        for lowest_mv in (2100, 2300, 2500):
            self.look(lowest_mv)
        self.assertFalse(self.blocked())

    def test_a_charger_is_not_charging_then(self):              # req: PRO-29 PRO-02
        self.assertTrue(self.charged(2500))
        for _ in range(5):
            self.look(1900)
        self.assertTrue(self.blocked())
        self.assertFalse(self.charged(1900))

    def test_one_try_by_the_host(self):                         # req: PRO-29
        self.assertIn("PRO-29", reason(ValueError, self.deep.allow_try, self.protection))
        for _ in range(5):
            self.look(1900)
        self.allow()
        for step in range(60):
            self.assertTrue(self.charged(1900 + 20 * step))
            self.assertFalse(self.blocked())
        for _ in range(5):
            self.look(1990)                         # it was allowed once
        self.assertTrue(self.blocked())

    def test_a_try_without_a_rise_ends(self):                   # req: PRO-29
        for _ in range(5):
            self.look(1900)
        self.allow()
        for _ in range(600):
            self.charged(1900)
        self.assertTrue(self.charged(1900) or self.blocked() or not self.deep.trying)
        for _ in range(5):
            self.charged(1900)
        self.assertTrue(self.blocked())

    def test_a_try_ends_after_half_an_hour(self):               # req: PRO-29
        for _ in range(5):
            self.look(1000)
        self.allow()
        for minute in range(29):
            self.charged(1000 + 10 * minute, MINUTE)
        self.assertTrue(self.deep.trying)
        for minute in range(5):
            self.charged(1300 + 10 * minute, MINUTE)
        self.assertTrue(not self.deep.trying and self.blocked())


class TestRise(Case):
    def test_charging_counts_while_the_cells_rise(self):        # req: PRO-29
        for minute in range(200):                   # 1 mV in 3 minutes: a small charger
            self.assertTrue(self.charged(2300 + minute // 3, MINUTE))

    def test_cells_that_do_not_rise_are_not_charged(self):      # req: PRO-29
        told = [self.charged(2500, MINUTE) for _ in range(20)]
        self.assertEqual(told[:10], [True] * 10)
        self.assertEqual(told[12:], [False] * 8)
        self.assertTrue(self.charged(2503, MINUTE))     # and count again once they do

    def test_cells_that_fall_are_not_charged(self):             # req: PRO-29
        told = [self.charged(2700 - 10 * second) for second in range(20)]
        self.assertTrue(told[0] and told[9])
        self.assertEqual(told[12:], [False] * 8)

    def test_above_2_9_v_it_is_not_asked(self):                 # req: PRO-29
        for _ in range(100):
            self.assertTrue(self.charged(2901, MINUTE))

    def test_without_a_charger_nothing_is_remembered(self):     # req: PRO-29
        for _ in range(9):
            self.charged(2500, MINUTE)
        self.look(2500)
        told = [self.charged(2500, MINUTE) for _ in range(10)]
        self.assertEqual(told, [True] * 10)

    def test_no_reading_decides_nothing(self):                  # req: PRO-29 MEA-03
        for _ in range(5):
            self.look(1900)
        self.look(NO_READING)
        self.assertTrue(self.blocked())
        self.assertEqual(self.values[rd.DEEP_CELL_MV], NO_READING)


if __name__ == "__main__":
    unittest.main()
