"""The CAN task on a controller with machine.CAN's interface: sets, time-outs, ways back."""

import unittest

from bms.words import events as ev
from bms.pack import Pack
from bms.words.parameters import TABLE, Parameters
from fakes import WRAP, put16, scan_regs
from profiles import am5000
from protocols import pace_names
from protocols.can import layout
from protocols.can.frames import CanFrames
from protocols.snapshot import Identity, System
from tasks import can_port
from tasks.can_port import CanPort

STOPPED, ACTIVE, WARNING, PASSIVE, BUS_OFF = range(5)


class FakeCan:
    """A native controller, seen from outside: frames leave at once unless *holds*."""

    FLAG_EXT_ID = 2

    def __init__(self):
        self.now = STOPPED      # state
        self.calls = []
        self.sent = []
        self.waiting = []
        self.incoming = []
        self.holds = False
        self.missing = False
        self.filters = None

    def init(self, bitrate):
        self.calls.append(("init", bitrate))
        if self.missing:
            raise OSError(19)
        self.now = ACTIVE

    def set_filters(self, filters):
        self.filters = filters

    def state(self):
        return self.now

    def restart(self):
        self.calls.append(("restart",))
        self.now = ACTIVE

    def deinit(self):
        self.calls.append(("deinit",))
        self.now = STOPPED

    def send(self, ident, data, flags=0):
        if self.now in (STOPPED, BUS_OFF):
            raise OSError(5)
        if len(self.waiting) == 3:
            return None
        frame = (ident, bytes(data))
        if self.holds:
            self.waiting.append(frame)
        else:
            self.sent.append(frame)
        return 0

    def cancel_send(self, index):
        if self.waiting:
            self.waiting.pop()
            return True
        return False

    def recv(self, arg):
        if not self.incoming:
            return None
        arg[0], arg[1], arg[2], arg[3] = self.incoming.pop(0)
        return arg


class TestCase(unittest.TestCase):
    def setUp(self):
        self.now = WRAP - 1700
        self.pack = Pack(am5000, Parameters(), 100)
        self.regs = scan_regs()
        put16(self.regs, 0x3A, 0)
        self.pack.measurements.take(self.regs, self.now)
        self.pack.soc.start(3300, 250)
        self.pack.afe_ready = True
        self.can = FakeCan()
        identity = Identity("AM5000", (0, 1, 0), "PC0123456789ABCD")
        self.system = System(self.pack, identity)
        self.frames = CanFrames(identity)
        self.port = CanPort(self.can, self.system, self.pack, self.frames)

    def steps(self, count, ms=50):
        for _ in range(count):
            self.port.step(self.now)
            self.now = (self.now + ms) % WRAP

    def items(self, event):
        events = self.pack.events
        return [events.get(seq, 3) for seq in range(max(1, events.oldest()), events.newest + 1)
                if events.get(seq, 2) == event]

    def idents(self):
        return [ident for ident, _ in self.can.sent]


class TestSets(TestCase):
    def test_one_frame_a_step_and_a_set_a_second(self):         # req: COM-02
        self.steps(20)
        first = self.idents()
        self.assertEqual(first[0], 0x351)
        for ident in (0x359, 0x35C, 0x35E):
            self.assertEqual(first.count(ident), 1)
        self.steps(40)
        self.assertEqual(self.idents().count(0x351), 3)
        self.assertEqual(self.can.calls, [("init", 500_000)])

    def test_a_step_that_was_late_or_skipped_drifts_nothing(self):      # req: COM-02
        marks = []
        for step in range(200):
            jitter = (0, 13, 0, 7, 19)[step % 5]
            if step % 37 != 5:
                before = len(self.can.sent)
                self.port.step((self.now + jitter) % WRAP)
                if self.idents()[before:] == [0x351]:
                    marks.append(step)
            self.now = (self.now + 50) % WRAP
        self.assertTrue(len(marks) >= 9)
        for a, b in zip(marks, marks[1:]):
            self.assertTrue(abs(b - a - 20) <= 1, marks)
        self.assertTrue(abs(marks[-1] - marks[0] - 20 * (len(marks) - 1)) <= 1)

    def test_a_parameter_of_something_else_disturbs_no_set(self):      # req: COM-02
        self.steps(23)
        self.pack.params.set("oc_release_ms", 50_000)
        self.steps(37)
        for ident in (0x351, 0x359, 0x35C, 0x35E):
            self.assertEqual(self.idents().count(ident), 3, hex(ident))
        self.assertEqual(self.can.calls, [("init", 500_000)])
        self.pack.params.set("can_variant", 3)                  # has other filters
        self.steps(21)
        self.assertEqual(len(self.can.calls), 2)

    def test_an_erase_finds_a_pause_between_sets(self):         # req: COM-02
        busy = []
        for _ in range(40):
            self.steps(1)
            busy.append(self.port.is_busy())
        self.assertEqual(busy[20:25] + busy[36:], [True] * 9)
        self.assertFalse(any(busy[26:36]))
        self.can.missing = True
        self.port.restart()
        self.steps(30)
        self.assertFalse(self.port.is_busy())

    def test_no_chip_is_asked_for_again_each_second(self):      # req: COM-02
        self.can.missing = True
        self.steps(60)
        self.assertEqual((self.can.sent, len(self.can.calls)), ([], 3))
        self.assertEqual(self.items(ev.CAN_ERROR), [can_port.NO_CHIP])
        self.can.missing = False
        self.steps(40)
        self.assertTrue(self.idents().count(0x351) >= 1)
        self.assertEqual(self.items(ev.CAN_GOOD), [can_port.NO_CHIP])

    def test_lost_configuration_is_set_anew(self):              # req: COM-02
        self.steps(20)
        self.can.now = STOPPED
        self.steps(20)
        self.assertEqual(self.items(ev.CAN_ERROR), [can_port.CONFIGURATION_LOST])
        self.assertEqual(self.can.calls[1:], [("init", 500_000)])
        self.assertEqual(self.idents().count(0x351), 2)

    def test_bus_off_is_left_with_the_next_set(self):           # req: COM-02
        self.steps(20)
        self.can.now = BUS_OFF
        self.steps(20)
        self.assertEqual(self.can.calls[1:], [("restart",)])
        self.assertEqual(self.idents().count(0x351), 2)
        self.steps(20)
        self.assertEqual(self.items(ev.CAN_GOOD), [can_port.BUS_OFF])

    def test_what_nobody_takes_is_taken_back(self):             # req: COM-02
        self.can.holds = True
        self.steps(40)
        self.assertEqual((self.port.timeouts, self.can.waiting), (2, []))
        self.assertEqual(self.items(ev.CAN_ERROR), [can_port.NOT_ACKNOWLEDGED])
        self.can.holds = False
        self.steps(20)
        self.assertEqual(self.idents()[0], 0x351)
        self.assertEqual(self.items(ev.CAN_GOOD), [can_port.NOT_ACKNOWLEDGED])

    def test_a_task_that_raised_begins_anew(self):              # req: SAF-03
        self.steps(3)
        self.port.restart()
        self.steps(20)
        self.assertEqual(len(self.can.calls), 2)


