#!/usr/bin/env python3
"""Get and build MicroPython: the unix interpreter, mpy-cross and the board's UF2.

    python3 tools/toolchain.py unix            path of the interpreter for this computer
    python3 tools/toolchain.py mpy-cross       path of the compiler
    python3 tools/toolchain.py firmware        build/packctl-pico.uf2, application frozen in,
                                               and the contents of each slot of an update beside
                                               it: packctl-pico-a.bin, packctl-pico-b.bin
        --extra DIR    freeze the .py files of DIR as well; they win over files of the
                       same name (repeatable: the last one wins)
        --out FILE     write the UF2 there
        --json         print path, sizes and what else is known instead of the path
    python3 tools/toolchain.py all             all three; prints what `paths` prints
    python3 tools/toolchain.py size            flash and bytes per frozen module
    python3 tools/toolchain.py crosscheck      compile every module for both processors
    python3 tools/toolchain.py sources         MicroPython's source tree
    python3 tools/toolchain.py paths           JSON of everything that is there already
    python3 tools/toolchain.py clean           empty the cache

The result goes to standard output, progress to standard error. As a module: `unix()`,
`mpy_cross()`, `firmware(extra, out)`, `crosscheck()` and `paths()` do the same.

Sources are packages of Debian 13, fetched with the apt of this computer through folders of
its own, so the system's list of packages stays as it is. Everything is kept in
${PACKCTL_CACHE:-${XDG_CACHE_HOME:-~/.cache}/packctl} under a hash of what went into it; a
second call finds it there. What the user has already can be used instead:

    MICROPY_DIR     a MicroPython checkout with its submodules: built instead of the packages
    MICROPYTHON     a unix interpreter (else a `micropython` on PATH that can do enough)
    MPY_CROSS       a mpy-cross (else one on PATH of the same .mpy version)
    MICROPY_UF2     an official UF2, to be emulated without the application
    PACKCTL_MIRROR  address of a Debian mirror, where apt is not set up with one
"""

import argparse
import contextlib
import fcntl
import hashlib
import inspect
import importlib.util
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import time
import typing

import pico_image

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOARD = "PACKCTL_PICO"
DEFAULT_UF2 = ROOT / "build" / "packctl-pico.uf2"

# Raised whenever the recipes below change what comes out: old results are then not used.
RECIPE = "1"

SUITE = "trixie"  # the Debian release whose packages fit together (MicroPython 1.25)
SOURCE_PACKAGES = ("micropython", "mbedtls")
BINARY_PACKAGES = ("pico-sdk-source", "tinyusb-source")
KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")

HOST_PACKAGES = ("build-essential", "pkg-config", "python3")
TEST_PACKAGES = ("mosquitto",)      # each is named as its program is
WEB_PACKAGES = ("npm",)                 # brings the interpreter of the page
BROWSER_PACKAGES = ("npm", "chromium")  # ... and what looks at it
RV32_PACKAGES = ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf", "qemu-system-misc")
PICOLIBC = pathlib.Path("/usr/lib/picolibc/riscv64-unknown-elf/picolibc.specs")
ARM_PACKAGES = (
    "gcc-arm-none-eabi",
    "libnewlib-arm-none-eabi",
    "libstdc++-arm-none-eabi-newlib",
    "cmake",
)

# The unix port without what the tests do not use (and what the package has no source of).
UNIX_MAKE = (
    "VARIANT=standard",
    "MICROPY_PY_SSL=0",
    "MICROPY_PY_BTREE=0",
    "MICROPY_PY_FFI=0",
    "MICROPY_PY_THREAD=0",  # nobody uses them: a tenth of the time of the bench
    # 12 % faster than the port's -Os; a cache of names that so large a program fits in: 15 %
    "COPT=-O2 -DNDEBUG -DMICROPY_OPT_MAP_LOOKUP_CACHE_SIZE=4096",
)
UNIX_MANIFEST = 'include("$(MPY_DIR)/extmod/asyncio")\n'

FLASH_BYTES = 2 * 1024 * 1024
FLASH_BASE = 0x10000000

KEEP_IMAGES = 24  # firmware results kept in the cache (a few hundred kB each, debug data apart)

# What the tests and the rig ask of a unix interpreter.
UNIX_PROBE = """
import array, json, os, select, struct, sys, vfs
@micropython.viper
def total(a: ptr16, n: int) -> int:
    s = 0
    for i in range(n):
        s += a[i]
    return s
assert total(array.array("H", (1, 2, 40000)), 3) == 40003
vfs.VfsLfs2
select.poll
print("usable")
"""

# A file written for one processor is not compiled for another (as in the boards' manifests).
CROSS_ARCHS = ("armv6m", "xtensawin")
ONLY_FOR = {
    "_rp2.py": "armv6m",
    "_thumb.py": "armv6m",
    "_esp32.py": "xtensawin",
    "_xtensa.py": "xtensawin",
}


class ToolchainError(Exception):
    """Something that the user can put right; the text says what and how."""


class Firmware(typing.NamedTuple):
    """A flashable image. All but the first two are None for the user's own UF2, slots also for an
    image that has no second slot (plain MicroPython, tests that are larger than a slot)."""

    uf2: pathlib.Path
    frozen: bool  # False: the application is not in it
    elf: pathlib.Path | None  # linked for slot A
    map: pathlib.Path | None
    size: dict | None  # text data bss flash flash_limit modules{name: bytes of .mpy}
    slot_a: pathlib.Path | None = None  # what a slot holds, from its first byte on
    slot_b: pathlib.Path | None = None

    def as_dict(self):
        return {k: str(v) if isinstance(v, pathlib.Path) else v for k, v in self._asdict().items()}


