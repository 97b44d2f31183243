"""Many packs as one: what a master tells of itself and the slaves it hears (COM-03, COM-09).

Only packs that can carry current count: their FETs are seen closed and their readings are fresh.
In parallel the current divides by the packs' resistances, not by what each of them would like,
so the sum of the limits would overload the weakest. The limit of the system is the total at
which the first pack reaches its own: limit / share, the least over all packs.
"""

from array import array

from bms.words.readings import NO_READING
from ticks import MASK

MODULES = 15
_UNIT_MA = 10               # of limits in the sums: keeps products below 2**30
_SCALE = 1024               # conductance of the pack with the lowest resistance
_MOST = 20_000              # highest limit of a pack, in _UNIT_MA
_SMOOTH = 4                 # share of a new value in the uneven part of a pack's current
_AGAIN_MS = 250             # sums are as old as this at most
_WEIGHT_MAH = 200           # unit of full capacities: 15 times 1000 Ah stay below 2**30
_GROUP_MV = 500             # stacks this near can join each other
_LIVE_CELL_MV = 1_250       # a cell: terminals above are of a bar that something holds up
_CHARGED_MA = 300
_WORTH_CPCT = 1000          # a pack with less charge is no reason to empty the bar
_CHARGE, _DISCHARGE = range(2)


