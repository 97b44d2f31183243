"""Viper version of protect_py.py; see there for columns and rules.

A word of memory is read without its sign where words have 64 bits: what may be negative goes
through (x & low) ^ half) - half, which is right on both for +-2**30. Bit 30 of a difference is its
sign: readings and thresholds are within +-2**29. The first three arguments are the only names that
the compiler keeps in registers.

Most items of most scans are inside their thresholds, and nothing runs or stands: they are passed
over, as nothing of them would change. Two passes, because the Cortex-M0+ cannot branch across one
function with both.
"""

import micropython


@micropython.native
def protect_step(rows, state, readings, count, dt_ms, conditions, forget_ms, afe_new):
    return (_alarms(rows, state, readings, count, dt_ms, conditions)
            | _trips(rows, state, readings, count, dt_ms, conditions, forget_ms, afe_new))


@micropython.viper
def _alarms(rows: ptr32, state: ptr32, readings: ptr32, count: int, dt_ms: int,
            conditions: int) -> int:
    low = int(0x7FFFFFFF)
    half = int(0x40000000)
    no_reading = -0x20000000
    longest_ms = 0x10000000
    changed = 0
    while count:
        if rows[7] & 1:
            going = readings[rows[0]] - rows[2]
            if rows[1]:
                going = 0 - going
            if state[0] | state[3] | (going & half ^ half):
                value = ((readings[rows[0]] & low) ^ half) - half
                flags = state[3]
                before = flags
                ms = state[0]
                if conditions & rows[13]:
                    flags &= 14
                    ms = 0
                elif value == no_reading:
                    if ms:
                        if ms < longest_ms:
                            ms += dt_ms
                else:
                    if flags & 1:
                        going = ((rows[3] & low) ^ half) - half - value
                    else:
                        going = value - (((rows[2] & low) ^ half) - half)
                    if rows[1]:
                        going = 0 - going
                    if going < 0:
                        if ms > 1:
                            ms -= dt_ms >> 1
                            if ms < 1:
                                ms = 1
                        else:
                            ms = 0
                    else:
                        if ms:
                            ms += dt_ms
                        else:
                            ms = 2
                        if ms > rows[6] + 1:
                            flags ^= 1
                            ms = 0
                state[0] = ms
                if flags != before:
                    state[3] = flags
                    changed = 256
        rows = ptr32(int(rows) + 68)        # WIDTH words
        state = ptr32(int(state) + 24)      # STATE words
        count -= 1
    return changed


@micropython.viper
def _trips(rows: ptr32, state: ptr32, readings: ptr32, count: int, dt_ms: int, conditions: int,
           forget_ms: int, afe_new: int) -> int:
    low = int(0x7FFFFFFF)
    half = int(0x40000000)
    no_reading = -0x20000000
    longest_ms = 0x10000000
    result = 0
    while count:
        going = half
        if rows[7] & 2:
            going = readings[rows[0]] - rows[4]
            if rows[1]:
                going = 0 - going
        if state[1] | state[3] | state[4] | afe_new & rows[14] | (going & half ^ half):
            flags = state[3]
            before = flags
            if rows[7] & 2:
                value = ((readings[rows[0]] & low) ^ half) - half
                out = conditions & rows[9]
                if flags & 2:
                    held_ms = state[2]
                    if held_ms < longest_ms:
                        held_ms += dt_ms
                    state[2] = held_ms
                    release = 0
                    if out:
                        release = 1
                    elif flags & 4 == 0:
                        if rows[10]:
                            if held_ms >= rows[10]:
                                release = 1
                        elif value != no_reading:
                            if conditions & rows[8] == rows[8]:
                                going = value - (((rows[5] & low) ^ half) - half)
                                if rows[1]:
                                    going = 0 - going
                                if going <= 0:
                                    release = 1
                    if release:
                        flags &= 1
                        state[1] = 0
                        state[5] = 0
                        if out:
                            state[4] = 0
                        elif rows[16]:
                            flags |= 8
                            state[2] = 0
                else:
                    if flags & 8:
                        held_ms = state[2] + dt_ms
                        state[2] = held_ms
                        if out:
                            flags &= 7
                        elif held_ms >= rows[16]:
                            flags &= 7
                    ms = state[1]
                    trip = afe_new & rows[14]
                    if out:
                        ms = 0
                        trip = 0
                        state[4] = 0
                    elif value == no_reading:
                        if ms:
                            if ms < longest_ms:
                                ms += dt_ms
                    elif going & half:
                        if ms > 1:
                            ms -= dt_ms >> 1
                            if ms < 1:
                                ms = 1
                        else:
                            ms = 0
                    else:
                        if ms:
                            ms += dt_ms
                        else:
                            ms = 2
                        if ms > rows[6] + 1:
                            trip = 1
                    if trip:
                        flags = flags & 7 | 2
                        ms = 0
                        state[2] = 0
                        state[4] += 1
                        if rows[11]:
                            if state[4] >= rows[11]:
                                flags |= 4
                    elif ms:
                        result |= rows[12] << 2
                    state[1] = ms
                    if flags & 2 == 0:
                        if state[4]:
                            state[5] += dt_ms
                            quiet_ms = rows[15]
                            if quiet_ms == 0:
                                quiet_ms = forget_ms
                            if state[5] >= quiet_ms:
                                state[4] = 0
            if flags != before:
                state[3] = flags
                result |= 256
            if flags & 10:
                result |= rows[12]
        rows = ptr32(int(rows) + 68)        # WIDTH words
        state = ptr32(int(state) + 24)      # STATE words
        count -= 1
    return result
