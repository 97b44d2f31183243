"""Data memory of the BQ76952: its bytes after power-on and what they mean to the model.

One source for CPython and MicroPython's unix port.
"""

import math
from plant import CELLS

DM_BASE = 0x9180
DM_SIZE = 0x280

# bits of Safety A, also the index of the comparator's timer
CUV, COV, OCC, OCD1, OCD2, SCD = 2, 3, 4, 5, 6, 7

_CELL_GAIN = 12_410.0       # what the trim of an average chip comes to
_DIVIDER_GAIN = 33_800.0    # of TOS, PACK and LD, likewise; nowhere published

_SCD_MV = (10, 20, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)

THERMISTORS = (            # register, pin configuration, sensor of the board on it
    (0x6A, 0x92FA, -1), (0x6C, 0x92FB, -1), (0x6E, 0x92FC, 5), (0x70, 0x92FD, 0),
    (0x72, 0x92FE, 1), (0x74, 0x92FF, 2), (0x76, 0x9300, -1), (0x78, 0x9301, 3),
    (0x7A, 0x9302, 4),
)

_DEFAULTS = (               # address, bytes (little-endian)
    (0x91A8, b"\xf2\x41\xef\x40"), (0x91AC, b"\x6a\x1c\x08\x4a"), (0x91C6, b"\x40\x00"),
    (0x91D4, b"\xff\xff\xff\xff"), (0x922D, b"\x09"), (0x9234, b"\x82\x29"),
    (0x9236, b"\x0d\x01"), (0x9239, b"\x10"), (0x923C, b"\x60\x00"),
    (0x9241, b"\x58\x02"), (0x9248, b"\x14\x00\x05\xf4\x01\x0a"), (0x925F, b"\x02\x00"),
    (0x9261, b"\x88\x00\x00"), (0x9265, b"\x98\xd5\x56"), (0x9269, b"\xe4\xe6\xe2"),
    (0x926D, b"\x00\xf8\xfc\xf7\xf4"), (0x9273, b"\x32\x00"),
    (0x9275, b"\x32\x4a\x00\x56\x4a\x00\x02\x02"), (0x927D, b"\x00\x0a\x0f"),
    (0x9280, b"\x02\x04\x04\x01\x03\x07\x00\x02"), (0x9288, b"\x38\xff"),
    (0x928A, b"\x60\xf0\x02\xc8\x00\x00\x0a\x0f\xc8\x00"),
    (0x9294, b"\x05\x00\x0a\x0f\xc8\x00"),
    (0x929A, b"\x37\x02\x32\x3c\x02\x37\x50\x02\x41\x55\x02\x50"),
    (0x92A6, b"\x00\x02\x05\x00\x02\x05\xec\x02\xf1\x03\xc8\x00\x3c\x00\x00\x32\x01"),
    (0x92C4, b"\x5f\x9f"), (0x92FD, b"\x07"), (0x9303, b"\x05"), (0x9307, b"\x50\x0d\x01"),
    (0x930E, b"\x05\x32\x64\x00\x32\x00\x05"),
    (0x9336, b"\xec\x3c\x46\x14\x01\x3c\x0f\x28\x14\x3c\x0f\x28\x14"), (0x9343, b"\x40\x00"),
)


def default_memory():
    """Data memory after power-on, as a bytearray that starts at address DM_BASE."""
    memory = bytearray(DM_SIZE)
    for address, data in _DEFAULTS:
        start = address - DM_BASE
        memory[start:start + len(data)] = data
    return memory


def float4(data, at):
    """IEEE-754 single, by hand: MicroPython's struct gives the same, but not everywhere."""
    bits = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
    exponent = bits >> 23 & 0xFF
    if exponent == 0 or exponent == 255:
        return 0.0
    value = (1.0 + (bits & 0x7FFFFF) / 8388608.0) * math.pow(2.0, exponent - 127)
    return -value if bits >> 31 else value


