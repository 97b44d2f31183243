"""The self-test of the fast functions: it sees any one that is wrong."""

import unittest

from hot import agree as self_test
from fakes import ON_MICROPYTHON


class TestFastFunctions(unittest.TestCase):
    def test_all_agree(self):                                   # req: SAF-02 SAF-07 PRO-26
        self.assertTrue(self_test.fast_functions_agree())

    def wrong(self, module, name, replacement):
        """The verdict with *replacement* in place of a function of *module*."""
        right = getattr(module, name)
        setattr(module, name, replacement(right))
        try:
            return self_test.fast_functions_agree()
        finally:
            setattr(module, name, right)

    def test_a_wrong_decoder_is_seen(self):                     # req: SAF-07
        def other_doubts(right):
            return lambda *args: right(*args) ^ 1

        def one_cell_off(right):
            def decode(regs, cells_mv, *rest):
                doubts = right(regs, cells_mv, *rest)
                cells_mv[7] += 1
                return doubts
            return decode

        def one_value_off(right):
            def decode(regs, cells_mv, out, *rest):
                doubts = right(regs, cells_mv, out, *rest)
                out[5] ^= 1
                return doubts
            return decode

        for replacement in (other_doubts, one_cell_off, one_value_off):
            self.assertFalse(self.wrong(self_test.scan_values, "decode_scan", replacement))

    def test_a_wrong_protection_step_is_seen(self):             # req: SAF-07
        def other_result(right):
            return lambda *args: right(*args) ^ 1

        def other_state(right):
            def step(rows, state, *rest):
                result = right(rows, state, *rest)
                state[1] += 1
                return result
            return step

        def ignores(column, value):
            """As if one column of the rows were read wrongly."""
            def replacement(right):
                def step(rows, *rest):
                    kept = [rows[i] for i in range(column, len(rows), 15)]
                    for i in range(column, len(rows), 15):
                        rows[i] = value
                    result = right(rows, *rest)
                    for i in range(len(kept)):
                        rows[column + 15 * i] = kept[i]
                    return result
                return step
            return replacement

        self.assertFalse(self.wrong(self_test.protect, "protect_step", other_result))
        self.assertFalse(self.wrong(self_test.protect, "protect_step", other_state))
        for column, value in ((1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (9, 0),
                              (10, 0), (11, 0), (12, 0), (13, 0), (14, 0)):
            self.assertFalse(self.wrong(self_test.protect, "protect_step",
                                        ignores(column, value)), column)

    def test_a_wrong_text_function_is_seen(self):               # req: SAF-07
        for name in ("read_hex", "hex_sum"):
            self.assertFalse(self.wrong(self_test.hex_text, name,
                                        lambda right: lambda *args: right(*args) ^ 1), name)
        for name in ("put_bytes", "put_hex"):
            self.assertFalse(self.wrong(self_test.hex_text, name,
                                        lambda right: lambda *args: None), name)

    def test_a_wrong_frame_check_is_seen(self):                 # req: SAF-07
        self.assertFalse(self.wrong(self_test.bq_frames, "check_frames",
                                    lambda right: lambda *args: right(*args) + 1))

        def one_byte(right):
            def check(*args):
                result = right(*args)
                args[5][0x15] ^= 1
                return result
            return check

        self.assertFalse(self.wrong(self_test.bq_frames, "check_frames", one_byte))

    def test_a_wrong_clock_function_is_seen(self):              # req: SAF-07
        self.assertFalse(self.wrong(self_test.due, "pick_due",
                                    lambda right: lambda *args: right(*args) ^ 1))

    def test_on_a_device_the_fast_ones_are_tested(self):        # req: SAF-07
        if not ON_MICROPYTHON:
            self.skipTest("there is no viper on this interpreter")
        for fast, slow in ((self_test.protect.protect_step, self_test.protect_py.protect_step),
                           (self_test.scan_values.decode_scan,
                            self_test.scan_values_py.decode_scan)):
            self.assertFalse(fast is slow)


if __name__ == "__main__":
    unittest.main()
