"""The panel on the bench: every row of the status table by its lamps over 12 s, and the buzzer,
the dry contacts and the address switches."""

import pytest

WATCH_MS = 12_000
EXACT_MS = 20
LAMPS = ("onoff", "run", "alm", "cap.5", "cap.4", "cap.3", "cap.2", "cap.1", "cap.0")

# what a lamp may do: seconds on and off, from the document
ON, OFF = "on", "off"
FLASH_1, FLASH_2, FLASH_3 = (0.25, 3.75), (0.5, 0.5), (0.5, 1.5)
BY_CAPACITY, TOP_FLASHES = "by capacity", "by capacity, top lamp Flash 2"
BANDS = (0, 16.6, 33.2, 49.8, 66.4, 83.0)               # where the lamps L1..L6 begin, %
ALL_ON, ALL_OFF = (ON,) * 6, (OFF,) * 6

HOT = {"cell_temp_dc": [530] * 4}
TOO_HOT = {"cell_temp_dc": [590] * 4}
COLD = {"cell_temp_dc": [40] * 4}
CHARGER = {"charger_mv": 56_000, "charger_ma": 20_000}
LOAD = {"load_ma": 20_000}

# name: what happens (seconds of each), then ON/OFF, RUN, ALM, L6..L1
ROWS = {
    "standby": ([({}, 1)], ON, FLASH_1, OFF, BY_CAPACITY),
    "standby-alarm": ([(HOT, 5)], ON, FLASH_1, FLASH_3, BY_CAPACITY),
    "charging": ([(CHARGER, 2)], ON, ON, OFF, TOP_FLASHES),
    "charging-alarm": ([({**CHARGER, **HOT}, 5)], ON, ON, FLASH_3, TOP_FLASHES),
    "charging-over-charge-alarm": ([({**CHARGER, "cell_mv": {"3": 3550}}, 5)],
                                   ON, ON, OFF, TOP_FLASHES),
    "charging-over-charge": ([({**CHARGER, "cell_mv": {"3": 3650}}, 6)], ON, ON, OFF, ALL_ON),
    "over-charge-no-charger": ([({**CHARGER, "cell_mv": {"3": 3650}}, 6),
                                ({"charger_mv": None, "charger_ma": None,
                                  "cell_mv": {"3": 3450}}, 10)],
                               ON, FLASH_1, OFF, BY_CAPACITY),
    "charging-too-hot": ([({**CHARGER, **TOO_HOT}, 6)], ON, OFF, ON, ALL_OFF),
    # LED-05: what stops only the other direction is an alarm of the present one
    "discharging-too-cold-to-charge": ([({**LOAD, **COLD}, 6)], ON, FLASH_3, FLASH_3,
                                       BY_CAPACITY),
    "standby-over-charge-alarm": ([({"cell_mv": {"3": 3550}}, 5)], ON, FLASH_1, OFF, BY_CAPACITY),
    "standby-too-cold-to-charge": ([(COLD, 6)], ON, FLASH_1, ON, BY_CAPACITY),
    "standby-too-hot": ([(TOO_HOT, 6)], ON, FLASH_1, ON, ALL_OFF),
    "standby-under-voltage": ([({"cell_mv": {"3": 2690}}, 6)], ON, FLASH_1, OFF, BY_CAPACITY),
    "discharging": ([(LOAD, 2)], ON, FLASH_3, OFF, BY_CAPACITY),
    "discharging-alarm": ([({**LOAD, **HOT}, 5)], ON, FLASH_3, FLASH_3, BY_CAPACITY),
    "under-voltage": ([({**LOAD, "cell_mv": {"3": 2690}}, 6)], ON, OFF, OFF, ALL_OFF),
    "discharging-too-hot": ([({**LOAD, **TOO_HOT}, 6)], ON, OFF, ON, ALL_OFF),
    "short-circuit": ([({"load": "short"}, 3)], ON, OFF, ON, ALL_OFF),
    "reversed": ([({"reverse": True}, 3)], ON, OFF, ON, ALL_OFF),
    "fail": ([({"fault": {"afe_silent": True}}, 3)], OFF, OFF, ON, ALL_OFF),
}
NONE = {"charger_mv": None, "charger_ma": None, "load_ma": None}
COOL = {"cell_temp_dc": [250] * 4}
CELL = {"cell_mv": {"3": None}}
# The same rows in one go, where time is dear: how to get from each to the next
IN_ONE_GO = (
    ("standby", [({}, 1)]),
    ("standby-too-cold-to-charge", [(COLD, 6)]),
    ("discharging-too-cold-to-charge", [(LOAD, 2)]),
    ("standby-over-charge-alarm", [({**NONE, **COOL, "cell_mv": {"3": 3550}}, 6)]),
    ("standby-alarm", [({**CELL, **HOT}, 14)]),             # PRO-16 has gone
    ("standby-too-hot", [(TOO_HOT, 6)]),
    ("charging-alarm", [(COOL, 6), ({**CHARGER, **HOT}, 6)]),
    ("charging-too-hot", [(TOO_HOT, 6)]),
    ("charging", [(COOL, 6)]),
    ("charging-over-charge-alarm", [({"cell_mv": {"3": 3550}}, 5)]),
    ("charging-over-charge", [({"cell_mv": {"3": 3650}}, 6)]),
    ("over-charge-no-charger", [({**NONE, "cell_mv": {"3": 3450}}, 14)]),    # PRO-16 has gone
    ("discharging", [({**LOAD, **CELL}, 10)]),
    ("discharging-alarm", [(HOT, 5)]),
    ("discharging-too-hot", [(TOO_HOT, 6)]),
    ("short-circuit", [({**NONE, **COOL}, 6), ({"load": "short"}, 3)]),
    ("reversed", [({"load": "open"}, 5), ({"reverse": True}, 3)]),
    ("fail", [({"reverse": False}, 6), ({"fault": {"afe_silent": True}}, 3)]),
    ("under-voltage", [({"fault": {"afe_silent": None}}, 6),
                       ({**LOAD, "cell_mv": {"3": 2690}}, 6)]),
    ("standby-under-voltage", [({**NONE, **CELL}, 6), ({"cell_mv": {"3": 2690}}, 6)]),
)


