"""The inverters that PACE's boards offer by name, and how each of them speaks (COM-11)."""

import unittest

from bms.words.parameters import TABLE
from protocols import pace_names as pn
from protocols.can import layout

# The two lists of PACE's program, by code
CAN = ("PACE", "Pylon", "Growatt", "Victron", "Schneider", "Luxpower", "SoroTec", "SMA", "Goodwe",
       "Studer", "Sofar", "Must", "Solis", "DIDU", "Senergy", "TBB", "Pylon", "Growatt", "Must",
       "Afore", "INVT", "Fuji", "Sofar")
RS485 = ("PACE Modbus", "Pylon", "Growatt", "Voltronic", "Schneider", "Phocos", "LuxPower",
         "Solar", "Lithium", "EP", "RTU04", "LuxPower", "LuxPower", "SRNE", "Leoch", "Pylon",
         "Afore",
         "UPS AGXN", "Orex", "Xiongtao", "Rongke", "Xinrui", "Eltek", "GT", "Leoch")


class TestNames(unittest.TestCase):
    def test_each_code_of_the_lists_has_its_name(self):         # req: COM-11
        for row, names, first in ((pn.CAN, CAN, 0), (pn.RS485, RS485, 1)):
            self.assertEqual(len(names), 23 if row is pn.CAN else 25)
            for code in range(len(names)):
                number = pn.number_of(row, code, first)
                self.assertTrue(number >= first, (row[pn.PARAM], code))
                self.assertEqual(pn.code_of(row, number), code)
                name = pn.name_of(row, number)
                self.assertTrue(name.startswith(names[code]), (code, name))
            self.assertEqual(pn.number_of(row, len(names), first), -1)
            self.assertEqual(pn.number_of(row, 0x7F, first), -1)

    def test_the_parameter_takes_every_name(self):              # req: COM-11 PAR-01
        for row in (pn.CAN, pn.RS485):
            entry = [one for one in TABLE if one[1] == row[pn.PARAM]][0]
            count = len(list(pn.lines(row)))
            self.assertEqual(entry[3:5], (0, count - 1))
            self.assertTrue("`bus names`" in entry[6])

    def test_what_has_no_frames_of_its_own_says_whose_it_uses(self):    # req: COM-11
        for row, alike in ((pn.CAN, 12), (pn.RS485, 22)):
            own = len(row[pn.OWN_CODES])
            lines = list(pn.lines(row))
            self.assertEqual(len(lines), own + alike)
            for number in range(len(lines)):
                base = pn.base_of(row, number)
                self.assertTrue(base < own)
                if number < own:
                    self.assertEqual(base, number)
                    self.assertTrue("published" not in lines[number])
                else:
                    text = "no frames of it are published, so as %s (PACE " % (
                        pn.name_of(row, base))
                    self.assertTrue(text in lines[number], lines[number])

    def test_the_tables_belong_together(self):                  # req: COM-11
        self.assertEqual(len(pn.CAN[pn.OWN_CODES]), len(layout.VARIANTS))
        for row in (pn.CAN, pn.RS485):
            self.assertEqual(len(row[pn.OWN].split(b"\0")), len(row[pn.OWN_CODES]))
            others = len(row[pn.NAMES].split(b"\0"))
            self.assertEqual((len(row[pn.CODES]), len(row[pn.BASES])), (others, others))
        for number in range(len(layout.VARIANTS)):
            label = pn.name_of(pn.CAN, number).lower().replace(" ", "-")
            name = layout.VARIANTS[number][layout.NAME]
            self.assertTrue(label.startswith(name), (label, name))
