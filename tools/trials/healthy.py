"""Healthy packs that must never be accused: any board, any cell, any load (MEA-06).

    python tools/trials/healthy.py [--seeds FIRST LAST] [--target host] [--until S] [--show]

Each seed is a board anywhere in its tolerances, cells, a temperature, and ten minutes of rest,
charge and load: steps, ramps, pulses from 5 ms to 5 s whose period is one of the scan's, a half,
a third or a multiple of it, and the ripple of an inverter. Nothing is wrong, so a fault is false,
and so is a protection that cells and temperatures do not explain, and a load without supply.
One line a seed that was accused, one in all at the end; 1 as status if there were any.

--script overloads: three minutes of loads and charges of up to 220 A instead, for 0.2 to 20 s, at
any state of charge and temperature, from before the start on. Protections are right there; a fault
is not: cells that relax after an overload are no witness against the current.
"""

import argparse
import math
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402

rooms.use(rooms.MODELS)

from rig import Rig     # noqa: E402

LASTS_MS = 600_000
SCAN_MS = 100
LOOK_MS = 2000          # from one look at the report to the next, at least
FIRST_SEED = 1000

# What a pack's cells and temperatures may explain: protection, from when on
MAY_OVER = ("PRO-01", "PRO-03")
MAY_UNDER = ("PRO-02", "PRO-04")
MAY_COLD = ("PRO-09",)
MAY_WAIT = ("PWR-03",)      # a load that pulses while it starts; for 2 s without supply only
HIGH_MV, LOW_MV, COLD_DC = 3520, 2800, 100


