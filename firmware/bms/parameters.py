"""The one registry of parameters: ids, names, units, ranges, defaults, help, and the rules
between them. The debug port, the protocols, the profiles and the documentation read it.

Values are ints. An id is never given to another parameter, so that stored sets stay readable.
"""

from array import array

# (id, name, unit, lowest, highest, default, help)
TABLE = (
    (1, "cell_ov_alarm_mv", "mV", 3000, 4200, 3500, "PRO-01 alarm: highest cell at or above"),
    (2, "cell_ov_trip_mv", "mV", 3000, 4200, 3600, "PRO-01 protection: highest cell at or above"),
    (3, "cell_ov_release_mv", "mV", 3000, 4200, 3300, "PRO-01 release: highest cell at or below"),
    (4, "cell_ov_delay_ms", "ms", 200, 30000, 3000, "PRO-01 delay"),
    (5, "cell_uv_alarm_mv", "mV", 2000, 3300, 2800, "PRO-02 alarm: lowest cell at or below"),
    (6, "cell_uv_trip_mv", "mV", 2000, 3300, 2700, "PRO-02 protection: lowest cell at or below"),
    (7, "cell_uv_release_mv", "mV", 2000, 3500, 3300, "PRO-02 release: lowest cell at or above"),
    (8, "cell_uv_delay_ms", "ms", 200, 30000, 3000, "PRO-02 delay"),
    (9, "pack_ov_alarm_mv", "mV", 48000, 67200, 56800, "PRO-03 alarm: pack at or above"),
    (10, "pack_ov_trip_mv", "mV", 48000, 67200, 57600, "PRO-03 protection: pack at or above"),
    (11, "pack_ov_release_mv", "mV", 48000, 67200, 54000, "PRO-03 release: pack at or below"),
    (12, "pack_ov_delay_ms", "ms", 200, 30000, 3000, "PRO-03 delay"),
    (13, "pack_uv_alarm_mv", "mV", 32000, 52800, 45600, "PRO-04 alarm: pack at or below"),
    (14, "pack_uv_trip_mv", "mV", 32000, 52800, 44000, "PRO-04 protection: pack at or below"),
    (15, "pack_uv_release_mv", "mV", 32000, 56000, 48000, "PRO-04 release: pack at or above"),
    (16, "pack_uv_delay_ms", "ms", 200, 30000, 3000, "PRO-04 delay"),
    (17, "ov_release_soc_cpct", "cpct", 5000, 10000, 9600, "PRO-01/03 release: SOC below"),
    (40, "other_way_ma", "mA", 200, 5000, 1000, "Current the other way that releases: above"),
    (41, "charger_seen_mv", "mV", 200, 5000, 500, "Charging detected: terminals above stack by"),
    (42, "rest_ma", "mA", 50, 2000, 300, "Below this current the pack rests"),
    (43, "in_a_row_forget_s", "s", 60, 3600, 600, "PRO-22 trips are in a row within"),
    (60, "failed_scans", "", 2, 20, 5, "MEA-02 failed scans in a row that mean fail"),
    (61, "cell_sum_error_mv", "mV", 100, 3000, 600, "MEA-03 sum of cells against stack"),
    (62, "cell_low_limit_mv", "mV", 0, 1000, 100, "MEA-03 cell at or below is wrong"),
    (63, "cell_high_limit_mv", "mV", 4300, 5500, 5000, "MEA-03 cell at or above is wrong"),
    (64, "doubt_delay_ms", "ms", 300, 5000, 1000, "MEA-03 a wrong reading is a fault after"),
    (80, "nominal_ma", "mA", 5000, 100000, 50000, "PRF-01 continuous charge and discharge current"),
    (81, "cvl_mv", "mV", 48000, 58400, 56000, "COM-05 charge voltage asked of the charger"),
    (82, "dvl_mv", "mV", 40000, 52000, 46000, "COM-05 lowest discharge voltage told"),
    (83, "full_cell_mv", "mV", 3400, 3650, 3550, "SOC-01 full: highest cell at or above"),
    (84, "tail_ma", "mA", 500, 20000, 5000, "SOC-01 full: charge current at or below"),
    (100, "pcs_baud", "", 1200, 115200, 9600, "COM-01 RS485 to the inverter, bit/s"),
    (120, "bench_enable", "", 0, 1, 1, "Debug port may provoke faults (test bench)"),
)

# (lesser, greater): the first must stay below the second
RULES = (
    ("cell_ov_alarm_mv", "cell_ov_trip_mv"),
    ("cell_ov_release_mv", "cell_ov_trip_mv"),
    ("cell_ov_trip_mv", "cell_high_limit_mv"),
    ("cell_uv_trip_mv", "cell_uv_alarm_mv"),
    ("cell_uv_trip_mv", "cell_uv_release_mv"),
    ("cell_uv_trip_mv", "cell_ov_trip_mv"),
    ("cell_low_limit_mv", "cell_uv_trip_mv"),
    ("pack_ov_alarm_mv", "pack_ov_trip_mv"),
    ("pack_ov_release_mv", "pack_ov_trip_mv"),
    ("pack_uv_trip_mv", "pack_uv_alarm_mv"),
    ("pack_uv_trip_mv", "pack_uv_release_mv"),
    ("pack_uv_trip_mv", "pack_ov_trip_mv"),
    ("dvl_mv", "cvl_mv"),
    ("cvl_mv", "pack_ov_trip_mv"),
)


class Parameters:
    """Values of TABLE, starting from its defaults and a profile's.

    defaults  {name: value} that replace TABLE's defaults; ValueError with the parameter's name
              if one is unknown, out of range or against a rule
    changed   count of accepted changes: whoever derives tables from values compares it
    """

    def __init__(self, defaults=None):
        self._index = {TABLE[i][1]: i for i in range(len(TABLE))}
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

    def set(self, name, value):
        """Take *value*; ValueError with the reason, and the old value stays, if it may not be."""
        i = self._row(name)
        self._check_range(i, value)
        old = self._values[i]
        self._values[i] = value
        try:
            self._check_rules()
        except ValueError:
            self._values[i] = old
            raise
        self.changed += 1
        return value

    def restore(self):
        """Every parameter back to its default."""
        for i in range(len(TABLE)):
            self._values[i] = self._default[i]
        self.changed += 1

    def name_of(self, number):
        """The name of parameter id *number*; ValueError if there is none."""
        for row in TABLE:
            if row[0] == number:
                return row[1]
        raise ValueError("no parameter has id %d" % number)

    def describe(self, i):
        """Row *i* of TABLE as text: id;name;unit;min;max;default;value;help."""
        number, name, unit, low, high, _, text = TABLE[i]
        return "%d;%s;%s;%d;%d;%d;%d;%s" % (
            number, name, unit, low, high, self._default[i], self._values[i], text)

    def _row(self, name):
        try:
            return self._index[name]
        except KeyError:
            raise ValueError("no parameter is called %s" % name)

    def _check_range(self, i, value):
        _, name, unit, low, high, _, _ = TABLE[i]
        if not low <= value <= high:
            raise ValueError("%s: %d is outside %d..%d %s" % (name, value, low, high, unit))

    def _check_rules(self):
        for lesser, greater in RULES:
            if self[lesser] >= self[greater]:
                raise ValueError("%s (%d) must be below %s (%d)"
                                 % (lesser, self[lesser], greater, self[greater]))
