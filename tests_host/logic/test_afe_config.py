"""The AFE's configuration image: codes of the hardware notes, always outside the firmware's."""

import struct
import unittest

from bms.protect import second_line as afe_config
from bms.words.parameters import Parameters

SHUNT_UOHM = 250


class TestCodes(unittest.TestCase):
    def test_over_voltage_code_is_the_step_at_or_above(self):   # req: PRO-23
        # 72 * 50.6 mV = 3643.2, 71 is 3592.6: inside
        for trip_mv, code in ((3600, 72), (3592, 71), (3593, 72), (3643, 72), (3644, 73)):
            self.assertEqual(afe_config.cov_code(trip_mv), code, trip_mv)

    def test_under_voltage_code_is_the_step_at_or_below(self):  # req: PRO-23
        # 53 * 50.6 mV = 2681.8, 54 is 2732.4: inside
        for trip_mv, code in ((2700, 53), (2682, 53), (2681, 52), (2733, 54), (2732, 53)):
            self.assertEqual(afe_config.cuv_code(trip_mv), code, trip_mv)

    def test_codes_stay_in_the_chips_range(self):
        self.assertEqual((afe_config.cov_code(100), afe_config.cov_code(9000)), (20, 110))
        self.assertEqual((afe_config.cuv_code(100), afe_config.cuv_code(9000)), (20, 90))

    def test_short_circuit_at_350_amperes_or_less(self):        # req: PRO-08
        # table of shunts, micro-ohm to code
        for shunt_uohm, code in ((200, 3), (250, 4), (300, 5), (333, 5), (400, 6), (500, 8)):
            self.assertEqual(afe_config.scd_code(shunt_uohm), code, shunt_uohm)


    def test_the_table_of_short_circuit_steps(self):            # req: PRO-08
        # mV; a step is chosen from the shunt at which 350 A reach it, and not a uOhm before
        for code, step_mv in enumerate((10, 20, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300,
                                        350, 400, 450, 500)):
            shunt_uohm = -(-step_mv * 1000 // 350)
            self.assertEqual(afe_config.scd_code(shunt_uohm), code, step_mv)
            self.assertEqual(afe_config.scd_code(shunt_uohm - 1), max(0, code - 1), step_mv)

    def test_cell_delay_codes(self):                            # req: PRO-23
        # 3.3 ms * (2 + code), rounded down, 500 ms after the firmware's
        for delay_ms, code in ((3000, 1058), (3001, 1058), (3003, 1059), (200, 210), (0, 149),
                               (6261, 2046), (6262, 2047), (6263, 2047), (30_000, 2047)):
            self.assertEqual(afe_config.delay_code(delay_ms), code, delay_ms)

    def test_over_current_codes(self):                          # req: PRO-23
        # 8 A a step at 0.25 mOhm, rounded up, 2 the least
        for trip_ma, code in ((16_000, 2), (8000, 2), (0, 2), (17_000, 3), (24_000, 3),
                              (25_000, 4), (24_999, 3), (150_000, 19), (496_000, 62),
                              (500_000, 62)):
            self.assertEqual(afe_config.oc_code(trip_ma, SHUNT_UOHM, 62), code, trip_ma)
        self.assertEqual(afe_config.oc_code(2000, 2000, 62), 2)     # 4.000 mV
        self.assertEqual(afe_config.oc_code(2000, 2001, 62), 3)     # 4.002 mV

    def test_over_current_delay_codes(self):                    # req: PRO-23
        # 3.3 ms * (2 + code), 200 ms after the firmware's, 127 the most
        for delay_ms, code in ((100, 88), (102, 89), (225, 126), (226, 127), (227, 127),
                               (1000, 127), (-200, 1), (-187, 1), (0, 58)):
            self.assertEqual(afe_config.oc_delay_code(delay_ms), code, delay_ms)


class TestImage(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()

    def bytes_of(self, **changes):
        """{address: byte}"""
        for name in changes:
            self.params.set(name, changes[name])
        memory = {}
        for address, data in afe_config.image(self.params, SHUNT_UOHM):
            for i in range(len(data)):
                self.assertFalse(address + i in memory, "0x%04x twice" % (address + i))
                memory[address + i] = data[i]
        return memory

    def test_start_up_image_of_the_hardware_notes(self):        # req: PRO-23
        memory = self.bytes_of()
        for address, data in (
                (0x9234, b"\xc2\x38"), (0x9236, b"\x0d\x01"), (0x923C, b"\x60\x05"),
                (0x92FB, b"\xc6"), (0x92FD, b"\x07"), (0x92FE, b"\x07"), (0x92FF, b"\x07"),
                (0x9301, b"\x07\x0f"), (0x92FC, b"\x0b"), (0x9303, b"\x06\xff\xff"),
                (0x9261, b"\xfc\xf7\xe2"), (0x9265, b"\x98\xd5\x56"), (0x9269, b"\xe4\xe6\xe2"),
                (0x926D, b"\x00\xf8"), (0x9273, b"\xff\x7f"), (0x9275, b"\x35"),
                (0x9278, b"\x48"), (0x927B, b"\x04\x04"),
                (0x9286, b"\x04\x0e"),
                (0x9294, b"\x05"), (0x92B2, b"\x0a\x00"),
                (0x9308, b"\x3c"), (0x930E, b"\x23\x64"), (0x933A, b"\x08"),
                (0x9343, b"\x50\x00")):
            found = bytes(memory[address + i] for i in range(len(data)))
            self.assertEqual(found, data, "0x%04x" % address)

    def test_charge_over_current_is_a_back_stop_behind_the_firmwares(self):     # req: PRO-23
        memory = self.bytes_of()
        # 2 mV steps over 0.25 mOhm; 3.3 ms * (2 + code), at most 425.7 ms
        self.assertTrue(110 < memory[0x9280] * 8 <= 160, memory[0x9280])
        self.assertTrue(119 <= memory[0x9281] <= 127, memory[0x9281])

    def test_discharge_over_currents_are_at_or_outside_the_firmwares(self):     # req: PRO-23
        memory = self.bytes_of()
        self.assertTrue(144 <= memory[0x9284] * 8 <= 180, memory[0x9284])       # 150 A, 8 A steps
        self.assertTrue(28 <= memory[0x9285] <= 127, memory[0x9285])            # 99 ms and more
        limit = (memory[0x928A] | memory[0x928B] << 8) - 0x10000
        self.assertTrue(-14_000 <= limit <= -11_000, limit)                     # 110 A in 10 mA
        self.assertTrue(3 <= memory[0x928C] <= 5, memory[0x928C])

    def test_current_gain_of_the_shunt(self):                   # req: MEA-04
        # 30.2736 and 9029453 for 0.25 mOhm; 37.842 for 0.20, 15.137 for 0.50
        for shunt_uohm, gain, capacity in ((250, 30.2736, 9_029_453), (200, 37.842, 11_286_816),
                                           (500, 15.1368, 4_514_726)):
            rows = dict(afe_config.image(self.params, shunt_uohm))
            found = struct.unpack("<ff", rows[0x91A8])
            self.assertTrue(abs(found[0] / gain - 1) < 1e-5, found[0])
            self.assertTrue(abs(found[1] / capacity - 1) < 1e-5, found[1])

    def test_every_byte_of_the_default_image(self):             # req: PRO-23 PRO-08
        """Each number from the chip's manual: thresholds outside the firmware's, FETs by item."""
        wanted = (
            (0x91C6, (64, 0, 0, 0)),                # coulomb counter: no offset of the board
            (0x91D4, (0xFF, 0xFF, 0xFF, 0xFF)),     # cell thresholds are not overridden
            (0x922D, (0,)),                         # no deadband
            (0x9234, (0xC2, 0x38)),                 # SHUT_TS2: a thermistor is on TS2
            (0x9236, (0x0D, 0x01)), (0x9239, (0x10,)), (0x923C, (0x60, 0x05)),
            (0x923F, (0, 0, 0x58, 0x02)),           # SHUTDOWN by the stack alone, at 6 V
            (0x9248, (100, 0, 1, 0xF4, 0x01, 10)),  # SLEEP: 100 mA, each 1 s, 500 mA, 10 s
            (0x925F, (2, 0)),
            (0x9261, (0xFC, 0xF7, 0xE2)), (0x9265, (0x98, 0xD5, 0x56)),
            (0x9269, (0xE4, 0xE6, 0xE2)), (0x926D, (0x00, 0xF8)),
            (0x9273, (0xFF, 0x7F)),                 # never: the firmware spares diodes
            (0x9275, (53, 0x22, 0x04)),             # 2681.8 mV; 1058: 3.3 ms * 1060 = 3498 ms
            (0x9278, (72, 0x22, 0x04)),             # 3643.2 mV
            (0x927B, (4, 4)), (0x927D, (0,)),
            (0x9280, (17, 119)),                    # 34 mV, 136 A; 399.3 ms
            (0x9282, (32, 1)),                      # 64 mV, 256 A; 9.9 ms
            (0x9284, (19, 88)),                     # 38 mV, 152 A; 297 ms
            (0x9286, (4, 14)),                      # 80 mV, 320 A; 195 us
            (0x9288, (200, 0)),
            (0x928A, (0x14, 0xD3, 4)),              # -11500 of 10 mA; 4 s
            (0x928D, (0x38, 0xFF)),                 # -200
            (0x928F, (0,)), (0x9294, (5, 0)),
            (0x929A, (60, 4, 53, 60, 4, 53)),       # OTC and OTD: trip, delay, recovery in deg C
            (0x92A0, (107, 4, 85)),                 # OTF
            (0x92A3, (85, 2, 80)),                  # OTINT: the chip itself
            (0x92A6, (3, 4, 8)),                    # UTC
            (0x92A9, (0x100 - 22, 4, 0x100 - 10)),  # UTD
            (0x92AC, (0x100 - 30, 2, 0x100 - 25)),  # UTINT
            (0x92AF, (3,)), (0x92B0, (200, 0)),
            (0x92B2, (10, 0)),                      # host watchdog, s
            (0x92B4, (0, 50, 1)),                   # load detection when it is commanded
            (0x92C0, (0, 0, 0, 0)),                 # no permanent failures
            (0x92FA, (0,)), (0x92FB, (0xC6,)),
            (0x92FC, (0x0B,)),                      # ambient: reported only, pull-up's trim used
            (0x92FD, (7, 7, 7)), (0x9300, (0, 7, 15)), (0x9303, (6, 0xFF, 0xFF)),
            (0x9308, (0x3C,)), (0x9309, (1,)), (0x930E, (35, 100)), (0x9314, (5,)), (0x9335, (0,)),
            (0x9336, (0x100 - 20, 60, 70)),
            (0x9339, (20, 8)),                      # cells balanced at once: as chosen
            (0x9343, (0x50, 0)))
        found = dict(afe_config.image(self.params, SHUNT_UOHM))
        self.assertEqual(len(found.pop(0x91A8)), 8)             # gains: floats, see below
        self.assertEqual(sorted(found), [address for address, _ in wanted])
        for address, data in wanted:
            self.assertEqual(tuple(found[address]), data, "0x%04x" % address)

    def test_a_timed_wake_changes_the_under_voltage_alone(self):        # req: PWR-12 PRO-23
        usual = dict(afe_config.image(self.params, SHUNT_UOHM))
        deep = dict(afe_config.image(self.params, SHUNT_UOHM, 16, True))
        self.assertEqual(deep.pop(0x9275)[0], 39)       # 1973.4 mV, below 2000
        self.assertEqual(usual.pop(0x9275)[0], 53)
        self.assertEqual(deep, usual)
        self.params.set("wake_floor_mv", 2500)
        self.params.set("cell_uv_trip_mv", 2400)        # never above the usual one
        deep = dict(afe_config.image(self.params, SHUNT_UOHM, 16, True))
        self.assertEqual(deep[0x9275][0], 47)

    def test_temperatures_trip_a_second_after_the_firmware_would(self):     # req: PRO-21 PRO-23
        for delay_ms, delay_s in ((200, 2), (1000, 2), (1001, 3), (3000, 4), (10_000, 11)):
            self.params.set("temp_delay_ms", delay_ms)
            found = dict(afe_config.image(self.params, SHUNT_UOHM))
            self.assertEqual([found[0x929A][1], found[0x929A][4], found[0x92A0][1],
                              found[0x92A6][1], found[0x92A9][1]], [delay_s] * 5, delay_ms)

    def test_the_chip_closes_no_fet_to_spare_its_diode(self):   # req: PRO-28
        for other_way_ma in (1000, 5000):
            self.params.set_all({"rest_ma": 300, "other_way_ma": other_way_ma})
            found = dict(afe_config.image(self.params, SHUNT_UOHM))
            self.assertEqual(struct.unpack("<h", found[0x9273])[0], 32_767)
            self.assertEqual(found[0x9308][0] & 0x01, 0)        # SFET, which the saver needs

    def test_cells_that_are_fitted(self):                       # req: PRF-03
        # the lowest inputs and the top one, which is always used
        for cells, low, high in ((16, 0xFF, 0xFF), (15, 0xFF, 0xBF), (8, 0x7F, 0x80),
                                 (3, 0x03, 0x80)):
            found = dict(afe_config.image(self.params, SHUNT_UOHM, cells))[0x9303]
            self.assertEqual(tuple(found), (6, low, high))

    def test_as_many_cells_may_be_balanced_as_are_chosen(self):     # req: BAL-02
        for most in (1, 4, 8):
            found = dict(afe_config.image(Parameters({"bal_cells_most": most}), SHUNT_UOHM))
            self.assertEqual(tuple(found[0x9339]), (20, most))

    def test_rows_stand_in_order(self):                         # req: PRO-23
        rows = afe_config.image(self.params, SHUNT_UOHM)
        for before, row in zip(rows, rows[1:]):
            self.assertTrue(before[0] + len(before[1]) <= row[0], "0x%04x" % row[0])

    def test_temperatures_lie_outside_whatever_the_tenths(self):    # req: PRO-23
        # over: rounded up, and 2 degrees; under: rounded down, and 2 degrees
        for trip_dc, code in ((580, 60), (581, 61), (589, 61), (590, 61)):
            found = dict(afe_config.image(Parameters({"chg_ot_trip_dc": trip_dc}), SHUNT_UOHM))
            self.assertEqual(found[0x929A][0], code, trip_dc)
        for trip_dc, code in ((-200, -22), (-201, -23), (-199, -22), (-191, -22), (-190, -21)):
            found = dict(afe_config.image(Parameters({"dsg_ut_trip_dc": trip_dc}), SHUNT_UOHM))
            self.assertEqual(found[0x92A9][0], code & 0xFF, trip_dc)

    def test_recoveries_are_rounded_down(self):                 # req: PRO-23
        for name, value_dc, address, place, code in (
                ("chg_ot_release_dc", 539, 0x929A, 2, 53),
                ("dsg_ot_release_dc", 539, 0x929A, 5, 53),
                ("mos_ot_release_dc", 859, 0x92A0, 2, 85), ("chg_ut_release_dc", 95, 0x92A6, 2, 9),
                ("dsg_ut_release_dc", -95, 0x92A9, 2, 0x100 - 10)):
            found = dict(afe_config.image(Parameters({name: value_dc}), SHUNT_UOHM))
            self.assertEqual(found[address][place], code, name)

    def test_over_currents_to_the_milliampere(self):            # req: PRO-23
        # 20 A and 100 A outside, in steps of 8 A; 5 A outside in steps of 10 mA
        for name, trip_ma, address, code in (
                ("chg_oc_trip_ma", 108_999, 0x9280, 16), ("chg_oc_trip_ma", 109_000, 0x9280, 17),
                ("dsg_oc2_trip_ma", 148_999, 0x9282, 31), ("dsg_oc2_trip_ma", 149_000, 0x9282, 32),
                ("dsg_oc1_trip_ma", 110_000, 0x928A, -11_500 & 0xFF),
                ("dsg_oc1_trip_ma", 110_001, 0x928A, -11_501 & 0xFF)):
            found = dict(afe_config.image(Parameters({name: trip_ma}), SHUNT_UOHM))
            self.assertEqual(found[address][0], code, trip_ma)

    def test_the_chips_highest_steps(self):                     # req: PRO-23
        for shunt_uohm, address, code in ((1000, 0x9280, 62), (1000, 0x9282, 100),
                                          (1000, 0x9284, 75), (2000, 0x9284, 100)):
            found = dict(afe_config.image(self.params, shunt_uohm))
            self.assertEqual(found[address][0], code, (shunt_uohm, address))

    def test_the_slow_over_current_waits_a_second_more(self):   # req: PRO-23
        for delay_ms, seconds in ((200, 2), (1000, 2), (1001, 3), (3000, 4), (10_000, 11)):
            found = dict(afe_config.image(Parameters({"dsg_oc1_delay_ms": delay_ms}), SHUNT_UOHM))
            self.assertEqual(found[0x928A][2], seconds, delay_ms)

    def test_what_is_realised_as_text(self):                    # req: PRO-23
        self.assertEqual(
            afe_config.realised(self.params, SHUNT_UOHM),
            "COV 3643.2 mV after 3498.0 ms; CUV 2681.8 mV after 3498.0 ms; SCD 320 A after 195 "
            "us; OCC 136 A after 399 ms; OCD2 152 A after 297 ms; OCD3 115 A")

    def test_rows_fit_the_transfer_buffer(self):
        for address, data in afe_config.image(self.params, SHUNT_UOHM):
            self.assertTrue(1 <= len(data) <= 32 and 0x9180 <= address < 0x9400)

    def test_thresholds_follow_the_parameters(self):            # req: PRO-23
        memory = self.bytes_of(cell_ov_trip_mv=3700, cell_uv_trip_mv=2500)
        self.assertEqual(memory[0x9278], 74)                    # 3744.4 mV
        self.assertEqual(memory[0x9275], 49)                    # 2479.4 mV

    def test_always_outside_the_firmwares_thresholds(self):     # req: PRO-23
        for trip_mv in range(3510, 3701, 19):
            params = Parameters({"cell_ov_trip_mv": trip_mv})
            code = dict(afe_config.image(params, SHUNT_UOHM))[0x9278][0]
            self.assertTrue(trip_mv * 10 <= code * 506 <= trip_mv * 10 + 506, trip_mv)
        for trip_mv in range(2000, 2800, 37):
            params = Parameters({"cell_uv_trip_mv": trip_mv, "deep_floor_mv": 1500})
            code = dict(afe_config.image(params, SHUNT_UOHM))[0x9275][0]
            self.assertTrue(trip_mv * 10 - 506 <= code * 506 <= trip_mv * 10, trip_mv)

    def test_delays_are_a_little_longer_than_the_firmwares(self):   # req: PRO-23
        # at least the delay and two scan periods, so that the firmware acts first
        for delay_ms in (200, 1000, 3000, 6000):
            memory = self.bytes_of(cell_ov_delay_ms=delay_ms, cell_uv_delay_ms=delay_ms)
            for at in (0x9276, 0x9279):
                code = memory[at] | memory[at + 1] << 8
                found_us = 3300 * (2 + code)
                self.assertTrue((delay_ms + 200) * 1000 <= found_us <= (delay_ms + 1000) * 1000,
                                repr((delay_ms, code)))

    def test_the_chips_longest_delay(self):                     # req: PRO-23
        memory = self.bytes_of(cell_ov_delay_ms=10_000)
        self.assertEqual(memory[0x9279] | memory[0x927A] << 8, 2047)

    def test_never_beyond_the_ceilings_of_the_chemistry(self):  # req: PRO-31
        for offset_mv in range(-15, 16, 5):
            for trip_mv in (3600, 3650, 3680, 3700 - max(0, offset_mv)):
                params = Parameters({"cell_ov_trip_mv": trip_mv,
                                     "cal_cell7_offset_mv": offset_mv})
                code = dict(afe_config.image(params, SHUNT_UOHM))[0x9278][0]
                self.assertTrue(code * 506 <= 37_500 + 10 * min(0, offset_mv), (offset_mv, code))
        for deep in (False, True):
            params = Parameters({"cell_uv_trip_mv": 2000, "wake_floor_mv": 1800,
                                 "deep_floor_mv": 1500})
            code = dict(afe_config.image(params, SHUNT_UOHM, 16, deep))[0x9275][0]
            self.assertTrue(code * 506 >= 18_000, code)
        found = dict(afe_config.image(Parameters({"dsg_ot_trip_dc": 630, "chg_ot_trip_dc": 600}),
                                      SHUNT_UOHM))[0x929A]
        self.assertEqual((found[0], found[3]), (62, 65))

    def test_calibrations_move_the_afes_thresholds(self):       # req: MEA-04 PRO-23
        # a cell that is shown 15 mV too high has its threshold 15 mV higher at the comparator
        for offset_mv, code in ((0, 72), (15, 72), (-15, 72)):
            params = Parameters({"cell_ov_trip_mv": 3640, "cal_cell3_offset_mv": offset_mv})
            self.assertEqual(dict(afe_config.image(params, SHUNT_UOHM))[0x9278][0],
                             73 if offset_mv == 15 else code, offset_mv)
        params = Parameters({"chg_ut_trip_dc": 60, "cal_temp1_offset_dc": -20})
        self.assertEqual(dict(afe_config.image(params, SHUNT_UOHM))[0x92A6][0], 2)
        # the shunt shows 3 % too much: so do the comparators
        for ppm, ocd2, ocd3 in ((0, 19, -11_500), (-30_000, 20, -11_856), (30_000, 19, -11_165)):
            found = dict(afe_config.image(Parameters({"cal_current_gain_ppm": ppm}), SHUNT_UOHM))
            self.assertEqual(found[0x9284][0], ocd2, ppm)
            self.assertEqual(int.from_bytes(found[0x928A][:2], "little") - 0x10000, ocd3, ppm)


if __name__ == "__main__":
    unittest.main()
