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
    """

    cell: int = 3
    load_ma: int = 0
    charger_ma: int = 0
    cells: dict = field(default_factory=dict)
    wire: int | None = None
    temp_dc: int | None = None

    def currents(self, t_ms):
        """(charger, load) in mA at *t_ms*."""
        _, sun_ma, house_ma, _ = segment_at(t_ms)
        return (max(0, min(HIGHEST_MA, sun_ma + self.charger_ma)),
                max(0, min(HIGHEST_MA, house_ma + self.load_ma)))

    def supply(self, t_ms):
        """Charger and load as fields of the rig's `set`."""
        charger_ma, load_ma = self.currents(t_ms)
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


def _undo(now, _t_ms, _temp_dc):
    fields = {}
    if now.cells:
        fields["cell_mv"] = dict.fromkeys(now.cells)
    if now.wire is not None:
        fields["fault"] = {"open_wire": None}
    if now.temp_dc is not None:
        fields["cell_temp_dc"] = [None] * 4
    return Controls(cell=now.cell), fields, "everything as the day has it"


# key: f(controls, t_ms, cell temperature) -> (controls, fields of `set`, what was done)
KEYS = {
    "+": _load(STEP_MA), "=": _load(STEP_MA), "-": _load(-STEP_MA),
    "C": _charger(STEP_MA), "c": _charger(-STEP_MA),
    "right": _choose(1), "left": _choose(-1), "down": _choose(1), "up": _choose(-1),
    "w": _cut, "r": _hold(RAISED_MV, "r", "raised"), "l": _hold(LOWERED_MV, "l", "lowered"),
    "t": _warm(-STEP_DC), "T": _warm(STEP_DC), "0": _undo,
}
# (key as shown, what it does in a word or two), for the help line
HELP = (("+/-", "load"), ("C/c", "charger"), ("←/→", "cell"), ("w", "cut wire"), ("r", "raise"),
        ("l", "lower"), ("T/t", "heat/cool"), ("0", "undo"), ("space", "pause"), ("q", "quit"))


def press(controls, key, t_ms, temp_dc):
    """What *key* does at *t_ms* with cells at *temp_dc*: (controls, fields, message), or None
    for a key without meaning."""
    if key not in KEYS:
        return None
    new, fields, message = KEYS[key](controls, t_ms, 250 if temp_dc is None else temp_dc)
    if new.currents(t_ms) != controls.currents(t_ms):
        fields = {**new.supply(t_ms), **fields}
    return new, fields, message


_ESCAPES = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}


def split_keys(data):
    """Bytes of a terminal -> list of keys; arrows by name, what is unknown left out."""
    keys = []
    at = 0
    while at < len(data):
        byte = data[at:at + 1]
        at += 1
        if byte == b"\x1b":
            if data[at:at + 1] not in (b"[", b"O"):
                continue
            at += 1
            while at < len(data) and not 0x40 <= data[at] <= 0x7E:
                at += 1
            name = _ESCAPES.get(data[at:at + 1])
            at += 1
            if name:
                keys.append(name)
        elif b" " <= byte <= b"~":
            keys.append(byte.decode())
    return keys
