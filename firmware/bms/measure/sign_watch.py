"""A current whose sign the terminals contradict (MEA-03); cells and all else: witness.py."""

from bms.measure.fet_watch import resistive_mv
from bms.words.rules import BOTH
from micropython import const

_AGAINST_MA = const(400)    # current that the terminals contradict
_AGAINST = const(5)         # added by each scan that contradicts
_AGAINST_MOST = const(15)   # fault at this sum; a scan that agrees takes 1 off
_PULSE_MV = const(2500)     # both FETs closed: difference that a load may cause that pulses in
                            # step with the AFE, which measures stack and terminals in turn
_SURE_SCANS = const(3)      # agreeing scans before a contradicted current counts again


class TerminalWatch:
    """Whether the terminals bear the current out.

    A shunt that is off by some ampere shows a current that does not flow. So a current counts only
    after some scans in which the terminals did not say the opposite, and where they contradict it
    again and again it is a fault.

    no_charge, no_discharge   scans for which a current that way is no evidence yet
    weighing                  one of the counts is not 0: weigh() has to see every scan
    """

    def __init__(self):
        self.no_charge = 0
        self.no_discharge = 0
        self.weighing = False
        self._against = 0           # grows while current and terminals contradict each other

    def weigh(self, current_ma, above_mv, charger_mv, actual, pulses):
        """True if the current that is shown does not flow.

        above_mv     terminals above the stack
        charger_mv   parameter charger_seen_mv
        actual       FETs that are closed
        pulses       Pulses
        """
        wrong = False
        far_mv = charger_mv + resistive_mv(current_ma)
        if above_mv < -far_mv:
            self.no_charge = _SURE_SCANS
        elif self.no_charge:
            self.no_charge -= 1
        if above_mv > far_mv:
            self.no_discharge = _SURE_SCANS
        elif self.no_discharge:
            self.no_discharge -= 1
        believed = actual and (actual != BOTH or abs(above_mv) > far_mv + _PULSE_MV)
        if believed and (current_ma > _AGAINST_MA and self.no_charge == _SURE_SCANS
                       or current_ma < -_AGAINST_MA and self.no_discharge == _SURE_SCANS):
            if abs(above_mv) <= far_mv + _PULSE_MV:
                pulses.ask()
                if pulses.awaited() or pulses.excuse(0):
                    return False
            self._against = min(self._against + _AGAINST, _AGAINST_MOST)
            wrong = self._against == _AGAINST_MOST
        elif self._against:
            self._against -= 1
        self.weighing = self._against + self.no_charge + self.no_discharge > 0
        return wrong
