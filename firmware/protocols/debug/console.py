"""A line editor for a person with a terminal, and for programs that send a word and LF.

Bytes come in one by one; what is to be sent is fetched in pieces by more(), as the port has room.
An answer is a generator: a piece costs a few milliseconds, and nothing is worked out before the
last piece is on its way. While nobody talks nothing is allocated.
"""

import micropython
from micropython import const
from ticks import MASK

PROMPT = b"\rpylon>"
_LONGEST = const(240)       # of a line
_OUT = const(512)
_PIECE = const(200)         # a further piece of an answer is fetched while less waits
_BUDGET_US = const(3000)    # ... and no longer than this in one step
_HISTORY = const(480)       # bytes of lines that the arrows bring back
_AHEAD = const(64)          # bytes typed while an answer comes

_CR, _LF, _ESC, _BELL, _TAB = const(13), const(10), const(27), const(7), const(9)
_CTRL_A, _CTRL_C, _CTRL_E, _CTRL_K, _CTRL_L, _CTRL_U, _CTRL_W = (
    const(1), const(3), const(5), const(11), const(12), const(21), const(23))
_BACKSPACE, _DELETE = const(8), const(127)
_TEXT, _ESCAPE, _SEQUENCE = range(3)


class Console:
    """One person's end of a port.

    answers    Answers
    ticks_us   function

    out        the newest piece, after more()
    """

    def __init__(self, answers, ticks_us):
        self._answers = answers
        self._ticks_us = ticks_us
        self.out = bytearray(_OUT)
        self._used = 0              # of out, not fetched yet
        self._line = bytearray(_LONGEST)
        self._length = 0
        self._at = 0                # the cursor
        self._stale = False         # the terminal does not show the line as it is
        self._state = _TEXT
        self._number = 0            # of an escape sequence
        self._was_cr = False
        self._history = bytearray(_HISTORY)     # length and bytes of each line, the newest first
        self._recalled = -1         # which of them is shown, -1: none
        self._ahead = bytearray(_AHEAD)
        self._waiting = 0           # of ahead
        self._job = None            # None | generator of the answer that is being given
        self._left = b""            # of its piece that did not fit
        self._left_at = 0

    def take(self, byte):
        """Take one received byte."""
        if self._job is None:
            self._edit(byte)
        elif byte == _CTRL_C:
            self._stop()
        elif self._waiting < _AHEAD:
            self._ahead[self._waiting] = byte
            self._waiting += 1

    @micropython.native
    def more(self):
        """Length of what is to be sent now, in *out*; 0: nothing."""
        if self._job is not None:
            self._go_on()
        if self._stale:
            self._show()
        used = self._used
        self._used = 0
        return used

    def restart(self):
        """After an exception: the answer is given up."""
        self._used = self._waiting = 0
        self._end()

    # -- answers ----------------------------------------------------------------------------

    def _go_on(self):
        start_us = self._ticks_us()
        while self._used < _PIECE:
            if self._left_at >= len(self._left) and not self._fetch():
                self._type_ahead()
                return
            self._left_at += self._put(self._left, self._left_at)
            if (self._ticks_us() - start_us) & MASK > _BUDGET_US:
                return

    def _fetch(self):
        """The next piece of the answer; False: that was all."""
        try:
            self._left = next(self._job).encode()   # type: ignore[arg-type]
        except StopIteration:
            self._end()
            return False
        self._left_at = 0
        return True

    def _end(self):
        self._job = None
        self._left = b""
        self._left_at = 0
        self._length = self._at = 0
        self._put(PROMPT, 0)

    def _stop(self):
        """The person has enough of the answer."""
        self._waiting = 0
        self._put(b"\r\n^C\r\n", 0)
        self._end()

    def _type_ahead(self):
        """What was typed meanwhile."""
        count, self._waiting = self._waiting, 0
        for i in range(count):
            if self._job is None:
                self._edit(self._ahead[i])
            else:                       # i is not behind where it goes to
                self._ahead[self._waiting] = self._ahead[i]
                self._waiting += 1

    def _put(self, data, at):
        """Copy of *data* from *at* what there is room for; how much that was."""
        used = self._used
        count = min(len(data) - at, _OUT - used)
        self.out[used:used + count] = data[at:at + count]
        self._used = used + count
        return count

    def _put_byte(self, byte):
        if self._used < _OUT:
            self.out[self._used] = byte
            self._used += 1

    # -- the line ---------------------------------------------------------------------------

    def _edit(self, byte):
        was_cr, self._was_cr = self._was_cr, byte == _CR
        if self._state != _TEXT and byte >= 32:
            self._escape(byte)
            return
        self._state = _TEXT
        if byte == _CR or byte == _LF:
            if not (byte == _LF and was_cr):
                self._enter()
        elif byte == _ESC:
            self._state = _ESCAPE
            self._number = 0
        elif byte >= 32 and byte != _DELETE:
            self._insert(byte)
        elif byte == _BACKSPACE or byte == _DELETE:
            if self._at:
                self._rub(self._at - 1, self._at)
        elif byte == _CTRL_C:
            self._put(b"^C\r\n", 0)
            self._end()
        elif byte == _TAB:
            self._complete()
        elif byte == _CTRL_U:
            self._rub(0, self._at)
        elif byte == _CTRL_K:
            self._rub(self._at, self._length)
        elif byte == _CTRL_W:
            self._rub(self._word_start(), self._at)
        elif byte == _CTRL_A:
            self._move(0)
        elif byte == _CTRL_E:
            self._move(self._length)
        elif byte == _CTRL_L:
            self._stale = True

    def _escape(self, byte):
        """Arrows, Home, End, Delete; all others are forgotten."""
        if self._state == _ESCAPE:
            self._state = _SEQUENCE if byte == 0x5B or byte == 0x4F else _TEXT     # [ or O
            return
        if 0x30 <= byte <= 0x39:
            self._number = (self._number * 10 + byte - 0x30) & 0xFF
            return
        if byte == 0x3B:                # a modifier follows
            return
        self._state = _TEXT
        if byte == 0x41:
            self._recall(self._recalled + 1)
        elif byte == 0x42:
            self._recall(self._recalled - 1)
        elif byte == 0x43:
            self._move(min(self._at + 1, self._length))
        elif byte == 0x44:
            self._move(max(self._at - 1, 0))
        elif byte == 0x48 or byte == 0x7E and self._number in (1, 7):
            self._move(0)
        elif byte == 0x46 or byte == 0x7E and self._number in (4, 8):
            self._move(self._length)
        elif byte == 0x7E and self._number == 3 and self._at < self._length:
            self._rub(self._at, self._at + 1)

    def _insert(self, byte):
        line = self._line
        if self._length >= _LONGEST:
            self._put_byte(_BELL)
            return
        for i in range(self._length, self._at, -1):
            line[i] = line[i - 1]
        line[self._at] = byte
        self._at += 1
        self._length += 1
        if self._at == self._length and not self._stale:
            self._put_byte(byte)
        else:
            self._stale = True

    def _rub(self, start, end):
        """Take line[start:end] away."""
        if start == end:
            return
        line = self._line
        count = end - start
        for i in range(end, self._length):
            line[i - count] = line[i]
        self._length -= count
        self._at = start
        self._stale = True

    def _move(self, at):
        self._stale = self._stale or at != self._at
        self._at = at

    def _word_start(self):
        at = self._at
        while at and self._line[at - 1] == 32:
            at -= 1
        while at and self._line[at - 1] != 32:
            at -= 1
        return at

    def _show(self):
        """Draw the line anew."""
        self._stale = False
        self._put(PROMPT, 0)
        for i in range(self._length):
            self._put_byte(self._line[i])
        self._put(b"\x1b[K", 0)
        if self._at < self._length:
            self._put(b"\x1b[%dD" % (self._length - self._at), 0)

    def _text(self, end):
        """line[:end] as text; None if it is none."""
        try:
            return bytes(self._line[:end]).decode()
        except UnicodeError:
            return None

    def _enter(self):
        """The line is complete: answer it."""
        if self._stale:
            self._show()
        self._put_byte(_LF)             # a pack of Pylontech echoes this, whatever came
        text = self._text(self._length)
        self._recalled = -1
        self._left = b""
        self._left_at = 0
        if text is None:
            self._put(b"\rthe line is no text\r\n", 0)
            self._end()
        elif not text.strip():
            self._end()
        else:
            self._remember(text)
            self._job = self._answers.run(text)
            self._fetch()               # a word that acts has acted, whatever is typed behind it

    def _complete(self):
        """Tab: complete the word before the cursor, or show what it may become."""
        text = self._text(self._at)
        if text is None or self._at != self._length:
            return
        begun, names = self._answers.complete(text)
        if not names:
            self._put_byte(_BELL)
            return
        common = names[0]
        for name in names:
            while not name.startswith(common):
                common = common[:-1]
        rest = common[len(begun):] + (" " if len(names) == 1 else "")
        for c in rest:
            self._insert(ord(c))
        if not rest:
            self._put(b"\r\n", 0)
            for name in names[:12]:
                self._put((name + " ").encode(), 0)
            self._put(b"...\r\n" if len(names) > 12 else b"\r\n", 0)
            self._stale = True

    # -- history ----------------------------------------------------------------------------

    def _remember(self, text):
        """Put the line before the others; a PIN is not kept."""
        if text.split()[0].lower() == "pin":
            return
        history = self._history
        length = self._length
        if history[0] == length and history[1:1 + length] == self._line[:length]:
            return
        for i in range(_HISTORY - 1, length, -1):
            history[i] = history[i - length - 1]
        history[0] = length
        for i in range(length):
            history[1 + i] = self._line[i]

    def _recall(self, number):
        """Show the line that was entered *number* lines ago; below 0: an empty one."""
        history = self._history
        at = 0
        for _ in range(number):
            at += 1 + history[at]
            if at >= _HISTORY:
                return
        length = history[at] if number >= 0 else 0
        if number >= 0 and (not length or at + 1 + length > _HISTORY):
            return
        self._recalled = max(number, -1)
        for i in range(length):
            self._line[i] = history[at + 1 + i]
        self._length = self._at = length
        self._stale = True
