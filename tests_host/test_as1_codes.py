"""Fault and alarm codes of the AS1: every condition has one, and each is the manual's."""

import unittest

from bms import as1_codes
from bms.protection_rules import FAULTS, ITEMS

# AS1 user manual, chapter 6: the codes that concern the battery
BATTERY_CODES = (1, 2, 3, 7, 9, 10, 53, 54, 55, 56, 65, 66, 67, 68, 81, 82, 83, 85, 86, 87, 88, 89)


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
            self.assertTrue(codes(trips=(item[0],)), item[0])
        for fault in FAULTS:
            self.assertTrue(codes(faults=(fault[0],)), fault[0])

    def test_every_alarm_has_a_code(self):                      # req: AS1-01
        for item in ITEMS:
            if item[0] not in ("PRO-07", "PRO-08", "PRO-18"):   # these have no alarm
                self.assertTrue(codes(alarms=(item[0],)), item[0])

    def test_nothing_is_no_code(self):                          # req: AS1-01
        self.assertEqual((codes(), codes(others=as1_codes.IS_SLAVE)), ([], []))

    def test_as_the_manual_says(self):                          # req: AS1-01
        for wanted, given in (
                ([9, 81], {"trips": ("PRO-01",)}), ([81], {"alarms": ("PRO-01",)}),
                ([82], {"trips": ("PRO-02",)}), ([9, 55], {"trips": ("PRO-03",)}),
                ([55], {"alarms": ("PRO-03",)}), ([56, 88], {"alarms": ("PRO-04",)}),
                ([83], {"trips": ("PRO-05",)}), ([85], {"trips": ("PRO-06",)}),
                ([68, 85], {"trips": ("PRO-08",)}), ([87], {"alarms": ("PRO-10",)}),
                ([86], {"alarms": ("PRO-12",)}), ([54], {"alarms": ("PRO-15",)}),
                ([2], {"trips": ("PRO-17",)}), ([3], {"alarms": ("PRO-13",)}),
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
        self.assertEqual(as1_codes.lines(1 << 4 | 1 << 6),
                         ["09 battery overvoltage (error)", "53 CAN communication loss (alarm)"])


if __name__ == "__main__":
    unittest.main()
