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


@micropython.viper
def crc16_modbus(buf: ptr8, start: int, end: int) -> int:
    crc = 0xFFFF
    i = start
    while i < end:
        crc ^= buf[i]
        n = 0
        while n < 8:
            if crc & 1:
                crc = (crc >> 1) ^ 0xA001
            else:
                crc >>= 1
            n += 1
        i += 1
    return crc
