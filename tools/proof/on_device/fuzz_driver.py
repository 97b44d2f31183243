"""Any bytes on one port of the firmware (COM-06): the part that runs on CPython and MicroPython.

    python tools/proof/on_device/fuzz_driver.py PORT BYTES SEED      prints one line of JSON

PORT is one of PORTS. Chunks of random bytes, requests, requests with bytes changed (also behind a
good checksum), cut, joined; pauses between them. Checked: nothing is raised, every answer is in
form and is what a second instance answers to the last request alone, nothing grows, nothing is
written, and the next good request is answered.
"""

import gc
import json
import sys

_HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
_ROOT = _HERE + "/../../.."
for _folder in ("tools/mocks", "lib", "firmware"):
    sys.path.insert(0, _ROOT + "/" + _folder)

from bms.pack import Pack  # noqa: E402
from bms.words.parameters import Parameters  # noqa: E402
from crc16 import crc16, crc16_modbus                           # noqa: E402
from profiles import am5000                                     # noqa: E402
from protocols.parallel import wire  # noqa: E402
from protocols.ascii.frame import NOTHING, OK, Parser  # noqa: E402
from protocols.ascii.port import AsciiPort  # noqa: E402
from bms.records.counters import Counters  # noqa: E402
from bms.records.records import Records  # noqa: E402
from protocols.debug.answers import Answers  # noqa: E402
from protocols.debug.commands import Commands  # noqa: E402
from protocols.debug.console import Console  # noqa: E402
from protocols.debug.port import DebugPort  # noqa: E402
from protocols.debug.words import EXAMPLE, WORD, WORDS  # noqa: E402
from protocols.debug.link import Link  # noqa: E402
from protocols.parallel.nodes import Master, Slave  # noqa: E402
from protocols.pcs import Pcs                                   # noqa: E402
from protocols.debug.report import Reporter  # noqa: E402
from protocols.snapshot import Identity, System  # noqa: E402

_MASK = (1 << 30) - 1
_POOL = 1 << 16
_SCAN_MS = 100


class Random:
    """Seeded numbers, the same on every interpreter."""

    def __init__(self, seed):
        self._x = seed & 0x7FFFFFFF

    def below(self, n):
        """0..n-1, n at most 2**15."""
        self._x = (self._x * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._x >> 13) % n

    def bytes(self, count):
        return bytes(self.below(256) for _ in range(count))


def frame(ver, adr, cid1, cid2, info):
    """An ASCII frame with a good checksum; *info* as characters."""
    count = len(info)
    check = -((count & 15) + (count >> 4 & 15) + (count >> 8 & 15)) & 15
    body = b"%02X%02X%02X%02X%04X" % (ver, adr, cid1, cid2, check << 12 | count) + info
    return b"~" + body + b"%04X\r" % (-sum(body) & 0xFFFF)


def with_crc(data):
    """A Modbus frame."""
    crc = crc16_modbus(data, 0, len(data))
    return data + bytes((crc & 0xFF, crc >> 8))


def link_frame(kind, payload, seq=7):
    """A frame of the debug port."""
    body = bytes((1, seq, kind, len(payload) & 0xFF, len(payload) >> 8)) + payload
    crc = crc16(body, 0, len(body), 0xFFFF)
    return b"\xb5" + body + bytes((crc & 0xFF, crc >> 8))


# ---- the ports ----------------------------------------------------------------------------------


