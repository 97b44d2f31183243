"""MicroPython as code for a 32-bit RISC-V processor (rv32imc) on QEMU: the ESP32-C3's and C6's.

Firmware and tests are compiled by mpy-cross into a ROM file system that QEMU puts into memory, so
a change of them builds no interpreter; it talks over the raw REPL at QEMU's standard input.
"""

import concurrent.futures
import os
import pathlib
import select
import subprocess
import time

from mpremote.romfs import VfsRomWriter
import rooms
import toolchain

ARCH = "rv32imc"
_ROM_AT = 0x81000000            # behind what the port's linker script uses
_MOUNT = (f"import sys, uctypes, vfs\n"
          f"vfs.mount(vfs.VfsRom(uctypes.bytearray_at({_ROM_AT}, %d)), '/rom')\n"
          f"sys.path[:] = ['/rom']\n")
_OTHER_BOARDS = ("_rp2.py", "_thumb.py", "_esp32.py", "_xtensa.py")
_NOT_HERE = ("boot.py", "main.py")
_KEEP_ROMS = 6
# The port's `os` has no random bytes, which the PIN's salt is made of.
_OS = """from uos import *
import random


def urandom(count):
    return bytes(random.getrandbits(8) for _ in range(count))
"""


class Rv32Error(Exception):
    """A file cannot be compiled; the text says why."""


def files_of(*folders):
    """{name in the ROM: its bytes} of the firmware, of lib/ and of the flat *folders*."""
    found = {"os.py": _OS.encode(), "profile_names.py": _profile_names()}
    for base in (rooms.ROOT / "firmware", rooms.ROOT / "lib"):
        for path in sorted(base.rglob("*")):
            name = str(path.relative_to(base))
            if (path.suffix in (".py", ".json") and "examples" not in path.parts
                    and not name.endswith(_OTHER_BOARDS) and name not in _NOT_HERE):
                found[name] = path.read_bytes()
    for folder in folders:
        for path in sorted(pathlib.Path(folder).glob("*.py")):
            found[path.name] = path.read_bytes()
    return found


def _profile_names():
    """What boards/application.py makes for an image: there is no folder to be listed."""
    names = sorted(path.stem for path in (rooms.ROOT / "firmware" / "profiles").glob("[!_]*.*")
                   if path.suffix in (".py", ".json"))
    return f"MODULES = {tuple(names)!r}\n".encode()


def _compiled(cross, name, data):
    if not name.endswith(".py"):
        return name, data
    done = subprocess.run([cross, f"-march={ARCH}", "-s", name, "-o", "-", "-"], input=data,
                          capture_output=True)
    if done.returncode:
        raise Rv32Error(f"{name}: {(done.stderr or done.stdout).decode(errors='replace')}")
    return name[:-3] + ".mpy", done.stdout


def rom_of(files):
    """Path of the ROM with *files*, in the cache."""
    cross = toolchain.mpy_cross()
    key = toolchain.hash_of(ARCH, str(cross), *(
        part for name, data in sorted(files.items()) for part in (name, data)))
    roms = toolchain.cache_dir() / "roms"
    rom = roms / f"{key}.rom"
    if rom.exists():
        os.utime(rom)
        return rom
    roms.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = dict(pool.map(lambda row: _compiled(cross, *row), files.items()))
    writer = VfsRomWriter()
    _write(writer, {tuple(name.split("/")): data for name, data in parts.items()})
    part = rom.with_suffix(f".{os.getpid()}")
    part.write_bytes(writer.finalise())
    os.replace(part, rom)
    for old in sorted(roms.glob("*.rom"), key=lambda p: p.stat().st_mtime)[:-_KEEP_ROMS]:
        old.unlink(missing_ok=True)
    return rom


def _write(writer, parts):
    for name in sorted({names[0] for names in parts}):
        inside = {names[1:]: data for names, data in parts.items() if names[0] == name}
        if () in inside:
            writer.mkfile(name, inside[()])
        else:
            writer.opendir(name)
            _write(writer, inside)
            writer.closedir()


def run(rom, source, limit_s):
    """What *source* printed on the machine with *rom*; it is stopped after *limit_s*."""
    command = ["qemu-system-riscv32", "-bios", "none", "-machine", "virt", "-m", "64",
               "-nographic", "-monitor", "none", "-serial", "stdio",
               "-kernel", str(toolchain.rv32()),
               "-device", f"loader,file={rom},addr={_ROM_AT:#x},force-raw=on"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, bufsize=0) as qemu:
        try:
            return _talk(qemu, _MOUNT % rom.stat().st_size + source, limit_s)
        finally:
            qemu.kill()


def _talk(qemu, source, limit_s):
    """Enter the raw REPL, run *source*, return its output and errors."""
    end_s = time.monotonic() + limit_s
    heard = bytearray()

    def until(text):
        while text not in heard:
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not select.select([qemu.stdout], [], [], left_s)[0]:
                return False
            data = os.read(qemu.stdout.fileno(), 65536)
            if not data:
                return False
            heard.extend(data)
        return True

    qemu.stdin.write(b"\r\x03\x01")
    if not until(b"raw REPL; CTRL-B to exit\r\n>"):
        return "QEMU does not answer: " + heard.decode(errors="replace")[-500:]
    heard.clear()
    qemu.stdin.write(source.encode() + b"\x04")
    ended = until(b"\x04>")
    text = heard.decode(errors="replace").replace("\r\n", "\n").removeprefix("OK")
    if not ended:
        return f"{text}\nno end after {limit_s} s"
    return text.removesuffix("\x04>").replace("\x04", "")
