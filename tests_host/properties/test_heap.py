"""SAF-04: what runs all the time allocates nothing. Proven by the interpreter itself, so these
tests skip where there is no heap to lock."""

import gc
import struct
import unittest

from bcd import to_bcd
from bms.words import readings as rd
from bms.records.counters import Counters
from bms.words.events import STATE
from bms.pack import Pack
from bms.words.parameters import Parameters
from bms.power.power import TRYING
from bms.records.records import Records
from bms.words.states import DISCHARGING, SLEEP
from bq76952 import BQ76952
from clock import Clock
from ds3231 import DS3231
from fakes import LATE, ON_MICROPYTHON, WRAP, FakeChip, FakePin, no_wait, put16, scan_regs
from flash_ring import PAYLOAD, FlashRing
from hc595 import ShiftRegisters
from mcp2515 import MCP2515
from profiles import am5000, b1_5_1_48
from protocols.ascii.frame import length_field
from protocols.can.frames import CanFrames
from protocols.pcs import Pcs
from protocols.snapshot import Identity, System
from scheduler import Scheduler, Task
from tasks.can_port import CanPort
from tasks.control import Control
from tasks.panel import Panel
from tasks.parallel_bus import ParallelBus
from tasks.serial_port import ConsolePort, SerialPort
from tca9534 import TCA9534

if ON_MICROPYTHON:
    import micropython
    if hasattr(micropython, "alloc_emergency_exception_buf"):
        micropython.alloc_emergency_exception_buf(1000)     # for a traceback under the lock

_LAST = WRAP - 1            # the largest small integer of the RP2040
BOTH = 3


class SmallUart:
    """A UART that allocates nothing itself: one request in a fixed buffer, answers counted."""

    def __init__(self, request):
        self.request = request
        self.at = len(request)
        self.sent = 0

    def any(self):
        return len(self.request) - self.at

    def readinto(self, buf, most=1000):
        count = 0
        while count < len(buf) and count < most and self.at < len(self.request):
            buf[count] = self.request[self.at]
            count += 1
            self.at += 1
        return count

    def write(self, buf, offset=0, length=-1):
        if length < 0:
            length = len(buf) - offset
        self.sent += length
        return length

    def txdone(self):
        return True


class SmallI2c:
    """DIP switches: all off."""

    def writeto(self, addr, buf):
        return 1

    def readfrom_into(self, addr, buf):
        buf[0] = 0xFF


class QuietChip(FakeChip):
    """Two answers that are always the same, and no notes of what was asked."""

    def _execute(self, number):
        buffer = self._buffer
        for i in range(0x40, 0x60):
            buffer[i] = 0
        total = (number & 0xFF) + (number >> 8)
        if number == 0x0005:
            buffer[0x40] = 0x34
            buffer[0x41] = 0x12
            total += 0x46
        buffer[0x60] = ~total & 0xFF
        buffer[0x61] = 6 if number == 0x0005 else 36


class SmallClockChip:
    """A clock chip on I2C that shows 2026-05-17 12:00:00, and the minutes it is told."""

    def __init__(self):
        self.minute = 0
        self._regs = bytearray((0, 0, 0x12, 1, 0x17, 5, 0x26, 0, 0, 0, 0, 0, 0, 0, 0, 0))

    def readfrom_mem_into(self, addr, reg, buf):
        self._regs[1] = to_bcd(self.minute)
        for i in range(len(buf)):
            buf[i] = self._regs[i]


class SmallFlash:
    """A region in RAM."""

    sector_bytes = 4096
    sectors = 2

    def __init__(self):
        self._bytes = bytearray(b"\xff" * 8192)

    def read(self, at, buf):
        for i in range(len(buf)):
            buf[i] = self._bytes[at + i]

    def program(self, at, data):
        for i in range(len(data)):
            self._bytes[at + i] &= data[i]

    def erase(self, sector):
        for i in range(4096 * sector, 4096 * sector + 4096):
            self._bytes[i] = 0xFF


