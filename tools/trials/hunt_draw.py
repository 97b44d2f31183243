"""What an episode of `make hunt` is, and how one is drawn.

An episode is plain data that can be kept, shrunk and fed to the rig:

    {"open": fields of the rig's open, or "fleet": fields of its fleet,
     "steps": [[command, ms], ...],         a command of the rig, then so much simulated time
     "faults": [kinds]}                     what the bench was told to break

Nothing here knows a threshold of the firmware. What is drawn are the conditions that such a pack
may meet: any state of charge, any weather, chargers and loads from idle to far beyond the data
sheet, an inverter that talks, hands on buttons, supplies that fail, and parts that break.
"""

import random

TASKS = ("control", "pcs", "can", "debug", "parallel", "panel", "storage", "supervisor",
         "self_tests")
PROFILES = ("am5000", "am5000", "am5000", "b1-5.1-48")
BOOT_MS = 6_000             # the longest start, before the first thing happens


def log_uniform(rnd, low, high):
    return low * (high / low) ** rnd.random()


def either_way(rnd, low, high):
    return rnd.choice((-1, 1)) * log_uniform(rnd, low, high)


def _some(rnd, names):
    return rnd.sample(names, rnd.randint(1, len(names)))


# kind: (weight, value drawn). A value that null cannot take away again is in LASTING.
FAULTS = {
    "afe_silent": (1, lambda r: True),
    "afe_crc": (1, lambda r: round(r.choice((r.uniform(0.01, 0.3), r.uniform(0.3, 1))), 3)),
    "afe_stuck_low": (1, lambda r: True),
    "afe_stuck_high": (1, lambda r: True),
    "afe_brownout": (1, lambda r: True),
    "afe_config_lost": (1, lambda r: True),
    "afe_frozen": (1, lambda r: True),
    "afe_frozen_part": (2, lambda r: _some(r, ["cells", "stack", "terminals", "current",
                                               "temps"])),
    "afe_bothoff": (0.4, lambda r: r.choice(("inverted", "dead"))),
    "afe_late_ms": (1, lambda r: round(log_uniform(r, 0.5, 100), 1)),
    "afe_latency_us": (1, lambda r: int(log_uniform(r, 20, 5_000))),
    "afe_reference": (1, lambda r: round(r.uniform(0.97, 1.03), 4)),
    "cell_gain": (1, lambda r: {str(r.randrange(16)): round(r.uniform(0.9, 1.1), 4)}),
    "stack_gain": (0.7, lambda r: round(r.uniform(0.8, 1.2), 3)),
    "pack_gain": (0.7, lambda r: round(r.uniform(0.8, 1.2), 3)),
    "ld_gain": (0.5, lambda r: round(r.uniform(0.8, 1.2), 3)),
    "open_wire": (1, lambda r: r.randint(0, 16)),
    "swapped_cells": (1, lambda r: r.sample(range(16), 2)),
    "ntc_open": (1, lambda r: r.randint(0, 5)),
    "ntc_short": (1, lambda r: r.randint(0, 5)),
    "ntc_stuck": (1, lambda r: {str(r.randint(0, 5)): r.randint(-200, 600)}),
    "shunt_gain": (1.5, lambda r: round(r.uniform(0, 2.5), 2)),
    "shunt_offset_ma": (1.5, lambda r: int(either_way(r, 50, 8_000))),
    "shunt_sign": (1.5, lambda r: -1),
    "shunt_stuck_ma": (1.5, lambda r: int(either_way(r, 1, 120_000))),
    "fet_weld_chg": (1, lambda r: True),
    "fet_weld_dsg": (1, lambda r: True),
    "fet_open_chg": (1, lambda r: True),
    "fet_open_dsg": (1, lambda r: True),
    "terminal_uf": (1, lambda r: int(log_uniform(r, 10, 40_000))),
    "terminal_kohm": (1, lambda r: round(log_uniform(r, 2, 1_000), 1)),
    "supply_dip_ms": (1.5, lambda r: int(log_uniform(r, 1, 3_000))),
    "flash_erase_ms": (0.7, lambda r: r.randint(40, 400)),
    "flash_full": (0.7, lambda r: True),
    "flash_bad_block": (0.7, lambda r: r.randint(0, 7)),
    "rtc_dead": (0.5, lambda r: True),
    "rtc_jump_s": (0.5, lambda r: int(either_way(r, 10, 3e8))),
    "can_bus_off": (0.2, lambda r: True),
    "can_no_ack": (0.2, lambda r: True),
    "can_overflow": (0.2, lambda r: True),
    "rs485_noise": (0.2, lambda r: 0.1),
    "rs485_babble": (0.2, lambda r: 0.5),
    "task_hang": (1, lambda r: r.choice(TASKS)),
    "task_raise": (1, lambda r: r.choice(TASKS)),
    "task_storm": (0.7, lambda r: r.choice(TASKS)),
    "mcu_frozen": (0.7, lambda r: True),
    "mcu_clock_stopped": (0.5, lambda r: True),
    "heap_full": (0.5, lambda r: True),
}
LASTING = ("task_hang", "task_raise", "task_storm", "heap_full", "rtc_jump_s", "afe_brownout",
           "afe_config_lost", "supply_dip_ms")


