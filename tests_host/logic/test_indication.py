"""Lamps: the document's table, its flash patterns and its bands of capacity."""

import unittest

from bms.panel import indication as ind
from bms.words import states as st
from fakes import LATE, WRAP

RUN, ALM, ONOFF = 0x40, 0x80, 0x100
CAPS = 0x3F
# bits of ITEMS
CELL_OV, CELL_UV, PACK_OV, PACK_UV = 1, 2, 4, 8
CHARGE_OC, DISCHARGE_OC, SHORT, COLD_CHARGE = 0x10, 0x20, 0x80, 0x100
ENV_COLD, MOS_HOT, REVERSED = 0x1000, 0x10000, 0x20000
HALF = 5000                     # cpct: third band, L1..L4 of the bands below 66.4 %


def times_on(word_of, mask, ticks=64):
    """Ticks of 250 ms, of *ticks*, at which all of *mask* is lit."""
    return sum(1 for tick in range(ticks) if word_of(tick) & mask == mask)


class TestPatterns(unittest.TestCase):
    def test_flash_patterns_of_the_document(self):              # req: LED-02
        # on and off in ticks of 0.25 s
        for pattern, on, off in ((ind.FLASH_1, 1, 15), (ind.FLASH_2, 2, 2), (ind.FLASH_3, 2, 6),
                                 (ind.ON, 1, 0), (ind.OFF, 0, 1)):
            levels = [ind.level_of(pattern, tick) for tick in range(3 * (on + off))]
            self.assertEqual(levels, ([1] * on + [0] * off) * 3)

    def test_all_patterns_begin_together(self):                 # req: LED-02
        for pattern in (ind.FLASH_1, ind.FLASH_2, ind.FLASH_3):
            for tick in (0, 16, 160, 16_000 * 16):
                self.assertEqual(ind.level_of(pattern, tick), 1)


class TestBands(unittest.TestCase):
    def test_bands_of_the_document(self):                       # req: LED-01
        for soc_cpct, lamp in ((0, 0), (1659, 0), (1660, 1), (1661, 1), (3319, 1), (3320, 2),
                               (3321, 2), (4979, 2), (4980, 3), (4981, 3), (6639, 3), (6640, 4),
                               (6641, 4), (8299, 4), (8300, 5), (8301, 5), (10_000, 5)):
            self.assertEqual(ind.band(soc_cpct), lamp, soc_cpct)

    def test_discharging_lights_up_to_the_band(self):           # req: LED-01
        row = ind.row_for(st.DISCHARGING, st.DISCHARGING, 0, 0)
        for soc_cpct, lamps in ((1000, 0x01), (2000, 0x03), (4000, 0x07), (5000, 0x0F),
                                (7000, 0x1F), (9000, 0x3F), (0, 0x01), (10_000, 0x3F)):
            for tick in range(16):
                self.assertEqual(ind.lamp_word(row, soc_cpct, tick) & CAPS, lamps, soc_cpct)

    def test_charging_flashes_the_top_lamp(self):               # req: LED-01
        row = ind.row_for(st.CHARGING, st.CHARGING, 0, 0)
        for soc_cpct, below, top in ((1000, 0x00, 0x01), (5000, 0x07, 0x08), (10_000, 0x1F, 0x20)):
            for tick, lit in ((0, top), (1, top), (2, 0), (3, 0), (4, top)):
                self.assertEqual(ind.lamp_word(row, soc_cpct, tick) & CAPS, below | lit)


