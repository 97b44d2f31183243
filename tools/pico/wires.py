"""Two emulated Picos, pin by pin: a controller and the box that plays the pack (tools/packbox).

The controller's clock leads. Whatever changes on a wire is brought to the box at that time: the
box's processor is run up to it first, then its pin moves. Bits on an SPI bus go edge by edge
through the box's PIO (emu_pio.py). What the box puts on a wire is seen by the controller at the
end of a step of STEP_US at the latest.

A wire that is missing or in the wrong hole is a line of `routes`: {signal of the controller:
signal of the box where it arrives, or None}.
"""

from emulator import NoStand
from rp2040py.gpio_pin import GPIOPinState

STEP_US = 2_000
_PULLED_UP = ("AFE_CS", "CAN_CS")
_HIGH = (GPIOPinState.HIGH, GPIOPinState.INPUT_PULL_UP)
_HALF = 62                          # clocks of half a bit at 1 MHz
# from the controller to the box; the two buses apart
OUTWARD = ("AFE_CS", "AFE_BOTHOFF", "LIMITER", "BUZZER", "DO1", "DO2", "PCS_DE", "PAR_DE",
           "HEARTBEAT", "LAMP_RCLK", "CAN_CS")


class Wires(NoStand):
    """The stand of *controller*, in front of *box*; both are EmulatedPicos.

    chips   who answers what is not the box's: CAN controller (spi), and I2C parts
    fed_us  when the controller's watchdog was fed last, None: never; as the emulator sees it, no
            bench does
    """

    def __init__(self, box, chips):
        self.box = box
        self.controller = None
        self.chips = chips
        self.routes = {}
        self._offset_ns = 0
        self._rocker = 1
        self._running = False
        self._at = {}                   # level of each outward signal
        self._masks()

    def join(self, controller):
        """Both clocks stand now; from here on they go together."""
        self.controller = controller
        self._offset_ns = self.box.clock.nanos - controller.clock.nanos
        for name in OUTWARD:
            self._arrive(name, int(name in _PULLED_UP))

    def reroute(self, routes):
        """Change what is plugged where; an input of the box with no wire falls to its pull."""
        self.routes = dict(routes)
        self._masks()
        for name in OUTWARD:
            if name not in routes.values():
                self._drive(name, int(name in _PULLED_UP))
        for name in OUTWARD:
            self._arrive(name, self._at.get(name, int(name in _PULLED_UP)))

    def _to(self, name):
        name = self.routes.get(name, name)
        return None if name is None else self.box.pins[name]

    def _masks(self):
        def mask(name):
            pin = self._to(name)
            return 0 if pin is None else 1 << pin

        self._afe = mask("AFE_SCK"), mask("AFE_MOSI"), mask("AFE_MISO")
        self._aux = mask("AUX_SCK"), mask("AUX_MOSI"), 0

    # -- time

    def bring(self, controller_ns=None):
        """Run the box up to the controller's time."""
        if self.controller is None or self._running:
            return
        now = self.controller.clock.nanos if controller_ns is None else controller_ns
        self._running = True
        try:
            if now + self._offset_ns > self.box.clock.nanos:
                self.box._run_to(now + self._offset_ns)
        finally:
            self._running = False

    def box_us(self, controller_us):
        """The box's time at the controller's *controller_us*."""
        return controller_us + self._offset_ns / 1000

    # -- what the controller does

    def pin(self, name, level, now_us):
        if name not in OUTWARD:
            return
        if level is None:
            level = int(name in _PULLED_UP)
        self.bring()
        if name == "CAN_CS" or name == "LAMP_RCLK":
            self.chips.pin(name, level, now_us)
        self._arrive(name, level)

    def _arrive(self, name, level):
        self._at[name] = level
        target = self.routes.get(name, name)
        if target is not None:
            self._drive(target, level)

    def _drive(self, name, level):
        pin = self.box.pins[name]
        chip = self.box.chip
        gpio = chip.gpio[pin]
        if not gpio._driven or gpio._raw_input_value != bool(level):
            gpio.set_input_value(bool(level))
        for pio in chip.pio:
            pio.input(pin, level)

    def spi(self, bus, byte, now_us):
        pios = self.box.chip.pio
        if bus:
            sck, mosi, _ = self._aux
            pios[1].spi(sck, mosi, 0, byte, 8, _HALF)
            return self.chips.spi(bus, byte, now_us)
        sck, mosi, miso = self._afe
        pios[1].spi(sck, mosi, 0, byte, 8, _HALF)
        if not miso:
            pios[0].spi(sck, mosi, 0, byte, 8, _HALF)
            return 0xFF                 # nobody drives the controller's pin
        pin = self.box.chip.gpio[miso.bit_length() - 1]
        read = pios[0].spi(sck, mosi, miso, byte, 8, _HALF)
        override = pin.ctrl >> 8 & 3
        return read if override < 2 else 0xFF if override == 3 else 0

    def pin_in(self, name):
        if name == "ROCKER":
            return self._rocker
        return self.chips.pin_in(name)

    def i2c_write(self, addr, data, now_us):
        return self.chips.i2c_write(addr, data, now_us)

    def i2c_read(self, addr, count, now_us):
        return self.chips.i2c_read(addr, count, now_us)

    def wdt_fed(self, now_us):
        self.chips.wdt_fed(now_us)

    # -- what the box does

    def level_from_box(self, name):
        """What the box drives on a pin: 0, 1, or None."""
        state = self.box.chip.gpio[self.box.pins[name]].value
        return None if state > GPIOPinState.HIGH else int(state == GPIOPinState.HIGH)

    def from_box(self):
        """Take over what the box drives; True if the controller's inputs changed."""
        target = next((box for box in ("ROCKER",) if self.routes.get(box, box) == box), None)
        level = 0 if target is None else self.level_from_box("ROCKER") or 0
        changed, self._rocker = level != self._rocker, level
        return changed
