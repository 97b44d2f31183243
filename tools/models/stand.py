"""The bench around one controller: cells, chips, panel, wires; and what was seen on them.

The driver of simulated time (host worker or emulator) owns the clock. It tells the stand of
every output that changes and every byte on a bus, with the time in microseconds, and calls
advance() at next_event_us at the latest. The rig's stimuli come in through set().

One source for CPython and MicroPython's unix port.
"""

from afe_model import AfeModel
import board
from edge_log import EdgeLog
from harm import Harm
from mcp2515_model import Mcp2515Model, pack_frame, unpack_frame
from panel_model import (BIT_ALM, BIT_BUZZER, BIT_LIMITER, BIT_ONOFF, BIT_RST, BIT_RUN,
                         EXPANDER_ADDRESS, LAMPS, Hc595Chain, Tca9534)
import rtc_model
from plant import CELLS, DEFAULT_CHARGER_MA, DEFAULT_CHARGER_MV, GROUPS, Plant

AFE_BUS = 0
AUX_BUS = 1

_MAX_EDGES = 400_000
_BAR_STEP_MV = 0.05         # smaller changes of a bus bar are not worth a step

# outputs of the controller and the level its pull resistor gives while it is off or in reset
_PULLS = {
    "AFE_CS": 1, "CAN_CS": 1, "AFE_BOTHOFF": 0, "LAMP_RCLK": 0, "LIMITER": 0, "BUZZER": 0,
    "DO1": 0, "DO2": 0, "PCS_DE": 0, "PAR_DE": 0, "HEARTBEAT": 0,
}
_EDGE_OF_PIN = {"DO1": "do.0", "DO2": "do.1"}

_PLANT_OPTIONS = ("soc", "temp_c", "capacity_ah", "soh", "imbalance_mv", "cells", "curve",
                  "hyst_mv", "leak_ma", "most_a", "shunt_uohm")


# -- checks: each takes a name and a value, and returns what is kept --------


def _number(name, value, low, high):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("%s: %r is not a number; %s to %s" % (name, value, low, high))
    if not low <= value <= high:
        raise ValueError("%s: %s is out of range; %s to %s" % (name, value, low, high))
    return value


def _index(name, value, high):
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise ValueError("%s: %r is no index; 0 to %d" % (name, value, high))
    return value


def _flag(name, value):
    if value is None or value is False or value == 0:
        return False
    if value is True or value == 1:
        return True
    raise ValueError("%s: %r; true, false or null" % (name, value))


def _number_or_none(low, high):
    def check(name, value):
        return None if value is None else _number(name, value, low, high)
    return check


def _series(count, low, high):
    """[n values], {index: value or null} or null -> list of (index, value or None)."""
    item = _number_or_none(low, high)

    def check(name, value):
        if value is None:
            return [(i, None) for i in range(count)]
        if isinstance(value, dict):
            pairs = []
            for key in value:
                index = _index(name + " index", key, count - 1)
                pairs.append((index, item("%s[%d]" % (name, index), value[key])))
            return pairs
        if isinstance(value, (list, tuple)):
            if len(value) != count:
                raise ValueError("%s: %d values; %d, or {index: value}"
                                 % (name, len(value), count))
            return [(i, item("%s[%d]" % (name, i), value[i])) for i in range(count)]
        raise ValueError("%s: %r; a list of %d, {index: value} or null" % (name, value, count))
    return check


def _load(name, value):
    if value not in ("open", "short", None):
        raise ValueError("load: %r; \"open\" or \"short\"" % (value,))
    return value


def _dip(name, value):
    return int(_number(name, value, 0, 15))


def _bothoff(name, value):
    if value not in ("inverted", "dead"):
        raise ValueError("%s: %r; \"inverted\" or \"dead\"" % (name, value))
    return value


def _clock(name, value):
    if value is not None:
        rtc_model.parse_iso(value)
    return value


def _faults(name, value, count=CELLS):
    """{kind: value or null} -> list of (row of FAULTS, checked value); *count* cells."""
    if not isinstance(value, dict):
        raise ValueError("fault: %r; an object {kind: value or null}" % (value,))
    checked = []
    for kind in value:
        row = _ROW_OF_FAULT.get(kind)
        if row is None:
            raise ValueError("fault: unknown kind %r; the stand knows %s"
                             % (kind, ", ".join(FAULT_KINDS)))
        given = value[kind]
        check = row[1]
        if kind in _CHECKS_OF_CELLS:
            check = _CHECKS_OF_CELLS[kind](count)
        given = None if given is None or given is False else check("fault " + kind, given)
        checked.append((row, None if given is False else given))
    return checked


