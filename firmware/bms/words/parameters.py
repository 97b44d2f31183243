"""The one registry of parameters (PAR-01): ids, names, units, ranges, defaults, help, and the
rules between them (PAR-03). The debug port, the protocols, the profiles and the documentation
read it.

Values are ints. An id is never given to another parameter, so that stored sets stay readable.
"""

from array import array

from bms.words import ceilings as ceiling
from bms.words import rules
from bms.words import readings
from bms.words.phrases import stated

BELOW_ALARM_MV = 20     # of a cell's alarm: what an equal cell has at the end of charge

# (id, name, unit, lowest, highest, default, help)
TABLE = (
    (1, "cell_ov_alarm_mv", "mV", 3000, 4200, 3500,
     "PRO-01 alarm when the highest cell is at or above this voltage"),
    (2, "cell_ov_trip_mv", "mV", 3000, 4200, 3600,
     "PRO-01 protection when the highest cell is at or above this voltage"),
    (3, "cell_ov_release_mv", "mV", 3000, 4200, 3300,
     "PRO-01 releases when the highest cell is at or below this voltage"),
    (4, "cell_ov_delay_ms", "ms", 200, 10000, 3000, "PRO-01 delay of alarm and protection"),
    (5, "cell_uv_alarm_mv", "mV", 2000, 3300, 2800,
     "PRO-02 alarm when the lowest cell is at or below this voltage"),
    (6, "cell_uv_trip_mv", "mV", 2000, 3300, 2700,
     "PRO-02 protection when the lowest cell is at or below this voltage"),
    (7, "cell_uv_release_mv", "mV", 2000, 3500, 3300,
     "PRO-02 releases when the lowest cell is at or above this voltage"),
    (8, "cell_uv_delay_ms", "ms", 200, 10000, 3000, "PRO-02 delay of alarm and protection"),
    (9, "pack_ov_alarm_mv", "mV", 48000, 67200, 56800,
     "PRO-03 alarm when the pack is at or above this voltage"),
    (10, "pack_ov_trip_mv", "mV", 48000, 67200, 57600,
     "PRO-03 protection when the pack is at or above this voltage"),
    (11, "pack_ov_release_mv", "mV", 48000, 67200, 54000,
     "PRO-03 releases when the pack is at or below this voltage"),
    (12, "pack_ov_delay_ms", "ms", 200, 10000, 3000, "PRO-03 delay of alarm and protection"),
    (13, "pack_uv_alarm_mv", "mV", 32000, 52800, 45600,
     "PRO-04 alarm when the pack is at or below this voltage"),
    (14, "pack_uv_trip_mv", "mV", 32000, 52800, 44000,
     "PRO-04 protection when the pack is at or below this voltage"),
    (15, "pack_uv_release_mv", "mV", 32000, 56000, 48000,
     "PRO-04 releases when the pack is at or above this voltage"),
    (16, "pack_uv_delay_ms", "ms", 200, 10000, 3000, "PRO-04 delay of alarm and protection"),
    (17, "ov_release_soc_cpct", "cpct", 5000, 10000, 9600,
     "PRO-01, PRO-03 release only below this state of charge"),
    (20, "chg_oc_alarm_ma", "mA", 5000, 320000, 105000,
     "PRO-05 alarm when charging at or above this current"),
    (21, "chg_oc_trip_ma", "mA", 5000, 320000, 110000,
     "PRO-05 protection when charging at or above this current"),
    (22, "chg_oc_delay_ms", "ms", 200, 10000, 3000, "PRO-05 delay of alarm and protection"),
    (23, "dsg_oc1_alarm_ma", "mA", 5000, 320000, 105000,
     "PRO-06 alarm when discharging at or above this current"),
    (24, "dsg_oc1_trip_ma", "mA", 5000, 320000, 110000,
     "PRO-06 protection when discharging at or above this current"),
    (25, "dsg_oc1_delay_ms", "ms", 200, 10000, 3000, "PRO-06 delay of alarm and protection"),
    (26, "dsg_oc2_trip_ma", "mA", 10000, 600000, 150000,
     "PRO-07 protection when discharging at or above this current"),
    (27, "dsg_oc2_delay_ms", "ms", 100, 500, 100, "PRO-07 delay of the protection"),
    (28, "oc_release_ms", "ms", 5000, 600000, 60000,
     "PRO-05, PRO-06, PRO-07 release after this time"),
    (29, "oc_lock_trips", "", 2, 100, 10,
     "PRO-05, PRO-06, PRO-07 lock after this many trips in a row"),
    (30, "in_a_row_forget_s", "s", 60, 3600, 600,
     "PRO-22 trips closer together than this are in a row"),
    (40, "other_way_ma", "mA", 200, 5000, 1000,
     "PRO-32 a current the other way releases a protection above this value"),
    (41, "charger_seen_mv", "mV", 200, 5000, 500,
     "A charger is seen when the terminals are this far above the stack"),
    (42, "rest_ma", "mA", 50, 2000, 300, "The pack is at rest below this current"),
    (45, "chg_ut_alarm_dc", "dC", -200, 300, 80,
     "PRO-09 alarm when the coldest cell is at or below this temperature"),
    (46, "chg_ut_trip_dc", "dC", -200, 300, 50,
     "PRO-09 protection when the coldest cell is at or below this temperature"),
    (47, "chg_ut_release_dc", "dC", -200, 350, 80,
     "PRO-09 releases when the coldest cell is at or above this temperature"),
    (48, "chg_ot_alarm_dc", "dC", 300, 800, 520,
     "PRO-10 alarm when the hottest cell is at or above this temperature"),
    (49, "chg_ot_trip_dc", "dC", 300, 800, 580,
     "PRO-10 protection when the hottest cell is at or above this temperature"),
    (50, "chg_ot_release_dc", "dC", 250, 800, 530,
     "PRO-10 releases when the hottest cell is at or below this temperature"),
    (51, "dsg_ut_alarm_dc", "dC", -400, 200, -150,
     "PRO-11 alarm when the coldest cell is at or below this temperature"),
    (52, "dsg_ut_trip_dc", "dC", -400, 200, -200,
     "PRO-11 protection when the coldest cell is at or below this temperature"),
    (53, "dsg_ut_release_dc", "dC", -400, 250, -100,
     "PRO-11 releases when the coldest cell is at or above this temperature"),
    (54, "dsg_ot_alarm_dc", "dC", 300, 800, 520,
     "PRO-12 alarm when the hottest cell is at or above this temperature"),
    (55, "dsg_ot_trip_dc", "dC", 300, 800, 580,
     "PRO-12 protection when the hottest cell is at or above this temperature"),
    (56, "dsg_ot_release_dc", "dC", 250, 800, 530,
     "PRO-12 releases when the hottest cell is at or below this temperature"),
    (57, "temp_delay_ms", "ms", 200, 10000, 3000,
     "PRO-09 to PRO-14, PRO-17 delay of alarm and protection"),
    (60, "failed_scans", "", 2, 20, 5, "MEA-02 fault after this many failed scans in a row"),
    (61, "cell_sum_error_mv", "mV", 100, 3000, 600,
     "MEA-03 the sum of the cells and the stack may differ by less than this"),
    (62, "cell_low_limit_mv", "mV", 0, 1000, 100,
     "MEA-03 a cell reading at or below this voltage is wrong"),
    (63, "cell_high_limit_mv", "mV", 4300, 5500, 5000,
     "MEA-03 a cell reading at or above this voltage is wrong"),
    (64, "doubt_delay_ms", "ms", 300, 5000, 1000,
     "MEA-03 a wrong reading becomes a fault after this time"),
    (65, "open_wire_mv", "mV", 100, 2000, 250,
     "MEA-03 open wire: two neighbour cells are off by this much in opposite ways"),
    (66, "frozen_ms", "ms", 500, 5000, 2000,
     "MEA-03 fault when no reading changes for this time while current flows"),
    (70, "env_ut_alarm_dc", "dC", -400, 200, -150,
     "PRO-13 alarm when the ambient is at or below this temperature"),
    (71, "env_ut_trip_dc", "dC", -400, 200, -200,
     "PRO-13 protection when the ambient is at or below this temperature"),
    (72, "env_ut_release_dc", "dC", -400, 250, -150,
     "PRO-13 releases when the ambient is at or above this temperature"),
    (73, "env_ot_alarm_dc", "dC", 300, 1000, 650,
     "PRO-14 alarm when the ambient is at or above this temperature"),
    (74, "env_ot_trip_dc", "dC", 300, 1000, 750,
     "PRO-14 protection when the ambient is at or above this temperature"),
    (75, "env_ot_release_dc", "dC", 250, 1000, 650,
     "PRO-14 releases when the ambient is at or below this temperature"),
    (76, "mos_ot_alarm_dc", "dC", 400, 1150, 900,
     "PRO-17 alarm when the MOSFETs are at or above this temperature"),
    (77, "mos_ot_trip_dc", "dC", 400, 1150, 1050,
     "PRO-17 protection when the MOSFETs are at or above this temperature"),
    (78, "mos_ot_release_dc", "dC", 300, 1150, 850,
     "PRO-17 releases when the MOSFETs are at or below this temperature"),
    (80, "nominal_ma", "mA", 5000, 300000, 50000,
     "PRF-01 continuous current, charging and discharging"),
    (81, "cvl_mv", "mV", 48000, 67200, 55600,
     "COM-05 charge voltage that the charger is asked for, at least 20 mV a cell below "
     "cell_ov_alarm_mv"),
    (82, "dvl_mv", "mV", 40000, 52000, 46000,
     "COM-05 discharge voltage limit that the inverter is told"),
    (83, "full_cell_mv", "mV", 3000, 4200, 3455,
     "SOC-01 full: the highest cell is at or above this voltage"),
    (84, "tail_ma", "mA", 200, 50000, 5000,
     "SOC-01 full: the charge current is at or below this value"),
    (413, "min_soc_cpct", "cpct", 0, 5000, 0,
     "PRF-01 the discharge limit is 0 at or below this state of charge, 0 = off"),
    (85, "low_soc_cpct", "cpct", 0, 5000, 300, "PRO-15 alarm below this state of charge"),
    (86, "low_soc_delay_ms", "ms", 200, 30000, 3000, "PRO-15 delay of the alarm"),
    (87, "cell_diff_alarm_mv", "mV", 50, 1000, 300,
     "PRO-16 alarm when highest and lowest cell differ by this much or more"),
    (88, "cell_diff_clear_mv", "mV", 20, 1000, 250,
     "PRO-16 the alarm ends when they differ by this much or less"),
    (89, "cell_diff_delay_ms", "ms", 200, 60000, 10000, "PRO-16 delay of the alarm"),
    (90, "boost_ma", "mA", 5000, 300000, 100000, "DER-03 current allowed for a short time"),
    (91, "boost_s", "s", 0, 180, 180, "DER-03 longest use of boost_ma"),
    (92, "boost_uses", "", 0, 5, 5, "DER-03 uses of boost_ma in 30 days"),
    (93, "boost_pause_s", "s", 60, 172800, 86400,
     "DER-03 shortest time between two uses of boost_ma"),
    (410, "warn_chg_ma", "mA", 5000, 300000, 50000,
     "DER-03 alarm when charging more than 1 A above this current, except during a use of "
     "boost_ma"),
    (411, "warn_dsg_ma", "mA", 5000, 300000, 50000,
     "DER-03 alarm when discharging more than 1 A above this current, except during a use of "
     "boost_ma"),
    (412, "warn_delay_ms", "ms", 200, 60000, 3000, "DER-03 delay of both alarms"),
    (94, "limiter_enable", "", 0, 1, 1, "LIM-03 1 = the 10 A charge limiter may be switched in"),
    (95, "limiter_on_ma", "mA", 10000, 300000, 100000,
     "LIM-01 the limiter is switched in above this charge current"),
    (96, "limiter_on_s", "s", 10, 600, 120, "LIM-01 the limiter stays in for this time"),
    (97, "limiter_detections", "", 2, 100, 10,
     "LIM-02 after this many times in a row the limiter stays in"),
    (98, "fet_fail_ma", "mA", 300, 5000, 1000,
     "SAF-05 fault when a current above this flows against an open FET"),
    (99, "fet_fail_ms", "ms", 300, 5000, 1000, "SAF-05 delay of fet_fail_ma"),
    (100, "pcs_baud", "", 1200, 115200, 9600, "COM-01 bit/s of RS485 to the inverter"),
    (101, "inverter_lost_s", "s", 0, 3600, 60,
     "COM-08 the inverter is lost after this time of silence, 0 = not watched"),
    (102, "pcs_protocol", "", 0, 26, 0,
     "COM-01 RS485 protocol: 0 = as each request asks, 1 = Pylontech, 2 = PACE, 3 = PACE Modbus, "
     "4 = Voltronic Modbus, 5 to 26 = other names of PACE's list, as Pylontech (`bus names`)"),
    (103, "pcs_for_slaves", "", 0, 1, 1,
     "COM-03 1 = the master also answers at the addresses of its slaves"),
    (104, "pcs_unlock_min", "min", 1, 1440, 10, "COM-07 `unlock` allows writing for this time"),
    (105, "inverter_port", "", 0, 2, 0,
     "COM-02 port of the inverter: 0 = both, 1 = RS485 only, 2 = CAN only"),
    (106, "force_charge_cpct", "cpct", 0, 3000, 500,
     "COM-05 the pack asks to be charged at or below this state of charge"),
    (107, "full_request_days", "", 0, 365, 30,
     "COM-05 the pack asks for a full charge after this many days, 0 = never"),
    (110, "can_variant", "", 0, 25, 0,
     "COM-02 CAN frames for: 0 = Pylontech 1.2, 1 = Pylontech 1.3, 2 = Pylontech 2, 3 = Victron, "
     "4 = SMA, 5 = Deye, 6 = Growatt, 7 = Growatt LV, 8 = Goodwe, 9 = Solis, 10 = Luxpower, 11 = "
     "Sofar, 12 = Schneider, 13 = Pytes, 14 to 25 = other names of PACE's list (`bus names`)"),
    (111, "can_keep_alive", "", 0, 2, 0,
     "COM-08 a CAN inverter is heard by: 0 = what its variant does, 1 = its frames only, 2 = its "
     "frames or its acknowledging ours"),
    (120, "bench_enable", "", 0, 1, 0,
     "SAF-10 1 = the debug port may provoke faults (test bench)"),
    (130, "ocv_rest_s", "s", 600, 14400, 2700, "SOC-01 rest before a rest voltage counts"),
    (131, "ocv_rest_ma", "mA", 100, 25000, 2500,
     "SOC-01 largest current that counts as rest for a rest voltage"),
    (132, "cell_uohm", "uOhm", 50, 20000, 1100, "SOC-01 resistance of a cell, with diffusion"),
    (133, "self_use_ua", "uA", 0, 100000, 4000,
     "SOC-01 current drawn from the cells that the sensor does not see"),
    (134, "charge_loss_ppm", "ppm", 0, 20000, 500,
     "SOC-01 part of the charge put in that does not come back"),
    (135, "soc_save_cpct", "cpct", 10, 100, 70,
     "SOC-03 the state of charge is stored when it moved by this much"),
    (136, "soc_save_min", "min", 5, 1440, 60,
     "SOC-03 the state of charge is stored at least this often"),
    (137, "full_hold_s", "s", 5, 600, 30, "SOC-01 full: both conditions hold for this time"),
    (138, "self_spread_ua", "uA", 0, 20000, 2500,
     "SOC-01 the self-discharge of the cells differs by this much"),
    (139, "zero_look_ms", "ms", 0, 5000, 1500,
     "SOC-01 at the first start both FETs stay open this long to see the sensor's offset"),
    (140, "sleep_cell_mv", "mV", 2000, 3300, 3000,
     "PWR-10 an unused pack sleeps when the lowest cell is below this voltage"),
    (141, "sleep_cell_s", "s", 10, 604800, 3600, "PWR-10 delay of sleep_cell_mv"),
    (142, "sleep_standby_s", "s", 10, 2592000, 86400,
     "PWR-10 the pack sleeps after this time without use"),
    (414, "small_use_ma", "mA", 0, 300, 50,
     "PWR-10 a mean current of this much over an hour is a use, 0 = off"),
    (143, "sleep_uv_s", "s", 10, 3600, 30,
     "PRO-24 the pack sleeps after this time in an under-voltage protection"),
    (144, "sleep_ext_mv", "mV", 2000, 40000, 10000,
     "PWR-10 the pack stays awake while the terminals are above this voltage"),
    (145, "wake_mv", "mV", 40000, 60000, 48000,
     "PWR-11 the pack wakes when the terminals are above this voltage"),
    (146, "wake_period_s", "s", 30, 604800, 14400, "PWR-12 time between two timed wakes"),
    (147, "wake_tries", "", 0, 100, 10,
     "PWR-12 timed wakes in a row without charge, then no more"),
    (148, "wake_try_s", "s", 5, 600, 60, "PWR-12 length of a timed wake"),
    (149, "wake_floor_mv", "mV", 1500, 2500, 2000,
     "PWR-12 under-voltage threshold of the AFE itself during a timed wake"),
    (150, "recharge_s", "s", 10, 2592000, 172800,
     "PWR-13 a full pack may be charged again after this time of standby"),
    (160, "bal_enable", "", 0, 1, 1, "BAL-01 1 = cells may be bled"),
    (161, "bal_start_mv", "mV", 3000, 4200, 3500,
     "BAL-01 starts when the highest cell is at or above this voltage"),
    (162, "bal_diff_mv", "mV", 5, 500, 30,
     "BAL-01 starts when the cells differ by this much or more"),
    (163, "bal_stop_mv", "mV", 1, 400, 6,
     "BAL-02 ends when the cells differ by this much or less at the top"),
    (164, "bal_hold_mv", "mV", 3000, 4200, 3400,
     "BAL-02 pauses when the highest cell is below this voltage"),
    (165, "bal_rest_ma", "mA", 0, 2000, 300,
     "BAL-01 stays off while discharging above this current"),
    (166, "bal_die_max_dc", "dC", 200, 700, 600,
     "BAL-02 stays off while the AFE's die is at or above this temperature"),
    (167, "bal_cells_most", "", 1, 8, 8, "BAL-02 most cells bled at once"),
    (168, "bal_turn_s", "s", 5, 3600, 60, "BAL-02 the chosen cells stay the same for this time"),
    (169, "bal_pause_s", "s", 1, 600, 10, "BAL-02 pause after what kept it off is over"),
    (180, "buzzer_enable", "", 0, 1, 0, "BUZ-01 1 = the buzzer may sound"),
    (181, "do1_function", "", 0, 6, 1,
     "DRY-01 dry contact 1 closes for: 0 = nothing, 1 = protection or fault, 2 = low capacity, 3 "
     "= alarm, 4 = charging, 5 = discharging, 6 = asleep"),
    (182, "do1_inverted", "", 0, 1, 0, "DRY-01 1 = inverted: contact 1 is closed when inactive"),
    (183, "do2_function", "", 0, 6, 2,
     "DRY-01 dry contact 2 closes for: 0 = nothing, 1 = protection or fault, 2 = low capacity, 3 "
     "= alarm, 4 = charging, 5 = discharging, 6 = asleep"),
    (184, "do2_inverted", "", 0, 1, 0, "DRY-01 1 = inverted: contact 2 is closed when inactive"),
    (190, "parallel_baud", "", 9600, 57600, 38400, "COM-01 highest bit/s of RS485 between packs"),
    (191, "slave_lost_s", "s", 2, 60, 4, "COM-03 a slave that is silent for this time is dropped"),
    (192, "join_uohm", "uOhm", 500, 200000, 8000,
     "COM-09 resistance of the pack until it is measured"),
    (193, "join_alone_s", "s", 5, 3600, 20,
     "COM-09 a slave without a master closes onto a dead bar after this time"),
    (340, "short_lock_trips", "", 2, 100, 5, "PRO-08 locks after this many trips in a row"),
    (341, "load_removed_mv", "mV", 1000, 20000, 4000,
     "PRO-08 the load is gone when the load-detect pin is above this voltage"),
    (342, "deep_floor_mv", "mV", 1500, 2500, 2000,
     "PRO-29 a cell at or below this voltage is not charged"),
    (343, "deep_end_mv", "mV", 2500, 3200, 2900,
     "PRO-29 the gentle charge ends when the lowest cell is above this voltage"),
    (344, "deep_charge_ma", "mA", 500, 20000, 5000,
     "PRO-29 charge current limit of the gentle charge"),
    (345, "deep_try_s", "s", 60, 7200, 1800,
     "PRO-29 a try to charge a cell below deep_floor_mv ends after this time"),
    (346, "ignored_alarm_s", "s", 5, 600, 30,
     "PRO-30 alarm after this time beyond the limit that was told"),
    (347, "ignored_trip_s", "s", 20, 3600, 120,
     "PRO-30 protection after this time beyond the limit that was told"),
    (348, "ignored_protect", "", 0, 1, 1,
     "PRO-30 1 = protection, 0 = an ignored limit is an alarm only"),
    (349, "ignored_percent", "", 0, 50, 10,
     "PRO-30 a limit is ignored when the current is above it by so many %, plus ignored_ma"),
    (351, "predischarge_ms", "ms", 300, 2550, 350,
     "PWR-03 longest pre-discharge before the discharge FET closes"),
    (350, "ignored_ma", "mA", 500, 20000, 3000, "PRO-30 current added to ignored_percent"),
    (200, "cal_current_gain_ppm", "ppm", -30000, 30000, 0,
     "MEA-04 calibration: gain of the current"),
    (201, "cal_current_offset_ma", "mA", -500, 500, 0,
     "MEA-04 calibration: offset of the current, subtracted"),
    (360, "pin_open_min", "min", 1, 1440, 10, "SAF-11 the PIN allows writing for this time"),
    (270, "cal_stack_gain_ppm", "ppm", -30000, 30000, 0,
     "MEA-04 calibration: gain of the stack voltage"),
    (271, "cal_stack_offset_mv", "mV", -1500, 1500, 0,
     "MEA-04 calibration: offset of the stack voltage, subtracted"),
    (272, "cal_pack_gain_ppm", "ppm", -30000, 30000, 0,
     "MEA-04 calibration: gain of the terminal voltage"),
    (273, "cal_pack_offset_mv", "mV", -1500, 1500, 0,
     "MEA-04 calibration: offset of the terminal voltage, subtracted"),
    (274, "cal_ld_gain_ppm", "ppm", -30000, 30000, 0,
     "MEA-04 calibration: gain of the load-detect pin"),
    (275, "cal_ld_offset_mv", "mV", -1500, 1500, 0,
     "MEA-04 calibration: offset of the load-detect pin, subtracted"),
    (300, "path_uohm", "uOhm", 200, 5000, 1750,
     "MEA-07 resistance from stack to terminals: shunt, FETs and leads"),
    (420, "made_day", "", 0, 36500, 0,
     "REC-05 day on which the pack was made, counted from 2020-01-01, 0 = not known"),
    (421, "service_day", "", 0, 36500, 0,
     "REC-05 day on which it was put into service, counted so, 0 = not known"),
    (320, "other_way_ms", "ms", 200, 10000, 1000,
     "PRO-32 a current the other way releases a protection after this time"),
    (322, "diode_spare_ma", "mA", 6000, 100000, 10000,
     "PRO-28 a current above this through a FET's body diode closes that FET"),
    (323, "diode_spare_ms", "ms", 1000, 60000, 3000, "PRO-28 delay of diode_spare_ma"),
    (324, "fet_leak_ma", "mA", 100, 2000, 300,
     "SAF-05 fault when a small current above this flows against an open FET"),
    (325, "fet_leak_ms", "ms", 5000, 600000, 60000, "SAF-05 delay of fet_leak_ma"),
    (326, "fet_leak_mah", "mAh", 5, 1000, 20,
     "SAF-05 fault when this charge passes an open FET in a minute"),
    (321, "uv_wait_ms", "ms", 1000, 600000, 30000,
     "PRO-33 without a charger the discharge FET waits this long after an under-voltage"),
) + tuple(
    (210 + i, "cal_cell%d_gain_ppm" % i, "ppm", -4000, 4000, 0,
     "MEA-04 calibration: gain of the cell")
    for i in range(16)
) + tuple(
    (230 + i, "cal_cell%d_offset_mv" % i, "mV", -15, 15, 0,
     "MEA-04 calibration: offset of the cell, subtracted")
    for i in range(16)
) + tuple(
    (250 + i, "cal_temp%d_offset_dc" % i, "dC", -30, 30, 0,
     "MEA-04 calibration: offset of the thermistor, subtracted. 0 to 3 = cells, 4 = MOSFETs, "
     "5 = ambient") for i in range(6)
)

