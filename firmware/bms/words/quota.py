"""How often something may happen in a time."""

import micropython
from array import array


class Quota:
    """At most *most* times in *window_ms*.

    left   it may happen once more
    """

    def __init__(self, most, window_ms):
        self._window_ms = window_ms
        self._ages_ms = array("i", (window_ms for _ in range(most)))
        self._ages = False          # one of them is younger than the window
        self.left = True

    @micropython.native
    def step(self, dt_ms):
        """Time goes on by *dt_ms*."""
        if not self._ages:
            return
        ages_ms = self._ages_ms
        window_ms = self._window_ms
        self._ages = self.left = False
        for i in range(len(ages_ms)):
            age_ms = min(ages_ms[i] + dt_ms, window_ms)
            ages_ms[i] = age_ms
            if age_ms < window_ms:
                self._ages = True
            else:
                self.left = True

    def use(self):
        """It happens. False if it should not."""
        ages_ms = self._ages_ms
        oldest = 0
        for i in range(len(ages_ms)):
            if ages_ms[i] > ages_ms[oldest]:
                oldest = i
        might = ages_ms[oldest] >= self._window_ms
        ages_ms[oldest] = 0
        self._ages = True
        self.left = max(ages_ms) >= self._window_ms
        return might
