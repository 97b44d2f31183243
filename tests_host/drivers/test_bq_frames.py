"""Frames of a scan: what is sent, which answers are taken; worked frames of the AFE's manual."""

import unittest

import bq_frames
from crc8 import CRC8
from fakes import EXPECTED_KIND, Lcg, crc8, twins

TWINS = twins("bq_frames")
CELL_1 = b"\x14\xff\xf0\x15\xff\xe5\x62\xff\x2c"            # read 0x14, 0x15, then any
CELL_1_BACK = b"\x00\x00\x00\x14\xf0\xdd\x15\x0c\x32"       # 0x0CF0 = 3312 mV
HIGH = b"\x00\x01"


class TestCheckFrames(unittest.TestCase):
    def check(self, back, sent=CELL_1, high=HIGH, before=None, jump=100):
        """(result, status, regs) of every twin, which must be equal."""
        count = len(sent) // 3 - 1
        results = []
        for twin in TWINS:
            regs = bytearray(128) if before is None else bytearray(before)
            status = bytearray(b"\x99" * count)
            results.append((twin.check_frames(back, sent, count, CRC8, high, regs, status, jump),
                            bytes(status), bytes(regs)))
        self.assertEqual(results, results[:1] * len(TWINS), repr(back))
        return results[0]

    def test_selector_took_the_expected_kind(self):             # req: SAF-04
        self.assertEqual(bq_frames.KIND, EXPECTED_KIND)

    def before(self, value):
        regs = bytearray(128)
        regs[0x14] = value & 0xFF
        regs[0x15] = value >> 8
        return regs

    def test_worked_frames_of_cell_1(self):                     # req: MEA-01
        result, status, regs = self.check(CELL_1_BACK, before=self.before(3300))
        self.assertEqual((result, status), (0, b"\x00\x00"))
        self.assertEqual(regs[0x14] | regs[0x15] << 8, 3312)

    def test_a_jump_is_marked_one_short_exact_one_past(self):   # req: MEA-02
        for value, moved in ((3213, 0), (3212, 256), (3211, 256), (3411, 0), (3412, 256),
                             (3413, 256), (0, 256), (3568, 256), (3056, 256)):
            result, status, regs = self.check(CELL_1_BACK, before=self.before(value))
            self.assertEqual((result, status[1]), (moved, 2 if moved else 0), value)
            self.assertEqual(regs[0x14] | regs[0x15] << 8, 3312)

    def test_a_jump_counts_in_signed_words(self):               # req: MEA-02
        sent = b"\x3a\xff\x88\x3b\xff\x9d\x62\xff\x2c"
        for old, new, moved in ((0xFFFF, 0x0001, 0), (0x0001, 0xFFFF, 0), (0x0040, 0xFFC0, 256),
                                (0x7FFF, 0x8000, 0)):
            before = bytearray(128)
            before[0x3A], before[0x3B] = old & 0xFF, old >> 8
            back = bytes((0, 0, 0, 0x3A, new & 0xFF, crc8(0x3A, new & 0xFF),
                          0x3B, new >> 8, crc8(0x3B, new >> 8)))
            self.assertEqual(self.check(back, sent, before=before)[0], moved)

    def test_flag_patterns_and_stuck_lines_are_never_values(self):  # req: MEA-02
        before = self.before(0x0C0C)
        for pattern in (b"\xff\xff\x00", b"\xff\xff\xaa", b"\xff\xff\xff", b"\x00\x00\x00"):
            back = b"\x00\x00\x00" + pattern + b"\x15\x0c\x32"
            result, status, regs = self.check(back, before=before)
            self.assertEqual((result, status[0]), (1, 1), repr(pattern))
            self.assertEqual(regs, bytes(before))
            result, status, regs = self.check(pattern * 3, before=before)
            self.assertEqual((result, status, regs), (2, b"\x01\x01", bytes(before)))

    def test_half_a_pair_is_never_stored(self):                 # req: MEA-02
        before = self.before(3300)
        for at in (3, 6):
            back = bytearray(CELL_1_BACK)
            back[at + 2] ^= 0x40
            result, status, regs = self.check(back, before=before)
            self.assertEqual((result, status[at // 3 - 1]), (1, 1))
            self.assertEqual(regs, bytes(before))

    def test_each_flipped_bit_is_found(self):                   # req: MEA-01
        before = self.before(3300)
        for bit in range(48):
            back = bytearray(CELL_1_BACK)
            back[3 + bit // 8] ^= 1 << (bit & 7)
            result, status, regs = self.check(back, before=before)
            self.assertEqual((result, status[bit // 24], regs), (1, 1, bytes(before)), bit)

    def test_an_answer_to_another_register_is_not_taken(self):  # req: MEA-02
        back = b"\x00\x00\x00\x16\xf0" + bytes((crc8(0x16, 0xF0),)) + b"\x15\x0c\x32"
        self.assertEqual(self.check(back)[1][0], 1)

    def test_a_single_register_has_no_jump(self):               # req: MEA-01
        back = b"\x00\x00\x00\x14\xf0\xdd\x15\x0c\x32"
        result, status, regs = self.check(back, high=b"\x00\x00")
        self.assertEqual((result, status, regs[0x14], regs[0x15]), (0, b"\x00\x00", 0xF0, 0x0C))

    def test_twins_agree_on_random_answers(self):
        rng = Lcg(4)
        sent = bytearray(18)
        back = bytearray(18)
        before = bytearray(128)
        for _ in range(60):
            rng.fill(before)
            high = bytearray(5)
            for k in range(1, 5):
                high[k] = rng.below(2) if not high[k - 1] else 0
            for k in range(6):
                reg = 2 + rng.below(126)
                if k < 5 and high[k]:
                    reg = sent[3 * k - 3] | 1
                    sent[3 * k - 3] = back[3 * k] = reg & 0x7E
                    back[3 * k + 2] = crc8(back[3 * k], back[3 * k + 1])
                sent[3 * k] = reg
                if k < 5:
                    data = rng.below(256)
                    back[3 * k + 3] = reg
                    back[3 * k + 4] = data
                    back[3 * k + 5] = crc8(reg, data)
            for _ in range(2):
                if rng.below(2):
                    back[3 + rng.below(15)] = rng.below(256)
            self.check(back, sent, bytes(high), before, rng.pick((1, 100, 0x10000)))


class TestLoadAndRun(unittest.TestCase):
    def test_load_copies_the_given_length_only(self):
        for twin in TWINS:
            buf = bytearray(b"....")
            twin.load_frames(buf, b"abcd", 3)
            self.assertEqual(bytes(buf), b"abc.")

    def test_each_frame_is_selected_clocked_and_spaced(self):   # req: MEA-01
        for twin in TWINS:
            trace = []
            buf = bytearray(CELL_1)
            view = memoryview(buf)

            def transfer(tx, rx, trace=trace):
                trace.append(bytes(tx))
                rx[0] = 0x5A

            twin.run_frames(transfer, trace.append, trace.append,
                            (view[0:3], view[3:6]), 50)
            self.assertEqual(trace, [0, b"\x14\xff\xf0", 1, 50, 0, b"\x15\xff\xe5", 1, 50])
            self.assertEqual((buf[0], buf[3], buf[6]), (0x5A, 0x5A, 0x62))


if __name__ == "__main__":
    unittest.main()
