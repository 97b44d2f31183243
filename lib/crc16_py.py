"""CRC-16/CCITT-FALSE and CRC-16/MODBUS, bit by bit: the definition.

Polynomials 0x1021 and 0x8005 reflected, initial 0xFFFF; check values of b"123456789": 0x29B1 and
0x4B37.
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


def crc16_modbus(buf, start, end):
    """CRC-16/MODBUS of buf[start:end]."""
    crc = 0xFFFF
    i = start
    while i < end:
        crc ^= buf[i]
        n = 0
        while n < 8:
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
            n += 1
        i += 1
    return crc
