"""What a UART makes of bytes that were sent at another rate than its own: rubbish, as on a wire.

Runs on MicroPython too (the simulated controller).
"""

_BITS = 10                  # start, 8, stop
_SAME_PERCENT = 3           # two UARTs so near to each other understand each other


def is_same(sent_baud, heard_baud):
    """True if a receiver at *heard_baud* understands a sender at *sent_baud*."""
    return 100 * abs(sent_baud - heard_baud) <= _SAME_PERCENT * heard_baud


def heard_at(data, sent_baud, heard_baud):
    """*data*, sent in one go at *sent_baud*, as a UART at *heard_baud* has it in its FIFO.

    Each start bit is a falling edge, each bit is taken in its middle. A byte without a stop bit
    is one all the same; a break (low all the time) is none.
    """
    if is_same(sent_baud, heard_baud):
        return data
    levels = bytearray()
    for byte in data:
        levels.append(0)
        for bit in range(8):
            levels.append(byte >> bit & 1)
        levels.append(1)
    count = len(levels)
    heard = bytearray()
    free = 0                    # when the receiver looks for an edge again, in bits of both rates
    i = 0
    while i < count:
        if levels[i] or i and not levels[i - 1] or i * heard_baud < free:
            i += 1
            continue
        start = i * heard_baud
        value = 0
        for bit in range(1, _BITS):
            at = (start + (2 * bit + 1) * sent_baud // 2) // heard_baud
            level = levels[at] if at < count else 1
            value |= level << bit - 1
        if value:
            heard.append(value & 0xFF)
        free = start + (2 * _BITS - 1) * sent_baud // 2
        i += 1
    return bytes(heard)


def lasts_us(count, baud):
    """How long *count* bytes are on the wire."""
    return count * _BITS * 1_000_000 // baud
