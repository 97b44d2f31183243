"""SPI frames of the BQ76952: the definition of what bq_frames_viper.py must do.

A scan is a row of 3-byte frames (register, 0xFF, CRC-8). The chip answers frame k during frame
k + 1, so n reads take n + 1 frames. Sent and received bytes share one buffer.
Source: SLUUBY2B 9.3; CRC-8 per crc8.py.
"""

OK = 0      # answer stored
BAD = 1     # no answer, wrong register echoed or wrong CRC: nothing stored
MOVED = 2   # stored, but the 16-bit value jumped: its bytes may be of two samples, read it again


def run_frames(transfer, cs, wait, views, gap_us):
    """Clock every 3-byte view of *views* out and in (same buffer), *gap_us* apart."""
    for view in views:
        cs(0)
        transfer(view, view)
        cs(1)
        wait(gap_us)


def load_frames(buf, tx, length):
    """Copy *length* bytes of *tx* to *buf*."""
    for i in range(length):
        buf[i] = tx[i]


def check_frames(buf, tx, count, crc, high, regs, status, jump):
    """Check the answers of a scan and store the good ones.

    buf     bytearray(3 * (count + 1)): what came back; the answer to frame k is in frame k + 1
    tx      what was sent, same layout
    crc     CRC8 table
    high    bytes, length count: 1 where the register is the high byte of the pair that ends there
    regs    bytearray(128), by register, updated; a pair only if both its bytes are good
    status  bytearray(count), overwritten with OK, BAD or MOVED (at the high byte)
    jump    a 16-bit value that is this much off the one before may be torn: a torn one is off
            by about 256
    returns number of BAD + 256 * number of MOVED
    """
    bad = 0
    moved = 0
    for k in range(count):
        at = 3 * k
        reg = tx[at]
        data = buf[at + 4]
        status[k] = OK
        if buf[at + 3] != reg or crc[crc[reg] ^ data] != buf[at + 5]:
            status[k] = BAD
            bad += 1
        elif not high[k]:
            if k + 1 == count or not high[k + 1]:
                regs[reg] = data
        elif status[k - 1] == OK:
            low = buf[at + 1]
            change = (data << 8 | low) - (regs[reg] << 8 | regs[reg - 1])
            change = ((change + 0x8000) & 0xFFFF) - 0x8000
            if change >= jump or -change >= jump:
                status[k] = MOVED
                moved += 1
            regs[reg] = data
            regs[reg - 1] = low
    return bad + 256 * moved
