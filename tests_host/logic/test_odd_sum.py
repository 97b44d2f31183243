"""Cells and stack that differ for some time by less than makes a scan implausible."""

import unittest
from array import array

from bms.measure.odd_sum import OddSum


class Measured:
    odd_sum = False
    odd_cell = -1

    def __init__(self):
        self.cells_mv = array("H", (3300 for _ in range(16)))


class TestOddSum(unittest.TestCase):
    def setUp(self):
        self.watch = OddSum()
        self.measured = Measured()

    def blocks(self, count, off_mv=0, size_ma=0, cell=-1, share=100):
        """Blocks whose sum is *off_mv* above the stack, by a *cell* or by the stack's input."""
        for i in range(16):
            self.measured.cells_mv[i] = 3300 + (off_mv if i == cell else i & 1)
        for _ in range(count):
            self.watch.step(8 * (52_800 + off_mv), 8 * 52_800, size_ma, share, self.measured)
        return self.measured.odd_sum

    def test_one_cell_at_rest(self):                            # req: MEA-07
        for off_mv in (150, -150, 495, -495):
            self.setUp()
            self.assertFalse(self.blocks(14, off_mv, cell=3))
            self.assertTrue(self.blocks(1, off_mv, cell=3))
            self.assertEqual(self.measured.odd_cell, 3)

    def test_the_stack_at_rest(self):                           # req: MEA-07
        self.assertFalse(self.blocks(100, 199))
        self.assertFalse(self.blocks(14, 200))
        self.assertTrue(self.blocks(1, 200))
        self.assertEqual(self.measured.odd_cell, -1)

    def test_with_a_current_it_takes_a_minute(self):            # req: MEA-07 MEA-06
        self.assertFalse(self.blocks(74, -495, 20_000, cell=3))
        self.assertTrue(self.blocks(1, -495, 20_000, cell=3))

    def test_what_a_ripple_may_shift_is_none(self):             # req: MEA-06
        self.assertFalse(self.blocks(200, 150 + 4 * 60 - 1, 60_000, cell=3))
        self.assertFalse(self.blocks(200, 150 + 8 * 60 - 1, 60_000, cell=3, share=200))

    def test_tolerances_and_unequal_cells_are_none(self):       # req: MEA-06
        self.assertFalse(self.blocks(1000, 149, cell=3))
        self.measured.cells_mv[3] = 2900
        for _ in range(1000):
            self.watch.step(8 * 52_800, 8 * 52_760, 0, 100, self.measured)
        self.assertFalse(self.measured.odd_sum)

    def test_what_comes_and_goes_leaks(self):                   # req: PRO-28
        for _ in range(100):
            self.assertFalse(self.blocks(10, 300))
            self.blocks(10)

    def test_a_minute_of_agreement_is_the_way_back(self):       # req: MEA-07
        self.blocks(15, 300)
        self.assertTrue(self.blocks(74))
        self.assertTrue(self.blocks(1, 300))
        self.assertTrue(self.blocks(74))
        self.assertFalse(self.blocks(1))
        self.assertFalse(self.blocks(10, 300))
