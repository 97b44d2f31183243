"""Scans become readings with a number and an age; failed scans change nothing."""

import unittest

from bms.measure import measurements
from bms.words import readings as rd
from bms.measure.measurements import Measurements
from bms.words.parameters import Parameters
from fakes import LATE, NO_READING, WRAP, put16, scan_regs, set_cells


class TestCase(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.m = Measurements(self.params, 16, 100)


class TestTake(TestCase):
    def test_nothing_is_known_before_the_first_scan(self):      # req: MEA-05
        self.assertEqual((self.m.seq, self.m.is_usable(0), self.m.is_usable(LATE)),
                         (0, False, False))
        # the longest time that ticks can tell: late for every limit
        self.assertEqual((self.m.age_ms(5), self.m.age_ms(LATE)), (1 << 29, 1 << 29))
        self.assertEqual(set(self.m.values), {NO_READING})
        self.assertEqual(list(self.m.cells_mv), [0] * 16)
        self.assertEqual((self.m.dt_ms, self.m.doubts, self.m.failed_row, self.m.failed_all,
                          self.m.safety, self.m.battery, self.m.fets), (0, 0, 0, 0, 0, 0, 0))
        self.assertFalse(self.m.frozen)

    def test_a_scan_is_numbered_and_timed(self):                # req: MEA-05
        self.m.take(scan_regs(), 1000)
        self.assertEqual((self.m.seq, self.m.dt_ms), (1, 0))
        self.m.take(scan_regs(), 1103)
        self.assertEqual((self.m.seq, self.m.dt_ms), (2, 103))
        self.assertEqual(self.m.age_ms(1110), 7)

    def test_usable_for_three_periods(self):                    # req: MEA-05
        self.m.take(scan_regs(), 1000)
        for now, usable in ((1000, True), (1299, True), (1300, True), (1301, False),
                            (1_000_000, False)):
            self.assertEqual(self.m.is_usable(now), usable, now)

    def test_an_age_of_days_is_an_age(self):                    # req: MEA-05
        self.m.take(scan_regs(), 1000)
        for age_ms in (1 << 29, (1 << 29) + 100, WRAP - 1):
            self.assertEqual(self.m.age_ms((1000 + age_ms) % WRAP), age_ms)
            self.assertFalse(self.m.is_usable((1000 + age_ms) % WRAP))

    def test_times_cross_the_wrap(self):                        # req: MEA-05
        self.m.take(scan_regs(), WRAP - 50)
        self.m.take(scan_regs(), 50)
        self.assertEqual((self.m.dt_ms, self.m.age_ms(60)), (100, 10))
        self.assertTrue(self.m.is_usable(350))
        self.assertFalse(self.m.is_usable(351))

    def test_silence_does_not_become_usable_when_the_ticks_wrap(self):  # req: MEA-05
        self.m.take(scan_regs(), 1000)
        for _ in range(4):
            self.m.fail()
        self.assertFalse(self.m.is_usable(1000))        # 12.4 days later
        self.m.take(scan_regs(), 1100)
        self.assertTrue(self.m.is_usable(1100))

    def test_values_of_every_kind(self):                        # req: MEA-01
        regs = scan_regs(cell_mv=3312, current_ma=-20_500, temp_dc=231)
        regs[0x03], regs[0x05], regs[0x07] = 0x08, 0x10, 0x02
        regs[0x12], regs[0x13] = 0x08, 0x02
        regs[0x7F] = 0x05
        self.m.take(regs, 0)
        self.assertEqual(list(self.m.cells_mv), [3312] * 16)
        self.assertEqual(self.m.values[rd.CURRENT_MA], -20_500)
        self.assertEqual(self.m.values[rd.TEMP_DC + 2], 231)
        self.assertEqual(self.m.values[rd.AMBIENT_DC], 250)
        self.assertEqual((self.m.safety, self.m.battery, self.m.fets), (0x021008, 0x0208, 0x05))
        self.assertEqual(self.m.doubts, 0)

    def test_a_broken_ambient_sensor_is_doubted(self):          # req: MEA-03
        # an open thermistor reads below -45 degC, a shorted one above 130 degC; 0.1 K
        for reading, doubt in ((2281, 0), (2280, rd.NTC_OPEN), (0, rd.NTC_OPEN),
                               (4031, 0), (4032, rd.NTC_SHORT), (0x7FFF, rd.NTC_SHORT)):
            regs = scan_regs()
            put16(regs, 0x6E, reading)
            self.m.take(regs, 0)
            self.assertEqual(self.m.doubts, doubt, reading)
            self.assertEqual(self.m.values[rd.AMBIENT_DC],
                             NO_READING if doubt else reading - 2731, reading)

    def test_plausibility_limits_come_from_the_parameters(self):    # req: MEA-03
        regs = scan_regs(stack_mv=52_400)
        self.m.take(regs, 0)
        self.assertEqual(self.m.doubts, 0)
        self.setUp()                    # what was learnt from the first scan is no error any more
        self.params.set("cell_sum_error_mv", 399)
        self.m.take(regs, 100)
        self.assertEqual(self.m.doubts, rd.SUM_IMPLAUSIBLE)
        self.setUp()
        self.params.set("cell_sum_error_mv", 400)
        self.params.set("cell_high_limit_mv", 4300)
        regs = scan_regs()
        set_cells(regs, 4300)
        self.m.take(regs, 200)
        self.assertEqual(self.m.doubts, rd.CELL_IMPLAUSIBLE)


    def test_every_doubtful_limit_is_a_parameter(self):         # req: MEA-03 PAR-01
        # a cell at or below the low limit; neighbours so far off the average, opposite ways
        for name, value, cells_mv, doubt in (
                ("cell_low_limit_mv", 899, (900,), 0),
                ("cell_low_limit_mv", 900, (900,), rd.CELL_IMPLAUSIBLE),
                ("open_wire_mv", 300, (3300, 3600, 3000), rd.WIRE_OPEN),
                ("open_wire_mv", 301, (3300, 3600, 3000), 0)):
            self.setUp()
            self.params.set(name, value)
            regs = scan_regs()
            set_cells(regs, *cells_mv)
            self.m.take(regs, 0)
            self.assertEqual(self.m.doubts, doubt, repr((name, value)))

    def test_parameters_are_taken_over_when_they_change(self):  # req: PAR-01
        class Counted(Parameters):
            asked = 0

            def __getitem__(self, name):
                self.asked += 1
                return Parameters.__getitem__(self, name)
        params = Counted()
        measured = Measurements(params, 16, 100)
        measured.take(scan_regs(), 0)
        asked = params.asked
        measured.take(scan_regs(), 100)
        self.assertEqual(params.asked, asked)
        params.set("cal_current_offset_ma", 7)
        measured.take(scan_regs(), 200)
        self.assertTrue(params.asked > asked)
        self.assertEqual(measured.values[rd.CURRENT_MA], -7)


class TestCalibration(TestCase):
    """MEA-04: gains in ppm, offsets subtracted, each to its own channel."""

    def taken(self, regs, **changes):
        for name in changes:
            self.params.set(name, changes[name])
        self.m.take(regs, 0)
        return self.m

    def test_each_cell_has_its_own_offset(self):                # req: MEA-04
        for cell in range(16):
            self.setUp()
            measured = self.taken(scan_regs(), **{"cal_cell%d_offset_mv" % cell: 5})
            self.assertEqual([3300 - value for value in measured.cells_mv],
                             [5 if i == cell else 0 for i in range(16)])

    def test_each_cell_has_its_own_gain(self):                  # req: MEA-04
        # 4 000 ppm of 3300 mV; in 32768ths, rounded: 131, that is 13.19 mV
        for cell in range(16):
            self.setUp()
            measured = self.taken(scan_regs(), **{"cal_cell%d_gain_ppm" % cell: 4_000})
            self.assertEqual([value - 3300 for value in measured.cells_mv],
                             [13 if i == cell else 0 for i in range(16)])

    def test_gains_are_rounded_to_the_nearest_32768th(self):    # req: MEA-04
        # 30 000 ppm: 983.04 of 32768; 15 259 ppm: 500.007; -15 ppm: -0.49; 45 and 46: 1.47, 1.51
        for ppm, current_ma in ((30_000, 327_670 + (327_670 * 983 >> 15)),
                                (15_259, 327_670 + 4999), (15_228, 327_670 + 4989),
                                (-15, 327_670), (-16, 327_660), (15, 327_670), (16, 327_679),
                                (45, 327_679), (46, 327_689), (-30_000, 327_670 - 9830)):
            self.setUp()
            measured = self.taken(scan_regs(current_ma=327_670), cal_current_gain_ppm=ppm)
            self.assertEqual(measured.values[rd.CURRENT_MA], current_ma, ppm)

    def test_every_gain_that_may_be_set(self):                  # req: MEA-04
        # to the nearest: no 32768th further off than a half
        for ppm in range(-30_000, 30_001, 13):
            off = measurements.share(ppm) * 1_000_000 - ppm * 32_768
            self.assertTrue(-500_000 <= off <= 500_000, ppm)

    def test_the_current_offset(self):                          # req: MEA-04
        measured = self.taken(scan_regs(current_ma=-5000), cal_current_offset_ma=120)
        self.assertEqual(measured.values[rd.CURRENT_MA], -5120)

    def test_each_thermistor_has_its_own_offset(self):          # req: MEA-04
        slots = (rd.TEMP_DC, rd.TEMP_DC + 1, rd.TEMP_DC + 2, rd.TEMP_DC + 3, rd.MOS_DC,
                 rd.AMBIENT_DC)
        self.m.take(scan_regs(), 0)
        before = [self.m.values[slot] for slot in slots]
        for sensor in range(6):
            self.setUp()
            measured = self.taken(scan_regs(), **{"cal_temp%d_offset_dc" % sensor: 20})
            self.assertEqual([before[i] - measured.values[slots[i]] for i in range(6)],
                             [20 if i == sensor else 0 for i in range(6)])


    def test_stack_terminals_and_load_detect_have_their_own(self):     # req: MEA-04
        slots = {"stack": rd.STACK_MV, "pack": rd.PACK_MV, "ld": rd.LD_MV}
        regs = scan_regs()
        put16(regs, 0x38, 5000)             # LD, 10 mV
        self.m.take(regs, 0)
        before = {name: self.m.values[slot] for name, slot in slots.items()}
        for gain, offset in ((0, 500), (0, -500), (10_000, 0), (-10_000, 100), (30_000, 100)):
            for name in slots:
                self.setUp()
                measured = self.taken(regs, **{"cal_%s_gain_ppm" % name: gain,
                                               "cal_%s_offset_mv" % name: offset})
                for other, slot in slots.items():
                    wanted = before[other]
                    if other == name:
                        share = round(gain * 32_768 / 1_000_000)
                        wanted += (wanted * share >> 15) - offset
                    self.assertEqual(measured.values[slot], wanted, (name, other, gain, offset))

    def test_an_adjusted_stack_is_what_the_sum_is_compared_with(self):  # req: MEA-03 MEA-04
        regs = scan_regs(stack_mv=52_800 + 1000)
        self.m.take(regs, 0)
        self.assertTrue(self.m.doubts & rd.SUM_IMPLAUSIBLE)
        self.setUp()
        self.assertEqual(self.taken(regs, cal_stack_offset_mv=1000).doubts, 0)


class TestFail(TestCase):
    def test_failed_scans_are_counted_and_change_nothing(self):     # req: MEA-02
        self.m.take(scan_regs(cell_mv=3312), 1000)
        values = list(self.m.values)
        self.m.fail()
        self.m.fail()
        self.assertEqual((self.m.failed_row, self.m.failed_all, self.m.seq), (2, 2, 1))
        self.assertEqual(list(self.m.values), values)
        self.m.take(scan_regs(), 1300)
        self.assertEqual((self.m.failed_row, self.m.failed_all, self.m.seq), (0, 2, 2))

    def test_the_time_of_failed_scans_is_not_lost(self):        # req: PRO-21
        self.m.take(scan_regs(), 1000)
        self.m.fail()
        self.m.take(scan_regs(), 1200)
        self.assertEqual(self.m.dt_ms, 200)


if __name__ == "__main__":
    unittest.main()
