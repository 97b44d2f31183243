"""Driver of the AFE against a chip that answers as its data sheet says, and against bad lines."""

import unittest

from bq76952 import BQ76952, AfeError
from fakes import FakeChip, FakePin, crc8, no_wait, put16, reason

PATTERNS = (b"\xff\xff\x00", b"\xff\xff\xaa", b"\xff\xff\xff", b"\x00\x00\x00")
SCANNED = (tuple(range(0x14, 0x3C)) + tuple(range(0x68, 0x6A)) + tuple(range(0x6E, 0x76))
           + tuple(range(0x78, 0x7C)) + (0x03, 0x05, 0x07, 0x12, 0x13, 0x7F))
NOT_SCANNED = (0x38, 0x39)


def put(answer, data):
    for i in range(3):
        answer[i] = data[i]


def stuck(pattern):
    """Every answer from now on is *pattern*."""
    def spoil(frame, answer):
        put(answer, pattern)
    return spoil


def once(at, pattern):
    """The answer of frame *at* is *pattern*."""
    def spoil(frame, answer):
        if frame == at:
            put(answer, pattern)
    return spoil


class TestCase(unittest.TestCase):
    def setUp(self):
        self.waited_us = []
        self.chip = FakeChip()
        self.cs = FakePin()
        self.afe = BQ76952(self.chip, self.cs, self.waited_us.append)

    def cell(self, i):
        return self.afe.regs[0x14 + 2 * i] | self.afe.regs[0x15 + 2 * i] << 8


