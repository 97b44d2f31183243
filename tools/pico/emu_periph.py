"""Peripherals of the emulated RP2040 where rp2040py's own are too simple for this bench.

install() puts them into a chip that was built already; emulator.py is the only user.
"""

import collections
import contextlib
import os
import select
import tty

import emu_pio
from mocks.uart_wave import heard_at
from rp2040py.gpio_pin import GPIOPinState
from rp2040py.peripherals import _pio
from rp2040py.peripherals.i2c import RPI2C
from rp2040py.peripherals.pio_registers import CTRL
from rp2040py.peripherals.spi import RPSPI
from rp2040py.peripherals.ssi import (
    CMD_BLOCK_ERASE,
    CMD_PAGE_PROGRAM,
    CMD_READ_STATUS_1,
    CMD_SECTOR_ERASE,
    RPSSI,
)
from rp2040py.peripherals.timer import ALARM_REGS, ALARM0, RPTimer
from rp2040py.peripherals.uart import RPUART
from rp2040py.peripherals.watchdog import FORCE, TRIGGER, RPWatchdog
from rp2040py.usb.cdc import USBCDC
from rp2040py.utils.fifo import FIFO


def install(pico, flash_times, compiled_pio=None):
    """Replace the peripherals of *pico*.chip that this module improves.

    compiled_pio  None | the library of emu_pio.py, for programs that wait for pins
    """
    chip = pico.chip
    bases = {id(block): base for base, block in chip.peripherals.items()}

    def place(block, old):
        chip.peripherals[bases[id(old)]] = block
        return block

    for n in (0, 1):
        old = chip.uart[n]
        chip.uart[n] = place(BenchUart(pico, n, old), old)
        old = chip.spi[n]
        chip.spi[n] = place(BenchSpi(pico, n, old), old)
        old = chip.i2c[n]
        chip.i2c[n] = place(BenchI2c(pico, n == 1, old), old)
        old = chip.pio[n]
        chip.pio[n] = place(AlarmPio(pico, old) if compiled_pio is None
                            else emu_pio.CompiledPio(pico, old, compiled_pio), old)
    old = chip.watchdog
    chip.watchdog = place(BenchWatchdog(pico, old.name), old)
    old = chip.timer
    chip.timer = place(BenchTimer(chip, old.name), old)
    chip.qspi[1]._listeners.clear()
    old = chip.ssi
    chip.ssi = place(TimedFlash(pico, old.name, flash_times), old)


# -- UART -----------------------------------------------------------------------------------------

_DR, _RSR, _FR, _IBRD, _FBRD, _LCR_H = 0x00, 0x04, 0x18, 0x24, 0x28, 0x2C
_CR, _IFLS, _IMSC, _RIS, _MIS, _ICR, _DMACR = 0x30, 0x34, 0x38, 0x3C, 0x40, 0x44, 0x48
_FR_TXFE, _FR_RXFF, _FR_TXFF, _FR_RXFE, _FR_BUSY = 1 << 7, 1 << 6, 1 << 5, 1 << 4, 1 << 3
_INT_RX, _INT_TX, _INT_RT, _INT_OE = 1 << 4, 1 << 5, 1 << 6, 1 << 10
_DR_OE = 1 << 11
_LEVELS = (4, 8, 16, 24, 28)            # FIFO trigger levels, TRM table 3-13, of 32
_IFLS_RESET = 0x12


