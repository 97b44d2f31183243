"""Current limits that fall before a protection has to act (DER-01 to DER-05, COM-05).

Each row of a profile's CURVES is (limit, reading, points, reason): a curve of permille of the
allowed current over a reading, flat outside its points; the lowest of all rows is the target.
A reason begins with the item of the protection table that the curve has to forestall: where that
one's alarm or protection is set tighter than the profile's, the whole curve moves along. It is
never looser than the profile's.
The limit follows the target at no more than SLEW_MA_S either way, and drops to 0 at once when a
FET is held off or about to be.
A curve that has reached 0 stays there until the reading is back by BACK, and the limit would then
be _LEAST_MA or more (DER-06): a charger or inverter that follows late makes nothing chatter.
"""

import micropython
from array import array
from micropython import const

from bms.words import rules
from bms.words import readings as rd
from bms.words.readings import NO_READING
from bound import bind

# DER-06: so far a reading has to come back from where its curve reached 0
BACK = {
    rd.MAX_CELL_MV: 60, rd.MIN_CELL_MV: 100, rd.CELL_SUM_MV: 1000, rd.MAX_TEMP_DC: 20,
    rd.MIN_TEMP_DC: 20, rd.MOS_DC: 50, rd.SOC_CPCT: 100,
}
_LEAST_MA = const(1000)
# Temperatures move slowly and read with some tenths of noise: a curve sees their mean over some
# seconds, so that one sample neither ends a limit nor moves it. A step is taken as it is.
_SLOW = (rd.MIN_TEMP_DC, rd.MAX_TEMP_DC, rd.MOS_DC)
_FAST = const(-32768)
_STEP = const(160)              # 1 degree, in 1/16 dC

SLEW_MA_S = const(2000)
FULL = const(1000)
_LEAST_RAMP_CPCT = const(200)   # above min_soc_cpct the limit rises to full within this

CHARGE_LIMIT, DISCHARGE_LIMIT = range(2)


def shift_of(reason, params):
    """How far the settings move a curve from where its profile has it."""
    item = rules.item_of(reason)
    if item is None:
        return 0
    shift = 0
    for name in (item[rules.ALARM], item[rules.TRIP]):
        if isinstance(name, str):
            moved = params[name] - params.default_of(name)
            if (moved - shift) * item[rules.WORSE] < 0:
                shift = moved
    return shift


