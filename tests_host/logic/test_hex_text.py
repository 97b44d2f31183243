"""Hexadecimal text in buffers, and its twin."""

import unittest
from array import array

from fakes import EXPECTED_KIND, Lcg, twins
from hot import hex_text

TWINS = twins("hot.hex_text")


class TestHexText(unittest.TestCase):
    def test_selector_took_the_expected_kind(self):             # req: SAF-04
        self.assertEqual(hex_text.KIND, EXPECTED_KIND)

    def test_reads_upper_case_digits(self):
        for twin in TWINS:
            for text, at, digits, value in ((b"2002464F", 6, 2, 0x4F),
                                            (b"0123456", 0, 7, 0x123456),
                                            (b"xFFFFx", 1, 4, 0xFFFF), (b"9A", 0, 1, 9),
                                            (b"FFFFFFF", 0, 7, 0xFFFFFFF), (b"", 0, 0, 0)):
                self.assertEqual(twin.read_hex(text, at, digits), value, repr(text))

    def test_refuses_every_other_character(self):               # req: COM-06
        good = b"0123456789ABCDEF"
        for twin in TWINS:
            for c in range(256):
                value = twin.read_hex(bytes((0x31, c, 0x31)), 0, 3)
                if c in good:
                    self.assertEqual(value, 0x101 + 16 * good.index(bytes((c,))))
                else:
                    self.assertEqual(value, -1, c)

    def test_writes_upper_case_digits(self):
        for twin in TWINS:
            buf = bytearray(b"......")
            twin.put_hex(buf, 1, 0xFD98, 4)
            self.assertEqual(bytes(buf), b".FD98.")
            twin.put_hex(buf, 1, 0x12345, 4)        # only the lower digits have room
            self.assertEqual(bytes(buf), b".2345.")
            twin.put_hex(buf, 0, 0xA, 1)
            self.assertEqual(bytes(buf), b"A2345.")

    def test_writes_bytes(self):
        for twin in TWINS:
            buf = bytearray(b"........")
            twin.put_bytes(buf, 1, b"\x00\x9a\xff\x11", 3)
            self.assertEqual(bytes(buf), b".009AFF.")
            twin.put_bytes(buf, 1, b"\x55", 0)
            self.assertEqual(bytes(buf), b".009AFF.")

    def test_writes_words(self):
        for twin in TWINS:
            buf = bytearray(b"........")
            twin.put_words(buf, 1, array("H", (0x0CE4, 0, 0xFFFE, 7)), 3)
            self.assertEqual(bytes(buf), b".\x0c\xe4\x00\x00\xff\xfe.")
            twin.put_words(buf, 0, array("H", (1,)), 0)
            self.assertEqual(buf[0], 0x2E)

    def test_sums_characters(self):
        # protocols.md 1.1: codes of 2002464F0000 add up to 0x268
        for twin in TWINS:
            self.assertEqual(twin.hex_sum(b"~2002464F0000", 1, 13), 0x268)
            self.assertEqual(twin.hex_sum(b"abc", 1, 1), 0)
            self.assertEqual(twin.hex_sum(b"\xff" * 200, 0, 200), 51000)

    def test_what_is_written_is_read_and_twins_agree(self):
        rng = Lcg(3)
        data = bytearray(3)
        for _ in range(40):
            digits = 1 + rng.below(7)
            value = rng.between(0, (1 << 4 * digits) - 1)
            rng.fill(data)
            bufs = []
            for twin in TWINS:
                buf = bytearray(16)
                twin.put_hex(buf, 2, value, digits)
                self.assertEqual(twin.read_hex(buf, 2, digits), value)
                twin.put_bytes(buf, 10, data, 3)
                bufs.append(bytes(buf))
                self.assertEqual(twin.read_hex(buf, 10, 6), data[0] << 16 | data[1] << 8 | data[2])
                self.assertEqual(twin.hex_sum(buf, 0, 16), sum(buf))
            self.assertEqual(bufs, bufs[:1] * len(TWINS))


if __name__ == "__main__":
    unittest.main()
