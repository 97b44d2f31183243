"""One picture of a pack, or of a whole system of packs: all that a protocol encodes from.

Every attribute is an int with its unit in the name; NO_READING where a sensor says nothing.
The same class holds one module and the sum of many, so an encoder need not know which it has.
"""

import micropython
from array import array

from micropython import const

from bms.words import readings as rd
from bms.fleet.fleet import Fleet
from bms.protect.changes import OVER_CHARGE
from bms.words.states import CHARGING, DISCHARGING
from bms.words.rules import CHARGE, DISCHARGE
from bms.words.readings import NO_READING
from protocols import conditions

SENSORS = 4             # thermistors of the cells
_OV_NEAR_MV = const(10)


@micropython.native
def _told(pack):
    """Alarms that others are told.

    No over-voltage while the highest cell is less than _OV_NEAR_MV beyond its alarm and no more
    flows in than the tail of a charge: that is the end of every charge of a pack with unequal
    cells, and an inverter can do nothing about it.
    """
    alarms = pack.protection.alarms
    if alarms & OVER_CHARGE:
        values = pack.measurements.values
        if (values[rd.MAX_CELL_MV] < pack.params["cell_ov_alarm_mv"] + _OV_NEAR_MV
                and values[rd.CURRENT_MA] < pack.params["tail_ma"]):
            alarms &= ~OVER_CHARGE
    return alarms


