"""Ports as streams, and requests over a stream.

A port is a serial port (COM3, /dev/ttyUSB0), a pseudo-terminal, or any address that pyserial
knows (socket://host:port, rfc2217://host:port). It is opened for this program alone.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Protocol

from .errors import (
    NoAnswer, NoPermission, NoSuchPort, OtherVersion, PackError, PortInUse, TwoPrograms,
    Unplugged, WrongSpeed,
)
from .frames import (
    ANSWER, ERROR, NAMES, REPEATABLE, SEQ_CLIENT, UPDATE_PAGE, UPDATE_STATE, Frame, Splitter,
    check_answer, encode, other_version,
)

BAUD = 115_200                  # of the debug port
_READ_S = 0.02
_UNASKED = (UPDATE_PAGE | ANSWER, UPDATE_STATE | ANSWER)    # updating.py sends many at once
_OURS = 16                      # requests whose late answers are still ours
_HEARD = 2048                   # bytes kept of what makes no sense


class Stream(Protocol):
    """What requests go over."""

    def read(self, count: int) -> bytes:
        """What has come, b"" after a short wait."""

    def write(self, data: bytes) -> object:
        """Send *data*."""


# ---- what is there -------------------------------------------------------------------------


class PortInfo:
    """A serial port of this computer. name: what --port takes; what: a few words; usb: on USB."""

    def __init__(self, name: str, what: str, usb: bool) -> None:
        self.name = name
        self.what = what
        self.usb = usb


def list_ports() -> list[PortInfo]:
    """The serial ports of this computer, those on USB first."""
    from serial.tools import list_ports as tools
    found = []
    for port in tools.comports():
        if port.vid is None and port.hwid == "n/a" and not port.description.strip("n/a"):
            continue                        # a chip's port that nothing is wired to
        what = port.description if port.description != "n/a" else ""
        found.append(PortInfo(port.device, what, port.vid is not None))
    return sorted(found, key=lambda port: (not port.usb, port.name))


def there_are(ports: list[PortInfo] | None = None) -> str:
    """The ports of this computer as a sentence."""
    ports = list_ports() if ports is None else ports
    if not ports:
        return "This computer has no serial port: is the adapter plugged in?"
    return "There are: " + ", ".join(
        port.name + (f" ({port.what})" if port.what else "") for port in ports) + "."


def choose_port() -> str:
    """The one port that a pack can be on; NoSuchPort with a list where that is not clear."""
    ports = list_ports()
    usb = [port for port in ports if port.usb]
    if len(usb) == 1:
        return usb[0].name
    raise NoSuchPort("Say which port the pack is on, with --port NAME or PACKCTL_PORT. "
                     + there_are(ports))


# ---- a port --------------------------------------------------------------------------------


class Port:
    """An open port; what goes wrong on it is Unplugged."""

    def __init__(self, name: str, baud: int = BAUD) -> None:
        import serial
        self.name = name
        try:
            self._serial = serial.serial_for_url(name, baud, timeout=_READ_S, write_timeout=2.0,
                                                 exclusive=True)
        except (OSError, ValueError) as error:      # SerialException is an OSError
            raise _why_not_open(name, error) from None
        self._gone: tuple[type[Exception], ...] = (OSError, TypeError)

    def read(self, count: int = 4096) -> bytes:
        """What has come, at most *count* bytes; b"" after a short wait."""
        try:
            data = self._serial.read(1)
            if data:
                data += self._serial.read(min(count - 1, self._serial.in_waiting))
            return bytes(data)
        except self._gone:
            raise self._unplugged() from None

    def write(self, data: bytes) -> None:
        """Send *data*."""
        try:
            self._serial.write(data)
        except self._gone:
            raise self._unplugged() from None

    def _unplugged(self) -> Unplugged:
        return Unplugged(f"The port {self.name} has gone in the middle of the work: "
                         "was the cable pulled, or the other side closed?")

    def close(self) -> None:
        """Let go of the port."""
        try:
            self._serial.close()
        except OSError:
            pass


def _why_not_open(name: str, error: Exception) -> PackError:
    number = getattr(error, "errno", None)
    text = str(error)
    if "xclusiv" in text or number in (errno.EBUSY, errno.EAGAIN):
        return PortInUse(f"The port {name} is in use by another program on this computer: end "
                         "that one first (a terminal, another packctl, a monitor).")
    if number == errno.EACCES or "PermissionError" in text or "Access is denied" in text:
        if os.name == "nt":
            return PortInUse(f"The port {name} is in use by another program on this computer.")
        return NoPermission(f"You may not open {name}: join the group that owns it "
                            "(often dialout), and log in again.")
    if "://" in name:
        if isinstance(error, ValueError):
            return NoSuchPort(f"{name} is no address of a port: it has to be like "
                              "socket://192.168.1.20:4001.")
        return NoSuchPort(f"Nothing listens at {name}: is the address right, and the other side "
                          "running?")
    if number in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        return NoSuchPort(f"{name} is no serial port. {there_are()}")
    return NoSuchPort(f"There is no port {name}. {there_are()}")


# ---- requests over a stream ----------------------------------------------------------------


class StreamExchange:
    """Requests over a stream.

    stream     object with read(n) that returns what has come (b"" after a short wait) and
               write(data)
    seqs       first and last sequence number to use
    start      the one to begin with; two programs that begin with different ones see each other
    on_text    None | called with bytes that belong to no frame
    others     answers that were to somebody else's requests
    """

    def __init__(self, stream: Stream, seqs: tuple[int, int] = SEQ_CLIENT, timeout_s: float = 1.0,
                 tries: int = 3, on_text: Callable[[bytes], object] | None = None,
                 start: int | None = None) -> None:
        self._stream = stream
        self._first, self._last = seqs
        self._seq = self._first if start is None else start
        self._timeout_s = timeout_s
        self._tries = tries
        self._splitter = Splitter()
        self._on_text = on_text
        self._ours: list[int] = []
        self._heard = b""
        self.others = 0

    def __call__(self, kind: int, payload: bytes) -> bytes:
        return self.ask(kind, payload, kind in REPEATABLE)

    def ask(self, kind: int, payload: bytes, again: bool) -> bytes:
        """Payload of the answer. again: a lost answer may be asked for once more."""
        tries = self._tries if again else 1
        self._heard = b""
        others = self.others
        for _ in range(tries):
            seq = self._seq
            self._seq = self._first if seq >= self._last else seq + 1
            self._ours = [*self._ours[1 - _OURS:], seq]
            self._stream.write(encode(seq, kind, payload))
            frame = self._wait(seq, kind)
            if frame is not None:
                return check_answer(kind, frame)
        waited = f"{tries} x {self._timeout_s:g} s" if tries > 1 else f"{self._timeout_s:g} s"
        raise self._why_silent(NAMES.get(kind, str(kind)), waited, self.others - others)

    def _why_silent(self, what: str, waited: str, others: int) -> PackError:
        other = other_version(self._heard)
        if other is not None:
            return OtherVersion(f"The pack answers with frames of version {other}, and this tool "
                                "speaks version 1: use the tool that came with that firmware.")
        if others:
            return TwoPrograms("Another program talks to this pack through the same port, and "
                               "both disturb each other: end one of them.")
        strange = sum(not (byte in b"\r\n\t" or 0x20 <= byte < 0x7F) for byte in self._heard)
        if strange > len(self._heard) // 4:
            return WrongSpeed(f"{len(self._heard)} bytes came that make no sense: the port's "
                              f"speed is another one. The debug port has {BAUD} bit/s.")
        if self._heard:
            return NoAnswer(f"Only plain text came within {waited}, no answer to {what}: is a "
                            "MicroPython prompt or another device at this port?")
        return NoAnswer(f"no answer to {what} within {waited}; is this the debug port, with "
                        f"{BAUD} bit/s, and is the pack on?")

    def _wait(self, seq: int, kind: int) -> Frame | None:
        end = time.monotonic() + self._timeout_s
        while time.monotonic() < end:
            for piece in self._splitter.feed(self._stream.read(4096)):
                if not isinstance(piece, Frame):
                    self._heard = (self._heard + piece)[-_HEARD:]
                    if self._on_text:
                        self._on_text(piece)
                elif piece.seq == seq and piece.kind in (kind | ANSWER, ERROR):
                    return piece
                elif (piece.kind & ANSWER and piece.seq not in self._ours
                      and piece.kind not in _UNASKED):
                    self.others += 1
        return None
