"""No accepted set passes the ceilings of the chemistry; calibrations fit a healthy board."""

import unittest

from bms.words import ceilings
from bms.charge.scale import ChargeScale
from bms.words.parameters import TABLE, Parameters, check_profile
from fakes import reason
from profiles import am5000

# what a pack of LFP must never be set beyond: name, lowest, highest (specification, PRO-31)
EDGES = (
    ("cell_ov_trip_mv", None, 3700), ("cell_ov_alarm_mv", None, 3700),
    ("cell_ov_release_mv", None, 3700), ("cell_uv_trip_mv", 2000, None),
    ("pack_ov_trip_mv", None, 59_200), ("pack_uv_trip_mv", 32_000, None),
    ("chg_ut_trip_dc", 0, None), ("chg_ot_trip_dc", None, 600), ("dsg_ot_trip_dc", None, 630),
    ("dsg_ut_trip_dc", -250, None), ("wake_floor_mv", 1800, None),
    ("cell_ov_delay_ms", None, 10_000), ("cell_uv_delay_ms", None, 10_000),
    ("pack_ov_delay_ms", None, 10_000), ("pack_uv_delay_ms", None, 10_000),
    ("temp_delay_ms", None, 10_000), ("chg_oc_delay_ms", None, 10_000),
    ("dsg_oc1_delay_ms", None, 10_000), ("chg_oc_trip_ma", None, 115_000),
    ("dsg_oc1_trip_ma", None, 115_000), ("dsg_oc2_trip_ma", None, 200_000),
    ("cal_current_gain_ppm", -30_000, 30_000), ("cal_current_offset_ma", -500, 500),
    ("cal_cell4_offset_mv", -15, 15), ("cal_temp5_offset_dc", -30, 30),
    ("cal_stack_gain_ppm", -30_000, 30_000), ("cal_pack_gain_ppm", -30_000, 30_000),
    ("cal_ld_gain_ppm", -30_000, 30_000),
)


class TestRanges(unittest.TestCase):
    def test_no_range_reaches_beyond_a_ceiling(self):           # req: PRO-31 MEA-04
        params = Parameters()
        for name, low, high in EDGES:
            least, most = params.range_of(params.row_of(name))
            if low is not None:
                self.assertEqual(least, low, name)
                self.assertIn(name, reason(ValueError, params.set, name, low - 1))
            if high is not None:
                self.assertEqual(most, high, name)
                self.assertIn(name, reason(ValueError, params.set, name, high + 1))

    def test_pack_ranges_follow_the_cell_count(self):           # req: PRO-31 PRF-03
        params = Parameters({"pack_ov_trip_mv": 55_000, "pack_ov_alarm_mv": 54_500,
                             "cvl_mv": 53_000, "dvl_mv": 44_000}, ceilings.LFP, 15)
        self.assertEqual(params.range_of(params.row_of("pack_ov_trip_mv"))[1], 55_500)

    def test_every_accepted_edge_leaves_the_ceilings_alone(self):   # req: PRO-31
        """Each parameter at each end of its range, alone."""
        accepted = 0
        for row in TABLE:
            for side in (0, 1):
                params = Parameters()
                value = params.range_of(params.row_of(row[1]))[side]
                try:
                    params.set(row[1], value)
                except ValueError:
                    continue
                accepted += 1
                self.within(params)
        self.assertTrue(accepted > 100)

    def within(self, params):
        """What the cells themselves may reach, whatever the calibration does to the reading."""
        for cell in range(16):
            gain = params["cal_cell%d_gain_ppm" % cell]
            offset = params["cal_cell%d_offset_mv" % cell]
            high = (params["cell_ov_trip_mv"] + offset) * 1_000_000 / (1_000_000 + gain)
            low = (params["cell_uv_trip_mv"] + offset) * 1_000_000 / (1_000_000 + gain)
            self.assertTrue(high < 3701 and low > 1999, (cell, high, low))
        for sensor in range(4):
            offset = params["cal_temp%d_offset_dc" % sensor]
            self.assertTrue(params["chg_ut_trip_dc"] + offset >= 0)
            self.assertTrue(params["chg_ot_trip_dc"] + offset <= 600)


