"""What the pack is: measurements, protections, faults, state and limits in one place.

One step a scan: readings -> conditions -> protection table -> faults -> state. The protocols and
the panel read this object; the control task acts on what it says about the FETs.
"""

from bms import events as ev
from bms import protection_rules as rules
from bms import readings as rd
from bms.events import Events
from bms.fets import Fets
from bms.measurements import Measurements
from bms.protection import ALARM, LOCKED, TRIPPED, Protection
from bms.protection_rules import (
    CHARGE,
    DISCHARGE,
    FAULT_CELL,
    FAULT_NTC,
    FAULT_SCAN,
    FAULT_SUM,
    FAULT_TASK,
    ITEMS,
)
from bms.soc import StateOfCharge

STATES = ("off", "self_test", "standby", "charging", "discharging", "protection", "fail", "sleep")
OFF, SELF_TEST, STANDBY, CHARGING, DISCHARGING, PROTECTION, FAIL, SLEEP = range(8)

_DOUBTS = (
    (rd.CELL_IMPLAUSIBLE, FAULT_CELL),
    (rd.SUM_IMPLAUSIBLE, FAULT_SUM),
    (rd.NTC_OPEN | rd.NTC_SHORT, FAULT_NTC),
)
_ALARMS_NO_CHARGE = 0b0101      # PRO-01, PRO-03
_ALARMS_NO_DISCHARGE = 0b1010   # PRO-02, PRO-04
_NOT_BLOCKING = FAULT_TASK