class Fleet:
    """The sum of *own* and the slaves that answer.

    own       Snapshot of this pack, kept up to date by others
    make      function giving an empty Snapshot

    whole     Snapshot of the system
    modules   Snapshots online: own, then slaves in order of address
    lost      addresses of slaves that were there and do not answer, bit k = address k
    twice     addresses that more than one pack has
    there_cpct  state of charge of all packs that answer, also of those that wait (LED-04)
    """

    def __init__(self, own, make):
        self.own = own
        self._make = make
        self.whole = make()
        self.whole.cells_mv = own.cells_mv
        self.whole.temps_dc = own.temps_dc
        self.whole.serial = own.serial
        self.modules = [own]
        self._slaves = [None] * (MODULES + 1)       # by address; kept when one is lost
        # mA that a pack carries beyond its share, charging and discharging
        self._above = array("i", (0 for _ in range(MODULES + 1)))
        self._below = array("i", (0 for _ in range(MODULES + 1)))
        self._steady = bytearray(MODULES + 1)       # 0: they are not known yet
        self.lost = 0
        self.twice = 0
        self.there_cpct = 0
        self._summed_ms = -1        # -1: sum again | ticks of the newest sum
        self._own_key = 0
        self._carriers = 0          # what the sums are over: 0 all that are valid

    # -- who is there -----------------------------------------------------------------------

    def slave(self, address):
        """The Snapshot for what the slave at *address* tells; made at its first word."""
        seen = self._slaves[address]
        if seen is None:
            seen = self._slaves[address] = self._make()
            seen.module = address
        return seen

    def is_online(self, address):
        """True if the slave at *address* counts."""
        seen = self._slaves[address]
        return seen is not None and seen in self.modules

    def answered(self, address):
        """What slave(address) shows is new; True if the slave was not online before."""
        self._summed_ms = -1
        seen = self._slaves[address]
        modules = self.modules
        if seen in modules:
            return False
        at = 1
        while at < len(modules) and modules[at].module < address:
            at += 1
        modules.insert(at, seen)
        self._steady[address] = 0
        self.lost &= ~(1 << address)
        return True

    def drop(self, address, lost):
        """Count the slave at *address* no longer. *lost*: it should be there."""
        seen = self._slaves[address]
        if seen in self.modules:
            self.modules.remove(seen)
        if lost:
            self.lost |= 1 << address
        self._summed_ms = -1

    def clear(self):
        """Forget every slave: this pack is no master, or begins as one."""
        del self.modules[1:]
        for i in range(len(self._slaves)):
            self._slaves[i] = None
        self.lost = self.twice = 0
        self._summed_ms = -1

    def is_alone(self):
        """True if there is nothing to sum up."""
        return len(self.modules) == 1 and not self.lost

    def bus_mv(self, but):
        """Terminal voltage of a pack that is on the bar, without address *but*; NO_READING if
        there is none. This pack's own is the freshest, then that of one with both FETs closed.
        A lost pack may still hold the bar up: then it is what this pack's terminals show."""
        modules = self.modules
        found_mv = NO_READING
        both = False
        for i in range(len(modules)):
            seen = modules[i]
            if seen.module == but or not seen.valid or not (seen.charge_on or seen.discharge_on):
                continue
            closed = seen.charge_on and seen.discharge_on
            if found_mv == NO_READING or closed and not both:
                found_mv = seen.pack_mv
                both = closed
        if found_mv == NO_READING and self.lost and self._is_held_by_a_lost_one():
            return self.own.pack_mv
        return found_mv

    def _is_held_by_a_lost_one(self):
        """Own FETs open, terminals live, and a lost pack was on the bar when last heard."""
        own = self.own
        if (own.charge_on or own.discharge_on or not own.valid
                or own.pack_mv < _LIVE_CELL_MV * own.cells):
            return False
        for address in range(len(self._slaves)):
            seen = self._slaves[address]
            if (self.lost >> address & 1 and seen is not None
                    and (seen.charge_on or seen.discharge_on)):
                return True
        return False

    def best_first(self, passed):
        """Address of the pack that should begin on a dead bar, 0: none can.

        It is of the group of packs that can join each other and have most charge left, and in
        that group the one with the lowest address.

        passed  addresses, bit k = address k, that had their turn and did not begin
        """
        modules = self.modules
        best = 0
        most_mah = -1
        for i in range(len(modules)):
            seen = modules[i]
            if not seen.is_able or passed >> seen.module & 1:
                continue
            group_mah = self._group_mah(seen)
            if group_mah > most_mah:
                most_mah = group_mah
                best = seen.module
        return best

    def _group_mah(self, first):
        """Charge that the packs which can join *first* have left, in mAh."""
        modules = self.modules
        total_mah = 0
        for i in range(len(modules)):
            seen = modules[i]
            if seen.is_able and abs(seen.voltage_mv - first.voltage_mv) <= _GROUP_MV:
                total_mah += seen.remaining_mah
        return total_mah

    def waits_for(self, seen):
        """For a person: what the pack *seen* waits for while it is not on the bar; "" if it is."""
        if seen.charge_on or seen.discharge_on:
            return ""
        if not seen.is_able:
            return "its own protections or readings hold it open"
        bar_mv = self.bus_mv(seen.module)
        if bar_mv == NO_READING or seen.voltage_mv == NO_READING:
            return "its turn to be the first on the bar"
        return "the bar, %+.1f V from its cells" % ((bar_mv - seen.voltage_mv) / 1000)

    def idle_on_the_bar(self):
        """Addresses (bit k) of the packs on the bar, if none of them can deliver, nor is being
        charged, while another pack that waits could; else 0."""
        modules = self.modules
        on_bar = 0
        could = False
        for i in range(len(modules)):
            seen = modules[i]
            if not seen.valid:
                continue
            if seen.charge_on or seen.discharge_on:
                on_bar |= 1 << seen.module
                if seen.dcl_ma or seen.current_ma > _CHARGED_MA:
                    return 0
            elif seen.is_able and seen.soc_cpct > _WORTH_CPCT:
                could = True
        return on_bar if could else 0

    # -- the sum ----------------------------------------------------------------------------

    def update(self, now_ms):
        """Bring whole up to date after *own* was. Allocates nothing."""
        own = self.own
        key = (own.ccl_ma + own.dcl_ma) << 3 | own.valid << 2 | own.charge_on << 1 | (
            own.discharge_on)
        if (self._summed_ms >= 0 and key == self._own_key
                and (now_ms - self._summed_ms) & MASK < _AGAIN_MS):
            return
        self._summed_ms = now_ms
        self._own_key = key
        self._count()
        self._add_up()
        self._extremes()
        self._conditions()
        self._watch_shares()
        self._limit()

    def _count(self):
        """How many there are, and which of them the sums are over."""
        whole = self.whole
        modules = self.modules
        whole.module = self.own.module
        whole.modules = len(modules)
        whole.offline = 0
        bits = self.lost
        while bits:
            whole.offline += bits & 1
            bits >>= 1
        whole.blocking_charge = whole.blocking_discharge = 0
        whole.valid = False
        whole.starting = self.own.starting
        self._carriers = 0
        for i in range(len(modules)):
            seen = modules[i]
            if seen.valid:
                whole.valid = True
                if seen.charge_on or seen.discharge_on:
                    self._carriers += 1
            whole.blocking_charge += 0 if seen.may_charge else 1
            whole.blocking_discharge += 0 if seen.may_discharge else 1

    def _counts(self, seen):
        return seen.valid and (not self._carriers or seen.charge_on or seen.discharge_on)

    def _add_up(self):
        whole = self.whole
        modules = self.modules
        count = voltage_mv = pack_mv = current_ma = cycles = soh = 0
        whole.remaining_mah = whole.full_mah = whole.design_mah = 0
        whole.charged_wh = whole.discharged_wh = 0
        whole.cycles_max = 0
        whole.soh_min_pct = 100
        whole.charging = whole.discharging = whole.limiting = False
        full = True
        for i in range(len(modules)):
            seen = modules[i]
            if not self._counts(seen):
                continue
            count += 1
            voltage_mv += seen.voltage_mv
            pack_mv += seen.pack_mv
            current_ma += seen.current_ma
            whole.remaining_mah += seen.remaining_mah
            whole.full_mah += seen.full_mah
            whole.design_mah += seen.design_mah
            whole.charged_wh += seen.charged_wh
            whole.discharged_wh += seen.discharged_wh
            cycles += seen.cycles
            soh += seen.soh_pct
            whole.cycles_max = max(whole.cycles_max, seen.cycles)
            whole.soh_min_pct = min(whole.soh_min_pct, seen.soh_pct)
            whole.limiting = whole.limiting or seen.limiting
            whole.charging = whole.charging or seen.charging
            whole.discharging = whole.discharging or seen.discharging
            full = full and seen.is_full
        if not count:
            whole.voltage_mv = whole.pack_mv = whole.current_ma = NO_READING
            whole.soc_cpct = 0
            whole.is_full = False
            return
        whole.voltage_mv = voltage_mv // count
        whole.pack_mv = pack_mv // count
        whole.current_ma = current_ma
        whole.cycles = cycles // count
        whole.soh_pct = soh // count
        whole.is_full = full
        if whole.charging and whole.discharging:    # between packs: the sum tells
            whole.charging = current_ma > 0
            whole.discharging = current_ma < 0
        self._weigh_soc()

    def _weigh_soc(self):
        """SOC is the share of all charge: the mean, weighted by full capacity."""
        modules = self.modules
        charge = weight = there_charge = there_weight = 0
        for i in range(len(modules)):
            seen = modules[i]
            if not seen.valid:
                continue
            share = seen.full_mah // _WEIGHT_MAH
            there_weight += share
            there_charge += share * seen.soc_cpct
            if self._counts(seen):
                weight += share
                charge += share * seen.soc_cpct
        self.whole.soc_cpct = charge // weight if weight else 0
        self.there_cpct = there_charge // there_weight if there_weight else 0

    def _extremes(self):
        """Extreme cells and temperatures of every pack whose readings can be believed."""
        whole = self.whole
        modules = self.modules
        whole.balance_mask = self.own.balance_mask
        whole.ambient_dc = self.own.ambient_dc
        whole.max_cell_mv = whole.min_cell_mv = NO_READING
        whole.max_temp_dc = whole.min_temp_dc = whole.mean_temp_dc = NO_READING
        whole.mos_dc = whole.max_mos_dc = whole.min_mos_dc = NO_READING
        temps = temp_sum = mosfets = mos_sum = 0
        for i in range(len(modules)):
            seen = modules[i]
            if not seen.valid:
                continue
            if seen.max_cell_mv > whole.max_cell_mv:
                whole.max_cell_mv = seen.max_cell_mv
                whole.max_cell = seen.max_cell
                whole.max_cell_module = seen.module
            if NO_READING < seen.min_cell_mv and (
                    whole.min_cell_mv == NO_READING or seen.min_cell_mv < whole.min_cell_mv):
                whole.min_cell_mv = seen.min_cell_mv
                whole.min_cell = seen.min_cell
                whole.min_cell_module = seen.module
            if seen.mean_temp_dc != NO_READING:
                temps += 1
                temp_sum += seen.mean_temp_dc
                if seen.max_temp_dc > whole.max_temp_dc:
                    whole.max_temp_dc = seen.max_temp_dc
                    whole.max_temp = seen.max_temp
                    whole.max_temp_module = seen.module
                if whole.min_temp_dc == NO_READING or seen.min_temp_dc < whole.min_temp_dc:
                    whole.min_temp_dc = seen.min_temp_dc
                    whole.min_temp = seen.min_temp
                    whole.min_temp_module = seen.module
            if seen.mos_dc != NO_READING:
                mosfets += 1
                mos_sum += seen.mos_dc
                if seen.mos_dc > whole.max_mos_dc:
                    whole.max_mos_dc = seen.mos_dc
                    whole.max_mos_module = seen.module
                if whole.min_mos_dc == NO_READING or seen.mos_dc < whole.min_mos_dc:
                    whole.min_mos_dc = seen.mos_dc
                    whole.min_mos_module = seen.module
        if temps:
            whole.mean_temp_dc = temp_sum // temps
        if mosfets:
            whole.mos_dc = mos_sum // mosfets

    def _conditions(self):
        """Alarms of any pack. A protection of one is an alarm of the system: the others go on;
        it is a protection where all have it, or none can carry current any more."""
        whole = self.whole
        modules = self.modules
        any_of = 0
        all_of = -1
        alarms = 0
        whole.cvl_mv = whole.dvl_mv = 0
        whole.charge_on = whole.discharge_on = False
        whole.force_1 = whole.force_2 = whole.full_request = False
        flow = False
        for i in range(len(modules)):
            seen = modules[i]
            alarms |= seen.alarms
            any_of |= seen.protections
            all_of &= seen.protections
            flow = flow or seen.may_charge or seen.may_discharge
            if not seen.valid:
                continue
            if not whole.cvl_mv or seen.cvl_mv < whole.cvl_mv:
                whole.cvl_mv = seen.cvl_mv
            whole.dvl_mv = max(whole.dvl_mv, seen.dvl_mv)
            whole.charge_on = whole.charge_on or seen.charge_on
            whole.discharge_on = whole.discharge_on or seen.discharge_on
            whole.force_1 = whole.force_1 or seen.force_1
            whole.force_2 = whole.force_2 or seen.force_2
            whole.full_request = whole.full_request or seen.full_request
        if not whole.cvl_mv:
            whole.cvl_mv = self.own.cvl_mv
            whole.dvl_mv = self.own.dvl_mv
        whole.protections = all_of if flow else any_of
        whole.alarms = alarms | any_of & ~whole.protections

    # -- limits -----------------------------------------------------------------------------

    def _lowest_uohm(self):
        lowest = 0
        modules = self.modules
        for i in range(len(modules)):
            uohm = modules[i].resistance_uohm
            if not lowest or uohm < lowest:
                lowest = uohm
        return lowest

    def _watch_shares(self):
        """How far each pack's current is from its share: what flows between the packs.

        Slaves are seen one after another, so a change of the load looks uneven for a moment:
        smoothed. A pack with one FET open is compared with those that have both closed. Every
        rounding is towards more.
        """
        modules = self.modules
        lowest = self._lowest_uohm()
        least = most = current_ma = 0       # conductance of all, rounded down and up
        for i in range(len(modules)):
            seen = modules[i]
            if seen.valid and seen.charge_on and seen.discharge_on:
                least += _SCALE * lowest // seen.resistance_uohm
                most += (_SCALE * lowest + seen.resistance_uohm - 1) // seen.resistance_uohm
                current_ma += seen.current_ma
        for i in range(len(modules)):
            seen = modules[i]
            k = seen.module
            if not seen.valid or not (seen.charge_on or seen.discharge_on):
                self._steady[k] = 0
                continue
            share = _SCALE * lowest // seen.resistance_uohm
            share_up = (_SCALE * lowest + seen.resistance_uohm - 1) // seen.resistance_uohm
            all_ma = current_ma
            others, others_up = least, most
            if seen.charge_on and seen.discharge_on:
                others -= share
                others_up -= share_up
            else:
                all_ma += seen.current_ma
            flow = abs(all_ma) // _UNIT_MA
            flow_up = (abs(all_ma) + _UNIT_MA - 1) // _UNIT_MA
            least_ma = flow * share // (others_up + share) * _UNIT_MA
            most_ma = -(-flow_up * share_up // (others + share_up)) * _UNIT_MA
            if all_ma < 0:
                least_ma, most_ma = -most_ma, -least_ma
            self._smooth(self._above, k, seen.current_ma - least_ma)
            self._smooth(self._below, k, most_ma - seen.current_ma)
            self._steady[k] = 1

    def _smooth(self, series, k, value_ma):
        if self._steady[k]:
            value_ma = series[k] + (value_ma - series[k]) // _SMOOTH
        series[k] = value_ma

    def _limit(self):
        whole = self.whole
        whole.ccl_ma = self._weakest(_CHARGE)
        whole.dcl_ma = self._weakest(_DISCHARGE)
        whole.may_charge = whole.ccl_ma > 0
        whole.may_discharge = whole.dcl_ma > 0

    def _weakest(self, way):
        """Most current of all packs together, in mA, at which none goes beyond its own limit.

        Only packs with both FETs closed surely take their share; one whose other FET is open
        conducts through a diode, perhaps less than its share, so its own limit counts but its
        help does not. Shares are rounded up for the pack itself and down for the others.
        """
        modules = self.modules
        lowest = self._lowest_uohm()
        sure = against_ma = 0
        for i in range(len(modules)):
            seen = modules[i]
            if not seen.valid:
                continue
            if seen.charge_on and seen.discharge_on:
                sure += _SCALE * lowest // seen.resistance_uohm
            elif seen.charge_on or seen.discharge_on:   # feeds the others, or takes from them
                against_ma += max(0, -seen.current_ma if way == _CHARGE else seen.current_ma)
        most = -1
        for i in range(len(modules)):
            seen = modules[i]
            if not seen.valid or not (seen.charge_on if way == _CHARGE else seen.discharge_on):
                continue
            uohm = seen.resistance_uohm
            others = sure
            if seen.charge_on and seen.discharge_on:
                others -= _SCALE * lowest // uohm
            share = (_SCALE * lowest + uohm - 1) // uohm
            limit_ma = seen.ccl_ma if way == _CHARGE else seen.dcl_ma
            uneven_ma = (self._above if way == _CHARGE else self._below)[seen.module]
            if uneven_ma > 0 and self._steady[seen.module]:
                limit_ma -= uneven_ma
            limit = max(0, min(_MOST, limit_ma // _UNIT_MA))
            total = limit * (others + share) // share
            if most < 0 or total < most:
                most = total
        return max(0, most * _UNIT_MA - against_ma)
