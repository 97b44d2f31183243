"""States of a pack, and the direction of its current (STANDBY, CHARGING or DISCHARGING)."""

STATES = ("off", "self_test", "standby", "charging", "discharging", "protection", "fail", "sleep")
OFF, SELF_TEST, STANDBY, CHARGING, DISCHARGING, PROTECTION, FAIL, SLEEP = range(8)
