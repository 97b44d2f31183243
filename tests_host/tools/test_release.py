"""make release: what it writes, and that its claims about the image are true."""

import hashlib
import json
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "image"))

import mip                                          # noqa: E402
import release                                      # noqa: E402
import update_file                                  # noqa: E402

MAP = """
Discarded input sections

 .text          0x00000000       0x99 a/micropython/lib/mbedtls/library/aes.c.o

Linker script and memory map

 .text          0x10000288       0x98 /usr/lib/gcc/arm-none-eabi/12.2.1/thumb/v6-m/nofp/crtbegin.o
 .text.mp_long_name_of_a_function
                0x10000320       0x5c CMakeFiles/firmware.dir/x/micropython/py/argcheck.c.o
 .text          0x1000037c       0xb8 CMakeFiles/firmware.dir/x/lib/littlefs/lfs2.c.o
 .rodata        0x10000500      0x100 CMakeFiles/firmware.dir/frozen_content.c.o
 .bss           0x20000500      0x100 CMakeFiles/firmware.dir/x/micropython/py/gc.c.o
 .text          0x10000700        0x0 CMakeFiles/firmware.dir/x/lib/tinyusb/src/tusb.c.o
"""


def test_sizes_are_of_what_is_in_the_flash():
    assert release.sizes_of(MAP) == {"libgcc": 0x98, "micropython": 0x5C, "littlefs": 0xB8,
                                     "packctl and frozen modules": 0x100}


def test_the_news_are_the_unreleased_section():
    text = "# Changelog\n\n## Unreleased\n\n* New.\n* And more.\n\n## 0.0.9\n\n* Old.\n"
    assert release.changes(text) == "* New.\n* And more."
    with pytest.raises(release.ReleaseError):
        release.changes("# Changelog\n\n## Unreleased\n\n## 0.0.9\n")


def test_the_bill_names_every_part_once_and_is_the_same_each_time():
    arguments = ("1.2.3", b"image", {"littlefs": 7, "packctl and frozen modules": 5, "other": 1},
                 {"main.py": 3, "bq76952.py": 4}, {"littlefs": "2.8"}, "2026-05-17T12:30:00Z")
    found = release.bill(*arguments)
    assert found == release.bill(*arguments)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", found["serialNumber"])
    parts = {part["bom-ref"]: part for part in found["components"]}
    assert set(parts) == {"library:littlefs", "module:main.py", "module:bq76952.py"}
    assert parts["library:littlefs"]["version"] == "2.8"
    assert parts["library:littlefs"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert parts["module:main.py"]["hashes"][0]["content"] == hashlib.sha256(
        (ROOT / "firmware" / "main.py").read_bytes()).hexdigest()
    assert found["dependencies"] == [{"ref": "packctl", "dependsOn": sorted(
        parts, key=lambda ref: (ref.startswith("module"), ref))}]


@pytest.mark.slow
@pytest.mark.rp2040
def test_a_release_of_the_image(uf2, tmp_path):
    """Of the image that the tests emulate: its checksums, its size and its list of parts."""
    import toolchain
    image = toolchain.firmware()
    out = tmp_path / "release"
    version = release.make(image, toolchain.sources().path, out, when=0)
    (out / "SHA256SUMS").write_text(release.sums(out))
    for line in (out / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    image_bytes = (out / f"packctl-{version}-pico.uf2").read_bytes()
    parts = json.loads((out / f"packctl-{version}.cdx.json").read_text())
    assert parts["metadata"]["timestamp"] == "1970-01-01T00:00:00Z"
    assert parts["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256(
        image_bytes).hexdigest()
    names = {part["name"]: part for part in parts["components"]}
    assert {"micropython", "pico-sdk", "tinyusb", "littlefs", "main.py",
            "bms/protect/protection.py"} <= set(names)
    assert names["micropython"]["version"] == "1.25.0"
    sizes = release.sizes_of(image.map.read_text("utf-8", "replace"))
    assert sizes.get("other", 0) < 500
    assert image.size["flash"] * 0.95 < sum(sizes.values()) <= image.size["flash"] + 4096
    text = (out / "TAG.md").read_text()
    assert text.startswith(f"packctl {version}\n\n") and "What is new" in text
    assert len(list((out / "mip").glob("*/package.json"))) == len(mip.PACKAGES)


def test_the_update_file_is_of_what_the_slots_hold():
    """Board and version are in the first sector, which differs as a whole."""
    def slot(fill, word):
        info = b"INFO" + b"PACKCTL_PICO".ljust(16, b"\0") + b"1.2.3".ljust(16, b"\0")
        sums = (bytes((fill,)) * 0xF00 + info).ljust(4096, b"\xff")
        return sums + word.to_bytes(4, "little") * 1024
    flash_map = {"INFO": 0xF00, "SLOT_A": 0x3000, "SLOT_B": 0xDB000}
    first, second = slot(1, 0x10004100), slot(2, 0x100DC100)
    made = update_file.of_slots(first, second, flash_map)
    assert made.name == "packctl-PACKCTL_PICO-1.2.3.pkg" and made.distance == 0xD8000
    assert (made.image(0), made.image(1)) == (first, second)
    assert {len(record.places) for record in made.records[16:]} == {64}
    with pytest.raises(ValueError, match="no board and version"):
        update_file.of_slots(bytes(8192), bytes(8192), flash_map)
