"""What the console answers to its own words (COM-10): one generator a word, one line at a time.

So an answer of any length costs a step of the port no more than a line or two. None is no line: a
step may end there.
"""

from array import array

from bms.charge.balancing import STATES as BALANCE_STATES
from bms.host import blocked
from bms.limits import reasons
from bms.power import power as pw
from bms.words import event_lines, parameters, phrases, rules, values
from bms.words import events as ev
from bms.words import readings as rd
from bms.words import states as st
from bms.words.phrases import quantity
from bms.words.readings import NO_READING
from bms.words.rules import CHARGE, DISCHARGE
from bms.records import health
from civil import text_of
from protocols import pace_names
from protocols.debug import words as w
from protocols.debug.pylon import Pylon

_BAR = 40                   # characters of a cell's bar
_BAR_LEAST_MV = 50          # that the bars span at least
_MOST_EVENTS = 200
_STORED = ("stored", "taken over; it is stored in a moment (`save` stores it now)",
           "taken over, but NOT STORED: the flash does not take it")
_CAN_STATES = ("stopped", "active", "warning", "passive", "bus off")


def _reading(value, unit):
    return "not measured" if value == NO_READING else quantity(value, unit)


def _ways(bits):
    """FETs as words."""
    return {0: "both open", CHARGE: "charge closed, discharge open",
            DISCHARGE: "charge open, discharge closed"}.get(bits, "both closed")


def _ago(seconds):
    days, seconds = seconds // 86_400, seconds % 86_400
    text = "%d:%02d:%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return "%d days %s" % (days, text) if days else text


def _count(word, most):
    if not word.isdigit() or len(word) > 6:
        raise ValueError("%s is no number" % word)
    return min(int(word), most)


