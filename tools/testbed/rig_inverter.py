"""The simulated inverter (as1_model.py) on a port of the bench, in simulated time.

It asks or listens once a second, decides, and acts on charger and load: all from the wire alone.
What it does is the bench's charger and load while it is attached.
"""

from as1_model import AS1, DAY, MODES, Wire, World, ask, info_of

PORTS = ("can", "pcs")
KEEP_ALIVE = [0x305, "00" * 8]
FIRST_HOUR = 9.0            # of its day, at t = 0
_PERIOD_US = 1_000_000
_ANSWER_US = 600_000        # an answer that has not come by then does not come
_ADDRESS = 0x02
_LEAST_MA = 50


class Inverter:
    """One inverter.

    port    "can" or "pcs"
    mode    of as1_model.MODES
    pv_w, load_w   sun and house; None: those of the day in as1_model.py at this hour
    grid    False: the house is on the inverter alone
    hour_s  seconds that an hour of its day lasts
    drm     demand-response modes that are asserted, of 0 to 8
    """

    def __init__(self, port, mode=MODES[0], now_us=0, **world):
        self.port = port
        self.wire = Wire()
        self._as1 = AS1(mode)
        self.change(port, mode, **world)
        self._due_us = now_us
        self._asked = None          # None | (command, t_us) of the question on the wire
        self._heard = b""
        self._seen = None           # INFO of the newest 61
        self._frames = []
        self._done = None           # what was last done to charger and load

    def change(self, port, mode=MODES[0], pv_w=None, load_w=None, grid=True, hour_s=3600, drm=()):
        """Another world around it; it goes on with what it knows of the pack."""
        self._as1.mode = mode
        self._pv_w, self._load_w, self._grid, self._hour_s = pv_w, load_w, grid, hour_s
        self._drm = frozenset(drm)

    def can_frame(self, ident, data):
        if self.port == "can":
            self._frames.append((ident, data))

    def pcs_bytes(self, data):
        if self.port == "pcs" and self._asked:
            self._heard += data

    def step(self, now_us):
        """(bytes for the RS485 port, [[id, hex]] for CAN, None or fields of `set`)."""
        now_s = now_us / 1e6
        say = b""
        for ident, data in self._frames:
            self.wire.take_can(ident, data, now_s)
        self._frames.clear()
        if self._asked:
            say = self._answered(now_us, now_s)
        if now_us < self._due_us:
            return say, [], None
        self._due_us += _PERIOD_US * (1 + (now_us - self._due_us) // _PERIOD_US)
        if self.port == "pcs" and not self._asked:
            say = self._question(0x61, now_us)
        return say, [KEEP_ALIVE] if self.port == "can" else [], self._act(now_s)

    def told(self):
        """What it does and says, for a person: W, whether the house is served, codes."""
        flow = self._as1.flow
        return {"battery_w": flow.battery_w, "grid_w": flow.grid_w, "ac_w": flow.ac_w,
                "served": flow.served, "forbidden": flow.forbidden, "codes": sorted(flow.codes)}

    def _question(self, command, now_us):
        self._asked = (command, now_us)
        self._heard = b""
        return ask(_ADDRESS, command)

    def _answered(self, now_us, now_s):
        command, asked_us = self._asked
        if not self._heard.endswith(b"\r"):
            if now_us - asked_us > _ANSWER_US:
                self._asked = None
            return b""
        info = info_of(self._heard)
        self._asked = None
        if command == 0x61:
            self._seen = info
            return self._question(0x63, now_us)
        self.wire.take_pylontech(self._seen, info, now_s)
        return b""

    def _act(self, now_s):
        hour = (FIRST_HOUR + now_s / self._hour_s) % 24
        sun_w, house_w = next(row for row in reversed(DAY) if row[0] <= hour)[1:]
        world = World(sun_w if self._pv_w is None else self._pv_w,
                      house_w if self._load_w is None else self._load_w, self._grid,
                      self._drm)
        self._as1.step(hour, 1.0, world, self.wire, now_s)
        charge_ma, load_ma = round(self._as1.charge_ma), round(self._as1.discharge_ma)
        if charge_ma > _LEAST_MA:
            fields = {"charger_mv": self.wire.cvl_mv, "charger_ma": charge_ma, "load_ma": None}
        else:
            fields = {"charger_mv": None, "charger_ma": None, "load_ma": load_ma or None}
        if fields == self._done:
            return None
        self._done = fields
        return fields


OFF = {"charger_mv": None, "charger_ma": None, "load_ma": None}
