"""Limits that an inverter-side master asks for; they only tighten the pack's own, and run out."""

_MOST = 0x3FFFFFFF


class AskedLimits:
    """Asked limits; beyond any of the pack's while nobody asks.

    cvl_mv ccl_ma dcl_ma   upper bounds; dvl_mv: a lower bound
    left_s                 seconds until they are forgotten
    """

    def __init__(self):
        self.left_s = 0
        self.cvl_mv = self.ccl_ma = self.dcl_ma = _MOST
        self.dvl_mv = 0

    def ask(self, cvl_mv, dvl_mv, ccl_ma, dcl_ma, seconds):
        """Hold these for *seconds*."""
        self.cvl_mv = cvl_mv
        self.dvl_mv = dvl_mv
        self.ccl_ma = ccl_ma
        self.dcl_ma = dcl_ma
        self.left_s = seconds

    def step(self):
        """Once a second."""
        if self.left_s:
            self.left_s -= 1
            if not self.left_s:
                self.ask(_MOST, 0, _MOST, _MOST, 0)
