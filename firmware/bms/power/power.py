"""Off, awake or asleep: the one owner of that, and of why (PWR-02, PWR-10 to PWR-13, PRO-24).

    AWAKE -> LEAVING -> LOOKING -> STORING -> ASLEEP -> AWAKE
                                              ASLEEP -> TRYING -> LOOKING, or AWAKE
    any -> OFF -> AWAKE

LEAVING   the limits told to others are 0; the FETs are still as they were
LOOKING   both FETs are off, to see whether something else holds the terminals up
STORING   what has to outlast the sleep is being stored
TRYING    a timed wake after over-discharge: both FETs closed, to see whether charge flows
"""

import struct

import micropython
from micropython import const

from bms.power.small_use import SmallUse
from bound import bind
from ticks import MASK

MODES = ("awake", "trying", "leaving", "looking", "storing", "asleep", "off")
AWAKE, TRYING, LEAVING, LOOKING, STORING, ASLEEP, OFF = range(7)

# why it sleeps
REASONS = ("none", "over-discharge", "button", "low cell", "standby", "host")
NONE, OVER_DISCHARGE, BUTTON, LOW_CELL, STANDBY, HOST = range(6)

# what woke it
WAKERS = ("none", "charger", "button", "RS232", "timer", "charge", "rocker")
_, BY_CHARGER, BY_BUTTON, BY_RS232, BY_TIMER, BY_CHARGE, BY_ROCKER = range(7)

# why it did not go to sleep
REFUSALS = ("none", "external voltage at the terminals", "terminals not measured",
            "FETs do not open", "in use")
EXTERNAL, UNMEASURED, NOT_OPEN, IN_USE = range(1, 5)

# conditions of a step, bits
MEASURED = const(0x01)          # the terminal voltage is of a scan just made
QUIET = const(0x02)             # no current, no balancing; or both FETs open
CHARGES = const(0x04)           # charge current
DISCHARGES = const(0x08)
CHARGER = const(0x10)           # the terminals say that a charger is there
OPEN = const(0x20)              # both FETs are seen open
OVER_DISCHARGED = const(0x40)   # an under-voltage protection is tripped
OVER_CHARGED = const(0x80)      # an over-voltage protection is tripped

# news of a step
NOTHING, SLEPT, WOKE, REFUSED, TRIES, ENDS_TRY, STOPPED, RECHARGE = range(8)

_LONGEST_S = const(0x8000000)
_NOTICE_MS = const(1000)        # LEAVING
_FALLEN_MS = const(500)         # LOOKING: the terminals may be believed to be free after
_SHOWN_MS = const(3500)         # ... and the lamps have shown it: storing would stop them
_FIRST_LOOK_MS = const(1500)    # ... their voltage is taken, and again later:
_SECOND_LOOK_MS = const(3000)   # has it fallen by less than a 32nd, something holds it
_LAST_LOOK_MS = const(30_000)   # ... something that falls so slowly is no better
_OPEN_WITHIN_MS = const(10_000)   # and be measured
_REVERSED_MV = const(-150)
_STORED_WITHIN_MS = const(10_000)
_PAUSE_S = const(600)           # after a refusal, before the next try by itself
_SETTLE_MS = const(200)         # the AFE measures anew after its sleep, before a FET closes
_CHARGE_MS = const(2000)        # charge current for this time ends a timed wake
_KEEP_S = const(3600)           # of waiting for PWR-13 are lost with the supply, at most
_KEPT = "<BBHI"                 # reason, tries, full_trips, full_s
_KEPT_1 = "<BB"                 # of an earlier version


