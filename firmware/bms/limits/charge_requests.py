"""What the pack asks an inverter for: to be charged, and to be charged full (COM-05).

Steps of the SOC are those of Pylontech's packs: force charge 1 below 5 % until 9 %, force charge
2 below 9 % until 13 %, full charge when 97 % was not reached for 30 days.
"""

import struct

_HYSTERESIS_CPCT = 400
_FULL_CPCT = 9700
_LONGEST_MIN = 1 << 24
_SAVE_MIN = 360
_FORMAT = "<Bi"
_VERSION = 1


class ChargeRequests:
    """Requests of one pack.

    force_1, force_2   charge now; charge soon
    full               charge until full
    since_full_min     minutes since the SOC was at 97 %
    """

    def __init__(self, params):
        self._params = params
        self._taken = -1
        self._force_1_cpct = self._force_2_cpct = self._full_min = 0
        self.force_1 = self.force_2 = self.full = False
        self.since_full_min = 0
        self._rest_ms = 0
        self._saved_min = 0

    def _load(self):
        p = self._params
        self._force_1_cpct = p["force_charge_cpct"]
        self._force_2_cpct = self._force_1_cpct + _HYSTERESIS_CPCT
        self._full_min = p["full_request_days"] * 1440
        self._taken = p.changed

    def step(self, cpct, dt_ms):
        """Advance by *dt_ms* (at most some minutes) at a state of charge of *cpct*."""
        if self._taken != self._params.changed:
            self._load()
        self.force_1 = cpct <= self._force_1_cpct + self.force_1 * (_HYSTERESIS_CPCT - 1)
        self.force_2 = cpct <= self._force_2_cpct + self.force_2 * (_HYSTERESIS_CPCT - 1)
        if cpct >= _FULL_CPCT:
            self.since_full_min = self._rest_ms = 0
        else:
            self._rest_ms += dt_ms
            if self._rest_ms >= 60_000:
                self.since_full_min = min(_LONGEST_MIN,
                                          self.since_full_min + self._rest_ms // 60_000)
                self._rest_ms %= 60_000
        self.full = 0 < self._full_min <= self.since_full_min

    @property
    def dirty(self):
        """What is stored is too old: call to_bytes(), write it, then saved()."""
        return abs(self.since_full_min - self._saved_min) >= _SAVE_MIN

    def to_bytes(self):
        """What has to outlive a power cut."""
        return struct.pack(_FORMAT, _VERSION, self.since_full_min)

    def saved(self):
        """What to_bytes() gave is stored."""
        self._saved_min = self.since_full_min

    def from_bytes(self, data):
        """Take up what was stored; a record of another form is ignored."""
        if data is None or len(data) != struct.calcsize(_FORMAT):
            return
        version, minutes = struct.unpack(_FORMAT, data)
        if version == _VERSION and 0 <= minutes <= _LONGEST_MIN:
            self.since_full_min = self._saved_min = minutes