class Script:
    """Ten minutes of a seed: a generator of (ms to pass, fields to set before)."""

    lasts_ms = LASTS_MS
    protections = True          # those that cells and temperatures do not explain are false

    def __init__(self, seed):
        dice = self.dice = random.Random(seed)
        self.plant = {
            "soc": round(dice.choice((dice.uniform(0.05, 0.99), dice.uniform(0.15, 0.9))), 3),
            "temp_c": round(dice.uniform(-15, 45), 1),
            "capacity_ah": round(dice.uniform(50, 100), 1),
            "soh": round(dice.uniform(0.6, 1), 2),
            "imbalance_mv": round(dice.choice((0, dice.uniform(0, 60))), 1)}
        plant = self.plant
        warm = 1 / 298.15 - 1 / (plant["temp_c"] + 273.15)
        ohm = 5e-4 * 100 / plant["capacity_ah"] * (2.5 - 1.5 * plant["soh"]) * math.exp(
            -2500 * warm)
        soc = plant["soc"]
        ohm *= 2 if not 0.1 < soc < 0.95 else 1.2
        # what cells bear: half a volt down, and up what is left below the limit
        self.load_ma = int(min(100, (0.15 if soc < 0.15 else 0.30) / ohm / 1.6) * 1000)
        self.charge_ma = int(min(100, (0.03 if soc > 0.95 else 0.18) / ohm / 1.6) * 1000)
        if plant["temp_c"] < 11 or soc > 0.97:
            self.charge_ma = 0
        self.mah = plant["capacity_ah"] * plant["soh"] * 1000
        self.moved_mah = 0
        self.left_ms = self.lasts_ms

    def amps(self, most_ma):
        """Small, large and anything between; never so little that nobody notices."""
        dice = self.dice
        return min(most_ma, int(dice.choice((
            dice.uniform(100, 3000), dice.uniform(2000, 8000), dice.uniform(5000, 40_000),
            dice.uniform(10_000, 100_000), most_ma))))

    def on(self, current_ma):
        """Fields of a current, charging positive."""
        self.now_ma = current_ma
        if current_ma > 0:
            return {"load_ma": 0, "charger_mv": self.charger_mv, "charger_ma": current_ma}
        return {"load_ma": -current_ma, "charger_mv": None, "charger_ma": None}

    def one_way(self):
        """A current in a direction that the state of charge leaves open."""
        soc = self.plant["soc"] + self.moved_mah / self.mah
        charge = self.charge_ma and soc < 0.96 and (soc < 0.12 or self.dice.random() < 0.45)
        if not charge and soc < 0.06:
            return 0
        return self.amps(self.charge_ma) if charge else -self.amps(self.load_ma)

    def steps(self):
        dice = self.dice
        self.charger_mv = dice.choice((56_000, 57_000, 57_400))
        kinds = (self._step,) * 4 + (self._rest,) * 2 + (self._ramp, self._ripple) + (
            self._pulse,) * 4
        if dice.random() < 0.3:             # there before the start
            yield from self._pass(dice.uniform(3000, 20_000), self.on(self.one_way()))
        else:
            yield from self._pass(dice.uniform(2000, 12_000), {})
        while self.left_ms > 0:
            yield from dice.choice(kinds)()

    def _pass(self, ms, fields):
        ms = max(1, round(ms * 8) / 8)
        self.moved_mah += getattr(self, "now_ma", 0) * ms / 3.6e6
        self.left_ms -= ms
        yield ms, fields

    def _rest(self):
        yield from self._pass(self._long(), self.on(0))

    def _long(self):
        return self.dice.choice((self.dice.uniform(200, 2000), self.dice.uniform(1000, 20_000),
                                 self.dice.uniform(10_000, 60_000)))

    def _step(self):
        yield from self._pass(self._long(), self.on(self.one_way()))

    def _ramp(self):
        dice = self.dice
        last, each_ms, count = self.one_way(), dice.uniform(20, 400), dice.randrange(10, 80)
        first = dice.choice((0, last // 3))
        for k in range(count):
            yield from self._pass(each_ms, self.on(first + (last - first) * (k + 1) // count))

    def _ripple(self):
        """An inverter's: twice the mains, in steps of an eighth."""
        dice = self.dice
        mean = self.one_way() // 2
        period_ms = dice.choice((10, 1000 / 120))
        wave = [round(math.cos(math.pi * k / 4) * mean * 0.9) for k in range(8)]
        end_ms = self.left_ms - dice.uniform(2000, 8000)
        while self.left_ms > max(0, end_ms):
            for part in wave:
                yield from self._pass(period_ms / 8, self.on(mean + part))

    def _pulse(self):
        dice = self.dice
        high = self.one_way()
        low = dice.choice((0, 0, high // 10, high // 2, self.one_way()))
        kind = dice.randrange(4)
        if kind == 0:                       # in step with the scans, or nearly
            ratio = dice.choice((0.5, 1 / 3, 0.25, 1, 1.5, 2, 3, 4, 8, 16))
            period = SCAN_MS * ratio * dice.choice((1, 1, dice.uniform(0.98, 1.02)))
        elif kind == 1:                     # about 190 ms and its parts
            period = dice.uniform(186, 194) / dice.choice((0.25, 0.5, 1, 1, 1, 2, 3, 4))
        else:
            period = math.exp(dice.uniform(math.log(20), math.log(10_000)))
        duty = dice.choice((0.5, dice.uniform(0.05, 0.95)))
        end_ms = self.left_ms - max(3 * period, dice.uniform(4000, 30_000))
        while self.left_ms > max(0, end_ms):
            yield from self._pass(period * duty, self.on(high))
            yield from self._pass(period * (1 - duty), self.on(low))


class Overloads(Script):
    """Three minutes of currents that protections are for: only faults are false here."""

    lasts_ms = 180_000
    protections = False

    def __init__(self, seed):
        dice = self.dice = random.Random(seed)
        self.plant = {
            "soc": round(dice.choice((dice.uniform(0.003, 0.06), dice.uniform(0.003, 0.06),
                                      dice.uniform(0.05, 0.95), dice.uniform(0.95, 0.999))), 4),
            "temp_c": round(dice.uniform(-22, 50), 1),
            "capacity_ah": round(dice.uniform(50, 100), 1),
            "soh": round(dice.uniform(0.6, 1), 2),
            "imbalance_mv": round(dice.choice((0, dice.uniform(0, 60))), 1)}
        self.moved_mah = 0
        self.left_ms = self.lasts_ms

    def steps(self):
        dice = self.dice
        self.charger_mv = dice.choice((56_000, 57_400, 58_400))
        if dice.random() < 0.7:
            yield from self._pass(dice.uniform(200, 9000), {})
        while self.left_ms > 0:
            most_ma = dice.choice((20_000, 100_000, 220_000))
            current_ma = int(dice.uniform(0.02, 1) * most_ma)
            if dice.random() < 0.25:
                current_ma = -current_ma // 2
            yield from self._pass(math.exp(dice.uniform(math.log(200), math.log(20_000))),
                                  self.on(-current_ma))
            yield from self._pass(math.exp(dice.uniform(math.log(200), math.log(40_000))),
                                  self.on(0))


SCRIPTS = {"days": Script, "overloads": Overloads}


def accusations(report, truth, seen, protections=True):
    """Faults and protections of *report* that nothing in *truth* explains."""
    seen[0] = max(seen[0], *truth["cell_mv"])
    seen[1] = min(seen[1], *truth["cell_mv"])
    found = list(report["faults"])
    for item in report["protections"] if protections else ():
        if not (item in MAY_OVER and seen[0] > HIGH_MV or item in MAY_UNDER and seen[1] < LOW_MV
                or item in MAY_WAIT or item in MAY_COLD and min(truth["temps_dc"][:4]) < COLD_DC):
            found.append(item)
    return found


def try_seed(rig, seed, target="host", lasts_ms=LASTS_MS, show=None, spread=1, kind="days"):
    """None, or (seconds, what was said) of a healthy pack that was accused."""
    script = SCRIPTS[kind](seed)
    steps = script.steps()
    rig.open(board=target, plant=script.plant, seed=seed, spread=spread)
    if show:
        show(script.plant)
    seen = [0, 9999]
    looked_ms = t_ms = 0
    for ms, fields in steps:
        rig.set(**fields)
        if show and ms > 400:
            show("%9.1f  %8.1f ms  %s" % (t_ms, ms, fields))
        while ms > 0:
            part = min(ms, LOOK_MS)
            t_ms = rig.run(part)["t_ms"]
            ms -= part
            if t_ms - looked_ms >= LOOK_MS:
                looked_ms = t_ms
                now = rig.get()
                found = accusations(now["report"], now["truth"], seen, script.protections)
                harm = now["truth"]["harm"] if script.protections else []
                if found or harm:
                    return t_ms / 1000, found, harm, now["report"]["current_ma"]
        if t_ms >= lasts_ms:
            break
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs=2, type=int, default=(FIRST_SEED, FIRST_SEED + 19))
    parser.add_argument("--list", nargs="*", type=int, help="these seeds instead")
    parser.add_argument("--script", choices=sorted(SCRIPTS), default="days")
    parser.add_argument("--target", default="host")
    parser.add_argument("--until", type=float, default=LASTS_MS / 1000, metavar="S")
    parser.add_argument("--show", action="store_true", help="what is set, as it goes")
    options = parser.parse_args()
    false = 0
    seeds = options.list or range(options.seeds[0], options.seeds[1] + 1)
    start = time.process_time()
    for seed in seeds:
        with Rig() as rig:
            try:
                found = try_seed(rig, seed, options.target, options.until * 1000,
                                 print if options.show else None, kind=options.script)
            except Exception as error:      # noqa: BLE001
                found = (repr(error),)
        if found:
            false += 1
            print(seed, *found, SCRIPTS[options.script](seed).plant, flush=True)
    print("%d seeds, %d accused, %.0f s" % (len(seeds), false, time.process_time() - start))
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main())
