"""LFP cells in series, 16 unless told otherwise, two FETs, a shunt, a charger and a load.

One source for CPython and MicroPython's unix port (64-bit integers, double floats).

How a cell behaves, and where the figures come from
* Open-circuit voltage against state of charge: the shape every published low-rate test of
  LFP on graphite shows (A123 26650 and Lithium Werks data sheets, EVE and CATL prismatic
  cells in the literature): a knee below 10 %, a shelf near 3.29 V up to 60 %, a step of some
  30 mV at the graphite stage change, a shelf near 3.33 V up to 95 %, a steep end. The table
  below is our own drawing of that shape. It goes on past 0 and 100 %, so that abuse can be
  modelled: the curve falls or rises quickly there.
* Hysteresis: the rest voltage after charge lies above that after discharge by 5 to 25 mV;
  here by 2 * 9 mV, approached within a few per cent of charge moved.
* Entropy: some tenths of a millivolt a kelvin.
* Resistance: 0.5 mOhm ohmic for 100 Ah at 25 degC, an Arrhenius factor (about 2 at 0 degC),
  more at the ends of the charge range, two diffusion branches (30 s and 600 s). The branches
  have the same time constants in all cells, so that one filtered current each does for all
  sixteen: a cell's polarisation is its resistance times that current.
* Spread: capacity +-1 %, resistance +-5 %, self-discharge 2 to 5 mA per 100 Ah.
* Heat: four groups of a quarter of the cells (about 2 kg each), a MOSFET heat sink, one ambient.

Current is positive when charging. Between steps everything is constant.

The path: cells - shunt - charge FET - discharge FET - terminals. A FET that is open still
lets current pass through its body diode: the charge FET's in the direction of discharge, the
discharge FET's in that of charge. So charge needs the charge FET closed, and discharge needs
the discharge FET closed. Beside the discharge FET lies the pre-discharge path: a small FET and a
resistor. At the terminals hang a capacitor with a resistance in series, a leak and the charger
and load that a test sets; a closing FET empties into the capacitor what the resistances allow.

Left out: inductance (a surge begins at once), the terminals' capacitor while others hold the
voltage (bus bar, forced current, reversed charger: it follows through its own resistance and its
current is not the pack's), the limiter in a surge out of the capacitor.
"""

import math

CELLS = 16
GROUPS = 4
GRID_US = 100_000
FAR_US = 1 << 60

_MASK32 = 0xFFFFFFFF

# Open-circuit voltage in mV, mean of both directions, 25 degC: (per cent of charge, mV)
_OCV_POINTS = (
    (-6.0, 0.0), (-4.0, 1200.0), (-2.0, 2000.0), (-1.0, 2320.0), (0.0, 2560.0), (0.5, 2680.0),
    (1.0, 2780.0), (2.0, 2905.0), (3.0, 2985.0), (4.0, 3045.0), (5.0, 3090.0), (7.0, 3150.0),
    (9.0, 3190.0), (11.0, 3206.0), (14.0, 3214.0), (17.0, 3228.0), (20.0, 3243.0),
    (24.0, 3257.0), (28.0, 3270.0), (32.0, 3280.0), (36.0, 3285.0), (40.0, 3287.5),
    (45.0, 3289.0), (50.0, 3290.5), (55.0, 3293.0), (58.0, 3297.0), (61.0, 3304.0),
    (64.0, 3315.0), (67.0, 3323.0), (70.0, 3326.5), (75.0, 3328.0), (80.0, 3329.0),
    (85.0, 3330.0), (90.0, 3331.5), (93.0, 3333.5), (95.0, 3336.0), (96.0, 3339.0),
    (97.0, 3344.0), (98.0, 3355.0), (98.5, 3366.0), (99.0, 3384.0), (99.5, 3412.0),
    (100.0, 3455.0), (100.5, 3520.0), (101.0, 3610.0), (102.0, 3850.0), (104.0, 4400.0),
    (106.0, 5000.0),
)
_LOW = -0.06                # the tables' first and last state of charge
_HIGH = 0.06 + 1.0
_PER_UNIT = 400             # table steps per 100 %
_ROWS = 448

# Resistance against charge, times the value at the middle
_R_POINTS = ((-6.0, 3.0), (0.0, 2.4), (3.0, 1.8), (6.0, 1.45), (10.0, 1.25), (20.0, 1.08),
             (35.0, 1.0), (85.0, 1.0), (95.0, 1.1), (100.0, 1.3), (106.0, 1.8))

