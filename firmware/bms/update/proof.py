"""An image on trial proves itself, or the one before comes back (SAF-06).

Confirmed after 60 s in a row in which every task was in time and none raised, the cell monitor was
configured, no self-test had found anything and all parameters were there. After 85 s without that
the image refuses itself. A reset before, also by the watchdog, brings back the one before.
"""

import image_slots as image
from bms.words import events as ev
from bms.words.rules import (
    FAULT_CLOCK,
    FAULT_DATA,
    FAULT_FLOW,
    FAULT_HOT,
    FAULT_LOST,
    FAULT_OUTPUT,
    FAULT_PROFILE,
    FAULT_PROGRAM,
    FAULT_RAM,
    FAULT_TASK,
)
from micropython import const

_GOOD_S = const(60)
_LONGEST_S = const(85)
_CHECKS = (
    (FAULT_LOST, image.PARAMETERS), (FAULT_PROFILE, image.PARAMETERS),
    (FAULT_RAM, image.SELF_TEST), (FAULT_PROGRAM, image.SELF_TEST),
    (FAULT_DATA, image.SELF_TEST), (FAULT_OUTPUT, image.SELF_TEST),
    (FAULT_CLOCK, image.SELF_TEST), (FAULT_FLOW, image.SELF_TEST),
    (FAULT_HOT, image.SELF_TEST), (FAULT_TASK, image.TASK))


CONFIRMED, REFUSED = 5, 6       # of the event records, behind those of tasks/update.py


class Proof:
    """The trial of the image that runs.

    slots    ImageSlots, or None: nothing is ever tried
    pack     Pack
    back     called when the image has refused itself: resets the board

    running  True while it has to prove itself
    wants    True while the journal is to be written: write() at a quiet moment, when all records
             are in flash
    """

    def __init__(self, slots, pack, back):
        self._slots = slots
        self._pack = pack
        self._back = back
        self.running = slots is not None and slots.on_trial
        self.wants = False
        self._age_s = 0
        self._good_s = 0
        self._errors = 0

    def begin(self, now_ms):
        """Put on record what became of a trial before this start."""
        reason = self._slots.outcome() if self._slots is not None else 0
        if reason:
            self._note(now_ms, REFUSED, reason)
            self.wants = True

    def _note(self, now_ms, what, value):
        self._pack.events.add(now_ms, ev.UPDATE, what, -1, value)

    def step(self, errors, in_time, now_ms):
        """Once a second. *errors*: exceptions of tasks since start; *in_time*: no task is late."""
        if not self.running or self.wants:
            return
        self._age_s += 1
        reason = self._missing(errors, in_time)
        self._errors = errors
        self._good_s = 0 if reason else self._good_s + 1
        self.wants = self._good_s >= _GOOD_S
        if reason == image.PARAMETERS or self._age_s >= _LONGEST_S and not self.wants:
            self.give_up(reason or image.TIME, now_ms)

    def _missing(self, errors, in_time):
        """Why this second proves nothing, 0: it does."""
        pack = self._pack
        for fault, reason in _CHECKS:
            if pack.has(fault):
                return reason
        if errors != self._errors or not in_time:
            return image.TASK
        if pack.testing:
            return image.TIME
        return 0 if pack.afe_ready else image.AFE

    def give_up(self, reason, now_ms):
        """The image before comes back, now."""
        if self.running:
            self.running = self.wants = False
            try:
                self._slots.refuse(reason)
            except OSError:
                pass                    # a reset is enough
            finally:
                self._back()

    def write(self, now_ms):
        """Confirm, or note that the outcome of a trial is on record. One flash operation, seldom
        two."""
        self.wants = False
        try:
            if not self.running:
                self._slots.settle()
                return
            self._slots.confirm()
        except OSError:                 # flash that does not take it: as it was before
            self.give_up(image.TIME, now_ms)
            return
        self.running = False
        self._note(now_ms, CONFIRMED, 0)
