#!/usr/bin/env python3
"""Put the firmware on a board, start it, and hear its version.

    make flash PORT=/dev/ttyACM0            a Pico with MicroPython on it
    make flash PORT=/media/me/RPI-RP2       the drive of a Pico held in BOOTSEL: copies the UF2
    .venv/bin/python tools/image/flash.py PORT [--bootsel] [--debug PORT2]

    --bootsel   send the board to BOOTSEL and copy the UF2 to its drive. The default for a board
                whose image has packctl in it already: its records and parameters stay.
    --debug     ask for the version on the RS232 debug port as well

A Pico with a plain MicroPython gets the same image over its serial port, without a drive to be
mounted: the image is laid into the upper end of the flash, where its files were, checked there,
and copied down by a routine that runs in RAM (stage_thumb.py). Unfrozen, as files, the
application does not fit the RAM of an RP2040. Cut off while copying, the board starts no more;
BOOTSEL helps.

A running packctl gives its prompt only when asked for (SAF-10): the word `prompt` is sent first,
and both FETs are open before the firmware stops. A firmware that does not react any more is
flashed by way of BOOTSEL (boards/README.md).
"""

import argparse
import ast
import base64
import errno
import os
import pathlib
import re
import shutil
import struct
import sys
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import serial                                                   # noqa: E402
from mpremote.transport import TransportError                   # noqa: E402
from mpremote.transport_serial import SerialTransport           # noqa: E402

import toolchain                                                # noqa: E402
from rooms import ROOT                                          # noqa: E402

_DRIVE_FILE = "INFO_UF2.TXT"
_SECTOR = 4096                      # least piece of flash that can be erased
PATIENCE = float(os.environ.get("PACKCTL_PATIENCE", "1"))     # factor on waits for an answer
_PROMPT_S = 5.0                     # for one answer of the prompt
_ASK = b"\rprompt\r"                # at a prompt that is there already only a NameError
_SECTOR_S = 0.08                    # what erasing and writing one takes, with a little to spare
_XIP = 0x10000000                   # address at which flash is read
_STAGE = pathlib.Path(__file__).parent / "on_device" / "stage_thumb.py"

_ABOUT = """
import sys, os, gc
path = sys.path[:]
sys.path[:] = ['.frozen']
try:
    from version import VERSION
except ImportError:
    VERSION = None
sys.path[:] = path
sys.modules.pop('version', None)
gc.collect()
print(repr((sys.platform, os.uname().machine, '.'.join(map(str, sys.implementation.version[:3])),
            getattr(sys.implementation, '_mpy', 0), VERSION, gc.mem_free())))
"""
# The watchdog of a firmware that was stopped must not bite meanwhile (RP2040, clear alias).
_NO_WATCHDOG = "import machine; machine.mem32[0x4005B000] = 1 << 30"
_STARTED = "print(repr(('App' in globals(), __import__('version').VERSION)))"


class FlashError(Exception):
    """The board was not flashed; the text says why and what to do."""


def say(text):
    print(f"flash: {text}", flush=True)


# ---- the image ---------------------------------------------------------------------------


def sectors_of(uf2):
    """{offset in flash: bytes of one sector} of the bytes of a UF2 for the RP2040."""
    sectors = {}
    for at in range(0, len(uf2), 512):
        magic0, magic1, _, address, count = struct.unpack_from("<IIIII", uf2, at)
        if (magic0, magic1) != (0x0A324655, 0x9E5D5157) or count > 476:
            raise FlashError(f"no UF2: block {at // 512} does not begin as one")
        offset = address - _XIP
        for i in range(count):
            sector = sectors.setdefault(offset + i & -_SECTOR, bytearray(b"\xff" * _SECTOR))
            sector[offset + i & _SECTOR - 1] = uf2[at + 32 + i]
    return dict(sorted(sectors.items()))


# ---- a board on a serial port ------------------------------------------------------------


