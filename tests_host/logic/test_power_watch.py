"""What a pack tells its Power after each scan, and what is recorded of the answer."""

import unittest

from bms.words import events as ev
from bms.power import power as pw
from bms.power.watch import step_power
from bms.words.rules import mask_of
from bms.words.readings import CURRENT_MA, MIN_CELL_MV, PACK_MV
from bms.words.states import CHARGING, DISCHARGING, STANDBY

OVER = mask_of("PRO-01", "PRO-03")
UNDER = mask_of("PRO-02", "PRO-04")
OTHERS = ~(OVER | UNDER) & 0x3FFFF


class Power:
    """Takes down what it is told; answers what the test wants."""

    def __init__(self):
        self.told = None
        self.answer = pw.NOTHING
        self.reason, self.tries, self.woken_by, self.refused = pw.BUTTON, 4, pw.BY_CHARGER, 3
        self.full_trips = -1

    def step(self, now_ms, conditions, pack_mv, min_cell_mv):
        self.told = (now_ms, conditions, pack_mv, min_cell_mv)
        return self.answer


class Pack:
    """Also its own Fets, Protection, Balancing, Events and Measurements, as far as looked at."""

    def __init__(self):
        self.power = Power()
        self.fets = self.protection = self.balancing = self.events = self
        self.values = [0] * 32
        self.values[PACK_MV], self.values[MIN_CELL_MV] = 52_000, 3250
        self.actual, self.trips, self.mask, self.rest_ma, self.now_ms = 3, 0, 0, 300, 77
        self.direction, self.charger_seen, self.frozen = STANDBY, False, False
        self.log = []

    def add(self, *row):
        self.log.append(row)

    def hold(self, held, now_ms):
        self.log.append(("hold", held, now_ms))

    def release(self, mask):
        self.log.append(("release", mask))


class TestCase(unittest.TestCase):
    def setUp(self):
        self.pack = Pack()

    def told(self, fresh=True, **changes):
        """Conditions that Power gets of a pack with *changes*."""
        for name, value in changes.items():
            setattr(self.pack, name, value)
        step_power(self.pack, self.pack, fresh)
        return self.pack.power.told[1]


class TestConditions(TestCase):
    def test_time_and_voltages_are_passed_on(self):             # req: PWR-10
        self.told()
        self.assertEqual(self.pack.power.told, (77, pw.MEASURED | pw.QUIET, 52_000, 3250))

    def test_only_a_scan_of_this_step_that_moves_is_measured(self):     # req: PWR-10 MEA-05
        for fresh, frozen, measured in ((True, False, pw.MEASURED), (False, False, 0),
                                        (True, True, 0), (False, True, 0)):
            self.assertEqual(self.told(fresh, frozen=frozen) & pw.MEASURED, measured)

    def test_current_makes_use_of_the_pack(self):               # req: PWR-10
        for actual, direction, current_ma, mask, flow in (
                (0, CHARGING, 9000, 1, pw.OPEN | pw.QUIET), (3, CHARGING, 9000, 0, pw.CHARGES),
                (1, CHARGING, 9000, 0, pw.CHARGES), (3, DISCHARGING, -9000, 0, pw.DISCHARGES),
                (3, DISCHARGING, 0, 0, pw.DISCHARGES), (3, STANDBY, -301, 0, pw.DISCHARGES),
                (3, STANDBY, -300, 0, pw.QUIET), (3, STANDBY, 0, 0, pw.QUIET),
                (3, STANDBY, 300, 0, pw.QUIET), (3, STANDBY, 301, 0, 0),
                (3, STANDBY, 0, 1, 0), (3, STANDBY, 300, 4, 0)):
            self.pack.values[CURRENT_MA] = current_ma
            self.assertEqual(self.told(actual=actual, direction=direction, mask=mask),
                             pw.MEASURED | flow, (actual, direction, current_ma, mask))

    def test_a_charger_at_the_terminals(self):                  # req: PWR-10
        self.assertEqual(self.told(charger_seen=True), pw.MEASURED | pw.QUIET | pw.CHARGER)

    def test_voltage_protections_and_no_others(self):           # req: PRO-24 PWR-13
        for trips, told in ((UNDER, pw.OVER_DISCHARGED), (OVER, pw.OVER_CHARGED), (OTHERS, 0),
                            (UNDER | OVER, pw.OVER_DISCHARGED | pw.OVER_CHARGED)):
            self.assertEqual(self.told(trips=trips), pw.MEASURED | pw.QUIET | told, trips)
            self.assertEqual(self.pack.power.full_trips, trips & OVER)


class TestNews(TestCase):
    def test_each_is_recorded_with_its_circumstances(self):     # req: PRO-25 PWR-10 PWR-11 PWR-13
        for news, rows in (
                (pw.NOTHING, []),
                (pw.SLEPT, [(77, ev.SLEEP, pw.BUTTON, -1, 4)]),
                (pw.WOKE, [(77, ev.WAKE, pw.BY_CHARGER, -1, 52_000), ("hold", 0, 77)]),
                (pw.TRIES, [(77, ev.WAKE, pw.BY_TIMER, -1, 52_000, 5)]),
                (pw.REFUSED, [(77, ev.SLEEP_REFUSED, 3, -1, 52_000)]),
                (pw.RECHARGE, [("release", OVER)]),
                (pw.ENDS_TRY, []), (pw.STOPPED, [])):
            self.setUp()
            self.pack.power.answer = news
            self.told()
            self.assertEqual(self.pack.log, rows, news)


if __name__ == "__main__":
    unittest.main()
