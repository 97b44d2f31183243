"""Sleeping in WFI on the RP2040, woken by TIMER alarm 0 or by any enabled interrupt.

MicroPython leaves alarm 0 alone (soft timers use 2, machine.Timer and sleep use 3). Its interrupt
has no handler, and never gets to need one: it is enabled in the NVIC only while PRIMASK keeps the
core from entering handlers, which does not keep it from waking. Every other interrupt wakes the
core too and is served as soon as PRIMASK is cleared.

Nothing here allocates. Import it (or call start()) again after a soft reset.
"""

from array import array

import machine
import micropython
import time
from micropython import const

_TICKS_MASK = const(0x3FFFFFFF)         # time.ticks_ms() wraps at 2**30

# [0] a time of time.ticks_ms(), [1] the low word of the TIMER's microseconds at its beginning
_mark = array("I", (0, 0))


@micropython.asm_thumb
def _sleep(r0):
    # r0: address of _mark. Sleep until its time or the next interrupt; returns now - target in us.
    ldr(r0, [r0, 4])
    mov(r2, 0x40)                       # r2 = TIMER 0x40054000
    lsl(r2, r2, 24)
    mov(r3, 0x15)
    lsl(r3, r3, 14)
    add(r2, r2, r3)
    mov(r5, 0xE0)                       # r5 = NVIC_ISER 0xE000E100
    lsl(r5, r5, 24)
    mov(r3, 0xE1)
    lsl(r3, r3, 8)
    add(r5, r5, r3)
    mov(r3, 0x80)
    add(r4, r5, r3)                     # r4 = NVIC_ICER
    lsl(r3, r3, 1)
    add(r7, r4, r3)                     # r7 = NVIC_ICPR
    mov(r6, 1)                          # alarm 0, interrupt 0
    cpsid(i)
    str(r0, [r2, 0x10])                 # ALARM0: arms it
    str(r6, [r7, 0])                    # pending from an earlier sleep
    str(r6, [r5, 0])
    ldr(r3, [r2, 0x28])                 # TIMERAWL, read after arming: a target just missed
    sub(r3, r3, r0)                     # would come round again in 71 minutes
    bpl(NOSLEEP)
    wfi()
    label(NOSLEEP)
    str(r6, [r4, 0])                    # not in the NVIC any more
    str(r6, [r2, 0x20])                 # ARMED: disarm
    str(r6, [r2, 0x34])                 # INTR: clear
    ldr(r3, [r2, 0x28])
    cpsie(i)                            # what woke us is served here
    nop()
    sub(r0, r3, r0)


@micropython.asm_thumb
def wait_us(r0):
    """Sleep for *us* microseconds (1..1_000_000_000); interrupts are served meanwhile."""
    mov(r2, 0x40)
    lsl(r2, r2, 24)
    mov(r3, 0x15)
    lsl(r3, r3, 14)
    add(r2, r2, r3)
    ldr(r3, [r2, 0x28])
    add(r0, r0, r3)
    mov(r5, 0xE0)
    lsl(r5, r5, 24)
    mov(r3, 0xE1)
    lsl(r3, r3, 8)
    add(r5, r5, r3)
    mov(r3, 0x80)
    add(r4, r5, r3)
    lsl(r3, r3, 1)
    add(r7, r4, r3)
    mov(r6, 1)
    label(AGAIN)
    cpsid(i)
    str(r0, [r2, 0x10])
    str(r6, [r7, 0])
    str(r6, [r5, 0])
    ldr(r3, [r2, 0x28])
    sub(r3, r3, r0)
    bpl(NOSLEEP)
    wfi()
    label(NOSLEEP)
    str(r6, [r4, 0])
    str(r6, [r2, 0x20])
    str(r6, [r2, 0x34])
    cpsie(i)
    nop()
    ldr(r3, [r2, 0x28])
    sub(r3, r3, r0)
    bmi(AGAIN)


@micropython.viper
def idle_until(ticks_ms: int) -> int:
    """Sleep until time.ticks_ms() reaches *ticks_ms* or an interrupt has been served.

    Returns microseconds past that time, negative when an interrupt came first. Returns at once
    when the time is past. A look at the work to do belongs after every call.
    """
    mark = ptr32(_mark)
    ahead = ((ticks_ms - mark[0]) << 2) >> 2            # signed, modulo 2**30
    mark[1] = mark[1] + ahead * 1000
    mark[0] = ticks_ms
    return int(_sleep(_mark))


def start():
    """Tie ticks_ms to the microsecond timer and let alarm 0 raise its interrupt."""
    machine.mem32[0x40056038] = 1                       # TIMER INTE, set alias: alarm 0
    while True:
        ms = time.ticks_ms()
        low = machine.mem32[0x4005400C] & 0xFFFFFFFF    # TIMELR latches TIMEHR
        us = machine.mem32[0x40054008] << 32 | low
        if time.ticks_ms() == ms:
            break
    _mark[0] = us // 1000 & _TICKS_MASK
    _mark[1] = us // 1000 * 1000 & 0xFFFFFFFF


start()
