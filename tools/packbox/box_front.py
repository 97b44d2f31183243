"""What a BQ76952 does with a write, for a box that stands in its place: no hardware in here.

Reads are answered by a table that somebody else shows to the bus. Measurements, thresholds and
what the FETs may do come from the models on the computer, as the registers they would be; that
takes some milliseconds each way. What a controller may expect at once is done here: the transfer
buffer, data memory, sub-commands, and opening a FET. Closing waits for the models.

A *turn* is the number of writes so far. The computer says up to which turn its registers go; of
those that are older than the newest write, only measurements are taken.

One source for the box (MicroPython) and the host's tests.
"""

import micropython
from micropython import const

MEMORY_BASE = const(0x9180)
MEMORY_SIZE = const(0x280)

_SUB_LOW = const(0x3E)
_SUB_HIGH = const(0x3F)
_BUFFER = const(0x40)
_CHECKSUM = const(0x60)
_LENGTH = const(0x61)
_FETS = const(0x7F)
_STATUS = const(0x12)
_CFGUPDATE = const(1)
_SLEEP_EN = const(4)
_POR = const(8)
_FET_EN = const(0x10)
_DSG_PIN = const(0x92FB)
_SAFETY_A = const(0x03)
_ALL = const(0x0F)              # charge, pre-charge, discharge, pre-discharge FET
_BUSY_MS = const(100)           # a trip that the models have not confirmed by then is none

# Sub-commands whose answer is made when they come: the chip is at work until the computer has sent
# it. Of the others it keeps the answers up to date here.
LATE = (0x0005, 0x0071, 0x0072, 0x0073, 0x0074, 0x0075, 0x0077, 0x0080, 0x0081, 0x0085, 0x0086,
        0x0087)
KEPT = (0x0001, 0x0002, 0x0003, 0x0004, 0x0009, 0x0053, 0x0076, 0x0083, 0x0084, 0x0098)

# held off by the host: bits of FET_CONTROL to bits of the FET status
_HELD = (0x0, 0x4, 0x8, 0xC, 0x1, 0x5, 0x9, 0xD, 0x2, 0x6, 0xA, 0xE, 0x3, 0x7, 0xB, 0xF)
# sub-commands that hold FETs off, by their number from 0x93 on
_OFF = (0x03, 0x0C, 0x0F)


