"""CRC-8 of the AFE's frames and CRC-16 of the debug port: published values, twins."""

import unittest

import crc16
from crc8 import CRC8
from fakes import EXPECTED_KIND, Lcg, twins

TWINS = twins("crc16")


def crc8_of(data):
    crc = 0
    for byte in data:
        crc = CRC8[crc ^ byte]
    return crc


class TestCrc8(unittest.TestCase):
    def test_check_value(self):                                 # req: MEA-01
        self.assertEqual(crc8_of(b"123456789"), 0xF4)

    def test_published_values(self):                            # req: MEA-01
        for data, crc in ((b"\x10\x3e\x22", 0x63), (b"\x15\xff", 0xE5), (b"\xff\xff", 0x24),
                          (b"\x14\xff", 0xF0), (b"\x14\xf0", 0xDD), (b"\x15\x0c", 0x32),
                          (b"\xe0\xae", 0x00), (b"\x00\x00", 0x00)):
            self.assertEqual(crc8_of(data), crc, repr(data))

    def test_table_is_the_polynomial_bit_by_bit(self):
        self.assertEqual(len(CRC8), 256)
        for value in range(256):
            crc = value
            for _ in range(8):
                crc = crc << 1 ^ 0x107 if crc & 0x80 else crc << 1
            self.assertEqual(CRC8[value], crc, value)


class TestCrc16(unittest.TestCase):
    def test_selector_took_the_expected_kind(self):             # req: SAF-04
        self.assertEqual(crc16.KIND, EXPECTED_KIND)

    def test_check_value(self):
        for twin in TWINS:
            self.assertEqual(twin.crc16(b"123456789", 0, 9, 0xFFFF), 0x29B1, twin.__name__)

    def test_check_value_of_modbus(self):                       # req: COM-01
        rng = Lcg(2)
        data = bytearray(60)
        for twin in TWINS:
            self.assertEqual(twin.crc16_modbus(b"x123456789", 1, 10), 0x4B37, twin.__name__)
        for _ in range(20):
            rng.fill(data)
            self.assertEqual(len({twin.crc16_modbus(data, 3, 57) for twin in TWINS}), 1)

    def test_nothing_leaves_the_initial_value(self):
        for twin in TWINS:
            self.assertEqual(twin.crc16(b"abc", 2, 2, 0xFFFF), 0xFFFF, twin.__name__)

    def test_only_the_range_counts_and_it_can_be_continued(self):
        data = b"xx123456789yy"
        for twin in TWINS:
            self.assertEqual(twin.crc16(data, 2, 11, 0xFFFF), 0x29B1, twin.__name__)
            part = twin.crc16(data, 2, 6, 0xFFFF)
            self.assertEqual(twin.crc16(data, 6, 11, part), 0x29B1, twin.__name__)

    def test_twins_agree_on_random_data(self):
        rng = Lcg(1)
        data = bytearray(12)
        for _ in range(40):
            rng.fill(data)
            start = rng.below(6)
            crc = rng.between(0, 0xFFFF)
            results = [twin.crc16(data, start, 12, crc) for twin in TWINS]
            self.assertEqual(results, results[:1] * len(TWINS), repr(data))


if __name__ == "__main__":
    unittest.main()
