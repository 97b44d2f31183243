"""CAN frames: the bytes of the documents and captures, quirks of inverters, what is not known."""

import unittest

from bms.words.readings import NO_READING
from protocols.can import layout
from protocols import conditions
from protocols.can.frames import CanFrames, pairs_of
from protocols.snapshot import Identity, Snapshot

NUMBER = {row[layout.NAME]: i for i, row in enumerate(layout.VARIANTS)}


def hexed(text):
    return bytes(int(pair, 16) for pair in text.split())


def snapshot(**fields):
    """A healthy system with nothing flowing; *fields* replace what is given."""
    seen = Snapshot(16)
    for cell in range(16):
        seen.cells_mv[cell] = 3310
    base = {"valid": True, "voltage_mv": 53_000, "current_ma": 0, "soc_cpct": 5000,
            "full_mah": 100_000, "remaining_mah": 50_000, "design_mah": 100_000,
            "cvl_mv": 56_000, "dvl_mv": 46_000, "ccl_ma": 50_000, "dcl_ma": 50_000,
            "may_charge": True, "may_discharge": True, "max_cell_mv": 3320, "min_cell_mv": 3310,
            "mean_temp_dc": 250, "max_temp_dc": 260, "min_temp_dc": 240}
    for name, value in list(base.items()) + list(fields.items()):
        if not hasattr(seen, name):
            raise AttributeError(name)
        setattr(seen, name, value)
    return seen


class TestCase(unittest.TestCase):
    def setUp(self):
        self.frames = CanFrames(Identity("AM5000", (0, 1, 0), "PC0123456789ABCD"))

    def data(self, variant, ident, seen):
        """Data of frame *ident* for *variant*, or None if it is not sent now."""
        frames = self.frames
        frames.choose(NUMBER[variant])
        frames.take(seen)
        for i in range(len(frames)):
            if frames.ident(i) == ident:
                length = frames.encode(i)
                return None if length < 0 else bytes(frames.buf[:length])
        raise KeyError(ident)

    def expect(self, variant, vectors, **fields):
        seen = snapshot(**fields)
        for ident, text in vectors:
            self.assertEqual(self.data(variant, ident, seen), hexed(text), hex(ident))


