"""One seeded stream of scans, settings and mishaps through the pack's logic; what it decides is
hashed. Runs on every interpreter; test_differential.py compares.

run(seed, steps, every) prints "number hash" each *every* steps; run(seed, steps, 0, first) prints
each decision from step *first* on.
"""

from bms.panel import indication
from bms.pack import Pack
from bms.words.parameters import TABLE, Parameters
from bms.words.rules import FAULTS, bit_of
from fakes import put16, scan_regs
from profiles import am5000, b1_5_1_48

NAMES = ("allowed", "blocked", "pending", "alarms", "trips", "locks", "faults", "state",
         "direction", "ccl", "dcl", "limiter", "lamps", "doubts", "soc", "allowance", "reasons",
         "events", "first", "fet fault", "sends")
_WRAP = 1 << 30
# near which value of a parameter a quantity is put: (what, scale)
_CELL = ("cell_ov_alarm_mv", "cell_ov_trip_mv", "cell_ov_release_mv", "cell_uv_alarm_mv",
         "cell_uv_trip_mv", "cell_uv_release_mv", "full_cell_mv", "deep_floor_mv", "deep_end_mv")
_PACK = ("pack_ov_alarm_mv", "pack_ov_trip_mv", "pack_ov_release_mv", "pack_uv_alarm_mv",
         "pack_uv_trip_mv", "pack_uv_release_mv")
_CURRENT = ("chg_oc_alarm_ma", "chg_oc_trip_ma", "dsg_oc1_trip_ma", "dsg_oc2_trip_ma",
            "other_way_ma", "rest_ma", "limiter_on_ma", "nominal_ma", "tail_ma", "fet_fail_ma")
_TEMPERATURE = ("chg_ut_trip_dc", "chg_ut_release_dc", "chg_ot_trip_dc", "chg_ot_release_dc",
                "dsg_ut_trip_dc", "dsg_ut_release_dc", "dsg_ot_trip_dc", "mos_ot_trip_dc",
                "mos_ot_release_dc", "env_ut_trip_dc", "env_ot_trip_dc")
_DT = (100, 100, 100, 100, 99, 101, 137, 200, 1000, 2900, 3000, 60_000)


class Numbers:
    """Seeded numbers in small integers (Wichmann-Hill)."""

    def __init__(self, seed):
        self._a = seed % 30_000 + 1
        self._b = seed // 7 % 30_000 + 1

    def below(self, n):
        self._a = self._a * 171 % 30_269
        self._b = self._b * 172 % 30_307
        return (self._a + self._b) % n if n <= 4096 else (self._a * 16_384 + self._b) % n

    def pick(self, choices):
        return choices[self.below(len(choices))]


