"""A stop-watch on the emulated board: emulated time, and what the core did in it.

The core is *awake* while it executes or polls a peripheral, and *asleep* in WFI. The emulator
skips the polling of a bus that is under way instead of executing it; that time is counted here as
awake too, as it is on the chip.
"""

import collections
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402, F401 - the path comes first

from emu_core import NS_PER_CYCLE                               # noqa: E402
from rig_targets import PicoTarget                              # noqa: E402

ON_DEVICE = pathlib.Path(__file__).resolve().parent / "on_device"

_SCRATCH0, _SCRATCH1 = 0x0C, 0x10       # of the watchdog: running task, marks of device.py

# All in microseconds since the bench was built: time, core executing, core polling
Stamp = collections.namedtuple("Stamp", "us busy_us polling_us")


class Span(collections.namedtuple("Span", "wall_us busy_us polling_us")):
    """What passed between two stamps."""

    @property
    def cpu_us(self):
        """The core was awake."""
        return self.busy_us + self.polling_us


def between(start, end):
    return Span(*(b - a for a, b in zip(start, end)))


def mean(spans):
    """The mean Span of some."""
    spans = list(spans)
    return Span(*(sum(column) / len(spans) for column in zip(*spans)))


class Meter:
    """An emulated board with the models on its pins, under a stop-watch.

    image    UF2; stand: options of the models
    task_spans   [(task number, Span)] of every scheduled step since clear()
    mark_spans   {tag: [Span]} of what device.py marked since clear()
    """

    def __init__(self, image, stand=None):
        options = {"seed": 1, "dip": 0, "rocker": 1, "plant": {"soc": 0.5}, "profile": "am5000",
                   "spread": 0}
        options.update(stand or {})
        self.target = PicoTarget(options, str(image))
        self.pico = pico = self.target._pico
        self._polling_ns = 0
        self._prepared = False
        self.clear()
        self._watch_polling(pico)
        self._watch_marks(pico.chip.watchdog)

    def _watch_polling(self, pico):
        stall = pico.stall_until

        def stall_until(ns):
            before = pico.clock.nanos
            stall(ns)
            self._polling_ns += pico.clock.nanos - before

        pico.stall_until = stall_until

    def _watch_marks(self, watchdog):
        write = watchdog.write_uint32

        def write_uint32(offset, value):
            if offset == _SCRATCH0:
                self._task_mark(value & 0xFF)
            elif offset == _SCRATCH1:
                self._device_mark(value)
            write(offset, value)

        watchdog.write_uint32 = write_uint32

    def _task_mark(self, number):
        stamp = self.stamp()
        if number:
            self._task = (number, stamp)
        elif self._task:
            self.task_spans.append((self._task[0], between(self._task[1], stamp)))
            self._task = None

    def _device_mark(self, value):
        stamp = self.stamp()
        tag, is_end = value >> 1, value & 1
        if not is_end:
            self._mark = (tag, stamp)
        elif self._mark and self._mark[0] == tag:
            self.mark_spans[tag].append(between(self._mark[1], stamp))
            self._mark = None

    def clear(self):
        self.task_spans = []
        self.mark_spans = collections.defaultdict(list)
        self._task = self._mark = None

    def stamp(self):
        pico = self.pico
        return Stamp(pico.clock.nanos / 1000, pico._core.busy_cycles() * NS_PER_CYCLE / 1000,
                     self._polling_ns / 1000)

    def run(self, us):
        self.target.run(us, [])

    def measure(self, us):
        """Run for *us*; returns the Span."""
        start = self.stamp()
        self.run(us)
        return between(start, self.stamp())

    def run_until_edges(self, names, level=1, limit_us=15_000_000):
        """Run until each signal of *names* had an edge to *level*; returns the last one's ms."""
        while self.pico.now_us < limit_us:
            self.run(20_000)
            found = {}
            for t_ms, name, value in self.target.edges(0):
                if name in names and value == level:
                    found.setdefault(name, t_ms)
            if len(found) == len(names):
                return max(found.values())
        raise RuntimeError("no edge of %s within %d s" % (" ".join(names), limit_us // 1_000_000))

    # -- answers on the serial ports -----------------------------------------------------------

    def ask(self, feed, hear, request, byte_us, stop_early_us, quiet_us, limit_us):
        """Send *request* now; returns (us to the first start bit, us to the end, answer).

        Both count from the end of the request's last stop bit. *stop_early_us*: how long before
        the end of its last bit a byte is reported.
        """
        heard = []
        hear(lambda byte, now_us: heard.append((byte, now_us)))
        end_us = self.pico.clock.nanos / 1000 + len(request) * byte_us
        feed(request)
        limit_us += self.pico.now_us
        while self.pico.now_us < limit_us:
            self.run(1000)
            if heard and self.pico.now_us - heard[-1][1] > quiet_us:
                break
        if not heard:
            return None, None, b""
        first_us = heard[0][1] + stop_early_us - byte_us - end_us
        last_us = heard[-1][1] + stop_early_us - end_us
        return first_us, last_us, bytes(byte for byte, _ in heard)

    def ask_rs485(self, request, baud=9600):
        def hear(callback):
            self.pico.on_uart_tx[0] = callback
        byte_us = 10e6 / baud
        return self.ask(lambda data: self.pico.uart_feed(0, data, baud), hear, request, byte_us,
                        0, 4 * byte_us, 1_000_000)

    def ask_debug(self, request, baud=115_200, quiet_us=None):
        def hear(callback):
            self.pico.on_debug = callback
        byte_us = 10e6 / baud
        return self.ask(self.pico.debug_feed, hear, request, byte_us, byte_us / 20,
                        quiet_us or 20 * byte_us, 1_000_000)

    # -- scripts -------------------------------------------------------------------------------

    def prepare(self):
        """Stop the firmware and load device.py, once."""
        if not self._prepared:
            self.stop_firmware()
            self.script((ON_DEVICE / "device.py").read_text(encoding="utf-8"))
            self._prepared = True

    def stop_firmware(self):
        """Ask for the prompt (SAF-10) and start the interpreter anew without main.py (a soft
        reset from the raw REPL skips it, as mpremote relies on)."""
        self._seen = bytearray()
        usb = self.pico.attach_usb()
        self.pico.on_usb = self._seen.extend
        while not usb.connected:
            self.run(1000)
        self.run(100_000)
        usb.send(b"\rprompt\r")
        self._wait(b">>> ", 30_000_000)     # limits of 0 are told first, then both FETs open
        usb.send(b"\x01")
        self._wait(b"raw REPL; CTRL-B to exit\r\n>")
        usb.send(b"\x04")
        self._wait(b"soft reboot")
        self._wait(b"raw REPL; CTRL-B to exit\r\n>")

    def script(self, source, limit_us=60_000_000):
        """Run *source*; returns what it printed. After stop_firmware()."""
        self.pico.usb.send(source.encode() + b"\x04")
        self._wait(b"OK")
        printed = self._wait(b"\x04", limit_us)
        errors = self._wait(b"\x04>")
        if errors:
            raise RuntimeError("on the emulated board: " + errors.decode("utf-8", "replace"))
        return printed.decode()

    def _wait(self, text, limit_us=3_000_000):
        limit_us += self.pico.now_us
        while text not in self._seen:
            if self.pico.now_us > limit_us:
                raise RuntimeError("the emulated board does not answer; it said last: %r"
                                   % bytes(self._seen[-300:]))
            self.run(1000)
        at = self._seen.index(text)
        before = bytes(self._seen[:at])
        del self._seen[:at + len(text)]
        return before
