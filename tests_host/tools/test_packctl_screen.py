"""The live screen: what is drawn, keys and pages, pictures, a real source and a pulled cable."""

import asyncio
import io
import re

import pytest
from rich.console import Console

from packctl import errors
from packctl.schema import Param
from packctl.screen import draw, pages
from packctl.screen.app import PAGES, Screen
from packctl.screen.panel import Panel
from packctl.screen.source import PackSource
from packctl.screen.view import View
from rig import Rig


def report(**changes):
    return {
        "uptime_s": 13, "seq": 120, "age_ms": 7, "state": "standby", "direction": "standby",
        "alarms": [], "protections": [], "faults": [], "locked": [], "soc_cpct": 5430,
        "soc_uncertainty_cpct": 310, "cell_mv": [3319, 3331] + [3325] * 14, "stack_mv": 53_200,
        "pack_mv": 53_211, "current_ma": -20_000, "temp_dc": [251, 248, 250, 249],
        "mos_dc": 260, "ambient_dc": 240, "ccl_ma": 50_000, "dcl_ma": 50_000, "cvl_mv": 56_000,
        "remaining_mah": 54_300, "full_mah": 100_000, "limit_reasons": [], "dip": 0,
        "fets": ["chg", "dsg"], "events": 2, "can_state": "active", **changes}


def over_voltage():
    """A pack that has tripped, as a source leaves it."""
    view = View("/dev/ttyUSB0", {"version": "0.1.0", "profile": "am5000", "serial": "PC01"})
    view.words = {"PRO-01": "cell over-voltage"}
    view.kinds = {"PRO-01": "mV"}
    view.params = {p.name: p for p in (
        Param("3;cell_ov_release_mv;mV;3000;4200;3300;3300;PRO-01 release"),
        Param("17;ov_release_soc_cpct;cpct;5000;10000;9600;9600;"),
        Param("40;other_way_ma;mA;200;5000;1000;1000;"))}
    view.ends = {"PRO-01": "it releases at or below 3.300 V and a state of charge below 96.00 %; "
                           "discharge current releases it at once"}
    view.events = [
        {"seq": 1, "uptime_ms": 0, "event": "boot", "item": 0, "cell": -1, "time": None},
        {"seq": 2, "uptime_ms": 9_000, "event": "trip", "item": 0, "name": "PRO-01", "cell": 3,
         "words": "cell over-voltage", "value": 3680, "limit": 3600,
         "time": "2026-05-17T12:30:00Z"}]
    now = report(state="protection", alarms=["PRO-01"], protections=["PRO-01"], fets=["dsg"],
                 cell_mv=[3300, 3300, 3300, 3680] + [3300] * 12)
    view.take({"report": now, "wire": Panel("am5000").wire(now, 0)})
    return view


def text_of(renderable, width=100, height=30):
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None,
                      force_terminal=True, legacy_windows=False)
    console.print(renderable, height=height)
    return console.file.getvalue()


@pytest.mark.req("HST-02")
@pytest.mark.parametrize("size", ((80, 24), (120, 40), (160, 50)))
def test_a_tripped_pack_says_what_where_what_is_blocked_and_what_ends_it(size):
    text = text_of(draw.render(over_voltage(), *size), *size)
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())
    for part in ("cell over-voltage (PRO-01)", "cell 3, 3.68 V, limit 3.6 V",
                 "charging is blocked", "CHG open", "±3.1", "3680", "max"):
        assert part in words, part
    assert "it releases at or below 3.300 V" in words and "96.00 %" in words
    assert max(len(line) for line in text.splitlines()) <= size[0]
    assert len(text.splitlines()) <= size[1]


@pytest.mark.req("LED-03")
def test_the_panel_of_a_real_pack_follows_from_its_report():
    panel = Panel("am5000")
    lamps = panel.wire(report(), 0)["lamps"]
    assert lamps == {"run": 1, "alm": 0, "onoff": 1, "cap": [1, 1, 1, 1, 0, 0]}
    assert panel.wire(report(state="fail"), 0)["lamps"]["alm"] == 1
    assert panel.wire({}, 0) == {}
    assert Panel("b1-5.1-48").wire(report(), 0)["lamps"]["alm"] == 1      # red flicker in standby


def test_nothing_known_is_drawn_too():
    empty = View("COM3")
    lost = over_voltage()
    lost.lost = "The port COM3 has gone"
    for view in (empty, lost):
        for page in (pages.limits, pages.fleet, pages.ports, pages.help_page):
            assert text_of(page(view))
        text_of(draw.render(view, 100, 30))
    assert "has gone" in text_of(draw.render(lost, 100, 30))


