// packctl on a Raspberry Pi Pico: what differs from the stock board.

#define MICROPY_HW_BOARD_NAME           "packctl on Raspberry Pi Pico"

// rp2.Flash() reaches all but the first sector, which no update touches. lib/flash_map_rp2.py says
// what lies where.
#define MICROPY_HW_FLASH_STORAGE_BASE   (4 * 1024)
#define MICROPY_HW_FLASH_STORAGE_BYTES  (2044 * 1024)

// Nothing runs on core 1, and a thread would break the promise of the
// scheduler that tasks do not interrupt one another.
#define MICROPY_PY_THREAD               (0)

// Bytes of RAM that remember where a name was found. The stock 128 are for small programs: names
// take every other one, and the application has 2000 of them, so that most look-ups calculated a
// hash and searched. Measured with make bench: 1 % of the core.
#define MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE (4096)
