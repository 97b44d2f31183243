"""The live screen as a program: pages, keys, mouse; everything that blocks is in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import ContentSwitcher, DataTable, Input, Static

from .. import units
from ..errors import PackError
from . import draw, pages
from .leave import Leave
from .source import Source
from .view import View

PAGES = (("overview", "Overview"), ("limits", "Limits"), ("log", "Log"), ("params", "Parameters"),
         ("fleet", "Fleet"), ("ports", "Ports"), ("help", "Help"))
_CLOSER = ("limits", "fleet")           # pages that need more than the report
_PAGE_KEYS = "/" + "".join(str(number) for number in range(1, len(PAGES) + 1))
_NAMED_KEYS = {"plus": "+", "minus": "-", "equals_sign": "=", "space": " "}


class PageNames(Static):
    """The line with the names of the pages; a click chooses one."""

    class Chosen(Message):
        """A page was clicked on."""

        def __init__(self, page: str) -> None:
            super().__init__()
            self.page = page

    def draw(self, chosen: str) -> None:
        """Show which one is chosen."""
        text = Text(" ")
        for number, (name, title) in enumerate(PAGES, 1):
            style = "bold black on #3fae6a" if name == chosen else "grey70 on grey15"
            text.append(f" {number} {title} ", style)
            text.append(" ")
        self.update(text)

    def on_click(self, event: events.Click) -> None:
        """The page whose name is there."""
        at = 1
        for name, title in PAGES:
            width = len(title) + 4
            if at <= event.x < at + width:
                self.post_message(self.Chosen(name))
                return
            at += width + 1


class Overview(Static):
    """The drawn overview, as large as there is room."""

    view: View | None = None

    def render(self) -> Any:
        """What textual asks for."""
        if self.view is None:
            return ""
        width, height = self.size
        if self.app.size.width < draw.MIN_WIDTH or self.app.size.height < draw.MIN_HEIGHT:
            return Text(f"packctl needs {draw.MIN_WIDTH} x {draw.MIN_HEIGHT} characters; this "
                        f"terminal has {self.app.size.width} x {self.app.size.height}.")
        return _Sized(draw.overview(self.view, width, height), width, height)


class _Sized:
    """A layout, told how high it may be."""

    def __init__(self, content: RenderableType, width: int, height: int) -> None:
        self._content, self._width, self._height = content, width, height

    def __rich_console__(self, console: Any, options: Any) -> Any:
        yield from console.render(
            self._content, options.update(width=self._width, height=self._height))


class Screen(App[None]):
    """packctl monitor, and make run.

    source    the pack
    every_s   between looks
    end_ms    None, or the time of the view at which it ends by itself
    """

    CSS = """
    #names { height: 1; }
    #top, #said, #keys { height: 1; }
    #body { height: 1fr; }
    #overview { height: 100%; }
    VerticalScroll { padding: 0 1; }
    DataTable { height: 1fr; }
    #edit { display: none; height: 3; }
    #find { height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(i), f"page('{name}')", title, show=False)
          for i, (name, title) in enumerate(PAGES, 1)],
        Binding("tab", "next_page", "next page", show=False, priority=True),
        Binding("ctrl+s", "screenshot", "picture", show=False),
        Binding("slash", "find", "find", show=False),
        Binding("ctrl+c", "end(130)", "quit", show=False, priority=True),
    ]
    ENABLE_COMMAND_PALETTE = False
    TITLE = "packctl"

    def __init__(self, source: Source, every_s: float = 0.5, end_ms: float | None = None) -> None:
        super().__init__()
        self.source = source
        self._every_s = every_s
        self._end_ms = end_ms
        self._lock = threading.Lock()       # one thread at a time asks the pack
        self._shown = "overview"
        self._log_seen: tuple[int, int] = (0, 0)
        self._editing = ""
        self._param_names: list[str] = []
        self._leave: Leave | None = None

    @property
    def view(self) -> View:
        """What is shown."""
        return self.source.view

    def compose(self) -> ComposeResult:
        """Header, names of the pages, the page, what was said, keys."""
        yield Static(id="top")
        yield PageNames(id="names")
        with ContentSwitcher(initial="overview", id="body"):
            yield Overview(id="overview")
            for name in ("limits", "fleet", "ports", "help"):
                with VerticalScroll(id=name):
                    yield Static(id=f"{name}-text")
            yield DataTable(id="log", cursor_type="row", zebra_stripes=True)
            with Vertical(id="params"):
                yield Input(placeholder="part of a name or of a description", id="find")
                yield DataTable(id="table", cursor_type="row", zebra_stripes=True)
                yield Input(id="edit")
        yield Static(id="said")
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Start looking."""
        loop = asyncio.get_running_loop()
        self._leave = Leave(lambda code: loop.call_soon_threadsafe(self.action_end, code))
        self._leave.start()
        self.query_one("#overview", Overview).view = self.view
        self.query_one("#log", DataTable).add_columns("number", "time", "event")
        self.query_one("#table", DataTable).add_columns("name", "value", "from", "to",
                                                        "what it does")
        self.query_one(PageNames).draw(self._shown)
        self.look()
        self.set_interval(self._every_s, self.look)

    # -- asking -----------------------------------------------------------------------------

    @work(thread=True, exclusive=False, group="look")
    def look(self) -> None:
        """One look at the pack, unless the one before is still waiting."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._guarded(self.source.look)
            if self._shown in _CLOSER:
                self._guarded(lambda: self.source.look_closer(self._shown))
        finally:
            self._lock.release()
        self.call_from_thread(self.refresh_all)

    @work(thread=True, group="ask")
    def ask(self, function: Callable[[], object], then: Callable[[], object]) -> None:
        """Something else that blocks."""
        with self._lock:
            self._guarded(function)
        self.call_from_thread(then)

    def _guarded(self, function: Callable[[], object]) -> None:
        try:
            function()
        except PackError as error:
            self.view.message, self.view.is_error = str(error), True

    # -- showing ----------------------------------------------------------------------------

    def refresh_all(self) -> None:
        """Draw what the view has now."""
        view = self.view
        self.query_one("#top", Static).update(draw.header(view))
        self.query_one("#said", Static).update(draw.message(view))
        self.query_one("#keys", Static).update(draw.help_line(view, self.size.width))
        shown = self._shown
        if shown == "overview":
            self.query_one("#overview", Overview).refresh()
        elif shown == "log":
            self._fill_log()
        elif shown != "params":
            content = {"limits": pages.limits, "fleet": pages.fleet, "ports": pages.ports,
                       "help": pages.help_page}[shown](view)
            self.query_one(f"#{shown}-text", Static).update(content)
        if self._end_ms is not None and view.t_ms >= self._end_ms:
            self.exit()

    def show_page(self, name: str) -> None:
        """Choose a page."""
        self._shown = name
        self.query_one("#body", ContentSwitcher).current = name
        self.query_one(PageNames).draw(name)
        if name == "params":
            self._fill_params()
            self.query_one("#table", DataTable).focus()
        elif name == "log":
            self.query_one("#log", DataTable).focus()
        else:
            self.set_focus(None)
        self.refresh_all()
        if name in _CLOSER:
            self.ask(lambda: self.source.look_closer(name), self.refresh_all)

    def _fill_log(self) -> None:
        records = self.view.events
        seen = (records[0]["seq"], records[-1]["seq"]) if records else (0, 0)
        if seen == self._log_seen:
            return
        self._log_seen = seen
        table: DataTable[Any] = self.query_one("#log", DataTable)
        table.clear()
        for record in reversed(records):
            time_text = (record.get("time") or "–").replace("T", " ").rstrip("Z")
            table.add_row(str(record["seq"]), time_text,
                          draw.event_line(record, self.view.kinds))

    def _fill_params(self) -> None:
        word = self.query_one("#find", Input).value.lower()
        table: DataTable[Any] = self.query_one("#table", DataTable)
        row = table.cursor_row
        table.clear()
        self._param_names = []
        for param in self.view.params.values():
            if word in param.name.lower() or word in param.help.lower():
                value = Text(units.shown(param.value, param.unit),
                             "" if param.value == param.default else "bold yellow1")
                table.add_row(param.name, value, units.shown(param.min, param.unit),
                              units.shown(param.max, param.unit), param.help)
                self._param_names.append(param.name)
        table.move_cursor(row=min(row, max(0, len(self._param_names) - 1)))

    # -- what a person does -----------------------------------------------------------------

    def action_page(self, name: str) -> None:
        """A digit."""
        self.show_page(name)

    def action_end(self, code: int) -> None:
        """Ctrl-C, or a signal."""
        self.exit(return_code=int(code))

    def on_page_names_chosen(self, event: PageNames.Chosen) -> None:
        """A click on a name."""
        self.show_page(event.page)

    def action_next_page(self) -> None:
        """Tab."""
        names = [name for name, _ in PAGES]
        self.show_page(names[(names.index(self._shown) + 1) % len(names)])

    def action_find(self) -> None:
        """Slash: on the parameters, look for a name."""
        if self._shown == "params":
            self.query_one("#find", Input).focus()

    def on_key(self, event: events.Key) -> None:
        """Keys that no widget wanted: those of the bench, and q."""
        if isinstance(self.focused, Input):
            if event.key == "escape":
                self._end_edit()
            return
        key = _NAMED_KEYS.get(event.key) or (
            event.character if event.character and event.is_printable else event.key)
        if key in ("q", "Q"):
            self.exit()
        elif self._shown == "overview" and key not in _PAGE_KEYS and (
                len(key) == 1 or key in ("left", "right", "up", "down")):
            self.ask(lambda: self.source.press(key), self.refresh_all)

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is looked for."""
        if event.input.id == "find":
            self._fill_params()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a parameter: change it."""
        if event.data_table.id != "table" or not self._param_names:
            return
        self._editing = self._param_names[event.cursor_row]
        param = self.view.params[self._editing]
        edit = self.query_one("#edit", Input)
        edit.value = units.shown(param.value, param.unit).replace(" ", "")
        edit.border_title = (f"{param.name}, {units.shown(param.min, param.unit)} to "
                             f"{units.shown(param.max, param.unit)}: Enter sets it, Esc does not")
        edit.display = True
        edit.focus()

    def _end_edit(self) -> None:
        self._editing = ""
        self.query_one("#edit", Input).display = False
        self.query_one("#table", DataTable).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field."""
        if event.input.id == "find":
            self.query_one("#table", DataTable).focus()
            return
        name, text = self._editing, event.value
        self._end_edit()

        def change() -> None:
            self.view.message, self.view.is_error = self.source.set_text(name, text), False

        def show() -> None:
            self._fill_params()
            self.refresh_all()
        self.ask(change, show)

    def on_unmount(self) -> None:
        """The program ends."""
        if self._leave is not None:
            self._leave.over()
        with self._lock:
            self.source.close()