class Tree(typing.NamedTuple):
    """A MicroPython source tree that can be built."""

    path: pathlib.Path
    key: str  # hash of what it is
    epoch: int  # its date, for reproducible images


# ---- small helpers ------------------------------------------------------------------------


def cache_dir():
    base = os.environ.get("PACKCTL_CACHE")
    if base:
        return pathlib.Path(base).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    parent = pathlib.Path(base).expanduser() if base else pathlib.Path.home() / ".cache"
    return parent.resolve() / "packctl"


def say(text):
    print(f"toolchain: {text}", file=sys.stderr, flush=True)


def hash_of(*parts):
    h = hashlib.sha256()
    for part in (RECIPE, *parts):
        data = part if isinstance(part, bytes) else str(part).encode()
        h.update(b"%d:" % len(data))
        h.update(data)
    return h.hexdigest()[:20]


@contextlib.contextmanager
def locked():
    """Hold the cache for ourselves. Results appear by rename, so readers need no lock."""
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build to end")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def run_logged(what, commands, cwd=None, env=None):
    """Run *commands* with their output in a log file; raise with its end if one fails."""
    logs = cache_dir() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / (re.sub(r"[^A-Za-z0-9_.-]+", "-", what) + ".log")
    started = time.monotonic()
    say(f"{what} ...")
    with open(log, "wb") as f:
        for command in commands:
            f.write(("$ " + " ".join(map(str, command)) + "\n").encode())
            f.flush()
            try:
                rc = subprocess.run(
                    [str(c) for c in command],
                    stdin=subprocess.DEVNULL,
                    stdout=f,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=env,
                ).returncode
            except FileNotFoundError as e:
                raise ToolchainError(f"{what}: {e.filename} is not installed") from None
            if rc:
                f.flush()
                tail = log.read_text(errors="replace").splitlines()[-30:]
                raise ToolchainError(
                    f"{what} failed (exit code {rc}); the end of {log}:\n  " + "\n  ".join(tail)
                )
    say(f"{what}: {time.monotonic() - started:.1f} s")


