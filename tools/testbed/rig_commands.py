"""The rig's commands as data, and as lines of JSON."""

import json
import math

from rig_fields import SET_FIELDS, RigError, refuse

# name: (method, fields it takes, fields it needs)
COMMANDS = {
    "open": ("open", ("board", "profile", "dip", "seed", "plant", "params", "spread",
                      "stimulus"), ()),
    "run": ("run", ("ms",), ("ms",)),
    "play": ("play", ("speed",), ()),
    "pause": ("pause", (), ()),
    "set": ("set", SET_FIELDS, ()),
    "get": ("get", (), ()),
    "trace": ("trace", ("since_ms",), ()),
    "events": ("events", ("since",), ()),
    "can": ("can", ("since_ms", "send"), ()),
    "param": ("param", ("name", "value", "restore", "values"), ()),
    "params": ("params", (), ()),
    "command": ("typed", ("text", "framed"), ("text",)),
    "power": ("power", ("on",), ("on",)),
    "reset": ("reset", (), ()),
    "fleet": ("fleet", ("modules", "plant", "board", "profile", "seed", "params", "dip", "spread",
                        "open"), ()),
    "close": ("close", (), ()),
}
OF_A_MODULE = ("set", "get", "trace", "events", "param", "params", "command", "power", "reset",
               "can")


def parsed(command):
    """(name, method, fields) of a command given as a dict; RigError says what is wrong with it.

    `module` is left among the fields.
    """
    if not isinstance(command, dict):
        refuse("the command", command, 'an object such as {"cmd": "run", "ms": 100}')
    fields = dict(command)
    name = fields.pop("cmd", None)
    if not isinstance(name, str) or name not in COMMANDS:
        refuse("cmd", name, "one of " + ", ".join(COMMANDS))
    return name, COMMANDS[name][0], fields


def check_fields(name, fields):
    """RigError unless *fields* are what the command *name* takes and needs."""
    _, known, needed = COMMANDS[name]
    for field in fields:
        if field not in known:
            takes = ", ".join(known) or "no fields"
            raise RigError(f"{name} has no field {field!r}; it takes {takes}")
    for field in needed:
        if field not in fields:
            raise RigError(f"{name} needs the field {field!r}")


def answer_line(rig, line):
    """The answer to one line of input, as a line."""
    try:
        command = json.loads(line)
    except ValueError as error:
        answer = {"ok": False, "error": f"this line is not JSON ({error}); it must be one object "
                                        'such as {"cmd": "open", "board": "host"}'}
    else:
        answer = rig.command(command)
    return json.dumps(_finite(answer)) + "\n"


def _finite(value):
    """JSON has no infinity: such numbers become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value
