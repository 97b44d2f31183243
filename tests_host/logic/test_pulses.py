"""A load that pulses in step with the AFE excuses what then differs, for a minute (MEA-06)."""

import unittest

from bms.measure.pulses import Pulses


class TestPulses(unittest.TestCase):        # req: MEA-06
    def setUp(self):
        self.pulses = Pulses()

    def steps(self, *currents_ma, dt_ms=100):
        for current_ma in currents_ma:
            self.pulses.step(current_ma, dt_ms)

    def count(self, mean_ma, ms=1000):
        self.pulses.counted(mean_ma * ms // 3600, ms)

    def test_up_and_down_is_a_pulse(self):
        self.steps(0, -60_000, -60_000)
        self.assertFalse(self.pulses.excuse(100))       # a load that came
        self.steps(0)
        self.assertTrue(self.pulses.excuse(100))
        self.steps(*[0] * 30)
        self.assertFalse(self.pulses.excuse(100))

    def test_small_steps_are_none(self):
        self.steps(0, -2900, 0, -2900, 0)
        self.assertFalse(self.pulses.excuse(100))

    def test_the_integrator_sees_what_is_in_step_with_the_scans(self):
        for mean_ma, excused in ((-23_000, False), (-28_000, False), (-33_000, True),
                                 (-14_000, True), (0, True)):
            self.setUp()
            self.steps(*[-23_000] * 5)
            self.pulses.ask()
            self.assertTrue(self.pulses.due(0))
            self.count(-23_000, 500)
            self.assertTrue(self.pulses.awaited())
            self.assertFalse(self.pulses.due(900))
            self.steps(*[-23_000] * 10)
            self.assertTrue(self.pulses.due(1000))
            self.count(mean_ma)
            self.assertFalse(self.pulses.awaited())
            self.assertEqual(self.pulses.excuse(100), excused, mean_ma)

    def test_an_answer_that_does_not_come_is_not_waited_for(self):
        self.pulses.ask()
        self.assertFalse(self.pulses.awaited())         # nobody counts
        self.count(0)
        self.steps(*[0] * 15)
        self.assertTrue(self.pulses.awaited())
        self.steps(0)
        self.assertFalse(self.pulses.awaited())

    def test_nothing_is_excused_for_ever(self):
        excused = 0
        for _ in range(2000):
            self.steps(0, -60_000)
            self.pulses.ask()
            excused += self.pulses.excuse(200)
        self.assertEqual(excused * 200, 60_000)

    def test_what_is_not_asked_for_is_not_wanted_for_long(self):
        self.pulses.ask()
        self.steps(*[0] * 31)
        self.assertFalse(self.pulses.wants)


if __name__ == "__main__":
    unittest.main()
