"""Profiles are data: the numbers of both documents, and what a contradictory one is answered."""

import unittest

from bms.words import readings as rd
from bms.limits.derating import CHARGE_LIMIT, DISCHARGE_LIMIT, interpolate
from bms.words.parameters import RULES, TABLE, Parameters, check_profile
from fakes import reason
from profiles import am5000, b1_5_1_48

PROFILES = (am5000, b1_5_1_48)

# AM5000 specification, chapters 2.2 and 3, with the additions of section 3 of the specification
AM5000 = {
    "cell_ov_alarm_mv": 3500, "cell_ov_trip_mv": 3600, "cell_ov_release_mv": 3300,
    "cell_ov_delay_ms": 3000, "ov_release_soc_cpct": 9600,
    "cell_uv_alarm_mv": 2800, "cell_uv_trip_mv": 2700, "cell_uv_release_mv": 3300,
    "cell_uv_delay_ms": 3000,
    "pack_ov_alarm_mv": 56_800, "pack_ov_trip_mv": 57_600, "pack_ov_release_mv": 54_000,
    "pack_ov_delay_ms": 3000,
    "pack_uv_alarm_mv": 45_600, "pack_uv_trip_mv": 44_000, "pack_uv_release_mv": 48_000,
    "pack_uv_delay_ms": 3000,
    "chg_oc_alarm_ma": 105_000, "chg_oc_trip_ma": 110_000, "chg_oc_delay_ms": 3000,
    "dsg_oc1_alarm_ma": 105_000, "dsg_oc1_trip_ma": 110_000, "dsg_oc1_delay_ms": 3000,
    "dsg_oc2_trip_ma": 150_000, "dsg_oc2_delay_ms": 100,
    "oc_release_ms": 60_000, "oc_lock_trips": 10, "in_a_row_forget_s": 600,
    "other_way_ma": 1000,
    "chg_ut_alarm_dc": 80, "chg_ut_trip_dc": 50, "chg_ut_release_dc": 80,
    "chg_ot_alarm_dc": 520, "chg_ot_trip_dc": 580, "chg_ot_release_dc": 530,
    "dsg_ut_alarm_dc": -150, "dsg_ut_trip_dc": -200, "dsg_ut_release_dc": -100,
    "dsg_ot_alarm_dc": 520, "dsg_ot_trip_dc": 580, "dsg_ot_release_dc": 530,
    "env_ut_alarm_dc": -150, "env_ut_trip_dc": -200, "env_ut_release_dc": -150,
    "env_ot_alarm_dc": 650, "env_ot_trip_dc": 750, "env_ot_release_dc": 650,
    "mos_ot_alarm_dc": 900, "mos_ot_trip_dc": 1050, "mos_ot_release_dc": 850,
    "temp_delay_ms": 3000,
    "low_soc_cpct": 300, "low_soc_delay_ms": 3000,
    "cell_diff_alarm_mv": 300, "cell_diff_clear_mv": 250, "cell_diff_delay_ms": 10_000,
    "limiter_enable": 1, "limiter_on_ma": 100_000, "limiter_on_s": 120, "limiter_detections": 10,
    "nominal_ma": 50_000, "boost_ma": 100_000, "boost_s": 180, "boost_uses": 5,
    "boost_pause_s": 86_400,
    "failed_scans": 5,
}
# AS1 user manual 2.3: 42-58.4 V, 60 A, 0-50 degC
B1 = {
    "pack_ov_trip_mv": 58_400, "pack_uv_trip_mv": 42_000,
    "nominal_ma": 60_000, "boost_ma": 60_000,
    "chg_ut_trip_dc": 0, "dsg_ut_trip_dc": 0, "chg_ot_trip_dc": 500, "dsg_ot_trip_dc": 500,
}


