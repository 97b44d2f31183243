"""Where everything is. Importing this puts the rooms of tools/ on the path.

A module's name is unique over all rooms, so a tool imports its neighbours by name alone. The rooms
come behind what is on the path already; `models/` and `mocks/` are put there by those who want
them: their `machine` stands in for the device's.
"""

import pathlib
import re
import subprocess
import sys

TOOLS = pathlib.Path(__file__).resolve().parent
ROOT = TOOLS.parent
MODELS = TOOLS / "models"
MOCKS = TOOLS / "mocks"
ROOMS = ("packbox", "testbed", "pico", "image", "load", "proof", "trials", "studies", "generate",
         "report", "screen", "web")


def use(*folders):
    """Put *folders* at the front of the path, the first of them foremost."""
    for folder in reversed(folders):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def figures_of():
    """The sentence for a page of measured figures: which version they are of."""
    version = re.search(r'"(.+)"', (ROOT / "firmware" / "version.py").read_text().split("=")[1])[1]
    try:
        commit, changed = (subprocess.run(["git", *words], cwd=ROOT, capture_output=True,
                                          text=True, check=True).stdout.strip()
                           for words in (("log", "-1", "--format=%h of %cs"),
                                         ("status", "--porcelain", "--untracked-files=no")))
    except (OSError, subprocess.CalledProcessError):
        return f"The figures are of version {version}."
    return (f"The figures are of version {version}, commit {commit}"
            + (" with changes." if changed else "."))


for _room in (TOOLS, *(TOOLS / name for name in ROOMS)):
    if str(_room) not in sys.path:
        sys.path.append(str(_room))
