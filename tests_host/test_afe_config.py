"""The AFE's configuration image: codes of the hardware notes, always outside the firmware's."""

import struct
import unittest

from bms import afe_config
from bms.parameters import Parameters

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
                (0x9234, b"\x82\x28"), (0x9236, b"\x0d\x01"), (0x923C, b"\x60\x05"),
                (0x92FB, b"\xc6"), (0x92FD, b"\x07"), (0x92FE, b"\x07"), (0x92FF, b"\x07"),
                (0x9301, b"\x07\x0f"), (0x92FC, b"\x3b"), (0x9303, b"\x06\xff\xff"),
                (0x9261, b"\xfc\xf7\xe2"), (0x9265, b"\x98\xd5\x56"), (0x9269, b"\xe4\xe6\xe2"),
                (0x926D, b"\x00\xf8"), (0x9273, b"\xf4\x01"), (0x9275, b"\x35"),
                (0x9278, b"\x48"), (0x927B, b"\x04\x04"),
                (0x9286, b"\x04\x0e"),
                (0x9294, b"\x05"), (0x92B2, b"\x0a\x00"),
                (0x9308, b"\x2d"), (0x933A, b"\x04"), (0x9343, b"\x50\x00")):
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

    def test_rows_fit_the_transfer_buffer(self):
        for address, data in afe_config.image(self.params, SHUNT_UOHM):
            self.assertTrue(1 <= len(data) <= 32 and 0x9180 <= address < 0x9400)

    def test_thresholds_follow_the_parameters(self):            # req: PRO-23
        memory = self.bytes_of(cell_ov_trip_mv=3700, cell_uv_trip_mv=2500)
        self.assertEqual(memory[0x9278], 74)                    # 3744.4 mV
        self.assertEqual(memory[0x9275], 49)                    # 2479.4 mV

    def test_always_outside_the_firmwares_thresholds(self):     # req: PRO-23
        for trip_mv in range(3510, 4201, 37):
            params = Parameters({"cell_ov_trip_mv": trip_mv})
            code = dict(afe_config.image(params, SHUNT_UOHM))[0x9278][0]
            self.assertTrue(trip_mv * 10 <= code * 506 <= trip_mv * 10 + 506, trip_mv)
        for trip_mv in range(2000, 2800, 37):
            params = Parameters({"cell_uv_trip_mv": trip_mv})
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
        memory = self.bytes_of(cell_ov_delay_ms=30_000)
        self.assertEqual(memory[0x9279] | memory[0x927A] << 8, 2047)


if __name__ == "__main__":
    unittest.main()
