"""Hexadecimal text in buffers: the definition of what hex_text_viper.py must do."""


def read_hex(buf, start, digits):
    """Value of *digits* characters 0-9A-F (at most 7) at *start*; -1 if one is another."""
    value = 0
    i = start
    while i < start + digits:
        c = buf[i]
        if 48 <= c <= 57:
            c -= 48
        elif 65 <= c <= 70:
            c -= 55
        else:
            return -1
        value = value << 4 | c
        i += 1
    return value


def put_hex(buf, start, value, digits):
    """Write *value* as *digits* upper-case characters at *start*."""
    i = start + digits - 1
    while i >= start:
        c = value & 0xF
        buf[i] = c + 48 if c < 10 else c + 55
        value >>= 4
        i -= 1


def put_bytes(buf, start, data, length):
    """Write the first *length* bytes of *data* as two characters each at *start*."""
    i = 0
    while i < length:
        put_hex(buf, start + 2 * i, data[i], 2)
        i += 1


def hex_sum(buf, start, end):
    """Sum of the character codes of buf[start:end]."""
    total = 0
    i = start
    while i < end:
        total += buf[i]
        i += 1
    return total
