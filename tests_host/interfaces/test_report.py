"""The report of the debug port: a row is all that a field needs."""

import struct
import unittest

from bms.pack import Pack
from bms.words.parameters import Parameters
from profiles import am5000
from protocols.debug import report
from protocols.debug.report_rows import FIELDS
from protocols.snapshot import System

NEW = (("balance_state", "balancing.state", "B", 1, "", "a new row"),
       ("supervisor_secret", "supervisor.secret", "I", 1, "s", "another one"))


class Supervisor:
    heap_free = 12_345
    secret = 987_654

    def uptime_s(self, now_ms):
        return now_ms // 1000


class Control:
    afe_starts = 3


class Task:
    worst_us, overruns, errors = 4321, 2, 1


class Can:
    state, sent, timeouts, received = 1, 1000, 17, 44


class TestRows(unittest.TestCase):
    def setUp(self):
        self.pack = Pack(am5000, Parameters(), 100)
        self._rows = report.FIELDS

    def tearDown(self):
        report.FIELDS = self._rows

    def report(self, rows=FIELDS, connected=True):
        """{name: value} of a report with *rows* as the table."""
        report.FIELDS = tuple(rows)
        reporter = report.Reporter(self.pack, Control(), Supervisor())
        if connected:
            reporter.connect([Task(), Task()], Can(), System(self.pack))
        buf = bytearray(600)
        end = reporter.pack_into(buf, 0, 5000)
        self.assertEqual(end, report.size(reporter.fields))
        values = {}
        at = 0
        for name, letter, count, _, _ in reporter.fields:
            form = "<%d%s" % (count, letter)
            values[name] = struct.unpack_from(form, buf, at)
            at += struct.calcsize(form)
        return {name: value[0] if len(value) == 1 else value for name, value in values.items()}

    def test_a_row_is_sent_wherever_it_stands(self):        # req: HST-02
        before = self.report()
        for at in (0, 1, 20, len(FIELDS) // 2, len(FIELDS)):
            rows = FIELDS[:at] + NEW + FIELDS[at:]
            after = self.report(rows)
            self.assertEqual(after.pop("balance_state"), self.pack.balancing.state)
            self.assertEqual(after.pop("supervisor_secret"), 987_654)
            self.assertEqual(after, before)

    def test_values_come_from_their_parts(self):            # req: HST-02
        self.pack.dip = 5
        told = self.report()
        for name, value in (("uptime_s", 5), ("heap_free", 12_345), ("afe_restarts", 3),
                            ("overruns", 4), ("task_errors", 2), ("worst_us", 4321),
                            ("can_sent", 1000), ("can_state", 1), ("can_timeouts", 17),
                            ("can_received", 44), ("dip", 5), ("modules", 1), ("fets", 0)):
            self.assertEqual(told[name], value, name)

    def test_what_is_not_there_is_no_reading(self):         # req: MEA-05
        told = self.report(connected=False)
        for name, value in (("can_sent", 0xFFFFFFFF), ("modules", 0xFF), ("worst_us", 0xFFFFFFFF),
                            ("system_current_ma", -0x80000000), ("stack_mv", -0x80000000),
                            ("mos_dc", -0x8000), ("first_out", 0xFF), ("first_out_cell", -1)):
            self.assertEqual(told[name], value, name)
        self.assertEqual(told["cell_mv"], (0xFFFF,) * 16)


if __name__ == "__main__":
    unittest.main()
