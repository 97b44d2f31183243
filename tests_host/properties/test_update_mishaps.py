"""An update whose transfer goes wrong in every way: installed is what was sent, or nothing.

The firmware's own port, frames and receiver; in place of the flash two slots in memory.
"""

import pathlib
import random
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from bms.update import header as hd                             # noqa: E402
from bms.update.key import UpdateKey                            # noqa: E402
from bms.update.receiver import CHECKING, FAILED, IDLE, READY, RECEIVING, Receiver  # noqa: E402
from bms.words.events import Events                             # noqa: E402
from bms.pack import Pack                                       # noqa: E402
from bms.words.parameters import Parameters                     # noqa: E402
from packctl import frames, package, signing, updating          # noqa: E402
from packctl.errors import BadFile, PackError                   # noqa: E402
from profiles import am5000                                     # noqa: E402
from protocols.debug.link import Link                           # noqa: E402
from slots_sim import SimSlots                                  # noqa: E402
from tasks.update import Update                                 # noqa: E402

pytestmark = [pytest.mark.req("SAF-06")]

SLOT = 64 * 1024
PAGES = 40
BOARD = "PACKCTL_TEST"


def images(pages=PAGES, seed=1):
    """An image linked for slot A and for slot B: words that differ, some of them not at multiples
    of 4, some across two pages, and a page that differs otherwise."""
    rnd = random.Random(seed)
    first = bytearray(rnd.randbytes(pages * 256))
    second = bytearray(first)
    places = {4 * rnd.randrange(pages * 64 - 1) for _ in range(6 * pages)}
    for at in sorted(places | {1022, 2301}):
        if any(other != at and abs(other - at) < 4 for other in places):
            continue
        word, = struct.unpack_from("<I", first, at)
        struct.pack_into("<I", second, at, word + SLOT & 0xFFFFFFFF)
    second[5 * 256:6 * 256] = rnd.randbytes(256)
    return bytes(first), bytes(second)


def package_of(version="1.1.0", board=BOARD, distance=SLOT, pages=PAGES, schema=1):
    first, second = images(pages) if distance == SLOT else (images(pages)[0],) * 2
    return package.make(first, second, board=board, version=version, distance=distance,
                        schema=schema)


class Bench:
    """A pack's port with an update behind it. erased: sectors of the slots, since start."""

    def __init__(self, running=0):
        self.now = 5
        self.pause_ms = 0
        self.pack = Pack(am5000, Parameters(), 100)
        self.slots = SimSlots(SLOT)
        self.slots.running = self.slots.confirmed = running
        self.key = UpdateKey(Events())
        self.receiver = Receiver(self.slots, BOARD, "1.0.0", 1, self.key)
        self.restarts = 0
        self.update = Update(self.pack, self.receiver, self.slots, self.restart)
        self.links = [self.link(), self.link()]

    def link(self):
        class Reporter:
            fields = ()
        return Link(self.pack, Reporter(), "", {}, None, update=self.update)

    def restart(self):
        self.restarts += 1

    def say(self, data, port=0):
        """Bytes into the port; returns the payload of the last answer, or None."""
        link = self.links[port]
        found = None
        at = 0
        while at < len(data):
            if link.pieces:
                at += link.take_piece(data, at, len(data) - at, self.now)
                continue
            size = link.take(data[at], self.now)
            at += 1
            if size:
                found, = frames.Splitter().feed(bytes(link.out[:size]))
        return found

    def ask(self, kind, payload=b"", port=0):
        answer = self.say(frames.encode(9, kind, payload), port)
        return frames.check_answer(kind, answer)

    def begin(self, file, older=False, port=0):
        return updating.status_of(self.ask(
            frames.UPDATE_BEGIN, bytes((older,)) + file.head + file.signature, port))

    def page(self, file, number, port=0):
        return frames.encode(7, frames.UPDATE_PAGE, file.page_bytes(number, self.slots.other))

    def step(self, steps=1):
        for _ in range(steps):
            self.now += 100
            if self.update.active:
                self.update.step(self.now, True)

    def send(self, file, wire=None):
        """All pages in windows of three over *wire*, a function(frames) -> frames that arrive."""
        for _ in range(4000):
            if self.receiver.state != RECEIVING:
                return
            self.now += self.pause_ms
            status = updating.status_of(self.ask(frames.UPDATE_STATE))
            window = [self.page(file, n) for n in
                      range(status.received, min(status.received + 3, status.room, status.total))]
            for frame in wire(window) if wire else window:
                self.say(frame)
            self.step()
        raise AssertionError("it never ends")

    def finish(self):
        while self.receiver.state == CHECKING:
            self.step()
        return self.receiver.state


def refused(call, *args, **named):
    with pytest.raises(PackError) as caught:
        call(*args, **named)
    return caught.value


@pytest.fixture
def bench():
    return Bench()


