"""What the physical model holds against whoever switches the FETs.

It knows the cells, the FETs and what hangs on the terminals, and nothing of the controller's
rules: the limits are those of the parts. The cell model calls step() with every stretch of time
in which nothing changed, and closing() when a FET has closed. Where nothing is wrong a step is a
few comparisons.

found() lists [kind, where, since_ms, worst]:

  kind             where        worst       when
  over_3700_mv     cell         mV          charged for more than 5 s
  over_3650_mv     cell         mV          charged for more than 60 s
  under_1900_mv    cell         mV          discharged for more than 5 s
  under_2400_mv    cell         mV          discharged for more than 60 s
  cold_charge      cell group   0.1 degC    below 0 degC, for more than 15 s
  hot_charge       cell group   0.1 degC    above 60 degC, so
  cold_discharge   cell group   0.1 degC    below -25 degC, so
  hot_discharge    cell group   0.1 degC    above 65 degC, so
  over_350_a       "path"       mA          for more than 1 ms, in either direction
  over_220_a       "path"       mA          for more than 1 s
  over_115_a       "path"       mA          for more than 60 s
  fet_hot          "mos"        0.1 degC    above 125 degC with current; a temperature that was
                                            set from outside counts after 15 s
  chatter          "chg" "dsg"  closings    more than 30 within a minute
  hard_closing     "chg" "dsg"  mV          closed onto a difference of more than 3 V with nothing
                                            in between that keeps the surge below 100 A; after
                                            0.1 s of pre-discharge 350 A: a resistor of 1 ohm
                                            cannot lift a capacitor beside a load any higher
  dark             "dsg"        ms          a load is there, the pack is well, and the discharge
                                            FET is open for more than 2 s; on a bus bar: the bar
                                            is dead though something draws from it

The three currents are those of a product of 100 A; scale is how much more another is made for.

A break shorter than a fifth of what a condition may last does not end it. since_ms is when it
began; the trace has an edge harm.<kind> 1 when it became harm, and 0 at its end.

A pack that would be well if no fault were injected has its dark times in dark_fault in place of
a row: whether the fault excuses them is for others to say.

Well means: cells 2.8 to 3.55 V and within 300 mV, cell temperatures -10 to 50 degC, FETs below
80 degC, ambient -15 to 60 degC; a load of 50 A at most, without voltage; no fault was ever
injected; nothing is forced or reversed; the controller has been powered, without a reset, with
its rocker on, for 5 s (30 s in a fleet), and is not asleep. It may sleep (ON/OFF lamp dark) after
its button was pressed, after an empty cell, and after ten minutes without current. An
over-current excuses an open FET for 75 s; five of them, or a short circuit, until charge current
flows or the load has gone. An empty cell (below 2.8 V) excuses it until charge current has flown
or all cells are above 3.3 V. A command of the host is not seen.
"""

CURRENT_MA = 100.0          # less does no harm in the times that are judged
CHARGE_SEEN_MA = 1000.0

# kind: us that it may last
LIMITS_US = {
    "over_3700_mv": 5_000_000, "over_3650_mv": 60_000_000,
    "under_1900_mv": 5_000_000, "under_2400_mv": 60_000_000,
    "cold_charge": 15_000_000, "hot_charge": 15_000_000,
    "cold_discharge": 15_000_000, "hot_discharge": 15_000_000,
    "over_350_a": 1_000, "over_220_a": 1_000_000, "over_115_a": 60_000_000,
    "fet_hot": 0, "dark": 2_000_000, "dark_fault": 2_000_000,
}
_SET_FET_US = 15_000_000
_BREAK = 5                  # a pause of limit / 5 ends a condition
_MINUTE_US = 60_000_000
_MOST_CLOSINGS = 30
_HARD_MV = 3_000.0
_HARD_MA = 100_000.0
_CHARGED_MA = 350_000.0

_DARK_LOAD_MA = 50_000.0
_AWAKE_US = 5_000_000
_FLEET_US = 30_000_000      # a fleet finds its master first
_AFTER_OVER_US = 75_000_000
_IDLE_US = 600_000_000
_LAMP_US = 5_000_000        # the ON/OFF lamp is dark for so long: asleep
_OVER_MA = 100_000.0
_SHORT_MA = 300_000.0
_FEW = 5


