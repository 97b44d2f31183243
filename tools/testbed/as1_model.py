"""The simulated hybrid inverter in the manner of the AS1: what it hears and what it decides.

It knows of the battery only what is on the wire, and shares no code with the firmware. One source
for CPython and MicroPython. Source: AS1 user manual, 2.3, 4.5, chapters 5 and 6.

It raises the codes of chapter 6 that it can have: 21 and 31 (overload), 25 to 30 (grid as the
master measures it), 49 and 50 (master and slave disagree about the grid), 51, 52 (wiring), 53 to
56 (battery, from the wire), 57 to 61 (grid as the slave measures it), 92 (DRM0). When it cannot
serve the house it says which limit forbids it.
"""

RATED_W = 3000
PEAK_W = 3600
PEAK_S = 10             # in back-up, beyond RATED_W
MOST_MA = 60_000        # charging; what may be discharged the battery tells
LEAST_MV, MOST_MV = 42_000, 58_400      # of the battery
GRID_V = (180, 280)
GRID_HZ = 5             # either way from the nominal frequency
GRID_MEAN_V = 258       # of ten minutes (AS/NZS 4777.2)
GRID_MEAN_S = 600
SAME_V, SAME_HZ = 10, 0.5       # master and slave may differ by
LOW_SOC_PCT = 10
EFFICIENCY = 0.96
STALE_S = 5             # what the wire said holds so long
RETRY_S = 60            # after an overload
MODES = ("self-consumption", "time-of-use", "back-up")

