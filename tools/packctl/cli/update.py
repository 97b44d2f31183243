"""Commands for a new firmware: update, update-key, pkg info, pkg sign, pkg key."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .. import package as packages
from .. import signing, updating
from ..errors import (
    BadKey, LinkError, NoAnswer, NoSuchPort, PortInUse, Refused, Unplugged, UpdateFailed,
)
from ..pack import Pack
from ..package import PAGE, Package
from ..ports import BAUD
from ..updating import UpdateStatus
from .session import JsonOption, Session, attempt, command, warn

_T = TypeVar("_T")
_AGAIN_S = 1.0
_STEPS = {"verifying": "checking the signature", "receiving": "sending",
          "checking": "the pack looks at it", "ready": "ready"}
_PASSING = (NoAnswer, Unplugged, NoSuchPort, PortInUse)


class _Bar:
    """Progress on standard error: what is done, kB/s, time left."""

    def __init__(self, session: Session) -> None:
        console = session.progress().console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=console,
            transient=True, disable=session.as_json or not console.is_terminal)
        self._task = self._progress.add_task("waiting for the pack", total=None, rate="")
        self._state = ""
        self._from = 0
        self._since = 0.0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, now: UpdateStatus) -> None:
        """Where the update is."""
        done = now.received if now.state == "receiving" else now.done
        if now.state != self._state:
            self._state, self._from, self._since = now.state, done, time.monotonic()
        past_s = time.monotonic() - self._since
        rate = ""
        if now.state == "receiving" and past_s > 0.5:
            rate = f"{(done - self._from) * PAGE / past_s / 1000:.1f} kB/s"
        self._progress.update(self._task, description=_STEPS.get(now.state, now.state),
                              completed=done, total=now.total or None, rate=rate)

    def say(self, text: str) -> None:
        """Something that takes a while."""
        self._state = ""
        self._progress.update(self._task, description=text, total=None, rate="")


def _patiently(session: Session, patience_s: float, bar: _Bar,
               work: Callable[[Pack], _T]) -> _T:
    """*work* on the pack, again and again while the pack is away, at most *patience_s* at once."""
    away = 0.0
    while True:
        try:
            pack = session.pack
            away = 0.0
            return work(pack)
        except (LinkError, NoSuchPort, PortInUse) as error:
            if isinstance(error, Refused) or not isinstance(error, _PASSING):
                raise
            away = away or time.monotonic()
            if time.monotonic() - away > patience_s:
                raise
            bar.say("waiting for the pack")
            session.close()
            time.sleep(_AGAIN_S)


def _outcome(session: Session, bar: _Bar, before: UpdateStatus, confirm_s: float) -> UpdateStatus:
    """Wait for the new start, and until the image has proven itself or was sent back."""
    bar.say("the pack starts anew")
    end = time.monotonic() + confirm_s
    now = before
    while time.monotonic() < end:
        time.sleep(_AGAIN_S)
        now = _patiently(session, 60.0, bar, updating.status)
        if now.running != before.running:
            if now.running == now.confirmed and not now.trial:
                return now
            bar.say("the new firmware proves itself")
        elif not now.trial and now.state == "idle":
            raise UpdateFailed("The pack went back to the firmware before: "
                               f"{now.text or now.refused}.")
    return now


def update(session: Session,
           file: Annotated[Optional[Path], typer.Argument(
               metavar="FILE", help="The update file, packctl-BOARD-VERSION.pkg.")] = None,
           older: Annotated[bool, typer.Option(
               "--older", help="Also if it is older than what runs.")] = False,
           rollback: Annotated[bool, typer.Option(
               "--rollback", help="Back to the firmware before this one; takes no file.")] = False,
           patience: Annotated[float, typer.Option(
               "--patience", min=0, help="How long to wait for a pack that went away, s.")] = 120,
           wait: Annotated[float, typer.Option(
               "--wait", min=0, help="How long to wait until the new firmware has proven itself, "
                                     "s; 0: not at all.")] = 120) -> None:
    """Bring a new firmware to the pack, which works meanwhile (SAF-06).

    The new one has to prove itself; else the pack goes back to the one before. A transfer that was
    interrupted goes on where it was when the command is given again.

    \b
    packctl update packctl-PACKCTL_PICO-0.2.0.pkg
    packctl update packctl-PACKCTL_PICO-0.1.0.pkg --older
    packctl update --rollback
    """
    if rollback == (file is not None):
        raise typer.BadParameter("give a FILE, or --rollback and no file")
    with _Bar(session) as bar:
        package = packages.read(file) if file is not None else None
        before = _patiently(session, 0.0, bar, updating.status)
        if package is not None:
            began = time.monotonic()
            _patiently(session, patience, bar,
                       lambda pack: updating.send(pack, package, older, bar.show))
            took_s = time.monotonic() - began
            updating.start(session.pack)
        else:
            took_s = 0.0
            updating.go_back(session.pack)
        now = _outcome(session, bar, before, wait) if wait else before
        version = _patiently(session, 60.0, bar, Pack.hello).get("version") if wait else None
    slot = "AB"[before.slot]
    proven = wait and now.running != before.running and now.confirmed == now.running
    text = ("the new firmware was started and has yet to prove itself" if not proven else
            f"the pack runs version {version}, in slot {slot}, which has proven itself")
    session.tell({"version": version, "slot": slot, "confirmed": bool(proven),
                  "transfer_s": round(took_s, 1)}, text)


def update_key(session: Session, key: Annotated[Optional[str], typer.Argument(
        metavar="KEY|off", help="64 hexadecimal digits, the file of a private key, or "
                                "off.")] = None) -> None:
    """The owner's public key: where one is set, only files signed with it are taken (SAF-06).

    \b
    packctl update-key
    packctl update-key owner.pem
    packctl update-key off
    """
    public: bytes | None = None
    if key == "off":
        public = b""
    elif key is not None:
        public = _public(key)
    text = session.pack.update_key(public)
    session.tell({"key": text}, text)


def _public(key: str) -> bytes:
    if Path(key).is_file():
        return signing.public_of(key)
    try:
        public = bytes.fromhex(key)
    except ValueError:
        public = b""
    if len(public) != 32:
        raise BadKey(f"{key!r} is neither 64 hexadecimal digits nor the file of a private key.")
    return public


# -- files -----------------------------------------------------------------------------------


def _offline(as_json: bool, work: Callable[[Session], None]) -> None:
    """A command on a file: errors as those of the others."""
    session = Session(None, BAUD, 1.0, None, as_json)
    attempt(session, lambda: work(session))


def _about(package: Package) -> dict[str, Any]:
    return {"board": package.board, "version": package.version, "schema": package.schema,
            "layout": package.layout, "image_bytes": package.image_bytes,
            "slots_apart": package.distance, "pages": len(package.records),
            "words_moved": sum(len(record.places) for record in package.records),
            "pages_twice": sum(record.other is not None for record in package.records),
            "sha256_a": package.digests[0].hex(), "sha256_b": package.digests[1].hex(),
            "signature": package.signature.hex() or None}


def info(file: Path, key: Annotated[Optional[str], typer.Option(
            "--key", help="Is it signed with this one? 64 hexadecimal digits, or the file of the "
                          "private key.")] = None, as_json: JsonOption = False) -> None:
    """What an update file holds, and whether it is whole."""
    def work(session: Session) -> None:
        package = packages.read(file)
        about = _about(package)
        if key is not None:
            about["signed_with_key"] = bool(package.signature) and signing.is_signed_by(
                package, _public(key))
        session.tell(about, "\n".join(
            f"{name:16}{'none' if value is None else value}" for name, value in about.items()))
    _offline(as_json, work)


def sign(file: Path, key: Annotated[Path, typer.Option(
            "--key", help="File of the private key.")], as_json: JsonOption = False) -> None:
    """Sign an update file with an owner's private key; the file is written anew."""
    def work(session: Session) -> None:
        package = packages.read(file)
        public = signing.sign(package, key)
        beside = file.with_name(file.name + ".new")
        beside.write_bytes(package.to_bytes())
        beside.replace(file)
        session.tell({"key": public.hex()}, f"signed; the public key is {public.hex()}")
    _offline(as_json, work)


def new_key(file: Path, as_json: JsonOption = False) -> None:
    """Make an owner's private key; its public one goes to the pack with `packctl update-key`."""
    def work(session: Session) -> None:
        public = signing.make_key(file)
        warn(f"{file} is the private key: keep it, and keep it secret")
        session.tell({"key": public.hex()}, public.hex())
    _offline(as_json, work)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(rich_help_panel="Do")(command(update))
    app.command("update-key", rich_help_panel="Do")(command(update_key))
    files = typer.Typer(no_args_is_help=True, help="Update files: look at one, sign one.")
    for name, function in (("info", info), ("sign", sign), ("key", new_key)):
        files.command(name)(function)
    app.add_typer(files, name="pkg", rich_help_panel="Do")