def _in(low, high):
    def check(name, value):
        return _number(name, value, low, high)
    return check


def _one_index(high):
    def check(name, value):
        return _index(name, value, high)
    return check


def _sensors(name, value):
    if isinstance(value, (list, tuple)):
        return tuple([_index(name, v, 5) for v in value])
    return _index(name, value, 5)


def _two_cells(count):
    def check(name, value):
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise ValueError("%s: %r; two cell indexes, [a, b]" % (name, value))
        a, b = _index(name, value[0], count - 1), _index(name, value[1], count - 1)
        if a == b:
            raise ValueError("%s: %d twice; two different cells" % (name, a))
        return (a, b)
    return check


def _curve(value):
    """Rest curve of a cell: points of per cent and mV that rise, from 0 to 100 %."""
    right = "points [per cent, mV] that rise from [0, mV] to [100, mV]"
    if not isinstance(value, (list, tuple)) or len(value) < 3:
        raise ValueError("plant curve: %r; %s" % (value, right))
    for i in range(len(value)):
        point = value[i]
        if (not isinstance(point, (list, tuple)) or len(point) != 2
                or i and not (point[0] > value[i - 1][0] and point[1] >= value[i - 1][1])):
            raise ValueError("plant curve: %r; %s" % (point, right))
        _number("plant curve mV", point[1], 500, 5000)
    if value[0][0] != 0 or value[-1][0] != 100:
        raise ValueError("plant curve: from %s to %s; %s" % (value[0][0], value[-1][0], right))
    return value


def _sign(name, value):
    if value not in (1, -1):
        raise ValueError("%s: %r; 1 or -1" % (name, value))
    return value


def _table(count, low, high):
    """{index: number} -> the same with integers as keys."""
    def check(name, value):
        if not isinstance(value, dict) or not value:
            raise ValueError("%s: %r; an object {index: value}, index 0 to %d"
                             % (name, value, count - 1))
        table = {}
        for key in value:
            index = _index(name + " index", key, count - 1)
            table[index] = _number("%s[%d]" % (name, index), value[key], low, high)
        return table
    return check


def _parts(name, value):
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError("%s: %r; a list of %s" % (name, value, ", ".join(AFE_PARTS)))
    for part in value:
        if part not in AFE_PARTS:
            raise ValueError("%s: unknown part %r; %s" % (name, part, ", ".join(AFE_PARTS)))
    return tuple(value)


# -- fields of `set`, in the order in which they are done --------


def _plant(attribute):
    def act(stand, value, now_us):
        stand.plant.apply(now_us, **{attribute: value})
    return act


def _put_load(stand, value, now_us):
    # "open" takes everything off; a load_ma in the same call comes after it
    if value == "short":
        stand.plant.apply(now_us, shorted=True)
    else:
        stand.plant.apply(now_us, shorted=False, load_ma=None)


def _put_cells(stand, value, now_us):
    for index, mv in value:
        stand.plant.set_cell_mv(index, mv, now_us)


def _put_groups(stand, value, now_us):
    for index, dc in value:
        stand.plant.set_group_dc(index, dc, now_us)


def _put_ambient(stand, value, now_us):
    stand.plant.set_ambient_dc(value, now_us)


def _put_mos(stand, value, now_us):
    stand.plant.set_mos_dc(value, now_us)


def _put_rocker(stand, value, now_us):
    stand.rocker = 1 if value else 0
    stand.harm.controller(stand.powered and stand.rocker, now_us)


def _put_rst(stand, value, now_us):
    stand.rst = 1 if value else 0
    stand.harm.button(now_us)
    stand.show_inputs()


def _put_dip(stand, value, now_us):
    stand.dip = value
    stand.show_inputs()


def _put_clock(stand, value, now_us):
    if stand.rtc is None:
        raise ValueError("clock: no clock chip is fitted")
    if value is None:                       # its battery was out
        stand.rtc.lost = True
    else:
        stand.rtc.show(value, now_us)


