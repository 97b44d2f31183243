#!/usr/bin/env python3
"""Puts everything that a release consists of into build/release/ (make release).

    packctl-VERSION-pico.uf2    the image, to be copied to a Pico in BOOTSEL
    packctl-BOARD-VERSION.pkg   the same for `packctl update`, not signed
    packctl-VERSION.cdx.json    what is in the image, as CycloneDX 1.6
    packctl-VERSION-*.whl       the host tool, for pip and pipx
    sizes.md                    bytes of the image: by component, by module of the application
    mip/                        the drivers as packages for mpremote (lib/examples/README.md)
    TAG.md                      text of the tag: version, sizes, what is new
    SHA256SUMS                  of all of them

VERSION is firmware/version.py's. Two runs from one commit give the same bytes.
"""

import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import uuid
from datetime import datetime, timezone

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import toolchain                                    # noqa: E402
sys.path.append(str(toolchain.ROOT / "tools" / "image"))
import mip                                          # noqa: E402
import update_file                                  # noqa: E402

ROOT = toolchain.ROOT
OUT = ROOT / "build" / "release"
# (part of an object's path in the linker's map, component, licence); the first that fits
_PARTS = (
    ("lib/tinyusb/", "tinyusb", "MIT"),
    ("lib/littlefs/", "littlefs", "BSD-3-Clause"),
    ("lib/mbedtls/", "mbedtls", "Apache-2.0 OR GPL-2.0-or-later"),
    ("lib/oofatfs/", "oofatfs", "BSD-1-Clause"),
    ("lib/uzlib/", "uzlib", "Zlib"),
    ("lib/libm/", "libm", "MIT"),
    ("lib/re1.5/", "re1.5", "BSD-3-Clause"),
    ("pico-sdk/", "pico-sdk", "BSD-3-Clause"),
    ("frozen_content", "packctl and frozen modules", "MIT"),
    ("/micropython/", "micropython", "MIT"),
    ("genhdr", "micropython", "MIT"),
    ("libgcc", "libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("lib/gcc/", "libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("newlib", "newlib", "BSD-3-Clause"),
    ("libc", "newlib", "BSD-3-Clause"), ("libm.a", "newlib", "BSD-3-Clause"),
    ("libnosys", "newlib", "BSD-3-Clause"), ("libg.a", "newlib", "BSD-3-Clause"),
    ("linker stubs", "libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("CMakeFiles/firmware.dir/", "micropython", "MIT"),     # the port's own files
)
_SECTION = re.compile(r"^ \.\S+\s*$|^ (?:\.\S+)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$")
_FLASH, _FLASH_END = 0x10000000, 0x10200000
_RAM, _RAM_END = 0x20000000, 0x20042000


class ReleaseError(Exception):
    """The release was not made; the text says why and what to do."""


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout.strip()


def component_of(path):
    """(component, licence) of the object file *path* in the map."""
    for part, name, licence in _PARTS:
        if part in path:
            return name, licence
    return "other", None


def sizes_of(text):
    """{component: bytes in flash} of the linker's map *text*."""
    found = {}
    for line in text.partition("Linker script and memory map")[2].splitlines():
        match = _SECTION.match(line)
        if not match or match[1] is None or match[3].startswith(("0x", "LOAD", "*")):
            continue
        address, size = int(match[1], 16), int(match[2], 16)
        if _FLASH <= address < _FLASH_END and size:
            name = component_of(match[3])[0]
            found[name] = found.get(name, 0) + size
    return found


def changes(text):
    """The section *Unreleased* of the change log."""
    match = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if not match or not match[1].strip():
        raise ReleaseError("CHANGELOG.md has no section Unreleased with anything in it")
    return match[1].strip()


def _define(path, pattern):
    match = re.search(pattern, path.read_text("utf-8", "replace"), re.M)
    return match[1] if match else None


def versions(source):
    """{component: version} from the source tree that the image was built from."""
    lib = source / "lib"
    sdk = [_define(lib / "pico-sdk/pico_sdk_version.cmake",
                   rf"^ *set\(PICO_SDK_VERSION_{part} (\d+)\)")
           for part in ("MAJOR", "MINOR", "REVISION")]
    usb = [_define(lib / "tinyusb/src/tusb_option.h", rf"TUSB_VERSION_{part} +(\d+)")
           for part in ("MAJOR", "MINOR", "REVISION")]
    python = [_define(source / "py/mpconfig.h", rf"define MICROPY_VERSION_{part} (\d+)")
              for part in ("MAJOR", "MINOR", "MICRO")]
    littlefs = int(_define(lib / "littlefs/lfs2.h", r"LFS2_VERSION (0x[0-9a-f]+)"), 16)
    found = {"pico-sdk": ".".join(sdk), "tinyusb": ".".join(usb), "micropython": ".".join(python),
             "littlefs": f"{littlefs >> 16}.{littlefs & 0xFFFF}",
             "mbedtls": _define(lib / "mbedtls/include/mbedtls/build_info.h",
                                r'MBEDTLS_VERSION_STRING +"([^"]+)"')}
    return found


def bill(version, uf2, sizes, modules, known, when):
    """The CycloneDX document as a dict.

    uf2       bytes of the image; sizes: of sizes_of(); modules: {frozen file: bytes compiled}
    known     {component: version}; when: ISO 8601
    """
    digest = hashlib.sha256(uf2).hexdigest()
    components = []
    for name, size in sorted(sizes.items()):
        licence = next((row[2] for row in _PARTS if row[1] == name), None)
        if name.startswith("packctl") or licence is None:
            continue
        component = {"type": "library", "name": name, "bom-ref": f"library:{name}",
                     "licenses": [{"expression": licence}],
                     "properties": [{"name": "packctl:flash_bytes", "value": str(size)}]}
        if known.get(name):
            component["version"] = known[name]
            component["purl"] = f"pkg:generic/{name}@{known[name]}"
        components.append(component)
    for name, size in sorted(modules.items()):
        own = next((path for path in (ROOT / "firmware" / name, ROOT / "lib" / name)
                    if path.exists()), None)
        component = {"type": "file", "name": name, "bom-ref": f"module:{name}",
                     "licenses": [{"license": {"id": "MIT"}}],
                     "properties": [{"name": "packctl:flash_bytes", "value": str(size)}]}
        if own is not None:
            component["hashes"] = [{"alg": "SHA-256",
                                    "content": hashlib.sha256(own.read_bytes()).hexdigest()}]
        components.append(component)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}", "version": 1,
        "metadata": {
            "timestamp": when,
            "component": {"type": "firmware", "name": "packctl", "version": version,
                          "bom-ref": "packctl", "licenses": [{"license": {"id": "MIT"}}],
                          "hashes": [{"alg": "SHA-256", "content": digest}]}},
        "components": components,
        "dependencies": [{"ref": "packctl",
                          "dependsOn": [component["bom-ref"] for component in components]}],
    }