_R0_UOHM_100AH = 500.0
_ARRHENIUS_K = 2500.0
_RHO1 = 0.55                # branch resistances, of R0
_RHO2 = 0.75
_TAU1_US = 30e6
_TAU2_US = 600e6
_HYST_MV = 9.0
_HYST_RATE = 40.0           # 1/e after 1/40 of the capacity
_ENTROPY_MV_K = 0.12
_COULOMBIC = 0.9995         # of the charge put in

_SHUNT_UOHM = 250.0
_FETS_UOHM = 900.0
_LEADS_UOHM = 600.0
_SHORT_UOHM = 8_000.0
_DIODE_MV = 750.0
_LIMITER_MA = 10_000.0      # what the limiting circuit lets through
_LOAD_FULL_MV = 40_000.0    # below it a load on the pre-discharge path takes less current
_FLOAT_TAU_US = 1.5e6       # terminals with nothing on them but the pins
_PIN_MS = 1e-7              # what the pins at the terminals draw, mA per mV
_SURGE_MA = 1_000.0         # a capacitor that takes more than this is watched closely
_SURGE_LEAST_US = 20
_SURGE_MOST_US = 10_000
_CHARGED_US = 100_000       # so much pre-discharge has charged what it can
_SWITCH_US = 30.0           # a FET is between open and closed for so long
_BLEED_OHM = 68.0           # 2 * 20 ohm in the sense lines and the switch

_GROUP_J_K = 8_000.0
_GROUP_W_K = (1.6, 1.2, 1.2, 1.6)
_NEIGHBOUR_W_K = 2.5
_MOS_J_K = 90.0
_MOS_W_K = 1.1
_HEAT_EVERY_US = 1_000_000

DEFAULT_CHARGER_MV = 56_800
DEFAULT_CHARGER_MA = 50_000


class Xorshift:
    """Pseudo-random integers, the same on every interpreter."""

    def __init__(self, seed):
        self.x = (seed * 0x9E3779B1 + 0x7F4A7C15) & _MASK32 or 1
        for _ in range(8):
            self.next()

    def next(self):
        """32 bits."""
        x = self.x
        x ^= (x << 13) & _MASK32
        x ^= x >> 17
        x ^= (x << 5) & _MASK32
        self.x = x
        return x

    def uniform(self, low, high):
        return low + (high - low) * (self.next() / 4294967296.0)

    def gauss(self):
        """Mean 0, deviation 1, never beyond 3.5."""
        total = 0.0
        for _ in range(12):
            total += self.next() / 4294967296.0
        total -= 6.0
        return max(-3.5, min(3.5, total))


def _tabulate(points):
    """Points (per cent, value) -> list of _ROWS + 1 values on the even grid."""
    values = []
    k = 0
    for row in range(_ROWS + 1):
        x = (_LOW + row / _PER_UNIT) * 100.0
        while k < len(points) - 2 and x > points[k + 1][0]:
            k += 1
        x0, y0 = points[k]
        x1, y1 = points[k + 1]
        part = (x - x0) / (x1 - x0)
        values.append(y0 + (y1 - y0) * max(0.0, min(1.0, part)))
    return values


def curve_of(points):
    """The table of a cell's rest voltage from *points* (per cent of charge, mV) within 0 and
    100 %; beyond these it falls and rises as steeply as any cell's."""
    points = sorted((float(x), float(y)) for x, y in points)
    low, high = points[0][1], points[-1][1]
    return _tabulate([(-6.0, 0.0), (-2.0, min(2000.0, low - 300.0))] + points
                     + [(102.0, high + 400.0), (106.0, 5000.0)])


_OCV_MV = _tabulate(_OCV_POINTS)
_R_FACTOR = _tabulate(_R_POINTS)


def ocv_mv(soc, temp_c=25.0, table=_OCV_MV):
    """Open-circuit voltage of the model cell, without hysteresis."""
    x = (min(max(soc, _LOW), _HIGH - 1e-9) - _LOW) * _PER_UNIT
    k = min(int(x), _ROWS - 1)
    value = table[k] + (x - k) * (table[k + 1] - table[k])
    return value + (temp_c - 25.0) * _ENTROPY_MV_K * (soc - 0.3)