class Power:
    """When the pack sleeps and what wakes it.

    params     Parameters

    mode       of MODES; reason: of REASONS, why it sleeps or is about to
    woken_by   of WAKERS; refused: of REFUSALS, the newest; NONE once it slept
    tries      timed wakes in a row without charge
    store      what has to last shall be stored now: stored() says that it was
    urgent     the next scan has to step it; else a step a second is enough while it is AWAKE
    full_trips over-voltage protections that are tripped, set before each step; after a start
               what was kept. full_s: not used since the first of them (PWR-13)
    """

    def __init__(self, params):
        self._params = params
        self._taken = -1
        self.mode = AWAKE
        self.reason = NONE
        self.woken_by = NONE
        self.refused = NONE
        self.tries = 0
        self.store = False
        self.urgent = True
        self._rocker = True
        self._kept = NONE
        self._kept_tries = 0
        self._asked = NONE          # of REASONS while awake, of WAKERS while asleep
        self._heard = False
        self._small = SmallUse()
        self._at_ms = -1            # ticks of the last step, -1: none yet
        self._part_ms = 0           # beyond the whole seconds
        self._ms = 0                # in this mode, or since the FETs are open
        self._open_ms = 0           # waited for the FETs to open
        self._charge_ms = 0
        self._settle_ms = 0
        self._reference_mv = -1
        self._idle_s = 0            # nobody used it
        self._over_s = -1           # over-discharged, -1: not
        self._low_s = -1            # half seconds with the lowest cell below the sleep voltage
        self._pause_s = 0
        self._slept_s = 0           # since sleep began, less the periods that ended with a wake
        self.full_trips = self.full_s = 0
        self._kept_full = self._kept_full_s = 0
        self._sleep_cell_mv = self._sleep_cell_s = self._sleep_standby_s = self._sleep_uv_s = 0
        self._sleep_ext_mv = self._wake_mv = self._wake_period_s = self._wake_tries = 0
        self._wake_try_ms = self._recharge_s = 0
        bind(self, "holds", "leaves", "rests", "goes", "step", "hear", "count")

    def _load(self):
        p = self._params
        self._sleep_cell_mv = p["sleep_cell_mv"]
        self._sleep_cell_s = p["sleep_cell_s"]
        self._sleep_standby_s = p["sleep_standby_s"]
        self._sleep_uv_s = p["sleep_uv_s"]
        self._sleep_ext_mv = p["sleep_ext_mv"]
        self._wake_mv = p["wake_mv"]
        self._wake_period_s = p["wake_period_s"]
        self._wake_tries = p["wake_tries"]
        self._wake_try_ms = p["wake_try_s"] * 1000
        self._recharge_s = p["recharge_s"]
        self._small.load(p)
        self._taken = p.changed

    # -- what others tell and ask ----------------------------------------------------------

    def start(self, rocker_on, resume):
        """At boot: the switch, and whether to sleep on if it slept.

        A pack that a watchdog reset caught asleep sleeps on; one that was switched on does not.
        """
        self._rocker = rocker_on
        if resume and self._kept:
            self.mode = ASLEEP
            self.reason = self._kept
        if not rocker_on:
            self.mode = OFF

    def _lasting(self):
        """Why it sleeps, NONE if it does not."""
        return self.reason if self.mode == STORING or self.mode == ASLEEP else NONE

    @property
    def dirty(self):
        """What a reset may not forget is not what was kept last."""
        return (self._kept != self._lasting() or self._kept_tries != self.tries
                or self._kept_full != self.full_trips
                or self.full_s - self._kept_full_s >= _KEEP_S)

    def to_bytes(self):
        """Why it sleeps, the timed wakes, and how long it waits for the recovery voltage."""
        return struct.pack(_KEPT, self._lasting(), self.tries, self.full_trips, self.full_s)

    def saved(self):
        """What to_bytes() gave is kept."""
        self._kept = self._lasting()
        self._kept_tries = self.tries
        self._kept_full = self.full_trips
        self._kept_full_s = self.full_s

    def from_bytes(self, data):
        """Take over what was kept; start() makes use of it. ValueError if it is not of here."""
        if len(data) == struct.calcsize(_KEPT_1):
            data = bytes(data) + bytes(struct.calcsize(_KEPT) - len(data))
        if len(data) != struct.calcsize(_KEPT) or data[0] >= len(REASONS):
            raise ValueError("no reason to sleep")
        self._kept, self.tries, self.full_trips, full_s = struct.unpack(_KEPT, data)
        self.full_s = min(full_s, _LONGEST_S)
        self._kept_tries = self.tries
        self._kept_full = self.full_trips
        self._kept_full_s = self.full_s

    def stored(self):
        """What *store* asks for was done."""
        self.store = False

    def rocker(self, on):
        """The switch, debounced."""
        self._rocker = on
        self.urgent = True

    def hear(self):
        """Somebody communicates with the pack."""
        self._heard = True

    def count(self, moved_uah, offset_ua, dt_ms):
        """What the integrator has moved in *dt_ms*: a small load is a use as well (small_use)."""
        if self._small.count(moved_uah, offset_ua, dt_ms):
            self._heard = True

    def hear_debug(self):
        """A byte on the debug port that is not the bench's own (PWR-11)."""
        self._heard = True
        if self.mode == ASLEEP or self.mode == TRYING:
            self._asked = BY_RS232

    def press(self):
        """The button was held for 3 to 6 s: ASLEEP or AWAKE is asked for and returned, or -1."""
        if self.mode == ASLEEP or self.mode == TRYING:
            self._asked = BY_BUTTON
            return AWAKE
        if self.mode == AWAKE:
            self._asked = BUTTON
            self.urgent = True
            return ASLEEP
        return -1

    def ask_sleep(self):
        """Host command (PWR-10). ValueError if it is not awake."""
        if self.mode != AWAKE:
            raise ValueError("the pack is " + MODES[self.mode])
        self._asked = HOST
        self.urgent = True

    # -- what it means for others ----------------------------------------------------------

    @micropython.native
    def holds(self):
        """Both FETs have to be off."""
        return self.mode >= LOOKING or self._settle_ms > 0

    @micropython.native
    def leaves(self):
        """Both FETs will soon be off: limits go to 0 first."""
        return self.mode >= LEAVING

    def goes(self):
        """It is on its way into sleep, or sleeps."""
        return self.mode >= LEAVING or self._asked != NONE

    def is_down(self):
        """Asleep or off, or storing what has to outlast that: what follows is a new beginning."""
        return self.mode >= STORING

    @micropython.native
    def rests(self):
        """Nothing but the ways out has to be watched."""
        return self.mode >= ASLEEP

    # -- time ------------------------------------------------------------------------------

    def step(self, now_ms, conditions, pack_mv, lowest_mv):
        """Advance to *now_ms*. Returns the news. Allocates nothing.

        conditions   bits of this module
        pack_mv      terminals; lowest_mv: lowest cell, at or below 0: not known
        """
        if self._taken != self._params.changed:
            self._load()
        dt_ms = (now_ms - self._at_ms) & MASK if self._at_ms >= 0 else 0
        self._at_ms = now_ms
        self._part_ms += dt_ms
        seconds = self._part_ms // 1000
        self._part_ms -= seconds * 1000
        if self._settle_ms > 0:
            self._settle_ms -= dt_ms
        self.urgent = self._settle_ms > 0
        mode = self.mode
        if mode == OFF:
            return self._wake(BY_ROCKER) if self._rocker else NOTHING
        if not self._rocker:
            self.mode = OFF
            self.reason = NONE
            self.store = True
            return STOPPED
        if seconds and self._recharges(seconds, conditions):
            return RECHARGE
        if mode == AWAKE:
            return self._awake(seconds, conditions, lowest_mv)
        if seconds and self._slept_s < _LONGEST_S:
            self._slept_s += seconds
        if mode == ASLEEP:
            return self._asleep(conditions, pack_mv)
        if mode == TRYING:
            return self._trying(dt_ms, conditions)
        return self._going(dt_ms, conditions, pack_mv)

    def _recharges(self, seconds, conditions):
        """PWR-13: True once when the recovery voltage has not been reached for long enough."""
        if not conditions & OVER_CHARGED:
            self.full_s = self._kept_full_s = 0
        elif not conditions & (CHARGES | DISCHARGES):
            self.full_s += seconds
            if self.full_s >= self._recharge_s:
                self.full_s = self._kept_full_s = 0
                return True
        return False

    def _awake(self, seconds, conditions, lowest_mv):
        asked = self._asked
        self._asked = NONE
        if asked:
            return self._begin(asked, conditions)
        if not seconds:
            return NOTHING
        if self.tries:
            self._charge_ms = self._charge_ms + 1000 * seconds if conditions & CHARGES else 0
            if self._charge_ms > _CHARGE_MS:
                self.tries = 0          # they were in a row without charge
        used = self._heard or not conditions & QUIET
        self._heard = False
        self._idle_s = 0 if used else self._longer(self._idle_s, seconds)
        self._over_s = self._longer(self._over_s, seconds) if conditions & OVER_DISCHARGED else -1
        low = not used and 0 < lowest_mv < self._sleep_cell_mv
        self._low_s = -1 if used else self._leaky(self._low_s, seconds, low)
        if self._pause_s > 0:
            self._pause_s -= seconds
        elif self._over_s >= self._sleep_uv_s:
            return self._begin(OVER_DISCHARGE, conditions)
        elif self._low_s >= 2 * self._sleep_cell_s:
            return self._begin(LOW_CELL, conditions)
        elif self._idle_s >= self._sleep_standby_s:
            return self._begin(STANDBY, conditions)
        return NOTHING

    @staticmethod
    def _longer(past_s, seconds):
        """A timer that counts from the first sight of what it times."""
        if past_s < 0:
            return 0
        return past_s + seconds if past_s < _LONGEST_S else past_s

    @staticmethod
    def _leaky(past, seconds, holds):
        """The same in half seconds, and it leaks at half its pace: a cell just at its limit does
        not keep the pack awake until it is empty (PRO-28)."""
        if holds:
            if past == -1:
                return 0
            return max(0, past) + 2 * seconds if past < 2 * _LONGEST_S else past
        if past < 0:
            return -1
        return past - seconds if past >= seconds else -2

    def _begin(self, reason, conditions):
        self.refused = NONE
        if conditions & (CHARGES | CHARGER):
            return self._refuse(EXTERNAL)
        if not conditions & MEASURED:
            return self._refuse(UNMEASURED)
        self.reason = reason
        self.mode = LEAVING
        self._slept_s = self._ms = 0
        return NOTHING

    def _refuse(self, why):
        self.refused = why
        self._fresh()
        self._pause_s = _PAUSE_S
        return REFUSED

    def _fresh(self):
        """Awake, and every way into sleep begins anew."""
        self.mode = AWAKE
        self.reason = NONE
        self._asked = NONE
        self._idle_s = self._pause_s = self._charge_ms = 0
        self._over_s = self._low_s = -1
        self._heard = False

    def _look(self):
        self.mode = LOOKING
        self._ms = self._open_ms = 0
        self._reference_mv = -1

    def _going(self, dt_ms, conditions, pack_mv):
        """LEAVING, LOOKING or STORING."""
        if self.reason == LOW_CELL or self.reason == STANDBY:
            if self._heard or conditions & (CHARGES | DISCHARGES):
                return self._refuse(IN_USE)
        self._ms += dt_ms
        if self.mode == LEAVING:
            if self._ms >= _NOTICE_MS:
                self._look()
            return NOTHING
        if self.mode == STORING:
            if self.store and self._ms < _STORED_WITHIN_MS:
                return NOTHING
            self.mode = ASLEEP
            self._asked = NONE
            return SLEPT
        if not conditions & OPEN or not conditions & MEASURED:
            self._ms = 0
            self._open_ms += dt_ms
            if self._open_ms < _OPEN_WITHIN_MS:
                return NOTHING
            return self._refuse(UNMEASURED if conditions & OPEN else NOT_OPEN)
        return self._look_at(pack_mv)

    def _look_at(self, pack_mv):
        """The terminals, with both FETs open."""
        if _REVERSED_MV < pack_mv < self._sleep_ext_mv:
            if self._ms < (_SHOWN_MS if self.reason == BUTTON else _FALLEN_MS):
                return NOTHING
            self.mode = STORING
            self._ms = 0
            self.store = True
        elif self._ms >= _LAST_LOOK_MS:
            return self._refuse(EXTERNAL)
        elif self._reference_mv < 0:
            if self._ms >= _FIRST_LOOK_MS:
                self._reference_mv = abs(pack_mv)
        elif (self._ms >= _SECOND_LOOK_MS
                and abs(pack_mv) > self._reference_mv - (self._reference_mv >> 5)):
            return self._refuse(EXTERNAL)
        return NOTHING

    def _asleep(self, conditions, pack_mv):
        if self._asked:
            return self._wake(self._asked)
        if conditions & MEASURED and pack_mv > self._wake_mv:
            return self._wake(BY_CHARGER)
        if self.reason != OVER_DISCHARGE or self.tries >= self._wake_tries:
            return NOTHING
        if self._slept_s < self._wake_period_s:
            return NOTHING
        self._slept_s -= self._wake_period_s
        self.mode = TRYING
        self._ms = self._charge_ms = 0
        self._settle_ms = _SETTLE_MS
        return TRIES

    def _trying(self, dt_ms, conditions):
        if self._asked:
            return self._wake(self._asked)
        self._ms += dt_ms
        self._charge_ms = max(0, self._charge_ms + (dt_ms if conditions & CHARGES
                                                    else -(dt_ms >> 1)))
        if self._charge_ms >= _CHARGE_MS:
            self.tries = 0
            return self._wake(BY_CHARGE)
        if conditions & DISCHARGES or self._ms >= self._wake_try_ms:
            self.tries += 1
            self._look()
            return ENDS_TRY
        return NOTHING

    def _wake(self, by):
        self._fresh()
        self.woken_by = by
        self._settle_ms = _SETTLE_MS
        self.urgent = True
        return WOKE

    def text(self):
        """For a person: what it does and why."""
        lines = [MODES[self.mode]]
        if self.reason:
            lines[0] += ", because of " + REASONS[self.reason]
        if self.woken_by:
            lines.append("woken last by " + WAKERS[self.woken_by])
        if self.refused:
            lines.append("stays awake: " + REFUSALS[self.refused])
        if self.mode == AWAKE:
            lines.append("not used for %d s" % self._idle_s)
        if self.tries:
            lines.append("timed wakes without charge: %d" % self.tries)
        return "\n".join(lines)
