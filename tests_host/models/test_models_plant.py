"""The cell model is plausible: what goes in comes out, and curves have the right shape."""

import math

import pytest
from plant import Plant, Xorshift, ocv_mv

HOUR_US = 3_600_000_000


def closed(**options):
    plant = Plant(**options)
    plant.set_fets(1, 1, 0)
    return plant


def run(plant, seconds, step_us=1_000_000):
    for _ in range(int(seconds * 1_000_000 / step_us)):
        plant.step(step_us)


def mean(values):
    return sum(values) / len(values)


def test_open_circuit_curve_is_flat_in_the_middle_and_steep_at_the_ends():
    values = [ocv_mv(k / 1000) for k in range(1001)]
    assert all(b >= a for a, b in zip(values, values[1:]))
    assert 2400 < values[0] < 2700 and 3400 < values[1000] < 3500
    assert 3280 < values[500] < 3300
    assert values[900] - values[300] < 70
    assert values[100] - values[0] > 500 and values[1000] - values[950] > 80
    assert ocv_mv(1.02) > 3800 and ocv_mv(-0.02) < 2100


def test_same_seed_same_pack():
    shown = []
    for seed in (5, 5, 6):
        plant = closed(seed=seed)
        plant.apply(0, load_ma=50_000)
        shown.append(plant.epoch)
    assert shown[0] == shown[1] != shown[2]


def test_random_numbers_are_these():
    rng = Xorshift(1)
    assert [rng.next() for _ in range(3)] == [1511953360, 2231249826, 1891837831]


def test_spread_of_capacity_and_resistance():
    plant = Plant(seed=3)
    assert 98_900 < min(plant.cap_mah) < max(plant.cap_mah) < 101_100
    assert max(plant.cap_mah) - min(plant.cap_mah) > 500


@pytest.mark.parametrize("soc", [0.0, 0.05, 0.5, 0.98, 1.0])
def test_starts_at_its_state_of_charge(soc):
    truth = Plant(seed=2, soc=soc).truth()
    assert truth["soc"] == pytest.approx(soc, abs=1e-6)
    assert abs(mean(truth["cell_mv"]) - ocv_mv(soc)) < 1
    assert 98_000 < truth["capacity_mah"] < 101_000
    assert len(truth["cell_mv"]) == 16 and len(truth["temps_dc"]) == 6


@pytest.mark.parametrize("soc, spread", [(0.985, 60), (0.04, 80)])
def test_imbalance_is_a_spread_of_open_circuit_voltage(soc, spread):
    cells = Plant(seed=4, soc=soc, imbalance_mv=spread).truth()["cell_mv"]
    assert abs(max(cells) - min(cells) - spread) <= 1


def test_imbalance_reduces_what_can_be_used():
    even = Plant(seed=4, soc=0.5).truth()
    uneven = Plant(seed=4, soc=0.5, imbalance_mv=20).truth()
    assert uneven["capacity_mah"] < even["capacity_mah"] - 1000


def test_charge_is_conserved_in_a_cycle():
    plant = closed(soc=0.3)
    plant.apply(plant.t_us, force_ma=50_000)
    run(plant, 3600)
    half = plant.truth()
    assert (half["soc"] - 0.3) * half["capacity_mah"] == pytest.approx(50_000, rel=0.005)
    plant.apply(plant.t_us, force_ma=-50_000)
    run(plant, 3600)
    assert plant.truth()["soc"] == pytest.approx(0.3, abs=0.002)


def test_energy_out_is_less_than_energy_in_by_a_few_per_cent():
    plant = closed(soc=0.3)
    energy = {1: 0.0, -1: 0.0}
    for sign in (1, -1):
        plant.apply(plant.t_us, force_ma=sign * 50_000)
        for _ in range(3600):
            plant.step(1_000_000)
            energy[sign] += plant.epoch[3] * 50.0
    assert 0.94 < energy[-1] / energy[1] < 0.985


def test_step_length_does_not_matter_much():
    results = []
    for step_us in (10_000, 100_000, 1_000_000):
        plant = closed(soc=0.5)
        plant.apply(0, load_ma=60_000)
        run(plant, 600, step_us)
        results.append(plant.epoch[3])
    assert max(results) - min(results) < 8      # mV of the stack


