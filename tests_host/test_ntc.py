"""The ambient thermistor: counts of a raw pin to temperature."""

import math
import unittest

from bms import ntc
from fakes import NO_READING

# R = 10k * exp(3435 * (1/T - 1/298.15)), ratio = R / (R + 18k), counts = ratio * 0.6 * 32768
POINTS = (
    (15956, -200), (14156, -100), (12083, 0), (11007, 50), (9941, 100), (8909, 150),
    (7931, 200), (7022, 250), (6189, 300), (4765, 400), (3648, 500), (3191, 550),
    (2793, 600), (2447, 650), (2148, 700), (1297, 900),
)


class TestNtc(unittest.TestCase):
    def test_within_a_tenth_of_a_kelvin_and_rounding_from_minus_20_to_70(self):     # req: MEA-01
        for counts, temp_dc in POINTS:
            if temp_dc <= 700:
                self.assertTrue(abs(ntc.counts_to_dc(counts) - temp_dc) <= 2,
                                "%d: %d" % (temp_dc, ntc.counts_to_dc(counts)))

    def test_every_joint_of_the_table_is_the_formulas(self):    # req: MEA-01
        # 65 ratios from 0.015 to 0.97 in equal steps, to a tenth of a kelvin; where a joint lies
        # between two counts the one above it is read, and what is between is rounded down
        for i in range(65):
            ratio = 0.015 + i * 0.955 / 64
            ohms = 18_000 * ratio / (1 - ratio)
            kelvin = 1 / (math.log(ohms / 10_000) / 3435 + 1 / 298.15)
            counts, beyond = divmod((19_071 - 295) * i, 64)
            found = ntc.counts_to_dc(295 + counts + (1 if beyond else 0))
            self.assertEqual(found, int(math.floor((kelvin - 273.15) * 10 + 0.5))
                             - (1 if beyond else 0), i)

    def test_within_half_a_kelvin_up_to_90(self):               # req: MEA-01
        for counts, temp_dc in POINTS:
            self.assertTrue(abs(ntc.counts_to_dc(counts) - temp_dc) <= 5, temp_dc)

    def test_open_and_short_one_short_exact_one_past(self):     # req: MEA-03
        # ratio 0.015 and 0.97
        for counts, is_reading in ((294, False), (295, True), (19_071, True), (19_072, False),
                                   (0, False), (0x7FFF, False), (0xFFFF, False)):
            self.assertEqual(ntc.counts_to_dc(counts) != NO_READING, is_reading, counts)
            if not is_reading:
                self.assertEqual(ntc.is_open(counts), counts > 10_000)

    def test_colder_means_more_counts_everywhere(self):
        last = ntc.counts_to_dc(295)
        for counts in range(295, 19_072, 53):
            now = ntc.counts_to_dc(counts)
            self.assertTrue(now <= last, counts)
            last = now

    def test_no_step_at_the_joints_of_the_table(self):
        span = 19_071 - 295
        for i in range(1, 64):
            at = 295 + i * span // 64
            self.assertTrue(abs(ntc.counts_to_dc(at) - ntc.counts_to_dc(at + 1)) <= 2, i)


if __name__ == "__main__":
    unittest.main()
