"""What a person sets and presses: values that count once they are steady, and how long a button
was held (DIP-01, RST-01, PWR-02)."""

import micropython
from micropython import const
from ticks import MASK

_LONGEST_MS = const(0x10000000)


class Steady:
    """A value that counts once it was the same for some time; the first one counts at once.

    value   what counts, -1 before the first sample
    """

    def __init__(self, value=-1):
        self.value = value
        self._seen = value
        self._since_ms = 0

    @micropython.native
    def sample(self, value, now_ms, for_ms):
        """Take a sample; True if *value* now counts, having been the same for *for_ms*."""
        if value != self._seen:
            self._seen = value
            self._since_ms = now_ms
        if value == self.value:
            return False
        if self.value >= 0 and (now_ms - self._since_ms) & MASK < for_ms:
            return False
        self.value = value
        return True


class HeldButton:
    """How long a button was held. Two equal samples in a row count, so that a bounce does not.

    is_down   it is pressed now
    """

    def __init__(self):
        self._seen = False
        self._seen_ms = 0       # first sample of the level that was seen last
        self.is_down = False
        self._down_ms = 0
        self._too_long = False  # held beyond what the ticks can tell

    @micropython.native
    def sample(self, pressed, now_ms):
        """Take a sample; return ms that a press lasted which has just ended, else 0."""
        if pressed != self._seen:
            self._seen = pressed
            self._seen_ms = now_ms
            return 0
        if pressed == self.is_down:
            if pressed and (now_ms - self._down_ms) & MASK >= _LONGEST_MS:
                self._too_long = True
            return 0
        self.is_down = pressed
        if pressed:
            self._down_ms = self._seen_ms
            self._too_long = False
            return 0
        return _LONGEST_MS if self._too_long else (self._seen_ms - self._down_ms) & MASK
