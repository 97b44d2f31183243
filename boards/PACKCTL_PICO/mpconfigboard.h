// packctl on a Raspberry Pi Pico: what differs from the stock board.

#define MICROPY_HW_BOARD_NAME           "packctl on Raspberry Pi Pico"

// Half of the 2 MB flash is storage: the file system, and behind it 128 KiB of event records,
// the other half holds the interpreter with the application frozen in.
#define MICROPY_HW_FLASH_STORAGE_BYTES  (1024 * 1024)

// Nothing runs on core 1, and a thread would break the promise of the
// scheduler that tasks do not interrupt one another.
#define MICROPY_PY_THREAD               (0)