def _put_faults(stand, value, now_us):
    for row, setting in value:
        stand.set_fault(row, setting, now_us)


#    field            check                                  what it does
_FIELDS = (
    ("current_ma", _number_or_none(-4_000_000, 4_000_000), _plant("force_ma")),
    ("charger_mv", _number_or_none(0, 100_000), None),      # the two together, at the end
    ("charger_ma", _number_or_none(0, 1_000_000), None),
    ("load", _load, _put_load),
    ("load_ma", _number_or_none(0, 1_000_000), _plant("load_ma")),
    ("cell_mv", _series(CELLS, -200, 6000), _put_cells),
    ("cell_temp_dc", _series(GROUPS, -600, 2000), _put_groups),
    ("ambient_dc", _number_or_none(-600, 2000), _put_ambient),
    ("mos_dc", _number_or_none(-600, 2000), _put_mos),
    ("rocker", _flag, _put_rocker),
    ("rst", _flag, _put_rst),
    ("dip", _dip, _put_dip),
    ("reverse", _flag, _plant("reverse")),
    ("clock", _clock, _put_clock),
    ("fault", _faults, _put_faults),
)
FIELDS = tuple([row[0] for row in _FIELDS])

# -- faults --------

AFE_PARTS = ("cells", "stack", "terminals", "current", "temps")     # of afe_model.PARTS


def _afe(attribute, well=None):
    """A fault that is an attribute of the AFE's model; *well* without it."""
    def act(stand, value, now_us):
        setattr(stand.afe, attribute, well if value is None else value)
        return value
    return act


def _weld(attribute):
    def act(stand, value, now_us):
        stand.plant.apply(now_us, **{attribute: bool(value)})
        return value
    return act


def _once(act):
    """Something that has happened as soon as it was set."""
    def once(stand, value, now_us):
        if value:
            act(stand, value, now_us)
        return None
    return once


def _frozen(stand, value, now_us):
    stand.afe.freeze(bool(value), now_us)
    return value


def _frozen_part(stand, value, now_us):
    stand.afe.freeze_parts(value or (), now_us)
    return value


def _late(stand, value, now_us):
    stand.afe.late_us = int((value or 0) * 1000)
    return value


def _gain(attribute, figure):
    """A figure of the AFE that is another than the drawn one."""
    def act(stand, value, now_us):
        setattr(stand.afe, attribute, stand.board[figure] if value is None else value)
        return value
    return act


def _cell_gain(stand, value, now_us):
    gains = list(stand.board["cell_gain"])
    for index in value or ():
        gains[stand.afe.input_of[index]] = value[index]
    stand.afe.cell_gain = gains
    return value


def _terminal(figure):
    """A figure of what hangs on the terminals, likewise."""
    def act(stand, value, now_us):
        stand.figures[figure] = stand.board[figure] if value is None else value
        stand.plant.set_board(stand.figures, now_us)
        return value
    return act


def _ntc_stuck(stand, value, now_us):
    stand.afe.ntc_stuck = value or {}
    return value


def _rtc_jump(stand, value, now_us):
    stand.needs_rtc("rtc_jump_s").jump(value, now_us)


def _rtc_dead(stand, value, now_us):
    stand.needs_rtc("rtc_dead").dead = bool(value)
    return value


def _can(attribute):
    def act(stand, value, now_us):
        setattr(stand.can, attribute, bool(value))
        stand.can.faults_changed(now_us)
        return value
    return act


