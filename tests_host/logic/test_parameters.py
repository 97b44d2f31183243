"""The registry: ids, ranges, rules between values, refusals with a reason."""

import unittest

from bms.words.parameters import TABLE, Parameters
from fakes import reason

# specification, section 3: the settable values of the rows that exist
DOCUMENT = (
    ("cell_ov_alarm_mv", 3500), ("cell_ov_trip_mv", 3600), ("cell_ov_delay_ms", 3000),
    ("cell_ov_release_mv", 3300), ("cell_uv_alarm_mv", 2800), ("cell_uv_trip_mv", 2700),
    ("cell_uv_delay_ms", 3000), ("cell_uv_release_mv", 3300), ("pack_ov_alarm_mv", 56_800),
    ("pack_ov_trip_mv", 57_600), ("pack_ov_delay_ms", 3000), ("pack_ov_release_mv", 54_000),
    ("pack_uv_alarm_mv", 45_600), ("pack_uv_trip_mv", 44_000), ("pack_uv_delay_ms", 3000),
    ("pack_uv_release_mv", 48_000), ("ov_release_soc_cpct", 9600), ("other_way_ma", 1000),
    ("chg_oc_alarm_ma", 105_000), ("chg_oc_trip_ma", 110_000), ("chg_oc_delay_ms", 3000),
    ("dsg_oc1_alarm_ma", 105_000), ("dsg_oc1_trip_ma", 110_000), ("dsg_oc1_delay_ms", 3000),
    ("dsg_oc2_trip_ma", 150_000), ("dsg_oc2_delay_ms", 100), ("oc_release_ms", 60_000),
    ("oc_lock_trips", 10), ("chg_ut_alarm_dc", 80), ("chg_ut_trip_dc", 50),
    ("chg_ut_release_dc", 80), ("chg_ot_alarm_dc", 520), ("chg_ot_trip_dc", 580),
    ("chg_ot_release_dc", 530), ("dsg_ut_alarm_dc", -150), ("dsg_ut_trip_dc", -200),
    ("dsg_ut_release_dc", -100), ("dsg_ot_alarm_dc", 520), ("dsg_ot_trip_dc", 580),
    ("dsg_ot_release_dc", 530), ("env_ut_alarm_dc", -150), ("env_ut_trip_dc", -200),
    ("env_ut_release_dc", -150), ("env_ot_alarm_dc", 650), ("env_ot_trip_dc", 750),
    ("env_ot_release_dc", 650), ("low_soc_cpct", 300), ("cell_diff_alarm_mv", 300),
    ("cell_diff_clear_mv", 250), ("cell_diff_delay_ms", 10_000), ("mos_ot_alarm_dc", 900),
    ("mos_ot_trip_dc", 1050), ("mos_ot_release_dc", 850), ("limiter_on_ma", 100_000),
    ("limiter_on_s", 120), ("limiter_detections", 10), ("fet_fail_ms", 1000), ("boost_s", 180),
    ("boost_uses", 5), ("boost_pause_s", 86_400), ("boost_ma", 100_000),
    ("in_a_row_forget_s", 600), ("failed_scans", 5), ("nominal_ma", 50_000), ("pcs_baud", 9600),
)


class TestTable(unittest.TestCase):
    def test_defaults_are_the_documents_numbers(self):          # req: PAR-01 PRF-01
        params = Parameters()
        for name, value in DOCUMENT:
            self.assertEqual(params[name], value, name)

    def test_ids_and_names_are_unique_and_rows_complete(self):  # req: PAR-01
        ids = [row[0] for row in TABLE]
        names = [row[1] for row in TABLE]
        self.assertEqual(len(set(ids)), len(TABLE))
        self.assertEqual(len(set(names)), len(TABLE))
        for number, name, unit, low, high, default, text in TABLE:
            self.assertTrue(0 <= number < 0xFFFF, name)
            self.assertTrue(low <= default <= high and low < high, name)
            self.assertTrue(text and ";" not in text and ";" not in name + unit, name)
            suffix = {"mV": "_mv", "mA": "_ma", "ms": "_ms", "s": "_s", "cpct": "_cpct",
                      "dC": "_dc", "ppm": "_ppm", "uOhm": "_uohm", "uA": "_ua", "min": "_min",
                      "mAh": "_mah"}
            if unit:
                self.assertTrue(name.endswith(suffix[unit]), name)

    def test_a_described_row_names_everything(self):            # req: PAR-01
        params = Parameters()
        params.set("cell_ov_alarm_mv", 3490)
        rows = [params.describe(i) for i in range(len(TABLE))]
        fields = rows[0].split(";")
        self.assertEqual(fields[:7],
                         ["1", "cell_ov_alarm_mv", "mV", "3000", "3700", "3500", "3490"])
        self.assertEqual(len(fields), 8)

    def test_ids_lead_to_names(self):
        params = Parameters()
        self.assertEqual(params.name_of(2), "cell_ov_trip_mv")
        self.assertIn("65535", reason(ValueError, params.name_of, 65535))


