"""Viper version of due_py.py."""

import micropython


@micropython.viper
def pick_due(due: ptr32, count: int, now: int) -> int:
    mask = int(0x3FFFFFFF)
    i = 0
    while i < count:
        if ((now - due[i]) & mask) < 0x20000000:
            return i
        i += 1
    return -1


@micropython.viper
def next_due(due: ptr32, count: int, now: int) -> int:
    mask = int(0x3FFFFFFF)
    best = 0x20000000
    i = 0
    while i < count:
        ahead = ((due[i] - now + 0x20000000) & mask) - 0x20000000
        if ahead < best:
            best = ahead
        i += 1
    return (now + best) & mask