class World:
    def __init__(self, seed):
        self.numbers = Numbers(seed)
        self.ticks = _WRAP - 90_000
        self.twice = None
        self.story = 0                      # steps of a story that are to come
        self.over = 0
        self.silent = 0
        self.begin(am5000)

    def begin(self, profile):
        self.profile = profile
        self.params = Parameters(profile.DEFAULTS)
        self.reset(None)

    def reset(self, kept):
        """The controller starts again; *kept*: what outlives it."""
        self.pack = Pack(self.profile, self.params, 100)
        self.pack.afe_ready = True
        self.shown = indication.ShownDirection()
        if kept is not None:
            self.pack.allowance.from_bytes(kept)
        self.regs = scan_regs()
        self.calm = 0

    # -- what happens --------------------------------------------------------------------

    def disturb(self):
        """One thing changes, now and then."""
        number = self.numbers
        if self.calm > 0:
            self.calm -= 1
            return
        self.calm = number.pick((0, 0, 1, 2, 4, 10, 40))
        what = number.below(28)
        params = self.params
        regs = self.regs
        off = number.below(3) - 1
        if what < 4:
            put16(regs, 0x14 + 2 * number.below(16), params[number.pick(_CELL)] + off)
            self.sum()
        elif what < 6:
            cell_mv = params[number.pick(_PACK)] // 16 + off
            for cell in range(16):
                put16(regs, 0x14 + 2 * cell, cell_mv)
            self.sum()
        elif what < 10:
            current = params[number.pick(_CURRENT)] // 10 + off
            put16(regs, 0x3A, current if number.below(2) else -current)
        elif what < 12:
            put16(regs, number.pick((0x70, 0x72, 0x74, 0x78, 0x7A)),
                  number.pick((0, 0x7FFF)) if number.below(8) == 0
                  else params[number.pick(_TEMPERATURE)] + off + 2731)
        elif what == 12:
            put16(regs, 0x6E, 2200 + number.below(1900))
        elif what == 13:
            stack = regs[0x34] | regs[0x35] << 8
            put16(regs, 0x36, stack + number.pick((0, 49, 50, 51, 200, -5000, -5300, -6000)))
        elif what == 14:
            put16(regs, 0x38, number.below(6000))
        elif what == 15:
            at = number.pick((0x03, 0x03, 0x05, 0x07))
            regs[at] = 0
            self.twice = at, 1 << number.below(8)
        elif what == 16:
            regs[0x14 + number.below(0x60)] = number.below(256)         # any one byte
        elif what == 17:
            for at in range(0x14, 0x3C):
                regs[at] = number.below(256)                            # nonsense
        elif what == 18:
            row = TABLE[number.below(len(TABLE))]
            span = row[4] - row[3] + 1
            value = number.pick((row[3], row[4], row[3] + number.below(span)))
            if not row[1].startswith("boost_pause"):
                try:
                    params.set(row[1], value)
                except ValueError:
                    pass
        elif what == 19:
            self.rare()
        elif what == 20:
            self.heal()                     # over-currents, one after the other
            self.regs = scan_regs()
            self.story = 36
            self.over = number.pick((11_100, -11_100, -15_100))
        elif what == 21:
            self.silent = 1 + number.below(8)
        else:
            if number.below(2):
                self.heal()
            self.regs = scan_regs(current_ma=number.pick((0, 5000, -5000, 51_000, 101_000)))

    def rare(self):
        number = self.numbers
        pack = self.pack
        what = number.below(7)
        if what == 0:
            pack.clear()
        elif what == 1:
            pack.set_fault(bit_of(number.pick(FAULTS)[2]), number.below(2) == 1, 5, 6)
        elif what == 2:
            pack.afe_ready = number.below(2) == 1
        elif what == 3:
            self.reset(pack.allowance.to_bytes())
        elif what == 4:
            self.begin(number.pick((am5000, b1_5_1_48)))
        elif what == 5:
            self.params.restore()
        else:
            pack.fets.restarted()

    def heal(self):
        """Whoever found a fault finds that it has gone."""
        self.params.restore()
        for row in FAULTS:
            self.pack.set_fault(bit_of(row[2]), False)
        self.pack.afe_ready = True

    def sum(self):
        """The stack follows the cells."""
        total = 0
        regs = self.regs
        for cell in range(16):
            total += regs[0x14 + 2 * cell] | regs[0x15 + 2 * cell] << 8
        put16(regs, 0x34, total // 10)
        put16(regs, 0x36, total // 10)

    def step(self):
        number = self.numbers
        dt_ms = number.pick(_DT)
        if self.story:
            self.story -= 1
            dt_ms = (60_000, 3000, 100)[self.story % 3]
            put16(self.regs, 0x3A, self.over if self.story % 3 else 0)
        else:
            self.disturb()
        if self.twice:                      # an AFE bit that appears: it was away the scan before
            at, bit = self.twice
            self.twice = None
            self.regs[at] = bit
        pack = self.pack
        fets = pack.fets
        self.ticks = (self.ticks + dt_ms) % _WRAP
        fet_fault = 0
        if self.silent or number.below(40) == 0:
            self.silent = max(0, self.silent - 1)
            pack.measurements.fail()
            pack.step(self.ticks, False)
        else:
            regs = self.regs
            charging = not regs[0x3B] & 0x80
            if not fets.actual & (1 if charging else 2) and number.below(200):
                put16(regs, 0x3A, 0)                # nothing flows through an open FET
            regs[0x38] = regs[0x38] & 0xFE | number.below(2)
            regs[0x7F] = number.below(256) if number.below(50) == 0 else (
                (fets.wanted & 1) | (fets.wanted & 2) << 1)
            pack.measurements.take(regs, self.ticks)
            pack.step(self.ticks, True)
            fet_fault = fets.read_back(regs[0x7F], pack.measurements.safety,
                                       pack.measurements.dt_ms)
        allowed = pack.allowed()
        sends = fets.needs_command(allowed)
        if sends:
            fets.commanded(allowed)
        protection = pack.protection
        shown = self.shown.step(pack.direction, protection.trips, pack.charger_seen)
        row = indication.row_for(pack.state, shown, protection.alarms, protection.trips)
        first = pack.first_out or (0, 0, 0, 0, 0)
        return (allowed, protection.blocked, protection.pending, protection.alarms,
                protection.trips, protection.locks, pack.faults, pack.state, pack.direction,
                pack.ccl_ma, pack.dcl_ma, int(pack.limiter_in),
                indication.lamp_word(row, pack.soc.cpct, self.ticks // 250 & 15),
                pack.measurements.doubts, pack.soc.cpct, pack.allowance.limit_ma(),
                pack.derating.reasons, pack.events.newest,
                first[0] * 4096 + first[1] * 256 + (first[2] + first[3] & 0xFF), int(fet_fault),
                int(sends))


def run(seed, steps, every, first=0):
    world = World(seed)
    value = 0
    for number in range(1, steps + 1):
        decision = world.step()
        for part in decision:
            value = (value * 31 + (part & 0xFFFFFF)) & 0xFFFFFF
        if not every:
            if number >= first:
                print(number, *decision)
        elif number % every == 0:
            print(number, value)
