#!/usr/bin/env python3
"""Makes the reference pages and the drawn pictures in docs/ from the tables of the project.

    .venv/bin/python tools/generate/pages.py          writes them (make pages)
    .venv/bin/python tools/generate/pages.py --check  says which are not what the tables give

A person reads volts, amperes, degrees and per cent there; names and units in the tables are those
that programs use.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402
from rooms import ROOT  # noqa: E402

FOLDER = ROOT / "docs"
rooms.use(ROOT / "firmware", ROOT / "lib", rooms.MOCKS, rooms.MODELS)

import architecture                                         # noqa: E402
import bench_page                                           # noqa: E402
import can_dbc                                              # noqa: E402
import cantools                                             # noqa: E402
import wiring                                               # noqa: E402
from bms.host import products                               # noqa: E402
from bms.limits import derating, reasons                    # noqa: E402
from bms.words import events, parameters, rules             # noqa: E402
from bms.words import readings as rd                        # noqa: E402
from protocols import as1_codes, pace_names                 # noqa: E402
from protocols.can import layout                            # noqa: E402
from protocols.debug import words as console_words          # noqa: E402

_NOTE = "Made by `make pages` from `{}`; do not edit."
# unit of the registry: (factor, digits, what a person reads)
_UNITS = {"mV": (1000, 3, "V"), "mA": (1000, 3, "A"), "dC": (10, 1, "°C"), "cpct": (100, 2, "%"),
          "ms": (1000, 3, "s"), "uOhm": (1000, 3, "mΩ"), "uA": (1000, 3, "mA"),
          "ppm": (10_000, 4, "%")}
_SMALL = {"mV": 1000, "mA": 1000, "ms": 1000}    # below this a person reads the small unit
_UNIT_OF = {row[1]: row[2] for row in parameters.TABLE}
_BLOCKS = {0: "–", rules.CHARGE: "charge", rules.DISCHARGE: "discharge", rules.BOTH: "both"}


def shown(value, unit, most=None):
    """A value of the registry as a person reads it; *most*: the largest of its row, so that a row
    has one unit."""
    factor, digits, name = _UNITS.get(unit, (1, 0, unit))
    if unit in _SMALL and (value if most is None else most) and (
            abs(value if most is None else most) < _SMALL[unit]):
        factor, digits, name = 1, 0, unit
    text = f"{value / factor:.{digits}f}" if digits else str(value)
    if digits and "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {name}".strip()


def profiles():
    """{name: Parameters with that product's defaults}, in the order of their files."""
    found = {}
    for path in sorted((ROOT / "firmware" / "profiles").glob("[!_]*.py")):
        module = getattr(__import__("profiles." + path.stem), path.stem)
        found[module.NAME] = parameters.check_profile(module)
    return found


def parameter_page():
    """docs/generated/parameters.md"""
    products = profiles()
    out = ["# Parameters", "", _NOTE.format("firmware/bms/words/parameters.py"), "",
           "This page shows values as a person reads them. The bench and the debug port take "
           "whole numbers in the unit at the end of the name: `_mv` is mV, `_ma` mA, `_dc` 0.1 °C,"
           " `_cpct` 0.01 %, `_ms` ms, `_uohm` µΩ, `_ppm` 0.0001 %. A value outside its range, or "
           "one that contradicts another, is refused with the reason. The range is the first "
           "product's; a product for other cells has ceilings of its own (PRO-31).", "",
           "| id | name | default (" + ", ".join(products) + ") | from | to | what it does |",
           "| --: | --- | --- | --: | --: | --- |"]
    first = next(iter(products.values()))
    for i, (number, name, unit, _, _, _, text) in enumerate(parameters.TABLE):
        low, high = first.range_of(i)
        most = max(abs(low), abs(high))
        values = [shown(p[name], unit, most) for p in products.values()]
        default = values[0] if len(set(values)) == 1 else ", ".join(values)
        out.append(f"| {number} | `{name}` | {default} | {shown(low, unit, most)} | "
                   f"{shown(high, unit, most)} | {text} |")
    out += ["", "## Rules between them", "",
            "The first has to stay below the second:", ""]
    for lesser, greater in parameters.RULES:
        out.append(f"* `{lesser}` < `{greater}`")
    return out


def _default(entry, params):
    """A threshold of a row: its parameter and default, or its number."""
    if entry is None:
        return "–"
    if isinstance(entry, tuple):
        entry = entry[0]
    if isinstance(entry, str):
        return f"{shown(params[entry], _UNIT_OF[entry])} (`{entry}`)"
    return "when it is seen" if entry == 1 else "–"     # a condition, not a threshold


_KEPT = {False: "no", True: "yes", rules.TESTIFIED: "until borne out"}


def protection_page():
    """docs/generated/protections.md"""
    params = next(iter(profiles().values()))
    out = ["# Protections and faults", "", _NOTE.format("firmware/bms/words/rules.py"), "",
           "## Protections", "",
           "Alarm and protection are separate; the delay holds for both. The values are the "
           "defaults of the first product. The number is what event records and counters store; "
           "it never changes its meaning. Some releases need more than the threshold, for example "
           "a state of charge or a current the other way.", "",
           "| id | what | alarm | protection | delay | release at | opens | number |",
           "| --- | --- | --- | --- | --- | --- | --- | --: |"]
    for row in rules.ITEMS:
        out.append(f"| {row[rules.ID]} | {row[rules.WORDS]} | "
                   + " | ".join(_default(row[column], params) for column in
                                (rules.ALARM, rules.TRIP, rules.DELAY, rules.RELEASE))
                   + f" | {_BLOCKS[row[rules.BLOCKS]]} | {row[rules.NUMBER]} |")
    out += ["", "## Faults", "",
            "A fault is a contradiction, not a threshold. One that is *kept* stays until a person "
            "gives the command `clear`, or until a reset. That of a sensor is kept *until borne "
            "out*: also until the sensor has moved 3 times, or, of the current, until it was near "
            "0 for a minute with both FETs open (twice an hour).", "",
            "| id | what | opens | kept | codes of the AS1 | number |",
            "| --- | --- | --- | --- | --- | --: |"]
    for row in rules.FAULTS:
        out.append(f"| {row[rules.FAULT_NAME]} | {row[rules.FAULT_WORDS]} | "
                   f"{_BLOCKS[row[rules.FAULT_BLOCKS]]} | "
                   f"{_KEPT[row[rules.FAULT_LATCHED]]} | "
                   + ", ".join(f"{code:02d}" for code in row[rules.FAULT_AS1])
                   + f" | {row[rules.FAULT_NUMBER]} |")
    return out


def event_page():
    """docs/generated/events.md"""
    out = ["# Event records", "", _NOTE.format("firmware/bms/words/events.py"), "",
           "Each record has a sequence number, the time, the event, the item that it happened to, "
           "a cell or place, value and limit, direction, state, state of charge and current.", "",
           "| number | event | in words |", "| --: | --- | --- |"]
    out += [f"| {number} | `{name}` | {words} |"
            for number, (name, words) in enumerate(zip(events.NAMES, events.WORDS))]
    return out


# of as1_codes: which machine of the AS1 shows the code
_MACHINES = {as1_codes.MASTER: "main: ", as1_codes.SLAVE: "battery controller: ",
             as1_codes.EITHER: ""}


def code_page():
    """docs/generated/codes.md"""
    own = {row[as1_codes.CODE]: row for row in as1_codes.TABLE}
    words = {row[rules.ID]: row[rules.WORDS] for row in rules.ITEMS}
    others = {as1_codes.STORE_FAILED: "the flash refused to store since the start",
              as1_codes.CLOCK_LOST: "the clock chip is silent, wrong or was never set",
              as1_codes.INVERTER_LOST: "the inverter is not heard (COM-08)"}
    out = ["# Codes of the AS1", "", _NOTE.format("firmware/protocols/as1_codes.py"), "",
           "All codes of chapter 6 of its manual. The last column says what raises the code in a "
           "battery pack; without an entry the pack never shows it. An alarm code also stands "
           "while the protection is active.", "",
           "| code | kind | meaning | raised by |", "| --: | --- | --- | --- |"]
    for code, who, kind, text in as1_codes.CODES:
        row = own.get(code)
        causes = []
        if row is not None:
            causes = [f"{words[name]} ({name})" for name in row[as1_codes.ALARMS]]
            causes += [f"protection: {words[name]} ({name})" for name in row[as1_codes.TRIPS]]
            causes += [text_ for bit, text_ in others.items() if row[as1_codes.OTHERS] & bit]
        causes += [f"{fault[rules.FAULT_WORDS]} ({fault[rules.FAULT_NAME]})"
                   for fault in rules.FAULTS if code in fault[rules.FAULT_AS1]]
        out.append(f"| {code:02d} | {as1_codes.KINDS[kind]} | {_MACHINES[who]}{text} | "
                   f"{'; '.join(causes) or '–'} |")
    return out


# readings of the curves: (unit, what a person calls it)
_READINGS = {rd.MAX_CELL_MV: ("mV", "highest cell"), rd.MIN_CELL_MV: ("mV", "lowest cell"),
             rd.CELL_SUM_MV: ("mV", "pack voltage"), rd.MAX_TEMP_DC: ("dC", "hottest cell"),
             rd.MIN_TEMP_DC: ("dC", "coldest cell"), rd.MOS_DC: ("dC", "MOSFETs"),
             rd.SOC_CPCT: ("cpct", "state of charge"), rd.AMBIENT_DC: ("dC", "ambient")}


def limit_page():
    """docs/generated/limits.md"""
    out = ["# Why a limit is below nominal", "",
           _NOTE.format("firmware/profiles/` and `firmware/bms/limits/reasons.py"), "",
           "The pack tells the inverter a charge and a discharge current limit. Each reason that "
           "lowers one is named by the command `limits` and by the field `limit_reasons` of the "
           "report. A curve gives the limit in per cent of the current that is allowed; between "
           "two points it is a straight line."]
    for profile in map(products.find, sorted(products.names())):
        products.check(profile)             # fills in curves that a data file leaves out
        out += ["", f"## {profile.NAME}", "", "| reason | limit | reading | curve |",
                "| --- | --- | --- | --- |"]
        for limit, reading, points, reason in profile.CURVES:
            unit, words = _READINGS.get(reading, ("", f"reading {reading}"))
            curve = ", ".join(f"{permille / 10:g} % at {shown(value, unit)}"
                              for value, permille in points)
            out.append(f"| {reason} | "
                       f"{'charge' if limit == derating.CHARGE_LIMIT else 'discharge'} | "
                       f"{words} | {curve} |")
    out += ["", "## Every product", "", "| reason | what it means |", "| --- | --- |"]
    out += [f"| {name} | {_REASONS[name]} |" for name in reasons.OTHERS]
    return out


_REASONS = {
    "FET held off": "a protection, a fault or a command keeps the FET of that direction open",
    "allowance used": "the short use of `boost_ma` is over, until its pause has passed",
    "limit still rising": "after a limit was low it rises again step by step",
    "asked for by a command": "the host or the inverter asked for less",
    "CVL highest cell": "the charge voltage is lowered because a cell runs ahead",
    "PRO-29 deep discharge": "a deeply discharged pack is charged gently",
    "SOC at min_soc_cpct": "the owner's lowest state of charge is near",
}


def can_page():
    """docs/generated/can.md: as cantools reads the DBC file."""
    database = cantools.database.load_string(can_dbc.text(), "dbc")
    out = ["# CAN frames", "", _NOTE.format("firmware/protocols/can/layout.py"), "",
           "500 kbit/s, eleven-bit identifiers. `can_variant` chooses the set of frames. The file "
           "for other programs is [packctl.dbc](../packctl.dbc); this page is what cantools reads "
           "in it. A frame may be shorter than the message in the file.", "",
           "## Sets", "", "| `can_variant` | name | frames | the inverter is heard by |",
           "| --: | --- | --- | --- |"]
    for number, row in enumerate(layout.VARIANTS):
        keep = ", ".join("any extended" if ident < 0 else f"{ident:03X}"
                         for ident in row[layout.KEEP_ALIVE])
        heard = keep + (" or an acknowledged frame"
                        if row[layout.HEARD] == layout.OR_ACKNOWLEDGED else "")
        out.append(f"| {number} | {row[layout.NAME]} | "
                   + " ".join(f"{frame[0]:03X}" for frame in row[layout.FRAMES])
                   + f" | {heard} |")
    out += ["", "## Names", "",
            "What PACE's boards offer by name (COM-11). Where no frames are published, a name "
            "speaks as another one, and `bus names` on the console says so.", "",
            "| parameter | name | PACE's code | speaks as |", "| --- | --- | --- | --- |"]
    for row in (pace_names.CAN, pace_names.RS485):
        own = len(row[pace_names.OWN_CODES])
        for number in range(own + len(row[pace_names.CODES])):
            name, _, _ = pace_names.name_of(row, number).partition(":")
            code = pace_names.code_of(row, number)
            base = pace_names.base_of(row, number)
            out.append(f"| `{row[pace_names.PARAM]}` {number} | {name} | "
                       + ("" if code == pace_names.NO_CODE else f"{code:02X}") + " | "
                       + ("" if base == number else pace_names.name_of(row, base)) + " |")
    for message in database.messages:
        if message.senders != ["Pack"]:
            continue
        ident = message.frame_id & 0xFFF
        other = f" ({message.name})" if message.is_extended_frame else ""
        out += ["", f"## {ident:03X}{other}", "", message.comment + ".", ""]
        if not message.signals:
            out.append("No signals: the bytes are 0.")
            continue
        out += ["| signal | bytes | unit | lowest | highest | meaning |",
                "| --- | --- | --- | --: | --: | --- |"]
        for signal in message.signals:
            first = min(can_dbc.bits_of((signal.name, signal.start, signal.length,
                                         signal.byte_order == "big_endian"))) // 8
            last = first + signal.length // 8 - 1
            meaning = ": ".join(filter(None, (signal.comment, ", ".join(
                f"{value} = {words}" for value, words in (signal.choices or {}).items()))))
            out.append(f"| `{signal.name}` | {first}" + (f"–{last}" if last > first else "")
                       + (", big-endian" if signal.byte_order == "big_endian" and last > first
                          else "")
                       + f" | {(signal.unit or '').replace('degC', '°C')} | {signal.minimum:g} | "
                       + f"{signal.maximum:g} | {meaning} |")
    return out


# name in docs/: what makes its lines, or its text
def console_page():
    """docs/generated/console.md"""
    out = ["# Words of the console", "", _NOTE.format("firmware/protocols/debug/words.py"), "",
           "How to get there, keys and units: [console.md](../console.md). *PIN* says when a word "
           "needs the owner's PIN, where one is set."]
    needs = {console_words.ASKS: "–", console_words.SETS: "yes", console_words.MAY_SET: "to set"}
    group = None
    for row in console_words.WORDS:
        if row[console_words.GROUP] != group:
            group = row[console_words.GROUP]
            out += ["", f"## {console_words.GROUPS[group]}", "",
                    "| word | what it does | example | PIN |", "| --- | --- | --- | --- |"]
        word = f"{row[console_words.WORD]} {row[console_words.ARGUMENTS]}".strip()
        word = word.replace("|", "\\|")
        out.append(f"| `{word}` | {row[console_words.HELP]} | "
                   f"`{row[console_words.EXAMPLE]}` | {needs[row[console_words.RIGHT]]} |")
    return out


PAGES = {
    "generated/parameters.md": parameter_page, "generated/protections.md": protection_page,
    "generated/console.md": console_page, "generated/events.md": event_page,
    "generated/codes.md": code_page,
    "generated/limits.md": limit_page, "generated/can.md": can_page,
    "bench.md": bench_page.page, "wiring.md": wiring.page,
    "architecture.svg": architecture.picture,
    **{wiring.file_of(board): functools.partial(wiring.picture, board)
       for board in wiring.BOARDS},
}


def text_of(name):
    """The page or picture *name* as it has to be."""
    made = PAGES[name]()
    return made if isinstance(made, str) else "\n".join(made) + "\n"


def main(arguments):
    stale = []
    for name in PAGES:
        path = FOLDER / name
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(name), "utf-8")
        elif not path.is_file() or path.read_text("utf-8") != text_of(name):
            stale.append(str(path.relative_to(ROOT)))
    for path in stale:
        print(f"{path} is not what the tables give: make pages", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