class RunningChip(FakeChip):
    """Keeps no list of the sub-commands that a running pack sends: a list grows."""

    def _execute(self, number):
        if not 0x0075 <= number <= 0x0077:
            FakeChip._execute(self, number)


class QuickAfe(BQ76952):
    """The driver, but configured in one step: the scans are what counts here."""

    def configure(self, image):
        yield

    def signature(self):
        return 1


class TestCase(unittest.TestCase):
    def setUp(self):
        if not ON_MICROPYTHON:
            raise unittest.SkipTest("CPython has no heap to lock")
        self.now = LATE
        self.pack = Pack(am5000, Parameters(), 100)
        self.regs = scan_regs(current_ma=5000)
        self.chip = RunningChip(self.regs)
        self.turn = 0

    def moved(self):
        """Real scans always move a little."""
        self.turn = (self.turn + 1) & 3
        self.regs[0x14] = 0xE4 + self.turn      # 3300 mV and more
        self.regs[0x38] = self.turn

    def later(self, ms=100):
        """As the firmware's clock: no integer beyond 30 bits on the way."""
        left = _LAST - self.now
        self.now = self.now + ms if left >= ms else ms - left - 1

    def check(self, function, warm_up=5, times=5):
        """function() may allocate while it warms up, then nothing: neither kept nor dropped."""
        for _ in range(warm_up):
            function()
        for _ in range(times):                  # first, for the traceback names the line
            error = None
            micropython.heap_lock()
            try:
                function()
            except MemoryError as caught:
                error = caught
            finally:
                micropython.heap_unlock()
            if error is not None:
                raise error
        gc.collect()
        gc.disable()
        try:
            for _ in range(times):
                before = gc.mem_alloc()
                function()
                after = gc.mem_alloc()
                self.assertEqual(after - before, 0, "%d bytes allocated" % (after - before))
        finally:
            gc.enable()


