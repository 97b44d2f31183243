"""Limits told to the inverter: curves, slew, reasons, and 0 before a protection acts."""

import unittest

from bms.words import readings as rd
from bms.limits.derating import interpolate, shift_of
from bms.limits.reasons import OTHERS, reasons_of, text_of
from bms.pack import Pack
from bms.words.parameters import Parameters
from bms.words.rules import ITEMS
from fakes import LATE, WRAP, put16, scan_regs, set_cells
from profiles import am5000, b1_5_1_48

CHARGE, DISCHARGE, BOTH = 1, 2, 3


def bit(item):
    for i in range(len(ITEMS)):
        if ITEMS[i][0] == item:
            return 1 << i
    raise AssertionError("no row is called " + item)


class Case(unittest.TestCase):
    """A healthy pack whose allowance is not in question: nominal 50 A and no more."""

    profile = am5000
    nominal_ma = 50_000

    def setUp(self):
        self.params = Parameters(self.profile.DEFAULTS)
        self.params.set("boost_ma", 5000)
        self.pack = Pack(self.profile, self.params, 100)
        self.pack.afe_ready = True
        self.now = LATE
        self.ld = 0
        self.settle(scan_regs())

    def scan(self, regs, dt_ms=100):
        self.now = (self.now + dt_ms) % WRAP
        self.ld ^= 1
        put16(regs, 0x38, self.ld)          # something always moves
        fets = self.pack.fets
        fets.commanded(self.pack.allowed())
        regs[0x7F] = (fets.wanted & CHARGE) | (fets.wanted & DISCHARGE) << 1
        fets.read_back(regs[0x7F], 0, 100)
        self.pack.measurements.take(regs, self.now)
        self.pack.step(self.now, True)
        return self.pack.ccl_ma, self.pack.dcl_ma

    def settle(self, regs, ms=40_000):
        """Long enough for the slew of 2 A/s from anywhere."""
        for _ in range(ms // 5000):
            self.scan(regs, 5000)
        return self.pack.ccl_ma, self.pack.dcl_ma


def warm(temp_dc):
    """Every thermistor of the cells at *temp_dc*."""
    regs = scan_regs()
    for reg in (0x70, 0x72, 0x74, 0x78):
        put16(regs, reg, temp_dc + 2731)
    return regs


class TestNominal(Case):
    def test_a_healthy_pack_gives_its_nominal_current(self):    # req: DER-03 PRF-01
        self.assertEqual((self.pack.ccl_ma, self.pack.dcl_ma), (50_000, 50_000))
        self.assertEqual(self.pack.derating.reasons, 0)
        self.assertIn("no limit is below nominal", text_of(self.full()))

    def full(self):
        """A pack with its allowance."""
        self.params.set("boost_ma", 100_000)
        self.settle(scan_regs())
        return self.pack

    def test_the_allowance_gives_100_amperes(self):             # req: DER-03
        self.full()
        self.assertEqual((self.pack.ccl_ma, self.pack.dcl_ma), (100_000, 100_000))

    def test_from_start_the_limits_rise_by_2_amperes_a_second(self):    # req: DER-01
        self.pack = Pack(am5000, self.params, 100)
        self.pack.afe_ready = True
        before = (0, 0)
        for _ in range(300):
            now = self.scan(scan_regs())
            for i in range(2):
                self.assertTrue(0 <= now[i] - before[i] <= 200)
            before = now
        self.assertEqual(before, (50_000, 50_000))


class TestAim(Case):
    """Where the limits settle. (what, registers, lowest and highest CCL, DCL)"""

    def check(self, rows):
        for what, regs, ccl, dcl in rows:
            self.setUp()
            now = self.settle(regs)
            for value, allowed, name in ((now[0], ccl, "CCL"), (now[1], dcl, "DCL")):
                low, high = allowed if isinstance(allowed, tuple) else (allowed, allowed)
                self.assertTrue(low <= value <= high, "%s: %s %d" % (what, name, value))

    def test_charge_falls_towards_full_cells(self):             # req: DER-01
        rows = []
        for cell_mv, ccl in ((3300, 50_000), (3400, 50_000), (3401, (49_000, 49_999)),
                             (3450, (20_000, 45_000)), (3499, (5_000, 15_000)),
                             (3500, (5_000, 15_000)), (3559, (0, 2_000)), (3560, 0), (3599, 0)):
            regs = scan_regs()
            set_cells(regs, 3300, cell_mv)
            rows.append(("cell %d" % cell_mv, regs, ccl, 50_000))
        self.check(rows)

    def test_discharge_falls_towards_empty_cells(self):         # req: DER-01
        rows = []
        for cell_mv, dcl in ((3001, 50_000), (3000, 50_000), (2999, (49_000, 49_999)),
                             (2900, (12_000, 45_000)), (2850, (5_000, 15_000)),
                             (2801, (1_000, 15_000)), (2750, 0), (2701, 0)):
            regs = scan_regs()
            set_cells(regs, 3300, cell_mv)
            ccl = 50_000 if cell_mv > 2900 else 5_000       # PRO-29
            rows.append(("cell %d" % cell_mv, regs, ccl, dcl))
        self.check(rows)

    def test_both_follow_the_pack_voltage(self):                # req: DER-01
        rows = []
        for cell_mv, ccl, dcl in ((3000, 50_000, 50_000), (2995, 50_000, (40_000, 49_900)),
                                  (2781, 5_000, (0, 5_000))):       # PRO-29: up to 2.9 V
            regs = scan_regs()
            set_cells(regs, *[cell_mv] * 16)
            rows.append(("pack %d" % (16 * cell_mv), regs, ccl, dcl))
        self.check(rows)

    def test_temperature(self):                                 # req: DER-02
        rows = []
        for temp_dc, ccl, dcl in (
                (250, 50_000, 50_000), (500, 50_000, 50_000),
                (501, (48_000, 49_999), (48_000, 49_999)), (530, (20_000, 30_000),
                                                            (20_000, 30_000)),
                (560, 0, 0), (579, 0, 0),
                (150, 50_000, 50_000), (149, (49_000, 49_999), 50_000), (100, (5_000, 45_000),
                                                                         50_000),
                (60, (2_500, 10_000), 50_000), (53, (2_000, 3_000), 50_000), (51, 0, 50_000),
                (-149, 0, 50_000), (-150, 0, 50_000), (-151, 0, (45_000, 49_999)),
                (-180, 0, (1_000, 30_000)), (-190, 0, 0), (-199, 0, 0)):
            rows.append(("%d dC" % temp_dc, warm(temp_dc), ccl, dcl))
        self.check(rows)

    def test_one_cell_sensor_is_enough(self):                   # req: DER-02
        hot = scan_regs()
        put16(hot, 0x78, 560 + 2731)
        cold = scan_regs()
        put16(cold, 0x70, 51 + 2731)
        self.check((("hot", hot, 0, 0), ("cold", cold, 0, 50_000)))

    def test_mosfets(self):                                     # req: DER-01
        rows = []
        for temp_dc, limit in ((850, 50_000), (851, (49_000, 49_999)), (1000, 0), (1049, 0)):
            regs = scan_regs()
            put16(regs, 0x7A, temp_dc + 2731)
            rows.append(("MOSFET %d" % temp_dc, regs, limit, limit))
        self.check(rows)

    def test_the_lowest_of_several_counts(self):                # req: DER-01 DER-02
        regs = warm(530)
        set_cells(regs, 3300, 3560)
        self.check((("hot and full", regs, 0, (20_000, 30_000)),))


class TestProfileB1(Case):
    profile = b1_5_1_48

    def setUp(self):
        super().setUp()
        self.pack.soc.remaining_mah = 50_000
        self.pack.soc.cpct = 5000

    def test_60_amperes_falling_above_45_degrees(self):         # req: DER-04
        for temp_dc, low, high in ((250, 60_000, 60_000), (450, 60_000, 60_000),
                                   (451, 55_000, 59_999), (470, 20_000, 40_000), (490, 0, 0)):
            self.setUp()
            ccl, dcl = self.settle(warm(temp_dc))
            self.assertTrue(low <= ccl <= high, temp_dc)
            self.assertTrue(low <= dcl <= high, temp_dc)

    def test_discharge_stops_at_10_percent(self):               # req: DER-04 PRF-02
        for cpct, low, high in ((1200, 60_000, 60_000), (1199, 50_000, 59_999),
                                (1001, 1, 3_000), (1000, 0, 0), (0, 0, 0)):
            self.setUp()
            self.pack.soc.remaining_mah = cpct * 10
            self.pack.soc.cpct = cpct
            ccl, dcl = self.settle(scan_regs())
            self.assertTrue(low <= dcl <= high, "%d %d" % (cpct, dcl))
            self.assertEqual(ccl, 60_000)


class TestSlew(Case):
    def test_down_and_up_at_2_amperes_a_second(self):           # req: DER-01
        full = scan_regs()
        set_cells(full, 3300, 3560)
        for dt_ms, most in ((100, 200), (150, 300), (1000, 2000)):
            self.setUp()
            before = self.pack.ccl_ma
            seconds_ms = 0
            while self.pack.ccl_ma:
                ccl, _ = self.scan(full, dt_ms)
                seconds_ms += dt_ms
                self.assertTrue(0 <= before - ccl <= most, "%d %d" % (dt_ms, before - ccl))
                before = ccl
                self.assertTrue(seconds_ms < 30_000)
            self.assertTrue(24_000 <= seconds_ms <= 30_000, seconds_ms)
            while self.pack.ccl_ma < 50_000:
                ccl, _ = self.scan(scan_regs(), dt_ms)
                self.assertTrue(0 <= ccl - before <= most)
                before = ccl
                seconds_ms += dt_ms
                self.assertTrue(seconds_ms < 60_000)

    def test_the_ramp_to_full_reaches_0_before_the_protection(self):    # req: DER-01 COM-05
        # 3.40 to 3.60 V on the highest cell, slowly and fast
        for mv_a_second in (2, 20, 100):
            self.setUp()
            before = self.pack.ccl_ma
            t_ms = 0
            zero_at = None
            while not self.pack.protection.trips:
                regs = scan_regs()
                cell_mv = min(3600, 3400 + mv_a_second * t_ms // 1000)
                set_cells(regs, 3380, 3390, cell_mv)
                put16(regs, 0x3A, 2000)                         # a charger that goes on: 20 A
                ccl, _ = self.scan(regs, 500)
                t_ms += 500
                self.assertTrue(before - ccl <= 1000 or ccl == 0, "%d" % (before - ccl))
                self.assertTrue(ccl <= before)
                if not ccl and zero_at is None:
                    zero_at = t_ms
                    self.assertTrue(cell_mv >= 3500)
                if cell_mv <= 3450:
                    self.assertTrue(ccl > 0)
                before = ccl
                self.assertTrue(t_ms < 300_000)
            self.assertEqual(self.pack.protection.trips, bit("PRO-01"))
            self.assertTrue(zero_at <= t_ms - 3000, "%d %d" % (zero_at, t_ms))

    def test_a_slow_ramp_has_no_step_at_its_end(self):          # req: DER-01
        # slow enough for the slew: it goes down to 0 without the jump of a timer
        before = self.pack.ccl_ma
        for t in range(200):
            regs = scan_regs()
            set_cells(regs, 3380, 3400 + t)
            ccl, _ = self.scan(regs, 2000)
            self.assertTrue(0 <= before - ccl <= 4000)
            before = ccl
        self.assertEqual((before, self.pack.protection.trips), (0, 0))

    def test_no_oscillation_around_a_threshold(self):           # req: DER-01
        # a cell that wanders by 2 mV: the limit wanders by less than a percent a millivolt
        low, high = scan_regs(), scan_regs()
        set_cells(low, 3300, 3448)
        set_cells(high, 3300, 3450)
        self.settle(low)
        first = self.pack.ccl_ma
        for _ in range(50):
            for regs in (low, high):
                ccl, _ = self.scan(regs)
                self.assertTrue(abs(ccl - first) <= 1_000)


class TestZero(Case):
    def test_0_as_soon_as_a_timer_runs(self):                   # req: COM-05
        # beyond a threshold, long before its delay is over
        for cells, ccl, dcl in (((3300, 3600), 0, None), ((3300, 2700), None, 0),
                                ((3600, 3300, 3300, 2700), 0, 0)):
            self.setUp()
            regs = scan_regs()
            set_cells(regs, *cells)
            now = self.scan(regs)
            self.assertEqual(self.pack.protection.trips, 0)
            if ccl is not None:
                self.assertEqual(now[0], 0)
            else:
                self.assertTrue(now[0] >= 49_800)
            if dcl is not None:
                self.assertEqual(now[1], 0)
            else:
                self.assertTrue(now[1] >= 49_800)

    def test_0_while_a_fet_is_held_off(self):                   # req: COM-05
        regs = scan_regs()
        set_cells(regs, 3300, 2700)
        self.scan(regs)
        self.scan(regs, 3000)
        self.assertEqual(self.pack.allowed(), CHARGE)
        for _ in range(20):
            ccl, dcl = self.scan(regs)
            self.assertEqual(dcl, 0)
        self.assertTrue(40_000 < ccl <= 46_000)     # on its way to the 5 A of PRO-29

    def test_0_in_fail_and_before_the_afe_is_ready(self):       # req: COM-05 SAF-02
        for spoil in ("fault", "afe", "silence"):
            self.setUp()
            if spoil == "fault":
                self.pack.set_fault(0x20, True)
                self.scan(scan_regs())
            elif spoil == "afe":
                self.pack.afe_ready = False
                self.pack.step(self.now, False)
            else:
                for _ in range(5):
                    self.pack.measurements.fail()
                    self.pack.step(self.now, False)
            self.assertEqual((self.pack.ccl_ma, self.pack.dcl_ma), (0, 0), spoil)
            self.assertEqual(self.pack.allowed(), 0, spoil)

    def test_they_come_back_with_the_slew(self):                # req: DER-01
        regs = scan_regs()
        set_cells(regs, 3600)
        self.scan(regs)
        self.assertEqual(self.pack.ccl_ma, 0)
        ccl, _ = self.scan(scan_regs())
        self.assertTrue(ccl <= 200)

    def test_no_reading_lowers_the_limit(self):                 # req: DER-05 MEA-03
        regs = scan_regs()
        put16(regs, 0x34, 4500)                                 # the stack contradicts the sum
        for _ in range(9):
            self.scan(regs)
        self.assertTrue(self.pack.ccl_ma < 50_000)
        self.assertTrue(self.pack.dcl_ma < 50_000)


class TestSettings(Case):
    """Curves of a profile keep ahead of protections that are set tighter."""

    def check(self, values, regs, limits):
        self.setUp()
        self.params.set_all(values)
        self.assertEqual(self.settle(regs), limits, values)

    def test_zero_before_a_protection_that_was_moved(self):     # req: DER-01 DER-02
        high, low = scan_regs(), scan_regs()
        set_cells(high, 3300, 3460)
        set_cells(low, 3300, 2801)
        for values, regs, charge, discharge in (
                ({"cell_ov_alarm_mv": 3450, "cell_ov_trip_mv": 3500}, high, 0, 50_000),
                ({"cell_ov_alarm_mv": 3400}, high, 0, 50_000),
                ({"cell_uv_alarm_mv": 2950, "cell_uv_trip_mv": 2800}, low, 5_000, 0),
                ({"chg_ot_alarm_dc": 350, "chg_ot_trip_dc": 400, "chg_ot_release_dc": 350},
                 warm(399), 0, 50_000),
                ({"chg_ut_alarm_dc": 150, "chg_ut_trip_dc": 120, "chg_ut_release_dc": 150},
                 warm(121), 0, 50_000)):
            self.check(values, regs, (charge, discharge))

    def test_never_looser_than_the_profile(self):               # req: DER-01 DER-02
        regs = scan_regs()
        set_cells(regs, 3300, 3560)
        self.check({"cell_ov_alarm_mv": 3650, "cell_ov_trip_mv": 3700}, regs, (0, 50_000))
        self.check({"chg_ot_trip_dc": 600, "chg_ot_alarm_dc": 590}, warm(560), (0, 0))

    def test_a_curve_moves_by_as_much(self):                    # req: DER-01
        for name, value, shift in (("cell_ov_alarm_mv", 3499, -1), ("cell_ov_alarm_mv", 3501, 0),
                                   ("cell_ov_trip_mv", 3599, -1), ("cell_ov_trip_mv", 3601, 0)):
            params = Parameters()
            params.set(name, value)
            self.assertEqual(shift_of("PRO-01 highest cell", params), shift, (name, value))
            params.set("cell_uv_alarm_mv", 2801)
            self.assertEqual(shift_of("PRO-02 lowest cell", params), 1)
            params.set("cell_uv_trip_mv", 2699)
            self.assertEqual(shift_of("PRO-02 lowest cell", params), 1)
        self.assertEqual(shift_of("DER-04 SOC at 10 %", Parameters()), 0)

    def test_in_a_fleet_a_limit_of_0_jumps_to_its_target(self):     # req: COM-03 DER-01
        derating = self.pack.derating
        derating.stop()
        derating.step(True, False, 100, True)
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (50_000, 0))
        derating.step(False, True, 100, True)
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (0, 50_000))
        derating.aim(self.pack.measurements.values, 60_000)
        derating.step(True, True, 100, True)                    # from 0, and no further
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (60_000, 50_200))
        derating.stop()
        derating.step(True, True, 100)
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (200, 200))

    def test_curves_go_back_with_the_settings(self):            # req: DER-01
        regs = scan_regs()
        set_cells(regs, 3300, 3400)
        self.check({"cell_ov_alarm_mv": 3350, "cell_ov_trip_mv": 3420}, regs, (0, 50_000))
        self.params.set_all({"cell_ov_alarm_mv": 3500, "cell_ov_trip_mv": 3600})
        self.assertEqual(self.settle(regs, 80_000), (50_000, 50_000))


