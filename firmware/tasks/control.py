"""Measure, protect, decide, act: one step a scan period (style guide, 8)."""

import bq76952_map as m
import micropython
from bms.protect import second_line as afe_config
from bms.words import events as ev
from bms.charge.scale import ChargeScale
from bms.protect.fets import CLOSES, DISOBEYS
from bms.power.power import TRYING
from bms.words.rules import (
    BOTH,
    CHARGE,
    DISCHARGE,
    FAULT_AFE,
    FAULT_CLOSES,
    FAULT_FET,
    FAULT_SCAN,
    mask_of,
)
from bq76952 import (
    BATTERY_STATUS,
    PARTS,
    POR,
    SAFETY_STATUS_A,
    SAFETY_STATUS_B,
    SAFETY_STATUS_C,
    AfeError,
)
from bound import bind
from tasks.afe_update import IDLE, WRITING, AfeUpdate
from ticks import MASK

REST_MS = 500                   # between scans while the pack is asleep or off
_JOB_BUDGET_US = 20_000         # of a period, for configuring the AFE: others wait that long
_PART_BUDGET_US = 10_000        # of a step with a slow AFE: one row, at most 55 ms
_UPDATE_BUDGET_US = 90_000      # both FETs are open for a change of some rows: at one go
_UPDATE_PART_BUDGET_US = 30_000 # of a step of it with a slow AFE; 50 ms belong to others (COM-06)
_FIRST_BUDGET_US = 60_000       # at start-up, when nothing else is urgent
_BACK_OFF_MS = 500              # before the first retry; doubled each time up to the longest
_LONGEST_BACK_OFF_MS = 8_000
_VERIFY_MS = 60_000             # PRO-23
_OTHERS_US = 1_000              # least pause between two steps of a slow AFE
_APART_MS = 500                 # from the integrator's scans, which take as long: never both
_SWAY = 5                       # 1/32 of the period: no multiple of a ripple of 10, 8.3 or 16.7 ms
_RESET_MS = 100                 # from the AFE's reset until it is talked to again
_SHORT = mask_of("PRO-08", "PWR-03")
# items of AFE_ERROR
_RESTARTED, _FAILED, _NEW_PARAMETERS, _CHANGED, _NO_ANSWER, _MISLED, _NOT_HELD = range(7)
# whether the line BOTHOFF opens both FETs
_NOT_TRIED, _HELD, _UNHELD = range(3)
_COUNT_MS = 10_000
_ASKED_MS = 1_000
_RAW_MS = 700                   # from one look at some raw counts to the next ...
_RAW_SLOW_MS = 1_400            # ... with an AFE that takes long to answer
_UNIT_UAH = 10_000              # of the integrator, at 10 mA
_INTEGRATOR_MS = 250            # the AFE's integrator is updated this often
# safety status bits A, B, C that can hold a FET off
_AFE_TRIPS = (
    m.CUV | m.COV | m.OCC | m.OCD1 | m.OCD2 | m.SCD
    | (m.UTC | m.UTD | m.UTINT | m.OTC | m.OTD | m.OTINT | m.OTF) << 8
    | (m.HWDF | m.PTO | m.COVL | m.OCDL | m.SCDL | m.OCD3) << 16)


