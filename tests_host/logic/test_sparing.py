"""The FET whose body diode carries a current: who closes it, and what bears the current out."""

import unittest

from bms.words import readings as rd
from bms.words.rules import ITEMS, mask_of
from bms.protect.sparing import Sparing

CHARGE, DISCHARGE, BOTH = 1, 2, 3
OVER, UNDER = mask_of("PRO-01"), mask_of("PRO-02")


class Seen:
    def __init__(self, current_ma, above_mv):
        self.values = [0] * rd.COUNT
        self.values[rd.STACK_MV] = 53_000
        self.values[rd.PACK_MV] = 53_000 + above_mv
        self.values[rd.CURRENT_MA] = current_ma
        self.doubts = 0
        self.terminals_known = True
        self.dt_ms = 100


class TestCase(unittest.TestCase):
    def setUp(self):
        self.sparing = Sparing()
        self.sparing.load({"diode_spare_ma": 10_000, "diode_spare_ms": 3000,
                           "other_way_ma": 1000})

    def scans(self, current_ma, above_mv, closed, count=1, trips=0, blocked=0):
        """(borne out, spared) of the last of *count* scans."""
        for _ in range(count):
            proven = self.sparing.step(Seen(current_ma, above_mv), closed, trips, blocked)
        return proven, self.sparing.spared


class TestSpared(TestCase):
    def test_a_current_above_10_a_for_3_s(self):                # req: PRO-28 PRO-20
        for fet, way, trips in ((CHARGE, -1, OVER), (DISCHARGE, 1, UNDER)):
            for current_ma, spared in ((10_001, fet), (10_000, 0), (-30_000, 0)):
                self.setUp()
                seen = way * current_ma, way * 750, BOTH & ~fet
                self.assertEqual(self.scans(*seen, 30, trips, fet), (True, 0))
                self.assertEqual(self.scans(*seen, 1, trips, fet), (True, spared), current_ma)

    def test_not_without_the_drop_of_a_diode(self):             # req: PRO-28
        for above_mv, spared in ((-250, CHARGE), (-249, 0), (0, 0), (800, 0)):
            self.setUp()
            self.assertEqual(self.scans(-30_000, above_mv, DISCHARGE, 40, OVER, CHARGE)[1],
                             spared, above_mv)

    def test_never_after_a_trip_that_is_none_of_voltage(self):  # req: PRO-28
        voltages = ("PRO-01", "PRO-02", "PRO-03", "PRO-04")
        for i in range(len(ITEMS)):
            name, blocks = ITEMS[i][0], ITEMS[i][14]
            if not blocks:
                continue
            for fet, way, trips in ((CHARGE, -1, OVER), (DISCHARGE, 1, UNDER)):
                if not blocks & fet:
                    continue
                self.setUp()
                spared = self.scans(way * 30_000, way * 750, BOTH & ~fet, 40, 1 << i | trips,
                                    fet)[1]
                self.assertEqual(spared, fet if name in voltages else 0, name)

    def test_it_opens_with_the_scan_that_shows_too_little(self):    # req: PRO-28
        for current_ma, spared in ((-2001, CHARGE), (-2000, 0), (0, 0), (20_000, 0)):
            self.setUp()
            self.scans(-30_000, -750, DISCHARGE, 31, OVER, CHARGE)
            self.assertEqual(self.scans(current_ma, 0, BOTH, 1, OVER, CHARGE), (True, spared))

    def test_it_opens_with_a_trip_of_another_kind(self):        # req: PRO-28
        self.scans(-30_000, -750, DISCHARGE, 31, OVER, CHARGE)
        self.assertEqual(self.scans(-30_000, 0, BOTH, 1, OVER, CHARGE)[1], CHARGE)
        self.assertEqual(self.scans(-30_000, 0, BOTH, 1, OVER | mask_of("PRO-09"), CHARGE)[1], 0)

    def test_6_times_an_hour(self):                             # req: PRO-28
        found = []
        for _ in range(8):
            found.append(self.scans(-30_000, -750, DISCHARGE, 40, OVER, CHARGE)[1])
            self.scans(-30_000, 0, BOTH, 3, OVER, CHARGE)
            self.scans(0, 0, DISCHARGE, 100, OVER, CHARGE)
        self.assertEqual(found, [CHARGE] * 6 + [0] * 2)

    def test_pulses_close_nothing(self):                        # req: PRO-28 PRO-32
        for _ in range(50):
            for _ in range(10):
                self.assertEqual(self.scans(-30_000, -750, DISCHARGE, 1, OVER, CHARGE)[1], 0)
            self.scans(0, 0, DISCHARGE, 30, OVER, CHARGE)


class TestProof(TestCase):
    """Whatever closes the other FET: the drop of its diode goes, or the current does."""

    def test_the_drop_goes(self):                               # req: PRO-28
        for closed, way in ((DISCHARGE, -1), (CHARGE, 1)):
            self.setUp()
            self.scans(way * 5000, way * 700, closed, 5)
            self.assertTrue(self.scans(way * 5000, way * 700, BOTH)[0])     # of before
            self.assertTrue(self.scans(way * 5000, way * 450, BOTH)[0])
            self.assertTrue(self.scans(way * 5000, way * 450, BOTH, 20)[0])

    def test_it_does_not_go_within_two_scans(self):             # req: PRO-28
        for closed, way in ((DISCHARGE, -1), (CHARGE, 1)):
            for drop_mv in (451, 700, 2000):
                self.setUp()
                self.scans(way * 5000, way * 700, closed, 5)
                told = [self.scans(way * 5000, way * drop_mv, BOTH)[0] for _ in range(4)]
                self.assertEqual(told, [True, True, False, True], drop_mv)

    def test_the_current_goes(self):                            # req: PRO-28
        self.scans(-5000, -700, DISCHARGE, 5)
        self.scans(-5000, -700, BOTH, 2)
        self.assertTrue(self.scans(-1000, -700, BOTH)[0])
        self.assertTrue(self.scans(-5000, -700, BOTH, 20)[0])

    def test_the_fet_opens_again(self):                         # req: PRO-28
        self.scans(-5000, -700, DISCHARGE, 5)
        self.scans(-5000, -700, BOTH, 2)
        self.assertTrue(self.scans(-5000, -700, DISCHARGE, 20)[0])

    def test_a_start_needs_no_proof(self):                      # req: PRO-28
        self.scans(2000, -53_000, 0, 20)
        self.scans(2000, -53_000, CHARGE, 2)
        self.assertTrue(self.scans(2000, 0, BOTH)[0])
        self.assertTrue(self.scans(2000, 0, BOTH, 20)[0])

    def test_a_stack_in_doubt_proves_nothing(self):             # req: PRO-28 MEA-03
        self.scans(-5000, -700, DISCHARGE, 5)
        seen = Seen(-5000, -700)
        seen.doubts = rd.SUM_IMPLAUSIBLE
        for _ in range(10):
            self.assertTrue(self.sparing.step(seen, BOTH, 0, 0))


if __name__ == "__main__":
    unittest.main()
