"""The owner's PIN: what is open without it, what wrong tries cost; only a hash is kept."""

import os
import unittest

from bms.words import events as ev
from bms.words.events import Events
from bms.words.parameters import Parameters
from bms.host.pin import Pin
from bms.host.rights import Rights
from fakes import reason


class TestPin(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.events = Events()
        self.pin = Pin(self.params, self.events)

    def seconds(self, count):
        for _ in range(count):
            self.pin.step()

    def kinds(self):
        return [(self.events.get(seq, ev.EVENT), self.events.get(seq, ev.ITEM))
                for seq in range(1, self.events.newest + 1)]

    def set(self):
        self.pin.set("4711", 0)
        self.assertTrue(self.pin.is_set and not self.pin.may_write)

    def test_with_none_set_everything_is_allowed(self):         # req: SAF-11
        self.assertTrue(self.pin.may_write and not self.pin.is_set)
        self.assertIn("no PIN is set", reason(ValueError, self.pin.enter, "1234", 0))
        self.assertEqual(self.kinds(), [])

    def test_the_right_one_opens_for_ten_minutes(self):         # req: SAF-11
        self.set()
        self.pin.enter("4711", 0)
        self.seconds(599)
        self.assertTrue(self.pin.may_write)
        self.seconds(1)
        self.assertFalse(self.pin.may_write)
        self.pin.enter("4711", 0)
        self.seconds(500)
        self.pin.use()                                          # it is being used
        self.seconds(599)
        self.assertTrue(self.pin.may_write)
        self.pin.close()
        self.assertFalse(self.pin.may_write)

    def test_what_is_worked_out_in_small_steps_is_the_same(self):    # req: SAF-11 COM-10
        steps = sum(1 for _ in self.pin.prepare("4711", True))
        self.assertTrue(steps >= 10)
        self.set()
        for text in ("4712", "4711"):
            for _ in self.pin.prepare(text, False):
                self.assertFalse(self.pin.may_write)            # nothing is open before enter()
            self.assertFalse(self.pin.may_write)
            if text == "4712":
                self.assertIn("4 tries left", reason(ValueError, self.pin.enter, text, 0))
        self.pin.enter("4711", 0)
        self.assertTrue(self.pin.may_write)
        self.pin.close()
        for _ in self.pin.prepare("4711", False):
            pass
        self.assertIn("wrong", reason(ValueError, self.pin.enter, "4712", 0))     # another one

    def test_five_wrong_tries_cost_a_minute_then_it_doubles(self):  # req: SAF-11
        self.set()
        for wait_s in (60, 120, 240, 480):
            for left in (4, 3, 2, 1):
                text = reason(ValueError, self.pin.enter, "0000", 0)
                self.assertIn("%d tries left" % left, text)
                self.assertEqual(self.pin.locked_s, 0)
            self.assertIn("wait %d s" % wait_s, reason(ValueError, self.pin.enter, "0000", 0))
            self.seconds(wait_s - 1)
            self.assertIn("wait 1 s", reason(ValueError, self.pin.enter, "4711", 0))
            self.assertFalse(self.pin.may_write)
            self.seconds(1)
        self.pin.enter("4711", 0)
        self.assertTrue(self.pin.may_write)
        self.pin.close()
        for _ in range(4):                                      # the count has begun anew
            self.assertRaises(ValueError, self.pin.enter, "0000", 0)
        self.assertEqual(self.pin.locked_s, 0)

    def test_a_wait_has_an_end_within_a_day(self):              # req: SAF-11
        self.set()
        for _ in range(200):
            self.pin.locked_s = 0
            self.assertRaises(ValueError, self.pin.enter, "0000", 0)
        self.assertTrue(self.pin.locked_s <= 86_400)

    def test_every_try_is_on_record(self):                      # req: SAF-11 PRO-25
        self.set()
        self.assertRaises(ValueError, self.pin.enter, "0000", 0)
        self.pin.enter("4711", 0)
        self.pin.set("", 0)
        self.assertEqual(self.kinds(), [(ev.PIN_SET, 1), (ev.PIN_WRONG, 1), (ev.PIN_OPEN, 0),
                                        (ev.PIN_SET, 0)])
        self.assertTrue(self.pin.may_write)

    def test_only_who_has_it_changes_it(self):                  # req: SAF-11
        self.set()
        self.assertIn("locked", reason(ValueError, self.pin.set, "1111", 0))
        self.assertIn("locked", reason(ValueError, self.pin.set, "", 0))
        self.pin.enter("4711", 0)
        self.assertIn("4 to 16", reason(ValueError, self.pin.set, "111", 0))
        self.assertIn("4 to 16", reason(ValueError, self.pin.set, "1" * 17, 0))
        self.pin.set("1111", 0)
        self.assertFalse(self.pin.may_write)
        self.assertRaises(ValueError, self.pin.enter, "4711", 0)
        self.pin.enter("1111", 0)

    def test_a_restart_neither_opens_nor_forgives(self):        # req: SAF-11
        self.set()
        for _ in range(5):
            self.assertRaises(ValueError, self.pin.enter, "0000", 0)
        self.assertTrue(self.pin.dirty)
        kept = self.pin.to_bytes()
        self.assertFalse(b"4711" in kept)
        again = Pin(self.params, self.events)
        again.from_bytes(kept)
        self.assertEqual((again.may_write, again.locked_s), (False, 60))
        for _ in range(60):
            again.step()
        again.enter("4711", 0)
        self.assertRaises(ValueError, again.from_bytes, b"\x00\x01\x02")

    def test_the_same_pin_is_kept_differently(self):            # req: SAF-11
        if os.urandom(8) == os.urandom(8):
            raise unittest.SkipTest("the emulated chip's oscillator is not random")
        self.set()
        other = Pin(self.params, self.events)
        other.set("4711", 0)
        self.assertFalse(self.pin.to_bytes() == other.to_bytes())


class TestRights(unittest.TestCase):
    def test_every_unlock_is_on_record(self):                   # req: SAF-11 COM-07
        events = Events()
        rights = Rights(Parameters(), events)
        rights.unlock(7, 123)
        self.assertEqual([events.get(1, k) for k in (ev.TICKS_MS, ev.EVENT, ev.VALUE)],
                         [123, ev.PORTS_UNLOCKED, 7])


if __name__ == "__main__":
    unittest.main()
