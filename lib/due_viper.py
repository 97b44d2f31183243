"""Viper version of due_py.py."""

import micropython


@micropython.viper
def pick_due(due: ptr32, count: int, now: int) -> int:
    half = 0x20000000
    best = half
    left = count
    while left:
        ahead = due[0] - now
        if (ahead - 1) & half:              # it is 0, or more than half of the ticks
            return count - left
        ahead &= 0x3FFFFFFF
        if (ahead - best) & half:           # it is less
            best = ahead
        due = ptr32(int(due) + 4)
        left -= 1
    return 0 - best


@micropython.viper
def account(due: ptr32, table: ptr32, i: int, now: int, took_us: int, failed: int) -> int:
    mask = int(0x3FFFFFFF)
    row = ptr32(int(table) + 28 * i)        # ROW words
    period = row[0]
    if took_us > row[2]:
        row[2] = took_us
    if failed != 0:
        row[4] += 1
    else:
        row[4] = 0
    late = ((now - due[i] + 0x20000000) & mask) - 0x20000000
    due[i] = (due[i] + period) & mask
    if late >= period:
        due[i] = (due[i] + late // period * period) & mask
    if late > 500000:
        late = 500000
    if late * 1000 + took_us > row[1] * 1000:
        row[3] += 1
        row[6] = 1
    else:
        row[5] = 1
    return (now + took_us // 1000) & mask


@micropython.viper
def first_overdue(due: ptr32, table: ptr32, count: int, now: int) -> int:
    mask = int(0x3FFFFFFF)
    i = 0
    while i < count:
        late = (now - due[i]) & mask
        if late < 0x20000000 and late > table[7 * i + 1]:
            return i
        i += 1
    return -1