class Derating:
    """CCL and DCL of one pack.

    curves, params  CURVES of a profile; Parameters that hold its defaults

    ccl_ma, dcl_ma  limits, 0 or more
    charge_target_ma, discharge_target_ma   what they move to, if the FET may be closed
    zeros           curves that have reached 0 and are not back yet, bits as in reasons
    reasons         what lowers each, bit i = row i of the curves; more than one may
    at_least        min_soc_cpct lowers the discharge limit
    """

    def __init__(self, curves, params):
        self._curves = curves
        self._params = params
        self._taken = -1
        self._shifts = array("i", (0 for _ in curves))
        self.charge_target_ma = 0
        self.discharge_target_ma = 0
        self.ccl_ma = 0
        self.dcl_ma = 0
        self.reasons = 0
        self.zeros = 0
        # reading less this is worse: where the curve would be if the reading were not back enough
        self._back = array("h", (_back_of(points, reading) for _, reading, points, _ in curves))
        # what a curve sees of a slow reading, 1/16 dC | _FAST: not one
        self._calm = array("h", (0 if reading in _SLOW else _FAST for _, reading, _, _ in curves))
        self.at_least = False
        self._least_cpct = 0
        self._emptied = False       # min_soc_cpct was reached, and is not left yet
        self._paused = False
        self._kept_ccl_ma = self._kept_dcl_ma = 0       # before pause()
        bind(self, "step", "_follow")

    @micropython.native
    def aim(self, values, most_ma, charge_most_ma=1 << 29):
        """Work the targets out.

        values          readings; most_ma: most that may be asked now, each way (DER-03)
        charge_most_ma  most that may be charged for another reason (PRO-29)
        """
        if self._taken != self._params.changed:
            self._load()
        self.reasons = 0
        self.charge_target_ma = min(self._target(values, CHARGE_LIMIT, most_ma), charge_most_ma)
        self.discharge_target_ma = min(self._target(values, DISCHARGE_LIMIT, most_ma),
                                 self._above_least(values, most_ma))

    def _above_least(self, values, most_ma):
        """What min_soc_cpct leaves of *most_ma*; back from 0 as the curves are (DER-06)."""
        self.at_least = False
        if not self._least_cpct or values[rd.SOC_CPCT] == NO_READING:
            return most_ma
        above_cpct = values[rd.SOC_CPCT] - self._least_cpct
        if above_cpct <= 0:
            self._emptied = True
        elif above_cpct >= BACK[rd.SOC_CPCT]:
            self._emptied = False
        self.at_least = self._emptied or above_cpct < _LEAST_RAMP_CPCT
        if self._emptied:
            return 0
        return most_ma * min(above_cpct, _LEAST_RAMP_CPCT) // _LEAST_RAMP_CPCT

    def _load(self):
        for i in range(len(self._curves)):
            self._shifts[i] = shift_of(self._curves[i][3], self._params)
        self._least_cpct = self._params["min_soc_cpct"]
        self._taken = self._params.changed

    @micropython.native
    def step(self, may_charge, may_discharge, dt_ms, at_once=False):
        """Move both limits towards their targets for one scan.

        may_*    False: the FET of that direction is, or is about to be, held off: 0 at once
        at_once  a limit of 0 jumps to its target: a pack among others carries its share as
                 soon as its FET is closed, and holds the limit of all of them down until it
                 says so
        """
        if self._paused:
            return
        step_ma = SLEW_MA_S * dt_ms // 1000
        if at_once and may_charge and not self.ccl_ma:
            self.ccl_ma = self.charge_target_ma
        if at_once and may_discharge and not self.dcl_ma:
            self.dcl_ma = self.discharge_target_ma
        if not may_charge:
            self.ccl_ma = 0
        elif self.ccl_ma != self.charge_target_ma:
            self.ccl_ma = self._follow(self.ccl_ma, self.charge_target_ma, step_ma)
        if not may_discharge:
            self.dcl_ma = 0
        elif self.dcl_ma != self.discharge_target_ma:
            self.dcl_ma = self._follow(self.dcl_ma, self.discharge_target_ma, step_ma)

    def pause(self):
        """Both limits are 0 from now on, until resume()."""
        if not self._paused:
            self._paused = True
            self._kept_ccl_ma = self.ccl_ma
            self._kept_dcl_ma = self.dcl_ma
        self.stop()

    def resume(self, free):
        """As before pause(), where nothing has happened since that lowers them.

        free  bits CHARGE | DISCHARGE of the FETs that may be closed: the other limit stays 0
        """
        self._paused = False
        if free & rules.CHARGE:
            self.ccl_ma = min(self._kept_ccl_ma, self.charge_target_ma)
        if free & rules.DISCHARGE:
            self.dcl_ma = min(self._kept_dcl_ma, self.discharge_target_ma)

    def stop(self):
        """Both limits to 0 at once: nothing may flow."""
        self.ccl_ma = 0
        self.dcl_ma = 0

    @micropython.native
    def _target(self, values, limit, most_ma):
        """What is aimed at in the direction *limit*, in mA."""
        lowest = FULL
        for i in range(len(self._curves)):
            of, reading, points, _ = self._curves[i]
            if of != limit:
                continue
            value = values[reading]
            share = 0
            if value != NO_READING:
                if self._calm[i] != _FAST:
                    value = self._calmed(i, value)
                value -= self._shifts[i]
                share = interpolate(points, value)
                if share == 0:
                    self.zeros |= 1 << i
                elif self.zeros >> i & 1:
                    if (interpolate(points, value - self._back[i]) == 0
                            or share * most_ma // FULL < _LEAST_MA):
                        share = 0
                    else:
                        self.zeros &= ~(1 << i)
            if share < FULL:
                self.reasons |= 1 << i
                if share < lowest:
                    lowest = share
        return lowest * most_ma // FULL

    @micropython.native
    def _calmed(self, i, value):
        """The slow reading *value* of curve *i* without its noise."""
        calm = self._calm[i]
        change = value * 16 - calm
        calm += (change + 2) >> 2 if -_STEP < change < _STEP else change
        self._calm[i] = calm
        return (calm + 8) >> 4

    @micropython.native
    def _follow(self, now_ma, target_ma, step_ma):
        if target_ma > now_ma + step_ma:
            return now_ma + step_ma
        if target_ma < now_ma - step_ma:
            return now_ma - step_ma
        return target_ma


def _back_of(points, reading):
    """How much worse a reading looks to a curve that has reached 0; below 0: worse is above."""
    back = BACK.get(reading, 0)
    return back if points[0][1] < points[-1][1] else -back


def interpolate(points, value):
    """Permille at *value* on the polyline *points* ((reading, permille), …), readings rising."""
    if value <= points[0][0]:
        return points[0][1]
    for i in range(1, len(points)):
        x, y = points[i]
        if value < x:
            x0, y0 = points[i - 1]
            return y0 + (y - y0) * (value - x0) // (x - x0)
    return points[-1][1]
