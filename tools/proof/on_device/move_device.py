"""The move of the files of an earlier image, cut within every flash operation (SAF-06).

    micropython tools/proof/on_device/move_device.py STEP       prints "operations cuts"

Of the operations each STEP-th is cut, with 10, 50 and 90 % of it done. Whatever a start finds
then, all files are there as they were when it is through; a second start finds them as well.
"""

import sys

_HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
_ROOT = _HERE + "/../../.."
sys.path[:0] = [_ROOT + "/tools/models", _ROOT + "/boards/PACKCTL_PICO/modules"]

import vfs                                                      # noqa: E402
from flash_model import SECTOR, Cut, NorFlash, Partition        # noqa: E402

import storage_move                                             # noqa: E402

_COPY, _OLD, _NEW, _END = 2, 8, 20, 32      # sectors: the new one lies within the old one
_FILES = {"parameters.%02d.a" % 4: bytes(range(250)), "soc.a": b"\x01" * 21, "soc.b": b"\x02" * 21,
          "product.a": bytes((i * 7) & 0xFF for i in range(5000)), "empty": b"",
          "names.b": b"profile soc power"}


def read_all(system):
    found = {}
    for entry in system.ilistdir(""):
        with system.open(entry[0], "rb") as file:
            found[entry[0]] = file.read()
    return found


_open: list = []            # what an earlier start has open no longer writes when it is collected


def started(nor):
    for partition in _open:
        partition.dead = True
    _open.clear()

    def device(at, size):
        _open.append(Partition(nor, at // SECTOR, size // SECTOR))
        return _open[-1]

    return storage_move.mounted(device, (_NEW * SECTOR, (_END - _NEW) * SECTOR), _COPY * SECTOR)


def earlier():
    """The flash of a board with the earlier image's files, another image where the copy goes."""
    nor = NorFlash(_END)
    for i in range(_COPY * SECTOR, _OLD * SECTOR):
        nor.data[i] = i * 11 & 0xFF
    blocks = Partition(nor, _OLD, _END - _OLD)
    vfs.VfsLfs2.mkfs(blocks, progsize=256)
    system = vfs.VfsLfs2(blocks, progsize=256)
    for _ in range(40):                     # written often: its blocks are all over the place
        for name, data in _FILES.items():
            with system.open(name, "wb") as file:
                file.write(data)
    return bytes(nor.data)


def main(step):
    storage_move.OLD = ((_OLD * SECTOR, (_END - _OLD) * SECTOR),)
    nor = NorFlash(_END)
    before = earlier()
    nor.data[:] = before
    assert read_all(started(nor)) == _FILES
    operations = nor.ops
    assert read_all(started(nor)) == _FILES
    assert nor.ops == operations            # a start that moves nothing writes nothing
    try:
        vfs.VfsLfs2(Partition(nor, _OLD, _END - _OLD), progsize=256)
        raise AssertionError("the old file system is still there")
    except OSError:
        pass
    cuts = 0
    for count in range(1, operations + 1, step):
        for torn in (0.1, 0.5, 0.9):
            nor.data[:] = before
            nor.cut(count, torn)
            try:
                started(nor)
                raise AssertionError("not cut")
            except Cut:
                cuts += 1
                for partition in _open:
                    partition.dead = True
            nor.cut(0, 0)
            assert read_all(started(nor)) == _FILES, (count, torn)
            assert read_all(started(nor)) == _FILES, (count, torn)
    # nothing to move: a new file system
    nor.data[:] = b"\xff" * len(nor.data)
    assert read_all(started(nor)) == {}
    print(operations, cuts)


main(int(sys.argv[1]))
