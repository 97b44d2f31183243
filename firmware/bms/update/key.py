"""The owner's public key: where one is set, only images signed with it are taken (SAF-06)."""

import binascii

from bms.words import events as ev

BYTES = 32


class UpdateKey:
    """Set or not. Who may change it is looked at by who asks (SAF-11).

    events   Events of the pack
    public   the 32 bytes of the key, Ed25519; b"": none is set
    lost     a key was set once and cannot be read any more: nothing is taken until a person says
             what holds
    """

    def __init__(self, events):
        self._events = events
        self.public = b""
        self.lost = False
        self.dirty = False

    def set(self, text, now_ms):
        """A key as 64 hexadecimal digits, or "" for none; ValueError if it is none."""
        try:
            public = binascii.unhexlify(text)
        except ValueError:
            public = b"?"
        if len(public) not in (0, BYTES):
            raise ValueError("a key has %d hexadecimal digits" % (2 * BYTES))
        self.public = public
        self.lost = False
        self.dirty = True
        self._events.add(now_ms, ev.UPDATE_KEY, 1 if public else 0)

    def text(self):
        """For a person."""
        if self.lost:
            return "the key was lost: set it again, or say `key off`"
        if not self.public:
            return "no key is set: images need no signature"
        return "only images signed with the key " + binascii.hexlify(self.public).decode()

    def to_bytes(self):
        return self.public

    def saved(self):
        self.dirty = False

    def from_bytes(self, data):
        if len(data) not in (0, BYTES):
            self.lost = True
            raise ValueError("a key of %d bytes" % len(data))
        self.public = bytes(data)