class Transport(SerialTransport):
    """mpremote's, with patience for a board that is emulated on a busy machine."""

    def read_until(self, min_num_bytes, ending, timeout=10, data_consumer=None,
                   timeout_overall=None):
        before = self.serial.timeout
        self.serial.timeout = 0.05      # on a pseudo-terminal each of its reads waits so long
        try:
            return super().read_until(
                min_num_bytes, ending, timeout and timeout * PATIENCE, data_consumer,
                timeout_overall and timeout_overall * PATIENCE)
        finally:
            self.serial.timeout = before


class Board:
    """MicroPython on a serial port. wait_s: how long the port may take to appear."""

    def __init__(self, port, wait_s=0.0, timeout_s=15.0):
        self.port = port
        self._timeout_s = timeout_s * PATIENCE
        self._link = self._open(wait_s)

    def _open(self, wait_s):
        end = time.monotonic() + wait_s
        while True:
            try:
                link = Transport(self.port, timeout=self._timeout_s)
                link.serial.write_timeout = self._timeout_s
                return link
            except (TransportError, OSError) as error:
                if time.monotonic() >= end:
                    raise FlashError(self._why_not_open(error)) from None
                time.sleep(0.2)

    def _why_not_open(self, error):
        if not os.path.exists(self.port):
            near = [p.device for p in serial.tools.list_ports.comports() if p.vid is not None]
            there = "; these are there: " + ", ".join(near) if near else ""
            return f"there is no port {self.port}{there}. Is the board plugged in?"
        try:
            with open(self.port, "rb", buffering=0):
                pass
        except OSError as reason:
            if reason.errno == errno.EACCES:
                return f"no permission for {self.port}; join the group that owns it (dialout)"
            if reason.errno == errno.EBUSY:
                return f"{self.port} is in use by another program"
        else:
            return (f"{self.port} cannot be had: another program holds it (a terminal? "
                    "another mpremote?), or it is not a serial port")
        return f"{self.port} cannot be opened: {error}"

    def close(self):
        try:
            self._link.close()
        except OSError:
            pass

    def _guard(self, what, function, *arguments, **options):
        try:
            return function(*arguments, **options)
        except (TransportError, serial.SerialException, OSError, struct.error) as error:
            text = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise FlashError(f"{what} failed on {self.port}: {text[0]}") from None

    def interrupt(self, soft_reset):
        """Stop whatever runs and take the prompt; *soft_reset* forgets its variables."""
        out, sys.stdout = sys.stdout, open(os.devnull, "w")     # mpremote prints what it got
        try:
            self._take_prompt(soft_reset)
        except (TransportError, serial.SerialException, OSError) as error:
            if isinstance(error, serial.SerialException) and not os.path.exists(self.port):
                raise FlashError(f"{self.port} has gone; was the board unplugged?") from None
            raise FlashError(
                f"no MicroPython answers on {self.port} within {self._timeout_s:g} s. Is this "
                "the board's USB port? Where an owner's PIN is set, give it on the debug port "
                "first. A board without MicroPython takes the UF2: hold BOOTSEL "
                "while plugging it in and give the folder of its drive as PORT") from None
        finally:
            sys.stdout.close()
            sys.stdout = out

    def _take_prompt(self, soft_reset):
        """Ask until it answers: a running packctl needs some seconds to open its FETs, one that
        is starting takes no notice of the first word."""
        end = time.monotonic() + self._timeout_s
        while True:
            self._link.serial.write(_ASK)
            try:
                self._link.enter_raw_repl(soft_reset=soft_reset,
                                          timeout_overall=min(_PROMPT_S * min(PATIENCE, 2),
                                                              self._timeout_s) / PATIENCE)
                return
            except TransportError:
                if time.monotonic() >= end:
                    raise

    def run(self, source, what):
        return self._guard(what, self._link.exec, source).decode("utf-8", "replace")

    def ask(self, source, what):
        return ast.literal_eval(self.run(source, what).strip())

    def about(self):
        """(platform, machine, MicroPython version, _mpy, frozen packctl version, heap free)"""
        return self.ask(_ABOUT, "asking the board what it is")

    def start(self, source):
        """Run what ends with a restart of the chip; the port may go and come back."""
        self._guard("the restart", self._link.exec_raw_no_follow, source)
        time.sleep(0.3)
        self.close()

    def reset(self, how="machine.reset()"):
        self.start("import machine\n" + how)

    def hear(self, seconds):
        """What the board prints by itself."""
        heard = b""
        port = self._link.serial
        port.timeout = 0.1
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            heard += self._guard("listening", port.read, 4096)
        port.timeout = self._timeout_s
        return heard.decode("utf-8", "replace")


