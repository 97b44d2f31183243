"""The owner's PIN: without it the debug port answers questions and does nothing else (SAF-11).

Only a salted hash of it is kept. Five wrong tries lock it for a minute, five more for two, and so
on; the count of wrong tries is kept over restarts.
"""

import hashlib
import os

from bms.words import events as ev
from micropython import const

_TRIES = const(5)
_LOCK_S = const(60)
_LOCK_MOST_S = const(86_400)
_SALT = const(8)
_HASH = const(32)
_ROUNDS = const(100)
_AT_ONCE = const(5)
_SHORTEST, _LONGEST = 4, 16


class Pin:
    """Set or not, and whether it was given.

    params, events   Parameters and Events of the pack

    open_s    seconds that writing is still allowed after the right PIN
    locked_s  seconds until it may be tried again
    """

    def __init__(self, params, events):
        self._params = params
        self._events = events
        self._kept = b""            # salt and hash; empty: none is set
        self._wrong = 0             # tries in a row
        self._salt = b""            # of a PIN that is about to be set
        self._ready = (b"", "", b"")        # salt, text and hash of what was prepared last
        self.open_s = 0
        self.locked_s = 0
        self.dirty = False

    def prepare(self, text, new):
        """Work out the hash of *text* in small steps, a generator: what enter(), or set() for a
        *new* one, then need not do at once. It takes 80 ms on the RP2040."""
        if new:
            self._salt = os.urandom(_SALT)
        salt = self._salt if new else self._kept[:_SALT]
        if salt and (new or not self.locked_s):
            for _ in self._hashing(salt, text):
                yield None

    def _hashing(self, salt, text):
        found = salt
        for i in range(_ROUNDS):
            found = hashlib.sha256(salt + found + text.encode()).digest()
            if i % _AT_ONCE == 0:
                yield None
        self._ready = (salt, text, found)

    def _hash(self, salt, text):
        if self._ready[0] != salt or self._ready[1] != text:
            for _ in self._hashing(salt, text):
                pass
        found = self._ready[2]
        self._ready = (b"", "", b"")
        return found

    @property
    def is_set(self):
        return len(self._kept) > 0

    @property
    def may_write(self):
        """True where no PIN is set, or the right one was given lately."""
        return not self._kept or self.open_s > 0

    def step(self):
        """Once a second."""
        if self.open_s:
            self.open_s -= 1
        if self.locked_s:
            self.locked_s -= 1

    def use(self):
        """Somebody who may write does: the time begins anew."""
        if self.open_s:
            self.open_s = 60 * self._params["pin_open_min"]

    def enter(self, text, now_ms):
        """A try; ValueError says why it does not open."""
        if not self._kept:
            raise ValueError("no PIN is set; everything is allowed")
        if self.locked_s:
            raise ValueError("too many wrong tries: wait %d s" % self.locked_s)
        if self._hash(self._kept[:_SALT], text) != self._kept[_SALT:]:
            self._wrong = min(self._wrong + 1, 255)
            self.dirty = True
            self._lock()
            self._events.add(now_ms, ev.PIN_WRONG, self._wrong)
            raise ValueError("wrong PIN" + (
                ": wait %d s" % self.locked_s if self.locked_s else
                ", %d tries left" % (_TRIES - self._wrong % _TRIES)))
        if self._wrong:
            self._wrong = 0
            self.dirty = True
        self.open_s = 60 * self._params["pin_open_min"]
        self._events.add(now_ms, ev.PIN_OPEN)

    def close(self):
        """What was opened is closed."""
        self.open_s = 0

    def set(self, text, now_ms):
        """A new PIN, or "" for none; ValueError if it may not be."""
        if not self.may_write:
            raise ValueError("locked: give the PIN first")
        if text and not _SHORTEST <= len(text) <= _LONGEST:
            raise ValueError("a PIN has %d to %d characters" % (_SHORTEST, _LONGEST))
        if text:
            salt = self._salt or os.urandom(_SALT)
            self._salt = b""
            self._kept = salt + self._hash(salt, text)
        else:
            self._kept = b""
        self._wrong = self.open_s = 0
        self.dirty = True
        self._events.add(now_ms, ev.PIN_SET, 1 if text else 0)

    def _lock(self):
        if self._wrong and self._wrong % _TRIES == 0:
            self.locked_s = min(_LOCK_S << self._wrong // _TRIES - 1, _LOCK_MOST_S)

    # -- over a power cut -------------------------------------------------------------------

    def to_bytes(self):
        return bytes((self._wrong,)) + self._kept

    def saved(self):
        self.dirty = False

    def from_bytes(self, data):
        """Take over what to_bytes() gave; raises ValueError if it is not of this form."""
        if len(data) not in (1, 1 + _SALT + _HASH):
            raise ValueError("no PIN in %d bytes" % len(data))
        self._wrong = data[0]
        self._kept = bytes(data[1:])
        self._lock()
