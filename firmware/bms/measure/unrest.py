"""How far cells move by themselves after what flowed before (MEA-06, MEA-07).

Cells that change while the shown current does not are a witness against it, but not while they
relax. Two things move them then: the charge that flowed meanwhile, along their curve, and their
polarisation, which follows the current with half a minute's delay. Both are summed here from all
scans, the unsteady and doubtful ones of a short overload included, in the units of a block.
"""

import micropython
from micropython import const

_SLOW = const(32)           # blocks that polarisation takes to follow, 25 s
_MOST = const(1 << 27)


class Unrest:
    """Steps with each block of scans.

    charge    mA times blocks that flowed since mark()
    slow_ma   the current, filtered as polarisation follows it
    pulses    blocks for which the current is known to pulse between the scans; of the caller
    """

    def __init__(self):
        self.pulses = 0
        self.charge = 0
        self.slow_ma = 0
        self._lost_ma = self._lost = 0      # of scans without cells: sum, count
        self._slow = 0                      # slow_ma times _SLOW

    def miss(self, current_ma):
        """A scan that belongs to no block."""
        self._lost_ma += current_ma
        self._lost += 1
        if self._lost >= _SLOW:
            self._add(self._lost_ma, self._lost)

    @micropython.native
    def step(self, sum_ma, scans):
        """After a block: the sum of its currents, and how many it has."""
        self._add(sum_ma + self._lost_ma, scans + self._lost)

    @micropython.native
    def _add(self, sum_ma, scans):
        self._lost_ma = self._lost = 0
        charge = self.charge + sum_ma // 8
        self.charge = max(-_MOST, min(_MOST, charge))
        self._slow += sum_ma // 8 - self.slow_ma * scans // 8
        self.slow_ma = self._slow // _SLOW

    def mark(self):
        """Charge is counted from here on."""
        self.charge = 0
