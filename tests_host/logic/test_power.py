"""Off, awake or asleep: every way into sleep and out of it, at its limits."""

import unittest

from bms.power import power as pw
from bms.words.parameters import Parameters
from bms.power.power import Power
from fakes import WRAP

DAY_S = 86_400
REST = pw.MEASURED | pw.QUIET                   # awake, FETs closed, nobody uses it
LOOSE = REST | pw.OPEN
STACK_MV, CELL_MV = 52_800, 3300


class Case(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.power = Power(self.params)
        self.now = WRAP - 5000
        self.news = []
        self.power.step(self.now, REST, STACK_MV, CELL_MV)

    def run_ms(self, ms, conditions=REST, pack_mv=STACK_MV, lowest_mv=CELL_MV, step_ms=100):
        """Steps for *ms*, as a pack would: what is to be stored is stored after a second."""
        power = self.power
        for _ in range(ms // step_ms):
            self.now = (self.now + step_ms) % WRAP
            news = power.step(self.now, conditions, pack_mv, lowest_mv)
            if news:
                self.news.append(news)
            if power.store:
                power.stored()

    def run_s(self, seconds, *args, **more):
        """Steps of a second, and of a minute where there are many."""
        rest = min(seconds, 60 + seconds % 60)
        self.run_ms(rest * 1000, *args, step_ms=1000, **more)
        self.run_ms((seconds - rest) * 1000, *args, step_ms=60_000, **more)

    def fall_asleep(self, reason=None):
        """From LEAVING on: FETs open at once, terminals fall within a second."""
        self.assertEqual(self.power.mode, pw.LEAVING)
        self.run_ms(1000)
        self.assertEqual(self.power.mode, pw.LOOKING)
        self.run_ms(3700 if reason == pw.BUTTON else 700, LOOSE, 3000)
        self.assertEqual(self.power.mode, pw.ASLEEP)
        if reason is not None:
            self.assertEqual(self.power.reason, reason)
        self.news = []

    def sleep(self):
        self.power.ask_sleep()
        self.run_ms(100)
        self.fall_asleep(pw.HOST)


class TestIntoSleep(Case):
    def test_over_discharge_not_released_for_30_s(self):        # req: PRO-24 PWR-10
        held = REST | pw.OVER_DISCHARGED
        self.run_ms(29_900, held)
        self.run_ms(1000)                       # released just before
        self.run_ms(29_900, held)
        self.assertEqual(self.power.mode, pw.AWAKE)
        self.run_ms(1100, held)
        self.fall_asleep(pw.OVER_DISCHARGE)

    def test_over_discharge_sleeps_whoever_communicates(self):  # req: PRO-24 PWR-10
        for _ in range(33):
            self.power.hear()
            self.run_ms(1000, REST | pw.OVER_DISCHARGED)
        self.assertEqual((self.power.mode, self.power.reason), (pw.LOOKING, pw.OVER_DISCHARGE))

    def test_the_button(self):                                  # req: PWR-10 RST-01
        self.assertEqual(self.power.press(), pw.ASLEEP)
        self.run_ms(100)
        self.fall_asleep(pw.BUTTON)

    def test_a_low_cell_for_its_delay(self):                    # req: PWR-10
        self.params.set("sleep_cell_mv", 2900)
        self.params.set("sleep_cell_s", 100)
        self.run_s(100, lowest_mv=2899)
        self.run_s(300, lowest_mv=2900)         # not below: forgotten at half the pace
        self.run_s(100, lowest_mv=2899)
        self.assertEqual(self.power.mode, pw.AWAKE)
        self.run_s(1, lowest_mv=2899)
        self.assertEqual((self.power.mode, self.power.reason), (pw.LEAVING, pw.LOW_CELL))

    def test_a_cell_just_at_its_limit_is_low(self):             # req: PWR-10 PRO-28
        self.params.set("sleep_cell_mv", 2900)
        self.params.set("sleep_cell_s", 100)
        seconds = 0
        while self.power.mode == pw.AWAKE:
            self.run_s(1, lowest_mv=2899 + (seconds & 1))
            seconds += 1
            self.assertTrue(seconds < 500)
        self.assertTrue(seconds > 200)

    def test_a_low_cell_of_a_pack_in_use_is_none(self):         # req: PWR-10
        self.params.set("sleep_cell_s", 100)
        for conditions in (pw.MEASURED | pw.CHARGES, pw.MEASURED | pw.DISCHARGES, pw.MEASURED):
            self.run_s(150, conditions, lowest_mv=2899)
            self.assertEqual(self.power.mode, pw.AWAKE)
        for _ in range(4):                      # communication, each minute
            self.power.hear()
            self.run_s(60, lowest_mv=2899)
            self.assertEqual(self.power.mode, pw.AWAKE)

    def test_an_unknown_cell_is_not_low(self):                  # req: PWR-10 MEA-03
        self.run_s(8000, lowest_mv=-0x20000000)
        self.assertEqual(self.power.mode, pw.AWAKE)

    def test_a_day_of_standby(self):                            # req: PWR-10
        self.run_s(DAY_S - 1)
        self.assertEqual(self.power.mode, pw.AWAKE)
        self.run_s(1)
        self.assertEqual((self.power.mode, self.power.reason), (pw.LEAVING, pw.STANDBY))

    def test_any_use_begins_the_day_anew(self):                 # req: PWR-10
        for conditions in (pw.MEASURED | pw.CHARGES, pw.MEASURED | pw.DISCHARGES, pw.MEASURED):
            self.run_s(DAY_S - 10)
            self.run_s(1, conditions)
        self.run_s(DAY_S - 10)
        self.power.hear()
        self.run_s(DAY_S - 10)
        self.power.hear_debug()
        self.run_s(DAY_S)
        self.assertEqual(self.power.mode, pw.AWAKE)
        self.run_s(1)
        self.assertEqual(self.power.mode, pw.LEAVING)

    def test_host_command(self):                                # req: PWR-10
        self.sleep()
        self.assertRaises(ValueError, self.power.ask_sleep)

    def test_limits_go_to_zero_a_second_before_the_fets_open(self):     # req: PWR-10 COM-05
        self.assertFalse(self.power.leaves())
        self.power.ask_sleep()
        self.run_ms(100)
        self.assertEqual((self.power.leaves(), self.power.holds()), (True, False))
        self.run_ms(900)
        self.assertFalse(self.power.holds())
        self.run_ms(100)
        self.assertEqual((self.power.leaves(), self.power.holds()), (True, True))

    def test_sleeps_only_after_everything_was_stored(self):     # req: PWR-10 PWR-02
        self.power.ask_sleep()
        self.run_ms(1100)
        for _ in range(20):
            self.now = (self.now + 100) % WRAP
            self.power.step(self.now, LOOSE, 0, CELL_MV)
        self.assertEqual((self.power.mode, self.power.store), (pw.STORING, True))
        self.power.stored()
        self.run_ms(100, LOOSE, 0)
        self.assertEqual(self.power.mode, pw.ASLEEP)

    def test_a_store_that_never_ends_does_not_keep_it_awake(self):      # req: PWR-10
        self.power.ask_sleep()
        self.run_ms(1100)
        for _ in range(120):
            self.now = (self.now + 100) % WRAP
            self.power.step(self.now, LOOSE, 0, CELL_MV)
        self.assertEqual(self.power.mode, pw.ASLEEP)


class TestRefused(Case):
    def refused(self, why):
        self.assertEqual((self.power.mode, self.power.refused), (pw.AWAKE, why))
        self.assertEqual(self.news, [pw.REFUSED])
        self.assertFalse(self.power.holds() or self.power.goes())
        self.assertIn(pw.REFUSALS[why], self.power.text())

    def test_while_it_charges_or_a_charger_is_seen(self):       # req: PWR-10
        for condition in (pw.CHARGES, pw.CHARGER):
            self.news = []
            self.power.ask_sleep()
            self.run_ms(100, pw.MEASURED | condition)
            self.refused(pw.EXTERNAL)

    def look(self, pack_mv, ms, conditions=LOOSE):
        self.power.ask_sleep()
        self.run_ms(1100)
        self.assertEqual(self.power.mode, pw.LOOKING)
        self.run_ms(ms, conditions, pack_mv)

    def test_with_a_voltage_that_does_not_fall(self):           # req: PWR-10
        for pack_mv in (10_000, 47_500, 54_000):
            self.news = []
            self.look(pack_mv, 2900)
            self.assertEqual(self.power.mode, pw.LOOKING)       # FETs are open so long
            self.run_ms(100, LOOSE, pack_mv)
            self.refused(pw.EXTERNAL)

    def test_capacitors_that_discharge_are_no_external_voltage(self):   # req: PWR-10
        self.look(50_000, 1000)
        for pack_mv in range(48_000, 8_000, -250):              # 2.5 V a second
            self.run_ms(100, LOOSE, pack_mv)
        self.assertEqual(self.power.mode, pw.ASLEEP)

    def test_what_falls_for_ever_is_one(self):                  # req: PWR-10
        self.look(50_000, 1000)
        for pack_mv in range(50_000, 11_000, -130):             # 1.3 V a second
            self.run_ms(100, LOOSE, pack_mv)
        self.refused(pw.EXTERNAL)

    def test_just_below_the_limit_is_none(self):                # req: PWR-10
        self.look(9_999, 700)
        self.assertEqual(self.power.mode, pw.ASLEEP)

    def test_a_reversed_charger_is_one(self):                   # req: PWR-10 PRO-18
        self.look(-300, 3000)
        self.refused(pw.EXTERNAL)

    def test_without_a_measurement(self):                       # req: PWR-10 MEA-05
        self.power.ask_sleep()
        self.run_ms(100, pw.QUIET)
        self.refused(pw.UNMEASURED)
        self.news = []
        self.look(0, 10_000, pw.OPEN | pw.QUIET)
        self.refused(pw.UNMEASURED)

    def test_when_the_fets_do_not_open(self):                   # req: PWR-10
        self.look(STACK_MV, 10_000, REST)
        self.refused(pw.NOT_OPEN)

    def test_a_use_that_begins_meanwhile(self):                 # req: PWR-10
        self.run_s(DAY_S)
        self.power.hear()
        self.run_ms(100)
        self.refused(pw.IN_USE)

    def test_by_itself_it_tries_again_after_10_minutes(self):   # req: PWR-10 PRO-24
        held = REST | pw.OVER_DISCHARGED
        self.run_ms(32_100, held)
        self.run_ms(3100, held | pw.OPEN, 30_000)
        self.refused(pw.EXTERNAL)
        self.run_s(599, held)
        self.assertEqual(self.power.mode, pw.AWAKE)
        self.run_s(3, held)
        self.assertTrue(self.power.goes())


class TestOutOfSleep(Case):
    def setUp(self):
        Case.setUp(self)
        self.sleep()

    def woken(self, by):
        self.assertEqual((self.power.mode, self.power.woken_by), (pw.AWAKE, by))
        self.assertEqual(self.news, [pw.WOKE])
        self.assertTrue(self.power.holds())         # until the AFE has measured anew
        self.run_ms(200)
        self.assertFalse(self.power.holds())

    def test_a_charger_above_48_v(self):                        # req: PWR-11
        self.run_s(3600, LOOSE, 48_000)
        self.assertEqual(self.power.mode, pw.ASLEEP)
        self.run_ms(100, LOOSE, 48_010)
        self.woken(pw.BY_CHARGER)

    def test_a_voltage_that_was_not_measured_does_not_wake(self):       # req: PWR-11 MEA-05
        self.run_s(60, pw.OPEN | pw.QUIET, 55_000)
        self.assertEqual(self.power.mode, pw.ASLEEP)

    def test_the_button(self):                                  # req: PWR-11 RST-01
        self.assertEqual(self.power.press(), pw.AWAKE)
        self.run_ms(100, LOOSE, 0)
        self.woken(pw.BY_BUTTON)

    def test_the_debug_port(self):                              # req: PWR-11
        self.power.hear_debug()
        self.run_ms(100, LOOSE, 0)
        self.woken(pw.BY_RS232)

    def test_other_ports_do_not(self):                          # req: PWR-11
        self.power.hear()
        self.run_s(60, LOOSE, 0)
        self.assertEqual(self.power.mode, pw.ASLEEP)

    def test_no_timed_wake_without_over_discharge(self):        # req: PWR-12
        self.run_s(50_000, LOOSE, 0)
        self.assertEqual((self.power.mode, self.news), (pw.ASLEEP, []))


class TestTimedWakes(Case):
    def setUp(self):
        Case.setUp(self)
        self.run_ms(31_500, REST | pw.OVER_DISCHARGED)
        self.fall_asleep(pw.OVER_DISCHARGE)
        self.held = LOOSE | pw.OVER_DISCHARGED

    def until_awake(self, most_s):
        """Seconds asleep before it is no longer, None if it stays."""
        second = 0
        while second < most_s:
            step_s = 1 if second % 14_400 >= 14_200 or second < 100 else 50
            self.run_ms(step_s * 1000, self.held, 0, step_ms=step_s * 1000)
            if self.power.mode != pw.ASLEEP:
                return second
            second += step_s
        return None

    def end_try(self):
        self.assertEqual(self.power.mode, pw.TRYING)
        self.run_ms(60_000, pw.MEASURED | pw.QUIET | pw.OVER_DISCHARGED)
        self.assertEqual(self.power.mode, pw.LOOKING)
        self.run_ms(700, self.held, 0)
        self.assertEqual(self.power.mode, pw.ASLEEP)

    def test_ten_wakes_four_hours_apart_and_no_more(self):      # req: PWR-12
        for wake in range(10):
            seconds = self.until_awake(14_401)
            self.assertTrue(14_330 <= seconds <= 14_400, seconds)
            self.assertEqual(self.power.tries, wake)
            self.end_try()
        self.assertEqual(self.power.tries, 10)
        self.assertIsNone(self.until_awake(200_000))
        self.assertEqual(self.news.count(pw.TRIES), 10)

    def test_charge_ends_it(self):                              # req: PWR-12
        self.power.tries = 7
        self.until_awake(14_401)
        self.run_ms(1900, pw.MEASURED | pw.CHARGES)
        self.run_ms(1000, pw.MEASURED | pw.QUIET)       # too short
        self.assertEqual(self.power.mode, pw.TRYING)
        self.run_ms(2000, pw.MEASURED | pw.CHARGES)
        self.assertEqual((self.power.mode, self.power.woken_by, self.power.tries),
                         (pw.AWAKE, pw.BY_CHARGE, 0))

    def test_any_charge_ends_the_row_of_wakes(self):            # req: PWR-12
        """Ten in vain, then a charger wakes and charges it: the next time there are ten again."""
        self.power.tries = 10
        self.assertIsNone(self.until_awake(30_000))
        self.run_ms(100, self.held, 48_500)
        self.assertEqual((self.power.mode, self.power.woken_by), (pw.AWAKE, pw.BY_CHARGER))
        self.run_ms(5000)                               # it is there, but nothing flows
        self.assertEqual(self.power.tries, 10)
        self.run_ms(1000, pw.MEASURED | pw.CHARGES)
        self.run_ms(3000)                               # nor for a second
        self.assertEqual(self.power.tries, 10)
        self.power.saved()
        self.run_ms(4000, pw.MEASURED | pw.CHARGES)
        self.assertEqual((self.power.tries, self.power.dirty), (0, True))

    def test_discharge_ends_it_at_once(self):                   # req: PWR-12 PRO-02
        self.until_awake(14_401)
        self.run_ms(500)
        self.assertFalse(self.power.holds())
        self.run_ms(100, pw.MEASURED | pw.DISCHARGES)
        self.assertTrue(self.power.holds())
        self.assertEqual(self.power.tries, 1)

    def test_an_external_voltage_keeps_it_awake(self):          # req: PWR-12 PWR-10
        self.until_awake(14_401)
        self.run_ms(60_000, pw.MEASURED | pw.QUIET)
        self.run_ms(3000, self.held, 40_000)
        self.assertEqual((self.power.mode, self.power.refused), (pw.AWAKE, pw.EXTERNAL))

    def test_the_button_wakes_for_good(self):                   # req: PWR-12 RST-01
        self.until_awake(14_401)
        self.assertEqual(self.power.press(), pw.AWAKE)
        self.run_ms(100)
        self.assertEqual((self.power.mode, self.power.woken_by), (pw.AWAKE, pw.BY_BUTTON))

    def test_the_period_and_the_number_are_settable(self):      # req: PWR-12 PAR-01
        for name, value in (("wake_period_s", 60), ("wake_tries", 1), ("wake_try_s", 5)):
            self.params.set(name, value)
        self.assertTrue(self.until_awake(70) <= 60)
        self.run_ms(5000)
        self.run_ms(700, self.held, 0)
        self.assertIsNone(self.until_awake(1000))


class TestRocker(Case):
    def test_off_at_once_and_stored(self):                      # req: PWR-02
        self.power.rocker(False)
        self.run_ms(100)
        self.assertEqual((self.power.mode, self.news), (pw.OFF, [pw.STOPPED]))
        self.assertTrue(self.power.holds() and self.power.rests())

    def test_on_again(self):                                    # req: PWR-02
        self.power.rocker(False)
        self.run_ms(200)
        self.power.rocker(True)
        self.run_ms(100)
        self.assertEqual((self.power.mode, self.power.woken_by), (pw.AWAKE, pw.BY_ROCKER))

    def test_nothing_else_switches_it_on(self):                 # req: PWR-02 PWR-11
        self.sleep()
        self.power.rocker(False)
        self.run_ms(100, LOOSE, 0)
        self.assertEqual(self.power.press(), -1)
        self.power.hear_debug()
        self.assertRaises(ValueError, self.power.ask_sleep)
        self.run_s(100_000, LOOSE, 56_000)
        self.assertEqual(self.power.mode, pw.OFF)

    def test_off_at_boot(self):                                 # req: PWR-02 SAF-02
        self.power.start(False, False)
        self.run_ms(1000)
        self.assertEqual(self.power.mode, pw.OFF)


class TestBoot(Case):
    def booted(self, kept, resume):
        again = Power(self.params)
        if kept is not None:
            again.from_bytes(kept)
        again.start(True, resume)
        return again

    def test_a_watchdog_reset_does_not_wake(self):              # req: PWR-12 SAF-01
        self.run_ms(31_500, REST | pw.OVER_DISCHARGED)
        self.fall_asleep(pw.OVER_DISCHARGE)
        self.power.tries = 3
        kept = self.power.to_bytes()
        again = self.booted(kept, True)
        self.assertEqual((again.mode, again.reason, again.tries),
                         (pw.ASLEEP, pw.OVER_DISCHARGE, 3))
        again = self.booted(kept, False)                        # switched on
        self.assertEqual((again.mode, again.tries, again.dirty), (pw.AWAKE, 3, True))

    def test_awake_stays_awake(self):                           # req: PWR-01
        for kept in (None, self.power.to_bytes()):
            again = self.booted(kept, True)
            self.assertEqual((again.mode, again.dirty), (pw.AWAKE, False))

    def test_is_dirty_until_it_was_kept(self):                  # req: PWR-10 PAR-02
        self.sleep()
        self.assertTrue(self.power.dirty)
        self.power.saved()
        self.assertFalse(self.power.dirty)
        self.power.press()
        self.run_ms(100, LOOSE, 0)
        self.assertTrue(self.power.dirty)

    def test_a_record_that_cannot_be_is_refused(self):          # req: PAR-02
        for kept in (b"", b"\x01", b"\x63\x00", b"\x01\x02\x03", b"\x63" + bytes(7), bytes(9)):
            self.assertRaises(ValueError, self.power.from_bytes, kept)


    def test_a_record_of_an_earlier_version_is_taken(self):     # req: PAR-02
        again = self.booted(b"\x01\x04", True)
        self.assertEqual((again.mode, again.reason, again.tries, again.full_s),
                         (pw.ASLEEP, pw.OVER_DISCHARGE, 4, 0))


class TestRecharge(Case):
    def test_two_days_are_not_begun_anew_by_a_reset(self):      # req: PWR-13 PAR-02
        self.params.set("sleep_standby_s", 2_592_000)
        self.power.full_trips = 5
        self.run_s(2 * DAY_S - 100, REST | pw.OVER_CHARGED)
        kept = self.power.to_bytes()
        self.power = Power(self.params)
        self.power.from_bytes(kept)
        self.assertEqual((self.power.full_trips, self.power.dirty), (5, False))
        self.power.start(True, False)
        self.power.step(self.now, REST | pw.OVER_CHARGED, STACK_MV, CELL_MV)
        self.run_s(99, REST | pw.OVER_CHARGED)
        self.assertEqual(self.news, [])
        self.run_s(1, REST | pw.OVER_CHARGED)
        self.assertEqual(self.news, [pw.RECHARGE])

    def test_an_hour_of_it_is_kept(self):                       # req: PWR-13 PAR-02
        self.power.full_trips = 1
        self.assertTrue(self.power.dirty)                       # the trip itself, at once
        self.power.saved()
        self.run_s(3599, REST | pw.OVER_CHARGED)
        self.assertFalse(self.power.dirty)
        self.run_s(1, REST | pw.OVER_CHARGED)
        self.assertTrue(self.power.dirty)
        self.power.saved()
        self.power.full_trips = 0
        self.assertTrue(self.power.dirty)                       # and its release
        self.run_s(1)
        self.assertEqual(self.power.full_s, 0)

    def test_charging_is_allowed_again_after_two_days(self):    # req: PWR-13
        self.params.set("sleep_standby_s", 2_592_000)
        self.run_s(2 * DAY_S - 1, REST | pw.OVER_CHARGED)
        self.assertEqual(self.news, [])
        self.run_s(1, REST | pw.OVER_CHARGED)
        self.assertEqual(self.news, [pw.RECHARGE])

    def test_it_counts_asleep_too(self):                        # req: PWR-13
        self.sleep()
        self.run_s(2 * DAY_S, LOOSE | pw.OVER_CHARGED, 0)
        self.assertEqual(self.news, [pw.RECHARGE])

    def test_a_release_begins_it_anew(self):                    # req: PWR-13
        self.params.set("sleep_standby_s", 2_592_000)
        for _ in range(3):
            self.run_s(2 * DAY_S - 10, REST | pw.OVER_CHARGED)
            self.run_s(1)
        self.assertEqual(self.news, [])


if __name__ == "__main__":
    unittest.main()
