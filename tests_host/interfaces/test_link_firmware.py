"""The debug port's protocol, the pack's side: frames, answers, refusals, noise."""

import struct
import unittest

from bms.words import events as ev
from bms.pack import Pack
from bms.words.parameters import Parameters
from fakes import LATE, WRAP, Lcg, feed, put16, scan_regs
from profiles import am5000
from protocols.debug.link import Link
from protocols.debug.report import Reporter


class FakeSupervisor:
    heap_free = 123_456

    def __init__(self, start_ms):
        self._start_ms = start_ms

    def uptime_s(self, now_ms):
        return ((now_ms - self._start_ms) & 0x3FFFFFFF) // 1000


class FakeControl:
    afe_starts = 1


class FakeTask:
    worst_us = 4321
    overruns = 2
    errors = 1


def crc16(data):
    """CRC-16/CCITT-FALSE, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ 0x11021 if crc & 0x8000 else crc << 1
    return crc


def frame(kind, payload=b"", seq=7, version=1):
    head = bytes((version, seq, kind, len(payload) & 0xFF, len(payload) >> 8))
    return b"\xb5" + head + payload + struct.pack("<H", crc16(head + payload))


class TestCase(unittest.TestCase):
    def setUp(self):
        self.now = LATE
        self.params = Parameters()
        self.pack = Pack(am5000, self.params, 100)
        self.pack.afe_ready = True
        self.pack.fets.actual = 3       # both closed, as the control task read back
        self.reporter = Reporter(self.pack, FakeControl(), FakeSupervisor(self.now))
        self.reporter.connect([FakeTask(), FakeTask()])
        self.provoked = []
        self.link = Link(self.pack, self.reporter, "product=packctl\nproto=1",
                         {"why": lambda words: "nothing " + " ".join(words),
                          "quiet": lambda words: None}, self.provoke)
        self.scan(scan_regs())

    def scan(self, regs):
        self.pack.measurements.take(regs, self.now)
        self.pack.step(self.now, True)

    def provoke(self, text):
        if text == "bad":
            raise ValueError("known: good")
        self.provoked.append(text)

    def split(self, answers):
        """[(seq, type, payload)] of whole frames with a right CRC, nothing between them."""
        found = []
        while answers:
            self.assertEqual(answers[:2], b"\xb5\x01")
            length = answers[4] | answers[5] << 8
            self.assertTrue(length <= 1024)
            body = answers[1:6 + length]
            self.assertEqual(answers[6 + length:8 + length], struct.pack("<H", crc16(body)))
            found.append((answers[2], answers[3], answers[6:6 + length]))
            answers = answers[8 + length:]
        return found

    def ask(self, kind, payload=b"", seq=7):
        """Payload of the answer; its seq and type are checked."""
        found = self.split(feed(self.link, frame(kind, payload, seq), self.now))
        self.assertEqual([one[:2] for one in found], [(seq, kind | 0x80)])
        return found[0][2]

    def refusal(self, kind, payload=b""):
        """(code, text) of the refusal."""
        found = self.split(feed(self.link, frame(kind, payload), self.now))
        self.assertEqual([one[:2] for one in found], [(7, 0xFF)])
        answer = found[0][2]
        self.assertEqual(answer[0], kind)
        return answer[1], answer[2:].decode()

    def pages(self, kind):
        """All text lines of a paged request with a first byte."""
        lines = []
        page = 0
        for _ in range(50):
            answer = self.ask(kind, bytes((page,)))
            lines.extend(answer[1:].decode().split("\n"))
            page = answer[0]
            if page == 0:
                return lines
        self.fail("pages without end")

    def params_listed(self):
        rows = {}
        first = 0
        while first != 0xFFFF:
            answer = self.ask(0x06, struct.pack("<H", first))
            following = answer[0] | answer[1] << 8
            self.assertTrue(following > first)
            for line in answer[2:].decode().split("\n"):
                fields = line.split(";")
                self.assertEqual(len(fields), 8, line)
                rows[fields[1]] = fields
            first = following
        return rows

    def report(self):
        """{name: value or list} unpacked by the schema the pack gives itself."""
        data = self.ask(0x03)
        at = 2
        values = {}
        for line in self.pages(0x02):
            name, letter, count = line.split(";")[:3]
            one = []
            for _ in range(int(count)):
                one.append(struct.unpack_from("<" + letter, data, at)[0])
                at += struct.calcsize("<" + letter)
            values[name] = one if int(count) > 1 else one[0]
        self.assertEqual(at, len(data))
        return values


class TestAnswers(TestCase):
    def test_hello_names_the_pack(self):                        # req: COM-04
        lines = dict(line.split("=", 1) for line in self.ask(0x01).decode().split("\n"))
        self.assertEqual((lines["product"], lines["proto"]), ("packctl", "1"))
        self.assertEqual(int(lines["schema"], 16),
                         struct.unpack("<H", self.ask(0x03)[:2])[0])

    def test_the_answer_carries_the_requests_number(self):      # req: COM-04
        for seq in (0, 1, 0xB5, 255):
            self.ask(0x01, b"", seq)

    def test_a_report_is_told_by_its_own_schema(self):          # req: HST-02
        regs = scan_regs(cell_mv=3312, current_ma=-20_500, temp_dc=231)
        put16(regs, 0x14 + 30, 3299)
        self.scan(regs)
        values = self.report()
        self.assertEqual(values["cell_mv"], [3312] * 15 + [3299])
        for name, value in (("current_ma", -20_500), ("stack_mv", 52_990), ("pack_mv", 52_990),
                            ("temp_dc", [231] * 4), ("mos_dc", 231), ("seq", 2), ("age_ms", 0),
                            ("state", 4), ("alarms", 0), ("faults", 0), ("protections", 0),
                            ("ccl_ma", self.pack.ccl_ma), ("dcl_ma", self.pack.dcl_ma),
                            ("cvl_mv", 55_600),
                            ("full_mah", 100_000), ("dip", 0), ("heap_free", 123_456),
                            ("afe_restarts", 1), ("worst_us", 4321), ("overruns", 4),
                            ("task_errors", 2)):
            self.assertEqual(values[name], value, name)

    def test_cells_in_doubt_are_no_readings(self):              # req: MEA-03 MEA-05
        regs = scan_regs(stack_mv=51_000)
        self.scan(regs)
        values = self.report()
        self.assertEqual(values["cell_mv"], [0xFFFF] * 16)
        self.assertEqual(values["stack_mv"], 51_000)
        self.scan(scan_regs())
        self.assertEqual(self.report()["cell_mv"], [3300] * 16)

    def test_every_field_has_name_type_count_unit_and_meaning(self):    # req: HST-02
        for kind in (0x02, 0x05):
            names = []
            for line in self.pages(kind):
                name, letter, count, unit, meaning = line.split(";", 4)
                names.append(name)
                self.assertIn(letter, "BbHhIi")
                self.assertTrue(int(count) >= 1 and meaning, line)
            self.assertEqual(len(set(names)), len(names))

    def test_values_too_old_are_marked_as_none(self):           # req: MEA-05
        for age_ms, live in ((300, True), (301, False)):
            self.setUp()
            self.now = (self.now + age_ms) % WRAP
            values = self.report()
            self.assertEqual(values["cell_mv"], [3300 if live else 0xFFFF] * 16)
            self.assertEqual(values["current_ma"], 0 if live else -0x80000000)
            self.assertEqual(values["temp_dc"], [250 if live else -0x8000] * 4)
            self.assertEqual(values["age_ms"], age_ms)

    def test_a_broken_sensor_is_marked_as_none(self):           # req: MEA-03
        regs = scan_regs()
        put16(regs, 0x70, 0)
        put16(regs, 0x6E, 0x7FFF)
        self.scan(regs)
        values = self.report()
        self.assertEqual((values["temp_dc"], values["ambient_dc"]),
                         ([-0x8000, 250, 250, 250], -0x8000))

    def test_before_the_first_scan(self):                       # req: MEA-05
        self.pack.measurements.seq = 0
        values = self.report()
        self.assertEqual((values["seq"], values["age_ms"], values["current_ma"]),
                         (0, 0xFFFF, -0x80000000))

    def test_uptime_goes_on_over_the_wrap(self):
        for i in range(5):
            self.assertEqual(self.report()["uptime_s"], i)
            self.now = (self.now + 1000) % WRAP

    def test_values_that_cannot_be_raise_nothing(self):         # req: COM-06
        for reg in (0x14, 0x34, 0x36, 0x3A, 0x68, 0x6E, 0x70, 0x7A, 0x12):
            for value in (0x0000, 0x7FFF, 0x8000, 0xFFFF):
                regs = scan_regs()
                put16(regs, reg, value)
                self.scan(regs)
                self.report()

    def test_counters_that_ran_over_raise_nothing(self):        # req: COM-06
        FakeControl.afe_starts = 70_000
        self.pack.measurements.failed_all = 70_000
        try:
            values = self.report()
        finally:
            FakeControl.afe_starts = 1
        self.assertEqual((values["afe_restarts"], values["scans_failed"]), (0xFFFF, 0xFFFF))

    def test_events_since_a_number(self):                       # req: REC-02
        log = self.pack.events
        for i in range(40):
            log.add(i, ev.DIP, i & 15, -1, -i, 2 * i)
        newest = log.newest
        layout = "<IIBBbiiIHBBiH"
        size = struct.calcsize(layout)
        answer = self.ask(0x04, struct.pack("<IB", newest - 3, 10))
        self.assertEqual((answer[0], len(answer)), (3, 1 + 3 * size))
        last = struct.unpack_from(layout, answer, 1 + 2 * size)
        self.assertEqual(last[:7], (newest, 39, ev.DIP, 7, -1, -39, 78))
        self.assertEqual((last[7], last[8], last[11]), (0xFFFFFFFF, 1, 0))  # no clock; start 1
        for since, most, count in ((newest, 10, 0), (newest + 5, 10, 0), (newest - 5, 2, 2),
                                   (0xFFFFFFFF, 255, 0), (newest - 1, 0, 0)):
            self.assertEqual(self.ask(0x04, struct.pack("<IB", since, most))[0], count)
        answer = self.ask(0x04, struct.pack("<IB", 0, 255))
        self.assertTrue(answer[0] >= 19 and len(answer) == 1 + answer[0] * size)

    def test_all_events_can_be_fetched_in_turns(self):          # req: REC-02
        for i in range(300):
            self.pack.events.add(i, ev.DIP)
        seqs = []
        since = 0
        while True:
            answer = self.ask(0x04, struct.pack("<IB", since, 255))
            if not answer[0]:
                break
            for i in range(answer[0]):
                seqs.append(struct.unpack_from("<I", answer, 1 + 33 * i)[0])
            since = seqs[-1]
        newest = self.pack.events.newest
        self.assertEqual(seqs, list(range(newest - 127, newest + 1)))


class TestParameters(TestCase):
    def test_all_are_listed_with_everything(self):              # req: PAR-01
        from bms.words.parameters import TABLE
        rows = self.params_listed()
        self.assertEqual(len(rows), len(TABLE))
        self.assertEqual(rows["cell_ov_trip_mv"][:7],
                         ["2", "cell_ov_trip_mv", "mV", "3000", "3700", "3600", "3600"])

    def test_get_and_set(self):                                 # req: PAR-01 HST-02
        self.assertEqual(self.ask(0x07, b"\x04\x00"), struct.pack("<Hi", 4, 3000))
        self.assertEqual(self.ask(0x08, struct.pack("<Hi", 4, 2000)), struct.pack("<Hi", 4, 2000))
        self.assertEqual(self.params["cell_ov_delay_ms"], 2000)
        self.assertEqual(self.ask(0x07, b"\x04\x00"), struct.pack("<Hi", 4, 2000))

    def test_a_set_is_recorded(self):                           # req: PAR-01
        self.ask(0x08, struct.pack("<Hi", 4, 2000))
        log = self.pack.events
        self.assertEqual([log.get(log.newest, c) for c in (2, 3, 5, 6)],
                         [ev.PARAMETER, 4, 2000, 3000])

    def test_several_are_one_set(self):                         # req: PAR-04 PAR-03
        # one after the other the first would be refused: its alarm is above it
        body = struct.pack("<HiHiHi", 2, 3350, 3, 3250, 1, 3310)
        self.assertEqual(self.refusal(0x08, body[:6])[0], 3)
        before = self.params.changed
        self.assertEqual(self.ask(0x08, body), body)
        self.assertEqual([self.params[name] for name in (
            "cell_ov_trip_mv", "cell_ov_release_mv", "cell_ov_alarm_mv")], [3350, 3250, 3310])
        self.assertEqual(self.params.changed, before + 1)
        log = self.pack.events
        self.assertEqual(sorted([log.get(log.newest - k, c) for c in (2, 3, 5, 6)]
                                for k in (2, 1, 0)),
                         [[ev.PARAMETER, 1, 3310, 3500], [ev.PARAMETER, 2, 3350, 3600],
                          [ev.PARAMETER, 3, 3250, 3300]])

    def test_all_or_none(self):                                 # req: PAR-04 PAR-03
        events = self.pack.events.newest
        for bad in (struct.pack("<Hi", 2, 9999), struct.pack("<Hi", 0xFFFF, 1),
                    struct.pack("<Hi", 3, 3600)):
            code, _ = self.refusal(0x08, struct.pack("<Hi", 4, 2000) + bad)
            self.assertEqual(code, 3)
            self.assertEqual((self.params["cell_ov_delay_ms"], self.pack.events.newest),
                             (3000, events))
        self.assertEqual(self.refusal(0x08, b"")[0], 2)
        self.assertEqual(self.refusal(0x08, bytes(7))[0], 2)

    def test_a_refused_set_says_why_and_changes_nothing(self):  # req: PAR-03
        for value, word in ((3500, "cell_ov_alarm_mv"), (9999, "3000..3700"), (-1, "outside"),
                            (-0x80000000, "outside"), (0x7FFFFFFF, "outside")):
            code, text = self.refusal(0x08, struct.pack("<Hi", 2, value))
            self.assertEqual(code, 3)
            self.assertIn(word, text)
            self.assertEqual(self.params["cell_ov_trip_mv"], 3600)

    def test_unknown_ids(self):
        self.assertEqual(self.refusal(0x07, b"\xff\xff")[0], 3)
        self.assertEqual(self.refusal(0x08, b"\xff\xff\x00\x00\x00\x00")[0], 3)

    def test_restore(self):                                     # req: RST-02
        self.ask(0x08, struct.pack("<Hi", 4, 2000))
        self.assertEqual(self.ask(0x09), b"")
        self.assertEqual(self.params["cell_ov_delay_ms"], 3000)

    def test_a_list_beyond_the_end_is_empty(self):
        self.assertEqual(self.ask(0x06, b"\x00\xff"), b"\xff\xff")


class TestPin(TestCase):
    """Without the owner's PIN the port reads and answers questions (SAF-11)."""

    ACTS = ((0x08, struct.pack("<Hi", 4, 2000)), (0x09, b""), (0x0B, b"heap_full"),
            (0x0A, b"quiet"))

    def setUp(self):
        super().setUp()
        self.params.set("bench_enable", 1)
        self.pack.rights.pin.set("4711", 0)

    def test_what_changes_anything_is_refused(self):            # req: SAF-11
        for kind, payload in self.ACTS:
            code, text = self.refusal(kind, payload)
            self.assertEqual((code, "PIN" in text), (4, True), kind)
        self.assertEqual(self.params["cell_ov_delay_ms"], 3000)

    def test_what_reads_is_answered(self):                      # req: SAF-11
        for kind, payload in ((0x01, b""), (0x02, b"\0"), (0x03, b""), (0x04, bytes(4) + b"\5"),
                              (0x05, b"\0"), (0x06, b"\0\0"), (0x07, b"\4\0"), (0x0A, b"why"),
                              (0x0C, b"\0")):
            self.ask(kind, payload)

    def test_with_it_everything_is_as_ever(self):               # req: SAF-11
        self.pack.rights.pin.enter("4711", 0)
        self.ask(*self.ACTS[0])
        self.assertEqual(self.params["cell_ov_delay_ms"], 2000)

    def test_a_provocation_is_on_record(self):                  # req: SAF-11
        self.pack.rights.pin.enter("4711", 0)
        self.ask(0x0B, b"task_hang control")
        log = self.pack.events
        self.assertEqual([log.get(log.newest, k) for k in (2, 3)], [ev.PROVOKE, 1])


