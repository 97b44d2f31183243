"""Self-tests of the hardware that the program runs on, at start and for ever (SAF-02, SAF-07).

A part a second: RAM, program, parameters and thresholds kept twice, outputs, clock. What fails is
a fault, and both FETs are off at once. docs/self_tests.md says what each can find.
"""

import micropython
from array import array

from bms.words.rules import (
    FAULT_CLOCK,
    FAULT_DATA,
    FAULT_FLOW,
    FAULT_OUTPUT,
    FAULT_PROGRAM,
    FAULT_RAM,
)
from ticks import MASK

PERIOD_MS = 1000
_RAM_PARTS = 3              # a step
_PROGRAM_PARTS = 2
_DATA_VALUES = 12
_WINDOW_MS = 59_500         # length of the comparison of two clocks at run time,
_ASK_STEPS = 60             # steps between two questions to the clock chip: a silent one raises
_BOOT_WINDOW_MS = 1060      # and at start-up, if a clock chip answers
_RESOLUTION_MS = 1000       # other clocks count seconds
_TOLERANCE = 20             # a clock may be wrong by 1 part in this: the AFE's oscillator by 2.5 %
_DAY_S = 86_400
_SCAN_MS = 100              # shortest time between two scans
_MORE = 3                   # scans that may belong to the second before


class Twice:
    """A series of numbers that is kept a second time, inverted."""

    def __init__(self, series):
        self._inverse = array("i", (0 for _ in series))
        self._next = 0

    def renew(self, series):
        """Take *series* as right."""
        for i in range(len(series)):
            self._inverse[i] = ~series[i]

    def differs(self, series, count):
        """Index of a number that is no longer what it was among the next *count*, or -1."""
        i = self._next
        for _ in range(count):
            if series[i] != ~self._inverse[i]:
                return i
            i += 1
            if i == len(series):
                i = 0
        self._next = i
        return -1


class Watch:
    """Ticks against another clock that counts seconds, over windows.

    off     windows in a row in which they disagreed; one may be a clock that was set
    """

    def __init__(self):
        self.off = 0
        self.windows = 0
        self._s = -1                # -1: no window has begun | seconds at its beginning
        self._ms = 0

    def lost(self):
        """The other clock does not answer, or began anew."""
        self._s = -1
        self.off = 0

    def look(self, now_ms, seconds, window_ms):
        """*seconds* of the other clock at *now_ms*: any count, also of the day."""
        if self._s >= 0:
            ms = (now_ms - self._ms) & MASK
            if ms < window_ms:
                return
            error_ms = (seconds - self._s) % _DAY_S * 1000 - ms
            if -_RESOLUTION_MS - ms // _TOLERANCE <= error_ms <= _RESOLUTION_MS + ms // _TOLERANCE:
                self.off = 0
            else:
                self.off += 1
            self.windows += 1
        self._s = seconds
        self._ms = now_ms
_STILL_MS = 1000                # without a scan
_STILL_ASLEEP_MS = 1500


