# What every board freezes besides its port's own modules: firmware/ and lib/, with the values of
# whole numbers where the source has their names (constants.py).
#
#     include("../application.py", other_ports=("_esp32.py",))
#
# other_ports  endings of the files that are for other processors and are left out
#
# This is a manifest, run by MicroPython's makemanifest.py with the working
# directory set to the folder of this file.

import os
import subprocess
import sys

options.defaults(other_ports=())

# Tests that are frozen as well ask for names that the application itself does not need.
names = ["--names"] if os.environ.get("PACKCTL_NAMES") else []
by_value = "../build/generated/by_value" + "_names" * len(names)
subprocess.run([sys.executable, "constants.py", by_value, *names], check=True)
for base in ("../firmware", "../lib"):
    for folder, _, names in sorted(os.walk(base)):
        if os.path.basename(folder) == "examples":      # for other people's boards
            continue
        for name in sorted(names):
            if name.endswith(".py") and not name.endswith(tuple(options.other_ports)):
                freeze(by_value, os.path.relpath(os.path.join(folder, name), base))

# The list of profiles, for bms/host/products.py: frozen modules stand in no folder.
# A profile that is a data file is frozen as a module with its text.
folder = "../build/generated"


def freeze_text(name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path) or open(path).read() != text:
        with open(path, "w") as file:
            file.write(text)
    freeze(folder, name)


modules = set()
for name in sorted(os.listdir("../firmware/profiles")):
    stem, ending = os.path.splitext(name)
    if ending in (".py", ".json") and not name.startswith("_"):
        modules.add(stem)
    if ending == ".json":
        with open("../firmware/profiles/" + name) as file:
            freeze_text("profiles/%s.py" % stem, "DATA = %r\n" % file.read())
freeze_text("profile_names.py", "MODULES = (%s)\n" % "".join("%r, " % n for n in sorted(modules)))
