"""An update as the pack lives through it: panel, records, and the start of the new image (SAF-06).

What comes in and what is in flash is bms/update/receiver.py's. The storage task steps this, so
that no two write to flash at once and erases find a quiet moment.

Before the start limits of 0 are told, as for PAR-04; what has to last is stored meanwhile, a
record a step, with the FETs as they are. When next to nothing flows, or after 5 s, the board is
reset.
"""

from bms.update import header as hd
from bms.update.header import UpdateRefused
from bms.update.receiver import FAILED, IDLE, READY, WORDS
from bms.words import events as ev
from bms.words.readings import CURRENT_MA, NO_READING
from image_slots import REASONS
from ticks import MASK

START, GIVE_UP, GO_BACK = 1, 2, 3           # orders of the host
BEGUN, TAKEN, STARTED, WENT_BACK, GIVEN_UP = range(5)   # of the event records
_TOLD_MS = 1500             # an inverter is told once a second
_LONGEST_MS = 5000
_LITTLE_MA = 2000
_ASKED_S = 30               # the limits of 0 end by themselves
_NO_LIMIT = 0x3FFFFFFF


class Update:
    """The update of one pack.

    pack       Pack; receiver: Receiver; slots: ImageSlots or None
    restart    function: resets the board in order, protections and locks kept

    order is None or what the host wants to be done next
    """

    def __init__(self, pack, receiver, slots, restart):
        self._pack = pack
        self.receiver = receiver
        self._slots = slots
        self._restart = restart
        self._order = 0
        self._ordered_ms = 0
        self._state = receiver.state
        self.answer_into = receiver.answer_into

    @property
    def active(self):
        """The storage is to step this."""
        return self._order != 0 or self.receiver.active or self._pack.updating

    @property
    def starts(self):
        """The board is about to be reset: what has to last is to be stored now."""
        return self._order != 0

    def text(self):
        """For a person."""
        receiver = self.receiver
        if self._order:
            return "limits of 0 are told; the pack starts anew in some seconds"
        if receiver.state == FAILED:
            return receiver.text
        text = WORDS[receiver.state]
        refused = self._slots.state()[3] if self._slots is not None else 0
        if refused and receiver.state == IDLE and refused < len(REASONS):
            text += "; the last image was not kept: " + REASONS[refused]
        return text

    def begin(self, data, older, owner, now_ms):
        """A host has an update file; UpdateRefused says why it is not taken."""
        self._need_none()
        if self._pack.power.rests():
            raise UpdateRefused(hd.NOT_NOW, "the pack sleeps: wake it first")
        was = self.receiver.active
        self.receiver.begin(data, older, owner, now_ms)
        if not was:
            self._note(now_ms, BEGUN)

    def order(self, what, owner, now_ms):
        """What the host wants to be done; UpdateRefused says why not."""
        receiver = self.receiver
        if what == GIVE_UP:
            self._need_none()
            receiver.need_owner(owner, now_ms)
            if receiver.active:
                self._note(now_ms, GIVEN_UP)
            receiver.release()
            return
        if what == START:
            if self._order == START:
                return                      # asked twice: the answer was lost
            self._need_none()
            receiver.need_owner(owner, now_ms)
            receiver.need_ready()
            self._journal(self._slots.try_other)
        elif what == GO_BACK:
            if self._order == GO_BACK:
                return
            self._need_none()
            if receiver.active or self._slots is None:
                raise UpdateRefused(hd.NOT_NOW, "there is nothing to go back to just now")
            self._journal(self._slots.go_back)
        else:
            raise UpdateRefused(hd.NOT_NOW, "1 starts it, 2 gives up, 3 goes back")
        self._note(now_ms, STARTED if what == START else WENT_BACK)
        self._order = what
        self._ordered_ms = now_ms
        self._pack.asked.ask(_NO_LIMIT, 0, 0, 0, _ASKED_S)

    def _need_none(self):
        if self._order:
            raise UpdateRefused(hd.BUSY, "the pack is about to start anew")

    def _journal(self, write):
        try:
            write()
        except ValueError as error:
            raise UpdateRefused(hd.NOT_NOW, str(error))
        except OSError:
            raise UpdateRefused(hd.FLASH, "the flash does not take it")

    def _note(self, now_ms, what, value=0):
        self._pack.events.add(now_ms, ev.UPDATE, what, -1, value)

    def step(self, now_ms, quiet):
        """Each step of the storage while active; True if a sector was erased.

        quiet   an erase disturbs nobody now
        """
        pack = self._pack
        receiver = self.receiver
        erased = False
        if self._order:
            past_ms = (now_ms - self._ordered_ms) & MASK
            if (past_ms >= _LONGEST_MS or past_ms >= _TOLD_MS
                    and (not pack.fets.actual or self._little_flows())):
                self._restart()
        else:
            erased = receiver.step(now_ms, quiet)
            if receiver.state != self._state:
                self._state = receiver.state
                if self._state == READY:
                    self._note(now_ms, TAKEN)
                elif self._state == FAILED:
                    self._note(now_ms, GIVEN_UP, receiver.reason)
        pack.updating = self._order != 0 or receiver.active
        return erased

    def _little_flows(self):
        current_ma = self._pack.measurements.values[CURRENT_MA]
        return current_ma == NO_READING or abs(current_ma) < _LITTLE_MA
