/* One PIO block of the emulated Pico, instruction by instruction.
 *
 * Time is the block's own, in 1/256 of a system clock, and moves in pio_run() alone. State machines
 * that all wait cost nothing. pio_spi() puts bits on input pins edge by edge, as a master on the
 * other end of the wires does. Loaded by emu_pio.py with ctypes, which has a copy of
 * `struct pio`.
 */

#include <stdint.h>
#include <string.h>

struct machine {
    uint32_t enabled, clkdiv, exec_ctrl, shift_ctrl, pin_ctrl;
    uint32_t x, y, pc, isr, isr_count, osr, osr_count;
    uint32_t forced, is_forced;     /* an instruction from outside, or from OUT/MOV EXEC */
    uint32_t irq_wait;              /* an IRQ WAIT has set its flag and waits for its clearing */
    uint32_t rx[8], rx_at, rx_used, rx_size;
    uint32_t tx[8], tx_at, tx_used, tx_size;
    uint64_t due;                   /* when the next instruction is executed, 1/256 clocks */
};

struct pio {
    uint32_t program[32];
    uint32_t irq, fdebug, inputs, values, directions;
    uint32_t inte[2], intf[2];
    uint64_t now;
    struct machine machine[4];
};

#define PULL_THRESHOLD(m) ((m)->shift_ctrl >> 25 & 31 ? (m)->shift_ctrl >> 25 & 31 : 32)
#define PUSH_THRESHOLD(m) ((m)->shift_ctrl >> 20 & 31 ? (m)->shift_ctrl >> 20 & 31 : 32)
#define AUTOPULL(m) ((m)->shift_ctrl >> 17 & 1)
#define AUTOPUSH(m) ((m)->shift_ctrl >> 16 & 1)

static int push(struct machine *m, uint32_t value)
{
    if (m->rx_used >= m->rx_size)
        return 0;
    m->rx[(m->rx_at + m->rx_used++) & 7] = value;
    return 1;
}

static int pull(struct machine *m, uint32_t *value)
{
    if (!m->tx_used)
        return 0;
    *value = m->tx[m->tx_at];
    m->tx_at = (m->tx_at + 1) & 7;
    m->tx_used--;
    return 1;
}

static void join(struct machine *m)
{
    uint32_t rx = m->shift_ctrl >> 31 ? 8 : m->shift_ctrl >> 30 & 1 ? 0 : 4;
    if (m->rx_size != rx) {
        m->rx_size = rx;
        m->tx_size = 8 - rx;
        m->rx_used = m->tx_used = 0;
    }
}

/* `count` pins from `base` on, wrapping after pin 31, become `value`. */
static void put(uint32_t *pins, uint32_t value, uint32_t base, uint32_t count)
{
    uint32_t mask = count > 31 ? 0xFFFFFFFFu : (1u << count) - 1;
    value &= mask;
    if (base) {
        mask = mask << base | mask >> (32 - base);
        value = value << base | value >> (32 - base);
    }
    *pins = (*pins & ~mask) | value;
}

static uint32_t reversed(uint32_t value)
{
    uint32_t i, out = 0;
    for (i = 0; i < 32; i++)
        out |= (value >> i & 1) << (31 - i);
    return out;
}

static uint32_t pins_from(const struct pio *p, uint32_t base)
{
    /* a pin that this block drives is read back */
    uint32_t levels = (p->inputs & ~p->directions) | (p->values & p->directions);
    return base ? levels >> base | levels << (32 - base) : levels;
}

static uint32_t source(const struct pio *p, const struct machine *m, uint32_t which)
{
    uint32_t used;
    switch (which) {
    case 0: return pins_from(p, m->pin_ctrl >> 15 & 31);
    case 1: return m->x;
    case 2: return m->y;
    case 5:
        used = m->exec_ctrl >> 4 & 1 ? m->rx_used : m->tx_used;
        return used < (m->exec_ctrl & 15) ? 0xFFFFFFFFu : 0;
    case 6: return m->isr;
    case 7: return m->osr;
    default: return 0;
    }
}

static uint32_t flag_of(uint32_t index, uint32_t machine)
{
    return index & 16 ? (index & 4) | ((index + machine) & 3) : index & 7;
}

