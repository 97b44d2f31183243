"""Several controllers on one parallel RS485 bus and one bus bar, for the rig's `fleet`.

All modules advance together, a chunk of time each: what one sends in a chunk, the others hear
the same length of time later, with every gap between bytes as it was. Between chunks the bus bar
is solved (tools/models/bus_bar.py) and its voltage given to every pack for the next one.
"""

import random

from mocks.uart_wave import lasts_us
import rooms
from rig_targets import TargetError

rooms.use(rooms.MODELS)

from bus_bar import BusBar              # noqa: E402

BAR_FIELDS = ("charger_mv", "charger_ma", "load_ma", "load", "current_ma")
BUS_FAULTS = ("parallel_noise", "parallel_loss")
DEFAULT_CHARGER_MV = 56_800
DEFAULT_CHARGER_MA = 50_000
_CLIENT = 100               # sender: the client at the port of module 0; the next one is 101
_MOST_AT_ONCE = 64          # bytes of the past that a byte may still be over
_SLOWEST_BYTE_US = 2 * 1042
_BURST_US = 3_000           # a pause so long ends a frame
_CHUNK_US = {1: 5_000, 2: 5_000, 3: 5_000, 4: 5_000}
_CHUNK_MANY_US = 10_000


class Bus:
    """The wire pair: everybody hears everybody else; two at a time are heard by nobody rightly.

    noise    share of bytes spoilt
    loss     share of frames that vanish
    frames, lost_frames, collisions   counted since the start: frames by their first byte, bytes
             that two senders spoke over each other
    speeds   [(t_ms, bit/s)]: when the first module's frames were sent at another rate than before
    """

    def __init__(self, seed):
        self.noise = 0.0
        self.loss = 0.0
        self.frames = self.lost_frames = self.collisions = 0
        self.speeds = []
        self._random = random.Random(f"parallel {seed}")
        self._held = []             # (start_us, sender, byte, bit/s), not yet passed on
        self._past = []             # those of the last time: a slow byte may still be over them
        self._ended_us = {}         # of each sender's newest byte
        self._drop = {}             # True: its present frame vanishes

    def put(self, sender, start_us, data, baud):
        """*sender* has put *data* on the wire from *start_us* on."""
        if sender == 0 and (not self.speeds or self.speeds[-1][1] != baud):
            self.speeds.append((start_us // 1000, baud))
        for i, byte in enumerate(data):
            self._held.append((start_us + lasts_us(i, baud), sender, byte, baud))

    def take(self, until_us):
        """What has completely passed by *until_us*: [(start_us, speakers, byte, bit/s)], spoilt
        ones with every sender that spoke at that time."""
        self._held.sort()
        ready = [entry for entry in self._held if entry[0] + lasts_us(1, entry[3]) <= until_us]
        near = self._past + self._held
        self._held = [entry for entry in self._held if entry[0] + lasts_us(1, entry[3]) > until_us]
        self._past = ready[-_MOST_AT_ONCE:]
        alone = len({entry[1] for entry in near}) == 1
        passed = []
        for start_us, sender, byte, baud in ready:
            end_us = start_us + lasts_us(1, baud)
            speakers = {sender}
            if not alone:
                speakers.update(other for at, other, _, rate in near
                                if at < end_us and start_us < at + lasts_us(1, rate))
            if start_us - self._ended_us.get(sender, -_BURST_US) >= _BURST_US:
                self.frames += 1
                self._drop[sender] = self._random.random() < self.loss
                self.lost_frames += self._drop[sender]
            self._ended_us[sender] = end_us
            if self._drop[sender]:
                continue
            if len(speakers) > 1:
                self.collisions += 1
                byte = self._random.randrange(256)
            elif self.noise and self._random.random() < self.noise:
                byte ^= self._random.randrange(1, 256)
            passed.append((start_us, speakers, byte, baud))
        return passed


class Linked:
    """A target that cannot run alone: when it runs, all of its fleet do."""

    def __init__(self, target, fleet, index):
        self.inner = target
        self._fleet = fleet
        self._index = index

    def __getattr__(self, name):
        return getattr(self.inner, name)

    @property
    def chunk_us(self):
        return self._fleet.chunk_us

    @property
    def crash(self):
        return self.inner.crash

    @crash.setter
    def crash(self, value):
        self.inner.crash = value

    def run(self, us, feeds):
        return self._fleet.run(self._index, us, feeds)

    def set(self, values):
        bar = {name: values.pop(name) for name in BAR_FIELDS if name in values}
        if "reverse" in values:
            raise TargetError("reverse: the packs of a fleet share one bar; use a single bench")
        if values:
            self.inner.set(values)
        self._fleet.set_bar(bar)


class Fleet:
    """Lock-step of several targets.

    members   Rig of each module, set by the rig after it is made
    bar, bus  BusBar and Bus
    """

    def __init__(self, targets, seed):
        self.targets = targets
        self.members = []
        self.bar = BusBar()
        self.bus = Bus(seed)
        self._clients_us = [0] * len(targets)   # when the client at each one's port is done
        self.chunk_us = _CHUNK_US.get(len(targets), _CHUNK_MANY_US)
        self._bar_mv = None
        self._only_ma = [None] * len(targets)
        self._hears = [[] for _ in targets]     # feeds of the bus for each module's next chunk
        self._delay_us = 0

    def set_bar(self, fields):
        """Charger, load and current source are on the bar, whichever module they are set at."""
        bar = self.bar
        if "load" in fields:
            if fields["load"] == "short":
                raise TargetError("load: a short of the whole bar is not modelled; "
                                  "use a single bench")
            bar.load_ma = 0.0
        if "load_ma" in fields:
            bar.load_ma = float(fields["load_ma"] or 0)
        if "current_ma" in fields:
            bar.force_ma = fields["current_ma"]
        given = [fields.get(name) for name in ("charger_mv", "charger_ma")]
        if "charger_mv" in fields or "charger_ma" in fields:
            if given == [None, None]:
                bar.charger_mv = bar.charger_ma = None
            else:
                old = bar.charger_mv or DEFAULT_CHARGER_MV, bar.charger_ma or DEFAULT_CHARGER_MA
                bar.charger_mv = float(old[0] if given[0] is None else given[0])
                bar.charger_ma = float(old[1] if given[1] is None else given[1])

    def set_faults(self, faults):
        """Noise and loss of the parallel bus."""
        if "parallel_noise" in faults:
            self.bus.noise = faults["parallel_noise"] or 0.0
        if "parallel_loss" in faults:
            self.bus.loss = faults["parallel_loss"] or 0.0

    def run(self, index, us, feeds):
        """Let *us* pass for all; *feeds* are module *index*'s. Returns what that one sent."""
        own = []
        while us > 0:
            step_us = min(us, self.chunk_us)
            own += self._step(index, step_us, feeds)
            feeds = []
            us -= step_us
        return own

    def _step(self, index, us, feeds):
        start_us = self.targets[0].t_us
        for i, target in enumerate(self.targets):
            ports = feeds if i == index else self.members[i].collect(us) if (
                self.members) else []
            self._client_speaks(i, start_us, [feed for feed in ports if feed[0] == "parallel"])
            ports = [feed for feed in ports if feed[0] != "parallel"] + self._hears[i]
            self._hears[i] = []
            target.begin(us, ports, bar_mv=self._bar_mv, bar_load_ma=self.bar.load_ma,
                         bar_only_ma=self._only_ma[i])
        own = []
        for i, target in enumerate(self.targets):
            sent = target.end()
            for port, at_us, data, baud in sent:
                if port == "parallel":
                    self.bus.put(i, at_us, data, baud)
            sent = [entry for entry in sent if entry[0] != "parallel"]      # see _pass_on
            if i == index:
                own = sent
            elif self.members:
                self.members[i].deliver(sent, start_us)
        self._pass_on(self.targets[0].t_us, us)
        packs = [target.behind_bar for target in self.targets]
        self._bar_mv = self.bar.solve(packs)
        self._only_ma = [self.bar.only_ma(packs, i) for i in range(len(packs))]
        return own

    def _client_speaks(self, i, now_us, feeds):
        """What a monitor at the parallel port of module *i* says goes to all of them."""
        for _, _, data, baud in feeds:
            start_us = max(now_us, self._clients_us[i])
            self._clients_us[i] = start_us + lasts_us(len(data), baud)
            self.bus.put(_CLIENT + i, start_us, data, baud)

    def _pass_on(self, now_us, us):
        """Queue what was on the bus for the next chunk, delayed so that it keeps its rhythm."""
        self._delay_us = max(self._delay_us, us + _SLOWEST_BYTE_US)
        runs = []                   # [start_us, speakers, bytes, bit/s], without a gap inside
        for start_us, speakers, byte, baud in self.bus.take(now_us):
            if runs and (runs[-1][1], runs[-1][3]) == (speakers, baud) and abs(
                    runs[-1][0] + lasts_us(len(runs[-1][2]), baud) - start_us) < 20:
                runs[-1][2].append(byte)
            else:
                runs.append([start_us, speakers, bytearray((byte,)), baud])
        for start_us, speakers, data, baud in runs:
            feed = ("parallel", max(0, start_us + self._delay_us - now_us), bytes(data), baud)
            for i in range(len(self.targets)):
                if i not in speakers:           # a driver that is on hears nothing
                    self._hears[i].append(feed)
                if self.members and _CLIENT + i not in speakers:
                    self.members[i].overhear(bytes(data), baud)
