"""Words of the Pylontech console, in the layout that its readers parse (COM-10).

ESPHome's component and others take columns by position or by token, and wait for the prompt. So
widths and line ends are those of captured packs; what a pack of ours does not have is 0 or "-".
Units: mV, mA (charging positive), thousandths of a degree, mAh.
"""

from array import array

from bms.words import event_lines, rules
from bms.words.readings import NO_READING
from bms.words.rules import mask_of
from bms.records.counters import slot_of
from civil import civil_of, is_date, seconds_of
from protocols import conditions

_ROWS = 8               # of `pwr`, at least: a reader looks for as many
_MOST_ROWS = 16
_NEXT = "\r\r\n"        # ends of lines differ from word to word
_NEXT_INFO = "\r\n\r"
_EVENTS = 10            # of `log`

_CELL_HIGH, _CELL_LOW = mask_of("PRO-01"), mask_of("PRO-02")
_PACK_HIGH, _PACK_LOW = mask_of("PRO-03"), mask_of("PRO-04")
_CURRENT_HIGH = mask_of("PRO-05", "PRO-06", "PRO-07", "PRO-08")
_CELLS_HOT, _CELLS_COLD = mask_of("PRO-10", "PRO-12"), mask_of("PRO-09", "PRO-11")
_HOT, _COLD = mask_of("PRO-14"), mask_of("PRO-13")
_MOS_HOT = mask_of("PRO-17")

_HEAD = ("Power Volt   Curr   Tempr  Tlow   Thigh  Vlow   Vhigh  Base.St  Volt.St  Curr.St  "
         "Temp.St  Coulomb  Time                 B.V.St   B.T.St   MosTempr M.T.St  ")
_ABSENT = ("%-6d-      -      -      -      -      -      -      Absent   -        -        "
           "-        -        -                    -        -        -        -       ")
_BAT_HEAD = ("Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  "
             "Temp. State  SOC          Coulomb      BAL         ")
_UNIT_HEAD = ("Index  Volt   Curr   Tempr  AvgTempr BTlow  BThigh BVlow  BVhigh Base.St  Volt.St  "
              "Temp.St  CoulombAH                CoulombWH               Time               ")
_PROTECTIONS = ("BOV BHV BLV BUV POV PHV PLV PUV CBOT CBHT CBLT CBUT DBOT DBHT DBLT DBUT POT PHT "
                "COC COCA DOC DOC2 DOCA SC ")

# `stat`: name, id of the protection whose trips are counted, or None: see _stat
_STAT = (
    ("Data Items", None), ("HisData Items", None), ("Charge Cnt.", None),
    ("Discharge Cnt.", None), ("Charge Times", None), ("Status Cnt.", None), ("Idle Times", None),
    ("COC Times", "PRO-05"), ("COC2 Times", None), ("DOC Times", "PRO-06"),
    ("DOC2 Times", "PRO-07"), ("COCA Times", None), ("DOCA Times", None), ("SC Times", "PRO-08"),
    ("Bat OV Times", "PRO-01"), ("Bat HV Times", None), ("Bat LV Times", None),
    ("Bat UV Times", "PRO-02"), ("Bat SLP Times", None), ("Pwr OV Times", "PRO-03"),
    ("Pwr HV Times", None), ("Pwr LV Times", None), ("Pwr UV Times", "PRO-04"),
    ("Pwr SLP Times", None), ("COT Times", "PRO-10"), ("CUT Times", "PRO-09"),
    ("DOT Times", "PRO-12"), ("DUT Times", "PRO-11"), ("CHT Times", None), ("CLT Times", None),
    ("DHT Times", None), ("DLT Times", None), ("Shut Times", None), ("Reset Times", None),
    ("RV Times", "PRO-18"), ("Input OV Times", None), ("SOH Times", None), ("BMICERR Times", None),
    ("SOH", None), ("CYCLE Times", None), ("Pwr Percent", None), ("Pwr Coulomb", None),
    ("Dsg Cap", None),
)


class BadArgument(Exception):
    """A word that is known, with something behind it that is not."""


def _mc(value_dc):
    """Thousandths of a degree of *value_dc*, as text."""
    return "-" if value_dc == NO_READING else "%d" % (value_dc * 100)


def _number(value):
    return "-" if value == NO_READING else "%d" % value


def _state(seen, high, low):
    """`High`, `Low` or `Normal`."""
    held = seen.alarms | seen.protections
    return "High" if held & high else "Low" if held & low else "Normal"


