"""Keeps MicroPython's heap quick.

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


def fill():
    """Fill the holes below the first free stretch; returns how many blocks that took."""
    if sys.implementation.name != "micropython":
        return 0
    chain: tuple = ()
    before = run = count = 0
    while run < _RUN and count < _MOST:
        chain = (chain, None)       # two items: just one block
        count += 1
        at = id(chain)
        run = run + 1 if at - before == _BLOCK else 0
        before = at
    return count