def test_voltage_steps_and_then_relaxes():
    plant = closed(soc=0.5)
    run(plant, 10)
    rest = plant.epoch[3]
    plant.apply(plant.t_us, load_ma=100_000)
    sudden = rest - plant.epoch[3]
    assert 500 < sudden < 1300                  # 16 * 0.3..0.8 mOhm * 100 A
    run(plant, 120)
    slow = rest - plant.epoch[3]
    assert slow > sudden * 1.3
    plant.apply(plant.t_us, load_ma=None)
    at_once = rest - plant.epoch[3]
    run(plant, 3600)
    assert rest - plant.epoch[3] < at_once / 2


def test_rest_voltage_depends_on_the_direction_before():
    rest = {}
    for sign, soc in ((1, 0.4), (-1, 0.6)):
        plant = closed(soc=soc)
        plant.apply(0, force_ma=sign * 20_000)
        run(plant, 3600)
        plant.apply(plant.t_us, force_ma=0)
        run(plant, 3 * 3600)
        assert plant.truth()["soc"] == pytest.approx(0.5, abs=0.01) or sign
        rest[sign] = mean(plant.epoch[1]) - ocv_mv(mean(plant.cell_soc()))
    assert 5 < rest[1] < 20 and -20 < rest[-1] < -5


def test_cold_and_age_raise_the_resistance():
    drops = []
    for options in ({}, {"temp_c": 0.0}, {"temp_c": -20.0}, {"soh": 0.8}):
        plant = closed(soc=0.5, **options)
        rest = plant.epoch[3]
        plant.apply(0, load_ma=50_000)
        drops.append(rest - plant.epoch[3])
    normal, cold, frost, old = drops
    assert 1.7 < cold / normal < 2.6 and 3 < frost / normal < 6 and 1.1 < old / normal < 1.6


def test_constant_current_then_constant_voltage():
    plant = closed(soc=0.90)
    plant.apply(0, charger_mv=56_000, charger_ma=50_000)
    assert plant.current_ma == 50_000
    currents = []
    for _ in range(4 * 60):
        run(plant, 60)
        currents.append(plant.current_ma)
        assert plant.pack_mv <= 56_000.5
    assert currents[0] == 50_000
    taper = [c for c in currents if c < 49_999]
    assert all(b <= a + 1 for a, b in zip(taper, taper[1:]))
    assert currents[-1] < 2_000
    assert plant.pack_mv == pytest.approx(56_000, abs=1)
    assert max(plant.cell_soc()) > 0.99


def test_over_charge_and_over_discharge_run_away():
    plant = closed(soc=0.99)
    plant.apply(0, force_ma=50_000)
    run(plant, 300)
    assert max(plant.epoch[1]) > 3700
    plant = closed(soc=0.01)
    plant.apply(0, force_ma=-50_000)
    run(plant, 200)
    assert min(plant.epoch[1]) < 2400


@pytest.mark.parametrize("chg, dsg, force_ma, flows", [
    (1, 1, 5000, 5000), (1, 1, -5000, -5000), (0, 0, 5000, 0), (0, 0, -5000, 0),
    (1, 0, 5000, 5000), (1, 0, -5000, 0), (0, 1, 5000, 0), (0, 1, -5000, -5000)])
def test_fets_and_body_diodes(chg, dsg, force_ma, flows):
    plant = Plant()
    plant.set_fets(chg, dsg, 0)
    plant.apply(0, force_ma=force_ma)
    assert plant.current_ma == flows


def test_diode_drop_is_seen_and_warms_the_fets():
    warm = []
    for chg in (0, 1):
        plant = Plant()
        plant.set_fets(chg, 1, 0)
        plant.apply(0, load_ma=50_000)
        drop = plant.epoch[3] - plant.pack_mv
        assert drop > 700 if not chg else drop < 150
        run(plant, 300)
        warm.append(plant.mos_c)
    assert warm[0] > warm[1] + 20


@pytest.mark.parametrize("fault, chg, dsg, force_ma, flows", [
    ("weld_chg", 0, 0, 5000, 5000), ("weld_dsg", 0, 0, -5000, -5000),
    ("dead_chg", 1, 1, 5000, 0), ("dead_dsg", 1, 1, -5000, 0), ("dead_dsg", 1, 1, 5000, 5000)])
