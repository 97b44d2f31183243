"""Viper version of bq_frames_py.py; see there for what each function does."""

import micropython


@micropython.viper
def run_frames(transfer, cs, wait, views, gap_us):
    for view in views:
        cs(0)
        transfer(view, view)
        cs(1)
        wait(gap_us)


@micropython.viper
def load_frames(buf: ptr8, tx: ptr8, length: int):
    i = 0
    while i < length:
        buf[i] = tx[i]
        i += 1


@micropython.viper
def check_frames(buf: ptr8, tx: ptr8, count: int, crc: ptr8, high: ptr8, regs: ptr8,
                 status: ptr8, jump: int) -> int:
    bad = 0
    moved = 0
    k = 0
    at = 0
    while k < count:
        reg = tx[at]
        data = buf[at + 4]
        status[k] = 0
        if buf[at + 3] != reg or crc[crc[reg] ^ data] != buf[at + 5]:
            status[k] = 1
            bad += 1
        elif high[k] == 0:
            if k + 1 == count or high[k + 1] == 0:
                regs[reg] = data
        elif status[k - 1] == 0:
            low = buf[at + 1]
            change = (data << 8 | low) - (regs[reg] << 8 | regs[reg - 1])
            change = ((change + 0x8000) & 0xFFFF) - 0x8000
            if change >= jump or 0 - change >= jump:
                status[k] = 2
                moved += 1
            regs[reg] = data
            regs[reg - 1] = low
        at += 3
        k += 1
    return bad + 256 * moved