def opened(rig, target, **start):
    rig.open(board=target, plant={"soc": 0.6, "temp_c": 25}, **start)
    rig.run(4000)


def levels(rig):
    lamps = rig.get()["wire"]["lamps"]
    found = {name: lamps[name] for name in ("onoff", "run", "alm")}
    found.update({"cap.%d" % i: lamps["cap"][i] for i in range(6)})
    return found


def watch(rig, ms=WATCH_MS):
    """({lamp: level at the start}, {lamp: [ms of each change]}) over *ms*."""
    before = levels(rig)
    start_ms = rig.get()["t_ms"]
    rig.run(ms)
    changes = {name: [] for name in LAMPS}
    for t_ms, signal, _ in rig.trace(start_ms)["edges"]:
        if signal.startswith("lamps.") and t_ms < start_ms + ms:
            changes[signal[6:]].append(t_ms)
    return before, changes


def check(name, wanted, level, changes):
    """*changes* of a lamp that began with *level* are those of *wanted*, within EXACT_MS."""
    if wanted in (ON, OFF):
        assert changes == [] and level == (wanted == ON), (name, wanted, level, changes)
        return
    on_ms, off_ms = (1000 * part for part in wanted)
    assert len(changes) >= 2 * int(WATCH_MS / (on_ms + off_ms)) - 1, (name, changes)
    for first, second in zip(changes, changes[1:]):
        level ^= 1
        assert abs(second - first - (on_ms if level else off_ms)) <= EXACT_MS, (name, changes)


def caps_of(caps, soc):
    """What L6..L1 do at *soc* percent."""
    if caps not in (BY_CAPACITY, TOP_FLASHES):
        return caps
    top = max(i for i in range(6) if soc >= BANDS[i])
    assert (abs(soc - BANDS[top]) > 1 or soc == 0) and (top == 5 or abs(soc - BANDS[top + 1]) > 1)
    lit = [ON if i < top else OFF for i in range(6)]
    lit[top] = FLASH_2 if caps == TOP_FLASHES else ON
    return lit[::-1]