def test_broken_fets(fault, chg, dsg, force_ma, flows):
    plant = Plant()
    plant.set_fets(chg, dsg, 0)
    plant.apply(0, force_ma=force_ma, **{fault: True})
    assert plant.current_ma == flows


def test_load_and_charger_share():
    plant = closed(soc=0.5)
    plant.apply(0, charger_mv=56_000, charger_ma=50_000, load_ma=20_000)
    assert plant.current_ma == 30_000
    plant.apply(0, load_ma=70_000)
    assert plant.current_ma == -20_000
    plant.set_fets(0, 1, 0)
    plant.apply(0, load_ma=20_000)
    assert plant.current_ma == 0 and plant.pack_mv == 56_000


def test_limiter_limits_the_charger():
    plant = closed(soc=0.5)
    plant.apply(0, charger_mv=56_000, charger_ma=100_000)
    plant.apply(0, limiter=True)
    assert plant.current_ma == 10_000
    plant.apply(0, limiter=False)
    assert plant.current_ma == 100_000


def test_terminal_voltage():
    plant = Plant(soc=0.5)
    assert plant.pack_mv == 0
    plant.apply(0, charger_mv=54_000, charger_ma=10_000)
    assert plant.pack_mv == 54_000
    plant.apply(0, charger_mv=None, charger_ma=None)
    run(plant, 10)
    assert plant.pack_mv < 200                  # bled away
    plant.set_fets(1, 1, plant.t_us)
    assert plant.pack_mv == pytest.approx(plant.epoch[3], abs=1)
    plant.apply(plant.t_us, reverse=True)
    assert plant.current_ma < -500_000          # a reversed charger is a short circuit
    plant.set_fets(0, 0, plant.t_us)
    assert plant.current_ma == 0 and plant.pack_mv < -40_000


def test_a_charger_that_may_give_nothing_holds_no_voltage_up():
    plant = Plant(soc=0.9)
    plant.apply(0, charger_mv=56_000, charger_ma=0)
    assert plant.pack_mv == 56_000              # nothing connected to it
    plant.set_fets(1, 1, 0)
    assert plant.current_ma == 0
    assert plant.pack_mv == pytest.approx(plant.epoch[3], abs=1)
    plant.set_fets(0, 1, 0)
    assert plant.pack_mv == 56_000


def test_load_detection_source_lifts_free_terminals_only():
    plant = Plant(soc=0.5)
    plant.apply(0, shorted=True, ld_source=True)
    run(plant, 1)
    assert plant.pack_mv == 0
    plant.apply(plant.t_us, shorted=False)
    run(plant, 1)
    assert plant.pack_mv > 40_000


def test_short_circuit_current():
    plant = closed(soc=0.8)
    plant.apply(0, shorted=True)
    assert -4_000_000 < plant.current_ma < -1_500_000
    assert min(plant.epoch[1]) > 0


def test_held_cells_show_what_they_are_told():
    plant = closed(soc=0.5)
    plant.set_cell_mv(3, 3650, 0)
    plant.apply(0, load_ma=50_000)
    run(plant, 10)
    assert plant.truth()["cell_mv"][3] == 3650
    assert plant.epoch[3] == pytest.approx(sum(plant.epoch[1]))
    plant.set_cell_mv(3, None, plant.t_us)
    assert plant.truth()["cell_mv"][3] < 3300
    for k in range(16):
        plant.set_cell_mv(k, 3400, plant.t_us)
    plant.apply(plant.t_us, load_ma=None, charger_mv=54_600, charger_ma=20_000)
    assert plant.current_ma == 20_000
    plant.apply(plant.t_us, charger_mv=54_400)
    assert plant.current_ma == 0


def test_self_discharge_is_slow():
    plant = Plant(soc=0.5)
    for _ in range(30 * 24):
        plant.step(HOUR_US)
    lost = 0.5 - mean(plant.cell_soc())
    assert 0.015 < lost < 0.04                  # 2..5 mA for a month
    assert max(plant.cell_soc()) - min(plant.cell_soc()) > 0.005


