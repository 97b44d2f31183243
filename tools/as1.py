#!/usr/bin/env python3
"""A hybrid inverter in the manner of the AS1, as a peer of a pack or a fleet on the bench.

It knows of the battery only what is on the wire: it asks over RS485 (Pylontech 61 and 63) or
listens on CAN (351, 355, 356, 35C), and shares no code with the firmware. What it decides it does
to the bench as any charger and load would.

    .venv/bin/python tools/as1.py [--mode MODE] [--hours 24] [--hour-s 3600] [--wire can]

plays a day and prints a line an hour. Source: AS1 user manual, 2.3, 4.5, chapters 5 and 6.

What it decides, and the codes it raises: testbed/as1_model.py.
"""

import argparse
import os
import sys
from dataclasses import dataclass, field

import rooms  # noqa: F401 - puts the rooms on the path
from as1_model import (
    AS1,
    CHARGE_HOURS,
    DAY,
    DISCHARGE_HOURS,
    MODES,
    Wire,
    World,
    ask,
    hour_in,
    info_of,
)


# ---- the wires ------------------------------------------------------------------------------


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
