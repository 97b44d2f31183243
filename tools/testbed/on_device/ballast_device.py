"""Fills the file system in an image of a flash, or makes room in it again, with MicroPython's own
littlefs. Started by rig_targets.py on the unix port.

    ballast_device.py IMAGE 1|0     IMAGE: the blocks of the file system, rewritten
"""

import sys

HERE = __file__.rsplit("/", 1)[0]
sys.path.insert(0, HERE.rsplit("/", 2)[0] + "/models")

import vfs                                                  # noqa: E402 - the path comes first
from flash_model import SECTOR, NorFlash, Partition         # noqa: E402

_FOLDER = "/full"
_NAME = _FOLDER + "/ballast"
_PIECE = bytes(SECTOR)


def main(path, fill):
    with open(path, "rb") as file:
        image = file.read()
    flash = NorFlash(len(image) // SECTOR)
    flash.data[:] = image
    vfs.mount(vfs.VfsLfs2(Partition(flash, 0, flash.sectors), progsize=256), _FOLDER)
    if fill:
        size = len(_PIECE)
        while size:
            try:
                with open(_NAME, "ab") as file:
                    file.write(_PIECE[:size])
            except OSError:
                size //= 2
    else:
        import os
        try:
            os.remove(_NAME)
        except OSError:
            pass
    vfs.umount(_FOLDER)
    with open(path, "wb") as file:
        file.write(flash.data)


main(sys.argv[1], sys.argv[2] == "1")
