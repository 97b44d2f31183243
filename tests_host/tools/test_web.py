"""The pack on a page (HST-04): what goes into it, and the page in a real browser.

The browser's part runs by `make test-web`, which installs Chromium and playwright.
"""

import json
import os
import threading

import pytest
from rig import Rig
from rig_targets import SimTarget
from rooms import TOOLS

import web_build as build

pytestmark = pytest.mark.req("HST-04")
PAGE = TOOLS / "web" / "page"
FAULTS = json.loads((PAGE / "faults.json").read_text("utf-8"))
READY = "document.body.dataset.ready === '1'"
PATIENCE_MS = 300_000           # of a busy machine
WIDTHS = (390, 1024, 1920)


# ---- without a browser ----------------------------------------------------------------------


def test_the_firmware_in_the_page_is_that_of_the_repository():
    sources = build.sources()
    for path in ("firmware/main.py", "firmware/bms/pack.py", "lib/bq76952.py"):
        text = (build.ROOT / path).read_text("utf-8")
        assert sources["/packctl/" + path] == text.replace("@micropython.native", "")
    assert not [name for name in sources if "viper" in name or "rp2" in name]


def test_what_the_page_has_to_know_is_found():
    data = build.page_data()
    assert {"cvl", "ccl", "dcl"} <= {row[0] for row in data["can"][0x351]}
    assert "am5000" in data["plants"] and data["plants"]["am5000"] and "AFE_CS" in data["pins"]


def test_every_fault_of_the_page_is_one_of_the_bench():
    with Rig() as rig:
        rig.open("host")
        for fault in FAULTS:
            assert fault["name"] and len(fault["look"]) > 40
            rig.set(**fault["set"])
            rig.set(**fault.get("undo", {}))
            rig.reset()
            rig.run(3000)


def test_a_changed_package_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "CACHE", tmp_path)
    version, _, files = build.PACKAGES["uplot"]
    (tmp_path / f"uplot-{version}.tgz").write_bytes(b"something else")
    with pytest.raises(build.BuildError, match="is not what it was"):
        build.package("uplot")