class TestRefusals(TestCase):
    def test_unknown_types(self):                               # req: COM-06
        for kind in (0x00, 0x0E, 0x42, 0x7F, 0x81, 0xFF):
            self.assertEqual(self.refusal(kind)[0], 1, kind)

    def test_bench_enable_is_0_as_delivered(self):              # req: SAF-10
        self.assertEqual(self.params["bench_enable"], 0)

    def test_wrong_lengths(self):                               # req: COM-06
        for kind, payload in ((0x02, b""), (0x02, b"\x00\x00"), (0x04, b"\x00"), (0x05, b""),
                              (0x06, b"\x00"), (0x07, b"\x01"), (0x08, b"\x01\x00"),
                              (0x08, bytes(7))):
            self.assertEqual(self.refusal(kind, payload)[0], 2, kind)

    def test_pages_beyond_the_end(self):
        for kind in (0x02, 0x05):
            self.assertEqual(self.refusal(kind, b"\xff")[0], 3)

    def test_commands(self):                                    # req: REC-03
        self.assertEqual(self.ask(0x0A, b"why not"), b"nothing not")
        self.assertEqual(self.ask(0x0A, b"quiet"), b"")
        for text in (b"", b"   ", b"nonsense", b"WHY"):
            code, reply = self.refusal(0x0A, text)
            self.assertEqual((code, reply), (3, "commands: quiet why"))
        self.assertEqual(self.refusal(0x0A, b"\xff\xfe")[0], 3)

    def test_provoking_needs_its_parameter(self):
        self.params.set("bench_enable", 1)
        self.assertEqual(self.ask(0x0B, b"task_raise pcs"), b"")
        self.assertEqual(self.provoked, ["task_raise pcs"])
        self.assertEqual(self.refusal(0x0B, b"bad"), (3, "known: good"))
        self.params.set("bench_enable", 0)
        self.assertEqual(self.refusal(0x0B, b"task_raise pcs")[0], 4)
        self.assertEqual(self.provoked, ["task_raise pcs"])