class FakeSource:
    """A pack that stands still."""

    def __init__(self):
        self.view = over_voltage()
        self.pressed, self.was_set, self.closed = [], [], False
        self.refuse = None

    def look(self):
        pass

    def look_closer(self, page):
        self.view.limits, self.view.why = ["CCL: held off"], "cell over-voltage"

    def press(self, key):
        self.pressed.append(key)
        return True

    def set_text(self, name, text):
        if self.refuse:
            raise self.refuse
        self.was_set.append((name, text))
        return f"{name} = {text}"

    def close(self):
        self.closed = True


@pytest.mark.req("HST-02")
def test_a_record_that_comes_between_the_report_and_the_log_is_shown_once(monkeypatch):
    class Between:
        port, newest = "COM3", 2

        def hello(self):
            return {"profile": "am5000"}

        def names(self):
            return {}

        def params(self):
            return {}

        def report(self):
            return report(events=self.newest)

        def events(self, since):
            self.newest = 3
            return [{"seq": seq, "event": "alarm", "item": 0} for seq in range(since + 1, 4)]

    monkeypatch.setattr("packctl.screen.source.connect", lambda **how: Between())
    source = PackSource({"port": "COM3"})
    for _ in range(3):
        source.look()
    assert [event["seq"] for event in source.view.events] == [1, 2, 3]


async def settle(pilot):
    """Until the threads of the screen have answered."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


@pytest.mark.req("HST-02")
def test_pages_keys_and_mouse():
    async def scene():
        source = FakeSource()
        screen = Screen(source, every_s=60)
        async with screen.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            await pilot.press("w", "plus", "left")
            await settle(pilot)
            assert source.pressed == ["w", "+", "left"]
            for number, (name, _) in enumerate(PAGES, 1):
                await pilot.press(str(number))
                await settle(pilot)
                assert screen.query_one("#body").current == name
            await pilot.press("w")                      # no key of the bench on other pages
            assert source.pressed[-1] == "left"
            await pilot.click("#names", offset=(17, 0))
            assert screen.query_one("#body").current == "limits"
            await pilot.press("tab")
            assert screen.query_one("#body").current == "log"
            assert screen.query_one("#log").row_count == 2
            await pilot.press("q")
        assert source.closed
    asyncio.run(scene())


@pytest.mark.req("HST-02", "PAR-03")
def test_a_parameter_is_found_and_changed_and_a_refusal_is_shown():
    async def scene():
        source = FakeSource()
        screen = Screen(source, every_s=60)
        async with screen.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            await pilot.press("4", "slash", *"other", "enter")
            assert screen.query_one("#table").row_count == 1
            await pilot.press("enter", *["backspace"] * 4, *"2A", "enter")
            await settle(pilot)
            assert source.was_set == [("other_way_ma", "2A")]
            assert source.view.message == "other_way_ma = 2A"
            source.refuse = errors.WrongUnit("other_way_ma is in mA")
            await pilot.press("enter", "enter")
            await settle(pilot)
            assert source.view.is_error and "is in mA" in source.view.message
            await pilot.press("enter", "escape")
            assert not screen.query_one("#edit").display
    asyncio.run(scene())


@pytest.mark.req("HST-02")
def test_pictures_of_the_screen(tmp_path):
    async def scene(size):
        screen = Screen(FakeSource(), every_s=60)
        async with screen.run_test(size=size) as pilot:
            await settle(pilot)
            return screen.export_screenshot()
    for size in ((80, 24), (120, 40), (160, 50)):
        svg = asyncio.run(scene(size)).replace("&#160;", " ")
        for part in ("cell over-voltage (PRO-01)", "Overview", "front panel", "charging is"):
            assert part in svg, (size, part)
    assert "trends" in svg and "events" in svg
    small = asyncio.run(scene((60, 20))).replace("&#160;", " ")
    assert "needs 80 x 24" in small


@pytest.mark.req("HST-02")
def test_a_pack_on_a_port_is_shown_and_its_loss_too():
    async def scene(rig, port):
        source = PackSource({"port": port, "baud": 115_200, "timeout_s": 5.0, "pin": None})
        screen = Screen(source, every_s=0.2)
        async with screen.run_test(size=(120, 40)) as pilot:
            while not source.view.events:
                await pilot.pause(0.05)
            assert source.view.report["state"] == "standby"
            await pilot.press("2")
            while not source.view.limits:
                await pilot.pause(0.05)
            await asyncio.to_thread(rig.close)
            while not source.view.lost:
                await pilot.pause(0.05)
            assert "has gone" in source.view.lost or "Nothing listens" in source.view.lost
    with Rig() as rig:
        opened = rig.open("host", plant={"soc": 0.55})
        rig.run(4_000)
        rig.play(2)
        asyncio.run(asyncio.wait_for(scene(rig, opened["urls"]["debug"]), 600))


