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

by_value = "../build/generated/by_value"
subprocess.run([sys.executable, "constants.py", by_value], check=True)
for base in ("../firmware", "../lib"):
    for folder, _, names in sorted(os.walk(base)):
        for name in sorted(names):
            if name.endswith(".py") and not name.endswith(tuple(options.other_ports)):
                freeze(by_value, os.path.relpath(os.path.join(folder, name), base))

# The list of profiles, for bms/host/products.py: frozen modules stand in no folder.
modules = sorted(name[:-3] for name in os.listdir("../firmware/profiles")
                 if name.endswith(".py") and not name.startswith("_"))
text = "MODULES = (%s)\n" % "".join("%r, " % name for name in modules)
folder = "../build/generated"
os.makedirs(folder, exist_ok=True)
path = os.path.join(folder, "profile_names.py")
if not os.path.exists(path) or open(path).read() != text:
    with open(path, "w") as file:
        file.write(text)
freeze(folder, "profile_names.py")
