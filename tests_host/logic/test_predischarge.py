"""Pre-discharge: what is refused, and when it is tried again (PWR-03)."""

import unittest
from array import array

from bms.protect.predischarge import FIRST, IDLE, KNOWN, PAUSE, SECOND, Predischarge
from bms.words.retry import Retry
from bms.words import readings as rd
from bms.words.rules import mask_of

ROW = mask_of("PWR-03")
STACK = 52_000
SHORT_MA = -52_000 * 1000 // 1150       # 0.15 Ohm behind 1 Ohm: 350 A without that


def load(amperes):
    """Terminals mV -> mA; below 40 V it is a resistance."""
    return lambda mv: amperes * min(1000, mv / 40)


def resistor(milliohm):
    return lambda mv: mv * 1000 / milliohm


def battery(held_mv):
    return lambda mv: 0 if mv <= held_mv else 10 ** 9


class TestPredischarge(unittest.TestCase):
    def setUp(self):
        self.watch = Predischarge()
        self.values = array("i", [0] * rd.COUNT)
        self.values[rd.STACK_MV] = STACK

    def scan(self, pack_mv, active=True, trips=0, shorted=0, current_ma=None, closed=False):
        """One scan; None: the current through 1 Ohm, at 0 V, which may be of before, 40 A."""
        if current_ma is None:
            current_ma = min(0, max(-40_000, pack_mv - STACK)) if active else 0
        self.values[rd.PACK_MV] = pack_mv
        self.values[rd.CURRENT_MA] = current_ma
        self.values[rd.SHORTED] = shorted
        self.watch.look(self.values, active, trips, closed)
        return self.values[rd.PRECHARGE]

    def begin(self, *terminals_mv, before_mv=0):
        """Readings of a pre-discharge, scan by scan."""
        for _ in range(2):
            self.scan(before_mv, active=False)
        return [self.scan(pack_mv) for pack_mv in terminals_mv]

    def hang(self, draws, before_mv=0, leaves_mv=None):
        """Terminals on which something hangs: what the whole of it comes to.

        draws       function(terminals mV) -> mA: found by trying 1 Ohm of the path on it
        leaves_mv   None: at 0 V with the pre-discharge FET open
        returns     (refused, scans with the pre-discharge FET closed, the state)
        """
        on_mv = max(mv for mv in range(0, STACK + 1, 10) if draws(mv) <= STACK - mv)
        off_mv = 0 if leaves_mv is None else leaves_mv
        last_mv = before_mv
        for _ in range(2):
            self.scan(last_mv, active=False)
        active, count = True, 0
        for _ in range(12):
            mv = on_mv if active else off_mv
            told = self.scan(last_mv, active, current_ma=mv - STACK if active else 0)
            last_mv = mv                # a voltage is one scan old, the current is not
            count += active
            if told == 1:
                return True, count, self.watch.state
            active = not self.watch.pauses
        return False, count, self.watch.state

    def test_a_load_up_to_the_continuous_current_is_none(self):         # req: PWR-03
        for amperes in (0, 0.4, 3, 5, 20, 50, 60, 100):
            self.setUp()
            refused, _, state = self.hang(load(amperes))
            self.assertEqual((refused, state), (False, KNOWN), amperes)

    def test_a_resistance_is_refused_below_that_of_the_short_circuit(self):     # req: PWR-03
        for milliohm, refused in ((1, True), (20, True), (100, True), (140, True), (200, False),
                                  (350, False), (660, False), (50_000, False)):
            self.setUp()
            self.assertEqual(self.hang(resistor(milliohm))[0], refused, milliohm)

    def test_a_short_circuit_is_refused_at_the_first_scan(self):        # req: PWR-03
        self.scan(0, active=False)
        self.assertEqual(self.scan(0, current_ma=SHORT_MA - 300), 1)
        self.setUp()
        self.scan(0, active=False)
        self.assertEqual(self.scan(0, current_ma=SHORT_MA + 300), 0)    # 0 V may be of before

    def test_the_voltage_alone_refuses_it_at_the_second(self):          # req: PWR-03 MEA-07
        for current_ma in (0, -26_000, rd.NO_READING):          # the sensor is dead
            self.setUp()
            self.scan(0, active=False)
            told = [self.scan(0, current_ma=current_ma) for _ in range(2)]
            self.assertEqual(told, [0, 1], current_ma)

    def test_a_foreign_voltage_is_refused_whatever_it_is(self):         # req: PWR-03 COM-09
        for volts in (6, 20, 40, 46, 48):
            for before in (0, volts * 1000):        # behind a diode, and direct
                self.setUp()
                refused, count, _ = self.hang(battery(volts * 1000), before, volts * 1000)
                self.assertTrue(refused, (volts, before))
                self.assertTrue(count <= 4, (volts, before, count))

    def test_a_battery_that_resists_enough_is_not(self):        # req: PWR-03
        self.assertFalse(self.hang(lambda mv: (mv - 46_000) / 1.0, 0, 46_000)[0])   # 6 A

    def test_a_capacitor(self):                                 # req: PWR-03
        for terminals_mv in ((0, 36_000, 46_000), (0, 20_000), (0, 49_000), (0, 52_000)):
            self.setUp()
            self.assertEqual(sum(self.begin(*terminals_mv)), 0, terminals_mv)
        self.setUp()
        self.begin(0, 40_000)                       # a large one: it stays, and goes on rising
        self.assertEqual(self.watch.state, PAUSE)
        self.assertEqual([self.scan(mv, active=False) for mv in (40_000, 39_900)], [0, 0])
        self.assertEqual(self.watch.state, SECOND)
        self.assertEqual([self.scan(mv) for mv in (39_900, 46_000)], [0, 0])
        self.assertEqual(self.watch.state, KNOWN)
        self.setUp()                                # charged to one half by something else
        self.assertEqual(self.begin(20_000, 41_000, before_mv=20_000), [0, 0])

    def test_it_pauses_for_two_scans(self):                     # req: PWR-03
        self.assertEqual(self.begin(0, 15_000), [0, 0])
        self.assertTrue(self.watch.pauses)
        self.assertEqual(self.scan(15_000), 0)      # the command comes a scan late
        self.assertTrue(self.watch.pauses)
        self.scan(15_000, active=False)
        self.assertTrue(self.watch.pauses)          # a voltage of before
        self.scan(0, active=False)
        self.assertFalse(self.watch.pauses)
        self.assertEqual([self.scan(15_000) for _ in range(5)], [0] * 5)
        self.assertFalse(self.watch.pauses)
        self.scan(STACK, False, closed=True)
        self.assertEqual(self.watch.state, IDLE)

    def test_a_short_circuit_that_comes_later_is_still_refused(self):   # req: PWR-03
        self.begin(0, 15_000)
        for _ in range(2):
            self.scan(0, active=False)
        self.assertEqual(self.watch.state, KNOWN)
        self.assertEqual(self.scan(0, current_ma=-50_000), 1)

    def test_what_was_found_is_forgotten_when_others_hold_it_off(self):     # req: PWR-03
        self.begin(0, 15_000)
        for _ in range(51):
            self.scan(0, active=False)
        self.assertEqual(self.watch.state, IDLE)
        self.scan(0)
        self.assertEqual(self.watch.state, FIRST)

    def test_just_after_the_discharge_fet_was_closed_nothing_is_probed(self):   # req: PAR-04
        self.scan(STACK, False, closed=True)
        self.assertEqual([self.scan(6_000) for _ in range(3)], [0] * 3)    # 52 V were its own
        self.assertFalse(self.watch.pauses)
        self.assertEqual(self.scan(0, current_ma=-50_000), 1)

    def test_terminals_near_or_above_the_stack(self):           # req: PWR-03
        for mv in (49_000, 52_000, 56_000):
            self.setUp()
            self.assertEqual(self.begin(mv, mv, mv, before_mv=mv), [0] * 3)
            self.assertFalse(self.watch.pauses)

    def refuse(self):
        self.scan(0, active=False)
        self.assertEqual(self.scan(0, current_ma=-50_000), 1)

    def test_after_a_short_circuit_the_load_is_to_be_removed(self):     # req: PWR-03
        self.refuse()
        self.assertEqual([self.scan(0, False, ROW) for _ in range(20)], [0] * 20)
        self.assertEqual(self.scan(4_500, False, ROW, shorted=rd.OVER), -1)
        self.refuse()
        self.assertEqual(self.scan(0, False, ROW, shorted=rd.TRY), -1)      # it is time

    def test_the_resistor_is_spared_from_the_fifth_refusal_on(self):    # req: PWR-03
        for _ in range(4):
            self.refuse()
            self.assertEqual(self.scan(4_500, False, ROW, shorted=rd.OVER), -1)
        self.refuse()
        self.assertEqual(self.scan(4_500, False, ROW, shorted=rd.OVER), 0)
        self.assertEqual(self.scan(4_500, False, ROW, shorted=rd.TRY), -1)
        for _ in range(102):                    # it was closed for 10 s
            self.scan(STACK, False, closed=True)
        self.refuse()
        self.assertEqual(self.scan(4_500, False, ROW, shorted=rd.OVER), -1)

    def test_after_a_foreign_voltage_it_is_to_agree_or_to_go(self):     # req: PWR-03
        for mv, released in ((46_000, False), (48_999, False), (49_000, True), (4_999, True),
                             (5_000, False)):
            self.setUp()
            self.assertEqual(self.begin(46_000, 46_000, before_mv=46_000), [0, 1])
            told = [self.scan(mv, False, ROW, shorted=rd.OVER) for _ in range(6)]
            self.assertEqual(told, [0] * 4 + [-1] * 2 if released else [0] * 6, mv)
            self.assertEqual(self.scan(mv, False, ROW, shorted=rd.TRY), -1)

    def test_a_battery_behind_its_diode_is_dead_when_nothing_charges_it(self):  # req: PWR-03
        self.begin(0, 46_000)
        for _ in range(2):
            self.scan(45_900, active=False)
        self.assertEqual([self.scan(46_000), self.scan(46_000)], [0, 1])
        self.assertEqual([self.scan(0, False, ROW) for _ in range(20)], [0] * 20)
        self.assertEqual([self.scan(50_000, False, ROW) for _ in range(5)], [0] * 4 + [-1])


class TestRetry(unittest.TestCase):
    def tries(self, retry, seconds, shorted=True):
        """Seconds at which it is tried; what it is tried on is refused a scan later."""
        found = []
        tripped = shorted
        for scan in range(seconds * 10):
            if not retry.step(tripped, 100):
                tripped = shorted
            else:
                found.append(scan // 10)
                tripped = False
        return found

    def test_waits_grow(self):                                  # req: PWR-03 PRO-08
        found = self.tries(Retry(), 2000)
        waits = [b - a for a, b in zip([0] + found, found)]
        self.assertEqual(waits[:4], [30, 120, 480, 600])

    def test_after_ten_quiet_minutes_they_begin_anew(self):     # req: PWR-03 PRO-08
        retry = Retry()
        self.tries(retry, 200)
        self.tries(retry, 500, False)
        self.assertEqual(self.tries(retry, 479), [])
        retry = Retry()
        self.tries(retry, 160)
        self.tries(retry, 602, False)
        self.assertEqual(self.tries(retry, 31), [30])


if __name__ == "__main__":
    unittest.main()
