"""MCP2515 CAN controller behind its SPI pins, and the bus it is on with everybody else.

Modelled: SPI instructions with the permissions of each register, modes and when they are
entered, bit timing from CNF1..3, three transmit buffers with priorities, aborts and one-shot,
time and stuff bits of each frame on the wire, arbitration against other nodes, acknowledge,
error counters with passive and bus-off, masks, filters, roll-over and overflow, interrupt flags
and the INT pin, reset and start-up time. After power-on what a data sheet calls unknown is junk.

Left out: the RXnBF and TXnRTS pins, CLKOUT, SOF, triple sampling, the oscillator's drift.

The far end is one node that stands for all others. It acknowledges unless the cable is out. Its
frames come in through feed(), what it hears is kept in `sent`. One source for CPython and
MicroPython's unix port.
"""

from quick import micropython

EXT = 1
RTR = 2
NEVER_US = 1 << 60

BUS_BIT_RATE = 500_000
_TOLERANCE_PER_MILLE = 15       # of the bit rate, until nobody understands anybody
_OST_CLOCKS = 128               # oscillator start-up after a reset
_TAIL_BITS = 10                 # CRC delimiter, ACK slot, its delimiter, end of frame
_ACK_AT_BITS = 8                # from the ACK slot's end to the end of the frame
_GAP_BITS = 3                   # intermission
_ERROR_BITS = 6 + 8             # error flag and delimiter
_SUSPEND_BITS = 8               # an error-passive node waits before it sends again
_BUS_OFF_BITS = 128 * 11
_IDLE_BITS = 11                 # recessive bits before a node takes part
_DESTROYED_AT = 20              # bits of a frame until a shorted bus is noticed
_BURST_US = 10_000
_BURST = 4                      # frames of an overflow burst: twice what the chip can hold

CANSTAT, CANCTRL = 0x0E, 0x0F
_TEC, _REC = 0x1C, 0x1D
_CNF3, _CNF2, _CNF1, _CANINTE, _CANINTF, _EFLG = 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D
_RXB0CTRL, _RXB1CTRL = 0x60, 0x70
_BUFFERS = (0x30, 0x40, 0x50)

NORMAL, SLEEP, LOOPBACK, LISTEN, CONFIG = range(5)

_TXREQ, _TXERR, _MLOA, _ABTF = 0x08, 0x10, 0x20, 0x40
_ABAT, _ONE_SHOT = 0x10, 0x08
_RX0IF, _RX1IF, _TX0IF, _ERRIF, _WAKIF, _MERRF = 0x01, 0x02, 0x04, 0x20, 0x40, 0x80
_EWARN, _RXWAR, _TXWAR, _RXEP, _TXEP, _TXBO, _RX0OVR, _RX1OVR = (1 << i for i in range(8))

# register: bits that SPI may write in every mode; anything else is read-only
_WRITABLE = {0x0C: 0x3F, CANCTRL: 0xFF, _CANINTE: 0xFF, _CANINTF: 0xFF,
             _EFLG: _RX0OVR | _RX1OVR, _RXB0CTRL: 0x64, _RXB1CTRL: 0x60}
# ... and in configuration mode alone
_CONFIG_ONLY = {0x0D: 0x07, _CNF1: 0xFF, _CNF2: 0xFF, _CNF3: 0xC7}
for _i in range(0x0C):
    _CONFIG_ONLY[_i] = 0xFF
for _i in range(0x10, 0x1C):
    _CONFIG_ONLY[_i] = 0xFF
for _i in range(0x20, 0x28):
    _CONFIG_ONLY[_i] = 0xFF
for _i in _BUFFERS:
    _WRITABLE[_i] = _TXREQ | 3
_MODIFIABLE = (0x0C, 0x0D, CANCTRL, _CNF1, _CNF2, _CNF3, _CANINTE, _CANINTF, _EFLG,
               0x30, 0x40, 0x50, _RXB0CTRL, _RXB1CTRL)


_bits = bytearray(160)              # of one frame; kept, for the heap may be full


