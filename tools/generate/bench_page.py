"""docs/bench.md: every command, field and fault of the bench, with what the rig takes for each.

What a value may be is asked of the very check that the rig uses; only the words are written here.
"""

import as1
import rig_commands
import rig_fields
import stand
from rig_fleet import BAR_FIELDS, BUS_FAULTS

NO_WORDS = "(no words in tools/generate/bench_page.py)"
COMMANDS = {
    "open": "builds a bench and boots the firmware; answers ports, URLs, CAN interface and pins",
    "run": "lets so much simulated time pass; the same commands give the same trace",
    "play": "runs on in the background, `speed` 1 = real time, 0 = as fast as possible",
    "pause": "ends `play`",
    "set": "changes the world around the pack; the fields are below",
    "get": "answers `t_ms`, `wire` (pins and chips), `truth` (the cell model), `report` (what the "
           "firmware says)",
    "trace": "answers every change on the wires since `since_ms`, as [t_ms, signal, value]",
    "events": "answers the firmware's event records after number `since`",
    "can": "answers the pack's CAN frames since `since_ms`, and sends those in `send`",
    "param": "reads a parameter, or sets `value`, or several in `values`; `restore` brings "
             "back all defaults",
    "params": "answers all parameters as [id, name, unit, lowest, highest, default, value, help]",
    "command": "types a line at the pack's console and answers its text; with `framed` true it "
               "asks by the framed protocol, as `packctl` does",
    "power": "cuts or restores the controller's supply at this instant; flash and clock stay",
    "reset": "presses the reset line of the controller",
    "fleet": "opens several packs on one bus bar and one parallel bus; other commands then take "
             "`module`, an index from 0",
    "close": "closes the bench",
}
OPEN = {
    "board": "`host` (CPython), `unix` (MicroPython's unix port), `rp2040` (the UF2 on an "
             "emulated RP2040), `rp2040+box` (the same, and the emulated box on its pins), "
             "`serial:PORT` (a real board)",
    "stimulus": "with `serial:PORT`: the port of the box that is wired to the board; left out, "
                "the board can only be asked",
    "profile": "the product; `am5000` unless given",
    "dip": "address on the DIP switches, 0 to 15",
    "seed": "number that the board's tolerances are drawn from; 1 unless given",
    "plant": "the cells: `soc` 0 to 1, `temp_c`, `capacity_ah`, `soh`, `imbalance_mv`",
    "params": "parameters to be set at once, {name: value}",
    "spread": "how much of the tolerances this board has, 0 (an ideal board) to 1",
}
FIELDS = {
    "current_ma": "forces the current, charging positive; null = by charger and load",
    "charger_mv": "voltage of the charger; null = no charger",
    "charger_ma": "most current of the charger",
    "load": "`open` takes every load off, `short` is a short circuit",
    "load_ma": "current of the load",
    "cell_mv": "voltage of cells, which then stays; null = from the cell model",
    "cell_temp_dc": "temperature of the four groups of cells, 0.1 °C",
    "ambient_dc": "temperature around the pack, 0.1 °C",
    "mos_dc": "temperature of the FETs, 0.1 °C",
    "rocker": "ON/OFF switch",
    "rst": "RST button",
    "dip": "address on the DIP switches",
    "reverse": "the charger is connected the wrong way round",
    "clock": "what the clock chip shows, ISO 8601; null = its battery was out",
    "fault": "faults, {kind: value}; null ends one",
    "inverter": "attaches an inverter that knows the pack by the wire only: `can`, `pcs`, null, "
                "or an object with port, mode, pv_w, load_w, grid, hour_s, drm",
}
FAULTS = {
    "afe_silent": "the cell monitor does not answer",
    "afe_stuck_low": "its data line stays low", "afe_stuck_high": "its data line stays high",
    "afe_crc": "this part of its frames has a wrong CRC",
    "afe_late_ms": "its answers come this much later",
    "afe_latency_us": "it needs this long for every answer",
    "afe_bothoff": "the line that opens both FETs is dead or works the wrong way round",
    "afe_brownout": "it restarts, once", "afe_config_lost": "it forgets its configuration, once",
    "afe_frozen": "all its readings stand still",
    "afe_frozen_part": "the readings of these parts stand still: " + ", ".join(stand.AFE_PARTS),
    "afe_reference": "gain of everything that its converter measures",
    "cell_gain": "gain of single cells", "stack_gain": "gain of the stack voltage",
    "pack_gain": "gain of the terminal voltage", "ld_gain": "gain of the load-detect pin",
    "open_wire": "this sense wire is open, counted from the negative end",
    "swapped_cells": "the readings of two cells are swapped",
    "ntc_open": "a temperature sensor is open: 0 to 3 cells, 4 MOSFETs, 5 ambient",
    "ntc_short": "a temperature sensor is shorted",
    "ntc_stuck": "temperature sensors stand still at this value, 0.1 °C",
    "shunt_gain": "gain of the current", "shunt_offset_ma": "offset of the current",
    "shunt_sign": "-1 = the current has the wrong sign",
    "shunt_stuck_ma": "the current stands still at this value",
    "terminal_uf": "capacitor at the terminals", "terminal_kohm": "leak at the terminals",
    "fet_weld_chg": "the charge FET conducts always",
    "fet_weld_dsg": "the discharge FET conducts always",
    "fet_open_chg": "the charge FET never conducts",
    "fet_open_dsg": "the discharge FET never conducts",
    "rtc_dead": "the clock chip does not answer", "rtc_jump_s": "the clock jumps, once",
    "can_bus_off": "something destroys every frame of the pack",
    "can_no_ack": "the CAN cable is out", "can_overflow": "the bus is full of foreign frames",
    "can_reset": "the CAN controller restarts, once",
    "rs485_noise": "this part of the bytes on RS485 is wrong",
    "rs485_echo": "RS485 hears what it sends",
    "rs485_babble": "this part of the time another device talks on RS485",
    "flash_bad_block": "this block of the flash takes nothing",
    "flash_full": "the file system is full", "flash_erase_ms": "an erase takes this long",
    "mcu_frozen": "the controller stands still",
    "mcu_clock_stopped": "the controller's clock stands still",
    "cut_at_flash_op": "the supply fails within the flash operation of this number from now",
    "torn": "how much of that operation is done",
    "supply_dip_ms": "the supply fails for this long",
    "task_hang": "the task of this name never returns", "task_raise": "this task raises once",
    "task_storm": "this task raises again and again",
    "heap_full": "almost no memory is left",
    "parallel_noise": "fleet: this part of the bytes between packs is wrong",
    "parallel_loss": "fleet: this part of the frames between packs is lost",
}


