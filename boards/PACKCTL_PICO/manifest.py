# Frozen into the image: the port's own module rp2, the mount of the file system, the application.

freeze("$(PORT_DIR)/modules", "rp2.py")
freeze("modules")
include("../application.py", other_ports=("_esp32.py", "_xtensa.py"))
