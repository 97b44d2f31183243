#!/usr/bin/env python3
"""Put the firmware on a board, start it, and hear its version.

    make flash PORT=/dev/ttyACM0            a Pico with MicroPython on it: copies the files
    make flash PORT=/media/me/RPI-RP2       the drive of a Pico held in BOOTSEL: copies the UF2
    .venv/bin/python tools/flash.py PORT [--files | --uf2] [--debug PORT2]

    --files   copy the application to the board's file system. The default where the board
              runs a MicroPython without packctl in it.
    --uf2     write the whole image. The default for a drive, and for a board whose image has
              packctl frozen in; such a board is sent to BOOTSEL and its drive is waited for.
    --debug   ask for the version on the RS232 debug port as well

While files are copied both FETs are off: the firmware is stopped first. Modules go as .mpy where
the board's MicroPython takes the format of our compiler, else as .py.
"""

import argparse
import ast
import csv
import errno
import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import serial                                                   # noqa: E402
from mpremote.transport import TransportError                   # noqa: E402
from mpremote.transport_serial import SerialTransport           # noqa: E402

import toolchain                                                # noqa: E402

SOURCES = (ROOT / "firmware", ROOT / "lib")
PINS_CSV = ROOT / "boards" / toolchain.BOARD / "pins.csv"
ARCH = "armv6m"
# Of the .mpy format, in the order of sys.implementation._mpy's numbers
_ARCHS = (None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
          "xtensa", "xtensawin", "rv32imc")
# Unfrozen, the application fits the heap only if garbage goes while it is imported.
_START = b"""import gc

gc.threshold(8192)
import packctl_main

gc.collect()
gc.threshold(-1)
App = packctl_main.App
packctl_main.main()
"""
_PLAIN = ("main.py", "boot.py")     # started by name, so they stay text
_DRIVE_FILE = "INFO_UF2.TXT"
_CHUNK = 1024

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


# ---- what is copied ----------------------------------------------------------------------


def application(folders=SOURCES):
    """{path on the board: source file} of everything that runs on an RP2040."""
    files = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if toolchain.ONLY_FOR.get(_ending(path.name), ARCH) == ARCH:
                files[path.relative_to(folder).as_posix()] = path
    return files


def _ending(name):
    return next((ending for ending in toolchain.ONLY_FOR if name.endswith(ending)), "")


def pin_names(path=PINS_CSV):
    """{functional name: "GPIOn"}."""
    with open(path, newline="", encoding="ascii") as lines:
        return {row[0].strip(): row[1].strip() for row in csv.reader(lines)
                if len(row) >= 2 and row[1].strip().startswith("GPIO")}


def with_gpio_names(source, names):
    """*source* with the functional pin names, which a MicroPython for another board does not
    know, replaced by those of the chip. Only whole string literals are replaced."""
    return re.sub(r"(['\"])([A-Z][A-Z0-9_]*)\1",
                  lambda m: m.group(1) + names.get(m.group(2), m.group(2)) + m.group(1), source)


def compiled(source, name, mpy_cross):
    """*source* as .mpy."""
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder) / "module.py"
        text.write_text(source, encoding="utf-8")
        out = text.with_suffix(".mpy")
        done = subprocess.run([mpy_cross, f"-march={ARCH}", "-O3", "-s", name, "-o", out, text],
                              capture_output=True, text=True)
        if done.returncode:
            raise FlashError(f"{name} does not compile: {done.stderr.strip()}")
        return out.read_bytes()


def payload(files, as_mpy, mpy_cross):
    """{path on the board: bytes}."""
    names = pin_names()
    out = {}
    for target, path in files.items():
        source = with_gpio_names(path.read_text(encoding="utf-8"), names)
        if as_mpy and target == "main.py":
            # compiled here: the board's heap would not hold the compiler and the application
            out["packctl_main.mpy"] = compiled(source, "packctl_main.py", mpy_cross)
            out["main.py"] = _START
        elif as_mpy and target not in _PLAIN:
            out[target[:-3] + ".mpy"] = compiled(source, target, mpy_cross)
        else:
            out[target] = source.encode()
    return out