# Demand-response modes: most that may be drawn from the grid, and fed into it or the loads, W
DRM_CONSUME_W = {0: 0, 1: 0, 2: RATED_W // 2, 3: RATED_W * 3 // 4, 4: RATED_W}
DRM_GENERATE_W = {0: 0, 5: 0, 6: RATED_W // 2, 7: RATED_W * 3 // 4, 8: RATED_W}

# Codes with which the inverter leaves the grid: voltage, frequency, loss, at either processor
LOST = frozenset((25, 26, 27, 28, 29, 30, 57, 58, 59, 60, 61))

CHARGE_HOURS = ((1.0, 5.0),)            # time-of-use
DISCHARGE_HOURS = ((6.5, 9.0), (17.0, 22.0))

# from hour, sun in W, house in W
DAY = ((0.0, 0, 300), (6.0, 0, 900), (7.0, 300, 1500), (9.0, 1200, 500), (11.0, 2600, 600),
       (14.0, 2200, 1200), (16.0, 900, 800), (17.5, 200, 1800), (19.5, 0, 2400), (22.0, 0, 500))


class Wire:
    """What the battery says, and when it said so."""

    def __init__(self, **known):
        self.cvl_mv = self.ccl_ma = self.dcl_ma = 0
        self.may_charge = self.may_discharge = False
        self.mv = self.ma = self.soc_pct = 0
        self.t_s = -1e9
        self.frames = 0
        for name in known:
            setattr(self, name, known[name])

    def take_can(self, ident, data, now_s):
        """A frame of the second: 351, 355, 356 or 35C; others mean nothing."""

        def word(at, signed=False):
            value = data[at] | data[at + 1] << 8
            return value - 0x10000 if signed and value & 0x8000 else value

        if ident == 0x351:
            self.cvl_mv, self.ccl_ma, self.dcl_ma = 100 * word(0), 100 * word(2), 100 * word(4)
            self.t_s = now_s
            self.frames += 1
        elif ident == 0x355:
            self.soc_pct = word(0)
        elif ident == 0x356:
            self.mv, self.ma = 10 * word(0, True), 100 * word(2, True)
        elif ident == 0x35C:
            self.may_charge, self.may_discharge = bool(data[0] & 0x80), bool(data[0] & 0x40)

    def take_pylontech(self, seen, limits, now_s):
        """INFO of the answers to 61 and 63; None: it did not come, or was not whole."""
        if seen is not None and len(seen) == 49:
            self.mv = int.from_bytes(seen[0:2], "big")
            self.ma = 10 * _signed(seen, 2)
            self.soc_pct = seen[4]
        if limits is not None and len(limits) == 9 and seen is not None:
            self.cvl_mv = int.from_bytes(limits[0:2], "big")
            self.ccl_ma = 100 * int.from_bytes(limits[4:6], "big")
            self.dcl_ma = 100 * abs(_signed(limits, 6))
            self.may_charge = bool(limits[8] & 0x80)
            self.may_discharge = bool(limits[8] & 0x40)
            self.t_s = now_s
            self.frames += 1


class World:
    """What surrounds the inverter: sun, house, grid, demand-response modes that are asserted.

    slave_v, slave_hz   what the slave processor measures of the grid, None: the same
    ground, crossed     the earth wire is there; line and neutral are exchanged
    """

    def __init__(self, pv_w=0, load_w=0, grid=True, drm=frozenset(), grid_v=230, grid_hz=50,
                 slave_v=None, slave_hz=None, ground=True, crossed=False):
        self.pv_w, self.load_w = pv_w, load_w
        self.grid, self.drm = grid, drm
        self.grid_v, self.grid_hz = grid_v, grid_hz
        self.slave_v, self.slave_hz = slave_v, slave_hz
        self.ground, self.crossed = ground, crossed


class Flow:
    """What the inverter does, in W: battery charging positive, grid drawing positive, AC output of
    the inverter positive. served: the house has its power; else forbidden says which limit
    forbids it. codes: of chapter 6."""

    def __init__(self):
        self.battery_w = self.grid_w = self.ac_w = 0
        self.served = True
        self.forbidden = ""
        self.codes = frozenset()



def _signed(data, at):
    """16 bits, the most significant first."""
    value = data[at] << 8 | data[at + 1]
    return value - 0x10000 if value & 0x8000 else value


def hour_in(hour, spans):
    return any(start <= hour < end for start, end in spans)


class AS1:
    """The inverter.

    mode            of MODES
    charge_hours, discharge_hours   of time-of-use: spans (from, to) in hours
    nominal_hz      50 or 60

    charge_ma, discharge_ma         what it does to the battery now; one of them is 0
    """

    def __init__(self, mode, charge_hours=CHARGE_HOURS, discharge_hours=DISCHARGE_HOURS,
                 nominal_hz=50):
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; there are {', '.join(MODES)}")
        for start, end in tuple(charge_hours) + tuple(discharge_hours):
            if not 0 <= start < end <= 24:
                raise ValueError(f"hours from {start} to {end}: a span lies within 0 to 24")
        if nominal_hz not in (50, 60):
            raise ValueError(f"nominal_hz is {nominal_hz}; there are 50 and 60")
        self.mode = mode
        self.charge_hours = tuple(charge_hours)
        self.discharge_hours = tuple(discharge_hours)
        self.nominal_hz = nominal_hz
        self.charge_ma = self.discharge_ma = 0.0
        self.flow = Flow()
        self._overload_s = 0.0
        self._off_s = 0.0           # rest of the pause after an overload
        self._volts = []            # (V, s) of the last ten minutes
        self._volt_s = self._span_s = 0.0
        self._heard = False         # the wire has said something at least once

    def step(self, hour, dt_s, world, wire, now_s):
        """Decide for the next *dt_s*; returns the Flow."""
        self.flow = Flow()
        fresh = now_s - wire.t_s <= STALE_S and wire.mv > 0
        self._heard = self._heard or fresh
        inside = LEAST_MV <= wire.mv <= MOST_MV
        charge_ma = min(wire.ccl_ma, MOST_MA) if fresh and inside and wire.may_charge else 0
        discharge_ma = wire.dcl_ma if fresh and inside and wire.may_discharge else 0
        volts = wire.mv / 1000 if fresh else 51.2
        most_in_w, most_out_w = charge_ma * volts / 1000, discharge_ma * volts / 1000
        codes = self._grid_codes(dt_s, world) | self._battery_codes(wire, fresh)
        if codes & LOST:
            battery_w = self._alone(dt_s, world, most_in_w, most_out_w)
            if not self.flow.served and not self.flow.forbidden:
                self.flow.forbidden = self._why(wire, fresh, inside, volts)
        else:
            self._overload_s = 0.0
            self._off_s = max(0.0, self._off_s - dt_s)
            battery_w = self._on_grid(hour, world, wire, most_in_w, most_out_w)
        if self._off_s:
            codes.add(21)
        elif codes & LOST and world.load_w > RATED_W:
            codes.add(31)
        self.flow.codes = frozenset(codes)
        self.flow.battery_w = battery_w
        self.charge_ma = min(charge_ma, max(0.0, battery_w) / volts * 1000)
        self.discharge_ma = min(discharge_ma, max(0.0, -battery_w) / volts * 1000)
        return self.flow

    def _grid_codes(self, dt_s, world):
        """Codes of the grid and its wires; those of LOST mean that it is not used."""
        codes = set()
        slave_v = world.grid_v if world.slave_v is None else world.slave_v
        slave_hz = world.grid_hz if world.slave_hz is None else world.slave_hz
        for v, hz, first, gone in ((world.grid_v, world.grid_hz, 25, 29),
                                   (slave_v, slave_hz, 57, 61)):
            if not world.grid:
                codes.add(gone)
                continue
            if v > GRID_V[1]:
                codes.add(first)
            elif v < GRID_V[0]:
                codes.add(first + 1)
            if hz > self.nominal_hz + GRID_HZ:
                codes.add(first + 2)
            elif hz < self.nominal_hz - GRID_HZ:
                codes.add(first + 3)
        if world.grid:
            if abs(world.grid_v - slave_v) > SAME_V:
                codes.add(49)
            if abs(world.grid_hz - slave_hz) > SAME_HZ:
                codes.add(50)
        if self._mean_v(world.grid_v if world.grid else 0.0, dt_s) > GRID_MEAN_V:
            codes.add(30)
        if not world.ground:
            codes.add(51)
        if world.crossed:
            codes.add(52)
        if 0 in world.drm:
            codes.add(92)
        return codes

    def _mean_v(self, volts, dt_s):
        """Mean of the grid's voltage over ten minutes; 0 before."""
        self._volts.append((volts, dt_s))
        self._volt_s += volts * dt_s
        self._span_s += dt_s
        while self._span_s - self._volts[0][1] >= GRID_MEAN_S:
            volts, dt_s = self._volts.pop(0)
            self._volt_s -= volts * dt_s
            self._span_s -= dt_s
        return self._volt_s / self._span_s if self._span_s >= GRID_MEAN_S else 0.0

    def _battery_codes(self, wire, fresh):
        if not fresh:
            return {53} if self._heard else set()
        return ({54} if wire.soc_pct < LOW_SOC_PCT else set()) | (
            {55} if wire.mv > MOST_MV else {56} if wire.mv < LEAST_MV else set())

    @staticmethod
    def _why(wire, fresh, inside, volts):
        """Which limit of the battery forbids to serve the house."""
        if not fresh:
            return f"nothing heard of the battery for {STALE_S} s"
        if not inside:
            return (f"battery at {volts:.1f} V is outside {LEAST_MV / 1000:.1f} to "
                    f"{MOST_MV / 1000:.1f} V")
        if not wire.may_discharge:
            return "the battery allows no discharge"
        return f"DCL {wire.dcl_ma / 1000:.1f} A at {volts:.1f} V"

    def _wish(self, hour, world, wire):
        """Battery power that the mode would like, charging positive."""
        over_w = world.pv_w - world.load_w / EFFICIENCY
        if self.mode == "self-consumption":
            return over_w
        if self.mode == "back-up":
            return RATED_W if wire.soc_pct < 100 else 0
        if hour_in(hour, self.charge_hours):
            return RATED_W
        return min(0, over_w) if hour_in(hour, self.discharge_hours) else max(0, over_w)

    def _on_grid(self, hour, world, wire, most_in_w, most_out_w):
        if 0 in world.drm:              # DRM0: standby, disconnected
            self.flow.grid_w = world.load_w
            return 0.0
        consume_w = min([RATED_W] + [DRM_CONSUME_W[d] for d in world.drm if d in DRM_CONSUME_W])
        generate_w = min([RATED_W] + [DRM_GENERATE_W[d] for d in world.drm
                                      if d in DRM_GENERATE_W])
        wish_w = max(-most_out_w, min(most_in_w, self._wish(hour, world, wire)))
        sun_w = world.pv_w
        ac_w = (sun_w - wish_w) * EFFICIENCY
        if ac_w > generate_w:           # the battery gives less first, then the sun
            wish_w = min(max(wish_w, sun_w - generate_w / EFFICIENCY), max(wish_w, 0))
            ac_w = min(generate_w, (sun_w - wish_w) * EFFICIENCY)
        elif ac_w < -consume_w:
            wish_w = sun_w + consume_w * EFFICIENCY
            ac_w = -consume_w
        self.flow.ac_w = ac_w
        self.flow.grid_w = world.load_w - ac_w
        return wish_w

    def _alone(self, dt_s, world, most_in_w, most_out_w):
        """Grid lost: the house is on the inverter, without a gap."""
        self._off_s = max(0.0, self._off_s - dt_s)
        self._overload_s = self._overload_s + dt_s if world.load_w > RATED_W else 0.0
        if world.load_w > PEAK_W or self._overload_s > PEAK_S:
            self._off_s = RETRY_S
        need_w = world.load_w / EFFICIENCY - world.pv_w
        if self._off_s or need_w > most_out_w:
            self.flow.served = False
            if self._off_s:
                self.flow.forbidden = f"overload: off for {self._off_s:.0f} s"
            return min(most_in_w, world.pv_w)
        self.flow.ac_w = world.load_w
        return -need_w if need_w > 0 else min(most_in_w, -need_w)


def ask(address, command):
    """A request of the Pylontech family without INFO."""
    body = b"20%02X46%02X0000" % (address, command)
    return b"~" + body + b"%04X\r" % (-sum(body) & 0xFFFF)


def info_of(answer):
    """INFO of an answer, None if it is not whole or tells of an error."""
    start = answer.rfind(b"~")
    frame = answer[start + 1:-1]
    if start < 0 or len(frame) < 16 or answer[-1:] != b"\r" or frame[6:8] != b"00":
        return None
    try:
        if (sum(frame[:-4]) + int(frame[-4:], 16)) & 0xFFFF:
            return None
        return bytes.fromhex(frame[12:-4].decode())
    except ValueError:
        return None
