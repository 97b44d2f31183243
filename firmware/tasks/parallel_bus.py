"""The parallel RS485 port: bytes in and out for the node that the DIP address makes of a pack."""

from bms.words.rules import FAULT_ADDRESS, FAULT_LINK, FAULT_MANY
from protocols.ascii.frame import NOTHING, OK, Parser, odd_bytes
from protocols.parallel.wire import LONGEST_CHARS, tag_of
from protocols.parallel.nodes import MASTER, Master, Slave
from protocols.parallel.speed import RATES
from ticks import MASK

PERIOD_MS = 10
ALONE_MS = 200              # with address 0 nothing is heard or said
_AT_ONCE = 128
_PAUSE_MS = 25              # a longer pause inside a frame ends it for the master
_LONGEST_MS = 1 << 20


class ParallelBus:
    """The task of the port between packs.

    uart       any(), readinto(buf, count), write(buf, offset, count), txdone()
    de         pin that enables the RS485 driver
    pack, system   Pack, snapshot.System
    unique_id  bytes that no other board has
    set_baud   called with bit/s when the UART's rate is to change (COM-01); None: it cannot
    pace       pace.Pace for a slave, or None
    task       Task of this, set by main: its period follows the address
    received, sent, garbled   bytes, bytes, frames that were not whole, since start
    """

    def __init__(self, uart, de, pack, system, unique_id, set_baud=None,
                 pace=None):
        self._uart = uart
        self._de = de
        self._pack = pack
        self._system = system
        tag = tag_of(unique_id)
        self.master = Master(pack, system, tag)
        self.slave = Slave(pack, system, tag, pace)
        self._set_baud = set_baud
        self._baud = RATES[0]
        self._node = None           # None: alone
        self._dip = -1
        self._parser = Parser(LONGEST_CHARS, gap_ms=100)
        self._buf = bytearray(_AT_ONCE)
        self._next = 0              # of what is being sent
        self._end = 0
        self._sending = False
        self._last_ms = 0           # when the newest byte was seen
        self.task = None
        self.received = 0
        self.sent = 0
        self.garbled = 0
        self._heard = False         # something came since this pack sent
        de(0)

    def is_busy(self):
        """Something is being sent, or bytes wait to be looked at."""
        return self._sending or self._node is not None and self._uart.any() > 0

    @property
    def asked(self):
        """Bytes may come: an answer to the master, or a request and what follows it."""
        return self.master.waiting if self._node is self.master else self._heard

    def age_ms(self, address, now_ms):
        """How old what is known of the pack at *address* is; 0 for this pack."""
        return self.master.age_ms(address, now_ms) if self._node is self.master else 0

    def restart(self):
        """After an exception: the driver off, and the role begun anew."""
        self._de(0)
        self._sending = False
        self._dip = -1

    def step(self, now_ms):
        """Every PERIOD_MS in a fleet."""
        if self._pack.dip != self._dip:
            self._change_role(now_ms)
        node = self._node
        if node is None:
            return
        uart = self._uart
        if self._sending:
            if self._next < self._end:
                self._next += uart.write(node.out, self._next, self._end - self._next) or 0
            elif uart.txdone():
                self._de(0)
                self._sending = False
                self._last_ms = now_ms
                node.sent(now_ms)
                self._follow(node)
            return
        waiting = min(uart.any(), _AT_ONCE)
        if waiting:
            self._last_ms = now_ms
            self._take(uart.readinto(self._buf, waiting) or 0, node, now_ms)
        quiet_ms = min(_LONGEST_MS, (now_ms - self._last_ms) & MASK)
        if quiet_ms >= _PAUSE_MS and node is self.master and self._parser.is_open:
            self._parser.drop()
            self._spoilt(node, now_ms)
        length = node.due(now_ms, quiet_ms)
        self._follow(node)
        if length:
            self._de(1)
            self._next = uart.write(node.out, 0, length) or 0
            self._end = length
            self.sent += length
            self._sending = True
            self._heard = False

    def _take(self, count, node, now_ms):
        self.received += count
        self._heard = True
        parser = self._parser
        judged = False
        at = 0
        while at < count:
            at = parser.take_chunk(self._buf, at, count, now_ms)
            if parser.verdict == OK:
                judged = True
                node.hear(parser, now_ms)
            elif parser.verdict != NOTHING or parser.dropped:
                judged = True
                self._spoilt(node, now_ms)
        if not judged and not parser.is_open:       # outside of any frame
            node.garbled(now_ms, odd_bytes(self._buf, count))

    def _spoilt(self, node, now_ms):
        parser = self._parser
        parser.dropped = 0
        self.garbled += 1
        node.garbled(now_ms, parser.odd())

    def _follow(self, node):
        """The UART at the rate of *node*; it has nothing to send."""
        if node.baud != self._baud and self._set_baud is not None:
            self._baud = node.baud
            self._set_baud(self._baud)
            if self._parser.is_open:
                self._parser.drop()
                self._parser.dropped = 0

    def _change_role(self, now_ms):
        """DIP-01: 0 alone, 1 master, others slaves."""
        pack = self._pack
        self._dip = pack.dip
        self._system.fleet.clear()
        pack.system_cpct = -1
        for fault in (FAULT_LINK, FAULT_ADDRESS, FAULT_MANY):   # of the role before
            pack.set_fault(fault, False)
        self._last_ms = now_ms
        if self._dip == 0:
            self._node = None
        else:
            self._node = self.master if self._dip == MASTER else self.slave
            self._node.start(now_ms)
        self._system.own.module = self._dip if self._dip else 1
        if self.task is not None:
            self.task.set_period(PERIOD_MS if self._node else ALONE_MS)
