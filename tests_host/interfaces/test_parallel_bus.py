"""A master and slaves on a pair of wires: found, lost, back, one address twice."""

import unittest

from bms.pack import Pack
from bms.words.parameters import Parameters
from bms.words.rules import BOTH, FAULT_ADDRESS, FAULT_LINK
from fakes import LATE, WRAP, Lcg, put16, scan_regs
from profiles import am5000
from protocols import conditions
from protocols.parallel import wire
from protocols.ascii.frame import OK, Parser
from protocols.parallel.nodes import Master, Slave
from protocols.pcs import Pcs
from protocols.snapshot import Identity, System

NOT_ON = ("rp2040", "rv32")        # minutes of traffic; the frames and the port's task run there
_STEP_MS = 10


class Module:
    """A pack with its node on a Wires."""

    def __init__(self, dip, uid, kind):
        self.pack = Pack(am5000, Parameters(), 100)
        self.pack.dip = dip
        self.pack.afe_ready = True
        self.system = System(self.pack, Identity("TEST", (1, 0, 0), "%-16s" % uid))
        self.node = kind(self.pack, self.system, wire.tag_of(uid.encode()))
        self.parser = Parser(wire.LONGEST_CHARS)
        self.sending_until = -1     # ms of the bus, -1: not
        self.last_ms = 0
        self.alive = True
        self.regs = scan_regs()
        self.ld = 0

    def scan(self, now):
        """A fresh scan of a healthy pack, whose FETs obey."""
        self.ld ^= 1
        put16(self.regs, 0x38, self.ld)
        self.pack.measurements.take(self.regs, now % WRAP)
        self.pack.step(now % WRAP, True)
        self.pack.fets.wanted = self.pack.fets.actual = self.pack.allowed()