def build_env(tree):
    """Same input, same bytes: no date of today, no git state, no flags of the shell."""
    drop = ("CFLAGS", "CFLAGS_EXTRA", "LDFLAGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    env = {k: v for k, v in os.environ.items() if k not in drop}
    env["SOURCE_DATE_EPOCH"] = str(tree.epoch)
    env["GIT_CEILING_DIRECTORIES"] = str(tree.path.parent)  # a repository around the cache is none
    return env


def jobs():
    return f"-j{os.cpu_count() or 1}"


def put_file(source, target):
    """Copy into place in one step, and only if something changes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.read_bytes() == source.read_bytes():
        return
    part = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, part)
    shutil.copymode(source, part)
    os.replace(part, target)


@contextlib.contextmanager
def new_folder(target):
    """A folder that appears as *target* only once it is complete."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    shutil.rmtree(target, ignore_errors=True)
    os.replace(part, target)


# ---- packages of this computer ------------------------------------------------------------


def _arm_library(name):
    found = subprocess.run(
        ["arm-none-eabi-gcc", f"-print-file-name={name}"], capture_output=True, text=True
    ).stdout.strip()
    return os.path.isabs(found)


def missing_packages(arm):
    """Names of the packages whose tools cannot be found."""
    missing = []
    if not all(map(shutil.which, ("gcc", "g++", "make"))):
        missing.append("build-essential")
    if arm:
        if not shutil.which("cmake"):
            missing.append("cmake")
        if not shutil.which("arm-none-eabi-gcc"):
            missing += [p for p in ARM_PACKAGES if p != "cmake"]
        else:
            if not _arm_library("libc.a"):
                missing.append("libnewlib-arm-none-eabi")
            if not _arm_library("libstdc++.a"):
                missing.append("libstdc++-arm-none-eabi-newlib")
    return missing


def ensure_packages(arm=False):
    """Install the compilers if they are missing."""
    missing = missing_packages(arm)
    if not missing:
        return
    # One visit to apt for all that a full build takes.
    _install(missing, sorted({*missing, *HOST_PACKAGES, *(ARM_PACKAGES if arm else ())}))
    still = missing_packages(arm)
    if still:
        raise ToolchainError(f"still missing after installation: {' '.join(still)}")


def ensure_commands(packages):
    """Install Debian's *packages*, each of which has a command of its own name."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    missing = [name for name in packages if not shutil.which(name, path=path)]
    if missing:
        _install(missing, missing)


def _install(missing, wanted):
    """Install the packages *wanted*, because of those that are *missing*."""
    by_hand = f"install these packages and try again: {' '.join(wanted)}"
    if not shutil.which("apt-get"):
        raise ToolchainError(f"there is no apt-get here; {by_hand}")
    as_root = []
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise ToolchainError(f"neither root nor sudo; {by_hand}")
        as_root = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
        as_root.append("DEBIAN_FRONTEND=noninteractive")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if as_root:
        as_root.insert(-1, "env")
    install = [*as_root, "apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted]
    update = [*as_root, "apt-get", "update", "-q"]
    try:
        run_logged("installing " + " ".join(missing), [update, install], env=env)
    except ToolchainError as e:
        raise ToolchainError(
            f"{e}\napt could not install them (permission? network?); {by_hand}"
        ) from None


# ---- sources ------------------------------------------------------------------------------

_NO_SOURCES_HELP = """\
MicroPython's sources come from packages of Debian ({suite}), and {why}.
Any one of these helps:
  PACKCTL_MIRROR=<address of a Debian mirror, ending in /debian/>
  MICROPY_DIR=<a MicroPython checkout, version 1.25, with its submodules>
  for the unix interpreter alone: a `micropython` on PATH or MICROPYTHON=<path>
  for the board alone: PACKCTL_UF2=<an image made by `make firmware`>"""


def _no_sources(why):
    return ToolchainError(_NO_SOURCES_HELP.format(suite=SUITE, why=why))


def debian_mirrors():
    """Addresses of Debian mirrors that the apt of this computer knows, best first."""
    if os.environ.get("PACKCTL_MIRROR"):
        return [os.environ["PACKCTL_MIRROR"]]
    known = {}
    for option in ((), ("--no-release-info",)):
        out = subprocess.run(
            ["apt-get", "indextargets", *option, "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)"],
            capture_output=True,
            text=True,
        ).stdout
        for line in out.splitlines():
            uri, origin, label = (line.split("|") + ["", ""])[:3]
            if origin == "Debian" and label == "Debian":
                known[uri] = 0
            elif re.search(r"/debian/?$", uri):
                known.setdefault(uri, 1)  # before the first `apt-get update` nothing else is known
    return sorted(known, key=known.get)


def _private_apt(folder, mirror):
    """apt-get with lists, cache and sources of its own in *folder*."""
    for sub in ("lists/partial", "cache/archives/partial", "sources.d"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    (folder / "sources.d" / "debian.sources").write_text(
        f"Types: deb deb-src\nURIs: {mirror}\nSuites: {SUITE}\nComponents: main\n"
        f"Signed-By: {KEYRING}\n"
    )
    options = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": folder / "sources.d",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
    }
    if os.geteuid() == 0:
        options["APT::Sandbox::User"] = "root"  # the folder may be closed to apt's own user
    command = ["apt-get", "-q"]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    return command


def _download(packages_dir):
    """Fetch the packages of SUITE into *packages_dir*."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise _no_sources("this computer has no apt")
    mirrors = debian_mirrors()
    if not mirrors:
        raise _no_sources("the apt of this computer is not set up with a Debian mirror")
    if not KEYRING.exists():
        raise _no_sources(f"{KEYRING} (package debian-archive-keyring) is missing")
    error = None
    for mirror in mirrors:
        with new_folder(cache_dir() / "apt") as folder:
            apt = _private_apt(folder, mirror)
            try:
                run_logged(
                    f"fetching Debian packages of {SUITE}",
                    [
                        [*apt, "update", "--error-on=any"],
                        [*apt, "source", "--download-only", *SOURCE_PACKAGES],
                        [*apt, "download", *BINARY_PACKAGES],
                    ],
                    cwd=packages_dir,
                )
                error = None
            except ToolchainError as e:
                error = e
            shutil.rmtree(folder / "lists")  # 100 MB that nobody needs again
        if error is None:
            return
    raise _no_sources(f"they could not be fetched: {error}")


def _unpack(packages_dir, folder):
    """Unpack what `_download` brought and join it to one tree as its submodules would."""
    for archive in sorted(packages_dir.glob("*.orig.tar.*")):
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="tar")
            else:
                tar.extractall(folder)
    for package in sorted(packages_dir.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder / "deb"], check=True)
    tops = [p.name for p in folder.iterdir() if p.name.startswith("micropython-")]
    (folder / tops[0]).rename(folder / "micropython")
    tree = folder / "micropython"
    parts = {
        "tinyusb": next((folder / "deb/usr/src").glob("tinyusb*")),
        "pico-sdk": next((folder / "deb/usr/src").glob("pico-sdk*")),
        "mbedtls": next(folder.glob("mbedtls-*")),
    }
    for name, part in parts.items():
        place = tree / "lib" / name
        if place.is_dir():
            shutil.rmtree(place)
        place.symlink_to(os.path.relpath(part, place.parent))
    # Manifests are refused without this file, even those that need nothing of the library.
    (tree / "lib/micropython-lib").mkdir(exist_ok=True)
    (tree / "lib/micropython-lib/README.md").touch()


def _checkout(path):
    """The user's MicroPython checkout as a Tree."""
    path = pathlib.Path(path).expanduser().resolve()
    if not (path / "py/mpconfig.h").exists():
        raise ToolchainError(f"MICROPY_DIR={path} is not a MicroPython source tree")
    head = ""
    if shutil.which("git"):
        command = ["git", "-C", path, "describe", "--always", "--dirty", "--tags"]
        head = subprocess.run(command, capture_output=True, text=True).stdout
    config = path / "py/mpconfig.h"
    key = hash_of(path, head, config.read_bytes())
    return Tree(path, key, int(config.stat().st_mtime))


def _fetched():
    """The tree made of packages, or None if it is not there yet."""
    folder = cache_dir() / f"source-{hash_of(SUITE, SOURCE_PACKAGES, BINARY_PACKAGES)}"
    try:
        about = json.loads((folder / "about.json").read_text())
    except (OSError, ValueError):
        return None
    return Tree(folder / "micropython", about["key"], about["epoch"])


def sources():
    """A MicroPython source tree: the user's, or one made of Debian packages."""
    if os.environ.get("MICROPY_DIR"):
        return _checkout(os.environ["MICROPY_DIR"])
    tree = _fetched()
    if tree:
        return tree
    with locked():
        tree = _fetched()  # somebody else may have been quicker
        if tree:
            return tree
        target = cache_dir() / f"source-{hash_of(SUITE, SOURCE_PACKAGES, BINARY_PACKAGES)}"
        with new_folder(target) as folder:
            packages_dir = folder / "packages"
            packages_dir.mkdir()
            _download(packages_dir)
            say("unpacking")
            _unpack(packages_dir, folder)
            names = sorted(p.name for p in packages_dir.iterdir())
            epoch = int((folder / "micropython/py/mpconfig.h").stat().st_mtime)
            about = {"packages": names, "key": hash_of(*names), "epoch": epoch}
            (folder / "about.json").write_text(json.dumps(about, indent=1))
        return _fetched()


