"""A short run of `make fuzz`, and that it would find something if there were something."""

import sys

import pytest

import fuzz

sys.path.append(str(fuzz.DRIVER.parent))
import fuzz_driver  # noqa: E402 - the path comes first

COUNT = {"host": 60_000, "unix": 40_000}


@pytest.mark.req("COM-06", "COM-07")
@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("port", fuzz.PORTS)
def test_any_bytes_do_no_harm(target, port, request):
    if target == "unix":
        request.getfixturevalue("unix_micropython")
    count = COUNT[target] * {
        "slave": 3,                 # most of its bytes are for others
        "master": 3,
    }.get(port, 1)
    found = fuzz.fuzz(target, port, count, 2026)
    # The master leaves the line to others for a while (COM-01): it says less among so much.
    assert found["bytes"] >= count and found["answers"] > (30 if port == "master" else 100)


def test_its_ports_are_the_drivers():
    assert set(fuzz.PORTS) == set(fuzz_driver.PORTS)


def spoilt(change):
    """A run on a protocol whose take() is *change*d."""
    one = fuzz_driver.Fuzz("pcs", 1)
    tested = one.port.tested
    take = tested.take
    tested.take = lambda byte, now_ms: change(tested, take, byte, now_ms)
    return one


def raises(tested, take, byte, now_ms):
    if byte == 0xE7:
        raise IndexError("provoked")
    return take(byte, now_ms)


def answers_wrongly(tested, take, byte, now_ms):
    length = take(byte, now_ms)
    if length > 60:
        tested.out[20] ^= 1             # another digit, and the checksum for it
        tested.out[22] ^= 1
    return length


def answers_late(tested, take, byte, now_ms):
    length = take(byte, now_ms)
    length, tested.kept = getattr(tested, "kept", 0), length
    return length


def goes_deaf(tested, take, byte, now_ms):
    if byte == 0xC3:
        tested.deaf = True
    return 0 if getattr(tested, "deaf", False) else take(byte, now_ms)


def grows(tested, take, byte, now_ms):
    tested.__dict__.setdefault("kept", []).append([byte])
    return take(byte, now_ms)


@pytest.mark.req("COM-06")
@pytest.mark.parametrize("change", (raises, answers_wrongly, answers_late, goes_deaf, grows))
def test_it_finds_what_is_wrong(change):
    with pytest.raises((AssertionError, IndexError)):
        spoilt(change).run(30_000)


@pytest.mark.req("COM-07")
def test_it_finds_a_right_that_was_left_open():
    one = fuzz_driver.Fuzz("pcs", 1)
    one.bench.pack.rights.unlock()
    with pytest.raises(AssertionError, match="written"):
        one.run(30_000)
