"""FETs that do not do what was commanded: which fault, from which value on, after how long."""

import unittest

from bms.measure.pulses import Pulses
from bms.measure.fet_watch import FetWatch, resistive_mv
from bms.words.rules import FAULT_OPEN, FAULT_UNPROVEN, FAULT_WELD
from bms.words.readings import CURRENT_MA, PACK_MV, STACK_MV

CHARGE, DISCHARGE, BOTH = 1, 2, 3


def settings(fail_ms):
    return {"fet_fail_ma": 2000, "fet_fail_ms": fail_ms, "fet_leak_ma": 300,
            "fet_leak_ms": 60_000, "fet_leak_mah": 20}


class Seen:
    """Measurements and Fets as far as they are looked at."""

    def __init__(self):
        self.values = [0] * 32
        self.values[STACK_MV] = self.values[PACK_MV] = 53_000
        self.doubts = 0
        self.terminals_known = True
        self.dt_ms = 100
        self.wanted = self.actual = BOTH
        self.pulses = Pulses()


class TestCase(unittest.TestCase):
    def setUp(self):
        self.seen = Seen()
        self.watch = FetWatch()
        self.watch.load(settings(300))

    def steps(self, count):
        return [self.watch.step(self.seen, self.seen) for _ in range(count)]

    def drop(self, mv, current_ma=0):
        self.seen.values[PACK_MV] = self.seen.values[STACK_MV] + mv
        self.seen.values[CURRENT_MA] = current_ma


class TestOpen(TestCase):
    def test_a_drop_of_500_mv_may_be_either_way(self):          # req: SAF-05
        for mv in (0, 500, -500):
            self.drop(mv)
            self.assertEqual(self.steps(10), [0] * 10, mv)

    def test_more_is_a_fet_that_does_not_conduct(self):         # req: SAF-05
        for mv in (501, -501):
            self.setUp()
            self.drop(mv)
            self.assertEqual(self.steps(5), [0, 0, 0, FAULT_OPEN, FAULT_OPEN], mv)
            self.assertEqual((self.watch.value, self.watch.limit), (501, 500))

    def test_a_current_explains_3_mv_an_ampere(self):           # req: SAF-05
        for current_ma, mv in ((100_000, 800), (-100_000, 800), (100_999, 800)):
            self.assertEqual(resistive_mv(current_ma), 300)
            self.setUp()
            self.drop(mv, current_ma)
            self.assertEqual(self.steps(10), [0] * 10)
            self.drop(mv + 1, current_ma)
            self.assertEqual(self.steps(4), [0, 0, 0, FAULT_OPEN])

    def test_values_in_doubt_say_nothing_and_begin_anew(self):  # req: SAF-05 MEA-03
        self.drop(900)
        self.steps(3)
        self.seen.doubts = 2
        self.assertEqual(self.steps(10), [0] * 10)
        self.seen.doubts = 0
        self.assertEqual(self.steps(4), [0, 0, 0, FAULT_OPEN])

    def test_good_scans_for_twice_as_long_begin_anew(self):     # req: SAF-05
        self.drop(900)
        self.steps(3)
        self.drop(0)
        self.steps(6)
        self.drop(900)
        self.assertEqual(self.steps(4), [0, 0, 0, FAULT_OPEN])

    def test_it_is_told_300_ms_before(self):                    # req: COM-05
        self.watch.load(settings(500))
        for mv, current_ma, wanted in ((900, 0, BOTH), (0, 5000, 0)):
            self.drop(mv, current_ma)
            self.seen.wanted = self.seen.actual = wanted
            told = []
            while not self.watch.step(self.seen, self.seen):
                told.append(self.watch.soon)
            self.assertEqual(told, [False, False, True, True, True])
            self.drop(0)
            self.seen.wanted = self.seen.actual = BOTH
            self.steps(12)
            self.assertFalse(self.watch.soon)

    def test_the_300_ms_are_exact(self):                        # req: COM-05
        self.watch.load(settings(500))
        self.drop(900)
        self.steps(1)
        for dt_ms, told in ((199, False), (1, True)):
            self.seen.dt_ms = dt_ms
            self.steps(1)
            self.assertEqual(self.watch.soon, told)

    def test_only_where_both_are_closed(self):                  # req: SAF-05
        self.drop(900)
        for wanted, actual in ((CHARGE, BOTH), (BOTH, DISCHARGE), (0, 0)):
            self.steps(3)
            self.seen.wanted, self.seen.actual = wanted, actual
            self.assertEqual(self.steps(10), [0] * 10)
            self.seen.wanted = self.seen.actual = BOTH
            self.assertEqual(self.steps(3), [0, 0, 0])