def micropython_version():
    """"1.25.0", of the sources that are there already; None: none are."""
    own = os.environ.get("MICROPY_DIR")
    tree = _checkout(own) if own else _fetched()
    if tree is None:
        return None
    text = (tree.path / "py/mpconfig.h").read_text(encoding="utf-8")
    return ".".join(re.search(rf"#define MICROPY_VERSION_{part} (\d+)", text)[1]
                    for part in ("MAJOR", "MINOR", "MICRO"))


# ---- mpy-cross ----------------------------------------------------------------------------


def _built(name, tree, build):
    """The cached program *name*, made by *build(output folder)* if it is not there."""
    key = hash_of(name, tree.key, platform.machine(), UNIX_MAKE, UNIX_MANIFEST)
    folder = cache_dir() / f"{name}-{key}"
    program = folder / name
    if program.exists():
        return program
    ensure_packages()
    with locked():
        if not program.exists():
            with new_folder(folder) as part:
                build(part)
    return program


def _mpy_version(program):
    out = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"mpy v([0-9.]+)", out)
    return found and found.group(1)


def mpy_cross():
    """Path of a mpy-cross."""
    own = os.environ.get("MPY_CROSS")
    if own:
        if not shutil.which(own) or not _mpy_version(own):
            raise ToolchainError(f"MPY_CROSS={own} is not a mpy-cross that runs here")
        return pathlib.Path(shutil.which(own)).resolve()
    tree = sources()

    def build(folder):
        work = cache_dir() / "work" / "mpy-cross"
        shutil.rmtree(work, ignore_errors=True)
        command = ["make", jobs(), "-C", tree.path / "mpy-cross", f"BUILD={work}"]
        run_logged("building mpy-cross", [command], env=build_env(tree))
        shutil.copy2(work / "mpy-cross", folder / "mpy-cross")
        shutil.rmtree(work)

    return _built("mpy-cross", tree, build)


_MOST_NAMES = 287       # of a module with native code, see too_many_names()


def too_many_names(mpy):
    """Whether native code of the compiled module *mpy* may load a wrong name on the Cortex-M0+.

    py/asmthumb.c of MicroPython 1.25, asm_thumb_add_reg_reg_offset(), adds the offset to
    itself instead of to the base beyond the 31 + 255 that its other ways reach.
    """
    count, at = 0, 4
    while True:                         # the first number behind the head, 7 bits a byte
        count = count << 7 | mpy[at] & 0x7F
        if mpy[at] < 0x80:
            return count > _MOST_NAMES
        at += 1


def crosscheck(folders=("firmware", "lib")):
    """Compile every module for every processor, as it is frozen; return a list of complaints."""
    program = mpy_cross()
    by_value = ROOT / "build" / "generated" / "by_value"
    subprocess.run([sys.executable, ROOT / "boards" / "constants.py", by_value], check=True)
    complaints = []
    for folder, path in sorted((f, p) for f in folders for p in (ROOT / f).rglob("*.py")
                               if "examples" not in p.parts):
        only = [arch for suffix, arch in ONLY_FOR.items() if path.name.endswith(suffix)]
        for arch in only or CROSS_ARCHS:
            command = [program, f"-march={arch}", "-o", "-",
                       by_value / path.relative_to(ROOT / folder)]
            done = subprocess.run(command, capture_output=True)
            name = f"{path.relative_to(ROOT)}: {arch}"
            if done.returncode:
                text = (done.stderr or done.stdout).decode(errors="replace").strip()
                complaints.append(f"{name}: {text}")
            elif (arch == "armv6m" and "@micropython.native" in path.read_text("utf-8")
                    and too_many_names(done.stdout)):
                complaints.append(f"{name}: more than {_MOST_NAMES} names beside native code")
    return complaints


# ---- unix interpreter ---------------------------------------------------------------------


