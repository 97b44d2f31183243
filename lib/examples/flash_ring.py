"""Writes three records into a ring and reads them back; here in files, one a sector."""

import sys

from packctl_drivers.flash_ring import PAYLOAD, FlashRing
from packctl_drivers.region import FileRegion


def main(folder="", sectors=4):
    ring = FlashRing(FileRegion(folder, sectors))
    ring.open()                             # finds what an earlier run has written
    for _ in range(3):
        number = ring.newest + 1
        ring.append(number, ("record %-19d" % number).encode()[:PAYLOAD])
    ring.commit()
    out = bytearray(PAYLOAD)
    for number in range(max(1, ring.newest - 2), ring.newest + 1):
        if ring.read(number, out):
            print(number, bytes(out))
    return ring.newest


def on_a_pico():
    main()


if sys.platform == "rp2":
    on_a_pico()
