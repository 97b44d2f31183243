"""Where the screen has its pack from. PackSource: a pack on a port."""

from __future__ import annotations

import time
from typing import Any, Protocol

from ..errors import PackError, PinNeeded
from ..pack import Pack, connect
from ..schema import Name
from .panel import Panel
from .view import View

KEPT = 500                      # event records


class Source(Protocol):
    """What the screen asks; every call may block, and is made from one thread at a time."""

    view: View

    def look(self) -> None:
        """Take in what the pack does now."""

    def look_closer(self, page: str) -> None:
        """Take in what *page* shows beyond the report."""

    def press(self, key: str) -> bool:
        """Act on a key; False: it ends the program."""

    def set_text(self, name: str, text: str) -> str:
        """Set a parameter to what a person typed; returns what came of it. Raises PackError."""

    def close(self) -> None:
        """Let go of the pack."""


def name_words(view: View, names: dict[tuple[str, int], Name]) -> None:
    """Take the words of items and faults into *view*."""
    view.words = {name.id: name.words for name in names.values()}
    view.kinds = {name.id: name.unit for name in names.values()}


class PackSource:
    """A pack on a port; it is opened again after it has gone."""

    def __init__(self, how: dict[str, Any]) -> None:
        self._how = how
        self._pack: Pack | None = None
        self._panel: Panel | None = None
        self._newest = 0
        self._up: tuple[str, ...] = ()
        self._start_s = time.monotonic()
        self.view = View(str(how.get("port") or "the port on USB"))

    def _open(self) -> Pack:
        if self._pack is None:
            pack = connect(**self._how)
            self.view.board = pack.port
            self.view.hello = pack.hello()
            self._panel = Panel(self.view.hello.get("profile", ""))
            name_words(self.view, pack.names())
            self.view.params = pack.params()
            self._newest = 0
            self.view.events = []
            self._pack = pack
        return self._pack

    def _lose(self, error: PackError) -> None:
        pack, self._pack = self._pack, None
        if pack is not None:
            pack.close()
        self.view.lost = str(error)

    def look(self) -> None:
        """Take in what the pack does now; where it cannot be seen, the view says why."""
        view = self.view
        try:
            pack = self._open()
            report = pack.report()
            t_ms = 1000 * (time.monotonic() - self._start_s)
            wire = self._panel.wire(report, t_ms) if self._panel else {}
            view.take({"report": report, "wire": wire, "t_ms": t_ms})
            view.t_ms = t_ms
            view.lost = ""
            if view.is_up != self._up:
                view.ends = pack.ends()
                self._up = view.is_up
            newest = report.get("events") or 0
            if newest != self._newest:
                since = max(0, newest - KEPT) if newest < self._newest or not self._newest else (
                    self._newest)
                new = pack.events(since)
                kept = view.events if since == self._newest else []
                view.events = (kept + new)[-KEPT:]
                # a record may have come between the report and this
                self._newest = max([newest] + [event["seq"] for event in new])
        except PackError as error:
            self._lose(error)

    def look_closer(self, page: str) -> None:
        """Limits, why, the fleet, or all parameters."""
        if self._pack is None:
            return
        try:
            if page == "limits":
                self.view.limits = self._pack.limits()
                self.view.why = self._pack.why()
            elif page == "fleet":
                self.view.modules = self._pack.modules()
            elif page == "params":
                self.view.params = self._pack.params(fresh=True)
        except PackError as error:
            self._lose(error)

    def press(self, key: str) -> bool:
        """Only q means anything: a real pack has no keys to break it with."""
        return key not in ("q", "Q")

    def set_text(self, name: str, text: str) -> str:
        """Set a parameter."""
        pack = self._open()
        try:
            taken = pack.set_text({name: text})
        except PinNeeded:
            raise PinNeeded(0, 4, "", "An owner's PIN is set: start packctl monitor with "
                                      "--pin.") from None
        self.view.params = pack.params()
        return ", ".join(f"{key} = {value}" for key, value in taken.items())

    def close(self) -> None:
        """Let go of the port."""
        if self._pack is not None:
            self._pack.close()
            self._pack = None
