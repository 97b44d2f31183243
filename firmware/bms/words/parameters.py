"""The one registry of parameters: ids, names, units, ranges, defaults, help, and the rules
between them. The debug port, the protocols, the profiles and the documentation read it.

Values are ints. An id is never given to another parameter, so that stored sets stay readable.
"""

from array import array

from bms.words import ceilings as ceiling
from bms.words import rules
from bms.words import readings

BELOW_ALARM_MV = 20     # of a cell's alarm: what an equal cell has at the end of charge

# (id, name, unit, lowest, highest, default, help)
TABLE = (
    (1, "cell_ov_alarm_mv", "mV", 3000, 4200, 3500, "PRO-01 alarm: highest cell at or above"),
    (2, "cell_ov_trip_mv", "mV", 3000, 4200, 3600, "PRO-01 protection: highest cell at or above"),
    (3, "cell_ov_release_mv", "mV", 3000, 4200, 3300, "PRO-01 release: highest cell at or below"),
    (4, "cell_ov_delay_ms", "ms", 200, 10000, 3000, "PRO-01 delay"),
    (5, "cell_uv_alarm_mv", "mV", 2000, 3300, 2800, "PRO-02 alarm: lowest cell at or below"),
    (6, "cell_uv_trip_mv", "mV", 2000, 3300, 2700, "PRO-02 protection: lowest cell at or below"),
    (7, "cell_uv_release_mv", "mV", 2000, 3500, 3300, "PRO-02 release: lowest cell at or above"),
    (8, "cell_uv_delay_ms", "ms", 200, 10000, 3000, "PRO-02 delay"),
    (9, "pack_ov_alarm_mv", "mV", 48000, 67200, 56800, "PRO-03 alarm: pack at or above"),
    (10, "pack_ov_trip_mv", "mV", 48000, 67200, 57600, "PRO-03 protection: pack at or above"),
    (11, "pack_ov_release_mv", "mV", 48000, 67200, 54000, "PRO-03 release: pack at or below"),
    (12, "pack_ov_delay_ms", "ms", 200, 10000, 3000, "PRO-03 delay"),
    (13, "pack_uv_alarm_mv", "mV", 32000, 52800, 45600, "PRO-04 alarm: pack at or below"),
    (14, "pack_uv_trip_mv", "mV", 32000, 52800, 44000, "PRO-04 protection: pack at or below"),
    (15, "pack_uv_release_mv", "mV", 32000, 56000, 48000, "PRO-04 release: pack at or above"),
    (16, "pack_uv_delay_ms", "ms", 200, 10000, 3000, "PRO-04 delay"),
    (17, "ov_release_soc_cpct", "cpct", 5000, 10000, 9600, "PRO-01/03 release: SOC below"),
    (20, "chg_oc_alarm_ma", "mA", 5000, 200000, 105000, "PRO-05 alarm: charging at or above"),
    (21, "chg_oc_trip_ma", "mA", 5000, 200000, 110000, "PRO-05 protection: at or above"),
    (22, "chg_oc_delay_ms", "ms", 200, 10000, 3000, "PRO-05 delay"),
    (23, "dsg_oc1_alarm_ma", "mA", 5000, 200000, 105000, "PRO-06 alarm: at or above"),
    (24, "dsg_oc1_trip_ma", "mA", 5000, 200000, 110000, "PRO-06 protection: at or above"),
    (25, "dsg_oc1_delay_ms", "ms", 200, 10000, 3000, "PRO-06 delay"),
    (26, "dsg_oc2_trip_ma", "mA", 10000, 250000, 150000, "PRO-07 protection: at or above"),
    (27, "dsg_oc2_delay_ms", "ms", 100, 500, 100, "PRO-07 delay"),
    (28, "oc_release_ms", "ms", 5000, 600000, 60000, "PRO-05/06/07 release: after"),
    (29, "oc_lock_trips", "", 2, 100, 10, "PRO-05/06/07 trips in a row that lock"),
    (30, "in_a_row_forget_s", "s", 60, 3600, 600, "PRO-22 trips are in a row within"),
    (40, "other_way_ma", "mA", 200, 5000, 1000, "Current the other way that releases: above"),
    (41, "charger_seen_mv", "mV", 200, 5000, 500, "Charging detected: terminals above stack by"),
    (42, "rest_ma", "mA", 50, 2000, 300, "Below this current the pack rests"),
    (45, "chg_ut_alarm_dc", "dC", -200, 300, 80, "PRO-09 alarm: coldest cell at or below"),
    (46, "chg_ut_trip_dc", "dC", -200, 300, 50, "PRO-09 protection: at or below"),
    (47, "chg_ut_release_dc", "dC", -200, 350, 80, "PRO-09 release: at or above"),
    (48, "chg_ot_alarm_dc", "dC", 300, 800, 520, "PRO-10 alarm: hottest cell at or above"),
    (49, "chg_ot_trip_dc", "dC", 300, 800, 580, "PRO-10 protection: at or above"),
    (50, "chg_ot_release_dc", "dC", 250, 800, 530, "PRO-10 release: at or below"),
    (51, "dsg_ut_alarm_dc", "dC", -400, 200, -150, "PRO-11 alarm: coldest cell at or below"),
    (52, "dsg_ut_trip_dc", "dC", -400, 200, -200, "PRO-11 protection: at or below"),
    (53, "dsg_ut_release_dc", "dC", -400, 250, -100, "PRO-11 release: at or above"),
    (54, "dsg_ot_alarm_dc", "dC", 300, 800, 520, "PRO-12 alarm: hottest cell at or above"),
    (55, "dsg_ot_trip_dc", "dC", 300, 800, 580, "PRO-12 protection: at or above"),
    (56, "dsg_ot_release_dc", "dC", 250, 800, 530, "PRO-12 release: at or below"),
    (57, "temp_delay_ms", "ms", 200, 10000, 3000, "PRO-09 to PRO-14 and PRO-17 delay"),
    (60, "failed_scans", "", 2, 20, 5, "MEA-02 failed scans in a row that mean fail"),
    (61, "cell_sum_error_mv", "mV", 100, 3000, 600, "MEA-03 sum of cells against stack"),
    (62, "cell_low_limit_mv", "mV", 0, 1000, 100, "MEA-03 cell at or below is wrong"),
    (63, "cell_high_limit_mv", "mV", 4300, 5500, 5000, "MEA-03 cell at or above is wrong"),
    (64, "doubt_delay_ms", "ms", 300, 5000, 1000, "MEA-03 a wrong reading is a fault after"),
    (65, "open_wire_mv", "mV", 100, 2000, 250, "MEA-03 neighbours this far off, opposite ways"),
    (66, "frozen_ms", "ms", 500, 5000, 2000, "MEA-03 nothing changes under current for"),
    (70, "env_ut_alarm_dc", "dC", -400, 200, -150, "PRO-13 alarm: ambient at or below"),
    (71, "env_ut_trip_dc", "dC", -400, 200, -200, "PRO-13 protection: at or below"),
    (72, "env_ut_release_dc", "dC", -400, 250, -150, "PRO-13 release: at or above"),
    (73, "env_ot_alarm_dc", "dC", 300, 1000, 650, "PRO-14 alarm: ambient at or above"),
    (74, "env_ot_trip_dc", "dC", 300, 1000, 750, "PRO-14 protection: at or above"),
    (75, "env_ot_release_dc", "dC", 250, 1000, 650, "PRO-14 release: at or below"),
    (76, "mos_ot_alarm_dc", "dC", 400, 1150, 900, "PRO-17 alarm: MOSFETs at or above"),
    (77, "mos_ot_trip_dc", "dC", 400, 1150, 1050, "PRO-17 protection: at or above"),
    (78, "mos_ot_release_dc", "dC", 300, 1150, 850, "PRO-17 release: at or below"),
    (80, "nominal_ma", "mA", 5000, 100000, 50000, "PRF-01 continuous current, either way"),
    (81, "cvl_mv", "mV", 48000, 58400, 55600, "COM-05 charge voltage asked of the charger, "
     "20 mV a cell below cell_ov_alarm_mv at least"),
    (82, "dvl_mv", "mV", 40000, 52000, 46000, "COM-05 lowest discharge voltage told"),
    (83, "full_cell_mv", "mV", 3400, 3650, 3455, "SOC-01 full: highest cell at or above"),
    (84, "tail_ma", "mA", 500, 20000, 5000, "SOC-01 full: charge current at or below"),
    (413, "min_soc_cpct", "cpct", 0, 5000, 0, "PRF-01 no discharge current is offered "
     "at or below, 0 = off"),
    (85, "low_soc_cpct", "cpct", 0, 5000, 300, "PRO-15 alarm: SOC below"),
    (86, "low_soc_delay_ms", "ms", 200, 30000, 3000, "PRO-15 delay"),
    (87, "cell_diff_alarm_mv", "mV", 50, 1000, 300, "PRO-16 alarm: cell difference at or above"),
    (88, "cell_diff_clear_mv", "mV", 20, 1000, 250, "PRO-16 alarm ends: at or below"),
    (89, "cell_diff_delay_ms", "ms", 200, 60000, 10000, "PRO-16 delay"),
    (90, "boost_ma", "mA", 5000, 100000, 100000, "DER-03 current allowed for a short time"),
    (91, "boost_s", "s", 0, 180, 180, "DER-03 longest use of it"),
    (92, "boost_uses", "", 0, 5, 5, "DER-03 uses in 30 days"),
    (93, "boost_pause_s", "s", 60, 172800, 86400, "DER-03 time between uses"),
    (410, "warn_chg_ma", "mA", 5000, 300000, 50000, "AM 5.10 alarm: charging above, by 1 A, "
     "not during a use of boost_ma"),
    (411, "warn_dsg_ma", "mA", 5000, 300000, 50000, "AM 5.10 alarm: discharging above, by 1 A, "
     "not during a use of boost_ma"),
    (412, "warn_delay_ms", "ms", 200, 60000, 3000, "AM 5.10 delay of both"),
    (94, "limiter_enable", "", 0, 1, 1, "LIM-03 the 10 A limiter may be switched in"),
    (95, "limiter_on_ma", "mA", 10000, 100000, 100000, "LIM-01 switched in above"),
    (96, "limiter_on_s", "s", 10, 600, 120, "LIM-01 for"),
    (97, "limiter_detections", "", 2, 100, 10, "LIM-02 detections after which it stays in"),
    (98, "fet_fail_ma", "mA", 300, 5000, 1000, "SAF-05 current against an open FET"),
    (99, "fet_fail_ms", "ms", 300, 5000, 1000, "SAF-05 for"),
    (100, "pcs_baud", "", 1200, 115200, 9600, "COM-01 RS485 to the inverter, bit/s"),
    (101, "inverter_lost_s", "s", 0, 3600, 60, "COM-08 no inverter heard for, 0: not watched"),
    (102, "pcs_protocol", "", 0, 4, 0, "COM-01 0 as heard, 1 Pylontech, 2 PACE, 3 PACE Modbus, "
     "4 Voltronic Modbus"),
    (103, "pcs_for_slaves", "", 0, 1, 1, "COM-03 the master answers at its slaves' addresses too"),
    (104, "pcs_unlock_min", "min", 1, 1440, 10, "COM-07 writing is allowed so long by `unlock`"),
    (105, "inverter_port", "", 0, 2, 0, "COM-02 0 both, 1 RS485 only, 2 CAN only"),
    (106, "force_charge_cpct", "cpct", 0, 3000, 500, "COM-05 asks to be charged at or below"),
    (107, "full_request_days", "", 0, 365, 30, "COM-05 asks to be full after, 0: never"),
    (110, "can_variant", "", 0, 13, 0, "COM-02 0 Pylontech, 1 its 1.3, 2 its 2, 3 Victron, 4 SMA, "
     "5 Deye, 6 Growatt, 7 Growatt LV, 8 Goodwe, 9 Solis, 10 Luxpower, 11 Sofar, 12 Schneider, "
     "13 Pytes"),
    (111, "can_keep_alive", "", 0, 2, 0, "COM-08 CAN inverter heard by: 0 as its kind does, 1 its "
     "frames only, 2 acknowledging ours too"),
    (120, "bench_enable", "", 0, 1, 0, "SAF-10 the debug port may provoke faults (test bench)"),
    (130, "ocv_rest_s", "s", 600, 14400, 2700, "SOC-01 rest before a rest voltage counts"),
    (131, "ocv_rest_ma", "mA", 100, 10000, 2500, "SOC-01 rest: current at or below"),
    (132, "cell_uohm", "uOhm", 50, 20000, 1100, "SOC-01 a cell's resistance with diffusion"),
    (133, "self_use_ua", "uA", 0, 100000, 4000, "SOC-01 drawn from the cells, not measured"),
    (134, "charge_loss_ppm", "ppm", 0, 20000, 500, "SOC-01 of charge put in, not coming back"),
    (135, "soc_save_cpct", "cpct", 10, 100, 70, "SOC-03 stored when it moved by"),
    (136, "soc_save_min", "min", 5, 1440, 60, "SOC-03 stored at least every"),
    (137, "full_hold_s", "s", 5, 600, 30, "SOC-01 full: held for"),
    (138, "self_spread_ua", "uA", 0, 20000, 2500, "SOC-01 cells' self-discharge differs by"),
    (139, "zero_look_ms", "ms", 0, 5000, 1500, "SOC-01 offset unknown: FETs open at first for"),
    (140, "sleep_cell_mv", "mV", 2000, 3300, 3000, "PWR-10 sleeps with the lowest cell below"),
    (141, "sleep_cell_s", "s", 10, 604800, 3600, "PWR-10 for, not used"),
    (142, "sleep_standby_s", "s", 10, 2592000, 86400, "PWR-10 sleeps after not being used for"),
    (414, "small_use_ma", "mA", 0, 300, 50, "PWR-10 mean current of an hour that is a "
     "use, 0 = off"),
    (143, "sleep_uv_s", "s", 10, 3600, 30, "PRO-24 sleeps with an under-voltage protection for"),
    (144, "sleep_ext_mv", "mV", 2000, 40000, 10000, "PWR-10 stays awake with terminals above"),
    (145, "wake_mv", "mV", 40000, 60000, 48000, "PWR-11 wakes with terminals above"),
    (146, "wake_period_s", "s", 30, 604800, 14400, "PWR-12 time between timed wakes"),
    (147, "wake_tries", "", 0, 100, 10, "PWR-12 timed wakes in a row without charge"),
    (148, "wake_try_s", "s", 5, 600, 60, "PWR-12 length of a timed wake"),
    (149, "wake_floor_mv", "mV", 1500, 2500, 2000, "PWR-12 the AFE's own limit meanwhile"),
    (150, "recharge_s", "s", 10, 2592000, 172800, "PWR-13 charging is allowed again after"),
    (160, "bal_enable", "", 0, 1, 1, "BAL-01 cells may be bled"),
    (161, "bal_start_mv", "mV", 3000, 4200, 3500, "BAL-01 start: highest cell at or above"),
    (162, "bal_diff_mv", "mV", 5, 500, 30, "BAL-01 start: cell difference at or above"),
    (163, "bal_stop_mv", "mV", 1, 400, 6, "BAL-02 end: difference at or below, at the top"),
    (164, "bal_hold_mv", "mV", 3000, 4200, 3400, "BAL-02 pause: highest cell below"),
    (165, "bal_rest_ma", "mA", 0, 2000, 300, "BAL-01 not while discharging above"),
    (166, "bal_die_max_dc", "dC", 200, 700, 600, "BAL-02 not with the AFE's die at or above"),
    (167, "bal_cells_most", "", 1, 8, 8, "BAL-02 cells bled at once, of what the AFE can"),
    (168, "bal_turn_s", "s", 5, 3600, 60, "BAL-02 a choice of cells stands for"),
    (169, "bal_pause_s", "s", 1, 600, 10, "BAL-02 pause after an obstacle has gone"),
    (180, "buzzer_enable", "", 0, 1, 0, "BUZ-01 the buzzer may sound"),
    (181, "do1_function", "", 0, 6, 1, "DRY-01 0 nothing, 1 protection or fault, 2 low capacity, "
     "3 alarm, 4 charging, 5 discharging, 6 asleep"),
    (182, "do1_inverted", "", 0, 1, 0, "DRY-01 1: closed while it is not so"),
    (183, "do2_function", "", 0, 6, 2, "DRY-01 as do1_function"),
    (184, "do2_inverted", "", 0, 1, 0, "DRY-01 1: closed while it is not so"),
    (190, "parallel_baud", "", 9600, 57600, 38400, "COM-01 RS485 between packs: raised to"),
    (191, "slave_lost_s", "s", 2, 60, 4, "COM-03 a pack that is silent for so long is dropped"),
    (192, "join_uohm", "uOhm", 500, 200000, 8000, "COM-09 pack's resistance until it is measured"),
    (193, "join_alone_s", "s", 5, 3600, 20, "COM-09 slave without a master: closes after, on a "
     "dead bar"),
    (340, "short_lock_trips", "", 2, 100, 5, "PRO-08 trips in a row that lock"),
    (341, "load_removed_mv", "mV", 1000, 20000, 4000, "PRO-08 load removed: LD above"),
    (342, "deep_floor_mv", "mV", 1500, 2500, 2000, "PRO-29 a cell at or below is not charged"),
    (343, "deep_end_mv", "mV", 2500, 3200, 2900, "PRO-29 charged gently up to: lowest cell"),
    (344, "deep_charge_ma", "mA", 500, 20000, 5000, "PRO-29 charge current limit until then"),
    (345, "deep_try_s", "s", 60, 7200, 1800, "PRO-29 a try below the floor ends after"),
    (346, "ignored_alarm_s", "s", 5, 600, 30, "PRO-30 alarm: current beyond the told limit for"),
    (347, "ignored_trip_s", "s", 20, 3600, 120, "PRO-30 protection: for"),
    (348, "ignored_protect", "", 0, 1, 1, "PRO-30 0: an ignored limit is an alarm only"),
    (349, "ignored_percent", "", 0, 50, 10, "PRO-30 beyond: above the limit by so many % and"),
    (351, "predischarge_ms", "ms", 400, 2550, 500, "PWR-03 terminals are charged first, for"),
    (350, "ignored_ma", "mA", 500, 20000, 3000, "PRO-30 by this current"),
    (200, "cal_current_gain_ppm", "ppm", -30000, 30000, 0, "MEA-04 current gain"),
    (201, "cal_current_offset_ma", "mA", -500, 500, 0, "MEA-04 current offset, subtracted"),
    (360, "pin_open_min", "min", 1, 1440, 10, "SAF-11 writing is allowed after the PIN for"),
    (270, "cal_stack_gain_ppm", "ppm", -30000, 30000, 0, "MEA-04 stack gain"),
    (271, "cal_stack_offset_mv", "mV", -1500, 1500, 0, "MEA-04 stack offset, subtracted"),
    (272, "cal_pack_gain_ppm", "ppm", -30000, 30000, 0, "MEA-04 terminals gain"),
    (273, "cal_pack_offset_mv", "mV", -1500, 1500, 0, "MEA-04 terminals offset, subtracted"),
    (274, "cal_ld_gain_ppm", "ppm", -30000, 30000, 0, "MEA-04 load-detect pin gain"),
    (275, "cal_ld_offset_mv", "mV", -1500, 1500, 0, "MEA-04 load-detect offset, subtracted"),
    (300, "path_uohm", "uOhm", 200, 5000, 1750, "MEA-07 shunt, FETs and leads from stack to "
     "terminals"),
    (320, "other_way_ms", "ms", 200, 10000, 1000, "PRO-32 current the other way releases after"),
    (322, "diode_spare_ma", "mA", 6000, 100000, 10000, "PRO-28 current through the diode of a FET "
     "that closes it: above"),
    (323, "diode_spare_ms", "ms", 1000, 60000, 3000, "PRO-28 for"),
    (324, "fet_leak_ma", "mA", 100, 2000, 300, "SAF-05 small current against an open FET: above"),
    (325, "fet_leak_ms", "ms", 5000, 600000, 60000, "SAF-05 for"),
    (326, "fet_leak_mah", "mAh", 5, 1000, 20, "SAF-05 or charge counted in a minute"),
    (321, "uv_wait_ms", "ms", 1000, 600000, 30000, "PRO-33 voltage came back without a charger: "
     "closes after"),
) + tuple(
    (210 + i, "cal_cell%d_gain_ppm" % i, "ppm", -4000, 4000, 0, "MEA-04 cell gain")
    for i in range(16)
) + tuple(
    (230 + i, "cal_cell%d_offset_mv" % i, "mV", -15, 15, 0, "MEA-04 cell offset, subtracted")
    for i in range(16)
) + tuple(
    (250 + i, "cal_temp%d_offset_dc" % i, "dC", -30, 30, 0,
     "MEA-04 thermistor offset, subtracted: cells, MOSFET, ambient") for i in range(6)
)

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
PANELS = ("table", "bar")       # lamps of LED-03, of LED-04


