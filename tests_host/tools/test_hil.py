"""Which ports the board and the box are at: found, or named where it cannot be told."""

import hil
import pytest
from packctl.errors import NoAnswer
from rig_targets import TargetError
from test_rig_box import FakeBox

pytestmark = pytest.mark.req("HST-03")


@pytest.fixture
def boards(monkeypatch):
    """Ports at which a pack answers."""
    there = set()

    class Client:
        def __init__(self, exchange):
            self.port = exchange

        def hello(self):
            if self.port not in there:
                raise NoAnswer("nothing")

    monkeypatch.setattr(hil.link, "Client", Client)
    monkeypatch.setattr(hil.link, "StreamExchange", lambda stream, timeout_s: stream.name)
    return there


def opener(boxes):
    def open_port(name):
        port = FakeBox() if name in boxes else FakeBox(says=b"")
        port.name = name
        return port
    return open_port


def test_both_are_found(boards):
    boards.add("a")
    assert hil.ports_of(None, None, ["a", "b", "c"], opener(["b"])) == ("a", "b")


def test_what_is_given_is_taken(boards):
    assert hil.ports_of("x", "y", [], opener([])) == ("x", "y")


def test_two_boards_or_none_have_to_be_named(boards):
    with pytest.raises(TargetError, match="no board answers"):
        hil.ports_of(None, "b", ["a", "b"], opener(["b"]))
    boards.update("ac")
    with pytest.raises(TargetError, match="2 boards answer, at a and c"):
        hil.ports_of(None, "b", ["a", "b", "c"], opener(["b"]))


def test_two_boxes_have_to_be_named(boards):
    with pytest.raises(TargetError, match="2 boxes answer, at b and c"):
        hil.ports_of("a", None, ["a", "b", "c"], opener(["b", "c"]))


def test_one_port_is_not_both(boards):
    with pytest.raises(TargetError, match="the same port"):
        hil.ports_of("a", "a", ["a"], opener([]))
