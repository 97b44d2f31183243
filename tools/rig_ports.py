"""The wires between the controller's ports and the programs that talk to it.

A port is a pseudo-terminal whose both ends stay open, so that clients may come and go. The
RS485 faults of the rig are made here, on the wire, for every target alike.
"""

import fcntl
import os
import random
import struct
import termios
import time
import tty

from link import Splitter

_STALE_S = 5.0          # output that nobody has read for so long was for nobody


class PtyPort:
    """One pseudo-terminal. path: what a client opens."""

    def __init__(self):
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._read_up = time.monotonic()

    def read(self):
        """What clients have written since the last call."""
        try:
            return os.read(self._master, 4096)
        except OSError:         # nothing there
            return b""

    def write(self, data):
        """Hand *data* to the client; what nobody reads is thrown away, oldest first."""
        unread = struct.unpack("i", fcntl.ioctl(self._slave, termios.FIONREAD, b"\0" * 4))[0]
        now = time.monotonic()
        if not unread:
            self._read_up = now
        if unread > 3000 or now - self._read_up > _STALE_S:
            termios.tcflush(self._slave, termios.TCIFLUSH)
            self._read_up = now
        try:
            os.write(self._master, data)
        except BlockingIOError:
            pass

    def close(self):
        os.close(self._master)
        os.close(self._slave)


class Rs485Faults:
    """Noise, echo and a babbling node on the inverter's bus.

    noise   share of bytes spoilt in each direction, 0 to 1
    echo    the pack hears what it sends
    babble  share of the line's time that another node fills with random bytes, 0 to 1
    """

    def __init__(self, seed):
        self.noise = 0.0
        self.echo = False
        self.babble = 0.0
        self._random = random.Random(f"rs485 {seed}")
        self._owed = 0.0        # bytes of babble that were not whole yet

    @property
    def active(self):
        return bool(self.noise or self.echo or self.babble)

    @property
    def needs_small_steps(self):
        return bool(self.echo or self.babble)

    def _spoil(self, data):
        rate = max(self.noise, self.babble)
        if not rate:
            return data
        rand = self._random
        return bytes(b ^ rand.randrange(1, 256) if rand.random() < rate else b for b in data)

    def to_pack(self, from_client, from_pack, us, baud):
        """What the pack hears in the next *us*: its client, its echo, the babbling node."""
        data = self._spoil(from_client)
        if self.echo:
            data = self._spoil(from_pack) + data
        if self.babble:
            self._owed += self.babble * us * baud / 10_000_000
            count = max(0, int(self._owed) - len(data))
            self._owed -= int(self._owed)
            data += self._random.randbytes(count)
        return data

    def to_client(self, data):
        return self._spoil(data)


class DebugMux:
    """Shares the debug port between the rig's requests and a client's.

    Frames of the client are passed on whole, so that a request of the rig never lands inside
    one; of what comes back, answers to the rig's own sequence numbers are kept.
    """

    _PATIENCE_S = 0.05

    def __init__(self):
        self.clear()

    def clear(self):
        self._from_client = Splitter()
        self._from_pack = Splitter()
        self._client_at = 0.0

    def client(self, data):
        """Bytes of the client that may go out now."""
        pieces = self._from_client.feed(data) if data else []
        now = time.monotonic()
        if data:
            self._client_at = now
        elif self._from_client.held and now - self._client_at > self._PATIENCE_S:
            pieces.append(self._from_client.flush())
        return b"".join(piece if isinstance(piece, bytes) else piece.raw for piece in pieces)

    def pack(self, data, is_ours):
        """(bytes for the client, frames for the rig). is_ours(frame) tells which are."""
        for_client, ours = [], []
        for piece in self._from_pack.feed(data):
            if isinstance(piece, bytes):
                for_client.append(piece)
            elif is_ours(piece):
                ours.append(piece)
            else:
                for_client.append(piece.raw)
        return b"".join(for_client), ours
