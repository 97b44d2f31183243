"""The day that `make run` plays for the pack, and what keys change in it.

The clock of the day is compressed, the charge is not: an hour of it lasts HOUR_S simulated
seconds, and currents flow for as long as they would in that time.
"""

from dataclasses import dataclass, field, replace

HOUR_S = 30
START_H = 8.5
CHARGER_MV = 56_000
HIGHEST_MA = 100_000            # of charger and of load, by key
STEP_MA = 5_000
STEP_DC = 100
RAISED_MV = (3_530, 3_700)      # a press each: beyond the alarm, beyond the protection
LOWERED_MV = (2_760, 2_600)
PACK_V = 53                     # what turns the day's currents into an inverter's watts
DRM_MODES = (None, 0, 1, 2, 3, 5, 6, 7)
WIRES = 17                      # sense wire n is the negative end of cell n; 16 is the top

PLANT = {"soc": 0.655, "imbalance_mv": 4}

# from hour, sun in mA, house in mA, what
DAY = (
    (0.0, 0, 5_000, "night"),
    (6.0, 0, 11_000, "kettle on"),
    (7.0, 6_000, 14_000, "breakfast"),
    (8.0, 14_000, 8_000, "sun rises"),
    (8.5, 24_000, 4_000, "morning sun"),
    (10.0, 34_000, 6_000, "morning sun"),
    (12.0, 46_000, 8_000, "noon"),
    (13.5, 46_000, 16_000, "oven on"),
    (15.0, 30_000, 6_000, "afternoon"),
    (16.5, 20_000, 18_000, "clouds"),
    (17.5, 4_000, 26_000, "cooking"),
    (19.5, 0, 34_000, "evening"),
    (22.0, 0, 12_000, "lights out"),
)


def hour_at(t_ms):
    """Hour of the day at *t_ms* of the run, 0 to 24."""
    return (START_H + t_ms / 1000 / HOUR_S) % 24


def segment_at(t_ms):
    """The row of DAY that holds at *t_ms*."""
    hour = hour_at(t_ms)
    return [row for row in DAY if row[0] <= hour][-1]


@dataclass(frozen=True)
class Controls:
    """What keys have changed; a press makes a new one, so a refused press is easily undone.

    load_ma, charger_ma   on top of the day's
    cells                 {cell: mV it is held at}
    wire                  None | number of the sense wire that is cut
    temp_dc               None: as the cells are | where all four thermistors are held
    inverter              an AS1-like inverter on CAN moves the current, by what it is told there;
                          False: charger and load do as the day has it
    grid, drm             of that inverter: grid there; None or its demand-response mode
    rocker, rst, dip      what is on the case; reverse, short, dead: what is wrong with it
    """

    cell: int = 3
    load_ma: int = 0
    charger_ma: int = 0
    cells: dict = field(default_factory=dict)
    wire: int | None = None
    temp_dc: int | None = None
    inverter: bool = False
    grid: bool = True
    drm: int | None = None
    rocker: bool = True
    rst: bool = False
    dip: int = 0
    reverse: bool = False
    short: bool = False
    dead: bool = False

    def currents(self, t_ms):
        """(charger, load) in mA at *t_ms*."""
        _, sun_ma, house_ma, _ = segment_at(t_ms)
        return (max(0, min(HIGHEST_MA, sun_ma + self.charger_ma)),
                max(0, min(HIGHEST_MA, house_ma + self.load_ma)))

    def clock(self, t_ms):
        """Time of the day, and what is going on then."""
        hour = hour_at(t_ms)
        return f"{int(hour):02d}:{int(hour * 60) % 60:02d}", segment_at(t_ms)[3]

    def flow(self, t_ms):
        """What is at the terminals, in words."""
        charger_ma, load_ma = self.currents(t_ms)
        if not self.inverter:
            return f"charger {charger_ma / 1000:g} A  load {load_ma / 1000:g} A"
        return f"sun {charger_ma * PACK_V / 1e6:.1f} kW  house {load_ma * PACK_V / 1e6:.1f} kW"

    def help(self):
        """(key as shown, what it does in a word or two), for the line of keys."""
        return HELP

    def broken(self):
        """What keys have done, in words."""
        said = [f"cell {cell} held at {mv} mV" for cell, mv in self.cells.items()]
        said += [text for is_so, text in (
            (self.wire is not None, f"sense wire {self.wire} cut"),
            (self.temp_dc is not None, f"cells held at {(self.temp_dc or 0) / 10:g} °C"),
            (not self.grid, "no grid"), (self.drm is not None, f"DRM{self.drm}"),
            (not self.rocker, "rocker off"), (self.rst, "RST held"), (self.dip, f"DIP {self.dip}"),
            (self.reverse, "charger the wrong way round"), (self.short, "short circuit"),
            (self.dead, "cell monitor silent"), (not self.inverter, "no inverter")) if is_so]
        return said

    def supply(self, t_ms):
        """Charger and load, or the inverter's world, as fields of the rig's `set`."""
        charger_ma, load_ma = self.currents(t_ms)
        if self.inverter:
            return {"inverter": {
                "port": "can", "pv_w": charger_ma * PACK_V // 1000,
                "load_w": load_ma * PACK_V // 1000, "grid": self.grid,
                "drm": [] if self.drm is None else [self.drm]}}
        return {"charger_mv": CHARGER_MV if charger_ma else None,
                "charger_ma": charger_ma or None, "load_ma": load_ma}


