"""The wires between the controller's ports and the programs that talk to it.

A port is a pseudo-terminal whose both ends stay open, so that clients may come and go. The
RS485 faults of the rig are made here, on the wire, for every target alike.
"""

import fcntl
import os
import random
import re
import socket
import struct
import termios
import time
import tty

from packctl.link import Splitter

_STALE_S = 5            # output that nobody has read for so long was for nobody: of the pack's
                        # time and of this computer's, as either may be much faster


class PtyPort:
    """One pseudo-terminal. path: what a client opens."""

    def __init__(self):
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._read_up = time.monotonic()        # nothing was unread then, and at
        self._read_up_us = 0                    # ... in the pack's time

    def read(self):
        """What clients have written since the last call."""
        try:
            return os.read(self._master, 4096)
        except OSError:         # nothing there
            return b""

    def write(self, data, now_us):
        """Hand *data* to the client; what nobody reads is thrown away, oldest first.

        now_us   of the pack
        """
        unread = struct.unpack("i", fcntl.ioctl(self._slave, termios.FIONREAD, b"\0" * 4))[0]
        now = time.monotonic()
        if not unread:
            self._read_up, self._read_up_us = now, now_us
        if unread > 3000 or (now - self._read_up > _STALE_S
                             and now_us - self._read_up_us > _STALE_S * 1_000_000):
            termios.tcflush(self._slave, termios.TCIFLUSH)
            self._read_up, self._read_up_us = now, now_us
        try:
            os.write(self._master, data)
        except BlockingIOError:
            pass

    def close(self):
        os.close(self._master)
        os.close(self._slave)


class TcpPort:
    """A port as raw bytes over TCP on this machine, for clients that cannot open a terminal.

    Any number of clients, one after the other or together; each hears everything.
    """

    _LIMIT = 1_000_000      # bytes that a client may be behind before it is dropped

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self._clients = {}          # socket: bytes to send
        self.url = "socket://127.0.0.1:%d" % self._server.getsockname()[1]

    def read(self):
        """What clients have written since the last call."""
        try:
            while True:
                client, _ = self._server.accept()
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients[client] = b""
        except OSError:             # nobody is waiting
            pass
        heard = b""
        for client in list(self._clients):
            try:
                data = client.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._drop(client)
            heard += data
        return heard

    def write(self, data, now_us):
        for client in list(self._clients):
            unsent = self._clients[client] + data
            try:
                unsent = unsent[client.send(unsent):]
            except BlockingIOError:
                pass
            except OSError:
                self._drop(client)
                continue
            if len(unsent) > self._LIMIT:
                self._drop(client)
            else:
                self._clients[client] = unsent

    def _drop(self, client):
        del self._clients[client]
        client.close()

    def close(self):
        for client in list(self._clients):
            self._drop(client)
        self._server.close()


class Port:
    """A port of the controller: a pseudo-terminal (path), and the same over TCP (url)."""

    def __init__(self):
        self._ends = (PtyPort(), TcpPort())
        self.path = self._ends[0].path
        self.url = self._ends[1].url

    def read(self):
        """What clients have written since the last call."""
        return self._ends[0].read() + self._ends[1].read()

    def write(self, data, now_us):
        """Hand *data* to every client. now_us: of the pack."""
        for end in self._ends:
            end.write(data, now_us)

    def close(self):
        for end in self._ends:
            end.close()


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


class CanPort:
    """The CAN bus for other programs: a TCP port on this machine that speaks SLCAN.

    Any number of clients may be on it; each hears the pack and all others, as on a bus. They are
    in reach of python-can by interface and channel alone. Commands are obeyed without a word:
    python-can would take a word for "no frame".
    """

    interface = "slcan"
    _LIMIT = 4_000_000      # bytes that a client may be behind before it misses frames
    _FRAME = re.compile(r"(?:([tr])([0-7][0-9A-F]{2})|([TR])([01][0-9A-F]{7}))([0-8])"
                        r"((?:[0-9A-F]{2}){0,8})\Z")

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self._clients = []          # [socket, bytes heard, bytes to send, open]
        self.channel = "socket://127.0.0.1:%d" % self._server.getsockname()[1]

    def read(self):
        """What clients have sent since the last call: [(id, extended, remote, data, dlc)]."""
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                break
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients.append([client, b"", b"", False])
        frames = []
        for row in list(self._clients):
            self._listen(row, frames)
            self._flush(row)
        return frames

    def _listen(self, row, frames):
        try:
            while True:
                data = row[0].recv(65536)
                if not data:
                    self._drop(row)
                    return
                row[1] += data
        except BlockingIOError:
            pass
        except OSError:
            self._drop(row)
            return
        *lines, row[1] = row[1].split(b"\r")
        row[1] = row[1][-64:]
        for line in lines:
            self._obey(row, line.decode("latin-1").strip(), frames)

    def _obey(self, row, line, frames):
        match = self._FRAME.match(line)
        if match:
            if not row[3]:
                return
            remote = (match[1] or match[3]) in "rR"
            data = b"" if remote else bytes.fromhex(match[6])
            dlc = int(match[5])
            if remote or len(data) == dlc:
                frame = (int(match[2] or match[4], 16), bool(match[3]), remote, data, dlc)
                frames.append(frame)
                self.write(*frame, but=row)
        elif line[:1] in ("O", "L"):
            row[3] = True
        elif line[:1] == "C":
            row[3] = False
        elif line[:1] == "V":
            row[2] += b"V1013\r"
        elif line[:1] == "N":
            row[2] += b"NPACK\r"

    def write(self, ident, extended, remote, data, dlc, but=None):
        """Hand a frame to every client that has opened its channel."""
        kind = "r" if remote else "t"
        text = (f"{kind.upper()}{ident:08X}" if extended else f"{kind}{ident:03X}") + str(dlc)
        line = (text + data.hex().upper()).encode() + b"\r"
        for row in list(self._clients):
            if row[3] and row is not but and len(row[2]) < self._LIMIT:
                row[2] += line
                self._flush(row)

    def _flush(self, row):
        try:
            while row[2]:
                row[2] = row[2][row[0].send(row[2]):]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(row)

    def _drop(self, row):
        if row in self._clients:
            self._clients.remove(row)
        row[0].close()

    def close(self):
        for row in list(self._clients):
            self._drop(row)
        self._server.close()