class BenchUart(RPUART):
    """PL011 with its FIFOs, its time on the wire and its interrupts.

    Like the silicon: TX interrupt when the FIFO *falls to* its level, RX interrupt when it rises
    to its level, receive timeout 32 bit times after the last byte if any is left.
    """

    def __init__(self, pico, number, old):
        self.pico = pico
        self.number = number
        self.tx_fifo = collections.deque()
        self.rx_queue = collections.deque()
        self.wire = collections.deque()         # (byte, bit time in ns) still to arrive
        self._shifting = None
        self._enabled_at_start = False
        self._overrun = False
        clock = pico.clock
        self._tx_alarm = clock.create_alarm(self._tx_done)
        self._rt_alarm = clock.create_alarm(self._rx_timeout)
        self._wire_alarm = clock.create_alarm(self._wire_byte)
        super().__init__(pico.chip, old.name, old.irq, old.dreq)
        self._ifls = _IFLS_RESET
        self._dmacr = 0
        de_name = ("PCS_DE", "PAR_DE")[number]
        self._de_name = de_name if de_name in pico.pins and not pico.peer else None

    def reset(self):
        """Registers to power-on; a byte half sent is lost, the far end keeps sending."""
        super().reset()
        self.tx_fifo.clear()
        self.rx_queue.clear()
        self._shifting = None
        self._overrun = False
        self._ifls = _IFLS_RESET
        self._dmacr = 0
        self._tx_alarm.cancel()
        self._rt_alarm.cancel()
        self._update_dreq()

    # timing

    def _bit_ns(self):
        divisor = self._int_divisor * 64 + self._frac_divisor
        if not divisor:
            return 1e9 / 9600
        return divisor * 16 * 1e9 / 64 / self.rp2040.clk_peri

    def _frame_bits(self):
        lcr = self._line_ctrl_register
        return 1 + self.word_length + (1 if lcr & 2 else 0) + (2 if lcr & 8 else 1)

    @property
    def _depth(self):
        return 32 if self.fifos_enabled else 1

    # transmitter

    def _tx_level(self):
        return _LEVELS[min(self._ifls & 7, 4)] if self.fifos_enabled else 0

    def _de(self):
        return self._de_name is None or self.pico.pin_level(self._de_name) == 1

    def _tx_start(self):
        if self._shifting is None and self.tx_fifo and self.enabled and self.tx_enabled:
            self._shifting = self.tx_fifo.popleft()
            self._enabled_at_start = self._de()
            self._tx_alarm.schedule(round(self._frame_bits() * self._bit_ns()))
            if len(self.tx_fifo) == self._tx_level():
                self._interrupt_status |= _INT_TX
            self._update_dreq()

    def _tx_done(self):
        byte, self._shifting = self._shifting, None
        self._tx_start()
        self.check_interrupts()
        self.pico.uart_sent(self.number, byte, self._enabled_at_start and self._de())

    # receiver

    def _rx_level(self):
        return _LEVELS[min(self._ifls >> 3 & 7, 4)] if self.fifos_enabled else 1

    def baud(self):
        return round(1e9 / self._bit_ns())

    def wire_feed(self, data, baud=None):
        bit_ns = None
        if baud:
            heard = heard_at(data, baud, self.baud())
            if not heard:
                return
            bit_ns = 1e9 / baud * len(data) / len(heard)
            data = heard
        idle = not self.wire
        self.wire.extend((byte, bit_ns) for byte in data)
        if idle and self.wire:
            self._wire_next()

    def _wire_next(self):
        bit_ns = self.wire[0][1] or self._bit_ns()
        self._wire_alarm.schedule(round(10 * bit_ns))
        self.pico._core.retime()

    def _wire_byte(self):
        byte = self.wire.popleft()[0]
        if self.wire:
            self._wire_next()
        if self.pico.powered:
            self.feed_byte(byte)

    def feed_byte(self, value):
        """A byte has just arrived, stop bit and all."""
        if not (self.enabled and self.rx_enabled):
            return
        if len(self.rx_queue) >= self._depth:
            self._overrun = True
            self._interrupt_status |= _INT_OE
        else:
            self.rx_queue.append(value | (_DR_OE if self._overrun else 0))
            self._overrun = False
            if len(self.rx_queue) == self._rx_level():
                self._interrupt_status |= _INT_RX
        self._rt_alarm.schedule(round(32 * self._bit_ns()))
        self._update_dreq()
        self.check_interrupts()

    def _rx_timeout(self):
        if self.rx_queue:
            self._interrupt_status |= _INT_RT
            self.check_interrupts()

    def _read_dr(self):
        if not self.rx_queue:
            return 0
        value = self.rx_queue.popleft()
        if len(self.rx_queue) < self._rx_level():
            self._interrupt_status &= ~_INT_RX
        if not self.rx_queue:
            self._interrupt_status &= ~_INT_RT
            self._rt_alarm.cancel()
        self._update_dreq()
        self.check_interrupts()
        return value

    # registers

    @property
    def flags(self):
        return (
            (0 if self.tx_fifo else _FR_TXFE)
            | (_FR_TXFF if len(self.tx_fifo) >= self._depth else 0)
            | (0 if self.rx_queue else _FR_RXFE)
            | (_FR_RXFF if len(self.rx_queue) >= self._depth else 0)
            | (_FR_BUSY if self.tx_fifo or self._shifting is not None else 0)
        )

    def check_interrupts(self):
        self.rp2040.set_interrupt(self.irq, bool(self._interrupt_status & self._interrupt_mask))

    def _update_dreq(self):
        dma = self.rp2040.dma
        tx = self.enabled and self._dmacr & 2 and len(self.tx_fifo) < self._depth
        rx = self._dmacr & 1 and self.rx_queue
        (dma.set_dreq if tx else dma.clear_dreq)(self.dreq.tx)
        (dma.set_dreq if rx else dma.clear_dreq)(self.dreq.rx)

    def read_uint32(self, offset):
        if offset == _DR:
            return self._read_dr()
        if offset == _RSR:
            return 0
        if offset == _IFLS:
            return self._ifls
        if offset == _DMACR:
            return self._dmacr
        return super().read_uint32(offset)

    def write_uint32(self, offset, value):
        if offset == _DR:
            if len(self.tx_fifo) < self._depth:
                self.tx_fifo.append(value & 0xFF)
                if len(self.tx_fifo) > self._tx_level():
                    self._interrupt_status &= ~_INT_TX
                self._tx_start()
                self._update_dreq()
                self.check_interrupts()
        elif offset == _RSR:
            pass
        elif offset == _CR:
            self._ctrl_register = value
            self._tx_start()
            self._update_dreq()
        elif offset == _IFLS:
            self._ifls = value & 0x3F
        elif offset == _DMACR:
            self._dmacr = value & 7
            self._update_dreq()
        else:
            super().write_uint32(offset, value)


