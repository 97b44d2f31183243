"""Properties that hold for any input, searched by hypothesis on the host.

The oracle of the protection table is written from the specification, section 3, as one object an
item that keeps its history, not as columns of numbers.
"""

import struct
from array import array

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crc16_py
import due_py
from bms.words import parameters
from bms.words import rules
from bms.words import readings as rd
from bms.pack import Pack
from bms.words.parameters import Parameters
from bms.protect.protection import Protection
from hot.protect_py import ALARM, LOCKED, TRIPPED, WAITS
from fakes import Beyond, NO_READING, FakeUart, feed, scan_regs
from hot import hex_text_py
from profiles import am5000
from protocols.ascii import frame as ascii_frame
from protocols.debug.link import Link
from protocols.pcs import Pcs
from protocols.debug.report import Reporter
from protocols.snapshot import Identity, System
from scheduler import Scheduler, Task
from tasks.serial_port import SerialPort
from test_link_firmware import FakeControl, FakeSupervisor, FakeTask, frame

TICKS = 1 << 30
SLOW = settings(deadline=None, max_examples=80,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

# ---- the protection table against an oracle ----------------------------------------------


class Watched:
    """One item of the specification: its past, asked at each scan."""

    def __init__(self, name, sense, alarm, clear, trip, delay_ms, opens, release=None, soc=False,
                 out=None, after_ms=None, lock=None, mute=None):
        self.name, self.sense = name, sense
        self.alarm, self.clear, self.trip, self.delay_ms = alarm, clear, trip, delay_ms
        self.opens, self.release, self.soc = opens, release, soc
        self.out, self.after_ms, self.lock, self.mute = out, after_ms, lock, mute
        self.in_alarm = self.tripped = self.locked = False
        self.alarm_for, self.trip_for = Beyond(), Beyond()
        self.tripped_at = self.quiet_from = self.waits_from = None
        self.forget_ms = 90_000 if out == "charger" else 600_000        # PRO-33
        self.row = 0

    def beyond(self, value, limit):
        return value >= limit if self.sense > 0 else value <= limit

    def inside(self, value, limit):
        return value <= limit if self.sense > 0 else value >= limit

    def step(self, now, dt_ms, value, has):
        """*has*: names of the conditions that hold now."""
        known = value != NO_READING
        if self.alarm is not None:
            if self.mute and self.mute in has:
                self.in_alarm = False
                self.alarm_for.reset()
            else:
                turning = None
                if known:
                    turning = (self.inside(value, self.clear) if self.in_alarm
                               else self.beyond(value, self.alarm))
                ms = self.alarm_for.step(dt_ms, turning)
                if ms is not None and ms >= self.delay_ms:
                    self.in_alarm = not self.in_alarm
                    self.alarm_for.reset()
        if self.trip is None:
            return
        if self.tripped:
            self._look_for_release(now, value, known, has)
        else:
            self._look_for_trip(now, dt_ms, value, known, has)

    def _look_for_trip(self, now, dt_ms, value, known, has):
        out = self.out and self.out in has
        if self.waits_from is not None and (out or now - self.waits_from >= 30_000):
            self.waits_from = None
        if out:
            self.trip_for.reset()
            self.row = 0
        else:
            ms = self.trip_for.step(dt_ms, self.beyond(value, self.trip) if known else None)
            if ms is not None and ms >= self.delay_ms:
                self.tripped, self.tripped_at = True, now
                self.waits_from = None
                self.trip_for.reset()
                self.row += 1
                self.locked = self.lock is not None and self.row >= self.lock
                return
        if self.row and self.quiet_from is not None and (
                now - self.quiet_from >= self.forget_ms):
            self.row = 0

    def _look_for_release(self, now, value, known, has):
        free = False
        if self.out and self.out in has:
            free, self.row = True, 0
        elif self.locked:
            return
        elif self.after_ms is not None:
            free = now - self.tripped_at >= self.after_ms
        elif known and self.release is not None:
            free = self.inside(value, self.release) and (not self.soc or "soc" in has)
        if free:
            self.tripped = self.locked = False
            self.quiet_from = now
            if self.out == "charger" and self.out not in has:
                self.waits_from = now


def oracle():
    """The table of the specification, section 3."""
    up, down = 1, -1
    return [
        Watched("PRO-01", up, 3500, 3480, 3600, 3000, 1, 3300, True, "relief"),
        Watched("PRO-02", down, 2800, 2820, 2700, 3000, 2, 3300, False, "charger",
                lock=10),
        Watched("PRO-03", up, 56_800, 56_600, 57_600, 3000, 1, 54_000, True, "relief"),
        Watched("PRO-04", down, 45_600, 45_800, 44_000, 3000, 2, 48_000, False, "charger",
                lock=10),
        Watched("PRO-05", up, 105_000, 104_000, 110_000, 3000, 1, None, False, "discharge",
                60_000, 10),
        Watched("PRO-06", up, 105_000, 104_000, 110_000, 3000, 2, None, False, "charge", 60_000,
                10),
        Watched("PRO-07", up, None, None, 150_000, 100, 2, None, False, "charge", 60_000, 10),
        Watched("PRO-09", down, 80, 85, 50, 3000, 1, 80),
        Watched("PRO-10", up, 520, 515, 580, 3000, 1, 530),
        Watched("PRO-11", down, -150, -145, -200, 3000, 2, -100),
        Watched("PRO-12", up, 520, 515, 580, 3000, 2, 530),
        Watched("PRO-13", down, -150, -145, -200, 3000, 3, -150),
        Watched("PRO-14", up, 650, 645, 750, 3000, 3, 650),
        Watched("PRO-15", down, 299, 300, None, 3000, 0, mute="charge flows"),
        Watched("PRO-16", up, 300, 250, None, 10_000, 0),
        Watched("PRO-17", up, 900, 895, 1050, 3000, 3, 850),
    ]


READS = {"PRO-01": rd.MAX_CELL_MV, "PRO-02": rd.MIN_CELL_MV, "PRO-05": rd.CHARGE_MA,
         "PRO-06": rd.DISCHARGE_MA, "PRO-07": rd.DISCHARGE_MA, "PRO-09": rd.MIN_TEMP_DC,
         "PRO-10": rd.MAX_TEMP_DC, "PRO-11": rd.MIN_TEMP_DC, "PRO-12": rd.MAX_TEMP_DC,
         "PRO-13": rd.AMBIENT_DC, "PRO-14": rd.AMBIENT_DC, "PRO-15": rd.SOC_CPCT,
         "PRO-16": rd.CELL_DIFF_MV, "PRO-17": rd.MOS_DC}
BITS = {"discharge": rules.DISCHARGING, "relief": rules.RELIEF, "charge": rules.CHARGING,
        "charger": rules.CHARGED, "soc": rules.SOC_BELOW_FULL,
        "charge flows": rules.CHARGE_FLOWS}


def near(*limits):
    """Values at, one off and some way off the limits, and none."""
    around = sorted({limit + off for limit in limits for off in (-30, -1, 0, 1, 30)})
    return st.one_of(st.sampled_from(around), st.just(NO_READING))


SCANS = st.lists(st.tuples(
    st.sampled_from((100, 100, 100, 99, 101, 1000, 2900, 3000, 60_000, 600_000)),
    st.fixed_dictionaries({
        rd.MAX_CELL_MV: near(3300, 3480, 3500, 3600), rd.MIN_CELL_MV: near(2700, 2800, 2820, 3300),
        "pack": near(44_000, 45_600, 48_000, 54_000, 56_800, 57_600),
        rd.CHARGE_MA: near(0, 104_000, 105_000, 110_000),
        rd.DISCHARGE_MA: near(0, 105_000, 110_000, 150_000),
        rd.MIN_TEMP_DC: near(-200, -150, -100, 50, 80), rd.MAX_TEMP_DC: near(520, 530, 580),
        rd.AMBIENT_DC: near(-200, -150, 650, 750), rd.MOS_DC: near(850, 900, 1050),
        rd.SOC_CPCT: near(300), rd.CELL_DIFF_MV: near(250, 300)}),
    st.sets(st.sampled_from(sorted(BITS)), max_size=3)), min_size=1, max_size=40)


@pytest.mark.req("PRO-21")
@pytest.mark.req("PRO-22")
@pytest.mark.req("PRO-26")
@SLOW
@given(SCANS)
def test_protection_table_is_the_specifications(scans):
    protection = Protection(Parameters())
    index = {rules.ITEMS[i][rules.ID]: i for i in range(len(rules.ITEMS))}
    pack_slot = rules.ITEMS[index["PRO-03"]][rules.READING]
    items = oracle()
    values = array("i", [NO_READING] * rd.COUNT)
    values[rd.REVERSED] = 0
    now = 0
    for number, (dt_ms, readings, has) in enumerate(scans):
        dt_ms = dt_ms if number else 0
        now += dt_ms
        for slot, value in readings.items():
            values[pack_slot if slot == "pack" else slot] = value
        protection.step(values, dt_ms, sum(BITS[name] for name in has), 0)
        protection.take_changes(lambda i, before, after: None)
        blocked = 0
        for item in items:
            slot = READS.get(item.name, pack_slot)
            item.step(now, dt_ms, values[slot], has)
            bit = 1 << index[item.name]
            where = (number, item.name, values[slot], sorted(has))
            assert (protection.alarms & bit != 0) == item.in_alarm, where
            assert (protection.trips & bit != 0) == item.tripped, where
            assert (protection.locks & bit != 0) == item.locked, where
            if item.tripped or item.waits_from is not None:
                blocked |= item.opens
        assert protection.blocked == blocked


@pytest.mark.req("PRO-20")
@SLOW
@given(SCANS)
def test_protection_blocks_exactly_what_has_tripped(scans):
    protection = Protection(Parameters())
    values = array("i", [NO_READING] * rd.COUNT)
    values[rd.REVERSED] = 0
    waits = 0
    for dt_ms, readings, has in scans:
        for slot, value in readings.items():
            values[rd.CELL_SUM_MV if slot == "pack" else slot] = value
        changed = protection.step(values, dt_ms, sum(BITS[name] for name in has), 0)
        news = []
        protection.take_changes(lambda i, before, after, to=news: to.append((i, before, after)))
        assert bool(news) == changed
        for _, before, after in news:
            assert before != after and after & ~(ALARM | TRIPPED | LOCKED | WAITS) == 0
            assert not after & LOCKED or after & TRIPPED
            assert not after & WAITS or not after & TRIPPED
        for i, _, after in news:
            waits = waits & ~(1 << i) | (1 << i if after & WAITS else 0)
        blocked = 0
        for i in range(len(rules.ITEMS)):
            if (protection.trips | waits) >> i & 1:
                blocked |= rules.ITEMS[i][rules.BLOCKS]
        assert protection.blocked == blocked
        assert protection.locks & ~protection.trips == 0


# ---- parameters --------------------------------------------------------------------------

NAMES = [row[1] for row in parameters.TABLE]
SETS = st.lists(st.one_of(
    st.tuples(st.sampled_from(NAMES), st.integers(-(1 << 31), (1 << 31) - 1)),
    st.sampled_from(parameters.TABLE).flatmap(
        lambda row: st.tuples(st.just(row[1]), st.integers(row[3], row[4]))),
    st.just(("restore", 0))), max_size=30)


@pytest.mark.req("PAR-03")
@SLOW
@given(SETS)
def test_any_sequence_of_sets_keeps_ranges_and_rules(sets):
    params = Parameters()
    for name, value in sets:
        before = [params[n] for n in NAMES]
        changed = params.changed
        if name == "restore":
            params.restore()
            assert [params[n] for n in NAMES] == [row[5] for row in parameters.TABLE]
        else:
            try:
                params.set(name, value)
                assert params[name] == value and params.changed == changed + 1
            except ValueError as error:
                assert name in str(error)
                assert [params[n] for n in NAMES] == before and params.changed == changed
        for row in parameters.TABLE:
            assert row[3] <= params[row[1]] <= row[4]
        for lesser, greater in parameters.RULES:
            assert params[lesser] < params[greater]


@pytest.mark.req("PRF-03")
@SLOW
@given(st.dictionaries(st.sampled_from(NAMES), st.integers(-60_000, 70_000), max_size=4))
def test_a_profile_is_consistent_or_refused_by_name(defaults):
    try:
        params = Parameters(defaults)
    except ValueError as error:
        assert any(name in str(error) for name in NAMES)
        return
    for lesser, greater in parameters.RULES:
        assert params[lesser] < params[greater]


# ---- protocols ---------------------------------------------------------------------------


def pack():
    one = Pack(am5000, Parameters(), 100)
    one.afe_ready = True
    one.measurements.take(scan_regs(), 0)
    one.step(0, True)
    return one


LIKELY = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="~\r0123456789ABCDEFabc", max_size=60).map(str.encode),
    st.lists(st.sampled_from([b"~20024642E00202FD33\r", b"~2002464F0000FD98\r", b"~", b"\r",
                              b"20024642E002", b"\xb5\x01", b"\xb5\x01\x00\x03\x00\x00"]),
             max_size=6).map(b"".join))


