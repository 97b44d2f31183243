"""What can stand behind the rig: a simulated controller, an emulated one, a real one.

A target has
  chunk_us       longest step in which the ports are looked at; long_chunk_us: in a long run
  answer_us      how long an answer over the debug port may take
  t_us           simulated time since power-on of the bench
  on, boots      supply on; how often the controller has started
  crash          None | traceback of a firmware that ended by itself; whoever reports it clears it
  run(us, feeds) let time pass. feeds: [(port, delay_us, bytes, baud)] for the RX pins, ports
                 being "pcs", "parallel", "debug" and "usb", baud the sender's rate (None: the
                 port's); returns the same of what left the TX pins completely, with t_us of the
                 first bit in place of the delay. Port "can": one frame
                 (mcp2515_model.pack_frame) for and from the bus, with t_us of its end
  set(values)    fields of the rig's `set`       state()          (wire, truth)
  edges(since_us), power(on), reset(), close()
and raises TargetError with a text for the user.
"""

import csv
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time

import rooms
from rooms import ROOT

HERE = pathlib.Path(__file__).resolve().parent
PINS_CSV = ROOT / "boards" / "PACKCTL_PICO" / "pins.csv"
FIRMWARE = (ROOT / "firmware", ROOT / "lib")
UNIX_HEAP = "24M"               # firmware and models; every edge of every lamp is kept
_PULLED_UP = ("AFE_CS", "CAN_CS")       # by the board, while the controller does not drive them


DIP_OFF = "fault supply_dip_ms: the controller is switched off already"


class TargetError(Exception):
    """The target cannot do it, or has failed; the text says why."""


def read_pins():
    """{functional name: "GPIOn"} of the board."""
    with open(PINS_CSV, newline="", encoding="utf-8") as lines:
        return {row[0].strip(): row[1].strip() for row in csv.reader(lines)
                if len(row) >= 2 and row[1].strip().startswith("GPIO")}


def toolchain(what):
    """Path of the unix interpreter ("unix") or of the UF2 ("firmware"), built if need be."""
    import toolchain as builder
    try:
        if what == "unix":
            return str(builder.unix())
        made = builder.firmware()
        if not made.frozen:
            raise TargetError(f"{made.uf2} has no application in it; unset MICROPY_UF2 or name "
                              "an image made by `make firmware` in PACKCTL_UF2")
        return str(made.uf2)
    except builder.ToolchainError as error:
        raise TargetError(str(error)) from None


def find_unix():
    """The MicroPython unix interpreter: MICROPYTHON, or what tools/toolchain.py provides."""
    return _existing("MICROPYTHON") or toolchain("unix")


def find_uf2():
    """The firmware image: PACKCTL_UF2, or what tools/toolchain.py builds."""
    return _existing("PACKCTL_UF2") or toolchain("firmware")


def _existing(variable):
    path = os.environ.get(variable)
    if path and not os.path.isfile(path):
        raise TargetError(f"{variable} is {path}, which is not a file")
    return path or None


def stand_tables():
    """(fields of `set`, kinds of faults) that the models know."""
    rooms.use(rooms.MODELS)
    import stand
    return stand.FIELDS, stand.FAULT_KINDS


_PAGE = 500                     # edges in one answer


