"""Commands about parameters: params get set save restore backup calibrate."""

from __future__ import annotations

import pathlib
from typing import Annotated, Any, Optional

import typer
from rich.markup import escape
from rich.table import Table

from .. import calibration, files, units
from ..errors import WrongUnit
from ..frames import MAX_TO_PACK
from ..schema import Param
from .session import Session, YesOption, command, warn

_AT_ONCE = MAX_TO_PACK // 6


def _data(param: Param) -> dict[str, Any]:
    return {"id": param.id, "name": param.name, "value": param.value, "unit": param.unit,
            "min": param.min, "max": param.max, "default": param.default, "help": param.help}


def _with_unit(param: Param, value: int | None = None) -> str:
    value = param.value if value is None else value
    text = f"{value} {param.unit}".strip()
    return f"{text} ({units.shown(value, param.unit)})" if param.unit in units.USUAL else text


def params(session: Session,
           pattern: Annotated[str, typer.Argument(
               help="Part of a name or of a description.")] = "",
           changed: Annotated[bool, typer.Option(
               "--changed", help="Only what is not at its default.")] = False) -> None:
    """Parameters with value, range, default and what they do.

    \b
    packctl params cell_ov
    packctl params balanc
    packctl params --changed
    """
    word = pattern.lower()
    found = [p for p in session.pack.params(fresh=True).values()
             if (word in p.name.lower() or word in p.help.lower())
             and (not changed or p.value != p.default)]

    def text() -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("name", "value", "from", "to", "default", "what it does"):
            is_number = name in ("from", "to", "default")
            table.add_column(name, justify="right" if is_number else "left",
                             no_wrap=name == "name")
        for p in found:
            table.add_row(p.name, _with_unit(p), str(p.min), str(p.max),
                          "" if p.value == p.default else str(p.default), escape(p.help))
        session.console.soft_wrap = False
        if found:
            session.console.print(table)
        else:
            print("no parameter is at another value than its default" if changed and not pattern
                  else f"no parameter has {pattern!r} in its name or description")
    session.tell([_data(p) for p in found], text)


def get(session: Session, names: Annotated[list[str], typer.Argument(
        help="Names, or numbers of the registry.")]) -> None:
    """Values of parameters.

    \b
    packctl get cell_ov_trip_mv
    packctl get cell_ov_trip_mv cell_uv_trip_mv --json
    """
    pack = session.pack
    found = []
    for name in names:
        pack.get(name)
        found.append(pack.param(name))
    session.tell([_data(p) for p in found],
                 "\n".join(f"{p.name} = {_with_unit(p)}" for p in found))


def _stored(stored: bool | str | None) -> str:
    if stored is False:
        return "The pack works with it, but its flash does not take it: it is gone after a reset."
    return "stored" if stored is True else "stored within seconds; packctl save does it now"


def set_(session: Session, pairs: Annotated[list[str], typer.Argument(
        metavar="NAME VALUE ...",
        help="Names and values, in turns; a value is a whole number of the registry's unit, or "
             "has its own unit.")]) -> None:
    """Set parameters, all or none; what does not fit together is refused with the reason.

    \b
    packctl set cell_ov_alarm_mv 3480
    packctl set cell_ov_alarm_mv 3.48V cell_ov_trip_mv 3.58V
    packctl set cell_ov_alarm_mv=3480
    """
    words: list[str] = []
    for pair in pairs:
        words += pair.split("=", 1) if "=" in pair else [pair]
    if len(words) % 2:
        raise WrongUnit("A name and a value have to come in turns, as in "
                        "set cell_ov_alarm_mv 3480 cell_ov_trip_mv 3580.")
    pack = session.pack
    before = {pack.param(name).name: pack.param(name).value for name in words[::2]}
    taken = pack.set_text(dict(zip(words[::2], words[1::2])))

    def text() -> None:
        for name, value in taken.items():
            p = pack.param(name)
            print(f"{name} = {_with_unit(p, value)}, was {_with_unit(p, before[name])}")
        print(_stored(pack.stored))
    session.tell({"taken": taken, "stored": pack.stored}, text)


def save(session: Session) -> None:
    """Write the parameters to the pack's flash now, instead of within seconds."""
    session.pack.save()
    session.tell({"stored": True}, "stored")


