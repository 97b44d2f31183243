"""The pack as a whole: from scans to state, limits, events and what the FETs may do."""

import unittest

from bms.words import events as ev
from bms.power import power as pw
from bms.words import states as st
from bms.words import rules
from bms.words import readings as rd
from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import LATE, NO_READING, WRAP, put16, scan_regs, set_cells
from profiles import am5000

CHARGE, DISCHARGE, BOTH = 1, 2, 3
CELL_OV, CELL_UV, PACK_OV, PACK_UV = 1, 2, 4, 8
ITEM = {row[0]: i for i, row in enumerate(rules.ITEMS)}


class TestCase(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.pack = Pack(am5000, self.params, 100)
        self.pack.afe_ready = True
        self.pack.fets.wanted = self.pack.fets.actual = BOTH
        self.now = LATE             # every test may cross the wrap of ticks
        self.jitter = 0

    def scan(self, regs, dt_ms=100):
        self.now = (self.now + dt_ms) % WRAP
        self.jitter ^= 1
        regs[0x38] = self.jitter    # a real scan always moves
        self.pack.measurements.take(regs, self.now)
        self.pack.step(self.now, True)
        allowed = self.pack.allowed()
        self.pack.fets.wanted = self.pack.fets.actual = allowed     # as the control task sees to
        return allowed

    def miss(self):
        self.now = (self.now + 100) % WRAP
        self.pack.measurements.fail()
        self.pack.step(self.now, False)
        return self.pack.allowed()

    def hold(self, regs, ms):
        """Scans of 100 ms for *ms* after the first."""
        self.scan(regs)
        for _ in range(ms // 100):
            self.scan(regs)
        return self.pack.allowed()

    def events(self, kind):
        log = self.pack.events
        return [seq for seq in range(log.oldest(), log.newest + 1)
                if seq and log.get(seq, 2) == kind]

    def make_empty(self):
        """The estimate of charge becomes 0, whatever the cells are."""
        self.pack.soc.see(2650, 2650, 250, 16 * 2650)
        self.pack.soc.anchor_empty()
        self.assertEqual(self.pack.soc.cpct, 0)

    def tripped_under_voltage(self):
        """Cell 5 at 2650 mV, PRO-02 tripped."""
        regs = scan_regs()
        regs[0x7F] = 0x05               # both conducted once: the terminals' gain is known
        self.scan(regs)
        regs = scan_regs()
        set_cells(regs, 3310, 3310, 3310, 3310, 3310, 2650)
        self.hold(regs, 3000)
        self.assertEqual(self.pack.protection.trips, CELL_UV)
        return regs


class TestStates(TestCase):
    def test_nothing_is_allowed_before_the_first_scan(self):    # req: SAF-02
        self.assertEqual((self.pack.state, self.pack.allowed()), (st.SELF_TEST, 0))
        self.pack.step(self.now, False)
        self.assertEqual((self.pack.state, self.pack.allowed()), (st.SELF_TEST, 0))

    def test_nothing_is_allowed_before_the_afe_is_ready(self):  # req: SAF-02
        self.pack.afe_ready = False
        self.assertEqual(self.scan(scan_regs()), 0)
        self.assertEqual(self.pack.state, st.SELF_TEST)
        self.pack.afe_ready = True
        self.assertEqual(self.scan(scan_regs()), BOTH)
        self.assertEqual(self.pack.state, st.STANDBY)

    def test_direction_by_current_one_short_exact_one_past(self):   # req: PWR-01
        # 10 mA is the step of the AFE, 300 mA the rest current
        for current_ma, state in ((0, st.STANDBY), (300, st.STANDBY), (310, st.CHARGING),
                                  (-300, st.STANDBY), (-310, st.DISCHARGING),
                                  (100_000, st.CHARGING), (-100_000, st.DISCHARGING)):
            self.setUp()
            self.scan(scan_regs(current_ma=current_ma))
            self.assertEqual((self.pack.state, self.pack.direction), (state, state), current_ma)

    def test_a_change_of_state_is_recorded(self):               # req: PRO-25
        self.scan(scan_regs())
        self.scan(scan_regs(current_ma=5000))
        self.scan(scan_regs(current_ma=5000))
        seqs = self.events(ev.STATE)
        log = self.pack.events
        self.assertEqual([(log.get(s, 5), log.get(s, 3)) for s in seqs],
                         [(st.SELF_TEST, st.STANDBY), (st.STANDBY, st.CHARGING)])

    def test_limits_rise_slowly_when_all_is_well(self):         # req: PRF-01 DER-01 DER-03
        self.scan(scan_regs())
        last = 0
        for _ in range(60):
            self.scan(scan_regs(), 1000)
            self.assertTrue(last <= self.pack.ccl_ma <= last + 2000, self.pack.ccl_ma)
            last = self.pack.ccl_ma
        self.assertEqual((self.pack.ccl_ma, self.pack.dcl_ma), (100_000, 100_000))


class TestProtections(TestCase):
    def test_over_voltage_stops_charge_only(self):              # req: PRO-01 PRO-20
        regs = scan_regs()
        set_cells(regs, 3300, 3300, 3600)
        self.assertEqual(self.hold(regs, 2900), BOTH)
        self.assertEqual(self.scan(regs), DISCHARGE)
        self.assertEqual((self.pack.state, self.pack.protection.trips), (st.PROTECTION, CELL_OV))

    def test_under_voltage_stops_discharge_only(self):          # req: PRO-02 PRO-20
        regs = scan_regs()
        set_cells(regs, 3300, 3300, 2700)
        self.assertEqual(self.hold(regs, 2900), BOTH)
        self.assertEqual(self.scan(regs), CHARGE)

    def test_pack_limits(self):                                 # req: PRO-03 PRO-04 PRO-20
        for stack_mv, allowed, trips in ((57_590, BOTH, 0), (57_600, DISCHARGE, PACK_OV),
                                         (44_010, BOTH, 0), (44_000, CHARGE, PACK_UV)):
            self.setUp()
            regs = scan_regs(cell_mv=stack_mv // 16)
            set_cells(regs, stack_mv // 16 + stack_mv % 16)
            self.params.set("cell_ov_trip_mv", 3700)
            self.hold(regs, 3000)
            self.assertEqual((self.pack.allowed(), self.pack.protection.trips), (allowed, trips))

    def test_a_crossing_shorter_than_its_delay_trips_nothing(self):     # req: PRO-21
        regs = scan_regs()
        set_cells(regs, 3700)
        for _ in range(3):
            self.hold(regs, 2900)
            self.hold(scan_regs(), 6000)        # what was beyond is forgotten at half its pace
        self.assertEqual(self.pack.protection.trips, 0)

    def test_delay_with_a_period_that_varies(self):             # req: PRO-21
        regs = scan_regs()
        set_cells(regs, 3700)
        self.scan(regs)
        for dt_ms in (130, 70, 400, 100, 1100, 1199):
            self.assertEqual(self.scan(regs, dt_ms), BOTH)
        self.assertEqual(self.scan(regs, 1), DISCHARGE)

    def test_over_voltage_releases_by_voltage_below_96_percent(self):   # req: PRO-01
        self.hold(scan_regs(cell_mv=3650), 3000)
        self.assertEqual(self.hold(scan_regs(cell_mv=3300), 2000), DISCHARGE)   # SOC is 100 %
        self.pack.soc.cpct = 9600
        self.assertEqual(self.scan(scan_regs(cell_mv=3300)), DISCHARGE)         # 96.00 %
        self.pack.soc.cpct = 9599
        self.assertEqual(self.scan(scan_regs(cell_mv=3301)), DISCHARGE)
        self.assertEqual(self.scan(scan_regs(cell_mv=3300)), BOTH)

    def test_over_voltage_releases_by_discharge_above_1_ampere(self):   # req: PRO-01 PRO-03
        regs = scan_regs()
        set_cells(regs, 3650)
        for current_ma, allowed in ((-990, DISCHARGE), (-1000, DISCHARGE), (-1010, BOTH)):
            self.setUp()
            put16(regs, 0x3A, 0)
            self.hold(regs, 3000)
            put16(regs, 0x3A, current_ma // 10)
            self.assertEqual(self.hold(regs, 900), DISCHARGE)
            self.assertEqual(self.scan(regs), allowed, current_ma)

    def test_under_voltage_releases_at_3300(self):              # req: PRO-02
        self.tripped_under_voltage()
        self.assertEqual(self.scan(scan_regs(cell_mv=3299)), CHARGE)
        self.assertEqual(self.scan(scan_regs(cell_mv=3300)), CHARGE)
        self.assertEqual(self.pack.protection.trips, 0)
        self.assertEqual(self.scan(scan_regs(cell_mv=3300), 29_900), CHARGE)    # PRO-33
        self.assertEqual(self.scan(scan_regs(cell_mv=3300)), BOTH)

    def test_under_voltage_releases_by_a_charger(self):         # req: PRO-02 PRO-04
        # terminals 0.5 V above the stack, or charge current
        regs = self.tripped_under_voltage()
        stack = regs[0x34] | regs[0x35] << 8
        put16(regs, 0x36, stack + 50)
        self.assertEqual(self.hold(regs, 2000), CHARGE)
        put16(regs, 0x36, stack + 51)
        self.assertEqual(self.hold(regs, 900), CHARGE)
        self.assertEqual(self.scan(regs), BOTH)
        self.setUp()
        regs = self.tripped_under_voltage()
        put16(regs, 0x3A, 31)
        self.assertEqual(self.hold(regs, 900), CHARGE)
        self.assertEqual(self.scan(regs), BOTH)

    def test_releasing_one_leaves_the_others(self):             # req: PRO-20
        regs = scan_regs(cell_mv=3605)
        self.hold(regs, 3000)
        self.assertEqual(self.pack.protection.trips, CELL_OV | PACK_OV)
        self.make_empty()
        self.assertEqual(self.scan(scan_regs(cell_mv=3300)), BOTH)
        self.setUp()
        self.hold(regs, 3000)
        self.make_empty()
        self.assertEqual(self.scan(scan_regs(cell_mv=3375)), DISCHARGE)
        self.assertEqual(self.pack.protection.trips, CELL_OV)

    def test_limits_are_zero_before_the_fet_opens(self):        # req: COM-05
        for regs, mask in ((self.with_cell(3650), CHARGE), (self.with_cell(2650), DISCHARGE),
                           (scan_regs(temp_dc=600), BOTH), (scan_regs(temp_dc=40), CHARGE),
                           (scan_regs(current_ma=120_000), CHARGE),
                           (scan_regs(current_ma=-120_000), DISCHARGE)):
            self.setUp()
            for _ in range(60):
                self.scan(scan_regs(), 1000)
            self.assertTrue(self.pack.ccl_ma > 0 and self.pack.dcl_ma > 0)
            before = (0, 0)
            for _ in range(40):
                allowed = self.scan(regs)
                if not allowed & CHARGE:
                    self.assertEqual((before[0], self.pack.ccl_ma), (0, 0))
                if not allowed & DISCHARGE:
                    self.assertEqual((before[1], self.pack.dcl_ma), (0, 0))
                if allowed != BOTH:
                    break
                before = (self.pack.ccl_ma, self.pack.dcl_ma)
            self.assertEqual(self.pack.allowed() & mask, 0)

    def test_limits_are_zero_once_switched_off_without_a_scan(self):    # req: COM-05 PWR-02
        for _ in range(30):
            self.scan(scan_regs(), 1000)
        self.assertTrue(self.pack.ccl_ma > 0 and self.pack.dcl_ma > 0)
        self.pack.power.rocker(False)
        for _ in range(20):
            self.assertEqual(self.miss() and self.pack.state, 0)
        self.assertEqual((self.pack.state, self.pack.ccl_ma, self.pack.dcl_ma), (st.OFF, 0, 0))

    def with_cell(self, cell_mv):
        regs = scan_regs()
        set_cells(regs, cell_mv)
        return regs

    def test_protections_set_the_anchors_of_soc(self):          # req: SOC-01 SOC-05
        """Of the string: one cell of 16 sets none, from the first scan on."""
        for cell_mv, alone, cpct in ((3650, False, 10_000), (3650, True, None),
                                     (2650, False, 0), (2650, True, None)):
            self.setUp()
            self.scan(scan_regs())
            before_cpct = self.pack.soc.cpct
            regs = self.with_cell(cell_mv) if alone else scan_regs(cell_mv=cell_mv)
            self.hold(regs, 3000)
            self.assertTrue(self.pack.protection.trips & (CELL_OV | CELL_UV))
            self.assertEqual(self.pack.soc.cpct, before_cpct if cpct is None else cpct)

    def test_the_fifth_failed_scan_in_a_row_opens_both(self):   # req: MEA-02
        self.scan(scan_regs())
        for _ in range(4):
            self.assertEqual(self.miss(), BOTH)
        self.assertEqual(self.miss(), 0)
        self.assertEqual((self.pack.state, self.pack.faults), (st.FAIL, rules.FAULT_SCAN))
        self.assertEqual((self.pack.ccl_ma, self.pack.dcl_ma), (0, 0))

    def test_one_good_scan_starts_the_count_anew(self):         # req: MEA-02
        for _ in range(3):
            self.scan(scan_regs())
            for _ in range(4):
                self.miss()
        self.assertEqual(self.pack.faults, 0)

    def test_a_good_scan_ends_the_fault(self):                  # req: MEA-02
        self.scan(scan_regs())
        for _ in range(7):
            self.miss()
        self.assertEqual(self.scan(scan_regs()), BOTH)
        self.assertEqual((self.pack.state, self.pack.faults), (st.STANDBY, 0))
        self.assertEqual((len(self.events(ev.FAULT)), len(self.events(ev.FAULT_CLEAR))), (1, 1))

    def test_the_number_is_settable(self):                      # req: MEA-02
        self.params.set("failed_scans", 2)
        self.scan(scan_regs())
        self.assertEqual(self.miss(), BOTH)
        self.assertEqual(self.miss(), 0)

    def test_protections_do_not_step_on_a_failed_scan(self):    # req: MEA-05
        regs = scan_regs()
        set_cells(regs, 3700)
        self.hold(regs, 2900)
        self.miss()
        self.assertEqual(self.pack.protection.trips, 0)
        self.scan(regs)                                         # 3100 ms since first seen
        self.assertEqual(self.pack.protection.trips, CELL_OV)


class TestStart(TestCase):
    def test_what_is_so_before_the_first_scan(self):            # req: PWR-01 SAF-02
        pack = Pack(am5000, Parameters(), 100)
        self.assertEqual(
            (pack.scan_ms, pack.buzzing, pack.afe_misled, pack.passed, pack.protected,
             pack.decided, pack.updating, pack.system_cpct, pack.rest_ma, pack.inverter_lost,
             pack.rights.left_s, pack.allowed()),
            (100, False, False, False, 0, 0, False, -1, 0, False, 0, 0))

    def test_the_panel_shows_the_system_where_it_is_known(self):    # req: LED-04
        pack = Pack(am5000, Parameters(), 100)
        pack.soc.cpct = 4321
        for system_cpct, shown in ((-1, 4321), (0, 0), (1, 1), (7000, 7000)):
            pack.system_cpct = system_cpct
            self.assertEqual(pack.shown_cpct, shown)

    def test_limits_of_voltage_are_the_parameters(self):        # req: COM-05
        self.scan(scan_regs())
        self.assertEqual((self.pack.dvl_mv, self.pack.rest_ma),
                         (self.pack.params["dvl_mv"], self.pack.params["rest_ma"]))
        self.pack.inverter.lost = True
        self.assertEqual(self.pack.inverter_lost, True)

    def test_power_looks_each_second_and_at_once_where_it_has_to(self):     # req: PWR-10
        for _ in range(20):
            self.scan(scan_regs())
        power = self.pack.power
        seen = []
        power.step = lambda now_ms, *rest: seen.append(now_ms)
        power.urgent = False
        counts = []
        for _ in range(40):
            before = len(seen)
            self.scan(scan_regs())
            counts.append(len(seen) - before)
        first = counts.index(1)
        self.assertEqual(counts[first:first + 21], [1] + [0] * 9 + [1] + [0] * 9 + [1])
        power.urgent = True
        self.scan(scan_regs())
        self.scan(scan_regs())
        self.assertEqual(len(seen), sum(counts) + 2)


def seen_by(part, name="step", answer=None):
    """Lists of what part.name() is called with from now on; it returns *answer*."""
    calls = []

    def instead(*args):
        calls.append(args)
        return answer

    setattr(part, name, instead)
    return calls


class TestFlowOfData(TestCase):
    """What the parts are given, and when."""

    def test_the_current_limiter_gets_what_the_parameters_say(self):    # req: LIM-01
        self.params.set("other_way_ma", 1200)
        self.params.set("rest_ma", 400)
        calls = seen_by(self.pack.limiter)
        self.scan(scan_regs())
        self.scan(scan_regs(current_ma=5000), 150)
        self.assertEqual(calls[-1], (5000, 400, 1200, 150))

    def test_the_discharge_voltage_limit_follows_its_parameter(self):   # req: COM-05
        self.scan(scan_regs())
        self.params.set("dvl_mv", 47_300)
        self.scan(scan_regs())
        self.assertEqual(self.pack.dvl_mv, 47_300)

    def test_end_wires_are_watched_where_cells_differ(self):    # req: MEA-03
        self.params.set("open_wire_mv", 450)
        pack = self.pack
        calls = seen_by(pack._end_wires, "watch")
        for low_mv, looks in ((3300, 0), (3299, 0), (3295, 0), (2000, 1), (0, 1)):
            regs = scan_regs()
            set_cells(regs, 3300, low_mv)
            calls.clear()
            self.scan(regs)
            self.assertEqual(len(calls), looks, low_mv)
        pack._end_wires.suspects = 1
        calls.clear()
        self.scan(scan_regs())
        self.assertEqual(calls, [(pack.measurements, pack.fets, 300, 450, 0)])
        pack.faults |= rules.FAULT_WIRE
        self.scan(scan_regs())
        self.assertEqual(calls[-1][-1], rules.FAULT_WIRE)

    def test_balancing_is_recorded_while_it_lasts(self):        # req: BAL-03
        log = self.pack._balance_log
        calls = seen_by(log)
        seen_by(self.pack.balancing)
        for mask, running, looks in ((0, False, 0), (4, False, 1), (0, True, 1), (4, True, 1)):
            self.pack.balancing.mask, log.running = mask, running
            calls.clear()
            self.scan(scan_regs())
            self.assertEqual(len(calls), looks)
        self.assertEqual(calls[0], (self.now, self.pack.measurements.values))

    def test_the_scan_that_was_protected_and_decided(self):     # req: SAF-07
        pack = self.pack
        for _ in range(3):
            self.scan(scan_regs())
            self.assertEqual((pack.protected, pack.decided), 2 * (pack.measurements.seq,))
        last = pack.measurements.seq
        self.miss()
        self.assertEqual((pack.protected, pack.decided), (last, last))
        seen_by(pack.protection)        # a table that is not stepped
        self.scan(scan_regs())
        self.assertEqual((pack.measurements.seq, pack.protected, pack.decided),
                         (last + 1, last, last))

    def test_a_charger_at_the_terminals_is_seen(self):          # req: PRO-02
        regs = scan_regs()
        regs[0x7F] = 0x05               # both conducted once: the terminals' gain is known
        self.scan(regs)
        for pack_mv, there in ((52_800, False), (53_400, True), (52_800, False)):
            self.scan(scan_regs(stack_mv=52_800, pack_mv=pack_mv))
            self.assertEqual(self.pack.charger_seen, there)

    def test_current_is_0_before_the_first_scan(self):          # req: MEA-02
        self.assertEqual(self.pack.measured_ma(), 0)
        for current_ma in (-20_000, 0, 7000):
            self.scan(scan_regs(current_ma=current_ma))
            self.assertEqual(self.pack.measured_ma(), current_ma)

    def test_beyond_self_test_means_neither_that_nor_failed(self):      # req: PWR-01
        pack = self.pack
        pack.afe_ready = False
        self.scan(scan_regs())
        self.assertEqual((pack.state, pack.passed), (st.SELF_TEST, False))
        pack.set_fault(rules.FAULT_AFE, True)
        self.scan(scan_regs())
        self.assertEqual((pack.state, pack.passed), (st.FAIL, False))
        pack.set_fault(rules.FAULT_AFE, False)
        pack.afe_ready = True
        self.scan(scan_regs())
        self.assertEqual((pack.state, pack.passed), (st.STANDBY, True))

    def test_slow_parts_step_each_second_by_the_time_that_passed(self):     # req: DER-01 COM-05
        pack = self.pack
        self.scan(scan_regs())
        voltage = seen_by(pack.charge_voltage)
        requests = seen_by(pack.requests)
        for dt_ms in 10 * (100,) + 10 * (130,) + 10 * (70,):
            self.scan(scan_regs(), dt_ms)
        self.assertEqual(voltage, [(3300, 52_800, ms) for ms in (1000, 1300, 700)])
        self.assertEqual(requests, [(pack.soc.cpct, ms) for ms in (1000, 1300, 700)])
        pack.soc.is_set = False
        for _ in range(20):
            self.scan(scan_regs(cell_mv=0))
        self.assertEqual((len(voltage), len(requests)), (3, 3))

    def test_a_pack_with_an_address_shares_its_limits(self):    # req: DIP-01 DER-01
        calls = seen_by(self.pack.derating)
        for dip, shares in ((0, False), (1, True), (15, True), (0, False)):
            self.pack.dip = dip
            self.scan(scan_regs())
            self.assertEqual(calls[-1][-1], shares, dip)

    def test_limits_stay_until_two_misses_before_the_last(self):        # req: COM-05 MEA-02
        for _ in range(30):
            self.scan(scan_regs(), 1000)
        told = []
        for _ in range(5):
            self.miss()
            told.append((self.pack.ccl_ma > 0, self.pack.dcl_ma > 0))
        self.assertEqual(told, 2 * [(True, True)] + 3 * [(False, False)])


class TestCommands(TestCase):
    def test_over_charge_of_before_a_start_holds_on(self):      # req: PRO-01 PWR-13
        self.pack.recall_over_charge()
        self.assertEqual(self.pack.protection.trips, 0)
        self.pack.power.full_trips = CELL_OV | CELL_UV | PACK_OV
        self.pack.recall_over_charge()
        self.assertEqual(self.pack.protection.trips, CELL_OV | PACK_OV)
        self.assertEqual(self.scan(scan_regs(cell_mv=3320)), DISCHARGE)

    def test_what_is_released_for_the_host(self):               # req: PWR-13
        regs = scan_regs()
        set_cells(regs, 3650)
        self.hold(regs, 3000)
        set_cells(regs, 3400)           # neither a trip nor a release
        self.assertEqual(self.scan(regs), DISCHARGE)
        self.pack.release(CELL_UV)
        self.assertEqual(self.pack.protection.trips, CELL_OV)
        self.pack.release(CELL_OV)
        self.assertEqual((self.pack.protection.trips, len(self.events(ev.RELEASE))), (0, 1))
        self.assertEqual(self.scan(regs), BOTH)

    def test_a_timed_wake_closes_in_spite_of_under_voltage_only(self):      # req: PWR-12 PRO-20
        self.tripped_under_voltage()
        pack = self.pack
        self.assertEqual(pack.allowed(), CHARGE)
        pack.power.mode = pw.TRYING
        self.assertEqual(pack.allowed(), BOTH)
        pack.protection.trips |= CELL_OV
        self.assertEqual(pack.allowed(), DISCHARGE)
        pack.protection.trips |= 1 << ITEM["PRO-06"]
        self.assertEqual(pack.allowed(), 0)
        pack.protection.trips = CELL_UV | PACK_UV | 1 << ITEM["PRO-13"]
        self.assertEqual(pack.allowed(), 0)

    def test_a_changed_parameter_is_recorded_with_both_values(self):        # req: PAR-01 PRO-25
        before = {"cell_ov_alarm_mv": self.params["cell_ov_alarm_mv"],
                  "cell_uohm": self.params["cell_uohm"]}
        self.pack.change({"cell_ov_alarm_mv": 3510, "cell_uohm": 900}, self.now)
        self.assertEqual((self.params["cell_ov_alarm_mv"], self.params["cell_uohm"]), (3510, 900))
        log = self.pack.events
        rows = sorted([log.get(seq, column) for column in (1, 3, 4, 5, 6)]
                      for seq in self.events(ev.PARAMETER))
        wanted = sorted([self.now, self.params.number_of(name) & 0xFF,
                         self.params.number_of(name) >> 8, value, before[name]]
                        for name, value in (("cell_ov_alarm_mv", 3510), ("cell_uohm", 900)))
        self.assertEqual(rows, wanted)

    def test_a_refused_set_changes_and_records_nothing(self):   # req: PAR-03
        with self.assertRaises(ValueError):
            self.pack.change({"cell_uohm": 900, "cell_ov_release_mv": 4000}, self.now)
        self.assertEqual((self.params["cell_uohm"], self.events(ev.PARAMETER)), (1100, []))

    def test_held_fets_are_recorded_once(self):                 # req: PWR-01 PRO-25
        self.scan(scan_regs())
        log = self.pack.events
        for held, allowed in ((CHARGE, DISCHARGE), (CHARGE, DISCHARGE), (BOTH, 0), (0, BOTH)):
            self.pack.hold(held, self.now)
            self.assertEqual((self.pack.held, self.pack.allowed()), (held, allowed))
        self.assertEqual([[log.get(seq, column) for column in (1, 3, 4, 5, 6)]
                          for seq in self.events(ev.HELD)],
                         [[self.now, CHARGE, -1, CHARGE, 0], [self.now, BOTH, -1, BOTH, CHARGE],
                          [self.now, 0, -1, 0, BOTH]])

    def test_switched_off_both_are_held_and_it_goes_to_sleep(self):     # req: PWR-10
        self.scan(scan_regs())
        self.pack.switch_off(self.now)
        self.assertEqual((self.pack.held, self.pack.allowed(), self.pack.power.goes()),
                         (BOTH, 0, True))
        self.setUp()
        self.scan(scan_regs())
        self.pack.power.mode = pw.ASLEEP
        self.pack.switch_off(self.now)          # no error: it sleeps already
        self.assertEqual(self.pack.held, BOTH)


class TestDoubts(TestCase):
    def bad(self, kind):
        regs = scan_regs()
        if kind == "cell":
            set_cells(regs, 3300, 0)
        elif kind == "sum":
            put16(regs, 0x34, 4500)
        elif kind == "open":
            put16(regs, 0x70, 0)
        elif kind == "short":
            put16(regs, 0x7A, 0x7FFF)
        elif kind == "ambient":
            put16(regs, 0x6E, 0x7FFF)
        return regs

    KINDS = (("cell", rules.FAULT_CELL), ("sum", rules.FAULT_SUM), ("open", rules.FAULT_NTC),
             ("short", rules.FAULT_NTC), ("ambient", rules.FAULT_NTC))

    def test_one_bad_scan_is_no_fault(self):                    # req: MEA-03
        for kind, _ in self.KINDS:
            self.setUp()
            self.scan(scan_regs())
            self.scan(self.bad(kind))
            self.assertEqual((self.pack.faults, self.pack.allowed()), (0, BOTH), kind)

    def test_a_fault_after_its_delay(self):                     # req: MEA-03
        for kind, fault in self.KINDS:
            self.setUp()
            self.scan(scan_regs())
            self.hold(self.bad(kind), 900)
            self.assertEqual(self.pack.faults, 0, kind)
            self.scan(self.bad(kind))                           # 1000 ms
            self.assertEqual(self.pack.faults & fault, fault, kind)
            self.assertEqual((self.pack.state, self.pack.allowed()), (st.FAIL, 0), kind)

    def test_limits_are_zero_two_scans_before(self):            # req: COM-05
        """A frame that says so leaves within 50 ms: both scans of margin are not needed."""
        def fails():
            self.miss()

        def freezes():
            self.jitter = 1         # nothing moves
            self.scan(scan_regs(current_ma=-20_000))

        steps = [(kind, lambda kind=kind: self.scan(self.bad(kind))) for kind, _ in self.KINDS]
        for kind, step in steps + [("scan", fails), ("frozen", freezes)]:
            self.setUp()
            for _ in range(60):
                self.scan(scan_regs(current_ma=-20_000), 1000)
            limits = []
            for _ in range(200):
                step()
                limits.append((self.pack.ccl_ma, self.pack.dcl_ma))
                if not self.pack.allowed():
                    break
            self.assertTrue(min(limits[0]) > 0, kind)           # one bad scan says nothing yet
            self.assertEqual(limits[-3:], 3 * [(0, 0)], kind)
            self.assertEqual(self.pack.allowed(), 0, kind)

    def test_it_goes_after_as_long_without(self):               # req: MEA-03
        self.scan(scan_regs())
        self.hold(self.bad("sum"), 2000)
        self.assertEqual(self.hold(scan_regs(), 900), 0)
        self.assertEqual(self.scan(scan_regs()), BOTH)

    def test_a_missing_cell_releases_no_under_voltage(self):    # req: MEA-03
        # The low cell itself now reads 0 V and the stack agrees: the pack may not take the next
        # lowest cell for the lowest.
        regs = self.tripped_under_voltage()
        set_cells(regs, 3310, 3310, 3310, 3310, 3310, 0)
        for _ in range(40):
            self.assertEqual(self.scan(regs) & DISCHARGE, 0)
        self.assertEqual(self.pack.protection.trips & CELL_UV, CELL_UV)

    def test_a_cell_beyond_range_releases_no_over_voltage(self):    # req: MEA-03
        regs = scan_regs(cell_mv=3290)
        set_cells(regs, 3650)
        self.hold(regs, 3000)
        self.make_empty()
        set_cells(regs, 5000)
        for _ in range(40):
            self.assertEqual(self.scan(regs) & CHARGE, 0)
        self.assertEqual(self.pack.protection.trips & CELL_OV, CELL_OV)

    def test_a_wrong_stack_releases_no_pack_protection(self):   # req: MEA-03
        self.hold(scan_regs(cell_mv=2740, stack_mv=43_840), 3000)
        self.assertEqual(self.pack.protection.trips, PACK_UV)
        for _ in range(5):
            self.scan(scan_regs(cell_mv=2740, stack_mv=50_000, pack_mv=43_840))
        self.assertEqual(self.pack.protection.trips, PACK_UV)
        self.setUp()
        for cell in (3, 9):             # the sum is as wrong when cells are missing
            self.hold(scan_regs(cell_mv=3610), 3000)
            self.make_empty()
            regs = scan_regs(cell_mv=3610)
            put16(regs, 0x14, 0)
            put16(regs, 0x14 + 2 * cell, 0)
            for _ in range(5):
                self.scan(regs)
            self.assertEqual(self.pack.protection.trips, CELL_OV | PACK_OV)
        self.setUp()
        self.hold(scan_regs(cell_mv=3610, stack_mv=57_760), 3000)
        self.make_empty()
        for _ in range(5):
            self.scan(scan_regs(cell_mv=3610, stack_mv=50_000))
        self.assertEqual(self.pack.protection.trips, CELL_OV | PACK_OV)

    def test_a_stack_that_reads_low_is_no_charger(self):        # req: MEA-03
        # The terminals only seem to be above the stack: under-voltage must hold.
        regs = self.tripped_under_voltage()
        stack = regs[0x34] | regs[0x35] << 8
        put16(regs, 0x34, stack - 100)
        for _ in range(5):
            self.assertEqual(self.scan(regs) & DISCHARGE, 0)

    def test_a_wrong_stack_trips_nothing(self):                 # req: MEA-03
        for stack_mv in (0, 40_000, 60_000, 327_000):
            self.setUp()
            self.scan(scan_regs())
            self.hold(scan_regs(stack_mv=stack_mv, pack_mv=52_800), 5000)
            self.assertEqual(self.pack.protection.trips, 0, stack_mv)
            self.assertEqual(self.pack.state, st.FAIL)

    def test_soc_does_not_start_from_an_implausible_scan(self):     # req: MEA-03 SOC-01
        regs = scan_regs(cell_mv=3300)
        for cell in (3, 4, 5):
            put16(regs, 0x14 + 2 * cell, 0)
        self.scan(regs)
        self.scan(scan_regs(cell_mv=3300))
        self.assertTrue(3000 <= self.pack.soc.cpct <= 7000, self.pack.soc.cpct)


class TestEvents(TestCase):
    def row(self, seq):
        return [self.pack.events.get(seq, column) for column in range(2, 7)]

    def test_alarm_trip_and_release_are_recorded_with_cell_and_limit(self):     # req: PRO-25
        regs = scan_regs()
        set_cells(regs, 3300, 3300, 3300, 3300, 2690)
        self.hold(regs, 3000)
        self.assertEqual([self.row(s) for s in self.events(ev.ALARM)][0],
                         [ev.ALARM, 1, 4, 2690, 2800])
        self.assertEqual([self.row(s) for s in self.events(ev.TRIP)],
                         [[ev.TRIP, 1, 4, 2690, 2700]])
        self.scan(scan_regs(cell_mv=3300))
        self.assertEqual([self.row(s)[:2] + self.row(s)[3:4] for s in self.events(ev.RELEASE)],
                         [[ev.RELEASE, 1, 3300]])
        self.hold(scan_regs(cell_mv=3300), 3000)
        self.assertEqual(len(self.events(ev.ALARM_CLEAR)), 1)

    def test_a_pack_item_names_no_cell(self):                   # req: PRO-25
        self.hold(scan_regs(cell_mv=3600, stack_mv=57_600), 3000)
        rows = [self.row(s) for s in self.events(ev.TRIP)]
        self.assertIn([ev.TRIP, 2, -1, 57_600, 57_600], rows)

    def test_first_out_names_what_opened_a_fet(self):           # req: REC-03
        self.assertIsNone(self.pack.first_out)
        regs = scan_regs()
        set_cells(regs, 3300, 3300, 3610)
        self.hold(regs, 3000)
        self.assertEqual(self.pack.first_out, (0, 2, 3610, 3600, self.now))

    def test_first_out_stays_when_the_fet_is_open_already(self):    # req: REC-03
        regs = scan_regs(cell_mv=3500)
        set_cells(regs, 3610)
        self.hold(regs, 3000)                           # PRO-01 opens the charge FET
        first = self.pack.first_out
        self.hold(scan_regs(cell_mv=3610, stack_mv=57_760), 4000)   # PRO-03 opens nothing
        self.assertEqual(self.pack.protection.trips, CELL_OV | PACK_OV)
        self.assertEqual(self.pack.first_out, first)

    def test_first_out_of_a_fault(self):                        # req: REC-03
        self.scan(scan_regs())
        for _ in range(5):
            self.miss()
        item, cell, value, limit, at_ms = self.pack.first_out
        self.assertEqual((item, cell, value, limit, at_ms),
                         (18, -1, 5, 5, self.now))      # faults are numbered from 18

    def test_the_ring_keeps_the_newest(self):                   # req: REC-02
        log = self.pack.events
        for i in range(300):
            log.add(i, ev.DIP, i & 15, -1, i, i)
        self.assertEqual((log.newest, log.oldest()), (300, 173))
        self.assertEqual((log.get(300, 0), log.get(300, 5), log.get(173, 5)), (300, 299, 172))


class TestFaults(TestCase):
    def test_a_fault_opens_both_and_its_end_closes(self):       # req: PWR-01
        self.scan(scan_regs())
        for fault in (rules.FAULT_FET, rules.FAULT_AFE):
            self.pack.set_fault(fault, True, 1, 2)
            self.assertEqual(self.scan(scan_regs()), 0)
            self.assertEqual(self.pack.state, st.FAIL)
            self.pack.set_fault(fault, False)
            self.assertEqual(self.scan(scan_regs()), BOTH)

    def test_a_failing_task_is_recorded_and_protection_goes_on(self):   # req: SAF-03
        self.scan(scan_regs())
        self.pack.set_fault(rules.FAULT_TASK, True)
        self.assertEqual(self.scan(scan_regs()), BOTH)
        self.assertEqual(len(self.events(ev.FAULT)), 1)
        regs = scan_regs()
        set_cells(regs, 3700)
        self.assertEqual(self.hold(regs, 3000), DISCHARGE)

    def test_the_same_fault_is_recorded_once(self):             # req: PRO-25
        for _ in range(5):
            self.pack.set_fault(rules.FAULT_AFE, True)
        self.assertEqual(len(self.events(ev.FAULT)), 1)

    def test_no_reading_never_reaches_soc_or_limits(self):      # req: MEA-03
        self.scan(scan_regs())
        self.scan(scan_regs(cell_mv=0))
        self.assertEqual(self.pack.measurements.values[rd.MAX_CELL_MV], NO_READING)
        self.assertTrue(0 <= self.pack.soc.cpct <= 10_000)


if __name__ == "__main__":
    unittest.main()