class Control:
    """The control task.

    afe       BQ76952; pack: Pack; shunt_uohm: the board's
    bothoff   pin: 0 forces both FETs off in hardware, whatever the AFE thinks
    limiter   pin: 1 puts the 10 A limiter into the charge path
    ticks_us  wrapping microseconds
    pace      function(rests, now_ms): scans each REST_MS from now on, or each scan period again
    task      None | the scheduler's row of this task, whose period a slow AFE changes

    afe_starts  configurations of the AFE begun since start
    acted       number of the scan that what was commanded last was decided from
    """

    def __init__(self, afe, pack, shunt_uohm, bothoff, limiter, ticks_us, pace=None):
        self._afe = afe
        self._pack = pack
        self._shunt_uohm = shunt_uohm
        self._bothoff = bothoff
        self._limiter = limiter
        self._detecting = False
        self._ticks_us = ticks_us
        self._job = None            # None | generator that configures the AFE
        self._image: tuple = ()
        self._deep = False          # the image is that of a timed wake
        self._pace = pace
        self._rests = False         # the AFE may SLEEP
        self._image_from: list = []     # what it follows from
        self._image_of = -1         # params.changed that it was compared with last
        self._signature = -1
        self._verified_ms = 0
        self._resume_ms = -1        # -1: no back-off | ticks when the next attempt may start
        self._back_off_ms = _BACK_OFF_MS
        self._safety = 0
        self._doubts = 0
        self._counting = False      # the integrator was read since the AFE was configured
        self._counted_ms = 0
        self._raw_ms = 0            # when raw counts were looked at
        self._raw_part = 0          # which of three parts is next
        self._zero_ms = 0           # when the look at zero began
        self._zero_from_ms = self._zero_to_ms = -1      # its first and last count seen
        self._zero_from = self._zero_to = 0
        self._update = AfeUpdate(pack)
        self._scale = ChargeScale(pack.params, pack.soc)
        self._suspect = False           # verify the configuration at the next scan
        self.last_error = None      # AfeError of the newest failed attempt
        self.acted = 0
        self.afe_starts = 0
        self.task = None
        self._held = _NOT_TRIED
        self._sways = False         # scans come a little faster than their period
        self._hurries = False       # the next scan comes when a delay has passed
        self._parts = 0             # 0: a scan is read at one go | parts that it is read in
        self._part = 0              # the next one
        self._begun_us = 0          # when the scan in parts began
        self._ended_us = 0          # when the step before was over
        bind(self, "step", "_scan", "_act", "_bleed", "_count_charge", "_afe_is_sound",
             "_note_trips", "_reads_part", "_look_at_zero", "_image_is_stale")
        bothoff(0)

    def restart(self):
        """After an exception: nothing is known of the AFE, so FETs off and configure it again."""
        self._bothoff(0)
        self._lose_afe()

    @micropython.native
    def step(self, now_ms):
        """One scan period; with a slow AFE one part of it."""
        if self._pack.measurements.pulses.wants != self._sways:
            self._sways = not self._sways
            self._set_period()
        if self.task is not None and (self._parts or self._afe.slow):
            if self._reads_part(now_ms):
                return
        self._scan(now_ms)
        if self._hurries or self._pack.protection.pending:
            self._set_period()
        if self._parts:
            self._ended_us = self._ticks_us()
        rests = self._pack.power.rests() and self._pack.afe_ready and not self._pack.fets.actual
        if rests != self._rests:
            self._change_pace(rests, now_ms)

    def _reads_part(self, now_ms):
        """A slow AFE: the scan is read in parts, a short step each, and others run between them.

        True if this step was one of these; the step after the last one judges and acts. While
        the AFE is being configured each step does a part of that instead. A step that follows
        the one before without a pause is left out: it is the turn of others.
        """
        parts = PARTS if self._afe.slow and not self._rests else 0
        if parts != self._parts:
            self._set_parts(parts)
        if not parts:
            return False
        if (self._ticks_us() - self._ended_us) & MASK < _OTHERS_US:
            return True
        if self._part >= parts:
            self._part = 0
            return False
        if self._update.phase == WRITING:
            self._part += 1
            self._go_on_writing(now_ms)
            if self._update.phase != WRITING:
                self._part = 0
        elif not self._pack.afe_ready:
            self._part += 1
            self._bring_up(now_ms)
            if self._pack.afe_ready:
                self._part = 0
        else:
            if not self._part:
                self._begun_us = self._ticks_us()
            self._afe.scan_part(self._part)
            self._part += 1
        self._ended_us = self._ticks_us()
        return True

    def _set_parts(self, parts):
        self._parts = parts
        self._part = 0
        self._ended_us = self._ticks_us() - _OTHERS_US
        self._set_period()

    def _set_period(self):
        """Of the task. A difference that may be a ripple in step with the scans makes them come a
        little faster: each of them sees another part of the ripple then. And a scan comes when
        the delay of a protection has passed, not up to a period after it (PRO-21)."""
        if self.task is not None and not self._rests:
            period_ms = self._pack.scan_ms
            if self._sways:
                period_ms -= period_ms >> _SWAY
            left_ms = self._pack.protection.left_ms() if self._pack.protection.pending else 0
            if period_ms < left_ms < 2 * period_ms:
                left_ms = left_ms + 1 >> 1          # two scans that are not too near each other
            self._hurries = period_ms >> 1 <= left_ms < period_ms
            if self._hurries:
                period_ms = left_ms
            self.task.set_period(period_ms // (self._parts + 1))

    def _change_pace(self, rests, now_ms):
        """PWR-14: nothing but the ways out of sleep has to be watched from now, or all again."""
        pack = self._pack
        try:
            self._afe.set_sleep(rests)
        except AfeError:
            if rests:
                return                      # at the next step, then
            self._bothoff(0)
            self._lose_afe()                # configuring it wakes it
        self._rests = rests
        if self._parts:
            self._set_parts(0)
        pack.measurements.pace(REST_MS if rests else pack.scan_ms)
        if self._pace is not None:
            self._pace(rests, now_ms)

    @micropython.native
    def _scan(self, now_ms):
        pack = self._pack
        pack.now_ms = now_ms
        if not pack.afe_ready:
            self._bothoff(0)
            self._bring_up(now_ms)
            pack.step(now_ms, False)
            return
        if self._update.phase == WRITING:
            self._bothoff(0)
            self._go_on_writing(now_ms)
            pack.step(now_ms, False)
            return
        measured = pack.measurements
        start_us = self._ticks_us()
        if self._parts:
            start_us = self._begun_us
            fresh = self._afe.end_scan()
        else:
            fresh = self._afe.scan()
        if fresh and not self._afe_is_sound(now_ms):
            pack.step(now_ms, False)
            return
        if fresh:
            measured.take(self._afe.regs, now_ms)
            pack.balancing.settle(measured, now_ms, start_us)
            self._note_trips(measured, now_ms)
        else:
            measured.fail()
        if pack.looking_at_zero:
            self._look_at_zero(now_ms)
        pack.step(now_ms, fresh)
        if pack.faults and pack.has(FAULT_SCAN):
            self._bothoff(0)
            self._lose_afe()
            self._retry_later(now_ms)
            return
        if fresh:
            obeys = pack.fets.read_back(measured.fets, measured.safety & _AFE_TRIPS,
                                        measured.dt_ms)
            if obeys == CLOSES:
                pack.set_fault(FAULT_CLOSES, True, measured.fets, pack.fets.wanted)
            disobeyed = obeys == DISOBEYS
            if self._held == _UNHELD:
                disobeyed = True        # for ever: nothing could open what is closed once
            if disobeyed or pack.faults and pack.has(FAULT_FET):
                pack.set_fault(FAULT_FET, disobeyed, measured.fets, pack.fets.wanted)
        self._act(now_ms)
        self._bleed(fresh)
        if fresh:
            self._count_charge(now_ms)
            self._look_at_counts(now_ms)
            if pack.afe_misled:
                self._start_anew(now_ms, _MISLED)
            elif self._update.phase != IDLE:
                self._update.follow(now_ms)
                if self._update.is_due(now_ms):
                    if self._rests:
                        self._start_anew(now_ms, _NEW_PARAMETERS)
                    else:
                        self._begin_writing(now_ms)

    @micropython.native
    def _bleed(self, fresh):
        """Bleed cells until the next scan, or end it: bled and settled scans take turns."""
        balancing = self._pack.balancing
        mask = balancing.next_mask(fresh)
        if mask == balancing.written:
            return
        try:
            self._afe.set_balance(mask)
        except AfeError:
            balancing.unsure(mask, self._ticks_us())
            return
        balancing.wrote(mask, self._ticks_us())

    @micropython.native
    def _count_charge(self, now_ms):
        """Every _COUNT_MS, or as a witness asks: what the AFE's integrator moved since then."""
        dt_ms = (now_ms - self._counted_ms) & MASK
        pack = self._pack
        if (dt_ms >= (_ASKED_MS if pack.witness.wants_charge else _COUNT_MS)
                or pack.measurements.pulses.due(dt_ms)):
            self._count_since(now_ms, dt_ms)

    @micropython.native
    def _look_at_counts(self, now_ms):
        """Proof of life of thermistors and current (MEA-07); an AFE in SLEEP measures rarely."""
        least_ms = _RAW_SLOW_MS if self._parts else _RAW_MS
        if (now_ms - self._raw_ms) & MASK < least_ms or self._rests:
            return
        self._raw_ms = now_ms
        part = self._raw_part
        try:
            self._afe.read_raw_counts(part)
        except AfeError:
            return
        self._raw_part = part + 1 if part < 2 else 0
        self._pack.witness.look_at_counts(self._afe.raw_counts, part, self._pack)

    def _count_since(self, now_ms, dt_ms):
        afe = self._afe
        units = afe.charge_units
        parts = afe.charge_65536ths
        seconds = afe.charge_s
        try:
            afe.read_charge()
        except AfeError:
            return                      # the next reading has it all
        self._counted_ms = now_ms
        moved_uah = ((afe.charge_units - units) * _UNIT_UAH
                     + ((afe.charge_65536ths - parts) * _UNIT_UAH >> 16))
        # an integrator that started anew since the last reading has no more seconds, but fewer
        whole = self._counting and (afe.charge_s - seconds & 0xFFFFFF) < 1 << 23
        self._pack.count_charge(self._scale.uah(moved_uah, dt_ms) if whole else None, dt_ms)
        self._counting = True

    def _count_the_lost(self):
        """The integrator is lost: the newest current counts for what it had not shown yet."""
        pack = self._pack
        dt_ms = (pack.now_ms - self._counted_ms) & MASK
        if pack.afe_ready and dt_ms and pack.measurements.seq and not pack.afe_misled:
            pack.count_charge(None, dt_ms)

    def _begin_look_at_zero(self, now_ms):
        """At a start: both FETs are open, and stay so for a moment if the offset is not known."""
        pack = self._pack
        pack.looking_at_zero = False
        if pack.soc.zero_is_known or not pack.params["zero_look_ms"]:
            return
        if not self._counting:          # the integrator, which was read just now, did not answer
            return                      # it is learnt later, from what flows between two charges
        self._zero_ms = now_ms
        self._zero_from_ms = -1
        self._zero_from = self._zero_to = self._charge_seen()
        pack.looking_at_zero = True

    def _charge_seen(self):
        """What the integrator shows, in 65536ths of a unit; wraps at 2**30."""
        return (self._afe.charge_units & 0x3FFF) << 16 | self._afe.charge_65536ths

    def _look_at_zero(self, now_ms):
        """What is counted while both FETs are open is the sensor's offset.

        The time is that between two counts: a look is too short for where it happens to begin.
        """
        pack = self._pack
        try:
            self._afe.read_charge()
            seen = self._charge_seen()
            if seen != self._zero_to:
                self._zero_to = seen
                self._zero_to_ms = now_ms
                if self._zero_from_ms < 0:
                    self._zero_from = seen
                    self._zero_from_ms = now_ms
        except AfeError:
            seen = -1
        past_ms = (now_ms - self._zero_ms) & MASK
        if past_ms < pack.params["zero_look_ms"]:
            return
        pack.looking_at_zero = False
        if not pack.fets.actual:
            if self._zero_from_ms >= 0:
                past_ms = (self._zero_to_ms - self._zero_from_ms) & MASK
                past_ms = (past_ms + _INTEGRATOR_MS // 2) // _INTEGRATOR_MS * _INTEGRATOR_MS
            elif seen < 0:
                past_ms = 0             # nothing was read
            if past_ms >= 2 * _INTEGRATOR_MS:
                moved = (self._zero_to - self._zero_from + (1 << 29) & MASK) - (1 << 29)
                pack.soc.see_zero(self._scale.parts(moved, past_ms), past_ms)
        self._counted_ms = now_ms
        self._counting = True

    @property
    def counted_ms(self):
        """Ticks at which the AFE's integrator and its seconds were read last, -1: not yet."""
        return self._counted_ms if self._counting else -1

    @micropython.native
    def _afe_is_sound(self, now_ms):
        """False, and both FETs off, if the AFE has to be configured again (PRO-23).

        It restarted, its configuration is not what was written, or the parameters now ask for
        another one.
        """
        pack = self._pack
        regs = self._afe.regs
        if (regs[SAFETY_STATUS_A] | regs[SAFETY_STATUS_B] << 8
                | regs[SAFETY_STATUS_C] << 16) & ~self._safety & _AFE_TRIPS:
            self._suspect = True        # a trip is believed only from a sound configuration
        reason = -1
        if self._afe.regs[BATTERY_STATUS] & POR:
            reason = _RESTARTED
        elif self._deep != (pack.power.mode == TRYING) and self._image_is_stale():
            reason = _NEW_PARAMETERS
        elif self._image_of != pack.params.changed:
            if not self._image_is_stale():
                self._update.cancel()           # also of a change that was taken back
            elif self._rests or not self._image:
                reason = _NEW_PARAMETERS        # no FET is closed, and writing wakes the AFE
            else:
                self._update.want(now_ms)
        elif self._suspect or (now_ms - self._verified_ms) & MASK >= _VERIFY_MS:
            self._verified_ms = now_ms
            self._suspect = False
            try:
                gain_at, gain = self._image[0]
                if (self._afe.signature() != self._signature
                        or not self._afe.holds(gain_at, gain)):
                    reason = _CHANGED
            except AfeError:
                reason = _NO_ANSWER
        if reason < 0:
            return True
        self._start_anew(now_ms, reason)
        return False

    def _start_anew(self, now_ms, reason):
        """FETs off and the AFE to be configured again.

        What it tripped for by a wrong reading or under a lost configuration, only a reset of the
        chip makes it forget.
        """
        self._bothoff(0)
        self._pack.events.add(now_ms, ev.AFE_ERROR, reason, -1, self._afe.regs[BATTERY_STATUS],
                              self._signature)
        self._lose_afe()
        if reason == _CHANGED or reason == _MISLED:
            self._afe.reset()
            self._resume_ms = (now_ms + _RESET_MS) & MASK


    def _image_is_stale(self):
        """True if the parameters now ask for another configuration than the AFE has."""
        values = self._asked_for()
        if values == self._image_from:      # most parameters are none of the AFE's
            return False
        if self._image_now() != self._image:
            return True
        self._image_from = values
        return False

    def _asked_for(self):
        """What an image follows from, as it is now."""
        pack = self._pack
        self._image_of = pack.params.changed
        self._deep = pack.power.mode == TRYING
        return [self._deep] + afe_config.used(pack.params, pack.profile.CELLS)

    def _image_now(self):
        pack = self._pack
        return afe_config.image(pack.params, self._shunt_uohm, pack.profile.CELLS, self._deep)

    def _take_image(self):
        self._image_from = self._asked_for()
        self._image = self._image_now()

    def _begin_writing(self, now_ms):
        """Both FETs open; the rows of the AFE that differ are written from now on (PAR-04)."""
        pack = self._pack
        if self._counting:
            self._count_since(now_ms, (now_ms - self._counted_ms) & MASK)
        self._bothoff(0)
        pack.fets.restarted()
        pack.balancing.lost()
        self._detecting = False
        old = dict(self._image)
        self._take_image()
        self._job = self._afe.update([row for row in self._image
                                     if old.get(row[0]) != row[1]])
        self._update.writes()
        self._go_on_writing(now_ms)

    def _go_on_writing(self, now_ms):
        start_us = self._ticks_us()
        budget_us = _UPDATE_PART_BUDGET_US if self._afe.slow else _UPDATE_BUDGET_US
        try:
            while (self._ticks_us() - start_us) & MASK < budget_us:
                next(self._job)         # type: ignore[arg-type]  # not None while it runs
        except StopIteration:
            self._job = None
            self._wrote(now_ms)
        except AfeError as error:
            self.last_error = error
            self._start_anew(now_ms, _NEW_PARAMETERS)

    def _wrote(self, now_ms):
        try:
            self._signature = self._afe.signature()
        except AfeError as error:
            self.last_error = error
            self._start_anew(now_ms, _NEW_PARAMETERS)
            return
        self._verified_ms = (now_ms - _APART_MS) & MASK
        self._counted_ms = now_ms
        try:
            self._afe.read_charge()
        except AfeError:
            self._counting = False
        self._pack.events.add(now_ms, ev.AFE_CONFIGURED, 1, -1, self._signature, self.afe_starts)
        self._update.written(now_ms)

    @micropython.native
    def _note_trips(self, measured, now_ms):
        """Record what the AFE's own protections say when it changes."""
        if measured.doubts & ~self._doubts:
            self._suspect = True        # look whether the configuration is what it was
        self._doubts = measured.doubts
        if measured.safety != self._safety:
            self._pack.events.add(now_ms, ev.AFE_TRIP, 0, -1, measured.safety, self._safety)
            self._safety = measured.safety

    @micropython.native
    def _act(self, now_ms):
        """Command what the pack allows, if it is not commanded yet; limiter; load detect."""
        pack = self._pack
        fets = pack.fets
        allowed = pack.permitted()
        self.acted = pack.decided
        if not allowed:
            self._bothoff(0)
        elif allowed == BOTH and not fets.actual and not self._update.briefly:
            allowed = CHARGE            # one at a time: each is seen to close before the next
        self._limiter(pack.limiter_in)
        try:
            if fets.needs_command(allowed):
                self._afe.set_fets(allowed & CHARGE, allowed & DISCHARGE)
                fets.commanded(allowed)
            short = pack.protection.trips & _SHORT and not fets.actual
            if short and not self._detecting:
                self._afe.set_load_detect(True)
                self._detecting = True
            elif self._detecting and not short:
                self._afe.set_load_detect(False)
                self._detecting = False
        except AfeError:
            self._bothoff(0)            # unknown what it took: off until the next step
            fets.restarted()
            return
        if allowed:
            self._bothoff(1)

    # -- bringing the AFE up ---------------------------------------------------------------

    def _lose_afe(self):
        self._count_the_lost()
        self._pack.afe_ready = False
        self._pack.fets.restarted()
        self._pack.balancing.lost()
        self._counting = False
        self._detecting = False
        self._pack.looking_at_zero = False
        self._job = None
        self._part = 0
        self._update.cancel()

    def _retry_later(self, now_ms):
        self._resume_ms = (now_ms + self._back_off_ms) & MASK
        self._back_off_ms = min(2 * self._back_off_ms, _LONGEST_BACK_OFF_MS)

    def _bring_up(self, now_ms):
        """Go on configuring the AFE for a part of this period."""
        if self._resume_ms >= 0:
            if (now_ms - self._resume_ms) & MASK >= 1 << 29:
                return
            self._resume_ms = -1
        pack = self._pack
        start_us = self._ticks_us()
        try:
            if self._job is None:
                self.afe_starts += 1
                self._take_image()
                self._job = self._configure()
            budget_us = _JOB_BUDGET_US if pack.measurements.seq else _FIRST_BUDGET_US
            while (self._ticks_us() - start_us) & MASK < budget_us:
                next(self._job)
                if self._afe.slow:
                    budget_us = _JOB_BUDGET_US
        except StopIteration:
            self._job = None
            self._finish(now_ms)
        except AfeError as error:
            self._job = None
            pack.measurements.fail()
            pack.set_fault(FAULT_AFE, True, self.afe_starts)
            pack.events.add(now_ms, ev.AFE_ERROR, _FAILED, -1, self.afe_starts)
            self.last_error = error
            self._retry_later(now_ms)

    def _configure(self):
        """Short steps until the AFE is configured and, once after a start, until it is seen that
        the line BOTHOFF holds both FETs off (SAF-02)."""
        yield from self._afe.configure(self._image)
        if self._held == _NOT_TRIED:
            self._bothoff(0)
            yield from self._afe.prove_off()
            self._held = _UNHELD if self._afe.unheld else _HELD

    def _finish(self, now_ms):
        """The AFE is configured: one good scan, and the pack may decide again."""
        pack = self._pack
        try:
            self._signature = self._afe.signature()
        except AfeError:
            self._retry_later(now_ms)
            return
        self._verified_ms = (now_ms - _APART_MS) & MASK
        self._counted_ms = now_ms
        try:
            self._afe.read_charge()
            self._counting = True
        except AfeError:
            self._counting = False      # the current counts until it is read
        pack.fets.restarted()
        pack.afe_ready = True
        self._begin_look_at_zero(now_ms)
        pack.set_fault(FAULT_AFE, False)
        self._back_off_ms = _BACK_OFF_MS
        if self._held == _UNHELD:
            pack.set_fault(FAULT_FET, True, self._afe.unheld, 0)
            pack.events.add(now_ms, ev.AFE_ERROR, _NOT_HELD, -1, self._afe.unheld, 0)
        pack.events.add(now_ms, ev.AFE_CONFIGURED, 0, -1, self._signature, self.afe_starts)
