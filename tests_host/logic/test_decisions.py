"""Decisions about the FETs at their edges: read-back, faults that hold them off, limits."""

import unittest

from bms.words import events as ev
from bms.words import states as st
from bms.words import rules
from bms.words import readings as rd
from bms.limits.derating import CHARGE_LIMIT, DISCHARGE_LIMIT, Derating
from bms.protect.fets import Fets
from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import LATE, NO_READING, WRAP, put16, scan_regs, set_cells
from profiles import am5000

CHARGE, DISCHARGE, BOTH = 1, 2, 3


def closed(bits):
    """FET status of the AFE for *bits*."""
    return (bits & CHARGE) | (bits & DISCHARGE) << 1


class TestReadBack(unittest.TestCase):
    def until_fault(self, fets, actual, afe_tripped=0):
        """Scans until it is a fault, None: never."""
        for scan in range(1, 30):
            if fets.read_back(closed(actual), afe_tripped, 100):
                return scan
        return None

    def check(self, wanted, actual, afe_tripped=0):
        fets = Fets()
        fets.commanded(wanted)
        return self.until_fault(fets, actual, afe_tripped)

    def test_a_fet_may_stay_open_for_5_scans(self):             # req: PWR-01
        for wanted in range(4):
            for actual in range(4):
                if not actual & ~wanted:
                    self.assertEqual(self.check(wanted, actual),
                                     None if wanted == actual else 6, (wanted, actual))

    def test_the_afe_may_hold_off_but_not_on(self):             # req: PWR-01 PRO-23 PRO-28
        for wanted, actual, fault in ((BOTH, 0, False), (BOTH, CHARGE, False),
                                      (CHARGE, 0, False), (0, CHARGE, True), (0, DISCHARGE, True),
                                      (CHARGE, DISCHARGE, True)):
            self.assertEqual(self.check(wanted, actual, 0x10), 2 if fault else None,
                             (wanted, actual))

    def test_obeying_for_as_long_starts_the_count_anew(self):          # req: PWR-01
        fets = Fets()
        fets.commanded(BOTH)
        for _ in range(5):
            self.assertFalse(fets.read_back(closed(CHARGE), 0, 100))
        for _ in range(10):
            self.assertFalse(fets.read_back(closed(BOTH), 0, 100))
        self.assertEqual(self.until_fault(fets, CHARGE), 6)

    def test_a_restart_starts_the_count_anew(self):             # req: PWR-01
        fets = Fets()
        fets.commanded(BOTH)
        for _ in range(5):
            fets.read_back(closed(CHARGE), 0, 100)
        fets.restarted()
        fets.commanded(BOTH)
        self.assertEqual(self.until_fault(fets, CHARGE), 6)

    def test_the_same_command_again_does_not(self):             # req: PWR-01
        fets = Fets()
        fets.commanded(BOTH)
        scans = 0
        fault = False
        while not fault:
            fault = fets.read_back(closed(CHARGE), 0, 100)
            if fets.needs_command(BOTH):
                fets.commanded(BOTH)
            scans += 1
            self.assertTrue(scans < 20)
        self.assertEqual(scans, 6)

    def test_a_new_command_has_a_scan_to_be_followed(self):     # req: PWR-01
        fets = Fets()
        fets.commanded(BOTH)
        fets.read_back(closed(CHARGE), 0, 100)
        fets.commanded(DISCHARGE)
        self.assertEqual(self.until_fault(fets, 0), 6)

    def test_a_command_is_repeated_from_the_second_scan(self):  # req: PWR-01
        fets = Fets()
        fets.commanded(BOTH)
        fets.read_back(closed(CHARGE), 0, 100)
        self.assertFalse(fets.needs_command(BOTH))
        fets.read_back(closed(CHARGE), 0, 100)
        self.assertTrue(fets.needs_command(BOTH))

    def test_what_is_read_is_kept(self):                        # req: PWR-01
        fets = Fets()
        for bits in (BOTH, CHARGE, DISCHARGE, 0):
            fets.read_back(closed(bits), 0, 0)
            self.assertEqual(fets.actual, bits)


class TestLimits(unittest.TestCase):
    """Derating with curves of its own."""

    CURVES = ((CHARGE_LIMIT, 0, ((0, 1000), (1000, 0)), "a"),
              (DISCHARGE_LIMIT, 1, ((0, 0), (1000, 1000)), "b"),
              (CHARGE_LIMIT, 1, ((0, 500), (1000, 1000)), "c"))

    def setUp(self):
        self.derating = Derating(self.CURVES, Parameters())

    def aim(self, first, second, most_ma=50_000):
        self.derating.aim((first, second), most_ma)
        self.derating.step(True, True, 100_000)
        return self.derating.ccl_ma, self.derating.dcl_ma

    def test_nothing_before_the_first_readings(self):           # req: SAF-02 COM-05
        derating = self.derating
        self.assertEqual((derating.ccl_ma, derating.dcl_ma, derating.reasons), (0, 0, 0))
        derating.step(True, True, 1000)
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (0, 0))

    def test_exactly_2_amperes_a_second(self):                  # req: DER-01
        derating = self.derating
        derating.aim((0, 1000), 50_000)
        derating.step(True, True, 1000)
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (2000, 2000))
        derating.step(True, True, 100)
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (2200, 2200))
        derating.step(True, True, 23_899)
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (49_998, 49_998))
        derating.aim((1000, 0), 50_000)
        derating.step(True, True, 1000)
        self.assertEqual((derating.ccl_ma, derating.dcl_ma), (47_998, 47_998))

    def test_the_lowest_of_the_rows_of_a_limit(self):           # req: DER-01
        for first, second, limits, reasons in (
                (0, 1000, (50_000, 50_000), 0), (1, 1000, (49_950, 50_000), 1),
                (0, 999, (49_950, 49_950), 6), (500, 500, (25_000, 25_000), 7),
                (1000, 1000, (0, 50_000), 1), (0, 0, (25_000, 0), 6), (999, 0, (50, 0), 7)):
            self.setUp()
            self.assertEqual(self.aim(first, second), limits, (first, second))
            self.assertEqual(self.derating.reasons, reasons, (first, second))

    def test_no_reading_is_nothing(self):                       # req: MEA-03
        self.assertEqual(self.aim(NO_READING, 1000), (0, 50_000))
        self.assertEqual(self.derating.reasons, 1)
        self.setUp()
        self.assertEqual(self.aim(0, NO_READING), (0, 0))
        self.assertEqual(self.derating.reasons, 6)

    def test_one_direction_held_off(self):                      # req: COM-05
        self.aim(0, 1000)
        for may_charge, may_discharge, limits in ((True, False, (50_000, 0)),
                                                  (False, True, (0, 10_000)),
                                                  (False, False, (0, 0))):
            self.derating.step(may_charge, may_discharge, 5000)
            self.assertEqual((self.derating.ccl_ma, self.derating.dcl_ma), limits)

    def test_stop(self):                                        # req: COM-05
        self.aim(0, 1000)
        self.derating.stop()
        self.assertEqual((self.derating.ccl_ma, self.derating.dcl_ma), (0, 0))