def pcs(one):
    """The inverter port's protocol of the pack *one*."""
    identity = Identity("AM5000", (1, 2, 3), "AM5000A000000001")
    return Pcs(System(one, identity), one, identity)


@pytest.mark.req("COM-06")
@SLOW
@given(st.lists(LIKELY, max_size=8))
def test_inverter_port_takes_any_bytes_and_answers_the_next_good_request(chunks):
    protocol = pcs(pack())
    size = len(protocol.out)
    for chunk in chunks:
        answers = feed(protocol, chunk, 0)
        for answer in answers.split(b"\r")[:-1]:
            assert answer[:1] == b"~" and len(answer) >= 17
            assert (int(answer[-4:], 16) + sum(answer[1:-4])) & 0xFFFF == 0
    assert feed(protocol, b"~2002464F0000FD98\r", 0) == b"~200246000000FDB2\r"
    assert len(protocol.out) == size


@pytest.mark.req("COM-06")
@SLOW
@given(st.integers(0, 255), st.text(alphabet="0123456789ABCDEF", max_size=20), st.integers(0, 15))
def test_inverter_port_answers_any_well_formed_request_in_form(cid2, info, dip):
    one = pack()
    one.dip = dip
    protocol = pcs(one)
    adr = 2 if dip <= 1 else dip + 1
    body = "20%02X46%02X%04X%s" % (adr, cid2, ascii_frame.length_field(len(info)), info)
    answer = feed(protocol, ("~%s%04X\r" % (body, -sum(map(ord, body)) & 0xFFFF)).encode(), 0)
    if cid2 == 0:
        assert answer == b""
    else:
        assert answer[:7] == ("~20%02X46" % adr).encode() and answer[-1:] == b"\r"
        lenid = int(answer[9:13], 16) & 0xFFF
        assert len(answer) == 18 + lenid