def check_board(about, port):
    platform, machine = about[:2]
    if platform != "rp2" or "RP2040" not in machine:
        raise FlashError(f"on {port} is a {machine} (platform {platform}); this firmware is for "
                         "boards with an RP2040")


def write_image(board):
    """Lay the image into the upper end of the board's flash, and have it copied down.

    The board restarts by itself with the new image.
    """
    image = toolchain.firmware()
    if not image.frozen:
        raise FlashError(f"{image.uf2} has no application in it; unset MICROPY_UF2")
    sectors = sectors_of(image.uf2.read_bytes())
    board.run(_STAGE.read_text(encoding="utf-8"), "preparing")
    free = board.ask(f"print(begin({len(sectors)}))", "making room")
    if free < max(sectors) + _SECTOR:
        raise FlashError(f"the board's flash is too small: its files and the image leave {free} "
                         f"bytes, the image reaches to {max(sectors) + _SECTOR}")
    for number, data in enumerate(sectors.values()):
        if number % 32 == 0:
            say(f"{number}/{len(sectors)} blocks of {_SECTOR} bytes")
        board.run(f"put({number}, {base64.b64encode(data)})", f"writing block {number}")
    told = board.ask("print(checksum())", "reading it back")
    if told != zlib.crc32(b"".join(sectors.values())):
        raise FlashError("what was written does not read back the same; nothing was changed "
                         "below the file system")
    say("copying it down")
    board.start(f"copy_down({list(sectors)})")
    time.sleep(len(sectors) * _SECTOR_S)


