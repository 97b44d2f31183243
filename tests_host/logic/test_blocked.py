"""What ends what is up, in words: one place for console, host tool and live screen."""

import unittest

from bms.host import blocked
from bms.words import rules
from bms.words.parameters import Parameters
from profiles import am5000


class Up:
    """A pack with rows of ITEMS and FAULTS that are up."""

    def __init__(self, trips=0, alarms=0, locks=0, faults=0, more=0):
        self.protection = self
        self.trips, self.alarms, self.locks = trips, alarms, locks
        self.faults, self.faults_more = faults, more
        self.params = Parameters(am5000.DEFAULTS)

    def has(self, fault):
        return bool((self.faults_more if fault & rules.FAULT_MORE else self.faults)
                    & fault & ~rules.FAULT_MORE)

    def ends(self):
        return dict(blocked.ends(self))


class EndsTest(unittest.TestCase):     # req: PRO-20 PRO-25
    def of(self, name, **kinds):
        bit = rules.mask_of(name)
        return Up(**{kind: bit for kind in kinds or ("trips",)}).ends()[name]

    def test_every_row_that_can_trip_or_alarm_says_what_ends_it(self):
        for row in rules.ITEMS:
            if row[rules.TRIP] is not None:
                self.assertTrue(self.of(row[rules.ID]), row[rules.ID])
            if row[rules.ALARM] is not None:
                self.assertIn("it ends at or ", self.of(row[rules.ID], alarms=1))

    def test_a_protection_by_the_values_of_now(self):
        self.assertEqual(
            self.of("PRO-01"), "it releases at or below 3.300 V and a state of charge below "
            "96.00 %; discharge current releases it at once")
        self.assertEqual(self.of("PRO-02"), "it releases at or above 3.300 V; "
                         "a charger releases it at once")
        self.assertEqual(self.of("PRO-10"), "it releases at or below 53.0 °C")
        self.assertEqual(self.of("PRO-06"), "it releases 60 s after the trip; "
                         "charge current releases it at once")
        self.assertIn("load is taken off", self.of("PRO-08"))

    def test_an_alarm_ends_at_its_own_threshold_not_at_the_protections(self):
        self.assertEqual(self.of("PRO-01", alarms=1), "it ends at or below 3.480 V")
        self.assertEqual(self.of("PRO-15", alarms=1),
                         "it ends at or above 3.00 %, or while charging")
        self.assertEqual(self.of("PRO-16", alarms=1), "it ends at or below 0.250 V")
        self.assertEqual(self.of("DER-03-dsg", alarms=1), "it ends at or below 50.500 A")

    def test_what_is_locked_waits_for_a_command(self):
        self.assertIn("`clear` unlocks it", self.of("PRO-06", trips=1, locks=1))

    def test_faults(self):
        for row in rules.FAULTS:
            bit = rules.bit_of(row[rules.FAULT_NUMBER])
            more = bit & rules.FAULT_MORE
            up = Up(more=bit & ~rules.FAULT_MORE) if more else Up(faults=bit)
            self.assertEqual("`clear`" in up.ends()[row[rules.FAULT_NAME]],
                             bool(row[rules.FAULT_LATCHED]))
        self.assertEqual(Up().ends(), {})


if __name__ == "__main__":
    unittest.main()
