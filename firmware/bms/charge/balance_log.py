"""Records of balancing: when it began and ended, and what it came to (BAL-03)."""

from micropython import const

from bms.words import events as ev
from bms.words import readings as rd
from bms.charge.balancing import DISABLED, IDLE, LOW
from ticks import MASK

_LASTING_MS = const(300_000)    # a load that comes and goes interrupts, it does not end


class BalanceLog:
    """One pair of records for each time of balancing.

    begin: cell: the highest; value: mask of the cells; limit: their difference, mV
    end:   item: of balancing.STATES, why; cell: the highest; value: seconds that cells were bled,
           all together; limit: the difference, mV, 0 where it is not known

    running  begun and not ended
    """

    def __init__(self, balancing, events):
        self._balancing = balancing
        self._events = events
        self.running = False
        self._from_s = 0
        self._since_ms = -1     # -1: something is bled | ticks_ms since nothing was

    def step(self, now_ms, values):
        """After a decision of balancing; values: the readings. Nothing to do while idle."""
        balancing = self._balancing
        if balancing.mask:
            self._since_ms = -1
            if not self.running:
                self.running = True
                self._from_s = self._bled_s()
                self._events.add(now_ms, ev.BALANCE, 0, values[rd.MAX_CELL], balancing.mask,
                                 values[rd.CELL_DIFF_MV])
            return
        if not self.running:
            return
        if self._since_ms < 0:
            self._since_ms = now_ms
        state = balancing.state
        if (state == IDLE or state == LOW or state == DISABLED
                or (now_ms - self._since_ms) & MASK >= _LASTING_MS):
            self.running = False
            known = values[rd.MAX_CELL_MV] != rd.NO_READING
            self._events.add(now_ms, ev.BALANCE_END, state, values[rd.MAX_CELL] if known else -1,
                             self._bled_s() - self._from_s,
                             values[rd.CELL_DIFF_MV] if known else 0)

    def _bled_s(self):
        seconds = self._balancing.seconds
        total = 0
        for i in range(len(seconds)):
            total += seconds[i]
        return total