class TestNumbers(unittest.TestCase):
    def test_am5000(self):                                      # req: PRF-01
        self.assertEqual((am5000.NAME, am5000.CELLS, am5000.CAPACITY_MAH),
                         ("am5000", 16, 100_000))
        params = Parameters(am5000.DEFAULTS)
        for name in sorted(AM5000):
            self.assertEqual(params[name], AM5000[name], name)

    def test_b1(self):                                          # req: PRF-02
        self.assertEqual((b1_5_1_48.NAME, b1_5_1_48.CELLS, b1_5_1_48.CAPACITY_MAH,
                          b1_5_1_48.SLAVES), ("b1-5.1-48", 16, 100_000, 3))
        params = Parameters(b1_5_1_48.DEFAULTS)
        for name in sorted(B1):
            self.assertEqual(params[name], B1[name], name)
        for name, ma in (("warn_chg_ma", 60_000), ("warn_dsg_ma", 60_000),
                         ("dsg_oc1_alarm_ma", 105_000), ("dsg_oc1_trip_ma", 110_000),
                         ("dsg_oc2_trip_ma", 150_000), ("chg_oc_trip_ma", 110_000)):
            self.assertEqual(params[name], ma, name)

    def test_b1_has_the_delays_of_the_table(self):              # req: PRF-02 PRO-21
        params = Parameters(b1_5_1_48.DEFAULTS)
        for name in sorted(AM5000):
            if name.endswith("_delay_ms") or name.startswith("oc_"):
                self.assertEqual(params[name], AM5000[name], name)

    def test_nothing_asked_of_the_charger_reaches_a_protection(self):   # req: PRF-01 COM-05
        for profile in PROFILES:
            params = Parameters(profile.DEFAULTS)
            self.assertTrue(params["cvl_mv"] < params["pack_ov_trip_mv"])
            self.assertTrue(params["cvl_mv"] / profile.CELLS <= params["cell_ov_alarm_mv"] - 20)
            self.assertTrue(params["dvl_mv"] > params["pack_uv_trip_mv"])


class TestCurves(unittest.TestCase):
    """Each curve reaches 0 before the protection that it is named for, and is 1000 in between."""

    # reading: (threshold of protection from above or below, ...) by limit
    TRIPS = {
        (CHARGE_LIMIT, rd.MAX_CELL_MV): ("cell_ov_trip_mv", 1),
        (CHARGE_LIMIT, rd.STACK_MV): ("pack_ov_trip_mv", 1),
        (CHARGE_LIMIT, rd.CELL_SUM_MV): ("pack_ov_trip_mv", 1),
        (DISCHARGE_LIMIT, rd.MIN_CELL_MV): ("cell_uv_trip_mv", -1),
        (DISCHARGE_LIMIT, rd.STACK_MV): ("pack_uv_trip_mv", -1),
        (DISCHARGE_LIMIT, rd.CELL_SUM_MV): ("pack_uv_trip_mv", -1),
        (CHARGE_LIMIT, rd.MAX_TEMP_DC): ("chg_ot_trip_dc", 1),
        (DISCHARGE_LIMIT, rd.MAX_TEMP_DC): ("dsg_ot_trip_dc", 1),
        (CHARGE_LIMIT, rd.MIN_TEMP_DC): ("chg_ut_trip_dc", -1),
        (DISCHARGE_LIMIT, rd.MIN_TEMP_DC): ("dsg_ut_trip_dc", -1),
        (CHARGE_LIMIT, rd.MOS_DC): ("mos_ot_trip_dc", 1),
        (DISCHARGE_LIMIT, rd.MOS_DC): ("mos_ot_trip_dc", 1),
    }

    def test_0_before_the_protection(self):                     # req: DER-01 COM-05 PRF-03
        for profile in PROFILES:
            params = Parameters(profile.DEFAULTS)
            seen = 0
            for limit, reading, points, text in profile.CURVES:
                if (limit, reading) not in self.TRIPS:
                    continue
                name, worse = self.TRIPS[limit, reading]
                where = "%s %s" % (profile.NAME, text)
                self.assertEqual(interpolate(points, params[name] - worse), 0, where)
                self.assertEqual(interpolate(points, params[name]), 0, where)
                seen += 1
            self.assertTrue(seen >= 10, profile.NAME)

    def test_points_rise_and_stay_within_0_and_1000(self):      # req: PRF-03
        for profile in PROFILES:
            for _, _, points, text in profile.CURVES:
                for i in range(len(points)):
                    self.assertTrue(0 <= points[i][1] <= 1000, text)
                    if i:
                        self.assertTrue(points[i - 1][0] < points[i][0], text)
                shares = sorted(share for _, share in points)
                self.assertEqual((shares[0], shares[-1]), (0, 1000), text)

    def test_every_limit_that_the_document_wants_is_there(self):    # req: DER-01 DER-02
        for profile in PROFILES:
            there = [(limit, reading) for limit, reading, _, _ in profile.CURVES]
            for limit, reading in ((CHARGE_LIMIT, rd.MAX_CELL_MV), (CHARGE_LIMIT, rd.MAX_TEMP_DC),
                                   (CHARGE_LIMIT, rd.MIN_TEMP_DC), (CHARGE_LIMIT, rd.MOS_DC),
                                   (DISCHARGE_LIMIT, rd.MIN_CELL_MV),
                                   (DISCHARGE_LIMIT, rd.MAX_TEMP_DC),
                                   (DISCHARGE_LIMIT, rd.MIN_TEMP_DC),
                                   (DISCHARGE_LIMIT, rd.MOS_DC)):
                self.assertTrue((limit, reading) in there, "%s %d %d" % (profile.NAME, limit,
                                                                         reading))

    def test_falling_above_50_degrees(self):                    # req: DER-02
        for limit, reading, points, _ in am5000.CURVES:
            if reading == rd.MAX_TEMP_DC:
                self.assertEqual(interpolate(points, 500), 1000)
                self.assertTrue(interpolate(points, 501) < 1000)
            if reading == rd.MIN_TEMP_DC and limit == DISCHARGE_LIMIT:
                self.assertEqual(interpolate(points, -150), 1000)
                self.assertTrue(interpolate(points, -151) < 1000)

    def test_falling_above_45_degrees(self):                    # req: DER-04
        for _, reading, points, _ in b1_5_1_48.CURVES:
            if reading == rd.MAX_TEMP_DC:
                self.assertEqual(interpolate(points, 450), 1000)
                self.assertTrue(interpolate(points, 451) < 1000)


