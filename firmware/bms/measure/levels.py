"""What the inputs of stack and terminals read beside the sum of the cells (MEA-06).

Each of these inputs may be off by 2.5 % before calibration, which is 1.3 V of 52 V. The cells are
within 10 mV, so their sum shows the stack's gain at any time, and the stack shows the terminals'
gain while both FETs conduct. What is learnt corrects the readings of every scan: limits of half a
volt then work on an uncalibrated board. A later change is no tolerance, and is not learnt.

The gains are kept over a restart, so that cells that are far apart then, or a FET that does not
conduct from the first scan on, do not pass for a tolerance. What is kept has been borne out: the
stack's by the cells, the terminals' by 1 A each way through both FETs, since the diode of one that
does not conduct drops as much as a tolerance. What was kept of another board is learnt anew.
"""

import micropython
import struct
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
_LOOKS = const(4)           # ... this many in a row are a gain
_FAR = const(25)            # 1/25 = 4 %: more is no tolerance of any board
_APART_MV = const(400)      # cells further apart than this may be a wire: nothing is learnt
_EVERY = const(8)           # scans from one look to the next
_NEAR_MV = const(40)        # a smaller error is left to whoever compares changes, one up to ...
_TRACK_MV = const(120)      # ... this is followed by half, if it was there at rest ...
_TRACK = const(16)          # ... at this many looks in a row
_CLOSED_SCANS = const(3)    # scans for which the terminals' reading may be old
_REST_MA = const(1000)
_BOTH_CLOSED = const(0x05)  # AFE FET status: charge and discharge FET
_PATH_UOHM = const(1750)    # between stack and terminals, about
_UNIT = const(32768)
_FINE = const(16)           # learnt gains are kept in such parts of a unit
_UNSURE = const(38)         # 1/38 = 2.6 %: tolerance of an input whose gain is not learnt
_PROVEN_MV = const(150)     # with a current each way through both FETs and no more of a
                            # difference, a gain of the terminals is borne out
_BOTH_WAYS = const(3)       # bits: borne out while charging, while discharging
_KEEP = const(16)           # change, in units of the gain (26 mV), that is written to flash
_FORM = "<Biiii"            # version, calibration and learnt gain of stack and terminals
_VERSION = const(1)


