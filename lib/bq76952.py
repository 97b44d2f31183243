"""BQ76952 battery monitor over SPI with CRC: scans, sub-commands, data memory, FETs, balancing.

Source: TI SLUUBY2B (TRM), sections 4 to 13; frames and flag patterns of section 9.3.
Only register meanings live here; what the values mean for a battery does not.
"""

import micropython
from micropython import const

from bq_frames import OK, check_frames, load_frames, run_frames
from crc8 import CRC8

# Direct commands (register of the low byte)
SAFETY_STATUS_A = const(0x03)
SAFETY_STATUS_B = const(0x05)
SAFETY_STATUS_C = const(0x07)
BATTERY_STATUS = const(0x12)
CELL_1 = const(0x14)
STACK = const(0x34)
PACK_PIN = const(0x36)
LD_PIN = const(0x38)
CC2_CURRENT = const(0x3A)
DIE_TEMP = const(0x68)
ALERT_PIN_TEMP = const(0x6E)
TS1_TEMP = const(0x70)
TS2_TEMP = const(0x72)
TS3_TEMP = const(0x74)
DCHG_TEMP = const(0x78)
DDSG_TEMP = const(0x7A)
FET_STATUS = const(0x7F)

# Battery Status bits
CFGUPDATE = const(0x0001)
POR = const(0x0008)

# FET Status bits
FET_CHG = const(0x01)
FET_PCHG = const(0x02)
FET_DSG = const(0x04)

_SUB_LOW = const(0x3E)
_SUB_HIGH = const(0x3F)
_BUFFER = const(0x40)
_CHECKSUM = const(0x60)
_LENGTH = const(0x61)
_WRITE = const(0x80)
_DUMMY = const(0xFF)

_DEVICE_NUMBER = const(0x0001)
_STATIC_CFG_SIG = const(0x0005)
_RESET = const(0x0012)
_FET_ENABLE = const(0x0022)
_MFG_STATUS = const(0x0057)
_DASTATUS6 = const(0x0076)
_CB_ACTIVE_CELLS = const(0x0083)
_SET_CFGUPDATE = const(0x0090)
_EXIT_CFGUPDATE = const(0x0092)
_ALL_FETS_OFF = const(0x0095)
_ALL_FETS_ON = const(0x0096)
_FET_CONTROL = const(0x0097)
_SLEEP_ENABLE = const(0x0099)
_SLEEP_DISABLE = const(0x009A)
_LOAD_DETECT_ON = const(0x009E)
_LOAD_DETECT_OFF = const(0x009F)

_FET_EN = const(0x0010)
_DSG_OFF = const(0x03)      # DSG and pre-discharge
_CHG_OFF = const(0x0C)      # CHG and pre-charge
_IDENTITY = const(0x7695)

_GAP_US = const(50)         # least pause between frames
_TRIES = const(12)          # frames until an answer must have come
_POLLS = const(200)         # polls of a sub-command: 200 x about 0.1 ms
_REREADS = const(32)        # registers and pairs that a scan may read again: more is a failure
_JUMP = const(100)          # a value this far off the last one is read again: it may be torn
_ANY_JUMP = const(0x10000)
_PAIR_TRIES = const(3)

SCAN = tuple(range(CELL_1, CELL_1 + 32)) + (
    STACK, STACK + 1, PACK_PIN, PACK_PIN + 1, LD_PIN, LD_PIN + 1, CC2_CURRENT, CC2_CURRENT + 1,
    DIE_TEMP, DIE_TEMP + 1, ALERT_PIN_TEMP, ALERT_PIN_TEMP + 1,
    TS1_TEMP, TS1_TEMP + 1, TS2_TEMP, TS2_TEMP + 1, TS3_TEMP, TS3_TEMP + 1,
    DCHG_TEMP, DCHG_TEMP + 1, DDSG_TEMP, DDSG_TEMP + 1,
    SAFETY_STATUS_A, SAFETY_STATUS_B, SAFETY_STATUS_C,
    BATTERY_STATUS, BATTERY_STATUS + 1, FET_STATUS,
)
_SINGLE = (SAFETY_STATUS_A, SAFETY_STATUS_B, SAFETY_STATUS_C, FET_STATUS)


class AfeError(Exception):
    """The chip did not answer as the data sheet says within the tries allowed."""


