"""Two decimal digits in a byte, as clock chips count."""


def from_bcd(byte):
    """0..99; -1 if a digit is beyond 9."""
    tens = byte >> 4
    ones = byte & 0xF
    return -1 if tens > 9 or ones > 9 else tens * 10 + ones


def to_bcd(number):
    return number // 10 << 4 | number % 10
