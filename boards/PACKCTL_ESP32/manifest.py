# Frozen into the image: the port's own modules (file system) and the application.

freeze("$(PORT_DIR)/modules")
include("../application.py", other_ports=("_rp2.py", "_thumb.py"))