def test_cells_warm_up_and_cool_down():
    plant = closed(soc=0.9)
    plant.apply(0, load_ma=100_000)
    run(plant, 1800)
    assert 4 < max(plant.group_c) - 25 < 20
    assert plant.mos_c > 33
    assert plant.group_c[1] > plant.group_c[0]  # the inner ones are warmer
    plant.apply(plant.t_us, load_ma=None)
    run(plant, 12 * 3600, 10_000_000)
    assert max(plant.group_c) - 25 < 1


def test_held_temperatures():
    plant = closed()
    plant.set_group_dc(1, 450, 0)
    plant.set_mos_dc(900, 0)
    plant.set_ambient_dc(-100, 0)
    run(plant, 60)
    temps = plant.truth()["temps_dc"]
    assert temps[1] == 450 and temps[4] == 900 and temps[5] == -100
    plant.set_ambient_dc(None, plant.t_us)
    assert plant.truth()["temps_dc"][5] == 250


# -- what hangs on the terminals --------


def hung(chg=True, dsg=False, uf=20_000, ohm=0.1, kohm=None, **more):
    board = {"terminal_uf": uf, "terminal_ohm": ohm, "terminal_kohm": kohm, "pdsg_ohm": 100,
             "ld_source_ua": 100}
    plant = Plant(board=board, **more)
    plant.set_fets(chg, dsg, 0)
    return plant


def until(plant, t_us):
    while plant.t_us < t_us:
        plant.step_to(min(t_us, plant.next_us))
    return plant


def test_a_capacitor_takes_a_surge_that_dies_with_rc():
    plant = hung()
    ohm = plant._ohm + 0.1
    start_ma = plant._emf / ohm
    plant.set_fets(True, True, 0)
    assert -plant.current_ma == pytest.approx(start_ma, rel=0.01) and start_ma > 350_000
    tau_us = int(20_000 * ohm)                      # uF times ohm
    until(plant, tau_us)
    assert -plant.current_ma == pytest.approx(start_ma / math.e, rel=0.05)
    until(plant, 8 * tau_us)
    assert abs(plant.current_ma) < start_ma / 1000
    assert plant.pack_mv == pytest.approx(plant.epoch[3], abs=20)
    until(plant, 1_000_000)
    assert plant.current_ma == pytest.approx(0, abs=5)


def test_the_surge_takes_its_charge_out_of_the_cells():
    plant = hung(uf=40_000)
    before = plant.capacity()[0]
    plant.set_fets(True, True, 0)
    until(plant, 1_000_000)
    moved = before - plant.capacity()[0]
    assert moved == pytest.approx(0.04 * plant.pack_mv / 3600, rel=0.15)      # mAh


@pytest.mark.parametrize("uf", [1, 1_000, 40_000])
@pytest.mark.parametrize("ohm", [0.1, 5, 50])
def test_charger_and_load_are_as_without_a_capacitor_once_it_is_full(uf, ohm):
    for stimulus in ({"load_ma": 20_000}, {"charger_mv": 56_000, "charger_ma": 10_000},
                     {"load_ma": 5_000, "charger_mv": 56_000, "charger_ma": 10_000}):
        bare, plant = Plant(), hung(dsg=True, uf=uf, ohm=ohm)
        bare.set_fets(True, True, 0)
        until(plant, 20_000_000)
        until(bare, 20_000_000)
        bare.apply(20_000_000, **stimulus)
        plant.apply(20_000_000, **stimulus)
        until(plant, 40_000_000)
        until(bare, 40_000_000)
        assert plant.current_ma == pytest.approx(bare.current_ma, abs=30)
        assert plant.pack_mv == pytest.approx(bare.pack_mv, abs=30)


def test_the_pre_discharge_path_fills_it_by_its_resistor():
    plant = hung()
    plant.apply(0, pdsg=True)
    assert -plant.current_ma == pytest.approx(plant._emf / 100.1, rel=0.01)
    until(plant, 2_000_000)                         # one time constant of 100 ohm and 20 mF
    assert plant.pack_mv == pytest.approx(plant._emf * (1 - 1 / math.e), rel=0.02)
    until(plant, 20_000_000)
    assert plant.pack_mv == pytest.approx(plant._emf, rel=0.001)
    plant.set_fets(True, True, 20_000_000)
    assert abs(plant.current_ma) < 2_000


