"""Is the inverter there? Any port that hears it says so; silence is recorded (COM-08)."""

from bms.words import events as ev

_LONGEST_S = 1 << 24


class InverterWatch:
    """Seconds of silence of the inverter.

    params, events   Parameters and Events of the pack
    was_heard        since the last step
    silent_s         seconds without a word from the inverter, on any port
    known            there was one since start, or since it was taken away on purpose
    lost             silent for longer than the parameter allows
    missed           lost, and known: the panel says so too
    """

    def __init__(self, params, events):
        self._params = params
        self._events = events
        self.was_heard = False
        self.silent_s = 0
        self.lost = False
        self.missed = False
        self.known = False

    def forget(self):
        """Host command: the inverter was taken away on purpose."""
        self.known = self.missed = False

    def heard(self):
        """A request or a keep-alive of the inverter has come, on any port."""
        self.was_heard = True

    def step(self, now_ms, expected):
        """Once a second. *expected*: an inverter may be here; a slave has none."""
        if self.was_heard or not expected:
            self.known = expected
            self.was_heard = False
            self.silent_s = 0
        elif self.silent_s < _LONGEST_S:
            self.silent_s += 1
        limit_s = self._params["inverter_lost_s"]
        lost = 0 < limit_s <= self.silent_s
        if lost != self.lost:
            self.lost = lost
            self._events.add(now_ms, ev.INVERTER_LOST if lost else ev.INVERTER_BACK, 0, -1,
                             self.silent_s, limit_s)
        self.missed = lost and self.known
