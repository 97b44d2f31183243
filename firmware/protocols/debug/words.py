"""The words of the console: one table for its help, its rights, completion and docs/console.md.

A word is answered by the method of its name in answers.py or pylon.py.
"""

from micropython import const

(GROUP, WORD, ARGUMENTS, RIGHT, HELP, EXAMPLE) = range(6)

GROUPS = ("See", "Settings", "Records", "Act", "Words of the Pylontech console")
_SEE, _SETTINGS, _RECORDS, _ACT, PYLON = range(len(GROUPS))

# what a word needs where an owner has set a PIN (SAF-11)
ASKS = const(0)         # nothing: it is a question
SETS = const(1)         # the PIN
MAY_SET = const(2)      # the PIN, with arguments; without, it is a question

WORDS: tuple = (
    (_SEE, "status", "", ASKS, "the pack on one page: state, charge, limits, what is wrong",
     "status"),
    (_SEE, "cells", "", ASKS, "each cell as a bar, the thermistors, what is being bled", "cells"),
    (_SEE, "limits", "", ASKS, "the limits that the inverter is told, and what lowers them",
     "limits"),
    (_SEE, "why", "", ASKS, "why it does not charge or discharge, and what ends that", "why"),
    (_SEE, "power", "", ASKS, "awake or asleep, why, and what woke it last", "power"),
    (_SEE, "bus", "[ADDRESS | names]", ASKS,
     "inverter, CAN and the packs on the parallel bus; the inverters that can be chosen by name",
     "bus 2"),
    (_SEE, "codes", "[NUMBER]", ASKS, "the AS1's fault codes that hold, or what one means",
     "codes 68"),
    (_SEE, "afe", "", ASKS, "the thresholds that the cell monitor itself keeps", "afe"),
    (_SEE, "version", "", ASKS, "firmware, board, profile and serial number", "version"),
    (_SEE, "help", "[WORD]", ASKS, "all words, or more of one", "help set"),
    (_SETTINGS, "params", "[PATTERN]", ASKS, "settings whose name or help has the pattern in it",
     "params PRO-01"),
    (_SETTINGS, "get", "NAME ...", ASKS, "one setting or several, with range and meaning",
     "get cvl_mv nominal_ma"),
    (_SETTINGS, "set", "NAME VALUE ...", SETS,
     "several values in one line are one set: all are taken, or none. A plain number counts the "
     "unit at the end of the name; 3.6V, 45C, 50A, 96% and 3s are understood",
     "set chg_ot_alarm_dc 50C chg_ot_trip_dc 55C"),
    (_SETTINGS, "save", "", SETS, "store the settings now, not in a moment", "save"),
    (_SETTINGS, "restore", "NAME ... | all", SETS, "settings back to the product's own values",
     "restore cvl_mv"),
    (_SETTINGS, "clock", "[TIME]", MAY_SET, "the clock, or set it (UTC)",
     "clock 2026-05-17T12:30:00"),
    (_SETTINGS, "profile", "[NAME]", MAY_SET, "the product, or another one from the next reset on",
     "profile b1-5.1-48"),
    (_SETTINGS, "pin", "[NUMBER | set NUMBER | off | lock]", ASKS,
     "give the owner's PIN, set one, remove it, or lock again", "pin 4711"),
    (_SETTINGS, "key", "[set KEY | off]", MAY_SET,
     "the owner's public key: where one is set, a new firmware needs his signature", "key off"),
    (_SETTINGS, "unlock", "[MINUTES]", SETS,
     "let the inverter's ports write for some minutes; 0 ends it", "unlock 10"),
    (_RECORDS, "log", "[COUNT]", ASKS,
     "the newest events, a line each; without a number as Pylontech's programs read them",
     "log 20"),
    (_RECORDS, "counters", "", ASKS, "trips and faults since ever, highest and lowest values",
     "counters"),
    (_RECORDS, "health", "", ASKS,
     "what EU 2023/1542 asks of stationary storage: capacity, efficiency, throughput, harm, each "
     "with its bound", "health"),
    (_RECORDS, "tasks", "", ASKS, "tasks of the program: longest step, late steps, failures",
     "tasks"),
    (_RECORDS, "errors", "", ASKS, "the newest failure of a task of the program", "errors"),
    (_ACT, "clear", "", SETS, "faults and locks that wait for a person end", "clear"),
    (_ACT, "deep_try", "", SETS, "charge gently, once, although a cell is too low for it",
     "deep_try"),
    (_ACT, "sleep", "", SETS, "go to sleep, where nothing outside forbids it", "sleep"),
    (_ACT, "reset", "", SETS, "store everything and start again", "reset"),
    (_ACT, "prompt", "", SETS,
     "leave the firmware for the interpreter's prompt at the USB port: limits go to 0 first, then "
     "both FETs open", "prompt"),
    (_ACT, "update", "", ASKS, "how the update of the firmware stands, and how one is begun",
     "update"),
    (PYLON, "pwr", "[PACK]", ASKS, "all packs, or one", "pwr 1"),
    (PYLON, "bat", "[PACK]", ASKS, "the cells of a pack", "bat 1"),
    (PYLON, "soh", "[PACK]", ASKS, "the health of the cells of a pack", "soh 1"),
    (PYLON, "stat", "[PACK]", ASKS, "counters of this pack", "stat"),
    (PYLON, "info", "[PACK]", ASKS, "who a pack is", "info"),
    (PYLON, "getpwr", "[PACK]", ASKS, "a pack's values with # behind each", "getpwr 1"),
    (PYLON, "unit", "", ASKS, "all packs, a line each, with Wh", "unit"),
    (PYLON, "time", "[YEAR MONTH DAY HOUR MINUTE SECOND]", MAY_SET, "the clock, or set it (UTC)",
     "time 2026 5 17 12 30 0"),
)


def find(name):
    """The row of the word *name*, or None."""
    for row in WORDS:
        if row[WORD] == name:
            return row
    return None


def alike(name):
    """The word that *name* may have been meant for, or None: it begins most like it."""
    best, most = None, 1
    for row in WORDS:
        same = 0
        for a, b in zip(name, row[WORD]):
            if a != b:
                break
            same += 1
        if same > most:
            best, most = row[WORD], same
    return best
