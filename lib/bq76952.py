"""BQ76952 battery monitor over SPI with CRC: scans, sub-commands, data memory, FETs, balancing.

Source: TI SLUUBY2B (TRM), sections 4 to 13; frames and flag patterns of section 9.3.
Only register meanings live here; what the values mean for a battery does not.
"""

import micropython
from micropython import const

from bq76952_map import (
    ALERT_PIN_TEMP,
    ALL_FETS_OFF,
    ALL_FETS_ON,
    BATTERY_STATUS,
    CB_ACTIVE_CELLS,
    CC2_CURRENT,
    CELL_1,
    CFGUPDATE,
    CHG_OFF,
    DASTATUS5,
    DASTATUS6,
    DASTATUS7,
    DCHG_TEMP,
    DDSG_TEMP,
    DEVICE_NUMBER,
    DIE_TEMP,
    DSG_OFF,
    EXIT_CFGUPDATE,
    FET_CONTROL,
    FET_EN,
    FET_ENABLE,
    FET_STATUS,
    LD_PIN,
    LOAD_DETECT_OFF,
    LOAD_DETECT_ON,
    MANUFACTURING_STATUS,
    PACK_PIN,
    PCHG_OFF,
    PDSG_OFF,
    POR,
    RESET,
    SAFETY_STATUS_A,
    SAFETY_STATUS_B,
    SAFETY_STATUS_C,
    SET_CFGUPDATE,
    SLEEP_DISABLE,
    SLEEP_ENABLE,
    STACK,
    STATIC_CFG_SIG,
    TS1_TEMP,
    TS2_TEMP,
    TS3_TEMP,
)
from bq_frames import BAD, MOVED, OK, check_frames, load_frames, run_frames
from crc8 import CRC8
from bound import bind

_SUB_LOW = const(0x3E)
_SUB_HIGH = const(0x3F)
_BUFFER = const(0x40)
_CHECKSUM = const(0x60)
_LENGTH = const(0x61)
_WRITE = const(0x80)
_DUMMY = const(0xFF)

_TOP_INPUT = const(15)
_IDENTITY = const(0x7695)

_GAP_US = const(50)         # least pause between frames
_GAP_MOST_US = const(1_250)     # a chip that needs more cannot be scanned in its period
_SLOW_US = const(250)       # beyond this a scan is read in parts
_FINE_US = const(32)        # a pause is learnt to this, and to a 32nd of itself
_PAUSES_US = (50, 100, 200, 500, 1_000)     # before the same question is asked again
_PATIENCE_US = const(20_000)    # longest time for which a question is repeated
_EXECUTES_US = const(40_000)    # longest run time of a sub-command
_POLLS = const(100)         # of Battery Status
_LOOKS = const(8)           # at a FET that is permitted and held off
_LOOK_US = const(2_500)
# raw counts of thermistors and current: sub-command, and where the low bytes are
_RAW_COUNTS = ((DASTATUS6, (_BUFFER + 20, _BUFFER + 24, _BUFFER + 28)),
               (DASTATUS7, (_BUFFER, _BUFFER + 8, _BUFFER + 12)), (DASTATUS5, (_BUFFER + 24,)))
_ANY_FET = const(0x0F)      # charge, pre-charge, discharge, pre-discharge
_TRIES = const(3)           # a write that the chip did not take is sent again so often
_REREADS = const(32)        # registers and pairs that a scan may read again: more is a failure
_REREAD_US = const(45_000)  # ... and the time that this may take
_JUMP = const(100)          # a value this far off the last one is read again: it may be torn
_ANY_JUMP = const(0x10000)
_AGREE = const(4)           # so many cells that jumped to within ...
_AGREE_MV = const(96)       # ... this of their mean are not torn
_PAIR_TRIES = const(3)
_MIDDLE = const(0x80)       # of what a low byte may be

# what _answer() says of the newest answer, if it is not the byte that was asked for
_NOT_READY = const(-1)      # FF FF 00
_DROPPED = const(-2)        # FF FF AA: the frame before had a wrong CRC
_ASLEEP = const(-3)         # FF FF FF: the frame was not heard
_NOISE = const(-4)

