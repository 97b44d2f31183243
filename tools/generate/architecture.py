"""The picture of the firmware: the way of a reading from the cells to FETs, lamps and wires."""

from drawing import Drawing

_CHIP = "#ddf4ff"
_LIB = "#f6f8fa"
_LOGIC = "#dafbe1"
_PROTOCOL = "#fff8c5"
_GUARD = "#ffebe9"

# name: (x, y, width, height, head, lines, fill); a head with a slash is a folder or file
BOXES = {
    "cells": (20, 120, 130, 70, "pack", ("cells, shunt,", "thermistors"), _CHIP),
    "afe": (180, 120, 160, 70, "BQ76952", ("measures, drives FETs,", "is the second line"), _CHIP),
    "driver": (370, 120, 150, 70, "lib/bq76952.py", ("frames with CRC", "on SPI"), _LIB),
    "control": (560, 120, 170, 70, "tasks/control.py", ("one scan each", "100 ms"), _LIB),
    "measure": (20, 260, 170, 86, "bms/measure/", ("readings in mV, mA,", "0.1 °C; can each",
                                                   "be trusted?"), _LOGIC),
    "protect": (230, 260, 170, 86, "bms/protect/", ("table of protections,", "faults, locks;",
                                                    "which FETs may close"), _LOGIC),
    "pack": (440, 260, 150, 86, "bms/pack.py", ("one step a scan:", "the state of the pack"),
             _LOGIC),
    "limits": (630, 260, 170, 86, "bms/limits/ charge/", (
        "charge and discharge", "limits, state of", "charge, balancing"), _LOGIC),
    "snapshot": (840, 260, 150, 86, "bms/fleet/", ("this pack alone, or", "all packs as one"),
                 _LOGIC),
    "records": (20, 420, 170, 70, "bms/records/", ("events, counters,", "first-out → flash"),
                _LOGIC),
    "panel": (230, 420, 170, 70, "bms/panel/", ("lamps, buzzer,", "button, contacts"), _LOGIC),
    "power": (440, 420, 150, 70, "bms/power/", ("off, awake, asleep",), _LOGIC),
    "protocols": (630, 420, 360, 70, "protocols/", (
        "can/   ascii/   modbus   parallel/   debug/", "numbers → bytes, bytes → requests"),
                  _PROTOCOL),
    "ports": (630, 540, 360, 56, "CAN, RS485-A, RS485-B, RS232, USB", (), _CHIP),
    "lamps": (230, 540, 170, 56, "74HC595, contacts", (), _CHIP),
    "flash": (20, 540, 170, 56, "flash", (), _CHIP),
    "guard": (780, 120, 210, 70, "supervisor, watchdog", ("every task in time, every",
                                                          "scan worked to its end"), _GUARD),
}


def _side(name, where):
    x, y, width, height = BOXES[name][:4]
    return {"left": (x, y + height / 2), "right": (x + width, y + height / 2),
            "top": (x + width / 2, y), "bottom": (x + width / 2, y + height)}[where]


def picture():
    """docs/architecture.svg"""
    drawing = Drawing(1010, 620, "The way of a reading through the firmware")
    drawing.words(505, 32, "The way of a reading: from the cells to FETs, lamps and wires",
                  bold=True, size=17)
    drawing.words(505, 54, "data flows one way; one scan every 100 ms", size=12)
    for x, y, width, height, head, lines, fill in BOXES.values():
        drawing.box(x, y, width, height, head, lines, fill)
    for first, second in (("cells", "afe"), ("afe", "driver"), ("driver", "control")):
        drawing.line([_side(first, "right"), _side(second, "left")], arrow=True)
    # down into the logic
    x, y = _side("control", "bottom")
    drawing.line([(x, y), (x, 226), (105, 226), (105, 260)], arrow=True)
    drawing.words(240, 220, "registers of one scan, with their age", size=12)
    for first, second in (("measure", "protect"), ("protect", "pack"), ("pack", "limits"),
                          ("limits", "snapshot")):
        drawing.line([_side(first, "right"), _side(second, "left")], arrow=True)
    # the decision goes back to the FETs
    drawing.line([(550, 260), (550, 240), (700, 240), (700, 190)], arrow=True, colour="#cf222e",
                 width=2)
    drawing.words(708, 222, "which FETs are on", "start", colour="#cf222e", size=12)
    drawing.line([(645, 120), (645, 98), (275, 98), (275, 120)], arrow=True, colour="#cf222e",
                 width=2)
    drawing.words(460, 92, "FET commands, read back in each scan", colour="#cf222e", size=12)
    drawing.line([(885, 120), (885, 74), (235, 74), (235, 120)], arrow=True, colour="#cf222e",
                 width=2)
    drawing.words(780, 68, "line BOTHOFF: opens both FETs", colour="#cf222e", size=12)
    # what follows from the state
    x, y = _side("pack", "bottom")
    drawing.line([(x, y), (x, 420)], arrow=True)
    drawing.line([(x, 384), (105, 384), (105, 420)], arrow=True)
    drawing.line([(315, 384), (315, 420)], arrow=True)
    x, y = _side("snapshot", "bottom")
    drawing.line([(x, y), (x, 420)], arrow=True)
    for first, second in (("records", "flash"), ("panel", "lamps"), ("protocols", "ports")):
        drawing.line([_side(first, "bottom"), _side(second, "top")], arrow=True)
    for x, words, fill in ((20, "chips and wires", _CHIP), (160, "drivers and tasks", _LIB),
                           (320, "logic: no waiting, no hardware", _LOGIC)):
        drawing.box(x, 604, 12, 12, "", (), fill)
        drawing.words(x + 18, 614, words, "start", size=11)
    return drawing.text()
