// packbox on a Raspberry Pi Pico: the second Pico of the bench, which plays the pack.

#define MICROPY_HW_BOARD_NAME           "packbox on Raspberry Pi Pico"

// Nothing is stored; the file system is there for who tries something at the prompt.
#define MICROPY_HW_FLASH_STORAGE_BYTES  (1024 * 1024)

#define MICROPY_PY_THREAD               (0)
