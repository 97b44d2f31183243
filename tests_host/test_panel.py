"""The panel task: contacts, buzzer and address of a pack that is set by hand."""

import unittest

from bms import states as st
from bms.pack_state import Pack
from bms.parameters import Parameters
from fakes import LATE, WRAP, FakePin
from profiles import am5000
from tasks.panel import Panel

UV, LOW_SOC = 0x02, 0x4000          # bits of ITEMS: PRO-02, PRO-15


class Inputs:
    levels = 0xFF

    def read(self):
        return self.levels


class Case(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.pack = Pack(am5000, self.params, 100)
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
