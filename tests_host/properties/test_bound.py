"""Objects of every scan: their tables of names have gaps, and their hot methods stand in them."""

import re

import pytest
from protocols.snapshot import Identity, System
from bms.pack import Pack
from bms.words.parameters import Parameters
import bound
from bound import bind
from bq76952 import BQ76952
from fakes import FakeChip, FakePin, no_wait
from profiles import am5000
from protocols.can.frames import CanFrames
from tasks.can_port import CanPort
from tasks.control import Control
from tasks.panel import Panel
from tasks.serial_port import SerialPort

# py/map.c of MicroPython: sizes that a table of names grows to when it is full
SIZES = (0, 2, 4, 6, 8, 10, 12, 17, 23, 29, 37, 47, 59, 73, 97, 127, 167, 223)
FULLEST_PCT = 85
SMALL = 11          # names: a table of so few is soon looked through


def hot_objects():
    pack = Pack(am5000, Parameters(), 100)
    afe = BQ76952(FakeChip(), FakePin(), no_wait)
    identity = Identity("AM5000", (0, 1, 0), "PC0123456789ABCD")
    return {
        "pack": pack, "measurements": pack.measurements, "protection": pack.protection,
        "flow": pack._flow, "witness": pack.witness, "life": pack.witness.life,
        "fet_watch": pack._fet_watch, "balancing": pack.balancing, "derating": pack.derating,
        "power": pack.power, "fets": pack.fets, "sparing": pack.fets.sparing,
        "limiter": pack.limiter, "joining": pack.joining, "afe": afe,
        "control": Control(afe, pack, 250, FakePin(), FakePin(), lambda: 0),
        "panel": Panel(pack, lambda word: None, None),
        "serial": SerialPort(None, None),
        "can": CanPort(None, System(pack, identity), pack, CanFrames(identity)),
    }


def table_of(names):
    """Places in a table that has grown until it held *names*."""
    return next(size for size in SIZES if size >= names)


@pytest.fixture
def most(monkeypatch):
    """{id of an object: the most names that bind() had in it at a time}."""
    counts = {}

    def set_and_count(owner, name, value):
        setattr(owner, name, value)
        counts[id(owner)] = max(counts.get(id(owner), 0), len(vars(owner)))

    monkeypatch.setattr(bound, "setattr", set_and_count, raising=False)
    return counts


@pytest.mark.parametrize("name", sorted(hot_objects()))
def test_a_table_of_names_has_gaps(name, most):
    it = hot_objects()[name]
    names = len(vars(it))
    places = table_of(max(names, most.get(id(it), 0)))
    if names > SMALL:
        assert 100 * names / places <= FULLEST_PCT, (
            f"{names} names in {places} places: each method that is not among them is looked for "
            "in most of them; bind() at the end of __init__ makes room")


def test_names_that_made_room_are_gone():
    class Thing:
        def __init__(self):
            self.a = 1
            for i in range(21):
                setattr(self, "name%d" % i, i)
            before = set(vars(self))
            bind(self, "method")
            assert set(vars(self)) == before | {"method"} and self.a == 1

        def method(self):
            pass

    Thing()


def test_what_is_bound_is_the_method():
    for name, it in hot_objects().items():
        for word, value in vars(it).items():
            if getattr(value, "__self__", None) is it:
                assert value == getattr(type(it), word).__get__(it), (name, word)


def test_the_sizes_are_those_of_the_interpreter():
    import toolchain
    source = (toolchain.sources().path / "py" / "map.c").read_text()
    text = re.search(r"hash_allocation_sizes\[\] = \{(.*?)\};", source, re.S)[1]
    numbers = [int(n) for line in text.splitlines()
               for n in re.findall(r"\d+", line.split("//")[0])]
    assert tuple(numbers[:len(SIZES)]) == SIZES


def test_bind_keeps_the_methods_of_the_object():
    class Thing:
        def __init__(self):
            bind(self, "one")

        def one(self):
            return self, 1

    thing = Thing()
    assert "one" in vars(thing) and thing.one() == (thing, 1)
