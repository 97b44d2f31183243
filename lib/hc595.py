"""Shift registers 74HC595 in a row: outputs that all change at once."""


class ShiftRegisters:
    """Two 74HC595 in a row.

    spi    SPI object, mode 0; write(buf) is all that is used
    latch  pin of both RCLK, called with 0 or 1: its rising edge shows what was shifted in

    Outputs are random after power-on, until the first show().
    """

    def __init__(self, spi, latch):
        self._write = spi.write
        self._latch = latch
        self._bytes = bytearray(2)
        latch(0)

    def show(self, word):
        """Put the 16 bits of *word* on the outputs, bit 0 on the first. Allocates nothing."""
        self._bytes[0] = word >> 8 & 0xFF
        self._bytes[1] = word & 0xFF
        self._write(self._bytes)
        self._latch(1)
        self._latch(0)