def parameters_of(profile):
    """Parameters with the defaults of *profile*, within the ceilings of its chemistry."""
    return Parameters(profile.DEFAULTS, getattr(profile, "CEILINGS", ceiling.LFP), profile.CELLS,
                      getattr(profile, "MOST_MA", _MOST_MA))


def check_profile(profile):
    """The Parameters of *profile*; ValueError with the name of what is wrong if it contradicts
    itself (PRF-03)."""
    if not 3 <= profile.CELLS <= 16:
        raise ValueError("CELLS: the AFE reads 3 to 16 cells, not %d" % profile.CELLS)
    if not 1000 <= profile.CAPACITY_MAH <= 1_000_000:
        raise ValueError("CAPACITY_MAH: %d is outside 1000..1000000" % profile.CAPACITY_MAH)
    if profile.PANEL not in PANELS:
        raise ValueError("PANEL: %s is none of %s" % (profile.PANEL, ", ".join(PANELS)))
    for _, reading, points, reason in profile.CURVES:
        if not 0 <= reading < readings.COUNT:
            raise ValueError("CURVES, %s: there is no reading %d" % (reason, reading))
        for i in range(len(points)):
            if not 0 <= points[i][1] <= 1000:
                raise ValueError("CURVES, %s: %d is outside 0..1000" % (reason, points[i][1]))
            if i and points[i][0] <= points[i - 1][0]:
                raise ValueError("CURVES, %s: readings must rise from point to point" % reason)
    found = getattr(profile, "CEILINGS", ceiling.LFP)
    for name in ceiling.LFP:
        if name not in found:
            raise ValueError("CEILINGS: %s is missing" % name)
    if found["charge_least_dc"] < ceiling.COLDEST_CHARGE_DC:
        raise ValueError("CEILINGS: charge_least_dc: %d is below %d" % (
            found["charge_least_dc"], ceiling.COLDEST_CHARGE_DC))
    params = parameters_of(profile)
    for _, _, points, reason in profile.CURVES:
        item = rules.item_of(reason)
        if item is not None and isinstance(item[rules.TRIP], str):
            name = item[rules.TRIP]
            worst = points[-1 if item[rules.WORSE] == rules.ABOVE else 0]
            if worst[1] or (worst[0] - params[name]) * item[rules.WORSE] >= 0:
                raise ValueError("CURVES, %s: not 0 before %s" % (reason, name))
    return params