SCAN = tuple(range(CELL_1, CELL_1 + 32)) + (
    STACK, STACK + 1, PACK_PIN, PACK_PIN + 1, LD_PIN, LD_PIN + 1, CC2_CURRENT, CC2_CURRENT + 1,
    DIE_TEMP, DIE_TEMP + 1, ALERT_PIN_TEMP, ALERT_PIN_TEMP + 1,
    TS1_TEMP, TS1_TEMP + 1, TS2_TEMP, TS2_TEMP + 1, TS3_TEMP, TS3_TEMP + 1,
    DCHG_TEMP, DCHG_TEMP + 1, DDSG_TEMP, DDSG_TEMP + 1,
    SAFETY_STATUS_A, SAFETY_STATUS_B, SAFETY_STATUS_C,
    BATTERY_STATUS, BATTERY_STATUS + 1, FET_STATUS,
)
_SINGLE = (SAFETY_STATUS_A, SAFETY_STATUS_B, SAFETY_STATUS_C, FET_STATUS)
PARTS = 4                   # of a scan that is read in parts


def _joined(image):
    """The rows of *image*, with those that touch each other as one of up to 32 bytes."""
    start = -1
    block = b""
    for address, data in image:
        if address == start + len(block) and len(block) + len(data) <= 32:
            block += data
            continue
        if block:
            yield start, block
        start = address
        block = data
    if block:
        yield start, block


# two registers in turn, so that an answer tells which question it is for
_PROBE = b"\x7f\xff\x92\x12\xff\x8e" * 2


class AfeError(Exception):
    """The chip did not answer as the data sheet says within the tries allowed."""


