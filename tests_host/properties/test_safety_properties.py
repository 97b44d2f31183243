"""What holds for any sequence of scans, silence, faults, settings and resets (spec, 3, 4, 7, 10).

A machine of hypothesis drives a whole pack through AFE registers. What has to happen is worked
out here from the specification alone, from the physical quantities that the registers were made
of: each item keeps its own past.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bms.power import power
from bms.words import states
from bms.words import readings as rd
from bms.pack import Pack
from bms.words.parameters import RULES, TABLE, Parameters
from bms.words.rules import (
    FAULT_CELL,
    FAULT_HOT,
    FAULT_NTC,
    FAULT_PROFILE,
    FAULT_PROMPT,
    FAULT_STARTS,
    FAULT_SUM,
    FAULT_WIRE,
    FAULTS,
    ITEMS,
    bit_of,
)
from fakes import LATE, NO_READING, WRAP, Beyond, put16, scan_regs
from profiles import am5000, b1_5_1_48

pytestmark = [pytest.mark.req(name) for name in (
    "PRO-20", "PRO-21", "PRO-22", "SAF-02", "COM-05", "DER-01", "MEA-02", "MEA-03")]

CHARGE, DISCHARGE, BOTH = 1, 2, 3
SCAN_MS = 100
SLEW = 2000                             # mA a second


class Item:
    """A row of section 3: names of its parameters and what happened to it so far."""

    def __init__(self, name, reading, sense, trip, release, delay, opens, out=None, soc=False,
                 minute=False, afe=0, gone=None, lock="oc_lock_trips"):
        self.gone, self.lock = gone, lock
        self.name, self.reading, self.sense = name, reading, sense
        self.trip, self.release, self.delay = trip, release, delay
        self.opens, self.out, self.soc, self.minute, self.afe = opens, out, soc, minute, afe
        self.waits = out == {"charged"}
        self.at = 0
        self.bit = 1 << [row[0] for row in ITEMS].index(name)
        self.reset()

    def reset(self):
        self.tripped = self.locked = False
        self.beyond = Beyond()
        self.tripped_at = None
        self.waits_from = None          # PRO-33: released by the voltage that came back
        self.row = 0
        self.quiet_from = None

    def step(self, now, value, has, afe_new, params, at_once=False):
        """Advance to the scan at *now*; value None: not to be believed.

        at_once   nothing was closed since the start: the second scan is enough (PRO-27)
        """
        out = self.out is not None and self.out & has
        dt_ms = now - self.at
        self.at = now
        if self.tripped:
            self._release(now, value, out, has, params)
            return
        if self.waits_from is not None and (
                out or now - self.waits_from >= params["uv_wait_ms"]):
            self.waits_from = None
        trips = afe_new & self.afe
        if out:
            self.beyond.reset()
            self.row = 0
            return
        ms = self.beyond.step(dt_ms, None if value is None else bool(
            self.sense and (value - params[self.trip]) * self.sense >= 0))
        delay_ms = params[self.delay] if self.delay else 0
        if trips or ms is not None and ms >= (min(1, delay_ms) if at_once else delay_ms):
            self.tripped, self.tripped_at, self.waits_from = True, now, None
            self.beyond.reset()
            self.row += 1
            self.locked = ((self.minute or self.waits or self.gone is not None)
                           and self.row >= params[self.lock])
        elif self.row and now - self.quiet_from >= (
                params["uv_wait_ms"] + 60_000 if self.waits
                else params["in_a_row_forget_s"] * 1000):
            self.row = 0

    def _release(self, now, value, out, has, params):
        free = bool(out)
        if out:
            self.row = 0
        elif self.locked:
            return
        elif self.gone is not None:
            free = bool(self.gone & has)
        elif self.minute:
            free = now - self.tripped_at >= params["oc_release_ms"]
        elif value is not None and self.sense and (not self.soc or "soc" in has):
            free = (value - params[self.release]) * self.sense <= 0
        if free:
            self.tripped = self.locked = False
            self.quiet_from = now
            if self.waits and not out:
                self.waits_from = now


class Pulses:
    """The current goes up and down: a sum of cells that is not the stack may be excused."""

    def __init__(self):
        self.current = 0
        self.rose_at = self.fell_at = -1_000_000
        self.until = -1

    def step(self, now, current):
        change, self.current = current - self.current, current
        if abs(change) > 3000 + abs(current) // 8:
            if change > 0:
                self.rose_at = now
            else:
                self.fell_at = now
            if abs(self.rose_at - self.fell_at) < 3000:
                self.until = now + 2500
        return now < self.until


class Again:
    """A short circuit is tried again after 30 s, 2 min, 8 min, then 10 min each; 10 quiet minutes
    begin the row anew. What a scan finds of trips is what the one before left."""

    WAITS_MS = (30_000, 120_000, 480_000, 600_000)

    def __init__(self):
        self.tripped = False
        self.since = 0
        self.row = 0

    def step(self, now, tripped):
        if tripped != self.tripped:
            self.tripped, self.since = tripped, now
            self.row += tripped
        elif not tripped and now - self.since >= 600_000:
            self.row = 0
        return tripped and now - self.since >= self.WAITS_MS[min(self.row, 4) - 1]


def items():
    dis, chg, seen = {"discharge"}, {"charge"}, {"charged"}
    over, under, ov = 1, -1, {"relief"}
    return [
        Item("PRO-01", "high", over, "cell_ov_trip_mv", "cell_ov_release_mv", "cell_ov_delay_ms",
             CHARGE, ov, soc=True, afe=0x08),
        Item("PRO-02", "low", under, "cell_uv_trip_mv", "cell_uv_release_mv", "cell_uv_delay_ms",
             DISCHARGE, seen, afe=0x04),
        Item("PRO-03", "sum", over, "pack_ov_trip_mv", "pack_ov_release_mv", "pack_ov_delay_ms",
             CHARGE, ov, soc=True),
        Item("PRO-04", "sum", under, "pack_uv_trip_mv", "pack_uv_release_mv", "pack_uv_delay_ms",
             DISCHARGE, seen),
        Item("PRO-05", "in", over, "chg_oc_trip_ma", None, "chg_oc_delay_ms", CHARGE, dis,
             minute=True, afe=0x10),
        Item("PRO-06", "out", over, "dsg_oc1_trip_ma", None, "dsg_oc1_delay_ms", DISCHARGE, chg,
             minute=True, afe=0x800000),
        Item("PRO-07", "out", over, "dsg_oc2_trip_ma", None, "dsg_oc2_delay_ms", DISCHARGE, chg,
             minute=True, afe=0x200060),
        Item("PRO-08", "none", 0, None, None, None, BOTH, chg, afe=0x400080,
             gone={"charger", "free", "again"}, lock="short_lock_trips"),
        Item("PRO-09", "cold", under, "chg_ut_trip_dc", "chg_ut_release_dc", "temp_delay_ms",
             CHARGE, afe=0x0100),
        Item("PRO-10", "hot", over, "chg_ot_trip_dc", "chg_ot_release_dc", "temp_delay_ms",
             CHARGE, afe=0x1000),
        Item("PRO-11", "cold", under, "dsg_ut_trip_dc", "dsg_ut_release_dc", "temp_delay_ms",
             DISCHARGE, afe=0x0200),
        Item("PRO-12", "hot", over, "dsg_ot_trip_dc", "dsg_ot_release_dc", "temp_delay_ms",
             DISCHARGE, afe=0x2000),
        Item("PRO-13", "ambient", under, "env_ut_trip_dc", "env_ut_release_dc", "temp_delay_ms",
             BOTH),
        Item("PRO-14", "ambient", over, "env_ot_trip_dc", "env_ot_release_dc", "temp_delay_ms",
             BOTH),
        Item("PRO-17", "mos", over, "mos_ot_trip_dc", "mos_ot_release_dc", "temp_delay_ms", BOTH,
             afe=0xC000),
        # the readings of these are the firmware's own: test_deep.py, test_ignored.py
        Item("PRO-29", "deep", under, "deep_floor_mv", "deep_end_mv", "cell_uv_delay_ms", CHARGE),
        Item("PRO-30-charge", "charge ignored", over, "ignored_trip_s", None, None, CHARGE, dis,
             minute=True),
        Item("PRO-30-discharge", "discharge ignored", over, "ignored_trip_s", None, None,
             DISCHARGE, chg, minute=True),
    ]


# Parameters that the machine plays with: thresholds, delays and what the conditions are made of
NAMES = [row[1] for row in TABLE if not row[1].startswith(("cal_", "pcs_", "bench_"))]
RANGES = {row[1]: (row[3], row[4]) for row in TABLE}


def values_of(name):
    low, high = RANGES[name]
    return st.one_of(st.integers(low, high), st.sampled_from((low, high)))


class PackMachine(RuleBasedStateMachine):

    @initialize(profile=st.sampled_from((am5000, b1_5_1_48)), offset=st.integers(0, 3000))
    def boot(self, profile, offset):
        self.profile = profile
        self.params = Parameters(profile.DEFAULTS)
        self.start(LATE - offset)

    def start(self, ticks):
        """Power on, or a reset: parameters stay."""
        self.ticks = ticks % WRAP
        self.pack = Pack(self.profile, self.params, SCAN_MS)
        self.pack.afe_ready = True
        self.items = items()
        self.now = 0                        # ms since start, does not wrap
        self.before = (0, 0)
        self.seen = False                   # a scan since start
        self.untried = BOTH                 # FETs that were not closed since
        self.failed = 0
        self.scanned_at = 0
        self.settled = False                # nothing was done to the pack since its last step
        self.safety = self.old_safety = 0
        self.free_scans = 0
        self.reversed = False
        self.right = []                     # (from, to) of right polarity since it was wrong
        self.was_right = False
        self.looked_at = None
        self.ways = {name: Beyond(-2) for name in ("charge", "discharge", "charger")}
        self.moved = {"charge": 0, "discharge": 0}
        self.uses = []
        self.pulses = Pulses()
        self.again = Again()
        self.relieved = False
        self.wrong_row = 0                  # scans that say so, one after the other
        self.blind_since = None
        self.below_for = self.above_for = 3     # scans since the terminals spoke against it
        self.noise = 0
        self.healthy()
        levels = self.pack.measurements.levels     # gains of an ideal board, learnt before
        for gain in (levels.stack, levels.pack):
            gain.known = gain.sure = True

    def healthy(self):
        self.cells = [3300] * 16
        self.stack_off = 0
        self.pack_mv = None                 # None: as the stack
        self.demand = 0
        self.weld = False
        self.temps = [250] * 4
        self.mos = 300
        self.ambient = 250
        self.ld = 0
        self.safety = 0
        self.frozen = False
        self.spoilt = {}                    # register: value, written over what is right

    # -- the world ---------------------------------------------------------------------

    def current(self):
        """What flows: the demand, if the FET of its direction lets it or is welded."""
        if self.weld or self.pack.fets.actual & (CHARGE if self.demand > 0 else DISCHARGE):
            return self.demand
        return 0

    def registers(self):
        stack = sum(self.cells) + self.stack_off
        regs = scan_regs(current_ma=self.current())
        for i, cell in enumerate(self.cells):
            put16(regs, 0x14 + 2 * i, cell)
        put16(regs, 0x34, stack // 10)
        pack_mv = stack if self.pack_mv is None else self.pack_mv
        if self.pack_mv is None and self.current() < 0 and (
                self.pack.fets.actual == DISCHARGE):    # through the charge FET's diode
            pack_mv -= 700
        put16(regs, 0x36, pack_mv // 10)
        if not self.frozen:
            self.noise ^= 1
        put16(regs, 0x38, self.ld // 10 + self.noise)
        for reg, temp in zip((0x70, 0x72, 0x74, 0x78), self.temps):
            put16(regs, reg, temp + 2731)
        put16(regs, 0x7A, self.mos + 2731)
        put16(regs, 0x6E, self.ambient + 2731)
        regs[0x03] = self.safety & 0xFF
        regs[0x05] = self.safety >> 8 & 0xFF
        regs[0x07] = self.safety >> 16 & 0xFF
        fets = self.pack.fets
        regs[0x7F] = (fets.wanted & CHARGE) | (fets.wanted & DISCHARGE) << 1
        for reg, value in self.spoilt.items():
            put16(regs, reg, value)
        return regs

    def scan(self, dt_ms):
        regs = self.registers()
        dt_ms = dt_ms if self.seen else 0
        self.now += dt_ms
        self.ticks = (self.ticks + dt_ms) % WRAP
        fets = self.pack.fets
        actual = (CHARGE if regs[0x7F] & 1 else 0) | (DISCHARGE if regs[0x7F] & 4 else 0)
        self.pack.measurements.take(regs, self.ticks)
        self.faults_before = self.pack.faults
        self.wanted_now = fets.wanted
        self.untried = (BOTH if self.pack.power.mode >= power.STORING
                        else self.untried & ~fets.wanted)
        self.pack.step(self.ticks, True)
        self.seen, self.failed = True, 0
        self.most_failed = self.params["failed_scans"]
        self.look(regs, actual)
        self.check(self.now - self.scanned_at)
        self.scanned_at = self.now
        self.settled = True
        fets.read_back(regs[0x7F], self.safety, dt_ms)
        fets.commanded(self.pack.allowed())

    def look(self, regs, actual):
        """Step the items with what the registers were made of."""
        def number(reg):
            return int.from_bytes(regs[reg:reg + 2], "little", signed=True)

        params = self.params
        measured = self.pack.measurements.values
        current, stack, terminals = number(0x3A) * 10, number(0x34) * 10, number(0x36) * 10
        cells = [number(0x14 + 2 * i) for i in range(16)]
        believed = measured[rd.MAX_CELL_MV] != NO_READING
        good = [cell for cell in cells
                if params["cell_low_limit_mv"] < cell < params["cell_high_limit_mv"]]
        readings = dict.fromkeys(("high", "low", "sum", "none", "cold", "hot", "mos", "ambient"))
        readings["in"], readings["out"] = max(current, 0), max(-current, 0)
        far_off = abs(sum(cells) - stack) > params["cell_sum_error_mv"]
        pulsing = self.pulses.step(self.now, current)
        if not good or far_off and not pulsing:
            assert not believed
        if believed:
            readings["high"], readings["low"] = max(good), min(good)
            assert measured[rd.MAX_CELL_MV] == max(good) and measured[rd.MIN_CELL_MV] == min(good)
        # the pack's rows are blind while the stack and the cells contradict each other
        if measured[rd.CELL_SUM_MV] != NO_READING:
            readings["sum"] = measured[rd.CELL_SUM_MV]
            if believed and len(good) == 16:
                assert readings["sum"] == sum(cells)
        temps = [number(reg) - 2731 for reg in (0x70, 0x72, 0x74, 0x78)]
        temps = [temp for temp in temps if -450 <= temp <= 1300]
        if temps:
            readings["cold"], readings["hot"] = min(temps), max(temps)
        if -450 <= number(0x7A) - 2731 <= 1300:
            readings["mos"] = number(0x7A) - 2731
        if -450 <= number(0x6E) - 2731 <= 1300:
            readings["ambient"] = number(0x6E) - 2731
        # current is believed while a FET is closed, from the third scan on of which the
        # terminals do not contradict it
        has = set()
        above = terminals - stack
        if abs(sum(cells) - stack) > params["cell_sum_error_mv"]:
            above = 0
        far = params["charger_seen_mv"] + abs(current) // 1000 * 3
        self.below_for = 0 if above < -far else self.below_for + 1
        self.above_for = 0 if above > far else self.above_for + 1
        dt_ms = 0 if self.looked_at is None else self.now - self.looked_at
        self.looked_at = self.now
        into = (self.actual_before and above > -params["charger_seen_mv"]
                and self.below_for >= 3)
        out_of = (self.actual_before and above < params["charger_seen_mv"]
                  and self.above_for >= 3)
        # and it has lasted: by time, and by the charge moved (PRO-32)
        for name, way, believed_way in (("charge", 1, into), ("discharge", -1, out_of)):
            flows = bool(believed_way and way * current > params["other_way_ma"])
            past = self.ways[name]
            ms = past.step(dt_ms, flows)
            if past.ms is not None:
                past.ms = min(past.ms, max(params["other_way_ms"], 0))
            need = params["other_way_ma"] // 10 * (params["other_way_ms"] // 100)
            moved = self.moved[name] + way * current * min(dt_ms, 1000) // 1000
            self.moved[name] = 0 if past.ms is None else min(max(moved, 0), 2 * need)
            if flows and ms >= params["other_way_ms"] and self.moved[name] >= need:
                has.add(name)
        seen = bool(into and current > params["rest_ma"] or above > params["charger_seen_mv"])
        ms = self.ways["charger"].step(dt_ms, seen)
        if ms is not None and ms >= params["other_way_ms"]:
            has.add("charger")
        past = self.ways["charger"]
        if past.ms is not None:
            past.ms = min(past.ms, params["other_way_ms"])
        # a discharge releases an over-voltage 6 times an hour
        self.uses = [at for at in self.uses if self.now - at < 3_600_000]
        over = any(self.items[i].tripped for i in (0, 2))
        if self.relieved and not over:
            self.uses.append(self.now)
        self.relieved = False
        if "discharge" in has and len(self.uses) < 6 and over and (
                self.actual_before & CHARGE or above <= -250):
            has.add("relief")
            self.relieved = True
        if measured[rd.SOC_CPCT] != NO_READING and (
                self.soc_at_table() < params["ov_release_soc_cpct"]):
            has.add("soc")
        short = self.items[7]
        if short.tripped and not self.actual_before and (
                number(0x38) * 10 > params["load_removed_mv"]):
            self.free_scans += 1
        else:
            self.free_scans = 0
        if self.free_scans >= 5:
            has.add("free")
        if self.again.step(self.now, short.tripped):
            has.add("again")
        joined = self.actual_before & self.wanted_now & DISCHARGE
        closing = self.wanted_now & ~self.wanted_before & DISCHARGE
        self.actual_before, self.wanted_before = actual, self.wanted_now
        new = self.safety & ~self.old_safety
        self.old_safety = self.safety
        # what the AFE says of a reading that is in doubt is no news
        if not believed or self.faults_before & (FAULT_CELL | FAULT_SUM | FAULT_WIRE):
            new &= ~0x00000C
        if len(temps) < 4 or readings["mos"] is None or readings["ambient"] is None or (
                self.faults_before & FAULT_NTC):
            new &= ~0x00F300
        for name, slot in (("deep", rd.DEEP_CELL_MV), ("charge ignored", rd.CHARGE_IGNORED_S),
                           ("discharge ignored", rd.DISCHARGE_IGNORED_S)):
            readings[name] = None if measured[slot] == NO_READING else measured[slot]
        deep = [item for item in self.items if item.name == "PRO-29"][0]
        if "charger" in has and not deep.tripped and not self.pack.cautions.deep.stands:
            has.add("charged")
        for item in self.items:
            item.step(self.now, readings[item.reading], has, new, params, self.untried == BOTH)
        right = terminals > -150
        if self.reversed:
            if right and self.was_right:
                self.right.append((self.now - dt_ms, self.now))
            self.was_right = right
            self.reversed = not self.is_right_again(right, dt_ms)
            if not self.reversed:
                self.wrong_row = 0
        elif right:
            self.wrong_row = 0
        elif joined:                                    # at once where current can flow
            self.turn()
        elif not closing:
            self.wrong_row += 1
            if self.wrong_row >= 8:
                self.turn()
        if not believed:
            self.blind_since = self.now if self.blind_since is None else self.blind_since
        else:
            self.blind_since = None

    def turn(self):
        self.reversed, self.right, self.was_right = True, [], False

    def is_right_again(self, right, dt_ms):
        """3 s in all of the last 5 s (PRO-18); in between both are right, as the firmware counts
        in slots of half a second."""
        def within(ms):
            return sum(min(to - max(since, self.now - ms), 3000) for since, to in self.right
                       if to > self.now - ms)
        if not right or within(5500) < 3000:
            return False
        return within(4400) >= 3000 or not self.pack.protection.trips >> 17 & 1

    actual_before = wanted_before = wanted_now = 0
    most_failed = 20

    def soc_at_table(self):
        return self.pack.measurements.values[rd.SOC_CPCT]

    # -- what has to hold --------------------------------------------------------------

    def check(self, dt_ms):
        pack = self.pack
        blocked = 0
        for item in self.items:
            tripped = pack.protection.trips & item.bit != 0
            assert tripped == item.tripped, (item.name, self.now, "trip")
            assert (pack.protection.locks & item.bit != 0) == item.locked, (item.name, "lock")
            if item.tripped or item.waits_from is not None:
                blocked |= item.opens
        if self.reversed:
            blocked |= BOTH
        assert pack.protection.blocked == blocked
        if self.blind_since is not None and (
                self.now - self.blind_since >= 2 * self.params["doubt_delay_ms"] + 2 * SCAN_MS):
            assert pack.allowed() == 0, "cells not seen, and no fault"
        for i, limit in ((0, pack.ccl_ma), (1, pack.dcl_ma)):
            fell = self.before[i] - limit
            assert limit == 0 or fell <= SLEW * dt_ms // 1000, (i, fell)
            assert -fell <= SLEW * dt_ms // 1000, (i, fell)
        self.before = pack.ccl_ma, pack.dcl_ma

    @invariant()
    def nothing_is_closed_that_something_holds_open(self):
        if not hasattr(self, "pack"):
            return
        pack = self.pack
        allowed = pack.allowed()
        assert allowed & pack.protection.blocked == 0
        up = [row for row in FAULTS if row[1] == BOTH and pack.has(bit_of(row[2]))]
        if up or not pack.afe_ready or not self.seen or (
                self.failed >= self.most_failed) or pack.afe_misled:
            assert allowed == 0             # a misled AFE is about to be reset
        elif self.settled and pack.state not in (states.OFF, states.SLEEP):
            waits = DISCHARGE if self.wrong_row else 0
            waits |= pack.protection.pending & pack.cautions.starts.untried     # PRO-27
            assert allowed == BOTH & ~pack.protection.blocked & ~waits

    @invariant()
    def limits_are_possible(self):
        if not hasattr(self, "pack"):
            return
        pack = self.pack
        allowed = pack.allowed()
        most = max(max(RANGES[name][1] for name in ("nominal_ma", "boost_ma")),
                   self.params["nominal_ma"])
        for limit, way in ((pack.ccl_ma, CHARGE), (pack.dcl_ma, DISCHARGE)):
            assert 0 <= limit <= most
            # a fault that came after the step acts on the limits with the next one
            if not allowed & way and not self.fault_is_new:
                assert limit == 0

    fault_is_new = False

    # -- what can happen ---------------------------------------------------------------

    @rule(dt_ms=st.sampled_from((100, 100, 99, 150, 1000, 2999, 3000, 60_000, 600_000)),
          count=st.integers(1, 4))
    def scans(self, dt_ms, count):
        self.fault_is_new = False
        for _ in range(count):
            self.scan(dt_ms)

    @rule(count=st.integers(10, 40))
    def a_while(self, count):
        self.fault_is_new = False
        for _ in range(count):
            self.scan(100)

    @rule(count=st.integers(1, 8))
    def silence(self, count):
        self.fault_is_new = False
        for _ in range(count):
            self.now += SCAN_MS
            self.ticks = (self.ticks + SCAN_MS) % WRAP
            self.pack.measurements.fail()
            self.failed += 1
            self.most_failed = self.params["failed_scans"]
            self.pack.step(self.ticks, False)
            self.before = self.pack.ccl_ma, self.pack.dcl_ma

    @rule(cell=st.integers(0, 15), name=st.sampled_from((
        "cell_ov_trip_mv", "cell_ov_release_mv", "cell_uv_trip_mv", "cell_uv_release_mv")),
        off=st.integers(-1, 1))
    def one_cell(self, cell, name, off):
        self.cells[cell] = self.params[name] + off

    @rule(name=st.sampled_from(("pack_ov_trip_mv", "pack_ov_release_mv", "pack_uv_trip_mv",
                                "pack_uv_release_mv", "cell_ov_trip_mv", "cell_uv_trip_mv")),
          off=st.integers(-1, 1))
    def all_cells(self, name, off):
        total = self.params[name] * (16 if name.startswith("cell") else 1) + off
        self.cells = [total // 16 + (1 if i < total % 16 else 0) for i in range(16)]

    @rule(name=st.sampled_from(("chg_oc_trip_ma", "dsg_oc1_trip_ma", "dsg_oc2_trip_ma",
                                "other_way_ma", "rest_ma", "limiter_on_ma")),
          off=st.sampled_from((-10, 0, 10)), sign=st.sampled_from((-1, 1)), weld=st.booleans())
    def some_current(self, name, off, sign, weld):
        self.demand = sign * (self.params[name] // 10 * 10 + off)
        self.weld = weld

    @rule()
    def no_current(self):
        self.demand = 0

    @rule(name=st.sampled_from([f"{row}_{what}_dc" for row in ("chg_ut", "chg_ot", "dsg_ut",
                                                               "dsg_ot")
                                for what in ("trip", "release")]),
          off=st.integers(-1, 1), sensor=st.integers(0, 3))
    def temperature(self, name, off, sensor):
        self.temps[sensor] = self.params[name] + off

    @rule(name=st.sampled_from(("mos_ot_trip_dc", "mos_ot_release_dc")), off=st.integers(-1, 1))
    def mosfet(self, name, off):
        self.mos = self.params[name] + off

    @rule(temp=st.sampled_from((250, 1000, 760, 655, 0, -160, -210, -300, -2731, 1400)))
    def ambient_temperature(self, temp):
        self.ambient = temp

    @rule(off=st.sampled_from((None, 0, 500, 510, 2000, -60_000, -52_950)))
    def terminals(self, off):
        self.pack_mv = None if off is None else sum(self.cells) + off

    @rule(ld=st.sampled_from((0, 20_000, 60_000)))
    def load_detect(self, ld):
        self.ld = ld

    @rule(bits=st.integers(0, 23).map(lambda i: 1 << i) | st.just(0))
    def afe_trips(self, bits):
        self.safety = bits

    @rule(where=st.sampled_from((0x14, 0x20, 0x32)), value=st.sampled_from((0, 90, 5500, 0x7FFF)))
    def a_cell_reads_nonsense(self, where, value):
        self.spoilt[where] = value

    @rule(off=st.sampled_from((0, 590, -590, 5000, -20_000)))
    def the_stack_is_off(self, off):
        self.stack_off = off

    @rule(where=st.sampled_from((0x70, 0x72, 0x74, 0x78, 0x7A)),
          value=st.sampled_from((0, 0x7FFF)))
    def a_thermistor_fails(self, where, value):
        self.spoilt[where] = value

    @rule(frozen=st.booleans())
    def nothing_moves(self, frozen):
        self.frozen = frozen

    @rule()
    def readings_are_right_again(self):
        self.spoilt = {}
        self.stack_off = 0

    @rule()
    def all_is_well(self):
        self.healthy()

    @rule(sets=st.lists(st.sampled_from(NAMES).flatmap(
        lambda name: st.tuples(st.just(name), values_of(name))), min_size=1, max_size=6))
    def settings_change(self, sets):
        self.settled = False
        for name, value in sets:
            try:
                self.params.set(name, value)
            except ValueError:
                pass
        for lesser, greater in RULES:
            assert self.params[lesser] < self.params[greater]

    @rule(row=st.sampled_from(FAULTS))
    def a_fault_from_outside(self, row):
        self.pack.set_fault(bit_of(row[2]), True, 1, 2)
        self.fault_is_new = True
        assert self.pack.allowed() & row[1] == 0

    @rule(ready=st.booleans())
    def the_afe_is_lost_or_found(self, ready):
        self.settled = False
        self.pack.afe_ready = ready
        if not ready:
            assert self.pack.allowed() == 0
            self.pack.step(self.ticks, False)
            assert (self.pack.ccl_ma, self.pack.dcl_ma) == (0, 0)
            self.before = 0, 0

    @rule()
    def the_host_clears(self):
        self.settled = False
        self.pack.clear()
        for item in self.items:
            item.locked, item.row = False, 0

    @rule()
    def reset(self):
        kept = self.pack.allowance.to_bytes()
        pause = self.pack.allowance.limit_ma()
        self.start(self.ticks)
        self.pack.allowance.from_bytes(kept)
        assert self.pack.allowance.limit_ma() <= pause
        self.actual_before = self.wanted_before = 0

    @precondition(lambda self: self.seen)
    @rule()
    def there_is_always_a_way_out(self):
        """Whatever has happened: a healthy pack that is used comes back by itself."""
        pack = self.pack
        if pack.faults & (FAULT_HOT | FAULT_PROFILE):
            return                              # that only another program or profile ends
        self.fault_is_new = False
        self.params.restore()
        self.healthy()
        self.ld = 60_000                        # nobody loads the terminals
        pack.afe_ready = True
        for fault in (0x10, 0x20, 0x40, FAULT_STARTS, FAULT_PROMPT):    # their owners end them
            pack.set_fault(fault, False)
        pack.clear()
        for item in self.items:
            item.locked, item.row = False, 0
        for current, count, dt_ms in ((0, 45, 100), (0, 2, 60_000), (2000, 15, 100),
                                      (-2000, 15, 100), (0, 45, 100), (-2000, 15, 100)):
            self.demand = current
            self.weld = False
            for _ in range(count):
                self.scan(dt_ms)
        assert pack.protection.trips == 0 and pack.protection.locks == 0, bin(
            pack.protection.trips)
        assert pack.allowed() == BOTH, (pack.state, bin(pack.faults))


TestPack = PackMachine.TestCase
TestPack.settings = settings(max_examples=int(os.environ.get("EXAMPLES", 100)),
                             stateful_step_count=40, deadline=None,
                             suppress_health_check=list(HealthCheck))
