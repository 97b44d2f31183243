"""Profiles are found by being there, and one that is missing says why."""

import unittest

from bms.host import product_data, products
from bms.protect import second_line
from fakes import reason


class TestProducts(unittest.TestCase):
    def test_both_products_are_found(self):                     # req: PRF-01 PRF-02 PRF-03
        self.assertEqual(products.names(), ["am5000", "b1-5.1-48", "lfp-15s-100", "lfp-16s-280",
                                            "lfp-8s-280"])
        for name in products.names():
            self.assertEqual(products.find(name).NAME, name)

    def test_what_is_missing_says_so(self):                     # req: PRF-03
        for name, words in (("am6000", "is not in this firmware"), ("", "not in this firmware"),
                            ("../main", "no name of a profile"), ("AM5000", "no name"),
                            ("b1_5.1-48", "calls itself b1-5.1-48")):
            self.assertIn(words, reason(ValueError, products.find, name))

    def test_a_choice_is_kept(self):                            # req: PRF-03 RST-02
        choice = products.Choice("am5000")
        self.assertFalse(choice.dirty)
        choice.choose("b1-5.1-48")
        self.assertTrue(choice.dirty)
        again = products.Choice()
        again.from_bytes(choice.to_bytes())
        self.assertEqual(again.name, "b1-5.1-48")
        self.assertRaises(ValueError, choice.choose, "am6000")
        self.assertEqual(choice.name, "b1-5.1-48")
        choice.saved()
        self.assertFalse(choice.dirty)


class TestDataFiles(unittest.TestCase):
    def test_what_is_left_out_follows_from_what_is_said(self):  # req: PRF-03
        for name, cells, most_ma in (("lfp-16s-280", 16, 140_000), ("lfp-15s-100", 15, 100_000),
                                     ("lfp-8s-280", 8, 140_000)):
            profile = products.find(name)
            params = products.check(profile)
            self.assertEqual(profile.CELLS, cells)
            self.assertEqual(params["pack_ov_trip_mv"], cells * 3600)
            self.assertEqual(params["pack_uv_trip_mv"], cells * 2750)
            self.assertEqual(params["cvl_mv"], cells * 3475)
            self.assertEqual(params["nominal_ma"], most_ma)
            self.assertEqual(params["chg_oc_trip_ma"], most_ma // 10 * 11)
            self.assertEqual(params["dsg_oc2_trip_ma"], most_ma // 2 * 3)
            self.assertEqual(params["cell_ov_trip_mv"], 3600)
            self.assertEqual(len(profile.CURVES), 10)

    def test_ranges_of_pack_voltages_follow_the_cells(self):    # req: PRF-03
        params = products.check(products.find("lfp-8s-280"))
        self.assertEqual(params.range_of(params.row_of("pack_ov_trip_mv")), (24_000, 29_600))
        self.assertRaises(ValueError, params.set, "pack_ov_trip_mv", 57_600)
        self.assertRaises(ValueError, params.set, "cvl_mv", 55_600)
        params.set("cvl_mv", 27_600)

    def test_the_largest_of_each_is_taken(self):                # req: PRF-03
        text = ('{"name": "large", "cells": 16, "capacity_mah": 1000000, "most_ma": 300000, '
                '"shunt_uohm": 125}')
        params = products.check(product_data.read(text))
        self.assertEqual((params["nominal_ma"], params["chg_oc_trip_ma"]), (300_000, 320_000))
        for rows in (second_line.image(params, 125), second_line.image(params, 125, 8)):
            self.assertTrue(len(rows) > 40)

    def test_a_field_of_the_wrong_kind_says_what_is_right(self):        # req: PRF-03
        for text, words in (
                ("[]", "an object"), ('{"name": "a"}', "cells: missing"),
                ('{"name": "a", "cells": "8", "capacity_mah": 1}', "a whole number"),
                ('{"name": "a", "cells": 8, "capacity_mah": 5000, "curves": [["up"]]}',
                 "curves[0]"),
                ('{"name": "a", "cells": 8, "capacity_mah": 5000, "curves": '
                 '[["charge", "sun", [[1, 2], [3, 4]], "x"]]}', "max_cell_mv"),
                ('{"name": "a", "cells": 8, "capacity_mah": 5000, "ceilings": {"cell": 1}}',
                 "cell_most_mv"),
                ('{"name": "a", "cells": 8, "capacity_mah": 5000, "defaults": {"cvl_mv": 1.5}}',
                 "defaults.cvl_mv")):
            self.assertIn(words, reason(ValueError, product_data.read, text))

    def test_a_file_comes_in_parts(self):                       # req: PRF-03
        text = '{"name": "own", "cells": 9, "capacity_mah": 50000}'
        installed = products.Installed()
        self.assertRaises(ValueError, installed.put, 0, b"{")
        self.assertRaises(ValueError, installed.begin, 6001)
        installed.begin(len(text))
        installed.put(0, text[:20].encode())
        self.assertRaises(ValueError, installed.put, 21, b"x")
        installed.put(0, text[:20].encode())                    # the answer was lost
        self.assertRaises(ValueError, installed.end)
        self.assertIsNone(installed.text)
        installed.begin(len(text))
        installed.put(0, text.encode())
        self.assertEqual(installed.end(), "own")
        self.assertTrue(installed.dirty)
        again = products.Installed(installed.to_bytes())
        self.assertEqual(products.find("own", again.text).CELLS, 9)
        self.assertIn("own", products.names(again.text))


if __name__ == "__main__":
    unittest.main()
