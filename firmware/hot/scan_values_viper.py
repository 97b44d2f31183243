"""Viper version of scan_values_py.py; see there."""

import micropython


@micropython.viper
def decode_scan(regs: ptr8, cells_mv: ptr16, out: ptr32, count: int, cell_low_mv: int,
                cell_high_mv: int, sum_error_mv: int) -> int:
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
    stack = (((regs[0x34] | regs[0x35] << 8) ^ 0x8000) - 0x8000) * 10
    error = total - stack
    if error > sum_error_mv or 0 - error > sum_error_mv:
        doubts |= 2
    out[3] = total
    out[4] = stack
    out[5] = (((regs[0x36] | regs[0x37] << 8) ^ 0x8000) - 0x8000) * 10
    if doubts & 2 != 0 or high < 0:
        out[0] = no_reading
        out[1] = no_reading
        out[2] = no_reading
    else:
        out[0] = high
        out[1] = low
        out[2] = high - low
    out[19] = high_at
    out[20] = low_at
    current = (((regs[0x3A] | regs[0x3B] << 8) ^ 0x8000) - 0x8000) * 10
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
        elif i < 4:
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
    out[17] = ((regs[0x68] | regs[0x69] << 8) ^ 0x8000) - 0x8000 - 2731
    return doubts
