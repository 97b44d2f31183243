"""Bounds of errors: their root, and how two of them weigh against each other."""


def root(x):
    """Square root of an int of 0..2**30, rounded down."""
    found = 0
    bit = 1 << 14
    while bit:
        if (found | bit) * (found | bit) <= x:
            found |= bit
        bit >>= 1
    return found


def weight(u, u_new):
    """Weight of a new value in 1/256, from the bounds (0..20000) of the old and the new one."""
    a = u // 8 + 1
    b = u_new // 8 + 1
    return 256 * (a * a) // (a * a + b * b)


def bounded(mah):
    """*mah* within +-2**28, for sums that nobody ends."""
    return max(-(1 << 28), min(mah, 1 << 28))
