"""A firmware of a few lines for the tests of the rig itself. Runs on CPython and MicroPython.

It toggles LIMITER every 100 ms after 57 AFE frames, answers on the inverter's port with what it
heard in angle brackets, and speaks the debug-port protocol. Shares no code with the client.
"""

import struct

import machine
import port_sim as port

RECORDS = 300
REPORT_SCHEMA = b"""state;B;1;enum:off|standby;what it does
soc_cpct;H;1;cpct;state of charge
scans;I;1;;number of scans
alarms;H;1;bits:PRO-01|PRO-02;alarms
heard;I;1;;bytes heard on the inverter's port
cause;B;1;;reset cause
cells;h;2;mV;the second one is never measured"""
EVENT_SCHEMA = b"seq;I;1;;number\nuptime_ms;I;1;ms;time\nevent;B;1;enum:boot|tick;what"


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc


class Toy:
    def __init__(self):
        self.debug = port.debug_uart()
        self.pcs = machine.UART(0, baudrate=9600, tx=machine.Pin("PCS_TX"),
                                rx=machine.Pin("PCS_RX"))
        self.de = machine.Pin("PCS_DE", machine.Pin.OUT, value=0)
        self.spi = machine.SPI(0, baudrate=1_000_000)
        self.cs = machine.Pin("AFE_CS", machine.Pin.OUT, value=1)
        self.limiter = machine.Pin("LIMITER", machine.Pin.OUT, value=0)
        self.wdt = port.wdt(8000)
        self.frame = bytearray(3)
        self.params = [100, 0]
        self.names = ["knob_mv", "bench_enable"]
        self.scans = 0
        self.heard = 0
        self.buf = b""
        self.mood = "fine"
        self.sending = False

    def run(self):
        due = port.ticks_ms()
        while True:
            self.wdt.feed()
            if port.ticks_diff(port.ticks_ms(), due) >= 0:
                due = port.ticks_add(due, 100)
                self.scan()
            self.misbehave()
            self.serve_pcs()
            self.serve_debug()
            port.idle_until(port.ticks_add(port.ticks_ms(), 5))

    def scan(self):
        for _ in range(57):
            self.cs(0)
            self.spi.write_readinto(self.frame, self.frame)
            self.cs(1)
            port.wait_us(50)
        self.scans += 1
        self.limiter(self.scans & 1)

    def misbehave(self):
        if self.mood == "task_hang":
            while True:                 # a wait for something that never comes
                port.ticks_ms()
        if self.mood == "task_raise":
            raise KeyError("provoked")
        while self.mood == "heap_full":
            pass                        # not even the clock is looked at

    def serve_pcs(self):
        if self.sending and self.pcs.txdone():
            self.de(0)
            self.sending = False
        data = None if self.sending else self.pcs.read()
        if data:
            self.heard += len(data)
            self.de(1)
            self.pcs.write(b"<" + data + b">")
            self.sending = True

    def serve_debug(self):
        self.buf += self.debug.read() or b""
        while len(self.buf) >= 8:
            if self.buf[0] != 0xB5:
                self.debug.write(b"you said: " + self.buf + b"\n")      # a console
                self.buf = b""
                return
            size = 8 + (self.buf[4] | self.buf[5] << 8)
            if len(self.buf) < size:
                return
            frame, self.buf = self.buf[:size], self.buf[size:]
            if frame[-2] | frame[-1] << 8 == crc16(frame[1:-2]):
                self.answer(frame[2], frame[3], frame[6:-2])

    def answer(self, seq, kind, payload):
        try:
            data = getattr(self, "on_%x" % kind)(payload)
            kind |= 0x80
        except ValueError as error:
            data = bytes((kind, 3)) + str(error).encode()
            kind = 0xFF
        body = struct.pack("<BBBH", 1, seq, kind, len(data)) + data
        self.debug.write(b"\xb5" + body + struct.pack("<H", crc16(body)))

    def on_1(self, payload):
        return b"product=toy\nversion=0.0\nprofile=am5000\nschema=1234"

    def on_2(self, payload):
        cut = REPORT_SCHEMA.find(b"\nscans") + 1        # two pages
        return b"\x01" + REPORT_SCHEMA[:cut] if payload[0] == 0 else b"\x00" + REPORT_SCHEMA[cut:]

    def on_3(self, payload):
        return struct.pack("<HBHIHIBhh", 0x1234, 1, 5012, self.scans, 2, self.heard,
                           machine.reset_cause(), 3300, -32768)

    def on_4(self, payload):
        since, most = struct.unpack("<IB", payload)
        rows = [struct.pack("<IIB", n, n * 10, 1) for n in range(since + 1, RECORDS + 1)][:most]
        return bytes((len(rows),)) + b"".join(rows)

    def on_5(self, payload):
        return b"\x00" + EVENT_SCHEMA

    def on_6(self, payload):
        first = payload[0]
        line = "%d;%s;mV;0;500;100;%d;help; with a semicolon" % (
            first + 1, self.names[first], self.params[first])
        return struct.pack("<H", 0xFFFF if first else 1) + line.encode()

    def on_7(self, payload):
        number = payload[0] | payload[1] << 8
        return struct.pack("<Hi", number, self.params[number - 1])

    def on_8(self, payload):
        number, value = struct.unpack("<Hi", payload)
        if not 0 <= value <= 500:
            raise ValueError("%s: 0 to 500" % self.names[number - 1])
        self.params[number - 1] = value
        return payload

    def on_9(self, payload):
        self.params = [100, 0]
        return b""

    def on_b(self, payload):
        if not self.params[1]:
            raise ValueError("bench_enable is 0")
        self.mood = payload.decode().split()[0]
        return b""


def main():
    port.sleep_ms(300)
    Toy().run()