class TestSet(unittest.TestCase):
    def test_a_set_is_taken_and_counted(self):
        params = Parameters()
        changed = params.changed
        self.assertEqual(params.set("cell_ov_delay_ms", 2000), 2000)
        self.assertEqual((params["cell_ov_delay_ms"], params.changed), (2000, changed + 1))

    def test_a_refusal_names_degrees_and_per_cent_not_the_registry_s_units(self):   # req: PAR-03
        params = Parameters()
        self.assertEqual(reason(ValueError, params.set, "chg_ut_trip_dc", 900).split(" is ")[0],
                         "chg_ut_trip_dc: 90.0 \u00b0C")
        self.assertEqual(reason(ValueError, params.set, "dsg_ut_alarm_dc", -210),
                         "dsg_ut_trip_dc (-20.0 \u00b0C) must be below "
                         "dsg_ut_alarm_dc (-21.0 \u00b0C)")
        self.assertIn("20000", reason(ValueError, params.set, "cell_ov_trip_mv", 20_000))

    def test_range_one_inside_and_one_outside(self):            # req: PAR-03
        params = Parameters()
        for value, taken in ((199, False), (200, True), (10_000, True), (10_001, False),
                             (-1, False), (1 << 40, False)):
            changed = params.changed
            before = params["cell_ov_delay_ms"]
            if taken:
                params.set("cell_ov_delay_ms", value)
                self.assertEqual(params["cell_ov_delay_ms"], value)
            else:
                text = reason(ValueError, params.set, "cell_ov_delay_ms", value)
                self.assertIn("cell_ov_delay_ms", text)
                self.assertIn("200..10000", text)
                self.assertEqual((params["cell_ov_delay_ms"], params.changed), (before, changed))

    def test_contradictions_are_refused_and_the_old_value_stays(self):      # req: PAR-03
        for name, value, other in (
                ("cell_ov_alarm_mv", 3600, "cell_ov_trip_mv"),
                ("cell_ov_trip_mv", 3500, "cell_ov_alarm_mv"),
                ("cell_ov_release_mv", 3600, "cell_ov_trip_mv"),
                ("cell_uv_alarm_mv", 2700, "cell_uv_trip_mv"),
                ("cell_uv_trip_mv", 2800, "cell_uv_alarm_mv"),
                ("cell_uv_release_mv", 2700, "cell_uv_trip_mv"),
                ("pack_ov_alarm_mv", 57_600, "pack_ov_trip_mv"),
                ("pack_ov_release_mv", 57_600, "pack_ov_trip_mv"),
                ("pack_uv_alarm_mv", 44_000, "pack_uv_trip_mv"),
                ("pack_uv_release_mv", 44_000, "pack_uv_trip_mv"),
                ("cvl_mv", 57_600, "pack_ov_trip_mv")):
            params = Parameters()
            before = params[name]
            text = reason(ValueError, params.set, name, value)
            self.assertIn(name, text)
            self.assertIn(other, text)
            self.assertEqual((params[name], params.changed), (before, 0), name)

    def test_one_short_of_a_contradiction_is_taken(self):       # req: PAR-03
        for name, value in (("cell_ov_alarm_mv", 3599), ("cell_ov_trip_mv", 3501),
                            ("cell_uv_alarm_mv", 2701), ("cell_uv_release_mv", 2750),
                            ("pack_uv_trip_mv", 45_599)):
            params = Parameters()
            params.set(name, value)
            self.assertEqual(params[name], value)

    def test_an_alarm_never_lies_beyond_the_other_sides(self):  # req: PAR-03
        # both rows would be in alarm for ever
        params = Parameters()
        params.set("cell_uv_alarm_mv", 3300)
        params.set("cell_ov_release_mv", 3000)
        self.assertRaises(ValueError, params.set, "cell_ov_alarm_mv", 3000)

    def test_unknown_names(self):
        params = Parameters()
        self.assertIn("nonsense", reason(ValueError, params.set, "nonsense", 1))
        self.assertIn("nonsense", reason(ValueError, lambda: params["nonsense"]))

    def test_restore_brings_the_defaults_back(self):            # req: RST-02
        params = Parameters({"cell_ov_delay_ms": 2500})
        params.set("cell_ov_delay_ms", 1000)
        params.set("cell_ov_alarm_mv", 3450)
        changed = params.changed
        params.restore()
        self.assertEqual((params["cell_ov_delay_ms"], params["cell_ov_alarm_mv"]), (2500, 3500))
        self.assertTrue(params.changed > changed)


class TestProfiles(unittest.TestCase):
    def test_a_profiles_defaults_replace_the_registrys(self):   # req: PRF-03
        params = Parameters({"cell_ov_trip_mv": 3650})
        self.assertEqual(params["cell_ov_trip_mv"], 3650)
        self.assertEqual(params["cell_ov_alarm_mv"], 3500)

    def test_a_profile_that_contradicts_itself_is_refused_by_name(self):    # req: PRF-03
        for defaults, name in (({"cell_ov_alarm_mv": 3600}, "cell_ov_alarm_mv"),
                               ({"cell_uv_release_mv": 2700}, "cell_uv_release_mv"),
                               ({"pack_ov_trip_mv": 90_000}, "pack_ov_trip_mv"),
                               ({"cell_ov_trip_volts": 4}, "cell_ov_trip_volts")):
            self.assertIn(name, reason(ValueError, Parameters, defaults))

    def test_am5000_is_consistent(self):                        # req: PRF-01
        from profiles import am5000
        self.assertEqual((am5000.CELLS, am5000.CAPACITY_MAH), (16, 100_000))
        Parameters(am5000.DEFAULTS)


if __name__ == "__main__":
    unittest.main()