class TestWeld(TestCase):
    def test_a_current_against_an_open_fet(self):               # req: SAF-05
        for wanted, current_ma, fault in (
                (0, 2001, FAULT_WELD), (0, 2000, 0), (0, -2001, FAULT_WELD), (0, -2000, 0),
                (CHARGE, 2001, 0), (CHARGE, -2001, FAULT_WELD), (DISCHARGE, 2001, FAULT_WELD),
                (DISCHARGE, -2001, 0)):
            self.setUp()
            self.seen.wanted = self.seen.actual = wanted
            self.drop(0 if wanted else 750 if current_ma > 0 else -750, current_ma)
            self.assertEqual(self.steps(4), [0, 0, 0, fault], (wanted, current_ma))
            if fault:
                self.assertEqual((self.watch.value, self.watch.limit), (current_ma, 2000))

    def test_a_great_current_has_a_quarter_of_the_time(self):   # req: SAF-05 PRO-08
        for current_ma, scans in ((50_001, 4), (50_000, 11), (-327_670, 4)):
            self.setUp()
            self.watch.load(settings(1000))
            self.seen.wanted = self.seen.actual = 0
            self.drop(750 if current_ma > 0 else -750, current_ma)
            self.assertEqual(self.steps(scans), [0] * (scans - 1) + [FAULT_WELD], current_ma)

    def test_what_was_counted_before_it_was_cleared_is_forgotten(self):     # req: SAF-05
        self.seen.wanted = self.seen.actual = 0
        self.watch.count(0, 10_000)

        def counted(uah):
            self.watch.step(self.seen, self.seen)
            return self.watch.count(uah, 10_000) != 0

        self.assertEqual([counted(-9_000), counted(-12_000)], [False, True])    # 20 mAh
        self.watch.clear()
        # the interval of the clear is not counted, what comes after it is
        self.assertEqual([counted(-30_000), counted(-9_000), counted(-12_000)],
                         [False, False, True])

    def test_the_terminals_say_whether_it_can_flow(self):       # req: SAF-05 PRO-28
        for wanted, current_ma, possible in (
                (0, 5000, range(250, 1516)), (0, -5000, range(-1515, -249)),
                (DISCHARGE, 5000, range(-250, 1516)), (CHARGE, -5000, range(-1515, 251))):
            for above_mv in (-60_000, -1516, -1515, -251, -250, -249, 0, 249, 250, 251, 1515,
                             1516, 3000):
                self.setUp()
                self.seen.wanted = self.seen.actual = wanted
                self.drop(above_mv, current_ma)
                self.assertEqual(self.steps(4)[3], FAULT_WELD if above_mv in possible
                                 else FAULT_UNPROVEN, (wanted, current_ma, above_mv))

    def test_voltages_may_be_of_before_the_command(self):       # req: SAF-05 MEA-07
        self.seen.wanted = self.seen.actual = DISCHARGE
        self.drop(20, 18_000)                   # past the closed discharge FET and the weld
        self.assertEqual(self.steps(4)[3], FAULT_WELD)
        self.seen.wanted = self.seen.actual = 0
        self.assertEqual(self.steps(1), [FAULT_WELD])
        self.drop(750, 18_000)                  # past its diode, as a newer voltage shows
        self.assertEqual(self.steps(5), [FAULT_WELD] * 5)
        self.drop(20, 18_000)
        self.assertEqual(self.steps(1), [FAULT_UNPROVEN])

    def test_terminals_that_are_not_learnt_yet(self):           # req: SAF-05 MEA-06
        self.seen.wanted = self.seen.actual = 0
        self.seen.terminals_known = False
        for above_mv, fault in ((1515 + 1394, FAULT_WELD), (1516 + 1394, FAULT_UNPROVEN),
                                (250 - 1394, FAULT_WELD), (249 - 1394, FAULT_UNPROVEN)):
            self.drop(above_mv, 5000)
            self.assertEqual(self.steps(4)[3], fault, above_mv)

    def test_a_small_current_takes_a_minute(self):              # req: SAF-05
        self.seen.wanted = self.seen.actual = 0
        self.drop(750, 301)
        self.assertEqual(self.steps(600), [0] * 600)
        self.assertEqual(self.steps(1), [FAULT_WELD])
        self.assertEqual((self.watch.value, self.watch.limit), (301, 300))

    def test_it_begins_anew_without(self):                      # req: SAF-05
        for quiet in ({"current": 0}, {"wanted": BOTH}):
            self.setUp()
            self.seen.wanted = self.seen.actual = 0
            self.drop(750, 5000)
            self.steps(3)
            self.seen.values[CURRENT_MA] = quiet.get("current", 5000)
            self.seen.wanted = self.seen.actual = quiet.get("wanted", 0)
            self.steps(6)
            self.seen.values[CURRENT_MA] = 5000
            self.seen.wanted = self.seen.actual = 0
            self.assertEqual(self.steps(4), [0, 0, 0, FAULT_WELD])


if __name__ == "__main__":
    unittest.main()