def probe_unix(program):
    """None if *program* can do what is needed, else what it said."""
    try:
        command = [program, "-X", "heapsize=1m", "-c", UNIX_PROBE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    if done.returncode == 0 and done.stdout.strip() == "usable":
        return None
    return (done.stderr + done.stdout).strip() or f"exit code {done.returncode}"


def unix():
    """Path of a unix interpreter."""
    own = os.environ.get("MICROPYTHON")
    if own:
        program = shutil.which(own)
        complaint = probe_unix(program) if program else "not found, or not a program"
        if complaint:
            raise ToolchainError(
                f"MICROPYTHON={own} cannot be used (viper code, vfs, select are needed):\n"
                f"{complaint}"
            )
        return pathlib.Path(program).resolve()
    on_path = shutil.which("micropython")
    if on_path and not os.environ.get("MICROPY_DIR"):
        complaint = probe_unix(on_path)
        if complaint is None:
            return pathlib.Path(on_path).resolve()
        say(f"{on_path} cannot be used, another is built: {complaint.splitlines()[-1]}")
    tree = sources()
    cross = mpy_cross()

    def build(folder):
        work = cache_dir() / "work" / "unix"
        shutil.rmtree(work, ignore_errors=True)
        manifest = cache_dir() / "work" / "unix_manifest.py"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(UNIX_MANIFEST)
        command = ["make", jobs(), "-C", tree.path / "ports/unix", f"BUILD={work}", *UNIX_MAKE]
        env = {**build_env(tree), "MICROPY_MPYCROSS": str(cross)}
        run_logged("building unix", [[*command, f"FROZEN_MANIFEST={manifest}"]], env=env)
        complaint = probe_unix(work / "micropython")
        if complaint:
            raise ToolchainError(f"the interpreter was built but does not work:\n{complaint}")
        shutil.copy2(work / "micropython", folder / "micropython")
        shutil.rmtree(work)

    return _built("micropython", tree, build)


# ---- interpreter for RISC-V ---------------------------------------------------------------

# MicroPython's port for QEMU leaves `time` out; the clock of the machine `virt` runs at 10 MHz.
_RV32_TIME = """
#include "shared/timeutils/timeutils.h"

#define MTIME_LOW (*(volatile uint32_t *)0x0200bff8)
#define MTIME_HIGH (*(volatile uint32_t *)0x0200bffc)

static uint64_t mtime_us(void) {
    uint32_t high, low;
    do {
        high = MTIME_HIGH;
        low = MTIME_LOW;
    } while (high != MTIME_HIGH);
    return (((uint64_t)high << 32) | low) / 10;
}

mp_uint_t mp_hal_ticks_us(void) { return (mp_uint_t)mtime_us(); }
mp_uint_t mp_hal_ticks_ms(void) { return (mp_uint_t)(mtime_us() / 1000); }
mp_uint_t mp_hal_ticks_cpu(void) { return MTIME_LOW; }
uint64_t mp_hal_time_ns(void) { return mtime_us() * 1000; }

void mp_hal_delay_us(mp_uint_t us) {
    for (uint64_t end = mtime_us() + us; mtime_us() < end;) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) { mp_hal_delay_us(1000 * ms); }
"""
_RV32_HEAP = 1_700_000          # of 2 MB that the port's linker script has
_RV32_MAKE = (
    "BOARD=VIRT_RV32",
    f"MICROPY_HEAP_SIZE={_RV32_HEAP}",
    f"PICOLIBC_SPECS={PICOLIBC}",   # Debian's compiler does not find it by itself
    "FROZEN_MANIFEST=",
)
_RV32_CHANGES = {
    "mpconfigport.h": (("MICROPY_PY_TIME             (0)", "MICROPY_PY_TIME             (1)"),),
    # with the extension that the compiler wants named, the linker takes a libgcc for 64 bits
    "Makefile": (("LDFLAGS += -mabi=$(RV32_ABI) -march=$(RV32_ARCH)",
                  "LDFLAGS += -mabi=$(RV32_ABI) -march=rv32imac"),),
}


def missing_rv32():
    """Names of the packages for RISC-V that are not here."""
    found = (shutil.which("riscv64-unknown-elf-gcc"), PICOLIBC.exists(),
             shutil.which("qemu-system-riscv32"))
    return [name for name, there in zip(RV32_PACKAGES, found) if not there]


def ensure_rv32_packages():
    """Install compiler and emulator for RISC-V if they are missing."""
    missing = missing_rv32()
    if missing:
        _install(missing, missing)
        if missing_rv32():
            raise ToolchainError(f"still missing after installation: {' '.join(missing_rv32())}")


def rv32():
    """Path of MicroPython for the 32-bit RISC-V of QEMU's machine `virt`: an ELF file."""
    tree = sources()
    key = hash_of("rv32", tree.key, _RV32_TIME, *_RV32_MAKE, _RV32_CHANGES,
                  inspect.getsource(_build_rv32))
    folder = cache_dir() / f"rv32-{key}"
    program = folder / "firmware.elf"
    ensure_rv32_packages()
    if not program.exists():
        ensure_packages()
        cross = mpy_cross()
        with locked():
            if not program.exists():
                with new_folder(folder) as part:
                    _build_rv32(part, tree, cross)
    return program


def _build_rv32(folder, tree, cross):
    """Build in a tree of links to *tree*, with the port itself copied and completed."""
    top = cache_dir() / "work" / "rv32"
    shutil.rmtree(top, ignore_errors=True)
    port = top / "ports" / "qemu"
    shutil.copytree(tree.path / "ports" / "qemu", port)
    for path in tree.path.iterdir():
        if path.name != "ports":
            (top / path.name).symlink_to(path)
    for name, changes in _RV32_CHANGES.items():
        text = (port / name).read_text()
        for old, new in changes:
            if old not in text:
                raise ToolchainError(f"{port / name} has no line {old!r}")
            text = text.replace(old, new)
        (port / name).write_text(text)
    with open(port / "mphalport.c", "a") as file:
        file.write(_RV32_TIME)
    build = top / "build"
    make = ["make", jobs(), "-C", port, f"BUILD={build}", *_RV32_MAKE]
    env = {**build_env(tree), "MICROPY_MPYCROSS": str(cross)}
    run_logged("building rv32", [make], env=env)
    shutil.copy2(build / "firmware.elf", folder / "firmware.elf")
    shutil.rmtree(top)


# ---- firmware -----------------------------------------------------------------------------


def frozen_files(tree, board, extra):
    """{module file: (its bytes, optimisation)} as the board's manifest says, plus *extra*.

    MicroPython's own reader of manifests decides, so whatever a manifest may say is honoured.
    """
    spec = importlib.util.spec_from_file_location(
        "manifestfile", tree.path / "tools/manifestfile.py"
    )
    manifestfile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(manifestfile)
    board_dir = ROOT / "boards" / board
    variables = {
        "MPY_DIR": str(tree.path),
        "MPY_LIB_DIR": str(tree.path / "lib/micropython-lib"),
        "PORT_DIR": str(tree.path / "ports/rp2"),
        "BOARD_DIR": str(board_dir),
    }
    manifest = manifestfile.ManifestFile(manifestfile.MODE_FREEZE, variables)
    os.environ["PACKCTL_NAMES"] = "1" if extra else ""      # for boards/application.py
    try:
        manifest.execute(str(board_dir / "manifest.py"))
    except manifestfile.ManifestFileError as e:
        raise ToolchainError(f"{board_dir.name}/manifest.py: {e}") from None
    files = {}
    for f in manifest.files():
        target = os.path.normpath(f.target_path)
        if f.kind != manifestfile.KIND_FREEZE_AS_MPY:
            raise ToolchainError(f"cannot freeze {f.full_path}: it has to be a .py file")
        if target in files:
            raise ToolchainError(f"{target} is to be frozen twice, the second is {f.full_path}")
        files[target] = (pathlib.Path(f.full_path).read_bytes(), f.opt)
    for folder in extra:
        folder = pathlib.Path(folder).resolve()
        if not folder.is_dir():
            raise ToolchainError(f"--extra {folder} is not a folder")
        for path in sorted(folder.rglob("*.py")):
            files[str(path.relative_to(folder))] = (path.read_bytes(), None)
    return dict(sorted(files.items()))


def _stage(files, folder):
    """Write *files* and a manifest that freezes them; return its path.

    What was hashed is what is compiled, even if somebody saves a file meanwhile.
    """
    stage = folder / "frozen"
    shutil.rmtree(stage, ignore_errors=True)
    lines = []
    for target, (data, opt) in files.items():
        path = stage / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        lines.append(f"freeze_as_mpy({str(stage)!r}, {target!r}, opt={opt!r})\n")
    manifest = folder / "manifest.py"
    manifest.write_text("".join(lines))
    return manifest


def _board_files(board):
    """Everything of a board that is compiled: {name: bytes}."""
    folder = ROOT / "boards" / board
    if not (folder / "mpconfigboard.h").exists():
        raise ToolchainError(f"there is no board {board} in boards/")
    skip = ("manifest.py", "board.json")
    return {
        p.name: p.read_bytes()
        for p in sorted(folder.iterdir())
        if p.is_file() and p.name not in skip and p.suffix != ".md"
    }


def _layout(board):
    """The map of a board with two slots, None: the image takes what the file system leaves."""
    return pico_image.flash_map() if (ROOT / "boards" / board / "boot_stage").is_dir() else None


def _flash_limit(board_files, layout):
    """Bytes of flash that the image may fill."""
    if layout is not None:
        return pico_image.room(layout)
    text = board_files["mpconfigboard.h"].decode()
    found = re.search(r"FLASH_STORAGE_BYTES\s+\((\d+) \* 1024\)", text)
    return FLASH_BYTES - int(found.group(1)) * 1024 if found else FLASH_BYTES


def _check_alignment(work):
    """Refuse an image whose native code is not at multiples of 4: it would read wrong constants.

    See boards/PACKCTL_PICO/mpconfigboard.cmake.
    """
    out = subprocess.run(
        ["arm-none-eabi-nm", work / "firmware.elf"], capture_output=True, text=True, check=True
    ).stdout
    for line in out.splitlines():
        address, kind, name = line.split()[-3:] if len(line.split()) == 3 else ("0", "", "")
        if kind == "t" and name.startswith("fun_data_") and int(address, 16) % 4:
            raise ToolchainError(f"native function {name} at 0x{address} is not aligned to 4")


_FROZEN_INT = re.compile(
    r"mp_obj_int_t (\w+) = .*\.neg=[01], .*\{0x([0-9a-f]+)(?:,0x([0-9a-f]+))?\}\}\};")


def _check_small_ints(work):
    """Refuse an image with numbers as objects that a word has room for: sums with them allocate.

    See boards/PACKCTL_PICO/mpconfigboard.cmake.
    """
    text = (work / "frozen_content.c").read_text("utf-8")
    for name, low, high in _FROZEN_INT.findall(text):
        value = int(high or "0", 16) << 16 | int(low, 16)
        if value < 1 << 30:
            raise ToolchainError(f"the frozen number {name} ({value}) is an object")


def _size_info(work, files, limit):
    out = subprocess.run(
        ["arm-none-eabi-size", work / "firmware.elf"], capture_output=True, text=True, check=True
    ).stdout
    text, data, bss = map(int, out.splitlines()[1].split()[:3])
    modules = {}
    for target in files:
        compiled = work / "frozen_mpy" / (target[:-3] + ".mpy")
        modules[target] = compiled.stat().st_size
    flash = (work / "firmware.bin").stat().st_size
    return {
        "text": text,
        "data": data,
        "bss": bss,
        "flash": flash,
        "flash_limit": limit,
        "modules": modules,
    }


def _compile_rp2(tree, board, board_files, files, cross):
    """Build in the board's work tree, from scratch only if there is none; return the tree.

    The work tree depends on sources and board files, not on what is frozen: with new frozen
    code one C file is compiled and linked. The board is copied beside it, so that another
    clone of this repository uses the same tree.
    """
    key = hash_of("rp2", tree.key, json.dumps({k: v.hex() for k, v in board_files.items()}))
    top = cache_dir() / "work" / f"{board}-{key}"
    for old in top.parent.glob(f"{board}-*"):
        if old != top and time.time() - old.stat().st_mtime > 7 * 24 * 3600:
            shutil.rmtree(old)
    work = top / "build"
    board_dir = top / board
    commands = []
    if not (top / "configured").exists():
        shutil.rmtree(top, ignore_errors=True)
        board_dir.mkdir(parents=True)
        for name, data in board_files.items():
            (board_dir / name).write_bytes(data)
    manifest = _stage(files, top)
    env = {**build_env(tree), "MICROPY_MPYCROSS": str(cross)}
    # Compiled modules are renewed by date; a file of the same name may come from elsewhere.
    shutil.rmtree(work / "frozen_mpy", ignore_errors=True)
    if not (top / "configured").exists():
        commands.append(
            [
                "cmake",
                "-S",
                tree.path / "ports/rp2",
                "-B",
                work,
                f"-DMICROPY_BOARD={board}",
                f"-DMICROPY_BOARD_DIR={board_dir}",
                f"-DMICROPY_FROZEN_MANIFEST={manifest}",
                "-DPICO_NO_PICOTOOL=1",
            ]
        )
    commands.append(["make", jobs(), "-C", work])
    run_logged(f"building {board}", commands, env=env)
    (top / "configured").touch()
    os.utime(top)
    return work


def _firmware_from(folder):
    size = json.loads((folder / "size.json").read_text())
    os.utime(folder)
    slots = [folder / f"slot_{name}.bin" for name in "ab"]
    if not slots[1].exists():
        slots = [None, None]
    return Firmware(folder / "firmware.uf2", True, folder / "firmware.elf",
                    folder / "firmware.map", size, *slots)


def _prune_images(images):
    """Drop the images that were not used for the longest time."""
    old = sorted(images.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)[KEEP_IMAGES:]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)


