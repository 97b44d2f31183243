"""Why a pack does not charge or discharge now, and what would end it: lines for a person."""

from bms.fleet import joining
from bms.limits import derating, reasons
from bms.power import power as pw
from bms.words import phrases, rules
from bms.words import readings as rd
from bms.words.readings import NO_READING
from bms.words.rules import ABOVE, CHARGE, DISCHARGE, ITEMS
from bms.words.states import SELF_TEST

_WAYS = ((CHARGE, "charging"), (DISCHARGE, "discharging"))
# conditions that a release needs, or that release by themselves
_ANY = ((rules.CHARGING, "charge current releases it at once"),
        (rules.DISCHARGING, "discharge current releases it at once"),
        (rules.RELIEF, "discharge current releases it at once"),
        (rules.CHARGED, "a charger releases it at once"))
# ... and of rows that no threshold of theirs releases
_BY_ITSELF = {"PRO-08": "it releases once the load is taken off",
              "PRO-18": "it releases once the charger is the right way round for 3 s",
              "PWR-03": "it is tried again once what pulls the terminals down is taken off"}
_FAULT_ENDS = ("it ends with its cause", "it stays until the command `clear`",
               "it ends when its sensor is borne out again, or with the command `clear`")


def lines(pack):
    """For each way: whether current is possible, else each cause and what ends it."""
    offered = pack.offered()
    for way, name in _WAYS:
        limit_ma = pack.ccl_ma if way == CHARGE else pack.dcl_ma
        if offered & way and limit_ma:
            yield "%s is possible, up to %s" % (name, phrases.quantity(limit_ma, "mA"))
            continue
        yield "%s is blocked:" % name
        found = False
        for text in _causes(pack, way, offered):
            found = True
            yield "  " + text
        if not found:
            yield "  for a moment: the pack is about to decide"


def _causes(pack, way, offered):
    mode = pack.power.mode
    if mode == pw.OFF:
        yield "the rocker switch is off; switch it on"
        return
    if mode != pw.AWAKE:
        yield "the pack is %s, because of %s; a charger, the button or the RS232 port wakes it" % (
            pw.MODES[mode], pw.REASONS[pack.power.reason])
    for row in rules.FAULTS if pack.faults or pack.faults_more else ():
        if row[rules.FAULT_BLOCKS] & way and pack.has(rules.bit_of(row[rules.FAULT_NUMBER])):
            yield "fault: %s (%s); %s" % (row[rules.FAULT_WORDS], row[rules.FAULT_NAME],
                                          _FAULT_ENDS[row[rules.FAULT_LATCHED]])
    for i in range(len(ITEMS)):
        if pack.protection.trips >> i & 1 and ITEMS[i][rules.BLOCKS] & way:
            for text in _protection(pack, i):
                yield text
    if pack.state == SELF_TEST:
        yield "the self-test at the start has not ended: %s" % (
            "the cell monitor is not configured yet" if not pack.afe_ready else
            "the current sensor is looked at with both FETs open" if pack.looking_at_zero else
            "a measurement is to be confirmed")
    if pack.held & way:
        yield "a host holds it off; the host's next command or a reset ends it"
    if pack.joining.held & way and pack.dip:
        yield "the rule of joining other packs: %s" % joining.WHY[pack.joining.why]
    if pack.fets.sparing.spared & way:
        yield "the FET is closed only to spare its diode; it ends with the current"
    if way == DISCHARGE and pack.cautions.predischarge.pauses:
        yield "pre-discharge of the terminals pauses; it is tried again"
    if offered & way:
        for text in _limits(pack, way):
            yield text


def _protection(pack, i):
    """Protection *i*: what, its value now, and what releases it."""
    row = ITEMS[i]
    reading = row[rules.READING]
    unit = rd.UNITS.get(reading, "")
    value = pack.measurements.values[reading]
    text = "protection: %s (%s)" % (row[rules.WORDS], row[rules.ID])
    if unit:
        text += "; now " + (phrases.quantity(value, unit) if value != NO_READING else
                            "not measured")
    yield text
    yield "  " + _release(pack, i)


