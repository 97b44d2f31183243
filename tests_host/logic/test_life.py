"""Proof of life: a channel that stands still while its witness moves, and the way back."""

import unittest
from array import array

from bms.words import readings as rd
from bms.measure.life import Life
from bms.words.rules import FAULT_CELLS, FAULT_STACK, FAULT_TEMPS, FAULT_TERMINALS
from fakes import NO_READING, Lcg


class Faults:
    def __init__(self):
        self.seen = {}

    def set_fault(self, fault, present, value=0, limit=0, cell=-1):
        if present:
            self.seen.setdefault(fault, (value, cell))
        else:
            self.seen.pop(fault, None)


class TestLife(unittest.TestCase):
    def setUp(self):
        self.life = Life(16)
        self.faults = Faults()
        self.values = array("i", (250 for _ in range(rd.COUNT)))
        self.cells = array("H", (3300 for _ in range(16)))
        self.noise = Lcg(5)
        self.level = 3300
        self.stuck = ()             # cells and slots that stand still
        self.closed = True
        self.bled = False
        self.raw = bytearray(6)

    def blocks(self, count, moved_uv=0, heat=0):
        """Time passes in blocks of 8 scans; all channels but the stuck ones have their noise."""
        for _ in range(count):
            self.level += moved_uv // 1000
            for _ in range(8):
                for i in range(16):
                    if i not in self.stuck:
                        self.cells[i] = self.level + self.noise.below(2)
                for slot in (rd.STACK_MV, rd.PACK_MV):
                    if -slot not in self.stuck:
                        self.values[slot] = 16 * self.level + 10 * self.noise.below(2)
                for slot in (rd.MOS_DC, rd.AMBIENT_DC, rd.TEMP_DC,
                             rd.TEMP_DC + 1, rd.TEMP_DC + 2, rd.TEMP_DC + 3):
                    if -slot not in self.stuck:
                        self.values[slot] ^= self.noise.below(2)
                self.life.visit(self.values, self.cells, self.closed, self.bled, self.faults)
            self.life.warm(heat)
            if moved_uv:
                self.life.moved(moved_uv, 1)
        return self.faults.seen

    def test_noise_alone_is_life(self):                         # req: MEA-07
        self.assertEqual(self.blocks(50, 5000, 8100), {})

    def test_each_cell_is_named(self):                          # req: MEA-07
        for cell in range(16):
            self.setUp()
            self.stuck = (cell,)
            self.blocks(4)
            self.assertEqual(self.blocks(1, 7999), {})
            seen = self.blocks(3, 2000)
            self.assertEqual(list(seen), [FAULT_CELLS])
            self.assertEqual(seen[FAULT_CELLS][1], cell)

    def test_a_still_cell_of_a_pack_at_rest_is_none(self):      # req: MEA-07 MEA-06
        self.stuck = (3,)
        self.assertEqual(self.blocks(2000), {})

    def test_a_move_that_made_it_change_is_not_owed(self):      # req: MEA-07 MEA-06
        # quiet silicon: the cell changes with the step, and stands still before and after
        self.stuck = (3,)
        for step in range(20):
            self.blocks(5)
            self.cells[3] += 20 if step % 2 else -20
            self.blocks(1, 20_000 if step % 2 else -20_000)
            self.assertEqual(self.blocks(5), {})

    def test_stack_and_terminals(self):                         # req: MEA-07
        for slot, fault in ((rd.STACK_MV, FAULT_STACK), (rd.PACK_MV, FAULT_TERMINALS)):
            self.setUp()
            self.stuck = (-slot,)
            self.blocks(4)
            self.assertEqual(list(self.blocks(3, 8000)), [fault])

    def test_terminals_beside_an_open_fet_owe_nothing(self):    # req: MEA-07 MEA-06
        self.stuck = (-rd.PACK_MV,)
        self.closed = False
        self.blocks(4)
        self.assertEqual(self.blocks(9, 8000), {})

    def test_bled_cells_are_kept_readings(self):                # req: MEA-07 BAL-01
        self.stuck = tuple(range(16))
        self.bled = True
        self.blocks(4)
        self.assertEqual(self.blocks(9, 8000), {})
        self.assertFalse(self.life.all_still())

    def test_thermistors_by_the_heat_of_the_current(self):      # req: MEA-07
        # 90 A for a minute at the FETs; for a quarter of an hour at the cells
        for slot, sensor, least, most in ((rd.MOS_DC, 4, 60, 100), (rd.TEMP_DC, 0, 600, 1000),
                                          (rd.TEMP_DC + 3, 3, 600, 1000)):
            self.setUp()
            self.stuck = (-slot,)
            blocks = 0
            while not self.faults.seen and blocks < 3000:
                self.blocks(1, 0, 8100)
                blocks += 1
            self.assertEqual(self.faults.seen, {FAULT_TEMPS: (sensor, -1)})
            self.assertTrue(least <= blocks * 0.8 <= most, blocks)

    def test_a_thermistor_of_cells_by_two_others(self):         # req: MEA-07
        for others, stuck in ((1, False), (2, True)):
            self.setUp()
            self.stuck = (-rd.TEMP_DC - 1,)
            self.blocks(80)
            for i in range(others):
                self.values[rd.TEMP_DC + 2 + i] += 16
            self.assertEqual(self.blocks(3), {FAULT_TEMPS: (1, -1)} if stuck else {})

    def test_it_has_to_stand_still_for_a_minute(self):          # req: MEA-07 MEA-06
        self.stuck = (-rd.TEMP_DC - 1,)
        self.blocks(60)
        self.values[rd.TEMP_DC + 2] += 40
        self.values[rd.TEMP_DC + 3] += 40
        self.assertEqual(self.blocks(10), {})
        self.assertEqual(self.blocks(10), {FAULT_TEMPS: (1, -1)})

    def test_the_ambient_by_the_die(self):                      # req: MEA-07
        self.stuck = (-rd.AMBIENT_DC,)
        self.blocks(760)
        self.values[rd.DIE_DC] += 49
        self.assertEqual(self.blocks(2), {})
        self.values[rd.DIE_DC] += 1
        self.assertEqual(self.blocks(2), {FAULT_TEMPS: (5, -1)})

    def looks(self, count, stuck=()):
        """At the raw counts: the noise of 4 counts, but of those places that are *stuck*."""
        for _ in range(count):
            for i in range(6):
                if i not in stuck:
                    self.raw[i] = 100 + self.noise.below(14)
            for half in range(2):
                self.life.look_at_counts(self.raw, half, self.faults)
        return self.faults.seen

    def test_a_thermistor_without_noise_is_stuck(self):         # req: MEA-07
        for place, sensor in ((0, 5), (1, 0), (2, 1), (3, 2), (4, 3), (5, 4)):
            self.setUp()
            self.looks(5)
            self.assertEqual(self.looks(11, (place,)), {})
            self.assertEqual(self.looks(1, (place,)), {FAULT_TEMPS: (sensor, -1)})
            self.assertEqual(self.life.stuck, 1 << 18 + sensor)
            self.assertNotEqual(self.looks(1), {})      # three changes are the way back
            self.assertEqual(self.looks(3), {})

    def test_all_thermistors_without_noise_are_stuck_at_once(self):     # req: MEA-07
        self.looks(5)
        self.assertEqual(self.looks(1, range(6)), {})
        self.assertEqual(list(self.looks(1, range(6))), [FAULT_TEMPS])
        self.assertEqual(self.life.stuck, 63 << 18)
        self.life.clear(self.faults)
        self.assertEqual(self.looks(1, range(6)), {})
        self.assertEqual(list(self.looks(1, range(6))), [FAULT_TEMPS])

    def test_noise_of_raw_counts_is_life(self):                 # req: MEA-07 MEA-06
        self.assertEqual(self.looks(20_000), {})

    def test_counts_that_never_moved_are_no_witness(self):      # req: MEA-07 MEA-06
        for i in range(6):
            self.raw[i] = 7
        self.assertEqual(self.looks(100, range(6)), {})

    def test_an_open_thermistor_has_a_name_of_its_own(self):    # req: MEA-03
        self.stuck = (-rd.MOS_DC,)
        self.values[rd.MOS_DC] = NO_READING
        self.assertEqual(self.blocks(100, 0, 30_000), {})

    def test_three_changes_are_the_way_back(self):              # req: MEA-07
        self.stuck = (5,)
        self.blocks(4)
        self.assertEqual(list(self.blocks(4, 8000)), [FAULT_CELLS])
        self.assertEqual(list(self.blocks(100)), [FAULT_CELLS])
        for _ in range(3):
            self.assertEqual(list(self.faults.seen), [FAULT_CELLS])
            self.cells[5] += 1
            self.blocks(1)
        self.assertEqual(self.faults.seen, {})

    def test_open_fets_bring_no_terminals_back(self):           # req: MEA-07
        self.stuck = (-rd.PACK_MV,)
        self.blocks(4)
        self.assertEqual(list(self.blocks(4, 8000)), [FAULT_TERMINALS])
        self.closed = False
        self.assertEqual(list(self.blocks(100)), [FAULT_TERMINALS])
        self.stuck = ()
        self.assertEqual(self.blocks(20), {})

    def test_bleeding_brings_no_cell_back(self):                # req: MEA-07 BAL-01
        self.stuck = (5,)
        self.blocks(4)
        self.assertEqual(list(self.blocks(4, 8000)), [FAULT_CELLS])
        self.bled = True
        self.assertEqual(list(self.blocks(100)), [FAULT_CELLS])

    def test_two_stuck_cells_are_one_fault_until_both_are_back(self):   # req: MEA-07
        self.stuck = (5, 6)
        self.blocks(4)
        self.blocks(4, 8000)
        self.stuck = (6,)
        self.assertEqual(list(self.blocks(20)), [FAULT_CELLS])
        self.stuck = ()
        self.assertEqual(self.blocks(20), {})

    def test_a_host_clears_it_and_it_comes_back(self):          # req: MEA-07
        self.stuck = (5,)
        self.blocks(4)
        self.blocks(4, 8000)
        self.life.clear(self.faults)
        self.assertEqual(self.faults.seen, {})
        self.assertEqual(self.blocks(4), {})
        self.assertEqual(list(self.blocks(4, 8000)), [FAULT_CELLS])

    def test_what_stands_still_is_to_blame_for_a_drop(self):    # req: MEA-07 SAF-05
        for slot, fault in ((rd.STACK_MV, FAULT_STACK), (rd.PACK_MV, FAULT_TERMINALS)):
            self.setUp()
            self.stuck = (-slot,)
            self.blocks(5)
            self.assertTrue(self.life.drop_lives())
            self.assertFalse(self.life.blame_for_drop(self.faults))
            self.blocks(3)
            self.assertFalse(self.life.drop_lives())
            self.assertTrue(self.life.blame_for_drop(self.faults))
            self.assertEqual(list(self.faults.seen), [fault])
            self.stuck = ()
            self.assertEqual(self.blocks(20), {})

    def test_fewer_cells(self):                                 # req: MEA-07 PRF-03
        self.life = Life(8)
        self.cells = array("H", (3300 for _ in range(16)))
        self.stuck = (7,)
        self.blocks(4)
        self.assertEqual(self.blocks(6, 8000)[FAULT_CELLS][1], 7)


if __name__ == "__main__":
    unittest.main()
