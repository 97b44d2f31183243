"""Keeps MicroPython's heap quick (SAF-04: nothing is asked of it in steady state).

Calling a function of some size takes a piece of heap for its state and gives it back. The search
for it begins at the first block that may be free, and moves on only when a single block is asked
for: one small hole among many long-lived objects makes each call look through all of them. So
the small holes are filled now and then, with pieces of one block that nobody keeps; they stay
until the next collection.
"""

import sys

_BLOCK = 16 if sys.maxsize < 1 << 32 else 32    # bytes: four pointers
_RUN = 12               # blocks in a row that mean: free from here on
_MOST = 2000            # blocks that are taken at most
_NEAR = 1024            # bytes that others may have taken since the last look

_top = 0                # address of the piece that was taken last


def fill():
    """Fill the holes below the first free stretch, if there are any.

    Returns how many blocks that took; where all is well that is the one it looks with.
    """
    global _top
    if sys.implementation.name != "micropython":
        return 0
    chain: tuple = ()
    before = run = count = 0
    while run < _RUN and count < _MOST:
        chain = (chain, None)       # two items: just one block
        count += 1
        at = id(chain)
        if count == 1 and 0 < at - _top < _NEAR:
            _top = at
            return 1                # where it was looked last, or a little above: no holes below
        run = run + 1 if at - before == _BLOCK else 0
        before = at
    _top = before
    return count
