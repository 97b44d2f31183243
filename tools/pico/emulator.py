"""The Pico of a pack controller, emulated instruction by instruction.

``EmulatedPico`` boots a UF2 image on rp2040py's RP2040 and puts the chips of the bench (a *stand*:
cells, AFE, lamps, I2C parts) on its pins. Everything is synchronous and repeatable: the same calls
give the same trace to the microsecond, however loaded the PC is.

What rp2040py leaves out and is put right here (emu_periph.py): bus time of SPI, I2C and UART, the
UART's FIFOs and interrupts, a PIO that keeps its pace while the core sleeps, flash that takes time
to erase, a watchdog that stops at a reset, a USB host that waits when it has nothing to say.

Try it:  python tools/pico/emulator.py IMAGE [--seconds N] [--repl]
"""

import argparse
import csv
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import decode_block
from rp2040py.gpio_pin import GPIOPinState
from rp2040py.memory_map import FLASH_START_ADDRESS
from rp2040py.peripherals.vreg_and_chip_reset import HAD_POR, HAD_RUN
from rp2040py.utils.logging import ConsoleLogger, LogLevel

import emu_core
import emu_periph
import emu_pio
import pico_image

FLASH_MAP = pico_image.flash_map()
FLASH_BYTES = FLASH_MAP.FLASH_BYTES
PINS_CSV = pathlib.Path(__file__).resolve().parents[2] / "boards" / "PACKCTL_PICO" / "pins.csv"

# Outputs the stand wants to hear of. Bus pins (SPI, I2C, UART) are seen byte by byte instead.
OUTPUTS = (
    "AFE_CS", "AFE_BOTHOFF", "LAMP_RCLK", "LIMITER", "BUZZER", "DO1", "DO2",
    "PCS_DE", "PAR_DE", "HEARTBEAT", "CAN_CS",
)
INPUTS = ("ROCKER", "CAN_INT")
DE_PINS = ("PCS_DE", "PAR_DE")          # transmitter enable of UART0 and UART1
DEBUG_BAUD = 115_200
_NEVER_US = 1 << 62
_FROZEN_NS = 100_000            # how exactly a reset of a frozen processor is timed


def read_pins(path=PINS_CSV):
    """{name: GPIO number} from the board's pins.csv."""
    with open(path, newline="", encoding="ascii") as rows:
        return {
            row[0].strip(): int(row[1].strip()[4:])
            for row in csv.reader(rows)
            if len(row) >= 2 and row[1].strip().startswith("GPIO")
        }


class NoStand:
    """An empty bench: nothing answers on SPI or I2C."""

    next_event_us = _NEVER_US

    def advance(self, now_us):
        pass

    def pin(self, name, level, now_us):
        pass

    def pin_in(self, name):
        return 1

    def spi(self, bus, byte, now_us):
        return 0xFF

    def i2c_write(self, addr, data, now_us):
        return False

    def i2c_read(self, addr, count, now_us):
        return None

    def wdt_fed(self, now_us):
        pass