class TestNoise(TestCase):
    def good(self):
        self.assertEqual(len(self.ask(0x07, b"\x04\x00")), 6)

    def test_a_wrong_crc_is_dropped_in_silence(self):           # req: COM-06
        data = frame(0x01)
        for i in range(1, len(data)):
            for bit in (0, 3, 7):
                bad = bytearray(data)
                bad[i] ^= 1 << bit
                if i in (4, 5):
                    continue                    # another length: waits for more
                self.assertEqual(feed(self.link, bad, self.now), b"", repr((i, bit)))
        self.good()

    def test_a_length_beyond_the_buffer_is_dropped(self):       # req: COM-06
        self.assertEqual(feed(self.link, b"\xb5\x01\x00\x01\xff\xff", self.now), b"")
        self.good()

    def test_another_version_is_dropped(self):
        self.assertEqual(feed(self.link, frame(0x01, version=2), self.now), b"")
        self.good()

    def test_text_and_other_protocols_are_ignored(self):        # req: COM-06
        self.assertEqual(feed(self.link, b"help\r\n~2002464F0000FD98\r", self.now), b"")
        self.assertEqual(self.link.dropped, 0)
        self.good()

    def test_a_start_byte_just_before_a_frame(self):            # req: COM-06
        for noise in (b"\xb5", b"\xb5\xb5", b"\x00\xb5"):
            found = self.split(feed(self.link, noise + frame(0x01), self.now))
            self.assertEqual(len(found), 1, repr(noise))

    def test_half_a_frame_is_forgotten_after_a_pause(self):     # req: COM-06
        data = frame(0x01)
        for gap_ms, answered in ((499, True), (500, True), (501, False)):
            for start in (0, LATE, WRAP - 1):
                self.assertEqual(feed(self.link, data[:5], start), b"")
                rest = feed(self.link, data[5:], (start + gap_ms) % WRAP)
                self.assertEqual(rest != b"", answered, repr((gap_ms, start)))
                self.now = (start + gap_ms + 10) % WRAP
                self.good()

    def test_requests_back_to_back_are_all_answered(self):      # req: COM-04
        found = self.split(feed(self.link, frame(0x01, seq=1) + frame(0x03, seq=2)
                                + frame(0x0C, seq=3), self.now))
        self.assertEqual([one[:2] for one in found], [(1, 0x81), (2, 0x83), (3, 0xFF)])

    def test_any_bytes_then_a_pause_then_a_good_request(self):  # req: COM-06
        rng = Lcg(11)
        for _ in range(40):
            noise = bytearray(rng.below(60))
            for i in range(len(noise)):
                noise[i] = rng.pick((rng.below(256), rng.pick(b"\xb5\x01\x00\x03")))
            feed(self.link, noise, self.now)
            self.now = (self.now + 501) % WRAP
            self.good()

    def test_any_request_with_any_payload_is_answered_in_form(self):    # req: COM-06
        rng = Lcg(12)
        for kind in list(range(16)) + [0x80, 0xFF]:
            for _ in range(4):
                payload = bytearray(rng.below(10))
                rng.fill(payload)
                found = self.split(feed(self.link, frame(kind, bytes(payload)), self.now))
                self.assertEqual(len(found), 1, repr((kind, payload)))
                self.assertEqual(found[0][0], 7)


if __name__ == "__main__":
    unittest.main()
