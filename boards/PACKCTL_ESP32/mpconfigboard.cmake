# ESP32-WROOM-32 module (4 MB flash) as the brain of a battery pack.
set(IDF_TARGET esp32)

# Paths are relative to the port. No Bluetooth: it would take RAM that the pack can use.
set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