def rises(level, changes):
    return changes[level & 1::2]


def in_phase(wanted, before, changes):
    """Lamps of one pattern go on together."""
    groups = {}
    for name in LAMPS:
        if wanted[name] not in (ON, OFF):
            times = rises(before[name], changes[name])
            groups.setdefault(wanted[name], []).append(times)
    for pattern, lists in groups.items():
        for times in lists[1:]:
            assert len(times) == len(lists[0]), (pattern, lists)
            assert all(abs(a - b) < 1 for a, b in zip(times, lists[0])), (pattern, lists)


def shows(rig, row):
    """The lamps of the next WATCH_MS are those of *row*."""
    _, onoff, run, alm, caps = ROWS[row]
    soc = rig.get()["report"]["soc"]
    before, changes = watch(rig)
    wanted = dict(zip(LAMPS, (onoff, run, alm, *caps_of(caps, soc))))
    for name in LAMPS:
        check(name, wanted[name], before[name], changes[name])
    in_phase(wanted, before, changes)


def do(rig, steps):
    for values, seconds in steps:
        rig.set(**values)
        rig.run(seconds * 1000)


@pytest.mark.targets("host", "unix")
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.req("LED-01")
@pytest.mark.req("LED-02")
@pytest.mark.req("LED-03")
def test_status_table(rig, target, row):
    opened(rig, target)
    do(rig, ROWS[row][0])
    shows(rig, row)


@pytest.mark.slow
@pytest.mark.targets("host", "rp2040")
@pytest.mark.req("LED-01")
@pytest.mark.req("LED-02")
@pytest.mark.req("LED-03")
def test_every_row_of_the_status_table_one_after_another(rig, target):
    assert sorted(row for row, _ in IN_ONE_GO) == sorted(ROWS)
    opened(rig, target)
    for row, steps in IN_ONE_GO:
        do(rig, steps)
        try:
            shows(rig, row)
        except AssertionError as error:
            raise AssertionError(f"{row}: {error}") from None


@pytest.mark.targets("host", "unix")
@pytest.mark.req("LED-04")
@pytest.mark.parametrize("values,order", [(CHARGER, (2, 1, 0)), (LOAD, (0, 1, 2))])
def test_the_bar_of_the_other_profile(rig, target, values, order):
    opened(rig, target, profile="b1-5.1-48")
    rig.set(**values)
    rig.run(2000)
    assert 33.2 < rig.get()["report"]["soc"] < 49.8
    before, changes = watch(rig)
    assert changes["alm"] == [] and not before["alm"] and changes["cap.3"] == []
    # one period: dark, then a lamp more each 250 ms, then all of them for a second
    edges = sorted((t, lamp) for lamp in order for t in
                   rises(before["cap.%d" % lamp], changes["cap.%d" % lamp]))
    starts = [t for t, lamp in edges if lamp == order[0]]
    assert len(starts) >= 5
    for start in starts[:4]:
        for step, lamp in enumerate(order):
            assert any(abs(t - start - 250 * step) <= EXACT_MS for t, found in edges
                       if found == lamp), (start, lamp, edges)


def lit_at_most(rig, ms=4000):
    """Capacity lamps of each module's bar at its fullest, in the next *ms*."""
    start_ms = rig.module(0).get()["t_ms"]
    most = [sum(module["wire"]["lamps"]["cap"]) for module in rig.get_all()["modules"]]
    counts = list(most)
    rig.run(ms)
    for i in range(len(most)):
        for t_ms, signal, value in rig.module(i).trace(start_ms)["edges"]:
            if signal.startswith("lamps.cap.") and t_ms > start_ms:
                counts[i] += 1 if value else -1
                most[i] = max(most[i], counts[i])
    return most


