"""The panel task: contacts, buzzer and address of a pack that is set by hand."""

import unittest

from bms.power import power as pw
from bms.words import states as st
from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import LATE, WRAP, FakePin
from profiles import am5000, b1_5_1_48
from tasks.panel import Panel

# bits of ITEMS: PRO-02, PRO-15, PRO-09
UV, LOW_SOC, COLD_CHARGE = 0x02, 0x4000, 0x100


class Inputs:
    levels = 0xFF

    def read(self):
        return self.levels


class Case(unittest.TestCase):
    PROFILE = am5000

    def setUp(self):
        self.params = Parameters(self.PROFILE.DEFAULTS)
        self.pack = Pack(self.PROFILE, self.params, 100)
        self.pack.state = st.STANDBY
        self.inputs = Inputs()
        self.buzzer = FakePin()
        self.do1, self.do2 = FakePin(), FakePin()
        self.words = []
        self.panel = Panel(self.pack, self.words.append, self.inputs, self.buzzer,
                           (self.do1, self.do2))
        self.now = LATE

    def run_ms(self, ms):
        """Steps for *ms*; the levels that the buzzer had after each."""
        levels = []
        for _ in range(ms // 50):
            self.now = (self.now + 50) % WRAP
            self.panel.step(self.now)
            levels.append(self.buzzer.level)
        return levels


class TestContacts(Case):
    def levels(self):
        self.run_ms(500)
        return (self.do1.level, self.do2.level)

    def test_protection_or_fault_and_low_capacity(self):        # req: DRY-01
        self.assertEqual(self.levels(), (0, 0))
        self.pack.protection.trips = UV
        self.assertEqual(self.levels(), (1, 0))
        self.pack.protection.trips = 0
        self.pack.faults = 1
        self.assertEqual(self.levels(), (1, 0))
        self.pack.faults = 0
        self.pack.protection.alarms = UV
        self.assertEqual(self.levels(), (0, 0))
        self.pack.protection.alarms = UV | LOW_SOC
        self.assertEqual(self.levels(), (0, 1))

    def test_what_stops_the_present_direction_or_both(self):    # req: DRY-01 LED-05
        protection = self.pack.protection
        protection.trips = COLD_CHARGE
        self.assertEqual(self.levels(), (1, 0))         # standby: any of them
        self.pack.direction = st.DISCHARGING
        self.assertEqual(self.levels(), (0, 0))
        self.pack.direction = st.CHARGING
        self.assertEqual(self.levels(), (1, 0))
        protection.trips = 0x10000                      # PRO-17 stops both
        for self.pack.direction in (st.DISCHARGING, st.CHARGING, st.STANDBY):
            self.assertEqual(self.levels(), (1, 0))

    def test_polarity(self):                                    # req: DRY-01
        self.params.set("do1_inverted", 1)
        self.params.set("do2_inverted", 1)
        self.assertEqual(self.levels(), (1, 1))
        self.pack.protection.trips = UV
        self.pack.protection.alarms = LOW_SOC
        self.assertEqual(self.levels(), (0, 0))

    def test_functions(self):                                   # req: DRY-01
        self.params.set("do2_function", 0)
        for number, spoil in ((3, {"alarms": UV}), (4, {"direction": st.CHARGING}),
                              (5, {"direction": st.DISCHARGING}), (6, {"state": st.SLEEP})):
            self.params.set("do1_function", number)
            self.assertEqual(self.levels(), (0, 0), number)
            for name in spoil:
                thing = self.pack.protection if name == "alarms" else self.pack
                before = getattr(thing, name)
                setattr(thing, name, spoil[name])
                self.assertEqual(self.levels(), (1, 0), number)
                setattr(thing, name, before)


class TestBuzzer(Case):
    def test_silent_by_default(self):                           # req: BUZ-01
        self.pack.faults = 1
        self.assertEqual(max(self.run_ms(5000)), 0)

    def test_sounds_when_enabled(self):                         # req: BUZ-01
        self.pack.protection.trips = UV
        self.params.set("buzzer_enable", 1)
        levels = self.run_ms(8000)
        self.assertEqual(sum(levels), 4 * 5)
        self.params.set("buzzer_enable", 0)
        self.run_ms(500)
        self.assertEqual(max(self.run_ms(5000)), 0)


    def test_the_first_beep_starts_with_the_event(self):        # req: BUZ-01
        self.params.set("buzzer_enable", 1)
        self.run_ms(1000 + 350)                         # anywhere between two ticks of the lamps
        self.pack.protection.trips = UV
        self.assertEqual(self.run_ms(300), [1] * 5 + [0])
        self.pack.faults = 1
        self.assertEqual(self.run_ms(300), [1] * 5 + [0])


class TestBatterySwitch(Case):
    """AS1 manual 5.3 and 5.4; the blue light is the ON/OFF lamp."""

    PROFILE = b1_5_1_48
    BLUE, ALL = 0x100, 0x1FF

    def press(self, ms):
        self.inputs.levels = 0xFF & ~0x10
        self.run_ms(ms)

    def let_go(self):
        self.inputs.levels = 0xFF
        self.run_ms(150)

    def sleep(self):
        self.pack.power.mode = pw.ASLEEP
        self.pack.state = st.SLEEP
        self.run_ms(500)
        self.assertEqual(self.words[-1], 0)

    def test_a_press_shows_life_within_a_second(self):          # req: AS1-03
        self.sleep()
        self.press(200)
        self.assertTrue(self.words[-1] & self.BLUE)
        self.assertTrue(self.words[-1] & ~self.BLUE)
        self.assertEqual(self.pack.power.press(), pw.AWAKE)     # it is asked to wake

    def test_held_five_seconds_and_released_it_stops(self):     # req: AS1-03
        self.run_ms(500)
        self.assertTrue(self.words[-1] & self.BLUE)
        self.press(5000)
        self.assertTrue(self.words[-1] & self.BLUE)             # not before it is let go
        self.assertFalse(self.pack.power.goes())
        self.let_go()
        self.assertTrue(self.pack.power.goes())
        self.assertFalse(self.words[-1] & self.BLUE)

    def test_a_short_press_stops_nothing(self):                 # req: AS1-03
        for ms in (100, 1000, 4000):
            self.press(ms)
            self.let_go()
            self.assertFalse(self.pack.power.goes())

    def test_the_press_that_starts_does_not_stop(self):         # req: AS1-03
        self.sleep()
        self.press(200)
        self.assertEqual(self.pack.power.step(self.now, 0, 52_000, 3300), pw.WOKE)
        self.pack.state = st.STANDBY
        self.press(6000)
        self.let_go()
        self.assertFalse(self.pack.power.goes())


class TestAddress(Case):
    def test_taken_over_when_it_is_steady(self):                # req: DIP-01
        self.inputs.levels = 0xFF & ~0x5
        self.run_ms(50)
        self.assertEqual(self.pack.dip, 5)          # at start: at once
        before = self.pack.events.newest
        self.inputs.levels = 0xFF & ~0x3
        self.run_ms(950)
        self.assertEqual(self.pack.dip, 5)
        self.run_ms(200)
        self.assertEqual((self.pack.dip, self.pack.events.newest), (3, before + 1))

    def test_no_answer_changes_nothing(self):                   # req: DIP-01
        self.inputs.levels = 0xFF & ~0x5
        self.run_ms(100)
        self.inputs.levels = -1
        self.run_ms(3000)
        self.assertEqual(self.pack.dip, 5)


if __name__ == "__main__":
    unittest.main()