#    kind               check of its value            what it does; returns what is kept
FAULTS = (
    ("afe_silent", _flag, _afe("silent", False)),
    ("afe_stuck_low", _flag, _afe("stuck_low", False)),
    ("afe_stuck_high", _flag, _afe("stuck_high", False)),
    ("afe_crc", _in(0, 1), _afe("crc_rate", 0.0)),
    ("afe_late_ms", _in(0, 10_000), _late),
    ("afe_latency_us", _in(0, 100_000), _afe("fault_latency_us")),
    ("afe_bothoff", _bothoff, _afe("bothoff_fault")),
    ("afe_brownout", _flag, _once(lambda stand, value, now: stand.afe.brownout(now))),
    ("afe_config_lost", _flag, _once(lambda stand, value, now: stand.afe.lose_config(now))),
    ("afe_frozen", _flag, _frozen),
    ("afe_frozen_part", _parts, _frozen_part),
    ("afe_reference", _in(0, 3), _gain("reference", "reference_gain")),
    ("cell_gain", _table(CELLS, 0, 3), _cell_gain),
    ("stack_gain", _in(0, 3), _gain("stack_gain", "stack_gain")),
    ("pack_gain", _in(0, 3), _gain("pack_gain", "pack_gain")),
    ("ld_gain", _in(0, 3), _gain("ld_gain", "ld_gain")),
    ("open_wire", _one_index(CELLS), _afe("open_wire")),
    ("swapped_cells", _two_cells(CELLS), _afe("swapped")),
    ("ntc_open", _sensors, _afe("ntc_open")),
    ("ntc_short", _sensors, _afe("ntc_short")),
    ("ntc_stuck", _table(6, -600, 2000), _ntc_stuck),
    ("shunt_gain", _in(-10, 10), _afe("shunt_gain", 1.0)),
    ("shunt_offset_ma", _in(-1_000_000, 1_000_000), _afe("shunt_offset_ma", 0.0)),
    ("shunt_sign", _sign, _afe("shunt_sign", 1)),
    ("shunt_stuck_ma", _in(-1_000_000, 1_000_000), _afe("shunt_stuck_ma")),
    ("terminal_uf", _in(0, 1_000_000), _terminal("terminal_uf")),
    ("terminal_kohm", _in(0.01, 1e9), _terminal("terminal_kohm")),
    ("fet_weld_chg", _flag, _weld("weld_chg")),
    ("fet_weld_dsg", _flag, _weld("weld_dsg")),
    ("fet_open_chg", _flag, _weld("dead_chg")),
    ("fet_open_dsg", _flag, _weld("dead_dsg")),
    ("rtc_dead", _flag, _rtc_dead),
    ("rtc_jump_s", _in(-2_000_000_000, 2_000_000_000), _once(_rtc_jump)),
    ("can_bus_off", _flag, _can("destroyed")),
    ("can_no_ack", _flag, _can("no_ack")),
    ("can_overflow", _flag, _can("flood")),
    ("can_reset", _flag, _once(lambda stand, value, now: stand.can.reset(now))),
)
FAULT_KINDS = tuple([row[0] for row in FAULTS])
_ROW_OF_FAULT = {row[0]: row for row in FAULTS}
# the checks that depend on how many cells there are
_CHECKS_OF_CELLS = {
    "cell_mv": lambda count: _series(count, -200, 6000),
    "cell_gain": lambda count: _table(count, 0, 3),
    "open_wire": _one_index,
    "swapped_cells": _two_cells,
}