@pytest.mark.targets("host", "unix")
@pytest.mark.req("LED-04")
@pytest.mark.req("COM-03")
def test_every_pack_of_the_other_profile_shows_the_charge_of_the_system(rig, target):
    rig.fleet(modules=3, board=target, profile="b1-5.1-48", plant=[
        {"soc": 0.13, "temp_c": 25}, {"soc": 0.13, "temp_c": 25}, {"soc": 0.24, "temp_c": 25}])
    rig.run(15_000)             # the third is on the flat part: 40 % until more is known
    rig.set(load_ma=30_000)
    rig.run(6000)               # the others join below the load
    reports = [module["report"] for module in rig.get_all()["modules"]]
    bands = [sum(r["soc"] >= edge for edge in BANDS) for r in reports]
    assert len(set(bands)) > 1                          # each by itself would show its own
    mean = sum(r["soc"] for r in reports) / 3           # equal capacities
    assert abs(reports[0]["system_soc_cpct"] / 100 - mean) < 0.5
    system = sum(reports[0]["system_soc_cpct"] / 100 >= edge for edge in BANDS)
    assert lit_at_most(rig) == [system] * 3
    rig.module(0).power(on=False)                       # nobody knows it any more
    rig.run(14_000)
    reports = [module["report"] for module in rig.get_all()["modules"][1:]]
    assert all(r["faults"] for r in reports)
    assert lit_at_most(rig)[1:] == [sum(r["soc"] >= edge for edge in BANDS) for r in reports]


@pytest.mark.targets("host", "unix")
@pytest.mark.req("LED-04")
def test_red_of_the_other_profile(rig, target):
    opened(rig, target, profile="b1-5.1-48")
    before, changes = watch(rig)
    check("alm", FLASH_2, before["alm"], changes["alm"])        # standby: once a second
    rig.set(fault={"afe_silent": True})
    rig.run(3000)
    before, changes = watch(rig)
    check("alm", ON, before["alm"], changes["alm"])


def beeps(rig, ms=12_000):
    """(ms on, ms from one to the next) of each beep in the next *ms*."""
    start_ms = rig.get()["t_ms"]
    rig.run(ms)
    edges = [(t, value) for t, signal, value in rig.trace(start_ms)["edges"]
             if signal == "buzzer" and t < start_ms + ms]
    if edges and not edges[0][1]:
        edges.pop(0)
    on = [t for t, value in edges if value]
    off = [t for t, value in edges if not value]
    return [(off[i] - on[i], on[i + 1] - on[i]) for i in range(min(len(off), len(on) - 1))]


@pytest.mark.targets("host", "unix")
@pytest.mark.req("BUZ-01")
def test_the_buzzer(rig, target):
    opened(rig, target)
    rig.set(cell_temp_dc=[530] * 4)
    rig.run(5000)
    assert beeps(rig) == []                             # not enabled
    rig.param("buzzer_enable", 1)
    for values, seconds, period_ms, least in (({}, 2, 3000, 3), (TOO_HOT, 6, 2000, 5),
                                              ({"fault": {"afe_silent": True}}, 3, 1000, 10)):
        rig.set(**values)
        rig.run(seconds * 1000)
        found = beeps(rig)
        assert len(found) >= least
        for on_ms, between_ms in found:
            assert abs(on_ms - 250) <= EXACT_MS and abs(between_ms - period_ms) <= EXACT_MS


@pytest.mark.targets("host", "unix", "rp2040")
@pytest.mark.req("LED-05", "DRY-01", "BUZ-01")
def test_what_stops_only_the_other_direction_is_an_alarm_of_the_present_one(rig, target):
    """20 A out of a pack at 4 degC: it may not be charged, and goes on working."""
    opened(rig, target, params={"buzzer_enable": 1})
    rig.set(**LOAD, **COLD)
    rig.run(6000)
    before, changes = watch(rig, 4000)
    assert rig.get()["report"]["protections"] == ["PRO-09"]
    assert rig.get()["wire"]["do"] == [0, 0]
    assert len(rises(before["alm"], changes["alm"])) == 2           # Flash 3, both of them
    assert rises(before["alm"], changes["alm"]) == rises(before["run"], changes["run"])
    assert all(abs(gap - 3000) <= EXACT_MS for _, gap in beeps(rig, 8000))


