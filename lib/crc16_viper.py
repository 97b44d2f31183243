"""Viper version of crc16_py.py."""

import micropython


@micropython.viper
def crc16(buf: ptr8, start: int, end: int, crc: int) -> int:
    i = start
    while i < end:
        x = ((crc >> 8) ^ buf[i]) & 0xFF
        x ^= x >> 4
        crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF
        i += 1
    return crc
