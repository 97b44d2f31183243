"""The polarity of what hangs on the terminals (PRO-18)."""

import micropython
from array import array
from bms.words.rules import DISCHARGE
from micropython import const

_REVERSED_MV = const(-150)      # terminals below: a diode drop is what a reversed charger leaves
_SURE_SCANS = const(8)          # floating terminals near 0 V: noise rarely lasts so many scans
_RIGHT_MS = const(3000)         # time with the right polarity ...
_SLOTS = const(10)              # ... in the last 5 s, counted in slots of ...
_SLOT_MS = const(500)


class Polarity:
    """Whether a charger is connected the wrong way round.

    reversed      1: it is, until the terminals have been right for 3 s in all of the last 5 s
    wrong_scans   in a row, that see a reversed charger while the discharge FET is open and it is
                  not called reversed yet: that FET, which would join the two, has to wait
    """

    def __init__(self):
        self.reversed = 0
        self.wrong_scans = 0
        self._right = array("H", (0 for _ in range(_SLOTS)))    # ms that were right, in each slot
        self._slot = self._slot_ms = self._sum_ms = 0
        self._was_right = False
        self._was_wanted = 0        # FETs, at the look before

    @micropython.native
    def look(self, pack_mv, actual, wanted, dt_ms):
        """Look at the terminals of the newest scan.

        actual   FETs that were closed at the scan before
        wanted   FETs that have been commanded to be closed since
        """
        right = pack_mv > _REVERSED_MV
        if self.reversed:
            self._hold(right, dt_ms)
        elif right:
            self.wrong_scans = 0
        elif actual & wanted & DISCHARGE:
            self._begin()
        elif not wanted & ~self._was_wanted & DISCHARGE:    # closing: it may be of before
            self.wrong_scans += 1
            if self.wrong_scans >= _SURE_SCANS:
                self._begin()
        self._was_wanted = wanted

    def _begin(self):
        self.reversed = 1
        self._was_right = False
        self._slot_ms = self._sum_ms = 0
        for i in range(_SLOTS):
            self._right[i] = 0

    def _hold(self, right, dt_ms):
        """Count the time from right scan to right scan; what is older than the slots is gone."""
        self._slot_ms += dt_ms
        gone = 0
        while self._slot_ms >= _SLOT_MS and gone < _SLOTS:
            gone += 1
            self._slot_ms -= _SLOT_MS
            self._slot = (self._slot + 1) % _SLOTS
            self._sum_ms -= self._right[self._slot]
            self._right[self._slot] = 0
        if gone == _SLOTS:
            self._slot_ms = 0
        if right and self._was_right:
            ms = min(dt_ms, _RIGHT_MS)
            self._right[self._slot] += ms
            self._sum_ms += ms
            if self._sum_ms >= _RIGHT_MS:
                self.reversed = self.wrong_scans = 0
        self._was_right = right
