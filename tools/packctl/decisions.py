"""The firmware's own decision code, for what has to decide as the pack does.

In a clone it is that of the clone, in an installed package the copy that was packed with it.
"""

from __future__ import annotations

import importlib
import pathlib
import re
import sys
from typing import Any

_HERE = pathlib.Path(__file__).resolve().parent
_PACKED = _HERE / "packed"
_CLONE = _HERE.parent.parent


def folders() -> list[pathlib.Path]:
    """Where its modules are."""
    if _PACKED.is_dir():
        return [_PACKED, _PACKED / "lib", _PACKED / "mocks"]
    return [_CLONE / "firmware", _CLONE / "lib", _CLONE / "tools" / "mocks"]


def module(name: str) -> Any:
    """A module of the firmware, such as bms.words.rules."""
    for folder in folders():
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    return importlib.import_module(name)


def panel_of(profile: str) -> str:
    """What kind of front panel the product has: "table" or "bar"."""
    for path in sorted((folders()[0] / "profiles").glob("[!_]*.py")):
        text = path.read_text("utf-8")
        said: dict[str, str] = dict(re.findall(r'^(NAME|PANEL) = "([^"]+)"', text, re.M))
        if said.get("NAME") == profile:
            return said.get("PANEL", "table")
    return "table"
