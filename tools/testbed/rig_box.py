"""Targets with a box (tools/packbox) on the controller's pins: both emulated, or both real.

    rp2040+box              the UF2 of the product and the UF2 of the box, wired pin by pin
    serial:<port>, stimulus a real board and a real box

What a bench with a box cannot do is refused by name.
"""

import csv
import os
import threading
import time

import rooms
from box_bench import BoxBench, bf, right_box
from packctl import errors
from rig_targets import PicoTarget, SerialTarget, TargetError, find_uf2, make_stand

BOX_PINS_CSV = rooms.ROOT / "boards" / "PACKBOX_PICO" / "pins.csv"
# faults of the models that the box shows itself
_SHOWN = ("afe_silent", "afe_stuck_low", "afe_stuck_high", "afe_crc", "afe_bothoff")
# what the box answers faster than any chip, or not at all
_NOT_ON_A_BOX = {
    "afe_late_ms": "the box answers each frame in the next one",
    "afe_latency_us": "the box answers each frame in the next one",
}
_BOARDS_OWN = ("flash_full", "supply_dip_ms", "cut_at_flash_op", "torn", "flash_bad_block",
               "flash_erase_ms", "mcu_frozen", "mcu_clock_stopped")
_UARTS = ("pcs", "parallel")
_HELLO_S = 3.0                  # until a box has said what it is
_SILENT_S = 1.5                 # a box that says nothing for so long is gone
_SIGNS_S = 3.0                  # after a reset: by then each bus has been used
_BOOT_LIMIT_US = 3_000_000


def box_uf2():
    """The box's image, built if need be: PACKBOX_UF2 names another one."""
    import toolchain
    own = os.environ.get("PACKBOX_UF2")
    if own:
        return own
    try:
        return str(toolchain.firmware(board="PACKBOX_PICO").uf2)
    except toolchain.ToolchainError as error:
        raise TargetError(str(error)) from None


def box_pins():
    """{signal: GPIO} of the box."""
    with open(BOX_PINS_CSV, newline="", encoding="ascii") as rows:
        return {row[0]: int(row[1][4:]) for row in csv.reader(rows)
                if len(row) >= 2 and not row[0].startswith("#")}


def check_faults(faults):
    """TargetError with the names of the faults that no bench with a box has."""
    for kind, why in _NOT_ON_A_BOX.items():
        if faults.get(kind) is not None:
            raise TargetError(f"not controllable: fault {kind} ({why})")
    own = [kind for kind in _BOARDS_OWN if kind in faults]
    if own:
        raise TargetError("not controllable: fault " + ", ".join(own)
                          + " (a real board's flash, clock and supply are its own)")


def set_models(bench, values):
    """`set` for the models behind a box."""
    faults = values.get("fault") or {}
    try:
        bench.stand.set(values, bench.t_us)
    except ValueError as error:
        raise TargetError(str(error)) from None
    if any(kind in faults for kind in _SHOWN):
        bench.faults_changed()
    if {"afe_brownout", "afe_config_lost"} & set(faults):
        bench.put_memory()
    bench.outputs()
    bench.push(force=True)