class TestReasons(Case):
    def text(self, regs):
        self.settle(regs)
        return text_of(self.pack)

    def test_each_reason_names_item_and_value(self):            # req: DER-05
        full, empty = scan_regs(), scan_regs()
        set_cells(full, 3300, 3451)
        set_cells(empty, 3300, 2951)
        mosfet = scan_regs()
        put16(mosfet, 0x7A, 901 + 2731)
        for regs, words in ((full, ("CCL: PRO-01 highest cell (cell 1), value 3.451 V",)),
                            (empty, ("DCL: PRO-02 lowest cell (cell 1), value 2.951 V",)),
                            (warm(521), ("CCL: PRO-10 hottest cell (sensor 0), value 52.1 °C",
                                         "DCL: PRO-12 hottest cell (sensor 0), value 52.1 °C")),
                            (warm(99), ("CCL: PRO-09 coldest cell (sensor 0), value 9.9 °C",)),
                            (warm(-161), ("DCL: PRO-11 coldest cell (sensor 0), value -16.1 °C",)),
                            (mosfet, ("CCL: PRO-17 MOSFETs, value 90.1 °C",
                                      "DCL: PRO-17 MOSFETs, value 90.1 °C"))):
            self.setUp()
            text = self.text(regs)
            for line in words:
                self.assertIn(line, text)

    def test_a_limit_at_nominal_has_no_reason(self):            # req: DER-05
        text = self.text(warm(99))
        self.assertFalse("DCL" in text, text)

    def test_a_fet_that_is_held_off_is_a_reason(self):          # req: DER-05
        regs = scan_regs()
        set_cells(regs, 3600)
        self.assertIn("held off: charge", self.text(regs))
        self.assertFalse("discharge" in text_of(self.pack))
        self.setUp()
        regs = scan_regs()
        set_cells(regs, 2700)
        self.assertIn("held off: discharge", self.text(regs))
        self.pack.set_fault(0x20, True)
        self.scan(regs)
        self.assertIn("held off: charge discharge", text_of(self.pack))

    def test_a_used_allowance_is_a_reason(self):                # req: DER-05 DER-03
        self.params.set("boost_ma", 100_000)
        self.assertFalse("allowance" in self.text(scan_regs()))
        for _ in range(180):
            self.pack.allowance.step(100_000, 50_000, 1000)
        self.assertIn("short-time allowance used, 1 uses", self.text(scan_regs()))

    def test_a_limit_that_still_rises_has_a_reason(self):       # req: DER-05
        def others():
            return [OTHERS[i] for i in range(len(OTHERS))
                    if reasons_of(self.pack) >> len(self.profile.CURVES) + i & 1]
        self.pack.derating.stop()
        self.scan(scan_regs())
        self.assertEqual((self.pack.ccl_ma, others()), (200, ["limit still rising"]))
        self.assertIn("still rising: CCL 0.200 A of 50.000 A", text_of(self.pack))
        self.settle(scan_regs())
        self.assertEqual((self.pack.ccl_ma, others()), (50_000, []))

    def test_every_lowered_limit_has_a_reason(self):            # req: DER-05
        full = scan_regs()
        set_cells(full, 3300, 3530)
        for regs in (full, warm(545), warm(80), scan_regs(current_ma=-115_000), scan_regs(),
                     scan_regs(current_ma=115_000), warm(590), scan_regs(), warm(-180)):
            for _ in range(70):
                limits = self.scan(regs)
                if min(limits) < 50_000:
                    self.assertTrue(reasons_of(self.pack), limits)

    def test_no_reading_is_named_so(self):                      # req: DER-05
        regs = scan_regs()
        put16(regs, 0x34, 4500)
        for _ in range(6):
            self.scan(regs)
        self.assertIn("not measured", text_of(self.pack))

    def test_reasons_go_with_their_cause(self):                 # req: DER-05
        self.settle(warm(520))
        self.assertTrue(self.pack.derating.reasons)
        self.settle(warm(250))
        self.assertEqual(self.pack.derating.reasons, 0)


