#!/usr/bin/env python3
"""A hybrid inverter in the manner of the AS1, as a peer of a pack or a fleet on the bench.

It knows of the battery only what is on the wire: it asks over RS485 (Pylontech 61 and 63) or
listens on CAN (351, 355, 356, 35C), and shares no code with the firmware. What it decides it does
to the bench as any charger and load would.

    .venv/bin/python tools/as1.py [--mode MODE] [--hours 24] [--hour-s 3600] [--wire can]

plays a day and prints a line an hour. Source: AS1 user manual, 2.3, 4.5, chapters 5 and 6.

It raises the codes of chapter 6 that it can have: 21 and 31 (overload), 25 to 30 (grid as the
master measures it), 49 and 50 (master and slave disagree about the grid), 51, 52 (wiring), 53 to
56 (battery, from the wire), 57 to 61 (grid as the slave measures it), 92 (DRM0). When it cannot
serve the house it says which limit forbids it.
"""

import argparse
import os
import sys
from collections import deque
from dataclasses import dataclass, field

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


@dataclass
class Wire:
    """What the battery says, and when it said so."""

    cvl_mv: int = 0
    ccl_ma: int = 0
    dcl_ma: int = 0
    may_charge: bool = False
    may_discharge: bool = False
    mv: int = 0
    ma: int = 0
    soc_pct: int = 0
    t_s: float = -1e9
    frames: int = 0

    def take_can(self, ident, data, now_s):
        """A frame of the second: 351, 355, 356 or 35C; others mean nothing."""

        def word(at, signed=False):
            return int.from_bytes(data[at:at + 2], "little", signed=signed)

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
            self.ma = 10 * int.from_bytes(seen[2:4], "big", signed=True)
            self.soc_pct = seen[4]
        if limits is not None and len(limits) == 9 and seen is not None:
            self.cvl_mv = int.from_bytes(limits[0:2], "big")
            self.ccl_ma = 100 * int.from_bytes(limits[4:6], "big")
            self.dcl_ma = 100 * abs(int.from_bytes(limits[6:8], "big", signed=True))
            self.may_charge = bool(limits[8] & 0x80)
            self.may_discharge = bool(limits[8] & 0x40)
            self.t_s = now_s
            self.frames += 1


@dataclass
class World:
    """What surrounds the inverter: sun, house, grid, demand-response modes that are asserted.

    slave_v, slave_hz   what the slave processor measures of the grid, None: the same
    ground, crossed     the earth wire is there; line and neutral are exchanged
    """

    pv_w: float = 0
    load_w: float = 0
    grid: bool = True
    drm: frozenset = frozenset()
    grid_v: float = 230
    grid_hz: float = 50
    slave_v: float | None = None
    slave_hz: float | None = None
    ground: bool = True
    crossed: bool = False


@dataclass
class Flow:
    """What the inverter does, in W: battery charging positive, grid drawing positive, AC output of
    the inverter positive. served: the house has its power; else forbidden says which limit
    forbids it. codes: of chapter 6."""

    battery_w: float = 0
    grid_w: float = 0
    ac_w: float = 0
    served: bool = True
    forbidden: str = ""
    codes: frozenset = frozenset()


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
        for start, end in (*charge_hours, *discharge_hours):
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
        self._volts = deque()       # (V, s) of the last ten minutes
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
            volts, dt_s = self._volts.popleft()
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


# ---- the wires ------------------------------------------------------------------------------


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


class Rs485:
    """Asks the master for 61 and 63 each second."""

    _ANSWER_MS = 300

    def __init__(self, rig, path):
        self.rig = rig
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.wire = Wire()

    def _exchange(self, command):
        os.write(self._fd, ask(0x02, command))
        answer = b""
        for _ in range(0, self._ANSWER_MS, 20):
            self.rig.run(20)
            try:
                answer += os.read(self._fd, 4096)
            except BlockingIOError:
                pass
            if answer.endswith(b"\r"):
                break
        return info_of(answer)

    def poll(self, now_s):
        """Bring wire up to date; time passes on the bench meanwhile."""
        seen, limits = self._exchange(0x61), self._exchange(0x63)
        self.wire.take_pylontech(seen, limits, now_s)

    def close(self):
        os.close(self._fd)


class Can:
    """Listens to the frames of each second and sends the keep-alive."""

    def __init__(self, rig):
        self.rig = rig
        self.wire = Wire()
        self._since_ms = 0

    def poll(self, now_s):
        """Bring wire up to date."""
        frames = self.rig.can(since_ms=self._since_ms, send=[[0x305, "00" * 8]])["frames"]
        for t_ms, ident, text in frames:
            self._since_ms = t_ms + 0.001
            self.wire.take_can(ident, bytes.fromhex(text), now_s)

    def close(self):
        pass


# ---- a day ----------------------------------------------------------------------------------