def test_the_pre_discharge_path_into_a_short_and_into_a_load():
    plant = hung(uf=0)
    plant.apply(0, pdsg=True, shorted=True)
    assert -plant.current_ma == pytest.approx(plant._emf / 100, rel=0.01) and plant.pack_mv == 0
    plant.apply(0, shorted=False, load_ma=200)
    # a load of 200 mA at 40 V and above is 200 Ohm on this path of 100 Ohm
    assert plant.pack_mv == pytest.approx(plant._emf * 200 / 300, rel=0.01)
    plant.apply(0, load_ma=2_000)
    assert plant.pack_mv == pytest.approx(plant._emf * 20 / 120, rel=0.01)      # 20 Ohm then


def test_a_capacitor_keeps_its_voltage_and_leaks():
    plant = hung(dsg=True, kohm=20)
    until(plant, 5_000_000)
    full = plant.pack_mv
    plant.set_fets(False, False, 5_000_000)
    until(plant, 5_000_000 + 400_000_000)           # 20 kohm times 20 mF
    assert plant.pack_mv == pytest.approx(full / math.e, rel=0.02)
    plant.apply(405_000_000, load_ma=1_000)
    until(plant, 406_000_000)
    assert plant.pack_mv == 0


def test_the_load_detection_source_against_leak_and_capacitor():
    for kohm, mv in ((20, 2_000), (30, 3_000), (100, 10_000)):      # times 100 uA
        plant = hung(chg=False, uf=0, kohm=kohm)
        plant.apply(0, ld_source=True)
        until(plant, 1_000_000)
        assert plant.pack_mv == pytest.approx(mv, rel=0.02)
    plant = hung(chg=False, uf=1_000)
    plant.apply(0, ld_source=True)
    until(plant, 20_000_000)
    assert plant.pack_mv == pytest.approx(2_000, rel=0.02)          # 100 uA, 1 mF, 20 s
    until(plant, 900_000_000)
    assert plant.pack_mv == pytest.approx(plant.epoch[3] - 1_000, abs=50)


def test_a_leak_is_a_small_load():
    plant = hung(dsg=True, uf=0, kohm=20)
    until(plant, 1_000_000)
    assert -plant.current_ma == pytest.approx(plant.pack_mv / 20_000, rel=0.05)


def test_a_charger_fills_it_before_any_fet_is_closed():
    plant = hung(chg=False, uf=40_000)
    plant.apply(0, charger_mv=56_000, charger_ma=10_000)
    until(plant, 100_000)
    assert plant.pack_mv == pytest.approx(25_000 + 1_000, rel=0.05)         # I t / C, and I R
    until(plant, 1_000_000)
    assert plant.pack_mv == pytest.approx(56_000, abs=10) and plant.current_ma == 0


def test_a_capacitor_that_is_put_on_comes_with_the_terminals_voltage():
    plant = hung(dsg=True, uf=0)
    until(plant, 1_000_000)
    plant.set_board({"terminal_uf": 20_000, "terminal_ohm": 0.1}, 1_000_000)
    assert abs(plant.current_ma) < 1_000


def test_closings_and_energy_of_each_fet():
    plant = hung(chg=False, uf=0)
    plant.apply(0, load_ma=50_000)
    for k in range(5):
        plant.set_fets(False, True, k * 1_000_000)
        plant.set_fets(False, False, k * 1_000_000 + 500_000)
    fets = plant.truth()["fets"]
    assert fets["chg"]["closings"] == 0 and fets["dsg"]["closings"] == 5
    # 2.5 s of 50 A: 0.75 V in the charge FET's diode, 0.45 mohm in each; switching on top
    assert fets["chg"]["energy_mj"] == pytest.approx(2.5 * (50 * 750 + 2500 * 0.45), rel=0.02)
    assert fets["dsg"]["energy_mj"] == pytest.approx(2.5 * 2500 * 0.45, rel=0.2)
    plant.apply(9_000_000, weld_dsg=True)
    assert plant.truth()["fets"]["dsg"]["closings"] == 5    # nobody has closed it
