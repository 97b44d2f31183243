"""A pack from outside: its values, records and parameters, over its debug port.

    import packctl

    with packctl.connect("/dev/ttyUSB0") as pack:
        print(pack.status().soc_pct, pack.limits())

The errors that calls raise are all PackError, in packctl.errors.
"""

from __future__ import annotations

from . import errors
from ._version import version_of_tool
from .errors import PackError

from .pack import Cause, Module, Pack, Status, connect
from .ports import list_ports

__version__ = version_of_tool()

__all__ = ["Cause", "Module", "Pack", "PackError", "Status", "connect", "errors", "list_ports"]