def charger(rnd, low_mv=48e3, low_ma=500):
    return {"charger_mv": int(rnd.uniform(low_mv, 60e3)),
            "charger_ma": int(log_uniform(rnd, low_ma, 120_000))}


def load(rnd, low_ma=100, high_ma=200_000):
    return {"load_ma": int(log_uniform(rnd, low_ma, high_ma))}


def _plant(rnd):
    """A pack of any kind. Small ones get somewhere within minutes."""
    return {"soc": round(rnd.choice((rnd.uniform(0.93, 1), rnd.uniform(0, 0.08), rnd.random())),
                         3),
            "temp_c": round(rnd.choice((25, rnd.uniform(-25, 60), rnd.uniform(-4, 14),
                                        rnd.uniform(44, 62))), 1),
            "capacity_ah": round(log_uniform(rnd, 5, 100), 1),
            "imbalance_mv": rnd.choice((0, rnd.randint(0, 150))),
            "soh": round(rnd.uniform(0.6, 1.0), 2)}


def _full(rnd, plant):
    plant.update(soc=round(rnd.uniform(0.95, 1), 3), capacity_ah=round(rnd.uniform(5, 30), 1))
    return charger(rnd, 54.4e3)


def _empty(rnd, plant):
    plant.update(soc=round(rnd.uniform(0, 0.06), 3), capacity_ah=round(rnd.uniform(5, 30), 1))
    return load(rnd, 300, 100_000)


def _deep(rnd, plant):
    plant.update(soc=round(rnd.uniform(-0.03, 0.01), 3), capacity_ah=round(rnd.uniform(5, 40), 1))
    if plant["soc"] < 0:
        plant["soc"] = 0.0
    return charger(rnd, 40e3)


def _cold(rnd, plant):
    plant["temp_c"] = round(rnd.uniform(-25, 8), 1)
    return charger(rnd, 54e3)


def _hot(rnd, plant):
    plant["temp_c"] = round(rnd.uniform(50, 62), 1)
    return rnd.choice((charger(rnd, 54e3), load(rnd, 3e3, 100e3)))


def _current(rnd, plant):
    return rnd.choice((charger(rnd, 58e3, 80e3), load(rnd, 80e3, 250e3)))


def _nothing(rnd, plant):
    return {}


THEMES = (_full, _empty, _deep, _cold, _hot, _current, _nothing)

# what may happen: (weight, ...); each gives steps of [command, ms]
ACTIONS = {
    "charger": 20, "charger_off": 5, "load": 20, "load_off": 6, "pulses": 4, "short": 4,
    "reverse": 2, "fault": 25, "fault_off": 4, "power": 4, "dip": 3, "reset": 3, "rst": 4,
    "rocker": 3, "address": 1.5, "param": 5, "clock": 1.5, "temps": 6, "ambient": 2,
    "inverter": 4, "terminals": 2, "wait": 3,
}


