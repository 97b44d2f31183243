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
from micropython import const

# The names of protect_py.py, which says what they mean; a test compares them.
_READING = const(0)
_BELOW = const(1)
_ALARM_AT = const(2)
_ALARM_END = const(3)
_TRIP_AT = const(4)
_RELEASE_AT = const(5)
_DELAY_MS = const(6)
_HAS = const(7)
_NEED = const(8)
_ANY = const(9)
_AFTER_MS = const(10)
_LOCK_AT = const(11)
_BLOCKS = const(12)
_MUTE = const(13)
_AFE = const(14)
_FORGET_MS = const(15)
_WAIT_MS = const(16)
_WIDTH = const(17)

_ALARM_RUN = const(0)
_TRIP_RUN = const(1)
_HELD_MS = const(2)
_FLAGS = const(3)
_IN_ROW = const(4)
_QUIET_MS = const(5)
_STATE = const(6)

_ALARM = const(1)
_TRIPPED = const(2)
_LOCKED = const(4)
_WAITS = const(8)
_PENDING = const(2)
_CHANGED = const(256)


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
        if rows[_HAS] & _ALARM:
            going = readings[rows[_READING]] - rows[_ALARM_AT]
            if rows[_BELOW]:
                going = 0 - going
            if state[_ALARM_RUN] | state[_FLAGS] | (going & half ^ half):
                value = ((readings[rows[_READING]] & low) ^ half) - half
                flags = state[_FLAGS]
                before = flags
                ms = state[_ALARM_RUN]
                if conditions & rows[_MUTE]:
                    flags &= _TRIPPED | _LOCKED | _WAITS
                    ms = 0
                elif value == no_reading:
                    if ms:
                        if ms < longest_ms:
                            ms += dt_ms
                else:
                    if flags & _ALARM:
                        going = ((rows[_ALARM_END] & low) ^ half) - half - value
                    else:
                        going = value - (((rows[_ALARM_AT] & low) ^ half) - half)
                    if rows[_BELOW]:
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
                        if ms > rows[_DELAY_MS] + 1:
                            flags ^= _ALARM
                            ms = 0
                state[_ALARM_RUN] = ms
                if flags != before:
                    state[_FLAGS] = flags
                    changed = _CHANGED
        rows = ptr32(int(rows) + 4 * _WIDTH)
        state = ptr32(int(state) + 4 * _STATE)
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
        if rows[_HAS] & _TRIPPED:
            going = readings[rows[_READING]] - rows[_TRIP_AT]
            if rows[_BELOW]:
                going = 0 - going
        if (state[_TRIP_RUN] | state[_FLAGS] | state[_IN_ROW] | afe_new & rows[_AFE]
                | (going & half ^ half)):
            flags = state[_FLAGS]
            before = flags
            if rows[_HAS] & _TRIPPED:
                value = ((readings[rows[_READING]] & low) ^ half) - half
                out = conditions & rows[_ANY]
                if flags & _TRIPPED:
                    held_ms = state[_HELD_MS]
                    if held_ms < longest_ms:
                        held_ms += dt_ms
                    state[_HELD_MS] = held_ms
                    release = 0
                    if out:
                        release = 1
                    elif flags & _LOCKED == 0:
                        if rows[_AFTER_MS]:
                            if held_ms >= rows[_AFTER_MS]:
                                release = 1
                        elif value != no_reading:
                            if conditions & rows[_NEED] == rows[_NEED]:
                                going = value - (((rows[_RELEASE_AT] & low) ^ half) - half)
                                if rows[_BELOW]:
                                    going = 0 - going
                                if going <= 0:
                                    release = 1
                    if release:
                        flags &= _ALARM
                        state[_TRIP_RUN] = 0
                        state[_QUIET_MS] = 0
                        if out:
                            state[_IN_ROW] = 0
                        elif rows[_WAIT_MS]:
                            flags |= _WAITS
                            state[_HELD_MS] = 0
                else:
                    if flags & _WAITS:
                        held_ms = state[_HELD_MS] + dt_ms
                        state[_HELD_MS] = held_ms
                        if out:
                            flags &= _ALARM | _TRIPPED | _LOCKED
                        elif held_ms >= rows[_WAIT_MS]:
                            flags &= _ALARM | _TRIPPED | _LOCKED
                    ms = state[_TRIP_RUN]
                    trip = afe_new & rows[_AFE]
                    if out:
                        ms = 0
                        trip = 0
                        state[_IN_ROW] = 0
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
                        if ms > rows[_DELAY_MS] + 1:
                            trip = 1
                    if trip:
                        flags = flags & (_ALARM | _TRIPPED | _LOCKED) | _TRIPPED
                        ms = 0
                        state[_HELD_MS] = 0
                        state[_IN_ROW] += 1
                        if rows[_LOCK_AT]:
                            if state[_IN_ROW] >= rows[_LOCK_AT]:
                                flags |= _LOCKED
                    elif ms:
                        result |= rows[_BLOCKS] << _PENDING
                    state[_TRIP_RUN] = ms
                    if flags & _TRIPPED == 0:
                        if state[_IN_ROW]:
                            state[_QUIET_MS] += dt_ms
                            quiet_ms = rows[_FORGET_MS]
                            if quiet_ms == 0:
                                quiet_ms = forget_ms
                            if state[_QUIET_MS] >= quiet_ms:
                                state[_IN_ROW] = 0
            if flags != before:
                state[_FLAGS] = flags
                result |= _CHANGED
            if flags & (_TRIPPED | _WAITS):
                result |= rows[_BLOCKS]
        rows = ptr32(int(rows) + 4 * _WIDTH)
        state = ptr32(int(state) + 4 * _STATE)
        count -= 1
    return result
