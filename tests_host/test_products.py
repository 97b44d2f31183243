"""Profiles are found by being there, and one that is missing says why."""

import unittest

from bms.host import products
from fakes import reason


class TestProducts(unittest.TestCase):
    def test_both_products_are_found(self):                     # req: PRF-01 PRF-02 PRF-03
        self.assertEqual(products.names(), ["am5000", "b1-5.1-48"])
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


if __name__ == "__main__":
    unittest.main()