class SelfTests:
    """The self-test task.

    pack        Pack
    ram         parts, check(i, stuck): True if part i is good
    program     the same for the program, or None: it cannot be read here
    outputs     CheckedPin objects
    clock       None, or the clock chip: read() gives a count of seconds (of the day, or since
                anything), or None while it has none
    afe         BQ76952, whose integrator counts seconds; control: the task that reads it
    off         called to force both FETs off
    """

    def __init__(self, pack, ram, program, outputs, clock, afe, control, off):
        self._pack = pack
        self._ram = ram
        self._program = program
        self._outputs = outputs
        self._clock = clock
        self._afe = afe
        self._control = control
        self._off = off
        self._ram_next = 0
        self._program_next = 0
        self._params = Twice(pack.params.values)
        self._params_of = -2        # params.changed that the copy was made of, -2: none yet
        self._rows = Twice(pack.protection.rows)
        self._rows_of = -2
        self._rtc = Watch()
        self._rtc_heard = False
        self._ask_in = 0            # steps until the clock chip is asked again
        self._afe_watch = Watch()
        self._afe_ms = -1           # counted_ms that was looked at last
        self._seq = 0
        self._flow_ms = 0
        self._still_ms = 0          # since a scan was seen to be made
        self._rested = False        # the pack was asleep at the look before
        self._ready_row = 0         # steps in a row with the AFE ready
        self._afe_starts = 0        # its configurations that were begun until the look before
        self._stuck_ram = 0
        self._stuck_program = 0
        self._hurry = 0             # ms a second by which ticks shall seem too fast
        self._begun_ms = 0

    # -- at start --------------------------------------------------------------------------

    def boot(self, now_ms, went_on=False):
        """Everything at once, before anything else runs; the clock takes a second more.

        went_on   the controller ran until just now, in order: its clock was compared, and is
                  again within a minute, but nobody waits for it (SAF-06)
        """
        pack = self._pack
        self._test_all(self._ram, self._stuck_ram, FAULT_RAM)
        if self._program is not None:
            if not self._program.parts:
                self._fail(FAULT_PROGRAM, 0)
            self._test_all(self._program, self._stuck_program, FAULT_PROGRAM)
        try:
            pack.params.check()
        except ValueError:
            self._fail(FAULT_DATA, -1)
        self._test_outputs()
        self._begun_ms = now_ms
        self._ask(now_ms, _BOOT_WINDOW_MS)
        pack.testing = self._rtc_heard and not went_on      # until the clock has been compared

    # -- for ever --------------------------------------------------------------------------

    def step(self, now_ms):
        """Once a second."""
        for _ in range(_RAM_PARTS):
            self._test_ram(self._ram_next)
            self._ram_next += 1
            if self._ram_next >= self._ram.parts:
                self._ram_next = 0
        if self._program is not None and self._program.parts:
            for _ in range(_PROGRAM_PARTS):
                self._test_program(self._program_next)
                self._program_next += 1
                if self._program_next >= self._program.parts:
                    self._program_next = 0
        self._test_data()
        self._test_outputs()
        self._test_clock(now_ms)

    def flows(self, now_ms):
        """Before the watchdog is fed: False if scans no longer pass through every stage.

        Each stage hands the number of the scan on to the next: measured, protected, decided,
        acted. One that is left out stands still.
        """
        pack = self._pack
        seq = pack.measurements.seq
        acted = self._control.acted
        moved = (seq - self._seq) & MASK
        past_ms = (now_ms - self._flow_ms) & MASK
        most = past_ms // _SCAN_MS + _MORE
        self._still_ms = 0 if moved else self._still_ms + past_ms
        self._seq = seq
        self._flow_ms = now_ms
        starts = self._control.afe_starts
        if not pack.afe_ready or pack.measurements.failed_row or starts != self._afe_starts:
            self._afe_starts = starts   # a wake configures the AFE between two looks
            self._ready_row = self._still_ms = 0
            return True
        self._ready_row += 1
        if self._ready_row < 3:     # it was not ready for all of the last second
            return True
        # asleep a scan comes each half second: one look may fall between two
        rests = pack.power.rests()
        still_ms = _STILL_ASLEEP_MS if rests or self._rested else _STILL_MS
        self._rested = rests
        if acted == seq and moved <= most and self._still_ms < still_ms:
            return True
        self._fail(FAULT_FLOW, seq - acted)
        return False

    def provoke(self, what):
        """Make the test called *what* find something; ValueError if there is none."""
        if what == "ram":
            self._stuck_ram = 1
        elif what == "program":
            self._stuck_program = 1
        elif what == "data":
            self._pack.protection.rows[4] ^= 1
        elif what == "output":
            self._outputs[0].stuck = True
        elif what == "clock":
            self._hurry = 100
        elif what == "flow":
            self._pack.protection = Skipped(self._pack.protection)
        else:
            raise ValueError("self-tests: ram program data output clock flow")

    # -- one each --------------------------------------------------------------------------

    def _fail(self, fault, value):
        self._off()
        self._pack.set_fault(fault, True, value, 0)

    @micropython.native
    def _test_all(self, memory, stuck, fault):
        """Each part of *memory*: the start waits for it."""
        check = memory.check
        for i in range(memory.parts):
            if not check(i, stuck):
                self._fail(fault, i)

    def _test_ram(self, i):
        if not self._ram.check(i, self._stuck_ram):
            self._fail(FAULT_RAM, i)

    def _test_program(self, i):
        if not self._program.check(i, self._stuck_program):
            self._fail(FAULT_PROGRAM, i)

    def _test_data(self):
        """Parameters, and the thresholds made of them, against their second copies."""
        params = self._pack.params
        protection = self._pack.protection
        if self._params_of != params.changed:
            self._params.renew(params.values)
            self._params_of = params.changed
            return                  # that was enough for one step
        at = self._params.differs(params.values, _DATA_VALUES)
        if at >= 0:
            self._fail(FAULT_DATA, at)
        if self._rows_of != protection.taken:
            self._rows.renew(protection.rows)
            self._rows_of = protection.taken
        at = self._rows.differs(protection.rows, _DATA_VALUES)
        if at >= 0:
            self._fail(FAULT_DATA, len(params.values) + at)

    def _test_outputs(self):
        for i in range(len(self._outputs)):
            if not self._outputs[i].agrees():
                self._fail(FAULT_OUTPUT, i)

    def _test_clock(self, now_ms):
        """Ticks are wrong when every other clock that answers says so, twice in a row."""
        pack = self._pack
        if self._hurry:
            now_ms = (now_ms + ((now_ms - self._begun_ms) & MASK) // 1000 * self._hurry) & MASK
        if pack.testing:
            self._ask(now_ms, _BOOT_WINDOW_MS)
            if not self._rtc_heard:
                pack.testing = False
        elif self._ask_in <= 0:
            self._ask(now_ms, _WINDOW_MS)
        else:
            self._ask_in -= 1
        rtc = self._rtc
        watch = self._afe_watch
        counted_ms = self._control.counted_ms
        if counted_ms < 0:
            watch.lost()
        elif counted_ms != self._afe_ms:
            if self._hurry:
                counted_ms = now_ms
            watch.look(counted_ms, self._afe.charge_s, _WINDOW_MS)
        self._afe_ms = self._control.counted_ms
        worst = 0
        if self._rtc_heard:
            worst = rtc.off
            if counted_ms >= 0 and watch.windows and watch.off < worst:
                worst = watch.off
        elif counted_ms >= 0:
            worst = watch.off
        if worst > 1:
            self._fail(FAULT_CLOCK, worst)
        elif pack.testing and rtc.windows and not rtc.off:
            pack.testing = False

    def _ask(self, now_ms, window_ms):
        """Compare the clock chip."""
        self._ask_in = _ASK_STEPS - 1
        seconds = self._clock.read() if self._clock is not None else None
        self._rtc_heard = seconds is not None
        if seconds is None:
            self._rtc.lost()
        else:
            self._rtc.look(now_ms, seconds, window_ms)


class Skipped:
    """Stands in for the protections without stepping them: what flows() is there to see."""

    def __init__(self, protection):
        self._protection = protection

    def __getattr__(self, name):
        return getattr(self._protection, name)

    def step(self, readings, dt_ms, conditions, safety, doubtful=0):
        return False
