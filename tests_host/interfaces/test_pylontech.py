"""Pylontech-style answers: the reference frames of protocols.md, sections 5.1 and 5.2."""

import unittest

from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import LATE, WRAP, Lcg, feed, put16, scan_regs
from profiles import am5000
from protocols.pcs import Pcs
from protocols.ascii.pylontech import address_of
from protocols.snapshot import Identity, System

SERIAL = "AM5000A000000001"
CELLS = "0CE40CE50CE60CE70CE80CE90CEA0CEB0CEC0CED0CEE0CEF0CF00CF10CF20CF3"


def frame(body):
    """A whole frame around VER to INFO, written without the code under test."""
    return "~%s%04X\r" % (body, -sum(ord(c) for c in body) & 0xFFFF)


def request(cid2, info="", adr="02", ver="20", cid1="46"):
    chars = len(info)
    check = -((chars & 15) + (chars >> 4)) & 15
    return frame("%s%s%s%s%X%03X%s" % (ver, adr, cid1, cid2, check, chars, info))


class TestCase(unittest.TestCase):
    def setUp(self):
        self.now = LATE
        self.pack = Pack(am5000, Parameters(), 100)
        self.pack.afe_ready = True
        identity = Identity("AM5000", (1, 3, 3), SERIAL)
        self.system = System(self.pack, identity)
        self.protocol = Pcs(self.system, self.pack, identity)
        # Section 5.2, module 1: cells 3300..3315, 30.0 / 24.0 24.5 25.0 25.5 degC, -10.5 A,
        # 52.920 V, 80 of 100 Ah; cycles are not counted yet
        regs = scan_regs(current_ma=-10_500, stack_mv=52_920)
        for cell in range(16):
            put16(regs, 0x14 + 2 * cell, 3300 + cell)
        put16(regs, 0x7A, 3031)
        for reg, value in ((0x70, 2971), (0x72, 2976), (0x74, 2981), (0x78, 2986)):
            put16(regs, reg, value)
        self.regs = regs
        self.scan()
        self.pack.soc.cpct = 8000

    def scan(self, dt_ms=0):
        self.now = (self.now + dt_ms) % WRAP
        self.pack.measurements.take(self.regs, self.now)
        self.pack.step(self.now, True)
        self.pack.fets.wanted = self.pack.fets.actual = self.pack.allowed()

    def ask(self, text):
        return feed(self.protocol, text.encode(), self.now).decode()


