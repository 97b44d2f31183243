"""What lies where in the flash of a Pico: boot stage, slots with their sums, UF2.

The map itself is lib/flash_map_rp2.py. The firmware checks the sums (lib/memory_rp2.py), and so
does the boot stage before it starts an image.
"""

import hashlib
import os
import pathlib
import runpy
import shutil
import struct
import subprocess
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent
STAGE = ROOT / "boards" / "PACKCTL_PICO" / "boot_stage"
SECTOR = 4096
BOOT2_BYTES = 256
UF2_BLOCK = 256
UF2_FAMILY_RP2040 = 0xE48BFF56
UF2_HAS_FAMILY = 0x2000
_NAMES = ("XIP", "JOURNAL", "SLOT_A", "SLOT_BYTES", "IMAGE")
_ARM = ("-mcpu=cortex-m0plus", "-mthumb", "-Os", "-ffreestanding", "-nostdlib", "-fno-builtin",
        "-Wall", "-Wextra", "-Werror", "--param=min-pagesize=0", "-Wl,--build-id=none",
        "-Wl,--no-warn-rwx-segments")
_HOST = ("-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")


def flash_map(**other):
    """lib/flash_map_rp2.py as an object; *other*: numbers in the place of its own."""
    values = runpy.run_path(str(ROOT / "lib" / "flash_map_rp2.py"))
    found = types.SimpleNamespace(**{k: v for k, v in values.items() if k.isupper()})
    found.__dict__.update(other)
    if other:
        found.SLOT_B = found.SLOT_A + found.SLOT_BYTES
        found.FILES = found.SLOT_B + found.SLOT_BYTES
    return found


def defines(layout):
    """The map as options of a C compiler."""
    return [f"-D{name}={getattr(layout, name)}u" for name in _NAMES]


def stage(layout, folder):
    """The boot stage as bytes for the place behind boot2; built in *folder*."""
    elf, binary = folder / "boot_stage.elf", folder / "boot_stage.bin"
    subprocess.run(["arm-none-eabi-gcc", *_ARM, *defines(layout), "-T", STAGE / "boot.ld",
                    "-o", elf, STAGE / "boot.c", STAGE / "choose.c"], check=True)
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", elf, binary], check=True)
    return binary.read_bytes()


def host_library(layout, cache):
    """Path of choose.c compiled for this computer, in the folder *cache*; None: no compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        return None
    sources = [STAGE / "choose.c", STAGE / "choose.h"]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)
                         + repr((defines(layout), _HOST)).encode()).hexdigest()[:16]
    path = cache / f"boot_stage-{key}.so"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        subprocess.run([*compiler.split(), *_HOST, *defines(layout), "-o", part, sources[0]],
                       check=True)
        os.replace(part, path)
    return path


def sums(data):
    """The sum of the words of *data* modulo 2**32, and the sum of those running sums."""
    one = two = 0
    for (word,) in struct.iter_unpack("<I", data):
        one = one + word & 0xFFFFFFFF
        two = two + one & 0xFFFFFFFF
    return struct.pack("<II", one, two)


def padded(data, size=SECTOR):
    return data.ljust(-(-len(data) // size) * size, b"\xff")


def slot(binary, layout, board, version):
    """What a slot begins with: the sector of sums, then the image.

    The sector: "SUMS", number of the image's sectors and its complement, two sums of the rest of
    it; for each sector of the image its two sums; at INFO "INFO", board, version, bytes of the
    image.
    """
    image = padded(binary)
    count = len(image) // SECTOR
    table = b"".join(sums(image[at:at + SECTOR]) for at in range(0, len(image), SECTOR))
    if 16 + len(table) > layout.INFO or SECTOR + len(image) > layout.SLOT_BYTES or count > 255:
        raise ValueError(f"the image takes {len(binary)} bytes, a slot has room for "
                         f"{room(layout)}")
    info = struct.pack("<4s16s16sI", b"INFO", board.encode(), version.encode(), len(binary))
    rest = table.ljust(layout.INFO - 16, b"\xff") + info
    rest = rest.ljust(SECTOR - 16, b"\xff")
    return b"SUMS" + struct.pack("<HH", count, count ^ 0xFFFF) + sums(rest) + rest + image


def room(layout):
    """Bytes that an image may have."""
    return min(layout.SLOT_BYTES - SECTOR, (layout.INFO - 16) // 8 * SECTOR, 255 * SECTOR)


def boot_sector(boot2, code):
    """boot2 of the SDK and the boot stage *code*, with sums of their own at the end."""
    data = (boot2 + code).ljust(SECTOR - 8, b"\xff")
    if len(boot2) != BOOT2_BYTES or len(data) != SECTOR - 8:
        raise ValueError(f"the boot stage takes {len(code)} bytes, more than there are")
    return data + sums(data)


def flash(slot_a, code, layout):
    """[(offset, bytes)] of a new board: what a UF2 writes."""
    return [(layout.BOOT, boot_sector(slot_a[layout.IMAGE:layout.IMAGE + BOOT2_BYTES], code)),
            (layout.JOURNAL, b"\xff" * (2 * SECTOR)), (layout.SLOT_A, slot_a)]


def uf2(parts, base):
    """*parts*, [(offset in the flash at address *base*, bytes)], as the blocks of a UF2."""
    blocks = [(start + at, data[at:at + UF2_BLOCK])
              for start, data in parts for at in range(0, len(data), UF2_BLOCK)]
    out = bytearray()
    for i, (at, payload) in enumerate(blocks):
        out += struct.pack(
            "<8I476sI", 0x0A324655, 0x9E5D5157, UF2_HAS_FAMILY, base + at, UF2_BLOCK, i,
            len(blocks), UF2_FAMILY_RP2040, payload.ljust(UF2_BLOCK, b"\0"), 0x0AB16F30)
    return bytes(out)
