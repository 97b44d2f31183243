"""Measure, protect, decide, act: one step a scan period (style guide, 8)."""

from bms import afe_config
from bms import events as ev
from bms.protection_rules import CHARGE, DISCHARGE, FAULT_AFE, FAULT_FET, FAULT_SCAN
from bms.readings import CURRENT_MA
from bq76952 import POR, AfeError

_JOB_BUDGET_US = 20_000         # of a period, for configuring the AFE: others wait that long
_BACK_OFF_MS = 500              # before the first retry; doubled each time up to the longest
_LONGEST_BACK_OFF_MS = 8_000
_VERIFY_MS = 60_000             # PRO-23
_MASK = (1 << 30) - 1
_AFE_TRIPS = 0xF6F7FC           # safety status bits A, B, C that can hold a FET off


class Control:
    """The control task.

    afe       BQ76952; pack: PackState; shunt_uohm: the board's
    bothoff   pin: 0 forces both FETs off in hardware, whatever the AFE thinks
    ticks_us  wrapping microseconds

    afe_starts  configurations of the AFE begun since start
    """

    def __init__(self, afe, pack, shunt_uohm, bothoff, ticks_us):
        self._afe = afe
        self._pack = pack
        self._shunt_uohm = shunt_uohm
        self._bothoff = bothoff
        self._ticks_us = ticks_us
        self._job = None            # None | generator that configures the AFE
        self._image = None
        self._image_of = -1         # params.changed that the image was made from
        self._signature = -1
        self._verified_ms = 0
        self._resume_ms = -1        # -1: no back-off | ticks when the next attempt may start
        self._back_off_ms = _BACK_OFF_MS
        self._safety = 0
        self.last_error = None      # AfeError of the newest failed attempt
        self.afe_starts = 0
        bothoff(0)

    def restart(self):
        """After an exception: nothing is known of the AFE, so FETs off and configure it again."""
        self._bothoff(0)
        self._lose_afe()

    def step(self, now_ms):
        """One scan period."""
        pack = self._pack
        pack.now_ms = now_ms
        if not pack.afe_ready:
            self._bothoff(0)
            self._bring_up(now_ms)
            pack.step(now_ms, False)
            return
        fresh = self._afe.scan()
        if fresh:
            pack.measurements.take(self._afe.regs, now_ms)
        else:
            pack.measurements.fail()
        pack.step(now_ms, fresh)
        if fresh and not self._check(now_ms):
            return
        if pack.faults & FAULT_SCAN:
            self._bothoff(0)
            self._lose_afe()
            self._retry_later(now_ms)
            return
        self._act(now_ms)

    def _check(self, now_ms):
        """What the AFE says about itself; False if it has to be configured again."""
        pack = self._pack
        measured = pack.measurements
        wrong = None
        if measured.battery & POR:
            wrong = "restarted"
        elif self._image_of != pack.params.changed and self._image_is_stale():
            wrong = "parameters"
        elif (now_ms - self._verified_ms) & _MASK >= _VERIFY_MS:
            self._verified_ms = now_ms
            try:
                if self._afe.signature() != self._signature:
                    wrong = "signature"
            except AfeError:
                wrong = "no answer"
        if wrong:
            self._bothoff(0)
            pack.events.add(now_ms, ev.AFE_ERROR, 0, -1, measured.battery, self._signature)
            self._lose_afe()
            pack.step(now_ms, False)
            return False
        if measured.safety != self._safety:
            pack.events.add(now_ms, ev.AFE_TRIP, 0, -1, measured.safety, self._safety)
            self._safety = measured.safety
        disobeyed = pack.fets.read_back(measured.fets, measured.values[CURRENT_MA],
                                        measured.safety & _AFE_TRIPS)
        pack.set_fault(FAULT_FET, disobeyed, measured.fets, pack.fets.wanted)
        return True

    def _image_is_stale(self):
        """True if the parameters now ask for another configuration than the AFE has."""
        params = self._pack.params
        self._image_of = params.changed
        return afe_config.image(params, self._shunt_uohm) != self._image

    def _act(self, now_ms):
        """Command what the pack allows, if it is not commanded yet."""
        pack = self._pack
        allowed = pack.allowed()
        if not allowed:
            self._bothoff(0)
        if pack.fets.needs_command(allowed):
            try:
                self._afe.set_fets(allowed & CHARGE, allowed & DISCHARGE)
            except AfeError:
                self._bothoff(0)        # unknown what it took: off until the next step
                pack.fets.restarted()
                return
            pack.fets.commanded(allowed)
        if allowed:
            self._bothoff(1)

    # -- bringing the AFE up ---------------------------------------------------------------

    def _lose_afe(self):
        self._pack.afe_ready = False
        self._pack.fets.restarted()
        self._job = None

    def _retry_later(self, now_ms):
        self._resume_ms = (now_ms + self._back_off_ms) & _MASK
        self._back_off_ms = min(2 * self._back_off_ms, _LONGEST_BACK_OFF_MS)

    def _bring_up(self, now_ms):
        """Go on configuring the AFE for a part of this period."""
        if self._resume_ms >= 0:
            if (now_ms - self._resume_ms) & _MASK >= 1 << 29:
                return
            self._resume_ms = -1
        pack = self._pack
        start_us = self._ticks_us()
        try:
            if self._job is None:
                self.afe_starts += 1
                self._image_of = pack.params.changed
                self._image = afe_config.image(pack.params, self._shunt_uohm)
                self._job = self._afe.configure(self._image)
            while (self._ticks_us() - start_us) & _MASK < _JOB_BUDGET_US:
                next(self._job)
        except StopIteration:
            self._job = None
            self._finish(now_ms)
        except AfeError as error:
            self._job = None
            pack.measurements.fail()
            pack.set_fault(FAULT_AFE, True, self.afe_starts)
            pack.events.add(now_ms, ev.AFE_ERROR, 1, -1, self.afe_starts)
            self.last_error = error
            self._retry_later(now_ms)

    def _finish(self, now_ms):
        """The AFE is configured: one good scan, and the pack may decide again."""
        pack = self._pack
        try:
            self._signature = self._afe.signature()
        except AfeError:
            self._retry_later(now_ms)
            return
        self._verified_ms = now_ms
        pack.fets.restarted()
        pack.afe_ready = True
        pack.set_fault(FAULT_AFE, False)
        self._back_off_ms = _BACK_OFF_MS
        pack.events.add(now_ms, ev.AFE_CONFIGURED, 0, -1, self._signature, self.afe_starts)