class InverterFuzz:
    """Pylontech and PACE on the port to the inverter."""

    answers_alone = True        # what one is answered depends on nothing that came before
    protocol = dip = 0
    good = b"~2002464F0000FD98\r"
    good_answer = b"~200246000000FDB2\r"

    def __init__(self, bench):
        self.bench = bench
        self.tested = None
        self.tested = self.new()

    def new(self):
        return Pcs(self.bench.system, self.bench.pack, self.bench.identity)

    def corpus(self):
        """Requests of every kind."""
        known = [frame(0x20, 2, 0x46, cid2, info) for cid2 in
                 (0x42, 0x44, 0x47, 0x4F, 0x51, 0x60, 0x61, 0x62, 0x63, 0x64, 0x90, 0x91, 0x92,
                  0x93, 0x94, 0x95, 0x96) for info in (b"", b"02", b"FF", b"02FF")]
        known += [frame(0x25, 0, 0x46, cid2, info) for cid2 in
                  (0x42, 0x44, 0x90, 0x99, 0x9A, 0x9B, 0x9C, 0xA1, 0xA6, 0xC1, 0xC2, 0xD0, 0xD1,
                   0xDA, 0xDB, 0xDC, 0xDD, 0xE3, 0xE7, 0xED, 0xAF) for info in
                  (b"", b"00", b"FF", b"0000")]
        known.append(frame(0x20, 2, 0x46, 0x94, b"02D6D8B79800C8FF38"))
        known.append(frame(0x25, 0, 0x46, 0xD0, b"010E100E740D340A"))
        return known

    def made(self, rng):
        """Anything behind a good checksum."""
        info = b"%02X" * (rng.below(24) if rng.below(4) else 0)
        info = info % tuple(rng.below(256) for _ in range(len(info) // 4))
        if not rng.below(6):
            info += b"G" if rng.below(2) else b"a0"
        return frame((0x20, 0x25, rng.below(256))[rng.below(3)],
                     (2, 0, rng.below(256))[rng.below(3)], 0x46 if rng.below(8) else 0x4A,
                     rng.below(256), info)

    def check(self, answer):
        """None, or what is wrong with the form of *answer*."""
        body = answer[1:-5]
        if answer[:1] != b"~" or answer[-1:] != b"\r" or len(answer) < 18:
            return "no frame"
        if (sum(body) + int(answer[-5:-1], 16)) & 0xFFFF:
            return "checksum"
        count = int(answer[9:13], 16)
        nibbles = (count & 15) + (count >> 4 & 15) + (count >> 8 & 15) + (count >> 12)
        if nibbles & 15 or count & 0xFFF != len(answer) - 18:
            return "length"
        return None

    def last_request(self, heard):
        """The bytes at the end of *heard* that alone make the request, in order of likelihood."""
        return [heard[heard.rfind(b"~"):]]


class ModbusFuzz(InverterFuzz):
    """PACE's registers."""

    protocol = 3
    good = with_crc(b"\x01\x03\x00\x02\x00\x01")
    good_answer = None

    def corpus(self):
        known = []
        for start in (0, 9, 15, 31, 0x30, 60, 0x70, 111, 150, 200):
            for count in (1, 4, 22, 60, 125):
                known.append(with_crc(bytes((1, 3, 0, start, 0, count))))
        known.append(with_crc(b"\x01\x10\x00\x40\x00\x02\x04\x0d\xde\x0e\x42"))
        known.append(with_crc(b"\x01\x06\x00\x40\x0d\xde"))
        return known

    def made(self, rng):
        if rng.below(4):
            return with_crc(bytes((1, (3, 3, 4, rng.below(256))[rng.below(4)])) + rng.bytes(4))
        count = 1 + rng.below(20)
        return with_crc(bytes((1, 16, 0, 60 + rng.below(60), 0, count, 2 * count))
                        + rng.bytes(2 * count))

    def check(self, answer):
        if len(answer) < 5 or crc16_modbus(answer, 0, len(answer)):
            return "CRC"
        if answer[1] & 0x80:
            return None if len(answer) == 5 and 1 <= answer[2] <= 4 else "exception"
        if answer[1] == 3 and len(answer) != 5 + answer[2]:
            return "length"
        return None

    def last_request(self, heard):
        found = [heard[-8:]]
        for size in range(11, min(130, len(heard) + 1)):
            at = len(heard) - size
            if heard[at + 1] == 16 and heard[at + 6] == size - 9:
                found.append(heard[at:])
        return found


class VoltronicFuzz(ModbusFuzz):
    """Voltronic's registers."""

    protocol = 4


class _Task:
    name = "task"
    period_ms = 100
    text = ""
    state = sent = timeouts = received = 0      # of CAN
    afe_starts = heap_free = worst_us = overruns = errors = 0

    def uptime_s(self, now_ms):
        return 5

    def now_s(self, now_ms):                    # of a clock that was never set
        return 0

    def errors_text(self):
        return "none"

    def age_ms(self, address, now_ms):
        return 0


class _Storage:
    def __init__(self, pack):
        self.records = Records(pack.events)
        self.counters = Counters()
        self.errors = 0
        self.clock = _Task()
        self.clock.is_sound = True

    def stored(self):
        return 0

    def save(self, source, now_ms):
        return True


class _Scheduler:
    def __init__(self):
        self.tasks = (_Task(),)


class _Update:
    def text(self):
        return "no update"


class _Parts:
    """What the console looks at, around the bench's pack."""

    def __init__(self, bench, reporter):
        self.pack = bench.pack
        self.params = bench.pack.params
        self.system = bench.system
        self.storage = _Storage(bench.pack)
        self.reporter = reporter
        self.clock = self.can = self.supervisor = self.parallel = self.installed = _Task()
        self.choice = _Task()
        self.update = _Update()
        self.scheduler = _Scheduler()
        self.refused = None
        self.shunt_uohm = 250
        self.identity_text = "product=fuzz"


class DebugFuzz(InverterFuzz):
    """The debug port: the host tool's frames, ASCII ones, and lines of the console. What a frame
    writes is its right, so writes are left out; the ASCII port has the inverter's rights here, and
    the console waits for a PIN that nobody types."""

    protocol = 0
    good = link_frame(3, b"")
    good_answer = None

    def new(self):
        reporter = Reporter(self.bench.pack, _Task(), _Task())
        reporter.connect([_Task()])

        def refuse(text):
            raise ValueError("no such fault")
        link = Link(self.bench.pack, reporter, "product=fuzz", {"why": lambda words: "none"},
                    refuse)
        parts = _Parts(self.bench, reporter)
        reporter.storage = parts.storage
        commands = Commands(parts, self.ticks_ms)
        answers = Answers(parts, commands, self.ticks_ms, "1.2.3", "FUZZ")
        pin = self.bench.pack.rights.pin
        if not pin.is_set:
            pin.set("never guessed", 0)         # so nothing that is typed may change anything
        return DebugPort(link, AsciiPort(self.bench.system, self.bench.pack, self.bench.identity,
                                         self.bench.pack.rights), Console(answers, self.ticks_us))

    def ticks_ms(self):
        return self.bench.now_ms

    def ticks_us(self):
        return self.bench.now_ms * 1000 & _MASK

    def lines(self):
        """What a person types: each word as its help says it, alone, and with something behind."""
        found = []
        for row in WORDS:
            for text in (row[EXAMPLE], row[WORD], row[WORD] + " 1", row[WORD] + " x y"):
                found.append(text.encode() + b"\r")
        found += [b"set cvl_mv 3.6\r", b"set cvl_mv=55V nominal_ma 40 A\n", b"get\t\t cvl\t\r",
                  b"\x1b[A\x1b[A\r", b"pin 1234\x17\x15x\x7f\x03"]
        return found

    def corpus(self):
        known = [link_frame(kind, payload) for kind in (1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 200)
                 for payload in (b"", b"\x00", b"\x05\x00", b"\x00\x00\x00\x00\x40", b"why", b"x")]
        known += [link_frame(10, b"why\xff"), link_frame(2, b"\xff"),
                  link_frame(4, b"\xff\xff\xff\xff\xff")] + self.lines()
        return known + InverterFuzz.corpus(self)

    def made(self, rng):
        if rng.below(2):
            return InverterFuzz.made(self, rng)
        kind = (1, 2, 3, 4, 5, 6, 7, 10, 11, rng.below(256))[rng.below(10)]
        if kind in (8, 9):
            kind = 0
        return link_frame(kind, rng.bytes(rng.below(8)), rng.below(256))

    def check(self, answer):
        if answer[:1] == b"~":
            return InverterFuzz.check(self, answer)
        if answer[:2] != b"\xb5\x01" or len(answer) != 8 + (answer[4] | answer[5] << 8):
            return "no frame"
        if crc16(answer, 1, len(answer) - 2, 0xFFFF) != answer[-2] | answer[-1] << 8:
            return "CRC"
        return None

    def last_request(self, heard):
        found = InverterFuzz.last_request(self, heard)
        for i in range(len(heard) - 8, -1, -1):
            if heard[i] == 0xB5 and heard[i + 1] == 1 and (
                    len(heard) - i == 8 + (heard[i + 4] | heard[i + 5] << 8)):
                found.append(heard[i:])
        return found


class Node:
    """A node of the bus between packs, fed byte by byte; an answer's turn comes at once."""

    LATER_MS = 400              # beyond the last slot of a roll call

    def __init__(self, node):
        self.node = node
        self.out = node.out
        self._parser = Parser(wire.LONGEST_CHARS, gap_ms=100)
        self._one = bytearray(1)

    def take(self, byte, now_ms):
        """Take one received byte; return the length of what it says, now in out, or 0."""
        self._one[0] = byte
        parser = self._parser
        parser.take_chunk(self._one, 0, 1, now_ms)
        if parser.verdict == NOTHING:
            return 0
        if parser.verdict == OK:
            self.node.hear(parser, now_ms)
        else:
            self.node.garbled(now_ms, 0)
        return self.say((now_ms + self.LATER_MS) & _MASK, self.LATER_MS)

    def say(self, now_ms, quiet_ms):
        length = self.node.due(now_ms, quiet_ms)
        if length:
            self.node.sent(now_ms)
        return length


class SlaveFuzz(InverterFuzz):
    """A slave on the bus between packs."""

    dip = 2
    good_answer = None

    def __init__(self, bench):
        self.good = self.request(0x70, 2, 9)
        InverterFuzz.__init__(self, bench)

    def new(self):
        bench = self.bench
        pace = Pcs(bench.system, bench.pack, bench.identity).pace
        node = Slave(bench.pack, bench.system, 0x123456, pace)
        node.start(bench.now_ms)
        if self.tested:             # what it knows of others is told as an alarm
            node._twice_ms = self.tested.node._twice_ms
        return Node(node)

    @staticmethod
    def request(command, address, size, tag=b"77AA55"):
        """A master's request with *size* bytes of INFO."""
        info = b"%02X03CE00" % address + tag + b"1388" + b"00" * (size - 9)
        return frame(0x25, address, 0x46, command, info)

    def corpus(self):
        known = [self.request(command, address, size) for command in (0x70, 0x71, 0x72, 0x73)
                 for address in (2, 2, 3) for size in (9, 10)]
        known += [frame(0x25, address, 0x46, command, b"%02X" % address)
                  for command in (0x42, 0x44, 0x90) for address in (2, 2, 3)]
        for address in (2, 3):
            answer = bytearray(wire.LONGEST_CHARS)
            info = bytearray(wire.LONGEST_CHARS // 2)
            for length in (
                    wire.state_answer(answer, info, address, 0x55AA, self.bench.system.own),
                    wire.identity_answer(answer, info, address, 0x55AA, self.bench.system.own),
                    wire.roll_call_answer(answer, info, address, 0x55AA)):
                known.append(bytes(answer[:length]))
        return known

    def made(self, rng):
        command = (0x70, 0x71, 0x72, 0, 0, 0x42, 0x44, rng.below(256))[rng.below(8)]
        size = (9, 10, 5, 34, 57, 89, 1, rng.below(90))[rng.below(8)]
        if 0x70 <= command <= 0x72 and rng.below(4):
            size = 10 if command == 0x72 else 9
        address = (2, 2, 2, 3, 15, rng.below(256))[rng.below(6)]
        body = rng.bytes(size)
        if size and rng.below(4):
            body = bytes((address,)) + body[1:]
        if size > 1 and not command and rng.below(4):
            body = body[:1] + bytes((0x70 + rng.below(3),)) + body[2:]
        if size == 89 and rng.below(4):
            body = body[:56] + b"\x10" + body[57:]
        return frame(0x25, address, 0x46, command, b"".join(b"%02X" % byte for byte in body))


class MasterFuzz(SlaveFuzz):
    """The master, which asks; what it says is no answer, and only its form is looked at. Instead
    of a good request it has to take what a good slave tells."""

    dip = 1
    answers_alone = False

    def new(self):
        node = Master(self.bench.pack, self.bench.system, 0x123456)
        node.start(self.bench.now_ms)
        return Node(node)

    def converse(self):
        """A slave at address 2 answers all that it is asked for some rounds; it has to count."""
        bench = self.bench
        told = System(bench.pack, bench.identity)
        slave = Node(Slave(bench.pack, told, 0x654321))
        was = bench.pack.dip
        for _ in range(3000):
            bench.wait(10)
            length = self.tested.say(bench.now_ms, 200)
            if not length:
                continue
            asked = bytes(self.tested.out[:length])
            assert self.check(asked) is None, "%r is said" % asked
            bench.pack.dip = 2
            answers = feed(slave, asked, bench.now_ms)
            bench.pack.dip = was
            for _, answer in answers:
                feed(self.tested, answer, bench.now_ms)
            if bench.system.fleet.is_online(2) and not bench.system.fleet.twice & 4:
                return
        raise AssertionError("a good slave is not taken")


PORTS = {"pcs": InverterFuzz, "pace-modbus": ModbusFuzz, "voltronic": VoltronicFuzz,
         "debug": DebugFuzz, "slave": SlaveFuzz, "master": MasterFuzz}


# ---- running ------------------------------------------------------------------------------------


class Bench:
    """A healthy pack with a clock."""

    def __init__(self, protocol, dip=0):
        self.now_ms = _MASK - 50_000            # the clock wraps soon
        self.pack = Pack(am5000, Parameters(), _SCAN_MS)
        self.pack.params.set("pcs_protocol", protocol)
        self.pack.dip = dip
        self.pack.afe_ready = True
        self.identity = Identity("AM5000", (1, 2, 3), "AM5000A000000001")
        self.system = System(self.pack, self.identity)
        self._regs = bytearray(128)
        for cell in range(16):
            self._put(0x14 + 2 * cell, 3300 + cell)
        self._put(0x34, 5292)
        self._put(0x36, 5292)
        for reg in (0x68, 0x6E, 0x70, 0x72, 0x74, 0x78, 0x7A):
            self._put(reg, 2981)
        self._scanned_ms = self.now_ms
        self.scan()

    def _put(self, reg, value):
        self._regs[reg] = value & 0xFF
        self._regs[reg + 1] = value >> 8

    def scan(self):
        self._regs[0x38] ^= 1
        self.pack.measurements.take(self._regs, self.now_ms)
        self.pack.step(self.now_ms, True)
        self._scanned_ms = self.now_ms

    def wait(self, ms, stale=False):
        """Let time pass; *stale*: the front end says nothing meanwhile."""
        self.now_ms = (self.now_ms + ms) & _MASK
        if not stale and (self.now_ms - self._scanned_ms) & _MASK >= _SCAN_MS:
            self.scan()


def feed(protocol, data, now_ms):
    """Answers to *data* as [(bytes taken so far, answer)]."""
    answers = []
    for i in range(len(data)):
        length = protocol.take(data[i], now_ms)
        if length:
            answers.append((i + 1, bytes(protocol.out[:length])))
    if hasattr(protocol, "more"):           # what the console says, all of it
        while protocol.more(now_ms):
            pass
    return answers


def objects():
    """What grows when something grows."""
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else len(gc.get_objects())


class Fuzz:
    """One run. Raises AssertionError with the bytes that did it."""

    def __init__(self, port, seed):
        self.rng = Random(seed)
        self.bench = Bench(PORTS[port].protocol, PORTS[port].dip)
        self.port = PORTS[port](self.bench)
        self.corpus = self.port.corpus()
        self.pool = self.rng.bytes(_POOL // 8) * 8
        self.heard = b""
        self.taken = self.answers = self.refused = 0

    def chunk(self):
        rng = self.rng
        kind = rng.below(8)
        if kind == 0:
            at = rng.below(_POOL // 2)
            return self.pool[at:at + 1 + rng.below(400)]
        if kind == 1:
            return self.port.made(rng)
        one = self.corpus[rng.below(len(self.corpus))]
        if kind == 2:
            return one
        if kind == 3:
            other = self.corpus[rng.below(len(self.corpus))]
            return one[:rng.below(len(one))] + other[rng.below(len(other)):]
        if kind == 4:
            return one + one[:rng.below(len(one))]
        changed = bytearray(one)
        for _ in range(1 + rng.below(3)):
            changed[rng.below(len(changed))] = (
                rng.below(256) if rng.below(2) else b"~\r0123456789ABCDEF"[rng.below(18)])
        return bytes(changed)

    def turn(self):
        """One chunk, its answers checked."""
        bench = self.bench
        data = self.chunk()
        pause = self.rng.below(40)
        bench.wait((0, 5, 25, 120, 1200)[pause - 35] if pause >= 35 else 10, stale=pause == 39)
        found = feed(self.port.tested, data, bench.now_ms)
        for end, answer in found:
            self.look_at(self.heard + data[:end], answer)
        self.heard = (self.heard + data)[-700:]
        self.taken += len(data)

    def look_at(self, heard, answer):
        self.answers += 1
        wrong = self.port.check(answer)
        assert wrong is None, "%s: %r answered %r" % (wrong, heard[-200:], answer)
        if not self.port.answers_alone:
            return
        later_ms = self.bench.now_ms
        for request in self.port.last_request(heard):
            if self.alone(request, later_ms) == answer:
                return
        raise AssertionError("%r answered %r, which no request in it is" % (heard[-200:], answer))

    def alone(self, request, now_ms):
        """What another instance answers to *request* out of the blue."""
        fresh = self.port.new()
        found = feed(fresh, request, now_ms)
        return found[-1][1] if found else None

    def good_request(self):
        """After a pause the next good request is answered, and rightly."""
        self.bench.wait(2500)
        self.bench.scan()
        if not self.port.answers_alone:
            self.port.converse()
            return
        found = feed(self.port.tested, self.port.good, self.bench.now_ms)
        assert len(found) == 1, "%r is not answered after %r" % (self.port.good, self.heard)
        wanted = self.port.good_answer or self.alone(self.port.good, self.bench.now_ms)
        assert found[0][1] == wanted, "%r after %r" % (found[0][1], self.heard)
        self.taken += len(self.port.good)

    def least_kept(self):
        """objects(), the least of some: what a dead word on the stack points to is not free."""
        least = objects()
        for _ in range(4):
            for _ in range(5):
                self.turn()
            self.good_request()
            least = min(least, objects())
        return least

    def run(self, count):
        """*count* bytes; what was done, as a dict."""
        pack = self.bench.pack
        params = [pack.params[name] for name in ("cell_ov_trip_mv", "cell_ov_alarm_mv",
                                                  "pcs_baud", "limiter_enable")]
        sizes = None
        while self.taken < count:
            for _ in range(50):
                self.turn()
            self.good_request()
            if sizes is None and self.taken > count // 4:
                sizes = len(self.port.tested.out), self.least_kept()
        grown = self.least_kept() - sizes[1] if sizes else 0
        assert not sizes or len(self.port.tested.out) == sizes[0], "its buffer has grown"
        assert grown < (4096 if hasattr(gc, "mem_alloc") else 100), "%d more are kept" % grown
        assert pack.held == 0 and not pack.rights.may_write and params == [
            pack.params[name] for name in ("cell_ov_trip_mv", "cell_ov_alarm_mv", "pcs_baud",
                                           "limiter_enable")], "something was written"
        return {"bytes": self.taken, "answers": self.answers, "grown": grown}


if __name__ == "__main__":
    _port, _bytes, _seed = sys.argv[1:4]
    print(json.dumps(Fuzz(_port, int(_seed)).run(int(_bytes))))
