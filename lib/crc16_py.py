"""CRC-16/CCITT-FALSE (polynomial 0x1021, initial 0xFFFF), bit by bit: the definition.

Check value of b"123456789": 0x29B1.
"""


def crc16(buf, start, end, crc):
    """CRC of buf[start:end], continued from *crc* (0xFFFF to begin)."""
    i = start
    while i < end:
        crc ^= buf[i] << 8
        n = 0
        while n < 8:
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
            crc &= 0xFFFF
            n += 1
        i += 1
    return crc
