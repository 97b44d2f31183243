"""What a command of the rig may say: checks of its fields, and the tables of fields and faults.

A check takes the name of a field and its value, and returns what is kept or raises RigError with
what would be right.
"""

import ast
import json
import pathlib

from rig_inverter import MODES
from rig_inverter import PORTS as INVERTER_PORTS
from rig_targets import FIRMWARE, stand_tables


class RigError(Exception):
    """A command that was refused or failed. details: further fields of the answer."""

    def __init__(self, text, **details):
        super().__init__(text)
        self.details = details


# ---- what a field may be -------------------------------------------------------------------


def refuse(name, value, right):
    raise RigError(f"{name} is {json.dumps(value, default=str)}; it must be {right}")


def number(low, high, whole=False):
    """Check of a number."""
    right = f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}"

    def check(name, value):
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            refuse(name, value, right)
        if not low <= value <= high:
            refuse(name, value, right)
        return value

    return check


def truth(name, value):
    if value is not True and value is not False:
        refuse(name, value, "true or false")
    return value


def is_text(name, value):
    if not isinstance(value, str) or not value:
        refuse(name, value, "a text")
    return value


def inverter_options(value):
    """"can", "pcs", null, or an object with more of the inverter's world -> options or None."""
    if value is None:
        return None
    options = {"port": value} if not isinstance(value, dict) else dict(value)
    if options.get("port") not in INVERTER_PORTS:
        refuse("inverter", value, 'null, "can" or "pcs" (or an object with port, mode, pv_w, '
                                 'load_w, grid, hour_s, drm)')
    checks = {"port": is_text, "mode": _mode, "pv_w": number(0, 100_000),
              "load_w": number(0, 100_000), "grid": truth, "hour_s": number(1, 3600),
              "drm": _drm}
    for name, given in options.items():
        if name not in checks:
            raise RigError(f"inverter has no field {name!r}; it takes {', '.join(checks)}")
        checks[name](f"inverter {name}", given)
    return options


def _drm(name, value):
    if not isinstance(value, (list, tuple)) or not all(
            isinstance(mode, int) and 0 <= mode <= 8 for mode in value):
        refuse(name, value, "a list of demand-response modes, each 0 to 8")


def _mode(name, value):
    if value not in MODES:
        refuse(name, value, "one of " + ", ".join(MODES))


def flag(name, value):
    if value not in (True, False, 0, 1):
        refuse(name, value, "true or false (null clears it)")
    return bool(value)


# What the models check and do (tools/models/stand.py); the rest is the rig's own.
MODEL_FIELDS, MODEL_FAULTS = stand_tables()
SET_FIELDS = (*MODEL_FIELDS, "inverter")
WIRE_FAULTS = {"rs485_noise": number(0, 1), "rs485_echo": flag, "rs485_babble": number(0, 1)}
# of the controller itself: its flash and its supply
BOARD_FAULTS = {"flash_bad_block": number(0, 255, whole=True), "flash_full": flag,
                "flash_erase_ms": number(1, 1000, whole=True),
                "mcu_frozen": flag, "mcu_clock_stopped": flag,
                "cut_at_flash_op": number(1, 1_000_000, whole=True), "torn": number(0, 1),
                "supply_dip_ms": number(0.1, 600_000)}
FIRMWARE_FAULTS = {"task_hang": is_text, "task_raise": is_text, "task_storm": is_text,
                   "heap_full": flag}
FAULT_KINDS = (*MODEL_FAULTS, *WIRE_FAULTS, *BOARD_FAULTS, *FIRMWARE_FAULTS)


def can_bytes(ident, extended, remote, data, dlc):
    """A frame as the models take it."""
    word = ident | extended << 31 | remote << 30
    return word.to_bytes(4, "big") + bytes((dlc,)) + data


def can_row(row):
    """[id, hex] -> a frame as the models take it."""
    right = 'a list [id, data in hex], such as [773, "0000000000000000"]'
    if not isinstance(row, (list, tuple)) or len(row) != 2 or not isinstance(row[1], str):
        refuse("send", row, right)
    ident = number(0, 0x1FFFFFFF, whole=True)("send id", row[0])
    try:
        data = bytes.fromhex(row[1])
    except ValueError:
        refuse("send", row, right)
    if len(data) > 8:
        refuse("send", row, right + ", with 8 bytes at most")
    return can_bytes(ident, ident > 0x7FF, False, data, len(data))


def profiles(firmware=FIRMWARE[0]):
    """{name of its file without ending: file} of the profiles that are there."""
    folder = pathlib.Path(firmware) / "profiles"
    return {p.stem: p for p in sorted(folder.glob("[!_]*.*")) if p.suffix in (".py", ".json")}


def profile_module(name):
    """Name of a profile as a module's: b1-5.1-48 lives in b1_5_1_48.py."""
    return name.replace("-", "_").replace(".", "_")


def said(path):
    """{field of a data file: value} of what a profile's file says in plain numbers and texts."""
    text = path.read_text("utf-8")
    try:
        if path.suffix == ".json":
            return json.loads(text)
        found = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                try:
                    found[node.targets[0].id.lower()] = ast.literal_eval(node.value)
                except ValueError:
                    pass                    # curves have names in them
        return found
    except (SyntaxError, ValueError):
        return {}                           # the firmware says what is wrong with it


def plant_of(firmware, profile):
    """What the file of *profile* says of its cells, as fields of a plant."""
    path = profiles(firmware).get(profile_module(profile))
    return plant_fields(said(path)) if path else {}


# what a cell model can be; the firmware judges a profile
_LIKELY = {"capacity_ah": (1, 2000), "most_a": (10, 300), "cells": (8, 16),
           "shunt_uohm": (10, 5000)}


def plant_fields(data):
    """Fields of a plant that has the cells of a profile's *data*."""
    plant = {}
    for field, name, unit in (("capacity_mah", "capacity_ah", 1000), ("most_ma", "most_a", 1000),
                              ("cells", "cells", 1), ("shunt_uohm", "shunt_uohm", 1)):
        value = data.get(field)
        low, high = _LIKELY[name]
        if isinstance(value, int) and low <= value / unit <= high:      # else it is refused
            plant[name] = value if unit == 1 else value / unit
    rest = (data.get("cell") or {}).get("rest")
    if rest:                                # mean of both directions, and half their distance
        plant["curve"] = [[row[0] / 100, (row[1] + row[2]) / 2] for row in rest]
        middle = [(row[2] - row[1]) / 2 for row in rest if 2000 <= row[0] <= 8000]
        plant["hyst_mv"] = sum(middle) / max(1, len(middle))
    return plant
