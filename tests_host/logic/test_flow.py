"""Direction, charger and polarity of a pack of which no scan, or one, is known."""

import unittest

from bms.words import readings as rd
from bms.measure.pulses import Pulses
from bms.measure.flow import Flow
from bms.words.rules import CHARGER_SEEN, RELIEF, mask_of
from bms.words.rules import CHARGING as CHARGES
from bms.words.rules import DISCHARGING as DISCHARGES
from bms.words.states import CHARGING, STANDBY

SHORT = mask_of("PRO-08")


class Seen:
    def __init__(self, pack_mv=53_000, stack_mv=53_000, current_ma=0):
        self.values = [0] * rd.COUNT
        self.values[rd.PACK_MV], self.values[rd.STACK_MV] = pack_mv, stack_mv
        self.values[rd.CURRENT_MA] = current_ma
        self.doubts = 0
        self.terminals_known = True
        self.pulses = Pulses()
        self.dt_ms = 100


class TestFlow(unittest.TestCase):
    def setUp(self):
        self.flow = Flow()
        self.flow.load({"other_way_ma": 1000, "charger_seen_mv": 400, "rest_ma": 300,
                        "other_way_ms": 1000, "load_removed_mv": 4000})

    def test_before_the_first_scan_nothing_is_known(self):      # req: PWR-01
        flow = self.flow
        self.assertEqual((flow.direction, flow.charger_seen, flow.contradicted, flow.above_mv,
                          flow.wrong_scans), (STANDBY, False, False, 0, 0))

    def test_terminals_above_the_stack(self):                   # req: PRO-02
        for pack_mv, seen in ((53_400, False), (53_401, True), (52_000, False)):
            self.flow.look(Seen(pack_mv), 3, 0, 3)
            self.assertEqual((self.flow.charger_seen, self.flow.above_mv),
                             (seen, pack_mv - 53_000))

    def test_a_charger_a_little_above_the_stack(self):          # req: LED-03 MEA-06
        flow = self.flow
        for pack_mv, fets, times, near in (
                (57_900, 3, 20, False),                 # the charge FET is closed
                (57_900, 2, 9, False), (57_900, 2, 2, True), (57_760, 2, 30, False),
                (57_819, 2, 20, False), (57_820, 2, 20, True),
                # a reading with noise does not make lamps flicker: it ends at half of that
                (57_790, 2, 30, True), (57_760, 2, 5, True), (57_820, 2, 10, True),
                (57_789, 2, 30, False)):
            for _ in range(times):
                flow.look(Seen(pack_mv, 57_760), fets, 1, fets)
            self.assertEqual((flow.charger_near, flow.charger_seen), (near, False), pack_mv)
        unknown = Seen(57_900, 57_760)
        unknown.terminals_known = False
        for _ in range(20):
            flow.look(unknown, 2, 1, 2)
        self.assertFalse(flow.charger_near)

    def test_a_stack_in_doubt_says_nothing_of_the_terminals(self):      # req: MEA-03
        seen = Seen(56_000, current_ma=5000)
        for doubts in (rd.SUM_IMPLAUSIBLE, rd.WIRE_OPEN):
            seen.doubts = doubts
            self.flow.look(seen, 3, 0, 3)
            self.assertEqual((self.flow.above_mv, self.flow.direction), (0, CHARGING))

    def test_reversed_is_0_or_1(self):                          # req: PRO-18
        for pack_mv, actual, scans, told in ((0, 3, 1, 0), (-150, 3, 1, 1), (-150, 0, 7, 0),
                                             (-150, 0, 8, 1)):
            self.setUp()
            seen = Seen(pack_mv)
            for _ in range(scans):
                self.flow.look(seen, actual, 0, actual)
            self.assertEqual(seen.values[rd.REVERSED], told, (pack_mv, actual, scans))

    def test_only_the_discharge_fet_joins_the_two(self):        # req: PRO-18
        for closed, scans in ((1, 8), (2, 1), (3, 1)):
            self.setUp()
            seen = Seen(-150)
            count = 0
            while not seen.values[rd.REVERSED]:
                self.flow.look(seen, closed, 0, closed)
                count += 1
            self.assertEqual(count, scans, closed)

    def test_readings_from_before_it_was_closed_or_after_it_was_opened(self):   # req: PRO-18
        """(actual at the scan before, commanded since): what a scan of -150 mV comes to."""
        flow = self.flow
        seen = Seen(-150)
        told = []
        for actual, wanted in ((0, 0), (0, 3), (3, 3)):         # closing
            flow.look(seen, actual, 0, wanted)
            told.append((flow.wrong_scans, seen.values[rd.REVERSED]))
        self.assertEqual(told, [(1, 0), (1, 0), (1, 1)])
        self.setUp()
        flow = self.flow
        told = []
        for pack_mv, actual, wanted in ((52_000, 3, 3), (-150, 3, 0), (-150, 0, 0), (0, 0, 0)):
            seen = Seen(pack_mv)
            flow.look(seen, actual, 0, wanted)
            told.append((flow.wrong_scans, seen.values[rd.REVERSED]))
        self.assertEqual(told, [(0, 0), (1, 0), (2, 0), (0, 0)])

    def test_closed_by_command_and_not_in_fact_is_on_its_own(self):     # req: PRO-18
        seen = Seen(-150)
        told = []
        for _ in range(10):             # the AFE holds it off
            self.flow.look(seen, 0, 0, 3)
            told.append(seen.values[rd.REVERSED])
        self.assertEqual(told, [0] * 8 + [1] * 2)

    def told_at_0(self, count):
        """What *count* scans of terminals at 0 V come to, both FETs open."""
        told = []
        for _ in range(count):
            seen = Seen(0)
            self.flow.look(seen, 0, 0, 0)
            told.append(seen.values[rd.REVERSED])
        return told

    def test_3_seconds_from_the_first_right_scan(self):         # req: PRO-18
        self.flow.look(Seen(-300), 3, 0, 3)
        self.assertEqual(self.told_at_0(32), [1] * 30 + [0, 0])

    def test_a_wrong_scan_while_it_holds_is_not_counted(self):  # req: PRO-18
        self.flow.look(Seen(-300), 3, 0, 3)
        self.assertEqual(self.told_at_0(29), [1] * 29)          # 2.8 s
        self.flow.look(Seen(-150), 0, 0, 0)
        self.assertEqual(self.told_at_0(4), [1, 1, 0, 0])

    def test_what_is_older_than_5_s_does_not_count(self):       # req: PRO-18
        self.flow.look(Seen(-300), 3, 0, 3)
        self.assertEqual(self.told_at_0(30), [1] * 30)          # 2.9 s
        for _ in range(50):
            self.flow.look(Seen(-150), 0, 0, 0)
        self.assertEqual(self.told_at_0(32), [1] * 30 + [0, 0])

    def test_five_scans_of_risen_terminals_end_a_short_circuit(self):   # req: PRO-08
        def scan(ld_mv, actual=0, trips=SHORT):
            seen = Seen(0)
            seen.values[rd.LD_MV] = ld_mv
            self.flow.look(seen, actual, trips, actual)
            return seen.values[rd.SHORTED] == rd.OVER
        self.assertEqual([scan(4001) for _ in range(6)], [False] * 4 + [True] * 2)
        for ld_mv, actual, trips in ((4000, 0, SHORT), (4001, 1, SHORT), (4001, 0, 0),
                                     (4001, 0, ~(SHORT | mask_of("PWR-03")))):
            self.assertEqual([scan(ld_mv, actual, trips) for _ in range(6)], [False] * 6)
            self.assertEqual([scan(4001) for _ in range(5)], [False] * 4 + [True])

    def test_what_leaks_keeps_no_short_circuit_for_ever(self):      # req: PRO-08 PWR-03
        def scans(trips):               # LD stays low: 35 uA and 20 kOhm are 0.7 V
            count = 0
            while count < 10_000:
                seen = Seen(0)
                seen.values[rd.LD_MV] = 700
                self.flow.look(seen, 0, trips, 0)
                if seen.values[rd.SHORTED]:
                    return seen.values[rd.SHORTED], count
                count += 1
            return 0, count
        scans(0)
        self.assertEqual(scans(SHORT), (rd.TRY, 300))
        self.flow.look(Seen(0), 0, 0, 0)
        self.assertEqual(scans(mask_of("PWR-03")), (rd.TRY, 1200))

    # -- current the other way (PRO-32) ----------------------------------------------------

    def scans(self, current_ma, count, trips=0):
        """Conditions of *count* scans of *current_ma*, both FETs closed."""
        return [self.flow.look(Seen(current_ma=current_ma), 3, trips, 3) for _ in range(count)]

    def test_a_current_counts_after_1_s(self):                  # req: PRO-32
        for current_ma, bit in ((1001, CHARGES), (-1001, DISCHARGES), (1000, 0), (-1000, 0)):
            self.setUp()
            told = [found & (CHARGES | DISCHARGES) for found in self.scans(current_ma, 15)]
            self.assertEqual(told, [0] * 10 + [bit] * 5, current_ma)

    def test_the_time_is_settable(self):                        # req: PRO-32
        self.flow.load({"other_way_ma": 2000, "charger_seen_mv": 400, "rest_ma": 300,
                        "other_way_ms": 3000, "load_removed_mv": 4000})
        self.assertEqual([x & CHARGES for x in self.scans(2001, 32)], [0] * 30 + [CHARGES] * 2)

    def test_pulses_count_for_nothing(self):                    # req: PRO-32
        for current_ma, on, off in ((-1500, 3, 97), (-30_000, 2, 98), (-30_000, 9, 91),
                                    (-5000, 1, 2)):
            self.setUp()
            for _ in range(20):
                for told in self.scans(current_ma, on) + self.scans(0, off):
                    self.assertEqual(told & DISCHARGES, 0, (current_ma, on, off))

    def test_it_ends_with_the_current(self):                    # req: PRO-32
        self.scans(-5000, 20)
        self.assertEqual([x & DISCHARGES for x in self.scans(-500, 1)], [0])

    def test_a_current_that_toggles_counts_too(self):           # req: PRO-32 PRO-28
        for count in range(60):
            told = self.scans(0 if count & 1 else -3000, 1)[0]
            if told & DISCHARGES:
                break
        self.assertTrue(20 <= count <= 45, count)

    def test_charge_that_is_moved_back_counts_for_nothing(self):    # req: PRO-32
        for _ in range(100):
            for told in self.scans(-2000, 3) + self.scans(20_000, 1):
                self.assertEqual(told & (DISCHARGES | RELIEF), 0)

    def test_a_charger_counts_after_1_s(self):                  # req: PRO-32
        seen = Seen(54_000)
        told = [self.flow.look(seen, 1, 0, 1) & CHARGER_SEEN for _ in range(12)]
        self.assertEqual(told, [0] * 10 + [CHARGER_SEEN] * 2)
        self.assertTrue(self.flow.charger_seen)
        self.assertEqual(self.flow.look(Seen(), 1, 0, 1) & CHARGER_SEEN, 0)

    def test_a_discharge_relieves_over_voltage_6_times_an_hour(self):   # req: PRO-32
        over = mask_of("PRO-03")

        def relieved():
            """Trips, is relieved and released; False: it is not relieved."""
            self.scans(0, 30)
            self.scans(0, 1, over)
            if not self.scans(-2000, 11, over)[-1] & RELIEF:
                return False
            self.scans(-2000, 1)
            return True
        self.assertEqual([relieved() for _ in range(8)], [True] * 6 + [False] * 2)
        past_ms = 6 * 4300 + 2 * 4200           # since the first use, and a little
        seen = Seen()
        seen.dt_ms = 3_600_000 - past_ms - 5_000
        self.flow.look(seen, 3, 0, 3)
        self.assertFalse(relieved())
        seen.dt_ms = 5_000
        self.flow.look(seen, 3, 0, 3)
        self.assertEqual([relieved(), relieved()], [True, True])
        self.flow.look(seen, 3, 0, 3)
        seen.dt_ms = 3_600_000
        self.flow.look(seen, 3, 0, 3)
        self.assertEqual([relieved() for _ in range(8)], [True] * 6 + [False] * 2)

    def test_with_the_charge_fet_open_a_diode_drop_is_needed(self):     # req: PRO-28 PRO-32
        over = mask_of("PRO-01")
        for above_mv, relieves in ((0, False), (-249, False), (-250, True), (-800, True)):
            self.setUp()
            for _ in range(12):
                told = self.flow.look(Seen(53_000 + above_mv, current_ma=-2000), 2, over, 2)
            self.assertEqual(told & (DISCHARGES | RELIEF),
                             DISCHARGES | RELIEF if relieves else DISCHARGES, above_mv)

    def test_a_discharge_without_over_voltage_uses_none_up(self):   # req: PRO-32
        for _ in range(10):
            self.scans(0, 30)
            self.assertFalse(self.scans(-2000, 11)[-1] & RELIEF)    # nor keeps it from tripping
        self.scans(0, 30, mask_of("PRO-01"))
        self.assertTrue(self.scans(-2000, 11, mask_of("PRO-01"))[-1] & RELIEF)


if __name__ == "__main__":
    unittest.main()