class Pack:
    """One battery pack.

    profile     module of profiles
    params      Parameters
    scan_ms     period of scans

    state, direction   of STATES; direction is STANDBY, CHARGING or DISCHARGING
    faults             bits of protection_rules.FAULTS
    charger_seen       terminals say that a charger is there
    first_out          (item or fault name, cell or -1, value, limit, ticks_ms), None before one
    """

    def __init__(self, profile, params, scan_ms):
        self.profile = profile
        self.params = params
        self.measurements = Measurements(params, profile.CELLS, scan_ms)
        self.protection = Protection(params)
        self.soc = StateOfCharge(profile.CAPACITY_MAH)
        self.fets = Fets()
        self.events = Events()
        self.state = SELF_TEST
        self.direction = STANDBY
        self.faults = 0
        self.charger_seen = False
        self.afe_ready = False
        self.dip = 0
        self.ccl_ma = 0
        self.dcl_ma = 0
        self.first_out = None
        self._doubt_ms = [-1 for _ in _DOUBTS]
        self.now_ms = 0
        self._taken = -1
        self._other_way_ma = self._charger_mv = self._rest_ma = 0
        self._full_mv = self._tail_ma = self._doubt_delay_ms = self._failed_scans = 0
        self._soc_full_cpct = self._nominal_ma = 0

    def _load(self):
        p = self.params
        self._other_way_ma = p["other_way_ma"]
        self._charger_mv = p["charger_seen_mv"]
        self._rest_ma = p["rest_ma"]
        self._full_mv = p["full_cell_mv"]
        self._tail_ma = p["tail_ma"]
        self._doubt_delay_ms = p["doubt_delay_ms"]
        self._failed_scans = p["failed_scans"]
        self._soc_full_cpct = p["ov_release_soc_cpct"]
        self._nominal_ma = p["nominal_ma"]
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
        if fresh:
            conditions = self._look(measured)
            if self.protection.step(measured.values, measured.dt_ms, conditions):
                self.protection.take_changes(self._on_change)
            self._doubt(measured)
            self.set_fault(FAULT_SCAN, False)
        elif measured.failed_row >= self._failed_scans:
            self.set_fault(FAULT_SCAN, True, measured.failed_row, self._failed_scans)
        self._decide()

    def _look(self, measured):
        """Direction, charger, SOC; return the conditions of the protection table."""
        values = measured.values
        current_ma = values[rd.CURRENT_MA]
        conditions = 0
        if current_ma > self._rest_ma:
            self.direction = CHARGING
        elif current_ma < -self._rest_ma:
            self.direction = DISCHARGING
        else:
            self.direction = STANDBY
        if current_ma > self._other_way_ma:
            conditions = rules.CHARGING
        elif current_ma < -self._other_way_ma:
            conditions = rules.DISCHARGING
        self.charger_seen = (self.direction == CHARGING
                             or values[rd.PACK_MV] - values[rd.STACK_MV] > self._charger_mv)
        if self.charger_seen:
            conditions |= rules.CHARGER_SEEN
        soc = self.soc
        if not soc.is_set:
            soc.start(values[rd.CELL_SUM_MV] // self.profile.CELLS)
        else:
            soc.count(current_ma, min(measured.dt_ms, 1000))
        if 0 < current_ma <= self._tail_ma and values[rd.MAX_CELL_MV] >= self._full_mv:
            soc.anchor_full()
        values[rd.SOC_CPCT] = soc.cpct
        if soc.cpct < self._soc_full_cpct:
            conditions |= rules.SOC_BELOW_FULL
        return conditions

    def _doubt(self, measured):
        """A doubt about the readings that lasts is a fault; it goes after as long without."""
        for i in range(len(_DOUBTS)):
            mask, fault = _DOUBTS[i]
            wrong = measured.doubts & mask != 0
            if wrong == (self.faults & fault != 0):
                self._doubt_ms[i] = -1
                continue
            ms = self._doubt_ms[i]
            ms = 0 if ms < 0 else ms + measured.dt_ms
            self._doubt_ms[i] = ms
            if ms >= self._doubt_delay_ms:
                self._doubt_ms[i] = -1
                self.set_fault(fault, wrong, measured.doubts, 0)

    def set_fault(self, fault, present, value=0, limit=0):
        """Raise or clear one bit of protection_rules.FAULTS and record it."""
        if (self.faults & fault != 0) == present:
            return
        self.faults ^= fault
        number = 0
        while fault >> number + 1:
            number += 1
        self.events.add(self.now_ms, ev.FAULT if present else ev.FAULT_CLEAR, number, -1,
                        value, limit)
        if present and not fault & _NOT_BLOCKING:
            self.first_out = (len(ITEMS) + number, -1, value, limit, self.now_ms)

    def _on_change(self, i, before, now):
        """Record what changed of item *i*."""
        reading = ITEMS[i][1]
        value = self.measurements.values[reading]
        cell = -1
        if reading == rd.MAX_CELL_MV:
            cell = self.measurements.values[rd.MAX_CELL]
        elif reading == rd.MIN_CELL_MV:
            cell = self.measurements.values[rd.MIN_CELL]
        limit = self.protection.limit_of(i, (before ^ now) & TRIPPED)
        changed = before ^ now
        if changed & ALARM:
            self.events.add(self.now_ms, ev.ALARM if now & ALARM else ev.ALARM_CLEAR, i, cell,
                            value, self.protection.limit_of(i, ALARM))
        if changed & TRIPPED:
            self.events.add(self.now_ms, ev.TRIP if now & TRIPPED else ev.RELEASE, i, cell,
                            value, limit)
            if now & TRIPPED:
                self.first_out = (i, cell, value, limit, self.now_ms)
                if ITEMS[i][0] in ("PRO-01", "PRO-03"):
                    self.soc.anchor_full()
                elif ITEMS[i][0] in ("PRO-02", "PRO-04"):
                    self.soc.anchor_empty()
        if changed & LOCKED and now & LOCKED:
            self.events.add(self.now_ms, ev.LOCK, i, cell, value, limit)

    def _decide(self):
        """State and limits from what is known."""
        if self.faults & ~_NOT_BLOCKING:
            state = FAIL
        elif not self.afe_ready or not self.measurements.seq:
            state = SELF_TEST
        elif self.protection.trips:
            state = PROTECTION
        else:
            state = self.direction
        if state != self.state:
            self.events.add(self.now_ms, ev.STATE, state, -1, self.state, self.faults)
            self.state = state
        allowed = self.allowed()
        alarms = self.protection.alarms
        self.ccl_ma = (self._nominal_ma
                       if allowed & CHARGE and not alarms & _ALARMS_NO_CHARGE else 0)
        self.dcl_ma = (self._nominal_ma
                       if allowed & DISCHARGE and not alarms & _ALARMS_NO_DISCHARGE else 0)

    def allowed(self):
        """FETs that may be closed now, bits CHARGE | DISCHARGE."""
        ready = self.afe_ready and self.measurements.seq > 0 and self.state not in (
            OFF, SELF_TEST, FAIL, SLEEP)
        return self.fets.decide(self.protection.blocked, ready)
