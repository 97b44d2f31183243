"""Lamps, buzzer, dry contacts, DIP switches: what a person at the front sees and sets."""

from bms import contacts, indication
from bms import events as ev
from bms.inputs import Steady

PERIOD_MS = 50
_STEPS_A_TICK = indication.TICK_MS // PERIOD_MS
_DIP_STABLE_MS = 1000           # DIP-01


class Panel:
    """The panel task.

    pack      PackState
    show      function(word): puts the lamp word on the lamps
    inputs    TCA9534 with the DIP switches: on pulls low
    buzzer    function(level), or None
    outputs   pins of DO1 and DO2
    """

    def __init__(self, pack, show, inputs, buzzer=None, outputs=()):
        self._pack = pack
        self._show = show
        self._inputs = inputs
        self._buzzer = buzzer
        self._outputs = outputs
        self._is_bar = pack.profile.PANEL == "bar"
        self._shown = -1
        self._state = -1
        self._steps = 0
        self._tick = 0
        self._dip = Steady()
        self._taken = -1            # params.changed that these are of:
        self._buzzer_on = 0
        self._functions = [0] * len(outputs)
        self._inverted = [0] * len(outputs)

    def _load(self):
        params = self._pack.params
        self._buzzer_on = params["buzzer_enable"]
        for i in range(len(self._outputs)):
            self._functions[i] = params["do%d_function" % (i + 1)]
            self._inverted[i] = params["do%d_inverted" % (i + 1)]
        self._taken = params.changed

    def step(self, now_ms):
        """Every PERIOD_MS."""
        pack = self._pack
        if self._taken != pack.params.changed:
            self._load()
        self._look(now_ms)
        self._steps += 1
        if self._steps == _STEPS_A_TICK:
            self._steps = 0
            self._tick += 1
            if self._tick == indication.TICKS:
                self._tick = 0
        if self._steps == 0 or pack.state != self._state:
            self._state = pack.state
            self._light(pack)
            self._switch(pack)

    def _light(self, pack):
        """Work lamps and buzzer out; patterns change with the tick, rows with the state."""
        trips = pack.protection.trips
        alarms = pack.protection.alarms
        if self._is_bar:
            row = indication.bar_row_for(pack.state, pack.direction, trips, pack.updating)
        else:
            row = indication.row_for(pack.state, pack.direction, alarms, trips,
                                     pack.charger_seen)
        word = indication.lamp_word(row, pack.shown_cpct, self._tick)
        if not pack.passed:
            word = indication.self_test_word(pack.faults) or word
        if word != self._shown:
            self._show(word)
            self._shown = word
        if self._buzzer is not None:
            noise = indication.buzz_for(pack.state, alarms, trips, pack.faults)
            self._buzzer(self._buzzer_on and indication.level_of(noise, self._tick))

    def _switch(self, pack):
        """The dry contacts."""
        for i in range(len(self._outputs)):
            self._outputs[i](self._inverted[i] ^ int(contacts.says(self._functions[i], pack)))

    def _look(self, now_ms):
        """A change of the address is taken over once it was stable, the first at once."""
        levels = self._inputs.read()
        if levels < 0:
            return
        pack = self._pack
        if self._dip.sample(~levels & 0xF, now_ms, _DIP_STABLE_MS):
            dip = self._dip.value
            if dip != pack.dip:
                pack.events.add(now_ms, ev.DIP, dip, -1, dip, pack.dip)
                pack.dip = dip
