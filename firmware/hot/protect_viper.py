"""Viper version of protect_py.py; see there for columns and rules.

A word of memory is read without its sign where words have 64 bits: what may be negative goes
through (x & low) ^ half) - half, which is right on both for +-2**30.

Two passes, because the Cortex-M0+ cannot branch across one function with both.
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
    row = ptr32(int(rows))
    st = ptr32(int(state))
    i = 0
    while i < count:
        if row[7] & 1 != 0:
            value = ((readings[row[0]] & low) ^ half) - half
            delay_ms = row[6] + 1
            flags = st[3]
            before = flags
            ms = st[0]
            if conditions & row[13] != 0:
                flags &= 14
                ms = 0
            elif value == no_reading:
                if ms != 0:
                    if ms < longest_ms:
                        ms += dt_ms
            else:
                if flags & 1 != 0:
                    going = ((row[3] & low) ^ half) - half - value
                else:
                    going = value - (((row[2] & low) ^ half) - half)
                if row[1] != 0:
                    going = 0 - going
                if going < 0:
                    if ms > 1:
                        ms -= dt_ms >> 1
                        if ms < 1:
                            ms = 1
                    else:
                        ms = 0
                else:
                    if ms != 0:
                        ms += dt_ms
                    else:
                        ms = 2
                    if ms > delay_ms:
                        flags ^= 1
                        ms = 0
            st[0] = ms
            if flags != before:
                st[3] = flags
                changed = 256
        row = ptr32(int(row) + 68)      # WIDTH words
        st = ptr32(int(st) + 24)        # STATE words
        i += 1
    return changed


@micropython.viper
def _trips(rows: ptr32, state: ptr32, readings: ptr32, count: int, dt_ms: int, conditions: int,
           forget_ms: int, afe_new: int) -> int:
    low = int(0x7FFFFFFF)
    half = int(0x40000000)
    no_reading = -0x20000000
    longest_ms = 0x10000000
    blocked = 0
    changed = 0
    row = ptr32(int(rows))
    st = ptr32(int(state))
    i = 0
    while i < count:
        value = ((readings[row[0]] & low) ^ half) - half
        delay_ms = row[6] + 1
        flags = st[3]
        before = flags
        if row[7] & 2 != 0:
            out = conditions & row[9]
            if flags & 2 != 0:
                held_ms = st[2]
                if held_ms < longest_ms:
                    held_ms += dt_ms
                st[2] = held_ms
                release = 0
                if out != 0:
                    release = 1
                elif flags & 4 == 0:
                    if row[10] != 0:
                        if held_ms >= row[10]:
                            release = 1
                    elif value != no_reading:
                        if conditions & row[8] == row[8]:
                            going = value - (((row[5] & low) ^ half) - half)
                            if row[1] != 0:
                                going = 0 - going
                            if going <= 0:
                                release = 1
                if release != 0:
                    flags &= 1
                    st[1] = 0
                    st[5] = 0
                    if out != 0:
                        st[4] = 0
                    elif row[16] != 0:
                        flags |= 8
                        st[2] = 0
            else:
                if flags & 8 != 0:
                    held_ms = st[2] + dt_ms
                    st[2] = held_ms
                    if out != 0:
                        flags &= 7
                    elif held_ms >= row[16]:
                        flags &= 7
                ms = st[1]
                trip = afe_new & row[14]
                if out != 0:
                    ms = 0
                    trip = 0
                    st[4] = 0
                elif value == no_reading:
                    if ms != 0:
                        if ms < longest_ms:
                            ms += dt_ms
                else:
                    going = value - (((row[4] & low) ^ half) - half)
                    if row[1] != 0:
                        going = 0 - going
                    if going < 0:
                        if ms > 1:
                            ms -= dt_ms >> 1
                            if ms < 1:
                                ms = 1
                        else:
                            ms = 0
                    else:
                        if ms != 0:
                            ms += dt_ms
                        else:
                            ms = 2
                        if ms > delay_ms:
                            trip = 1
                if trip != 0:
                    flags = flags & 7 | 2
                    ms = 0
                    st[2] = 0
                    st[4] += 1
                    if row[11] != 0:
                        if st[4] >= row[11]:
                            flags |= 4
                elif ms != 0:
                    blocked |= row[12] << 2
                st[1] = ms
                if flags & 2 == 0:
                    if st[4] != 0:
                        st[5] += dt_ms
                        quiet_ms = row[15]
                        if quiet_ms == 0:
                            quiet_ms = forget_ms
                        if st[5] >= quiet_ms:
                            st[4] = 0
        if flags != before:
            st[3] = flags
            changed = 256
        if flags & 10 != 0:
            blocked |= row[12]
        row = ptr32(int(row) + 68)      # WIDTH words
        st = ptr32(int(st) + 24)        # STATE words
        i += 1
    return blocked | changed
