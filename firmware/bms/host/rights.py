"""What the ports to the inverter may do: read always; write while unlocked (COM-07)."""

from bms.words import events as ev
from bms.host.pin import Pin


class Rights:
    """A right that runs out.

    params, events   Parameters and Events of the pack
    left_s           seconds that writing commands of the inverter ports are still obeyed
    pin              Pin: what the debug port may do
    """

    def __init__(self, params, events):
        self._params = params
        self._events = events
        self.left_s = 0
        self.pin = Pin(params, events)

    @property
    def may_write(self):
        return self.left_s > 0

    def unlock(self, minutes=None, now_ms=0):
        """Allow writing for *minutes*, the parameter's by default; 0 ends it. ValueError."""
        if minutes is None:
            minutes = self._params["pcs_unlock_min"]
        if not 0 <= minutes <= 1440:
            raise ValueError("unlock: 0 to 1440 minutes, not %d" % minutes)
        self.left_s = 60 * minutes
        self._events.add(now_ms, ev.PORTS_UNLOCKED, 0, -1, minutes)

    def step(self, now_ms):
        """Once a second."""
        self.pin.step()
        if self.left_s:
            self.left_s -= 1
            if not self.left_s:
                self._events.add(now_ms, ev.PORTS_LOCKED)