@pytest.mark.parametrize("running", [0, 1])
def test_what_is_sent_is_what_is_in_the_other_slot(running):
    bench = Bench(running)
    file = package.parse(package_of().to_bytes())
    assert bench.begin(file).state == "receiving"
    bench.send(file)
    assert bench.finish() == READY
    assert bench.slots.bytes_of(1 - running, PAGES * 256) == images()[1 - running]
    bench.ask(frames.UPDATE_DO, b"\x01")
    bench.step(16)
    assert bench.slots.trial and bench.restarts


def _lost(rnd, window):
    return [frame for frame in window if rnd.random() > 0.3]


def _doubled(rnd, window):
    return [frame for frame in window for _ in range(rnd.randint(1, 3))]


def _changed(rnd, window):
    out = []
    for frame in window:
        data = bytearray(frame)
        if rnd.random() < 0.4:
            data[rnd.randrange(len(data))] ^= 1 << rnd.randrange(8)
        out.append(bytes(data))
    return out


def _disordered(rnd, window):
    return rnd.sample(window, len(window))


def _torn(rnd, window):
    return [frame[:rnd.randrange(1, len(frame))] if rnd.random() < 0.3 else frame
            for frame in window]


@pytest.mark.parametrize("mishap", [_lost, _doubled, _changed, _disordered, _torn])
@pytest.mark.parametrize("running", [0, 1])
def test_a_bad_line_does_not_matter(mishap, running):
    rnd = random.Random(f"{mishap.__name__} {running}")
    bench = Bench(running)
    file = package_of()
    bench.begin(file)

    bench.pause_ms = 600            # a frame that is torn ends with a pause
    bench.send(file, lambda window: mishap(rnd, window))
    assert bench.finish() == READY
    assert bench.slots.bytes_of(1 - running, PAGES * 256) == images()[1 - running]


@pytest.mark.parametrize("page", range(PAGES))
def test_each_page_lost_doubled_changed_or_too_early(bench, page):
    file = package_of()
    bench.begin(file)

    def wire(window):
        first = bench.receiver._received
        if first != page or bench.slots.reason:
            return window
        bench.slots.reason = 1      # once
        spoilt = bytearray(window[0])
        spoilt[40] ^= 4
        return [*window[1:], bytes(spoilt), window[0], window[0]]

    bench.send(file, wire)
    assert bench.finish() == READY
    assert bench.slots.bytes_of(1, PAGES * 256) == images()[1]


@pytest.mark.parametrize("page", [0, 1, 15, 16, 17, PAGES - 1])
@pytest.mark.parametrize("port", [0, 1])
def test_the_cable_is_out_for_a_minute(bench, page, port):
    file = package_of()
    bench.begin(file)
    for number in range(page):
        bench.say(bench.page(file, number))
        bench.step()
    bench.say(bench.page(file, page)[:100])
    for _ in range(600):
        bench.step()
    status = bench.begin(file, port=port)       # of the same file, by either port
    assert (status.state, status.received) == ("receiving", page)
    bench.links[0] = bench.links[port]
    bench.send(file)
    assert bench.finish() == READY
    assert bench.slots.bytes_of(1, PAGES * 256) == images()[1]


def test_nobody_comes_back_and_the_memory_is_free_again(bench):
    file = package_of()
    bench.begin(file)
    bench.say(bench.page(file, 0))
    bench.step(6001)
    assert bench.receiver.state == FAILED and bench.receiver._pages == []
    assert "nothing more came" in bench.receiver.text and not bench.pack.updating
    assert bench.begin(file).received == 0


def test_one_at_a_time(bench):
    file = package_of()
    bench.begin(file)
    bench.say(bench.page(file, 0))
    error = refused(bench.begin, file, port=1)
    assert isinstance(error, updating_error("UpdateBusy")) and "another port" in str(error)
    bench.say(bench.page(file, 1), port=1)      # nor are its pages taken
    assert bench.receiver._received == 1


def updating_error(name):
    from packctl import errors
    return getattr(errors, name)