class Case(unittest.TestCase):
    """A healthy pack that does what it is told."""

    def setUp(self):
        self.params = Parameters()
        self.pack = Pack(am5000, self.params, 100)
        self.pack.afe_ready = True
        self.now = LATE
        self.noise = 0
        self.actual = None          # None: the FETs follow
        for _ in range(4):          # both closed, and the terminals' gain learnt
            self.scan(scan_regs())

    def scan(self, regs, dt_ms=100):
        self.now = (self.now + dt_ms) % WRAP
        self.noise ^= 1
        put16(regs, 0x38, self.noise)
        fets = self.pack.fets
        actual = fets.wanted if self.actual is None else self.actual
        regs[0x7F] = closed(actual)
        self.pack.measurements.take(regs, self.now)
        self.pack.step(self.now, True)
        fets.read_back(regs[0x7F], self.pack.measurements.values[rd.CURRENT_MA], 0)
        fets.commanded(self.pack.allowed())
        return self.pack.allowed()

    def held(self, regs, ms):
        """First sight, then *ms* in one scan; the faults."""
        self.scan(regs)
        self.scan(regs, ms)
        return self.pack.faults

    def rows(self, kind):
        log = self.pack.events
        return [[log.get(s, column) for column in range(3, 7)]
                for s in range(max(1, log.oldest()), log.newest + 1) if log.get(s, 2) == kind]


