# What every board freezes besides its port's own modules: firmware/ and lib/.
#
#     include("../application.py", other_ports=("_esp32.py",))
#
# other_ports  endings of the files that are for other processors and are left out
#
# This is a manifest, run by MicroPython's makemanifest.py with the working
# directory set to the folder of this file.

import os

options.defaults(other_ports=())

for base in ("../firmware", "../lib"):
    for folder, _, names in sorted(os.walk(base)):
        for name in sorted(names):
            if name.endswith(".py") and not name.endswith(tuple(options.other_ports)):
                freeze(base, os.path.relpath(os.path.join(folder, name), base))