/* The instruction `op`. 1: it is done; 0: it waits, and is tried again. `jumped`: pc is set. */
static int execute(struct pio *p, struct machine *m, uint32_t number, uint32_t op, int *jumped)
{
    uint32_t arg = op & 31, which = op >> 5 & 7, value, taken, bits = arg ? arg : 32;
    switch (op >> 13) {
    case 0:
        switch (which) {
        case 0: taken = 1; break;
        case 1: taken = !m->x; break;
        case 2: taken = m->x != 0; m->x--; break;
        case 3: taken = !m->y; break;
        case 4: taken = m->y != 0; m->y--; break;
        case 5: taken = m->x != m->y; break;
        case 6: taken = pins_from(p, m->exec_ctrl >> 24 & 31) & 1; break;
        default: taken = m->osr_count < PULL_THRESHOLD(m);
        }
        if (taken) {
            m->pc = arg;
            *jumped = 1;
        }
        return 1;
    case 1:
        if ((which & 3) == 2) {
            uint32_t bit = 1u << flag_of(arg, number);
            if (!!(p->irq & bit) != (which >> 2))
                return 0;
            if (which >> 2)
                p->irq &= ~bit;
            return 1;
        }
        value = (which & 3) == 1 ? pins_from(p, m->pin_ctrl >> 15 & 31) >> arg
                                 : pins_from(p, arg);
        return (value & 1) == which >> 2;
    case 2:
        if (AUTOPUSH(m) && m->isr_count >= PUSH_THRESHOLD(m)) {     /* it was full before */
            if (!push(m, m->isr))
                return 0;
            m->isr = m->isr_count = 0;
        }
        value = source(p, m, which);
        if (bits < 32)
            value &= (1u << bits) - 1;
        if (m->shift_ctrl >> 18 & 1)
            m->isr = (bits < 32 ? m->isr >> bits : 0) | value << (32 - bits);
        else
            m->isr = (bits < 32 ? m->isr << bits : 0) | value;
        m->isr_count = m->isr_count + bits > 32 ? 32 : m->isr_count + bits;
        if (AUTOPUSH(m) && m->isr_count >= PUSH_THRESHOLD(m) && push(m, m->isr))
            m->isr = m->isr_count = 0;
        return 1;
    case 3:
        if (AUTOPULL(m) && m->osr_count >= PULL_THRESHOLD(m)) {
            if (!pull(m, &m->osr)) {
                p->fdebug |= 1u << (24 + number);
                return 0;
            }
            m->osr_count = 0;
        }
        if (m->shift_ctrl >> 19 & 1) {
            value = bits < 32 ? m->osr & ((1u << bits) - 1) : m->osr;
            m->osr = bits < 32 ? m->osr >> bits : 0;
        } else {
            value = m->osr >> (32 - bits);
            m->osr = bits < 32 ? m->osr << bits : 0;
        }
        m->osr_count = m->osr_count + bits > 32 ? 32 : m->osr_count + bits;
        switch (which) {
        case 0: put(&p->values, value, m->pin_ctrl & 31, m->pin_ctrl >> 20 & 63); break;
        case 1: m->x = value; break;
        case 2: m->y = value; break;
        case 4: put(&p->directions, value, m->pin_ctrl & 31, m->pin_ctrl >> 20 & 63); break;
        case 5: m->pc = value & 31; *jumped = 1; break;
        case 6: m->isr = value; m->isr_count = bits; break;
        case 7: m->forced = value; m->is_forced = 1; break;
        }
        return 1;
    case 4:
        if (op & 0x80) {                                            /* PULL */
            if (op & 0x40 && m->osr_count < PULL_THRESHOLD(m))
                return 1;
            if (!pull(m, &m->osr)) {
                p->fdebug |= 1u << (24 + number);
                if (op & 0x20)
                    return 0;
                m->osr = m->x;
            }
            m->osr_count = 0;
            return 1;
        }
        if (op & 0x40 && m->isr_count < PUSH_THRESHOLD(m))
            return 1;
        if (!push(m, m->isr)) {
            p->fdebug |= 1u << number;
            if (op & 0x20)
                return 0;
        }
        m->isr = m->isr_count = 0;
        return 1;
    case 5:
        value = source(p, m, op & 7);
        if ((op >> 3 & 3) == 1)
            value = ~value;
        else if ((op >> 3 & 3) == 2)
            value = reversed(value);
        switch (which) {
        case 0: put(&p->values, value, m->pin_ctrl & 31, m->pin_ctrl >> 20 & 63); break;
        case 1: m->x = value; break;
        case 2: m->y = value; break;
        case 4: m->forced = value; m->is_forced = 1; break;
        case 5: m->pc = value & 31; *jumped = 1; break;
        case 6: m->isr = value; m->isr_count = 0; break;
        case 7: m->osr = value; m->osr_count = 0; break;
        }
        return 1;
    case 6:
        value = 1u << flag_of(arg, number);
        if (op & 0x40)
            p->irq &= ~value;
        else if (m->irq_wait) {
            if (p->irq & value)
                return 0;
            m->irq_wait = 0;
        } else {
            p->irq |= value;
            if (op & 0x20) {
                m->irq_wait = 1;
                return 0;
            }
        }
        return 1;
    default:
        switch (which) {
        case 0: put(&p->values, arg, m->pin_ctrl >> 5 & 31, m->pin_ctrl >> 26 & 7); break;
        case 1: m->x = arg; break;
        case 2: m->y = arg; break;
        case 4: put(&p->directions, arg, m->pin_ctrl >> 5 & 31, m->pin_ctrl >> 26 & 7); break;
        }
        return 1;
    }
}