class TestWeld(Case):
    """SAF-05: current in a direction whose FET is off for 1 s."""

    def off(self, fet):
        """One FET is off by its protection; registers that keep it so."""
        self.setUp()
        regs = scan_regs()
        if fet == CHARGE:
            set_cells(regs, 3300, 3610)
        else:
            set_cells(regs, 3300, 2690)
        self.scan(regs)
        self.scan(regs, 3000)
        self.scan(regs)
        self.assertEqual(self.pack.allowed(), BOTH & ~fet)
        return regs

    def test_after_1_second_one_short_exact_one_past(self):     # req: SAF-05
        for waited, fault in ((999, 0), (1000, rules.FAULT_WELD), (1001, rules.FAULT_WELD)):
            regs = self.off(CHARGE)
            put16(regs, 0x3A, 200)                              # 2 A into an open charge FET
            self.assertEqual(self.held(regs, waited), fault, waited)
            if fault:
                self.assertEqual((self.pack.state, self.pack.allowed()), (st.FAIL, 0))

    def test_how_much_current_each_way(self):                   # req: SAF-05
        for current_ma, fault in ((1000, 0), (1010, rules.FAULT_WELD), (-1010, 0)):
            regs = self.off(CHARGE)
            put16(regs, 0x3A, current_ma // 10)
            self.assertEqual(self.held(regs, 1000), fault, current_ma)

    def test_discharge_fet(self):                               # req: SAF-05
        for current_ma, fault in ((-1000, 0), (-1010, rules.FAULT_WELD)):
            regs = self.off(DISCHARGE)
            put16(regs, 0x3A, current_ma // 10)
            self.assertEqual(self.held(regs, 1000), fault, current_ma)

    def test_a_break_starts_the_second_anew(self):              # req: SAF-05
        regs = self.off(CHARGE)
        for _ in range(4):
            put16(regs, 0x3A, 200)
            self.assertEqual(self.held(regs, 999), 0)
            put16(regs, 0x3A, 0)
            self.scan(regs, 2000)
            self.scan(regs)

    def test_a_current_that_toggles_is_seen(self):              # req: SAF-05 PRO-28
        regs = self.off(CHARGE)
        scans = 0
        while not self.pack.faults:
            put16(regs, 0x3A, 0 if scans & 1 else 200)
            self.scan(regs)
            scans += 1
            self.assertTrue(scans < 60)
        self.assertEqual(self.pack.faults, rules.FAULT_WELD)
        self.assertTrue(scans > 20, scans)

    def test_a_small_current_for_a_minute(self):                # req: SAF-05
        for current_ma, waited, fault in ((300, 70_000, 0), (310, 59_999, 0),
                                          (310, 60_000, rules.FAULT_WELD)):
            regs = self.off(CHARGE)
            put16(regs, 0x3A, current_ma // 10)
            self.assertEqual(self.held(regs, waited), fault, (current_ma, waited))

    def test_charge_that_is_counted_in_a_minute(self):          # req: SAF-05
        for uah, fault in ((3_330, 0), (3_340, rules.FAULT_WELD), (-9_000, 0)):
            regs = self.off(CHARGE)
            self.pack.count_charge(0, 10_000)
            for _ in range(12):
                self.held(regs, 10_000)
                self.pack.count_charge(uah, 10_000)
            self.assertEqual(self.pack.faults, fault, uah)

    def test_what_was_counted_while_it_was_closed_is_none(self):    # req: SAF-05
        for _ in range(12):
            self.held(scan_regs(), 5_000)
            self.pack.count_charge(100_000, 10_000)
        self.assertEqual(self.pack.faults, 0)

    def test_terminals_far_from_the_stack_accuse_the_sensor(self):      # req: SAF-05 PRO-28
        for fet, current_ma, off_mv, fault in (
                (CHARGE, 2000, 1500, rules.FAULT_WELD), (CHARGE, 2000, 1510, 0),
                (DISCHARGE, -2000, -1500, rules.FAULT_WELD), (DISCHARGE, -2000, -1510, 0),
                (DISCHARGE, -2000, -40_000, 0)):
            self.assertEqual(self.accused(fet, current_ma, off_mv), fault, (fet, off_mv))
            self.assertEqual(self.pack.has(rules.FAULT_UNPROVEN), not fault, (fet, off_mv))

    def accused(self, fet, current_ma, off_mv):
        """Faults, but for those of the terminals, of a current against *fet*."""
        regs = self.off(fet)
        put16(regs, 0x3A, current_ma // 10)
        put16(regs, 0x36, (regs[0x34] | regs[0x35] << 8) + off_mv // 10)
        self.held(regs, 1000)
        return self.pack.faults & rules.FAULT_WELD

    def test_a_name_follows_what_is_seen_later(self):           # req: SAF-05
        self.assertEqual(self.accused(CHARGE, 2000, 0), rules.FAULT_WELD)
        regs = scan_regs(current_ma=2000)
        put16(regs, 0x36, 3_000)                                # the terminals fall
        self.held(regs, 1000)
        self.assertEqual((self.pack.has(rules.FAULT_WELD), self.pack.has(rules.FAULT_UNPROVEN)),
                         (False, True))

    def fets(self, bits, regs, dt_ms):
        """One scan with both FETs of *bits* commanded and closed, the others open."""
        self.pack.fets.wanted = self.pack.fets.actual = bits
        self.noise ^= 1
        put16(regs, 0x38, self.noise)
        self.now = (self.now + dt_ms) % WRAP
        self.pack.measurements.take(regs, self.now)
        self.pack.step(self.now, True)

    def test_closed_in_between_starts_the_second_anew(self):    # req: SAF-05
        regs = scan_regs(current_ma=2000)
        for _ in range(3):
            self.fets(0, regs, 100)
            self.fets(0, regs, 999)
            self.fets(BOTH, regs, 2000)
            self.fets(BOTH, regs, 100)
        self.assertEqual(self.pack.faults, 0)

    def test_open_in_between_starts_the_second_of_a_drop_anew(self):    # req: SAF-05
        regs = scan_regs(pack_mv=48_000)
        for _ in range(3):
            self.fets(BOTH, regs, 100)
            self.fets(BOTH, regs, 999)
            self.fets(CHARGE, regs, 100)
        self.assertEqual(self.pack.faults, 0)

    def test_a_closed_fet_may_carry_current(self):              # req: SAF-05
        for current_ma in (5000, -5000):
            self.setUp()
            self.assertEqual(self.held(scan_regs(current_ma=current_ma), 5000), 0)

    def test_a_fet_that_opens_only_now_or_is_not_yet_open(self):    # req: SAF-05
        # commanded or still read as closed: current may flow
        for wanted, actual, fault in ((CHARGE, 0, 0), (CHARGE, CHARGE, 0),
                                      (0, CHARGE, rules.FAULT_WELD), (0, 0, rules.FAULT_WELD)):
            self.setUp()
            pack = self.pack
            for _ in range(2):
                pack.fets.wanted, pack.fets.actual = wanted, actual
                regs = scan_regs(current_ma=5000, pack_mv=53_500)
                self.noise ^= 1
                put16(regs, 0x38, self.noise)
                self.now = (self.now + 1000) % WRAP
                pack.measurements.take(regs, self.now)
                pack.step(self.now, True)
            self.assertEqual(pack.faults, fault, (wanted, actual))

    def test_it_stays_until_the_host_clears_it(self):           # req: SAF-05
        regs = self.off(CHARGE)
        put16(regs, 0x3A, 200)
        self.held(regs, 1000)
        for _ in range(3):
            self.assertEqual(self.held(scan_regs(), 60_000), rules.FAULT_WELD)
        self.pack.clear()
        self.scan(scan_regs())
        self.assertEqual(self.pack.faults, 0)

    def test_cleared_it_needs_the_current_to_come_back(self):   # req: SAF-05
        regs = self.off(CHARGE)
        put16(regs, 0x3A, 200)
        self.held(regs, 5000)
        self.pack.clear()
        put16(regs, 0x3A, 0)
        self.scan(regs)
        self.assertEqual(self.pack.faults, 0)

    def test_it_is_recorded(self):                              # req: SAF-05 PRO-25 REC-03
        regs = self.off(CHARGE)
        put16(regs, 0x3A, 200)
        self.held(regs, 1000)
        self.assertEqual(self.rows(ev.FAULT), [[9, -1, 2000, 1000]])
        item, cell, value, limit, at_ms = self.pack.first_out
        self.assertEqual((item - 18, cell, value, limit, at_ms),
                         (9, -1, 2000, 1000, self.now))


class TestOpen(Case):
    """A FET that is on and does not conduct: terminals and stack part."""

    def test_after_1_second_one_short_exact_one_past(self):     # req: SAF-05
        for waited, fault in ((999, 0), (1000, rules.FAULT_OPEN), (1001, rules.FAULT_OPEN)):
            self.setUp()
            self.assertEqual(self.held(scan_regs(pack_mv=48_000), waited), fault, waited)

    def test_limits_are_zero_before(self):                      # req: SAF-05 COM-05
        for _ in range(60):
            self.scan(scan_regs())
        limits = []
        while not self.pack.faults:
            limits.append((self.pack.ccl_ma, self.pack.dcl_ma))
            self.scan(scan_regs(pack_mv=48_000))
        self.assertTrue(min(limits[1]) > 0)                     # one scan says nothing yet
        self.assertEqual(limits[-2:], [(0, 0), (0, 0)])

    def test_a_drop_beyond_half_a_volt_either_way(self):        # req: SAF-05
        for pack_mv, fault in ((52_300, 0), (52_290, rules.FAULT_OPEN), (53_300, 0),
                               (53_310, rules.FAULT_OPEN)):
            self.setUp()
            self.assertEqual(self.held(scan_regs(pack_mv=pack_mv), 1000), fault, pack_mv)

    def test_what_the_resistance_explains_is_none(self):        # req: SAF-05
        # 3 mOhm: 0.3 V more at 100 A
        for current_ma, pack_mv, fault in ((-100_000, 52_000, 0),
                                           (-100_000, 51_990, rules.FAULT_OPEN),
                                           (100_000, 53_600, 0),
                                           (100_000, 53_610, rules.FAULT_OPEN)):
            self.setUp()
            self.assertEqual(self.held(scan_regs(current_ma=current_ma, pack_mv=pack_mv), 1000),
                             fault, (current_ma, pack_mv))

    def test_only_with_both_fets_closed(self):                  # req: SAF-05
        for actual in (0, CHARGE, DISCHARGE):
            self.setUp()
            self.actual = actual
            self.scan(scan_regs())
            self.scan(scan_regs(pack_mv=48_000))
            self.scan(scan_regs(pack_mv=48_000), 1000)
            self.assertEqual(self.pack.faults & rules.FAULT_OPEN, 0, actual)

    def test_a_break_starts_the_second_anew(self):              # req: SAF-05
        for _ in range(4):
            self.assertEqual(self.held(scan_regs(pack_mv=48_000), 999), 0)
            self.scan(scan_regs(), 2000)
            self.scan(scan_regs())

    def test_a_drop_that_toggles_is_seen(self):                 # req: SAF-05 PRO-28
        scans = 0
        while not self.pack.faults:
            self.scan(scan_regs(pack_mv=53_000 if scans & 1 else 48_000))
            scans += 1
            self.assertTrue(scans < 60)
        self.assertEqual(self.pack.faults, rules.FAULT_OPEN)

    def test_a_drop_that_is_explained_starts_it_anew(self):     # req: SAF-05
        for between in (scan_regs(current_ma=-100_000, pack_mv=52_200),
                        scan_regs(pack_mv=48_000, stack_mv=51_000)):
            for _ in range(3):
                self.assertEqual(self.held(scan_regs(pack_mv=48_000), 999), 0)
                self.scan(between)
                self.scan(scan_regs(), 2000)
                self.scan(scan_regs())

    def test_it_stays_until_the_host_clears_it(self):           # req: SAF-05
        self.held(scan_regs(pack_mv=48_000), 1000)
        self.assertEqual(self.rows(ev.FAULT), [[10, -1, 4800, 500]])
        self.assertEqual(self.held(scan_regs(), 60_000), rules.FAULT_OPEN)
        self.pack.clear()
        self.scan(scan_regs())
        self.assertEqual((self.pack.faults, self.pack.allowed()), (0, BOTH))

    def end_wire(self, cell, sunk_mv, drop_mv):
        """Faults where *cell* seems to have sunk, and the terminals are above the stack."""
        self.setUp()
        regs = scan_regs(3400)
        cells = [3400] * 16
        cells[cell] -= sunk_mv
        set_cells(regs, *cells)
        put16(regs, 0x36, (sum(cells) // 10 * 10 + drop_mv) // 10)
        self.scan(regs)
        self.scan(regs)
        self.scan(regs, 1000)
        return self.pack.faults & (rules.FAULT_OPEN | rules.FAULT_WIRE)

    def test_an_end_wire_makes_its_cell_and_the_stack_sink_alike(self):     # req: MEA-03 SAF-05
        for cell, sunk_mv, drop_mv, fault in (
                (0, 600, 600, rules.FAULT_WIRE), (15, 600, 600, rules.FAULT_WIRE),
                (1, 600, 600, rules.FAULT_OPEN), (14, 600, 600, rules.FAULT_OPEN),
                (0, 400, 550, rules.FAULT_WIRE), (0, 399, 550, rules.FAULT_OPEN),
                (0, 400, 590, rules.FAULT_WIRE), (0, 400, 600, rules.FAULT_OPEN),
                (0, 400, 700, rules.FAULT_OPEN), (0, 400, 1100, rules.FAULT_OPEN),
                (0, 0, 600, rules.FAULT_OPEN), (0, 600, 500, 0)):
            self.assertEqual(self.end_wire(cell, sunk_mv, drop_mv), fault,
                             (cell, sunk_mv, drop_mv))

    def test_still_scans_do_not_end_it(self):                   # req: MEA-03
        self.assertEqual(self.end_wire(0, 600, 600), rules.FAULT_WIRE)
        regs = scan_regs(3400)
        set_cells(regs, 2800)
        self.scan(regs)
        for _ in range(15):
            self.now = (self.now + 100) % WRAP
            self.pack.measurements.take(regs, self.now)
            self.pack.step(self.now, True)
        self.assertEqual(self.pack.faults & rules.FAULT_WIRE, rules.FAULT_WIRE)

    def test_it_lasts_until_the_cells_agree(self):              # req: MEA-03
        for sunk_mv, fault in ((400, rules.FAULT_WIRE), (399, 0), (0, 0)):
            self.assertEqual(self.end_wire(0, 600, 600), rules.FAULT_WIRE)
            regs = scan_regs(3400)
            set_cells(regs, 3400 - sunk_mv)         # the FETs are open: no drop any more
            self.held(regs, 1000)
            self.held(regs, 1000)
            self.assertEqual(self.pack.faults & rules.FAULT_WIRE, fault, sunk_mv)


class TestTripsInDoubt(Case):
    """The AFE sees the same wrong reading: its trip says nothing new."""

    CELL_BITS = ((0, 0x04), (0, 0x08))                                  # CUV, COV
    NTC_BITS = ((1, 0x01), (1, 0x02), (1, 0x10), (1, 0x20), (1, 0x40), (1, 0x80))
    OTHER_BITS = ((0, 0x10), (0, 0x20), (0, 0x40), (0, 0x80), (2, 0x20), (2, 0x40), (2, 0x80))

    def trips_by(self, regs, fault, bits):
        """Bits of *bits* (status byte, mask) that trip something while *regs* are doubtful."""
        found = []
        for status, mask in bits:
            self.setUp()
            if fault:
                self.scan(regs)
                self.scan(regs, 5000)
                self.assertEqual(self.pack.faults & fault, fault)
            before = self.pack.protection.trips
            regs[3 + 2 * status] = mask
            self.scan(regs)
            regs[3 + 2 * status] = 0
            if self.pack.protection.trips != before:
                found.append((status, mask))
        return found

    def test_each_bit_trips_when_nothing_is_in_doubt(self):     # req: PRO-23
        every = self.CELL_BITS + self.NTC_BITS + self.OTHER_BITS
        self.assertEqual(self.trips_by(scan_regs(), 0, every), list(every))

    def test_cells_in_doubt(self):                              # req: MEA-03 PRO-23
        rest = list(self.NTC_BITS + self.OTHER_BITS)
        every = self.CELL_BITS + self.NTC_BITS + self.OTHER_BITS
        regs = scan_regs()
        set_cells(regs, 0)
        self.assertEqual(self.trips_by(regs, rules.FAULT_CELL, every), rest)
        self.assertEqual(self.trips_by(regs, 0, every), rest)       # from the first such scan
        regs = scan_regs(stack_mv=40_000)
        self.assertEqual(self.trips_by(regs, rules.FAULT_SUM, every), rest)
        regs = scan_regs()
        set_cells(regs, 3600, 3000)
        self.assertEqual(self.trips_by(regs, rules.FAULT_WIRE, every), rest)

    def test_thermistors_in_doubt(self):                        # req: MEA-03 PRO-23
        rest = list(self.CELL_BITS + self.OTHER_BITS)
        every = self.CELL_BITS + self.NTC_BITS + self.OTHER_BITS
        for raw in (0, 0x7FFF):
            regs = scan_regs()
            put16(regs, 0x72, raw)
            self.assertEqual(self.trips_by(regs, rules.FAULT_NTC, every), rest)
            self.assertEqual(self.trips_by(regs, 0, every), rest)


class TestAgainstTerminals(Case):
    """A shunt that is off: the current it shows is not what the terminals say."""

    def tripped(self, charging):
        """One FET held off by its protection, and what waits outside; registers."""
        self.setUp()
        regs = scan_regs()
        if charging:
            set_cells(regs, 3300, 3610)
        else:
            set_cells(regs, 3300, 2690)
        self.scan(regs)
        self.scan(regs, 3000)
        self.scan(regs)
        self.assertEqual(self.pack.allowed(), DISCHARGE if charging else CHARGE)
        return regs

    def against(self, regs, charging, beyond_mv=3510):
        put16(regs, 0x36, (regs[0x34] | regs[0x35] << 8) + (beyond_mv if charging
                                                            else -beyond_mv) // 10)

    def test_a_current_counts_from_the_third_scan_without_it(self):     # req: MEA-03 PRO-01 PRO-02
        for charging in (True, False):
            regs = self.tripped(charging)
            current = -200 if charging else 200
            self.against(regs, charging)
            self.scan(regs)
            put16(regs, 0x36, (regs[0x34] | regs[0x35] << 8) - (70 if charging else 0))
            put16(regs, 0x3A, current)                          # now as if it flowed
            trips = [self.scan(regs) == BOTH for _ in range(13)]
            self.assertEqual(trips, [False] * 12 + [True], charging)    # and 1 s of it (PRO-32)

    def test_where_nothing_spoke_against_it(self):      # req: PRO-01 PRO-02
        for charging in (True, False):
            regs = self.tripped(charging)
            put16(regs, 0x3A, -200 if charging else 200)
            if charging:                                        # through the charge FET's diode
                put16(regs, 0x36, (regs[0x34] | regs[0x35] << 8) - 70)
            trips = [self.scan(regs) == BOTH for _ in range(11)]
            self.assertEqual(trips, [False] * 10 + [True], charging)    # after 1 s (PRO-32)

    def scans_until_fault(self, charging, current_ma, beyond_mv, every=1):
        regs = self.tripped(charging)
        for number in range(1, 60):
            put16(regs, 0x3A, 0)
            put16(regs, 0x36, regs[0x34] | regs[0x35] << 8)
            if number % every == 0:
                put16(regs, 0x3A, current_ma // 10)
                self.against(regs, charging, beyond_mv)
            self.scan(regs)
            if self.pack.has(rules.FAULT_UNPROVEN):     # an offset is no wrong sign (PRO-28)
                self.assertEqual((self.pack.faults, self.pack.allowed()), (0, 0))
                return number
        return None

    def test_three_such_scans_are_a_fault(self):                # req: MEA-03
        for charging, sense in ((True, -1), (False, 1)):
            for current_ma, beyond_mv, scans in (
                    (410, 510, 3), (400, 510, None), (410, 500, None)):
                self.assertEqual(
                    self.scans_until_fault(charging, sense * current_ma, beyond_mv), scans,
                    (charging, current_ma, beyond_mv))

    def test_it_need_not_be_in_each_scan(self):                 # req: MEA-03
        for every, scans in ((2, 8), (3, 15), (4, 24), (6, None)):
            self.assertEqual(self.scans_until_fault(True, -2000, 3500, every), scans, every)

    def test_resistance_explains_3_mv_an_ampere(self):          # req: MEA-03
        # 20 A: another 60 mV
        for beyond_mv, scans in ((560, None), (570, 3)):
            self.assertEqual(self.scans_until_fault(True, -20_000, beyond_mv), scans, beyond_mv)

    def test_open_fets_tell_nothing(self):                      # req: MEA-03
        regs = scan_regs(current_ma=-900, pack_mv=56_800)
        self.actual = 0
        for _ in range(30):
            self.scan(regs)
        self.assertFalse(self.pack.has(rules.FAULT_UNPROVEN))

    def test_a_stack_in_doubt_tells_nothing(self):              # req: MEA-03
        self.pack.params.set("doubt_delay_ms", 5000)
        regs = scan_regs(current_ma=-5000, stack_mv=51_000, pack_mv=52_800)
        for _ in range(30):
            self.scan(regs)
        self.assertEqual(self.pack.faults, 0)


class TestSunkCell(Case):
    """An end wire: what follows in the pack (tests of the rule itself: test_end_wires.py)."""

    def sunk(self, sunk_mv, drop_mv, current_ma=0):
        regs = scan_regs(3400, current_ma)
        put16(regs, 0x14 + 30, 3400 - sunk_mv)
        put16(regs, 0x34, (54_400 - sunk_mv) // 10)
        put16(regs, 0x36, (54_400 - sunk_mv + drop_mv) // 10)
        return regs

    def test_no_protection_trips_by_it_and_the_charge_stays(self):      # req: MEA-03 PRO-02 SOC-01
        before = self.pack.soc.cpct
        regs = self.sunk(1300, 1300, -20_000)
        for _ in range(80):
            self.scan(regs)
            if self.pack.faults:
                regs[0x03] = 0x04                   # the AFE takes it for CUV
                put16(regs, 0x3A, 0)
        self.assertEqual(self.pack.faults, rules.FAULT_WIRE)
        self.assertEqual((self.pack.protection.trips, self.pack.allowed()), (0, 0))
        self.assertEqual(self.pack.soc.cpct, before)

    def test_with_one_fet_held_off_and_nothing_flowing(self):   # req: MEA-03
        cold = scan_regs(3400, temp_dc=40)
        self.scan(cold)
        self.scan(cold, 3000)
        self.assertEqual(self.pack.allowed(), DISCHARGE)
        regs = self.sunk(1000, 0)
        for reg in (0x70, 0x72, 0x74, 0x78):
            put16(regs, reg, 40 + 2731)
        for _ in range(13):
            self.scan(regs)
        self.assertEqual(self.pack.faults, rules.FAULT_WIRE)
        self.assertEqual(self.pack.protection.trips, rules.mask_of("PRO-09"))

    def test_under_load_a_weak_cell_is_just_low(self):          # req: PRO-02
        cold = scan_regs(3400, temp_dc=40)
        self.scan(cold)
        self.scan(cold, 3000)
        regs = self.sunk(1200, 0, -310)             # at rest is 300 mA and less
        self.scan(regs)
        self.scan(regs, 3000)
        self.assertEqual(self.pack.faults, 0)
        self.assertTrue(self.pack.protection.trips & rules.mask_of("PRO-02"))

    def test_the_same_while_both_conduct_is_a_cell(self):       # req: PRO-02
        regs = self.sunk(1200, 0)
        self.scan(regs)
        self.scan(regs, 3000)
        self.assertEqual((self.pack.faults, self.pack.protection.trips),
                         (0, rules.mask_of("PRO-02")))

    def test_readings_come_back_with_the_wire(self):            # req: MEA-03
        regs = self.sunk(800, 800)
        for _ in range(13):
            self.scan(regs)
        self.assertEqual(self.pack.faults, rules.FAULT_WIRE)
        values = self.pack.measurements.values
        for slot in (rd.MAX_CELL_MV, rd.MIN_CELL_MV, rd.CELL_DIFF_MV, rd.CELL_SUM_MV):
            self.assertEqual(values[slot], NO_READING)
        for _ in range(12):
            self.scan(scan_regs(3400))
        self.assertEqual((self.pack.faults, values[rd.MIN_CELL_MV], self.pack.allowed()),
                         (0, 3400, BOTH))


class TestMisled(Case):
    """The AFE tripped by a reading that was wrong, and still holds a FET off."""

    def test_once_the_reading_is_right_again(self):             # req: PRO-23 MEA-03
        broken = scan_regs(temp_dc=560)
        put16(broken, 0x70, 0x7FFF)
        self.held(broken, 1000)
        broken[0x05] = 0x30                                     # OTC, OTD
        self.scan(broken)
        self.assertFalse(self.pack.afe_misled)
        mended = scan_regs(temp_dc=560)
        mended[0x05] = 0x30
        self.held(mended, 999)
        self.assertFalse(self.pack.afe_misled)
        self.assertEqual(self.pack.allowed(), 0)
        self.scan(mended, 1)
        self.assertEqual((self.pack.faults, self.pack.protection.trips), (0, 0))
        self.assertTrue(self.pack.afe_misled)
        self.assertEqual(self.pack.allowed(), 0)                # not for a scan before its reset
        self.scan(scan_regs())
        self.assertFalse(self.pack.afe_misled)

    def test_not_by_what_was_a_trip_before(self):               # req: PRO-23
        hot = scan_regs(temp_dc=560)
        hot[0x05] = 0x30
        self.scan(hot)
        self.assertEqual(self.pack.protection.trips, rules.mask_of("PRO-10", "PRO-12"))
        broken = scan_regs(temp_dc=560)
        put16(broken, 0x70, 0x7FFF)
        broken[0x05] = 0x30
        self.held(broken, 1000)
        self.held(hot, 1000)
        self.assertFalse(self.pack.afe_misled)


class TestSign(Case):
    """The cells' state is no evidence against a current: only what they do at a change of it."""

    def test_a_full_pack_is_discharged_whatever_the_parameters(self):   # req: MEA-07 PRO-20
        self.pack.params.set("cell_ov_release_mv", 3300)
        self.pack.params.set("cell_ov_alarm_mv", 3400)
        self.pack.params.set("cell_ov_trip_mv", 3450)
        regs = scan_regs(3590, current_ma=-2000)
        self.held(regs, 60_000)
        self.assertEqual(self.pack.faults, 0)
        self.assertEqual(self.pack.allowed() & DISCHARGE, DISCHARGE)

    def test_an_empty_pack_is_charged(self):                    # req: MEA-07 PRO-29
        regs = scan_regs(2200, current_ma=2000)
        self.held(regs, 60_000)
        self.assertEqual(self.pack.faults, 0)
        self.assertEqual(self.pack.allowed() & CHARGE, CHARGE)

    def test_it_stays_until_the_host_clears_it(self):           # req: SAF-05 PRO-25
        self.pack.set_fault(rules.FAULT_SIGN, True, -2000)
        self.assertEqual(self.rows(ev.FAULT), [[14, -1, -2000, 0]])
        self.assertEqual(self.held(scan_regs(), 59_000), rules.FAULT_SIGN)
        self.assertEqual(self.pack.allowed(), 0)
        self.pack.clear()
        self.scan(scan_regs())
        self.assertEqual((self.pack.faults, self.pack.allowed()), (0, BOTH))


class TestDirection(Case):
    def direction(self, current_ma, above_mv=0):
        self.setUp()
        self.scan(scan_regs(current_ma=current_ma, pack_mv=52_800 + above_mv))
        return self.pack.direction

    def test_terminals_that_contradict_the_current(self):       # req: PWR-01 MEA-03
        # terminals half a volt below the stack: nothing charges; above: nothing discharges
        for current_ma, above_mv, direction in (
                (2000, 0, st.CHARGING), (2000, -490, st.CHARGING), (2000, -500, st.STANDBY),
                (-2000, 0, st.DISCHARGING), (-2000, 490, st.DISCHARGING),
                (-2000, 500, st.STANDBY)):
            self.assertEqual(self.direction(current_ma, above_mv), direction,
                             (current_ma, above_mv))

    def test_nothing_flows_through_two_open_fets(self):         # req: PWR-01
        self.assertEqual(self.direction(2000), st.CHARGING)
        self.pack.fets.actual = 0
        self.scan(scan_regs(current_ma=2000))
        self.assertEqual(self.pack.direction, st.STANDBY)

    def test_at_the_start(self):                                # req: SAF-02 LIM-01
        pack = Pack(am5000, self.params, 100)
        self.assertEqual((pack.charger_seen, pack.limiter_in, pack.dip, pack.faults,
                          pack.first_out, pack.state, pack.direction, pack.now_ms),
                         (False, False, 0, 0, None, st.SELF_TEST, st.STANDBY, 0))


class TestDoubtfulTrips(Case):
    """What the AFE says of a reading that is in doubt trips nothing."""

    COV, OTC = 0x08, 0x10           # of A, of B

    def trips(self, regs, first=None):
        self.setUp()
        if first is not None:       # a fault that stands although the doubt has gone
            self.held(first, 1000)
        regs[0x03] = self.COV
        regs[0x05] = self.OTC
        self.scan(regs)
        trips = self.pack.protection.trips
        return bool(trips & 1 << 0), bool(trips & 1 << 9)

    def spoilt(self, cells, ntc):
        regs = scan_regs()
        if cells:
            put16(regs, 0x34, 4500)
        if ntc is not None:
            put16(regs, 0x70, ntc)
        return regs

    def test_by_what_is_in_doubt(self):                         # req: MEA-03 PRO-23
        opened, shorted = 0x0000, 0x7FFF
        for cells, ntc, trips in ((False, None, (True, True)), (True, None, (False, True)),
                                  (False, opened, (True, False)), (False, shorted, (True, False)),
                                  (True, opened, (False, False))):
            self.assertEqual(self.trips(self.spoilt(cells, ntc)), trips, (cells, ntc))

    def test_each_bit(self):                                    # req: MEA-03 PRO-23
        for reg, bits, cells, ntc in ((0x03, (0x04, 0x08), True, None),
                                      (0x05, (0x01, 0x02, 0x10, 0x20, 0x40, 0x80), False, 0)):
            for bit in bits:
                self.setUp()
                regs = self.spoilt(cells, ntc)
                regs[reg] = bit
                self.scan(regs)
                self.assertEqual(self.pack.protection.trips, 0, (reg, bit))

    def test_currents_are_believed(self):                       # req: MEA-03 PRO-23
        for bit, blocked in ((0x10, CHARGE), (0x20, DISCHARGE), (0x40, DISCHARGE), (0x80, BOTH)):
            self.setUp()
            regs = self.spoilt(True, 0)
            regs[0x03] = bit
            self.scan(regs)
            self.assertEqual(self.pack.protection.blocked, blocked, bit)

    def test_while_the_fault_stands(self):                      # req: MEA-03 PRO-23
        wire, cell = scan_regs(), scan_regs()
        set_cells(wire, 3300, 3300, 3900, 2700)
        set_cells(cell, 3300, 0)
        for first, trips in ((self.spoilt(True, None), (False, True)),
                             (self.spoilt(False, 0), (True, False)),
                             (wire, (False, True)), (cell, (False, True))):
            self.assertEqual(self.trips(scan_regs(), first), trips)


class TestFrozen(Case):
    """Nothing changes at a current that must move it, for 2 s."""

    def frozen(self, current_ma, *dts):
        regs = scan_regs(current_ma=current_ma)
        put16(regs, 0x38, 7)
        for dt_ms in dts:
            self.now = (self.now + dt_ms) % WRAP
            regs[0x7F] = closed(self.pack.fets.wanted)
            self.pack.measurements.take(regs, self.now)
            self.pack.step(self.now, True)
        return self.pack.faults

    def test_after_2_seconds_one_short_exact_one_past(self):    # req: MEA-03
        for waited, fault in ((1999, 0), (2000, rules.FAULT_FROZEN), (2001, rules.FAULT_FROZEN)):
            self.setUp()
            self.assertEqual(self.frozen(5000, 100, 100, waited), fault, waited)

    def test_a_pack_at_rest_may_stand_still_longer(self):       # req: MEA-03
        for current_ma, waited, fault in (
                (1000, 2000, 0), (1010, 2000, rules.FAULT_FROZEN), (-1000, 2000, 0),
                (-1010, 2000, rules.FAULT_FROZEN), (0, 5999, 0), (0, 6000, rules.FAULT_FROZEN),
                (1000, 5999, 0), (-1000, 6000, rules.FAULT_FROZEN)):
            self.setUp()
            self.assertEqual(self.frozen(current_ma, 100, 100, waited), fault,
                             (current_ma, waited))

    def test_what_stands_still_is_not_to_be_used(self):         # req: MEA-05
        measured = self.pack.measurements
        self.frozen(5000, 100, 100)
        self.assertTrue(measured.is_usable(self.now))
        self.frozen(5000, 2000)
        self.assertFalse(measured.is_usable(self.now))
        self.frozen(5010, 100)
        self.assertTrue(measured.is_usable(self.now))

    def test_a_still_scan_is_no_time_for_a_weld(self):          # req: SAF-05 MEA-03
        self.pack.params.set("frozen_ms", 5_000)
        regs = scan_regs(current_ma=5000)
        for _ in range(2):
            self.pack.fets.wanted = self.pack.fets.actual = 0
            self.now = (self.now + 1500) % WRAP
            self.pack.measurements.take(regs, self.now)
            self.pack.step(self.now, True)
        self.assertEqual(self.pack.faults, 0)

    def test_it_goes_when_something_moves(self):                # req: MEA-03
        self.frozen(5000, 100, 100, 2000)
        self.assertEqual(self.pack.allowed(), 0)
        self.assertEqual(self.frozen(5000, 60_000), rules.FAULT_FROZEN)
        self.assertEqual(self.frozen(5010, 100), 0)
        self.assertEqual(self.pack.allowed(), BOTH)
        self.assertEqual(self.frozen(5010, 100, 1999), 0)

    def test_it_is_recorded(self):                              # req: MEA-03 PRO-25
        self.frozen(5000, 100, 100, 2000)
        self.assertEqual(self.rows(ev.FAULT), [[8, -1, 2000, 2000]])


class TestDoubts(Case):
    def test_the_delay_is_settable(self):                       # req: MEA-03 PAR-01
        self.params.set("doubt_delay_ms", 300)
        for waited, fault in ((299, 0), (300, rules.FAULT_NTC)):
            regs = scan_regs()
            put16(regs, 0x70, 0)
            self.assertEqual(self.held(regs, waited), fault)
            self.held(scan_regs(), 300)

    def test_the_end_has_the_same_delay(self):                  # req: MEA-03
        regs = scan_regs()
        put16(regs, 0x70, 0)
        self.held(regs, 1000)
        self.assertEqual(self.held(scan_regs(), 999), rules.FAULT_NTC)
        self.assertEqual(self.held(regs, 5000), rules.FAULT_NTC)
        self.assertEqual(self.held(scan_regs(), 1000), 0)

    def test_a_break_starts_the_delay_anew(self):               # req: MEA-03
        regs = scan_regs()
        put16(regs, 0x70, 0)
        for _ in range(4):
            self.assertEqual(self.held(regs, 999), 0)
            self.held(scan_regs(), 2000)        # forgotten at half its pace (PRO-28)
            self.scan(scan_regs())

    def test_a_doubt_that_toggles_is_a_fault(self):             # req: MEA-03 PRO-28
        regs = scan_regs()
        put16(regs, 0x70, 0)
        scans = 0
        while not self.pack.faults:
            self.scan(scan_regs() if scans & 1 else regs)
            scans += 1
            self.assertTrue(scans < 60)
        self.assertEqual(self.pack.faults, rules.FAULT_NTC)
        self.assertTrue(scans > 20)

    def test_two_good_scans_are_a_break_of_one(self):           # req: MEA-03
        regs = scan_regs()
        put16(regs, 0x70, 0)
        for _ in range(4):
            self.scan(regs, 1000)
            self.scan(scan_regs(), 1000)
            self.scan(scan_regs(), 1000)
        self.assertEqual(self.pack.faults, 0)

    def test_its_record_names_the_doubts(self):                 # req: MEA-03 PRO-25
        regs = scan_regs()
        put16(regs, 0x70, 0)
        self.held(regs, 1000)
        self.assertEqual(self.rows(ev.FAULT), [[3, -1, rd.NTC_OPEN, 0]])
        self.held(scan_regs(), 1000)
        self.assertEqual(self.rows(ev.FAULT_CLEAR), [[3, -1, 0, 0]])

    def test_doubts_that_take_turns_are_a_fault_too(self):      # req: MEA-03
        first, second = scan_regs(), scan_regs()
        put16(first, 0x34, 4500)                                # sum against stack
        set_cells(second, 3300, 3300, 3800, 2800)               # a wire between two cells
        for _ in range(7):
            self.scan(first)
            self.scan(second)
        self.assertEqual(self.pack.faults, rules.FAULT_BLIND)
        self.assertEqual(self.pack.allowed(), 0)
        self.held(scan_regs(), 1000)
        self.assertEqual(self.pack.faults, 0)

    def test_a_fault_holds_off_at_once_and_not_from_the_next_scan(self):    # req: PWR-01 SAF-02
        for i in range(len(rules.FAULTS)):
            self.setUp()
            self.assertEqual(self.pack.allowed(), BOTH)
            self.pack.set_fault(rules.bit_of(rules.FAULTS[i][2]), True)
            blocks = rules.FAULTS[i][1]
            if rules.FAULTS[i][0] in ("SAF-03-task", "COM-03-lost", "DIP-02"):
                self.assertEqual(blocks, 0)
            self.assertEqual(self.pack.allowed(), BOTH & ~blocks, rules.FAULTS[i][0])

    def test_number_of_each_fault(self):                        # req: PRO-25
        for row in rules.FAULTS:
            self.setUp()
            i = row[2]
            fault = rules.bit_of(i)
            self.pack.set_fault(fault, True, 11, 22)
            self.assertEqual(self.rows(ev.FAULT), [[i, -1, 11, 22]])
            self.pack.set_fault(fault, False, 33, 44)
            self.assertEqual(self.rows(ev.FAULT_CLEAR), [[i, -1, 33, 44]])
            self.pack.set_fault(fault, True)
            self.assertEqual(self.rows(ev.FAULT)[1], [i, -1, 0, 0])


class TestFirstOut(Case):
    """REC-03: what opened a FET, not what came when it was open."""

    def test_a_fault(self):                                     # req: REC-03
        self.scan(scan_regs())
        self.pack.set_fault(rules.FAULT_AFE, True, 5, 6)
        self.assertEqual(self.pack.first_out, (18 + 5, -1, 5, 6, self.now))

    def test_a_fault_that_opens_nothing_is_none(self):          # req: REC-03 SAF-03
        self.pack.set_fault(rules.FAULT_TASK, True, 5, 6)
        self.assertIsNone(self.pack.first_out)

    def test_the_end_of_a_fault_is_none(self):                  # req: REC-03
        self.pack.faults = rules.FAULT_AFE
        self.pack.set_fault(rules.FAULT_AFE, False, 5, 6)
        self.assertIsNone(self.pack.first_out)

    def test_a_fault_while_all_is_open_already(self):           # req: REC-03
        self.pack.set_fault(rules.FAULT_AFE, True, 5, 6)
        first = self.pack.first_out
        self.scan(scan_regs())
        self.scan(scan_regs())
        self.pack.set_fault(rules.FAULT_FET, True, 7, 8)
        self.assertEqual(self.pack.first_out, first)

    def test_the_next_after_all_was_well_again(self):           # req: REC-03
        self.pack.set_fault(rules.FAULT_AFE, True, 5, 6)
        self.pack.set_fault(rules.FAULT_AFE, False)
        self.scan(scan_regs())
        self.scan(scan_regs())
        self.pack.set_fault(rules.FAULT_FET, True, 7, 8)
        self.assertEqual(self.pack.first_out, (18 + 4, -1, 7, 8, self.now))

    def test_a_protection_of_a_fet_that_is_open_already(self):  # req: REC-03
        regs = scan_regs()
        set_cells(regs, 3300, 3610)
        self.held(regs, 3000)
        first = self.pack.first_out
        self.assertEqual(first, (0, 1, 3610, 3600, self.now))
        put16(regs, 0x70, 40 + 2731)                            # PRO-09: the charge FET too
        self.scan(regs)
        self.scan(regs, 3000)
        self.assertEqual(self.pack.protection.trips, 1 << 0 | 1 << 8)
        self.assertEqual(self.pack.first_out, first)

    def test_what_the_afe_alone_has_seen(self):                 # req: REC-03 PRO-25 PRO-08
        regs = scan_regs()
        regs[0x03] = 0x80
        self.scan(regs)
        self.assertEqual(self.rows(ev.TRIP), [[7, -1, 0, 1]])     # no reading trips it
        self.assertEqual(self.pack.first_out, (7, -1, 0, 1, self.now))


class TestRecords(Case):
    def test_all_of_an_over_current_that_locks(self):           # req: PRO-22 PRO-25
        over, calm = scan_regs(current_ma=111_000), scan_regs()
        for _ in range(10):
            self.actual = BOTH
            self.scan(over)
            self.scan(over, 3000)
            self.scan(calm)
            self.scan(calm, 60_000)
        self.pack.clear()
        warned = [132, -1, 111_000, 51_000]     # AM 5.10, after the one use of the allowance
        self.assertEqual([row for row in self.rows(ev.ALARM) if row != warned],
                         [[4, -1, 111_000, 105_000]] * 10)
        self.assertEqual(self.rows(ev.ALARM).count(warned), 9)
        self.assertEqual([row for row in self.rows(ev.ALARM_CLEAR) if row[0] != 132],
                         [[4, -1, 0, 105_000]] * 10)
        self.assertEqual(self.rows(ev.TRIP), [[4, -1, 111_000, 110_000]] * 10)
        self.assertEqual(self.rows(ev.RELEASE), [[4, -1, 0, 110_000]] * 9)
        self.assertEqual(self.rows(ev.LOCK), [[4, -1, 111_000, 110_000]])
        self.assertEqual(self.rows(ev.UNLOCK), [[4, -1, 0, 110_000]])

    def test_a_lock_that_opens_by_the_other_way(self):          # req: PRO-22 PRO-25
        self.params.set("oc_lock_trips", 2)
        over = scan_regs(current_ma=111_000)
        for _ in range(2):
            self.actual = BOTH
            self.scan(over)
            self.scan(over, 3000)
            self.scan(scan_regs(), 60_000)
        self.assertEqual(len(self.rows(ev.UNLOCK)), 0)
        for _ in range(11):
            self.scan(scan_regs(current_ma=-2000))
        self.assertEqual(self.rows(ev.UNLOCK), [[4, -1, 0, 110_000]])
        self.assertEqual(len(self.rows(ev.RELEASE)), 2)

    def test_a_change_of_state(self):                           # req: PRO-25
        self.scan(scan_regs(current_ma=5000))
        self.assertEqual(self.rows(ev.STATE)[-1], [st.CHARGING, -1, st.STANDBY, 0])

    def test_a_release_does_not_set_the_state_of_charge(self):  # req: SOC-01 PRO-01
        regs = scan_regs()
        set_cells(regs, *[3610] * 16)
        self.held(regs, 3000)
        self.assertEqual(self.pack.soc.cpct, 10_000)
        self.pack.soc.cpct = 9000
        self.scan(scan_regs())
        self.assertEqual((self.pack.protection.trips, self.pack.soc.cpct), (0, 9000))

    def test_only_voltage_protections_set_the_state_of_charge(self):    # req: SOC-01
        before = self.pack.soc.cpct
        hot = scan_regs()
        put16(hot, 0x7A, 1060 + 2731)
        self.held(hot, 3000)
        self.assertEqual(self.pack.protection.trips, 1 << 16)
        self.assertEqual(self.pack.soc.cpct, before)


class FakeBalancing:
    """Notes what it is told."""

    mask = written = 0
    settled = True

    def __init__(self):
        self.told = None
        self.mask = 0

    def step(self, measured, fresh, awake, trips):
        self.told = fresh, bool(awake), trips


class TestBalancing(Case):
    def test_what_balancing_is_told(self):                      # req: BAL-01
        pack = self.pack
        pack.balancing = FakeBalancing()
        self.scan(scan_regs())
        self.assertEqual(pack.balancing.told, (True, True, 0))
        pack.measurements.fail()
        pack.step(self.now, False)
        self.assertEqual(pack.balancing.told, (False, True, 0))
        regs = scan_regs()
        set_cells(regs, 3300, 3610)
        self.held(regs, 3000)
        self.assertEqual((pack.state, pack.balancing.told), (st.PROTECTION, (True, True, 1)))
        pack.set_fault(rules.FAULT_TASK, True)
        self.scan(regs)
        self.assertEqual((pack.state, pack.balancing.told), (st.PROTECTION, (True, False, 1)))
        pack.set_fault(rules.FAULT_TASK, False)
        pack.set_fault(rules.FAULT_AFE, True)
        self.scan(regs)
        self.assertEqual((pack.state, pack.balancing.told), (st.FAIL, (True, False, 1)))
        pack.set_fault(rules.FAULT_AFE, False)
        pack.afe_ready = False
        self.scan(regs)
        self.assertEqual((pack.state, pack.balancing.told), (st.SELF_TEST, (True, False, 1)))


class TestAllowance(Case):
    def test_the_pack_meters_what_is_beyond_its_nominal_current(self):  # req: DER-03
        for current_ma, uses in ((51_000, 0), (51_010, 1), (-51_010, 1)):
            self.setUp()
            regs = scan_regs(current_ma=current_ma)
            for _ in range(181):
                self.scan(regs, 1000)
            self.assertEqual(self.pack.allowance.uses(), uses, current_ma)


if __name__ == "__main__":
    unittest.main()
