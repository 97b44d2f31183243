"""Fault and alarm codes of the AS1: every condition has one, and each is the manual's."""

import unittest

from protocols import as1_codes
from bms.words.rules import FAULTS, ITEMS
from bms.words.readings import MAX_TEMP_DC, MIN_TEMP_DC, NO_READING

# AS1 user manual, chapter 6: all codes, those of the master, the errors
MASTER_CODES = tuple(range(1, 22)) + tuple(range(25, 32)) + (54, 55, 56)
ERROR_CODES = tuple(range(1, 22)) + (33, 34, 35, 65, 66, 67, 68)
ALL_CODES = (tuple(range(1, 22)) + tuple(range(25, 32)) + (33, 34, 35) + tuple(range(49, 62))
             + (65, 66, 67, 68, 81, 82, 83, 85, 86, 87, 88, 89, 91, 92))
# AS1 user manual, chapter 6: the codes that concern the battery
BATTERY_CODES = (1, 2, 3, 7, 8, 9, 10, 53, 54, 55, 56, 65, 66, 67, 68, 81, 82, 83, 85, 86, 87,
                 88, 89)


def codes(alarms=(), trips=(), faults=(), others=0):
    """Codes that hold for items and faults by name."""
    found = as1_codes.active(
        sum(1 << i for i in range(len(ITEMS)) if ITEMS[i][0] in alarms),
        sum(1 << i for i in range(len(ITEMS)) if ITEMS[i][0] in trips),
        sum(1 << row[2] for row in FAULTS if row[0] in faults and row[2] < 29), others,
        sum(1 << row[2] - 29 for row in FAULTS if row[0] in faults and row[2] >= 29))
    return [as1_codes.TABLE[i][as1_codes.CODE] for i in range(len(as1_codes.TABLE))
            if found >> i & 1]


class TestCodes(unittest.TestCase):
    def test_the_table_has_the_codes_that_concern_the_battery(self):    # req: AS1-01
        self.assertEqual(tuple(row[as1_codes.CODE] for row in as1_codes.TABLE), BATTERY_CODES)

    def test_every_condition_has_a_code(self):                  # req: AS1-01
        for item in ITEMS:
            if item[0] != "PRO-16":             # no code of the manual means a cell difference
                self.assertTrue(codes(trips=(item[0],)), item[0])
        for fault in FAULTS:
            self.assertTrue(codes(faults=(fault[0],)), fault[0])

    def test_every_alarm_has_a_code(self):                      # req: AS1-01
        for item in ITEMS:
            if item[0] not in ("PRO-07", "PRO-08", "PRO-18", "PRO-16", "PWR-03"):   # no alarm
                self.assertTrue(codes(alarms=(item[0],)), item[0])
        self.assertEqual(codes(alarms=("PRO-16",)), [])

    def test_an_error_is_not_raised_at_the_alarm_stage(self):   # req: AS1-01
        kinds = {row[0]: row[2] for row in as1_codes.CODES}
        for item in ITEMS:
            for code in codes(alarms=(item[0],)):
                self.assertEqual(kinds[code], as1_codes.ALARM, (item[0], code))

    def test_heat_and_cold_are_told_apart(self):                # req: AS1-01
        for hot in ("PRO-10", "PRO-12", "PRO-14", "PRO-17"):
            self.assertTrue(2 in codes(trips=(hot,)), hot)
            self.assertFalse(3 in codes(trips=(hot,)), hot)
        for cold in ("PRO-09", "PRO-11", "PRO-13"):
            self.assertTrue(3 in codes(trips=(cold,)), cold)
            self.assertFalse(2 in codes(trips=(cold,)), cold)

    def test_the_value_stands_beside_a_temperature(self):       # req: AS1-01
        values = [NO_READING] * 32
        values[MIN_TEMP_DC], values[MAX_TEMP_DC] = -42, 55
        at = as1_codes.TABLE.index(next(row for row in as1_codes.TABLE if row[0] == 87))
        self.assertEqual(as1_codes.lines(1 << at, values), [
            "87 over charging temperature (slave alarm): coldest cell -4.2 \u00b0C, "
            "hottest cell 5.5 \u00b0C"])
        self.assertEqual(as1_codes.lines(1 << at, [NO_READING] * 32),
                         ["87 over charging temperature (slave alarm)"])

    def test_nothing_is_no_code(self):                          # req: AS1-01
        self.assertEqual((codes(), codes(others=as1_codes.IS_SLAVE)), ([], []))

    def test_as_the_manual_says(self):                          # req: AS1-01
        for wanted, given in (
                ([9, 81], {"trips": ("PRO-01",)}), ([81], {"alarms": ("PRO-01",)}),
                ([82], {"trips": ("PRO-02",)}), ([9, 55], {"trips": ("PRO-03",)}),
                ([55], {"alarms": ("PRO-03",)}), ([56, 88], {"alarms": ("PRO-04",)}),
                ([83], {"trips": ("PRO-05",)}), ([85], {"trips": ("PRO-06",)}),
                ([8], {"trips": ("PRO-08",)}), ([87], {"alarms": ("PRO-10",)}),
                ([2, 87], {"trips": ("PRO-10",)}), ([3, 86], {"trips": ("PRO-11",)}),
                ([86], {"alarms": ("PRO-12",)}), ([54], {"alarms": ("PRO-15",)}),
                ([2, 86, 87], {"trips": ("PRO-17",)}), ([86, 87], {"alarms": ("PRO-13",)}),
                ([89], {"faults": ("MEA-02",)}), ([10], {"faults": ("MEA-03-wire",)}),
                ([68], {"faults": ("SAF-05-weld",)}), ([67], {"faults": ("SAF-07-clock",)}),
                ([67], {"others": as1_codes.CLOCK_LOST}),
                ([53], {"others": as1_codes.INVERTER_LOST})):
            self.assertEqual(codes(**given), wanted, given)

    def test_master_and_slave_have_codes_of_their_own(self):    # req: AS1-01 DIP-02
        self.assertEqual(codes(faults=("COM-03-lost",)), [1])
        self.assertEqual(codes(faults=("COM-03-lost",), others=as1_codes.IS_SLAVE), [65])
        self.assertEqual(codes(faults=("DIP-02",), others=as1_codes.IS_SLAVE), [65])
        self.assertEqual(codes(others=as1_codes.STORE_FAILED), [7])
        self.assertEqual(codes(others=as1_codes.STORE_FAILED | as1_codes.IS_SLAVE), [66])

    def test_a_line_has_code_text_and_kind(self):               # req: AS1-01
        rows = [i for i in range(len(as1_codes.TABLE)) if as1_codes.TABLE[i][0] in (9, 53)]
        self.assertEqual(as1_codes.lines(sum(1 << i for i in rows)),
                         ["09 battery overvoltage (master error)",
                          "53 CAN communication loss (slave alarm)"])

    def test_all_codes_of_the_manual_can_be_named(self):        # req: AS1-04
        self.assertEqual(tuple(row[0] for row in as1_codes.CODES), ALL_CODES)
        for code in ALL_CODES:
            text = as1_codes.text_of(code)
            self.assertTrue(text.startswith("%02d " % code), text)
            self.assertEqual("master" in text, code in MASTER_CODES, text)
            self.assertEqual("(error)" in text or " error)" in text, code in ERROR_CODES, text)
        with self.assertRaises(ValueError):
            as1_codes.text_of(22)

    def test_what_the_pack_raises_is_of_the_table(self):        # req: AS1-04
        for row in as1_codes.TABLE:
            self.assertTrue(row[0] in ALL_CODES)


if __name__ == "__main__":
    unittest.main()
