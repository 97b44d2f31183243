"""A byte stream served by a protocol: RS485 to the inverter, RS232 for the host tool."""

import micropython
from bound import bind

_AT_ONCE = 64
_PIECES = 8             # of as many bytes that a step of a console port takes of an update


class SerialPort:
    """Feeds received bytes to *protocol*, sends its answers, and steers the RS485 driver.

    uart       any(), readinto(buf, count), write(buf, offset, count), txdone()
    protocol   take(byte, now_ms) -> length of the answer in protocol.out, or 0
    de         pin that enables the RS485 driver, or None

    received, sent   bytes since start
    asked            bytes came that were not answered
    """

    def __init__(self, uart, protocol, de=None):
        self._uart = uart
        self._protocol = protocol
        self._de = de
        self._buf = bytearray(_AT_ONCE)
        self._at = 0                # of the chunk in _buf: next byte to be looked at
        self._left = 0              # of it: bytes to be looked at
        self._next = 0              # of the answer: what the UART had no room for yet
        self._end = 0
        self._sending = False
        self.asked = False          # something came that was not answered
        self.received = 0
        self.sent = 0
        if de is not None:
            de(0)
        bind(self, "step", "_take")

    def flush(self):
        """Forget what was received: it came while nobody looked."""
        self._left = 0
        while self._uart.any():
            self._uart.readinto(self._buf, _AT_ONCE)

    @micropython.native
    def step(self, now_ms):
        """Drop the driver when the answer is out; take what came; send what is to be sent.

        While an answer is going out nothing is taken: the bus is half-duplex, and what came
        meanwhile waits.
        """
        uart = self._uart
        if self._sending:
            if self._next < self._end:
                self._next += uart.write(self._protocol.out, self._next,
                                         self._end - self._next) or 0
                return
            if not uart.txdone():
                return
            self._sending = False
            if self._de is not None:
                self._de(0)
        if not self._left:
            waiting = uart.any()
            if not waiting:
                return
            waiting = min(waiting, _AT_ONCE)
            self._at = 0
            self._left = uart.readinto(self._buf, waiting) or 0     # more would be waited for
            self.received += self._left
            self.asked = True
        self._take(now_ms)

    def is_busy(self):
        """An answer is going out, or bytes wait to be looked at."""
        return self._sending or self._left > 0 or self._uart.any() > 0

    def _take(self, now_ms):
        """Look at the bytes of the chunk up to the end of a request that is answered."""
        protocol = self._protocol
        while self._left:
            byte = self._buf[self._at]
            self._at += 1
            self._left -= 1
            length = protocol.take(byte, now_ms)
            if length:
                self._send(length)
                return

    def _send(self, length):
        """Begin to send the first *length* bytes of the protocol's answer."""
        if self._de is not None:
            self._de(1)
        self._next = self._uart.write(self._protocol.out, 0, length) or 0
        self._end = length
        self.sent += length
        self._sending = True
        self.asked = False


class ConsolePort(SerialPort):
    """A port with a console behind it, which has more to say than an answer a request.

    protocol   as SerialPort's, and more(now_ms) -> length of what is in protocol.out, or 0
    link       Link: the pages of an update are taken in pieces, and *pieces* of them in a step
    """

    def __init__(self, uart, protocol, link=None, pieces=_PIECES):
        self._link = link
        self._pieces = pieces
        super().__init__(uart, protocol)

    def _take(self, now_ms):
        link = self._link
        if link is None:
            SerialPort._take(self, now_ms)
            return
        protocol, buf = self._protocol, self._buf
        length = 0
        for _ in range(self._pieces):
            while self._left:
                if link.pieces:
                    count = link.take_piece(buf, self._at, self._left, now_ms)
                    self._at += count
                    self._left -= count
                    continue
                byte = buf[self._at]
                self._at += 1
                self._left -= 1
                answer = protocol.take(byte, now_ms)
                if answer:
                    length = answer
                    if not link.pours:
                        self._send(length)
                        return
            waiting = self._uart.any() if link.pours or link.pieces else 0
            if not waiting:
                break
            self._at = 0
            self._left = self._uart.readinto(buf, min(waiting, _AT_ONCE)) or 0
            self.received += self._left
        if length:
            self._send(length)

    @micropython.native
    def step(self, now_ms):
        """As a SerialPort's; when that has nothing to send, the console goes on."""
        if self._sending or self._left or self._uart.any():
            SerialPort.step(self, now_ms)
            if self._sending:
                return
        length = self._protocol.more(now_ms)
        if length:
            self._send(length)

    def restart(self):
        """After an exception: what was begun is given up."""
        self._left = 0
        self._protocol.restart()