class Answers:
    """Finds a word and gives the generator of its answer.

    parts      what main has put together: as Commands', and can, scheduler, identity_text
    commands   Commands
    ticks_ms   function
    version    of the firmware; board: its name
    """

    def __init__(self, parts, commands, ticks_ms, version, board):
        self._parts = parts
        self._commands = commands
        self._ticks_ms = ticks_ms
        self._pylon = Pylon(parts, ticks_ms, commands.set_clock, version, board)

    def run(self, line):
        """The answer to *line*, as pieces of text to be sent one after another."""
        words = line.split()
        name = words[0].lower()
        row = w.find(name)
        if row is None:
            yield self._pylon.unknown(words[0][:40], w.alike(name))
            return
        del words[0]
        try:
            if words and not row[w.ARGUMENTS]:
                raise ValueError("`%s` stands alone: nothing may follow it" % name)
            self._need_right(row, words)
        except ValueError as error:
            yield "\r%s\r\n" % error
            return
        if row[w.GROUP] == w.PYLON or name == "log" and not words:
            for text in self._pylon.run(name, words):
                yield text
            return
        start = "\r"            # with the first line: before that line a word that acts has acted
        try:
            for text in getattr(self, "_" + name, self._command)(words, name):
                yield "" if text is None else start + text + "\r\n"
                start = "" if text is not None else start
        except ValueError as error:
            text = str(error)
            yield start + (text if text.startswith(name) else name + ": " + text) + "\r\n"

    def complete(self, start):
        """Words, or names of settings, that begin with the last word of *start*; (beginning,
        list)."""
        words = start.split(" ")
        begun = words[-1]
        if len(words) == 1:
            return begun, [row[w.WORD] for row in w.WORDS if row[w.WORD].startswith(begun)]
        if words[0] in ("get", "set", "params", "restore"):
            return begun, [row[1] for row in parameters.TABLE if row[1].startswith(begun)]
        if words[0] == "help":
            return begun, [row[w.WORD] for row in w.WORDS if row[w.WORD].startswith(begun)]
        return begun, []

    def _need_right(self, row, words):
        """What changes anything needs the owner's PIN, where one is set (SAF-11)."""
        if row[w.RIGHT] == w.ASKS or row[w.RIGHT] == w.MAY_SET and not words:
            return
        pin = self._parts.pack.rights.pin
        if not pin.may_write:
            raise ValueError("locked: `%s` changes something, give the PIN first (pin NUMBER)"
                             % row[w.WORD])
        pin.use()

    def _command(self, words, name):
        """A word that answers all at once."""
        text = self._commands.get(name)(words)
        for line in (text or "done").split("\n"):
            yield line

    # -- see --------------------------------------------------------------------------------

    def _status(self, words, name):
        parts = self._parts
        pack = parts.pack
        now_ms = self._ticks_ms()
        measured = pack.measurements
        value = measured.values
        usable = measured.is_usable(now_ms)
        yield "packctl %s, profile %s, up %s, %s" % (
            self._pylon.version, pack.profile.NAME, _ago(parts.supervisor.uptime_s(now_ms)),
            self._time_text(now_ms))
        yield "state        %s; FETs %s" % (st.STATES[pack.state], _ways(pack.fets.actual))
        if pack.power.mode != pw.AWAKE:
            yield "power        %s, because of %s" % (
                pw.MODES[pack.power.mode], pw.REASONS[pack.power.reason])
        if not usable:
            yield "readings     none that is fresh"
        else:
            yield "voltage      cells %s, terminals %s" % (
                _reading(value[rd.STACK_MV], "mV"), _reading(value[rd.PACK_MV], "mV"))
            yield "current      " + self._current(value)
            yield "cells        " + self._extremes(value)
            yield "temperature  cells %s to %s, MOSFETs %s, surroundings %s" % (
                _reading(value[rd.MIN_TEMP_DC], "dC"), _reading(value[rd.MAX_TEMP_DC], "dC"),
                _reading(value[rd.MOS_DC], "dC"), _reading(value[rd.AMBIENT_DC], "dC"))
        soc = pack.soc
        if soc.is_set:
            yield "charge       %s%s, off by at most %s; %s of %s; health %d %%, %d cycles" % (
                quantity(soc.cpct, "cpct"), " (a guess)" if soc.is_guess else "",
                quantity(soc.uncertainty_cpct, "cpct"),
                _ah(pack.remaining_mah), _ah(soc.full_mah), soc.soh_pct, soc.cycles)
        else:
            yield "charge       not known yet"
        yield "limits       charge %s up to %s, discharge %s down to %s" % (
            quantity(pack.ccl_ma, "mA"), quantity(pack.cvl_mv, "mV"),
            quantity(pack.dcl_ma, "mA"), quantity(pack.dvl_mv, "mV"))
        yield "balancing    " + BALANCE_STATES[pack.balancing.state]
        yield "inverter     " + self._inverter()
        found = False
        yield None
        for text in self._wrong():
            found = found or text is not None
            yield text
        if not found:
            yield "all well     no alarm, no protection, no fault"

    def _current(self, value):
        current_ma = value[rd.CURRENT_MA]
        if current_ma == NO_READING:
            return "not measured"
        watts = current_ma // 100 * (value[rd.STACK_MV] // 100) // 100
        return "%s, %d W, %s" % (quantity(current_ma, "mA"), watts,
                                 st.STATES[self._parts.pack.direction])

    def _extremes(self, value):
        if value[rd.MAX_CELL_MV] == NO_READING:
            return "not measured"
        return "%s (cell %d) to %s (cell %d), difference %s" % (
            quantity(value[rd.MIN_CELL_MV], "mV"), value[rd.MIN_CELL],
            quantity(value[rd.MAX_CELL_MV], "mV"), value[rd.MAX_CELL],
            quantity(value[rd.CELL_DIFF_MV], "mV"))

    def _time_text(self, now_ms):
        now_s = self._parts.clock.now_s(now_ms)
        return text_of(now_s) if now_s else "clock not set"

    def _inverter(self):
        inverter = self._parts.pack.inverter
        ago = _ago(inverter.silent_s)
        if inverter.known and not inverter.lost:
            return "heard %s ago" % ago
        return "not heard for " + ago

    def _wrong(self):
        """What is up: alarms, protections, faults, each with its words and id."""
        pack = self._parts.pack
        protection = pack.protection
        for i in range(len(rules.ITEMS)):
            row = rules.ITEMS[i]
            for word, bits in (("protection", protection.trips), ("alarm", protection.alarms)):
                if bits >> i & 1:
                    yield "%-12s %s (%s)%s" % (
                        word, row[rules.WORDS], row[rules.ID],
                        ", locked" if word == "protection" and protection.locks >> i & 1 else "")
                    break
        if pack.faults or pack.faults_more:
            yield None
        for row in rules.FAULTS if pack.faults or pack.faults_more else ():
            if pack.has(rules.bit_of(row[rules.FAULT_NUMBER])):
                yield "%-12s %s (%s)" % ("fault", row[rules.FAULT_WORDS], row[rules.FAULT_NAME])

    def _cells(self, words, name):
        pack = self._parts.pack
        measured = pack.measurements
        value = measured.values
        if not measured.is_usable(self._ticks_ms()) or value[rd.MAX_CELL_MV] == NO_READING:
            raise ValueError("no cell is measured now; `status` and `why` tell more")
        cells_mv = array("H", measured.cells_mv)        # all of one scan, however long it takes
        low, high = min(cells_mv), max(cells_mv)
        difference_mv = high - low
        lowest, highest = value[rd.MIN_CELL], value[rd.MAX_CELL]
        spare = max(0, _BAR_LEAST_MV - (high - low)) // 2
        low, high = low - spare, high + spare
        yield "cell 0 is at the negative end; the bars go from %s to %s" % (
            quantity(low, "mV"), quantity(high, "mV"))
        for i in range(pack.profile.CELLS):
            cell_mv = cells_mv[i]
            length = max(0, min(_BAR, (cell_mv - low) * _BAR // max(1, high - low)))
            yield "%4d  %s  %s%s%s%s%s" % (
                i, quantity(cell_mv, "mV"), "#" * length, "." * (_BAR - length),
                "  highest" if i == highest else "", "  lowest" if i == lowest else "",
                "  is bled" if pack.balancing.mask >> i & 1 else "")
        yield "difference %s; balancing: %s" % (
            quantity(difference_mv, "mV"), BALANCE_STATES[pack.balancing.state])
        for i in range(4):
            yield "thermistor %d  %s" % (i, _reading(value[rd.TEMP_DC + i], "dC"))
        yield "MOSFETs %s, surroundings %s, cell monitor %s" % (
            _reading(value[rd.MOS_DC], "dC"), _reading(value[rd.AMBIENT_DC], "dC"),
            _reading(value[rd.DIE_DC], "dC"))

    def _limits(self, words, name):
        pack = self._parts.pack
        nominal_ma = pack.params["nominal_ma"]
        yield "charge voltage     %s" % quantity(pack.cvl_mv, "mV")
        yield "charge current     %s, continuous %s" % (quantity(pack.ccl_ma, "mA"),
                                                        quantity(nominal_ma, "mA"))
        yield "discharge current  %s, continuous %s" % (quantity(pack.dcl_ma, "mA"),
                                                        quantity(nominal_ma, "mA"))
        for line in reasons.text_of(pack).split("\n"):
            yield line

    def _why(self, words, name):
        for line in blocked.lines(self._parts.pack):
            yield line
        yield "last cause: " + self._commands.get("why")([])

    def _health(self, words, name):
        parts = self._parts
        for row in range(len(health.ROWS)):
            title, unit = health.ROWS[row]
            value = health.value_of(parts.pack, parts.storage.counters, row)
            bound = health.bound_of(parts.pack, parts.storage.counters, row)
            if value == health.UNKNOWN:
                text = "not known"
            elif unit == "date":
                text = text_of(value * 86_400)[:10]
            else:
                text = quantity(value, unit) if unit else "%d" % value
                if bound:
                    text += ", off by %s at most" % (quantity(bound, unit) if unit else bound)
            yield "%-22s %s" % (title, text)

    def _bus(self, words, name):
        parts = self._parts
        pack = parts.pack
        now_ms = self._ticks_ms()
        system = parts.system
        system.update(now_ms)
        if words == ["names"]:
            for row in (pace_names.CAN, pace_names.RS485):
                for line in pace_names.lines(row):
                    yield line
            return
        if words:
            address = _count(words[0], 99)
            for seen in system.modules:
                if seen.module == address:
                    for line in self._one(seen, now_ms):
                        yield line
                    return
            raise ValueError("no pack is known at address %d" % address)
        yield "inverter   " + self._inverter()
        can = parts.can
        yield "CAN        %s; sent %d, not taken %d, heard %d" % (
            _CAN_STATES[can.state], can.sent, can.timeouts, can.received)
        for row, title in ((pace_names.CAN, "CAN for"), (pace_names.RS485, "RS485 for")):
            yield "%-10s %s" % (title, pace_names.name_of(row, pack.params[row[0]]))
        yield "address    %d%s" % (pack.dip, " (alone)" if not pack.dip else "")
        if not system.fleet.is_alone():
            whole = system.whole
            yield "together   %d packs, %s, %s; charge %s, discharge %s" % (
                len(system.modules), quantity(whole.soc_cpct, "cpct"),
                _reading(whole.current_ma, "mA"), quantity(whole.ccl_ma, "mA"),
                quantity(whole.dcl_ma, "mA"))
        for seen in system.modules:
            waits = system.fleet.waits_for(seen)
            yield "pack %-2d    %s, %s, %s%s" % (
                seen.module, quantity(seen.soc_cpct, "cpct"), _reading(seen.voltage_mv, "mV"),
                _reading(seen.current_ma, "mA"), "; waits for " + waits if waits else "")
        if system.fleet.lost:
            yield "lost       addresses " + " ".join(
                "%d" % i for i in range(16) if system.fleet.lost >> i & 1)

    def _one(self, seen, now_ms):
        yield "serial     %s, heard %d ms ago" % (
            bytes(seen.serial).decode().strip(), self._parts.parallel.age_ms(seen.module, now_ms))
        yield "voltage    cells %s, terminals %s" % (_reading(seen.voltage_mv, "mV"),
                                                   _reading(seen.pack_mv, "mV"))
        yield "cells      %s to %s" % (_reading(seen.min_cell_mv, "mV"),
                                       _reading(seen.max_cell_mv, "mV"))
        yield "current    %s; limits: charge %s, discharge %s" % (
            _reading(seen.current_ma, "mA"), quantity(seen.ccl_ma, "mA"),
            quantity(seen.dcl_ma, "mA"))
        yield "FETs       %s" % _ways((CHARGE if seen.charge_on else 0)
                                      | (DISCHARGE if seen.discharge_on else 0))

    def _version(self, words, name):
        for line in self._parts.identity_text.split("\n"):
            key, _, text = line.partition("=")
            yield "%-11s %s" % (key, text)

    def _help(self, words, name):
        if words:
            row = w.find(words[0].lower())
            if row is None:
                raise ValueError("there is no word %s; `help` lists all" % words[0])
            yield ("%s %s" % (row[w.WORD], row[w.ARGUMENTS])).rstrip()
            yield "  " + row[w.HELP]
            if row[w.RIGHT] != w.ASKS:
                yield "  needs the owner's PIN where one is set" + (
                    ", to change it" if row[w.RIGHT] == w.MAY_SET else "")
            yield "  example: " + row[w.EXAMPLE]
            return
        group = -1
        for row in w.WORDS:
            if row[w.GROUP] != group:
                group = row[w.GROUP]
                yield w.GROUPS[group]
            yield "  %-9s %s" % (row[w.WORD], row[w.HELP].split(";")[0].split(". ")[0])
        yield "`help WORD` tells more of one. Tab completes, arrows edit, Ctrl-C stops an answer."

    # -- settings ---------------------------------------------------------------------------

    def _params(self, words, name):
        pattern = " ".join(words).lower()
        params = self._parts.params
        found = False
        for i in range(len(parameters.TABLE)):
            row = parameters.TABLE[i]
            if i & 15 == 0:
                yield None              # a step may end here
            if pattern in row[1] or pattern in row[6].lower():
                found = True
                yield "%-22s %-24s %s" % (row[1], values.shown(params[row[1]], row[2]), row[6])
        if not found:
            raise ValueError("no name and no help has %s in it" % pattern)

    def _get(self, words, name):
        if not words:
            raise ValueError("name a setting, for example: get cvl_mv; `params` lists them")
        params = self._parts.params
        for word in words:
            i = params.row_of(word)
            row = parameters.TABLE[i]
            number, unit, text = row[0], row[2], row[6]
            low, high = params.range_of(i)
            yield "%s = %s   %s" % (word, values.shown(params[word], unit), text)
            yield "  from %s to %s; the product's own value is %s; id %d" % (
                values.shown(low, unit), values.shown(high, unit),
                values.shown(params.default_of(word), unit), number)

    def _set(self, words, name):
        params = self._parts.params
        wanted = _assignments(params, words)
        if not wanted:
            raise ValueError("name a setting and its value, for example: set cvl_mv 55.6V")
        before = {}
        for word in wanted:
            before[word] = params[word]
        self._parts.pack.change(wanted, self._ticks_ms())
        for word in wanted:
            yield "%s = %s, was %s" % (word, _shown(params, word, params[word]),
                                       _shown(params, word, before[word]))
        yield self._stored()

    def _stored(self):
        """SAF-09: a set that is not stored says so."""
        return _STORED[self._parts.storage.stored()]

    def _restore(self, words, name):
        if not words:
            raise ValueError("name the settings, or `restore all`")
        params = self._parts.params
        now_ms = self._ticks_ms()
        if words == ["all"]:
            params.restore()
            self._parts.pack.events.add(now_ms, ev.PARAMETER, 0xFF)
            yield "all settings have the product's own values"
        else:
            wanted = {}
            for word in words:
                wanted[word] = params.default_of(word)
            self._parts.pack.change(wanted, now_ms)
            for word in wanted:
                yield "%s = %s" % (word, _shown(params, word, params[word]))
        yield self._stored()

    def _pin(self, words, name):
        """The hash of a PIN takes long: in small steps, before the command needs it."""
        pin = self._parts.pack.rights.pin
        new = len(words) == 2 and words[0] == "set"
        if new and pin.may_write or len(words) == 1 and words[0] not in ("lock", "off"):
            for _ in pin.prepare(words[-1], new):
                yield None
        for line in self._command(words, name):
            yield line

    # -- records and more -------------------------------------------------------------------

    def _log(self, words, name):
        left = _count(words[0], _MOST_EVENTS)
        now_ms = self._ticks_ms()
        records = self._parts.storage.records
        seq = records.newest
        while left > 0 and seq >= max(records.oldest, 1):
            record = records.read(seq, now_ms)
            if record is not None:
                left -= 1
            yield None if record is None else event_lines.line(seq, record)
            seq -= 1
        if seq == records.newest:
            yield "no events yet"

    def _tasks(self, words, name):
        yield "task        every     longest step  late  failed"
        for task in self._parts.scheduler.tasks:
            yield "%-11s %4d ms  %7d.%03d ms  %4d  %6d" % (
                task.name, task.period_ms, task.worst_us // 1000, task.worst_us % 1000,
                task.overruns, task.errors)
        yield "free memory: %d bytes, at its newest look" % self._parts.supervisor.heap_free

    def _update(self, words, name):
        """How an update stands (SAF-06)."""
        yield self._parts.update.text()
        yield "a new firmware comes over this port: `packctl update FILE` on the computer"


def _shown(params, name, value):
    return values.shown(value, parameters.TABLE[params.row_of(name)][2])


def _ah(mah):
    return "%d.%d Ah" % (mah // 1000, mah // 100 % 10)


def _assignments(params, words):
    """{name: value} of "name value", "name=value" and "name value unit", again and again."""
    wanted = {}
    i = 0
    while i < len(words):
        word, sign, text = words[i].partition("=")
        i += 1
        unit = parameters.TABLE[params.row_of(word)][2]
        if not text:
            if not sign and i < len(words) and words[i] == "=":
                i += 1
            if i == len(words):
                raise ValueError("%s: which value? `get %s` shows its range" % (word, word))
            text = words[i]
            i += 1
        if i < len(words) and values.is_unit(words[i], unit):
            text += words[i]
            i += 1
        value = values.parse(word, unit, text)
        low, high = params.range_of(params.row_of(word))
        if not low <= value <= high:
            raise ValueError("%s: %s is outside %s to %s%s" % (
                word, phrases.quantity(value, unit).rstrip(),
                phrases.quantity(low, unit).rstrip(), phrases.quantity(high, unit).rstrip(),
                "; a plain number counts " + unit if unit else ""))
        wanted[word] = value
    return wanted
