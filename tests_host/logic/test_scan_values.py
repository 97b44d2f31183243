"""Registers to readings: units, extremes, and doubts about what cannot be."""

import unittest
from array import array

from bms.words import readings as rd
from fakes import EXPECTED_KIND, NO_READING, Lcg, put16, scan_regs, set_cells, twins
from hot import scan_values

TWINS = twins("hot.scan_values")
CELLS_AT = 0x14
SENSORS = (0x70, 0x72, 0x74, 0x78)      # TS1 TS2 TS3 DCHG
MOSFET = 0x7A                           # DDSG


class TestDecodeScan(unittest.TestCase):
    def decode(self, regs, low=100, high=5000, sum_error=600, wire=250, cal=None):
        cal = array("i", cal or [0] * rd.CAL_COUNT)
        results = []
        for twin in TWINS:
            cells = array("H", [0] * 16)
            out = array("i", [77] * rd.COUNT)
            doubts = twin.decode_scan(regs, cells, out, cal, 16, low, high, sum_error, wire)
            results.append((doubts, list(cells), list(out)))
        self.assertEqual(results, results[:1] * len(TWINS))
        return results[0]

    def test_selector_took_the_expected_kind(self):             # req: SAF-04
        self.assertEqual(scan_values.KIND, EXPECTED_KIND)

    def test_units_and_places_of_every_value(self):             # req: MEA-01
        regs = scan_regs()
        cells_mv = [3300 + i for i in range(16)]
        cells_mv[5] = 3290
        cells_mv[12] = 3342
        set_cells(regs, *cells_mv)
        put16(regs, 0x34, 5294)                 # 10 mV
        put16(regs, 0x36, 5301)
        put16(regs, 0x3A, -1050 & 0xFFFF)       # 10 mA: -10.5 A
        temps_dk = (2981, 2951, 2961, 2971)     # 0.1 K
        for i in range(4):
            put16(regs, SENSORS[i], temps_dk[i])
        put16(regs, MOSFET, 3331)
        put16(regs, 0x68, 3031)
        put16(regs, 0x38, 5300)
        doubts, cells, out = self.decode(regs)
        self.assertEqual((doubts, cells), (0, cells_mv))
        for slot, value in ((rd.MAX_CELL_MV, 3342), (rd.MIN_CELL_MV, 3290), (rd.CELL_DIFF_MV, 52),
                            (rd.MAX_CELL, 12), (rd.MIN_CELL, 5), (rd.CELL_SUM_MV, sum(cells_mv)),
                            (rd.STACK_MV, 52_940), (rd.PACK_MV, 53_010),
                            (rd.CURRENT_MA, -10_500), (rd.CHARGE_MA, 0),
                            (rd.DISCHARGE_MA, 10_500), (rd.MIN_TEMP_DC, 220),
                            (rd.MAX_TEMP_DC, 250), (rd.TEMP_DC, 250), (rd.TEMP_DC + 3, 240),
                            (rd.MOS_DC, 600), (rd.DIE_DC, 300),
                            (rd.LD_MV, 53_000)):
            self.assertEqual(out[slot], value, slot)

    def test_what_a_scan_does_not_know_stays_untouched(self):
        out = self.decode(scan_regs())[2]
        for slot in (rd.SOC_CPCT, rd.AMBIENT_DC, rd.REVERSED, rd.SHORTED):
            self.assertEqual(out[slot], 77, slot)

    def test_charging_is_positive(self):                        # req: MEA-01
        out = self.decode(scan_regs(current_ma=100_000))[2]
        self.assertEqual((out[rd.CURRENT_MA], out[rd.CHARGE_MA], out[rd.DISCHARGE_MA]),
                         (100_000, 100_000, 0))

    def test_the_first_of_equal_extremes_is_named(self):
        regs = scan_regs()
        set_cells(regs, 3300, 3310, 3310, 3290, 3290)
        out = self.decode(regs)[2]
        self.assertEqual((out[rd.MAX_CELL], out[rd.MIN_CELL]), (1, 3))

    def test_cell_limits_one_short_exact_one_past(self):        # req: MEA-03
        for cell_mv, doubt in ((101, 0), (100, 1), (99, 1), (0, 1), (4999, 0), (5000, 1),
                               (5001, 1), (0x7FFF, 1)):
            regs = scan_regs()
            set_cells(regs, 3300, cell_mv)
            doubts = self.decode(regs, sum_error=60_000)[0]
            self.assertEqual(doubts & rd.CELL_IMPLAUSIBLE, doubt, cell_mv)

    def test_an_implausible_cell_is_never_an_extreme(self):     # req: MEA-03
        for cell_mv in (0, 5000):
            regs = scan_regs()
            set_cells(regs, 3310, cell_mv, 3290)
            out = self.decode(regs, sum_error=60_000)[2]
            self.assertIn(out[rd.MAX_CELL_MV], (3310, NO_READING))
            self.assertIn(out[rd.MIN_CELL_MV], (3290, NO_READING))

    def test_a_negative_cell_reads_as_zero(self):               # req: MEA-03
        regs = scan_regs()
        put16(regs, CELLS_AT, 0xFFF0)
        doubts, cells, _ = self.decode(regs)
        self.assertEqual((cells[0], doubts & 1), (0, 1))

    def test_sum_against_stack_one_short_exact_one_past(self):  # req: MEA-03
        for stack_mv, doubt in ((52_200, 0), (52_190, 2), (53_400, 0), (53_410, 2)):
            regs = scan_regs(stack_mv=stack_mv)
            doubts, _, out = self.decode(regs)
            self.assertEqual(doubts, doubt, stack_mv)
            for slot in (rd.MAX_CELL_MV, rd.MIN_CELL_MV, rd.CELL_DIFF_MV):
                self.assertEqual(out[slot] == NO_READING, doubt != 0, stack_mv)

    def test_no_cell_at_all_gives_no_extremes(self):            # req: MEA-03
        regs = scan_regs(cell_mv=0)
        doubts, _, out = self.decode(regs)
        self.assertEqual(doubts & 1, 1)
        self.assertEqual((out[0], out[1], out[2]), (NO_READING,) * 3)

    def test_thermistor_limits(self):                           # req: MEA-03
        for temp_dc, doubt in ((-450, 0), (-451, rd.NTC_OPEN), (1300, 0), (1301, rd.NTC_SHORT)):
            for reg in SENSORS + (MOSFET,):
                regs = scan_regs()
                put16(regs, reg, temp_dc + 2731)
                doubts, _, out = self.decode(regs)
                self.assertEqual(doubts, doubt, repr((temp_dc, reg)))
                slot = rd.MOS_DC if reg == MOSFET else rd.TEMP_DC + SENSORS.index(reg)
                self.assertEqual(out[slot], NO_READING if doubt else temp_dc)

    def test_a_broken_sensor_is_not_an_extreme_and_none_is_no_reading(self):    # req: MEA-03
        regs = scan_regs(temp_dc=250)
        put16(regs, 0x70, 0)
        out = self.decode(regs)[2]
        self.assertEqual((out[rd.MIN_TEMP_DC], out[rd.MAX_TEMP_DC]), (250, 250))
        for reg in SENSORS:
            put16(regs, reg, 0x7FFF)
        out = self.decode(regs)[2]
        self.assertEqual((out[rd.MIN_TEMP_DC], out[rd.MAX_TEMP_DC]), (NO_READING, NO_READING))

    def test_the_mosfet_is_not_a_cell_temperature(self):
        regs = scan_regs(temp_dc=250)
        put16(regs, MOSFET, 900 + 2731)
        out = self.decode(regs)[2]
        self.assertEqual((out[rd.MAX_TEMP_DC], out[rd.MOS_DC]), (250, 900))

    def test_an_open_wire_lifts_one_neighbour_and_lowers_the_other(self):   # req: MEA-03
        for high_mv, low_mv, doubt in ((3549, 3050, 0), (3550, 3050, rd.WIRE_OPEN),
                                       (3551, 3049, rd.WIRE_OPEN), (4500, 2100, rd.WIRE_OPEN),
                                       (3700, 3300, 0), (3300, 2900, 0), (3600, 3600, 0),
                                       (3558, 2354, rd.WIRE_OPEN), (3557, 2339, 0),
                                       (4246, 3042, rd.WIRE_OPEN), (4261, 3043, 0)):
            for order in ((high_mv, low_mv), (low_mv, high_mv)):
                regs = scan_regs()
                set_cells(regs, 3300, order[0], order[1])
                doubts, _, out = self.decode(regs)
                self.assertEqual(doubts, doubt, repr(order))
                self.assertEqual(out[rd.MAX_CELL_MV] == NO_READING, doubt != 0)

    def test_a_wire_wherever_it_is(self):                       # req: MEA-03
        for low_at in range(16):
            for high_at in (low_at - 1, low_at + 1):
                if 0 <= high_at <= 15:
                    regs = scan_regs()
                    cells_mv = [3300] * 16
                    cells_mv[low_at], cells_mv[high_at] = 3000, 3600
                    set_cells(regs, *cells_mv)
                    self.assertEqual(self.decode(regs)[0], rd.WIRE_OPEN, repr(cells_mv))

    def test_the_first_and_the_last_are_no_neighbours(self):    # req: MEA-03
        for first, last in ((3600, 3000), (3000, 3600)):
            regs = scan_regs()
            set_cells(regs, first, *([3300] * 14), last)
            self.assertEqual(self.decode(regs)[0], 0)

    def test_neighbours_off_by_as_much(self):                   # req: MEA-03
        # average 3300; neither is more than three times as far off as the other
        for first, second, third, doubt in (
                (3800, 2801, 3299, rd.WIRE_OPEN), (3800, 2301, 3799, rd.WIRE_OPEN),
                (2800, 3799, 3301, rd.WIRE_OPEN), (3800, 2300, 3800, rd.WIRE_OPEN),
                (3600, 2400, 3900, rd.WIRE_OPEN), (3000, 4200, 2700, rd.WIRE_OPEN),
                (3700, 3700, 2500, rd.WIRE_OPEN), (3600, 3600, 3600, 0), (3700, 3300, 2900, 0),
                (3549, 3051, 3300, 0), (3550, 3050, 3300, rd.WIRE_OPEN)):
            regs = scan_regs()
            set_cells(regs, first, second, third)
            self.assertEqual(self.decode(regs)[0], doubt, repr((first, second, third)))

    def test_other_doubts_do_not_hide_a_wire(self):             # req: MEA-03
        regs = scan_regs()
        set_cells(regs, 3600, 3000)
        put16(regs, 0x34, 4000)                     # a stack that does not fit
        self.assertEqual(self.decode(regs)[0], rd.SUM_IMPLAUSIBLE | rd.WIRE_OPEN)
        regs = scan_regs()
        set_cells(regs, 5000, 1600)                 # one implausible: it is no extreme
        self.assertEqual(self.decode(regs)[0], rd.CELL_IMPLAUSIBLE | rd.WIRE_OPEN)

    def test_extremes_wherever_they_are(self):                  # req: MEA-01
        for cell in range(16):
            for cell_mv, slot, name in ((3400, rd.MAX_CELL, rd.MAX_CELL_MV),
                                        (3200, rd.MIN_CELL, rd.MIN_CELL_MV)):
                regs = scan_regs()
                cells_mv = [3300] * 16
                cells_mv[cell] = cell_mv
                set_cells(regs, *cells_mv)
                out = self.decode(regs)[2]
                self.assertEqual((out[slot], out[name]), (cell, cell_mv))

    def test_each_sensor_is_an_extreme(self):                   # req: MEA-01
        for reg in SENSORS:
            for temp_dc in (240, 260):
                regs = scan_regs(temp_dc=250)
                put16(regs, reg, temp_dc + 2731)
                out = self.decode(regs)[2]
                self.assertEqual((out[rd.MIN_TEMP_DC], out[rd.MAX_TEMP_DC]),
                                 (min(250, temp_dc), max(250, temp_dc)), reg)

    def test_a_current_of_1_ma_has_a_direction(self):           # req: MEA-01
        for offset_ma, charge_ma, discharge_ma in ((-2, 2, 0), (-1, 1, 0), (0, 0, 0), (1, 0, 1),
                                                   (2, 0, 2)):
            cal = [0] * rd.CAL_COUNT
            cal[rd.CAL_CURRENT_OFFSET] = offset_ma
            out = self.decode(scan_regs(), cal=cal)[2]
            self.assertEqual((out[rd.CHARGE_MA], out[rd.DISCHARGE_MA]), (charge_ma, discharge_ma))

    def test_doubtful_cells_have_no_sum(self):                  # req: MEA-03
        regs = scan_regs()
        set_cells(regs, 5000)
        self.assertEqual(self.decode(regs)[2][rd.CELL_SUM_MV], NO_READING)

    def test_calibration_of_cells_current_and_thermistors(self):    # req: MEA-04
        cal = [0] * rd.CAL_COUNT
        cal[rd.CAL_CELL_GAIN + 2] = 328             # 1 %
        cal[rd.CAL_CELL_OFFSET + 3] = 12
        cal[rd.CAL_CELL_OFFSET + 4] = -7
        cal[rd.CAL_CURRENT_GAIN] = -328
        cal[rd.CAL_CURRENT_OFFSET] = 150
        cal[rd.CAL_TEMP_OFFSET + 1] = 15
        cal[rd.CAL_TEMP_OFFSET + 4] = -20
        doubts, cells, out = self.decode(scan_regs(current_ma=100_000), cal=cal)
        self.assertEqual((doubts, cells[:6]), (0, [3300, 3300, 3333, 3288, 3307, 3300]))
        self.assertTrue(abs(out[rd.CURRENT_MA] - (99_000 - 150)) <= 2, out[rd.CURRENT_MA])
        self.assertEqual((out[rd.TEMP_DC + 1], out[rd.MOS_DC], out[rd.TEMP_DC]), (235, 270, 250))
        self.assertEqual((out[rd.MAX_CELL_MV], out[rd.CELL_SUM_MV]), (3333, sum(cells)))

    def test_a_scan_that_is_the_same_has_the_same_hash(self):   # req: MEA-03
        regs = scan_regs(current_ma=5000)
        first = self.decode(regs)[2][rd.SCAN_HASH]
        self.assertEqual(self.decode(regs)[2][rd.SCAN_HASH], first)
        for reg in range(0x10, 0x40):           # cells, stack, terminals, LD, current
            other = bytearray(regs)
            other[reg] ^= 1
            self.assertEqual(self.decode(other)[2][rd.SCAN_HASH] != first, 0x14 <= reg <= 0x3B,
                             reg)

    def test_twins_agree_on_random_registers(self):             # req: PRO-26
        rng = Lcg(5)
        regs = bytearray(128)
        for turn in range(40):
            if turn & 1:
                rng.fill(regs)
            else:
                regs = scan_regs(rng.between(2000, 4000), rng.between(-200_000, 200_000),
                                 rng.between(-500, 1400))
                put16(regs, CELLS_AT + 2 * rng.below(16), rng.between(0, 0xFFFF))
            cal = [rng.between(-1700, 1700) for _ in range(rd.CAL_COUNT)]
            self.decode(regs, rng.below(1000), rng.between(4300, 5500), rng.between(100, 3000),
                        rng.between(100, 2000), rng.pick((None, cal)))

    def test_twins_agree_on_edges(self):
        for fill in (0x00, 0xFF, 0x7F, 0x80, 0x01):
            self.decode(bytearray([fill] * 128))


if __name__ == "__main__":
    unittest.main()