def _base(seen):
    """What a pack does, in their words."""
    if seen.protections or not seen.valid and not seen.starting:
        return "SysError"
    if seen.charging:
        return "Charge"
    if seen.discharging:
        return "Dischg"
    return "Balance" if seen.balance_mask else "Idle"


def _own_temp(seen):
    """A pack's own temperature: of its surroundings, else of its cells."""
    return seen.ambient_dc if seen.ambient_dc != NO_READING else seen.mean_temp_dc


def _remaining_wh(seen):
    if seen.voltage_mv == NO_READING:
        return 0
    return seen.remaining_mah // 10 * (seen.voltage_mv // 100) // 1000


class Pylon:
    """The words; each takes the words behind it and yields text that is sent as it is.

    parts     what main has put together; ticks_ms: function
    set_clock function(seconds since 2020): sets the clock, or ValueError
    version   of the firmware; board: its name
    """

    def __init__(self, parts, ticks_ms, set_clock, version, board):
        self._parts = parts
        self._set_clock = set_clock
        self._ticks_ms = ticks_ms
        self.version = version
        self._board = board

    def run(self, name, words):
        """The whole answer of the word *name*."""
        yield "\r@"
        try:
            for text in getattr(self, "_" + name)(words):
                yield text
            yield "\r\n\rCommand completed successfully"
        except BadArgument:
            yield _NEXT + "Invalid command or fail to excute!"
        except ValueError as error:
            yield _NEXT + str(error)
        yield "\r\n\r$$\r\n"

    def unknown(self, name, alike):
        """The answer to a word that there is not; *alike*: what was meant perhaps, or None."""
        return "\r@%sUnknown command '%s' - try 'help'%s\r\n\r$$\r\n" % (
            _NEXT, name, "%sdid you mean '%s'?" % (_NEXT, alike) if alike else "")

    def _modules(self):
        system = self._parts.system
        system.update(self._ticks_ms())
        return system.modules

    def _seen(self, words):
        """(number, Snapshot) of the pack that is asked for: this one without a number."""
        modules = self._modules()
        number = 1
        if words:
            if len(words) > 1 or not words[0].isdigit() or len(words[0]) > 3:
                raise BadArgument
            number = int(words[0])
        if not 1 <= number <= len(modules):
            raise BadArgument
        return number, modules[number - 1]

    def _time_text(self):
        now_s = self._parts.clock.now_s(self._ticks_ms())
        return "%04d-%02d-%02d %02d:%02d:%02d" % civil_of(now_s or 0)

    def _pwr(self, words):
        if words:
            for text in self._one_pwr(*self._seen(words)):
                yield text
            return
        modules = self._modules()
        yield _NEXT + _HEAD
        for i in range(len(modules)):
            yield _NEXT + self._pwr_row(i + 1, modules[i])
        for i in range(len(modules), _ROWS if len(modules) <= _ROWS else _MOST_ROWS):
            yield _NEXT + _ABSENT % (i + 1)

    def _pwr_row(self, number, seen):
        row = "%-6d" % number
        for text in (_number(seen.voltage_mv), _number(seen.current_ma), _mc(_own_temp(seen)),
                     _mc(seen.min_temp_dc), _mc(seen.max_temp_dc), _number(seen.min_cell_mv),
                     _number(seen.max_cell_mv)):
            row += "%-6s " % text
        for text in (_base(seen), _state(seen, _PACK_HIGH, _PACK_LOW),
                     _state(seen, _CURRENT_HIGH, 0), _state(seen, _HOT, _COLD),
                     "%d%%" % (seen.soc_cpct // 100)):
            row += "%-8s " % text
        return row + "%-20s %-8s %-8s %-8s %-8s" % (
            self._time_text(), _state(seen, _CELL_HIGH, _CELL_LOW),
            _state(seen, _CELLS_HOT, _CELLS_COLD), _mc(seen.mos_dc), _state(seen, _MOS_HOT, 0))

    def _one_pwr(self, number, seen):
        yield _NEXT + " ----------------------------"
        yield "%s Power  %d%s" % (_NEXT, number, _NEXT)
        for name, value, unit in (
                ("Voltage", _number(seen.voltage_mv), "mV"),
                ("Current", _number(seen.current_ma), "mA"),
                ("Temperature", _mc(_own_temp(seen)), "mC"),
                ("Coulomb", "%d" % (seen.soc_cpct // 100), "%"),
                ("Total Coulomb", "%d" % seen.full_mah, "mAH"),
                ("Max Voltage", "%d" % seen.cvl_mv, "mV"),
                ("Charge Times", "%d" % seen.cycles, "")):
            yield "%s %-16s: %-12s%s" % (_NEXT, name, value, unit)
        yield "%s %-16s: %-8s" % (_NEXT, "Basic Status", _base(seen))
        yield "%s %-16s: %-8ds" % (_NEXT, "Charge Sec.", 0)
        for name, text in (
                ("Volt Status", _state(seen, _PACK_HIGH | _CELL_HIGH, _PACK_LOW | _CELL_LOW)),
                ("Current Status", _state(seen, _CURRENT_HIGH, 0)),
                ("Tmpr. Status", _state(seen, _HOT | _CELLS_HOT, _COLD | _CELLS_COLD)),
                ("Coul. Status", _state(seen, 0, mask_of("PRO-15"))),
                ("Soh. Status", "Normal" if seen.soh_pct >= 60 else "Low"),
                ("Heater Status", "OFF"), ("Protect ENA", _PROTECTIONS)):
            yield "%s %-16s: %-8s" % (_NEXT, name, text)
        for name, bits in (("Bat Events", seen.alarms), ("Power Events", seen.protections),
                           ("System Fault", seen.protections & conditions.FAULTS)):
            yield "%s %-16s: 0x%-9x" % (_NEXT, name, bits)
        yield _NEXT + " ----------------------------"

    def _bat(self, words):
        _, seen = self._seen(words)
        yield _NEXT + _BAT_HEAD
        base = _base(seen)
        current = _number(seen.current_ma)
        current_state = _state(seen, _CURRENT_HIGH, 0)
        temp_state = _state(seen, _CELLS_HOT, _CELLS_COLD)
        charge = "%-12s%-15s" % ("%d%%" % (seen.soc_cpct // 100), "%d mAH" % seen.remaining_mah)
        bled = seen.balance_mask
        cells_mv = array("H", seen.cells_mv)        # all of one moment, however long it takes
        temps_dc = array("i", seen.temps_dc)
        for i in range(len(cells_mv)):
            text = "%s%-9d%-9s%-9s%-9s" % (
                _NEXT, i, "%d" % cells_mv[i] if cells_mv[i] else "-", current,
                _mc(temps_dc[i * len(temps_dc) // len(cells_mv)]))
            for state in (base, self._cell_state(seen, i), current_state, temp_state):
                text += "%-13s" % state
            yield text + charge + ("Y" if bled >> i & 1 else "N")

    def _cell_state(self, seen, i):
        """Only the extreme cell has what the alarm is about."""
        if i == seen.max_cell and (seen.alarms | seen.protections) & _CELL_HIGH:
            return "High"
        if i == seen.min_cell and (seen.alarms | seen.protections) & _CELL_LOW:
            return "Low"
        return "Normal"

    def _soh(self, words):
        number, seen = self._seen(words)
        yield "%sPower   %d" % (_NEXT, number)
        yield _NEXT + "Battery    Voltage    SOHCount   SOHStatus "
        status = "Normal" if seen.soh_pct >= 60 else "Low"
        cells_mv = array("H", seen.cells_mv)
        for i in range(len(cells_mv)):
            yield "%s%-11d%-11d%-11d%-10s" % (_NEXT, i, cells_mv[i], 0, status)

    def _info(self, words):
        number, seen = self._seen(words)
        parts = self._parts
        profile = parts.pack.profile
        most_ma = parts.params["nominal_ma"]
        for name, text in (
                ("Device address", "%d" % number), ("Manufacturer", "packctl"),
                ("Device name", profile.NAME.upper()), ("Board version", self._board),
                ("Main Soft version", "V" + self.version), ("Soft  version", "V" + self.version),
                ("Boot  version", "V" + self.version), ("Comm version", "V2.0"),
                ("Release Date", "-"), ("Barcode", bytes(seen.serial).decode().strip()),
                ("", ""),
                ("Specification", "%dV/%dAH" % (seen.cells * 16 // 5, seen.design_mah // 1000)),
                ("Cell Number", "%d" % seen.cells), ("Max Dischg Curr", "%dmA" % -most_ma),
                ("Max Charge Curr", "%dmA" % most_ma),
                ("EPONPort rate", "%d" % parts.params["pcs_baud"]),
                ("Console Port rate", "115200")):
            yield "%s%-20s: %s" % (_NEXT_INFO, name, text) if name else _NEXT_INFO

    def _stat(self, words):
        number, seen = self._seen(words)
        if number != 1:
            raise BadArgument           # a slave's counters are asked of the slave
        parts = self._parts
        counters = parts.storage.counters
        soc = parts.pack.soc
        records = parts.storage.records
        known = {"Data Items": records.newest - max(records.oldest, 1) + 1,
                 "Reset Times": records.boot, "BMICERR Times": counters.faults[0],
                 "SOH": seen.soh_pct, "CYCLE Times": seen.cycles,
                 "Pwr Percent": seen.soc_cpct // 100, "Pwr Coulomb": seen.remaining_mah * 3600,
                 "Dsg Cap": soc.discharged_ah * 1000}
        yield "%sDevice address           %d" % (_NEXT, number)
        for name, item in _STAT:
            value = known.get(name, 0)
            if item is not None:
                for row in rules.ITEMS:
                    if row[rules.ID] == item:
                        value = counters.trips[slot_of(row[rules.NUMBER])]
            yield "%s%-16s: %8d" % (_NEXT, name, value)

    def _getpwr(self, words):
        _, seen = self._seen(words)
        base = _base(seen)
        volts = _state(seen, _PACK_HIGH, _PACK_LOW)
        temps = _state(seen, _HOT, _COLD)
        yield "%s%5s# %6s# %6s# %5d# %s# %s# %s# %s# " % (
            _NEXT, _number(seen.voltage_mv), _number(seen.current_ma), _mc(_own_temp(seen)),
            seen.remaining_mah, base, volts, _state(seen, _CURRENT_HIGH, 0), temps)
        cells_mv = array("H", seen.cells_mv)
        temps_dc = array("i", seen.temps_dc)
        for i in range(len(cells_mv)):
            yield "%s%4d# %6s# %s# %s# " % (
                _NEXT, cells_mv[i], _mc(temps_dc[i * len(temps_dc) // len(cells_mv)]),
                self._cell_state(seen, i), _state(seen, _CELLS_HOT, _CELLS_COLD))
        yield "%s0# " % _NEXT
        yield "%s%d# " % (_NEXT, seen.cycles)

    def _unit(self, words):
        if words:
            raise BadArgument
        modules = self._modules()
        yield "%sAverageTempr: %-12s" % (_NEXT, _mc(modules[0].mean_temp_dc))
        yield _NEXT + _UNIT_HEAD
        for i in range(len(modules)):
            seen = modules[i]
            percent = seen.soc_cpct // 100
            yield "%s%-6d %-6s %-6s %-6s %-8s %-6s %-6s %-6s %-6s %-8s %-8s %-9s" % (
                _NEXT, i + 1, _number(seen.voltage_mv), _number(seen.current_ma),
                _mc(_own_temp(seen)), _mc(seen.mean_temp_dc), _mc(seen.min_temp_dc),
                _mc(seen.max_temp_dc), _number(seen.min_cell_mv), _number(seen.max_cell_mv),
                _base(seen), _state(seen, _PACK_HIGH, _PACK_LOW), _state(seen, _HOT, _COLD))
            yield "%2d%%%15d mAH  %2d%%%16d WH %s " % (
                percent, seen.remaining_mah, percent, _remaining_wh(seen), self._time_text())

    def _time(self, words):
        if words:
            self._set_time(words)
        yield "%sRTC %s" % (_NEXT_INFO, self._time_text())
        yield _NEXT_INFO + "Test result:pass"

    def _set_time(self, words):
        """Year (of four digits or two), month, day, hour, minute, second."""
        numbers = []
        for word in words:
            if not word.isdigit() or len(word) > 4:
                raise BadArgument
            numbers.append(int(word))
        if len(numbers) != 6:
            raise BadArgument
        year, month, day, hour, minute, second = numbers
        if year < 100:
            year += 2000
        if not (2020 <= year and is_date(year, month, day) and hour < 24 and minute < 60
                and second < 60):
            raise BadArgument
        self._set_clock(seconds_of(year, month, day, hour, minute, second))

    def _log(self, words):
        """The newest events, newest first, in their form."""
        now_ms = self._ticks_ms()
        records = self._parts.storage.records
        seq = records.newest
        for _ in range(_EVENTS):
            record = records.read(seq, now_ms) if seq >= max(records.oldest, 1) else None
            if record is None:
                return
            yield "%s Index   : %-6d" % (_NEXT, seq)
            yield "%s Time    : %s" % (_NEXT, ("%04d-%02d-%02d %02d:%02d:%02d" % civil_of(
                record[6]))[2:] if record[6] else "00-01-01 00:00:00")
            yield "%s ModID   : BMM%s Code    : %x" % (_NEXT, _NEXT, record[1])
            yield "%s Info    : %s. %s" % (_NEXT, event_lines.what(record), _NEXT)
            seq -= 1