/* One clock of machine `number`. 0: it waits for something that time alone does not bring. */
static int step(struct pio *p, uint32_t number)
{
    struct machine *m = &p->machine[number];
    uint32_t forced = m->is_forced, op = forced ? m->forced : p->program[m->pc];
    uint32_t sides = m->pin_ctrl >> 29, optional = m->exec_ctrl >> 30 & 1;
    uint32_t field = op >> 8 & 31, delay = field & ((1u << (5 - sides)) - 1);
    int jumped = 0;
    if (sides && (!optional || field & 16)) {
        uint32_t *pins = m->exec_ctrl >> 29 & 1 ? &p->directions : &p->values;
        put(pins, field >> (5 - sides), m->pin_ctrl >> 10 & 31, sides - optional);
    }
    if (forced)
        m->is_forced = 0;
    if (!execute(p, m, number, op, &jumped)) {
        m->is_forced = forced;
        return 0;
    }
    if (!jumped && !forced)
        m->pc = m->pc == (m->exec_ctrl >> 12 & 31) ? m->exec_ctrl >> 7 & 31 : (m->pc + 1) & 31;
    m->due += (uint64_t)(1 + delay) * m->clkdiv;
    return 1;
}

/* Go on to `until`, a time in 1/256 clocks. */
void pio_run(struct pio *p, uint64_t until)
{
    while (p->now < until) {
        uint64_t next = until;
        uint32_t i, busy = 0;
        for (i = 0; i < 4; i++) {
            struct machine *m = &p->machine[i];
            if (!m->enabled)
                continue;
            if (m->due <= p->now) {
                if (step(p, i))
                    busy = 1;
                else
                    m->due = p->now;        /* tried again as soon as anything happens */
            }
            if (m->due > p->now && m->due < next)
                next = m->due;
        }
        if (busy && p->now + 256 < next)
            next = p->now + 256;            /* what it did may let another one go on */
        p->now = next < until ? next : until;
    }
}

static void run_clocks(struct pio *p, uint32_t clocks)
{
    pio_run(p, p->now + (uint64_t)clocks * 256);
}

/* A level comes to the pins of `mask`. */
void pio_input(struct pio *p, uint32_t mask, uint32_t high)
{
    run_clocks(p, 1);
    p->inputs = high ? p->inputs | mask : p->inputs & ~mask;
    run_clocks(p, 12);
}

/* `bits` bits of `data`, the highest first, each two `half` clocks long. Masks of 0: no wire there.
 * Returns what the master reads at `miso`, where nobody drives it: high. */
uint32_t pio_spi(struct pio *p, uint32_t sck, uint32_t mosi, uint32_t miso, uint32_t data,
                 uint32_t bits, uint32_t half)
{
    uint32_t read = 0;
    while (bits--) {
        p->inputs = data >> bits & 1 ? p->inputs | mosi : p->inputs & ~mosi;
        run_clocks(p, half);
        read = read << 1 | (!(p->directions & miso) || p->values & miso);
        p->inputs |= sck;
        run_clocks(p, half);
        p->inputs &= ~sck;
    }
    run_clocks(p, half);
    return read;
}

void pio_reset(struct pio *p)
{
    uint32_t i, inputs = p->inputs;
    uint64_t now = p->now;
    memset(p, 0, sizeof *p);
    p->inputs = inputs;
    p->now = now;
    for (i = 0; i < 4; i++) {
        struct machine *m = &p->machine[i];
        m->clkdiv = 256;
        m->exec_ctrl = 0x1Fu << 12;
        m->shift_ctrl = 3u << 18;
        m->pin_ctrl = 5u << 26;
        m->osr_count = 32;
        m->rx_size = m->tx_size = 4;
    }
}

/* -- registers -------------------------------------------------------------------------------- */

static uint32_t raised(const struct pio *p)
{
    uint32_t i, raw = (p->irq & 15) << 8;
    for (i = 0; i < 4; i++) {
        raw |= (uint32_t)(p->machine[i].rx_used != 0) << i;
        raw |= (uint32_t)(p->machine[i].tx_used < p->machine[i].tx_size) << (4 + i);
    }
    return raw;
}

/* Bits 0 to 3: there is room for the CPU or DMA to write; 4 to 7: something to read;
 * 8, 9: the two interrupts. */
uint32_t pio_requests(const struct pio *p)
{
    uint32_t raw = raised(p);
    return (raw >> 4 & 15) | (raw & 15) << 4
        | (uint32_t)(((raw & p->inte[0]) | p->intf[0]) != 0) << 8
        | (uint32_t)(((raw & p->inte[1]) | p->intf[1]) != 0) << 9;
}

