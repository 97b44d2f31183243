"""Doubts about scans, which are faults when they last (MEA-03)."""

import micropython
from bms.words.rules import (
    AFE_BY_CELLS,
    AFE_BY_NTC,
    FAULT_BLIND,
    FAULT_CELL,
    FAULT_FROZEN,
    FAULT_NTC,
    FAULT_SUM,
    FAULT_WIRE,
)
from bms.words.readings import (
    CELL_IMPLAUSIBLE,
    CURRENT_MA,
    MAX_CELL_MV,
    NO_READING,
    NTC_OPEN,
    NTC_SHORT,
    SCAN_HASH,
    SUM_IMPLAUSIBLE,
    WIRE_OPEN,
)
from bms.words.timer import SOON_MS, leaky, longer
from micropython import const

# doubt about a scan, fault it becomes when it lasts
_DOUBTS = (
    (CELL_IMPLAUSIBLE, FAULT_CELL),
    (SUM_IMPLAUSIBLE, FAULT_SUM),
    (NTC_OPEN | NTC_SHORT, FAULT_NTC),
    (WIRE_OPEN, FAULT_WIRE),
    (0, FAULT_BLIND),
)
_DOUBT_FAULTS = FAULT_CELL | FAULT_SUM | FAULT_NTC | FAULT_WIRE | FAULT_BLIND
_CELL_FAULTS = FAULT_CELL | FAULT_SUM | FAULT_WIRE
_BLIND_LATER_MS = const(200)  # first scans may be of two doubts: the lasting one is to be named
_FROZEN_AT_REST = const(3)  # times as long as under current


def doubtful_trips(measured, faults):
    """AFE safety bits that only say again what is already known to be a wrong reading."""
    bits = 0
    if faults & _CELL_FAULTS or measured.values[MAX_CELL_MV] == NO_READING:
        bits = AFE_BY_CELLS
    if faults & FAULT_NTC or measured.doubts & (NTC_OPEN | NTC_SHORT):
        bits |= AFE_BY_NTC
    return bits


class Doubts:
    """Times what is doubted. The methods take Measurements of the newest scan and Faults.

    soon    a fault is about to be raised
    """

    def __init__(self):
        self.soon = False
        self._doubting = False      # a timer of a doubt runs
        self._doubt_ms = [-1 for _ in _DOUBTS]
        self._hash = 0
        self._frozen_ms = -1
        self._delay_ms = self._frozen_limit_ms = self._other_way_ma = 0

    def load(self, params):
        self._delay_ms = params["doubt_delay_ms"]
        self._frozen_limit_ms = params["frozen_ms"]
        self._other_way_ma = params["other_way_ma"]

    @micropython.native
    def step(self, measured, faults):
        """A doubt about the readings that lasts is a fault; it goes after as long without."""
        if measured.doubts or measured.odd_sum or self._doubting or faults.faults & _DOUBT_FAULTS:
            self._time_doubts(measured, faults)
            self._doubting = max(self._doubt_ms) >= 0 or min(self._doubt_ms) < -1

    def _time_doubts(self, measured, faults):
        for i in range(len(_DOUBTS)):
            mask, fault = _DOUBTS[i]
            wrong = measured.doubts & mask != 0
            if fault == FAULT_SUM and measured.sum_excused:
                wrong = False           # it pulses in step with the AFE
            if fault == FAULT_SUM and measured.odd_sum:
                wrong = True
            if fault == FAULT_BLIND:        # the other doubts take turns: none of them lasts
                wrong = (measured.values[MAX_CELL_MV] == NO_READING
                         and not faults.faults & _CELL_FAULTS)
            if wrong == faults.has(fault):      # a doubt that toggles leaks; what is over is over
                self._doubt_ms[i] = -1 if wrong else leaky(self._doubt_ms[i], measured.dt_ms,
                                                           False)
                continue
            ms = leaky(self._doubt_ms[i], measured.dt_ms, True)
            self._doubt_ms[i] = ms
            later_ms = _BLIND_LATER_MS if wrong and fault == FAULT_BLIND else 0
            if wrong and ms >= self._delay_ms + later_ms - SOON_MS:
                self.soon = True
            if ms >= self._delay_ms + later_ms and not (
                    wrong and measured.doubts & SUM_IMPLAUSIBLE and measured.pulses.awaited()):
                self._doubt_ms[i] = -1
                value = measured.open_wire() if wrong and fault == FAULT_WIRE else measured.doubts
                faults.set_fault(fault, wrong, value, 0,
                                 measured.odd_cell if fault == FAULT_SUM else -1)

    @micropython.native
    def is_alive(self, measured, faults):
        """False while not one bit of 16 cells, stack, terminals and current changes.

        The noise of the converter moves some bit in nearly every scan, so a few seconds of
        stillness mean that the AFE has stopped measuring, sooner where a current flows.
        """
        self.soon = False
        now = measured.values[SCAN_HASH]
        if now == self._hash:
            self._stand_still(measured, faults)
            return False
        self._hash = now
        self._frozen_ms = -1
        measured.frozen = False
        if faults.faults and faults.has(FAULT_FROZEN):
            faults.set_fault(FAULT_FROZEN, False)
        return True

    def _stand_still(self, measured, faults):
        self._frozen_ms = longer(self._frozen_ms, measured.dt_ms)
        limit_ms = self._frozen_limit_ms
        if abs(measured.values[CURRENT_MA]) <= self._other_way_ma:
            limit_ms *= _FROZEN_AT_REST
        self.soon = self._frozen_ms >= limit_ms - SOON_MS
        if self._frozen_ms >= limit_ms:
            measured.frozen = True
            faults.set_fault(FAULT_FROZEN, True, self._frozen_ms, limit_ms)