@micropython.native
def frame_bits(ident, flags, data, dlc):
    """Bits of a frame on the wire, stuff bits and end of frame included."""
    _bits[0] = 0                                        # start of frame
    if flags & EXT:
        end = _put(1, ident >> 18, 11)
        end = _put(end, 3, 2)                           # SRR, IDE
        end = _put(end, ident & 0x3FFFF, 18)
        end = _put(end, 4 if flags & RTR else 0, 3)     # RTR, r1, r0
    else:
        end = _put(1, ident, 11)
        end = _put(end, 4 if flags & RTR else 0, 3)     # RTR, IDE, r0
    end = _put(end, dlc, 4)
    if not flags & RTR:
        for byte in data:
            end = _put(end, byte, 8)
    crc = 0
    for i in range(end):
        crc = crc << 1 ^ (0x4599 if (crc >> 14 ^ _bits[i]) & 1 else 0)
        crc &= 0x7FFF
    end = _put(end, crc, 15)
    stuffed = 0
    run = 0
    last = -1
    for i in range(end):
        bit = _bits[i]
        if bit == last:
            run += 1
        else:
            last = bit
            run = 1
        if run == 5:
            stuffed += 1
            last = 1 - bit
            run = 1
    return end + stuffed + _TAIL_BITS


@micropython.native
def _put(at, value, count):
    """*count* bits of *value* from *at*, the highest first; the end."""
    for i in range(count - 1, -1, -1):
        _bits[at] = value >> i & 1
        at += 1
    return at


def arbitration_key(ident, flags):
    """Lower wins. A standard frame beats the extended one that begins alike, data beat RTR."""
    if flags & EXT:
        return (ident >> 18) << 21 | 3 << 19 | (ident & 0x3FFFF) << 1 | (1 if flags & RTR else 0)
    return ident << 21 | (1 << 20 if flags & RTR else 0)


def pack_frame(ident, flags, data, dlc):
    """A frame as bytes for the way between processes: id and flags (4, big-endian), dlc, data."""
    word = ident | (0x80000000 if flags & EXT else 0) | (0x40000000 if flags & RTR else 0)
    return bytes((word >> 24, word >> 16 & 0xFF, word >> 8 & 0xFF, word & 0xFF, dlc)) + data


def unpack_frame(raw):
    """(id, flags, data, dlc) of what pack_frame() made."""
    flags = (EXT if raw[0] & 0x80 else 0) | (RTR if raw[0] & 0x40 else 0)
    ident = (raw[0] & 0x1F) << 24 | raw[1] << 16 | raw[2] << 8 | raw[3]
    return ident, flags, bytes(raw[5:]), raw[4]