# -- SPI ------------------------------------------------------------------------------------------

_SSPSR = 0x0C
_INT_TX_HALF, _INT_RX_HALF = 1 << 3, 1 << 2
_POLLS_BEFORE_STALL = 2


class BenchSpi(RPSPI):
    """SPI whose bytes take their time and are answered by the stand."""

    def __init__(self, pico, bus, old):
        self.pico = pico
        self.bus = bus
        self._done = pico.clock.create_alarm(self._complete)
        self._byte = 0
        self._due_ns = 0
        self._polls = 0
        self._dreqs = None
        super().__init__(pico.chip, old.name, old.irq, old.dreq)
        self.on_transmit = self._transmit

    def reset(self):
        self._done.cancel()
        self._dreqs = None
        super().reset()

    def _transmit(self, value):
        self._byte = value
        took_ns = round(self.data_bits * 1e9 / (self.clock_frequency or 1_000_000))
        self._due_ns = self.pico.clock.nanos + took_ns
        self._done.schedule(took_ns)

    def _complete(self):
        self._polls = 0
        pico = self.pico
        answer = pico.stand.spi(self.bus, self._byte & 0xFF, pico.now_us)
        pico._after_stand()
        self.complete_transmit(answer & 0xFF)

    def read_uint32(self, offset):
        if offset == _SSPSR:
            # A core that asks again and again while a byte is on its way is only waiting:
            # let the byte arrive instead of emulating the loop.
            self._polls += 1
            if self._polls > _POLLS_BEFORE_STALL and self._busy:
                self.pico.stall_until(self._due_ns)
            rx, tx = self.rx_fifo._used, self.tx_fifo._used
            return ((16 if self._busy or tx else 0) | (8 if rx == 8 else 0) | (4 if rx else 0)
                    | (2 if tx < 8 else 0) | (0 if tx else 1))
        self._polls = 0
        return super().read_uint32(offset)

    def _fifos_updated(self):           # the base class's, which takes most of a transfer's time
        rx, tx = self.rx_fifo._used, self.tx_fifo._used
        raw = self._int_raw & ~(_INT_TX_HALF | _INT_RX_HALF)
        self._int_raw = (raw | (_INT_TX_HALF if tx <= 4 else 0)
                         | (_INT_RX_HALF if rx >= 4 else 0))
        if self._int_enable:
            self.check_interrupts()
        dreqs = tx < 8, rx > 0
        if dreqs != self._dreqs:
            self._dreqs = dreqs
            self._update_dma_tx()
            self._update_dma_rx()

    def write_uint32(self, offset, value):
        self._polls = 0
        super().write_uint32(offset, value)


