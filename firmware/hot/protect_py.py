"""One step of the protection table: the definition of what protect_viper.py must do.

Rows and states are flat arrays of ints. Columns of a row (WIDTH of them):
  0 reading    slot of the value          1 below      0: worse above, 1: worse below
  2 alarm      threshold                  3 alarm_clear threshold
  4 trip       threshold                  5 release    threshold
  6 delay_ms   of alarm and trip          7 has        1: alarm, 2: trip
  8 need       conditions that a release by threshold needs, all of them
  9 any        conditions each of which releases at once, and keeps from tripping
 10 after_ms   0: release at once when the reading is inside; else release that long after the
               trip, wherever the reading is
 11 lock       trips in a row that lock, 0: never
 12 blocks     1: charge FET, 2: discharge FET
 13 mute       conditions under which there is no alarm
 14 afe        AFE safety bits that trip the item at once when they appear
 15 forget_ms  quiet time after which trips of the item no longer count as in a row, 0: as the rest
 16 wait_ms    after a release by threshold the FETs stay held off so long, or until one of *any*
Columns of a state (STATE of them):
  0 alarm_ms   2 + time beyond (or, with the alarm up, back inside); 0: not
  1 trip_ms    2 + time beyond; 0: not
  2 held_ms    time since the trip; with flag 8, since the release
  3 flags      1: alarm, 2: tripped, 4: locked, 8: waits
  4 in_row     trips in a row             5 quiet_ms   time since the last release
The times beyond leak at half their pace while the reading is not beyond (PRO-28), down to 1, and
are 0 with the next such scan: one pulse that is shorter than the delay trips nothing (PRO-21), and
a reading that toggles starves no timer.
"""

WIDTH = 17
STATE = 6
_NO_READING = -0x20000000
_LONGEST_MS = 0x10000000


def protect_step(rows, state, readings, count, dt_ms, conditions, forget_ms, afe_new):
    """Advance every item by *dt_ms*.

    rows, state  array('i'), WIDTH and STATE ints an item
    readings     array('i') by slots of words.readings; NO_READING never trips nor releases, and
                 lets a timer that runs run on
    conditions   bits of protection_rules that hold now
    forget_ms    quiet time after which trips no longer count as in a row
    afe_new      AFE safety bits that are set and were not at the step before
    returns      FETs blocked, + 4 * FETs about to be (a timer runs), + 256 where a flag changed
    """
    blocked = 0
    changed = 0
    i = 0
    while i < count:
        r = i * WIDTH
        s = i * STATE
        value = readings[rows[r]]
        sense = -1 if rows[r + 1] else 1
        delay_ms = rows[r + 6] + 1
        flags = state[s + 3]
        before = flags
        if rows[r + 7] & 1:
            ms = state[s]
            if conditions & rows[r + 13]:
                flags &= 14
                ms = 0
            elif value == _NO_READING:
                if 0 < ms < _LONGEST_MS:
                    ms += dt_ms
            else:
                if flags & 1:
                    going = (rows[r + 3] - value) * sense
                else:
                    going = (value - rows[r + 2]) * sense
                if going < 0:
                    if ms > 1:
                        ms = max(1, ms - (dt_ms >> 1))
                    else:
                        ms = 0
                else:
                    ms = ms + dt_ms if ms else 2
                    if ms > delay_ms:
                        flags ^= 1
                        ms = 0
            state[s] = ms
        if rows[r + 7] & 2:
            out = conditions & rows[r + 9]
            if flags & 2:
                held_ms = state[s + 2]
                if held_ms < _LONGEST_MS:
                    held_ms += dt_ms
                state[s + 2] = held_ms
                release = 0
                if out:
                    release = 1
                elif not flags & 4:
                    if rows[r + 10]:
                        if held_ms >= rows[r + 10]:
                            release = 1
                    elif value != _NO_READING and conditions & rows[r + 8] == rows[r + 8]:
                        if (value - rows[r + 5]) * sense <= 0:
                            release = 1
                if release:
                    flags &= 1
                    state[s + 1] = 0
                    state[s + 5] = 0
                    if out:
                        state[s + 4] = 0
                    elif rows[r + 16]:
                        flags |= 8
                        state[s + 2] = 0
            else:
                if flags & 8:
                    held_ms = state[s + 2] + dt_ms
                    state[s + 2] = held_ms
                    if out or held_ms >= rows[r + 16]:
                        flags &= 7
                ms = state[s + 1]
                trip = afe_new & rows[r + 14]
                if out:
                    ms = 0
                    trip = 0
                    state[s + 4] = 0
                elif value == _NO_READING:
                    if 0 < ms < _LONGEST_MS:
                        ms += dt_ms
                elif (value - rows[r + 4]) * sense >= 0:
                    ms = ms + dt_ms if ms else 2
                    if ms > delay_ms:
                        trip = 1
                else:
                    if ms > 1:
                        ms = max(1, ms - (dt_ms >> 1))
                    else:
                        ms = 0
                if trip:
                    flags = flags & 7 | 2
                    ms = 0
                    state[s + 2] = 0
                    state[s + 4] += 1
                    if rows[r + 11] and state[s + 4] >= rows[r + 11]:
                        flags |= 4
                elif ms:
                    blocked |= rows[r + 12] << 2
                state[s + 1] = ms
                if state[s + 4] and not flags & 2:
                    state[s + 5] += dt_ms
                    if state[s + 5] >= (rows[r + 15] or forget_ms):
                        state[s + 4] = 0
        if flags != before:
            state[s + 3] = flags
            changed = 256
        if flags & 10:
            blocked |= rows[r + 12]
        i += 1
    return blocked | changed
