// Which of the two images is started. It reads the journal that lib/image_slots.py writes, and
// that module says what an entry is. Nothing here writes anything.
//
// JOURNAL, SLOT_A, SLOT_BYTES, IMAGE and XIP come from lib/flash_map_rp2.py by way of the
// compiler's command line. tools/pico_image.py compiles this file for the PC.

#include "choose.h"

#define SECTOR 4096u
#define PAGE 256u
#define SECTOR_WORDS (SECTOR / 4)
#define HEAD 16u                    // of the sums: "SUMS", number of sectors and its complement,
                                    // sums of the rest
#define VECTORS (IMAGE + 0x100u)    // behind the image's own boot2, which is not used
#define RAM 0x20000000u
#define RAM_END 0x20042000u

#define SUMS 0x534D5553u            // "SUMS"
#define ENTRY 0x5AFEu
#define MARK 0x7121u
enum { GOOD = 1, TRIAL = 2, REFUSED = 3 };
enum { SLOT_B_CONFIRMED = 1, FAILED = 4 };

static uint32_t half(const uint8_t *p) {
    return p[0] | p[1] << 8;
}

static int is_entry(const uint8_t *p) {
    uint32_t one = 0, two = 0;
    if (half(p) != ENTRY || p[3] < GOOD || p[3] > REFUSED) {
        return 0;
    }
    for (uint32_t i = 0; i < 12; i += 2) {
        one += half(p + i);
        two += one;
    }
    if (half(p + 12) != (one & 0xFFFF) || half(p + 14) != (two & 0xFFFF)) {
        return 0;
    }
    for (uint32_t i = 0; i < 16; i++) {
        if ((p[i] ^ p[16 + i]) != 0xFF) {
            return 0;
        }
    }
    return 1;
}

static uint32_t number(const uint8_t *p) {
    return half(p + 4) | half(p + 6) << 16;
}

// The newest valid entry, or 0.
static const uint8_t *newest(const uint8_t *flash) {
    const uint8_t *best = 0;
    for (const uint8_t *p = flash + JOURNAL; p < flash + JOURNAL + 2 * SECTOR; p += PAGE) {
        if (is_entry(p) && (!best || number(p) > number(best))) {
            best = p;
        }
    }
    return best;
}

// 1 if `words` words have the two sums that lie at `sums`.
static int agree(const uint32_t *p, uint32_t words, const uint32_t *sums) {
    uint32_t one = 0, two = 0;
    while (words--) {
        one += *p++;
        two += one;
    }
    return one == sums[0] && two == sums[1];
}

int is_whole(const uint8_t *flash, uint32_t slot) {
    const uint32_t start = SLOT_A + slot * SLOT_BYTES;
    const uint32_t *head = (const uint32_t *)(flash + start);
    const uint32_t *vectors = (const uint32_t *)(flash + start + VECTORS);
    const uint32_t image = XIP + start + IMAGE;
    const uint32_t sectors = head[1] & 0xFFFF;
    if (head[0] != SUMS || head[1] >> 16 != (sectors ^ 0xFFFF) || sectors == 0
        || sectors > (SLOT_BYTES - IMAGE) / SECTOR
        || sectors > 255 || !agree(head + HEAD / 4, SECTOR_WORDS - HEAD / 4, head + 2)) {
        return 0;
    }
    for (uint32_t i = 0; i < sectors; i++) {
        const uint32_t *p = (const uint32_t *)(flash + start + IMAGE + i * SECTOR);
        if (!agree(p, SECTOR_WORDS, head + HEAD / 4 + 2 * i)) {
            return 0;
        }
    }
    return vectors[0] > RAM && vectors[0] <= RAM_END
        && vectors[1] >= image && vectors[1] < image + sectors * SECTOR;
}

void choose(const uint8_t *flash, uint32_t mark, struct choice *out) {
    const uint8_t *entry = newest(flash);
    const uint32_t flags = entry ? entry[2] : 0;
    const uint32_t confirmed = flags & SLOT_B_CONFIRMED, other = confirmed ^ 1;
    out->slot = confirmed;
    out->trial = 0;
    out->mark = 0;
    if (entry && entry[3] == TRIAL) {
        // Once since power-on, or since it was written. A mark that stays tells the image that is
        // started now what became of the trial. Where nothing else is left it is tried again.
        out->mark = MARK << 16 | (number(entry) & 0xFFFF);
        const uint32_t tried = mark == out->mark;
        if (tried && is_whole(flash, confirmed)) {
            return;
        }
        if (is_whole(flash, other)) {
            out->slot = other;
            out->trial = 1;
            return;
        }
        out->mark = 0;
        if (tried) {
            out->slot = SLOT_NONE;
            return;
        }
    }
    if (!is_whole(flash, confirmed)) {
        out->slot = !(flags & FAILED) && is_whole(flash, other) ? other : SLOT_NONE;
    }
}
