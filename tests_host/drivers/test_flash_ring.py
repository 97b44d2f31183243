"""The ring of records in flash: order, overwriting, torn and damaged sectors (tools/models)."""

import unittest

from flash_model import SECTOR, Cut, NorFlash, Partition
from flash_ring import PAYLOAD, FlashRing
from region import BlockRegion

NOT_ON = ("rp2040", "unix", "rv32")         # the model of the flash belongs to the bench
_IN_A_SECTOR = 127                  # 128 places, one of them the head


def payload(number):
    return bytes((number * 7 + i) & 0xFF for i in range(PAYLOAD))


class TestCase(unittest.TestCase):
    sectors = 4

    def setUp(self):
        self.flash = NorFlash(self.sectors)
        self.ring = self.reopen()

    def reopen(self):
        self.ring = FlashRing(BlockRegion(Partition(self.flash, 0, self.sectors)))
        self.ring.open()
        return self.ring

    def write(self, first, last):
        for number in range(first, last + 1):
            self.assertTrue(self.ring.append(number, payload(number)) and self.ring.commit())

    def there(self, first, last):
        """Numbers that read back right; one that reads back wrong fails."""
        out = bytearray(PAYLOAD)
        found = []
        for number in range(first, last + 1):
            if self.ring.read(number, out):
                self.assertEqual(out, payload(number), "record %d" % number)
                found.append(number)
        return found


class TestRing(TestCase):
    def test_an_erased_flash_holds_nothing(self):               # req: REC-02
        self.assertEqual((self.ring.newest, self.ring.oldest), (0, 0))
        self.assertEqual(self.there(0, 10), [])
        self.assertTrue(self.ring.wants_erase and self.ring.must_erase)

    def test_records_are_found_after_opening_anew(self):        # req: REC-02
        for count in (1, 2, 6, 7, 8, 127, 128, 300):
            self.setUp()
            self.write(1, count)
            self.reopen()
            self.assertEqual((self.ring.newest, self.there(1, count)),
                             (count, list(range(1, count + 1))))

    def test_the_oldest_sector_is_overwritten(self):            # req: REC-02
        self.write(1, 1000)
        self.reopen()
        first = self.ring.oldest
        self.assertEqual(self.there(1, 1000), list(range(first, 1001)))
        self.assertTrue(1000 - first >= 2 * _IN_A_SECTOR)

    def test_numbers_go_on_from_what_an_earlier_start_left(self):   # req: REC-01
        self.write(1, 5)
        self.reopen()
        self.write(6, 130)
        self.reopen()
        self.assertEqual(self.there(1, 130), list(range(1, 131)))

    def test_numbers_may_be_left_out(self):
        for number in (1, 2, 9, 10, 200, 5000):
            self.write(number, number)
        self.reopen()
        self.assertEqual(self.ring.newest, 5000)
        self.assertEqual(self.there(1, 5000), [1, 2, 9, 10, 200, 5000])
        self.assertEqual([self.ring.following(n) for n in (1, 3, 128, 199, 201, 4000, 5000)],
                         [1, 3, 200, 200, 201, 5000, 5000])

    def test_a_number_beyond_the_end_is_not_there(self):
        self.write(1, 3)
        self.assertEqual(self.there(0, 400), [1, 2, 3])

    def test_a_sector_is_erased_once_a_round_when_it_is_erased_ahead(self):     # req: REC-02
        for number in range(1, 40 * _IN_A_SECTOR + 1):
            if self.ring.wants_erase:
                self.ring.erase_ahead()
            self.assertFalse(self.ring.must_erase)
            self.write(number, number)
        for erases in self.flash.erases:
            self.assertTrue(10 <= erases <= 11, erases)

    def test_after_a_start_the_next_sector_is_erased_again(self):
        self.write(1, 100)
        self.ring.erase_ahead()
        before = sum(self.flash.erases)
        self.reopen()
        self.assertTrue(self.ring.wants_erase)
        self.write(101, 128)
        self.assertEqual(sum(self.flash.erases), before + 1)

    def test_several_staged_records_are_one_program(self):
        self.write(1, 1)
        ops = self.flash.ops
        for number in range(2, 6):
            self.ring.append(number, payload(number))
        self.ring.commit()
        self.assertEqual(self.flash.ops - ops, 1)
        self.assertEqual(self.there(1, 9), [1, 2, 3, 4, 5])


class TestDamage(TestCase):
    def test_a_cut_within_any_operation_costs_the_record_in_work_at_most(self):     # req: REC-02
        for start in (7, 120):
            for cut in range(1, 12):
                for torn in (0, 0.3, 0.49, 0.99):
                    self.setUp()
                    self.write(1, start)
                    self.flash.cut(cut, torn)
                    written = start
                    try:
                        for number in range(start + 1, start + 12):
                            self.write(number, number)
                            written = number
                    except Cut:
                        pass
                    self.flash.cut(0, 0)
                    self.reopen()
                    first = self.ring.oldest
                    found = self.there(1, written + 5)
                    self.assertEqual([n for n in found if n <= written],
                                     list(range(first, written + 1)))
                    self.assertTrue(written - first >= min(written - 1, 2 * _IN_A_SECTOR - 1))
                    self.assertTrue(self.ring.newest in (written, written + 1))
                    self.write(self.ring.newest + 1, self.ring.newest + 1)

    def test_a_sector_that_takes_nothing_is_left(self):         # req: REC-02
        for bad in range(self.sectors):
            self.setUp()
            self.write(1, 3)
            self.flash.bad = {bad}
            self.write(4, 300)
            self.assertTrue(self.ring.damaged > 0 or bad == 3)
            found = self.there(1, 300)
            self.assertEqual(found[-100:], list(range(201, 301)))

    def test_a_flash_that_takes_nothing_is_said_to(self):
        self.flash.bad = set(range(self.sectors))
        self.ring.append(1, payload(1))
        self.assertFalse(self.ring.commit())

    def test_a_flipped_bit_is_no_record(self):                  # req: REC-02
        self.write(1, 20)
        for bit in range(8 * 32):
            at = 10 * 32 + bit // 8
            self.flash.data[at] ^= 1 << bit % 8
            self.reopen()
            self.assertEqual(self.there(1, 20), [n for n in range(1, 21) if n != 10])
            self.flash.data[at] ^= 1 << bit % 8

    def test_noise_is_no_ring(self):                            # req: REC-02
        value = 1
        for i in range(SECTOR * self.sectors):
            value = (value * 1103515245 + 12345) & 0x3FFFFFFF
            self.flash.data[i] = value >> 8 & 0xFF
        self.reopen()
        self.assertEqual(self.ring.newest, 0)
        self.write(1, 200)
        self.reopen()
        self.assertEqual(self.there(1, 200), list(range(1, 201)))


if __name__ == "__main__":
    unittest.main()
