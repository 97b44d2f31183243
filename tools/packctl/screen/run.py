"""Starts the screen of a real pack: in this terminal, or in a web browser."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

from ..errors import NoSuchPort
from .app import Screen
from .source import PackSource


def monitor(how: dict[str, Any], every_s: float, serve: tuple[str, int] | None) -> None:
    """Until q. how: keyword arguments of connect(); serve: address and TCP port."""
    if serve is None:
        Screen(PackSource(how), every_s).run()
        return
    from textual_serve.server import Server
    words = [sys.executable, "-m", "packctl", "monitor", "--screen", "--every", str(every_s),
             "--baud", str(how["baud"]), "--timeout", str(how["timeout_s"])]
    if not how["port"]:
        raise NoSuchPort("Say which port the pack is on, with --port NAME.")
    words += ["--port", str(how["port"])]
    if how["pin"]:
        os.environ["PACKCTL_PIN"] = str(how["pin"])     # others may read a command line
    host, port = serve
    print(f"packctl: the screen is at http://{host}:{port}; Ctrl-C ends", file=sys.stderr)
    Server(" ".join(shlex.quote(word) for word in words), host=host, port=port,
           title="packctl").serve()
