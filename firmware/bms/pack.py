"""What the pack is: measurements, protections, faults, state and limits in one place.

One step a scan: readings -> conditions -> protection table -> faults -> state -> limits. The
protocols and the panel read this object; the control task acts on what it says about the FETs.
"""

import micropython
from bms.words.ocv import Curve
from bms.words import events as ev
from bms.power import power as pw
from bms.words import rules
from bms.limits.allowance import Allowance
from bms.limits.asked_limits import AskedLimits
from bms.charge.balance_log import BalanceLog
from bms.charge.balancing import Balancing
from bms.protect.cautions import Cautions
from bms.limits.charge_requests import ChargeRequests
from bms.limits.charge_voltage import ChargeVoltage
from bms.limits.derating import Derating
from bms.measure.doubts import Doubts, doubtful_trips
from bms.measure.end_wires import SUNK_MV, EndWires
from bms.protect.faults import Faults
from bms.measure.fet_watch import FetWatch
from bms.protect.fets import Fets, fets_of
from bms.measure.flow import Flow
from bms.host.inverter_watch import InverterWatch
from bms.fleet.joining import Joining
from bms.protect.limiter import ChargeLimiter
from bms.measure.measurements import Measurements
from bms.protect.changes import OVER_CHARGE, UNDER_VOLTAGE, note_change
from bms.power.power import Power
from bms.power.watch import step_power
from bms.protect.protection import Protection
from bms.words.rules import (
    BOTH,
    CHARGE,
    DISCHARGE,
    FAULT_CURRENT,
    FAULT_OPEN,
    FAULT_SCAN,
    FAULT_SIGN,
    FAULT_UNPROVEN,
    FAULT_WELD,
    FAULT_WIRE,
    ITEMS,
)
from bms.words.readings import CELL_DIFF_MV, CURRENT_MA, MAX_CELL_MV, NO_READING, STACK_MV
from bms.host.rights import Rights
from bms.charge.soc import StateOfCharge
from bms.charge.feed import SocFeed
from bms.words.states import FAIL, OFF, PROTECTION, SELF_TEST, SLEEP, STANDBY
from bms.measure.witness import Witness
from bound import bind
from micropython import const

_REFUSED = rules.mask_of("PWR-03")      # pre-discharge is tried again for the host
_ALIVE_MA = const(10_000)   # current under which stack and terminals never stand still
_POWER_SCANS = const(10)    # awake, nobody waits for the step of that
_AIM_SCANS = const(10)      # scans between two calculations of the limits' targets
_SOON_SCANS = const(2)      # limits are 0 this many failed scans before the FETs open (COM-05)


