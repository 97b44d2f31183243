"""A picture per board from its pins.csv: each pin, its signal, and the chip at its other end."""

import re

from drawing import Drawing
from rooms import ROOT

BOARDS = {"PACKCTL_PICO": "Raspberry Pi Pico", "PACKCTL_ESP32": "ESP32-WROOM-32",
          "PACKBOX_PICO": "the box, a second Pico that plays the pack"}
BOX = "PACKBOX_PICO"
# (what a name begins with, part at the other end, what it is), in the order of the picture
PARTS = (
    ("AFE_", "BQ76952", "cell monitor, FET driver"),
    ("AUX_", "MCP2515 and 2 x 74HC595", "CAN controller, lamp registers"),
    ("CAN_", "MCP2515", "CAN controller"),
    ("LAMP_", "2 x 74HC595", "L1 to L6, RUN, ALM, ON/OFF"),
    ("PCS_", "RS485-A transceiver", "to the inverter"),
    ("PAR_", "RS485-B transceiver", "to the other packs"),
    ("DBG_", "RS232 level shifter", "debug port"),
    ("I2C_", "TCA9534, PCF8563 or DS3231", "DIP switches and RST; clock"),
    ("DO", "relays or transistors", "dry contacts"),
    ("ROCKER", "ON/OFF switch", ""),
    ("LIMITER", "10 A charge limiter", ""),
    ("BUZZER", "buzzer", ""),
    ("HEARTBEAT", "LED on the board", ""),
)
# the other ends of the box's wires are on the board under test
BOX_PARTS = (
    ("AFE_", "Pico under test", "as the cell monitor BQ76952"),
    ("AUX_", "Pico under test", "as the lamp registers"),
    ("CAN_", "Pico under test", "a real MCP2515 is on these wires too"),
    ("LAMP_", "Pico under test", "as the lamp registers"),
    ("PCS_", "Pico under test", "in place of the RS485-A transceiver"),
    ("PAR_", "Pico under test", "in place of the RS485-B transceiver"),
    ("I2C_", "Pico under test", "as the TCA9534"),
    ("RTC_", "Pico under test", "the same two wires, as the clock chip"),
    ("ROCKER", "Pico under test", "as the ON/OFF switch"),
    ("RUN", "Pico under test", "its pin RUN, low = reset"),
    ("POWER", "transistor or relay", "supply of the Pico under test"),
    ("LIMITER", "Pico under test", ""), ("BUZZER", "Pico under test", ""),
    ("HEARTBEAT", "Pico under test", "pad TP5 on both boards; may be left out"),
    ("DO", "Pico under test", ""),
)
BOX_OUTPUTS = ("RUN", "POWER")
# what has to be outside, and the way it pulls
PULLS = {"AFE_BOTHOFF": "pull-down", "PCS_DE": "pull-down", "PAR_DE": "pull-down",
         "CAN_INT": "pull-up", "LIMITER": "pull-down", "DO1": "pull-down", "DO2": "pull-down"}
INPUTS = ("AFE_MISO", "PCS_RX", "PAR_RX", "DBG_RX", "AUX_MISO", "CAN_INT", "ROCKER")
_BOTH = ("I2C_SDA", "RTC_SDA")
_ROW = 24
_COLOURS = ("#ddf4ff", "#fff8c5", "#dafbe1", "#ffebe9", "#fbefff", "#f6f8fa", "#ffeff7")


def file_of(board):
    """Name of the board's picture in docs/."""
    return f"wiring-{board.lower()}.svg"


def pins_of(board):
    """[(name, pin)] of boards/<board>/pins.csv, in its order."""
    rows = (ROOT / "boards" / board / "pins.csv").read_text("utf-8").splitlines()
    return [tuple(row.split(",")) for row in rows if row and not row.startswith("#")]


def groups_of(pins, parts=PARTS):
    """[(part, what it is, [(name, pin)])] in the order of *parts*."""
    found = []
    for prefix, part, what in parts:
        rows = [(name, pin) for name, pin in pins if name.startswith(prefix)]
        if rows:
            found.append((part, what, rows))
    return found


def parts_of(board):
    return BOX_PARTS if board == BOX else PARTS


def is_input(board, name):
    """Of *board*; what is one of the controller is an output of the box."""
    return name not in (*INPUTS, *BOX_OUTPUTS) if board == BOX else name in INPUTS


def outside(board, name):
    """What is beside the wire: a resistor, or where it begins on the board under test."""
    if board != BOX:
        return PULLS.get(name, "")
    name = name.replace("RTC_", "I2C_")
    return dict(pins_of("PACKCTL_PICO")).get(name, "").replace("GPIO", "GP")


def picture(board):
    """The SVG of one board."""
    groups = groups_of(pins_of(board), parts_of(board))
    height = 70 + sum(_ROW * max(2, len(rows)) + 14 for _, _, rows in groups)
    drawing = Drawing(860, height + 20, f"Wiring of {BOARDS[board]}")
    drawing.box(20, 50, 150, height - 40, BOARDS[board], ("3.3 V, GND",))
    drawing.words(430, 28, f"{BOARDS[board]}: every pin that is used", bold=True, size=16)
    y = 60
    for i, (part, what, rows) in enumerate(groups):
        tall = _ROW * max(2, len(rows))
        drawing.box(560, y, 280, tall, part, (what,) if what else (),
                    _COLOURS[i % len(_COLOURS)])
        for k, (name, pin) in enumerate(rows):
            at = y + tall / 2 + (k - (len(rows) - 1) / 2) * _ROW
            inward = is_input(board, name)
            ends = [(170, at), (560, at)]
            drawing.line(ends[::-1] if inward else ends, arrow=True)
            if name in _BOTH:
                drawing.line(ends[::-1], arrow=True)
            drawing.words(186, at - 4, pin, "start")
            drawing.words(330, at - 4, name, "middle", bold=True)
            if outside(board, name):
                drawing.words(548, at - 4, outside(board, name), "end", size=11)
        y += tall + 14
    return drawing.text()


def page():
    """docs/wiring.md"""
    out = ["# Wiring", "", "Made by `make pages` from `boards/*/pins.csv`; do not edit.", "",
           "An arrow is a wire and the direction of its signal; signals are 3.3 V. *pull-down* "
           "and *pull-up* are resistors outside that hold the line until the firmware drives it. "
           "What each signal is for, and the ESP32's straps: "
           "[boards/README.md](../boards/README.md).", "",
           "The cells, the shunt, the FETs and the thermistors hang on the BQ76952 alone. The "
           "controller sees the pack through it, and never switches a FET by itself: it tells the "
           "BQ76952, and `AFE_BOTHOFF` low opens both."]
    for board, words in BOARDS.items():
        out += ["", f"## {words}", "", f"![Wiring of {words}]({file_of(board)})", "",
                "| pin | name | to | direction | outside |", "| --- | --- | --- | --- | --- |"]
        for part, what, rows in groups_of(pins_of(board), parts_of(board)):
            for name, pin in rows:
                way = ("both" if name in _BOTH else
                       "in" if is_input(board, name) else "out")
                out.append(f"| {re.sub('GPIO', 'GP' if 'PICO' in board else 'GPIO', pin)} | "
                           f"`{name}` | {part}{', ' + what if what else ''} | {way} | "
                           f"{outside(board, name)} |")
    out += ["", "For the box, *outside* is the pin of the board under test at the other end.",
            "", "On the ESP32, buzzer, limiter and heartbeat are outputs of the second 74HC595."]
    return out
