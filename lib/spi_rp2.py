"""Frames of three bytes on SPI 0 of the RP2040, during which the core sleeps.

The SPI has room for eight bytes each way, so a frame needs no attention while it is on the wire.
machine.SPI asks all the while whether the next byte is there: 15 % of what the pack's core did.
"""

import micropython

from idle_rp2 import wait_us

_FRAME_US = 24              # three bytes at 1 MHz


@micropython.viper
def _exchange(out: ptr8, into: ptr8):
    spi = ptr32(int(0x4003C000))        # [2] SSPDR, [3] SSPSR: 4 a byte is there
    while spi[3] & 4:
        spi[2]                          # nobody has fetched it: it is of no frame
    spi[2] = out[0]
    spi[2] = out[1]
    spi[2] = out[2]
    wait_us(_FRAME_US)
    i = 0
    while i < 3:
        while spi[3] & 4 == 0:
            pass
        into[i] = spi[2]
        i += 1


class FrameSpi:
    """What a driver of three-byte frames needs of an SPI object.

    spi   machine.SPI 0 at 1 MHz, which has set it up
    """

    def __init__(self, spi):
        self._spi = spi
        self.write_readinto = _exchange     # both buffers hold three bytes
