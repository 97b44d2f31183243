"""Which task is due: the definition of what due_viper.py must do.

Times are ticks of 30 bits that wrap (12.4 days of milliseconds).
"""

_MASK = (1 << 30) - 1
_HALF = 1 << 29


def pick_due(due, count, now):
    """Index of the first entry of *due* that is not after *now*, else -1."""
    for i in range(count):
        if ((now - due[i]) & _MASK) < _HALF:
            return i
    return -1


def next_due(due, count, now):
    """The earliest entry of *due*, as ticks. *now* tells which way round the wrap is."""
    best = _HALF
    for i in range(count):
        ahead = ((due[i] - now + _HALF) & _MASK) - _HALF
        if ahead < best:
            best = ahead
    return (now + best) & _MASK
