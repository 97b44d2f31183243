"""The version of this tool: that of the firmware it came with."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re

_SOURCE = pathlib.Path(__file__).resolve().parents[2] / "firmware" / "version.py"


def version_of_tool() -> str:
    """From the clone that it runs in, else of the installed package."""
    try:
        found = re.search(r'^VERSION = "(.+)"', _SOURCE.read_text(encoding="utf-8"), re.M)
        if found:
            return found[1]
    except OSError:
        pass
    try:
        return importlib.metadata.version("packctl")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