# Ranges and defaults of these follow the product: TABLE has them for 16 cells, 100 A, 100 Ah
_BY_CELLS = ("pack_ov_alarm_mv", "pack_ov_trip_mv", "pack_ov_release_mv", "pack_uv_alarm_mv",
             "pack_uv_trip_mv", "pack_uv_release_mv", "cvl_mv", "dvl_mv", "wake_mv")
# (name, percent of the most ampere that the product is made for, most that is measured)
_BY_AMPERE = (("nominal_ma", 100, 300_000), ("boost_ma", 100, 300_000),
              ("warn_chg_ma", 100, 300_000), ("warn_dsg_ma", 100, 300_000),
              ("limiter_on_ma", 100, 300_000),
              ("chg_oc_alarm_ma", 105, 310_000), ("chg_oc_trip_ma", 110, 320_000),
              ("dsg_oc1_alarm_ma", 105, 310_000), ("dsg_oc1_trip_ma", 110, 320_000),
              ("dsg_oc2_trip_ma", 150, 450_000))
_BY_CAPACITY = ("tail_ma", "ocv_rest_ma", "self_use_ua", "self_spread_ua")

# (lesser, greater): the first must stay below the second
RULES = (
    ("cell_ov_alarm_mv", "cell_ov_trip_mv"),
    ("cell_ov_release_mv", "cell_ov_trip_mv"),
    ("cell_ov_trip_mv", "cell_high_limit_mv"),
    ("cell_uv_trip_mv", "cell_uv_alarm_mv"),
    ("cell_uv_trip_mv", "cell_uv_release_mv"),
    ("cell_uv_alarm_mv", "cell_ov_alarm_mv"),
    ("cell_low_limit_mv", "cell_uv_trip_mv"),
    ("cell_low_limit_mv", "deep_floor_mv"),
    ("deep_floor_mv", "cell_uv_trip_mv"),
    ("deep_floor_mv", "deep_end_mv"),
    ("ignored_alarm_s", "ignored_trip_s"),
    ("pack_ov_alarm_mv", "pack_ov_trip_mv"),
    ("pack_ov_release_mv", "pack_ov_trip_mv"),
    ("pack_uv_trip_mv", "pack_uv_alarm_mv"),
    ("pack_uv_trip_mv", "pack_uv_release_mv"),
    ("pack_uv_alarm_mv", "pack_ov_alarm_mv"),
    ("chg_oc_alarm_ma", "chg_oc_trip_ma"),
    ("dsg_oc1_alarm_ma", "dsg_oc1_trip_ma"),
    ("dsg_oc1_trip_ma", "dsg_oc2_trip_ma"),
    ("limiter_on_ma", "chg_oc_trip_ma"),
    ("chg_ut_trip_dc", "chg_ut_alarm_dc"),
    ("chg_ut_trip_dc", "chg_ut_release_dc"),
    ("chg_ot_alarm_dc", "chg_ot_trip_dc"),
    ("chg_ot_release_dc", "chg_ot_trip_dc"),
    ("chg_ut_alarm_dc", "chg_ot_alarm_dc"),
    ("dsg_ut_trip_dc", "dsg_ut_alarm_dc"),
    ("dsg_ut_trip_dc", "dsg_ut_release_dc"),
    ("dsg_ot_alarm_dc", "dsg_ot_trip_dc"),
    ("dsg_ot_release_dc", "dsg_ot_trip_dc"),
    ("dsg_ut_alarm_dc", "dsg_ot_alarm_dc"),
    ("env_ut_trip_dc", "env_ut_alarm_dc"),
    ("env_ut_trip_dc", "env_ut_release_dc"),
    ("env_ot_alarm_dc", "env_ot_trip_dc"),
    ("env_ot_release_dc", "env_ot_trip_dc"),
    ("mos_ot_alarm_dc", "mos_ot_trip_dc"),
    ("mos_ot_release_dc", "mos_ot_trip_dc"),
    ("cell_diff_clear_mv", "cell_diff_alarm_mv"),
    ("nominal_ma", "chg_oc_alarm_ma"),
    ("nominal_ma", "dsg_oc1_alarm_ma"),
    ("boost_ma", "chg_oc_alarm_ma"),
    ("boost_ma", "dsg_oc1_alarm_ma"),
    ("rest_ma", "other_way_ma"),
    ("sleep_ext_mv", "wake_mv"),
    ("bal_stop_mv", "bal_diff_mv"),
    ("bal_hold_mv", "bal_start_mv"),
    ("dvl_mv", "cvl_mv"),
    ("cvl_mv", "pack_ov_trip_mv"),
    # a release that another protection keeps from ever being reached
    ("cell_uv_release_mv", "cell_ov_trip_mv"),
    ("cell_uv_trip_mv", "cell_ov_release_mv"),
    ("pack_uv_release_mv", "pack_ov_trip_mv"),
    ("pack_uv_trip_mv", "pack_ov_release_mv"),
    ("chg_ut_release_dc", "chg_ot_trip_dc"),
    ("chg_ut_trip_dc", "chg_ot_release_dc"),
)