@dataclass
class Day:
    """A day of an inverter on the bench.

    rig     an open Rig: one pack, or a fleet
    link    Rs485 or Can
    hour_s  simulated seconds that an hour of the day lasts; currents are not compressed
    outages spans of hours without grid; drm: ((from, to, {modes}), ...); extra_w: ((from, to, W),
            ...) of load
    """

    rig: object
    link: object
    inverter: AS1
    hour_s: float = 60
    outages: tuple = ()
    drm: tuple = ()
    extra_w: tuple = ()
    rows: list = field(default_factory=list)        # (hour, World, Flow, Wire as a dict)
    now_s: float = 0.0                              # since the first run()

    def world(self, hour):
        """What surrounds the inverter at *hour*."""
        sun_w, house_w = next(row for row in reversed(DAY) if row[0] <= hour)[1:]
        house_w += sum(watts for start, end, watts in self.extra_w if start <= hour < end)
        modes = frozenset().union(*(m for start, end, m in self.drm if start <= hour < end))
        return World(sun_w, house_w, not hour_in(hour, self.outages), modes)

    def run(self, start=0.0, end=24.0, each=None):
        """Play from hour *start* to *end*; each(row) after every second."""
        elapsed_s = 0.0
        base_ms = self.rig.run(0)["t_ms"]
        while start + elapsed_s / self.hour_s < end:
            hour = start + elapsed_s / self.hour_s
            self.link.poll(self.now_s)
            world = self.world(hour)
            flow = self.inverter.step(hour, 1.0, world, self.link.wire, self.now_s)
            self.apply()
            self.rig.run(max(0, base_ms + 1000 * (elapsed_s + 1) - self.rig.run(0)["t_ms"]))
            elapsed_s += 1
            self.now_s += 1
            row = (hour, world, flow, dict(vars(self.link.wire)))
            self.rows.append(row)
            if each is not None:
                each(row)

    def apply(self):
        """Do to the bench what the inverter has decided."""
        inverter = self.inverter
        if inverter.charge_ma > 50:
            self.rig.set(charger_mv=self.link.wire.cvl_mv, charger_ma=round(inverter.charge_ma),
                         load_ma=None)
        else:
            self.rig.set(charger_mv=None, charger_ma=None,
                         load_ma=round(inverter.discharge_ma) or None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=MODES, default=MODES[0])
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--hour-s", type=float, default=3600, help="seconds an hour lasts")
    parser.add_argument("--wire", choices=("can", "rs485"), default="can")
    parser.add_argument("--modules", type=int, default=1)
    parser.add_argument("--soc", type=float, default=0.4)
    for name, hours in (("charge", CHARGE_HOURS), ("discharge", DISCHARGE_HOURS)):
        parser.add_argument(f"--{name}", type=float, nargs=2, action="append", default=[],
                            metavar=("FROM", "TO"),
                            help=f"time-of-use: hours to {name} (default {hours})")
    parser.add_argument("--outage", type=float, nargs=2, action="append", default=[],
                        metavar=("FROM", "TO"), help="hours without grid")
    given = parser.parse_args()
    from rig import Rig
    with Rig() as rig:
        plant = {"soc": given.soc}
        if given.modules > 1:
            ports = rig.fleet(modules=given.modules, plant=plant,
                              profile="b1-5.1-48")["modules"][0]["ports"]
        else:
            ports = rig.open("host", profile="b1-5.1-48", plant=plant)["ports"]
        rig.run(10_000)
        link = Can(rig) if given.wire == "can" else Rs485(rig, ports["pcs"])
        inverter = AS1(given.mode, given.charge or CHARGE_HOURS,
                       given.discharge or DISCHARGE_HOURS)
        day = Day(rig, link, inverter, given.hour_s, tuple(map(tuple, given.outage)))

        def show(row):
            if len(day.rows) % int(given.hour_s) == 1:
                hour, world, flow, wire = row
                print(f"{hour:5.2f} h  sun {world.pv_w:5.0f} W  house {world.load_w:5.0f} W  "
                      f"battery {flow.battery_w:6.0f} W  grid {flow.grid_w:6.0f} W  "
                      f"SOC {wire['soc_pct']:3d} %  CCL {wire['ccl_ma'] / 1000:5.1f} A  "
                      f"DCL {wire['dcl_ma'] / 1000:5.1f} A"
                      + "".join(f"  code {code:02d}" for code in sorted(flow.codes))
                      + f"  {flow.forbidden}".rstrip(), flush=True)

        day.run(0, given.hours, show)
        link.close()
        report = rig.module(0).get()["report"] if given.modules > 1 else rig.get()["report"]
        print("protections:", report["protections"], "faults:", report["faults"],
              "AS1 codes:", report["as1_codes"])
        return 1 if report["protections"] or report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
