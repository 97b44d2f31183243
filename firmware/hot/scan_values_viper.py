"""Viper version of scan_values_py.py; see there.

A word of memory is read without its sign where words have 64 bits: what may be negative goes
through ((x & low31) ^ half) - half, which is right on both for +-2**30.
"""

import micropython


@micropython.viper
def decode_scan(regs: ptr8, cells_mv: ptr16, out: ptr32, cal: ptr32, count: int,
                cell_low_mv: int, cell_high_mv: int, sum_error_mv: int, wire_mv: int) -> int:
    low31 = int(0x7FFFFFFF)
    half = int(0x40000000)
    no_reading = -0x20000000
    doubts = 0
    total = 0
    high = -1
    low = 0x10000
    high_at = 0
    low_at = 0
    i = 0
    while i < count:
        value = ((regs[0x14 + 2 * i] | regs[0x15 + 2 * i] << 8) ^ 0x8000) - 0x8000
        gain = ((cal[i] & low31) ^ half) - half
        offset = ((cal[16 + i] & low31) ^ half) - half
        value += (value * gain >> 15) - offset
        if value < 0:
            value = 0
        cells_mv[i] = value
        total += value
        if value <= cell_low_mv or value >= cell_high_mv:
            doubts |= 1
        else:
            if value > high:
                high = value
                high_at = i
            if value < low:
                low = value
                low_at = i
        i += 1
    if high - low >= 2 * wire_mv or doubts != 0:
        average = total // count
        before = 0
        i = 0
        while i < count:
            off = cells_mv[i] - average
            size = off
            other = 0 - before
            if off < 0:
                size = 0 - off
                other = before
            if size >= wire_mv and other >= wire_mv:
                if size <= 3 * other and other <= 3 * size:
                    doubts |= 16
            before = off
            i += 1
    stack = (((regs[0x34] | regs[0x35] << 8) ^ 0x8000) - 0x8000) * 10
    gain = ((cal[40] & low31) ^ half) - half
    offset = ((cal[41] & low31) ^ half) - half
    stack += (stack * gain >> 15) - offset
    error = total - stack
    if error > sum_error_mv or 0 - error > sum_error_mv:
        doubts |= 2
    out[4] = stack
    value = (((regs[0x36] | regs[0x37] << 8) ^ 0x8000) - 0x8000) * 10
    gain = ((cal[42] & low31) ^ half) - half
    offset = ((cal[43] & low31) ^ half) - half
    out[5] = value + (value * gain >> 15) - offset
    value = (((regs[0x38] | regs[0x39] << 8) ^ 0x8000) - 0x8000) * 10
    gain = ((cal[44] & low31) ^ half) - half
    offset = ((cal[45] & low31) ^ half) - half
    out[23] = value + (value * gain >> 15) - offset
    if doubts != 0:
        out[3] = no_reading
        out[0] = no_reading
        out[1] = no_reading
        out[2] = no_reading
    else:
        out[3] = total
        out[0] = high
        out[1] = low
        out[2] = high - low
    out[19] = high_at
    out[20] = low_at
    current = (((regs[0x3A] | regs[0x3B] << 8) ^ 0x8000) - 0x8000) * 10
    gain = ((cal[32] & low31) ^ half) - half
    offset = ((cal[33] & low31) ^ half) - half
    current += (current * gain >> 15) - offset
    out[6] = current
    if current > 0:
        out[7] = current
        out[8] = 0
    else:
        out[7] = 0
        out[8] = 0 - current
    coldest = 0x7FFF
    hottest = -0x7FFF
    i = 0
    while i < 5:
        at = 0x70 + 2 * i
        if i >= 3:
            at += 2
        value = ((regs[at] | regs[at + 1] << 8) ^ 0x8000) - 0x8000 - 2731
        if value < -450:
            doubts |= 4
            value = no_reading
        elif value > 1300:
            doubts |= 8
            value = no_reading
        else:
            value -= (((cal[34 + i] & low31) ^ half) - half)
            if i < 4:
                if value < coldest:
                    coldest = value
                if value > hottest:
                    hottest = value
        out[11 + i] = value
        i += 1
    if coldest == 0x7FFF:
        out[9] = no_reading
        out[10] = no_reading
    else:
        out[9] = coldest
        out[10] = hottest
    out[17] = (((regs[0x68] | regs[0x69] << 8) ^ 0x8000) - 0x8000) - 2731
    mixed = 0
    i = 0x14
    while i < 0x3C:
        mixed = (mixed * 31 + regs[i]) & 0xFFFFFF
        i += 1
    out[24] = mixed
    return doubts
