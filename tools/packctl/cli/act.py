"""Commands that do something to the pack: clock buzzer off console."""

from __future__ import annotations

import datetime
from typing import Annotated, Optional

import typer

from ..errors import WrongUnit
from .session import Session, YesOption, command


def clock(session: Session, to: Annotated[Optional[str], typer.Argument(
        metavar="now|TIME", help="now, or a time such as 2026-05-17T12:30:00 (UTC, or with its "
                                 "offset).")] = None) -> None:
    """Read the pack's clock (UTC), or set it.

    \b
    packctl clock
    packctl clock now
    packctl clock 2026-05-17T12:30:00+02:00
    """
    pack = session.pack
    if to is None:
        text = pack.clock()
    elif to == "now":
        text = pack.set_clock()
    else:
        try:
            when = datetime.datetime.fromisoformat(to.replace("Z", "+00:00"))
        except ValueError:
            raise WrongUnit(f"{to!r} is no time; it has to be like 2026-05-17T12:30:00, or "
                            "now.") from None
        text = pack.set_clock(when)
    session.tell({"clock": text}, text)


def buzzer(session: Session, on: Annotated[Optional[str], typer.Argument(
        metavar="on|off", help="Whether it may sound.")] = None) -> None:
    """Whether the buzzer may sound (BUZ-01).

    \b
    packctl buzzer off
    """
    if on not in (None, "on", "off"):
        raise WrongUnit(f"{on!r} is neither on nor off.")
    is_on = session.pack.buzzer(None if on is None else on == "on")
    session.tell({"buzzer": is_on},
                 "the buzzer may sound" if is_on else "the buzzer is silent")


def off(session: Session, yes: YesOption = False) -> None:
    """Shut the pack down in order: FETs open, lamps dark, sleep (PWR-10).

    A charger, RST, or any later command of this tool wakes it, so nothing is asked here after it.

    \b
    packctl off
    """
    pack = session.pack
    if not yes and not session.as_json:
        typer.confirm("Open both FETs and send the pack to sleep?", abort=True)
    pack.off()
    text = ("asked for: the pack opens its FETs and sleeps within seconds, unless something else "
            "holds its terminals up; packctl log tells, and wakes it")
    session.tell({"asked": True}, text)


def console(session: Session) -> None:
    """The pack's own console, as a terminal program shows it; Ctrl-] ends it.

    What is piped in is typed line by line, and the answers are printed.

    \b
    packctl console
    echo why | packctl console
    """
    from ..terminal import run
    pack = session.pack
    run(pack.stream)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for function in (clock, buzzer, off, console):
        app.command(rich_help_panel="Do")(command(function))