@pytest.mark.req("COM-01")
@SLOW
@given(st.binary(max_size=54), st.tuples(*[st.integers(0, 255)] * 4))
def test_what_is_encoded_is_parsed(info, head):
    out = bytearray(18 + 2 * len(info))
    assert ascii_frame.encode(out, *head, info, len(info)) == len(out)
    parser = ascii_frame.Parser()
    verdicts = [parser.take(byte, 0) for byte in out]
    assert verdicts == [ascii_frame.NOTHING] * (len(out) - 1) + [ascii_frame.OK]
    assert (parser.ver, parser.adr, parser.cid1, parser.cid2) == head
    assert bytes(parser.info[:parser.info_len]) == info


def link():
    one = pack()
    reporter = Reporter(one, FakeControl(), FakeSupervisor(0))
    reporter.connect([FakeTask()])

    def provoke(text):
        raise ValueError("nothing is known")
    return Link(one, reporter, "product=packctl", {"why": " ".join}, provoke)


@pytest.mark.req("COM-06")
@SLOW
@given(st.lists(LIKELY, max_size=8))
def test_debug_port_takes_any_bytes_and_answers_after_a_pause(chunks):
    one = link()
    now = 0
    for chunk in chunks:
        feed(one, chunk, now)
        now += 1
    answer = feed(one, frame(0x07, b"\x04\x00", 9), now + 501)
    assert answer[2:4] == b"\x09\x87" and answer[6:12] == struct.pack("<Hi", 4, 3000)


