"""The scheduler's arithmetic: the definition of what due_viper.py must do.

Times are ticks of 30 bits that wrap (12.4 days of milliseconds).
"""

from ticks import MASK

_HALF = 1 << 29
_LATEST_MS = 500_000        # times 1000 still fits a word


def pick_due(due, count, now):
    """Index of the first entry of *due* that is not after *now*, else minus the ticks until the
    earliest one."""
    best = _HALF
    for i in range(count):
        ahead = (due[i] - now) & MASK
        if ahead == 0 or ahead > _HALF:
            return i
        if ahead < best:
            best = ahead
    return -best


# Columns of a task's row in the table
PERIOD_MS, DEADLINE_MS, WORST_US, OVERRUNS, STREAK, MET, LATE = range(7)
ROW = 7


def account(due, table, i, now, took_us, failed):
    """Book one step of task *i*; return the time after it.

    due      array('i'): when each task is due; moved on by whole periods, so nothing drifts
    table    array('i'), ROW ints a task
    now      ticks when the run began; took_us: how long the step took
    failed   1: it raised
    """
    r = i * ROW
    period = table[r]
    if took_us > table[r + 2]:
        table[r + 2] = took_us
    if failed:
        table[r + 4] += 1
    else:
        table[r + 4] = 0
    late = ((now - due[i] + _HALF) & MASK) - _HALF
    due[i] = (due[i] + period) & MASK
    if late >= period:                  # skip the periods that are gone, keep the phase
        due[i] = (due[i] + late // period * period) & MASK
    if late > _LATEST_MS:
        late = _LATEST_MS
    if late * 1000 + took_us > table[r + 1] * 1000:
        table[r + 3] += 1
        table[r + 6] = 1
    else:
        table[r + 5] = 1
    return (now + took_us // 1000) & MASK


def first_overdue(due, table, count, now):
    """Index of the first task that is overdue by more than its deadline at *now*, or -1."""
    for i in range(count):
        late = (now - due[i]) & MASK
        if late < _HALF and late > table[i * ROW + DEADLINE_MS]:
            return i
    return -1
