"""The drivers of the panel's chips against the levels that the chips see."""

import unittest

from fakes import FakePin
from hc595 import ShiftRegisters
from tca9534 import TCA9534


class Wires:
    """Records what is written and when the latch rises."""

    def __init__(self):
        self.log = []

    def write(self, buf):
        self.log.append(bytes(buf))

    def __call__(self, level):
        self.log.append(level)


class Expander:
    def __init__(self):
        self.answers = True
        self.pointer = 3            # left by whoever ran before
        self.levels = 0xFF
        self.writes = 0

    def writeto(self, address, buf):
        if not self.answers or address != 0x20:
            raise OSError(19)
        self.writes += 1
        self.pointer = buf[0]

    def readfrom_into(self, address, buf):
        if not self.answers or address != 0x20:
            raise OSError(19)
        buf[0] = self.levels if self.pointer == 0 else 0xA5


class TestShiftRegisters(unittest.TestCase):
    def test_two_bytes_then_the_latch(self):                    # req: LED-03
        wires = Wires()
        registers = ShiftRegisters(wires, wires)
        registers.show(0x81FE)
        self.assertEqual(wires.log, [0, b"\x81\xfe", 1, 0])

    def test_the_latch_rests_low(self):                         # req: LED-03
        latch = FakePin(1)
        ShiftRegisters(Wires(), latch)
        self.assertEqual(latch.level, 0)


class TestTca9534(unittest.TestCase):
    def setUp(self):
        self.chip = Expander()
        self.inputs = TCA9534(self.chip)

    def test_reads_the_levels(self):                            # req: DIP-01
        for levels in (0xFF, 0xEF, 0x00, 0xA0):
            self.chip.levels = levels
            self.assertEqual(self.inputs.read(), levels)
        self.assertEqual(self.chip.writes, 1)

    def test_nobody_there_is_no_reading(self):                  # req: DIP-01
        self.chip.answers = False
        self.assertEqual(self.inputs.read(), -1)
        self.assertEqual(self.inputs.errors, 1)
        self.chip.answers = True
        self.assertEqual(self.inputs.read(), 0xFF)

    def test_the_pointer_is_set_again_after_an_error(self):     # req: DIP-01
        self.inputs.read()
        self.chip.answers = False
        self.inputs.read()
        self.chip.answers = True
        self.chip.pointer = 2
        self.assertEqual(self.inputs.read(), 0xFF)


if __name__ == "__main__":
    unittest.main()