def size_table(version, size, sizes):
    """sizes.md"""
    share = 100 * size["flash"] / size["flash_limit"]
    out = [f"# Sizes of packctl {version}", "",
           f"The image takes {size['flash']} of {size['flash_limit']} bytes of flash "
           f"({share:.0f} %), and {size['data'] + size['bss']} bytes of RAM before Python starts.",
           "", "| component | bytes of flash |", "| --- | --: |"]
    out += [f"| {name} | {count} |" for name, count in sorted(sizes.items(), key=lambda x: -x[1])]
    out += ["", "| module | bytes compiled |", "| --- | --: |"]
    out += [f"| `{name}` | {count} |"
            for name, count in sorted(size["modules"].items(), key=lambda x: (-x[1], x[0]))]
    return "\n".join(out) + "\n"


def tag_text(version, size, news):
    """TAG.md: the first line is the tag's subject."""
    share = 100 * size["flash"] / size["flash_limit"]
    return (f"packctl {version}\n\nImage for the Raspberry Pi Pico: {size['flash']} bytes "
            f"({share:.0f} % of its flash).\nChecksums: SHA256SUMS. What is in the image: "
            f"packctl-{version}.cdx.json.\n\nWhat is new\n\n{news}\n")


def sums(folder):
    """SHA256SUMS of everything in *folder*, by name."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder)}\n"
                   for p in paths)


def make(image, source, out=OUT, when=None):
    """Everything but the tools' wheel into *out*, made anew; returns the version.

    image   toolchain.Firmware; source: MicroPython's tree; when: seconds, None: of the last commit
    """
    version = mip.version()
    if image.size is None:
        raise ReleaseError("nothing is known about the inside of the UF2 named by MICROPY_UF2")
    seconds = int(git("log", "-1", "--format=%ct")) if when is None else when
    stamp = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    news = changes((ROOT / "CHANGELOG.md").read_text("utf-8"))
    sizes = sizes_of(image.map.read_text("utf-8", "replace"))
    uf2 = image.uf2.read_bytes()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    mip.build(out / "mip")
    (out / f"packctl-{version}-pico.uf2").write_bytes(uf2)
    if image.slot_b is not None:
        update_file.write(image.slot_a.read_bytes(), image.slot_b.read_bytes(), out)
    parts = bill(version, uf2, sizes, image.size["modules"], versions(source), stamp)
    (out / f"packctl-{version}.cdx.json").write_text(json.dumps(parts, indent=1) + "\n")
    (out / "sizes.md").write_text(size_table(version, image.size, sizes), "utf-8")
    (out / "TAG.md").write_text(tag_text(version, image.size, news), "utf-8")
    return version


def main():
    try:
        version = make(toolchain.firmware(), toolchain.sources().path)
        subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel",
                        "--no-deps", "-w", OUT, ROOT], check=True)      # the host tool
        (OUT / "SHA256SUMS").write_text(sums(OUT))
    except (ReleaseError, toolchain.ToolchainError, subprocess.CalledProcessError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    if git("status", "--porcelain", "--untracked-files=no"):
        print("release: there are changes that are not committed", file=sys.stderr)
    print(OUT)
    print(f"git tag -a v{version} -F {(OUT / 'TAG.md').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