class TestReference(TestCase):
    def test_version_4f(self):                                  # req: COM-01
        self.assertEqual(self.ask("~2002464F0000FD98\r"), "~200246000000FDB2\r")
        self.assertEqual(self.ask("~2002464FC0048520FCB2\r"), "~200246000000FDB2\r")

    def test_any_version_of_the_asker(self):                    # req: COM-01
        self.assertEqual(self.ask("~0002464F0000FD9A\r"), "~200246000000FDB2\r")

    def test_manufacturer_51(self):                             # req: COM-01
        answer = ("~20024600C040414D3530303000000000010350796C6F6E2D2D2D2D2D2D2D2D2D2D2D2D2D2D2D"
                  "EFBA\r")
        self.assertEqual(self.ask("~200246510000FDAC\r"), answer)
        self.assertEqual(self.ask("~20024651C0040000FCD5\r"), answer)

    def test_analog_42(self):                                   # req: COM-01
        body = ("20024600B07E000210" + CELLS + "050BD70B9B0BA00BA50BAAFF97CEB8FFFF04FFFF0000"
                "0138800186A0")
        # the reference has 7 cycles and checksum E070
        self.assertEqual(frame(body.replace("FFFF0000013880", "FFFF0007013880"))[-5:-1], "E070")
        answer = frame(body)
        self.assertEqual(self.ask("~20024642E00202FD33\r"), answer)
        self.assertEqual(self.ask("~20024642C0040202FCD1\r"), answer)
        self.assertEqual(self.ask(request("42")), answer)

    def test_analog_42_of_all_modules_gives_their_number(self):     # req: COM-01
        answer = self.ask("~20024642E002FFFD09\r")
        self.assertEqual(answer[:19], "~20024600B07E000110")
        self.assertEqual(answer, frame(answer[1:-5]))

    def test_two_byte_info_whose_second_is_ff_means_all(self):  # req: COM-01
        self.assertEqual(self.ask(request("42", "02FF")), self.ask(request("42", "FF")))

    def test_management_92(self):                               # req: COM-01 COM-05
        # 55.600 V, 46.000 V, +100.0 A, -100.0 A, charge and discharge enabled
        for _ in range(60):                     # limits rise slowly
            self.regs[0x38] ^= 1                # a scan that never changes is a frozen one
            self.scan(1000)
        answer = frame("20024600B01402D930B3B003E8FC18C0")
        self.assertEqual(self.ask("~20024692E00202FD2E\r"), answer)
        self.assertEqual(self.ask("~20024692C0040201FCCD\r"), answer)

    def test_management_92_when_nothing_may_flow(self):         # req: COM-05
        self.pack.afe_ready = False
        self.scan()
        self.assertEqual(self.ask("~20024692E00202FD2E\r"),
                         frame("20024600B01402D930B3B00000000000"))

    def test_parameters_47(self):                               # req: COM-01
        # 3600/2800/2700 mV, 58/5 degC, 50 A, 57.6/45.6/44.0 V, 58/-20 degC, -50 A
        answer = frame("20024600B032000E100AF00A8C0CEF0ADD01F4E100B220ABE00CEF09E3FE0C")
        self.assertEqual(self.ask("~200246470000FDA7\r"), answer)
        self.assertEqual(self.ask("~20024647C0040000FCD0\r"), answer)

    def test_serial_number_93(self):                            # req: COM-01
        self.assertEqual(self.ask("~20024693E00202FD2D\r"),
                         "~20024600C02202414D3530303041303030303030303031F6EA\r")

    def test_error_replies(self):                               # req: COM-01
        self.assertEqual(self.ask(request("FE")), "~200246040000FDAE\r")
        self.assertEqual(self.ask("~2002464F0000FD99\r"), "~200246020000FDB0\r")
        self.assertEqual(self.ask(frame("20024642F00202")), frame("200246030000"))
        self.assertEqual(self.ask(frame("20024642E0020G")), frame("200246050000"))
        self.assertEqual(self.ask(request("42", "020202")), frame("200246050000"))
        self.assertEqual(self.ask(request("42", "05")), frame("200246900000"))
        self.assertEqual(self.ask(request("92", "FF")), frame("200246900000"))


class TestAddresses(TestCase):
    def test_mapping_of_the_dip_switches(self):                 # req: COM-01 DIP-01
        for dip, address in ((0, 0x02), (1, 0x02), (2, 0x03), (3, 0x04), (14, 0x0F), (15, 0x10)):
            self.assertEqual(address_of(dip), address, dip)

    def test_only_its_own_address_is_answered(self):            # req: COM-01
        for dip, own in ((0, "02"), (1, "02"), (2, "03"), (15, "10")):
            self.pack.dip = dip
            for adr in ("01", "02", "03", "04", "10", "12", "FF"):
                answer = self.ask(request("4F", adr=adr))
                self.assertEqual(answer, frame("20" + own + "46000000") if adr == own else "")

    def test_address_0_is_answered_as_the_master(self):         # req: COM-01
        self.assertEqual(self.ask(request("4F", adr="00")), frame("200046000000"))
        self.pack.dip = 2
        self.assertEqual(self.ask(request("4F", adr="00")), "")

    def test_a_slave_answers_for_itself(self):                  # req: COM-01
        self.pack.dip = 3
        self.assertEqual(self.ask(request("93", "04", adr="04"))[:17], "~20044600C02204" + "41")
        self.assertEqual(self.ask(request("42", "FF", adr="04")), frame("200446900000"))

    def test_silent_where_it_must_be(self):                     # req: COM-06
        for text in ("~20014A420000FDA2\r",                     # another CID1
                     "~200246000000FDB2\r",                     # CID2 00: a reply, perhaps our own
                     "~201246610000FDAA\r",                     # another group
                     "~20xx464F0000FD98\r", "~2002464F", "\r", "~\r", "", "hello\r"):
            self.assertEqual(self.ask(text), "", text)
            self.setUp()

    def test_documents_faulty_replies_are_ignored(self):        # req: COM-06
        self.assertEqual(self.ask(
            "~20024600F07A11020F0D450D440D450D440D450D440D3E0D450D4A0D4A0D4B0D4A0D4A0D4A0D4A050BC3"
            "0BC30BC30BCD0BCD0000C725FFFF04FFFF000200CA58012110E1A2\r"), "")
        self.assertEqual(self.ask("~201246008008DCD35DC009C407E4B0F97E\r"), "")


