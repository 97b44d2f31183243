"""One step of the protection table: the definition of what protect_viper.py must do.

Rows and states are flat arrays of ints, WIDTH and STATE of them an item, in the columns below. The
times beyond leak at half their pace while the reading is not beyond (PRO-28), down to 1, and are 0
with the next such scan: one pulse that is shorter than the delay trips nothing (PRO-21), and a
reading that toggles starves no timer.
"""

from micropython import const

# columns of a row
READING = const(0)      # slot of the value
BELOW = const(1)        # 0: worse above, 1: worse below
ALARM_AT = const(2)     # threshold
ALARM_END = const(3)    # threshold
TRIP_AT = const(4)      # threshold
RELEASE_AT = const(5)   # threshold
DELAY_MS = const(6)     # of alarm and trip
HAS = const(7)          # ALARM, TRIPPED: what the item can have
NEED = const(8)         # conditions that a release by threshold needs, all of them
ANY = const(9)          # conditions each of which releases at once, and keeps from tripping
AFTER_MS = const(10)    # 0: release at once when the reading is inside; else release that long
                        # after the trip, wherever the reading is
LOCK_AT = const(11)     # trips in a row that lock, 0: never
BLOCKS = const(12)      # 1: charge FET, 2: discharge FET
MUTE = const(13)        # conditions under which there is no alarm
AFE = const(14)         # AFE safety bits that trip the item at once when they appear
FORGET_MS = const(15)   # quiet time after which trips of the item no longer count as in a row,
                        # 0: as the rest
WAIT_MS = const(16)     # after a release by threshold the FETs stay held off this long, or until
                        # one of ANY
WIDTH = const(17)

# columns of a state
ALARM_RUN = const(0)    # 2 + time beyond (or, with the alarm up, back inside); 0: not
TRIP_RUN = const(1)     # 2 + time beyond; 0: not
HELD_MS = const(2)      # time since the trip; with flag WAITS, since the release
FLAGS = const(3)
IN_ROW = const(4)       # trips in a row
QUIET_MS = const(5)     # time since the last release
STATE = const(6)

# flags
ALARM = const(1)
TRIPPED = const(2)
LOCKED = const(4)       # does not release by itself
WAITS = const(8)        # released by its threshold, and its FETs stay off for a while (PRO-33)

# what a step returns, beside the FETs that are blocked
PENDING = const(2)      # places that the FETs about to be blocked are shifted by
CHANGED = const(256)

NO_READING = const(-0x20000000)
LONGEST_MS = const(0x10000000)


def protect_step(rows, state, readings, count, dt_ms, conditions, forget_ms, afe_new):
    """Advance every item by *dt_ms*.

    rows, state  array('i'), WIDTH and STATE ints an item
    readings     array('i') by slots of words.readings; NO_READING never trips nor releases, and
                 lets a timer that runs run on
    conditions   bits of protection_rules that hold now
    forget_ms    quiet time after which trips no longer count as in a row
    afe_new      AFE safety bits that are set and were not at the step before
    returns      FETs blocked, | FETs about to be (a timer runs) << PENDING, | CHANGED where a flag
                 changed
    """
    blocked = 0
    changed = 0
    i = 0
    while i < count:
        r = i * WIDTH
        s = i * STATE
        value = readings[rows[r + READING]]
        sense = -1 if rows[r + BELOW] else 1
        delay_ms = rows[r + DELAY_MS] + 1
        flags = state[s + FLAGS]
        before = flags
        if rows[r + HAS] & ALARM:
            ms = state[s + ALARM_RUN]
            if conditions & rows[r + MUTE]:
                flags &= TRIPPED | LOCKED | WAITS
                ms = 0
            elif value == NO_READING:
                if 0 < ms < LONGEST_MS:
                    ms += dt_ms
            else:
                if flags & ALARM:
                    going = (rows[r + ALARM_END] - value) * sense
                else:
                    going = (value - rows[r + ALARM_AT]) * sense
                if going < 0:
                    if ms > 1:
                        ms = max(1, ms - (dt_ms >> 1))
                    else:
                        ms = 0
                else:
                    ms = ms + dt_ms if ms else 2
                    if ms > delay_ms:
                        flags ^= ALARM
                        ms = 0
            state[s + ALARM_RUN] = ms
        if rows[r + HAS] & TRIPPED:
            out = conditions & rows[r + ANY]
            if flags & TRIPPED:
                held_ms = state[s + HELD_MS]
                if held_ms < LONGEST_MS:
                    held_ms += dt_ms
                state[s + HELD_MS] = held_ms
                release = 0
                if out:
                    release = 1
                elif not flags & LOCKED:
                    if rows[r + AFTER_MS]:
                        if held_ms >= rows[r + AFTER_MS]:
                            release = 1
                    elif value != NO_READING and conditions & rows[r + NEED] == rows[r + NEED]:
                        if (value - rows[r + RELEASE_AT]) * sense <= 0:
                            release = 1
                if release:
                    flags &= ALARM
                    state[s + TRIP_RUN] = 0
                    state[s + QUIET_MS] = 0
                    if out:
                        state[s + IN_ROW] = 0
                    elif rows[r + WAIT_MS]:
                        flags |= WAITS
                        state[s + HELD_MS] = 0
            else:
                if flags & WAITS:
                    held_ms = state[s + HELD_MS] + dt_ms
                    state[s + HELD_MS] = held_ms
                    if out or held_ms >= rows[r + WAIT_MS]:
                        flags &= ALARM | TRIPPED | LOCKED
                ms = state[s + TRIP_RUN]
                trip = afe_new & rows[r + AFE]
                if out:
                    ms = 0
                    trip = 0
                    state[s + IN_ROW] = 0
                elif value == NO_READING:
                    if 0 < ms < LONGEST_MS:
                        ms += dt_ms
                elif (value - rows[r + TRIP_AT]) * sense >= 0:
                    ms = ms + dt_ms if ms else 2
                    if ms > delay_ms:
                        trip = 1
                else:
                    if ms > 1:
                        ms = max(1, ms - (dt_ms >> 1))
                    else:
                        ms = 0
                if trip:
                    flags = flags & (ALARM | TRIPPED | LOCKED) | TRIPPED
                    ms = 0
                    state[s + HELD_MS] = 0
                    state[s + IN_ROW] += 1
                    if rows[r + LOCK_AT] and state[s + IN_ROW] >= rows[r + LOCK_AT]:
                        flags |= LOCKED
                elif ms:
                    blocked |= rows[r + BLOCKS] << PENDING
                state[s + TRIP_RUN] = ms
                if state[s + IN_ROW] and not flags & TRIPPED:
                    state[s + QUIET_MS] += dt_ms
                    if state[s + QUIET_MS] >= (rows[r + FORGET_MS] or forget_ms):
                        state[s + IN_ROW] = 0
        if flags != before:
            state[s + FLAGS] = flags
            changed = CHANGED
        if flags & (TRIPPED | WAITS):
            blocked |= rows[r + BLOCKS]
        i += 1
    return blocked | changed
