"""The bench around one controller: cells, chips, panel, wires; and what was seen on them.

The driver of simulated time (host worker or emulator) owns the clock. It tells the stand of
every output that changes and every byte on a bus, with the time in microseconds, and calls
advance() at next_event_us at the latest. The rig's stimuli come in through set().

One source for CPython and MicroPython's unix port.
"""

from afe_model import AfeModel
import board
from edge_log import EdgeLog
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

_PLANT_OPTIONS = ("soc", "temp_c", "capacity_ah", "soh", "imbalance_mv")
_FLAG_FAULTS = ("afe_silent", "afe_stuck_low", "afe_stuck_high", "afe_brownout",
                "afe_config_lost", "afe_frozen", "fet_weld_chg", "fet_weld_dsg",
                "fet_open_chg", "fet_open_dsg", "rtc_dead",
                "can_bus_off", "can_no_ack", "can_overflow", "can_reset")
_VALUE_FAULTS = ("afe_crc", "afe_late_ms", "open_wire", "swapped_cells", "ntc_open",
                 "ntc_short", "shunt_gain", "shunt_offset_ma", "shunt_sign", "rtc_jump_s")
FAULT_KINDS = _FLAG_FAULTS + _VALUE_FAULTS
_PLANT_FLAG = {"fet_weld_chg": "weld_chg", "fet_weld_dsg": "weld_dsg",
               "fet_open_chg": "dead_chg", "fet_open_dsg": "dead_dsg"}

FIELDS = ("current_ma", "charger_mv", "charger_ma", "load", "load_ma", "cell_mv",
          "cell_temp_dc", "ambient_dc", "mos_dc", "rocker", "rst", "dip", "reverse", "clock",
          "fault")


def _number(name, value, low, high):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("%s: %r is not a number; %s to %s" % (name, value, low, high))
    if not low <= value <= high:
        raise ValueError("%s: %s is out of range; %s to %s" % (name, value, low, high))
    return value


def _number_or_none(name, value, low, high):
    return None if value is None else _number(name, value, low, high)


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


def _series(name, value, count, low, high):
    """[n values], {index: value or null} or null -> list of (index, value or None)."""
    if value is None:
        return [(i, None) for i in range(count)]
    if isinstance(value, dict):
        pairs = []
        for key in value:
            index = _index(name + " index", key, count - 1)
            item = "%s[%d]" % (name, index)
            pairs.append((index, _number_or_none(item, value[key], low, high)))
        return pairs
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ValueError("%s: %d values; %d, or {index: value}" % (name, len(value), count))
        return [(i, _number_or_none("%s[%d]" % (name, i), value[i], low, high))
                for i in range(count)]
    raise ValueError("%s: %r; a list of %d, {index: value} or null" % (name, value, count))


def _fault_value(kind, value):
    """A fault's value checked; None clears it."""
    name = "fault " + str(kind)
    if kind in _FLAG_FAULTS:
        return _flag(name, value)
    if kind not in _VALUE_FAULTS:
        raise ValueError("fault: unknown kind %r; the stand knows %s"
                         % (kind, ", ".join(FAULT_KINDS)))
    if value is None or value is False:
        return None
    if kind == "afe_crc":
        return _number(name, value, 0, 1)
    if kind == "afe_late_ms":
        return _number(name, value, 0, 10_000)
    if kind == "open_wire":
        return _index(name, value, CELLS)
    if kind == "swapped_cells":
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise ValueError("%s: %r; two cell indexes, [a, b]" % (name, value))
        a, b = _index(name, value[0], CELLS - 1), _index(name, value[1], CELLS - 1)
        if a == b:
            raise ValueError("%s: %d twice; two different cells" % (name, a))
        return (a, b)
    if kind == "rtc_jump_s":
        return _number(name, value, -2_000_000_000, 2_000_000_000)
    if kind == "shunt_gain":
        return _number(name, value, -10, 10)
    if kind == "shunt_offset_ma":
        return _number(name, value, -1_000_000, 1_000_000)
    if kind == "shunt_sign":
        if value not in (1, -1):
            raise ValueError("%s: %r; 1 or -1" % (name, value))
        return value
    if isinstance(value, (list, tuple)):
        return tuple([_index(name, v, 5) for v in value])
    return _index(name, value, 5)


