"""Counts its own runs in a record of two copies: a power cut costs the newest count at most."""

import sys

from packctl_drivers.slots import FlashFiles, Slots


def main(folder=""):
    slots = Slots(FlashFiles(folder), "runs")
    data = slots.load()                     # None: there is no whole copy
    runs = int.from_bytes(data, "little") + 1 if data else 1
    slots.save(runs.to_bytes(4, "little"))
    print("run number", runs)
    return runs


def on_a_pico():
    main()


if sys.platform == "rp2":
    on_a_pico()
