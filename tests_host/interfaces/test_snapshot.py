"""Snapshot of a pack, charge voltage, requests to the inverter, and its loss."""

import unittest

from bms.words import events as ev
from bms.limits.charge_requests import ChargeRequests
from bms.limits.charge_voltage import ChargeVoltage
from bms.host.inverter_watch import InverterWatch
from bms.words.events import Events
from bms.pack import Pack
from bms.words.parameters import Parameters
from bms.words.rules import FAULTS, ITEMS
from bms.words.readings import CURRENT_MA, MAX_CELL_MV
from fakes import LATE, NO_READING, WRAP, Lcg, put16, scan_regs, set_cells
from profiles import am5000
from protocols import conditions
from protocols.snapshot import Snapshot, System


class TestSnapshot(unittest.TestCase):
    def setUp(self):
        self.now = LATE
        self.pack = Pack(am5000, Parameters(), 100)
        self.pack.afe_ready = True
        self.system = System(self.pack)
        self.regs = scan_regs(current_ma=-12_340)
        self.ld = 0

    def scan(self, times=1, dt_ms=1000):
        for _ in range(times):
            self.now = (self.now + dt_ms) % WRAP
            self.ld ^= 1
            put16(self.regs, 0x38, self.ld)
            self.pack.measurements.take(self.regs, self.now)
            self.pack.step(self.now, True)
            self.pack.fets.wanted = self.pack.fets.actual = self.pack.allowed()
        self.system.update(self.now)
        return self.system.whole

    def test_values_of_a_pack(self):                            # req: COM-05
        set_cells(self.regs, 3290, 3300, 3300, 3310)
        for reg, value in ((0x70, 2971), (0x72, 2976), (0x74, 2981), (0x78, 2986), (0x7A, 3031)):
            put16(self.regs, reg, value)
        seen = self.scan(40)
        self.assertTrue(seen.valid)
        self.assertEqual((seen.max_cell_mv, seen.max_cell, seen.min_cell_mv, seen.min_cell),
                         (3310, 3, 3290, 0))
        self.assertEqual((seen.voltage_mv, seen.current_ma), (52_800, -12_340))
        self.assertEqual(list(seen.temps_dc), [240, 245, 250, 255])
        self.assertEqual((seen.min_temp_dc, seen.min_temp, seen.max_temp_dc, seen.max_temp,
                          seen.mean_temp_dc, seen.mos_dc), (240, 0, 255, 3, 247, 300))
        self.assertEqual((seen.cvl_mv, seen.dvl_mv, seen.ccl_ma, seen.dcl_ma),
                         (55_600, 46_000, self.pack.ccl_ma, self.pack.dcl_ma))
        self.assertTrue(seen.ccl_ma > 50_000 and seen.may_charge and seen.may_discharge)
        self.assertTrue(seen.charge_on and seen.discharge_on and seen.discharging)
        self.assertEqual((seen.module, seen.modules, seen.blocking_charge), (1, 1, 0))

    def test_what_is_too_old_is_nothing(self):                  # req: MEA-05
        self.scan(40)
        seen = self.system.whole
        for age_ms, valid in ((300, True), (301, False)):
            self.system.update((self.now + age_ms) % WRAP)
            self.assertEqual(seen.valid, valid)
        self.assertEqual((seen.ccl_ma, seen.dcl_ma, seen.may_charge, seen.may_discharge),
                         (0, 0, False, False))
        for value in (seen.voltage_mv, seen.current_ma, seen.max_cell_mv, seen.min_temp_dc,
                      seen.mos_dc, seen.ambient_dc, seen.temps_dc[0]):
            self.assertEqual(value, NO_READING)
        self.assertEqual(list(seen.cells_mv), [0] * 16)
        self.assertEqual((seen.charge_on, seen.discharge_on, seen.discharging), (False,) * 3)

    def test_nothing_is_valid_before_the_first_scan(self):      # req: MEA-05
        self.system.update(self.now)
        self.assertFalse(self.system.whole.valid)

    def test_one_thermistor_without_a_reading(self):            # req: MEA-03
        put16(self.regs, 0x70, 0)
        seen = self.scan(1)
        self.assertEqual((seen.temps_dc[0], seen.mean_temp_dc, seen.min_temp),
                         (NO_READING, 250, 1))

    def test_conditions_of_alarms_trips_and_faults(self):       # req: COM-05
        put16(self.regs, 0x3A, 0)               # a discharge would release it
        set_cells(self.regs, 3510)
        seen = self.scan(40, 100)
        self.assertEqual((seen.alarms, seen.protections), (1, 0))
        set_cells(self.regs, 3610)
        seen = self.scan(40, 100)
        self.assertEqual(seen.protections, 1)
        self.assertEqual((seen.ccl_ma, seen.may_charge, seen.blocking_charge), (0, False, 1))
        put16(self.regs, 0x70, 0)
        seen = self.scan(40, 100)
        self.assertEqual(seen.protections & conditions.FAULTS, conditions.NTC_FAULT)
        self.assertEqual((seen.ccl_ma, seen.dcl_ma), (0, 0))

    def test_address_is_the_module(self):                       # req: DIP-01
        for dip, module in ((0, 1), (1, 1), (2, 2), (15, 15)):
            self.pack.dip = dip
            self.assertEqual(self.scan().module, module)