@pytest.mark.req("COM-06")
@SLOW
@given(st.integers(0, 255), st.binary(max_size=96), st.integers(0, 255))
def test_debug_port_answers_any_well_formed_request_in_form(kind, payload, seq):
    answer = feed(link(), frame(kind, payload, seq), 0)
    length = answer[4] | answer[5] << 8
    assert answer[:3] == bytes((0xB5, 1, seq)) and answer[3] in (kind | 0x80, 0xFF)
    assert len(answer) == length + 8
    assert crc16_py.crc16(answer, 1, 6 + length, 0xFFFF) == answer[-2] | answer[-1] << 8


@pytest.mark.req("COM-06")
@SLOW
@given(st.lists(st.tuples(
    st.lists(st.sampled_from((0x00, 0x41, 0xF0, 0xF5, 0xFF)), max_size=20).map(bytes),
    st.booleans()), max_size=20),
       st.one_of(st.none(), st.integers(1, 50)))
def test_serial_port_sends_every_answer_whole_and_in_order(steps, room):
    class Numbered:
        """Answers each byte of 0xF0 and above with a text of that many characters."""
        def __init__(self):
            self.out = bytearray(64)
            self.wanted = b""

        def take(self, byte, now_ms):
            if byte < 0xF0:
                return 0
            answer = bytes((byte,)) * (byte - 0xEF)
            self.out[:len(answer)] = answer
            self.wanted += answer
            return len(answer)
    uart = FakeUart(room)
    protocol = Numbered()
    port = SerialPort(uart, protocol, lambda level: None)
    for now, (data, done) in enumerate(steps):
        uart.incoming.extend(data)
        uart.done = done
        port.step(now)
    uart.done = True
    for now in range(2000):
        port.step(now)
    assert bytes(uart.sent) == protocol.wanted
    assert not uart.incoming


