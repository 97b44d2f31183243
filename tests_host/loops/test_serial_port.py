"""A byte stream and its protocol: driver enable, half duplex, whole answers."""

import unittest

from fakes import FakePin, FakeUart, Lcg
from tasks.serial_port import ConsolePort, SerialPort


class Echo:
    """Answers each "?" with a text."""

    def __init__(self, answer=b"answer"):
        self.answer = answer
        self.out = bytearray(64)
        self.taken = bytearray()
        self.times = []

    def take(self, byte, now_ms):
        self.taken.append(byte)
        self.times.append(now_ms)
        if byte != 0x3F:
            return 0
        self.out[:len(self.answer)] = self.answer
        return len(self.answer)


class TestCase(unittest.TestCase):
    def setUp(self):
        self.build()

    def build(self, room=None, answer=b"answer"):
        self.uart = FakeUart(room)
        self.de = FakePin(1)
        self.protocol = Echo(answer)
        self.port = SerialPort(self.uart, self.protocol, self.de)


class TestSerialPort(TestCase):
    def test_the_driver_is_off_from_the_start(self):            # req: COM-01
        self.assertEqual(self.de.level, 0)

    def test_nothing_received_does_nothing(self):
        self.port.step(0)
        self.assertEqual((bytes(self.uart.sent), self.de.level), (b"", 0))

    def test_every_byte_reaches_the_protocol_once(self):        # req: COM-06
        self.uart.incoming.extend(b"hello")
        self.port.step(5)
        self.port.step(6)
        self.assertEqual((bytes(self.protocol.taken), self.protocol.times), (b"hello", [5] * 5))
        self.assertEqual((self.port.received, self.port.sent), (5, 0))

    def test_an_answer_is_sent_with_the_driver_on_until_it_is_out(self):    # req: COM-01
        self.uart.incoming.extend(b"ab?")
        self.uart.done = False
        self.port.step(0)
        self.assertEqual((bytes(self.uart.sent), self.de.level), (b"answer", 1))
        for now in range(1, 5):
            self.port.step(now)
            self.assertEqual(self.de.level, 1)
        self.uart.done = True
        self.port.step(5)
        self.assertEqual((self.de.level, self.port.sent), (0, 6))

    def test_nothing_is_taken_while_an_answer_goes_out(self):   # req: COM-01
        self.uart.incoming.extend(b"?")
        self.uart.done = False
        self.port.step(0)
        self.uart.incoming.extend(b"?")
        self.port.step(1)
        self.assertEqual((bytes(self.uart.sent), len(self.uart.incoming)), (b"answer", 1))
        self.uart.done = True
        self.port.step(2)
        self.port.step(3)
        self.assertEqual(bytes(self.uart.sent), b"answeranswer")

    def test_a_port_without_driver_pin(self):                   # req: COM-04
        port = SerialPort(self.uart, self.protocol)
        self.uart.incoming.extend(b"?")
        port.step(0)
        port.step(1)
        self.assertEqual(bytes(self.uart.sent), b"answer")

    def test_much_received_at_once_is_all_taken(self):          # req: COM-06
        data = bytes(i & 0x3E for i in range(300))
        self.uart.incoming.extend(data)
        for now in range(10):
            self.port.step(now)
        self.assertEqual(bytes(self.protocol.taken), data)

    def test_one_step_takes_a_bounded_number_of_bytes(self):    # req: COM-06 SAF-01
        self.uart.incoming.extend(b"x" * 1000)
        self.port.step(0)
        self.assertTrue(0 < self.port.received <= 128)

    def test_two_requests_at_once_are_both_answered_in_order(self):     # req: COM-06
        self.uart.incoming.extend(b"?.?")
        for now in range(3):
            self.port.step(now)
        self.assertEqual(bytes(self.uart.sent), b"answeranswer")

    def test_an_answer_longer_than_the_transmit_buffer_goes_out_whole(self):    # req: COM-06
        self.build(room=4, answer=b"0123456789")
        self.uart.incoming.extend(b"?")
        for now in range(8):
            self.port.step(now)
        self.assertEqual(bytes(self.uart.sent), b"0123456789")

    def test_two_requests_at_once_and_little_room(self):        # req: COM-06
        self.build(room=4)
        self.uart.incoming.extend(b"?.?")
        for now in range(8):
            self.port.step(now)
        self.assertEqual(bytes(self.uart.sent), b"answeranswer")

    def test_a_uart_that_reads_nothing_after_all(self):
        class Odd(FakeUart):
            def any(self):
                return 3
        port = SerialPort(Odd(), self.protocol, self.de)
        port.step(0)
        self.assertEqual(port.received, 0)

    def test_any_bytes(self):                                   # req: COM-06
        rng = Lcg(13)
        asked = 0
        for now in range(100):
            noise = bytearray(rng.below(20))
            rng.fill(noise)
            asked += sum(1 for byte in noise if byte == 0x3F)
            self.uart.incoming.extend(noise)
            self.port.step(now)
        for now in range(50):
            self.port.step(now)
        self.assertEqual(bytes(self.uart.sent), b"answer" * asked)


if __name__ == "__main__":
    unittest.main()


class Talker(Echo):
    """Has *texts* to say without being asked, and raises at a "!"."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def take(self, byte, now_ms):
        if byte == 0x21:
            raise ValueError
        return super().take(byte, now_ms)

    def more(self, now_ms):
        if not self.texts:
            return 0
        text = self.texts.pop(0)
        self.out[:len(text)] = text
        return len(text)

    def restart(self):
        self.texts = []


class TestConsolePort(unittest.TestCase):
    def setUp(self):
        self.uart = FakeUart(None)
        self.protocol = Talker()
        self.port = ConsolePort(self.uart, self.protocol)

    def test_what_there_is_to_say_is_sent_bytes_or_none(self):  # req: COM-10
        self.protocol.texts = [b"one", b"two"]
        self.port.step(0)
        self.uart.incoming.extend(b"ab")
        self.port.step(1)
        self.assertEqual((bytes(self.uart.sent), bytes(self.protocol.taken)), (b"onetwo", b"ab"))

    def test_an_answer_goes_first(self):                        # req: COM-10
        self.protocol.texts = [b"more"]
        self.uart.incoming.extend(b"?")
        self.port.step(0)
        self.assertEqual(bytes(self.uart.sent), b"answer")
        self.port.step(1)
        self.assertEqual(bytes(self.uart.sent), b"answermore")

    def test_after_an_exception_the_rest_is_forgotten(self):    # req: SAF-03
        self.uart.incoming.extend(b"a!bc")
        self.assertRaises(ValueError, self.port.step, 0)
        self.port.restart()
        self.uart.incoming.extend(b"d")
        self.port.step(1)
        self.assertEqual(bytes(self.protocol.taken), b"ad")
        self.assertFalse(self.port.is_busy())
