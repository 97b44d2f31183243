"""The panel's chips: chained 74HC595 on the auxiliary SPI bus, TCA9534 on I2C.

One source for CPython and MicroPython's unix port.
"""

LAMPS = 6
BIT_RUN, BIT_ALM, BIT_ONOFF = 6, 7, 8
BIT_BUZZER, BIT_LIMITER, BIT_HEARTBEAT = 9, 10, 11      # on boards with few pins

EXPANDER_ADDRESS = 0x20
BIT_RST = 4


class Hc595Chain:
    """Two shift registers in a row: sixteen outputs, changed by the latch line only."""

    def __init__(self):
        self.word = 0
        self._shifted = 0
        self._latch = 0

    def shift(self, byte):
        """Eight clocks, most significant bit first; returns what falls out at the end."""
        lost = self._shifted >> 8
        self._shifted = (self._shifted << 8 | byte) & 0xFFFF
        return lost

    def latch(self, level):
        """Level of the latch line; its rising edge shows the word. Returns the word."""
        if level and not self._latch:
            self.word = self._shifted
        self._latch = 1 if level else 0
        return self.word

    def power(self, on):
        """Outputs are unknown after power-on; all off stands for that here."""
        self.word = self._shifted = 0
        self._latch = 0


class Tca9534:
    """Eight-bit port expander. inputs is the level on its pins, bit 0 first.

    Registers: 0 input, 1 output, 2 polarity, 3 configuration (1 = input). A write sends the
    register's number, then data; a read gives that register, again and again.
    """

    def __init__(self):
        self.inputs = 0xFF
        self.power(True)

    def power(self, on):
        self._registers = bytearray(b"\x00\xff\x00\xff")
        self._pointer = 0

    def levels(self):
        """What is on the eight pins: driven by us or from outside."""
        config = self._registers[3]
        return self.inputs & config | self._registers[1] & ~config & 0xFF

    def write(self, data):
        """Bytes after the address. False: not acknowledged."""
        if not data:
            return True
        if data[0] > 3:
            return False
        self._pointer = data[0]
        for byte in data[1:]:
            if self._pointer:
                self._registers[self._pointer] = byte
        return True

    def read(self, count):
        if self._pointer == 0:
            value = self.levels() ^ self._registers[2]
        else:
            value = self._registers[self._pointer]
        return bytes([value] * count)