def _release(pack, i):
    """What releases protection *i*."""
    row = ITEMS[i]
    if pack.protection.locks >> i & 1:
        return "it is locked after too many trips in a row; the command `clear` unlocks it"
    params = pack.params
    ways = []
    release = row[rules.RELEASE]
    if isinstance(release, str):
        text = _at(row, params[release])
        if row[rules.NEED] & rules.SOC_BELOW_FULL:
            text += " and a state of charge below " + phrases.quantity(
                params["ov_release_soc_cpct"], "cpct")
        ways.append("it releases " + text)
    elif row[rules.ID] in _BY_ITSELF:
        ways.append(_BY_ITSELF[row[rules.ID]])
    if row[rules.AFTER]:
        ways.append("it releases %d s after the trip" % (params[row[rules.AFTER]] // 1000))
    for bit, words in _ANY:
        if row[rules.ANY] & bit:
            ways.append(words)
    return "; ".join(ways)


def _at(row, value):
    return "at or %s %s" % ("below" if row[rules.WORSE] == ABOVE else "above",
                            phrases.quantity(value, rd.UNITS.get(row[rules.READING], "")))


def _alarm_end(row, params):
    """Where the alarm of *row* ends."""
    end = row[rules.ALARM_END]
    if isinstance(end, str):
        value = params[end]
    else:
        name, more = row[rules.ALARM], 0
        if isinstance(name, tuple):
            name, more = name
        value = params[name] + more - end * row[rules.WORSE]
    text = "it ends " + _at(row, value)
    return text + ", or while charging" if row[rules.MUTE] & rules.CHARGE_FLOWS else text


def ends(pack):
    """Pairs (id, what ends it) of every protection, alarm and fault that is up, in words."""
    protection = pack.protection
    for i in range(len(ITEMS)):
        if protection.trips >> i & 1:
            yield ITEMS[i][rules.ID], _release(pack, i)
        elif protection.alarms >> i & 1:
            yield ITEMS[i][rules.ID], _alarm_end(ITEMS[i], pack.params)
    for row in rules.FAULTS if pack.faults or pack.faults_more else ():
        if pack.has(rules.bit_of(row[rules.FAULT_NUMBER])):
            yield row[rules.FAULT_NAME], _FAULT_ENDS[row[rules.FAULT_LATCHED]]


def _limits(pack, way):
    """The FET may be closed, but the limit is 0."""
    asked = pack.asked
    if asked.left_s and not (asked.ccl_ma if way == CHARGE else asked.dcl_ma):
        yield "a command asks for a limit of 0, for %d s" % asked.left_s
    kind = derating.CHARGE_LIMIT if way == CHARGE else derating.DISCHARGE_LIMIT
    curves = pack.profile.CURVES
    found = reasons.reasons_of(pack)
    for i in range(len(curves)):
        if found >> i & 1 and curves[i][0] == kind and pack.derating.zeros >> i & 1:
            reading = curves[i][1]
            value = pack.measurements.values[reading]
            yield "the limit is 0: %s, now %s; it rises again %s" % (
                curves[i][3], phrases.quantity(value, rd.UNITS.get(reading, "")),
                "when that falls" if _is_worse_above(curves[i][2], value) else "when that rises")
    if way == DISCHARGE and pack.derating.at_least:
        yield "the state of charge has reached min_soc_cpct; charging ends it"
    target = pack.derating.charge_target_ma if way == CHARGE else \
        pack.derating.discharge_target_ma
    if target:
        yield "the limit rises from 0 to %s, 2 A a second" % phrases.quantity(target, "mA")


def _is_worse_above(points, value):
    """True for a curve that falls where its reading rises, near *value*."""
    return points[0][1] > points[-1][1] or len(points) > 2 and value > points[1][0] \
        and points[-1][1] < points[1][1]
