"""Frames of the YD/T 1363.3 family: the worked examples of the documents, and everything else."""

import unittest

from fakes import LATE, WRAP, Lcg
from protocols.ascii.frame import (
    BAD_CHKSUM,
    BAD_FORMAT,
    BAD_LCHKSUM,
    DROPPED,
    NOTHING,
    OK,
    Parser,
    encode,
    length_field,
)

# Documents and captures: frame without CR; VER ADR CID1 CID2 INFO
VECTORS = (
    ("~0002464F0000FD9A", 0x00, 0x02, 0x46, 0x4F, ""),
    ("~2002464F0000FD98", 0x20, 0x02, 0x46, 0x4F, ""),
    ("~20014642E00201FD35", 0x20, 0x01, 0x46, 0x42, "01"),
    ("~20024642E00202FD33", 0x20, 0x02, 0x46, 0x42, "02"),
    ("~20024642E002FFFD09", 0x20, 0x02, 0x46, 0x42, "FF"),
    ("~20024651C0040000FCD5", 0x20, 0x02, 0x46, 0x51, "0000"),
    ("~2002464FC0048520FCB2", 0x20, 0x02, 0x46, 0x4F, "8520"),
    ("~20024642C0040202FCD1", 0x20, 0x02, 0x46, 0x42, "0202"),
    ("~20024692C0040201FCCD", 0x20, 0x02, 0x46, 0x92, "0201"),
    ("~200246470000FDA7", 0x20, 0x02, 0x46, 0x47, ""),
    ("~201246630000FDA8", 0x20, 0x12, 0x46, 0x63, ""),
    ("~20014A420000FDA2", 0x20, 0x01, 0x4A, 0x42, ""),
    ("~20014682C0048520FCC3", 0x20, 0x01, 0x46, 0x82, "8520"),
    ("~20024600400C020203000605FB49", 0x20, 0x02, 0x46, 0x00, "020203000605"),
    ("~20024600B01402D002B79800FAFF06C0F92D", 0x20, 0x02, 0x46, 0x00, "02D002B79800FAFF06C0"),
)


class TestCase(unittest.TestCase):
    def setUp(self):
        self.parser = Parser()

    def take(self, text, now_ms=0):
        """Verdicts other than NOTHING."""
        verdicts = []
        for byte in text.encode():
            verdict = self.parser.take(byte, now_ms)
            if verdict != NOTHING:
                verdicts.append(verdict)
        return verdicts


class TestLength(unittest.TestCase):
    def test_worked_lengths(self):                              # req: COM-01
        for lenid, field in ((0, 0x0000), (2, 0xE002), (4, 0xC004), (0x12, 0xD012),
                             (0x4C, 0x004C), (0x7E, 0xB07E), (0x62, 0x8062), (0x42, 0xA042),
                             (0x0F8, 0x90F8), (0x32, 0xB032), (0x14, 0xB014), (0x22, 0xC022)):
            self.assertEqual(length_field(lenid), field, lenid)

    def test_nibbles_always_add_up_to_16(self):                 # req: COM-01
        for lenid in range(0, 0x1000, 7):
            field = length_field(lenid)
            self.assertEqual(field & 0xFFF, lenid)
            total = (field >> 12) + (lenid >> 8) + (lenid >> 4 & 15) + (lenid & 15)
            self.assertEqual(total & 15, 0)


