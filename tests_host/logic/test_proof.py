"""An image on trial: confirmed after a good minute, or the one before comes back (SAF-06)."""

import unittest

from bms.update.proof import CONFIRMED, REFUSED, Proof
from bms.words import events as ev
from bms.words.rules import FAULT_LOST, FAULT_RAM, FAULT_TASK


class Slots:
    """As ImageSlots. done: what was called."""

    def __init__(self, on_trial=True, outcome=0):
        self.on_trial = on_trial
        self._outcome = outcome
        self.done = []

    def outcome(self):
        return self._outcome

    def confirm(self):
        self.done.append("confirm")

    def settle(self):
        self.done.append("settle")

    def refuse(self, reason):
        self.done.append(reason)


class Pack:
    def __init__(self):
        self.faults = set()
        self.records = []
        self.events = self
        self.testing = False
        self.afe_ready = True

    def has(self, fault):
        return fault in self.faults

    def add(self, now_ms, event, item, cell, value):
        self.records.append((now_ms, event, item, value))


# req: SAF-06
class TestProof(unittest.TestCase):
    def setUp(self):
        self.slots = Slots()
        self.pack = Pack()
        self.proof = Proof(self.slots, self.pack, lambda: self.slots.done.append("back"))

    def seconds(self, count, errors=0, in_time=True):
        for _ in range(count):
            self.proof.step(errors, in_time, 7)

    def test_a_good_minute(self):
        self.seconds(59)
        self.assertFalse(self.proof.wants)
        self.seconds(1)
        self.assertTrue(self.proof.wants)
        self.assertEqual(self.slots.done, [])
        self.proof.write(9)
        self.assertFalse(self.proof.running or self.proof.wants)
        self.assertEqual(self.pack.records, [(9, ev.UPDATE, CONFIRMED, 0)])
        self.seconds(100, 5, False)
        self.assertEqual(self.slots.done, ["confirm"])

    def test_it_starts_anew_after_a_second_that_was_not(self):
        self.seconds(20)
        self.seconds(1, in_time=False)
        self.seconds(59)
        self.assertFalse(self.proof.wants)
        self.seconds(1)
        self.assertTrue(self.proof.wants)

    def test_back_within_90_s_with_the_reason(self):
        def afe():
            self.pack.afe_ready = False

        def testing():
            self.pack.testing = True

        for wrong, reason in ((lambda: self.pack.faults.add(FAULT_RAM), 4),
                              (lambda: self.pack.faults.add(FAULT_TASK), 3), (afe, 6),
                              (testing, 7)):
            self.setUp()
            wrong()
            self.seconds(84)
            self.assertEqual(self.slots.done, [])
            self.seconds(1)
            self.assertEqual(self.slots.done, [reason, "back"])
            self.seconds(100)
            self.assertEqual(self.slots.done, [reason, "back"])

    def test_a_task_that_raises_now_and_then(self):
        for second in range(85):
            self.proof.step(1 + second // 50, True, 7)
        self.assertEqual(self.slots.done, [7, "back"])

    def test_a_task_that_raises_for_ever(self):
        for second in range(85):
            self.proof.step(second + 1, True, 7)
        self.assertEqual(self.slots.done, [3, "back"])

    def test_lost_parameters_wait_for_nothing(self):
        self.pack.faults.add(FAULT_LOST)
        self.seconds(1)
        self.assertEqual(self.slots.done, [5, "back"])

    def test_its_main_loop_ends(self):
        self.proof.give_up(8, 7)
        self.assertEqual(self.slots.done, [8, "back"])
        self.proof.give_up(8, 7)
        self.assertEqual(self.slots.done, [8, "back"])

    def test_flash_that_does_not_take_it(self):
        """A reset is enough: the boot stage knows of the trial."""
        def refuse(reason=0):
            raise OSError(5)
        self.slots.refuse = self.slots.confirm = refuse
        self.seconds(60)
        self.proof.write(9)
        self.assertEqual(self.slots.done, ["back"])
        self.assertEqual(self.pack.records, [])

    def test_an_image_that_is_confirmed(self):
        for slots in (None, Slots(False)):
            proof = Proof(slots, self.pack, None)
            proof.begin(5)
            self.pack.faults.add(FAULT_RAM)
            for _ in range(100):
                proof.step(0, False, 7)
            proof.give_up(8, 7)
            self.assertFalse(proof.running or proof.wants)
            self.assertEqual(self.pack.records, [])

    def test_what_became_of_a_trial_is_put_on_record(self):
        slots = Slots(False, 1)
        proof = Proof(slots, self.pack, None)
        proof.begin(5)
        self.assertEqual(self.pack.records, [(5, ev.UPDATE, REFUSED, 1)])
        self.assertTrue(proof.wants)
        self.assertEqual(slots.done, [])
        proof.write(9)
        self.assertEqual(slots.done, ["settle"])
        self.assertFalse(proof.wants)
