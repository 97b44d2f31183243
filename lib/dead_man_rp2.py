"""dead_man.py in machine code: the interrupt of TIMER alarm 1, on the RP2040.

It uses nothing of the interpreter, which may hang, collect garbage or be gone. Code and counts lie
in SCRATCH_X, the 4 KiB for the stack of the second core, which is never started: a soft reset and
a flash operation leave them alone. MicroPython uses alarms 2 and 3, idle_rp2.py alarm 0.
"""

# mypy: no-check-untyped-defs
# The instructions of the inline assembler are not Python names.

import machine
import micropython
from micropython import const

from dead_man import PERIOD_MS, WATCHDOG_MS

_LIFE_CALLS = const(7)          # as dead_man.py's times (test_dead_man.py)
_GRACE_CALLS = const(80)
_PROMPT_CALLS = const(6000)
_CODE = const(0x20040000)       # a multiple of 128, for _interrupt
_CODE_BYTES = const(128)
# the counts, in words from _CODE + 128 on
_LIFE = const(0x20040080)       # calls until both FETs are forced off
_GRACE = const(0x20040084)      # calls until the watchdog is fed no more, then
_PIN = const(0x20040088)        # bit of BOTHOFF
_LOAD = const(0x2004008C)       # for the watchdog
_PERIOD = const(0x20040090)     # us
_DROPPED = const(0x20040094)    # 1: both FETs were forced off; only a reset helps
_AT_PROMPT = const(0x20040098)  # 1: feed() has no say any more

_TIMER_INTE_SET = const(0x40056038)
_TIMER_ALARM1 = const(0x40054014)
_TIMER_NOW = const(0x40054028)
_NVIC_ENABLE = const(0xE000E100)
_NVIC_DISABLE = const(0xE000E180)
_VECTORS = const(0xE000ED08)
_FUNCTION_CODE = const(8)       # in the object of an assembler function


@micropython.asm_thumb
def _interrupt():
    mov(r0, pc)                         # r0 = the counts: this lies at a multiple of 128
    lsr(r0, r0, 7)
    add(r0, r0, 1)
    lsl(r0, r0, 7)
    mov(r1, 0x40)                       # r1 = TIMER 0x40054000
    lsl(r1, r1, 24)
    mov(r2, 0x15)
    lsl(r2, r2, 14)
    add(r1, r1, r2)
    mov(r2, 2)
    str(r2, [r1, 0x34])                 # INTR: clear
    ldr(r2, [r1, 0x28])
    ldr(r3, [r0, 0x10])
    add(r2, r2, r3)
    str(r2, [r1, 0x14])                 # ALARM1: the next call
    mov(r3, 0xD0)                       # r3 = SIO
    lsl(r3, r3, 24)
    ldr(r2, [r0, 0x14])                 # it has acted
    cmp(r2, 0)
    bne(DROP)
    ldr(r2, [r0, 0])
    cmp(r2, 0)
    beq(DEAD)
    sub(r2, r2, 1)
    str(r2, [r0, 0])
    b(FEED)
    label(DEAD)
    ldr(r2, [r0, 8])
    ldr(r4, [r3, 0x10])                 # GPIO_OUT
    and_(r4, r2)
    beq(OPEN)
    label(DROP)
    ldr(r2, [r0, 8])
    str(r2, [r3, 0x18])                 # GPIO_OUT_CLR
    mov(r2, 1)
    str(r2, [r0, 0x14])
    b(END)
    label(OPEN)
    ldr(r2, [r0, 4])
    cmp(r2, 0)
    beq(END)
    sub(r2, r2, 1)
    str(r2, [r0, 4])
    label(FEED)
    ldr(r2, [r0, 0x0C])
    mov(r3, 0x40)                       # r3 = WATCHDOG 0x40058000
    lsl(r3, r3, 24)
    mov(r4, 0x16)
    lsl(r4, r4, 14)
    add(r3, r3, r4)
    str(r2, [r3, 4])                    # LOAD
    label(END)


class DeadMan:
    """As dead_man.DeadMan. bothoff: the machine.Pin. The watchdog runs from here on."""

    def __init__(self, bothoff):
        mem = machine.mem32
        mem[_NVIC_DISABLE] = 2
        machine.WDT(timeout=WATCHDOG_MS)
        text = str(bothoff)             # "Pin(GPIO21, mode=OUT)"
        at = text.find("GPIO") + 4
        number = text[at:]
        mem[_PIN] = 1 << int(number[:number.find(",")])
        mem[_LIFE] = 0
        mem[_GRACE] = _GRACE_CALLS
        mem[_LOAD] = WATCHDOG_MS * 2000     # it counts twice a microsecond (RP2040-E1)
        mem[_PERIOD] = PERIOD_MS * 1000
        mem[_DROPPED] = 0
        mem[_AT_PROMPT] = 0
        code = mem[id(_interrupt) + _FUNCTION_CODE] & ~1
        for i in range(0, _CODE_BYTES, 2):      # code in RAM or flash, only half words aligned
            machine.mem16[_CODE + i] = machine.mem16[code + i]
        mem[mem[_VECTORS] + 4 * 17] = _CODE | 1
        mem[_TIMER_INTE_SET] = 2
        mem[_TIMER_ALARM1] = mem[_TIMER_NOW] + PERIOD_MS * 1000 & 0xFFFFFFFF
        mem[_NVIC_ENABLE] = 2

    @micropython.viper
    def feed(self):
        counts = ptr32(0x20040080)
        if counts[6] == 0:
            counts[0] = _LIFE_CALLS
            counts[1] = _GRACE_CALLS

    def hold_open(self):
        hold_open()

    @property
    @micropython.viper
    def dropped(self) -> bool:
        counts = ptr32(0x20040080)
        return counts[5] != 0


def hold_open():
    """The prompt is used: no FET may be closed, and the reset is put off (SAF-10)."""
    machine.mem32[_AT_PROMPT] = 1
    machine.mem32[_LIFE] = 0
    machine.mem32[_GRACE] = _PROMPT_CALLS


def at_prompt():
    """True after a soft reset at the prompt: the interrupt is still there, as no reset of the
    chip would leave it."""
    return machine.mem32[_NVIC_ENABLE] & 2 != 0