class Snapshot:
    """A pack, or the sum of *modules* packs, at one moment.

    valid          False: readings are too old or there are none (MEA-05). Currents, voltages,
                   temperatures and SOC then mean nothing, and all limits are 0.
    starting       not valid because the start goes on: no reason for an alarm (COM-05)
    module         address 1..15 (a pack alone is 1); of a sum: the master's
    modules        packs online, of which blocking_charge / blocking_discharge let no current in
                   or out; offline: packs that were there and do not answer

    voltage_mv     of a module; of a sum: the mean       pack_mv    at the terminals
    current_ma     charging positive; of a sum: the sum
    serial         serial number of a module, 16 ASCII characters; of a sum: the master's

    soc_cpct       remaining_mah / full_mah              soh_pct, soh_min_pct  mean, lowest
    remaining_mah full_mah design_mah charged_wh discharged_wh      sums
    cycles, cycles_max                                   mean, most
    cvl_mv dvl_mv  charge and discharge voltage limits
    ccl_ma dcl_ma  current limits, 0 or more
    may_charge may_discharge    FETs may be closed and the limit is not 0
    force_1 force_2 full_request    charge now, charge soon, charge until full
    alarms protections          bits of conditions.TABLE
    charge_on discharge_on      FETs closed, as read back (of a sum: of any pack)
    charging discharging        direction of the current; limiting: the 10 A limiter is in
    is_full        state of charge 100 %; buzzing: a module's buzzer sounds
    resistance_uohm             of a module, ohmic
    is_able        FETs of a module could be closed but for the rule of joining (COM-09)

    cells_mv[0:cells], temps_dc[0:4], balance_mask   of a module; of a sum: the master's
    max_cell_mv max_cell max_cell_module   highest cell, its index (from 0) and module; min_...
    mean_temp_dc max_temp_dc max_temp max_temp_module   cell thermistors; min_...
    mos_dc max_mos_dc max_mos_module       MOSFET thermistors: mean, highest; min_...
    ambient_dc
    """

    def __init__(self, cells):
        self.cells = cells
        self.cells_mv = array("H", (0 for _ in range(cells)))
        self.temps_dc = array("i", (NO_READING for _ in range(SENSORS)))
        self.valid = self.starting = False
        self.serial = bytearray(b"%-16s" % b"")
        self.module = self.modules = 1
        self.blocking_charge = self.blocking_discharge = self.offline = 0
        self.voltage_mv = self.pack_mv = self.current_ma = NO_READING
        self.soc_cpct = 0
        self.soh_pct = self.soh_min_pct = 100
        self.remaining_mah = self.full_mah = self.design_mah = 0
        self.charged_wh = self.discharged_wh = 0
        self.cycles = self.cycles_max = 0
        self.cvl_mv = self.dvl_mv = self.ccl_ma = self.dcl_ma = 0
        self.may_charge = self.may_discharge = False
        self.force_1 = self.force_2 = self.full_request = False
        self.alarms = self.protections = 0
        self.charge_on = self.discharge_on = False
        self.charging = self.discharging = self.limiting = self.is_full = False
        self.buzzing = False
        self.resistance_uohm = 8000
        self.is_able = False
        self.balance_mask = 0
        self.max_cell_mv = self.min_cell_mv = NO_READING
        self.max_cell = self.min_cell = 0
        self.max_cell_module = self.min_cell_module = 1
        self.mean_temp_dc = self.max_temp_dc = self.min_temp_dc = NO_READING
        self.max_temp = self.min_temp = 0
        self.max_temp_module = self.min_temp_module = 1
        self.mos_dc = self.max_mos_dc = self.min_mos_dc = NO_READING
        self.max_mos_module = self.min_mos_module = 1
        self.ambient_dc = NO_READING

    @micropython.native
    def fill(self, pack, now_ms):
        """Take the picture of *pack* (Pack). Allocates nothing."""
        is_usable = pack.measurements.is_usable(now_ms)
        self.valid = is_usable and pack.soc.is_set
        self.starting = not self.valid and not pack.passed
        self.module = pack.dip if pack.dip else 1
        self._fill_charge(pack)
        self._fill_limits(pack)
        self._fill_flow(pack, is_usable)
        faults, more = pack.faults, pack.faults_more
        self.alarms = (conditions.of_items(_told(pack))
                       | conditions.alarms_of_faults(faults, more))
        self.protections = (conditions.of_items(pack.protection.trips)
                            | conditions.of_faults(faults, more))
        self.balance_mask = pack.balancing.mask
        if self.valid:
            self._fill_readings(pack.measurements)
        else:
            self._forget_readings()

    @micropython.native
    def _fill_charge(self, pack):
        soc = pack.soc
        self.soc_cpct = soc.cpct
        self.is_full = soc.cpct >= 10_000
        self.soh_pct = self.soh_min_pct = soc.soh_pct
        self.remaining_mah = pack.remaining_mah
        self.full_mah = soc.full_mah
        self.design_mah = soc.rated_mah
        self.cycles = self.cycles_max = soc.cycles
        self.charged_wh = soc.charged_wh
        self.discharged_wh = soc.discharged_wh

    @micropython.native
    def _fill_limits(self, pack):
        allowed = pack.offered() if self.valid else 0
        self.cvl_mv = pack.cvl_mv
        self.dvl_mv = pack.dvl_mv
        self.ccl_ma = pack.ccl_ma if allowed & CHARGE else 0
        self.dcl_ma = pack.dcl_ma if allowed & DISCHARGE else 0
        self.may_charge = self.ccl_ma > 0
        self.may_discharge = self.dcl_ma > 0
        self.blocking_charge = 0 if self.may_charge else 1
        self.blocking_discharge = 0 if self.may_discharge else 1
        requests = pack.requests
        self.force_1 = requests.force_1
        self.force_2 = requests.force_2
        self.full_request = requests.full
        self.limiting = pack.limiter_in
        self.buzzing = pack.buzzing
        self.resistance_uohm = pack.joining.resistance.uohm
        self.is_able = bool(self.valid and pack.able())

    @micropython.native
    def _fill_flow(self, pack, is_usable):
        """FETs and direction are readings too: old ones say nothing (MEA-05)."""
        actual = pack.fets.actual if is_usable else 0
        self.charge_on = actual & CHARGE != 0
        self.discharge_on = actual & DISCHARGE != 0
        self.charging = is_usable and pack.direction == CHARGING
        self.discharging = is_usable and pack.direction == DISCHARGING

    @micropython.native
    def _fill_readings(self, measured):
        values = measured.values
        cells_mv = measured.cells_mv
        for i in range(self.cells):
            self.cells_mv[i] = cells_mv[i]
        self.voltage_mv = values[rd.STACK_MV]
        self.pack_mv = values[rd.PACK_MV]
        self.current_ma = values[rd.CURRENT_MA]
        self.max_cell_mv = values[rd.MAX_CELL_MV]
        self.min_cell_mv = values[rd.MIN_CELL_MV]
        self.max_cell = values[rd.MAX_CELL]
        self.min_cell = values[rd.MIN_CELL]
        self.mos_dc = self.max_mos_dc = self.min_mos_dc = values[rd.MOS_DC]
        self.ambient_dc = values[rd.AMBIENT_DC]
        self._fill_temps(values)
        module = self.module
        self.max_cell_module = self.min_cell_module = module
        self.max_temp_module = self.min_temp_module = module
        self.max_mos_module = self.min_mos_module = module

    @micropython.native
    def _fill_temps(self, values):
        for i in range(SENSORS):
            self.temps_dc[i] = values[rd.TEMP_DC + i]
        self.sum_temps()

    @micropython.native
    def sum_temps(self):
        """Mean and extremes from temps_dc."""
        total = count = 0
        low = high = NO_READING
        for i in range(SENSORS):
            temp_dc = self.temps_dc[i]
            if temp_dc == NO_READING:
                continue
            total += temp_dc
            if not count or temp_dc > high:
                high = temp_dc
                self.max_temp = i
            if not count or temp_dc < low:
                low = temp_dc
                self.min_temp = i
            count += 1
        self.max_temp_dc = high
        self.min_temp_dc = low
        self.mean_temp_dc = total // count if count else NO_READING

    def _forget_readings(self):
        for i in range(SENSORS):
            self.temps_dc[i] = NO_READING
        for i in range(self.cells):
            self.cells_mv[i] = 0
        self.voltage_mv = self.pack_mv = self.current_ma = NO_READING
        self.max_cell_mv = self.min_cell_mv = NO_READING
        self.mean_temp_dc = self.max_temp_dc = self.min_temp_dc = NO_READING
        self.mos_dc = self.max_mos_dc = self.min_mos_dc = self.ambient_dc = NO_READING


