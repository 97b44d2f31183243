"""The state of every protection: steps the table once per fresh scan and names what changed."""

from array import array

from bms.protection_rules import BELOW, ITEMS
from hot.protect import protect_step
from hot.protect_py import STATE, WIDTH

ALARM = 1
TRIPPED = 2
LOCKED = 4
_FLAGS = 3


class Protection:
    """Alarms, trips and locks of ITEMS.

    params   Parameters; its values are taken over when its *changed* count moves
    blocked  FETs held off by tripped items, bits of protection_rules
    alarms, trips, locks  bit i = ITEMS[i]
    """

    def __init__(self, params):
        self._params = params
        self._taken = -1
        self._rows = array("i", (0 for _ in range(WIDTH * len(ITEMS))))
        self._state = array("i", (0 for _ in range(STATE * len(ITEMS))))
        self._flags = bytearray(len(ITEMS))
        self._forget_ms = 0
        self.blocked = 0
        self.alarms = 0
        self.trips = 0
        self.locks = 0

    def _load(self):
        """Fill the rows from the parameters; timers and flags stay as they are."""
        p = self._params
        for i in range(len(ITEMS)):
            _, reading, sense, prefix, unit, hysteresis, need, any_of, blocks = ITEMS[i]
            alarm = p["%s_alarm_%s" % (prefix, unit)]
            row = (reading, sense == BELOW, alarm, alarm - sense * hysteresis,
                   p["%s_trip_%s" % (prefix, unit)], p["%s_release_%s" % (prefix, unit)],
                   p["%s_delay_ms" % prefix], ALARM | TRIPPED, need, any_of, 0, 0, blocks, 0)
            for column in range(WIDTH):
                self._rows[i * WIDTH + column] = int(row[column])
        self._forget_ms = p["in_a_row_forget_s"] * 1000
        self._taken = p.changed

    def step(self, readings, dt_ms, conditions):
        """Advance by *dt_ms*; True if any alarm, trip or lock came or went."""
        if self._taken != self._params.changed:
            self._load()
        result = protect_step(self._rows, self._state, readings, len(ITEMS), dt_ms, conditions,
                              self._forget_ms)
        self.blocked = result & 0xFF
        return result > 0xFF

    def take_changes(self, on_change):
        """Call on_change(item index, flags before, flags now) for each that changed."""
        self.alarms = self.trips = self.locks = 0
        for i in range(len(ITEMS)):
            now = self._state[i * STATE + _FLAGS]
            before = self._flags[i]
            if now & ALARM:
                self.alarms |= 1 << i
            if now & TRIPPED:
                self.trips |= 1 << i
            if now & LOCKED:
                self.locks |= 1 << i
            if now != before:
                self._flags[i] = now
                on_change(i, before, now)

    def limit_of(self, i, flags):
        """The threshold of item *i* that was crossed: of the trip if *flags* has TRIPPED."""
        return self._rows[i * WIDTH + (4 if flags & TRIPPED else 2)]