class TestTable(unittest.TestCase):
    """LED-03 line by line. In 64 ticks Flash 1 is lit 4 times, Flash 2 32, Flash 3 16."""

    def check(self, row, onoff, run, alm, caps):
        def word(tick):
            return ind.lamp_word(row, HALF, tick)
        self.assertEqual(times_on(word, ONOFF), onoff)
        self.assertEqual(times_on(word, RUN), run)
        self.assertEqual(times_on(word, ALM), alm)
        lit = {"off": [0], "band": [0x0F], "all": [0x3F], "charging": [0x07, 0x0F]}[caps]
        self.assertEqual(sorted({word(tick) & CAPS for tick in range(64)}), lit)

    def test_off_and_sleep(self):                               # req: LED-03
        for state in (st.SLEEP, st.OFF):
            self.check(ind.row_for(state, st.STANDBY, 0, 0), 0, 0, 0, "off")

    def test_standby(self):                                     # req: LED-03
        self.check(ind.row_for(st.STANDBY, st.STANDBY, 0, 0), 64, 4, 0, "band")
        self.check(ind.row_for(st.STANDBY, st.STANDBY, CELL_UV, 0), 64, 4, 16, "band")

    def test_charging(self):                                    # req: LED-03
        self.check(ind.row_for(st.CHARGING, st.CHARGING, 0, 0), 64, 64, 0, "charging")
        self.check(ind.row_for(st.CHARGING, st.CHARGING, CELL_UV, 0), 64, 64, 16, "charging")

    def test_an_over_charge_alarm_does_not_flash_while_charging(self):      # req: LED-03
        for alarms in (CELL_OV, PACK_OV, CELL_OV | PACK_OV):
            self.check(ind.row_for(st.CHARGING, st.CHARGING, alarms, 0), 64, 64, 0,
                       "charging")
        self.check(ind.row_for(st.CHARGING, st.CHARGING, CELL_OV | PACK_UV, 0), 64, 64, 16,
                   "charging")

    def test_over_charge_protection(self):                      # req: LED-03
        for trips in (CELL_OV, PACK_OV, CELL_OV | PACK_OV):
            self.check(ind.row_for(st.PROTECTION, st.CHARGING, CELL_OV, trips), 64, 64, 0, "all")

    def test_over_charge_protection_without_charger_is_standby(self):       # req: LED-03
        self.check(ind.row_for(st.PROTECTION, st.STANDBY, 0, CELL_OV), 64, 4, 0, "band")
        self.check(ind.row_for(st.PROTECTION, st.STANDBY, CELL_UV, CELL_OV), 64, 4, 16, "band")

    def test_discharging(self):                                 # req: LED-03
        self.check(ind.row_for(st.DISCHARGING, st.DISCHARGING, 0, 0), 64, 16, 0, "band")
        self.check(ind.row_for(st.DISCHARGING, st.DISCHARGING, CELL_UV, 0),
                   64, 16, 16, "band")

    def test_under_voltage_protection(self):                    # req: LED-03
        for trips in (CELL_UV, PACK_UV, CELL_UV | PACK_UV):
            self.check(ind.row_for(st.PROTECTION, st.DISCHARGING, CELL_UV, trips),
                       64, 0, 0, "off")

    def test_any_other_protection_of_the_direction(self):       # req: LED-03
        for direction, own, voltage in ((st.CHARGING, CHARGE_OC, CELL_OV),
                                        (st.CHARGING, COLD_CHARGE, CELL_OV),
                                        (st.CHARGING, MOS_HOT, CELL_OV),
                                        (st.DISCHARGING, DISCHARGE_OC, CELL_UV),
                                        (st.DISCHARGING, SHORT, CELL_UV),
                                        (st.DISCHARGING, ENV_COLD, CELL_UV)):
            for trips in (own, own | voltage, own | CELL_OV | CELL_UV):
                self.check(ind.row_for(st.PROTECTION, direction, 0, trips), 64, 0, 64, "off")

    def test_a_protection_of_the_other_direction_is_an_alarm(self):     # req: LED-05
        for trips in (COLD_CHARGE, CHARGE_OC, COLD_CHARGE | CELL_OV):
            self.check(ind.row_for(st.PROTECTION, st.DISCHARGING, 0, trips), 64, 16, 16, "band")
        for trips in (DISCHARGE_OC, CELL_UV, PACK_UV):
            self.check(ind.row_for(st.PROTECTION, st.CHARGING, 0, trips), 64, 64, 16, "charging")

    def test_over_voltage_never_flashes_alm(self):              # req: LED-05
        for bits in (CELL_OV, PACK_OV, CELL_OV | PACK_OV):
            self.check(ind.row_for(st.STANDBY, st.STANDBY, bits, 0), 64, 4, 0, "band")
            self.check(ind.row_for(st.DISCHARGING, st.DISCHARGING, bits, 0), 64, 16, 0, "band")
            self.check(ind.row_for(st.PROTECTION, st.DISCHARGING, bits, bits), 64, 16, 0, "band")
            self.check(ind.row_for(st.PROTECTION, st.STANDBY, bits, bits), 64, 4, 0, "band")

    def test_standby_with_a_protection(self):                   # req: LED-05
        for trips, alm, caps in (
                (COLD_CHARGE, 64, "band"), (DISCHARGE_OC, 64, "band"), (CHARGE_OC, 64, "band"),
                (COLD_CHARGE | CELL_OV, 64, "band"), (SHORT, 64, "off"), (ENV_COLD, 64, "off"),
                (COLD_CHARGE | DISCHARGE_OC, 64, "off"), (COLD_CHARGE | CELL_UV, 64, "off"),
                (CELL_UV, 0, "band"), (PACK_UV, 0, "band"), (CELL_UV | CELL_OV, 0, "off")):
            self.check(ind.row_for(st.PROTECTION, st.STANDBY, CELL_UV, trips), 64, 4, alm, caps)

    def test_fail(self):                                        # req: LED-03
        for direction in (st.STANDBY, st.CHARGING, st.DISCHARGING):
            for trips in (0, CELL_OV, CELL_UV):
                self.check(ind.row_for(st.FAIL, direction, 0, trips), 0, 0, 64, "off")

    def test_every_state_has_a_row(self):                       # req: LED-03
        for state in range(len(st.STATES)):
            for direction in (st.STANDBY, st.CHARGING, st.DISCHARGING):
                for bits in range(16):
                    word = ind.lamp_word(ind.row_for(state, direction, bits & 3, bits >> 2),
                                         HALF, 0)
                    self.assertTrue(0 <= word <= 0x1FF)


