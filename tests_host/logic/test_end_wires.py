"""An open sense wire at an end of the stack: what shows it, and what does not."""

import unittest
from array import array

from bms.words import readings as rd
from bms.measure.end_wires import EndWires
from fakes import NO_READING

WIRE_MV = 250


def values(low_mv=3300, at=15, others_mv=3300):
    """Readings of 16 cells of which one is low."""
    out = array("i", (NO_READING for _ in range(rd.COUNT)))
    out[rd.MAX_CELL_MV] = max(low_mv, others_mv)
    out[rd.MIN_CELL_MV] = low_mv
    out[rd.CELL_DIFF_MV] = abs(others_mv - low_mv)
    out[rd.CELL_SUM_MV] = 15 * others_mv + low_mv
    out[rd.MIN_CELL] = at
    return out


NOTHING = array("i", (NO_READING for _ in range(rd.COUNT)))


class Seen:
    """Measurements and Fets as far as they are looked at."""

    actual = 1
    terminals_known = True
    doubted = 0

    def doubt_cells(self):
        self.doubted += 1


class TestEndWires(unittest.TestCase):
    def setUp(self):
        self.wires = EndWires(16)

    def look(self, readings, drop_mv=0, resting=False, faulty=False):
        return self.wires.look(readings, drop_mv, resting, WIRE_MV, faulty)

    def twice(self, readings, drop_mv=0, resting=False):
        """Answers of two scans that show the same."""
        self.setUp()
        return (self.look(readings, drop_mv, resting), self.look(readings, drop_mv, resting))

    def test_a_cell_that_sank_and_terminals_above_the_stack_by_as_much(self):   # req: MEA-03
        for sunk_mv, drop_mv, at, open_wire in (
                (400, 600, 15, False), (400, 599, 15, True), (399, 500, 15, False),
                (600, 600, 15, True), (600, 600, 0, True), (600, 600, 1, False),
                (600, 600, 14, False), (1200, 601, 15, True), (1200, 600, 15, False),
                (600, 0, 15, False), (0, 600, 15, False)):
            self.assertEqual(self.twice(values(3300 - sunk_mv, at), drop_mv), (False, open_wire),
                             (sunk_mv, drop_mv, at))

    def test_at_rest_the_top_cell_1000_mv_below_the_others(self):       # req: MEA-03
        for sunk_mv, at, resting, open_wire in (
                (1000, 15, True, True), (999, 15, True, False), (1000, 15, False, False),
                (1000, 0, True, False), (1000, 7, True, False), (3000, 15, True, True)):
            self.assertEqual(self.twice(values(3300 - sunk_mv, at), 0, resting),
                             (False, open_wire), (sunk_mv, at, resting))

    def test_it_is_the_mean_of_the_others_that_counts(self):    # req: MEA-03
        readings = values(2650)
        readings[rd.MAX_CELL_MV] = 3660             # one high, fourteen at 3300
        readings[rd.CELL_SUM_MV] = 14 * 3300 + 3660 + 2650
        readings[rd.CELL_DIFF_MV] = 1010
        self.assertEqual(self.twice(readings, 0, True), (False, False))

    def test_one_scan_may_be_of_different_times(self):          # req: MEA-03 PRO-02
        for _ in range(5):
            self.assertFalse(self.look(values(2690), 610))
            self.assertFalse(self.look(values(2690), 0))

    def test_a_scan_without_cells_between_does_not_end_it(self):        # req: MEA-03
        self.assertFalse(self.look(NOTHING, 600))
        self.look(values(2690), 610)
        self.assertTrue(self.look(NOTHING, 610))
        self.assertTrue(self.look(values(2690), 610))
        self.look(values(), 0)
        self.assertFalse(self.look(NOTHING, 600))

    def test_the_fault_lasts_until_the_cell_is_back(self):      # req: MEA-03
        # FETs open: no drop any more. It may be low by what it was low before, and 400 mV
        for sunk_mv, drop_mv, back_mv in ((600, 600, 400), (1000, 700, 700), (500, 700, 400)):
            for now_mv, lasts in ((back_mv, True), (back_mv - 1, False), (3000, True)):
                self.twice(values(3300 - sunk_mv), drop_mv)
                self.assertEqual(self.look(values(3300 - now_mv), faulty=True), lasts,
                                 (sunk_mv, now_mv))

    def test_at_rest_it_lasts_down_to_750_mv(self):             # req: MEA-03
        for now_mv, lasts in ((750, True), (749, False)):
            self.twice(values(2300), 0, True)
            self.assertEqual(self.look(values(3300 - now_mv), 0, True, True), lasts, now_mv)

    def test_the_lower_of_two_ends_counts(self):                # req: MEA-03
        self.twice(values(2600), 700)                           # back within 400 mV
        self.look(values(1300), 0, True, True)
        self.assertTrue(self.look(values(2900), 0, True, True))
        self.assertFalse(self.look(values(2901), 0, True, True))

    def test_without_the_fault_nothing_lasts(self):             # req: MEA-03
        self.twice(values(2600), 700)
        self.assertFalse(self.look(values(2600)))
        self.assertFalse(self.look(values(2600), faulty=True))

    def test_another_cell_that_is_low_does_not_hold_it(self):   # req: MEA-03
        self.twice(values(2600), 700)
        self.assertFalse(self.look(values(2600, at=4), faulty=True))

    def test_something_remembered_is_told(self):                # req: MEA-03
        self.assertEqual(self.wires.suspects, False)
        self.look(values(2690), 610)
        self.assertEqual(self.wires.suspects, True)
        self.look(values(2690), 610)
        self.look(values(2690), faulty=True)
        self.assertEqual(self.wires.suspects, True)             # held
        self.look(values(), 0)
        self.assertEqual(self.wires.suspects, False)

    def test_the_drop_is_what_current_does_not_explain(self):   # req: MEA-03
        # 800 mV at 100 A may be resistance; 801 mV are a wire: the cell sank by as much
        for current_ma, drop_mv, actual, doubted in (
                (100_000, 800, 3, 0), (100_000, 801, 3, 1), (-100_000, 801, 3, 1),
                (0, 500, 3, 0), (0, 501, 3, 1), (0, 900, 1, 0), (0, -900, 3, 0)):
            self.setUp()
            seen = Seen()
            seen.values = values(3300 - max(drop_mv, 400))
            seen.values[rd.CURRENT_MA] = current_ma
            seen.values[rd.STACK_MV] = 50_000
            seen.values[rd.PACK_MV] = 50_000 + drop_mv
            seen.actual = actual
            for _ in range(2):
                self.wires.watch(seen, seen, 300, WIRE_MV, False)
            self.assertEqual(seen.doubted, doubted, (current_ma, drop_mv, actual))

    def test_at_rest_means_up_to_the_rest_current(self):        # req: MEA-03
        for current_ma, doubted in ((300, 1), (-300, 1), (301, 0), (-301, 0)):
            self.setUp()
            seen = Seen()
            seen.values = values(2300)
            seen.values[rd.CURRENT_MA] = current_ma
            seen.values[rd.STACK_MV] = seen.values[rd.PACK_MV] = 50_000
            for _ in range(2):
                self.wires.watch(seen, seen, 300, WIRE_MV, False)
            self.assertEqual(seen.doubted, doubted, current_ma)

    def test_a_fault_lasts_while_there_are_no_readings(self):   # req: MEA-03
        self.twice(values(2600), 700)
        self.look(values(2600), faulty=True)
        self.assertTrue(self.look(NOTHING, faulty=True))
        self.setUp()
        self.assertFalse(self.look(NOTHING, faulty=True))       # of another wire


if __name__ == "__main__":
    unittest.main()
