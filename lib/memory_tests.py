"""RAM pattern and sums of a table, for boards where Python cannot reach the memories themselves.

The same tests as memory_rp2.py has for the RP2040, over a block of the heap and over constants.
"""

_A = 0x55
_TURNS = ((_A, 0xAA), (0xAA, _A))       # what is read, what is written over it


def march(buf, first, end, spare, stuck):
    """True if buf[first:end] keeps what is written to it; its contents stay.

    March C- with 0x55 and 0xAA. spare: bytearray as long; stuck: bits that read as 1, 0 in earnest
    """
    good = True
    for i in range(first, end):
        spare[i - first] = buf[i]
        buf[i] = _A
    for expected, other in _TURNS:
        for i in range(first, end):
            if buf[i] | stuck != expected:
                good = False
            buf[i] = other
    for expected, other in _TURNS:
        i = end - 1
        while i >= first:
            if buf[i] | stuck != expected:
                good = False
            buf[i] = other
            i -= 1
    for i in range(first, end):
        if buf[i] | stuck != _A:
            good = False
        buf[i] = spare[i - first]
        if buf[i] != spare[i - first]:
            good = False
    return good


def sums(data, first, end, stuck=0):
    """Two running sums of the bytes data[first:end], as one number: the order counts.

    Modulo 2**14 each, so that it is a small integer; for up to 2**14 bytes.
    """
    one = two = 0
    for i in range(first, end):
        one = (one + (data[i] | stuck)) & 0x3FFF
        two = (two + one) & 0x3FFF
    return two << 14 | one


class RamBlock:
    """A block of the heap, in parts of *part* bytes."""

    def __init__(self, parts, part):
        self.parts = parts
        self._part = part
        self._block = bytearray(parts * part)
        self._spare = bytearray(part)

    def check(self, i, stuck):
        """True if part *i* keeps what is written. *stuck*: bits that shall seem stuck at 1."""
        first = i * self._part
        return march(self._block, first, first + self._part, self._spare, stuck)


class Constants:
    """Bytes that never change, against the sums they had when this was built."""

    def __init__(self, data, part):
        self._data = data
        self._part = part
        self.parts = -(-len(data) // part)
        self._sums = tuple(self._sum(i, 0) for i in range(self.parts))

    def _sum(self, i, stuck):
        first = i * self._part
        return sums(self._data, first, min(first + self._part, len(self._data)), stuck)

    def check(self, i, stuck):
        """True if part *i* is what it was. *stuck*: bits that shall seem to be set."""
        return self._sum(i, stuck) == self._sums[i]
