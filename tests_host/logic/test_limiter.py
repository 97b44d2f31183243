"""The 10 A charge limiter: two minutes, ten detections, how it comes out again."""

import unittest

from bms.protect.limiter import HELD, LOOKING, OFF, ON, ChargeLimiter
from bms.words.parameters import Parameters

REST_MA, OTHER_WAY_MA = 300, 1000


class Case(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.limiter = ChargeLimiter(self.params)

    def step(self, current_ma, dt_ms=100):
        return self.limiter.step(current_ma, REST_MA, OTHER_WAY_MA, dt_ms)

    def detect(self):
        """One more detection from any state but held; in, two minutes, out again."""
        self.assertTrue(self.step(100_001))
        self.assertTrue(self.step(10_000, 119_999))
        self.assertFalse(self.step(10_000, 1))

    def hold(self):
        for _ in range(9):
            self.detect()
        self.assertTrue(self.step(100_001))


class TestTurnOn(Case):
    def test_above_100_amperes(self):                           # req: LIM-01
        for current_ma, inside in ((0, False), (99_999, False), (100_000, False), (100_001, True),
                                   (-100_001, False), (-150_000, False)):
            self.setUp()
            self.assertEqual(self.step(current_ma), inside, current_ma)

    def test_for_two_minutes(self):                             # req: LIM-01
        for waited, inside in ((119_999, True), (120_000, False), (120_001, False)):
            self.setUp()
            self.step(100_001)
            self.assertEqual(self.step(10_000, waited), inside, waited)

    def test_two_minutes_also_in_scans_and_whatever_flows(self):    # req: LIM-01
        for current_ma in (100_001, 10_000, 0, -50_000):
            self.setUp()
            self.step(100_001)
            for _ in range(1199):
                self.assertTrue(self.step(current_ma), current_ma)
            self.assertFalse(self.step(current_ma), current_ma)

    def test_two_minutes_count_from_turning_on(self):           # req: LIM-01
        self.step(0, 600_000)
        self.step(100_001, 500)
        self.assertTrue(self.step(10_000, 119_999))
        self.assertFalse(self.step(10_000, 1))

    def test_then_the_current_is_looked_at_again(self):         # req: LIM-01
        self.detect()
        self.assertTrue(self.step(100_001))                     # above: on again
        self.assertTrue(self.step(10_000, 119_999))
        self.assertFalse(self.step(10_000, 1))
        self.assertFalse(self.step(100_000, 120_000))           # not above: stays out
        self.assertFalse(self.step(100_000, 120_000))

    def test_the_turn_on_value_is_settable_to_at_most_100_amperes(self):    # req: LIM-01 PAR-03
        self.params.set("limiter_on_ma", 60_000)
        self.assertFalse(self.step(60_000))
        self.assertTrue(self.step(60_001))
        self.assertRaises(ValueError, self.params.set, "limiter_on_ma", 100_001)
        self.assertEqual(self.params["limiter_on_ma"], 60_000)

    def test_the_time_is_settable(self):                        # req: LIM-01 PAR-01
        self.params.set("limiter_on_s", 30)
        self.step(100_001)
        self.assertTrue(self.step(10_000, 29_999))
        self.assertFalse(self.step(10_000, 1))


class TestHeld(Case):
    def test_the_10th_detection_holds(self):                    # req: LIM-02
        self.hold()
        self.assertEqual(self.limiter.count, 10)
        for _ in range(100):
            self.assertTrue(self.step(10_000, 120_000))

    def test_the_9th_does_not(self):                            # req: LIM-02
        for _ in range(9):
            self.detect()
        self.assertEqual(self.limiter.count, 9)

    def test_discharge_above_1_ampere_or_no_current_ends_it(self):  # req: LIM-02
        for current_ma, inside in ((10_000, True), (300, True), (299, False), (0, False),
                                   (-299, False), (-300, True), (-999, True), (-1000, True),
                                   (-1001, False), (-50_000, False)):
            self.setUp()
            self.hold()
            self.assertEqual(self.step(current_ma), inside, current_ma)
            self.assertEqual(self.step(10_000), inside, current_ma)

    def test_after_the_end_the_count_begins_anew(self):         # req: LIM-02
        self.hold()
        self.step(0)
        self.assertEqual(self.limiter.count, 0)
        for _ in range(9):
            self.detect()
        self.assertTrue(self.step(100_001))
        self.assertTrue(self.step(10_000, 120_000))

    def test_detections_that_do_not_follow_each_other_do_not_add_up(self):  # req: LIM-02
        for looked_ms, held in ((999, True), (1000, False)):
            self.setUp()
            for _ in range(9):
                self.detect()
            self.assertFalse(self.step(10_000, looked_ms))      # nothing above while looking
            self.step(100_001)
            self.assertEqual(self.step(10_000, 120_000), held, looked_ms)
            self.assertEqual(self.limiter.count, 10 if held else 1)

    def test_the_look_begins_when_it_is_switched_off(self):     # req: LIM-01 LIM-02
        self.detect()
        self.assertFalse(self.step(10_000, 999))
        self.assertEqual(self.limiter.count, 1)
        self.assertFalse(self.step(10_000, 1))
        self.assertEqual(self.limiter.count, 0)

    def test_its_state_is_told(self):                           # req: LIM-01 LIM-02
        self.assertEqual(self.limiter.state, OFF)
        self.step(100_001)
        self.assertEqual(self.limiter.state, ON)
        self.step(10_000, 120_000)
        self.assertEqual(self.limiter.state, LOOKING)
        self.step(10_000, 1000)
        self.assertEqual(self.limiter.state, OFF)
        self.hold()
        self.assertEqual(self.limiter.state, HELD)

    def test_the_number_is_settable(self):                      # req: LIM-02 PAR-01
        self.params.set("limiter_detections", 2)
        self.detect()
        self.step(100_001)
        for _ in range(10):
            self.assertTrue(self.step(10_000, 120_000))


class TestOff(Case):
    def test_without_the_function_it_is_never_in(self):         # req: LIM-03
        self.params.set("limiter_enable", 0)
        for current_ma in (100_001, 200_000, 0):
            self.assertFalse(self.step(current_ma))

    def test_switching_the_function_off_takes_it_out_in_any_state(self):    # req: LIM-03
        for held in (False, True):
            self.setUp()
            if held:
                self.hold()
            else:
                self.step(100_001)
            self.params.set("limiter_enable", 0)
            self.assertFalse(self.step(10_000))
            self.params.set("limiter_enable", 1)
            self.assertFalse(self.step(10_000))
            self.assertEqual(self.limiter.count, 0)
            self.detect()


class TestMemory(Case):
    def test_months_in_one_state_count_no_further(self):        # req: SAF-04
        # beyond 2**30 an integer lives on the heap of the device
        for state in ("off", "held"):
            self.setUp()
            if state == "held":
                self.hold()
            for _ in range(40):
                self.step(10_000, 1 << 26)
            for name in dir(self.limiter):
                value = getattr(self.limiter, name)
                if isinstance(value, int):
                    self.assertTrue(value < 1 << 30, name)


if __name__ == "__main__":
    unittest.main()