# -- I2C ------------------------------------------------------------------------------------------

_TX_EMPTY_CTRL = 1 << 8
_R_TX_EMPTY = 1 << 4
_RAW_INTR_STAT, _STATUS, _RXFLR = 0x34, 0x70, 0x78


class BenchI2c(RPI2C):
    """I2C master with bus time; addresses are answered or refused by the stand.

    The stand gets i2c_write(addr, b"") to ask whether an address answers to a write, then the
    data of the whole write at its stop or repeated start; i2c_read(addr, 1) for every byte read.
    """

    def __init__(self, pico, connected, old):
        self.pico = pico
        self.connected = connected              # only I2C1 is wired on this board
        self._step = pico.clock.create_alarm(self._next_step)
        self._then = None
        self._due_ns = 0
        self._written = None                    # bytearray while a write is under way
        self._ahead = None                      # first byte of a read, fetched with its address
        self._polls = 0
        super().__init__(pico.chip, old.name, old.irq)
        self.on_start = self._start
        self.on_connect = self._connect
        self.on_write_byte = self._write_byte
        self.on_read_byte = self._read_byte
        self.on_stop = self._stop_bit

    def reset(self):
        self._step.cancel()
        self._then = self._written = self._ahead = None
        super().reset()

    def _after(self, bits, then):
        cycles = self.scl_high_period + self.scl_low_period
        self._then = then
        took_ns = round(bits * cycles * 1e9 / self.rp2040.clk_sys)
        self._due_ns = self.pico.clock.nanos + took_ns
        self._step.schedule(took_ns)

    def _next_step(self):
        self._polls = 0
        then, self._then = self._then, None
        then()

    def _flush(self):
        data, self._written = self._written, None
        if data:
            self.pico.stand.i2c_write(self.target_address, bytes(data), self.pico.now_us)
            self.pico._after_stand()

    def _start(self, _repeated):
        self._flush()
        self._after(1, self.complete_start)

    def _connect(self, address, mode):
        def answered():
            ack = False
            stand, now_us = self.pico.stand, self.pico.now_us
            if self.connected and mode:
                data = stand.i2c_read(address, 1, now_us)
                ack = data is not None
                self._ahead = data[0] if data else None
            elif self.connected:
                ack = bool(stand.i2c_write(address, b"", now_us))
                self._written = bytearray()
            self.pico._after_stand()
            self.complete_connect(ack)
        self._after(9, answered)

    def _write_byte(self, value):
        def sent():
            if self._written is not None:
                self._written.append(value)
            self._popped()
            self.complete_write(True)
        self._after(9, sent)

    def _read_byte(self, _ack):
        def received():
            value, self._ahead = self._ahead, None
            if value is None:
                data = self.pico.stand.i2c_read(self.target_address, 1, self.pico.now_us)
                value = data[0] if data else 0xFF
            self._popped()
            self.complete_read(value)
        self._after(9, received)

    def _stop_bit(self):
        def stopped():
            self._flush()
            self._written = None
            self.complete_stop()
        self._after(1, stopped)

    def _popped(self):
        if self._tx_fifo.item_count <= self.tx_threshold:
            self._set_interrupts(_R_TX_EMPTY)

    def _set_interrupts(self, mask):
        # TX_EMPTY waits for the byte to leave when IC_CON asks for that (as the SDK does);
        # the base class raises it as soon as the byte leaves the FIFO.
        if mask == _R_TX_EMPTY and self.control & _TX_EMPTY_CTRL and self._then is not None:
            return
        super()._set_interrupts(mask)

    def _abort(self, reason):
        self._written = None
        super()._abort(reason)
        super()._set_interrupts(_R_TX_EMPTY)    # the flushed FIFO is empty: ends the SDK's wait

    def read_uint32(self, offset):
        if offset in (_RAW_INTR_STAT, _STATUS, _RXFLR):
            self._polls += 1
            if self._polls > _POLLS_BEFORE_STALL and self._then is not None:
                self.pico.stall_until(self._due_ns)
        return super().read_uint32(offset)


