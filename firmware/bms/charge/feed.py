"""What the estimate of charge is told: the last trusted readings and what was moved."""

import micropython
from bms.words.readings import (
    CELL_SUM_MV,
    CURRENT_MA,
    MAX_CELL_MV,
    MIN_CELL_MV,
    MIN_TEMP_DC,
    NO_READING,
    SOC_CPCT,
)


class SocFeed:
    """Feeds *soc*, a StateOfCharge, and shows what it says among the readings."""

    def __init__(self, soc):
        self._soc = soc
        self._max_mv = self._min_mv = self._sum_mv = self._temp_dc = 0
        self._counted = False       # anything since the start
        self._open = True           # no FET was seen closed since charge was counted last

    @micropython.native
    def look(self, values, actual):
        """Keep what is to be trusted of a scan. *actual*: FETs that are closed."""
        soc = self._soc
        if values[MAX_CELL_MV] != NO_READING and values[MIN_TEMP_DC] != NO_READING:
            self._max_mv = values[MAX_CELL_MV]
            self._min_mv = values[MIN_CELL_MV]
            if not self._counted:
                soc.see(values[MAX_CELL_MV], values[MIN_CELL_MV], values[MIN_TEMP_DC],
                        values[CELL_SUM_MV])
            self._sum_mv = values[CELL_SUM_MV]
            self._temp_dc = values[MIN_TEMP_DC]
            if not soc.is_set:
                soc.start(self._min_mv, self._temp_dc)
        if actual:
            self._open = False
        if soc.is_set:
            values[SOC_CPCT] = soc.cpct

    def count(self, charge_uah, dt_ms, values, actual, trusted):
        """Give the estimate what was moved in the last *dt_ms*.

        charge_uah   of the AFE's integrator, charging positive; None: it was lost
        trusted      FETs that are open do not conduct
        """
        soc = self._soc
        if not soc.is_set:
            return
        self._counted = True
        soc.step(charge_uah, dt_ms, values[CURRENT_MA], self._max_mv, self._min_mv,
                 self._temp_dc, self._open and trusted, self._sum_mv)
        self._open = not actual
        values[SOC_CPCT] = soc.cpct
