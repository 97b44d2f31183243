"""Registers of a scan to readings: the definition of what scan_values_viper.py must do.

Registers: direct commands of the BQ76952. Units, set by protect/second_line.py: 10 mV, 10 mA,
0.1 K.
"""

from micropython import const

from bms.words.readings import (
    CAL_CELL_GAIN,
    CAL_CELL_OFFSET,
    CAL_CURRENT_GAIN,
    CAL_CURRENT_OFFSET,
    CAL_LD_GAIN,
    CAL_LD_OFFSET,
    CAL_PACK_GAIN,
    CAL_PACK_OFFSET,
    CAL_STACK_GAIN,
    CAL_STACK_OFFSET,
    CAL_TEMP_OFFSET,
    CELL_DIFF_MV,
    CELL_IMPLAUSIBLE,
    CELL_SUM_MV,
    CHARGE_MA,
    CURRENT_MA,
    DIE_DC,
    DISCHARGE_MA,
    LD_MV,
    MAX_CELL,
    MAX_CELL_MV,
    MAX_TEMP_DC,
    MIN_CELL,
    MIN_CELL_MV,
    MIN_TEMP_DC,
    NO_READING,
    NTC_OPEN,
    NTC_SHORT,
    PACK_MV,
    SCAN_HASH,
    STACK_MV,
    SUM_IMPLAUSIBLE,
    TEMP_DC,
    WIRE_OPEN,
)
from bq76952_map import CC2_CURRENT, CELL_1, DIE_TEMP, LD_PIN, PACK_PIN, STACK, TS1_TEMP

KELVIN_DK = const(2731)
COLDEST_DC = const(-450)    # an open thermistor reads below, a shorted one above
HOTTEST_DC = const(1300)


def _signed(low, high):
    value = low | high << 8
    return value - 0x10000 if value & 0x8000 else value


def decode_scan(regs, cells_mv, out, cal, count, cell_low_mv, cell_high_mv, sum_error_mv,
                wire_mv):
    """Decode one complete scan.

    regs          bytearray(128) of direct-command bytes
    cells_mv      array('H'), length *count*: cell voltages, overwritten
    out           array('i'): readings by the slots of words.readings, overwritten except SOC_CPCT,
                  AMBIENT_DC, REVERSED and NEVER
    cal           array('i'): calibration by the slots of words.readings
    cell_low_mv   a cell at or below is implausible; cell_high_mv: at or above
    sum_error_mv  largest believable difference between sum of cells and stack
    wire_mv       two neighbours at least this far from the average, in opposite directions and
                  neither three times as far as the other, mean an open sense wire between them
    returns       doubts, bits of words.readings. With any doubt about the cells their extremes and
                  their sum are NO_READING: no protection trips or releases by them.
    """
    doubts = 0
    total = 0
    high = -1
    low = 0x10000
    high_at = 0
    low_at = 0
    i = 0
    while i < count:
        at = CELL_1 + 2 * i
        value = _signed(regs[at], regs[at + 1])
        value += (value * cal[CAL_CELL_GAIN + i] >> 15) - cal[CAL_CELL_OFFSET + i]
        if value < 0:
            value = 0
        cells_mv[i] = value
        total += value
        if value <= cell_low_mv or value >= cell_high_mv:
            doubts |= CELL_IMPLAUSIBLE
        else:
            if value > high:
                high = value
                high_at = i
            if value < low:
                low = value
                low_at = i
        i += 1
    if high - low >= 2 * wire_mv or doubts:
        average = total // count
        before = 0
        i = 0
        while i < count:
            off = cells_mv[i] - average
            size = abs(off)
            other = before if off < 0 else -before
            if size >= wire_mv and other >= wire_mv and size <= 3 * other and other <= 3 * size:
                doubts |= WIRE_OPEN
            before = off
            i += 1
    stack = _signed(regs[STACK], regs[STACK + 1]) * 10
    stack += (stack * cal[CAL_STACK_GAIN] >> 15) - cal[CAL_STACK_OFFSET]
    error = total - stack
    if error > sum_error_mv or -error > sum_error_mv:
        doubts |= SUM_IMPLAUSIBLE
    out[STACK_MV] = stack
    value = _signed(regs[PACK_PIN], regs[PACK_PIN + 1]) * 10
    out[PACK_MV] = value + (value * cal[CAL_PACK_GAIN] >> 15) - cal[CAL_PACK_OFFSET]
    value = _signed(regs[LD_PIN], regs[LD_PIN + 1]) * 10
    out[LD_MV] = value + (value * cal[CAL_LD_GAIN] >> 15) - cal[CAL_LD_OFFSET]
    if doubts:
        out[CELL_SUM_MV] = NO_READING
        out[MAX_CELL_MV] = NO_READING
        out[MIN_CELL_MV] = NO_READING
        out[CELL_DIFF_MV] = NO_READING
    else:
        out[CELL_SUM_MV] = total
        out[MAX_CELL_MV] = high
        out[MIN_CELL_MV] = low
        out[CELL_DIFF_MV] = high - low
    out[MAX_CELL] = high_at
    out[MIN_CELL] = low_at
    current = _signed(regs[CC2_CURRENT], regs[CC2_CURRENT + 1]) * 10
    current += (current * cal[CAL_CURRENT_GAIN] >> 15) - cal[CAL_CURRENT_OFFSET]
    out[CURRENT_MA] = current
    out[CHARGE_MA] = current if current > 0 else 0
    out[DISCHARGE_MA] = -current if current < 0 else 0
    coldest = 0x7FFF
    hottest = -0x7FFF
    i = 0
    while i < 5:
        at = TS1_TEMP + 2 * i           # TS1 TS2 TS3, then DCHG DDSG
        if i >= 3:
            at += 2                 # HDQ stands between
        value = _signed(regs[at], regs[at + 1]) - KELVIN_DK
        if value < COLDEST_DC:
            doubts |= NTC_OPEN
            value = NO_READING
        elif value > HOTTEST_DC:
            doubts |= NTC_SHORT
            value = NO_READING
        else:
            value -= cal[CAL_TEMP_OFFSET + i]
            if i < 4:
                if value < coldest:
                    coldest = value
                if value > hottest:
                    hottest = value
        out[TEMP_DC + i] = value         # four cells, then the MOSFET in slot 15
        i += 1
    if coldest == 0x7FFF:
        out[MIN_TEMP_DC] = NO_READING
        out[MAX_TEMP_DC] = NO_READING
    else:
        out[MIN_TEMP_DC] = coldest
        out[MAX_TEMP_DC] = hottest
    out[DIE_DC] = _signed(regs[DIE_TEMP], regs[DIE_TEMP + 1]) - KELVIN_DK
    mixed = 0
    i = CELL_1
    while i < CC2_CURRENT + 2:
        mixed = (mixed * 31 + regs[i]) & 0xFFFFFF
        i += 1
    out[SCAN_HASH] = mixed
    return doubts