def edges(word_of, mask, ticks):
    """[(tick, level)] at which *mask* changes, from the first tick on."""
    found = []
    for tick in range(ticks):
        level = 1 if word_of(tick) & mask == mask else 0
        if not found or found[-1][1] != level:
            found.append((tick, level))
    return found


class TestShownDirection(unittest.TestCase):
    def setUp(self):
        self.shown = ind.ShownDirection()

    def test_the_direction_that_was_stopped_stays(self):        # req: LED-05
        for trips in (CELL_UV, DISCHARGE_OC, ENV_COLD):
            self.assertEqual(self.shown.step(st.DISCHARGING, 0, False), st.DISCHARGING)
            self.assertEqual(self.shown.step(st.DISCHARGING, trips, False), st.DISCHARGING)
            self.assertEqual(self.shown.step(st.STANDBY, trips, False), st.DISCHARGING)
            self.assertEqual(self.shown.step(st.STANDBY, trips, False), st.DISCHARGING)
            self.assertEqual(self.shown.step(st.STANDBY, 0, False), st.STANDBY)
            self.assertEqual(self.shown.step(st.STANDBY, trips, False), st.STANDBY)

    def test_what_stops_the_other_direction_does_not_hold_it(self):     # req: LED-05
        self.shown.step(st.DISCHARGING, COLD_CHARGE, False)
        self.assertEqual(self.shown.step(st.STANDBY, COLD_CHARGE, False), st.STANDBY)

    def test_stopped_charging_needs_a_charger(self):            # req: LED-03 LED-05
        for trips in (CELL_OV, COLD_CHARGE, CHARGE_OC):
            self.assertEqual(self.shown.step(st.CHARGING, 0, True), st.CHARGING)
            self.assertEqual(self.shown.step(st.STANDBY, trips, True), st.CHARGING)
            self.assertEqual(self.shown.step(st.STANDBY, trips, False), st.STANDBY)
            self.assertEqual(self.shown.step(st.STANDBY, trips, True), st.CHARGING)
            self.assertEqual(self.shown.step(st.STANDBY, 0, True), st.STANDBY)

    def test_short_circuit_and_reversed_charger_belong_to_discharging(self):    # req: LED-03
        for trips in (SHORT, REVERSED):
            self.assertEqual(self.shown.step(st.STANDBY, trips, False), st.DISCHARGING)
            self.assertEqual(self.shown.step(st.STANDBY, 0, False), st.STANDBY)