class Identity:
    """Who this pack is.

    name      product, ASCII, at most 10 characters
    version   (major, minor, patch), each 0..255
    serial    16 ASCII characters
    """

    def __init__(self, name, version, serial):
        self.name = name.encode()[:10]
        self.version = version
        self.serial = serial.encode()


class System:
    """What an inverter is told: this pack alone, or all that a master knows of.

    pack      Pack; identity: Identity of it
    own       Snapshot of this pack
    fleet     Fleet that sums up when this pack is a master
    whole     Snapshot of the system: own, as long as there is nothing to sum up
    modules   Snapshots of the packs online, this one first; they need not be of this moment
    clock     Clock, None: there is none
    """

    def __init__(self, pack, identity=None):
        self._pack = pack
        self.clock = None
        self.own = Snapshot(pack.profile.CELLS)
        if identity is not None:
            self.own.serial[:] = identity.serial
        self.fleet = Fleet(self.own, self._make)
        self.whole = self.own
        self.modules = self.fleet.modules

    def _make(self):
        return Snapshot(self.own.cells)

    def update(self, now_ms):
        """Bring all of it up to date. Allocates nothing."""
        self.update_own(now_ms)
        self.sum_up(now_ms)

    def update_own(self, now_ms):
        """Bring the Snapshot of this pack up to date: enough for what concerns modules."""
        self.own.fill(self._pack, now_ms)

    def sum_up(self, now_ms):
        """Bring the whole up to date, after update_own(): with 15 packs some 8 ms of work."""
        if self.fleet.is_alone():
            self.whole = self.own
        else:
            self.fleet.update(now_ms)
            self.whole = self.fleet.whole
