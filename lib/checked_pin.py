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