@pytest.mark.targets("host", "unix", "rp2040")
@pytest.mark.req("LED-03", "MEA-06")
@pytest.mark.parametrize("seed", (1, 4))
def test_a_charger_just_above_an_over_charged_pack_is_the_grid(rig, target, seed):
    """57.9 V at terminals of 57.76 V, whatever the board's gains; without it: standby."""
    opened(rig, target, seed=seed)
    rig.set(cell_mv={str(i): 3610 for i in range(16)}, charger_mv=57_900, charger_ma=20_000)
    rig.run(8000)
    assert rig.get()["report"]["protections"] == ["PRO-01", "PRO-03"]
    before, changes = watch(rig, 4500)
    for lamp in LAMPS:
        check(lamp, OFF if lamp == "alm" else ON, before[lamp], changes[lamp])
    rig.set(charger_mv=None, charger_ma=None)
    rig.run(10_000)
    before, changes = watch(rig, 4500)
    assert not before["alm"] and changes["alm"] == []
    assert len(rises(before["run"], changes["run"])) >= 1 and len(changes["run"]) >= 2


@pytest.mark.targets("host", "unix", "rp2040")
@pytest.mark.req("BUZ-01")
def test_the_first_beep_starts_with_the_event(rig, target):
    opened(rig, target, params={"buzzer_enable": 1})
    start_ms = rig.get()["t_ms"]
    rig.set(**TOO_HOT)
    rig.run(8000)
    edges = rig.trace(start_ms)["edges"]
    opens_ms = next(t for t, signal, value in edges if signal == "fets.dsg" and not value)
    on = [t for t, signal, value in edges if signal == "buzzer" and value]
    off = [t for t, signal, value in edges if signal == "buzzer" and not value]
    assert min(abs(t - opens_ms) for t in on) <= 150        # a scan and a step of the panel
    assert all(abs(down - up - 250) <= EXACT_MS for up, down in zip(on, off, strict=False))


@pytest.mark.targets("host", "unix", "rp2040")
@pytest.mark.req("AS1-03")
def test_the_battery_switch_of_the_other_profile(rig, target):
    """AS1 manual 5.3, 5.4 and 7.2: the blue light is the ON/OFF lamp, the button is RST."""
    opened(rig, target, profile="b1-5.1-48")
    assert levels(rig)["onoff"]
    rig.set(rst=1)
    rig.run(5000)
    assert levels(rig)["onoff"]
    rig.set(rst=0)
    rig.run(12_000)
    assert rig.get()["report"]["state"] == "sleep"
    assert not any(levels(rig).values())
    assert rig.get()["wire"]["fets"]["chg"] == rig.get()["wire"]["fets"]["dsg"] == 0
    rig.set(rst=1)                                      # a short press
    rig.run(300)
    rig.set(rst=0)
    rig.run(700)
    lit = levels(rig)
    assert lit["onoff"] and sum(lit.values()) >= 2
    rig.run(8000)
    assert rig.get()["report"]["state"] == "standby"
    assert levels(rig)["onoff"]


@pytest.mark.sample
@pytest.mark.req("DRY-01")
@pytest.mark.req("DIP-01")
def test_contacts_and_address(rig, target):
    opened(rig, target)
    assert rig.get()["wire"]["do"] == [0, 0]
    rig.set(cell_temp_dc=[590] * 4, dip=5)
    rig.run(900)
    assert rig.get()["report"]["dip"] == 0              # not stable for a second yet
    rig.run(5000)
    assert rig.get()["report"]["dip"] == 5
    assert rig.get()["wire"]["do"] == [1, 0]
    assert any(event["event"] == "dip" and event["value"] == 5
               for event in rig.events(0)["events"])
    rig.reset()
    rig.run(250)
    assert rig.get()["wire"]["do"] == [0, 0]            # in reset: the pull-downs
    rig.run(1000)
    rig.param("do1_inverted", 1)
    rig.param("do1_function", 2)
    rig.param("low_soc_cpct", 5000)
    rig.param("do2_function", 0)
    rig.run(500)
    assert rig.get()["wire"]["do"] == [1, 0]
