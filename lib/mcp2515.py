"""MCP2515 CAN controller on SPI, with the interface of MicroPython's machine.CAN.

Source: Microchip DS20001801, sections 3 (transmission), 4 (reception), 5 (bit timing), 10 (modes)
and 12 (SPI instructions). Differences from machine.CAN: a bus-off ends by itself when the bus
was quiet for 128 * 11 bits; frames are sent by buffer, not by identifier; init() checks the chip
and measures its crystal in loop-back mode; state() is STATE_STOPPED when the chip has lost its
configuration, and init() and set_filters() then bring it back.

A frame is polled for, not waited for: INT (low while there is something to read) is looked at
before the bus is used.
"""

import micropython
from errno import EIO, ENODEV

from micropython import const
from ticks import MASK

_RESET = const(0xC0)
_READ = const(0x03)
_WRITE = const(0x02)
_BIT_MODIFY = const(0x05)
_READ_STATUS = const(0xA0)
_READ_RX0 = const(0x90)
_READ_RX1 = const(0x94)
_LOAD_TX = const(0x40)
_RTS = const(0x80)
_NOTHING = const(0xFF)

_CANCTRL = const(0x0F)
_TEC = const(0x1C)
_RXF0 = const(0x00)
_RXF3 = const(0x10)
_RXM0 = const(0x20)
_CNF3 = const(0x28)
_CANINTE = const(0x2B)
_CANINTF = const(0x2C)
_EFLG = const(0x2D)
_TXB0CTRL = const(0x30)
_RXB0CTRL = const(0x60)
_RXB1CTRL = const(0x70)

_RX0IF = const(0x01)
_RX1IF = const(0x02)
_ERRIF = const(0x20)
_INTERRUPTS = const(0x23)       # both receive buffers and errors
_TXBO = const(0x20)
_PASSIVE = const(0x18)
_WARNING = const(0x07)
_OVERRUN = const(0xC0)
_TXREQ = const(0x08)
_EXIDE = const(0x08)
_SRR = const(0x10)
_RTR_BIT = const(0x40)
_ROLL_OVER = const(0x04)        # a full first buffer hands on to the second
_ANY_ID = const(0x60)

_OP_NORMAL = const(0x00)
_OP_LOOPBACK = const(0x40)
_OP_LISTEN = const(0x60)
_OP_CONFIG = const(0x80)
_OP_MASK = const(0xE0)

_TQ_LEAST = const(8)
_TQ_MOST = const(25)
_CRYSTALS_MHZ = (8, 10, 12, 16, 20, 24)
_CRYSTAL_PCT = const(8)         # tolerance of the measured crystal
_TEST_BRP = const(19)           # 40 us a bit with 16 quanta of a 16 MHz crystal
_TEST_BITS = const(53)          # of its frame on the wire, with a stuff bit
_IDLE_US = const(1_000)         # 11 bits at the slowest crystal; some chips wait for them
_RESET_US = const(200)          # 128 clocks of the slowest crystal, and some
_MODE_POLLS = const(50)
_FRAME_BITS = const(320)        # of the longest frame, twice: another may be on the wire