class Parameters:
    """Values of TABLE, starting from its defaults and a profile's.

    defaults  {name: value} that replace TABLE's defaults; ValueError with the parameter's name
              if one is unknown, out of range or against a rule
    ceilings  of the chemistry, see ceilings.py; cells: fitted; most_ma: the pack is made for
    changed   count of accepted changes: whoever derives tables from values compares it
    """

    def __init__(self, defaults=None, ceilings=ceiling.LFP, cells=16, most_ma=_MOST_MA):
        self._index = {row[1]: i for i, row in enumerate(TABLE)}
        self.ceilings = ceilings
        self.cells = cells
        self._cell_gains = self._index["cal_cell0_gain_ppm"]        # first of 16 rows
        self._cell_offsets = self._index["cal_cell0_offset_mv"]
        self._temp_offsets = self._index["cal_temp0_offset_dc"]     # first of 6
        narrowed = ceiling.ranges(ceilings, cells, most_ma)
        self._narrowed = {self._index[name]: narrowed[name] for name in narrowed}
        self._default = array("i", (row[5] for row in TABLE))
        for name, value in (defaults or {}).items():
            i = self._row(name)
            self._check_range(i, value)
            self._default[i] = value
        self._values = array("i", self._default)
        self.changed = 0
        self._check_rules()

    def __getitem__(self, name):
        return self._values[self._row(name)]

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
            raise ValueError("%s: %d is outside %d..%d %s" % (
                TABLE[i][1], value, low, high, TABLE[i][2]))

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
                return (lesser, greater), "%s (%d) must be below %s (%d)" % (
                    lesser, self[lesser], greater, self[greater])
        for lesser, gap, greater in ceiling.GAPS:
            if self[lesser] + gap > self[greater]:
                return (lesser, greater), "%s (%d) must be at least %d below %s (%d)" % (
                    lesser, self[lesser], gap, greater, self[greater])
        return ceiling.beyond(self, self.ceilings, self.cells)