class Pack(Faults):
    """One battery pack.

    profile     module of profiles
    params      Parameters
    scan_ms     period of scans

    state, direction   of STATES; direction is STANDBY, CHARGING or DISCHARGING
    charger_seen       terminals say that a charger is there; charger_near: even one that is only a
                       little above the stack
    held               FETs that a host holds off, bits CHARGE | DISCHARGE
    limiter_in         the 10 A limiter shall be in the charge path
    buzzing            a pattern is sounded
    updating           a firmware update is under way
    system_cpct        state of charge of all packs together, -1: this one stands for itself
    afe_misled         the AFE holds a FET off for a reading that was wrong and is no longer
    testing            a self-test of the start still runs: nothing is closed
    witness             Witness: what contradicts the current, and what stands still
    passed             the pack has been beyond self-test since start
    rest_ma            parameter: less flows for other reasons than a use
    protected, decided  number of the scan that went through the protections, through the decision
    """

    def __init__(self, profile, params, scan_ms):
        super().__init__()
        self.profile = profile
        self.params = params
        self.scan_ms = scan_ms
        self.measurements = Measurements(params, profile.CELLS, scan_ms)
        self.protection = Protection(params)
        self.soc = StateOfCharge(params, profile.CAPACITY_MAH, profile.CELLS,
                                 Curve(getattr(profile, "CELL", None)))
        self.fets = Fets()
        self.limiter = ChargeLimiter(params)
        self.allowance = Allowance(params)
        self.derating = Derating(profile.CURVES, params)
        self.joining = Joining(params)
        self.charge_voltage = ChargeVoltage(params, profile.CELLS)
        self.requests = ChargeRequests(params)
        self.inverter = InverterWatch(params, self.events)
        self.rights = Rights(params, self.events)
        self.asked = AskedLimits()
        self.held = 0
        self.balancing = Balancing(params, profile.CELLS, scan_ms)
        self._balance_log = BalanceLog(self.balancing, self.events)
        self.state = SELF_TEST
        self.direction = STANDBY
        self.charger_seen = self.charger_near = False
        self.limiter_in = False
        self.buzzing = False
        self.afe_ready = False
        self.looking_at_zero = False    # both FETs stay open until the sensor's offset was seen
        self.afe_misled = False
        self.testing = False
        self.passed = False
        self.protected = 0
        self.decided = 0
        self.dip = 0
        self.updating = False
        self.power = Power(params)
        self._power_scans = 0
        self.system_cpct = -1
        self.cautions = Cautions()
        self._flow = Flow()
        self.witness = Witness(profile.CELLS)
        self._fet_watch = FetWatch()
        self._doubts = Doubts()
        self._end_wires = EndWires(profile.CELLS)
        self._soc_feed = SocFeed(self.soc)
        self._taken = -1            # params.changed that these are of:
        self.rest_ma = 0
        self._other_way_ma = self._nominal_ma = 0
        self._failed_scans = self._soc_full_cpct = self._wire_mv = 0
        self._limit_scans = 0       # until the limits are aimed again
        self._limit_ms = 0          # since they were aimed last
        self._permits = 0           # what allowed() said in this step, with these faults:
        self._permits_of = self._permits_of_more = -1
        bind(self, "step", "_protect", "_look", "_decide", "_limit", "allowed", "able", "offered",
             "permitted", "has", "has_any", "fails", "blocked_by_faults", "set_fault",
             "count_charge", "measured_ma")

    @property
    def shown_cpct(self):
        """State of charge for the panel: of the whole system where it is known (LED-04)."""
        return self.soc.cpct if self.system_cpct < 0 else self.system_cpct

    @property
    def remaining_mah(self):
        """Remaining capacity as reported: always the reported SOC's share of the full one."""
        return self.soc.full_mah // 100 * self.soc.cpct // 100

    @property
    def cvl_mv(self):
        """Charge voltage limit."""
        return min(self.charge_voltage.cvl_mv, self.asked.cvl_mv)

    @property
    def dvl_mv(self):
        """Discharge voltage limit."""
        return max(self.params["dvl_mv"], self.asked.dvl_mv)

    @property
    def inverter_lost(self):
        """No inverter was heard for as long as the parameter allows (COM-08)."""
        return self.inverter.lost

    @property
    def ccl_ma(self):
        """Charge current limit."""
        return min(self.derating.ccl_ma, self.asked.ccl_ma)

    @property
    def dcl_ma(self):
        """Discharge current limit."""
        return min(self.derating.dcl_ma, self.asked.dcl_ma)

    def _load(self):
        p = self.params
        for part in (self._flow, self.witness, self._fet_watch, self._doubts,
                     self.cautions, self.fets.sparing):
            part.load(p)
        self._other_way_ma = p["other_way_ma"]
        self.rest_ma = p["rest_ma"]
        self._failed_scans = p["failed_scans"]
        self._soc_full_cpct = p["ov_release_soc_cpct"]
        self._wire_mv = p["open_wire_mv"]
        self._nominal_ma = p["nominal_ma"]
        self._taken = p.changed

    @micropython.native
    def step(self, now_ms, fresh):
        """Advance after one scan attempt. *fresh*: it brought a complete set of values.

        Protections step only on fresh scans; without them the scan fault is raised, which opens
        both FETs.
        """
        if self._taken != self.params.changed:
            self._load()
        self.now_ms = now_ms
        measured = self.measurements
        self._permits_of = -1               # no word of faults is that
        self._was_allowed = self.allowed()
        if fresh:
            self._protect(measured)
        elif measured.failed_row >= self._failed_scans - _SOON_SCANS:
            self.derating.stop()
            if measured.failed_row >= self._failed_scans:
                self.set_fault(FAULT_SCAN, True, measured.failed_row, self._failed_scans)
        self._power_scans -= 1
        if self._power_scans <= 0 or self.power.urgent or self.power.mode != pw.AWAKE:
            self._power_scans = _POWER_SCANS
            step_power(self, measured, fresh)
            self.cautions.step(now_ms, self)
        self._decide()
        if fresh:
            wanted = self.fets.wanted
            joining = self.joining
            if self.dip or wanted != BOTH or joining.held or joining.soft:
                joining.step(self.dip, measured, wanted, self.derating.charge_target_ma,
                             self.derating.discharge_target_ma)
            else:
                joining.resistance.step(measured.values, measured.dt_ms)    # REC-05
            self._limit(measured)
        awake = not (self.faults or self.faults_more) and STANDBY <= self.state <= PROTECTION
        self.balancing.step(measured, fresh, awake, self.protection.trips)
        if self.balancing.mask or self._balance_log.running:
            self._balance_log.step(now_ms, measured.values)

    @micropython.native
    def _protect(self, measured):
        """Every protection and watch looks at the newest scan."""
        values = measured.values
        if self._end_wires.suspects or not 0 <= values[CELL_DIFF_MV] < SUNK_MV:
            self._end_wires.watch(measured, self.fets, self.rest_ma, self._wire_mv,
                                  self.faults & FAULT_WIRE)
        conditions = self._look(measured)
        protection = self.protection
        safety = measured.safety
        doubtful = doubtful_trips(measured, self.faults) if safety else 0
        if protection.step(values, measured.dt_ms, conditions, safety, doubtful):
            protection.take_changes(self._on_change)
        if values[MAX_CELL_MV] == NO_READING:
            protection.doubt(measured.cells_mv, measured.dt_ms)
        if not self.fets.sparing.step(measured, fets_of(measured.fets), protection.trips,
                                      protection.blocked):
            self.set_fault(FAULT_UNPROVEN, True, values[CURRENT_MA])
        if protection.stepped:
            protection.stepped = False
            self.protected = measured.seq
        doubts = self._doubts
        if doubts.is_alive(measured, self):
            balancing = self.balancing
            self.witness.step(measured, self.fets.actual,
                              balancing.written != 0 or not balancing.settled, self)
            watch = self._fet_watch
            fault = watch.step(measured, self.fets)
            if fault and not (fault == FAULT_OPEN and abs(values[CURRENT_MA]) >= _ALIVE_MA
                              and self.witness.life.blame_for_drop(self)):
                self._raise_conduction(fault)
        doubts.step(measured, self)
        self.afe_misled = (protection.disbelieved != 0 and
                           protection.disbelieved & ~doubtful_trips(measured, self.faults) != 0)
        if self.faults & FAULT_SCAN:
            self.set_fault(FAULT_SCAN, False)

    @micropython.native
    def _look(self, measured):
        """Direction, charger, load, polarity, SOC; return the conditions of the table."""
        flow = self._flow
        actual = self.fets.actual
        conditions = flow.look(measured, actual, self.protection.trips, self.fets.wanted)
        self.direction = flow.direction
        self.charger_seen = flow.charger_seen
        self.charger_near = flow.charger_near
        values = measured.values
        if flow.contradicted:
            self.set_fault(FAULT_UNPROVEN, True, values[CURRENT_MA])
        self._soc_feed.look(values, actual)
        if self.soc.cpct < self._soc_full_cpct:
            conditions |= rules.SOC_BELOW_FULL
        if self.allowance.is_used:
            conditions |= rules.METERED
        return self.cautions.look(self, conditions, measured.dt_ms)

    def count_charge(self, charge_uah, dt_ms):
        """Give the estimate what was moved in the last *dt_ms*.

        charge_uah   of the AFE's integrator, charging positive; None: it was lost
        """
        self.measurements.pulses.counted(charge_uah, dt_ms)
        if self.witness.suspects:
            self.witness.counted(charge_uah, dt_ms)
        self._soc_feed.count(charge_uah, dt_ms, self.measurements.values, self.fets.actual,
                             not self.has(FAULT_WELD))
        if charge_uah is not None and self.soc.zero_is_known:
            self.power.count(charge_uah, self.soc.offset_ua, dt_ms)
        if charge_uah is not None:
            fault = self._fet_watch.count(charge_uah, dt_ms)
            if fault:
                self._raise_conduction(fault)

    def _raise_conduction(self, fault):
        """A FET, or the sensor: by what is seen now the other is not to blame (SAF-05)."""
        watch = self._fet_watch
        accused = self.has_any((FAULT_UNPROVEN, FAULT_SIGN, FAULT_CURRENT))
        if fault == FAULT_UNPROVEN:
            self.set_fault(FAULT_WELD, False)
            if accused:
                return
        elif fault == FAULT_WELD and accused:       # what a sensor shows that is wrong
            return
        self.set_fault(fault, True, watch.value, watch.limit)

    def measured_ma(self):
        """Current of the newest scan; 0 if there is none."""
        current_ma = self.measurements.values[CURRENT_MA]
        return 0 if current_ma == NO_READING else current_ma

    def clear(self):
        """Host command: latched faults and locks may go; what still holds comes back."""
        self.events.add(self.now_ms, ev.CLEAR)
        self.clear_faults()
        self.witness.clear(self)
        self._fet_watch.clear()
        self.protection.unlock()
        self.protection.release(_REFUSED)
        self.protection.take_changes(self._on_change)

    def _on_change(self, i, before, now):
        note_change(self, self._was_allowed, i, before, now)

    def recall_over_charge(self):
        """At a start: an over-charge protection that had not released holds on (PRO-01, PWR-13).

        A failing supply does not end it.
        """
        self.protection.recall(self.power.full_trips & OVER_CHARGE)

    def release(self, items):
        """Release the *items* of the protection table before their own rules do (PWR-13)."""
        self.protection.release(items)
        self.protection.take_changes(self._on_change)

    def try_deep_charge(self):
        """Host command: charge once although a cell is below the floor (PRO-29); ValueError if
        none is."""
        self.cautions.deep.allow_try(self.protection)
        self.protection.take_changes(self._on_change)

    @micropython.native
    def _decide(self):
        """The state, from what is known."""
        if self.power.mode == pw.OFF:
            state = OFF
        elif self.power.mode == pw.ASLEEP:
            state = SLEEP
        elif self.faults | self.faults_more and self.fails():
            state = FAIL
        elif (not self.afe_ready or not self.measurements.seq or self.looking_at_zero
              or self.testing or self.afe_misled):
            state = SELF_TEST
        elif self.protection.blocked or self.blocked_by_faults():
            state = PROTECTION
        else:
            state = self.direction
        self.decided = self.protected
        if state != FAIL and state != SELF_TEST:
            self.passed = True
        if state != self.state:
            self.events.add(self.now_ms, ev.STATE, state, -1, self.state, self.faults)
            self.state = state
        if not STANDBY <= state <= PROTECTION:
            self.derating.stop()

    @micropython.native
    def _limit(self, measured):
        """Limiter, allowance and the limits told to the inverter."""
        values = measured.values
        current_ma = values[CURRENT_MA]
        limiting = self.limiter.step(current_ma, self.rest_ma, self._other_way_ma,
                                     measured.dt_ms)
        self.limiter_in = limiting or self.joining.soft
        self.allowance.step(current_ma, self._nominal_ma, measured.dt_ms)
        self._permits = permits = self.allowed()
        self._permits_of = self.faults
        self._permits_of_more = self.faults_more
        free = 0
        if not (self._doubts.soon or self._fet_watch.soon or self.witness.soon
                or self.power.leaves()):
            free = permits & ~self.fets.sparing.spared & ~self.protection.pending
        self._limit_scans -= 1
        self._limit_ms += measured.dt_ms
        if self._limit_scans <= 0:          # the limits move slowly: no need to aim each scan
            self._limit_scans = _AIM_SCANS
            self.derating.aim(values, self.allowance.limit_ma(), self.cautions.deep.most_ma)
            if values[MAX_CELL_MV] != NO_READING:
                self.charge_voltage.wants_top = self.balancing.wants_top(values)
                self.charge_voltage.step(values[MAX_CELL_MV], values[STACK_MV],
                                         self._limit_ms)
            if self.soc.is_set:
                self.requests.step(self.soc.cpct, self._limit_ms)
            self._limit_ms = 0
        self.derating.step(free & CHARGE, free & DISCHARGE, measured.dt_ms, self.dip > 0)

    @micropython.native
    def allowed(self):
        """FETs that may be closed now, bits CHARGE | DISCHARGE."""
        return self.able() & ~self.joining.held

    @micropython.native
    def permitted(self):
        """allowed(), at the end of a scan: as it was worked out for the limits, unless a fault has
        come or gone since."""
        if self._permits_of == self.faults and self._permits_of_more == self.faults_more:
            return self._permits
        return self.allowed()

    @micropython.native
    def offered(self):
        """Directions that others may use: a FET that only spares its diode is none (PRO-28)."""
        return self.allowed() & ~self.fets.sparing.spared

    @micropython.native
    def able(self):
        """FETs that this pack by itself could close, whatever is on the bus bar."""
        if (not self.afe_ready or self.looking_at_zero or not STANDBY <= self.state <= PROTECTION
                or not self.measurements.seq or self.power.holds()):
            return 0
        protection = self.protection
        blocked = protection.blocked
        if blocked:
            blocked &= ~self.fets.sparing.spared
            if blocked and self.power.mode == pw.TRYING:
                blocked = self._blocked_but_for(UNDER_VOLTAGE)
        blocked |= self.held | self.cautions.held(protection.pending)
        if self._flow.wrong_scans:
            blocked |= DISCHARGE
        if self.faults | self.faults_more:
            if self.fails():
                return 0
            blocked |= self.blocked_by_faults()
        return BOTH & ~blocked

    def _blocked_but_for(self, mask):
        """FETs that protections other than those of *mask* hold off."""
        blocked = 0
        trips = self.protection.trips & ~mask
        for i in range(len(ITEMS)):
            if trips >> i & 1:
                blocked |= ITEMS[i][rules.BLOCKS]
        return blocked

    def change(self, values, now_ms):
        """Host command: set the parameters {name: value}, all or none; ValueError says why not."""
        before = {}
        for name in values:
            before[name] = self.params[name]
        self.params.set_all(values)
        for name in values:
            number = self.params.number_of(name)
            self.events.add(now_ms, ev.PARAMETER, number & 0xFF, number >> 8,
                            values[name], before[name])

    def switch_off(self, now_ms):
        """Host command: both FETs off, then sleep where nothing outside forbids it.

        Until a wake, another command or a reset.
        """
        self.hold(BOTH, now_ms)
        if self.power.mode == pw.AWAKE:
            self.power.ask_sleep()

    def hold(self, held, now_ms):
        """Host command: hold the FETs *held* off, bits CHARGE | DISCHARGE, until the next one."""
        if held != self.held:
            self.events.add(now_ms, ev.HELD, held, -1, held, self.held)
            self.held = held
