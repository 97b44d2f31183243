"""Signatures: the examples of RFC 8032, and what is near them. Runs on the device too."""

import binascii
import unittest

import ed25519

# RFC 8032, 7.1: public key, message, signature
EXAMPLES = (
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"),
)
_L = 2 ** 252 + 27742317777372353535851937790883648493


def verify(public, message, signature):
    """The answer, and in how many steps it came."""
    answers = list(ed25519.verifying(public, message, signature))
    return answers[-1], len(answers)


class TestEd25519(unittest.TestCase):
    def test_examples(self):                                    # req: SAF-06
        for parts in EXAMPLES:
            fits, steps = verify(*(binascii.unhexlify(part) for part in parts))
            self.assertTrue(fits is True and 300 < steps < 600)

    def test_one_bit_more_or_less(self):                        # req: SAF-06
        public, message, signature = (binascii.unhexlify(part) for part in EXAMPLES[1])
        for at in (0, 31, 32, 62):
            spoilt = bytearray(signature)
            spoilt[at] ^= 1
            self.assertFalse(verify(public, message, bytes(spoilt))[0])
        self.assertFalse(verify(public, b"s", signature)[0])
        self.assertFalse(verify(binascii.unhexlify(EXAMPLES[0][0]), message, signature)[0])

    def test_what_is_no_signature_or_no_key(self):              # req: SAF-06
        public, message, signature = (binascii.unhexlify(part) for part in EXAMPLES[1])
        beyond = int.from_bytes(signature[32:], "little") + _L      # a second form of the same
        again = signature[:32] + beyond.to_bytes(32, "little")
        self.assertFalse(verify(public, message, again)[0])
        self.assertFalse(verify(public, message, signature[:63])[0])
        self.assertFalse(verify(public[:31], message, signature)[0])
        self.assertFalse(verify(b"\xff" * 32, message, signature)[0])


if __name__ == "__main__":
    unittest.main()