# -- PIO ------------------------------------------------------------------------------------------

_FP_PER_NS = 32                         # the PIO counts 1/256 cycles of 8 ns
_SM0_SHIFTCTRL, _SM_STRIDE = 0x0D0, 0x18
_FJOIN_RX, _FJOIN_TX = 1 << 31, 1 << 30


class AlarmPio(_pio.RPPIO):
    """PIO driven by clock alarms, each at the exact time a state machine is due.

    rp2040py steps it with the core's instructions instead, which stops its clock while the core
    sleeps. Here a state machine keeps its bit times whatever the core does, and costs nothing
    while it waits. FJOIN makes the FIFO 8 deep.
    """

    def __init__(self, pico, old):
        self.clock = pico.clock
        self.pico = pico
        self._alarm = pico.clock.create_alarm(self._due)
        self._running = False
        super().__init__(pico.chip, old.name, old.first_irq, old.index)
        self.stopped = True                     # for rp2040py's loop, always

    @property
    def cycle_fp(self):
        return int(self.clock.nanos * _FP_PER_NS)

    @cycle_fp.setter
    def cycle_fp(self, value):
        pass

    def _arm(self):
        if self.next_due_fp >= _pio.NEVER_DUE:
            self._alarm.cancel()
        else:
            delay = self.next_due_fp / _FP_PER_NS - self.clock.nanos
            self._alarm.schedule(delay if delay > 0 else 0)

    def recompute_due(self):
        super().recompute_due()
        if not self._running:
            self._arm()

    def notify_due(self, due_fp):
        if due_fp < self.next_due_fp:
            self.next_due_fp = due_fp
            if not self._running:
                self._arm()
                self.pico._core.retime()

    def _due(self):
        now_fp = self.cycle_fp
        self._running = True
        for machine in self.machines:
            if machine.enabled and not machine.waiting and machine.next_due_fp <= now_fp:
                machine.step()
        super().recompute_due()
        self._running = False
        self._arm()
        self.check_changed_pins()

    def write_uint32(self, offset, value):
        if offset == CTRL:
            for index, machine in enumerate(self.machines):
                enabled = bool(value & 1 << index)
                if enabled and not machine.enabled:
                    machine.next_due_fp = self.cycle_fp
                machine.enabled = enabled
                if value & 1 << (4 + index):
                    machine.restart()
                if value & 1 << (8 + index):
                    machine.clk_div_restart()
            self.recompute_due()
            return
        super().write_uint32(offset, value)
        at = offset - _SM0_SHIFTCTRL
        if at >= 0 and at % _SM_STRIDE == 0 and at // _SM_STRIDE < 4:
            self._join(self.machines[at // _SM_STRIDE], value)
        self.check_changed_pins()

    def _join(self, machine, shiftctrl):
        rx = 8 if shiftctrl & _FJOIN_RX else 0 if shiftctrl & _FJOIN_TX else 4
        tx = 8 - rx
        if machine.rx_fifo.size != rx or machine.tx_fifo.size != tx:
            machine.rx_fifo = FIFO(rx)
            machine.tx_fifo = FIFO(tx)
            dma = self.rp2040.dma
            dma.clear_dreq(machine.dreq_rx)
            (dma.set_dreq if tx else dma.clear_dreq)(machine.dreq_tx)

    def reset(self):
        super().reset()
        self.stopped = True
        self.next_due_fp = _pio.NEVER_DUE
        self._alarm.cancel()
        for machine in self.machines:
            self._join(machine, 0)


# -- timer ----------------------------------------------------------------------------------------


class BenchTimer(RPTimer):
    """TIMER whose alarms fire when the counter *becomes* the value written, as on the chip:
    rp2040py's came up to a microsecond early, and at once for a value just missed.

    still_us  None: it runs | the count at which it stands still
    """

    still_us = None

    def reset(self):
        self.still_us = None
        super().reset()

    def stand_still(self, still):
        """As with PAUSE: it does not count and no alarm comes, until it is to go on."""
        if still == (self.still_us is not None):
            return
        now_us = self._micros()
        self._epoch_nanos = self.clock.nanos - now_us * 1000
        self.still_us = now_us if still else None
        for alarm in self.alarms:
            if alarm.armed:
                self._schedule(alarm)

    def _micros(self):
        return super()._micros() if self.still_us is None else self.still_us

    def _schedule(self, alarm):
        if self.still_us is not None:
            alarm.clock_alarm.cancel()
            return
        now_us = int(self._micros())
        delta_us = (alarm.target_micros - now_us) & 0xFFFFFFFF or 1 << 32
        due_ns = self._epoch_nanos + (now_us + delta_us) * 1000
        alarm.clock_alarm.schedule(due_ns - self.clock.nanos)

    def write_uint32(self, offset, value):
        if offset not in ALARM_REGS:
            super().write_uint32(offset, value)
            return
        alarm = self.alarms[(offset - ALARM0) // 4]
        alarm.armed = True
        alarm.target_micros = value & 0xFFFFFFFF
        self._schedule(alarm)


# -- watchdog -------------------------------------------------------------------------------------


class BenchWatchdog(RPWatchdog):
    """Tells the stand when it is fed; a reset waits until the instruction is over and stops it."""

    def __init__(self, pico, name):
        self.pico = pico
        super().__init__(pico.chip, name)
        self.on_watchdog_trigger = lambda: pico.want_reset("watchdog")

    def halt(self):
        self._enable = False
        self.alarm.enable = False
        self.timer.enable = False

    def write_uint32(self, offset, value):
        if offset == 0 and value & TRIGGER:
            self._reason = FORCE
            self.on_watchdog_trigger()
            return
        super().write_uint32(offset, value)
        if offset == 4:
            self.pico.stand.wdt_fed(self.pico.now_us)


# -- flash ----------------------------------------------------------------------------------------

_WIP = 1


class TimedFlash(RPSSI):
    """The flash chip's slow operations: busy for as long as given, cut in the middle if asked."""

    def __init__(self, pico, name, times):
        self.pico = pico
        self.erase_ns, self.program_ns = (us * 1000 for us in times)
        self._first_erase_ns = self.erase_ns
        self.busy_until_ns = 0
        self.op_count = 0
        self._cut = None                # (operations to go, fraction done)
        self.bad_at = -1                # address of a block that takes nothing any more
        super().__init__(pico.chip, name)

    def cut(self, count, torn):
        self._cut = [count, torn] if count else None

    def set_erase_ms(self, ms):
        self.erase_ns = self._first_erase_ns if ms is None else ms * 1_000_000

    def reset(self):
        super().reset()
        self.busy_until_ns = 0

    def _shift_byte(self, byte_out):
        answer = super()._shift_byte(byte_out)
        if len(self._tx_buffer) > 1 and self._tx_buffer[0] == CMD_READ_STATUS_1:
            if self.pico.clock.nanos < self.busy_until_ns:
                self.pico.stall_until(self.busy_until_ns)
            if self.pico.clock.nanos < self.busy_until_ns:
                answer |= _WIP
        return answer

    def _apply_command(self):
        buffer = self._tx_buffer
        opcode = buffer[0] if buffer else 0
        if not self._write_enabled or len(buffer) < 4 or opcode not in (
                CMD_SECTOR_ERASE, CMD_BLOCK_ERASE, CMD_PAGE_PROGRAM):
            super()._apply_command()
            return
        self.op_count += 1
        program = opcode == CMD_PAGE_PROGRAM
        took_ns = self.program_ns if program else self.erase_ns
        if self._cut:
            self._cut[0] -= 1
            if self._cut[0] <= 0:
                torn, self._cut = self._cut[1], None
                self._tear(buffer, opcode, torn)
                self.pico.want_reset("off")
                return
        if not 0 <= self.bad_at <= int.from_bytes(buffer[1:4], "big") < self.bad_at + 4096:
            super()._apply_command()
        self.busy_until_ns = self.pico.clock.nanos + took_ns

    def _tear(self, buffer, opcode, torn):
        """Do the fraction *torn* of an operation: the first bytes of it are done."""
        flash = self.rp2040.flash
        at = int.from_bytes(buffer[1:4], "big")
        if opcode == CMD_PAGE_PROGRAM:
            data = buffer[4:4 + 256]
            for i in range(int(len(data) * torn)):
                flash[at + i] &= data[i]
        else:
            size = 4096 if opcode == CMD_SECTOR_ERASE else 65536
            at &= -size
            count = int(size * torn)
            flash[at:at + count] = b"\xff" * count


# -- RS232 on two pins ----------------------------------------------------------------------------


class SoftUart:
    """The far end of a UART made of PIO: decodes the edges of one pin, drives another."""

    def __init__(self, pico, tx_gpio, rx_gpio, baud):
        self.pico = pico
        self.baud = baud
        self.queue = collections.deque()        # bytes on their way to the controller
        self.errors = 0                         # stop bits that were not there
        self._bit_ns = 1e9 / baud
        clock = pico.clock
        self._start_ns = None
        self._level = 1
        self._bits = 0                          # levels sampled so far
        self._count = 0
        self._end = clock.create_alarm(self._byte_end)
        self._pin = pico.chip.gpio[tx_gpio]
        self._pin.add_listener(self._edge)
        self._out = pico.chip.gpio[rx_gpio]
        self._out.set_input_value(True)
        self._next_edge = clock.create_alarm(self._drive)
        self._edges = ()
        self._sent_ns = 0

    # from the controller

    def _sample_to(self, ns):
        """Bits whose middle lies before *ns* had the level of now."""
        while self._count < 10 and self._start_ns + (self._count + 0.5) * self._bit_ns < ns:
            self._bits |= self._level << self._count
            self._count += 1

    def _edge(self, state, _last):
        level = 0 if state in (GPIOPinState.LOW, GPIOPinState.INPUT_PULL_DOWN) else 1
        if not self.pico.powered or state > GPIOPinState.HIGH:
            level = 1                           # not driven: the RS232 driver's input idles
        if level == self._level:
            return
        self.pico._core.sync()
        now = self.pico.clock.nanos
        if self._start_ns is not None:
            self._sample_to(now)
        elif level == 0:
            self._start_ns = now
            self._bits = self._count = 0
            self._end.schedule(9.5 * self._bit_ns)
        self._level = level

    def _byte_end(self):
        self._sample_to(self.pico.clock.nanos + 1)
        bits, self._start_ns = self._bits, None
        if not bits >> 9 & 1 or bits & 1:
            self.errors += 1
            return
        if self.pico.on_debug:
            self.pico.on_debug(bits >> 1 & 0xFF, self.pico.now_us)

    # to the controller

    def feed(self, data):
        idle = not self.queue
        self.queue.extend(data)
        if idle and self.queue:
            self._next_byte(self.pico.clock.nanos)
            self.pico._core.retime()

    def _next_byte(self, start_ns):
        frame = self.queue[0] << 1 | 0x200
        self._byte_ns = start_ns
        edges, level = [], 1
        for bit in range(10):
            if (frame >> bit & 1) != level:
                level ^= 1
                edges.append((start_ns + bit * self._bit_ns, level))
        edges.append((start_ns + 10 * self._bit_ns, None))
        self._edges = iter(edges)
        self._advance()

    def _advance(self):
        at, self._next_level = next(self._edges)
        self._next_edge.schedule(max(round(at) - self.pico.clock.nanos, 0))

    def _drive(self):
        if self._next_level is not None:
            self._out.set_input_value(bool(self._next_level))
            self._advance()
            return
        self.queue.popleft()
        if self.queue:
            self._next_byte(self._byte_ns + 10 * self._bit_ns)


# -- USB ------------------------------------------------------------------------------------------


class UsbSerial(USBCDC):
    """The PC's end of the USB serial port. Unlike rp2040py's it leaves a read pending (NAK) until
    there is something to send, so an idle port costs nothing."""

    def __init__(self, pico):
        usb = pico.chip.usb_ctrl
        super().__init__(usb)
        self.pico = pico
        self.connected = False
        self._pending = bytearray()
        self._wanted = 0
        answer_control = usb.on_endpoint_read

        def endpoint_read(endpoint, size):
            if endpoint == self._out_endpoint:
                self._wanted = size
                self._answer()
            else:
                answer_control(endpoint, size)

        usb.on_endpoint_read = endpoint_read
        self.on_serial_data = self._received
        self.on_device_connected = self._connected
        if usb._main_ctrl & 1:          # plugged into a running board
            usb.reset_device()
            pico._core.retime()

    def _connected(self):
        self.connected = True

    def _received(self, data):
        if self.pico.on_usb and data:
            self.pico.on_usb(bytes(data))

    def send(self, data):
        self._pending += data
        if self._wanted:
            self._answer()
            self.pico._core.retime()

    def _answer(self):
        count = min(self._wanted, len(self._pending), 64)
        if count:
            data = bytes(self._pending[:count])
            del self._pending[:count]
            self._wanted = 0
            self.usb.endpoint_read_done(self._out_endpoint, data)

    def _on_controller_reset(self):
        super()._on_controller_reset()
        self.connected = False
        self._wanted = 0
        self._pending.clear()


class Pty:
    """The USB serial port on a pseudo-terminal."""

    def __init__(self, pico):
        self.pico = pico
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._slave = slave             # kept open: mpremote may come and go
        self.path = os.ttyname(slave)
        os.set_blocking(self._master, False)
        self._out = bytearray()
        pico.attach_usb()
        pico.on_usb = self._out.extend

    def wait(self, seconds):
        select.select([self._master], [], [], seconds)

    def pump(self):
        usb = self.pico.usb
        with contextlib.suppress(BlockingIOError):
            if usb.connected and len(usb._pending) < 4096:
                usb.send(os.read(self._master, 4096))
        with contextlib.suppress(BlockingIOError):
            while self._out:
                count = os.write(self._master, self._out[:4096])
                del self._out[:count]


class RawRepl:
    """Runs scripts through MicroPython's raw REPL."""

    def __init__(self, pico):
        self.pico = pico
        self._seen = bytearray()

    def _wait(self, text, deadline_us, step_us=1000):
        pico = self.pico
        while text not in self._seen:
            if pico.now_us >= deadline_us:
                raise TimeoutError("device said %r" % bytes(self._seen[-200:]))
            pico.run_for(step_us)
        at = self._seen.index(text)
        before = bytes(self._seen[:at])
        del self._seen[:at + len(text)]
        return before

    def ask(self, timeout_ms=15_000):
        """Ask a running packctl for its prompt (SAF-10): it comes when both FETs are off."""
        pico = self.pico
        usb = pico.attach_usb()
        before, pico.on_usb = pico.on_usb, self._seen.extend
        try:
            deadline = pico.now_us + timeout_ms * 1000
            while not usb.connected and pico.now_us < deadline:
                pico.run_for(1000)
            usb.send(b"\rprompt\r")
            self._wait(b">>> ", deadline)
        finally:
            pico.on_usb = before

    def exec(self, source, timeout_ms):
        pico = self.pico
        usb = pico.attach_usb()
        before, pico.on_usb = pico.on_usb, self._seen.extend
        try:
            deadline = pico.now_us + 2_000_000
            while not usb.connected and pico.now_us < deadline:
                pico.run_for(1000)
            pico.run_for(20_000)
            usb.send(b"\r\x03\x03\x01")
            self._wait(b"raw REPL; CTRL-B to exit\r\n>", deadline)
            usb.send(source.encode() + b"\x04")
            self._wait(b"OK", pico.now_us + 2_000_000)
            deadline = pico.now_us + timeout_ms * 1000
            out = self._wait(b"\x04", deadline)
            err = self._wait(b"\x04", deadline)
            usb.send(b"\x02")
            pico.run_for(2000)
            return out, err
        finally:
            pico.on_usb = before
