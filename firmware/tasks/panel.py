"""Lamps, DIP switches: what a person at the front sees and sets."""

from bms import events as ev
from bms import indication

PERIOD_MS = 50
_STEPS_A_TICK = indication.TICK_MS // PERIOD_MS
_DIP_STABLE_STEPS = 1000 // PERIOD_MS       # DIP-01: stable for 1 s
_EXPANDER = 0x20
_INPUT = b"\x00"


class Panel:
    """The panel task.

    pack   PackState
    show   function(word): puts the lamp word on the lamps
    i2c    bus of the TCA9534 that reads the DIP switches, or None
    """

    def __init__(self, pack, show, i2c):
        self._pack = pack
        self._show = show
        self._i2c = i2c
        self._shown = -1
        self._state = -1
        self._steps = 0
        self._tick = 0
        self._select = bytearray(_INPUT)
        self._inputs = bytearray(1)
        self._dip_seen = -1
        self._dip_steps = 0
        self._first = True
        self.input_errors = 0

    def step(self, now_ms):
        """Every PERIOD_MS."""
        pack = self._pack
        if self._steps == 0:
            self._read_dip(now_ms)
        self._steps += 1
        if self._steps == _STEPS_A_TICK:
            self._steps = 0
            self._tick += 1
            if self._tick == 16 * 1000:     # a multiple of every pattern's length
                self._tick = 0
        if self._steps == 0 or pack.state != self._state:
            self._state = pack.state
            self._light(pack)

    def _light(self, pack):
        """Work the lamps out; patterns change with the tick, rows with the state."""
        row = indication.row_for(pack.state, pack.direction, pack.protection.alarms,
                                 pack.protection.trips, pack.charger_seen)
        word = indication.lamp_word(row, pack.soc.cpct, self._tick)
        if word != self._shown:
            self._show(word)
            self._shown = word

    def _read_dip(self, now_ms):
        """Each 250 ms; a change is taken over once it was the same for 1 s, the first at once."""
        try:
            self._i2c.writeto(_EXPANDER, self._select)
            self._i2c.readfrom_into(_EXPANDER, self._inputs)
        except OSError:
            self.input_errors += 1
            return
        dip = ~self._inputs[0] & 0xF        # a switch that is on pulls its input low
        if dip != self._dip_seen:
            self._dip_seen = dip
            self._dip_steps = 0
        else:
            self._dip_steps += _STEPS_A_TICK
        if dip != self._pack.dip and (self._first or self._dip_steps >= _DIP_STABLE_STEPS):
            self._pack.events.add(now_ms, ev.DIP, dip, -1, dip, self._pack.dip)
            self._pack.dip = dip
        self._first = False