class Plant:
    """The cells and what hangs on them.

    seed          spread of the cells
    soc           state of charge at the start, 0..1
    temp_c        ambient, and of everything at the start
    capacity_ah   rated; soh scales it (and raises the resistance)
    imbalance_mv  spread of the open-circuit voltages at the start, made by state of charge;
                  where the curve is flat it is kept within +-15 % of charge
    cells         in series, 8 to 16
    curve         rest curve [(per cent, mV), ...], mean of both directions; None: that above
    hyst_mv       half the distance of the rest voltages after charge and after discharge
    leak_ma       self-discharge of each cell; None: drawn
    shunt_uohm    the shunt
    board         figures of board.draw(): what hangs on the terminals, and the resistor of the
                  pre-discharge path; None: nothing does

    harm          None | Harm, which is shown every stretch of time

    Read by others: epoch (t_us, cell_mv list, current_ma, stack_mv, pack_mv, balance mask),
    replaced at every change and never altered; next_us; mos_c, ambient_c, die_c, group_c.
    """

    def __init__(self, seed=1, soc=0.5, temp_c=25.0, capacity_ah=100.0, soh=1.0,
                 imbalance_mv=0.0, start_us=0, board=None, cells=CELLS, curve=None,
                 hyst_mv=_HYST_MV, leak_ma=None, shunt_uohm=_SHUNT_UOHM):
        rng = Xorshift(seed)
        self.t_us = start_us
        self.grid_us = GRID_US
        self.next_us = start_us + GRID_US
        self.nominal_mah = capacity_ah * 1000.0
        self.cells = cells
        self._ocv = _OCV_MV if curve is None else curve_of(curve)
        self._hyst_mv = hyst_mv
        self.shunt_uohm = shunt_uohm
        cap = []
        self._r25 = []
        self._leak_ma = []
        base = _R0_UOHM_100AH * 100.0 / capacity_ah * (1.0 + 1.5 * (1.0 - soh))
        for _ in range(cells):
            cap.append(self.nominal_mah * soh * rng.uniform(0.99, 1.01))
            self._r25.append(base * rng.uniform(0.95, 1.05) * 1e-6)     # mA * this = mV
            drawn = rng.uniform(2.0, 5.0) * capacity_ah / 100.0
            self._leak_ma.append(drawn if leak_ma is None else float(leak_ma))
        self.cap_mah = cap
        self._per_mah = [1.0 / c for c in cap]
        # charge: state of charge of cell i = _soc0[i] + _charge_mah * _per_mah[i]
        self._charge_mah = 0.0
        self._soc0 = self._initial_soc(rng, soc, imbalance_mv)
        self._leak_us = [start_us] * cells
        self._hyst = 0.0
        self._i1 = 0.0          # current behind the 30 s and the 600 s branch
        self._i2 = 0.0
        self._k_dt = 0
        self._k1 = self._k2 = 0.0
        # per cell, refreshed in turn: voltage = _b + _s * _charge_mah + _r * (...)
        self._b = [0.0] * cells
        self._s = [0.0] * cells
        self._r = [0.0] * cells
        self._group_of = [i * GROUPS // cells for i in range(cells)]
        self._turn = 0
        # temperatures
        self._temp_c0 = float(temp_c)
        self.ambient_c = float(temp_c)
        self.group_c = [float(temp_c)] * GROUPS
        self.mos_c = float(temp_c)
        self.die_c = float(temp_c) + 3.0
        self._group_set = [None] * GROUPS   # type: list
        self._mos_set = None
        self._heat = 0.0        # integral of I * (I + polarisation), mA^2 us
        self._mos_heat = 0.0    # integral of the FETs' power, mW us
        self._heat_us = start_us
        # what hangs on it
        self.charger_mv = None
        self.charger_ma = None
        self.load_ma = None
        self.shorted = False
        self.force_ma = None
        self.bar_mv = None      # None: terminals are this pack's alone | voltage of the bus bar
        self.bar_only_ma = None     # None | nobody else is on it, and the load there takes this
        self.reverse = False
        self.limiter = False
        self.ld_source = False
        self._cell_set = [None] * cells     # type: list
        self._any_cell_set = False
        self.chg_gate = self.dsg_gate = self.pdsg = False
        self._pdsg_us = self._charged_us = -FAR_US      # it began; it ended after long enough
        self.harm = None
        self.closings = [0, 0]              # of the charge and the discharge FET
        self._i2_us = 0.0                   # integral of the current's square, mA^2 us
        self._diode_us = [0.0, 0.0]         # of the current through each body diode, mA us
        self._switch_mj = [0.0, 0.0]        # lost while switching
        self._cap_mv = 0.0                  # voltage of the terminals' capacitor itself
        self._cap_ma = 0.0                  # into it
        self._cap_r = 1.0                   # ohm that its charge passes
        self._take_board(board or {})
        self.weld_chg = self.weld_dsg = self.dead_chg = self.dead_dsg = False
        self.balance = 0
        self.current_ma = 0.0
        self.pack_mv = 0.0
        self.epoch = (start_us, [0.0] * cells, 0.0, 0.0, 0.0, 0)
        self.throughput_mah = 0.0
        self._emf = self._ohm = 0.0
        self._refresh(cells)
        self._solve(0)

    def _initial_soc(self, rng, soc, imbalance_mv):
        socs = []
        count = self.cells
        spread = [rng.uniform(-0.5, 0.5) for _ in range(count)]
        high = rng.next() % count
        spread[high] = 0.5
        spread[(high + 1 + rng.next() % (count - 1)) % count] = -0.5
        middle = ocv_mv(soc, 25.0, self._ocv)
        for part in spread:
            if not imbalance_mv:
                socs.append(float(soc))
                continue
            want = middle + part * imbalance_mv
            low, top = max(_LOW, soc - 0.15), min(_HIGH, soc + 0.15)
            for _ in range(40):
                half = (low + top) / 2
                if ocv_mv(half, 25.0, self._ocv) < want:
                    low = half
                else:
                    top = half
            socs.append((low + top) / 2)
        return socs

    # -- time --------

    def step(self, dt_us):
        """Let *dt_us* pass in one step (for studies without a chip)."""
        self.step_to(self.t_us + dt_us)

    def pace(self, grid_us, now_us):
        """Step by itself each *grid_us* from now on: at rest nothing moves fast."""
        self.grid_us = grid_us
        self.next_us = now_us + grid_us

    def step_to(self, now_us):
        """Integrate up to *now_us* at the present current, then find the new one."""
        dt = now_us - self.t_us
        if dt > 0:
            if self.harm is not None:
                self.harm.step(self, self.t_us, dt)
            if self._cap_uf:
                self._fill(dt)
            i = self.current_ma
            if dt != self._k_dt:
                self._k_dt = dt
                self._k1 = 1.0 - math.exp(-dt / _TAU1_US)
                self._k2 = 1.0 - math.exp(-dt / _TAU2_US)
            polar = _RHO1 * self._i1 + _RHO2 * self._i2
            self._heat += i * (i + polar) * dt
            self._i1 += (i - self._i1) * self._k1
            self._i2 += (i - self._i2) * self._k2
            if i:
                moved = i * dt / 3.6e9
                self._mos_heat += self._fet_mw(i) * dt
                self._i2_us += i * i * dt
                if i < 0.0 and not self.chg_closed():
                    self._diode_us[0] -= i * dt
                elif i > 0.0 and not self.dsg_closed():
                    self._diode_us[1] += i * dt
                if moved > 0:
                    self.throughput_mah += moved
                    self._charge_mah += moved * _COULOMBIC
                    k = moved * _HYST_RATE / self.nominal_mah
                    self._hyst += (1.0 - self._hyst) * min(1.0, k)
                else:
                    self._charge_mah += moved
                    self.throughput_mah -= moved
                    k = -moved * _HYST_RATE / self.nominal_mah
                    self._hyst -= (1.0 + self._hyst) * min(1.0, k)
            self.t_us = now_us
            if now_us - self._heat_us >= _HEAT_EVERY_US:
                self._warm(now_us)
            if dt > GRID_US:
                self._refresh(self.cells)
            elif dt >= 10_000:
                self._refresh(4)
            if now_us >= self.next_us:
                self.next_us += self.grid_us
                if self.next_us <= now_us:
                    self.next_us = now_us + self.grid_us
        self._solve(dt)

    def _refresh(self, count):
        """New straight pieces of curve and resistances for the next *count* cells."""
        now = self.t_us
        turn = self._turn
        per = self._per_mah
        charge = self._charge_mah
        ocv = self._ocv
        cells = self.cells
        for _ in range(count):
            i = turn
            turn += 1
            if turn == cells:
                turn = 0
            past = now - self._leak_us[i]
            if past > 0:
                drain = self._leak_ma[i]
                if self.balance >> i & 1:
                    drain += self.epoch[1][i] / _BLEED_OHM
                self._soc0[i] -= drain * past / 3.6e9 * per[i]
                self._leak_us[i] = now
            soc = self._soc0[i] + charge * per[i]
            x = (soc - _LOW) * _PER_UNIT
            k = int(x)
            if x < 0.0:
                k = 0
                x = 0.0
            elif k >= _ROWS:
                k = _ROWS - 1
                x = float(_ROWS)
            slope = (ocv[k + 1] - ocv[k]) * _PER_UNIT * per[i]
            temp = self.group_c[self._group_of[i]]
            value = ocv[k] + (x - k) * (ocv[k + 1] - ocv[k])
            value += (temp - 25.0) * _ENTROPY_MV_K * (soc - 0.3)
            self._s[i] = slope
            self._b[i] = value - slope * charge
            factor = math.exp(_ARRHENIUS_K * (1.0 / (temp + 273.15) - 1.0 / 298.15))
            self._r[i] = self._r25[i] * _R_FACTOR[k] * factor
        self._turn = turn

    def _warm(self, now_us):
        span = now_us - self._heat_us
        self._heat_us = now_us
        dt_s = span / 1e6
        heat = max(0.0, self._heat) / span              # mean mA^2
        self._heat = 0.0
        mos_w = self._mos_heat / span / 1000.0
        self._mos_heat = 0.0
        groups = self.group_c
        ambient = self.ambient_c
        old = list(groups)
        r = self._r
        bleed_w = 0.0
        if self.balance:
            bleed_w = 0.18 * sum([self.balance >> i & 1 for i in range(self.cells)])
        ohms = [0.0] * GROUPS
        for i in range(self.cells):
            ohms[self._group_of[i]] += r[i]
        steps = 1 + int(dt_s / 60)                       # long steps in pieces of a minute
        dt_s /= steps
        for _ in range(steps):
            old = list(groups)
            for g in range(GROUPS):
                if self._group_set[g] is not None:
                    groups[g] = self._group_set[g]
                    continue
                watt = heat * ohms[g] * 1e-6
                watt -= _GROUP_W_K[g] * (old[g] - ambient)
                if g:
                    watt -= _NEIGHBOUR_W_K * (old[g] - old[g - 1])
                if g < GROUPS - 1:
                    watt -= _NEIGHBOUR_W_K * (old[g] - old[g + 1])
                groups[g] = old[g] + watt * dt_s / _GROUP_J_K
            # the heat sink settles in about a minute and a half: exact step
            rest = ambient + mos_w / _MOS_W_K
            self.mos_c = rest + (self.mos_c - rest) * math.exp(-dt_s * _MOS_W_K / _MOS_J_K)
        if self._mos_set is not None:
            self.mos_c = self._mos_set
        self.die_c = ambient + 3.0 + 0.35 * (self.mos_c - ambient) + 12.0 * bleed_w

    def _fet_mw(self, i):
        amps = abs(i) / 1000.0
        mw = amps * amps * (_FETS_UOHM + self.shunt_uohm) / 1000.0
        if i > 0 and not self.dsg_closed() or i < 0 and not self.chg_closed():
            mw += amps * _DIODE_MV
        return mw

    # -- circuit --------

    def chg_closed(self):
        return self.weld_chg or self.chg_gate and not self.dead_chg

    def dsg_closed(self):
        return self.weld_dsg or self.dsg_gate and not self.dead_dsg

    def _solve(self, dt):
        """Find the current and every voltage from the state; make a new epoch."""
        b, s, r = self._b, self._s, self._r
        charge = self._charge_mah
        polar = _RHO1 * self._i1 + _RHO2 * self._i2
        hyst = self._hyst * self._hyst_mv
        if self._any_cell_set:
            emf = ohm = 0.0
            for k in range(self.cells):
                fixed = self._cell_set[k]
                if fixed is None:
                    emf += b[k] + s[k] * charge + hyst + r[k] * polar
                    ohm += r[k]
                else:
                    emf += fixed
        else:
            ohm = sum(r)
            emf = sum(b) + sum(s) * charge + self.cells * hyst + ohm * polar
        ohm += (self.shunt_uohm + _FETS_UOHM + _LEADS_UOHM) * 1e-6
        self._emf = emf
        self._ohm = ohm
        hung = self._cap_uf or self.pdsg
        if hung and self.force_ma is None and self.bar_mv is None and not (
                self.reverse or self.shorted):
            i, pack = self._node(emf, ohm)
        else:
            i, pack = self._current(emf, ohm), None
        self.current_ma = i
        eff = i + polar
        if self.balance:
            cells = self._bled(eff, hyst)
        else:
            cells = [x + y * charge + z * eff + hyst for x, y, z in zip(b, s, r)]
        if self._any_cell_set:
            for k in range(self.cells):
                if self._cell_set[k] is not None:
                    cells[k] = self._cell_set[k]
        stack = sum(cells)
        if pack is None:
            pack = self._terminal(i, stack, dt)
            self._cap_r = self._cap_ohm
            self._cap_ma = (max(0.0, pack) - self._cap_mv) / self._cap_ohm
        self.pack_mv = pack
        if self._cap_uf and abs(self._cap_ma) > _SURGE_MA:
            wait = int(self._cap_uf * self._cap_r / 8)
            wait = self.t_us + max(_SURGE_LEAST_US, min(_SURGE_MOST_US, wait))
            if wait < self.next_us:
                self.next_us = wait
        self.epoch = (self.t_us, cells, i, stack, pack, self.balance)

    def _bled(self, eff, hyst):
        charge = self._charge_mah
        cells = []
        for k in range(self.cells):
            v = self._b[k] + self._s[k] * charge + self._r[k] * eff + hyst
            if self.balance >> k & 1:
                v -= v / _BLEED_OHM * self._r[k]
            cells.append(v)
        return cells

    def _current(self, emf, ohm):
        """Net current in mA for a stack of *emf* mV behind *ohm* (mV per mA)."""
        can_charge = self.chg_closed()
        can_discharge = self.dsg_closed()
        if self.pdsg and not can_discharge and self.shorted:
            drive = emf if can_charge else emf - _DIODE_MV
            return -max(0.0, drive) / (ohm + self._pdsg_ohm)
        if not (can_charge or can_discharge or self.pdsg and self.bar_mv is not None):
            return 0.0
        if self.force_ma is not None:
            i = float(self.force_ma)
        elif self.bar_mv is not None:
            return self.bar_current(self.bar_mv, emf, ohm)
        elif self.reverse or self.shorted:
            drive = emf
            if not can_charge:
                drive -= _DIODE_MV
            i = -max(0.0, drive) / (ohm + _SHORT_UOHM * 1e-6)
        else:
            load = float(self.load_ma or 0)
            if self._leak_ms:
                load += max(0.0, self.pack_mv) * self._leak_ms
            i = -load
            if self.charger_mv is not None:
                limit = float(self.charger_ma or 0)
                if self.limiter and limit > _LIMITER_MA:
                    limit = _LIMITER_MA
                i = (self.charger_mv - emf - (0.0 if can_discharge else _DIODE_MV)) / ohm
                i = max(-load, min(limit - load, i))
            if i < 0.0:
                # a load cannot pull the terminals below zero
                i = max(i, -max(0.0, emf) / ohm)
        if i > 0.0 and not can_charge or i < 0.0 and not can_discharge:
            return 0.0
        return i

    def bar_current(self, bar_mv, emf, ohm):
        """Current in mA into the pack from a bus bar that others hold at *bar_mv*."""
        drive = bar_mv - emf
        if drive > 0.0 and self.chg_closed():
            drive -= 0.0 if self.dsg_closed() else _DIODE_MV
            i = max(0.0, drive) / ohm
            return min(i, _LIMITER_MA) if self.limiter else i
        if drive < 0.0 and (self.dsg_closed() or self.pdsg):
            drive += 0.0 if self.chg_closed() else _DIODE_MV
            i = min(0.0, drive) / (ohm if self.dsg_closed() else ohm + self._pdsg_ohm)
            return i if self.bar_only_ma is None else max(i, -self.bar_only_ma)
        return 0.0

    def behind_bar(self):
        """What a bus bar sees of this pack: (emf mV, mV per mA, charge FET, discharge FET,
        limiter in)."""
        if self.pdsg and not self.dsg_closed():
            return (self._emf, self._ohm + self._pdsg_ohm, self.chg_closed(), True, self.limiter)
        return (self._emf, self._ohm, self.chg_closed(), self.dsg_closed(), self.limiter)

    def _terminal(self, i, stack, dt):
        """Voltage at the terminals in mV."""
        if i:
            if self.pdsg and not self.dsg_closed():         # through the pre-discharge path
                if self.shorted:
                    return 0.0
                if self.bar_mv is not None:
                    return float(self.bar_mv)
            v = stack + i * (self.shunt_uohm + _FETS_UOHM + _LEADS_UOHM) * 1e-6
            if i > 0 and not self.dsg_closed():
                v += _DIODE_MV
            elif i < 0 and not self.chg_closed():
                v -= _DIODE_MV
            return v if i > 0 else max(0.0, v)
        closed = self.dsg_closed()
        inside = stack - (0.0 if self.chg_closed() else _DIODE_MV)
        if self.bar_mv is not None:
            return max(float(self.bar_mv), inside) if closed else float(self.bar_mv)
        if self.reverse:
            mv = DEFAULT_CHARGER_MV if self.charger_mv is None else self.charger_mv
            return -float(mv)
        if self.force_ma is not None:
            if self.force_ma > 0:
                return max(stack, self.charger_mv or 0) + 2000.0
            if self.pdsg and not closed:
                return inside / (1.0 - self._pdsg_ohm * self.force_ma / _LOAD_FULL_MV)
            if self.force_ma:
                return 0.0
        if self.shorted:
            return 0.0
        if self.charger_mv is not None:
            if closed:                  # a charger that may give nothing holds no voltage up
                return inside if self.chg_closed() else max(float(self.charger_mv), inside)
            if (self.charger_ma or 0) >= (self.load_ma or 0):
                return float(self.charger_mv)
            return 0.0
        if closed:
            return inside
        if self.load_ma:
            return 0.0
        leak = self._leak_ms + _PIN_MS
        left = self.pack_mv
        if dt:
            left *= math.exp(-dt * leak / _PIN_MS / _FLOAT_TAU_US)
        if self.ld_source:
            return max(left, min(stack - 1000.0, self._ld_ma / leak))
        return left

    # -- what hangs on the terminals --------

    def _take_board(self, board):
        self._cap_uf = float(board.get("terminal_uf") or 0)
        self._cap_ohm = float(board.get("terminal_ohm") or 1.0)
        kohm = board.get("terminal_kohm")
        self._leak_ms = 0.0 if kohm is None else 1e-3 / kohm        # mA per mV
        self._ld_ma = (board.get("ld_source_ua") or 100.0) / 1000.0
        self._pdsg_ohm = float(board.get("pdsg_ohm") or 1.0)

    def set_board(self, board, now_us):
        """Other figures from now on. A capacitor that is new comes with the terminals' voltage."""
        self.step_to(now_us)
        old = self._cap_uf
        self._take_board(board)
        if self._cap_uf and not old:
            self._cap_mv = max(0.0, self.pack_mv)
        self._solve(0)

    def _node(self, emf, ohm):
        """(current into the pack, voltage of the terminals) with a capacitor at the terminals or
        the pre-discharge path on. All branches are straight lines with a knee."""
        chg, dsg = self.chg_closed(), self.dsg_closed()
        g_cap = 1.0 / self._cap_ohm if self._cap_uf else 0.0
        g_leak = self._leak_ms + _PIN_MS
        rest = g_cap * self._cap_mv
        if dsg or not self.pdsg:
            rest -= float(self.load_ma or 0)
        else:                               # what a load takes falls with its voltage
            g_leak += float(self.load_ma or 0) / _LOAD_FULL_MV
        if self.ld_source and self.pack_mv < emf - 1000.0:
            rest += self._ld_ma
        top = self.charger_mv
        limit = 0.0
        if top is not None:
            limit = float(self.charger_ma or 0)
            if self.limiter and limit > _LIMITER_MA:
                limit = _LIMITER_MA
        stiff = False
        g = e = v = 0.0
        for step in range(2):
            total = g + g_cap + g_leak
            v = (rest + g * e + limit) / total
            stiff = False
            if top is not None and v > top:
                v = max(float(top), (rest + g * e) / total)
                stiff = v == top
            if v < 0.0:
                v = 0.0
                stiff = True
            if step:
                break
            # the branch of the pack, by the side on which the terminals lie without it
            from_e = emf if chg else emf - _DIODE_MV
            if dsg and v < from_e:
                g, e = 1.0 / ohm, from_e
            elif self.pdsg and v < from_e:
                g, e = 1.0 / (ohm + self._pdsg_ohm), from_e
            elif chg and v > (emf if dsg else emf + _DIODE_MV):
                g, e = 1.0 / ohm, emf if dsg else emf + _DIODE_MV
            else:
                break
        self._cap_ma = (v - self._cap_mv) * g_cap
        self._cap_r = self._cap_ohm + (0.0 if stiff else 1.0 / (g + g_leak))
        return g * (v - e), v

    def _fill(self, dt):
        """The capacitor's charge after *dt*."""
        tau = self._cap_uf * self._cap_r
        if dt * 1000 < tau:
            moved = self._cap_ma * dt / self._cap_uf
        else:
            moved = self._cap_ma * self._cap_r * (1.0 - math.exp(-dt / tau))
        old = self._cap_mv
        new = old + moved
        if moved > 0.0:
            if self.charger_mv is not None:
                new = min(new, max(old, float(self.charger_mv), self.pack_mv))
            elif self.ld_source and not self.dsg_closed() and not self.pdsg:
                new = min(new, max(old, self._emf - 1000.0))
        self._cap_mv = max(0.0, new)

    # -- stimuli: each takes the time, brings the state up to it, then changes --------

    def set_fets(self, chg, dsg, now_us):
        self.step_to(now_us)
        was = self.chg_closed(), self.dsg_closed()
        i, across = self.current_ma, abs(self.pack_mv - self._emf)
        self.chg_gate = bool(chg)
        self.dsg_gate = bool(dsg)
        self._solve(0)
        now = self.chg_closed(), self.dsg_closed()
        for k in (0, 1):
            if now[k] == was[k]:
                continue
            volts, amps = (across, abs(self.current_ma)) if now[k] else (self._emf, abs(i))
            lost_mj = 0.5e-9 * volts * amps * _SWITCH_US
            self._switch_mj[k] += lost_mj
            self._mos_heat += lost_mj * 1e6
            if now[k]:
                self.closings[k] += 1
                if self.harm is not None:
                    beyond = abs(self.current_ma - i) - float(self.load_ma or 0)
                    if self.charger_mv is not None:
                        beyond -= float(self.charger_ma or 0)
                    if self.force_ma is not None:
                        beyond = 0.0
                    if k != (self.current_ma < i):      # the other one carries the surge
                        beyond = 0.0
                    self.harm.closing("dsg" if k else "chg", across, beyond, now_us,
                                      bool(k) and self._charged_us == now_us)

    def set_balance(self, mask, now_us):
        self.step_to(now_us)
        self._refresh(self.cells)
        self.balance = mask
        self._solve(0)

    def apply(self, now_us, **changes):
        """Change any of charger_mv charger_ma load_ma shorted force_ma bar_mv reverse limiter
        ld_source pdsg weld_chg weld_dsg dead_chg dead_dsg at *now_us*."""
        self.step_to(now_us)
        if changes.get("pdsg", self.pdsg) != self.pdsg:
            if changes["pdsg"]:
                self._pdsg_us = now_us
            elif now_us - self._pdsg_us >= _CHARGED_US:
                self._charged_us = now_us
        for name in changes:
            setattr(self, name, changes[name])
        if self.harm is not None and not (self.load_ma or self.shorted):
            self.harm.load_gone()
        self._solve(0)

    def set_cell_mv(self, index, mv, now_us):
        """Hold the terminals of cell *index* at *mv*; None gives it back to the model."""
        self.step_to(now_us)
        self._cell_set[index] = None if mv is None else float(mv)
        self._any_cell_set = any(v is not None for v in self._cell_set)
        self._solve(0)

    def set_group_dc(self, group, dc, now_us):
        """Hold the temperature of a cell group (0..3); None lets it go from there."""
        self.step_to(now_us)
        self._group_set[group] = None if dc is None else dc / 10.0
        if dc is not None:
            self.group_c[group] = dc / 10.0
        self._refresh(self.cells)
        self._solve(0)

    def set_ambient_dc(self, dc, now_us):
        self.step_to(now_us)
        self.ambient_c = self._temp_c0 if dc is None else dc / 10.0

    def set_mos_dc(self, dc, now_us):
        self.step_to(now_us)
        self._mos_set = None if dc is None else dc / 10.0
        if dc is not None:
            self.mos_c = dc / 10.0

    def mos_is_set(self):
        """True while the FETs' temperature is held from outside."""
        return self._mos_set is not None

    # -- truth --------

    def cell_soc(self):
        """State of charge of each cell; may lie outside 0..1 after abuse."""
        charge = self._charge_mah
        return [self._soc0[i] + charge * self._per_mah[i] for i in range(self.cells)]

    def capacity(self):
        """(remaining mAh, total mAh) of the series string.

        It is empty when its first cell is, and full when its first cell is.
        """
        socs = self.cell_soc()
        left = room = 1e12
        for i in range(self.cells):
            left = min(left, socs[i] * self.cap_mah[i])
            room = min(room, (1.0 - socs[i]) * self.cap_mah[i])
        return left, left + room

    def truth(self):
        """What the specification of the rig calls truth.

        temps_dc: the four cell groups, the MOSFETs, the ambient.
        """
        left, total = self.capacity()
        temps = [int(math.floor(c * 10 + 0.5)) for c in self.group_c]
        temps.append(int(math.floor(self.mos_c * 10 + 0.5)))
        temps.append(int(math.floor(self.ambient_c * 10 + 0.5)))
        return {
            "soc": left / total if total > 0 else 0.0,
            "cell_mv": [int(math.floor(v + 0.5)) for v in self.epoch[1]],
            "current_ma": int(math.floor(self.current_ma + 0.5)),
            "temps_dc": temps,
            "capacity_mah": int(total + 0.5),
            "fets": {"chg": self._fet_truth(0), "dsg": self._fet_truth(1)},
            "capacitor_mv": int(self._cap_mv + 0.5) if self._cap_uf else None,
            "harm": [] if self.harm is None else self.harm.found(),
            "dark_ms": 0 if self.harm is None else self.harm.dark_us // 1000,
            "dark_fault": None if self.harm is None else self.harm.dark_fault(),
        }

    def _fet_truth(self, k):
        """Closings, and what was turned into heat in the one FET."""
        watt_us = self._i2_us * _FETS_UOHM / 2 * 1e-12 + self._diode_us[k] * _DIODE_MV * 1e-6
        return {"closings": self.closings[k],
                "energy_mj": int(watt_us / 1000.0 + self._switch_mj[k] + 0.5)}