class Gain:
    """One input's gain against what it should read.

    most_mv  a kept gain that is wrong by more is not learnt anew: None: by anything

    known    it was learnt, or kept from an earlier start
    sure     it was learnt, or a kept one was borne out since
    proven   bits; terminals: borne out by a current through both FETs
    gain     to be added to the calibration's, in 32768ths
    """

    def __init__(self, most_mv=None):
        self._most_mv = most_mv
        self.known = self.sure = False
        self.gain = 0
        self.proven = 0
        self._fine = 0              # 1/16 of a 32768th
        self._looks = 0
        self._first_mv = 0

    def forget(self):
        self.known = self.sure = False
        self.gain = self._fine = self._looks = self.proven = 0

    def recall(self, gain):
        """It was *gain* at an earlier start."""
        self.forget()
        self.known = True
        self.gain = gain
        self._fine = gain * _FINE

    @micropython.native
    def step(self, error_mv, level_mv, rests):
        """Learn from a scan: the input reads *error_mv* less than the *level_mv* it should.

        rests   next to no current flows
        """
        size = abs(error_mv)
        if self.known and not self.sure:
            if size <= _SAME_MV:
                self.sure = True
            elif (self._most_mv is None or size <= self._most_mv) and self._agree(error_mv):
                self.forget()           # it was another board's
            return
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
        elif self._agree(error_mv):
            self._learn(error_mv, level_mv)
        self.gain = (self._fine + _FINE // 2) // _FINE

    def _agree(self, error_mv):
        """True once some looks in a row say the same."""
        if not self._looks or abs(error_mv - self._first_mv) > _SAME_MV:
            self._looks = 0
            self._first_mv = error_mv
        self._looks += 1
        return self._looks >= _LOOKS

    def _learn(self, error_mv, level_mv):
        self.known = self.sure = True
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
        self.pack = Gain(_AT_ONCE_MV)
        self._scans = 0
        self._closed = _CLOSED_SCANS - 1    # scans since a FET was open, counted up to this
        self.dirty = False          # what may be kept is not
        self._stored = None         # (calibration, gain) of the stack, and of the terminals
        self._found = None          # the same, read at the start and not looked at yet

    def forget(self):
        """The calibration changed: what was learnt beside the old one is void."""
        self.stack.forget()
        self.pack.forget()
        self._scans = 0

    # -- kept over a restart ------------------------------------------------------------------

    def recall(self, stack_cal, pack_cal):
        """The calibration is known: what was kept beside the same one is taken over."""
        found = self._found
        self._found = None
        if found and found[0] == stack_cal:
            self.stack.recall(found[1])
            if found[2] == pack_cal and found[3] != _UNIT:
                self.pack.recall(found[3])

    @micropython.native
    def _note(self, stack_cal, pack_cal):
        """What is sure is to be kept, if it is not yet."""
        stack = self.stack.gain
        pack = self.pack.gain
        stored = self._stored
        same = stored is not None and stored[0] == stack_cal and stored[2] == pack_cal
        if self.pack.proven != _BOTH_WAYS:      # none, unless one was
            pack = stored[3] if same else _UNIT         # type: ignore[index]
        if (not same or abs(stored[1] - stack) >= _KEEP         # type: ignore[index]
                or abs(stored[3] - pack) >= _KEEP):             # type: ignore[index]
            self._stored = (stack_cal, stack, pack_cal, pack)
            self.dirty = True

    def to_bytes(self):
        return struct.pack(_FORM, _VERSION, *self._stored)     # type: ignore[misc]

    def saved(self):
        self.dirty = False

    def from_bytes(self, data):
        """What was kept; ValueError if it is not of here, or of no board."""
        if len(data) < struct.calcsize(_FORM) or data[0] != _VERSION:
            raise ValueError("no learnt gains")
        found = struct.unpack_from(_FORM, data)[1:]
        if abs(found[1]) * _FAR > _UNIT or (
                abs(found[3]) * _FAR > _UNIT and found[3] != _UNIT):
            raise ValueError("gains of no board")
        self._found = self._stored = found

    # -- each scan ----------------------------------------------------------------------------

    def untaught(self, total_mv, apart_mv, stack_mv, sum_mv):
        """True if cells that are far apart keep the stack's gain from being learnt, and it is
        within its tolerance of their sum: that is no doubt."""
        return (not self.stack.sure and apart_mv >= _APART_MV
                and abs(total_mv - stack_mv) <= sum_mv + stack_mv // _UNSURE)

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
        if self.stack.sure and (pack.known or not closed) and self._scans > 0:
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
        stack = self.stack
        was_known = stack.known
        stack.step(total_mv - stack_mv, total_mv, rests)
        if was_known and not stack.known:
            pack.forget()
        self._set(cal, CAL_STACK_GAIN, stack_cal + self.stack.gain)
        if closed and self.stack.known and abs(total_mv - stack_mv) <= _AT_ONCE_MV:
            current_ma = values[CURRENT_MA]
            drop_mv = current_ma // 1000 * _PATH_UOHM // 1000
            error_mv = stack_mv + drop_mv - values[PACK_MV]
            pack.step(error_mv, stack_mv, rests)
            if not rests and pack.known and abs(error_mv) <= _PROVEN_MV:
                pack.proven |= 1 if current_ma > 0 else 2
            self._set(cal, CAL_PACK_GAIN, pack_cal + pack.gain)
        elif not pack.known:
            pack.forget()
        if stack.sure:
            self._note(stack_cal, pack_cal)

    def _set(self, cal, slot, gain):
        if cal[slot] != gain:
            cal[slot] = gain
            self.changes = self.changes + 1 & 0xFFFF