def bit_timing(crystal_hz, bitrate, sample_point=75, sjw=2):
    """(CNF1, CNF2, CNF3) for *bitrate* in bit/s exactly; ValueError if there is none.

    sample_point   per cent of the bit; the nearest that the quanta give is taken
    sjw            synchronisation jump width in quanta, less where phase 2 is too short for it
    """
    best = None
    for brp in range(64):
        quanta, rest = divmod(crystal_hz, 2 * (brp + 1) * bitrate)
        if rest or not _TQ_LEAST <= quanta <= _TQ_MOST:
            continue
        ps2 = min(8, max(2, quanta - (quanta * sample_point + 50) // 100))
        before = quanta - 1 - ps2               # propagation and phase 1
        prop = before // 2
        if before - prop > 8 or before < ps2:
            continue
        error = abs(quanta * sample_point - 100 * (quanta - ps2)) * 100 // quanta
        if best is None or error < best[0]:
            best = (error, brp, prop, before - prop, ps2)
    if best is None:
        raise ValueError("no bit timing for %d bit/s from %d Hz" % (bitrate, crystal_hz))
    _, brp, prop, ps1, ps2 = best
    jump = max(1, min(sjw, ps2 - 1, 4))
    return (jump - 1) << 6 | brp, 0x80 | (ps1 - 1) << 3 | prop - 1, ps2 - 1


class MCP2515:
    """One MCP2515.

    spi         SPI object, mode 0, at most 10 MHz: write(buf), write_readinto(tx, rx)
    cs          chip select, called with 0 (selected) or 1
    interrupt   function or pin that gives the level of INT
    wait        wait(us): returns after at least that many microseconds
    ticks_us    function giving wrapping microseconds

    crystal_hz  0: not known yet | measured by init()
    restarts    times that init() was called
    """

    MODE_NORMAL, MODE_SLEEP, MODE_LOOPBACK, MODE_SILENT, MODE_SILENT_LOOPBACK = range(5)
    STATE_STOPPED, STATE_ACTIVE, STATE_WARNING, STATE_PASSIVE, STATE_BUS_OFF = range(5)
    FLAG_RTR = 1
    FLAG_EXT_ID = 2
    FLAG_UNORDERED = 16
    RECV_ERR_FULL = 1
    RECV_ERR_OVERRUN = 2
    TX_QUEUE_LEN = 3
    FILTERS_MAX = 6

    def __init__(self, spi, cs, interrupt, wait, ticks_us):
        self._spi = spi
        self._cs = cs
        self._interrupt = interrupt
        self._wait = wait
        self._ticks_us = ticks_us
        self._out = bytearray(16)
        self._in = bytearray(16)
        out = memoryview(self._out)
        into = memoryview(self._in)
        self._outs = tuple(out[:n] for n in range(17))
        self._ins = tuple(into[:n] for n in range(17))
        self._data = bytearray(8)
        data = memoryview(self._data)
        self._datas = tuple(data[:n] for n in range(9))
        self._ids = [-1, -1, -1]            # identifiers in the transmit buffers
        self._last = 2                      # transmit buffer that was used last
        self._cnf = bytearray(3)            # CNF3, CNF2, CNF1 as written
        self._op = _OP_CONFIG
        self._state = 0                     # of STATE_...
        self._errors = 0                    # of RECV_ERR_..., for the next recv()
        self._entries = [0, 0, 0]           # times that warning, passive, bus-off was entered
        self._overruns = 0
        self._bitrate = 0
        self._frame_us = 0                  # that a frame takes behind another one
        self._sent_us = 0                   # when the last one was queued
        self.crystal_hz = 0
        self.restarts = 0
        cs(1)

    # -- bytes on the bus -----------------------------------------------------------------

    @micropython.native
    def _send_bytes(self, count):
        self._cs(0)
        self._spi.write(self._outs[count])
        self._cs(1)

    @micropython.native
    def _exchange(self, count):
        self._cs(0)
        self._spi.write_readinto(self._outs[count], self._ins[count])
        self._cs(1)

    def _read_registers(self, at, count):
        """Read *count* registers from *at* on into _in[2:]."""
        out = self._out
        out[0] = _READ
        out[1] = at
        self._exchange(2 + count)

    def _write_registers(self, at, data):
        out = self._out
        out[0] = _WRITE
        out[1] = at
        for i in range(len(data)):
            out[2 + i] = data[i]
        self._send_bytes(2 + len(data))

    def _modify(self, at, mask, value):
        out = self._out
        out[0] = _BIT_MODIFY
        out[1] = at
        out[2] = mask
        out[3] = value
        self._send_bytes(4)

    @micropython.native
    def _pending(self):
        """Transmit buffers that wait, bits 0 to 2."""
        self._out[0] = _READ_STATUS
        self._exchange(2)
        status = self._in[1]
        return status >> 2 & 1 | status >> 3 & 2 | status >> 4 & 4

    # -- bringing it up -------------------------------------------------------------------

    def init(self, bitrate, mode=0, sample_point=75, sjw=2):
        """Reset the chip, check it, measure its crystal, set *bitrate* and enter *mode*.

        Takes some 3 ms. Nothing is received until set_filters(). OSError: ENODEV if nobody
        answers, EIO if the self-test fails or the crystal is none that is known. ValueError if
        the crystal cannot give *bitrate*.
        """
        self.restarts += 1
        self._state = 0
        self._op = _OP_CONFIG
        self._out[0] = _RESET
        self._send_bytes(1)
        self._wait(_RESET_US)
        self._read_registers(0x0E, 2)
        if self._in[2] != 0x80 or self._in[3] != 0x87:
            raise OSError(ENODEV)
        self.crystal_hz = self._self_test()
        cnf1, cnf2, cnf3 = bit_timing(self.crystal_hz, bitrate, sample_point, sjw)
        self._bitrate = bitrate
        self._frame_us = _FRAME_BITS * 1_000_000 // bitrate
        self._configure(cnf1, cnf2, cnf3)
        self._write_registers(_RXB0CTRL, b"\x00")
        self._write_registers(_RXB1CTRL, b"\x00")
        for n in range(3):                  # the first buffer goes first
            self._write_registers(_TXB0CTRL + 16 * n, bytes((3 - n,)))
            self._ids[n] = -1
        self._write_registers(_RXF0, b"\xff\xeb\xff\xff" * 3)
        self._write_registers(_RXF3, b"\xff\xeb\xff\xff" * 3)
        self._write_registers(_RXM0, b"\xff\xe3\xff\xff" * 2)
        self._write_registers(_CANINTE, bytes((_INTERRUPTS, 0, 0)))
        self._set_mode((_OP_NORMAL, 0x20, _OP_LOOPBACK, _OP_LISTEN, _OP_LOOPBACK)[mode])
        self._state = 1

    def _configure(self, cnf1, cnf2, cnf3):
        cnf = self._cnf
        cnf[0], cnf[1], cnf[2] = cnf3, cnf2, cnf1
        self._write_registers(_CNF3, cnf)
        self._read_registers(_CNF3, 3)
        if self._in[2] != cnf3 or self._in[3] != cnf2 or self._in[4] != cnf1:
            raise OSError(EIO)

    def _set_mode(self, op):
        """Ask for a mode and wait until it is there; OSError if it does not come."""
        self._out[0] = _WRITE
        self._out[1] = _CANCTRL
        self._out[2] = op
        self._send_bytes(3)
        for _ in range(_MODE_POLLS):
            self._read_registers(0x0E, 1)
            if self._in[2] & _OP_MASK == op:
                self._op = op
                return
            self._wait(20)
        raise OSError(EIO)

    def _self_test(self):
        """Send a frame to itself; the crystal's frequency in Hz from the time that it took."""
        self._configure(_TEST_BRP, 0xAC, 0x03)
        self._write_registers(_RXB0CTRL, bytes((_ANY_ID,)))
        self._set_mode(_OP_LOOPBACK)
        self._wait(_IDLE_US)
        self._load(0, 0x2A5, 0, b"\x3c")
        self._out[0] = _RTS | 1
        self._send_bytes(1)
        start_us = self._ticks_us()
        before_us = after_us = 0
        while True:
            self._out[0] = _READ_STATUS
            self._exchange(2)
            after_us = (self._ticks_us() - start_us) & MASK
            if self._in[1] & _RX0IF:
                break
            if after_us > 20_000:
                raise OSError(EIO)
            before_us = after_us
        self._out[0] = _READ_RX0
        self._exchange(7)
        got = self._in
        if got[1] != 0x54 or got[2] & 0xE8 != 0xA0 or got[5] != 1 or got[6] != 0x3C:
            raise OSError(EIO)
        self._set_mode(_OP_CONFIG)
        took_us = (before_us + after_us) // 2
        for mhz in _CRYSTALS_MHZ:
            want_us = _TEST_BITS * 32 * (_TEST_BRP + 1) // mhz
            if abs(took_us - want_us) * 100 <= want_us * _CRYSTAL_PCT:
                return mhz * 1_000_000
        raise OSError(EIO)

    def set_filters(self, filters):
        """Receive frames that pass one of *filters*: (identifier, mask, flags), at most 6.

        The chip has two masks, one for two filters and one for four; ValueError if these do not
        fit. None: everything is received. Frames that were waiting are lost.
        """
        was = self._op
        mode = bytes((_ANY_ID if filters is None else 0,))
        rows = () if filters is None else _arrange(filters)
        self._set_mode(_OP_CONFIG)
        for i in range(len(rows)):
            at = 4 * i + (4 if i >= 3 else 0)
            self._write_registers(at, _id_bytes(rows[i][0], rows[i][2], True))
        if rows:
            for first, row in ((_RXM0, rows[0]), (_RXM0 + 4, rows[2])):
                self._write_registers(first, _id_bytes(row[1], row[2], False))
        self._write_registers(_RXB0CTRL, bytes((mode[0] | _ROLL_OVER,)))
        self._write_registers(_RXB1CTRL, mode)
        self._write_registers(_CANINTF, b"\x00\x00")
        self._set_mode(was)

    def deinit(self):
        """Off the bus: neither sends nor acknowledges until init()."""
        self._out[0] = _RESET
        self._send_bytes(1)
        self._op = _OP_CONFIG
        self._state = 0

    def restart(self):
        """Forget what waits to be sent, and leave bus-off if the chip has not by itself."""
        self._modify(_CANCTRL, 0x10, 0x10)
        self._modify(_CANCTRL, 0x10, 0x00)
        if self._state == 4:
            op = self._op
            self._set_mode(_OP_CONFIG)      # clears the error counters
            self._set_mode(op)
        for n in range(3):
            self._ids[n] = -1
            self._entries[n] = 0

    # -- frames ---------------------------------------------------------------------------

    @micropython.native
    def send(self, id, data, flags=0):
        """Queue a frame of up to 8 bytes; the buffer's index, or None if it cannot be queued.

        None: all buffers are full, or one holds a frame of this identifier (see
        FLAG_UNORDERED). OSError if the chip is stopped or was bus-off when last looked at.
        """
        if self._state == 0 or self._state == 4:
            raise OSError(EIO)
        pending = self._pending()
        n = self._last
        for _ in range(3):
            n = n + 1 if n < 2 else 0
            if not pending >> n & 1:
                break
        else:
            return None
        if not flags & 16:
            for i in range(3):
                if pending >> i & 1 and self._ids[i] == id:
                    return None
        self._load(n, id, flags, data)
        self._out[0] = _RTS | 1 << n
        self._send_bytes(1)
        self._sent_us = self._ticks_us()
        self._ids[n] = id
        self._last = n
        return n

    @micropython.native
    def _load(self, n, id, flags, data):
        out = self._out
        out[0] = _LOAD_TX | n << 1
        count = len(data)
        if flags & 2:
            top = id >> 18
            out[1] = top >> 3
            out[2] = (top & 7) << 5 | _EXIDE | id >> 16 & 3
            out[3] = id >> 8 & 0xFF
            out[4] = id & 0xFF
        else:
            out[1] = id >> 3
            out[2] = (id & 7) << 5
            out[3] = 0
            out[4] = 0
        out[5] = count
        if flags & 1:
            out[5] |= _RTR_BIT
            count = 0
        for i in range(count):
            out[6 + i] = data[i]
        self._send_bytes(6 + count)

    @micropython.native
    def cancel_send(self, index):
        """Take back what waits in buffer *index*; True if it had not been sent.

        What was queued a moment ago is given the time that a frame takes, less than 1 ms.
        """
        if not self._pending() >> index & 1:
            return False
        left_us = self._frame_us - ((self._ticks_us() - self._sent_us) & MASK)
        if left_us > 0:
            self._wait(left_us)
            if not self._pending() >> index & 1:
                return False
        self._modify(_TXB0CTRL + 16 * index, _TXREQ, 0)
        return True

    @micropython.native
    def recv(self, arg=None):
        """The next frame as [id, data, flags, errors], or None.

        arg    list of at least 4 elements to be filled instead of a new one. data is a
               memoryview that the next call uses again.
        """
        if self._interrupt():
            return None
        self._out[0] = _READ_STATUS
        self._exchange(2)
        status = self._in[1]
        if not status & 3:
            return None
        self._out[0] = _READ_RX0 if status & _RX0IF else _READ_RX1
        self._exchange(14)                  # clears the buffer's flag when select rises
        got = self._in
        flags = 0
        id = got[1] << 3 | got[2] >> 5
        if got[2] & _EXIDE:
            flags = 2
            id = id << 18 | (got[2] & 3) << 16 | got[3] << 8 | got[4]
            if got[5] & _RTR_BIT:
                flags = 3
        elif got[2] & _SRR:
            flags = 1
        count = min(got[5] & 0x0F, 8)
        data = self._data
        for i in range(count):
            data[i] = 0 if flags & 1 else got[6 + i]
        result = [0, None, 0, 0] if arg is None else arg
        result[0] = id
        result[1] = self._datas[count]
        result[2] = flags
        result[3] = self._errors | (1 if status & 3 == 3 else 0)
        self._errors = 0
        return result

    # -- health ---------------------------------------------------------------------------

    def state(self):
        """One of STATE_..., from the chip. STATE_STOPPED: it has lost its configuration."""
        if self._op == _OP_CONFIG:
            return 0
        self._read_registers(_CNF3, 8)      # CNF3 CNF2 CNF1 CANINTE CANINTF EFLG CANSTAT CANCTRL
        got = self._in
        cnf = self._cnf
        if (got[2] != cnf[0] or got[3] != cnf[1] or got[4] != cnf[2] or got[5] != _INTERRUPTS
                or got[8] & _OP_MASK != self._op):
            self._state = 0
            return 0
        flags = got[7]
        if got[6] & _ERRIF:
            self._modify(_CANINTF, _ERRIF, 0)
        if flags & _OVERRUN:
            self._modify(_EFLG, _OVERRUN, 0)
            self._errors = 2
            self._overruns += 1
        state = 1
        if flags & _TXBO:
            state = 4
        elif flags & _PASSIVE:
            state = 3
        elif flags & _WARNING:
            state = 2
        if state > self._state:
            for i in range(max(self._state, 1), state):
                self._entries[i - 1] += 1
        self._state = state
        return state

    def get_counters(self, list=None):
        """[TEC, REC, entries of warning, passive and bus-off, frames waiting to be sent,
        received frames waiting, overruns]."""
        result = [0] * 8 if list is None else list
        self._read_registers(_TEC, 2)
        result[0] = self._in[2]
        result[1] = self._in[3]
        entries = self._entries
        result[2] = entries[0]
        result[3] = entries[1]
        result[4] = entries[2]
        pending = self._pending()
        status = self._in[1]
        result[5] = (pending & 1) + (pending >> 1 & 1) + (pending >> 2)
        result[6] = (status & 1) + (status >> 1 & 1)
        result[7] = self._overruns
        return result

    def get_timings(self, list=None):
        """[bit/s, jump width, quanta before and after the sample point, None, CNF1..3]."""
        result = [0] * 6 if list is None else list
        cnf3, cnf2, cnf1 = self._cnf
        before = (cnf2 & 7) + 1 + (cnf2 >> 3 & 7) + 1
        after = (cnf3 & 7) + 1
        result[0] = self.crystal_hz // (2 * ((cnf1 & 0x3F) + 1) * (1 + before + after))
        result[1] = (cnf1 >> 6) + 1
        result[2] = before
        result[3] = after
        result[4] = None
        result[5] = (cnf1, cnf2, cnf3)
        return result


def _id_bytes(value, flags, is_filter):
    """SIDH, SIDL, EID8, EID0 of a filter or a mask.

    In a standard frame the lower half of a mask would look at the data: it stays 0.
    """
    if not flags & 2:
        return bytes((value >> 3, (value & 7) << 5, 0, 0))
    top = value >> 18
    return bytes((top >> 3, (top & 7) << 5 | (_EXIDE if is_filter else 0) | value >> 16 & 3,
                  value >> 8 & 0xFF, value & 0xFF))


def _arrange(filters):
    """Six rows for the chip: two that share its first mask, four that share its second."""
    groups: list = []
    for row in filters:
        ident, mask, flags = row
        widest = 0x1FFFFFFF if flags & 2 else 0x7FF
        if not 0 <= ident <= widest or not 0 <= mask <= widest:
            raise ValueError("invalid id")
        if flags & ~2:
            raise ValueError("filters know FLAG_EXT_ID only")
        for group in groups:
            if _id_bytes(group[0][1], group[0][2], False) == _id_bytes(mask, flags, False):
                group.append(row)
                break
        else:
            groups.append([row])
    if len(groups) == 1 and len(groups[0]) <= 6:
        rows = groups[0]
        first, second = rows[:2], rows[2:] or rows[:1]
    elif len(groups) == 2 and len(groups[0]) <= 2 and len(groups[1]) <= 4:
        first, second = groups
    elif len(groups) == 2 and len(groups[1]) <= 2 and len(groups[0]) <= 4:
        second, first = groups
    else:
        raise ValueError("1 to 6 filters with 2 different masks, 2 and 4 of each, do fit")
    return (first + first)[:2] + (second * 4)[:4]