uint32_t pio_read(struct pio *p, uint32_t offset)
{
    uint32_t i, value = 0;
    if (offset >= 0xC8 && offset < 0x128) {
        struct machine *m = &p->machine[(offset - 0xC8) / 24];
        switch ((offset - 0xC8) % 24) {
        case 0: return m->clkdiv << 8;
        case 4: return m->exec_ctrl | (m->is_forced ? 1u << 31 : 0);
        case 8: return m->shift_ctrl;
        case 12: return m->pc;
        case 16: return p->program[m->pc];
        default: return m->pin_ctrl;
        }
    }
    if (offset >= 0x20 && offset < 0x30) {
        struct machine *m = &p->machine[(offset - 0x20) / 4];
        if (!m->rx_used) {
            p->fdebug |= 1u << (8 + (offset - 0x20) / 4);
            return 0;
        }
        value = m->rx[m->rx_at];
        m->rx_at = (m->rx_at + 1) & 7;
        m->rx_used--;
        run_clocks(p, 1);
        return value;
    }
    switch (offset) {
    case 0x00:
        for (i = 0; i < 4; i++)
            value |= p->machine[i].enabled << i;
        return value;
    case 0x04:
        for (i = 0; i < 4; i++) {
            const struct machine *m = &p->machine[i];
            value |= (uint32_t)(m->rx_used >= m->rx_size) << i | (uint32_t)!m->rx_used << (8 + i)
                | (uint32_t)(m->tx_used >= m->tx_size) << (16 + i)
                | (uint32_t)!m->tx_used << (24 + i);
        }
        return value;
    case 0x08: return p->fdebug;
    case 0x0C:
        for (i = 0; i < 4; i++)
            value |= (p->machine[i].tx_used | p->machine[i].rx_used << 4) << (8 * i);
        return value;
    case 0x30: return p->irq;
    case 0x3C: return p->values;
    case 0x40: return p->directions;
    case 0x44: return 0x00200404;           /* 32 instructions, 4 machines, FIFOs of 4 */
    case 0x128: return raised(p);
    case 0x12C: case 0x138: return p->inte[offset == 0x138];
    case 0x130: case 0x13C: return p->intf[offset == 0x13C];
    case 0x134: case 0x140:
        i = offset == 0x140;
        return (raised(p) & p->inte[i]) | p->intf[i];
    default: return 0;
    }
}

/* `raw`: what was written through the set or clear alias, for the bits that a 1 clears. */
void pio_write(struct pio *p, uint32_t offset, uint32_t value, uint32_t raw)
{
    uint32_t i;
    if (offset >= 0x48 && offset < 0xC8) {
        p->program[(offset - 0x48) / 4] = value & 0xFFFF;
        return;
    }
    if (offset >= 0xC8 && offset < 0x128) {
        struct machine *m = &p->machine[(offset - 0xC8) / 24];
        switch ((offset - 0xC8) % 24) {
        case 0: m->clkdiv = value >> 8 ? value >> 8 : 65536 * 256; break;
        case 4: m->exec_ctrl = value & 0x7FFFFFFF; break;
        case 8: m->shift_ctrl = value; join(m); break;
        case 16:                            /* at once, whether it is enabled or not */
            m->irq_wait = 0;
            m->forced = value & 0xFFFF;
            m->is_forced = 1;
            step(p, (offset - 0xC8) / 24);
            break;
        case 20: m->pin_ctrl = value; break;
        }
        return;
    }
    if (offset >= 0x10 && offset < 0x20) {
        struct machine *m = &p->machine[(offset - 0x10) / 4];
        if (m->tx_used >= m->tx_size)
            p->fdebug |= 1u << (16 + (offset - 0x10) / 4);
        else
            m->tx[(m->tx_at + m->tx_used++) & 7] = value;
        return;
    }
    switch (offset) {
    case 0x00:
        for (i = 0; i < 4; i++) {
            struct machine *m = &p->machine[i];
            if ((value >> i & 1) && !m->enabled)
                m->due = p->now;
            m->enabled = value >> i & 1;
            if (value >> (4 + i) & 1) {
                m->isr = m->isr_count = 0;
                m->osr_count = 32;
                m->is_forced = m->irq_wait = 0;
                m->due = p->now;
            }
        }
        break;
    case 0x08: p->fdebug &= ~raw; break;
    case 0x30: p->irq &= ~raw; break;
    case 0x34: p->irq |= value & 0xFF; break;
    case 0x12C: case 0x138: p->inte[offset == 0x138] = value & 0xFFF; break;
    case 0x130: case 0x13C: p->intf[offset == 0x13C] = value & 0xFFF; break;
    }
}

uint32_t pio_size(void)
{
    return sizeof(struct pio);
}