class BQ76952:
    """One BQ76952.

    spi   SPI object, mode 0, at most 2 MHz; write_readinto(tx, rx) is all that is used
    cs    chip select, called with 0 (selected) or 1
    wait  wait(us): returns after at least that many microseconds
    cells fitted, 3 to 16: the lowest inputs, and the top one always

    A chip that is not ready yet answers FF FF 00. Then the same question is asked again after a
    growing pause. The pause that the chip needs is learnt by this, and frames are sent with it.

    regs      bytearray(128): direct-command bytes of the last complete or partial scan; the last
              cell stands behind the one before, whatever its input
    gap_us    pause between frames, as learnt
    rereads   registers or pairs that scans had to read again, since start
    failures  scans that failed, since start
    unheld    FETs that prove_off() saw closed, bits of the FET status
    """

    def __init__(self, spi, cs, wait, cells=16):
        self._transfer = spi.write_readinto
        self._cs = cs
        self._wait = wait
        self._frame = bytearray(3)
        self._mask = bytearray(2)
        self._block = bytearray(32)
        self.charge_units = 0
        self.charge_65536ths = 0
        self.charge_s = 0
        self.raw_counts = bytearray(7)
        self.gap_us = _GAP_US
        self._cells = cells
        unused = range(CELL_1 + 2 * (cells - 1), CELL_1 + 2 * _TOP_INPUT)
        scan = tuple(reg for reg in SCAN if reg not in unused)
        self._scan = scan
        count = len(scan)
        self._count = count
        self._tx = bytearray(3 * (count + 1))
        self._buf = bytearray(3 * (count + 1))
        self._status = bytearray(count)
        self._high = bytes(
            1 if reg & 1 and reg not in _SINGLE else 0 for reg in scan)
        for k in range(count + 1):
            reg = scan[k] if k < count else FET_STATUS
            self._tx[3 * k] = reg
            self._tx[3 * k + 1] = _DUMMY
            self._tx[3 * k + 2] = CRC8[CRC8[reg] ^ _DUMMY]
        view = memoryview(self._buf)
        views = tuple(view[3 * k:3 * k + 3] for k in range(count + 1))
        self._whole = (self._buf, self._tx, 3 * (count + 1), count, self._high, self._status,
                       views)
        tx, high, status = memoryview(self._tx), memoryview(self._high), memoryview(self._status)
        ends = [count * k // PARTS & ~1 for k in range(PARTS)] + [count]  # no pair is split
        self._parts = tuple(
            (view[3 * a:3 * b + 3], tx[3 * a:3 * b + 3], 3 * (b - a + 1), b - a, high[a:b],
             status[a:b], views[a:b + 1])
            for a, b in zip(ends, ends[1:]))
        self._probe = bytearray(len(_PROBE))
        view = memoryview(self._probe)
        self._probes = tuple(view[k:k + 3] for k in range(0, len(_PROBE), 3))
        self._spent_us = 0          # waiting for what is read again
        self._wrong = 0             # answers of the parts so far, as check_frames() counts
        self.regs = bytearray(128)
        self._jump = _ANY_JUMP      # until a first scan there is nothing to compare with
        self.rereads = 0
        self.failures = 0
        self.unheld = 0
        cs(1)
        bind(self, "scan", "_judge", "_run")

    # -- the scan --------------------------------------------------------------------------

    @property
    def slow(self):
        """The chip answers so late that a scan is read in parts."""
        return self.gap_us > _SLOW_US

    @micropython.native
    def scan(self):
        """Read every register of SCAN into *regs*; True if each answer was right.

        A wrong or missing answer, and a 16-bit value that jumped (its bytes may be of two
        samples), is read again singly, at most _REREADS a scan. Allocates nothing.
        """
        return self._judge(self._run(self._whole))

    @micropython.native
    def scan_part(self, part):
        """Read part *part* (0 to PARTS - 1, in this order) of a scan; end_scan() then judges."""
        if part == 0:
            self._wrong = 0
        self._wrong += self._run(self._parts[part])

    def end_scan(self):
        """True if each answer of the parts was right; as scan()."""
        return self._judge(self._wrong)

    @micropython.native
    def _run(self, part):
        buf, tx, length, count, high, status, views = part
        load_frames(buf, tx, length)
        run_frames(self._transfer, self._cs, self._wait, views, self.gap_us)
        return check_frames(buf, tx, count, CRC8, high, self.regs, status, self._jump)

    @micropython.native
    def _judge(self, wrong):
        """Read again what was *wrong*; False if that is too much or fails."""
        if wrong:
            many = (wrong & 0xFF) + (wrong >> 8)
            if many > _REREADS or not self._mend():
                self.failures += 1
                if wrong & 0xFF > _REREADS:     # are its answers late? the next scan knows
                    try:
                        self._find_pause()
                    except AfeError:
                        pass
                return False
        if (self.gap_us > _SLOW_US and not 100 <= self.regs[CC2_CURRENT] < 156
                and not self._refresh_pair(CC2_CURRENT)):
            self.failures += 1      # its bytes may be of two samples, each time
            return False
        self._jump = _JUMP
        cells = self._cells
        if cells != 16:             # the top input is the last cell
            regs = self.regs
            regs[CELL_1 + 2 * cells - 2] = regs[CELL_1 + 2 * _TOP_INPUT]
            regs[CELL_1 + 2 * cells - 1] = regs[CELL_1 + 2 * _TOP_INPUT + 1]
        return True

    def _mend(self):
        """Read again what check_frames() marked; False as soon as one read fails."""
        status = self._status
        self._spent_us = 0
        self._pass_those_that_agree()
        most = _REREAD_US // (4 * (self.gap_us + _GAP_US))
        for k in range(self._count):
            if status[k] == OK:
                continue
            most -= 1
            if most < 0:
                return False
            reg = self._scan[k]
            if status[k] == BAD and self._is_late(k):
                self.gap_us = min(_GAP_MOST_US, self.gap_us + self.gap_us // 16 + 1)
            if reg in _SINGLE:
                good = self._refresh(reg)
            else:
                good = self._refresh_pair(reg - self._high[k])
                if not self._high[k]:
                    status[k + 1] = OK
            if not good or self._spent_us > _REREAD_US:
                return False
            self.rereads += 1
        return True

    def _pass_those_that_agree(self):
        """Cells that jumped to one level are not torn: a torn one is off by 256 mV, alone.

        A load that pulses moves them all in each scan, and a slow chip has no time for as many
        second looks.
        """
        status = self._status
        scan = self._scan
        regs = self.regs
        total = count = 0
        for k in range(1, 2 * _TOP_INPUT + 2, 2):
            if status[k] == MOVED:
                total += regs[scan[k]] << 8 | regs[scan[k] - 1]
                count += 1
        if count < _AGREE:
            return
        total //= count
        for k in range(1, 2 * _TOP_INPUT + 2, 2):
            if status[k] == MOVED:
                off = (regs[scan[k]] << 8 | regs[scan[k] - 1]) - total
                if -_AGREE_MV < off < _AGREE_MV:
                    status[k] = OK

    def _is_late(self, k):
        """True if answer *k* of the newest scan was not ready yet."""
        buf = self._buf
        k = 3 * k + 3
        return buf[k] == 0xFF and buf[k + 1] == 0xFF and not buf[k + 2]

    def _refresh(self, reg):
        value = self._read(reg)
        if value < 0:
            return False
        self.regs[reg] = value
        return True

    def _refresh_pair(self, reg):
        """Read the pair (reg, reg + 1) until the high byte is the same before and after.

        With slow answers, a value that crosses the edge of a byte again and again (a current
        around 0 does) is never the same twice. The low byte then says on which side it was.
        """
        regs = self.regs
        for left in range(_PAIR_TRIES - 1, -1, -1):
            # at one go first: an answer comes with the next question
            self._exchange(reg + 1, _DUMMY)
            self._exchange(reg, _DUMMY)
            before = self._answer(reg + 1)
            self._exchange(reg + 1, _DUMMY)
            low = self._answer(reg)
            self._exchange(reg + 1, _DUMMY)
            high = self._answer(reg + 1)
            if before < 0 or low < 0 or high < 0:
                before = self._read(reg + 1)
                low = self._read(reg) if before >= 0 else -1
                high = self._read(reg + 1) if low >= 0 else -1
                if high < 0:
                    return False
            edge = not left
            if self.gap_us > _SLOW_US and before == high and not 100 <= low < 156:
                # slow reads may each see another sample: look at the high byte some more
                for _ in range(_LOOKS):
                    found = self._read(reg + 1)
                    if found < 0:
                        return False
                    if found != high:
                        if found - high + 1 & 0xFF <= 2:    # an edge; else it is a step, later
                            before = found
                            edge = True
                        break
            if edge:
                if high - before & 0xFF == 1:       # rose
                    before = high = before if low & 0x80 else high
                elif before - high & 0xFF == 1:     # fell
                    before = high = high if low & 0x80 else before
            if before == high:
                regs[reg] = low
                regs[reg + 1] = high
                return True
        for _ in range(_PAIR_TRIES):
            if self._after_a_step(reg):
                return True
        return reg == CC2_CURRENT and self._by_high_byte(reg)

    def _by_high_byte(self, reg):
        """A current that another sample shows in each frame: its high byte alone is one sample's,
        and tells it to 1.28 A, which is less than it moves meanwhile."""
        found = self._read(reg + 1)
        if found < 0:
            return False
        self.regs[reg] = _MIDDLE
        self.regs[reg + 1] = found
        return True

    def _after_a_step(self, reg):
        """Read a pair that steps, as a current that pulses does: the low byte between two high
        ones that are equal, before the step or after it."""
        high = reg + 1
        self._exchange(high, _DUMMY)
        self._exchange(reg, _DUMMY)
        first = self._answer(high)
        self._exchange(high, _DUMMY)
        low = self._answer(reg)
        self._exchange(reg, _DUMMY)
        second = self._answer(high)
        self._exchange(high, _DUMMY)
        next_low = self._answer(reg)
        self._exchange(high, _DUMMY)
        third = self._answer(high)
        if first < 0 or low < 0 or second < 0 or next_low < 0 or third < 0:
            return False
        if first != second:
            low = next_low
            if second != third:
                return False
        self.regs[reg] = low
        self.regs[high] = second
        return True

    # -- frames ----------------------------------------------------------------------------

    @micropython.native
    def _clock(self, first, second):
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

    @micropython.native
    def _exchange(self, first, second):
        """One frame, and the pause that the chip needs for its answer."""
        self._clock(first, second)
        self._wait(self.gap_us)

    @micropython.native
    def _answer(self, first):
        """The byte with which the last answer echoes *first*, or what the answer was instead."""
        frame = self._frame
        byte = frame[1]
        if frame[0] == first and CRC8[CRC8[first] ^ byte] == frame[2]:
            return byte
        if frame[0] == 0xFF and byte == 0xFF:
            last = frame[2]
            if last == 0:
                return _NOT_READY
            if last == 0xAA:
                return _DROPPED
            if last == 0xFF:
                return _ASLEEP
        return _NOISE

    @micropython.native
    def _read(self, reg):
        """One register, by asking the same question until it is answered; -1 if it never is.

        The pauses grow up to _PATIENCE_US in all.
        """
        self._exchange(reg, _DUMMY)
        waited_us = self.gap_us
        tries = 0
        while True:
            self._clock(reg, _DUMMY)
            value = self._answer(reg)
            if value >= 0 or waited_us >= _PATIENCE_US:
                self._rest(tries)
                self._spent_us += waited_us
                return value if value >= 0 else -1
            pause_us = _PAUSES_US[tries if tries < 4 else 4]
            tries += 1
            self._wait(pause_us)
            waited_us += pause_us

    @micropython.native
    def _rest(self, tries):
        """The pause after an answer. After repetitions (*tries*) one more may be waiting."""
        self._wait(2 * self.gap_us if tries else self.gap_us)

    def _find_pause(self):
        """Find the pause that the chip needs; AfeError if it is too long for scans.

        It is doubled until it is enough; then it lies between the longest that was too short and
        the shortest that was enough, and the middle is tried until both are near each other.
        """
        self.read_register(FET_STATUS)          # is there anybody?
        short_us = 0
        gap_us = _GAP_US
        while not self._is_enough(gap_us):
            short_us = gap_us
            if gap_us == _GAP_MOST_US:
                raise AfeError("answers take more than %d us: too long for a scan" % gap_us)
            gap_us = min(2 * gap_us, _GAP_MOST_US)
        while short_us and gap_us - short_us > _FINE_US + gap_us // 32:
            middle_us = (gap_us + short_us) // 2
            if self._is_enough(middle_us):
                gap_us = middle_us
            else:
                short_us = middle_us
        self.gap_us = gap_us

    def _is_enough(self, gap_us):
        """True if frames *gap_us* apart, clocked as those of a scan, are all answered in time."""
        buf = self._probe
        for _ in range(_TRIES):
            self._wait(_PAUSES_US[4] + gap_us)      # questions before are over
            load_frames(buf, _PROBE, len(_PROBE))
            run_frames(self._transfer, self._cs, self._wait, self._probes, gap_us)
            noise = False
            for k in range(3, len(_PROBE), 3):
                if buf[k] == 0xFF and buf[k + 1] == 0xFF and not buf[k + 2]:
                    return False
                if buf[k] != _PROBE[k - 3] or CRC8[CRC8[buf[k]] ^ buf[k + 1]] != buf[k + 2]:
                    noise = True
            if not noise:
                return True
        return False

    @micropython.native
    def read_register(self, reg):
        """One direct-command byte. AfeError if the chip does not answer."""
        value = self._read(reg)
        if value < 0:
            raise AfeError("register 0x%02x: no valid answer in %d ms"
                           % (reg, _PATIENCE_US // 1000))
        return value

    @micropython.native
    def _write(self, reg, value):
        """Write one register until the write is echoed. AfeError if it never is.

        It may be executed several times, which changes nothing for a register of the buffer.
        """
        self._exchange(_WRITE | reg, value)
        self._until_echoed(reg, value)

    @micropython.native
    def _until_echoed(self, reg, value):
        """Go on with a write that was sent once."""
        first = _WRITE | reg
        waited_us = self.gap_us
        tries = 0
        while True:
            self._clock(first, value)
            if self._answer(first) == value:
                self._rest(tries)
                return
            if waited_us >= _PATIENCE_US:
                raise AfeError("register 0x%02x: write of 0x%02x not echoed" % (reg, value))
            pause_us = _PAUSES_US[tries if tries < 4 else 4]
            tries += 1
            self._wait(pause_us)
            waited_us += pause_us

    # -- sub-commands and data memory ------------------------------------------------------

    @micropython.native
    def command(self, number):
        """Execute a sub-command and see it finished. AfeError if it is not taken or not finished.

        It may be executed twice; see toggle() for those that must not be.
        """
        self._write(_SUB_LOW, number & 0xFF)
        self._start(_SUB_HIGH, number >> 8)

    def toggle(self, number):
        """Send once a sub-command that toggles something. The caller has to check that the chip
        took it. AfeError if the chip does not answer."""
        self._write(_SUB_LOW, number & 0xFF)
        self._start_once(_SUB_HIGH, number >> 8)

    def _start(self, reg, value):
        """Write the register that starts something, and see it taken and over. AfeError."""
        for _ in range(_TRIES):
            if self._start_once(reg, value):
                return
        self._write(reg, value)             # until its own echo is seen
        waited_us = 0
        while waited_us < _EXECUTES_US:
            found = self._read(reg)
            if found == value:
                return
            if found < 0:
                break
            waited_us += 2 * (self.gap_us + _GAP_US)
        raise AfeError("register 0x%02x: what 0x%02x started is not finished" % (reg, value))

    @micropython.native
    def _start_once(self, reg, value):
        """Write the register that starts something once, then read it until that is over.

        True if the chip took the write for sure: it was echoed, or the chip was at work for
        longer than an answer takes. AfeError if it is not over in _EXECUTES_US.
        """
        first = _WRITE | reg
        gap_us = self.gap_us
        self._exchange(first, value)
        if self._answer(first) == _ASLEEP:
            return False
        taken = False
        tries = 0
        waited_us = 0
        asked = 0
        while waited_us < _EXECUTES_US:
            self._clock(reg, _DUMMY)
            found = self._answer(reg)
            pause_us = gap_us
            if found == _NOT_READY:
                pause_us = _PAUSES_US[tries if tries < 4 else 4]
                tries += 1
                if waited_us > 4 * gap_us:
                    taken = True
            elif found < 0:
                if self._answer(first) == value:
                    taken = True
                elif found == _DROPPED and not asked:
                    return False
            elif asked:
                if found != value and found == 0xFF:
                    taken = True            # at work
                else:                       # done, or it still shows what was there before
                    self._rest(tries)
                    return taken and found == value
            asked = 1
            self._wait(pause_us)
            waited_us += pause_us + _GAP_US
        raise AfeError("register 0x%02x: %s" % (
            reg, "not finished" if taken else "write of 0x%02x not echoed" % value))

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
            value = self._answer(_BUFFER + i)
            if value >= 0:
                block[i] = value
            else:
                block[i] = self.read_register(_BUFFER + i)
                self._exchange(_BUFFER + i + 1, _DUMMY)

    def read_charge(self):
        """Read the charge integrator into charge_units, charge_65536ths and charge_s.


        One unit is 1000 times the current unit the chip is set to, for an hour: 10 mAh at 10 mA.
        The fraction is added to the (signed) units; charge_s are the seconds for which it has
        been counting, modulo 2**24. Allocates nothing. AfeError if it fails.
        """
        if self._fetch(DASTATUS6) < 12:
            raise AfeError("charge integrator: too few bytes")
        data = self._block
        high = data[2] | data[3] << 8
        if high & 0x8000:
            high -= 0x10000
        self.charge_units = high << 16 | data[0] | data[1] << 8
        self.charge_65536ths = data[6] | data[7] << 8
        self.charge_s = data[8] | data[9] << 8 | data[10] << 16

    def read_raw_counts(self, part):
        """Read the low bytes of some raw counts into raw_counts.

        Bytes 0..2: thermistors at ALERT, TS1, TS2 (part 0); 3..5: at TS3, DCHG, DDSG (part 1);
        6: the current (part 2). They are counts of 24 bits, whose last ones are noise.
        Allocates nothing. AfeError if it fails.
        """
        number, places = _RAW_COUNTS[part]
        self.command(number)
        for i in range(len(places)):
            self.raw_counts[3 * part + i] = self.read_register(places[i])

    def write_block(self, number, data):
        """Write *data* (1..32 bytes) to data memory or as payload of a sub-command."""
        self.command(number)
        count = len(data)
        total = (number & 0xFF) + (number >> 8)
        echoed = True
        for i in range(count):          # at one go first: an echo comes with the next write
            self._exchange(_WRITE | _BUFFER + i, data[i])
            if i and self._answer(_WRITE | _BUFFER + i - 1) != data[i - 1]:
                echoed = False
            total += data[i]
        self._exchange(_WRITE | _CHECKSUM, ~total & 0xFF)
        if not echoed or self._answer(_WRITE | _BUFFER + count - 1) != data[count - 1]:
            for i in range(count):
                self._write(_BUFFER + i, data[i])
        self._until_echoed(_CHECKSUM, ~total & 0xFF)
        self._start(_LENGTH, count + 4)         # committed here

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
        number = self.read_word(DEVICE_NUMBER)
        if number != _IDENTITY:
            raise AfeError("device number 0x%04x, expected 0x%04x" % (number, _IDENTITY))

    def configure(self, image):
        """Write *image*, rows (address, bytes), with both FETs off; a generator of short steps.

        Each next() does at most one row (a few milliseconds of bus time). When it is exhausted
        the configuration was read back and FET control is enabled with both FETs held off.
        AfeError if a row does not read back or the chip does not follow.
        """
        self._find_pause()
        yield
        self.identify()
        yield
        self.command(ALL_FETS_OFF)
        self.command(SLEEP_DISABLE)
        self.command(SET_CFGUPDATE)
        self._wait_status(CFGUPDATE, CFGUPDATE)
        yield
        for address, data in _joined(image):
            self.write_block(address, data)
            yield
        self.command(EXIT_CFGUPDATE)
        self._wait_status(CFGUPDATE | POR, 0)
        yield
        yield from self.verify(image)
        self.command(ALL_FETS_OFF)
        for _ in range(_TRIES):
            if self.read_word(MANUFACTURING_STATUS) & FET_EN:
                break
            self.toggle(FET_ENABLE)            # it toggles: never sent again without a check
        else:
            if not self.read_word(MANUFACTURING_STATUS) & FET_EN:
                raise AfeError("FET_ENABLE did not set FET_EN")
        yield

    def update(self, rows):
        """Write some *rows* (address, bytes) of a chip that was configured; both FETs are off
        afterwards. A generator of short steps like configure(); AfeError."""
        self.command(ALL_FETS_OFF)
        self.command(SET_CFGUPDATE)
        self._wait_status(CFGUPDATE, CFGUPDATE)
        for address, data in _joined(rows):
            self.write_block(address, data)
            yield
        yield from self.verify(rows)
        self.command(EXIT_CFGUPDATE)
        self._wait_status(CFGUPDATE | POR, 0)
        yield

    def prove_off(self):
        """While a line holds both FETs off: permit each alone, neither may close.

        A generator of short steps; what was seen closed is in *unheld* then (FET status bits, 0:
        nothing). The charge FET is tried first: past the open discharge FET nothing but a charger
        could drive a current through it, and only if it passed, the other one is tried.
        """
        self.unheld = 0
        for charge in (True, False):
            self.set_fets(charge, not charge)
            for _ in range(_LOOKS):
                self.unheld = self.read_register(FET_STATUS) & _ANY_FET
                if self.unheld:
                    break
                self._wait(_LOOK_US)
            self.command(ALL_FETS_OFF)
            yield
            if self.unheld:
                return

    def reset(self):
        """Let the chip start anew, FETs off; it does not answer for some 60 ms. Never raises.

        Nothing confirms it; a chip that was reset shows POR. Allocates nothing.
        """
        self._exchange(_WRITE | _SUB_LOW, RESET & 0xFF)
        self._exchange(_WRITE | _SUB_HIGH, RESET >> 8)

    def verify(self, image):
        """Read every row of *image* back; a generator of short steps, AfeError on a difference.

        The rows stand in order of their addresses; each reading gives 32 bytes.
        """
        start = -1
        for address, data in image:
            if start < 0 or not start <= address <= start + 32 - len(data):
                if start >= 0:
                    yield
                start = address
                found = self.read_block(address, 32)
            at = address - start
            if found[at:at + len(data)] != data:
                raise AfeError("data memory 0x%04x: %s, wanted %s"
                               % (address, found[at:at + len(data)].hex(), data.hex()))
        yield

    def signature(self):
        """The chip's own signature over its configuration (STATIC_CFG_SIG)."""
        return self.read_word(STATIC_CFG_SIG)

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
            self.command(ALL_FETS_ON)
        elif not charge and not discharge:
            self.command(ALL_FETS_OFF)
        else:
            off = (0 if charge else CHG_OFF | PCHG_OFF) | (0 if discharge else DSG_OFF | PDSG_OFF)
            self.write_block(FET_CONTROL, bytes((off,)))

    def set_sleep(self, on):
        """Let the chip go to SLEEP once there is no current, or wake it.

        In SLEEP it measures each second, its comparators go on protecting, and the charge FET
        is off. It wakes by itself when current flows.
        """
        self.command(SLEEP_ENABLE if on else SLEEP_DISABLE)

    def set_load_detect(self, on):
        """Feed a little current to the LD pin while both FETs are off: free terminals rise."""
        self.command(LOAD_DETECT_ON if on else LOAD_DETECT_OFF)

    def set_balance(self, mask):
        """Bleed the cells of *mask* (bit n = cell n); ValueError if two are neighbours.

        The chip ends it by itself after some 20 s. Allocates nothing.
        """
        if mask & (mask << 1):
            raise ValueError("balance mask 0x%04x has neighbouring cells" % mask)
        top = mask >> (self._cells - 1) & 1
        if self._cells != 16 and top:
            mask = mask & ~(1 << self._cells - 1) | 1 << _TOP_INPUT
        data = self._mask
        data[0] = mask & 0xFF
        data[1] = mask >> 8
        self.write_block(CB_ACTIVE_CELLS, data)
