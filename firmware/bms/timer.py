"""A timer that counts from the first sight of what it times."""

from micropython import const

SOON_MS = const(300)         # limits are 0 so long before a fault opens the FETs (COM-05)
_LONGEST_MS = const(1 << 28)  # timers stop here: beyond 2**30 an int would live on the heap


def longer(ms, dt_ms):
    """The timer *ms* a step of *dt_ms* later; -1 is "not yet"."""
    if ms < 0:
        return 0
    return ms + dt_ms if ms < _LONGEST_MS else ms