class TestVectors(TestCase):
    def test_a_pylontech_1_2_pack(self):                        # req: COM-02
        self.expect("pylontech", (
            (0x351, "14 02 C0 12 C0 12 C2 01"), (0x355, "58 00 5E 00"),
            (0x356, "7A 13 F2 FE 6B 01"), (0x359, "00 00 00 00 06 50 4E"), (0x35C, "C0 00"),
            (0x35E, "50 59 4C 4F 4E 20 20 20")),
            cvl_mv=53_200, ccl_ma=480_000, dcl_ma=480_000, dvl_mv=45_000, soc_cpct=8800,
            soh_pct=94, voltage_mv=49_860, current_ma=-27_000, mean_temp_dc=363, modules=6)

    def test_a_pylontech_1_3_pack(self):                        # req: COM-02
        self.frames.values.version_major, self.frames.values.version_minor = 1, 3
        self.expect("pylontech-1.3", (
            (0x351, "10 02 C0 12 C0 12 C2 01"), (0x355, "54 00 60 00 00 00"),
            (0x356, "7B 13 E9 FE 6B 01"), (0x35A, "00 00 00 00 00 00 00 00"),
            (0x35E, "50 59 4C 4F 4E 20 20 20")),
            cvl_mv=52_800, ccl_ma=480_000, dcl_ma=480_000, dvl_mv=45_000, soc_cpct=8400,
            soh_pct=96, voltage_mv=49_870, current_ma=-27_900, mean_temp_dc=363,
            full_mah=572_000)
        # byte 6 on is the maker's own number: ours is 0, not Pylontech's 170
        self.assertEqual(self.data("pylontech-1.3", 0x35F, snapshot(full_mah=572_000)),
                         hexed("4C 49 01 03 3C 02 00 00"))

    def test_a_sample_of_several_projects(self):                # req: COM-02
        self.expect("pylontech", (
            (0x351, "14 02 74 0E 74 0E CC 01"), (0x355, "1A 00 64 00"),
            (0x356, "4E 13 02 03 04 05"), (0x359, "00 00 00 00 0A 50 4E")),
            cvl_mv=53_200, ccl_ma=370_000, dcl_ma=370_000, dvl_mv=46_000, soc_cpct=2600,
            soh_pct=100, voltage_mv=49_420, current_ma=77_000, mean_temp_dc=1284, modules=10)

    def test_a_battery_on_a_deye(self):                         # req: COM-02
        self.expect("deye", (
            (0x351, "48 02 00 00 B0 04 E0 01"), (0x355, "63 00 64 00 00 00 00 00"),
            (0x356, "C8 14 00 00 18 01 00 00"), (0x371, "00 00 B0 04 00 00 00 00"),
            (0x370, "09 01 F0 00 FD 0C E4 0C"), (0x35C, "40 00 00 00 00 00 00 00")),
            cvl_mv=58_400, ccl_ma=0, dcl_ma=120_000, dvl_mv=48_000, soc_cpct=9900, soh_pct=100,
            voltage_mv=53_200, current_ma=0, mean_temp_dc=280, may_charge=False,
            max_temp_dc=265, min_temp_dc=240, max_cell_mv=3325, min_cell_mv=3300)

    def test_two_modules_with_every_extension(self):            # req: COM-02
        fields = {"cvl_mv": 57_600, "ccl_ma": 120_000, "dcl_ma": 200_000, "dvl_mv": 46_000,
                  "soc_cpct": 8100, "soh_pct": 98, "voltage_mv": 53_000, "current_ma": -20_500,
                  "mean_temp_dc": 252, "modules": 2, "full_mah": 200_000,
                  "design_mah": 200_000, "min_cell_mv": 3300, "max_cell_mv": 3325,
                  "min_temp_dc": 240, "max_temp_dc": 270, "charged_wh": 123_400,
                  "discharged_wh": 110_000}
        self.expect("pylontech", (
            (0x351, "40 02 B0 04 D0 07 CC 01"), (0x355, "51 00 62 00"),
            (0x356, "B4 14 33 FF FC 00"), (0x359, "00 00 00 00 02 50 4E"), (0x35C, "C0 00")),
            **fields)
        self.expect("victron", (
            (0x35A, "A8 AA A2 02 A8 AA A2 0A"), (0x372, "02 00 00 00 00 00 00 00"),
            (0x373, "E4 0C FD 0C 29 01 2C 01"), (0x374, "4D 30 31 43 30 31 20 20"),
            (0x378, "D2 04 00 00 4C 04 00 00"), (0x379, "C8 00"),
            (0x355, "51 00 62 00 A4 1F"), (0x360, "00")), **fields)


    def test_the_own_set_of_pytes(self):                        # req: COM-02
        fields = {"cvl_mv": 56_800, "ccl_ma": 50_000, "dcl_ma": 100_000, "dvl_mv": 46_000,
                  "soc_cpct": 8150, "soh_pct": 98, "cycles": 321, "voltage_mv": 53_000,
                  "current_ma": -20_500, "mean_temp_dc": 252, "modules": 2, "offline": 1,
                  "full_mah": 200_000, "remaining_mah": 163_000, "max_cell_mv": 3325,
                  "max_cell": 4, "max_cell_module": 2, "min_cell_mv": 3300, "min_cell": 15,
                  "max_temp_dc": 270, "max_temp": 1, "max_temp_module": 2, "min_temp_dc": -15,
                  "discharging": True, "may_charge": False, "charged_wh": 123_400,
                  "discharged_wh": 110_000,
                  # a cell high, a cell's over-voltage, discharge over-current; a sensor broken
                  "alarms": 1 << 0 | 1 << 9, "protections": 1 << 0 | 1 << 5 | 1 << 22}
        self.expect("pytes", (
            (0x400, "38 02 F4 01 E8 03 CC 01"), (0x401, "FD 0C E4 0C 05 02 10 01"),
            (0x402, "0E 01 F1 FF 02 02 01 01"), (0x403, "03 02 02 08 00 00 00 00"),
            (0x404, "51 00 62 00 00 00 41 01"), (0x405, "B4 14 33 FF FC 00"),
            (0x406, "00 80 00 00 00 00 00 00"), (0x408, "00 01 00 00 00 00 00 00"),
            (0x409, "40 0D 03 00 B8 7C 02 00"), (0x40A, "41 4D 35 30 30 30 20 20"),
            (0x40B, "00 00 00 00 00 00 02 01"), (0x41E, "D2 04 00 00 4C 04 00 00")), **fields)

    def test_a_master_without_readings_of_its_own_tells_no_cells(self):     # req: MEA-05
        seen = snapshot()                       # of others it has: the sum is valid
        for cell in range(16):
            seen.cells_mv[cell] = 0
        self.assertIs(self.data("growatt-lv", 0x315, seen), None)
        self.assertIsNot(self.data("growatt-lv", 0x313, seen), None)