def _by_step(held_ma, day_ma, step_ma):
    """*held_ma* moved by a step, without losing presses beyond the ends."""
    return max(-day_ma, min(HIGHEST_MA - day_ma, held_ma + step_ma))


def _load(step_ma):
    def press(now, t_ms, _temp_dc):
        day_ma = segment_at(t_ms)[2]
        new = replace(now, load_ma=_by_step(now.load_ma, day_ma, step_ma))
        return new, {}, f"load {new.currents(t_ms)[1] / 1000:g} A"
    return press


def _charger(step_ma):
    def press(now, t_ms, _temp_dc):
        day_ma = segment_at(t_ms)[1]
        new = replace(now, charger_ma=_by_step(now.charger_ma, day_ma, step_ma))
        amps = new.currents(t_ms)[0] / 1000
        return new, {}, f"charger {amps:g} A" if amps else "charger off"
    return press


def _choose(step):
    def press(now, _t_ms, _temp_dc):
        new = replace(now, cell=(now.cell + step) % 16)
        return new, {}, f"cell {new.cell} chosen for w, r and l"
    return press


def _hold(levels_mv, key, word):
    def press(now, _t_ms, _temp_dc):
        cells = dict(now.cells)
        held = cells.pop(now.cell, None)
        if held == levels_mv[1]:
            return (replace(now, cells=cells), {"cell_mv": {now.cell: None}},
                    f"cell {now.cell} follows its model again")
        mv = levels_mv[held == levels_mv[0]]
        cells[now.cell] = mv
        if mv == levels_mv[0]:
            what = f"beyond the alarm; {key} again: beyond the protection"
        else:
            what = f"beyond the protection; {key} again lets it go"
        return (replace(now, cells=cells), {"cell_mv": {now.cell: mv}},
                f"cell {now.cell} {word} to {mv} mV: {what}")
    return press


def _cut(now, _t_ms, _temp_dc):
    if now.wire is not None:
        return (replace(now, wire=None), {"fault": {"open_wire": None}},
                f"sense wire {now.wire} mended")
    wire = now.cell
    return (replace(now, wire=wire), {"fault": {"open_wire": wire}},
            f"sense wire {wire} cut (negative end of cell {wire})")


def _warm(step_dc):
    def press(now, _t_ms, temp_dc):
        base_dc = now.temp_dc if now.temp_dc is not None else round(temp_dc, -1)
        held = max(-400, min(900, base_dc + step_dc))
        return (replace(now, temp_dc=held), {"cell_temp_dc": [held] * 4},
                f"cells held at {held / 10:g} °C")
    return press


def _flip(name, fields_of, words):
    """A key that turns *name* over. words: (true, false)"""
    def press(now, _t_ms, _temp_dc):
        new = replace(now, **{name: not getattr(now, name)})
        return new, fields_of(new), words[not getattr(new, name)]
    return press


def _inverter(now, t_ms, _temp_dc):
    new = replace(now, inverter=not now.inverter)
    fields = {} if new.inverter else {"inverter": None}
    return new, {**fields, **new.supply(t_ms)}, (
        "the inverter is on CAN, and moves what it is told there" if new.inverter else
        "no inverter: charger and load do as the day has it")


