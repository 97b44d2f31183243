"""What Home Assistant is told about a pack: one entity for each value that it publishes (HST-05).

Everything is made from the pack's own schema, so a field that a later firmware adds appears by
itself. Units, classes and words are those that Home Assistant knows; whatever is an enumeration
lists its words. discovery() and state() know nothing of MQTT.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .pack import Cause, Status
from .schema import Field, Param, Schema
from .units import USUAL

LONGEST = 255                   # characters that Home Assistant takes as a state
# unit of the registry: (device class, state class)
_CLASSES = {"mV": ("voltage", "measurement"), "mA": ("current", "measurement"),
            "dC": ("temperature", "measurement"), "cpct": (None, "measurement"),
            "%": (None, "measurement"), "mAh": (None, "measurement"),
            "Ah": (None, "total_increasing"), "s": ("duration", None), "ms": ("duration", None),
            "us": ("duration", None), "uOhm": (None, "measurement")}
_SUFFIXES = ("_mv", "_ma", "_dc", "_cpct", "_mah", "_ah", "_uohm", "_us", "_ms", "_s", "_pct")
# field: what a person calls it, where the name alone does not say it
_CALLED = {
    "soc_cpct": "State of charge", "soc_uncertainty_cpct": "State of charge is off by at most",
    "state": "State", "direction": "Direction", "pack_mv": "Voltage", "stack_mv": "Stack voltage",
    "current_ma": "Current", "cell_mv": "Cell", "temp_dc": "Cell temperature",
    "mos_dc": "MOSFET temperature", "ambient_dc": "Ambient temperature",
    "die_dc": "Cell monitor temperature", "ccl_ma": "Charge current limit",
    "dcl_ma": "Discharge current limit", "cvl_mv": "Charge voltage limit",
    "limit_reasons": "Reasons of the limits", "alarms": "Alarms", "protections": "Protections",
    "faults": "Faults", "locked": "Locked protections", "remaining_mah": "Remaining capacity",
    "full_mah": "Full capacity", "soh_pct": "State of health", "cycles": "Cycles",
    "charged_ah": "Charged in all", "discharged_ah": "Discharged in all", "fets": "FETs closed",
    "fets_wanted": "FETs that shall be closed", "balance": "Balancing",
    "balance_s": "Balanced cell", "system_soc_cpct": "System state of charge",
    "system_current_ma": "System current", "system_ccl_ma": "System charge current limit",
    "system_dcl_ma": "System discharge current limit", "power": "Power state",
    "first_out": "Opened a FET last", "uptime_s": "Time since start", "modules": "Packs summed up",
    "as1_codes": "AS1 codes", "can_state": "CAN controller",
}
# What an owner looks at; everything else is diagnostic
_FIRST = frozenset((
    "state", "soc_cpct", "soc_uncertainty_cpct", "pack_mv", "current_ma", "cell_mv", "temp_dc",
    "ccl_ma", "dcl_ma", "cvl_mv", "limit_reasons", "alarms", "protections", "faults",
    "remaining_mah", "soh_pct", "cycles", "charged_ah", "discharged_ah"))
_MORE = "faults_more"           # joined to the faults by the client

Component = dict[str, Any]


def node_id(hello: Mapping[str, str]) -> str:
    """Name of the pack in topics."""
    serial = "".join(c for c in hello.get("serial", "") if c.isalnum()) or "pack"
    return f"packctl_{serial.lower()}"


def _called(field: Field) -> str:
    if field.name in _CALLED:
        return _CALLED[field.name]
    name = field.name
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            name = name[:-len(suffix)]
            break
    return name.replace("_", " ").capitalize()


def _keys(field: Field) -> list[tuple[str, str]]:
    """(key, name) of each value of *field*."""
    if field.count == 1:
        return [(field.name, _called(field))]
    return [(f"{field.name}_{i}", f"{_called(field)} {i}") for i in range(field.count)]


def _is_words(field: Field) -> bool:
    return field.kind in ("enum", "bits") or field.name == "first_out"


def _sensor(field: Field, key: str, name: str) -> Component:
    component: Component = {"p": "sensor", "name": name,
                            "value_template": "{{ value_json.%s }}" % key}
    if field.kind == "enum":
        component["device_class"] = "enum"
        component["options"] = [_word(word) for word in field.names]
    elif not _is_words(field):
        unit = USUAL.get(field.unit, (1, 0, field.unit))
        device_class, state_class = _CLASSES.get(field.unit, (None, None))
        if field.name in ("soc_cpct", "system_soc_cpct"):
            device_class = "battery"
        if unit[2]:
            component["unit_of_measurement"] = unit[2]
            component["suggested_display_precision"] = min(unit[1], 3)
        if device_class:
            component["device_class"] = device_class
        if state_class:
            component["state_class"] = state_class
    if field.name not in _FIRST:
        component["entity_category"] = "diagnostic"
    return component


def _binary(name: str, key: str, device_class: str | None = None) -> Component:
    component: Component = {"p": "binary_sensor", "name": name,
                            "value_template": "{{ value_json.%s }}" % key,
                            "payload_on": "on", "payload_off": "off"}
    if device_class:
        component["device_class"] = device_class
    return component


# beside the fields: what follows from them, and an owner asks for
_DERIVED: dict[str, Component] = {
    "power_w": {"p": "sensor", "name": "Power", "device_class": "power",
                "state_class": "measurement", "unit_of_measurement": "W",
                "suggested_display_precision": 0},
    "min_cell_v": {"p": "sensor", "name": "Lowest cell", "device_class": "voltage",
                   "state_class": "measurement", "unit_of_measurement": "V",
                   "suggested_display_precision": 3},
    "max_cell_v": {"p": "sensor", "name": "Highest cell", "device_class": "voltage",
                   "state_class": "measurement", "unit_of_measurement": "V",
                   "suggested_display_precision": 3},
    "problem": _binary("Problem", "problem", "problem"),
    "charge_fet": _binary("Charge FET closed", "charge_fet"),
    "discharge_fet": _binary("Discharge FET closed", "discharge_fet"),
    "refused": {"p": "sensor", "name": "Refused command", "entity_category": "diagnostic"},
}


def components(schema: Schema) -> dict[str, Component]:
    """{key: component} of every value that state() gives."""
    found: dict[str, Component] = {}
    for field in schema.fields:
        if field.name == _MORE:
            continue
        for key, name in _keys(field):
            found[key] = _sensor(field, key, name)
    for key, component in _DERIVED.items():
        found[key] = {"value_template": "{{ value_json.%s }}" % key, **component}
    return found


def controls(params: Iterable[Param]) -> dict[str, Component]:
    """{key: component} of what may be commanded: the buzzer, sleep, and numbers for *params*."""
    found: dict[str, Component] = {
        "buzzer": {"p": "switch", "name": "Buzzer may sound", "payload_on": "on",
                   "payload_off": "off", "entity_category": "config",
                   "value_template": "{{ value_json.buzzer }}"},
        "sleep": {"p": "button", "name": "Sleep", "payload_press": "sleep",
                  "entity_category": "config"},
    }
    for param in params:
        factor, digits, usual = USUAL.get(param.unit, (1, 0, param.unit))
        found[f"param_{param.name}"] = {
            "p": "number", "name": param.name.replace("_", " "), "entity_category": "config",
            "min": param.min / factor, "max": param.max / factor, "step": 1 / factor,
            "mode": "box", "value_template": "{{ value_json.param_%s }}" % param.name,
            **({"unit_of_measurement": usual} if usual else {})}
    return found


def discovery(hello: Mapping[str, str], parts: Mapping[str, Component], base: str) -> Component:
    """The discovery message of one pack: a device with *parts*, its topics below *base*."""
    node = node_id(hello)
    complete: dict[str, Component] = {}
    for key, component in parts.items():
        topics: Component = {}
        if component["p"] != "button":
            topics["state_topic"] = f"{base}/state"
        if component["p"] in ("button", "switch", "number"):
            topics["command_topic"] = f"{base}/set/{key}"
        complete[key] = {**component, "unique_id": f"{node}_{key}", "object_id": f"{node}_{key}",
                         **topics}
    return {
        "dev": {"ids": [node], "name": f"Battery pack {hello.get('serial', '').strip()}",
                "mf": "packctl", "mdl": hello.get("profile", ""),
                "sn": hello.get("serial", "").strip(), "sw": hello.get("version", ""),
                "hw": hello.get("board", "")},
        "o": {"name": "packctl"},
        "availability_topic": f"{base}/availability",
        "payload_available": "online", "payload_not_available": "offline",
        "qos": 1, "cmps": complete,
    }


# ---- values --------------------------------------------------------------------------------


def _word(word: str) -> str:
    return word.replace("_", " ") or "none"


def _list(words: Iterable[object]) -> str:
    text = "; ".join(str(word) for word in words) or "none"
    return text if len(text) <= LONGEST else text[:LONGEST - 1] + "…"


def _value(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.kind == "enum":
        return _word(str(value))
    if field.kind == "bits":
        return _list(_word(word) for word in value)
    if isinstance(value, str):
        return _word(value)
    factor, digits, _ = USUAL.get(field.unit, (1, 0, ""))
    return round(value / factor, digits) if digits else value


def state(schema: Schema, status: Status) -> dict[str, Any]:
    """{key: value} for each of components(); None where nothing is measured."""
    report = status.report
    found: dict[str, Any] = {}
    for field in schema.fields:
        if field.name == _MORE:
            continue
        value = report.get(field.name)
        values = [value] if field.count == 1 else value or [None] * field.count
        for (key, _), each in zip(_keys(field), values):
            found[key] = _value(field, each)
    causes: dict[str, list[Cause]] = {
        "alarms": status.alarms, "protections": status.protections, "faults": status.faults,
        "locked": status.locked}
    for name, active in causes.items():
        found[name] = _list(active)
    cells = [v for v in status.cells_v if v is not None]
    power = None if status.pack_v is None or status.current_a is None else (
        status.pack_v * status.current_a)
    found.update(
        power_w=None if power is None else round(power, 1),
        min_cell_v=min(cells, default=None), max_cell_v=max(cells, default=None),
        problem="off" if status.is_healthy else "on",
        charge_fet="on" if status.charge_on else "off",
        discharge_fet="on" if status.discharge_on else "off")
    return found
