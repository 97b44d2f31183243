"""The program `packctl`: all commands, help, completion."""

from __future__ import annotations

import sys
from typing import Annotated, Optional

import typer

from .. import __version__
from . import act, house, look, params, records, update

HELP = """Look after a battery pack with packctl's firmware, over its debug port or USB port.

\b
packctl ports                         which ports are there
packctl -p /dev/ttyUSB0 status        what the pack does, and what is wrong
packctl -p COM3 monitor               live
export PACKCTL_PORT=/dev/ttyUSB0      once, and then without -p:
packctl why                           what opened a FET last
packctl set cell_ov_alarm_mv 3.48V    a parameter

\b
Exit codes:  0 done          1 an error of this program   2 a wrong command line
10 no such port             11 port in use               12 no permission
13 nonsense from the pack   14 no answer                 15 wrong speed
16 other version            17 unplugged meanwhile       18 two programs at once
20 refused by the pack      21 PIN needed                22 no such parameter
23 wrong unit or value      24 a bad file                25 a part is not installed
26 no update file           27 a damaged update file     28 a bad key
30 update refused           31 for another board         32 older than what runs
33 signature is missing     34 another update runs       35 the update failed
130 Ctrl-C

packctl --install-completion teaches your shell the commands.
"""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"packctl {__version__}")
        raise typer.Exit()


def build() -> typer.Typer:
    """The application."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich",
                      pretty_exceptions_enable=False,
                      context_settings={"help_option_names": ["-h", "--help"]})

    @app.callback(help=HELP)
    def root(ctx: typer.Context,
             port: Annotated[str, typer.Option("--port", "-p", metavar="PORT",
                                               help="As the option of each command.")] = "",
             baud: Annotated[Optional[int], typer.Option(
                 "--baud", help="As the option of each command.")] = None,
             timeout: Annotated[Optional[float], typer.Option(
                 "--timeout", help="As the option of each command.")] = None,
             pin: Annotated[Optional[str], typer.Option(
                 "--pin", metavar="NUMBER", help="As the option of each command.")] = None,
             as_json: Annotated[bool, typer.Option("--json",
                                                   help="As the option of each command.")] = False,
             version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version,
                                                   help="Version of this tool.")] = False) -> None:
        for name in app_commands(ctx):
            given = ctx.default_map = ctx.default_map or {}
            given.setdefault(name, {}).update(
                {option: value for option, value in ctx.params.items()
                 if value and option != "version"})

    for module in (look, params, act, update, house, records):
        module.add_to(app)
    return app


def app_commands(ctx: typer.Context) -> list[str]:
    """Names of the commands."""
    return list(getattr(ctx.command, "commands", {}))


app = build()


def main() -> None:
    """What the command `packctl` runs."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")     # a console may have less
    app(prog_name="packctl")