class TestSums(unittest.TestCase):
    def test_threshold_and_calibration_together(self):          # req: PRO-31 MEA-04 PAR-03
        for values, words in (
                ({"cell_ov_trip_mv": 3700, "cal_cell3_offset_mv": 5}, "cell 3 may reach 3705 mV"),
                ({"cell_ov_trip_mv": 3700, "cal_cell0_gain_ppm": -1000}, "cell 0 may reach 3704"),
                ({"cell_ov_trip_mv": 3690, "cal_cell3_offset_mv": 11}, "cal_cell3_offset_mv"),
                ({"cell_uv_trip_mv": 2000, "deep_floor_mv": 1500, "cal_cell15_offset_mv": -3},
                 "cell 15 may reach 1997"),
                ({"chg_ut_trip_dc": 10, "cal_temp2_offset_dc": -11}, "charged at -0.1 °C"),
                ({"chg_ot_trip_dc": 590, "cal_temp2_offset_dc": 11}, "charged at 60.1 °C"),
                ({"cal_cell3_offset_mv": 15, "cal_cell3_gain_ppm": -200}, "healthy board"),
                ({"cal_pack_gain_ppm": 30_000, "cal_pack_offset_mv": -100}, "healthy board"),
                ({"cell_ov_release_mv": 3551}, "at least 50 below"),
                ({"chg_ot_release_dc": 571}, "at least 1.0 °C below")):
            params = Parameters()
            text = reason(ValueError, params.set_all, values)
            self.assertIn(words, text)
            for name in values:
                self.assertEqual(params[name], Parameters()[name], name)

    def test_on_the_ceiling_is_taken(self):                     # req: PRO-31 MEA-04
        for values in ({"cell_ov_trip_mv": 3700},
                       {"cell_ov_trip_mv": 3690, "cal_cell3_offset_mv": 10},
                       {"cell_ov_trip_mv": 3700, "cal_cell3_offset_mv": -15},
                       {"chg_ut_trip_dc": 30, "cal_temp0_offset_dc": -30},
                       {"cal_cell3_gain_ppm": 4000}, {"cal_pack_offset_mv": 1500}):
            Parameters().set_all(values)

    def test_a_stored_set_that_passes_a_ceiling_is_dropped(self):   # req: PRO-31 PAR-02
        params = Parameters()
        self.assertEqual(params.take_over([(2, 3700), (233, 10), (4, 2000)]),
                         [(2, 3700), (233, 10)])
        self.assertEqual((params["cell_ov_trip_mv"], params["cell_ov_delay_ms"]), (3600, 2000))


class TestChemistry(unittest.TestCase):
    def profile(self, **changes):
        class Other:
            NAME = "other"
            CELLS = am5000.CELLS
            PANEL = am5000.PANEL
            CAPACITY_MAH = am5000.CAPACITY_MAH
            DEFAULTS: dict = {}
            CURVES = am5000.CURVES
        for name in changes:
            setattr(Other, name, changes[name])
        return Other

    def test_below_freezing_only_where_the_profile_says_so(self):   # req: PRO-31
        cold = {"chg_ut_trip_dc": -100, "chg_ut_alarm_dc": -80, "chg_ut_release_dc": -80}
        self.assertRaises(ValueError, check_profile, self.profile(DEFAULTS=cold))
        allowed = dict(ceilings.LFP)
        allowed["charge_least_dc"] = -100
        params = check_profile(self.profile(CEILINGS=allowed))
        params.set_all(cold)
        self.assertRaises(ValueError, params.set, "chg_ut_trip_dc", -101)
        allowed["charge_least_dc"] = -101
        self.assertIn("CEILINGS",
                      reason(ValueError, check_profile, self.profile(CEILINGS=allowed)))

    def test_another_chemistry_brings_its_own(self):            # req: PRO-31 PRF-03
        nmc = dict(ceilings.LFP)
        nmc.update({"name": "NMC", "cell_most_mv": 4250, "afe_most_mv": 4300,
                    "cell_least_mv": 2500})
        params = check_profile(self.profile(CEILINGS=nmc, CELLS=14, CURVES=()))
        self.assertEqual(params.range_of(params.row_of("cell_ov_trip_mv"))[1], 4200)
        del nmc["afe_most_mv"]
        self.assertIn("afe_most_mv", reason(ValueError, check_profile, self.profile(CEILINGS=nmc)))


class FakeSoc:
    def __init__(self):
        self.moved_ua = 0

    def move_zero(self, ua):
        self.moved_ua += ua


class TestCharge(unittest.TestCase):
    def test_counted_charge_has_gain_and_offset(self):          # req: MEA-04
        for gain, offset, moved, ms, wanted in (
                (0, 0, 277_777, 10_000, 277_777), (-30_000, 0, 277_777, 10_000, 269_444),
                (30_000, 0, -277_777, 10_000, -286_110), (0, 360, 0, 10_000, -1000),
                (0, -500, 0, 10_000, 1388), (10_000, 100, 100_000, 1000, 101_000 - 28)):
            params = Parameters({"cal_current_gain_ppm": gain, "cal_current_offset_ma": offset})
            found = ChargeScale(params, FakeSoc()).uah(moved, ms)
            self.assertTrue(abs(found - wanted) <= abs(wanted) // 10_000 + 2, (found, wanted))

    def test_the_look_at_zero_sees_what_is_left(self):          # req: MEA-04 SOC-01
        # 300 mA of offset for 1.5 s: 0.125 mAh = 819 of 65536 parts of 10 mAh
        params = Parameters({"cal_current_offset_ma": 300})
        self.assertTrue(abs(ChargeScale(params, FakeSoc()).parts(819, 1500)) <= 1)

    def test_what_was_learnt_moves_along(self):                 # req: MEA-04 SOC-02
        params, soc = Parameters(), FakeSoc()
        scale = ChargeScale(params, soc)
        scale.uah(0, 1000)
        params.set("cal_current_offset_ma", 120)
        scale.uah(0, 1000)
        scale.uah(0, 1000)
        self.assertEqual(soc.moved_ua, -120_000)


if __name__ == "__main__":
    unittest.main()