def _drm(now, t_ms, _temp_dc):
    modes = DRM_MODES
    new = replace(now, drm=modes[(modes.index(now.drm) + 1) % len(modes)])
    return _of_inverter(new, t_ms, "no demand response" if new.drm is None else f"DRM{new.drm}")


def _grid(now, t_ms, _temp_dc):
    new = replace(now, grid=not now.grid)
    return _of_inverter(new, t_ms, "the grid is back" if new.grid else
                        "grid loss: the house is on the pack alone")


def _of_inverter(new, t_ms, words):
    if not new.inverter:
        return new, {}, f"{words}; i attaches the inverter that feels it"
    return new, new.supply(t_ms), words


def _dip(now, _t_ms, _temp_dc):
    new = replace(now, dip=(now.dip + 1) % 16)
    role = {0: "alone", 1: "master"}.get(new.dip, "slave")
    return new, {"dip": new.dip}, f"DIP {new.dip}: {role}"


def _undo(now, _t_ms, _temp_dc):
    fields = {}
    if now.cells:
        fields["cell_mv"] = dict.fromkeys(now.cells)
    if now.wire is not None:
        fields["fault"] = {"open_wire": None}
    if now.temp_dc is not None:
        fields["cell_temp_dc"] = [None] * 4
    for name, is_so, value in (("rocker", not now.rocker, 1), ("rst", now.rst, 0),
                               ("dip", now.dip, 0), ("reverse", now.reverse, False)):
        if is_so:
            fields[name] = value
    if now.short:
        fields["load"] = "open"
    if now.dead:
        fields.setdefault("fault", {})["afe_silent"] = None
    return (Controls(cell=now.cell, inverter=now.inverter), fields,
            "everything as the day has it")


# key: f(controls, t_ms, cell temperature) -> (controls, fields of `set`, what was done)
KEYS = {
    "+": _load(STEP_MA), "=": _load(STEP_MA), "-": _load(-STEP_MA),
    "C": _charger(STEP_MA), "c": _charger(-STEP_MA),
    "right": _choose(1), "left": _choose(-1), "down": _choose(1), "up": _choose(-1),
    "w": _cut, "r": _hold(RAISED_MV, "r", "raised"), "l": _hold(LOWERED_MV, "l", "lowered"),
    "t": _warm(-STEP_DC), "T": _warm(STEP_DC), "0": _undo,
    "b": _flip("rst", lambda now: {"rst": int(now.rst)},
               ("RST is pressed; b again lets it go: 3 to 6 s sleep or wake, 6 to 10 s reset",
                "RST is released")),
    "o": _flip("rocker", lambda now: {"rocker": int(now.rocker)}, ("rocker on", "rocker off")),
    "d": _dip, "i": _inverter, "g": _grid, "m": _drm,
    "v": _flip("reverse", lambda now: {"reverse": now.reverse},
               ("the charger is connected the wrong way round", "the charger is right again")),
    "s": _flip("short", lambda now: {"load": "short" if now.short else "open"},
               ("short circuit at the terminals", "the short is taken off")),
    "a": _flip("dead", lambda now: {"fault": {"afe_silent": now.dead or None}},
               ("the cell monitor answers no more", "the cell monitor answers again")),
}
# (key as shown, what it does in a word or two), for the help line
HELP = (("+/-", "load"), ("C/c", "charger"), ("←/→", "cell"), ("w", "cut wire"), ("r", "raise"),
        ("l", "lower"), ("T/t", "heat/cool"), ("0", "undo"), ("space", "pause"), ("q", "quit"),
        ("b", "RST"), ("o", "rocker"), ("d", "DIP"), ("s", "short"), ("v", "reverse"),
        ("a", "dead AFE"), ("i", "inverter"), ("g", "grid"), ("m", "DRM"))


def press(controls, key, t_ms, temp_dc):
    """What *key* does at *t_ms* with cells at *temp_dc*: (controls, fields, message), or None
    for a key without meaning."""
    if key not in KEYS:
        return None
    new, fields, message = KEYS[key](controls, t_ms, 250 if temp_dc is None else temp_dc)
    if new.currents(t_ms) != controls.currents(t_ms) or (
            new.inverter and new.supply(t_ms) != controls.supply(t_ms)):
        fields = {**new.supply(t_ms), **fields}
    return new, fields, message
