// packctl on a Raspberry Pi Pico: what differs from the stock board.

#define MICROPY_HW_BOARD_NAME           "packctl on Raspberry Pi Pico"

// Half of the 2 MB flash is storage: the file system, and behind it 128 KiB of event records,
// the other half holds the interpreter with the application frozen in.
#define MICROPY_HW_FLASH_STORAGE_BYTES  (1024 * 1024)

// Nothing runs on core 1, and a thread would break the promise of the
// scheduler that tasks do not interrupt one another.
#define MICROPY_PY_THREAD               (0)

// Bytes of RAM that remember where a name was found. The stock 128 are for small programs: names
// take every other one, and the application has 2000 of them, so that most look-ups calculated a
// hash and searched. Measured with make bench: 1 % of the core.
#define MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE (4096)