class Front:
    """The registers of the chip on the wire.

    show      called with (register, value) for each register that now reads otherwise
    memory    data memory, from MEMORY_BASE on
    answers   {sub-command: bytes} that the computer keeps up to date
    turn      writes taken so far; bothoff: level of the line
    tripped   bits of Safety A that step() has set and the models have not confirmed yet
    asked     -1 | sub-command whose answer the computer is to give
    was_reset RESET was asked for: the bus is to be dead until the computer says otherwise
    """

    def __init__(self, show):
        self._show = show
        self.regs = bytearray(128)
        self.memory = bytearray(MEMORY_SIZE)
        self.answers = {}
        self.turn = 0
        self.bothoff = 0
        self.bothoff_works = True
        self.bothoff_inverted = False
        self.asked = -1
        self.was_reset = False
        self._sub_low = 0
        self._host_off = 0
        self._fet_en = False
        self._driven = 0            # FET status as the models have it
        self.tripped = 0            # bits of Safety A that the models have not confirmed yet
        self._tripped_ms = 0
        self.rows = ()              # (bit of Safety A, mA, ms) of discharge comparators
        self._beyond_ms = [-1, -1, -1]
        self.current_ma = 0
        self.active = False         # step() has something to do

    # -- from the bus ----------------------------------------------------------------------

    @micropython.native
    def write(self, register, value):
        """A byte for *register*."""
        self.turn = self.turn + 1 & 0xFFFF
        if _SUB_LOW <= register <= _LENGTH:
            if register == _SUB_LOW:
                self._sub_low = value
                self._put(_SUB_LOW, value)
            elif register == _SUB_HIGH:
                self._start(self._sub_low | value << 8)
            else:
                self._put(register, value)
                if register == _LENGTH:
                    self._commit()
        elif register == 0x66 or register == 0x67:
            self._put(register, value)
        elif register == 0x62 or register == 0x63:      # alarms: a 1 clears
            self._put(register, self.regs[register] & ~value)

    def set_bothoff(self, level):
        """The line from the controller."""
        self.turn = self.turn + 1 & 0xFFFF
        self.bothoff = level
        self._drive()

    @micropython.native
    def step(self, now_ms):
        """Comparators of the discharge current; True if one has tripped now."""
        hit = False
        k = 0
        active = False
        for bit, limit_ma, delay_ms in self.rows:
            if self.current_ma > -limit_ma:
                self._beyond_ms[k] = -1
            else:
                active = True
                if self._beyond_ms[k] < 0:
                    self._beyond_ms[k] = now_ms
            if (self._beyond_ms[k] >= 0 and now_ms - self._beyond_ms[k] >= delay_ms
                    and not (self.regs[_SAFETY_A] | self.tripped) & bit):
                self.tripped |= bit
                self._tripped_ms = now_ms
                hit = True
            k += 1
        if self.tripped and now_ms - self._tripped_ms > _BUSY_MS:
            self.tripped = 0
            self._drive()
        if hit:
            self._put(_SAFETY_A, self.regs[_SAFETY_A] | self.tripped)
            self._drive()
        self.active = active or self.tripped != 0
        return hit

    def set_current(self, current_ma):
        """The current is another one from now on: charging positive."""
        self.current_ma = current_ma
        self.active = True

    # -- from the computer -----------------------------------------------------------------

    @micropython.native
    def image(self, turn, first, data):
        """Registers from *first* on, as the models had them after *turn* writes."""
        now = turn == self.turn
        regs = self.regs
        register = first
        for value in data:
            if register == _FETS:
                if now:
                    self._driven = value
                    self._drive()
            elif register == _SAFETY_A and self.tripped:
                if now:
                    if value & self.tripped == self.tripped:
                        self.tripped = 0
                    self._put(register, value | self.tripped)
            elif regs[register] != value and (
                    now or 0x14 <= register <= 0x3B or 0x68 <= register <= 0x7B):
                regs[register] = value
                self._show(register, value)
            register += 1

    def answer(self, command, data):
        """What sub-command *command* gives from now on; ends the wait for it."""
        self.answers[command] = data
        if self.asked == command:
            self.asked = -1
            self._fill(command, data)

    def put_memory(self, first, data):
        """Data memory as the models have it, from offset *first* on."""
        self.memory[first:first + len(data)] = data

    def start(self):
        """Power-on, as far as it is not in what the computer sends."""
        self._host_off = 0
        self._fet_en = False
        self.tripped = 0
        self.asked = -1
        self.was_reset = False
        self._drive()

    # -- inside ----------------------------------------------------------------------------

    def _put(self, register, value):
        self.regs[register] = value
        self._show(register, value)

    def _off(self):
        """FETs that are held off here, bits of the FET status."""
        if self.regs[_STATUS] & _CFGUPDATE or self.tripped:
            return _ALL
        pin = self.memory[_DSG_PIN - MEMORY_BASE]
        if pin & 3 == 2 and self.bothoff_works:
            active = (self.bothoff == 0) == bool(pin & 0x80)
            if active != self.bothoff_inverted:
                return _ALL if pin & 0x40 else 0x0C
        return _HELD[self._host_off] if self._fet_en else 0

    def _drive(self):
        """Open what is held off; it stays open until the models have it closed again."""
        self._driven &= ~self._off()
        if self.regs[_FETS] != self._driven:
            self._put(_FETS, self._driven)

    def _start(self, command):
        self.asked = -1
        data = self._data_of(command)
        if data is None and command in LATE:
            self.asked = command
            self._put(_SUB_LOW, 0xFF)
            self._put(_SUB_HIGH, 0xFF)
            return
        if data is None:
            data = self.answers.get(command)
        if data is None:
            self._command(command)
            self._put(_SUB_LOW, command & 0xFF)
            self._put(_SUB_HIGH, command >> 8)
            return
        self._fill(command, data)

    def _fill(self, command, data):
        total = (command & 0xFF) + (command >> 8)
        for i in range(len(data)):
            self._put(_BUFFER + i, data[i])
            total += data[i]
        self._put(_CHECKSUM, ~total & 0xFF)
        self._put(_LENGTH, len(data) + 4)
        self._put(_SUB_LOW, command & 0xFF)
        self._put(_SUB_HIGH, command >> 8)

    def _data_of(self, command):
        """What *command* gives, where that is known here; else None."""
        at = command - MEMORY_BASE
        if 0 <= at < MEMORY_SIZE:
            part = self.memory[at:at + 32]
            return part + bytes(32 - len(part))
        if command == 0x97:
            return bytes((self._host_off,))
        if command == 0x57:
            return bytes((_FET_EN if self._fet_en else 0, 0))
        return None

    def _command(self, command):
        status = self.regs[_STATUS]
        if command == 0x90:
            self._put(_STATUS, status | _CFGUPDATE)
        elif command == 0x92:
            self._put(_STATUS, status & ~(_CFGUPDATE | _POR))
        elif command == 0x99:
            self._put(_STATUS, status | _SLEEP_EN)
        elif command == 0x9A:
            self._put(_STATUS, status & ~_SLEEP_EN)
        elif command == 0x22:
            self._fet_en = not self._fet_en
        elif command == 0x96:
            self._host_off = 0
        elif 0x93 <= command <= 0x95:
            self._host_off |= _OFF[command - 0x93]
        elif command == 0x12:
            self.was_reset = True
        self._drive()

    def _commit(self):
        """The length was written: take the block if its checksum agrees."""
        regs = self.regs
        length = regs[_LENGTH] - 4
        if not 1 <= length <= 32:
            return
        total = regs[_SUB_LOW] + regs[_SUB_HIGH]
        for i in range(length):
            total += regs[_BUFFER + i]
        if ~total & 0xFF != regs[_CHECKSUM]:
            return
        command = regs[_SUB_LOW] | regs[_SUB_HIGH] << 8
        at = command - MEMORY_BASE
        data = bytes(regs[_BUFFER:_BUFFER + length])
        if 0 <= at <= MEMORY_SIZE - length:
            self.memory[at:at + length] = data
        elif command == 0x97:
            self._host_off = data[0] & 0x0F
        elif command == 0x83:
            self.answers[0x83] = data
        self._drive()