class TestControlPath(TestCase):
    def test_scan(self):                                        # req: SAF-04
        afe = BQ76952(self.chip, FakePin(), no_wait)

        def scan():
            self.moved()
            afe.scan()
        self.check(scan)
        self.assertEqual((afe.failures, afe.rereads), (0, 0))

    def test_a_scan_in_parts(self):                             # req: SAF-04
        afe = BQ76952(self.chip, FakePin(), no_wait)

        def scan():
            self.moved()
            for part in range(4):
                afe.scan_part(part)
            if not afe.end_scan():
                raise ValueError
        self.check(scan)

    def test_the_configuration_compared_once_a_minute(self):    # req: SAF-04 PRO-23
        chip = QuietChip(self.regs)
        afe = BQ76952(chip, FakePin(), no_wait)
        gain = bytes(8)

        def compare():
            if afe.signature() != 0x1234 or not afe.holds(0x91A8, gain):
                raise ValueError
        self.check(compare)

    def test_scan_with_a_bad_answer(self):                      # req: SAF-04 MEA-02
        afe = BQ76952(self.chip, FakePin(), no_wait)

        def spoil(frame, answer):
            if frame == 8:
                answer[2] ^= 1
        self.chip.spoil = spoil

        def scan():
            self.chip.frames = 0
            afe.scan()
        self.check(scan)
        self.assertEqual((afe.failures, afe.rereads >= 15), (0, True))

    def test_take(self):                                        # req: SAF-04
        def take():
            self.later()
            self.moved()
            self.pack.measurements.take(self.regs, self.now)
        self.check(take)

    def test_protection_step(self):                             # req: SAF-04 PRO-26
        protection = self.pack.protection
        values = self.pack.measurements.values
        self.pack.measurements.take(self.regs, self.now)
        values[rd.SOC_CPCT] = 5000
        values[rd.REVERSED] = 0
        self.check(lambda: protection.step(values, 100, 0, 0))

    def test_protection_step_with_a_timer_running(self):        # req: SAF-04 PRO-26
        put16(self.regs, 0x16, 3590)
        protection = self.pack.protection
        values = self.pack.measurements.values
        self.pack.measurements.take(self.regs, self.now)
        values[rd.SOC_CPCT] = 5000
        values[rd.REVERSED] = 0
        self.check(lambda: protection.step(values, 1, 0, 0))

    def pack_step(self):
        self.later()
        self.moved()
        self.pack.measurements.take(self.regs, self.now)
        self.pack.step(self.now, True)
        self.pack.fets.wanted = self.pack.fets.actual = self.pack.allowed()

    def test_pack_step_while_charging(self):                    # req: SAF-04
        self.pack.afe_ready = True
        self.check(self.pack_step, 30, 15)          # past the second that the allowance counts
        self.assertEqual((self.pack.allowed(), self.pack.faults), (BOTH, 0))

    def test_pack_step_while_discharging_hard(self):            # req: SAF-04
        self.pack.afe_ready = True
        put16(self.regs, 0x3A, -9000)               # 90 A: the allowance is in use
        self.check(self.pack_step, 30, 15)
        self.assertEqual((self.pack.allowed(), self.pack.faults), (BOTH, 0))

    def test_pack_step_asleep(self):                            # req: SAF-04 PWR-14
        self.pack.afe_ready = True
        self.pack.power.from_bytes(b"\x02\x00")
        self.pack.power.start(True, True)
        put16(self.regs, 0x36, 0)                   # terminals: nothing that wakes
        put16(self.regs, 0x3A, 0)
        self.check(self.pack_step, 30, 15)
        self.assertEqual((self.pack.allowed(), self.pack.state), (0, SLEEP))

    def test_pack_step_in_a_timed_wake(self):                   # req: SAF-04 PWR-12
        self.pack.afe_ready = True
        self.pack.power.from_bytes(b"\x01\x00")
        self.pack.power.start(True, True)
        self.pack.power.mode = TRYING
        put16(self.regs, 0x3A, 0)
        put16(self.regs, 0x16, 2690)                # a cell that trips
        for reg in (0x34, 0x36):
            put16(self.regs, reg, (15 * 3300 + 2690) // 10)
        self.check(self.pack_step, 50, 15)
        self.assertEqual((self.pack.allowed(), self.pack.protection.trips), (BOTH, 0x02))

    def test_pack_step_without_a_fresh_scan(self):              # req: SAF-04
        self.pack.afe_ready = True
        for _ in range(3):
            self.pack_step()

        def step():
            self.later()
            self.pack.measurements.failed_row = 1
            self.pack.step(self.now, False)
        self.check(step)

    def test_control_step(self):                                # req: SAF-04
        bothoff = FakePin()
        afe = QuickAfe(self.chip, FakePin(), no_wait)
        control = Control(afe, self.pack, 250, bothoff, FakePin(), lambda: 0)

        def step():
            self.later()
            self.moved()
            wanted = self.pack.fets.wanted
            self.regs[0x7F] = (1 if wanted & 1 else 0) | (4 if wanted & 2 else 0)
            control.step(self.now)
        self.check(step, 30, 15)
        self.assertEqual((self.pack.allowed(), self.pack.fets.actual, bothoff.level),
                         (BOTH, BOTH, 1))

    def test_control_step_across_the_wrap_of_ticks(self):       # req: SAF-04
        afe = QuickAfe(self.chip, FakePin(), no_wait)
        control = Control(afe, self.pack, 250, FakePin(), FakePin(), lambda: 0)
        self.now = control._counted_ms = WRAP - 1000      # charge is not due in these steps

        def step():
            self.later()
            self.moved()
            wanted = self.pack.fets.wanted
            self.regs[0x7F] = (1 if wanted & 1 else 0) | (4 if wanted & 2 else 0)
            control.step(self.now)
        self.check(step, 6, 4)


class TestClockAndLog(TestCase):
    def test_the_clock_chip_asked_once_a_minute(self):          # req: SAF-04 REC-01
        chip = SmallClockChip()
        clock = Clock([DS3231(chip)])
        clock.start(self.now)

        def ask():
            self.later(60_000)
            chip.minute += 1
            if clock.keep(self.now) or clock.read() is None:
                raise ValueError
        self.check(ask)
        self.assertTrue(clock.is_valid)

    def test_a_record_written(self):                            # req: SAF-04 REC-02
        ring = FlashRing(SmallFlash())
        ring.open()
        ring.erase_ahead()
        payload = bytes(range(PAYLOAD))

        def write():
            if not (ring.append(ring.newest + 1, payload) and ring.commit()):
                raise ValueError
        self.check(write)
        self.assertEqual((ring.newest, ring.damaged), (15, 0))

    def test_records_of_events_written(self):                   # req: SAF-04 REC-01
        clock = Clock([DS3231(SmallClockChip())])
        clock.start(self.now)
        records = Records(self.pack.events, FlashRing(SmallFlash()), clock)
        records.open()
        counters = Counters()

        def write():
            self.pack.events.add(self.now, STATE, 1, -1, 2, 3)
            records.write(self.now, counters)
        self.check(write)
        self.assertEqual(records.waiting, 0)


class TestPanelPath(TestCase):
    def test_panel_step(self):                                  # req: SAF-04
        self.pack.afe_ready = True
        self.params = self.pack.params
        self.params.set("buzzer_enable", 1)
        panel = Panel(self.pack, lambda word: None, TCA9534(SmallI2c()), FakePin(),
                      (FakePin(), FakePin()))
        self.pack.measurements.take(self.regs, self.now)
        self.pack.step(self.now, True)

        def step():
            self.later(50)
            panel.step(self.now)
        self.check(step, 20, 25)

    def test_panel_step_of_the_bar(self):                       # req: SAF-04 LED-04
        pack = Pack(b1_5_1_48, Parameters(b1_5_1_48.DEFAULTS), 100)
        panel = Panel(pack, lambda word: None, TCA9534(SmallI2c()), FakePin(), (FakePin(),))
        pack.afe_ready = True
        put16(self.regs, 0x3A, -500)                # discharging: the bar runs
        pack.fets.actual = BOTH
        pack.measurements.take(self.regs, self.now)
        pack.step(self.now, True)
        self.assertEqual(pack.direction, DISCHARGING)

        def step():
            self.later(50)
            panel.step(self.now)
        self.check(step, 20, 25)

    def test_the_lamp_driver(self):                             # req: SAF-04
        class Spi:
            def write(self, buf):
                pass
        registers = ShiftRegisters(Spi(), FakePin())
        self.check(lambda: registers.show(0x1FF))


class TestProtocolPath(TestCase):
    def serve(self, request, protocol=0):
        self.pack.params.set("pcs_protocol", protocol)
        self.pack.afe_ready = True
        self.pack.measurements.take(self.regs, self.now)
        self.pack.step(self.now, True)
        uart = SmallUart(request)
        identity = Identity("AM5000", (1, 2, 3), "AM5000A000000001")
        protocol = Pcs(System(self.pack, identity), self.pack, identity)
        port = SerialPort(uart, protocol, FakePin())

        def step():
            uart.at = 0
            port.step(self.now)
            port.step(self.now)
        return uart, step

    def test_snapshot(self):                                    # req: SAF-04
        self.serve(b"")
        self.pack.protection.alarms = 0xFFFF
        self.pack.faults = 0x7FFF
        system = System(self.pack)

        def step():
            self.later()
            self.moved()
            self.pack.measurements.take(self.regs, self.now)
            system.update(self.now)
            self.later(1000)
            system.update(self.now)             # nothing usable any more
        self.check(step)

    def test_nothing_received(self):                            # req: SAF-04
        uart, step = self.serve(b"")
        self.check(step)

    def test_noise(self):                                       # req: SAF-04 COM-06
        uart, step = self.serve(b"\x00~20\xff\r~2002~\r0123")
        self.check(step)
        self.assertEqual(uart.sent, 0)

    def answer(self, request, protocol=0):
        uart, step = self.serve(request, protocol)
        self.check(step, 3, 2)
        self.assertTrue(uart.sent > 0)

    def test_answer_version(self):                               # req: SAF-04 COM-01
        self.answer(b"~2002464F0000FD98\r")

    def test_answer_analog(self):                                # req: SAF-04 COM-01
        self.answer(b"~20024642E00202FD33\r")

    def test_answer_management(self):                            # req: SAF-04 COM-01
        self.answer(b"~20024692E00202FD2E\r")

    def test_answer_parameters(self):                            # req: SAF-04 COM-01
        self.answer(b"~200246470000FDA7\r")

    def test_answer_manufacturer(self):                          # req: SAF-04 COM-01
        self.answer(b"~200246510000FDAC\r")

    def test_answer_serial_number(self):                         # req: SAF-04 COM-01
        self.answer(b"~20024693E00202FD2D\r")

    def test_answers_to_all_reads(self):                        # req: SAF-04 COM-01
        for cid2, info in ((0x42, b"FF"), (0x44, b"02"), (0x44, b"FF"), (0x60, b""), (0x61, b""),
                           (0x62, b""), (0x63, b""), (0x90, b""), (0x96, b""), (0x94, b"02"),
                           (0x64, b"")):
            self.answer(pylontech_frame(0x20, 2, cid2, info))

    def test_answers_of_pace_to_all_reads(self):                # req: SAF-04 COM-01
        for cid2, info in ((0x42, b"00"), (0x42, b"FF"), (0x44, b"00"), (0x90, b""), (0xA6, b""),
                           (0xC1, b""), (0xC2, b""), (0xD1, b""), (0xDB, b""), (0xDD, b""),
                           (0xE3, b""), (0xE5, b""), (0xAF, b""), (0xED, b""), (0xD0, b"0000"),
                           (0x9A, b"01"), (0x99, b"0B"), (0xFE, b"")):
            self.answer(pylontech_frame(0x25, 0, cid2, info))

    def test_answers_on_the_debug_port(self):                   # req: SAF-04 COM-04 COM-10
        from protocols.ascii.port import AsciiPort
        from protocols.debug.console import Console
        from protocols.debug.port import DebugPort, Trusted
        from protocols.debug.link import Link
        from protocols.debug.report import Reporter
        uart, _ = self.serve(pylontech_frame(0x25, 1, 0x42, b"00"))
        identity = Identity("AM5000", (1, 2, 3), "AM5000A000000001")
        reporter = Reporter(self.pack, None, None)
        protocol = DebugPort(Link(self.pack, reporter, "", {}, None), AsciiPort(
            System(self.pack, identity), self.pack, identity, Trusted()),
            Console(None, lambda: 0))
        port = ConsolePort(uart, protocol)

        def step():                             # a frame, and steps in which nobody talks
            uart.at = 0
            for _ in range(4):
                port.step(self.now)
        self.check(step)
        self.assertTrue(uart.sent > 0)

    def test_answers_on_modbus(self):                           # req: SAF-04 COM-01
        from crc16 import crc16_modbus
        for protocol, start, count in ((3, 0, 37), (3, 60, 55), (3, 150, 30), (4, 0x10, 0x68),
                                       (3, 300, 1)):
            request = bytearray((1, 3, start >> 8, start & 0xFF, 0, count, 0, 0))
            struct.pack_into("<H", request, 6, crc16_modbus(request, 0, 6))
            self.answer(request, protocol)

    def test_answer_bad_checksum(self):                          # req: SAF-04 COM-01
        self.answer(b"~2002464F0000FD99\r")

    def test_answer_unknown_command(self):                       # req: SAF-04 COM-01
        self.answer(b"~200246FE0000FD8A\r")

    def test_a_report_on_the_debug_port(self):                  # req: SAF-04 COM-04
        from crc16 import crc16
        from protocols.debug.link import Link
        from protocols.debug.report import Reporter

        class Ctl:
            afe_starts = 1
            heap_free = 1000

            def uptime_s(self, now_ms):
                return 5
        self.serve(b"")
        reporter = Reporter(self.pack, Ctl(), Ctl())
        reporter.connect([Task("a", None, 100, 0, 80)])
        link = Link(self.pack, reporter, "", {}, None)
        request = bytearray(b"\xb5\x01\x07\x03\x00\x00\x00\x00")
        struct.pack_into("<H", request, 6, crc16(request, 1, 6, 0xFFFF))
        uart = SmallUart(request)
        port = SerialPort(uart, link)

        def step():
            uart.at = 0
            port.step(self.now)
            port.step(self.now)
        self.check(step)
        self.assertTrue(uart.sent > 0)


def pylontech_frame(ver, adr, cid2, info):
    """A request as bytes."""
    body = b"%02X%02X46%02X%04X" % (ver, adr, cid2, length_field(len(info))) + info
    return b"~" + body + b"%04X\r" % (-sum(body) & 0xFFFF)


class WireUart:
    """One end of a wire that keeps what was written for the other end."""

    def __init__(self):
        self.other = None
        self.line = bytearray(512)
        self.first = self.last = 0

    def any(self):
        return self.last - self.first

    def readinto(self, buf, most):
        count = 0
        while count < most and self.first < self.last:
            buf[count] = self.line[self.first]
            count += 1
            self.first += 1
        if self.first == self.last:
            self.first = self.last = 0
        return count

    def write(self, buf, offset=0, length=-1):
        far = self.other
        for i in range(offset, offset + length):
            far.line[far.last] = buf[i]
            far.last += 1
        return length

    def txdone(self):
        return True


class TestParallelBus(TestCase):
    def test_master_and_slaves(self):                           # req: SAF-04 COM-03
        put16(self.regs, 0x3A, 0)
        packs = []
        buses = []
        uarts = (WireUart(), WireUart())
        uarts[0].other, uarts[1].other = uarts[1], uarts[0]
        for dip in (1, 2):
            pack = Pack(am5000, Parameters(), 100)
            pack.afe_ready = True
            pack.dip = dip
            packs.append(pack)
            buses.append(ParallelBus(uarts[dip - 1], FakePin(), pack, System(pack), b"PACK",
                                     lambda baud: None))

        def second():
            for _ in range(10):
                self.moved()
                for pack in packs:
                    pack.measurements.take(self.regs, self.now)
                    pack.step(self.now, True)
                    pack.fets.wanted = pack.fets.actual = pack.allowed()
                for _ in range(10):
                    self.later(10)
                    for bus in buses:
                        bus.step(self.now)
        self.check(second, 12, 3)
        self.assertEqual(len(buses[0].master._fleet.modules), 2)
        self.assertEqual([pack.fets.actual for pack in packs], [BOTH, BOTH])


class CanWire:
    """SPI with an MCP2515 that is configured, has always received a frame and always sent ours."""

    def __init__(self):
        self.frames = 0
        self.status = 1             # answer to READ STATUS

    def write(self, buf):
        if buf[0] & 0xF8 == 0x80:
            self.frames += 1

    def write_readinto(self, tx, rx):
        for i in range(len(rx)):
            rx[i] = 0
        if tx[0] == 0xA0:
            rx[1] = self.status
        elif tx[0] == 0x03 and tx[1] == 0x28:
            rx[5] = 0x23
        elif tx[0] == 0x90:
            rx[1] = 0x60            # 305
            rx[2] = 0xA0
            rx[5] = 8


class QuickCan(MCP2515):
    """The driver, but configured at once."""

    def init(self, bitrate, mode=0, sample_point=75, sjw=2):
        self._op = 0
        self._state = 1

    def set_filters(self, filters):
        pass


class TestCan(TestCase):
    def port(self, variant=3):
        self.wire = CanWire()
        identity = Identity("AM5000", (0, 1, 0), "PC0123456789ABCD")
        pack = self.pack
        pack.params.set("can_variant", variant)
        self.moved()
        pack.measurements.take(self.regs, self.now)
        pack.soc.start(3300, 250)
        pack.afe_ready = True
        can = QuickCan(self.wire, FakePin(), lambda: 0, no_wait, lambda: 0)
        return CanPort(can, System(pack, identity), pack, CanFrames(identity))

    def test_seconds_of_sets_and_keep_alive_frames(self):       # req: SAF-04 COM-02
        for variant in (3, 5, 7, 10):
            self.check_variant(variant)

    def check_variant(self, variant):
        port = self.port(variant)

        def second():
            self.pack.measurements.take(self.regs, self.now)
            for _ in range(20):
                port.step(self.now)
                self.later(50)
        self.check(second, 2, 2)
        self.assertTrue(self.wire.frames > 20 and port.received > 200)

    def test_what_nobody_takes(self):                           # req: SAF-04 COM-02
        port = self.port()
        self.wire.status = 0x54                 # every buffer waits

        def second():
            for _ in range(20):
                port.step(self.now)
                self.later(50)
        self.check(second, 2, 2)


class TestStoragePath(TestCase):
    """Nothing is due in these steps; what is written, seldom, does allocate."""

    def test_storage_step(self):                                # req: SAF-04 REC-02
        from bms.records.counters import Counters
        from clock import Clock
        from tasks.storage import Storage

        class Files:
            def read(self, name):
                return None

            def write(self, name, data):
                pass

        class Ring:
            newest = oldest = 0
            wants_erase = must_erase = False

            def open(self):
                pass

        class Chip:
            name = "chip"

            def read(self, out):
                out[0], out[1], out[2], out[3], out[4], out[5] = 2026, 1, 1, 0, 0, 0
                return True

        pack = self.pack
        pack.measurements.take(self.regs, self.now)
        storage = Storage(pack, Files(), "am5000", Ring(), Clock([Chip()]))
        storage.keep("soc", pack.soc)
        storage.keep("allowance", pack.allowance)
        storage.open(self.now)
        storage.start(self.now)
        pack.soc.start(3300, 250)
        pack.soc.saved()
        uart = SmallUart(b"")
        storage.ports.append(SerialPort(uart, None, FakePin()))

        def step():
            self.later()
            pack.measurements.take(self.regs, self.now)
            storage.step(self.now)
        self.check(step, 25, 12)            # a second and more
        self.assertTrue(isinstance(storage.counters, Counters) and storage.records.waiting == 0)


class Idle:
    def step(self, now_ms):
        pass


class TestScheduler(TestCase):
    def test_run_due(self):                                     # req: SAF-04
        self.check_run_due(LATE)

    def test_run_due_across_the_wrap_of_ticks(self):            # req: SAF-04
        self.check_run_due(WRAP - 100)

    def check_run_due(self, start_ms):
        tasks = [Task("a", Idle(), 10, 0, 9), Task("b", Idle(), 20, 3, 15),
                 Task("c", Idle(), 1000, 5, 900)]
        scheduler = Scheduler(tasks, lambda: 0, bytearray(4))
        self.now = start_ms
        scheduler.start(self.now)

        def run():
            self.later(10)
            scheduler.run_due(self.now)
        self.check(run, 3, 8)

    def test_fit_to_feed_across_the_wrap_of_ticks(self):        # req: SAF-04 SAF-01
        scheduler = Scheduler([Task("a", Idle(), 1000, 0, 80)], lambda: 0, bytearray(4))
        self.now = WRAP - 50
        scheduler.start(self.now)
        scheduler.run_due(self.now)             # due next after the wrap
        self.check(lambda: scheduler.fit_to_feed(self.now))


if __name__ == "__main__":
    unittest.main()