class BQ76952:
    """One BQ76952.

    spi   SPI object, mode 0, at most 2 MHz; write_readinto(tx, rx) is all that is used
    cs    chip select, called with 0 (selected) or 1
    wait  wait(us): returns after at least that many microseconds

    regs      bytearray(128): direct-command bytes of the last complete or partial scan
    rereads   registers or pairs that scans had to read again, since start
    failures  scans that failed, since start
    """

    def __init__(self, spi, cs, wait):
        self._transfer = spi.write_readinto
        self._cs = cs
        self._wait = wait
        self._frame = bytearray(3)
        self._mask = bytearray(2)
        self._block = bytearray(32)
        self.charge_units = 0
        self.charge_65536ths = 0
        self.charge_s = 0
        count = len(SCAN)
        self._count = count
        self._tx = bytearray(3 * (count + 1))
        self._buf = bytearray(3 * (count + 1))
        self._status = bytearray(count)
        self._high = bytes(
            1 if reg & 1 and reg not in _SINGLE else 0 for reg in SCAN)
        for k in range(count + 1):
            reg = SCAN[k] if k < count else FET_STATUS
            self._tx[3 * k] = reg
            self._tx[3 * k + 1] = _DUMMY
            self._tx[3 * k + 2] = CRC8[CRC8[reg] ^ _DUMMY]
        view = memoryview(self._buf)
        self._views = tuple(view[3 * k:3 * k + 3] for k in range(count + 1))
        self.regs = bytearray(128)
        self._jump = _ANY_JUMP      # until a first scan there is nothing to compare with
        self.rereads = 0
        self.failures = 0
        cs(1)

    # -- the scan --------------------------------------------------------------------------

    @micropython.native
    def scan(self):
        """Read every register of SCAN into *regs*; True if each answer was right.

        A wrong or missing answer, and a 16-bit value that jumped (its bytes may be of two
        samples), is read again singly, at most _REREADS a scan. Allocates nothing.
        """
        load_frames(self._buf, self._tx, len(self._tx))
        run_frames(self._transfer, self._cs, self._wait, self._views, _GAP_US)
        result = check_frames(self._buf, self._tx, self._count, CRC8, self._high, self.regs,
                              self._status, self._jump)
        if result:
            if (result & 0xFF) + (result >> 8) > _REREADS or not self._mend():
                self.failures += 1
                return False
        self._jump = _JUMP
        return True

    def _mend(self):
        """Read again what check_frames() marked; False as soon as one read fails."""
        status = self._status
        for k in range(self._count):
            if status[k] == OK:
                continue
            reg = SCAN[k]
            if reg in _SINGLE:
                good = self._refresh(reg)
            else:
                good = self._refresh_pair(reg - self._high[k])
                if not self._high[k]:
                    status[k + 1] = OK
            if not good:
                return False
            self.rereads += 1
        return True

    def _refresh(self, reg):
        value = self._read(reg)
        if value < 0:
            return False
        self.regs[reg] = value
        return True

    def _refresh_pair(self, reg):
        """Read the pair (reg, reg + 1) until the high byte is the same before and after."""
        for _ in range(_PAIR_TRIES):
            if not self._refresh(reg + 1):
                return False
            high = self.regs[reg + 1]
            if not self._refresh(reg) or not self._refresh(reg + 1):
                return False
            if self.regs[reg + 1] == high:
                return True
        return False

    # -- frames ----------------------------------------------------------------------------

    @micropython.native
    def _exchange(self, first, second):
        """One frame out, the answer to an earlier one in (in self._frame)."""
        frame = self._frame
        frame[0] = first
        frame[1] = second
        frame[2] = CRC8[CRC8[first] ^ second]
        self._cs(0)
        try:
            self._transfer(frame, frame)
        finally:
            self._cs(1)
        self._wait(_GAP_US)

    @micropython.native
    def _answered(self, first):
        """True if the last answer echoes *first* with a right CRC."""
        frame = self._frame
        return frame[0] == first and CRC8[CRC8[first] ^ frame[1]] == frame[2]

    @micropython.native
    def _read(self, reg, tries=_TRIES):
        """One register by asking until it is echoed; -1 after *tries* + 1 frames."""
        self._exchange(reg, _DUMMY)
        for _ in range(tries):
            self._exchange(reg, _DUMMY)
            if self._answered(reg):
                return self._frame[1]
        return -1

    @micropython.native
    def read_register(self, reg):
        """One direct-command byte. AfeError if the chip does not answer."""
        value = self._read(reg)
        if value < 0:
            raise AfeError("register 0x%02x: no valid answer in %d frames" % (reg, _TRIES + 1))
        return value

    @micropython.native
    def _write(self, reg, value):
        """Write one register and see the write echoed. AfeError if it never is.

        The echo is asked for by reading another register, so nothing is executed twice unless
        the chip said that it had dropped the frame (FF FF AA) or had been asleep (FF FF FF).
        """
        first = _WRITE | reg
        frame = self._frame
        for _ in range(_TRIES):
            self._exchange(first, value)
            asleep = frame[0] == 0xFF and frame[1] == 0xFF and frame[2] == 0xFF
            for _ in range(_TRIES):
                self._exchange(FET_STATUS, _DUMMY)
                if self._answered(first) and frame[1] == value:
                    return
                if frame[0] != 0xFF or frame[1] != 0xFF:
                    break           # somebody else's answer, or noise: write again
                if frame[2] == 0xAA or asleep:
                    break           # frame was dropped: write again
        raise AfeError("register 0x%02x: write of 0x%02x not echoed" % (reg, value))

    # -- sub-commands and data memory ------------------------------------------------------

    def command(self, number):
        """Execute a sub-command without data. AfeError if it is not taken or not finished."""
        self._write(_SUB_LOW, number & 0xFF)
        self._write(_SUB_HIGH, number >> 8)

    def read_block(self, number, length):
        """Bytes 0..length-1 that sub-command or data-memory address *number* gives.

        The checksum over all the bytes the chip announces is verified. AfeError otherwise.
        """
        total = self._fetch(number)
        if not length <= total:
            raise AfeError("sub-command 0x%04x: %d bytes, wanted %d" % (number, total, length))
        return bytes(self._block[:length])

    @micropython.native
    def _fetch(self, number):
        """Read what *number* gives into self._block; return its length. Allocates nothing."""
        self.command(number)
        for _ in range(_POLLS):
            if (self.read_register(_SUB_LOW) == number & 0xFF
                    and self.read_register(_SUB_HIGH) == number >> 8):
                break
        else:
            raise AfeError("sub-command 0x%04x: not finished" % number)
        length = self.read_register(_LENGTH) - 4
        if not 0 <= length <= 32:
            raise AfeError("sub-command 0x%04x: %d bytes" % (number, length))
        check = (number & 0xFF) + (number >> 8)
        self._read_block(length)
        for i in range(length):
            check += self._block[i]
        if self.read_register(_CHECKSUM) != ~check & 0xFF:
            raise AfeError("sub-command 0x%04x: checksum wrong" % number)
        return length

    @micropython.native
    def _read_block(self, length):
        """The first *length* bytes of the buffer into self._block, one frame a byte.

        An answer comes with the next question; a byte that does not is read alone.
        """
        block = self._block
        self._exchange(_BUFFER, _DUMMY)
        for i in range(length):
            self._exchange(_BUFFER + i + 1, _DUMMY)
            if self._answered(_BUFFER + i):
                block[i] = self._frame[1]
            else:
                block[i] = self.read_register(_BUFFER + i)
                self._exchange(_BUFFER + i + 1, _DUMMY)

    def read_charge(self):
        """Read the charge integrator into charge_units, charge_65536ths and charge_s.


        One unit is 1000 times the current unit the chip is set to, for an hour: 10 mAh at 10 mA.
        The fraction is added to the (signed) units; charge_s are the seconds for which it has
        been counting, modulo 2**24. Allocates nothing. AfeError if it fails.
        """
        if self._fetch(_DASTATUS6) < 12:
            raise AfeError("charge integrator: too few bytes")
        data = self._block
        high = data[2] | data[3] << 8
        if high & 0x8000:
            high -= 0x10000
        self.charge_units = high << 16 | data[0] | data[1] << 8
        self.charge_65536ths = data[6] | data[7] << 8
        self.charge_s = data[8] | data[9] << 8 | data[10] << 16

    def write_block(self, number, data):
        """Write *data* (1..32 bytes) to data memory or as payload of a sub-command."""
        self.command(number)
        total = (number & 0xFF) + (number >> 8)
        for i in range(len(data)):
            self._write(_BUFFER + i, data[i])
            total += data[i]
        self._write(_CHECKSUM, ~total & 0xFF)
        self._write(_LENGTH, len(data) + 4)     # committed here

    def holds(self, number, data):
        """True if what *number* gives begins with *data*. AfeError. Allocates nothing."""
        if self._fetch(number) < len(data):
            return False
        for i in range(len(data)):
            if self._block[i] != data[i]:
                return False
        return True

    def read_word(self, number):
        """The unsigned 16-bit answer of a sub-command. Allocates nothing."""
        total = self._fetch(number)
        if total < 2:
            raise AfeError("sub-command 0x%04x: %d bytes, wanted 2" % (number, total))
        return self._block[0] | self._block[1] << 8

    # -- configuration ---------------------------------------------------------------------

    def identify(self):
        """AfeError unless the chip is a BQ76952."""
        number = self.read_word(_DEVICE_NUMBER)
        if number != _IDENTITY:
            raise AfeError("device number 0x%04x, expected 0x%04x" % (number, _IDENTITY))

    def configure(self, image):
        """Write *image*, rows (address, bytes), with both FETs off; a generator of short steps.

        Each next() does at most one row (a few milliseconds of bus time). When it is exhausted
        the configuration was read back and FET control is enabled with both FETs held off.
        AfeError if a row does not read back or the chip does not follow.
        """
        self.identify()
        yield
        self.command(_ALL_FETS_OFF)
        self.command(_SLEEP_DISABLE)
        self.command(_SET_CFGUPDATE)
        self._wait_status(CFGUPDATE, CFGUPDATE)
        yield
        for address, data in image:
            self.write_block(address, data)
            yield
        self.command(_EXIT_CFGUPDATE)
        self._wait_status(CFGUPDATE | POR, 0)
        yield
        yield from self.verify(image)
        self.command(_ALL_FETS_OFF)
        if not self.read_word(_MFG_STATUS) & _FET_EN:
            self.command(_FET_ENABLE)
            if not self.read_word(_MFG_STATUS) & _FET_EN:
                raise AfeError("FET_ENABLE did not set FET_EN")
        yield

    def reset(self):
        """Let the chip start anew, FETs off; it does not answer for some 60 ms. Never raises.

        Nothing confirms it; a chip that was reset shows POR. Allocates nothing.
        """
        self._exchange(_WRITE | _SUB_LOW, _RESET & 0xFF)
        self._exchange(_WRITE | _SUB_HIGH, _RESET >> 8)

    def verify(self, image):
        """Read every row of *image* back; a generator of short steps, AfeError on a difference."""
        for address, data in image:
            found = self.read_block(address, len(data))
            if found != data:
                raise AfeError("data memory 0x%04x: %s, wanted %s"
                               % (address, found.hex(), data.hex()))
            yield

    def signature(self):
        """The chip's own signature over its configuration (STATIC_CFG_SIG)."""
        return self.read_word(_STATIC_CFG_SIG)

    def _wait_status(self, mask, wanted):
        for _ in range(_POLLS):
            low = self.read_register(BATTERY_STATUS)
            if low & mask == wanted:
                return
        raise AfeError("battery status 0x%02x, wanted 0x%02x under mask 0x%02x"
                       % (low, wanted, mask))

    # -- outputs ---------------------------------------------------------------------------

    def set_fets(self, charge, discharge):
        """Permit each FET or hold it off; the chip's own protections still have their say."""
        if charge and discharge:
            self.command(_ALL_FETS_ON)
        elif not charge and not discharge:
            self.command(_ALL_FETS_OFF)
        else:
            off = (0 if charge else _CHG_OFF) | (0 if discharge else _DSG_OFF)
            self.write_block(_FET_CONTROL, bytes((off,)))

    def set_sleep(self, on):
        """Let the chip go to SLEEP once there is no current, or wake it.

        In SLEEP it measures each second, its comparators go on protecting, and the charge FET
        is off. It wakes by itself when current flows.
        """
        self.command(_SLEEP_ENABLE if on else _SLEEP_DISABLE)

    def set_load_detect(self, on):
        """Feed a little current to the LD pin while both FETs are off: free terminals rise."""
        self.command(_LOAD_DETECT_ON if on else _LOAD_DETECT_OFF)

    def set_balance(self, mask):
        """Bleed the cells of *mask* (bit n = cell n); ValueError if two are neighbours.

        The chip ends it by itself after some 20 s. Allocates nothing.
        """
        if mask & (mask << 1):
            raise ValueError("balance mask 0x%04x has neighbouring cells" % mask)
        data = self._mask
        data[0] = mask & 0xFF
        data[1] = mask >> 8
        self.write_block(_CB_ACTIVE_CELLS, data)