class TestContradictions(unittest.TestCase):
    def refused(self, name, value, *others):
        """Defaults with one value changed are refused, and the text names the parameter."""
        for profile in PROFILES:
            defaults = dict(profile.DEFAULTS)
            defaults[name] = value
            for other, other_value in others:
                defaults[other] = other_value
            self.assertIn(name, reason(ValueError, Parameters, defaults))

    def test_an_alarm_beyond_its_protection(self):              # req: PRF-03 PAR-03
        for name, value in (("cell_ov_alarm_mv", 3700), ("cell_uv_alarm_mv", 2600),
                            ("pack_ov_alarm_mv", 58_500), ("pack_uv_alarm_mv", 41_000),
                            ("chg_oc_alarm_ma", 111_000), ("dsg_oc1_alarm_ma", 111_000),
                            ("chg_ut_alarm_dc", -10), ("chg_ot_alarm_dc", 590),
                            ("dsg_ut_alarm_dc", -210), ("dsg_ot_alarm_dc", 590),
                            ("env_ut_alarm_dc", -210), ("env_ot_alarm_dc", 760),
                            ("mos_ot_alarm_dc", 1060)):
            self.refused(name, value)

    def test_a_release_on_the_wrong_side(self):                 # req: PRF-03 PAR-03
        for name, value in (("cell_ov_release_mv", 3700), ("cell_uv_release_mv", 2600),
                            ("pack_ov_release_mv", 58_500), ("pack_uv_release_mv", 41_000),
                            ("chg_ut_release_dc", -10), ("chg_ot_release_dc", 590),
                            ("dsg_ut_release_dc", -210), ("dsg_ot_release_dc", 590),
                            ("env_ut_release_dc", -210), ("env_ot_release_dc", 760),
                            ("mos_ot_release_dc", 1060), ("cell_diff_clear_mv", 310)):
            self.refused(name, value)

    def test_a_release_that_another_protection_keeps_away(self):        # req: PRF-03 PAR-03
        for values, name in (
                ({"cell_ov_alarm_mv": 3250, "cell_ov_trip_mv": 3300, "cell_ov_release_mv": 3200},
                 "cell_uv_release_mv"),
                ({"cell_uv_trip_mv": 3200, "cell_uv_alarm_mv": 3250, "cell_ov_release_mv": 3150},
                 "cell_ov_release_mv"),
                ({"pack_uv_release_mv": 56_000, "pack_ov_alarm_mv": 55_000,
                  "pack_ov_trip_mv": 55_900, "cvl_mv": 55_000}, "pack_uv_release_mv"),
                ({"chg_ut_release_dc": 350, "chg_ot_alarm_dc": 310, "chg_ot_trip_dc": 340,
                  "chg_ot_release_dc": 300}, "chg_ut_release_dc")):
            params = Parameters()
            self.assertIn(name, reason(ValueError, params.set_all, values))
            self.assertEqual(list(params.values), list(Parameters().values))

    def test_equal_is_refused_too(self):                        # req: PRF-03
        params = Parameters()
        for lesser, greater in RULES:
            defaults = {lesser: params[greater]}
            try:
                text = reason(ValueError, Parameters, defaults)
            except AssertionError:
                self.fail("%s may equal %s" % (lesser, greater))
            self.assertIn(lesser, text)

    def test_out_of_range_or_unknown(self):                     # req: PRF-03
        self.refused("cell_ov_trip_mv", 4300)
        self.refused("cell_uv_trip_mv", 1900)
        self.refused("no_such_parameter", 1)

    def changed(self, **fields):
        """A profile like am5000 but for *fields*."""
        class Profile:
            CELLS = am5000.CELLS
            CAPACITY_MAH = am5000.CAPACITY_MAH
            PANEL = am5000.PANEL
            DEFAULTS = dict(am5000.DEFAULTS)
            CURVES = am5000.CURVES

        for name in fields:
            setattr(Profile, name, fields[name])
        return Profile

    def test_both_profiles_are_accepted(self):                  # req: PRF-03
        for profile in PROFILES:
            check_profile(profile)

    def test_cells_that_the_afe_cannot_read(self):              # req: PRF-03
        for cells in (8, 15, 16):           # its curves are of the pack voltage of so many
            check_profile(self.changed(CELLS=cells, CURVES=()))
        for cells in (-1, 0, 1, 2, 3, 7, 17, 32):
            self.assertIn("CELLS", reason(ValueError, check_profile, self.changed(CELLS=cells)))

    def test_a_capacity_that_cannot_be(self):                   # req: PRF-03
        for capacity in (0, 999, 1_000_001):
            self.assertIn("CAPACITY_MAH", reason(ValueError, check_profile,
                                                 self.changed(CAPACITY_MAH=capacity)))

    def test_a_panel_that_is_not_known(self):                   # req: PRF-03
        self.assertIn("PANEL", reason(ValueError, check_profile, self.changed(PANEL="stripe")))

    def test_curves_that_cannot_be(self):                       # req: PRF-03
        for reading, points in ((99, ((0, 1000), (1, 0))), (-1, ((0, 1000), (1, 0))),
                                (0, ((0, 1001), (1, 0))), (0, ((0, 1000), (1, -1))),
                                (0, ((1, 1000), (1, 0))), (0, ((2, 1000), (1, 0)))):
            profile = self.changed(CURVES=((CHARGE_LIMIT, reading, points, "this one"),))
            text = reason(ValueError, check_profile, profile)
            self.assertIn("CURVES", text)
            self.assertIn("this one", text)

    def test_curves_that_do_not_forestall_their_protection(self):      # req: PRF-03 DER-01
        for reading, points, text in (
                (0, ((3400, 1000), (3600, 0)), "PRO-01 cell"),
                (0, ((3400, 1000), (3590, 1)), "PRO-01 cell"),
                (1, ((2700, 0), (3000, 1000)), "PRO-02 cell"),
                (9, ((50, 0), (150, 1000)), "PRO-09 cold")):
            profile = self.changed(CURVES=((CHARGE_LIMIT, reading, points, text),))
            self.assertIn("CURVES, %s: not 0 before " % text,
                          reason(ValueError, check_profile, profile))
        for reading, points, text in ((0, ((3400, 1000), (3599, 0)), "PRO-01 cell"),
                                      (1, ((2701, 0), (3000, 1000)), "PRO-02 cell")):
            check_profile(self.changed(CURVES=((CHARGE_LIMIT, reading, points, text),)))

    def test_contradictory_defaults(self):                      # req: PRF-03
        for name, value in (("cell_ov_alarm_mv", 3700), ("chg_ut_release_dc", 40),
                            ("nothing", 1), ("boost_uses", 6)):
            profile = self.changed(DEFAULTS={name: value})
            self.assertIn(name, reason(ValueError, check_profile, profile))

    def test_every_row_of_both_profiles_is_consistent(self):    # req: PRF-03
        for profile in PROFILES:
            params = Parameters(profile.DEFAULTS)
            for lesser, greater in RULES:
                self.assertTrue(params[lesser] < params[greater], lesser)
            for _, name, _, low, high, _, _ in TABLE:
                self.assertTrue(low <= params[name] <= high, name)

    def test_every_default_is_a_parameter(self):                # req: PRF-03
        names = [row[1] for row in TABLE]
        for profile in PROFILES:
            for name in profile.DEFAULTS:
                self.assertTrue(name in names, name)


if __name__ == "__main__":
    unittest.main()