class TestScan(TestCase):
    def test_chip_is_deselected_from_the_start(self):
        self.assertEqual(self.cs.level, 1)

    def test_the_first_scan_of_a_healthy_chip_succeeds(self):   # req: MEA-01
        self.assertTrue(self.afe.scan())
        self.assertEqual(self.afe.failures, 0)
        self.assertEqual((self.cell(0), self.cell(15)), (3300, 3300))

    def test_every_value_comes_with_right_answers(self):        # req: MEA-01
        for reg in range(0x14, 0x80):
            self.chip.regs[reg] = reg ^ 0x55
        self.afe.scan()
        self.assertTrue(self.afe.scan())
        for reg in SCANNED:
            if reg not in NOT_SCANNED:
                self.assertEqual(self.afe.regs[reg], self.chip.regs[reg], reg)
        self.assertEqual(self.cs.level, 1)

    def test_frames_are_three_bytes_with_crc_and_at_least_50_us_apart(self):    # req: MEA-01
        self.afe.scan()                     # the first sees every high byte for the first time
        self.chip.log = []
        self.waited_us.clear()
        rises = self.cs.rises
        self.assertTrue(self.afe.scan())
        self.assertEqual(self.cs.rises - rises, len(self.chip.log))
        for frame in self.chip.log:
            self.assertEqual(frame, bytes((frame[0], 0xFF, crc8(frame[0], 0xFF))))
        self.assertEqual(self.chip.log[0], b"\x14\xff\xf0")
        self.assertEqual(len(self.waited_us), len(self.chip.log))
        self.assertTrue(min(self.waited_us) >= 50)

    def test_a_scan_fits_its_period(self):                      # req: MEA-01
        self.afe.scan()
        self.waited_us.clear()
        self.chip.frames = 0
        self.afe.scan()
        self.assertTrue(self.chip.frames * 24 + sum(self.waited_us) < 10_000)    # 1 MHz

    def test_one_bad_answer_is_asked_again(self):               # req: MEA-02
        self.afe.scan()
        failures = self.afe.failures
        for pattern in PATTERNS + (b"\x14\x0c\x00",):
            for at in (1, 2, 33, 34, 58):
                put16(self.chip.regs, 0x14, 3312)
                self.chip.frames = 0
                self.chip.spoil = once(at, pattern)
                self.assertTrue(self.afe.scan(), repr((pattern, at)))
                self.assertEqual(self.cell(0), 3312)
        self.assertEqual(self.afe.failures, failures)
        self.assertTrue(self.afe.rereads >= 25)

    def test_a_stuck_line_fails_and_keeps_the_old_values(self):     # req: MEA-02
        self.afe.scan()
        before = bytes(self.afe.regs)
        failures = self.afe.failures
        put16(self.chip.regs, 0x14, 2000)
        for pattern in PATTERNS:
            self.chip.spoil = stuck(pattern)
            self.assertFalse(self.afe.scan(), repr(pattern))
            self.assertEqual(bytes(self.afe.regs), before)
        self.assertEqual(self.afe.failures, failures + 4)
        self.chip.spoil = None
        self.assertTrue(self.afe.scan())
        self.assertEqual(self.cell(0), 2000)

    def test_a_failing_scan_ends_in_bounded_time(self):         # req: MEA-02
        for pattern in PATTERNS:
            self.chip.spoil = stuck(pattern)
            self.chip.frames = 0
            self.waited_us.clear()
            self.afe.scan()
            self.assertTrue(self.chip.frames * 24 + sum(self.waited_us) < 50_000)

    def test_a_register_that_never_answers_fails_the_scan(self):    # req: MEA-02
        self.afe.scan()

        def spoil(frame, answer):
            if answer[0] == 0x3A:
                answer[2] ^= 1
        self.chip.spoil = spoil
        self.assertFalse(self.afe.scan())

    def test_all_bits_of_the_answer_matter(self):               # req: MEA-01
        self.afe.scan()
        for bit in range(24):
            def spoil(frame, answer, bit=bit):
                if frame == 1:
                    answer[bit // 8] ^= 1 << (bit & 7)
            self.chip.frames = 0
            self.chip.spoil = spoil
            rereads = self.afe.rereads
            self.assertTrue(self.afe.scan())
            self.assertEqual(self.cell(0), 3300)
            self.assertTrue(self.afe.rereads > rereads, bit)

    def test_a_busy_chip_is_waited_for(self):                   # req: MEA-02
        self.afe.scan()
        self.chip.busy = 3
        self.assertTrue(self.afe.scan())
        self.assertEqual(self.cell(0), 3300)


class TestFewerCells(TestCase):
    """The lowest inputs and the top one are used; the last cell is shown behind the others."""

    def test_the_top_input_is_the_last_cell(self):              # req: PRF-03
        for cells in (15, 8, 3):
            chip = FakeChip()
            afe = BQ76952(chip, self.cs, no_wait, cells)
            for k in range(16):
                put16(chip.regs, 0x14 + 2 * k, 3300 + k)
            for scan in (afe.scan, lambda afe=afe: self.in_parts(afe)):
                self.assertTrue(scan())
                found = [afe.regs[0x14 + 2 * k] | afe.regs[0x15 + 2 * k] << 8
                         for k in range(cells)]
                self.assertEqual(found, [3300 + k for k in range(cells - 1)] + [3315])
            chip.log = []
            afe.scan()
            asked = {frame[0] for frame in chip.log}
            self.assertEqual(asked & set(range(0x14 + 2 * (cells - 1), 0x32)), set())
            self.assertTrue({0x32, 0x33, 0x34, 0x7F} <= asked)
            self.assertEqual(afe.rereads, 0)

    def in_parts(self, afe):
        for part in range(4):
            afe.scan_part(part)
        return afe.end_scan()

    def test_the_last_cell_is_bled_by_the_top_input(self):      # req: BAL-02 PRF-03
        chip = FakeChip()
        afe = BQ76952(chip, self.cs, no_wait, 8)
        for mask, data in ((0x0080, b"\x00\x80"), (0x0081, b"\x01\x80"), (0x0040, b"\x40\x00")):
            afe.set_balance(mask)
            self.assertEqual(chip.payloads[-1], (0x0083, data))
        self.assertRaises(ValueError, afe.set_balance, 0x00C0)  # neighbours on the stack


class TestTornValues(TestCase):
    """The chip may take a new sample between the two bytes of a value."""

    def scan_with_step(self, before_mv, now_mv, at_read):
        """Cell 1 changes from *before_mv* to *now_mv* just before its read number *at_read*."""
        put16(self.chip.regs, 0x14, before_mv)
        self.afe.scan()
        reads = [0]

        def on_read(reg):
            if reg in (0x14, 0x15):
                reads[0] += 1
                if reads[0] == at_read:
                    put16(self.chip.regs, 0x14, now_mv)
        self.chip.on_read = on_read
        good = self.afe.scan()
        self.chip.on_read = None
        self.assertTrue(good)
        return self.cell(0)

    def test_a_step_between_the_bytes_gives_one_sample_or_the_other(self):      # req: MEA-02
        for before_mv, now_mv in ((0x0CFF, 0x0D00), (0x0D00, 0x0CFF), (0x0D10, 0x0AF0),
                                  (0x0CF0, 0x0CF1)):
            for at_read in range(1, 7):
                found = self.scan_with_step(before_mv, now_mv, at_read)
                self.assertIn(found, (before_mv, now_mv), repr((before_mv, now_mv, at_read)))

    def test_a_value_that_comes_back_over_the_edge_is_not_torn(self):       # req: MEA-02
        # Scan before: 0x0CFF. This scan: low byte of 0x0D01, then the high byte of 0x0CFF, which
        # is the high byte of the scan before. LFP rests at 3328 mV = 0x0D00, so this happens.
        self.afe.scan()
        for before_mv, first_mv, then_mv in ((0x0CFF, 0x0D01, 0x0CFF), (0x0D01, 0x0CFF, 0x0D01)):
            put16(self.chip.regs, 0x14, before_mv)
            self.assertTrue(self.afe.scan())
            put16(self.chip.regs, 0x14, first_mv)
            reads = [0]

            def on_read(reg, reads=reads, then_mv=then_mv):
                if reg == 0x15:
                    reads[0] += 1
                    if reads[0] == 1:
                        put16(self.chip.regs, 0x14, then_mv)
            self.chip.on_read = on_read
            self.assertTrue(self.afe.scan())
            self.chip.on_read = None
            self.assertIn(self.cell(0), (first_mv, then_mv), "0x%04x" % self.cell(0))

    def test_a_value_around_the_edge_of_a_byte_is_on_one_side_or_the_other(self):   # req: MEA-02
        for low_side, high_side in ((0xFFFF, 0x0000), (0xFFF0, 0x000F), (0x0CFE, 0x0D01)):
            put16(self.chip.regs, 0x14, low_side)
            self.afe.scan()
            sides = [0]

            def on_read(reg, sides=sides, both=(low_side, high_side)):
                if reg in (0x14, 0x15):
                    sides[0] += 1
                    put16(self.chip.regs, 0x14, both[sides[0] >> 1 & 1])
            for start in range(4):
                sides[0] = start
                self.chip.on_read = on_read
                self.assertTrue(self.afe.scan(), (low_side, start))
                self.assertIn(self.cell(0), (low_side, high_side))
                self.chip.on_read = None

    def test_a_value_that_never_stands_still_fails_the_scan(self):      # req: MEA-02
        self.afe.scan()

        def on_read(reg):
            if reg in (0x14, 0x15):
                self.chip.regs[0x15] = (self.chip.regs[0x15] + 1) & 0x0F
        self.chip.on_read = on_read
        self.assertFalse(self.afe.scan())

    def test_a_current_that_ripples_faster_than_it_is_read_is_told_roughly(self):  # req: MEA-06
        """An inverter's, twice the mains: a slow chip shows another sample in each frame."""
        self.afe.scan()
        samples = [-430, -1500, -4300, -7100, -8230, -7100, -4300, -1600]      # 10 mA
        reads = [0]

        def on_read(reg):
            if reg in (0x3A, 0x3B):
                reads[0] += 1
                put16(self.chip.regs, 0x3A, samples[reads[0] % 8] & 0xFFFF)
        self.chip.on_read = on_read
        for start in range(8):
            reads[0] = start
            self.assertTrue(self.afe.scan())
            found = self.afe.regs[0x3A] | self.afe.regs[0x3B] << 8
            found -= 0x10000 if found >= 0x8000 else 0
            self.assertTrue(min(abs(found - each) for each in samples) <= 256, found)

    def test_cells_that_jump_to_one_level_are_not_read_again(self):     # req: MEA-06 MEA-02
        for cell in range(16):
            put16(self.chip.regs, 0x14 + 2 * cell, 3300 + cell)
        self.afe.scan()
        for cell in range(16):
            put16(self.chip.regs, 0x14 + 2 * cell, 3150 + cell)
        put16(self.chip.regs, 0x14 + 10, 3150 - 256)        # as if it were torn
        before = self.afe.rereads
        self.assertTrue(self.afe.scan())
        self.assertEqual(self.afe.rereads - before, 1)
        self.assertEqual([self.cell(k) for k in (0, 15)], [3150, 3165])


class TestRegisters(TestCase):
    def test_read_sends_the_worked_frame(self):                 # req: MEA-01
        self.chip.log = []
        self.chip.regs[0x14] = 0xF0
        self.assertEqual(self.afe.read_register(0x14), 0xF0)
        self.assertEqual(self.chip.log, [b"\x14\xff\xf0"] * 2)

    def test_read_of_a_dead_line_names_the_register(self):      # req: MEA-02
        for pattern in PATTERNS:
            self.chip.spoil = stuck(pattern)
            self.assertIn("0x14", reason(AfeError, self.afe.read_register, 0x14))
            self.assertEqual(self.cs.level, 1)

    def test_register_0_is_not_believed_from_a_line_stuck_low(self):    # req: MEA-02
        self.chip.spoil = stuck(b"\x00\x00\x00")
        self.assertRaises(AfeError, self.afe.read_register, 0x12)

    def test_chip_select_rises_when_the_bus_raises(self):
        def broken(tx, rx):
            raise OSError("bus")
        afe = BQ76952(self, self.cs, no_wait)
        self.assertRaises(OSError, afe.read_register, 0x14)
        self.assertEqual(self.cs.level, 1)

    def write_readinto(self, tx, rx):
        raise OSError("bus")


class TestCommands(TestCase):
    def sent(self, function, *args):
        """Frames that wrote something, of function(*args)."""
        self.chip.log = []
        result = function(*args)
        frames = []
        for frame in self.chip.log:
            # the same frame again asks for its echo; what starts something is sent once
            if frame[0] & 0x80 and (frames[-1:] != [frame] or frame[0] == 0xBF):
                frames.append(frame)
        self.chip.log = None
        return result, frames

    def test_a_reset_waits_for_no_answer(self):                 # req: PRO-23
        self.afe.reset()
        self.assertEqual(self.chip.commands, [0x0012])
        self.chip.spoil = stuck(b"\xff\xff\x00")
        self.afe.reset()

    def test_worked_frames_of_commands(self):                   # req: PWR-01
        for number, first in ((0x0090, b"\xbe\x90\x60"), (0x0092, b"\xbe\x92\x6e"),
                              (0x0095, b"\xbe\x95\x7b"), (0x0096, b"\xbe\x96\x72"),
                              (0x0022, b"\xbe\x22\x77"), (0x009A, b"\xbe\x9a\x56"),
                              (0x0012, b"\xbe\x12\xe7")):
            _, frames = self.sent(self.afe.command, number)
            self.assertEqual(frames, [first, b"\xbf\x00\x8c"], "0x%04x" % number)

    def test_worked_frames_of_blocks(self):                     # req: PRO-23
        for number, data, frames in (
                (0x9261, b"\xfc", (b"\xbe\x61\xb9", b"\xbf\x92\x7b", b"\xc0\xfc\x17",
                                   b"\xe0\x10\x33", b"\xe1\x05\x4d")),
                (0x9286, b"\x04\x0e", (b"\xbe\x86\x02", b"\xbf\x92\x7b", b"\xc0\x04\xf1",
                                       b"\xc1\x0e\xd2", b"\xe0\xd5\x66", b"\xe1\x06\x44")),
                (0x9278, b"\x47\x8b\x03", (b"\xbe\x78\xf6", b"\xbf\x92\x7b", b"\xc0\x47\x3f",
                                           b"\xc1\x8b\x40", b"\xc2\x03\xce", b"\xe0\x20\xa3",
                                           b"\xe1\x07\x43")),
                (0x0083, b"\x01\x00", (b"\xbe\x83\x19", b"\xbf\x00\x8c", b"\xc0\x01\xea",
                                       b"\xc1\x00\xf8", b"\xe0\x7b\x25", b"\xe1\x06\x44")),
                (0x0097, b"\x05", (b"\xbe\x97\x75", b"\xbf\x00\x8c", b"\xc0\x05\xf6",
                                   b"\xe0\x63\x6d", b"\xe1\x05\x4d"))):
            _, sent = self.sent(self.afe.write_block, number, data)
            self.assertEqual(tuple(sent), frames, "0x%04x" % number)
            self.assertEqual(self.chip.payloads[-1], (number, data))

    def test_device_number_is_read_and_checked(self):           # req: SAF-02
        self.afe.identify()
        for number in (0x7694, 0x0000, 0xFFFF, 0x9576):
            self.chip.number = number
            self.assertIn("%04x" % number, reason(AfeError, self.afe.identify))

    def test_a_sub_command_that_is_not_finished_is_polled(self):
        self.chip.poll_busy = 20
        self.assertEqual(self.afe.read_word(0x0005), 0x1234)
        self.chip.poll_busy = 100_000
        self.assertIn("not finished", reason(AfeError, self.afe.read_word, 0x0005))

    def test_a_wrong_checksum_of_a_block_is_found(self):        # req: PRO-23
        def spoil(frame, answer):
            if answer[0] == 0x41:               # a byte that is wrong with a right CRC
                answer[1] ^= 0x01
                answer[2] = crc8(answer[0], answer[1])
        self.chip.spoil = spoil
        self.assertIn("checksum", reason(AfeError, self.afe.read_word, 0x0005))

    def test_a_block_that_is_too_short_is_refused(self):
        self.assertIn("wanted", reason(AfeError, self.afe.read_block, 0x0005, 4))

    def test_a_dropped_write_is_sent_again(self):               # req: MEA-02
        self.chip.log = []
        first = []

        def flip(tx, rx):
            """The first frame reaches the chip with a wrong CRC."""
            if not first:
                first.append(1)
                bad = bytes((tx[0], tx[1], tx[2] ^ 0x10))
                self.chip.write_readinto(bad, rx)
            else:
                self.chip.write_readinto(tx, rx)
        self.afe._transfer = flip
        self.afe.command(0x0095)
        self.assertEqual(self.chip.commands, [0x0095])

    def test_a_write_to_a_dead_line_ends(self):                 # req: MEA-02
        for pattern in PATTERNS:
            self.chip.spoil = stuck(pattern)
            self.assertRaises(AfeError, self.afe.command, 0x0095)

    def test_raw_counts_of_thermistors(self):                   # req: MEA-07
        for i in range(32):
            self.chip._buffer[0x40 + i] = i + 1
        self.afe.read_raw_counts(0)
        self.assertEqual(self.chip.commands.pop(), 0x0076)
        self.assertEqual(bytes(self.afe.raw_counts), bytes((21, 25, 29, 0, 0, 0, 0)))
        self.afe.read_raw_counts(1)
        self.assertEqual(self.chip.commands.pop(), 0x0077)
        self.assertEqual(bytes(self.afe.raw_counts), bytes((21, 25, 29, 1, 9, 13, 0)))
        self.afe.read_raw_counts(2)
        self.assertEqual(self.chip.commands.pop(), 0x0075)
        self.assertEqual(self.afe.raw_counts[6], 25)
        self.chip.spoil = stuck(b"\x00\x00\x00")
        self.assertRaises(AfeError, self.afe.read_raw_counts, 0)

    def test_set_fets(self):                                    # req: PWR-01 PRO-20
        self.afe.set_fets(1, 2)
        self.assertEqual(self.chip.commands.pop(), 0x0096)
        self.afe.set_fets(0, 0)
        self.assertEqual(self.chip.commands.pop(), 0x0095)
        self.afe.set_fets(0, 2)                 # charge and pre-charge off
        self.assertEqual(self.chip.payloads.pop(), (0x0097, b"\x0c"))
        self.afe.set_fets(1, 0)                 # discharge and pre-discharge off
        self.assertEqual(self.chip.payloads.pop(), (0x0097, b"\x03"))

    def test_neighbours_are_not_bled_together(self):            # req: BAL-02
        for mask in (0x0003, 0xC000, 0x0180, 0xFFFF):
            self.assertRaises(ValueError, self.afe.set_balance, mask)
        self.assertEqual(self.chip.payloads, [])
        for mask, data in ((0x0001, b"\x01\x00"), (0x8000, b"\x00\x80"), (0x5555, b"\x55\x55"),
                           (0, b"\x00\x00")):
            self.afe.set_balance(mask)
            self.assertEqual(self.chip.payloads[-1], (0x0083, data))


class TestConfigure(TestCase):
    IMAGE = ((0x9278, b"\x48\x8b\x03"), (0x9286, b"\x04\x0e"))

    def run_all(self, image=IMAGE):
        steps = 0
        for _ in self.afe.configure(image):
            steps += 1
        return steps

    def test_writes_verifies_and_leaves_both_fets_off(self):    # req: PRO-23 SAF-02
        self.chip.regs[0x12] |= 0x08                            # POR
        self.assertTrue(self.run_all() >= len(self.IMAGE))
        self.assertEqual([self.chip.memory[a] for a in (0x9278, 0x9279, 0x927A, 0x9286, 0x9287)],
                         [0x48, 0x8B, 0x03, 0x04, 0x0E])
        self.assertEqual(self.chip.regs[0x12] & 0x09, 0)        # no CFGUPDATE, no POR
        self.assertNotEqual(self.chip.mfg_status & 0x10, 0)     # FET_EN
        commands = self.chip.commands
        self.assertFalse(0x0096 in commands)                    # never permitted
        self.assertTrue(commands.index(0x0095) < commands.index(0x0090))    # off before
        outputs = [c for c in commands if c in (0x0093, 0x0094, 0x0095, 0x0096, 0x0097)]
        self.assertEqual(outputs[-1], 0x0095)

    def test_fet_enable_is_toggled_only_if_it_is_off(self):     # req: PWR-01
        for status, toggles in ((0x0050, 0), (0x0040, 1)):
            self.chip.mfg_status = status
            self.chip.commands.clear()
            self.run_all()
            self.assertEqual(self.chip.commands.count(0x0022), toggles)
            self.assertNotEqual(self.chip.mfg_status & 0x10, 0)

    def test_fet_enable_is_never_silently_left_off(self):       # req: PWR-01
        # The echo of the toggle is lost, so it may be sent twice: on and off again.
        for lost in (1, 2, 3):
            self.setUp()
            self.chip.mfg_status = 0x0040
            left = [lost]

            def spoil(frame, answer, left=left):
                if 0x0022 in self.chip.commands and left[0]:
                    left[0] -= 1
                    put(answer, b"\xff\xff\x00")
            self.chip.spoil = spoil
            try:
                self.run_all()
            except AfeError:
                continue
            self.assertNotEqual(self.chip.mfg_status & 0x10, 0, lost)

    def test_each_step_is_short(self):                          # req: PRO-21
        last = 0
        longest = 0
        for _ in self.afe.configure(self.IMAGE):
            longest = max(longest, self.chip.frames - last)
            last = self.chip.frames
        self.assertTrue(longest < 120, longest)                 # at 75 us: 9 ms

    def test_another_chip_is_refused(self):                     # req: SAF-02
        self.chip.number = 0x7694
        self.assertRaises(AfeError, self.run_all)
        self.assertEqual(self.chip.memory, {})

    def test_a_row_that_does_not_read_back_is_an_error(self):   # req: PRO-23
        generator = self.afe.configure(self.IMAGE)
        error = None
        try:
            for _ in generator:
                if 0x9286 in self.chip.memory:
                    self.chip.memory[0x9286] = 5
        except AfeError as caught:
            error = str(caught)
        self.assertIn("0x9286", error)

    def test_verify_finds_a_changed_byte(self):                 # req: PRO-23
        self.run_all()
        for _ in self.afe.verify(self.IMAGE):
            pass
        self.chip.memory[0x927A] = 4
        self.assertRaises(AfeError, lambda: [0 for _ in self.afe.verify(self.IMAGE)])

    def test_what_is_held_is_compared(self):                    # req: PRO-23
        for i in range(8):
            self.chip.memory[0x91A8 + i] = 10 + i
        data = bytes(range(10, 18))
        self.assertTrue(self.afe.holds(0x91A8, data) and self.afe.holds(0x91A8, data[:1]))
        for i in (0, 7):
            self.chip.memory[0x91A8 + i] ^= 0x80
            self.assertFalse(self.afe.holds(0x91A8, data))
            self.chip.memory[0x91A8 + i] ^= 0x80
        self.assertFalse(self.afe.holds(0x0005, b"\x34\x12\x00"))     # it gives two bytes

    def test_signature(self):                                   # req: PRO-23
        self.chip.signature = 0x4321
        self.assertEqual(self.afe.signature(), 0x4321)


if __name__ == "__main__":
    unittest.main()