class Harm:
    """on_edge: called with (t_us, signal, value), as the stand's trace takes them.

    Told by the stand: faulty (a fault was injected), controller(), lamp(), button().
    """

    def __init__(self, scale=1.0):
        self.on_edge = None
        self.scale = scale
        self.faulty = False
        self.bar_load_ma = 0        # of a bus bar that nobody holds up
        self.dark_us = 0            # for how long a load has been without supply, well or not
        self._found = {}            # (kind, FET or None): [where, since_ms, worst]
        self._running = {}          # kind: [us true, us not true since, since_us, where, worst]
        self._closed = {"chg": [], "dsg": []}       # us of the closings of the last minute
        self._alive_us = 0          # None: off | since when the controller is powered
        self._lamp_us = None        # None: ON/OFF is lit | dark since
        self._may_sleep = False
        self._flowed_us = 0         # when current last flowed
        self._empty = False
        self._overs = 0             # over-currents since the last charge
        self._over_us = -_AFTER_OVER_US
        self._was_over = self._shorted = False

    def found(self):
        """[[kind, where, since_ms, worst], ...] in the order of what was found first."""
        rows = [[key[0]] + row for key, row in self._found.items() if key[0] != "dark_fault"]
        rows.sort(key=lambda row: (row[2], row[0]))
        return rows

    def dark_fault(self):
        """None, or [since_ms, ms] of the longest dark time that only a fault can excuse."""
        row = self._found.get(("dark_fault", None))
        return None if row is None else row[1:]

    # -- what the stand tells --------

    def controller(self, running, now_us):
        """It was switched on or off, by supply or rocker, or was reset."""
        self._alive_us = now_us if running else None

    def lamp(self, lit, now_us):
        """The ON/OFF lamp."""
        self._lamp_us = None if lit else now_us
        if lit:
            self._may_sleep = False
        elif self._empty or now_us - self._flowed_us > _IDLE_US:
            self._may_sleep = True

    def button(self, now_us):
        """RST was pressed or let go."""
        self._may_sleep = True

    # -- what the cell model tells --------

    def step(self, plant, t_us, dt):
        """From *t_us* on nothing changed for *dt*; *plant* is still as it was then."""
        i = plant.current_ma
        seen = None
        if i > CURRENT_MA:
            self._flowed_us = t_us + dt
            if i > CHARGE_SEEN_MA:
                self._empty = self._shorted = False
                self._overs = 0
            top = max(plant.epoch[1])
            groups = plant.group_c
            if top > 3650.0 or min(groups) < 0.0 or max(groups) > 60.0 or (
                    i > 115_000.0 * self.scale):
                seen = self._charging(plant, i, top)
        elif i < -CURRENT_MA:
            self._flowed_us = t_us + dt
            bottom = min(plant.epoch[1])
            groups = plant.group_c
            if bottom < 2800.0:
                self._empty = True
            if bottom < 2400.0 or min(groups) < -25.0 or max(groups) > 65.0 or (
                    i < -115_000.0 * self.scale):
                seen = self._discharging(plant, i, bottom)
        if i < -_OVER_MA * self.scale or self._was_over:
            self._over(i, t_us)
        if plant.mos_c > 125.0 and (i > CURRENT_MA or i < -CURRENT_MA):
            seen = seen or []
            seen.append(("fet_hot", "mos", int(plant.mos_c * 10)))
        if (plant.load_ma or self.bar_load_ma) and not plant.dsg_closed():
            if self._dark(plant, t_us, dt):
                seen = seen or []
                seen.append(("dark_fault" if self.faulty else "dark", "dsg", 0))
        elif self.dark_us:
            self.dark_us = 0
        if seen is not None or self._running:
            self._count(seen or (), plant, t_us, dt)

    def _currents(self, ma):
        seen = []
        for kind, limit in (("over_115_a", 115_000.0), ("over_220_a", 220_000.0),
                            ("over_350_a", 350_000.0)):
            if ma > limit * self.scale:
                seen.append((kind, "path", int(ma)))
        return seen

    def _charging(self, plant, i, top):
        seen = self._currents(i)
        cells, groups = plant.epoch[1], plant.group_c
        for kind, limit in (("over_3650_mv", 3650.0), ("over_3700_mv", 3700.0)):
            if top > limit:
                seen.append((kind, cells.index(top), int(top)))
        low, high = min(groups), max(groups)
        if low < 0.0:
            seen.append(("cold_charge", groups.index(low), int(low * 10)))
        if high > 60.0:
            seen.append(("hot_charge", groups.index(high), int(high * 10)))
        return seen

    def _discharging(self, plant, i, bottom):
        seen = self._currents(-i)
        cells, groups = plant.epoch[1], plant.group_c
        for kind, limit in (("under_2400_mv", 2400.0), ("under_1900_mv", 1900.0)):
            if bottom < limit:
                seen.append((kind, cells.index(bottom), int(bottom)))
        low, high = min(groups), max(groups)
        if low < -25.0:
            seen.append(("cold_discharge", groups.index(low), int(low * 10)))
        if high > 65.0:
            seen.append(("hot_discharge", groups.index(high), int(high * 10)))
        return seen

    def _count(self, seen, plant, t_us, dt):
        running = self._running
        for kind in list(running):
            row = running[kind]
            row[1] += dt
            if row[1] * _BREAK > LIMITS_US[kind] and not any(s[0] == kind for s in seen):
                del running[kind]
                if row[0] > self._may_last(kind, plant):
                    self._edge(kind, t_us + dt, 0)
        for kind, where, value in seen:
            row = running.get(kind)
            if row is None:
                row = running[kind] = [0, 0, t_us, where, value]
            limit = self._may_last(kind, plant)
            before = row[0]
            row[0] += dt
            row[1] = 0
            if kind[:4] == "dark":
                value = row[0] // 1000
            if value < row[4] if kind[:5] == "under" or kind[:4] == "cold" else value > row[4]:
                row[3], row[4] = where, value
            if row[0] > limit:
                self._note(kind, None, row[3], row[2], row[4])
                if before <= limit:
                    self._edge(kind, t_us + dt, 1)

    @staticmethod
    def _may_last(kind, plant):
        if kind == "fet_hot" and plant.mos_is_set():
            return _SET_FET_US
        return LIMITS_US[kind]

    def _note(self, kind, fet, where, since_us, worst):
        row = self._found.get((kind, fet))
        if row is None:
            self._found[(kind, fet)] = [where, since_us // 1000, worst]
        elif worst < row[2] if kind[:5] == "under" or kind[:4] == "cold" else worst > row[2]:
            row[0], row[2] = where, worst
            if kind == "dark_fault":
                row[1] = since_us // 1000

    def _edge(self, kind, t_us, value):
        if self.on_edge is not None and kind != "dark_fault":
            self.on_edge(t_us, "harm." + kind, value)

    def closing(self, fet, difference_mv, surge_ma, t_us, charged=False):
        """*fet* has closed. Before that *difference_mv* lay across the open path; *surge_ma* is
        what flows now beyond what the charger and the load may take; *charged*: pre-discharge
        had come first."""
        times = self._closed[fet]
        times.append(t_us)
        while times[0] <= t_us - _MINUTE_US:
            times.pop(0)
        if len(times) > _MOST_CLOSINGS:
            self._note("chatter", fet, fet, times[0], len(times))
            if len(times) == _MOST_CLOSINGS + 1:
                self._edge("chatter", t_us, 1)
        if difference_mv > _HARD_MV and surge_ma > (_CHARGED_MA if charged else _HARD_MA):
            self._note("hard_closing", fet, fet, t_us, int(difference_mv))
            self._edge("hard_closing", t_us, 1)
            self._edge("hard_closing", t_us, 0)

    # -- a healthy pack that serves no load --------

    def _over(self, i, t_us):
        over = i < -_OVER_MA * self.scale
        if over:
            self._over_us = t_us
            if i < -_SHORT_MA * self.scale:
                self._shorted = True
            if not self._was_over:
                self._overs += 1
        self._was_over = over

    def load_gone(self):
        """Nothing draws any more."""
        self._shorted = False
        self._overs = 0

    def _dark(self, plant, t_us, dt):
        """A load is there and the discharge FET is open: True if only a fault may excuse it."""
        self.dark_us += dt
        cells, groups = plant.epoch[1], plant.group_c
        low, high = min(cells), max(cells)
        if low < 2800.0:
            self._empty = True
        elif low > 3300.0:
            self._empty = False
        if (self._empty or self._shorted or self._overs >= _FEW
                or high > 3550.0 or high - low > 300.0):
            return False
        if (min(groups) < -10.0 or max(groups) > 50.0 or plant.mos_c > 80.0
                or not -15.0 <= plant.ambient_c <= 60.0):
            return False
        if (max(plant.load_ma or 0, self.bar_load_ma) > _DARK_LOAD_MA * self.scale
                or plant.pack_mv > plant.epoch[3] - 3000.0
                or plant.force_ma is not None or plant.shorted or plant.reverse
                or plant.bar_mv is not None):
            return False
        wait_us = _FLEET_US if self.bar_load_ma else _AWAKE_US
        if self._alive_us is None or t_us - self._alive_us < wait_us:
            return False
        if t_us - self._over_us < _AFTER_OVER_US:
            return False
        asleep = self._lamp_us is not None and t_us - self._lamp_us > _LAMP_US
        return not (asleep and self._may_sleep)
