"""Ticks: milliseconds or microseconds of a counter that wraps at 2**30, as MicroPython's do.

`(now - then) & MASK` is the time between two of them, up to 2**30 - 1; `(now + ms) & MASK` is one
later on. Numbers up to MASK are small integers: none of them is on the heap.
"""

from micropython import const

MASK = const(0x3FFFFFFF)