class Wires:
    """A pair of wires: frames arrive whole at their end; overlapping ones arrive as noise."""

    def __init__(self, modules, loss=0, seed=1):
        self.modules = modules
        self.now = LATE
        self.rng = Lcg(seed)
        self.loss = loss            # of 10 000 frames
        self.on_air = []            # [end, module, frame, spoilt]
        for module in modules:
            module.node.start(self.now)

    def run(self, ms):
        for _ in range(ms // _STEP_MS):
            self.now += _STEP_MS
            for module in self.modules:
                if self.now % 100 < _STEP_MS and module.alive:
                    module.scan(self.now)
            self._arrive()
            for module in self.modules:
                if module.alive:
                    self._speak(module)

    def _arrive(self):
        for sent in [s for s in self.on_air if s[0] <= self.now]:
            self.on_air.remove(sent)
            end, sender, frame, spoilt, baud = sent
            if self.rng.below(10_000) < self.loss:
                continue
            for module in self.modules:
                if module is sender or not module.alive or module.sending_until >= 0:
                    continue
                module.last_ms = self.now
                if spoilt or module.node.baud != baud:
                    module.node.garbled(self.now % WRAP, len(frame) // 4)
                    continue
                module.parser.take_chunk(frame, 0, len(frame), self.now % WRAP)
                module.node.hear(module.parser, self.now % WRAP)
        for sent in self.on_air:
            for module in self.modules:
                if module is not sent[1]:
                    module.last_ms = self.now

    def _speak(self, module):
        node = module.node
        if module.sending_until >= 0:
            if self.now >= module.sending_until:
                module.sending_until = -1
                module.last_ms = self.now
                node.sent(self.now % WRAP)
            return
        length = node.due(self.now % WRAP, self.now - module.last_ms)
        if length:
            clash = len(self.on_air) > 0
            for other in self.on_air:
                other[3] = True
            end = self.now + length * 10_000 // node.baud + 1
            self.on_air.append([end, module, bytes(node.out[:length]), clash, node.baud])
            module.sending_until = end


def fleet_of(count):
    modules = [Module(1, "uid-01", Master)]
    for dip in range(2, count + 1):
        modules.append(Module(dip, "uid-%02d" % dip, Slave))
    return modules


class TestPaceMaster(unittest.TestCase):
    """A master or a monitor of PACE's kind: VER 25, ADR = INFO = number of the slave."""

    def setUp(self):
        self.slave = Module(2, "uid-02", Slave)
        self.slave.scan(LATE)
        self.slave.scan(LATE + 100)
        self.slave.node = Slave(self.slave.pack, self.slave.system, 7, self.pace())
        self.slave.node.start(LATE + 100)

    def pace(self):
        identity = Identity("TEST", (1, 0, 0), "%-16s" % "uid-02")
        return Pcs(self.slave.system, self.slave.pack, identity).pace

    def ask(self, text):
        """What the slave says within 30 ms; nothing may be said in the first 10."""
        slave = self.slave
        now = (LATE + 110) % WRAP
        slave.parser.take_chunk(text, 0, len(text), now)
        slave.node.hear(slave.parser, now)
        self.assertEqual(slave.node.due((now + 9) % WRAP, 9), 0)
        for ms in (20, 30):
            length = slave.node.due((now + ms) % WRAP, ms)
            if length:
                return bytes(slave.node.out[:length])
        return b""

    def test_42_and_44_of_its_own_address_are_answered(self):   # req: COM-01 COM-03
        answer = self.ask(b"~25024642E00202FD2E\r")             # seen between packs of that kind
        self.assertEqual((answer[:17], len(answer)), (b"~25024600F07A0002", 140))
        self.assertEqual(answer[17:19] + answer[83:85], b"1006")    # cells, temperatures
        answer = self.ask(b"~25024644E00202FD2C\r")
        self.assertEqual((answer[:17], len(answer)), (b"~25024600004C0002", 94))

    def test_of_others_and_other_commands_nothing_is_said(self):    # req: COM-06
        for text in (b"~25034642E00203FD2C\r", b"~25024642E00203FD2D\r", b"~250246900000FDA4\r",
                     b"~2502469AE00201FD1B\r", b"~20024642E00202FD33\r"):
            self.assertEqual(self.ask(text), b"", text)


class TestBus(unittest.TestCase):
    def online(self, master):
        return [seen.module for seen in master.system.modules]

    def test_a_master_finds_its_slaves(self):                   # req: COM-03
        modules = fleet_of(5)
        wires = Wires(modules)
        wires.run(10_000)
        self.assertEqual(self.online(modules[0]), [1, 2, 3, 4, 5])
        self.assertEqual(bytes(modules[0].system.modules[2].serial), b"uid-03          ")
        whole = modules[0].system.whole
        self.assertEqual((whole.modules, whole.full_mah, whole.offline), (5, 500_000, 0))

    def test_a_silent_slave_is_dropped_and_comes_back(self):    # req: COM-03
        modules = fleet_of(4)
        wires = Wires(modules)
        wires.run(6000)
        modules[2].alive = False
        wires.run(5000)
        self.assertEqual(self.online(modules[0]), [1, 2, 4])
        modules[0].system.update(wires.now % WRAP)
        self.assertEqual(modules[0].system.whole.offline, 1)
        self.assertTrue(modules[0].pack.faults & FAULT_LINK)
        self.assertTrue(modules[0].system.whole.alarms & conditions.LINK_FAULT)
        self.assertFalse(modules[0].system.whole.protections)
        modules[2].alive = True
        wires.run(5000)
        self.assertEqual(self.online(modules[0]), [1, 2, 3, 4])
        self.assertFalse(modules[0].pack.faults & FAULT_LINK)

    def test_lost_frames_drop_nobody(self):                     # req: COM-03
        modules = fleet_of(6)
        wires = Wires(modules, loss=300)
        wires.run(5000)
        for _ in range(20):
            wires.run(1000)
            self.assertEqual(self.online(modules[0]), [1, 2, 3, 4, 5, 6])

    def test_only_one_pack_is_first_and_all_follow(self):       # req: COM-09
        modules = fleet_of(4)
        wires = Wires(modules)
        for _ in range(600):
            wires.run(10)
            closed = [m.pack.dip for m in modules if m.pack.fets.actual]
            if closed:
                break
        self.assertEqual(closed, [1])
        wires.run(5000)
        self.assertEqual([m.pack.fets.actual for m in modules], [BOTH] * 4)

    def test_if_the_master_may_not_close_a_slave_is_first(self):    # req: COM-09
        modules = fleet_of(3)
        put16(modules[0].regs, 0x78, 3431)              # 70 degC: protected
        wires = Wires(modules)
        wires.run(12_000)
        self.assertEqual([m.pack.fets.actual for m in modules], [0, BOTH, BOTH])

    def test_without_a_master_a_slave_says_so(self):            # req: COM-03
        modules = fleet_of(2)
        wires = Wires(modules)
        wires.run(3000)
        self.assertFalse(modules[1].pack.faults & FAULT_LINK)
        modules[0].alive = False
        wires.run(11_000)
        self.assertTrue(modules[1].pack.faults & FAULT_LINK)
        self.assertEqual(modules[1].pack.fets.actual, BOTH)     # stays on the bar
        modules[0].alive = True
        modules[0].node.start(wires.now % WRAP)
        wires.run(3000)
        self.assertFalse(modules[1].pack.faults & FAULT_LINK)

    def test_two_slaves_with_one_address_are_found(self):       # req: DIP-02
        modules = fleet_of(3) + [Module(3, "another", Slave)]
        wires = Wires(modules)
        wires.run(20_000)
        self.assertEqual([m.pack.faults & FAULT_ADDRESS != 0 for m in modules],
                         [True, False, True, True])
        self.assertEqual(self.online(modules[0]), [1, 2])
        self.assertEqual(modules[0].system.fleet.twice, 1 << 3)
        modules[3].pack.dip = 4                         # set right
        wires.run(35_000)
        self.assertEqual([m.pack.faults & FAULT_ADDRESS for m in modules], [0] * 4)
        self.assertEqual(self.online(modules[0]), [1, 2, 3, 4])

    def test_two_masters_are_found(self):                       # req: DIP-02
        modules = fleet_of(2) + [Module(1, "another", Master)]
        wires = Wires(modules)
        wires.run(15_000)
        self.assertEqual([modules[i].pack.faults & FAULT_ADDRESS != 0 for i in (0, 2)],
                         [True, True])
        self.assertEqual((self.online(modules[0]), self.online(modules[2])), ([1], [1]))
        modules[2].alive = False
        wires.run(20_000)
        self.assertFalse(modules[0].pack.faults & FAULT_ADDRESS)
        self.assertEqual(self.online(modules[0]), [1, 2])

    def test_noise_makes_no_answer(self):                       # req: COM-06
        modules = fleet_of(2)
        wires = Wires(modules)
        wires.run(2000)
        rng = Lcg(9)
        noise = bytearray(64)
        parser = Parser(wire.LONGEST_CHARS)
        before = modules[1].pack.joining.held
        for _ in range(200):
            rng.fill(noise)
            at = 0
            while at < len(noise):
                at = parser.take_chunk(noise, at, len(noise), wires.now % WRAP)
                self.assertFalse(parser.verdict == OK)
        self.assertEqual(modules[1].pack.joining.held, before)


class PaceAnswer:
    """A parser with an answer of a pack to a monitor."""

    ver, adr, cid1, cid2 = 0x25, 2, 0x46, 0
    info = bytes((0, 2)) + bytes(59)
    info_len = 61


class TestSpeed(unittest.TestCase):
    """9600 bit/s at the start; raised when all agree, back for anything else."""

    def until(self, wires, ms, condition):
        """Run until *condition*, at most *ms*; returns how long it took."""
        start = wires.now
        while not condition():
            self.assertTrue(wires.now - start < ms, "not within %d ms" % ms)
            wires.run(_STEP_MS)
        return wires.now - start

    @staticmethod
    def are_at(modules, baud):
        return all(module.node.baud == baud for module in modules)

    def test_all_start_at_9600_and_are_raised_within_10_s(self):    # req: COM-01
        modules = fleet_of(4)
        wires = Wires(modules)
        self.assertTrue(self.are_at(modules, 9600))
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))
        master = modules[0]
        for _ in range(20):
            wires.run(1000)
            self.assertTrue(self.are_at(modules, 38_400))
            self.assertEqual([seen.module for seen in master.system.modules], [1, 2, 3, 4])

    def test_the_slowest_of_all_decides(self):                  # req: COM-01
        for baud, raised in ((9600, 9600), (20_000, 19_200), (57_600, 57_600)):
            modules = fleet_of(3)
            for module in modules:
                module.pack.params.set("parallel_baud", 57_600)
            modules[2].pack.params.set("parallel_baud", baud)
            wires = Wires(modules)
            wires.run(10_000)
            self.assertTrue(self.are_at(modules, raised), baud)

    def test_a_master_alone_stays(self):                        # req: COM-01
        modules = fleet_of(1)
        Wires(modules).run(10_000)
        self.assertEqual(modules[0].node.baud, 9600)

    def test_two_with_one_address_keep_it_at_9600(self):        # req: COM-01 DIP-02
        modules = fleet_of(3) + [Module(3, "another", Slave)]
        wires = Wires(modules)
        wires.run(15_000)
        self.assertTrue(self.are_at(modules, 9600))

    def test_a_slave_without_a_master_goes_back_within_2_s(self):   # req: COM-01
        modules = fleet_of(3)
        wires = Wires(modules)
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))
        modules[0].alive = False
        wires.run(2000)
        self.assertTrue(self.are_at(modules[1:], 9600))
        modules[0].alive = True
        modules[0].node.start(wires.now % WRAP)                 # it starts anew
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))

    def test_what_is_not_ours_is_heard_at_9600_within_2_s(self):    # req: COM-01
        modules = fleet_of(3)
        wires = Wires(modules)
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))
        modules[0].node.garbled(wires.now % WRAP, 20)           # a monitor's request
        self.until(wires, 400, lambda: self.are_at(modules, 9600))
        said = modules[0].node.sent
        counted = []
        modules[0].node.sent = lambda now_ms: (counted.append(now_ms), said(now_ms))
        wires.run(1000)
        self.assertEqual(counted, [])                           # its next try has the line
        wires.run(8000)
        self.assertTrue(self.are_at(modules, 9600))
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))

    def test_after_a_frame_of_somebody_else_it_stays_for_a_minute(self):    # req: COM-01
        modules = fleet_of(3)
        wires = Wires(modules)
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))
        text = b"~25024642E00202FD2E\r"
        modules[0].parser.take_chunk(text, 0, len(text), wires.now % WRAP)
        modules[0].node.hear(modules[0].parser, wires.now % WRAP)
        wires.run(2000)
        for _ in range(57):
            self.assertTrue(self.are_at(modules, 9600))
            wires.run(1000)
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))
        self.assertEqual([seen.module for seen in modules[0].system.modules], [1, 2, 3])

    def test_the_line_is_free_when_a_monitor_asks_again(self):      # req: COM-01
        for period in (1000, 1700):
            self.ask_each(period)

    def ask_each(self, period):
        modules = fleet_of(3)
        wires = Wires(modules)
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))
        master = modules[0]
        request = b"~25024642E00202FD2E\r"
        said = []
        sent = master.node.sent
        master.node.sent = lambda now_ms: (said.append(wires.now), sent(now_ms))
        for i in range(20):
            asked = wires.now
            master.parser.take_chunk(request, 0, len(request), asked % WRAP)
            master.node.hear(master.parser, asked % WRAP)
            wires.run(180)
            master.node.hear(PaceAnswer(), wires.now % WRAP)
            wires.run(period - 180)
            near = [at - asked for at in said if at > asked]
            if i > 5:
                self.assertTrue(near)                           # it goes on itself
                self.assertTrue(150 < min(near) and max(near) < period - 150, near)

    def test_a_late_starter_is_found_at_the_higher_speed(self):     # req: COM-01 COM-03
        modules = fleet_of(4)
        modules[2].alive = False
        wires = Wires(modules)
        wires.run(12_000)
        self.assertEqual(modules[0].node.baud, 38_400)
        modules[2].alive = True
        modules[2].node.start(wires.now % WRAP)
        self.until(wires, 5000, lambda: len(modules[0].system.modules) == 4)
        self.until(wires, 3000, lambda: self.are_at(modules, 38_400))

    def test_a_slave_that_restarts_is_no_loss(self):            # req: COM-01 COM-03
        modules = fleet_of(4)
        wires = Wires(modules)
        self.until(wires, 10_000, lambda: self.are_at(modules, 38_400))
        modules[2].node.start(wires.now % WRAP)                 # at 9600
        self.until(wires, 3000, lambda: not self.are_at(modules[:1], 38_400))
        self.until(wires, 3000, lambda: self.are_at(modules, 38_400))
        self.assertFalse(modules[0].pack.faults & FAULT_LINK)

    def test_a_wire_that_does_not_carry_more_stays_at_9600(self):   # req: COM-01
        modules = fleet_of(3)
        deaf = modules[2].node

        class Deaf:                                             # to all that is fast
            def __getattr__(self, name):
                return getattr(deaf, name)

            @property
            def baud(self):
                return 9600

        modules[2].node = Deaf()
        wires = Wires(modules)
        wires.run(60_000)
        for _ in range(60):
            wires.run(1000)
            self.assertEqual(modules[0].node.baud, 9600)
            self.assertEqual([seen.module for seen in modules[0].system.modules], [1, 2, 3])
        self.assertFalse(modules[0].pack.faults & FAULT_LINK)


if __name__ == "__main__":
    unittest.main()
