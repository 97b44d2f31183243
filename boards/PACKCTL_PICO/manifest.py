# Frozen into the image: the port's own modules (file system, rp2) and the application.

freeze("$(PORT_DIR)/modules")
include("../application.py", other_ports=("_esp32.py", "_xtensa.py"))