class TestTold(unittest.TestCase):
    """Over-voltage alarms at the end of a charge are not told to an inverter."""

    def test_no_over_voltage_near_the_alarm_at_tail_current(self):      # req: COM-05 PRO-01
        pack = Pack(am5000, Parameters(), 100)
        seen = Snapshot(16)
        for max_mv, current_ma, alarms, told in (
                (3509, 4999, 0x1, 0), (3510, 4999, 0x1, 0x1), (3509, 5000, 0x1, 0x1),
                (3485, 0, 0x5, 0), (3485, 0, 0x3, 0x2), (3600, 0, 0x5, 0x5),
                (3509, -20_000, 0x1, 0)):
            pack.protection.alarms = alarms
            pack.measurements.values[MAX_CELL_MV] = max_mv
            pack.measurements.values[CURRENT_MA] = current_ma
            seen.fill(pack, 0)
            self.assertEqual(seen.alarms, told, (max_mv, current_ma))

    def test_rows_beyond_20_have_bits_of_their_own(self):       # req: COM-05
        self.assertEqual(conditions.of_items(0x80001), 0x80001)
        self.assertEqual(conditions.of_items(1 << 20 | 1 << 23), 1 << 26 | 1 << 29)


class TestConditions(unittest.TestCase):
    def test_one_row_for_each_bit(self):                        # req: COM-05
        self.assertEqual(len(conditions.TABLE), conditions.COUNT)
        self.assertTrue(len(ITEMS) <= 24)
        for row in conditions.TABLE:
            self.assertEqual(len(row), 9)

    def test_every_fault_is_a_condition(self):                  # req: COM-05
        for name, blocks, number, *_ in FAULTS:
            words = (1 << number, 0) if number < 29 else (0, 1 << number - 29)
            found = conditions.of_faults(*words)
            warning = conditions.alarms_of_faults(*words)
            if name in ("COM-03-lost", "DIP-02"):
                self.assertEqual((found, warning), (0, conditions.LINK_FAULT))
            if not found:                   # told as an alarm
                self.assertTrue(warning and not blocks, name)
                self.assertTrue(conditions.alarm_word(warning, conditions.CAN_35A), name)
                continue
            self.assertTrue(not warning and not found & ~conditions.FAULTS, name)
            self.assertTrue(conditions.protection_word(found, conditions.P62))

    def test_every_trip_reaches_every_protocol_for_inverters(self):     # req: COM-05
        for i in range(len(ITEMS)):
            if ITEMS[i][5] is None:             # has no protection
                continue
            for column in (conditions.P62, conditions.CAN_359, conditions.CAN_35A,
                           conditions.CAN_403):
                if column == conditions.CAN_403 and ITEMS[i][0] == "PRO-18":    # in 406
                    continue
                bit = conditions.of_items(1 << i)
                self.assertEqual(bit & conditions.FAULTS, 0)
                self.assertTrue(conditions.protection_word(bit, column), ITEMS[i][0])

    def test_words_are_the_or_of_their_bits(self):              # req: COM-05
        rng = Lcg(3)
        for _ in range(50):
            bits = rng.between(0, (1 << conditions.COUNT) - 1)
            for column in range(1, 9):
                alarm = protection = 0
                for i in range(conditions.COUNT):
                    if bits >> i & 1:
                        alarm |= conditions.TABLE[i][column][0]
                        protection |= conditions.TABLE[i][column][1]
                self.assertEqual(conditions.alarm_word(bits, column), alarm)
                self.assertEqual(conditions.protection_word(bits, column), protection)