@pytest.mark.parametrize("name, words, file", [
    ("WrongBoard", "for the board OTHER", package_of(board="OTHER")),
    ("WrongBoard", "another division of the flash", package_of(distance=SLOT // 2)),
    ("WrongBoard", "and its place has 65536", package_of(pages=257)),
    ("OlderVersion", "version 0.9.9 is older than 1.0.0", package_of(version="0.9.9")),
    ("OlderVersion", "could not read the parameters", package_of(schema=0)),
])
def test_a_file_that_does_not_fit_is_refused_before_the_first_erase(bench, name, words, file):
    error = refused(bench.begin, file)
    assert type(error) is updating_error(name) and words in str(error)
    bench.step(20)
    assert bench.slots.erases == 0 and bench.receiver.state == IDLE


def test_an_older_one_that_is_wanted_is_taken(bench):
    assert bench.begin(package_of(version="0.9.9"), older=True).state == "receiving"


def test_no_update_while_the_present_image_is_on_trial(bench):
    bench.slots.confirmed = 1
    assert "still on trial" in str(refused(bench.begin, package_of()))


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    pytest.importorskip("cryptography")
    path = tmp_path_factory.mktemp("key") / "owner.pem"
    return path, signing.make_key(path)


def test_with_a_key_set_the_signed_file_is_taken(bench, owner):     # the other library signs
    path, public = owner
    bench.key.set(public.hex(), 0)
    file = package_of()
    signing.sign(file, path)
    file = package.parse(file.to_bytes())
    assert signing.is_signed_by(file, public)
    assert bench.begin(file).state == "verifying"
    bench.step(200)
    assert bench.receiver.state == RECEIVING
    bench.send(file)
    assert bench.finish() == READY


def test_with_a_key_set_no_other_file_is_taken(bench, owner, tmp_path):
    path, public = owner
    bench.key.set(public.hex(), 0)
    error = refused(bench.begin, package_of())
    assert type(error) is updating_error("NotSigned") and "no signature" in str(error)
    file = package_of()
    signing.make_key(tmp_path / "other.pem")
    signing.sign(file, tmp_path / "other.pem")
    bench.begin(file)
    bench.step(200)
    assert bench.receiver.state == FAILED and "not that of the owner" in bench.receiver.text
    signing.sign(file, path)
    file.signature = bytes((file.signature[0] ^ 1,)) + file.signature[1:]
    bench.begin(file)
    bench.step(200)
    assert bench.receiver.state == FAILED and bench.slots.erases == 0


def test_a_key_that_is_set_meanwhile_holds_for_what_came_before(bench):
    file = package_of()
    bench.begin(file)
    bench.send(file)
    assert bench.finish() == READY
    bench.key.set("11" * 32, 0)
    error = refused(bench.ask, frames.UPDATE_DO, b"\x01")
    assert type(error) is updating_error("NotSigned") and "changed meanwhile" in str(error)
    assert not bench.slots.trial


def test_another_port_neither_ends_nor_starts_it(bench):
    file = package_of()
    bench.begin(file)
    bench.send(file)
    assert bench.finish() == READY
    for order in (b"\x01", b"\x02"):
        assert "another port" in str(refused(bench.ask, frames.UPDATE_DO, order, 1))
    assert bench.receiver.state == READY and not bench.slots.trial


def test_a_key_that_was_lost_takes_nothing(bench):
    bench.key.lost = True
    assert "key was lost" in str(refused(bench.begin, package_of()))


def test_the_flash_does_not_take_it(bench):
    file = package_of()
    bench.begin(file)
    bench.slots.full = True
    bench.send(file)
    assert bench.receiver.state == FAILED and "flash" in bench.receiver.text


def test_a_changed_page_with_a_right_sum_is_seen_in_flash(bench):
    file = package_of()
    bench.begin(file)

    def wire(window):
        if bench.receiver._received:
            return window
        payload = bytearray(file.page_bytes(0, 1))
        payload[-1] ^= 1
        return [frames.encode(1, frames.UPDATE_PAGE, bytes(payload)), *window[1:]]

    bench.send(file, wire)
    assert bench.finish() == FAILED and "not what the file's header" in bench.receiver.text
    assert "not what the file" in str(refused(bench.ask, frames.UPDATE_DO, b"\x01"))
    bench.step(100)
    assert not bench.slots.trial and not bench.restarts


def test_a_bit_flipped_in_each_100th_byte_is_seen_by_the_tool():
    data = package_of().to_bytes()
    for at in range(0, len(data), 100):
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << at % 8
        with pytest.raises(BadFile):
            package.parse(bytes(spoilt))


def test_a_file_that_is_cut_off_is_seen_by_the_tool():
    data = package_of().to_bytes()
    for size in [*range(0, 400, 7), *range(400, len(data), 997), len(data) - 1]:
        with pytest.raises(BadFile):
            package.parse(data[:size])


def test_a_bit_flipped_in_each_byte_of_the_header_is_seen_by_the_pack(bench):
    file = package_of()
    for at in range(len(file.head)):
        spoilt = bytearray(file.head)
        spoilt[at] ^= 1 << at % 8
        with pytest.raises(hd.UpdateRefused):
            bench.receiver.begin(bytes(spoilt), False, None, 0)
    assert bench.slots.erases == 0


@pytest.mark.parametrize("seed", range(12))
def test_a_bit_flipped_in_the_records_never_becomes_a_start(seed):
    """As a tool without any checks would send the file."""
    rnd = random.Random(seed)
    for running in (0, 1):
        bench = Bench(running)
        file = package_of()
        number = rnd.randrange(PAGES)
        payload = bytearray(file.page_bytes(number, bench.slots.other))
        payload[rnd.randrange(3, len(payload))] ^= 1 << rnd.randrange(8)
        bench.begin(file)

        def wire(window, bench=bench, number=number, payload=payload):
            if bench.receiver._received != number or bench.slots.reason:
                return window
            bench.slots.reason = 1
            return [frames.encode(1, frames.UPDATE_PAGE, bytes(payload)), *window[1:]]

        bench.send(file, wire)
        assert bench.finish() in (READY, FAILED)
        if bench.receiver.state == READY:       # it was a place, and slot A has no use for them
            slot = bench.slots.other
            assert bench.slots.bytes_of(slot, PAGES * 256) == images()[slot]
