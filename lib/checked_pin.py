"""An output whose pad is read back."""


class CheckedPin:
    """Wraps an output pin; called with 0 or 1 as the pin is.

    pin    called with a level drives it, called without one reads the pad
    stuck  True: seems to disobey
    """

    def __init__(self, pin):
        self._pin = pin
        self._level = pin()
        self.stuck = False

    def __call__(self, level):
        self._level = level
        self._pin(level)

    def agrees(self):
        """True if the pad has the level that was commanded."""
        return self._pin() == self._level and not self.stuck


class GuardedPin(CheckedPin):
    """BOTHOFF: not driven high any more once the dead man's switch has acted.

    dead_man   None | DeadMan
    """

    dead_man = None

    def __call__(self, level):
        if level and self.dead_man is not None and self.dead_man.dropped:
            level = 0
        self._level = level
        self._pin(level)

    def agrees(self):
        """As CheckedPin's; what the dead man's switch did is no fault of the pad."""
        if self.dead_man is not None and self.dead_man.dropped:
            return True
        return self._pin() == self._level and not self.stuck