class SimTarget:
    """Firmware, mocks and models in a process of their own: `host` or `unix`."""

    chunk_us = 100_000
    long_chunk_us = 600_000_000     # in which a pack that rests is taken from event to event
    answer_us = 400_000

    def __init__(self, kind, stand, profile, firmware=FIRMWARE, ticks_start_ms=None, on=True,
                 cpu_s=60.0, uid=None, heap=None):
        self.t_us = 0
        self.behind_bar = None      # Stand.behind_bar() after the newest run on a bus bar
        self.on = on
        self.boots = 0
        self.crash = None
        self._cpu_s = cpu_s
        self._errors = tempfile.TemporaryFile()
        self._dead = None       # None: alive | why it is not
        command = [sys.executable, "-X", "utf8"] if kind == "host" else [
            find_unix(), "-X", f"heapsize={heap or UNIX_HEAP}"]
        down_r, down_w = os.pipe()
        up_r, up_w = os.pipe()
        environment = dict(os.environ, PYTHONHASHSEED="0", MICROPYPATH=".frozen")
        try:
            self._process = subprocess.Popen(
                [*command, str(HERE / "on_device" / "sim_worker.py"), str(down_r), str(up_w)],
                stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors,
                pass_fds=(down_r, up_w), env=environment)
        finally:
            os.close(down_r)
            os.close(up_w)
        self._to = down_w
        self._from = up_r
        self._buffer = b""
        try:
            self._ask({"cmd": "open", "stand": stand, "pins": read_pins(), "profile": profile,
                       "firmware": [str(f) for f in firmware], "models": str(rooms.MODELS),
                       "ticks_start_ms": ticks_start_ms, "on": on, "uid": uid})
        except TargetError:
            self.close()
            raise

    def _tail(self):
        self._errors.flush()
        size = os.fstat(self._errors.fileno()).st_size
        text = os.pread(self._errors.fileno(), 2000, max(0, size - 2000))
        return text.decode("utf-8", "replace").strip()

    def _fail(self, why):
        self._process.kill()
        self._process.wait()
        tail = self._tail()
        self._dead = why + (f"; it printed last: {tail}" if tail else "")
        raise TargetError(self._dead)

    def _send(self, command):
        if self._dead:
            raise TargetError(f"the simulated controller is gone ({self._dead}); open again")
        try:
            os.write(self._to, json.dumps(command).encode() + b"\n")
        except OSError:
            pass                # its last words may still be there to be read

    def _receive(self, name):
        end_s = self._spent_s() + self._cpu_s
        while b"\n" not in self._buffer:
            if not select.select([self._from], [], [], 0.5)[0]:
                if self._spent_s() >= end_s:
                    self._fail(f"no answer to {name} within {self._cpu_s:g} s of processor time: "
                               "the firmware loops without letting time pass")
                continue
            data = os.read(self._from, 1 << 16)
            if not data:
                self._fail("the simulated controller ended unexpectedly")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = json.loads(line)
        if not answer["ok"]:
            if answer.get("fatal"):
                self._fail(answer["error"])
            raise TargetError(answer["error"])
        return answer

    def _spent_s(self):
        """Processor time of the worker: a busy machine is no reason to give up on it. Wall time
        where the system does not tell that."""
        try:
            return time.clock_gettime(~self._process.pid << 3 | 2)
        except (AttributeError, OSError, ValueError):
            return time.monotonic()

    def _ask(self, command):
        self._send(command)
        return self._receive(command["cmd"])

    def run(self, us, feeds):
        self.begin(us, feeds)
        return self.end()

    def begin(self, us, feeds, **more):
        """The first half of run(); several targets may be on their way at once."""
        self._send({"cmd": "run", "us": us, **more,
                    "io": [[port, delay, data.hex(), baud] for port, delay, data, baud in feeds]})

    def end(self):
        """The second half of run(): what was sent meanwhile."""
        answer = self._receive("run")
        self.t_us = answer["t_us"]
        self.on = answer["on"]
        self.boots = answer["boots"]
        self.crash = answer.get("crash", self.crash)
        self.behind_bar = answer.get("bar")
        return [(port, start_us, bytes.fromhex(data), baud)
                for port, start_us, data, baud in answer["io"]]

    def set(self, values):
        self.on = self._ask({"cmd": "set", "values": values})["on"]

    def state(self):
        answer = self._ask({"cmd": "state"})
        return answer["wire"], answer["truth"]

    def edges(self, since_us):
        edges = []
        while True:                     # a long text is what MicroPython's json is slow at
            page = self._ask({"cmd": "edges", "since_us": since_us, "skip": len(edges),
                              "count": _PAGE})["edges"]
            edges += page
            if len(page) < _PAGE:
                return edges

    def reserve(self):
        """The firmware is about to fill the heap, which may be the bench's too."""
        self._ask({"cmd": "reserve"})

    def power(self, on):
        self._ask({"cmd": "power", "on": on})
        self.on = on

    def reset(self):
        self._ask({"cmd": "reset"})

    def close(self):
        if self._to is None:
            return
        if self._dead is None:
            try:
                os.write(self._to, b'{"cmd": "close"}\n')
            except OSError:
                pass
        os.close(self._to)
        os.close(self._from)
        self._to = self._from = None
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        self._dead = self._dead or "it was closed"


