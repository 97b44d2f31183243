"""The box's program: what is on its pins goes to the computer, what comes from there goes on them.

Every half millisecond what the controller has written to the AFE is done and inputs are looked at;
in every other turn comparators step and the computer is listened to. Events bear the time of the
box, in microseconds modulo 2**30.
"""

import array
import select
import struct
import sys
import time

import machine
import micropython
from machine import Pin, UART
from micropython import const

import box_rp2
import box_frames as bf
from box_front import Front
from idle_rp2 import wait_us
from pins import PINS

_PERIOD_US = const(430)
_STAY_US = const(300)           # after a write the next one is looked for without a pause
_ALIVE_US = const(10_000)
_REST_MS = const(20)            # without a frame for so long: the machines have to be at rest
_BAUD = const(9600)


class Box:
    def __init__(self):
        self.bus = box_rp2.Bus(PINS)
        self.front = Front(self.bus.show)
        pins = [PINS[name] for name in bf.INPUTS]
        for name in bf.INPUTS:
            if name not in ("CAN_CS", "AFE_CS"):
                Pin(PINS[name], Pin.IN, Pin.PULL_DOWN)
        self._masks = tuple(1 << pin for pin in pins)
        # the two selects and the latch change too often for events
        self._watched = 0
        for name, mask in zip(bf.INPUTS, self._masks):
            if name not in ("CAN_CS", "AFE_CS", "LAMP_RCLK"):
                self._watched |= mask
        self._bothoff = self._masks[0]
        self._cs = 1 << PINS["AFE_CS"]
        self._seen = box_rp2.levels() & self._watched
        self._rocker = Pin(PINS["ROCKER"], Pin.OUT, value=0)
        self._run = Pin(PINS["RUN"], Pin.OPEN_DRAIN, value=1)
        self._power = Pin(PINS["POWER"], Pin.OUT, value=1)
        self._uarts = tuple(
            UART(n, _BAUD, tx=Pin(PINS[tx]), rx=Pin(PINS[rx]), rxbuf=1024, txbuf=512)
            for n, tx, rx in ((0, "PCS_RX", "PCS_TX"), (1, "PAR_RX", "PAR_TX")))
        self._out = bytearray(4 + bf.MOST)
        self._heard = bytearray(bf.MOST - 1)
        self._events = bytearray(7 * bf.EVENT)
        self._event_count = 0
        self._head = bytearray(3)
        self._body = bytearray(bf.MOST + 1)
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._spoil = 0
        self._silent = False
        self._worst_us = 0
        self._turn_about = False        # the computer is listened to in every other turn
        self._frames = 0
        self._frames_ms = 0
        self._alive = bytearray(bf.ALIVE_BYTES)
        self._both = array.array("I", (0, 0))

    # -- to the computer -------------------------------------------------------------------

    def send(self, kind, data, length):
        out = self._out
        out[0] = bf.START
        out[1] = kind
        out[2] = length
        box_rp2.copy(out, 3, data, length)
        out[3 + length] = box_rp2.total(data, length) + kind + length & 0xFF
        sys.stdout.buffer.write(out, 0, length + 4)

    @micropython.native
    def event(self, kind, a, b):
        now = time.ticks_us()
        events = self._events
        at = self._event_count * bf.EVENT
        events[at] = now & 0xFF
        events[at + 1] = now >> 8 & 0xFF
        events[at + 2] = now >> 16 & 0xFF
        events[at + 3] = now >> 24 & 0xFF
        events[at + 4] = kind
        events[at + 5] = a
        events[at + 6] = b & 0xFF
        events[at + 7] = b >> 8 & 0xFF
        self._event_count += 1
        if self._event_count == 7:
            self.flush()

    def flush(self):
        count, self._event_count = self._event_count, 0
        if count:
            self.send(bf.EVENTS, self._events, count * bf.EVENT)

    # -- one turn --------------------------------------------------------------------------

    @micropython.native
    def serve(self):
        """What has come on the AFE's bus and on the inputs; True if there was a write."""
        bus = self.bus
        if box_rp2.nothing_new(bus.ring_dma, bus.ring, bus.tail, self._watched, self._seen,
                               self._both):
            return False
        front = self.front
        wrote = False
        while True:
            word = bus.next_write()
            if word < 0:
                if wrote and not box_rp2.levels() & self._cs:
                    continue            # a frame is under way: it may be a write too
                break
            wrote = True
            if not self._silent:
                front.write(word >> 8, word & 0xFF)
                self.event(bf.WRITE, word >> 8, word & 0xFF)
        if wrote:
            if not front.was_reset:
                bus.go_on()
        levels = box_rp2.levels() & self._watched
        if levels != self._seen:
            changed = levels ^ self._seen
            self._seen = levels
            if changed & self._bothoff:
                front.set_bothoff(1 if levels & self._bothoff else 0)
            k = 0
            for mask in self._masks:
                if changed & mask:
                    self.event(bf.LEVEL, k, 1 if levels & mask else 0)
                k += 1
        word = bus.lamps()
        while word >= 0:
            self.event(bf.LAMPS, 0, word)
            word = bus.lamps()
        return wrote

    @micropython.native
    def run(self):
        micropython.kbd_intr(-1)
        alive_us = time.ticks_us()
        stay_us = last_us = alive_us
        while True:
            now_us = time.ticks_us()
            took = time.ticks_diff(now_us, last_us)
            if took > self._worst_us:
                self._worst_us = took
            last_us = now_us
            if self.serve():
                stay_us = now_us
            if time.ticks_diff(now_us, stay_us) < _STAY_US:
                continue
            if self._turn_about:
                self._turn_about = False
                wait_us(_PERIOD_US)
                continue
            self._turn_about = True
            now_ms = time.ticks_ms()
            if self.front.active and self.front.step(now_ms):
                self.event(bf.TRIP, self.front.tripped, 0)
            for _ in self._poll.ipoll(0):
                self.receive()
            if self._event_count:
                self.flush()
            if self._spoil:
                self.bus.spoil(self._spoil, box_rp2.random)
            if time.ticks_diff(now_us, alive_us) >= _ALIVE_US:
                alive_us = now_us
                self.tell_alive(now_us, now_ms)
            wait_us(_PERIOD_US)

    def tell_alive(self, now_us, now_ms):
        counts = self.bus.counts
        if counts[0] != self._frames:
            self._frames = counts[0]
            self._frames_ms = now_ms
        elif time.ticks_diff(now_ms, self._frames_ms) > _REST_MS:
            if box_rp2.levels() & self._cs:
                self.bus.restart()
        both = self._both
        struct.pack_into(bf.ALIVE_FORM, self._alive, 0, now_us, self.front.turn,
                         counts[0] & 0xFFFF, counts[1] & 0xFFFF, min(self._worst_us, 0xFFFF),
                         both[0], both[1])
        both[0] = both[1] = 0
        self._worst_us = 0
        self.send(bf.ALIVE, self._alive, bf.ALIVE_BYTES)
        heard = self._heard
        for port in (0, 1):
            count = min(self._uarts[port].any(), len(heard) - 1)
            if count:
                data = self._uarts[port].read(count)
                heard[0] = port
                heard[1:1 + len(data)] = data
                self._heard = heard
                self.send(bf.HEARD, heard, 1 + len(data))

    # -- from the computer -----------------------------------------------------------------

    def receive(self):
        """A message; it was sent as one packet, so the rest of it is here or comes at once."""
        head = self._head
        sys.stdin.buffer.readinto(head, 1)
        if head[0] != bf.START:
            return
        sys.stdin.buffer.readinto(head, 2)
        kind, length = head[0], head[1]
        if length > bf.MOST:
            return
        body = memoryview(self._body)
        sys.stdin.buffer.readinto(body[:length + 1])
        if box_rp2.total(body, length) + kind + length & 0xFF == body[length]:
            self.do(kind, bytes(body[:length]))

    def do(self, kind, data):
        front = self.front
        if kind == bf.REGISTERS:
            front.image(data[0] | data[1] << 8, data[2], data[3:])
        elif kind == bf.CURRENT:
            front.set_current(struct.unpack("<i", data)[0])
        elif kind == bf.ANSWER:
            front.answer(data[0] | data[1] << 8, data[2:])
        elif kind == bf.MEMORY:
            front.put_memory(data[0] | data[1] << 8, data[2:])
        elif kind == bf.UART:
            self._uarts[data[0]].write(data[1:])
        elif kind == bf.OUTPUTS:
            self._rocker(data[0])
            self._run(0 if data[2] else 1)
            self._power(data[3])
        elif kind == bf.BUS:
            self._silent = data[0] == bf.SILENT
            self.bus.set_miso(2 if data[0] == bf.LOW else 3 if data[0] != bf.NORMAL else 0)
            self._spoil = data[1]
            self.bus.spoil(self._spoil, box_rp2.random)
            front.bothoff_works = data[2] != bf.BOTHOFF_DEAD
            front.bothoff_inverted = data[2] == bf.BOTHOFF_INVERTED
        elif kind == bf.ROWS:
            front.rows = tuple(struct.unpack_from("<BIH", data, at)
                               for at in range(0, len(data), 7))
        elif kind == bf.START_CHIP:
            front.start()
            self.bus.go_on()
        elif kind == bf.BAUD:
            port, baud = struct.unpack("<BI", data)
            self._uarts[port].init(baud)
        elif kind == bf.HELLO:
            text = b"%d %s %s" % (bf.VERSION, bf.NAME.encode(),
                                  machine.unique_id().hex().encode())
            self.send(bf.IS, text, len(text))


def main():
    Box().run()
