"""The port to the inverter: all commands against reference frames, rights, what is spoken."""

import unittest

import civil
from bms.words import events as ev
from bms.power import power as pw
from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import LATE, NO_READING, WRAP, Lcg, feed, put16, scan_regs, set_cells
from profiles import am5000
from protocols.ascii.port import AsciiPort
from protocols.debug.port import DebugPort, Trusted
from protocols.modbus import PaceRegisters
from protocols.pcs import Pcs
from protocols.snapshot import Identity, Snapshot, System

SERIAL = "AM5000A000000001"
CHARGE, DISCHARGE, BOTH = 1, 2, 3


def frame(body):
    """A whole frame around VER to INFO, written without the code under test."""
    return "~%s%04X\r" % (body, -sum(ord(c) for c in body) & 0xFFFF)


def request(cid2, info="", adr="02", ver="20"):
    chars = len(info)
    check = -((chars & 15) + (chars >> 4)) & 15
    return frame("%s%s46%s%X%03X%s" % (ver, adr, cid2, check, chars, info))


def modbus(text):
    """Bytes of hexadecimal *text* and their CRC, written without the code under test."""
    data = bytes.fromhex(text)
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return data + bytes((crc & 0xFF, crc >> 8))


class TestCase(unittest.TestCase):
    """The reference pack: cells 3300..3315 mV, 24.0 24.5 25.0 25.5 degC, MOSFETs 30.0 degC,
    -10.5 A, 52.920 V, 80 of 100 Ah."""

    def setUp(self):
        self.now = LATE
        self.pack = Pack(am5000, Parameters(), 100)
        self.pack.afe_ready = True
        identity = Identity("AM5000", (1, 3, 7), SERIAL)
        self.system = System(self.pack, identity)
        self.protocol = Pcs(self.system, self.pack, identity)
        regs = scan_regs(current_ma=-10_500, stack_mv=52_920)
        for cell in range(16):
            put16(regs, 0x14 + 2 * cell, 3300 + cell)
        put16(regs, 0x7A, 3031)
        for reg, value in ((0x70, 2971), (0x72, 2976), (0x74, 2981), (0x78, 2986)):
            put16(regs, reg, value)
        self.regs = regs
        self.scan(2)                    # the first closes the FETs
        self.pack.soc.cpct = 8000

    def scan(self, times=1, dt_ms=100):
        for _ in range(times):
            self.now = (self.now + dt_ms) % WRAP
            self.regs[0x38] ^= 1
            self.pack.measurements.take(self.regs, self.now)
            self.pack.step(self.now, True)
            self.pack.fets.wanted = self.pack.fets.actual = self.pack.allowed()

    def ask(self, text, later_ms=0):
        return feed(self.protocol, text.encode(), (self.now + later_ms) % WRAP).decode()

    def rtn(self, text):
        answer = self.ask(text)
        return answer[7:9] if answer else "silent"

    def add_module(self):
        """A second module, as a master knows one: 3310..3325 mV and so on."""
        other = Snapshot(16)
        self.system.update(self.now)
        other.valid = True
        other.module = 2
        other.serial[:] = b"AM5000A000000002"
        for cell in range(16):
            other.cells_mv[cell] = 3310 + cell
        for i in range(4):
            other.temps_dc[i] = 250 + 5 * i
        other.mos_dc = 310
        other.voltage_mv = 53_080
        other.current_ma = -10_000
        other.remaining_mah = 82_000
        other.full_mah = 100_000
        other.cycles = 9
        other.charge_on = other.discharge_on = True
        self.system.modules.append(other)
        return other

    def sum_up(self):
        """The sum of both, as an aggregate makes it."""
        whole = Snapshot(16)
        for name, value in (
                ("valid", True), ("modules", 2), ("voltage_mv", 53_000), ("current_ma", -20_500),
                ("soc_cpct", 8100), ("cycles", 8), ("cycles_max", 9), ("soh_pct", 99),
                ("soh_min_pct", 98), ("max_cell_mv", 3325), ("max_cell_module", 2),
                ("min_cell_mv", 3300), ("min_cell_module", 1), ("mean_temp_dc", 252),
                ("max_temp_dc", 265), ("max_temp_module", 2), ("min_temp_dc", 240),
                ("min_temp_module", 1), ("mos_dc", 305), ("max_mos_dc", 310),
                ("max_mos_module", 2), ("min_mos_dc", 300), ("min_mos_module", 1),
                ("cvl_mv", 57_600), ("dvl_mv", 46_000), ("ccl_ma", 120_000),
                ("dcl_ma", 200_000), ("may_charge", True), ("may_discharge", True)):
            setattr(whole, name, value)
        self.system.whole = whole
        self.system.sum_up = lambda now_ms: None
        return whole


