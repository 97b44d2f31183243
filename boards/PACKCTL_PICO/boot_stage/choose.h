// Which of the two images is started (SAF-06). Pure: tested on a PC, see choose.c.

#include <stdint.h>

#define SLOT_NONE 2

struct choice {
    uint32_t slot;          // 0 A, 1 B, SLOT_NONE: there is none to start
    uint32_t trial;         // 1: it has to prove itself, under the watchdog
    uint32_t mark;          // for the register that outlives a reset: the trial that was begun
};

// flash: its first byte; mark: what that register holds, 0 after power-on
void choose(const uint8_t *flash, uint32_t mark, struct choice *out);

// 1 if the image in `slot` is what was built: its sums are right and it starts within itself
int is_whole(const uint8_t *flash, uint32_t slot);