_CHECK = """
import sys
sys.path[:0] = sys.argv[1:4]
from bms.host import products
for file in sys.argv[4:]:
    try:
        profile = products.of_file(file.partition(".")[0])
        products.check(products.find(profile.NAME))
    except ValueError as error:
        sys.exit("firmware/profiles/%s: %s" % (file, error))
"""


def _check_profiles():
    """Refuse to build with a product profile that contradicts itself (PRF-03)."""
    folders = [str(ROOT / name) for name in ("firmware", "lib", "tools/mocks")]
    names = sorted(path.name for path in (ROOT / "firmware" / "profiles").glob("[!_]*.*")
                   if path.suffix in (".py", ".json"))
    if not names:
        return
    done = subprocess.run([sys.executable, "-c", _CHECK, *folders, *names],
                          capture_output=True, text=True)
    if done.returncode:
        raise ToolchainError(done.stderr.strip())


def firmware(extra=(), out=None, board=BOARD):
    """Build the UF2 of *board* with the application and *extra* folders frozen in.

    out      copy of the UF2; None: build/packctl-pico.uf2 (the cache only, if there is *extra*)
    returns  Firmware
    """
    own = os.environ.get("MICROPY_UF2")
    if own:
        path = pathlib.Path(own).expanduser().resolve()
        if not path.is_file():
            raise ToolchainError(f"MICROPY_UF2={own} is not a file")
        if extra:
            raise ToolchainError("nothing can be frozen into the UF2 named by MICROPY_UF2")
        return Firmware(path, False, None, None, None)
    _check_profiles()
    tree = sources()
    for need in ("lib/pico-sdk/src", "lib/tinyusb/src", "lib/mbedtls/library"):
        if not (tree.path / need).exists():
            raise ToolchainError(
                f"{tree.path} lacks {need}; fetch the submodules: "
                f"make -C {tree.path / 'ports/rp2'} submodules"
            )
    cross = mpy_cross()
    board_files = _board_files(board)
    files = frozen_files(tree, board, extra)
    parts = [tree.key, board, pathlib.Path(pico_image.__file__).read_bytes(),
             inspect.getsource(_link)]
    layout = _layout(board)
    if layout is not None:
        stage = sorted(pico_image.STAGE.iterdir())
        parts += [repr(layout), *(path.read_bytes() for path in stage)]
    for name, data in board_files.items():
        parts += [name, data]
    for target, (data, opt) in files.items():
        parts += [target, data, opt]
    if os.environ.get("MPY_CROSS"):
        parts.append(_mpy_version(cross))
    folder = cache_dir() / "images" / f"{board}-{hash_of(*parts)}"
    if not (folder / "size.json").exists():
        ensure_packages(arm=True)
        with locked():
            if not (folder / "size.json").exists():
                _build_image(folder, tree, board, board_files, files, cross, layout, extra)
    image = _firmware_from(folder)
    if out is None and not extra and board == BOARD:
        out = DEFAULT_UF2
    if out is not None:
        out = pathlib.Path(out).resolve()
        put_file(image.uf2, out)
        image = image._replace(uf2=out)
        if image.slot_b is not None:
            for name, slot in (("slot_a", image.slot_a), ("slot_b", image.slot_b)):
                beside = out.with_name(f"{out.stem}-{name[-1]}.bin")
                put_file(slot, beside)
                image = image._replace(**{name: beside})
    return image