class TestBack(Case):
    """A limit that reached 0 stays 0 until the reading is back (DER-06)."""

    def test_a_full_cell_has_to_come_back_by_60_mv(self):       # req: DER-06
        for back_mv, limit_ma in ((3559, 0), (3520, 0), (3501, 0), (3500, 0), (3499, 12_800)):
            self.setUp()
            regs = scan_regs()
            for cell_mv in (3560, back_mv):
                set_cells(regs, 3300, cell_mv)
                ccl, dcl = self.settle(regs)
            self.assertEqual((ccl // 100 * 100, dcl), (limit_ma, 50_000), back_mv)

    def test_on_the_way_to_0_the_limit_is_continuous(self):     # req: DER-06 DER-01
        regs = scan_regs()
        for cell_mv in range(3500, 3560):
            set_cells(regs, 3300, cell_mv)
            self.assertTrue(self.settle(regs)[0] > 0, cell_mv)

    def test_noise_of_a_slow_reading_neither_ends_a_limit_nor_moves_it(self):  # req: DER-06 DER-02
        self.settle(warm(60), 600_000)
        told = []
        for i in range(400):                        # 0.3 degrees above the 0, of one scan each
            self.scan(warm(54 + (-3, 3, 0, 2, -3, 1, 3, -2, 0, 1, -3)[i % 11]), 100)
            told.append(self.pack.ccl_ma)
        self.assertTrue(min(told[100:]) >= 1000, told)
        self.assertTrue(max(told[200:]) - min(told[200:]) <= 4000, told)

    def test_temperatures_and_empty_cells_too(self):            # req: DER-06 DER-02
        for at_0, near, back, i in ((warm(560), warm(541), warm(539), 0),
                                    (warm(560), warm(541), warm(539), 1),
                                    (warm(51), warm(70), warm(72), 0),
                                    (warm(-190), warm(-171), warm(-169), 1)):
            self.setUp()
            # the mean of a slow reading has come to it after some seconds
            told = [self.settle(regs, 600_000)[i] for regs in (at_0, near, back)]
            self.assertEqual(told[:2], [0, 0])
            self.assertTrue(told[2] >= 1000, told)
        self.setUp()
        regs = scan_regs()
        told = []
        for cell_mv in (2750, 2849, 2851):
            set_cells(regs, 3300, cell_mv)
            told.append(self.settle(regs)[1])
        self.assertEqual(told[:2], [0, 0])
        self.assertTrue(told[2] >= 1000)

    def test_charging_is_offered_down_to_5_3_degrees(self):     # req: DER-02
        for temp_dc in (80, 60, 53):
            self.assertTrue(self.settle(warm(temp_dc))[0] >= 2000, temp_dc)
        self.assertEqual(self.settle(warm(50))[0], 0)

    def test_min_soc_ends_the_discharge_limit(self):            # req: PRF-01
        soc = self.pack.soc
        soc.is_set = True
        for least, cpct, allowed_ma in ((0, 50, 50_000), (500, 701, 50_000), (500, 600, 25_000),
                                        (500, 500, 0), (500, 599, 0), (500, 600, 25_000)):
            self.params.set("min_soc_cpct", least)
            soc.cpct = cpct
            self.assertEqual(self.settle(scan_regs(), 150_000)[1], allowed_ma, (least, cpct))

    def test_less_than_an_ampere_is_no_way_back(self):          # req: DER-06
        derating = self.pack.derating
        values = self.pack.measurements.values
        for slot, value in ((rd.MAX_CELL_MV, 3560), (rd.MAX_CELL_MV, 3490)):
            values[slot] = value
            derating.aim(values, 3000)          # 3 A: 25 % and a little is less than 1 A
        self.assertEqual(derating.charge_target_ma, 0)
        values[rd.MAX_CELL_MV] = 3470
        derating.aim(values, 3000)
        self.assertTrue(derating.charge_target_ma >= 1000)

    def test_an_inverter_that_follows_late_makes_nothing_chatter(self):     # req: DER-06
        # a cell of 2 mOhm with what is behind it, filled within an hour; the inverter obeys the
        # limit of some seconds ago, or its voltage is off and it pushes on at 2 A until it is 0
        for late_s, least_ma in ((0, 0), (10, 0), (30, 0), (10, 2_000)):
            self.setUp()
            told = [0] * (late_s + 1)
            regs = scan_regs()
            ocv_mv = 3480_000
            returns = 0
            current_ma = 0
            for _ in range(3600):
                ocv_mv += current_ma // 2000
                set_cells(regs, 3400, (ocv_mv + current_ma * 2) // 1000)
                ccl, _ = self.scan(regs, 1000)
                if ccl and not told[-1]:
                    returns += 1
                told.append(ccl)
                current_ma = max(told.pop(0), least_ma if ccl else 0)
            self.assertTrue(returns <= 4, (late_s, least_ma, returns))


class TestCurve(unittest.TestCase):
    def test_between_and_beyond_its_points(self):               # req: DER-01
        points = ((100, 1000), (200, 500), (300, 0))
        for value, expected in ((-1000, 1000), (99, 1000), (100, 1000), (101, 995), (150, 750),
                                (199, 505), (200, 500), (201, 495), (299, 5), (300, 0), (9999, 0)):
            self.assertEqual(interpolate(points, value), expected, value)

    def test_rising(self):                                      # req: DER-01
        points = ((-190, 0), (-150, 1000))
        for value, expected in ((-191, 0), (-190, 0), (-189, 25), (-170, 500), (-151, 975),
                                (-150, 1000), (0, 1000)):
            self.assertEqual(interpolate(points, value), expected, value)


if __name__ == "__main__":
    unittest.main()
