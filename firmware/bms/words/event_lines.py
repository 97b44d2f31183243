"""An event record as one line for a person."""

from bms.words import events as ev
from bms.words import parameters, phrases, rules
from bms.words import states as st
from civil import text_of
from clock import CHANGES

_OF_ITEM = (ev.ALARM, ev.ALARM_CLEAR, ev.TRIP, ev.RELEASE, ev.LOCK, ev.UNLOCK, ev.FIRST_OUT)
_OF_FAULT = (ev.FAULT, ev.FAULT_CLEAR)


def what(record):
    """What happened, of a record as Records.read() gives it."""
    _, event, item, cell, value, limit = record[:6]
    if event >= len(ev.WORDS):
        return "event %d, unknown to this firmware" % event
    words = ev.WORDS[event]
    if event in _OF_ITEM:
        return "%s: %s" % (words, phrases.cause(item, cell, value, limit))
    if event in _OF_FAULT:
        return "%s: %s" % (words, phrases.cause(rules.FIRST_OUT_FAULT + item, cell, value, limit))
    if event == ev.STATE:
        return "%s: %s, was %s" % (words, _name(st.STATES, item), _name(st.STATES, value))
    if event == ev.CLOCK:
        return "%s: %s, by %d s" % (words, _name(CHANGES, item), value)
    if event == ev.PARAMETER and item == 0xFF and cell == ev.NO_CELL:
        return words + ": all to the product's own values"
    if event in (ev.PARAMETER, ev.PARAM_DROPPED):
        return "%s: %s" % (words, _parameter(event, item | max(0, cell) << 8, value, limit))
    if event == ev.UPDATE:
        text = "%s: %s" % (words, _name(ev.UPDATE_STEPS, item))
        return text + (", reason %d" % value if value else "")
    if event == ev.STORED:
        return "%s: %s" % (words, phrases.quantity(item, "record"))
    return words + (": %d" % value if value else "") + (", %d" % limit if limit else "")


def _parameter(event, number, value, before):
    for row in parameters.TABLE:
        if row[0] == number:
            text = "%s %s" % (row[1], phrases.quantity(value, row[2]).rstrip())
            if event == ev.PARAMETER:
                text += ", was " + phrases.quantity(before, row[2]).rstrip()
            return text
    return "id %d: %d" % (number, value)


def _name(names, number):
    return names[number] if 0 <= number < len(names) else "%d" % number


def line(seq, record):
    """Number, time, what happened, and the circumstances."""
    time_s = record[6]
    text = "#%d %s  %s" % (seq, text_of(time_s) if time_s else "time not known", what(record))
    _, _, _, _, _, _, _, _, _, state, current_ma, soc_cpct = record
    text += "  [%s, %s" % (_name(st.STATES, state), phrases.quantity(current_ma, "mA"))
    if soc_cpct is not None:
        text += ", %d %%" % (soc_cpct // 100)
    return text + "]"
