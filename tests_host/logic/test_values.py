"""Values as a person writes and reads them, and events as lines."""

import unittest

from bms.words import event_lines, values
from bms.words import events as ev
from fakes import reason


class TestValues(unittest.TestCase):
    def test_units_that_a_person_writes(self):                  # req: COM-10
        for unit, text, value in (
                ("mV", "3600", 3600), ("mV", "3600mV", 3600), ("mV", "3.6V", 3600),
                ("mV", "3.605v", 3605), ("mV", ".5V", 500), ("mV", "-15mV", -15),
                ("mA", "50A", 50_000), ("mA", "+2.5A", 2500), ("dC", "45C", 450),
                ("dC", "-20.5\u00b0C", -205), ("dC", "580", 580), ("cpct", "96%", 9600),
                ("ms", "2.5s", 2500), ("s", "2h", 7200), ("uOhm", "1.75mOhm", 1750),
                ("ppm", "0.05%", 500), ("", "3", 3), ("s", "30", 30)):
            self.assertEqual(values.parse("x", unit, text), value, (unit, text))

    def test_what_is_no_value_is_refused_in_words(self):        # req: COM-10 PAR-03
        for unit, text, words in (
                ("mV", "3.6", "write the unit behind 3.6"), ("mV", "3.6A", "no such unit"),
                ("mV", "3.60005V", "finer than 1 mV"), ("mV", "x", "is no number"),
                ("mV", "", "is no number"), ("mV", "-", "is no number"),
                ("mV", "1.2.3V", "no number"),
                ("mV", "1e9", "no such unit"), ("mV", "99999999999", "is no number"),
                ("", "3V", "no such unit"), ("", "3.5", "whole numbers")):
            self.assertIn(words, reason(ValueError, values.parse, "x", unit, text))

    def test_a_value_is_shown_with_its_usual_unit(self):        # req: COM-10
        self.assertEqual(values.shown(3600, "mV"), "3600 mV (3.600 V)")
        self.assertEqual(values.shown(-205, "dC"), "-205 dC (-20.5 \u00b0C)")
        self.assertEqual(values.shown(5, ""), "5")
        self.assertEqual(values.shown(30, "s"), "30 s")


class TestEvents(unittest.TestCase):
    def line(self, event, item=0, cell=-1, value=0, limit=0):
        return event_lines.line(7, (0, event, item, cell, value, limit, 0, 1, 2, 2, -12_300, 4500))

    def test_what_happened_has_words_beside_its_id(self):       # req: COM-10 REC-02
        self.assertEqual(
            self.line(ev.TRIP, 0, 4, 3612, 3600),
            "#7 time not known  protection: cell over-voltage (PRO-01), cell 4: 3.612 V, "
            "limit 3.600 V  [standby, -12.300 A, 45 %]")
        self.assertIn("(SAF-05-weld)", self.line(ev.FAULT, 9, -1, 2000))
        self.assertIn("charging, was standby", self.line(ev.STATE, 3, -1, 2))
        self.assertIn("cell_ov_trip_mv 3.650 V, was 3.600 V",
                      self.line(ev.PARAMETER, 2, 0, 3650, 3600))
        self.assertIn("all to the product's own values", self.line(ev.PARAMETER, 0xFF))

    def test_any_record_is_a_line(self):                        # req: COM-06
        for event in range(len(ev.NAMES) + 2):
            for item in (0, 7, 40, 255):
                for cell in (-1, 0, 127):
                    self.assertTrue(self.line(event, item, cell, -5, 9).startswith("#7 "))


if __name__ == "__main__":
    unittest.main()