class Settings:
    """The data memory and, as attributes, what the model works with.

    The attributes follow the bytes at load(), as the chip takes its settings over when it
    leaves CONFIG_UPDATE.
    """

    def __init__(self):
        self.memory = default_memory()
        self.load()

    def load(self):
        """Take the bytes over into the attributes."""
        m = self.memory
        self.cc_gain = float4(m, 0x28)
        self.cap_gain = float4(m, 0x2C)
        samples = self.u2(0x91C6) or 64
        self.board_offset = self.i2(0x91C8) / samples
        dead = m[0xAD]
        self.deadband_uv = (dead - 256 if dead > 127 else dead) * 0.234
        power = self.u2(0x9234)
        self.slot_us = 1500 if power & 0x40 else 3000
        self.noise = 2.0 if power & 0x40 else 1.0       # half the time: a bit less is sure
        self.slow_loop = 1 << (power >> 2 & 3)
        self.user_ma = (0.1, 1.0, 10.0, 100.0)[m[0x183] & 3]
        self.user_mv = 10.0 if m[0x183] & 4 else 1.0
        self.tint_cell = m[0x183] & 8
        self.tint_fet = m[0x183] & 16
        self.cells_used = (self.u2(0x9304) or 0xFFFF) | 0x8000      # the top input always is
        # production calibration: 0 is the factory's trim
        gains = [self.u2(DM_BASE + 2 * k) for k in range(CELLS)]
        self.cell_trim = [gain / _CELL_GAIN if gain else 1.0 for gain in gains]
        self.cell_offset_mv = float(self.i2(0x91B0))
        self.cell_trimmed = any(gains) or self.cell_offset_mv != 0.0
        gains = [self.u2(address) for address in (0x91A2, 0x91A0, 0x91A4)]
        self.divider_trim = [gain / _DIVIDER_GAIN if gain else 1.0 for gain in gains]
        en_a, en_b, en_c = m[0xE1], m[0xE2], m[0xE3]
        self.en = (en_a, en_b, en_c)
        self.chg_mask = (m[0xE5], m[0xE6], m[0xE7])
        self.dsg_mask = (m[0xE9], m[0xEA], m[0xEB])
        self.alarm_mask = self.u2(0x926D)
        self.body_ma = self.i2(0x9273)
        cuv = m[0xF5] * 50.6
        cov = m[0xF8] * 50.6
        if self.u2(0x91D4) != 0xFFFF:
            cuv = float(self.u2(0x91D4))
        if self.u2(0x91D6) != 0xFFFF:
            cov = float(self.u2(0x91D6))
        cuv_delay = self.u2(0x9276) & 0x7FF
        cov_delay = self.u2(0x9279) & 0x7FF
        self.cuv_back = cuv + m[0xFB] * 50.6
        self.cov_back = cov - m[0xFC] * 50.6
        self.cuv = cuv if en_a & 1 << CUV and cuv_delay else -1e9
        self.cov = cov if en_a & 1 << COV and cov_delay else 1e9
        delays = [0] * 8
        delays[CUV] = 3300 * (2 + cuv_delay)
        delays[COV] = 3300 * (2 + cov_delay)
        delays[OCC] = 3300 * (2 + (m[0x101] & 0x7F))
        delays[OCD1] = 3300 * (2 + (m[0x103] & 0x7F))
        delays[OCD2] = 3300 * (2 + (m[0x105] & 0x7F))
        delays[SCD] = max(0, (m[0x107] & 0x1F) - 1) * 15
        self.delays = delays
        self.occ = m[0x100] * 2000.0 if en_a & 1 << OCC and m[0x101] else 1e12
        self.ocd1 = m[0x102] * 2000.0 if en_a & 1 << OCD1 and m[0x103] else 1e12
        self.ocd2 = m[0x104] * 2000.0 if en_a & 1 << OCD2 and m[0x105] else 1e12
        self.scd = _SCD_MV[m[0x106] & 15] * 1000.0 if en_a & 1 << SCD else 1e12
        self.over = min(self.ocd1, self.ocd2, self.scd)
        self.hwd_s = self.u2(0x92B2)
        self.recovery_us = m[0x12F] * 1_000_000
        self.fet_options = m[0x188]
        pin = m[0x17B]
        self.pin_dsg_off = pin & 3 == 2
        self.pin_both = pin & 3 == 2 and bool(pin & 0x40)
        self.pin_low = bool(pin & 0x80)
        # thermistor pins and their place in the loop
        pins = []
        for index in range(9):
            config = m[THERMISTORS[index][1] - DM_BASE]
            if config & 3 == 3 and index not in (0, 6):     # taken by the bus
                pins.append(index)
        self.pins = pins
        extra = min(3, len(pins))
        self.loop_us = self.slot_us * (18 + extra) * self.slow_loop
        slots = {}
        for cell in range(CELLS):
            slots[0x0A + cell] = (cell, -1)
        slots[0x1A] = (16, 0)
        slots[0x1B] = (16, 1)
        slots[0x1C] = (16, 2)
        slots[0x34] = (17, 0)
        for order in range(len(pins)):
            slots[THERMISTORS[pins[order]][0] >> 1] = (18 + order % 3, order // 3)
        self.slots = slots

    def u2(self, address):
        at = address - DM_BASE
        return self.memory[at] | self.memory[at + 1] << 8

    def i2(self, address):
        value = self.u2(address)
        return value - 0x10000 if value & 0x8000 else value

    def i1(self, address):
        value = self.memory[address - DM_BASE]
        return value - 256 if value & 0x80 else value

    def signature(self):
        """STATIC_CFG_SIG: 15 bits over the settings, bit 15 when the stored one differs."""
        crc = 0xFFFF
        memory = self.memory
        for at in range(0xA0, DM_SIZE):
            crc = ((crc << 8) & 0xFF00 | crc >> 8) ^ memory[at]
            crc ^= (crc & 0xFF) >> 4
            crc ^= (crc << 12) & 0xFFFF
            crc ^= (crc & 0xFF) << 5
        crc &= 0x7FFF
        if crc != self.u2(0x91E0):
            crc |= 0x8000
        return crc