class TestBar(unittest.TestCase):
    """LED-04, AS1 manual 5.1."""

    def words(self, state, direction, trips=0, soc_cpct=HALF, updating=False):
        row = ind.bar_row_for(state, direction, trips, updating)
        return [ind.lamp_word(row, soc_cpct, tick) for tick in range(40)]

    def test_discharging_runs_from_bottom_to_top(self):         # req: LED-04
        words = self.words(st.DISCHARGING, st.DISCHARGING)
        self.assertEqual([word & CAPS for word in words[:9]],
                         [0, 0x01, 0x03, 0x07, 0x0F, 0x0F, 0x0F, 0x0F, 0])
        self.assertFalse(any(word & ALM for word in words))

    def test_charging_runs_from_top_to_bottom(self):            # req: LED-04
        words = self.words(st.CHARGING, st.CHARGING)
        self.assertEqual([word & CAPS for word in words[:9]],
                         [0, 0x08, 0x0C, 0x0E, 0x0F, 0x0F, 0x0F, 0x0F, 0])
        self.assertFalse(any(word & ALM for word in words))

    def test_the_bar_ends_at_the_capacity(self):                # req: LED-04
        for soc_cpct, lamps in ((0, 0x01), (1700, 0x03), (4000, 0x07), (9000, 0x3F)):
            for direction in (st.CHARGING, st.DISCHARGING):
                words = self.words(direction, direction, soc_cpct=soc_cpct)
                self.assertEqual(max(word & CAPS for word in words), lamps)

    def test_standby_flickers_red_once_a_second(self):          # req: LED-04
        row = ind.bar_row_for(st.STANDBY, st.STANDBY, 0, False)
        self.assertEqual(edges(lambda tick: ind.lamp_word(row, HALF, tick), ALM, 8),
                         [(0, 1), (2, 0), (4, 1), (6, 0)])
        self.assertEqual(ind.lamp_word(row, HALF, 0) & CAPS, 0x0F)

    def test_update_shows_green_and_red_in_turn(self):          # req: LED-04
        for state in (st.STANDBY, st.CHARGING, st.FAIL):
            for word in self.words(state, st.STANDBY, updating=True):
                self.assertEqual(bool(word & ALM), not word & CAPS)
                self.assertTrue(word & CAPS in (0, CAPS))

    def test_a_fault_is_red_all_the_time(self):                 # req: LED-04
        for state, trips in ((st.FAIL, 0), (st.PROTECTION, 0x20), (st.PROTECTION, CELL_UV)):
            for word in self.words(state, st.DISCHARGING, trips):
                self.assertEqual(word & (ALM | CAPS), ALM)

    def test_a_protection_of_the_other_direction_is_no_fault(self):     # req: LED-04 LED-05
        for direction, trips in ((st.DISCHARGING, COLD_CHARGE), (st.CHARGING, CELL_UV)):
            for word in self.words(st.PROTECTION, direction, trips):
                self.assertEqual(word & (ALM | RUN), RUN)

    def test_a_full_pack_is_no_fault(self):                     # req: LED-04
        for word in self.words(st.PROTECTION, st.STANDBY, CELL_OV)[2:4]:
            self.assertEqual(word & (ALM | CAPS), 0x0F)

    def test_dark_in_sleep_and_off(self):                       # req: LED-04 PWR-14
        for state in (st.SLEEP, st.OFF):
            self.assertEqual(max(self.words(state, st.STANDBY, updating=True)), 0)