class EmulatedPair(PicoTarget):
    """Both Picos emulated. The box has the models' cells and AFE on its pins; CAN controller and
    clock chip are parts of the bench, as in docs/hil.md."""

    chunk_us = long_chunk_us = 20_000

    def __init__(self, stand, image=None, on=True, box_image=None):
        from emulator import EmulatedPico
        from wires import STEP_US, Wires
        self._step_us = STEP_US
        self.crash = None
        self.behind_bar = None
        self._dip_end_us = None
        self._begun = (0, [])
        self._sent = []
        self._chips = make_stand({**stand, "rtc": stand.get("rtc")})
        self._box = EmulatedPico(box_image or box_uf2(), pins_csv=BOX_PINS_CSV, peer=True)
        self._from_box = bytearray()
        self._box.on_usb = self._from_box.extend
        self._box.attach_usb()
        self._wires = Wires(self._box, self._chips)
        self._bench = BoxBench(make_stand(stand), self._box.usb.send, self._uart_heard)
        self._start_box()
        self._pico = EmulatedPico(image or find_uf2(), stand=self._wires, power=False)
        self._pico.run_until(self._box.now_us)
        self._wires.join(self._pico)
        for number in range(len(_UARTS)):
            self._pico.on_uart_tx[number] = self._to_box(number)
            self._box.on_uart_tx[number] = self._from_box_uart(number)
        self._pico.on_debug = self._heard("debug")
        self._zero_us = self._pico.now_us
        # from the bench's time to ours
        self._bench_ms = (self._bench.zero_us - self._zero_us) / 1000
        if on:
            self.power(True)

    # -- the box

    def _start_box(self):
        """Wait until the box says what it is, and tell it all that it has to know."""
        box, bench = self._box, self._bench
        while box.now_us < _BOOT_LIMIT_US and not box.usb.connected:
            box.run_for(1_000)
        box.run_for(200_000)
        while box.now_us < _BOOT_LIMIT_US and bench.identity is None:
            bench.message(bf.HELLO)
            box.run_for(20_000)
            self._pump()
        if bench.identity is None:
            raise TargetError("the box does not answer on its USB port")
        wrong = right_box(bench.identity)
        if wrong:
            raise TargetError(wrong)
        bench.start()
        for _ in range(4):
            box.run_for(10_000)
            self._pump()
            bench.push(force=True)

    def _pump(self):
        if self._from_box:
            data = bytes(self._from_box)
            self._from_box.clear()
            self._bench.feed(data)

    def _to_box(self, number):
        def heard(byte, now_us):
            self._wires.bring()
            self._box.chip.uart[number].feed_byte(byte)
        return heard

    def _from_box_uart(self, number):
        def sent(byte, now_us):
            self._pico.chip.uart[number].feed_byte(byte)
        return sent

    def _uart_heard(self, port, data):
        now_us, baud = self._pico.now_us, self._pico.uart_baud(port)
        self._sent.extend((_UARTS[port], now_us, byte, baud) for byte in data)

    # -- time

    def run(self, us, feeds):
        for port, _delay_us, data, _baud in feeds:
            if port in _UARTS:
                number = _UARTS.index(port)
                for at in range(0, len(data), 56):
                    self._bench.message(bf.UART, bytes((number,)) + data[at:at + 56])
        direct = [feed for feed in feeds if feed[0] not in _UARTS]
        self._stand = self._chips           # whose CAN bus it is
        return [(port, at_us - self._zero_us, data, baud)
                for port, at_us, data, baud in super().run(us, direct)]

    @property
    def t_us(self):
        return self._pico.now_us - self._zero_us

    def _run_until(self, us):
        pico, wires = self._pico, self._wires
        while pico.now_us < us:
            pico.run_until(min(us, pico.now_us + self._step_us))
            wires.bring()
            if wires.from_box():
                pico.sync_inputs()
            self._pump()
            self._bench.push()

    # -- the rig's commands

    def set(self, values):
        values = dict(values)
        faults = dict(values.get("fault") or {})
        check_faults(faults)
        chips = {name: values[name] for name in ("rst", "dip", "clock") if name in values}
        of_chips = {kind: faults.pop(kind) for kind in list(faults)
                    if kind.startswith(("can_", "rtc_"))}
        if of_chips:
            chips["fault"] = of_chips
        values.pop("clock", None)
        if "fault" in values:
            values["fault"] = faults
        bench = self._bench
        try:
            if chips:
                self._chips.set(chips, self._pico.now_us)
        except ValueError as error:
            raise TargetError(str(error)) from None
        self._stand = bench.stand
        set_models(bench, values)
        self._models_changed()

    def _models_changed(self):
        self._pico.sync_inputs()

    def state(self):
        stand = self._bench.stand
        return stand.wire(self._bench.t_us), stand.truth()

    def edges(self, since_us):
        since_ms = since_us / 1000
        return [[t_ms + self._bench_ms, signal, value]
                for t_ms, signal, value in self._bench.stand.edges(0)
                if t_ms + self._bench_ms >= since_ms]

    def power(self, on):
        self._dip_end_us = None
        if on != self._pico.powered:
            self._bench.supply = on
            self._bench.outputs()
            self._bench.stand.power(on, self._bench.t_us)
            self._chips.power(on, self._pico.now_us)
            self._pico.power(on)
            self._models_changed()

    def reset(self):
        if self._pico.powered:
            self._bench.stand.reset(self._bench.t_us)
            self._chips.reset(self._pico.now_us)
            self._pico.reset()
            self._models_changed()

    def verdict(self):
        """None, or the sentence that names a wrong wire, from what the box has seen so far."""
        return self._bench.signs.verdict(self._box.pins)

    def close(self):
        self._pico = self._box = self._wires = None


# -- a real board and a real box -----------------------------------------------------------------


def greet(stream, name, patience_s=_HELLO_S):
    """What the box at the open port *stream* says of itself; TargetError if it is none."""
    parser = bf.Parser()
    end = time.monotonic() + patience_s
    heard = b""
    while time.monotonic() < end:
        stream.write(bf.framed(bf.HELLO))
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            data = stream.read()
            heard = (heard + data)[-200:]
            for kind, payload in parser.feed(data):
                if kind == bf.IS:
                    text = payload.decode("ascii", "replace")
                    wrong = right_box(text)
                    if wrong:
                        raise TargetError(f"the bench: {wrong}")
                    return text
    if heard:
        raise TargetError(f"the bench: what is at {name} is no box (it says "
                          f"{heard[-40:].decode('ascii', 'replace')!r}); flash the box's image")
    raise TargetError(f"the bench: no box answers at {name}; is it plugged in, and flashed?")


def find_boxes(names, open_port):
    """The ports among *names* at which a box answers."""
    found = []
    for name in names:
        try:
            stream = open_port(name)
        except errors.PackError:
            continue
        try:
            greet(stream, name, 0.6)
            found.append(name)
        except (TargetError, errors.PackError):
            pass
        finally:
            stream.close()
    return found


