"""The one owner of both FETs: what they shall be, and whether they are (PWR-01, SAF-02)."""

import micropython
from bms.protection_rules import CHARGE, DISCHARGE

FET_CHG = 0x01          # bits of the FET status, as the AFE driver gives it
FET_DSG = 0x04
_DIODE_MA = 400         # beyond this against an open FET the AFE closes it to spare its diode
_PATIENCE_SCANS = 5     # scans a FET may disobey before it is a fault


class Fets:
    """Commands and read-back.

    wanted    bits CHARGE | DISCHARGE commanded
    actual    the same bits as the AFE reported with the newest scan
    unsure    True until a command was given and again after every AFE restart
    """

    def __init__(self):
        self.wanted = 0
        self.actual = 0
        self.unsure = True
        self._disobeyed = 0

    @micropython.native
    def decide(self, blocked, ready):
        """The bits to be permitted now: none until *ready* (self-test passed, no fault)."""
        return (CHARGE | DISCHARGE) & ~blocked if ready else 0

    @micropython.native
    def needs_command(self, wanted):
        """True if *wanted* must be sent: it differs from the last command or was not followed."""
        return self.unsure or wanted != self.wanted or self._disobeyed > 1

    def commanded(self, wanted):
        """The AFE took the command *wanted*."""
        self.wanted = wanted
        self.unsure = False
        self._disobeyed = 0 if self._disobeyed <= 1 else self._disobeyed

    @micropython.native
    def read_back(self, status, current_ma, afe_tripped):
        """Compare the AFE's FET *status* with the command; True once it is a fault.

        Not a fault: the AFE's own protections (*afe_tripped*) hold a FET off; a FET that is
        closed by the AFE to spare its body diode while current flows the other way.
        """
        actual = (CHARGE if status & FET_CHG else 0) | (DISCHARGE if status & FET_DSG else 0)
        self.actual = actual
        odd = actual ^ self.wanted
        if odd & CHARGE and actual & CHARGE and current_ma < -_DIODE_MA:
            odd &= ~CHARGE
        if odd & DISCHARGE and actual & DISCHARGE and current_ma > _DIODE_MA:
            odd &= ~DISCHARGE
        if afe_tripped:
            odd &= actual
        if not odd or self.unsure:
            self._disobeyed = 0
        else:
            self._disobeyed += 1
        return self._disobeyed > _PATIENCE_SCANS

    def restarted(self):
        """The AFE lost its state: whatever was commanded is void, both FETs count as open."""
        self.wanted = 0
        self.unsure = True
        self._disobeyed = 0