# ---- in a browser ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page():
    if not os.environ.get("PACKCTL_WEB"):
        pytest.skip("`make test-web` installs a browser for this")
    from playwright import sync_api as playwright
    made = build.server(build.build(), port=0)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        page = browser.new_page(viewport={"width": 1024, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.address = f"http://127.0.0.1:{made.server_address[1]}/"
        yield page
        browser.close()
    made.shutdown()


def fresh(page, speed="20"):
    """The page from its beginning, with its pack awake."""
    page.goto("about:blank")
    page.goto(page.address)
    page.wait_for_function(READY)
    page.select_option("#speed", speed)
    page.wait_for_function("document.querySelector('#headline').textContent.startsWith('Ready')")


def until(page, selector, text):
    page.wait_for_function("([s, t]) => document.querySelector(s).textContent.includes(t)",
                           arg=[selector, text])


def test_an_over_voltage_is_told_alike_everywhere(page):
    fresh(page)
    page.click("text=Cell over-voltage")
    until(page, "#headline", "cell over-voltage")
    until(page, "#fets", "charge FET open")
    until(page, "#why", "cell over-voltage (PRO-01), cell 3")
    until(page, "#limits", "highest cell")
    until(page, "#log", "Protection: cell over-voltage, cell 3")
    assert page.locator("#cells i").nth(3).get_attribute("class").startswith("high")
    assert "discharge FET closed" in page.inner_text("#fets")
    page.click("text=Cell over-voltage")
    assert "Taken back" in page.inner_text("#look")


def test_the_house_is_served_without_grid(page):
    fresh(page)
    page.select_option("#mode", "back-up")
    page.select_option("#inverter", "can")
    until(page, "#inverter-words", "the house is served")
    page.uncheck("#grid")
    until(page, "#inverter-words", "codes 29 61")
    assert "the house is served" in page.inner_text("#inverter-words")
    page.click("#tab-can")
    until(page, "#can", "cvl 55.6 V")
    until(page, "#can", "manufacturer PYLON")


def test_each_control_does_what_it_says(page):
    fresh(page)
    page.click("text=Load 20 A")
    until(page, "#headline", "Discharging with 20")
    page.click("text=Charge 20 A")
    until(page, "#headline", "Charging with")
    page.click("#rocker")
    page.wait_for_function("!document.querySelector('#lamp-onoff').classList.contains('on')")
    page.click("#rocker")
    page.wait_for_function("document.querySelector('#lamp-onoff').classList.contains('on')")
    page.fill("#line", "status")
    page.click("text=Send")
    until(page, "#terminal", "voltage")
    page.click("#play")
    page.wait_for_timeout(500)
    stood = page.inner_text("#clock")
    page.wait_for_timeout(1500)
    assert page.inner_text("#clock") == stood


def test_a_link_plays_the_scenario_again(page):
    fresh(page)
    page.click("text=Cell under-voltage")
    until(page, "#headline", "cell under-voltage")
    page.click("#share")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.select_option("#speed", "20")
    until(page, "#headline", "cell under-voltage")
    page.goto(page.address)


def test_other_products_run(page):
    fresh(page)
    for name in page.eval_on_selector_all("#profile option", "all => all.map(o => o.value)"):
        page.select_option("#profile", name)
        until(page, "#headline", "Starting")
        page.wait_for_function("document.querySelector('#headline').textContent.startsWith('Ready')")


def test_the_same_commands_give_the_same_trace_as_on_host_and_unix(page):
    """Edge by edge. Only on unix the files are a littlefs, so that a start takes a little less:
    what happens is the same there, and when it happens within 0.2 s."""
    fresh(page)
    stand = {"seed": 5, "spread": 1, "dip": 0, "rocker": 1,
             "profile": "am5000",
             "plant": {**build.plant_of(build.FIRMWARE[0], "am5000"), "soc": 0.5}}
    steps = [{}, {"charger_mv": 57600, "charger_ma": 20000}, {"cell_mv": {"3": 3680}},
             {"cell_mv": {"3": None}, "charger_mv": None, "charger_ma": None, "load_ma": 30000}]
    seen = page.evaluate("""async steps => {
        const {Bench} = await import("./bench.mjs");
        const data = await (await fetch("page.json")).json();
        const bench = new Bench(data.pins, data.plants, {});
        await bench.open({seed: 5, plant: {soc: 0.5}});
        for (const fields of steps) { await bench.set(fields); await bench.run(4000); }
        const edges = await bench.trace();
        bench.close();
        return edges;
    }""", steps)
    traces = {}
    for kind in ("host", "unix"):
        target = SimTarget(kind, stand, "am5000")
        for fields in steps:
            if fields:
                target.set(dict(fields))
            for _ in range(40):
                target.run(100_000, [])
        traces[kind] = [list(edge) for edge in target.edges(0)]
        target.close()
    assert len(seen) > 30 and seen == traces["host"]
    slow = [edge for edge in traces["unix"] if edge[1].startswith(("fets", "do", "limiter"))]
    here = [edge for edge in seen if edge[1].startswith(("fets", "do", "limiter"))]
    assert [edge[1:] for edge in here] == [edge[1:] for edge in slow]
    assert all(abs(a[0] - b[0]) < 200 for a, b in zip(here, slow))


def test_rs485_is_told_in_words(page):
    fresh(page)
    page.select_option("#inverter", "pcs")
    page.click("#tab-pcs")
    until(page, "#pcs", "address 2: charge to 55.60 V")
    until(page, "#pcs", "cells 3.")
    page.click("#tab-console")


def test_a_day_with_demand_response(page):
    """The sun of the day charges the pack; DRM0 ends that, and its end lets it go on."""
    fresh(page)
    page.select_option("#day", "60")
    page.select_option("#inverter", "can")
    until(page, "#inverter-words", "battery takes")
    page.select_option("#drm", "0")
    until(page, "#inverter-words", "battery takes 0 W")
    page.select_option("#drm", "")
    page.wait_for_function(
        "!document.querySelector('#inverter-words').textContent.includes(' 0 W')")


def test_packs_beside_one_another(page):
    """Three packs share a load; a cell of the second is too full, and the others carry on."""
    fresh(page)
    page.select_option("#count", "3")
    page.wait_for_function("document.querySelector('#headline').textContent.startsWith('Ready')")
    page.click("text=Load 90 A")
    page.wait_for_function("""[...document.querySelectorAll('#packs button')].every(
        one => Math.abs(parseFloat(one.textContent.split(', ')[1]) + 30) < 4)""")
    page.click("#packs button:nth-child(2)")
    page.click("text=Cell over-voltage")
    until(page, "#headline", "cell over-voltage")
    until(page, "#log", "cell over-voltage, cell 3")
    page.click("#packs button:nth-child(3)")
    until(page, "#headline", "Discharging with")
    assert "over-voltage" not in page.inner_text("#log")
    page.select_option("#count", "1")


def test_a_fleet_of_the_page_is_that_of_the_bench(page):
    """FETs and contacts, edge by edge, of two packs that share a load."""
    fresh(page)
    steps = [{}, {"load_ma": 40000}, {"load_ma": None, "charger_mv": 57600, "charger_ma": 20000}]
    seen = page.evaluate("""async steps => {
        const {Fleet} = await import("./bench.mjs");
        const data = await (await fetch("page.json")).json();
        const fleet = new Fleet(2, data.pins, data.plants, () => ({}));
        await fleet.open({seed: 5, plant: {soc: 0.5}});
        for (const fields of steps) {
            await fleet.packs[0].set(fields);
            await fleet.packs[0].run(6000);
        }
        const edges = [await fleet.packs[0].trace(), await fleet.packs[1].trace()];
        fleet.close();
        return edges;
    }""", steps)
    with Rig() as rig:
        rig.fleet(2, board="host", seed=5, plant={"soc": 0.5})
        for fields in steps:
            if fields:
                rig.module(0).set(**fields)
            rig.run(6000)
        wanted = [rig.module(i).trace()["edges"] for i in range(2)]
    for here, there in zip(seen, wanted):
        fets = [[edge for edge in edges if edge[1].startswith(("fets", "do", "limiter"))]
                for edges in (here, there)]
        assert len(fets[0]) > 1 and fets[0] == fets[1]


def test_memory_is_steady_over_a_day(page):
    """A pack rests for a day; what browser and interpreters hold does not grow."""
    fresh(page, "1")
    page.click("#play")
    held = page.evaluate("""async () => {
        const held = [];
        for (let hour = 1; hour <= 24; hour++) {
            await bench.run(3_600_000);
            await bench.talk(pack => pack.report());
            if (hour === 1 || hour === 12 || hour === 24) {     // each look takes a minute
                held.push((await performance.measureUserAgentSpecificMemory()).bytes);
            }
        }
        return held;
    }""")
    page.click("#play")
    assert held[2] < 1.1 * held[1] and held[1] < 1.5 * held[0]


def test_it_keeps_to_itself_and_says_nothing_wrong(page):
    assert all(url.startswith((page.address, "blob:", "about:", "data:")) for url in page.asked)
    assert not page.said


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_fit_for_everybody(page, width, scheme):
    """axe-core finds nothing serious, nothing is wider than the screen; pictures in build/."""
    fresh(page)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.click("text=Cell over-voltage")
    until(page, "#headline", "cell over-voltage")
    page.evaluate("scrollTo(0, 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=str(build.ROOT / "build" / f"web-{width}-{scheme}.png"), full_page=True)
    page.add_script_tag(path=str(build.package("axe-core") / "axe.min.js"))
    found = page.evaluate("axe.run()")["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found
            if rule["impact"] in ("serious", "critical")] == []
