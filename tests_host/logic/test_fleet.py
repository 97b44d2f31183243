"""The sum of many packs: what counts, what is the weakest, what is told of it."""

import unittest

from bms.fleet.fleet import MODULES, Fleet
from fakes import LATE, NO_READING, WRAP, Lcg, show
from protocols.snapshot import Snapshot


def make():
    return Snapshot(16)


class TestSum(unittest.TestCase):
    def setUp(self):
        self.now = LATE
        self.own = show(make(), 1)
        self.fleet = Fleet(self.own, make)

    def add(self, address, **values):
        seen = show(self.fleet.slave(address), address, **values)
        self.fleet.answered(address)
        return seen

    def sum(self):
        self.now = (self.now + 1000) % WRAP
        self.fleet.update(self.now)
        return self.fleet.whole

    def test_currents_and_capacities_add_up(self):              # req: COM-03
        show(self.own, 1, current_ma=-10_000, soc_cpct=8000)
        self.add(2, current_ma=-12_000, soc_cpct=5000)
        self.add(3, current_ma=-8_000, soc_cpct=2000, full_mah=50_000)
        whole = self.sum()
        self.assertEqual((whole.modules, whole.current_ma, whole.full_mah, whole.remaining_mah,
                          whole.design_mah), (3, -30_000, 250_000, 140_000, 300_000))
        self.assertEqual(whole.soc_cpct, 5600)          # 140 of 250 Ah
        self.assertTrue(whole.discharging and not whole.charging and whole.valid)
        self.assertEqual((whole.cycles, whole.cycles_max), (20, 30))

    def test_extremes_say_where(self):                          # req: COM-03
        self.add(2)
        self.add(7, cell_mv=3310)
        self.add(9)
        whole = self.sum()
        self.assertEqual((whole.max_cell_mv, whole.max_cell, whole.max_cell_module),
                         (3317, 7, 7))
        self.assertEqual((whole.min_cell_mv, whole.min_cell, whole.min_cell_module),
                         (3291, 10, 9))
        self.assertEqual((whole.max_temp_dc, whole.max_temp_module, whole.min_temp_dc,
                          whole.min_temp_module, whole.mean_temp_dc), (259, 9, 251, 1, 254))
        self.assertEqual((whole.max_mos_dc, whole.max_mos_module, whole.min_mos_dc,
                          whole.min_mos_module), (299, 1, 291, 9))

    def test_a_pack_with_open_fets_is_in_no_sum(self):          # req: COM-03 COM-09
        self.add(2, current_ma=-9_000)
        self.add(3, closed=0, soc_cpct=0, cell_mv=2600)
        whole = self.sum()
        self.assertEqual((whole.modules, whole.full_mah, whole.current_ma, whole.dcl_ma),
                         (3, 200_000, -9_000, whole.dcl_ma))
        self.assertTrue(0 < whole.dcl_ma <= 100_000)
        self.assertEqual((whole.blocking_charge, whole.blocking_discharge), (1, 1))
        self.assertEqual(whole.min_cell_module, 3)      # its cells are shown all the same

    def test_equal_packs_give_their_limits_times_their_number(self):    # req: COM-03
        for address in range(2, MODULES + 1):
            self.add(address)
        whole = self.sum()
        self.assertEqual((whole.modules, whole.ccl_ma, whole.dcl_ma), (15, 750_000, 750_000))

    def test_the_weakest_holds_the_sum(self):                   # req: COM-03
        self.add(2)
        self.add(3, limit_ma=10_000)
        self.assertEqual(self.sum().ccl_ma, 30_000)     # each takes a third
        self.add(3, limit_ma=0)
        self.assertEqual((self.sum().ccl_ma, self.fleet.whole.may_charge), (0, False))
        self.add(3, closed=0)
        self.assertEqual(self.sum().ccl_ma, 100_000)    # its FETs open: it takes nothing

    def test_the_lower_resistance_takes_more(self):             # req: COM-03
        show(self.own, 1, uohm=8000)
        self.add(2, uohm=16_000)                        # a third of the current
        self.assertEqual(self.sum().dcl_ma, 75_000)     # two thirds of it are 50 A

    def test_what_flows_between_packs_is_taken_off(self):       # req: COM-03
        show(self.own, 1, current_ma=6_000)
        self.add(2, current_ma=-6_000)
        whole = self.sum()
        self.assertEqual((whole.current_ma, whole.ccl_ma, whole.dcl_ma), (0, 88_000, 88_000))

    def test_half_open_packs_count_where_they_conduct(self):    # req: COM-09
        self.add(2, closed=2)                           # charge FET open: full
        whole = self.sum()
        self.assertEqual(whole.ccl_ma, 50_000)
        self.assertEqual(whole.dcl_ma, 50_000)          # its diode may keep it from helping
        self.assertEqual(whole.full_mah, 200_000)

    def test_lost_and_back(self):                               # req: COM-03
        self.add(2)
        self.add(3)
        self.assertEqual(self.sum().ccl_ma, 150_000)
        self.fleet.drop(2, True)
        whole = self.sum()
        self.assertEqual((whole.modules, whole.offline, whole.ccl_ma, whole.full_mah),
                         (2, 1, 100_000, 200_000))
        self.assertFalse(self.fleet.is_online(2))
        self.assertTrue(self.fleet.answered(2))
        self.assertFalse(self.fleet.answered(2))
        self.assertEqual((self.sum().modules, self.fleet.lost), (3, 0))
        self.assertEqual([seen.module for seen in self.fleet.modules], [1, 2, 3])

    def test_a_protection_of_one_is_an_alarm_of_all(self):      # req: COM-03
        self.add(2).protections = 0x01
        self.own.alarms = 0x10
        whole = self.sum()
        self.assertEqual((whole.alarms, whole.protections), (0x11, 0))
        self.own.protections = 0x05
        whole = self.sum()
        self.assertEqual((whole.alarms, whole.protections), (0x14, 0x01))   # all have it
        for seen in self.fleet.modules:
            seen.may_charge = seen.may_discharge = False
        self.assertEqual(self.sum().protections, 0x05)  # nothing flows any more: all of them

    def test_the_strictest_voltages(self):                      # req: COM-03 COM-05
        self.add(2).cvl_mv = 55_000
        self.add(3).dvl_mv = 47_000
        whole = self.sum()
        self.assertEqual((whole.cvl_mv, whole.dvl_mv), (55_000, 47_000))

    def test_nothing_believable_is_said_of_stale_packs(self):   # req: MEA-05 COM-03
        stale = self.add(2)
        stale.valid = False
        stale.voltage_mv = stale.current_ma = stale.max_cell_mv = NO_READING
        whole = self.sum()
        self.assertEqual((whole.valid, whole.full_mah, whole.ccl_ma), (True, 100_000, 50_000))
        self.own.valid = False
        whole = self.sum()
        self.assertEqual((whole.valid, whole.ccl_ma, whole.dcl_ma, whole.current_ma),
                         (False, 0, 0, NO_READING))

    def test_with_all_fets_open_the_charge_is_still_told(self):
        show(self.own, 1, closed=0, soc_cpct=4000)
        self.add(2, closed=0, soc_cpct=6000)
        whole = self.sum()
        self.assertEqual((whole.soc_cpct, whole.ccl_ma, whole.dcl_ma, whole.current_ma),
                         (5000, 0, 0, 0))

    def test_large_packs_overflow_nothing(self):                # req: SAF-04
        show(self.own, 1, limit_ma=200_000, current_ma=-190_000, soc_cpct=10_000,
             full_mah=1_000_000)
        for address in range(2, MODULES + 1):
            self.add(address, limit_ma=200_000, current_ma=-190_000, soc_cpct=10_000,
                     full_mah=1_000_000)
        whole = self.sum()
        self.assertEqual((whole.full_mah, whole.soc_cpct, whole.dcl_ma, whole.current_ma),
                         (15_000_000, 10_000, 3_000_000, -2_850_000))

    def test_sums_are_fresh_when_a_limit_moves(self):           # req: COM-05
        self.add(2)
        self.sum()
        self.own.ccl_ma = 0
        self.fleet.update(self.now)
        self.assertEqual(self.fleet.whole.ccl_ma, 0)

    def test_the_bar_is_what_a_closed_pack_sees(self):          # req: COM-09
        self.assertEqual(self.fleet.bus_mv(1), NO_READING)
        self.assertEqual(self.fleet.bus_mv(5), 52_800)
        self.add(2, cell_mv=3290, closed=2)
        self.add(3, cell_mv=3280)
        self.assertEqual((self.fleet.bus_mv(1), self.fleet.bus_mv(3)), (52_480, 52_800))

    def test_a_lost_pack_may_hold_the_bar_up(self):             # req: COM-09
        lost = self.add(2)
        self.fleet.drop(2, True)
        self.assertEqual(self.fleet.bus_mv(1), NO_READING)      # this pack is on it
        show(self.own, 1, closed=0)
        self.own.pack_mv = 53_300
        self.assertEqual((self.fleet.bus_mv(1), self.fleet.bus_mv(3)), (53_300, 53_300))
        self.own.pack_mv = 19_999                               # nobody does
        self.assertEqual(self.fleet.bus_mv(3), NO_READING)
        self.own.pack_mv = 53_300
        lost.charge_on = lost.discharge_on = False              # it was not on the bar
        self.assertEqual(self.fleet.bus_mv(3), NO_READING)
        lost.discharge_on = True
        self.assertEqual(self.fleet.bus_mv(3), 53_300)
        self.fleet.answered(2)                                  # it tells that it left
        lost.discharge_on = False
        self.assertEqual(self.fleet.bus_mv(3), NO_READING)

    def test_cleared_there_is_one(self):
        self.add(2)
        self.fleet.drop(2, True)
        self.fleet.clear()
        self.assertTrue(self.fleet.is_alone())

    def test_never_more_than_the_limits_together(self):         # req: COM-03
        rng = Lcg(11)
        for _ in range(60):
            self.fleet.clear()
            together = show(self.own, 1, limit_ma=rng.between(0, 100_000)).ccl_ma
            for address in range(2, 2 + rng.below(14)):
                seen = self.add(address, limit_ma=rng.between(0, 100_000), closed=rng.below(4),
                                uohm=rng.between(3_000, 40_000),
                                current_ma=rng.between(-60_000, 60_000))
                together += seen.ccl_ma
            self.assertTrue(self.sum().ccl_ma <= together)


if __name__ == "__main__":
    unittest.main()
