"""A plain terminal on a port: what is typed goes out as it is, what comes is shown as it is."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from .frames import SOF
from .ports import Port

END = b"\x1d"                   # Ctrl-]
PROMPT = b"pylon>"              # of the pack's console
_QUIET_S = 2.0                  # an answer without it is over after so long without a byte
_LONGEST_S = 30.0


def run(port: Port) -> None:
    """Until Ctrl-], or until the lines of a pipe are answered."""
    if sys.stdin.isatty():
        _interactive(port)
    else:
        for line in sys.stdin:
            port.write(line.strip().encode() + b"\r")
            _show_answer(port)


def _show(data: bytes) -> None:
    sys.stdout.write(data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", ""))
    sys.stdout.flush()


def _show_answer(port: Port) -> None:
    start = heard = time.monotonic()
    last = b""
    while time.monotonic() - heard < _QUIET_S and time.monotonic() - start < _LONGEST_S:
        data = port.read()
        if data and data[0] != SOF:
            _show(data)
            heard = time.monotonic()
            last = (last + data)[-len(PROMPT):]
            if last == PROMPT:
                return


def _interactive(port: Port) -> None:
    print(f"packctl: {port.name}; Ctrl-] ends", file=sys.stderr)
    keys = _WindowsKeys() if os.name == "nt" else _UnixKeys()
    with keys:
        port.write(b"\r")
        while True:
            typed = keys.read()
            if END in typed:
                return
            if typed:
                port.write(typed.replace(b"\n", b"\r"))
            data = port.read()
            if data:
                os.write(sys.stdout.fileno(), data)


class _UnixKeys:
    """Keys as they are pressed, without echo; the terminal is put back as it was."""

    def __enter__(self) -> _UnixKeys:
        import termios
        import tty
        self._fd = sys.stdin.fileno()
        self._before: Any = termios.tcgetattr(self._fd)
        tty.setraw(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        import termios
        termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._before)

    def read(self) -> bytes:
        """What was typed since the last call."""
        import select
        if not select.select([self._fd], [], [], 0)[0]:
            return b""
        return os.read(self._fd, 256) or END


class _WindowsKeys:
    """The same for a Windows console."""

    def __enter__(self) -> _WindowsKeys:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self) -> bytes:
        """What was typed since the last call."""
        import msvcrt
        typed = b""
        while msvcrt.kbhit():           # type: ignore[attr-defined]
            typed += msvcrt.getch()     # type: ignore[attr-defined]
        return typed
