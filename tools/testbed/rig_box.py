"""Targets with a box (tools/packbox) on the controller's pins: both emulated, or both real.

    rp2040+box              the UF2 of the product and the UF2 of the box, wired pin by pin
    serial:<port>, stimulus a real board and a real box

What a bench with a box cannot do is refused by name.
"""

import os

import rooms
from box_bench import BoxBench, bf, right_box
from rig_targets import PicoTarget, TargetError, find_uf2, make_stand

BOX_PINS_CSV = rooms.ROOT / "boards" / "PACKBOX_PICO" / "pins.csv"
# faults of the models that the box shows itself
_SHOWN = ("afe_silent", "afe_stuck_low", "afe_stuck_high", "afe_crc", "afe_bothoff")
# what the box answers faster than any chip, or not at all
_NOT_ON_A_BOX = {
    "afe_late_ms": "the box answers each frame in the next one",
    "afe_latency_us": "the box answers each frame in the next one",
}
_UARTS = ("pcs", "parallel")
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
        for kind, why in _NOT_ON_A_BOX.items():
            if faults.get(kind) is not None:
                raise TargetError(f"not controllable: fault {kind} ({why})")
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
        own = {kind: faults.pop(kind) for kind in (
            "flash_full", "supply_dip_ms", "cut_at_flash_op", "torn", "flash_bad_block",
            "flash_erase_ms", "mcu_frozen", "mcu_clock_stopped") if kind in faults}
        if own:
            raise TargetError("not controllable: fault " + ", ".join(own)
                              + " (a real board's flash, clock and supply are its own)")
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

    def close(self):
        self._pico = self._box = self._wires = None