class TestParser(TestCase):
    def test_documents_frames(self):                            # req: COM-01
        for text, ver, adr, cid1, cid2, info in VECTORS:
            self.assertEqual(self.take(text + "\r"), [OK], text)
            p = self.parser
            self.assertEqual((p.ver, p.adr, p.cid1, p.cid2), (ver, adr, cid1, cid2), text)
            found = "".join("%02X" % byte for byte in p.info[:p.info_len])
            self.assertEqual(found, info, text)
        self.assertEqual(self.parser.dropped, 0)

    def test_a_wrong_checksum(self):                            # req: COM-01
        # V2.8 prints FC72 for this one; right is FC71
        self.assertEqual(self.take("~1203400456ABCEFEFC72\r"), [BAD_CHKSUM])
        self.assertEqual(self.take("~1203400456ABCEFEFC71\r"), [BAD_LCHKSUM])   # LENGTH 56AB
        for digit in ("FD99", "FD97", "0D98", "FC98", "XXXX", "fd98"):
            self.assertEqual(self.take("~2002464F0000" + digit + "\r"), [BAD_CHKSUM], digit)

    def test_each_changed_character_is_noticed(self):           # req: COM-01
        good = "~20024642E00202FD33"
        for i in range(1, len(good)):
            for c in "0F9Gz \x00":
                if c == good[i]:
                    continue
                verdicts = self.take(good[:i] + c + good[i + 1:] + "\r")
                self.assertEqual(len(verdicts), 1)
                self.assertNotEqual(verdicts[0], OK, good[:i] + c + good[i + 1:])

    def test_a_wrong_length(self):                              # req: COM-01
        # checksums are right: LCHKSUM wrong; LENID too long, too short
        for text in ("~20024642F00202FD32", "~20024642C00402FD33", "~200246420000" + "02FD4A",
                     "~200246421000FDAB"):
            check = -sum(ord(c) for c in text[1:-4]) & 0xFFFF
            self.assertEqual(self.take("%s%04X\r" % (text[:-4], check)), [BAD_LCHKSUM], text)

    def test_an_odd_or_a_wrong_info(self):                      # req: COM-01
        for body in ("20024642F0010", "20024642E0020g", "20024642D0030FF", "20024642E002 1"):
            check = -sum(ord(c) for c in body) & 0xFFFF
            self.assertEqual(self.take("~%s%04X\r" % (body, check)), [BAD_FORMAT], body)

    def test_too_short_to_be_a_frame(self):                     # req: COM-06
        good = "~2002464F0000FD98"
        for length in range(1, len(good)):
            self.setUp()
            self.assertEqual(self.take(good[:length] + "\r"), [DROPPED], length)
            self.assertEqual(self.parser.dropped, 1)
            self.assertEqual(self.take(good + "\r"), [OK])

    def test_a_short_frame_does_not_use_what_was_there_before(self):    # req: COM-06
        self.take("~20024642E00202FD33\r")
        for text in ("~20024642E00202", "~", "~2002464F0000FD9"):
            self.assertEqual(self.take(text + "\r"), [DROPPED], text)

    def test_a_new_start_begins_anew(self):                     # req: COM-06
        self.assertEqual(self.take("~2002~20~~2002464F0000FD98\r"), [OK])
        self.assertEqual(self.parser.dropped, 3)

    def test_what_is_between_frames_is_ignored(self):           # req: COM-06
        self.assertEqual(self.take("\r\r2002\xff\n~2002464F0000FD98\r\n\r~2002464F0000FD98\r"),
                         [OK, OK])
        self.assertEqual(self.parser.dropped, 0)

    def test_longest_frame_one_short_exact_one_past(self):      # req: COM-06
        for info_chars, verdict in ((108, OK), (110, OK), (112, DROPPED)):
            body = "20024642%04X" % length_field(info_chars) + "0" * info_chars
            check = -sum(ord(c) for c in body) & 0xFFFF
            verdicts = self.take("~%s%04X\r" % (body, check))   # 17 characters more, and CR
            self.assertEqual(verdicts, [verdict], info_chars)

    def test_an_endless_frame_is_dropped_and_the_next_is_read(self):    # req: COM-06
        verdicts = self.take("~" + "0" * 5000)
        self.assertEqual(verdicts, [DROPPED])
        self.assertEqual(self.take("~2002464F0000FD98\r"), [OK])

    def test_a_pause_inside_a_frame_one_short_exact_one_past(self):     # req: COM-06
        for gap_ms, verdicts in ((999, [OK]), (1000, [OK]), (1001, [])):
            for start in (0, LATE, WRAP - 1):
                self.setUp()
                self.take("~2002464F", start)
                self.assertEqual(self.take("0000FD98\r", (start + gap_ms) % WRAP), verdicts)
                self.assertEqual(self.parser.dropped, 0 if verdicts else 1)

    def test_any_bytes_and_then_a_good_frame(self):             # req: COM-06
        rng = Lcg(7)
        for _ in range(60):
            for _ in range(rng.below(30)):
                byte = rng.pick((rng.below(256), rng.pick((0x7E, 0x0D, 0x30, 0x46, 0x32))))
                verdict = self.parser.take(byte, 0)
                self.assertTrue(-2 <= verdict <= 5)
            verdicts = self.take("~2002464F0000FD98\r")
            self.assertEqual(verdicts[-1:], [OK])


class TestEncode(unittest.TestCase):
    def test_documents_frames(self):                            # req: COM-01
        for text, ver, adr, cid1, cid2, info in VECTORS:
            out = bytearray(b"#" * 64)
            data = bytes(int(info[i:i + 2], 16) for i in range(0, len(info), 2))
            length = encode(out, ver, adr, cid1, cid2, data, len(data))
            self.assertEqual(bytes(out[:length]).decode(), text + "\r")
            self.assertEqual(bytes(out[length:]), b"#" * (64 - length))

    def test_only_the_given_part_of_info_is_sent(self):
        out = bytearray(64)
        length = encode(out, 0x20, 2, 0x46, 0x42, b"\x02\x99\x99", 1)
        self.assertEqual(bytes(out[:length]), b"~20024642E00202FD33\r")

    def test_what_is_encoded_is_parsed(self):                   # req: COM-01
        rng = Lcg(8)
        parser = Parser()
        out = bytearray(128)
        for _ in range(25):
            info = bytearray(rng.below(50))
            rng.fill(info)
            head = [rng.below(256) for _ in range(4)]
            length = encode(out, head[0], head[1], head[2], head[3], info, len(info))
            verdict = NOTHING
            for i in range(length):
                self.assertEqual(verdict, NOTHING)
                verdict = parser.take(out[i], 0)
            self.assertEqual(verdict, OK)
            self.assertEqual([parser.ver, parser.adr, parser.cid1, parser.cid2], head)
            self.assertEqual(parser.info[:parser.info_len], info)


if __name__ == "__main__":
    unittest.main()