class Mcp2515Model:
    """One chip, its crystal and its bus.

    crystal_hz   on the board
    sent         [end_us, id, flags, data, dlc] of the frames the far end got, oldest first
    no_ack, destroyed, flood   faults: cable out; every frame of this chip is hit; bursts of
                 frames that pass the filters
    idle_bits    recessive bits that it waits for before its first frame, in loop-back too: 0 to 11
    ignored      writes that the chip did not take, since power-on
    resets       by instruction or fault, since power-on
    """

    def __init__(self, now_us=0, crystal_hz=16_000_000, seed=1):
        self.crystal_hz = crystal_hz
        self.sent = []
        self.no_ack = False
        self.destroyed = False
        self.flood = False
        self.idle_bits = 0
        self.ignored = 0
        self.resets = 0
        self.lost = 0               # frames of the far end that nobody took
        self.next_us = NEVER_US
        self.powered = True
        self._regs = bytearray(128)
        x = seed & 0x7FFFFFFF or 1
        for i in range(128):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
            self._regs[i] = x >> 16 & 0xFF
        self._selected = False
        self._queue = []            # [due_us, key, id, flags, data, dlc] of the far end
        self._flood_us = NEVER_US
        self._reset(now_us)

    # -- power and reset --------

    def power(self, on, now_us):
        """The board's supply."""
        self.powered = bool(on)
        self._selected = False
        self._reset(now_us)

    def reset(self, now_us):
        """As its reset pin or instruction does."""
        self.resets += 1
        self._reset(now_us)

    def _reset(self, now_us):
        regs = self._regs
        for i in (_CANINTE, _CANINTF, _EFLG, _CNF1, _CNF2, _CNF3, _TEC, _REC, 0x0C, 0x0D,
                  _RXB0CTRL, _RXB1CTRL) + _BUFFERS:
            regs[i] = 0
        regs[CANCTRL] = 0x87
        self._mode = CONFIG
        self._op = -1               # first byte of an instruction | -1: none yet
        self._count = 0
        self._wire = None           # None: idle | [key, buffer or -1, id, flags, data, dlc]
        self._wire_end_us = 0
        self._free_us = now_us      # the bus is idle from here on
        self._bus_off_us = NEVER_US # end of bus-off
        self._hold_us = 0           # passive nodes wait until then
        self._mode_us = NEVER_US    # the requested mode is entered then
        self._parked = False        # unacknowledged for ever: nothing changes until somebody acts
        self._aborted = 0           # buffers on the wire that shall not be tried again
        self._awake_us = now_us + _OST_CLOCKS * 1_000_000 // self.crystal_hz
        self._plan(now_us)

    # -- SPI --------

    def select(self, now_us):
        self._selected = True
        self._op = -1
        self._count = 0
        if now_us >= self.next_us:
            self.advance(now_us)

    def deselect(self, now_us):
        if not self._selected:
            return
        self._selected = False
        op = self._op
        if op < 0:
            return
        if op == 0xC0:
            self.reset(now_us)
        elif op & 0xF9 == 0x90:
            if self._count > 1:
                self._regs[_CANINTF] &= ~(_RX1IF if op & 4 else _RX0IF) & 0xFF
        elif op & 0xF8 == 0x80 and op & 7:
            self._wake(now_us)
            for n in range(3):
                if op >> n & 1:
                    self._request(n)
        if op in (0x02, 0x05) or op & 0xF8 == 0x80:
            self._wake(now_us)
            self._plan(now_us)

    def shift(self, byte, now_us):
        """Eight clocks; returns the byte on SO."""
        if not self.powered or now_us < self._awake_us:
            return 0xFF
        if now_us >= self.next_us:
            self.advance(now_us)
        count = self._count
        self._count = count + 1
        if count == 0:
            self._op = byte
            if byte & 0xF9 == 0x90:
                self._at = (0x61, 0x66, 0x71, 0x76)[byte >> 1 & 3]
            elif byte & 0xF8 == 0x40:
                self._at = (0x31, 0x36, 0x41, 0x46, 0x51, 0x56, 0, 0)[byte & 7]
            return 0xFF
        op = self._op
        if op & 0xF9 == 0x90:
            value = self._read(self._at)
            self._at += 1
            return value
        if op & 0xF8 == 0x40:
            self._write(self._at, byte, 0xFF, now_us)
            self._at += 1
        elif op == 0x03:
            if count == 1:
                self._at = byte
                return 0xFF
            value = self._read(self._at & 0x7F)
            self._at += 1
            return value
        elif op == 0x02:
            if count == 1:
                self._at = byte
            else:
                self._write(self._at & 0x7F, byte, 0xFF, now_us)
                self._at += 1
        elif op == 0x05:
            if count == 1:
                self._at = byte & 0x7F
            elif count == 2:
                self._mask = byte
            elif count == 3:
                at = self._at
                if at & 0x0F == 0x0F:
                    at = CANCTRL
                self._write(at, byte, self._mask if at in _MODIFIABLE else 0xFF, now_us)
        elif op == 0xA0:
            regs = self._regs
            flags = regs[_CANINTF]
            value = flags & 3
            for n in range(3):
                value |= (1 if regs[_BUFFERS[n]] & _TXREQ else 0) << (2 + 2 * n)
                value |= (flags >> (2 + n) & 1) << (3 + 2 * n)
            return value
        elif op == 0xB0:
            return self._rx_status()
        return 0xFF

    def _rx_status(self):
        regs = self._regs
        have = regs[_CANINTF] & 3
        if not have:
            return 0
        at = _RXB0CTRL if have & 1 else _RXB1CTRL
        hit = regs[at] & (1 if have & 1 else 7)
        kind = (2 if regs[at + 2] & 8 else 0) | (1 if regs[at] & 8 else 0)
        return have << 6 | kind << 3 | hit

    def _read(self, at):
        if at & 0x0F == 0x0E:
            return self._mode << 5 | self._interrupt_code() << 1
        if at & 0x0F == 0x0F:
            at = CANCTRL
        return self._regs[at]

    def _interrupt_code(self):
        active = self._regs[_CANINTF] & self._regs[_CANINTE]
        for bit, code in ((_ERRIF, 1), (_WAKIF, 2), (_TX0IF, 3), (_TX0IF << 1, 4),
                          (_TX0IF << 2, 5), (_RX0IF, 6), (_RX1IF, 7)):
            if active & bit:
                return code
        return 0

    def _write(self, at, value, mask, now_us):
        regs = self._regs
        if at & 0x0F == 0x0F:
            at = CANCTRL
        allowed = _WRITABLE.get(at, 0)
        if not allowed and self._mode == CONFIG:
            allowed = _CONFIG_ONLY.get(at, 0)
        if not allowed and 0x30 <= at < 0x60 and 1 <= at & 0x0F <= 0x0D:
            sending = self._wire is not None and self._wire[1] == (at >> 4) - 3
            if not regs[at & 0x70] & _TXREQ and not sending:    # else it must be left alone
                allowed = 0xFF
        if not allowed:
            self.ignored += 1
            return
        mask &= allowed
        old = regs[at]
        new = old & ~mask | value & mask
        regs[at] = new
        if at in _BUFFERS:
            n = _BUFFERS.index(at)
            if new & _TXREQ and not old & _TXREQ:
                self._request(n)
            elif old & _TXREQ and not new & _TXREQ:
                self._abort(n)
        elif at == CANCTRL:
            if new & _ABAT:
                for n in range(3):
                    if regs[_BUFFERS[n]] & _TXREQ:
                        self._abort(n)
            if new >> 5 != self._mode:
                self._ask_mode(now_us)
            else:
                self._mode_us = NEVER_US

    def _request(self, n):
        regs = self._regs
        at = _BUFFERS[n]
        regs[at] = regs[at] & 3 | _TXREQ
        self._aborted &= ~(1 << n)
        if regs[CANCTRL] & _ABAT:
            self._abort(n)

    def _abort(self, n):
        """Pending: gone at once. On the wire: it may finish, but is not tried again."""
        self._regs[_BUFFERS[n]] &= ~_TXREQ & 0xFF
        if self._wire is not None and self._wire[1] == n:
            self._aborted |= 1 << n
        else:
            self._regs[_BUFFERS[n]] |= _ABTF

    def int_level(self):
        """Level of the INT pin: low while an enabled interrupt flag is set."""
        return 0 if self.powered and self._regs[_CANINTF] & self._regs[_CANINTE] else 1

    def take_sent(self):
        """What is in `sent`, which is empty then."""
        sent = self.sent
        self.sent = []
        return sent

    def mode(self):
        return self._mode

    def counters(self):
        """(TEC, REC, bus-off)."""
        regs = self._regs
        return regs[_TEC], regs[_REC], bool(regs[_EFLG] & _TXBO)

    def bit_rate(self):
        """In bit/s, from CNF1..3 and the crystal."""
        regs = self._regs
        cnf2 = regs[_CNF2]
        ps1 = (cnf2 >> 3 & 7) + 1
        ps2 = (regs[_CNF3] & 7) + 1 if cnf2 & 0x80 else max(ps1, 2)
        quanta = 1 + (cnf2 & 7) + 1 + ps1 + ps2
        return self.crystal_hz / (2 * ((regs[_CNF1] & 0x3F) + 1) * quanta)

    # -- the bus --------

    def feed(self, ident, flags, data, dlc, now_us):
        """A frame that another node wants to send from *now_us* on."""
        if self.no_ack:
            self.lost += 1
            return
        self._queue.append([now_us, arbitration_key(ident, flags), ident, flags, bytes(data),
                            dlc])
        self._wake(now_us)
        self._plan(now_us)

    def faults_changed(self, now_us):
        """After no_ack, destroyed or flood was set."""
        self._wake(now_us)
        if self.no_ack:
            self.lost += len(self._queue)
            self._queue = []
        if self.flood:
            if self._flood_us >= NEVER_US:
                self._flood_us = now_us
        else:
            self._flood_us = NEVER_US
        self._plan(now_us)

    def _takes_part(self):
        return (self.powered and self._mode in (NORMAL, LISTEN)
                and self._bus_off_us >= NEVER_US)

    def _understands(self):
        rate = self.bit_rate()
        return abs(rate - BUS_BIT_RATE) * 1000 <= _TOLERANCE_PER_MILLE * BUS_BIT_RATE

    def _bits_us(self, bits):
        return int(bits * 1_000_000 / self.bit_rate() + 0.5)

    def _wake(self, now_us):
        """Whoever acts ends the time in which only the same failure repeats."""
        if self._parked:
            self._parked = False
            self._free_us = max(self._free_us, now_us)
        if now_us >= self.next_us:
            self.advance(now_us)

    def _ask_mode(self, now_us):
        wanted = self._regs[CANCTRL] >> 5
        if wanted in (NORMAL, LISTEN) and self._mode == CONFIG:
            self._mode_us = now_us + self._bits_us(_IDLE_BITS)
        else:
            self._mode_us = now_us

    def _enter_mode(self, now_us):
        """The requested mode, if nothing is pending; else later."""
        regs = self._regs
        for at in _BUFFERS:
            if regs[at] & _TXREQ and self._mode in (NORMAL, LOOPBACK):
                return False
        if self._wire is not None:
            return False
        self._mode = min(regs[CANCTRL] >> 5, CONFIG)
        self._mode_us = NEVER_US
        if self._mode in (NORMAL, LOOPBACK) and self.idle_bits:
            self._free_us = max(self._free_us, now_us + self._bits_us(self.idle_bits))
        if self._mode == CONFIG:
            regs[_TEC] = regs[_REC] = 0
            regs[_EFLG] &= _RX0OVR | _RX1OVR
            self._bus_off_us = NEVER_US
        return True

    def advance(self, now_us):
        """Bring chip and bus up to *now_us*."""
        guard = 0
        while self.next_us <= now_us:
            self._event(self.next_us)
            guard += 1
            if guard > 1_000_000:
                raise RuntimeError("CAN model: time stands still")

    def _event(self, t_us):
        if self._flood_us <= t_us:
            self._flood_us += _BURST_US
            if not self.no_ack:
                for _ in range(_BURST):
                    self._queue.append([t_us, arbitration_key(0x305, 0), 0x305, 0, bytes(8), 8])
        if self._bus_off_us <= t_us:
            self._bus_off_us = NEVER_US
            regs = self._regs
            regs[_TEC] = regs[_REC] = 0
            self._error_flags()
            self._free_us = t_us
        if self._wire is not None and self._wire_end_us <= t_us:
            self._end_of_frame(t_us)
        if self._mode_us <= t_us:
            self._enter_mode(t_us)
        if self._wire is None and self._free_us <= t_us:
            self._start_frame(t_us)
        self._plan(t_us)

    def _plan(self, now_us):
        """When something happens next."""
        due = self._flood_us
        if self._bus_off_us < due:
            due = self._bus_off_us
        if self._wire is not None:
            if self._wire_end_us < due:
                due = self._wire_end_us
        elif not self._parked:
            start = self._next_start_us(now_us)
            if start < due:
                due = start
        if self._mode_us < due and self._wire is None:
            if self._mode_us > now_us or not self._pending():
                due = self._mode_us
        self.next_us = due if due > now_us else now_us + 1

    def _pending(self):
        if not self.powered or self._mode not in (NORMAL, LOOPBACK):
            return False
        for at in _BUFFERS:
            if self._regs[at] & _TXREQ:
                return True
        return False

    def _next_start_us(self, now_us):
        due = NEVER_US
        if self._queue:
            due = self._queue[0][0]
        if self._pending() and self._bus_off_us >= NEVER_US:
            mine = max(now_us, self._hold_us)
            if mine < due:
                due = mine
        return due if due >= NEVER_US else max(due, self._free_us, now_us)

    def _best_buffer(self):
        """The buffer to be sent: highest priority, then highest number; -1: none."""
        best = -1
        regs = self._regs
        for n in range(3):
            at = _BUFFERS[n]
            if regs[at] & _TXREQ and (best < 0 or regs[at] & 3 >= regs[_BUFFERS[best]] & 3):
                best = n
        return best

    def _frame_of(self, n):
        """[key, buffer, id, flags, data, dlc] of transmit buffer *n*."""
        regs = self._regs
        at = _BUFFERS[n]
        ident = regs[at + 1] << 3 | regs[at + 2] >> 5
        flags = 0
        if regs[at + 2] & 8:
            flags = EXT
            ident = ident << 18 | (regs[at + 2] & 3) << 16 | regs[at + 3] << 8 | regs[at + 4]
        dlc = regs[at + 5] & 0x0F
        if regs[at + 5] & 0x40:
            flags |= RTR
        count = 0 if flags & RTR else min(dlc, 8)
        return [arbitration_key(ident, flags), n, ident, flags,
                bytes(regs[at + 6:at + 6 + count]), dlc]

    def _start_frame(self, t_us):
        mine = None
        if self._pending() and self._bus_off_us >= NEVER_US and self._hold_us <= t_us:
            mine = self._frame_of(self._best_buffer())
        other = None
        if self._mode != LOOPBACK or mine is None:
            for row in self._queue:
                if row[0] <= t_us and (other is None or row[1] < other[1]):
                    other = row
        if mine is None and other is None:
            return
        if other is not None and (mine is None or other[1] <= mine[0]):
            if mine is not None:
                self._regs[_BUFFERS[mine[1]]] |= _MLOA
            self._queue.remove(other)
            self._wire = [other[1], -1, other[2], other[3], other[4], other[5]]
            bits = frame_bits(other[2], other[3], other[4], other[5])
            self._wire_end_us = t_us + bits * 1_000_000 // BUS_BIT_RATE
            return
        self._wire = mine
        bits = frame_bits(mine[2], mine[3], mine[4], mine[5])
        if self._mode == NORMAL:
            if self.destroyed or not self._understands():
                bits = _DESTROYED_AT + _ERROR_BITS
            elif self.no_ack:
                bits += _ERROR_BITS - _ACK_AT_BITS
        self._wire_end_us = t_us + self._bits_us(bits)

    def _end_of_frame(self, t_us):
        wire, self._wire = self._wire, None
        n = wire[1]
        self._free_us = t_us + (_GAP_BITS * 1_000_000 // BUS_BIT_RATE if n < 0
                                else self._bits_us(_GAP_BITS))
        if n < 0:
            self._heard(wire)
        elif self._mode == LOOPBACK:
            self._done(n)
            self._receive(wire)
        elif self.destroyed or not self._understands():
            self._failed(n, t_us, True)
        elif self.no_ack:
            self._failed(n, t_us, self._regs[_TEC] < 128)
            if self._regs[_TEC] >= 128 and not self._regs[_CANINTE] & _MERRF and (
                    self._flood_us >= NEVER_US and not self._aborted and self._pending()):
                self._parked = True
        else:
            regs = self._regs
            if regs[_TEC]:
                regs[_TEC] -= 1
                self._error_flags()
            self._done(n)
            self.sent.append([t_us, wire[2], wire[3], wire[4], wire[5]])

    def _done(self, n):
        regs = self._regs
        regs[_BUFFERS[n]] &= 3
        regs[_CANINTF] |= _TX0IF << n
        self._aborted &= ~(1 << n)

    def _failed(self, n, t_us, count):
        regs = self._regs
        at = _BUFFERS[n]
        regs[at] |= _TXERR
        regs[_CANINTF] |= _MERRF
        if count:
            tec = regs[_TEC] + 8
            if tec > 255:
                regs[_TEC] = 255
                self._bus_off_us = t_us + self._bits_us(_BUS_OFF_BITS)
            else:
                regs[_TEC] = tec
            self._error_flags()
        if regs[_TEC] >= 128:
            self._hold_us = t_us + self._bits_us(_GAP_BITS + _SUSPEND_BITS)
        if self._aborted >> n & 1 or regs[CANCTRL] & _ONE_SHOT:
            self._aborted &= ~(1 << n)
            regs[at] = regs[at] & ~_TXREQ & 0xFF | _ABTF

    def _error_flags(self):
        """EFLG from the counters; a change is an interrupt."""
        regs = self._regs
        tec, rec = regs[_TEC], regs[_REC]
        flags = regs[_EFLG] & (_RX0OVR | _RX1OVR)
        if self._bus_off_us < NEVER_US:
            flags |= _TXBO
        flags |= (_TXEP if tec >= 128 else 0) | (_RXEP if rec >= 128 else 0)
        flags |= (_TXWAR if tec >= 96 else 0) | (_RXWAR if rec >= 96 else 0)
        if flags & (_TXWAR | _RXWAR):
            flags |= _EWARN
        if flags != regs[_EFLG]:
            regs[_EFLG] = flags
            regs[_CANINTF] |= _ERRIF

    def _heard(self, wire):
        """A frame of the far end is over."""
        regs = self._regs
        if self._mode == SLEEP and regs[_CANINTE] & _WAKIF:
            regs[_CANINTF] |= _WAKIF
            regs[CANCTRL] = regs[CANCTRL] & 0x1F | LISTEN << 5
            self._mode = LISTEN
            return
        if not self._takes_part():
            return
        if not self._understands():
            if self._mode == NORMAL and regs[_REC] < 128:
                regs[_REC] += 1
                self._error_flags()
            regs[_CANINTF] |= _MERRF
            return
        if regs[_REC]:
            regs[_REC] -= 1
            self._error_flags()
        self._receive(wire)

    def _matches(self, first, filters, wire):
        """Number of the filter that *wire* passes with mask register *first*, or -1."""
        regs = self._regs
        ident, flags = wire[2], wire[3]
        for number in filters:
            at = 4 * number + (4 if number >= 3 else 0)
            if bool(regs[at + 1] & 8) != bool(flags & EXT):
                continue
            m = regs[first:first + 4]
            f = regs[at:at + 4]
            mask = m[0] << 3 | m[1] >> 5
            want = f[0] << 3 | f[1] >> 5
            if flags & EXT:
                mask = mask << 18 | (m[1] & 3) << 16 | m[2] << 8 | m[3]
                want = want << 18 | (f[1] & 3) << 16 | f[2] << 8 | f[3]
                have = ident
            else:                                   # the rest of the mask looks at the data
                data = wire[4] + b"\0\0"
                mask = mask << 16 | m[2] << 8 | m[3]
                want = want << 16 | f[2] << 8 | f[3]
                have = ident << 16 | data[0] << 8 | data[1]
                if len(wire[4]) < 2:
                    mask &= ~0xFF
                if not wire[4]:
                    mask &= ~0xFFFF
            if (have ^ want) & mask == 0:
                return number
        return -1

    def _receive(self, wire):
        """Acceptance, roll-over, overflow (data sheet, figure 4-3)."""
        regs = self._regs
        have = regs[_CANINTF]
        hit = -1
        if regs[_RXB0CTRL] & 0x60 == 0x60:
            hit = 0
        else:
            hit = self._matches(0x20, (0, 1), wire)
        if hit >= 0:
            if not have & _RX0IF:
                self._store(_RXB0CTRL, hit, wire)
                regs[_CANINTF] |= _RX0IF
                return
            if regs[_RXB0CTRL] & 4:
                if not have & _RX1IF:
                    self._store(_RXB1CTRL, hit, wire)
                    regs[_CANINTF] |= _RX1IF
                    return
                regs[_EFLG] |= _RX1OVR
            else:
                regs[_EFLG] |= _RX0OVR
            regs[_CANINTF] |= _ERRIF
            return
        hit = 2 if regs[_RXB1CTRL] & 0x60 == 0x60 else self._matches(0x24, (2, 3, 4, 5), wire)
        if hit < 0:
            return
        if have & _RX1IF:
            regs[_EFLG] |= _RX1OVR
            regs[_CANINTF] |= _ERRIF
            return
        self._store(_RXB1CTRL, hit, wire)
        regs[_CANINTF] |= _RX1IF

    def _store(self, at, hit, wire):
        regs = self._regs
        ident, flags, data, dlc = wire[2], wire[3], wire[4], wire[5]
        remote = 8 if flags & RTR else 0
        if at == _RXB0CTRL:
            bukt = regs[at] & 4
            regs[at] = regs[at] & 0x60 | remote | bukt | bukt >> 1 | hit & 1
        else:
            regs[at] = regs[at] & 0x60 | remote | hit
        if flags & EXT:
            regs[at + 1] = ident >> 21
            regs[at + 2] = (ident >> 18 & 7) << 5 | 8 | ident >> 16 & 3
            regs[at + 3] = ident >> 8 & 0xFF
            regs[at + 4] = ident & 0xFF
            regs[at + 5] = dlc | (0x40 if flags & RTR else 0)
        else:
            regs[at + 1] = ident >> 3
            regs[at + 2] = (ident & 7) << 5 | (0x10 if flags & RTR else 0)
            regs[at + 5] = dlc
        for i in range(len(data)):
            regs[at + 6 + i] = data[i]
