"""Viper version of scan_values_py.py; see there.

A word of memory is read without its sign where words have 64 bits: what may be negative goes
through ((x & low31) ^ half) - half, which is right on both for +-2**30.
"""

import micropython
from micropython import const

# Slots of words/readings.py: readings, calibration, doubts. A test compares them.
_MAX_CELL_MV = const(0)
_MIN_CELL_MV = const(1)
_CELL_DIFF_MV = const(2)
_CELL_SUM_MV = const(3)
_STACK_MV = const(4)
_PACK_MV = const(5)
_CURRENT_MA = const(6)
_CHARGE_MA = const(7)
_DISCHARGE_MA = const(8)
_MIN_TEMP_DC = const(9)
_MAX_TEMP_DC = const(10)
_TEMP_DC = const(11)
_DIE_DC = const(17)
_MAX_CELL = const(19)
_MIN_CELL = const(20)
_LD_MV = const(23)
_SCAN_HASH = const(24)

_CAL_CELL_GAIN = const(0)
_CAL_CELL_OFFSET = const(16)
_CAL_CURRENT_GAIN = const(32)
_CAL_CURRENT_OFFSET = const(33)
_CAL_TEMP_OFFSET = const(34)
_CAL_STACK_GAIN = const(40)
_CAL_STACK_OFFSET = const(41)
_CAL_PACK_GAIN = const(42)
_CAL_PACK_OFFSET = const(43)
_CAL_LD_GAIN = const(44)
_CAL_LD_OFFSET = const(45)

_CELL_IMPLAUSIBLE = const(1)
_SUM_IMPLAUSIBLE = const(2)
_NTC_OPEN = const(4)
_NTC_SHORT = const(8)
_WIRE_OPEN = const(16)

# Registers of bq76952_map.py
_CELL_1 = const(0x14)
_STACK = const(0x34)
_PACK_PIN = const(0x36)
_LD_PIN = const(0x38)
_CC2_CURRENT = const(0x3A)
_DIE_TEMP = const(0x68)
_TS1_TEMP = const(0x70)

# Numbers of scan_values_py.py
_KELVIN_DK = const(2731)
_COLDEST_DC = const(-450)
_HOTTEST_DC = const(1300)


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
        at = _CELL_1 + 2 * i
        value = ((regs[at] | regs[at + 1] << 8) ^ 0x8000) - 0x8000
        gain = ((cal[_CAL_CELL_GAIN + i] & low31) ^ half) - half
        offset = ((cal[_CAL_CELL_OFFSET + i] & low31) ^ half) - half
        value += (value * gain >> 15) - offset
        if value < 0:
            value = 0
        cells_mv[i] = value
        total += value
        if value <= cell_low_mv or value >= cell_high_mv:
            doubts |= _CELL_IMPLAUSIBLE
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
                    doubts |= _WIRE_OPEN
            before = off
            i += 1
    stack = (((regs[_STACK] | regs[_STACK + 1] << 8) ^ 0x8000) - 0x8000) * 10
    gain = ((cal[_CAL_STACK_GAIN] & low31) ^ half) - half
    offset = ((cal[_CAL_STACK_OFFSET] & low31) ^ half) - half
    stack += (stack * gain >> 15) - offset
    error = total - stack
    if error > sum_error_mv or 0 - error > sum_error_mv:
        doubts |= _SUM_IMPLAUSIBLE
    out[_STACK_MV] = stack
    value = (((regs[_PACK_PIN] | regs[_PACK_PIN + 1] << 8) ^ 0x8000) - 0x8000) * 10
    gain = ((cal[_CAL_PACK_GAIN] & low31) ^ half) - half
    offset = ((cal[_CAL_PACK_OFFSET] & low31) ^ half) - half
    out[_PACK_MV] = value + (value * gain >> 15) - offset
    value = (((regs[_LD_PIN] | regs[_LD_PIN + 1] << 8) ^ 0x8000) - 0x8000) * 10
    gain = ((cal[_CAL_LD_GAIN] & low31) ^ half) - half
    offset = ((cal[_CAL_LD_OFFSET] & low31) ^ half) - half
    out[_LD_MV] = value + (value * gain >> 15) - offset
    if doubts != 0:
        out[_CELL_SUM_MV] = no_reading
        out[_MAX_CELL_MV] = no_reading
        out[_MIN_CELL_MV] = no_reading
        out[_CELL_DIFF_MV] = no_reading
    else:
        out[_CELL_SUM_MV] = total
        out[_MAX_CELL_MV] = high
        out[_MIN_CELL_MV] = low
        out[_CELL_DIFF_MV] = high - low
    out[_MAX_CELL] = high_at
    out[_MIN_CELL] = low_at
    current = (((regs[_CC2_CURRENT] | regs[_CC2_CURRENT + 1] << 8) ^ 0x8000) - 0x8000) * 10
    gain = ((cal[_CAL_CURRENT_GAIN] & low31) ^ half) - half
    offset = ((cal[_CAL_CURRENT_OFFSET] & low31) ^ half) - half
    current += (current * gain >> 15) - offset
    out[_CURRENT_MA] = current
    if current > 0:
        out[_CHARGE_MA] = current
        out[_DISCHARGE_MA] = 0
    else:
        out[_CHARGE_MA] = 0
        out[_DISCHARGE_MA] = 0 - current
    coldest = 0x7FFF
    hottest = -0x7FFF
    i = 0
    while i < 5:
        at = _TS1_TEMP + 2 * i
        if i >= 3:
            at += 2
        value = ((regs[at] | regs[at + 1] << 8) ^ 0x8000) - 0x8000 - _KELVIN_DK
        if value < _COLDEST_DC:
            doubts |= _NTC_OPEN
            value = no_reading
        elif value > _HOTTEST_DC:
            doubts |= _NTC_SHORT
            value = no_reading
        else:
            value -= (((cal[_CAL_TEMP_OFFSET + i] & low31) ^ half) - half)
            if i < 4:
                if value < coldest:
                    coldest = value
                if value > hottest:
                    hottest = value
        out[_TEMP_DC + i] = value
        i += 1
    if coldest == 0x7FFF:
        out[_MIN_TEMP_DC] = no_reading
        out[_MAX_TEMP_DC] = no_reading
    else:
        out[_MIN_TEMP_DC] = coldest
        out[_MAX_TEMP_DC] = hottest
    out[_DIE_DC] = (((regs[_DIE_TEMP] | regs[_DIE_TEMP + 1] << 8) ^ 0x8000) - 0x8000) - _KELVIN_DK
    mixed = 0
    i = _CELL_1
    while i < _CC2_CURRENT + 2:
        mixed = (mixed * 31 + regs[i]) & 0xFFFFFF
        i += 1
    out[_SCAN_HASH] = mixed
    return doubts
