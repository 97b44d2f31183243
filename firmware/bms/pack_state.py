"""What the pack is: measurements, protections, faults, state and limits in one place.

One step a scan: readings -> conditions -> protection table -> faults -> state -> limits. The
protocols and the panel read this object; the control task acts on what it says about the FETs.
"""

from micropython import const

from bms import derating
from bms import events as ev
from bms import power as pw
from bms import protection_rules as rules
from bms.allowance import Allowance
from bms.asked_limits import AskedLimits
from bms.balance_log import BalanceLog
from bms.balancing import Balancing
from bms.charge_requests import ChargeRequests
from bms.charge_voltage import ChargeVoltage
from bms.derating import Derating
from bms.end_wires import SUNK_MV, EndWires
from bms.events import Events
from bms.fets import Fets
from bms.inverter_watch import InverterWatch
from bms.joining import Joining
from bms.limiter import ChargeLimiter
from bms.measurements import Measurements
from bms.power import Power
from bms.protection import ALARM, LOCKED, TRIPPED, Protection
from bms.protection_rules import (
    BLOCKING,
    BOTH,
    CHARGE,
    DISCHARGE,
    FAULT_BLIND,
    FAULT_CELL,
    FAULT_FROZEN,
    FAULT_NTC,
    FAULT_OPEN,
    FAULT_SCAN,
    FAULT_SIGN,
    FAULT_SUM,
    FAULT_WELD,
    FAULT_WIRE,
    ITEMS,
    mask_of,
)
from bms.readings import (
    CELL_DIFF_MV,
    CELL_IMPLAUSIBLE,
    CURRENT_MA,
    LD_MV,
    MAX_CELL,
    MAX_CELL_MV,
    MIN_CELL,
    MIN_CELL_MV,
    MIN_TEMP_DC,
    NO_READING,
    NTC_OPEN,
    NTC_SHORT,
    PACK_MV,
    REVERSED,
    SCAN_HASH,
    SOC_CPCT,
    STACK_MV,
    SUM_IMPLAUSIBLE,
    WIRE_OPEN,
)
from bms.rights import Rights
from bms.soc import StateOfCharge

STATES = ("off", "self_test", "standby", "charging", "discharging", "protection", "fail", "sleep")
OFF, SELF_TEST, STANDBY, CHARGING, DISCHARGING, PROTECTION, FAIL, SLEEP = range(8)

# doubt about a scan, fault it becomes when it lasts
_DOUBTS = (
    (CELL_IMPLAUSIBLE, FAULT_CELL),
    (SUM_IMPLAUSIBLE, FAULT_SUM),
    (NTC_OPEN | NTC_SHORT, FAULT_NTC),
    (WIRE_OPEN, FAULT_WIRE),
    (0, FAULT_BLIND),
)
_DOUBT_FAULTS = FAULT_CELL | FAULT_SUM | FAULT_NTC | FAULT_WIRE | FAULT_BLIND
_CELL_FAULTS = FAULT_CELL | FAULT_SUM | FAULT_WIRE
# until the host clears them, or a reset
LATCHED = (FAULT_WELD, FAULT_OPEN, FAULT_SIGN, rules.FAULT_RAM, rules.FAULT_PROGRAM,
           rules.FAULT_DATA, rules.FAULT_CLOCK, rules.FAULT_OUTPUT, rules.FAULT_FLOW)

_OVER_CHARGE = mask_of("PRO-01", "PRO-03")
_UNDER_VOLTAGE = mask_of("PRO-02", "PRO-04")
_SHORT = mask_of("PRO-08")

_REVERSED_MV = const(-150)  # terminals below: a diode drop is what a reversed charger leaves
_RIGHT_MS = const(3000)     # PRO-18: polarity right for so long
_BLIND_LATER_MS = const(200)  # first scans may be of two doubts: the lasting one is to be named
_FROZEN_AT_REST = const(3)  # times as long as under current
_SIGN_HIGH_MV = const(40)   # beyond the over-voltage protection while discharging ...
_SIGN_LOW_MV = const(200)   # ... or below the under-voltage protection while charging ...
_SIGN_MS = const(3000)      # ... for so long
_POWER_SCANS = const(10)    # awake, nobody waits for the step of that
_AIM_SCANS = const(10)      # targets of the limits are worked out each so many scans
_LONGEST_MS = const(1 << 28)  # timers stop here: beyond 2**30 an int would live on the heap
_FREE_SCANS = const(5)      # load detect: terminals up for so many scans
_OPEN_MV = const(500)       # drop over closed FETs, beyond the current times _OPEN_UOHM
_OPEN_UOHM = const(3000)
_AGAINST_MA = const(400)    # current that the terminals contradict: a little less than makes ...
_AGAINST = const(5)         # ... the AFE close a FET for it; each such scan counts so much, ...
_AGAINST_MOST = const(15)   # ... one without takes 1 off, and so much is a fault
_SURE_SCANS = const(3)      # scans until a current counts that the terminals spoke against