class TestPylontech(TestCase):
    def test_44_when_all_is_well(self):                         # req: COM-01
        self.assertEqual(
            self.ask("~20024644E00202FD31\r"),
            "~20024600A04200021000000000000000000000000000000000050000000000000000000E400000"
            "F11A\r")

    def test_44_names_cell_and_sensor(self):                    # req: COM-01
        put16(self.regs, 0x3A, 0)
        set_cells(self.regs, 3300, 3300, 3300, 3620)
        put16(self.regs, 0x72, 2731 + 590)
        self.scan(40)
        info = self.ask("~20024644E00202FD31\r")[13:-5]
        # one high cell is no full pack (SOC-05), so status 3 does not say that it is
        self.assertEqual(info[4:], "10" + "00" * 3 + "02" + "00" * 12 + "05" + "0000020000"
                         + "000000" + "61" + "00" + "00" + "0000")
        set_cells(self.regs, *([3300] * 12 + [2650]))
        put16(self.regs, 0x72, 0)
        self.scan(80)
        info = self.ask("~20024644E00202FD31\r")[13:-5]
        self.assertEqual(info[6:38], "00" * 12 + "01" + "00" * 3)
        self.assertEqual(info[40:50], "0000F00000")
        self.assertTrue(int(info[56:58], 16) & 0x02)            # cell under-voltage

    def test_44_says_that_the_buzzer_sounds(self):              # req: COM-01 BUZ-01
        self.pack.buzzing = True
        self.assertEqual(self.ask("~20024644E00202FD31\r")[-11:-9], "41")

    def test_44_of_readings_too_old_says_so(self):              # req: MEA-05 COM-06
        info = self.ask("~20024644E00202FD31\r", 301)[13:-5]
        self.assertEqual((info[6:38], info[40:50]), ("F0" * 16, "F0" * 5))

    def test_44_cell_error_bits(self):                          # req: COM-01
        put16(self.regs, 0x14, 4300)
        put16(self.regs, 0x14 + 2 * 9, 900)
        self.scan(2)
        info = self.ask("~20024644E00202FD31\r")[13:-5]
        self.assertEqual(info[-4:], "0102")
        self.assertEqual((info[6:8], info[24:26]), ("F0", "F0"))

    def test_two_modules(self):                                 # req: COM-01 COM-03
        self.add_module()
        block = ("100CE40CE50CE60CE70CE80CE90CEA0CEB0CEC0CED0CEE0CEF0CF00CF10CF20CF3050BD70B9B"
                 "0BA00BA50BAAFF97CEB8FFFF04FFFF0000" "0138800186A0")
        other = ("100CEE0CEF0CF00CF10CF20CF30CF40CF50CF60CF70CF80CF90CFA0CFB0CFC0CFD050BE10BA5"
                 "0BAA0BAF0BB4FF9CCF58FFFF04FFFF00090140500186A0")
        self.assertEqual(self.ask("~20024642E002FFFD09\r"),
                         frame("2002460090F80002" + block + other))
        for adr, info in (("02", "03"), ("03", "03"), ("03", ""), ("00", "03")):
            self.assertEqual(self.ask(request("42", info, adr)),
                             frame("20" + adr + "4600B07E0003" + other))
        self.assertEqual(self.ask(request("93", "03", "03")),
                         frame("20034600C02203" + "414D3530303041303030303030303032"))
        self.assertEqual(self.rtn(request("42", "04")), "90")
        self.assertEqual(self.rtn(request("42", "04", "04")), "silent")
        self.assertEqual(self.rtn(request("42", "02", "03")), "90")     # another one's
        answer = self.ask("~20024644E002FFFD07\r")
        self.assertEqual((len(answer) - 18, answer[15:17]), (2 * (2 + 62), "02"))
        self.pack.params.set("pcs_for_slaves", 0)
        self.assertEqual(self.rtn(request("42", "03", "03")), "silent")
        self.assertEqual(self.rtn(request("42", "03")), "00")

    def test_a_module_without_readings_is_left_out(self):       # req: COM-03 MEA-05
        self.add_module().valid = False
        self.assertEqual(self.ask("~20024642E002FFFD09\r")[9:17], "B07E0001")
        self.assertEqual(self.rtn(request("42", "03")), "91")

    def test_scan_from_address_0_finds_no_ghost(self):          # req: COM-01
        self.assertEqual(self.rtn(request("93", "00", "00")), "silent")
        self.assertEqual(self.rtn(request("93", "", "00")), "00")

    def test_60(self):                                          # req: COM-01
        self.add_module()
        self.assertEqual(
            self.ask("~200246600000FDAC\r"),
            "~200246006082414D353030300000000050796C6F6E0000000000000000000000000000000103"
            "02414D3530303041303030303030303031414D3530303041303030303030303032E40A\r")

    def test_61_of_a_system(self):                              # req: COM-01
        self.sum_up()
        answer = ("~200246008062CF08F7FE510008000963620CFD00030CE400020BA70BB400030B9B0002"
                  "0BDC0BE100030BD700020BDC0BE100030BD70002E889\r")
        for text in ("~200246610000FDAB\r", request("61", "01"), request("61", "0102")):
            self.assertEqual(self.ask(text), answer)

    def test_61_of_a_pack_alone(self):                          # req: COM-01
        info = self.ask("~200246610000FDAB\r")[13:-5]
        self.assertEqual(info, "CEB8" "FBE6" "50" "0000" "0000" "64" "64" "0CF30002" "0CE40002"
                         "0BA20BAA00020B9B0002" + 2 * "0BD70BD700020BD70002")

    def test_61_clamps_the_sum_of_currents(self):               # req: COM-01 COM-06
        whole = self.sum_up()
        for current_ma, word in ((400_000, "7FFF"), (-400_000, "8000"), (327_670, "7FFF"),
                                 (-20_504, "F7FE"), (NO_READING, "0000")):
            whole.current_ma = current_ma
            self.assertEqual(self.ask("~200246610000FDAB\r")[17:21], word)

    def test_62(self):                                          # req: COM-01
        self.assertEqual(self.ask("~200246620000FDAA\r"), "~20024600800800000000FC22\r")
        put16(self.regs, 0x3A, 0)
        set_cells(self.regs, 3620)
        self.scan(40)
        self.assertEqual(self.ask("~200246620000FDAA\r"), frame("200246008008" + "20002000"))

    def test_each_condition_has_its_bits_in_62(self):           # req: COM-01
        whole = self.sum_up()
        for alarm, protection, word in (
                (1 << 0, 0, 0x20000000), (1 << 1, 0, 0x10000000), (1 << 2, 0, 0x80000000),
                (1 << 3, 0, 0x40000000), (1 << 4, 0, 0x00400000), (1 << 5, 0, 0x00200000),
                (1 << 8, 0, 0x04000000), (1 << 9, 0, 0x08000000), (1 << 15, 0, 0x01000000),
                (1 << 16, 0, 0x02000000), (1 << 25, 0, 0x00100000),
                (0, 1 << 0, 0x2000), (0, 1 << 1, 0x1000), (0, 1 << 2, 0x8000),
                (0, 1 << 3, 0x4000), (0, 1 << 4, 0x40), (0, 1 << 6, 0x20), (0, 1 << 7, 0x20),
                (0, 1 << 11, 0x0800), (0, 1 << 10, 0x0400), (0, 1 << 16, 0x0200),
                (0, 1 << 20, 0x08), (0, 1 << 24, 0x08)):
            whole.alarms = alarm
            whole.protections = protection
            self.assertEqual(self.ask("~200246620000FDAA\r"), frame(
                "200246008008%04X%04X" % (word >> 16, word & 0xFFFF)))

    def test_63(self):                                          # req: COM-01 COM-05
        whole = self.sum_up()
        self.assertEqual(self.ask("~200246630000FDA9\r"), "~20024600D012E100B3B004B007D0C0F9BA\r")
        whole.force_1 = whole.full_request = True
        whole.may_discharge = False
        self.assertEqual(self.ask("~200246630000FDA9\r")[-7:-5], "B0")

    def test_92_asks_to_be_charged(self):                       # req: COM-05
        for cpct, status in ((8000, 0xC0), (900, 0xD0), (500, 0xF0), (899, 0xF0), (900, 0xD0),
                             (1300, 0xC0)):
            self.pack.soc.cpct = cpct
            self.scan(20, 1000)
            self.pack.soc.cpct = cpct
            self.scan(10, 1000)
            self.assertEqual(int(self.ask(request("92", "02"))[-7:-5], 16), status, cpct)
        self.pack.requests.since_full_min = 30 * 1440
        self.scan(10, 1000)
        self.assertEqual(int(self.ask(request("92", "02"))[-7:-5], 16), 0xC8)

    def test_63_with_readings_too_old_allows_nothing(self):     # req: COM-05 MEA-05
        self.scan(40, 1000)
        self.assertEqual(self.ask("~200246630000FDA9\r")[-7:-5], "C0")
        self.assertEqual(self.ask("~200246630000FDA9\r", 301)[-15:-5], "0000000000")
        self.assertEqual(self.ask("~200246610000FDAB\r", 301)[7:9], "91")

    def test_96(self):                                          # req: COM-01
        self.assertEqual(self.ask("~20024696E00202FD2A\r"), frame("20024600400C020103010307"))

    def test_90(self):                                          # req: COM-01
        self.assertEqual(self.ask(request("90")), frame("20024600E00201"))
        self.add_module()
        self.assertEqual(self.ask(request("90")), frame("20024600E00202"))

    def test_a_slave_speaks_for_no_system(self):                # req: COM-01
        self.pack.dip = 2
        for cid2 in ("60", "61", "62", "63", "64"):
            self.assertEqual(self.rtn(request(cid2, adr="03")), "90")