def wanted(check, name="value"):
    """What *check* takes, in its own words."""
    probes = [object(), {0: object()}]
    texts = []
    for probe in probes:
        try:
            check(name, probe)
        except (ValueError, rig_fields.RigError) as error:
            text = str(error).split("; ", 1)[-1].removeprefix("it must be ")
            if text not in texts and "index" not in text.split(";")[0].split(" ")[:1]:
                texts.append(text)
        except (TypeError, AttributeError):
            pass
    return "; each ".join(texts)


def checks():
    """{kind of fault: its check}"""
    found = {row[0]: row[1] for row in stand.FAULTS}
    for table in (rig_fields.WIRE_FAULTS, rig_fields.BOARD_FAULTS, rig_fields.FIRMWARE_FAULTS):
        found.update(table)
    return found


def page():
    """docs/bench.md"""
    out = [
        "# The bench", "",
        "Made by `make pages` from the tables that check each command; do not edit.", "",
        "The bench is the real firmware with models of its chips and cells, under one script. "
        "`make -s rig` reads one JSON object a line and answers one a line; `tools/rig.py` is the "
        "same as a Python class:", "",
        '    {"cmd": "open", "board": "host", "plant": {"soc": 0.5}}',
        '    {"cmd": "run", "ms": 5000}', '    {"cmd": "set", "cell_mv": {"3": 3700}}',
        '    {"cmd": "run", "ms": 4000}', '    {"cmd": "get"}', "",
        "An answer has `ok`. A wrong command is answered with `ok` false and an `error` that says "
        "what would be right; it never ends the bench. What a board cannot do is refused, never "
        "ignored.", "", "The models answer register frames as the chips do and share no code with "
        "the firmware ([tools/models](../tools/models/README.md)).", "", "## Commands", "",
        "| command | fields | what it does |", "| --- | --- | --- |"]
    for name, (_, fields, needed) in rig_commands.COMMANDS.items():
        known = ("see below",) if name == "set" else tuple(
            f"**{field}**" if field in needed else field for field in fields)
        out.append(f"| `{name}` | {', '.join(known) or '–'} | {COMMANDS.get(name, NO_WORDS)} |")
    out += ["", "Fields in bold have to be given.", "", "### Fields of `open`", "",
            "| field | meaning |", "| --- | --- |"]
    out += [f"| `{name}` | {OPEN.get(name, NO_WORDS)} |"
            for name in rig_commands.COMMANDS["open"][1]]
    out += ["", "The answer names a pseudo-terminal for each port in `ports`, the same as a TCP "
            "socket in `urls`, and the CAN bus for python-can in `can` "
            "(`can.Bus(**answer[\"can\"])`).", "",
            "`get` answers `t_ms`, `wire` (what is on pins and chips), `truth` (what the cell "
            "model knows), `report` (what the firmware says) and, with an inverter attached, "
            "`inverter`: what it does, whether the house is served, which limit forbids it, its "
            "codes.", "",
            "### Fields of `set`", "", "| field | value | meaning |", "| --- | --- | --- |"]
    takes = {row[0]: wanted(row[1], row[0]) for row in stand._FIELDS}
    takes["fault"] = "an object {kind: value or null}"
    takes["clock"] = "a text such as 2026-05-17T12:30:00, or null"
    takes["inverter"] = "see the meaning; modes: " + ", ".join(as1.MODES)
    out += [f"| `{name}` | {takes[name]} | {FIELDS.get(name, NO_WORDS)} |"
            for name in rig_fields.SET_FIELDS]
    out += ["", "On a fleet " + ", ".join(f"`{name}`" for name in BAR_FIELDS)
            + " belong to the bus bar and take no `module`.", "", "## Faults", "",
            '`{"cmd": "set", "fault": {"afe_silent": true}}` begins one, null ends it.', "",
            "| kind | value | what happens |", "| --- | --- | --- |"]
    found = checks()
    for name in rig_fields.FAULT_KINDS:
        out.append(f"| `{name}` | {wanted(found[name])} | {FAULTS.get(name, NO_WORDS)} |")
    out += [f"| `{name}` | a number from 0 to 1 | {FAULTS.get(name, NO_WORDS)} |"
            for name in BUS_FAULTS]
    return out