def only_box(names, open_port):
    """The port of the one box that there is."""
    found = find_boxes(names, open_port)
    if not found:
        raise TargetError("the bench: no box answers at any serial port of this computer")
    if len(found) > 1:
        raise TargetError(f"the bench: {len(found)} boxes answer, at {' and '.join(found)}; name "
                          "the one that is wired to the board: BOX=<port>")
    return found[0]


class SerialBox(SerialTarget):
    """A real board on its debug port, with a real box on its pins.

    A thread keeps the models and the box together, whatever the caller does meanwhile.
    """

    boxed = True
    answer_us = 0

    def __init__(self, port, stimulus, stand, open_port=None):
        from packctl.link import open_serial
        open_port = open_port or open_serial
        self.name = stimulus
        self._error = None              # None | why the box is of no use any more
        self._ended = False
        self._lock = threading.RLock()
        self._sent = []
        self._box = self._stream = None
        self._boots = 0
        self._base_us = 0
        try:
            self._box = open_port(stimulus)
            self.identity = greet(self._box, stimulus)
            self._bench = BoxBench(make_stand(stand), self._box.write, self._uart_heard)
            self._bench.start()
            self._heard_s = time.monotonic()
            self._thread = threading.Thread(target=self._keep_up, daemon=True)
            self._thread.start()
            self.reset()
            super().__init__(port)
        except errors.PackError as error:
            self.close()
            raise TargetError(f"the bench: {error}") from None
        except BaseException:
            self.close()
            raise
        self._base_us = self._bench.t_us

    # -- together with the box

    def _keep_up(self):
        try:
            while not self._ended:
                data = self._box.read()
                with self._lock:
                    if data:
                        self._heard_s = time.monotonic()
                        self._bench.feed(data)
                    elif time.monotonic() - self._heard_s > _SILENT_S:
                        self._error = (f"the bench: the box at {self.name} says nothing any more; "
                                       "is its USB cable unplugged?")
                        return
                    self._bench.push()
        except errors.PackError as error:
            if not self._ended:
                self._error = f"the bench: the box at {self.name} is gone: {error}"
        except Exception as error:      # a mistake here must not look like one of the board
            self._error = f"the bench: {error!r}"

    def _checked(self):
        if self._error is not None:
            raise TargetError(self._error)
        return self._bench

    def _uart_heard(self, port, data):
        self._sent.append((_UARTS[port], self.t_us, data, None))

    @property
    def t_us(self):
        return self._bench.t_us - self._base_us

    @property
    def boots(self):
        return self._boots

    @boots.setter
    def boots(self, value):
        self._boots = value

    def run(self, us, feeds):
        end_us = self.t_us + us
        with self._lock:
            for port, _delay_us, data, _baud in feeds:
                for at in range(0, len(data), 56):
                    self._checked().message(
                        bf.UART, bytes((_UARTS.index(port),)) + data[at:at + 56])
        while self.t_us < end_us:
            self._checked()
            time.sleep(min(0.02, max(0.001, (end_us - self.t_us) / 1e6)))
        with self._lock:
            sent, self._sent = self._sent, []
        return sent

    # -- the rig's commands

    def set(self, values):
        bench = self._checked()
        faults = values.get("fault") or {}
        check_faults(faults)
        by_hand = [name for name in ("rst", "dip", "clock") if name in values]
        by_hand += [name for name in values if name.startswith("rs485_")]
        by_hand += [f"fault {kind}" for kind in faults if kind.startswith(("can_", "rtc_"))]
        if by_hand:
            raise TargetError(f"not controllable: {', '.join(by_hand)} (the box has no part for "
                              "it; switches, clock and CAN controller are real ones)")
        with self._lock:
            set_models(bench, values)

    def state(self):
        bench = self._checked()
        with self._lock:
            return bench.stand.wire(bench.t_us), bench.stand.truth()

    def edges(self, since_us):
        bench = self._checked()
        base_ms = self._base_us / 1000
        with self._lock:
            return [[t_ms - base_ms, signal, value]
                    for t_ms, signal, value in bench.stand.edges(since_us + self._base_us)]

    def power(self, on):
        if not os.environ.get("PACKCTL_SUPPLY"):
            raise TargetError("not controllable: power (no transistor in the board's supply; "
                              "where one is fitted to the box's GP12, set PACKCTL_SUPPLY=1)")
        with self._lock:
            bench = self._checked()
            bench.supply = on
            bench.stand.power(on, bench.t_us)
            bench.outputs()
            self._boots += on

    def reset(self):
        with self._lock:
            bench = self._checked()
            bench.reset_held = True
            bench.outputs()
            bench.stand.reset(bench.t_us)
        time.sleep(0.05)
        with self._lock:
            bench.reset_held = False
            bench.signs.__init__()
            bench.outputs()
            self._boots += 1
        self._reset_s = time.monotonic()

    def verdict(self):
        """None, or the sentence that names a wrong wire, as soon as enough was seen."""
        self._checked()
        time.sleep(max(0.0, self._reset_s + _SIGNS_S - time.monotonic()))
        with self._lock:
            return self._checked().signs.verdict(box_pins())

    def close(self):
        self._ended = True
        if self._box is not None:
            self._box.close()
        if self._stream is not None:
            super().close()