def own_mpy_format(mpy_cross):
    """(version, sub-version) of the .mpy files that our compiler makes."""
    said = subprocess.run([mpy_cross, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"mpy v(\d+)\.(\d+)", said)
    return (int(found.group(1)), int(found.group(2))) if found else None


# ---- a board on a serial port ------------------------------------------------------------


class Board:
    """MicroPython on a serial port. wait_s: how long the port may take to appear."""

    def __init__(self, port, wait_s=0.0, timeout_s=10.0):
        self.port = port
        self._timeout_s = timeout_s
        self._link = self._open(wait_s)

    def _open(self, wait_s):
        end = time.monotonic() + wait_s
        while True:
            try:
                link = SerialTransport(self.port, timeout=self._timeout_s)
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
            self._link.enter_raw_repl(soft_reset=soft_reset, timeout_overall=self._timeout_s)
        except (TransportError, serial.SerialException, OSError) as error:
            if isinstance(error, serial.SerialException) and not os.path.exists(self.port):
                raise FlashError(f"{self.port} has gone; was the board unplugged?") from None
            raise FlashError(
                f"no MicroPython answers on {self.port} within {self._timeout_s:g} s. Is this "
                "the board's USB port? A board without MicroPython takes the UF2: hold BOOTSEL "
                "while plugging it in and give the folder of its drive as PORT") from None
        finally:
            sys.stdout.close()
            sys.stdout = out

    def run(self, source, what):
        return self._guard(what, self._link.exec, source).decode("utf-8", "replace")

    def ask(self, source, what):
        return ast.literal_eval(self.run(source, what).strip())

    def about(self):
        """(platform, machine, MicroPython version, _mpy, frozen packctl version, heap free)"""
        return self.ask(_ABOUT, "asking the board what it is")

    def hash_of(self, path):
        """SHA-256 of a file on the board, None if there is none."""
        if not self._guard("looking at " + path, self._link.fs_exists, path):
            return None
        return bytes(self._guard("reading " + path, self._link.fs_hashfile, path, "sha256",
                                 chunk_size=_CHUNK))

    def files(self):
        """Paths of every file on the board."""
        found = self.run(
            "import os\n"
            "def walk(at):\n"
            "  for row in os.ilistdir(at or '/'):\n"
            "    path = at + '/' + row[0]\n"
            "    if row[1] & 0x4000: walk(path)\n"
            "    else: print(path[1:])\n"
            "walk('')\n", "listing the files")
        return found.split("\r\n")[:-1]

    def make_folder(self, path):
        if not self._guard("looking at " + path, self._link.fs_exists, path):
            self._guard("making the folder " + path, self._link.fs_mkdir, path)

    def write(self, path, data):
        self._guard("writing " + path, self._link.fs_writefile, path, data, chunk_size=_CHUNK)

    def remove(self, path):
        self._guard("removing " + path, self._link.fs_rmfile, path)

    def reset(self, how="machine.reset()"):
        """Restart the chip; the port may go and come back."""
        self._guard("the reset", self._link.exec_raw_no_follow, "import machine\n" + how)
        time.sleep(0.3)
        self.close()

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


def takes_mpy(about, mpy_cross):
    """True if the board loads what our compiler makes."""
    number = about[3]
    arch = number >> 10 & 0xF
    mine = own_mpy_format(mpy_cross)
    return (mine is not None and number & 0xFF == mine[0] and number >> 8 & 3 == mine[1]
            and arch < len(_ARCHS) and _ARCHS[arch] == ARCH)


def copy_files(board, about):
    """Bring the application on the board; returns how many files were written."""
    mpy_cross = toolchain.mpy_cross()
    as_mpy = takes_mpy(about, mpy_cross)
    if not as_mpy:
        say("this MicroPython takes other .mpy files than we can make: copying sources")
    new = payload(application(), as_mpy, mpy_cross)
    there = board.files()
    folders = {path.rsplit("/", 1)[0] for path in new if "/" in path}
    twins = {path[:-4] + ".py" for path in new if path.endswith(".mpy")} | {
        path[:-3] + ".mpy" for path in new if path.endswith(".py")}
    # main.py goes last and is taken away first: a copy cut short never starts half a firmware.
    old = [path for path in there if path in twins
           or path not in new and "/" in path and path.rsplit("/", 1)[0] in folders]
    changed = [path for path, data in new.items()
               if path not in there or board.hash_of(path) != hashlib.sha256(data).digest()]
    if not changed and not old:
        say(f"all {len(new)} files are there already")
        return 0
    if "main.py" in there:
        board.remove("main.py")
    for path in old:
        board.remove(path)
    for folder in sorted(folders):
        board.make_folder(folder)
    order = sorted({*changed, "main.py"}, key=lambda path: (path == "main.py", path))
    for number, path in enumerate(order, 1):
        say(f"{number}/{len(order)} {path} ({len(new[path])} bytes)")
        board.write(path, new[path])
    return len(order)


def version_of_source():
    text = (ROOT / "firmware" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^VERSION = "(.+)"', text, re.M).group(1)


def start_and_check(port, settle_s=3.0, wait_s=15.0):
    """After a reset: main.py has to be running and to give its version. Returns that."""
    board = Board(port, wait_s)
    try:
        text = board.hear(settle_s)
        if "Traceback" in text:
            last = [line for line in text.splitlines() if line.strip(" >")]
            raise FlashError("main.py ended with an error: " + " / ".join(last[-3:]))
        board.interrupt(soft_reset=False)
        started, version = board.ask(_STARTED, "asking main.py for its version")
        if not started:
            raise FlashError(f"packctl {version} is on the board, but main.py did not start")
        board.reset()       # it was interrupted for the question
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
    import link
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


def flash(port, how=None, debug=None):
    """Flash what is at *port*; how: None, "files" or "uf2". Returns the version that answered,
    None where only a drive was written."""
    if os.path.isdir(port):
        if how == "files":
            raise FlashError(f"{port} is a drive: it takes the UF2; files need the serial port "
                             "of a board that runs MicroPython")
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
        if how == "files" and frozen:
            raise FlashError("this board's image has packctl in it, and that main.py would start "
                             "instead of the copied one; use --uf2")
        if how == "uf2" or frozen:
            copy_uf2(to_bootsel(board))
        else:
            copy_files(board, about)
            board.reset()
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
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--files", dest="how", action="store_const", const="files")
    how.add_argument("--uf2", dest="how", action="store_const", const="uf2")
    parser.add_argument("--debug", metavar="PORT", help="serial port wired to RS232 debug")
    args = parser.parse_args(argv)
    try:
        flash(args.port, args.how, args.debug)
    except (FlashError, toolchain.ToolchainError) as error:
        print(f"flash: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("flash: stopped; what is on the board may be incomplete", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
