"""The metered allowance: 100 A for 3 minutes, 5 times in 30 days, 24 h between (DER-03)."""

import struct
import unittest

from bms.limits.allowance import Allowance
from bms.words.parameters import Parameters
from fakes import reason

NOMINAL, BOOST = 50_000, 100_000
DAY_MS = 24 * 3600 * 1000
MONTH_S = 30 * 24 * 3600
FORMAT = "<BIi5i"          # of what is kept: in use, ms used, pause s, uses forgotten in s


class Case(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.meter = Allowance(self.params)

    def step(self, current_ma, dt_ms=1000):
        self.meter.step(current_ma, NOMINAL, dt_ms)
        return self.meter.limit_ma()

    def rest(self, ms):
        """Time without current: the first and last seconds of it step by step."""
        limit = self.meter.limit_ma()
        if ms > 40_000:
            skipped = ms // 1000 - 40
            row = list(struct.unpack(FORMAT, self.meter.to_bytes()))
            for i in range(2, len(row)):
                row[i] = max(0, row[i] - skipped)
            self.meter.from_bytes(struct.pack(FORMAT, *row))
            ms -= skipped * 1000
        while ms > 0:
            part = min(ms, 1000)
            limit = self.step(0, part)
            ms -= part
        return limit

    def use(self, current_ma=BOOST):
        """One use to its end."""
        for _ in range(200):
            self.step(current_ma)
            if not struct.unpack(FORMAT, self.meter.to_bytes())[0]:
                return
        self.fail("the use did not end")


class TestOneUse(Case):
    def test_at_first_the_whole_current_is_allowed(self):       # req: DER-03
        self.assertEqual(self.meter.limit_ma(), BOOST)
        self.assertEqual(self.meter.uses(), 0)

    def test_at_most_3_minutes(self):                           # req: DER-03
        # the advertised limit falls by 2 A/s: from 100 A it has to begin 25 s before
        for current_ma in (BOOST, -BOOST, 51_001, -51_001):
            self.setUp()
            for _ in range(154):
                self.assertEqual(self.step(current_ma), BOOST, current_ma)
            for _ in range(25):
                self.assertEqual(self.step(current_ma), NOMINAL, current_ma)
                self.assertEqual(self.meter.uses(), 0)
            self.assertEqual(self.step(current_ma), NOMINAL, current_ma)
            self.assertEqual(self.meter.uses(), 1)

    def test_3_minutes_do_not_depend_on_the_period(self):       # req: DER-03
        for dt_ms in (100, 250, 900):
            self.setUp()
            steps = 0
            while not self.meter.uses():
                self.step(BOOST, dt_ms)
                steps += 1
                self.assertTrue(steps < 2000)
            self.assertTrue(180_000 <= steps * dt_ms < 180_000 + dt_ms, dt_ms)

    def test_staying_beyond_gives_no_second_use(self):          # req: DER-03
        self.use()
        for _ in range(600):
            self.assertEqual(self.step(BOOST), NOMINAL)
        self.assertEqual(self.meter.uses(), 1)

    def test_the_continuous_current_is_no_use(self):            # req: DER-03
        for current_ma in (NOMINAL, -NOMINAL, 51_000, -51_000):
            self.setUp()
            for _ in range(600):
                self.assertEqual(self.step(current_ma), BOOST, current_ma)
            self.assertEqual(self.meter.uses(), 0)

    def test_a_use_ends_10_seconds_after_the_current_is_back(self):     # req: DER-03
        for back_ms, over in ((9_999, False), (10_000, True)):
            self.setUp()
            self.step(BOOST, 100)
            self.meter.step(NOMINAL, NOMINAL, back_ms)
            self.assertEqual(self.meter.limit_ma(), NOMINAL if over else BOOST, back_ms)
            self.assertEqual(self.meter.uses(), 1 if over else 0)

    def test_a_short_break_does_not_lengthen_it(self):          # req: DER-03
        total = 0
        while not self.meter.uses():
            total += 6
            self.step(BOOST, 1000)
            self.step(0, 5000)
            self.assertTrue(total < 300)
        self.assertEqual(total, 180)
        self.assertEqual(self.meter.uses(), 1)

    def test_the_longest_use_is_settable(self):                 # req: DER-03 PAR-01
        self.params.set("boost_s", 60)
        for seconds in range(1, 60):
            self.assertEqual(self.step(BOOST), BOOST if seconds < 35 else NOMINAL)
            self.assertEqual(self.meter.uses(), 0)
        self.step(BOOST)
        self.assertEqual(self.meter.uses(), 1)
        self.assertRaises(ValueError, self.params.set, "boost_s", 181)

    def test_the_limit_falls_25_seconds_before_to_the_millisecond(self):    # req: DER-03
        for used_ms, limit in ((154_999, BOOST), (155_000, NOMINAL)):
            self.setUp()
            self.assertEqual(self.step(BOOST, used_ms), limit)
        self.setUp()
        self.params.set("boost_ma", 60_000)                     # 5 s of ramp
        for used_ms, limit in ((174_999, 60_000), (1, NOMINAL)):
            self.assertEqual(self.step(60_000, used_ms), limit)

    def test_going_back_beyond_starts_the_10_seconds_anew(self):    # req: DER-03
        self.step(BOOST, 100)
        self.step(0, 9_999)
        self.step(BOOST, 100)
        self.step(0, 9_999)
        self.assertEqual(self.meter.uses(), 0)
        self.step(0, 1)
        self.assertEqual(self.meter.uses(), 1)

    def test_a_second_of_it_is_offered_too(self):               # req: DER-03
        self.params.set("boost_s", 1)
        self.assertEqual(self.meter.limit_ma(), BOOST)

    def test_a_short_use_is_a_use(self):                        # req: DER-03
        self.step(BOOST, 100)
        self.step(0, 10_000)
        self.assertEqual((self.meter.uses(), self.meter.limit_ma()), (1, NOMINAL))


class TestPause(Case):
    def test_24_hours_between_uses(self):                       # req: DER-03
        self.use()
        self.assertEqual(self.rest(DAY_MS - 1000), NOMINAL)
        self.assertEqual(self.rest(1000), BOOST)

    def test_the_pause_counts_from_the_end_of_the_use(self):    # req: DER-03
        self.step(BOOST, 100)
        self.step(0, 9_900)
        self.assertEqual(self.meter.limit_ma(), BOOST)
        self.step(0, 100)
        self.assertEqual(self.rest(DAY_MS - 1100), NOMINAL)
        self.assertEqual(self.rest(1100), BOOST)

    def test_current_beyond_during_the_pause_is_no_use(self):   # req: DER-03
        self.use()
        for _ in range(100):
            self.assertEqual(self.step(BOOST), NOMINAL)
        self.rest(DAY_MS - 100_000)
        self.assertEqual(self.meter.uses(), 1)

    def test_the_pause_is_settable(self):                       # req: DER-03 PAR-01
        self.params.set("boost_pause_s", 60)
        self.use()
        self.assertEqual(self.rest(59_000), NOMINAL)
        self.assertEqual(self.rest(1000), BOOST)

    def test_the_pause_to_the_millisecond(self):                # req: DER-03
        self.params.set("boost_pause_s", 60)
        while not self.meter.uses():
            self.step(BOOST, 700)                               # 180.6 s: ends within a second
        self.assertEqual(self.step(0, 59_999), NOMINAL)
        self.assertEqual(self.step(0, 1), BOOST)

    def test_odd_periods_lose_no_time_and_gain_none(self):      # req: DER-03
        self.params.set("boost_pause_s", 60)
        self.use()
        for _ in range(30):
            self.assertEqual(self.step(0, 1998), NOMINAL)       # 59.94 s
        self.assertEqual(self.step(0, 1998), BOOST)

    def test_a_long_scan_ends_the_pause_too(self):              # req: DER-03
        self.params.set("boost_pause_s", 60)
        self.use()
        self.step(0, 59_000)
        self.assertEqual(self.step(0, 5_000), BOOST)

    def test_seconds_add_up_from_scans(self):                   # req: DER-03
        self.params.set("boost_pause_s", 60)
        self.use()
        for _ in range(599):
            self.assertEqual(self.step(0, 100), NOMINAL)
        self.assertEqual(self.step(0, 100), BOOST)


class TestMonth(Case):
    def setUp(self):
        super().setUp()
        self.params.set("boost_pause_s", 60)

    def test_five_uses_in_30_days(self):                        # req: DER-03
        for i in range(5):
            self.assertEqual(self.meter.limit_ma(), BOOST, i)
            self.use()
            self.assertEqual(self.meter.uses(), i + 1)
            self.rest(60_000)
        self.assertEqual(self.meter.limit_ma(), NOMINAL)

    def test_a_use_is_forgotten_after_30_days(self):            # req: DER-03
        self.params.set("boost_uses", 1)
        self.use()
        self.rest((MONTH_S - 1) * 1000)
        self.assertEqual((self.meter.uses(), self.meter.limit_ma()), (1, NOMINAL))
        self.rest(1000)
        self.assertEqual((self.meter.uses(), self.meter.limit_ma()), (0, BOOST))

    def test_each_use_is_forgotten_by_itself(self):             # req: DER-03
        for _ in range(5):
            self.use()
            self.rest(3600_000)
        self.assertEqual(self.meter.uses(), 5)
        left = self.uses_after(MONTH_S * 1000 - 5 * 3600_000 - 5 * 180_000 - 3600_000)
        self.assertEqual(left, 5)
        for uses in (4, 3, 2, 1, 0):
            left = self.uses_after(3600_000 + 200_000)
            self.assertTrue(uses <= left <= uses + 1, "%d %d" % (uses, left))
        self.assertEqual(self.uses_after(3600_000), 0)

    def uses_after(self, ms):
        self.rest(ms)
        return self.meter.uses()

    def test_the_number_is_settable_to_at_most_5(self):         # req: DER-03 PAR-01
        self.params.set("boost_uses", 2)
        for _ in range(2):
            self.use()
            self.rest(60_000)
        self.assertEqual(self.meter.limit_ma(), NOMINAL)
        self.assertRaises(ValueError, self.params.set, "boost_uses", 6)

    def test_none_means_none(self):                             # req: DER-03
        for name in ("boost_uses", "boost_s"):
            self.setUp()
            self.params.set(name, 0)
            self.assertEqual(self.meter.limit_ma(), NOMINAL, name)
            for _ in range(10):
                self.assertEqual(self.step(BOOST), NOMINAL, name)

    def test_a_sixth_use_takes_the_place_of_the_oldest(self):   # req: DER-03
        # one that goes on at a reset with five counted
        for _ in range(5):
            self.use()
            self.rest(60_000)
        self.params.set("boost_uses", 5)
        other = Allowance(self.params)
        data = bytearray(self.meter.to_bytes())
        data[0] = 1
        other.from_bytes(bytes(data))
        self.assertEqual(other.uses(), 5)
        self.assertEqual(other.limit_ma(), NOMINAL)


class TestProfileWithoutAllowance(Case):
    def test_boost_not_above_nominal_is_no_allowance(self):     # req: DER-04
        self.params = Parameters({"nominal_ma": 60_000, "boost_ma": 60_000})
        self.meter = Allowance(self.params)
        self.assertEqual(self.meter.limit_ma(), 60_000)
        self.params = Parameters({"nominal_ma": 60_000, "boost_ma": 50_000})
        self.assertEqual(Allowance(self.params).limit_ma(), 60_000)


class TestReset(Case):
    """What to_bytes() keeps; time that the controller does not run never counts."""

    def reset(self):
        kept = self.meter.to_bytes()
        self.meter = Allowance(self.params)
        self.meter.from_bytes(kept)

    def test_the_pause_survives(self):                          # req: DER-03
        self.use()
        self.rest(DAY_MS - 10_000)
        for _ in range(3):
            self.reset()
            self.assertEqual(self.meter.limit_ma(), NOMINAL)
        self.assertEqual(self.rest(9_000), NOMINAL)
        self.assertEqual(self.rest(1_000), BOOST)

    def test_the_uses_survive(self):                            # req: DER-03
        self.params.set("boost_pause_s", 60)
        for i in range(5):
            self.use()
            self.rest(60_000)
            self.reset()
            self.assertEqual(self.meter.uses(), i + 1)
        self.assertEqual(self.meter.limit_ma(), NOMINAL)

    def test_a_reset_in_a_use_ends_it(self):                    # req: DER-03
        self.step(BOOST)
        self.reset()
        self.assertEqual((self.meter.uses(), self.meter.limit_ma()), (1, NOMINAL))
        self.assertEqual(self.rest(DAY_MS - 1000), NOMINAL)

    def test_resets_never_shorten_a_pause(self):                # req: DER-03
        self.use()
        for _ in range(200):
            self.step(0, 900)
            self.reset()
        self.assertEqual(self.meter.limit_ma(), NOMINAL)
        self.assertTrue(self.rest(DAY_MS - 181_000) == NOMINAL)

    def test_what_has_to_be_kept_is_said(self):                 # req: DER-03 PAR-02
        self.assertFalse(self.meter.dirty)
        self.step(0)
        self.assertFalse(self.meter.dirty)
        self.step(BOOST)
        self.assertTrue(self.meter.dirty)       # a use has begun
        self.meter.to_bytes()
        self.assertFalse(self.meter.dirty)
        self.step(0)
        self.assertFalse(self.meter.dirty)
        self.step(0, 10_000)
        self.assertTrue(self.meter.dirty)       # it has ended
        self.meter.to_bytes()
        for _ in range(599):
            self.step(0)
        self.assertFalse(self.meter.dirty)
        self.step(0)
        self.assertTrue(self.meter.dirty)       # ten minutes of the pause are over
        self.meter.to_bytes()
        self.assertFalse(self.meter.dirty)

    def test_nothing_to_keep_is_not_kept(self):                 # req: DER-03
        for _ in range(8):
            self.step(0, 100_000)
        self.assertFalse(self.meter.dirty)
        self.assertEqual(self.meter.to_bytes(), struct.pack(FORMAT, *([0] * 8)))

    def test_the_record(self):                                  # req: DER-03 PAR-02
        self.step(BOOST, 700)
        self.assertEqual(struct.unpack(FORMAT, self.meter.to_bytes())[:3], (1, 700, 0))
        self.use()
        row = struct.unpack(FORMAT, self.meter.to_bytes())
        self.assertEqual(row[:3] + (max(row[3:]), sorted(row[3:])[3]), (0, 0, 86_400, MONTH_S, 0))
        self.params.set("boost_pause_s", 60)
        for _ in range(4):
            self.step(0, MONTH_S * 250 + 500)
        self.assertEqual(self.meter.to_bytes(), struct.pack(FORMAT, *([0] * 8)))

    def test_what_was_kept_counts_on_to_the_millisecond(self):  # req: DER-03
        self.params.set("boost_pause_s", 600)
        self.use()
        self.reset()
        self.assertEqual(self.step(0, 599_999), NOMINAL)
        self.assertFalse(self.meter.dirty)
        self.assertEqual(self.step(0, 1), BOOST)
        self.assertTrue(self.meter.dirty)

    def test_a_use_of_no_time_survives_too(self):               # req: DER-03
        self.step(BOOST, 0)
        self.reset()
        self.assertEqual((self.meter.uses(), self.meter.limit_ma()), (1, NOMINAL))

    def test_each_ten_minutes_of_the_pause(self):               # req: DER-03
        self.use()
        for _ in range(3):
            self.meter.to_bytes()
            self.step(0, 599_000)
            self.assertFalse(self.meter.dirty)
            self.step(0, 1000)
            self.assertTrue(self.meter.dirty)

    def test_a_record_of_another_form_is_refused(self):         # req: PAR-02
        kept = self.meter.to_bytes()
        for data in (b"", kept[:-1], kept + b"\x00"):
            self.assertIn("%d bytes" % len(data), reason(ValueError, self.meter.from_bytes, data))

    def test_a_record_whole_but_absurd_never_opens_the_limit(self):     # req: PAR-02 DER-03
        self.use()
        kept = bytearray(self.meter.to_bytes())
        for i in range(1, len(kept)):
            for value in (0x00, 0xFF):
                data = bytearray(kept)
                data[i] = value
                other = Allowance(self.params)
                other.from_bytes(bytes(data))
                self.assertTrue(other.limit_ma() in (NOMINAL, BOOST))
                self.assertTrue(0 <= other.uses() <= 5)


if __name__ == "__main__":
    unittest.main()
