"""Asks a real BQ76952 on the product's pins what the data sheet leaves open. Runs on the board.

No cells need to be there, and no load may be: both FETs are closed for some milliseconds, one
after the other. Every setting is undone by a RESET of the chip at the end. Prints one dict.
"""

import time

from machine import SPI, Pin

BOTHOFF, CS = Pin(21, Pin.OUT, value=0), Pin(17, Pin.OUT, value=1)
BUS = SPI(0, 1_000_000, sck=Pin(18), mosi=Pin(19), miso=Pin(16))
PAUSES_US = (10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000,
             5000, 8000)
PATIENCE_MS = 60


def crc8(a, b):
    crc = 0
    for byte in (a, b):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 7) & 0xFF if crc & 0x80 else crc << 1
    return crc


def frame(first, second, crc=None):
    data = bytearray((first, second, crc8(first, second) if crc is None else crc))
    CS(0)
    BUS.write_readinto(data, data)
    CS(1)
    return bytes(data)


def is_answer(data, first):
    return data[0] == first and crc8(data[0], data[1]) == data[2]


def read(register, tries=40):
    """The register's value, by asking until it comes; None if it never does.

    An answer to an earlier question may be waiting: it comes with the first one.
    """
    frame(register, 0xFF)
    time.sleep_us(1000)
    for _ in range(tries):
        data = frame(register, 0xFF)
        if is_answer(data, register):
            time.sleep_us(2000)
            return data[1]
        time.sleep_us(1000)
    return None


def write(register, value):
    first = 0x80 | register
    for _ in range(20):
        if frame(first, value) == bytes((first, value, crc8(first, value))):
            time.sleep_us(2000)
            return True
        time.sleep_us(1000)
    return False


def command(number):
    """Start sub-command *number*; us until it shows its own number again, None: it does not."""
    write(0x3E, number & 0xFF)
    frame(0xBF, number >> 8)
    begin = time.ticks_us()
    while time.ticks_diff(time.ticks_us(), begin) < PATIENCE_MS * 1000:
        time.sleep_us(100)
        data = frame(0x3E, 0xFF)
        if is_answer(data, 0x3E) and data[1] == number & 0xFF:
            took = time.ticks_diff(time.ticks_us(), begin)
            time.sleep_us(2000)
            if read(0x3F) == number >> 8:
                return took
    return None


def block(number, count):
    command(number)
    return bytes(read(0x40 + i) or 0 for i in range(count))


def put(address, data):
    command(address)
    total = (address & 0xFF) + (address >> 8)
    for i, byte in enumerate(data):
        write(0x40 + i, byte)
        total += byte
    write(0x60, ~total & 0xFF)
    write(0x61, len(data) + 4)
    time.sleep_ms(8)


def answer_time():
    """(longest pause at which an answer was missing, shortest at which all came), us."""
    missing = 0
    for pause in PAUSES_US:
        good = True
        for k in range(12):
            register = 0x7F if k & 1 else 0x12
            frame(register, 0xFF)
            time.sleep_us(pause)
            good = is_answer(frame(0x12, 0xFF), register) and good
            time.sleep_us(10_000)
        if good:
            return missing, pause
        missing = pause
    return missing, None


def patterns():
    found = {}
    frame(0x12, 0xFF, 0x55)                     # a wrong CRC
    time.sleep_ms(10)
    found["wrong_crc"] = frame(0x12, 0xFF).hex()
    time.sleep_ms(10)
    frame(0x12, 0xFF)
    time.sleep_ms(10)
    frame(0x12, 0xFF)
    found["too_soon"] = frame(0x12, 0xFF).hex()
    time.sleep_ms(10)
    return found


def word(register):
    """A pair, signed; its bytes are of one sample. None if the chip does not answer."""
    for _ in range(8):
        high, low, again = read(register + 1), read(register), read(register + 1)
        if low is not None and high is not None and high == again:
            value = low | high << 8
            return value - 0x10000 if value & 0x8000 else value
    return None


def reset():
    """RESET: whatever was set is forgotten, FET control is off."""
    write(0x3E, 0x12)
    frame(0xBF, 0x00)
    time.sleep_ms(400)


def bothoff():
    """What each FET does with the line low and high, its pin set to BOTHOFF, active low."""
    found = {}
    for level in (1, 0):
        BOTHOFF(level)
        time.sleep_ms(20)
        found[level] = (read(0x7F) or 0) & 5
    BOTHOFF(0)
    return found


def main():
    out = {"there": read(0x12) is not None}
    if out["there"]:
        out["answer_us"] = answer_time()
        out["patterns"] = patterns()
        out["device"] = block(0x0001, 2).hex()
        out["version"] = block(0x0002, 6).hex()
        out["sub_us"] = [command(0x0001) for _ in range(5)]
        if block(0x0057, 2)[0] & 0x10:          # FET control is on: a controller has used it
            command(0x0022)
        command(0x009A)                         # no sleep
        out["entry_us"] = command(0x0090)
        out["in_update"] = read(0x12)
        image = ((0x92FB, b"\xc6"), (0x9234, b"\x82\x28"), (0x9308, b"\x0d"))
        for address, data in image:
            put(address, data)
        out["memory"] = [(address, data.hex(), block(address, len(data)).hex())
                         for address, data in image]
        out["exit_us"] = command(0x0092)
        time.sleep_ms(600)                      # some measurements
        out["cells_mv"] = [word(0x14 + 2 * k) for k in range(16)]
        out["terminals"] = [word(0x34), word(0x36), word(0x38)]
        out["current"] = word(0x3A)
        out["safety"] = [read(r) for r in (0x03, 0x05, 0x07)]
        BOTHOFF(1)
        command(0x001F)                         # both FETs by their test, FET control is off
        command(0x0020)
        time.sleep_ms(20)
        out["fets"] = (read(0x7F) or 0) & 5
        time.sleep_ms(600)
        out["closed"] = [word(0x34), word(0x36), word(0x38)]
        out["bothoff"] = bothoff()
        reset()
    BOTHOFF(0)
    print(repr(out))


main()