def backup(session: Session, file: Annotated[pathlib.Path, typer.Argument(
        help="Where to, a JSON file.")]) -> None:
    """Keep everything that is set on the pack in a file, calibration included.

    \b
    packctl backup pack7.json
    """
    with session.progress() as bar:
        bar.add_task("reading", total=None)
        data = files.backup(session.pack)
    files.write_json(file, data)
    count, serial = len(data["params"]), data["serial"].strip()
    session.tell({"file": str(file), "params": count},
                 f"{count} parameters of pack {serial} are in {file}")


def restore(session: Session,
            file: Annotated[Optional[pathlib.Path], typer.Argument(
                help="A file of packctl backup; the defaults of the profile where none is "
                     "given.")] = None,
            yes: YesOption = False) -> None:
    """Set a backup again, or all parameters to their defaults; records and counters stay.

    \b
    packctl restore pack7.json
    packctl restore --yes
    """
    pack = session.pack
    if file is None:
        if not yes and not session.as_json:
            typer.confirm("Set all parameters to their defaults, calibration too?", abort=True)
        pack.restore()
        session.tell({"restored": "defaults"}, "all parameters have their defaults")
        return
    data = files.read_json(file)
    changed, unknown = files.differences(pack, files.values_of(data, str(file)))
    if unknown and not session.as_json:
        warn(f"this firmware has no parameter {', '.join(unknown)}: left out")
    if changed and not yes and not session.as_json:
        count = f"{len(changed)} parameter" + ("s" if len(changed) > 1 else "")
        typer.confirm(f"Set {count} of pack "
                      f"{pack.hello().get('serial', '').strip()}?", abort=True)
    names = list(changed)
    with session.progress() as bar:
        task = bar.add_task("setting", total=len(names))
        for at in range(0, len(names), _AT_ONCE):
            part = names[at:at + _AT_ONCE]
            pack.set({name: changed[name] for name in part})
            bar.advance(task, len(part))
    session.tell({"restored": str(file), "changed": changed, "unknown": unknown},
                 f"{len(changed)} parameters set, the others had their values already")


def calibrate(session: Session,
              channel: Annotated[str, typer.Argument(
                  help="cell0 to cell15, stack, pack, temp0 to temp3, mos, ambient, zero, "
                       "current.")],
              reference: Annotated[str, typer.Argument(
                  help="What a good meter shows, such as 3.312V, 25.4C or -20A; of zero: "
                       "nothing.")] = "",
              yes: YesOption = False) -> None:
    """Make the pack show what a good meter shows (MEA-04).

    \b
    packctl calibrate cell3 3.312V
    packctl calibrate stack 52.96V
    packctl calibrate zero             with nothing connected
    packctl calibrate current -20A     while 20 A are drawn; zero first
    """
    pack = session.pack
    name, unit = calibration.parameter_of(channel)
    param = pack.param(name)
    wanted = 0
    if channel != "zero":
        if not reference:
            raise WrongUnit(f"Say what the meter shows, such as calibrate {channel} "
                            f"{units.shown({'mV': 3312, 'dC': 254}.get(unit, -20_000), unit)}.")
        meter = Param(f"0;{channel};{unit};-1000000;1000000;0;0;")
        wanted = units.parse(meter, reference)
    name, value, shown = calibration.new_value(pack, channel, wanted)
    if not param.min <= value <= param.max:
        raise WrongUnit(
            f"{channel} shows {units.shown(shown, unit)}, and {units.shown(wanted, unit)} would "
            f"take {name} to {value}, beyond {param.min} to {param.max}: that is a broken board "
            "or a wrong meter, and not a matter of calibration.")
    if not yes and not session.as_json:
        typer.confirm(f"{channel} shows {units.shown(shown, unit)}; set {name} to {value}, was "
                      f"{param.value}?", abort=True)
    pack.set({name: value})
    session.tell({"channel": channel, "shown": shown, "reference": wanted, name: value},
                 f"{name} = {value} {param.unit}")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for function in (params, get, set_, save, restore, backup, calibrate):
        negative = {"ignore_unknown_options": function in (set_, calibrate)}    # -20 is a value
        app.command(function.__name__.rstrip("_"), rich_help_panel="Set",
                    context_settings=negative)(command(function))