class _Draw:
    """One episode in the making.

    rnd       of the episode's number alone
    most      faults that may still come
    registry  {name: (lowest, highest, default)} of the parameters
    """

    def __init__(self, rnd, most, registry):
        self.rnd = rnd
        self.left = most
        self.registry = registry
        self.steps = []
        self.faults = []
        self.on = []
        self.count = rnd.randint(3, 12)
        self.total_ms = rnd.choice((1, 1, 2, 2, 4, 8)) * 45_000

    def wait_ms(self):
        rnd = self.rnd
        return int(min(log_uniform(rnd, 300, rnd.choice((20_000, 90_000, 300_000))),
                       self.total_ms * 2 / self.count))

    def put(self, ms=None, **fields):
        self.do({"cmd": "set", **fields}, ms)

    def do(self, command, ms=None):
        self.steps.append([command, self.wait_ms() if ms is None else ms])

    def fault(self):
        if not self.left:
            return
        self.left -= 1
        names = [kind for kind in FAULTS if kind not in self.faults]
        kind = self.rnd.choices(names, [FAULTS[name][0] for name in names])[0]
        self.faults.append(kind)
        self.on.append(kind)
        self.put(fault={kind: FAULTS[kind][1](self.rnd)})

    def fault_off(self):
        if self.on:
            kind = self.on.pop(self.rnd.randrange(len(self.on)))
            if kind not in LASTING:
                self.put(fault={kind: None})

    def pulses(self):
        """A load or a charger that comes and goes, at any pace."""
        rnd = self.rnd
        on, off = rnd.choice(((load(rnd), {"load_ma": None}),
                              (charger(rnd, 52e3), {"charger_mv": None, "charger_ma": None})))
        on_ms, off_ms = int(log_uniform(rnd, 20, 5_000)), int(log_uniform(rnd, 20, 20_000))
        for _ in range(rnd.randint(3, 20)):
            self.put(on_ms, **on)
            self.put(off_ms, **off)

    def param(self):
        rnd = self.rnd
        names = [name for name in self.registry if not name.endswith("_baud")
                 and name not in ("bench_enable", "can_variant", "pcs_protocol")]
        name = rnd.choice(names)
        low, high, default = self.registry[name]
        value = rnd.choice((low, high, rnd.randint(low, high),
                            round(default * (1 + rnd.uniform(-0.05, 0.05)))))
        self.do({"cmd": "param", "name": name, "value": max(low, min(high, value))})

    def happen(self, what):
        """One of ACTIONS."""
        rnd = self.rnd
        if what == "charger":
            self.put(**charger(rnd, rnd.choice((44e3, 48e3, 55e3))))
        elif what == "charger_off":
            self.put(charger_mv=None, charger_ma=None)
        elif what == "load":
            self.put(**load(rnd))
        elif what == "load_off":
            self.put(load_ma=None)
        elif what == "short":
            for _ in range(rnd.choice((1, 1, 3, 8))):
                self.put(int(log_uniform(rnd, 50, 3_000)), load="short")
                self.put(int(log_uniform(rnd, 500, 30_000)), load="open")
        elif what == "reverse":
            self.put(int(log_uniform(rnd, 100, 20_000)), reverse=True)
            self.put(reverse=False)
        elif what == "power":
            self.do({"cmd": "power", "on": False}, int(log_uniform(rnd, 20, 30_000)))
            self.do({"cmd": "power", "on": True})
        elif what == "dip":
            for _ in range(rnd.randint(1, 6)):
                self.put(int(log_uniform(rnd, 200, 10_000)),
                         fault={"supply_dip_ms": int(log_uniform(rnd, 1, 500))})
        elif what == "reset":
            for _ in range(rnd.choice((1, 1, 1, 5))):
                self.do({"cmd": "reset"}, int(log_uniform(rnd, 500, 20_000)))
        elif what == "rst":
            self.put(int(rnd.uniform(500, 12_000)), rst=1)
            self.put(rst=0)
        elif what == "rocker":
            self.put(int(log_uniform(rnd, 200, 30_000)), rocker=0)
            self.put(rocker=1)
        elif what == "address":
            self.put(dip=rnd.choice((0, 0, 1, 2, 3)))
        elif what == "clock":
            self.put(clock="%d-%02d-%02dT%02d:00:00" % (
                rnd.randint(2020, 2050), rnd.randint(1, 12), rnd.randint(1, 28),
                rnd.randint(0, 23)))
        elif what == "temps":
            middle = rnd.uniform(-25, 66)
            self.put(cell_temp_dc=[int(10 * (middle + rnd.uniform(-3, 3))) for _ in range(4)])
        elif what == "ambient":
            self.put(ambient_dc=rnd.randint(-300, 700))
        elif what == "inverter":
            self.put(inverter=rnd.choice(("can", "pcs", None)))
        elif what == "terminals":
            self.put(fault={"terminal_uf": int(log_uniform(rnd, 10, 40_000))})
        elif what == "wait":
            self.put()
        else:
            getattr(self, what)()


def draw(seed, number, faults, registry):
    """Episode *number* of *seed* with at most *faults* faults of the bench."""
    rnd = random.Random(f"{seed} {faults} {number}")
    if rnd.random() < 0.08:
        return _draw_fleet(rnd, faults, registry)
    plant = _plant(rnd)
    begin = rnd.choice(THEMES)(rnd, plant)
    episode = {"open": {"profile": rnd.choice(PROFILES), "plant": plant,
                        "seed": rnd.randint(1, 1 << 20)}}
    if rnd.random() < 0.08:
        episode["open"]["dip"] = rnd.choice((1, 2))
    made = _Draw(rnd, faults, registry)
    made.put(rnd.choice((0, 500, BOOT_MS)))
    if begin:
        made.put(**begin)
    if faults:
        at = rnd.randrange(made.count)
    for k in range(made.count):
        what = rnd.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        made.happen("fault" if faults and k == at else what)
    return {**episode, "steps": made.steps, "faults": made.faults}


def _draw_fleet(rnd, faults, registry):
    """Two or three packs on one bar, each with a charge and an address of its own."""
    modules = rnd.choice((2, 2, 3))
    dips = rnd.choice((list(range(1, modules + 1)), [0] * modules, [1] * modules,
                       list(range(2, modules + 2))))
    plants = [_plant(rnd) for _ in range(modules)]
    for plant in plants:
        plant["temp_c"] = plants[0]["temp_c"]
    episode = {"fleet": {"modules": modules, "plant": plants, "dip": dips,
                         "seed": rnd.randint(1, 1 << 20)}}
    made = _Draw(rnd, faults, registry)
    made.total_ms = min(made.total_ms, 120_000)
    made.put(BOOT_MS)
    for k in range(made.count):
        what = rnd.choice(("charger", "load", "load_off", "charger_off", "short", "fault",
                           "power", "reset", "address", "temps", "wait"))
        if k == 0 and faults:
            what = "fault"
        before = len(made.steps)
        made.happen(what)
        if what not in ("charger", "load", "load_off", "charger_off", "short", "wait"):
            module = rnd.randrange(modules)
            for step in made.steps[before:]:
                step[0]["module"] = module
    return {**episode, "steps": made.steps, "faults": made.faults}