def _link(work, tree, start, name):
    """Link what was compiled in *work* for *start* in the flash: its bytes. It takes 2 s."""
    script = work / f"{name}.ld"
    text = (tree.path / "ports/rp2/memmap_mp_rp2040.ld").read_text()
    script.write_text(re.sub(r"(FLASH\(rx\) : ORIGIN =) 0x10000000, LENGTH = 2048k",
                             rf"\1 {FLASH_BASE + start:#x}, LENGTH = {FLASH_BYTES - start}", text))
    command = (work / "CMakeFiles/firmware.dir/link.txt").read_text()
    for old, new in ((r"--script=\S+", f"--script={script}"), (r"firmware\.elf", f"{name}.elf")):
        command = re.sub(old, new, command)
    run_logged(f"linking for {FLASH_BASE + start:#x}", [
        ["sh", "-c", command],
        ["arm-none-eabi-objcopy", "-O", "binary", f"{name}.elf", f"{name}.bin"]],
        cwd=work, env=build_env(tree))
    return (work / f"{name}.bin").read_bytes()


def _build_image(folder, tree, board, board_files, files, cross, layout, extra):
    work = _compile_rp2(tree, board, board_files, files, cross)
    _check_alignment(work)
    _check_small_ints(work)
    size = _size_info(work, files, _flash_limit(board_files, layout))
    large = size["flash"] > size["flash_limit"]
    if large and layout is not None and extra:      # of tests: what is left of slot B is for files
        layout.SLOT_BYTES = layout.FILES - layout.SLOT_A
        large = size["flash"] > pico_image.room(layout)
    if large:
        raise ToolchainError(
            f"the image takes {size['flash']} bytes, there is room for {size['flash_limit']}"
        )
    with new_folder(folder) as part:
        name = "firmware"
        if layout is None:
            parts = [(0, (work / "firmware.bin").read_bytes())]
        else:
            name = "slot_a"
            version = re.search(rb'^VERSION = "(.+)"', files["version.py"][0], re.M)[1].decode()
            slots = {
                one: pico_image.slot(_link(work, tree, start + layout.IMAGE, one), layout, board,
                                     version)
                for one, start in (("slot_a", layout.SLOT_A), ("slot_b", layout.SLOT_B))
                if start + layout.SLOT_BYTES <= layout.FILES
            }
            for one, data in slots.items():
                (part / f"{one}.bin").write_bytes(data)
            parts = pico_image.flash(slots["slot_a"], pico_image.stage(layout, part), layout)
        (part / "firmware.uf2").write_bytes(pico_image.uf2(parts, FLASH_BASE))
        shutil.copy2(work / f"{name}.elf", part / "firmware.elf")
        shutil.copy2(work / f"{name}.elf.map", part / "firmware.map")
        (part / "size.json").write_text(json.dumps(size, indent=1))
    _prune_images(folder.parent)