class TestChargeVoltage(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.voltage = ChargeVoltage(self.params, 16)

    def test_a_balanced_pack_gets_all_of_it(self):              # req: COM-05
        for mv in range(3300, 3521):
            self.voltage.step(mv, 16 * mv, 1000)
            self.assertEqual(self.voltage.cvl_mv, 55_600)

    def test_a_cell_that_runs_ahead_lowers_it_step_by_step(self):   # req: COM-05
        self.voltage.step(3521, 55_000, 1000)
        self.assertEqual(self.voltage.cvl_mv, 55_400)
        for _ in range(20):
            self.voltage.step(3530, 55_000, 1000)
        self.assertEqual(self.voltage.cvl_mv, 54_900)
        self.assertTrue(self.voltage.is_lowered)
        self.voltage.step(3400, 54_000, 1000)
        self.assertEqual(self.voltage.cvl_mv, 54_920)
        for _ in range(60):
            self.voltage.step(3400, 54_000, 1000)
        self.assertEqual(self.voltage.cvl_mv, 55_600)

    def test_it_stays_within_its_bounds(self):                  # req: COM-05
        rng = Lcg(8)
        for _ in range(300):
            self.voltage.step(rng.between(0, 5000), rng.between(0, 80_000), rng.below(20_000))
            self.assertTrue(16 * 3400 <= self.voltage.cvl_mv <= 55_600)

    def test_it_is_20_mv_a_cell_below_the_alarm(self):          # req: COM-05 PRO-01
        self.assertEqual(self.voltage.cvl_mv // 16, 3475)
        self.params.set("cell_ov_alarm_mv", 3400)       # takes it along
        self.voltage.step(3300, 52_800, 1000)
        self.assertEqual(self.voltage.cvl_mv, 16 * 3380)
        self.assertRaises(ValueError, self.params.set, "cvl_mv", 16 * 3380 + 1)
        self.assertRaises(ValueError, self.params.set_all, {"cvl_mv": 55_600})
        self.params.set("cvl_mv", 16 * 3380)
        self.params.set_all({"cell_ov_alarm_mv": 3500, "cvl_mv": 16 * 3480})
        self.assertRaises(ValueError, self.params.set, "cvl_mv", 16 * 3480 + 1)

    def test_balancing_may_ask_for_its_start_voltage(self):     # req: COM-05 BAL-01
        self.voltage.wants_top = True
        for _ in range(60):
            self.voltage.step(3475, 55_600, 1000)
        self.assertEqual(self.voltage.cvl_mv, 16 * 3502)
        self.assertFalse(self.voltage.is_lowered)
        self.voltage.wants_top = False
        for _ in range(3):
            self.voltage.step(3501, 56_010, 1000)
        self.assertEqual(self.voltage.cvl_mv, 55_600)

    def test_a_lower_parameter_holds_at_once(self):             # req: COM-05
        self.params.set("cvl_mv", 54_000)
        self.voltage.step(3300, 52_800, 100)
        self.assertEqual(self.voltage.cvl_mv, 54_000)


class TestChargeRequests(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.requests = ChargeRequests(self.params)

    def at(self, cpct, dt_ms=1000):
        self.requests.step(cpct, dt_ms)
        return self.requests.force_1, self.requests.force_2

    def test_force_charge_has_the_bands_of_the_document(self):  # req: COM-05
        for cpct, seen in ((1301, (False, False)), (901, (False, False)), (900, (False, True)),
                           (501, (False, True)), (500, (True, True)), (899, (True, True)),
                           (900, (False, True)), (1299, (False, True)), (1300, (False, False))):
            self.assertEqual(self.at(cpct), seen, cpct)

    def test_full_is_asked_for_after_30_days(self):             # req: COM-05
        for _ in range(30 * 1440 - 1):
            self.requests.step(5000, 60_000)
        self.assertFalse(self.requests.full)
        self.requests.step(5000, 60_000)
        self.assertTrue(self.requests.full)
        self.requests.step(9699, 60_000)
        self.assertTrue(self.requests.full)
        self.requests.step(9700, 60_000)
        self.assertFalse(self.requests.full)

    def test_the_time_outlives_a_power_cut(self):               # req: COM-05
        for _ in range(360):
            self.assertFalse(self.requests.dirty)
            self.requests.step(5000, 60_000)
        self.assertTrue(self.requests.dirty)
        data = self.requests.to_bytes()
        self.requests.saved()
        self.assertFalse(self.requests.dirty)
        other = ChargeRequests(self.params)
        for wrong in (None, b"", data + b"x", b"\xff" + data[1:], data[:1] + b"\xff" * 4):
            other.from_bytes(wrong)
            self.assertEqual(other.since_full_min, 0)
        other.from_bytes(data)
        self.assertEqual((other.since_full_min, other.dirty), (360, False))


class TestInverterWatch(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.events = Events()
        self.watch = InverterWatch(self.params, self.events)

    def seconds(self, count, expected=True):
        for _ in range(count):
            self.watch.step(0, expected)

    def test_a_minute_of_silence_is_recorded_once(self):        # req: COM-08
        self.seconds(59)
        self.assertFalse(self.watch.lost)
        self.seconds(1)
        self.assertTrue(self.watch.lost)
        self.seconds(100)
        self.assertEqual((self.events.newest, self.events.get(1, 2)), (1, ev.INVERTER_LOST))
        self.watch.heard()
        self.seconds(1)
        self.assertFalse(self.watch.lost)
        self.assertEqual((self.events.newest, self.events.get(2, 2)), (2, ev.INVERTER_BACK))

    def test_one_word_a_minute_is_enough(self):                 # req: COM-08
        for _ in range(5):
            self.watch.heard()
            self.seconds(60)
        self.assertFalse(self.watch.lost)

    def test_time_is_settable_and_0_is_never(self):             # req: COM-08
        self.params.set("inverter_lost_s", 5)
        self.seconds(5)
        self.assertTrue(self.watch.lost)
        self.params.set("inverter_lost_s", 0)
        self.seconds(5000)
        self.assertFalse(self.watch.lost)

    def test_a_slave_expects_none(self):                        # req: COM-08
        self.seconds(100, False)
        self.assertFalse(self.watch.lost)


if __name__ == "__main__":
    unittest.main()
