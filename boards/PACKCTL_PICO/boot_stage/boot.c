// The boot stage of a Pico: behind boot2, before MicroPython. It decides which image runs, and
// jumps there. It never writes flash, so no update and no power cut can change it.
//
// All outputs are inputs until an image drives them: resistors hold both FETs open (wiring.md).
// Registers are those of the RP2040's data sheet.

#include "choose.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define SET_BITS 0x2000u
#define CLEAR_BITS 0x3000u

#define RESETS 0x4000C000u
#define RESET_DONE 0x08u
#define CLOCKS 0x40008000u
#define CLK_REF_CTRL 0x30u
#define CLK_REF_SELECTED 0x38u
#define CLK_SYS_CTRL 0x3Cu
#define CLK_SYS_SELECTED 0x44u
#define CLK_PERI_CTRL 0x48u
#define XOSC 0x40024000u
#define PLL_SYS 0x40028000u
#define WATCHDOG 0x40058000u
#define WATCHDOG_SCRATCH3 0x18u         // 0..2 are the firmware's, 4..7 the SDK's and the ROM's
#define WATCHDOG_TICK 0x2Cu
#define PSM_WDSEL 0x40010008u
#define IO_BANK0 0x40014000u
#define SIO 0xD0000000u
#define SPI1 0x40040000u
#define VTOR 0xE000ED08u

#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_SPI1 (1u << 17)

// The firmware starts within a second and then feeds the watchdog itself. It counts twice a
// microsecond (RP2040-E1), in 24 bits: 8.4 s are the longest there are.
#define TRIAL_LOAD 0xFFFFFFu

#define AUX_SCK 10u                     // pins.csv
#define AUX_MOSI 11u
#define LAMP_RCLK 15u
#define LAMPS 0x0081u                   // ALM and L1: the program is not what was built

static void release(uint32_t blocks) {
    REG(RESETS + CLEAR_BITS) = blocks;
    while (~REG(RESETS + RESET_DONE) & blocks) {
    }
}

// From the ring oscillator's some 6 MHz to the 125 MHz that the firmware uses: checking an image
// then takes a tenth of a second, and not a second and a half.
static void fast(void) {
    REG(XOSC + 0x0C) = 47;                      // 1 ms until it is stable
    REG(XOSC) = 0xFABAA0;                       // enable, 1 to 15 MHz
    while (!(REG(XOSC + 4) >> 31)) {
    }
    REG(CLOCKS + CLK_REF_CTRL) = 2;             // crystal
    while (!(REG(CLOCKS + CLK_REF_SELECTED) & 4)) {
    }
    release(RESET_PLL_SYS);
    REG(PLL_SYS) = 1;                           // 12 MHz * 125 / 6 / 2
    REG(PLL_SYS + 8) = 125;
    REG(PLL_SYS + 4 + CLEAR_BITS) = 0x21;
    while (!(REG(PLL_SYS) >> 31)) {
    }
    REG(PLL_SYS + 12) = 6 << 16 | 2 << 12;
    REG(PLL_SYS + 4 + CLEAR_BITS) = 0x08;
    REG(CLOCKS + CLK_SYS_CTRL) = 1;             // the PLL
    while (!(REG(CLOCKS + CLK_SYS_SELECTED) & 2)) {
    }
}

// Back to the crystal, as the image expects it.
static void slow(void) {
    REG(CLOCKS + CLK_SYS_CTRL) = 0;
    while (!(REG(CLOCKS + CLK_SYS_SELECTED) & 1)) {
    }
}

static void watch(void) {
    REG(WATCHDOG + WATCHDOG_TICK) = 1 << 9 | 12;    // each microsecond of the crystal
    REG(PSM_WDSEL) = 0x1FFFC;                       // it resets all but the oscillators
    REG(WATCHDOG + 4) = TRIAL_LOAD;
    REG(WATCHDOG + SET_BITS) = 1u << 30;
}

// ALM and L1 on, everything else stays as it is without a firmware.
static void show_lamps(void) {
    release(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_SPI1);
    REG(CLOCKS + CLK_PERI_CTRL) = 1u << 11;         // from the system clock
    REG(SPI1 + 0x10) = 126;                         // 1 MHz
    REG(SPI1) = 7;                                  // 8 bits, mode 0
    REG(SPI1 + 4) = 2;
    REG(SIO + 0x18) = 1u << LAMP_RCLK;
    REG(SIO + 0x24) = 1u << LAMP_RCLK;
    REG(IO_BANK0 + 8 * LAMP_RCLK + 4) = 5;          // SIO
    REG(IO_BANK0 + 8 * AUX_SCK + 4) = 1;            // SPI
    REG(IO_BANK0 + 8 * AUX_MOSI + 4) = 1;
    REG(SPI1 + 8) = LAMPS >> 8;
    REG(SPI1 + 8) = LAMPS & 0xFF;
    while (REG(SPI1 + 0x0C) & 1u << 4) {
    }
    REG(SIO + 0x14) = 1u << LAMP_RCLK;
    REG(SIO + 0x18) = 1u << LAMP_RCLK;
}

// The ROM's USB drive: an image can be written there, and nowhere else.
__attribute__((noreturn)) static void rescue(void) {
    typedef void *(*find_function)(const uint16_t *table, uint32_t code);
    typedef void (*usb_boot)(uint32_t pins, uint32_t interfaces);
    volatile const uint16_t *rom = (volatile const uint16_t *)0x10;     // RP2040 data sheet, 2.8.3
    find_function find = (find_function)(uintptr_t)rom[4];
    ((usb_boot)find((const uint16_t *)(uintptr_t)rom[2], 'U' | 'B' << 8))(0, 0);
    for (;;) {
    }
}

__attribute__((noreturn)) static void start(uint32_t slot) {
    const uint32_t *vectors = (const uint32_t *)(XIP + SLOT_A + slot * SLOT_BYTES + IMAGE + 0x100);
    REG(VTOR) = (uint32_t)vectors;
    __asm__ volatile("msr msp, %0\n bx %1" ::"r"(vectors[0]), "r"(vectors[1]));
    __builtin_unreachable();
}

__attribute__((noreturn)) void boot(void) {
    struct choice choice;
    fast();
    choose((const uint8_t *)XIP, REG(WATCHDOG + WATCHDOG_SCRATCH3), &choice);
    if (choice.slot == SLOT_NONE) {
        show_lamps();
        slow();
        rescue();
    }
    slow();
    REG(WATCHDOG + WATCHDOG_SCRATCH3) = choice.mark;
    if (choice.trial) {
        watch();
    }
    start(choice.slot);
}

__attribute__((section(".vectors"), used)) static const uint32_t vectors[2] = {
    0x20042000, (uint32_t)boot};
