"""The command for the house: mqtt."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from ..errors import WrongUnit
from .session import Session, command, need, warn


def mqtt(
        session: Session,
        broker: Annotated[str, typer.Option("--broker", "-b", metavar="HOST[:PORT]",
                                            envvar="PACKCTL_BROKER", help="The MQTT broker.")]
        = "127.0.0.1:1883",
        user: Annotated[Optional[str], typer.Option("--user", envvar="PACKCTL_BROKER_USER")]
        = None,
        password: Annotated[Optional[str], typer.Option(
            "--password", envvar="PACKCTL_BROKER_PASSWORD")] = None,
        tls: Annotated[bool, typer.Option("--tls", help="Talk to the broker by TLS.")] = False,
        every: Annotated[float, typer.Option("--every", min=0.2,
                                             help="Seconds between values.")] = 5.0,
        prefix: Annotated[str, typer.Option("--prefix", help="First part of the topics.")]
        = "packctl",
        allow: Annotated[bool, typer.Option(
            "--allow-commands", help="Obey commands: the buzzer, sleep, and --param.")] = False,
        param: Annotated[Optional[list[str]], typer.Option(
            "--param", metavar="NAME", help="With --allow-commands: a parameter that may be set, "
                                            "as a number. May be given again.")] = None,
        ) -> None:
    """Publish the pack to an MQTT broker; Home Assistant finds it by itself (HST-05).

    Without --allow-commands nothing can be commanded. Runs until Ctrl-C; waits for a pack or a
    broker that has gone.

    \b
    packctl mqtt
    packctl mqtt --broker homeassistant.local --user pack --password secret
    packctl mqtt --allow-commands --param cvl_mv --param bal_start_mv
    """
    if param and not allow:
        raise WrongUnit("--param makes a parameter settable: it takes --allow-commands.")
    host, _, number = broker.partition(":")
    if number and not number.isdigit():
        raise WrongUnit(f"{broker!r} is no broker; it has to be like homeassistant.local:1883.")
    try:
        from .. import mqtt as bridge
    except ImportError as error:
        raise need("mqtt", error) from None
    where = bridge.Broker(host, int(number or (8883 if tls else 1883)), user, password, tls,
                          prefix)
    bridge.run(session.how, where, bridge.Commands(allow, tuple(param or ())), every, warn)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Do")(command(mqtt))
