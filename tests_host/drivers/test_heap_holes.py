"""The holes that a collection leaves are filled: what is asked for next is found at once."""

import gc
import sys
import unittest

from fakes import ON_MICROPYTHON
from heap_holes import fill


class TestFill(unittest.TestCase):
    def test_other_heaps_are_left_alone(self):
        if ON_MICROPYTHON:
            raise unittest.SkipTest("this heap is the one it is for")
        self.assertEqual(fill(), 0)

    def test_many_holes_are_filled_and_then_there_are_none(self):
        if not ON_MICROPYTHON:
            raise unittest.SkipTest("CPython has no such heap")
        if sys.platform == "qemu":
            raise unittest.SkipTest("its modules are on the heap: more holes than a look fills")
        kept = [[None] for _ in range(600)]
        for i in range(0, len(kept), 2):
            kept[i] = None                      # holes of two blocks
        gc.collect()
        first = fill()
        self.assertTrue(300 < first < 2000, first)
        for _ in range(5):
            self.assertEqual(fill(), 1)

    def test_it_keeps_nothing(self):
        if not ON_MICROPYTHON:
            raise unittest.SkipTest("CPython has no such heap")
        if sys.platform == "qemu":
            raise unittest.SkipTest("its modules are on the heap: more holes than a look fills")
        gc.collect()
        free = gc.mem_free()
        fill()
        gc.collect()
        self.assertTrue(gc.mem_free() >= free - 64)
