"""Lamps, buzzer, dry contacts, button and switches: what a person at the front sees and does."""

import micropython
from bms.panel import contacts, indication
from bms.words import events as ev
from bms.words import states as st
from bms.power import power as pw
from bms.panel.inputs import HeldButton, Steady
from bound import bind
from ticks import MASK

PERIOD_MS = 50
_WORD_MS = indication.WORD_TICKS * indication.TICK_MS
_DIP_STABLE_MS = 1000           # DIP-01
_RST = 0x10                     # input of the button
_PRESS_MS = 3000                # RST-01: sleep or wake from here,
_RESET_MS = 6000                # reset from here
_TOO_LONG_MS = 10_000           # to here
_ROCKER_ON_MS = 3000            # PWR-02
_ROCKER_OFF_MS = 200
_SWITCH_OFF_MS = 4500           # AS1-03: "approximately 5 s" and released
_NO_ROW = 1 << 25               # no row of the protection table


@micropython.native
def _alarms_of(pack):
    """Alarms of the table, and a bit beyond it for faults that stop nothing, and for an inverter
    that was there and is silent (COM-08)."""
    alarms = pack.protection.alarms
    if pack.faults or pack.faults_more or pack.inverter.missed:
        alarms |= _NO_ROW
    return alarms


class Panel:
    """The panel task.

    pack      Pack
    show      function(word): puts the lamp word on the lamps
    inputs    TCA9534 with the DIP switches and the button: on and pressed pull low
    buzzer    function(level), or None
    outputs   pins of DO1 and DO2
    rocker    function giving the level of the ON/OFF switch, 1: on; or None
    reset     function that resets the controller, or None
    """

    def __init__(self, pack, show, inputs, buzzer=None, outputs=(), rocker=None, reset=None):
        self._pack = pack
        self._show = show
        self._inputs = inputs
        self._buzzer = buzzer
        self._outputs = outputs
        self._rocker_pin = rocker
        self._reset = reset
        self._is_bar = pack.profile.PANEL == "bar"
        self._shown = -1
        self._state = -1
        self._tick = 0
        self._tick_ms = -1          # when it began: an erase of the flash may cost a step
        self._dip = Steady()
        self._rocker = Steady()
        self._button = HeldButton()
        self._woke = False          # the press that lasts has started the pack
        self._direction = indication.ShownDirection()
        self._shown_direction = st.STANDBY
        self._beeper = indication.Beeper()
        self._play: tuple = ()      # words of a sequence that is shown, (): none
        self._play_ms = -1          # when it began, -1: it begins now
        self._taken = -1            # params.changed that these are of:
        self._buzzer_on = 0
        self._functions = [0] * len(outputs)
        self._inverted = [0] * len(outputs)
        bind(self, "_look", "_stops", "_sound", "_word", "_put", "_switch")

    def _load(self):
        params = self._pack.params
        self._buzzer_on = params["buzzer_enable"]
        for i in range(len(self._outputs)):
            self._functions[i] = params["do%d_function" % (i + 1)]
            self._inverted[i] = params["do%d_inverted" % (i + 1)]
        self._taken = params.changed

    @micropython.native
    def step(self, now_ms):
        """Every PERIOD_MS."""
        pack = self._pack
        if self._taken != pack.params.changed:
            self._load()
        self._look(now_ms)
        stops = self._stops(pack)
        self._shown_direction = self._direction.step(pack.direction, stops, pack.charger_near)
        if self._tick_ms < 0:
            self._tick_ms = (now_ms - PERIOD_MS) & MASK
        since_ms = (now_ms - self._tick_ms) & MASK
        ticked = since_ms >= indication.TICK_MS
        if ticked:
            self._tick_ms = (now_ms - since_ms % indication.TICK_MS) & MASK
            self._tick = (self._tick + since_ms // indication.TICK_MS) % indication.TICKS
        if self._play:
            self._go_on(now_ms)
        elif ticked or pack.state != self._state:
            self._put(self._word(pack, stops))
        self._sound(pack, now_ms, stops)
        if ticked or pack.state != self._state:
            self._state = pack.state
            self._switch(pack)

    @micropython.native
    def _put(self, word):
        if word != self._shown:
            self._show(word)
            self._shown = word

    @micropython.native
    def _word(self, pack, trips):
        """The lamps now; patterns change with the tick, rows with the state. *trips*: _stops()."""
        state = pack.state
        if pack.power.mode >= pw.LOOKING:
            state = st.SLEEP
        elif not pack.passed:
            word = indication.self_test_word(pack.faults)
            if word:
                return word
        if self._is_bar:
            row = indication.bar_row_for(state, self._shown_direction, trips, pack.updating)
        else:
            row = indication.row_for(state, self._shown_direction, _alarms_of(pack), trips)
        return indication.lamp_word(row, pack.shown_cpct, self._tick)

    @micropython.native
    def _stops(self, pack):
        """Protections that hold a FET open, faults of one direction among them."""
        trips = pack.protection.trips
        if pack.faults or pack.faults_more:
            trips |= indication.FAULT_STOPS[pack.blocked_by_faults()]
        return trips

    @micropython.native
    def _sound(self, pack, now_ms, stops):
        """Buzzer: each step, so that the first beep starts with the event."""
        if self._buzzer is None:
            return
        period_ms = indication.SILENT
        if self._buzzer_on:
            period_ms = indication.buzz_for(pack.state, self._shown_direction, _alarms_of(pack),
                                            stops, pack.faults | pack.faults_more)
        pack.buzzing = period_ms != indication.SILENT
        self._buzzer(self._beeper.step(now_ms, period_ms))

    @micropython.native
    def _switch(self, pack):
        """Dry contacts."""
        for i in range(len(self._outputs)):
            says = contacts.says(self._functions[i], pack, self._shown_direction)
            self._outputs[i](self._inverted[i] ^ int(says))

    # -- sequences -------------------------------------------------------------------------

    def is_busy(self):
        """True while a sequence is shown: an erase of the flash would hold one of its lamps."""
        return len(self._play) > 0

    def _start(self, words):
        self._play = words
        self._play_ms = -1

    def _go_on(self, now_ms):
        """The sequence, then what comes after it."""
        words = self._play
        power = self._pack.power
        if self._play_ms < 0:
            self._play_ms = now_ms
        at = ((now_ms - self._play_ms) & MASK) // _WORD_MS
        if at < len(words) and (words is not indication.SLEEP_SEQUENCE or power.goes()):
            self._put(words[at])
            return
        self._play = ()
        self._put(self._word(self._pack, self._stops(self._pack)))
        if words is indication.RESET_SEQUENCE and self._reset is not None:
            self._reset()

    # -- inputs ----------------------------------------------------------------------------

    @micropython.native
    def _look(self, now_ms):
        """Rocker, DIP switches and button."""
        pack = self._pack
        if self._rocker_pin is not None:
            on = self._rocker_pin()
            if self._rocker.sample(on, now_ms, _ROCKER_ON_MS if on else _ROCKER_OFF_MS):
                pack.power.rocker(on != 0)
        levels = self._inputs.read()
        if levels < 0:
            return
        if self._dip.sample(~levels & 0xF, now_ms, _DIP_STABLE_MS):
            dip = self._dip.value
            if dip != pack.dip:
                pack.events.add(now_ms, ev.DIP, dip, -1, dip, pack.dip)
                pack.dip = dip
        button = self._button
        was_down = button.is_down
        held_ms = button.sample(not levels & _RST, now_ms)
        if self._is_bar:
            if button.is_down and not was_down:
                self._switch_on()
            elif held_ms:
                self._switch_off(held_ms)
        elif held_ms:
            self._released(held_ms, now_ms)

    def _switch_on(self):
        """AS1-03: the battery switch was pressed. Asleep, the pack starts at once, with its blue
        light, so that a press shows life."""
        power = self._pack.power
        if power.mode == pw.ASLEEP or power.mode == pw.TRYING:
            power.press()
            self._woke = True
            self._start(indication.BLUE_WAKE_SEQUENCE)

    def _switch_off(self, held_ms):
        """AS1-03: the battery switch was let go after *held_ms*. The press that started the pack
        does not stop it."""
        woke = self._woke
        self._woke = False
        if held_ms >= _SWITCH_OFF_MS and not woke and self._pack.power.press() == pw.ASLEEP:
            self._start(indication.SLEEP_SEQUENCE)

    def _released(self, held_ms, now_ms):
        """RST-01: the button was let go after *held_ms*."""
        power = self._pack.power
        if _PRESS_MS <= held_ms < _RESET_MS:
            asked = power.press()
            if asked >= 0:
                self._start(indication.SLEEP_SEQUENCE if asked == pw.ASLEEP
                            else indication.WAKE_SEQUENCE)
        elif _RESET_MS <= held_ms < _TOO_LONG_MS and power.mode < pw.ASLEEP:
            self._pack.events.add(now_ms, ev.RESET, 0, -1, held_ms)
            self._start(indication.RESET_SEQUENCE)