class TestFlags(TestCase):
    def test_bit_pairs(self):                                   # req: COM-02
        self.assertEqual(pairs_of(0, 0), 0)
        self.assertEqual(pairs_of(0x1002, 0x1002), 1 << 24 | 1 << 2)
        self.assertEqual(pairs_of(0x0002, 0x0006), 1 << 2 | 2 << 4)

    def test_every_condition_reaches_the_wire(self):            # req: COM-02
        for i in range(conditions.COUNT):
            row = conditions.TABLE[i]
            one = 1 << i
            alarm, trip = row[conditions.CAN_359]
            data = self.data("pylontech", 0x359, snapshot(alarms=one))
            self.assertEqual(data[:4], bytes((0, 0, alarm & 0xFF, alarm >> 8)), row[0])
            data = self.data("pylontech", 0x359, snapshot(protections=one))
            self.assertEqual(data[:4], bytes((trip & 0xFF, trip >> 8, 0, 0)), row[0])
            warning, alarm = row[conditions.CAN_35A]
            for side, word, fields in ((4, warning, {"alarms": one}),
                                       (0, alarm, {"protections": one})):
                data = self.data("victron", 0x35A, snapshot(**fields))
                plain = self.data("pylontech-1.3", 0x35A, snapshot(**fields))
                for n in range(13):
                    pair = data[side + n // 4] >> 2 * (n % 4) & 3
                    self.assertEqual(pair == 1, bool(word >> n & 1), row[0])
                    self.assertEqual(plain[side + n // 4] >> 2 * (n % 4) & 3, word >> n & 1)

    def test_the_bits_of_the_documents(self):                   # req: COM-02
        for bit, protections, alarms in (
                (0, (0x02, 0), (0x02, 0)), (1, (0x04, 0), (0x04, 0)), (4, (0, 1), (0, 1)),
                (5, (0x80, 0), (0x80, 0)), (8, (0x10, 0), (0x10, 0)), (9, (8, 0), (8, 0))):
            data = self.data("pylontech", 0x359, snapshot(alarms=1 << bit, protections=1 << bit))
            self.assertEqual(data[:4], bytes(protections + alarms))
        data = self.data("pylontech", 0x359, snapshot(protections=conditions.SYSTEM_FAULT))
        self.assertEqual(data[1], 0x08)

    def test_readings_that_fail_are_an_alarm_and_a_start_is_none(self):    # req: COM-05
        for starting, alarm in ((False, 0x08), (True, 0)):
            data = self.data("pylontech", 0x359, snapshot(valid=False, starting=starting))
            self.assertEqual(data[1], alarm)

    def test_enables_and_requests(self):                        # req: COM-05
        for field, bit in (("may_charge", 0x80), ("may_discharge", 0x40), ("force_1", 0x20),
                           ("force_2", 0x10), ("full_request", 0x08)):
            for state in (False, True):
                data = self.data("pylontech", 0x35C, snapshot(**{field: state}))
                self.assertEqual(bool(data[0] & bit), state, field)
        self.assertEqual(self.data("victron", 0x360, snapshot(force_1=True)), b"\xff")
        self.assertEqual(self.data("growatt-lv", 0x319, snapshot(force_1=True))[0], 0xE0)


class TestValues(TestCase):
    def test_a_limit_is_never_told_above_itself(self):          # req: COM-05
        for ma in (0, 1, 99, 100, 149, 150, 12_399, 49_999, 50_000):
            data = self.data("pylontech", 0x351, snapshot(ccl_ma=ma, dcl_ma=ma))
            told = data[2] | data[3] << 8
            self.assertEqual((told, data[4] | data[5] << 8), (ma // 100, ma // 100))
        data = self.data("pylontech", 0x351, snapshot(cvl_mv=56_099, dvl_mv=46_001))
        self.assertEqual((data[0] | data[1] << 8, data[6] | data[7] << 8), (560, 461))

    def test_only_what_is_full_is_100_percent(self):            # req: SOC-01
        for cpct, told in ((9999, 99), (10_000, 100), (99, 0), (100, 1)):
            self.assertEqual(self.data("sma", 0x355, snapshot(soc_cpct=cpct)),
                             bytes((told, 0, 100, 0, cpct & 0xFF, cpct >> 8)))

    def test_values_are_held_within_their_fields(self):         # req: COM-06
        data = self.data("pylontech", 0x356, snapshot(voltage_mv=400_000, current_ma=-4_000_000,
                                                      mean_temp_dc=-400))
        self.assertEqual(data, hexed("FF 7F 00 80 70 FE"))
        data = self.data("pylontech", 0x351, snapshot(ccl_ma=9_000_000, dcl_ma=-5))
        self.assertEqual(data[2:6], hexed("FF 7F 00 00"))

    def test_nothing_stale_is_told_as_live(self):               # req: MEA-05
        for variant in NUMBER:
            seen = snapshot()
            self.frames.choose(NUMBER[variant])
            self.frames.take(seen)
            for i in range(len(self.frames)):
                self.assertTrue(self.frames.encode(i) > 0)
            seen = snapshot(valid=False, ccl_ma=0, dcl_ma=0, may_charge=False,
                            may_discharge=False, current_ma=NO_READING, voltage_mv=NO_READING,
                            max_cell_mv=NO_READING, min_cell_mv=NO_READING,
                            mean_temp_dc=NO_READING, max_temp_dc=NO_READING,
                            min_temp_dc=NO_READING)
            self.frames.take(seen)
            for i in range(len(self.frames)):
                ident = self.frames.ident(i)
                length = self.frames.encode(i)
                readings = ident in (0x355, 0x356, 0x373, 0x374, 0x375, 0x376, 0x377, 0x313,
                                     0x314, 0x315, 0x316, 0x317, 0x318, 0x319, 0x401,
                                     0x402, 0x404, 0x405, 0x409)
                if ident == 0x370 and variant == "deye":
                    readings = True
                self.assertEqual(length < 0, readings, (variant, hex(ident)))
        self.assertEqual(self.data("pylontech", 0x351, seen), hexed("30 02 00 00 00 00 CC 01"))
        self.assertEqual(self.data("pylontech", 0x359, seen), hexed("00 08 00 00 01 50 4E"))
        self.assertEqual(self.data("pylontech", 0x35C, seen), b"\0\0")

    def test_one_reading_that_is_missing_keeps_its_frame_back(self):    # req: MEA-05
        self.assertEqual(self.data("pylontech", 0x356, snapshot(mean_temp_dc=NO_READING)), None)
        self.assertEqual(self.data("victron", 0x373, snapshot(max_cell_mv=NO_READING)), None)
        self.assertEqual(self.data("luxpower", 0x356, snapshot(max_temp_dc=NO_READING)), None)
        self.assertEqual(self.data("growatt-lv", 0x314, snapshot(max_cell_mv=NO_READING)), None)

    def test_the_names_of_cells(self):                          # req: COM-02
        seen = snapshot(max_cell=15, max_cell_module=12, min_cell=0, max_temp=3,
                        max_temp_module=2)
        for ident, text in ((0x374, b"M01C01  "), (0x375, b"M12C16  "), (0x376, b"M01T01  "),
                            (0x377, b"M02T04  ")):
            self.assertEqual(self.data("victron", ident, seen), text)

    def test_names(self):                                       # req: COM-02
        seen = snapshot()
        for variant, name in (("pylontech", b"PYLON   "), ("goodwe", b"GOODWE  "),
                              ("victron", b"AM5000  "), ("sma", b"AM5000  ")):
            self.assertEqual(self.data(variant, 0x35E, seen), name)
        self.assertEqual(self.data("victron", 0x380, seen) + self.data("victron", 0x381, seen),
                         b"PC0123456789ABCD")
        self.assertEqual(self.data("victron", 0x370, seen) + self.data("victron", 0x371, seen),
                         b"AM5000          ")


class TestQuirks(TestCase):
    def test_a_victron_is_asked_for_the_present_voltage(self):  # req: COM-02
        stopped = {"ccl_ma": 0, "may_charge": False}
        for mv, told in ((53_270, 532), (57_000, 560), (44_000, 460)):
            data = self.data("victron", 0x351, snapshot(voltage_mv=mv, **stopped))
            self.assertEqual((data[0] | data[1] << 8, data[2] | data[3] << 8), (told, 0))
        data = self.data("victron", 0x351, snapshot(voltage_mv=53_270))
        self.assertEqual(data[0] | data[1] << 8, 560)

    def test_no_inverter_is_ever_told_zero_volts(self):         # req: COM-02
        for variant in NUMBER:
            if variant == "growatt-lv":
                continue
            limits = 0x400 if variant == "pytes" else 0x351
            for valid in (False, True):
                data = self.data(variant, limits, snapshot(valid=valid, ccl_ma=0, dcl_ma=0,
                                                          may_charge=False))
                self.assertTrue((data[0] | data[1] << 8) >= 460, variant)

    def test_a_sofar_is_told_a_tenth_of_an_ampere(self):        # req: COM-02
        seen = snapshot(ccl_ma=0, dcl_ma=0, may_charge=False, may_discharge=False,
                        remaining_mah=50_400, cycles=321)
        self.assertEqual(self.data("sofar", 0x351, seen)[2:6], bytes((1, 0, 1, 0)))
        self.assertEqual(self.data("sofar", 0x35C, seen), b"\0\0")
        self.assertEqual(self.data("sofar", 0x355, seen)[6:], bytes((50, 0)))
        self.assertEqual(self.data("sofar", 0x356, seen)[6:], bytes((321 & 0xFF, 1)))

    def test_a_luxpower_sees_a_temperature_spread(self):        # req: COM-02
        seen = snapshot(max_temp_dc=250, min_temp_dc=250, cycles=300, max_cell_mv=3325,
                        min_cell_mv=3300)
        self.assertEqual(self.data("luxpower", 0x356, seen)[4:], bytes((251, 0, 250, 0)))
        self.assertEqual(self.data("luxpower", 0x355, seen)[4:], hexed("FD 0C E4 0C"))
        self.assertEqual(self.data("luxpower", 0x359, seen)[5:], bytes((100, 0)))
        self.assertEqual(self.data("luxpower", 0x35C, seen), hexed("C0 00 2C 01"))

    def test_a_growatt_of_its_own_kind_is_big_endian(self):     # req: COM-02
        seen = snapshot(current_ma=-20_500, charging=False, discharging=True, modules=1)
        for i in range(16):
            seen.cells_mv[i] = 3300 + i
        self.assertEqual(self.data("growatt-lv", 0x311, seen), hexed("02 30 01 F4 01 F4 0C 03"))
        self.assertEqual(self.data("growatt-lv", 0x313, seen), hexed("14 B4 FF 33 01 04 32 64"))
        self.assertEqual(self.data("growatt-lv", 0x314, seen), hexed("13 88 27 10 00 0A 00 00"))
        self.assertEqual(self.data("growatt-lv", 0x318, seen), hexed("0C F0 0C F1 0C F2 0C F3"))

    def test_every_variant_is_whole(self):                      # req: COM-02
        for row in layout.VARIANTS:
            idents = [frame[0] for frame in row[layout.FRAMES]]
            self.assertEqual(len(idents), len(set(idents)))
            self.assertTrue(len(idents) <= 20, row[layout.NAME])
            if row[layout.NAME] == "pytes":
                self.assertEqual(idents[0], 0x400)
            elif row[layout.NAME] != "growatt-lv":
                self.assertEqual(idents[0], 0x351)
                for ident in (0x355, 0x356, 0x35E):
                    self.assertTrue(ident in idents)
                self.assertTrue(0x359 in idents or 0x35A in idents)
            maker = row[layout.MAKER]
            self.assertTrue(maker is None or len(maker) == 8)
            for frame in row[layout.FRAMES]:
                self.assertTrue(len(frame[1]) <= 8)


if __name__ == "__main__":
    unittest.main()