def make_stand(options):
    """The models, for a target that holds them in this process."""
    rooms.use(rooms.MODELS)
    from stand import Stand
    try:
        return Stand(options)
    except ValueError as error:
        raise TargetError(str(error)) from None


class PicoTarget:
    """The UF2 on an emulated RP2040, with the models on its pins."""

    chunk_us = long_chunk_us = 20_000
    answer_us = 1_000_000           # it starts up with little time to spare
    _PORTS = ("pcs", "parallel")

    def __init__(self, stand, image=None, on=True):
        try:
            from emulator import EmulatedPico
        except ImportError as error:
            raise TargetError(f"the emulator needs the package rp2040py: {error}") from None
        self.crash = None
        self.behind_bar = None
        self._begun = (0, [])
        self._dip_end_us = None     # None | when a dip of the supply ends
        self._stand = make_stand(stand)
        pin = self._stand.pin

        def pulled(name, level, now_us):        # a pin that nobody drives: the board's pull
            pin(name, int(name in _PULLED_UP) if level is None else level, now_us)

        self._stand.pin = pulled
        self._sent = []
        self._pico = EmulatedPico(image or find_uf2(), stand=self._stand, power=False)
        for number, port in enumerate(self._PORTS):
            self._pico.on_uart_tx[number] = self._heard(port)
        self._pico.on_debug = self._heard("debug")
        if on:
            self.power(True)

    @property
    def t_us(self):
        return self._pico.now_us

    @property
    def on(self):
        return self._pico.powered

    @property
    def boots(self):
        return self._pico.reset_count

    def _heard(self, port):
        def heard(byte, now_us):
            baud = 0 if port == "debug" else self._pico.uart_baud(self._PORTS.index(port))
            self._sent.append((port, now_us, byte, baud))
        return heard

    def _plug_usb(self):
        """The computer's end of the USB port, plugged in when it is first used."""
        pico = self._pico
        if pico.on_usb is None:
            pico.on_usb = lambda data: self._sent.extend(
                ("usb", pico.now_us, byte, 0) for byte in data)
        return pico.attach_usb()

    def run(self, us, feeds):
        pico = self._pico
        end_us = pico.now_us + us
        for port, delay_us, data, baud in sorted(feeds, key=lambda feed: feed[1]):
            if delay_us:
                self._run_until(min(end_us, end_us - us + delay_us))
            if port == "can":
                self._stand.can_feed(data, pico.now_us)
                self._models_changed()
            elif port == "debug":
                pico.debug_feed(data)
            elif port == "usb":
                self._plug_usb().send(data)
            else:
                pico.uart_feed(self._PORTS.index(port), data, baud)
        self._run_until(end_us)
        if not pico.powered:                # cut within a flash operation
            self._stand.power(False, pico.now_us)
        out = []
        for port, now_us, byte, baud in self._sent:
            if out and (out[-1][0], out[-1][3]) == (port, baud):
                out[-1][2].append(byte)
            else:
                out.append((port, now_us, bytearray((byte,)), baud))
        self._sent.clear()
        out += [("can", end_us, frame, 0) for end_us, frame in self._stand.can_sent()]
        return [(port, now_us, bytes(data), baud) for port, now_us, data, baud in out]

    def _run_until(self, us):
        if self._dip_end_us is not None and self._dip_end_us <= us:
            self._pico.run_until(self._dip_end_us)
            self.power(True)
        self._pico.run_until(us)

    def begin(self, us, feeds, bar_mv=None, bar_load_ma=0, bar_only_ma=None):
        """As a SimTarget's; the work is done in end()."""
        self._stand.set_bar(bar_mv, self._pico.now_us, bar_load_ma, bar_only_ma)
        self._models_changed()
        self._begun = (us, feeds)

    def end(self):
        sent = self.run(*self._begun)
        self.behind_bar = self._stand.behind_bar(self._pico.now_us)
        return sent

    def _models_changed(self):
        self._pico.sync_inputs()
        self._pico.run_until(self._pico.now_us)

    def set(self, values):
        values = dict(values)
        faults = dict(values.get("fault") or {})
        if "flash_full" in faults:
            self._fill_flash(bool(faults.pop("flash_full")))
        dip_ms = faults.pop("supply_dip_ms", None)
        if dip_ms is not None and not self._pico.powered:
            raise TargetError(DIP_OFF)
        cut = faults.pop("cut_at_flash_op", 0)
        torn = faults.pop("torn", 0.5)
        bad = faults.pop("flash_bad_block", -1)
        if "flash_erase_ms" in faults:
            self._pico.set_erase_ms(faults.pop("flash_erase_ms"))
        if "mcu_frozen" in faults:
            self._pico.frozen = bool(faults.pop("mcu_frozen"))
        if "mcu_clock_stopped" in faults:
            self._pico.stop_clock(bool(faults.pop("mcu_clock_stopped")))
        if faults or "fault" in values:
            values["fault"] = faults
        try:
            self._stand.set(values, self._pico.now_us)
        except ValueError as error:
            raise TargetError(str(error)) from None
        if cut != 0:
            self._pico.cut_at_flash_op(cut or 0, torn)
        if bad != -1:
            self._pico.set_bad_block(bad)
        if dip_ms is not None:
            self.power(False)
            self._dip_end_us = self._pico.now_us + int(dip_ms * 1000)
        self._models_changed()

    def _fill_flash(self, full):
        """A file fills the file system, or goes: by the unix port's littlefs, while nobody else
        has it mounted."""
        pico = self._pico
        if pico.powered:
            raise TargetError('fault flash_full: on rp2040 while it is switched off; send {"cmd": '
                              '"power", "on": false} first')
        start, end = pico.storage_at, pico.records_at
        image = pico.flash_image()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "image"
            path.write_bytes(image[start:end])
            done = subprocess.run(
                [find_unix(), "-X", "heapsize=16M", str(HERE / "on_device" / "ballast_device.py"),
                 str(path), str(int(full))],
                env={"MICROPYPATH": ".frozen"}, capture_output=True, timeout=120)
            if done.returncode:
                raise TargetError(f"fault flash_full: {done.stderr.decode()[-300:]}")
            pico.set_flash_image(image[:start] + path.read_bytes() + image[end:])

    def state(self):
        self._stand.advance(self._pico.now_us)
        return self._stand.wire(self._pico.now_us), self._stand.truth()

    def edges(self, since_us):
        return self._stand.edges(since_us)

    def power(self, on):
        self._dip_end_us = None
        if on != self._pico.powered or on != self._stand.powered:
            self._stand.power(on, self._pico.now_us)
            self._pico.power(on)
            self._models_changed()

    def reset(self):
        if self._pico.powered:
            self._stand.reset(self._pico.now_us)
            self._pico.reset()
            self._models_changed()

    def close(self):
        self._pico = None       # tens of megabytes


class SerialTarget:
    """A real board on its debug port: what it says can be read, nothing can be set."""

    chunk_us = 20_000
    answer_us = 0
    boxed = False               # True: with a box on its pins (rig_box.py)
    on = True
    boots = 1
    crash = None

    def __init__(self, port):
        from packctl.link import StreamExchange, open_serial
        self.port = port
        self._start = time.monotonic()
        self._stream = open_serial(port)
        self.exchange = StreamExchange(self._stream)

    @property
    def t_us(self):
        return int((time.monotonic() - self._start) * 1_000_000)

    def run(self, us, feeds):
        time.sleep(us / 1_000_000)
        return []

    def set(self, values):
        raise TargetError("not controllable: " + ", ".join(sorted(values))
                          + " (a real board without a stimulus board)")

    def state(self):
        return None, None

    def edges(self, since_us):
        raise TargetError("not controllable: trace needs a stimulus board on the pins")

    def power(self, on):
        raise TargetError("not controllable: switch the board's supply by hand")

    def reset(self):
        raise TargetError("not controllable: press the board's reset button")

    def close(self):
        self._stream.close()