# ---- helpers -----------------------------------------------------------------------------


@SLOW
@given(st.binary(max_size=40), st.integers(0, 0xFFFF))
def test_crc16_is_the_polynomial_division(data, crc):
    expected = crc
    for byte in data:
        expected ^= byte << 8
        for _ in range(8):
            expected = (expected << 1 ^ (0x11021 if expected & 0x8000 else 0)) & 0x1FFFF & 0xFFFF
    assert crc16_py.crc16(data, 0, len(data), crc) == expected


@SLOW
@given(st.binary(min_size=1, max_size=40), st.data())
def test_hex_text_is_pythons(data, draw):
    buf = bytearray(100)
    hex_text_py.put_bytes(buf, 3, data, len(data))
    text = data.hex().upper().encode()
    assert bytes(buf[3:3 + len(text)]) == text
    at = draw.draw(st.integers(0, len(text) - 1))
    digits = draw.draw(st.integers(1, min(7, len(text) - at)))
    assert hex_text_py.read_hex(buf, 3 + at, digits) == int(text[at:at + digits], 16)
    assert hex_text_py.hex_sum(buf, 0, 100) == sum(buf)


@SLOW
@given(st.lists(st.integers(-(1 << 28), 1 << 28), min_size=1, max_size=8),
       st.integers(0, TICKS - 1))
def test_due_is_plain_integers(ahead, now):
    entries = array("i", [(now + a) % TICKS for a in ahead])
    due = [i for i, a in enumerate(ahead) if a <= 0]
    assert due_py.pick_due(entries, len(ahead), now) == (due[0] if due else -min(ahead))


# ---- scheduler ---------------------------------------------------------------------------


@pytest.mark.req("SAF-01")
@pytest.mark.req("SAF-03")
@SLOW
@given(st.integers(0, TICKS - 1),
       st.lists(st.tuples(st.integers(5, 300), st.integers(0, 100), st.integers(1, 300),
                          st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=6)),
                min_size=1, max_size=4),
       st.lists(st.integers(0, 700), min_size=1, max_size=25))
def test_schedule_keeps_its_grid_whatever_the_tasks_do(start_ms, rows, sleeps):
    """Steps stand on phase + n * period, come in order, and errors stay in their task."""
    clock = [0]

    class Work:
        def __init__(self, script):
            self.script = list(script)
            self.at = []

        def step(self, now_ms):
            self.at.append(clock[0])
            took_ms, raises = self.script[len(self.at) % len(self.script)] if self.script else (
                0, False)
            clock[0] += took_ms
            if raises:
                raise ValueError("provoked")

    works = [Work(script) for _, _, _, script in rows]
    tasks = [Task(str(i), works[i], rows[i][0] + 20, rows[i][1], rows[i][2])
             for i in range(len(rows))]
    failed = []
    mark = bytearray(1)
    scheduler = Scheduler(tasks, lambda: (start_ms * 1000 + clock[0] * 1000) % TICKS, mark,
                          lambda task, now_ms: failed.append(task))
    scheduler.start(start_ms)
    for sleep_ms in sleeps:
        due = scheduler.run_due((start_ms + clock[0]) % TICKS)
        assert mark[0] == 0
        ahead = (due - start_ms - clock[0]) % TICKS
        assert 0 < ahead < 1 << 29
        for i in range(len(tasks)):
            left = (scheduler._due[i] - start_ms) % TICKS
            assert (left - tasks[i].phase_ms) % tasks[i].period_ms == 0
            assert left > clock[0]
        clock[0] += sleep_ms
    for i in range(len(tasks)):
        at = works[i].at
        assert at == sorted(at)
        assert all(moment >= tasks[i].phase_ms for moment in at)
        most = (clock[0] - tasks[i].phase_ms) // tasks[i].period_ms + 1
        assert len(at) <= max(0, most)
    assert len(failed) == sum(task.errors for task in tasks)