class TestInverter(TestCase):
    def test_its_frames_are_what_is_listened_to(self):          # req: COM-08
        self.steps(1)
        self.assertEqual(self.can.filters,
                         ((0x305, 0x7FF, 0), (0x306, 0x7FF, 0), (0x307, 0x7FF, 0)))
        self.pack.params.set("can_variant", 12)
        self.steps(20)
        self.assertEqual(self.can.filters, ((0x305, 0x7FF, 0), (0, 0, 2)))

    def test_a_frame_says_that_it_is_there(self):               # req: COM-08
        self.steps(20)
        watch = self.pack.inverter
        watch.step(self.now, True)
        self.assertEqual(watch.silent_s, 1)
        self.can.incoming = [(0x305, b"", 0, 2)] * 9
        self.steps(1)
        watch.step(self.now, True)
        self.assertEqual((watch.silent_s, self.port.received, self.port.overruns), (0, 4, 4))

    def test_an_acknowledged_set_counts_where_it_may(self):     # req: COM-08
        for setting, variant, silent in ((0, 0, 1), (2, 0, 0), (0, 6, 0), (1, 6, 1)):
            self.pack.params.set("can_keep_alive", setting)
            self.pack.params.set("can_variant", variant)
            watch = self.pack.inverter
            watch.silent_s = 0
            self.steps(40)
            watch.step(self.now, True)
            self.assertEqual(watch.silent_s, silent, (setting, variant))

    def test_a_growatt_of_its_own_kind_is_answered(self):       # req: COM-02
        self.pack.params.set("can_variant", 7)
        self.steps(40)
        self.assertEqual(self.can.sent, [])
        self.can.incoming = [(0x301, b"", 0, 0)]
        self.steps(20)
        self.assertEqual(self.idents().count(0x311), 1)
        self.assertEqual(self.idents()[-1], 0x321)
        for wait in (3, 7, 11):                 # whenever it asks: also across the second
            self.steps(20 + wait)
            before = len(self.can.sent)
            self.can.incoming = [(0x301, b"", 0, 0)]
            for _ in range(12):
                self.pack.measurements.take(self.regs, self.now)
                self.steps(1)
            self.assertEqual(self.idents()[before:], list(range(0x311, 0x31A)) + [0x320, 0x321])

    def test_the_parameter_knows_every_variant(self):           # req: PAR-01
        row = [row for row in TABLE if row[1] == "can_variant"][0]
        self.assertEqual(row[4], 25)                            # COM-11: names behind the sets
        for i in range(len(layout.VARIANTS)):
            name = pace_names.name_of(pace_names.CAN, i)
            self.assertTrue("%d = %s" % (i, name) in row[6], row[6])

    def test_a_slave_and_a_port_not_chosen_are_silent(self):    # req: COM-02
        self.steps(20)
        sent = len(self.can.sent)
        self.pack.dip = 2
        self.steps(40)
        self.assertEqual((len(self.can.sent), self.can.now), (sent, STOPPED))
        self.pack.dip = 1
        self.steps(20)
        self.assertTrue(len(self.can.sent) > sent)
        self.pack.params.set("inverter_port", 1)                # RS485 only
        self.steps(20)
        sent = len(self.can.sent)
        self.steps(40)
        self.assertEqual(len(self.can.sent), sent)

    def test_a_limit_that_falls_to_zero_is_told_at_once(self):  # req: COM-05
        derating = self.pack.derating
        derating.ccl_ma = derating.dcl_ma = 20_000
        self.steps(30)
        count = self.idents().count(0x351)
        derating.ccl_ma = 0
        self.steps(1)
        self.assertEqual(self.idents().count(0x351), count + 1)
        self.steps(9)
        self.assertEqual(self.idents().count(0x351), count + 1)     # once


if __name__ == "__main__":
    unittest.main()