class TestPace(TestCase):
    def setUp(self):
        super().setUp()
        self.pack.dip = 1

    def test_42(self):                                          # req: COM-01
        # as the reference, but for the board's environment sensor (25.0 degC) and no cycles yet
        body = ("25014600F07A0001100CE40CE50CE60CE70CE80CE90CEA0CEB0CEC0CED0CEE0CEF0CF00CF10CF2"
                "0CF3060B9A0B9F0BA40BA90BD6" "0BA4" "FBE6CEB81F40032710" "0000" "2710")
        self.assertEqual(self.ask("~25014642E00201FD30\r"), frame(body))
        self.assertEqual(self.ask(request("42", "00", "01", "25")),
                         frame(body.replace("F07A0001", "F07A0000")))
        answer = self.ask("~25014642E002FFFD05\r")
        self.assertEqual(answer, frame(body))
        self.add_module()
        self.assertEqual(self.ask("~25014642E002FFFD05\r")[9:17], "10F00002")
        self.assertEqual(self.ask(request("42", "02", "01", "25"))[13:17], "0002")
        self.assertEqual(self.rtn(request("42", "03", "01", "25")), "06")

    def test_44(self):                                          # req: COM-01
        self.assertEqual(
            self.ask("~25014644E00201FD2E\r"),
            "~25014600004C000110000000000000000000000000000000000600000000000000000000000E"
            "000000000000EF3A\r")

    def test_44_bits(self):                                     # req: COM-01
        self.system.update(self.now)
        info = self.protocol._info
        seen = self.system.own
        put = self.protocol.pace._put_status
        for alarm, protection, at, value in (
                (0, 1 << 0, 3, 0x01), (0, 1 << 1, 3, 0x02), (0, 1 << 2, 3, 0x04),
                (0, 1 << 3, 3, 0x08), (0, 1 << 4, 3, 0x10), (0, 1 << 5, 3, 0x20),
                (0, 1 << 6, 3, 0x20), (0, 1 << 7, 3, 0x40), (0, 1 << 9, 4, 0x01),
                (0, 1 << 11, 4, 0x02), (0, 1 << 8, 4, 0x04), (0, 1 << 10, 4, 0x08),
                (0, 1 << 16, 4, 0x10), (0, 1 << 13, 4, 0x20), (0, 1 << 12, 4, 0x40),
                (0, 1 << 23, 7, 0x03), (0, 1 << 22, 7, 0x04), (0, 1 << 21, 7, 0x10),
                (0, 1 << 20, 7, 0x20), (1 << 0, 0, 10, 0x01), (1 << 1, 0, 10, 0x02),
                (1 << 2, 0, 10, 0x04), (1 << 3, 0, 10, 0x08), (1 << 4, 0, 10, 0x10),
                (1 << 5, 0, 10, 0x20), (1 << 9, 0, 11, 0x01), (1 << 11, 0, 11, 0x02),
                (1 << 8, 0, 11, 0x04), (1 << 10, 0, 11, 0x08), (1 << 13, 0, 11, 0x10),
                (1 << 12, 0, 11, 0x20), (1 << 16, 0, 11, 0x40), (1 << 14, 0, 11, 0x80)):
            seen.alarms = alarm
            seen.protections = protection
            self.assertEqual(put(0, seen), 36)
            status = list(info[24:36])
            self.assertEqual(status[at], value, repr((alarm, protection)))
            status[5] = 0
            for k in (3, 4, 7, 10, 11):
                if k != at:
                    self.assertEqual(status[k], 0, repr((alarm, protection, k)))
        seen.alarms = seen.protections = 0
        seen.balance_mask = 0x8001
        seen.is_full = True
        put(0, seen)
        self.assertEqual((info[32], info[33], info[28]), (0x01, 0x80, 0x80))

    def test_instruction_state(self):                           # req: COM-01
        for current_ma, state in ((-10_500, 0x0E), (10_500, 0x26), (0, 0x06)):
            put16(self.regs, 0x3A, current_ma // 10)
            self.scan(2)
            self.assertEqual(self.ask("~25014644E00201FD2E\r")[13 + 62:13 + 64],
                             "%02X" % state)

    def test_identity_and_capacities(self):                     # req: COM-01
        self.assertEqual(self.ask("~250146C10000FD9A\r"), frame(
            "250146006028" + "".join("%02X" % ord(c) for c in "AM5000-1.3.7        ")))
        self.assertEqual(self.ask("~250146C20000FD99\r"), frame(
            "25014600B050" + 2 * "".join("%02X" % ord(c) for c in SERIAL + "    ")))
        self.assertEqual(self.ask("~250146A60000FD97\r"), "~25014600400C1F4027102710FB28\r")

    def test_90(self):                                          # req: COM-01
        self.add_module()
        self.assertEqual(self.ask("~250146900000FDA5\r"), "~25014600E00202FD35\r")
        self.pack.dip = 2
        self.assertEqual(self.ask("~250246900000FDA4\r"), "~25024600E00201FD35\r")

    def test_history_is_empty(self):                            # req: COM-01
        self.assertEqual(self.ask(request("A1", "0000", "01", "25")), frame("250146000000"))

    def test_only_the_dip_address_is_answered(self):            # req: COM-01 DIP-01
        for dip in (0, 1, 2, 15):
            self.pack.dip = dip
            for adr in (0, 1, 2, 3, 15, 255):
                answer = self.ask(request("C1", "", "%02X" % adr, "25"))
                self.assertEqual(answer[:9], "~25%02X4600" % adr if adr == dip else "")

    def test_error_codes(self):                                 # req: COM-01 COM-06
        self.assertEqual(self.ask(request("FE", "", "01", "25")), "~250146040000FDAA\r")
        self.assertEqual(self.rtn("~25014642E00201FD31\r"), "02")
        self.assertEqual(self.rtn(frame("25014642F00201")), "03")
        self.assertEqual(self.rtn(request("42", "", "01", "25")), "05")
        self.assertEqual(self.rtn(request("D1", "01", "01", "25")), "05")
        self.assertEqual(self.rtn(request("9C", "01", "01", "25")), "09")

    def test_42_of_readings_too_old_is_refused(self):           # req: MEA-05
        self.assertEqual(self.ask("~25014642E00201FD30\r", 301), "~250146090000FDA5\r")
        self.assertEqual(self.ask("~25014642E002FFFD05\r", 301), "~250146090000FDA5\r")


class FakeClock:
    """A clock that stands."""

    seconds = 0
    broken = False

    def now_s(self, now_ms):
        return self.seconds

    def set(self, seconds, now_ms):
        if self.broken:
            raise OSError("silent")
        self.seconds = seconds
        return 0


# Captures of a PC program: read request, answer, write request; what the pack then holds
PACE_PARAMETERS = (
    ("~250046D10000FD9A", "~25004600F010010E100E740D340AFA35", "~250046D0F010010E100E740D340AFA21",
     {"cell_ov_alarm_mv": 3600, "cell_ov_trip_mv": 3700, "cell_ov_release_mv": 3380,
      "cell_ov_delay_ms": 1000}),
    ("~250046D50000FD96", "~25004600F01001E100E740D2F00AFA24", "",
     {"pack_ov_alarm_mv": 57_600, "pack_ov_trip_mv": 59_200, "pack_ov_release_mv": 54_000,
      "pack_ov_delay_ms": 1000}),
    ("~250046D50000FD96", "", "~250046D4F01001E10AE740D2F00AF9FB",
     {"pack_ov_alarm_mv": 57_610, "pack_ov_trip_mv": 59_200, "pack_ov_release_mv": 54_000,
      "pack_ov_delay_ms": 1000}),
    ("~250046D30000FD98", "~25004600F010010AF009C40B540AFA24", "~250046D2F010010AF009C40B540AFA0E",
     {"cell_uv_alarm_mv": 2800, "cell_uv_trip_mv": 2500, "cell_uv_release_mv": 2900,
      "cell_uv_delay_ms": 1000}),
    ("~250046D70000FD94", "~25004600F01001AF009C40B5400AFA24", "~250046D6F01001AF009C40B5400AFA0A",
     {"pack_uv_alarm_mv": 44_800, "pack_uv_trip_mv": 40_000, "pack_uv_release_mv": 46_400,
      "pack_uv_delay_ms": 1000}),
    ("~250046D90000FD92", "~25004600400C010068006E0AFB1D", "~250046D8400C010068006E0AFB01",
     {"chg_oc_alarm_ma": 104_000, "chg_oc_trip_ma": 110_000, "chg_oc_delay_ms": 1000}),
    ("~250046DB0000FD89", "~25004600400C01FF97FF920AFAD3", "~250046DA400C010069006E0AFAF7",
     {"dsg_oc1_alarm_ma": 105_000, "dsg_oc1_trip_ma": 110_000, "dsg_oc1_delay_ms": 1000}),
    ("~250046E30000FD97", "~25004600400C009604009604FB32", "~250046E2A006009604FC4E",
     {"dsg_oc2_trip_ma": 150_000, "dsg_oc2_delay_ms": 100}),
    ("~250046B60000FD97", "~2500460080080D48001EFBE9", "~250046B580080D48001EFBD2",
     {"bal_start_mv": 3400, "bal_diff_mv": 30}),
    ("~250046A00000FD9E", "~2500460080080C1C0005FBF3", "~250046A880080C1C0005FBDA",
     {"sleep_cell_mv": 3100, "sleep_cell_s": 300}),
    ("~250046AF0000FD88", "~25004600600ADAC007D005FB60", "~250046AE600ADAC007D005FB3A",
     {"full_cell_mv": 3500, "tail_ma": 2000, "low_soc_cpct": 500}),
    ("~250046DD0000FD87", "~25004600501A010CA80CD00C9E0CDA0D020CD0F7BE",
     "~250046DC501A010CA80CD00C9E0CDA0D020CD0F797",
     {"chg_ot_alarm_dc": 510, "chg_ot_trip_dc": 550, "chg_ot_release_dc": 500,
      "dsg_ot_alarm_dc": 560, "dsg_ot_trip_dc": 600, "dsg_ot_release_dc": 550}),
    ("~250046DF0000FD85", "~25004600501A010AC80AAA0AC80A1409E20A14F7E0",
     "~250046DE501A010AC80AAA0AC80A1409E20A14F7B7",
     {"chg_ut_alarm_dc": 30, "chg_ut_trip_dc": 0, "chg_ut_release_dc": 30,
      "dsg_ut_alarm_dc": -150, "dsg_ut_trip_dc": -200, "dsg_ut_release_dc": -150}),
    ("~250046E10000FD99", "~25004600200E010E2E0EF60DFCFA5D", "~250046E0200E010E2E0EF60DFCFA48",
     {"mos_ot_alarm_dc": 900, "mos_ot_trip_dc": 1100, "mos_ot_release_dc": 850}),
    ("~250046E70000FD93", "~25004600501A0109E209B009E20D340D660D34F806",
     "~250046E6501A0109E209B009E20D340D660D34F7EB",
     {"env_ut_alarm_dc": -200, "env_ut_trip_dc": -250, "env_ut_release_dc": -200,
      "env_ot_alarm_dc": 650, "env_ot_trip_dc": 700, "env_ot_release_dc": 650}),
    ("~250046ED0000FD86", "~25004600C0040064FCCE", "~250046EEC0040064FCA4",
     {"limiter_on_ma": 100_000}),
)


class TestRights(TestCase):
    def unlock(self):
        self.pack.rights.unlock()

    def test_pace_parameters(self):                             # req: COM-01 COM-07 PAR-01
        self.pack.params.set("bal_hold_mv", 3300)
        for read, answer, write, values in PACE_PARAMETERS:
            before = {name: self.pack.params[name] for name in values}
            if write:
                self.assertEqual(self.ask(write + "\r"), "~250046090000FDA6\r")
                for name in values:                             # locked: nothing has changed
                    self.assertEqual(self.pack.params[name], before[name])
                self.unlock()
                self.assertEqual(self.ask(write + "\r"), "~250046000000FDAF\r", write)
                self.pack.rights.unlock(0)
            else:
                self.pack.params.set_all(values)
            for name in values:
                self.assertEqual(self.pack.params[name], values[name], name)
            if answer:
                self.assertEqual(self.ask(read + "\r"), answer + "\r")
            self.pack.params.restore()
            self.pack.params.set("bal_hold_mv", 3300)

    def test_a_set_that_contradicts_itself_is_refused(self):    # req: PAR-03
        self.unlock()
        self.assertEqual(self.ask(request("D0", "010E740E100D340A", "00", "25")),
                         "~250046090000FDA6\r")
        self.assertEqual(self.pack.params["cell_ov_alarm_mv"], 3500)
        self.assertEqual(self.rtn(request("D0", "01FFFFFFFFFFFFFF", "00", "25")), "09")
        self.assertEqual(self.rtn(request("D0", "010E100E740D34", "00", "25")), "05")

    def test_short_circuit_delay_is_fixed(self):                # req: PRO-08 COM-07
        self.unlock()
        self.assertEqual(self.ask("~250046E50000FD95\r"), frame("25004600E00208"))
        self.assertEqual(self.rtn("~250046E4E0020CFD0C\r"), "09")

    def test_a_write_is_an_event(self):                         # req: PRO-25
        self.unlock()
        before = self.pack.events.newest
        self.assertEqual(self.rtn(request("EE", "0063", "00", "25")), "00")
        events = self.pack.events
        self.assertEqual((events.newest - before, events.get(events.newest, 2),
                          events.get(events.newest, 5), events.get(events.newest, 6)),
                         (1, ev.PARAMETER, 99_000, 100_000))

    def test_fets(self):                                        # req: COM-07 PWR-01
        off, on = "~2500469AE00201FD1D\r", "~2500469AE00200FD1E\r"
        self.assertEqual(self.ask(off), frame("25004609E0020E"))        # locked
        self.assertEqual(self.pack.allowed(), BOTH)
        self.unlock()
        self.assertEqual(self.ask(off), frame("25004600E0020C"))
        self.assertEqual(self.pack.allowed(), DISCHARGE)
        self.scan()
        self.assertEqual((self.pack.ccl_ma, self.pack.fets.actual), (0, DISCHARGE))
        # the second one is refused while the first is off
        self.assertEqual(self.ask("~2500469BE00201FD1C\r")[7:9], "09")
        self.assertEqual(self.pack.allowed(), DISCHARGE)
        self.assertEqual(self.ask(on)[7:9], "00")
        self.assertEqual(self.pack.allowed(), BOTH)
        self.assertEqual(self.ask("~2500469BE00201FD1C\r")[7:9], "00")
        self.assertEqual(self.pack.allowed(), CHARGE)
        self.assertEqual(self.rtn(request("9A", "02", "00", "25")), "06")

    def test_a_hold_never_closes_what_a_protection_holds_open(self):   # req: PRO-20
        put16(self.regs, 0x3A, 0)
        set_cells(self.regs, 3620)
        self.scan(40)
        self.unlock()
        self.ask("~2500469AE00201FD1D\r")
        self.ask("~2500469AE00200FD1E\r")
        self.assertEqual(self.pack.allowed(), DISCHARGE)

    def test_limiter_switch(self):                              # req: COM-07 LIM-03
        self.assertEqual(self.ask("~25004699E0020BFD14\r"), frame("25004609C0040B00"))
        self.unlock()
        self.assertEqual(self.ask("~25004699E0020BFD14\r"), frame("25004600C0040B10"))
        self.assertEqual(self.pack.params["limiter_enable"], 0)
        self.assertEqual(self.ask("~25004699E0020AFD15\r"), frame("25004600C0040A00"))
        self.assertEqual(self.pack.params["limiter_enable"], 1)
        self.assertEqual(self.rtn("~25004699E00206FD20\r"), "09")       # no such switch here

    def test_buzzer_switch(self):                               # req: COM-07 BUZ-01
        self.unlock()
        self.assertEqual(self.ask("~25004699E0020DFD12\r"), "~25004600C0040D01FCC3\r")
        self.assertEqual(self.pack.params["buzzer_enable"], 1)
        self.assertEqual(self.ask("~25004699E0020CFD13\r"), "~25004600C0040C00FCC5\r")
        self.assertEqual(self.pack.params["buzzer_enable"], 0)

    def test_clock(self):                                       # req: COM-07 REC-01
        read, write = "~250046B10000FD9C\r", "~250046B2400C1808140E0F25FAFC\r"
        self.assertEqual(self.rtn(read), "09")                  # none is fitted
        self.system.clock = clock = FakeClock()
        self.assertEqual(self.rtn(read), "09")                  # nobody has set it
        self.assertEqual(self.rtn(write), "09")
        self.unlock()
        self.assertEqual(self.ask(write), "~250046000000FDAF\r")
        self.assertEqual(civil.text_of(clock.seconds), "2024-08-20T14:15:37Z")
        self.assertEqual(self.pack.events.get(self.pack.events.newest, 2), ev.CLOCK)
        clock.seconds = civil.parse("2024-08-21T05:29:31")
        self.assertEqual(self.ask(read), "~25004600400C180815051D1FFB10\r")
        for wrong in ("180D140E0F25", "1802200E0F25", "1808141A0F25", "180814003C25",
                      "18081400003C", "0A0814000000"):
            self.assertEqual(self.rtn(request("B2", wrong, "00", "25")), "06", wrong)
        clock.broken = True
        self.assertEqual(self.rtn(write), "09")

    def test_protocols(self):                                   # req: COM-01 COM-02 COM-07
        p = self.pack.params
        self.assertEqual(self.ask("~250046EB0000FD88\r"), frame("25004600A006" "010100"))
        self.assertEqual(self.rtn(request("EC", "080001", "00", "25")), "09")
        self.unlock()
        for sent, can, rs485, read in (("080101", 8, 1, "080101"), ("030101", 3, 1, "030101"),
                                       ("FFFF01", 3, 0, "030100"), ("01FF00", 0, 0, "010100")):
            self.assertEqual(self.rtn(request("EC", sent, "00", "25")), "00", sent)
            self.assertEqual((p["can_variant"], p["pcs_protocol"]), (can, rs485), sent)
            p.set("pcs_protocol", 0)            # else nothing of PACE is answered
            self.assertEqual(self.ask(request("EB", "", "00", "25"))[13:-5], read[:5] + "0")
        for wrong in ("171400", "7F0101", "011901"):
            self.assertEqual(self.rtn(request("EC", wrong, "00", "25")), "09", wrong)
        self.assertEqual(p["can_variant"], 0)
        self.assertEqual(self.rtn(request("EC", "FF0001", "00", "25")), "00")
        self.assertEqual(p["pcs_protocol"], 3)

    def test_shutdown_commands(self):                           # req: COM-07
        for text in ("~2500469CE00201FD1B\r", request("95", "02"), request("64")):
            self.assertEqual(self.rtn(text), "09")
            self.assertEqual(self.pack.allowed(), BOTH)
            self.unlock()
            self.assertEqual(self.rtn(text), "00")
            self.assertEqual((self.pack.allowed(), self.pack.power.goes()), (0, True))
            self.scan()
            self.assertEqual(self.pack.power.mode, pw.LEAVING)
            self.pack.power.__init__(self.pack.params)
            self.pack.rights.unlock(0)
            self.pack.hold(0, self.now)
        self.unlock()
        self.add_module()
        self.assertEqual(self.rtn(request("95", "03")), "91")
        self.assertEqual(self.rtn(request("95", "05")), "90")
        self.assertEqual(self.rtn(request("95")), "05")
        self.assertEqual(self.pack.allowed(), BOTH)

    def test_94_only_tightens_and_runs_out(self):               # req: COM-07 COM-05
        self.scan(60, 1000)
        info = "02" "D6D8" "B798" "00C8" "FF38"         # 55.0 V, 47.0 V, 20 A, -20 A
        self.assertEqual(self.rtn(request("94", info)), "09")
        self.unlock()
        self.assertEqual(self.ask(request("94", info)), frame("200246000000"))
        self.assertEqual(self.ask(request("92", "02"))[15:-7], "D6D8" "B798" "00C8" "FF38")
        for _ in range(9):
            self.pack.asked.step()
        self.assertEqual(self.pack.ccl_ma, 20_000)
        self.pack.asked.step()
        self.assertEqual(self.ask(request("92", "02"))[15:-7], "D930" "B3B0" "03E8" "FC18")
        self.ask(request("94", "02" "FFFF" "0000" "7FFF" "8000"))       # all looser
        self.assertEqual(self.ask(request("92", "02"))[15:-7], "D930" "B3B0" "03E8" "FC18")
        for wrong in ("02" "B798" "D6D8" "00C8" "FF38", "02" "D6D8" "B798" "FF38" "00C8"):
            self.assertEqual(self.rtn(request("94", wrong)), "06")
        self.assertEqual(self.rtn(request("94", "03" + info[2:])), "90")
        self.assertEqual(self.rtn(request("94", "02")), "05")

    def test_91_sets_the_baud_rate_for_the_next_start(self):    # req: COM-01 COM-07
        self.assertEqual(self.rtn(request("91", "08")), "09")
        self.assertEqual(self.pack.params["pcs_baud"], 9600)
        self.unlock()
        for index, baud in ((1, 1200), (3, 4800), (4, 9600), (8, 115200)):
            self.assertEqual(self.rtn(request("91", "%02X" % index)), "00")
            self.assertEqual(self.pack.params["pcs_baud"], baud)
        for wrong in ("00", "09", "FF"):
            self.assertEqual(self.rtn(request("91", wrong)), "06")

    def test_the_right_runs_out_and_that_is_an_event(self):     # req: COM-07
        self.unlock()
        for _ in range(599):
            self.pack.rights.step(self.now)
        self.assertTrue(self.pack.rights.may_write)
        self.pack.rights.step(self.now)
        self.assertFalse(self.pack.rights.may_write)
        self.assertEqual(self.pack.events.get(self.pack.events.newest, 2), ev.PORTS_LOCKED)
        self.assertRaises(ValueError, self.pack.rights.unlock, 1441)
        self.assertRaises(ValueError, self.pack.rights.unlock, -1)


class TestWhatIsSpoken(TestCase):
    def test_chosen_by_parameter(self):                         # req: COM-01
        asked = (request("4F"), request("C1", "", "00", "25"))
        for protocol, answered in ((0, (1, 1)), (1, (1, 0)), (2, (0, 1)), (3, (0, 0)),
                                   (4, (0, 0))):
            self.pack.params.set("pcs_protocol", protocol)
            for i in range(2):
                self.assertEqual(bool(self.ask(asked[i])), bool(answered[i]),
                                 repr((protocol, i)))

    def test_one_line_may_carry_both(self):                     # req: COM-01
        for _ in range(3):
            self.assertEqual(self.ask(request("4F"))[:3], "~20")
            self.assertEqual(self.ask(request("C1", "", "00", "25"))[:3], "~25")

    def test_an_answer_is_no_request_not_even_our_own(self):    # req: COM-06
        for text in (request("4F"), request("FE"), request("42", "09"), "~2002464F0000FD99\r",
                     request("64"), request("92", "FF"), request("42", "02", "03")):
            answer = self.ask(text)
            self.assertEqual(self.ask(answer), "", text)
        self.now += 400
        self.pack.measurements.seq = 0
        answer = self.ask(request("42", "02"))
        self.assertEqual((answer[7:9], self.ask(answer)), ("91", ""))
        self.assertEqual(self.rtn(request("90")), "00")

    def test_every_good_request_is_a_word_of_the_inverter(self):    # req: COM-08
        for text, heard in ((request("4F"), True), (request("4F", adr="05"), False),
                            ("~2002464F0000FD99\r", False), (request("FE"), True), ("x", False)):
            self.pack.inverter.silent_s = 50
            self.ask(text)
            self.pack.inverter.step(self.now, True)
            self.assertEqual(self.pack.inverter.silent_s, 0 if heard else 51, text)


class TestModbus(TestCase):
    def setUp(self):
        super().setUp()
        self.pack.params.set("pcs_protocol", 3)

    def exchange(self, data, later_ms=0):
        return bytes(feed(self.protocol, data, (self.now + later_ms) % WRAP))

    def test_pace_values(self):                                 # req: COM-01
        self.assertEqual(modbus("01030000000D"), bytes.fromhex("01030000000D840F"))
        answer = bytes.fromhex("01031AFBE614AC005000641F40271027100000000000000000" "0E000000")
        self.assertEqual(self.exchange(bytes.fromhex("01030000000D840F")), modbus(answer.hex()))

    def test_pace_cells_and_temperatures(self):                 # req: COM-01
        answer = self.exchange(bytes.fromhex("0103000F0016F407"))
        words = [answer[3 + 2 * i] << 8 | answer[4 + 2 * i] for i in range(22)]
        self.assertEqual(words, list(range(3300, 3316)) + [240, 245, 250, 255, 300, 250])
        self.assertEqual((answer[2], answer), (44, modbus(answer[:-2].hex())))

    def test_pace_settings_read_and_written(self):              # req: COM-01 COM-07
        answer = self.exchange(modbus("0103003C0008"))
        words = [answer[3 + 2 * i] << 8 | answer[4 + 2 * i] for i in range(8)]
        self.assertEqual(words, [56_800, 57_600, 54_000, 30, 3500, 3600, 3300, 30])
        write = modbus("01100040000408" "0DDE" "0E42" "0D16" "0014")    # 3550 3650 3350 2 s
        self.assertEqual(self.exchange(write), modbus("019001"))
        self.pack.rights.unlock()
        self.assertEqual(self.exchange(write), modbus("011000400004"))
        p = self.pack.params
        self.assertEqual((p["cell_ov_alarm_mv"], p["cell_ov_trip_mv"], p["cell_ov_release_mv"],
                          p["cell_ov_delay_ms"]), (3550, 3650, 3350, 2000))
        cold = modbus("0110005A000306" "001E" "0000" "001E")            # 3.0 0.0 3.0 degC
        self.assertEqual(self.exchange(cold), modbus("0110005A0003"))
        self.assertEqual((p["chg_ut_alarm_dc"], p["chg_ut_trip_dc"]), (30, 0))
        self.assertEqual(self.exchange(modbus("0103005B0001")), modbus("0103020000"))
        # contradiction; a register that is fixed; one that is no setting
        self.assertEqual(self.exchange(modbus("01100041000102" "0001")), modbus("019003"))
        self.assertEqual(self.exchange(modbus("0110006F000102" "0001")), modbus("019002"))
        self.assertEqual(self.exchange(modbus("01100000000102" "0001")), modbus("019002"))
        self.assertEqual(self.exchange(modbus("01100041000202" "0001")), modbus("019003"))

    def test_every_setting_is_where_the_document_has_it(self):  # req: COM-01
        registers = PaceRegisters(self.system, self.pack, None)
        out = bytearray(2)
        for register, value in (
                (60, 56_800), (63, 30), (64, 3500), (68, 45_600), (72, 2800), (75, 30),
                (76, 105), (77, 110), (78, 30), (79, 105), (81, 30), (82, 150), (83, 4),
                (84, 520), (85, 580), (86, 530), (87, 520), (90, 80), (92, 80), (93, 65386),
                (96, 900), (98, 850), (99, 650), (100, 750), (102, 65386), (105, 3500),
                (106, 30), (107, 55_280), (108, 5000), (109, 3000), (110, 60), (111, 8), (112, 3)):
            self.assertTrue(registers.put(out, 0, register))
            self.assertEqual(out[0] << 8 | out[1], value, register)
        self.assertFalse(registers.put(out, 0, 115))
        self.assertFalse(registers.put(out, 0, 180))

    def test_names(self):                                       # req: COM-01
        answer = self.exchange(modbus("010300A0000A"))
        self.assertEqual(answer[3:-2], (SERIAL + "    ").encode())

    def test_exceptions(self):                                  # req: COM-06
        self.assertEqual(self.exchange(modbus("0103012C0001")), bytes.fromhex("018302C0F1"))
        self.assertEqual(self.exchange(modbus("010300000000")), modbus("018303"))
        self.assertEqual(self.exchange(modbus("01030000007E")), modbus("018303"))
        self.assertEqual(self.exchange(modbus("010400000001")), modbus("018401"))
        self.assertEqual(self.exchange(modbus("010300000001"), 301), modbus("018304"))

    def test_slave_is_the_dip_address(self):                    # req: COM-01 DIP-01
        for dip, slaves in ((0, (0, 1)), (1, (1,)), (2, (2,)), (15, (15,))):
            self.pack.dip = dip
            for slave in (0, 1, 2, 15, 126):
                answer = self.exchange(modbus("%02X0300020001" % slave))
                self.assertEqual(bool(answer), slave in slaves, repr((dip, slave)))

    def test_noise_before_a_request_does_no_harm(self):         # req: COM-06
        good = modbus("010300020001")
        for noise in (b"\x01", b"\x01\x03", b"\x01\x10\x00\x00\x00\x01\xff", b"\x01\x01\x01\x01",
                      b"\x00\xff\x01\x03\x00\x00\x00\x0d\x84", b"~20024642E00202FD33\r"):
            answer = self.exchange(noise + good)
            later = self.exchange(good, 200)
            self.assertEqual(later, modbus("0103020050"), repr(noise))
            self.assertTrue(answer in (b"", later), repr(noise))

    def test_a_wrong_crc_is_silence(self):                      # req: COM-06
        good = modbus("010300020001")
        for i in range(len(good)):
            wrong = bytearray(good)
            wrong[i] ^= 1 << (i & 7)
            self.assertEqual(self.exchange(wrong, 200 * i), b"", i)
            self.scan()

    def test_voltronic(self):                                   # req: COM-01
        self.pack.params.set("pcs_protocol", 4)
        self.assertEqual(self.exchange(bytes.fromhex("0103003000044406")),
                         bytes.fromhex("01030800000069021100509" "85F"))
        self.sum_up().cvl_mv = 57_600
        self.system.whole.ccl_ma = 60_000
        self.system.whole.dcl_ma = 100_000
        self.assertEqual(self.exchange(bytes.fromhex("0103007000058412")),
                         bytes.fromhex("01030A024001CC025803E800C0D970"))
        self.assertEqual(self.exchange(modbus("010300100003")), modbus("010306" "0010" "00000000"))
        self.assertEqual(self.exchange(modbus("0103000F0001")), modbus("018302"))
        self.assertEqual(self.exchange(modbus("011000700001020001")), modbus("019001"))
        self.pack.dip = 2
        self.assertEqual(self.exchange(modbus("010300300001")), b"")


class FakeLink:
    """The host tool's protocol: notes what it is given; an open frame is of 3 bytes."""

    def __init__(self):
        self.out = bytearray(b"L")
        self.heard = []
        self.woken = 0
        self.used = 0

    def hear(self):
        self.woken += 1

    def expire(self, now_ms):
        pass

    def drop(self):
        self.used = 0

    def take(self, byte, now_ms):
        self.heard.append(byte)
        self.used = (self.used + 1) % 3
        return 0 if self.used else 1


class FakeConsole:
    """A person's end: notes what is typed."""

    def __init__(self):
        self.out = bytearray(b"C")
        self.typed = b""

    def take(self, byte):
        self.typed += bytes((byte,))

    def more(self):
        return 0


class TestDebugPort(TestCase):
    def setUp(self):
        super().setUp()
        self.link = FakeLink()
        identity = Identity("AM5000", (1, 3, 7), SERIAL)
        self.console = FakeConsole()
        self.protocol = DebugPort(self.link, AsciiPort(self.system, self.pack, identity,
                                                       Trusted()), self.console)

    def test_pace_at_whatever_address(self):                    # req: COM-01 COM-04
        for dip, adr, reply in ((0, "00", "00"), (0, "01", "01"), (0, "FF", "00"),
                                (3, "01", "01"), (3, "FF", "03"), (3, "03", "03")):
            self.pack.dip = dip
            self.assertEqual(self.ask(request("C1", "", adr, "25"))[:9], "~25%s4600" % reply)
        self.assertEqual(self.ask(request("90", "", "FF", "25")), frame("25034600E00201"))
        self.assertTrue(self.link.woken >= 7)            # it wakes the pack (PWR-11)

    def test_pylontech_at_whatever_address(self):               # req: COM-01 COM-04
        for dip, adr, reply in ((0, "02", "02"), (0, "01", "02"), (0, "FF", "02"),
                                (3, "01", "04")):
            self.pack.dip = dip
            self.assertEqual(self.ask(request("93", "", adr))[:17],
                             "~20%s4600C022%s41" % (reply, reply))

    def test_writes_need_no_unlocking(self):                    # req: COM-07
        self.assertEqual(self.rtn("~2500469AE00201FD1D\r"), "00")
        self.assertEqual(self.pack.allowed(), DISCHARGE)
        self.assertEqual(self.rtn(request("95", "02")), "00")
        self.assertEqual(self.pack.allowed(), 0)

    def test_its_requests_are_not_the_inverters(self):          # req: COM-08
        self.ask(request("4F"))
        self.pack.inverter.step(self.now, True)
        self.assertEqual(self.pack.inverter.silent_s, 1)

    def test_the_host_tools_frames_go_to_the_link(self):        # req: COM-04
        self.assertEqual(feed(self.protocol, b"\xb5\x01~", self.now), b"L")    # "~" in its frame
        self.assertEqual(self.ask(request("4F"))[:3], "~20")
        self.assertEqual(self.link.heard, [0xB5, 0x01, 0x7E])

    def test_all_else_is_for_the_console(self):                 # req: COM-10
        self.assertEqual(feed(self.protocol, b"why\r\xb5\x01xpwr\xb5\x01x\n", self.now), b"LL")
        self.assertEqual(self.console.typed, b"why\rpwr\n")
        self.assertTrue(self.link.woken >= 8)                   # it wakes the pack (PWR-11)

    def test_a_stray_first_byte_of_a_frame_costs_the_console_nothing(self):     # req: COM-06
        feed(self.protocol, b"\xb5status\r", self.now)
        self.assertEqual(self.console.typed, b"status\r")

    def test_a_frame_that_breaks_off_is_left_for_the_host_tools(self):  # req: COM-04 COM-06
        answer = bytes(feed(self.protocol, b"~2002\xb5\x01\x02", self.now))
        self.assertEqual((answer, self.link.heard), (b"L", [0xB5, 1, 2]))


class TestAnything(TestCase):
    def test_any_bytes_and_then_a_good_request_in_each_protocol(self):  # req: COM-06
        rng = Lcg(19)
        good = ((0, b"~2002464F0000FD98\r", b"~200246000000FDB2\r"),
                (2, request("90", "", "00", "25").encode(), b"~25004600E00201FD37\r"),
                (3, modbus("010300020001"), modbus("0103020050")),
                (4, modbus("010300330001"), modbus("0103020050")))
        pieces = [text for _, text, _ in good] + [b"~", b"\r", b"\x01\x03", b"\x01\x10", b"46"]
        for _ in range(60):
            protocol, text, answer = rng.pick(good)
            self.pack.params.set("pcs_protocol", protocol)
            noise = b""
            for _ in range(rng.below(8)):
                piece = bytearray(rng.pick(pieces))
                if rng.below(2):
                    piece[rng.below(len(piece))] = rng.below(256)
                noise += bytes(piece)
            feed(self.protocol, noise, self.now)
            self.scan(1, 150)
            self.assertEqual(feed(self.protocol, text, self.now), answer, repr(noise))


if __name__ == "__main__":
    unittest.main()