# ---- command line -------------------------------------------------------------------------


def paths():
    """Everything that is there already, as {name: path or None}; builds nothing."""
    cache = cache_dir()
    fetched = _fetched()
    newest = {}
    for name in ("micropython", "mpy-cross"):
        found = sorted(cache.glob(f"{name}-*/{name}"), key=lambda p: p.stat().st_mtime)
        newest[name] = str(found[-1]) if found else None
    unix_now = os.environ.get("MICROPYTHON") or shutil.which("micropython")
    uf2 = os.environ.get("MICROPY_UF2")
    return {
        "root": str(ROOT),
        "cache": str(cache),
        "logs": str(cache / "logs"),
        "source": os.environ.get("MICROPY_DIR") or (str(fetched.path) if fetched else None),
        "unix": unix_now or newest["micropython"],
        "mpy_cross": os.environ.get("MPY_CROSS") or newest["mpy-cross"],
        "uf2": uf2 or (str(DEFAULT_UF2) if DEFAULT_UF2.exists() else None),
        "frozen": not uf2,
    }


def print_size(image):
    if not image.size:
        raise ToolchainError("nothing is known about the inside of the UF2 named by MICROPY_UF2")
    size = image.size
    share = 100 * size["flash"] / size["flash_limit"]
    print(f"flash {size['flash']} of {size['flash_limit']} bytes ({share:.0f} %)")
    print(f"RAM taken at link time {size['data'] + size['bss']} bytes")
    print("bytes  frozen module")
    for name, count in sorted(size["modules"].items(), key=lambda item: -item[1]):
        print(f"{count:5}  {name}")


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sub = parser.add_subparsers(dest="command", required=True)
    for name in ("sources", "unix", "mpy-cross", "rv32", "all", "paths", "crosscheck", "clean",
                 "test-packages", "web-packages", "browser-packages"):
        sub.add_parser(name)
    for name in ("firmware", "size"):
        p = sub.add_parser(name)
        p.add_argument("--extra", action="append", default=[], metavar="DIR")
        p.add_argument("--board", default=BOARD)
        p.add_argument("--out", metavar="FILE")
        p.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        if args.command == "sources":
            print(sources().path)
        elif args.command == "unix":
            print(unix())
        elif args.command == "mpy-cross":
            print(mpy_cross())
        elif args.command == "rv32":
            print(rv32())
        elif args.command == "all":
            unix()
            firmware()
            print(json.dumps(paths(), indent=1))
        elif args.command == "paths":
            print(json.dumps(paths(), indent=1))
        elif args.command == "test-packages":
            ensure_commands(TEST_PACKAGES)
        elif args.command == "web-packages":
            ensure_commands(WEB_PACKAGES)
        elif args.command == "browser-packages":
            ensure_commands(BROWSER_PACKAGES)
        elif args.command == "clean":
            with locked():
                for path in cache_dir().iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.name != "lock" and path.unlink()
        elif args.command == "crosscheck":
            complaints = crosscheck()
            print("\n".join(complaints) or f"all modules compile for {', '.join(CROSS_ARCHS)}")
            return 1 if complaints else 0
        else:
            image = firmware(args.extra, args.out, args.board)
            if args.json:
                print(json.dumps(image.as_dict(), indent=1))
            elif args.command == "size":
                print_size(image)
            else:
                print(image.uf2)
    except ToolchainError as e:
        print(f"toolchain: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
