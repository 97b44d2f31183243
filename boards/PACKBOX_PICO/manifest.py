# Frozen into the image: the port's own modules, the box's program, the pins of this board.

import os

freeze("$(PORT_DIR)/modules", ("rp2.py", "_boot.py"))
freeze("modules")
freeze("../../tools/packbox", ("box_app.py", "box_rp2.py", "box_frames.py", "box_front.py"))
freeze("../../lib", "idle_rp2.py")

folder = "../../build/generated/packbox"
os.makedirs(folder, exist_ok=True)
with open("pins.csv") as rows:
    pins = [row.strip().split(",") for row in rows if row.strip() and not row.startswith("#")]
text = "PINS = {%s}\n" % ", ".join("%r: %d" % (name, int(pin[4:])) for name, pin in pins)
path = os.path.join(folder, "pins.py")
if not os.path.exists(path) or open(path).read() != text:
    with open(path, "w") as file:
        file.write(text)
freeze(folder, "pins.py")
