// packctl on an ESP32-WROOM-32: what differs from the stock board.

#define MICROPY_HW_BOARD_NAME           "packctl on ESP32-WROOM-32"
#define MICROPY_HW_MCU_NAME             "ESP32"

// Matches sdkconfig.base without sdkconfig.ble.
#define MICROPY_PY_BLUETOOTH            (0)