def _longer(ms, dt_ms):
    """A timer that counts from the first sight of what it times: -1 is "not yet"."""
    if ms < 0:
        return 0
    return ms + dt_ms if ms < _LONGEST_MS else ms


def _resistive_mv(current_ma):
    """Drop over closed FETs and wires that *current_ma* may cause."""
    return abs(current_ma) // 1000 * _OPEN_UOHM // 1000


class Pack:
    """One battery pack.

    profile     module of profiles
    params      Parameters
    scan_ms     period of scans

    state, direction   of STATES; direction is STANDBY, CHARGING or DISCHARGING
    faults             bits of protection_rules
    charger_seen       terminals say that a charger is there
    held               FETs that a host holds off, bits CHARGE | DISCHARGE
    limiter_in         the 10 A limiter shall be in the charge path
    updating           a firmware update is under way
    system_cpct        state of charge of all packs together, -1: this one stands for itself
    afe_misled         the AFE holds a FET off for a reading that was wrong and is no longer
    testing            a self-test of the start still runs: nothing is closed
    passed             the pack has been beyond self-test since start
    protected, decided  number of the scan that went through the protections, through the decision
    first_out          (item or fault number, cell or -1, value, limit, ticks_ms), None before one
    first_out_age_s    None: first_out is of this start | its age at start, -1: not known
    """

    def __init__(self, profile, params, scan_ms):
        self.profile = profile
        self.params = params
        self.scan_ms = scan_ms
        self.measurements = Measurements(params, profile.CELLS, scan_ms)
        self.protection = Protection(params)
        self.soc = StateOfCharge(params, profile.CAPACITY_MAH, profile.CELLS)
        self.fets = Fets()
        self.events = Events(source=self)
        self.limiter = ChargeLimiter(params)
        self.allowance = Allowance(params)
        self.derating = Derating(profile.CURVES)
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
        self.faults = 0
        self.charger_seen = False
        self.limiter_in = False
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
        self.first_out = None
        self.first_out_age_s = None
        self.now_ms = 0
        self._doubting = False      # a timer of a doubt runs
        self._doubt_ms = [-1 for _ in _DOUBTS]
        self._hash = 0
        self._frozen_ms = -1
        self._right_ms = _RIGHT_MS  # -1: reversed | ms since polarity was first right again
        self._free_scans = 0
        self._weld_ms = -1          # -1: not | ms since it was first seen
        self._open_ms = -1
        self._limit_scans = 0
        self._was_allowed = 0       # FETs that were allowed before this step
        self._taken = -1
        self._other_way_ma = self._charger_mv = self._rest_ma = 0
        self._doubt_delay_ms = self._failed_scans = 0
        self._soc_full_cpct = self._frozen_limit_ms = self._fet_fail_ma = self._fet_fail_ms = 0
        self._nominal_ma = self._sign_high_mv = self._sign_low_mv = 0
        self._dvl_mv = params["dvl_mv"]
        self._limit_ms = 0          # since the limits were aimed last
        self._sign_ms = -1
        self._against = 0           # grows while current and terminals contradict each other
        self._weighing = False      # one of the three is not 0
        self._no_charge = 0         # scans for which a current either way is no evidence yet
        self._no_discharge = 0
        self._wire_mv = 0
        self._end_wires = EndWires(profile.CELLS)
        self._soc_max_mv = self._soc_min_mv = self._soc_temp_dc = 0
        self._soc_open = True       # no FET was seen closed since charge was counted last

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
        return max(self._dvl_mv, self.asked.dvl_mv)

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
        self._other_way_ma = p["other_way_ma"]
        self._charger_mv = p["charger_seen_mv"]
        self._rest_ma = p["rest_ma"]
        self._doubt_delay_ms = p["doubt_delay_ms"]
        self._failed_scans = p["failed_scans"]
        self._soc_full_cpct = p["ov_release_soc_cpct"]
        self._frozen_limit_ms = p["frozen_ms"]
        self._fet_fail_ma = p["fet_fail_ma"]
        self._wire_mv = p["open_wire_mv"]
        self._sign_high_mv = p["cell_ov_trip_mv"] + _SIGN_HIGH_MV
        self._sign_low_mv = p["cell_uv_trip_mv"] - _SIGN_LOW_MV
        self._fet_fail_ms = p["fet_fail_ms"]
        self._nominal_ma = p["nominal_ma"]
        self._dvl_mv = p["dvl_mv"]
        self._taken = p.changed

    def step(self, now_ms, fresh):
        """Advance after one scan attempt. *fresh*: it brought a complete set of values.

        Protections step only on fresh scans; without them the scan fault is raised, which opens
        both FETs.
        """
        if self._taken != self.params.changed:
            self._load()
        self.now_ms = now_ms
        measured = self.measurements
        self._was_allowed = self.allowed()
        if fresh:
            if (self._end_wires.suspects
                    or not 0 <= measured.values[CELL_DIFF_MV] < SUNK_MV):
                self._watch_end_wires(measured)
            conditions = self._look(measured)
            protection = self.protection
            doubtful = self._doubtful_trips(measured) if measured.safety else 0
            if protection.step(measured.values, measured.dt_ms, conditions, measured.safety,
                               doubtful):
                protection.take_changes(self._on_change)
            self.afe_misled = protection.disbelieved & ~doubtful != 0
            if protection.stepped:
                protection.stepped = False
                self.protected = measured.seq
            if self._is_alive(measured):
                self._watch_fets(measured)
            self._doubt(measured)
            if self.faults & FAULT_SCAN:
                self.set_fault(FAULT_SCAN, False)
        elif measured.failed_row >= self._failed_scans:
            self.set_fault(FAULT_SCAN, True, measured.failed_row, self._failed_scans)
        self._power_scans -= 1
        if self._power_scans <= 0 or self.power.urgent or self.power.mode != pw.AWAKE:
            self._power_scans = _POWER_SCANS
            self._step_power(measured, fresh)
        self._decide()
        if fresh:
            if self.dip or self.joining.held:       # alone there is nothing to join
                self.joining.step(self.dip, measured.values, self.fets.wanted,
                                  self.derating.charge_target_ma,
                                  self.derating.discharge_target_ma, measured.dt_ms)
            self._limit(measured)
        awake = not self.faults and STANDBY <= self.state <= PROTECTION
        self.balancing.step(measured, fresh, awake, self.protection.trips)
        if self.balancing.mask or self._balance_log.running:
            self._balance_log.step(now_ms, measured.values)

    def _doubtful_trips(self, measured):
        """AFE safety bits that only say again what is already known to be a wrong reading."""
        bits = 0
        if self.faults & _CELL_FAULTS or measured.values[MAX_CELL_MV] == NO_READING:
            bits = rules.AFE_BY_CELLS
        if self.faults & FAULT_NTC or measured.doubts & (NTC_OPEN | NTC_SHORT):
            bits |= rules.AFE_BY_NTC
        return bits

    def _look(self, measured):
        """Direction, charger, load, polarity, SOC; return the conditions of the table."""
        values = measured.values
        current_ma = values[CURRENT_MA]
        stack_mv = values[STACK_MV]
        conditions = 0
        above_mv = 0                        # a stack in doubt says nothing of the terminals
        if not measured.doubts & (SUM_IMPLAUSIBLE | WIRE_OPEN):
            above_mv = values[PACK_MV] - stack_mv
        if not self.fets.actual:            # both open: what the shunt shows is an offset
            self.direction = STANDBY
        elif current_ma > self._rest_ma and above_mv > -self._charger_mv:
            self.direction = CHARGING
            conditions = rules.CHARGE_FLOWS
        elif current_ma < -self._rest_ma and above_mv < self._charger_mv:
            self.direction = DISCHARGING
        else:                               # at rest, or against what the terminals say
            self.direction = STANDBY
        if self._weighing or abs(above_mv) > self._charger_mv:
            self._weigh(current_ma, above_mv)
        if current_ma > self._other_way_ma and self.direction == CHARGING and not self._no_charge:
            conditions |= rules.CHARGING
        elif (current_ma < -self._other_way_ma and self.direction == DISCHARGING
                and not self._no_discharge):
            conditions |= rules.DISCHARGING
        self.charger_seen = (above_mv > self._charger_mv
                             or self.direction == CHARGING and not self._no_charge)
        if self.charger_seen:
            conditions |= rules.CHARGER_SEEN
        if ((self._free_scans or self.protection.trips & _SHORT)
                and self._terminals_free(measured)):
            conditions |= rules.LOAD_REMOVED
        if values[PACK_MV] <= _REVERSED_MV:
            self._right_ms = -1
        elif self._right_ms < _RIGHT_MS:
            self._right_ms = _longer(self._right_ms, measured.dt_ms)
        values[REVERSED] = int(self._right_ms < _RIGHT_MS)
        self._watch_soc(measured)
        if self.soc.cpct < self._soc_full_cpct:
            conditions |= rules.SOC_BELOW_FULL
        return conditions

    def _weigh(self, current_ma, above_mv):
        """Whether the terminals, *above_mv* above the stack, bear the current out (MEA-03).

        A shunt that is off by some ampere shows a current that does not flow, and the AFE then
        closes the other FET in bursts, to spare its diode; what a scan reads is partly of a burst
        and partly not. So a current counts only after some scans in which the terminals did not
        say the opposite, and where they contradict it again and again it is a fault.
        """
        far_mv = self._charger_mv + _resistive_mv(current_ma)
        if above_mv < -far_mv:
            self._no_charge = _SURE_SCANS
        elif self._no_charge:
            self._no_charge -= 1
        if above_mv > far_mv:
            self._no_discharge = _SURE_SCANS
        elif self._no_discharge:
            self._no_discharge -= 1
        if self.fets.actual and (current_ma > _AGAINST_MA and self._no_charge == _SURE_SCANS
                                 or current_ma < -_AGAINST_MA
                                 and self._no_discharge == _SURE_SCANS):
            self._against = min(self._against + _AGAINST, _AGAINST_MOST)
            if self._against == _AGAINST_MOST:
                self.set_fault(FAULT_SIGN, True, current_ma, above_mv)
        elif self._against:
            self._against -= 1
        self._weighing = self._against + self._no_charge + self._no_discharge > 0

    def _terminals_free(self, measured):
        """True once load detect has seen the terminals rise after a short circuit."""
        values = measured.values
        if (self.protection.trips & _SHORT and not self.fets.actual
                and values[LD_MV] * 10 > values[STACK_MV] * 6):
            self._free_scans = min(self._free_scans + 1, _FREE_SCANS)
        else:
            self._free_scans = 0
        return self._free_scans >= _FREE_SCANS

    def _watch_soc(self, measured):
        """Keep the last trusted readings for the estimate, and show what it says."""
        values = measured.values
        if values[MAX_CELL_MV] != NO_READING and values[MIN_TEMP_DC] != NO_READING:
            self._soc_max_mv = values[MAX_CELL_MV]
            self._soc_min_mv = values[MIN_CELL_MV]
            self._soc_temp_dc = values[MIN_TEMP_DC]
            if not self.soc.is_set:
                self.soc.start(self._soc_min_mv, self._soc_temp_dc)
        if self.fets.actual:
            self._soc_open = False
        if self.soc.is_set:
            values[SOC_CPCT] = self.soc.cpct

    def count_charge(self, charge_uah, dt_ms):
        """Give the estimate what was moved in the last *dt_ms*.

        charge_uah   of the AFE's integrator, charging positive; None: it was lost
        """
        if not self.soc.is_set:
            return
        values = self.measurements.values
        self.soc.step(charge_uah, dt_ms, values[CURRENT_MA], self._soc_max_mv,
                      self._soc_min_mv, self._soc_temp_dc,
                      self._soc_open and not self.faults & FAULT_WELD)
        self._soc_open = not self.fets.actual
        values[SOC_CPCT] = self.soc.cpct

    def _doubt(self, measured):
        """A doubt about the readings that lasts is a fault; it goes after as long without."""
        if measured.doubts or self._doubting or self.faults & _DOUBT_FAULTS:
            self._time_doubts(measured)
            self._doubting = max(self._doubt_ms) >= 0
        self._contradiction(measured)

    def _time_doubts(self, measured):
        for i in range(len(_DOUBTS)):
            mask, fault = _DOUBTS[i]
            wrong = measured.doubts & mask != 0
            if fault == FAULT_BLIND:        # the other doubts take turns: none of them lasts
                wrong = (measured.values[MAX_CELL_MV] == NO_READING
                         and not self.faults & _CELL_FAULTS)
            if wrong == (self.faults & fault != 0):
                self._doubt_ms[i] = -1
                continue
            ms = _longer(self._doubt_ms[i], measured.dt_ms)
            self._doubt_ms[i] = ms
            later_ms = _BLIND_LATER_MS if wrong and fault == FAULT_BLIND else 0
            if ms >= self._doubt_delay_ms + later_ms:
                self._doubt_ms[i] = -1
                self.set_fault(fault, wrong, measured.doubts, 0)

    def _watch_end_wires(self, measured):
        """A wire at an end of the stack that seems open spoils all that is said of cells."""
        values = measured.values
        both = self.fets.actual == BOTH
        current_ma = values[CURRENT_MA]
        drop_mv = 0
        if both:
            drop_mv = values[PACK_MV] - values[STACK_MV]
            if drop_mv <= _OPEN_MV + _resistive_mv(current_ma):
                drop_mv = 0
        if self._end_wires.look(values, drop_mv, not both and abs(current_ma) <= self._rest_ma,
                                self._wire_mv, self.faults & FAULT_WIRE):
            measured.doubt_cells()

    def _is_alive(self, measured):
        """False while not one bit of 16 cells, stack, terminals and current changes.

        The noise of the converter moves some bit in nearly every scan, so a few seconds of
        stillness mean that the AFE has stopped measuring, sooner where a current flows.
        """
        values = measured.values
        if values[SCAN_HASH] != self._hash:
            self._hash = values[SCAN_HASH]
            self._frozen_ms = -1
            measured.frozen = False
            if self.faults & FAULT_FROZEN:
                self.set_fault(FAULT_FROZEN, False)
            return True
        self._frozen_ms = _longer(self._frozen_ms, measured.dt_ms)
        limit_ms = self._frozen_limit_ms
        if abs(values[CURRENT_MA]) <= self._other_way_ma:
            limit_ms *= _FROZEN_AT_REST
        if self._frozen_ms >= limit_ms:
            measured.frozen = True
            self.set_fault(FAULT_FROZEN, True, self._frozen_ms, limit_ms)
        return False

    def _contradiction(self, measured):
        """A cell far beyond its limit while the current seems to relieve it: the sign is wrong.

        "The other way" keeps a protection from tripping; it may not do so without end.
        """
        values = measured.values
        if (self.direction == DISCHARGING and values[MAX_CELL_MV] >= self._sign_high_mv
                or self.direction == CHARGING
                and NO_READING < values[MIN_CELL_MV] <= self._sign_low_mv):
            self._sign_ms = _longer(self._sign_ms, measured.dt_ms)
            if self._sign_ms >= _SIGN_MS:
                self.set_fault(FAULT_SIGN, True, values[CURRENT_MA], 0)
        else:
            self._sign_ms = -1

    def _watch_fets(self, measured):
        """SAF-05: current against an open FET, and no conduction through closed ones."""
        if self.fets.wanted & self.fets.actual == BOTH:
            self._weld_ms = -1
            drop_mv = abs(measured.values[PACK_MV] - measured.values[STACK_MV])
            if drop_mv > _OPEN_MV:
                self._watch_drop(measured, drop_mv)
            else:
                self._open_ms = -1
        else:
            self._open_ms = -1
            self._watch_weld(measured)

    def _watch_weld(self, measured):
        current_ma = measured.values[CURRENT_MA]
        wanted = self.fets.wanted       # not what is closed: the AFE may close one in bursts
        if (current_ma > self._fet_fail_ma and not wanted & CHARGE
                or current_ma < -self._fet_fail_ma and not wanted & DISCHARGE):
            self._weld_ms = _longer(self._weld_ms, measured.dt_ms)
            if self._weld_ms >= self._fet_fail_ms:
                self.set_fault(FAULT_WELD, True, current_ma, self._fet_fail_ma)
        else:
            self._weld_ms = -1

    def _watch_drop(self, measured, drop_mv):
        """Closed FETs with a drop between stack and terminals: one of them is open."""
        if (drop_mv <= _OPEN_MV + _resistive_mv(measured.values[CURRENT_MA])
                or measured.doubts):
            self._open_ms = -1
            return
        self._open_ms = _longer(self._open_ms, measured.dt_ms)
        if self._open_ms >= self._fet_fail_ms:
            self.set_fault(FAULT_OPEN, True, drop_mv, _OPEN_MV)

    def set_fault(self, fault, present, value=0, limit=0):
        """Raise or clear one bit of protection_rules.FAULTS and record it."""
        if (self.faults & fault != 0) != present:
            self._record_fault(fault, present, value, limit)

    def _record_fault(self, fault, present, value, limit):
        self.faults ^= fault
        number = 0
        while fault >> number + 1:
            number += 1
        self.events.add(self.now_ms, ev.FAULT if present else ev.FAULT_CLEAR, number, -1,
                        value, limit)
        if present and fault & BLOCKING and (self._was_allowed or self.first_out is None):
            self._note_first_out(len(ITEMS) + number, -1, value, limit)

    def _note_first_out(self, number, cell, value, limit):
        """REC-03: what has just opened a FET; recorded, so that it is known after a reset."""
        self.first_out = (number, cell, value, limit, self.now_ms)
        self.first_out_age_s = None
        self.events.add(self.now_ms, ev.FIRST_OUT, number, cell, value, limit)

    def recall_first_out(self, number, cell, value, limit, age_s):
        """Take over the first-out of an earlier start, *age_s* old, -1: not known."""
        if self.first_out is None:
            self.first_out = (number, cell, value, limit, self.now_ms)
            self.first_out_age_s = age_s

    def measured_ma(self):
        """Current of the newest scan; 0 if there is none."""
        current_ma = self.measurements.values[CURRENT_MA]
        return 0 if current_ma == NO_READING else current_ma

    def clear(self):
        """Host command: latched faults and locks may go; what still holds comes back."""
        for fault in LATCHED:
            self.set_fault(fault, False)
        self.protection.unlock()
        self.protection.take_changes(self._on_change)

    def _on_change(self, i, before, now):
        """Record what changed of item *i*."""
        reading = ITEMS[i][rules.READING]
        values = self.measurements.values
        value = values[reading]
        if value == NO_READING:
            value = 0                   # tripped by the AFE: its status is in a record of its own
        cell = -1
        if reading == MAX_CELL_MV:
            cell = values[MAX_CELL]
        elif reading == MIN_CELL_MV:
            cell = values[MIN_CELL]
        changed = before ^ now
        if changed & ALARM:
            self.events.add(self.now_ms, ev.ALARM if now & ALARM else ev.ALARM_CLEAR, i, cell,
                            value, self.protection.limit_of(i, ALARM))
        limit = self.protection.limit_of(i, TRIPPED)
        if changed & TRIPPED:
            self.events.add(self.now_ms, ev.TRIP if now & TRIPPED else ev.RELEASE, i, cell,
                            value, limit)
            if now & TRIPPED:
                if ITEMS[i][rules.BLOCKS] & self._was_allowed:
                    self._note_first_out(i, cell, value, limit)
                if _OVER_CHARGE >> i & 1:
                    self.soc.anchor_full()
                elif _UNDER_VOLTAGE >> i & 1:
                    self.soc.anchor_empty()
        if changed & LOCKED:
            self.events.add(self.now_ms, ev.LOCK if now & LOCKED else ev.UNLOCK, i, cell, value,
                            limit)

    def _step_power(self, measured, fresh):
        """Off, awake or asleep."""
        values = measured.values
        current_ma = values[CURRENT_MA]
        trips = self.protection.trips
        conditions = 0
        if fresh and not measured.frozen:
            conditions = pw.MEASURED
        if not self.fets.actual:
            conditions |= pw.OPEN | pw.QUIET
        elif self.direction == CHARGING:
            conditions |= pw.CHARGES
        elif self.direction == DISCHARGING or current_ma < -self._rest_ma:
            conditions |= pw.DISCHARGES
        elif current_ma <= self._rest_ma and not self.balancing.mask:
            conditions |= pw.QUIET
        if self.charger_seen:
            conditions |= pw.CHARGER
        if trips & _UNDER_VOLTAGE:
            conditions |= pw.OVER_DISCHARGED
        if trips & _OVER_CHARGE:
            conditions |= pw.OVER_CHARGED
        news = self.power.step(self.now_ms, conditions, values[PACK_MV],
                               values[MIN_CELL_MV])
        if news:
            self._note_power(news, values[PACK_MV])

    def _note_power(self, news, pack_mv):
        """Record what happened; measured values of the time before are none any more."""
        power = self.power
        if news == pw.SLEPT:
            self.events.add(self.now_ms, ev.SLEEP, power.reason, -1, power.tries)
        elif news == pw.WOKE:
            self.events.add(self.now_ms, ev.WAKE, power.woken_by, -1, pack_mv)
            self.hold(0, self.now_ms)
        elif news == pw.TRIES:
            self.events.add(self.now_ms, ev.WAKE, pw.BY_TIMER, -1, pack_mv, power.tries + 1)
        elif news == pw.REFUSED:
            self.events.add(self.now_ms, ev.SLEEP_REFUSED, power.refused, -1, pack_mv)
        elif news == pw.RECHARGE:
            self.protection.release(_OVER_CHARGE)
            self.protection.take_changes(self._on_change)

    def _decide(self):
        """The state, from what is known."""
        if self.power.mode == pw.OFF:
            state = OFF
        elif self.power.mode == pw.ASLEEP:
            state = SLEEP
        elif self.faults & BLOCKING:
            state = FAIL
        elif (not self.afe_ready or not self.measurements.seq or self.looking_at_zero
              or self.testing):
            state = SELF_TEST
        elif self.protection.blocked:
            state = PROTECTION
        else:
            state = self.direction
        self.decided = self.protected
        if state != FAIL and state != SELF_TEST:
            self.passed = True
        if state != self.state:
            self.events.add(self.now_ms, ev.STATE, state, -1, self.state, self.faults)
            self.state = state
        if state == FAIL or state == SELF_TEST:
            self.derating.stop()

    def _limit(self, measured):
        """Limiter, allowance and the limits told to the inverter."""
        values = measured.values
        current_ma = values[CURRENT_MA]
        self.limiter_in = self.limiter.step(current_ma, self._rest_ma, self._other_way_ma,
                                            measured.dt_ms)
        self.allowance.step(current_ma, self._nominal_ma, measured.dt_ms)
        free = 0 if self.power.leaves() else self.allowed() & ~self.protection.pending
        self._limit_scans -= 1
        self._limit_ms += measured.dt_ms
        if self._limit_scans <= 0:          # the limits move slowly: no need to aim each scan
            self._limit_scans = _AIM_SCANS
            self.derating.aim(values, self.allowance.limit_ma())
            if values[MAX_CELL_MV] != NO_READING:
                self.charge_voltage.step(values[MAX_CELL_MV], values[STACK_MV],
                                         self._limit_ms)
            if self.soc.is_set:
                self.requests.step(self.soc.cpct, self._limit_ms)
            self._limit_ms = 0
        self.derating.step(free & CHARGE, free & DISCHARGE, measured.dt_ms, self.dip > 0)

    def limits_text(self):
        """Why each limit is below nominal: item, value (DER-05)."""
        lines = []
        curves = self.profile.CURVES
        for i in range(len(curves)):
            if self.derating.reasons >> i & 1:
                value = self.measurements.values[curves[i][derating.READING]]
                lines.append("%s: %s, value %s" % (
                    "CCL" if curves[i][0] == derating.CHARGE_LIMIT else "DCL", curves[i][3],
                    "none" if value == NO_READING else value))
        held = BOTH & ~self.allowed()
        if held:
            lines.append("held off:%s%s" % (" charge" if held & CHARGE else "",
                                            " discharge" if held & DISCHARGE else ""))
        if self.asked.left_s:
            lines.append("limits asked for by a command, for %d s" % self.asked.left_s)
        if self.charge_voltage.is_lowered:
            lines.append("CVL: highest cell near its protection, %d mV" % self.cvl_mv)
        if self.allowance.limit_ma() < self.params["boost_ma"]:
            lines.append("short-time allowance used, %d uses in 30 days" % self.allowance.uses())
        return "\n".join(lines) or "no limit is below nominal"

    def allowed(self):
        """FETs that may be closed now, bits CHARGE | DISCHARGE."""
        return self.able() & ~self.joining.held

    def able(self):
        """FETs that this pack by itself could close, whatever is on the bus bar."""
        ready = (self.afe_ready and self.measurements.seq > 0 and not self.looking_at_zero
                 and STANDBY <= self.state <= PROTECTION and not self.faults & BLOCKING
                 and not self.power.holds())
        blocked = self.protection.blocked
        if blocked and self.power.mode == pw.TRYING:
            blocked = self._blocked_but_for(_UNDER_VOLTAGE)
        return self.fets.decide(blocked | self.held, ready)

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
