"""A byte stream served by a protocol: RS485 to the inverter, RS232 for the host tool."""

_AT_ONCE = 64


class SerialPort:
    """Feeds received bytes to *protocol*, sends its answers, and steers the RS485 driver.

    uart       any(), readinto(buf, count), write(buf), txdone()
    protocol   take(byte, now_ms) -> length of the answer in protocol.out, or 0
    de         pin that enables the RS485 driver, or None
    """

    def __init__(self, uart, protocol, de=None):
        self._uart = uart
        self._protocol = protocol
        self._de = de
        self._buf = bytearray(_AT_ONCE)
        self._out = memoryview(protocol.out)
        self._sending = False
        self._next = 0              # of the answer: what the UART had no room for yet
        self._end = 0
        self.received = 0
        self.sent = 0
        if de is not None:
            de(0)

    def step(self, now_ms):
        """Drop the driver when the answer is out; take what came; send what is to be sent.

        While an answer is going out nothing is taken: the bus is half-duplex, and what came
        meanwhile waits in the receive buffer.
        """
        uart = self._uart
        if self._next < self._end:
            self._next += uart.write(self._out[self._next:self._end]) or 0
            return
        if self._sending:
            if not uart.txdone():
                return
            self._sending = False
            if self._de is not None:
                self._de(0)
        waiting = min(uart.any(), _AT_ONCE)
        if not waiting:
            return
        count = uart.readinto(self._buf, waiting) or 0      # more would be waited for
        self.received += count
        protocol = self._protocol
        for i in range(count):
            length = protocol.take(self._buf[i], now_ms)
            if length:
                if self._de is not None:
                    self._de(1)
                self._next = uart.write(self._out[:length]) or 0
                self._end = length
                self.sent += length
                self._sending = True
