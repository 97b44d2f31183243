"""What all commands share: options of the port, errors as sentences and exit codes, output."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..errors import NotInstalled, PackError
from ..pack import Pack, connect
from ..ports import BAUD

PortOption = Annotated[Optional[str], typer.Option(
    "--port", "-p", envvar="PACKCTL_PORT", metavar="PORT", rich_help_panel="Port",
    help="Serial port, pseudo-terminal or socket://host:port. The only one on USB where none is "
         "given.")]
BaudOption = Annotated[int, typer.Option(
    "--baud", rich_help_panel="Port", help="Speed of the port, bit/s.")]
TimeoutOption = Annotated[float, typer.Option(
    "--timeout", envvar="PACKCTL_TIMEOUT", min=0.05, rich_help_panel="Port",
    help="How long an answer may take, s.")]
PinOption = Annotated[Optional[str], typer.Option(
    "--pin", envvar="PACKCTL_PIN", metavar="NUMBER", rich_help_panel="Port", show_envvar=True,
    help="The owner's PIN, where one is set.")]
JsonOption = Annotated[bool, typer.Option(
    "--json", help="Answer as JSON, for programs; errors too.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_OPTIONS: tuple[tuple[str, Any, Any], ...] = (
    ("port", PortOption, None), ("baud", BaudOption, BAUD), ("timeout", TimeoutOption, 1.0),
    ("pin", PinOption, None), ("as_json", JsonOption, False))


class Session:
    """One command on one pack: opens the port when it is asked for, prints what comes of it."""

    def __init__(self, port: str | None, baud: int, timeout: float, pin: str | None,
                 as_json: bool) -> None:
        self.as_json = as_json
        self._how: dict[str, Any] = {"port": port, "baud": baud, "timeout_s": timeout, "pin": pin}
        self._pack: Pack | None = None
        self.console = Console(highlight=False, soft_wrap=True)

    @property
    def pack(self) -> Pack:
        """The pack, greeted."""
        if self._pack is None:
            self._pack = connect(**self._how)
        return self._pack

    @property
    def how(self) -> dict[str, Any]:
        """Keyword arguments of connect(), for who opens the port himself."""
        return dict(self._how)

    def close(self) -> None:
        """Let go of the port."""
        pack, self._pack = self._pack, None
        if pack is not None:
            if pack.others:
                warn("another program talks to this pack through the same port")
            pack.close()

    def tell(self, data: Any, text: Callable[[], object] | str) -> None:
        """Answer: *data* with --json, else *text* or what the function prints."""
        if self.as_json:
            print(json.dumps(data, ensure_ascii=False))
        elif callable(text):
            text()
        else:
            print(text)

    def progress(self) -> Progress:
        """A progress bar on standard error; nothing where that is no terminal."""
        console = Console(stderr=True)
        return Progress(TextColumn("{task.description}"), BarColumn(),
                        TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn(),
                        console=console, transient=True,
                        disable=self.as_json or not console.is_terminal)


def warn(text: str) -> None:
    """A line on standard error."""
    print(f"packctl: {text}", file=sys.stderr)


def _fail(error: PackError, as_json: bool) -> typer.Exit:
    if as_json:
        print(json.dumps({"error": str(error), "kind": type(error).__name__,
                          "exit_code": error.exit_code}, ensure_ascii=False))
    else:
        warn(" ".join(str(error).split()))
    return typer.Exit(error.exit_code)


def _given_before(here: typer.Context) -> dict[str, Any]:
    """Options of the port that stand before the command: they win over the environment."""
    def is_typed(name: str) -> bool:
        source = here.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE"

    before = here.find_root().params
    return {name: before[name] for name, _, _ in _OPTIONS
            if before.get(name) and not is_typed(name)}


def attempt(session: Session, work: Callable[[], object]) -> None:
    """Do *work*; what goes wrong becomes a sentence and an exit code."""
    try:
        work()
    except PackError as error:
        raise _fail(error, session.as_json) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:                 # whoever read the lines has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    finally:
        session.close()


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command on a pack: gives *function* a Session first, adds the options of the port."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    added = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default,
                               annotation=kind) for name, kind, default in _OPTIONS]

    @functools.wraps(function)
    def run(**values: Any) -> None:
        values.update(_given_before(values.pop("here")))
        session = Session(*(values.pop(name) for name, _, _ in _OPTIONS))
        attempt(session, lambda: function(session, **values))

    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    here = inspect.Parameter("here", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    signature = inspect.Signature([*own, *added, here])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    del run.__wrapped__
    return run


def need(extra: str, error: ImportError) -> NotInstalled:
    """The error for a part that was not installed."""
    return NotInstalled(f"This command needs the part {extra!r} of packctl ({error.name} is "
                        f"missing): pipx install 'packctl[{extra}]', or in a clone "
                        f"pipx install '.[{extra}]'.")
