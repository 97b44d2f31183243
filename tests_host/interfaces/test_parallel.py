"""The bus between packs: its frames; the rule of joining a bus bar, and a pack's resistance."""

import unittest
from array import array

from bms.words import readings as rd
from bms.fleet import joining
from bms.fleet.joining import Joining
from bms.words.parameters import Parameters
from bms.words.rules import BOTH
from bms.fleet.resistance import Resistance
from fakes import NO_READING, Lcg, show
from protocols.parallel import wire
from protocols.ascii.frame import OK, Parser
from protocols.snapshot import Snapshot


def parsed(frame, length):
    """A Parser that has taken the first *length* bytes of *frame*."""
    parser = Parser(wire.LONGEST_CHARS)
    parser.take_chunk(frame, 0, length, 0)
    assert parser.verdict == OK, parser.verdict
    return parser


class TestFrames(unittest.TestCase):
    def setUp(self):
        self.out = bytearray(wire.LONGEST_CHARS)
        self.info = bytearray(wire.LONGEST_CHARS // 2)

    def test_a_request_as_on_the_wire(self):                    # req: COM-03
        length = wire.request(self.out, self.info, wire.ASK_STATE, 2, wire.BAR_KNOWN, 0xCE40,
                              0x0A0B0C, 8000)
        self.assertEqual(bytes(self.out[:length]), b"~25024670D0120201CE400A0B0C1F40F9AF\r")
        parser = parsed(self.out, length)
        self.assertTrue(wire.is_request(parser) and not wire.is_answer(parser))
        self.assertEqual((wire.request_tag(parser), wire.told_bar_mv(parser)),
                         (0x0A0B0C, 0xCE40))

    def test_no_bar_is_no_reading(self):                        # req: COM-09
        length = wire.request(self.out, self.info, wire.ASK_STATE, 9, wire.MAY_BE_FIRST, 0, 1)
        parser = parsed(self.out, length)
        self.assertEqual((wire.told_bar_mv(parser), parser.info[1], wire.told_soc_cpct(parser)),
                         (NO_READING, wire.MAY_BE_FIRST, -1))

    def test_the_charge_of_all_is_told_with_each_request(self):     # req: LED-04
        for command in (wire.ASK_STATE, wire.ASK_IDENTITY, wire.ROLL_CALL):
            for cpct in (0, 1, 4980, 10_000):
                length = wire.request(self.out, self.info, command, 3, 0, 0, 1, cpct, 5)
                parser = parsed(self.out, length)
                self.assertTrue(wire.is_request(parser))
                self.assertEqual(wire.told_soc_cpct(parser), cpct)
                if command == wire.ROLL_CALL:
                    self.assertEqual(wire.told_turn(parser), 5)

    def test_a_state_comes_back_as_it_was(self):                # req: COM-03
        rng = Lcg(5)
        for _ in range(20):
            seen = show(Snapshot(16), 7, limit_ma=10 * rng.below(10_000),
                        current_ma=rng.between(-150_000, 150_000),
                        cell_mv=rng.between(2500, 3600), soc_cpct=rng.between(0, 10_000),
                        full_mah=rng.between(1000, 1_000_000), closed=rng.below(4),
                        uohm=10 * rng.between(50, 20_000))
            for i in range(16):
                seen.cells_mv[i] = rng.between(2000, 4000)
            seen.max_cell = rng.below(16)
            seen.min_cell = rng.below(16)
            seen.max_cell_mv = seen.cells_mv[seen.max_cell]
            seen.min_cell_mv = seen.cells_mv[seen.min_cell]
            for i in range(4):
                seen.temps_dc[i] = rng.pick((NO_READING, rng.between(-400, 1000)))
            seen.sum_temps()
            seen.ambient_dc = rng.between(-400, 800)
            seen.mos_dc = rng.between(-400, 1300)
            seen.alarms = rng.below(1 << 15) << 11
            seen.protections = rng.below(1 << 13) << 13
            seen.full_request = rng.below(2) == 1
            seen.force_2 = rng.below(2) == 1
            seen.limiting = rng.below(2) == 1
            seen.buzzing = rng.below(2) == 1
            seen.balance_mask = rng.between(0, 0xFFFF)
            length = wire.state_answer(self.out, self.info, 7, 0xABCDEF, seen)
            self.assertTrue(length <= wire.LONGEST_CHARS)
            parser = parsed(self.out, length)
            self.assertTrue(wire.is_answer(parser) and not wire.is_request(parser))
            self.assertEqual(wire.answer_tag(parser), 0xABCDEF)
            back = Snapshot(16)
            back.module = 7
            self.assertTrue(wire.take_state(parser.info, back))
            for name in ("valid", "charge_on", "discharge_on", "charging", "discharging",
                         "limiting", "buzzing", "is_full", "force_1", "force_2",
                         "full_request", "is_able",
                         "alarms", "protections", "voltage_mv", "pack_mv", "current_ma",
                         "soc_cpct", "soh_pct", "remaining_mah", "full_mah", "cvl_mv", "dvl_mv",
                         "ccl_ma", "dcl_ma", "may_charge", "may_discharge", "resistance_uohm",
                         "balance_mask", "mos_dc", "ambient_dc", "max_cell", "min_cell",
                         "max_cell_mv", "min_cell_mv", "max_cell_module", "max_temp_dc",
                         "min_temp_dc", "mean_temp_dc"):
                self.assertEqual(getattr(back, name), getattr(seen, name), name)
            self.assertEqual(list(back.cells_mv), list(seen.cells_mv))
            self.assertEqual(list(back.temps_dc), list(seen.temps_dc))

    def test_a_brief_state_renews_what_moves_fast(self):        # req: COM-01 COM-03
        back = show(Snapshot(16), 7, limit_ma=90_000, current_ma=1000, cell_mv=3300)
        back.temps_dc[0] = 251
        back.cells_mv[0] = 3300
        seen = show(Snapshot(16), 7, limit_ma=40_000, current_ma=-70_000, cell_mv=3200,
                    soc_cpct=4321)
        seen.alarms = 1 << 20
        seen.protections = 1 << 21
        seen.cells_mv[3] = seen.max_cell_mv = 3412
        seen.cells_mv[9] = seen.min_cell_mv = 2987
        seen.max_cell, seen.min_cell = 3, 9
        length = wire.brief_answer(self.out, self.info, 7, 0xABCDEF, seen, 2)
        self.assertEqual(length, 92)
        parser = parsed(self.out, length)
        self.assertTrue(wire.is_answer(parser))
        self.assertEqual((wire.answer_tag(parser), wire.told_rate(parser)), (0xABCDEF, 2))
        self.assertTrue(wire.take_brief(parser.info, back))
        for name in ("valid", "charge_on", "discharge_on", "alarms", "protections", "voltage_mv",
                     "pack_mv", "current_ma", "soc_cpct", "cvl_mv", "dvl_mv", "ccl_ma", "dcl_ma",
                     "may_charge", "may_discharge", "max_cell", "min_cell", "max_cell_mv",
                     "min_cell_mv", "is_able"):
            self.assertEqual(getattr(back, name), getattr(seen, name), name)
        self.assertEqual((back.cells_mv[3], back.cells_mv[9], back.cells_mv[0]),
                         (3412, 2987, 3300))
        self.assertEqual(back.temps_dc[0], 251)                 # as it was
        info = bytearray(parser.info)
        info[22] = 0xFF
        back.current_ma = 4242
        self.assertFalse(wire.take_brief(info, back))
        self.assertEqual(back.current_ma, 4242)

    def test_an_identity_comes_back_as_it_was(self):            # req: COM-03
        seen = show(Snapshot(16), 3)
        seen.serial[:] = b"PC00112233445566"
        seen.cycles = 1234
        seen.charged_wh = 123_456_789
        seen.discharged_wh = 1 << 29
        length = wire.identity_answer(self.out, self.info, 3, 77, seen)
        back = Snapshot(16)
        wire.take_identity(parsed(self.out, length).info, back)
        self.assertEqual((bytes(back.serial), back.cycles, back.charged_wh, back.discharged_wh,
                          back.design_mah), (b"PC00112233445566", 1234, 123_456_789, 1 << 29,
                                             100_000))

    def test_limits_of_open_fets_do_not_count(self):            # req: COM-09
        seen = show(Snapshot(16), 3)
        seen.charge_on = False
        length = wire.state_answer(self.out, self.info, 3, 77, seen)
        back = Snapshot(16)
        wire.take_state(parsed(self.out, length).info, back)
        self.assertEqual((back.ccl_ma, back.may_charge, back.dcl_ma, back.blocking_charge),
                         (0, False, 50_000, 1))
        seen.valid = False
        length = wire.state_answer(self.out, self.info, 3, 77, seen)
        wire.take_state(parsed(self.out, length).info, back)
        self.assertEqual((back.dcl_ma, back.current_ma, back.max_cell_mv),
                         (0, NO_READING, NO_READING))

    def test_what_contradicts_itself_is_not_taken(self):        # req: COM-06
        seen = show(Snapshot(16), 3)
        length = wire.state_answer(self.out, self.info, 3, 77, seen)
        good = parsed(self.out, length).info
        for at, value in ((56, 15), (39, 0), (22, 0xFF)):
            info = bytearray(good)
            info[at] = value
            if at == 39:
                info[40] = 0
            back = show(Snapshot(16), 3, current_ma=4242)
            self.assertFalse(wire.take_state(info, back), at)
            self.assertEqual(back.current_ma, 4242)

    def test_tags_fall_apart_in_some_turn(self):                # req: DIP-02
        rng = Lcg(3)
        for _ in range(100):
            a = wire.tag_of(bytes(rng.below(256) for _ in range(8)))
            b = wire.tag_of(bytes(rng.below(256) for _ in range(8)))
            self.assertTrue(0 <= a < 1 << 24)
            if a != b:
                self.assertTrue(any(wire.slot_of(a, t) != wire.slot_of(b, t) for t in range(8)))
        self.assertFalse(wire.tag_of(b"PACK0001") == wire.tag_of(b"PACK0002"))


class TestJoining(unittest.TestCase):
    """8 mOhm unless told: 50 A make 400 mV. The case itself stands for Measurements."""

    dt_ms = 100
    terminals_known = True

    def setUp(self):
        self.joining = Joining(Parameters())
        self.values = array("i", (NO_READING for _ in range(rd.COUNT)))
        self.values[rd.STACK_MV] = 52_000
        self.values[rd.PACK_MV] = 0
        self.values[rd.CURRENT_MA] = 0
        self.values[rd.CELL_SUM_MV] = 52_000

    def held(self, ms=600, dip=2, wanted=0, limit_ma=50_000, told=None, first=False):
        self.dt_ms = 100 if ms < 100_000 else 1000      # long times in few steps
        for _ in range(ms // self.dt_ms):
            if told is not None:
                self.joining.told(told, first)
            self.joining.step(dip, self, wanted, limit_ma, limit_ma)
        return self.joining.held

    def test_alone_nothing_is_held(self):                       # req: COM-09
        self.assertEqual(self.held(dip=0, ms=100), 0)

    def test_current_on_joining_must_be_within_the_limit(self):     # req: COM-09
        for bar_mv, held in ((52_399, 0), (52_400, BOTH), (51_601, 0), (51_600, BOTH),
                             (52_000, 0), (54_000, BOTH)):
            self.setUp()
            self.values[rd.PACK_MV] = bar_mv
            self.assertEqual(self.held(told=bar_mv), held, bar_mv)
            self.assertFalse(self.joining.soft)

    def test_a_pack_that_may_take_nothing_does_not_join_upwards(self):  # req: COM-09
        self.assertEqual(self.held(told=52_010, limit_ma=0), BOTH)

    def test_the_master_is_not_believed_against_own_terminals(self):    # req: COM-09
        for own_mv, told_mv, why in ((0, 52_100, joining.DISAGREES),
                                     (54_500, 52_100, joining.DISAGREES),
                                     (54_000, 52_100, joining.FAR_OFF)):
            self.setUp()
            self.values[rd.PACK_MV] = own_mv
            self.assertEqual(self.held(told=told_mv), BOTH, own_mv)
            self.assertEqual(self.joining.why, why, own_mv)

    def test_terminals_of_an_unknown_gain_may_be_off_by_more(self):     # req: COM-09 MEA-06
        self.terminals_known = False
        self.values[rd.PACK_MV] = 55_000        # 2.5 % of the stack and what loads make
        self.assertEqual(self.held(told=52_100), 0)
        self.values[rd.PACK_MV] = 56_000
        self.assertEqual(self.held(told=52_100), BOTH)

    def test_the_second_fet_is_judged_as_the_first_was(self):      # req: COM-09 MEA-06
        self.terminals_known = False
        self.values[rd.PACK_MV] = 50_900        # reads 1.2 V low
        self.assertEqual(self.held(told=52_100), 0)
        self.assertEqual(self.held(told=52_100, wanted=1), 0)
        self.assertEqual(self.held(ms=6_000, wanted=1), 0)

    def test_first_on_a_bar_that_lives_joins_through_the_limiter(self):     # req: COM-09
        self.values[rd.PACK_MV] = 56_800
        self.assertEqual(self.held(told=NO_READING, first=True), 0)
        self.assertTrue(self.joining.soft)
        self.values[rd.PACK_MV] = 47_200        # what is lower would be charged by this pack
        self.setUp()
        self.values[rd.PACK_MV] = 47_200
        self.assertEqual(self.held(told=NO_READING, first=True), BOTH)

    def test_without_the_limiter_nothing_is_joined_that_is_far_off(self):   # req: COM-09
        params = Parameters()
        params.set("limiter_enable", 0)
        self.joining = Joining(params)
        self.values[rd.PACK_MV] = 56_800
        self.assertEqual(self.held(told=NO_READING, first=True), BOTH)

    def test_the_limiter_leaves_when_the_current_stays_in_its_limit(self):  # req: COM-09
        self.values[rd.PACK_MV] = 56_800
        self.held(told=NO_READING, first=True)
        self.values[rd.CURRENT_MA] = 10_000
        self.held(ms=119_000, wanted=BOTH)
        self.assertTrue(self.joining.soft)
        self.held(ms=1_100, wanted=BOTH)
        self.assertFalse(self.joining.soft)
        self.values[rd.CURRENT_MA] = 50_000     # a charger that obeys
        self.held(ms=20_000, wanted=BOTH)
        self.assertFalse(self.joining.soft)

    def test_the_limiter_is_back_at_the_first_scan_beyond(self):            # req: COM-09
        self.values[rd.PACK_MV] = 56_800
        self.held(told=NO_READING, first=True)
        self.held(ms=120_000, wanted=BOTH)
        self.values[rd.CURRENT_MA] = 179_000    # a pack on the bar after all
        self.held(ms=100, wanted=BOTH)
        self.assertTrue(self.joining.soft)
        self.values[rd.CURRENT_MA] = 10_000
        self.held(ms=479_000, wanted=BOTH)      # four times as long
        self.assertTrue(self.joining.soft)

    def test_alone_onto_a_higher_bar_goes_through_the_limiter(self):        # req: COM-09
        self.values[rd.PACK_MV] = 56_800
        self.assertEqual(self.held(dip=0, ms=100), 0)
        self.assertTrue(self.joining.soft)
        self.values[rd.PACK_MV] = 52_300
        self.held(dip=0, ms=100)
        self.assertFalse(self.joining.soft)

    def test_who_can_give_nothing_yields(self):                             # req: COM-09
        self.joining.told(52_000, False, True)
        self.assertEqual(self.held(wanted=BOTH, ms=100), BOTH)
        self.joining.told(52_000, False, False)
        self.assertEqual(self.held(wanted=BOTH, ms=100), 0)
        self.joining.told(52_000, False, True)
        self.assertEqual(self.held(wanted=BOTH, ms=5_100), 0)   # said too long ago

    def test_the_difference_must_last(self):                    # req: COM-09
        self.values[rd.PACK_MV] = 52_100
        self.assertEqual(self.held(told=52_100, ms=500), BOTH)
        self.assertEqual(self.held(told=52_100, ms=100), 0)

    def test_own_terminals_are_fresher_than_what_was_told(self):    # req: COM-09
        self.values[rd.PACK_MV] = 52_900
        self.assertEqual(self.held(told=52_100), BOTH)
        self.values[rd.PACK_MV] = 52_100
        self.assertEqual(self.held(told=52_900), 0)

    def test_nobody_on_the_bar_takes_permission(self):          # req: COM-09
        self.assertEqual(self.held(told=NO_READING), BOTH)
        self.assertEqual(self.held(told=NO_READING, first=True), 0)

    def test_a_master_waits_until_it_knows(self):               # req: COM-09
        self.assertEqual(self.held(dip=1, ms=60_000), BOTH)

    def test_without_a_master_slaves_close_one_after_another(self):     # req: COM-09
        for dip in (2, 3, 15):
            self.setUp()
            self.assertEqual(self.held(dip=dip, ms=20_000 + dip * 2000 - 100), BOTH)
            self.assertEqual(self.held(dip=dip, ms=1200), 0)

    def test_without_a_master_a_live_bar_is_compared_with(self):    # req: COM-09
        self.values[rd.PACK_MV] = 53_000
        self.assertEqual(self.held(ms=300_000), BOTH)
        self.values[rd.PACK_MV] = 52_200
        self.assertEqual(self.held(), 0)

    def test_what_is_closed_is_never_opened(self):              # req: COM-09
        self.assertEqual(self.held(told=56_000, wanted=BOTH), 0)
        self.assertEqual(self.held(told=56_000, wanted=1) & 1, 0)

    def test_the_second_fet_waits_where_a_rush_would_pass_it(self):     # req: COM-09
        # discharge FET open, bar lower: closing it would discharge at once
        self.assertEqual(self.held(told=51_000, wanted=1), 2)
        self.assertEqual(self.held(told=53_000, wanted=1), 0)
        self.assertEqual(self.held(told=53_000, wanted=2), 1)
        self.assertEqual(self.held(told=51_000, wanted=2), 0)


class TestResistance(unittest.TestCase):
    def setUp(self):
        self.params = Parameters()
        self.found = Resistance(self.params)
        self.values = array("i", (NO_READING for _ in range(rd.COUNT)))

    def scans(self, current_ma, sum_mv, count=3, dt_ms=100):
        self.values[rd.CURRENT_MA] = current_ma
        self.values[rd.CELL_SUM_MV] = sum_mv
        for _ in range(count):
            self.found.step(self.values, dt_ms)
        return self.found.uohm

    def test_as_given_until_it_is_measured(self):               # req: COM-09
        self.assertEqual(self.scans(0, 52_000), 8000)

    def test_a_step_of_current_tells(self):                     # req: COM-09
        self.scans(0, 52_000)
        self.assertEqual(self.scans(-20_000, 51_760), 12_000)   # 240 mV by 20 A
        self.assertEqual(self.scans(20_000, 52_240), 12_000)

    def test_small_steps_and_ramps_tell_nothing(self):          # req: COM-09
        self.scans(0, 52_000)
        self.assertEqual(self.scans(-9_000, 51_800), 8000)
        for i in range(30):
            self.scans(-9_000 - 3_000 * i, 51_800 - 90 * i, 1)
        self.assertEqual(self.found.uohm, 8000)

    def test_a_gap_in_the_scans_tells_nothing(self):            # req: COM-09
        self.scans(0, 52_000)
        self.values[rd.CELL_SUM_MV] = NO_READING
        self.found.step(self.values, 100)
        self.assertEqual(self.scans(-20_000, 51_760), 8000)
        self.assertEqual(self.scans(0, 52_000, 3, 600), 8000)

    def test_nonsense_is_not_learnt(self):                      # req: COM-09
        self.scans(0, 52_000)
        self.assertEqual(self.scans(-20_000, 51_000), 8000)     # 50 mOhm
        self.assertEqual(self.scans(0, 50_000), 8000)           # the wrong way

    def test_single_values_are_smoothed(self):                  # req: COM-09
        self.scans(0, 52_000)
        self.scans(-20_000, 51_760)
        self.assertEqual(self.scans(0, 52_080), 12_000 + 4000 // 4)

    def test_a_new_parameter_begins_anew(self):
        self.params.set("join_uohm", 20_000)
        self.assertEqual(self.scans(0, 52_000), 20_000)


if __name__ == "__main__":
    unittest.main()
