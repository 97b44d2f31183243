// The interpreter of the pack: the port's configuration without what neither the application nor
// mpremote uses. Two images have to fit into the flash beside the file system (SAF-06).
//
// py/mpconfig.h includes this file in place of the port's mpconfigport.h (mpconfigboard.cmake).

#include "mpconfigport.h"

// The file system is littlefs2 (_boot.py).
#undef MICROPY_VFS_FAT
#define MICROPY_VFS_FAT                         (0)

// Of the sums there is SHA-256 left, for the PIN and for what is sent to the pack.
#undef MICROPY_PY_HASHLIB_SHA1
#define MICROPY_PY_HASHLIB_SHA1                 (0)
#undef MICROPY_PY_CRYPTOLIB
#define MICROPY_PY_CRYPTOLIB                    (0)

// The application counts in whole numbers. Numbers with a point stay (json, the prompt).
#define MICROPY_PY_MATH                         (0)
#define MICROPY_PY_CMATH                        (0)
#define MICROPY_PY_BUILTINS_COMPLEX             (0)

// Pins and buses that no board of this project has.
#undef MICROPY_PY_MACHINE_I2S
#define MICROPY_PY_MACHINE_I2S                  (0)
#undef MICROPY_PY_MACHINE_PWM
#define MICROPY_PY_MACHINE_PWM                  (0)
#undef MICROPY_PY_MACHINE_BITSTREAM
#define MICROPY_PY_MACHINE_BITSTREAM            (0)
#undef MICROPY_PY_MACHINE_DHT_READINTO
#define MICROPY_PY_MACHINE_DHT_READINTO         (0)
#undef MICROPY_PY_MACHINE_PULSE
#define MICROPY_PY_MACHINE_PULSE                (0)
#undef MICROPY_PY_ONEWIRE
#define MICROPY_PY_ONEWIRE                      (0)
#undef MICROPY_PY_MACHINE_SOFTSPI
#define MICROPY_PY_MACHINE_SOFTSPI              (0)
#define MICROPY_PY_MACHINE_SIGNAL               (0)

// The port's main.c starts and stops some of them, whether they are there or not.
static inline void packctl_nothing(void) {
}
#define machine_i2s_init0                       packctl_nothing
#define machine_i2s_deinit_all                  packctl_nothing
#define machine_pwm_deinit_all                  packctl_nothing

// USB is the serial port that the port builds in; no program defines devices of its own.
#undef MICROPY_HW_ENABLE_USB_RUNTIME_DEVICE
#define MICROPY_HW_ENABLE_USB_RUNTIME_DEVICE    (0)

// Modules that nothing imports.
#define MICROPY_PY_ASYNCIO                      (0)
#define MICROPY_PY_FRAMEBUF                     (0)
#define MICROPY_PY_HEAPQ                        (0)
#define MICROPY_PY_PLATFORM                     (0)
#define MICROPY_PY_RANDOM                       (0)
#define MICROPY_PY_RE                           (0)
#define MICROPY_PY_COLLECTIONS_DEQUE            (0)
#define MICROPY_PY_MICROPYTHON_RINGIO           (0)

// The text of help() tells of the port's PWM, timers and networks.
#define MICROPY_PY_BUILTINS_HELP                (0)

// See no_native_compiler.c.
#ifdef PACKCTL_NO_NATIVE_COMPILER
#undef MICROPY_EMIT_THUMB
#define MICROPY_EMIT_THUMB                      (0)
#endif
