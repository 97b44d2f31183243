"""The way to the interpreter's prompt: only when asked for, and with the pack made safe (SAF-10).

Limits of 0 are told first; when next to nothing flows, or after 5 s, a fault opens both FETs and
stands on the panel, on DO1 and in the records; then the firmware may be left.
"""

from bms.words.rules import FAULT_PROMPT
from bms.words.readings import CURRENT_MA, NO_READING
from ticks import MASK

_TOLD_MS = 1500             # an inverter is told once a second
_LONGEST_MS = 5000
_SHOWN_MS = 1000            # panel, DO1 and frames follow the fault
_LITTLE_MA = 2000
_ASKED_S = 60
_NO_LIMIT = 0x3FFFFFFF


class PromptWish:
    """Asked for or not, and how far it is.

    pack     Pack
    ready    the firmware may be left now
    """

    def __init__(self, pack):
        self._pack = pack
        self._since_ms = -1         # -1: not begun | ticks when the present stage began
        self._asked = False
        self._opened = False
        self.ready = False

    def ask(self):
        """A person asks for it, at a console (SAF-11: who may is looked at there)."""
        self._asked = True

    def step(self, now_ms):
        """Several times a second."""
        if self.ready:
            return
        if not self._asked:
            return
        pack = self._pack
        if self._since_ms < 0:
            self._since_ms = now_ms
            pack.asked.ask(_NO_LIMIT, 0, 0, 0, _ASKED_S)
        past_ms = (now_ms - self._since_ms) & MASK
        if self._opened:
            self.ready = past_ms >= _SHOWN_MS
        elif not pack.fets.actual or past_ms >= _LONGEST_MS or (
                past_ms >= _TOLD_MS and self._little_flows()):
            self._opened = True
            self._since_ms = now_ms
            pack.set_fault(FAULT_PROMPT, True)

    def _little_flows(self):
        current_ma = self._pack.measurements.values[CURRENT_MA]
        return current_ma == NO_READING or abs(current_ma) < _LITTLE_MA
