"""CAN to the inverter: a set of frames each second, its signs of life, and a way back
from whatever happens to the bus or to the controller chip (COM-02)."""

import micropython
from bms.words import events as ev
from protocols.can import layout
from protocols.pcs import RS485_ONLY
from bound import bind
from ticks import MASK

PERIOD_MS = 50
BITRATE = 500_000
_SLOTS = 1000 // PERIOD_MS      # steps of one set; each step sends one frame
_REFRESH = 4                    # frames from one picture: none is older than 300 ms (MEA-05)
_AHEAD = 4                      # steps before a set in which no erase shall begin
_MOST_RECEIVED = 4              # frames taken in one step
_HALF = 1 << 29
_ALL = 0x7FF

# Items of the events CAN_ERROR and CAN_GOOD
NO_CHIP, CONFIGURATION_LOST, BUS_OFF, NOT_ACKNOWLEDGED = range(4)

_STOPPED, _BUS_OFF = 0, 4                       # of machine.CAN's states


class CanPort:
    """The CAN task.

    can      object with the interface of machine.CAN
    system   snapshot.System; pack: Pack
    frames   can_frames.CanFrames

    state       of the controller, as machine.CAN numbers it; 0: stopped, or not there
    sent        frames sent and acknowledged; timeouts: frames taken back, not sent in a step
    received    keep-alive frames heard; overruns: times that frames were lost on the way in
    """

    def __init__(self, can, system, pack, frames):
        self._can = can
        self._system = system
        self._pack = pack
        self._frames = frames
        self._limits = pack.derating    # looked at in each step, so without the way by the pack
        self._count = 0                 # of frames
        data = memoryview(frames.buf)
        self._datas = tuple(data[:n] for n in range(9))
        self._got = [0, None, 0, 0]
        self._taken = -1
        self._variant = -1          # that the chip's filters are for
        self._silent = False        # by parameter
        self._acknowledged = 0      # 1: an acknowledged frame says that the inverter is there
        self._on_request = False
        self._up = False            # configured and on the bus
        self._last_ms = -1          # -1: no step yet | ticks of the last one, on the grid
        self._slot = _SLOTS         # steps since a set has begun
        self._next = 0              # frame to be sent next; all sent: the number of them
        self._pending = -1          # -1: none | transmit buffer of the frame sent last
        self._flowing = 0           # limits of this pack above 0 when they were told: 1, 2
        self._trouble = -1          # -1: none | item of the last CAN_ERROR
        self.state = _STOPPED
        self.sent = 0
        self.timeouts = 0
        self.received = 0
        self.overruns = 0
        bind(self, "step", "_receive", "_settle", "_allowed", "_begin")

    def _load(self):
        params = self._pack.params
        self._taken = params.changed
        self._silent = params["inverter_port"] == RS485_ONLY
        frames = self._frames
        if self._variant != params["can_variant"]:
            self._variant = params["can_variant"]
            frames.choose(self._variant)
            self._next = self._count = len(frames)
            self._up = False            # with the filters of the variant, if it was up
        heard_by = params["can_keep_alive"] - 1
        if heard_by < 0:
            heard_by = frames.variant[layout.HEARD]
        self._acknowledged = heard_by == layout.OR_ACKNOWLEDGED
        self._on_request = frames.variant[layout.QUIRKS] & layout.ON_REQUEST != 0

    @micropython.native
    def step(self, now_ms):
        """Every PERIOD_MS: take what came, send the next frame."""
        if self._taken != self._pack.params.changed:
            self._load()
        steps = 0
        if self._last_ms < 0:
            self._last_ms = now_ms
        else:                           # on the grid of the first step: nothing drifts
            late_ms = (now_ms - self._last_ms + PERIOD_MS // 2) & MASK
            if late_ms < _HALF:
                steps = late_ms // PERIOD_MS
                self._last_ms = (self._last_ms + steps * PERIOD_MS) & MASK
        self._slot += steps
        if self._slot >= _SLOTS:
            self._slot = self._slot - _SLOTS if self._slot < 2 * _SLOTS else 0
            self._begin(now_ms)
        if not self._up:
            return
        self._receive()
        if self._pending >= 0:
            self._settle(now_ms)
        if self._flowing and not self._on_request and self._flowing & ~self._allowed():
            self._next = 0              # COM-05: at once, before a FET opens
        if self._next < self._count:
            self._send(now_ms)

    def is_busy(self):
        """True while a set is sent, or is about to be: an erase of the flash would delay it."""
        return self._up and (self._next < self._count or self._slot >= _SLOTS - _AHEAD)

    def restart(self):
        """After a step that raised: the chip is configured anew."""
        self._up = False
        self._pending = -1

    # -- once a second --------------------------------------------------------------------

    def _begin(self, now_ms):
        """See to the chip, and begin a set of frames."""
        if self._silent or self._pack.dip > 1:      # a slave leaves the inverter to the master
            if self._up:
                self._can.deinit()
            self._up = False
            self.state = _STOPPED
            return
        can = self._can
        if self._up:
            self.state = can.state()
            if self.state == _STOPPED:
                self._up = False
                self._error(CONFIGURATION_LOST, now_ms, 0)
        if not self._up:
            self._start(now_ms)
        elif self.state == _BUS_OFF:
            self._error(BUS_OFF, now_ms, 0)
            self._pending = -1
            can.restart()
            self.state = can.state()
        if not self._up or self.state == _BUS_OFF:
            self._next = self._count
        elif not self._on_request:
            self._next = 0

    def _start(self, now_ms):
        can = self._can
        self._pending = -1
        try:
            can.init(BITRATE)
            can.set_filters(self._filters())
        except OSError as error:
            self._error(NO_CHIP, now_ms, error.args[0])
            return
        self._up = True
        self.state = can.state()

    def _filters(self):
        """For the keep-alive frames of the variant."""
        wide = self._can.FLAG_EXT_ID
        return tuple((ident, _ALL, 0) if ident >= 0 else (0, 0, wide)
                     for ident in self._frames.variant[layout.KEEP_ALIVE])

    def _error(self, item, now_ms, value):
        if item != self._trouble:
            self._trouble = item
            self._pack.events.add(now_ms, ev.CAN_ERROR, item, -1, value)

    # -- each step ------------------------------------------------------------------------

    @micropython.native
    def _receive(self):
        for _ in range(_MOST_RECEIVED):
            got = self._can.recv(self._got)
            if got is None:
                return
            self.received += 1
            if got[3] & 2:
                self.overruns += 1
            self._pack.inverter.heard()
            if self._on_request and self._next >= self._count:
                self._next = 0

    @micropython.native
    def _settle(self, now_ms):
        """The frame of the last step is out, or it is taken back: nobody is there."""
        waits = self._can.cancel_send(self._pending)
        self._pending = -1
        if waits:
            self.timeouts += 1
            self._error(NOT_ACKNOWLEDGED, now_ms, self.timeouts)
            self._next = self._count      # the next set is newer
            return
        self.sent += 1
        if self._next >= self._count:     # the set is through
            if self._trouble >= 0:
                self._pack.events.add(now_ms, ev.CAN_GOOD, self._trouble)
                self._trouble = -1
            self._pack.power.hear()         # PWR-10: somebody is there, in every variant
            if self._acknowledged:
                self._pack.inverter.heard()

    @micropython.native
    def _allowed(self):
        limits = self._limits
        return (1 if limits.ccl_ma else 0) | (2 if limits.dcl_ma else 0)

    @micropython.native
    def _send(self, now_ms):
        frames = self._frames
        i = self._next
        if i % _REFRESH == 0:
            self._system.update(now_ms)
            frames.take(self._system.whole)
            self._flowing = self._allowed()
        self._next = i + 1
        length = frames.encode(i)
        if length < 0 or self.state == _BUS_OFF:
            return
        index = self._can.send(frames.ident(i), self._datas[length])
        if index is not None:
            self._pending = index
