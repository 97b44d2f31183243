"""What can go wrong between this computer and a pack: one class, one exit code, one sentence each.

A library call raises nothing else of its own; the command line prints the sentence and ends with
the exit code. Codes 1, 2 and 130 mean what they mean everywhere: an error of this program, a wrong
command line, Ctrl-C.
"""

from __future__ import annotations


class PackError(Exception):
    """Base of all errors of this package. exit_code: that of the command line."""

    exit_code = 1


class NoSuchPort(PackError):
    """There is no such port; the text lists those that are there."""

    exit_code = 10


class PortInUse(PackError):
    """Another program on this computer has the port open."""

    exit_code = 11


class NoPermission(PackError):
    """This user may not open the port."""

    exit_code = 12


class LinkError(PackError):
    """The pack answers in a way that makes no sense."""

    exit_code = 13


class NoAnswer(LinkError):
    """Nothing came back at all."""

    exit_code = 14


class WrongSpeed(LinkError):
    """Something came back, and none of it is a frame: the port's speed is another one."""

    exit_code = 15


class OtherVersion(LinkError):
    """The pack speaks another version of the protocol."""

    exit_code = 16


class Unplugged(LinkError):
    """The port has gone in the middle of the work."""

    exit_code = 17


class TwoPrograms(LinkError):
    """Another program talks to the pack through the same port, and both disturb each other."""

    exit_code = 18


class Refused(LinkError):
    """The pack answered with an error.

    request: type of the request; code: see link.CODES; text: the pack's own words
    """

    exit_code = 20

    def __init__(self, request: int, code: int, text: str, sentence: str = "") -> None:
        self.request = request
        self.code = code
        self.text = text
        super().__init__(sentence or text)


class PinNeeded(Refused):
    """An owner has set a PIN, and it has not been given."""

    exit_code = 21


class NoSuchParameter(LinkError):
    """The pack has no parameter of that name; the text names those that are near."""

    exit_code = 22


class WrongUnit(LinkError):
    """A value is not in the unit of its parameter."""

    exit_code = 23


class BadFile(PackError):
    """A file cannot be read or written, or holds something else than it should."""

    exit_code = 24


class NotInstalled(PackError):
    """The command needs a part of this package that was not installed."""

    exit_code = 25


class NotAPackage(BadFile):
    """The file is no update file, or one of a kind that this tool does not know."""

    exit_code = 26


class DamagedPackage(BadFile):
    """The update file does not fit its own sums."""

    exit_code = 27


class BadKey(BadFile):
    """A key of an owner cannot be read or written, or is no Ed25519 key."""

    exit_code = 28


class UpdateRefused(Refused):
    """The pack does not take the update; the text is the pack's own."""

    exit_code = 30


class WrongBoard(UpdateRefused):
    """The update is for another board or another division of its flash, or does not fit in."""

    exit_code = 31


class OlderVersion(UpdateRefused):
    """The update is older than what runs, and this was not asked for."""

    exit_code = 32


class NotSigned(UpdateRefused):
    """The owner of the pack wants a signature, and there is none, or it is not his."""

    exit_code = 33


class UpdateBusy(UpdateRefused):
    """Somebody else is updating this pack, or its present firmware is still on trial."""

    exit_code = 34


class UpdateFailed(PackError):
    """The update ended without the new version: the one before runs."""

    exit_code = 35


ALL: tuple[type[PackError], ...] = (
    NoSuchPort, PortInUse, NoPermission, LinkError, NoAnswer, WrongSpeed, OtherVersion, Unplugged,
    TwoPrograms, Refused, PinNeeded, NoSuchParameter, WrongUnit, BadFile, NotInstalled,
    NotAPackage, DamagedPackage, BadKey, UpdateRefused, WrongBoard, OlderVersion, NotSigned,
    UpdateBusy, UpdateFailed)