def version_of_source():
    text = (ROOT / "firmware" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^VERSION = "(.+)"', text, re.M).group(1)


def start_and_check(port, settle_s=3.0, wait_s=15.0):
    """After a reset: main.py has to be running and to give its version. Returns that."""
    board = Board(port, wait_s, timeout_s=30.0)
    try:
        text = board.hear(settle_s)
        if "Traceback" in text:
            last = [line for line in text.splitlines() if line.strip(" >")]
            raise FlashError("main.py ended with an error: " + " / ".join(last[-3:]))
        board.interrupt(soft_reset=False)
        started, version = board.ask(_STARTED, "asking main.py for its version")
        if not started:
            raise FlashError(f"packctl {version} is on the board, but main.py did not start")
        board.reset()       # it was stopped for the question
    finally:
        board.close()
    board = Board(port, wait_s)
    try:
        text = board.hear(1.0)
        if "Traceback" in text:
            raise FlashError("main.py started once and then no more: " + text.strip()[-200:])
    finally:
        board.close()
    return version


def ask_debug_port(port, timeout_s=1.0):
    """The version that the firmware tells on its debug port."""
    from packctl import link
    try:
        stream = link.open_serial(port)
    except OSError as error:
        raise FlashError(f"the debug port {port} cannot be opened: {error}") from None
    try:
        exchange = link.StreamExchange(stream, timeout_s=timeout_s, tries=5)
        return link.Client(exchange).hello()["version"]
    except (link.LinkError, KeyError) as error:
        raise FlashError(f"debug port {port}: {error}") from None
    finally:
        stream.close()


# ---- a board in BOOTSEL ------------------------------------------------------------------


def check_drive(folder):
    """FlashError unless *folder* is the drive of an RP2040 in BOOTSEL."""
    info = folder / _DRIVE_FILE
    if not info.exists():
        raise FlashError(f"{folder} is not the drive of a board in BOOTSEL: it has no "
                         f"{_DRIVE_FILE}. Hold BOOTSEL while plugging the board in")
    found = re.search(r"^Board-ID:\s*(\S+)", info.read_text(errors="replace"), re.M)
    name = found.group(1) if found else "unknown"
    if name != "RPI-RP2":
        raise FlashError(f"{folder} belongs to a board {name}; this firmware is for the RP2040 "
                         "(RPI-RP2)")


def mounted_drives():
    """Folders of boards in BOOTSEL that the system has mounted."""
    user = os.environ.get("USER", "*")
    places = (pathlib.Path("/media"), pathlib.Path("/run/media"), pathlib.Path("/Volumes"))
    found = []
    for place in places:
        for pattern in ("RPI-RP2", f"{user}/RPI-RP2"):
            found += [folder for folder in place.glob(pattern) if (folder / _DRIVE_FILE).exists()]
    return found


def copy_uf2(folder):
    """Write the image to the drive *folder*."""
    check_drive(folder)
    image = toolchain.firmware()
    say(f"writing {image.uf2.name} ({image.uf2.stat().st_size} bytes) to {folder}")
    try:
        with open(image.uf2, "rb") as source, open(folder / image.uf2.name, "wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        # The board restarts by itself with the last block, and its drive goes with it.
        if error.errno not in (errno.EIO, errno.ENODEV, errno.ENOENT) or folder.exists():
            raise FlashError(f"writing to {folder} failed: {error.strerror}") from None


def to_bootsel(board, wait_s=20.0, drives=mounted_drives):
    """Send a running board to BOOTSEL; returns the folder of its drive."""
    say("sending the board to BOOTSEL")
    board.reset("machine.bootloader()")
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        found = drives()
        if found:
            return found[0]
        time.sleep(0.3)
    raise FlashError(f"the board's drive was not mounted within {wait_s:g} s; mount it and run "
                     "make flash PORT=<its folder>")


# ---- command line ------------------------------------------------------------------------


def flash(port, bootsel=False, debug=None):
    """Flash what is at *port*. Returns the version that answered, None where only a drive was
    written."""
    if os.path.isdir(port):
        copy_uf2(pathlib.Path(port))
        say("written; the board starts by itself")
        return ask_debug_port(debug) if debug else None
    board = Board(port)
    try:
        board.interrupt(soft_reset=True)
        about = board.about()
        check_board(about, port)
        board.run(_NO_WATCHDOG, "stopping the watchdog")
        _, machine, micropython, _, frozen, _ = about
        say(f"{machine}, MicroPython {micropython}"
            + (f", packctl {frozen} in its image" if frozen else ""))
        if bootsel or frozen:
            copy_uf2(to_bootsel(board))
        else:
            write_image(board)
    finally:
        board.close()
    say("waiting for main.py")
    version = start_and_check(port)
    if version != version_of_source():
        raise FlashError(f"the board answers version {version}, not {version_of_source()}")
    if debug:
        told = ask_debug_port(debug)
        if told != version:
            raise FlashError(f"the debug port answers version {told}, not {version}")
    say(f"packctl {version} is running")
    return version


def main(argv=None):
    parser = argparse.ArgumentParser(description="Put the firmware on a board.")
    parser.add_argument("port", help="serial port, or folder of the BOOTSEL drive")
    parser.add_argument("--bootsel", action="store_true", help="through the drive of BOOTSEL")
    parser.add_argument("--debug", metavar="PORT", help="serial port wired to RS232 debug")
    args = parser.parse_args(argv)
    try:
        flash(args.port, args.bootsel, args.debug)
    except (FlashError, toolchain.ToolchainError) as error:
        print(f"flash: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("flash: stopped; what is on the board may be incomplete", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
