"""What the inputs of stack and terminals read beside the sum of the cells (MEA-06).

Each of these inputs may be off by 2.5 % before calibration, which is 1.3 V of 52 V. The cells are
within 10 mV, so their sum shows the stack's gain at any time, and the stack shows the terminals'
gain while both FETs conduct. What is learnt corrects the readings of every scan: limits of half a
volt then work on an uncalibrated board. A later change is no tolerance, and is not learnt.
"""

import micropython
from bms.words.readings import (
    CAL_PACK_GAIN,
    CAL_STACK_GAIN,
    CELL_IMPLAUSIBLE,
    CURRENT_MA,
    PACK_MV,
    STACK_MV,
    WIRE_OPEN,
)
from micropython import const

_AT_ONCE_MV = const(500)    # so little needs no second look
_SAME_MV = const(150)       # scans that agree within this ...
_LOOKS = const(4)           # ... so many in a row, are a gain
_FAR = const(25)            # 1/25 = 4 %: more is no tolerance of any board
_APART_MV = const(400)      # cells further apart than this may be a wire: nothing is learnt
_EVERY = const(8)           # scans from one look to the next
_NEAR_MV = const(40)        # a smaller error is left to whoever compares changes, one up to ...
_TRACK_MV = const(120)      # ... this is followed by half, if it was there at rest ...
_TRACK = const(16)          # ... at so many looks in a row
_CLOSED_SCANS = const(3)    # the terminals' reading may be of the time before
_REST_MA = const(1000)
_BOTH_CLOSED = const(0x05)  # AFE FET status: charge and discharge FET
_PATH_UOHM = const(1750)    # between stack and terminals, about
_UNIT = const(32768)
_FINE = const(16)           # learnt gains are kept in such parts of a unit


class Gain:
    """One input's gain against what it should read.

    known  it was learnt
    gain   to be added to the calibration's, in 32768ths
    """

    def __init__(self):
        self.known = False
        self.gain = 0
        self._fine = 0              # 1/16 of a 32768th
        self._looks = 0
        self._first_mv = 0

    def forget(self):
        self.known = False
        self.gain = self._fine = self._looks = 0

    @micropython.native
    def step(self, error_mv, level_mv, rests):
        """Learn from a scan: the input reads *error_mv* less than the *level_mv* it should.

        rests   next to no current flows
        """
        size = abs(error_mv)
        if self.known:
            if not rests or not _NEAR_MV < size <= _TRACK_MV:
                self._looks = 0
                return
            self._looks += 1
            if self._looks < _TRACK:
                return
            self._looks = 0
            self._fine += error_mv * _UNIT // level_mv * _FINE // 2
        elif size <= _AT_ONCE_MV:
            self._learn(error_mv, level_mv)
        elif size * _FAR > level_mv:
            self._looks = 0
        elif self._looks and abs(error_mv - self._first_mv) <= _SAME_MV:
            self._looks += 1
            if self._looks >= _LOOKS:
                self._learn(error_mv, level_mv)
        else:
            self._looks = 1
            self._first_mv = error_mv
        self.gain = (self._fine + _FINE // 2) // _FINE

    def _learn(self, error_mv, level_mv):
        self.known = True
        self._looks = 0
        self._fine = error_mv * _UNIT // (level_mv - error_mv) * _FINE


class Levels:
    """Learns the gains of stack and terminals.

    stack, pack   Gain
    changes       how often one of them changed
    """

    def __init__(self):
        self.changes = 0
        self.stack = Gain()
        self.pack = Gain()
        self._scans = 0
        self._closed = _CLOSED_SCANS - 1    # scans since one with an open FET, at most so many

    def forget(self):
        """The calibration changed: what was learnt beside the old one is void."""
        self.stack.forget()
        self.pack.forget()
        self._scans = 0

    @micropython.native
    def step(self, values, cells_mv, doubts, fets, cal, stack_cal, pack_cal):
        """Look at a decoded scan; puts what is known into *cal*, for the next one.

        fets                  AFE FET status
        stack_cal, pack_cal   gains of the calibration, to which the learnt ones are added
        """
        self._scans -= 1
        pack = self.pack
        closed = False
        if fets & _BOTH_CLOSED != _BOTH_CLOSED:
            self._closed = 0
        elif self._closed < _CLOSED_SCANS - 1:
            self._closed += 1
        else:
            closed = True
        if self.stack.known and (pack.known or not closed) and self._scans > 0:
            return
        self._scans = _EVERY
        if doubts & (CELL_IMPLAUSIBLE | WIRE_OPEN):
            return
        if max(cells_mv) - min(cells_mv) >= _APART_MV:
            return
        total_mv = sum(cells_mv)
        stack_mv = values[STACK_MV]
        if total_mv < 8000 or stack_mv < 8000:
            return
        rests = abs(values[CURRENT_MA]) <= _REST_MA
        self.stack.step(total_mv - stack_mv, total_mv, rests)
        self._set(cal, CAL_STACK_GAIN, stack_cal + self.stack.gain)
        if closed and self.stack.known and abs(total_mv - stack_mv) <= _AT_ONCE_MV:
            drop_mv = values[CURRENT_MA] // 1000 * _PATH_UOHM // 1000
            pack.step(stack_mv + drop_mv - values[PACK_MV], stack_mv, rests)
            self._set(cal, CAL_PACK_GAIN, pack_cal + pack.gain)
        elif not pack.known:
            pack.forget()

    def _set(self, cal, slot, gain):
        if cal[slot] != gain:
            cal[slot] = gain
            self.changes = self.changes + 1 & 0xFFFF