class Stand:
    """One bench.

    options  seed, plant {soc temp_c capacity_ah soh imbalance_mv cells curve hyst_mv leak_ma
             most_a shunt_uohm}, dip, rocker, noise
             (0 = perfect measurements), spread (0..1, how much of its tolerances this seed's
             board has; 1 unless given, 0 with noise 0), can_crystal_hz, rtc ("pcf8563", "ds3231"
             or "none"); others are not the stand's and are ignored
    board    what was drawn (board.py); figures: what hangs on the terminals now
    harm     Harm, which the cell model shows to
    """

    def __init__(self, options=None, now_us=0):
        options = options or {}
        seed = options.get("seed")
        seed = 1 if seed is None else _number("seed", seed, 0, 0xFFFFFFFF)
        noise = options.get("noise")
        noise = 1.0 if noise is None else _number("noise", noise, 0, 100)
        spread = options.get("spread")
        spread = min(noise, 1.0) if spread is None else _number("spread", spread, 0, 1)
        self.board = board.draw(seed, spread)
        self.figures = dict(self.board)
        self.plant = self._make_plant(seed, options.get("plant") or {}, now_us)
        most_a = (options.get("plant") or {}).get("most_a")
        self.harm = self.plant.harm = Harm(
            1.0 if most_a is None else _number("plant most_a", most_a, 10, 300) / 100.0)
        self.harm.on_edge = self._edge
        self.afe = AfeModel(self.plant, seed, noise, now_us, self.board)
        self.afe.on_edge = self._edge
        self.chain = Hc595Chain()
        self.expander = Tca9534()
        kind = options.get("rtc")
        self.rtc = None if kind == "none" else rtc_model.make(kind or "pcf8563", now_us)
        self.i2c = {EXPANDER_ADDRESS: self.expander}    # more chips may be added
        if self.rtc is not None:
            self.i2c[self.rtc.address] = self.rtc
        crystal_hz = options.get("can_crystal_hz") or 16_000_000
        self.can = Mcp2515Model(now_us, int(_number("can_crystal_hz", crystal_hz, 1_000_000,
                                                    40_000_000)), seed)
        self.can.idle_bits = int(self.board["can_idle_bits"] + 0.5)
        self.powered = True
        self.levels = dict(_PULLS)
        self.faults = {}
        self.fields = {}
        self._edges = EdgeLog(_MAX_EDGES)
        self._word = 0
        self._seen = {"limiter": 0, "buzzer": 0}
        self._fed_us = None
        self.rocker = 1
        self.dip = 0
        self.rst = 0
        if options.get("rocker") is not None:
            self.rocker = 1 if _flag("rocker", options["rocker"]) else 0
        self.dip = int(_number("dip", options.get("dip") or 0, 0, 15))
        self.show_inputs()

    def _make_plant(self, seed, plant, now_us):
        for key in plant:
            if key not in _PLANT_OPTIONS:
                raise ValueError("plant: unknown %r; known: %s"
                                 % (key, ", ".join(_PLANT_OPTIONS)))
        def get(name, default, low, high):
            value = plant.get(name)
            return default if value is None else _number("plant " + name, value, low, high)
        curve = plant.get("curve")
        return Plant(seed, get("soc", 0.5, 0, 1), get("temp_c", 25.0, -40, 90),
                     get("capacity_ah", 100.0, 1, 2000), get("soh", 1.0, 0.2, 1.2),
                     get("imbalance_mv", 0.0, 0, 1000), now_us, self.figures,
                     int(get("cells", CELLS, 8, CELLS)),
                     None if curve is None else _curve(curve), get("hyst_mv", 9.0, 0, 50),
                     get("leak_ma", None, 0, 1000), get("shunt_uohm", 250.0, 10, 5000))

    # -- time --------

    def advance(self, now_us):
        """Bring everything up to *now_us*."""
        if now_us >= self.afe.next_us:
            self.afe.advance(now_us)
        if now_us >= self.can.next_us:
            self.can.advance(now_us)

    @property
    def next_event_us(self):
        """advance() has to be called with this time at the latest."""
        due = self.afe.next_us
        return due if due < self.can.next_us else self.can.next_us

    # -- the controller's pins and buses --------

    def pin(self, name, level, now_us):
        """An output of the controller changed (or was written again)."""
        afe = self.afe
        if name == "AFE_CS":
            if level:
                afe.deselect(now_us)
            else:
                afe.select(now_us)
            self.levels[name] = level
            return
        level = 1 if level else 0
        old = self.levels.get(name)
        if old == level:
            return
        if old is None:
            raise ValueError("pin: unknown %r; known: %s" % (name, ", ".join(sorted(_PULLS))))
        self.levels[name] = level
        if now_us >= afe.next_us:
            afe.advance(now_us)
        if name == "AFE_BOTHOFF":
            afe.set_bothoff(level, now_us)
        elif name == "LAMP_RCLK":
            self._lamps(self.chain.latch(level), now_us)
        elif name == "LIMITER" or name == "BUZZER":
            self._either(now_us)
        elif name in _EDGE_OF_PIN:
            self._edge(now_us, _EDGE_OF_PIN[name], level)
        elif name == "CAN_CS":
            if level:
                self.can.deselect(now_us)
            else:
                self.can.select(now_us)

    def pin_in(self, name):
        """Level of an input of the controller."""
        if name == "ROCKER":
            return self.rocker
        if name == "CAN_INT":
            return self.can.int_level()
        raise ValueError("pin_in: unknown %r; known: CAN_INT, ROCKER" % (name,))

    def spi(self, bus, byte, now_us):
        """Eight clocks; returns the byte on MISO."""
        if bus == AFE_BUS:
            return self.afe.shift(byte)
        self.chain.shift(byte)
        if not self.levels["CAN_CS"]:
            return self.can.shift(byte, now_us)
        return 0xFF                         # the chain's end is not wired back

    def spi3(self, b0, b1, b2, now_us):
        """Three bytes on the AFE's bus while its select is low, at one go: 24 bits."""
        return self.afe.shift3(b0, b1, b2)

    def frame3(self, b0, b1, b2, now_us, end_us=0):
        """Select, three bytes, deselect on the AFE's bus, at one go: 24 bits.

        For a driver that was not told of select yet. end_us: when select rises; 24 us
        after now_us unless given.
        """
        return self.afe.frame3(b0, b1, b2, now_us, end_us)

    def i2c_write(self, address, data, now_us):
        """True if acknowledged."""
        chip = self.i2c.get(address)
        if chip is None or not self.powered:
            return False
        if chip is self.rtc:
            chip.at(now_us)
        return chip.write(data)

    def i2c_read(self, address, count, now_us):
        """*count* bytes, or None if nobody answers."""
        chip = self.i2c.get(address)
        if chip is None or not self.powered:
            return None
        return chip.read(count)

    def can_feed(self, raw, now_us):
        """A frame (pack_frame) that another node on the CAN bus sends from *now_us* on."""
        ident, flags, data, dlc = unpack_frame(raw)
        self.can.feed(ident, flags, data, dlc, now_us)

    def can_sent(self):
        """[end_us, frame] of the CAN frames that left since the last call."""
        return [[row[0], pack_frame(row[1], row[2], row[3], row[4])]
                for row in self.can.take_sent()]

    def wdt_fed(self, now_us):
        self._fed_us = now_us

    def power(self, on, now_us):
        """The controller's supply. The AFE lives on the cells and stays."""
        on = bool(on)
        if on == self.powered:
            return
        self._release(now_us)
        self.powered = on
        self.harm.controller(on and self.rocker, now_us)
        self.chain.power(on)
        self.expander.power(on)
        self.can.power(on, now_us)
        self._fed_us = None
        self._lamps(0, now_us)

    def reset(self, now_us):
        """The controller's reset line was pressed: its pins float to their pulls."""
        self._release(now_us)
        self.harm.controller(self.powered and self.rocker, now_us)
        self._fed_us = None

    def _release(self, now_us):
        self.advance(now_us)
        for name in _PULLS:
            if self.levels[name] != _PULLS[name]:
                self.pin(name, _PULLS[name], now_us)

    def show_inputs(self):
        """Switch on or button pressed pulls its line low."""
        low = self.dip | (1 << BIT_RST if self.rst else 0)
        self.expander.inputs = 0xFF & ~low

    # -- what is seen --------

    def _edge(self, t_us, signal, value):
        self._edges.add(t_us / 1000, signal, value)

    def _lamps(self, word, now_us):
        changed = word ^ self._word
        if not changed:
            return
        self._word = word
        for bit in range(LAMPS):
            if changed >> bit & 1:
                self._edge(now_us, "lamps.cap.%d" % bit, word >> bit & 1)
        if changed >> BIT_ONOFF & 1:
            self.harm.lamp(word >> BIT_ONOFF & 1, now_us)
        for bit, name in ((BIT_RUN, "lamps.run"), (BIT_ALM, "lamps.alm"),
                          (BIT_ONOFF, "lamps.onoff")):
            if changed >> bit & 1:
                self._edge(now_us, name, word >> bit & 1)
        self._either(now_us)

    def _either(self, now_us):
        """Limiter and buzzer: a pin of their own, or a bit of the chain."""
        limiter = self.levels["LIMITER"] | self._word >> BIT_LIMITER & 1
        if limiter != self._seen["limiter"]:
            self._seen["limiter"] = limiter
            self._edge(now_us, "limiter", limiter)
            self.plant.apply(now_us, limiter=bool(limiter))
            self.afe.plant_changed(now_us)
        buzzer = self.levels["BUZZER"] | self._word >> BIT_BUZZER & 1
        if buzzer != self._seen["buzzer"]:
            self._seen["buzzer"] = buzzer
            self._edge(now_us, "buzzer", buzzer)

    def wire(self, now_us):
        """What is on the pins and chips, as the rig's get shows it."""
        self.advance(now_us)
        afe = self.afe
        word = self._word
        fed = None if self._fed_us is None else (now_us - self._fed_us) // 1000
        return {
            "fets": {"chg": afe.chg, "dsg": afe.dsg, "pchg": int(self.plant.pdsg)},
            "limiter": self._seen["limiter"],
            "lamps": {"run": word >> BIT_RUN & 1, "alm": word >> BIT_ALM & 1,
                      "onoff": word >> BIT_ONOFF & 1,
                      "cap": [word >> bit & 1 for bit in range(LAMPS)]},
            "buzzer": self._seen["buzzer"],
            "do": [self.levels["DO1"], self.levels["DO2"]],
            "balance": afe.bled(),
            "wdt_fed_ms_ago": fed,
        }

    def truth(self):
        """What the cell model knows, as of the last advance()."""
        truth = self.plant.truth()
        truth["board"] = self.board
        return truth

    def edges(self, since_us=0, skip=0, count=_MAX_EDGES):
        """[t_ms, signal, value] of every change from *since_us* on, oldest first.

        skip, count   leave out so many of them, and return so many at most
        """
        return self._edges.since(since_us / 1000, skip, count)

    # -- a bus bar shared with other packs --------

    def set_bar(self, bar_mv, now_us, load_ma=0, only_ma=None):
        """Others hold the terminals at *bar_mv*; None: nobody does, and *load_ma* is wanted.

        only_ma  None | this pack alone holds the bar, and this is all that it may have to give
        """
        old = self.plant.bar_mv
        self.plant.bar_only_ma = only_ma
        self.harm.bar_load_ma = load_ma if bar_mv is None else 0
        if bar_mv != old and (bar_mv is None or old is None or abs(bar_mv - old) > _BAR_STEP_MV):
            self.advance(now_us)
            self.plant.apply(now_us, bar_mv=bar_mv)
            self.afe.plant_changed(now_us)

    def behind_bar(self, now_us):
        """Plant.behind_bar() at *now_us*, and the current into the pack in mA."""
        self.advance(now_us)
        return list(self.plant.behind_bar()) + [self.plant.current_ma]

    # -- stimuli --------

    def set(self, fields, now_us):
        """The rig's `set`. All of it is checked before any of it is done."""
        if not isinstance(fields, dict):
            raise ValueError("set: %r; an object {field: value}" % (fields,))
        checked = []
        cells = self.plant.cells
        for name, check, act in _FIELDS:    # in this order, whatever order they came in
            if name in fields:
                if name == "fault":
                    value = _faults(name, fields[name], cells)
                elif name in _CHECKS_OF_CELLS:
                    value = _CHECKS_OF_CELLS[name](cells)(name, fields[name])
                else:
                    value = check(name, fields[name])
                checked.append((name, value, act))
        for name in fields:
            if name not in FIELDS:
                raise ValueError("set: unknown field %r; the stand knows %s"
                                 % (name, ", ".join(FIELDS)))
        self.advance(now_us)
        charger = {}
        for name, value, act in checked:
            if act is None:
                charger[name] = value
            else:
                act(self, value, now_us)
        if charger:
            self._set_charger(charger, now_us)
        self.afe.plant_changed(now_us)

    def _set_charger(self, charger, now_us):
        """A number for one of the two connects it; nothing but null takes it off."""
        given = [charger[k] for k in charger if charger[k] is not None]
        if not given:
            self.plant.apply(now_us, charger_mv=None, charger_ma=None)
            return
        mv = charger.get("charger_mv")
        ma = charger.get("charger_ma")
        if mv is None:
            mv = self.plant.charger_mv
        if ma is None:
            ma = self.plant.charger_ma
        self.plant.apply(now_us, charger_mv=DEFAULT_CHARGER_MV if mv is None else mv,
                         charger_ma=DEFAULT_CHARGER_MA if ma is None else ma)

    def set_fault(self, row, value, now_us):
        """Set a row of FAULTS to a checked value; None clears it."""
        kind, _check, act = row
        value = act(self, value, now_us)
        if value is None:
            self.faults.pop(kind, None)
        else:
            self.faults[kind] = value
            self.harm.faulty = True
        self.afe.faults_changed(now_us)

    def needs_rtc(self, kind):
        """The clock chip; ValueError if there is none."""
        if self.rtc is None:
            raise ValueError("fault %s: no clock chip is fitted" % kind)
        return self.rtc
