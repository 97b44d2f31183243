"""The slots of an ESP32 over a partition that behaves as ESP-IDF's: no ESP32 has run this."""

import unittest

import image_slots
from fakes import reason
from image_slots_esp32 import PartitionSlots

_BLOCK = 4096


class Chip:
    """Two OTA partitions, and the boot loader's choice with its roll-back."""

    def __init__(self):
        self.data = [bytearray(b"\xff" * 4 * _BLOCK) for _ in range(2)]
        self.data[0][0] = 0xE9      # an image
        self.runs = 0
        self.boot = 0
        self.new = False            # what boot names was never started
        self.pending = False        # what runs was not marked valid
        self.files = {}

    def start(self):
        """A reset: an image that was not marked valid is not started again."""
        if self.pending:
            self.boot = 1 - self.runs
        self.pending = self.new
        self.new = False
        self.runs = self.boot
        return PartitionSlots(_partition_of(self), _Memory(self))


class _Memory:
    def __init__(self, chip):
        self._chip = chip

    def load(self):
        return self._chip.files.get("trial")

    def save(self, data):
        self._chip.files["trial"] = data


def _partition_of(chip):
    class Partition:
        RUNNING = 1

        def __init__(self, what):
            self.number = chip.runs if what == Partition.RUNNING else what - 10

        def info(self):
            return 0, 0x10 + self.number, 0x10000, 4 * _BLOCK, "ota_%d" % self.number, False

        def get_next_update(self):
            return Partition(10 + 1 - self.number)

        def readblocks(self, block, buf, offset):
            at = block * _BLOCK + offset
            buf[:] = chip.data[self.number][at:at + len(buf)]

        def writeblocks(self, block, buf, offset):
            at = block * _BLOCK + offset
            for i in range(len(buf)):
                chip.data[self.number][at + i] &= buf[i]

        def ioctl(self, what, block):
            assert what == 6
            chip.data[self.number][block * _BLOCK:(block + 1) * _BLOCK] = b"\xff" * _BLOCK
            return 0

        def set_boot(self):
            if chip.data[self.number][0] != 0xE9 and self.number != chip.runs:
                raise OSError(-5379)            # ESP_ERR_OTA_VALIDATE_FAILED
            chip.boot = self.number
            chip.new = self.number != chip.runs

        @classmethod
        def mark_app_valid_cancel_rollback(cls):
            chip.pending = False
    return Partition


class TestPartitionSlots(unittest.TestCase):
    def setUp(self):
        self.chip = Chip()
        self.slots = self.chip.start()

    def fill(self):
        slots = self.slots
        slots.erase(0)
        page = bytearray(256)
        page[0] = 0xE9
        slots.program(0, page)

    def test_what_is_written_is_in_the_other_one(self):         # req: SAF-06
        slots = self.slots
        self.assertEqual((slots.running, slots.other, slots.distance), (0, 1, 0))
        self.fill()
        slots.program(_BLOCK + 512, b"\x55" * 256)
        page = bytearray(256)
        slots.read(1, _BLOCK + 512, page)
        self.assertEqual(page, b"\x55" * 256)
        self.assertEqual(self.chip.data[0], b"\xe9" + b"\xff" * (4 * _BLOCK - 1))
        self.assertIn("no piece", reason(ValueError, slots.erase, 100))

    def test_a_trial_that_is_confirmed_stays(self):             # req: SAF-06
        self.fill()
        self.slots.try_other()
        slots = self.chip.start()
        self.assertEqual((slots.state(), slots.on_trial), ((1, 0, True, 0), True))
        self.assertIn("on trial", reason(ValueError, slots.erase, 0))
        slots.confirm()
        for _ in range(3):
            slots = self.chip.start()
            self.assertEqual((slots.state(), slots.outcome()), ((1, 1, False, 0), 0))

    def test_a_trial_that_is_reset_goes_back_and_says_so_once(self):    # req: SAF-06
        self.fill()
        self.slots.try_other()
        self.chip.start()
        slots = self.chip.start()
        self.assertEqual((slots.running, slots.outcome()), (0, image_slots.RESET))
        slots.settle()
        slots = self.chip.start()
        self.assertEqual((slots.state(), slots.outcome()), ((0, 0, False, image_slots.RESET), 0))

    def test_a_trial_that_refuses_itself(self):                 # req: SAF-06
        self.fill()
        self.slots.try_other()
        self.chip.start().refuse(image_slots.SELF_TEST)
        slots = self.chip.start()
        self.assertEqual((slots.running, slots.outcome()), (0, image_slots.SELF_TEST))

    def test_back_to_the_one_before(self):                      # req: SAF-06
        self.assertIn("never", reason(ValueError, self.slots.go_back))
        self.fill()
        self.slots.try_other()
        slots = self.chip.start()
        slots.confirm()
        slots.go_back()
        slots = self.chip.start()
        self.assertEqual((slots.running, slots.on_trial), (0, True))
        slots.confirm()
        self.assertEqual(self.chip.start().state(), (0, 0, False, 0))

    def test_what_is_no_image_is_not_started(self):             # req: SAF-06
        self.slots.erase(0)
        self.assertRaises(OSError, self.slots.try_other)
        self.assertEqual(self.chip.start().state(), (0, 0, False, 0))


if __name__ == "__main__":
    unittest.main()
