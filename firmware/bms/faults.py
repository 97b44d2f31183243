"""Fault bits of a pack, each change on record, and what has opened a FET last (REC-03)."""

from bms import events as ev
from bms.events import Events
from bms.protection_rules import BLOCKING, ITEMS


class Faults:
    """What a pack is a case of.

    events             Events
    faults             bits of protection_rules
    now_ms             ticks of the present step
    first_out          (item or fault number, cell or -1, value, limit, ticks_ms), None before one
    first_out_age_s    None: first_out is of this start | its age at start, -1: not known
    """

    def __init__(self):
        self.events = Events(source=self)
        self.faults = 0
        self.now_ms = 0
        self.first_out = None
        self.first_out_age_s = None
        self._was_allowed = 0       # FETs that were allowed before this step

    def set_fault(self, fault, present, value=0, limit=0):
        """Raise or clear one bit of protection_rules.FAULTS and record it."""
        if (self.faults & fault != 0) != present:
            self._record_fault(fault, present, value, limit)

    def _record_fault(self, fault, present, value, limit):
        self.faults ^= fault
        number = 0
        while fault >> number + 1:
            number += 1
        self.events.add(self.now_ms, ev.FAULT if present else ev.FAULT_CLEAR, number, -1,
                        value, limit)
        if present and fault & BLOCKING and (self._was_allowed or self.first_out is None):
            self.note_first_out(len(ITEMS) + number, -1, value, limit)

    def note_first_out(self, number, cell, value, limit):
        """REC-03: what has just opened a FET; recorded, so that it is known after a reset."""
        self.first_out = (number, cell, value, limit, self.now_ms)
        self.first_out_age_s = None
        self.events.add(self.now_ms, ev.FIRST_OUT, number, cell, value, limit)

    def recall_first_out(self, number, cell, value, limit, age_s):
        """Take over the first-out of an earlier start, *age_s* old, -1: not known."""
        if self.first_out is None:
            self.first_out = (number, cell, value, limit, self.now_ms)
            self.first_out_age_s = age_s
