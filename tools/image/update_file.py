#!/usr/bin/env python3
"""Makes the update file of an image: build/packctl-BOARD-VERSION.pkg (make release does too).

    update_file.py                      of the image that `make firmware` builds
    update_file.py A.bin B.bin          of the contents of two slots
    update_file.py --key owner.pem      signed
    update_file.py --read FILE          what one holds, as `packctl pkg info`

Board and version come from the slot's sector of sums; tools/packctl/package.py has the format.
"""

import argparse
import pathlib
import runpy
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import toolchain                                    # noqa: E402
from packctl import package, signing                # noqa: E402
from packctl.errors import PackError                # noqa: E402

ROOT = toolchain.ROOT
_INFO = struct.Struct("<4s16s16s")


def of_slots(first, second, flash_map=None):
    """The Package of what slot A and slot B have to hold, as bytes.

    flash_map   dict of lib/flash_map_rp2.py's names
    """
    flash_map = flash_map or runpy.run_path(str(ROOT / "lib" / "flash_map_rp2.py"))
    mark, board, version = _INFO.unpack_from(first, flash_map["INFO"])
    if mark != b"INFO":
        raise ValueError("this is no slot's contents: it has no board and version in its first "
                         "sector")
    return package.make(first, second, board=board.rstrip(b"\0").decode(),
                        version=version.rstrip(b"\0").decode(),
                        distance=flash_map["SLOT_B"] - flash_map["SLOT_A"])


def write(first, second, folder, key=None):
    """Write the update file of two slots' contents into *folder*; returns its path.

    key   file of an owner's private key, None: it is not signed
    """
    made = of_slots(first, second)
    if key is not None:
        signing.sign(made, key)
    path = pathlib.Path(folder) / made.name
    path.write_bytes(made.to_bytes())
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slots", nargs="*", type=pathlib.Path, metavar="SLOT")
    parser.add_argument("--key", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--read", type=pathlib.Path, metavar="FILE")
    args = parser.parse_args()
    try:
        if args.read:
            found = package.read(args.read)
            print(f"{found.board} {found.version}, {found.image_bytes} bytes, "
                  f"{'signed' if found.signature else 'not signed'}")
            return 0
        slots = args.slots
        if not slots:
            image = toolchain.firmware()
            slots = [image.slot_a, image.slot_b]
        if len(slots) != 2 or None in slots:
            raise ValueError("an update file takes two slots' contents, and this image has one")
        print(write(*(path.read_bytes() for path in slots), args.out, args.key))
    except (OSError, ValueError, PackError, toolchain.ToolchainError) as error:
        print(f"update_file: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
