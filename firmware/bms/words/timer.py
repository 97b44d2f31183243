"""Timers that count from the first sight of what they time.

A condition that toggles from scan to scan must not starve a timer whose end makes the pack safe
(PRO-28): such a timer is leaky. It counts up while the condition holds and leaks, at half that
pace, while it does not. A condition that holds for more than a third of the time reaches the end
within bounded time; a single pulse that is shorter than the delay never does.
"""

import micropython
from micropython import const

SOON_MS = const(300)         # limits are 0 this long before a fault opens the FETs (COM-05)
_LONGEST_MS = const(1 << 28)  # timers stop here: beyond 2**30 an int would live on the heap


@micropython.native
def longer(ms, dt_ms):
    """The timer *ms* a step of *dt_ms* later; -1 is "not yet"."""
    if ms < 0:
        return 0
    return ms + dt_ms if ms < _LONGEST_MS else ms


@micropython.native
def leaky(ms, dt_ms, holds):
    """The leaky timer *ms* a step of *dt_ms* later; -1 is "not at all".

    -2 is "leaked to nothing in this step": a condition that holds in every second scan only is
    timed as well.
    """
    if holds:
        if ms == -1:
            return 0
        return ms + dt_ms if ms < _LONGEST_MS else ms
    if ms < 0:
        return -1
    ms -= dt_ms >> 1
    return ms if ms >= 0 else -2