class TestValues(TestCase):
    def analog(self):
        """Words of the 42 reply after the cells: temperatures, current, voltage."""
        answer = self.ask("~20024642E00202FD33\r")
        words = answer[13 + 6 + 64 + 2:]
        return [int(words[4 * i:4 * i + 4], 16) for i in range(7)]

    def test_currents_of_both_signs_in_tenths(self):            # req: COM-01
        for current_ma, word in ((0, 0), (20_500, 205), (-20_500, 0xFF33), (100_000, 1000),
                                 (-150_000, 0xFA24), (60, 1), (40, 0), (-40, 0), (-60, 0xFFFF)):
            put16(self.regs, 0x3A, current_ma // 10)
            self.scan()
            self.assertEqual(self.analog()[5], word, current_ma)

    def test_temperatures_below_zero_and_none(self):            # req: COM-01 MEA-05
        put16(self.regs, 0x70, 2531)            # -20.0 degC
        put16(self.regs, 0x72, 0)               # open
        self.scan()
        self.assertEqual(self.analog()[1:3], [2531, 0xFFFF])

    def test_values_too_old_are_not_sent_as_live(self):         # req: MEA-05
        for age_ms, live in ((299, True), (300, True), (301, False), (60_000, False)):
            now = (self.now + age_ms) % WRAP
            for text in ("~20024642E00202FD33\r", "~20024692E00202FD2E\r"):
                answer = feed(self.protocol, text.encode(), now).decode()
                self.assertEqual(answer != frame("200246910000"), live, age_ms)
        for text in ("~2002464F0000FD98\r", "~20024693E00202FD2D\r", "~200246470000FDA7\r"):
            self.assertEqual(feed(self.protocol, text.encode(), now)[7:9], b"00")

    def test_values_that_cannot_be_raise_nothing(self):         # req: COM-06
        for reg in (0x14, 0x34, 0x36, 0x3A, 0x68, 0x6E, 0x70, 0x7A):
            for value in (0x0000, 0x7FFF, 0x8000, 0xFFFF, 6554, 7000):
                self.setUp()
                put16(self.regs, reg, value)
                self.scan()
                for text in ("~20024642E00202FD33\r", "~20024692E00202FD2E\r"):
                    answer = self.ask(text)
                    self.assertEqual(answer, frame(answer[1:-5]), repr((reg, value)))

    def test_a_stack_beyond_16_bits_is_not_wrapped(self):       # req: COM-06
        put16(self.regs, 0x34, 7000)            # 70.00 V
        self.scan()
        self.assertEqual(self.analog()[6], 0xFFFF)

    def test_soc_and_capacities_agree(self):                    # req: COM-01
        answer = self.ask("~20024642E00202FD33\r")
        remain, full = int(answer[-17:-11], 16), int(answer[-11:-5], 16)
        self.assertEqual((remain, full), (80_000, 100_000))
        self.assertEqual(self.pack.soc.cpct, 8000)


class TestAnything(TestCase):
    def test_any_bytes_and_then_a_good_request(self):           # req: COM-06
        rng = Lcg(9)
        for _ in range(40):
            noise = bytearray(rng.below(40))
            for i in range(len(noise)):
                noise[i] = rng.pick((rng.below(256), rng.pick(b"~\r0123456789ABCDEF")))
            feed(self.protocol, noise, self.now)
            self.assertEqual(self.ask("~2002464F0000FD98\r"), "~200246000000FDB2\r")

    def test_any_command_with_any_info_is_answered_in_form(self):   # req: COM-06
        rng = Lcg(10)
        for cid2 in range(1, 256):
            if cid2 > 0x98 or cid2 < 0x40:
                if cid2 & 0x1F:
                    continue
            info = "".join("%02X" % rng.below(256) for _ in range(rng.below(4)))
            answer = self.ask(request("%02X" % cid2, info))
            self.assertEqual(answer, frame(answer[1:-5]), repr((cid2, info)))
            self.assertEqual(answer[:7], "~200246")


if __name__ == "__main__":
    unittest.main()
