"""How long the core works on an answer to the longest requests, on the RP2040 (COM-06)."""

import time
import unittest

from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import LATE, ON_MICROPYTHON, feed, scan_regs
from profiles import am5000
from protocols.ascii.port import MODULES
from protocols.pcs import Pcs
from protocols.snapshot import Identity, Snapshot, System

_MOST_US = 14_000       # after 20 ms between polls and the longest control step: within 50 ms

NOT_ON = ("rv32",)      # its time there is that of the computer that emulates it


class TestReplyTime(unittest.TestCase):
    def setUp(self):
        if not ON_MICROPYTHON:
            raise unittest.SkipTest("counts the cycles of the chip")
        self.pack = Pack(am5000, Parameters(), 100)
        self.pack.afe_ready = True
        identity = Identity("AM5000", (1, 3, 7), "AM5000A000000001")
        self.system = System(self.pack, identity)
        self.protocol = Pcs(self.system, self.pack, identity)
        self.pack.measurements.take(scan_regs(), LATE)
        self.pack.step(LATE, True)
        for i in range(1, MODULES):
            other = Snapshot(16)
            other.valid = True
            other.module = i + 1
            other.min_cell_mv = other.max_cell_mv = 3300
            self.system.modules.append(other)

    def took_us(self, request):
        feed(self.protocol, request[:-1], LATE)
        start_us = time.ticks_us()
        length = self.protocol.take(request[-1], LATE)
        took_us = time.ticks_diff(time.ticks_us(), start_us)
        self.assertTrue(length > 0)
        return took_us

    def test_of_the_whole_of_fifteen_modules(self):             # req: COM-06 COM-03
        for text in (b"~20024642E002FFFD09\r", b"~20024644E002FFFD07\r", b"~200246600000FDAC\r"):
            took_us = self.took_us(text)
            self.assertTrue(took_us <= _MOST_US, "%r took %d us" % (text, took_us))

    def test_of_one_pack(self):                                 # req: COM-06
        del self.system.modules[1:]
        for text in (b"~20024642E00202FD33\r", b"~200246610000FDAB\r", b"~200246630000FDA9\r"):
            took_us = self.took_us(text)
            self.assertTrue(took_us <= _MOST_US // 2, "%r took %d us" % (text, took_us))

    def test_of_the_sum_of_fifteen_modules(self):               # req: COM-06 COM-03
        for text in (b"~200246610000FDAB\r", b"~200246620000FDAA\r", b"~200246630000FDA9\r"):
            took_us = self.took_us(text)
            self.assertTrue(took_us <= _MOST_US, "%r took %d us" % (text, took_us))


if __name__ == "__main__":
    unittest.main()