class EmulatedPico:
    """One emulated controller board.

    image_path   UF2 (or raw .bin for 0x10000000) to boot; None: what *flash* holds
    stand        the bench, see tools/models/stand.py; None: an empty one
    flash        bytes of an earlier flash_image(): the file system in it is kept, the program
                 comes from image_path, and the journal of updates is empty again
    engine       "auto", "c" (compiled core, needs a C compiler) or "py" (rp2040py's own core)
    flash_times  (erase_us, program_us): what a 4 KiB erase and a 256-byte page take
    peer         another Pico on the wires: it has none of the controller's signals, and the PIO of
                 emu_pio.py

    Callbacks, all optional: on_uart_tx[n](byte, now_us) for a byte that left UART n on the wire
    with its DE pin high; on_debug(byte, now_us); on_reset: list of f(cause, now_us), cause being
    "power", "run" or "watchdog"; on_usb(bytes) once attach_usb() was called.
    """

    def __init__(self, image_path, stand=None, flash=None, engine="auto", pins_csv=PINS_CSV,
                 flash_times=(45_000, 400), power=True, peer=False):
        self.stand = stand if stand is not None else NoStand()
        self.pins = read_pins(pins_csv)
        self.on_uart_tx = [None, None]
        self.on_debug = None
        self.on_usb = None
        self.on_reset = []
        self.reset_count = 0
        self.tx_lost = [0, 0]           # bytes sent while the transmitter was disabled
        self.log_level = LogLevel.ERROR
        self.powered = False
        self.frozen = False             # the processor stands still until a reset: set it at will
        self._target_ns = 0
        self._reset_wanted = None       # None | "watchdog" | "off": done between two instructions
        self._pty = None

        self._core = emu_core.make(engine)
        self.engine = self._core.kind
        self.chip = self._core.chip
        self.clock = self.chip.clock
        self.chip.load_bootrom(BOOTROM_B1)
        self.chip.logger = ConsoleLogger(self.log_level)
        self._stop_alarm = self.clock.create_alarm(self._stop)
        self._stand_alarm = self.clock.create_alarm(self._stand_due)
        self._stand_due_us = _NEVER_US

        self.peer = peer
        library = emu_pio.library() if peer else None
        if peer and library is None:
            raise RuntimeError("no C compiler (cc) to build tools/pico/emu_pio.c with")
        emu_periph.install(self, flash_times, library)
        self.usb = None
        self._levels = {}
        for name in () if peer else OUTPUTS:
            if name in self.pins:
                pin = self.chip.gpio[self.pins[name]]
                pin.add_listener(self._watch(name, pin))
        self.debug_port = emu_periph.SoftUart(
            self, self.pins["DBG_TX"], self.pins["DBG_RX"], DEBUG_BAUD) \
            if not peer else None
        if flash is not None:
            self.set_flash_image(flash)
        if image_path is not None:
            self._load(image_path)
        if power:
            self.power(True)

    # -- time -----------------------------------------------------------------------------

    @property
    def now_us(self):
        """Microseconds since this bench was built (power cuts included)."""
        return int(self.clock.nanos // 1000)

    def run_until(self, us):
        """Run to *us*, a time on the scale of now_us. Returns now_us."""
        target_ns = us * 1000
        if self._pty is None:
            self._run_to(target_ns)
        else:
            while self.clock.nanos < target_ns:
                self._run_to(min(target_ns, self.clock.nanos + 1_000_000))
                self._pty.pump()
        self.stand.advance(self.now_us)
        self._after_stand()
        return self.now_us

    def run_for(self, us):
        return self.run_until(self.now_us + us)

    def _run_to(self, target_ns):
        clock = self.clock
        self._target_ns = target_ns
        while clock.nanos < target_ns:
            if not self.powered:
                clock.tick(target_ns - clock.nanos)
                break
            if self.frozen:
                clock.tick(min(target_ns - clock.nanos, _FROZEN_NS))
            else:
                self._stop_alarm.schedule(target_ns - clock.nanos)
                self._core.run()
                self._stop_alarm.cancel()
            if self._reset_wanted:
                cause, self._reset_wanted = self._reset_wanted, None
                if cause == "off":
                    self.power(False)
                else:
                    self._reset(cause)

    def _stop(self):
        self._core.stop()

    def stall_until(self, ns):
        """Let simulated time pass for a core that is only polling; never beyond run_until's
        target."""
        ns = min(ns, self._target_ns)
        if ns > self.clock.nanos:
            self._core.sync()
            self.clock.tick(ns - self.clock.nanos)
            self._core.retime()

    # -- supply, reset, flash ---------------------------------------------------------------

    def power(self, on):
        """Supply off (at this instant; flash keeps what was written) or on (cold boot)."""
        if on == self.powered:
            return
        if on:
            self.chip.sram[:] = b"\xa5" * len(self.chip.sram)
            self.powered = True
            self._reset("power")
        else:
            self.powered = False
            self._enter_reset("power")
            self._release_pins()

    def stop_clock(self, stopped):
        """The timer stands still, and with it all that the program knows of time, until a reset
        or until it is to go on. The processor runs."""
        if self.powered:
            self.chip.timer.stand_still(stopped)
            self._core.timer_changed()

    def reset(self):
        """Press the RUN pin's button."""
        if self.powered:
            self._reset("run")

    def want_reset(self, cause):
        self._reset_wanted = cause
        self._core.stop()

    def _enter_reset(self, cause):
        chip = self.chip
        chip.enter_reset(from_watchdog=cause == "watchdog")
        chip.watchdog.halt()
        if cause != "watchdog":
            chip.watchdog.reset()
            chip.vreg_and_chip_reset.record_reset_cause(HAD_RUN if cause == "run" else HAD_POR)

    def _reset(self, cause):
        self.frozen = False
        self._enter_reset(cause)
        self._release_pins()
        self.reset_count += 1
        self.sync_inputs()
        self.chip.leave_reset()
        self._core.reloaded()
        for hook in self.on_reset:
            hook(cause, self.now_us)

    def flash_image(self):
        """The whole flash, as bytes."""
        return bytes(self.chip.flash[:FLASH_BYTES])

    def set_flash_image(self, image):
        self.chip.flash[:len(image)] = image

    def cut_at_flash_op(self, count, torn=0.5):
        """Cut the supply within the *count*-th flash operation from now (1 = the next one), with
        the fraction *torn* of it done. 0: no cut."""
        self.chip.ssi.cut(count, torn)

    def set_bad_block(self, block):
        """The 4 KiB block of that number, counted from the start of the file system, takes
        nothing any more; None: all are good again."""
        self.chip.ssi.bad_at = -1 if block is None else self.storage_at + block * 4096

    def set_erase_ms(self, ms):
        """What an erase of 4 KiB takes from now on; None: as at the beginning."""
        self.chip.ssi.set_erase_ms(ms)

    @property
    def storage_at(self):
        """Where in the flash the file system begins; the records' ring comes after it."""
        return FLASH_MAP.FILES

    @property
    def records_at(self):
        """Where in the flash the records' ring begins."""
        return FLASH_MAP.RECORDS

    @property
    def flash_ops(self):
        """Erases and page programs since power-on of the bench."""
        return self.chip.ssi.op_count

    def _load(self, path):
        data = pathlib.Path(path).read_bytes()
        flash = self.chip.flash
        if str(path).endswith(".bin"):
            flash[:len(data)] = data
            return
        for at in range(0, len(data), 512):
            block = decode_block(data[at:at + 512])
            offset = block.flash_address - FLASH_START_ADDRESS
            flash[offset:offset + len(block.payload)] = block.payload

    # -- pins ---------------------------------------------------------------------------------

    def _watch(self, name, pin):
        def changed(state, _last):
            pin._driven = state <= GPIOPinState.HIGH            # the pad can be read back
            pin._raw_input_value = state == GPIOPinState.HIGH
            level = state == GPIOPinState.HIGH or state == GPIOPinState.INPUT_PULL_UP
            if state > GPIOPinState.HIGH and state != GPIOPinState.INPUT_PULL_UP:
                level = None            # not driven: the board's own pull decides
            self._set_level(name, level)
        return changed

    def _set_level(self, name, level):
        if level is not None:
            level = int(level)
        if self._levels.get(name) != level:
            self._levels[name] = level
            self._core.sync()
            self._tell(name, level)

    def _tell(self, name, level):
        self.stand.pin(name, level, self.now_us)
        if name == "CAN_CS":
            self.sync_inputs()          # INT follows what the transfer has done
        self._after_stand()

    def _release_pins(self):
        for name, level in list(self._levels.items()):
            if level is not None:
                self._set_level(name, None)

    def pin_level(self, name):
        """Level the controller drives (0, 1) or None while it does not drive the pin."""
        return self._levels.get(name)

    def sync_inputs(self):
        """Take the levels of the input pins from the stand."""
        for name in () if self.peer else INPUTS:
            if name in self.pins:
                pin = self.chip.gpio[self.pins[name]]
                level = bool(self.stand.pin_in(name))
                if not pin._driven or pin._raw_input_value != level:
                    pin.set_input_value(level)

    # -- the stand's own events -----------------------------------------------------------------

    def _after_stand(self):
        due = self.stand.next_event_us
        if callable(due):
            due = due()
        if due is None:
            due = _NEVER_US
        if due != self._stand_due_us:
            self._stand_due_us = due
            if due >= _NEVER_US >> 20:
                self._stand_alarm.cancel()
            else:
                self._stand_alarm.schedule(max(due * 1000 - self.clock.nanos, 0))
                self._core.retime()

    def _stand_due(self):
        self._stand_due_us = _NEVER_US
        now_us = self.now_us
        self.stand.advance(now_us)
        self.sync_inputs()
        due = self.stand.next_event_us
        due = due() if callable(due) else due
        if due is not None and due <= now_us:       # a stand that stays due must not stop time
            self._stand_due_us = due
            self._stand_alarm.schedule((now_us + 1) * 1000 - self.clock.nanos)
        else:
            self._after_stand()

    # -- serial lines ---------------------------------------------------------------------------

    def uart_feed(self, port, data, baud=None):
        """Bytes for UART *port* (0, 1), one after another from now, 10 bits each at *baud*
        (None: whatever the UART is set to)."""
        self.chip.uart[port].wire_feed(data, baud)

    def uart_baud(self, port):
        """The rate that UART *port* is set to, bit/s."""
        return self.chip.uart[port].baud()

    def uart_busy(self, port):
        """True while bytes given to uart_feed() are still on the wire."""
        return bool(self.chip.uart[port].wire)

    def uart_sent(self, port, byte, enabled):
        if not enabled:
            self.tx_lost[port] += 1
            return
        callback = self.on_uart_tx[port]
        if callback:
            callback(byte, self.now_us)

    def debug_feed(self, data):
        """Bytes for the RS232 debug port, one after another from now."""
        self.debug_port.feed(data)

    def debug_busy(self):
        return bool(self.debug_port.queue)

    # -- USB --------------------------------------------------------------------------------------

    def attach_usb(self):
        """Plug a USB host in. Without one MicroPython boots just the same and drops what it
        prints."""
        if self.usb is None:
            self.usb = emu_periph.UsbSerial(self)
        return self.usb

    def usb_send(self, data):
        self.attach_usb().send(data)

    def attach_pty(self):
        """Put the USB serial port on a pseudo-terminal; returns its path for mpremote."""
        if self._pty is None:
            self._pty = emu_periph.Pty(self)
        return self._pty.path

    def serve(self, seconds=None, speed=1.0, until=None):
        """Run at *speed* times real time, as far as the PC keeps up, for *seconds* of wall time
        or until *until()* is true."""
        begun = last = time.monotonic()
        owed_us = 0.0
        while until is None or not until():
            now = time.monotonic()
            if seconds is not None and now - begun >= seconds:
                return
            owed_us = min(owed_us + (now - last) * 1e6 * speed, 100_000)   # late: forget the rest
            last = now
            if owed_us >= 1000:
                step_us = int(min(owed_us, 5_000))
                self.run_for(step_us)
                owed_us -= step_us
            elif self._pty is not None:
                self._pty.wait(0.001)
            else:
                time.sleep(0.001)

    def exec_raw(self, source, timeout_ms=10_000):
        """Run Python *source* on the device through the raw REPL; returns (stdout, stderr)."""
        return emu_periph.RawRepl(self).exec(source, timeout_ms)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Boot a UF2 on an emulated Pico")
    parser.add_argument("image")
    parser.add_argument("--seconds", type=float, default=2.0, help="emulated seconds to run")
    parser.add_argument("--repl", action="store_true", help="serve the REPL on a pseudo-terminal")
    parser.add_argument("--run", metavar="FILE", help="run a script through the raw REPL")
    parser.add_argument("--engine", default="auto", choices=("auto", "c", "py"))
    args = parser.parse_args(argv)
    start = time.monotonic()
    pico = EmulatedPico(args.image, engine=args.engine)
    if args.repl:
        print("mpremote connect", pico.attach_pty(), flush=True)
        try:
            pico.serve()
        except KeyboardInterrupt:
            return 0
    pico.attach_usb()
    pico.on_usb = lambda data: os.write(1, bytes(data))
    if args.run:
        pico.run_for(100_000)
        with open(args.run, encoding="utf-8") as file:
            out, err = pico.exec_raw(file.read(), int(args.seconds * 1000))
        print(out.decode() + err.decode(), end="")
    else:
        while not pico.usb.connected and pico.now_us < args.seconds * 1e6:
            pico.run_for(1000)
        pico.usb_send(b"\r\n")          # what was printed before comes out with the prompt
        pico.run_until(max(int(args.seconds * 1e6), pico.now_us))
    wall = time.monotonic() - start
    print("\n%.3f s emulated in %.2f s, engine %s, %d cycles busy" % (
        pico.now_us / 1e6, wall, pico.engine, pico._core.busy_cycles()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
