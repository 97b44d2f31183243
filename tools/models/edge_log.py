"""Every change on the wires, oldest first: time, signal and value, in arrays.

A list for each change would do, but MicroPython looks at every object each time it collects
garbage, which the firmware makes it do once a simulated second: after a day of lamps that is most
of what the bench does. Arrays are looked at quickly.
"""

from array import array

_PIECE = 4096


class EdgeLog:
    """At most *most* changes, in pieces; the oldest piece goes first.

    lost    how many have gone
    """

    def __init__(self, most):
        self._most = most
        self._names = []
        self._numbers = {}          # signal: index in _names
        self._pieces = []           # (times in ms, numbers of signals, values)
        self._used = _PIECE         # of the newest piece
        self.lost = 0

    def __len__(self):
        return (len(self._pieces) - 1) * _PIECE + self._used if self._pieces else 0

    def add(self, t_ms, signal, value):
        """value: 0..2**31 - 1, or a list of indexes below 31."""
        if self._used == _PIECE:
            if len(self._pieces) * _PIECE >= self._most:
                self._pieces.pop(0)
                self.lost += _PIECE
            self._pieces.append((array("d", bytes(8 * _PIECE)), bytearray(_PIECE),
                                 array("i", bytes(4 * _PIECE))))
            self._used = 0
        number = self._numbers.get(signal)
        if number is None:
            number = self._numbers[signal] = len(self._names)
            self._names.append(signal)
        if isinstance(value, list):
            mask = 0
            for index in value:
                mask |= 1 << index
            value = -1 - mask
        times, numbers, values = self._pieces[-1]
        at = self._used
        times[at] = t_ms
        numbers[at] = number
        values[at] = value
        self._used = at + 1

    def _row(self, k):
        times, numbers, values = self._pieces[k // _PIECE]
        at = k % _PIECE
        value = values[at]
        if value < 0:
            mask = -1 - value
            value = [index for index in range(31) if mask >> index & 1]
        return [times[at], self._names[numbers[at]], value]

    def since(self, t_ms, skip, count):
        """[t_ms, signal, value] of the changes from *t_ms* on, without *skip*, *count* at most."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._pieces[middle // _PIECE][0][middle % _PIECE] < t_ms:
                low = middle + 1
            else:
                high = middle
        return [self._row(k) for k in range(low + skip, min(low + skip + count, len(self)))]
