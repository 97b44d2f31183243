"""Whatever the packs are: the published sum drives none of them beyond its own limit.

The judge is tools/models/bus_bar.py, which shares no code with the firmware.
"""

import os
import random

import pytest
from bms.fleet.fleet import Fleet
from bus_bar import BusBar, pack_ma
from hypothesis import given, settings
from hypothesis import strategies as some
from protocols.snapshot import Snapshot

pytestmark = pytest.mark.req("COM-03")
STATES = int(os.environ.get("PACKCTL_FLEET_STATES", "20000"))
TOLERANCE_MA = 10       # of readings in whole mA


class Packs:
    """1 to 15 packs on a bar, and the master's picture of them."""

    def __init__(self):
        self.own = Snapshot(16)
        self.fleet = Fleet(self.own, lambda: Snapshot(16))
        self.bar = BusBar()
        for address in range(2, 16):
            self.fleet.slave(address)

    def put(self, rows, total_ma):
        """rows: (valid, charge on, discharge on, emf_mv, uohm, ccl_ma, dcl_ma) of each pack; what
        flows when the surroundings drive *total_ma* is what they measure."""
        fleet = self.fleet
        del fleet.modules[1:]
        self.rows = rows
        # a pack whose readings are stale has opened its FETs
        self.packs = [(emf, uohm / 1e6, valid and chg, valid and dsg, False)
                      for valid, chg, dsg, emf, uohm, _, _ in rows]
        self.bar.force_ma = total_ma
        mv = self.bar.solve(self.packs)
        for i, (valid, chg, dsg, emf, uohm, ccl_ma, dcl_ma) in enumerate(rows):
            seen = self.own if i == 0 else fleet.slave(i + 1)
            seen.module = i + 1
            seen.valid = valid
            seen.charge_on, seen.discharge_on = chg, dsg
            seen.ccl_ma = ccl_ma if chg and valid else 0
            seen.dcl_ma = dcl_ma if dsg and valid else 0
            seen.may_charge, seen.may_discharge = seen.ccl_ma > 0, seen.dcl_ma > 0
            seen.current_ma = 0 if mv is None else round(pack_ma(self.packs[i], mv))
            seen.voltage_mv = seen.pack_mv = round(emf)
            seen.resistance_uohm = uohm
            if i:
                fleet.modules.append(seen)
            fleet._steady[i + 1] = 0

    def check(self):
        """Drive what was published, each way: nobody carries more than it may."""
        fleet = self.fleet
        fleet._watch_shares()
        fleet._limit()
        whole = fleet.whole
        for total_ma, limit in ((whole.ccl_ma, 5), (-whole.dcl_ma, 6)):
            assert abs(total_ma) <= sum(row[limit] for row in self.rows if row[0])
            if not total_ma:
                continue
            self.bar.force_ma = total_ma
            mv = self.bar.solve(self.packs)
            for pack, row in zip(self.packs, self.rows):
                carried = pack_ma(pack, mv) * (1 if limit == 5 else -1)
                allowed = row[limit] if row[1 if limit == 5 else 2] else 0
                assert carried <= allowed + TOLERANCE_MA, (total_ma, carried, allowed, self.rows)


def random_rows(rng):
    spread_mv = rng.choice((0, 20, 150))
    rows = []
    for _ in range(rng.randint(1, 15)):
        limit = rng.choice((50_000, 100_000, rng.randrange(0, 100_000)))
        rows.append((rng.random() < 0.95, rng.random() < 0.9, rng.random() < 0.9,
                     52_800 + rng.uniform(-spread_mv, spread_mv),
                     10 * rng.choice((800, rng.randrange(400, 4000))),
                     limit, rng.choice((limit, rng.randrange(0, 100_000)))))
    return rows


def test_no_pack_beyond_its_limit_over_random_states():
    rng = random.Random(7)
    packs = Packs()
    for _ in range(STATES):
        rows = random_rows(rng)
        packs.put(rows, rng.choice((0, rng.uniform(-1, 1) * 40_000 * len(rows))))
        packs.check()


PACK = some.tuples(some.booleans(), some.booleans(), some.booleans(),
                   some.integers(52_600, 53_000), some.integers(400, 4000).map(lambda x: 10 * x),
                   some.integers(0, 100_000), some.integers(0, 100_000))


@settings(max_examples=300, deadline=None)
@given(some.lists(PACK, min_size=1, max_size=15), some.integers(-300_000, 300_000))
def test_no_pack_beyond_its_limit(rows, total_ma):
    packs = Packs()
    packs.put(rows, total_ma)
    packs.check()


@settings(max_examples=200, deadline=None)
@given(some.lists(PACK, min_size=1, max_size=15))
def test_only_packs_that_can_carry_current_are_in_the_sums(rows):
    packs = Packs()
    packs.put(rows, 0)
    for i, seen in enumerate(packs.fleet.modules):
        seen.full_mah = 100_000 + i
        seen.current_ma = 1000 * i
    packs.fleet.update(0)
    carriers = [i for i, row in enumerate(rows) if row[0] and (row[1] or row[2])]
    whole = packs.fleet.whole
    if carriers:
        assert whole.full_mah == sum(100_000 + i for i in carriers)
        assert whole.current_ma == sum(1000 * i for i in carriers)
    assert whole.ccl_ma == 0 or any(rows[i][1] for i in carriers)
    assert whole.dcl_ma == 0 or any(rows[i][2] for i in carriers)
