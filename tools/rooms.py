"""Where everything is. Importing this puts the rooms of tools/ on the path.

A module's name is unique over all rooms, so a tool imports its neighbours by name alone. The rooms
come behind what is on the path already; `models/` and `mocks/` are put there by those who want
them: their `machine` stands in for the device's.
"""

import pathlib
import sys

TOOLS = pathlib.Path(__file__).resolve().parent
ROOT = TOOLS.parent
MODELS = TOOLS / "models"
MOCKS = TOOLS / "mocks"
ROOMS = ("testbed", "pico", "image", "load", "proof", "trials", "studies", "generate",
         "screen")


def use(*folders):
    """Put *folders* at the front of the path, the first of them foremost."""
    for folder in reversed(folders):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


for _room in (TOOLS, *(TOOLS / name for name in ROOMS)):
    if str(_room) not in sys.path:
        sys.path.append(str(_room))