class TestBuzzer(unittest.TestCase):
    def period(self, alarms=0, trips=0, faults=0, state=st.STANDBY, direction=st.STANDBY):
        return ind.buzz_for(state, direction, alarms, trips, faults)

    def test_each_one_two_or_three_seconds(self):               # req: BUZ-01
        for values, period_ms in (((0, 0, 1), 1000), ((0, 0x10, 0), 2000), ((0x10, 0, 0), 3000),
                                  ((0, 0, 0), 0)):
            self.assertEqual(self.period(*values), period_ms)

    def test_the_worst_wins(self):                              # req: BUZ-01
        self.assertEqual(self.period(0x10, 0x10, 1), 1000)
        self.assertEqual(self.period(0x10, 0x10, 0), 2000)

    def test_a_protection_of_the_other_direction_is_an_alarm(self):     # req: LED-05 BUZ-01
        self.assertEqual(self.period(0, COLD_CHARGE, direction=st.DISCHARGING), 3000)
        self.assertEqual(self.period(0, COLD_CHARGE, direction=st.CHARGING), 2000)
        self.assertEqual(self.period(0, COLD_CHARGE), 2000)
        self.assertEqual(self.period(0, ENV_COLD, direction=st.DISCHARGING), 2000)

    def test_over_charge_is_silent(self):                       # req: BUZ-01
        self.assertEqual(self.period(CELL_OV | PACK_OV, 0, 0), 0)
        self.assertEqual(self.period(CELL_OV, CELL_OV | PACK_OV, 0), 0)
        self.assertEqual(self.period(CELL_OV | 0x10, CELL_OV, 0), 3000)
        self.assertEqual(self.period(0, CELL_OV | CELL_UV, 0), 2000)

    def test_nothing_sounds_asleep_or_off(self):                # req: BUZ-01 PWR-14
        for state in (st.SLEEP, st.OFF):
            self.assertEqual(self.period(0x10, 0x10, 1, state), 0)


class TestBeeper(unittest.TestCase):
    """Levels of steps of 50 ms; a beep is five of them."""

    def setUp(self):
        self.beeper = ind.Beeper()
        self.now = LATE

    def run_ms(self, ms, period_ms):
        """[(ms since the call, how many ms)] of the beeps in the next *ms*."""
        found = []
        for at in range(0, ms, 50):
            self.now = (self.now + 50) % WRAP
            if self.beeper.step(self.now, period_ms):
                if found and found[-1][0] + found[-1][1] == at:
                    found[-1] = (found[-1][0], found[-1][1] + 50)
                else:
                    found.append((at, 50))
        return found

    def test_the_first_beep_starts_with_the_event(self):        # req: BUZ-01
        for quiet_ms in (1000, 1050, 1650):
            self.assertEqual(self.run_ms(quiet_ms, 0), [])
            self.assertEqual(self.run_ms(4300, 2000), [(0, 250), (2000, 250), (4000, 250)])

    def test_beeps_are_whole(self):                             # req: BUZ-01
        self.assertEqual(self.run_ms(100, 1000), [(0, 100)])
        self.assertEqual(self.run_ms(2000, 0), [(0, 150)])      # what was left of it

    def test_worse_begins_at_once(self):                        # req: BUZ-01
        self.run_ms(1000, 3000)
        self.assertEqual(self.run_ms(2500, 1000), [(0, 250), (1000, 250), (2000, 250)])

    def test_worse_during_a_beep_takes_it_for_its_first(self):  # req: BUZ-01
        self.run_ms(100, 3000)
        self.assertEqual(self.run_ms(1500, 1000), [(0, 150), (900, 250)])

    def test_better_keeps_time(self):                           # req: BUZ-01
        self.run_ms(500, 1000)
        self.assertEqual(self.run_ms(3500, 3000), [(2500, 250)])


class TestSequences(unittest.TestCase):
    def test_the_battery_switch_lights_its_blue_lamp(self):     # req: AS1-03
        self.assertEqual(ind.BLUE_WAKE_SEQUENCE, tuple(
            word | ONOFF for word in (RUN, ALM, 32, 16, 8, 4, 2, 1)))

    def test_half_a_second_each(self):                          # req: RST-01
        self.assertEqual(ind.WORD_TICKS * ind.TICK_MS, 500)
        self.assertEqual(len(ind.RESET_SEQUENCE) * 500, 1500)
        self.assertEqual(set(ind.RESET_SEQUENCE), {RUN | ALM | ONOFF | CAPS})

    def test_from_run_and_from_the_lowest(self):                # req: RST-01
        self.assertEqual(ind.WAKE_SEQUENCE, (RUN, ALM, 32, 16, 8, 4, 2, 1))
        self.assertEqual(ind.SLEEP_SEQUENCE, (1, 2, 4, 8, 16, 32, ALM, RUN))

    def test_the_count_of_ticks_begins_anew_in_phase(self):     # req: LED-02
        for length in (2, 4, 5, 6, 7, 8, 9, 10, 12, 16):
            self.assertEqual(ind.TICKS % length, 0)


if __name__ == "__main__":
    unittest.main()
