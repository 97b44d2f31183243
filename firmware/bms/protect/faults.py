"""Fault bits of a pack, each change on record, and what has opened a FET last (REC-03)."""

import micropython
from bms.words import events as ev
from bms.words.events import Events
from bms.words.rules import (
    BLOCKING,
    BLOCKING_MORE,
    FAULT_BLOCKS,
    FAULT_MORE,
    FIRST_OUT_FAULT,
    LATCHED,
    LATCHED_MORE,
    blocked_by,
    fault_row,
    number_of,
)


class Faults:
    """What a pack is a case of.

    events             Events
    faults, faults_more  two words of fault bits, see protection_rules; has() looks into the right
    now_ms             ticks of the present step
    first_out          (number, cell or -1, value, limit, ticks_ms), None before one; number: of an
                       item, or FIRST_OUT_FAULT + that of a fault
    first_out_age_s    None: first_out is of this start | its age at start, -1: not known
    """

    def __init__(self):
        self.events = Events(source=self)
        self.faults = 0
        self.faults_more = 0
        self.now_ms = 0
        self.first_out = None
        self.first_out_age_s = None
        self._was_allowed = 0       # FETs that were allowed before this step

    @micropython.native
    def has(self, fault):
        """True while *fault*, a FAULT_... of protection_rules, is the case."""
        if fault & FAULT_MORE:
            return self.faults_more & fault != 0    # bit 29 is never set there
        return self.faults & fault != 0

    @micropython.native
    def has_any(self, faults):
        """True while one of the tuple *faults* is the case."""
        for fault in faults:
            if self.has(fault):
                return True
        return False

    @micropython.native
    def fails(self):
        """True while a fault holds both FETs off."""
        return (self.faults & BLOCKING | self.faults_more & BLOCKING_MORE) != 0

    @micropython.native
    def blocked_by_faults(self):
        """FETs that faults hold off, bits CHARGE | DISCHARGE."""
        if self.faults or self.faults_more:
            return blocked_by(self.faults, self.faults_more)
        return 0

    @micropython.native
    def set_fault(self, fault, present, value=0, limit=0, cell=-1):
        """Raise or clear one fault and record it."""
        if self.has(fault) != present:
            self._record_fault(fault, present, value, limit, cell)

    def _record_fault(self, fault, present, value, limit, cell):
        if fault & FAULT_MORE:
            self.faults_more ^= fault & ~FAULT_MORE
        else:
            self.faults ^= fault
        number = number_of(fault)
        self.events.add(self.now_ms, ev.FAULT if present else ev.FAULT_CLEAR, number, cell,
                        value, limit)
        if (present and fault_row(number)[FAULT_BLOCKS]
                and (self._was_allowed or self.first_out is None)):
            self.note_first_out(FIRST_OUT_FAULT + number, cell, value, limit)

    def clear_faults(self):
        """The latched faults go; what still holds comes back."""
        self._clear_word(self.faults & LATCHED, 0)
        self._clear_word(self.faults_more & LATCHED_MORE, FAULT_MORE)

    def _clear_word(self, word, more):
        bit = 1
        while word >= bit:
            if word & bit:
                self.set_fault(more | bit, False)
            bit <<= 1

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
