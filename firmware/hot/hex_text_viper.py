"""Viper version of hex_text_py.py."""

import micropython


@micropython.viper
def read_hex(buf: ptr8, start: int, digits: int) -> int:
    value = 0
    i = start
    while i < start + digits:
        c = buf[i]
        if c >= 48 and c <= 57:
            c -= 48
        elif c >= 65 and c <= 70:
            c -= 55
        else:
            return -1
        value = value << 4 | c
        i += 1
    return value


@micropython.viper
def put_hex(buf: ptr8, start: int, value: int, digits: int):
    i = start + digits - 1
    while i >= start:
        c = value & 0xF
        if c < 10:
            buf[i] = c + 48
        else:
            buf[i] = c + 55
        value >>= 4
        i -= 1


@micropython.viper
def put_bytes(buf: ptr8, start: int, data: ptr8, length: int):
    at = start
    i = 0
    while i < length:
        c = data[i] >> 4
        if c < 10:
            buf[at] = c + 48
        else:
            buf[at] = c + 55
        c = data[i] & 0xF
        if c < 10:
            buf[at + 1] = c + 48
        else:
            buf[at + 1] = c + 55
        at += 2
        i += 1


@micropython.viper
def put_words(buf: ptr8, start: int, words: ptr16, count: int):
    at = start
    i = 0
    while i < count:
        value = words[i]
        buf[at] = value >> 8
        buf[at + 1] = value & 0xFF
        at += 2
        i += 1


@micropython.viper
def hex_sum(buf: ptr8, start: int, end: int) -> int:
    total = 0
    i = start
    while i < end:
        total += buf[i]
        i += 1
    return total


@micropython.viper
def get_bytes(buf: ptr8, start: int, data: ptr8, length: int) -> int:
    at = start
    i = 0
    while i < length:
        value = 0
        k = 0
        while k < 2:
            c = buf[at]
            if c >= 48 and c <= 57:
                c -= 48
            elif c >= 65 and c <= 70:
                c -= 55
            else:
                return 0
            value = value << 4 | c
            at += 1
            k += 1
        data[i] = value
        i += 1
    return 1


@micropython.viper
def gather(line: ptr8, used: int, size: int, chunk: ptr8, at: int, count: int) -> int:
    while at < count:
        c = chunk[at]
        at += 1
        if c == 0x7E:
            line[0] = c
            used = 1
        elif used > 0:
            if c == 0x0D:
                return at << 16 | 0x8000 | used
            if used < size:
                line[used] = c
                used += 1
            else:
                used = 0
    return at << 16 | used
