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


def put_words(buf, start, words, count):
    """Write the first *count* numbers of array('H') *words* as two bytes each, high one first."""
    i = 0
    while i < count:
        buf[start + 2 * i] = words[i] >> 8
        buf[start + 2 * i + 1] = words[i] & 0xFF
        i += 1


def hex_sum(buf, start, end):
    """Sum of the character codes of buf[start:end]."""
    total = 0
    i = start
    while i < end:
        total += buf[i]
        i += 1
    return total


def get_bytes(buf, start, data, length):
    """Read *length* bytes of two characters each from *start* into *data*; 0 if one is wrong."""
    i = 0
    while i < length:
        value = read_hex(buf, start + 2 * i, 2)
        if value < 0:
            return 0
        data[i] = value
        i += 1
    return 1


WHOLE = 0x8000


def gather(line, used, size, chunk, at, count):
    """Go on collecting a line that "~" starts and CR ends.

    line     of *size* characters (below 0x8000), *used* of them taken; 0: waiting for "~"
    chunk    what came; chunk[at:count] is looked at, up to the end of a line
    returns  where it stopped in *chunk* << 16 | characters now in *line*, with WHOLE set when
             the line is complete; a line that is too long is dropped
    """
    while at < count:
        c = chunk[at]
        at += 1
        if c == 0x7E:
            line[0] = c
            used = 1
        elif used:
            if c == 0x0D:
                return at << 16 | WHOLE | used
            if used < size:
                line[used] = c
                used += 1
            else:
                used = 0
    return at << 16 | used
