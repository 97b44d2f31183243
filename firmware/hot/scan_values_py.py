"""Registers of a scan to readings: the definition of what scan_values_viper.py must do.

Register numbers: BQ76952 direct commands. Units set by afe_config: 10 mV, 10 mA, 0.1 K.
"""

_NO_READING = -0x20000000
_KELVIN_DK = 2731
_COLDEST_DC = -450      # an open thermistor reads below, a shorted one above
_HOTTEST_DC = 1300


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
        value = _signed(regs[0x14 + 2 * i], regs[0x15 + 2 * i])
        value += (value * cal[i] >> 15) - cal[16 + i]
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
    if high - low >= 2 * wire_mv or doubts:
        average = total // count
        before = 0
        i = 0
        while i < count:
            off = cells_mv[i] - average
            size = abs(off)
            other = before if off < 0 else -before
            if size >= wire_mv and other >= wire_mv and size <= 3 * other and other <= 3 * size:
                doubts |= 16
            before = off
            i += 1
    stack = _signed(regs[0x34], regs[0x35]) * 10
    stack += (stack * cal[40] >> 15) - cal[41]
    error = total - stack
    if error > sum_error_mv or -error > sum_error_mv:
        doubts |= 2
    out[4] = stack
    value = _signed(regs[0x36], regs[0x37]) * 10
    out[5] = value + (value * cal[42] >> 15) - cal[43]
    value = _signed(regs[0x38], regs[0x39]) * 10
    out[23] = value + (value * cal[44] >> 15) - cal[45]
    if doubts:
        out[3] = _NO_READING
        out[0] = _NO_READING
        out[1] = _NO_READING
        out[2] = _NO_READING
    else:
        out[3] = total
        out[0] = high
        out[1] = low
        out[2] = high - low
    out[19] = high_at
    out[20] = low_at
    current = _signed(regs[0x3A], regs[0x3B]) * 10
    current += (current * cal[32] >> 15) - cal[33]
    out[6] = current
    out[7] = current if current > 0 else 0
    out[8] = -current if current < 0 else 0
    coldest = 0x7FFF
    hottest = -0x7FFF
    i = 0
    while i < 5:
        at = 0x70 + 2 * i           # TS1 TS2 TS3, then DCHG DDSG
        if i >= 3:
            at += 2                 # HDQ stands between
        value = _signed(regs[at], regs[at + 1]) - _KELVIN_DK
        if value < _COLDEST_DC:
            doubts |= 4
            value = _NO_READING
        elif value > _HOTTEST_DC:
            doubts |= 8
            value = _NO_READING
        else:
            value -= cal[34 + i]
            if i < 4:
                if value < coldest:
                    coldest = value
                if value > hottest:
                    hottest = value
        out[11 + i] = value         # four cells, then the MOSFET in slot 15
        i += 1
    if coldest == 0x7FFF:
        out[9] = _NO_READING
        out[10] = _NO_READING
    else:
        out[9] = coldest
        out[10] = hottest
    out[17] = _signed(regs[0x68], regs[0x69]) - _KELVIN_DK
    mixed = 0
    i = 0x14
    while i < 0x3C:
        mixed = (mixed * 31 + regs[i]) & 0xFFFFFF
        i += 1
    out[24] = mixed
    return doubts