class Stand:
    """One bench.

    options  seed, plant {soc temp_c capacity_ah soh imbalance_mv}, dip, rocker, noise
             (0 = perfect measurements), spread (0..1, how much of its tolerances this seed's
             board has; 1 unless given, 0 with noise 0), can_crystal_hz, rtc ("pcf8563", "ds3231"
             or "none"); others are not the stand's and are ignored
    board    what was drawn (board.py)
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
        self.plant = self._make_plant(seed, options.get("plant") or {}, now_us)
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
        self._show_inputs()

    @staticmethod
    def _make_plant(seed, plant, now_us):
        for key in plant:
            if key not in _PLANT_OPTIONS:
                raise ValueError("plant: unknown %r; known: %s"
                                 % (key, ", ".join(_PLANT_OPTIONS)))
        def get(name, default, low, high):
            value = plant.get(name)
            return default if value is None else _number("plant " + name, value, low, high)
        return Plant(seed, get("soc", 0.5, 0, 1), get("temp_c", 25.0, -40, 90),
                     get("capacity_ah", 100.0, 1, 2000), get("soh", 1.0, 0.2, 1.2),
                     get("imbalance_mv", 0.0, 0, 1000), now_us)

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
        self.chain.power(on)
        self.expander.power(on)
        self.can.power(on, now_us)
        self._fed_us = None
        self._lamps(0, now_us)

    def reset(self, now_us):
        """The controller's reset line was pressed: its pins float to their pulls."""
        self._release(now_us)
        self._fed_us = None

    def _release(self, now_us):
        self.advance(now_us)
        for name in _PULLS:
            if self.levels[name] != _PULLS[name]:
                self.pin(name, _PULLS[name], now_us)

    def _show_inputs(self):
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
            "fets": {"chg": afe.chg, "dsg": afe.dsg, "pchg": 0},
            "limiter": self._seen["limiter"],
            "lamps": {"run": word >> BIT_RUN & 1, "alm": word >> BIT_ALM & 1,
                      "onoff": word >> BIT_ONOFF & 1,
                      "cap": [word >> bit & 1 for bit in range(LAMPS)]},
            "buzzer": self._seen["buzzer"],
            "do": [self.levels["DO1"], self.levels["DO2"]],
            "balance": [k for k in range(CELLS) if afe.balance >> k & 1],
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

    def set_bar(self, bar_mv, now_us):
        """Others hold the terminals at *bar_mv*; None: nothing is on the bar."""
        old = self.plant.bar_mv
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
        for name in FIELDS:                 # in this order, whatever order they came in
            if name in fields:
                checked.append((name, self._check(name, fields[name])))
        for name in fields:
            if name not in FIELDS:
                raise ValueError("set: unknown field %r; the stand knows %s"
                                 % (name, ", ".join(FIELDS)))
        self.advance(now_us)
        charger = {}
        for name, value in checked:
            if name == "charger_mv" or name == "charger_ma":
                charger[name] = value
            else:
                self._apply(name, value, now_us)
        if charger:
            self._set_charger(charger, now_us)
        self.afe.plant_changed(now_us)

    def _check(self, name, value):
        if name == "current_ma":
            return _number_or_none(name, value, -4_000_000, 4_000_000)
        if name == "charger_mv":
            return _number_or_none(name, value, 0, 100_000)
        if name == "charger_ma" or name == "load_ma":
            return _number_or_none(name, value, 0, 1_000_000)
        if name == "load":
            if value not in ("open", "short", None):
                raise ValueError("load: %r; \"open\" or \"short\"" % (value,))
            return value
        if name == "cell_mv":
            return _series(name, value, CELLS, -200, 6000)
        if name == "cell_temp_dc":
            return _series(name, value, GROUPS, -600, 2000)
        if name == "ambient_dc" or name == "mos_dc":
            return _number_or_none(name, value, -600, 2000)
        if name == "dip":
            return int(_number(name, value, 0, 15))
        if name == "clock":
            if self.rtc is None:
                raise ValueError("clock: no clock chip is fitted")
            if value is not None:
                rtc_model.parse_iso(value)
            return value
        if name == "fault":
            if not isinstance(value, dict):
                raise ValueError("fault: %r; an object {kind: value or null}" % (value,))
            return [(kind, _fault_value(kind, value[kind])) for kind in value]
        return _flag(name, value)           # rocker, rst, reverse

    def _apply(self, name, value, now_us):
        plant = self.plant
        if name == "current_ma":
            plant.apply(now_us, force_ma=value)
        elif name == "load":
            # "open" takes everything off; a load_ma in the same call comes after it
            if value == "short":
                plant.apply(now_us, shorted=True)
            else:
                plant.apply(now_us, shorted=False, load_ma=None)
        elif name == "load_ma":
            plant.apply(now_us, load_ma=value)
        elif name == "cell_mv":
            for index, mv in value:
                plant.set_cell_mv(index, mv, now_us)
        elif name == "cell_temp_dc":
            for index, dc in value:
                plant.set_group_dc(index, dc, now_us)
        elif name == "ambient_dc":
            plant.set_ambient_dc(value, now_us)
        elif name == "mos_dc":
            plant.set_mos_dc(value, now_us)
        elif name == "reverse":
            plant.apply(now_us, reverse=value)
        elif name == "clock":
            if value is None:               # its battery was out
                self.rtc.lost = True
            else:
                self.rtc.show(value, now_us)
        elif name == "fault":
            for kind, setting in value:
                self._set_fault(kind, setting, now_us)
        else:
            if name == "rocker":
                self.rocker = 1 if value else 0
            elif name == "rst":
                self.rst = 1 if value else 0
            else:
                self.dip = value
            self._show_inputs()

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

    def _set_fault(self, kind, value, now_us):
        afe = self.afe
        if kind.startswith("rtc_"):
            if self.rtc is None:
                raise ValueError("fault %s: no clock chip is fitted" % kind)
            if kind == "rtc_dead":
                self.rtc.dead = value
            else:
                if value:
                    self.rtc.jump(value, now_us)
                value = None                # over as soon as it happened
        elif kind in _PLANT_FLAG:
            if kind == "fet_weld_chg":
                self.plant.apply(now_us, weld_chg=value)
            elif kind == "fet_weld_dsg":
                self.plant.apply(now_us, weld_dsg=value)
            elif kind == "fet_open_chg":
                self.plant.apply(now_us, dead_chg=value)
            else:
                self.plant.apply(now_us, dead_dsg=value)
        elif kind == "afe_silent":
            afe.silent = value
        elif kind == "afe_stuck_low":
            afe.stuck_low = value
        elif kind == "afe_stuck_high":
            afe.stuck_high = value
        elif kind == "afe_brownout":
            if value:
                afe.brownout(now_us)
            value = None                    # over as soon as it happened
        elif kind == "afe_config_lost":
            if value:
                afe.lose_config(now_us)
            value = None
        elif kind == "afe_frozen":
            afe.freeze(value, now_us)
        elif kind == "afe_crc":
            afe.crc_rate = value or 0.0
        elif kind == "afe_late_ms":
            afe.late_us = int((value or 0) * 1000)
        elif kind == "open_wire":
            afe.open_wire = value
        elif kind == "swapped_cells":
            afe.swapped = value
        elif kind == "ntc_open":
            afe.ntc_open = value
        elif kind == "ntc_short":
            afe.ntc_short = value
        elif kind == "shunt_gain":
            afe.shunt_gain = 1.0 if value is None else float(value)
        elif kind == "shunt_offset_ma":
            afe.shunt_offset_ma = float(value or 0)
        elif kind == "shunt_sign":
            afe.shunt_sign = value or 1
        elif kind[:4] == "can_":
            value = self._set_can_fault(kind, value, now_us)
        if value is None or value is False:
            self.faults.pop(kind, None)
        else:
            self.faults[kind] = value
        afe.faults_changed(now_us)

    def _set_can_fault(self, kind, value, now_us):
        can = self.can
        if kind == "can_reset":
            if value:
                can.reset(now_us)
            return None                     # over as soon as it happened
        if kind == "can_no_ack":
            can.no_ack = value
        elif kind == "can_bus_off":
            can.destroyed = value
        else:
            can.flood = value
        can.faults_changed(now_us)
        return value