_MOST_MA = 100_000              # PRF-01: where a profile does not say MOST_MA
_RATED_MAH = 100_000
_FULL_GAP_MV = 50               # from the highest charge voltage to the ceiling of a cell
_CELLS, _MOST_CELLS = 8, 16     # PRF-03; the AFE itself would read 3
_SHUNT_MV = 200                 # what the AFE's converter takes either way
_RESOLVED_UV = 12               # a shunt that gives less for 0.1 A gives noise
PANELS = ("table", "bar")       # lamps of LED-03, of LED-04


def parameters_of(profile):
    """Parameters with the defaults of *profile*, within the ceilings of its chemistry."""
    cell = getattr(profile, "CELL", {})
    defaults = {}
    if "self_ua" in cell:
        defaults["self_use_ua"] = cell["self_ua"] * (profile.CAPACITY_MAH // 1000) // 100
    if "loss_ppm" in cell:
        defaults["charge_loss_ppm"] = cell["loss_ppm"]
    defaults.update(profile.DEFAULTS)
    return Parameters(defaults, getattr(profile, "CEILINGS", ceiling.LFP), profile.CELLS,
                      getattr(profile, "MOST_MA", None), profile.CAPACITY_MAH)


def shunt_of(profile):
    """The shunt of *profile* in uOhm; None: the board's."""
    return getattr(profile, "SHUNT_UOHM", None)


def _within(name, value, low, high, unit):
    if not low <= value <= high:
        raise ValueError("%s: %d is outside %d..%d %s" % (name, value, low, high, unit))


def _check_numbers(profile):
    """The whole numbers that *profile* says outside its defaults."""
    if not _CELLS <= profile.CELLS <= _MOST_CELLS:
        raise ValueError("CELLS: %d is outside %d..%d: the cells that the AFE reads and a "
                         "profile may have" % (profile.CELLS, _CELLS, _MOST_CELLS))
    _within("CAPACITY_MAH", profile.CAPACITY_MAH, 1000, 1_000_000, "mAh")
    most_ma = getattr(profile, "MOST_MA", _MOST_MA)
    _within("MOST_MA", most_ma, 10_000, 300_000, "mA")
    _within("SLAVES", getattr(profile, "SLAVES", 0), 0, 14, "packs")
    shunt_uohm = shunt_of(profile)
    if shunt_uohm is not None:
        # over-current thresholds and the short circuit have to be seen
        _within("SHUNT_UOHM", shunt_uohm, 10 * _RESOLVED_UV,
                _SHUNT_MV * 1_000_000 // (short_ma(most_ma) + 50_000), "uOhm at MOST_MA")


def short_ma(most_ma):
    """Where the AFE's comparator sees a short circuit (PRO-08): 350 A; more only for products
    whose own over-current lies beyond."""
    return max(350_000, most_ma // 2 * 5)


# what CELL may say beside its rest curve: (lowest, highest, unit)
_OF_CELL = {"unsure_mv": (0, 30, "mV"), "unsure_cpct": (20, 600, "cpct"),
            "hysteresis_u_mv": (0, 30, "mV"), "self_ua": (0, 20_000, "uA of 100 Ah"),
            "self_u_ua": (0, 20_000, "uA of 100 Ah"), "loss_ppm": (0, 20_000, "ppm"),
            "loss_u_ppm": (0, 20_000, "ppm")}


def _check_cell(cell):
    """The rest curve of *cell* and what is not known of it (SOC-04)."""
    for name in cell:
        if name in _OF_CELL:
            low, high, unit = _OF_CELL[name]
            _within("CELL, " + name, cell[name], low, high, unit)
        elif name != "rest":
            raise ValueError("CELL: %s is none of rest, %s" % (name, ", ".join(sorted(_OF_CELL))))
    if "rest" in cell:
        _check_rest(cell["rest"])


def _check_rest(rest):
    if not 8 <= len(rest) <= 60:
        raise ValueError("CELL, rest: %d rows; a curve has 8 to 60" % len(rest))
    for i in range(len(rest)):
        soc, low_mv, high_mv = rest[i]
        if i and not (soc > rest[i - 1][0] and low_mv > rest[i - 1][1]
                      and high_mv > rest[i - 1][2]):
            raise ValueError("CELL, rest: row %d: charge and both voltages must rise from row to "
                             "row" % i)
        if not 500 <= low_mv <= high_mv <= 5000:
            raise ValueError("CELL, rest: row %d: %d mV after discharge and %d mV after charge; "
                             "the second must not be lower" % (i, low_mv, high_mv))
    if rest[0][0] != 0 or rest[-1][0] != 10_000:
        raise ValueError("CELL, rest: from %d to %d cpct; it must go from 0 to 10000" % (
            rest[0][0], rest[-1][0]))


def _check_curves(curves):
    for _, reading, points, reason in curves:
        if not 0 <= reading < readings.COUNT:
            raise ValueError("CURVES, %s: there is no reading %d" % (reason, reading))
        for i in range(len(points)):
            if not 0 <= points[i][1] <= 1000:
                raise ValueError("CURVES, %s: %d is outside 0..1000" % (reason, points[i][1]))
            if i and points[i][0] <= points[i - 1][0]:
                raise ValueError("CURVES, %s: readings must rise from point to point" % reason)


def check_profile(profile):
    """The Parameters of *profile*; ValueError with the name of what is wrong if it contradicts
    itself (PRF-03)."""
    _check_numbers(profile)
    if profile.PANEL not in PANELS:
        raise ValueError("PANEL: %s is none of %s" % (profile.PANEL, ", ".join(PANELS)))
    _check_cell(getattr(profile, "CELL", {}))
    curves = getattr(profile, "CURVES", ())     # left out: made from the thresholds
    _check_curves(curves)
    found = getattr(profile, "CEILINGS", ceiling.LFP)
    for name in ceiling.LFP:
        if name not in found:
            raise ValueError("CEILINGS: %s is missing" % name)
    if found["charge_least_dc"] < ceiling.COLDEST_CHARGE_DC:
        raise ValueError("CEILINGS: charge_least_dc: %d is below %d" % (
            found["charge_least_dc"], ceiling.COLDEST_CHARGE_DC))
    if found["name"] == "LFP":
        for name, worse in (("cell_most_mv", 1), ("charge_most_dc", 1), ("afe_most_mv", 1),
                            ("afe_most_dc", 1), ("cell_least_mv", -1), ("afe_least_mv", -1),
                            ("discharge_least_dc", -1)):
            if (found[name] - ceiling.LFP[name]) * worse > 0:
                raise ValueError("CEILINGS: %s: %d is beyond %d, the ceiling of LFP" % (
                    name, found[name], ceiling.LFP[name]))
    params = parameters_of(profile)
    for _, _, points, reason in curves:
        item = rules.item_of(reason)
        if item is not None and isinstance(item[rules.TRIP], str):
            name = item[rules.TRIP]
            worst = points[-1 if item[rules.WORSE] == rules.ABOVE else 0]
            if worst[1] or (worst[0] - params[name]) * item[rules.WORSE] >= 0:
                raise ValueError("CURVES, %s: not 0 before %s (%d), but at %d" % (
                    reason, name, params[name], worst[0]))
    return params


def _product_defaults(defaults, cells, most_ma, capacity_mah):
    """Change TABLE's *defaults*, an array, to those of a product of that size."""
    for i in range(len(TABLE)):
        name = TABLE[i][1]
        if name in _BY_CELLS:
            defaults[i] = defaults[i] * cells // 16
        elif name in _BY_CAPACITY and capacity_mah != _RATED_MAH:
            defaults[i] = min(TABLE[i][4], max(TABLE[i][3],
                                               defaults[i] // 100 * (capacity_mah // 1000)))
        elif name == "cell_uohm" and capacity_mah != _RATED_MAH:
            defaults[i] = max(TABLE[i][3], defaults[i] * 100 // (capacity_mah // 1000))
        elif most_ma is not None:
            for other, percent, measured in _BY_AMPERE:
                if name == other:
                    defaults[i] = min(most_ma // 100 * percent, measured)


class Parameters:
    """Values of TABLE, starting from its defaults and a profile's.

    defaults  {name: value} that replace TABLE's defaults; ValueError with the parameter's name
              if one is unknown, out of range or against a rule
    ceilings  of the chemistry, see ceilings.py; cells: fitted; most_ma: the pack is made for;
              None: TABLE's; capacity_mah: rated
    changed   count of accepted changes: whoever derives tables from values compares it
    """

    def __init__(self, defaults=None, ceilings=ceiling.LFP, cells=16, most_ma=None,
                 capacity_mah=_RATED_MAH):
        self._index = {row[1]: i for i, row in enumerate(TABLE)}
        self.ceilings = ceilings
        self.cells = cells
        self.most_ma = most_ma or _MOST_MA
        self._cell_gains = self._index["cal_cell0_gain_ppm"]        # first of 16 rows
        self._cell_offsets = self._index["cal_cell0_offset_mv"]
        self._temp_offsets = self._index["cal_temp0_offset_dc"]     # first of 6
        narrowed = ceiling.ranges(ceilings, cells, self.most_ma)
        self._narrowed = {self._index[name]: narrowed[name] for name in narrowed}
        self._default = array("i", (row[5] for row in TABLE))
        _product_defaults(self._default, cells, most_ma, capacity_mah)
        for name, value in (defaults or {}).items():
            i = self._row(name)
            self._check_range(i, value)
            self._default[i] = value
        self._values = array("i", self._default)
        self.changed = 0
        self._check_rules()

    def __getitem__(self, name):
        at = self._index.get(name)          # a hundred of them after each change
        return self._values[self._row(name) if at is None else at]

    def cell_gain_ppm(self, cell):
        """Calibration of *cell*."""
        return self._values[self._cell_gains + cell]

    def cell_offset_mv(self, cell):
        """Calibration of *cell*, subtracted."""
        return self._values[self._cell_offsets + cell]

    def temp_offset_dc(self, sensor):
        """Calibration of thermistor *sensor*: four of cells, MOSFET, ambient; subtracted."""
        return self._values[self._temp_offsets + sensor]

    def default_of(self, name):
        """What restore() would make of *name*."""
        return self._default[self._row(name)]

    def set(self, name, value):
        """Take *value*; ValueError with the reason, and the old value stays, if it may not be."""
        i = self._row(name)
        self._check_range(i, value)
        old = self._values[i]
        self._values[i] = value
        try:
            self._check_rules()
            self._check_asked((name,))
        except ValueError:
            self._values[i] = old
            raise
        self.changed += 1
        return value

    def set_all(self, values):
        """Take every value of {name: value} or none; ValueError with the reason.

        For values that obey the rules together, but not one by one.
        """
        rows = [self._row(name) for name in values]
        old = [self._values[i] for i in rows]
        for i, name in zip(rows, values):
            self._check_range(i, values[name])
        for i, name in zip(rows, values):
            self._values[i] = values[name]
        try:
            self._check_rules()
            self._check_asked(values)
        except ValueError:
            for i, value in zip(rows, old):
                self._values[i] = value
            raise
        self.changed += 1

    @property
    def values(self):
        """array('i'), one for each row of TABLE. To be read only."""
        return self._values

    def check(self):
        """ValueError with the reason if any value is out of its range or against a rule."""
        for i in range(len(TABLE)):
            self._check_range(i, self._values[i])
        self._check_rules()

    def restore(self):
        """Every parameter back to its default."""
        for i in range(len(TABLE)):
            self._values[i] = self._default[i]
        self.changed += 1

    def pairs(self):
        """[(id, value)] of all that differ from their defaults: what has to be kept."""
        return [(TABLE[i][0], self._values[i]) for i in range(len(TABLE))
                if self._values[i] != self._default[i]]

    def take_over(self, pairs):
        """Take kept [(id, value)], perhaps of another version of TABLE, over the defaults.

        returns  those that were not taken: no such id any more, out of its range, or against a
                 rule together with the rest; the default stands for them
        """
        dropped = []
        taken = {}
        rows = {TABLE[i][0]: i for i in range(len(TABLE))}
        self.restore()
        for number, value in pairs:
            i = rows.get(number, -1)
            low, high = self.range_of(i) if i >= 0 else (0, -1)
            if low <= value <= high:
                self._values[i] = value
                taken[i] = value
            else:
                dropped.append((number, value))
        broken = self._broken()
        while broken:
            for name in broken[0]:
                i = self._index[name]
                if i in taken:
                    dropped.append((TABLE[i][0], taken.pop(i)))
                    self._values[i] = self._default[i]
            broken = self._broken()
        return dropped

    def name_of(self, number):
        """The name of parameter id *number*; ValueError if there is none."""
        for row in TABLE:
            if row[0] == number:
                return row[1]
        raise ValueError("no parameter has id %d" % number)

    def has_id(self, number):
        """True if there is a parameter with id *number*."""
        for row in TABLE:
            if row[0] == number:
                return True
        return False

    def number_of(self, name):
        """The id of parameter *name*; ValueError if there is none."""
        return TABLE[self._row(name)][0]

    def row_of(self, name):
        """The place of parameter *name* in values; ValueError if there is none."""
        return self._row(name)

    def range_of(self, i):
        """(lowest, highest) of row *i* of TABLE within the ceilings of the chemistry."""
        low, high = TABLE[i][3], TABLE[i][4]
        if self.cells != 16 and TABLE[i][1] in _BY_CELLS:
            low, high = low * self.cells // 16, high * self.cells // 16
        least, most = self._narrowed.get(i, (None, None))
        return (low if least is None else max(low, least),
                high if most is None else min(high, most))

    def describe(self, i):
        """Row *i* of TABLE as text: id;name;unit;min;max;default;value;help."""
        number, name, unit, _, _, _, text = TABLE[i]
        low, high = self.range_of(i)
        return "%d;%s;%s;%d;%d;%d;%d;%s" % (
            number, name, unit, low, high, self._default[i], self._values[i], text)

    def _row(self, name):
        try:
            return self._index[name]
        except KeyError:
            raise ValueError("no parameter is called %s" % name)

    def _check_range(self, i, value):
        low, high = self.range_of(i)
        if not low <= value <= high:
            _, name, unit = TABLE[i][:3]
            raise ValueError("%s: %s is outside %s..%s %s" % (
                name, stated(value, unit), stated(low, unit), stated(high, unit),
                "" if stated(low, unit) != str(low) else unit))

    def _unit(self, name):
        return TABLE[self._row(name)][2]

    def _stated(self, name):
        return stated(self[name], self._unit(name))

    def _check_rules(self):
        broken = self._broken()
        if broken:
            raise ValueError(broken[1])

    def _check_asked(self, names):
        """The charge voltage is asked for below the alarm of its cells (AM table 2-6).

        Only where it is set: an alarm that is set lower takes the voltage asked for along.
        """
        most_mv = self.cells * (self["cell_ov_alarm_mv"] - BELOW_ALARM_MV)
        if "cvl_mv" in names and self["cvl_mv"] > most_mv:
            raise ValueError("cvl_mv (%d) must be at most %d: %d mV a cell below "
                             "cell_ov_alarm_mv (%d)" % (self["cvl_mv"], most_mv, BELOW_ALARM_MV,
                                                        self["cell_ov_alarm_mv"]))

    def _broken(self):
        """The first rule that does not hold, (names of its parameters, text), or None."""
        for lesser, greater in RULES:
            if self[lesser] >= self[greater]:
                return (lesser, greater), "%s (%s) must be below %s (%s)" % (
                    lesser, self._stated(lesser), greater, self._stated(greater))
        for lesser, gap, greater in ceiling.GAPS:
            if self[lesser] + gap > self[greater]:
                return (lesser, greater), "%s (%s) must be at least %s below %s (%s)" % (
                    lesser, self._stated(lesser), stated(gap, self._unit(lesser)), greater,
                    self._stated(greater))
        return ceiling.beyond(self, self.ceilings, self.cells)
